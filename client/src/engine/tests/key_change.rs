//! Contacts whose account key changes: what is taken and shown, and what waits for a person, by who has vouched for it.

use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{
    DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, Verification, recovery_key_hash,
};
use medipeps_core::wire::client_records::{AccountRecord, ContactRecord, RecipientState};

use super::world::{Client, World, engine_error, mail};
use crate::engine::{ContactProblem, EngineError, Event, Evidence, Input, LocalId, Time, Undecryptable, key};

/// Claire with Paul as a contact, verified or not; both have written.
fn acquainted(verified: bool) -> World {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "before"));
    world.settle();
    world.send(1, mail(&claire, "before too"));
    world.settle();
    if verified {
        compare_numbers(&mut world);
        assert!(contact(&mut world).verified.is_some());
    }
    world
}

/// Claire types the safety number that Paul sees.
fn compare_numbers(world: &mut World) {
    let now = Time(world.now);
    let client = &mut world.clients[1];
    let number = client.store.contacts(now, &mut client.rng).unwrap()[0].safety_number.clone();
    let address = world.address(1);
    world.run(0, &Input::VerifyContact { address, evidence: Evidence::Number(number) }).unwrap();
}

fn contact(world: &mut World) -> ContactRecord {
    let (paul, now) = (world.address(1), world.now);
    world.clients[0].get(&key::contact(&paul), now).unwrap()
}

fn pinned_key(world: &mut World) -> [u8; 32] {
    *Statement::decode(&contact(world).statement).unwrap().account_key().as_bytes()
}

fn server_key(world: &mut World) -> [u8; 32] {
    *world.statement(1).account_key().as_bytes()
}

/// Paul has lost his device and takes the account over with the recovery key: another account key, another device.
fn recover(world: &mut World) -> usize {
    let recovery = world.clients[1].events.iter().find_map(|event| match event {
        Event::AccountPrepared { recovery_key, .. } => Some(SigningKey::from_secret(recovery_key)),
        _ => None,
    });
    let recovery = recovery.unwrap();
    let before = world.account_record(1);
    let mut client = Client::new_at(before.address.clone(), 77, world.now);
    let (account_key, keys) = (SigningKey::random(&mut client.rng), DeviceSecretKeys::random(&mut client.rng));
    let issued = world.now / 1000;
    let device = DeviceCertificate::issue(&account_key, &before.address, 7777, &keys.public_keys(), true, issued);
    let previous = world.statement(1);
    let issue = StatementIssue {
        address: &before.address,
        recovery_key_hash: recovery_key_hash(&recovery.verifying_key()),
        previous: Some(&previous),
        devices: vec![device],
        issued,
    };
    let statement = issue.sign_with_recovery_key(account_key.verifying_key(), &recovery).unwrap();
    let record = AccountRecord {
        account_key: Some(account_key.to_secret()),
        device_signing_key: keys.signing_key.to_secret(),
        device_dh_key: keys.dh_key.to_secret(),
        device_id: 7777,
        statement: statement.encoded().to_vec(),
        ..before
    };
    client.put(&key::account(), &record, world.now);
    world.server.publish(statement).unwrap();
    world.clients.push(client);
    let new = world.clients.len() - 1;
    world.connect(new);
    new
}

/// Paul's account is deleted and made anew: nothing ties the new key to the old one.
fn re_register(world: &mut World) -> usize {
    let address = world.address(1);
    world.server.accounts.remove(&address);
    world.join(address.local())
}

fn write(world: &mut World, text: &str) -> LocalId {
    let paul = world.address(1);
    world.send(0, mail(&paul, text))
}

fn key_change_was_shown(world: &World) -> Option<bool> {
    world.clients[0].events.iter().rev().find_map(|event| match event {
        Event::ContactKeyChanged { accepted, .. } => Some(*accepted),
        _ => None,
    })
}

fn was_asked(world: &World) -> bool {
    let asked = |event: &Event| matches!(event, Event::ContactRefused { problem: ContactProblem::KeyChanged, .. });
    world.clients[0].events.iter().any(asked)
}

