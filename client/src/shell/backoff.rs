//! How long to wait before the next attempt to connect: exponential, bounded, spread at random.
//!
//! Pure: the caller passes the randomness and does the waiting. When a server comes back, its clients must not all
//! come at once; so each waits between half of its step and the whole.

use std::time::Duration;

use rand_core::CryptoRng;

use crate::limits::{RECONNECT_WAIT_FIRST, RECONNECT_WAIT_MAX};

/// How often connecting has failed since it last worked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Counts a failure and says how long to wait: at least `at_least` (what the server asked for, or zero), else
    /// between half and all of [`RECONNECT_WAIT_FIRST`] doubled with every failure, up to [`RECONNECT_WAIT_MAX`].
    pub fn failed(&mut self, at_least: Duration, rng: &mut impl CryptoRng) -> Duration {
        let doubled = RECONNECT_WAIT_FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let step = doubled.min(RECONNECT_WAIT_MAX);
        let spread = step / 2 * (rng.next_u32() >> 16) / u32::from(u16::MAX);
        // What the server asked for is spread too, and believed up to the longest wait only.
        (at_least.min(RECONNECT_WAIT_MAX) + spread).max(step / 2 + spread)
    }

    /// A connection has been made and the server has accepted the device.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew_after_success() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut backoff = Backoff::new();
        let mut step = RECONNECT_WAIT_FIRST;
        for _ in 0..100 {
            let wait = backoff.failed(Duration::ZERO, &mut rng);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} for {step:?}");
            step = (step * 2).min(RECONNECT_WAIT_MAX);
        }
        assert_eq!(step, RECONNECT_WAIT_MAX);
        backoff.succeeded();
        assert!(backoff.failed(Duration::ZERO, &mut rng) <= RECONNECT_WAIT_FIRST);
    }

    #[test]
    fn clients_do_not_come_at_once() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let waits: std::collections::BTreeSet<_> =
            (0..50).map(|_| Backoff { failures: 6 }.failed(Duration::ZERO, &mut rng)).collect();
        assert!(waits.len() > 45);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_and_bounded() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let asked = Duration::from_secs(20);
        assert!(Backoff::new().failed(asked, &mut rng) >= asked);
        assert!(Backoff::new().failed(Duration::MAX, &mut rng) <= RECONNECT_WAIT_MAX + RECONNECT_WAIT_FIRST);
    }
}
