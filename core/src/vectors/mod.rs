//! Our own test vectors, `spec/vectors/*.json`: made here, and checked byte for byte by the tests below.
//!
//! `MEDIPEPS_WRITE_VECTORS=1 cargo test -p medipeps-core vectors` writes them anew after a change of the protocol.

mod backup;
mod content;
mod identity;
mod linking;
mod prekey;
mod ratchet;
mod session;
mod tokens;
mod transport;

use std::path::PathBuf;

use chacha20::ChaCha20Rng;
use data_encoding::HEXLOWER;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::crypto::secret::Secret;

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn secret(seed: u8) -> Secret<32> {
    Secret::from([seed; 32])
}

/// To look at what will be drawn.
pub(crate) fn copy(rng: &ChaCha20Rng) -> ChaCha20Rng {
    let mut copy = ChaCha20Rng::from_seed(rng.get_seed());
    copy.set_word_pos(rng.get_word_pos());
    copy
}

/// What was drawn between two moments.
fn drawn(before: &ChaCha20Rng, after: &ChaCha20Rng) -> String {
    let words = after.get_word_pos() - before.get_word_pos();
    let mut bytes = vec![0; words as usize * 4];
    copy(before).fill_bytes(&mut bytes);
    hex(bytes)
}

pub(crate) fn check(name: &str, vectors: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("spec/vectors").join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(vectors).unwrap() + "\n";
    if std::env::var_os("MEDIPEPS_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == text, "spec/vectors/{name}.json is not what this code makes");
}
