//! MKSKIPPED: keys of messages that have not come yet, bounded in number and in chains.

use crate::crypto::secret::Secret;
use crate::limits::{SKIPPED_CHAINS_MAX, SKIPPED_KEYS_MAX};

/// One skipped message's key.
#[derive(Debug, Clone)]
pub struct SkippedKey {
    /// Of the chain.
    pub header_key: Secret<32>,
    /// In the chain.
    pub number: u32,
    /// Used once.
    pub message_key: Secret<32>,
}

/// Skipped keys, oldest first. The oldest are given up when there are too many keys or chains.
#[derive(Debug, Clone, Default)]
pub struct SkippedKeys(Vec<SkippedKey>);

impl SkippedKeys {
    pub(crate) fn from_oldest_first(keys: Vec<SkippedKey>) -> Self {
        let mut skipped = Self(keys);
        skipped.enforce_limits();
        skipped
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SkippedKey> {
        self.0.iter()
    }

    /// The header keys of all chains with skipped messages, each once, newest first.
    pub(super) fn header_keys(&self) -> impl Iterator<Item = &Secret<32>> {
        let keys = &self.0;
        keys.iter().enumerate().rev().filter_map(move |(index, key)| {
            // Keys of one chain stand together, so the last of a run names it.
            let last_of_run = keys.get(index + 1).is_none_or(|next| next.header_key != key.header_key);
            last_of_run.then_some(&key.header_key)
        })
    }

    pub(super) fn find(&self, header_key: &Secret<32>, number: u32) -> Option<(usize, &SkippedKey)> {
        self.0.iter().enumerate().find(|(_, key)| key.number == number && key.header_key == *header_key)
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.0.remove(index);
    }

    pub(super) fn extend(&mut self, newly_skipped: Vec<SkippedKey>) {
        for run in newly_skipped.chunk_by(|one, other| one.header_key == other.header_key) {
            // A chain's later keys go behind its earlier ones, so that the chain stays one run.
            let after_run = self.0.iter().rposition(|other| other.header_key == run[0].header_key);
            let at = after_run.map_or(self.0.len(), |last| last + 1);
            self.0.splice(at..at, run.iter().cloned());
        }
        self.enforce_limits();
    }

    fn enforce_limits(&mut self) {
        let oldest_kept = self.header_keys().nth(SKIPPED_CHAINS_MAX - 1).cloned();
        if let Some(oldest_kept) = oldest_kept {
            let first = self.0.iter().position(|key| key.header_key == oldest_kept).unwrap_or(0);
            self.0.drain(..first);
        }
        let excess = self.0.len().saturating_sub(SKIPPED_KEYS_MAX);
        self.0.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(chain: u8, number: u32) -> SkippedKey {
        SkippedKey { header_key: Secret::from([chain; 32]), number, message_key: Secret::from([0; 32]) }
    }

    #[test]
    fn the_oldest_chains_and_keys_are_given_up() {
        let mut skipped = SkippedKeys::default();
        for chain in 0..7 {
            skipped.extend((0..3).map(|number| key(chain, number)).collect());
        }
        assert_eq!(skipped.header_keys().count(), SKIPPED_CHAINS_MAX);
        assert!(skipped.find(&Secret::from([1; 32]), 0).is_none());
        assert!(skipped.find(&Secret::from([2; 32]), 0).is_some());
        skipped.extend((0..SKIPPED_KEYS_MAX as u32).map(|number| key(9, number)).collect());
        assert_eq!(skipped.0.len(), SKIPPED_KEYS_MAX);
        assert!(skipped.find(&Secret::from([6; 32]), 2).is_none());
    }

    #[test]
    fn a_chain_stays_together_when_it_skips_again() {
        let mut skipped = SkippedKeys::default();
        skipped.extend(vec![key(1, 0)]);
        skipped.extend(vec![key(2, 0)]);
        skipped.extend(vec![key(1, 5)]);
        assert_eq!(skipped.header_keys().count(), 2);
    }
}
