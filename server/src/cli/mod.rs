//! The command `medipeps-server`: one file a subcommand, which parses, calls and prints.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use, a configuration that is refused included.

mod admin;
mod check_config;
mod run;
mod store;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, SAMPLE};

/// A Medipeps server: it stores and forwards what it cannot open.
#[derive(Debug, Parser)]
#[command(name = "medipeps-server", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until it is told to stop (SIGTERM or SIGINT).
    ///
    /// Once it is ready it prints one line on standard output: `listening on ADDRESS:PORT, server key HASH`. Logs go to
    /// standard error.
    ///
    /// SIGHUP makes it read its configuration and its certificate again, as `admin reload` does.
    Run(ConfigArgument),
    /// Look over a configuration without starting anything, and print `ok` or what is wrong.
    ///
    /// It looks at the file's keys, the certificate with its key and its end, and the modes of files with secrets.
    CheckConfig(ConfigArgument),
    /// What whoever runs the server does to it, whether it runs or not.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Print a commented sample configuration.
    Config,
}

#[derive(Debug, Args)]
struct ConfigArgument {
    /// The configuration file; see `medipeps-server config`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Why a command ends without being done.
#[derive(Debug)]
enum Failure {
    /// Wrong use: exit code 2.
    Usage(String),
    /// It did not work: exit code 1.
    Failed(String),
}

impl Failure {
    /// It did not work.
    fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl ConfigArgument {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.config)?)
    }
}

/// Runs the command that the process was called with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(dispatch(arguments.command)),
        Err(error) => Err(Failure::failed(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("medipeps-server: {message}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("medipeps-server: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(config) => run::run(&config.config).await,
        Command::CheckConfig(config) => check_config::check_config(&config.load()?),
        Command::Admin(command) => admin::dispatch(command).await,
        Command::Config => print(SAMPLE),
    }
}

/// Writes to standard output; a reader that has gone is a failure, not a panic.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Failure::failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
