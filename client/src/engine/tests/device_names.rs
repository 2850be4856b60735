//! What devices are called, on all devices of the account.

use super::linking::{add_home, link};
use super::world::{World, engine_error, mail};
use crate::engine::{EngineError, Input, Time};
use medipeps_core::limits::NAME_LENGTH_MAX;

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

fn rename(world: &mut World, number: usize, device: usize, name: &str) {
    let device_id = world.device_id(device);
    world.run(number, &Input::NameDevice { device_id, name: name.to_owned() }).unwrap();
}

/// As a client's `device list` has them, in the statement's order.
fn names(world: &mut World, number: usize) -> Vec<Option<String>> {
    let (client, now) = (&mut world.clients[number], Time(world.now));
    client.store.devices(now, &mut client.rng).unwrap().into_iter().map(|device| device.name).collect()
}

fn three() -> (World, [usize; 3]) {
    let mut world = World::new(&["claire"]);
    let devices = [0, world.join_device(0), world.join_device(0)];
    world.settle_in_step();
    (world, devices)
}

#[test]
fn a_name_that_one_device_gives_is_the_name_on_all() {
    let (mut world, devices) = three();
    rename(&mut world, devices[1], devices[2], "Ward tablet");
    world.settle_in_step();
    rename(&mut world, devices[2], devices[0], "Telephone");
    world.settle_in_step();
    for device in devices {
        assert_eq!(names(&mut world, device), [Some("Telephone".into()), None, Some("Ward tablet".into())]);
    }
    rename(&mut world, devices[0], devices[2], "");
    world.settle_in_step();
    for device in devices {
        assert_eq!(names(&mut world, device), [Some("Telephone".into()), None, None]);
    }
}

#[test]
fn a_name_from_a_clock_a_year_ahead_can_be_changed_by_the_others() {
    let (mut world, devices) = three();
    world.clients[devices[1]].clock_ahead = YEAR_MS;
    rename(&mut world, devices[1], devices[2], "From the future");
    world.settle_in_step();
    rename(&mut world, devices[0], devices[2], "Ward tablet");
    world.settle_in_step();
    for device in devices {
        assert_eq!(names(&mut world, device)[2].as_deref(), Some("Ward tablet"), "device {device}");
    }
}

#[test]
fn two_devices_that_rename_a_third_at_once_end_up_with_one_name() {
    let (mut world, devices) = three();
    rename(&mut world, devices[0], devices[2], "Alpha");
    rename(&mut world, devices[1], devices[2], "Beta");
    world.settle_in_step();
    for device in devices {
        assert_eq!(names(&mut world, device)[2].as_deref(), Some("Beta"), "device {device}");
    }
}

#[test]
fn a_linked_device_is_known_by_its_name_to_the_devices_that_did_not_link_it() {
    let mut world = World::new(&["claire"]);
    let second = world.join_device(0);
    world.settle_in_step();
    rename(&mut world, second, 0, "Telephone");
    world.settle_in_step();
    let new = add_home(&mut world);
    link(&mut world, new);
    world.connect(new);
    world.settle_in_step();
    for device in [0, second, new] {
        assert_eq!(names(&mut world, device), [Some("Telephone".into()), None, Some("Ward tablet".into())]);
    }
}

#[test]
fn an_old_copy_that_becomes_a_new_device_keeps_its_name_and_a_revoked_device_loses_it() {
    let (mut world, devices) = three();
    rename(&mut world, 0, 0, "Telephone");
    rename(&mut world, 0, devices[2], "Ward tablet");
    world.settle_in_step();
    let old = world.clients[0].disk.copy();
    let to = world.address(0);
    world.send(0, mail(&to, "later"));
    world.connect(0);
    world.settle_in_step();
    world.clients[0].disk.restore(&old);
    world.clients[0].restart();
    world.connect(0);
    world.connect(0);
    for device in devices {
        world.run(device, &Input::CheckOwnStatement).unwrap();
    }
    world.settle_in_step();
    for device in devices {
        let known = names(&mut world, device);
        let mut known: Vec<_> = known.into_iter().flatten().collect();
        known.sort();
        assert_eq!(known, ["Telephone", "Ward tablet"], "device {device}");
    }
    let gone = world.device_id(devices[2]);
    world.run(0, &Input::RevokeDevice(gone)).unwrap();
    let now = world.now;
    assert!(world.clients[0].get(&crate::engine::key::device_name(gone), now).is_none());
}

#[test]
fn a_name_that_cannot_be_shown_or_is_for_no_device_is_refused() {
    let (mut world, devices) = three();
    let device_id = world.device_id(devices[1]);
    for name in ["a\nb".to_owned(), "a".repeat(NAME_LENGTH_MAX + 1)] {
        let refused = world.run(0, &Input::NameDevice { device_id, name });
        assert_eq!(engine_error(refused), EngineError::DeviceName { max: NAME_LENGTH_MAX });
    }
    let refused = world.run(0, &Input::NameDevice { device_id: 7, name: "x".into() });
    assert_eq!(engine_error(refused), EngineError::UnknownDevice(7));
}
