//! `spec/proto/server_storage.proto`: what a server keeps on its disk and what its export holds.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;

/// The record of the store itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreRecord {
    /// The life of the store that cursors belong to.
    pub incarnation: [u8; 16],
    /// The number of the next account.
    pub next_account: u64,
    /// Set while an import is loaded.
    pub import_unfinished: bool,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRecord {
    /// The organisation that the account will belong to.
    pub organisation: Option<String>,
    /// Milliseconds since 1970.
    pub expires: u64,
    /// Set once it has created an account.
    pub used: Option<InvitationUse>,
}

/// What an invitation was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationUse {
    /// The number of the account.
    pub account: u64,
    /// SHA-256 of the statement.
    pub statement_digest: [u8; 32],
}

/// An account, without its statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number, 1 and up, never given twice in a store.
    pub account: u64,
    /// The version of its statement.
    pub statement_version: u64,
    /// Bytes of its statement.
    pub statement_length: u32,
    /// The organisation of its invitation.
    pub organisation: Option<String>,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Ascending.
    pub devices: Vec<u32>,
}

/// The prekeys of a device that are not one-time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeysRecord {
    /// Of the last upload.
    pub sequence: u64,
    /// SHA-256 of the last upload.
    pub digest: [u8; 32],
    /// An encoded `SignedPrekey`.
    pub signed_prekey: Vec<u8>,
    /// An encoded `KemPrekey`.
    pub last_resort_kem: Vec<u8>,
    /// An encoded `SealPrekey`.
    pub seal: Vec<u8>,
}

/// The counters of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueRecord {
    /// The highest sequence ever assigned.
    pub highest_sequence: u64,
    /// Envelopes in it.
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Expired and not yet told to the device.
    pub expired: u64,
    /// The highest generation that the device reported.
    pub generation: u64,
}

/// Where the body of an envelope lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeRecord {
    /// The number of the segment file.
    pub segment: u64,
    /// Of the segment record, in bytes.
    pub offset: u64,
    /// Of the envelope, in bytes.
    pub length: u32,
    /// CRC-32 (ISO-HDLC) of the envelope.
    pub checksum: u32,
    /// Milliseconds since 1970.
    pub received: u64,
    /// Milliseconds since 1970.
    pub expires: u64,
}

/// A submission id that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionRecord {
    /// SHA-256 over what was submitted.
    pub digest: [u8; 32],
    /// When it may be forgotten, in milliseconds since 1970.
    pub forget: u64,
}

/// One record of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportRecord {
    /// An invitation.
    Invitation {
        /// SHA-256 of its secret.
        hash: [u8; 32],
        /// The invitation.
        invitation: InvitationRecord,
    },
    /// An account. What belongs to it follows.
    Account {
        /// Its address.
        address: Address,
        /// Its record.
        account: AccountRecord,
        /// Its encoded `SignedStatement`.
        statement: Vec<u8>,
    },
    /// A device of the account before. What belongs to it follows.
    Device {
        /// Its number within the account.
        device_id: u32,
        /// Its queue's counters.
        queue: QueueRecord,
        /// Its prekeys, if it has any.
        prekeys: Option<PrekeysRecord>,
    },
    /// Ids of one-time prekeys of the device before that must never be given again.
    UsedPrekeys {
        /// Of X25519 keys.
        one_time: Vec<u32>,
        /// Of KEM keys.
        one_time_kem: Vec<u32>,
    },
    /// An envelope in the queue of the device before.
    Envelope {
        /// Its number in the queue.
        sequence: u64,
        /// Milliseconds since 1970.
        received: u64,
        /// Milliseconds since 1970.
        expires: u64,
        /// Its bytes.
        envelope: Vec<u8>,
    },
    /// A submission to the account before.
    Submission {
        /// Its id.
        id: [u8; 16],
        /// Its record.
        submission: SubmissionRecord,
    },
    /// The end.
    End {
        /// Records before this one.
        records: u64,
    },
}

impl StoreRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredStore {
            incarnation: self.incarnation.to_vec(),
            next_account: self.next_account,
            import_unfinished: self.import_unfinished,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredStore::decode(bytes)?;
        if message.next_account == 0 {
            return Err(WireError::Bounds("next_account"));
        }
        Ok(Self {
            incarnation: fixed(&message.incarnation, "incarnation")?,
            next_account: message.next_account,
            import_unfinished: message.import_unfinished,
        })
    }
}

