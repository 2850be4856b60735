//! A backup that becomes a new device: what is taken, what is refused, and what a server can do about it.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{
    DeviceCertificate, DeviceSecretKeys, Statement, StatementError, StatementIssue, recovery_key_hash,
};
use medipeps_core::limits::DEVICES_MAX;
use medipeps_core::wire::backup::{BackupAccount, BackupEntry};
use medipeps_core::wire::client_records::{
    AccountRecord, GroupRoleRecord, GroupStanding, RecipientState, RestorePhase,
};

use super::world::{Client, World, engine_error, mail};
use crate::engine::backup::{CLASSES, Choice, account, admit, entry};
use crate::engine::{EngineError, Event, Input, class, key};
use crate::limits::GROUP_REJOIN_ASK_MAX_MS;
use crate::store::RecordKey;

/// The backup of a client, as the shell reads it.
fn back_up(world: &mut World, number: usize) -> (BackupAccount, Vec<BackupEntry>) {
    let now = world.now;
    let record = world.account_record(number);
    let client = &mut world.clients[number];
    let (mut choice, mut entries) = (Choice::default(), Vec::new());
    for class in CLASSES {
        let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
        for (name, value) in transaction.scan(class).unwrap().iter() {
            let key = RecordKey::new(class, name);
            if choice.takes(&key, value) {
                entries.push(entry(key, value.clone()));
            }
        }
    }
    (account(&record), entries)
}

/// An empty store at the same address; its number.
fn empty(world: &mut World, address: &medipeps_core::Address) -> usize {
    let number = world.clients.len();
    world.clients.push(Client::new_at(address.clone(), number as u8 + 150, world.now));
    number
}

/// Everything up to the listing.
fn copy(world: &mut World, from: usize) -> usize {
    let backup = back_up(world, from);
    copy_from(world, backup)
}

fn copy_from(world: &mut World, (account, entries): (BackupAccount, Vec<BackupEntry>)) -> usize {
    let new = empty(world, &account.address.clone());
    let begin = Input::BeginRestore { backup_salt: [1; 32], account: Box::new(account.clone()) };
    world.run(new, &begin).unwrap();
    world.run(new, &Input::RestoreRecords(entries)).unwrap();
    world.run(new, &Input::RestoreCopied(Box::new(account))).unwrap();
    new
}

fn signed(world: &World, number: usize) -> Statement {
    let signed = world.clients[number].events.iter().rev().find_map(|event| match event {
        Event::RestoreSigned { statement } => Some(Statement::decode(statement).unwrap()),
        _ => None,
    });
    signed.unwrap()
}

fn list(world: &mut World, number: usize, statement: &Statement) -> Result<(), EngineError> {
    match world.run(number, &Input::RestoreStatement(statement.encoded().to_vec())) {
        Ok(()) => Ok(()),
        error => Err(engine_error(error)),
    }
}

/// The whole of it; gives the new client.
fn restore(world: &mut World, from: usize) -> usize {
    let new = copy(world, from);
    go_live(world, from, new)
}

/// Lists what was copied, as the server has the account of `from` now.
fn go_live(world: &mut World, from: usize, new: usize) -> usize {
    let newest = world.statement(from);
    list(world, new, &newest).unwrap();
    let statement = signed(world, new);
    world.server.publish(statement.clone()).unwrap();
    list(world, new, &statement).unwrap();
    world.connect(new);
    new
}

fn phase(world: &mut World, number: usize) -> Option<RestorePhase> {
    let now = world.now;
    world.clients[number].get(&key::restore(), now).map(|record| record.phase)
}

