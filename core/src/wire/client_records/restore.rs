//! A restore that is not done.

use prost::Message;
use zeroize::Zeroizing;

use super::{address, secret};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::wire::{WireError, fixed, proto};

/// A backup that is being restored in this store, which has no account yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRecord {
    /// Which backup.
    pub backup_salt: [u8; 32],
    /// How far it has come.
    pub phase: RestorePhase,
    /// Whose backup it is.
    pub address: Address,
    /// Display name.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// SHA-256 by which the server's key is known.
    pub server_key_hash: [u8; 32],
    /// An encoded `SignedStatement`, the newest that is known.
    pub statement: Vec<u8>,
}

/// How far a restore has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestorePhase {
    /// Records are being copied. Whoever goes on begins anew.
    Copying,
    /// Everything is copied; the new device is to be listed in the account's statement.
    Listing(Box<RestoringDevice>),
    /// Everything is copied; without the account key the device has to be linked.
    Linking,
}

/// The new device, with the key that lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoringDevice {
    /// Ed25519.
    pub account_key: Secret<32>,
    /// Ed25519.
    pub signing_key: Secret<32>,
    /// X25519.
    pub dh_key: Secret<32>,
    /// 1 and up.
    pub id: u32,
}

impl RestoreRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let device = match &self.phase {
            RestorePhase::Listing(device) => Some(device),
            RestorePhase::Copying | RestorePhase::Linking => None,
        };
        let bytes = |secret: fn(&RestoringDevice) -> &Secret<32>| {
            device.map(|device| secret(device).as_bytes().to_vec()).unwrap_or_default()
        };
        let record = proto::ClientRestore {
            backup_salt: self.backup_salt.to_vec(),
            phase: match self.phase {
                RestorePhase::Copying => 1,
                RestorePhase::Listing(_) => 2,
                RestorePhase::Linking => 3,
            },
            address: self.address.to_string(),
            name: self.name.clone(),
            server: self.server.clone(),
            server_key_hash: self.server_key_hash.to_vec(),
            statement: self.statement.clone(),
            account_key: bytes(|device| &device.account_key),
            device_signing_key: bytes(|device| &device.signing_key),
            device_dh_key: bytes(|device| &device.dh_key),
            device_id: device.map_or(0, |device| device.id),
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        for secret in [record.account_key, record.device_signing_key, record.device_dh_key] {
            drop(Zeroizing::new(secret));
        }
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientRestore::decode(bytes)?;
        let [account_key, signing_key, dh_key] =
            [record.account_key, record.device_signing_key, record.device_dh_key].map(Zeroizing::new);
        let phase = match record.phase {
            1 => RestorePhase::Copying,
            2 if record.device_id != 0 => RestorePhase::Listing(Box::new(RestoringDevice {
                account_key: secret(account_key.to_vec(), "account_key")?,
                signing_key: secret(signing_key.to_vec(), "device_signing_key")?,
                dh_key: secret(dh_key.to_vec(), "device_dh_key")?,
                id: record.device_id,
            })),
            3 => RestorePhase::Linking,
            _ => return Err(WireError::Bounds("phase")),
        };
        Ok(Self {
            backup_salt: fixed(&record.backup_salt, "backup_salt")?,
            phase,
            address: address(&record.address)?,
            name: record.name,
            server: record.server,
            server_key_hash: fixed(&record.server_key_hash, "server_key_hash")?,
            statement: record.statement,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_come_back_in_every_phase() {
        let key = |byte| Secret::from([byte; 32]);
        let device = RestoringDevice { account_key: key(1), signing_key: key(2), dh_key: key(3), id: 4 };
        for phase in [RestorePhase::Copying, RestorePhase::Listing(Box::new(device)), RestorePhase::Linking] {
            let record = RestoreRecord {
                backup_salt: [7; 32],
                phase,
                address: "claire@clinic.example".parse().unwrap(),
                name: "Claire".into(),
                server: "127.0.0.1:4433".into(),
                server_key_hash: [5; 32],
                statement: vec![6],
            };
            assert_eq!(RestoreRecord::decode(&record.encode()), Ok(record));
        }
    }
}
