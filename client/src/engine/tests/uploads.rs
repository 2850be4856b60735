//! A message leaves only when everything that it refers to is at the server, whole.

use std::collections::BTreeSet;

use medipeps_core::kind::{AttachmentPlace, Body};
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::Response;

use super::transfers::BLOB_KEPT_MS;
use super::world::{World, engine_error, mail};
use crate::engine::{
    Attachment, AttachmentSource, Connection, Correlation, EngineError, Event, Input, SendMail, Time, class,
};
use crate::limits::{BLOB_KEPT_MIN_MS, OUTBOX_TRIED_MS, UPLOAD_BEGUN_ANEW_MAX, UPLOAD_TRIED_MS};

const MIB: usize = 1 << 20;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 % 251) as u8).collect()
}

/// Claire, with a mail to Paul that has two files.
fn with_two_files() -> (World, [u8; 16]) {
    let mut world = World::new(&["claire", "paul"]);
    let command = mail(&world.address(1), "see attached");
    let client = &mut world.clients[0];
    let attachments =
        vec![client.attach("/scan.png", &bytes(100_000), 1), client.attach("/film.mp4", &bytes(5 * MIB), 1)];
    let id = world.queue(0, SendMail { attachments, ..command });
    (world, id)
}

fn count(world: &mut World, class: crate::store::RecordClass) -> usize {
    let client = &mut world.clients[0];
    client.store.store_mut().begin(world.now, &mut client.rng).unwrap().scan(class).unwrap().len()
}

fn outbox(world: &mut World) -> usize {
    count(world, class::OUTBOX)
}

fn input_for(world: &mut World, index: usize) -> [u8; 32] {
    let now = world.now;
    world.clients[0].uploads(now)[index].record.blob_id
}

fn dropped(world: &World) -> Vec<usize> {
    let dropped = world.clients[0].events.iter().filter_map(|event| match event {
        Event::UploadsDropped { uploads, .. } => Some(uploads.len()),
        _ => None,
    });
    dropped.collect()
}

#[test]
fn a_message_with_two_uploads_leaves_only_when_both_are_done() {
    let (mut world, id) = with_two_files();
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("uploading".into())));
    world.send_all(0);
    let now = world.now;
    let first = world.clients[0].uploads(now).remove(0);
    assert!(world.upload_one(0, &first, &mut None).is_ok());
    world.send_all(0);
    assert_eq!((outbox(&mut world), world.server.submitted().len()), (0, 0));
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("uploading".into())));
    world.upload_all(0);
    assert_eq!((outbox(&mut world), world.state(0, id)), (1, (RecipientState::Queued, None)));
    world.send_all(0);
    world.settle();
    let content = world.detail(1, id).content;
    let blobs = content.attachments.iter().map(|attachment| match &attachment.place {
        AttachmentPlace::Blob(blob) => (world.blob(blob), blob.expires),
        AttachmentPlace::Inline(_) => panic!("it is in the message"),
    });
    let now = world.now;
    let blobs: Vec<_> = blobs.collect();
    assert_eq!((&blobs[0].0, &blobs[1].0), (&bytes(100_000), &bytes(5 * MIB)));
    assert!(blobs.iter().all(|(_, expires)| *expires >= now + BLOB_KEPT_MIN_MS));
    assert_eq!((count(&mut world, class::UPLOAD), count(&mut world, class::UPLOAD_PART)), (0, 0));
}

#[test]
fn an_upload_that_is_done_twice_or_under_an_old_id_changes_nothing() {
    let (mut world, id) = with_two_files();
    let now = world.now;
    let before = input_for(&mut world, 0);
    let expires = now + BLOB_KEPT_MS;
    let changed = Input::UploadChanged { blob_id: before, length: 200_000, modified: 2 };
    world.run(0, &changed).unwrap();
    world.run(0, &changed).unwrap();
    assert_ne!(input_for(&mut world, 0), before);
    let events = world.clients[0].events.len();
    world.run(0, &Input::UploadDone { blob_id: before, expires }).unwrap();
    world.run(0, &Input::UploadFailed { blob_id: before, code: "file_missing".into() }).unwrap();
    world.run(0, &Input::UploadPostponed { blob_id: before, code: "Internal".into(), retry_after: 0 }).unwrap();
    assert_eq!(world.clients[0].events.len(), events);
    let part = Input::UploadPart { blob_id: before, part: 0, digest: [0; 32] };
    assert_eq!(engine_error(world.run(0, &part)), EngineError::UnknownUpload);
    world.clients[0].files.own.insert(b"/scan.png".to_vec(), (bytes(200_000), 2));
    let now = world.now;
    let first = world.clients[0].uploads(now).remove(0);
    assert!(world.upload_one(0, &first, &mut None).is_ok());
    assert!(world.upload_one(0, &first, &mut None).is_ok(), "another process was slower");
    assert_eq!(outbox(&mut world), 0);
    world.upload_all(0);
    world.run(0, &Input::UploadDone { blob_id: first.record.blob_id, expires }).unwrap();
    assert_eq!(outbox(&mut world), 1);
    assert_eq!(world.state(0, id), (RecipientState::Queued, None));
}

