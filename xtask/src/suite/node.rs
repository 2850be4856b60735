//! Suites that Node's own test runner runs: what stands on the npm package, in Chromium, against the real server.
//!
//! A suite is data ([`Tests`]). Its folder is copied to `target/bindings/NAME`, the npm modules of its lock file are installed there,
//! its npm scripts run there; nothing is written into the tree. The tests run where they lie, with in their environment
//!
//! - `MEDIPEPS_SERVER`: the server's program,
//! - `MEDIPEPS_PACKAGE`: the folder of the npm package, `target/bindings/wasm`; a package.json names it as `file:../wasm`. Of a suite
//!   that asks for what is published, `target/package/npm/package`, and the packed one beside it,
//! - `MEDIPEPS_MODULES`: the copy, with `node_modules` and whatever the scripts have built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bindings::{self, Build};
use crate::package;
use crate::process::{self, ProcessError};
use crate::project::Project;
use crate::suite::count::Counts;
use crate::suite::report::Ended;
use crate::suite::{Run, workspace};

/// What is made rather than written, and so not copied.
const MADE: &[&str] = &["node_modules", "dist", "dist-strict"];
/// What npm has installed, as this suite saw it: as long as it stays, nothing is installed again.
const INSTALLED: &str = "node_modules/.medipeps-installed";

/// Tests that Node runs.
#[derive(Debug)]
pub(super) struct Tests {
    /// The folder below `target/bindings` in which they find their modules.
    pub(super) name: &'static str,
    /// The folder with package.json, package-lock.json and .npmrc.
    pub(super) folder: &'static str,
    /// Other folders that scripts read, copied beside it under their last names.
    pub(super) beside: &'static [&'static str],
    /// The npm package that is tested: `Debug` is built quickly, `App` is what is published, and packed. A build machine has `App` for all:
    /// it builds once.
    pub(super) package: Build,
    /// Scripts of package.json that must pass first, in order.
    pub(super) scripts: &'static [&'static str],
    /// Where the tests are: every `*.test.js` in these folders, below no other folder.
    pub(super) tests: &'static [&'static str],
}

impl Tests {
    /// Makes what the tests stand on, and runs them.
    pub(super) fn run(&self, run: &Run) -> Result<Ended, ProcessError> {
        let project = run.project;
        let modules = project.target().join("bindings").join(self.name);
        if !self.made(project, &modules)? {
            return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
        }
        let mut tests = project.command("node");
        tests.args(["--test", "--test-reporter=tap"]);
        for folder in self.tests {
            match test_files(&project.root().join(folder)) {
                Ok(files) => tests.args(files.iter().map(|file| Path::new(folder).join(file))),
                Err(error) => {
                    println!("{folder}: {error}");
                    return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
                }
            };
        }
        tests
            .env("MEDIPEPS_SERVER", project.target().join("debug/medipeps-server"))
            .env("MEDIPEPS_PACKAGE", self.package_folder(project))
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

    /// Builds server and package, installs the modules and runs the scripts. What fails is shown.
    fn made(&self, project: &Project, modules: &Path) -> Result<bool, ProcessError> {
        let server = workspace::server(project);
        if !shown(server)? || !self.package(project)? {
            return Ok(false);
        }
        let installed = match self.lay_out(project, modules) {
            Ok(installed) => installed,
            Err(error) => {
                println!("{}: {error}", modules.display());
                return Ok(false);
            }
        };
        let package = self.package_folder(project);
        let npm = |words: &[&str]| {
            let mut command = project.command("npm");
            command.args(words).arg("--prefix").arg(modules).env("MEDIPEPS_PACKAGE", &package);
            command
        };
        if !installed {
            if !shown(npm(&["ci", "--no-audit", "--no-fund"]))? {
                return Ok(false);
            }
            if let Err(error) = fs::copy(modules.join("package-lock.json"), modules.join(INSTALLED)) {
                println!("{INSTALLED}: {error}");
            }
        }
        for script in self.scripts {
            if !shown(npm(&["run", "--silent", script]))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn build(&self) -> Build {
        if std::env::var_os("CI").is_some() { Build::App } else { self.package }
    }

    fn package_folder(&self, project: &Project) -> PathBuf {
        match self.build() {
            Build::App => package::npm::folder(project),
            _ => bindings::npm::folder(project),
        }
    }

    fn package(&self, project: &Project) -> Result<bool, ProcessError> {
        if self.build() != Build::App {
            return bindings::npm::generate(project, self.build(), &self.package_folder(project));
        }
        match package::npm::pack(project) {
            Ok(_) => Ok(true),
            Err(error) => {
                println!("{error}");
                Ok(false)
            }
        }
    }

    /// Copies what is written. Whether the modules of its lock file are installed already.
    fn lay_out(&self, project: &Project, modules: &Path) -> io::Result<bool> {
        copy_written(&project.root().join(self.folder), modules)?;
        for folder in self.beside {
            let name = Path::new(folder).file_name().map(PathBuf::from).unwrap_or_default();
            copy_written(&project.root().join(folder), &modules.with_file_name(name))?;
        }
        let installed = fs::read(modules.join(INSTALLED)).ok();
        // What was packed just now is installed anew.
        Ok(self.package != Build::App && installed == Some(fs::read(modules.join("package-lock.json"))?))
    }
}

fn shown(mut command: Command) -> Result<bool, ProcessError> {
    println!("$ {}", process::as_typed(&command));
    process::stream(&mut command, |_| {})
}

/// Makes `into` what `from` is, but for what is made in either.
fn copy_written(from: &Path, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    let written = |folder: &Path| -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())));
        let written =
            |name: &io::Result<PathBuf>| !matches!(name, Ok(name) if MADE.iter().any(|made| name == Path::new(made)));
        entries.filter(written).collect()
    };
    let names = written(from)?;
    for name in written(into)? {
        let stale = into.join(&name);
        if !names.contains(&name) || stale.is_dir() != from.join(&name).is_dir() {
            if stale.is_dir() { fs::remove_dir_all(stale) } else { fs::remove_file(stale) }?;
        }
    }
    for name in names {
        let (from, into) = (from.join(&name), into.join(&name));
        if from.is_dir() {
            copy_written(&from, &into)?;
        } else {
            fs::copy(from, into)?;
        }
    }
    Ok(())
}

/// The names of a folder's tests, in order.
fn test_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| name.ends_with(".test.js")));
    }
    names.sort();
    Ok(names)
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

    #[test]
    fn a_copy_has_what_is_written_and_keeps_what_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        let write = |path: PathBuf| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for name in ["src/b.test.js", "a.test.js", "kind/file.js", "node_modules/theirs/index.js", "dist/index.html"] {
            write(from.join(name));
        }
        for name in
            ["old/file.js", "old.js", "src/old.js", "kind", "node_modules/ours/index.js", "src/node_modules/ours.js"]
        {
            write(into.join(name));
        }
        copy_written(&from, &into).unwrap();
        let there =
            ["src/b.test.js", "a.test.js", "kind/file.js", "node_modules/ours/index.js", "src/node_modules/ours.js"];
        let gone = ["old", "old.js", "src/old.js", "node_modules/theirs", "dist"];
        assert!(there.iter().all(|name| into.join(name).exists()));
        assert!(gone.iter().all(|name| !into.join(name).exists()));
        assert_eq!(test_files(&into).unwrap(), ["a.test.js"]);
    }
}
