//! Typed reads of the sled tree, and the changes that one operation asks for.

use std::path::PathBuf;

use medipeps_core::Address;
use medipeps_core::wire::WireError;
use medipeps_core::wire::server_storage::{
    AccountRecord, EnvelopeRecord, InvitationRecord, PrekeysRecord, QueueRecord, StoreRecord, SubmissionRecord,
};
use sled::IVec;
use tokio::sync::watch;

use super::layout::{self, OneTimeKind, QueueKey};
use super::segment::{BodyError, BodyReference, SegmentReader};
use crate::storage::StorageError;

/// The tree and the segment directory, for reading. Any trouble of the disk is the engine's failure, whoever meets it.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) tree: sled::Tree,
    pub(super) segments: PathBuf,
    pub(super) failure: watch::Sender<Option<StorageError>>,
}

/// What one operation changes; applied in one atomic batch.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) batch: sled::Batch,
    pub(super) is_empty: bool,
    pub(super) effects: Effects,
}

/// What follows from a change outside the tree, once the change is on the disk.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Accounts whose records change.
    pub(super) accounts: Vec<u64>,
    /// New envelopes: queue and sequence.
    pub(super) enqueued: Vec<(QueueKey, u64)>,
    /// Segments that hold one more live body, once for each.
    pub(super) stored: Vec<u64>,
    /// Segments that hold one live body less, once for each.
    pub(super) released: Vec<u64>,
    /// Queues that are no more.
    pub(super) closed: Vec<QueueKey>,
}

impl Changes {
    /// No change.
    pub(super) fn new() -> Self {
        Self { is_empty: true, ..Self::default() }
    }

    /// Stores a value.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        debug_assert!(value.len() <= crate::limits::SLED_VALUE_LENGTH_MAX, "{} bytes", value.len());
        self.is_empty = false;
        self.batch.insert(key, value);
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, key: impl Into<IVec>) {
        self.is_empty = false;
        self.batch.remove(key);
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

    /// Refuses everything once the engine has failed.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, StorageError> {
        self.tree.get(key).map_err(|error| self.fail("reading a record", error))
    }

    /// Keys and values whose keys begin with a prefix, in order.
    pub(super) fn scan(&self, prefix: &[u8]) -> impl Iterator<Item = Result<(IVec, IVec), StorageError>> + '_ {
        self.tree.scan_prefix(prefix).map(|item| item.map_err(|error| self.fail("scanning records", error)))
    }

    /// Keys and values in a range, in order.
    pub(super) fn range(
        &self,
        range: impl std::ops::RangeBounds<Vec<u8>>,
    ) -> impl Iterator<Item = Result<(IVec, IVec), StorageError>> + '_ {
        self.tree.range(range).map(|item| item.map_err(|error| self.fail("scanning records", error)))
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
            statement.extend(
                self.get(&layout::statement(account.account, piece))?.into_iter().flat_map(|value| value.to_vec()),
            );
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

    /// Envelopes of a queue with sequences from `first` to `last`, in order.
    pub(super) fn envelopes(
        &self,
        queue: QueueKey,
        first: u64,
        last: u64,
    ) -> impl Iterator<Item = Result<(u64, EnvelopeRecord), StorageError>> + '_ {
        // An inverted range is empty; sled is not asked what it makes of one.
        let range = (first <= last).then(|| layout::envelope(queue, first)..=layout::envelope(queue, last));
        range.into_iter().flat_map(|range| self.range(range)).map(|item| {
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
        match reader.read(reference) {
            Ok(body) => Ok(Some(body)),
            Err(BodyError::Corrupt | BodyError::Gone) => Ok(None),
            Err(BodyError::Io(error)) => Err(self.fail("reading a segment", error)),
        }
    }

    fn decoded<T>(
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

/// A record that does not decode.
pub(super) fn corrupt(what: &str, error: &WireError) -> StorageError {
    StorageError::Corrupt(format!("{what}: {error}"))
}
