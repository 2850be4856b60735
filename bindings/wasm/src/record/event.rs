//! What happens by itself, as a page hears it.

use medipeps_client::engine::{Event, GroupEvent};
use medipeps_client::shell::agent::Stay;
use serde::Serialize;

use super::hex;
use super::mail::RecipientState;
use crate::error::PageError;

/// Something happened. It is kept already.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ClientEvent {
    Ready,
    Offline {
        message: String,
    },
    Stopped {
        code: &'static str,
        message: String,
    },
    Message {
        id: String,
        muted: bool,
    },
    MessageState {
        id: String,
        recipient: String,
        state: RecipientState,
        reason: Option<String>,
    },
    /// Sent or displayed on another device.
    Elsewhere,
    Body {
        id: String,
        reason: Option<String>,
    },
    Undecryptable {
        reason: &'static str,
        sender: Option<String>,
    },
    Contact {
        address: String,
    },
    Group {
        group: String,
    },
    GroupMessage {
        group: String,
        number: u64,
        muted: bool,
    },
    GroupMessageState {
        group: String,
        number: u64,
    },
    GroupRead {
        group: String,
        by: String,
        number: u64,
    },
    Typing {
        group: String,
        by: String,
        active: bool,
    },
    Devices,
}

impl ClientEvent {
    /// What a page is to hear of it.
    pub(crate) fn of(told: &Stay<'_>) -> Option<Self> {
        match told {
            Stay::Ready => Some(Self::Ready),
            Stay::Offline(failure) => Some(Self::Offline { message: failure.to_string() }),
            Stay::Event(event) => Self::of_engine(event),
        }
    }

    /// Why nothing more is received.
    pub(crate) fn stopped(error: &PageError) -> Self {
        Self::Stopped { code: error.code, message: error.message.clone() }
    }

    /// Nothing more is received, as the page wished.
    pub(crate) fn asked_to_stop() -> Self {
        Self::Stopped { code: "asked", message: "the page asked for it".to_owned() }
    }

    pub(crate) fn of_engine(event: &Event) -> Option<Self> {
        Some(match event {
            Event::MessageReceived { id } => Self::Message { id: hex(id), muted: false },
            Event::MutedMessageReceived { id } => Self::Message { id: hex(id), muted: true },
            Event::RecipientState { id, recipient, state, code } => Self::MessageState {
                id: hex(id),
                recipient: recipient.to_string(),
                state: (*state).into(),
                reason: code.clone(),
            },
            Event::SentElsewhere { .. } | Event::DisplayedElsewhere { .. } => Self::Elsewhere,
            Event::BodyFetched { id } => Self::Body { id: hex(id), reason: None },
            Event::BodyFailed { id, code } => Self::Body { id: hex(id), reason: Some(code.clone()) },
            Event::Undecryptable { reason, sender } => {
                Self::Undecryptable { reason: reason.code(), sender: sender.as_ref().map(ToString::to_string) }
            }
            Event::SenderChecked { address, .. }
            | Event::ContactKeyChanged { address, .. }
            | Event::ContactRefused { address, .. } => Self::Contact { address: address.to_string() },
            Event::Group { group, event } => return Self::of_group(hex(group), event),
            Event::OwnStatementChanged { .. } => Self::Devices,
            _ => return None,
        })
    }

    fn of_group(group: String, event: &GroupEvent) -> Option<Self> {
        Some(match event {
            GroupEvent::Message { number } => Self::GroupMessage { group, number: *number, muted: false },
            GroupEvent::MutedMessage { number } => Self::GroupMessage { group, number: *number, muted: true },
            GroupEvent::MessageState { number, .. } => Self::GroupMessageState { group, number: *number },
            GroupEvent::Typing { by, active, .. } => Self::Typing { group, by: by.to_string(), active: *active },
            GroupEvent::Read { by, number } => Self::GroupRead { group, by: by.to_string(), number: *number },
            GroupEvent::Joined { .. }
            | GroupEvent::Made
            | GroupEvent::Changed { .. }
            | GroupEvent::ChangeFailed { .. }
            | GroupEvent::Removed
            | GroupEvent::Left
            | GroupEvent::Rejoined
            | GroupEvent::Problem { .. }
            | GroupEvent::RetentionChanged { .. }
            | GroupEvent::Continues { .. }
            | GroupEvent::Deleted { .. } => Self::Group { group },
            _ => return None,
        })
    }
}
