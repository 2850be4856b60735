//! Sessions, and which of them are used with the devices of an account.

use prost::Message;
use zeroize::Zeroizing;

use super::{address, ids, optional_id};
use crate::Address;
use crate::wire::{WireError, fixed, proto};

/// A session and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The account at the other end.
    pub peer: Address,
    /// Its account key, Ed25519.
    pub peer_account_key: [u8; 32],
    /// Its device.
    pub peer_device: u32,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970; 0 before the first message.
    pub last_received: u64,
    /// An encoded `SessionState`.
    pub state: Zeroizing<Vec<u8>>,
}

/// The sessions with all devices of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerRecord {
    /// Ascending by id.
    pub devices: Vec<PeerDeviceRecord>,
    /// When it was last told that something of it cannot be read, in milliseconds since 1970; 0: never.
    pub asked: u64,
}

/// The sessions with one device (Sesame).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerDeviceRecord {
    /// The device.
    pub device_id: u32,
    /// The session to write with.
    pub active: Option<[u8; 16]>,
    /// Sessions that may still be written to by the other end, newest first.
    pub inactive: Vec<[u8; 16]>,
    /// When the server had no prekeys for it, in milliseconds since 1970; 0: it has, or was not asked.
    pub no_prekeys: u64,
}

impl SessionRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let record = proto::ClientSession {
            peer: self.peer.to_string(),
            peer_account_key: self.peer_account_key.to_vec(),
            peer_device: self.peer_device,
            created: self.created,
            last_received: self.last_received,
            state: self.state.to_vec(),
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        drop(Zeroizing::new(record.state));
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientSession::decode(bytes)?;
        Ok(Self {
            state: Zeroizing::new(record.state),
            peer: address(&record.peer)?,
            peer_account_key: fixed(&record.peer_account_key, "peer_account_key")?,
            peer_device: record.peer_device,
            created: record.created,
            last_received: record.last_received,
        })
    }
}

impl PeerRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let devices = self.devices.iter().map(|device| proto::ClientPeerDevice {
            device_id: device.device_id,
            active: device.active.map(|id| id.to_vec()).unwrap_or_default(),
            inactive: device.inactive.iter().map(|id| id.to_vec()).collect(),
            no_prekeys: device.no_prekeys,
        });
        proto::ClientPeer { devices: devices.collect(), asked: self.asked }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientPeer::decode(bytes)?;
        let device = |device: proto::ClientPeerDevice| {
            Ok::<_, WireError>(PeerDeviceRecord {
                device_id: device.device_id,
                active: optional_id(&device.active, "active")?,
                inactive: ids(&device.inactive, "inactive")?,
                no_prekeys: device.no_prekeys,
            })
        };
        Ok(Self { devices: record.devices.into_iter().map(device).collect::<Result<_, _>>()?, asked: record.asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_back_as_they_were_stored() {
        let record = SessionRecord {
            peer: "a@b".parse().unwrap(),
            peer_account_key: [1; 32],
            peer_device: 2,
            created: 3,
            last_received: 4,
            state: Zeroizing::new(vec![5]),
        };
        assert_eq!(SessionRecord::decode(&record.encode()), Ok(record));
        let device = PeerDeviceRecord { device_id: 1, active: Some([1; 16]), inactive: vec![[2; 16]], no_prekeys: 7 };
        let record = PeerRecord { devices: vec![device], asked: 6 };
        assert_eq!(PeerRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn damaged_peers_are_refused() {
        let device = PeerDeviceRecord { device_id: 1, active: None, inactive: vec![[2; 16]], no_prekeys: 0 };
        let record = PeerRecord { devices: vec![device], asked: 0 };
        let mut bytes = record.encode();
        bytes.pop();
        assert_eq!(PeerRecord::decode(&bytes), Err(WireError::Protobuf));
    }
}
