//! The key that an account gives to those whom it wants to hear from. `spec/tokens.md`, section "Delivery keys".
//!
//! It is no proof of who sends: everybody who has it has the same. The server keeps a hash and learns from a submission only
//! whether its sender is one of those.

use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};

use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::secret::Secret;
use crate::label;

/// A delivery key: wiped when dropped, printed as `..`, compared in constant time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryKey(Secret<16>);

impl DeliveryKey {
    /// Draws a new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// What the server of an account keeps of a key.
    #[must_use]
    pub fn hash(&self, address: &Address) -> [u8; 32] {
        labelled_sha256(label::DELIVERY_KEY_HASH, &[self.as_bytes(), address.as_str().as_bytes()])
    }

    /// Whether it is one of those that an account has set. How long that takes does not tell which, or how nearly.
    #[must_use]
    pub fn is_among(&self, address: &Address, hashes: &[[u8; 32]]) -> bool {
        let own = self.hash(address);
        hashes.iter().fold(Choice::from(0), |found, hash| found | own.ct_eq(hash)).into()
    }
}

impl From<[u8; 16]> for DeliveryKey {
    fn from(bytes: [u8; 16]) -> Self {
        Self(Secret::from(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;

    #[test]
    fn a_key_is_good_at_its_own_account() {
        let [key, other] = [1, 2].map(|seed| DeliveryKey::random(&mut rng(seed)));
        let [claire, karim]: [Address; 2] =
            ["claire@clinic.example", "karim@clinic.example"].map(|a| a.parse().unwrap());
        let hashes = [other.hash(&claire), key.hash(&claire)];
        assert!(key.is_among(&claire, &hashes) && other.is_among(&claire, &hashes));
        assert!(!key.is_among(&claire, &hashes[..1]) && !key.is_among(&claire, &[]));
        assert!(!key.is_among(&karim, &hashes), "a hash is of one account");
    }
}
