//! What a sync did.

use medipeps_client::engine::{Event, GroupEvent};
use medipeps_core::wire::client_records::RecipientState;

/// Counts of one sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct SyncReport {
    /// Messages that have come.
    pub received: u32,
    /// Messages in groups that have come.
    pub group_messages: u32,
    /// Recipients' servers that took a message.
    pub accepted: u32,
    /// Receipts that have come.
    pub receipts: u32,
    /// Recipients to whom a message has failed for good.
    pub failed: u32,
    /// Envelopes that could not be read.
    pub undecryptable: u32,
}

impl SyncReport {
    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::MessageReceived { .. } | Event::MutedMessageReceived { .. } => self.received += 1,
            Event::Group { event: GroupEvent::Message { .. } | GroupEvent::MutedMessage { .. }, .. } => {
                self.group_messages += 1;
            }
            Event::RecipientState { state: RecipientState::Accepted, .. } => self.accepted += 1,
            Event::RecipientState { state: RecipientState::Delivered | RecipientState::Displayed, .. } => {
                self.receipts += 1;
            }
            Event::RecipientState { state: RecipientState::Failed, .. } => self.failed += 1,
            Event::Undecryptable { .. } => self.undecryptable += 1,
            _ => {}
        }
    }
}
