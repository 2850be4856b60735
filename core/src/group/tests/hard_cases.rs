//! What goes wrong, and what is done to a group on purpose.

use super::rogue::rogue_entry;
use super::*;
use crate::group::entry::{unwrap, wrap};
use crate::test_rng::rng;

const SUITE: Suite = Suite::Classical;

pub(super) fn trio() -> ([Account; 3], Log, Vec<Reader>, ChaCha20Rng) {
    let mut rng = rng(1);
    let accounts = [("claire", 1), ("karim", 2), ("anne", 3)].map(|(name, seed)| Account::new(name, 1, seed));
    let others = [(&accounts[1], Role::Member), (&accounts[2], Role::Member)];
    let (log, readers) = group_of(SUITE, &accounts[0], &others, &mut rng);
    (accounts, log, readers, rng)
}

/// What a member can do with an entry of another: open the wrapping, change the message, wrap it again.
fn altered(group: &Group, entry: &GroupEntry, at_end: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut message = unwrap(group.keys(), &group.log_id(), &entry.entry).unwrap();
    let at = message.len() - at_end;
    message[at] ^= 1;
    wrap(group.keys(), &group.log_id(), &message, rng).unwrap()
}

#[test]
fn a_forged_message_costs_the_genuine_one_nothing() {
    let (_, _, mut readers, mut rng) = trio();
    let earlier = encrypted(&mut readers[0].group, "earlier", &mut rng).unwrap();
    let own = encrypted(&mut readers[1].group, "mine", &mut rng).unwrap();
    readers[1].group.process(&earlier.entry, earlier.epoch, false).unwrap();
    let genuine = encrypted(&mut readers[0].group, "genuine", &mut rng).unwrap();
    for at_end in [1, 20, 40] {
        let forged = altered(&readers[2].group, &genuine, at_end, &mut rng);
        assert_eq!(readers[1].group.process(&forged, genuine.epoch, false), Err(GroupError::Unverified), "{at_end}");
    }
    let received = readers[1].group.process(&genuine.entry, genuine.epoch, false).unwrap();
    assert!(matches!(received, Received::Message { content, .. } if text_of(&content) == "genuine"));
    // What was processed before stays processed, and one's own ratchet went on from where it was.
    assert_eq!(readers[1].group.process(&earlier.entry, earlier.epoch, false), Err(GroupError::MessageKey));
    let next = encrypted(&mut readers[1].group, "mine too", &mut rng).unwrap();
    for entry in [own, next] {
        assert!(readers[2].group.process(&entry.entry, entry.epoch, false).is_ok());
    }
}

#[test]
fn a_forged_commit_is_garbage_and_changes_nothing() {
    let (_, mut log, mut readers, mut rng) = trio();
    let prepared = readers[0].group.prepare_commit(&Change::default(), &mut rng).unwrap();
    let forged = altered(&readers[2].group, &prepared.entry, 1, &mut rng);
    let received = readers[1].group.process(&forged, 1, true);
    assert_eq!(received, Err(GroupError::GarbageCommit(Box::new(GroupError::Unverified))));
    assert_eq!(readers[1].group.epoch(), 1);
    assert!(log.append(&prepared.entry, true));
    for reader in &mut readers {
        assert!(matches!(reader.catch_up(&log)[..], [Ok(Received::Epoch(_))]));
    }
}

#[test]
fn garbage_that_won_the_compare_and_set_is_recognised_and_the_group_re_created() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let garbage =
        [vec![7; 4096], wrap(readers[2].group.keys(), &readers[2].group.log_id(), b"no MLS", &mut rng).unwrap()];
    let causes = [GroupError::Sealed, GroupError::NotMls];
    for (entry, cause) in garbage.iter().zip(causes) {
        assert_eq!(readers[0].group.process(entry, 1, true), Err(GroupError::GarbageCommit(Box::new(cause))));
    }
    // A message in the place of a commit, too; and a commit in the place of a message is not taken.
    let message = encrypted(&mut readers[2].group, "not a commit", &mut rng).unwrap();
    let received = readers[0].group.process(&message.entry, 1, true);
    assert_eq!(received, Err(GroupError::GarbageCommit(Box::new(GroupError::NotMls))));
    let prepared = readers[2].group.prepare_commit(&Change::default(), &mut rng).unwrap();
    assert_eq!(readers[0].group.process(&prepared.entry.entry, 1, false), Err(GroupError::CommitOutOfPlace));
    assert!(log.append(&GroupEntry { epoch: 1, entry: garbage[0].clone() }, true));
    // The owner creates the group again, with the old one named.
    let policy =
        GroupPolicy { predecessor: Some(readers[0].group.log_id()), ..(*readers[0].group.policy().unwrap()).clone() };
    let mut group = accounts[0].engine(1).create(SUITE, &policy, NOW, &mut rng).unwrap();
    let (package, secret) = accounts[1].key_package(1, SUITE, &mut rng);
    let prepared = group.prepare_commit(&Change { add: vec![package], ..Change::default() }, &mut rng).unwrap();
    group.adopt_commit().unwrap();
    let joined = accounts[1].engine(1).join(&prepared.invitation.unwrap(), &secret).unwrap();
    assert_eq!(joined.policy().unwrap().predecessor, Some(readers[0].group.log_id()));
    assert_ne!(joined.log_id(), readers[0].group.log_id());
}

