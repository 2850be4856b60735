//! ML-KEM-1024 (FIPS 203) by libcrux. Seeds are kept, never the library's expanded form.

use std::fmt;

use libcrux_ml_kem::mlkem1024;
use rand_core::CryptoRng;
use thiserror::Error;

use super::secret::Secret;

/// Bytes of an encapsulation key.
pub const ENCAPSULATION_KEY_LENGTH: usize = 1568;
/// Bytes of a ciphertext.
pub const CIPHERTEXT_LENGTH: usize = 1568;

/// An encapsulation key that passed the modulus check (FIPS 203 section 7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey(Box<[u8; ENCAPSULATION_KEY_LENGTH]>);

/// The 64-byte seed `d || z` that a key pair is made from (FIPS 203 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecapsulationKey(Secret<64>);

/// A ciphertext; any bytes of the right length are one.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext(Box<[u8; CIPHERTEXT_LENGTH]>);

/// Why bytes are no key or no ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KemError {
    /// The wrong length, or coefficients beyond the modulus.
    #[error("not an ML-KEM-1024 encapsulation key")]
    EncapsulationKey,
    /// The wrong length.
    #[error("not an ML-KEM-1024 ciphertext")]
    Ciphertext,
}

impl EncapsulationKey {
    /// Reads and checks a key.
    ///
    /// # Errors
    /// [`KemError::EncapsulationKey`]
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KemError> {
        let bytes: [u8; ENCAPSULATION_KEY_LENGTH] = bytes.try_into().map_err(|_| KemError::EncapsulationKey)?;
        if mlkem1024::validate_public_key(&bytes.into()) {
            Ok(Self(Box::new(bytes)))
        } else {
            Err(KemError::EncapsulationKey)
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; ENCAPSULATION_KEY_LENGTH] {
        &self.0
    }

    /// Draws a shared secret and encapsulates it.
    pub fn encapsulate(&self, rng: &mut impl CryptoRng) -> (Ciphertext, Secret<32>) {
        let randomness = Secret::<32>::random(rng);
        let (ciphertext, shared) = mlkem1024::encapsulate(&(*self.0).into(), *randomness.as_bytes());
        (Ciphertext(Box::new(ciphertext.into())), Secret::from(shared))
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncapsulationKey({}..)", data_encoding::HEXLOWER.encode(&self.0[..8]))
    }
}

impl DecapsulationKey {
    /// Draws a fresh key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes a seed from the store.
    #[must_use]
    pub const fn from_seed(seed: Secret<64>) -> Self {
        Self(seed)
    }

    /// The seed, for the store.
    #[must_use]
    pub const fn seed(&self) -> &Secret<64> {
        &self.0
    }

    /// The key that others encapsulate to.
    #[must_use]
    pub fn encapsulation_key(&self) -> EncapsulationKey {
        let pair = mlkem1024::generate_key_pair(*self.0.as_bytes());
        EncapsulationKey(Box::new(*pair.pk()))
    }

    /// The shared secret; for a ciphertext that was not made for this key, an unrelated one (implicit rejection).
    #[must_use]
    pub fn decapsulate(&self, ciphertext: &Ciphertext) -> Secret<32> {
        self.decapsulate_with_key(ciphertext).0
    }

    /// The shared secret, and the key that it was encapsulated to: the seed is expanded once for both.
    pub(crate) fn decapsulate_with_key(&self, ciphertext: &Ciphertext) -> (Secret<32>, EncapsulationKey) {
        let pair = mlkem1024::generate_key_pair(*self.0.as_bytes());
        let secret = Secret::from(mlkem1024::decapsulate(pair.private_key(), &(*ciphertext.0).into()));
        (secret, EncapsulationKey(Box::new(*pair.pk())))
    }
}

impl Ciphertext {
    /// Reads a ciphertext.
    ///
    /// # Errors
    /// [`KemError::Ciphertext`]
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KemError> {
        let bytes: [u8; CIPHERTEXT_LENGTH] = bytes.try_into().map_err(|_| KemError::Ciphertext)?;
        Ok(Self(Box::new(bytes)))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; CIPHERTEXT_LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ciphertext({}..)", data_encoding::HEXLOWER.encode(&self.0[..8]))
    }
}
