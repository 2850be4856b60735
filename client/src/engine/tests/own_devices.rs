//! Several devices of one account among each other.

use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::{Request, Submit};

use super::world::{World, mail};
use crate::engine::{Event, Input, LocalId, SendMail, Undecryptable};

impl World {
    /// Subjects and recipients' states of what a client has as sent, in the order of writing.
    pub(super) fn sent(&mut self, number: usize) -> Vec<(LocalId, String, Vec<RecipientState>)> {
        let now = self.now;
        let mut sent = self.clients[number].messages(now);
        sent.retain(|message| message.message.sent);
        sent.sort_by_key(|message| message.message.created);
        let states = |message: &crate::engine::MessageSummary| {
            message.message.recipients.iter().map(|recipient| recipient.state).collect()
        };
        sent.iter().map(|message| (message.id, message.message.subject.clone(), states(message))).collect()
    }
}

fn submissions_to(world: &World, number: usize) -> Vec<Submit> {
    let address = world.address(number);
    world.server.submitted().into_iter().filter(|submit| submit.address == address).collect()
}

#[test]
fn what_one_device_sends_the_others_keep_as_sent() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    let paul = world.address(1);
    let id = world.send(0, mail(&paul, "hello"));
    world.settle();
    assert_eq!(world.texts(1), ["hello"]);
    for device in [second, third] {
        let sent = world.sent(device);
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].0, sent[0].1.as_str()), (id, "About hello"));
        assert_eq!(world.mail(device, id).text, "hello");
        let message = world.message(device, id);
        assert_eq!(message.recipients[0].address, paul);
        assert_ne!(message.displayed, 0, "nobody has to read what he wrote himself");
        assert_eq!(message.sender_device, world.device_id(0));
        assert!(world.texts(device).is_empty());
    }
    // Each of them can go on from there.
    world.send(second, mail(&paul, "more"));
    world.settle();
    assert_eq!(world.texts(1), ["hello", "more"]);
    for device in [0, third] {
        assert_eq!(
            world.sent(device).iter().map(|sent| sent.1.as_str()).collect::<Vec<_>>(),
            ["About hello", "About more"]
        );
    }
    for client in &world.clients {
        assert!(client.undecryptable().is_empty());
    }
}

#[test]
fn an_account_with_one_device_writes_nothing_to_itself() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "hello"));
    world.settle();
    assert!(submissions_to(&world, 0).is_empty());
    // Nor once the others have been taken off.
    let second = world.join_device(0);
    world.revoke_device(0, second);
    world.send(0, mail(&world.address(1), "alone again"));
    world.settle();
    assert!(submissions_to(&world, 0).is_empty());
}

#[test]
fn a_submission_to_one_s_own_account_does_not_show_which_device_sent_it() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    for (number, text) in [(0, "one"), (second, "two"), (third, "three"), (0, "four")] {
        world.send(number, mail(&world.address(1), text));
        world.settle();
    }
    let submits = submissions_to(&world, 0);
    assert!(submits.len() >= 4);
    let devices: Vec<u32> = world.statement(0).devices().iter().map(|device| device.device_id()).collect();
    for submit in &submits {
        let named: Vec<u32> = submit.envelopes.iter().map(|one| one.device_id).collect();
        assert_eq!(named, devices, "in the order of the statement, the sender among them");
    }
    // Where there are sessions with all, all envelopes have one size.
    let sizes: Vec<usize> = submits[submits.len() - 1].envelopes.iter().map(|one| one.envelope.len()).collect();
    assert_eq!(sizes, [4096; 3]);
    // Nothing was counted for the decoys, and each was acknowledged.
    for number in [0, second, third] {
        assert!(world.clients[number].undecryptable().is_empty());
        assert!(world.pushed(number).is_empty());
        assert!(!world.clients[number].events.contains(&Event::Duplicate));
    }
}

