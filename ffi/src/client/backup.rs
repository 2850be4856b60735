//! A backup, and a new device of one.

use std::path::PathBuf;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use medipeps_client::shell::agent::{Agent, BackupOrder, verify_backup};
use medipeps_client::shell::backup_file::ClosedBackup;
use medipeps_client::shell::home;
use medipeps_core::backup::RecoveryCode;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::Client;
use crate::MedipepsError;
use crate::error::Code;
use crate::key_vault::{Opener, StoreLock};
use crate::progress::{ProgressListener, tell_progress};
use crate::record::backup::{BackupLock, BackupSummary, RestoreState};
use crate::worker::Worker;

#[uniffi::export]
impl Client {
    /// Writes a backup of everything but the attachments that lie at servers. There is no file before it is whole; with `replace`
    /// the one that is there stays until then.
    ///
    /// # Errors
    /// `Backup`, `NoAccount`.
    pub async fn back_up(
        &self,
        file: String,
        lock: BackupLock,
        replace: bool,
        progress: Option<Arc<dyn ProgressListener>>,
    ) -> Result<BackupSummary, MedipepsError> {
        let code = match &lock {
            BackupLock::NewRecoveryCode => Some(RecoveryCode::random(&mut random()?)),
            BackupLock::Passphrase { .. } => None,
        };
        let secret = match (&code, lock) {
            (Some(code), _) => code.letters(),
            (None, BackupLock::Passphrase { passphrase }) => Zeroizing::new(passphrase),
            (None, BackupLock::NewRecoveryCode) => Zeroizing::default(),
        };
        self.worker
            .call(async move |agent| {
                let path = PathBuf::from(file);
                let order = BackupOrder { path: &path, replace, secret, recovery_code: code.is_some() };
                let mut tell = |done, all| tell_progress(progress.as_ref(), done, all);
                let summary = agent.back_up(&order, &mut tell)?;
                Ok(BackupSummary {
                    messages: number(summary.messages),
                    contacts: number(summary.contacts),
                    length: number(summary.length),
                    texts_missing: number(summary.missing),
                    account_key: summary.account_key,
                    recovery_code: code.map(|code| code.text().to_string()),
                })
            })
            .await
    }

    /// Makes a new device's store of a backup: verifies the file to its last byte, then copies. `secret` is its passphrase or its
    /// recovery code. Then [`Client::finish_restore`]. Where that was interrupted, the folder is opened as any other, and
    /// `finish_restore` goes on.
    ///
    /// # Errors
    /// `Backup` (`wrong_secret`, `damaged`, ..), `StoreExists`, `KeyVault`, `Store`. There is no store then.
    #[uniffi::constructor]
    pub async fn restore(
        folder: String,
        lock: StoreLock,
        file: String,
        secret: String,
        progress: Option<Arc<dyn ProgressListener>>,
    ) -> Result<Arc<Self>, MedipepsError> {
        let (folder, file, secret) = (PathBuf::from(folder), PathBuf::from(file), Zeroizing::new(secret));
        if Agent::exists(&folder) {
            return Err(MedipepsError::new(Code::StoreExists, "exists", "there is a store in the folder"));
        }
        let opener = Opener::new(lock)?;
        let (path, unlock) = (folder.clone(), opener.clone());
        let open = async move || restore(&path, &unlock, &file, &secret, progress.as_ref()).await;
        let worker = Worker::start(folder.clone(), open).await?;
        Self::with(folder, opener, worker)
    }

    /// Lists the restored device at the account's server and fetches what has come since.
    ///
    /// # Errors
    /// `Network`: to be called again; `Refused`; `NotFound` where nothing was restored here.
    pub async fn finish_restore(&self) -> Result<RestoreState, MedipepsError> {
        self.worker
            .call(async |agent| {
                if agent.restore_begun()?.is_none() {
                    return Err(MedipepsError::new(Code::NotFound, "restore", "no restore was begun here"));
                }
                let outcome = RestoreState::from(agent.list_restored(&mut |_| {}).await?);
                if let RestoreState::Works { .. } = outcome
                    && let Err(error) = agent.begin_work(&mut |_| {}).await
                {
                    // It is listed; what has come is fetched by the next sync.
                    tracing::info!(%error, "the server was not asked for what has come");
                }
                Ok(outcome)
            })
            .await
    }
}

async fn restore(
    folder: &std::path::Path,
    unlock: &Opener,
    file: &std::path::Path,
    secret: &str,
    progress: Option<&Arc<dyn ProgressListener>>,
) -> Result<Agent, MedipepsError> {
    let failed = |error| MedipepsError::from(medipeps_client::shell::agent::AgentError::Backup(error));
    let closed = ClosedBackup::read(file).map_err(failed)?;
    let length = closed.length;
    let secret = match closed.header.recovery_code {
        true => secret.parse::<RecoveryCode>().map(|code| code.letters()).map_err(|error| {
            MedipepsError::new(Code::Backup, "wrong_secret", format!("this backup has a recovery code: {error}"))
        })?,
        false => Zeroizing::new(secret.to_owned()),
    };
    let stretched = closed.stretch(secret.as_bytes()).map_err(failed)?;
    // It is read twice: nothing is made of a file that is not whole.
    verify_backup(file, &stretched, &mut |read| tell_progress(progress, read / 2, length)).map_err(failed)?;
    let mut agent = Agent::create(folder, &unlock.unlock())?;
    let mut tell = |read: u64| tell_progress(progress, (length + read) / 2, length);
    if let Err(error) = agent.copy_backup(file, &stretched, &mut tell, &mut |_| {}).await {
        // Half a restore is none. The store is the one that was made here: whoever was quicker has made creating it fail.
        agent.close().await;
        drop(home::remove_store(folder));
        return Err(error.into());
    }
    Ok(agent)
}

fn random() -> Result<ChaCha20Rng, MedipepsError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|_| MedipepsError::new(Code::System, "randomness", "the system gives no random bytes"))?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