#[test]
fn entries_of_another_group_are_refused() {
    let (accounts, _, mut readers, mut rng) = trio();
    let (_, mut others) = group_of(SUITE, &accounts[0], &[(&accounts[1], Role::Member)], &mut rng);
    let foreign = others[0].group.prepare_commit(&Change::default(), &mut rng).unwrap();
    let garbage = |cause| Err(GroupError::GarbageCommit(Box::new(cause)));
    assert_eq!(readers[1].group.process(&foreign.entry.entry, 1, true), garbage(GroupError::Sealed));
    // Even wrapped with this group's keys.
    let message = unwrap(others[0].group.keys(), &others[0].group.log_id(), &foreign.entry.entry).unwrap();
    let wrapped = readers[2].group.wrapped(&message, &mut rng).unwrap();
    assert_eq!(readers[1].group.process(&wrapped.entry, 1, true), garbage(GroupError::OtherGroup));
    let foreign = encrypted(&mut others[1].group, "elsewhere", &mut rng).unwrap();
    let message = unwrap(others[0].group.keys(), &others[0].group.log_id(), &foreign.entry).unwrap();
    let wrapped = readers[2].group.wrapped(&message, &mut rng).unwrap();
    assert_eq!(readers[1].group.process(&wrapped.entry, 1, false), Err(GroupError::OtherGroup));
}

#[test]
fn handshake_messages_in_the_clear_are_refused() {
    let (_, _, mut readers, mut rng) = trio();
    let leaf = readers[2].group.own_leaf();
    let entry = rogue_entry!(readers[2].group, &mut rng, |member| member.propose_remove(leaf, Vec::new()));
    assert!(readers[1].group.process(&entry.entry, 1, false).is_ok());
    // The same bytes, said to be public: what the frame says is looked at before anything else.
    let mut message = unwrap(readers[1].group.keys(), &readers[1].group.log_id(), &entry.entry).unwrap();
    assert_eq!(message[..4], [0, 1, 0, 2]);
    message[3] = 1;
    let wrapped = readers[1].group.wrapped(&message, &mut rng).unwrap();
    assert!(readers[0].group.process(&wrapped.entry, 1, false).is_err());
}

#[test]
fn an_invitation_opens_once() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let karim = Account::new("karim", 2, 2);
    let (package, secret) = karim.key_package(2, SUITE, &mut rng);
    let prepared = commit(&mut log, &mut readers, 1, &Change { add: vec![package], ..Change::default() }, &mut rng);
    let invitation = GroupWelcome::decode(&prepared.invitation.unwrap().encode()).unwrap();
    assert_eq!(invitation.key_packages(), Ok(vec![secret.reference()]));
    assert!(karim.engine(2).join(&invitation, &secret).is_ok());
    // The record went with that; what else the store has does not open it.
    let (_, other) = karim.key_package(2, SUITE, &mut rng);
    assert_eq!(karim.engine(2).join(&invitation, &other).unwrap_err(), GroupError::NoKeyPackage);
    // Nor does another device get in with it, or the tree of another group.
    assert!(accounts[1].engine(1).join(&invitation, &other).is_err());
    let (_, elsewhere) = group_of(SUITE, &accounts[0], &[(&accounts[1], Role::Member)], &mut rng);
    let tree = elsewhere[0].group.help_rejoin(&mut rng).unwrap().tree;
    assert!(karim.engine(2).join(&GroupWelcome { tree, ..invitation }, &secret).is_err());
}

