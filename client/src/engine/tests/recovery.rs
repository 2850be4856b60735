//! The recovery key: an account taken over on a new device.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use medipeps_core::wire::client_records::Revocation;

use super::world::{Client, World, engine_error, mail, tick};
use crate::account_store::HandleError;
use crate::engine::{EngineError, Event, Input, RecoverAccount};

/// The recovery key as a client was shown it.
fn recovery_key(world: &World, number: usize) -> Secret<32> {
    let shown = world.clients[number].events.iter().rev().find_map(|event| match event {
        Event::AccountPrepared { recovery_key, .. } => Some(recovery_key.clone()),
        _ => None,
    });
    shown.expect("the recovery key was shown")
}

/// A statement of the recovery key that some other home has made.
pub(super) fn recovered_elsewhere(world: &mut World, number: usize) -> Statement {
    let previous = world.statement(number);
    let [new_key, new_recovery] = [201, 202].map(|byte| SigningKey::from_secret(&Secret::from([byte; 32])));
    let keys = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&Secret::from([203; 32])),
        dh_key: medipeps_core::crypto::dh::DhSecretKey::from_secret(&Secret::from([204; 32])),
    };
    let address = previous.address();
    let issue = StatementIssue {
        address,
        recovery_key_hash: recovery_key_hash(&new_recovery.verifying_key()),
        previous: Some(&previous),
        devices: vec![DeviceCertificate::issue(&new_key, address, 99, &keys.public_keys(), true, 1)],
        issued: 1,
    };
    let recovery = SigningKey::from_secret(&recovery_key(world, number));
    issue.sign_with_recovery_key(new_key.verifying_key(), &recovery).unwrap()
}

/// A new home, and the command to recover client `number`'s account in it.
fn new_home(world: &mut World, number: usize) -> (usize, Input) {
    let new = world.clients.len();
    let client = Client::new_at(world.address(number), new as u8 + 50, world.now);
    world.clients.push(client);
    let recovery_key = recovery_key(world, number);
    (new, command(world, number, recovery_key))
}

fn command(world: &mut World, number: usize, recovery_key: Secret<32>) -> Input {
    Input::RecoverAccount(RecoverAccount {
        address: world.address(number),
        name: "Dr Paul".into(),
        server: "server.clinic.example:4433".into(),
        server_key_hash: [9; 32],
        recovery_key,
        newest: world.statement(number).encoded().to_vec(),
    })
}

#[test]
fn an_account_is_recovered_on_a_new_device_and_its_contacts_see_the_other_key() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "to the old one"));
    world.settle();
    let (new, input) = new_home(&mut world, 1);
    world.run(new, &input).unwrap();
    assert!(world.clients[new].events.contains(&Event::Registered));
    let statement = world.statement(1);
    assert_eq!(statement.devices().len(), 1);
    assert_eq!(statement.device_keys(world.device_id(new)), Some(statement.devices()[0].keys()));
    let shown = SigningKey::from_secret(&recovery_key(&world, new));
    assert_eq!(recovery_key_hash(&shown.verifying_key()), statement.recovery_key_hash(), "the new one is shown");
    world.connect(new);
    // The old device is out of it.
    world.run(1, &Input::CheckOwnStatement).unwrap();
    let reason = Revocation::AccountKeyReplaced;
    assert!(world.clients[1].events.contains(&Event::Revoked { reason }));
    // Claire's client sees that the key has changed; nothing is encrypted for the old one.
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: true }).unwrap();
    world.send(0, mail(&paul, "to the new one"));
    world.settle_all_but(1);
    assert_eq!(world.texts(new), ["to the new one"]);
    world.send(new, mail(&claire, "here again"));
    world.settle_all_but(1);
    assert_eq!(world.texts(0), ["here again"]);
}

#[test]
fn a_wrong_recovery_key_changes_nothing() {
    let mut world = World::new(&["claire", "paul"]);
    let (new, _) = new_home(&mut world, 1);
    let paul = world.address(1);
    let claires = recovery_key(&world, 0);
    let wrong = command(&mut world, 1, claires);
    assert_eq!(engine_error(world.run(new, &wrong)), EngineError::WrongRecoveryKey(paul.clone()));
    let nothing = engine_error(world.run(new, &tick()));
    assert_eq!(nothing, EngineError::NoAccount);
    // Nor does the statement of another account, and an account that is there is not overwritten.
    let pauls = recovery_key(&world, 1);
    let Input::RecoverAccount(other) = command(&mut world, 0, pauls) else { unreachable!("it is one") };
    let other = Input::RecoverAccount(RecoverAccount { address: paul, ..other });
    assert!(matches!(world.run(new, &other), Err(HandleError::Engine(EngineError::Statement(_)))));
    let claire = world.address(0);
    assert_eq!(engine_error(world.run(0, &wrong)), EngineError::AccountExists(claire));
    assert_eq!(world.statement(1).version(), 1);
}

