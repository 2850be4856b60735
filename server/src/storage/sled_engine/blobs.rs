//! Blobs: beginning, storing a piece, reading and deleting, as changes of records.
//!
//! A blob has a number, and its pieces lie under the number, so that it is gone with one record; its pieces are then
//! swept away a batch at a time.

use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_core::wire::server_storage::{BlobPieceRecord, BlobRecord, StoreRecord};
use sha2::{Digest, Sha256};

use super::SledStorage;
use super::blob_bodies::PieceBody;
use super::committer::{Shared, Writer};
use super::layout::{self, Due};
use super::records::{Changes, Records};
use super::segment::SegmentReader;
use super::tokens;
use crate::fail_point::fail_point;
use crate::limits::EXPIRE_BATCH_MAX;
use crate::storage::blob::{check_piece, is_secret, mark_piece, no_pieces, pieces_of_range};
use crate::storage::{
    BeginBlobError, BlobError, BlobPiece, BlobProgress, BlobRange, NewBlob, PieceOutcome, StorageError,
};

/// When the pieces of a blob that is gone are due.
const AT_ANY_TIME: u64 = 0;

impl SledStorage {
    pub(super) async fn begin(&self, blob: NewBlob) -> Result<BlobProgress, BeginBlobError> {
        let bytes_max = self.limits().blob_bytes_max;
        let begun = self.commit(move |writer, changes| begin(writer, changes, &blob, bytes_max)).await?;
        let (blob, expires_ms) = (begun.blob, begun.blob.expires);
        if begun.new {
            return Ok(BlobProgress { stored_pieces: no_pieces(blob.length), expires_ms });
        }
        let stored_pieces = self.read(move |shared| stored_pieces(&shared.records, &blob)).await?;
        // A piece that was just seen may not be on the disk yet.
        self.settle().await?;
        Ok(BlobProgress { stored_pieces, expires_ms })
    }

    pub(super) async fn put_piece(&self, piece: BlobPiece) -> Result<PieceOutcome, BlobError> {
        let BlobPiece { id, secret_hash, index, data } = piece;
        let (data, digest, stored) = self
            .read(move |shared| {
                let digest: [u8; 32] = Sha256::digest(&data).into();
                let (_, stored) = admit(&shared.records, &id, &secret_hash, index, data.len(), &digest)?;
                Ok::<_, BlobError>((data, digest, stored))
            })
            .await?;
        let length = data.len();
        let body = if stored { None } else { Some(self.piece_writer()?.write(data).await?) };
        self.commit(move |writer, changes| {
            let (blob, stored) = admit(&writer.records, &id, &secret_hash, index, length, &digest)?;
            match body {
                _ if stored => Ok(PieceOutcome { complete: blob.is_complete() }),
                Some(body) => Ok(put_piece(&writer.shared, changes, &id, blob, index, body, digest)),
                // It was there a moment ago: another blob has taken the id meanwhile.
                None => Err(BlobError::Unknown),
            }
        })
        .await
    }

