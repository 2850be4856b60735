//! Blobs.

use std::io::Cursor;

use medipeps_core::limits::BLOB_PIECE_LENGTH;

use super::*;

const PIECE: u64 = BLOB_PIECE_LENGTH as u64;
const SECRET: [u8; 32] = [5; 32];
const FAR: u64 = NOW + 30 * DAY;
const SOON: u64 = NOW + 7 * DAY;

fn new_blob(id: u8, length: u64) -> NewBlob {
    NewBlob {
        id: [id; 32],
        secret_hash: SECRET,
        length,
        now_ms: NOW,
        expires_ms: FAR,
        unfinished_expires_ms: SOON,
        spend: Spend::default(),
    }
}

/// The bytes of a blob: no two pieces are the same.
fn contents(id: u8, length: u64) -> Vec<u8> {
    (0..length).map(|position| (position / 1009) as u8 ^ (position / PIECE) as u8 ^ id).collect()
}

fn piece(id: u8, length: u64, index: u32) -> BlobPiece {
    let start = u64::from(index) * PIECE;
    let data = contents(id, length)[start as usize..(start + PIECE).min(length) as usize].to_vec();
    BlobPiece { id: [id; 32], secret_hash: SECRET, index, data }
}

/// Begins a blob and puts these pieces.
async fn put(storage: &dyn Storage, id: u8, length: u64, pieces: &[u32]) {
    storage.begin_blob(new_blob(id, length)).await.unwrap();
    for index in pieces {
        storage.put_blob_piece(piece(id, length, *index)).await.unwrap();
    }
}

async fn whole(storage: &dyn Storage, id: u8) -> Result<Vec<u8>, BlobError> {
    let mut bytes = Vec::new();
    loop {
        let range = storage.read_blob(&[id; 32], bytes.len() as u64, BLOB_PIECE_LENGTH as u32).await?;
        if range.data.is_empty() {
            assert_eq!(range.blob_length, bytes.len() as u64);
            return Ok(bytes);
        }
        bytes.extend(range.data);
    }
}

pub(in crate::storage) async fn a_blob_is_begun_once<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = 2 * PIECE + 1;
    let nothing = BlobProgress { stored_pieces: vec![0], expires_ms: FAR };
    assert_eq!(storage.begin_blob(new_blob(1, length)).await, Ok(nothing.clone()));
    assert_eq!(storage.begin_blob(new_blob(1, length)).await, Ok(nothing));
    let longer = storage.begin_blob(new_blob(1, length + 1)).await;
    assert_eq!(longer, Err(BeginBlobError::Mismatch));
    let foreign = NewBlob { secret_hash: [6; 32], ..new_blob(1, length) };
    assert_eq!(storage.begin_blob(foreign).await, Err(BeginBlobError::Mismatch));
    let later = NewBlob { now_ms: NOW + DAY, expires_ms: FAR + DAY, ..new_blob(1, length) };
    assert_eq!(storage.begin_blob(later.clone()).await.unwrap().expires_ms, FAR, "a repeat prolongs nothing");
    storage.put_blob_piece(piece(1, length, 2)).await.unwrap();
    assert_eq!(storage.begin_blob(later).await.unwrap().stored_pieces, [0b100]);
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage { blobs: 1, complete: 0, bytes: length }));
}

pub(in crate::storage) async fn pieces_come_in_any_order<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = 10 * PIECE + 7;
    storage.begin_blob(new_blob(1, length)).await.unwrap();
    for (count, index) in [10, 3, 0, 9, 1, 2, 8, 7, 4, 6, 5].into_iter().enumerate() {
        assert_eq!(whole(&*storage, 1).await, Err(BlobError::Unknown), "it is not complete");
        let outcome = storage.put_blob_piece(piece(1, length, index)).await.unwrap();
        assert_eq!(outcome.complete, count == 10);
    }
    assert_eq!(storage.begin_blob(new_blob(1, length)).await.unwrap().stored_pieces, [0xff, 0b111]);
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, length)));
    assert_eq!(storage.blob_usage().await.unwrap().complete, 1);
}

