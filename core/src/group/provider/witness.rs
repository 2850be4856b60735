//! What the device's key has signed, or a sender's key was found to have signed: the library keeps neither the signature of
//! a message that it has decrypted nor the bytes under it, and a report needs both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::crypto::signature::{Signature, VerifyingKey};

/// A signature that was made, or that was verified.
pub(crate) struct Seen {
    /// Under this key.
    pub(crate) key: VerifyingKey,
    /// Over these bytes, MLS's label before them.
    pub(crate) signed: Zeroizing<Vec<u8>>,
    pub(crate) signature: Signature,
}

/// Remembers the last good signature of a call, and nothing outside of one. Shared by all copies of a provider.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Watch>>);

#[derive(Default)]
enum Watch {
    #[default]
    Idle,
    Watching(Option<Seen>),
}

impl Witness {
    /// Runs `call`, and tells the last good signature in it. One call does not run inside another.
    pub(crate) fn during<R>(&self, call: impl FnOnce() -> R) -> (R, Option<Seen>) {
        self.replace(Watch::Watching(None));
        let result = call();
        match self.replace(Watch::Idle) {
            Watch::Watching(seen) => (result, seen),
            Watch::Idle => (result, None),
        }
    }

    pub(super) fn note(&self, key: VerifyingKey, signed: &[u8], signature: &[u8]) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Watch::Watching(seen), Ok(signature)) = (&mut *watch, signature.try_into()) {
            *seen = Some(Seen { key, signed: Zeroizing::new(signed.to_vec()), signature });
        }
    }

    fn replace(&self, watch: Watch) -> Watch {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), watch)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}
