//! The header of a message, and its encryption.

use crate::crypto::aead;
use crate::crypto::dh::DhPublicKey;
use crate::crypto::secret::Secret;
use crate::spqr::{SPQR_HEADER_LENGTH, SpqrHeader};

/// Bytes of the Double Ratchet's part: ratchet key, PN, N.
const OWN_LENGTH: usize = 40;
/// Bytes of a header: that part, then the second ratchet's.
const HEADER_LENGTH: usize = OWN_LENGTH + SPQR_HEADER_LENGTH;
/// Bytes of a sealed header.
pub const ENCRYPTED_HEADER_LENGTH: usize = HEADER_LENGTH + aead::TAG_LENGTH;

/// What the receiver needs to find the message key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The sender's current ratchet key.
    pub ratchet_key: DhPublicKey,
    /// PN: messages in the sender's chain before this one.
    pub previous_length: u32,
    /// N: the message's number in its chain, from 0.
    pub number: u32,
    /// The second ratchet's part, which this one only carries.
    pub spqr: Box<SpqrHeader>,
}

/// A sealed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedHeader(pub(crate) [u8; ENCRYPTED_HEADER_LENGTH]);

impl Header {
    /// `HENCRYPT` with a random nonce, which travels in the envelope.
    pub(super) fn seal(&self, header_key: &Secret<32>, nonce: &[u8; 12]) -> EncryptedHeader {
        let mut plaintext = [0; HEADER_LENGTH];
        plaintext[..32].copy_from_slice(self.ratchet_key.as_bytes());
        plaintext[32..36].copy_from_slice(&self.previous_length.to_be_bytes());
        plaintext[36..OWN_LENGTH].copy_from_slice(&self.number.to_be_bytes());
        plaintext[OWN_LENGTH..].copy_from_slice(self.spqr.as_slice());
        let sealed = aead::seal(header_key, nonce, &[], &plaintext);
        let mut header = [0; ENCRYPTED_HEADER_LENGTH];
        header.copy_from_slice(&sealed);
        EncryptedHeader(header)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (ratchet_key, numbers) = bytes.split_at_checked(32)?;
        let (previous_length, rest) = numbers.split_at_checked(4)?;
        let (number, spqr) = rest.split_at_checked(4)?;
        Some(Self {
            ratchet_key: DhPublicKey::from_slice(ratchet_key).ok()?,
            previous_length: u32::from_be_bytes(previous_length.try_into().ok()?),
            number: u32::from_be_bytes(number.try_into().ok()?),
            spqr: Box::new(spqr.try_into().ok()?),
        })
    }
}

impl EncryptedHeader {
    /// `HDECRYPT`: `None` if the key is not the right one.
    pub(super) fn open(&self, header_key: &Secret<32>, nonce: &[u8; 12]) -> Option<Header> {
        Header::decode(&aead::open(header_key, nonce, &[], &self.0).ok()?)
    }

    /// The bytes, which the message's associated data takes in.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ENCRYPTED_HEADER_LENGTH] {
        &self.0
    }
}
