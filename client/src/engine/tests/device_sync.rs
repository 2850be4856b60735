//! Devices of one account are kept in step.

use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, StatementIssue};
use medipeps_core::kind::{
    Body, Content, DeviceSync, DisplayedMark, MessageId, ReceiptsWanted, SyncedContact, Urgency,
};
use medipeps_core::wire::client_records::{ContactRecord, OutboxRecord, RecipientState, ServerRecord};
use medipeps_core::wire::transport::Submit;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::world::{World, mail};
use crate::engine::{Event, Input, SendMail, Undecryptable, key};
use crate::limits::{EMPTY_DELAY_MS, SYNC_DELAY_MS};

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

impl World {
    /// Until all devices have told each other what they know.
    pub(super) fn settle_in_step(&mut self) {
        for _ in 0..3 {
            self.settle();
            self.later(SYNC_DELAY_MS);
        }
        self.settle();
    }

    fn submissions_to(&self, number: usize) -> Vec<Submit> {
        let address = self.address(number);
        self.server.submitted().into_iter().filter(|submit| submit.address == address).collect()
    }

    pub(super) fn contact(&mut self, number: usize, of: usize) -> Option<ContactRecord> {
        let (address, now) = (self.address(of), self.now);
        self.clients[number].get(&key::contact(&address), now)
    }
}

fn displayed(world: &World, number: usize) -> usize {
    world.clients[number].events.iter().filter(|event| matches!(event, Event::DisplayedElsewhere { .. })).count()
}

#[test]
fn what_is_read_on_one_device_is_read_on_all_and_the_receipt_goes_once() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(1);
    let wanted = ReceiptsWanted { displayed: true, ..ReceiptsWanted::default() };
    let id = world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "hello") });
    world.settle_in_step();
    world.later(1000);
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    world.settle_in_step();
    let at = world.message(1, id).displayed;
    assert_ne!(at, 0);
    assert_eq!(world.message(second, id).displayed, at);
    assert_eq!(displayed(&world, second), 1);
    assert_eq!(world.state(0, id), (RecipientState::Displayed, None));
    let before = world.submissions_to(0).len();
    world.run(second, &Input::MarkDisplayed(id)).unwrap();
    world.settle_in_step();
    assert_eq!(world.submissions_to(0).len(), before, "no second receipt");
}

#[test]
fn a_contact_of_one_device_is_a_contact_of_all_with_its_server() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.settle_in_step();
    let paul = world.address(1);
    world.run(0, &Input::AddContact { address: paul, accept_new_key: false }).unwrap();
    world.settle_in_step();
    assert_eq!(world.contact(second, 1), world.contact(0, 1));
    assert!(world.contact(second, 1).is_some());
    // One of another domain, which the test's server does not keep.
    let foreign = foreign_contact(1, "b.example", 1);
    let (address, now) = (foreign.address.clone(), world.now);
    let server =
        ServerRecord { endpoint: "server.b.example:4433".into(), server_key_hash: Some([4; 32]), by_dns: false };
    world.clients[0].put(&key::server("b.example"), &server, now);
    world.clients[0].put(&key::contact(&address), &foreign, now);
    let third = world.join_device(0);
    world.settle_in_step();
    let now = world.now;
    for device in [second, third] {
        assert_eq!(world.clients[device].get(&key::contact(&address), now), Some(foreign.clone()));
        assert_eq!(world.clients[device].get(&key::server("b.example"), now), Some(server.clone()));
        assert_eq!(world.contact(device, 1), world.contact(0, 1));
    }
}