#[test]
fn a_part_that_reads_otherwise_begins_anew_with_another_id_key_and_secret() {
    let (mut world, id) = with_two_files();
    let now = world.now;
    let before = world.clients[0].uploads(now).remove(1).record;
    let part = |part, digest| Input::UploadPart { blob_id: before.blob_id, part, digest };
    world.run(0, &part(0, [1; 32])).unwrap();
    world.run(0, &part(0, [1; 32])).unwrap();
    assert_eq!(engine_error(world.run(0, &part(0, [2; 32]))), EngineError::PartChanged { part: 0 });
    assert_eq!(engine_error(world.run(0, &part(2, [2; 32]))), EngineError::UploadPart { part: 2 });
    let early = Input::UploadDone { blob_id: before.blob_id, expires: now + BLOB_KEPT_MS };
    assert_eq!(engine_error(world.run(0, &early)), EngineError::UploadPart { part: 1 });
    let length = before.length;
    world.run(0, &Input::UploadChanged { blob_id: before.blob_id, length, modified: 9 }).unwrap();
    let uploads = world.clients[0].uploads(now);
    let anew = uploads.iter().find(|upload| upload.record.role == before.role).unwrap();
    let after = &anew.record;
    assert_ne!(after.blob_id, before.blob_id);
    assert_ne!(after.upload_secret, before.upload_secret);
    assert_ne!(after.key, before.key);
    assert_eq!((after.begun_anew, after.created, anew.digests.as_slice()), (1, before.created, [None; 2].as_slice()));
    let AttachmentPlace::Blob(blob) = &world.detail(0, id).content.attachments[1].place else { panic!("inline") };
    assert_eq!((blob.id, &blob.key), (after.blob_id, &after.key));
    assert_eq!(count(&mut world, class::UPLOAD_PART), 0);
    assert!(world.clients[0].events.contains(&Event::UploadBegunAnew { id, role: before.role }));
}

#[test]
fn a_file_that_never_rests_fails_the_message() {
    let (mut world, id) = with_two_files();
    for round in 0..=u64::from(UPLOAD_BEGUN_ANEW_MAX) {
        assert_eq!(world.state(0, id).0, RecipientState::Queued, "round {round}");
        let now = world.now;
        let uploads = world.clients[0].uploads(now);
        let film = uploads.iter().find(|upload| upload.record.length > 1_000_000).unwrap();
        let input = Input::UploadChanged { blob_id: film.record.blob_id, length: 2_000_000 + round, modified: round };
        world.run(0, &input).unwrap();
    }
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("file_changed".into())));
    assert_eq!(dropped(&world), [2]);
}

#[test]
fn a_file_that_has_grown_over_the_limit_fails_the_message() {
    let (mut world, id) = with_two_files();
    let blob_id = input_for(&mut world, 0);
    world.run(0, &Input::UploadChanged { blob_id, length: (16 << 30) + 1, modified: 2 }).unwrap();
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("file_too_large".into())));
}

#[test]
fn a_failed_upload_fails_all_recipients_and_removes_everything() {
    let mut world = World::new(&["claire", "paul", "zoe"]);
    let (claire, paul, zoe) = (world.address(0), world.address(1), world.address(2));
    let client = &mut world.clients[0];
    let attachments = vec![
        client.attach("/a", &bytes(5 * MIB), 1),
        client.attach("/b", &bytes(10), 1),
        client.attach("/c", &bytes(60_000), 1),
    ];
    let command = SendMail { cc: vec![zoe, claire], attachments, ..mail(&paul, &"long ".repeat(20_000)) };
    let id = world.queue(0, command);
    let now = world.now;
    let uploads = world.clients[0].uploads(now);
    assert_eq!(uploads.len(), 4);
    // One is done, one has begun, and then a file is gone.
    assert!(world.upload_one(0, &uploads[0], &mut None).is_ok());
    let blob_id = uploads[1].record.blob_id;
    world.run(0, &Input::UploadPart { blob_id, part: 0, digest: [1; 32] }).unwrap();
    world.clients[0].files.own.remove(b"/b".as_slice());
    world.upload_all(0);
    let recipients = world.message(0, id).recipients;
    let failed = (RecipientState::Failed, Some("file_missing".to_owned()));
    assert_eq!((recipients[0].state, recipients[0].code.clone()), failed);
    assert_eq!((recipients[1].state, recipients[1].code.clone()), failed);
    assert_eq!(recipients[2].state, RecipientState::Delivered, "the copy to oneself is here");
    assert_eq!(dropped(&world), [4], "the finished one too, to be deleted at the server");
    let left = [class::UPLOAD, class::UPLOAD_PART, class::OUTBOX].map(|class| count(&mut world, class));
    assert_eq!(left, [0, 0, 0]);
    assert_eq!(world.whole_text(0, id), Some("long ".repeat(20_000)), "what was written can be read");
    world.send_all(0);
    assert!(world.server.submitted().is_empty());
}

