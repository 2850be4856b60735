//! Sessions between accounts of several devices: races, archived sessions, devices that come and go.

use std::collections::BTreeMap;

use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, StatementIssue};
use medipeps_core::wire::client_records::{ContactRecord, PeerRecord, RecipientState};
use rand_core::SeedableRng;

use super::world::{World, mail, tick};
use crate::account_store::load_needs;
use crate::engine::{Event, Input, LoadedRecords, Outcome, Record, Time, Undecryptable, class, handle, key};
use crate::limits::{INACTIVE_SESSIONS_MAX, PREKEY_ROTATION_S};
use crate::store::Patch;

impl World {
    /// The sessions that a client has with another's account.
    fn sessions(&mut self, number: usize, with: usize) -> PeerRecord {
        let key = self.peer_key(with);
        let now = self.now;
        self.clients[number].get(&key, now).unwrap_or_default()
    }

    fn peer_key(&mut self, number: usize) -> crate::engine::Key<PeerRecord> {
        let account_key = self.statement(number).account_key();
        key::peer(&self.address(number), account_key.as_bytes())
    }

    /// The session that a client writes with to another's device.
    fn active(&mut self, number: usize, with: usize) -> Option<[u8; 16]> {
        let device_id = self.device_id(with);
        let device = self.sessions(number, with).devices.into_iter().find(|device| device.device_id == device_id);
        device.and_then(|device| device.active)
    }

    /// The next message to another's devices begins new sessions.
    fn forget_active(&mut self, number: usize, with: usize) {
        let (key, now) = (self.peer_key(with), self.now);
        let mut record = self.sessions(number, with);
        for device in &mut record.devices {
            device.active = None;
        }
        self.clients[number].put(&key, &record, now);
    }

    fn duplicates(&self) -> usize {
        self.clients.iter().flat_map(|client| &client.events).filter(|event| **event == Event::Duplicate).count()
    }
}

#[test]
fn two_initiators_among_three_by_three_devices_converge() {
    let mut world = World::new(&["claire", "paul"]);
    let claires = [0, world.join_device(0), world.join_device(0)];
    let pauls = [1, world.join_device(1), world.join_device(1)];
    let (claire, paul) = (world.address(0), world.address(1));
    // All six write before any of them has heard anything.
    for (number, device) in claires.into_iter().enumerate() {
        world.send(device, mail(&paul, &format!("question {number}")));
    }
    for (number, device) in pauls.into_iter().enumerate() {
        world.send(device, mail(&claire, &format!("answer {number}")));
    }
    world.settle_in_step();
    for device in claires {
        world.send(device, mail(&paul, "and"));
        world.settle_in_step();
    }
    for one in claires {
        for other in pauls {
            let session = world.active(one, other);
            assert!(session.is_some());
            assert_eq!(session, world.active(other, one), "{one} and {other}");
        }
        for other in claires.into_iter().filter(|other| *other != one) {
            assert_eq!(world.active(one, other), world.active(other, one), "{one} and {other}");
        }
    }
    for device in claires {
        assert_eq!(world.texts(device), ["answer 0", "answer 1", "answer 2"]);
        assert_eq!(world.sent(device).len(), 6);
    }
    for device in pauls {
        assert_eq!(world.texts(device), ["question 0", "question 1", "question 2", "and", "and", "and"]);
    }
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

#[test]
fn the_oldest_of_41_archived_sessions_goes_and_an_envelope_on_the_40th_opens_and_promotes() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    let (mut begun, mut withheld) = (Vec::new(), Vec::new());
    for number in 0..INACTIVE_SESSIONS_MAX + 2 {
        world.send(0, mail(&paul, &format!("first {number}")));
        world.settle();
        world.send(1, mail(&claire, &format!("answer {number}")));
        world.settle();
        begun.push(world.active(1, 0).unwrap());
        // One more on this session, which stays under way.
        world.send(0, mail(&paul, &format!("late {number}")));
        withheld.push(world.device(1).queue.pop().unwrap());
        world.forget_active(0, 1);
    }
    let device = world.sessions(1, 0).devices.remove(0);
    assert_eq!(device.active, begun.last().copied());
    let kept: Vec<_> = begun[1..begun.len() - 1].iter().rev().copied().collect();
    assert_eq!(device.inactive, kept, "newest first, {INACTIVE_SESSIONS_MAX} of them");
    assert_eq!(device.inactive.len(), INACTIVE_SESSIONS_MAX);
    for number in [0, 1] {
        let mut late = withheld[number].clone();
        late.sequence = 1000 + number as u64;
        world.deliver(1, vec![late]);
    }
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::NoSession]);
    assert!(world.texts(1).contains(&"late 1".to_owned()));
    assert!(!world.texts(1).contains(&"late 0".to_owned()));
    assert_eq!(world.active(1, 0), Some(begun[1]));
    let count = world.clients[1].count(class::SESSION, world.now);
    assert_eq!(count, INACTIVE_SESSIONS_MAX + 1, "what was dropped is deleted");
}

