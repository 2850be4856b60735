//! What has left is confirmed, or sent again until it is.

use medipeps_core::kind::{ReceiptsWanted, Urgency};
use medipeps_core::wire::client_records::{OwedRecord, RecipientState, UnconfirmedRecord};
use medipeps_core::wire::transport::Request;

use super::broken_session::roll_back_until_the_braid_breaks;
use super::world::{World, mail, tick};
use crate::engine::{Event, Input, LocalId, SendMail, Time, Undecryptable, key};
use crate::limits::{
    ASK_INTERVAL_MS, RECEIVED_DELAY_MAX_MS, RECEIVED_DELAY_MIN_MS, SENT_AGAIN_MAX, UNCONFIRMED_GRACE_MS,
    UNCONFIRMED_WAIT_MS,
};

pub(super) const HOUR: u64 = 3600 * 1000;
pub(super) const DAY: u64 = 24 * HOUR;

/// Two who have pinned each other and have a session that both have written on; nothing is owed, and nothing is due.
pub(super) fn acquainted() -> World {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "hello"));
    world.settle();
    world.send(1, mail(&world.address(0), "hello, too"));
    world.settle();
    wait_for_received(&mut world);
    pass(&mut world, &[0, 1], 2 * DAY, HOUR);
    assert_eq!((waiting(&mut world, 0), waiting(&mut world, 1)), (0, 0));
    world
}

pub(super) fn wait_for_received(world: &mut World) {
    world.later(RECEIVED_DELAY_MAX_MS + 1);
    world.settle();
}

/// Time passes for those who are there.
pub(super) fn pass(world: &mut World, clients: &[usize], milliseconds: u64, step: u64) {
    let end = world.now + milliseconds;
    while world.now < end {
        world.later(step);
        for client in clients {
            world.receive(*client);
        }
    }
}

/// How many messages of a client are not confirmed.
pub(super) fn waiting(world: &mut World, number: usize) -> usize {
    let now = Time(world.now);
    let client = &mut world.clients[number];
    client.store.status(now, &mut client.rng).unwrap().unconfirmed
}

pub(super) fn submitted_to(world: &World, number: usize) -> usize {
    let address = world.address(number);
    world.server.submitted().iter().filter(|submit| submit.address == address).count()
}

/// What one client has submitted to another's account: its own devices write to it as well.
fn submitted_by(world: &World, number: usize, to: usize) -> usize {
    let address = world.address(to);
    let is_one = |request: &Request| matches!(request, Request::Submit(submit) if submit.address == address);
    world.sent_over.iter().filter(|(by, _, request)| *by == number && is_one(request)).count()
}

fn handshakes(world: &World, number: usize) -> usize {
    let address = world.address(number);
    let asked = |request: &&Request| matches!(request, Request::FetchPrekeys(fetch) if fetch.address == address);
    world.server.log.iter().filter(asked).count()
}

fn times_shown(world: &World, number: usize) -> usize {
    world.clients[number].events.iter().filter(|event| matches!(event, Event::MessageReceived { .. })).count()
}

/// Flips a bit of the last envelope that waits for a client.
fn damage_last(world: &mut World, number: usize) {
    let envelope = &mut world.device(number).queue.last_mut().unwrap().envelope;
    *envelope.last_mut().unwrap() ^= 1;
}

#[test]
fn a_message_is_confirmed_between_30_and_300_seconds_after_it_came() {
    let mut world = acquainted();
    world.send(0, mail(&world.address(1), "a"));
    world.settle();
    let before = submitted_to(&world, 0);
    pass(&mut world, &[1], RECEIVED_DELAY_MIN_MS - 1, RECEIVED_DELAY_MIN_MS - 1);
    assert_eq!(submitted_to(&world, 0), before, "not before its time");
    assert_eq!(waiting(&mut world, 0), 1);
    pass(&mut world, &[1], RECEIVED_DELAY_MAX_MS, 10_000);
    assert_eq!(submitted_to(&world, 0), before + 1);
    world.settle();
    assert_eq!(waiting(&mut world, 0), 0);
    assert_eq!(times_shown(&world, 0), 1, "it is no message");
}

#[test]
fn what_is_urgent_is_confirmed_at_once() {
    let mut world = acquainted();
    world.send(0, SendMail { urgency: Urgency::Vital, ..mail(&world.address(1), "now") });
    assert_eq!(waiting(&mut world, 0), 1);
    world.settle();
    assert_eq!(waiting(&mut world, 0), 0);
}

/// No receipt was asked for, so no state moves; that the device has it is between the devices.
#[test]
fn what_is_confirmed_is_not_shown_as_delivered_unless_that_was_asked_for() {
    let mut world = acquainted();
    let id = world.send(0, mail(&world.address(1), "a"));
    world.settle();
    wait_for_received(&mut world);
    assert_eq!(waiting(&mut world, 0), 0);
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
}

