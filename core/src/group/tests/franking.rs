//! Every message is bound to its sender's device, and what is not is shown to nobody.

use super::hard_cases::trio;
use super::rogue::rogue_entry;
use super::*;
use crate::franking::{self, FrankedContent, FrankingError, FrankingTag};

fn said(text: &str) -> Content {
    content(Body::Chat(Chat::Text { text: text.to_owned() }))
}

#[test]
fn what_is_not_franked_as_it_must_be_is_refused_by_all_and_costs_nobody_anything() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let log_id = readers[2].group.log_id();
    let own_key = &accounts[2].devices[0].signing_key;
    let (said, other) = (said("what nobody could report"), said("something harmless"));
    let good = franking::frank(&said, &log_id, own_key, &mut rng).unwrap();
    let tag_of = |franked: FrankedContent| franked.tag.encode().to_vec();
    let elsewhere = franking::frank(&said, &[9; 32], own_key, &mut rng).unwrap();
    let borrowed = franking::frank(&said, &log_id, &accounts[1].devices[0].signing_key, &mut rng).unwrap();
    let harmless = franking::frank(&other, &log_id, own_key, &mut rng).unwrap();
    let unsigned = FrankingTag { signature: [0; 64], ..good.tag };
    let bad: [(&[u8], Vec<u8>, FrankingError); 7] = [
        (&good.bytes, Vec::new(), FrankingError::TagLength(0)),
        (&good.bytes, good.tag.encode()[..95].to_vec(), FrankingError::TagLength(95)),
        (&said.encode().unwrap(), good.tag.encode().to_vec(), FrankingError::NoKey),
        (&good.bytes, tag_of(harmless), FrankingError::Commitment),
        (&elsewhere.bytes, tag_of(elsewhere.clone()), FrankingError::Commitment),
        (&borrowed.bytes, tag_of(borrowed.clone()), FrankingError::Signature),
        (&good.bytes, unsigned.encode().to_vec(), FrankingError::Signature),
    ];
    let count = bad.len();
    // Each is good MLS of a member in good standing.
    for (bytes, tag, _) in &bad {
        let entry =
            rogue_entry!(readers[2].group, &mut rng, |rogue| rogue.encrypt_application_message(bytes, tag.clone()));
        // His own state goes on as the rogue's did, or he would use a key twice.
        let _ = encrypted(&mut readers[2].group, "for the ratchet", &mut rng).unwrap();
        assert!(log.append(&entry, false));
    }
    say(&mut log, &mut readers[2], "and this one counts", &mut rng);
    for reader in &mut readers[..2] {
        let received = reader.catch_up(&log);
        for (received, (_, _, error)) in received.iter().zip(&bad) {
            assert_eq!(*received, Err(GroupError::Franking(error.clone())));
        }
        assert!(
            matches!(&received[count], Ok(Received::Message { content, .. }) if text_of(content).ends_with("counts"))
        );
    }
    // The refused ones are used up all the same: shown again they are old, not news.
    let (epoch, entry, _) = &log.entries[log.entries.len() - 2];
    assert_eq!(readers[1].group.process(entry, *epoch, false), Err(GroupError::MessageKey));
}

#[test]
fn what_comes_out_is_byte_for_byte_what_the_sender_is_bound_to() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let franked = readers[2].group.frank(&said("5 mg"), &mut rng).unwrap();
    let entry = readers[2].group.encrypt(&franked, &mut rng).unwrap();
    assert!(log.append(&entry, false));
    let received = readers[0].catch_up(&log);
    let Ok(Received::Message { franked: received, content, .. }) = &received[0] else { panic!("{received:?}") };
    assert_eq!((received, text_of(content)), (&franked, "5 mg"));
    let key = accounts[2].statement.device(1).unwrap().keys().signing_key;
    assert!(franking::open(&received.bytes, &received.tag, &readers[0].group.log_id(), &key).is_ok());
}

#[test]
fn a_message_that_lost_a_race_keeps_its_tag_in_the_next_epoch() {
    let (_, mut log, mut readers, mut rng) = trio();
    let franked = readers[2].group.frank(&said("sent twice"), &mut rng).unwrap();
    let late = readers[2].group.encrypt(&franked, &mut rng).unwrap();
    commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
    assert!(!log.append(&late, false));
    let again = readers[2].group.encrypt(&franked, &mut rng).unwrap();
    assert!(log.append(&again, false));
    let received = readers[1].catch_up(&log);
    assert!(matches!(&received[0], Ok(Received::Message { franked: received, .. }) if *received == franked));
}

#[test]
fn what_was_franked_for_another_group_is_not_sent() {
    let (_, _, mut readers, mut rng) = trio();
    let (_, _, others, _) = trio();
    let elsewhere =
        FrankedContent { bytes: vec![1, 2, 3].into(), ..readers[0].group.frank(&said("x"), &mut rng).unwrap() };
    assert!(matches!(readers[0].group.encrypt(&elsewhere, &mut rng), Err(GroupError::Franking(_))));
    drop(others);
    let mut foreign = readers[0].group.frank(&said("x"), &mut rng).unwrap();
    foreign.tag = franking::frank(&said("x"), &[9; 32], &readers[0].group.device_key, &mut rng).unwrap().tag;
    let refused = readers[0].group.encrypt(&foreign, &mut rng);
    assert_eq!(refused, Err(FrankingError::Commitment.into()));
}

#[test]
fn what_a_departed_member_said_is_not_put_into_the_mouth_of_who_has_his_leaf() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let late = encrypted(&mut readers[2].group, "said by Anne", &mut rng).unwrap();
    let (eve, leaf) = (Account::new("eve", 1, 9), readers[2].group.own_leaf());
    let mut policy = (*readers[0].group.policy().unwrap()).clone();
    policy.remove(accounts[2].address());
    let change = Change { remove: vec![leaf], policy: Some(policy.clone()), ..Change::default() };
    commit(&mut log, &mut readers[..2], 0, &change, &mut rng);
    policy.set(eve.address(), eve.key(), Role::Member);
    let (package, _) = eve.key_package(1, readers[0].group.suite(), &mut rng);
    let change = Change { add: vec![package], policy: Some(policy), ..Change::default() };
    commit(&mut log, &mut readers[..2], 0, &change, &mut rng);
    assert_eq!(readers[1].group.leaves_of(eve.address()).unwrap()[0].leaf, leaf);
    // A server that keeps no order shows it now, and its epoch's keys are still there.
    assert!(readers[1].group.keys_of(late.epoch).is_some());
    assert!(readers[1].group.process(&late.entry, late.epoch, false).is_err());
}
