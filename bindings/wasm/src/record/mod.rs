//! What a page is given and gives: plain objects, by serde. Their types are in `js/client.d.ts`.

pub(crate) mod contact;
pub(crate) mod device;
pub(crate) mod event;
pub(crate) mod group;
pub(crate) mod mail;
pub(crate) mod transfer;

use data_encoding::HEXLOWER;
use medipeps_client::engine::{GroupId, LocalId};
use medipeps_core::Address;
use medipeps_core::kind::MessageId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::error::PageError;

/// The account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) device_id: u32,
    pub(crate) primary: bool,
    pub(crate) server: String,
}

/// An account that was made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created<'a> {
    pub(crate) address: &'a str,
    pub(crate) recovery_key: &'a str,
}

/// For JavaScript.
pub(crate) fn given<T: Serialize>(value: &T) -> Result<JsValue, JsValue> {
    serde_wasm_bindgen::to_value(value).map_err(|error| PageError::internal(error.to_string()).into())
}

/// From JavaScript.
pub(crate) fn taken<T: DeserializeOwned>(value: JsValue) -> Result<T, PageError> {
    serde_wasm_bindgen::from_value(value).map_err(|error| PageError::argument(error.to_string()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn address(text: &str) -> Result<Address, PageError> {
    text.trim().parse().map_err(|error| PageError::argument(format!("{text}: {error}")))
}

pub(crate) fn addresses(texts: &[String]) -> Result<Vec<Address>, PageError> {
    texts.iter().map(|text| address(text)).collect()
}

pub(crate) fn local_id(text: &str) -> Result<LocalId, PageError> {
    let id = HEXLOWER.decode(text.as_bytes()).ok().and_then(|id| LocalId::try_from(id).ok());
    id.ok_or_else(|| PageError::argument("an id has 32 hexadecimal digits"))
}

pub(crate) fn message_id(text: &str) -> Result<MessageId, PageError> {
    local_id(text).map(MessageId)
}

pub(crate) fn group_id(text: &str) -> Result<GroupId, PageError> {
    let id = HEXLOWER.decode(text.as_bytes()).ok().and_then(|id| GroupId::try_from(id).ok());
    id.ok_or_else(|| PageError::argument("a group's id has hexadecimal digits, as `groups` gives them"))
}
