//! The records of group logs.

use prost::Message;

use crate::Address;
use crate::limits::GROUP_ENTRY_LENGTH_MAX;
use crate::push_endpoint::PushEndpoint;
use crate::wire::{WireError, fixed, proto};

/// A group log and its current epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLogRecord {
    /// The number of the epoch that it began with.
    pub first_epoch: u64,
    /// The number of the current epoch.
    pub epoch: u64,
    /// Of the current epoch.
    pub access_key: [u8; 32],
    /// Entries of the current epoch.
    pub epoch_entries: u64,
    /// The highest sequence ever assigned; in the beginning the time of creation.
    pub highest_sequence: u64,
    /// Entries of all epochs.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Milliseconds since 1970.
    pub created: u64,
    /// When the last entry was appended, or the creation; milliseconds since 1970.
    pub changed: u64,
    /// When the log goes if nothing is appended, in milliseconds since 1970.
    pub expires: u64,
}

/// An epoch that is closed and of which entries are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEpochRecord {
    /// Of the epoch.
    pub access_key: [u8; 32],
    /// Entries that are left, 1 and up.
    pub entries: u64,
    /// Of the entry that closed it.
    pub closing_sequence: u64,
}

/// Where the body of an entry lies, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEntryRecord {
    /// The number of the segment file.
    pub segment: u64,
    /// Of the segment record, in bytes.
    pub offset: u64,
    /// Of the entry, in bytes.
    pub length: u32,
    /// CRC-32 (ISO-HDLC) of the entry.
    pub checksum: u32,
    /// The segment is one of those of blobs.
    pub large: bool,
    /// Milliseconds since 1970.
    pub received: u64,
    /// Milliseconds since 1970.
    pub expires: u64,
    /// As its author drew it.
    pub entry_id: [u8; 16],
    /// SHA-256 over what was appended: tells a repeat from another entry.
    pub digest: [u8; 32],
    /// It closed its epoch.
    pub closes_epoch: bool,
}

/// Where the entry with an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEntryIdRecord {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
}

/// Where a reader of a group log is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWakeRecord {
    /// The epoch that the reader proved last.
    pub epoch: u64,
    /// Where.
    pub endpoint: PushEndpoint,
    /// When it is forgotten, in milliseconds since 1970.
    pub expires: u64,
}

/// Where a device is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceWakeRecord {
    /// Of its account.
    pub address: Address,
    /// Where.
    pub endpoint: PushEndpoint,
}

/// The key packages of a device, the packages themselves aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPackagesRecord {
    /// Of the last upload.
    pub sequence: u64,
    /// SHA-256 of the last upload.
    pub digest: [u8; 32],
}

impl GroupLogRecord {
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
        Self::from_proto(&proto::StoredGroupLog::decode(bytes)?)
    }

    pub(super) fn to_proto(self) -> proto::StoredGroupLog {
        proto::StoredGroupLog {
            first_epoch: self.first_epoch,
            epoch: self.epoch,
            access_key: self.access_key.to_vec(),
            epoch_entries: self.epoch_entries,
            highest_sequence: self.highest_sequence,
            entries: self.entries,
            bytes: self.bytes,
            created: self.created,
            changed: self.changed,
            expires: self.expires,
        }
    }

    pub(super) fn from_proto(message: &proto::StoredGroupLog) -> Result<Self, WireError> {
        if message.epoch < message.first_epoch {
            return Err(WireError::Bounds("epoch"));
        }
        Ok(Self {
            first_epoch: message.first_epoch,
            epoch: message.epoch,
            access_key: fixed(&message.access_key, "access_key")?,
            epoch_entries: message.epoch_entries,
            highest_sequence: message.highest_sequence,
            entries: message.entries,
            bytes: message.bytes,
            created: message.created,
            changed: message.changed,
            expires: message.expires,
        })
    }
}

impl GroupWakeRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let endpoint = self.endpoint.as_str().to_owned();
        proto::StoredGroupWake { epoch: self.epoch, endpoint, expires: self.expires }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredGroupWake::decode(bytes)?;
        let endpoint = message.endpoint.parse().map_err(|_| WireError::Bounds("endpoint"))?;
        Ok(Self { epoch: message.epoch, endpoint, expires: message.expires })
    }
}

