//! What the requests about group logs share: who may read, how entries are fetched, how failures are told.

use medipeps_core::crypto::signature::{Signature, VerifyingKey};
use medipeps_core::group_log::verify_read;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, GroupLogCursor, GroupLogEntry};

use super::{Connection, Service, internal, refuse, storage_failed};
use crate::frame::Share;
use crate::limits::{GROUP_ANSWER_BYTES, REQUEST_MEMORY_RETRY_MS};
use crate::storage::{GroupEntries, GroupEntry, GroupEpoch, GroupLogError};

/// Entries, and the share of the memory that they take: to be held until the client has them.
pub(super) struct Fetched {
    pub(super) entries: GroupEntries,
    /// The number of the last entry that was given or passed over.
    pub(super) cursor: u64,
    pub(super) share: Share,
}

impl Service {
    /// The key of an epoch, and whether it is the current one.
    pub(super) async fn access_key(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
    ) -> Result<(VerifyingKey, GroupEpoch), ErrorReply> {
        let found = self.storage.group_epoch(log_id, epoch).await.map_err(group_log_failed)?;
        let key = VerifyingKey::from_slice(&found.access_key);
        Ok((key.map_err(|_| internal("a stored access key is damaged"))?, found))
    }

    /// Verifies that whoever asks has the key of the epoch, on this connection.
    pub(super) async fn check_reader(
        &self,
        connection: &Connection,
        nonce: &[u8; 32],
        (log_id, epoch): (&[u8; 32], u64),
        signature: &Signature,
    ) -> Result<(), ErrorReply> {
        let (key, _) = self.access_key(log_id, epoch).await?;
        let channel = connection.channel(nonce, &self.domain);
        verify_read(&key, &channel, log_id, epoch, signature).map_err(|_| refuse(ErrorCode::GroupAccessRefused))
    }

    /// The sequence of a cursor, 0 for none. One of another life of the store says nothing.
    pub(super) fn sequence_after(&self, cursor: Option<GroupLogCursor>) -> Result<u64, ErrorReply> {
        match cursor {
            None => Ok(0),
            Some(cursor) if cursor.incarnation == self.storage.incarnation() => Ok(cursor.sequence),
            Some(_) => Err(refuse(ErrorCode::WrongIncarnation)),
        }
    }

    /// Entries after a number, within the memory that there is for them: `RateLimited` when there is none now. Damaged ones
    /// are passed over.
    pub(super) async fn group_entries(
        &self,
        (log_id, epoch): (&[u8; 32], u64),
        after: u64,
        limit: usize,
    ) -> Result<Fetched, ErrorReply> {
        let mut cursor = after;
        let mut bytes = GROUP_ANSWER_BYTES;
        loop {
            // The entries, and the frame that they are written in.
            let mut share = self.group_answers.share(2 * bytes).ok_or_else(no_memory)?;
            match self.storage.fetch_group_entries(log_id, epoch, cursor, limit, bytes).await {
                Ok(GroupEntries { oversize: Some(length), .. }) => bytes = length,
                Ok(entries) => {
                    let cursor = entries.entries.last().map_or(cursor, |last| last.sequence);
                    // What was not needed is given back: a reader may be slow.
                    let found: usize = entries.entries.iter().map(|entry| entry.entry.len()).sum();
                    let share = share.split(2 * found).unwrap_or(share);
                    return Ok(Fetched { entries, cursor, share });
                }
                Err(GroupLogError::Corrupt { sequence }) => {
                    tracing::error!(sequence, "an entry of a group log is damaged and passed over");
                    cursor = sequence;
                }
                Err(error) => return Err(group_log_failed(error)),
            }
        }
    }
}

/// An entry as it travels.
pub(super) fn on_the_wire(entry: GroupEntry) -> GroupLogEntry {
    GroupLogEntry {
        sequence: entry.sequence,
        received: entry.received_ms,
        entry_id: entry.entry_id,
        entry: entry.entry,
        closes_epoch: entry.closes_epoch,
    }
}

pub(super) fn group_log_failed(error: GroupLogError) -> ErrorReply {
    match error {
        GroupLogError::UnknownLog => refuse(ErrorCode::UnknownGroupLog),
        // Whether the epoch never was, or is over, or the key is another one: the same answer.
        GroupLogError::UnknownEpoch => refuse(ErrorCode::GroupAccessRefused),
        GroupLogError::Corrupt { .. } => internal("an entry of a group log is damaged"),
        GroupLogError::Storage(error) => storage_failed(error),
    }
}

fn no_memory() -> ErrorReply {
    let error = ErrorReply::new(ErrorCode::RateLimited, "too many entries are being fetched");
    error.retry_after(REQUEST_MEMORY_RETRY_MS)
}
