//! Randomness as an argument, for a library that asks for it in mid-call.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use zeroize::Zeroizing;

use super::ProviderError;

/// A source that is there for the duration of one call and shared by all copies of a provider. Outside of a call there is
/// nothing to draw from, so that nothing of MLS can be random without the caller's say.
#[derive(Clone, Default)]
pub struct Randomness(Arc<Mutex<Option<ChaCha20Rng>>>);

impl Randomness {
    /// Runs `call` with a generator that is seeded with 32 bytes of `rng`.
    pub fn during<R>(&self, rng: &mut impl CryptoRng, call: impl FnOnce() -> R) -> R {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        self.set(Some(ChaCha20Rng::from_seed(*seed)));
        let end = EndOfCall(self);
        let result = call();
        drop(end);
        result
    }

    /// Fills `out`.
    ///
    /// # Errors
    /// [`ProviderError::Randomness`] outside of [`Self::during`].
    pub(super) fn fill(&self, out: &mut [u8]) -> Result<(), ProviderError> {
        let mut generator = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generator.as_mut().ok_or(ProviderError::Randomness)?.fill_bytes(out);
        Ok(())
    }

    fn set(&self, generator: Option<ChaCha20Rng>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = generator;
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}

/// Takes the generator away, by whichever way the call ends; it wipes itself.
struct EndOfCall<'a>(&'a Randomness);

impl Drop for EndOfCall<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
