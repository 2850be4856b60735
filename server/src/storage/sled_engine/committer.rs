//! The one thread that changes the store, and the order in which it does so.
//!
//! Operations that wait together are committed together. Each is worked out on top of those before it; then their bodies
//! go to the segment, which is synced; their records go to sled in one atomic batch; sled is flushed, and the file under
//! it is synced through a descriptor of our own, because sled's flush is not (reference/server.md section 3); only then
//! are they answered. After any failure nothing is answered with success any more.
//!
//! One batch for all of them, not one each: sled writes its log at the beginning of every batch (0.34.7,
//! `PageCache::pin_log`), which made a commit of many operations as slow as the disk is at small writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::blob_bodies::{PieceSegments, PieceWriter};
use super::flusher::Flusher;
use super::hints::Hints;
use super::layout::QueueKey;
use super::records::{Changes, Effects, Records};
use super::segment::{self, SegmentWriter};
use super::tenants::TenantBook;
use crate::fail_point::fail_point;
use crate::limits::COMMIT_BATCH_BYTES_MAX;
use crate::storage::{BlobUsage, GroupUsage, StorageError, StoreMetrics};

/// What the committer shares with readers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) records: Records,
    in_flight: Mutex<InFlight>,
    pub(super) hints: Hints<QueueKey>,
    pub(super) group_hints: Hints<[u8; 32]>,
    /// As the operations so far leave it.
    blob_usage: Mutex<BlobUsage>,
    /// The same for group logs.
    group_usage: Mutex<GroupUsage>,
    /// The same for the accounts of tenants.
    tenants: Mutex<TenantBook>,
    /// Exports that read pieces of blobs.
    exports: AtomicUsize,
    pub(super) piece_segments: Arc<PieceSegments>,
}

/// While it lives, no piece of a blob is dropped.
#[derive(Debug)]
pub(super) struct ExportHold(Arc<Shared>);

/// What is in the tree and perhaps not on the disk.
#[derive(Debug, Default)]
struct InFlight {
    accounts: BTreeSet<u64>,
    blobs: BTreeSet<[u8; 32]>,
    /// The lowest sequence of each queue that is not on the disk.
    queues: BTreeMap<QueueKey, u64>,
    /// Group logs that begin, end, or begin or end an epoch.
    group_logs: BTreeSet<[u8; 32]>,
    /// The lowest sequence of each group log that is not on the disk.
    group_entries: BTreeMap<[u8; 32], u64>,
}

impl Shared {
    pub(super) fn new(
        records: Records,
        blob_usage: BlobUsage,
        group_usage: GroupUsage,
        tenants: TenantBook,
        piece_segments: Arc<PieceSegments>,
    ) -> Self {
        Self {
            records,
            in_flight: Mutex::default(),
            hints: Hints::default(),
            group_hints: Hints::default(),
            blob_usage: Mutex::new(blob_usage),
            group_usage: Mutex::new(group_usage),
            tenants: Mutex::new(tenants),
            exports: AtomicUsize::new(0),
            piece_segments,
        }
    }

