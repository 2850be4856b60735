//! MLS: the working group's vectors for suite 3, on our cipher suite provider.
//!
//! `crypto-basics`, `key-schedule` and `secret-tree` try the provider's functions through RFC 9420's formulas;
//! `passive-client-welcome` and `passive-client-handling-commit` try the library on the provider from end to end;
//! `messages` tries its decoders. The other files are about what the library does by itself, whatever it computes with.

use mls_rs::identity::basic::BasicIdentityProvider;
use mls_rs::mls_rs_codec::{self, MlsEncode};
use mls_rs::psk::ExternalPskId;
use mls_rs::storage_provider::{KeyPackageData, in_memory::InMemoryKeyPackageStorage};
use mls_rs::{Client, KeyPackageStorage, MlsMessage, group::ExportedTree};
use mls_rs_core::crypto::{CipherSuiteProvider, CryptoProvider, HpkeCiphertext};

use medipeps_core::group::provider::{CLASSICAL, Provider, Suite};
use serde_json::Value;

use super::{bytes, vectors};

fn suite() -> Suite {
    Provider::default().cipher_suite_provider(CLASSICAL).unwrap()
}

/// The cases of suite 3.
fn cases(name: &str) -> Vec<Value> {
    let all = vectors(&format!("mls/{name}.json"));
    let ours: Vec<_> = all.as_array().unwrap().iter().filter(|case| case["cipher_suite"] == 3).cloned().collect();
    assert!(!ours.is_empty(), "{name} has cases of suite 3");
    ours
}

/// `opaque x<V>` of the presentation language.
fn opaque(content: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    mls_rs_codec::byte_vec::mls_encode(&content, &mut encoded).unwrap();
    encoded
}

/// RFC 9420 section 8, `ExpandWithLabel`.
fn expand_with_label(secret: &[u8], label: &str, context: &[u8], length: u16) -> Vec<u8> {
    let label = format!("MLS 1.0 {label}");
    let info = [&length.to_be_bytes(), opaque(label.as_bytes()).as_slice(), &opaque(context)].concat();
    suite().kdf_expand(secret, &info, usize::from(length)).unwrap().to_vec()
}

fn derive_secret(secret: &[u8], label: &str) -> Vec<u8> {
    expand_with_label(secret, label, &[], 32)
}

fn derive_tree_secret(secret: &[u8], label: &str, generation: u32, length: u16) -> Vec<u8> {
    expand_with_label(secret, label, &generation.to_be_bytes(), length)
}

fn number(value: &Value) -> u16 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn label(value: &Value) -> &str {
    value["label"].as_str().unwrap()
}

#[test]
fn crypto_basics_are_as_published() {
    for case in cases("crypto-basics") {
        let v = &case["expand_with_label"];
        let expanded = expand_with_label(&bytes(&v["secret"]), label(v), &bytes(&v["context"]), number(&v["length"]));
        assert_eq!(expanded, bytes(&v["out"]));
        let v = &case["derive_secret"];
        assert_eq!(derive_secret(&bytes(&v["secret"]), label(v)), bytes(&v["out"]));
        let v = &case["derive_tree_secret"];
        let generation = v["generation"].as_u64().unwrap().try_into().unwrap();
        let derived = derive_tree_secret(&bytes(&v["secret"]), label(v), generation, number(&v["length"]));
        assert_eq!(derived, bytes(&v["out"]));
        let v = &case["ref_hash"];
        let input = [opaque(label(v).as_bytes()), opaque(&bytes(&v["value"]))].concat();
        assert_eq!(suite().hash(&input).unwrap(), bytes(&v["out"]));

        // RFC 9420 section 5.1.2.
        let v = &case["sign_with_label"];
        let signed = [opaque(format!("MLS 1.0 {}", label(v)).as_bytes()), opaque(&bytes(&v["content"]))].concat();
        let (private, public) = (bytes(&v["priv"]), bytes(&v["pub"]));
        assert!(suite().verify(&public.clone().into(), &bytes(&v["signature"]), &signed).is_ok());
        assert_eq!(suite().sign(&private.clone().into(), &signed).unwrap(), bytes(&v["signature"]));
        assert_eq!(suite().signature_key_derive_public(&private.into()).unwrap(), public.clone().into());
        assert!(suite().verify(&public.into(), &bytes(&v["signature"]), &signed[1..]).is_err());

        // RFC 9420 section 5.1.3.
        let v = &case["encrypt_with_label"];
        let context = [opaque(format!("MLS 1.0 {}", label(v)).as_bytes()), opaque(&bytes(&v["context"]))].concat();
        let sealed = HpkeCiphertext { kem_output: bytes(&v["kem_output"]), ciphertext: bytes(&v["ciphertext"]) };
        let (private, public) = (bytes(&v["priv"]).into(), bytes(&v["pub"]).into());
        let opened = suite().hpke_open(&sealed, &private, &public, &context, None).unwrap();
        assert_eq!(opened.to_vec(), bytes(&v["plaintext"]));
        assert!(suite().hpke_open(&sealed, &private, &public, &context[1..], None).is_err());
    }
}

