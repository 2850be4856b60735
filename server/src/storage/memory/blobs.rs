//! Blobs of the reference engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_core::wire::server_storage::BlobRecord;

use super::state::State;
use crate::storage::blob::{check_piece, is_secret, mark_piece, no_pieces, pieces_of_range};
use crate::storage::{BeginBlobError, BlobError, BlobPiece, BlobProgress, BlobRange, BlobUsage, NewBlob, PieceOutcome};

/// A blob with the pieces that are there. They are shared, because transactions run on copies.
#[derive(Debug, Clone)]
pub(super) struct MemoryBlob {
    pub(super) record: BlobRecord,
    pub(super) pieces: BTreeMap<u32, Arc<[u8]>>,
}

impl MemoryBlob {
    pub(super) const fn new(record: BlobRecord) -> Self {
        Self { record, pieces: BTreeMap::new() }
    }

    fn progress(&self) -> BlobProgress {
        let mut stored_pieces = no_pieces(self.record.length);
        for index in self.pieces.keys() {
            mark_piece(&mut stored_pieces, *index);
        }
        BlobProgress { stored_pieces, expires_ms: self.record.expires }
    }

    /// Adds a piece; one that is there already stays.
    pub(super) fn add(&mut self, index: u32, data: Vec<u8>) {
        self.pieces.entry(index).or_insert_with(|| data.into());
        self.record.stored_pieces = u32::try_from(self.pieces.len()).unwrap_or(u32::MAX);
    }
}

impl State {
    pub(super) fn begin_blob(&mut self, blob: &NewBlob, bytes_max: u64) -> Result<BlobProgress, BeginBlobError> {
        if let Some(known) = self.blobs.get(&blob.id) {
            blob.check_same(&known.record)?;
            return Ok(known.progress());
        }
        if !self.blob_usage().has_room(blob.length, bytes_max) {
            return Err(BeginBlobError::Full { length: blob.length });
        }
        self.spend::<BeginBlobError>(&blob.spend)?;
        // The numbers are for engines that keep pieces elsewhere.
        let begun = MemoryBlob::new(blob.record(1));
        let progress = begun.progress();
        self.blobs.insert(blob.id, begun);
        Ok(progress)
    }

    pub(super) fn put_blob_piece(&mut self, piece: BlobPiece) -> Result<PieceOutcome, BlobError> {
        let blob = self.blobs.get_mut(&piece.id).ok_or(BlobError::Unknown)?;
        check_piece(&blob.record, &piece.secret_hash, piece.index, piece.data.len())?;
        if blob.pieces.get(&piece.index).is_some_and(|stored| **stored != *piece.data) {
            return Err(BlobError::Mismatch);
        }
        blob.add(piece.index, piece.data);
        Ok(PieceOutcome { complete: blob.record.is_complete() })
    }

    pub(super) fn read_blob(&self, id: &[u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError> {
        let blob = self.blobs.get(id).filter(|blob| blob.record.is_complete()).ok_or(BlobError::Unknown)?;
        let mut data = Vec::new();
        for (index, part) in pieces_of_range(blob.record.length, offset, length.min(BLOB_PIECE_LENGTH as u32)) {
            let part = blob.pieces.get(&index).and_then(|piece| piece.get(part));
            data.extend_from_slice(part.ok_or(BlobError::Corrupt { index })?);
        }
        Ok(BlobRange { data, blob_length: blob.record.length })
    }

    pub(super) fn delete_blob(&mut self, id: &[u8; 32], secret_hash: &[u8; 32]) -> Result<(), BlobError> {
        match self.blobs.get(id) {
            Some(blob) if !is_secret(&blob.record, secret_hash) => return Err(BlobError::Mismatch),
            _ => self.blobs.remove(id),
        };
        Ok(())
    }

    pub(super) fn blob_usage(&self) -> BlobUsage {
        let mut usage = BlobUsage::default();
        for blob in self.blobs.values() {
            usage.add(&blob.record);
        }
        usage
    }
}
