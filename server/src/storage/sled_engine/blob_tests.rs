//! Blobs on sled: what only an engine on a disk can get wrong.

use std::future::Future;
use std::io::Write;
use std::sync::Mutex;
use std::task::{Context, Waker};

use medipeps_core::limits::BLOB_PIECE_LENGTH;

use super::*;
use crate::storage::Spend;

const NOW: u64 = 1_800_000_000_000;
const PIECE: usize = BLOB_PIECE_LENGTH;
const SECRET: [u8; 32] = [5; 32];

/// One segment a piece.
fn engine() -> SledEngine {
    let directory = tempfile::tempdir().unwrap();
    let options = StorageOptions {
        blob_segment_bytes: 1,
        cache_bytes: 8 << 20,
        ..StorageOptions::new(directory.path().join("data"))
    };
    SledEngine::on(directory, options)
}

fn new_blob(id: u8, pieces: usize) -> NewBlob {
    let (id, length) = ([id; 32], (pieces * PIECE) as u64);
    NewBlob {
        id,
        secret_hash: SECRET,
        length,
        now_ms: NOW,
        expires_ms: NOW + 9,
        unfinished_expires_ms: NOW + 5,
        spend: Spend::default(),
    }
}

fn piece(id: u8, index: u32) -> BlobPiece {
    BlobPiece { id: [id; 32], secret_hash: SECRET, index, data: vec![index as u8 ^ 0x55; PIECE] }
}

async fn put(storage: &SledStorage, id: u8, pieces: usize, indices: std::ops::Range<u32>) {
    storage.begin_blob(new_blob(id, pieces)).await.unwrap();
    for index in indices {
        storage.put_blob_piece(piece(id, index)).await.unwrap();
    }
}

fn files(engine: &SledEngine) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(engine.options.directory.join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_damaged_piece_is_never_served() {
    let mut engine = engine();
    put(engine.sled(), 1, 3, 0..3).await;
    engine.close();
    let file = &files(&engine)[1];
    let mut bytes = fs::read(file).unwrap();
    bytes[PIECE / 2] ^= 1;
    fs::write(file, bytes).unwrap();
    engine.start();
    let storage = engine.sled();
    let id = [1; 32];
    assert_eq!(storage.read_blob(&id, 0, PIECE as u32).await.unwrap().data, piece(1, 0).data);
    assert_eq!(storage.read_blob(&id, PIECE as u64 - 1, 2).await, Err(BlobError::Corrupt { index: 1 }));
    assert_eq!(storage.read_blob(&id, PIECE as u64, 1).await, Err(BlobError::Corrupt { index: 1 }), "a byte is enough");
    assert_eq!(storage.read_blob(&id, 2 * PIECE as u64, 3).await.unwrap().data, [0x57; 3]);
    let exported = storage.export(Box::new(io::sink())).await;
    assert!(matches!(exported, Err(ExportError::Storage(StorageError::Corrupt(_)))), "{exported:?}");
    assert_eq!(*storage.failure().borrow(), None, "a damaged piece does not stop the others");
    assert_eq!(storage.delete_blob(&id, &SECRET).await, Ok(()), "and one can be rid of it");
}

#[tokio::test]
async fn blob_segments_go_with_their_last_piece() {
    let mut engine = engine();
    put(engine.sled(), 1, 4, 0..4).await;
    put(engine.sled(), 2, 2, 0..1).await;
    assert_eq!(files(&engine).len(), 5);
    engine.sled().delete_blob(&[1; 32], &SECRET).await.unwrap();
    assert_eq!(files(&engine).len(), 1, "the one of the other blob");
    engine.sled().expire(NOW + 5).await.unwrap();
    assert!(files(&engine).len() <= 1, "the one that is being written");
    engine.reopen();
    assert_eq!(files(&engine).len(), 0, "at the next start it is no longer written");
    let pieces = engine.sled().shared.records.scan(layout::BLOB_PIECES).count();
    let deadlines = engine.sled().shared.records.scan(layout::DEADLINES).count();
    assert_eq!((pieces, deadlines), (0, 0), "no record is left behind");
}

#[tokio::test]
async fn a_deletion_that_was_cut_short_is_finished_by_the_expiry() {
    let mut engine = engine();
    put(engine.sled(), 1, 3, 0..3).await;
    // What a crash leaves between the commit that takes the blob away and those that take its pieces.
    engine
        .sled()
        .commit(|writer, changes| {
            let blob = writer.records.blob(&[1; 32])?.unwrap();
            blobs::remove(&writer.shared, changes, &[1; 32], &blob);
            Ok::<_, StorageError>(())
        })
        .await
        .unwrap();
    engine.reopen();
    let storage = engine.sled();
    assert_eq!(storage.read_blob(&[1; 32], 0, 1).await, Err(BlobError::Unknown));
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage::default()));
    assert_eq!(files(&engine).len(), 3);
    put(storage, 1, 3, 1..2).await;
    storage.expire(NOW).await.unwrap();
    assert_eq!(files(&engine).len(), 1, "the new blob has its piece");
    put(storage, 1, 3, 0..3).await;
    assert_eq!(storage.read_blob(&[1; 32], PIECE as u64, 1).await.unwrap().data, [0x54]);
}

