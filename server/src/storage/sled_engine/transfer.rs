//! Export and import.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use medipeps_core::Address;
use medipeps_core::wire::server_storage::{
    AccountRecord, BlobRecord, EnvelopeRecord, ExportRecord, ExportedBlob, ExportedGroupEntry, GroupEntryRecord,
    GroupEpochRecord, GroupLogRecord, InvitationRecord, QueueRecord, StoreRecord,
};
use sha2::{Digest, Sha256};

use super::accounts::{put_account, put_invitation};
use super::blobs::{put_blob, put_piece_record};
use super::committer::{ExportHold, Shared, Writer};
use super::group_logs::{put_entry, put_log};
use super::layout::{self, Due, OneTimeKind, QueueKey};
use super::queues::put_submission;
use super::records::{Changes, Records, corrupt};
use super::segment::SegmentReader;
use super::tenants::{UsageChange, put as put_tenant};
use super::tokens;
use crate::limits::COMMIT_BATCH_BYTES_MAX;
use crate::storage::export::{ExportWriter, read_export};
use crate::storage::{ExportError, ImportError, StorageError};

/// Records that an import puts into one batch.
const IMPORT_BATCH_RECORDS: usize = 500;

/// An export under way: everything but the blobs is in it.
pub(super) struct ExportUnderWay {
    export: ExportWriter,
    blobs: Vec<([u8; 32], BlobRecord)>,
    _hold: ExportHold,
}

/// See [`Storage::export`](crate::storage::Storage::export). Blobs may take long to write and do not change once they are
/// complete; [`ExportUnderWay::finish`] writes them while the committer goes on.
pub(super) fn export(
    shared: &Arc<Shared>,
    records: &Records,
    writer: Box<dyn Write + Send>,
) -> Result<ExportUnderWay, ExportError> {
    let mut export = ExportWriter::new(writer)?;
    for tenant in records.tenants()? {
        let (number, days) = (tenant.number, records.tenant_days(tenant.number, 0, u32::MAX)?);
        export.write_tenant(tenant, days.into_iter().map(|day| ExportRecord::TenantDay { tenant: number, day }))?;
    }
    for item in records.scan(layout::INVITATIONS) {
        let (key, value) = item?;
        let hash = key.get(1..).and_then(|hash| hash.try_into().ok());
        let hash = hash.ok_or_else(|| StorageError::Corrupt("the key of an invitation".into()))?;
        let invitation = InvitationRecord::decode(&value).map_err(|error| corrupt("an invitation", &error))?;
        export.write(&ExportRecord::Invitation { hash, invitation })?;
    }
    let mut reader = SegmentReader::new(&records.segments);
    for item in records.scan(layout::ACCOUNTS) {
        let (key, value) = item?;
        let address = account_address(&key)?;
        let account = AccountRecord::decode(&value).map_err(|error| corrupt("an account", &error))?;
        let statement = records.statement(&account)?;
        export.write(&ExportRecord::Account { address, account: account.clone(), statement })?;
        for item in records.scan(&layout::submissions(account.account)) {
            let (key, _) = item?;
            let id = *key.last_chunk().ok_or_else(|| StorageError::Corrupt("the key of a submission".into()))?;
            if let Some(submission) = records.submission(account.account, &id)? {
                export.write(&ExportRecord::Submission { id, submission })?;
            }
        }
        for device in account.devices {
            export_device(records, &mut reader, &mut export, QueueKey { account: account.account, device })?;
        }
    }
    export_group_logs(records, &mut reader, &mut export)?;
    let mut blobs = Vec::new();
    for item in records.scan(layout::BLOBS) {
        let (key, value) = item?;
        let id = key.get(1..).and_then(|id| id.try_into().ok());
        let id = id.ok_or_else(|| StorageError::Corrupt("the key of a blob".into()))?;
        let blob = BlobRecord::decode(&value).map_err(|error| corrupt("a blob", &error))?;
        if blob.is_complete() {
            blobs.push((id, blob));
        }
    }
    Ok(ExportUnderWay { export, blobs, _hold: shared.hold_pieces() })
}