#[test]
fn one_device_of_five_is_revoked_while_messages_are_in_flight() {
    let mut world = World::new(&["claire", "paul"]);
    let others: Vec<usize> = (0..4).map(|_| world.join_device(1)).collect();
    let paul = world.address(1);
    world.send(0, mail(&paul, "sessions with all"));
    world.settle_in_step();
    // One lies in the queues, one is encrypted for five and has not left.
    world.send(0, mail(&paul, "in the queues"));
    world.later(1);
    world.run(0, &Input::SendMail(mail(&paul, "encrypted"))).unwrap();
    assert!(world.run_until(0, &tick(), &mut Some(1)).is_err(), "it dies after the commit");
    world.clients[0].restart();
    let revoked = others[1];
    world.revoke_device(1, revoked);
    world.send_all(0);
    let last = world.send(0, mail(&paul, "after"));
    world.settle_in_step();
    assert_eq!(world.state(0, last), (RecipientState::Accepted, None));
    for device in [1, others[0], others[2], others[3]] {
        assert_eq!(world.texts(device), ["sessions with all", "in the queues", "encrypted", "after"]);
    }
    assert_eq!(world.texts(revoked), ["sessions with all"]);
    assert_eq!(world.duplicates(), 0);
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
    let with: Vec<u32> = world.sessions(0, 1).devices.iter().map(|device| device.device_id).collect();
    let gone = world.device_id(revoked);
    assert!(with.len() == 4 && !with.contains(&gone), "sessions with it are deleted");
}

#[test]
fn a_contact_who_installed_anew_is_written_to_on_the_new_device() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "to the old device"));
    world.settle();
    world.send(1, mail(&claire, "from the old device"));
    world.settle();
    // The same account key on another device, and the old one is no more.
    let new = world.join_device_as(1, true);
    world.revoke_device(new, 1);
    let id = world.send(0, mail(&paul, "to the new device"));
    world.settle_in_step();
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    assert_eq!(world.texts(new), ["to the new device"]);
    world.send(new, mail(&claire, "from the new device"));
    world.settle_in_step();
    assert_eq!(world.texts(0), ["from the old device", "from the new device"]);
    // Paul wrote first from a third one that Claire has not heard of either.
    let third = world.join_device_as(new, false);
    world.send(third, mail(&claire, "from the third"));
    world.settle_in_step();
    assert_eq!(world.texts(0).last().unwrap(), "from the third");
    assert!(world.clients[0].undecryptable().is_empty());
}

#[test]
fn two_devices_of_an_account_rotate_their_prekeys_at_once() {
    let mut world = World::new(&["claire", "paul", "zoe"]);
    let second = world.join_device(1);
    let paul = world.address(1);
    // To the keys before the rotation, read after it.
    world.send(0, mail(&paul, "before"));
    world.later(PREKEY_ROTATION_S * 1000);
    let mut waiting = BTreeMap::new();
    for device in [1, second] {
        let statement_version = world.statement(device).version();
        let input = Input::Authenticated { highest_generation: 0, statement_version };
        waiting.insert(device, world.clients[device].handle(&input, world.now).unwrap());
    }
    while !waiting.is_empty() {
        // One step of each in turn.
        for (device, handled) in std::mem::take(&mut waiting) {
            for outgoing in &handled.outgoing {
                let reply = world.exchange(device, outgoing, handled.generation).unwrap();
                let next = world.clients[device].handle(&reply, world.now).unwrap();
                if !next.outgoing.is_empty() {
                    waiting.insert(device, next);
                }
            }
        }
    }
    for device in [1, second] {
        assert_eq!(world.device(device).uploads.len(), 2);
    }
    world.send(2, mail(&paul, "after"));
    world.settle_in_step();
    for device in [1, second] {
        let mut texts = world.texts(device);
        texts.sort();
        assert_eq!(texts, ["after", "before"]);
    }
}

