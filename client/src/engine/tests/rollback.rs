//! Stores that go back.

use super::world::{World, engine_error, mail, tick};
use crate::engine::{EngineError, Event, Input, Time, class, key};
use crate::store::RecordClass;

/// Paul's store is put back to what it was before his answer and the second mail.
fn world_with_an_old_copy() -> World {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "first"));
    world.settle();
    let backup = world.clients[1].disk.copy();
    world.send(1, mail(&claire, "answer"));
    world.send(0, mail(&paul, "second"));
    world.settle();
    world.clients[1].disk.restore(&backup);
    world.clients[1].restart();
    world
}

fn authenticated(world: &mut World, number: usize) -> Input {
    let statement_version = world.statement(number).version();
    Input::Authenticated { highest_generation: world.device(number).generation, statement_version }
}

const STATE: [RecordClass; 6] =
    [class::SESSION, class::HINT, class::PEER, class::PREKEYS, class::DH_PREKEY, class::KEM_PREKEY];

#[test]
fn an_old_copy_of_a_device_that_is_not_primary_is_found_out_and_its_keys_are_dropped() {
    let mut world = world_with_an_old_copy();
    let mut record = world.account_record(1);
    record.account_key = None;
    let now = world.now;
    world.clients[1].put(&key::account(), &record, now);
    let claire = world.address(0);
    let input = authenticated(&mut world, 1);
    world.run(1, &input).unwrap();
    assert!(world.clients[1].events.iter().any(|event| matches!(event, Event::StateRolledBack { .. })));
    assert_eq!(world.texts(1), ["first"], "messages are kept");
    let refused = [
        Input::SendMail(mail(&claire, "no")),
        tick(),
        Input::Authenticated { highest_generation: 0, statement_version: 1 },
        Input::Deliveries { incarnation: [1; 16], batch: Vec::new() },
    ];
    for input in refused {
        assert_eq!(engine_error(world.run(1, &input)), EngineError::StateRolledBack);
    }
    for class in STATE {
        assert!(world.scan_is_empty(1, class), "{class}");
    }
    let now = Time(world.now);
    let client = &mut world.clients[1];
    assert_eq!(client.store.contacts(now, &mut client.rng).unwrap().len(), 1, "contacts are kept");
}

#[test]
fn a_store_restored_from_last_week_becomes_a_new_device_and_works_on() {
    let mut world = world_with_an_old_copy();
    let (claire, paul) = (world.address(0), world.address(1));
    let before = world.device_id(1);
    let keys = world.statement(1).devices()[0].keys();
    world.later(7 * 24 * 3600 * 1000);
    let input = authenticated(&mut world, 1);
    world.run(1, &input).unwrap();
    let statement = world.statement(1);
    let [device] = statement.devices() else { panic!("one device stands for the other") };
    assert!(device.device_id() != before && device.keys() != keys && device.primary());
    assert_eq!(world.account_record(1).statement, statement.encoded());
    for class in STATE {
        assert!(world.scan_is_empty(1, class), "{class}: nothing of the old device is used");
    }
    let linked = Event::LinkedAnew { device_id: device.device_id() };
    assert!(world.clients[1].events.contains(&linked));

    world.connect(1);
    world.send(0, mail(&paul, "third"));
    world.send(1, mail(&claire, "answer to both"));
    world.settle();
    assert_eq!(world.texts(1), ["first", "third"], "what was acknowledged and lost is lost; the rest is there");
    assert_eq!(world.texts(0), ["answer", "answer to both"]);
    assert!(world.clients[1].undecryptable().is_empty());
}

/// The process is killed after each step in turn, and started again.
#[test]
fn an_old_copy_that_is_killed_on_its_way_becomes_one_new_device() {
    for steps in 0..12 {
        let mut world = world_with_an_old_copy();
        let version = world.statement(1).version();
        let input = authenticated(&mut world, 1);
        let killed = world.run_until(1, &input, &mut Some(steps)).is_err();
        world.clients[1].restart();
        // As a shell does: the proof is refused once the statement lists the new device.
        match world.find_device(1).is_some() {
            true => world.connect(1),
            false => world.run(1, &Input::CheckOwnStatement).unwrap(),
        }
        world.connect(1);
        let statement = world.statement(1);
        assert_eq!((statement.version(), statement.devices().len()), (version + 1, 1), "after {steps} steps");
        let paul = world.address(1);
        world.send(0, mail(&paul, "third"));
        world.settle();
        assert_eq!(world.texts(1), ["first", "third"]);
        assert_eq!(killed, steps < 8, "after {steps} steps");
    }
}

/// The first one still runs while its copy is put back on another machine: whoever is not listed any more stops.
#[test]
fn a_restored_copy_and_the_first_one_do_not_fight() {
    let mut world = world_with_an_old_copy();
    let paul = world.address(1);
    // The copy is client 2: the same records on another disk.
    let copy = world.clients.len();
    let client = super::world::Client::new_at(paul.clone(), 90, world.now);
    world.clients.push(client);
    let disk = world.clients[1].disk.copy();
    world.clients[copy].disk.restore(&disk);
    world.clients[copy].restart();
    let input = authenticated(&mut world, copy);
    world.run(copy, &input).unwrap();
    world.connect(copy);
    // The first one is refused by the server, and asks why.
    assert!(world.find_device(1).is_none());
    world.run(1, &Input::CheckOwnStatement).unwrap();
    let reason = medipeps_core::wire::client_records::Revocation::DeviceRevoked;
    assert!(world.clients[1].events.contains(&Event::Revoked { reason }));
    let version = world.statement(1).version();
    for input in [tick(), Input::CheckOwnStatement, Input::SendMail(mail(&world.address(0), "no"))] {
        assert_eq!(engine_error(world.run(1, &input)), EngineError::Revoked(reason));
    }
    assert_eq!(world.statement(1).version(), version, "it leaves the statement alone");
    world.send(0, mail(&paul, "to the copy"));
    world.receive(copy);
    assert_eq!(world.texts(copy), ["first", "to the copy"]);
    assert_eq!(world.texts(1), ["first"], "what is there can be read");
}
