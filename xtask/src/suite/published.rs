//! The published-vectors suite: every test target called `published_vectors`, in whichever crate it lies.
//!
//! Such a target has `test = false` in its Cargo.toml, so that plain `cargo test` passes in a clone without the vectors;
//! asked for by name, it runs.

use crate::process::ProcessError;
use crate::suite::report::Ended;
use crate::suite::{Run, run_commands, workspace};

/// The name that these test targets share.
const TARGET: &str = "published_vectors";

/// Runs the tests that read the published vectors.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let mut command = workspace::tests(run.project, &["--test", TARGET]);
    command.env("MEDIPEPS_VECTORS", run.project.vectors());
    run_commands(vec![command])
}
