//! What opens a store: a passphrase, stretched by Argon2id (RFC 9106), or a key that the platform keeps.
//!
//! Either becomes a wrapping key under which the store's random master key lies in the header. To change the
//! passphrase, the master key alone is wrapped anew.

use std::fmt;

use medipeps_core::crypto::kdf::hkdf;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::label;
use medipeps_core::wire::client_store::StoreLock;
#[cfg(feature = "passphrase")]
use medipeps_core::wire::client_store::{PASSPHRASE_SALT_LENGTH, PassphraseLock};
use rand_core::CryptoRng;

use super::StoreError;

/// What the person or the platform gives to open a store. Its `Debug` shows the kind only.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Unlock<'a> {
    /// A passphrase, as UTF-8 in the form in which it was typed.
    #[cfg(feature = "passphrase")]
    Passphrase(&'a [u8]),
    /// 32 random bytes out of the platform's keystore.
    PlatformKey(&'a Secret<32>),
}

/// Memory in KiB, passes and lanes of new passphrase locks: 64 MiB, 3, 1; RFC 9106 section 4, the second
/// recommendation, with one lane because a browser's Worker has one.
#[cfg(feature = "passphrase")]
const ARGON2_PARAMETERS: (u32, u32, u32) = (64 * 1024, 3, 1);

impl Unlock<'_> {
    /// A lock of this kind for a header, with a fresh salt.
    pub(super) fn new_lock(&self, rng: &mut impl CryptoRng) -> StoreLock {
        match self {
            #[cfg(feature = "passphrase")]
            Self::Passphrase(_) => StoreLock::Passphrase(new_passphrase_lock(rng)),
            Self::PlatformKey(_) => {
                let _ = rng; // a platform key is random by itself and needs no salt
                StoreLock::Platform
            }
        }
    }

    /// The key that wraps the master key under this lock.
    ///
    /// # Errors
    /// [`StoreError::OtherLock`] if the header has a lock of the other kind, [`StoreError::Memory`].
    pub(super) fn wrapping_key(&self, lock: &StoreLock) -> Result<Secret<32>, StoreError> {
        let stretched = match (self, lock) {
            #[cfg(feature = "passphrase")]
            (Self::Passphrase(passphrase), StoreLock::Passphrase(lock)) => argon2id(passphrase, lock)?,
            (Self::PlatformKey(key), StoreLock::Platform) => (*key).clone(),
            #[cfg(feature = "passphrase")]
            (Self::Passphrase(_), StoreLock::Platform) => return Err(StoreError::OtherLock("platform key")),
            (Self::PlatformKey(_), StoreLock::Passphrase(_)) => return Err(StoreError::OtherLock("passphrase")),
        };
        Ok(hkdf(&[], &[stretched.as_bytes()], label::STORE_WRAPPING_KEY))
    }

    /// The error to give when the master key does not open under the wrapping key.
    pub(super) const fn refusal(&self) -> StoreError {
        match self {
            #[cfg(feature = "passphrase")]
            Self::Passphrase(_) => StoreError::WrongPassphrase,
            Self::PlatformKey(_) => StoreError::WrongPlatformKey,
        }
    }
}

impl fmt::Debug for Unlock<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            #[cfg(feature = "passphrase")]
            Self::Passphrase(_) => "Passphrase(..)",
            Self::PlatformKey(_) => "PlatformKey(..)",
        })
    }
}

/// The associated data of the wrapped master key: 1 or 2 for the kind of lock, then for a passphrase the memory, the
/// passes and the lanes (4 bytes each, big-endian) and the salt.
pub(super) fn associated_data(lock: &StoreLock) -> Vec<u8> {
    match lock {
        StoreLock::Passphrase(lock) => {
            let mut bytes = vec![1];
            for parameter in [lock.memory_kib, lock.passes, lock.lanes] {
                bytes.extend_from_slice(&parameter.to_be_bytes());
            }
            bytes.extend_from_slice(&lock.salt);
            bytes
        }
        StoreLock::Platform => vec![2],
    }
}

/// The parameters of this version with a fresh salt.
#[cfg(feature = "passphrase")]
pub(crate) fn new_passphrase_lock(rng: &mut impl CryptoRng) -> PassphraseLock {
    let (memory_kib, passes, lanes) = ARGON2_PARAMETERS;
    let mut salt = [0; PASSPHRASE_SALT_LENGTH];
    rng.fill_bytes(&mut salt);
    PassphraseLock { salt, memory_kib, passes, lanes }
}

/// Argon2id, version 0x13, 32 bytes. The parameters were bounded when the header was read.
#[cfg(feature = "passphrase")]
pub(crate) fn argon2id(passphrase: &[u8], lock: &PassphraseLock) -> Result<Secret<32>, StoreError> {
    use argon2::{Algorithm, Argon2, Block, Params, Version};
    use zeroize::Zeroizing;

    const REFUSED: StoreError = StoreError::Header("Argon2id parameters");
    let parameters = Params::new(lock.memory_kib, lock.passes, lock.lanes, Some(32)).map_err(|_| REFUSED)?;
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(parameters.block_count()).map_err(|_| StoreError::Memory)?;
    memory.resize(parameters.block_count(), Block::default());
    let mut stretched = Secret::zeroed();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into_with_memory(passphrase, &lock.salt, stretched.as_mut_bytes(), memory.as_mut_slice())
        .map_err(|_| REFUSED)?;
    Ok(stretched)
}
