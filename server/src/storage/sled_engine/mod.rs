//! The default engine: sled 0.34.7 for records and segment files for bodies, under the five rules of
//! reference/server.md section 3. `spec/storage-server.md` describes what is on the disk.
//!
//! | rule | where |
//! |---|---|
//! | one committer, group commit, own sync before any answer | `committer` |
//! | small values in sled, bodies in checksummed segments | `records`, `segment` |
//! | directories synced after a creation; no answer after an error | [`SledStorage::open`], `committer` |
//! | no side effects in transaction closures | there are none: the one writer applies atomic batches |
//! | big-endian keys, counters in the same batch | `layout`, `queues` |

mod accounts;
mod blob_bodies;
mod blobs;
mod committer;
mod device_wakes;
mod flusher;
mod group_logs;
mod group_wakes;
mod hints;
mod inspecting;
mod key_packages;
mod layout;
mod opening;
mod operating;
mod prekeys;
mod queues;
mod records;
mod segment;
mod space;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;
mod transfer;
mod verifying;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::wire::server_storage::AccountRecord;
use tokio::sync::{mpsc, oneshot, watch};

use self::blob_bodies::{PieceSegments, PieceWriter};
use self::committer::{Operation, Plain, Shared, Writer};
use self::flusher::Flusher;
use self::inspecting::{inspect_account, inspect_group_logs};
use self::layout::QueueKey;
use self::opening::{
    clean_segments, count_blobs, count_group_logs, create, draw_incarnation, migrate, open_sled, read_format,
};
use self::queues::Enqueue;
use self::records::{Changes, Effects, Records, corrupt};
use self::segment::SegmentWriter;
use self::space::{Disk, SpaceFloor, SpaceProbe};
use super::account::check_statement_length;
use super::{
    Account, AcknowledgeError, BeginBlobError, BlobError, BlobPiece, BlobProgress, BlobRange, BlobUsage,
    CreateGroupLogError, EnqueueError, EnqueueOutcome, ExpireCounts, ExportError, GroupAppend, GroupAppendError,
    GroupAppendOutcome, GroupEntries, GroupEpoch, GroupLogError, GroupQuota, GroupUsage, ImportError, InspectedAccount,
    InspectedGroupLog, Invitation, InvitationError, KeyPackageError, KeyPackageSet, KeyPackageStatus, NewBlob,
    NewGroupLog, OpenError, PieceOutcome, PrekeyError, PrekeySet, PrekeyStatus, QueueError, QueueQuota, QueuedEnvelope,
    RegisterError, RegisterOutcome, Registration, ReplaceOutcome, StatementError, Storage, StorageError, StorageLimits,
    StoreMetrics, Submission, TakenKeyPackage, TakenPrekeys, Taking,
};
use crate::limits::{
    BLOB_SEGMENT_BYTES, BLOBS_BYTES_MAX, COMMIT_BATCH_MAX, COMMIT_QUEUE_MAX, EXPIRE_BATCH_MAX, FREE_SPACE_FLOOR,
    INSPECT_ACCOUNTS_MAX, INSPECT_GROUP_LOGS_MAX, SEGMENT_BYTES, SLED_CACHE_BYTES,
};

/// How a store on the disk is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageOptions {
    /// Where it lies; created if it is not there.
    pub directory: PathBuf,
    /// What one queue may hold.
    pub quota: QueueQuota,
    /// Bytes of all blobs together.
    pub blob_bytes_max: u64,
    /// What group logs may hold.
    pub group_quota: GroupQuota,
    /// Bytes of free disk space below which nothing new is taken.
    pub free_space_floor: u64,
    /// Bytes after which a segment file of envelopes is closed.
    pub segment_bytes: u64,
    /// Bytes after which a segment file of pieces of blobs is closed.
    pub blob_segment_bytes: u64,
    /// Operations in one group commit, at least 1.
    pub commit_batch_max: usize,
    /// Bytes of sled's page cache.
    pub cache_bytes: u64,
}

