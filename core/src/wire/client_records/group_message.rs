//! What was said in a group, and what is to be said.

use prost::Message;

use super::{address, optional_id, text};
use crate::Address;
use crate::franking::FrankingProof;
use crate::wire::content::{decode_proof, encode_proof};
use crate::wire::{WireError, fixed, proto};

/// How far a message of a group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupMessageState {
    /// It waits to be appended.
    Queued,
    /// It is in the log.
    Logged,
    /// It will never be.
    Failed,
}

/// A message of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMessageRecord {
    /// In the log; 0: not yet.
    pub sequence: u64,
    /// Of the content.
    pub content_id: [u8; 16],
    /// Who wrote it, as MLS has authenticated it.
    pub sender: Address,
    /// With which device.
    pub sender_device: u32,
    /// The sender's account key, Ed25519.
    pub account_key: [u8; 32],
    /// By the server's clock; by this device's until it is in the log. Milliseconds since 1970.
    pub received: u64,
    /// An encoded `Content`, byte for byte as it was encrypted.
    pub content: Vec<u8>,
    /// What binds the sender to it, once it is in the log. Without it the message cannot be reported.
    pub proof: Option<FrankingProof>,
    /// The signing key of the sender's device, Ed25519: it names the certificate that goes with a report.
    pub device_key: [u8; 32],
    /// In which it lies in the log; 0 until it does.
    pub epoch: u64,
    /// How far it has come.
    pub state: GroupMessageState,
    /// Of a failure.
    pub code: Option<String>,
}

/// A message of a group that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOutboxRecord {
    /// Of the group.
    pub log_id: [u8; 32],
    /// Of the content.
    pub content_id: [u8; 16],
    /// Of its [`GroupMessageRecord`].
    pub number: u64,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Once it is encrypted.
    pub entry: Option<GroupEntryRecord>,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

/// An encrypted entry that waits for the server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntryRecord {
    /// Names it; the encoded request is stored under it.
    pub id: [u8; 16],
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// For which it is encrypted.
    pub epoch: u64,
    /// What binds this device to it.
    pub proof: FrankingProof,
}

impl GroupMessageRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientGroupMessage {
            sequence: self.sequence,
            content_id: self.content_id.to_vec(),
            sender: self.sender.to_string(),
            sender_device: self.sender_device,
            received: self.received,
            content: self.content.clone(),
            state: match self.state {
                GroupMessageState::Queued => 1,
                GroupMessageState::Logged => 2,
                GroupMessageState::Failed => 3,
            },
            code: self.code.clone().unwrap_or_default(),
            account_key: self.account_key.to_vec(),
            epoch: self.epoch,
            device_key: self.device_key.to_vec(),
            proof: self.proof.as_ref().map(encode_proof),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupMessage::decode(bytes)?;
        Ok(Self {
            sequence: record.sequence,
            content_id: fixed(&record.content_id, "content_id")?,
            sender: address(&record.sender)?,
            sender_device: record.sender_device,
            account_key: fixed(&record.account_key, "account_key")?,
            received: record.received,
            content: record.content,
            proof: record.proof.map(decode_proof).transpose()?,
            device_key: fixed(&record.device_key, "device_key")?,
            epoch: record.epoch,
            state: match record.state {
                1 => GroupMessageState::Queued,
                2 => GroupMessageState::Logged,
                3 => GroupMessageState::Failed,
                _ => return Err(WireError::Bounds("group message state")),
            },
            code: text(record.code),
        })
    }
}

impl GroupOutboxRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entry = self.entry.as_ref();
        proto::ClientGroupOutboxEntry {
            log_id: self.log_id.to_vec(),
            content_id: self.content_id.to_vec(),
            number: self.number,
            created: self.created,
            entry_id: entry.map(|entry| entry.id.to_vec()).unwrap_or_default(),
            entry_hash: entry.map(|entry| entry.hash.to_vec()).unwrap_or_default(),
            epoch: entry.map_or(0, |entry| entry.epoch),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            proof: entry.map(|entry| encode_proof(&entry.proof)),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupOutboxEntry::decode(bytes)?;
        let entry = match (optional_id(&record.entry_id, "entry_id")?, record.proof) {
            (Some(id), Some(proof)) => Some(GroupEntryRecord {
                id,
                hash: fixed(&record.entry_hash, "entry_hash")?,
                epoch: record.epoch,
                proof: decode_proof(proof)?,
            }),
            _ => None,
        };
        Ok(Self {
            log_id: fixed(&record.log_id, "log_id")?,
            content_id: fixed(&record.content_id, "content_id")?,
            number: record.number,
            created: record.created,
            entry,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> FrankingProof {
        FrankingProof { group_context: vec![6; 147], leaf: 3, signature: [7; 64] }
    }

    #[test]
    fn what_is_said_and_sent_comes_back_as_it_was_stored() {
        let message = GroupMessageRecord {
            sequence: 1,
            content_id: [2; 16],
            sender: "a@b".parse().unwrap(),
            sender_device: 3,
            account_key: [9; 32],
            received: 4,
            content: vec![5],
            proof: Some(proof()),
            device_key: [8; 32],
            epoch: 9,
            state: GroupMessageState::Failed,
            code: Some("reader".into()),
        };
        assert_eq!(GroupMessageRecord::decode(&message.encode()), Ok(message.clone()));
        // One that was stored with the tag of before is read, and cannot be reported.
        let before = GroupMessageRecord { proof: None, ..message };
        let with_tag = [before.encode(), vec![0x52, 96], vec![1; 96]].concat();
        assert_eq!(GroupMessageRecord::decode(&with_tag), Ok(before));
        let mut entry = GroupOutboxRecord {
            log_id: [1; 32],
            content_id: [2; 16],
            number: 3,
            created: 4,
            entry: Some(GroupEntryRecord { id: [5; 16], hash: [6; 32], epoch: 7, proof: proof() }),
            attempts: 8,
            next_attempt: 9,
        };
        assert_eq!(GroupOutboxRecord::decode(&entry.encode()), Ok(entry.clone()));
        entry.entry = None;
        assert_eq!(GroupOutboxRecord::decode(&entry.encode()), Ok(entry));
    }
}
