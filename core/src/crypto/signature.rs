//! Ed25519 (RFC 8032), always under a label and always verified strictly.

use std::fmt;

use ed25519_dalek::Signer;
use rand_core::CryptoRng;
use thiserror::Error;

use super::secret::Secret;
use crate::label::Label;

/// A public key: a point in canonical encoding that is not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerifyingKey([u8; 32]);

/// A private key; wiped when dropped, printed as `..`.
#[derive(Clone)]
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

/// The 64 bytes of a signature.
pub type Signature = [u8; 64];

/// Why a key or a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Not 32 bytes, not a point, not canonical, or of small order.
    #[error("not an Ed25519 public key")]
    Key,
    /// The signature does not verify under `verify_strict`.
    #[error("the signature does not verify")]
    Signature,
}

fn message(label: Label, parts: &[&[u8]]) -> Vec<u8> {
    let mut message = label.prefix();
    for part in parts {
        message.extend_from_slice(part);
    }
    message
}

impl VerifyingKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// [`SignatureError::Key`]
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| SignatureError::Key)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| SignatureError::Key)?;
        // A second encoding of the same point would make two identities out of one key. Of the two ways to write one, y
        // from p up is looked for here; a sign on x = 0 is found among the points of small order.
        let canonical = super::dh::is_below_p(&bytes);
        if key.is_weak() || !canonical { Err(SignatureError::Key) } else { Ok(Self(bytes)) }
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies a signature over the label and the parts, joined.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]
    pub fn verify(&self, label: Label, parts: &[&[u8]], signature: &[u8]) -> Result<(), SignatureError> {
        verify_unlabelled(&self.0, &message(label, parts), signature)
    }
}

/// Verifies what another standard has put its own label before. The key is refused as [`VerifyingKey::from_slice`] does.
pub(crate) fn verify_unlabelled(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let key: &[u8; 32] = key.try_into().map_err(|_| SignatureError::Key)?;
    if !super::dh::is_below_p(key) {
        return Err(SignatureError::Key);
    }
    let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Signature)?;
    // Decompressed once; the strict check refuses a key of small order.
    ed25519_dalek::VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(message, &signature))
        .map_err(|_| SignatureError::Signature)
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", data_encoding::HEXLOWER.encode(self.as_bytes()))
    }
}

impl SigningKey {
    /// Draws a fresh key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// Takes the 32-byte seed (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_secret(secret: &Secret<32>) -> Self {
        Self(Box::new(ed25519_dalek::SigningKey::from_bytes(secret.as_bytes())))
    }

    /// The 32-byte seed, for the store.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        Secret::from(self.0.to_bytes())
    }

    /// The public key that goes with it.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the label and the parts, joined.
    #[must_use]
    pub fn sign(&self, label: Label, parts: &[&[u8]]) -> Signature {
        self.0.sign(&message(label, parts)).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label;

    #[test]
    fn a_signature_holds_under_its_own_label_only() {
        let key = SigningKey::from_secret(&Secret::from([3; 32]));
        let signature = key.sign(label::SIGNED_PREKEY, &[b"a", b"b"]);
        assert!(key.verifying_key().verify(label::SIGNED_PREKEY, &[b"ab"], &signature).is_ok());
        assert!(key.verifying_key().verify(label::KEM_PREKEY, &[b"ab"], &signature).is_err());
        assert!(key.verifying_key().verify(label::SIGNED_PREKEY, &[b"ac"], &signature).is_err());
    }

    #[test]
    fn a_second_encoding_of_a_point_is_refused() {
        // y = p + 3 and y = p + 4 encode y = 3 and y = 4; at least one of those is a point, and none is taken.
        for low in 0xed_u8..=0xff {
            for sign in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, sign);
                assert_eq!(VerifyingKey::from_slice(&bytes), Err(SignatureError::Key));
            }
        }
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(VerifyingKey::from_slice(&identity), Err(SignatureError::Key));
    }
}
