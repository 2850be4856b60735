//! The thread that puts pieces of blobs on the disk, and which of its segments may go.
//!
//! It is not the committer, because megabytes must not hold up mail. It writes and syncs what has come together; only
//! then a small record goes to the committer. Until that record is there, a [`PieceBody`] keeps the segment.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::records::Records;
use super::segment::{self, BodyReference, SegmentWriter};
use crate::fail_point::fail_point;
use crate::limits::{BLOB_BATCH_MAX, BLOB_QUEUE_MAX};
use crate::storage::StorageError;

/// How many live pieces each segment has. A segment without any is deleted, unless it is being written.
#[derive(Debug)]
pub(super) struct PieceSegments {
    directory: PathBuf,
    state: Mutex<SegmentState>,
}

#[derive(Debug)]
struct SegmentState {
    live: HashMap<u64, u64>,
    current: Option<u64>,
}

impl PieceSegments {
    /// The segments of a directory, each with the number of pieces that records refer to.
    pub(super) fn new(directory: PathBuf, live: HashMap<u64, u64>) -> Self {
        Self { directory, state: Mutex::new(SegmentState { live, current: None }) }
    }

    /// Counts a piece that was appended, while `current` is being written.
    fn add(&self, segment: u64, current: Option<u64>) {
        let mut state = self.lock();
        *state.live.entry(segment).or_default() += 1;
        state.current = current;
    }

    /// Counts a piece no more.
    pub(super) fn release(&self, segment: u64) {
        if let Some(live) = self.lock().live.get_mut(&segment) {
            *live = live.saturating_sub(1);
        }
    }

    /// Deletes what has no live piece.
    pub(super) fn delete_empty(&self) -> io::Result<()> {
        let mut empty = Vec::new();
        {
            let state = &mut *self.lock();
            let current = state.current;
            state.live.retain(|segment, live| {
                let keep = *live > 0 || Some(*segment) == current;
                if !keep {
                    empty.push(*segment);
                }
                keep
            });
        }
        empty.into_iter().try_for_each(|number| segment::delete(&self.directory, number))
    }

    /// Counts are whole whenever the lock is free.
    fn lock(&self) -> MutexGuard<'_, SegmentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece on the disk to which no record refers yet. Dropped, its bytes are garbage.
#[derive(Debug)]
pub(super) struct PieceBody {
    pub(super) reference: BodyReference,
    segments: Arc<PieceSegments>,
    kept: bool,
}

impl PieceBody {
    /// Leaves the piece to the record that now refers to it.
    pub(super) fn keep(mut self) -> BodyReference {
        self.kept = true;
        self.reference
    }
}

impl Drop for PieceBody {
    fn drop(&mut self) {
        if !self.kept {
            self.segments.release(self.reference.segment);
        }
    }
}

/// A piece that waits to be written, and who waits for it.
struct Job {
    data: Vec<u8>,
    reply: oneshot::Sender<Result<PieceBody, StorageError>>,
}

/// Hands pieces to the thread. It ends with the last of these.
#[derive(Debug, Clone)]
pub(super) struct PieceWriter(mpsc::Sender<Job>);

impl PieceWriter {
    /// Starts the thread.
    pub(super) fn start(
        records: Records,
        writer: SegmentWriter,
        segments: Arc<PieceSegments>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(BLOB_QUEUE_MAX);
        let thread = Thread { records, writer, segments };
        let handle = std::thread::Builder::new().name("blob writer".into()).spawn(move || thread.serve(waiting))?;
        Ok((Self(jobs), handle))
    }

    /// Puts a piece on the disk.
    pub(super) async fn write(&self, data: Vec<u8>) -> Result<PieceBody, StorageError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Job { data, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The same for a thread that may block.
    pub(super) fn write_blocking(&self, data: Vec<u8>) -> Result<PieceBody, StorageError> {
        let (reply, answer) = oneshot::channel();
        self.0.blocking_send(Job { data, reply }).map_err(|_| gone())?;
        answer.blocking_recv().map_err(|_| gone())?
    }
}

fn gone() -> StorageError {
    StorageError::Failed("the thread that writes blobs has stopped".into())
}

struct Thread {
    records: Records,
    writer: SegmentWriter,
    segments: Arc<PieceSegments>,
}

impl Thread {
    fn serve(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BLOB_BATCH_MAX {
                let Ok(job) = jobs.try_recv() else { break };
                batch.push(job);
            }
            let written = self.write(&batch);
            // Whoever asked may have gone away meanwhile.
            match written {
                Ok(bodies) => batch.into_iter().zip(bodies).for_each(|(job, body)| drop(job.reply.send(Ok(body)))),
                Err(failure) => batch.into_iter().for_each(|job| drop(job.reply.send(Err(failure.clone())))),
            }
        }
    }

    fn write(&mut self, batch: &[Job]) -> Result<Vec<PieceBody>, StorageError> {
        self.records.check()?;
        let failed = |what: &'static str| {
            let records = &self.records;
            move |error| records.fail(what, error)
        };
        let mut bodies = Vec::with_capacity(batch.len());
        for job in batch {
            let reference = self.writer.append(&job.data).map_err(|error| self.records.not_appended(error))?;
            self.segments.add(reference.segment, self.writer.current());
            bodies.push(PieceBody { reference, segments: Arc::clone(&self.segments), kept: false });
        }
        fail_point!(BeforePieceSync);
        self.writer.sync().map_err(failed("syncing a segment of blobs"))?;
        fail_point!(AfterPieceSync);
        self.segments.delete_empty().map_err(failed("deleting a segment of blobs"))?;
        Ok(bodies)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::OpenOptions;

    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn after_a_failed_write_nothing_is_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_owned();
        let failure = watch::Sender::new(None);
        let records = Records {
            tree: (*sled::Config::new().temporary(true).open().unwrap()).clone(),
            segments: directory.clone(),
            blob_segments: directory.clone(),
            failure: failure.clone(),
            pending: BTreeMap::new(),
        };
        // Every write to it fails: there is no space.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let segments = Arc::new(PieceSegments::new(directory.clone(), HashMap::new()));
        let writer = SegmentWriter::within(directory.clone(), full);
        let (writer, thread) = PieceWriter::start(records, writer, Arc::clone(&segments)).unwrap();
        let (first, second) = tokio::join!(writer.write(vec![1; 10]), writer.write(vec![2; 10]));
        assert!(matches!(first, Err(StorageError::Failed(_))), "{first:?}");
        assert!(matches!(second, Err(StorageError::Failed(_))), "{second:?}");
        assert!(failure.borrow().is_some(), "the whole engine has failed");
        let after = writer.write(vec![3; 10]).await;
        assert_eq!(after.err(), failure.borrow().clone());
        assert!(segments.lock().live.values().all(|live| *live == 0), "nothing is left counted");
        drop(writer);
        thread.join().unwrap();
    }
}
