//! Accounts of several devices: what is sent to them arrives on each.

use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::{FetchPrekeys, Payment, Request};

use super::world::{World, mail, rounds_of, tick};
use crate::engine::{Correlation, Input, Send, Step};
use crate::limits::NO_PREKEYS_REMEMBERED_MS;

#[test]
fn a_mail_arrives_on_every_device_of_its_recipient_once() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(1), world.join_device(1));
    let id = world.send(0, mail(&world.address(1), "hello"));
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    let submits = world.server.submitted();
    assert_eq!(submits.iter().map(|submit| submit.envelopes.len()).collect::<Vec<_>>(), [3]);
    world.settle();
    for device in [1, second, third] {
        assert_eq!(world.texts(device), ["hello"]);
        assert!(world.clients[device].undecryptable().is_empty());
    }
}

#[test]
fn a_device_that_has_published_no_prekeys_yet_holds_up_nobody() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(1);
    world.device(second).uploads.clear();
    world.send(0, mail(&world.address(1), "early"));
    world.connect(second);
    assert!(!world.device(second).uploads.is_empty(), "the device publishes its keys");
    world.send(0, mail(&world.address(1), "late"));
    world.settle();
    assert_eq!(world.texts(1), ["early", "late"]);
    assert_eq!(world.texts(second), ["late"]);
}

/// Asking for prekeys costs every device that has some a one-time prekey.
#[test]
fn a_listed_device_without_prekeys_does_not_make_every_mail_ask_for_prekeys() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(1);
    let uploads = std::mem::take(&mut world.device(second).uploads);
    let paul = world.address(1);
    for number in 0..5 {
        world.send(0, mail(&paul, &format!("early {number}")));
    }
    assert_eq!(world.device(1).given, 1, "asked once");
    // It was not asked for a while: it is asked again, once.
    world.later(NO_PREKEYS_REMEMBERED_MS);
    for number in 0..5 {
        world.send(0, mail(&paul, &format!("later {number}")));
    }
    assert_eq!(world.device(1).given, 2);
    // As soon as it has prekeys the server says so: nothing is sent past it.
    world.device(second).uploads = uploads;
    world.send(0, mail(&paul, "to both"));
    assert_eq!(world.device(1).given, 3);
    world.send(0, mail(&paul, "over the session"));
    assert_eq!(world.device(1).given, 3);
    world.settle();
    assert_eq!(world.texts(second), ["to both", "over the session"]);
    assert_eq!(world.texts(1).len(), 12);
}

/// The same among the account's own devices: what one tells the other meanwhile asks once.
#[test]
fn a_sibling_without_prekeys_does_not_make_every_sync_ask_for_prekeys() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    world.settle_in_step();
    let fourth = world.join_device(0);
    world.device(fourth).uploads.clear();
    let paul = world.address(1);
    let before = world.device(second).given;
    for number in 0..5 {
        world.send(0, mail(&paul, &format!("number {number}")));
    }
    assert_eq!(world.device(second).given - before, 1);
    world.receive(third);
    assert_eq!(world.sent(third).len(), 5);
}

#[test]
fn what_is_sent_before_a_device_was_listed_and_after_it_was_revoked_does_not_reach_it() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    world.send(0, mail(&paul, "before"));
    let second = world.join_device(1);
    world.send(0, mail(&paul, "between"));
    world.settle();
    world.revoke_device(1, second);
    world.send(0, mail(&paul, "after"));
    world.settle();
    assert_eq!(world.texts(1), ["before", "between", "after"]);
    assert_eq!(world.texts(second), ["between"]);
}

/// Run with `--nocapture` for the figures: bytes of the submission, and the time that the engine takes, store and all.
#[test]
fn what_one_mail_to_a_person_with_1_5_and_20_devices_costs() {
    for devices in [1, 5, 20] {
        let mut world = World::new(&["claire", "paul"]);
        for _ in 1..devices {
            world.join_device(1);
        }
        for round in ["first flights", "sessions"] {
            let before = world.server.submitted().len();
            let start = std::time::Instant::now();
            world.send(0, mail(&world.address(1), "hello"));
            let took = start.elapsed();
            let submits = world.server.submitted().split_off(before);
            assert_eq!(submits.len(), 1);
            let envelopes: usize = submits[0].envelopes.iter().map(|one| one.envelope.len()).sum();
            println!("{devices} devices, {round}: {envelopes} bytes in envelopes, {took:?}");
            assert_eq!(submits[0].envelopes.len(), devices);
            if round == "sessions" {
                assert_eq!(envelopes, devices * 4096, "the smallest envelope each");
            }
            world.settle();
            world.send(1, mail(&world.address(0), "answer"));
            world.settle();
        }
    }
}

/// Every round of loading goes through the input anew, so their number must not grow with the devices.
#[test]
fn a_mail_to_twenty_devices_is_encrypted_in_as_many_rounds_as_one_to_a_single_device() {
    let rounds = [1, 20].map(|devices| {
        let mut world = World::new(&["claire", "paul"]);
        for _ in 1..devices {
            world.join_device(1);
        }
        let paul = world.address(1);
        world.later(1);
        world.run(0, &Input::SendMail(mail(&paul, "first"))).unwrap();
        let (asking, step) = rounds_of(&mut world, 0, &tick());
        let asks = step.outgoing.iter().any(|one| matches!(one.send, Send::Request(Request::FetchPrekeys(_))));
        assert!(asks, "there are no sessions");
        let answer = world
            .server
            .answer(&Request::FetchPrekeys(FetchPrekeys { address: paul.clone(), payment: Payment::None }), 0);
        let reply = Input::Reply { to: Correlation::FetchPrekeys(paul.clone()), result: answer };
        let (beginning, step) = rounds_of(&mut world, 0, &reply);
        assert_eq!(envelopes(&step), devices);
        world.send_all(0);
        world.run(0, &Input::SendMail(mail(&paul, "second"))).unwrap();
        let (over_sessions, step) = rounds_of(&mut world, 0, &tick());
        assert_eq!(envelopes(&step), devices);
        [asking.len(), beginning.len(), over_sessions.len()]
    });
    assert_eq!(rounds[0], rounds[1]);
    // One of them looks into the wallet.
    assert!(rounds[0].iter().all(|count| *count <= 9), "{rounds:?}");
}

fn envelopes(step: &Step) -> usize {
    let submits = step.outgoing.iter().filter_map(|outgoing| match &outgoing.send {
        Send::Request(Request::Submit(submit)) => Some(submit.envelopes.len()),
        _ => None,
    });
    submits.sum()
}
