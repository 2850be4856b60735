//! Our own test vectors, `spec/vectors/*.json`: made here, and checked byte for byte by the tests below.
//!
//! `MEDIPEPS_WRITE_VECTORS=1 cargo test -p medipeps-core vectors` writes them anew after a change of the protocol.

use std::path::PathBuf;

use chacha20::ChaCha20Rng;
use data_encoding::HEXLOWER;
use rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::attachment::BlobReference;
use crate::crypto::dh::DhSecretKey;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::crypto::signature::SigningKey;
use crate::crypto::x_wing;
use crate::decoy::DecoyKey;
use crate::double_ratchet::{DoubleRatchet, InitialKeys};
use crate::envelope::{Envelope, HintKey};
use crate::identity::{
    DeviceCertificate, DeviceSecretKeys, StatementIssue, VerificationCode, recovery_key_hash, safety_number,
};
use crate::invitation::Invitation;
use crate::kind::{
    Attachment, AttachmentPlace, Body, Content, DeviceName, DeviceSync, DisplayedMark, Mail, MailRecipient, MessageId,
    Progress, ReceiptsWanted, Received, RecipientRole, SentState, SyncedContact, SyncedServer, Urgency,
};
use crate::label;
use crate::linking::{self, LinkingAgreement, LinkingOffer, Rendezvous};
use crate::pqxdh::{Agreements, End, associated_data};
use crate::prekey::{KemPrekey, OneTimePrekey, SealPrekey, SignedPrekey};
use crate::proof::{Channel, server_key_hash, sign_deletion};
use crate::session::{LocalDevice, ResponderPrekeys, Session, SessionId, message_key};
use crate::spqr::{Spqr, SpqrInitialKeys};
use crate::test_party::Party;
use crate::test_rng::rng;
use crate::wire::linking::{LinkOffer, LinkReveal};
use crate::wire::transport::{
    Acknowledge, Authenticate, BeginBlob, BeginBlobReply, DeleteBlob, Delivery, DeviceEnvelope, ErrorCode, ErrorReply,
    FetchBlob, FetchBlobReply, FetchPrekeys, Payment, PutBlobPiece, PutBlobPieceReply, Request, Response, StaleDevices,
    Submit, SubscriptionEvent, Transport,
};

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn secret(seed: u8) -> Secret<32> {
    Secret::from([seed; 32])
}

/// To look at what will be drawn.
pub(crate) fn copy(rng: &ChaCha20Rng) -> ChaCha20Rng {
    let mut copy = ChaCha20Rng::from_seed(rng.get_seed());
    copy.set_word_pos(rng.get_word_pos());
    copy
}

/// What was drawn between two moments.
fn drawn(before: &ChaCha20Rng, after: &ChaCha20Rng) -> String {
    let words = after.get_word_pos() - before.get_word_pos();
    let mut bytes = vec![0; words as usize * 4];
    copy(before).fill_bytes(&mut bytes);
    hex(bytes)
}

pub(crate) fn check(name: &str, vectors: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("spec/vectors").join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(vectors).unwrap() + "\n";
    if std::env::var_os("MEDIPEPS_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == text, "spec/vectors/{name}.json is not what this code makes");
}

#[test]
fn linking_vectors() {
    let mut rng = rng(21);
    let key = x_wing::DecapsulationKey::from_seed(secret(1));
    let device = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&secret(3)),
        dh_key: DhSecretKey::from_secret(&secret(4)),
    };
    let reveal = LinkReveal { nonce: [5; 32], name: "Ward tablet".to_owned() };
    let offer = LinkOffer {
        address: "claire.martin@clinic.example".parse().unwrap(),
        device_id: 7,
        keys: device.public_keys(),
        encapsulation_key: key.encapsulation_key(),
        commitment: linking::commitment(&reveal),
        server_key_hash: [6; 32],
    };
    let sealed = LinkingOffer::seal(&Secret::from([2; 16]), &offer);
    let rendezvous = Rendezvous::new(&sealed.code.rendezvous_secret);
    let before = copy(&rng);
    let (answer, shared) = linking::answer(&sealed.code, &offer, &mut rng).unwrap();
    let randomness = drawn(&before, &rng);
    let agreement = sealed.agree(&key, &answer).unwrap();
    assert_eq!(agreement, LinkingAgreement::new(&shared, &sealed.code.offer_hash, &answer));
    let grant = linking::tests::grant();
    check(
        "linking",
        &json!({
            "about": "spec/linking.md. The X-Wing key is given as its seed. What is sealed is given whole.",
            "rendezvous_secret": hex([2; 16]),
            "decapsulation_key": hex([1; 32]),
            "offer": { "id": hex(rendezvous.offer_id()), "message": hex(offer.encode()), "sealed": hex(&sealed.sealed) },
            "code": sealed.code.to_string(),
            "answer": {
                "id": hex(rendezvous.answer_id()),
                "randomness": randomness,
                "sealed": hex(&answer),
                "shared_secret": hex(shared.as_bytes()),
            },
            "reveal": {
                "id": hex(agreement.reveal_id()),
                "message": hex(reveal.encode()),
                "sealed": hex(agreement.seal_reveal(&reveal)),
            },
            "comparison": agreement.comparison(&reveal).to_string(),
            "confirmation": {
                "id": hex(agreement.confirmation_id()),
                "sealed": hex(agreement.seal_confirmation(&reveal)),
            },
            "grant": {
                "id": hex(agreement.grant_id()),
                "message": hex(grant.encode()),
                "sealed": hex(agreement.seal_grant(&grant, &reveal)),
            },
            "upload_secret": {
                "seed": hex([8; 32]),
                "blob_id": hex([9; 32]),
                "secret": hex(linking::upload_secret(&secret(8), &[9; 32])),
            },
        }),
    );
}

