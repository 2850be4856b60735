//! Delivery keys and the request lane: who gets a key, what comes without one, and that nothing is ever lost by it.

use medipeps_core::wire::client_records::{MessageRecord, RecipientState};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request};

use super::world::{World, engine_error, mail, tick};
use crate::engine::{Correlation, EngineError, Event, Input, Time};
use crate::limits::DELIVERY_KEY_RETRY_MS;

const DAY: u64 = 24 * 3600 * 1000;

impl World {
    fn write(&mut self, from: usize, to: usize, text: &str) {
        let command = mail(&self.address(to), text);
        self.send(from, command);
        self.settle();
    }

    fn arrived(&mut self, number: usize, text: &str) -> MessageRecord {
        let now = self.now;
        let messages = self.clients[number].received(now);
        let one = messages.into_iter().find(|one| one.message.subject == format!("About {text}"));
        one.unwrap_or_else(|| panic!("\"{text}\" has not come")).message
    }

    fn is_request(&mut self, number: usize, text: &str) -> bool {
        let (now, wanted) = (self.now, self.arrived(number, text));
        let messages = self.clients[number].received(now);
        let client = &mut self.clients[number];
        let requests = client.store.requests(&messages, Time(now), &mut client.rng).unwrap();
        messages.iter().any(|one| one.message == wanted && requests.contains(&one.id))
    }

    fn came_without_key(&mut self, number: usize, text: &str) -> bool {
        self.arrived(number, text).request_lane
    }

    fn keys_at_server(&self, number: usize) -> usize {
        self.server.accounts[&self.address(number)].delivery_keys.len()
    }

    fn newest_key(&mut self, number: usize) -> u64 {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        client.store.status(now, &mut client.rng).unwrap().delivery_key.unwrap().made_at
    }

    fn days_pass(&mut self, days: u64) {
        for _ in 0..days {
            self.later(DAY);
            self.settle();
        }
    }
}

/// They have their accounts, and their servers their keys.
fn strangers() -> World {
    let mut world = World::new(&["claire", "karim"]);
    world.settle();
    assert_eq!([world.keys_at_server(0), world.keys_at_server(1)], [1, 1]);
    world
}

#[test]
fn a_stranger_is_in_the_request_lane_and_who_is_answered_is_not() {
    let mut world = strangers();
    world.write(0, 1, "first");
    assert!(world.came_without_key(1, "first") && world.is_request(1, "first"));
    // Claire's key came beside it; Karim's comes beside his answer.
    world.write(1, 0, "answer");
    assert!(!world.came_without_key(0, "answer"));
    assert!(!world.is_request(1, "first"), "whom one writes to is accepted");
    world.write(0, 1, "second");
    assert!(!world.came_without_key(1, "second"));
}

#[test]
fn whoever_is_accepted_by_hand_gets_the_key_with_the_next_confirmation() {
    let mut world = strangers();
    world.write(0, 1, "first");
    let (claire, karim) = (world.address(0), world.address(1));
    world.run(1, &Input::Accept(claire.clone())).unwrap();
    assert!(world.clients[1].events.contains(&Event::Accepted { address: claire }));
    assert!(!world.is_request(1, "first"));
    world.write(0, 1, "second");
    assert!(world.came_without_key(1, "second"), "the key is not there yet");
    // What his device confirms by itself brings it.
    world.days_pass(1);
    world.write(0, 1, "third");
    assert!(!world.came_without_key(1, "third"));
    assert_eq!(engine_error(world.run(1, &Input::Accept(karim.clone()))), EngineError::OwnAddress(karim));
}

#[test]
fn a_stranger_who_is_only_confirmed_gets_no_key() {
    let mut world = strangers();
    world.write(0, 1, "first");
    world.days_pass(2);
    world.write(0, 1, "second");
    assert!(world.came_without_key(1, "second") && world.is_request(1, "second"));
}

#[test]
fn a_new_key_reaches_those_who_talk_and_the_former_one_ends_after_a_week() {
    let mut world = strangers();
    world.write(0, 1, "first");
    world.write(1, 0, "answer");
    world.later(1);
    let before = world.newest_key(1);
    world.run(1, &Input::RenewDeliveryKey).unwrap();
    assert!(world.newest_key(1) > before);
    // On its way under the former key.
    world.write(0, 1, "in between");
    assert!(!world.came_without_key(1, "in between"), "the former key is still good");
    assert_eq!(world.keys_at_server(1), 2);
    world.days_pass(8);
    assert_eq!(world.keys_at_server(1), 1);
    world.write(0, 1, "after a week");
    assert!(!world.came_without_key(1, "after a week"), "what was confirmed meanwhile has brought the new one");
}

