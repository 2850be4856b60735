//! A group's server is restored from a backup that is older than what the members have read.

use std::collections::{BTreeMap, VecDeque};

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::group_log::entry_hash;
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord, GroupStanding};
use medipeps_core::wire::transport::{AppendGroupEntry, Payment, Request};

use super::group_server::GroupLog;
use super::world::{World, tick};
use crate::engine::{GroupId, GroupInput, Input, class, key};
use crate::limits::{GROUP_RESTORED_PAUSE_MS, GROUP_RESTORED_WAIT_MS};
use crate::store::{Patch, RecordKey};

const MEMBER: GroupRoleRecord = GroupRoleRecord::Member;

type Backup = BTreeMap<[u8; 32], GroupLog>;

impl World {
    fn backup(&self) -> Backup {
        self.server.groups.logs.clone()
    }

    /// The server goes on with what was in the backup, and says so.
    fn restore(&mut self, backup: &Backup) {
        self.server.groups.logs.clone_from(backup);
        self.server.incarnation[0] ^= 0xff;
    }

    fn forget_kept(&mut self, number: usize) {
        let now = self.now;
        let client = &mut self.clients[number];
        let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
        let mut patch = Patch::default();
        for (name, _) in transaction.scan(class::GROUP_KEPT_ENTRY).unwrap().iter() {
            patch.delete(RecordKey::new(class::GROUP_KEPT_ENTRY, name));
        }
        transaction.commit(&patch, &mut client.rng).unwrap();
    }

    fn behind(&mut self, number: usize, group: &GroupId) -> bool {
        self.group(number, group).problem.as_deref() == Some("group_log_behind")
    }
}