/// RFC 9420 section 8, figure 22.
#[test]
fn the_key_schedule_is_as_published() {
    for case in cases("key-schedule") {
        let mut init_secret = bytes(&case["initial_init_secret"]);
        for (number, epoch) in case["epochs"].as_array().unwrap().iter().enumerate() {
            let context = bytes(&epoch["group_context"]);
            // version, suite, group id, epoch, tree hash, confirmed transcript hash, no extensions.
            let expected = [
                &[0, 1, 0, 3][..],
                &opaque(&bytes(&case["group_id"])),
                &(number as u64).to_be_bytes(),
                &opaque(&bytes(&epoch["tree_hash"])),
                &opaque(&bytes(&epoch["confirmed_transcript_hash"])),
                &[0],
            ];
            assert_eq!(context, expected.concat());
            let pre_joiner = suite().kdf_extract(&init_secret, &bytes(&epoch["commit_secret"])).unwrap();
            let joiner = expand_with_label(&pre_joiner, "joiner", &context, 32);
            assert_eq!(joiner, bytes(&epoch["joiner_secret"]));
            let member = suite().kdf_extract(&joiner, &bytes(&epoch["psk_secret"])).unwrap();
            assert_eq!(derive_secret(&member, "welcome"), bytes(&epoch["welcome_secret"]));
            let epoch_secret = expand_with_label(&member, "epoch", &context, 32);
            for (label, name) in [
                ("init", "init_secret"),
                ("sender data", "sender_data_secret"),
                ("encryption", "encryption_secret"),
                ("exporter", "exporter_secret"),
                ("external", "external_secret"),
                ("confirm", "confirmation_key"),
                ("membership", "membership_key"),
                ("resumption", "resumption_psk"),
                ("authentication", "epoch_authenticator"),
            ] {
                assert_eq!(derive_secret(&epoch_secret, label), bytes(&epoch[name]), "{name}");
            }
            let (_, external) = suite().kem_derive(&bytes(&epoch["external_secret"])).unwrap();
            assert_eq!(external.to_vec(), bytes(&epoch["external_pub"]));
            let exporter = &epoch["exporter"];
            let derived = derive_secret(&bytes(&epoch["exporter_secret"]), exporter["label"].as_str().unwrap());
            let hashed = suite().hash(&bytes(&exporter["context"])).unwrap();
            let exported = expand_with_label(&derived, "exported", &hashed, self::number(&exporter["length"]));
            assert_eq!(exported, bytes(&exporter["secret"]));
            init_secret = bytes(&epoch["init_secret"]);
        }
    }
}