impl ExportUnderWay {
    /// Writes the blobs and the end.
    pub(super) fn finish(mut self, records: &Records) -> Result<(), ExportError> {
        let mut reader = SegmentReader::new(&records.blob_segments);
        for (id, blob) in &self.blobs {
            let BlobRecord { length, secret_hash, begun, expires, .. } = *blob;
            self.export.write(&ExportRecord::Blob(ExportedBlob { id: *id, length, secret_hash, begun, expires }))?;
            for piece in records.blob_pieces(blob.number) {
                let (index, piece) = piece?;
                let body = records.piece_body(&mut reader, &piece)?;
                let body = body.ok_or_else(|| StorageError::Corrupt(format!("piece {index} of a blob")))?;
                self.export.write(&ExportRecord::BlobPiece(body))?;
            }
        }
        self.export.finish()
    }
}

fn export_device(
    records: &Records,
    reader: &mut SegmentReader<'_>,
    export: &mut ExportWriter,
    queue: QueueKey,
) -> Result<(), ExportError> {
    export.write(&ExportRecord::Device {
        device_id: queue.device,
        queue: records.queue(queue)?,
        prekeys: records.prekeys(queue)?,
    })?;
    let used = |kind, unused: Vec<u32>| -> Result<Vec<u32>, StorageError> {
        let mut ids = records.used_ids(queue, kind)?;
        ids.extend(unused);
        Ok(ids)
    };
    export.write_used(
        &used(OneTimeKind::Dh, records.one_time_ids(queue, OneTimeKind::Dh)?)?,
        &used(OneTimeKind::Kem, records.one_time_ids(queue, OneTimeKind::Kem)?)?,
        &used(OneTimeKind::KeyPackage, records.key_package_ids(queue)?)?,
    )?;
    for item in records.envelopes(queue, 0, u64::MAX) {
        let (sequence, record) = item?;
        let envelope = records.body(reader, &record)?.ok_or_else(|| {
            StorageError::Corrupt(format!(
                "envelope {sequence} of device {} of account {}",
                queue.device, queue.account
            ))
        })?;
        export.write(&ExportRecord::Envelope {
            sequence,
            received: record.received,
            expires: record.expires,
            envelope,
            request_lane: record.request_lane,
        })?;
    }
    Ok(())
}

/// Group logs with their closed epochs and entries.
fn export_group_logs<'a>(
    records: &'a Records,
    small: &mut SegmentReader<'a>,
    export: &mut ExportWriter,
) -> Result<(), ExportError> {
    let corrupt_key = |what: &str| StorageError::Corrupt(format!("the key of {what}"));
    let mut large = SegmentReader::new(&records.blob_segments);
    for item in records.scan(layout::GROUP_LOGS) {
        let (key, value) = item?;
        let log_id = layout::read_group_log(&key).ok_or_else(|| corrupt_key("a group log"))?;
        let log = GroupLogRecord::decode(&value).map_err(|error| corrupt("a group log", &error))?;
        export.write(&ExportRecord::GroupLog { log_id, log })?;
        for item in records.scan(&layout::group_epochs(&log_id)) {
            let (key, value) = item?;
            let epoch = layout::read_group_epoch(&key).ok_or_else(|| corrupt_key("an epoch"))?;
            let record = GroupEpochRecord::decode(&value).map_err(|error| corrupt("an epoch", &error))?;
            export.write(&ExportRecord::GroupEpoch { epoch, record })?;
        }
        for item in records.scan(&layout::group_entries(&log_id)) {
            let (key, value) = item?;
            let (_, epoch, sequence) = layout::read_group_entry(&key).ok_or_else(|| corrupt_key("an entry"))?;
            let record = GroupEntryRecord::decode(&value).map_err(|error| corrupt("an entry's record", &error))?;
            let reader = if record.large { &mut large } else { &mut *small };
            let entry = records.group_entry_body(reader, &record)?;
            let entry = entry.ok_or_else(|| StorageError::Corrupt(format!("entry {sequence} of a group log")))?;
            export.write(&ExportRecord::GroupEntry(ExportedGroupEntry {
                epoch,
                sequence,
                received: record.received,
                expires: record.expires,
                entry_id: record.entry_id,
                digest: record.digest,
                closes_epoch: record.closes_epoch,
                entry,
            }))?;
        }
    }
    Ok(())
}

