//! The seed of a test that makes random choices: printed, and given again to see the same choices.

use std::time::{SystemTime, UNIX_EPOCH};

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// The environment variable that gives the seed.
const VARIABLE: &str = "MEDIPEPS_SEED";

/// A generator from the seed that was given, or from the clock.
pub fn rng() -> ChaCha20Rng {
    let now = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() % (1 << 63)).unwrap();
    let seed = std::env::var(VARIABLE).map_or_else(|_| now(), |given| given.parse().unwrap());
    println!("{VARIABLE}={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

/// A number below `end`.
pub fn below(rng: &mut ChaCha20Rng, end: u64) -> u64 {
    rng.next_u64() % end
}
