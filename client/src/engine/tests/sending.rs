//! What leaves, when, and what becomes of it.

use medipeps_core::kind::{ContentError, ReceiptsWanted};
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request};
use rand_core::SeedableRng;

use super::world::{World, engine_error, mail, tick};
use crate::account_store::decide;
use crate::engine::{Attachment, AttachmentSource, Connection, Correlation, EngineError, Event, Input, SendMail, Time};
use crate::limits::{OUTBOX_TRIED_MS, RETRY_MAX_MS};
use crate::store::memory::CommitFault;

#[test]
fn a_mail_arrives_and_receipts_come_back() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.run(1, &Input::AddContact { address: claire, accept_new_key: false }).unwrap();
    let wanted = ReceiptsWanted { delivered: true, displayed: true, processed: false };
    let id = world.send(0, SendMail { receipts_wanted: wanted, ..mail(&paul, "blood count") });
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    world.settle();
    assert_eq!(world.texts(1), ["blood count"]);
    assert_eq!(world.mail(1, id).subject, "About blood count");
    assert_eq!(world.message(1, id).sender_name, "Dr claire");
    assert_eq!(world.state(0, id), (RecipientState::Delivered, None));
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Displayed, None));
    // One mail and two receipts, and no receipt of a receipt.
    assert_eq!(world.server.submitted().len(), 3);
    assert!(world.clients.iter().all(|client| client.undecryptable().is_empty()));
}

#[test]
fn nothing_leaves_in_the_step_that_queues() {
    let mut world = World::new(&["claire", "paul"]);
    let command = mail(&world.address(1), "hello");
    let handled = world.clients[0].handle(&Input::SendMail(command), world.now).unwrap();
    assert!(handled.outgoing.is_empty());
    let now = Time(world.now);
    let client = &mut world.clients[0];
    assert_eq!(client.store.status(now, &mut client.rng).unwrap().outbox.len(), 1);
}

#[test]
fn a_copy_to_many_makes_one_submission_each() {
    let mut world = World::new(&["claire", "paul", "zoe"]);
    let (claire, paul, zoe) = (world.address(0), world.address(1), world.address(2));
    let command = SendMail { cc: vec![zoe.clone(), paul.clone(), claire], ..mail(&paul, "hello") };
    let id = world.send(0, command);
    let recipients = world.message(0, id).recipients;
    let seen: Vec<_> = recipients.iter().map(|one| (one.address.local().to_owned(), one.copy, one.state)).collect();
    let accepted = RecipientState::Accepted;
    let expected = [("paul", false, accepted), ("zoe", true, accepted), ("claire", true, RecipientState::Delivered)];
    assert_eq!(seen, expected.map(|(name, copy, state)| (name.to_owned(), copy, state)));
    assert_eq!(world.server.submitted().len(), 2);
    world.settle();
    assert_eq!((world.texts(1), world.texts(2)), (vec!["hello".to_owned()], vec!["hello".to_owned()]));
}

#[test]
fn an_unknown_recipient_fails_with_a_code_and_alone() {
    let mut world = World::new(&["claire", "paul"]);
    let (paul, nobody) = (world.address(1), "nobody@clinic.example".parse().unwrap());
    let id = world.send(0, SendMail { cc: vec![paul], ..mail(&nobody, "hello") });
    let recipients = world.message(0, id).recipients;
    assert_eq!(recipients[0].state, RecipientState::Failed);
    assert_eq!(recipients[0].code.as_deref(), Some("unknown_account"));
    assert_eq!(recipients[1].state, RecipientState::Accepted);
}

#[test]
fn a_stranger_of_another_domain_must_be_a_contact_first() {
    let mut world = World::new(&["claire"]);
    let stranger = "eve@other.example".parse().unwrap();
    let refused = engine_error(world.run(0, &Input::SendMail(mail(&stranger, "hello"))));
    assert_eq!(refused, EngineError::NotAContact(stranger.clone()));
    assert!(refused.to_string().contains("contact add eve@other.example"));
    // Where the server is, if nobody has said it, the shell looks up.
    let add = Input::AddContact { address: stranger, accept_new_key: false };
    let handled = world.clients[0].handle(&add, world.now).unwrap();
    assert_eq!(handled.outgoing[0].connection, Connection::Anonymous("other.example".into()));
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_nothing_is_queued() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    // What a shell does not seal as a blob must fit.
    let too_long = mail(&paul, &"a".repeat(54 * 1024));
    let refused = engine_error(world.run(0, &Input::SendMail(too_long)));
    assert!(matches!(refused, EngineError::Content(ContentError::MessageTooLarge { .. })), "{refused}");
    let attachment = |length| Attachment {
        name: "scan.png".into(),
        media_type: "image/png".into(),
        source: AttachmentSource::Inline(vec![0; length]),
    };
    let too_large = SendMail { attachments: vec![attachment(48 * 1024 + 1)], ..mail(&paul, "hello") };
    let refused = engine_error(world.run(0, &Input::SendMail(too_large)));
    assert!(refused.to_string().contains("\"scan.png\" has 49153 bytes"), "{refused}");
    let now = Time(world.now);
    let client = &mut world.clients[0];
    assert!(client.store.status(now, &mut client.rng).unwrap().outbox.is_empty());
    assert!(client.store.messages(now, &mut client.rng).unwrap().is_empty());
    let fits = SendMail { attachments: vec![attachment(48 * 1024)], ..mail(&paul, "hello") };
    world.send(0, fits);
    world.settle();
    let id = world.clients[1].received(now.0)[0].id;
    assert_eq!(world.detail(1, id).content.attachments[0].length(), 48 * 1024);
}