#[test]
fn identity_vectors() {
    let address = "claire.martin@clinic.example".parse().unwrap();
    let account_key = SigningKey::from_secret(&secret(1));
    let recovery_key = SigningKey::from_secret(&secret(2));
    let device = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&secret(3)),
        dh_key: DhSecretKey::from_secret(&secret(4)),
    };
    let certificate = DeviceCertificate::issue(&account_key, &address, 1, &device.public_keys(), true, 1_700_000_000);
    let issue = |previous, issued| StatementIssue {
        address: &address,
        recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
        previous,
        devices: vec![certificate.clone()],
        issued,
    };
    let first = issue(None, 1_700_000_000).sign(&account_key).unwrap();
    let second = issue(Some(&first), 1_700_000_001).sign(&account_key).unwrap();
    let new_key = SigningKey::from_secret(&secret(5));
    let new_certificate = DeviceCertificate::issue(&new_key, &address, 2, &device.public_keys(), true, 1_700_000_002);
    let mut recovered = issue(Some(&second), 1_700_000_002);
    recovered.devices = vec![new_certificate];
    let recovered = recovered.sign_with_recovery_key(new_key.verifying_key(), &recovery_key).unwrap();
    let other = "karim.benali@clinic.example".parse().unwrap();
    let statement = |statement: &crate::identity::Statement| json!({ "encoded": hex(statement.encoded()), "hash": hex(statement.hash()), "version": statement.version() });
    check(
        "identity",
        &json!({
            "about": "spec/identity.md: certificates, statements, safety number. Ed25519 and X25519 keys are given as their 32-byte secrets.",
            "address": address.as_str(),
            "account_key": { "secret": hex([1; 32]), "public": hex(account_key.verifying_key().as_bytes()) },
            "recovery_key": {
                "secret": hex([2; 32]),
                "public": hex(recovery_key.verifying_key().as_bytes()),
                "hash": hex(recovery_key_hash(&recovery_key.verifying_key())),
            },
            "device": {
                "id": 1,
                "signing_secret": hex([3; 32]),
                "signing_public": hex(device.public_keys().signing_key.as_bytes()),
                "dh_secret": hex([4; 32]),
                "dh_public": hex(device.public_keys().dh_key.as_bytes()),
            },
            "certificate": {
                "signed_bytes": hex(&certificate.signed().certificate),
                "signature": hex(certificate.signed().signature),
            },
            "first_statement": statement(&first),
            "second_statement": statement(&second),
            "new_account_key": { "secret": hex([5; 32]), "public": hex(new_key.verifying_key().as_bytes()) },
            "statement_by_recovery_key": statement(&recovered),
            "safety_number": {
                "one": { "address": address.as_str(), "account_key": hex(account_key.verifying_key().as_bytes()) },
                "other": { "address": other_text(&other), "account_key": hex(new_key.verifying_key().as_bytes()) },
                "digits": safety_number((&address, &account_key.verifying_key()), (&other, &new_key.verifying_key())),
            },
            "verification_code": {
                "shown_by": { "address": address.as_str(), "account_key": hex(account_key.verifying_key().as_bytes()) },
                "shown_to": { "address": other_text(&other), "account_key": hex(new_key.verifying_key().as_bytes()) },
                "text": VerificationCode::new(
                    (&address, &account_key.verifying_key()),
                    (&other, &new_key.verifying_key()),
                ).to_string(),
            },
        }),
    );
}

