//! What the server keeps, as operations of the domain. An engine decides how; `conformance` decides whether it may.
//!
//! Every operation that changes something is one transaction, and it is on the disk before it answers: after an `Ok` a
//! power failure changes nothing any more. Whatever a read returns is on the disk as well. After an engine has failed
//! once ([`StorageError::Failed`]) it confirms nothing more; the server process then exits.

mod account;
mod blob;
#[cfg(test)]
mod conformance;
mod deletion;
mod device_wake;
mod export;
mod group_log;
mod group_wake;
mod inspection;
mod key_package;
mod memory;
mod operation;
mod prekey;
mod queue;
mod sled_engine;
mod tenant;
mod token;
mod verification;

use std::io;

use async_trait::async_trait;
use medipeps_core::Address;
use thiserror::Error;
use tokio::sync::watch;

pub use account::{
    Account, DeviceRecord, Invitation, InvitationError, RegisterError, RegisterOutcome, Registration, ReplaceOutcome,
    StatementError,
};
pub use blob::{BeginBlobError, BlobError, BlobPiece, BlobProgress, BlobRange, BlobUsage, NewBlob, PieceOutcome};
pub(crate) use deletion::copy_without;
pub use device_wake::{DeviceWake, DeviceWakeStorage};
pub use group_log::{
    CreateGroupLogError, GroupAppend, GroupAppendError, GroupAppendOutcome, GroupEntries, GroupEntry, GroupEpoch,
    GroupLogError, GroupQuota, GroupUsage, NewGroupLog,
};
pub use group_wake::{GroupWake, GroupWakeError, NewGroupWake, WakeStorage};
pub use inspection::{InspectedAccount, InspectedDevice, InspectedEnvelope, InspectedGroupLog};
pub use key_package::{KeyPackageError, KeyPackageSet, KeyPackageStatus, TakenKeyPackage};
pub use memory::{Fault, MemoryStorage};
pub use operation::{OperatedStorage, StorageLimits, StoreMetrics};
pub use prekey::{PrekeyError, PrekeySet, PrekeyStatus, TakenKem, TakenPrekeys};
pub use queue::{
    AcknowledgeError, EnqueueError, EnqueueOutcome, ExpireCounts, QueueError, QueueQuota, QueuedEnvelope, Submission,
};
pub use sled_engine::{SledStorage, StorageOptions};
pub use tenant::{SuspendError, TenantError, TenantStorage};
pub use token::{
    DeliveryKeysError, DrawError, RedeemError, Redemption, Spend, SpendError, SpentToken, StoredIssuerKey, Taking,
    TokenDraw, TokenStorage, VoucherDraw,
};
pub use verification::{Verification, VerifyStorage};

