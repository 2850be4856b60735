//! The pages suite: the npm package in Chromium, against the real server, by Node's own test runner.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, ProcessError};
use crate::project::Project;
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::report::Ended;
use crate::suite::wasm;

/// The package's own files, beside what is generated.
const WRITTEN: &[&str] = &["README.md", "package.json", "js/client.js", "js/client.d.ts", "js/worker.js"];
/// What the tests stand on, by their lock file.
const MODULES: &[&str] = &["package.json", "package-lock.json", ".npmrc"];

/// Makes the package, and runs `bindings/wasm/tests`.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let project = run.project;
    let (package, modules) = (project.target().join("bindings/wasm"), project.target().join("bindings/wasm-modules"));
    if !made(project, &package, &modules)? {
        return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
    }
    let mut tests = project.command("node");
    tests
        .args(["--test", "--test-reporter=tap", "bindings/wasm/tests/pages.test.js"])
        .env("MEDIPEPS_SERVER", project.target().join("debug/medipeps-server"))
        .env("MEDIPEPS_PACKAGE", package)
        .env("MEDIPEPS_MODULES", modules);
    println!("$ {}", process::as_typed(&tests));
    let mut counts = Counts::default();
    let passed = process::stream(&mut tests, |line| counts += tap(line))?;
    // What fails without a test that does, or runs none, has failed.
    if counts == Counts::default() || !passed && counts.failed == 0 {
        counts += Counts::FAILED;
    }
    Ok(Ended { counts, ..Ended::default() })
}

/// Builds server and package, and installs what the tests stand on. What fails is shown.
fn made(project: &Project, package: &Path, modules: &Path) -> Result<bool, ProcessError> {
    let built = wasm::folder(project).join(wasm::TARGET).join("debug/medipeps_wasm.wasm");
    let mut generate = project.cargo(["run", "--quiet", "--package", "medipeps-wasm-bindgen", "--"]);
    generate.args([&built, &package.to_owned()]);
    let mut install = project.command("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(modules);
    let server = project.cargo(["build", "--package", "medipeps-server"]);
    if let Err(error) = fresh(project, package, modules) {
        println!("{}: {error}", package.display());
        return Ok(false);
    }
    let all: [Command; 4] = [server, wasm::build(project, &["--package", "medipeps-wasm"]), generate, install];
    for mut command in all {
        println!("$ {}", process::as_typed(&command));
        if !process::stream(&mut command, |_| {})? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The two folders with what is written by hand alone.
fn fresh(project: &Project, package: &Path, modules: &Path) -> io::Result<()> {
    let from = project.root().join("bindings/wasm");
    if package.exists() {
        fs::remove_dir_all(package)?;
    }
    copy(&from, WRITTEN, package)?;
    copy(&from.join("tests"), MODULES, modules)
}

fn copy(from: &Path, files: &[&str], into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    for file in files {
        let name = Path::new(file).file_name().map(PathBuf::from).unwrap_or_default();
        fs::copy(from.join(file), into.join(name))?;
    }
    Ok(())
}

/// What a line of TAP's says of one test: `ok 1 - name`, `not ok 1 - name`, `ok 1 - name # SKIP`.
fn tap(line: &str) -> Counts {
    match line {
        line if line.starts_with("not ok ") => Counts::FAILED,
        line if line.starts_with("ok ") && line.contains(" # SKIP") => Counts::SKIPPED,
        line if line.starts_with("ok ") => Counts::PASSED,
        _ => Counts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_node_are_counted_once() {
        let lines = [
            "TAP version 13",
            "# Subtest: two pages talk",
            "ok 1 - two pages talk",
            "not ok 2 - one page at a time",
            "ok 3 - another # SKIP no browser",
            "  ok 1 - within another",
            "1..3",
            "# pass 1",
        ];
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts += tap(line));
        assert_eq!(counts, Counts { passed: 1, failed: 1, skipped: 1 });
    }
}
