//! What concerns many records at once is one event, however many there are.

use super::world::{World, mail};
use crate::engine::{Event, Input};
use crate::limits::UNCHECKED_MESSAGES_MAX;
use medipeps_core::wire::client_records::{RecipientState, Revocation, SenderCheck};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply};

const MANY: usize = 150;

/// Claire has this many mails for Paul in her outbox, none of them encrypted.
fn with_a_full_outbox() -> World {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    for number in 0..MANY {
        world.run(0, &Input::SendMail(mail(&paul, &format!("number {number}")))).unwrap();
    }
    world
}

fn states(world: &mut World) -> Vec<(RecipientState, Option<String>)> {
    let now = world.now;
    let sent = world.clients[0].messages(now).into_iter().filter(|one| one.message.sent);
    sent.map(|one| (one.message.recipients[0].state, one.message.recipients[0].code.clone())).collect()
}

#[test]
fn an_old_copy_with_a_full_outbox_lets_all_of_it_go() {
    let mut world = with_a_full_outbox();
    let input = Input::Authenticated { highest_generation: 1_000_000, statement_version: 1 };
    world.run(0, &input).unwrap();
    assert_eq!(states(&mut world), vec![(RecipientState::Failed, Some("state_rolled_back".to_owned())); MANY]);
}

#[test]
fn a_revoked_device_with_a_full_outbox_leaves() {
    let mut world = with_a_full_outbox();
    let second = world.join_device_as(0, true);
    world.revoke_device(second, 0);
    world.run(0, &Input::CheckOwnStatement).unwrap();
    let reason = Revocation::DeviceRevoked;
    assert!(world.clients[0].events.contains(&Event::Revoked { reason }));
    assert_eq!(states(&mut world), vec![(RecipientState::Failed, Some(reason.code().to_owned())); MANY]);
}

#[test]
fn a_server_that_cannot_give_prekeys_holds_up_all_that_waits_for_a_recipient() {
    let mut world = with_a_full_outbox();
    let paul = world.address(1);
    let result = Err(ErrorReply::new(ErrorCode::RateLimited, ""));
    world.run(0, &Input::Reply { to: crate::engine::Correlation::FetchPrekeys(paul), result }).unwrap();
    assert_eq!(states(&mut world), vec![(RecipientState::Queued, Some("RateLimited".to_owned())); MANY]);
}

#[test]
fn a_changed_key_blocks_all_that_waits_and_a_person_s_word_frees_it() {
    let mut world = with_a_full_outbox();
    let paul = world.address(1);
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: false }).unwrap();
    world.server.accounts.remove(&paul);
    let again = world.join("paul");
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: false }).unwrap();
    assert_eq!(states(&mut world), vec![(RecipientState::Queued, Some("recipient_key_changed".to_owned())); MANY]);
    world.run(0, &Input::AddContact { address: paul, accept_new_key: true }).unwrap();
    assert_eq!(states(&mut world), vec![(RecipientState::Queued, None); MANY]);
    // Who is no contact may send only so much.
    let claire = world.address(0);
    world.run(again, &Input::AddContact { address: claire, accept_new_key: false }).unwrap();
    world.send_all(0);
    world.receive(again);
    assert_eq!(world.texts(again).len(), MANY);
}

#[test]
fn a_stranger_with_as_many_messages_as_he_may_have_is_checked() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    for number in 0..UNCHECKED_MESSAGES_MAX {
        world.send(0, mail(&paul, &format!("number {number}")));
    }
    while !world.pushed(1).is_empty() {
        let batch: Vec<_> = world.pushed(1).into_iter().take(32).collect();
        world.deliver(1, batch);
    }
    world.settle();
    let now = world.now;
    let received = world.clients[1].received(now);
    assert_eq!(received.len(), UNCHECKED_MESSAGES_MAX);
    assert!(received.iter().all(|one| one.message.sender_check == SenderCheck::Checked));
}
