//! What the store keeps of key packages, and how an operation on them can fail.

use medipeps_core::limits::{KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGES_PER_UPLOAD_MAX};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{SpendError, StorageError};

/// The key packages of one upload, at most `KEY_PACKAGE_LENGTH_MAX` bytes each. The store need not understand them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageSet {
    /// Given when no other is left.
    pub last_resort: Vec<u8>,
    /// Each with its id.
    pub one_time: Vec<(u32, Vec<u8>)>,
}

/// What somebody gets for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenKeyPackage {
    /// The device.
    pub device_id: u32,
    /// The package.
    pub key_package: Vec<u8>,
    /// No other was left: everybody gets this one.
    pub last_resort: bool,
}

/// How many key packages a device has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPackageStatus {
    /// Unused one-time ones.
    pub one_time: usize,
    /// The sequence of the last upload; 0 when there was none.
    pub sequence: u64,
}

/// Why key packages were not stored or given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyPackageError {
    /// No account has this address, or it has no such device.
    #[error("no account has this address and device")]
    UnknownDevice,
    /// The upload is older than the stored one, or has its sequence and another content.
    #[error("the sequence of the last upload is {current}")]
    OldSequence {
        /// The sequence of the stored upload.
        current: u64,
    },
    /// The tokens do not pay for it.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KeyPackageSet {
    /// Refuses what no service should have let through.
    pub(super) fn check_lengths(&self) -> Result<(), StorageError> {
        let packages = self.one_time.iter().map(|(_, package)| package).chain([&self.last_resort]);
        for package in packages {
            StorageError::check_length("a key package", package.len(), KEY_PACKAGE_LENGTH_MAX)?;
        }
        StorageError::check_length("the list of key packages", self.one_time.len(), KEY_PACKAGES_PER_UPLOAD_MAX)
    }

    /// Tells a repeated upload from another one with the same sequence.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update((self.last_resort.len() as u64).to_be_bytes());
        digest.update(&self.last_resort);
        for (id, package) in &self.one_time {
            digest.update(id.to_be_bytes());
            digest.update((package.len() as u64).to_be_bytes());
            digest.update(package);
        }
        digest.finalize().into()
    }

    /// Holds a new upload against the last one. `true` if it is the same and nothing is to be done.
    pub(super) fn check_sequence(
        sequence: u64,
        digest: &[u8; 32],
        stored: Option<(u64, [u8; 32])>,
    ) -> Result<bool, KeyPackageError> {
        match stored {
            Some((current, known)) if current == sequence && known == *digest => Ok(true),
            Some((current, _)) if sequence <= current => Err(KeyPackageError::OldSequence { current }),
            _ => Ok(false),
        }
    }
}
