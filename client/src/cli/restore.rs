//! `medipeps restore`

use std::path::{Path, PathBuf};

use medipeps_core::backup::RecoveryCode;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::wire::client_records::RestorePhase;
use zeroize::Zeroizing;

use super::passphrase::{self, Which, ask_for};
use super::progress::Work;
use super::{CommandError, output, time};
use crate::account_store::HandleError;
use crate::engine::EngineError;
use crate::shell::agent::{Agent, AgentError, RestoreOutcome, verify_backup};
use crate::shell::backup_file::ClosedBackup;
use crate::shell::home;
use crate::store::StoreError;
use crate::store::seal::Unlock;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let path = &arguments.file;
    let closed = ClosedBackup::read(path).map_err(AgentError::from)?;
    let (salt, created, length) = (closed.header.salt, closed.header.created, closed.length);
    // What is there already is looked at before half a second is spent on the backup's passphrase.
    let begun = open_begun(home)?;
    let secret = ask_for(Which::Backup)?;
    let secret = if closed.header.recovery_code { letters(&secret)? } else { secret };
    let stretched = closed.stretch(secret.as_bytes()).map_err(AgentError::from)?;
    drop(secret);
    let agent = match begun {
        Some((agent, Some(RestorePhase::Listing(_)), begun_salt)) if begun_salt == salt => {
            eprintln!("going on with the restore that was begun");
            Some(agent)
        }
        Some((_, Some(RestorePhase::Listing(_)), _)) => {
            return Err(AgentError::from(EngineError::RestoreBegun).into());
        }
        // Its store is closed before its files go.
        other => {
            drop(other);
            None
        }
    };
    let mut agent = match agent {
        Some(agent) => agent,
        None => copy(home, path, &stretched, length).await?,
    };
    let outcome = agent.list_restored(&mut |_| {}).await;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            agent.close().await;
            return Err(CommandError::Failed(format!(
                "messages and contacts are restored, but the new device is not listed at the server yet: {error}\n  Run the same command again to go on."
            )));
        }
    };
    told(agent, outcome, created).await
}

/// Verifies the whole file, then makes the home and copies everything into it.
async fn copy(home: &Path, path: &Path, stretched: &Secret<32>, length: u64) -> Result<Agent, CommandError> {
    let work = Work::new("checking the backup");
    let account = verify_backup(path, stretched, &mut |read| work.at(read, length)).map_err(AgentError::from)?;
    drop(work);
    eprintln!("the backup is whole: {}", account.address);
    let passphrase = passphrase::ask_new()?;
    // What an earlier run has left: nothing of it was an account.
    home::remove_store(home).map_err(CommandError::file(home.display()))?;
    let mut agent = Agent::create(home, &Unlock::Passphrase(passphrase.as_bytes()))?;
    let work = Work::new("restoring");
    agent.copy_backup(path, stretched, &mut |read| work.at(read, length), &mut |_| {}).await?;
    Ok(agent)
}

type Begun = (Agent, Option<RestorePhase>, [u8; 32]);

/// What is in the home. One with an account, or with anything else but a restore, is refused.
fn open_begun(home: &Path) -> Result<Option<Begun>, CommandError> {
    if !Agent::exists(home) {
        return Ok(None);
    }
    let mut agent = match super::open(home) {
        Ok(agent) => agent,
        // Its making was interrupted before anything was in it.
        Err(CommandError::Agent(AgentError::Handle(HandleError::Store(StoreError::Missing)))) => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(account) = agent.credentials()? {
        return Err(AgentError::from(EngineError::AccountExists(account.address)).into());
    }
    match agent.restore_begun()? {
        Some(record) => Ok(Some((agent, Some(record.phase), record.backup_salt))),
        None if agent.is_empty()? => Ok(None),
        None => Err(CommandError::Failed(
            "something else was begun in this folder; finish it, or take another folder".to_owned(),
        )),
    }
}

fn letters(typed: &str) -> Result<Zeroizing<String>, CommandError> {
    match typed.parse::<RecoveryCode>() {
        Ok(code) => Ok(code.letters()),
        Err(error) => Err(CommandError::Failed(format!("this backup is opened by a recovery code: {error}"))),
    }
}

async fn told(mut agent: Agent, outcome: RestoreOutcome, created: u64) -> Result<(), CommandError> {
    let age = format!(
        "The backup is of {} UTC. Messages that came since then are on your other devices, if at all, not here.\n",
        time::short(created)
    );
    match outcome {
        RestoreOutcome::Works { primary } => {
            let synced = agent.begin_work(&mut |_| {}).await;
            agent.close().await;
            let primary = if primary { "a primary one" } else { "not a primary one: the account has two already" };
            output::print(&format!(
                "This is a new device of the account, {primary}. {age}Devices that you do not have any more: `device list`, `device revoke`.\n"
            ))?;
            if let Err(error) = synced {
                eprintln!("the server has not been asked for mail yet ({error}); `sync` does it");
            }
            Ok(())
        }
        RestoreOutcome::NeedsLink { key_replaced } => {
            let restored = agent.restore_begun()?;
            agent.close().await;
            let how = restored.map(|record| format!("device link {} --server {}", record.address, record.server));
            let how = how.unwrap_or_else(|| "device link".to_owned());
            output::print(&format!("Messages and contacts are restored. {age}"))?;
            let (why, or) = match key_replaced {
                true => (
                    "the account has another account key by now; the one in the backup signs nothing any more",
                    "; if that was not you, run `account recover` in another folder",
                ),
                false => ("the backup has no account key, because it was not made on a primary device", ""),
            };
            Err(CommandError::Failed(format!("{why}\n  To send and receive here, run `{how}`{or}")))
        }
    }
}
