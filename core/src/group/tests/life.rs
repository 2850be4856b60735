//! What groups do when nobody means them ill.

use super::*;
use crate::test_rng::rng;

const BOTH: [Suite; 2] = [Suite::PostQuantum, Suite::Classical];

#[test]
fn members_write_to_each_other_and_nobody_else_reads() {
    for suite in BOTH {
        let rng = &mut rng(1);
        let [claire, karim, anne] =
            [("claire", 1), ("karim", 2), ("anne", 3)].map(|(name, seed)| Account::new(name, 1, seed));
        let (mut log, mut readers) = group_of(suite, &claire, &[(&karim, Role::Member), (&anne, Role::Member)], rng);
        assert_eq!(readers[0].group.size(), 3);
        say(&mut log, &mut readers[0], "Bed 4 is free", rng);
        say(&mut log, &mut readers[1], "Thank you", rng);
        assert_eq!(readers[2].texts(&log), ["Bed 4 is free", "Thank you"]);
        // One's own comes back as one's own.
        assert_eq!(readers[0].catch_up(&log)[0], Ok(Received::Own));
        let received = readers[1].catch_up(&log);
        let Ok(Received::Message { sender, .. }) = &received[0] else { panic!("{received:?}") };
        assert_eq!((&sender.address, sender.device_id, sender.role), (claire.address(), 1, Some(Role::Owner)));
    }
}

#[test]
fn everyone_has_the_keys_of_the_epoch_and_the_log() {
    let rng = &mut rng(1);
    let [claire, karim] = [Account::new("claire", 1, 1), Account::new("karim", 1, 2)];
    let (mut log, mut readers) = group_of(Suite::Classical, &claire, &[(&karim, Role::Member)], rng);
    let keys = |reader: &Reader| reader.group.keys().access_key().verifying_key();
    assert_eq!(keys(&readers[0]), keys(&readers[1]));
    assert_eq!(readers[0].group.log_id(), readers[1].group.log_id());
    let before = keys(&readers[0]);
    let prepared = commit(&mut log, &mut readers, 1, &Change::default(), rng);
    assert_eq!(keys(&readers[0]), prepared.next_access_key);
    assert_eq!(keys(&readers[1]), prepared.next_access_key);
    assert_ne!(before, prepared.next_access_key);
    assert_eq!(readers[0].group.keys_of(1).unwrap().access_key().verifying_key(), before);
}

#[test]
fn a_group_of_one_works() {
    let rng = &mut rng(1);
    let claire = Account::new("claire", 1, 1);
    let mut group = claire.engine(1).create(Suite::PostQuantum, &claire.policy(&[]), NOW, rng).unwrap();
    assert_eq!((group.epoch(), group.size(), group.own_role()), (0, 1, Ok(Role::Owner)));
    let mut log = Log::default();
    assert!(log.append(&encrypted(&mut group, "note to myself", rng).unwrap(), false));
    let prepared = group.prepare_commit(&Change::default(), rng).unwrap();
    assert!(prepared.invitation.is_none());
    assert!(log.append(&prepared.entry, true));
    let change = group.adopt_commit().unwrap();
    assert_eq!((change.epoch, group.epoch()), (1, 1));
}

#[test]
fn an_owner_changes_name_and_roles_and_all_see_it() {
    let rng = &mut rng(1);
    let [claire, karim] = [Account::new("claire", 1, 1), Account::new("karim", 1, 2)];
    let (mut log, mut readers) = group_of(Suite::Classical, &claire, &[(&karim, Role::Member)], rng);
    let mut policy = (*readers[0].group.policy().unwrap()).clone();
    policy.name = "Ward 4".to_owned();
    policy.set(karim.address(), karim.key(), Role::Owner);
    commit(&mut log, &mut readers, 0, &Change { policy: Some(policy.clone()), ..Change::default() }, rng);
    for reader in &readers {
        assert_eq!(*reader.group.policy().unwrap(), policy);
    }
    assert_eq!(readers[1].group.own_role(), Ok(Role::Owner));
}

#[test]
fn who_leaves_is_removed_by_the_next_commit() {
    let rng = &mut rng(1);
    let [claire, karim, anne] =
        [("claire", 1), ("karim", 2), ("anne", 3)].map(|(name, seed)| Account::new(name, 1, seed));
    let (mut log, mut readers) =
        group_of(Suite::Classical, &claire, &[(&karim, Role::Member), (&anne, Role::Member)], rng);
    let leaving = readers[2].group.leave(rng).unwrap();
    assert!(log.append(&leaving, false));
    let received = readers[1].catch_up(&log);
    let Ok(Received::Leaving(member)) = &received[0] else { panic!("{received:?}") };
    assert_eq!(member.address, *anne.address());
    assert!(readers[1].group.commit_required());
    assert_eq!(encrypted(&mut readers[1].group, "too early", rng), Err(GroupError::CommitFirst));
    // A member who is no owner carries it out.
    let prepared = readers[1].group.prepare_commit(&Change::default(), rng).unwrap();
    assert!(log.append(&prepared.entry, true));
    let received = readers[2].catch_up(&log);
    let Some(Ok(Received::Epoch(change))) = received.last() else { panic!("{received:?}") };
    assert!(change.removed_self);
    assert_eq!(change.removed[0].address, *anne.address());
    assert_eq!(encrypted(&mut readers[2].group, "too late", rng), Err(GroupError::Removed));
    readers[0].catch_up(&log).into_iter().for_each(|received| drop(received.unwrap()));
    readers[1].catch_up(&log).into_iter().for_each(|received| drop(received.unwrap()));
    say(&mut log, &mut readers[1], "without Anne", rng);
    assert_eq!(readers[0].texts(&log), ["without Anne"]);
    assert_eq!(readers[0].group.size(), 2);
}

#[test]
fn a_device_comes_and_goes_with_its_account() {
    let rng = &mut rng(1);
    let [claire, karim] = [Account::new("claire", 1, 1), Account::new("karim", 3, 2)];
    let (mut log, mut readers) = group_of(Suite::Classical, &claire, &[(&karim, Role::Member)], rng);
    let (package, secret) = karim.key_package(2, Suite::Classical, rng);
    let prepared = commit(&mut log, &mut readers, 1, &Change { add: vec![package], ..Change::default() }, rng);
    let group = karim.engine(2).join(&prepared.invitation.unwrap(), &secret).unwrap();
    readers.push(Reader::at(group, &log));
    say(&mut log, &mut readers[2], "from my tablet", rng);
    assert_eq!(readers[0].texts(&log), ["from my tablet"]);
    readers[1].texts(&log);
    let tablet = readers[2].group.own_leaf();
    let prepared = readers[1].group.prepare_commit(&Change { remove: vec![tablet], ..Change::default() }, rng).unwrap();
    assert!(log.append(&prepared.entry, true));
    assert!(matches!(readers[2].catch_up(&log).last(), Some(Ok(Received::Epoch(change))) if change.removed_self));
    assert!(matches!(readers[0].catch_up(&log).last(), Some(Ok(Received::Epoch(change))) if !change.removed_self));
}