/// A contact with five devices, made without its clients.
fn contact_of_five(number: u32) -> ContactRecord {
    let address = format!("contact-{number}@clinic.example").parse().unwrap();
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let mut rng = chacha20::ChaCha20Rng::from_seed(seed);
    let account = SigningKey::random(&mut rng);
    let certificate = |device_id| {
        let keys = DeviceSecretKeys::random(&mut rng);
        DeviceCertificate::issue(&account, &address, device_id, &keys.public_keys(), device_id == 1, 1)
    };
    let devices = (1..=5).map(certificate).collect();
    let issue = StatementIssue { address: &address, recovery_key_hash: [0; 32], previous: None, devices, issued: 1 };
    let statement = issue.sign(&account).unwrap().encoded().to_vec();
    ContactRecord { address, statement, added: 5, changed_statement: None, verified: None, key_changed_at: 0 }
}

/// What the engine asks for to handle an input, on a copy of nothing: nothing is committed.
fn needed(world: &mut World, number: usize, input: &Input) -> (usize, Vec<crate::store::RecordClass>) {
    let now = world.now;
    let client = &mut world.clients[number];
    let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let mut view = LoadedRecords { generation: transaction.generation(), ..LoadedRecords::default() };
    loop {
        let needs = match handle(input, Time(now), &[3; 32], &view).unwrap() {
            Outcome::Needs(needs) => needs,
            Outcome::Step(step) => {
                assert!(!step.outgoing.is_empty(), "the mail leaves");
                return (view.records.len(), view.classes.keys().copied().collect());
            }
        };
        load_needs(&mut transaction, &mut view, needs).unwrap();
    }
}

#[test]
fn a_mail_among_a_thousand_contacts_of_five_devices_loads_only_what_it_needs() {
    let mut world = World::new(&["claire", "paul"]);
    for _ in 0..4 {
        world.join_device(1);
    }
    let paul = world.address(1);
    world.send(0, mail(&paul, "sessions with all"));
    world.settle_in_step();
    let ask = |world: &mut World| {
        world.later(1);
        world.run(0, &Input::SendMail(mail(&paul, "hello"))).unwrap();
        needed(world, 0, &tick())
    };
    let alone = ask(&mut world);
    world.send_all(0);
    // Their sessions are copies of the ones with Paul, under other names.
    let (now, with_paul) = (world.now, world.sessions(0, 1));
    let client = &mut world.clients[0];
    let transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let mut patch = Patch::default();
    let active: Vec<_> = with_paul.devices.iter().map(|device| device.active.unwrap()).collect();
    let keys: Vec<_> =
        active.iter().flat_map(|id| [key::session(id).record().clone(), key::hints(id).record().clone()]).collect();
    let stored = transaction.load(&keys).unwrap();
    for number in 0..1000_u32 {
        let contact = contact_of_five(number);
        let account_key = medipeps_core::identity::Statement::decode(&contact.statement).unwrap().account_key();
        let mut peer = with_paul.clone();
        for (place, device) in peer.devices.iter_mut().enumerate() {
            let mut id = [place as u8; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            (device.active, device.device_id) = (Some(id), place as u32 + 1);
            patch.put(key::session(&id).record().clone(), stored[2 * place].clone().unwrap());
            patch.put(key::hints(&id).record().clone(), stored[2 * place + 1].clone().unwrap());
        }
        patch.put(key::peer(&contact.address, account_key.as_bytes()).record().clone(), Record::encode(&peer));
        patch.put(key::contact(&contact.address).record().clone(), Record::encode(&contact));
    }
    transaction.commit(&patch, &mut client.rng).unwrap();
    let among_many = ask(&mut world);
    assert_eq!(among_many, alone, "records and classes");
    assert!(alone.0 <= 24, "{} records", alone.0);
    for class in [class::CONTACT, class::PEER, class::SESSION, class::HINT] {
        assert!(!alone.1.contains(&class), "{class}");
    }
}