/// The store of a server. All methods may be called at once from any number of tasks.
#[async_trait]
pub trait Storage:
    WakeStorage + DeviceWakeStorage + TokenStorage + TenantStorage + OperatedStorage + VerifyStorage
{
    /// The life of the store that cursors belong to: drawn when the store is created, and anew by an import.
    fn incarnation(&self) -> [u8; 16];

    /// Reports why the engine stopped confirming: `None` while it works. Whoever runs the server waits for the change
    /// and exits.
    fn failure(&self) -> watch::Receiver<Option<StorageError>>;

    /// Stores an invitation under the SHA-256 of its secret.
    ///
    /// # Errors
    /// See [`InvitationError`].
    async fn create_invitation(&self, hash: [u8; 32], invitation: Invitation) -> Result<(), InvitationError>;

    /// Uses up an invitation and creates the account with its devices, prekeys and empty queues. A repeat with the same
    /// invitation and the same statement is answered as the first time, as long as the account exists.
    ///
    /// # Errors
    /// See [`RegisterError`].
    async fn register(&self, registration: Registration) -> Result<RegisterOutcome, RegisterError>;

    /// The account of an address, if there is one.
    ///
    /// # Errors
    /// The engine failed.
    async fn account(&self, address: &Address) -> Result<Option<Account>, StorageError>;

    /// Replaces the statement if the stored one has the expected version and the new one is its successor. Devices that
    /// the new one does not list lose their queues and prekeys in the same transaction; new ones get an empty queue.
    /// A repeat of the current statement is answered as the first time.
    ///
    /// # Errors
    /// See [`StatementError`].
    async fn replace_statement(
        &self,
        address: &Address,
        expected_version: u64,
        statement: Vec<u8>,
        new_version: u64,
        devices: Vec<u32>,
    ) -> Result<ReplaceOutcome, StatementError>;

    /// Deletes an account and all that belongs to it, if its statement has this version. The address is free again.
    ///
    /// # Errors
    /// See [`StatementError`].
    async fn delete_account(&self, address: &Address, statement_version: u64) -> Result<(), StatementError>;

    /// Replaces the signed, last-resort and seal prekeys of a device and adds the one-time keys. A one-time id that is
    /// stored or was ever given away is passed over. The sequence must be above the stored one; an equal sequence with
    /// the same content changes nothing and succeeds.
    ///
    /// # Errors
    /// See [`PrekeyError`].
    async fn put_prekeys(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        prekeys: PrekeySet,
    ) -> Result<(), PrekeyError>;

    /// Takes one set of prekeys for each device that has any, in ascending order of the devices. Each one-time key is
    /// given to exactly one caller, and is gone from the disk before the answer. Where one-time keys are withheld the devices
    /// have it told: see [`TokenStorage::withheld_since`].
    ///
    /// # Errors
    /// [`PrekeyError::UnknownDevice`] when no account has the address, and engine failure.
    async fn take_prekeys(&self, address: &Address, taking: Taking) -> Result<Vec<TakenPrekeys>, PrekeyError>;

    /// How many one-time prekeys a device has left.
    ///
    /// # Errors
    /// See [`PrekeyError`].
    async fn prekey_status(&self, address: &Address, device: u32) -> Result<PrekeyStatus, PrekeyError>;

    /// Puts a message into the queues of all devices, or of none. An envelope is due for each device of the statement
    /// that has prekeys, and allowed for each that the statement lists.
    ///
    /// # Errors
    /// See [`EnqueueError`].
    async fn enqueue(&self, submission: Submission) -> Result<EnqueueOutcome, EnqueueError>;

    /// Envelopes of a queue with numbers above `after`, in ascending order, at most `limit` and at most
    /// `FETCH_ENVELOPES_MAX` of them. A damaged envelope ends the list; when it is the first, it is the error.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn fetch(
        &self,
        address: &Address,
        device: u32,
        after: u64,
        limit: usize,
    ) -> Result<Vec<QueuedEnvelope>, QueueError>;

    /// Removes the envelopes of a queue up to and including a number. Repeats are harmless.
    ///
    /// # Errors
    /// See [`AcknowledgeError`].
    async fn acknowledge(
        &self,
        address: &Address,
        device: u32,
        incarnation: [u8; 16],
        up_to: u64,
    ) -> Result<(), AcknowledgeError>;

    /// Watches a queue: the value is the highest number that can be fetched or was acknowledged. It is a hint; whoever
    /// waits looks again from time to time. When the device or its account goes, the sending side is dropped.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn watch(&self, address: &Address, device: u32) -> Result<watch::Receiver<u64>, QueueError>;

    /// Drops envelopes, submission ids, invitations, blobs, entries of group logs, wakes and group logs whose time is up.
    /// Envelopes are counted in their queues.
    ///
    /// # Errors
    /// The engine failed.
    async fn expire(&self, now_ms: u64) -> Result<ExpireCounts, StorageError>;

    /// Envelopes of this queue that expired and that the device has not been told of.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn expired_count(&self, address: &Address, device: u32) -> Result<u64, QueueError>;

    /// Takes `count` off [`Storage::expired_count`], after the device was told; never below zero.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn settle_expired(&self, address: &Address, device: u32, count: u64) -> Result<(), QueueError>;

    /// Notes the generation of a device's own store and returns the highest that it reported before, 0 at first.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn report_generation(&self, address: &Address, device: u32, generation: u64) -> Result<u64, QueueError>;

    /// Begins a blob and reserves its whole length. A repeat with the same secret and length changes nothing and tells how
    /// far the blob has come.
    ///
    /// # Errors
    /// See [`BeginBlobError`].
    async fn begin_blob(&self, blob: NewBlob) -> Result<BlobProgress, BeginBlobError>;

    /// Stores a piece of a blob. Pieces come in any order and several at once; the same piece again changes nothing.
    ///
    /// # Errors
    /// See [`BlobError`].
    async fn put_blob_piece(&self, piece: BlobPiece) -> Result<PieceOutcome, BlobError>;

    /// Bytes of a complete blob from `offset`, at most `length` and at most `BLOB_PIECE_LENGTH` of them; none at its end
    /// and beyond.
    ///
    /// # Errors
    /// See [`BlobError`].
    async fn read_blob(&self, id: &[u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError>;

    /// Deletes a blob, complete or not, and frees what was reserved for it. That there is none is no error.
    ///
    /// # Errors
    /// See [`BlobError`].
    async fn delete_blob(&self, id: &[u8; 32], secret_hash: &[u8; 32]) -> Result<(), BlobError>;

    /// What all blobs together take.
    ///
    /// # Errors
    /// The engine failed.
    async fn blob_usage(&self) -> Result<BlobUsage, StorageError>;

    /// Replaces the last-resort key package of a device and adds the one-time ones. An id that is stored or was ever given
    /// away is passed over. The sequence must be above the stored one; an equal sequence with the same content changes
    /// nothing and succeeds.
    ///
    /// # Errors
    /// See [`KeyPackageError`].
    async fn put_key_packages(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        packages: KeyPackageSet,
    ) -> Result<(), KeyPackageError>;

    /// Takes one key package for each device that has any, in ascending order of the devices. Each one-time one is given to
    /// exactly one caller, and is gone from the disk before the answer.
    ///
    /// # Errors
    /// [`KeyPackageError::UnknownDevice`] when no account has the address, and engine failure.
    async fn take_key_packages(
        &self,
        address: &Address,
        taking: Taking,
    ) -> Result<Vec<TakenKeyPackage>, KeyPackageError>;

    /// How many one-time key packages a device has left.
    ///
    /// # Errors
    /// See [`KeyPackageError`].
    async fn key_package_status(&self, address: &Address, device: u32) -> Result<KeyPackageStatus, KeyPackageError>;

    /// Creates a group log. A repeat with the same first epoch changes nothing and succeeds, whatever the log holds by now.
    ///
    /// # Errors
    /// See [`CreateGroupLogError`].
    async fn create_group_log(&self, log: NewGroupLog) -> Result<(), CreateGroupLogError>;

    /// Appends an entry if its epoch is the current one (compare), and with a next key begins the next epoch (set). The same
    /// id with the same digest is answered as the first time, whatever the epoch is by now, as long as the entry is there.
    ///
    /// # Errors
    /// See [`GroupAppendError`].
    async fn append_group_entry(&self, append: GroupAppend) -> Result<GroupAppendOutcome, GroupAppendError>;

    /// The access key of an epoch of a group log. It never changes while it is there.
    ///
    /// # Errors
    /// See [`GroupLogError`].
    async fn group_epoch(&self, log_id: &[u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError>;

    /// Entries of one epoch with numbers above `after`, in ascending order, at most `limit` and at most `bytes` of them; if
    /// the first one alone has more, its size is told. A damaged entry ends the list; when it is the first, it is the error.
    ///
    /// # Errors
    /// See [`GroupLogError`].
    async fn fetch_group_entries(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<GroupEntries, GroupLogError>;

    /// Watches a group log: the value is the highest number that can be fetched. It is a hint; whoever waits looks again from
    /// time to time. When the log goes, the sending side is dropped.
    ///
    /// # Errors
    /// See [`GroupLogError`].
    async fn watch_group_log(&self, log_id: &[u8; 32]) -> Result<watch::Receiver<u64>, GroupLogError>;

    /// What all group logs together take.
    ///
    /// # Errors
    /// The engine failed.
    async fn group_usage(&self) -> Result<GroupUsage, StorageError>;

    /// Writes everything but one-time prekeys and key packages to `writer`, as of one moment; writes wait meanwhile. The ids of one-time
    /// prekeys and key packages go along as used ones, because a restore must never give one away again. Of blobs the complete
    /// ones go along.
    ///
    /// # Errors
    /// See [`ExportError`].
    async fn export(&self, writer: Box<dyn io::Write + Send>) -> Result<(), ExportError>;

    /// Loads an export into this store, which must be empty, and draws a new incarnation. The whole export is verified
    /// before anything is stored.
    ///
    /// # Errors
    /// See [`ImportError`].
    async fn import(&self, reader: Box<dyn io::Read + Send>) -> Result<(), ImportError>;

    /// What the store knows of accounts whose addresses come after `after`, in their order, at most `limit` and at most
    /// `INSPECT_ACCOUNTS_MAX` of them.
    ///
    /// # Errors
    /// The engine failed.
    async fn inspect(&self, after: Option<&Address>, limit: usize) -> Result<Vec<InspectedAccount>, StorageError>;

    /// What the store knows of one account.
    ///
    /// # Errors
    /// The engine failed.
    async fn inspect_account(&self, address: &Address) -> Result<Option<InspectedAccount>, StorageError>;

    /// What the store knows of group logs whose ids come after `after`, in their order, at most `limit` and at most
    /// `INSPECT_GROUP_LOGS_MAX` of them.
    ///
    /// # Errors
    /// The engine failed.
    async fn inspect_group_logs(
        &self,
        after: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<InspectedGroupLog>, StorageError>;
}

/// How an engine fails, whatever the operation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StorageError {
    /// Reading or writing failed; the text says what and why. The engine confirms nothing more: after a failed sync
    /// nobody knows what the disk holds.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A record is not what was stored; the text says which. Nothing of it is served.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The system did not let the engine open a file, as when too many are open; the text says which. Nothing was changed
    /// and nothing has failed: the same may succeed later.
    #[error("the store cannot do it now: {0}")]
    Unavailable(String),
    /// The disk has less free space than the floor that was set. Nothing is taken until there is more; what is there can be
    /// read, acknowledged and deleted.
    #[error("the disk has less than {floor} bytes left")]
    LowSpace {
        /// The floor in bytes.
        floor: u64,
    },
    /// A value is larger than the store takes; the caller should have refused it.
    #[error("{what} has {length} bytes, more than {limit}")]
    Oversize {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl StorageError {
    /// Refuses a length above its limit.
    fn check_length(what: &'static str, length: usize, limit: usize) -> Result<(), Self> {
        if length <= limit { Ok(()) } else { Err(Self::Oversize { what, length, limit }) }
    }
}

/// Why a store was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory is in use by another process")]
    InUse,
    /// It was written in a format that this version does not know.
    #[error("the store has format {found}, and this version knows only {known}")]
    UnknownFormat {
        /// The format found.
        found: u32,
        /// The format that this version writes.
        known: u32,
    },
    /// An import into it did not finish. Empty the directory and import again.
    #[error("an import into this store did not finish: empty the directory and import again")]
    ImportUnfinished,
    /// A record is not what was stored.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Reading or writing failed.
    #[error("the store cannot be opened: {0}")]
    Io(#[from] io::Error),
}

/// Why an export was not finished. What the writer holds is not to be used.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The writer failed.
    #[error("the export cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The engine failed, or an envelope is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an export was not imported. The store is as empty as before, unless it is the engine that failed.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The store holds accounts, invitations, blobs or group logs.
    #[error("the store is not empty")]
    NotEmpty,
    /// The file is no export of a version that this one knows.
    #[error("this is no export that this version can read")]
    Format,
    /// The file is cut short or was altered.
    #[error("the export is cut short or was altered")]
    Damaged,
    /// The reader failed.
    #[error("the export cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
