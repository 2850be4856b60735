//! The suites of other languages: the code that UniFFI generates for each, against the real server, by the language's own test
//! runner.

use std::path::{Path, PathBuf};

use crate::bindings::{self, Build, LIBRARY, Language, swift};
use crate::package;
use crate::process::{self, ProcessError};
use crate::suite::count::Counts;
use crate::suite::report::Ended;
use crate::suite::{Run, workspace};

/// Names the server's program for the tests.
const SERVER: &str = "MEDIPEPS_SERVER";
/// Set to renew what a language's API is held against.
const WRITE_API: &str = "MEDIPEPS_WRITE_API";
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
    // Classes of tests that are gone would run as well.
    let built = run.project.target().join("kotlin");
    if built.exists()
        && let Err(error) = std::fs::remove_dir_all(&built)
    {
        println!("{}: {error}", built.display());
        return failed();
    }
    let mut tests = bindings::maven(run.project);
    tests.arg("test");
    ran(run, &mut tests, surefire)
}

/// `bindings/swift`, by the Swift Package Manager and XCTest, in the Debian that has the compiler; and its public interface against
/// `api.txt`.
pub(super) fn swift(run: &Run) -> Result<Ended, ProcessError> {
    let project = run.project;
    let Some(package) = prepare(run, Language::Swift)? else { return failed() };
    // What the compiler's Debian can see is this folder alone.
    let there = |name: &str| format!("{}/{name}", swift::SHARED);
    if let Err(error) = std::fs::copy(server(&project.target()), package.join("medipeps-server")) {
        println!("{}: {error}", package.display());
        return failed();
    }
    let environment = [(SERVER, &*there("medipeps-server")), ("LD_LIBRARY_PATH", &there("lib"))];
    let environment = if run.nightly { [&environment[..], &[(NIGHTLY, "1")]].concat() } else { environment.to_vec() };
    let mut tests =
        swift::in_compiler_root(project, &package, "swift test --disable-sandbox --skip CallsTests", &environment);
    let mut ended = ran(run, &mut tests, xctest)?;
    ended.counts += Counts::one(interface_is_the_same(run, &package)?);
    Ok(ended)
}

/// Compares what the compiler says that the package offers with `api.txt`, or writes that.
fn interface_is_the_same(run: &Run, package: &Path) -> Result<bool, ProcessError> {
    const WRITE: &str = "swiftc -swift-version 5 -suppress-warnings -enable-library-evolution -module-name Medipeps -typecheck \
        -emit-module-interface-path api.swiftinterface -I $PWD/Sources/medipepsFFI \
        -Xcc -fmodule-map-file=$PWD/Sources/medipepsFFI/module.modulemap Sources/Medipeps/*.swift";
    let written = package.join("api.swiftinterface");
    let mut write = swift::in_compiler_root(run.project, package, WRITE, &[]);
    if !process::stream(&mut write, |_| {})? {
        return Ok(false);
    }
    let offered = swift::public_interface(&std::fs::read_to_string(&written).unwrap_or_default());
    let snapshot = run.project.root().join("bindings/swift/api.txt");
    if std::env::var_os(WRITE_API).is_some()
        && let Err(error) = std::fs::write(&snapshot, &offered)
    {
        println!("{}: {error}", snapshot.display());
        return Ok(false);
    }
    let same = std::fs::read_to_string(&snapshot).is_ok_and(|kept| kept == offered) && !offered.is_empty();
    if !same {
        println!("the API is not the one in bindings/swift/api.txt; if that is meant, renew it: {WRITE_API}=1");
    }
    Ok(same)
}

/// Generates the code and builds the server. `None` if something failed, which has been shown.
fn prepare(run: &Run, language: Language) -> Result<Option<PathBuf>, ProcessError> {
    let out = bindings::folder(run.project, language);
    if !bindings::generate(run.project, language, Build::Debug, &out)? {
        return Ok(None);
    }
    let mut server = workspace::server(run.project);
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

/// What a line of XCTest's says of one test: `Test Case 'ClientTests.testA' passed (1.2 seconds)`.
fn xctest(line: &str) -> Counts {
    let Some((_, said)) = line.strip_prefix("Test Case '").and_then(|rest| rest.split_once("' ")) else {
        return Counts::default();
    };
    match said.split(' ').next() {
        Some("passed") => Counts::PASSED,
        Some("failed") => Counts::FAILED,
        Some("skipped") => Counts::SKIPPED,
        _ => Counts::default(),
    }
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
    fn tests_of_swift_are_counted_as_they_end() {
        let lines = [
            "Test Case 'ClientTests.testA' started at 2026-11-27 06:25:29.565",
            "Test Case 'ClientTests.testA' passed (0.102 seconds)",
            "Test Case 'ClientTests.testB' failed (0.467 seconds)",
            "Test Case 'ClientTests.testC' skipped (0.0 seconds)",
            "Executed 3 tests, with 1 failure (1 unexpected) in 7.205 (7.205) seconds",
        ];
        assert_eq!(all(&lines, xctest), Counts { passed: 1, failed: 1, skipped: 1 });
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
