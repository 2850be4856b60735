//! `triple-ratchet.json` and `key-schedule.json`: the ratchets from given keys.

use rand_core::Rng;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{check, copy, drawn, hex, secret};
use crate::crypto::dh::DhSecretKey;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::decoy::DecoyKey;
use crate::double_ratchet::{DoubleRatchet, InitialKeys};
use crate::envelope::{Envelope, HintKey};
use crate::label;
use crate::session::{LocalDevice, Session, SessionId, message_key};
use crate::spqr::{Spqr, SpqrInitialKeys};
use crate::test_party::Party;
use crate::test_rng::{FixedRng, rng};

/// The Triple Ratchet from given keys, in turns, until the second key of the post-quantum ratchet is in use.
#[test]
fn triple_ratchet_vectors() {
    let signed_prekey = DhSecretKey::from_secret(&secret(6));
    let keys =
        || InitialKeys { root_key: secret(1), header_key_initiator: secret(2), next_header_key_responder: secret(3) };
    let second_keys = SpqrInitialKeys { chain_seed: secret(4), authentication_key: secret(5) };
    let (id, associated_data) = (SessionId([0; 16]), [7; 32]);
    let mut draws = [rng(1), rng(2)];
    let mut first_ratchet_secret = [0; 32];
    copy(&draws[0]).fill_bytes(&mut first_ratchet_secret);
    let initiator = DoubleRatchet::initiator(keys(), signed_prekey.public_key(), &mut draws[0]).unwrap();
    let ratchets = [
        (initiator, Spqr::initiator(&second_keys)),
        (DoubleRatchet::responder(keys(), signed_prekey), Spqr::responder(&second_keys)),
    ];
    let mut sessions = ratchets.map(|(ratchet, spqr)| Session { id, associated_data, ratchet, spqr, pending: None });
    let party = Party::new("alice", 1, 1);
    let own = LocalDevice { statement: &party.statement, device_id: 1, keys: &party.keys };
    let mut messages = Vec::new();
    while sessions.iter().any(|session| session.post_quantum_epoch() < 2) || messages.len() < 22 {
        let sender = messages.len() % 2;
        let before = copy(&draws[sender]);
        // What the session computes inside, once more.
        let mut inside = copy(&before);
        let mut nonce = [0; 12];
        inside.fill_bytes(&mut nonce);
        let second = sessions[sender].spqr.send(&mut inside).unwrap();
        let first = sessions[sender].ratchet.clone().send(&nonce, second.header.clone()).unwrap();
        let header = crate::crypto::aead::open(&first.header_key, &nonce, &[], first.header.as_bytes()).unwrap();
        let key = message_key(&first.message_key, &second.message_key, &nonce);

        let content = [messages.len() as u8; 3];
        let encoded = sessions[sender].encrypt(&content, &own, &mut draws[sender]).unwrap();
        let envelope = Envelope::decode(&encoded).unwrap();
        let sender_draws = drawn(&before, &draws[sender]);
        let before = copy(&draws[1 - sender]);
        let opened = sessions[1 - sender].decrypt(&envelope, &mut draws[1 - sender]).unwrap();
        assert_eq!(opened.as_slice(), content);
        messages.push(json!({
            "by": (if sender == 0 { "initiator" } else { "responder" }),
            "content": hex(content),
            "sender_draws": sender_draws,
            "receiver_draws_ratchet_secret": drawn(&before, &draws[1 - sender]),
            "header": hex(header),
            "header_key": hex(first.header_key.as_bytes()),
            "double_ratchet_key": hex(first.message_key.as_bytes()),
            "spqr_key": hex(second.message_key.as_bytes()),
            "key_and_aead_nonce": hex(key.as_bytes()),
            "envelope_length": encoded.len(),
            "envelope_begins": hex(&encoded[..17 + first.header.as_bytes().len() + 32]),
            "envelope_sha256": hex(Sha256::digest(&encoded)),
        }));
    }
    check(
        "triple-ratchet",
        &json!({
            "about": "spec/ratchet.md: both ratchets from given keys, in turns. The envelope is given by its first bytes and \
                its SHA-256. `sender_draws`: nonce (12), then d || z (64) or m (32).",
            "root_key": hex([1; 32]),
            "header_key_initiator": hex([2; 32]),
            "next_header_key_responder": hex([3; 32]),
            "spqr_chain_seed": hex([4; 32]),
            "braid_authentication_key": hex([5; 32]),
            "signed_prekey_secret": hex([6; 32]),
            "associated_data": hex(associated_data),
            "first_ratchet_secret": hex(first_ratchet_secret),
            "messages": messages,
            "states_at_the_end": sessions.each_ref().map(|session| hex(session.encode())),
        }),
    );
}

#[test]
fn key_schedule_vectors() {
    let chain_key = secret(1);
    let header_key = secret(2);
    let root: Secret<96> = kdf::hkdf(secret(3).as_bytes(), &[secret(4).as_bytes()], label::ROOT_KEY);
    let [root_key, next_chain, next_header] = kdf::split::<96, 3>(&root);
    let message = message_key(&secret(5), &secret(9), &[6; 12]);
    let expanded: Secret<160> = kdf::hkdf(&[0; 32], &[secret(7).as_bytes()], label::SESSION_KEYS);
    let decoy = DecoyKey::of(&DhSecretKey::from_secret(&secret(10)));
    let decoy_key: Secret<32> = kdf::hkdf(&[0; 32], &[secret(10).as_bytes()], label::DECOY);
    let drawn = decoy.draw(4096, &mut FixedRng([11; 12].to_vec())).unwrap();
    let flight: Secret<44> = kdf::hkdf(&[0; 32], &[secret(8).as_bytes()], label::FIRST_FLIGHT);
    check(
        "key-schedule",
        &json!({
            "about": "Each derivation of spec/ratchet.md and spec/envelope.md alone.",
            "chain_step": {
                "chain_key": hex([1; 32]),
                "message_key": hex(kdf::hmac_byte(&chain_key, 1).as_bytes()),
                "next_chain_key": hex(kdf::hmac_byte(&chain_key, 2).as_bytes()),
            },
            "hint_key": { "header_key": hex([2; 32]), "hint_key": hex(HintKey::of(&header_key).secret().as_bytes()) },
            "root_step": {
                "root_key": hex([3; 32]),
                "dh": hex([4; 32]),
                "next_root_key": hex(root_key.as_bytes()),
                "chain_key": hex(next_chain.as_bytes()),
                "next_header_key": hex(next_header.as_bytes()),
            },
            "message_key": {
                "double_ratchet_key": hex([5; 32]),
                "spqr_key": hex([9; 32]),
                "nonce": hex([6; 12]),
                "key": hex(&message.as_bytes()[..32]),
                "aead_nonce": hex(&message.as_bytes()[32..]),
            },
            "session_keys": { "secret": hex([7; 32]), "expanded": hex(expanded.as_bytes()) },
            "decoy": {
                "device_dh_secret": hex([10; 32]),
                "key": hex(decoy_key.as_bytes()),
                "nonce": hex([11; 12]),
                "first_64_bytes_of_4096": hex(&drawn[..64]),
                "sha256": hex(Sha256::digest(&drawn)),
            },
            "first_flight": {
                "x_wing_secret": hex([8; 32]),
                "key": hex(&flight.as_bytes()[..32]),
                "aead_nonce": hex(&flight.as_bytes()[32..]),
            },
        }),
    );
}
