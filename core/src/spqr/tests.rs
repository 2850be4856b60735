//! The hard cases of the second ratchet, without the first.

use chacha20::ChaCha20Rng;
use serde_json::{Value, json};

use super::*;
use crate::limits::{SKIP_MAX, SPQR_SKIPPED_KEYS_MAX};
use crate::test_rng::rng;
use crate::vectors::{check, hex, secret};

fn keys() -> SpqrInitialKeys {
    SpqrInitialKeys { chain_seed: secret(1), authentication_key: secret(2) }
}

fn pair() -> [Spqr; 2] {
    [Spqr::initiator(&keys()), Spqr::responder(&keys())]
}

fn send(side: &mut Spqr, rng: &mut ChaCha20Rng) -> (Box<SpqrHeader>, Secret<32>) {
    let sending = side.send(rng).unwrap();
    let message = (sending.header.clone(), sending.message_key.clone());
    side.apply_sending(sending);
    message
}

fn receive(side: &mut Spqr, (header, key): &(Box<SpqrHeader>, Secret<32>)) {
    let receiving = side.receive(header).unwrap();
    assert_eq!(receiving.message_key, *key);
    side.apply(receiving).unwrap();
}

/// Writes in turns until both sides have had so many epochs.
fn talk(sides: &mut [Spqr; 2], epoch: u64, rng: &mut ChaCha20Rng) {
    for turn in 0..1_000 {
        if sides.iter().all(|side| side.newest_epoch() >= epoch) {
            return;
        }
        let message = send(&mut sides[turn % 2], rng);
        receive(&mut sides[1 - turn % 2], &message);
    }
    panic!("epoch {epoch} never comes");
}

#[test]
fn every_message_has_a_key_of_its_own_and_both_sides_have_it() {
    let (mut sides, mut rng) = (pair(), rng(1));
    let mut seen = Vec::new();
    for turn in 0..100 {
        let message = send(&mut sides[turn % 2], &mut rng);
        receive(&mut sides[1 - turn % 2], &message);
        assert!(!seen.contains(&message.1));
        seen.push(message.1);
    }
    assert!(sides[0].newest_epoch() > 5);
    assert!(sides.iter().all(|side| side.epochs.len() as u64 <= SPQR_EPOCHS_KEPT + 1));
}

#[test]
fn what_is_sent_before_it_is_taken_over_changes_nothing() {
    let (mut sides, mut rng) = (pair(), rng(2));
    let before = sides.clone();
    let sending = sides[0].send(&mut rng).unwrap();
    let receiving = sides[1].receive(&sending.header).unwrap();
    assert_eq!(receiving.message_key, sending.message_key);
    assert!(sides == before);
    sides[1].apply(receiving).unwrap();
    assert_eq!(sides[1].receive(&sending.header).unwrap_err(), SpqrError::AlreadyReceived);
}

#[test]
fn a_late_message_of_a_kept_epoch_arrives_and_of_an_older_one_does_not() {
    let (mut sides, mut rng) = (pair(), rng(3));
    let late: Vec<_> = (0..3).map(|_| send(&mut sides[0], &mut rng)).collect();
    talk(&mut sides, SPQR_EPOCHS_KEPT, &mut rng);
    receive(&mut sides[1], &late[1]);
    assert_eq!(sides[1].receive(&late[1].0).unwrap_err(), SpqrError::AlreadyReceived);
    assert_eq!(sides[1].skipped.iter().count(), 2);
    talk(&mut sides, SPQR_EPOCHS_KEPT + 1, &mut rng);
    assert_eq!(sides[1].receive(&late[0].0).unwrap_err(), SpqrError::Epoch(0));
    assert_eq!(sides[1].skipped.iter().count(), 0);
}

#[test]
fn a_jump_too_far_is_refused_and_the_oldest_skipped_keys_are_given_up() {
    let (mut sides, mut rng) = (pair(), rng(4));
    let jump = SKIP_MAX as usize + 1;
    let messages: Vec<_> = (0..3 * jump).map(|_| send(&mut sides[0], &mut rng)).collect();
    let error = sides[1].receive(&messages[jump].0).unwrap_err();
    assert_eq!(error, SpqrError::TooFarAhead { by: SKIP_MAX + 1 });
    for step in 1..=3 {
        receive(&mut sides[1], &messages[step * jump - 1]);
    }
    assert_eq!(sides[1].skipped.iter().count(), SPQR_SKIPPED_KEYS_MAX);
    assert_eq!(sides[1].receive(&messages[0].0).unwrap_err(), SpqrError::AlreadyReceived);
    receive(&mut sides[1], &messages[jump]);
}

