//! The command `medipeps-server` with its fail points switched on, for the tests that kill it between two steps.

use std::process::ExitCode;

fn main() -> ExitCode {
    let _points = medipeps_server::fail_point::from_environment();
    medipeps_server::cli::main()
}
