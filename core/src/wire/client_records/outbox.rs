//! What is on its way to the server.

use prost::Message;

use super::{address, optional_id, text};
use crate::Address;
use crate::wire::{WireError, fixed, proto};

/// One message to one recipient, until the server has taken it or it has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Of the content to send.
    pub content_id: [u8; 16],
    /// Who gets it.
    pub recipient: Address,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Set once it is encrypted.
    pub submission_id: Option<[u8; 16]>,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
    /// The recipient's devices must be asked for before encrypting.
    pub fetch_prekeys: bool,
    /// Code of what a person must decide first.
    pub blocked: Option<String>,
    /// A receipt, not a message of its own.
    pub receipt: bool,
    /// Which of the recipient's devices it is for; the others get an empty message in its place. `None`: for all.
    pub device: Option<u32>,
}

impl OutboxRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientOutboxEntry {
            content_id: self.content_id.to_vec(),
            recipient: self.recipient.to_string(),
            created: self.created,
            submission_id: self.submission_id.map(|id| id.to_vec()).unwrap_or_default(),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            fetch_prekeys: self.fetch_prekeys,
            blocked: self.blocked.clone().unwrap_or_default(),
            receipt: self.receipt,
            device_id: self.device.unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOutboxEntry::decode(bytes)?;
        Ok(Self {
            content_id: fixed(&record.content_id, "content_id")?,
            recipient: address(&record.recipient)?,
            created: record.created,
            submission_id: optional_id(&record.submission_id, "submission_id")?,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            fetch_prekeys: record.fetch_prekeys,
            blocked: text(record.blocked),
            receipt: record.receipt,
            device: Some(record.device_id).filter(|device| *device != 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outbox_entries_come_back_as_they_were_stored() {
        let record = OutboxRecord {
            content_id: [1; 16],
            recipient: "a@b".parse().unwrap(),
            created: 1,
            submission_id: None,
            attempts: 2,
            next_attempt: 3,
            fetch_prekeys: true,
            blocked: None,
            receipt: true,
            device: Some(7),
        };
        assert_eq!(OutboxRecord::decode(&record.encode()).as_ref(), Ok(&record));
        let record = OutboxRecord { device: None, ..record };
        assert_eq!(OutboxRecord::decode(&record.encode()), Ok(record));
    }
}
