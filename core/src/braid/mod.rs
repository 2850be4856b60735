//! The ML-KEM Braid (Signal's specification, revision 1): two sides agree on one key after another, a few chunks a message.
//!
//! In each epoch one side generates a key pair ([`generating`]), the other encapsulates ([`encapsulating`]); then they
//! change roles. Each state is a type of its own and each transition takes it away, so that no one is in two states. What a
//! state does not await, it ignores, if it may be late. A MAC or a key that does not fit is the end, and so is a message
//! that the other side can only have come to by way of a later state than this one: the session has to be begun anew.

mod authenticator;
pub mod encapsulating;
pub mod generating;
mod message;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::crypto::incremental_kem::IncrementalKemError;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label;
pub use authenticator::Authenticator;
use encapsulating::{Ct1Acknowledged, Ct1Sampled, Ct2Sampled, EkReceivedCt1Sampled, HeaderReceived, NoHeaderReceived};
use generating::{Ct1Received, EkSentCt1Received, HeaderSent, KeysSampled, KeysUnsampled};
pub use message::{BRAID_MESSAGE_LENGTH, BraidMessage, PieceKind};

/// One side of a Braid. The states have the specification's names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each state's type says what it is")]
pub enum Braid {
    KeysUnsampled(KeysUnsampled),
    KeysSampled(KeysSampled),
    HeaderSent(HeaderSent),
    Ct1Received(Ct1Received),
    EkSentCt1Received(EkSentCt1Received),
    NoHeaderReceived(NoHeaderReceived),
    HeaderReceived(HeaderReceived),
    Ct1Sampled(Ct1Sampled),
    EkReceivedCt1Sampled(EkReceivedCt1Sampled),
    Ct1Acknowledged(Ct1Acknowledged),
    Ct2Sampled(Ct2Sampled),
}

/// What every state has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// From 1.
    pub number: u64,
    /// Of all epochs before, and from the encapsulation on of this one.
    pub authenticator: Authenticator,
}

/// A key that this side has from now on, and the other side has or will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochKey {
    /// Of which epoch.
    pub epoch: u64,
    /// The key.
    pub key: Secret<32>,
}

/// Why the two sides cannot go on. Nothing mends it: the session has to be begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BraidError {
    /// The header is not the one that the other side meant to send, or that side has another past.
    #[error("the header of epoch {0} does not verify")]
    HeaderMac(u64),
    /// The ciphertext is not the one that the other side meant to send, or that side has another past.
    #[error("the ciphertext of epoch {0} does not verify")]
    CiphertextMac(u64),
    /// The encapsulation key is none.
    #[error("epoch {0}: {1}")]
    Key(u64, IncrementalKemError),
    /// A message that answers what this state has not sent yet: its store was put back to before it did.
    #[error("the other side is further in epoch {0} than this side can have brought it")]
    OutOfStep(u64),
    /// There is no number after the last one.
    #[error("the epochs are used up")]
    EpochsExhausted,
}

impl Braid {
    /// The side that wrote first.
    #[must_use]
    pub fn initiator(authentication_key: &Secret<32>) -> Self {
        KeysUnsampled { epoch: Epoch::first(authentication_key) }.into()
    }

    /// The side that answers.
    #[must_use]
    pub fn responder(authentication_key: &Secret<32>) -> Self {
        NoHeaderReceived::new(Epoch::first(authentication_key)).into()
    }

    /// The next message, with `count` chunks if there is something to send; and the epoch's key, if this made it.
    #[must_use]
    pub fn send(self, count: usize, rng: &mut impl CryptoRng) -> (Self, BraidMessage, Option<EpochKey>) {
        match self {
            Self::KeysUnsampled(state) => state.sample(rng).send(count),
            Self::KeysSampled(state) => state.send(count),
            Self::HeaderSent(state) => state.send(count),
            Self::Ct1Received(state) => state.send(count),
            Self::HeaderReceived(state) => state.sample(count, rng),
            Self::Ct1Sampled(state) => state.send(count),
            Self::EkReceivedCt1Sampled(state) => state.send(count),
            Self::Ct1Acknowledged(state) => state.send(count),
            Self::Ct2Sampled(state) => state.send(count),
            Self::EkSentCt1Received(_) | Self::NoHeaderReceived(_) => {
                let message = BraidMessage::none(self.epoch().number);
                (self, message, None)
            }
        }
    }

