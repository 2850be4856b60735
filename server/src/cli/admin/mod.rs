//! `medipeps-server admin`: one file a subcommand, for whoever runs the server.

mod clock;
mod export;
mod import;
mod inspect;
mod invite;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an invitation and print its code, alone, on the last line.
    ///
    /// The code opens one account and tells the client by which key to know this server. It works while the server runs
    /// and while it does not.
    Invite(invite::Arguments),
    /// Print what the server knows: accounts, devices, queues, sizes and times.
    Inspect(inspect::Arguments),
    /// Write everything the server keeps, except one-time prekeys, into a new file.
    ///
    /// It works while the server runs; writes wait meanwhile. The file holds envelopes that nobody but their devices can
    /// open, and addresses in clear: keep it as safe as the data directory. The keys in the data directory (server.key,
    /// quic.key) are not in it; copy server.key apart, or clients will not know the restored server.
    Export(export::Arguments),
    /// Load an export into an empty data directory.
    Import(import::Arguments),
    /// Say by which time a running server goes, and confirm the system's clock.
    ///
    /// A server believes no step of the clock of more than a day, and after more than a week off it deletes nothing that
    /// has run out, until somebody has looked at the clock.
    Clock(clock::Arguments),
}

pub(super) async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Invite(arguments) => invite::invite(&arguments).await,
        Command::Inspect(arguments) => inspect::inspect(&arguments).await,
        Command::Export(arguments) => export::export(&arguments).await,
        Command::Import(arguments) => import::import(&arguments).await,
        Command::Clock(arguments) => clock::clock(&arguments).await,
    }
}
