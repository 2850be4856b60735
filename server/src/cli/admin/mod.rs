//! `medipeps-server admin`: one file a subcommand, for whoever runs the server.

mod reload;

use clap::Subcommand;

use super::{ConfigArgument, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Have the running server read its configuration and its certificate again, and print the keys that changed.
    ///
    /// Open connections stay. Where the file has a mistake, or a key changed that needs a restart, nothing is taken over: the
    /// server goes on as before, and this says why. SIGHUP does the same, with the answer in the log.
    Reload(ConfigArgument),
}

pub(super) async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Reload(config) => reload::reload(&config).await,
    }
}