#[test]
fn a_stranger_learns_nothing_until_he_is_checked() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    let urgent = SendMail { urgency: Urgency::Urgent, ..mail(&paul, "who are you?") };
    world.send(0, urgent);
    let batch = world.pushed(1);
    world.deliver(1, batch);
    let now = world.now;
    assert_eq!(world.clients[1].get::<OwedRecord>(&key::owed(&claire), now), None);
    // The server says that the address is his.
    world.send_all(1);
    assert_eq!(submitted_to(&world, 0), 1, "urgent: at once");
    world.settle();
    assert_eq!(waiting(&mut world, 0), 0);
}

#[test]
fn a_receipt_confirms_too() {
    let mut world = acquainted();
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "a") });
    world.settle();
    assert_eq!(waiting(&mut world, 0), 0);
}

/// Sends to Paul, who is away, and waits until the message is given up.
fn given_up(world: &mut World, command: SendMail) -> LocalId {
    let (sent, fetched) = (submitted_to(world, 1), handshakes(world, 1));
    let id = world.send(0, command);
    for times in 1..=SENT_AGAIN_MAX as usize {
        let start = world.now;
        while submitted_to(world, 1) == sent + times && world.now < start + 2 * DAY {
            pass(world, &[0], UNCONFIRMED_GRACE_MS, UNCONFIRMED_GRACE_MS);
        }
        assert_eq!(submitted_to(world, 1), sent + times + 1);
        let after = world.now - start;
        assert!((UNCONFIRMED_WAIT_MS..UNCONFIRMED_WAIT_MS + HOUR).contains(&after), "after a day, not {after} ms");
        assert_eq!(handshakes(world, 1), fetched + times, "each time over a fresh handshake");
        assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    }
    pass(world, &[0], 30 * DAY, 6 * HOUR);
    assert_eq!(submitted_to(world, 1), sent + 1 + SENT_AGAIN_MAX as usize, "three times at most");
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("unconfirmed".into())));
    assert_eq!(waiting(world, 0), 0);
    id
}

#[test]
fn what_nobody_confirms_is_sent_three_times_more_and_then_shown_as_failed() {
    let mut world = acquainted();
    let command = mail(&world.address(1), "are you there?");
    let id = given_up(&mut world, command);
    // Late: Paul was away for long.
    world.settle();
    assert_eq!(world.texts(1), ["hello", "are you there?"]);
    assert_eq!(times_shown(&world, 1), 2, "shown once");
    wait_for_received(&mut world);
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

#[test]
fn a_late_receipt_takes_the_failure_back() {
    let mut world = acquainted();
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    let command = SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "are you there?") };
    let id = given_up(&mut world, command);
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Delivered, None));
}

#[test]
fn who_was_away_for_days_finds_the_confirmations_before_anything_is_sent_again() {
    let mut world = acquainted();
    world.send(0, mail(&world.address(1), "a"));
    pass(&mut world, &[1], RECEIVED_DELAY_MAX_MS + HOUR, HOUR);
    world.later(3 * DAY);
    let before = submitted_to(&world, 1);
    // The first thing that Claire's device does is to look what is due.
    world.run(0, &tick()).unwrap();
    world.settle();
    pass(&mut world, &[0, 1], HOUR, HOUR / 12);
    assert_eq!((submitted_to(&world, 1), waiting(&mut world, 0)), (before, 0));
}

#[test]
fn a_lost_confirmation_is_asked_for_by_sending_again() {
    let mut world = acquainted();
    world.send(0, mail(&world.address(1), "a"));
    world.receive(1);
    pass(&mut world, &[1], RECEIVED_DELAY_MAX_MS + 1, RECEIVED_DELAY_MAX_MS + 1);
    world.device(0).queue.pop().expect("the confirmation");
    pass(&mut world, &[0, 1], UNCONFIRMED_WAIT_MS + UNCONFIRMED_GRACE_MS + HOUR, HOUR / 6);
    assert_eq!(times_shown(&world, 1), 2, "shown once");
    assert_eq!(waiting(&mut world, 0), 0);
}

#[test]
fn several_devices_confirm_each_for_itself_and_one_that_is_off_is_not_waited_for_for_ever() {
    let mut world = acquainted();
    let second = world.join_device(1);
    let (paul, second_id) = (world.address(1), world.device_id(second));
    let id = world.send(0, mail(&paul, "to both"));
    world.receive(1);
    wait_for_received_of(&mut world, &[0, 1]);
    let now = world.now;
    let record: UnconfirmedRecord = world.clients[0].get(&key::unconfirmed(&id, &paul), now).unwrap();
    assert_eq!((record.devices, record.confirmed.len()), (vec![second_id], 1));
    // One device has answered, which is answered in the end by an empty message.
    let before = submitted_by(&world, 0, 1) + 1;
    pass(&mut world, &[0, 1], 6 * DAY, HOUR);
    assert_eq!((submitted_by(&world, 0, 1), waiting(&mut world, 0)), (before, 1), "one device has it");
    pass(&mut world, &[0, 1], 2 * DAY, HOUR);
    assert_eq!((submitted_by(&world, 0, 1), waiting(&mut world, 0)), (before, 0));
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
}

