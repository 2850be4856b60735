//! The Double Ratchet with header encryption (Signal's specification, revision 4, sections 3 to 5).
//!
//! It hands out message keys and headers and encrypts no content: [`crate::session`] combines its keys with those of a
//! second ratchet. Receiving is in two steps, so that a message that does not verify changes nothing:
//! [`DoubleRatchet::receive`] computes, [`DoubleRatchet::apply`] takes over.

mod chain;
mod header;
mod skipped;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::crypto::dh::{DhPublicKey, DhSecretKey};
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label;
use crate::limits::SKIP_MAX;
use crate::spqr::SpqrHeader;
pub use chain::Chain;
pub use header::{ENCRYPTED_HEADER_LENGTH, EncryptedHeader, Header};
pub use skipped::{SkippedKey, SkippedKeys};

/// One side of a Double Ratchet. Field names as in the specification, spelled out.
#[derive(Debug, Clone)]
pub struct DoubleRatchet {
    /// DHs
    pub(crate) dh_secret: DhSecretKey,
    /// The public half of DHs, which every header carries.
    pub(crate) dh_public: DhPublicKey,
    /// DHr
    pub(crate) dh_remote: Option<DhPublicKey>,
    /// RK
    pub(crate) root_key: Secret<32>,
    /// HKs, CKs, Ns
    pub(crate) sending: Option<Chain>,
    /// HKr, CKr, Nr
    pub(crate) receiving: Option<Chain>,
    /// PN
    pub(crate) previous_length: u32,
    /// NHKs
    pub(crate) next_header_key_sending: Secret<32>,
    /// NHKr
    pub(crate) next_header_key_receiving: Secret<32>,
    /// MKSKIPPED
    pub(crate) skipped: SkippedKeys,
}

/// The keys that both sides begin with, out of the handshake.
#[derive(Debug, Clone)]
pub struct InitialKeys {
    /// SK of the ratchet: the first root key.
    pub root_key: Secret<32>,
    /// `shared_hka`: the initiator's first sending header key.
    pub header_key_initiator: Secret<32>,
    /// `shared_nhkb`: the responder's first sending header key.
    pub next_header_key_responder: Secret<32>,
}

/// What to send, and the key to seal it with.
#[derive(Debug)]
pub struct Sending {
    /// Goes with the message.
    pub header: EncryptedHeader,
    /// Under which the header was sealed.
    pub header_key: Secret<32>,
    /// One message's key, to be combined and used once.
    pub message_key: Secret<32>,
}

/// What was found out about a received header. [`DoubleRatchet::apply`] it once the message has verified.
#[derive(Debug)]
pub struct Receiving {
    /// One message's key, to be combined and used once.
    pub message_key: Secret<32>,
    /// The second ratchet's part of the header.
    pub spqr: Box<SpqrHeader>,
    change: Change,
}

#[derive(Debug)]
enum Change {
    TakeSkipped(usize),
    Advance(Box<Advance>),
}

#[derive(Debug)]
struct Advance {
    step: Option<DhStep>,
    receiving: Chain,
    newly_skipped: Vec<SkippedKey>,
}

#[derive(Debug)]
struct DhStep {
    dh_secret: DhSecretKey,
    dh_public: DhPublicKey,
    dh_remote: DhPublicKey,
    root_key: Secret<32>,
    sending: Chain,
    previous_length: u32,
    next_header_key_sending: Secret<32>,
    next_header_key_receiving: Secret<32>,
}

/// Why nothing can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The responder sends only after it has received.
    #[error("the session has no sending chain yet")]
    NoSendingChain,
    /// The chain has sent 2^32 - 1 messages.
    #[error("the sending chain is used up")]
    ChainExhausted,
}

/// Why a received header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReceiveError {
    /// No header key of this session opens it.
    #[error("no header key of the session opens the message")]
    NoHeaderKey,
    /// The message's key has been used, or was given up as one of too many skipped ones.
    #[error("the message has been received before")]
    AlreadyReceived,
    /// The header skips more messages than are allowed.
    #[error("the message skips {by} messages; {SKIP_MAX} are allowed")]
    TooFarAhead {
        /// How many it skips.
        by: u32,
    },
    /// The other side's ratchet key is not usable.
    #[error("the message's ratchet key is not usable")]
    RatchetKey,
}

