//! Other accounts: those that are pinned, those that are not confirmed yet, and the servers where they are reached.

use prost::Message;

use super::{address, ids, some_bytes};
use crate::Address;
use crate::crypto::signature::VerifyingKey;
use crate::wire::identity::verifying_key;
use crate::wire::{WireError, fixed, proto};

/// Another account whose key is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRecord {
    /// Its address.
    pub address: Address,
    /// An encoded `SignedStatement`, the newest accepted.
    pub statement: Vec<u8>,
    /// Milliseconds since 1970.
    pub added: u64,
    /// An encoded `SignedStatement` under another account key, not accepted.
    pub changed_statement: Option<Vec<u8>>,
    /// Set when a person has compared the account key.
    pub verified: Option<VerifiedMark>,
    /// When another account key was taken the last time, in milliseconds since 1970; 0: never.
    pub key_changed_at: u64,
}

/// That a person has compared an account key by another way than this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedMark {
    /// The key.
    pub account_key: VerifyingKey,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// A sender of a first flight who is no contact and whose server has not been asked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnconfirmedSenderRecord {
    /// As the first flight has it.
    pub address: Address,
    /// An encoded `SignedStatement`, as the first flight carried it.
    pub statement: Vec<u8>,
    /// Local ids of what came.
    pub messages: Vec<[u8; 16]>,
    /// How often the server was asked in vain.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

/// Where the accounts of a domain are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRecord {
    /// `HOST:PORT`.
    pub endpoint: String,
    /// SHA-256 of the server's key, once it is pinned.
    pub server_key_hash: Option<[u8; 32]>,
    /// DNS said where it is; otherwise a person.
    pub by_dns: bool,
}

impl ContactRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientContact {
            address: self.address.to_string(),
            statement: self.statement.clone(),
            added: self.added,
            changed_statement: self.changed_statement.clone().unwrap_or_default(),
            verified_key: self.verified.map(|mark| mark.account_key.as_bytes().to_vec()).unwrap_or_default(),
            verified_at: self.verified.map_or(0, |mark| mark.at),
            key_changed_at: self.key_changed_at,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientContact::decode(bytes)?;
        let verified = match record.verified_key.as_slice() {
            [] => None,
            key => Some(VerifiedMark { account_key: verifying_key(key, "verified_key")?, at: record.verified_at }),
        };
        Ok(Self {
            address: address(&record.address)?,
            statement: record.statement,
            added: record.added,
            changed_statement: some_bytes(record.changed_statement),
            verified,
            key_changed_at: record.key_changed_at,
        })
    }
}

impl UnconfirmedSenderRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientUnconfirmedSender {
            address: self.address.to_string(),
            statement: self.statement.clone(),
            messages: self.messages.iter().map(|id| id.to_vec()).collect(),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientUnconfirmedSender::decode(bytes)?;
        Ok(Self {
            address: address(&record.address)?,
            statement: record.statement,
            messages: ids(&record.messages, "messages")?,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
        })
    }
}

impl ServerRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientServer {
            endpoint: self.endpoint.clone(),
            server_key_hash: self.server_key_hash.map(|hash| hash.to_vec()).unwrap_or_default(),
            by_dns: self.by_dns,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientServer::decode(bytes)?;
        let hash = some_bytes(record.server_key_hash).map(|hash| fixed(&hash, "server_key_hash"));
        Ok(Self { endpoint: record.endpoint, server_key_hash: hash.transpose()?, by_dns: record.by_dns })
    }
}
