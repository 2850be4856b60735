//! What a person types in this project: `cargo xtask test`, `cargo xtask bench` and `cargo xtask demo` (also `cargo demo`).
//!
//! Exit codes: 0 done, 1 something failed or could not run, 2 wrong use.

mod process;
mod project;
mod readme;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::project::Project;

/// Tests, benches and the demo of Medipeps.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the test suites, all or those named.
    Test(suite::Arguments),
}

fn main() -> ExitCode {
    // `cargo demo --json` and `cargo demo -- --json` are the same: the first lone `--` says nothing here.
    let mut separator_seen = false;
    let words = std::env::args_os()
        .filter(|word| separator_seen || word != "--" || !std::mem::replace(&mut separator_seen, true));
    let arguments = Arguments::parse_from(words);
    let done = Project::find().map_err(Into::into).and_then(|project| match arguments.command {
        Command::Test(arguments) => suite::run(&project, &arguments),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
