//! Token buckets, one a key, in bounded memory. Whatever cannot be counted is refused.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use prometheus_client::metrics::counter::Counter;

use crate::limits::{RATE_LIMITER_FULL_RETRY_MS, RATE_LIMITER_KEYS_MAX};

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many at once, 1 and up.
    pub burst: u32,
    /// So many a minute in the long run, 1 and up.
    pub per_minute: u32,
}

/// Units of time in a millisecond: nanoseconds, fine enough for a million KiB a minute.
const UNITS_PER_MILLISECOND: u64 = 1_000_000;

/// Counts by key. A bucket is one number: the time, in nanoseconds, at which it will be full again (GCRA).
#[derive(Debug)]
pub(crate) struct RateLimiter<K> {
    keys_max: usize,
    buckets: Mutex<Buckets<K>>,
    refusals: Counter,
}

#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    full_at: HashMap<K, u64>,
    cleaned_at: u64,
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// Full buckets. What is refused is counted in `refusals`.
    pub(crate) fn counted(rate: Rate, refusals: Counter) -> Self {
        let buckets = Buckets { rate, full_at: HashMap::new(), cleaned_at: 0 };
        Self { keys_max: RATE_LIMITER_KEYS_MAX, buckets: Mutex::new(buckets), refusals }
    }

    /// Sets another rate. A bucket keeps the time at which it will be full, and is never emptier than the new rate allows.
    pub(crate) fn set_rate(&self, rate: Rate) {
        self.lock().rate = rate;
    }

    /// Takes one from the bucket of the key, or says after how many milliseconds to come again.
    pub(crate) fn take(&self, key: K, now_ms: u64) -> Result<(), u64> {
        self.take_many(key, 1, now_ms)
    }

    /// Whether there is none left in the bucket of the key. Takes none.
    pub(crate) fn is_empty(&self, key: &K, now_ms: u64) -> bool {
        let now = now_ms.saturating_mul(UNITS_PER_MILLISECOND);
        let buckets = self.lock();
        let one = 60_000 * UNITS_PER_MILLISECOND / u64::from(buckets.rate.per_minute.max(1));
        let allowance = one.saturating_mul(u64::from(buckets.rate.burst.max(1)) - 1);
        match buckets.full_at.get(key) {
            Some(full_at) => full_at.saturating_sub(now) > allowance,
            None => buckets.full_at.len() >= self.keys_max,
        }
    }

    /// The same for something that counts as many. What counts for more than a whole bucket takes the whole.
    pub(crate) fn take_many(&self, key: K, count: u32, now_ms: u64) -> Result<(), u64> {
        let taken = self.count(key, count, now_ms);
        if taken.is_err() {
            self.refusals.inc();
        }
        taken
    }

    fn count(&self, key: K, count: u32, now_ms: u64) -> Result<(), u64> {
        let mut buckets = self.lock();
        let now = now_ms.saturating_mul(UNITS_PER_MILLISECOND);
        let burst = u64::from(buckets.rate.burst.max(1));
        let one = 60_000 * UNITS_PER_MILLISECOND / u64::from(buckets.rate.per_minute.max(1));
        let interval = one.saturating_mul(u64::from(count.max(1)).min(burst));
        let allowance = one.saturating_mul(burst).saturating_sub(interval);
        if !buckets.full_at.contains_key(&key) && buckets.full_at.len() >= self.keys_max {
            buckets.clean(now);
            if buckets.full_at.len() >= self.keys_max {
                return Err(RATE_LIMITER_FULL_RETRY_MS);
            }
        }
        let full_at = buckets.full_at.entry(key).or_insert(now);
        // A clock that was set back must not keep anybody waiting longer than an empty bucket does.
        let current = (*full_at).clamp(now, now.saturating_add(allowance).saturating_add(interval));
        *full_at = current;
        let ahead = current - now;
        if ahead > allowance {
            return Err((ahead - allowance).div_ceil(UNITS_PER_MILLISECOND));
        }
        *full_at = current.saturating_add(interval);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Buckets<K>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Forgets full buckets. It walks the whole table, so it does so at most once in a while.
    fn clean(&mut self, now: u64) {
        if now.abs_diff(self.cleaned_at) >= RATE_LIMITER_FULL_RETRY_MS * UNITS_PER_MILLISECOND {
            self.cleaned_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(burst: u32, per_minute: u32) -> RateLimiter<u32> {
        RateLimiter::counted(Rate { burst, per_minute }, Counter::default())
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let limiter = limiter(3, 60);
        for _ in 0..3 {
            assert_eq!(limiter.take(1, 10_000), Ok(()));
        }
        assert_eq!(limiter.take(1, 10_000), Err(1000));
        assert_eq!(limiter.take(2, 10_000), Ok(()));
        assert_eq!(limiter.take(1, 10_999), Err(1));
        assert_eq!(limiter.take(1, 11_000), Ok(()));
        assert_eq!(limiter.take(1, 11_000), Err(1000));
    }

    #[test]
    fn an_empty_bucket_is_seen_and_not_touched() {
        let limiter = limiter(2, 60);
        assert!(!limiter.is_empty(&1, 10_000));
        for _ in 0..2 {
            assert!(!limiter.is_empty(&1, 10_000));
            assert_eq!(limiter.take(1, 10_000), Ok(()));
        }
        assert!(limiter.is_empty(&1, 10_000) && limiter.is_empty(&1, 10_999) && !limiter.is_empty(&1, 11_000));
        assert_eq!(limiter.take(1, 11_000), Ok(()));
    }

    #[test]
    fn another_rate_counts_from_what_was_taken() {
        let limiter = limiter(3, 60);
        for _ in 0..3 {
            assert_eq!(limiter.take(1, 10_000), Ok(()));
        }
        limiter.set_rate(Rate { burst: 6, per_minute: 60 });
        for _ in 0..3 {
            assert_eq!(limiter.take(1, 10_000), Ok(()), "three were taken of six");
        }
        assert_eq!(limiter.take(1, 10_000), Err(1000));
        limiter.set_rate(Rate { burst: 1, per_minute: 600 });
        assert_eq!(limiter.take(1, 10_000), Err(100), "nobody waits longer than an empty bucket does");
        assert_eq!(limiter.take(1, 10_100), Ok(()));
        assert_eq!(limiter.refusals.get(), 2);
    }

    #[test]
    fn what_counts_as_many_takes_many() {
        let limiter = limiter(10, 600);
        assert_eq!(limiter.take_many(1, 4, 10_000), Ok(()));
        assert_eq!(limiter.take_many(1, 7, 10_000), Err(100));
        assert_eq!(limiter.take_many(1, 6, 10_000), Ok(()));
        assert_eq!(limiter.take_many(1, 1, 10_000), Err(100));
        assert_eq!(limiter.take_many(1, 1000, 10_999), Err(1), "more than there ever is takes all there is");
        assert_eq!(limiter.take_many(1, 1000, 11_000), Ok(()));
        assert_eq!(limiter.take_many(1, 1, 11_099), Err(1));
    }

    #[test]
    fn a_rate_of_many_a_minute_is_kept_exactly() {
        let limiter = limiter(1, 1 << 20);
        let taken = (0..60_000).map(|ms| (0..20).filter(|_| limiter.take(1, ms).is_ok()).count()).sum::<usize>();
        assert!((59_000..=60_001).contains(&taken), "{taken} within a minute, one a millisecond");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let limiter = limiter(1, 60);
        assert_eq!(limiter.take(1, 1_000_000_000), Ok(()));
        assert_eq!(limiter.take(1, 1_000), Err(1000));
        assert_eq!(limiter.take(1, 2_000), Ok(()));
    }

    #[test]
    fn a_full_table_refuses_newcomers_until_buckets_are_full_again() {
        let mut limiter = limiter(1, 60);
        limiter.keys_max = 2;
        assert_eq!(limiter.take(1, 10_000), Ok(()));
        assert_eq!(limiter.take(2, 10_000), Ok(()));
        assert_eq!(limiter.take(3, 10_500), Err(RATE_LIMITER_FULL_RETRY_MS));
        assert_eq!(limiter.take(3, 11_500), Ok(()));
    }
}
