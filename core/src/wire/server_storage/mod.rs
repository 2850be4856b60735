//! `spec/proto/server_storage.proto`: what a server keeps on its disk and what its export holds.

mod blob;
mod export;
mod group_log;
mod tenant;
mod token;

use prost::Message;

pub use blob::{BlobPieceRecord, BlobRecord, piece_count, piece_length};
pub use export::{ExportRecord, ExportedBlob, ExportedGroupEntry};
pub use group_log::{
    DeviceWakeRecord, GroupEntryIdRecord, GroupEntryRecord, GroupEpochRecord, GroupLogRecord, GroupWakeRecord,
    KeyPackagesRecord,
};
pub use token::{DrawRecord, DrawsRecord, IssuerKeyRecord, SpendRecord, VoucherRecord};

pub(in crate::wire) use tenant::{decode_licence, encode_licence};

use super::{WireError, fixed, proto};
use crate::Address;

/// The record of the store itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreRecord {
    /// The life of the store that cursors belong to.
    pub incarnation: [u8; 16],
    /// The number of the next account.
    pub next_account: u64,
    /// The number of the next blob.
    pub next_blob: u64,
    /// The number of the next tenant.
    pub next_tenant: u64,
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
    /// The number of the tenant that the account will belong to.
    pub tenant: u64,
    /// The only address that it can be used for.
    pub address: Option<Address>,
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
    /// Hashes of the delivery keys that the account has set.
    pub delivery_keys: Vec<[u8; 32]>,
    /// The number of the tenant that it belongs to.
    pub tenant: u64,
    /// The operator lets nothing in or out.
    pub suspended: bool,
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
    /// Of `messages`, those of the request lane.
    pub request_messages: u64,
    /// Of `bytes`, theirs.
    pub request_bytes: u64,
    /// When one-time prekeys were first withheld and the device was not told, in milliseconds since 1970; 0: not.
    pub withheld_since: u64,
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
    /// It came without a delivery key of the account.
    pub request_lane: bool,
}

/// A submission id that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionRecord {
    /// SHA-256 over what was submitted.
    pub digest: [u8; 32],
    /// When it may be forgotten, in milliseconds since 1970.
    pub forget: u64,
}

impl StoreRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredStore {
            incarnation: self.incarnation.to_vec(),
            next_account: self.next_account,
            next_blob: self.next_blob,
            next_tenant: self.next_tenant,
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
            // A store from before there were blobs has none.
            next_blob: message.next_blob.max(1),
            next_tenant: message.next_tenant.max(1),
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
            tenant: self.tenant,
            address: self.address.as_ref().map(ToString::to_string).unwrap_or_default(),
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
        let address = some_text(message.address).map(|address| Address::from_canonical(&address)).transpose();
        Ok(Self {
            organisation: some_text(message.organisation),
            expires: message.expires,
            used,
            tenant: message.tenant,
            address: address.map_err(|_| WireError::Bounds("address"))?,
        })
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
            delivery_keys: self.delivery_keys.iter().map(|hash| hash.to_vec()).collect(),
            tenant: self.tenant,
            suspended: self.suspended,
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
            delivery_keys: message
                .delivery_keys
                .iter()
                .map(|hash| fixed(hash, "delivery_keys"))
                .collect::<Result<_, _>>()?,
            tenant: message.tenant,
            suspended: message.suspended,
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
            request_messages: self.request_messages,
            request_bytes: self.request_bytes,
            withheld_since: self.withheld_since,
        }
    }

    fn from_proto(message: proto::StoredQueue) -> Self {
        Self {
            highest_sequence: message.highest_sequence,
            messages: message.messages,
            bytes: message.bytes,
            expired: message.expired,
            generation: message.generation,
            request_messages: message.request_messages,
            request_bytes: message.request_bytes,
            withheld_since: message.withheld_since,
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
            request_lane: self.request_lane,
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
            request_lane: message.request_lane,
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

/// Text that is absent when it is empty.
fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
