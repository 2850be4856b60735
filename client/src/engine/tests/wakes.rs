//! Where a device is woken, as its own server is told: once, again after a restore, and never what was taken back.

use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::transport::{ErrorCode, Request};

use super::world::World;
use crate::engine::{Event, Input, key};

const URL: &str = "https://push.example/up/1";
const APP: &str = "apns:example.clinic.App/00fc";
const DAY: u64 = 24 * 3600 * 1000;

impl World {
    fn wake_device(&mut self, number: usize, endpoint: Option<&str>) {
        let endpoint = endpoint.map(|endpoint| endpoint.parse().unwrap());
        self.run(number, &Input::Wake(endpoint)).unwrap();
        self.rest();
    }

    /// What the server was told, in order.
    fn wakes_told(&self) -> Vec<Option<&str>> {
        let requests = self.server.log.iter().filter_map(|request| match request {
            Request::SetDeviceWake(endpoint) => Some(endpoint.as_ref().map(PushEndpoint::as_str)),
            _ => None,
        });
        requests.collect()
    }

    fn wake_refusals(&self, number: usize) -> usize {
        self.clients[number].events.iter().filter(|event| matches!(event, Event::WakeRefused { .. })).count()
    }
}

#[test]
fn the_own_server_is_told_once_and_what_was_taken_back_is_forgotten() {
    let mut world = World::new(&["anna"]);
    world.wake_device(0, None);
    assert!(world.wakes_told().is_empty(), "there is nothing to take back");
    world.wake_device(0, Some(URL));
    world.rest();
    assert_eq!(world.wakes_told(), [Some(URL)]);
    // An app says at every start what the system has told it: the server may have forgotten it meanwhile.
    world.wake_device(0, Some(URL));
    world.wake_device(0, Some(APP));
    assert_eq!(world.wakes_told(), [Some(URL), Some(URL), Some(APP)]);
    world.wake_device(0, None);
    world.rest();
    assert_eq!(world.wakes_told(), [Some(URL), Some(URL), Some(APP), None]);
    let now = world.now;
    assert!(world.clients[0].get(&key::wake(), now).is_none());
    assert_eq!(world.server.wakes.values().collect::<Vec<_>>(), [&None]);
}

#[test]
fn a_restored_server_is_told_again() {
    let mut world = World::new(&["anna"]);
    world.run(0, &Input::QueueOpened([1; 16])).unwrap();
    world.wake_device(0, Some(URL));
    world.server.incarnation = [9; 16];
    world.run(0, &Input::QueueOpened([9; 16])).unwrap();
    world.rest();
    assert_eq!(world.wakes_told(), [Some(URL), Some(URL)]);
}

#[test]
fn a_refusal_is_told_once_and_tried_again_after_a_day() {
    let mut world = World::new(&["anna"]);
    world.server.wake_refused = Some(ErrorCode::PushServiceRefused);
    world.wake_device(0, Some(URL));
    world.rest();
    assert_eq!((world.wakes_told().len(), world.wake_refusals(0)), (1, 1));
    world.now += DAY;
    world.rest();
    assert_eq!((world.wakes_told().len(), world.wake_refusals(0)), (2, 1));
    world.server.wake_refused = None;
    world.now += DAY;
    world.rest();
    let now = world.now;
    let known = world.clients[0].get(&key::wake(), now).unwrap();
    assert_eq!((known.told, known.problem), (true, None));
}

#[test]
fn what_the_server_cannot_take_now_is_told_soon() {
    let mut world = World::new(&["anna"]);
    world.server.wake_refused = Some(ErrorCode::StorageUnavailable);
    world.wake_device(0, Some(URL));
    let tried = world.wakes_told().len();
    assert!(tried >= 1);
    world.server.wake_refused = None;
    world.now += 10 * 60 * 1000;
    world.rest();
    assert_eq!((world.wakes_told().len(), world.wake_refusals(0)), (tried + 1, 0));
}