fn wait_for_received_of(world: &mut World, clients: &[usize]) {
    pass(world, clients, RECEIVED_DELAY_MAX_MS + 1, 60_000);
}

/// A device is added while a message is in flight: the message is encrypted anew, and every device confirms it.
#[test]
fn after_stale_devices_everybody_gets_it_and_confirms_it() {
    let mut world = acquainted();
    let paul = world.address(1);
    // Encrypted for one device, and held up on the way.
    world.clients[0].handle(&Input::SendMail(mail(&paul, "in flight")), world.now).unwrap();
    let handled = world.clients[0].handle(&tick(), world.now).unwrap();
    let second = world.join_device(1);
    let reply = world.exchange(0, &handled.outgoing[0], handled.generation).unwrap();
    world.run(0, &reply).unwrap();
    world.settle();
    assert_eq!(
        (world.texts(1), world.texts(second)),
        (vec!["hello".into(), "in flight".into()], vec!["in flight".to_owned()])
    );
    assert_eq!(waiting(&mut world, 0), 1);
    wait_for_received(&mut world);
    assert_eq!(waiting(&mut world, 0), 0);
}

#[test]
fn what_was_damaged_on_the_way_is_asked_for_at_once_and_comes_over_a_fresh_handshake() {
    let mut world = acquainted();
    let before = handshakes(&world, 1);
    world.send(0, mail(&world.address(1), "damaged"));
    damage_last(&mut world, 1);
    world.settle();
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::Ciphertext]);
    assert_eq!(world.texts(1), ["hello", "damaged"]);
    assert_eq!(handshakes(&world, 1), before + 1);
    wait_for_received(&mut world);
    assert_eq!(waiting(&mut world, 0), 0);
}

#[test]
fn an_unreadable_message_is_asked_for_once_an_hour() {
    let mut world = acquainted();
    let (start, before) = (world.now, submitted_to(&world, 0));
    // A server that damages everything that Claire sends; she writes every ten minutes.
    while world.now < start + ASK_INTERVAL_MS - 20 * 60 * 1000 {
        world.later(10 * 60 * 1000);
        world.send(0, mail(&world.address(1), "damaged"));
        let from = world.device(1).acknowledged;
        for delivery in world.device(1).queue.iter_mut().filter(|delivery| delivery.sequence > from) {
            *delivery.envelope.last_mut().unwrap() ^= 1;
        }
        world.receive(1);
    }
    assert_eq!(submitted_to(&world, 0), before + 1, "once in the hour");
    // From now on it damages nothing. What was asked for comes, and in the next day the rest.
    pass(&mut world, &[0, 1], 2 * DAY, HOUR / 6);
    assert_eq!(waiting(&mut world, 0), 0);
    assert_eq!(world.texts(1).len(), 1 + 4);
}

#[test]
fn what_a_rolled_back_device_cannot_read_comes_again() {
    let mut world = roll_back_until_the_braid_breaks();
    let asked = |world: &World, number: usize| world.clients[number].undecryptable().len();
    assert!(asked(&world, 0) + asked(&world, 1) > 0);
    pass(&mut world, &[0, 1], 2 * DAY, HOUR / 6);
    for (number, sender) in [(0, 1), (1, 0)] {
        let now = world.now;
        let sent = world.clients[sender].messages(now).into_iter().filter(|message| message.message.sent).count();
        let texts = world.texts(number);
        // What was written before the rollback is not in the rolled-back store any more.
        assert!(texts.len() >= sent, "{} of {sent}", texts.len());
        assert_eq!(waiting(&mut world, sender), 0);
    }
}

#[test]
fn a_clock_that_is_wrong_by_a_year_makes_no_storm() {
    let mut world = acquainted();
    let paul = world.address(1);
    for number in 0..20 {
        world.send(0, mail(&paul, &number.to_string()));
    }
    let before = world.server.submitted().len();
    // Forwards: the messages seem to be overdue. Each is sent again once, and not before the queue was looked at.
    let right = world.now;
    world.later(365 * DAY);
    world.send_all(0);
    assert_eq!(world.server.submitted().len(), before);
    world.receive(1);
    wait_for_received(&mut world);
    assert_eq!(waiting(&mut world, 0), 0);
    let after = world.server.submitted().len();
    assert_eq!(after, before + 1, "one `received`");
    world.send(0, mail(&paul, "from the future"));
    world.receive(1);
    // And back: nothing waits for a year.
    world.now = right + HOUR;
    world.server.now = world.now;
    pass(&mut world, &[0, 1], 2 * DAY, HOUR);
    assert_eq!(waiting(&mut world, 0), 0);
    assert!(world.server.submitted().len() <= after + 4, "{} more", world.server.submitted().len() - after);
    assert_eq!(world.texts(1).len(), 1 + 21);
}
