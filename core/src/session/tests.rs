//! The hard cases of a session, one test each.

use super::*;
use crate::braid::{Braid, PieceKind};
use crate::crypto::incremental_kem::IncrementalKemError;
use crate::double_ratchet::ENCRYPTED_HEADER_LENGTH;
use crate::envelope::EnvelopeError;
use crate::handshake::HandshakeError;
use crate::limits::{ENVELOPE_LENGTH_MAX, SESSION_STATE_LENGTH_MAX, SKIP_MAX};
use crate::test_party::{Party, established};

fn reencode(envelope: &Envelope, change: impl FnOnce(&mut Vec<u8>)) -> Envelope {
    let mut bytes = envelope.encode();
    change(&mut bytes);
    Envelope::decode(&bytes).unwrap()
}

#[test]
fn the_first_flight_repeats_until_the_first_reply() {
    let (mut alice, mut bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    let mut at_alice = alice.initiate(&bob, 0);
    let flights = [&b"one"[..], b"two"].map(|content| alice.encrypt(&mut at_alice, content));
    assert!(at_alice.awaiting_reply());
    // The second comes first.
    let second = flights[1].open_first_flight(bob.seal_key()).unwrap();
    let (mut at_bob, content) = bob.respond(&second).unwrap();
    assert_eq!(content, b"two");
    assert_eq!(at_bob.id(), at_alice.id());
    let first = flights[0].open_first_flight(bob.seal_key()).unwrap();
    assert_eq!(at_bob.decrypt_initial(&first, &mut bob.rng).unwrap().as_slice(), b"one");
    let reply = bob.encrypt(&mut at_bob, b"three");
    assert_eq!(at_alice.decrypt(&reply, &mut alice.rng).unwrap().as_slice(), b"three");
    assert!(!at_alice.awaiting_reply());
}

#[test]
fn a_message_decrypted_twice_is_refused_the_second_time() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    let message = alice.encrypt(&mut at_alice, b"once");
    assert!(at_bob.decrypt(&message, &mut bob.rng).is_ok());
    let before = at_bob.encode();
    assert_eq!(at_bob.decrypt(&message, &mut bob.rng), Err(DecryptError::AlreadyReceived));
    assert_eq!(at_bob.encode(), before);
}

#[test]
fn messages_reordered_over_three_chains_all_arrive() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    let mut late = Vec::new();
    for chain in 0..3_u8 {
        let messages: Vec<_> =
            (0..4_u8).map(|number| ([chain, number], alice.encrypt(&mut at_alice, &[chain, number]))).collect();
        // The last of each chain arrives, the others wait.
        assert_eq!(at_bob.decrypt(&messages[3].1, &mut bob.rng).unwrap().as_slice(), messages[3].0);
        late.extend(messages.into_iter().take(3));
        let reply = bob.encrypt(&mut at_bob, b"reply");
        at_alice.decrypt(&reply, &mut alice.rng).unwrap();
    }
    for (content, message) in late.iter().rev() {
        assert_eq!(at_bob.decrypt(message, &mut bob.rng).unwrap().as_slice(), content);
        assert!(at_bob.decrypt(message, &mut bob.rng).is_err());
    }
}

#[test]
fn a_thousand_skipped_messages_are_kept() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    let messages: Vec<_> = (0..=SKIP_MAX).map(|_| alice.encrypt(&mut at_alice, b"m")).collect();
    assert!(at_bob.decrypt(&messages[SKIP_MAX as usize], &mut bob.rng).is_ok());
    for message in &messages[..SKIP_MAX as usize] {
        assert!(at_bob.decrypt(message, &mut bob.rng).is_ok());
    }
}

#[test]
fn a_thousand_and_one_skipped_messages_are_refused() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    let messages: Vec<_> = (0..SKIP_MAX + 2).map(|_| alice.encrypt(&mut at_alice, b"m")).collect();
    let before = at_bob.encode();
    let last = at_bob.decrypt(&messages[SKIP_MAX as usize + 1], &mut bob.rng);
    assert_eq!(last, Err(DecryptError::TooFarAhead { by: SKIP_MAX + 1 }));
    assert_eq!(at_bob.encode(), before);
    assert!(at_bob.decrypt(&messages[SKIP_MAX as usize], &mut bob.rng).is_ok());
}

