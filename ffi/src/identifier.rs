//! What names accounts, messages and groups, as text: bytes have no equality in Kotlin.

use data_encoding::HEXLOWER_PERMISSIVE;
use medipeps_client::engine::{GroupId, LocalId};
use medipeps_client::shell::address::ServerAddress;
use medipeps_core::Address;

use crate::MedipepsError;

/// `local@domain`.
pub type AccountAddress = String;
/// 32 hexadecimal digits: a message in this store.
pub type MessageIdentifier = String;
/// 64 hexadecimal digits.
pub type GroupIdentifier = String;

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

pub(crate) fn message_id(text: &str) -> Result<LocalId, MedipepsError> {
    bytes(text).ok_or_else(|| MedipepsError::argument("message_id", "it has 32 hexadecimal digits"))
}

pub(crate) fn group_id(text: &str) -> Result<GroupId, MedipepsError> {
    bytes(text).ok_or_else(|| MedipepsError::argument("group_id", "it has 64 hexadecimal digits"))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}
