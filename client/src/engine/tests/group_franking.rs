//! What is said in a group is bound to its sender, kept so that it can be reported, and refused if it is not.

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::franking;
use medipeps_core::identity::DeviceCertificate;
use medipeps_core::kind::{Body, Chat, Content};
use medipeps_core::wire::client_records::{GroupMessageRecord, GroupRoleRecord};
use medipeps_core::wire::identity::SignedDeviceCertificate;

use super::world::World;
use crate::engine::{Event, GroupEvent, GroupId, key};

const MEMBER: GroupRoleRecord = GroupRoleRecord::Member;

fn ward() -> (World, GroupId) {
    let mut world = World::new(&["ana", "ben", "cleo"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    (world, group)
}

fn record(world: &mut World, number: usize, group: &GroupId, message: u64) -> GroupMessageRecord {
    let now = world.now;
    world.clients[number].get(&key::group_message(group, message), now).unwrap()
}

#[test]
fn everybody_keeps_what_binds_the_sender_to_a_message_its_sender_too() {
    let (mut world, group) = ward();
    world.say(1, &group, "Bed 4 is free");
    world.rest();
    let kept: Vec<_> = (0..3).map(|number| record(&mut world, number, &group, 0)).collect();
    for one in &kept {
        assert_eq!((&one.content, &one.proof, one.device_key), (&kept[0].content, &kept[0].proof, kept[0].device_key));
        assert_eq!((one.epoch, one.sender.clone()), (kept[0].epoch, world.address(1)));
        let key = VerifyingKey::from_slice(&one.device_key).unwrap();
        let proof = one.proof.as_ref().unwrap();
        assert_eq!(franking::open(&one.content, proof, &group, &key).unwrap().epoch, one.epoch);
        // What is kept for a report is small.
        let without = GroupMessageRecord { proof: None, ..one.clone() };
        assert!(one.encode().len() - without.encode().len() < 256);
    }
    assert!(kept[0].epoch > 0);
    let now = world.now;
    for client in &mut world.clients {
        let certificate = client.get(&key::device_certificate(&kept[0].device_key), now).unwrap();
        let certificate = DeviceCertificate::verify(SignedDeviceCertificate::decode(&certificate).unwrap()).unwrap();
        assert_eq!(certificate.keys().signing_key.as_bytes(), &kept[0].device_key);
    }
}

#[test]
fn what_is_no_message_is_shown_to_nobody_and_in_nobody_s_way() {
    let (mut world, group) = ward();
    // Ben's client is not ours: it puts into the log what is for those who watch it now, and kept by nobody.
    world.say(1, &group, "nobody will believe you");
    let mut queued = record(&mut world, 1, &group, 0);
    assert_eq!(queued.proof, None);
    let typing = Body::Chat(Chat::Typing { active: true });
    let content = Content { body: typing, ..Content::decode(&queued.content).unwrap() };
    queued.content = content.encode().unwrap().to_vec();
    let now = world.now;
    world.clients[1].put(&key::group_message(&group, 0), &queued, now);
    world.rest();
    for number in [0, 2] {
        assert!(world.texts_said(number, &group).is_empty(), "{number}");
        let refused = |event: &Event| matches!(event, Event::Group { event: GroupEvent::EntryRefused { code }, .. } if code == "content");
        assert_eq!(world.clients[number].events.iter().filter(|event| refused(event)).count(), 1);
    }
    // It is in nobody's way.
    world.say(1, &group, "Good evening");
    world.say(0, &group, "Good evening, Ben");
    world.rest();
    for number in [0, 2] {
        let mut texts = world.texts_said(number, &group);
        texts.sort();
        assert_eq!(texts, ["Good evening", "Good evening, Ben"]);
    }
}

#[test]
fn a_message_that_is_encrypted_again_is_bound_to_the_epoch_that_it_came_into() {
    let (mut world, group) = ward();
    world.away.insert(1);
    world.say(1, &group, "sent in the epoch before");
    let queued = record(&mut world, 1, &group, 0);
    let address = world.address(2);
    world.change(0, &group, medipeps_core::wire::client_records::GroupChangeKind::Remove(address));
    world.rest();
    world.away.clear();
    world.rest();
    let [read, own] = [0, 1].map(|number| record(&mut world, number, &group, 0));
    assert_eq!((&read.content, queued.proof), (&queued.content, None));
    assert_eq!((&read.proof, read.epoch), (&own.proof, own.epoch));
    let key = VerifyingKey::from_slice(&read.device_key).unwrap();
    let opened = franking::open(&read.content, &read.proof.unwrap(), &group, &key).unwrap();
    assert_eq!(opened.epoch, read.epoch);
}
