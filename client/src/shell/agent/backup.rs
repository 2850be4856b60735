//! A backup of this account, read page by page while others go on working.

use std::path::Path;
use std::time::{Duration, Instant};

use medipeps_core::wire::backup::{BackupCopy, BackupRecord};
use zeroize::Zeroizing;

use super::{Agent, AgentError, now};
use crate::engine::EngineError;
use crate::engine::backup::{CLASSES, Choice, account, entry};
use crate::fail_point::fail_point;
use crate::limits::BACKUP_COPY_PIECE;
use crate::shell::backup_file::BackupWriter;
use crate::store::sqlite::FILE_NAME;

/// What a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupSummary {
    /// Messages, sent and received.
    pub messages: u64,
    /// Contacts.
    pub contacts: u64,
    /// Bytes of contents.
    pub length: u64,
    /// Texts that should be on this device and are not.
    pub missing: u64,
    /// Whether the account key is in it.
    pub account_key: bool,
    /// How long writing took, without the stretching of the passphrase.
    pub taken: Duration,
}

/// How a backup is to be written.
#[derive(Clone)]
pub struct BackupOrder<'a> {
    /// The file.
    pub path: &'a Path,
    /// A file of this name is replaced.
    pub replace: bool,
    /// The passphrase, or the letters of a recovery code.
    pub secret: Zeroizing<String>,
    /// Which of the two it is.
    pub recovery_code: bool,
}

impl std::fmt::Debug for BackupOrder<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BackupOrder").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Agent {
    /// Writes a backup; `progress` hears of the bytes done and of an estimate of all.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::Backup`]. There is no file then, or the one that was there before.
    pub fn back_up(
        &mut self,
        order: &BackupOrder<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<BackupSummary, AgentError> {
        let record = self.store.account_record(now(), &mut self.rng)?.ok_or(EngineError::NoAccount)?;
        if record.invitation.is_some() {
            return Err(EngineError::NotRegistered.into());
        }
        let secret = (order.secret.as_bytes(), order.recovery_code);
        let mut writer = BackupWriter::create(order.path, order.replace, secret, now().0, &mut self.rng)?;
        let begun = Instant::now();
        let mut summary = BackupSummary { account_key: record.account_key.is_some(), ..BackupSummary::default() };
        writer.write(&BackupRecord::Account(Box::new(account(&record))))?;
        fail_point!(DuringBackup);
        let estimate = self.estimated_length();
        let mut choice = Choice::default();
        for class in CLASSES {
            let mut after = None;
            loop {
                let page = self.store.store_mut().begin(now().0, &mut self.rng)?.page(class, after.as_ref())?;
                for (key, value) in page.records {
                    if !choice.takes(&key, &value) {
                        continue;
                    }
                    summary.messages += u64::from(class == crate::engine::class::MESSAGE);
                    summary.contacts += u64::from(class == crate::engine::class::CONTACT);
                    writer.write(&BackupRecord::Entry(entry(key, value)))?;
                }
                progress(writer.length, estimate.max(writer.length));
                after = page.last;
                if after.is_none() {
                    break;
                }
            }
        }
        for name in choice.copies() {
            match self.platform.copies.adopted(name) {
                Ok(path) => copy(&mut writer, name, &path)?,
                Err(_) => summary.missing += 1,
            }
            progress(writer.length, estimate.max(writer.length));
        }
        summary.length = writer.length;
        writer.finish(order.replace)?;
        summary.taken = begun.elapsed();
        Ok(summary)
    }
}

impl Agent {
    /// About how many bytes a backup has: what the store has on the disk. For a progress bar.
    fn estimated_length(&self) -> u64 {
        std::fs::metadata(self.platform.home.join(FILE_NAME)).map_or(0, |metadata| metadata.len())
    }
}

/// A sealed copy, piece by piece; it stays as it is sealed.
fn copy(writer: &mut BackupWriter, name: &[u8], path: &Path) -> Result<(), AgentError> {
    use std::io::Read;

    use crate::shell::backup_file::BackupFileError;

    let failed = |error| BackupFileError::Disk { path: path.to_owned(), error };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let (mut offset, length) = (0, file.metadata().map_err(failed)?.len());
    loop {
        let mut data = Vec::with_capacity(BACKUP_COPY_PIECE);
        let read = Read::by_ref(&mut file).take(BACKUP_COPY_PIECE as u64).read_to_end(&mut data);
        let end = offset + read.map_err(failed)? as u64;
        let last = end >= length || data.is_empty();
        writer.write(&BackupRecord::Copy(BackupCopy { name: name.to_vec(), offset, data, last }))?;
        if last {
            return Ok(());
        }
        offset = end;
    }
}
