//! `spec/vectors/client-store.json`: made here, and checked byte for byte.
//!
//! `MEDIPEPS_WRITE_VECTORS=1 cargo test -p medipeps-client vectors` writes it anew after a change of the format.

#![cfg(feature = "native")]

use std::path::Path;

use chacha20::ChaCha20Rng;
use data_encoding::HEXLOWER;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use super::*;
use crate::store::packing::{self, Page};

const PASSPHRASE: &str = "trois petits chats, élan vital";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn store(unlock: &Unlock<'_>, seed: u8) -> (Keyring, Value) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let keyring = Keyring::create(unlock, 20_000, &mut rng).unwrap();
    let records = [(RecordClass::account(1), "claire.martin@clinic.example"), (RecordClass::state(1), "session")];
    let records = records.map(|(class, name)| {
        let value = [class.byte(); 21];
        let record = keyring.seal_record(&RecordKey::new(class, name), &value, &mut rng).unwrap();
        json!({
            "class": class.byte(),
            "name": name,
            "value": hex(value),
            "sealed_name": hex(record.key.name),
            "sealed": hex(&record.sealed),
        })
    });
    let class = RecordClass::packed_state(2);
    let mut page = Page::default();
    for (name, value) in [([1; 16], [2; 64].as_slice()), ([3; 16], &[4; 32])] {
        page.put(&name, value);
    }
    let packed = [[1; 16], [3; 16]].map(|name| {
        let sealed_name = keyring.seal_key(&RecordKey::new(class, name));
        json!({ "name": hex(name), "page": packing::page_of(&sealed_name) })
    });
    let record = keyring.seal_record(&packing::page_key(class, 5), &page.encode(), &mut rng).unwrap();
    let page = json!({
        "class": class.byte(),
        "number": 5,
        "records": [{ "name": hex([1; 16]), "value": hex([2; 64]) }, { "name": hex([3; 16]), "value": hex([4; 32]) }],
        "value": hex(&page.encode()[..]),
        "sealed_name": hex(record.key.name),
        "sealed": hex(&record.sealed),
    });
    let vector = json!({
        "wrapping_key": hex(unlock.wrapping_key(&keyring.header.lock).unwrap().as_bytes()),
        "master_key": hex(keyring.master.as_bytes()),
        "store_key": hex(keyring.store.as_bytes()),
        "name_key": hex(keyring.names.as_bytes()),
        "generation_key": hex(keyring.generations.as_bytes()),
        "state_wrapping_key": hex(keyring.state_wrapping.as_bytes()),
        "state_key": hex(keyring.state.as_bytes()),
        "header": hex(keyring.header()),
        "generation": 7,
        "generation_tag": hex(keyring.generation_tag(7)),
        "anchor_device_id": 8,
        "anchor_name": hex(keyring.anchor_name(8)),
        "records": records,
        "page": page,
        "pages_of_names": packed,
    });
    (keyring, vector)
}

#[test]
fn client_store_vectors() {
    let platform_key = Secret::from([6; 32]);
    let (_, by_passphrase) = store(&Unlock::Passphrase(PASSPHRASE.as_bytes()), 1);
    let (_, by_platform_key) = store(&Unlock::PlatformKey(&platform_key), 2);
    let vectors = json!({
        "about": "spec/storage-client.md: header, keys, generation and records of two stores.",
        "passphrase": PASSPHRASE,
        "platform_key": hex(platform_key.as_bytes()),
        "store_by_passphrase": by_passphrase,
        "store_by_platform_key": by_platform_key,
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/client-store.json");
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if std::env::var_os("MEDIPEPS_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == text, "spec/vectors/client-store.json is not what this code makes");

    // What is kept also opens.
    let kept: Value = serde_json::from_str(&kept).unwrap();
    for (store, unlock) in [
        (&kept["store_by_passphrase"], Unlock::Passphrase(PASSPHRASE.as_bytes())),
        (&kept["store_by_platform_key"], Unlock::PlatformKey(&platform_key)),
    ] {
        let keyring = Keyring::open(&unlock, &unhex(&store["header"])).unwrap();
        keyring.verify_generation(7, &unhex(&store["generation_tag"]).try_into().unwrap()).unwrap();
        for record in store["records"].as_array().unwrap() {
            let class = RecordClass::from_byte(record["class"].as_u64().unwrap() as u8);
            let key = SealedKey { class, name: unhex(&record["sealed_name"]).try_into().unwrap() };
            let (key, value) = keyring.open_record(&SealedRecord { key, sealed: unhex(&record["sealed"]) }).unwrap();
            assert_eq!(key.name, record["name"].as_str().unwrap().as_bytes());
            assert_eq!(value.to_vec(), unhex(&record["value"]));
        }
        let page = &store["page"];
        let class = RecordClass::from_byte(page["class"].as_u64().unwrap() as u8);
        let key = SealedKey { class, name: unhex(&page["sealed_name"]).try_into().unwrap() };
        let (key, value) = keyring.open_record(&SealedRecord { key, sealed: unhex(&page["sealed"]) }).unwrap();
        assert_eq!(key.name, [page["number"].as_u64().unwrap() as u8]);
        let mut records = Vec::new();
        packing::visit(&value, |name, value| records.push((name.to_vec(), value.to_vec()))).unwrap();
        let kept = page["records"].as_array().unwrap().iter();
        assert_eq!(records, kept.map(|one| (unhex(&one["name"]), unhex(&one["value"]))).collect::<Vec<_>>());
    }
}