#[tokio::test]
async fn a_piece_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    let engine = engine();
    let storage = engine.sled();
    put(storage, 1, 3, 0..1).await;
    {
        // On the disk, and the record never comes.
        let body = storage.piece_writer().unwrap().write(piece(1, 1).data).await.unwrap();
        put(storage, 1, 3, 2..3).await;
        assert_eq!(files(&engine).len(), 3, "its segment is kept as long as the record may come");
        drop(body);
    }
    put(storage, 2, 1, 0..1).await;
    assert_eq!(files(&engine).len(), 3, "of the first, the third and the other blob");
    assert_eq!(storage.begin_blob(new_blob(1, 3)).await.unwrap().stored_pieces, [0b101]);
    // Dropped at the first wait: whatever was begun must not hurt the next one.
    let mut broken_off = Box::pin(storage.put_blob_piece(piece(1, 1)));
    assert!(broken_off.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(broken_off);
    assert_eq!(storage.put_blob_piece(piece(1, 1)).await, Ok(PieceOutcome { complete: true }));
}

#[tokio::test]
async fn a_segment_that_cannot_be_begun_refuses_and_recovers() {
    let engine = engine();
    put(engine.sled(), 1, 3, 0..1).await;
    let folder = engine.options.directory.join("blobs");
    let aside = engine.options.directory.join("aside");
    fs::rename(&folder, &aside).unwrap();
    let refused = engine.sled().put_blob_piece(piece(1, 1)).await;
    assert!(matches!(refused, Err(BlobError::Storage(StorageError::Unavailable(_)))), "{refused:?}");
    fs::rename(&aside, &folder).unwrap();
    assert_eq!(engine.sled().begin_blob(new_blob(1, 3)).await.unwrap().stored_pieces, [1]);
    put(engine.sled(), 1, 3, 1..3).await;
    assert_eq!(engine.sled().read_blob(&[1; 32], PIECE as u64, 1).await.unwrap().data, [0x54]);
}

/// A writer that waits, once, until it is let go on.
struct Gate {
    written: Arc<Mutex<Vec<u8>>>,
    pause_after: usize,
    reached: std::sync::mpsc::SyncSender<()>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written.lock().unwrap();
        let before = written.len();
        written.extend_from_slice(bytes);
        if before < self.pause_after && written.len() >= self.pause_after {
            self.reached.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_on_while_an_export_writes_blobs_and_what_is_deleted_is_in_it_whole() {
    let engine = engine();
    let storage = Arc::clone(engine.sled());
    let who = register(&*storage, "a@x", &[1]).await;
    put(&storage, 1, 3, 0..3).await;
    let expected = export(&*storage).await;
    let (written, (reached, wait), (let_go, go_on)) =
        (Arc::default(), std::sync::mpsc::sync_channel(1), std::sync::mpsc::sync_channel(1));
    // In the middle of the first piece.
    let gate = Gate { written: Arc::clone(&written), pause_after: expected.len() - 3 * PIECE, reached, go_on };
    let exporting = tokio::spawn({
        let storage = Arc::clone(&storage);
        async move { storage.export(Box::new(gate)).await }
    });
    tokio::task::spawn_blocking(move || wait.recv().unwrap()).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 10)])).await, ACCEPTED);
    assert_eq!(storage.delete_blob(&[1; 32], &SECRET).await, Ok(()));
    assert_eq!(storage.read_blob(&[1; 32], 0, 1).await, Err(BlobError::Unknown));
    storage.expire(NOW + 9).await.unwrap();
    let_go.send(()).unwrap();
    exporting.await.unwrap().unwrap();
    assert!(*written.lock().unwrap() == expected, "the export is as of the moment in which it began");
    assert_eq!(files(&engine).len(), 3);
    storage.expire(NOW + 9).await.unwrap();
    assert!(files(&engine).len() <= 1, "once it is done the pieces go");
}

#[tokio::test]
async fn a_floor_above_what_the_disk_has_refuses_and_one_below_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StorageOptions::new(directory.path().join("data"));
    options.free_space_floor = u64::MAX;
    let storage = SledStorage::open(&options).unwrap();
    let refused = storage.begin_blob(new_blob(1, 1)).await;
    let low = StorageError::LowSpace { floor: u64::MAX };
    assert_eq!(refused, Err(BeginBlobError::Storage(low)), "no disk has so much");
    drop(storage);
    options.free_space_floor = 1;
    let storage = SledStorage::open(&options).unwrap();
    put(&storage, 1, 1, 0..1).await;
}
