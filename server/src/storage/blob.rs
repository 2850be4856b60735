//! What the store keeps of blobs, and how an operation on them can fail.

use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_core::wire::server_storage::{BlobRecord, piece_count, piece_length};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::{Spend, SpendError, StorageError};
use crate::limits::BLOB_CHARGE_MIN;

/// A blob to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlob {
    /// Chosen by the uploader at random; whoever knows it may fetch.
    pub id: [u8; 32],
    /// The labelled SHA-256 of the upload secret.
    pub secret_hash: [u8; 32],
    /// Bytes of it, 1 to `BLOB_LENGTH_MAX`.
    pub length: u64,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// When it is dropped once it is complete, in milliseconds since 1970.
    pub expires_ms: u64,
    /// When it is dropped if it is not complete, in milliseconds since 1970.
    pub unfinished_expires_ms: u64,
    /// What pays for it.
    pub spend: Spend,
}

/// One piece of a blob that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPiece {
    /// Of the blob.
    pub id: [u8; 32],
    /// As in [`NewBlob`].
    pub secret_hash: [u8; 32],
    /// Counted from 0.
    pub index: u32,
    /// `BLOB_PIECE_LENGTH` bytes; the last piece has what is left.
    pub data: Vec<u8>,
}

/// How far a blob has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobProgress {
    /// Which pieces are on the disk: piece i is bit (i mod 8), counted from the lowest, of byte (i div 8).
    pub stored_pieces: Vec<u8>,
    /// When it is dropped once it is complete, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// How a piece was taken. It is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceOutcome {
    /// So are all others: the blob can be fetched.
    pub complete: bool,
}

/// Bytes of a complete blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRange {
    /// Fewer than were asked for only where the blob ends.
    pub data: Vec<u8>,
    /// Bytes of the whole blob.
    pub blob_length: u64,
}

/// What all blobs together take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlobUsage {
    /// Blobs, begun ones included.
    pub blobs: u64,
    /// Of them, those that can be fetched.
    pub complete: u64,
    /// Bytes that are reserved for them, stored or not.
    pub bytes: u64,
}

/// Why a blob was not begun. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BeginBlobError {
    /// The id belongs to a blob with another secret or length.
    #[error("the blob was begun with another secret or length")]
    Mismatch,
    /// All blobs together would take more than they may.
    #[error("there is no room for {length} bytes more")]
    Full {
        /// Of the blob that was refused.
        length: u64,
    },
    /// The tokens do not pay for it.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// The engine failed, or takes nothing now.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a piece was not taken, or a blob not read or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlobError {
    /// No blob has this id; for readers, none that is complete.
    #[error("no such blob")]
    Unknown,
    /// The secret is another one, the blob has no such piece, or the piece was stored with other bytes.
    #[error("the secret or the piece does not fit the blob")]
    Mismatch,
    /// A piece is not what was stored. It is not served.
    #[error("piece {index} of a blob is damaged")]
    Corrupt {
        /// Of the damaged piece.
        index: u32,
    },
    /// The engine failed, or takes nothing now.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl NewBlob {
    /// The record of the blob, before any piece of it is there.
    pub(super) const fn record(&self, number: u64) -> BlobRecord {
        BlobRecord {
            number,
            length: self.length,
            secret_hash: self.secret_hash,
            begun: self.now_ms,
            expires: self.expires_ms,
            unfinished_expires: self.unfinished_expires_ms,
            stored_pieces: 0,
        }
    }

    /// Holds a repeat against the blob that is there.
    pub(super) fn check_same(&self, blob: &BlobRecord) -> Result<(), BeginBlobError> {
        let same = is_secret(blob, &self.secret_hash) && blob.length == self.length;
        if same { Ok(()) } else { Err(BeginBlobError::Mismatch) }
    }
}

impl BlobPiece {
    /// Refuses what no service should have let through.
    pub(super) fn check_length(&self) -> Result<(), StorageError> {
        StorageError::check_length("a piece", self.data.len(), BLOB_PIECE_LENGTH)
    }
}

/// Whether a piece of so many bytes under this number, and from whoever knows this secret, is one of the blob.
pub(super) fn check_piece(
    blob: &BlobRecord,
    secret_hash: &[u8; 32],
    index: u32,
    length: usize,
) -> Result<(), BlobError> {
    let fits = is_secret(blob, secret_hash) && piece_length(blob.length, index) == Some(length);
    if fits { Ok(()) } else { Err(BlobError::Mismatch) }
}