#[test]
fn a_repeat_sends_the_same_bytes_under_the_same_id_after_a_wait() {
    for code in [ErrorCode::QueueFull, ErrorCode::RateLimited, ErrorCode::StorageUnavailable] {
        let mut world = World::new(&["claire", "paul"]);
        world.server.refusals = vec![ErrorReply::new(code, "").retry_after(60_000)];
        let id = world.send(0, mail(&world.address(1), "hello"));
        assert_eq!(world.state(0, id), (RecipientState::Queued, Some(code.name().to_owned())));
        world.later(59_000);
        world.send_all(0);
        assert_eq!(world.server.submitted().len(), 1, "not before its time");
        world.later(2_000);
        world.send_all(0);
        let submitted = world.server.submitted();
        assert_eq!(submitted.len(), 2);
        assert_eq!(submitted[0], submitted[1]);
        assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    }
}

#[test]
fn a_lost_answer_does_not_send_twice() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "first"));
    world.later(1);
    let command = Input::SendMail(mail(&world.address(1), "second"));
    world.clients[0].handle(&command, world.now).unwrap();
    let handled = world.clients[0].handle(&tick(), world.now).unwrap();
    // The request arrives, the answer does not.
    world.exchange(0, &handled.outgoing[0], handled.generation);
    world.send_all(0);
    let submitted = world.server.submitted();
    assert_eq!(submitted.len(), 3);
    assert_eq!(submitted[1], submitted[2]);
    world.settle();
    assert_eq!(world.texts(1), ["first", "second"]);
    assert_eq!(world.clients[1].events.iter().filter(|event| **event == Event::Duplicate).count(), 0);
}

#[test]
fn stale_devices_are_asked_for_and_encrypted_to_anew_under_a_new_id() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "first"));
    world.server.refusals = vec![ErrorReply::new(ErrorCode::StaleDevices, "")];
    let fetches =
        |world: &World| world.server.log.iter().filter(|request| matches!(request, Request::FetchPrekeys(_))).count();
    let before = fetches(&world);
    let id = world.send(0, mail(&world.address(1), "second"));
    assert_eq!(fetches(&world), before + 1);
    let submitted = world.server.submitted();
    assert_ne!(submitted[1].id, submitted[2].id);
    assert_ne!(submitted[1].envelopes, submitted[2].envelopes);
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
    world.settle();
    assert_eq!(world.texts(1), ["first", "second"]);
}

#[test]
fn a_server_that_never_takes_it_makes_the_message_fail_in_time() {
    let mut world = World::new(&["claire", "paul"]);
    world.server.refusals = vec![ErrorReply::new(ErrorCode::Internal, ""); 10_000];
    let id = world.send(0, mail(&world.address(1), "hello"));
    let mut attempts = 0;
    while world.state(0, id).0 == RecipientState::Queued && attempts < 10_000 {
        world.later(RETRY_MAX_MS * 2);
        world.send_all(0);
        attempts += 1;
    }
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("expired".into())));
    assert!(attempts as u64 >= OUTBOX_TRIED_MS / (RETRY_MAX_MS * 2), "given up after {attempts}");
}

#[test]
fn a_server_that_cannot_be_reached_holds_up_its_own_mail_only() {
    let mut world = World::new(&["claire", "paul"]);
    let set = Input::SetServer { domain: "other.example".into(), endpoint: "other.example:4433".into() };
    world.run(0, &set).unwrap();
    // Contacts of the other domain, as if its server had answered before it went away.
    let eve: medipeps_core::Address = "eve@other.example".parse().unwrap();
    world.clients.push(super::world::Client::new_at(eve.clone(), 50, world.now));
    let creation = world.creation(2);
    world.run(2, &creation).unwrap();
    world.run(0, &Input::AddContact { address: eve.clone(), accept_new_key: false }).unwrap();
    for _ in 0..crate::limits::OUTBOX_BATCH_MAX + 1 {
        world.clients[0].handle(&Input::SendMail(mail(&eve, "for later")), world.now).unwrap();
        world.later(1);
    }
    let command = mail(&world.address(1), "now");
    world.clients[0].handle(&Input::SendMail(command), world.now).unwrap();
    let unreachable = std::collections::BTreeSet::from(["other.example".to_owned()]);
    world.run(0, &Input::Tick { unreachable }).unwrap();
    let submitted = world.server.submitted();
    assert_eq!(submitted.iter().map(|submit| submit.address.local()).collect::<Vec<_>>(), ["paul"]);
}