#[test]
fn not_verified_and_recovered_the_new_key_is_taken_and_shown() {
    let mut world = acquainted(false);
    let new_paul = recover(&mut world);
    let id = write(&mut world, "for the new keys");
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    assert_eq!(key_change_was_shown(&world), Some(false));
    assert!(!was_asked(&world));
    assert_eq!(contact(&mut world).key_changed_at, world.now);
    world.receive(new_paul);
    assert_eq!(world.texts(new_paul), ["for the new keys"]);
}

#[test]
fn verified_and_recovered_the_new_key_waits_and_takes_the_mark_away() {
    let mut world = acquainted(true);
    let new_paul = recover(&mut world);
    let before = pinned_key(&mut world);
    let id = write(&mut world, "waits");
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("recipient_key_changed".into())));
    assert_eq!((key_change_was_shown(&world), was_asked(&world)), (None, true));
    assert_eq!(pinned_key(&mut world), before);
    assert!(contact(&mut world).verified.is_some(), "the mark is on the former key");
    let address = world.address(1);
    world.run(0, &Input::AddContact { address, accept_new_key: true }).unwrap();
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    assert_eq!((contact(&mut world).verified, key_change_was_shown(&world)), (None, Some(true)));
    world.receive(new_paul);
    assert_eq!(world.texts(new_paul), ["waits"]);
}

#[test]
fn not_verified_and_without_the_recovery_key_the_new_key_waits() {
    let mut world = acquainted(false);
    re_register(&mut world);
    let before = pinned_key(&mut world);
    let id = write(&mut world, "waits");
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("recipient_key_changed".into())));
    assert_eq!((key_change_was_shown(&world), was_asked(&world)), (None, true));
    assert_eq!(pinned_key(&mut world), before);
}

#[test]
fn verified_and_without_the_recovery_key_the_new_key_waits() {
    let mut world = acquainted(true);
    re_register(&mut world);
    let id = write(&mut world, "waits");
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("recipient_key_changed".into())));
    assert!(was_asked(&world));
    // What a person accepts has to be compared anew.
    let address = world.address(1);
    world.run(0, &Input::AddContact { address, accept_new_key: true }).unwrap();
    assert_eq!(contact(&mut world).verified, None);
}

#[test]
fn a_recovered_key_that_is_not_the_next_statement_waits() {
    let mut world = acquainted(false);
    recover(&mut world);
    // Claire never sees the statement by which the recovery key made the change: only one after it.
    let previous = world.statement(1);
    let record = world.account_record(2);
    let issue = StatementIssue {
        address: previous.address(),
        recovery_key_hash: previous.recovery_key_hash(),
        previous: Some(&previous),
        devices: previous.devices().to_vec(),
        issued: 0,
    };
    let next = issue.sign(&SigningKey::from_secret(record.account_key.as_ref().unwrap())).unwrap();
    world.server.publish(next).unwrap();
    let id = write(&mut world, "waits");
    assert_eq!(world.state(0, id).1.as_deref(), Some("recipient_key_changed"));
}

#[test]
fn a_first_flight_brings_a_recovered_key_where_nobody_had_compared() {
    let mut world = acquainted(false);
    let new_paul = recover(&mut world);
    let claire = world.address(0);
    world.send(new_paul, mail(&claire, "it is me"));
    world.receive(0);
    assert_eq!(world.texts(0), ["before too", "it is me"]);
    assert_eq!(key_change_was_shown(&world), Some(false));
    assert_eq!(pinned_key(&mut world), server_key(&mut world));
    let id = write(&mut world, "good");
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
}

#[test]
fn a_first_flight_with_a_recovered_key_asks_where_the_contact_was_verified() {
    let mut world = acquainted(true);
    let new_paul = recover(&mut world);
    let (claire, before) = (world.address(0), pinned_key(&mut world));
    world.send(new_paul, mail(&claire, "it is me"));
    world.receive(0);
    assert_eq!(world.texts(0), ["before too"]);
    assert_eq!(world.clients[0].undecryptable(), [Undecryptable::SenderKeyChanged]);
    assert_eq!((key_change_was_shown(&world), was_asked(&world)), (None, true));
    assert_eq!(pinned_key(&mut world), before);
    let id = write(&mut world, "waits");
    assert_eq!(world.state(0, id).1.as_deref(), Some("recipient_key_changed"));
}

