//! Typed reads of the sled tree, and the changes that one operation asks for.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;

use medipeps_core::Address;
use medipeps_core::wire::WireError;
use medipeps_core::wire::server_storage::{
    AccountRecord, BlobPieceRecord, BlobRecord, EnvelopeRecord, GroupEntryIdRecord, GroupEntryRecord, GroupEpochRecord,
    GroupLogRecord, InvitationRecord, KeyPackagesRecord, PrekeysRecord, QueueRecord, StoreRecord, SubmissionRecord,
};
use tokio::sync::watch;

use super::layout::{self, OneTimeKind, QueueKey};
use super::segment::{AppendError, BodyError, BodyReference, SegmentReader};
use super::tenants::UsageChange;
use crate::storage::StorageError;

type KeyAndValue = Result<(Vec<u8>, Vec<u8>), StorageError>;

/// The tree and the segment directories, for reading. Any trouble of the disk is the engine's failure, whoever meets it.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) tree: sled::Tree,
    pub(super) segments: PathBuf,
    /// The folder of the segments with pieces of blobs.
    pub(super) blob_segments: PathBuf,
    pub(super) failure: watch::Sender<Option<StorageError>>,
    /// Changes that are not yet in the tree, for the committer; nothing for everybody else.
    pub(super) pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// What one operation changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Keys with their new values, or `None` where they are removed.
    pub(super) puts: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) effects: Effects,
}

/// What follows from a change outside the tree, once the change is on the disk.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Accounts whose records change.
    pub(super) accounts: Vec<u64>,
    /// New envelopes: queue and sequence, ascending within a queue.
    pub(super) enqueued: Vec<(QueueKey, u64)>,
    /// Segments that hold one more live body, once for each.
    pub(super) stored: Vec<u64>,
    /// Segments that hold one live body less, once for each.
    pub(super) released: Vec<u64>,
    /// Queues that are no more.
    pub(super) closed: Vec<QueueKey>,
    /// Blobs that change.
    pub(super) blobs: Vec<[u8; 32]>,
    /// Segments that hold one live piece of a blob, or one large entry of a group log, less; once for each.
    pub(super) released_pieces: Vec<u64>,
    /// Group logs that begin, end, or begin or end an epoch.
    pub(super) group_logs: Vec<[u8; 32]>,
    /// New entries of group logs: log and sequence, ascending within a log.
    pub(super) group_entries: Vec<([u8; 32], u64)>,
    /// Group logs that are no more.
    pub(super) closed_group_logs: Vec<[u8; 32]>,
    /// What the accounts of tenants take more or less. It holds for the next operation already.
    pub(super) usage: Vec<UsageChange>,
    /// Envelopes by which all queues grow, and their bytes.
    pub(super) queued: i64,
    pub(super) queued_bytes: i64,
    /// Envelopes that were submitted.
    pub(super) accepted: u64,
    /// Envelopes that were acknowledged.
    pub(super) acknowledged: u64,
    /// Envelopes that ran out.
    pub(super) expired: u64,
}

impl Effects {
    /// Adds those of a later change.
    pub(super) fn add(&mut self, later: Self) {
        self.accounts.extend(later.accounts);
        self.enqueued.extend(later.enqueued);
        self.stored.extend(later.stored);
        self.released.extend(later.released);
        self.closed.extend(later.closed);
        self.blobs.extend(later.blobs);
        self.released_pieces.extend(later.released_pieces);
        self.group_logs.extend(later.group_logs);
        self.group_entries.extend(later.group_entries);
        self.closed_group_logs.extend(later.closed_group_logs);
        self.usage.extend(later.usage);
        self.queued += later.queued;
        self.queued_bytes += later.queued_bytes;
        self.accepted += later.accepted;
        self.acknowledged += later.acknowledged;
        self.expired += later.expired;
    }

    /// An envelope of so many bytes is in a queue.
    pub(super) fn grow(&mut self, length: u32) {
        self.queued += 1;
        self.queued_bytes += i64::from(length);
    }

    /// An envelope of so many bytes is in a queue no more.
    pub(super) fn shrink(&mut self, length: u32) {
        self.queued -= 1;
        self.queued_bytes -= i64::from(length);
    }
}

impl Changes {
    /// Stores a value.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        debug_assert!(value.len() <= crate::limits::SLED_VALUE_LENGTH_MAX, "{} bytes", value.len());
        self.puts.push((key, Some(value)));
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.puts.push((key, None));
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }
}

