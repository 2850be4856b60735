//! Groups that are stored and read back.

use super::*;
use crate::test_rng::rng;

fn pair(suite: Suite) -> (Account, Account, Log, Vec<Reader>, ChaCha20Rng) {
    let mut rng = rng(1);
    let [claire, karim] = [Account::new("claire", 1, 1), Account::new("karim", 1, 2)];
    let (log, readers) = group_of(suite, &claire, &[(&karim, Role::Member)], &mut rng);
    (claire, karim, log, readers, rng)
}

#[test]
fn a_group_comes_back_from_its_pages() {
    let (claire, karim, mut log, mut readers, mut rng) = pair(Suite::PostQuantum);
    let (mut first, mut second) = (Store::default(), Store::default());
    for round in 0..4 {
        first.save(&mut readers[0].group);
        second.save(&mut readers[1].group);
        readers[0].group = first.load(&claire.engine(1)).unwrap();
        readers[1].group = second.load(&karim.engine(1)).unwrap();
        assert_eq!(readers[0].group.generation(), round + 1);
        let text = format!("round {round}");
        say(&mut log, &mut readers[0], &text, &mut rng);
        assert_eq!(readers[1].texts(&log), [text]);
        commit(&mut log, &mut readers, 1, &Change::default(), &mut rng);
    }
}

#[test]
fn a_pending_commit_survives_a_restart() {
    let (claire, _, mut log, mut readers, mut rng) = pair(Suite::Classical);
    let prepared = readers[0].group.prepare_commit(&Change::default(), &mut rng).unwrap();
    let mut store = Store::default();
    store.save(&mut readers[0].group);
    let mut loaded = store.load(&claire.engine(1)).unwrap();
    assert!(loaded.has_pending_commit());
    assert_eq!(loaded.prepare_commit(&Change::default(), &mut rng), Err(GroupError::CommitPending));
    assert!(log.append(&prepared.entry, true));
    // It finds its own commit in the log, as after an answer that was lost.
    let read = loaded.process(&prepared.entry.entry, 1, true).unwrap();
    assert!(matches!(read, Received::Epoch(change) if change.epoch == 2));
    readers[0].group = loaded;
    readers[1].texts(&log);
    readers[0].read = log.entries.len();
    say(&mut log, &mut readers[0], "after the restart", &mut rng);
    assert_eq!(readers[1].texts(&log), ["after the restart"]);
    assert!(!readers[0].group.has_pending_commit());
}

#[test]
fn a_pending_change_of_the_policy_survives_a_restart() {
    let (claire, karim, mut log, mut readers, mut rng) = pair(Suite::Classical);
    let before = readers[0].group.policy().unwrap();
    let mut policy = (*before).clone();
    policy.set(karim.address(), karim.key(), Role::Owner);
    let change = Change { policy: Some(policy.clone()), ..Change::default() };
    let prepared = readers[0].group.prepare_commit(&change, &mut rng).unwrap();
    let mut store = Store::default();
    store.save(&mut readers[0].group);
    let loaded = store.load(&claire.engine(1)).unwrap();
    assert_eq!(loaded.policy().unwrap(), before);
    // Another commit comes first: the change goes with the commit that it was in.
    let mut beaten = store.load(&claire.engine(1)).unwrap();
    let other = readers[1].group.prepare_commit(&Change::default(), &mut rng).unwrap();
    assert!(beaten.process(&other.entry.entry, 1, true).is_ok() && !beaten.has_pending_commit());
    let mut without = store.clone();
    without.save(&mut beaten);
    assert_eq!(without.load(&claire.engine(1)).unwrap().policy().unwrap(), before);
    readers[1].group.drop_commit();
    assert!(log.append(&prepared.entry, true));
    readers[0].group = loaded;
    for reader in &mut readers {
        assert!(matches!(&reader.catch_up(&log)[..], [Ok(Received::Epoch(change))] if change.policy_changed));
        assert_eq!(*reader.group.policy().unwrap(), policy);
    }
    store.save(&mut readers[0].group);
    assert_eq!(*store.load(&claire.engine(1)).unwrap().policy().unwrap(), policy);
}

