//! Many members who commit at once: each has its turn, and all end in the same epoch.

use std::time::Instant;

use medipeps_core::wire::client_records::{GroupChangeKind, GroupStanding, OutboxRecord};

use super::groups::{MEMBER, three};
use super::world::{World, mail};
use crate::engine::{Event, Input, key};

fn all_commit_at_once(members: usize) {
    let names: Vec<String> = (0..members).map(|number| format!("m{number:03}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let begin = Instant::now();
    world.publish_key_packages();
    let others: Vec<_> = (1..members).map(|number| (number, MEMBER)).collect();
    let group = world.create(0, "All", &others);
    println!("{members} members made in {:?}", begin.elapsed());
    let (epoch, begin, began) = (world.group(0, &group).epoch, Instant::now(), world.now);
    assert_eq!(world.members(members - 1, &group).len(), members);
    let appends = world.server.groups.appends;
    for number in 0..members {
        world.change(number, &group, GroupChangeKind::Update);
    }
    world.rest();
    let appends = world.server.groups.appends - appends;
    println!("{appends} appends, {} s of theirs, {:?} of ours", (world.now - began) / 1000, begin.elapsed());
    let last = epoch + u64::try_from(members).unwrap();
    for number in 0..members {
        let record = world.group(number, &group);
        assert_eq!((record.epoch, record.standing), (last, GroupStanding::Active), "each had its turn, once");
        assert!(record.changes.is_empty() && record.problem.is_none());
    }
    world.say(members - 1, &group, "all of us");
    world.rest();
    assert_eq!(world.texts_said(0, &group), ["all of us"]);
}

#[test]
fn eight_commit_at_once_and_all_come_through() {
    all_commit_at_once(8);
}

/// A hundred in a nightly run: each of them reads what each has done, which takes some five minutes.
#[test]
fn many_commit_at_once_and_none_starves() {
    all_commit_at_once(if std::env::var_os("MEDIPEPS_NIGHTLY").is_some() { 100 } else { 32 });
}

#[test]
fn a_time_that_a_wrong_clock_has_set_holds_up_nothing() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    world.change(0, &group, GroupChangeKind::Name("Ward 4".into()));
    // What is to be tried again in an hour waits; what is to be in a year does not.
    let at = |world: &mut World, wait: u64| {
        let mut record = world.group(0, &group);
        record.next_attempt = world.now + wait;
        let now = world.now;
        world.clients[0].put(&key::group(&group), &record, now);
        world.catch_up(0);
        world.catch_up(0);
        world.group(0, &group).name
    };
    assert_eq!(at(&mut world, 3600 * 1000), "Ward 3");
    assert_eq!(at(&mut world, 365 * 24 * 3600 * 1000), "Ward 4");
    // Mail, too.
    let ben = world.address(1);
    world.run(0, &Input::SendMail(mail(&ben, "late"))).unwrap();
    let queued = world.clients[0].events.iter().rev().find_map(|event| match event {
        Event::MessageQueued { id } => Some(*id),
        _ => None,
    });
    let mut entry = OutboxRecord {
        content_id: queued.unwrap(),
        recipient: ben.clone(),
        created: world.now,
        submission_id: None,
        attempts: 0,
        next_attempt: world.now + 3600 * 1000,
        fetch_prekeys: false,
        blocked: None,
        receipt: false,
        device: None,
    };
    let now = world.now;
    for (wait, texts) in [(3600 * 1000, vec![]), (365 * 24 * 3600 * 1000, vec!["late".to_owned()])] {
        entry.next_attempt = now + wait;
        world.clients[0].put(&key::outbox(&entry.content_id, &ben), &entry, now);
        world.send_all(0);
        world.receive(1);
        assert_eq!(world.texts(1), texts);
    }
}