/// See [`Storage::import`](crate::storage::Storage::import). `verified` is an export that was read once to its end. The
/// last change, which gives the store its new incarnation, is left in `changes`.
pub(super) fn import(
    writer: &mut Writer,
    changes: &mut Changes,
    verified: &mut dyn Read,
    incarnation: [u8; 16],
) -> Result<(), ImportError> {
    let records = &writer.records;
    for prefix in [layout::INVITATIONS, layout::ACCOUNTS, layout::BLOBS, layout::GROUP_LOGS, layout::TENANTS] {
        if records.scan(prefix).next().transpose()?.is_some() {
            return Err(ImportError::NotEmpty);
        }
    }
    let before = records.store()?;
    let mut loader = Loader::new(writer);
    let unfinished = StoreRecord { import_unfinished: true, ..before };
    loader.changes.put(layout::STORE_KEY.to_vec(), unfinished.encode());
    tokens::retire(&loader.writer.records, &mut loader.changes)?;
    loader.flush()?;
    loader.writer.sync()?;
    if let Err(error) = read_export(verified, &mut |record| loader.add(record).map_err(ImportError::Storage)) {
        return Err(loader.writer.records.fail("loading an export", error).into());
    }
    loader.end_device();
    loader.end_blob();
    loader.end_group_log();
    loader.flush()?;
    let (next_account, next_blob, next_tenant) = (loader.next_account, loader.next_blob, loader.next_tenant);
    let finished = StoreRecord { incarnation, next_account, next_blob, next_tenant, import_unfinished: false };
    changes.put(layout::STORE_KEY.to_vec(), finished.encode());
    Ok(())
}

/// Turns the records of an export into those of the store.
struct Loader<'a> {
    writer: &'a mut Writer,
    changes: Changes,
    pending: usize,
    /// Bytes of bodies that wait for the segment.
    pending_bytes: usize,
    next_account: u64,
    account: u64,
    device: Option<(QueueKey, QueueRecord)>,
    next_blob: u64,
    next_tenant: u64,
    blob: Option<([u8; 32], BlobRecord)>,
    group_log: Option<LoadedGroupLog>,
}

/// A group log of which entries may still come.
struct LoadedGroupLog {
    log_id: [u8; 32],
    log: GroupLogRecord,
    closed: BTreeMap<u64, GroupEpochRecord>,
}

impl<'a> Loader<'a> {
    fn new(writer: &'a mut Writer) -> Self {
        let changes = Changes::default();
        Self {
            writer,
            changes,
            pending: 0,
            pending_bytes: 0,
            next_account: 1,
            account: 0,
            device: None,
            next_blob: 1,
            next_tenant: 1,
            blob: None,
            group_log: None,
        }
    }

