//! Bodies that come as blobs: nobody is told that a message is here before all of it is.

use medipeps_core::attachment::BlobReference;
use medipeps_core::kind::ReceiptsWanted;
use medipeps_core::wire::client_records::{RecipientState, SenderCheck};

use super::world::{World, mail};
use crate::engine::{Event, Input, LocalId, SendMail, Time, class, key};
use crate::limits::BODY_FETCH_TRIED_MS;
use crate::store::Patch;

/// Paul has a long mail from Claire, and not its body.
fn with_a_long_mail() -> (World, LocalId) {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.run(1, &Input::AddContact { address: claire, accept_new_key: false }).unwrap();
    let wanted = ReceiptsWanted { delivered: true, displayed: true, processed: false };
    let id = world.queue(0, SendMail { receipts_wanted: wanted, ..mail(&paul, &long()) });
    world.upload_all(0);
    world.send_all(0);
    world.settle();
    (world, id)
}

fn long() -> String {
    "number and text ".repeat(10_000)
}

fn due(world: &mut World) -> Vec<(LocalId, BlobReference)> {
    let client = &mut world.clients[1];
    let fetches = client.store.body_fetches(Time(world.now), &mut client.rng).unwrap();
    fetches.into_iter().map(|(id, record)| (id, record.blob)).collect()
}

fn outbox(world: &mut World) -> usize {
    let client = &mut world.clients[1];
    client.store.store_mut().begin(world.now, &mut client.rng).unwrap().scan(class::OUTBOX).unwrap().len()
}

/// Puts another body in place of the one at the server, under the same reference: what a hostile sender can do.
fn send_with_another_body(world: &mut World, subject: &str) -> LocalId {
    let other = SendMail { subject: subject.to_owned(), ..mail(&world.address(1), &long()) };
    let copy = world.clients[0].seal(&other.body().unwrap().encode().unwrap());
    let id = world.queue(0, mail(&world.address(1), &long()));
    world.upload_all(0);
    // The content that waits gets a reference to the other body.
    let mut content = world.detail(0, id).content;
    let blob = content.body_blob.as_mut().unwrap();
    let root = medipeps_core::attachment::root(copy.length, &copy.digests);
    (blob.id, blob.key, blob.length, blob.root) = (copy.blob_id, copy.key.clone(), copy.length, root);
    let sealed = world.clients[0].files.sealed[copy.blob_id.as_slice()].clone();
    let parts = std::collections::BTreeMap::from([(0, sealed)]);
    let expires = blob.expires;
    world.server.blobs.insert(copy.blob_id, super::transfers::Blob { upload_secret: [0; 16], parts, expires });
    store_content(world, id, &content);
    world.send_all(0);
    world.settle();
    id
}

fn store_content(world: &mut World, id: LocalId, content: &medipeps_core::kind::Content) {
    let client = &mut world.clients[0];
    let transaction = client.store.store_mut().begin(world.now, &mut client.rng).unwrap();
    let mut patch = Patch::default();
    patch.put(key::content(&id).record().clone(), content.encode().unwrap());
    transaction.commit(&patch, &mut client.rng).unwrap();
}

#[test]
fn receipts_are_due_only_when_the_body_is_here() {
    let (mut world, id) = with_a_long_mail();
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    let detail = world.detail(1, id);
    assert!(detail.missing_body.is_some());
    assert_eq!(detail.message.subject, format!("About {}", &long()[..40]));
    // Nobody has seen what is not here.
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    assert_eq!((world.message(1, id).displayed, outbox(&mut world)), (0, 0));
    assert!(world.fetch_bodies(1, &mut None).is_ok());
    assert!(world.clients[1].events.contains(&Event::BodyFetched { id }));
    assert_eq!((world.whole_text(1, id), outbox(&mut world)), (Some(long()), 1));
    world.run(1, &Input::BodyStored { id }).unwrap();
    assert_eq!(outbox(&mut world), 1, "once");
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Delivered, None));
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Displayed, None));
}

#[test]
fn a_body_that_can_never_be_fetched_is_marked_and_asked_for_no_more() {
    let (mut world, id) = with_a_long_mail();
    world.run(1, &Input::BodyFailed { id, code: "UnknownBlob".into() }).unwrap();
    assert!(world.clients[1].events.contains(&Event::BodyFailed { id, code: "UnknownBlob".into() }));
    assert!(due(&mut world).is_empty());
    let missing = world.detail(1, id).missing_body.unwrap();
    assert_eq!(missing.failed.as_deref(), Some("UnknownBlob"));
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    assert_ne!(world.message(1, id).displayed, 0, "it does not stay unread for ever");
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None), "and nobody is told that it is here");
}

