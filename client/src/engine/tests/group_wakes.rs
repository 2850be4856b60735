//! Where devices are woken: told in each epoch anew, renewed, taken back, refused.

use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord};
use medipeps_core::wire::transport::ErrorCode;

use super::world::World;
use crate::engine::{Event, GroupEvent, GroupId, Input, key};

const URL: &str = "https://push.example/up/1";
const DAY: u64 = 24 * 3600 * 1000;

impl World {
    fn wake(&mut self, number: usize, url: Option<&str>) {
        let endpoint = url.map(|url| url.parse().unwrap());
        self.run(number, &Input::Wake(endpoint)).unwrap();
        self.rest();
    }

    /// Epochs and addresses of those who are woken.
    fn woken(&self, group: &GroupId) -> Vec<(u64, String)> {
        let wakes = self.server.groups.logs[group].wakes.values();
        wakes.map(|(epoch, endpoint, _)| (*epoch, endpoint.as_str().to_owned())).collect()
    }

    fn epoch(&mut self, number: usize, group: &GroupId) -> u64 {
        self.groups(number).into_iter().find(|one| one.log_id == *group).unwrap().epoch
    }

    fn refusals(&self, number: usize) -> Vec<&str> {
        let events = self.clients[number].events.iter();
        let codes = events.filter_map(|event| match event {
            Event::Group { event: GroupEvent::WakeRefused { code }, .. } => Some(code.as_str()),
            _ => None,
        });
        codes.collect()
    }
}

/// Two members, the second of whom is woken.
fn woken() -> (World, GroupId) {
    let mut world = World::new(&["anna", "ben", "carla"]);
    world.publish_key_packages();
    let members = [(1, GroupRoleRecord::Member), (2, GroupRoleRecord::Member)];
    let group = world.create(0, "Ward 3", &members);
    world.wake(1, Some(URL));
    (world, group)
}

#[test]
fn a_device_is_woken_in_every_epoch_that_it_reaches() {
    let (mut world, group) = woken();
    let epoch = world.epoch(1, &group);
    assert_eq!(world.woken(&group), [(epoch, URL.to_owned())]);
    let handle = *world.server.groups.logs[&group].wakes.keys().next().unwrap();
    let told = world.server.groups.told;
    world.rest();
    assert_eq!(world.server.groups.told, told, "once is enough");
    world.change(0, &group, GroupChangeKind::Name("Ward 4".to_owned()));
    world.rest();
    assert_eq!(world.woken(&group), [(epoch + 1, URL.to_owned())]);
    assert_eq!(*world.server.groups.logs[&group].wakes.keys().next().unwrap(), handle, "under the same handle");
    world.wake(1, Some("https://push.example/up/2"));
    assert_eq!(world.woken(&group), [(epoch + 1, "https://push.example/up/2".to_owned())]);
    world.wake(1, None);
    assert_eq!(world.woken(&group), []);
    let now = world.now;
    assert!(world.clients[1].get(&key::group_wake(&group), now).is_none());
    let told = world.server.groups.told;
    world.rest();
    assert_eq!(world.server.groups.told, told);
}

#[test]
fn a_device_that_was_away_tells_it_where_it_arrives() {
    let (mut world, group) = woken();
    world.away.insert(1);
    for number in 0..20 {
        world.change(0, &group, GroupChangeKind::Name(format!("Ward {number}")));
        world.rest();
    }
    assert_eq!(world.woken(&group), [], "forgotten with its epoch");
    let told = world.server.groups.told;
    world.away.clear();
    world.rest();
    let epoch = world.epoch(0, &group);
    assert_eq!(world.woken(&group), [(epoch, URL.to_owned())]);
    assert_eq!(world.server.groups.told, told + 1, "and not to the epochs that are over");
}

#[test]
fn who_is_out_is_woken_no_more() {
    let (mut world, group) = woken();
    world.wake(2, Some("https://push.example/up/3"));
    assert_eq!(world.woken(&group).len(), 2);
    let out = GroupChangeKind::Remove(world.address(1));
    world.change(0, &group, out);
    world.rest();
    let epoch = world.epoch(0, &group);
    assert_eq!(world.woken(&group), [(epoch, "https://push.example/up/3".to_owned())]);
    let now = world.now;
    assert!(world.clients[1].get(&key::group_wake(&group), now).is_none());
    let now = world.now;
    assert!(world.clients[1].get(&key::wake(), now).is_some(), "other groups wake it still");
    world.change(2, &group, GroupChangeKind::Leave);
    world.rest();
    assert_eq!(world.woken(&group), []);
    let now = world.now;
    assert!(world.clients[2].get(&key::group_wake(&group), now).is_none());
}

#[test]
fn it_is_renewed_before_it_runs_out_and_after_a_restore_of_the_server() {
    let (mut world, group) = woken();
    let until = |world: &World| world.server.groups.logs[&group].wakes.values().next().unwrap().2;
    let first = until(&world);
    assert!(first >= world.now + 13 * DAY && first <= world.now + 14 * DAY);
    world.later(5 * DAY);
    world.rest();
    assert_eq!(until(&world), first);
    world.later(3 * DAY);
    world.rest();
    assert!(until(&world) >= first + 7 * DAY);
    // A restored store has no handles.
    world.server.groups.logs.get_mut(&group).unwrap().wakes.clear();
    world.server.incarnation = [77; 16];
    world.rest();
    assert_eq!(world.woken(&group).len(), 1);
}

#[test]
fn a_server_that_refuses_is_asked_again_after_a_day_and_the_person_is_told() {
    let mut world = World::new(&["anna", "ben"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, GroupRoleRecord::Member)]);
    world.server.groups.wake_refused = Some(ErrorCode::PushServiceRefused);
    world.wake(1, Some(URL));
    world.rest();
    assert_eq!((world.woken(&group), world.refusals(1)), (vec![], vec!["PushServiceRefused"]));
    assert_eq!(world.server.groups.told, 1);
    world.change(0, &group, GroupChangeKind::Name("Ward 4".to_owned()));
    world.rest();
    assert_eq!(world.server.groups.told, 1, "another epoch is no other host");
    world.server.groups.wake_refused = None;
    world.later(DAY);
    world.rest();
    let epoch = world.epoch(0, &group);
    assert_eq!(world.woken(&group), [(epoch, URL.to_owned())]);
    assert_eq!(world.refusals(1), ["PushServiceRefused"], "told once");
}