    /// Takes in a message that has been authenticated; and gives the epoch's key, if this completed it.
    ///
    /// # Errors
    /// [`BraidError`]
    pub fn receive(self, message: &BraidMessage) -> Result<(Self, Option<EpochKey>), BraidError> {
        if self.is_ahead(message) {
            return Err(BraidError::OutOfStep(message.epoch));
        }
        if let Self::Ct2Sampled(state) = self {
            return Ok((state.receive(message), None));
        }
        if message.epoch != self.epoch().number {
            return Ok((self, None));
        }
        match (self, message.kind) {
            (Self::KeysSampled(state), PieceKind::FirstPart) => Ok((state.receive_first_part(message), None)),
            (Self::HeaderSent(state), PieceKind::FirstPart) => Ok((state.receive_first_part(message), None)),
            (Self::Ct1Received(state), PieceKind::SecondPart) => state.receive_second_part(message),
            (Self::EkSentCt1Received(state), PieceKind::SecondPart) => state.receive_second_part(message),
            (Self::NoHeaderReceived(state), PieceKind::Header) => Ok((state.receive_header(message)?, None)),
            (Self::Ct1Sampled(state), PieceKind::Vector) => Ok((state.receive_vector(message, false)?, None)),
            (Self::Ct1Sampled(state), PieceKind::VectorAcknowledging) => {
                Ok((state.receive_vector(message, true)?, None))
            }
            (Self::EkReceivedCt1Sampled(state), PieceKind::VectorAcknowledging) => Ok((state.acknowledged(), None)),
            // A vector that left before the acknowledgement is as good as one after it.
            (Self::Ct1Acknowledged(state), PieceKind::Vector | PieceKind::VectorAcknowledging) => {
                Ok((state.receive_vector(message)?, None))
            }
            (state, _) => Ok((state, None)),
        }
    }

    /// Whether no honest run brings this message to this state, late or not.
    fn is_ahead(&self, message: &BraidMessage) -> bool {
        use PieceKind::{FirstPart, Header, None, SecondPart, Vector, VectorAcknowledging};
        let (own, kind) = (self.epoch().number, message.kind);
        if message.epoch > own {
            let next = matches!(self, Self::Ct2Sampled(_)) && message.epoch - own == 1;
            return !(next && kind == None);
        }
        let possible = match self {
            _ if message.epoch < own => true,
            Self::KeysUnsampled(_) => kind == None,
            Self::KeysSampled(_) | Self::HeaderSent(_) => matches!(kind, None | FirstPart),
            Self::Ct1Received(_) | Self::EkSentCt1Received(_) => matches!(kind, None | FirstPart | SecondPart),
            Self::NoHeaderReceived(_) | Self::HeaderReceived(_) => kind == Header,
            Self::Ct1Sampled(_) | Self::EkReceivedCt1Sampled(_) | Self::Ct1Acknowledged(_) => {
                matches!(kind, Header | Vector | VectorAcknowledging)
            }
            Self::Ct2Sampled(_) => matches!(kind, Header | Vector | VectorAcknowledging | None),
        };
        !possible
    }

    /// The epoch whose key both sides are known to have: what is sent now is under it.
    #[must_use]
    pub fn sending_epoch(&self) -> u64 {
        self.epoch().number.saturating_sub(1)
    }

    /// Whether this side has the epoch's key already: it has encapsulated.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        matches!(
            self,
            Self::Ct1Sampled(_) | Self::EkReceivedCt1Sampled(_) | Self::Ct1Acknowledged(_) | Self::Ct2Sampled(_)
        )
    }

    /// What every state has.
    #[must_use]
    pub const fn epoch(&self) -> &Epoch {
        match self {
            Self::KeysUnsampled(KeysUnsampled { epoch })
            | Self::KeysSampled(KeysSampled { epoch, .. })
            | Self::HeaderSent(HeaderSent { epoch, .. })
            | Self::Ct1Received(Ct1Received { epoch, .. })
            | Self::EkSentCt1Received(EkSentCt1Received { epoch, .. })
            | Self::NoHeaderReceived(NoHeaderReceived { epoch, .. })
            | Self::HeaderReceived(HeaderReceived { epoch, .. })
            | Self::Ct1Sampled(Ct1Sampled { epoch, .. })
            | Self::EkReceivedCt1Sampled(EkReceivedCt1Sampled { epoch, .. })
            | Self::Ct1Acknowledged(Ct1Acknowledged { epoch, .. })
            | Self::Ct2Sampled(Ct2Sampled { epoch, .. }) => epoch,
        }
    }
}

impl Epoch {
    fn first(authentication_key: &Secret<32>) -> Self {
        Self { number: 1, authenticator: Authenticator::new(authentication_key) }
    }

    /// `KDF_OK`, and the authenticator takes the key in.
    fn agreed(&mut self, shared: &Secret<32>) -> EpochKey {
        let key = kdf::hkdf_at(&[0; 32], &[shared.as_bytes()], label::BRAID_KEY, self.number);
        self.authenticator.update(self.number, &key);
        EpochKey { epoch: self.number, key }
    }
}

/// Fixed-length parts of a piece that has been decoded to its own length.
fn cut<const ONE: usize, const OTHER: usize>(piece: &[u8]) -> (Box<[u8; ONE]>, [u8; OTHER]) {
    let (mut one, mut other) = (Box::new([0; ONE]), [0; OTHER]);
    one.copy_from_slice(&piece[..ONE]);
    other.copy_from_slice(&piece[ONE..ONE + OTHER]);
    (one, other)
}

macro_rules! states {
    ($($state:ident),+) => {
        $(impl From<$state> for Braid {
            fn from(state: $state) -> Self {
                Self::$state(state)
            }
        })+
    };
}
states!(
    KeysUnsampled,
    KeysSampled,
    HeaderSent,
    Ct1Received,
    EkSentCt1Received,
    NoHeaderReceived,
    HeaderReceived,
    Ct1Sampled,
    EkReceivedCt1Sampled,
    Ct1Acknowledged,
    Ct2Sampled
);

#[cfg(test)]
mod tests;
