//! The side that encapsulates: transitions 6 to 13.

use rand_core::CryptoRng;

use super::authenticator::MAC_LENGTH;
use super::generating::{HEADER_PIECE_LENGTH, KeysUnsampled, chunks};
use super::{Braid, BraidError, BraidMessage, Epoch, EpochKey, PieceKind, cut};
use crate::crypto::incremental_kem::{
    FIRST_PART_LENGTH, HEADER_LENGTH, SECOND_PART_LENGTH, VECTOR_LENGTH, encapsulate_first, encapsulate_second,
};
use crate::crypto::secret::Secret;
use crate::erasure::{Decoder, Encoder};

/// Waits for the header: nothing to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoHeaderReceived {
    pub(crate) epoch: Epoch,
    pub(crate) header: Decoder,
}

/// The next message brings the first part of a ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderReceived {
    pub(crate) epoch: Epoch,
    pub(crate) header: [u8; HEADER_LENGTH],
}

/// Sends the first part, receives the vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ct1Sampled {
    pub(crate) epoch: Epoch,
    pub(crate) header: [u8; HEADER_LENGTH],
    pub(crate) randomness: Secret<32>,
    pub(crate) first_part: Encoder,
    pub(crate) vector: Decoder,
}

/// The vector is here, the first part has not been acknowledged. The second part is computed already, so that the
/// encapsulation's randomness need not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkReceivedCt1Sampled {
    pub(crate) epoch: Epoch,
    pub(crate) first_part: Encoder,
    pub(crate) second_piece: Encoder,
}

/// The first part has been acknowledged, the vector is not here. The first part is still sent: there is nothing else to
/// send, and a side whose store was put back to before the acknowledgement needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ct1Acknowledged {
    pub(crate) epoch: Epoch,
    pub(crate) header: [u8; HEADER_LENGTH],
    pub(crate) randomness: Secret<32>,
    pub(crate) first_part: Encoder,
    pub(crate) vector: Decoder,
}

/// Sends the second part, until the other side shows that it has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ct2Sampled {
    pub(crate) epoch: Epoch,
    pub(crate) second_piece: Encoder,
}

impl NoHeaderReceived {
    pub(super) const fn new(epoch: Epoch) -> Self {
        Self { epoch, header: Decoder::new(HEADER_PIECE_LENGTH) }
    }

    /// Transition 6, once there are enough chunks.
    pub(super) fn receive_header(mut self, message: &BraidMessage) -> Result<Braid, BraidError> {
        self.header.add(message.first_index, &message.chunks);
        let Some(piece) = self.header.piece() else { return Ok(self.into()) };
        let (header, mac) = cut::<HEADER_LENGTH, MAC_LENGTH>(&piece);
        let epoch = self.epoch;
        let verified = epoch.authenticator.verify_header(epoch.number, &header, &mac);
        verified.map_err(|_| BraidError::HeaderMac(epoch.number))?;
        Ok(HeaderReceived { epoch, header: *header }.into())
    }
}

impl HeaderReceived {
    /// Transition 7: encapsulates.
    pub(super) fn sample(self, count: usize, rng: &mut impl CryptoRng) -> (Braid, BraidMessage, Option<EpochKey>) {
        let Self { mut epoch, header } = self;
        let randomness = Secret::random(rng);
        let (first_part, shared) = encapsulate_first(&header, &randomness);
        let key = epoch.agreed(&shared);
        let (first_part, vector) = (Encoder::new(first_part.as_slice()), Decoder::new(VECTOR_LENGTH));
        let (state, message, _) = Ct1Sampled { epoch, header, randomness, first_part, vector }.send(count);
        (state, message, Some(key))
    }
}

impl Ct1Sampled {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.first_part, self.epoch.number, PieceKind::FirstPart, count);
        (self.into(), message, None)
    }

    /// Transitions 8, 9 and 10, by whether the vector is complete and the first part acknowledged.
    pub(super) fn receive_vector(mut self, message: &BraidMessage, acknowledging: bool) -> Result<Braid, BraidError> {
        self.vector.add(message.first_index, &message.chunks);
        let Self { epoch, header, randomness, first_part, vector } = self;
        match (vector.piece(), acknowledging) {
            (None, false) => Ok(Self { epoch, header, randomness, first_part, vector }.into()),
            (None, true) => Ok(Ct1Acknowledged { epoch, header, randomness, first_part, vector }.into()),
            (Some(vector), acknowledging) => {
                let second_piece = second_piece(&epoch, &header, &vector, &randomness, &first_part)?;
                let received = EkReceivedCt1Sampled { epoch, first_part, second_piece };
                Ok(if acknowledging { received.acknowledged() } else { received.into() })
            }
        }
    }
}

impl EkReceivedCt1Sampled {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.first_part, self.epoch.number, PieceKind::FirstPart, count);
        (self.into(), message, None)
    }

    /// Transition 12.
    pub(super) fn acknowledged(self) -> Braid {
        Ct2Sampled { epoch: self.epoch, second_piece: self.second_piece }.into()
    }
}

impl Ct1Acknowledged {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.first_part, self.epoch.number, PieceKind::FirstPart, count);
        (self.into(), message, None)
    }

    /// Transition 11, once there are enough chunks.
    pub(super) fn receive_vector(mut self, message: &BraidMessage) -> Result<Braid, BraidError> {
        self.vector.add(message.first_index, &message.chunks);
        let Some(vector) = self.vector.piece() else { return Ok(self.into()) };
        let second_piece = second_piece(&self.epoch, &self.header, &vector, &self.randomness, &self.first_part)?;
        Ok(Ct2Sampled { epoch: self.epoch, second_piece }.into())
    }
}

impl Ct2Sampled {
    pub(super) fn send(mut self, count: usize) -> (Braid, BraidMessage, Option<EpochKey>) {
        let message = chunks(&mut self.second_piece, self.epoch.number, PieceKind::SecondPart, count);
        (self.into(), message, None)
    }

    /// Transition 13: any message of the next epoch says that the other side has the key.
    pub(super) fn receive(self, message: &BraidMessage) -> Braid {
        if message.epoch.checked_sub(1) != Some(self.epoch.number) {
            return self.into();
        }
        KeysUnsampled { epoch: Epoch { number: message.epoch, ..self.epoch } }.into()
    }
}

/// `Encaps2`: the second part and the MAC over the whole ciphertext.
fn second_piece(
    epoch: &Epoch,
    header: &[u8; HEADER_LENGTH],
    vector: &[u8],
    randomness: &Secret<32>,
    first_part: &Encoder,
) -> Result<Encoder, BraidError> {
    let (first_part, []) = cut::<FIRST_PART_LENGTH, 0>(first_part.piece());
    let (vector, []) = cut::<VECTOR_LENGTH, 0>(vector);
    let second_part: [u8; SECOND_PART_LENGTH] = encapsulate_second(header, &vector, randomness, &first_part)
        .map_err(|error| BraidError::Key(epoch.number, error))?;
    let mac = epoch.authenticator.ciphertext_mac(epoch.number, &first_part, &second_part);
    Ok(Encoder::new(&[second_part.as_slice(), &mac].concat()))
}
