//! Other accounts.

use medipeps_client::engine::ContactSummary;
use medipeps_core::kind::Settings;
use serde::Serialize;

/// Another account that is pinned by its key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contact {
    pub(crate) address: String,
    safety_number: String,
    verification_code: String,
    key: KeyState,
    devices: usize,
    blocked: bool,
}

/// What is known of a contact's account key.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyState {
    /// It is the one of the first contact.
    Pinned,
    /// A person has compared it.
    Verified,
    /// It was taken instead of another one.
    Replaced,
    /// The server gives another one than the pinned one: nothing is sent until a person decides.
    Changed,
}

impl Contact {
    pub(crate) fn of(contact: &ContactSummary, settings: &Settings) -> Self {
        Self {
            address: contact.address.to_string(),
            safety_number: contact.safety_number.clone(),
            verification_code: contact.verification_code.to_string(),
            key: match (contact.key_changed, contact.verified, contact.key_changed_at) {
                (true, _, _) => KeyState::Changed,
                (false, Some(_), _) => KeyState::Verified,
                (false, None, Some(_)) => KeyState::Replaced,
                (false, None, None) => KeyState::Pinned,
            },
            devices: contact.devices,
            blocked: settings.is_blocked(&contact.address),
        }
    }
}