#[test]
fn what_a_person_has_blocked_and_muted_is_in_a_backup() {
    let mut world = World::new(&["ana", "ben"]);
    let ben = world.address(1);
    world.run(0, &Input::Block { address: ben.clone(), blocked: true }).unwrap();
    let conversation = medipeps_core::kind::Conversation::Group([7; 32]);
    world.run(0, &Input::Mute { conversation, until: u64::MAX }).unwrap();
    let before = world.settings(0);
    assert!(before.is_blocked(&ben));
    let new = restore(&mut world, 0);
    assert_eq!(world.settings(new), before);
    let strange = BackupEntry { class: class::SETTINGS.byte(), name: b"other".to_vec(), value: Vec::new().into() };
    assert!(admit(&strange).is_err());
}

#[test]
fn a_backup_has_what_was_said_in_groups_and_no_key_of_them() {
    let mut world = World::new(&["ana", "ben"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, GroupRoleRecord::Member)]);
    world.say(1, &group, "hello");
    world.rest();
    world.away.insert(1);
    world.say(0, &group, "on its way");
    let (_, entries) = back_up(&mut world, 0);
    let secret = [class::GROUP_STATE, class::GROUP_ACCESS, class::KEY_PACKAGE, class::GROUP_OUTBOX];
    assert!(entries.iter().all(|entry| secret.iter().all(|class| class.byte() != entry.class)));
    world.away.clear();
    let new = restore(&mut world, 0);
    assert_eq!(world.group(new, &group).standing, GroupStanding::Rejoining);
    let said = world.said(new, &group).into_iter();
    let said: Vec<_> = said.map(|one| (one.content.fallback_text, one.message.code)).collect();
    let unsent = ("on its way".to_owned(), Some("restored_unsent".to_owned()));
    assert_eq!(said, [("hello".to_owned(), None), unsent], "readable before anybody has answered");
    world.rest();
    // The old device takes the new one in, and keeps its own place.
    assert_eq!(world.members(1, &group)[0].2, 2);
    world.say(1, &group, "to both");
    world.say(new, &group, "from the new one");
    world.rest();
    for number in [0, new] {
        let texts = world.texts_said(number, &group);
        for text in ["hello", "to both", "from the new one"] {
            assert_eq!(texts.iter().filter(|one| *one == text).count(), 1, "{number}: {texts:?}");
        }
    }
}

#[test]
fn a_backup_of_a_machine_that_is_lost_takes_its_place_in_groups() {
    let mut world = World::new(&["ana", "ben"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, GroupRoleRecord::Member)]);
    world.say(1, &group, "hello");
    world.rest();
    world.away.insert(0);
    let new = restore(&mut world, 0);
    world.rest();
    // The lost machine is asked first, and does not answer.
    world.later(GROUP_REJOIN_ASK_MAX_MS);
    world.rest();
    let record = world.group(new, &group);
    assert_eq!((record.standing, record.problem), (GroupStanding::Active, None));
    assert_eq!(
        world.members(1, &group)[0].2,
        2,
        "the lost one is still listed: it is invited anew, by its key packages"
    );
    world.say(1, &group, "after");
    world.say(new, &group, "me again");
    world.rest();
    assert_eq!(world.texts_said(new, &group).first().map(String::as_str), Some("hello"));
    for number in [1, new] {
        let texts = world.texts_said(number, &group);
        assert_eq!(texts.len(), 3, "{number}: {texts:?}");
    }
    // The old machine was not lost after all: its leaf was taken, and it takes up the invitation.
    world.away.clear();
    world.rest();
    world.say(1, &group, "to both");
    world.rest();
    for number in [0, new] {
        assert!(world.texts_said(number, &group).contains(&"to both".to_owned()), "{number}");
    }
}

