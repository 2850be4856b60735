//! What arrives, in which order, how often, and damaged.

use medipeps_core::envelope::VERSION;
use medipeps_core::wire::client_records::SenderCheck;
use rand_core::SeedableRng;

use super::world::{World, mail, tick};
use crate::engine::{Event, Input, Time, Undecryptable};
use crate::limits::UNCHECKED_MESSAGES_MAX;

fn duplicates(world: &World, number: usize) -> usize {
    world.clients[number].events.iter().filter(|event| **event == Event::Duplicate).count()
}

#[test]
fn a_message_is_shown_once_however_often_it_comes() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "first"));
    world.send(0, mail(&world.address(1), "second"));
    let batch = world.pushed(1);
    world.deliver(1, batch.clone());
    // Redelivered under the same numbers, as after a lost acknowledgement.
    world.deliver(1, batch.clone());
    assert_eq!(duplicates(&world, 1), 0);
    // The same envelopes under new numbers, as a server may give them that was restored or is hostile.
    let again: Vec<_> = batch
        .iter()
        .map(|one| {
            let mut one = one.clone();
            one.sequence += 10;
            one
        })
        .collect();
    world.deliver(1, again);
    assert_eq!(duplicates(&world, 1), 2);
    assert_eq!(world.texts(1), ["first", "second"]);
}

#[test]
fn a_restored_server_delivers_from_zero_and_nothing_is_shown_twice() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "first"));
    world.settle();
    world.server.incarnation = [2; 16];
    let paul = world.address(1);
    world.device(1).acknowledged = 0;
    world.send(0, mail(&paul, "second"));
    world.settle();
    assert_eq!(world.texts(1), ["first", "second"]);
    assert!(world.clients[1].events.contains(&Event::QueueRestarted));
    assert_eq!(duplicates(&world, 1), 1);
}

#[test]
fn what_a_restored_server_has_lost_is_sent_again_at_once() {
    let mut world = World::new(&["claire", "paul"]);
    // She may have had nothing to receive so far.
    let before = Input::QueueOpened(world.server.incarnation);
    world.run(0, &before).unwrap();
    world.send(0, mail(&world.address(1), "first"));
    world.settle();
    let paul = world.address(1);
    world.send(0, mail(&paul, "lost"));
    world.device(1).queue.clear();
    world.run(0, &tick()).unwrap();
    world.settle();
    assert_eq!(world.texts(1), ["first"], "nobody knows yet");
    // Nothing is pushed after the restore; that the queue is open is enough.
    world.server.incarnation = [2; 16];
    let opened = Input::QueueOpened(world.server.incarnation);
    world.run(0, &opened).unwrap();
    world.run(0, &tick()).unwrap();
    world.run(0, &opened).unwrap();
    world.settle();
    assert_eq!(world.texts(1), ["first", "lost"]);
    let told = world.clients[0].events.iter().filter(|event| **event == Event::QueueRestarted).count();
    assert_eq!(told, 1, "one restart is told once");
}

#[test]
fn reordered_and_lost_envelopes_do_not_keep_the_others() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "0"));
    world.settle();
    world.send(1, mail(&claire, "answer"));
    world.settle();
    for number in 1..=9 {
        world.later(1);
        world.send(0, mail(&paul, &number.to_string()));
    }
    let mut batch = world.pushed(1);
    batch.reverse();
    batch.remove(4);
    for (index, delivery) in batch.iter_mut().enumerate() {
        delivery.sequence = 100 + index as u64;
    }
    world.deliver(1, batch);
    assert_eq!(world.texts(1), ["0", "1", "2", "3", "4", "6", "7", "8", "9"]);
    assert!(world.clients[1].undecryptable().is_empty());
}

#[test]
fn damaged_envelopes_are_counted_noted_and_acknowledged() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    world.send(0, mail(&paul, "first"));
    world.settle();
    world.send(1, mail(&world.address(0), "answer"));
    world.settle();
    world.send(0, mail(&paul, "second"));
    let sound = world.pushed(1).remove(0).envelope;
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let now = world.now;
    let device = world.device(1);
    device.queue.pop();
    let version_0 = vec![0; 4096];
    let of_no_session = [vec![VERSION], vec![0; 4095]].concat();
    for envelope in [vec![0; 100], version_0, of_no_session, flipped, sound] {
        device.enqueue(envelope, now);
    }
    let highest = device.last_sequence;
    world.receive(1);
    let reasons =
        [Undecryptable::Envelope, Undecryptable::Envelope, Undecryptable::NoSession, Undecryptable::Ciphertext];
    assert_eq!(world.clients[1].undecryptable(), reasons);
    assert_eq!(world.texts(1), ["first", "second"]);
    assert_eq!(world.device(1).acknowledged, highest);
    let client = &mut world.clients[1];
    let status = client.store.status(Time(now), &mut client.rng).unwrap();
    assert_eq!(status.queue.undecryptable, 4);
    let noted: Vec<_> = status.undecryptable.iter().map(|record| record.reason.as_str()).collect();
    assert_eq!(noted, ["envelope", "envelope", "no_session", "ciphertext"]);
}