#[test]
fn a_header_that_no_one_writes_is_refused() {
    let (mut sides, mut rng) = (pair(), rng(5));
    let (header, _) = send(&mut sides[0], &mut rng);
    let altered = |place: usize, value: u8| {
        let mut altered = header.clone();
        altered[place] = value;
        sides[1].receive(&altered).unwrap_err()
    };
    assert_eq!(altered(7, 0), SpqrError::Header); // epoch 0
    assert_eq!(altered(7, 9), SpqrError::Epoch(8));
    assert_eq!(altered(0, 0xff), SpqrError::Epoch(0xff00_0000_0000_0000));
    assert_eq!(altered(8, 6), SpqrError::Header); // unknown kind
    assert_eq!(altered(SPQR_HEADER_LENGTH - 1, 0), SpqrError::Header); // number 0
}

#[test]
fn the_last_epoch_and_the_last_message_are_errors_and_nothing_begins_again() {
    let (mut sides, mut rng) = (pair(), rng(6));
    for side in &mut sides {
        side.epochs[0].epoch = u64::MAX - 1;
        match &mut side.braid {
            Braid::KeysUnsampled(state) => state.epoch.number = u64::MAX,
            Braid::NoHeaderReceived(state) => state.epoch.number = u64::MAX,
            _ => unreachable!(),
        }
    }
    let mut ended = None;
    for turn in 0..100 {
        let message = send(&mut sides[turn % 2], &mut rng);
        let receiver = &mut sides[1 - turn % 2];
        let before = receiver.clone();
        let receiving = receiver.receive(&message.0).unwrap();
        if let Err(error) = receiver.apply(receiving) {
            assert!(*receiver == before);
            ended = Some(error);
            break;
        }
    }
    assert_eq!(ended, Some(BraidError::EpochsExhausted));

    let [mut alice, _] = pair();
    alice.epochs[0].sending.as_mut().unwrap().number = u32::MAX;
    assert_eq!(alice.send(&mut rng).unwrap_err(), SpqrError::ChainExhausted);
}

#[test]
fn an_epoch_out_of_order_is_refused() {
    let [alice, _] = pair();
    for epoch in [0, 2, u64::MAX] {
        let key = EpochKey { epoch, key: secret(3) };
        assert_eq!(alice.next_epoch(&key).unwrap_err(), SpqrError::Epoch(epoch));
    }
}

#[test]
fn spqr_vectors() {
    let chains = |spqr: &Spqr| {
        let chains = spqr.epochs.last().unwrap();
        json!({
            "epoch": chains.epoch,
            "root_key": hex(spqr.root_key.as_bytes()),
            "initiator_chain_key": hex(chains.sending.as_ref().unwrap().chain_key.as_bytes()),
            "responder_chain_key": hex(chains.receiving.chain_key.as_bytes()),
        })
    };
    let mut alice = Spqr::initiator(&keys());
    let first = chains(&alice);
    let mut chain = alice.epochs[0].receiving.clone();
    let steps: Vec<Value> = (1..=3)
        .map(|number| {
            let message_key = chain.step().unwrap();
            json!({
                "number": number,
                "message_key": hex(message_key.as_bytes()),
                "next_chain_key": hex(chain.chain_key.as_bytes()),
            })
        })
        .collect();
    let addition = alice.next_epoch(&EpochKey { epoch: 1, key: secret(3) }).unwrap();
    alice.finish(Some(addition));
    check(
        "spqr",
        &json!({
            "about": "spec/ratchet.md, Sparse post-quantum ratchet: the chains of the first two epochs, and steps of the responder's first chain.",
            "chain_seed": hex([1; 32]),
            "start": first,
            "responder_chain": steps,
            "key_of_epoch_1": hex([3; 32]),
            "added": chains(&alice),
        }),
    );
}
