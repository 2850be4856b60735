//! The sparse post-quantum ratchet (Double Ratchet specification, revision 4, section 5) over the ML-KEM Braid.
//!
//! It gives each message a key of its own, beside the Double Ratchet's: [`crate::session`] joins the two. Sending and
//! receiving are in two steps, one that computes and one that takes over, so that a message that does not verify, or is
//! not sent after all, changes nothing.

mod chain;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::braid::{BRAID_MESSAGE_LENGTH, Braid, BraidError, BraidMessage, EpochKey};
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label::{self, Label};
use crate::limits::{BRAID_CHUNKS, SPQR_EPOCHS_KEPT};
pub use chain::{Chain, EpochChains, SkippedKey, SkippedKeys};

/// Bytes of a header: the message of the Braid, then the number in the epoch's chain.
pub const SPQR_HEADER_LENGTH: usize = BRAID_MESSAGE_LENGTH + 4;

/// What the second ratchet adds to a message's header, encoded.
pub type SpqrHeader = [u8; SPQR_HEADER_LENGTH];

/// One side of a sparse post-quantum ratchet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spqr {
    /// RK
    pub(crate) root_key: Secret<32>,
    /// Whether this side wrote first: it sends in the first chain of each epoch.
    pub(crate) initiator: bool,
    /// Oldest first; the last is the newest epoch.
    pub(crate) epochs: Vec<EpochChains>,
    /// MKSKIPPED
    pub(crate) skipped: SkippedKeys,
    /// The key agreement that goes on meanwhile.
    pub(crate) braid: Braid,
}

/// The keys that both sides begin with, out of the handshake.
#[derive(Debug, Clone)]
pub struct SpqrInitialKeys {
    /// SK of the ratchet.
    pub chain_seed: Secret<32>,
    /// Of the Braid's authenticator.
    pub authentication_key: Secret<32>,
}

/// What to send. [`Spqr::apply_sending`] it when the message has been made.
#[derive(Debug)]
pub struct SpqrSending {
    /// Goes with the message, encrypted.
    pub header: Box<SpqrHeader>,
    /// One message's key, to be combined and used once.
    pub message_key: Secret<32>,
    braid: Braid,
    addition: Option<Addition>,
    epoch: u64,
    chain: Chain,
}

/// What was found out about a received header. [`Spqr::apply`] it once the message has verified.
#[derive(Debug)]
pub struct SpqrReceiving {
    /// One message's key, to be combined and used once.
    pub message_key: Secret<32>,
    message: BraidMessage,
    change: Change,
}

#[derive(Debug)]
enum Change {
    TakeSkipped(usize),
    Advance { epoch: u64, chain: Chain, newly_skipped: Vec<SkippedKey> },
}

/// A new epoch.
#[derive(Debug)]
struct Addition {
    root_key: Secret<32>,
    chains: EpochChains,
}

/// Why there is no key for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpqrError {
    /// The header is none that this version writes.
    #[error("the second ratchet's header cannot be read")]
    Header,
    /// The message's epoch is over, or this side has no key for it.
    #[error("there is no key for messages of epoch {0}")]
    Epoch(u64),
    /// The message's key has been used, or was given up as one of too many skipped ones.
    #[error("the message has been received before")]
    AlreadyReceived,
    /// The header skips more messages than are allowed.
    #[error("the message skips {by} messages of its epoch, more than are allowed")]
    TooFarAhead {
        /// How many it skips.
        by: u32,
    },
    /// The epoch's chain has had 2^32 - 1 messages.
    #[error("the epoch's chain is used up")]
    ChainExhausted,
}

impl Spqr {
    /// The side that wrote first.
    #[must_use]
    pub fn initiator(keys: &SpqrInitialKeys) -> Self {
        Self::start(keys, true, Braid::initiator(&keys.authentication_key))
    }

    /// The side that answers.
    #[must_use]
    pub fn responder(keys: &SpqrInitialKeys) -> Self {
        Self::start(keys, false, Braid::responder(&keys.authentication_key))
    }

    fn start(keys: &SpqrInitialKeys, initiator: bool, braid: Braid) -> Self {
        let Addition { root_key, chains } =
            derive_epoch(&Secret::zeroed(), &keys.chain_seed, label::SPQR_START, 0, initiator);
        Self { root_key, initiator, epochs: vec![chains], skipped: SkippedKeys::default(), braid }
    }

    /// The next message's header and key, without changing anything.
    ///
    /// # Errors
    /// [`SpqrError::ChainExhausted`]; [`SpqrError::Epoch`] for a state that no side gets into by itself.
    pub fn send(&self, rng: &mut impl CryptoRng) -> Result<SpqrSending, SpqrError> {
        let (braid, message, key) = self.braid.clone().send(BRAID_CHUNKS, rng);
        let addition = key.map(|key| self.next_epoch(&key)).transpose()?;
        let epoch = braid.sending_epoch();
        let mut chain = self.chains(epoch)?.sending.clone().ok_or(SpqrError::Epoch(epoch))?;
        let message_key = chain.step()?;
        let mut header = Box::new([0; SPQR_HEADER_LENGTH]);
        header[..BRAID_MESSAGE_LENGTH].copy_from_slice(&message.encode());
        header[BRAID_MESSAGE_LENGTH..].copy_from_slice(&chain.number.to_be_bytes());
        Ok(SpqrSending { header, message_key, braid, addition, epoch, chain })
    }