impl Records {
    /// Notes that the engine has failed, and says so.
    pub(super) fn fail(&self, what: &str, error: impl std::fmt::Display) -> StorageError {
        let failure = StorageError::Failed(format!("{what}: {error}"));
        self.failure.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(failure.clone());
            }
            first
        });
        failure
    }

    /// What it means that a body was not added to a segment.
    pub(super) fn not_appended(&self, error: AppendError) -> StorageError {
        match error {
            AppendError::NotBegun(error) => StorageError::Unavailable(format!("beginning a segment: {error}")),
            AppendError::Io(error) => self.fail("writing a segment", error),
        }
    }

    /// Refuses everything once the engine has failed.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(pending) = self.pending.get(key) {
            return Ok(pending.clone());
        }
        let value = self.tree.get(key).map_err(|error| self.fail("reading a record", error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// Keys and values whose keys begin with a prefix, in order.
    pub(super) fn scan(&self, prefix: &[u8]) -> impl Iterator<Item = KeyAndValue> + '_ {
        self.range(Bound::Included(prefix.to_vec()), after_prefix(prefix))
    }

    /// Keys and values in a range that is not inverted, in order.
    pub(super) fn range(&self, first: Bound<Vec<u8>>, last: Bound<Vec<u8>>) -> impl Iterator<Item = KeyAndValue> + '_ {
        let mut pending = self.pending.range((first.clone(), last.clone())).peekable();
        let mut stored = self.tree.range((first, last)).peekable();
        std::iter::from_fn(move || {
            loop {
                // A pending change comes in the place of the stored value, and in its order where there is none.
                let change = match (pending.peek(), stored.peek()) {
                    (Some((changed, _)), Some(Ok((key, _)))) if changed.as_slice() == key.as_ref() => {
                        stored.next();
                        pending.next()
                    }
                    (Some((changed, _)), Some(Ok((key, _)))) if changed.as_slice() < key.as_ref() => pending.next(),
                    (Some(_), None) => pending.next(),
                    _ => None,
                };
                match change {
                    Some((key, Some(value))) => return Some(Ok((key.clone(), value.clone()))),
                    Some((_, None)) => {}
                    None => {
                        let item = stored.next()?.map_err(|error| self.fail("scanning records", error));
                        return Some(item.map(|(key, value)| (key.to_vec(), value.to_vec())));
                    }
                }
            }
        })
    }

    /// The record of the store.
    pub(super) fn store(&self) -> Result<StoreRecord, StorageError> {
        let value = self.get(layout::STORE_KEY)?.ok_or_else(|| StorageError::Corrupt("the store's record".into()))?;
        StoreRecord::decode(&value).map_err(|error| corrupt("the store's record", &error))
    }

    /// An invitation.
    pub(super) fn invitation(&self, hash: &[u8; 32]) -> Result<Option<InvitationRecord>, StorageError> {
        self.decoded(&layout::invitation(hash), "an invitation", InvitationRecord::decode)
    }

    /// An account.
    pub(super) fn account(&self, address: &Address) -> Result<Option<AccountRecord>, StorageError> {
        self.decoded(&layout::account(address), "an account", AccountRecord::decode)
    }

    /// The statement of an account.
    pub(super) fn statement(&self, account: &AccountRecord) -> Result<Vec<u8>, StorageError> {
        let length = account.statement_length as usize;
        let mut statement = Vec::with_capacity(length);
        for piece in 0..length.div_ceil(layout::STATEMENT_PIECE_LENGTH) {
            statement.extend(self.get(&layout::statement(account.account, piece))?.into_iter().flatten());
        }
        if statement.len() == length { Ok(statement) } else { Err(StorageError::Corrupt("a statement".into())) }
    }

    /// An account with its statement, for readers beside the committer: what is read in several steps is read again when
    /// the account has changed in between.
    pub(super) fn account_with_statement(
        &self,
        address: &Address,
    ) -> Result<Option<(AccountRecord, Vec<u8>)>, StorageError> {
        loop {
            let Some(account) = self.account(address)? else { return Ok(None) };
            let statement = self.statement(&account);
            if self.account(address)?.as_ref() == Some(&account) {
                return Ok(Some((account, statement?)));
            }
        }
    }

    /// The number of an account's device, if the account lists it.
    pub(super) fn queue_key(&self, address: &Address, device: u32) -> Result<Option<QueueKey>, StorageError> {
        let account = self.account(address)?.filter(|account| account.devices.contains(&device));
        Ok(account.map(|account| QueueKey { account: account.account, device }))
    }

    /// The lasting prekeys of a device.
    pub(super) fn prekeys(&self, queue: QueueKey) -> Result<Option<PrekeysRecord>, StorageError> {
        self.decoded(&layout::prekeys(queue), "prekeys", PrekeysRecord::decode)
    }

    /// The ids of a device's unused one-time prekeys.
    pub(super) fn one_time_ids(&self, queue: QueueKey, kind: OneTimeKind) -> Result<Vec<u32>, StorageError> {
        self.ids(&layout::one_time(queue, kind))
    }

    /// The ids of a device's used one-time prekeys.
    pub(super) fn used_ids(&self, queue: QueueKey, kind: OneTimeKind) -> Result<Vec<u32>, StorageError> {
        self.ids(&layout::used(queue, kind))
    }

    /// The counters of a queue; a queue that was never used has none.
    pub(super) fn queue(&self, queue: QueueKey) -> Result<QueueRecord, StorageError> {
        Ok(self.decoded(&layout::queue(queue), "a queue", QueueRecord::decode)?.unwrap_or_default())
    }

    /// A submission id of an account.
    pub(super) fn submission(&self, account: u64, id: &[u8; 16]) -> Result<Option<SubmissionRecord>, StorageError> {
        self.decoded(&layout::submission(account, id), "a submission", SubmissionRecord::decode)
    }

    /// A blob.
    pub(super) fn blob(&self, id: &[u8; 32]) -> Result<Option<BlobRecord>, StorageError> {
        self.decoded(&layout::blob(id), "a blob", BlobRecord::decode)
    }

    /// A piece of a blob.
    pub(super) fn blob_piece(&self, number: u64, index: u32) -> Result<Option<BlobPieceRecord>, StorageError> {
        self.decoded(&layout::blob_piece(number, index), "a piece of a blob", BlobPieceRecord::decode)
    }

    /// The pieces of a blob that are stored, in order, each with its number.
    pub(super) fn blob_pieces(
        &self,
        number: u64,
    ) -> impl Iterator<Item = Result<(u32, BlobPieceRecord), StorageError>> + '_ {
        let prefix = layout::blob_pieces(number);
        let end = after_prefix(&prefix);
        self.range(Bound::Included(prefix), end).map(|item| {
            let (key, value) = item?;
            let index = layout::read_id(&key).ok_or_else(|| StorageError::Corrupt("the key of a piece".into()))?;
            let piece = BlobPieceRecord::decode(&value).map_err(|error| corrupt("a piece of a blob", &error))?;
            Ok((index, piece))
        })
    }

    /// The bytes of a piece of a blob; `None` if they are damaged or not there.
    pub(super) fn piece_body(
        &self,
        reader: &mut SegmentReader<'_>,
        piece: &BlobPieceRecord,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let BlobPieceRecord { segment, offset, length, checksum, .. } = *piece;
        self.read_body(reader, BodyReference { segment, offset, length, checksum })
    }

    /// Envelopes of a queue with sequences from `first` to `last`, in order.
    pub(super) fn envelopes(
        &self,
        queue: QueueKey,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = Result<(u64, EnvelopeRecord), StorageError>> + '_ {
        let bound = |sequence| Bound::Included(layout::envelope(queue, sequence));
        let range = (first <= last).then(|| self.range(bound(first), bound(last)));
        range.into_iter().flatten().map(|item| {
            let (key, value) = item?;
            let (_, sequence) =
                layout::read_envelope(&key).ok_or_else(|| StorageError::Corrupt("the key of an envelope".into()))?;
            let record = EnvelopeRecord::decode(&value).map_err(|error| corrupt("an envelope's record", &error))?;
            Ok((sequence, record))
        })
    }

    /// The body of an envelope; `None` if it is damaged or not there.
    pub(super) fn body(
        &self,
        reader: &mut SegmentReader<'_>,
        record: &EnvelopeRecord,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let reference = BodyReference {
            segment: record.segment,
            offset: record.offset,
            length: record.length,
            checksum: record.checksum,
        };
        self.read_body(reader, reference)
    }

    /// The last upload of a device's key packages.
    pub(super) fn key_packages(&self, queue: QueueKey) -> Result<Option<KeyPackagesRecord>, StorageError> {
        self.decoded(&layout::key_packages(queue), "key packages", KeyPackagesRecord::decode)
    }

    /// The ids of a device's unused one-time key packages.
    pub(super) fn key_package_ids(&self, queue: QueueKey) -> Result<Vec<u32>, StorageError> {
        let corrupt = || StorageError::Corrupt("the key of a key package".into());
        let mut ids = Vec::new();
        for item in self.scan(&layout::key_packages_of(queue)) {
            ids.push(layout::read_package_id(&item?.0).ok_or_else(corrupt)?);
        }
        // One for each piece, in order.
        ids.dedup();
        Ok(ids)
    }

    /// A group log.
    pub(super) fn group_log(&self, log_id: &[u8; 32]) -> Result<Option<GroupLogRecord>, StorageError> {
        self.decoded(&layout::group_log(log_id), "a group log", GroupLogRecord::decode)
    }

    /// A closed epoch of a group log.
    pub(super) fn group_epoch(&self, log_id: &[u8; 32], epoch: u64) -> Result<Option<GroupEpochRecord>, StorageError> {
        self.decoded(&layout::group_epoch(log_id, epoch), "an epoch of a group log", GroupEpochRecord::decode)
    }

    /// Where the entry with an id is.
    pub(super) fn group_entry_id(
        &self,
        log_id: &[u8; 32],
        entry_id: &[u8; 16],
    ) -> Result<Option<GroupEntryIdRecord>, StorageError> {
        self.decoded(&layout::group_entry_id(log_id, entry_id), "the id of an entry", GroupEntryIdRecord::decode)
    }

    /// An entry of a group log.
    pub(super) fn group_entry(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        sequence: u64,
    ) -> Result<Option<GroupEntryRecord>, StorageError> {
        self.decoded(&layout::group_entry(log_id, epoch, sequence), "an entry's record", GroupEntryRecord::decode)
    }

    /// Entries of an epoch with sequences from `first` on, in order.
    pub(super) fn group_entries(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        first: u64,
    ) -> impl Iterator<Item = Result<(u64, GroupEntryRecord), StorageError>> + '_ {
        let bound = |sequence| Bound::Included(layout::group_entry(log_id, epoch, sequence));
        self.range(bound(first), bound(u64::MAX)).map(|item| {
            let (key, value) = item?;
            let (_, _, sequence) =
                layout::read_group_entry(&key).ok_or_else(|| StorageError::Corrupt("the key of an entry".into()))?;
            let record = GroupEntryRecord::decode(&value).map_err(|error| corrupt("an entry's record", &error))?;
            Ok((sequence, record))
        })
    }

    /// The body of an entry; `None` if it is damaged or not there. `reader` is one of the segments that it lies in.
    pub(super) fn group_entry_body(
        &self,
        reader: &mut SegmentReader<'_>,
        record: &GroupEntryRecord,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let GroupEntryRecord { segment, offset, length, checksum, .. } = *record;
        self.read_body(reader, BodyReference { segment, offset, length, checksum })
    }

    fn read_body(
        &self,
        reader: &mut SegmentReader<'_>,
        reference: BodyReference,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        match reader.read(reference) {
            Ok(body) => Ok(Some(body)),
            Err(BodyError::Corrupt | BodyError::Gone) => Ok(None),
            // A read promises nothing, so the engine goes on when one fails.
            Err(BodyError::Io(error)) => Err(StorageError::Unavailable(format!("reading a segment: {error}"))),
        }
    }

    /// The value of a key, read.
    pub(super) fn decoded<T>(
        &self,
        key: &[u8],
        what: &str,
        decode: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<Option<T>, StorageError> {
        self.get(key)?.map(|value| decode(&value).map_err(|error| corrupt(what, &error))).transpose()
    }

    fn ids(&self, prefix: &[u8]) -> Result<Vec<u32>, StorageError> {
        self.scan(prefix)
            .map(|item| layout::read_id(&item?.0).ok_or_else(|| StorageError::Corrupt("the key of a prekey".into())))
            .collect()
    }
}