#[test]
fn a_recipient_whose_key_changes_while_uploading_gets_nothing_until_a_person_decides() {
    let (mut world, id) = with_two_files();
    let paul = world.address(1);
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: false }).unwrap();
    world.server.accounts.remove(&paul);
    let other = world.join("paul");
    world.run(0, &Input::AddContact { address: paul.clone(), accept_new_key: false }).unwrap();
    world.upload_all(0);
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("recipient_key_changed".into())));
    assert!(world.server.submitted().is_empty());
    world.run(0, &Input::AddContact { address: paul, accept_new_key: true }).unwrap();
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    world.receive(other);
    assert_eq!(world.texts(other), ["see attached"]);
}

#[test]
fn the_outbox_counts_its_days_from_the_end_of_the_uploads() {
    let (mut world, id) = with_two_files();
    world.later(UPLOAD_TRIED_MS - 1000);
    world.upload_all(0);
    let unreachable = BTreeSet::from(["clinic.example".to_owned()]);
    world.later(OUTBOX_TRIED_MS - 1000);
    world.run(0, &Input::Tick { unreachable }).unwrap();
    assert_eq!(world.state(0, id), (RecipientState::Queued, None));
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
}

#[test]
fn a_server_that_never_takes_the_blob_makes_the_message_fail_in_time() {
    let (mut world, id) = with_two_files();
    let blob_id = input_for(&mut world, 0);
    let postponed = Input::UploadPostponed { blob_id, code: "BlobStoreFull".into(), retry_after: 60_000 };
    world.run(0, &postponed).unwrap();
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("BlobStoreFull".into())));
    let now = world.now;
    let record = world.clients[0].uploads(now).remove(0).record;
    assert!(record.attempts == 1 && record.next_attempt >= now + 60_000);
    // Progress clears the code.
    let part = Input::UploadPart { blob_id, part: 0, digest: [1; 32] };
    world.run(0, &part).unwrap();
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("uploading".into())));
    world.later(UPLOAD_TRIED_MS);
    world.send_all(0);
    assert_eq!(world.state(0, id).0, RecipientState::Queued, "not before its time");
    world.later(1);
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("upload_expired".into())));
    assert_eq!(dropped(&world), [2]);
}

#[test]
fn a_server_that_keeps_blobs_too_short_fails_the_message() {
    let (mut world, id) = with_two_files();
    let blob_id = input_for(&mut world, 0);
    world.run(0, &Input::UploadPart { blob_id, part: 0, digest: [1; 32] }).unwrap();
    let expires = world.now + BLOB_KEPT_MIN_MS - 1;
    world.run(0, &Input::UploadDone { blob_id, expires }).unwrap();
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("blob_kept_too_short".into())));
}

/// An old copy of the store may have sealed other bytes under its keys since.
#[test]
fn an_old_copy_of_the_store_uploads_nothing_more() {
    let (mut world, id) = with_two_files();
    let blob_id = input_for(&mut world, 0);
    world.run(0, &Input::UploadPart { blob_id, part: 0, digest: [1; 32] }).unwrap();
    world.run(0, &Input::Authenticated { highest_generation: 1_000_000, statement_version: 1 }).unwrap();
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("state_rolled_back".into())));
    let left = [class::UPLOAD, class::UPLOAD_PART].map(|class| count(&mut world, class));
    assert_eq!((left, dropped(&world)), ([0, 0], vec![2]));
    let part = Input::UploadPart { blob_id, part: 0, digest: [1; 32] };
    assert_eq!(engine_error(world.run(0, &part)), EngineError::UnknownUpload);
}

