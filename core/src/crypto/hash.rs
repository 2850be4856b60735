//! SHA-256 (FIPS 180-4) under a label.

use sha2::{Digest, Sha256};

use crate::label::Label;

/// SHA-256 of the length of the label (one byte), the label, and the parts one after another.
///
/// The caller sees to it that the parts have fixed lengths, or lengths in front of them.
#[must_use]
pub fn labelled_sha256(label: Label, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(label.prefix());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
