//! The envelope: the only thing that a server sees of a message. `spec/envelope.md`.
//!
//! `version (1) || nonce (12) || hint (4) || rest`, of one of five sizes. In a session envelope the rest is the encrypted
//! header and the ciphertext; in a first flight it is an X-Wing ciphertext and the sealed initial message.

use std::fmt;

use chacha20::{R20, hchacha};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::aead::{self, SingleUseKey, TAG_LENGTH};
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::crypto::wide_chacha::WideChaCha;
use crate::crypto::x_wing;
use crate::double_ratchet::{ENCRYPTED_HEADER_LENGTH, EncryptedHeader};
use crate::handshake::{HandshakeError, InitialMessage};
use crate::label;
use crate::limits::ENVELOPE_SIZES;

/// The wire version of this crate's sessions.
pub const VERSION: u8 = 1;

pub(crate) const NONCE_LENGTH: usize = 12;
const HINT_LENGTH: usize = 4;
/// Bytes before the rest.
const PREFIX_LENGTH: usize = 1 + NONCE_LENGTH + HINT_LENGTH;
/// Bytes of a session envelope that are not padded plaintext.
const SESSION_OVERHEAD: usize = PREFIX_LENGTH + ENCRYPTED_HEADER_LENGTH + TAG_LENGTH;
/// Bytes of a first flight that are not the padded initial message.
const FIRST_FLIGHT_OVERHEAD: usize = PREFIX_LENGTH + x_wing::CIPHERTEXT_LENGTH + TAG_LENGTH;
/// Ends the content; zeros follow (ISO/IEC 7816-4).
const PADDING_MARK: u8 = 0x80;

/// A received envelope of known version and size.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    prefix: Prefix,
    rest: Vec<u8>,
}

/// What an envelope says of its session, to whoever has the session's hint key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint(Prefix);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Prefix {
    nonce: [u8; NONCE_LENGTH],
    hint: [u8; HINT_LENGTH],
}

/// A message of a session: the nonce that sealed its header, the header, the ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct RatchetMessage {
    pub(crate) nonce: [u8; NONCE_LENGTH],
    pub(crate) header: EncryptedHeader,
    pub(crate) ciphertext: Vec<u8>,
}