    pub(super) async fn read_range(&self, id: [u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError> {
        let (range, in_flight) = self
            .read(move |shared| {
                let range = read_range(&shared.records, &id, offset, length)?;
                Ok::<_, BlobError>((range, shared.is_blob_in_flight(&id)))
            })
            .await?;
        if in_flight {
            self.settle().await?;
        }
        Ok(range)
    }

    pub(super) async fn delete(&self, id: [u8; 32], secret_hash: [u8; 32]) -> Result<(), BlobError> {
        let gone = self
            .commit(move |writer, changes| match writer.records.blob(&id)? {
                Some(blob) if !is_secret(&blob, &secret_hash) => Err(BlobError::Mismatch),
                Some(blob) => {
                    remove(&writer.shared, changes, &id, &blob);
                    Ok(Some(blob.number))
                }
                None => Ok(None),
            })
            .await?;
        let Some(number) = gone else { return Ok(()) };
        fail_point!(BeforeSweep);
        // If this is broken off, the expiry goes on with it.
        loop {
            let swept = self.commit(move |writer, changes| sweep(writer, changes, number, EXPIRE_BATCH_MAX)).await?;
            if swept < EXPIRE_BATCH_MAX {
                return Ok(());
            }
        }
    }

    /// Waits until what has been seen is on the disk: the committer answers only then.
    async fn settle(&self) -> Result<(), StorageError> {
        self.commit(|_, _| Ok(())).await
    }
}

/// A blob that is there now, and whether it was there before.
struct Begun {
    blob: BlobRecord,
    new: bool,
}

fn begin(writer: &Writer, changes: &mut Changes, new: &NewBlob, bytes_max: u64) -> Result<Begun, BeginBlobError> {
    let records = &writer.records;
    if let Some(blob) = records.blob(&new.id)? {
        new.check_same(&blob)?;
        return Ok(Begun { blob, new: false });
    }
    let mut usage = writer.shared.blob_usage();
    if !usage.has_room(new.length, bytes_max) {
        return Err(BeginBlobError::Full { length: new.length });
    }
    tokens::spend::<BeginBlobError>(records, changes, &new.spend)?;
    let store = records.store()?;
    let blob = new.record(store.next_blob);
    usage.add(&blob);
    changes.put(layout::STORE_KEY.to_vec(), StoreRecord { next_blob: store.next_blob + 1, ..store }.encode());
    put_blob(changes, &new.id, &blob);
    Ok(Begun { blob, new: true })
}

/// Stores a blob's record and when it is due.
pub(super) fn put_blob(changes: &mut Changes, id: &[u8; 32], blob: &BlobRecord) {
    changes.put(layout::blob(id), blob.encode());
    changes.put(layout::deadline(blob.due(), Due::Blob(*id)), Vec::new());
    changes.effects.blobs.push(*id);
}

fn stored_pieces(records: &Records, blob: &BlobRecord) -> Result<Vec<u8>, StorageError> {
    let mut pieces = no_pieces(blob.length);
    for piece in records.blob_pieces(blob.number) {
        mark_piece(&mut pieces, piece?.0);
    }
    Ok(pieces)
}

/// The blob, and whether the piece is stored already.
fn admit(
    records: &Records,
    id: &[u8; 32],
    secret_hash: &[u8; 32],
    index: u32,
    length: usize,
    digest: &[u8; 32],
) -> Result<(BlobRecord, bool), BlobError> {
    let blob = records.blob(id)?.ok_or(BlobError::Unknown)?;
    check_piece(&blob, secret_hash, index, length)?;
    match records.blob_piece(blob.number, index)? {
        Some(stored) if stored.digest != *digest => Err(BlobError::Mismatch),
        stored => Ok((blob, stored.is_some())),
    }
}

fn put_piece(
    shared: &Shared,
    changes: &mut Changes,
    id: &[u8; 32],
    before: BlobRecord,
    index: u32,
    body: PieceBody,
    digest: [u8; 32],
) -> PieceOutcome {
    let blob = BlobRecord { stored_pieces: before.stored_pieces + 1, ..before };
    put_piece_record(changes, blob.number, index, body, digest);
    let mut usage = shared.blob_usage();
    usage.remove(&before);
    usage.add(&blob);
    changes.remove(layout::deadline(before.due(), Due::Blob(*id)));
    put_blob(changes, id, &blob);
    PieceOutcome { complete: blob.is_complete() }
}

/// Stores where a piece lies.
pub(super) fn put_piece_record(changes: &mut Changes, number: u64, index: u32, body: PieceBody, digest: [u8; 32]) {
    let body = body.keep();
    let piece = BlobPieceRecord {
        segment: body.segment,
        offset: body.offset,
        length: body.length,
        checksum: body.checksum,
        digest,
    };
    changes.put(layout::blob_piece(number, index), piece.encode());
}

fn read_range(records: &Records, id: &[u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError> {
    let find = || Ok::<_, StorageError>(records.blob(id)?.filter(BlobRecord::is_complete));
    let blob = find()?.ok_or(BlobError::Unknown)?;
    let length = length.min(BLOB_PIECE_LENGTH as u32);
    let mut data = Vec::with_capacity(length as usize);
    let mut reader = SegmentReader::new(&records.blob_segments);
    for (index, part) in pieces_of_range(blob.length, offset, length) {
        let body = match records.blob_piece(blob.number, index)? {
            Some(piece) => records.piece_body(&mut reader, &piece)?,
            None => None,
        };
        match body.as_ref().and_then(|body| body.get(part)) {
            Some(part) => data.extend_from_slice(part),
            // Deleted or run out since its record was read.
            None if find()?.is_none_or(|now| now.number != blob.number) => return Err(BlobError::Unknown),
            None => return Err(BlobError::Corrupt { index }),
        }
    }
    Ok(BlobRange { data, blob_length: blob.length })
}

/// Removes a blob. Its pieces are left to [`sweep`].
pub(super) fn remove(shared: &Shared, changes: &mut Changes, id: &[u8; 32], blob: &BlobRecord) {
    shared.blob_usage().remove(blob);
    changes.remove(layout::blob(id));
    changes.remove(layout::deadline(blob.due(), Due::Blob(*id)));
    changes.put(layout::deadline(AT_ANY_TIME, Due::BlobPieces(blob.number)), Vec::new());
    changes.effects.blobs.push(*id);
}

/// Drops at most `limit` pieces of a blob that is gone, and says how many there were: if fewer, nothing is left. While an
/// export reads pieces none is dropped: the expiry comes back.
pub(super) fn sweep(writer: &Writer, changes: &mut Changes, number: u64, limit: usize) -> Result<usize, StorageError> {
    if writer.shared.is_exporting() {
        return Ok(0);
    }
    let mut swept = 0;
    for piece in writer.records.blob_pieces(number).take(limit) {
        let (index, piece) = piece?;
        changes.remove(layout::blob_piece(number, index));
        changes.effects.released_pieces.push(piece.segment);
        swept += 1;
    }
    if swept < limit {
        changes.remove(layout::deadline(AT_ANY_TIME, Due::BlobPieces(number)));
    }
    Ok(swept)
}
