//! Franking: a sender is bound to each message of a group, so that one of them can be opened to an officer and no other.
//! `spec/franking.md`.
//!
//! An AEAD ciphertext under ChaCha20-Poly1305 does not commit to its plaintext, and in a group many know the key. So the sender
//! draws a franking key for each message, puts it into the encrypted content, and sends beside it, in MLS's authenticated
//! data, an HMAC of the content under that key with his device's signature over it ([`FrankingTag`]). Members check both before
//! they show anything. To report a message is to hand its content on: with it the officer has the key, and checks the
//! tag himself.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::secret::Secret;
use crate::crypto::signature::{Signature, SigningKey, VerifyingKey};
use crate::kind::{Content, ContentError};
use crate::label;
use crate::limits::CONTENT_LENGTH_MAX;
use crate::wire;

/// Bytes of a [`FrankingTag`].
pub const FRANKING_TAG_LENGTH: usize = 96;

/// What travels beside a group message: `commitment || signature`, in MLS's authenticated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrankingTag {
    /// HMAC-SHA256 of the log and the content under the key that is in the content.
    pub commitment: [u8; 32],
    /// The sender's device's, over the log and the commitment.
    pub signature: Signature,
}

/// A content as MLS encrypts it, and what goes beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct FrankedContent {
    /// An encoded content with its franking key.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its tag.
    pub tag: FrankingTag,
}

/// Why a group message is refused, or a report of one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrankingError {
    /// The tag has not [`FRANKING_TAG_LENGTH`] bytes.
    #[error("a franking tag has {FRANKING_TAG_LENGTH} bytes, not {0}")]
    TagLength(usize),
    /// The content has no franking key of 32 bytes.
    #[error("the message has no franking key")]
    NoKey,
    /// The commitment is to another content, log or key.
    #[error("the commitment is to another message")]
    Commitment,
    /// The device did not sign the commitment.
    #[error("the signature of the commitment does not verify")]
    Signature,
    /// The content is none.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl FrankingTag {
    /// The bytes beside the ciphertext.
    #[must_use]
    pub fn encode(&self) -> [u8; FRANKING_TAG_LENGTH] {
        let mut bytes = [0; FRANKING_TAG_LENGTH];
        bytes[..32].copy_from_slice(&self.commitment);
        bytes[32..].copy_from_slice(&self.signature);
        bytes
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`FrankingError::TagLength`]
    pub fn decode(bytes: &[u8]) -> Result<Self, FrankingError> {
        let refused = || FrankingError::TagLength(bytes.len());
        let (commitment, signature) = bytes.split_first_chunk().ok_or_else(refused)?;
        Ok(Self { commitment: *commitment, signature: signature.try_into().map_err(|_| refused())? })
    }
}

impl FrankedContent {
    /// Whether the tag commits to these bytes in the group of this log. The signature is not looked at.
    ///
    /// # Errors
    /// [`FrankingError`]
    pub fn check_commitment(&self, log_id: &[u8; 32]) -> Result<(), FrankingError> {
        committed(&self.bytes, &self.tag, log_id)
    }
}

/// Binds the sender's device to a content in the group of this log.
///
/// # Errors
/// [`ContentError`] for what would be refused on the other side.
pub fn frank(
    content: &Content,
    log_id: &[u8; 32],
    device_key: &SigningKey,
    rng: &mut impl CryptoRng,
) -> Result<FrankedContent, ContentError> {
    content.validate()?;
    let key = Secret::random(rng);
    let bytes = wire::content::encode_franked(content, &key);
    if bytes.len() > CONTENT_LENGTH_MAX {
        return Err(ContentError::MessageTooLarge { length: bytes.len() });
    }
    let commitment = commitment(&key, log_id, &bytes);
    let signature = device_key.sign(label::FRANKING_SIGNATURE, &[log_id, &commitment]);
    Ok(FrankedContent { bytes, tag: FrankingTag { commitment, signature } })
}

