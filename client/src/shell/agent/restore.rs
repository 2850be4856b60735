//! A backup becomes a new device on this machine.

use std::path::Path;
use std::time::Duration;

use medipeps_core::backup::BackupError;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::wire::backup::{BackupAccount, BackupRecord};
use medipeps_core::wire::client_records::{RestorePhase, RestoreRecord};
use medipeps_core::wire::transport::{ErrorCode, Request, Response};

use super::{Agent, AgentError, NetworkError, Show, now};
use crate::engine::backup::admit;
use crate::engine::{EngineError, Event, Input};
use crate::fail_point::fail_point;
use crate::limits::{RESTORE_BATCH_LENGTH, RESTORE_LISTING_ATTEMPTS_MAX};
use crate::shell::address::ServerAddress;
use crate::shell::backup_file::{BackupFileError, ClosedBackup};
use crate::shell::connection::{Connection, RequestError, ServerExpectation, ServerTrust};
use crate::shell::transfer::copy_folder::CopyFileWriter;

/// What became of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// The device is listed and works.
    Works {
        /// It holds the account key.
        primary: bool,
    },
    /// Messages and contacts are here; the device is to be linked.
    NeedsLink {
        /// The account is under another key than the backup's.
        key_replaced: bool,
    },
}

/// Reads a backup from its beginning to its end and verifies it, without doing anything with it.
///
/// # Errors
/// [`BackupFileError`]
pub fn verify_backup(
    path: &Path,
    stretched: &Secret<32>,
    progress: &mut dyn FnMut(u64),
) -> Result<BackupAccount, BackupFileError> {
    let mut reader = ClosedBackup::read(path)?.open(stretched)?;
    let mut account = None;
    while let Some(record) = reader.next_record()? {
        match (record, &account) {
            (BackupRecord::Account(first), None) => account = Some(*first),
            (BackupRecord::Account(_), Some(_)) => return Err(BackupError::Contents("two accounts").into()),
            (_, None) => return Err(BackupError::Contents("no account at its beginning").into()),
            (BackupRecord::Entry(entry), _) => drop(admit(&entry).map_err(BackupError::Contents)?),
            (BackupRecord::Copy(_) | BackupRecord::End(_), _) => {}
        }
        progress(reader.read);
    }
    account.ok_or_else(|| BackupError::Contents("no account").into())
}

