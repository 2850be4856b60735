//! Whom a person has blocked and what he has muted: kept on each device, and told to the others by `device_sync`.

use std::collections::BTreeMap;

use thiserror::Error;

use super::content::MessageId;
use super::device_sync::DeviceSync;
use crate::Address;
use crate::limits::{BLOCKED_ACCOUNTS_MAX, MUTED_CONVERSATIONS_MAX};

/// An account that is blocked, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedAccount {
    /// Whose messages are not shown. It is the address: who is blocked does not come back with another key.
    pub address: Address,
    /// Whether it is blocked.
    pub blocked: bool,
    /// When a person said so, in milliseconds since 1970.
    pub at: u64,
}

/// A conversation that does not ring, or does again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutedConversation {
    /// Which.
    pub conversation: Conversation,
    /// Until when, in milliseconds since 1970; 0: it rings; [`MUTED_FOR_EVER`]: until a person says otherwise.
    pub until: u64,
    /// When a person said so, in milliseconds since 1970.
    pub at: u64,
}

/// A time that does not come.
pub const MUTED_FOR_EVER: u64 = u64::MAX;

/// What can be muted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conversation {
    /// A thread.
    Thread(MessageId),
    /// A group, by its log.
    Group([u8; 32]),
    /// What an account writes to this one alone.
    Account(Address),
}

/// All of them. Devices that have heard the same have the same, in whatever order they heard it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    blocked: BTreeMap<Address, (u64, bool)>,
    muted: BTreeMap<Conversation, (u64, u64)>,
}

/// Why a setting is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Too many accounts are blocked.
    #[error("at most {BLOCKED_ACCOUNTS_MAX} accounts are blocked")]
    TooManyBlocked,
    /// Too many conversations are muted.
    #[error("at most {MUTED_CONVERSATIONS_MAX} conversations are muted")]
    TooManyMuted,
}

impl Settings {
    /// Takes in what a person has just said, or another device. The newer stands; of two of the same time the stricter.
    ///
    /// # Errors
    /// [`SettingsError::TooManyBlocked`]
    pub fn block(&mut self, entry: &BlockedAccount) -> Result<(), SettingsError> {
        let room = make_room(&mut self.blocked, &entry.address, BLOCKED_ACCOUNTS_MAX, |blocked| *blocked);
        if !room {
            return Err(SettingsError::TooManyBlocked);
        }
        newer(&mut self.blocked, entry.address.clone(), (entry.at, entry.blocked));
        Ok(())
    }

    /// Takes in what a person has just said, or another device, as [`Self::block`] does.
    ///
    /// # Errors
    /// [`SettingsError::TooManyMuted`]
    pub fn mute(&mut self, entry: &MutedConversation) -> Result<(), SettingsError> {
        let room = make_room(&mut self.muted, &entry.conversation, MUTED_CONVERSATIONS_MAX, |until| *until > 0);
        if !room {
            return Err(SettingsError::TooManyMuted);
        }
        newer(&mut self.muted, entry.conversation.clone(), (entry.at, entry.until));
        Ok(())
    }

    /// Takes in what another device of the account says. What there is no room for is left out.
    pub fn merge(&mut self, sync: &DeviceSync) {
        for entry in &sync.blocked {
            let _ = self.block(entry);
        }
        for entry in &sync.muted {
            let _ = self.mute(entry);
        }
    }

    /// Whether messages of this account are not shown.
    #[must_use]
    pub fn is_blocked(&self, address: &Address) -> bool {
        self.blocked.get(address).is_some_and(|(_, blocked)| *blocked)
    }

    /// Whether a conversation is silent at this time, in milliseconds since 1970.
    #[must_use]
    pub fn is_muted(&self, conversation: &Conversation, now: u64) -> bool {
        self.muted.get(conversation).is_some_and(|(_, until)| now < *until)
    }

    /// Everything, as a new device is told of it and as a record keeps it.
    #[must_use]
    pub fn entries(&self) -> (Vec<BlockedAccount>, Vec<MutedConversation>) {
        let blocked = self.blocked.iter().map(|(address, (at, blocked))| BlockedAccount {
            address: address.clone(),
            blocked: *blocked,
            at: *at,
        });
        let muted = self.muted.iter().map(|(conversation, (at, until))| MutedConversation {
            conversation: conversation.clone(),
            until: *until,
            at: *at,
        });
        (blocked.collect(), muted.collect())
    }
}

