//! What one's own devices have still to tell each other.

use prost::Message;

use crate::kind::DeviceSync;
use crate::wire::content::{device_sync, device_sync_of};
use crate::wire::{WireError, proto};

/// A batch that grows until it is sent, or until the messages that it speaks of have come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncPendingRecord {
    /// When its first entry was noted, in milliseconds since 1970; 0: it is due at once.
    pub since: u64,
    /// The entries.
    pub batch: DeviceSync,
}

/// Which other devices have been told of all contacts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownDevicesRecord {
    /// Ascending.
    pub device_ids: Vec<u32>,
}

impl SyncPendingRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientSyncPending { since: self.since, batch: Some(device_sync(&self.batch)) }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientSyncPending::decode(bytes)?;
        Ok(Self { since: record.since, batch: device_sync_of(record.batch.unwrap_or_default())? })
    }
}

impl KnownDevicesRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientKnownDevices { device_ids: self.device_ids.clone() }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self { device_ids: proto::ClientKnownDevices::decode(bytes)?.device_ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::DeviceName;

    #[test]
    fn the_records_come_back_as_they_were() {
        let names = vec![DeviceName { device_id: 7, name: "Workstation".into(), at: 8 }];
        let pending = SyncPendingRecord { since: 5, batch: DeviceSync { names, ..DeviceSync::default() } };
        assert_eq!(SyncPendingRecord::decode(&pending.encode()), Ok(pending));
        let known = KnownDevicesRecord { device_ids: vec![1, u32::MAX] };
        assert_eq!(KnownDevicesRecord::decode(&known.encode()), Ok(known));
    }
}
