//! Group logs of the reference engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use medipeps_core::wire::server_storage::{
    ExportedGroupEntry, GroupEntryRecord, GroupEpochRecord, GroupLogRecord, GroupWakeRecord,
};
use tokio::sync::watch;

use super::state::State;
use crate::limits::GROUP_ENTRY_LARGE;
use crate::storage::{
    CreateGroupLogError, ExpireCounts, GroupAppend, GroupAppendError, GroupAppendOutcome, GroupEntries, GroupEntry,
    GroupEpoch, GroupLogError, GroupQuota, GroupUsage, InspectedGroupLog, NewGroupLog,
};

/// A log with its entries, which are shared because transactions run on copies.
#[derive(Debug, Clone)]
pub(super) struct MemoryGroupLog {
    pub(super) record: GroupLogRecord,
    pub(super) closed: BTreeMap<u64, GroupEpochRecord>,
    /// By epoch and sequence.
    pub(super) entries: BTreeMap<(u64, u64), MemoryGroupEntry>,
    ids: BTreeMap<[u8; 16], (u64, u64)>,
    pub(super) wakes: BTreeMap<[u8; 16], GroupWakeRecord>,
    pub(super) hint: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct MemoryGroupEntry {
    /// Where the body lies is for engines that keep it elsewhere.
    pub(super) record: GroupEntryRecord,
    pub(super) bytes: Arc<[u8]>,
}

impl MemoryGroupLog {
    /// A log without entries, whatever the record counts.
    pub(super) fn new(record: GroupLogRecord) -> Self {
        let record = GroupLogRecord { epoch_entries: 0, entries: 0, bytes: 0, ..record };
        let hint = watch::Sender::new(record.highest_sequence);
        Self {
            record,
            closed: BTreeMap::new(),
            entries: BTreeMap::new(),
            ids: BTreeMap::new(),
            wakes: BTreeMap::new(),
            hint,
        }
    }

    /// Adds an entry and counts it in the log and in its epoch.
    pub(super) fn add(&mut self, entry: ExportedGroupEntry) {
        let ExportedGroupEntry { epoch, sequence, received, expires, entry_id, digest, closes_epoch, entry } = entry;
        let record = GroupEntryRecord {
            segment: 0,
            offset: 0,
            length: u32::try_from(entry.len()).unwrap_or(u32::MAX),
            checksum: 0,
            large: entry.len() >= GROUP_ENTRY_LARGE,
            received,
            expires,
            entry_id,
            digest,
            closes_epoch,
        };
        self.record.entries += 1;
        self.record.bytes += u64::from(record.length);
        match self.closed.get_mut(&epoch) {
            Some(closed) => closed.entries += 1,
            None => self.record.epoch_entries += 1,
        }
        self.ids.insert(entry_id, (epoch, sequence));
        self.entries.insert((epoch, sequence), MemoryGroupEntry { record, bytes: entry.into() });
    }

    fn append(
        &mut self,
        append: GroupAppend,
        room: impl Fn(&GroupLogRecord) -> bool,
    ) -> Result<Appended, GroupAppendError> {
        let epoch = self.epoch(append.epoch).ok_or(GroupAppendError::AccessRefused)?;
        if epoch.access_key != append.access_key {
            return Err(GroupAppendError::AccessRefused);
        }
        if let Some(at) = self.ids.get(&append.entry_id) {
            let same = self.entries.get(at).is_some_and(|entry| entry.record.digest == append.digest);
            let outcome = GroupAppendOutcome { sequence: at.1, duplicate: true };
            return if same { Ok(Appended { outcome, length: None }) } else { Err(GroupAppendError::IdReused) };
        }
        if let Some(closed) = self.closed.get(&append.epoch) {
            return Err(GroupAppendError::StaleEpoch { closing_sequence: closed.closing_sequence });
        }
        if !room(&self.record) {
            return Err(GroupAppendError::Full);
        }
        let sequence = self.record.highest_sequence + 1;
        let length = append.entry.len() as u64;
        self.record.highest_sequence = sequence;
        self.record.changed = append.now_ms;
        self.record.expires = self.record.expires.max(append.log_expires_ms).max(append.expires_ms);
        self.add(ExportedGroupEntry {
            epoch: append.epoch,
            sequence,
            received: append.now_ms,
            expires: append.expires_ms,
            entry_id: append.entry_id,
            digest: append.digest,
            closes_epoch: append.next_access_key.is_some(),
            entry: append.entry,
        });
        if let Some(next) = append.next_access_key {
            let GroupLogRecord { access_key, epoch_entries: entries, .. } = self.record;
            self.closed.insert(append.epoch, GroupEpochRecord { access_key, entries, closing_sequence: sequence });
            self.record.epoch = append.epoch.saturating_add(1);
            (self.record.access_key, self.record.epoch_entries) = (next, 0);
        }
        Ok(Appended { outcome: GroupAppendOutcome { sequence, duplicate: false }, length: Some(length) })
    }

    pub(super) fn epoch(&self, epoch: u64) -> Option<GroupEpoch> {
        if epoch == self.record.epoch {
            return Some(GroupEpoch { access_key: self.record.access_key, current: true });
        }
        self.closed.get(&epoch).map(|closed| GroupEpoch { access_key: closed.access_key, current: false })
    }

