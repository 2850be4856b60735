//! What has left and is not confirmed, what is owed to others, and what nothing opens.

use prost::Message;

use super::{address, optional_id};
use crate::Address;
use crate::limits::ENVELOPE_LENGTH_MAX;
use crate::wire::{WireError, fixed, proto};

/// A message to one recipient that has left, until the recipient's devices have said that they have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnconfirmedRecord {
    /// Of the message.
    pub content_id: [u8; 16],
    /// Who gets it.
    pub recipient: Address,
    /// It went to these devices, and they have not confirmed it.
    pub devices: Vec<u32>,
    /// These have.
    pub confirmed: Vec<u32>,
    /// When the recipient's server first took it, in milliseconds since 1970; 0: not yet.
    pub accepted: u64,
    /// When it last took it.
    pub last_sent: u64,
    /// Times.
    pub sent_again: u32,
    /// When to look again, in milliseconds since 1970.
    pub next: u64,
    /// It was seen to be overdue once.
    pub noticed: bool,
    /// Its content belongs to no message of its own and is kept for this alone.
    pub bare: bool,
}

/// What is owed to a checked contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedRecord {
    /// Who.
    pub address: Address,
    /// Messages that have come and are to be confirmed, in the order in which they came.
    pub message_ids: Vec<[u8; 16]>,
    /// When, in milliseconds since 1970; 0: nothing is to be confirmed.
    pub due: u64,
    /// Something could not be read, and that is to be said.
    pub unreadable: bool,
    /// Content id of the last `received`.
    pub sending: Option<[u8; 16]>,
    /// When an empty message is due, in milliseconds since 1970; 0: none is.
    pub empty_due: u64,
}

/// An envelope of no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEnvelopeRecord {
    /// Its number in the queue.
    pub sequence: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub received: u64,
    /// Since when it is kept, in milliseconds since 1970.
    pub kept: u64,
    /// As it came.
    pub envelope: Vec<u8>,
    /// It came without a delivery key of this account.
    pub request_lane: bool,
}

/// When to look for what is due, in milliseconds since 1970: not later than the earliest of each; 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgendaRecord {
    /// Of [`OwedRecord`].
    pub owed: u64,
    /// Of [`UnconfirmedRecord`].
    pub unconfirmed: u64,
    /// Of [`KeptEnvelopeRecord`].
    pub kept: u64,
}

impl UnconfirmedRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientUnconfirmed {
            content_id: self.content_id.to_vec(),
            recipient: self.recipient.to_string(),
            devices: self.devices.clone(),
            confirmed: self.confirmed.clone(),
            accepted: self.accepted,
            last_sent: self.last_sent,
            sent_again: self.sent_again,
            next: self.next,
            noticed: self.noticed,
            bare: self.bare,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientUnconfirmed::decode(bytes)?;
        Ok(Self {
            content_id: fixed(&record.content_id, "content_id")?,
            recipient: address(&record.recipient)?,
            devices: record.devices,
            confirmed: record.confirmed,
            accepted: record.accepted,
            last_sent: record.last_sent,
            sent_again: record.sent_again,
            next: record.next,
            noticed: record.noticed,
            bare: record.bare,
        })
    }
}

impl OwedRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientOwed {
            address: self.address.to_string(),
            message_ids: self.message_ids.concat(),
            due: self.due,
            unreadable: self.unreadable,
            sending: self.sending.map(|id| id.to_vec()).unwrap_or_default(),
            empty_due: self.empty_due,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOwed::decode(bytes)?;
        let (message_ids, rest) = record.message_ids.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(WireError::Bounds("message_ids"));
        }
        Ok(Self {
            address: address(&record.address)?,
            message_ids: message_ids.to_vec(),
            due: record.due,
            unreadable: record.unreadable,
            sending: optional_id(&record.sending, "sending")?,
            empty_due: record.empty_due,
        })
    }
}

impl KeptEnvelopeRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientKeptEnvelope {
            sequence: self.sequence,
            received: self.received,
            kept: self.kept,
            envelope: self.envelope.clone(),
            request_lane: self.request_lane,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientKeptEnvelope::decode(bytes)?;
        if record.envelope.len() > ENVELOPE_LENGTH_MAX {
            return Err(WireError::Bounds("envelope"));
        }
        let proto::ClientKeptEnvelope { sequence, received, kept, envelope, request_lane } = record;
        Ok(Self { sequence, received, kept, envelope, request_lane })
    }
}

impl AgendaRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientAgenda { owed: self.owed, unconfirmed: self.unconfirmed, kept: self.kept }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientAgenda::decode(bytes)?;
        Ok(Self { owed: record.owed, unconfirmed: record.unconfirmed, kept: record.kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_repair_come_back_as_they_were_stored() {
        let unconfirmed = UnconfirmedRecord {
            content_id: [1; 16],
            recipient: "a@b".parse().unwrap(),
            devices: vec![1, 20],
            confirmed: vec![3],
            accepted: 4,
            last_sent: 5,
            sent_again: 6,
            next: 7,
            noticed: true,
            bare: true,
        };
        assert_eq!(UnconfirmedRecord::decode(&unconfirmed.encode()), Ok(unconfirmed));
        let owed = OwedRecord {
            address: "a@b".parse().unwrap(),
            message_ids: vec![[1; 16], [2; 16]],
            due: 3,
            unreadable: true,
            sending: Some([4; 16]),
            empty_due: 5,
        };
        assert_eq!(OwedRecord::decode(&owed.encode()), Ok(owed));
        let kept = KeptEnvelopeRecord { sequence: 1, received: 2, kept: 3, envelope: vec![4; 5], request_lane: true };
        assert_eq!(KeptEnvelopeRecord::decode(&kept.encode()), Ok(kept));
        let agenda = AgendaRecord { owed: 1, unconfirmed: 2, kept: 3 };
        assert_eq!(AgendaRecord::decode(&agenda.encode()), Ok(agenda));
    }

    #[test]
    fn an_envelope_over_the_limit_and_half_an_id_are_refused() {
        let kept = KeptEnvelopeRecord {
            sequence: 1,
            received: 2,
            kept: 3,
            envelope: vec![4; ENVELOPE_LENGTH_MAX + 1],
            request_lane: false,
        };
        assert_eq!(KeptEnvelopeRecord::decode(&kept.encode()), Err(WireError::Bounds("envelope")));
        let owed = proto::ClientOwed { address: "a@b".into(), message_ids: vec![1; 17], ..Default::default() };
        assert_eq!(OwedRecord::decode(&owed.encode_to_vec()), Err(WireError::Bounds("message_ids")));
    }
}