impl StorageOptions {
    /// The defaults of `limits`, in a directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            quota: QueueQuota::default(),
            blob_bytes_max: BLOBS_BYTES_MAX,
            group_quota: GroupQuota::default(),
            free_space_floor: FREE_SPACE_FLOOR,
            segment_bytes: SEGMENT_BYTES,
            blob_segment_bytes: BLOB_SEGMENT_BYTES,
            commit_batch_max: COMMIT_BATCH_MAX,
            cache_bytes: SLED_CACHE_BYTES,
        }
    }
}

/// A store on the disk. Dropping it waits for what is being committed, and frees the directory.
#[derive(Debug)]
pub struct SledStorage {
    shared: Arc<Shared>,
    incarnation: RwLock<[u8; 16]>,
    limits: RwLock<StorageLimits>,
    space: SpaceFloor,
    metrics: StoreMetrics,
    directory: PathBuf,
    operations: Option<mpsc::Sender<Box<dyn Operation>>>,
    committer: Option<JoinHandle<()>>,
    piece_writer: Option<PieceWriter>,
    piece_thread: Option<JoinHandle<()>>,
}

impl SledStorage {
    /// Opens a store, or creates it. Blocks; segment files in which nothing is left are deleted.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: &StorageOptions) -> Result<Self, OpenError> {
        Self::open_on(options, Box::new(Disk))
    }

    /// Opens a store that asks `probe` for free disk space.
    fn open_on(options: &StorageOptions, probe: Box<dyn SpaceProbe>) -> Result<Self, OpenError> {
        let directory = options.directory.clone();
        let [sled_directory, segments, blob_segments] = ["sled", "segments", "blobs"].map(|name| directory.join(name));
        for created in [&sled_directory, &segments, &blob_segments] {
            fs::create_dir_all(created)?;
        }
        let database = open_sled(&sled_directory, options.cache_bytes)?;
        let file = OpenOptions::new().read(true).write(true).open(sled_directory.join("db"))?;
        for changed in
            [directory.parent().unwrap_or(&directory), &directory, &sled_directory, &segments, &blob_segments]
        {
            // The parent of a relative directory of one name is the current directory, spelled "".
            let changed = if changed.as_os_str().is_empty() { Path::new(".") } else { changed };
            segment::sync_directory(changed)?;
        }
        let failure = watch::Sender::new(None);
        let records = || Records {
            tree: (*database).clone(),
            segments: segments.clone(),
            blob_segments: blob_segments.clone(),
            failure: failure.clone(),
            pending: BTreeMap::new(),
        };
        let (records, committer_records, piece_records) = (records(), records(), records());
        let incarnation = match read_format(&records)? {
            Some(store) => {
                migrate(&records, &database, &file)?;
                store.incarnation
            }
            None => create(&records, &database, &file)?,
        };
        segment::sync_directory(&sled_directory)?;
        let ((live, next), (live_pieces, next_blob_segment), queued) = clean_segments(&records)?;
        let metrics = StoreMetrics::default();
        metrics.queued.set(queued.envelopes);
        metrics.queued_bytes.set(queued.bytes);
        let piece_segments = Arc::new(PieceSegments::new(blob_segments.clone(), live_pieces));
        let pieces = SegmentWriter::new(blob_segments.clone(), options.blob_segment_bytes, next_blob_segment);
        let (blob_usage, group_usage) = (count_blobs(&records)?, count_group_logs(&records)?);
        let tenants = tenants::count(&records).map_err(|error| OpenError::Corrupt(error.to_string()))?;
        let (piece_writer, piece_thread) = PieceWriter::start(piece_records, pieces, Arc::clone(&piece_segments))?;
        let shared = Arc::new(Shared::new(records, blob_usage, group_usage, tenants, piece_segments));
        let writer = Writer {
            flusher: Flusher::new(database)?,
            file,
            segments: SegmentWriter::new(shared.records.segments.clone(), options.segment_bytes, next),
            piece_writer: piece_writer.clone(),
            shared: Arc::clone(&shared),
            records: committer_records,
            live,
            staged: Effects::default(),
            applied: Effects::default(),
            batch_max: options.commit_batch_max.max(1),
            metrics: metrics.clone(),
        };
        let (operations, waiting) = mpsc::channel(COMMIT_QUEUE_MAX);
        let committer = std::thread::Builder::new().name("committer".into()).spawn(move || writer.serve(waiting))?;
        Ok(Self {
            shared,
            incarnation: RwLock::new(incarnation),
            limits: RwLock::new(StorageLimits {
                queue: options.quota,
                blob_bytes_max: options.blob_bytes_max,
                groups: options.group_quota,
                free_space_floor: options.free_space_floor,
            }),
            metrics,
            space: SpaceFloor::new(directory.clone(), options.free_space_floor, probe),
            directory,
            operations: Some(operations),
            committer: Some(committer),
            piece_writer: Some(piece_writer),
            piece_thread: Some(piece_thread),
        })
    }

    fn piece_writer(&self) -> Result<&PieceWriter, StorageError> {
        self.piece_writer.as_ref().ok_or_else(|| StorageError::Failed("the store is closed".into()))
    }

    /// Hands an operation to the committer and waits for its answer.
    async fn submit<T, E: From<StorageError>>(
        &self,
        operation: impl Operation + 'static,
        answer: oneshot::Receiver<Result<T, E>>,
    ) -> Result<T, E> {
        let gone = || E::from(StorageError::Failed("the committer has stopped".into()));
        let sender = self.operations.as_ref().ok_or_else(gone)?;
        self.shared.records.check()?;
        sender.send(Box::new(operation)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Has the committer run a change.
    async fn commit<T, E>(
        &self,
        work: impl FnOnce(&mut Writer, &mut Changes) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (operation, answer) = Plain::new(work);
        self.submit(operation, answer).await
    }

    /// Has the committer change something of a device.
    async fn commit_device<T, E>(
        &self,
        address: &Address,
        device: u32,
        unknown: E,
        work: impl FnOnce(&Records, &mut Changes, QueueKey) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let address = address.clone();
        self.commit(move |writer, changes| {
            let records = &writer.records;
            let queue = records.queue_key(&address, device)?.ok_or(unknown)?;
            work(records, changes, queue)
        })
        .await
    }

    /// Reads on a thread that may block.
    async fn read<T, E>(&self, work: impl FnOnce(&Shared) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        self.shared.records.check()?;
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .unwrap_or_else(|error| Err(StorageError::Failed(format!("a read was broken off: {error}")).into()))
    }

    /// Reads something that belongs to an account. What is not yet on the disk is waited for.
    async fn read_account<T, E>(
        &self,
        work: impl Fn(&Records) -> Result<(T, Option<u64>), E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let again = work.clone();
        let (value, in_flight) = self
            .read(move |shared| {
                let (value, account) = work(&shared.records)?;
                Ok::<_, E>((value, account.is_some_and(|account| shared.is_in_flight(account))))
            })
            .await?;
        if !in_flight {
            return Ok(value);
        }
        self.commit(move |writer, _| again(&writer.records).map(|(value, _)| value)).await
    }
}

impl Drop for SledStorage {
    fn drop(&mut self) {
        self.operations = None;
        if let Some(committer) = self.committer.take() {
            // A committer that panicked has confirmed nothing since; there is nobody left to tell.
            let _ = committer.join();
        }
        self.piece_writer = None;
        if let Some(thread) = self.piece_thread.take() {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Storage for SledStorage {
    fn incarnation(&self) -> [u8; 16] {
        *self.incarnation.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> watch::Receiver<Option<StorageError>> {
        self.shared.records.failure.subscribe()
    }

    async fn create_invitation(&self, hash: [u8; 32], invitation: Invitation) -> Result<(), InvitationError> {
        invitation.check_lengths()?;
        self.commit(move |writer, changes| accounts::create_invitation(&writer.records, changes, hash, invitation))
            .await
    }

    async fn register(&self, registration: Registration) -> Result<RegisterOutcome, RegisterError> {
        registration.check_lengths()?;
        self.space.check()?;
        self.commit(move |writer, changes| accounts::register(writer, changes, registration)).await
    }

    async fn account(&self, address: &Address) -> Result<Option<Account>, StorageError> {
        let address = address.clone();
        self.read_account(move |records| {
            let Some((record, statement)) = records.account_with_statement(&address)? else { return Ok((None, None)) };
            let number = Some(record.account);
            let account = Account {
                statement,
                statement_version: record.statement_version,
                organisation: record.organisation,
                devices: record.devices,
                created_ms: record.created,
                delivery_keys: record.delivery_keys,
                tenant: record.tenant,
                suspended: record.suspended,
                tenant_suspended: records.tenant_of(record.tenant)?.terms.suspended,
            };
            Ok((Some(account), number))
        })
        .await
    }

    async fn replace_statement(
        &self,
        address: &Address,
        expected_version: u64,
        statement: Vec<u8>,
        new_version: u64,
        devices: Vec<u32>,
    ) -> Result<ReplaceOutcome, StatementError> {
        check_statement_length(&statement)?;
        let address = address.clone();
        self.commit(move |writer, changes| {
            let records = &writer.records;
            accounts::replace_statement(records, changes, &address, expected_version, &statement, new_version, devices)
        })
        .await
    }

    async fn delete_account(&self, address: &Address, statement_version: u64) -> Result<(), StatementError> {
        let address = address.clone();
        self.commit(move |writer, changes| {
            accounts::delete_account(&writer.records, changes, &address, statement_version)
        })
        .await
    }

    async fn put_prekeys(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        prekeys: PrekeySet,
    ) -> Result<(), PrekeyError> {
        prekeys.check_lengths()?;
        self.space.check()?;
        self.commit_device(address, device, PrekeyError::UnknownDevice, move |records, changes, queue| {
            prekeys::put_prekeys(records, changes, queue, sequence, prekeys)
        })
        .await
    }

    async fn take_prekeys(&self, address: &Address, taking: Taking) -> Result<Vec<TakenPrekeys>, PrekeyError> {
        let address = address.clone();
        self.commit(move |writer, changes| prekeys::take_prekeys(&writer.records, changes, &address, &taking)).await
    }

    async fn prekey_status(&self, address: &Address, device: u32) -> Result<PrekeyStatus, PrekeyError> {
        let address = address.clone();
        self.read_account(move |records| {
            let queue = records.queue_key(&address, device)?.ok_or(PrekeyError::UnknownDevice)?;
            Ok((prekeys::prekey_status(records, queue)?, Some(queue.account)))
        })
        .await
    }

    async fn enqueue(&self, submission: Submission) -> Result<EnqueueOutcome, EnqueueError> {
        submission.check_lengths()?;
        self.space.check()?;
        let (operation, answer) = Enqueue::new(submission, self.limits().queue);
        self.submit(operation, answer).await
    }

    async fn fetch(
        &self,
        address: &Address,
        device: u32,
        after: u64,
        limit: usize,
    ) -> Result<Vec<QueuedEnvelope>, QueueError> {
        let address = address.clone();
        self.read(move |shared| {
            let queue = shared.records.queue_key(&address, device)?.ok_or(QueueError::UnknownDevice)?;
            queues::fetch(shared, queue, after, limit)
        })
        .await
    }

    async fn acknowledge(
        &self,
        address: &Address,
        device: u32,
        incarnation: [u8; 16],
        up_to: u64,
    ) -> Result<(), AcknowledgeError> {
        let address = address.clone();
        self.commit(move |writer, changes| {
            queues::acknowledge(&writer.records, changes, &address, device, incarnation, up_to)
        })
        .await
    }

    async fn watch(&self, address: &Address, device: u32) -> Result<watch::Receiver<u64>, QueueError> {
        let address = address.clone();
        self.read(move |shared| {
            let records = &shared.records;
            let queue = records.queue_key(&address, device)?.ok_or(QueueError::UnknownDevice)?;
            // Subscribed first and looked at second: whatever comes in between is seen one way or the other.
            let receiver = shared.hints.subscribe(queue);
            let highest = records.queue(queue)?.highest_sequence;
            shared.hints.raise(&queue, highest.min(shared.highest_durable(queue)));
            if records.queue_key(&address, device)? != Some(queue) {
                shared.hints.close(&queue);
                return Err(QueueError::UnknownDevice);
            }
            Ok(receiver)
        })
        .await
    }

    async fn expire(&self, now_ms: u64) -> Result<ExpireCounts, StorageError> {
        let mut total = ExpireCounts::default();
        loop {
            let (counts, more) =
                self.commit(move |writer, changes| queues::expire(writer, changes, now_ms, EXPIRE_BATCH_MAX)).await?;
            total.add(counts);
            if !more {
                return Ok(total);
            }
        }
    }

    async fn expired_count(&self, address: &Address, device: u32) -> Result<u64, QueueError> {
        let address = address.clone();
        self.read_account(move |records| {
            let queue = records.queue_key(&address, device)?.ok_or(QueueError::UnknownDevice)?;
            Ok((records.queue(queue)?.expired, Some(queue.account)))
        })
        .await
    }

    async fn settle_expired(&self, address: &Address, device: u32, count: u64) -> Result<(), QueueError> {
        self.commit_device(address, device, QueueError::UnknownDevice, move |records, changes, queue| {
            queues::settle_expired(records, changes, queue, count)
        })
        .await
    }

    async fn report_generation(&self, address: &Address, device: u32, generation: u64) -> Result<u64, QueueError> {
        self.commit_device(address, device, QueueError::UnknownDevice, move |records, changes, queue| {
            queues::report_generation(records, changes, queue, generation)
        })
        .await
    }

    async fn begin_blob(&self, blob: NewBlob) -> Result<BlobProgress, BeginBlobError> {
        self.space.check()?;
        self.begin(blob).await
    }

    async fn put_blob_piece(&self, piece: BlobPiece) -> Result<PieceOutcome, BlobError> {
        piece.check_length()?;
        self.space.check()?;
        self.put_piece(piece).await
    }

    async fn read_blob(&self, id: &[u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError> {
        self.read_range(*id, offset, length).await
    }

    async fn delete_blob(&self, id: &[u8; 32], secret_hash: &[u8; 32]) -> Result<(), BlobError> {
        self.delete(*id, *secret_hash).await
    }

    async fn blob_usage(&self) -> Result<BlobUsage, StorageError> {
        self.shared.records.check()?;
        Ok(*self.shared.blob_usage())
    }

    async fn put_key_packages(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        packages: KeyPackageSet,
    ) -> Result<(), KeyPackageError> {
        packages.check_lengths()?;
        self.space.check()?;
        self.commit_device(address, device, KeyPackageError::UnknownDevice, move |records, changes, queue| {
            key_packages::put_key_packages(records, changes, queue, sequence, &packages)
        })
        .await
    }

    async fn take_key_packages(
        &self,
        address: &Address,
        taking: Taking,
    ) -> Result<Vec<TakenKeyPackage>, KeyPackageError> {
        let address = address.clone();
        self.commit(move |writer, changes| key_packages::take_key_packages(&writer.records, changes, &address, &taking))
            .await
    }

    async fn key_package_status(&self, address: &Address, device: u32) -> Result<KeyPackageStatus, KeyPackageError> {
        let address = address.clone();
        self.read_account(move |records| {
            let queue = records.queue_key(&address, device)?.ok_or(KeyPackageError::UnknownDevice)?;
            Ok((key_packages::key_package_status(records, queue)?, Some(queue.account)))
        })
        .await
    }

    async fn create_group_log(&self, log: NewGroupLog) -> Result<(), CreateGroupLogError> {
        self.space.check()?;
        self.create_log(log).await
    }

    async fn append_group_entry(&self, append: GroupAppend) -> Result<GroupAppendOutcome, GroupAppendError> {
        append.check_length()?;
        self.space.check()?;
        self.append(append).await
    }

    async fn group_epoch(&self, log_id: &[u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError> {
        self.epoch(*log_id, epoch).await
    }

    async fn fetch_group_entries(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<GroupEntries, GroupLogError> {
        self.fetch_entries(*log_id, epoch, after, limit, bytes).await
    }

    async fn watch_group_log(&self, log_id: &[u8; 32]) -> Result<watch::Receiver<u64>, GroupLogError> {
        let log_id = *log_id;
        self.read(move |shared| {
            // Subscribed first and looked at second: whatever comes in between is seen one way or the other.
            let receiver = shared.group_hints.subscribe(log_id);
            let Some(log) = shared.records.group_log(&log_id)? else {
                shared.group_hints.close(&log_id);
                return Err(GroupLogError::UnknownLog);
            };
            let highest = log.highest_sequence.min(shared.highest_durable_entry(&log_id));
            shared.group_hints.raise(&log_id, highest);
            Ok(receiver)
        })
        .await
    }

    async fn group_usage(&self) -> Result<GroupUsage, StorageError> {
        self.shared.records.check()?;
        Ok(*self.shared.group_usage())
    }

    async fn export(&self, writer: Box<dyn io::Write + Send>) -> Result<(), ExportError> {
        let under_way =
            self.commit(move |committer, _| transfer::export(&committer.shared, &committer.records, writer)).await?;
        self.read(move |shared| under_way.finish(&shared.records)).await
    }

    async fn import(&self, mut reader: Box<dyn io::Read + Send>) -> Result<(), ImportError> {
        let path = self.directory.join("import.spool");
        let spool = path.clone();
        self.read(move |_| {
            let failed = |error| StorageError::Failed(format!("writing a copy of the export: {error}"));
            let mut file = io::BufWriter::new(File::create(&spool).map_err(failed)?);
            transfer::spool(reader.as_mut(), &mut file)?;
            io::Write::flush(&mut file).map_err(|error| ImportError::Storage(failed(error)))
        })
        .await?;
        let incarnation = draw_incarnation().map_err(|error| StorageError::Failed(error.to_string()))?;
        let spool = path.clone();
        let imported = self
            .commit(move |writer, changes| {
                let file = File::open(&spool).map_err(ImportError::Read)?;
                transfer::import(writer, changes, &mut io::BufReader::new(file), incarnation)
            })
            .await;
        // Only a copy; if it stays, the next import overwrites it.
        let _ = fs::remove_file(&path);
        imported?;
        *self.incarnation.write().unwrap_or_else(PoisonError::into_inner) = incarnation;
        Ok(())
    }

    async fn inspect(&self, after: Option<&Address>, limit: usize) -> Result<Vec<InspectedAccount>, StorageError> {
        let first = after.map_or_else(|| layout::ACCOUNTS.to_vec(), layout::account);
        self.read(move |shared| {
            let records = &shared.records;
            let last = vec![layout::ACCOUNTS[0] + 1];
            let found: Vec<_> = records
                .range(Bound::Excluded(first), Bound::Excluded(last))
                .take(limit.min(INSPECT_ACCOUNTS_MAX))
                .collect::<Result<_, _>>()?;
            found
                .iter()
                .map(|(key, value)| {
                    let account = AccountRecord::decode(value).map_err(|error| corrupt("an account", &error))?;
                    inspect_account(records, transfer::account_address(key)?, account)
                })
                .collect()
        })
        .await
    }

    async fn inspect_account(&self, address: &Address) -> Result<Option<InspectedAccount>, StorageError> {
        let address = address.clone();
        self.read(move |shared| {
            let account = shared.records.account(&address)?;
            account.map(|account| inspect_account(&shared.records, address, account)).transpose()
        })
        .await
    }

    async fn inspect_group_logs(
        &self,
        after: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<InspectedGroupLog>, StorageError> {
        let first = match after {
            Some(after) => Bound::Excluded(layout::group_log(&after)),
            None => Bound::Included(layout::GROUP_LOGS.to_vec()),
        };
        self.read(move |shared| inspect_group_logs(&shared.records, first, limit.min(INSPECT_GROUP_LOGS_MAX))).await
    }
}
