//! The Braid alone.

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::Rng;
use serde_json::{Value, json};

use super::*;
use crate::limits::BRAID_CHUNKS;
use crate::test_rng::rng;
use crate::vectors::{check, hex, secret};

/// One side and the keys that it has come to.
struct Side {
    braid: Braid,
    keys: Vec<EpochKey>,
}

impl Side {
    fn pair() -> [Self; 2] {
        [Braid::initiator(&secret(1)), Braid::responder(&secret(1))].map(|braid| Self { braid, keys: Vec::new() })
    }

    fn send(&mut self, count: usize, rng: &mut ChaCha20Rng) -> BraidMessage {
        let (braid, message, key) = self.braid.clone().send(count, rng);
        self.braid = braid;
        self.keys.extend(key);
        message
    }

    fn receive(&mut self, message: &BraidMessage) -> Result<(), BraidError> {
        let (braid, key) = self.braid.clone().receive(message)?;
        self.braid = braid;
        self.keys.extend(key);
        Ok(())
    }
}

fn name(braid: &Braid) -> String {
    format!("{braid:?}").split('(').next().unwrap().to_owned()
}

/// Both sides have the same keys, as far as both have come.
fn agree([alice, bob]: &[Side; 2]) {
    let common = alice.keys.len().min(bob.keys.len());
    assert_eq!(alice.keys[..common], bob.keys[..common]);
    assert!(alice.keys.len().abs_diff(bob.keys.len()) <= 1);
    for (index, key) in alice.keys.iter().enumerate() {
        assert_eq!(key.epoch, index as u64 + 1);
    }
}

/// What a conversation shows in which the first side writes `first` messages for each one of the other.
struct Healing {
    /// Messages of ten epochs, after the first.
    ten_epochs: usize,
    /// Most messages from a moment at which one side's whole state was copied to a message under a key that the copy
    /// does not lead to: that side has drawn anew, and the sender knows that both have the key.
    worst: usize,
}

fn measure(count: usize, first: usize) -> Healing {
    let mut sides = Side::pair();
    let mut rng = rng(1);
    // By side: before which message it drew, and for which epoch. And the first message under each epoch's key.
    let mut drawn = [Vec::new(), Vec::new()];
    let mut first_under: Vec<usize> = vec![0];
    let mut messages = 0;
    while first_under.len() < 14 {
        let sender = usize::from(messages % (first + 1) >= first);
        if matches!(sides[sender].braid, Braid::KeysUnsampled(_) | Braid::HeaderReceived(_)) {
            drawn[sender].push((messages, sides[sender].braid.epoch().number as usize));
        }
        if sides[sender].braid.sending_epoch() as usize == first_under.len() {
            first_under.push(messages);
        }
        let message = sides[sender].send(count, &mut rng);
        sides[1 - sender].receive(&message).unwrap();
        messages += 1;
        assert!(messages < 10_000);
    }
    agree(&sides);
    let worst = drawn.iter().flat_map(|drawn| {
        drawn.windows(2).filter_map(|pair| {
            // Copied right after the one draw: what is drawn next is not in the copy.
            let ((copied, _), (_, epoch)) = (pair[0], pair[1]);
            first_under.get(epoch).map(|healed| healed - copied)
        })
    });
    Healing { ten_epochs: first_under[11] - first_under[1], worst: worst.max().unwrap() }
}

#[test]
fn an_epoch_takes_so_many_messages() {
    // spec/decisions.md has this table.
    let measured = [1, 2, 4, 8, 12, 16, 36].map(|count| {
        let [even, uneven] = [1, 10].map(|first| measure(count, first));
        println!(
            "{count} chunks: an epoch has {} messages in ping-pong, {} in 10:1 talk; healing takes at most {} and {}",
            even.ten_epochs / 10,
            uneven.ten_epochs / 10,
            even.worst,
            uneven.worst
        );
        (count, even, uneven)
    });
    // One chunk a message is what Signal's implementation sends: 87 messages an epoch (reference).
    assert_eq!(measured[0].1.ten_epochs, 870);
    let (_, even, uneven) = measured.iter().find(|(count, _, _)| *count == BRAID_CHUNKS).unwrap();
    assert_eq!((even.ten_epochs, even.worst), (90, 17));
    assert_eq!((uneven.ten_epochs, uneven.worst), (495, 98));
}