/// Every key, nonce and id of a step that was thrown away stays unused: the two runs have no bytes in common that are
/// random.
#[test]
fn a_failed_commit_is_run_again_with_a_fresh_seed() {
    let mut world = World::new(&["claire", "paul"]);
    let command = Input::SendMail(mail(&world.address(1), "hello"));
    world.clients[0].handle(&command, world.now).unwrap();
    let outgoing = world.clients[0].handle(&tick(), world.now).unwrap().outgoing;
    let fetch = outgoing.iter().find(|one| matches!(one.reply_to, Correlation::FetchPrekeys(_))).unwrap();
    let reply = world.exchange(0, fetch, 0).unwrap();

    let client = &mut world.clients[0];
    let mut recorder = Recorder { rng: chacha20::ChaCha20Rng::from_seed([99; 32]), drawn: Vec::new() };
    client.disk.fail_next_commit(CommitFault::Unwritten);
    let handled = client.store.handle(&reply, Time(world.now), &mut recorder).unwrap();
    let seeds: Vec<[u8; 32]> = recorder.drawn.iter().filter_map(|drawn| drawn.as_slice().try_into().ok()).collect();
    assert!(seeds.len() >= 2, "a seed for each run");
    assert_ne!(seeds[0], seeds[1]);

    // What the run that was thrown away would have sent, and what was sent.
    let mut before = World::new(&["claire", "paul"]);
    before.clients[0].handle(&command, before.now).unwrap();
    before.clients[0].handle(&tick(), before.now).unwrap();
    let steps = [seeds[0], seeds[1]].map(|seed| {
        let client = &mut before.clients[0];
        let mut transaction = client.store.store_mut().begin(before.now, &mut client.rng).unwrap();
        decide(&mut transaction, &reply, Time(before.now), &seed).unwrap()
    });
    let submits = [&steps[0].outgoing, &steps[1].outgoing].map(|outgoing| match &outgoing[0].send {
        crate::engine::Send::Request(Request::Submit(submit)) => submit.clone(),
        other => panic!("not a submission: {other:?}"),
    });
    assert_ne!(submits[0].id, submits[1].id);
    assert_ne!(submits[0].envelopes, submits[1].envelopes);
    // Nonce and hint, the X-Wing ciphertext with its ephemeral key: every piece of 16 bytes differs.
    let pieces = |index: usize| submits[index].envelopes[0].envelope[1..1200].windows(16).map(<[u8]>::to_vec);
    let first: std::collections::BTreeSet<_> = pieces(0).collect();
    assert!(pieces(1).all(|piece| !first.contains(&piece)));
    let sessions = [0, 1].map(|index: usize| {
        let patch = &steps[index].patch;
        let puts = patch.puts.iter().filter(|(key, _)| key.class == crate::engine::class::SESSION);
        puts.map(|(key, value)| (key.name.clone(), value.to_vec())).collect::<Vec<_>>()
    });
    assert_eq!((sessions[0].len(), sessions[1].len()), (1, 1));
    assert_ne!(sessions[0][0].0, sessions[1][0].0, "another ephemeral key makes another session id");

    let reply = world.exchange(0, &handled.outgoing[0], handled.generation).unwrap();
    world.run(0, &reply).unwrap();
    world.settle();
    assert_eq!(world.texts(1), ["hello"]);
}

#[test]
fn a_commit_that_was_written_and_reported_as_failed_is_not_run_twice() {
    let mut world = World::new(&["claire", "paul"]);
    world.clients[0].disk.fail_next_commit(CommitFault::Written);
    world.send(0, mail(&world.address(1), "hello"));
    let now = world.now;
    assert_eq!(world.clients[0].messages(now).len(), 1);
    world.settle();
    assert_eq!(world.texts(1), ["hello"]);
}

/// Notes what is drawn.
struct Recorder {
    rng: chacha20::ChaCha20Rng,
    drawn: Vec<Vec<u8>>,
}

impl rand_core::TryRng for Recorder {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.rng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.rng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.rng.try_fill_bytes(bytes)?;
        self.drawn.push(bytes.to_vec());
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Recorder {}
