//! Sessions that cannot go on are given up, and the next message begins anew.

use medipeps_core::wire::client_records::SessionRecord;

use super::world::{World, mail};
use crate::engine::{Record, Time, Undecryptable, class};
use crate::store::{Patch, RecordKey};

/// Ping-pong, each of the two once.
fn exchange(world: &mut World, round: usize) {
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, &format!("question {round}")));
    world.settle();
    world.send(1, mail(&claire, &format!("answer {round}")));
    world.settle();
}

fn broken(world: &World) -> usize {
    let reasons = world.clients.iter().flat_map(|client| client.undecryptable());
    reasons.filter(|reason| *reason == Undecryptable::SessionBroken).count()
}

/// Two who write in turn, one of whom has been put back to an older state, just after one has met a message that
/// the Braid does not stand. Where that is depends on how far the Braid is, so it is tried at each place of an epoch.
pub(super) fn roll_back_until_the_braid_breaks() -> World {
    for start in 0..9 {
        let mut world = World::new(&["claire", "paul"]);
        (0..start).for_each(|round| exchange(&mut world, round));
        let (claire, paul) = (world.address(0), world.address(1));
        world.send(0, mail(&paul, "last question"));
        world.settle();
        // Paul's disk is put back to before his answer, and the server, who could tell, is not asked.
        let before = world.clients[1].disk.copy();
        world.send(1, mail(&claire, "forgotten"));
        world.settle();
        world.clients[1].disk.restore(&before);
        world.clients[1].restart();
        for round in 100..120 {
            exchange(&mut world, round);
            if broken(&world) > 0 {
                return world;
            }
        }
    }
    panic!("no rollback met the Braid");
}

#[test]
fn after_a_broken_braid_the_next_message_begins_anew() {
    let mut world = roll_back_until_the_braid_breaks();
    // The message that showed it is asked for: from the next exchange on all come, and in the order of their writing.
    (200..206).for_each(|round| exchange(&mut world, round));
    for (number, kind) in [(1, "question"), (0, "answer")] {
        let last: Vec<String> = (200..206).map(|round| format!("{kind} {round}")).collect();
        let texts = world.texts(number);
        assert!(texts.ends_with(&last), "{texts:?}");
    }
    assert_eq!(broken(&world), 1);
}

#[test]
fn a_stored_session_of_another_version_is_replaced() {
    let mut world = World::new(&["claire", "paul"]);
    exchange(&mut world, 0);
    let now = world.now;
    let client = &mut world.clients[0];
    let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let stored = transaction.scan(class::SESSION).unwrap();
    let mut patch = Patch::default();
    let mut old = 0;
    for (name, value) in stored.iter() {
        let mut record = SessionRecord::decode(value).unwrap();
        // Field 1, the version: 0.
        record.state = vec![0x08, 0x00].into();
        patch.put(RecordKey::new(class::SESSION, name), Record::encode(&record));
        old += 1;
    }
    assert_eq!(old, 1);
    transaction.commit(&patch, &mut client.rng).unwrap();
    let kept = |world: &mut World| {
        let now = Time(world.now);
        let client = &mut world.clients[0];
        let transaction = client.store.store_mut().begin(now.0, &mut client.rng);
        transaction.unwrap().scan(class::SESSION).unwrap().iter().count()
    };
    assert_eq!(kept(&mut world), 1);
    exchange(&mut world, 1);
    assert_eq!(world.texts(0), ["answer 0", "answer 1"]);
    assert_eq!(world.texts(1), ["question 0", "question 1"]);
    assert_eq!(kept(&mut world), 1);
}
