//! The published-vectors suite: every test target called `published_vectors`, in whichever crate it lies.
//!
//! Such a target has `test = false` in its Cargo.toml, so that plain `cargo test` passes in a clone without the vectors;
//! asked for by name, it runs.

use serde_json::Value;

use crate::process::{self, ProcessError};
use crate::suite::count::Counts;
use crate::suite::report::Ended;
use crate::suite::{Run, run_commands};

/// The name that these test targets share.
const TARGET: &str = "published_vectors";

/// Runs the tests that read the published vectors.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let metadata = process::answer(&mut run.project.cargo(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = metadata.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let packages = packages(&metadata);
    if packages.is_empty() {
        println!("no crate has a test target called {TARGET}");
        return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
    }
    let mut command = run.project.cargo(["test", "--no-fail-fast", "--test", TARGET]);
    for package in packages {
        command.args(["--package", &package]);
    }
    command.env("MEDIPEPS_VECTORS", run.project.vectors());
    run_commands(vec![command])
}

/// The packages that have such a target.
fn packages(metadata: &Value) -> Vec<String> {
    let has_target = |package: &Value| {
        items(&package["targets"]).any(|target| target["name"] == TARGET && target["kind"][0] == "test")
    };
    items(&metadata["packages"])
        .filter(|package| has_target(package))
        .filter_map(|package| package["name"].as_str().map(str::to_owned))
        .collect()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn crates_with_the_target_are_found() {
        let metadata = json!({"packages": [
            {"name": "a", "targets": [{"name": "a", "kind": ["lib"]}, {"name": TARGET, "kind": ["test"]}]},
            {"name": "b", "targets": [{"name": TARGET, "kind": ["example"]}]},
        ]});
        assert_eq!(packages(&metadata), ["a"]);
        assert!(packages(&Value::Null).is_empty());
    }
}