/// Whether the secret is the one that the blob was begun with.
pub(super) fn is_secret(blob: &BlobRecord, secret_hash: &[u8; 32]) -> bool {
    blob.secret_hash.ct_eq(secret_hash).into()
}

/// The pieces that a range of a blob lies in, each with the part of it that belongs to the range.
pub(super) fn pieces_of_range(
    blob_length: u64,
    offset: u64,
    length: u32,
) -> impl Iterator<Item = (u32, std::ops::Range<usize>)> {
    let piece = BLOB_PIECE_LENGTH as u64;
    let offset = offset.min(blob_length);
    let end = offset.saturating_add(u64::from(length)).min(blob_length);
    let numbers = if offset < end { offset / piece..end.div_ceil(piece) } else { 0..0 };
    numbers.filter_map(move |number| {
        let start = number * piece;
        let within = |position: u64| usize::try_from(position.clamp(start, start + piece) - start).ok();
        Some((u32::try_from(number).ok()?, within(offset)?..within(end)?))
    })
}

/// A map of pieces in which nothing is marked.
pub(super) fn no_pieces(length: u64) -> Vec<u8> {
    vec![0; (piece_count(length) as usize).div_ceil(8)]
}

/// Marks a piece in such a map.
pub(super) fn mark_piece(pieces: &mut [u8], index: u32) {
    if let Some(byte) = pieces.get_mut((index / 8) as usize) {
        *byte |= 1 << (index % 8);
    }
}

impl BlobUsage {
    /// Bytes that a blob counts for: its record takes room as well.
    const fn charge(length: u64) -> u64 {
        if length < BLOB_CHARGE_MIN { BLOB_CHARGE_MIN } else { length }
    }

    /// Whether a blob of so many bytes still has room among `bytes_max`.
    pub(super) const fn has_room(&self, length: u64, bytes_max: u64) -> bool {
        self.bytes.saturating_add(Self::charge(length)) <= bytes_max
    }

    /// Counts a blob.
    pub(super) fn add(&mut self, blob: &BlobRecord) {
        self.blobs += 1;
        self.complete += u64::from(blob.is_complete());
        self.bytes = self.bytes.saturating_add(Self::charge(blob.length));
    }

    /// Counts it no more.
    pub(super) fn remove(&mut self, blob: &BlobRecord) {
        self.blobs = self.blobs.saturating_sub(1);
        self.complete = self.complete.saturating_sub(u64::from(blob.is_complete()));
        self.bytes = self.bytes.saturating_sub(Self::charge(blob.length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = BLOB_PIECE_LENGTH;

    fn ranges(blob_length: u64, offset: u64, length: u32) -> Vec<(u32, std::ops::Range<usize>)> {
        pieces_of_range(blob_length, offset, length).collect()
    }

    #[test]
    fn a_range_is_cut_where_pieces_end() {
        let piece = PIECE as u64;
        assert_eq!(ranges(3 * piece, 0, 1), [(0, 0..1)]);
        assert_eq!(ranges(3 * piece, piece - 1, 2), [(0, PIECE - 1..PIECE), (1, 0..1)]);
        assert_eq!(ranges(3 * piece, piece, PIECE as u32), [(1, 0..PIECE)]);
        assert_eq!(ranges(2 * piece + 5, 2 * piece, PIECE as u32), [(2, 0..5)]);
        assert_eq!(ranges(piece, piece, 1), []);
        assert_eq!(ranges(piece, u64::MAX, 1), []);
    }

    #[test]
    fn small_blobs_count_for_their_records() {
        let blob = NewBlob {
            id: [0; 32],
            secret_hash: [1; 32],
            length: 1,
            now_ms: 0,
            expires_ms: 2,
            unfinished_expires_ms: 1,
            spend: Spend::default(),
        };
        let mut usage = BlobUsage::default();
        usage.add(&blob.record(1));
        assert_eq!(usage, BlobUsage { blobs: 1, complete: 0, bytes: BLOB_CHARGE_MIN });
        assert!(usage.has_room(BLOB_CHARGE_MIN, 2 * BLOB_CHARGE_MIN));
        assert!(!usage.has_room(BLOB_CHARGE_MIN + 1, 2 * BLOB_CHARGE_MIN));
        usage.remove(&blob.record(1));
        assert_eq!(usage, BlobUsage::default());
    }
}
