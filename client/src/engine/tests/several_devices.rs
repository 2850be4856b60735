//! Accounts of several devices: what is sent to them arrives on each.

use medipeps_core::wire::client_records::RecipientState;

use super::world::{World, mail};

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
