//! The python suite: the generated module against a real server, by Python's own unittest.

use crate::bindings::{self, Language};
use crate::process::{self, ProcessError};
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::report::Ended;

/// Generates, builds the server, and runs `bindings/python/tests`.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let project = run.project;
    let out = bindings::folder(project, Language::Python);
    let failed = || Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
    if !bindings::generate(project, Language::Python, &out)? {
        return failed();
    }
    let mut server = project.cargo(["build", "--package", "medipeps-server"]);
    println!("$ {}", process::as_typed(&server));
    if !process::stream(&mut server, |_| {})? {
        return failed();
    }
    let mut tests = project.command("python3");
    tests.args(["-u", "bindings/python/tests"]);
    tests.env("PYTHONPATH", &out).env("MEDIPEPS_SERVER", project.target().join("debug/medipeps-server"));
    println!("$ {}", process::as_typed(&tests));
    let mut counts = Counts::default();
    let passed = process::stream(&mut tests, |line| counts += counted(line))?;
    if !passed && counts.failed == 0 {
        counts += Counts::FAILED;
    }
    Ok(Ended { counts, ..Ended::default() })
}

/// What a line of unittest's says of one test: `test_name (module.Class.test_name) ... ok`. The end is on a line of its own where
/// the test has printed something.
fn counted(line: &str) -> Counts {
    match line.trim_end().rsplit(" ... ").next() {
        Some("ok") => Counts::PASSED,
        Some("FAIL" | "ERROR") => Counts::FAILED,
        Some(last) if last.starts_with("skipped ") => Counts::SKIPPED,
        _ => Counts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_whatever_they_print() {
        let lines = [
            "test_a (test_client.ClientTest.test_a) ... ok",
            "test_b (test_client.ClientTest.test_b) ... something printed",
            "ok",
            "test_c (test_client.ClientTest.test_c) ... FAIL",
            "ERROR",
            "Ran 4 tests in 27.476s",
            "OK",
        ];
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts += counted(line));
        assert_eq!(counts, Counts { passed: 2, failed: 2, skipped: 0 });
    }
}