/// A contact as it lies in a store, with the first or a later statement of its account.
pub(super) fn foreign_contact(number: u16, domain: &str, version: u64) -> ContactRecord {
    let address = format!("contact-{number}@{domain}").parse().unwrap();
    let mut rng = chacha20::ChaCha20Rng::from_seed([number as u8; 32]);
    let (account, device) = (SigningKey::random(&mut rng), DeviceSecretKeys::random(&mut rng));
    let certificate = DeviceCertificate::issue(&account, &address, 1, &device.public_keys(), true, 1);
    let mut statement = None;
    for _ in 0..version {
        let issue = StatementIssue {
            address: &address,
            recovery_key_hash: [0; 32],
            previous: statement.as_ref(),
            devices: vec![certificate.clone()],
            issued: 1,
        };
        statement = Some(issue.sign(&account).unwrap());
    }
    let statement = statement.unwrap().encoded().to_vec();
    ContactRecord { address, statement, added: 5, changed_statement: None, verified: None, key_changed_at: 0 }
}

#[test]
fn a_new_device_gets_all_contacts_once() {
    let mut world = World::new(&["claire", "paul"]);
    let now = world.now;
    let contacts: Vec<_> = (0..240).map(|number| foreign_contact(number, "clinic.example", 1)).collect();
    for contact in &contacts {
        world.clients[0].put(&key::contact(&contact.address), contact, now);
    }
    let second = world.join_device(0);
    world.settle_in_step();
    let now = world.now;
    for contact in &contacts {
        assert_eq!(world.clients[second].get(&key::contact(&contact.address), now).as_ref(), Some(contact));
    }
    let sent = world.submissions_to(0).len();
    assert!(sent >= 2, "more than one batch: {sent}");
    // Until it is confirmed, and each side's ratchets have moved on.
    for _ in 0..4 {
        world.later(EMPTY_DELAY_MS);
        world.settle();
    }
    let sent = world.submissions_to(0).len();
    world.later(YEAR_MS);
    world.clients[0].restart();
    world.send_all(0);
    assert_eq!(world.submissions_to(0).len(), sent);
}

#[test]
fn how_far_a_mail_has_come_is_known_on_every_device() {
    let mut world = World::new(&["claire", "paul", "zoe"]);
    let second = world.join_device(0);
    world.send(0, mail(&world.address(1), "before"));
    world.settle_in_step();
    let id = world.send(0, mail(&world.address(1), "hello"));
    let zoe = world.address(2);
    world.server.accounts.remove(&zoe);
    let failed = world.send(0, mail(&zoe, "nobody there"));
    for number in [0, 1, second] {
        world.receive(number);
    }
    assert_eq!(world.state(second, id), (RecipientState::Queued, None), "not yet");
    world.later(SYNC_DELAY_MS);
    for number in [0, second] {
        world.receive(number);
    }
    for device in [0, second] {
        assert_eq!(world.state(device, id), (RecipientState::Accepted, None));
        assert_eq!(world.state(device, failed), (RecipientState::Failed, Some("unknown_account".into())));
    }
}

/// Receipts come to a device that does not know the contact yet; the device that wrote tells it.
#[test]
fn a_receipt_from_a_contact_that_only_the_writing_device_knows_counts_on_all() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    let id = world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "hello") });
    world.receive(1);
    world.receive(second);
    world.settle_in_step();
    for device in [0, second] {
        assert_eq!(world.state(device, id), (RecipientState::Delivered, None));
    }
}

