//! The chains of an epoch, and the keys of its messages that have not come yet.

use super::SpqrError;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label;
use crate::limits::{SKIP_MAX, SPQR_SKIPPED_KEYS_MAX};

/// Both directions of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochChains {
    /// 0 is the handshake's.
    pub epoch: u64,
    /// Gone once this side sends in a later epoch.
    pub sending: Option<Chain>,
    /// The other side's.
    pub receiving: Chain,
}

/// One direction of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub(crate) chain_key: Secret<32>,
    /// Of the last message; the first is 1.
    pub(crate) number: u32,
}

/// One skipped message's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// In which the message was sent.
    pub epoch: u64,
    /// In the epoch's chain.
    pub number: u32,
    /// Used once.
    pub message_key: Secret<32>,
}

/// Skipped keys, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedKeys(Vec<SkippedKey>);

impl Chain {
    pub(super) const fn new(chain_key: Secret<32>) -> Self {
        Self { chain_key, number: 0 }
    }

    /// `KDF_SCKA_CK`: the next message key.
    pub(super) fn step(&mut self) -> Result<Secret<32>, SpqrError> {
        let number = self.number.checked_add(1).ok_or(SpqrError::ChainExhausted)?;
        let salt = self.chain_key.as_bytes();
        let expanded: Secret<64> = kdf::hkdf(salt, &[&u64::from(number).to_be_bytes()], label::SPQR_STEP);
        let [chain_key, message_key] = kdf::split::<64, 2>(&expanded);
        *self = Self { chain_key, number };
        Ok(message_key)
    }

    /// Steps to the message of this number and keeps the keys of those before it.
    pub(super) fn step_to(&mut self, number: u32, epoch: u64) -> Result<(Secret<32>, Vec<SkippedKey>), SpqrError> {
        let by = number.saturating_sub(self.number).saturating_sub(1);
        if by > SKIP_MAX {
            return Err(SpqrError::TooFarAhead { by });
        }
        let mut skipped = Vec::with_capacity(by as usize);
        for _ in 0..by {
            let message_key = self.step()?;
            skipped.push(SkippedKey { epoch, number: self.number, message_key });
        }
        Ok((self.step()?, skipped))
    }
}

impl SkippedKeys {
    pub(crate) fn from_oldest_first(keys: Vec<SkippedKey>) -> Self {
        let mut skipped = Self::default();
        skipped.extend(keys);
        skipped
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SkippedKey> {
        self.0.iter()
    }

    pub(super) fn find(&self, epoch: u64, number: u32) -> Option<(usize, &SkippedKey)> {
        self.0.iter().enumerate().find(|(_, key)| key.number == number && key.epoch == epoch)
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.0.remove(index);
    }

    pub(super) fn extend(&mut self, newly_skipped: Vec<SkippedKey>) {
        self.0.extend(newly_skipped);
        let excess = self.0.len().saturating_sub(SPQR_SKIPPED_KEYS_MAX);
        self.0.drain(..excess);
    }

    pub(super) fn forget_before(&mut self, epoch: u64) {
        self.0.retain(|key| key.epoch >= epoch);
    }
}
