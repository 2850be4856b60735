//! The command `medipeps-server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    medipeps_server::cli::main()
}
