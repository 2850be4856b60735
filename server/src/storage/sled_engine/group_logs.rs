//! Group logs: creating, appending by compare-and-set, reading, as changes of records.
//!
//! Everything that an entry changes (itself, its id, its deadline, the log's counters and, with what closes an epoch, the
//! next epoch's key) is one change of the committer, so that a crash leaves all of it or nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use medipeps_core::wire::server_storage::{GroupEntryIdRecord, GroupEntryRecord, GroupEpochRecord, GroupLogRecord};
use tokio::sync::oneshot;

use super::SledStorage;
use super::blob_bodies::PieceBody;
use super::committer::{Operation, Shared, Writer};
use super::group_wakes;
use super::layout::{self, Due};
use super::records::{Changes, Records};
use super::segment::{BodyReference, SegmentReader};
use super::tokens;
use crate::fail_point::fail_point;
use crate::limits::GROUP_ENTRY_LARGE;
use crate::storage::{
    CreateGroupLogError, ExpireCounts, GroupAppend, GroupAppendError, GroupAppendOutcome, GroupEntries, GroupEntry,
    GroupEpoch, GroupLogError, GroupQuota, NewGroupLog, StorageError,
};

impl SledStorage {
    pub(super) async fn create_log(&self, new: NewGroupLog) -> Result<(), CreateGroupLogError> {
        let quota = self.limits().groups;
        self.commit(move |writer, changes| create(writer, changes, &new, quota)).await
    }

    pub(super) async fn append(&self, append: GroupAppend) -> Result<GroupAppendOutcome, GroupAppendError> {
        let quota = self.limits().groups;
        let (append, body) = if append.entry.len() < GROUP_ENTRY_LARGE {
            (append, None)
        } else {
            // Looked at first, so that of many who come at once most write nothing.
            let (mut append, admitted) = self
                .read(move |shared| {
                    let admitted = admit(&shared.records, &append, append.entry.len(), quota, shared)?;
                    Ok::<_, GroupAppendError>((append, admitted))
                })
                .await?;
            match admitted {
                Admitted::New(_) => {
                    // Counted by its body from here on.
                    let body = self.piece_writer()?.write(std::mem::take(&mut append.entry)).await?;
                    fail_point!(AfterEntryBody);
                    (append, Some(body))
                }
                Admitted::Duplicate(_) => (append, None),
            }
        };
        let (operation, answer) = Append::new(append, body, quota);
        self.submit(operation, answer).await
    }