/// Killed at every step, and run again with the recovery key and the newest statement.
#[test]
fn a_recovery_that_is_killed_goes_on_with_the_same_keys() {
    for steps in 0..6 {
        let mut world = World::new(&["claire", "paul"]);
        let paul = world.address(1);
        let (new, input) = new_home(&mut world, 1);
        let old_key = recovery_key(&world, 1);
        let killed = world.run_until(new, &input, &mut Some(steps)).is_err();
        assert_eq!(killed, steps < 5, "after {steps} steps");
        world.clients[new].restart();
        // The answer is committed with the fourth step.
        let done = steps >= 4;
        if steps > 1 && !done {
            assert_eq!(engine_error(world.run(new, &tick())), EngineError::NotRecovered, "after {steps} steps");
        }
        let again = command(&mut world, 1, old_key);
        match world.run(new, &again) {
            Ok(()) => {}
            Err(HandleError::Engine(EngineError::AccountExists(_))) => assert!(done, "after {steps} steps"),
            Err(error) => panic!("after {steps} steps: {error}"),
        }
        assert_eq!(world.statement(1).version(), 2, "after {steps} steps");
        let shown = world.clients[new].events.iter();
        let shown = shown.filter(|event| matches!(event, Event::AccountPrepared { .. })).count();
        assert_eq!(shown, 1, "after {steps} steps");
        world.connect(new);
        world.send(0, mail(&paul, "after"));
        world.settle_all_but(1);
        assert_eq!(world.texts(new), ["after"], "after {steps} steps");
    }
}

/// A thief has the primary device: he revokes the owner's others and publishes while the owner recovers.
#[test]
fn a_stolen_primary_signs_a_statement_and_the_recovery_key_overrides_it() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    let second = world.join_device(1);
    let gone = world.device_id(second);
    // The thief's: client 1. He takes the owner's second device off.
    world.run(1, &Input::RevokeDevice(gone)).unwrap();
    world.run(second, &Input::CheckOwnStatement).unwrap();
    assert_eq!(world.account_record(second).revoked, Some(Revocation::DeviceRevoked));
    // The owner signs on top of that, but the thief is faster once more.
    let (new, input) = new_home(&mut world, 1);
    let held = world.clients[new].handle(&input, world.now).unwrap();
    let devices = world.statement(1).devices().to_vec();
    let faster = world.issue(1, devices);
    world.server.publish(faster).unwrap();
    let refused = world.exchange(new, &held.outgoing[0], 0).unwrap();
    world.run(new, &refused).unwrap();
    assert!(world.clients[new].events.contains(&Event::RegistrationRefused { code: "StatementVersion".into() }));
    // The command fetches the newest and goes on, with the same keys.
    let old_key = recovery_key(&world, 1);
    let again = command(&mut world, 1, old_key);
    world.run(new, &again).unwrap();
    assert!(world.clients[new].events.contains(&Event::Registered));
    let back = world.statement(1);
    assert_eq!((back.version(), back.devices().len()), (5, 1));
    assert_eq!(back.devices()[0].device_id(), world.device_id(new));
    // The thief's device is out: it learns so, and what it signs is refused.
    let key = SigningKey::from_secret(&world.account_record(1).account_key.unwrap());
    let stolen = Statement::decode(&world.account_record(1).statement).unwrap();
    let issue = StatementIssue {
        address: &paul,
        recovery_key_hash: stolen.recovery_key_hash(),
        previous: Some(&stolen),
        devices: stolen.devices().to_vec(),
        issued: 9,
    };
    let late = issue.sign(&key).unwrap();
    assert!(world.server.publish(late).is_err());
    world.run(1, &Input::CheckOwnStatement).unwrap();
    assert_eq!(world.account_record(1).revoked, Some(Revocation::AccountKeyReplaced));
    assert_eq!(world.statement(1), back);
    world.connect(new);
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: true }).unwrap();
    world.send(0, mail(&paul, "for the owner"));
    world.receive(new);
    assert_eq!(world.texts(new), ["for the owner"]);
    assert!(world.pushed(1).is_empty());
}