#[test]
fn a_description_that_cannot_be_right_is_refused_and_nothing_is_queued() {
    let mut world = World::new(&["claire", "paul"]);
    let paul = world.address(1);
    let copy = world.clients[0].seal(&bytes(1000));
    let other_body = world.clients[0].seal(&mail(&paul, "other").body().unwrap().encode().unwrap());
    let attach = |source| Attachment { name: "a".into(), media_type: "b".into(), source };
    let with = |attachments| SendMail { attachments, ..mail(&paul, "hello") };
    let short = crate::engine::SealedCopy { digests: Vec::new(), ..copy.clone() };
    let twice = vec![attach(AttachmentSource::SealedCopy(copy.clone())), attach(AttachmentSource::SealedCopy(copy))];
    let no_path = AttachmentSource::File { path: Vec::new(), length: 1, modified: 1 };
    for (command, why) in [
        (with(vec![attach(AttachmentSource::SealedCopy(short))]), "digests"),
        (with(twice), "one id"),
        (with(vec![attach(no_path)]), "no path"),
        (SendMail { body_copy: Some(other_body), ..mail(&paul, "hello") }, "not this message's body"),
    ] {
        let refused = engine_error(world.run(0, &Input::SendMail(command)));
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let huge = AttachmentSource::File { path: b"/a".to_vec(), length: (16 << 30) + 1, modified: 1 };
    let refused = engine_error(world.run(0, &Input::SendMail(with(vec![attach(huge)]))));
    assert!(matches!(refused, EngineError::AttachmentTooLarge { .. }), "{refused}");
    let small = || attach(AttachmentSource::File { path: b"/a".to_vec(), length: 1, modified: 1 });
    let refused = engine_error(world.run(0, &Input::SendMail(with((0..65).map(|_| small()).collect()))));
    assert!(refused.to_string().contains("at most 64"), "{refused}");
    let now = Time(world.now);
    let client = &mut world.clients[0];
    assert!(client.store.messages(now, &mut client.rng).unwrap().is_empty());
    let left = [class::UPLOAD, class::UPLOAD_PART, class::CONTENT].map(|class| count(&mut world, class));
    assert_eq!(left, [0, 0, 0]);
}

#[test]
fn a_body_that_no_envelope_holds_goes_as_a_blob() {
    for length in [54 << 10, 60_000, 64 << 10, 300_000] {
        let mut world = World::new(&["claire", "paul"]);
        let text = "é".repeat(length / 2);
        let id = world.queue(0, mail(&world.address(1), &text));
        assert_eq!(world.clients[0].files.sealed.len(), 1, "{length}");
        assert!(matches!(&world.detail(0, id).content.body, Body::Mail(mail) if mail.text.is_empty()));
        assert_eq!(world.whole_text(0, id).as_ref(), Some(&text), "the sender reads his own");
        world.upload_all(0);
        world.send_all(0);
        world.settle();
        assert!(world.fetch_bodies(1, &mut None).is_ok());
        assert_eq!(world.whole_text(1, id), Some(text), "{length}");
    }
}

#[test]
fn the_blobs_of_an_account_go_when_it_ends_and_nobody_elses() {
    let (mut world, _) = with_two_files();
    world.upload_all(0);
    world.send_all(0);
    world.settle();
    let (to, attached) = (world.address(0), world.clients[1].attach("/answer.png", &bytes(100_000), 1));
    world.queue(1, SendMail { attachments: vec![attached], ..mail(&to, "answer") });
    world.upload_all(1);
    world.send_all(1);
    world.settle();
    let blobs = |world: &World| world.server.blobs.len();
    assert_eq!((blobs(&world), count(&mut world, class::OWN_BLOB)), (3, 2));
    // What has run out is not remembered.
    world.later(2 * BLOB_KEPT_MS);
    let command = mail(&world.address(1), "later");
    let attachments = vec![world.clients[0].attach("/late.png", &bytes(100_000), 1)];
    world.queue(0, SendMail { attachments, ..command });
    world.upload_all(0);
    world.send_all(0);
    assert_eq!((blobs(&world), count(&mut world, class::OWN_BLOB)), (4, 1));
    // One that is not complete goes too.
    let command = mail(&world.address(1), "never sent");
    let attachments = vec![world.clients[0].attach("/begun.png", &bytes(100_000), 1)];
    world.queue(0, SendMail { attachments, ..command });
    let gone = Input::Reply { to: Correlation::DeleteAccount, result: Ok(Response::Done) };
    let deletions = world.clients[0].handle(&gone, world.now).unwrap().outgoing;
    assert_eq!(deletions.len(), 2);
    for outgoing in deletions {
        assert!(matches!(&outgoing.connection, Connection::Anonymous(_)), "whose they are is not told");
        let answer = world.exchange(0, &outgoing, 0).unwrap();
        world.run(0, &answer).unwrap();
    }
    assert_eq!((blobs(&world), count(&mut world, class::OWN_BLOB)), (3, 0));
}
