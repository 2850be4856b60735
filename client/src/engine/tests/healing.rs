//! Two devices that talk move their ratchets on, and two that are left alone come to rest.

use std::collections::BTreeSet;

use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::session::Session;
use medipeps_core::wire::client_records::SessionRecord;

use super::repair::{DAY, HOUR, acquainted, pass, submitted_to, wait_for_received, waiting};
use super::world::{World, mail, rounds_of, tick};
use crate::engine::{Input, Need, SendMail, class};
use crate::limits::DELIVERY_BATCH_MAX;

/// The only session of a client.
fn session(world: &mut World, number: usize) -> Session {
    let now = world.now;
    let client = &mut world.clients[number];
    let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let stored = transaction.scan(class::SESSION).unwrap();
    assert_eq!(stored.len(), 1);
    let (_, value) = stored.iter().next().unwrap();
    Session::decode(&SessionRecord::decode(value).unwrap().state).unwrap()
}

#[test]
fn a_storm_of_messages_makes_one_received() {
    let mut world = acquainted();
    let paul = world.address(1);
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    for number in 0..200 {
        world.send(0, SendMail { receipts_wanted: wanted, ..mail(&paul, &number.to_string()) });
    }
    let batch = world.pushed(1);
    for part in batch.chunks(DELIVERY_BATCH_MAX) {
        world.deliver(1, part.to_vec());
    }
    world.send_all(1);
    // Receipts are what Claire asked for; they are not answered.
    let before = (submitted_to(&world, 0), submitted_to(&world, 1));
    world.settle();
    wait_for_received(&mut world);
    assert_eq!((submitted_to(&world, 0), submitted_to(&world, 1)), (before.0 + 1, before.1));
    assert_eq!(waiting(&mut world, 0), 0);
}

#[test]
fn two_devices_that_are_left_alone_come_to_rest() {
    let mut world = acquainted();
    let (claire, paul) = (world.address(0), world.address(1));
    let wanted = ReceiptsWanted { delivered: true, displayed: true, processed: false };
    let id = world.send(0, SendMail { receipts_wanted: wanted, ..mail(&paul, "question") });
    world.settle();
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    world.send(1, SendMail { receipts_wanted: wanted, ..mail(&claire, "answer") });
    world.settle();
    let before = world.server.submitted().len();
    pass(&mut world, &[0, 1], 2 * DAY, HOUR);
    let after = world.server.submitted().len();
    // A `received` each, and then an empty message from whoever heard the other last, or from both.
    assert!((before + 3..=before + 4).contains(&after), "{} messages", after - before);
    pass(&mut world, &[0, 1], 28 * DAY, 3 * HOUR);
    assert_eq!(world.server.submitted().len(), after, "they do not come to rest");
    assert_eq!((waiting(&mut world, 0), waiting(&mut world, 1)), (0, 0));
}

#[test]
fn who_hears_and_says_nothing_sends_one_empty_message_a_day_at_most() {
    let mut world = acquainted();
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "a") });
    world.settle();
    wait_for_received(&mut world);
    let (at_paul, shown) = (submitted_to(&world, 1), world.texts(1).len());
    pass(&mut world, &[0, 1], DAY - HOUR, HOUR);
    assert_eq!(submitted_to(&world, 1), at_paul);
    pass(&mut world, &[0, 1], 2 * HOUR, HOUR);
    assert_eq!(submitted_to(&world, 1), at_paul + 1);
    pass(&mut world, &[0, 1], 10 * DAY, HOUR);
    assert_eq!(submitted_to(&world, 1), at_paul + 1);
    assert_eq!(world.texts(1).len(), shown, "it is not shown");
}

#[test]
fn a_one_sided_talker_heals() {
    let mut world = acquainted();
    let paul = world.address(1);
    let begin = [0, 1].map(|number| session(&mut world, number));
    let mut keys = [BTreeSet::new(), BTreeSet::new()];
    for day in 0..20 {
        world.send(0, mail(&paul, &day.to_string()));
        pass(&mut world, &[0, 1], DAY, 2 * HOUR);
        for (number, keys) in keys.iter_mut().enumerate() {
            // A step of the Double Ratchet brings other header keys, and with them other hint keys.
            let hints = session(&mut world, number).hint_keys();
            keys.insert(hints.iter().map(|key| *key.secret().as_bytes()).collect::<Vec<_>>());
        }
    }
    for (number, (before, keys)) in begin.iter().zip(keys).enumerate() {
        assert!(keys.len() >= 20, "client {number}: {} steps of the Double Ratchet", keys.len());
        let epochs = session(&mut world, number).post_quantum_epoch() - before.post_quantum_epoch();
        assert!(epochs >= 2, "client {number}: {epochs} epochs");
    }
    assert_eq!(world.texts(1).len(), 21);
    assert_eq!(world.texts(0).len(), 1);
}

fn needs_of_a_tick(world: &mut World) -> BTreeSet<Need> {
    let (rounds, step) = rounds_of(world, 0, &tick());
    assert!(step.patch.is_empty(), "nothing is due, nothing is written");
    rounds.into_iter().flatten().collect()
}

#[test]
fn a_tick_with_nothing_due_reads_the_same_few_records_however_many_wait() {
    let mut world = acquainted();
    let few = needs_of_a_tick(&mut world);
    let (claire, paul) = (world.address(0), world.address(1));
    for number in 0..30 {
        world.send(0, mail(&paul, &number.to_string()));
        world.send(1, mail(&claire, &number.to_string()));
    }
    let batch = world.pushed(0);
    world.deliver(0, batch);
    world.send_all(0);
    assert_eq!(waiting(&mut world, 0), 30);
    let many = needs_of_a_tick(&mut world);
    assert_eq!(few, many);
    for class in [class::UNCONFIRMED, class::OWED, class::KEPT_ENVELOPE] {
        assert!(!many.contains(&Need::Class(class)));
    }
}