#[test]
fn an_unknown_sender_is_shown_unchecked_until_the_server_has_been_asked() {
    let mut world = World::new(&["claire", "paul"]);
    let id = world.send(0, mail(&world.address(1), "hello"));
    let batch = world.pushed(1);
    world.deliver(1, batch);
    assert_eq!(world.message(1, id).sender_check, SenderCheck::Unchecked);
    world.send_all(1);
    assert_eq!(world.message(1, id).sender_check, SenderCheck::Checked);
    let address = world.address(0);
    assert!(world.clients[1].events.contains(&Event::SenderChecked { address, impostor: false }));
    let now = Time(world.now);
    let client = &mut world.clients[1];
    assert_eq!(client.store.contacts(now, &mut client.rng).unwrap().len(), 1);
}

/// Somebody runs a client under Claire's address with keys of his own, and gets his first flight into Paul's queue.
#[test]
fn an_impostor_is_flagged_and_his_sessions_are_dropped() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    let real = world.server.accounts.remove(&claire).unwrap();
    let impostor = world.join("claire");
    world.server.accounts.insert(claire.clone(), real);
    let id = world.send(impostor, mail(&paul, "send money"));
    world.receive(1);
    assert_eq!(world.message(1, id).sender_check, SenderCheck::Impostor);
    assert!(world.clients[1].events.contains(&Event::SenderChecked { address: claire, impostor: true }));
    // His session is gone; what he sends on it cannot be read any more, and a new flight is another account's.
    world.send(impostor, mail(&paul, "quickly"));
    world.send(0, mail(&paul, "it was not me"));
    world.receive(1);
    assert_eq!(world.texts(1), ["send money", "it was not me"]);
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::SenderKeyChanged]);
}

#[test]
fn an_address_that_its_server_does_not_know_is_an_impostor_s() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    let id = world.send(0, mail(&paul, "hello"));
    world.server.accounts.remove(&claire);
    world.receive(1);
    assert_eq!(world.message(1, id).sender_check, SenderCheck::Impostor);
}

#[test]
fn a_first_flight_from_a_contact_under_another_account_key_is_refused() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.run(1, &Input::AddContact { address: claire.clone(), accept_new_key: false }).unwrap();
    world.server.accounts.remove(&claire);
    let other = world.join("claire");
    world.send(other, mail(&paul, "hello"));
    world.receive(1);
    assert!(world.texts(1).is_empty());
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::SenderKeyChanged]);
}

#[test]
fn a_stranger_may_send_only_so_much_before_he_is_checked() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    for number in 0..=UNCHECKED_MESSAGES_MAX {
        world.send(0, mail(&paul, &number.to_string()));
    }
    let batch = world.pushed(1);
    for part in batch.chunks(32) {
        world.deliver(1, part.to_vec());
    }
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::TooManyUnchecked]);
    let now = world.now;
    assert_eq!(world.clients[1].received(now).len(), UNCHECKED_MESSAGES_MAX);
}

#[test]
fn two_senders_with_the_same_message_id_are_both_shown() {
    let mut world = World::new(&["claire", "paul", "zoe"]);
    let paul = world.address(1);
    // The same seed draws the same message id. What is drawn later differs.
    for (number, text) in [(0, "from claire"), (2, "from zoe")] {
        world.clients[number].rng = chacha20::ChaCha20Rng::from_seed([77; 32]);
        world.clients[number].handle(&Input::SendMail(mail(&paul, text)), world.now).unwrap();
        world.clients[number].rng = chacha20::ChaCha20Rng::from_seed([number as u8 + 80; 32]);
        world.send_all(number);
    }
    let now = world.now;
    assert_eq!(world.clients[0].messages(now)[0].id, world.clients[2].messages(now)[0].id);
    world.settle();
    let mut texts = world.texts(1);
    texts.sort();
    assert_eq!(texts, ["from claire", "from zoe"]);
}

#[test]
fn what_the_server_tells_of_the_queue_is_acknowledged_each_time_and_shown_once() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "first"));
    world.settle();
    let last = world.device(1).acknowledged;
    assert!(last > 0);
    // The acknowledgement was lost twice: the server tells again, on later subscriptions.
    for input in [Input::PrekeysWithheld(5000), Input::PrekeysWithheld(5000), Input::Expired(1)] {
        world.device(1).acknowledged = 0;
        world.run(1, &input).unwrap();
        assert_eq!(world.device(1).acknowledged, last, "{input:?}");
    }
    world.run(1, &Input::PrekeysWithheld(6000)).unwrap();
    let told: Vec<_> =
        world.clients[1].events.iter().filter(|event| matches!(event, Event::PrekeysWithheld { .. })).collect();
    assert_eq!(told, [&Event::PrekeysWithheld { since: 5000 }, &Event::PrekeysWithheld { since: 6000 }]);
}