impl DeviceWakeRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let endpoint = self.endpoint.as_str().to_owned();
        proto::StoredDeviceWake { address: self.address.to_string(), endpoint }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredDeviceWake::decode(bytes)?;
        let address = message.address.parse().map_err(|_| WireError::Bounds("address"))?;
        Ok(Self { address, endpoint: message.endpoint.parse().map_err(|_| WireError::Bounds("endpoint"))? })
    }
}

impl GroupEpochRecord {
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
        Self::from_proto(&proto::StoredGroupEpoch::decode(bytes)?)
    }

    pub(super) fn to_proto(self) -> proto::StoredGroupEpoch {
        proto::StoredGroupEpoch {
            access_key: self.access_key.to_vec(),
            entries: self.entries,
            closing_sequence: self.closing_sequence,
        }
    }

    pub(super) fn from_proto(message: &proto::StoredGroupEpoch) -> Result<Self, WireError> {
        Ok(Self {
            access_key: fixed(&message.access_key, "access_key")?,
            entries: message.entries,
            closing_sequence: message.closing_sequence,
        })
    }
}

impl GroupEntryRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredGroupEntry {
            segment: self.segment,
            offset: self.offset,
            length: self.length,
            checksum: self.checksum,
            large: self.large,
            received: self.received,
            expires: self.expires,
            entry_id: self.entry_id.to_vec(),
            digest: self.digest.to_vec(),
            closes_epoch: self.closes_epoch,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredGroupEntry::decode(bytes)?;
        if message.length as usize > GROUP_ENTRY_LENGTH_MAX {
            return Err(WireError::Bounds("length"));
        }
        Ok(Self {
            segment: message.segment,
            offset: message.offset,
            length: message.length,
            checksum: message.checksum,
            large: message.large,
            received: message.received,
            expires: message.expires,
            entry_id: fixed(&message.entry_id, "entry_id")?,
            digest: fixed(&message.digest, "digest")?,
            closes_epoch: message.closes_epoch,
        })
    }
}

impl GroupEntryIdRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredGroupEntryId { epoch: self.epoch, sequence: self.sequence }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError::Protobuf`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredGroupEntryId::decode(bytes)?;
        Ok(Self { epoch: message.epoch, sequence: message.sequence })
    }
}

impl KeyPackagesRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredKeyPackages { sequence: self.sequence, digest: self.digest.to_vec() }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredKeyPackages::decode(bytes)?;
        Ok(Self { sequence: message.sequence, digest: fixed(&message.digest, "digest")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_way_to_the_disk() {
        let log = GroupLogRecord {
            first_epoch: 1,
            epoch: 2,
            access_key: [3; 32],
            epoch_entries: 4,
            highest_sequence: 5,
            entries: 6,
            bytes: 7,
            created: 8,
            changed: 9,
            expires: 10,
        };
        assert_eq!(GroupLogRecord::decode(&log.encode()), Ok(log));
        let epoch = GroupEpochRecord { access_key: [1; 32], entries: 2, closing_sequence: 3 };
        assert_eq!(GroupEpochRecord::decode(&epoch.encode()), Ok(epoch));
        let entry = GroupEntryRecord {
            segment: 1,
            offset: 2,
            length: 3,
            checksum: 4,
            large: true,
            received: 5,
            expires: 6,
            entry_id: [7; 16],
            digest: [8; 32],
            closes_epoch: true,
        };
        assert_eq!(GroupEntryRecord::decode(&entry.encode()), Ok(entry));
        let id = GroupEntryIdRecord { epoch: 1, sequence: 2 };
        assert_eq!(GroupEntryIdRecord::decode(&id.encode()), Ok(id));
        let packages = KeyPackagesRecord { sequence: 1, digest: [2; 32] };
        assert_eq!(KeyPackagesRecord::decode(&packages.encode()), Ok(packages));

        let backwards = GroupLogRecord { epoch: 0, ..log };
        assert_eq!(GroupLogRecord::decode(&backwards.encode()), Err(WireError::Bounds("epoch")));
        let huge = GroupEntryRecord { length: u32::MAX, ..entry };
        assert_eq!(GroupEntryRecord::decode(&huge.encode()), Err(WireError::Bounds("length")));
        assert_eq!(GroupEpochRecord::decode(&[]), Err(WireError::Bounds("access_key")));
        assert_eq!(KeyPackagesRecord::decode(&[]), Err(WireError::Bounds("digest")));
    }
}