#[test]
fn who_missed_the_new_key_is_no_request_and_gets_it_with_the_confirmation() {
    let mut world = strangers();
    world.write(0, 1, "first");
    world.write(1, 0, "answer");
    world.later(1);
    world.run(1, &Input::RenewDeliveryKey).unwrap();
    // Nobody fetches anything for eight days but Karim.
    world.later(8 * DAY);
    world.send_all(1);
    assert_eq!(world.keys_at_server(1), 1);
    let command = mail(&world.address(1), "with the former key");
    world.send(0, command);
    world.settle();
    assert!(world.came_without_key(1, "with the former key"));
    assert!(!world.is_request(1, "with the former key"));
    world.days_pass(1);
    world.write(0, 1, "again");
    assert!(!world.came_without_key(1, "again"));
}

#[test]
fn whoever_is_blocked_loses_the_key_and_nobody_else() {
    let mut world = World::new(&["claire", "karim", "mallory"]);
    world.settle();
    for other in [0, 2] {
        world.write(other, 1, &format!("from {other}"));
        world.write(1, other, &format!("to {other}"));
    }
    let (before, mallory) = (world.newest_key(1), world.address(2));
    world.later(1);
    world.run(1, &Input::Block { address: mallory, blocked: true }).unwrap();
    assert!(world.newest_key(1) > before);
    world.write(1, 0, "brings the new key");
    world.write(2, 1, "confirmed as ever");
    world.days_pass(8);
    for (from, is_stranger) in [(2, true), (0, false)] {
        let text = format!("later from {from}");
        world.write(from, 1, &text);
        assert_eq!(world.came_without_key(1, &text), is_stranger, "{text}");
    }
}

#[test]
fn a_full_request_lane_keeps_a_stranger_waiting_and_loses_nothing() {
    let mut world = strangers();
    world.server.refusals = vec![ErrorReply::new(ErrorCode::RequestLaneFull, "")];
    let command = mail(&world.address(1), "patient");
    let id = world.send(0, command);
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("RequestLaneFull".to_owned())));
    world.later(3600 * 1000);
    world.settle();
    assert!(world.came_without_key(1, "patient"));
}

#[test]
fn a_key_that_the_server_did_not_hear_of_is_told_again() {
    let mut world = World::new(&["claire"]);
    let asked = |world: &World| {
        world.server.log.iter().filter(|request| matches!(request, Request::SetDeliveryKeys(_))).count()
    };
    // The process ends before the request is sent: the key is stored.
    let now = world.now;
    let handled = world.clients[0].handle(&tick(), now).unwrap();
    assert!(handled.outgoing.iter().any(|one| matches!(one.reply_to, Correlation::SetDeliveryKeys(_))));
    let made_at = world.newest_key(0);
    world.clients[0].restart();
    world.settle();
    assert_eq!(asked(&world), 0, "not at once");
    world.later(DELIVERY_KEY_RETRY_MS);
    world.settle();
    assert_eq!((asked(&world), world.keys_at_server(0), world.newest_key(0)), (1, 1, made_at));
}

#[test]
fn a_restored_server_is_told_again() {
    let mut world = strangers();
    let claire = world.address(0);
    world.run(0, &Input::QueueOpened([1; 16])).unwrap();
    world.server.accounts.get_mut(&claire).unwrap().delivery_keys.clear();
    world.server.incarnation = [2; 16];
    world.run(0, &Input::QueueOpened([2; 16])).unwrap();
    world.send_all(0);
    assert_eq!(world.keys_at_server(0), 1);
}

#[test]
fn two_devices_that_make_a_key_at_once_agree_on_one() {
    let mut world = World::new(&["claire", "karim"]);
    let second = world.join_device(0);
    world.settle();
    world.later(1);
    for device in [0, second] {
        world.run(device, &Input::RenewDeliveryKey).unwrap();
    }
    world.days_pass(1);
    assert_eq!(world.newest_key(0), world.newest_key(second));
    // What either has given is good.
    for device in [0, second] {
        let text = format!("from device {device}");
        world.write(device, 1, &text);
    }
    world.write(1, 0, "answer");
    assert!(!world.came_without_key(0, "answer") && !world.came_without_key(second, "answer"));
    world.days_pass(8);
    assert_eq!(world.keys_at_server(0), 1);
}

#[test]
fn a_key_of_a_clock_that_was_a_year_ahead_keeps_no_former_one_alive() {
    let mut world = strangers();
    world.clients[1].clock_ahead = 365 * DAY;
    world.run(1, &Input::RenewDeliveryKey).unwrap();
    world.clients[1].clock_ahead = 0;
    world.days_pass(1);
    assert_eq!(world.keys_at_server(1), 1);
    // And the next one is newer all the same.
    let before = world.newest_key(1);
    world.run(1, &Input::RenewDeliveryKey).unwrap();
    assert!(world.newest_key(1) > before);
}