/// A server that saw both over one connection would know who writes to whom.
#[test]
fn what_goes_to_one_s_own_devices_shares_no_connection_with_what_goes_to_others() {
    let mut world = World::new(&["claire", "paul"]);
    world.join_device(0);
    world.send(0, mail(&world.address(1), "hello"));
    world.settle();
    let claire = world.address(0);
    let mut own = 0;
    for (number, connection, request) in &world.sent_over {
        let about = match request {
            Request::Submit(submit) => &submit.address,
            Request::FetchPrekeys(fetch) => &fetch.address,
            _ => continue,
        };
        let to_own = *about == world.clients[*number].address;
        assert_eq!(*connection == crate::engine::Connection::OwnDevices, to_own, "{request:?}");
        own += usize::from(to_own && *about == claire);
    }
    assert!(own >= 2, "prekeys and a submission");
}

#[test]
fn a_receipt_moves_the_state_on_every_device_of_the_sender() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.run(second, &Input::AddContact { address: world.address(1), accept_new_key: false }).unwrap();
    let wanted = medipeps_core::kind::ReceiptsWanted { delivered: true, ..Default::default() };
    let id = world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "hello") });
    world.settle();
    for device in [0, second] {
        assert_eq!(world.state(device, id), (RecipientState::Delivered, None));
    }
}

#[test]
fn a_device_of_one_s_own_that_is_not_listed_is_refused() {
    let mut world = World::new(&["claire", "paul"]);
    let (second, third) = (world.join_device(0), world.join_device(0));
    let paul = world.address(1);
    world.send(second, mail(&paul, "first"));
    world.settle();
    // It goes on as if nothing had happened: over its session with the third device, and by a first flight.
    world.revoke_device(0, second);
    world.send(third, mail(&paul, "on a new session"));
    let now = world.now;
    let stolen = world.forge_to_own(second, "forged");
    let third_id = world.device_id(third);
    let forged = stolen.envelopes.iter().find(|one| one.device_id == third_id).unwrap();
    world.device(third).enqueue(forged.envelope.clone(), now);
    world.settle();
    assert_eq!(world.clients[third].undecryptable(), [Undecryptable::DeviceNotListed]);
    assert!(world.sent(third).iter().all(|sent| sent.1 != "About forged"));
}

#[test]
fn a_newer_statement_of_one_s_own_comes_with_a_first_flight_or_with_prekeys() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    let paul = world.address(1);
    // The second device has not heard of the third.
    let before = world.account_record(second).statement;
    let third = world.join_device(0);
    world.set_own_statement(second, before.clone());
    world.send(third, mail(&paul, "from the third"));
    world.settle();
    assert_ne!(world.account_record(second).statement, before);
    assert_eq!(world.sent(second).len(), 1);
    // And where it writes itself, the server says that its devices are stale.
    world.set_own_statement(second, before.clone());
    world.send(second, mail(&paul, "from the second"));
    world.settle();
    assert_ne!(world.account_record(second).statement, before);
    for device in [0, second, third] {
        assert_eq!(world.sent(device).len(), 2);
    }
}

/// Claire's second device does not know Paul: the first word from him is a receipt for what the first device wrote, and
/// receipts of strangers leave nothing. What he writes then must be shown all the same.
#[test]
fn a_mail_after_a_receipt_from_somebody_whom_only_the_other_device_knows_is_shown() {
    let mut world = World::new(&["claire", "paul"]);
    let second = world.join_device(0);
    world.run(1, &Input::AddContact { address: world.address(0), accept_new_key: false }).unwrap();
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    world.send(0, SendMail { receipts_wanted: wanted, ..mail(&world.address(1), "question") });
    // What the first device tells of Paul does not come.
    world.device(second).queue.clear();
    world.receive(1);
    world.send(1, mail(&world.address(0), "answer"));
    world.receive(second);
    assert_eq!(world.texts(second), ["answer"]);
    assert!(world.clients[second].undecryptable().is_empty());
}
