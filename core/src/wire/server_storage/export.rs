//! The records of an export.

use prost::Message;

use super::blob::blob_length;
use super::{
    AccountRecord, GroupEpochRecord, GroupLogRecord, InvitationRecord, PrekeysRecord, QueueRecord, SubmissionRecord,
};
use crate::Address;
use crate::limits::GROUP_ENTRY_LENGTH_MAX;
use crate::tenant::{Tenant, TenantDay};
use crate::wire::{WireError, fixed, proto};

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
        /// Of key packages.
        key_packages: Vec<u32>,
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
        /// It came without a delivery key of the account.
        request_lane: bool,
    },
    /// A submission to the account before.
    Submission {
        /// Its id.
        id: [u8; 16],
        /// Its record.
        submission: SubmissionRecord,
    },
    /// A complete blob. All its pieces follow.
    Blob(ExportedBlob),
    /// The next piece of the blob before.
    BlobPiece(Vec<u8>),
    /// A group log. Its closed epochs follow, and then its entries.
    GroupLog {
        /// Its id.
        log_id: [u8; 32],
        /// Its record, whose counters are not to be trusted.
        log: GroupLogRecord,
    },
    /// A closed epoch of the group log before.
    GroupEpoch {
        /// Its number.
        epoch: u64,
        /// Its record, whose counter is not to be trusted.
        record: GroupEpochRecord,
    },
    /// An entry of the group log before.
    GroupEntry(ExportedGroupEntry),
    /// A tenant.
    Tenant(Tenant),
    /// A day of a tenant that came before.
    TenantDay {
        /// The number of the tenant.
        tenant: u64,
        /// What was counted.
        day: TenantDay,
    },
    /// The end.
    End {
        /// Records before this one.
        records: u64,
    },
}

/// A complete blob in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedBlob {
    /// Its id.
    pub id: [u8; 32],
    /// Bytes of it.
    pub length: u64,
    /// The hash of the upload secret.
    pub secret_hash: [u8; 32],
    /// When it was begun, in milliseconds since 1970.
    pub begun: u64,
    /// When it is dropped, in milliseconds since 1970.
    pub expires: u64,
}

/// An entry of a group log in an export.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportedGroupEntry {
    /// Its epoch.
    pub epoch: u64,
    /// Its number in the log.
    pub sequence: u64,
    /// Milliseconds since 1970.
    pub received: u64,
    /// Milliseconds since 1970.
    pub expires: u64,
    /// As its author drew it.
    pub entry_id: [u8; 16],
    /// As in [`GroupEntryRecord`](super::GroupEntryRecord).
    pub digest: [u8; 32],
    /// It closed its epoch.
    pub closes_epoch: bool,
    /// Its bytes.
    pub entry: Vec<u8>,
}

impl std::fmt::Debug for ExportedGroupEntry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, sequence, entry, .. } = self;
        write!(formatter, "ExportedGroupEntry({sequence} of epoch {epoch}, {} bytes)", entry.len())
    }
}

impl ExportedGroupEntry {
    fn to_proto(&self) -> proto::ExportedGroupEntry {
        proto::ExportedGroupEntry {
            epoch: self.epoch,
            sequence: self.sequence,
            received: self.received,
            expires: self.expires,
            entry_id: self.entry_id.to_vec(),
            digest: self.digest.to_vec(),
            closes_epoch: self.closes_epoch,
            entry: self.entry.clone(),
        }
    }

    fn from_proto(message: proto::ExportedGroupEntry) -> Result<Self, WireError> {
        if message.entry.is_empty() || message.entry.len() > GROUP_ENTRY_LENGTH_MAX {
            return Err(WireError::Bounds("entry"));
        }
        Ok(Self {
            epoch: message.epoch,
            sequence: message.sequence,
            received: message.received,
            expires: message.expires,
            entry_id: fixed(&message.entry_id, "entry_id")?,
            digest: fixed(&message.digest, "digest")?,
            closes_epoch: message.closes_epoch,
            entry: message.entry,
        })
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
            Self::UsedPrekeys { one_time, one_time_kem, key_packages } => {
                Record::UsedPrekeys(proto::ExportedUsedPrekeys {
                    one_time: one_time.clone(),
                    one_time_kem: one_time_kem.clone(),
                    key_packages: key_packages.clone(),
                })
            }
            Self::Envelope { sequence, received, expires, envelope, request_lane } => {
                Record::Envelope(proto::ExportedEnvelope {
                    sequence: *sequence,
                    received: *received,
                    expires: *expires,
                    envelope: envelope.clone(),
                    request_lane: *request_lane,
                })
            }
            Self::Submission { id, submission } => Record::Submission(proto::ExportedSubmission {
                id: id.to_vec(),
                submission: Some(submission.to_proto()),
            }),
            Self::Blob(blob) => Record::Blob(proto::ExportedBlob {
                id: blob.id.to_vec(),
                length: blob.length,
                secret_hash: blob.secret_hash.to_vec(),
                begun: blob.begun,
                expires: blob.expires,
            }),
            Self::BlobPiece(data) => Record::BlobPiece(proto::ExportedBlobPiece { data: data.clone() }),
            Self::GroupLog { log_id, log } => {
                Record::GroupLog(proto::ExportedGroupLog { log_id: log_id.to_vec(), log: Some(log.to_proto()) })
            }
            Self::GroupEpoch { epoch, record } => {
                Record::GroupEpoch(proto::ExportedGroupEpoch { epoch: *epoch, record: Some(record.to_proto()) })
            }
            Self::GroupEntry(entry) => Record::GroupEntry(entry.to_proto()),
            Self::Tenant(tenant) => Record::Tenant(tenant.to_proto()),
            Self::TenantDay { tenant, day } => {
                Record::TenantDay(proto::ExportedTenantDay { tenant: *tenant, day: Some(day.to_proto()) })
            }
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
                let proto::ExportedUsedPrekeys { one_time, one_time_kem, key_packages } = message;
                Self::UsedPrekeys { one_time, one_time_kem, key_packages }
            }
            Record::Envelope(message) => Self::Envelope {
                sequence: message.sequence,
                received: message.received,
                expires: message.expires,
                envelope: message.envelope,
                request_lane: message.request_lane,
            },
            Record::Submission(message) => Self::Submission {
                id: fixed(&message.id, "id")?,
                submission: SubmissionRecord::from_proto(&message.submission.ok_or(WireError::Missing("submission"))?)?,
            },
            Record::Blob(message) => Self::Blob(ExportedBlob {
                id: fixed(&message.id, "id")?,
                length: blob_length(message.length)?,
                secret_hash: fixed(&message.secret_hash, "secret_hash")?,
                begun: message.begun,
                expires: message.expires,
            }),
            Record::BlobPiece(message) => Self::BlobPiece(message.data),
            Record::GroupLog(message) => Self::GroupLog {
                log_id: fixed(&message.log_id, "log_id")?,
                log: GroupLogRecord::from_proto(message.log.as_ref().ok_or(WireError::Missing("log"))?)?,
            },
            Record::GroupEpoch(message) => Self::GroupEpoch {
                epoch: message.epoch,
                record: GroupEpochRecord::from_proto(message.record.as_ref().ok_or(WireError::Missing("record"))?)?,
            },
            Record::GroupEntry(message) => Self::GroupEntry(ExportedGroupEntry::from_proto(message)?),
            Record::Tenant(message) => Self::Tenant(Tenant::from_proto(message)?),
            Record::TenantDay(message) => Self::TenantDay {
                tenant: message.tenant,
                day: TenantDay::from_proto(message.day.ok_or(WireError::Missing("day"))?)?,
            },
            Record::End(message) => Self::End { records: message.records },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::server_storage::{EnvelopeRecord, InvitationUse, StoreRecord};