#[test]
fn a_first_flight_under_a_key_that_nothing_vouches_for_changes_nothing() {
    for verified in [false, true] {
        let mut world = acquainted(verified);
        let new_paul = re_register(&mut world);
        let (claire, before) = (world.address(0), contact(&mut world));
        world.send(new_paul, mail(&claire, "it is me"));
        world.receive(0);
        assert_eq!(world.clients[0].undecryptable(), [Undecryptable::SenderKeyChanged]);
        // Anybody can make such a flight: it must not be able to hold up mail to Paul.
        assert_eq!(contact(&mut world), before);
    }
}

#[test]
fn a_number_or_a_code_verifies_and_a_wrong_one_takes_the_mark_off() {
    let mut world = acquainted(false);
    let (claire, paul, now) = (world.address(0), world.address(1), Time(world.now));
    let verify = |world: &mut World, evidence| {
        world.run(0, &Input::VerifyContact { address: world.address(1), evidence })?;
        let result = world.clients[0].events.iter().rev().find_map(|event| match event {
            Event::ContactVerified { result, .. } => Some(*result),
            _ => None,
        });
        Ok(result.unwrap())
    };
    let of_paul = |world: &mut World| {
        let client = &mut world.clients[1];
        client.store.contacts(now, &mut client.rng).unwrap().remove(0)
    };
    let (number, code) = {
        let shown = of_paul(&mut world);
        assert_eq!(shown.address, claire);
        (shown.safety_number, shown.verification_code)
    };
    assert_eq!(verify(&mut world, Evidence::Code(code.clone())).unwrap(), Verification::Match);
    assert_eq!(contact(&mut world).verified.unwrap().at, now.0);
    let wrong = number.chars().map(|letter| if letter == '1' { '2' } else { letter }).collect::<String>();
    assert_ne!(wrong, number);
    assert_eq!(verify(&mut world, Evidence::Number(wrong)).unwrap(), Verification::OtherKey);
    assert_eq!(contact(&mut world).verified, None);
    assert_eq!(verify(&mut world, Evidence::Number(number.replace(' ', ""))).unwrap(), Verification::Match);
    // What is for others, or cannot be a number, says nothing and changes nothing.
    let own = {
        let client = &mut world.clients[0];
        client.store.contacts(now, &mut client.rng).unwrap().remove(0)
    };
    assert_eq!(verify(&mut world, Evidence::Code(own.verification_code)).unwrap(), Verification::NotMe);
    let short = verify(&mut world, Evidence::Number(number[1..].to_owned()));
    assert_eq!(engine_error(short.map(|_: Verification| ())), EngineError::SafetyNumberForm);
    assert!(contact(&mut world).verified.is_some());
    let verified = |world: &mut World| {
        let client = &mut world.clients[0];
        let messages = client.store.messages(now, &mut client.rng).unwrap();
        client.store.verified(&messages, now, &mut client.rng).unwrap().len()
    };
    assert_eq!(verified(&mut world), 1, "the message that came is, the one that was sent is not");
    world.run(0, &Input::ForgetVerification(paul.clone())).unwrap();
    assert_eq!((contact(&mut world).verified, verified(&mut world)), (None, 0));
    let stranger = engine_error(world.run(0, &Input::ForgetVerification("nobody@clinic.example".parse().unwrap())));
    assert!(matches!(stranger, EngineError::UnknownContact(_)));
}

#[test]
fn what_came_under_a_former_key_is_not_shown_as_verified() {
    let mut world = acquainted(false);
    let new_paul = recover(&mut world);
    let claire = world.address(0);
    world.send(new_paul, mail(&claire, "it is me"));
    world.receive(0);
    let now = Time(world.now);
    let number = {
        let client = &mut world.clients[0];
        client.store.contacts(now, &mut client.rng).unwrap().remove(0).safety_number
    };
    let address = world.address(1);
    world.run(0, &Input::VerifyContact { address, evidence: Evidence::Number(number) }).unwrap();
    let client = &mut world.clients[0];
    let messages = client.received(now.0);
    let verified = client.store.verified(&messages, now, &mut client.rng).unwrap();
    let subjects: Vec<_> =
        messages.iter().filter(|one| verified.contains(&one.id)).map(|one| &*one.message.subject).collect();
    assert_eq!((messages.len(), subjects), (2, vec!["About it is me"]));
}
