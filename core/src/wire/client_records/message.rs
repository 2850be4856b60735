//! A message as lists show it: whose it is, and how far it has come.

use prost::Message;

use super::{address, text};
use crate::Address;
use crate::wire::{WireError, fixed, proto};

/// What lists show of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// By this account.
    pub sent: bool,
    /// Chosen by the sender.
    pub content_id: [u8; 16],
    /// The id of the thread's first message.
    pub thread: [u8; 16],
    /// Whose message it is.
    pub sender: Address,
    /// The sender's device.
    pub sender_device: u32,
    /// As the sender wrote it.
    pub sender_name: String,
    /// A `Kind` or a number that this version does not know.
    pub kind: u32,
    /// Empty for kinds that have none.
    pub subject: String,
    /// Milliseconds since 1970, by the sender's clock.
    pub created: u64,
    /// Milliseconds since 1970, by the server's clock; 0 when sent.
    pub received: u64,
    /// Milliseconds since 1970; 0 if it has not been displayed.
    pub displayed: u64,
    /// Of a received message.
    pub sender_check: SenderCheck,
    /// The number of an `Urgency`.
    pub urgency: u32,
    /// Bits as in `Content`.
    pub receipts_wanted: u32,
    /// The same bits.
    pub receipts_sent: u32,
    /// How many.
    pub attachments: u32,
    /// Of a sent message.
    pub recipients: Vec<RecipientRecord>,
    /// It came without a delivery key of this account.
    pub request_lane: bool,
}

/// What is known about the sender of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderCheck {
    /// Under the account key that the contact is pinned by.
    Checked,
    /// The sender's server has not been asked.
    Unchecked,
    /// The address belongs to another account key.
    Impostor,
}

/// One recipient of a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRecord {
    /// Who.
    pub address: Address,
    /// In copy, not a main recipient.
    pub copy: bool,
    /// How far.
    pub state: RecipientState,
    /// Why it failed, or what holds it up.
    pub code: Option<String>,
    /// When the state was reached, in milliseconds since 1970.
    pub at: u64,
}

/// How far a message has come on its way to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipientState {
    /// In this store only.
    Queued,
    /// On the disk of the recipient's server.
    Accepted,
    /// In the recipient's store.
    Delivered,
    /// Shown to the recipient.
    Displayed,
    /// Given up; the code says why.
    Failed,
}

impl MessageRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientMessage {
            sent: self.sent,
            content_id: self.content_id.to_vec(),
            thread: self.thread.to_vec(),
            sender: self.sender.to_string(),
            sender_device: self.sender_device,
            sender_name: self.sender_name.clone(),
            kind: self.kind,
            subject: self.subject.clone(),
            created: self.created,
            received: self.received,
            displayed: self.displayed,
            sender_check: self.sender_check.encode(),
            urgency: self.urgency,
            receipts_wanted: self.receipts_wanted,
            receipts_sent: self.receipts_sent,
            attachments: self.attachments,
            recipients: self.recipients.iter().map(RecipientRecord::encode).collect(),
            request_lane: self.request_lane,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientMessage::decode(bytes)?;
        Ok(Self {
            sent: record.sent,
            content_id: fixed(&record.content_id, "content_id")?,
            thread: fixed(&record.thread, "thread")?,
            sender: address(&record.sender)?,
            sender_device: record.sender_device,
            sender_name: record.sender_name,
            kind: record.kind,
            subject: record.subject,
            created: record.created,
            received: record.received,
            displayed: record.displayed,
            sender_check: SenderCheck::decode(record.sender_check)?,
            urgency: record.urgency,
            receipts_wanted: record.receipts_wanted,
            receipts_sent: record.receipts_sent,
            attachments: record.attachments,
            recipients: record.recipients.into_iter().map(RecipientRecord::decode).collect::<Result<_, _>>()?,
            request_lane: record.request_lane,
        })
    }
}

impl SenderCheck {
    const fn encode(self) -> i32 {
        use proto::ClientSenderCheck as C;
        let check = match self {
            Self::Checked => C::Checked,
            Self::Unchecked => C::Unchecked,
            Self::Impostor => C::Impostor,
        };
        check as i32
    }

    fn decode(number: i32) -> Result<Self, WireError> {
        use proto::ClientSenderCheck as C;
        Ok(match C::try_from(number) {
            Ok(C::Checked) => Self::Checked,
            Ok(C::Unchecked) => Self::Unchecked,
            Ok(C::Impostor) => Self::Impostor,
            Ok(C::Unspecified) | Err(_) => return Err(WireError::Bounds("sender_check")),
        })
    }
}

impl RecipientRecord {
    fn encode(&self) -> proto::ClientRecipient {
        proto::ClientRecipient {
            address: self.address.to_string(),
            copy: self.copy,
            state: self.state.encode(),
            code: self.code.clone().unwrap_or_default(),
            at: self.at,
        }
    }

    fn decode(recipient: proto::ClientRecipient) -> Result<Self, WireError> {
        Ok(Self {
            address: address(&recipient.address)?,
            copy: recipient.copy,
            state: RecipientState::decode(recipient.state)?,
            code: text(recipient.code),
            at: recipient.at,
        })
    }
}

impl RecipientState {
    const fn encode(self) -> i32 {
        use proto::ClientRecipientState as S;
        let state = match self {
            Self::Queued => S::Queued,
            Self::Accepted => S::Accepted,
            Self::Delivered => S::Delivered,
            Self::Displayed => S::Displayed,
            Self::Failed => S::Failed,
        };
        state as i32
    }

    fn decode(number: i32) -> Result<Self, WireError> {
        use proto::ClientRecipientState as S;
        Ok(match S::try_from(number) {
            Ok(S::Queued) => Self::Queued,
            Ok(S::Accepted) => Self::Accepted,
            Ok(S::Delivered) => Self::Delivered,
            Ok(S::Displayed) => Self::Displayed,
            Ok(S::Failed) => Self::Failed,
            Ok(S::Unspecified) | Err(_) => return Err(WireError::Bounds("state")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_stored() {
        let address: Address = "a@b".parse().unwrap();
        let record = MessageRecord {
            sent: true,
            content_id: [1; 16],
            thread: [2; 16],
            sender: address.clone(),
            sender_device: 1,
            sender_name: "A".into(),
            kind: 1,
            subject: "S".into(),
            created: 3,
            received: 0,
            displayed: 4,
            sender_check: SenderCheck::Impostor,
            urgency: 2,
            receipts_wanted: 3,
            receipts_sent: 1,
            attachments: 1,
            recipients: vec![RecipientRecord {
                address,
                copy: true,
                state: RecipientState::Failed,
                code: Some("unknown_account".into()),
                at: 6,
            }],
            request_lane: true,
        };
        assert_eq!(MessageRecord::decode(&record.encode()), Ok(record));
    }
}
