//! What the store keeps of readers of group logs who want to be woken, and how an operation on that can fail.
//!
//! A wake belongs to the epoch that its reader proved last. Entries of that epoch wake it, the one that closes it included,
//! and no entry of a later epoch does: whoever was removed learns nothing of what comes after. `spec/group-log.md`, Waking.

use async_trait::async_trait;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::server_storage::GroupWakeRecord;
use thiserror::Error;

use super::{GroupUsage, StorageError};
use crate::limits::{GROUP_WAKES_ALL_MAX, GROUP_WAKES_MAX};

/// The part of a store that knows who is to be woken.
#[async_trait]
pub trait WakeStorage: Send + Sync + 'static {
    /// Stores where a reader is woken, in the place of what was known under the handle.
    ///
    /// # Errors
    /// See [`GroupWakeError`].
    async fn set_group_wake(&self, wake: NewGroupWake) -> Result<(), GroupWakeError>;

    /// Forgets a handle. That there is none is no error.
    ///
    /// # Errors
    /// The engine failed.
    async fn remove_group_wake(&self, log_id: [u8; 32], handle: [u8; 16]) -> Result<(), StorageError>;

    /// Forgets a handle if it is still as it was found: its reader may have renewed it meanwhile.
    ///
    /// # Errors
    /// The engine failed.
    async fn drop_group_wake(&self, wake: GroupWake) -> Result<(), StorageError>;

    /// Who is woken by entries of this epoch, those whose time is up included: at most `GROUP_WAKES_MAX`.
    ///
    /// # Errors
    /// The engine failed.
    async fn group_wakes(&self, log_id: [u8; 32], epoch: u64) -> Result<Vec<GroupWake>, StorageError>;

    /// Who may not have been woken when the process ended: those in whose epoch an entry came at `since_ms` or later.
    ///
    /// # Errors
    /// The engine failed.
    async fn unsettled_group_wakes(&self, since_ms: u64) -> Result<Vec<GroupWake>, StorageError>;
}

/// Where a reader wants to be woken. The caller has verified its signature with `access_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroupWake {
    /// The reader's place in the log, and where it is woken.
    pub wake: GroupWake,
    /// The key that the signature was verified with; it must be the one of the epoch.
    pub access_key: [u8; 32],
}

/// Where a reader is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWake {
    /// Of the log.
    pub log_id: [u8; 32],
    /// As its reader drew it.
    pub handle: [u8; 16],
    /// The epoch that the reader proved last.
    pub epoch: u64,
    /// Of the reader's push subscription.
    pub endpoint: PushEndpoint,
    /// When it is forgotten, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// Why a wake was not stored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupWakeError {
    /// No log has this id.
    #[error("no such group log")]
    UnknownLog,
    /// The key is not the one of the epoch, or no such epoch is known.
    #[error("the key is not the one of the epoch")]
    AccessRefused,
    /// The epoch is closed: only members of the current one are woken.
    #[error("the epoch is closed")]
    StaleEpoch,
    /// The log, or all logs together, have as many wakes as they may.
    #[error("there is no room for another wake handle")]
    Full,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl GroupWake {
    /// A wake out of its record.
    pub(super) fn new(log_id: [u8; 32], handle: [u8; 16], record: GroupWakeRecord) -> Self {
        let GroupWakeRecord { epoch, endpoint, expires } = record;
        Self { log_id, handle, epoch, endpoint, expires_ms: expires }
    }

    /// The record of it.
    pub(super) fn record(&self) -> GroupWakeRecord {
        GroupWakeRecord { epoch: self.epoch, endpoint: self.endpoint.clone(), expires: self.expires_ms }
    }
}

/// Whether there may be another wake beside so many of the log, and these of all logs.
pub(super) const fn has_room_for_wake(of_the_log: usize, usage: GroupUsage) -> bool {
    of_the_log < GROUP_WAKES_MAX && usage.wakes < GROUP_WAKES_ALL_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_are_bounded_by_log_and_altogether() {
        let usage = |wakes| GroupUsage { wakes, ..GroupUsage::default() };
        assert!(has_room_for_wake(GROUP_WAKES_MAX - 1, usage(GROUP_WAKES_ALL_MAX - 1)));
        assert!(!has_room_for_wake(GROUP_WAKES_MAX, usage(0)));
        assert!(!has_room_for_wake(0, usage(GROUP_WAKES_ALL_MAX)));
    }
}