#[test]
fn a_backup_becomes_another_device_with_its_messages_and_no_key_of_the_old_one() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(1, mail(&claire, "before"));
    world.settle();
    world.send(0, mail(&paul, "mine"));
    world.settle();
    let before = world.account_record(0);
    let new = restore(&mut world, 0);
    let after = world.account_record(new);
    assert_eq!(world.texts(new), ["before"]);
    assert_ne!(after.device_id, before.device_id);
    assert!(after.device_signing_key != before.device_signing_key && after.device_dh_key != before.device_dh_key);
    assert_eq!(after.account_key, before.account_key);
    assert_eq!(phase(&mut world, new), None);
    // It works beside the old one, and what is sent again is not shown again.
    world.send(1, mail(&claire, "to both"));
    world.settle();
    assert_eq!(
        (world.texts(0), world.texts(new)),
        (vec!["before".into(), "to both".into()], vec!["before".into(), "to both".into()])
    );
    world.send(new, mail(&paul, "from the new one"));
    world.settle();
    assert_eq!(world.texts(1), ["mine", "from the new one"]);
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

#[test]
fn a_backup_has_no_session_prekey_outbox_or_place_in_the_queue() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    world.send(1, mail(&world.address(0), "before"));
    world.settle();
    world.send(0, mail(&paul, "mine"));
    let (_, entries) = back_up(&mut world, 0);
    let classes: std::collections::BTreeSet<u8> = entries.iter().map(|entry| entry.class).collect();
    let allowed = CLASSES.map(crate::store::RecordClass::byte);
    assert!(classes.iter().all(|class| allowed.contains(class)), "{classes:?}");
    let left_out = [
        class::ACCOUNT,
        class::OUTBOX,
        class::SUBMISSION,
        class::QUEUE,
        class::UPLOAD,
        class::UPLOAD_PART,
        class::RESTORE,
        class::SESSION,
        class::HINT,
        class::PEER,
        class::PREKEYS,
        class::DH_PREKEY,
        class::KEM_PREKEY,
        class::SEAL_PREKEY,
        class::LAST_RESORT_USE,
    ];
    for class in left_out {
        assert!(!allowed.contains(&class.byte()), "{class}");
        // And whoever forges a backup gets none of them in.
        let forged = BackupEntry { class: class.byte(), name: vec![1; 16], value: vec![0; 32].into() };
        assert!(admit(&forged).is_err(), "{class}");
        let new = empty(&mut world, &paul);
        let (account, _) = back_up(&mut world, 1);
        world.run(new, &Input::BeginRestore { backup_salt: [1; 32], account: Box::new(account) }).unwrap();
        assert!(matches!(engine_error(world.run(new, &Input::RestoreRecords(vec![forged]))), EngineError::Backup(_)));
    }
}

#[test]
fn contents_that_belong_to_no_message_are_left_out() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(1, mail(&claire, "before"));
    world.settle();
    // A receipt waits to be sent: its content lies among those of messages.
    let now = world.now;
    let stray = [9; 16];
    world.clients[0].put(&key::content(&stray), &zeroize::Zeroizing::new(vec![1]), now);
    let (_, entries) = back_up(&mut world, 0);
    assert!(entries.iter().any(|entry| entry.class == class::CONTENT.byte()));
    assert!(!entries.iter().any(|entry| entry.name == stray));
    // What waited to be sent is not sent by two.
    world.server.refusals =
        vec![medipeps_core::wire::transport::ErrorReply::new(medipeps_core::wire::transport::ErrorCode::QueueFull, "")];
    let id = world.send(0, mail(&paul, "waits"));
    assert_eq!(world.state(0, id).0, RecipientState::Queued);
    world.clients[0].put(&key::content(&stray), &zeroize::Zeroizing::new(Vec::new()), now);
    let new = copy(&mut world, 0);
    assert_eq!(world.state(new, id), (RecipientState::Failed, Some("restored_unsent".into())));
}

#[test]
fn a_third_device_is_no_primary_one_and_keeps_no_account_key() {
    let mut world = World::new(&["claire"]);
    let second = restore(&mut world, 0);
    let old_copy = copy(&mut world, 0);
    let third = restore(&mut world, second);
    assert!(world.account_record(second).account_key.is_some());
    assert!(world.account_record(third).account_key.is_none());
    assert_eq!(world.statement(0).devices().iter().filter(|device| device.primary()).count(), 2);
    // The statement has moved on twice since this one was copied.
    let newest = world.statement(0);
    list(&mut world, old_copy, &newest).unwrap();
    assert_eq!(signed(&world, old_copy).version(), newest.version() + 1);
}

