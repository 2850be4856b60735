//! The kind `received`: a device tells the sender's devices what it has stored, so that they need not send it again.

use super::content::{ContentError, MessageId};
use crate::limits::RECEIVED_IDS_MAX;

/// What has come, from device to device. It is never shown, never answered and never sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Messages that this device has stored.
    pub message_ids: Vec<MessageId>,
    /// Something came whose header opened and whose content did not: what this device has not confirmed is to be sent
    /// again over a fresh handshake.
    pub unreadable: bool,
}

impl Received {
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        let says_nothing = self.message_ids.is_empty() && !self.unreadable;
        if says_nothing || self.message_ids.len() > RECEIVED_IDS_MAX {
            return Err(ContentError::Field("message_ids"));
        }
        Ok(())
    }
}
