//! What came out of the device's queue at the server.

use prost::Message;

use super::{address, text};
use crate::Address;
use crate::wire::{WireError, fixed, proto};

/// How far the device's queue has been worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueRecord {
    /// Of the server's store.
    pub incarnation: [u8; 16],
    /// The highest sequence committed.
    pub up_to: u64,
    /// Envelopes that could not be read, ever.
    pub undecryptable: u64,
    /// Messages that came again, ever.
    pub duplicates: u64,
    /// Messages that the server dropped as too old, ever.
    pub expired: u64,
    /// Since when the server withheld one-time prekeys, the last time that it did, in milliseconds since 1970; 0: never.
    pub prekeys_withheld: u64,
}

/// An envelope that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecryptableRecord {
    /// Its number in the queue.
    pub sequence: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub received: u64,
    /// A stable code.
    pub reason: String,
    /// The sender's address, where it is known.
    pub sender: Option<Address>,
}

impl QueueRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientQueue {
            incarnation: self.incarnation.to_vec(),
            up_to: self.up_to,
            undecryptable: self.undecryptable,
            duplicates: self.duplicates,
            expired: self.expired,
            prekeys_withheld: self.prekeys_withheld,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientQueue::decode(bytes)?;
        Ok(Self {
            incarnation: fixed(&record.incarnation, "incarnation")?,
            up_to: record.up_to,
            undecryptable: record.undecryptable,
            duplicates: record.duplicates,
            expired: record.expired,
            prekeys_withheld: record.prekeys_withheld,
        })
    }
}

impl UndecryptableRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientUndecryptable {
            sequence: self.sequence,
            received: self.received,
            reason: self.reason.clone(),
            sender: self.sender.as_ref().map(Address::to_string).unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientUndecryptable::decode(bytes)?;
        let sender = text(record.sender).map(|sender| address(&sender));
        Ok(Self {
            sequence: record.sequence,
            received: record.received,
            reason: record.reason,
            sender: sender.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_queues_are_refused_by_field() {
        let queue = proto::ClientQueue { incarnation: vec![1; 15], ..Default::default() };
        assert_eq!(QueueRecord::decode(&queue.encode_to_vec()), Err(WireError::Bounds("incarnation")));
    }
}