/// The same batches, in order to one device, and backwards and twice to another.
#[test]
fn what_devices_tell_each_other_may_come_in_any_order_and_again() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    let paul = world.address(1);
    world.settle_in_step();
    let wanted = ReceiptsWanted { delivered: true, displayed: true, processed: false };
    // Sessions with everybody, so that no first flight has to come first.
    world.send(0, SendMail { receipts_wanted: wanted, ..mail(&paul, "before") });
    world.settle_in_step();
    for number in [second, third] {
        world.send(number, mail(&paul, "mine"));
        world.settle_in_step();
    }
    for number in 0..4 {
        world.send(0, SendMail { receipts_wanted: wanted, ..mail(&paul, &format!("number {number}")) });
        let answer = world.send(1, mail(&world.address(0), &format!("answer {number}")));
        world.receive(0);
        world.run(0, &Input::MarkDisplayed(answer)).unwrap();
        world.later(SYNC_DELAY_MS);
        world.receive(1);
        world.receive(0);
        world.later(SYNC_DELAY_MS);
        world.send_all(0);
    }
    let batch = world.pushed(second);
    assert!(batch.len() > 12);
    world.deliver(second, batch);
    let mut backwards = world.pushed(third);
    backwards.reverse();
    let again: Vec<_> = backwards.iter().cloned().chain(backwards.iter().cloned()).collect();
    for (number, mut delivery) in again.into_iter().enumerate() {
        delivery.sequence = 1000 + number as u64;
        world.deliver(third, vec![delivery]);
    }
    let (one, other) = (world.sent(second), world.sent(third));
    assert_eq!(one, other);
    assert!(one.iter().filter(|(_, _, states)| states[0] == RecipientState::Delivered).count() >= 4);
    let now = world.now;
    let marks = |world: &mut World, number: usize| {
        let received = world.clients[number].received(now);
        received.iter().map(|message| (message.id, message.message.displayed)).collect::<Vec<_>>()
    };
    assert_eq!(marks(&mut world, second), marks(&mut world, third));
    assert!(marks(&mut world, second).iter().all(|(_, displayed)| *displayed != 0));
    assert_eq!(world.contact(second, 1), world.contact(third, 1));
    for device in [second, third] {
        assert!(world.clients[device].undecryptable().is_empty());
    }
}

#[test]
fn a_clock_that_is_wrong_by_a_year_upsets_nothing() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(1), world.join_device(1));
    world.clients[second].clock_ahead = YEAR_MS;
    let id = world.send(0, mail(&world.address(1), "hello"));
    world.settle_in_step();
    world.run(second, &Input::MarkDisplayed(id)).unwrap();
    world.settle_in_step();
    let now = world.now;
    for device in [1, third] {
        let at = world.message(device, id).displayed;
        assert!(at != 0 && at <= now, "not in the future");
    }
    // The device itself takes the earlier time from one whose clock is right.
    let other = world.send(0, mail(&world.address(1), "again"));
    world.settle();
    world.run(second, &Input::MarkDisplayed(other)).unwrap();
    world.run(1, &Input::MarkDisplayed(other)).unwrap();
    let right = world.message(1, other).displayed;
    world.settle_in_step();
    for device in [1, second, third] {
        assert_eq!(world.message(device, other).displayed, right);
    }
    let written = world.send(second, mail(&world.address(0), "from the future"));
    world.settle_in_step();
    for device in [1, third] {
        assert_eq!(world.state(device, written).0, RecipientState::Accepted);
    }
    assert_eq!(world.texts(0), ["from the future"]);
}