impl DoubleRatchet {
    /// The side that wrote first (`RatchetInitAliceHE`). `remote` is the responder's signed prekey.
    ///
    /// # Errors
    /// [`ReceiveError::RatchetKey`] if `remote` has small order.
    pub fn initiator(keys: InitialKeys, remote: DhPublicKey, rng: &mut impl CryptoRng) -> Result<Self, ReceiveError> {
        let dh_secret = DhSecretKey::random(rng);
        let shared = dh_secret.agree(&remote).map_err(|_| ReceiveError::RatchetKey)?;
        let [root_key, chain_key, next_header_key_sending] = derive_root(&keys.root_key, &shared);
        Ok(Self {
            dh_public: dh_secret.public_key(),
            dh_secret,
            dh_remote: Some(remote),
            root_key,
            sending: Some(Chain::new(keys.header_key_initiator, chain_key)),
            receiving: None,
            previous_length: 0,
            next_header_key_sending,
            next_header_key_receiving: keys.next_header_key_responder,
            skipped: SkippedKeys::default(),
        })
    }

    /// The side that answers (`RatchetInitBobHE`). `signed_prekey` is the one that the initiator used.
    #[must_use]
    pub fn responder(keys: InitialKeys, signed_prekey: DhSecretKey) -> Self {
        Self {
            dh_public: signed_prekey.public_key(),
            dh_secret: signed_prekey,
            dh_remote: None,
            root_key: keys.root_key,
            sending: None,
            receiving: None,
            previous_length: 0,
            next_header_key_sending: keys.next_header_key_responder,
            next_header_key_receiving: keys.header_key_initiator,
            skipped: SkippedKeys::default(),
        }
    }

    /// Steps the sending chain (`RatchetEncryptHE`). `nonce` is the random nonce that seals the header, `spqr` the second
    /// ratchet's part of it.
    ///
    /// # Errors
    /// [`SendError`]
    pub fn send(&mut self, nonce: &[u8; 12], spqr: Box<SpqrHeader>) -> Result<Sending, SendError> {
        let chain = self.sending.as_mut().ok_or(SendError::NoSendingChain)?;
        let (ratchet_key, previous_length) = (self.dh_public, self.previous_length);
        let header = Header { ratchet_key, previous_length, number: chain.next, spqr };
        let message_key = chain.step().ok_or(SendError::ChainExhausted)?;
        let header_key = chain.header_key.clone();
        Ok(Sending { header: header.seal(&header_key, nonce), header_key, message_key })
    }

    /// Finds the key of a received message (`RatchetDecryptHE`) without changing anything. `accepts` is asked before a
    /// header key is tried; the envelope's hint lets it say no at the cost of one hash.
    ///
    /// # Errors
    /// [`ReceiveError`]
    pub fn receive(
        &self,
        header: &EncryptedHeader,
        nonce: &[u8; 12],
        accepts: impl Fn(&Secret<32>) -> bool,
        rng: &mut impl CryptoRng,
    ) -> Result<Receiving, ReceiveError> {
        let open = |key: &Secret<32>| accepts(key).then(|| header.open(key, nonce)).flatten();
        // The current chain first: it is by far the likeliest.
        if let Some(chain) = &self.receiving
            && let Some(header) = open(&chain.header_key)
        {
            return if header.number < chain.next {
                self.take_skipped(&chain.header_key, header)
            } else {
                self.receive_in_chain(chain, header)
            };
        }
        if let Some(header) = open(&self.next_header_key_receiving) {
            return self.receive_with_dh_step(header, rng);
        }
        for header_key in self.skipped.header_keys() {
            if let Some(header) = open(header_key) {
                return self.take_skipped(header_key, header);
            }
        }
        Err(ReceiveError::NoHeaderKey)
    }

