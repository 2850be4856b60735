//! The suites of other languages: the code that UniFFI generates for each, against the real server, by the language's own test
//! runner.

use std::path::{Path, PathBuf};

use crate::bindings::{self, Build, LIBRARY, Language};
use crate::package;
use crate::process::{self, ProcessError};
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::report::Ended;

/// Names the server's program for the tests.
const SERVER: &str = "MEDIPEPS_SERVER";
/// Set for tests that do more in a nightly run.
const NIGHTLY: &str = "MEDIPEPS_NIGHTLY";

/// `bindings/python/tests`, by Python's own unittest.
pub(super) fn python(run: &Run) -> Result<Ended, ProcessError> {
    let Some(generated) = prepare(run, Language::Python)? else { return failed() };
    let Some(installed) = install_wheel(run, &generated) else { return failed() };
    let mut tests = run.project.command("python3");
    tests.args(["-u", "bindings/python/tests"]).env("PYTHONPATH", &installed);
    ran(run, &mut tests, unittest)
}

/// Packs what was generated as `cargo xtask package python` does, and installs that into a folder of its own.
fn install_wheel(run: &Run, generated: &Path) -> Option<PathBuf> {
    let packed = run.project.target().join("bindings/wheel");
    let installed = packed.join("installed");
    // A folder of an earlier run would be added to.
    if packed.exists() && std::fs::remove_dir_all(&packed).is_err() {
        return None;
    }
    let stripped = run.project.command("strip").arg("--strip-debug").arg(generated.join(LIBRARY)).status();
    let wheel = match package::wheel(run.project, generated, &packed) {
        Ok(wheel) if stripped.is_ok_and(|status| status.success()) => wheel,
        Ok(_) => return None,
        Err(error) => {
            println!("{error}");
            return None;
        }
    };
    let mut install = run.project.command("python3");
    install.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]).arg(&installed).arg(wheel);
    println!("$ {}", process::as_typed(&install));
    install.status().is_ok_and(|status| status.success()).then_some(installed)
}

/// `bindings/kotlin`, by Maven, the official compiler and JUnit.
pub(super) fn kotlin(run: &Run) -> Result<Ended, ProcessError> {
    if prepare(run, Language::Kotlin)?.is_none() {
        return failed();
    }
    let mut tests = bindings::maven(run.project);
    tests.arg("test");
    ran(run, &mut tests, surefire)
}

/// Generates the code and builds the server. `None` if something failed, which has been shown.
fn prepare(run: &Run, language: Language) -> Result<Option<PathBuf>, ProcessError> {
    let out = bindings::folder(run.project, language);
    if !bindings::generate(run.project, language, Build::Debug, &out)? {
        return Ok(None);
    }
    let mut server = run.project.cargo(["build", "--package", "medipeps-server"]);
    println!("$ {}", process::as_typed(&server));
    Ok(process::stream(&mut server, |_| {})?.then_some(out))
}

fn ran(run: &Run, tests: &mut std::process::Command, counted: impl Fn(&str) -> Counts) -> Result<Ended, ProcessError> {
    tests.env(SERVER, server(&run.project.target()));
    if run.nightly {
        tests.env(NIGHTLY, "1");
    }
    println!("$ {}", process::as_typed(tests));
    let mut counts = Counts::default();
    let passed = process::stream(tests, |line| counts += counted(line))?;
    // What fails without a test that does, or runs none, has failed.
    if counts == Counts::default() || !passed && counts.failed == 0 {
        counts += Counts::FAILED;
    }
    Ok(Ended { counts, ..Ended::default() })
}

fn server(target: &Path) -> PathBuf {
    target.join("debug/medipeps-server")
}

fn failed() -> Result<Ended, ProcessError> {
    Ok(Ended { counts: Counts::FAILED, ..Ended::default() })
}

/// What a line of unittest's says of one test: `test_name (module.Class.test_name) ... ok`. The end is on a line of its own where
/// the test has printed something.
fn unittest(line: &str) -> Counts {
    match line.trim_end().rsplit(" ... ").next() {
        Some("ok") => Counts::PASSED,
        Some("FAIL" | "ERROR") => Counts::FAILED,
        Some(last) if last.starts_with("skipped ") => Counts::SKIPPED,
        _ => Counts::default(),
    }
}

/// What a line of Surefire's says of one class of tests:
/// `[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 6.1 s -- in org.medipeps.ClientTest`. The line of
/// them all, which names no class, is not counted.
fn surefire(line: &str) -> Counts {
    let Some((_, said)) = line.split_once("Tests run: ") else { return Counts::default() };
    if !said.contains(" in ") {
        return Counts::default();
    }
    let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u64>().ok());
    let mut next = || numbers.next().unwrap_or_default();
    let (run, failures, errors, skipped) = (next(), next(), next(), next());
    let failed = failures + errors;
    Counts { passed: run.saturating_sub(failed + skipped), failed, skipped }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &[&str], counted: impl Fn(&str) -> Counts) -> Counts {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts += counted(line));
        counts
    }

    #[test]
    fn tests_of_python_are_counted_whatever_they_print() {
        let lines = [
            "test_a (test_client.ClientTest.test_a) ... ok",
            "test_b (test_client.ClientTest.test_b) ... something printed",
            "ok",
            "test_c (test_client.ClientTest.test_c) ... FAIL",
            "ERROR",
            "Ran 4 tests in 27.476s",
            "OK",
        ];
        assert_eq!(all(&lines, unittest), Counts { passed: 2, failed: 2, skipped: 0 });
    }

    #[test]
    fn tests_of_kotlin_are_counted_once() {
        let lines = [
            "[INFO] Running org.medipeps.ClientTest",
            "[ERROR] Tests run: 7, Failures: 1, Errors: 1, Skipped: 2, Time elapsed: 6.170 s <<< FAILURE! -- in org.medipeps.A",
            "[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 6.170 s -- in org.medipeps.ClientTest",
            "[INFO] Results:",
            "[ERROR] Tests run: 12, Failures: 1, Errors: 1, Skipped: 2",
        ];
        assert_eq!(all(&lines, surefire), Counts { passed: 8, failed: 2, skipped: 2 });
    }
}
