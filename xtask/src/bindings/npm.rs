//! The npm package for browsers: what is written by hand, and what wasm-bindgen makes of `bindings/wasm`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Build;
use crate::process::{self, ProcessError};
use crate::project::Project;
use crate::suite::{wasm, workspace};

/// The package's own files, beside what is generated.
const WRITTEN: &[&str] = &["README.md", "package.json", "js/client.js", "js/client.d.ts", "js/worker.js"];

/// Where the package lies that suites test and that other packages of this tree name as `file:../wasm`.
pub(crate) fn folder(project: &Project) -> PathBuf {
    project.target().join("bindings/wasm")
}

/// Builds the package into a folder. False if something failed, which has been shown.
pub(crate) fn generate(project: &Project, build: Build, out: &Path) -> Result<bool, ProcessError> {
    if let Err(error) = written(project, out) {
        println!("{}: {error}", out.display());
        return Ok(false);
    }
    let built = wasm::folder(project).join(wasm::TARGET).join(build.folder()).join("medipeps_wasm.wasm");
    let mut bind = project.command(project.target().join("debug/medipeps-wasm-bindgen"));
    if build == Build::App {
        bind.arg("--without-names");
    }
    bind.args([&built, out]);
    for mut command in [compile(project, build), workspace::wasm_generator(project), bind] {
        println!("$ {}", process::as_typed(&command));
        if !process::stream(&mut command, |_| {})? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Compiles the package's WebAssembly.
pub(crate) fn compile(project: &Project, build: Build) -> Command {
    wasm::build(project, &["--package", "medipeps-wasm", "--profile", build.profile()])
}

/// The folder with what is written by hand alone.
fn written(project: &Project, out: &Path) -> io::Result<()> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    for file in WRITTEN {
        let name = Path::new(file).file_name().map(PathBuf::from).unwrap_or_default();
        fs::copy(project.root().join("bindings/wasm").join(file), out.join(name))?;
    }
    Ok(())
}
