//! The cryptography that MLS runs on: the crates of every other part, and randomness only from the caller.
//!
//! Two suites: [`CLASSICAL`] is RFC 9420's 0x0003, [`POST_QUANTUM`] the same with X-Wing for the KEM, which every group of
//! the product has. `spec/group.md`, section "Suites".

mod kem;
mod primitives;
mod randomness;
#[cfg(test)]
mod tests;
mod witness;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::Signer;
use hmac::{Hmac, KeyInit, Mac};
use mls_rs_core::crypto::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey,
    SignaturePublicKey, SignatureSecretKey,
};
use mls_rs_core::error::IntoAnyError;
use mls_rs_crypto_hpke::context::{ContextR, ContextS};
use mls_rs_crypto_hpke::hpke::{Hpke, HpkeError};
use mls_rs_crypto_traits::{AeadType, KdfType, KemType};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

pub use kem::{Kem, X25519};
pub use primitives::{ChaChaPoly, HkdfSha256};
pub use randomness::Randomness;
pub(crate) use witness::{Seen, Witness};

use crate::crypto::signature::{ExpandedVerifyingKey, SignatureError, VerifyingKey};
use crate::limits::GROUP_SENDERS_KNOWN_MAX;

/// MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519 (RFC 9420 section 17.1).
pub const CLASSICAL: CipherSuite = CipherSuite::CURVE25519_CHACHA;
/// The same with X-Wing: the number that OpenMLS and XMTP use (MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519).
pub const POST_QUANTUM: CipherSuite = CipherSuite::new(0x004d);

/// Why the provider refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// Something random was asked for outside of a call that brought randomness.
    #[error("no randomness was given to this call")]
    Randomness,
    /// A key, nonce or pseudorandom key has the wrong length.
    #[error("a key or nonce has the wrong length")]
    KeyLength,
    /// HKDF gives at most 255 blocks.
    #[error("too many bytes were asked of HKDF")]
    OutputLength,
    /// A public key or KEM ciphertext is malformed, not canonical or of small order.
    #[error("a KEM key or ciphertext is refused")]
    Kem,
    /// The tag does not verify.
    #[error("the ciphertext does not verify")]
    Aead,
    /// A signature key is none, or a signature does not verify strictly.
    #[error("a signature is refused")]
    Signature,
}

impl IntoAnyError for ProviderError {}

impl From<HpkeError> for ProviderError {
    fn from(error: HpkeError) -> Self {
        match error {
            HpkeError::KemError(_) => Self::Kem,
            HpkeError::AeadError(_) => Self::Aead,
            _ => Self::KeyLength,
        }
    }
}

/// Both suites, with one source of randomness.
#[derive(Debug, Clone, Default)]
pub struct Provider {
    randomness: Randomness,
    witness: Witness,
}

impl Provider {
    /// The source that calls bring their randomness to.
    #[must_use]
    pub const fn randomness(&self) -> &Randomness {
        &self.randomness
    }

    /// Who sees what is signed and verified.
    pub(crate) const fn witness(&self) -> &Witness {
        &self.witness
    }
}

impl CryptoProvider for Provider {
    type CipherSuiteProvider = Suite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![CLASSICAL, POST_QUANTUM]
    }

    fn cipher_suite_provider(&self, cipher_suite: CipherSuite) -> Option<Suite> {
        let kem = match cipher_suite {
            CLASSICAL => Kem::x25519(self.randomness.clone()),
            POST_QUANTUM => Kem::XWing(self.randomness.clone()),
            _ => return None,
        };
        Some(Suite {
            cipher_suite,
            randomness: self.randomness.clone(),
            witness: self.witness.clone(),
            hpke: Hpke::new(kem.clone(), HkdfSha256, Some(ChaChaPoly)),
            kem,
            signer: Arc::default(),
            senders: Arc::default(),
        })
    }
}

/// One suite.
#[derive(Clone)]
pub struct Suite {
    cipher_suite: CipherSuite,
    randomness: Randomness,
    witness: Witness,
    hpke: Hpke<Kem, HkdfSha256, ChaChaPoly>,
    kem: Kem,
    /// The key that signed last. Ed25519 needs the public key for every signature, and computing it costs as much again.
    signer: Arc<Mutex<Option<ed25519_dalek::SigningKey>>>,
    /// Keys that have verified something, decompressed: a person writes more than once.
    senders: Arc<Mutex<BTreeMap<[u8; 32], ExpandedVerifyingKey>>>,
}

impl fmt::Debug for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Suite({:#06x})", u16::from(self.cipher_suite))
    }
}