impl InvitationRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::StoredInvitation::decode(bytes)?)
    }

    fn to_proto(&self) -> proto::StoredInvitation {
        proto::StoredInvitation {
            organisation: self.organisation.clone().unwrap_or_default(),
            expires: self.expires,
            account: self.used.map_or(0, |used| used.account),
            statement_digest: self.used.map(|used| used.statement_digest.to_vec()).unwrap_or_default(),
        }
    }

    fn from_proto(message: proto::StoredInvitation) -> Result<Self, WireError> {
        let used = match message.account {
            0 if message.statement_digest.is_empty() => None,
            0 => return Err(WireError::Missing("account")),
            account => {
                Some(InvitationUse { account, statement_digest: fixed(&message.statement_digest, "statement_digest")? })
            }
        };
        Ok(Self { organisation: some_text(message.organisation), expires: message.expires, used })
    }
}

impl AccountRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::StoredAccount::decode(bytes)?)
    }

    fn to_proto(&self) -> proto::StoredAccount {
        proto::StoredAccount {
            account: self.account,
            statement_version: self.statement_version,
            statement_length: self.statement_length,
            organisation: self.organisation.clone().unwrap_or_default(),
            created: self.created,
            devices: self.devices.clone(),
        }
    }

    fn from_proto(message: proto::StoredAccount) -> Result<Self, WireError> {
        if message.account == 0 {
            return Err(WireError::Bounds("account"));
        }
        if !message.devices.is_sorted_by(|first, second| first < second) {
            return Err(WireError::Bounds("devices"));
        }
        Ok(Self {
            account: message.account,
            statement_version: message.statement_version,
            statement_length: message.statement_length,
            organisation: some_text(message.organisation),
            created: message.created,
            devices: message.devices,
        })
    }
}

impl PrekeysRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::StoredPrekeys::decode(bytes)?)
    }

    fn to_proto(&self) -> proto::StoredPrekeys {
        proto::StoredPrekeys {
            sequence: self.sequence,
            digest: self.digest.to_vec(),
            signed_prekey: self.signed_prekey.clone(),
            last_resort_kem: self.last_resort_kem.clone(),
            seal: self.seal.clone(),
        }
    }

    fn from_proto(message: proto::StoredPrekeys) -> Result<Self, WireError> {
        Ok(Self {
            sequence: message.sequence,
            digest: fixed(&message.digest, "digest")?,
            signed_prekey: message.signed_prekey,
            last_resort_kem: message.last_resort_kem,
            seal: message.seal,
        })
    }
}

impl QueueRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError::Protobuf`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self::from_proto(proto::StoredQueue::decode(bytes)?))
    }

    fn to_proto(self) -> proto::StoredQueue {
        proto::StoredQueue {
            highest_sequence: self.highest_sequence,
            messages: self.messages,
            bytes: self.bytes,
            expired: self.expired,
            generation: self.generation,
        }
    }

    fn from_proto(message: proto::StoredQueue) -> Self {
        Self {
            highest_sequence: message.highest_sequence,
            messages: message.messages,
            bytes: message.bytes,
            expired: message.expired,
            generation: message.generation,
        }
    }
}

impl EnvelopeRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredEnvelope {
            segment: self.segment,
            offset: self.offset,
            length: self.length,
            checksum: self.checksum,
            received: self.received,
            expires: self.expires,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError::Protobuf`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredEnvelope::decode(bytes)?;
        Ok(Self {
            segment: message.segment,
            offset: message.offset,
            length: message.length,
            checksum: message.checksum,
            received: message.received,
            expires: message.expires,
        })
    }
}

impl SubmissionRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(&proto::StoredSubmission::decode(bytes)?)
    }

    fn to_proto(self) -> proto::StoredSubmission {
        proto::StoredSubmission { digest: self.digest.to_vec(), forget: self.forget }
    }

    fn from_proto(message: &proto::StoredSubmission) -> Result<Self, WireError> {
        Ok(Self { digest: fixed(&message.digest, "digest")?, forget: message.forget })
    }
}

