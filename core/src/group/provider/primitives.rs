//! HKDF-SHA256 and ChaCha20-Poly1305 in the forms that HPKE (RFC 9180) and MLS take them.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::{Hkdf, HkdfExtract};
use mls_rs_crypto_traits::{AeadId, AeadType, KdfId, KdfType};
use sha2::Sha256;

use super::ProviderError;

/// Bytes of SHA-256's output, HKDF's pseudorandom keys and ChaCha20's keys.
pub(super) const KEY_LENGTH: usize = 32;
pub(super) const NONCE_LENGTH: usize = 12;

/// HKDF-SHA256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HkdfSha256;

impl KdfType for HkdfSha256 {
    type Error = ProviderError;

    fn kdf_id(&self) -> u16 {
        KdfId::HkdfSha256 as u16
    }

    fn expand(&self, prk: &[u8], info: &[u8], length: usize) -> Result<Vec<u8>, ProviderError> {
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| ProviderError::KeyLength)?;
        let mut output = vec![0; length];
        hkdf.expand(info, &mut output).map_err(|_| ProviderError::OutputLength)?;
        Ok(output)
    }

    fn extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        extract.input_ikm(ikm);
        Ok(extract.finalize().0.to_vec())
    }

    fn extract_size(&self) -> usize {
        KEY_LENGTH
    }
}

/// ChaCha20-Poly1305.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChaChaPoly;

impl AeadType for ChaChaPoly {
    type Error = ProviderError;

    fn aead_id(&self) -> u16 {
        AeadId::Chacha20Poly1305 as u16
    }

    fn seal(&self, key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let (cipher, nonce) = cipher_and_nonce(key, nonce)?;
        cipher.encrypt(nonce, Payload { msg: data, aad: aad.unwrap_or_default() }).map_err(|_| ProviderError::Aead)
    }

    fn open(&self, key: &[u8], ciphertext: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let (cipher, nonce) = cipher_and_nonce(key, nonce)?;
        let payload = Payload { msg: ciphertext, aad: aad.unwrap_or_default() };
        cipher.decrypt(nonce, payload).map_err(|_| ProviderError::Aead)
    }

    fn key_size(&self) -> usize {
        KEY_LENGTH
    }

    fn nonce_size(&self) -> usize {
        NONCE_LENGTH
    }
}

fn cipher_and_nonce<'a>(key: &[u8], nonce: &'a [u8]) -> Result<(ChaCha20Poly1305, &'a Nonce), ProviderError> {
    let key = <&Key>::try_from(key).map_err(|_| ProviderError::KeyLength)?;
    let nonce = <&Nonce>::try_from(nonce).map_err(|_| ProviderError::KeyLength)?;
    Ok((ChaCha20Poly1305::new(key), nonce))
}
