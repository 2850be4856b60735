//! Who types and who has read what: told to members alone, and no more often than the group bears.

use medipeps_core::limits::{READ_POSITION_INTERVAL, RECEIPT_ACCOUNTS_MAX, TYPING_ACCOUNTS_MAX};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupMemberRecord, GroupRoleRecord};

use super::groups::{MEMBER, three};
use super::world::{World, engine_error, tick};
use crate::engine::{
    EngineError, Event, GroupEvent, GroupId, GroupInput, GroupProblem, GroupSignal, Input, Time, class, key,
};
use crate::limits::{READ_POSITION_ANSWER_MS, READ_POSITION_PAUSE_MS};

const READER: GroupRoleRecord = GroupRoleRecord::Reader;

impl World {
    fn see(&mut self, number: usize, group: &GroupId, up_to: u64) {
        self.run(number, &Input::Group(GroupInput::Seen(*group, up_to))).unwrap();
    }

    /// Up to which message each member has read, as one client knows it.
    fn read(&mut self, number: usize, group: &GroupId) -> Vec<(String, u64)> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let groups = client.store.groups(now, &mut client.rng).unwrap();
        let read = groups.into_iter().find(|one| one.id == *group).unwrap().read;
        read.into_iter().map(|(address, read)| (address.local().to_owned(), read.number)).collect()
    }

    fn entries(&self, group: &GroupId) -> usize {
        self.server.groups.logs[group].entries.len()
    }

    /// Gives every client the last signal, as if it watched.
    fn pass_on_signal(&mut self, group: &GroupId) {
        let (epoch, signal) = self.server.groups.signals.last().unwrap().clone();
        for number in 0..self.clients.len() {
            let signal = GroupSignal { group: *group, epoch, signal: signal.clone() };
            self.run(number, &Input::Group(GroupInput::Signal(signal))).unwrap();
        }
    }

    fn typists(&self, number: usize) -> Vec<(String, bool)> {
        let typing = self.clients[number].events.iter().filter_map(|event| match event {
            Event::Group { event: GroupEvent::Typing { by, active, .. }, .. } => Some((by.local().to_owned(), *active)),
            _ => None,
        });
        typing.collect()
    }

    /// Makes a client believe that so many accounts are in a group.
    fn believe(&mut self, number: usize, group: &GroupId, accounts: usize) {
        let now = self.now;
        let client = &mut self.clients[number];
        let groups = client.store.groups(Time(now), &mut client.rng).unwrap();
        let mut roster = groups.into_iter().find(|one| one.id == *group).unwrap().roster;
        let member = |number: usize| GroupMemberRecord {
            address: format!("x{number}@clinic.example").parse().unwrap(),
            role: MEMBER,
            devices: vec![1],
        };
        roster.members.extend((roster.members.len()..accounts).map(member));
        client.put(&key::group_roster(group), &roster, now);
    }
}

fn names(read: &[(&str, u64)]) -> Vec<(String, u64)> {
    read.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

#[test]
fn members_see_up_to_where_each_has_read_and_it_is_no_message() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, READER)]);
    for text in ["one", "two"] {
        world.say(0, &group, text);
    }
    world.rest();
    let kept = world.said(0, &group).len();
    world.see(1, &group, 0);
    world.see(2, &group, 1);
    world.rest();
    for number in [0, 2] {
        assert_eq!(world.read(number, &group), names(&[("ben", 0)]), "{number}: who may not write tells nothing");
    }
    world.see(1, &group, 1);
    world.later(READ_POSITION_PAUSE_MS);
    world.rest();
    assert_eq!(world.read(0, &group), names(&[("ben", 1)]));
    let told = |event: &Event| matches!(event, Event::Group { event: GroupEvent::Read { number: 1, .. }, .. });
    assert_eq!(world.clients[0].events.iter().filter(|event| told(event)).count(), 1);
    // It is told once, says nothing to who reads, and Ana's own words are not told to anybody.
    let entries = world.entries(&group);
    world.see(0, &group, 1);
    world.see(1, &group, 1);
    world.later(3 * READ_POSITION_PAUSE_MS);
    world.rest();
    assert_eq!(world.entries(&group), entries);
    for number in 0..3 {
        assert_eq!(world.said(number, &group).len(), kept, "{number}");
        assert_eq!(world.group(number, &group).messages, kept as u64);
    }
}

#[test]
fn in_a_large_group_a_position_goes_every_ten_minutes_at_most_however_much_is_read() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    for number in 0..8 {
        world.say(0, &group, &format!("said {number}"));
    }
    world.rest();
    for (accounts, expected) in [(RECEIPT_ACCOUNTS_MAX, 3), (RECEIPT_ACCOUNTS_MAX + 1, 1)] {
        world.believe(1, &group, accounts);
        let before = world.entries(&group);
        let from = world.group(1, &group).seen;
        for number in from..from + 3 {
            world.see(1, &group, number);
            world.run(1, &tick()).unwrap();
            world.later(READ_POSITION_PAUSE_MS);
        }
        assert_eq!(world.entries(&group) - before, expected, "{accounts}");
        world.later(READ_POSITION_INTERVAL);
        world.run(1, &tick()).unwrap();
    }
    world.rest();
    assert_eq!(world.read(0, &group), names(&[("ben", 5)]), "the last one, and not each");
}