pub(in crate::storage) async fn a_piece_is_stored_once<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = PIECE + 9;
    put(&*storage, 1, length, &[1]).await;
    let again = storage.put_blob_piece(piece(1, length, 1)).await;
    assert_eq!(again, Ok(PieceOutcome { complete: false }));
    let mut other = piece(1, length, 1);
    other.data[8] ^= 1;
    assert_eq!(storage.put_blob_piece(other).await, Err(BlobError::Mismatch));
    storage.put_blob_piece(piece(1, length, 0)).await.unwrap();
    let again = storage.put_blob_piece(piece(1, length, 0)).await;
    assert_eq!(again, Ok(PieceOutcome { complete: true }));
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, length)));
}

pub(in crate::storage) async fn a_piece_must_be_one_of_the_blob<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = PIECE + 9;
    put(&*storage, 1, length, &[]).await;
    let good = piece(1, length, 1);
    let with = |change: &dyn Fn(&mut BlobPiece)| {
        let mut piece = good.clone();
        change(&mut piece);
        piece
    };
    for wrong in [
        with(&|piece| piece.secret_hash[31] ^= 1),
        with(&|piece| piece.index = 0),
        with(&|piece| piece.index = 2),
        with(&|piece| piece.index = u32::MAX),
        with(&|piece| piece.data.push(0)),
        with(&|piece| piece.data.truncate(8)),
        with(&|piece| piece.data.clear()),
    ] {
        assert_eq!(storage.put_blob_piece(wrong).await, Err(BlobError::Mismatch));
    }
    assert_eq!(storage.put_blob_piece(with(&|piece| piece.id = [2; 32])).await, Err(BlobError::Unknown));
    let oversize = storage.put_blob_piece(with(&|piece| piece.data.resize(BLOB_PIECE_LENGTH + 1, 0))).await;
    assert!(matches!(oversize, Err(BlobError::Storage(StorageError::Oversize { .. }))), "{oversize:?}");
    assert_eq!(storage.begin_blob(new_blob(1, length)).await.unwrap().stored_pieces, [0]);
    assert_eq!(storage.put_blob_piece(good).await, Ok(PieceOutcome { complete: false }));
}

pub(in crate::storage) async fn two_uploads_of_one_blob_go_on_at_once<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = 12 * PIECE + 3;
    let uploads: Vec<_> = (0..2u32)
        .map(|upload| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move {
                storage.begin_blob(new_blob(1, length)).await.unwrap();
                let mut completed = 0;
                for step in 0..13 {
                    // One from the front, one from the back: they meet in the middle.
                    let index = if upload == 0 { step } else { 12 - step };
                    completed += u32::from(storage.put_blob_piece(piece(1, length, index)).await.unwrap().complete);
                }
                completed
            })
        })
        .collect();
    let mut completed = 0;
    for upload in uploads {
        completed += upload.await.unwrap();
    }
    assert!(completed >= 1, "somebody is told that it is complete");
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, length)));
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage { blobs: 1, complete: 1, bytes: length }));
}

pub(in crate::storage) async fn ranges_go_over_the_borders_of_pieces<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = 2 * PIECE + 100;
    put(&*storage, 1, length, &[0, 1, 2]).await;
    let all = contents(1, length);
    for (offset, asked, given) in [
        (0, 1, 1),
        (PIECE - 1, 2, 2),
        (PIECE - 7, BLOB_PIECE_LENGTH as u32, PIECE),
        (PIECE, BLOB_PIECE_LENGTH as u32, PIECE),
        (2 * PIECE - 1, 500, 101),
        (length - 1, 1, 1),
        (length, 1, 0),
        (u64::MAX, u32::MAX, 0),
        (0, u32::MAX, PIECE),
    ] {
        let range = storage.read_blob(&[1; 32], offset, asked).await.unwrap();
        let expected = all.get(offset as usize..).map_or(&[][..], |rest| &rest[..given as usize]);
        assert!(range.data == expected && range.blob_length == length, "{asked} bytes from {offset}");
    }
    assert_eq!(storage.read_blob(&[2; 32], 0, 1).await, Err(BlobError::Unknown));
}