impl Suite {
    fn sign_with(&self, seed: &[u8], data: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let seed: &[u8; 32] = seed.try_into().map_err(|_| ProviderError::KeyLength)?;
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        let known = signer.as_ref().filter(|known| bool::from(known.as_bytes().ct_eq(seed)));
        if known.is_none() {
            *signer = Some(ed25519_dalek::SigningKey::from_bytes(seed));
        }
        let key = signer.as_ref().ok_or(ProviderError::Signature)?;
        let signature = key.sign(data).to_bytes();
        self.witness.note(VerifyingKey::of(key), data, &signature);
        Ok(signature.to_vec())
    }
}

impl Suite {
    fn verify_with(&self, public_key: &[u8], data: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let key: [u8; 32] = public_key.try_into().map_err(|_| SignatureError::Key)?;
        let known = self.senders.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            known.verify(data, signature)?;
            self.witness.note(known.key(), data, signature);
            return Ok(());
        }
        let expanded = ExpandedVerifyingKey::from_slice(&key)?;
        expanded.verify(data, signature)?;
        self.witness.note(expanded.key(), data, signature);
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= GROUP_SENDERS_KNOWN_MAX {
            senders.clear();
        }
        senders.insert(key, expanded);
        Ok(())
    }
}

impl CipherSuiteProvider for Suite {
    type Error = ProviderError;
    type HpkeContextS = ContextS<HkdfSha256, ChaChaPoly>;
    type HpkeContextR = ContextR<HkdfSha256, ChaChaPoly>;

    fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, ProviderError> {
        Ok(Sha256::digest(data).to_vec())
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| ProviderError::KeyLength)?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    fn aead_seal(&self, key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Vec<u8>, ProviderError> {
        ChaChaPoly.seal(key, data, aad, nonce)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        ChaChaPoly.open(key, ciphertext, aad, nonce).map(Zeroizing::new)
    }

    fn aead_key_size(&self) -> usize {
        primitives::KEY_LENGTH
    }

    fn aead_nonce_size(&self) -> usize {
        primitives::NONCE_LENGTH
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        HkdfSha256.extract(salt, ikm).map(Zeroizing::new)
    }

    fn kdf_expand(&self, prk: &[u8], info: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        HkdfSha256.expand(prk, info, length).map(Zeroizing::new)
    }

    fn kdf_extract_size(&self) -> usize {
        primitives::KEY_LENGTH
    }

    fn hpke_seal(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, ProviderError> {
        Ok(self.hpke.seal(remote_key, info, None, aad, plaintext)?)
    }

    fn hpke_seal_psk(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, ProviderError> {
        Ok(self.hpke.seal(remote_key, info, Some(psk), aad, plaintext)?)
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(self.hpke.open(ciphertext, local_secret, local_public, info, None, aad)?)
    }

    fn hpke_open_psk(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        Ok(self.hpke.open(ciphertext, local_secret, local_public, info, Some(psk), aad)?)
    }

    fn hpke_setup_s(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
    ) -> Result<(Vec<u8>, Self::HpkeContextS), ProviderError> {
        Ok(self.hpke.setup_sender(remote_key, info, None)?)
    }

    fn hpke_setup_r(
        &self,
        kem_output: &[u8],
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Self::HpkeContextR, ProviderError> {
        Ok(self.hpke.setup_receiver(kem_output, local_secret, local_public, info, None)?)
    }

    /// RFC 9180's `DeriveKeyPair`; X-Wing has one of its own, without HPKE's extraction before it.
    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        match &self.kem {
            Kem::X25519(_) => Ok(self.hpke.derive(ikm)?),
            Kem::XWing(_) => self.kem.generate_deterministic(ikm),
        }
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), ProviderError> {
        self.kem.generate()
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), ProviderError> {
        self.kem.public_key_validate(key)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), ProviderError> {
        self.randomness.fill(out)
    }

    fn signature_key_generate(&self) -> Result<(SignatureSecretKey, SignaturePublicKey), ProviderError> {
        let mut seed = Zeroizing::new([0; 32]);
        self.randomness.fill(&mut *seed)?;
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        Ok((SignatureSecretKey::new_slice(&*seed), SignaturePublicKey::new_slice(public.as_bytes())))
    }

    fn signature_key_derive_public(
        &self,
        secret_key: &SignatureSecretKey,
    ) -> Result<SignaturePublicKey, ProviderError> {
        let seed: &[u8; 32] = secret_key.as_bytes().try_into().map_err(|_| ProviderError::KeyLength)?;
        let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key();
        Ok(SignaturePublicKey::new_slice(public.as_bytes()))
    }

    /// MLS puts its own label before `data` (RFC 9420 section 5.1.2).
    fn sign(&self, secret_key: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, ProviderError> {
        self.sign_with(secret_key.as_bytes(), data)
    }

    fn verify(&self, public_key: &SignaturePublicKey, signature: &[u8], data: &[u8]) -> Result<(), ProviderError> {
        self.verify_with(public_key, data, signature).map_err(|_| ProviderError::Signature)
    }
}
