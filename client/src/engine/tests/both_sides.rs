//! Two sides that write first at the same time end up with one session.

use super::world::{World, mail};
use crate::engine::{Key, Time, class};
use crate::store::RecordKey;
use medipeps_core::wire::client_records::PeerRecord;

/// The active session with the one peer that a client has.
fn active(world: &mut World, number: usize) -> [u8; 16] {
    let now = Time(world.now);
    let client = &mut world.clients[number];
    let records = client.store.store_mut().begin(now.0, &mut client.rng).unwrap().scan(class::PEER).unwrap();
    let (name, value) = records.iter().next().unwrap();
    let _: Key<PeerRecord> = RecordKey::new(class::PEER, name).into();
    PeerRecord::decode(value).unwrap().devices[0].active.unwrap()
}

#[test]
fn both_sides_initiate_at_once() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "from claire"));
    world.send(1, mail(&claire, "from paul"));
    assert_ne!(active(&mut world, 0), active(&mut world, 1), "two sessions were begun");
    world.settle();
    assert_eq!((world.texts(0), world.texts(1)), (vec!["from paul".to_owned()], vec!["from claire".to_owned()]));
    world.later(1);
    world.send(0, mail(&paul, "second"));
    world.settle();
    assert_eq!(active(&mut world, 0), active(&mut world, 1));
    for round in 0..3 {
        world.later(1);
        world.send(round % 2, mail(&[&paul, &claire][round % 2].clone(), "and on"));
        world.settle();
        assert_eq!(active(&mut world, 0), active(&mut world, 1));
    }
    assert_eq!((world.texts(0).len(), world.texts(1).len()), (2, 4));
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

#[test]
fn both_sides_initiate_with_several_messages_each_before_any_arrives() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    for number in 0..3 {
        world.later(1);
        world.send(0, mail(&paul, &format!("claire {number}")));
        world.send(1, mail(&claire, &format!("paul {number}")));
    }
    world.settle();
    assert_eq!(world.texts(1), ["claire 0", "claire 1", "claire 2"]);
    assert_eq!(world.texts(0), ["paul 0", "paul 1", "paul 2"]);
}
