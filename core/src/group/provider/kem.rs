//! The KEMs of the two suites: DHKEM(X25519, HKDF-SHA256) of RFC 9180 and X-Wing.

use mls_rs_core::crypto::{HpkePublicKey, HpkeSecretKey};
use mls_rs_crypto_hpke::dhkem::DhKem;
use mls_rs_crypto_traits::{DhType, KemId, KemResult, KemType, SamplingMethod};

use super::primitives::{HkdfSha256, KEY_LENGTH};
use super::{ProviderError, Randomness};
use crate::crypto::dh::{DhPublicKey, DhSecretKey};
use crate::crypto::secret::Secret;
use crate::crypto::x_wing::{DecapsulationKey, EncapsulationKey};

/// X-Wing's number in the registry of HPKE's KEMs (draft-connolly-cfrg-xwing-kem, section 8).
const X_WING_ID: u16 = 0x647a;

/// The KEM of a suite.
#[derive(Debug, Clone)]
pub enum Kem {
    /// Of 0x0003.
    X25519(DhKem<X25519, HkdfSha256>),
    /// Of 0x004D.
    XWing(Randomness),
}

impl Kem {
    pub(super) fn x25519(randomness: Randomness) -> Self {
        let id = KemId::DhKemX25519Sha256;
        Self::X25519(DhKem::new(X25519(randomness), HkdfSha256, id as u16, id.n_secret()))
    }
}

impl KemType for Kem {
    type Error = ProviderError;

    fn kem_id(&self) -> u16 {
        match self {
            Self::X25519(kem) => kem.kem_id(),
            Self::XWing(_) => X_WING_ID,
        }
    }

    /// For X-Wing `DeriveKeyPair` of the draft's section 5.5, whose input is the keying material itself.
    fn generate_deterministic(&self, seed: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        match self {
            Self::X25519(kem) => kem.generate_deterministic(seed).map_err(|_| ProviderError::Kem),
            Self::XWing(_) => Ok(x_wing_pair(&Secret::from(libcrux_sha3::shake256::<KEY_LENGTH>(seed)))),
        }
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        match self {
            Self::X25519(kem) => kem.generate().map_err(|_| ProviderError::Randomness),
            Self::XWing(randomness) => {
                let mut seed = Secret::zeroed();
                randomness.fill(seed.as_mut_bytes())?;
                Ok(x_wing_pair(&seed))
            }
        }
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), ProviderError> {
        match self {
            Self::X25519(kem) => kem.public_key_validate(key).map_err(|_| ProviderError::Kem),
            Self::XWing(_) => EncapsulationKey::from_slice(key).map(|_| ()).map_err(|_| ProviderError::Kem),
        }
    }

    fn encap(&self, remote: &HpkePublicKey) -> Result<KemResult, ProviderError> {
        match self {
            Self::X25519(kem) => kem.encap(remote).map_err(|_| ProviderError::Kem),
            Self::XWing(randomness) => {
                let key = EncapsulationKey::from_slice(remote).map_err(|_| ProviderError::Kem)?;
                let mut drawn = Secret::zeroed();
                randomness.fill(drawn.as_mut_bytes())?;
                let (ciphertext, secret) = key.encapsulate_with(&drawn).map_err(|_| ProviderError::Kem)?;
                Ok(KemResult::new(secret.as_bytes().to_vec(), ciphertext.to_vec()))
            }
        }
    }

    fn decap(
        &self,
        ciphertext: &[u8],
        secret_key: &HpkeSecretKey,
        public_key: &HpkePublicKey,
    ) -> Result<Vec<u8>, ProviderError> {
        match self {
            Self::X25519(kem) => kem.decap(ciphertext, secret_key, public_key).map_err(|_| ProviderError::Kem),
            Self::XWing(_) => {
                let seed = Secret::from_slice(secret_key).ok_or(ProviderError::KeyLength)?;
                let secret =
                    DecapsulationKey::from_seed(seed).decapsulate(ciphertext).map_err(|_| ProviderError::Kem)?;
                Ok(secret.as_bytes().to_vec())
            }
        }
    }

    fn seed_length_for_derive(&self) -> usize {
        KEY_LENGTH
    }
}

fn x_wing_pair(seed: &Secret<KEY_LENGTH>) -> (HpkeSecretKey, HpkePublicKey) {
    let public = DecapsulationKey::from_seed(seed.clone()).encapsulation_key().to_bytes();
    (seed.as_bytes().to_vec().into(), public.into())
}

/// X25519 with the refusals of [`crate::crypto::dh`].
#[derive(Debug, Clone)]
pub struct X25519(Randomness);

impl DhType for X25519 {
    type Error = ProviderError;

    fn dh(&self, secret_key: &HpkeSecretKey, public_key: &HpkePublicKey) -> Result<Vec<u8>, ProviderError> {
        let public = DhPublicKey::from_slice(public_key).map_err(|_| ProviderError::Kem)?;
        let shared = self::secret_key(secret_key)?.agree(&public).map_err(|_| ProviderError::Kem)?;
        Ok(shared.as_bytes().to_vec())
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        let mut seed = Secret::<KEY_LENGTH>::zeroed();
        self.0.fill(seed.as_mut_bytes())?;
        let public = DhSecretKey::from_secret(&seed).public_key();
        Ok((seed.as_bytes().to_vec().into(), public.as_bytes().to_vec().into()))
    }

    fn to_public(&self, secret_key: &HpkeSecretKey) -> Result<HpkePublicKey, ProviderError> {
        Ok(self::secret_key(secret_key)?.public_key().as_bytes().to_vec().into())
    }

    fn bitmask_for_rejection_sampling(&self) -> SamplingMethod {
        SamplingMethod::HpkeWithoutBitmask
    }

    fn secret_key_size(&self) -> usize {
        KEY_LENGTH
    }

    fn public_key_size(&self) -> usize {
        KEY_LENGTH
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), ProviderError> {
        DhPublicKey::from_slice(key).map(|_| ()).map_err(|_| ProviderError::Kem)
    }
}

fn secret_key(bytes: &[u8]) -> Result<DhSecretKey, ProviderError> {
    Ok(DhSecretKey::from_secret(&Secret::from_slice(bytes).ok_or(ProviderError::KeyLength)?))
}