    fn add(&mut self, record: ExportRecord) -> Result<(), StorageError> {
        match record {
            ExportRecord::Invitation { hash, invitation } => {
                let account = invitation.used.map_or(0, |used| used.account);
                self.next_account = self.next_account.max(account.saturating_add(1));
                put_invitation(&mut self.changes, &hash, &invitation);
            }
            ExportRecord::Account { address, account, statement } => {
                self.end_device();
                self.account = account.account;
                self.next_account = self.next_account.max(account.account.saturating_add(1));
                let usage = UsageChange::Joined { account: account.account, tenant: account.tenant };
                self.changes.effects.usage.push(usage);
                put_account(&mut self.changes, &address, account, &statement);
            }
            ExportRecord::Device { device_id, queue, prekeys } => {
                self.end_device();
                let key = QueueKey { account: self.account, device: device_id };
                self.device =
                    Some((key, QueueRecord { messages: 0, bytes: 0, request_messages: 0, request_bytes: 0, ..queue }));
                if let Some(prekeys) = prekeys {
                    self.changes.put(layout::prekeys(key), prekeys.encode());
                }
            }
            ExportRecord::UsedPrekeys { one_time, one_time_kem, key_packages } => {
                if let Some((key, _)) = &self.device {
                    let used = [
                        (OneTimeKind::Dh, one_time),
                        (OneTimeKind::Kem, one_time_kem),
                        (OneTimeKind::KeyPackage, key_packages),
                    ];
                    for (kind, ids) in used {
                        for id in ids {
                            self.changes.put(layout::with_id(layout::used(*key, kind), id), Vec::new());
                        }
                    }
                }
            }
            ExportRecord::Envelope { sequence, received, expires, envelope, request_lane } => {
                self.add_envelope(sequence, (received, expires), &envelope, request_lane)?;
            }
            ExportRecord::Submission { id, submission } => {
                put_submission(&mut self.changes, self.account, &id, submission);
            }
            ExportRecord::Blob(ExportedBlob { id, length, secret_hash, begun, expires }) => {
                self.end_group_log();
                self.end_blob();
                let (number, stored_pieces) = (self.next_blob, 0);
                self.next_blob += 1;
                let unfinished_expires = expires;
                let record =
                    BlobRecord { number, length, secret_hash, begun, expires, unfinished_expires, stored_pieces };
                self.blob = Some((id, record));
            }
            ExportRecord::BlobPiece(data) => {
                if let Some((_, blob)) = &mut self.blob {
                    let digest = Sha256::digest(&data).into();
                    let body = self.writer.piece_writer.write_blocking(data)?;
                    put_piece_record(&mut self.changes, blob.number, blob.stored_pieces, body, digest);
                    blob.stored_pieces += 1;
                }
            }
            ExportRecord::GroupLog { log_id, log } => {
                self.end_group_log();
                let log = GroupLogRecord { epoch_entries: 0, entries: 0, bytes: 0, ..log };
                self.group_log = Some(LoadedGroupLog { log_id, log, closed: BTreeMap::new() });
            }
            ExportRecord::GroupEpoch { epoch, record } => {
                if let Some(loaded) = &mut self.group_log {
                    loaded.closed.insert(epoch, GroupEpochRecord { entries: 0, ..record });
                }
            }
            ExportRecord::GroupEntry(entry) => self.add_group_entry(&entry)?,
            ExportRecord::Tenant(tenant) => {
                self.next_tenant = self.next_tenant.max(tenant.number.saturating_add(1));
                put_tenant(&mut self.changes, &tenant);
            }
            ExportRecord::TenantDay { tenant, day } => {
                self.changes.put(layout::tenant_day(tenant, day.day), day.encode());
            }
            ExportRecord::End { .. } => {}
        }
        self.pending += 1;
        let much = self.pending >= IMPORT_BATCH_RECORDS || self.pending_bytes >= COMMIT_BATCH_BYTES_MAX;
        if much { self.flush() } else { Ok(()) }
    }

