//! `spec/proto/backup.proto`. Encodings only; [`crate::backup`] seals them.

use prost::Message;
use zeroize::Zeroizing;

use super::client_store::{PassphraseLock, passphrase_lock};
use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::secret::Secret;

/// The format that this version writes and reads.
pub const BACKUP_VERSION: u32 = 1;

/// What stands in the clear at the beginning of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupHeader {
    /// How the passphrase or the recovery code is stretched.
    pub lock: PassphraseLock,
    /// Random, of this file only.
    pub salt: [u8; 32],
    /// A generated code opens it, not a passphrase.
    pub recovery_code: bool,
    /// Milliseconds since 1970.
    pub created: u64,
}

/// One of the things that a backup has, in order.
#[derive(Clone, PartialEq, Eq)]
pub enum BackupRecord {
    /// The first: whose it is.
    Account(Box<BackupAccount>),
    /// A record of the store.
    Entry(BackupEntry),
    /// A piece of a sealed copy.
    Copy(BackupCopy),
    /// The last.
    End(BackupEnd),
}

/// Whose backup it is. What makes up the device that wrote it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupAccount {
    /// Its address.
    pub address: Address,
    /// Its display name.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// SHA-256 by which the server's key is known.
    pub server_key_hash: [u8; 32],
    /// Ed25519, where the device was a primary one.
    pub account_key: Option<Secret<32>>,
    /// An encoded `SignedStatement`, the newest that the device knew.
    pub statement: Vec<u8>,
}

/// A record of the store.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupEntry {
    /// The byte of its class.
    pub class: u8,
    /// Its name.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Zeroizing<Vec<u8>>,
}

/// A piece of a sealed copy, which is ciphertext by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupCopy {
    /// Its name: a blob's or a message's id.
    pub name: Vec<u8>,
    /// Where the piece begins.
    pub offset: u64,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Nothing of this copy comes after it.
    pub last: bool,
}

/// What there must have been before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupEnd {
    /// Records of the store.
    pub entries: u64,
    /// Whole sealed copies.
    pub copies: u64,
}

impl BackupHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let PassphraseLock { salt, memory_kib, passes, lanes } = &self.lock;
        let (memory_kib, passes, lanes) = (*memory_kib, *passes, *lanes);
        proto::BackupHeader {
            version: BACKUP_VERSION,
            lock: Some(proto::PassphraseLock { salt: salt.to_vec(), memory_kib, passes, lanes }),
            salt: self.salt.to_vec(),
            recovery_code: self.recovery_code,
            created: self.created,
        }
        .encode_to_vec()
    }

    /// The format of a header, whatever the rest of it is like.
    ///
    /// # Errors
    /// [`WireError::Protobuf`]
    pub fn version(bytes: &[u8]) -> Result<u32, WireError> {
        Ok(proto::BackupHeader::decode(bytes)?.version)
    }

    /// Reads a header; what would exhaust the machine is refused.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let header = proto::BackupHeader::decode(bytes)?;
        if header.version != BACKUP_VERSION {
            return Err(WireError::Bounds("version"));
        }
        Ok(Self {
            lock: passphrase_lock(&header.lock.ok_or(WireError::Missing("lock"))?)?,
            salt: fixed(&header.salt, "salt")?,
            recovery_code: header.recovery_code,
            created: header.created,
        })
    }
}

impl BackupRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        use proto::backup_record::Record;
        let record = match self {
            Self::Account(account) => Record::Account(proto::BackupAccount {
                address: account.address.to_string(),
                name: account.name.clone(),
                server: account.server.clone(),
                server_key_hash: account.server_key_hash.to_vec(),
                account_key: account.account_key.as_ref().map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
                statement: account.statement.clone(),
            }),
            Self::Entry(entry) => Record::Entry(proto::BackupEntry {
                class: u32::from(entry.class),
                name: entry.name.clone(),
                value: entry.value.to_vec(),
            }),
            Self::Copy(copy) => Record::Copy(proto::BackupCopy {
                name: copy.name.clone(),
                offset: copy.offset,
                data: copy.data.clone(),
                last: copy.last,
            }),
            Self::End(end) => Record::End(proto::BackupEnd { entries: end.entries, copies: end.copies }),
        };
        let record = proto::BackupRecord { record: Some(record) };
        let encoded = Zeroizing::new(record.encode_to_vec());
        match record.record {
            Some(Record::Account(account)) => drop(Zeroizing::new(account.account_key)),
            Some(Record::Entry(entry)) => drop(Zeroizing::new(entry.value)),
            _ => {}
        }
        encoded
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::backup_record::Record;
        Ok(match proto::BackupRecord::decode(bytes)?.record.ok_or(WireError::Missing("record"))? {
            Record::Account(account) => {
                let account_key = Zeroizing::new(account.account_key);
                Self::Account(Box::new(BackupAccount {
                    address: Address::from_canonical(&account.address).map_err(|_| WireError::Bounds("address"))?,
                    name: account.name,
                    server: account.server,
                    server_key_hash: fixed(&account.server_key_hash, "server_key_hash")?,
                    account_key: match account_key.len() {
                        0 => None,
                        _ => Some(Secret::from_slice(&account_key).ok_or(WireError::Bounds("account_key"))?),
                    },
                    statement: account.statement,
                }))
            }
            Record::Entry(entry) => Self::Entry(BackupEntry {
                class: u8::try_from(entry.class).map_err(|_| WireError::Bounds("class"))?,
                name: entry.name,
                value: Zeroizing::new(entry.value),
            }),
            Record::Copy(copy) => {
                if !matches!(copy.name.len(), 16 | 32) {
                    return Err(WireError::Bounds("copy.name"));
                }
                Self::Copy(BackupCopy { name: copy.name, offset: copy.offset, data: copy.data, last: copy.last })
            }
            Record::End(end) => Self::End(BackupEnd { entries: end.entries, copies: end.copies }),
        })
    }
}

impl std::fmt::Debug for BackupRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Account(_) => "Account(..)",
            Self::Entry(_) => "Entry(..)",
            Self::Copy(_) => "Copy(..)",
            Self::End(_) => "End(..)",
        })
    }
}

impl std::fmt::Debug for BackupEntry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "BackupEntry({}, ..)", self.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let account = |account_key| {
            BackupRecord::Account(Box::new(BackupAccount {
                address: "claire@clinic.example".parse().unwrap(),
                name: "Claire Martin".into(),
                server: "127.0.0.1:4433".into(),
                server_key_hash: [1; 32],
                account_key,
                statement: vec![5],
            }))
        };
        let records = [
            account(None),
            account(Some(Secret::from([2; 32]))),
            BackupRecord::Entry(BackupEntry { class: 4, name: vec![1], value: vec![2, 3].into() }),
            BackupRecord::Copy(BackupCopy { name: vec![1; 16], offset: 7, data: vec![8], last: true }),
            BackupRecord::End(BackupEnd { entries: 3, copies: 1 }),
        ];
        for record in records {
            assert_eq!(BackupRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(BackupRecord::decode(&[]), Err(WireError::Missing("record")));
        let short = BackupRecord::Copy(BackupCopy { name: vec![1; 15], offset: 0, data: vec![], last: true });
        assert_eq!(BackupRecord::decode(&short.encode()), Err(WireError::Bounds("copy.name")));
    }
}
