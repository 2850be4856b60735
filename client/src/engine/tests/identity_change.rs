//! Keys that change, statements that go back, stores that go back.

use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{Statement, StatementIssue};
use medipeps_core::wire::client_records::RecipientState;

use super::world::{World, mail};
use crate::engine::{ContactProblem, Event, Input, Time};

fn add(world: &mut World, number: usize, other: usize, accept_new_key: bool) {
    let address = world.address(other);
    world.run(number, &Input::AddContact { address, accept_new_key }).unwrap();
}

/// Paul loses everything and registers anew under the same address, with other keys.
fn with_new_keys(world: &mut World, number: usize) -> usize {
    let address = world.address(number);
    world.server.accounts.remove(&address);
    world.join(address.local())
}

#[test]
fn nothing_is_encrypted_to_changed_keys_until_a_person_accepts_them() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    add(&mut world, 0, 1, false);
    let new_paul = with_new_keys(&mut world, 1);
    let id = world.send(0, mail(&paul, "for the old keys"));
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("recipient_key_changed".into())));
    assert!(world.server.submitted().is_empty());
    let problem = ContactProblem::KeyChanged;
    assert!(world.clients[0].events.contains(&Event::ContactRefused { address: paul.clone(), problem }));
    // Later mail waits too, restarts and time change nothing, and neither does asking without accepting.
    world.later(3_600_000);
    world.clients[0].restart();
    let second = world.send(0, mail(&paul, "another"));
    add(&mut world, 0, 1, false);
    world.send_all(0);
    assert_eq!(world.state(0, second).1.as_deref(), Some("recipient_key_changed"));
    assert!(world.server.submitted().is_empty());
    add(&mut world, 0, 1, true);
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    world.receive(new_paul);
    assert_eq!(world.texts(new_paul), ["for the old keys", "another"]);
}

#[test]
fn safety_numbers_agree_and_change_with_the_key() {
    let mut world = World::new(&["claire", "paul"]);
    add(&mut world, 0, 1, false);
    add(&mut world, 1, 0, false);
    let now = Time(world.now);
    let mut number = |number: usize| {
        let client = &mut world.clients[number];
        client.store.contacts(now, &mut client.rng).unwrap()[0].safety_number.clone()
    };
    let (one, other) = (number(0), number(1));
    assert_eq!(one, other);
    assert_eq!(one.chars().filter(char::is_ascii_digit).count(), 60);
    with_new_keys(&mut world, 1);
    add(&mut world, 0, 1, true);
    let client = &mut world.clients[0];
    assert_ne!(client.store.contacts(now, &mut client.rng).unwrap()[0].safety_number, one);
}

#[test]
fn a_statement_older_than_the_pinned_one_is_an_error() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    let client = &mut world.clients[1];
    let account = client.store.credentials(Time(world.now), &mut client.rng).unwrap().unwrap();
    let first = world.server.account(&paul).unwrap().statement.clone();
    assert!(first.device(account.device_id).is_some());
    let second = next_statement(&mut world, 1, &first);
    world.server.account(&paul).unwrap().statement = second;
    add(&mut world, 0, 1, false);
    world.server.account(&paul).unwrap().statement = first;
    add(&mut world, 0, 1, false);
    let problem = ContactProblem::Statement(medipeps_core::identity::StatementError::NotNewer);
    assert!(world.clients[0].events.contains(&Event::ContactRefused { address: paul.clone(), problem }));
    let id = world.send(0, mail(&paul, "hello"));
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("statement_refused".into())));
    assert!(world.server.submitted().is_empty());
}

/// The same devices once more, under the same account key.
fn next_statement(world: &mut World, number: usize, previous: &Statement) -> Statement {
    let now = world.now;
    let client = &mut world.clients[number];
    let records = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let key = crate::engine::key::account();
    let value = records.load(std::slice::from_ref(key.record())).unwrap().remove(0).unwrap();
    let record = medipeps_core::wire::client_records::AccountRecord::decode(&value).unwrap();
    let issue = StatementIssue {
        address: previous.address(),
        recovery_key_hash: previous.recovery_key_hash(),
        previous: Some(previous),
        devices: previous.devices().to_vec(),
        issued: now / 1000,
    };
    issue.sign(&SigningKey::from_secret(record.account_key.as_ref().unwrap())).unwrap()
}