/// Checks a group message under the signing key of the device that MLS names as its sender, and reads it. What does not pass is
/// shown to nobody: it could not be reported.
///
/// # Errors
/// [`FrankingError`]
pub fn open(
    content: &[u8],
    tag: &FrankingTag,
    log_id: &[u8; 32],
    sender_key: &VerifyingKey,
) -> Result<Content, FrankingError> {
    let read = Content::decode(content)?;
    committed(content, tag, log_id)?;
    sender_key
        .verify(label::FRANKING_SIGNATURE, &[log_id, &tag.commitment], &tag.signature)
        .map_err(|_| FrankingError::Signature)?;
    Ok(read)
}

fn committed(content: &[u8], tag: &FrankingTag, log_id: &[u8; 32]) -> Result<(), FrankingError> {
    let key = wire::content::franking_key(content).map_err(ContentError::from)?.ok_or(FrankingError::NoKey)?;
    if bool::from(commitment(&key, log_id, content).ct_eq(&tag.commitment)) {
        Ok(())
    } else {
        Err(FrankingError::Commitment)
    }
}

/// HMAC-SHA256 over the label, the log and the content. That it binds rests on SHA-256 alone: the key has a fixed length below
/// HMAC's block, so no two keys are the same to it.
fn commitment(key: &Secret<32>, log_id: &[u8; 32], content: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        unreachable!("HMAC takes a key of any length");
    };
    mac.update(&label::FRANKING_COMMITMENT.prefix());
    mac.update(log_id);
    mac.update(content);
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for FrankedContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FrankedContent({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::test_content::content;
    use crate::kind::{Body, Chat};
    use crate::test_rng::rng;

    const LOG: [u8; 32] = [7; 32];

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_secret(&Secret::from([seed; 32]))
    }

    fn franked(text: &str) -> (Content, FrankedContent) {
        let content = content(Body::Chat(Chat::Text { text: text.into() }));
        let franked = frank(&content, &LOG, &key(1), &mut rng(3)).unwrap();
        (content, franked)
    }

    #[test]
    fn a_message_opens_as_it_was_and_under_its_sender_s_key_and_log_alone() {
        let (content, franked) = franked("Potassium 6.1");
        let opened = |tag: &FrankingTag, log, device: u8| open(&franked.bytes, tag, log, &key(device).verifying_key());
        assert_eq!(opened(&franked.tag, &LOG, 1), Ok(content));
        assert_eq!(opened(&franked.tag, &LOG, 2), Err(FrankingError::Signature));
        assert_eq!(opened(&franked.tag, &[8; 32], 1), Err(FrankingError::Commitment));
        assert_eq!(FrankingTag::decode(&franked.tag.encode()), Ok(franked.tag));
        assert_eq!(FrankingTag::decode(&[0; 95]), Err(FrankingError::TagLength(95)));
        assert_eq!(FrankingTag::decode(&[0; 97]), Err(FrankingError::TagLength(97)));
    }

    #[test]
    fn no_other_content_and_no_other_key_fits_a_tag() {
        let (_, franked) = franked("5 mg");
        let verifying_key = key(1).verifying_key();
        for bit in 0..franked.bytes.len() * 8 {
            let mut bytes = franked.bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&bytes, &franked.tag, &LOG, &verifying_key).is_err(), "bit {bit}");
        }
        for bit in 0..FRANKING_TAG_LENGTH * 8 {
            let mut tag = franked.tag.encode();
            tag[bit / 8] ^= 1 << (bit % 8);
            let tag = FrankingTag::decode(&tag).unwrap();
            assert!(open(&franked.bytes, &tag, &LOG, &verifying_key).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_message_between_two_people_has_no_key_and_stays_deniable() {
        let (content, franked) = franked("hello");
        let bytes = content.encode().unwrap();
        assert_eq!(wire::content::franking_key(&bytes), Ok(None));
        assert_eq!(open(&bytes, &franked.tag, &LOG, &key(1).verifying_key()), Err(FrankingError::NoKey));
    }

    #[test]
    fn each_message_has_a_key_of_its_own() {
        let content = content(Body::Chat(Chat::Text { text: "hello".into() }));
        let mut rng = rng(4);
        let tags = [(); 2].map(|()| frank(&content, &LOG, &key(1), &mut rng).unwrap().tag.commitment);
        assert_ne!(tags[0], tags[1]);
    }
}