#[test]
fn a_flipped_bit_in_each_field_of_a_session_envelope_is_refused() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    let message = alice.encrypt(&mut at_alice, b"content");
    let before = at_bob.encode();
    // nonce, hint, encrypted header and its tag, ciphertext: every bit up to the content, then one in each 64 bytes.
    let content = 17 + ENCRYPTED_HEADER_LENGTH + 16;
    let fields = (1..content).chain((content..4096).step_by(64)).chain([4095]);
    for byte in fields {
        for bit in 0..8 {
            let altered = reencode(&message, |bytes| bytes[byte] ^= 1 << bit);
            assert!(at_bob.decrypt(&altered, &mut bob.rng).is_err(), "byte {byte} bit {bit}");
            assert_eq!(at_bob.encode(), before);
        }
    }
    // There is no way back to version 0.
    let mut bytes = message.encode();
    bytes[0] ^= 1;
    assert_eq!(Envelope::decode(&bytes), Err(EnvelopeError::Version(0)));
    assert!(at_bob.decrypt(&message, &mut bob.rng).is_ok());
}

#[test]
fn a_flipped_bit_in_each_field_of_a_first_flight_is_refused() {
    let (mut alice, bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    let mut at_alice = alice.initiate(&bob, 0);
    let flight = alice.encrypt(&mut at_alice, b"content");
    // nonce, hint, both halves of the X-Wing ciphertext (its very last bit too), the sealed message and its tag.
    let fields = (1..17).chain((17..4096).step_by(97)).chain([17 + 1087, 17 + 1088, 17 + 1119, 17 + 1120, 4095]);
    for byte in fields {
        for bit in 0..8 {
            let altered = reencode(&flight, |bytes| bytes[byte] ^= 1 << bit);
            let refused = matches!(altered.open_first_flight(bob.seal_key()), Err(EnvelopeError::NotForThisKey));
            assert!(refused, "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn a_flipped_bit_in_each_field_of_an_initial_message_is_refused() {
    // Sealed by a liar, so that the seal verifies: what is inside has to.
    let (mut alice, mut bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    let mut at_alice = alice.initiate(&bob, 0);
    let pending = at_alice.pending.clone().unwrap();
    let (message, _, _) = at_alice.seal(marked(b"content"), &mut alice.rng).unwrap();
    let fields = InitialMessageFields {
        sender_statement: alice.statement.encoded().to_vec(),
        sender_device_id: 1,
        handshake: pending.handshake,
        ratchet_message: message.encode(),
    };
    let encoded = fields.encode();
    let seal_key = bob.seal_key().clone();
    let open = |bytes: &[u8], rng: &mut _| {
        let sealed = envelope::seal_first_flight(bytes, &pending.seal_prekey, rng).unwrap();
        Envelope::decode(&sealed).unwrap().open_first_flight(&seal_key)
    };
    assert!(open(&encoded, &mut alice.rng).is_ok());
    let mut opened = Vec::new();
    for bit in (0..encoded.len() * 8).step_by(5) {
        let mut altered = encoded.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        if let Ok(initial) = open(&altered, &mut alice.rng) {
            opened.push((bit, initial));
        }
    }
    assert!(!opened.is_empty());
    for (bit, initial) in opened {
        assert!(bob.respond(&initial).is_err(), "bit {bit}");
    }
}

#[test]
fn a_flipped_bit_in_an_unsigned_one_time_prekey_fails_the_handshake() {
    let (mut alice, mut bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    for bit in 0..255 {
        let mut bundle = bob.bundle(0);
        let prekey = bundle.one_time_prekey.as_mut().unwrap();
        let mut key = *prekey.key.as_bytes();
        key[bit / 8] ^= 1 << (bit % 8);
        let Ok(altered) = crate::crypto::dh::DhPublicKey::from_slice(&key) else { continue };
        prekey.key = altered;
        let own = LocalDevice { statement: &alice.statement, device_id: 1, keys: &alice.keys };
        let mut at_alice = Session::initiate(&own, &bob.statement, &bundle, &mut alice.rng).unwrap();
        let flight = alice.encrypt(&mut at_alice, b"content").open_first_flight(bob.seal_key()).unwrap();
        assert!(bob.respond(&flight).is_err(), "bit {bit}");
    }
}

#[test]
fn a_handshake_with_no_one_time_key_left_works() {
    let (mut alice, mut bob) = (Party::new("alice", 1, 0), Party::new("bob", 2, 0));
    let mut at_alice = alice.initiate(&bob, 0);
    let flight = alice.encrypt(&mut at_alice, b"content").open_first_flight(bob.seal_key()).unwrap();
    assert_eq!(flight.handshake().one_time_prekey_id, None);
    assert_eq!(bob.respond(&flight).unwrap().1, b"content");
}

#[test]
fn a_first_flight_under_another_identity_is_refused() {
    let (mut alice, mut bob, mallory) =
        (Party::new("alice", 1, 1), Party::new("bob", 2, 1), Party::new("mallory", 3, 1));
    let mut at_alice = alice.initiate(&bob, 0);
    let own = LocalDevice { statement: &mallory.statement, device_id: 1, keys: &alice.keys };
    let envelope = at_alice.encrypt(b"content", &own, &mut alice.rng).unwrap();
    let flight = Envelope::decode(&envelope).unwrap().open_first_flight(bob.seal_key()).unwrap();
    assert!(matches!(bob.respond(&flight), Err(HandshakeError::Message(_))));
}

#[test]
fn content_too_long_leaves_the_session_as_it_was() {
    let ((mut alice, mut at_alice), _) = established();
    let before = at_alice.encode();
    let own = LocalDevice { statement: &alice.statement, device_id: 1, keys: &alice.keys };
    let result = at_alice.encrypt(&vec![0; ENVELOPE_LENGTH_MAX], &own, &mut alice.rng);
    assert!(matches!(result, Err(EncryptError::TooLong { .. })));
    assert_eq!(at_alice.encode(), before);
}

#[test]
fn a_session_comes_back_from_the_store() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    let skipped = alice.encrypt(&mut at_alice, b"skipped");
    let next = alice.encrypt(&mut at_alice, b"next");
    at_bob.decrypt(&next, &mut bob.rng).unwrap();
    let mut restored = Session::decode(&at_bob.encode()).unwrap();
    assert_eq!(restored.encode(), at_bob.encode());
    assert_eq!(restored.decrypt(&skipped, &mut bob.rng).unwrap().as_slice(), b"skipped");
    assert_eq!(restored.hint_keys().len(), 2);
    assert_eq!(at_bob.hint_keys().len(), 2);
}

#[test]
fn hints_find_the_session_of_an_envelope_and_no_other() {
    let ((mut alice, mut at_alice), (_, at_bob)) = established();
    let message = alice.encrypt(&mut at_alice, b"content");
    assert!(at_bob.hint_keys().iter().any(|key| message.matches(key)));
    assert!(!at_alice.hint_keys().iter().any(|key| message.matches(key)));
}

#[test]
fn secrets_are_not_printed() {
    let ((_, at_alice), _) = established();
    let printed = format!("{at_alice:?}");
    let root = data_encoding::HEXLOWER.encode(at_alice.ratchet.root_key.as_bytes());
    assert!(!printed.contains(&root) && printed.contains(".."));
    assert!(!printed.contains(&format!("{:?}", at_alice.ratchet.root_key.as_bytes())));
}

/// Writes in turns, alice so many messages for each of bob's, and shows both sides after every message.
fn talk(messages: usize, by_alice: usize, mut look: impl FnMut(&Session, &Session)) {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    for message in 0..messages {
        if message % (by_alice + 1) < by_alice {
            let envelope = alice.encrypt(&mut at_alice, b"m");
            at_bob.decrypt(&envelope, &mut bob.rng).unwrap();
        } else {
            let envelope = bob.encrypt(&mut at_bob, b"m");
            at_alice.decrypt(&envelope, &mut alice.rng).unwrap();
        }
        look(&at_alice, &at_bob);
    }
}

#[test]
fn every_state_of_the_braid_comes_back_from_the_store_and_is_small() {
    let mut sizes = std::collections::BTreeMap::<String, usize>::new();
    for by_alice in [1, 2, 10] {
        talk(150, by_alice, |alice, bob| {
            for session in [alice, bob] {
                let state = session.encode();
                assert_eq!(Session::decode(&state).unwrap().encode(), state);
                let name = format!("{:?}", session.spqr.braid).split('(').next().unwrap().to_owned();
                let size = sizes.entry(name).or_default();
                *size = state.len().max(*size);
            }
        });
    }
    // The others are seen only with other numbers of chunks: what they add to a session is the same there.
    for chunks in [1, 5, 36] {
        let ((_, mut session), (mut bob, _)) = established();
        let key = Secret::from([3; 32]);
        let (mut one, mut other) = (Braid::initiator(&key), Braid::responder(&key));
        for message in 0..400 {
            let (from, to) = if message % 3 == 2 { (&mut one, &mut other) } else { (&mut other, &mut one) };
            let (sent, braid_message, _) = from.clone().send(chunks, &mut bob.rng);
            *from = sent;
            *to = to.clone().receive(&braid_message).unwrap().0;
            for side in [&one, &other] {
                session.spqr.braid = side.clone();
                let name = format!("{side:?}").split('(').next().unwrap().to_owned();
                let size = sizes.entry(name).or_default();
                *size = session.encode().len().max(*size);
            }
        }
    }
    for (name, size) in &sizes {
        println!("{name}: {size} bytes");
        assert!(*size <= SESSION_STATE_LENGTH_MAX);
    }
    assert_eq!(sizes.len(), 11, "{sizes:?}");
}

#[test]
fn the_largest_state_fits_its_limit() {
    // The first flight's parts are kept until the reply; the Braid's largest state is another one. Together they are below.
    let (mut alice, bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    let mut at_alice = alice.initiate(&bob, 0);
    alice.encrypt(&mut at_alice, b"m");
    let pending = at_alice.encode().len();
    println!("with a handshake pending: {pending} bytes");
    assert!(pending + 3 * 1024 <= SESSION_STATE_LENGTH_MAX);
}

#[test]
fn a_session_of_version_0_is_refused() {
    let ((_, at_alice), _) = established();
    let state = at_alice.encode();
    assert_eq!(state[..2], [8, 1], "the version is the first field");
    let mut old = state.to_vec();
    old[1] = 0;
    assert_eq!(Session::decode(&old).unwrap_err(), WireError::Bounds("version"));
    assert_eq!(Session::decode(&old[2..]).unwrap_err(), WireError::Bounds("version"));
}

#[test]
fn both_keys_are_needed_for_a_message() {
    let nonce = [1; 12];
    let key = |one: u8, other: u8| message_key(&Secret::from([one; 32]), &Secret::from([other; 32]), &nonce);
    assert!(key(1, 2) != key(2, 2) && key(1, 2) != key(1, 1) && key(1, 2) != key(2, 1));
    // A copy of bob's classical ratchet with another second ratchet opens nothing, and the other way round.
    let ((mut alice, mut at_alice), (mut bob, at_bob)) = established();
    let message = alice.encrypt(&mut at_alice, b"content");
    let ((_, _), (_, mut other)) = established();
    assert!(other.decrypt(&message, &mut bob.rng).is_ok(), "the same seeds give the same session");
    let mut copy = at_bob.clone();
    copy.spqr.epochs[0].receiving.chain_key = Secret::from([0; 32]);
    assert_eq!(copy.decrypt(&message, &mut bob.rng), Err(DecryptError::Ciphertext));
    let mut copy = at_bob.clone();
    copy.ratchet.receiving.as_mut().unwrap().chain_key = Secret::from([0; 32]);
    // Alice has taken a DH step since; her message is under the next header key and a root key that the copy has.
    assert!(copy.decrypt(&message, &mut bob.rng).is_ok());
    let mut copy = at_bob;
    copy.ratchet.root_key = Secret::from([0; 32]);
    assert_eq!(copy.decrypt(&message, &mut bob.rng), Err(DecryptError::Ciphertext));
}

#[test]
fn a_session_heals_while_both_write() {
    let mut epochs = Vec::new();
    talk(90, 1, |alice, bob| {
        let (one, other) = (alice.post_quantum_epoch(), bob.post_quantum_epoch());
        assert!(one.abs_diff(other) <= 1);
        epochs.push(one.min(other));
    });
    assert_eq!(*epochs.last().unwrap(), 10, "nine messages an epoch");
    // Who is alone in writing does not heal.
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    for _ in 0..100 {
        at_bob.decrypt(&alice.encrypt(&mut at_alice, b"m"), &mut bob.rng).unwrap();
    }
    assert!(at_alice.post_quantum_epoch() <= 1);
}

#[test]
fn a_failed_encryption_leaves_the_second_ratchet_as_it_was() {
    let ((mut alice, mut at_alice), (_, mut at_bob)) = established();
    for session in [&mut at_alice, &mut at_bob] {
        let before = session.encode();
        let own = LocalDevice { statement: &alice.statement, device_id: 1, keys: &alice.keys };
        assert!(session.encrypt(&vec![0; ENVELOPE_LENGTH_MAX], &own, &mut alice.rng).is_err());
        assert_eq!(session.encode(), before);
    }
}

#[test]
fn a_state_older_than_its_generation_fails_loudly() {
    // Alice is put back to a moment before she drew a key pair whose header bob has.
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    for _ in 0..20 {
        if matches!(at_alice.spqr.braid, Braid::KeysUnsampled(_)) {
            break;
        }
        at_bob.decrypt(&alice.encrypt(&mut at_alice, b"m"), &mut bob.rng).unwrap();
        at_alice.decrypt(&bob.encrypt(&mut at_bob, b"m"), &mut alice.rng).unwrap();
    }
    assert!(matches!(at_alice.spqr.braid, Braid::KeysUnsampled(_)));
    let old = at_alice.clone();
    let first = alice.encrypt(&mut at_alice, b"m");
    at_bob.decrypt(&first, &mut bob.rng).unwrap();
    let mut at_alice = old;
    // The numbers were used: what she writes first is refused as a repetition.
    let again = alice.encrypt(&mut at_alice, b"m");
    assert_eq!(at_bob.decrypt(&again, &mut bob.rng), Err(DecryptError::AlreadyReceived));
    let mut last = None;
    for _ in 0..20 {
        let reply = bob.encrypt(&mut at_bob, b"reply");
        at_alice.decrypt(&reply, &mut alice.rng).unwrap();
        let before = at_bob.encode();
        if let Err(error) = at_bob.decrypt(&alice.encrypt(&mut at_alice, b"m"), &mut bob.rng) {
            assert_eq!(at_bob.encode(), before);
            last = Some(error);
            break;
        }
    }
    // The vector that she sends now is not the one of the header that bob has.
    let Some(DecryptError::Braid(BraidError::Key(_, error))) = last else { panic!("{last:?}") };
    assert_eq!(error, IncrementalKemError::EncapsulationKey);
}

#[test]
fn a_wrong_mac_in_the_braid_is_surfaced_and_changes_nothing() {
    let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
    // Whoever has another past has another authenticator.
    for _ in 0..30 {
        if let Braid::KeysUnsampled(state) = &mut at_alice.spqr.braid {
            state.epoch.authenticator.mac = Secret::from([1; 32]);
        }
        let before = at_bob.encode();
        let message = alice.encrypt(&mut at_alice, b"m");
        match at_bob.decrypt(&message, &mut bob.rng) {
            Ok(_) => {}
            Err(DecryptError::Braid(BraidError::HeaderMac(_))) => {
                assert_eq!(at_bob.encode(), before);
                // Each later message says so too.
                let next = alice.encrypt(&mut at_alice, b"m");
                assert!(matches!(at_bob.decrypt(&next, &mut bob.rng), Err(DecryptError::Braid(_))));
                return;
            }
            Err(other) => panic!("{other}"),
        }
        at_alice.decrypt(&bob.encrypt(&mut at_bob, b"m"), &mut alice.rng).unwrap();
    }
    panic!("never noticed");
}

#[test]
fn a_selective_dropper_of_chunk_kinds_delays_healing_and_nothing_else() {
    // A server cannot read the kind, but whoever counts could guess it.
    for dropped in [PieceKind::Header, PieceKind::Vector, PieceKind::VectorAcknowledging, PieceKind::FirstPart] {
        let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
        for round in 0..80 {
            for by_alice in [true, false] {
                let (sender, receiver) = if by_alice {
                    ((&mut alice, &mut at_alice), (&mut bob, &mut at_bob))
                } else {
                    ((&mut bob, &mut at_bob), (&mut alice, &mut at_alice))
                };
                let envelope = sender.0.encrypt(sender.1, b"m");
                let (_, message, _) = sender.1.spqr.braid.clone().send(1, &mut crate::test_rng::rng(1));
                // The kind that was just sent is the one that would be sent again.
                if round >= 30 || message.kind != dropped {
                    assert!(receiver.1.decrypt(&envelope, &mut receiver.0.rng).is_ok());
                }
            }
        }
        assert!(at_alice.post_quantum_epoch() >= 8, "{dropped:?}: {}", at_alice.post_quantum_epoch());
    }
}
