//! X-Wing (draft-connolly-cfrg-xwing-kem): X25519 and ML-KEM-768 under one SHA3-256.

use std::fmt;

use libcrux_ml_kem::mlkem768;
use rand_core::CryptoRng;
use thiserror::Error;

use super::dh::{DhError, DhPublicKey, DhSecretKey};
use super::secret::Secret;

/// Bytes of an encapsulation key: ML-KEM-768's, then X25519's.
pub const ENCAPSULATION_KEY_LENGTH: usize = ML_KEM_KEY_LENGTH + 32;
/// Bytes of a ciphertext: ML-KEM-768's, then X25519's.
pub const CIPHERTEXT_LENGTH: usize = ML_KEM_CIPHERTEXT_LENGTH + 32;

const ML_KEM_KEY_LENGTH: usize = 1184;
const ML_KEM_CIPHERTEXT_LENGTH: usize = 1088;
/// `XWingLabel` of the draft, section 5.3.
const COMBINER_LABEL: &[u8; 6] = br"\.//^\";

/// An encapsulation key whose two halves have been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey {
    ml_kem: Box<[u8; ML_KEM_KEY_LENGTH]>,
    x25519: DhPublicKey,
}

/// The 32-byte seed that both halves are expanded from (section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecapsulationKey(Secret<32>);

/// Why bytes are no key or cannot be decapsulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XWingError {
    /// The wrong length, or one half is no key.
    #[error("not an X-Wing encapsulation key")]
    EncapsulationKey,
    /// The wrong length, or the X25519 half is not a canonical point of large order.
    #[error("not an X-Wing ciphertext")]
    Ciphertext,
}

impl EncapsulationKey {
    /// Reads and checks a key.
    ///
    /// # Errors
    /// [`XWingError::EncapsulationKey`]
    pub fn from_slice(bytes: &[u8]) -> Result<Self, XWingError> {
        let (ml_kem, x25519) = bytes.split_at_checked(ML_KEM_KEY_LENGTH).ok_or(XWingError::EncapsulationKey)?;
        let ml_kem: [u8; ML_KEM_KEY_LENGTH] = ml_kem.try_into().map_err(|_| XWingError::EncapsulationKey)?;
        if !mlkem768::validate_public_key(&ml_kem.into()) {
            return Err(XWingError::EncapsulationKey);
        }
        let x25519 = DhPublicKey::from_slice(x25519).map_err(|_| XWingError::EncapsulationKey)?;
        Ok(Self { ml_kem: Box::new(ml_kem), x25519 })
    }

    /// The 1216 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.ml_kem.as_slice(), self.x25519.as_bytes()].concat()
    }

    /// Draws a shared secret and encapsulates it.
    ///
    /// # Errors
    /// [`DhError::NotContributory`] if the X25519 half of this key has small order.
    pub fn encapsulate(&self, rng: &mut impl CryptoRng) -> Result<([u8; CIPHERTEXT_LENGTH], Secret<32>), DhError> {
        self.encapsulate_with(&Secret::random(rng))
    }

    /// `EncapsulateDerand` of section 5.4; `randomness` must be fresh.
    pub(crate) fn encapsulate_with(
        &self,
        randomness: &Secret<64>,
    ) -> Result<([u8; CIPHERTEXT_LENGTH], Secret<32>), DhError> {
        let [ml_kem_randomness, x25519_randomness] = super::kdf::split::<64, 2>(randomness);
        let (ml_kem_ciphertext, ml_kem_secret) =
            mlkem768::encapsulate(&(*self.ml_kem).into(), *ml_kem_randomness.as_bytes());
        let ephemeral = DhSecretKey::from_secret(&x25519_randomness);
        let ephemeral_public = ephemeral.public_key();
        let x25519_secret = ephemeral.agree(&self.x25519)?;
        let mut ciphertext = [0; CIPHERTEXT_LENGTH];
        ciphertext[..ML_KEM_CIPHERTEXT_LENGTH].copy_from_slice(ml_kem_ciphertext.as_ref());
        ciphertext[ML_KEM_CIPHERTEXT_LENGTH..].copy_from_slice(ephemeral_public.as_bytes());
        Ok((ciphertext, combine(&Secret::from(ml_kem_secret), &x25519_secret, &ephemeral_public, &self.x25519)))
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EncapsulationKey({}..)", data_encoding::HEXLOWER.encode(&self.ml_kem[..8]))
    }
}

impl DecapsulationKey {
    /// Draws a fresh key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes a seed from the store.
    #[must_use]
    pub const fn from_seed(seed: Secret<32>) -> Self {
        Self(seed)
    }

    /// The seed, for the store.
    #[must_use]
    pub const fn seed(&self) -> &Secret<32> {
        &self.0
    }

    /// The key that others encapsulate to.
    #[must_use]
    pub fn encapsulation_key(&self) -> EncapsulationKey {
        let (pair, x25519) = self.expand();
        EncapsulationKey { ml_kem: Box::new(*pair.pk()), x25519: x25519.public_key() }
    }

    /// The shared secret.
    ///
    /// # Errors
    /// [`XWingError::Ciphertext`]
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, XWingError> {
        let (ml_kem, ephemeral) =
            ciphertext.split_at_checked(ML_KEM_CIPHERTEXT_LENGTH).ok_or(XWingError::Ciphertext)?;
        let ml_kem: [u8; ML_KEM_CIPHERTEXT_LENGTH] = ml_kem.try_into().map_err(|_| XWingError::Ciphertext)?;
        let ephemeral = DhPublicKey::from_slice(ephemeral).map_err(|_| XWingError::Ciphertext)?;
        let (pair, x25519) = self.expand();
        let ml_kem_secret = Secret::from(mlkem768::decapsulate(pair.private_key(), &ml_kem.into()));
        let x25519_secret = x25519.agree(&ephemeral).map_err(|_| XWingError::Ciphertext)?;
        Ok(combine(&ml_kem_secret, &x25519_secret, &ephemeral, &x25519.public_key()))
    }

    fn expand(&self) -> (mlkem768::MlKem768KeyPair, DhSecretKey) {
        let expanded = Secret::from(libcrux_sha3::shake256::<96>(self.0.as_bytes()));
        let [d, z, x25519] = super::kdf::split::<96, 3>(&expanded);
        let mut ml_kem_seed = Secret::<64>::zeroed();
        ml_kem_seed.as_mut_bytes()[..32].copy_from_slice(d.as_bytes());
        ml_kem_seed.as_mut_bytes()[32..].copy_from_slice(z.as_bytes());
        (mlkem768::generate_key_pair(*ml_kem_seed.as_bytes()), DhSecretKey::from_secret(&x25519))
    }
}

/// `Combiner` of section 5.3.
fn combine(
    ml_kem_secret: &Secret<32>,
    x25519_secret: &Secret<32>,
    x25519_ciphertext: &DhPublicKey,
    x25519_key: &DhPublicKey,
) -> Secret<32> {
    let mut input = Secret::<134>::zeroed();
    let bytes = input.as_mut_bytes();
    bytes[..32].copy_from_slice(ml_kem_secret.as_bytes());
    bytes[32..64].copy_from_slice(x25519_secret.as_bytes());
    bytes[64..96].copy_from_slice(x25519_ciphertext.as_bytes());
    bytes[96..128].copy_from_slice(x25519_key.as_bytes());
    bytes[128..].copy_from_slice(COMBINER_LABEL);
    Secret::from(libcrux_sha3::sha256(bytes))
}