    fn add_group_entry(&mut self, exported: &ExportedGroupEntry) -> Result<(), StorageError> {
        let Some(loaded) = &mut self.group_log else { return Ok(()) };
        let records = &self.writer.records;
        let body = self.writer.segments.append(&exported.entry).map_err(|error| records.not_appended(error))?;
        self.pending_bytes += exported.entry.len();
        let entry = GroupEntryRecord {
            segment: body.segment,
            offset: body.offset,
            length: body.length,
            checksum: body.checksum,
            large: false,
            received: exported.received,
            expires: exported.expires,
            entry_id: exported.entry_id,
            digest: exported.digest,
            closes_epoch: exported.closes_epoch,
        };
        loaded.log.entries += 1;
        loaded.log.bytes += u64::from(body.length);
        match loaded.closed.get_mut(&exported.epoch) {
            Some(closed) => closed.entries += 1,
            None => loaded.log.epoch_entries += 1,
        }
        put_entry(&mut self.changes, &loaded.log_id, exported.epoch, exported.sequence, &entry);
        Ok(())
    }

    fn end_group_log(&mut self) {
        let Some(LoadedGroupLog { log_id, log, closed }) = self.group_log.take() else { return };
        put_log(&mut self.changes, &log_id, &log);
        for (epoch, record) in closed {
            self.changes.put(layout::group_epoch(&log_id, epoch), record.encode());
        }
        self.writer.shared.group_usage().add_log(log.entries, log.bytes);
    }

    fn add_envelope(
        &mut self,
        sequence: u64,
        (received, expires): (u64, u64),
        bytes: &[u8],
        request_lane: bool,
    ) -> Result<(), StorageError> {
        let Some((queue, counters)) = &mut self.device else { return Ok(()) };
        let records = &self.writer.records;
        let body = self.writer.segments.append(bytes).map_err(|error| records.not_appended(error))?;
        counters.messages += 1;
        counters.bytes += u64::from(body.length);
        if request_lane {
            counters.request_messages += 1;
            counters.request_bytes += u64::from(body.length);
        }
        let envelope = EnvelopeRecord {
            segment: body.segment,
            offset: body.offset,
            length: body.length,
            checksum: body.checksum,
            received,
            expires,
            request_lane,
        };
        self.changes.put(layout::envelope(*queue, sequence), envelope.encode());
        self.changes.put(layout::deadline(expires, Due::Envelope(*queue, sequence)), Vec::new());
        self.changes.effects.stored.push(body.segment);
        let (account, bytes) = (queue.account, u64::from(body.length));
        self.changes.effects.usage.push(UsageChange::Stored { account, bytes });
        self.changes.effects.grow(body.length);
        Ok(())
    }

    fn end_device(&mut self) {
        if let Some((queue, counters)) = self.device.take() {
            self.changes.put(layout::queue(queue), counters.encode());
        }
    }

    fn end_blob(&mut self) {
        if let Some((id, blob)) = self.blob.take() {
            put_blob(&mut self.changes, &id, &blob);
            self.writer.shared.blob_usage().add(&blob);
        }
    }

    /// Puts what has come together into the tree.
    fn flush(&mut self) -> Result<(), StorageError> {
        (self.pending, self.pending_bytes) = (0, 0);
        self.writer.stage(std::mem::take(&mut self.changes));
        self.writer.apply()
    }
}

/// Copies an export to a file of our own, verifying it on the way, so that what is loaded is what was verified.
pub(super) fn spool(reader: &mut dyn Read, file: &mut dyn Write) -> Result<(), ImportError> {
    let mut copying = Copying { reader, file, failed: None };
    let read = read_export(&mut copying, &mut |_| Ok(()));
    match copying.failed {
        Some(error) => Err(StorageError::Failed(format!("writing a copy of the export: {error}")).into()),
        None => read,
    }
}

struct Copying<'a> {
    reader: &'a mut dyn Read,
    file: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let copied = buffer.get(..count).map_or(Ok(()), |bytes| self.file.write_all(bytes));
        copied.map(|()| count).inspect_err(|error| self.failed = Some(io::Error::new(error.kind(), error.to_string())))
    }
}

/// The address in an account's key.
pub(super) fn account_address(key: &[u8]) -> Result<Address, StorageError> {
    let text = key.get(1..).and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| Address::from_canonical(text).ok())
        .ok_or_else(|| StorageError::Corrupt("the key of an account".into()))
}
