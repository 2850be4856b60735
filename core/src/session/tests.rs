//! The hard cases of a session, one test each.

use proptest::prelude::*;

use super::*;
use crate::envelope::EnvelopeError;
use crate::handshake::HandshakeError;
use crate::limits::{ENVELOPE_LENGTH_MAX, SKIP_MAX};
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
    let fields = (1..17 + 56 + 16).chain((17 + 56 + 16..4096).step_by(64)).chain([4095]);
    for byte in fields {
        for bit in 0..8 {
            let altered = reencode(&message, |bytes| bytes[byte] ^= 1 << bit);
            assert!(at_bob.decrypt(&altered, &mut bob.rng).is_err(), "byte {byte} bit {bit}");
            assert_eq!(at_bob.encode(), before);
        }
    }
    let mut bytes = message.encode();
    bytes[0] ^= 1;
    assert_eq!(Envelope::decode(&bytes), Err(EnvelopeError::Version(1)));
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
    let (message, _) = at_alice.seal(marked(b"content"), &mut alice.rng).unwrap();
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

/// What may happen on a line between two people.
#[derive(Debug, Clone, Copy)]
enum Action {
    Write { alice: bool },
    Deliver { to_alice: bool, which: usize },
    Drop { to_alice: bool, which: usize },
    Repeat { to_alice: bool, which: usize },
    Restart { alice: bool },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let one = prop_oneof![
        4 => any::<bool>().prop_map(|alice| Action::Write { alice }),
        4 => (any::<bool>(), any::<usize>()).prop_map(|(to_alice, which)| Action::Deliver { to_alice, which }),
        1 => (any::<bool>(), any::<usize>()).prop_map(|(to_alice, which)| Action::Drop { to_alice, which }),
        1 => (any::<bool>(), any::<usize>()).prop_map(|(to_alice, which)| Action::Repeat { to_alice, which }),
        1 => any::<bool>().prop_map(|alice| Action::Restart { alice }),
    ];
    proptest::collection::vec(one, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_on_the_line_what_arrives_is_what_was_written(actions in actions()) {
        let ((mut alice, mut at_alice), (mut bob, mut at_bob)) = established();
        let mut lines: [Vec<(u32, Envelope)>; 2] = [Vec::new(), Vec::new()];
        let mut delivered: [Vec<(u32, Envelope)>; 2] = [Vec::new(), Vec::new()];
        let mut count = 0_u32;
        for action in actions {
            match action {
                Action::Write { alice: by_alice } => {
                    count += 1;
                    let content = count.to_be_bytes();
                    let envelope = if by_alice {
                        alice.encrypt(&mut at_alice, &content)
                    } else {
                        bob.encrypt(&mut at_bob, &content)
                    };
                    lines[usize::from(by_alice)].push((count, envelope));
                }
                Action::Deliver { to_alice, which } => {
                    let line = usize::from(!to_alice);
                    if lines[line].is_empty() { continue; }
                    let index = which % lines[line].len();
                    let (number, envelope) = lines[line].swap_remove(index);
                    let (session, rng) =
                        if to_alice { (&mut at_alice, &mut alice.rng) } else { (&mut at_bob, &mut bob.rng) };
                    // More than five chains behind is given up; everything else arrives.
                    match session.decrypt(&envelope, rng) {
                        Ok(content) => prop_assert_eq!(content.as_slice(), &number.to_be_bytes()[..]),
                        Err(error) => prop_assert!(matches!(
                            error,
                            DecryptError::NoHeaderKey | DecryptError::AlreadyReceived
                        )),
                    }
                    delivered[line].push((number, envelope));
                }
                Action::Drop { to_alice, which } => {
                    let line = usize::from(!to_alice);
                    if lines[line].is_empty() { continue; }
                    let index = which % lines[line].len();
                    lines[line].swap_remove(index);
                }
                Action::Repeat { to_alice, which } => {
                    let line = usize::from(!to_alice);
                    if delivered[line].is_empty() { continue; }
                    let index = which % delivered[line].len();
                    let (session, rng) =
                        if to_alice { (&mut at_alice, &mut alice.rng) } else { (&mut at_bob, &mut bob.rng) };
                    prop_assert!(session.decrypt(&delivered[line][index].1, rng).is_err());
                }
                Action::Restart { alice: of_alice } => {
                    let session = if of_alice { &mut at_alice } else { &mut at_bob };
                    *session = Session::decode(&session.encode()).unwrap();
                }
            }
        }
        // Whatever was lost, the two go on talking.
        let last = alice.encrypt(&mut at_alice, b"last");
        prop_assert_eq!(at_bob.decrypt(&last, &mut bob.rng).unwrap().to_vec(), b"last".to_vec());
        let answer = bob.encrypt(&mut at_bob, b"answer");
        prop_assert_eq!(at_alice.decrypt(&answer, &mut alice.rng).unwrap().to_vec(), b"answer".to_vec());
    }
}
