//! A device that lost its place in a group: how it comes back, who helps it, and who gets nothing.

use medipeps_core::kind::Body;
use medipeps_core::wire::client_records::{GroupChangeKind, GroupStanding};
use medipeps_core::wire::transport::{Request, Submit};

use super::groups::{MEMBER, three};
use super::world::{World, mail};
use crate::engine::{Connection, Event, GroupEvent, GroupId, Input};

const MINUTE: u64 = 60 * 1000;

#[test]
fn a_store_of_last_week_uses_no_key_twice_and_comes_back_as_another_device() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(1, &group, "one");
    world.rest();
    let old = world.clients[1].disk.copy();
    world.say(1, &group, "two");
    world.rest();
    let epoch = world.group(0, &group).epoch;
    // Ben's disk is put back. The server has seen a later state.
    world.clients[1].disk.restore(&old);
    world.clients[1].restart();
    let highest = world.find_device(1).unwrap().generation.max(1 << 20);
    let input = Input::Authenticated { highest_generation: highest, statement_version: 1 };
    world.run(1, &input).unwrap();
    world.connect(1);
    world.rest();
    let record = world.group(1, &group);
    assert_eq!((record.standing, record.problem), (GroupStanding::Active, None));
    assert_eq!(record.epoch, world.group(0, &group).epoch);
    assert!(record.epoch > epoch);
    for number in [0, 2] {
        assert_eq!(world.members(number, &group)[1].2, 1, "one device took the other's place");
    }
    world.say(1, &group, "three");
    world.say(0, &group, "four");
    world.rest();
    let mut texts = world.texts_said(2, &group);
    texts.sort();
    assert_eq!(texts, ["four", "one", "three", "two"]);
    assert!(world.texts_said(1, &group).contains(&"four".to_owned()));
}

#[test]
fn who_missed_more_than_the_server_keeps_asks_a_member_for_the_way_back() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.away.insert(2);
    for _ in 0..3 {
        world.change(0, &group, GroupChangeKind::Update);
        world.rest();
    }
    // Old entries run out, with the keys of their epochs.
    let epoch = world.group(0, &group).epoch;
    let log = world.server.groups.logs.get_mut(&group).unwrap();
    log.entries.retain(|(of, _)| *of >= epoch);
    log.keys.retain(|of, _| *of >= epoch);
    world.away.clear();
    world.rest();
    assert_eq!(world.group(2, &group).standing, GroupStanding::Active);
    for number in [0, 1] {
        let cleo = (world.address(2), world.device_id(2));
        let back = |event: &Event| matches!(event, Event::Group { event: GroupEvent::Changed { rejoined, .. }, .. } if *rejoined == [cleo.clone()]);
        assert!(world.clients[number].events.iter().any(back), "{number} is shown who has come back");
        assert_eq!(world.members(number, &group).len(), 3);
    }
    world.say(2, &group, "back");
    world.rest();
    assert_eq!(world.texts_said(0, &group), ["back"]);
}

