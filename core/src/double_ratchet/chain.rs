//! A symmetric-key chain: one direction between two DH steps.

use super::ReceiveError;
use super::skipped::SkippedKey;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::limits::SKIP_MAX;

/// Header key, chain key, and the number of the next message.
#[derive(Debug, Clone)]
pub struct Chain {
    /// HK
    pub(crate) header_key: Secret<32>,
    /// CK
    pub(crate) chain_key: Secret<32>,
    /// N
    pub(crate) next: u32,
}

impl Chain {
    pub(crate) fn new(header_key: Secret<32>, chain_key: Secret<32>) -> Self {
        Self { header_key, chain_key, next: 0 }
    }

    /// `KDF_CK`: the next message key; `None` when the numbers are used up.
    pub(super) fn step(&mut self) -> Option<Secret<32>> {
        let next = self.next.checked_add(1)?;
        let message_key = kdf::hmac_byte(&self.chain_key, 1);
        self.chain_key = kdf::hmac_byte(&self.chain_key, 2);
        self.next = next;
        Some(message_key)
    }

    /// `SkipMessageKeys`: keeps the keys of all messages before `number`.
    pub(super) fn skip_to(&mut self, number: u32) -> Result<Vec<SkippedKey>, ReceiveError> {
        let by = number.saturating_sub(self.next);
        if by > SKIP_MAX {
            return Err(ReceiveError::TooFarAhead { by });
        }
        let mut skipped = Vec::with_capacity(by as usize);
        while self.next < number {
            let skipped_number = self.next;
            let message_key = self.step().ok_or(ReceiveError::TooFarAhead { by })?;
            skipped.push(SkippedKey { header_key: self.header_key.clone(), number: skipped_number, message_key });
        }
        Ok(skipped)
    }
}
