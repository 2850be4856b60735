//! What an epoch exports: the key that proves it to the server, and the key that wraps its entries.

use std::fmt;

use super::LogId;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::secret::Secret;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::label;

/// The two keys of one epoch (`spec/group.md`, section "Keys of an epoch").
#[derive(Clone)]
pub struct EpochKeys {
    epoch: u64,
    access_key: SigningKey,
    outer_key: Secret<32>,
}

impl EpochKeys {
    pub(crate) fn new(epoch: u64, access_seed: &Secret<32>, outer_key: Secret<32>) -> Self {
        Self { epoch, access_key: SigningKey::from_secret(access_seed), outer_key }
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Signs what goes to the log. Its public half is all that the server knows of the epoch.
    #[must_use]
    pub const fn access_key(&self) -> &SigningKey {
        &self.access_key
    }

    pub(super) const fn outer_key(&self) -> &Secret<32> {
        &self.outer_key
    }
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EpochKeys({}, ..)", self.epoch)
    }
}

/// The id of the log that is created with this access key, the first of the group.
#[must_use]
pub(super) fn log_id(first_access_key: &VerifyingKey) -> LogId {
    labelled_sha256(label::GROUP_LOG_ID, &[first_access_key.as_bytes()])
}
