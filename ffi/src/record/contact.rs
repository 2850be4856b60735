//! Other accounts.

use std::time::SystemTime;

use medipeps_client::engine::{Certified, ContactSummary};
use medipeps_core::kind::{Conversation, Settings};

use super::organisation::Certification;
use super::time;
use crate::AccountAddress;

/// Another account that is pinned by its key.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Contact {
    /// `local@domain`.
    pub address: AccountAddress,
    /// Sixty digits to compare with what the contact sees for this account.
    pub safety_number: String,
    /// What the contact's device scans, to compare both keys at once.
    pub verification_code: String,
    /// What is known of its key.
    pub key: KeyState,
    /// How many devices it has.
    pub devices: u32,
    /// When it was pinned.
    pub added: SystemTime,
    /// Nothing of it is shown.
    pub blocked: bool,
    /// Its mail does not ring.
    pub muted: bool,
    /// What the organisations that are joined here say of it.
    pub certified: Vec<Certification>,
}

/// What is known of a contact's account key.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum KeyState {
    /// It is the one of the first contact.
    Pinned,
    /// A person has compared it.
    Verified {
        /// When.
        at: SystemTime,
    },
    /// It was taken instead of another one.
    Replaced {
        /// When.
        at: SystemTime,
    },
    /// The server gives another one than the pinned one: nothing is sent until a person decides.
    Changed,
}

impl Contact {
    pub(crate) fn of(contact: &ContactSummary, certified: &[Certified], settings: &Settings, now: u64) -> Self {
        let key = match (contact.key_changed, contact.verified, contact.key_changed_at) {
            (true, _, _) => KeyState::Changed,
            (false, Some(at), _) => KeyState::Verified { at: time(at) },
            (false, None, Some(at)) => KeyState::Replaced { at: time(at) },
            (false, None, None) => KeyState::Pinned,
        };
        Self {
            address: contact.address.to_string(),
            safety_number: contact.safety_number.clone(),
            verification_code: contact.verification_code.to_string(),
            key,
            devices: u32::try_from(contact.devices).unwrap_or(u32::MAX),
            added: time(contact.added),
            blocked: settings.is_blocked(&contact.address),
            muted: settings.is_muted(&Conversation::Account(contact.address.clone()), now),
            certified: certified.iter().map(Certification::from).collect(),
        }
    }
}