#[test]
fn a_removed_member_reads_nothing_after_his_removal() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let queued = encrypted(&mut readers[2].group, "queued before the removal", &mut rng).unwrap();
    let policy = {
        let mut policy = (*readers[0].group.policy().unwrap()).clone();
        policy.remove(accounts[2].address());
        policy
    };
    let remove = vec![readers[2].group.own_leaf()];
    let change = Change { remove, policy: Some(policy), ..Change::default() };
    let prepared = readers[0].group.prepare_commit(&change, &mut rng).unwrap();
    assert!(log.append(&prepared.entry, true));
    readers[0].catch_up(&log);
    readers[1].catch_up(&log);
    say(&mut log, &mut readers[0], "about Anne", &mut rng);
    // His client is told; without being told he could not open it either.
    let held = unwrap(readers[2].group.keys(), &readers[2].group.log_id(), &log.entries.last().unwrap().1);
    assert_eq!(held, Err(GroupError::Sealed));
    let received = readers[2].catch_up(&log);
    assert!(matches!(&received[0], Ok(Received::Epoch(change)) if change.removed_self));
    assert_eq!(received[1], Err(GroupError::Removed));
    assert_ne!(readers[2].group.keys().epoch(), 2);
    // What he had queued is refused by the log, and by whoever gets it all the same, since he is not in the group.
    assert!(!log.append(&queued, false));
    assert!(readers[1].group.process(&queued.entry, queued.epoch, false).is_err());
}

#[test]
fn a_message_of_the_old_epoch_is_read_after_the_commit() {
    let (_, mut log, mut readers, mut rng) = trio();
    let old = encrypted(&mut readers[1].group, "sent while the commit landed", &mut rng).unwrap();
    commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
    let received = readers[2].group.process(&old.entry, old.epoch, false).unwrap();
    assert!(matches!(received, Received::Message { content, .. } if text_of(&content).starts_with("sent while")));
    // Ahead of time it is not.
    let next = readers[0].group.prepare_commit(&Change::default(), &mut rng).unwrap();
    assert!(log.append(&next.entry, true));
    readers[0].catch_up(&log);
    say(&mut log, &mut readers[0], "from the future", &mut rng);
    let (epoch, entry, _) = log.entries.last().unwrap();
    assert_eq!(readers[2].group.process(entry, *epoch, false), Err(GroupError::EpochAhead));
    assert_eq!(readers[2].texts(&log), ["from the future"]);
}

#[test]
fn a_message_of_an_old_epoch_is_judged_by_the_roles_of_that_epoch() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let old = [1, 2].map(|sender| encrypted(&mut readers[sender].group, "of the old epoch", &mut rng).unwrap());
    let leaf = readers[2].group.own_leaf();
    // Anne goes, Eve comes and has Anne's leaf, and Karim may only read from now on.
    let eve = Account::new("eve", 1, 4);
    let mut policy = (*readers[0].group.policy().unwrap()).clone();
    policy.remove(accounts[2].address());
    policy.set(eve.address(), eve.key(), Role::Member);
    policy.set(accounts[1].address(), accounts[1].key(), Role::Reader);
    let (package, _) = eve.key_package(1, SUITE, &mut rng);
    let change = Change { add: vec![package], remove: vec![leaf], policy: Some(policy) };
    commit(&mut log, &mut readers[..2], 0, &change, &mut rng);
    assert_eq!(readers[0].group.leaves_of(eve.address()).unwrap()[0].leaf, leaf);
    let mut store = Store::default();
    store.save(&mut readers[0].group);
    let mut loaded = store.load(&accounts[0].engine(1)).unwrap();
    for group in [&mut readers[0].group, &mut loaded] {
        let received = group.process(&old[0].entry, old[0].epoch, false);
        let Ok(Received::Message { sender, .. }) = received else { panic!("{received:?}") };
        assert_eq!((&sender.address, sender.role), (accounts[1].address(), Some(Role::Member)));
        // What Anne had written is not taken for Eve's.
        assert_eq!(group.process(&old[1].entry, old[1].epoch, false), Err(GroupError::NoSuchMember));
    }
    assert_eq!(encrypted(&mut readers[1].group, "I may not", &mut rng), Err(Refusal::ReaderPosted.into()));
}

#[test]
fn of_commits_at_once_one_wins_and_all_converge() {
    let (_, mut log, mut readers, mut rng) = trio();
    let prepared: Vec<_> =
        readers.iter_mut().map(|reader| reader.group.prepare_commit(&Change::default(), &mut rng).unwrap()).collect();
    assert!(log.append(&prepared[1].entry, true));
    assert!(!log.append(&prepared[0].entry, true) && !log.append(&prepared[2].entry, true));
    for reader in &mut readers {
        assert!(matches!(reader.catch_up(&log)[..], [Ok(Received::Epoch(_))]));
        assert!(!reader.group.has_pending_commit());
    }
    // The losers try again on what is there now.
    commit(&mut log, &mut readers, 0, &Change::default(), &mut rng);
    commit(&mut log, &mut readers, 2, &Change::default(), &mut rng);
    say(&mut log, &mut readers[2], "we all agree", &mut rng);
    assert_eq!(readers[0].texts(&log), ["we all agree"]);
    assert_eq!(readers[1].texts(&log), ["we all agree"]);
}