/// The end of the keys that begin with a prefix.
fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// A record that does not decode.
pub(super) fn corrupt(what: &str, error: &WireError) -> StorageError {
    StorageError::Corrupt(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Records {
        let tree = (*sled::Config::new().temporary(true).open().unwrap()).clone();
        let (failure, pending) = (watch::Sender::new(None), BTreeMap::new());
        Records { tree, segments: PathBuf::new(), blob_segments: PathBuf::new(), failure, pending }
    }

    #[test]
    fn pending_changes_are_seen_in_their_place() {
        let mut records = records();
        for key in ["a", "b1", "b3", "b5", "c"] {
            records.tree.insert(key, key).unwrap();
        }
        let mut change = |key: &str, value: Option<&str>| records.pending.insert(key.into(), value.map(Into::into));
        change("b0", Some("new"));
        change("b1", Some("changed"));
        change("b2", None);
        change("b3", None);
        change("b4", Some("new"));
        change("b6", None);
        change("b7", Some("new"));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let found: Vec<_> =
            records.scan(b"b").map(|item| item.map(|(key, value)| (text(key), text(value))).unwrap()).collect();
        let expected = [("b0", "new"), ("b1", "changed"), ("b4", "new"), ("b5", "b5"), ("b7", "new")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_string(), value.to_string())));
        assert_eq!(records.get(b"b3"), Ok(None));
        assert_eq!(records.get(b"b4"), Ok(Some(b"new".to_vec())));
        assert_eq!(records.get(b"c"), Ok(Some(b"c".to_vec())));
    }

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(after_prefix(&[1, 2]), Bound::Excluded(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 255, 255]), Bound::Excluded(vec![2]));
        assert_eq!(after_prefix(&[255]), Bound::Unbounded);
    }
}