/// By which an envelope's session is found: `HKDF(header key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HintKey(Secret<32>);

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// Not one of the five sizes.
    #[error("{0} bytes is no size of an envelope")]
    Size(usize),
    /// Another version of the protocol.
    #[error("the envelope has version {0}; this is version {VERSION}")]
    Version(u8),
    /// Content that does not fit the largest envelope.
    #[error("the content is {over} bytes too long for the largest envelope")]
    TooLong {
        /// By how many bytes.
        over: usize,
    },
    /// The seal does not open with this key: a first flight to another key, a session message, or altered on the way.
    #[error("the envelope is not sealed to this key")]
    NotForThisKey,
    /// The seal opened, and what was in it is refused.
    #[error("the first flight is refused: {0}")]
    FirstFlight(#[from] HandshakeError),
    /// The receiver's seal key is not usable.
    #[error("the seal key is not usable")]
    SealKey,
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::Size`] and [`EnvelopeError::Version`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if !ENVELOPE_SIZES.contains(&bytes.len()) {
            return Err(EnvelopeError::Size(bytes.len()));
        }
        if bytes[0] != VERSION {
            return Err(EnvelopeError::Version(bytes[0]));
        }
        let mut prefix = Prefix { nonce: [0; NONCE_LENGTH], hint: [0; HINT_LENGTH] };
        prefix.nonce.copy_from_slice(&bytes[1..=NONCE_LENGTH]);
        prefix.hint.copy_from_slice(&bytes[1 + NONCE_LENGTH..PREFIX_LENGTH]);
        Ok(Self { prefix, rest: bytes[PREFIX_LENGTH..].to_vec() })
    }

    /// The bytes that were read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.prefix.with(&self.rest)
    }

    /// Whether the hint says that a session with this key is meant. A stranger's envelope matches once in 2^32.
    #[must_use]
    pub fn matches(&self, key: &HintKey) -> bool {
        key.hint(&self.prefix.nonce) == self.prefix.hint
    }

    /// What it says of its session.
    #[must_use]
    pub const fn hint(&self) -> Hint {
        Hint(self.prefix)
    }

    /// The rest, read as a session message.
    pub(crate) fn ratchet_message(&self) -> Option<RatchetMessage> {
        let (header, ciphertext) = self.rest.split_at_checked(ENCRYPTED_HEADER_LENGTH)?;
        Some(RatchetMessage {
            nonce: self.prefix.nonce,
            header: EncryptedHeader(header.try_into().ok()?),
            ciphertext: ciphertext.to_vec(),
        })
    }

    /// Opens the rest as a first flight to this seal key.
    ///
    /// # Errors
    /// [`EnvelopeError::NotForThisKey`] and [`EnvelopeError::FirstFlight`].
    pub fn open_first_flight(&self, seal_key: &x_wing::DecapsulationKey) -> Result<InitialMessage, EnvelopeError> {
        let (sent, sealed) =
            self.rest.split_at_checked(x_wing::CIPHERTEXT_LENGTH).ok_or(EnvelopeError::NotForThisKey)?;
        let mut ciphertext = sent.to_vec();
        // The sender randomised the one bit that X25519 leaves clear; the associated data has it as it was sent.
        if let Some(last) = ciphertext.last_mut() {
            *last &= 0x7f;
        }
        let secret = seal_key.decapsulate(&ciphertext).map_err(|_| EnvelopeError::NotForThisKey)?;
        let plaintext = aead::open_once(&first_flight_key(&secret), &self.prefix.with(sent), sealed.to_vec())
            .map_err(|_| EnvelopeError::NotForThisKey)?;
        let message = unpad(&plaintext).ok_or(EnvelopeError::NotForThisKey)?;
        Ok(InitialMessage::decode(message)?)
    }
}

impl Hint {
    /// [`Envelope::matches`] for many envelopes and for hint keys as they lie in a store: which of the keys match each of
    /// these, by the keys' places. The keys are gone through once for all, in place and many at a time.
    pub fn matching<'a>(hints: &[Self], keys: impl IntoIterator<Item = &'a [u8; 32]>) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); hints.len()];
        let (mut keys, mut first) = (keys.into_iter().fuse(), 0);
        let mut wide = WideChaCha::new();
        loop {
            let count = wide.set_keys(&mut keys);
            if count == 0 {
                return places;
            }
            for (Self(prefix), places) in hints.iter().zip(&mut places) {
                let hint = u32::from_le_bytes(prefix.hint);
                let words = wide.first_words(&prefix.nonce);
                let found = words[..count].iter().zip(first..).filter(|(word, _)| **word == hint);
                places.extend(found.map(|(_, place)| place));
            }
            first += count;
        }
    }
}

impl fmt::Debug for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hint(..)")
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Envelope({} bytes)", PREFIX_LENGTH + self.rest.len())
    }
}

impl Prefix {
    fn encode(self) -> [u8; PREFIX_LENGTH] {
        let mut bytes = [VERSION; PREFIX_LENGTH];
        bytes[1..=NONCE_LENGTH].copy_from_slice(&self.nonce);
        bytes[1 + NONCE_LENGTH..].copy_from_slice(&self.hint);
        bytes
    }

    fn with(self, more: &[u8]) -> Vec<u8> {
        [&self.encode(), more].concat()
    }
}

impl HintKey {
    /// Of a header key.
    #[must_use]
    pub(crate) fn of(header_key: &Secret<32>) -> Self {
        Self(kdf::hkdf(&[0; 32], &[header_key.as_bytes()], label::HINT_KEY))
    }

    /// Out of the store.
    #[must_use]
    pub const fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// For the store.
    #[must_use]
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    fn hint(&self, nonce: &[u8; NONCE_LENGTH]) -> [u8; HINT_LENGTH] {
        hint(self.0.as_bytes(), nonce)
    }
}

/// The first bytes of the ChaCha20 block of a hint key and a nonce (RFC 8439 section 2.3, counter 0).
///
/// HChaCha20 does the same rounds on the same state and leaves out the last addition, which for the first word adds
/// the first constant. It computes one block, where the stream cipher computes four and keeps one.
fn hint(key: &[u8; 32], nonce: &[u8; NONCE_LENGTH]) -> [u8; HINT_LENGTH] {
    let mut counter_and_nonce = [0; 16];
    counter_and_nonce[4..].copy_from_slice(nonce);
    let block = hchacha::<R20>(key.into(), &counter_and_nonce.into());
    let word = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    word.wrapping_add(u32::from_le_bytes(*b"expa")).to_le_bytes()
}

impl RatchetMessage {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (nonce, rest) = bytes.split_at_checked(NONCE_LENGTH)?;
        let (header, ciphertext) = rest.split_at_checked(ENCRYPTED_HEADER_LENGTH)?;
        Some(Self {
            nonce: nonce.try_into().ok()?,
            header: EncryptedHeader(header.try_into().ok()?),
            ciphertext: ciphertext.to_vec(),
        })
    }

    /// nonce, header, ciphertext: as it stands inside a first flight.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.nonce.as_slice(), self.header.as_bytes(), &self.ciphertext].concat()
    }

    /// A whole session envelope. The ciphertext must have been padded for it, by [`padded_for_session`].
    pub(crate) fn into_envelope(self, hint_key: &HintKey) -> Vec<u8> {
        let prefix = Prefix { nonce: self.nonce, hint: hint_key.hint(&self.nonce) };
        [prefix.encode().as_slice(), self.header.as_bytes(), &self.ciphertext].concat()
    }
}

impl fmt::Debug for RatchetMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RatchetMessage({} bytes)", self.ciphertext.len())
    }
}

/// Content with its padding, so that the session envelope around it has one of the sizes.
pub(crate) fn padded_for_session(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    padded(content, SESSION_OVERHEAD)
}

/// Content with the mark alone, for a message that travels inside a first flight, which is padded itself.
pub(crate) fn marked(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(content.len() + 1 + TAG_LENGTH));
    padded.extend_from_slice(content);
    padded.push(PADDING_MARK);
    padded
}

/// What stands before the padding; `None` if there is no mark.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    // Many at a time: nearly all of a short message is zeros.
    let mut rest = padded;
    while let Some((before, zeros)) = rest.split_last_chunk::<16>()
        && u128::from_ne_bytes(*zeros) == 0
    {
        rest = before;
    }
    let last = rest.iter().rposition(|&byte| byte != 0)?;
    (padded[last] == PADDING_MARK).then(|| &padded[..last])
}

/// Seals an encoded initial message to the receiver's seal key, as a whole envelope.
pub(crate) fn seal_first_flight(
    message: &[u8],
    seal_key: &x_wing::EncapsulationKey,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, EnvelopeError> {
    let plaintext = padded(message, FIRST_FLIGHT_OVERHEAD)?;
    let (mut ciphertext, secret) = seal_key.encapsulate(rng).map_err(|_| EnvelopeError::SealKey)?;
    let mut random = [0; NONCE_LENGTH + HINT_LENGTH + 1];
    rng.fill_bytes(&mut random);
    let mut prefix = Prefix { nonce: [0; NONCE_LENGTH], hint: [0; HINT_LENGTH] };
    prefix.nonce.copy_from_slice(&random[..NONCE_LENGTH]);
    prefix.hint.copy_from_slice(&random[NONCE_LENGTH..NONCE_LENGTH + HINT_LENGTH]);
    // X25519 leaves the top bit clear; a random one is one mark fewer between first flights and session envelopes.
    ciphertext[x_wing::CIPHERTEXT_LENGTH - 1] |= random[NONCE_LENGTH + HINT_LENGTH] & 0x80;
    let sealed = aead::seal_once(&first_flight_key(&secret), &prefix.with(&ciphertext), plaintext);
    Ok([prefix.encode().as_slice(), &ciphertext, &sealed].concat())
}

fn first_flight_key(secret: &Secret<32>) -> SingleUseKey {
    kdf::hkdf(&[0; 32], &[secret.as_bytes()], label::FIRST_FLIGHT)
}

fn padded(content: &[u8], overhead: usize) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    let needed = content.len().saturating_add(1 + overhead);
    let largest = ENVELOPE_SIZES[ENVELOPE_SIZES.len() - 1];
    let size = ENVELOPE_SIZES.into_iter().find(|&size| size >= needed);
    let size = size.ok_or(EnvelopeError::TooLong { over: needed.saturating_sub(largest) })?;
    let mut padded = Zeroizing::new(Vec::with_capacity(size - overhead + TAG_LENGTH));
    padded.extend_from_slice(content);
    padded.push(PADDING_MARK);
    padded.resize(size - overhead, 0);
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;

    #[test]
    fn padding_comes_off_whatever_the_content_ends_with() {
        for content in [&b""[..], b"a", b"a\x80", b"a\0\0", b"\x80\0"] {
            assert_eq!(unpad(&marked(content)), Some(content));
            assert_eq!(unpad(&padded_for_session(content).unwrap()), Some(content));
        }
        for zeros in 0..70 {
            let padded = [b"a\x80".as_slice(), &vec![0; zeros]].concat();
            assert_eq!(unpad(&padded), Some(&b"a"[..]), "{zeros}");
            assert_eq!(unpad(&padded[2..]), None);
        }
        assert_eq!(unpad(b"abc\0"), None);
        assert_eq!(unpad(b"\0\0"), None);
        assert_eq!(unpad(b""), None);
    }

    #[test]
    fn content_gets_the_smallest_envelope_that_holds_it() {
        for size in ENVELOPE_SIZES {
            let most = size - SESSION_OVERHEAD - 1;
            assert_eq!(padded_for_session(&vec![1; most]).unwrap().len(), size - SESSION_OVERHEAD);
            let next = padded_for_session(&vec![1; most + 1]);
            assert!(size == 64 << 10 || next.unwrap().len() > size - SESSION_OVERHEAD);
        }
        let too_long = vec![1; (64 << 10) - SESSION_OVERHEAD];
        assert_eq!(padded_for_session(&too_long), Err(EnvelopeError::TooLong { over: 1 }));
    }

    #[test]
    fn the_hint_is_the_beginning_of_the_chacha20_block() {
        use chacha20::cipher::{KeyIvInit, StreamCipher};
        for byte in 0..=255 {
            let mut block = [0; HINT_LENGTH];
            chacha20::ChaCha20::new(&[byte; 32].into(), &[!byte; 12].into()).apply_keystream(&mut block);
            assert_eq!(HintKey::from_secret(Secret::from([byte; 32])).hint(&[!byte; 12]), block);
        }
    }

    #[test]
    fn matching_keys_are_found_wherever_they_stand() {
        let [mine, other] = [7, 8].map(|byte| HintKey::from_secret(Secret::from([byte; 32])));
        let mut bytes = vec![VERSION; 4096];
        bytes[1..=NONCE_LENGTH].copy_from_slice(&[5; 12]);
        bytes[1 + NONCE_LENGTH..PREFIX_LENGTH].copy_from_slice(&mine.hint(&[5; 12]));
        let envelope = Envelope::decode(&bytes).unwrap();
        bytes[1] ^= 1;
        let stranger = Envelope::decode(&bytes).unwrap();
        for (count, places) in
            [(0, vec![]), (1, vec![0]), (31, vec![30]), (64, vec![0, 31, 32, 63]), (70, vec![33, 69])]
        {
            let keys: Vec<&[u8; 32]> =
                (0..count).map(|place| if places.contains(&place) { &mine } else { &other }.0.as_bytes()).collect();
            let found = Hint::matching(&[envelope.hint(), stranger.hint(), envelope.hint()], keys);
            assert_eq!(found, [places.clone(), vec![], places]);
        }
        assert!(envelope.matches(&mine) && !envelope.matches(&other));
    }

    #[test]
    fn other_sizes_and_versions_are_refused() {
        assert_eq!(Envelope::decode(&[]), Err(EnvelopeError::Size(0)));
        assert_eq!(Envelope::decode(&[0; 4097]), Err(EnvelopeError::Size(4097)));
        for version in [0, 2, 0xff] {
            assert_eq!(Envelope::decode(&[version; 4096]), Err(EnvelopeError::Version(version)));
        }
    }

    #[test]
    fn a_first_flight_to_another_key_does_not_open() {
        let mut rng = rng(1);
        let [mine, other] = [(); 2].map(|()| x_wing::DecapsulationKey::random(&mut rng));
        let sealed = seal_first_flight(b"not a message", &mine.encapsulation_key(), &mut rng).unwrap();
        let envelope = Envelope::decode(&sealed).unwrap();
        assert!(matches!(envelope.open_first_flight(&other), Err(EnvelopeError::NotForThisKey)));
        assert!(matches!(envelope.open_first_flight(&mine), Err(EnvelopeError::FirstFlight(_))));
    }
}