impl ExportRecord {
    /// The bytes of one record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::export_record::Record;
        let record = match self {
            Self::Invitation { hash, invitation } => Record::Invitation(proto::ExportedInvitation {
                hash: hash.to_vec(),
                invitation: Some(invitation.to_proto()),
            }),
            Self::Account { address, account, statement } => Record::Account(proto::ExportedAccount {
                address: address.to_string(),
                account: Some(account.to_proto()),
                statement: statement.clone(),
            }),
            Self::Device { device_id, queue, prekeys } => Record::Device(proto::ExportedDevice {
                device_id: *device_id,
                queue: Some(queue.to_proto()),
                prekeys: prekeys.as_ref().map(PrekeysRecord::to_proto),
            }),
            Self::UsedPrekeys { one_time, one_time_kem } => Record::UsedPrekeys(proto::ExportedUsedPrekeys {
                one_time: one_time.clone(),
                one_time_kem: one_time_kem.clone(),
            }),
            Self::Envelope { sequence, received, expires, envelope } => Record::Envelope(proto::ExportedEnvelope {
                sequence: *sequence,
                received: *received,
                expires: *expires,
                envelope: envelope.clone(),
            }),
            Self::Submission { id, submission } => Record::Submission(proto::ExportedSubmission {
                id: id.to_vec(),
                submission: Some(submission.to_proto()),
            }),
            Self::End { records } => Record::End(proto::ExportedEnd { records: *records }),
        };
        proto::ExportRecord { record: Some(record) }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::export_record::Record;
        Ok(match proto::ExportRecord::decode(bytes)?.record.ok_or(WireError::Missing("record"))? {
            Record::Invitation(message) => Self::Invitation {
                hash: fixed(&message.hash, "hash")?,
                invitation: InvitationRecord::from_proto(message.invitation.ok_or(WireError::Missing("invitation"))?)?,
            },
            Record::Account(message) => Self::Account {
                address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
                account: AccountRecord::from_proto(message.account.ok_or(WireError::Missing("account"))?)?,
                statement: message.statement,
            },
            Record::Device(message) => Self::Device {
                device_id: message.device_id,
                queue: QueueRecord::from_proto(message.queue.ok_or(WireError::Missing("queue"))?),
                prekeys: message.prekeys.map(PrekeysRecord::from_proto).transpose()?,
            },
            Record::UsedPrekeys(message) => {
                Self::UsedPrekeys { one_time: message.one_time, one_time_kem: message.one_time_kem }
            }
            Record::Envelope(message) => Self::Envelope {
                sequence: message.sequence,
                received: message.received,
                expires: message.expires,
                envelope: message.envelope,
            },
            Record::Submission(message) => Self::Submission {
                id: fixed(&message.id, "id")?,
                submission: SubmissionRecord::from_proto(&message.submission.ok_or(WireError::Missing("submission"))?)?,
            },
            Record::End(message) => Self::End { records: message.records },
        })
    }
}

/// Text that is absent when it is empty.
fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<ExportRecord> {
        let account = AccountRecord {
            account: 7,
            statement_version: 3,
            statement_length: 2,
            organisation: Some("CHU".into()),
            created: 1,
            devices: vec![1, 4],
        };
        let prekeys = PrekeysRecord {
            sequence: 2,
            digest: [5; 32],
            signed_prekey: vec![1],
            last_resort_kem: vec![2],
            seal: vec![3],
        };
        let queue = QueueRecord { highest_sequence: 9, messages: 1, bytes: 4096, expired: 2, generation: 8 };
        let used = Some(InvitationUse { account: 7, statement_digest: [8; 32] });
        vec![
            ExportRecord::Invitation {
                hash: [1; 32],
                invitation: InvitationRecord { organisation: None, expires: 5, used },
            },
            ExportRecord::Account { address: "a@b".parse().unwrap(), account, statement: vec![1, 2] },
            ExportRecord::Device { device_id: 1, queue, prekeys: Some(prekeys) },
            ExportRecord::UsedPrekeys { one_time: vec![1, 2], one_time_kem: vec![3] },
            ExportRecord::Envelope { sequence: 9, received: 1, expires: 2, envelope: vec![0; 100] },
            ExportRecord::Submission { id: [3; 16], submission: SubmissionRecord { digest: [4; 32], forget: 6 } },
            ExportRecord::End { records: 6 },
        ]
    }

    #[test]
    fn every_record_survives_the_way_to_the_disk() {
        for record in records() {
            assert_eq!(ExportRecord::decode(&record.encode()), Ok(record));
        }
        let store = StoreRecord { incarnation: [9; 16], next_account: 2, import_unfinished: true };
        assert_eq!(StoreRecord::decode(&store.encode()), Ok(store));
        let envelope = EnvelopeRecord { segment: 1, offset: 2, length: 3, checksum: 4, received: 5, expires: 6 };
        assert_eq!(EnvelopeRecord::decode(&envelope.encode()), Ok(envelope));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        assert_eq!(StoreRecord::decode(&[]), Err(WireError::Bounds("next_account")));
        assert_eq!(SubmissionRecord::decode(&[]), Err(WireError::Bounds("digest")));
        assert_eq!(ExportRecord::decode(&[]), Err(WireError::Missing("record")));
        let unsorted = proto::StoredAccount { account: 1, devices: vec![2, 1], ..Default::default() };
        assert_eq!(AccountRecord::decode(&unsorted.encode_to_vec()), Err(WireError::Bounds("devices")));
        let used_by_nobody = proto::StoredInvitation { statement_digest: vec![1; 32], ..Default::default() };
        assert_eq!(InvitationRecord::decode(&used_by_nobody.encode_to_vec()), Err(WireError::Missing("account")));
    }

    #[test]
    fn a_truncated_record_never_panics_and_never_passes_for_the_whole() {
        for record in records() {
            let bytes = record.encode();
            for length in 0..bytes.len() {
                assert_ne!(ExportRecord::decode(&bytes[..length]), Ok(record.clone()));
            }
        }
    }
}
