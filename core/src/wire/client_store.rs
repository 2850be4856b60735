//! `spec/proto/client_store.proto`: the header of a client's store.

use prost::Message;

use super::{WireError, fixed, proto};

/// The format that this version writes and reads.
pub const CLIENT_STORE_VERSION: u32 = 2;
/// Bytes of a wrapped 32-byte key: nonce (24), ciphertext, tag (16).
pub const WRAPPED_KEY_LENGTH: usize = 24 + 32 + 16;
/// Bytes of the salt of a passphrase.
pub const PASSPHRASE_SALT_LENGTH: usize = 16;
/// KiB of memory that a header may ask Argon2id to use: 1 GiB, so that a damaged header cannot exhaust the machine.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 1 << 20;
/// Passes that a header may ask for: seconds, not hours, at the largest memory.
pub const ARGON2_PASSES_MAX: u32 = 16;
/// Lanes that a header may ask for.
pub const ARGON2_LANES_MAX: u32 = 8;

/// How the master key is locked, its keys and when its state key was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStoreHeader {
    /// What opens the master key.
    pub lock: StoreLock,
    /// The master key, under the lock.
    pub sealed_master_key: [u8; WRAPPED_KEY_LENGTH],
    /// Days since 1970-01-01, UTC, when the state key was drawn.
    pub state_key_day: u64,
    /// The state key, under a key derived from the master key.
    pub sealed_state_key: [u8; WRAPPED_KEY_LENGTH],
}

/// What opens the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLock {
    /// A passphrase, stretched by Argon2id.
    Passphrase(PassphraseLock),
    /// A key out of the platform's keystore.
    Platform,
}

/// Salt and parameters of Argon2id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassphraseLock {
    /// Random, of this lock only.
    pub salt: [u8; PASSPHRASE_SALT_LENGTH],
    /// Memory in KiB, 8 a lane at least.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl ClientStoreHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::client_store_header::Lock;
        proto::ClientStoreHeader {
            version: CLIENT_STORE_VERSION,
            sealed_master_key: self.sealed_master_key.to_vec(),
            state_key_day: self.state_key_day,
            sealed_state_key: self.sealed_state_key.to_vec(),
            lock: Some(match &self.lock {
                StoreLock::Passphrase(lock) => Lock::Passphrase(proto::PassphraseLock {
                    salt: lock.salt.to_vec(),
                    memory_kib: lock.memory_kib,
                    passes: lock.passes,
                    lanes: lock.lanes,
                }),
                StoreLock::Platform => Lock::Platform(proto::PlatformLock {}),
            }),
        }
        .encode_to_vec()
    }

    /// The format of a header, whatever the rest of it is like.
    ///
    /// # Errors
    /// [`WireError::Protobuf`]
    pub fn version(bytes: &[u8]) -> Result<u32, WireError> {
        Ok(proto::ClientStoreHeader::decode(bytes)?.version)
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`WireError`] with the first field that is missing or out of its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::client_store_header::Lock;
        let header = proto::ClientStoreHeader::decode(bytes)?;
        if header.version != CLIENT_STORE_VERSION {
            return Err(WireError::Bounds("version"));
        }
        let lock = match header.lock.ok_or(WireError::Missing("lock"))? {
            Lock::Platform(_) => StoreLock::Platform,
            Lock::Passphrase(lock) => StoreLock::Passphrase(passphrase_lock(&lock)?),
        };
        Ok(Self {
            lock,
            sealed_master_key: fixed(&header.sealed_master_key, "sealed_master_key")?,
            state_key_day: header.state_key_day,
            sealed_state_key: fixed(&header.sealed_state_key, "sealed_state_key")?,
        })
    }
}

pub(super) fn passphrase_lock(lock: &proto::PassphraseLock) -> Result<PassphraseLock, WireError> {
    let within = |value: u32, least: u32, most: u32, field| {
        if (least..=most).contains(&value) { Ok(value) } else { Err(WireError::Bounds(field)) }
    };
    let lanes = within(lock.lanes, 1, ARGON2_LANES_MAX, "lanes")?;
    Ok(PassphraseLock {
        salt: fixed(&lock.salt, "salt")?,
        memory_kib: within(lock.memory_kib, 8 * lanes, ARGON2_MEMORY_KIB_MAX, "memory_kib")?,
        passes: within(lock.passes, 1, ARGON2_PASSES_MAX, "passes")?,
        lanes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ClientStoreHeader {
        ClientStoreHeader {
            lock: StoreLock::Passphrase(PassphraseLock { salt: [1; 16], memory_kib: 65_536, passes: 3, lanes: 1 }),
            sealed_master_key: [2; WRAPPED_KEY_LENGTH],
            state_key_day: 20_000,
            sealed_state_key: [3; WRAPPED_KEY_LENGTH],
        }
    }

    #[test]
    fn headers_come_back() {
        for lock in [header().lock, StoreLock::Platform] {
            let header = ClientStoreHeader { lock, ..header() };
            assert_eq!(ClientStoreHeader::decode(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn parameters_that_would_exhaust_the_machine_are_refused() {
        let decode = |change: fn(&mut PassphraseLock)| {
            let mut lock = PassphraseLock { salt: [1; 16], memory_kib: 65_536, passes: 3, lanes: 1 };
            change(&mut lock);
            ClientStoreHeader::decode(&ClientStoreHeader { lock: StoreLock::Passphrase(lock), ..header() }.encode())
        };
        assert_eq!(decode(|lock| lock.memory_kib = u32::MAX), Err(WireError::Bounds("memory_kib")));
        assert_eq!(decode(|lock| lock.memory_kib = 7), Err(WireError::Bounds("memory_kib")));
        assert_eq!(decode(|lock| lock.passes = 0), Err(WireError::Bounds("passes")));
        assert_eq!(decode(|lock| lock.passes = 17), Err(WireError::Bounds("passes")));
        assert_eq!(decode(|lock| lock.lanes = 0), Err(WireError::Bounds("lanes")));
        assert_eq!(decode(|lock| lock.lanes = 9), Err(WireError::Bounds("lanes")));
    }

    #[test]
    fn a_cut_header_is_refused() {
        let bytes = header().encode();
        for length in 0..bytes.len() {
            assert!(ClientStoreHeader::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
