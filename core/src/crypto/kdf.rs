//! HKDF-SHA256 (RFC 5869) and HMAC-SHA256 (RFC 2104) into [`Secret`]s.

use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secret::Secret;
use crate::label::Label;

/// `HKDF(salt, ikm, info = label, L = N)`; the parts of the input keying material are joined.
#[must_use]
pub fn hkdf<const N: usize>(salt: &[u8], ikm: &[&[u8]], label: Label) -> Secret<N> {
    const { assert!(N <= 255 * 32, "RFC 5869 section 2.3") };
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in ikm {
        extract.input_ikm(part);
    }
    let (_, hkdf) = extract.finalize();
    expand(&hkdf, &[label.as_bytes()])
}

/// [`hkdf()`] with `info = label || epoch`, for what is derived once in each epoch.
#[must_use]
pub fn hkdf_at<const N: usize>(salt: &[u8], ikm: &[&[u8]], label: Label, epoch: u64) -> Secret<N> {
    const { assert!(N <= 255 * 32, "RFC 5869 section 2.3") };
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in ikm {
        extract.input_ikm(part);
    }
    let (_, hkdf) = extract.finalize();
    expand(&hkdf, &[label.as_bytes(), &epoch.to_be_bytes()])
}

fn expand<const N: usize>(hkdf: &Hkdf<Sha256>, info: &[&[u8]]) -> Secret<N> {
    let mut output = Secret::zeroed();
    if hkdf.expand_multi_info(info, output.as_mut_bytes()).is_err() {
        unreachable!("N is within HKDF's bound, checked when compiled");
    }
    output
}

/// `HMAC(key, byte)`, the symmetric ratchet's step (Double Ratchet specification section 5.2).
#[must_use]
pub fn hmac_byte(key: &Secret<32>, byte: u8) -> Secret<32> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        unreachable!("HMAC takes a key of any length");
    };
    mac.update(&[byte]);
    Secret::from(<[u8; 32]>::from(mac.finalize().into_bytes()))
}

/// Cuts a secret into consecutive 32-byte secrets.
#[must_use]
pub fn split<const N: usize, const PARTS: usize>(secret: &Secret<N>) -> [Secret<32>; PARTS] {
    const { assert!(N == PARTS * 32) };
    std::array::from_fn(|part| {
        let mut key = Secret::zeroed();
        key.as_mut_bytes().copy_from_slice(&secret.as_bytes()[part * 32..part * 32 + 32]);
        key
    })
}