pub(in crate::storage) async fn room_for_blobs_is_reserved_and_given_back<E: Engine>() {
    let engine = E::with_blobs(ROOMY, 100_000);
    let storage = engine.storage();
    let full = |length| Err(BeginBlobError::Full { length });
    assert_eq!(storage.begin_blob(new_blob(1, 100_001)).await, full(100_001));
    put(&*storage, 1, 60_000, &[]).await;
    assert_eq!(storage.begin_blob(new_blob(2, 40_001)).await, full(40_001), "the whole length is reserved");
    put(&*storage, 2, 40_000, &[0]).await;
    assert_eq!(storage.begin_blob(new_blob(3, 1)).await, full(1));
    put(&*storage, 1, 60_000, &[0]).await;
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage { blobs: 2, complete: 2, bytes: 100_000 }));
    storage.delete_blob(&[2; 32], &SECRET).await.unwrap();
    assert_eq!(storage.begin_blob(new_blob(3, 40_001)).await, full(40_001));
    put(&*storage, 3, 40_000, &[]).await;
    storage.expire(SOON).await.unwrap();
    put(&*storage, 4, 40_000, &[]).await;
    storage.expire(FAR).await.unwrap();
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage::default()));
    put(&*storage, 5, 100_000, &[]).await;
}

pub(in crate::storage) async fn a_deleted_blob_is_gone<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = 3 * PIECE;
    put(&*storage, 1, length, &[0, 1, 2]).await;
    put(&*storage, 2, length, &[1]).await;
    assert_eq!(storage.delete_blob(&[1; 32], &[6; 32]).await, Err(BlobError::Mismatch));
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, length)));
    for id in [1, 1, 2, 9] {
        assert_eq!(storage.delete_blob(&[id; 32], &SECRET).await, Ok(()), "repeats are harmless");
        assert_eq!(storage.read_blob(&[id; 32], 0, 1).await, Err(BlobError::Unknown));
    }
    assert_eq!(storage.put_blob_piece(piece(2, length, 0)).await, Err(BlobError::Unknown));
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage::default()));
    // The id is as good as new, and nothing of the old blob is left in it.
    let other = NewBlob { secret_hash: [6; 32], ..new_blob(1, PIECE + 5) };
    assert_eq!(storage.begin_blob(other).await.unwrap().stored_pieces, [0]);
    assert_eq!(storage.put_blob_piece(piece(1, PIECE + 5, 0)).await, Err(BlobError::Mismatch));
    let own = BlobPiece { secret_hash: [6; 32], ..piece(1, PIECE + 5, 1) };
    assert_eq!(storage.put_blob_piece(own).await, Ok(PieceOutcome { complete: false }));
    assert_eq!(storage.expire(NOW).await.unwrap().blobs, 0, "a deletion is no expiry");
}

pub(in crate::storage) async fn blobs_run_out<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let length = PIECE + 2;
    put(&*storage, 1, length, &[0, 1]).await;
    put(&*storage, 2, length, &[0]).await;
    put(&*storage, 3, length, &[]).await;
    assert_eq!(storage.expire(SOON - 1).await.unwrap().blobs, 0);
    assert_eq!(storage.expire(SOON).await.unwrap().blobs, 2, "those that are not complete");
    assert_eq!(storage.put_blob_piece(piece(2, length, 1)).await, Err(BlobError::Unknown));
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, length)));
    assert_eq!(storage.expire(FAR - 1).await.unwrap().blobs, 0);
    assert_eq!(storage.expire(FAR).await.unwrap().blobs, 1);
    assert_eq!(storage.read_blob(&[1; 32], 0, 1).await, Err(BlobError::Unknown));
    assert_eq!(storage.expire(FAR).await, Ok(ExpireCounts::default()));
    assert_eq!(storage.blob_usage().await, Ok(BlobUsage::default()));
}

pub(in crate::storage) async fn an_upload_goes_on_after_a_restart<E: Engine>() {
    let mut engine = E::with_blobs(ROOMY, 5 * PIECE);
    let storage = engine.storage();
    let length = 3 * PIECE + 2;
    put(&*storage, 1, length, &[0, 2]).await;
    put(&*storage, 2, 9, &[0]).await;
    let before = storage.blob_usage().await;
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.blob_usage().await, before);
    assert_eq!(storage.begin_blob(new_blob(1, length)).await.unwrap().stored_pieces, [0b101]);
    let full = storage.begin_blob(new_blob(3, 2 * PIECE)).await;
    assert_eq!(full, Err(BeginBlobError::Full { length: 2 * PIECE }), "what was reserved is still reserved");
    put(&*storage, 1, length, &[1, 3]).await;
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, length)));
    assert_eq!(whole(&*storage, 2).await, Ok(contents(2, 9)));
    storage.delete_blob(&[1; 32], &SECRET).await.unwrap();
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.read_blob(&[1; 32], 0, 1).await, Err(BlobError::Unknown));
    put(&*storage, 3, 2 * PIECE, &[0, 1]).await;
    assert_eq!(whole(&*storage, 3).await, Ok(contents(3, 2 * PIECE)));
}

