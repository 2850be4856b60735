//! What a person types in this project: `cargo xtask test`, `cargo xtask bench`, `cargo xtask load`
//! and `cargo xtask demo` (also `cargo demo`).
//!
//! Exit codes: 0 done, 1 something failed or could not run, 2 wrong use.

mod bench;
mod bindings;
mod demo;
mod load;
mod package;
mod process;
mod project;
mod readme;
mod suite;

use std::ffi::OsString;
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
    /// Open idle and active clients at a server, and print throughput, latencies, memory and CPU.
    Load(load::Arguments),
    /// Say how the public API of medipeps-core differs from core/public-api.txt, or write that file.
    PublicApi(suite::public_api::Arguments),
    /// Build the library for another language, and generate its code.
    Bindings(bindings::Arguments),
    /// Build the Debian package of the server, and a container's files from it.
    Package(package::Arguments),
    /// Show the whole: a real server, three professionals, mail, a crash, and a search of what the server kept.
    Demo(demo::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(without_separator(std::env::args_os()));
    let done = Project::find().map_err(Into::into).and_then(|project| match arguments.command {
        Command::Test(arguments) => suite::run(&project, &arguments),
        Command::Bench(arguments) => bench::run(&project, &arguments),
        Command::Load(arguments) => load::run(&project, &arguments),
        Command::PublicApi(arguments) => suite::public_api::command(&project, &arguments),
        Command::Bindings(arguments) => bindings::run(&project, &arguments),
        Command::Package(arguments) => package::run(&project, &arguments),
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

/// Leaves out the first lone `--`, so that `cargo demo --json` and `cargo demo -- --json` are the same.
fn without_separator(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut seen = false;
    words.filter(move |word| {
        let is_first = !seen && word == "--";
        seen |= is_first;
        !is_first
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_says_nothing() {
        let left = |words: &[&str]| without_separator(words.iter().map(OsString::from)).collect::<Vec<_>>();
        assert_eq!(left(&["x", "demo", "--", "--json"]), left(&["x", "demo", "--json"]));
        assert_eq!(left(&["x", "--", "test", "--"]), ["x", "test", "--"]);
        for words in [&["x", "demo", "--json"][..], &["x", "demo", "--", "--json"]] {
            let parsed = Arguments::try_parse_from(without_separator(words.iter().map(OsString::from)));
            assert!(matches!(parsed.unwrap().command, Command::Demo(_)));
        }
        let parsed = Arguments::try_parse_from(["x", "load", "--help", "--idle", "5"].map(OsString::from));
        assert!(matches!(parsed.unwrap().command, Command::Load(_)), "the generator explains its flags itself");
    }
}