pub(super) fn bare(body: Body) -> Content {
    Content {
        id: MessageId([9; 16]),
        thread: MessageId([9; 16]),
        in_reply_to: None,
        replaces: None,
        created: 1,
        expires: None,
        urgency: Urgency::Routine,
        sender_name: String::new(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: String::new(),
        attachments: Vec::new(),
        body_blob: None,
        sender_statement_version: 1,
        body,
    }
}

/// Sends content that no command makes.
pub(super) fn send_raw(world: &mut World, number: usize, to: usize, content: &Content) {
    let (recipient, now) = (world.address(to), world.now);
    let entry = OutboxRecord {
        content_id: content.id.0,
        recipient: recipient.clone(),
        created: now,
        submission_id: None,
        attempts: 0,
        next_attempt: 0,
        fetch_prekeys: false,
        blocked: None,
        receipt: true,
        device: None,
    };
    let client = &mut world.clients[number];
    let encoded = Zeroizing::new(content.encode().unwrap().to_vec());
    client.put(&key::content(&content.id.0), &encoded, now);
    client.put(&key::outbox(&content.id.0, &recipient), &entry, now);
    world.send_all(number);
}

#[test]
fn nobody_else_can_say_what_one_s_own_devices_say() {
    let mut world = World::new(&["claire", "paul"]);
    let id = world.send(0, mail(&world.address(1), "hello"));
    world.settle();
    let account_key = Some(*world.statement(0).account_key().as_bytes());
    let mark = DisplayedMark { sender: world.address(0), account_key, content_id: MessageId(id), at: 1 };
    let sync = DeviceSync { displayed: vec![mark], ..DeviceSync::default() };
    send_raw(&mut world, 0, 1, &bare(Body::DeviceSync(sync)));
    world.settle();
    assert_eq!(world.clients[1].undecryptable(), [Undecryptable::Content]);
    assert_eq!(world.message(1, id).displayed, 0);
}

#[test]
fn another_account_key_for_a_contact_is_not_taken_from_a_device_of_one_s_own() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.settle_in_step();
    let known = foreign_contact(1, "clinic.example", 1);
    let now = world.now;
    world.clients[second].put(&key::contact(&known.address), &known, now);
    let contact = SyncedContact {
        address: known.address.clone(),
        statement: under_another_key(&known),
        added: 1,
        verified: Some(([7; 32], 1)),
        server: None,
    };
    let sync = DeviceSync { contacts: vec![contact], ..DeviceSync::default() };
    send_raw(&mut world, 0, 0, &bare(Body::DeviceSync(sync)));
    world.settle();
    let now = world.now;
    let kept: ContactRecord = world.clients[second].get(&key::contact(&known.address), now).unwrap();
    assert_eq!(kept.statement, known.statement);
    assert!(kept.changed_statement.is_some(), "a person is asked");
    assert_eq!(kept.verified, None);
}

/// A statement for a contact's address under another account key.
fn under_another_key(contact: &ContactRecord) -> Vec<u8> {
    let address = &contact.address;
    let mut rng = chacha20::ChaCha20Rng::from_seed([99; 32]);
    let (account, device) = (SigningKey::random(&mut rng), DeviceSecretKeys::random(&mut rng));
    let certificate = DeviceCertificate::issue(&account, address, 1, &device.public_keys(), true, 1);
    let issue =
        StatementIssue { address, recovery_key_hash: [0; 32], previous: None, devices: vec![certificate], issued: 1 };
    issue.sign(&account).unwrap().encoded().to_vec()
}

#[test]
fn an_older_statement_of_a_contact_does_not_replace_the_newer_one() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.settle_in_step();
    let (older, newer) = (foreign_contact(1, "clinic.example", 1), foreign_contact(1, "clinic.example", 3));
    let now = world.now;
    world.clients[second].put(&key::contact(&newer.address), &newer, now);
    let contact = SyncedContact {
        address: older.address.clone(),
        statement: older.statement.clone(),
        added: 2,
        verified: None,
        server: None,
    };
    let sync = DeviceSync { contacts: vec![contact], ..DeviceSync::default() };
    send_raw(&mut world, 0, 0, &bare(Body::DeviceSync(sync)));
    world.settle();
    let now = world.now;
    let kept: ContactRecord = world.clients[second].get(&key::contact(&newer.address), now).unwrap();
    assert_eq!(kept, ContactRecord { added: 2, ..newer });
}

#[test]
fn a_kind_of_a_later_version_from_one_s_own_device_is_shown_only_if_it_is_meant_to_be() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.settle_in_step();
    send_raw(&mut world, 0, 0, &bare(Body::Unknown { kind: 77, body: vec![1] }));
    let shown = Content {
        id: MessageId([8; 16]),
        fallback_text: "A recipe was sent".into(),
        ..bare(Body::Unknown { kind: 78, body: vec![1] })
    };
    send_raw(&mut world, 0, 0, &shown);
    world.settle();
    let now = world.now;
    let messages = world.clients[second].messages(now);
    assert_eq!(messages.iter().map(|message| message.id).collect::<Vec<_>>(), [[8; 16]]);
    assert!(world.clients[second].undecryptable().is_empty());
}
