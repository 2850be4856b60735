//! A session between two devices: handshake, the two ratchets (the Triple Ratchet) and envelope joined.
//!
//! `spec/ratchet.md`. Everything that fails leaves the session as it was. A caller commits the state that
//! [`Session::encode`] gives before the envelope leaves, and before the plaintext is shown.

mod establish;

use std::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::braid::BraidError;
use crate::crypto::aead::{self, SingleUseKey};
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::crypto::x_wing;
use crate::double_ratchet::{DoubleRatchet, ReceiveError, SendError};
use crate::envelope::{
    self, Envelope, EnvelopeError, HintKey, RatchetMessage, VERSION, marked, padded_for_session, unpad,
};
use crate::handshake::{HandshakeParts, InitialMessage};
use crate::label;
use crate::spqr::{Spqr, SpqrError, SpqrSending};
use crate::wire::WireError;
use crate::wire::handshake::InitialMessageFields;
pub use establish::{LocalDevice, ResponderPrekeys};

/// Names a session on both sides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

/// One side of a session.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) id: SessionId,
    /// Hash of what both sides agree on; part of every message's associated data.
    pub(crate) associated_data: [u8; 32],
    pub(crate) ratchet: DoubleRatchet,
    pub(crate) spqr: Spqr,
    /// Repeated with every message until the first reply.
    pub(crate) pending: Option<Pending>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) handshake: HandshakeParts,
    pub(crate) seal_prekey: x_wing::EncapsulationKey,
}

/// Why nothing was encrypted. The session is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncryptError {
    /// The content does not fit the largest envelope.
    #[error("the content is {over} bytes too long for the largest envelope")]
    TooLong {
        /// By how many bytes.
        over: usize,
    },
    /// The ratchet cannot send.
    #[error(transparent)]
    Ratchet(#[from] SendError),
    /// The second ratchet cannot send.
    #[error(transparent)]
    SecondRatchet(#[from] SpqrError),
    /// The receiver's seal key has small order.
    #[error("the receiver's seal key is not usable")]
    SealKey,
}

/// Why an envelope was not decrypted. The session is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecryptError {
    /// The envelope is not of this session, or was altered.
    #[error("no header key of the session opens the message")]
    NoHeaderKey,
    /// It has been decrypted before.
    #[error("the message has been received before")]
    AlreadyReceived,
    /// It skips more messages than are allowed.
    #[error("the message skips {by} messages, more than are allowed")]
    TooFarAhead {
        /// How many it skips.
        by: u32,
    },
    /// The other side's ratchet key is not usable.
    #[error("the message's ratchet key is not usable")]
    RatchetKey,
    /// The header opened and the content does not verify: altered, or of other identities.
    #[error("the message's content does not verify")]
    Ciphertext,
    /// The header opened and its second half is none of this version: the sender is defective.
    #[error("the message's header cannot be read")]
    Header,
    /// The message is of an epoch of the post-quantum ratchet that is over, or has not begun.
    #[error("the session has no key for messages of epoch {0}")]
    Epoch(u64),
    /// The post-quantum ratchet cannot go on: one side's state is not the one that the other knows. Every later message
    /// will end here too, so the session has to be begun anew.
    #[error("the session has to be begun anew: {0}")]
    Braid(#[from] BraidError),
    /// It verified and has no padding mark: the sender is defective.
    #[error("the message is not padded as it must be")]
    Padding,
}

impl From<ReceiveError> for DecryptError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::NoHeaderKey => Self::NoHeaderKey,
            ReceiveError::AlreadyReceived => Self::AlreadyReceived,
            ReceiveError::TooFarAhead { by } => Self::TooFarAhead { by },
            ReceiveError::RatchetKey => Self::RatchetKey,
        }
    }
}

impl From<SpqrError> for DecryptError {
    fn from(error: SpqrError) -> Self {
        match error {
            SpqrError::Header => Self::Header,
            SpqrError::Epoch(epoch) => Self::Epoch(epoch),
            SpqrError::AlreadyReceived => Self::AlreadyReceived,
            SpqrError::TooFarAhead { by } => Self::TooFarAhead { by },
            SpqrError::ChainExhausted => Self::TooFarAhead { by: u32::MAX },
        }
    }
}

impl From<EnvelopeError> for EncryptError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooLong { over } => Self::TooLong { over },
            _ => Self::SealKey,
        }
    }
}

impl Session {
    /// Names the session; the same on both sides.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Whether this side wrote first and has had no answer: its messages are still first flights.
    #[must_use]
    pub const fn awaiting_reply(&self) -> bool {
        self.pending.is_some()
    }