#[test]
fn an_account_that_was_recovered_meanwhile_is_not_taken_back_with_the_old_key() {
    let mut world = World::new(&["claire"]);
    let new = copy(&mut world, 0);
    let recovery = world.clients[0].events.iter().find_map(|event| match event {
        Event::AccountPrepared { recovery_key, .. } => Some(SigningKey::from_secret(recovery_key)),
        _ => None,
    });
    let (recovery, previous) = (recovery.unwrap(), world.statement(0));
    let account_key = SigningKey::from_secret(&Secret::from([77; 32]));
    let keys = DeviceSecretKeys::random(&mut world.clients[0].rng);
    let address = world.address(0);
    let device = DeviceCertificate::issue(&account_key, &address, 7, &keys.public_keys(), true, 1);
    let issue = StatementIssue {
        address: &address,
        recovery_key_hash: recovery_key_hash(&recovery.verifying_key()),
        previous: Some(&previous),
        devices: vec![device],
        issued: 1,
    };
    let recovered = issue.sign_with_recovery_key(account_key.verifying_key(), &recovery).unwrap();
    list(&mut world, new, &recovered).unwrap();
    assert!(world.clients[new].events.contains(&Event::RestoreNeedsLink { key_replaced: true }));
    assert_eq!(phase(&mut world, new), Some(RestorePhase::Linking), "the key that signs nothing is gone");
    assert_eq!(list(&mut world, new, &previous), Err(EngineError::NoRestore));
}

#[test]
fn a_server_that_gives_an_older_or_another_statement_gets_nothing_signed() {
    let mut world = World::new(&["claire", "paul"]);
    let first = world.statement(0);
    let second = restore(&mut world, 0);
    let new = copy(&mut world, second);
    let older = EngineError::Statement(StatementError::NotNewer);
    assert_eq!(list(&mut world, new, &first), Err(older));
    let others = world.statement(1);
    assert_eq!(list(&mut world, new, &others), Err(EngineError::Statement(StatementError::OtherAccount)));
    assert!(matches!(phase(&mut world, new), Some(RestorePhase::Listing(_))), "it may be tried again");
    assert!(!world.clients[new].events.iter().any(|event| matches!(event, Event::RestoreSigned { .. })));
}

#[test]
fn a_full_account_says_so() {
    let mut world = World::new(&["claire"]);
    for _ in 1..DEVICES_MAX {
        world.join_device(0);
    }
    let new = copy(&mut world, 0);
    let newest = world.statement(0);
    assert_eq!(list(&mut world, new, &newest), Err(EngineError::TooManyDevices { max: DEVICES_MAX }));
}

#[test]
fn without_the_account_key_the_device_is_to_be_linked() {
    let mut world = World::new(&["claire", "paul"]);
    let claire = world.address(0);
    let second = world.join_device(0);
    let record = world.account_record(second);
    let now = world.now;
    world.clients[second].put(&key::account(), &AccountRecord { account_key: None, ..record }, now);
    world.send(1, mail(&claire, "before"));
    world.settle();
    let new = copy(&mut world, second);
    assert!(world.clients[new].events.contains(&Event::RestoreNeedsLink { key_replaced: false }));
    assert_eq!(phase(&mut world, new), Some(RestorePhase::Linking));
    assert_eq!(world.texts(new), ["before"]);
}