pub(in crate::storage) async fn an_export_carries_complete_blobs<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let length = 2 * PIECE + 2;
    put(&*storage, 1, length, &[2, 0, 1]).await;
    put(&*storage, 2, length, &[0]).await;
    put(&*storage, 3, 1, &[0]).await;
    let exported = export(&*storage).await;
    assert_eq!(exported, export(&*storage).await, "an export leaves everything as it was");

    let mut target = E::create(ROOMY);
    let copy = target.storage();
    for position in [exported.len() / 2, exported.len() - 100] {
        let mut bad = exported.clone();
        bad[position] ^= 1;
        assert!(copy.import(Box::new(Cursor::new(bad))).await.is_err());
        assert!(copy.import(Box::new(Cursor::new(exported[..position].to_vec()))).await.is_err());
    }
    assert_eq!(copy.blob_usage().await, Ok(BlobUsage::default()), "nothing of it was taken");
    copy.import(Box::new(Cursor::new(exported.clone()))).await.unwrap();
    drop(copy);
    target.reopen();
    let copy = target.storage();
    assert_eq!(export(&*copy).await, exported);
    assert_eq!(whole(&*copy, 1).await, Ok(contents(1, length)));
    assert_eq!(whole(&*copy, 3).await, Ok(contents(3, 1)));
    assert_eq!(copy.blob_usage().await.unwrap().blobs, 2, "what was not complete is begun anew");
    assert_eq!(copy.account(&who).await, storage.account(&who).await);
    put(&*copy, 2, length, &[0, 1, 2]).await;
    assert_eq!(copy.delete_blob(&[1; 32], &[6; 32]).await, Err(BlobError::Mismatch));
    assert_eq!(copy.delete_blob(&[1; 32], &SECRET).await, Ok(()));
    assert_eq!(copy.expire(FAR).await.unwrap().blobs, 2);
}

pub(in crate::storage) async fn low_space_refuses_what_is_new_and_nothing_else<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    put(&*storage, 1, PIECE + 1, &[0]).await;
    put(&*storage, 2, 5, &[0]).await;
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 10)])).await, TAKEN);
    engine.set_low_space(true);
    use StorageError::LowSpace;
    assert!(matches!(
        storage.enqueue(submission(&who, 2, &[(1, 10)])).await,
        Err(EnqueueError::Storage(LowSpace { .. }))
    ));
    let begun = storage.begin_blob(new_blob(3, 5)).await;
    assert!(matches!(begun, Err(BeginBlobError::Storage(LowSpace { .. }))));
    let put_one = storage.put_blob_piece(piece(1, PIECE + 1, 1)).await;
    assert!(matches!(put_one, Err(BlobError::Storage(LowSpace { .. }))));
    let uploaded = storage.put_prekeys(&who, 1, 2, prekeys(1, 4..5)).await;
    assert!(matches!(uploaded, Err(PrekeyError::Storage(LowSpace { .. }))));
    let registered = storage.register(registration("b@x", [3; 32], &[1])).await;
    assert!(matches!(registered, Err(RegisterError::Storage(LowSpace { .. }))));

    assert_eq!(whole(&*storage, 2).await, Ok(contents(2, 5)));
    assert_eq!(storage.delete_blob(&[2; 32], &SECRET).await, Ok(()));
    assert_eq!(sequences(&*storage, &who, 1).await, [1]);
    assert_eq!(storage.acknowledge(&who, 1, storage.incarnation(), 1).await, Ok(()));
    assert_eq!(storage.failure().borrow().clone(), None, "a refusal is no failure of the engine");
    engine.set_low_space(false);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 10)])).await, TAKEN);
    put(&*storage, 1, PIECE + 1, &[1]).await;
    assert_eq!(whole(&*storage, 1).await, Ok(contents(1, PIECE + 1)));
}
