//! The command `medipeps`: one module for each command, which parses, calls the agent and prints.

mod account;
mod account_data;
mod account_end;
mod attachment;
mod backup;
mod case;
mod case_file;
mod chat;
mod chat_file;
mod contact;
mod device;
mod domain;
mod export;
mod group;
mod group_change;
mod group_log;
mod group_told;
mod inbox;
mod lock;
mod mail;
mod mailbox;
mod mute;
mod org;
mod output;
mod passphrase;
mod preview;
mod progress;
mod qr;
mod read;
mod recovery_key;
mod rename;
mod report;
mod restore;
mod revoke;
mod status;
mod sync;
mod time;
mod verify;
mod wake;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use medipeps_core::invitation::InvitationError;
use thiserror::Error;

use crate::account_store::HandleError;
use crate::engine::EngineError;
use crate::limits::{LOCK_GRACE, LOCK_LOOK_INTERVAL};
use crate::shell::address::ServerAddressError;
use crate::shell::agent::{Agent, AgentError, NetworkError};
use crate::shell::connection::{ConnectError, Route, set_route};
use crate::shell::presence::LockMark;
use crate::store::StoreError;
use crate::store::seal::Unlock;

/// Encrypted mail for health professionals and patients.
///
/// The passphrase is asked for, or taken from MEDIPEPS_PASSPHRASE. Exit codes: 0 done, 1 failed, 2 wrong use, 3 locked.
#[derive(Debug, Parser)]
#[command(name = "medipeps", version, max_term_width = 100)]
struct Arguments {
    /// Folder of the account on this machine
    #[arg(long, global = true, env = "MEDIPEPS_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// HTTP proxy to reach servers through, http://HOST:PORT, or `none`; otherwise HTTPS_PROXY and NO_PROXY count
    #[arg(long, global = true, env = "MEDIPEPS_PROXY", hide_env_values = true, value_name = "URL")]
    proxy: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account, take it over, see what the server has of it, end it
    #[command(subcommand)]
    Account(account::Command),
    /// The account's devices
    #[command(subcommand)]
    Device(device::Command),
    /// Other accounts, and the keys they are known by
    #[command(subcommand)]
    Contact(contact::Command),
    /// Other domains: where their servers are, and the list of those that are trusted
    #[command(subcommand)]
    Domain(domain::Command),
    /// Compare keys with a contact, face to face or over the phone
    Verify(verify::Arguments),
    /// Write mail
    #[command(subcommand)]
    Mail(mail::Command),
    /// Groups: who is in them, and what is said there
    #[command(subcommand)]
    Group(group::Command),
    /// Say things in a group: text, reactions, polls, tasks
    #[command(subcommand)]
    Chat(chat::Command),
    /// Cases in a group: threads about one patient, with a team and an end
    #[command(subcommand)]
    Case(case::Command),
    /// Organisations: administrators, members, policy, on call
    #[command(subcommand)]
    Org(Box<org::Command>),
    /// An organisation's mailbox: what has come, who takes care of it, answers in its name
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// Say where this device is woken when something comes and no program is connected
    Wake(wake::Arguments),
    /// Send what waits and fetch what has come
    Sync(sync::Arguments),
    /// List received mail, newest first
    Inbox(inbox::Arguments),
    /// Show one message, save its attachments
    Read(read::Arguments),
    /// Show how things are: account, outbox, what could not be read
    Status(status::Arguments),
    /// Write everything readable to a file, in plain text
    Export(export::Arguments),
    /// Write an encrypted backup: account, contacts, messages
    Backup(backup::Arguments),
    /// Make a new device of this account out of a backup
    Restore(restore::Arguments),
    /// Change the passphrase
    Passphrase,
    /// End every program that has this account open
    Lock,
    /// Destroy everything of this account on this machine
    Wipe(lock::Wipe),
}