fn other_text(address: &crate::Address) -> &str {
    address.as_str()
}

#[test]
fn backup_vectors() {
    use crate::backup::{CHUNK_LENGTH, RecoveryCode, Sealer};
    use crate::wire::backup::{BackupEnd, BackupEntry, BackupHeader, BackupRecord};
    use crate::wire::client_store::PassphraseLock;

    let lock = PassphraseLock { salt: [1; 16], memory_kib: 65_536, passes: 3, lanes: 1 };
    let header = BackupHeader { lock, salt: [2; 32], recovery_code: true, created: 1_700_000_000_000 };
    let (mut sealer, begin) = Sealer::begin(&header, &secret(3)).unwrap();
    let mut first = vec![4; CHUNK_LENGTH];
    sealer.seal(&mut first, false).unwrap();
    let mut last = b"the end".to_vec();
    sealer.seal(&mut last, true).unwrap();
    let entry = BackupRecord::Entry(BackupEntry { class: 4, name: vec![5; 16], value: vec![6, 7].into() });
    let code = RecoveryCode::random(&mut rng(8));
    check(
        "backup",
        &json!({
            "about": "spec/backup.md: what a backup begins with, its chunks, records. The passphrase is stretched already; Argon2id is in client-store.json.",
            "header": hex(header.encode()),
            "stretched": hex([3; 32]),
            "begins_with": hex(&begin),
            "first_chunk": { "plaintext": "65536 bytes 04", "begins_with": hex(&first[..32]), "tag": hex(&first[CHUNK_LENGTH..]) },
            "last_chunk": { "plaintext": hex(b"the end"), "sealed": hex(&last) },
            "entry": { "class": 4, "name": hex([5; 16]), "value": "0607", "encoded": hex(&*entry.encode()) },
            "end": { "entries": 1, "copies": 0, "encoded": hex(&*BackupRecord::End(BackupEnd { entries: 1, copies: 0 }).encode()) },
            "recovery_code": { "text": *code.text(), "letters": *code.letters() },
        }),
    );
}

#[test]
fn prekey_vectors() {
    let party = Party::new("bob", 2, 1);
    let prekeys = &party.prekeys;
    let upload = prekeys.upload.sign(&party.keys.signing_key);
    let one_time = &prekeys.one_time_prekeys[0];
    let one_time_kem = &prekeys.one_time_kem_prekeys[0];
    check(
        "prekeys",
        &json!({
            "about": "spec/handshake.md, Prekeys. KEM secrets are the 64-byte seeds d || z, the seal secret X-Wing's 32-byte seed.",
            "device_signing_secret": hex(party.keys.signing_key.to_secret().as_bytes()),
            "signed_prekey": {
                "id": prekeys.signed_prekey.0,
                "secret": hex(prekeys.signed_prekey.1.to_secret().as_bytes()),
                "encoded": hex(SignedPrekey::encode(&prekeys.upload.signed_prekey)),
            },
            "one_time_prekey": {
                "id": one_time.0,
                "secret": hex(one_time.1.to_secret().as_bytes()),
                "encoded": hex(OneTimePrekey::encode(&prekeys.upload.one_time_prekeys[0])),
            },
            "one_time_kem_prekey": {
                "id": one_time_kem.0,
                "seed": hex(one_time_kem.1.seed().as_bytes()),
                "encoded": hex(KemPrekey::encode(&prekeys.upload.one_time_kem_prekeys[0])),
            },
            "last_resort_kem_prekey": {
                "id": prekeys.last_resort_kem_prekey.0,
                "seed": hex(prekeys.last_resort_kem_prekey.1.seed().as_bytes()),
                "encoded": hex(KemPrekey::encode(&prekeys.upload.last_resort_kem_prekey)),
            },
            "seal_prekey": {
                "id": prekeys.seal_prekey.0,
                "seed": hex(prekeys.seal_prekey.1.seed().as_bytes()),
                "encoded": hex(SealPrekey::encode(&prekeys.upload.seal_prekey)),
            },
            "signed_upload": hex(upload),
            "bundle_with_one_time_keys": hex(prekeys.bundle(0).encode()),
            "bundle_without": hex(prekeys.bundle(1).encode()),
        }),
    );
}

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

