//! What was said in groups ends: by what the members have agreed on, by what the sender said, and by nobody's wrong clock.

use medipeps_core::kind::{Body, Chat, Urgency};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupStanding};

use super::groups::{MEMBER, three};
use super::world::{World, tick};
use crate::engine::{Event, GroupEntries, GroupEvent, GroupId, GroupInput, Input, SendToGroup, class};
use crate::limits::GROUP_DELETED_AT_ONCE_MAX;

const DAY: u64 = 24 * 3600 * 1000;
const YEAR: u64 = 365 * DAY;

impl World {
    /// A group of all, whose messages are kept for two days.
    fn with_retention(&mut self) -> GroupId {
        let group = self.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
        self.change(0, &group, GroupChangeKind::Retention(2));
        self.rest();
        // The day is over in which a shorter retention deletes nothing.
        self.later(DAY + 60_000);
        self.rest();
        group
    }

    fn say_until(&mut self, number: usize, group: &GroupId, text: &str, expires: u64) {
        let command = SendToGroup {
            group: *group,
            body: Body::Chat(Chat::Text { text: text.to_owned() }),
            fallback_text: text.to_owned(),
            in_reply_to: None,
            attachments: Vec::new(),
            urgency: Urgency::Routine,
            expires: Some(expires),
        };
        self.run(number, &Input::Group(GroupInput::Send(Box::new(command)))).unwrap();
    }

    fn deleted(&self, number: usize) -> u64 {
        let count = |event: &Event| match event {
            Event::Group { event: GroupEvent::Deleted { count }, .. } => *count,
            _ => 0,
        };
        self.clients[number].events.iter().map(count).sum()
    }

    /// Records of a client that are about what was said.
    fn kept(&mut self, number: usize) -> [usize; 4] {
        let now = self.now;
        let classes = [class::GROUP_MESSAGE, class::GROUP_RECEIVED, class::GROUP_EXPIRY, class::GROUP_OUTBOX];
        classes.map(|class| self.clients[number].count(class, now))
    }
}

#[test]
fn what_is_older_than_the_members_keep_it_is_deleted_with_all_that_was_kept_of_it() {
    let mut world = three();
    let group = world.with_retention();
    world.say(0, &group, "one");
    world.say(1, &group, "two");
    world.rest();
    world.later(DAY);
    world.say(2, &group, "three");
    world.rest();
    assert_eq!(world.texts_said(0, &group).len(), 3, "nothing is over yet");
    world.later(DAY + 60_000);
    world.rest();
    for number in 0..3 {
        assert_eq!(world.texts_said(number, &group), ["three"], "{number}");
        assert_eq!((world.kept(number), world.deleted(number)), ([1, 1, 0, 0], 2), "{number}");
        let record = world.group(number, &group);
        assert_eq!((record.first, record.messages), (2, 3), "{number}");
    }
    world.later(2 * DAY);
    world.say(0, &group, "four");
    world.rest();
    assert_eq!(world.texts_said(1, &group), ["four"]);
}

#[test]
fn a_clock_that_is_a_year_ahead_deletes_nothing_and_neither_does_a_server_that_lies() {
    let mut world = three();
    let group = world.with_retention();
    world.say(0, &group, "young");
    world.rest();
    // Ben's clock is wrong; the server's answers say what time it is.
    world.clients[1].clock_ahead = YEAR;
    for _ in 0..3 {
        world.later(3600 * 1000);
        world.rest();
    }
    assert_eq!(world.texts_said(1, &group), ["young"]);
    // The server says to Cleo that a year has gone by, and later says the truth again.
    let (epoch, incarnation) = (world.group(2, &group).epoch, world.server.incarnation);
    let (entries, caught_up, epoch_closed) = (Vec::new(), true, false);
    let lie = GroupEntries { group, epoch, incarnation, entries, caught_up, epoch_closed, now: Some(world.now + YEAR) };
    world.run(2, &Input::Group(GroupInput::Entries(lie))).unwrap();
    for _ in 0..3 {
        world.run(2, &tick()).unwrap();
    }
    assert_eq!(world.texts_said(2, &group), ["young"]);
    // A clock that is behind keeps it longer, and no longer than until it is right again.
    world.later(3 * DAY);
    world.clients[1].clock_ahead = 0;
    world.rest();
    for number in 0..3 {
        assert_eq!(world.texts_said(number, &group), Vec::<String>::new(), "{number}");
    }
}

#[test]
fn a_shorter_retention_is_told_and_deletes_nothing_for_a_day() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(0, &group, "old");
    world.rest();
    world.later(10 * DAY);
    world.rest();
    world.change(0, &group, GroupChangeKind::Retention(2));
    world.rest();
    let told = |world: &World, wanted: u32| {
        let changed = |event: &Event| {
            matches!(event, Event::Group { event: GroupEvent::RetentionChanged { days, kept_until }, .. }
                if *days == wanted && kept_until.is_some_and(|until| until > world.now) == (wanted == 2))
        };
        world.clients.iter().all(|client| client.events.iter().any(changed))
    };
    assert!(told(&world, 2));
    world.later(DAY - 3600 * 1000);
    world.rest();
    assert_eq!(world.texts_said(1, &group), ["old"]);
    // The owner takes it back in time.
    world.change(0, &group, GroupChangeKind::Retention(0));
    world.rest();
    world.later(30 * DAY);
    world.rest();
    assert!(told(&world, 0));
    assert_eq!(world.texts_said(1, &group), ["old"]);
    world.change(0, &group, GroupChangeKind::Retention(2));
    world.rest();
    world.later(DAY + 60_000);
    world.rest();
    assert_eq!(world.texts_said(1, &group), Vec::<String>::new());
}

#[test]
fn a_message_ends_when_its_sender_said_and_is_not_shown_to_who_comes_later() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.away.insert(2);
    world.say(0, &group, "stays");
    let end = world.now + 3600 * 1000;
    world.say_until(0, &group, "for an hour", end);
    world.rest();
    assert_eq!(world.texts_said(1, &group).len(), 2);
    world.later(3600 * 1000);
    world.away.clear();
    world.rest();
    for number in 0..3 {
        assert_eq!(world.texts_said(number, &group), ["stays"], "{number}");
        assert_eq!(world.kept(number)[..3], [1, 1, 0], "{number}");
    }
    assert_eq!(world.deleted(2), 0, "it was never there");
}

#[test]
fn many_are_deleted_step_by_step_and_a_group_that_was_left_is_not_forgotten() {
    let mut world = three();
    let group = world.with_retention();
    let other = world.create(0, "Other", &[(1, MEMBER)]);
    let count = 2 * GROUP_DELETED_AT_ONCE_MAX + 10;
    for number in 0..count {
        world.say(0, &group, &format!("said {number}"));
    }
    world.rest();
    assert_eq!(world.texts_said(1, &group).len(), count);
    world.change(1, &group, GroupChangeKind::Leave);
    world.rest();
    assert_eq!(world.group(1, &group).standing, GroupStanding::Left);
    world.later(3 * DAY);
    // Ben has left; the same server still answers him about another group.
    world.away.insert(0);
    world.away.insert(2);
    world.rest();
    assert_eq!((world.kept(1)[0], world.deleted(1)), (0, count as u64));
    let most = |event: &Event| matches!(event, Event::Group { event: GroupEvent::Deleted { count }, .. } if *count > 2 * GROUP_DELETED_AT_ONCE_MAX as u64);
    assert!(!world.clients[1].events.iter().any(most), "a step is bounded");
    assert_eq!(world.group(1, &other).standing, GroupStanding::Active);
}
