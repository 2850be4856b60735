//! Tests of the workspace, always built with all of it: cargo unites the features of the packages that are chosen, so that every other
//! choice would compile `core`, the client, the server and hundreds of libraries once more. Which tests run is said by target.
//!
//! Features that only tests have, such as fail points, are in what is built here too. Nothing calls on them there but the programs of
//! the tests themselves; `cargo demo` and the server's package have the released programs, without.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::process;
use crate::project::Project;

/// The test target across crates.
pub(super) const ACROSS_CRATES: &str = "suite";
/// The test target that speaks the wire protocol to the server.
pub(super) const WIRE: &str = "wire";
/// Whoever builds a package's integration test builds its programs: this one's are the server's.
const SERVER: &[&str] = &[WIRE];
/// UniFFI's generator.
const UNIFFI_GENERATOR: &str = "uniffi_generator";
/// wasm-bindgen's.
const WASM_GENERATOR: &str = "wasm_generator";
/// What uses the library for apps as another crate does, and so has it built.
const APP_LIBRARY: &str = "store";
/// The programs that tests across crates start.
const PROGRAMS: &[&str] = &["medipeps", "medipeps-server", "medipeps-load"];
/// The same with fail points, which are examples beside those tests. A build with an example has the features that tests have.
const FAIL_POINTS: &[&str] = &["medipeps_fail_points", "medipeps_server_fail_points"];

/// Tests in targets of the kinds that `words` name: `--lib`, `--test NAME`.
pub(super) fn tests(project: &Project, words: &[&str]) -> Command {
    let mut command = project.cargo(["test", "--no-fail-fast", "--workspace"]);
    command.args(words);
    command
}

/// Builds the server for tests, in the folder `debug`.
pub(super) fn server(project: &Project) -> Command {
    build(project, SERVER)
}

/// Builds every program that a test across crates starts, in the folder `debug`.
pub(super) fn programs(project: &Project) -> Command {
    let mut command = project.cargo(["build", "--workspace"]);
    command.args(PROGRAMS.iter().flat_map(|name| ["--bin", name]));
    command.args(FAIL_POINTS.iter().flat_map(|name| ["--example", name]));
    command
}

/// Builds UniFFI's generator, `debug/uniffi-bindgen`.
pub(crate) fn uniffi_generator(project: &Project) -> Command {
    build(project, &[UNIFFI_GENERATOR])
}

/// Builds the generator of the npm package, `debug/medipeps-wasm-bindgen`.
pub(crate) fn wasm_generator(project: &Project) -> Command {
    build(project, &[WASM_GENERATOR])
}

/// Builds the library for apps, for tests: in [`app_library_folder`].
pub(crate) fn app_library(project: &Project) -> Command {
    build(project, &[APP_LIBRARY])
}

/// Where cargo puts a library that is built for what uses it.
pub(crate) fn app_library_folder(project: &Project) -> PathBuf {
    project.target().join("debug/deps")
}

fn build(project: &Project, targets: &[&str]) -> Command {
    let mut command = tests(project, &["--no-run"]);
    command.args(targets.iter().flat_map(|target| ["--test", target]));
    command
}

/// The names of the integration tests that run without being asked for, but for those that are suites of their own.
pub(super) fn integration_tests(project: &Project) -> Vec<String> {
    let metadata = process::answer(&mut project.cargo(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = metadata.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let mut names = names(&metadata);
    names.retain(|name| name != ACROSS_CRATES && name != WIRE);
    names
}

fn names(metadata: &Value) -> Vec<String> {
    let is_run = |target: &&Value| target["kind"][0] == "test" && target["test"] == true;
    let targets = items(&metadata["packages"]).flat_map(|package| items(&package["targets"]));
    let mut names: Vec<String> =
        targets.filter(is_run).filter_map(|target| target["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tests_that_run_by_themselves_are_found() {
        let target = |name: &str, kind: &str, test: bool| json!({"name": name, "kind": [kind], "test": test});
        let metadata = json!({"packages": [
            {"targets": [target("a", "lib", true), target("second", "test", true), target("asked_for", "test", false)]},
            {"targets": [target("first", "test", true), target("second", "test", true), target("b", "bench", true)]},
        ]});
        assert_eq!(names(&metadata), ["first", "second"]);
    }

    #[test]
    fn what_is_built_by_a_test_has_that_test() {
        let project = Project::find().unwrap();
        let mut all = integration_tests(&project);
        all.push(WIRE.to_owned());
        for name in SERVER.iter().chain(&[UNIFFI_GENERATOR, WASM_GENERATOR, APP_LIBRARY]) {
            assert!(all.iter().any(|known| known == name), "{name}");
        }
    }
}
