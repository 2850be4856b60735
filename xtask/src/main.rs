//! What a person types in this project: `cargo xtask test`, `cargo xtask bench` and `cargo xtask demo` (also `cargo demo`).
//!
//! Exit codes: 0 done, 1 something failed or could not run, 2 wrong use.

mod bench;
mod demo;
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
    /// Run the benches and print each as a ratio to named primitives of the same run.
    Bench(bench::Arguments),
    /// Show the whole: a real server, three professionals, mail, a crash, and a search of what the server kept.
    Demo(demo::Arguments),
}

fn main() -> ExitCode {
    // `cargo demo --json` and `cargo demo -- --json` are the same: the first lone `--` says nothing here.
    let mut separator_seen = false;
    let words = std::env::args_os()
        .filter(|word| separator_seen || word != "--" || !std::mem::replace(&mut separator_seen, true));
    let arguments = Arguments::parse_from(words);
    let done = Project::find().map_err(Into::into).and_then(|project| match arguments.command {
        Command::Test(arguments) => suite::run(&project, &arguments),
        Command::Bench(arguments) => bench::run(&project, &arguments),
        Command::Demo(arguments) => demo::run(&project, &arguments),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
