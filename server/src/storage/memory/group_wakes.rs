//! Wakes of the reference engine.

use async_trait::async_trait;

use super::MemoryStorage;
use super::group_logs::MemoryGroupLog;
use super::state::State;
use crate::storage::group_wake::has_room_for_wake;
use crate::storage::{GroupWake, GroupWakeError, NewGroupWake, OperatedStorage, StorageError, WakeStorage};

#[async_trait]
impl WakeStorage for MemoryStorage {
    async fn set_group_wake(&self, wake: NewGroupWake) -> Result<(), GroupWakeError> {
        self.check_space()?;
        self.commit(|state| state.set_group_wake(wake))
    }

    async fn remove_group_wake(&self, log_id: [u8; 32], handle: [u8; 16]) -> Result<(), StorageError> {
        self.commit(|state| {
            state.remove_group_wakes(log_id, |known, _| *known == handle);
            Ok(())
        })
    }

    async fn drop_group_wake(&self, wake: GroupWake) -> Result<(), StorageError> {
        self.commit(|state| {
            let record = wake.record();
            state.remove_group_wakes(wake.log_id, |handle, known| *handle == wake.handle && *known == record);
            Ok(())
        })
    }

    async fn group_wakes(&self, log_id: [u8; 32], epoch: u64) -> Result<Vec<GroupWake>, StorageError> {
        let state = self.read()?;
        let Some(log) = state.group_logs.get(&log_id) else { return Ok(Vec::new()) };
        Ok(wakes(log_id, log).filter(|wake| wake.epoch == epoch).collect())
    }

    async fn unsettled_group_wakes(&self, since_ms: u64) -> Result<Vec<GroupWake>, StorageError> {
        let state = self.read()?;
        let is_unsettled = |log: &MemoryGroupLog, epoch| {
            let mut entries = log.entries.range((epoch, 0)..=(epoch, u64::MAX));
            entries.any(|(_, entry)| entry.record.received >= since_ms)
        };
        let logs = state.group_logs.iter();
        Ok(logs.flat_map(|(id, log)| wakes(*id, log).filter(|wake| is_unsettled(log, wake.epoch))).collect())
    }
}

fn wakes(log_id: [u8; 32], log: &MemoryGroupLog) -> impl Iterator<Item = GroupWake> + '_ {
    log.wakes.iter().map(move |(handle, record)| GroupWake::new(log_id, *handle, record.clone()))
}

impl State {
    fn set_group_wake(&mut self, new: NewGroupWake) -> Result<(), GroupWakeError> {
        let NewGroupWake { wake, access_key } = new;
        let log = self.group_logs.get_mut(&wake.log_id).ok_or(GroupWakeError::UnknownLog)?;
        let epoch = log.epoch(wake.epoch).filter(|epoch| epoch.access_key == access_key);
        if !epoch.ok_or(GroupWakeError::AccessRefused)?.current {
            return Err(GroupWakeError::StaleEpoch);
        }
        let room = has_room_for_wake(log.wakes.len(), self.group_usage);
        let known = log.wakes.contains_key(&wake.handle);
        if !known && !room {
            return Err(GroupWakeError::Full);
        }
        log.wakes.insert(wake.handle, wake.record());
        self.group_usage.wakes += u64::from(!known);
        Ok(())
    }

    fn remove_group_wakes(
        &mut self,
        log_id: [u8; 32],
        gone: impl Fn(&[u8; 16], &medipeps_core::wire::server_storage::GroupWakeRecord) -> bool,
    ) {
        if let Some(log) = self.group_logs.get_mut(&log_id) {
            let before = log.wakes.len();
            log.wakes.retain(|handle, record| !gone(handle, record));
            self.group_usage.wakes -= (before - log.wakes.len()) as u64;
        }
    }

    /// Forgets wakes whose time is up, and says how many.
    pub(super) fn expire_group_wakes(&mut self, now_ms: u64) -> u64 {
        let before = self.group_usage.wakes;
        let logs: Vec<[u8; 32]> = self.group_logs.keys().copied().collect();
        for log_id in logs {
            self.remove_group_wakes(log_id, |_, record| record.expires <= now_ms);
        }
        before - self.group_usage.wakes
    }
}
