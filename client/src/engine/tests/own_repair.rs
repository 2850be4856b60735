//! Repair between the devices of one account: what one of them sends or tells is confirmed by the others, and comes again.

use super::repair::pass;
use super::world::{World, mail, tick};
use crate::engine::{Input, LocalId, class};
use crate::limits::{RECEIVED_DELAY_MAX_MS, SENT_AGAIN_MAX, SYNC_DELAY_MS};

const HOUR: u64 = 3600 * 1000;
const DAY: u64 = 24 * HOUR;

/// Claire with two devices, Paul with one; everybody has sessions and nothing is on its way.
fn at_rest() -> (World, usize) {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.settle_in_step();
    for number in [0, second, 1] {
        let to = world.address(if number == 1 { 0 } else { 1 });
        world.send(number, mail(&to, &format!("first of {number}")));
        world.settle_in_step();
    }
    pass(&mut world, &[0, 1, second], 3 * DAY, HOUR);
    (world, second)
}

/// What waits for a client never comes.
fn lose_all(world: &mut World, number: usize) -> usize {
    let device = world.device(number);
    let (before, fetched) = (device.queue.len(), device.acknowledged);
    device.queue.retain(|delivery| delivery.sequence <= fetched);
    before - device.queue.len()
}

fn unconfirmed(world: &mut World, number: usize) -> usize {
    let now = world.now;
    world.clients[number].count(class::UNCONFIRMED, now)
}

fn has_as_sent(world: &mut World, number: usize, id: LocalId) -> bool {
    world.sent(number).iter().any(|(known, _, _)| *known == id)
}

#[test]
fn a_sent_mail_that_another_device_never_got_comes_again() {
    let (mut world, second) = at_rest();
    let paul = world.address(1);
    let id = world.send(0, mail(&paul, "lost on the way to the other device"));
    assert_eq!(lose_all(&mut world, second), 1);
    world.settle_in_step();
    assert!(!has_as_sent(&mut world, second, id));
    pass(&mut world, &[0, 1, second], 2 * DAY, HOUR);
    assert!(has_as_sent(&mut world, second, id));
    assert_eq!(world.texts(1).iter().filter(|text| text.starts_with("lost")).count(), 1);
    assert!(world.clients[second].undecryptable().is_empty());
}

#[test]
fn what_one_device_told_and_another_never_got_is_told_again() {
    let (mut world, second) = at_rest();
    let id = world.send(1, mail(&world.address(0), "read once"));
    world.settle_in_step();
    world.run(0, &Input::MarkDisplayed(id)).unwrap();
    world.later(SYNC_DELAY_MS);
    world.send_all(0);
    assert_eq!(lose_all(&mut world, second), 1);
    world.settle_in_step();
    assert_eq!(world.message(second, id).displayed, 0);
    pass(&mut world, &[0, 1, second], 2 * DAY, HOUR);
    assert_eq!(world.message(second, id).displayed, world.message(0, id).displayed);
}

#[test]
fn what_a_device_cannot_read_of_its_sibling_is_asked_for_at_once() {
    let (mut world, second) = at_rest();
    let paul = world.address(1);
    let id = world.send(0, mail(&paul, "damaged"));
    *world.device(second).queue.last_mut().unwrap().envelope.last_mut().unwrap() ^= 1;
    world.settle();
    world.settle();
    assert!(has_as_sent(&mut world, second, id), "no day has passed");
    assert_eq!(world.clients[second].undecryptable().len(), 1);
}

#[test]
fn when_all_is_confirmed_nothing_is_kept_for_it() {
    let (mut world, second) = at_rest();
    for device in [0, second, 1] {
        let now = world.now;
        assert_eq!(unconfirmed(&mut world, device), 0);
        let messages = world.clients[device].count(class::MESSAGE, now);
        assert_eq!(
            world.clients[device].count(class::CONTENT, now),
            messages,
            "device {device} keeps contents of none"
        );
    }
}

#[test]
fn devices_of_one_account_that_are_left_alone_come_to_rest() {
    let (mut world, second) = at_rest();
    let before = world.server.submitted().len();
    pass(&mut world, &[0, 1, second], 20 * DAY, HOUR);
    assert_eq!(world.server.submitted().len(), before);
}

/// The other device lies in a drawer: what was told to it is sent three times more, and then let go.
#[test]
fn a_device_that_is_off_for_a_month_is_not_written_to_for_ever() {
    let (mut world, second) = at_rest();
    let id = world.send(1, mail(&world.address(0), "read here"));
    world.receive(0);
    world.run(0, &Input::MarkDisplayed(id)).unwrap();
    world.later(SYNC_DELAY_MS);
    let count = |world: &World| {
        let claire = world.address(0);
        world.sent_over.iter().filter(|(by, _, request)| {
            *by == 0 && matches!(request, medipeps_core::wire::transport::Request::Submit(submit) if submit.address == claire)
        }).count()
    };
    let before = count(&world);
    pass(&mut world, &[0, 1], 30 * DAY, HOUR);
    assert_eq!(count(&world) - before, 1 + SENT_AGAIN_MAX as usize);
    assert_eq!(unconfirmed(&mut world, 0), 0);
    // And all of it waits for it at the server.
    world.settle_in_step();
    assert_ne!(world.message(second, id).displayed, 0);
}

#[test]
fn many_mails_make_one_confirmation_to_the_sibling() {
    let (mut world, second) = at_rest();
    let paul = world.address(1);
    for number in 0..20 {
        world.send(0, mail(&paul, &format!("number {number}")));
    }
    world.receive(second);
    let before = world.server.submitted().len();
    world.later(RECEIVED_DELAY_MAX_MS + 1);
    world.run(second, &tick()).unwrap();
    assert_eq!(world.server.submitted().len() - before, 1);
    pass(&mut world, &[0, 1, second], HOUR, RECEIVED_DELAY_MAX_MS);
    assert_eq!(unconfirmed(&mut world, 0), 0);
}