    /// Encrypts content into a whole envelope. Commit the session before the envelope leaves.
    ///
    /// # Errors
    /// [`EncryptError`]; the session is unchanged.
    pub fn encrypt(
        &mut self,
        content: &[u8],
        own: &LocalDevice<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, EncryptError> {
        // Sending moves the Double Ratchet's sending chain and nothing else of it.
        let sending = self.ratchet.sending.clone();
        match self.encrypt_with_chain(content, own, rng) {
            Ok((envelope, spqr)) => {
                self.spqr.apply_sending(spqr);
                Ok(envelope)
            }
            Err(error) => {
                self.ratchet.sending = sending;
                Err(error)
            }
        }
    }

    /// Decrypts a session envelope. Commit the session before the content is shown.
    ///
    /// # Errors
    /// [`DecryptError`]; the session is unchanged.
    pub fn decrypt(
        &mut self,
        envelope: &Envelope,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let message = envelope.ratchet_message().ok_or(DecryptError::NoHeaderKey)?;
        let hinted = |header_key: &Secret<32>| envelope.matches(&HintKey::of(header_key));
        self.open(message, hinted, rng)
    }

    /// Decrypts a further first flight of this session's handshake.
    ///
    /// # Errors
    /// [`DecryptError`], [`DecryptError::NoHeaderKey`] also where the message belongs to another session.
    pub fn decrypt_initial(
        &mut self,
        initial: &InitialMessage,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        if initial.session_id() != self.id {
            return Err(DecryptError::NoHeaderKey);
        }
        self.open(initial.ratchet_message.clone(), |_| true, rng)
    }

    /// By which envelopes of this session are found: two keys, and one for each chain with skipped messages.
    #[must_use]
    pub fn hint_keys(&self) -> Vec<HintKey> {
        self.ratchet.receiving_header_keys().map(HintKey::of).collect()
    }

    /// How many keys the post-quantum ratchet has agreed on. It grows while both sides write.
    #[must_use]
    pub fn post_quantum_epoch(&self) -> u64 {
        self.spqr.newest_epoch()
    }

    /// How many keys of skipped messages it keeps, in the Double Ratchet and in the post-quantum ratchet.
    #[must_use]
    pub fn skipped_keys(&self) -> (usize, usize) {
        (self.ratchet.skipped.iter().count(), self.spqr.skipped.iter().count())
    }

    /// The state at rest, for a record of the store that is sealed under the state key.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        crate::wire::session::encode(self.id, &self.associated_data, &self.ratchet, &self.spqr, self.pending.as_ref())
    }

    /// Reads the state.
    ///
    /// # Errors
    /// [`WireError`]; with `Bounds("version")` for a session of another wire version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let (id, associated_data, ratchet, spqr, pending) = crate::wire::session::decode(bytes)?;
        Ok(Self { id, associated_data, ratchet, spqr, pending })
    }

    fn encrypt_with_chain(
        &mut self,
        content: &[u8],
        own: &LocalDevice<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, SpqrSending), EncryptError> {
        let Some(pending) = self.pending.clone() else {
            let plaintext = padded_for_session(content)?;
            let (message, hint_key, spqr) = self.seal(plaintext, rng)?;
            return Ok((message.into_envelope(&hint_key), spqr));
        };
        let (message, _, spqr) = self.seal(marked(content), rng)?;
        let initial = InitialMessageFields {
            sender_statement: own.statement.encoded().to_vec(),
            sender_device_id: own.device_id,
            handshake: pending.handshake,
            ratchet_message: message.encode(),
        };
        Ok((envelope::seal_first_flight(&initial.encode(), &pending.seal_prekey, rng)?, spqr))
    }

    fn seal(
        &mut self,
        plaintext: Zeroizing<Vec<u8>>,
        rng: &mut impl CryptoRng,
    ) -> Result<(RatchetMessage, HintKey, SpqrSending), EncryptError> {
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        let spqr = self.spqr.send(rng)?;
        let sending = self.ratchet.send(&nonce, spqr.header.clone())?;
        let key = message_key(&sending.message_key, &spqr.message_key, &nonce);
        let associated_data = self.message_associated_data(&nonce, sending.header.as_bytes());
        let ciphertext = aead::seal_once(&key, &associated_data, plaintext);
        let hint_key = HintKey::of(&sending.header_key);
        Ok((RatchetMessage { nonce, header: sending.header, ciphertext }, hint_key, spqr))
    }

    fn open(
        &mut self,
        message: RatchetMessage,
        accepts: impl Fn(&Secret<32>) -> bool,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let receiving = self.ratchet.receive(&message.header, &message.nonce, accepts, rng)?;
        let spqr = self.spqr.receive(&receiving.spqr)?;
        let key = message_key(&receiving.message_key, &spqr.message_key, &message.nonce);
        let associated_data = self.message_associated_data(&message.nonce, message.header.as_bytes());
        let mut plaintext =
            aead::open_once(&key, &associated_data, message.ciphertext).map_err(|_| DecryptError::Ciphertext)?;
        let length = unpad(&plaintext).ok_or(DecryptError::Padding)?.len();
        plaintext.truncate(length);
        // What can still fail comes first.
        self.spqr.apply(spqr)?;
        self.ratchet.apply(receiving);
        self.pending = None;
        Ok(plaintext)
    }

    /// version, hash of the session's associated data, nonce, encrypted header.
    fn message_associated_data(&self, nonce: &[u8; 12], header: &[u8]) -> Vec<u8> {
        [&[VERSION], self.associated_data.as_slice(), nonce, header].concat()
    }
}

/// `KDF_HYBRID` (Double Ratchet specification section 6) with the random nonce of the header beside the classical key. The
/// post-quantum key is the salt.
pub(crate) fn message_key(double_ratchet: &Secret<32>, spqr: &Secret<32>, nonce: &[u8; 12]) -> SingleUseKey {
    kdf::hkdf(spqr.as_bytes(), &[double_ratchet.as_bytes(), nonce], label::MESSAGE_KEY)
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests;
