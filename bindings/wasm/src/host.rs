//! What `js/host.js` does for this crate.

use std::time::Duration;

use js_sys::{Array, Reflect, Uint8Array};
use medipeps_client::store::{RecordClass, SEALED_NAME_LENGTH, SealedKey, SealedRecord, StoreError, StoreHead};
use medipeps_core::crypto::secret::Secret;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::copies::CopiesInDatabase;
use crate::store::Change;

#[wasm_bindgen(module = "/js/host.js")]
extern "C" {
    /// An account's database.
    #[derive(Debug, Clone)]
    pub(crate) type Database;

    #[wasm_bindgen(static_method_of = Database, js_name = open, catch)]
    async fn open_database(name: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = platformKey, catch)]
    async fn read_platform_key(this: &Database) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = load, catch)]
    async fn load_all(this: &Database) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = commit, catch)]
    async fn commit_change(
        this: &Database,
        expected: f64,
        head: &JsValue,
        deletes: &Array,
        keys: &Array,
        values: &Array,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = transport, catch)]
    async fn read_transport(this: &Database) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = keepTransport, catch)]
    async fn write_transport(this: &Database, name: &str, since: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn copies(this: &Database) -> CopiesInDatabase;

    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Database);

    /// Tells the page that something happened that must not.
    pub(crate) fn defect(place: &str);

    fn monotonic() -> f64;

    fn wall() -> f64;

    #[wasm_bindgen(catch)]
    async fn sleep(milliseconds: f64) -> Result<JsValue, JsValue>;
}

impl Database {
    /// Opens an account's database; `None` if another page has it.
    pub(crate) async fn open(name: &str) -> Result<Option<Self>, StoreError> {
        let opened = Self::open_database(name).await.map_err(|error| refused(&error))?;
        Ok((!opened.is_undefined()).then(|| opened.unchecked_into()))
    }

    /// What locks the store.
    pub(crate) async fn platform_key(&self) -> Result<Secret<32>, StoreError> {
        let key = self.read_platform_key().await.map_err(|error| medium(&error))?;
        let bytes = Zeroizing::new(bytes(&key)?);
        Secret::from_slice(&bytes).ok_or(StoreError::Header("the platform's key"))
    }

    /// All that is kept.
    pub(crate) async fn load(&self) -> Result<(StoreHead, Vec<SealedRecord>), StoreError> {
        let all = self.load_all().await.map_err(|error| medium(&error))?;
        let field = |name: &str| Reflect::get(&all, &name.into()).map_err(|error| medium(&error));
        let generation = field("generation")?.as_f64().ok_or(StoreError::Header("the generation"))?;
        let optional = |value: JsValue| (!value.is_undefined()).then(|| bytes(&value)).transpose();
        let generation_tag = match optional(field("tag")?)? {
            Some(tag) => tag.try_into().map_err(|_| StoreError::Header("the generation's tag"))?,
            None => [0; 32],
        };
        let head = StoreHead { generation: whole(generation), generation_tag, header: optional(field("header")?)? };
        let (keys, values) = (Array::from(&field("keys")?), Array::from(&field("values")?));
        let mut records = Vec::new();
        for (key, value) in keys.iter().zip(values.iter()) {
            records.push(SealedRecord { key: sealed_key(&bytes(&key)?)?, sealed: bytes(&value)? });
        }
        Ok((head, records))
    }

    /// Which transport was taken last, by name, and since when it is, in milliseconds since 1970. `None` if that is not known.
    pub(crate) async fn transport(&self) -> Option<(String, u64)> {
        let kept = self.read_transport().await.ok()?;
        let field = |name: &str| Reflect::get(&kept, &name.into()).ok();
        Some((field("name")?.as_string()?, whole(field("since")?.as_f64()?)))
    }

    /// Keeps that. Where it cannot be kept, it is not.
    pub(crate) async fn keep_transport(&self, name: &str, since: u64) {
        let _ = self.write_transport(name, number(since).as_f64().unwrap_or_default()).await;
    }

