//! The side that generates a key pair: transitions 1 to 5.

use rand_core::CryptoRng;

use super::authenticator::MAC_LENGTH;
use super::encapsulating::NoHeaderReceived;
use super::{Braid, BraidError, BraidMessage, Epoch, EpochKey, PieceKind, cut};
use crate::crypto::incremental_kem::{DecapsulationSeed, FIRST_PART_LENGTH, HEADER_LENGTH, SECOND_PART_LENGTH};
use crate::erasure::{Decoder, Encoder};

/// Bytes of the piece that carries the header.
pub(crate) const HEADER_PIECE_LENGTH: usize = HEADER_LENGTH + MAC_LENGTH;
/// Bytes of the piece that carries the ciphertext's second part.
pub(crate) const SECOND_PIECE_LENGTH: usize = SECOND_PART_LENGTH + MAC_LENGTH;

/// An epoch begins: the next message brings a new key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysUnsampled {
    pub(crate) epoch: Epoch,
}

/// Sends the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysSampled {
    pub(crate) epoch: Epoch,
    pub(crate) seed: DecapsulationSeed,
    pub(crate) header: Encoder,
}

/// The other side has the header and sends the ciphertext's first part; this one sends the vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSent {
    pub(crate) epoch: Epoch,
    pub(crate) seed: DecapsulationSeed,
    pub(crate) vector: Encoder,
    pub(crate) first_part: Decoder,
}

/// The first part is here: the vector goes on, with the acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ct1Received {
    pub(crate) epoch: Epoch,
    pub(crate) seed: DecapsulationSeed,
    pub(crate) vector: Encoder,
    pub(crate) first_part: Box<[u8; FIRST_PART_LENGTH]>,
}

/// The second part is coming: nothing is left to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkSentCt1Received {
    pub(crate) epoch: Epoch,
    pub(crate) seed: DecapsulationSeed,
    pub(crate) first_part: Box<[u8; FIRST_PART_LENGTH]>,
    pub(crate) second_piece: Decoder,
}

impl KeysUnsampled {
    /// Transition 1.
    pub(super) fn sample(self, rng: &mut impl CryptoRng) -> KeysSampled {
        let seed = DecapsulationSeed::random(rng);
        let header = seed.encapsulation_key().header;
        let mac = self.epoch.authenticator.header_mac(self.epoch.number, &header);
        KeysSampled { epoch: self.epoch, seed, header: Encoder::new(&[header.as_slice(), &mac].concat()) }
    }
}

impl KeysSampled {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.header, self.epoch.number, PieceKind::Header, count);
        (self.into(), message, None)
    }

    /// Transition 2.
    pub(super) fn receive_first_part(self, message: &BraidMessage) -> Braid {
        let vector = Encoder::new(self.seed.encapsulation_key().vector.as_slice());
        let Self { epoch, seed, .. } = self;
        HeaderSent { epoch, seed, vector, first_part: Decoder::new(FIRST_PART_LENGTH) }.receive_first_part(message)
    }
}

impl HeaderSent {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.vector, self.epoch.number, PieceKind::Vector, count);
        (self.into(), message, None)
    }

    /// Transition 3, once there are enough chunks.
    pub(super) fn receive_first_part(mut self, message: &BraidMessage) -> Braid {
        self.first_part.add(message.first_index, &message.chunks);
        let Some(piece) = self.first_part.piece() else { return self.into() };
        let (first_part, []) = cut(&piece);
        let Self { epoch, seed, vector, .. } = self;
        Ct1Received { epoch, seed, vector, first_part }.into()
    }
}

impl Ct1Received {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.vector, self.epoch.number, PieceKind::VectorAcknowledging, count);
        (self.into(), message, None)
    }

    /// Transition 4.
    pub(super) fn receive_second_part(self, message: &BraidMessage) -> Result<(Braid, Option<EpochKey>), BraidError> {
        let Self { epoch, seed, first_part, .. } = self;
        let second_piece = Decoder::new(SECOND_PIECE_LENGTH);
        EkSentCt1Received { epoch, seed, first_part, second_piece }.receive_second_part(message)
    }
}

impl EkSentCt1Received {
    /// Transition 5, once there are enough chunks: decapsulates, and the roles change.
    pub(super) fn receive_second_part(
        mut self,
        message: &BraidMessage,
    ) -> Result<(Braid, Option<EpochKey>), BraidError> {
        self.second_piece.add(message.first_index, &message.chunks);
        let Some(piece) = self.second_piece.piece() else { return Ok((self.into(), None)) };
        let (second_part, mac) = cut::<SECOND_PART_LENGTH, MAC_LENGTH>(&piece);
        let Self { mut epoch, seed, first_part, .. } = self;
        let key = epoch.agreed(&seed.decapsulate(&first_part, &second_part));
        epoch
            .authenticator
            .verify_ciphertext(epoch.number, &first_part, &second_part, &mac)
            .map_err(|_| BraidError::CiphertextMac(epoch.number))?;
        epoch.number = epoch.number.checked_add(1).ok_or(BraidError::EpochsExhausted)?;
        Ok((NoHeaderReceived::new(epoch).into(), Some(key)))
    }
}

/// The next chunks of a piece.
pub(super) fn chunks(encoder: &mut Encoder, epoch: u64, kind: PieceKind, count: usize) -> BraidMessage {
    let (first_index, chunks) = encoder.next_chunks(count);
    BraidMessage { epoch, kind, first_index, chunks }
}
