//! `medipeps device revoke`

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use super::{CommandError, output};
use crate::engine::{Event, Input};

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
    let (mut changed, mut refusal) = (None, None);
    let mut show = |event: &Event| match event {
        Event::OwnStatementChanged { version } => changed = Some(*version),
        Event::OwnStatementRefused { code } => refusal = Some(code.clone()),
        _ => {}
    };
    let held_account_key = agent.is_primary(revoke.device)?;
    let result = agent.run(Input::RevokeDevice(revoke.device), &mut show).await;
    agent.close().await;
    let failure = result?;
    match (changed, refusal) {
        (Some(_), _) => output::print(&done(revoke.device, held_account_key)),
        (None, Some(code)) => Err(CommandError::Failed(format!(
            "the server refused the account's new statement ({code}); run `sync`, look at `device list`, and try again"
        ))),
        (None, None) => {
            let why = failure.map_or_else(|| "the server cannot take it now".to_owned(), |failure| failure.to_string());
            Err(CommandError::Failed(format!(
                "device {} is not revoked yet: {why}\n  The new statement is signed and kept; `sync` sends it.",
                revoke.device
            )))
        }
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