/// Exit code of a command that was ended by `lock`.
const LOCKED: u8 = 3;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// The account, the store or the network.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// An invitation code that cannot be one.
    #[error("the invitation is not usable: {0}")]
    Invitation(#[from] InvitationError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command was called in a way that can never work.
    #[error("{0}")]
    Use(String),
    /// Something else that the person can do something about.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C. Nothing is lost.
    #[error("stopped; {0}")]
    Interrupted(&'static str),
    /// Somebody has locked the account.
    #[error("the account was locked (`medipeps lock`); nothing is lost")]
    Locked,
    /// What was to be said has been said.
    #[error("")]
    Silent,
}

impl From<HandleError> for CommandError {
    fn from(error: HandleError) -> Self {
        Self::Agent(error.into())
    }
}

impl From<NetworkError> for CommandError {
    fn from(error: NetworkError) -> Self {
        Self::Agent(error.into())
    }
}

impl From<ServerAddressError> for CommandError {
    fn from(error: ServerAddressError) -> Self {
        Self::Use(error.to_string())
    }
}

impl CommandError {
    /// A file that cannot be read or written.
    fn file(path: impl ToString) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_string(), source }
    }

    const fn exit_code(&self) -> u8 {
        match self {
            Self::Use(_) | Self::Invitation(_) => 2,
            // As shells have it: 128 and the number of SIGINT.
            Self::Interrupted(_) => 130,
            Self::Locked => LOCKED,
            _ => 1,
        }
    }

    /// What to do about it, where the error alone does not say.
    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Agent(AgentError::Handle(HandleError::Store(error))) => match error {
                StoreError::Missing => Some("make one with `medipeps --home DIR account create`, or check --home"),
                StoreError::WrongPassphrase => {
                    Some("try again; without the passphrase nothing in this folder can be read")
                }
                _ => None,
            },
            Self::Agent(AgentError::Handle(HandleError::Engine(EngineError::StateRolledBack))) => {
                Some("if you restored a backup, go back to the newer state if you still have it")
            }
            Self::Agent(AgentError::Network(NetworkError::Connect(error))) => match error {
                ConnectError::Unreachable(_) => {
                    Some("check the address and the network; nothing is lost, try again later")
                }
                ConnectError::Certificate(_) => Some(
                    "a server of another domain is known at first by a certificate of a public authority; ask whoever runs it",
                ),
                ConnectError::ServerKeyChanged { .. }
                | ConnectError::CertificateKey(_)
                | ConnectError::HelloSignature => {
                    Some("nothing was sent; ask whoever runs the server before you do anything else")
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// Reads the arguments, runs the command, prints, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_standard_error();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("medipeps: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(arguments));
    // What still runs beside it is given up: it has committed what it has.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    // Output that nobody could read is a failure too; a reader that has gone (`| head`) is not.
    let result = result.and_then(|()| match io::stdout().flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::file("standard output")(error)),
        _ => Ok(()),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Silent) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("medipeps: {}", output::block(&error.to_string()));
            if let Some(advice) = error.advice() {
                eprintln!("  {advice}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), CommandError> {
    // An auditor has a file and no account.
    if let Command::Case(case::Command::Verify(verify)) = &arguments.command {
        return case_file::verify(verify);
    }
    let home = arguments
        .home
        .ok_or_else(|| CommandError::Use("say where the account is: --home DIR, or MEDIPEPS_HOME".to_owned()))?;
    match arguments.command {
        Command::Lock => return lock::lock(&home),
        Command::Wipe(arguments) => return lock::wipe(&home, &arguments),
        _ => {}
    }
    let route = Route::new(Some(&home), arguments.proxy.as_deref());
    set_route(route.map_err(|error| CommandError::Use(error.to_string()))?);
    let mark = LockMark::now(&home);
    end_when_locked(&home, mark.clone());
    tokio::select! {
        // Dropped with everything that it holds, keys included, when somebody locks the account.
        result = carry_out(&home, arguments.command) => result,
        () = mark.changed(&home) => Err(CommandError::Locked),
    }
}

/// Where a command is busy and does not come to look by itself, the process ends after a moment of grace.
fn end_when_locked(home: &std::path::Path, mark: LockMark) {
    let home = home.to_owned();
    std::thread::spawn(move || {
        while !mark.has_changed(&home) {
            std::thread::sleep(LOCK_LOOK_INTERVAL);
        }
        std::thread::sleep(LOCK_GRACE);
        eprintln!("medipeps: {}", CommandError::Locked);
        std::process::exit(i32::from(LOCKED));
    });
}

async fn carry_out(home: &std::path::Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Account(command) => account::run(home, command).await,
        Command::Device(command) => device::run(home, command).await,
        Command::Contact(command) => contact::run(home, command).await,
        Command::Domain(command) => domain::run(home, command).await,
        Command::Verify(arguments) => verify::run(home, arguments).await,
        Command::Mail(command) => mail::run(home, command).await,
        Command::Group(command) => group::run(home, command).await,
        Command::Chat(command) => chat::run(home, command).await,
        Command::Case(command) => case::run(home, command).await,
        Command::Org(command) => org::run(home, *command).await,
        Command::Mailbox(command) => mailbox::run(home, command).await,
        Command::Wake(arguments) => wake::run(home, arguments).await,
        Command::Sync(arguments) => sync::run(home, arguments).await,
        Command::Inbox(arguments) => inbox::run(home, &arguments),
        Command::Read(arguments) => read::run(home, &arguments).await,
        Command::Status(arguments) => status::run(home, &arguments),
        Command::Export(arguments) => export::run(home, &arguments).await,
        Command::Backup(arguments) => backup::run(home, &arguments),
        Command::Restore(arguments) => restore::run(home, &arguments).await,
        Command::Passphrase => lock::change_passphrase(home),
        // Done above: they watch over others.
        Command::Lock | Command::Wipe(_) => Ok(()),
    }
}

/// Opens the account of a home, asking for the passphrase.
fn open(home: &std::path::Path) -> Result<Agent, CommandError> {
    if !Agent::exists(home) {
        return Err(AgentError::from(StoreError::Missing).into());
    }
    Ok(Agent::open(home, &Unlock::Passphrase(passphrase::ask()?.as_bytes()))?)
}

/// Warnings, or what MEDIPEPS_LOG asks for. Nothing of any content is ever logged.
fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MEDIPEPS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}