#[test]
fn every_transition_is_taken_and_leads_where_the_specification_says() {
    let mut sides = Side::pair();
    let mut rng = rng(2);
    let mut seen = [vec![name(&sides[0].braid)], vec![name(&sides[1].braid)]];
    for turn in 0..60 {
        let message = sides[turn % 2].send(BRAID_CHUNKS, &mut rng);
        sides[1 - turn % 2].receive(&message).unwrap();
        for (side, seen) in sides.iter().zip(&mut seen) {
            let name = name(&side.braid);
            if *seen.last().unwrap() != name {
                seen.push(name);
            }
        }
    }
    agree(&sides);
    let generating = ["KeysUnsampled", "KeysSampled", "HeaderSent", "Ct1Received", "NoHeaderReceived"];
    assert_eq!(seen[0][..5], generating);
    let encapsulating = ["NoHeaderReceived", "HeaderReceived", "Ct1Sampled"];
    assert_eq!(seen[1][..3], encapsulating);
    // Then the roles change.
    assert_eq!(seen[1][3..8], ["Ct2Sampled", "KeysUnsampled", "KeysSampled", "HeaderSent", "Ct1Received"]);
}

/// With one chunk a message and messages of some kinds held back, each of the thirteen transitions is taken.
#[test]
fn the_rarer_transitions() {
    let mut rng = rng(3);
    let mut sides = Side::pair();
    let turn = |sides: &mut [Side; 2], sender: usize, arrives: bool, rng: &mut ChaCha20Rng| {
        let message = sides[sender].send(1, rng);
        if arrives {
            sides[1 - sender].receive(&message).unwrap();
        }
        message.kind
    };
    for _ in 0..3 {
        assert_eq!(turn(&mut sides, 0, true, &mut rng), PieceKind::Header);
    }
    assert_eq!(name(&sides[1].braid), "HeaderReceived");
    for _ in 0..30 {
        assert_eq!(turn(&mut sides, 1, true, &mut rng), PieceKind::FirstPart);
    }
    // 8: the acknowledgement before the vector is complete.
    assert_eq!(name(&sides[0].braid), "Ct1Received");
    assert_eq!(turn(&mut sides, 0, true, &mut rng), PieceKind::VectorAcknowledging);
    assert_eq!(name(&sides[1].braid), "Ct1Acknowledged");
    assert_eq!(turn(&mut sides, 1, true, &mut rng), PieceKind::FirstPart);
    // 11
    for _ in 0..35 {
        turn(&mut sides, 0, true, &mut rng);
    }
    assert_eq!(name(&sides[1].braid), "Ct2Sampled");
    // 4
    assert_eq!(turn(&mut sides, 1, true, &mut rng), PieceKind::SecondPart);
    assert_eq!(name(&sides[0].braid), "EkSentCt1Received");
    assert_eq!(turn(&mut sides, 0, true, &mut rng), PieceKind::None);
    for _ in 0..4 {
        turn(&mut sides, 1, true, &mut rng);
    }
    assert_eq!(name(&sides[0].braid), "NoHeaderReceived");
    // 13
    assert_eq!(turn(&mut sides, 0, true, &mut rng), PieceKind::None);
    assert_eq!(name(&sides[1].braid), "KeysUnsampled");
    agree(&sides);
    // The next epoch, roles changed: the whole vector before the first part's end (10), then the acknowledgement (12).
    for _ in 0..3 {
        turn(&mut sides, 1, true, &mut rng);
    }
    turn(&mut sides, 0, true, &mut rng);
    for _ in 0..36 {
        assert_eq!(turn(&mut sides, 1, true, &mut rng), PieceKind::Vector);
    }
    assert_eq!(name(&sides[0].braid), "EkReceivedCt1Sampled");
    for _ in 0..29 {
        assert_eq!(turn(&mut sides, 0, true, &mut rng), PieceKind::FirstPart);
    }
    assert_eq!(turn(&mut sides, 1, true, &mut rng), PieceKind::VectorAcknowledging);
    assert_eq!(name(&sides[0].braid), "Ct2Sampled");
    for _ in 0..5 {
        turn(&mut sides, 0, true, &mut rng);
    }
    agree(&sides);
    assert_eq!(sides[1].keys.len(), 2);
}

