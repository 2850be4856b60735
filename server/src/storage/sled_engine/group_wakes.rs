//! Wakes of readers of group logs, as changes of records.

use async_trait::async_trait;
use medipeps_core::wire::server_storage::{GroupEntryRecord, GroupLogRecord, GroupWakeRecord};

use super::SledStorage;
use super::committer::Writer;
use super::layout::{self, Due};
use super::records::{Changes, Records, corrupt};
use crate::storage::group_wake::has_room_for_wake;
use crate::storage::{GroupWake, GroupWakeError, NewGroupWake, StorageError, WakeStorage};

#[async_trait]
impl WakeStorage for SledStorage {
    async fn set_group_wake(&self, wake: NewGroupWake) -> Result<(), GroupWakeError> {
        self.space.check()?;
        self.commit(move |writer, changes| set(writer, changes, &wake)).await
    }

    async fn remove_group_wake(&self, log_id: [u8; 32], handle: [u8; 16]) -> Result<(), StorageError> {
        self.commit(move |writer, changes| {
            let known = writer.records.group_wake(&log_id, &handle)?;
            known.into_iter().for_each(|known| remove(writer, changes, log_id, handle, &known));
            Ok(())
        })
        .await
    }

    async fn drop_group_wake(&self, wake: GroupWake) -> Result<(), StorageError> {
        self.commit(move |writer, changes| {
            let known = writer.records.group_wake(&wake.log_id, &wake.handle)?.filter(|known| *known == wake.record());
            known.into_iter().for_each(|known| remove(writer, changes, wake.log_id, wake.handle, &known));
            Ok(())
        })
        .await
    }

    async fn group_wakes(&self, log_id: [u8; 32], epoch: u64) -> Result<Vec<GroupWake>, StorageError> {
        self.read(move |shared| {
            let wakes = shared.records.group_wakes(&layout::group_wakes(&log_id));
            wakes.filter(|wake| wake.as_ref().map_or(true, |wake| wake.epoch == epoch)).collect()
        })
        .await
    }

    async fn unsettled_group_wakes(&self, since_ms: u64) -> Result<Vec<GroupWake>, StorageError> {
        self.read(move |shared| {
            let records = &shared.records;
            let mut unsettled = Vec::new();
            let mut log: Option<([u8; 32], Option<GroupLogRecord>)> = None;
            for wake in records.group_wakes(layout::GROUP_WAKES) {
                let wake = wake?;
                // They come log by log.
                let known = match &log {
                    Some((log_id, known)) if *log_id == wake.log_id => *known,
                    _ => records.group_log(&wake.log_id)?,
                };
                log = Some((wake.log_id, known));
                if known.is_some_and(|known| known.changed >= since_ms) && is_unsettled(records, &wake, since_ms)? {
                    unsettled.push(wake);
                }
            }
            Ok(unsettled)
        })
        .await
    }
}

/// Whether an entry of the wake's epoch came at that time or later.
fn is_unsettled(records: &Records, wake: &GroupWake, since_ms: u64) -> Result<bool, StorageError> {
    let is_recent = |entry: &GroupEntryRecord| entry.received >= since_ms;
    // What closed an epoch is its last entry; without it, the epoch is the current one, or nothing of it is left.
    if let Some(closed) = records.group_epoch(&wake.log_id, wake.epoch)? {
        let closing = records.group_entry(&wake.log_id, wake.epoch, closed.closing_sequence)?;
        return Ok(closing.as_ref().is_some_and(is_recent));
    }
    for item in records.group_entries(&wake.log_id, wake.epoch, 0) {
        if is_recent(&item?.1) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn set(writer: &Writer, changes: &mut Changes, new: &NewGroupWake) -> Result<(), GroupWakeError> {
    let NewGroupWake { wake, access_key } = new;
    let records = &writer.records;
    let log = records.group_log(&wake.log_id)?.ok_or(GroupWakeError::UnknownLog)?;
    if log.epoch != wake.epoch {
        let closed = records.group_epoch(&wake.log_id, wake.epoch)?;
        let proved = closed.is_some_and(|closed| closed.access_key == *access_key);
        return Err(if proved { GroupWakeError::StaleEpoch } else { GroupWakeError::AccessRefused });
    }
    if log.access_key != *access_key {
        return Err(GroupWakeError::AccessRefused);
    }
    match records.group_wake(&wake.log_id, &wake.handle)? {
        Some(known) => changes.remove(layout::deadline(known.expires, Due::GroupWake(wake.log_id, wake.handle))),
        None => {
            let mut usage = writer.shared.group_usage();
            if !has_room_for_wake(records.scan(&layout::group_wakes(&wake.log_id)).count(), *usage) {
                return Err(GroupWakeError::Full);
            }
            usage.wakes += 1;
        }
    }
    changes.put(layout::group_wake(&wake.log_id, &wake.handle), wake.record().encode());
    changes.put(layout::deadline(wake.expires_ms, Due::GroupWake(wake.log_id, wake.handle)), Vec::new());
    Ok(())
}

fn remove(writer: &Writer, changes: &mut Changes, log_id: [u8; 32], handle: [u8; 16], known: &GroupWakeRecord) {
    changes.remove(layout::group_wake(&log_id, &handle));
    changes.remove(layout::deadline(known.expires, Due::GroupWake(log_id, handle)));
    let mut usage = writer.shared.group_usage();
    usage.wakes = usage.wakes.saturating_sub(1);
}

/// Forgets a wake whose deadline has come. Says whether there was one.
pub(super) fn expire(
    writer: &Writer,
    changes: &mut Changes,
    log_id: [u8; 32],
    handle: [u8; 16],
) -> Result<bool, StorageError> {
    let known = writer.records.group_wake(&log_id, &handle)?;
    if let Some(known) = &known {
        remove(writer, changes, log_id, handle, known);
    }
    Ok(known.is_some())
}

/// Forgets all wakes of a log that goes.
pub(super) fn remove_all(writer: &Writer, changes: &mut Changes, log_id: [u8; 32]) -> Result<(), StorageError> {
    for wake in writer.records.group_wakes(&layout::group_wakes(&log_id)) {
        let wake = wake?;
        remove(writer, changes, log_id, wake.handle, &wake.record());
    }
    Ok(())
}

impl Records {
    /// Where the reader with a handle is woken.
    fn group_wake(&self, log_id: &[u8; 32], handle: &[u8; 16]) -> Result<Option<GroupWakeRecord>, StorageError> {
        let value = self.get(&layout::group_wake(log_id, handle))?;
        value.map(|value| GroupWakeRecord::decode(&value).map_err(|error| corrupt("a wake", &error))).transpose()
    }

    /// Wakes whose keys begin with a prefix, in the order of logs and handles.
    fn group_wakes(&self, prefix: &[u8]) -> impl Iterator<Item = Result<GroupWake, StorageError>> + '_ {
        self.scan(prefix).map(|item| {
            let (key, value) = item?;
            let (log_id, handle) =
                layout::read_group_wake(&key).ok_or_else(|| StorageError::Corrupt("the key of a wake".into()))?;
            let record = GroupWakeRecord::decode(&value).map_err(|error| corrupt("a wake", &error))?;
            Ok(GroupWake::new(log_id, handle, record))
        })
    }
}