#[test]
fn a_forged_entry_after_changes_of_the_policy_undoes_nothing() {
    let (_, _, mut log, mut readers, mut rng) = pair(Suite::Classical);
    // More changes than epochs that are kept, all since the last checkpoint of the reader.
    for round in 0..8 {
        let policy = GroupPolicy { name: format!("Ward {round}"), ..(*readers[0].group.policy().unwrap()).clone() };
        commit(&mut log, &mut readers, 0, &Change { policy: Some(policy), ..Change::default() }, &mut rng);
    }
    let entry = encrypted(&mut readers[0].group, "genuine", &mut rng).unwrap();
    let mut message = super::super::entry::unwrap(readers[1].group.keys(), &log_id(&readers), &entry.entry).unwrap();
    *message.last_mut().unwrap() ^= 1;
    let forged = readers[0].group.wrapped(&message, &mut rng).unwrap();
    assert_eq!(readers[1].group.process(&forged.entry, forged.epoch, false), Err(GroupError::Unverified));
    assert_eq!(readers[1].group.policy().unwrap().name, "Ward 7");
    assert!(readers[1].group.process(&entry.entry, entry.epoch, false).is_ok());
}

fn log_id(readers: &[Reader]) -> LogId {
    readers[0].group.log_id()
}

#[test]
fn a_message_of_a_past_epoch_is_read_from_its_stored_record() {
    let (_, karim, mut log, mut readers, mut rng) = pair(Suite::Classical);
    let old = encrypted(&mut readers[0].group, "written before", &mut rng).unwrap();
    let mut store = Store::default();
    commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
    store.save(&mut readers[1].group);
    let mut loaded = store.load(&karim.engine(1)).unwrap();
    let received = loaded.process(&old.entry, old.epoch, false).unwrap();
    assert!(matches!(received, Received::Message { content, .. } if text_of(&content) == "written before"));
    // Once: the record of the past epoch has changed, and is stored with the rest.
    store.save(&mut loaded);
    let mut loaded = store.load(&karim.engine(1)).unwrap();
    assert_eq!(loaded.process(&old.entry, old.epoch, false), Err(GroupError::MessageKey));
}

#[test]
fn past_epochs_are_kept_as_the_limit_says() {
    let (_, karim, mut log, mut readers, mut rng) = pair(Suite::Classical);
    let mut old = Vec::new();
    let mut store = Store::default();
    for _ in 0..=crate::limits::GROUP_EPOCHS_KEPT {
        old.push(encrypted(&mut readers[0].group, "old", &mut rng).unwrap());
        commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
        store.save(&mut readers[1].group);
    }
    let mut loaded = store.load(&karim.engine(1)).unwrap();
    assert_eq!(loaded.process(&old[0].entry, old[0].epoch, false), Err(GroupError::EpochGone));
    for entry in &old[1..] {
        assert!(loaded.process(&entry.entry, entry.epoch, false).is_ok());
    }
}

#[test]
fn records_that_are_not_one_state_are_refused() {
    let (_, karim, mut log, mut readers, mut rng) = pair(Suite::Classical);
    let mut store = Store::default();
    store.save(&mut readers[1].group);
    let old = store.clone();
    say(&mut log, &mut readers[0], "something", &mut rng);
    readers[1].texts(&log);
    store.save(&mut readers[1].group);
    let mixed = |manifest: &Store, pages: &Store| {
        karim.engine(1).load(&manifest.manifest, |number| pages.pages.get(&number).cloned())
    };
    assert!(mixed(&store, &store).is_ok() && mixed(&old, &old).is_ok());
    assert!(matches!(mixed(&store, &old), Err(GroupError::State(StateError::MissingPage(_)))));
    assert!(matches!(mixed(&old, &store), Err(GroupError::State(StateError::MissingPage(_)))));
    let mut cut = store.clone();
    let number = *cut.pages.keys().next().unwrap();
    let page = cut.pages.get_mut(&number).unwrap();
    page.pop();
    assert!(matches!(mixed(&cut, &cut), Err(GroupError::State(_))));
}
