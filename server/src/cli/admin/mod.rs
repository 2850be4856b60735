//! `medipeps-server admin`: one file a subcommand, for whoever runs the server.

mod clock;
mod date;
mod export;
mod import;
mod inspect;
mod invitation_file;
mod invite;
mod reload;
mod statement;
mod statistics;
mod suspend;
mod tenant;
mod tenants;
mod verify;

use clap::Subcommand;

use super::{ConfigArgument, Failure};

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
    /// Load an export into an empty data directory, without accounts that were deleted after it was written.
    Import(import::Arguments),
    /// Say by which time a running server goes, and confirm the system's clock.
    ///
    /// A server believes no step of the clock of more than a day, and after more than a week off it deletes nothing that
    /// has run out, until somebody has looked at the clock.
    Clock(clock::Arguments),
    /// The customers of whoever runs the server, and what was agreed with them.
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Let nothing in or out of an account until `resume`; what waits in its queues stays.
    Suspend(suspend::Arguments),
    /// Take a suspended account up again.
    Resume(suspend::Arguments),
    /// Print what a tenant took in a month, for its invoice.
    Statement(statement::Arguments),
    /// Print how many accounts, bytes, blobs and group logs there are, by tenant and altogether; no account is named.
    Statistics(statistics::Arguments),
    /// Have the running server read its configuration and its certificate again, and print the keys that changed.
    ///
    /// Open connections stay. Where the file has a mistake, or a key changed that needs a restart, nothing is taken over: the
    /// server goes on as before, and this says why. SIGHUP does the same, with the answer in the log.
    Reload(ConfigArgument),
    /// Hold what the store says of itself against what is there: counters, references, checksums. It changes nothing, and
    /// ends with exit code 1 if something is not as it should be.
    Verify(verify::Arguments),
}

pub(super) async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Invite(arguments) => invite::invite(arguments).await,
        Command::Inspect(arguments) => inspect::inspect(&arguments).await,
        Command::Export(arguments) => export::export(&arguments).await,
        Command::Import(arguments) => import::import(&arguments).await,
        Command::Clock(arguments) => clock::clock(&arguments).await,
        Command::Tenant(command) => tenant::run(command).await,
        Command::Suspend(arguments) => suspend::suspend(arguments, true).await,
        Command::Resume(arguments) => suspend::suspend(arguments, false).await,
        Command::Statement(arguments) => statement::statement(&arguments).await,
        Command::Statistics(arguments) => statistics::statistics(&arguments).await,
        Command::Reload(config) => reload::reload(&config).await,
        Command::Verify(arguments) => verify::verify(&arguments).await,
    }
}
