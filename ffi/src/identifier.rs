//! What names accounts, messages and groups, as text: bytes have no equality in Kotlin.

use data_encoding::HEXLOWER_PERMISSIVE;
use medipeps_client::engine::{GroupId, LocalId};
use medipeps_client::shell::address::ServerAddress;
use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::organisation::OrganisationId;

use crate::MedipepsError;

/// `local@domain`.
pub type AccountAddress = String;
/// 32 hexadecimal digits: a message in this store.
pub type MessageIdentifier = String;
/// 64 hexadecimal digits.
pub type GroupIdentifier = String;
/// 64 hexadecimal digits.
pub type OrganisationIdentifier = String;
/// 64 hexadecimal digits: something that an organisation's administrators are to sign.
pub type DraftIdentifier = String;

pub(crate) fn address(text: &str) -> Result<Address, MedipepsError> {
    text.trim().parse().map_err(|error: medipeps_core::address::AddressError| {
        MedipepsError::argument("address", &format!("{text}: {error}"))
    })
}

pub(crate) fn addresses(texts: &[String]) -> Result<Vec<Address>, MedipepsError> {
    texts.iter().map(|text| address(text)).collect()
}

/// `host:port`.
pub(crate) fn server_address(text: &str) -> Result<ServerAddress, MedipepsError> {
    text.trim().parse().map_err(|error: medipeps_client::shell::address::ServerAddressError| {
        MedipepsError::argument("server", &format!("{text}: {error}"))
    })
}

/// The hash of a server's key.
pub(crate) fn server_key(text: &str) -> Result<[u8; 32], MedipepsError> {
    bytes(text.trim()).ok_or_else(|| MedipepsError::argument("server_key", "it has 64 hexadecimal digits"))
}

pub(crate) fn message_id(text: &str) -> Result<LocalId, MedipepsError> {
    bytes(text).ok_or_else(|| MedipepsError::argument("message_id", "it has 32 hexadecimal digits"))
}

pub(crate) fn group_id(text: &str) -> Result<GroupId, MedipepsError> {
    bytes(text).ok_or_else(|| MedipepsError::argument("group_id", "it has 64 hexadecimal digits"))
}

pub(crate) fn organisation_id(text: &str) -> Result<OrganisationId, MedipepsError> {
    let id = bytes(text).map(OrganisationId);
    id.ok_or_else(|| MedipepsError::argument("organisation_id", "it has 64 hexadecimal digits"))
}

pub(crate) fn draft_id(text: &str) -> Result<[u8; 32], MedipepsError> {
    bytes(text).ok_or_else(|| MedipepsError::argument("draft_id", "it has 64 hexadecimal digits"))
}

/// An administrator's public key.
pub(crate) fn administrator_key(text: &str) -> Result<VerifyingKey, MedipepsError> {
    let key = bytes::<32>(text.trim()).and_then(|bytes| VerifyingKey::from_slice(&bytes).ok());
    key.ok_or_else(|| MedipepsError::argument("administrator_key", "it has 64 hexadecimal digits, and is a key"))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}
