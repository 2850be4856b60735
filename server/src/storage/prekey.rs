//! What the store keeps of prekeys, and how an operation on them can fail.

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{SpendError, StorageError};
use crate::limits::{ONE_TIME_PREKEYS_STORED_MAX, PREKEY_LENGTH_MAX};

/// The prekeys of one upload. The keys are encoded messages of `prekey.proto`, which the store need not understand. Each
/// one-time key, and the three others together, have at most `PREKEY_LENGTH_MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeySet {
    /// The `SignedPrekey`.
    pub signed_prekey: Vec<u8>,
    /// The `KemPrekey` that is given when no one-time key is left.
    pub last_resort_kem: Vec<u8>,
    /// The `SealPrekey`.
    pub seal: Vec<u8>,
    /// Each `OneTimePrekey` with its id.
    pub one_time: Vec<(u32, Vec<u8>)>,
    /// Each one-time `KemPrekey` with its id. Its ids are apart from those of `one_time`.
    pub one_time_kem: Vec<(u32, Vec<u8>)>,
}

/// What a sender gets for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenPrekeys {
    /// The device.
    pub device_id: u32,
    /// The `SignedPrekey`.
    pub signed: Vec<u8>,
    /// A `OneTimePrekey` that nobody else gets; absent when none is left.
    pub one_time: Option<Vec<u8>>,
    /// The `KemPrekey`.
    pub kem: TakenKem,
    /// The `SealPrekey`.
    pub seal: Vec<u8>,
}

/// The `KemPrekey` that a sender gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenKem {
    /// A key that nobody else gets.
    OneTime(Vec<u8>),
    /// The key that everybody gets once no other is left.
    LastResort(Vec<u8>),
}

/// How many one-time prekeys a device has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyStatus {
    /// Unused one-time X25519 keys.
    pub one_time: usize,
    /// Unused one-time KEM keys.
    pub one_time_kem: usize,
    /// The sequence of the last upload; 0 when there was none.
    pub sequence: u64,
}

/// Why prekeys were not stored or given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrekeyError {
    /// No account has this address, or it has no such device.
    #[error("no account has this address and device")]
    UnknownDevice,
    /// The upload is older than the stored one, or has its sequence and another content.
    #[error("the sequence of the last upload is {current}")]
    OldSequence {
        /// The sequence of the stored upload.
        current: u64,
    },
    /// The device would have more than `ONE_TIME_PREKEYS_STORED_MAX` of one kind.
    #[error("the device has too many one-time prekeys")]
    TooMany,
    /// The tokens do not pay for it.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl PrekeySet {
    /// Refuses what no service should have let through.
    pub(super) fn check_lengths(&self) -> Result<(), StorageError> {
        let lasting = self.signed_prekey.len() + self.last_resort_kem.len() + self.seal.len();
        StorageError::check_length("the lasting prekeys", lasting, PREKEY_LENGTH_MAX)?;
        for (_, key) in self.one_time.iter().chain(&self.one_time_kem) {
            StorageError::check_length("a one-time prekey", key.len(), PREKEY_LENGTH_MAX)?;
        }
        for keys in [&self.one_time, &self.one_time_kem] {
            StorageError::check_length("the list of one-time prekeys", keys.len(), ONE_TIME_PREKEYS_STORED_MAX)?;
        }
        Ok(())
    }

    /// Tells a repeated upload from another one with the same sequence.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut field = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        field(&self.signed_prekey);
        field(&self.last_resort_kem);
        field(&self.seal);
        for keys in [&self.one_time, &self.one_time_kem] {
            field(&(keys.len() as u64).to_be_bytes());
            for (id, key) in keys {
                field(&id.to_be_bytes());
                field(key);
            }
        }
        digest.finalize().into()
    }
}