impl Agent {
    /// The restore that was begun in this store and is not done, if there is one.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn restore_begun(&mut self) -> Result<Option<RestoreRecord>, AgentError> {
        Ok(self.store.restore_record(now(), &mut self.rng)?)
    }

    /// Whether there is nothing at all in the store.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn is_empty(&mut self) -> Result<bool, AgentError> {
        Ok(self.store.store_mut().begin(now().0, &mut self.rng)?.is_empty()?)
    }

    /// Copies a verified backup into an empty store. `progress` hears of the bytes of contents done.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::Backup`], [`AgentError::SealedCopy`]. Whoever goes on begins anew.
    pub async fn copy_backup(
        &mut self,
        path: &Path,
        stretched: &Secret<32>,
        progress: &mut dyn FnMut(u64),
        show: Show<'_>,
    ) -> Result<(), AgentError> {
        let closed = ClosedBackup::read(path)?;
        let backup_salt = closed.header.salt;
        let mut reader = closed.open(stretched)?;
        let Some(BackupRecord::Account(account)) = reader.next_record()? else {
            return Err(BackupFileError::from(BackupError::Contents("no account at its beginning")).into());
        };
        self.run(Input::BeginRestore { backup_salt, account: account.clone() }, show).await?;
        let (mut batch, mut length) = (Vec::new(), 0);
        let mut copy: Option<(Vec<u8>, u64, CopyFileWriter)> = None;
        while let Some(record) = reader.next_record()? {
            match record {
                BackupRecord::Entry(entry) => {
                    length += entry.name.len() + entry.value.len();
                    batch.push(entry);
                    if length >= RESTORE_BATCH_LENGTH {
                        self.run(Input::RestoreRecords(std::mem::take(&mut batch)), show).await?;
                        length = 0;
                    }
                }
                BackupRecord::Copy(piece) => {
                    let (name, offset, writer) = match copy.take() {
                        Some(begun) => begun,
                        None => (piece.name.clone(), 0, self.platform.copies.fetched(&piece.name)?),
                    };
                    if name != piece.name || offset != piece.offset {
                        return Err(BackupFileError::from(BackupError::Contents("a copy out of order")).into());
                    }
                    writer.write_now(&piece.data)?;
                    match piece.last {
                        true => writer.finish_now()?,
                        false => copy = Some((name, offset + piece.data.len() as u64, writer)),
                    }
                }
                BackupRecord::Account(_) | BackupRecord::End(_) => {}
            }
            progress(reader.read);
        }
        if !batch.is_empty() {
            self.run(Input::RestoreRecords(batch), show).await?;
        }
        fail_point!(AfterRestoreCopied);
        self.run(Input::RestoreCopied(account), show).await?;
        Ok(())
    }

    /// Has the new device listed in the account's statement; what it still needs for that, the newest statement, is asked
    /// for. May be run again as often as need be.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::Network`] where the server cannot be asked, [`AgentError::Refused`].
    pub async fn list_restored(&mut self, show: Show<'_>) -> Result<RestoreOutcome, AgentError> {
        let record = self.restore_begun()?.ok_or(EngineError::NoRestore)?;
        if record.phase == RestorePhase::Linking {
            return Ok(RestoreOutcome::NeedsLink { key_replaced: false });
        }
        let address: ServerAddress = record.server.parse().map_err(NetworkError::from)?;
        let trust = ServerTrust::Pinned(record.server_key_hash);
        let expectation = ServerExpectation { address: &address, trust, domain: Some(record.address.domain()) };
        // It names the account, so that nothing else goes over it.
        let connection = Connection::anonymous(&expectation).await.map_err(NetworkError::from)?;
        let listed = self.list_over(&connection, &record, show).await;
        connection.close().await;
        listed
    }

    async fn list_over(
        &mut self,
        connection: &Connection,
        record: &RestoreRecord,
        show: Show<'_>,
    ) -> Result<RestoreOutcome, AgentError> {
        let fetch = Request::FetchStatement(record.address.clone());
        for _ in 0..RESTORE_LISTING_ATTEMPTS_MAX {
            let newest = match connection.request(&fetch).await {
                Ok(Response::FetchStatement(newest)) => newest,
                Ok(_) => return Err(NetworkError::from(RequestError::Unexpected).into()),
                Err(error) => return Err(refusal(error)),
            };
            let signed = match self.restore_step(newest, show).await? {
                Ok(outcome) => return Ok(outcome),
                Err(signed) => signed,
            };
            fail_point!(BeforeRestorePublish);
            let published = connection.request(&Request::PublishStatement(signed.clone())).await;
            fail_point!(AfterRestorePublish);
            match published {
                Ok(_) => {
                    if let Ok(outcome) = self.restore_step(signed, show).await? {
                        return Ok(outcome);
                    }
                }
                // Another statement came between, or this one had arrived before.
                Err(RequestError::Refused(error)) if error.known_code() == Some(ErrorCode::StatementVersion) => {}
                Err(error) => return Err(refusal(error)),
            }
        }
        Err(NetworkError::Refused("the account's statement changes all the time".to_owned()).into())
    }

    /// One step of the engine with the newest statement: what came of it, or the statement to publish.
    async fn restore_step(
        &mut self,
        newest: Vec<u8>,
        show: Show<'_>,
    ) -> Result<Result<RestoreOutcome, Vec<u8>>, AgentError> {
        let mut came = None;
        let mut see = |event: &Event| {
            match event {
                Event::RestoreSigned { statement } => came = Some(Err(statement.clone())),
                Event::Restored { primary, .. } => came = Some(Ok(RestoreOutcome::Works { primary: *primary })),
                Event::RestoreNeedsLink { key_replaced } => {
                    came = Some(Ok(RestoreOutcome::NeedsLink { key_replaced: *key_replaced }));
                }
                _ => {}
            }
            show(event);
        };
        self.run(Input::RestoreStatement(newest), &mut see).await?;
        came.ok_or_else(|| EngineError::NoProgress.into())
    }

    /// The first words of a restored device to its server: its prekeys go up, and what has come is fetched.
    ///
    /// # Errors
    /// As [`Agent::sync`].
    pub async fn begin_work(&mut self, show: Show<'_>) -> Result<(), AgentError> {
        self.sync(Duration::ZERO, show).await.map(|_| ())
    }
}

fn refusal(error: RequestError) -> AgentError {
    match error {
        RequestError::Refused(error) => AgentError::Refused(
            error.known_code().map_or_else(|| error.code.to_string(), |code| code.name().to_owned()),
        ),
        error => NetworkError::from(error).into(),
    }
}
