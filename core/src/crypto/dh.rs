//! X25519 (RFC 7748), refusing non-canonical points and all-zero shared secrets.

use std::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};

use super::secret::Secret;

/// A public key in its canonical encoding: bit 255 clear and below 2^255 - 19.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DhPublicKey([u8; 32]);

/// A private key; wiped when dropped, printed as `..`.
#[derive(Clone)]
pub struct DhSecretKey(Box<StaticSecret>);

/// Why a key agreement cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DhError {
    /// Not 32 bytes, or not the canonical encoding of a field element.
    #[error("not a canonical X25519 public key")]
    NotCanonical,
    /// The other side's point has small order; every secret would give the same result (RFC 7748 section 6.1).
    #[error("the X25519 shared secret is all zero")]
    NotContributory,
}

impl DhPublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// [`DhError::NotCanonical`]
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DhError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| DhError::NotCanonical)?;
        if bytes[31] & 0x80 != 0 || !is_below_p(&bytes) { Err(DhError::NotCanonical) } else { Ok(Self(bytes)) }
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Whether 255 little-endian bits are a field element in its canonical form; bit 255 is not looked at.
pub(super) fn is_below_p(bytes: &[u8; 32]) -> bool {
    // p = 2^255 - 19: the encodings from p up are those with 255 set bits but for the lowest byte.
    bytes[31] & 0x7f != 0x7f || bytes[1..31].iter().any(|&byte| byte != 0xff) || bytes[0] < 0xed
}

impl fmt::Debug for DhPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DhPublicKey({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl DhSecretKey {
    /// Draws a fresh key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_secret(&Secret::random(rng))
    }

    /// Takes the 32 bytes as RFC 7748 section 5 does: clamped on use.
    #[must_use]
    pub fn from_secret(secret: &Secret<32>) -> Self {
        Self(Box::new(StaticSecret::from(*secret.as_bytes())))
    }

    /// The 32 bytes, for the store.
    #[must_use]
    pub fn to_secret(&self) -> Secret<32> {
        Secret::from(self.0.to_bytes())
    }

    /// The public key that goes with it.
    #[must_use]
    pub fn public_key(&self) -> DhPublicKey {
        DhPublicKey(PublicKey::from(&*self.0).to_bytes())
    }

    /// The shared secret.
    ///
    /// # Errors
    /// [`DhError::NotContributory`] for a point of small order.
    pub fn agree(&self, other: &DhPublicKey) -> Result<Secret<32>, DhError> {
        let shared = self.0.diffie_hellman(&PublicKey::from(other.0));
        if shared.was_contributory() { Ok(Secret::from(shared.to_bytes())) } else { Err(DhError::NotContributory) }
    }
}

impl fmt::Debug for DhSecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_are_not_canonical_are_refused() {
        let prime = {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (0xed, 0x7f);
            bytes
        };
        assert_eq!(DhPublicKey::from_slice(&prime), Err(DhError::NotCanonical));
        let mut below = prime;
        below[0] = 0xec;
        assert!(DhPublicKey::from_slice(&below).is_ok());
        let mut high_bit = [9; 32];
        high_bit[31] = 0x80;
        assert_eq!(DhPublicKey::from_slice(&high_bit), Err(DhError::NotCanonical));
        assert_eq!(DhPublicKey::from_slice(&[9; 31]), Err(DhError::NotCanonical));
    }

    #[test]
    fn a_point_of_small_order_gives_no_secret() {
        let zero = DhPublicKey::from_slice(&[0; 32]).unwrap();
        let secret = DhSecretKey::from_secret(&Secret::from([5; 32]));
        assert_eq!(secret.agree(&zero), Err(DhError::NotContributory));
    }
}
