//! ChaCha20-Poly1305 (RFC 8439) with full-length tags.

use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag, XChaCha20Poly1305, XNonce};
use thiserror::Error;
use zeroize::Zeroizing;

use super::secret::Secret;

/// Bytes that sealing adds.
pub const TAG_LENGTH: usize = 16;
/// Bytes of a nonce.
pub const NONCE_LENGTH: usize = 12;

/// The ciphertext does not belong to this key, nonce and associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the ciphertext does not verify")]
pub struct AeadError;

/// A key and the one nonce that it is used with.
pub type SingleUseKey = Secret<44>;

/// Seals under a key and nonce that are used this once. The ciphertext takes the plaintext's place, so that nothing is
/// copied and nothing is left to wipe.
#[must_use]
pub fn seal_once(key: &SingleUseKey, associated_data: &[u8], mut plaintext: Zeroizing<Vec<u8>>) -> Vec<u8> {
    let (key, nonce) = key.as_bytes().split_at(32);
    let (cipher, nonce) = cipher_and_nonce(key, nonce);
    let Ok(tag) = cipher.encrypt_inout_detached(nonce, associated_data, plaintext.as_mut_slice().into()) else {
        unreachable!("only 256 GiB are too long for ChaCha20 (RFC 8439 section 2.8)");
    };
    plaintext.extend_from_slice(&tag);
    std::mem::take(&mut *plaintext)
}

/// Opens what [`seal_once`] made.
///
/// # Errors
/// [`AeadError`] if anything differs.
pub fn open_once(
    key: &SingleUseKey,
    associated_data: &[u8],
    ciphertext: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    let (key, nonce) = key.as_bytes().split_at(32);
    let (cipher, nonce) = cipher_and_nonce(key, nonce);
    let mut buffer = Zeroizing::new(ciphertext);
    let length = buffer.len().checked_sub(TAG_LENGTH).ok_or(AeadError)?;
    let tag = Tag::try_from(&buffer[length..]).map_err(|_| AeadError)?;
    buffer.truncate(length);
    cipher.decrypt_inout_detached(nonce, associated_data, buffer.as_mut_slice().into(), &tag).map_err(|_| AeadError)?;
    Ok(buffer)
}

/// Seals under a key that is used with other nonces too.
#[must_use]
pub fn seal(key: &Secret<32>, nonce: &[u8; NONCE_LENGTH], associated_data: &[u8], plaintext: &[u8]) -> Vec<u8> {
    seal_slices(key.as_bytes(), nonce, associated_data, plaintext)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`AeadError`] if anything differs.
pub fn open(
    key: &Secret<32>,
    nonce: &[u8; NONCE_LENGTH],
    associated_data: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, AeadError> {
    open_slices(key.as_bytes(), nonce, associated_data, ciphertext)
}

/// Bytes of a nonce that may be drawn at random under one key (draft-irtf-cfrg-xchacha).
pub const WIDE_NONCE_LENGTH: usize = 24;

/// Seals with XChaCha20-Poly1305, in place: the nonce goes before the ciphertext. `nonce` must be fresh.
#[must_use]
pub fn seal_wide(
    key: &Secret<32>,
    nonce: &[u8; WIDE_NONCE_LENGTH],
    associated_data: &[u8],
    plaintext: &[&[u8]],
    padded_length: usize,
) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(WIDE_NONCE_LENGTH + padded_length + TAG_LENGTH);
    sealed.extend_from_slice(nonce);
    for part in plaintext {
        sealed.extend_from_slice(part);
    }
    sealed.resize(WIDE_NONCE_LENGTH + padded_length, 0);
    let cipher = XChaCha20Poly1305::new(<&Key>::from(key.as_bytes()));
    let buffer = (&mut sealed[WIDE_NONCE_LENGTH..]).into();
    let Ok(tag) = cipher.encrypt_inout_detached(<&XNonce>::from(nonce), associated_data, buffer) else {
        unreachable!("only 256 GiB are too long for ChaCha20 (RFC 8439 section 2.8)");
    };
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens what [`seal_wide`] made; the padding is still there.
///
/// # Errors
/// [`AeadError`] if anything differs.
pub fn open_wide(key: &Secret<32>, associated_data: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<WIDE_NONCE_LENGTH>().ok_or(AeadError)?;
    let length = ciphertext.len().checked_sub(TAG_LENGTH).ok_or(AeadError)?;
    let (ciphertext, tag) = ciphertext.split_at(length);
    let tag = Tag::try_from(tag).map_err(|_| AeadError)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    XChaCha20Poly1305::new(<&Key>::from(key.as_bytes()))
        .decrypt_inout_detached(<&XNonce>::from(nonce), associated_data, plaintext.as_mut_slice().into(), &tag)
        .map_err(|_| AeadError)?;
    Ok(plaintext)
}

fn cipher_and_nonce<'a>(key: &'a [u8], nonce: &'a [u8]) -> (ChaCha20Poly1305, &'a Nonce) {
    let (Ok(key), Ok(nonce)) = (<&Key>::try_from(key), <&Nonce>::try_from(nonce)) else {
        unreachable!("callers pass 32 and 12 bytes, by their types");
    };
    (ChaCha20Poly1305::new(key), nonce)
}

fn seal_slices(key: &[u8], nonce: &[u8], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let (cipher, nonce) = cipher_and_nonce(key, nonce);
    match cipher.encrypt(nonce, Payload { msg, aad }) {
        Ok(ciphertext) => ciphertext,
        Err(_) => unreachable!("only 256 GiB are too long for ChaCha20 (RFC 8439 section 2.8)"),
    }
}

fn open_slices(key: &[u8], nonce: &[u8], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, AeadError> {
    let (cipher, nonce) = cipher_and_nonce(key, nonce);
    cipher.decrypt(nonce, Payload { msg, aad }).map_err(|_| AeadError)
}
