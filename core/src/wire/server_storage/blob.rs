//! What the server keeps of a blob.

use prost::Message;

use crate::limits::{BLOB_LENGTH_MAX, BLOB_PIECE_LENGTH};
use crate::wire::{WireError, fixed, proto};

/// A blob, without its pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRecord {
    /// Its number, 1 and up, never given twice in a store: its pieces are kept under it.
    pub number: u64,
    /// Bytes of it, 1 to `BLOB_LENGTH_MAX`.
    pub length: u64,
    /// The hash of the upload secret.
    pub secret_hash: [u8; 32],
    /// When it was begun, in milliseconds since 1970.
    pub begun: u64,
    /// When it is dropped once it is complete, in milliseconds since 1970.
    pub expires: u64,
    /// When it is dropped if it is not complete, in milliseconds since 1970.
    pub unfinished_expires: u64,
    /// How many of its pieces are stored.
    pub stored_pieces: u32,
}

/// Where a piece of a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobPieceRecord {
    /// The number of the segment file.
    pub segment: u64,
    /// Of the segment record, in bytes.
    pub offset: u64,
    /// Of the piece, in bytes.
    pub length: u32,
    /// CRC-32 (ISO-HDLC) of the piece: finds faults of the disk.
    pub checksum: u32,
    /// SHA-256 of the piece: tells a repeat from other bytes.
    pub digest: [u8; 32],
}

impl BlobRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredBlob {
            number: self.number,
            length: self.length,
            secret_hash: self.secret_hash.to_vec(),
            begun: self.begun,
            expires: self.expires,
            unfinished_expires: self.unfinished_expires,
            stored_pieces: self.stored_pieces,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredBlob::decode(bytes)?;
        let record = Self {
            number: message.number,
            length: blob_length(message.length)?,
            secret_hash: fixed(&message.secret_hash, "secret_hash")?,
            begun: message.begun,
            expires: message.expires,
            unfinished_expires: message.unfinished_expires,
            stored_pieces: message.stored_pieces,
        };
        if record.number == 0 {
            return Err(WireError::Bounds("number"));
        }
        if record.stored_pieces > piece_count(record.length) {
            return Err(WireError::Bounds("stored_pieces"));
        }
        Ok(record)
    }

    /// Whether all of it is stored.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stored_pieces == piece_count(self.length)
    }

    /// When it is dropped as it stands, in milliseconds since 1970.
    #[must_use]
    pub fn due(&self) -> u64 {
        if self.is_complete() { self.expires } else { self.unfinished_expires }
    }
}

impl BlobPieceRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredBlobPiece {
            segment: self.segment,
            offset: self.offset,
            length: self.length,
            checksum: self.checksum,
            digest: self.digest.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredBlobPiece::decode(bytes)?;
        Ok(Self {
            segment: message.segment,
            offset: message.offset,
            length: message.length,
            checksum: message.checksum,
            digest: fixed(&message.digest, "digest")?,
        })
    }
}

/// Pieces of a blob of so many bytes, at most `BLOB_LENGTH_MAX`.
#[must_use]
pub fn piece_count(length: u64) -> u32 {
    u32::try_from(length.div_ceil(BLOB_PIECE_LENGTH as u64)).unwrap_or(u32::MAX)
}

/// Bytes of one piece of a blob of `length` bytes; `None` if it has no such piece.
#[must_use]
pub fn piece_length(length: u64, index: u32) -> Option<usize> {
    let left = length.checked_sub(u64::from(index) * BLOB_PIECE_LENGTH as u64)?;
    let piece = usize::try_from(left.min(BLOB_PIECE_LENGTH as u64)).ok()?;
    (piece > 0).then_some(piece)
}

/// A length that a blob may have.
pub(super) fn blob_length(length: u64) -> Result<u64, WireError> {
    if (1..=BLOB_LENGTH_MAX).contains(&length) { Ok(length) } else { Err(WireError::Bounds("length")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = BLOB_PIECE_LENGTH as u64;

    fn record(length: u64, stored_pieces: u32) -> BlobRecord {
        let (secret_hash, begun, expires) = ([7; 32], 1, 9);
        BlobRecord { number: 3, length, secret_hash, begun, expires, unfinished_expires: 5, stored_pieces }
    }

    #[test]
    fn records_survive_the_way_to_the_disk() {
        let blob = record(2 * PIECE, 1);
        assert_eq!(BlobRecord::decode(&blob.encode()), Ok(blob));
        let piece = BlobPieceRecord { segment: 1, offset: 2, length: 3, checksum: 4, digest: [5; 32] };
        assert_eq!(BlobPieceRecord::decode(&piece.encode()), Ok(piece));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let refused = |record: BlobRecord| BlobRecord::decode(&record.encode()).unwrap_err();
        assert_eq!(refused(record(0, 0)), WireError::Bounds("length"));
        assert_eq!(refused(record(BLOB_LENGTH_MAX + 1, 0)), WireError::Bounds("length"));
        assert_eq!(refused(record(PIECE, 2)), WireError::Bounds("stored_pieces"));
        assert_eq!(refused(BlobRecord { number: 0, ..record(1, 0) }), WireError::Bounds("number"));
        assert_eq!(BlobPieceRecord::decode(&[]), Err(WireError::Bounds("digest")));
    }

    #[test]
    fn a_blob_is_cut_into_pieces() {
        assert_eq!([1, PIECE, PIECE + 1, BLOB_LENGTH_MAX].map(piece_count), [1, 1, 2, 32_769]);
        assert_eq!([0, 1, 2].map(|index| piece_length(PIECE + 1, index)), [Some(PIECE as usize), Some(1), None]);
        assert_eq!([0, 1].map(|index| piece_length(PIECE, index)), [Some(PIECE as usize), None]);
        assert_eq!(piece_length(1, u32::MAX), None);
        assert!(record(PIECE + 1, 2).is_complete() && !record(PIECE + 1, 1).is_complete());
        assert_eq!([record(PIECE, 1), record(PIECE, 0)].map(|blob| blob.due()), [9, 5]);
    }
}
