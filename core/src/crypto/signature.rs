//! Ed25519 (RFC 8032), always under a label and always verified strictly.

use std::fmt;

use ed25519_dalek::{Signer, Verifier};
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

    /// The public key of a private one.
    pub(crate) fn of(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
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

/// The points of small order in their only canonical encodings.
const SMALL_ORDER: [[u8; 32]; 8] = {
    let mut points = [[0; 32]; 8];
    points[1][31] = 0x80;
    points[2][0] = 1;
    points[3] = [0xff; 32];
    points[3][0] = 0xec;
    points[3][31] = 0x7f;
    points[4] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    points[5] = points[4];
    points[5][31] = 0x85;
    points[6] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    points[7] = points[6];
    points[7][31] = 0xfa;
    points
};

/// A public key, decompressed: for who verifies much under it.
#[derive(Debug, Clone)]
pub(crate) struct ExpandedVerifyingKey(ed25519_dalek::VerifyingKey);

impl ExpandedVerifyingKey {
    /// Reads a key, and refuses what [`VerifyingKey::from_slice`] does.
    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| SignatureError::Key)?;
        if !super::dh::is_below_p(bytes) {
            return Err(SignatureError::Key);
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| SignatureError::Key)?;
        if key.is_weak() { Err(SignatureError::Key) } else { Ok(Self(key)) }
    }

    /// The key, as small as it came: it was refused for the same reasons.
    pub(crate) fn key(&self) -> VerifyingKey {
        VerifyingKey(self.0.to_bytes())
    }

    /// Verifies strictly what another standard has put its own label before.
    ///
    /// The library's `verify_strict` decompresses R to see whether its order is small. What it accepts then has the very
    /// bytes that R is computed to have, which are canonical: so its order shows in its bytes, and all else is as before.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Signature)?;
        if SMALL_ORDER.contains(signature.r_bytes()) {
            return Err(SignatureError::Signature);
        }
        self.0.verify(message, &signature).map_err(|_| SignatureError::Signature)
    }
}

/// Verifies what another standard has put its own label before. The key is refused as [`VerifyingKey::from_slice`] does.
pub(crate) fn verify_unlabelled(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    ExpandedVerifyingKey::from_slice(key)?.verify(message, signature)
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
        VerifyingKey::of(&self.0)
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

    #[test]
    fn points_of_small_order_are_all_known() {
        for (number, point) in SMALL_ORDER.iter().enumerate() {
            assert!(ed25519_dalek::VerifyingKey::from_bytes(point).unwrap().is_weak(), "{number}");
            assert!(VerifyingKey::from_slice(point).is_err() && ExpandedVerifyingKey::from_slice(point).is_err());
            assert!(SMALL_ORDER[..number].iter().all(|other| other != point));
        }
    }

    #[test]
    fn a_signature_whose_r_is_of_small_order_is_refused() {
        // R is the neutral element and s = H(R, A, M) a: the equation holds, for every message that its signer likes.
        let s: [u8; 32] = [
            0x1e, 0x3d, 0x9c, 0x75, 0x59, 0xaa, 0x6d, 0xdc, 0xc3, 0x03, 0x40, 0x51, 0xd0, 0x91, 0xe9, 0x46, //
            0xb6, 0x79, 0x46, 0x88, 0xae, 0x71, 0xcf, 0xcb, 0x0f, 0xd1, 0x0e, 0x4e, 0x65, 0x85, 0xe4, 0x09, //
        ];
        let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]).verifying_key();
        let signature = [SMALL_ORDER[2], s].concat();
        let parsed = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        assert!(key.verify(b"a message", &parsed).is_ok() && key.verify_strict(b"a message", &parsed).is_err());
        let ours = verify_unlabelled(key.as_bytes(), b"a message", &signature);
        assert_eq!(ours, Err(SignatureError::Signature));
    }

    proptest::proptest! {
        #[test]
        fn verification_is_as_strict_as_the_library_s(
            seed: [u8; 32], message: [u8; 8], place in 0..64_usize, change: u8, top in 0..3_usize
        ) {
            let signer = ed25519_dalek::SigningKey::from_bytes(&seed);
            let mut signature = signer.sign(&message).to_bytes();
            signature[place] ^= change;
            // Once more with what s or R cannot be.
            if top == 1 {
                signature[63] |= 0xf0;
            } else if top == 2 {
                signature[..32].fill(0xff);
            }
            let parsed = ed25519_dalek::Signature::from_bytes(&signature);
            let strict = signer.verifying_key().verify_strict(&message, &parsed).is_ok();
            let ours = verify_unlabelled(signer.verifying_key().as_bytes(), &message, &signature).is_ok();
            proptest::prop_assert_eq!(ours, strict);
        }
    }
}