#[test]
fn a_stranger_gets_no_way_into_a_group() {
    let mut world = World::new(&["ana", "ben", "eve"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    // Eve is a contact like others.
    let (ana, eve) = (world.address(0), world.address(2));
    world.send(2, mail(&ana, "hello"));
    world.send(0, mail(&eve, "hello"));
    world.rest();
    let before = world.server.submitted().len();
    let request = medipeps_core::kind::GroupRejoinRequest { log_id: group, epoch: Some(1) };
    world.send_bare(2, 0, Body::GroupRejoinRequest(request));
    world.rest();
    let answers = world.clients[2].events.iter().any(|event| matches!(event, Event::Group { .. }));
    assert!(!answers && world.server.submitted().len() > before, "it came, and nobody answered");
    assert_eq!(world.members(0, &group).len(), 2);
}

/// Cleo was away while the group went on, and the server has none of what she missed.
fn lost_place(world: &mut World, group: &GroupId) {
    for number in 2..world.clients.len() {
        world.away.insert(number);
    }
    for _ in 0..3 {
        world.change(0, group, GroupChangeKind::Update);
        world.rest();
    }
    let epoch = world.group(0, group).epoch;
    let log = world.server.groups.logs.get_mut(group).unwrap();
    log.entries.retain(|(of, _)| *of >= epoch);
    log.keys.retain(|of, _| *of >= epoch);
}

#[test]
fn the_way_back_goes_to_the_device_that_asks_and_to_no_other() {
    let mut world = three();
    let tablet = world.join_device(2);
    world.connect(tablet);
    world.rest();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    assert_eq!(world.members(0, &group)[2].2, 2, "both devices of hers are in it");
    lost_place(&mut world, &group);
    world.away.remove(&2);
    let before = world.sent_over.len();
    // The tablet is asked first, and does not answer.
    for _ in 0..10 {
        world.rest();
        world.later(MINUTE);
    }
    assert_eq!(world.group(2, &group).standing, GroupStanding::Active);
    assert_ne!(world.group(tablet, &group).standing, GroupStanding::Rejoining, "it has not been on since");
    // The server gets an envelope for each device; what is in the tablet's is empty.
    let cleo = world.address(2);
    let (asking, other) = (world.device_id(2), world.device_id(tablet));
    let sent = world.sent_over[before..].iter().filter_map(|(number, _, request)| match request {
        Request::Submit(Submit { address, envelopes, .. }) if *address == cleo && *number != 2 => Some(envelopes),
        _ => None,
    });
    let mut answers = 0;
    for envelopes in sent {
        let length = |device| envelopes.iter().find(|one| one.device_id == device).map(|one| one.envelope.len());
        if let (Some(long), Some(short)) = (length(asking), length(other)) {
            answers += usize::from(long > 4096);
            assert!(short <= 4096, "{short} bytes for who has not asked");
        }
    }
    assert!(answers > 0, "the help is larger than the smallest envelope");
    // The tablet comes back by itself, with an answer of its own.
    world.away.clear();
    for _ in 0..10 {
        world.rest();
        world.later(MINUTE);
    }
    assert_eq!(world.group(tablet, &group).standing, GroupStanding::Active);
    world.say(tablet, &group, "both are back");
    world.rest();
    assert!(world.texts_said(2, &group).contains(&"both are back".to_owned()));
}

#[test]
fn who_gets_no_answer_asks_the_next_member_within_minutes() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    lost_place(&mut world, &group);
    world.away.clear();
    // Ana, who is asked first, does not answer. Ben has never written to Cleo: when he is asked, he asks the server who
    // she is, and answers when he is asked again.
    world.away.insert(0);
    let begin = world.now;
    world.catch_up(2);
    world.catch_up(2);
    assert_eq!(world.group(2, &group).standing, GroupStanding::Rejoining);
    while world.group(2, &group).standing != GroupStanding::Active {
        world.catch_up(2);
        world.catch_up(1);
        world.later(10 * 1000);
        assert!(world.now - begin < 15 * MINUTE, "{:?}", world.group(2, &group));
    }
    let asked = |world: &World, number: usize| {
        let to = world.clients[number].address.clone();
        let mut sent = world
            .sent_over
            .iter()
            .filter(|(from, connection, _)| *from == 2 && matches!(connection, Connection::Anonymous(_)));
        sent.any(|(.., request)| matches!(request, Request::Submit(submit) if submit.address == to))
    };
    assert!(asked(&world, 0) && asked(&world, 1));
}

#[test]
fn who_gets_no_answer_at_all_asks_more_and_more_rarely() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    lost_place(&mut world, &group);
    world.away.remove(&2);
    world.away.extend([0, 1]);
    let (mut asked, mut attempts) = (Vec::new(), 0);
    for _ in 0..(48 * 60) {
        world.catch_up(2);
        world.later(MINUTE);
        let record = world.group(2, &group);
        assert!(record.next_attempt <= world.now + 76 * MINUTE, "at most an hour and a quarter ahead");
        if record.attempts > attempts {
            attempts = record.attempts;
            asked.push(world.now);
        }
    }
    let waits: Vec<u64> = asked.windows(2).map(|pair| (pair[1] - pair[0]) / MINUTE).collect();
    assert!(waits[0] < 6 && waits[1] < 8, "{waits:?}");
    assert!(waits.last().unwrap() >= &60 && asked.len() < 70, "{waits:?}");
}
