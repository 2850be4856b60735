//! Randomness of tests: the same for the same seed.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}