#[test]
fn a_joiner_opens_his_welcome_fifty_epochs_late() {
    let (_, mut log, mut readers, mut rng) = trio();
    let karim = Account::new("karim", 2, 2);
    let (package, secret) = karim.key_package(2, SUITE, &mut rng);
    let prepared = commit(&mut log, &mut readers, 1, &Change { add: vec![package], ..Change::default() }, &mut rng);
    let joined_at = log.entries.len();
    for round in 0..50 {
        commit(&mut log, &mut readers, round % 3, &Change::default(), &mut rng);
    }
    say(&mut log, &mut readers[0], "still there?", &mut rng);
    let group = karim.engine(2).join(&prepared.invitation.unwrap(), &secret).unwrap();
    let mut late = Reader { group, read: joined_at };
    assert_eq!(late.texts(&log), ["still there?"]);
    assert_eq!(late.group.epoch(), 52);
}

#[test]
fn a_member_who_was_away_for_five_hundred_epochs_catches_up() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let mut away = readers.pop().unwrap();
    for round in 0..500 {
        commit(&mut log, &mut readers, round % 2, &Change::default(), &mut rng);
    }
    say(&mut log, &mut readers[1], "welcome back", &mut rng);
    // In batches, each stored, with a restart between them.
    let mut store = Store::default();
    let mut texts = Vec::new();
    while away.read < log.entries.len() {
        let end = (away.read + 100).min(log.entries.len());
        for (epoch, entry, closes) in &log.entries[away.read..end] {
            if let Received::Message { content, .. } = away.group.process(entry, *epoch, *closes).unwrap() {
                texts.push(content);
            }
        }
        away.read = end;
        store.save(&mut away.group);
        away.group = store.load(&accounts[2].engine(1)).unwrap();
    }
    assert_eq!(texts.len(), 1);
    assert_eq!(away.group.epoch(), 501);
}

#[test]
fn a_device_put_back_to_an_old_state_is_noticed_and_heals_by_a_commit() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let mut store = Store::default();
    store.save(&mut readers[1].group);
    let backup = store.clone();
    say(&mut log, &mut readers[1], "first", &mut rng);
    store.save(&mut readers[1].group);
    assert!(readers[1].group.generation() > backup.load(&accounts[1].engine(1)).unwrap().generation());
    let mut restored = backup.load(&accounts[1].engine(1)).unwrap();
    assert_eq!(readers[0].texts(&log), ["first"]);
    // It would use a key again. Nobody takes that message, and what it is made of differs by its random guard.
    let twice = encrypted(&mut restored, "second", &mut rng).unwrap();
    assert_eq!(readers[0].group.process(&twice.entry, twice.epoch, false), Err(GroupError::MessageKey));
    // A commit begins ratchets that nobody has used.
    readers[1] = Reader { group: restored, read: 1 };
    readers[1].texts(&log);
    commit(&mut log, &mut readers, 1, &Change::default(), &mut rng);
    say(&mut log, &mut readers[1], "healed", &mut rng);
    assert_eq!(readers[0].texts(&log), ["healed"]);
}

#[test]
fn a_device_that_forgot_its_own_commit_comes_back_from_outside() {
    let (accounts, mut log, mut readers, mut rng) = trio();
    let mut store = Store::default();
    store.save(&mut readers[1].group);
    commit(&mut log, &mut readers, 1, &Change::default(), &mut rng);
    let mut restored = store.load(&accounts[1].engine(1)).unwrap();
    let (epoch, entry, closes) = log.entries.last().unwrap();
    assert_eq!(restored.process(entry, *epoch, *closes), Err(GroupError::OwnCommitLost));
    let help = readers[0].group.help_rejoin(&mut rng).unwrap();
    let rejoin = accounts[1].engine(1).rejoin(&help, &[], &mut rng).unwrap();
    assert_eq!(rejoin.keys.access_key().verifying_key(), readers[0].group.keys().access_key().verifying_key());
    assert!(log.append(&rejoin.entry, true));
    readers[1] = Reader::at(rejoin.group, &log);
    for other in [0, 2] {
        let received = readers[other].catch_up(&log);
        let [Ok(Received::Epoch(change))] = &received[..] else { panic!("{received:?}") };
        assert_eq!(change.rejoined.as_ref().unwrap().joined.address, *accounts[1].address());
    }
    say(&mut log, &mut readers[1], "here again", &mut rng);
    assert_eq!(readers[0].texts(&log), ["here again"]);
}