    fn fetch(&self, epoch: u64, after: u64, limit: usize, bytes: usize) -> GroupEntries {
        let mut fetched = GroupEntries::default();
        let mut left = bytes;
        let first = after.saturating_add(1);
        for ((_, sequence), entry) in self.entries.range((epoch, first)..=(epoch, u64::MAX)) {
            if fetched.entries.len() >= limit || entry.bytes.len() > left {
                fetched.oversize = Some(entry.bytes.len()).filter(|_| fetched.entries.is_empty() && limit > 0);
                return fetched;
            }
            left -= entry.bytes.len();
            fetched.entries.push(GroupEntry {
                sequence: *sequence,
                received_ms: entry.record.received,
                entry_id: entry.record.entry_id,
                entry: entry.bytes.to_vec(),
                closes_epoch: entry.record.closes_epoch,
            });
        }
        fetched.epoch_closed = self.closed.contains_key(&epoch);
        fetched
    }

    pub(super) fn inspect(&self, log_id: [u8; 32]) -> InspectedGroupLog {
        InspectedGroupLog::new(log_id, &self.record, self.closed.len() as u64, self.wakes.len() as u64)
    }

    /// Drops entries that are due, and says how many bytes each had.
    fn expire(&mut self, now_ms: u64) -> Vec<u64> {
        let due: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.record.expires <= now_ms).map(|(at, _)| *at).collect();
        let mut lengths = Vec::with_capacity(due.len());
        for at in due {
            let Some(entry) = self.entries.remove(&at) else { continue };
            self.ids.remove(&entry.record.entry_id);
            self.record.entries -= 1;
            self.record.bytes -= u64::from(entry.record.length);
            lengths.push(u64::from(entry.record.length));
            match self.closed.get_mut(&at.0) {
                Some(closed) if closed.entries <= 1 => drop(self.closed.remove(&at.0)),
                Some(closed) => closed.entries -= 1,
                None => self.record.epoch_entries -= 1,
            }
        }
        lengths
    }
}

/// What an append has done.
struct Appended {
    outcome: GroupAppendOutcome,
    /// Bytes that came on top.
    length: Option<u64>,
}

impl State {
    pub(super) fn create_group_log(&mut self, new: NewGroupLog, quota: GroupQuota) -> Result<(), CreateGroupLogError> {
        if let Some(known) = self.group_logs.get(&new.log_id) {
            let same = known.record.first_epoch == new.epoch;
            return if same { Ok(()) } else { Err(CreateGroupLogError::Exists) };
        }
        if !quota.has_room_for_log(self.group_usage) {
            return Err(CreateGroupLogError::Full);
        }
        self.spend::<CreateGroupLogError>(&new.spend)?;
        self.group_logs.insert(new.log_id, MemoryGroupLog::new(new.record()));
        self.group_usage.add_log(0, 0);
        Ok(())
    }

    pub(super) fn append_group_entry(
        &mut self,
        append: GroupAppend,
        quota: GroupQuota,
    ) -> Result<GroupAppendOutcome, GroupAppendError> {
        let log = self.group_logs.get_mut(&append.log_id).ok_or(GroupAppendError::UnknownLog)?;
        let (length, closes, usage) = (append.entry.len(), append.next_access_key.is_some(), self.group_usage);
        let spend = append.spend.clone();
        let appended = log.append(append, |log| quota.has_room(log.entries, log.bytes, length, closes, usage))?;
        if let Some(length) = appended.length {
            self.group_usage.add_entry(length);
            self.spend::<GroupAppendError>(&spend)?;
        }
        Ok(appended.outcome)
    }

    pub(super) fn group_epoch(&self, log_id: &[u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError> {
        self.group_logs.get(log_id).ok_or(GroupLogError::UnknownLog)?.epoch(epoch).ok_or(GroupLogError::UnknownEpoch)
    }

    pub(super) fn fetch_group_entries(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<GroupEntries, GroupLogError> {
        self.group_epoch(log_id, epoch)?;
        let log = self.group_logs.get(log_id).ok_or(GroupLogError::UnknownLog)?;
        Ok(log.fetch(epoch, after, limit, bytes))
    }

    pub(super) fn expire_group_logs(&mut self, now_ms: u64, counts: &mut ExpireCounts) {
        counts.group_wakes += self.expire_group_wakes(now_ms);
        let usage: &mut GroupUsage = &mut self.group_usage;
        for log in self.group_logs.values_mut() {
            for length in log.expire(now_ms) {
                usage.remove_entry(length);
                counts.group_entries += 1;
            }
        }
        let before = self.group_logs.len();
        self.group_logs.retain(|_, log| {
            let stays = log.record.entries > 0 || log.record.expires > now_ms;
            usage.wakes -= if stays { 0 } else { log.wakes.len() as u64 };
            stays
        });
        for _ in self.group_logs.len()..before {
            usage.remove_log();
            counts.group_logs += 1;
        }
    }

    /// What all logs take, counted anew.
    pub(super) fn count_group_logs(&mut self) {
        self.group_usage = GroupUsage::default();
        for log in self.group_logs.values() {
            self.group_usage.add_log(log.record.entries, log.record.bytes);
        }
    }
}
