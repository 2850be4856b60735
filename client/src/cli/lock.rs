//! `medipeps passphrase`, `medipeps lock`, `medipeps wipe`

use std::io::{self, IsTerminal};
use std::path::Path;

use super::passphrase::{Which, choose};
use super::{CommandError, output};
use crate::shell::agent::Agent;
use crate::shell::presence;
use crate::shell::wipe::{self, Wiped};

#[derive(Debug, clap::Args)]
pub(super) struct Wipe {
    /// Do not ask; the passphrase is not needed then
    #[arg(long)]
    yes: bool,
}

/// Another passphrase for the home.
pub(super) fn change_passphrase(home: &Path) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let passphrase = choose(Which::NewHome)?;
    agent.change_passphrase(&passphrase)?;
    output::print(
        "The passphrase is changed. Copies of this folder that were made before, backups of the disk for instance, still\nopen with the former one.\n",
    )
}

/// Ends who has the home open.
pub(super) fn lock(home: &Path) -> Result<(), CommandError> {
    if !Agent::exists(home) {
        return output::print("There is nothing to lock here.\n");
    }
    let left = presence::lock(home).map_err(CommandError::file(home.display()))?;
    if left.is_empty() {
        return output::print("Locked: no program has this account open.\n");
    }
    Err(CommandError::Failed(still_running(&left)))
}

/// Destroys the home.
pub(super) fn wipe(home: &Path, arguments: &Wipe) -> Result<(), CommandError> {
    if !Agent::exists(home) && !wipe::is_begun(home) {
        return output::print("There is nothing of Medipeps here.\n");
    }
    let device = if arguments.yes || wipe::is_begun(home) { None } else { confirm(home)? };
    match wipe::wipe(home).map_err(CommandError::file(home.display()))? {
        Wiped::InUse(left) => Err(CommandError::Failed(format!("{}\n  Nothing was wiped", still_running(&left)))),
        Wiped::Done(foreign) => {
            let device = device.unwrap_or_else(|| "The device".to_owned());
            output::print(&format!(
                "Wiped. {device} is still listed at the server, which keeps mail for it: run `device list` and `device revoke` on a\nprimary device of the account, or `account recover` if there is none.\n"
            ))?;
            for path in foreign {
                eprintln!("{} is not of Medipeps and was left", path.display());
            }
            Ok(())
        }
    }
}

/// What is to be wiped is typed by whoever means it. Gives the device's name, where there is an account.
fn confirm(home: &Path) -> Result<Option<String>, CommandError> {
    let mut agent = super::open(home)?;
    let account = agent.credentials()?;
    let (expected, what) = match &account {
        Some(account) => (account.address.to_string(), format!("the account {} on this machine", account.address)),
        None => ("wipe".to_owned(), "what was begun in this folder".to_owned()),
    };
    if io::stderr().is_terminal() {
        eprintln!("This destroys {what}: messages, contacts and keys, for ever. Type {expected} to do it:");
    }
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).map_err(CommandError::file("standard input"))?;
    if typed.trim() != expected {
        return Err(CommandError::Failed(format!("nothing was wiped: {expected} was not typed (or use --yes)")));
    }
    Ok(account.map(|account| format!("Device {} of {}", account.device_id, account.address)))
}

fn still_running(left: &[u32]) -> String {
    let left: Vec<String> = left.iter().map(u32::to_string).collect();
    format!("these processes still have the account open: {}; end them, and run this again", left.join(", "))
}