fn newer<K: Ord, V: Ord>(entries: &mut BTreeMap<K, (u64, V)>, key: K, value: (u64, V)) {
    match entries.get_mut(&key) {
        Some(known) if *known >= value => {}
        Some(known) => *known = value,
        None => {
            entries.insert(key, value);
        }
    }
}

/// Whether there is room for an entry. Of more than twice the limit, the oldest that says no more than nothing goes.
fn make_room<K: Ord + Clone, V>(
    entries: &mut BTreeMap<K, (u64, V)>,
    key: &K,
    limit: usize,
    counts: impl Fn(&V) -> bool,
) -> bool {
    if entries.contains_key(key) {
        return true;
    }
    if entries.values().filter(|(_, value)| counts(value)).count() >= limit {
        return false;
    }
    if entries.len() >= 2 * limit {
        let idle = entries.iter().filter(|(_, (_, value))| !counts(value));
        if let Some(oldest) = idle.min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone()) {
            entries.remove(&oldest);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(number: u64) -> Address {
        format!("account{number}@clinic.example").parse().unwrap()
    }

    fn blocked(number: u64, blocked: bool, at: u64) -> BlockedAccount {
        BlockedAccount { address: account(number), blocked, at }
    }

    fn muted(number: u8, until: u64, at: u64) -> MutedConversation {
        let conversation = match number % 3 {
            0 => Conversation::Thread(MessageId([number; 16])),
            1 => Conversation::Group([number; 32]),
            _ => Conversation::Account(account(number.into())),
        };
        MutedConversation { conversation, until, at }
    }

    #[test]
    fn the_newer_word_stands_and_a_mute_ends_by_itself() {
        let mut settings = Settings::default();
        settings.block(&blocked(1, true, 5)).unwrap();
        settings.block(&blocked(1, false, 4)).unwrap();
        assert!(settings.is_blocked(&account(1)) && !settings.is_blocked(&account(2)));
        settings.block(&blocked(1, false, 6)).unwrap();
        assert!(!settings.is_blocked(&account(1)));
        let conversation = muted(1, 0, 0).conversation;
        settings.mute(&muted(1, 100, 5)).unwrap();
        assert!(settings.is_muted(&conversation, 99) && !settings.is_muted(&conversation, 100));
        settings.mute(&muted(1, MUTED_FOR_EVER, 6)).unwrap();
        assert!(settings.is_muted(&conversation, u64::MAX - 1));
        settings.mute(&muted(1, 0, 7)).unwrap();
        assert!(!settings.is_muted(&conversation, 8));
    }

    #[test]
    fn one_more_than_the_limit_is_refused_and_what_is_over_makes_room() {
        let mut settings = Settings::default();
        let limit = BLOCKED_ACCOUNTS_MAX as u64;
        for number in 0..limit {
            settings.block(&blocked(number, true, number)).unwrap();
        }
        assert_eq!(settings.block(&blocked(limit, true, 9)), Err(SettingsError::TooManyBlocked));
        for number in 0..limit {
            settings.block(&blocked(number, false, limit + number)).unwrap();
        }
        for number in limit..2 * limit {
            settings.block(&blocked(number, false, 3 * limit)).unwrap();
        }
        settings.block(&blocked(2 * limit, true, 1)).unwrap();
        assert!(settings.is_blocked(&account(2 * limit)));
        assert_eq!(settings.entries().0.len(), 2 * BLOCKED_ACCOUNTS_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Devices that hear the same in any order, in one batch or many, agree.
        #[test]
        fn devices_agree(
            (entries, shuffled) in prop::collection::vec((0_u8..4, 0_u64..3, 0_u64..4), 0..20)
                .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
        ) {
            let settings = |entries: Vec<(u8, u64, u64)>| {
                let mut settings = Settings::default();
                for (number, value, at) in entries {
                    let blocked = vec![blocked(number.into(), value > 0, at)];
                    settings.merge(&DeviceSync { blocked, muted: vec![muted(number, value, at)], ..DeviceSync::default() });
                }
                settings
            };
            let one = settings(entries);
            prop_assert_eq!(&settings(shuffled), &one);
            let (blocked, muted) = one.entries();
            let mut told = Settings::default();
            told.merge(&DeviceSync { blocked, muted, ..DeviceSync::default() });
            prop_assert_eq!(told, one);
        }
    }
}
