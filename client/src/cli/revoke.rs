//! `medipeps device revoke`

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use super::{CommandError, output};
use crate::shell::agent::AgentError;

#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The device's number, as `device list` shows it
    #[arg(value_name = "ID")]
    device: u32,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Takes another device off the account.
pub(super) async fn run(home: &Path, revoke: Revoke) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    if !revoke.yes && !confirm(revoke.device)? {
        return Err(CommandError::Failed("nothing was changed".to_owned()));
    }
    let held_account_key = agent.is_primary(revoke.device)?;
    let revoked = agent.revoke_device(revoke.device).await;
    agent.close().await;
    match revoked {
        Ok(()) => output::print(&done(revoke.device, held_account_key)),
        Err(AgentError::Refused(code)) => Err(CommandError::Failed(format!(
            "the server refused the account's new statement ({code}); run `sync`, look at `device list`, and try again"
        ))),
        Err(AgentError::Network(why)) => Err(CommandError::Failed(format!(
            "device {} is not revoked yet: {why}\n  The new statement is signed and kept; `sync` sends it.",
            revoke.device
        ))),
        Err(error) => Err(error.into()),
    }
}

fn done(device: u32, held_account_key: bool) -> String {
    let advice = match held_account_key {
        true => {
            "It was a primary device and held the account key: if it is in other hands, run `account recover` on a new \
             home with the recovery key, which gives the account another key.\n"
        }
        false => "",
    };
    format!("Device {device} is revoked: it gets nothing from now on, and nobody takes anything from it.\n{advice}")
}

fn confirm(device: u32) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::Use("say --yes where nobody can be asked".to_owned()));
    }
    eprint!(
        "Revoke device {device}? It loses what the server keeps for it, and its number is never used again. [y/N] "
    );
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(CommandError::file("standard input"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
