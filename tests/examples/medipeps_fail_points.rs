//! The command `medipeps` with its fail points switched on, for the tests that kill it between two steps.

use std::process::ExitCode;

fn main() -> ExitCode {
    let _points = medipeps_client::fail_point::from_environment();
    medipeps_client::cli::main()
}