    /// What all group logs together take; only the committer changes it.
    pub(super) fn group_usage(&self) -> MutexGuard<'_, GroupUsage> {
        lock(&self.group_usage)
    }

    /// What the accounts of tenants take; only the committer changes it.
    pub(super) fn tenants(&self) -> MutexGuard<'_, TenantBook> {
        lock(&self.tenants)
    }

    /// What all blobs together take; only the committer changes it.
    pub(super) fn blob_usage(&self) -> MutexGuard<'_, BlobUsage> {
        lock(&self.blob_usage)
    }

    /// Keeps all pieces of blobs for an export. For the committer, so that nothing is dropped at the same moment.
    pub(super) fn hold_pieces(self: &Arc<Self>) -> ExportHold {
        self.exports.fetch_add(1, Ordering::SeqCst);
        ExportHold(Arc::clone(self))
    }

    /// Whether pieces of blobs must stay.
    pub(super) fn is_exporting(&self) -> bool {
        self.exports.load(Ordering::SeqCst) > 0
    }

    /// Whether a blob may be ahead of the disk. To be asked after it was read.
    pub(super) fn is_blob_in_flight(&self, id: &[u8; 32]) -> bool {
        lock(&self.in_flight).blobs.contains(id)
    }

    /// Whether an account's records may be ahead of the disk. To be asked after they were read.
    pub(super) fn is_in_flight(&self, account: u64) -> bool {
        lock(&self.in_flight).accounts.contains(&account)
    }

    /// The highest sequence of a queue that may be served. To be asked after the queue was read: whatever a reader found
    /// in the tree was marked before it got there.
    pub(super) fn highest_durable(&self, queue: QueueKey) -> u64 {
        lock(&self.in_flight).queues.get(&queue).map_or(u64::MAX, |lowest| lowest - 1)
    }

    /// Whether the epochs of a group log may be ahead of the disk. To be asked after they were read.
    pub(super) fn is_group_log_in_flight(&self, log_id: &[u8; 32]) -> bool {
        lock(&self.in_flight).group_logs.contains(log_id)
    }

    /// The highest sequence of a group log that may be served. To be asked after the entries were read.
    pub(super) fn highest_durable_entry(&self, log_id: &[u8; 32]) -> u64 {
        lock(&self.in_flight).group_entries.get(log_id).map_or(u64::MAX, |lowest| lowest - 1)
    }

    fn mark(&self, effects: &Effects) {
        let mut in_flight = lock(&self.in_flight);
        in_flight.accounts.extend(&effects.accounts);
        in_flight.blobs.extend(&effects.blobs);
        for (queue, sequence) in &effects.enqueued {
            in_flight.queues.entry(*queue).or_insert(*sequence);
        }
        in_flight.group_logs.extend(&effects.group_logs);
        for (log_id, sequence) in &effects.group_entries {
            in_flight.group_entries.entry(*log_id).or_insert(*sequence);
        }
    }

    fn unmark(&self) {
        let mut in_flight = lock(&self.in_flight);
        in_flight.accounts.clear();
        in_flight.blobs.clear();
        in_flight.queues.clear();
        in_flight.group_logs.clear();
        in_flight.group_entries.clear();
    }
}

impl Drop for ExportHold {
    fn drop(&mut self) {
        self.0.exports.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A map is whole whenever its lock is free, so a thread that died holding it left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thing for the committer to do.
pub(super) trait Operation: Send {
    /// Bytes of bodies that it will store.
    fn body_bytes(&self) -> usize {
        0
    }

    /// Works out the answer and the changes, or an answer without any. The writer's records show all operations before.
    fn run(&mut self, writer: &mut Writer) -> Changes;

    /// Gives the answer, or the failure that came in between.
    fn answer(self: Box<Self>, committed: Result<(), StorageError>);
}

/// An operation that a closure describes.
pub(super) struct Plain<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Plain<F, T, E> {
    /// The operation, and where its answer will come.
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work: Some(work), outcome: None, reply }, answer)
    }
}

impl<F, T, E> Operation for Plain<F, T, E>
where
    F: FnOnce(&mut Writer, &mut Changes) -> Result<T, E> + Send,
    T: Send,
    E: From<StorageError> + Send,
{
    fn run(&mut self, writer: &mut Writer) -> Changes {
        let mut changes = Changes::default();
        let outcome = self.work.take().map(|work| work(writer, &mut changes));
        let succeeded = matches!(outcome, Some(Ok(_)));
        self.outcome = outcome;
        if succeeded { changes } else { Changes::default() }
    }

    fn answer(self: Box<Self>, committed: Result<(), StorageError>) {
        let never_run = || Err(StorageError::Failed("the operation was not run".into()).into());
        // Whoever asked may have gone away meanwhile.
        let _ = self.reply.send(match committed {
            Ok(()) => self.outcome.unwrap_or_else(never_run),
            Err(failure) => Err(failure.into()),
        });
    }
}

/// The committer's own state: what only it may touch.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// The records as the operations so far leave them, whether they are in the tree already or not.
    pub(super) records: Records,
    pub(super) flusher: Flusher,
    /// Our own descriptor of sled's file.
    pub(super) file: File,
    pub(super) segments: SegmentWriter,
    /// Where pieces of blobs go, for an import.
    pub(super) piece_writer: PieceWriter,
    /// Live bodies in each segment.
    pub(super) live: HashMap<u64, u64>,
    pub(super) batch_max: usize,
    pub(super) metrics: StoreMetrics,
    /// Of changes that are not yet in the tree.
    pub(super) staged: Effects,
    /// Of changes that are in the tree and not yet on the disk.
    pub(super) applied: Effects,
}

