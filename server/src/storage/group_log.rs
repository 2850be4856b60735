//! What the store keeps of group logs, and how an operation on them can fail.
//!
//! A log is a sequence of entries in epochs. Each epoch has a public access key; only the current one takes entries, and an
//! entry that closes it brings the key of the next. The keys of closed epochs are kept as long as entries of theirs are.

use medipeps_core::limits::GROUP_ENTRY_LENGTH_MAX;
use medipeps_core::wire::server_storage::GroupLogRecord;
use thiserror::Error;

use super::{Spend, SpendError, StorageError};
use crate::limits::{
    GROUP_LOG_BYTES_MAX, GROUP_LOG_CHARGE, GROUP_LOG_ENTRIES_MAX, GROUP_LOGS_BYTES_MAX, GROUP_LOGS_MAX,
};

/// What group logs may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupQuota {
    /// Entries of one log.
    pub entries_max: u64,
    /// Bytes of entries of one log.
    pub bytes_max: u64,
    /// Logs.
    pub logs_max: u64,
    /// Bytes of all logs together.
    pub all_bytes_max: u64,
}

/// A log to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroupLog {
    /// The hash of the access key.
    pub log_id: [u8; 32],
    /// Of the first epoch.
    pub access_key: [u8; 32],
    /// The number of the first epoch.
    pub epoch: u64,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// When the log goes if nothing is appended, in milliseconds since 1970.
    pub expires_ms: u64,
    /// What pays for it.
    pub spend: Spend,
}

/// An entry to be appended. The caller has verified its signature with `access_key`.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupAppend {
    /// Of the log.
    pub log_id: [u8; 32],
    /// The epoch that the author is in.
    pub epoch: u64,
    /// The key that the signature was verified with; it must be the one of the epoch.
    pub access_key: [u8; 32],
    /// Chosen by the author at random; a repeat gets the first answer.
    pub entry_id: [u8; 16],
    /// SHA-256 over what the author appended: it tells a repeat from another entry with the same id.
    pub digest: [u8; 32],
    /// At most `GROUP_ENTRY_LENGTH_MAX` bytes.
    pub entry: Vec<u8>,
    /// With an entry that closes the epoch: the key of the next one.
    pub next_access_key: Option<[u8; 32]>,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// When the entry is dropped, in milliseconds since 1970.
    pub expires_ms: u64,
    /// When the log goes if nothing more is appended, in milliseconds since 1970.
    pub log_expires_ms: u64,
    /// What pays for it.
    pub spend: Spend,
}

/// How an entry was taken. It is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupAppendOutcome {
    /// Its number in the log.
    pub sequence: u64,
    /// This id had been taken before; nothing was stored again.
    pub duplicate: bool,
}

/// What it takes to verify who may append to or read an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEpoch {
    /// Of the epoch.
    pub access_key: [u8; 32],
    /// It is the one that takes entries.
    pub current: bool,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its number in the log: strictly increasing over all epochs, never given twice under one incarnation.
    pub sequence: u64,
    /// When it was taken, in milliseconds since 1970.
    pub received_ms: u64,
    /// As its author drew it.
    pub entry_id: [u8; 16],
    /// Its bytes, verified against their checksum.
    pub entry: Vec<u8>,
    /// It closed its epoch.
    pub closes_epoch: bool,
}

/// Entries of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupEntries {
    /// In ascending order.
    pub entries: Vec<GroupEntry>,
    /// The epoch is closed, and nothing of it comes after these.
    pub epoch_closed: bool,
    /// Bytes of the next entry, when there is none in `entries` because this one is larger than was asked for.
    pub oversize: Option<usize>,
}

/// What all group logs together take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupUsage {
    /// Logs.
    pub logs: u64,
    /// Entries of all of them.
    pub entries: u64,
    /// Bytes that they count for: the entries, and a little a log.
    pub bytes: u64,
    /// Wakes of their readers.
    pub wakes: u64,
}

/// Why a log was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CreateGroupLogError {
    /// It exists and began with another epoch.
    #[error("the group log exists and began with another epoch")]
    Exists,
    /// There are as many logs, or bytes of them, as there may be.
    #[error("there is no room for another group log")]
    Full,
    /// The tokens do not pay for it.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// The engine failed, or takes nothing now.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an entry was not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupAppendError {
    /// No log has this id.
    #[error("no such group log")]
    UnknownLog,
    /// The key is not the one of the epoch, or no such epoch is known.
    #[error("the key is not the one of the epoch")]
    AccessRefused,
    /// The epoch is closed.
    #[error("the epoch was closed by entry {closing_sequence}")]
    StaleEpoch {
        /// Of the entry that closed it.
        closing_sequence: u64,
    },
    /// The id was used for another entry of this log.
    #[error("the id has been used for another entry")]
    IdReused,
    /// The log, or all logs together, would hold more than they may.
    #[error("the group log is full")]
    Full,
    /// The tokens do not pay for it.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// The engine failed; whether the entry is stored is not known. A repeat with the same id finds out.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a log could not be read or watched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupLogError {
    /// No log has this id.
    #[error("no such group log")]
    UnknownLog,
    /// The log has no such epoch, or no longer.
    #[error("the group log has no such epoch")]
    UnknownEpoch,
    /// The first entry after the cursor is not what was stored. It is not served; a fetch after its number goes past.
    #[error("the entry with sequence {sequence} is damaged")]
    Corrupt {
        /// The number of the damaged entry.
        sequence: u64,
    },
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl std::fmt::Debug for GroupAppend {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "GroupAppend({} bytes in epoch {})", self.entry.len(), self.epoch)
    }
}