    /// Takes over what [`Self::receive`] found, once the message has verified.
    pub fn apply(&mut self, receiving: Receiving) {
        match receiving.change {
            Change::TakeSkipped(index) => self.skipped.remove(index),
            Change::Advance(advance) => {
                if let Some(step) = advance.step {
                    self.dh_secret = step.dh_secret;
                    self.dh_public = step.dh_public;
                    self.dh_remote = Some(step.dh_remote);
                    self.root_key = step.root_key;
                    self.sending = Some(step.sending);
                    self.previous_length = step.previous_length;
                    self.next_header_key_sending = step.next_header_key_sending;
                    self.next_header_key_receiving = step.next_header_key_receiving;
                }
                self.receiving = Some(advance.receiving);
                self.skipped.extend(advance.newly_skipped);
            }
        }
    }

    /// Every header key that an incoming message may be under: current, next, and those of skipped messages.
    pub fn receiving_header_keys(&self) -> impl Iterator<Item = &Secret<32>> {
        let current = self.receiving.as_ref().map(|chain| &chain.header_key);
        let skipped = self.skipped.header_keys().filter(move |key| Some(*key) != current);
        current.into_iter().chain([&self.next_header_key_receiving]).chain(skipped)
    }

    fn take_skipped(&self, header_key: &Secret<32>, header: Header) -> Result<Receiving, ReceiveError> {
        let (index, key) = self.skipped.find(header_key, header.number).ok_or(ReceiveError::AlreadyReceived)?;
        let message_key = key.message_key.clone();
        Ok(Receiving { message_key, spqr: header.spqr, change: Change::TakeSkipped(index) })
    }

    fn receive_in_chain(&self, chain: &Chain, header: Header) -> Result<Receiving, ReceiveError> {
        let mut receiving = chain.clone();
        let newly_skipped = receiving.skip_to(header.number)?;
        advance(receiving, newly_skipped, None, header.spqr)
    }

    /// `DHRatchetHE`: the rest of the old chain is skipped, then the root key takes two steps.
    fn receive_with_dh_step(&self, header: Header, rng: &mut impl CryptoRng) -> Result<Receiving, ReceiveError> {
        let mut newly_skipped = match &self.receiving {
            // A chain that ends before what was received of it is no chain of ours.
            Some(chain) if header.previous_length < chain.next => return Err(ReceiveError::AlreadyReceived),
            Some(chain) => chain.clone().skip_to(header.previous_length)?,
            None => Vec::new(),
        };
        let agree = |secret: &DhSecretKey| secret.agree(&header.ratchet_key).map_err(|_| ReceiveError::RatchetKey);
        let [root_key, chain_key, next_header_key_receiving] = derive_root(&self.root_key, &agree(&self.dh_secret)?);
        let mut receiving = Chain::new(self.next_header_key_receiving.clone(), chain_key);
        let dh_secret = DhSecretKey::random(rng);
        let [root_key, chain_key, next_header_key_sending] = derive_root(&root_key, &agree(&dh_secret)?);
        newly_skipped.extend(receiving.skip_to(header.number)?);
        let step = DhStep {
            dh_public: dh_secret.public_key(),
            dh_secret,
            dh_remote: header.ratchet_key,
            root_key,
            sending: Chain::new(self.next_header_key_sending.clone(), chain_key),
            previous_length: self.sending.as_ref().map_or(0, |chain| chain.next),
            next_header_key_sending,
            next_header_key_receiving,
        };
        advance(receiving, newly_skipped, Some(step), header.spqr)
    }
}

fn advance(
    mut receiving: Chain,
    newly_skipped: Vec<SkippedKey>,
    step: Option<DhStep>,
    spqr: Box<SpqrHeader>,
) -> Result<Receiving, ReceiveError> {
    let message_key = receiving.step().ok_or(ReceiveError::TooFarAhead { by: u32::MAX })?;
    let change = Change::Advance(Box::new(Advance { step, receiving, newly_skipped }));
    Ok(Receiving { message_key, spqr, change })
}

/// `KDF_RK_HE`: new root key, chain key and next header key. The root key is the salt.
fn derive_root(root_key: &Secret<32>, shared: &Secret<32>) -> [Secret<32>; 3] {
    kdf::split::<96, 3>(&kdf::hkdf(root_key.as_bytes(), &[shared.as_bytes()], label::ROOT_KEY))
}