#[test]
fn a_dropper_that_lets_only_some_kinds_through_delays_and_breaks_nothing() {
    let kinds = [
        PieceKind::None,
        PieceKind::Header,
        PieceKind::Vector,
        PieceKind::VectorAcknowledging,
        PieceKind::FirstPart,
        PieceKind::SecondPart,
    ];
    for let_through in 0..1_u32 << kinds.len() {
        let mut sides = Side::pair();
        let mut rng = rng(4);
        for turn in 0..240 {
            let message = sides[turn % 2].send(BRAID_CHUNKS, &mut rng);
            let passes = turn >= 120 || (let_through >> message.kind as u32) & 1 == 1;
            if passes {
                sides[1 - turn % 2].receive(&message).unwrap();
            }
        }
        agree(&sides);
        assert!(sides[0].keys.len() >= 8, "kinds {let_through:b}: once all pass, the two go on");
    }
}

#[test]
fn dropping_the_piece_itself_leaves_the_further_chunks() {
    let mut sides = Side::pair();
    let mut rng = rng(5);
    for turn in 0..1_200 {
        let message = sides[turn % 2].send(1, &mut rng);
        // What arrives is never a chunk of the piece itself.
        if message.kind == PieceKind::None || message.first_index >= 36 {
            sides[1 - turn % 2].receive(&message).unwrap();
        }
    }
    agree(&sides);
    assert!(sides[0].keys.len() >= 2);
}

/// Runs ping-pong until a message of this kind, and alters a chunk of it.
fn altered(kind: PieceKind, count: usize) -> Result<(), BraidError> {
    let mut sides = Side::pair();
    let mut rng = rng(6);
    for turn in 0..200 {
        let mut message = sides[turn % 2].send(count, &mut rng);
        if message.kind == kind {
            message.chunks[0][7] ^= 0x10;
        }
        sides[1 - turn % 2].receive(&message)?;
    }
    Ok(())
}

#[test]
fn a_wrong_mac_or_key_ends_the_session() {
    assert_eq!(altered(PieceKind::Header, BRAID_CHUNKS), Err(BraidError::HeaderMac(1)));
    let key = BraidError::Key(1, IncrementalKemError::EncapsulationKey);
    assert_eq!(altered(PieceKind::Vector, BRAID_CHUNKS), Err(key));
    // Another first part is another ciphertext: implicit rejection gives a key under which no MAC verifies.
    assert_eq!(altered(PieceKind::FirstPart, BRAID_CHUNKS), Err(BraidError::CiphertextMac(1)));
    assert_eq!(altered(PieceKind::SecondPart, BRAID_CHUNKS), Err(BraidError::CiphertextMac(1)));
}

/// One side is put back to an earlier state, for every pair of moments of an epoch and either side: the two come to the
/// same keys again, or one of them is told.
#[test]
fn a_side_put_back_goes_on_or_says_so() {
    for count in [1, BRAID_CHUNKS] {
        let (mut rng, mut sides) = (rng(11), Side::pair());
        let mut history = vec![sides.each_ref().map(|side| side.braid.clone())];
        for turn in 0..if count == 1 { 190 } else { 40 } {
            let message = sides[turn % 2].send(count, &mut rng);
            sides[1 - turn % 2].receive(&message).unwrap();
            history.push(sides.each_ref().map(|side| side.braid.clone()));
        }
        let step = if count == 1 { 7 } else { 1 };
        for late in (0..history.len()).step_by(step) {
            for early in (0..late).step_by(step) {
                for back in 0..2 {
                    put_back(&history[early], &history[late], back, count);
                }
            }
        }
    }
}

fn put_back(early: &[Braid; 2], late: &[Braid; 2], back: usize, count: usize) {
    let mut rng = rng(12);
    let mut sides = late.clone().map(|braid| Side { braid, keys: Vec::new() });
    sides[back].braid = early[back].clone();
    let ahead = late[1 - back].epoch().number;
    for turn in 0..400 {
        let message = sides[turn % 2].send(count, &mut rng);
        // The second ratchet has no key for a message of an epoch that this side knows nothing of.
        let receiver = &mut sides[1 - turn % 2];
        let known = receiver.braid.epoch().number - u64::from(!receiver.braid.has_key());
        if message.epoch - 1 > known || receiver.receive(&message).is_err() {
            return;
        }
    }
    assert!(sides.iter().all(|side| side.braid.epoch().number > ahead), "both go on");
    let keys: std::collections::BTreeMap<_, _> = sides[0].keys.iter().map(|key| (key.epoch, &key.key)).collect();
    let common = sides[1].keys.iter().filter_map(|key| Some((keys.get(&key.epoch)?, &key.key)));
    assert!(common.into_iter().all(|(one, other)| *one == other));
}