/// RFC 9420 section 9.
#[test]
fn the_secret_tree_is_as_published() {
    for case in cases("secret-tree") {
        let v = &case["sender_data"];
        let (secret, ciphertext) = (bytes(&v["sender_data_secret"]), bytes(&v["ciphertext"]));
        let sample = &ciphertext[..ciphertext.len().min(32)];
        assert_eq!(expand_with_label(&secret, "key", sample, 32), bytes(&v["key"]));
        assert_eq!(expand_with_label(&secret, "nonce", sample, 12), bytes(&v["nonce"]));
        let leaves = case["leaves"].as_array().unwrap();
        assert!(leaves.len().is_power_of_two());
        for (leaf, generations) in leaves.iter().enumerate() {
            let mut secret = bytes(&case["encryption_secret"]);
            for level in (0..leaves.len().ilog2()).rev() {
                let side: &[u8] = if leaf >> level & 1 == 0 { b"left" } else { b"right" };
                secret = expand_with_label(&secret, "tree", side, 32);
            }
            let mut ratchets = ["handshake", "application"].map(|name| expand_with_label(&secret, name, &[], 32));
            let mut at = 0;
            for v in generations.as_array().unwrap() {
                let generation: u32 = v["generation"].as_u64().unwrap().try_into().unwrap();
                for (ratchet, name) in ratchets.iter_mut().zip(["handshake", "application"]) {
                    for passed in at..generation {
                        *ratchet = derive_tree_secret(ratchet, "secret", passed, 32);
                    }
                    let key = derive_tree_secret(ratchet, "key", generation, 32);
                    assert_eq!(key, bytes(&v[format!("{name}_key")]), "leaf {leaf}, generation {generation}");
                    let nonce = derive_tree_secret(ratchet, "nonce", generation, 12);
                    assert_eq!(nonce, bytes(&v[format!("{name}_nonce")]), "leaf {leaf}, generation {generation}");
                }
                at = generation;
            }
        }
    }
}

#[test]
fn a_passive_client_follows_what_is_published() {
    for name in ["passive-client-welcome", "passive-client-handling-commit"] {
        for case in cases(name) {
            follow(&case);
        }
    }
}

fn follow(case: &Value) {
    let message = MlsMessage::from_bytes(&bytes(&case["key_package"])).unwrap();
    let reference = message.key_package_reference(&suite()).unwrap().unwrap();
    let package = message.into_key_package().unwrap();
    let mut packages = InMemoryKeyPackageStorage::default();
    let expires = package.expiration().unwrap().seconds_since_epoch();
    let (init, leaf) = (bytes(&case["init_priv"]).into(), bytes(&case["encryption_priv"]).into());
    let data = KeyPackageData::new(package.mls_encode_to_vec().unwrap(), init, leaf, expires);
    KeyPackageStorage::insert(&mut packages, reference.to_vec(), data).unwrap();
    let signer = bytes(&case["signature_priv"]).into();
    let mut builder = Client::builder()
        .key_package_repo(packages)
        .crypto_provider(Provider::default())
        .identity_provider(BasicIdentityProvider::new())
        .signing_identity(package.signing_identity().clone(), signer, CLASSICAL);
    for psk in case["external_psks"].as_array().unwrap() {
        builder = builder.psk(ExternalPskId::new(bytes(&psk["psk_id"])), bytes(&psk["psk"]).into());
    }
    let tree = case["ratchet_tree"].as_str().map(|_| ExportedTree::from_bytes(&bytes(&case["ratchet_tree"])).unwrap());
    let welcome = MlsMessage::from_bytes(&bytes(&case["welcome"])).unwrap();
    let (mut group, _) = builder.build().join_group(tree, &welcome, None).unwrap();
    assert_eq!(group.epoch_authenticator().unwrap().to_vec(), bytes(&case["initial_epoch_authenticator"]));
    for epoch in case["epochs"].as_array().unwrap() {
        let commit = [&epoch["commit"]];
        for message in epoch["proposals"].as_array().unwrap().iter().chain(commit) {
            group.process_incoming_message(MlsMessage::from_bytes(&bytes(message)).unwrap()).unwrap();
        }
        assert_eq!(group.epoch_authenticator().unwrap().to_vec(), bytes(&epoch["epoch_authenticator"]));
    }
}

#[test]
fn published_messages_are_read_and_written_as_they_are() {
    let all = vectors("mls/messages.json");
    for case in all.as_array().unwrap() {
        for name in [
            "mls_welcome",
            "mls_group_info",
            "mls_key_package",
            "public_message_application",
            "public_message_proposal",
            "public_message_commit",
            "private_message",
        ] {
            let encoded = bytes(&case[name]);
            // The library refuses an application message in the clear, as RFC 9420 section 6 asks, when it is read.
            match MlsMessage::from_bytes(&encoded) {
                Ok(message) => assert_eq!(message.to_bytes().unwrap(), encoded, "{name}"),
                Err(error) => assert_eq!(name, "public_message_application", "{error:?}"),
            }
            assert!(MlsMessage::from_bytes(&encoded[..encoded.len() - 1]).is_err());
        }
        let tree = bytes(&case["ratchet_tree"]);
        assert_eq!(ExportedTree::from_bytes(&tree).unwrap().to_bytes().unwrap(), tree);
    }
}