#[test]
fn a_body_that_does_not_come_is_tried_later_and_not_for_ever() {
    let (mut world, id) = with_a_long_mail();
    let blobs = std::mem::take(&mut world.server.blobs);
    assert!(world.fetch_bodies(1, &mut None).is_ok());
    let missing = world.detail(1, id).missing_body.unwrap();
    assert_eq!((missing.attempts, missing.code.as_deref()), (1, Some("UnknownBlob")));
    assert!(missing.next_attempt > world.now && missing.failed.is_none());
    let blob = due(&mut world).remove(0).1;
    // A sender who promises for ever does not make a device try for ever.
    world.later(BODY_FETCH_TRIED_MS + 1);
    let postponed = Input::BodyPostponed { id, code: "UnknownBlob".into(), retry_after: 0 };
    world.run(1, &postponed).unwrap();
    assert_eq!(world.detail(1, id).missing_body.unwrap().failed.as_deref(), Some("blob_expired"));
    // A person who asks again, and finds it after all, has the whole message.
    world.server.blobs = blobs;
    assert!(world.fetch_body(1, id, &blob, &mut None).is_ok());
    assert_eq!(world.whole_text(1, id), Some(long()));
}

#[test]
fn a_body_blob_whose_short_body_differs_is_refused() {
    let mut world = World::new(&["claire", "paul"]);
    let claire = world.address(0);
    world.run(1, &Input::AddContact { address: claire, accept_new_key: false }).unwrap();
    let id = send_with_another_body(&mut world, "quite another subject");
    assert!(world.fetch_bodies(1, &mut None).is_ok());
    let missing = world.detail(1, id).missing_body.unwrap();
    assert_eq!(missing.failed.as_deref(), Some("body_mismatch"));
    assert!(world.clients[1].files.sealed.is_empty());
    // The way of the test is the way of a message: the same subject is taken.
    let subject = mail(&world.address(1), &long()).subject;
    let id = send_with_another_body(&mut world, &subject);
    assert!(world.fetch_bodies(1, &mut None).is_ok());
    assert_eq!(world.whole_text(1, id), Some(long()));
}

#[test]
fn a_blob_of_another_domain_than_the_sender_s_is_not_fetched() {
    let mut world = World::new(&["claire", "paul"]);
    let claire = world.address(0);
    world.run(1, &Input::AddContact { address: claire, accept_new_key: false }).unwrap();
    let id = world.queue(0, mail(&world.address(1), &long()));
    world.upload_all(0);
    let mut content = world.detail(0, id).content;
    content.body_blob.as_mut().unwrap().domain = "tracker.example".into();
    store_content(&mut world, id, &content);
    world.send_all(0);
    world.settle();
    assert!(due(&mut world).is_empty());
    let detail = world.detail(1, id);
    assert_eq!(detail.check_domain("tracker.example"), Err("blob_domain"));
    assert_eq!(detail.check_domain("clinic.example"), Ok(()));
    assert_eq!(detail.missing_body.unwrap().failed.as_deref(), Some("blob_domain"));
}

#[test]
fn bodies_of_unchecked_senders_are_left_until_they_are_checked() {
    let mut world = World::new(&["claire", "paul"]);
    let wanted = ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() };
    let command = SendMail { receipts_wanted: wanted, ..mail(&world.address(1), &long()) };
    let id = world.queue(0, command);
    world.upload_all(0);
    world.send_all(0);
    let batch = world.pushed(1);
    world.deliver(1, batch);
    assert_eq!(world.message(1, id).sender_check, SenderCheck::Unchecked);
    assert!(due(&mut world).is_empty());
    world.send_all(1);
    assert_eq!(world.message(1, id).sender_check, SenderCheck::Checked);
    assert_eq!((due(&mut world).len(), outbox(&mut world)), (1, 0), "checked, and still not here");
    assert!(world.fetch_bodies(1, &mut None).is_ok());
    assert_eq!(outbox(&mut world), 1, "now the receipt is due");
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Delivered, None));
}

/// Two senders may name one blob id; the body of one must not take the place of the other's.
#[test]
fn bodies_that_came_lie_under_the_message_s_own_id() {
    let (mut world, id) = with_a_long_mail();
    assert!(world.fetch_bodies(1, &mut None).is_ok());
    assert_eq!(world.clients[1].files.sealed.keys().collect::<Vec<_>>(), [&id.to_vec()]);
    let blob_id = world.detail(0, id).content.body_blob.unwrap().id;
    assert_eq!(world.detail(0, id).body_copy_name(), Some(blob_id.to_vec()));
}
