//! `cargo xtask load`: opens idle and active clients at a server, over loopback and with the real protocol, and measures.
//!
//! Exit codes: 0 done, 1 something failed or an accepted message was lost, 2 wrong use.

mod account;
mod active;
mod arguments;
mod descriptors;
mod disk;
mod error;
mod idle;
mod invitations;
mod latency;
mod plot;
mod report;
mod run;
mod server;
mod usage;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run::run(&arguments) {
        Ok(report) if report.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            if error.is_wrong_use() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