#[test]
fn a_store_with_an_account_or_a_restore_in_it_is_refused() {
    let mut world = World::new(&["claire", "paul"]);
    let (account, _) = back_up(&mut world, 0);
    let begin = |salt| Input::BeginRestore { backup_salt: [salt; 32], account: Box::new(account.clone()) };
    assert!(matches!(engine_error(world.run(1, &begin(1))), EngineError::AccountExists(_)));
    let new = copy(&mut world, 0);
    assert_eq!(engine_error(world.run(new, &begin(2))), EngineError::RestoreBegun);
    assert_eq!(engine_error(world.run(new, &Input::RestoreRecords(Vec::new()))), EngineError::RestoreBegun);
    assert_eq!(engine_error(world.run(1, &Input::RestoreStatement(Vec::new()))), EngineError::NoRestore);
}

/// Five weeks by the clock: prekeys have been rotated four times, the contact has another device, a new contact has come.
#[test]
fn a_backup_that_is_five_weeks_old_becomes_a_device_that_catches_up() {
    let mut world = World::new(&["claire", "paul", "zoe"]);
    let (claire, paul, zoe) = (world.address(0), world.address(1), world.address(2));
    world.send(1, mail(&claire, "before"));
    world.settle();
    world.send(0, mail(&paul, "mine"));
    world.settle();
    // Accepted and never confirmed: Paul is off.
    let unconfirmed = world.send(0, mail(&paul, "accepted before the backup"));
    let backup = back_up(&mut world, 0);
    let prekeys = |world: &mut World| world.device(0).uploads.last().unwrap().signed_prekey.id;
    let first = prekeys(&mut world);
    let second = world.join_device(1);
    for week in 0..5 {
        world.later(7 * 24 * 3600 * 1000);
        for number in [0, 1, 2, second] {
            world.connect(number);
        }
        world.send(1, mail(&claire, &format!("week {week}")));
        world.send(2, mail(&claire, &format!("new, week {week}")));
        world.settle_in_step();
    }
    assert_ne!(prekeys(&mut world), first);
    let before = world.account_record(0).device_id;
    let copied = copy_from(&mut world, backup);
    let new = go_live(&mut world, 0, copied);
    assert_ne!(world.account_record(new).device_id, before);
    assert_eq!(world.texts(new), ["before"], "what came since was for the devices that there were");
    assert!(world.scan_is_empty(new, class::UNCONFIRMED), "after five weeks nobody waits for a confirmation");
    assert_eq!(world.state(new, unconfirmed).0, RecipientState::Accepted);
    // Both devices of Claire learn of each other; Zoe, who came since, is told to the new one.
    world.run(0, &Input::CheckOwnStatement).unwrap();
    world.settle_in_step();
    world.settle_in_step();
    assert_eq!(world.contact(new, 2), world.contact(0, 2));
    assert!(world.contact(new, 2).is_some());
    // It writes to the contact's new device, of which its backup knew nothing, and hears from everybody.
    world.send(new, mail(&paul, "from the restored one"));
    world.send(new, mail(&zoe, "to the new contact"));
    world.send(1, mail(&claire, "to both"));
    world.settle_in_step();
    for device in [1, second] {
        assert_eq!(world.texts(device).last().unwrap(), "from the restored one");
    }
    assert_eq!(world.texts(2), ["to the new contact"]);
    for device in [0, new] {
        assert_eq!(world.texts(device).last().unwrap(), "to both");
    }
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

/// The old device is lost with what it waited for: the new one goes on waiting, and sends again.
#[test]
fn a_restored_device_sends_again_what_nobody_had_confirmed() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    world.send(0, mail(&paul, "confirmed"));
    super::repair::wait_for_received(&mut world);
    super::repair::wait_for_received(&mut world);
    assert_eq!(super::repair::waiting(&mut world, 0), 0);
    world.send(0, mail(&paul, "lost"));
    world.device(1).queue.pop();
    let backup = back_up(&mut world, 0);
    let copied = copy_from(&mut world, backup);
    let new = go_live(&mut world, 0, copied);
    super::repair::pass(&mut world, &[1, new], 2 * 24 * 3600 * 1000, 3600 * 1000);
    assert_eq!(world.texts(1), ["confirmed", "lost"], "each once");
    assert_eq!(super::repair::waiting(&mut world, new), 0);
}