/// Gives the bytes that it was made of, and then no more.
struct FixedRng(Vec<u8>);

impl rand_core::TryRng for FixedRng {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Self::Error> {
        let rest = self.0.split_off(destination.len());
        destination.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl rand_core::TryCryptoRng for FixedRng {}

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

#[test]
fn transport_vectors() {
    let (server_key, device_key) = (SigningKey::from_secret(&secret(1)), SigningKey::from_secret(&secret(2)));
    let address: crate::Address = "claire.martin@clinic.example".parse().unwrap();
    let channel =
        Channel { nonce: &[3; 32], domain: "clinic.example", transport: Transport::Quic, exporter: Some(&[4; 32]) };
    let proof = channel.sign_proof(&device_key, &address, 1, 9);
    let hash = server_key_hash(&server_key.verifying_key());
    let invitation = Invitation { secret: Secret::from([5; 16]), server_key_hash: hash };
    let requests = [
        ("hello", Request::Hello),
        (
            "authenticate",
            Request::Authenticate(Authenticate {
                address: address.clone(),
                device_id: 1,
                transport: Transport::Quic,
                exporter_bound: true,
                signature: proof,
                generation: 9,
            }),
        ),
        ("prekey_status", Request::PrekeyStatus),
        ("subscribe", Request::Subscribe),
        ("acknowledge", Request::Acknowledge(Acknowledge { incarnation: [6; 16], up_to: 7, generation: 10 })),
        ("fetch_statement", Request::FetchStatement(address.clone())),
        ("fetch_prekeys", Request::FetchPrekeys(FetchPrekeys { address: address.clone(), payment: Payment::None })),
        (
            "submit",
            Request::Submit(Submit {
                id: [8; 16],
                address: address.clone(),
                envelopes: vec![DeviceEnvelope { device_id: 1, envelope: vec![0; 4096] }],
                payment: Payment::None,
            }),
        ),
        (
            "begin_blob",
            Request::BeginBlob(BeginBlob {
                id: [9; 32],
                upload_secret: [10; 16],
                length: 65_584,
                payment: Payment::None,
            }),
        ),
        (
            "put_blob_piece",
            Request::PutBlobPiece(PutBlobPiece { id: [9; 32], upload_secret: [10; 16], index: 1, data: vec![11; 32] }),
        ),
        ("fetch_blob", Request::FetchBlob(FetchBlob { id: [9; 32], offset: 65_552, length: 32 })),
        ("delete_blob", Request::DeleteBlob(DeleteBlob { id: [9; 32], upload_secret: [10; 16] })),
    ];
    let stale = StaleDevices { missing: vec![2], extra: vec![1], statement_version: 3 };
    let responses = [
        ("done", Response::Done),
        (
            "error",
            Response::Error(ErrorReply {
                stale_devices: Some(stale),
                ..ErrorReply::new(ErrorCode::StaleDevices, "devices changed")
            }),
        ),
        (
            "delivery",
            Response::Subscription(SubscriptionEvent::Delivery(Delivery {
                sequence: 7,
                received: 1_700_000_000_000,
                envelope: vec![0; 4096],
            })),
        ),
        ("begin_blob", Response::BeginBlob(BeginBlobReply { stored_pieces: vec![0b101], expires: 1_700_000_000_000 })),
        ("put_blob_piece", Response::PutBlobPiece(PutBlobPieceReply { complete: true })),
        ("fetch_blob", Response::FetchBlob(FetchBlobReply { data: vec![12; 32], blob_length: 65_584 })),
    ];
    let named = |frames: Vec<(&str, Vec<u8>)>| -> Value {
        frames.into_iter().map(|(name, bytes)| (name.to_owned(), Value::from(hex(bytes)))).collect()
    };
    check(
        "transport",
        &json!({
            "about": "spec/transport.md: signatures of a connection, frames without their length, an invitation code.",
            "server_key": { "secret": hex([1; 32]), "public": hex(server_key.verifying_key().as_bytes()), "hash": hex(hash) },
            "channel": { "nonce": hex([3; 32]), "domain": "clinic.example", "transport": 1, "exporter": hex([4; 32]) },
            "hello_signature": hex(channel.sign_hello(&server_key)),
            "device_proof": {
                "device_secret": hex([2; 32]),
                "address": address.as_str(),
                "device_id": 1,
                "generation": 9,
                "signature": hex(proof),
            },
            "deletion": {
                "account_secret": hex([2; 32]),
                "statement_version": 3,
                "signature": hex(sign_deletion(&device_key, &address, 3)),
            },
            "invitation": {
                "secret": hex([5; 16]),
                "hash": hex(Invitation::hash(&[5; 16])),
                "code": invitation.code(),
            },
            "requests": named(requests.iter().map(|(name, request)| (*name, request.encode())).collect()),
            "responses": named(responses.iter().map(|(name, response)| (*name, response.encode())).collect()),
        }),
    );
}

#[test]
fn content_vectors() {
    let reference = BlobReference {
        domain: "clinic.example".into(),
        id: [9; 32],
        key: secret(0x41).into(),
        length: 200_000_000,
        root: [13; 32],
        expires: 1_700_000_000_000,
    };
    let content = Content {
        id: MessageId([1; 16]),
        thread: MessageId([1; 16]),
        in_reply_to: None,
        replaces: None,
        created: 1_700_000_000_000,
        expires: None,
        urgency: Urgency::Urgent,
        sender_name: "Dr Claire Martin".into(),
        sender_role: "GP".into(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted { delivered: true, displayed: true, processed: false },
        fallback_text: "Mail: Results".into(),
        attachments: vec![
            Attachment {
                name: "potassium.txt".into(),
                media_type: "text/plain".into(),
                place: AttachmentPlace::Inline(b"6.1".to_vec()),
            },
            Attachment {
                name: "scan.pdf".into(),
                media_type: "application/pdf".into(),
                place: AttachmentPlace::Blob(reference.clone()),
            },
        ],
        body_blob: None,
        sender_statement_version: 1,
        body: Body::Mail(Mail {
            subject: "Results".into(),
            text: "Potassium 6.1 mmol/L".into(),
            html: Some("<p>Potassium <b>6.1</b> mmol/L</p>".into()),
            recipients: vec![MailRecipient {
                address: "karim.benali@clinic.example".parse().unwrap(),
                role: RecipientRole::To,
            }],
        }),
    };
    let body = BlobReference { length: 300_000, ..reference };
    let received = Received { message_ids: vec![MessageId([2; 16]), MessageId([3; 16])], unreadable: true };
    let bare = |body| Content {
        urgency: Urgency::Routine,
        sender_name: String::new(),
        sender_role: String::new(),
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: String::new(),
        attachments: Vec::new(),
        body,
        ..content.clone()
    };
    let with_body_blob = Content { body: content.body.short(), body_blob: Some(body), ..content.clone() };
    let address: crate::Address = "karim.benali@clinic.example".parse().unwrap();
    let sync = DeviceSync {
        displayed: vec![DisplayedMark {
            sender: address.clone(),
            account_key: Some([6; 32]),
            content_id: MessageId([7; 16]),
            at: 1_700_000_000_001,
        }],
        contacts: vec![SyncedContact {
            address: address.clone(),
            statement: b"an encoded SignedStatement".to_vec(),
            added: 1_700_000_000_002,
            verified: Some(([5; 32], 1_700_000_000_005)),
            server: Some(SyncedServer { endpoint: "server.clinic.example:4433".into(), key_hash: Some([8; 32]) }),
        }],
        states: vec![SentState {
            content_id: MessageId([1; 16]),
            recipient: address,
            progress: Progress::Failed,
            code: "unknown_account".into(),
            at: 1_700_000_000_003,
        }],
        names: vec![DeviceName { device_id: 7, name: "Workstation".into(), at: 1_700_000_000_004 }],
        ..DeviceSync::default()
    };
    let sync = Content { attachments: Vec::new(), body: Body::DeviceSync(sync), ..content.clone() };
    check(
        "content",
        &json!({
            "about": "spec/content.md: an encoded Content of kind mail, one of received, one of empty; the fields are those of \
                      the test that made them.",
            "subject": "Results",
            "text": "Potassium 6.1 mmol/L",
            "encoded": hex(content.encode().unwrap()),
            "encoded_with_body_in_a_blob": hex(with_body_blob.encode().unwrap()),
            "received": hex(bare(Body::Received(received)).encode().unwrap()),
            "empty": hex(bare(Body::Empty).encode().unwrap()),
            "encoded_device_sync": hex(sync.encode().unwrap()),
        }),
    );
}
