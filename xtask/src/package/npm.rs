//! The npm package for browsers, as it is published.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{PackageError, at, run_quietly};
use crate::bindings::{Build, npm};
use crate::project::Project;

/// The packed package: what `npm install` takes.
pub(crate) const TARBALL: &str = "medipeps-client.tgz";

/// Where the package lies before it is packed. The packed one lies beside it.
pub(crate) fn folder(project: &Project) -> PathBuf {
    project.target().join("package/npm/package")
}

/// Builds the package, packs it, and says how much a browser loads.
pub(super) fn run(project: &Project) -> Result<(), PackageError> {
    let packed = pack(project)?;
    println!("{}", packed.display());
    let wasm = folder(project).join("medipeps_wasm_bg.wasm");
    let bytes = fs::read(&wasm).map_err(at(&wasm))?;
    println!("the WebAssembly in it has {} bytes, {} by gzip", bytes.len(), zipped(&bytes).map_err(at(&wasm))?);
    Ok(())
}

/// Builds the package and packs it by npm itself.
pub(crate) fn pack(project: &Project) -> Result<PathBuf, PackageError> {
    let folder = folder(project);
    if !npm::generate(project, Build::App, &folder)? {
        return Err(PackageError::Command("the npm package".to_owned()));
    }
    let out = folder.parent().unwrap_or(&folder);
    // npm names it after its version.
    let named = out.join(format!("medipeps-client-{}.tgz", env!("CARGO_PKG_VERSION")));
    run_quietly(project.command("npm").arg("pack").arg(&folder).arg("--pack-destination").arg(out))?;
    let packed = out.join(TARBALL);
    fs::rename(&named, &packed).map_err(at(&named))?;
    Ok(packed)
}

fn zipped(bytes: &[u8]) -> std::io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the file says of its version, after `before`.
    fn version(project: &Project, file: &str, before: &str) -> String {
        let text = fs::read_to_string(project.root().join("bindings/wasm").join(file)).unwrap();
        let after = text.split_once(before).unwrap().1;
        after.split_once('"').unwrap().0.to_owned()
    }

    #[test]
    fn versions_are_in_step() {
        let project = Project::find().unwrap();
        for (file, before) in [
            ("package.json", r#""version": ""#),
            ("js/client.js", r#"const VERSION = ""#),
            ("js/worker.js", r#"const VERSION = ""#),
        ] {
            assert_eq!(version(&project, file, before), env!("CARGO_PKG_VERSION"), "{file}");
        }
    }
}
