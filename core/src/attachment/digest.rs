//! What the sender's message says about the plaintext, whoever holds the sealed bytes.

use sha2::{Digest, Sha256};

use crate::crypto::hash::labelled_sha256;
use crate::label;

/// Bytes of a part's digest and of the root.
pub const DIGEST_LENGTH: usize = 32;

/// SHA-256 of the plaintext of one part.
#[must_use]
pub fn part_digest(plaintext: &[u8]) -> [u8; DIGEST_LENGTH] {
    Sha256::digest(plaintext).into()
}

/// The digest of the whole: over the length in bytes (8 bytes) and the digests of all parts in order.
#[must_use]
pub fn root(length: u64, digests: &[[u8; DIGEST_LENGTH]]) -> [u8; DIGEST_LENGTH] {
    labelled_sha256(label::ATTACHMENT_ROOT, &[&length.to_be_bytes(), digests.as_flattened()])
}
