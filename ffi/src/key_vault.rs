//! What opens the store: a passphrase, or a key that the platform keeps (Android's Keystore, Apple's Keychain).

use std::sync::Arc;

use medipeps_client::store::seal::Unlock;
use medipeps_core::crypto::secret::Secret;
use zeroize::Zeroizing;

use crate::MedipepsError;
use crate::error::Code;

/// What a store is locked with.
#[derive(uniffi::Enum)]
pub enum StoreLock {
    /// Stretched by Argon2id with 64 MiB: about a quarter of a second.
    Passphrase {
        /// As it was typed.
        passphrase: String,
    },
    /// A random key in the platform's keystore. It is made when the store is.
    Vault {
        /// Where it is kept.
        vault: Arc<dyn KeyVault>,
    },
}

/// The platform's keystore, for one account. Called from a thread of the library's own, never from two at once.
#[uniffi::export(foreign)]
pub trait KeyVault: Send + Sync {
    /// The 32 bytes that were kept; `None` if there are none.
    ///
    /// # Errors
    /// [`VaultError`]
    fn load(&self) -> Result<Option<Vec<u8>>, VaultError>;

    /// Keeps 32 bytes, durably, so that no backup of the device has them in the clear.
    ///
    /// # Errors
    /// [`VaultError`]
    fn store(&self, key: Vec<u8>) -> Result<(), VaultError>;
}

/// Why the platform's keystore gives no key.
#[derive(Debug, Clone, thiserror::Error, uniffi::Error)]
pub enum VaultError {
    /// The device is locked, or the person did not let the app have it. Try again later.
    #[error("the keystore is locked")]
    Locked,
    /// It failed.
    #[error("the keystore failed: {reason}")]
    Failed {
        /// For a log.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for VaultError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

impl From<VaultError> for MedipepsError {
    fn from(error: VaultError) -> Self {
        let reason = match error {
            VaultError::Locked => "locked",
            VaultError::Failed { .. } => "failed",
        };
        Self::new(Code::KeyVault, reason, error)
    }
}

/// The same, as long as the account is open; wiped afterwards.
#[derive(Clone)]
pub(crate) enum Opener {
    Passphrase(Zeroizing<String>),
    PlatformKey(Secret<32>),
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Opener(..)")
    }
}

impl Opener {
    /// Of a store that is there.
    pub(crate) fn of(lock: StoreLock) -> Result<Self, MedipepsError> {
        match lock {
            StoreLock::Passphrase { passphrase } => Ok(Self::Passphrase(Zeroizing::new(passphrase))),
            StoreLock::Vault { vault } => match vault.load()? {
                Some(key) => Self::key(key),
                None => Err(MedipepsError::new(Code::KeyVault, "empty", "the keystore has no key of this account")),
            },
        }
    }

    /// Of a store that is to be made: a key that is there already is used, because making it may have been interrupted.
    pub(crate) fn new(lock: StoreLock) -> Result<Self, MedipepsError> {
        let StoreLock::Vault { vault } = lock else { return Self::of(lock) };
        if let Some(key) = vault.load()? {
            return Self::key(key);
        }
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)
            .map_err(|_| MedipepsError::new(Code::System, "randomness", "the system gives no random bytes"))?;
        vault.store(key.to_vec())?;
        Self::key(key.to_vec())
    }

    fn key(key: Vec<u8>) -> Result<Self, MedipepsError> {
        let key = Zeroizing::new(key);
        Secret::from_slice(&key)
            .map(Self::PlatformKey)
            .ok_or_else(|| MedipepsError::new(Code::KeyVault, "length", "the keystore's key has not 32 bytes"))
    }

    pub(crate) fn unlock(&self) -> Unlock<'_> {
        match self {
            Self::Passphrase(passphrase) => Unlock::Passphrase(passphrase.as_bytes()),
            Self::PlatformKey(key) => Unlock::PlatformKey(key),
        }
    }
}
