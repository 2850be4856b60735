//! Pieces of blobs at the storage trait: how fast they go to the disk, beside the disk's own write and sync of the same
//! pieces, and what they do to the mail that comes meanwhile.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_server::storage::{BlobPiece, NewBlob, SledStorage, Spend, Storage, StorageOptions};

use super::{Failed, NOW_MS, random_bytes};

/// Pieces of one blob: a blob that is whole is deleted, so that the disk does not fill.
const PIECES: u32 = 64;
/// Pieces under way at once, as one client sends them.
const IN_FLIGHT: u32 = 8;

/// Megabytes (10^6 bytes) a second, of the engine and of the disk alone.
pub(super) struct Throughput {
    pub(super) put: f64,
    pub(super) disk: f64,
}

/// Uploads that go on until they are told to stop.
pub(super) struct Uploads {
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    start: Instant,
    task: tokio::task::JoinHandle<Result<(), Failed>>,
}

impl Uploads {
    pub(super) fn start(storage: Arc<SledStorage>) -> Self {
        let (stop, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(upload(storage, Arc::clone(&stop), Arc::clone(&bytes)));
        Self { stop, bytes, start: Instant::now(), task }
    }

    /// Stops them and tells how many megabytes a second there were.
    pub(super) async fn stop(self) -> Result<f64, Failed> {
        self.stop.store(true, Ordering::Relaxed);
        let (bytes, seconds) = (self.bytes.load(Ordering::Relaxed), self.start.elapsed().as_secs_f64());
        self.task.await??;
        Ok(bytes as f64 / 1e6 / seconds)
    }
}

/// One blob after another, a few pieces at once.
async fn upload(storage: Arc<SledStorage>, stop: Arc<AtomicBool>, bytes: Arc<AtomicU64>) -> Result<(), Failed> {
    let data = Arc::new(random_bytes(BLOB_PIECE_LENGTH));
    for number in 0u64.. {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        storage.begin_blob(new_blob(id)).await?;
        let uploaders: Vec<_> = (0..IN_FLIGHT)
            .map(|uploader| {
                let (storage, stop, bytes) = (Arc::clone(&storage), Arc::clone(&stop), Arc::clone(&bytes));
                let data = Arc::clone(&data);
                tokio::spawn(async move {
                    for index in (uploader..PIECES).step_by(IN_FLIGHT as usize) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let piece = BlobPiece { id, secret_hash: [1; 32], index, data: data.to_vec() };
                        storage.put_blob_piece(piece).await?;
                        bytes.fetch_add(BLOB_PIECE_LENGTH as u64, Ordering::Relaxed);
                    }
                    Ok::<_, Failed>(())
                })
            })
            .collect();
        for uploader in uploaders {
            uploader.await??;
        }
        storage.delete_blob(&id, &[1; 32]).await?;
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}

fn new_blob(id: [u8; 32]) -> NewBlob {
    let length = u64::from(PIECES) * BLOB_PIECE_LENGTH as u64;
    let (now_ms, expires_ms) = (NOW_MS, NOW_MS + 1000);
    NewBlob {
        id,
        secret_hash: [1; 32],
        length,
        now_ms,
        expires_ms,
        unfinished_expires_ms: expires_ms,
        spend: Spend::default(),
    }
}

/// Pieces at the trait and on the bare disk, each for so long.
pub(super) fn measure(
    runtime: &tokio::runtime::Runtime,
    directory: &Path,
    duration: Duration,
) -> Result<Throughput, Box<dyn Error>> {
    let mut disk = measure_disk(directory, duration / 2)?;
    let store = directory.join("store-uploads");
    let put = runtime.block_on(async {
        let storage = Arc::new(SledStorage::open(&StorageOptions::new(&store))?);
        let uploads = Uploads::start(storage);
        tokio::time::sleep(duration).await;
        uploads.stop().await
    });
    let put = put.map_err(|error| error.to_string())?;
    fs::remove_dir_all(&store)?;
    disk = f64::midpoint(disk, measure_disk(directory, duration / 2)?);
    Ok(Throughput { put, disk })
}

/// Appends a piece and syncs, again and again, in a file that is begun anew where a blob would be.
fn measure_disk(directory: &Path, duration: Duration) -> Result<f64, Box<dyn Error>> {
    let path = directory.join("disk-pieces");
    let data = random_bytes(BLOB_PIECE_LENGTH);
    let (start, mut bytes) = (Instant::now(), 0);
    while start.elapsed() < duration {
        let mut file = File::create(&path)?;
        for _ in 0..PIECES {
            file.write_all(&data)?;
            file.sync_data()?;
            bytes += data.len();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(bytes as f64 / 1e6 / seconds)
}
