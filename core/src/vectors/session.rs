//! `session.json`: a session from its first flight on, and a reader who has only the file.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::{check, copy, drawn, hex};
use crate::crypto::dh::DhSecretKey;
use crate::crypto::secret::Secret;
use crate::crypto::signature::SigningKey;
use crate::crypto::x_wing;
use crate::envelope::Envelope;
use crate::identity::DeviceSecretKeys;
use crate::pqxdh::{Agreements, End, associated_data};
use crate::session::{LocalDevice, ResponderPrekeys, Session};
use crate::test_party::Party;
use crate::test_rng::{FixedRng, rng};

/// A handshake and a conversation of five messages: first flight, repeated first flight, answer, DH steps both ways.
#[test]
fn session_vectors() {
    let (mut alice, mut bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    let bundle = bob.bundle(0);

    // What Session::initiate draws, in its order.
    let mut draws = copy(&alice.rng);
    let ephemeral = DhSecretKey::random(&mut draws);
    let kem_randomness = Secret::<32>::random(&mut draws);
    let first_ratchet_secret = Secret::<32>::random(&mut draws);

    let agreements = Agreements::initiator(
        &alice.keys.dh_key,
        &ephemeral,
        &bob.keys.public_keys().dh_key,
        &bundle.signed_prekey.key,
        bundle.one_time_prekey.as_ref().map(|prekey| &prekey.key),
    )
    .unwrap();
    let mut at_alice = alice.initiate(&bob, 0);
    let before = copy(&alice.rng);
    let first = alice.encrypt(&mut at_alice, b"first");
    let first_draws = drawn(&before, &alice.rng);
    let flight = first.open_first_flight(bob.seal_key()).unwrap();
    let kem_secret = bob.prekeys.one_time_kem_prekeys[0].1.decapsulate(&flight.handshake().kem_ciphertext);
    let session_keys = agreements.session_keys(&kem_secret);
    let second_keys = session_keys.spqr;
    let session_keys = session_keys.double_ratchet;
    let associated_data = {
        let [initiator, responder] =
            [&alice.statement, &bob.statement].map(|statement| End { statement, device: &statement.devices()[0] });
        associated_data(initiator, responder, &bundle.kem_prekey.key)
    };

    let mut messages = Vec::new();
    let mut at_bob: Option<Session> = None;
    let mut record =
        |by: &str, content: &[u8], draws: String, envelope: &Envelope, next_ratchet_secret: Option<Secret<32>>| {
            messages.push(json!({
                "by": by,
                "sender_draws": draws,
                "content": hex(content),
                "envelope": hex(envelope.encode()),
                "receiver_draws_ratchet_secret": next_ratchet_secret.map(|secret| hex(secret.as_bytes())),
            }));
        };
    let mut peek = copy(&bob.rng);
    let (session, content) = bob.respond(&flight).unwrap();
    record("alice", &content, first_draws, &first, Some(Secret::random(&mut peek)));
    at_bob.replace(session);
    let at_bob = at_bob.as_mut().unwrap();

    let before = copy(&alice.rng);
    let second = alice.encrypt(&mut at_alice, b"second");
    let draws = drawn(&before, &alice.rng);
    let flight_again = second.open_first_flight(bob.seal_key()).unwrap();
    assert_eq!(at_bob.decrypt_initial(&flight_again, &mut bob.rng).unwrap().as_slice(), b"second");
    record("alice", b"second", draws, &second, None);

    let before = copy(&bob.rng);
    let third = bob.encrypt(at_bob, b"third");
    let draws = drawn(&before, &bob.rng);
    let mut peek = copy(&alice.rng);
    assert_eq!(at_alice.decrypt(&third, &mut alice.rng).unwrap().as_slice(), b"third");
    record("bob", b"third", draws, &third, Some(Secret::random(&mut peek)));

    let before = copy(&alice.rng);
    let fourth = alice.encrypt(&mut at_alice, b"fourth");
    let draws = drawn(&before, &alice.rng);
    let mut peek = copy(&bob.rng);
    assert_eq!(at_bob.decrypt(&fourth, &mut bob.rng).unwrap().as_slice(), b"fourth");
    record("alice", b"fourth", draws, &fourth, Some(Secret::random(&mut peek)));

    let before = copy(&alice.rng);
    let fifth = alice.encrypt(&mut at_alice, b"fifth");
    let draws = drawn(&before, &alice.rng);
    assert_eq!(at_bob.decrypt(&fifth, &mut bob.rng).unwrap().as_slice(), b"fifth");
    record("alice", b"fifth", draws, &fifth, None);

    let hint_keys: Vec<_> = at_bob.hint_keys().iter().map(|key| hex(key.secret().as_bytes())).collect();
    check(
        "session",
        &json!({
            "about": "spec/handshake.md, spec/ratchet.md, spec/envelope.md: a handshake with one-time keys and five messages. A \
                reader who has the secrets decrypts every envelope; `receiver_draws_ratchet_secret` is what the receiver \
                drew in its DH step. `sender_draws` begins with the nonce (12), then what the Braid drew: d || z (64) or m (32).",
            "initiator": {
                "statement": hex(alice.statement.encoded()),
                "dh_secret": hex(alice.keys.dh_key.to_secret().as_bytes()),
                "ephemeral_secret": hex(ephemeral.to_secret().as_bytes()),
                "kem_randomness": hex(kem_randomness.as_bytes()),
                "first_ratchet_secret": hex(first_ratchet_secret.as_bytes()),
            },
            "responder": {
                "statement": hex(bob.statement.encoded()),
                "dh_secret": hex(bob.keys.dh_key.to_secret().as_bytes()),
                "signed_prekey_secret": hex(bob.prekeys.signed_prekey.1.to_secret().as_bytes()),
                "one_time_prekey_secret": hex(bob.prekeys.one_time_prekeys[0].1.to_secret().as_bytes()),
                "kem_prekey_seed": hex(bob.prekeys.one_time_kem_prekeys[0].1.seed().as_bytes()),
                "seal_prekey_seed": hex(bob.prekeys.seal_prekey.1.seed().as_bytes()),
                "bundle": hex(bob.prekeys.bundle(0).encode()),
            },
            "handshake": {
                "kem_ciphertext": hex(flight.handshake().kem_ciphertext.as_bytes()),
                "kem_secret": hex(kem_secret.as_bytes()),
                "associated_data": hex(associated_data),
                "session_id": hex(at_alice.id().0),
                "root_key": hex(session_keys.root_key.as_bytes()),
                "spqr_chain_seed": hex(second_keys.chain_seed.as_bytes()),
                "braid_authentication_key": hex(second_keys.authentication_key.as_bytes()),
                "header_key_initiator": hex(session_keys.header_key_initiator.as_bytes()),
                "next_header_key_responder": hex(session_keys.next_header_key_responder.as_bytes()),
            },
            "messages": messages,
            "responder_hint_keys_at_the_end": hint_keys,
            "responder_state_at_the_end": hex(at_bob.encode()),
        }),
    );
}

/// What a reader of the vectors does: decrypts them from the secrets that the file gives.
#[test]
fn the_session_vectors_can_be_decrypted_from_what_they_say() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("spec/vectors/session.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
    let secret = |value: &Value| Secret::<32>::from_slice(&bytes(value)).unwrap();
    let responder = &vectors["responder"];
    let statement = crate::identity::Statement::decode(&bytes(&responder["statement"])).unwrap();
    let keys = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&Secret::from([0; 32])), // signs nothing here
        dh_key: DhSecretKey::from_secret(&secret(&responder["dh_secret"])),
    };
    let own = LocalDevice { statement: &statement, device_id: 1, keys: &keys };
    let seal_key = x_wing::DecapsulationKey::from_seed(secret(&responder["seal_prekey_seed"]));
    let messages = vectors["messages"].as_array().unwrap();
    let envelope = |index: usize| Envelope::decode(&bytes(&messages[index]["envelope"])).unwrap();
    let flight = envelope(0).open_first_flight(&seal_key).unwrap();
    let kem_seed = Secret::<64>::from_slice(&bytes(&responder["kem_prekey_seed"])).unwrap();
    let prekeys = ResponderPrekeys {
        signed_prekey: &DhSecretKey::from_secret(&secret(&responder["signed_prekey_secret"])),
        one_time_prekey: Some(&DhSecretKey::from_secret(&secret(&responder["one_time_prekey_secret"]))),
        kem_prekey: &crate::crypto::kem::DecapsulationKey::from_seed(kem_seed),
    };
    let mut drawn = FixedRng(bytes(&messages[0]["receiver_draws_ratchet_secret"]));
    let (mut session, content) = Session::respond(&own, &flight, &prekeys, &mut drawn).unwrap();
    assert_eq!(content.as_slice(), bytes(&messages[0]["content"]));
    assert_eq!(session.id().0.to_vec(), bytes(&vectors["handshake"]["session_id"]));
    let again = envelope(1).open_first_flight(&seal_key).unwrap();
    assert_eq!(session.decrypt_initial(&again, &mut rng(9)).unwrap().as_slice(), bytes(&messages[1]["content"]));
    // The third is the responder's own; its chain is the one that the fourth answers.
    let mut drawn = FixedRng(bytes(&messages[2]["sender_draws"]));
    assert_eq!(session.encrypt(b"third", &own, &mut drawn).unwrap(), bytes(&messages[2]["envelope"]));
    for (index, message) in messages.iter().enumerate().skip(3) {
        let drawn = &message["receiver_draws_ratchet_secret"];
        let mut drawn = FixedRng(if drawn.is_null() { Vec::new() } else { bytes(drawn) });
        let content = session.decrypt(&envelope(index), &mut drawn).unwrap();
        assert_eq!(content.as_slice(), bytes(&message["content"]));
    }
    assert_eq!(session.encode().to_vec(), bytes(&vectors["responder_state_at_the_end"]));
}