impl Writer {
    /// Serves operations until the last sender is gone.
    pub(super) fn serve(mut self, mut operations: mpsc::Receiver<Box<dyn Operation>>) {
        while let Some(first) = operations.blocking_recv() {
            let mut bytes = first.body_bytes();
            let mut batch = vec![first];
            while batch.len() < self.batch_max && bytes < COMMIT_BATCH_BYTES_MAX {
                let Ok(operation) = operations.try_recv() else { break };
                bytes += operation.body_bytes();
                batch.push(operation);
            }
            let began = Instant::now();
            let committed = self.commit(&mut batch);
            self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
            self.metrics.commit_operations.observe(batch.len() as f64);
            fail_point!(BeforeCommitAnswer);
            for operation in batch {
                operation.answer(committed.clone());
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Operation>]) -> Result<(), StorageError> {
        self.records.check()?;
        for operation in batch {
            let changes = operation.run(self);
            self.records.check()?;
            self.stage(changes);
        }
        if self.records.pending.is_empty() {
            return Ok(());
        }
        self.apply()?;
        self.sync()?;
        self.publish()
    }

    /// Adds changes to those that the next [`Writer::apply`] puts into the tree.
    pub(super) fn stage(&mut self, mut changes: Changes) {
        self.records.pending.extend(changes.puts);
        if !changes.effects.usage.is_empty() {
            let mut tenants = self.shared.tenants();
            std::mem::take(&mut changes.effects.usage).into_iter().for_each(|change| tenants.apply(change));
        }
        self.staged.add(changes.effects);
    }

    /// Puts what is staged into the tree, bodies on the disk first: a record must never be there before the body that it
    /// refers to.
    pub(super) fn apply(&mut self) -> Result<(), StorageError> {
        let records = &mut self.records;
        fail_point!(BeforeBodySync);
        self.segments.sync().map_err(|error| records.fail("syncing a segment", error))?;
        fail_point!(AfterBodySync);
        self.shared.mark(&self.staged);
        let mut batch = sled::Batch::default();
        for (key, value) in std::mem::take(&mut records.pending) {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        fail_point!(BeforeApply);
        records.tree.apply_batch(batch).map_err(|error| records.fail("changing records", error))?;
        fail_point!(AfterApply);
        self.applied.add(std::mem::take(&mut self.staged));
        Ok(())
    }

    /// Puts the tree on the disk.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        let began = Instant::now();
        self.flusher.flush().map_err(|error| self.records.fail("flushing sled", error))?;
        fail_point!(AfterFlush);
        self.file.sync_all().map_err(|error| self.records.fail("syncing sled's file", error))?;
        self.metrics.sync_seconds.observe(began.elapsed().as_secs_f64());
        fail_point!(AfterFileSync);
        Ok(())
    }

    /// Does what follows from changes that are on the disk.
    fn publish(&mut self) -> Result<(), StorageError> {
        self.shared.unmark();
        let effects = std::mem::take(&mut self.applied);
        self.metrics.queued.inc_by(effects.queued);
        self.metrics.queued_bytes.inc_by(effects.queued_bytes);
        self.metrics.enqueued.inc_by(effects.accepted);
        self.metrics.acknowledged.inc_by(effects.acknowledged);
        self.metrics.expired.inc_by(effects.expired);
        for segment in effects.stored {
            *self.live.entry(segment).or_default() += 1;
        }
        for segment in effects.released {
            if let Some(live) = self.live.get_mut(&segment) {
                *live = live.saturating_sub(1);
            }
        }
        if !effects.released_pieces.is_empty() {
            let pieces = &self.shared.piece_segments;
            effects.released_pieces.into_iter().for_each(|segment| pieces.release(segment));
            pieces.delete_empty().map_err(|error| self.records.fail("deleting a segment of blobs", error))?;
        }
        fail_point!(BeforeHints);
        for queue in effects.closed {
            self.shared.hints.close(&queue);
        }
        let highest: HashMap<QueueKey, u64> = effects.enqueued.into_iter().collect();
        for (queue, sequence) in highest {
            self.shared.hints.raise(&queue, sequence);
        }
        for log_id in effects.closed_group_logs {
            self.shared.group_hints.close(&log_id);
        }
        let highest: HashMap<[u8; 32], u64> = effects.group_entries.into_iter().collect();
        for (log_id, sequence) in highest {
            self.shared.group_hints.raise(&log_id, sequence);
        }
        self.delete_empty_segments()
    }

    fn delete_empty_segments(&mut self) -> Result<(), StorageError> {
        let current = self.segments.current();
        let empty: Vec<u64> = self
            .live
            .iter()
            .filter(|(segment, live)| **live == 0 && Some(**segment) != current)
            .map(|(segment, _)| *segment)
            .collect();
        for number in empty {
            self.live.remove(&number);
            let records = &self.records;
            segment::delete(&records.segments, number).map_err(|error| records.fail("deleting a segment", error))?;
        }
        Ok(())
    }
}