    /// Takes over what [`Self::send`] found.
    pub fn apply_sending(&mut self, sending: SpqrSending) {
        self.braid = sending.braid;
        if let Some(chains) = self.epochs.iter_mut().find(|chains| chains.epoch == sending.epoch) {
            chains.sending = Some(sending.chain);
        }
        self.finish(sending.addition);
    }

    /// Finds the key of a received message without changing anything.
    ///
    /// # Errors
    /// [`SpqrError`]
    pub fn receive(&self, header: &SpqrHeader) -> Result<SpqrReceiving, SpqrError> {
        let (message, number) = decode_header(header).ok_or(SpqrError::Header)?;
        let epoch = message.epoch.checked_sub(1).ok_or(SpqrError::Header)?;
        let mut chain = self.chains(epoch)?.receiving.clone();
        if number <= chain.number {
            let (index, key) = self.skipped.find(epoch, number).ok_or(SpqrError::AlreadyReceived)?;
            let message_key = key.message_key.clone();
            return Ok(SpqrReceiving { message_key, message, change: Change::TakeSkipped(index) });
        }
        let (message_key, newly_skipped) = chain.step_to(number, epoch)?;
        Ok(SpqrReceiving { message_key, message, change: Change::Advance { epoch, chain, newly_skipped } })
    }

    /// Takes over what [`Self::receive`] found, once the message has verified, and the chunks that it carried.
    ///
    /// # Errors
    /// [`BraidError`]; nothing has changed then, and nothing more will come of this session.
    pub fn apply(&mut self, receiving: SpqrReceiving) -> Result<(), BraidError> {
        let (braid, key) = self.braid.clone().receive(&receiving.message)?;
        let addition = key.map(|key| self.next_epoch(&key)).transpose().map_err(|_| BraidError::EpochsExhausted)?;
        self.braid = braid;
        match receiving.change {
            Change::TakeSkipped(index) => self.skipped.remove(index),
            Change::Advance { epoch, chain, newly_skipped } => {
                if let Some(chains) = self.epochs.iter_mut().find(|chains| chains.epoch == epoch) {
                    chains.receiving = chain;
                }
                self.skipped.extend(newly_skipped);
            }
        }
        self.finish(addition);
        Ok(())
    }

    /// The newest epoch: how often the session has healed.
    #[must_use]
    pub fn newest_epoch(&self) -> u64 {
        self.epochs.last().map_or(0, |chains| chains.epoch)
    }

    fn chains(&self, epoch: u64) -> Result<&EpochChains, SpqrError> {
        self.epochs.iter().find(|chains| chains.epoch == epoch).ok_or(SpqrError::Epoch(epoch))
    }

    /// `KDF_SCKA_RK`, for the epoch after the newest and no other.
    fn next_epoch(&self, key: &EpochKey) -> Result<Addition, SpqrError> {
        if self.newest_epoch().checked_add(1) != Some(key.epoch) {
            return Err(SpqrError::Epoch(key.epoch));
        }
        Ok(derive_epoch(&self.root_key, &key.key, label::SPQR_ADD_EPOCH, key.epoch, self.initiator))
    }

    /// Adds an epoch and deletes what is over: sending chains behind this side, epochs too far back.
    fn finish(&mut self, addition: Option<Addition>) {
        if let Some(addition) = addition {
            self.root_key = addition.root_key;
            self.epochs.push(addition.chains);
            let first_kept = self.newest_epoch().saturating_sub(SPQR_EPOCHS_KEPT);
            self.epochs.retain(|chains| chains.epoch >= first_kept);
            self.skipped.forget_before(first_kept);
        }
        let sending_epoch = self.braid.sending_epoch();
        for chains in self.epochs.iter_mut().filter(|chains| chains.epoch < sending_epoch) {
            chains.sending = None;
        }
    }
}

fn decode_header(header: &SpqrHeader) -> Option<(BraidMessage, u32)> {
    let (message, number) = header.split_at(BRAID_MESSAGE_LENGTH);
    let number = u32::from_be_bytes(number.try_into().ok()?);
    // Messages are numbered from 1.
    (number > 0).then_some((BraidMessage::decode(message.try_into().ok()?)?, number))
}

fn derive_epoch(salt: &Secret<32>, key: &Secret<32>, label: Label, epoch: u64, initiator: bool) -> Addition {
    let expanded: Secret<96> = kdf::hkdf(salt.as_bytes(), &[key.as_bytes()], label);
    let [root_key, first, second] = kdf::split::<96, 3>(&expanded);
    let (sending, receiving) = if initiator { (first, second) } else { (second, first) };
    let chains = EpochChains { epoch, sending: Some(Chain::new(sending)), receiving: Chain::new(receiving) };
    Addition { root_key, chains }
}

#[cfg(test)]
mod tests;
