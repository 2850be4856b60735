//! What one side tells the other: some chunks of the piece that it is sending.

use crate::erasure::{CHUNK_LENGTH, Chunk};
use crate::limits::BRAID_CHUNKS;

/// Bytes of an encoded message: epoch, kind, first index, chunks.
pub const BRAID_MESSAGE_LENGTH: usize = 8 + 1 + 2 + BRAID_CHUNKS * CHUNK_LENGTH;

/// Which piece the chunks are of. The specification's Ct1Ack is never needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// No chunks.
    None = 0,
    /// Hdr
    Header = 1,
    /// Ek
    Vector = 2,
    /// `EkCt1Ack`: chunks of Ek, and the first part of the ciphertext has arrived.
    VectorAcknowledging = 3,
    /// Ct1
    FirstPart = 4,
    /// Ct2
    SecondPart = 5,
}

/// A message of the Braid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BraidMessage {
    /// Which key the two are agreeing on, from 1.
    pub epoch: u64,
    /// Which piece.
    pub kind: PieceKind,
    /// Of the first chunk; the others follow.
    pub first_index: u16,
    /// [`BRAID_CHUNKS`] of them on the wire, none with [`PieceKind::None`].
    pub chunks: Vec<Chunk>,
}

impl BraidMessage {
    pub(super) const fn none(epoch: u64) -> Self {
        Self { epoch, kind: PieceKind::None, first_index: 0, chunks: Vec::new() }
    }

    /// Fixed width; absent chunks are zeros.
    #[must_use]
    pub fn encode(&self) -> [u8; BRAID_MESSAGE_LENGTH] {
        let mut bytes = [0; BRAID_MESSAGE_LENGTH];
        bytes[..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8] = self.kind as u8;
        bytes[9..11].copy_from_slice(&self.first_index.to_be_bytes());
        for (place, chunk) in bytes[11..].chunks_exact_mut(CHUNK_LENGTH).zip(&self.chunks) {
            place.copy_from_slice(chunk);
        }
        bytes
    }

    /// `None` for an unknown kind, for chunks beyond the last index, and for anything but zeros where no chunk is.
    #[must_use]
    pub fn decode(bytes: &[u8; BRAID_MESSAGE_LENGTH]) -> Option<Self> {
        let (epoch, rest) = bytes.split_at(8);
        let epoch = u64::from_be_bytes(epoch.try_into().ok()?);
        let kind = match rest[0] {
            0 if rest.iter().all(|&byte| byte == 0) => return Some(Self::none(epoch)),
            1 => PieceKind::Header,
            2 => PieceKind::Vector,
            3 => PieceKind::VectorAcknowledging,
            4 => PieceKind::FirstPart,
            5 => PieceKind::SecondPart,
            _ => return None,
        };
        let first_index = u16::from_be_bytes([rest[1], rest[2]]);
        first_index.checked_add(BRAID_CHUNKS as u16 - 1)?;
        let chunks = rest[3..].chunks_exact(CHUNK_LENGTH).map(Chunk::try_from).collect::<Result<_, _>>().ok()?;
        Some(Self { epoch, kind, first_index, chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_written_is_read() {
        let message = BraidMessage {
            epoch: 7,
            kind: PieceKind::FirstPart,
            first_index: u16::MAX - (BRAID_CHUNKS as u16 - 1),
            chunks: vec![[9; 32]; BRAID_CHUNKS],
        };
        let bytes = message.encode();
        assert_eq!(BraidMessage::decode(&bytes), Some(message));
        assert_eq!(BraidMessage::decode(&BraidMessage::none(3).encode()), Some(BraidMessage::none(3)));
        for (place, value) in [(8, 6), (8, 0), (9, 0xff), (10, 0xff)] {
            let mut altered = bytes;
            altered[place] = value;
            let read = BraidMessage::decode(&altered);
            // The last index is as it was where the byte was 0xff before.
            assert!(read.is_none() || altered == bytes, "byte {place}");
        }
        let mut none = BraidMessage::none(3).encode();
        none[BRAID_MESSAGE_LENGTH - 1] = 1;
        assert_eq!(BraidMessage::decode(&none), None);
    }
}
