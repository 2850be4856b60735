//! The account of a store, with its secret keys.

use prost::Message;
use zeroize::Zeroizing;

use super::{address, secret, text};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::wire::{WireError, fixed, proto};

/// The account of this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its address.
    pub address: Address,
    /// Its display name.
    pub name: String,
    /// Its server, `HOST:PORT`.
    pub server: String,
    /// SHA-256 by which the server's key is known.
    pub server_key_hash: [u8; 32],
    /// Ed25519; only a primary device has it.
    pub account_key: Option<Secret<32>>,
    /// Ed25519.
    pub device_signing_key: Secret<32>,
    /// X25519.
    pub device_dh_key: Secret<32>,
    /// 1 and up.
    pub device_id: u32,
    /// An encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// The invitation's secret, until the server has confirmed the account.
    pub invitation: Option<Secret<16>>,
    /// The server has seen a later state of this device than the one that is stored.
    pub rolled_back: bool,
    /// Code with which the server refused the registration.
    pub refused: Option<String>,
    /// Why the device is none of the account any more.
    pub revoked: Option<Revocation>,
    /// The statement is signed by the recovery key, and the server has not confirmed it.
    pub recovering: bool,
}

/// Why a device is none of its account any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The account's statement does not list it.
    DeviceRevoked,
    /// The account has another account key.
    AccountKeyReplaced,
    /// Its owner has deleted the account.
    AccountDeleted,
}

impl Revocation {
    /// The stable code, as JSON has it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::DeviceRevoked => "device_revoked",
            Self::AccountKeyReplaced => "account_key_replaced",
            Self::AccountDeleted => "account_deleted",
        }
    }
}

impl AccountRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let record = proto::ClientAccount {
            address: self.address.to_string(),
            name: self.name.clone(),
            server: self.server.clone(),
            server_key_hash: self.server_key_hash.to_vec(),
            account_key: self.account_key.as_ref().map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
            device_signing_key: self.device_signing_key.as_bytes().to_vec(),
            device_dh_key: self.device_dh_key.as_bytes().to_vec(),
            device_id: self.device_id,
            statement: self.statement.clone(),
            invitation: self.invitation.as_ref().map(|secret| secret.as_bytes().to_vec()).unwrap_or_default(),
            rolled_back: self.rolled_back,
            refused: self.refused.clone().unwrap_or_default(),
            revoked: match self.revoked {
                None => proto::ClientRevocation::Unspecified,
                Some(Revocation::DeviceRevoked) => proto::ClientRevocation::DeviceRevoked,
                Some(Revocation::AccountKeyReplaced) => proto::ClientRevocation::AccountKeyReplaced,
                Some(Revocation::AccountDeleted) => proto::ClientRevocation::AccountDeleted,
            }
            .into(),
            recovering: self.recovering,
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        for secret in [record.account_key, record.device_signing_key, record.device_dh_key, record.invitation] {
            drop(Zeroizing::new(secret));
        }
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientAccount::decode(bytes)?;
        let (invitation, account_key) = (Zeroizing::new(record.invitation), Zeroizing::new(record.account_key));
        Ok(Self {
            address: address(&record.address)?,
            name: record.name,
            server: record.server,
            server_key_hash: fixed(&record.server_key_hash, "server_key_hash")?,
            account_key: match account_key.len() {
                0 => None,
                _ => Some(Secret::from_slice(&account_key).ok_or(WireError::Bounds("account_key"))?),
            },
            device_signing_key: secret(record.device_signing_key, "device_signing_key")?,
            device_dh_key: secret(record.device_dh_key, "device_dh_key")?,
            device_id: record.device_id,
            statement: record.statement,
            invitation: match invitation.len() {
                0 => None,
                _ => Some(Secret::from_slice(&invitation).ok_or(WireError::Bounds("invitation"))?),
            },
            rolled_back: record.rolled_back,
            revoked: match proto::ClientRevocation::try_from(record.revoked) {
                Ok(proto::ClientRevocation::Unspecified) => None,
                Ok(proto::ClientRevocation::DeviceRevoked) => Some(Revocation::DeviceRevoked),
                Ok(proto::ClientRevocation::AccountKeyReplaced) => Some(Revocation::AccountKeyReplaced),
                Ok(proto::ClientRevocation::AccountDeleted) => Some(Revocation::AccountDeleted),
                Err(_) => return Err(WireError::Bounds("revoked")),
            },
            refused: text(record.refused),
            recovering: record.recovering,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(account_key: Option<Secret<32>>, invitation: Option<Secret<16>>) -> AccountRecord {
        AccountRecord {
            address: "claire@clinic.example".parse().unwrap(),
            name: "Claire Martin".into(),
            server: "127.0.0.1:4433".into(),
            server_key_hash: [1; 32],
            account_key,
            device_signing_key: Secret::from([3; 32]),
            device_dh_key: Secret::from([4; 32]),
            device_id: 1,
            statement: vec![5],
            invitation,
            rolled_back: true,
            refused: Some("AddressTaken".into()),
            revoked: None,
            recovering: false,
        }
    }

    #[test]
    fn accounts_come_back_as_they_were_stored() {
        for record in [account(None, None), account(Some(Secret::from([2; 32])), Some(Secret::from([6; 16])))] {
            assert_eq!(AccountRecord::decode(&record.encode()), Ok(record.clone()));
            for revoked in [Revocation::DeviceRevoked, Revocation::AccountKeyReplaced, Revocation::AccountDeleted] {
                let record = AccountRecord { revoked: Some(revoked), recovering: true, ..record.clone() };
                assert_eq!(AccountRecord::decode(&record.encode()), Ok(record));
            }
        }
    }
}
