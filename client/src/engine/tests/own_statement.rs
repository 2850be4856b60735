//! The account's own statement: changed, refreshed, refused, and a device that is taken off.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementError, StatementIssue};
use medipeps_core::wire::client_records::{RecipientState, Revocation};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response};
use rand_core::SeedableRng;

use super::world::{World, engine_error, mail, tick};
use crate::account_store::Handled;
use crate::engine::{ContactProblem, Correlation, EngineError, Event, Input, class, key};
use crate::limits::STATEMENT_MADE_AGAIN_MAX;

const YEAR: u64 = 365 * 24 * 3600 * 1000;

fn revoke(world: &mut World, device: usize) -> Input {
    Input::RevokeDevice(world.device_id(device))
}

/// The statements that the server was asked to take, in order.
fn published(world: &World) -> Vec<Vec<u8>> {
    let publications = world.server.log.iter().filter_map(|request| match request {
        Request::PublishStatement(statement) => Some(statement.clone()),
        _ => None,
    });
    publications.collect()
}

fn listed(world: &mut World, number: usize) -> Vec<u32> {
    world.statement(number).devices().iter().map(|device| device.device_id()).collect()
}

/// Sends what a step has to send, as a shell does after the commit.
fn send(world: &mut World, number: usize, handled: Handled) {
    for outgoing in handled.outgoing {
        if let Some(reply) = world.exchange(number, &outgoing, handled.generation) {
            world.run(number, &reply).unwrap();
        }
    }
}

fn was_told(world: &World, number: usize, event: &Event) -> bool {
    world.clients[number].events.contains(event)
}

#[test]
fn a_revoked_device_is_told_why_and_keeps_what_it_can_show() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    let second = world.join_device(1);
    world.send(0, mail(&paul, "before"));
    world.settle();
    let (kept, gone) = (world.device_id(1), world.device_id(second));
    world.run(1, &Input::RevokeDevice(gone)).unwrap();
    assert_eq!(listed(&mut world, 1), [kept]);
    assert!(was_told(&world, 1, &Event::OwnStatementChanged { version: 3 }));
    assert_eq!(world.account_record(1).statement, world.statement(1).encoded());

    // The server refuses the proof; the device asks the statement why.
    world.run(second, &Input::CheckOwnStatement).unwrap();
    let reason = Revocation::DeviceRevoked;
    assert!(was_told(&world, second, &Event::Revoked { reason }));
    assert_eq!(world.account_record(second).account_key, None);
    let refused = [
        Input::SendMail(mail(&claire, "no")),
        tick(),
        Input::CheckOwnStatement,
        Input::RevokeDevice(kept),
        Input::Authenticated { highest_generation: 0, statement_version: 9 },
        Input::Deliveries { incarnation: [1; 16], batch: Vec::new() },
    ];
    for input in refused {
        assert_eq!(engine_error(world.run(second, &input)), EngineError::Revoked(reason));
    }
    assert_eq!(world.texts(second), ["before"]);
    world.send(0, mail(&paul, "after"));
    world.settle_all_but(second);
    assert_eq!(world.texts(1), ["before", "after"]);
}

#[test]
fn what_cannot_be_revoked_is_refused() {
    let mut world = World::new(&["claire"]);
    let second = world.join_device(0);
    let (own, other) = (world.device_id(0), world.device_id(second));
    assert_eq!(engine_error(world.run(0, &Input::RevokeDevice(own))), EngineError::RevokeOwnDevice);
    assert_eq!(engine_error(world.run(0, &Input::RevokeDevice(7))), EngineError::UnknownDevice(7));
    let mut record = world.account_record(second);
    record.account_key = None;
    let now = world.now;
    world.clients[second].put(&key::account(), &record, now);
    assert_eq!(engine_error(world.run(second, &Input::RevokeDevice(own))), EngineError::NotPrimary);
    // One change at a time: the first is committed, and has not left.
    world.clients[0].handle(&Input::RevokeDevice(other), now).unwrap();
    assert_eq!(engine_error(world.run(0, &Input::RevokeDevice(other))), EngineError::StatementPending);
    assert_eq!(listed(&mut world, 0), [own, other]);
}

