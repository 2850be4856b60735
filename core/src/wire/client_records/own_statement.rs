//! The next statement of the store's own account, until the server has it.

use prost::Message;
use zeroize::Zeroizing;

use super::secret;
use crate::crypto::secret::Secret;
use crate::limits::DEVICES_MAX;
use crate::wire::{WireError, proto};

/// A change of the account's devices that the server has not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStatementRecord {
    /// An encoded `SignedStatement`, which leaves as it is.
    pub statement: Vec<u8>,
    /// Encoded `SignedDeviceCertificate`s: what the change lists, to make it again on top of another statement.
    pub added: Vec<Vec<u8>>,
    /// Numbers of the devices that it lists no more.
    pub removed: Vec<u32>,
    /// What this store's device will be then, where it takes another number.
    pub new_device: Option<NewDeviceRecord>,
    /// How often it was made again on top of another statement.
    pub made_again: u32,
    /// Times in a row that the server could not take it.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

/// Number and keys that a device takes once the account's statement lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeviceRecord {
    /// 1 and up.
    pub device_id: u32,
    /// Ed25519.
    pub signing_key: Secret<32>,
    /// X25519.
    pub dh_key: Secret<32>,
}

impl OwnStatementRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let new_device = self.new_device.as_ref().map(|device| proto::ClientNewDevice {
            device_id: device.device_id,
            signing_key: device.signing_key.as_bytes().to_vec(),
            dh_key: device.dh_key.as_bytes().to_vec(),
        });
        let record = proto::ClientOwnStatement {
            statement: self.statement.clone(),
            added: self.added.clone(),
            removed: self.removed.clone(),
            new_device,
            made_again: self.made_again,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        if let Some(device) = record.new_device {
            drop((Zeroizing::new(device.signing_key), Zeroizing::new(device.dh_key)));
        }
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOwnStatement::decode(bytes)?;
        if record.added.len() > DEVICES_MAX || record.removed.len() > DEVICES_MAX {
            return Err(WireError::Bounds("devices"));
        }
        let new_device = record.new_device.map(|device| {
            Ok::<_, WireError>(NewDeviceRecord {
                device_id: device.device_id,
                signing_key: secret(device.signing_key, "signing_key")?,
                dh_key: secret(device.dh_key, "dh_key")?,
            })
        });
        Ok(Self {
            statement: record.statement,
            added: record.added,
            removed: record.removed,
            new_device: new_device.transpose()?,
            made_again: record.made_again,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_as_they_were_stored() {
        let new_device =
            NewDeviceRecord { device_id: 7, signing_key: Secret::from([8; 32]), dh_key: Secret::from([9; 32]) };
        for new_device in [None, Some(new_device)] {
            let record = OwnStatementRecord {
                statement: vec![1],
                added: vec![vec![2], vec![3]],
                removed: vec![4, 5],
                new_device,
                made_again: 1,
                attempts: 2,
                next_attempt: 6,
            };
            assert_eq!(OwnStatementRecord::decode(&record.encode()), Ok(record.clone()));
            let many = OwnStatementRecord { removed: vec![1; DEVICES_MAX + 1], ..record };
            assert_eq!(OwnStatementRecord::decode(&many.encode()), Err(WireError::Bounds("devices")));
        }
    }
}
