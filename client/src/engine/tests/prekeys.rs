//! Prekeys: used once, refilled, rotated, and what happens without.

use medipeps_core::wire::transport::Request;

use super::world::{World, mail};
use crate::engine::{Event, Input, Time, Undecryptable, class};
use crate::limits::{ONE_TIME_PREKEYS_PER_UPLOAD, PREKEY_ROTATION_S, RETIRED_PREKEYS_KEPT_MS};
use crate::store::{Patch, RecordKey};

fn authenticate(world: &mut World, number: usize) {
    let highest_generation = world.device(number).generation;
    world.run(number, &Input::Authenticated { highest_generation, statement_version: 1 }).unwrap();
}

fn use_up(world: &mut World, number: usize) {
    world.device(number).given = ONE_TIME_PREKEYS_PER_UPLOAD;
}

fn count(world: &mut World, number: usize, class: crate::store::RecordClass) -> usize {
    let client = &mut world.clients[number];
    client.store.store_mut().begin(world.now, &mut client.rng).unwrap().scan(class).unwrap().len()
}

#[test]
fn used_one_time_prekeys_are_deleted_with_the_message_s_commit() {
    let mut world = World::new(&["claire", "paul"]);
    let before = (count(&mut world, 1, class::DH_PREKEY), count(&mut world, 1, class::KEM_PREKEY));
    world.send(0, mail(&world.address(1), "hello"));
    world.receive(1);
    let after = (count(&mut world, 1, class::DH_PREKEY), count(&mut world, 1, class::KEM_PREKEY));
    assert_eq!(after, (before.0 - 1, before.1 - 1));
}

#[test]
fn a_handshake_works_with_no_one_time_key_left() {
    let mut world = World::new(&["claire", "paul"]);
    use_up(&mut world, 1);
    world.send(0, mail(&world.address(1), "hello"));
    world.settle();
    assert_eq!(world.texts(1), ["hello"]);
    assert_eq!(count(&mut world, 1, class::LAST_RESORT_USE), 1);
}

#[test]
fn a_replayed_first_message_on_the_last_resort_key_is_refused() {
    let mut world = World::new(&["claire", "paul"]);
    use_up(&mut world, 1);
    world.send(0, mail(&world.address(1), "hello"));
    let mut batch = world.pushed(1);
    world.deliver(1, batch.clone());
    // While the session is there, it knows the message.
    batch[0].sequence = 50;
    world.deliver(1, batch.clone());
    assert!(world.clients[1].events.contains(&Event::Duplicate));
    // Without the session only the record of the handshake stands between the replay and a second showing.
    let client = &mut world.clients[1];
    let mut transaction = client.store.store_mut().begin(world.now, &mut client.rng).unwrap();
    let mut patch = Patch::default();
    for class in [class::SESSION, class::HINT, class::PEER, class::RECEIVED] {
        for (name, _) in transaction.scan(class).unwrap().iter() {
            patch.delete(RecordKey::new(class, name));
        }
    }
    transaction.commit(&patch, &mut client.rng).unwrap();
    batch[0].sequence = 51;
    world.deliver(1, batch);
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::Replayed]);
    assert_eq!(world.texts(1), ["hello"]);
}

#[test]
fn a_replayed_first_message_on_one_time_keys_finds_them_gone() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "hello"));
    let mut batch = world.pushed(1);
    world.deliver(1, batch.clone());
    let client = &mut world.clients[1];
    let mut transaction = client.store.store_mut().begin(world.now, &mut client.rng).unwrap();
    let mut patch = Patch::default();
    for class in [class::SESSION, class::HINT, class::PEER, class::RECEIVED] {
        for (name, _) in transaction.scan(class).unwrap().iter() {
            patch.delete(RecordKey::new(class, name));
        }
    }
    transaction.commit(&patch, &mut client.rng).unwrap();
    batch[0].sequence = 51;
    world.deliver(1, batch);
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::UnknownPrekey]);
}

#[test]
fn prekeys_are_refilled_when_few_are_left_and_no_id_comes_twice() {
    let mut world = World::new(&["claire", "paul"]);
    authenticate(&mut world, 1);
    assert_eq!(world.device(1).uploads.len(), 1, "enough are left");
    use_up(&mut world, 1);
    authenticate(&mut world, 1);
    authenticate(&mut world, 1);
    let paul = world.address(1);
    let uploads = &world.device(1).uploads;
    assert_eq!(uploads.len(), 2);
    assert_eq!(uploads[0].signed_prekey, uploads[1].signed_prekey, "the set stays");
    assert_eq!(uploads[0].seal_prekey, uploads[1].seal_prekey);
    let ids = uploads.iter().flat_map(|upload| {
        let one_time = upload.one_time_prekeys.iter().map(|key| key.id);
        one_time.chain(upload.one_time_kem_prekeys.iter().map(|key| key.id)).collect::<Vec<_>>()
    });
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    let number = ids.len();
    ids.dedup();
    assert_eq!((number, ids.len()), (4 * ONE_TIME_PREKEYS_PER_UPLOAD, 4 * ONE_TIME_PREKEYS_PER_UPLOAD));
    world.send(0, mail(&paul, "hello"));
    world.settle();
    assert_eq!(world.texts(1), ["hello"]);
}

#[test]
fn prekeys_are_rotated_weekly_and_the_old_ones_serve_until_their_time_is_over() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    // Written before the rotation, read long after it.
    world.send(0, mail(&paul, "late"));
    world.later(PREKEY_ROTATION_S * 1000);
    authenticate(&mut world, 1);
    assert_eq!(world.device(1).uploads.len(), 2);
    assert_eq!(count(&mut world, 1, class::SEAL_PREKEY), 2);
    world.later(RETIRED_PREKEYS_KEPT_MS - 1000);
    world.receive(1);
    assert_eq!(world.texts(1), ["late"]);
    world.later(1000);
    authenticate(&mut world, 1);
    // The first set is gone; the second was retired in this step, the third is new.
    assert_eq!(count(&mut world, 1, class::SEAL_PREKEY), 2);
}

#[test]
fn an_upload_whose_answer_was_lost_is_sent_again_as_it_was() {
    let mut world = World::new(&["claire", "paul"]);
    use_up(&mut world, 1);
    let ask = world.clients[1]
        .handle(&Input::Authenticated { highest_generation: 0, statement_version: 1 }, world.now)
        .unwrap();
    let status = world.exchange(1, &ask.outgoing[0], 0).unwrap();
    world.clients[1].handle(&status, world.now).unwrap();
    // The process stops before the upload leaves.
    world.clients[1].restart();
    authenticate(&mut world, 1);
    let uploads =
        |world: &World| world.server.log.iter().filter(|request| matches!(request, Request::PublishPrekeys(_))).count();
    assert_eq!(uploads(&world), 1);
    authenticate(&mut world, 1);
    assert_eq!(uploads(&world), 1, "confirmed, so not sent again");
    let now = Time(world.now);
    let client = &mut world.clients[1];
    assert_eq!(client.store.prekeys(now, &mut client.rng).unwrap().unwrap().pending_upload, None);
}