    fn records() -> Vec<ExportRecord> {
        let account = AccountRecord {
            account: 7,
            statement_version: 3,
            statement_length: 2,
            organisation: Some("CHU".into()),
            created: 1,
            devices: vec![1, 4],
            delivery_keys: vec![[5; 32]],
            tenant: 5,
            suspended: true,
        };
        let prekeys = PrekeysRecord {
            sequence: 2,
            digest: [5; 32],
            signed_prekey: vec![1],
            last_resort_kem: vec![2],
            seal: vec![3],
        };
        let queue = QueueRecord {
            highest_sequence: 9,
            messages: 3,
            bytes: 12_288,
            expired: 2,
            generation: 8,
            request_messages: 1,
            request_bytes: 4096,
            withheld_since: 7,
        };
        let group_log = GroupLogRecord {
            first_epoch: 1,
            epoch: 2,
            access_key: [3; 32],
            epoch_entries: 4,
            highest_sequence: 9,
            entries: 6,
            bytes: 7,
            created: 8,
            changed: 9,
            expires: 10,
        };
        let group_entry = ExportedGroupEntry {
            epoch: 1,
            sequence: 9,
            received: 3,
            expires: 4,
            entry_id: [5; 16],
            digest: [6; 32],
            closes_epoch: true,
            entry: vec![7],
        };
        let used = Some(InvitationUse { account: 7, statement_digest: [8; 32] });
        vec![
            ExportRecord::Invitation {
                hash: [1; 32],
                invitation: InvitationRecord {
                    organisation: None,
                    expires: 5,
                    used,
                    tenant: 5,
                    address: Some("a@b".parse().unwrap()),
                },
            },
            ExportRecord::Account { address: "a@b".parse().unwrap(), account, statement: vec![1, 2] },
            ExportRecord::Device { device_id: 1, queue, prekeys: Some(prekeys) },
            ExportRecord::UsedPrekeys { one_time: vec![1, 2], one_time_kem: vec![3], key_packages: vec![4] },
            ExportRecord::Envelope { sequence: 9, received: 1, expires: 2, envelope: vec![0; 100], request_lane: true },
            ExportRecord::Submission { id: [3; 16], submission: SubmissionRecord { digest: [4; 32], forget: 6 } },
            ExportRecord::Blob(ExportedBlob { id: [6; 32], length: 3, secret_hash: [7; 32], begun: 1, expires: 2 }),
            ExportRecord::BlobPiece(vec![1, 2, 3]),
            ExportRecord::GroupLog { log_id: [7; 32], log: group_log },
            ExportRecord::GroupEpoch {
                epoch: 1,
                record: GroupEpochRecord { access_key: [8; 32], entries: 1, closing_sequence: 9 },
            },
            ExportRecord::GroupEntry(group_entry),
            ExportRecord::Tenant(Tenant::default_tenant()),
            ExportRecord::TenantDay {
                tenant: 5,
                day: TenantDay { day: 1, seats: 2, seats_peak: 3, bytes_peak: 4, active: true, services: Vec::new() },
            },
            ExportRecord::End { records: 8 },
        ]
    }

    #[test]
    fn every_record_survives_the_way_to_the_disk() {
        for record in records() {
            assert_eq!(ExportRecord::decode(&record.encode()), Ok(record));
        }
        let store = StoreRecord {
            incarnation: [9; 16],
            next_account: 2,
            next_blob: 3,
            next_tenant: 4,
            import_unfinished: true,
        };
        assert_eq!(StoreRecord::decode(&store.encode()), Ok(store));
        let envelope = EnvelopeRecord {
            segment: 1,
            offset: 2,
            length: 3,
            checksum: 4,
            received: 5,
            expires: 6,
            request_lane: true,
        };
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