/// Mail is in the queue, on its way, and not yet encrypted when one of five devices is revoked.
#[test]
fn one_of_five_devices_is_revoked_while_messages_are_in_flight() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    let others: Vec<usize> = (0..4).map(|_| world.join_device(1)).collect();
    world.send(0, mail(&paul, "fetched by all"));
    world.settle();
    world.send(0, mail(&paul, "in the queues"));
    // Encrypted for five, committed, and held up on its way.
    world.later(1);
    world.run(0, &Input::SendMail(mail(&paul, "on its way"))).unwrap();
    let held = world.clients[0].handle(&tick(), world.now).unwrap();
    assert_eq!(held.outgoing.len(), 1);
    let input = revoke(&mut world, others[2]);
    world.run(1, &input).unwrap();
    world.later(1);
    world.run(0, &Input::SendMail(mail(&paul, "not encrypted yet"))).unwrap();
    send(&mut world, 0, held);
    world.send_all(0);
    let submits = world.server.submitted();
    let devices: Vec<usize> = submits.iter().map(|submit| submit.envelopes.len()).collect();
    assert!(devices.contains(&5) && devices.ends_with(&[4]), "{devices:?}");
    world.settle_all_but(others[2]);
    let all = ["fetched by all", "in the queues", "on its way", "not encrypted yet"];
    for device in [1, others[0], others[1], others[3]] {
        assert_eq!(world.texts(device), all);
        assert!(world.clients[device].undecryptable().is_empty());
    }
    assert_eq!(world.texts(others[2]), ["fetched by all"]);
    let sent = world.clients[0].messages(world.now);
    let states = sent.iter().flat_map(|message| message.message.recipients.iter().map(|recipient| recipient.state));
    assert!(states.into_iter().all(|state| state >= RecipientState::Accepted));
}

/// Killed at every step of a revocation: the same bytes leave again, and the statement is published once.
#[test]
fn a_revocation_that_is_killed_is_sent_again_as_it_is() {
    for steps in 0..6 {
        let mut world = World::new(&["claire"]);
        let second = world.join_device(0);
        let own = world.device_id(0);
        let input = revoke(&mut world, second);
        let killed = world.run_until(0, &input, &mut Some(steps)).is_err();
        assert_eq!(killed, steps < 5, "after {steps} steps");
        world.clients[0].restart();
        if steps == 0 {
            // It died before anything was committed: a person says it again.
            world.run(0, &input).unwrap();
        }
        world.send_all(0);
        assert_eq!((listed(&mut world, 0), world.statement(0).version()), (vec![own], 3), "after {steps} steps");
        let mut sent = published(&world);
        sent.dedup();
        assert_eq!(sent.len(), 1, "after {steps} steps");
        assert_eq!(world.account_record(0).statement, sent[0]);
    }
}