    /// Keeps a change whole or not at all.
    pub(crate) async fn commit(&self, change: &Change) -> Result<(), StoreError> {
        let head = js_sys::Object::new();
        let set =
            |name: &str, value: JsValue| Reflect::set(&head, &name.into(), &value).map_err(|error| medium(&error));
        set("generation", number(change.head.generation))?;
        set("tag", Uint8Array::from(&change.head.generation_tag[..]).into())?;
        set(
            "header",
            change.head.header.as_deref().map_or(JsValue::UNDEFINED, |header| Uint8Array::from(header).into()),
        )?;
        let deletes: Array = change.deletes.iter().map(key_bytes).collect();
        let keys: Array = change.puts.iter().map(|record| key_bytes(&record.key)).collect();
        let values: Array = change.puts.iter().map(|record| Uint8Array::from(&record.sealed[..])).collect();
        let expected = number(change.expected).as_f64().unwrap_or_default();
        self.commit_change(expected, &head, &deletes, &keys, &values).await.map_err(|error| medium(&error))?;
        Ok(())
    }
}

/// How long the clock has run that never goes back.
pub(crate) fn elapsed() -> Duration {
    Duration::from_secs_f64((monotonic() / 1000.0).max(0.0))
}

/// Milliseconds since 1970.
pub(crate) fn since_1970() -> u64 {
    whole(wall())
}

/// Waits for so long.
pub(crate) async fn sleep_for(time: Duration) {
    // A timer of a Worker does not fail.
    let _ = sleep(milliseconds(time)).await;
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Whether the browser gives no more room.
pub(crate) fn is_full(error: &JsValue) -> bool {
    Reflect::get(error, &"name".into()).is_ok_and(|name| name == "QuotaExceededError")
}

/// What JavaScript says is wrong.
pub(crate) fn text(error: &JsValue) -> String {
    let message = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    // An error of the database is none of the language's.
    let message = message.or_else(|| Reflect::get(error, &"message".into()).ok()?.as_string());
    message.or_else(|| error.as_string()).unwrap_or_else(|| "the browser does not say why".to_owned())
}

/// Why a database was not opened: a later version of this package has made it, perhaps.
fn refused(error: &JsValue) -> StoreError {
    let number = |name: &str| Reflect::get(error, &name.into()).ok()?.as_f64();
    let format = |name| number(name).and_then(|number| u32::try_from(whole(number)).ok());
    match format("found").zip(format("known")) {
        Some((found, known)) => StoreError::Format { found, known },
        None => medium(error),
    }
}

fn medium(error: &JsValue) -> StoreError {
    match is_full(error) {
        true => StoreError::Full,
        false => StoreError::Medium(text(error)),
    }
}

fn bytes(value: &JsValue) -> Result<Vec<u8>, StoreError> {
    let array = value.dyn_ref::<Uint8Array>().ok_or(StoreError::Header("something is no bytes"))?;
    Ok(array.to_vec())
}

/// The class's byte and the sealed name.
fn key_bytes(key: &SealedKey) -> Uint8Array {
    let mut bytes = vec![key.class.byte()];
    bytes.extend_from_slice(&key.name);
    Uint8Array::from(&bytes[..])
}

fn sealed_key(bytes: &[u8]) -> Result<SealedKey, StoreError> {
    let damaged = StoreError::Header("the key of a record");
    let Some((class, name)) = bytes.split_first() else { return Err(damaged) };
    let name = <[u8; SEALED_NAME_LENGTH]>::try_from(name).map_err(|_| damaged)?;
    Ok(SealedKey { class: RecordClass::from_byte(*class), name })
}

/// Generations, times and lengths are far below 2^53.
pub(crate) fn number(number: u64) -> JsValue {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    JsValue::from_f64(number as f64)
}

pub(crate) fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and far below 2^53")]
    let whole = number.max(0.0) as u64;
    whole
}