    pub(super) async fn epoch(&self, log_id: [u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError> {
        let (found, in_flight) = self
            .read(move |shared| {
                let found = find_epoch(&shared.records, &log_id, epoch);
                Ok::<_, GroupLogError>((found, shared.is_group_log_in_flight(&log_id)))
            })
            .await?;
        if !in_flight {
            return found;
        }
        self.commit(move |writer, _| find_epoch(&writer.records, &log_id, epoch)).await
    }

    pub(super) async fn fetch_entries(
        &self,
        log_id: [u8; 32],
        epoch: u64,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<GroupEntries, GroupLogError> {
        self.read(move |shared| fetch(shared, &log_id, epoch, after, limit, bytes)).await
    }
}

fn create(
    writer: &Writer,
    changes: &mut Changes,
    new: &NewGroupLog,
    quota: GroupQuota,
) -> Result<(), CreateGroupLogError> {
    if let Some(known) = writer.records.group_log(&new.log_id)? {
        return if known.first_epoch == new.epoch { Ok(()) } else { Err(CreateGroupLogError::Exists) };
    }
    let mut usage = writer.shared.group_usage();
    if !quota.has_room_for_log(*usage) {
        return Err(CreateGroupLogError::Full);
    }
    tokens::spend::<CreateGroupLogError>(&writer.records, changes, &new.spend)?;
    usage.add_log(0, 0);
    put_log(changes, &new.log_id, &new.record());
    Ok(())
}

/// Stores a new log's record and when it is due.
pub(super) fn put_log(changes: &mut Changes, log_id: &[u8; 32], log: &GroupLogRecord) {
    changes.put(layout::group_log(log_id), log.encode());
    changes.put(layout::deadline(log.expires, Due::GroupLog(*log_id)), Vec::new());
    changes.effects.group_logs.push(*log_id);
}

/// An entry that may be appended, or was.
enum Admitted {
    /// To the log as it is.
    New(GroupLogRecord),
    Duplicate(GroupAppendOutcome),
}

fn admit(
    records: &Records,
    append: &GroupAppend,
    length: usize,
    quota: GroupQuota,
    shared: &Shared,
) -> Result<Admitted, GroupAppendError> {
    let log = records.group_log(&append.log_id)?.ok_or(GroupAppendError::UnknownLog)?;
    let closed = if append.epoch == log.epoch { None } else { records.group_epoch(&append.log_id, append.epoch)? };
    let key = match &closed {
        Some(closed) => closed.access_key,
        None if append.epoch == log.epoch => log.access_key,
        None => return Err(GroupAppendError::AccessRefused),
    };
    if key != append.access_key {
        return Err(GroupAppendError::AccessRefused);
    }
    if let Some(at) = records.group_entry_id(&append.log_id, &append.entry_id)? {
        let stored = records.group_entry(&append.log_id, at.epoch, at.sequence)?;
        let same = stored.is_some_and(|stored| stored.digest == append.digest);
        let outcome = GroupAppendOutcome { sequence: at.sequence, duplicate: true };
        return if same { Ok(Admitted::Duplicate(outcome)) } else { Err(GroupAppendError::IdReused) };
    }
    if let Some(closed) = closed {
        return Err(GroupAppendError::StaleEpoch { closing_sequence: closed.closing_sequence });
    }
    let closes = append.next_access_key.is_some();
    if !quota.has_room(log.entries, log.bytes, length, closes, *shared.group_usage()) {
        return Err(GroupAppendError::Full);
    }
    Ok(Admitted::New(log))
}

/// See [`Storage::append_group_entry`](crate::storage::Storage::append_group_entry).
struct Append {
    append: GroupAppend,
    /// Of a large entry, whose bytes are on the disk already.
    body: Option<PieceBody>,
    quota: GroupQuota,
    outcome: Result<GroupAppendOutcome, GroupAppendError>,
    reply: oneshot::Sender<Result<GroupAppendOutcome, GroupAppendError>>,
}

type AppendAnswer = oneshot::Receiver<Result<GroupAppendOutcome, GroupAppendError>>;

impl Append {
    fn new(append: GroupAppend, body: Option<PieceBody>, quota: GroupQuota) -> (Self, AppendAnswer) {
        let (reply, answer) = oneshot::channel();
        let outcome = Err(StorageError::Failed("the operation was not run".into()).into());
        (Self { append, body, quota, outcome, reply }, answer)
    }

    fn work(&mut self, writer: &mut Writer, changes: &mut Changes) -> Result<GroupAppendOutcome, GroupAppendError> {
        let length = self.body.as_ref().map_or(self.append.entry.len(), |body| body.reference.length as usize);
        let log = match admit(&writer.records, &self.append, length, self.quota, &writer.shared)? {
            Admitted::Duplicate(outcome) => return Ok(outcome),
            Admitted::New(log) => log,
        };
        tokens::spend::<GroupAppendError>(&writer.records, changes, &self.append.spend)?;
        let (body, large) = match self.body.take() {
            Some(body) => (body.keep(), true),
            // It was there a moment ago, and has run out since.
            None if self.append.entry.len() >= GROUP_ENTRY_LARGE => {
                return Err(StorageError::Unavailable("an entry has just run out".into()).into());
            }
            None => {
                let body = writer.segments.append(&self.append.entry);
                (body.map_err(|error| writer.records.not_appended(error))?, false)
            }
        };
        writer.shared.group_usage().add_entry(u64::from(body.length));
        Ok(self.store(changes, log, body, large))
    }

    fn store(
        &self,
        changes: &mut Changes,
        mut log: GroupLogRecord,
        body: BodyReference,
        large: bool,
    ) -> GroupAppendOutcome {
        let append = &self.append;
        let sequence = log.highest_sequence + 1;
        let entry = GroupEntryRecord {
            segment: body.segment,
            offset: body.offset,
            length: body.length,
            checksum: body.checksum,
            large,
            received: append.now_ms,
            expires: append.expires_ms,
            entry_id: append.entry_id,
            digest: append.digest,
            closes_epoch: append.next_access_key.is_some(),
        };
        put_entry(changes, &append.log_id, append.epoch, sequence, &entry);
        log.highest_sequence = sequence;
        log.entries += 1;
        log.bytes += u64::from(body.length);
        log.epoch_entries += 1;
        log.changed = append.now_ms;
        // The deadline stays where it is and is moved when it comes; so this never goes back.
        log.expires = log.expires.max(append.log_expires_ms).max(append.expires_ms);
        if let Some(next) = append.next_access_key {
            let GroupLogRecord { access_key, epoch_entries: entries, .. } = log;
            let closed = GroupEpochRecord { access_key, entries, closing_sequence: sequence };
            changes.put(layout::group_epoch(&append.log_id, append.epoch), closed.encode());
            (log.epoch, log.access_key, log.epoch_entries) = (append.epoch.saturating_add(1), next, 0);
            changes.effects.group_logs.push(append.log_id);
        }
        changes.put(layout::group_log(&append.log_id), log.encode());
        changes.effects.group_entries.push((append.log_id, sequence));
        GroupAppendOutcome { sequence, duplicate: false }
    }
}

/// Stores an entry, its id and when it is due.
pub(super) fn put_entry(changes: &mut Changes, log_id: &[u8; 32], epoch: u64, sequence: u64, entry: &GroupEntryRecord) {
    changes.put(layout::group_entry(log_id, epoch, sequence), entry.encode());
    changes.put(layout::group_entry_id(log_id, &entry.entry_id), GroupEntryIdRecord { epoch, sequence }.encode());
    changes.put(layout::deadline(entry.expires, Due::GroupEntry(*log_id, epoch, sequence)), Vec::new());
    if !entry.large {
        // Segments of blobs are counted when a body is appended.
        changes.effects.stored.push(entry.segment);
    }
}

impl Operation for Append {
    fn body_bytes(&self) -> usize {
        if self.body.is_some() { 0 } else { self.append.entry.len() }
    }

    fn run(&mut self, writer: &mut Writer) -> Changes {
        let mut changes = Changes::default();
        self.outcome = self.work(writer, &mut changes);
        if self.outcome.is_ok() { changes } else { Changes::default() }
    }

    fn answer(self: Box<Self>, committed: Result<(), StorageError>) {
        // Whoever asked may have gone away meanwhile.
        let _ = self.reply.send(committed.map_err(GroupAppendError::from).and(self.outcome));
    }
}

fn find_epoch(records: &Records, log_id: &[u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError> {
    // Read beside the committer: when the epoch is closed in between, it is found as a closed one.
    let log = records.group_log(log_id)?.ok_or(GroupLogError::UnknownLog)?;
    if log.epoch == epoch {
        return Ok(GroupEpoch { access_key: log.access_key, current: true });
    }
    let closed = records.group_epoch(log_id, epoch)?.ok_or(GroupLogError::UnknownEpoch)?;
    Ok(GroupEpoch { access_key: closed.access_key, current: false })
}

fn fetch(
    shared: &Shared,
    log_id: &[u8; 32],
    epoch: u64,
    after: u64,
    limit: usize,
    bytes: usize,
) -> Result<GroupEntries, GroupLogError> {
    let records = &shared.records;
    // Whether it is closed is looked at first: its last entry is then among those that are read after.
    find_epoch(records, log_id, epoch)?;
    let closed = records.group_epoch(log_id, epoch)?;
    let mut fetched = GroupEntries::default();
    let Some(first) = after.checked_add(1) else {
        fetched.epoch_closed = closed.is_some();
        return Ok(fetched);
    };
    let found: Vec<(u64, GroupEntryRecord)> =
        records.group_entries(log_id, epoch, first).take(limit.saturating_add(1)).collect::<Result<_, _>>()?;
    let highest = shared.highest_durable_entry(log_id);
    let (mut small, mut large) = (SegmentReader::new(&records.segments), SegmentReader::new(&records.blob_segments));
    let mut left = bytes;
    for (sequence, record) in found {
        let length = record.length as usize;
        if sequence > highest || fetched.entries.len() >= limit {
            return Ok(fetched);
        }
        if length > left {
            fetched.oversize = Some(length).filter(|_| fetched.entries.is_empty());
            return Ok(fetched);
        }
        let reader = if record.large { &mut large } else { &mut small };
        match records.group_entry_body(reader, &record)? {
            Some(entry) => {
                left -= length;
                fetched.entries.push(GroupEntry {
                    sequence,
                    received_ms: record.received,
                    entry_id: record.entry_id,
                    entry,
                    closes_epoch: record.closes_epoch,
                });
            }
            // Run out since the records were read: the segment may be gone with it.
            None if records.group_entry(log_id, epoch, sequence)?.is_none() => {}
            None if fetched.entries.is_empty() => return Err(GroupLogError::Corrupt { sequence }),
            None => return Ok(fetched),
        }
    }
    fetched.epoch_closed = closed.is_some_and(|closed| closed.closing_sequence <= highest);
    Ok(fetched)
}

/// What the expiry of one commit does to group logs: counters are changed once, however many entries go.
#[derive(Default)]
pub(super) struct GroupExpiry {
    logs: BTreeMap<[u8; 32], Option<GroupLogRecord>>,
    epochs: BTreeMap<([u8; 32], u64), Option<GroupEpochRecord>>,
    /// Logs whose deadline has come.
    due: Vec<[u8; 32]>,
}

impl GroupExpiry {
    /// Drops an entry whose deadline has come.
    pub(super) fn entry(
        &mut self,
        writer: &Writer,
        changes: &mut Changes,
        (log_id, epoch, sequence): ([u8; 32], u64, u64),
        counts: &mut ExpireCounts,
    ) -> Result<(), StorageError> {
        let records = &writer.records;
        let Some(entry) = records.group_entry(&log_id, epoch, sequence)? else { return Ok(()) };
        changes.remove(layout::group_entry(&log_id, epoch, sequence));
        changes.remove(layout::group_entry_id(&log_id, &entry.entry_id));
        if entry.large { &mut changes.effects.released_pieces } else { &mut changes.effects.released }
            .push(entry.segment);
        writer.shared.group_usage().remove_entry(u64::from(entry.length));
        counts.group_entries += 1;
        let Some(log) = self.log(records, log_id)? else { return Ok(()) };
        log.entries = log.entries.saturating_sub(1);
        log.bytes = log.bytes.saturating_sub(u64::from(entry.length));
        if log.epoch == epoch {
            log.epoch_entries = log.epoch_entries.saturating_sub(1);
            return Ok(());
        }
        let closed = match self.epochs.entry((log_id, epoch)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(records.group_epoch(&log_id, epoch)?),
        };
        *closed = closed
            .filter(|closed| closed.entries > 1)
            .map(|closed| GroupEpochRecord { entries: closed.entries - 1, ..closed });
        Ok(())
    }

    /// Looks at a log whose deadline has come, once all entries are gone that go with this commit.
    pub(super) fn log_due(&mut self, log_id: [u8; 32]) {
        self.due.push(log_id);
    }

    /// Drops a log, or gives it the next deadline.
    fn end_log(
        &mut self,
        writer: &Writer,
        changes: &mut Changes,
        log_id: [u8; 32],
        now_ms: u64,
        counts: &mut ExpireCounts,
    ) -> Result<(), StorageError> {
        let Some(known) = self.log(&writer.records, log_id)? else { return Ok(()) };
        if known.expires > now_ms || known.entries > 0 {
            let next = known.expires.max(now_ms.saturating_add(1));
            changes.put(layout::deadline(next, Due::GroupLog(log_id)), Vec::new());
            return Ok(());
        }
        self.logs.insert(log_id, None);
        writer.shared.group_usage().remove_log();
        changes.remove(layout::group_log(&log_id));
        group_wakes::remove_all(writer, changes, log_id)?;
        changes.effects.group_logs.push(log_id);
        changes.effects.closed_group_logs.push(log_id);
        counts.group_logs += 1;
        Ok(())
    }

    /// Looks at the logs that are due, and stores the counters.
    pub(super) fn finish(
        mut self,
        writer: &Writer,
        changes: &mut Changes,
        now_ms: u64,
        counts: &mut ExpireCounts,
    ) -> Result<(), StorageError> {
        for log_id in std::mem::take(&mut self.due) {
            self.end_log(writer, changes, log_id, now_ms, counts)?;
        }
        for (log_id, log) in self.logs {
            if let Some(log) = log {
                changes.put(layout::group_log(&log_id), log.encode());
            }
        }
        for ((log_id, epoch), closed) in self.epochs {
            let key = layout::group_epoch(&log_id, epoch);
            match closed {
                Some(closed) => changes.put(key, closed.encode()),
                None => {
                    changes.remove(key);
                    changes.effects.group_logs.push(log_id);
                }
            }
        }
        Ok(())
    }

    fn log(&mut self, records: &Records, log_id: [u8; 32]) -> Result<Option<&mut GroupLogRecord>, StorageError> {
        Ok(match self.logs.entry(log_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(records.group_log(&log_id)?),
        }
        .as_mut())
    }
}