#[test]
fn another_statement_that_came_between_is_built_upon() {
    let mut world = World::new(&["claire"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    let (own, kept) = (world.device_id(0), world.device_id(third));
    let input = revoke(&mut world, second);
    let held = world.clients[0].handle(&input, world.now).unwrap();
    // Meanwhile another primary device has published the same list once more.
    let devices = world.statement(0).devices().to_vec();
    let between = world.issue(0, devices);
    world.server.publish(between).unwrap();
    send(&mut world, 0, held);
    assert_eq!((listed(&mut world, 0), world.statement(0).version()), (vec![own, kept], 5));
    assert!(was_told(&world, 0, &Event::OwnStatementChanged { version: 5 }));
    // And where the other one has done it already, nothing is left to do.
    let input = revoke(&mut world, third);
    let held = world.clients[0].handle(&input, world.now).unwrap();
    let devices = world.statement(0).devices()[..1].to_vec();
    let between = world.issue(0, devices);
    world.server.publish(between).unwrap();
    send(&mut world, 0, held);
    assert_eq!((listed(&mut world, 0), world.statement(0).version()), (vec![own], 6));
    assert!(was_told(&world, 0, &Event::OwnStatementChanged { version: 6 }));
    world.send_all(0);
    assert_eq!(world.statement(0).version(), 6);
}

#[test]
fn a_server_that_refuses_is_tried_again_or_given_up() {
    let mut world = World::new(&["claire"]);
    let second = world.join_device(0);
    let input = revoke(&mut world, second);
    let reply = |version, code| Input::Reply {
        to: Correlation::PublishStatement(version),
        result: Err(ErrorReply::new(code, "")),
    };
    let pending = |world: &mut World| {
        let now = world.now;
        world.clients[0].get(&key::own_statement(), now)
    };
    world.clients[0].handle(&input, world.now).unwrap();
    world.run(0, &reply(3, ErrorCode::StorageUnavailable)).unwrap();
    let waiting = pending(&mut world).unwrap();
    assert!(waiting.attempts == 1 && waiting.next_attempt > world.now);
    let before = published(&world).len();
    world.run(0, &tick()).unwrap();
    assert_eq!(published(&world).len(), before, "not before its time");
    world.run(0, &reply(9, ErrorCode::UnknownAccount)).unwrap();
    assert!(pending(&mut world).is_some(), "an answer to something else changes nothing");
    world.run(0, &reply(3, ErrorCode::UnknownAccount)).unwrap();
    assert_eq!(pending(&mut world), None);
    assert!(was_told(&world, 0, &Event::OwnStatementRefused { code: "UnknownAccount".into() }));
    // Refused although nothing came between: it would be refused again.
    world.clients[0].handle(&input, world.now).unwrap();
    world.run(0, &reply(3, ErrorCode::StatementRefused)).unwrap();
    assert_eq!(pending(&mut world), None);
    assert!(was_told(&world, 0, &Event::OwnStatementRefused { code: "StatementRefused".into() }));
    assert_eq!(world.statement(0).version(), 2);
}

#[test]
fn a_race_that_is_always_lost_ends() {
    let mut world = World::new(&["claire"]);
    let (second, _third) = (world.join_device(0), world.join_device(0));
    let input = revoke(&mut world, second);
    let mut held = world.clients[0].handle(&input, world.now).unwrap();
    for _ in 0..=STATEMENT_MADE_AGAIN_MAX {
        let devices = world.statement(0).devices().to_vec();
        let between = world.issue(0, devices);
        world.server.publish(between).unwrap();
        // Publish, hear that another version is current, fetch it, and sign again; the next publication is held.
        let refused = world.exchange(0, &held.outgoing[0], 0).unwrap();
        let fetch = world.clients[0].handle(&refused, world.now).unwrap();
        let fetched = world.exchange(0, &fetch.outgoing[0], 0).unwrap();
        held = world.clients[0].handle(&fetched, world.now).unwrap();
    }
    assert!(held.outgoing.is_empty());
    assert!(was_told(&world, 0, &Event::OwnStatementRefused { code: "StatementVersion".into() }));
}

/// What another device has changed comes with the next proof of device.
#[test]
fn a_newer_statement_is_fetched_after_the_proof() {
    let mut world = World::new(&["claire"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    let input = revoke(&mut world, third);
    world.run(0, &input).unwrap();
    assert_ne!(world.account_record(second).statement, world.statement(0).encoded());
    world.connect(second);
    assert_eq!(world.account_record(second).statement, world.statement(0).encoded());
    assert!(was_told(&world, second, &Event::OwnStatementChanged { version: 4 }));
    let asked = world.server.log.len();
    world.connect(second);
    let again = world.server.log[asked..].iter().any(|request| matches!(request, Request::FetchStatement(_)));
    assert!(!again, "it is not asked for what is known");
}

/// Bytes that a server may give for the account's newest statement, and why each is not taken.
#[test]
fn an_own_device_list_that_is_forged_older_or_forked_is_not_taken() {
    let mut world = World::new(&["claire"]);
    let older = world.statement(0);
    let second = world.join_device(0);
    let known = world.statement(0);
    let devices = known.devices().to_vec();
    let next = world.issue(0, devices.clone());
    let fork = {
        let on_older = StatementIssue {
            address: known.address(),
            recovery_key_hash: known.recovery_key_hash(),
            previous: Some(&older),
            devices: devices[..1].to_vec(),
            issued: 1,
        };
        let key = world.account_record(0).account_key.unwrap();
        on_older.sign(&SigningKey::from_secret(&key)).unwrap()
    };
    let thief = SigningKey::from_secret(&Secret::from([66; 32]));
    let forged = {
        let mut signed = medipeps_core::wire::identity::SignedStatement::decode(next.encoded()).unwrap();
        signed.signature = thief.sign(medipeps_core::label::ACCOUNT_STATEMENT, &[&signed.statement]);
        signed.encode()
    };
    // Whole, of the first version, under another account key: nothing vouches for it.
    let under_another_key = {
        let keys = DeviceSecretKeys::random(&mut chacha20::ChaCha20Rng::from_seed([67; 32]));
        let device = DeviceCertificate::issue(&thief, known.address(), 7, &keys.public_keys(), true, 1);
        let issue = StatementIssue {
            address: known.address(),
            recovery_key_hash: [0; 32],
            previous: None,
            devices: vec![device],
            issued: 1,
        };
        issue.sign(&thief).unwrap().encoded().to_vec()
    };
    let stranger = Statement::decode(&forged).unwrap_err();
    assert_eq!(stranger, StatementError::Signature);
    let given = [
        (forged, StatementError::Signature),
        (older.encoded().to_vec(), StatementError::NotNewer),
        (fork.encoded().to_vec(), StatementError::NotNewer),
        (under_another_key, StatementError::NotNewer),
        (vec![1, 2, 3], Statement::decode(&[1, 2, 3]).unwrap_err()),
    ];
    for (statement, error) in given {
        for device in [0, second] {
            let to = Correlation::FetchOwnStatement { refusal: None };
            let result = Ok(Response::FetchStatement(statement.clone()));
            world.run(device, &Input::Reply { to, result }).unwrap();
            assert!(was_told(&world, device, &Event::OwnStatementConflict { error: error.clone() }), "{error}");
            assert_eq!(world.account_record(device).statement, known.encoded(), "{error}");
            assert_eq!(world.account_record(device).revoked, None, "{error}");
        }
    }
}

/// The same from a contact's server.
#[test]
fn a_contacts_device_list_that_is_forged_older_or_forked_is_not_taken() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    let older = world.statement(1);
    world.join_device(1);
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: false }).unwrap();
    let known = world.statement(1);
    let key = SigningKey::from_secret(&world.account_record(1).account_key.unwrap());
    let issue = |previous, devices, issued| StatementIssue {
        address: known.address(),
        recovery_key_hash: known.recovery_key_hash(),
        previous: Some(previous),
        devices,
        issued,
    };
    let fork = issue(&older, known.devices()[..1].to_vec(), 1).sign(&key).unwrap();
    let after_fork = issue(&fork, known.devices()[..1].to_vec(), 2).sign(&key).unwrap();
    let mut signed = medipeps_core::wire::identity::SignedStatement::decode(after_fork.encoded()).unwrap();
    let thief = SigningKey::from_secret(&Secret::from([66; 32]));
    signed.signature = thief.sign(medipeps_core::label::ACCOUNT_STATEMENT, &[&signed.statement]);
    for (statement, error) in [
        (signed.encode(), StatementError::Signature),
        (older.encoded().to_vec(), StatementError::NotNewer),
        (fork.encoded().to_vec(), StatementError::NotNewer),
        (after_fork.encoded().to_vec(), StatementError::PreviousHash),
    ] {
        let to = Correlation::FetchStatement { address: paul.clone(), accept_new_key: false };
        world.run(0, &Input::Reply { to, result: Ok(Response::FetchStatement(statement)) }).unwrap();
        let problem = ContactProblem::Statement(error.clone());
        assert!(was_told(&world, 0, &Event::ContactRefused { address: paul.clone(), problem }), "{error}");
        let now = world.now;
        let contact = world.clients[0].get(&key::contact(&paul), now).unwrap();
        assert_eq!((contact.statement, contact.changed_statement), (known.encoded().to_vec(), None), "{error}");
    }
}

/// When a statement was issued is for people to read: no decision rests on it.
#[test]
fn a_clock_that_is_wrong_by_a_year_on_the_signing_device_changes_nothing() {
    for (name, wrong) in [("slow", YEAR), ("fast", 3 * YEAR)] {
        let mut world = World::new(&["claire", "paul"]);
        let (claire, paul) = (world.address(0), world.address(1));
        let (second, third) = (world.join_device(1), world.join_device(1));
        world.send(0, mail(&paul, "before"));
        world.settle();
        // Revoked by a device whose clock is a year behind, or ahead.
        let right = world.now;
        world.now = right - YEAR + (wrong - YEAR);
        let input = revoke(&mut world, third);
        world.run(1, &input).unwrap();
        world.now = right;
        let issued = world.statement(1).issued() * 1000;
        assert!(issued.abs_diff(right) >= YEAR - 1000, "{name}");
        world.connect(second);
        world.send(0, mail(&paul, "after"));
        world.send(second, mail(&claire, "answer"));
        world.settle_all_but(third);
        assert_eq!(world.texts(second), ["before", "after"], "{name}");
        assert_eq!(world.texts(0), ["answer"], "{name}");
    }
}

#[test]
fn an_account_with_another_key_is_left() {
    let mut world = World::new(&["claire"]);
    let second = world.join_device(0);
    let recovered = super::recovery::recovered_elsewhere(&mut world, 0);
    world.server.publish(recovered).unwrap();
    for device in [0, second] {
        world.run(device, &Input::CheckOwnStatement).unwrap();
        let reason = Revocation::AccountKeyReplaced;
        assert!(was_told(&world, device, &Event::Revoked { reason }));
        assert_eq!(engine_error(world.run(device, &tick())), EngineError::Revoked(reason));
        assert!(world.scan_is_empty(device, class::SESSION) && world.scan_is_empty(device, class::PREKEYS));
    }
}