#[test]
fn who_has_switched_it_off_tells_nothing_and_later_nothing_of_before() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(0, &group, "one");
    world.rest();
    let switch = |told| Input::Group(GroupInput::ReadPositions(group, told));
    world.run(1, &switch(false)).unwrap();
    world.see(1, &group, 0);
    world.rest();
    world.run(1, &switch(true)).unwrap();
    world.rest();
    assert_eq!(world.read(0, &group), []);
    world.say(2, &group, "two");
    world.rest();
    world.see(1, &group, 1);
    world.rest();
    assert_eq!(world.read(0, &group), names(&[("ben", 1)]));
}

#[test]
fn a_position_that_crosses_a_commit_or_is_lost_with_the_process_is_told_anew() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(0, &group, "one");
    world.rest();
    world.away.insert(1);
    world.change(0, &group, GroupChangeKind::Name("Ward 4".into()));
    world.rest();
    world.see(1, &group, 0);
    world.run(1, &tick()).unwrap();
    assert_eq!(world.read(0, &group), [], "the log has refused it");
    world.away.clear();
    world.later(READ_POSITION_PAUSE_MS);
    world.rest();
    assert_eq!(world.read(0, &group), names(&[("ben", 0)]));
    // The process dies before its request leaves, or before the answer is there.
    for (number, steps) in [(1, 1), (2, 2)] {
        world.say(0, &group, "more");
        world.rest();
        world.see(1, &group, number);
        world.later(READ_POSITION_PAUSE_MS);
        let before = world.entries(&group);
        assert!(world.run_until(1, &tick(), &mut Some(steps)).is_err());
        world.clients[1].restart();
        world.later(READ_POSITION_ANSWER_MS);
        world.rest();
        assert_eq!((world.read(0, &group), world.entries(&group)), (names(&[("ben", number)]), before + 1));
    }
}

#[test]
fn another_device_of_the_account_knows_what_was_read() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    let tablet = world.join_device(1);
    world.connect(tablet);
    world.connect(1);
    world.rest();
    world.say(0, &group, "one");
    world.rest();
    world.see(1, &group, 0);
    world.rest();
    let entries = world.entries(&group);
    assert_eq!(world.group(tablet, &group).seen, 1);
    world.see(tablet, &group, 0);
    world.rest();
    assert_eq!(world.entries(&group), entries, "it is not told twice");
}

#[test]
fn typing_is_told_to_members_of_the_epoch_and_kept_by_nobody() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, READER)]);
    let typing = |active| Input::Group(GroupInput::Typing(group, active));
    let now = world.now;
    let stored = |world: &mut World| {
        let client = &mut world.clients[1];
        client.store.generation(Time(now), &mut client.rng).unwrap()
    };
    let before = (stored(&mut world), world.entries(&group));
    world.run(1, &typing(true)).unwrap();
    world.pass_on_signal(&group);
    world.run(1, &typing(false)).unwrap();
    world.pass_on_signal(&group);
    assert_eq!((stored(&mut world), world.entries(&group)), before, "nothing was written anywhere");
    let ben = [("ben".to_owned(), true), ("ben".to_owned(), false)];
    assert_eq!((world.typists(0), world.typists(1), world.typists(2)), (ben.to_vec(), Vec::new(), ben.to_vec()));
    assert!(matches!(engine_error(world.run(2, &typing(true))), EngineError::Group(GroupProblem::Reader)));
    // What Ben made before he was taken out is worth nothing afterwards.
    world.run(1, &typing(true)).unwrap();
    world.change(0, &group, GroupChangeKind::Remove(world.address(1)));
    world.rest();
    world.pass_on_signal(&group);
    let (_, signal) = world.server.groups.signals.last().unwrap().clone();
    let epoch = world.group(0, &group).epoch;
    world.run(0, &Input::Group(GroupInput::Signal(GroupSignal { group, epoch, signal }))).unwrap();
    assert_eq!(world.typists(0), ben);
    assert!(matches!(engine_error(world.run(1, &typing(true))), EngineError::Group(GroupProblem::Closed(_))));
    assert!(world.scan_is_empty(0, class::GROUP_READ));
}

#[test]
fn in_a_large_group_nobody_is_told_who_types() {
    let names: Vec<String> = (0..=TYPING_ACCOUNTS_MAX).map(|number| format!("m{number}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.publish_key_packages();
    let others: Vec<_> = (1..=TYPING_ACCOUNTS_MAX).map(|number| (number, MEMBER)).collect();
    let group = world.create(0, "All", &others);
    let refused = engine_error(world.run(0, &Input::Group(GroupInput::Typing(group, true))));
    assert!(matches!(refused, EngineError::Group(GroupProblem::TooManyForTyping { max: TYPING_ACCOUNTS_MAX })));
}