#[test]
fn another_authentication_key_is_noticed_with_the_first_header() {
    let mut rng = rng(7);
    let (_, message, _) = Braid::initiator(&secret(1)).send(BRAID_CHUNKS, &mut rng);
    assert_eq!(Braid::responder(&secret(2)).receive(&message).unwrap_err(), BraidError::HeaderMac(1));
}

#[test]
fn the_last_epoch_is_an_error_and_not_the_first_again() {
    let mut rng = rng(8);
    let mut sides = Side::pair();
    for side in &mut sides {
        match &mut side.braid {
            Braid::KeysUnsampled(state) => state.epoch.number = u64::MAX,
            Braid::NoHeaderReceived(state) => state.epoch.number = u64::MAX,
            _ => unreachable!(),
        }
    }
    let mut result = Ok(());
    for turn in 0..100 {
        let message = sides[turn % 2].send(BRAID_CHUNKS, &mut rng);
        result = sides[1 - turn % 2].receive(&message);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, Err(BraidError::EpochsExhausted));
    // A message of epoch 0 is not the one after the last.
    let before = sides[1].braid.clone();
    sides[1].receive(&BraidMessage::none(0)).unwrap();
    assert_eq!(sides[1].braid, before);
}

#[test]
fn braid_vectors() {
    let mut sides = Side::pair();
    let mut draws = rng(9);
    let mut messages: Vec<Value> = Vec::new();
    while sides.iter().any(|side| side.keys.len() < 3) {
        let sender = messages.len() % 2;
        let drawn = match sides[sender].braid {
            Braid::KeysUnsampled(_) => 64,
            Braid::HeaderReceived(_) => 32,
            _ => 0,
        };
        let mut peek = vec![0; drawn];
        let mut copy = crate::vectors::copy(&draws);
        copy.fill_bytes(&mut peek);
        let message = sides[sender].send(BRAID_CHUNKS, &mut draws);
        sides[1 - sender].receive(&message).unwrap();
        messages.push(json!({
            "by": (if sender == 0 { "initiator" } else { "responder" }),
            "draws": hex(peek),
            "encoded": hex(message.encode()),
            "sender_is_then": name(&sides[sender].braid),
            "receiver_is_then": name(&sides[1 - sender].braid),
        }));
    }
    let mut authenticator = Authenticator::new(&secret(1));
    let first = authenticator.clone();
    authenticator.update(1, &secret(2));
    let keys: Vec<_> =
        sides[0].keys.iter().map(|key| json!({ "epoch": key.epoch, "key": hex(key.key.as_bytes()) })).collect();
    check(
        "braid",
        &json!({
            "about": "spec/ratchet.md, Braid: a conversation in turns until three keys are agreed on, and the authenticator alone. \
                `draws` is d || z (64) of a key pair or m (32) of an encapsulation.",
            "authentication_key": hex([1; 32]),
            "messages": messages,
            "keys": keys,
            "authenticator": {
                "key": hex([1; 32]),
                "root": hex(first.root.as_bytes()),
                "mac_key": hex(first.mac.as_bytes()),
                "header_mac_of_epoch_1": hex(first.header_mac(1, &[3; 64])),
                "header": hex([3; 64]),
                "ciphertext_mac_of_epoch_1": hex(first.ciphertext_mac(1, &[4; 960], &[5; 128])),
                "first_part": hex([4; 960]),
                "second_part": hex([5; 128]),
                "updated_in_epoch_1_by": hex([2; 32]),
                "next_root": hex(authenticator.root.as_bytes()),
                "next_mac_key": hex(authenticator.mac.as_bytes()),
            },
        }),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any order, any losses, any repetitions.
    #[test]
    fn whatever_arrives_the_keys_are_the_same(
        turns in proptest::collection::vec((any::<bool>(), 0_u8..4, any::<usize>()), 1..300),
        count in 1_usize..12,
    ) {
        let mut sides = Side::pair();
        let mut rng = rng(10);
        let mut lines: [Vec<BraidMessage>; 2] = [Vec::new(), Vec::new()];
        for (initiator, action, which) in turns {
            let sender = usize::from(!initiator);
            if action < 2 {
                let message = sides[sender].send(count, &mut rng);
                lines[sender].push(message);
            }
            if action > 0 && !lines[sender].is_empty() {
                let index = which % lines[sender].len();
                let message = if action == 3 { lines[sender][index].clone() } else { lines[sender].swap_remove(index) };
                sides[1 - sender].receive(&message).unwrap();
            }
            agree(&sides);
        }
    }
}