impl Default for GroupQuota {
    fn default() -> Self {
        Self {
            entries_max: GROUP_LOG_ENTRIES_MAX,
            bytes_max: GROUP_LOG_BYTES_MAX,
            logs_max: GROUP_LOGS_MAX,
            all_bytes_max: GROUP_LOGS_BYTES_MAX,
        }
    }
}

impl GroupQuota {
    /// Whether there may be another log beside these.
    pub(super) const fn has_room_for_log(&self, usage: GroupUsage) -> bool {
        usage.logs < self.logs_max && usage.bytes.saturating_add(GROUP_LOG_CHARGE) <= self.all_bytes_max
    }

    /// Whether a log that holds this much has room for an entry of `length` bytes. What closes an epoch may take an eighth
    /// more than the rest, so that a full log can still lose a member.
    pub(super) fn has_room(
        &self,
        entries: u64,
        bytes: u64,
        length: usize,
        closes_epoch: bool,
        all: GroupUsage,
    ) -> bool {
        let bound = |most: u64| if closes_epoch { most.saturating_add(most / 8) } else { most };
        entries < bound(self.entries_max)
            && bytes.saturating_add(length as u64) <= bound(self.bytes_max)
            && all.bytes.saturating_add(length as u64) <= bound(self.all_bytes_max)
    }
}

impl GroupUsage {
    /// Counts a log with so many entries and bytes.
    pub(super) const fn add_log(&mut self, entries: u64, bytes: u64) {
        self.logs += 1;
        self.entries += entries;
        self.bytes = self.bytes.saturating_add(GROUP_LOG_CHARGE).saturating_add(bytes);
    }

    /// Counts an empty log no more.
    pub(super) const fn remove_log(&mut self) {
        self.logs = self.logs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(GROUP_LOG_CHARGE);
    }

    /// Counts an entry.
    pub(super) const fn add_entry(&mut self, length: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(length);
    }

    /// Counts it no more.
    pub(super) const fn remove_entry(&mut self, length: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(length);
    }
}

impl NewGroupLog {
    /// The record of the log, before anything is appended. Numbers begin above the time, so that a log that has run out and
    /// is created again gives none twice.
    pub(super) const fn record(&self) -> GroupLogRecord {
        GroupLogRecord {
            first_epoch: self.epoch,
            epoch: self.epoch,
            access_key: self.access_key,
            epoch_entries: 0,
            highest_sequence: self.now_ms,
            entries: 0,
            bytes: 0,
            created: self.now_ms,
            changed: self.now_ms,
            expires: self.expires_ms,
        }
    }
}

impl GroupAppend {
    /// Refuses what no service should have let through.
    pub(super) fn check_length(&self) -> Result<(), StorageError> {
        StorageError::check_length("an entry", self.entry.len(), GROUP_ENTRY_LENGTH_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_still_takes_what_closes_an_epoch() {
        let quota = GroupQuota { entries_max: 8, bytes_max: 800, logs_max: 1, all_bytes_max: u64::MAX };
        let all = GroupUsage::default();
        assert!(quota.has_room(7, 700, 100, false, all));
        assert!(!quota.has_room(7, 700, 101, false, all));
        assert!(!quota.has_room(8, 0, 1, false, all));
        assert!(quota.has_room(8, 800, 100, true, all));
        assert!(!quota.has_room(9, 0, 1, true, all));
        assert!(!quota.has_room(0, 800, 101, true, all));
    }

    #[test]
    fn all_logs_together_are_bounded() {
        let quota = GroupQuota { logs_max: 2, all_bytes_max: 3 * GROUP_LOG_CHARGE, ..GroupQuota::default() };
        let mut usage = GroupUsage::default();
        usage.add_log(0, 0);
        assert!(quota.has_room_for_log(usage));
        assert!(quota.has_room(0, 0, 2 * GROUP_LOG_CHARGE as usize, false, usage));
        assert!(!quota.has_room(0, 0, 2 * GROUP_LOG_CHARGE as usize + 1, false, usage));
        usage.add_entry(2 * GROUP_LOG_CHARGE);
        assert!(!quota.has_room_for_log(usage));
        usage.remove_entry(2 * GROUP_LOG_CHARGE);
        usage.add_log(0, 0);
        assert!(!quota.has_room_for_log(usage));
        usage.remove_log();
        usage.remove_log();
        assert_eq!(usage, GroupUsage::default());
    }
}