fn four() -> (World, GroupId) {
    let mut world = World::new(&["anna", "ben", "carla", "dan"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(0, &group, "before");
    world.rest();
    (world, group)
}

/// Commits and messages that the backup has not.
fn go_on(world: &mut World, group: &GroupId) {
    world.say(1, group, "one");
    world.rest();
    world.change(0, group, GroupChangeKind::Name("Ward 4".to_owned()));
    world.rest();
    world.say(2, group, "two");
    world.rest();
    world.change(0, group, GroupChangeKind::Name("Ward 5".to_owned()));
    world.rest();
    world.say(0, group, "three");
    world.rest();
}

fn all_have(world: &mut World, group: &GroupId, members: &[usize], texts: &[&str]) {
    for number in members {
        let record = world.group(*number, group);
        assert_eq!((record.standing, record.problem), (GroupStanding::Active, None), "{number}");
        assert_eq!(world.texts_said(*number, group), texts, "{number}");
    }
}

#[test]
fn members_append_what_the_backup_has_not_and_go_on() {
    let (mut world, group) = four();
    let backup = world.backup();
    go_on(&mut world, &group);
    let ids = |world: &World| -> Vec<[u8; 16]> {
        world.server.groups.logs[&group].entries.iter().map(|(_, entry)| entry.entry_id).collect()
    };
    let before = ids(&world);
    world.restore(&backup);
    world.rest();
    assert_eq!(ids(&world), before, "the log is as it was, in its order, everything once");
    all_have(&mut world, &group, &[0, 1, 2], &["before", "one", "two", "three"]);
    for number in 0..3 {
        world.say(number, &group, &format!("again {number}"));
        world.rest();
    }
    let texts = ["before", "one", "two", "three", "again 0", "again 1", "again 2"];
    all_have(&mut world, &group, &[0, 1, 2], &texts);
    world.later(GROUP_RESTORED_PAUSE_MS);
    world.change(0, &group, GroupChangeKind::Name("Ward 6".to_owned()));
    world.rest();
    assert!((0..3).all(|number| world.group(number, &group).name == "Ward 6"));
}

#[test]
fn messages_alone_that_the_backup_has_not_come_back_for_who_had_not_read_them() {
    let (mut world, group) = four();
    let backup = world.backup();
    world.away.insert(2);
    world.say(0, &group, "one");
    world.say(1, &group, "two");
    world.rest();
    world.restore(&backup);
    world.away.remove(&2);
    world.rest();
    let texts = world.texts_said(0, &group);
    assert_eq!(texts.len(), 3);
    for number in 0..3 {
        let mut said = world.texts_said(number, &group);
        said.sort();
        assert_eq!(said, ["before", "one", "two"], "{number}");
    }
}

#[test]
fn what_was_taken_and_not_read_back_is_not_lost() {
    let (mut world, group) = four();
    let backup = world.backup();
    // The server has confirmed it, and nobody has read it.
    world.say(0, &group, "one");
    world.run(0, &tick()).unwrap();
    world.away.extend([1, 2]);
    world.send_all(0);
    world.restore(&backup);
    world.away.clear();
    world.rest();
    all_have(&mut world, &group, &[0, 1, 2], &["before", "one"]);
}

#[test]
fn two_members_who_append_at_once_append_everything_once() {
    let (mut world, group) = four();
    let backup = world.backup();
    go_on(&mut world, &group);
    let count = world.server.groups.logs[&group].entries.len();
    world.restore(&backup);
    // In turns, one answer each.
    let start = || VecDeque::from([Input::Group(GroupInput::ReadAll), tick()]);
    let mut waiting = BTreeMap::from([(1, start()), (2, start())]);
    for _ in 0..200 {
        for (number, inputs) in &mut waiting {
            world.later(50);
            let input = inputs.pop_front().unwrap_or_else(tick);
            let handled = world.clients[*number].handle(&input, world.now).unwrap();
            for outgoing in handled.outgoing {
                inputs.extend(world.exchange(*number, &outgoing, handled.generation));
            }
        }
    }
    world.rest();
    assert_eq!(world.server.groups.logs[&group].entries.len(), count);
    all_have(&mut world, &group, &[0, 1, 2], &["before", "one", "two", "three"]);
}

#[test]
fn who_was_added_after_the_backup_waits_for_those_who_hold_the_rest() {
    let (mut world, group) = four();
    let backup = world.backup();
    go_on(&mut world, &group);
    world.change(0, &group, GroupChangeKind::Add(world.address(3), MEMBER));
    world.rest();
    world.say(3, &group, "four");
    world.rest();
    world.restore(&backup);
    world.away.extend([0, 1, 2]);
    for _ in 0..5 {
        world.later(60_000);
        world.catch_up(3);
    }
    assert!(world.behind(3, &group), "{:?}", world.group(3, &group));
    assert_eq!(world.group(3, &group).standing, GroupStanding::Active);
    world.away.clear();
    world.rest();
    world.later(10 * 60_000);
    world.rest();
    all_have(&mut world, &group, &[0, 1, 2], &["before", "one", "two", "three", "four"]);
    all_have(&mut world, &group, &[3], &["four"]);
}

#[test]
fn an_entry_that_nobody_holds_any_more_is_told_and_an_owner_makes_the_group_anew() {
    let (mut world, group) = four();
    let backup = world.backup();
    go_on(&mut world, &group);
    (0..3).for_each(|number| world.forget_kept(number));
    world.restore(&backup);
    for _ in 0..5 {
        world.later(60_000);
        (0..3).for_each(|number| world.catch_up(number));
    }
    assert!((0..3).all(|number| world.behind(number, &group)));
    assert!((0..3).all(|number| world.group(number, &group).standing == GroupStanding::Active));
    world.later(GROUP_RESTORED_WAIT_MS);
    for _ in 0..5 {
        world.later(60_000);
        (0..3).for_each(|number| world.catch_up(number));
    }
    for number in 0..3 {
        let record = world.group(number, &group);
        assert_eq!(record.standing, GroupStanding::Rejoining, "{number}: {:?}", record.problem);
        assert_eq!(world.texts_said(number, &group), ["before", "one", "two", "three"], "what was said stays");
    }
}

#[test]
fn a_member_who_was_removed_after_the_backup_cannot_rewrite_history() {
    let (mut world, group) = four();
    let backup = world.backup();
    let now = world.now;
    // Carla keeps the key of the epoch that the backup ends in.
    let seed = world.clients[2].get(&key::group_access(&group), now).unwrap();
    let epoch = world.group(2, &group).epoch;
    world.change(0, &group, GroupChangeKind::Remove(world.address(2)));
    world.rest();
    world.say(0, &group, "without her");
    world.rest();
    world.restore(&backup);
    let access_key = SigningKey::from_secret(&Secret::from_slice(&seed).unwrap());
    let next: VerifyingKey = SigningKey::from_secret(&Secret::from([5; 32])).verifying_key();
    let forged = AppendGroupEntry::sign(&access_key, group, epoch, [9; 16], vec![7; 80], Some(next), Payment::None);
    assert!(forged.verify(&access_key.verifying_key(), &entry_hash(&forged.entry)).is_ok());
    let request = Request::AppendGroupEntry(forged);
    world.server.answer_group(&request).unwrap().unwrap();
    for _ in 0..5 {
        world.later(60_000);
        (0..2).for_each(|number| world.catch_up(number));
    }
    for number in 0..2 {
        let record = world.group(number, &group);
        assert_eq!(record.problem.as_deref(), Some("group_log_forked"), "{number}");
        assert_eq!(record.standing, GroupStanding::Broken, "an owner makes the group anew");
        assert_eq!(world.texts_said(number, &group), ["before", "without her"]);
    }
    assert_eq!(world.group(2, &group).standing, GroupStanding::Removed);
    assert_eq!(world.texts_said(2, &group), ["before"]);
}

#[test]
fn a_group_that_was_made_after_the_backup_is_made_again_by_who_has_made_it() {
    let (mut world, _) = four();
    let backup = world.backup();
    let group = world.create(1, "New", &[(0, MEMBER), (3, MEMBER)]);
    world.say(3, &group, "hello");
    world.rest();
    world.restore(&backup);
    world.rest();
    world.later(10 * 60_000);
    world.rest();
    all_have(&mut world, &group, &[0, 1, 3], &["hello"]);
    world.say(0, &group, "again");
    world.rest();
    all_have(&mut world, &group, &[0, 1, 3], &["hello", "again"]);
}
