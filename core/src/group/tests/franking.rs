//! Every message is bound to its sender's device, and what is not is shown to nobody.

use super::hard_cases::trio;
use super::rogue::rogue_entry;
use super::*;
use crate::franking::{self, FrankingError, FrankingProof};

#[test]
fn what_could_not_be_reported_is_refused_by_all_and_costs_nobody_anything() {
    let (_, mut log, mut readers, mut rng) = trio();
    let log_id = readers[2].group.log_id().to_vec();
    let said = encoded("what nobody could report");
    let bad: [(&[u8], Vec<u8>); 5] = [
        (&said, Vec::new()),
        (&said, log_id[..31].to_vec()),
        (&said, [&log_id[..], &[0]].concat()),
        (&said, vec![9; 32]),
        (b"no content", log_id),
    ];
    let count = bad.len();
    // Each is good MLS of a member in good standing.
    for (bytes, beside) in &bad {
        let entry =
            rogue_entry!(readers[2].group, &mut rng, |rogue| rogue.encrypt_application_message(bytes, beside.clone()));
        // His own state goes on as the rogue's did, or he would use a key twice.
        let _ = encrypted(&mut readers[2].group, "for the ratchet", &mut rng).unwrap();
        assert!(log.append(&entry, false));
    }
    say(&mut log, &mut readers[2], "and this one counts", &mut rng);
    for reader in &mut readers[..2] {
        let received = reader.catch_up(&log);
        for received in &received[..count - 1] {
            assert_eq!(*received, Err(GroupError::Franking(FrankingError::OtherLog)));
        }
        assert!(matches!(received[count - 1], Err(GroupError::Franking(FrankingError::Content(_)))));
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
    let bytes = encoded("5 mg");
    let sent = readers[2].group.encrypt(&bytes, &mut rng).unwrap();
    assert!(log.append(&sent.entry, false));
    let key = accounts[2].statement.device(1).unwrap().keys().signing_key;
    for reader in [0, 1] {
        let received = readers[reader].catch_up(&log);
        let Ok(Received::Message { franked, content, device_key, .. }) = &received[0] else { panic!("{received:?}") };
        assert_eq!((&franked.bytes, &franked.proof), (&bytes, &sent.proof));
        assert_eq!((text_of(content), *device_key), ("5 mg", key));
        let opened = franking::open(&franked.bytes, &franked.proof, &readers[0].group.log_id(), &key).unwrap();
        assert_eq!((opened.content, opened.epoch), (*content.clone(), sent.entry.epoch));
        assert!(franked.proof.group_context.len() < 160, "{}", franked.proof.group_context.len());
    }
}

#[test]
fn a_message_that_lost_a_race_is_bound_to_the_epoch_that_it_came_into() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let bytes = encoded("sent twice");
    let late = readers[2].group.encrypt(&bytes, &mut rng).unwrap();
    commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
    assert!(!log.append(&late.entry, false));
    let again = readers[2].group.encrypt(&bytes, &mut rng).unwrap();
    assert!(log.append(&again.entry, false));
    let received = readers[1].catch_up(&log);
    let Ok(Received::Message { franked, .. }) = &received[0] else { panic!("{received:?}") };
    assert_eq!(franked.proof, again.proof);
    let key = accounts[2].statement.device(1).unwrap().keys().signing_key;
    let epoch_of = |proof: &FrankingProof| {
        franking::open(&bytes, proof, &readers[0].group.log_id(), &key).map(|opened| opened.epoch).unwrap()
    };
    assert_eq!((epoch_of(&late.proof), epoch_of(&again.proof)), (late.entry.epoch, again.entry.epoch));
    assert_eq!(late.entry.epoch + 1, again.entry.epoch);
}

/// The signature of a message of an epoch that is over was made in that epoch's context, which is not the group's any more.
#[test]
fn a_message_that_is_read_in_a_later_epoch_can_be_reported_all_the_same() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let late = readers[2].group.encrypt(&encoded("read late"), &mut rng).unwrap();
    commit(&mut log, &mut readers[..2], 0, &Change::default(), &mut rng);
    commit(&mut log, &mut readers[..2], 1, &Change::default(), &mut rng);
    let received = readers[1].group.process(&late.entry.entry, late.entry.epoch, false).unwrap();
    let Received::Message { franked, .. } = received else { panic!("{received:?}") };
    assert_eq!(franked.proof, late.proof);
    let key = accounts[2].statement.device(1).unwrap().keys().signing_key;
    let opened = franking::open(&franked.bytes, &franked.proof, &readers[1].group.log_id(), &key).unwrap();
    assert_eq!(opened.epoch, late.entry.epoch);
}

/// Bytes of one context under the signature of another: an officer who did not look at the context would take them.
#[test]
fn what_was_said_to_one_group_was_not_said_to_another_nor_in_another_epoch() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let (_, mut others) = group_of(Suite::Classical, &accounts[0], &[], &mut rng);
    let other = &mut others[0];
    let bytes = encoded("Yes");
    let here = readers[0].group.encrypt(&bytes, &mut rng).unwrap().proof;
    commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
    let later = readers[0].group.encrypt(&bytes, &mut rng).unwrap().proof;
    let elsewhere = other.group.encrypt(&bytes, &mut rng).unwrap().proof;
    let key = accounts[0].statement.device(1).unwrap().keys().signing_key;
    let proofs = [here, later, elsewhere];
    let logs = [readers[0].group.log_id(), readers[0].group.log_id(), other.group.log_id()];
    for (context, proof) in proofs.iter().enumerate() {
        for (signature, of) in proofs.iter().enumerate() {
            for (log, log_id) in logs.iter().enumerate() {
                let mixed = FrankingProof { signature: of.signature, ..proof.clone() };
                let opened = franking::open(&bytes, &mixed, log_id, &key);
                let fits = context == signature && *log_id == logs[context];
                assert_eq!(opened.is_ok(), fits, "context {context}, signature {signature}, log {log}");
            }
        }
    }
}

/// An officer knows who is in the organisation, and could try all small groups.
#[test]
fn what_is_reported_does_not_tell_name_and_roster_to_who_tries_them() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let policy = (*readers[0].group.policy().unwrap()).clone();
    let hash_in = |proof: &FrankingProof, policy: &GroupPolicy| {
        let hash = policy.context_hash();
        proof.group_context.windows(32).any(|bytes| bytes == hash)
    };
    let proof = readers[2].group.encrypt(&encoded("x"), &mut rng).unwrap().proof;
    assert!(hash_in(&proof, &policy), "what is looked for is found by a member");
    let guessed = GroupPolicy { blinding: [0; 32], ..policy.clone() };
    assert!(!hash_in(&proof, &guessed));
    let (_, others) = group_of(Suite::Classical, &accounts[0], &[], &mut rng);
    assert_ne!(others[0].group.policy().unwrap().blinding, policy.blinding);
    // Not even an owner who changes the policy takes it off.
    let renamed = GroupPolicy { name: "Ward 4".to_owned(), ..guessed };
    commit(&mut log, &mut readers, 0, &Change { policy: Some(renamed.clone()), ..Change::default() }, &mut rng);
    let proof = readers[2].group.encrypt(&encoded("x"), &mut rng).unwrap().proof;
    assert!(!hash_in(&proof, &renamed));
    assert!(hash_in(&proof, &GroupPolicy { blinding: policy.blinding, ..renamed }));
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
