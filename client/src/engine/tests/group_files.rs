//! Files in groups: one copy at the server for all members, and nothing said before it is there.

use medipeps_core::kind::{AttachmentPlace, Body, Chat, Content, Urgency};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupMessageState, GroupStanding};

use super::groups::{MEMBER, three};
use super::transfers::BLOB_KEPT_MS;
use super::world::{World, engine_error, tick};
use crate::engine::{
    Attachment, AttachmentSource, EngineError, Event, GroupEvent, GroupId, GroupInput, Input, SendToGroup, class,
};
use crate::limits::{BLOB_KEPT_MIN_MS, UPLOAD_TRIED_MS};

const MIB: usize = 1 << 20;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 % 251) as u8).collect()
}

fn said_with(group: GroupId, text: &str, attachments: Vec<Attachment>) -> Input {
    let text = text.to_owned();
    let send = SendToGroup {
        group,
        fallback_text: text.clone(),
        body: Body::Chat(Chat::Text { text }),
        in_reply_to: None,
        attachments,
        urgency: Urgency::Routine,
        expires: None,
    };
    Input::Group(GroupInput::Send(Box::new(send)))
}

impl World {
    /// Ana says something with a file of 5 MiB, which is not uploaded yet.
    fn say_with_file(&mut self, group: &GroupId) {
        let file = self.clients[0].attach("/film.mp4", &bytes(5 * MIB), 1);
        self.run(0, &said_with(*group, "see attached", vec![file])).unwrap();
    }

    fn own_state(&mut self, group: &GroupId) -> (GroupMessageState, Option<String>) {
        let message = self.said(0, group).pop().unwrap().message;
        (message.state, message.code)
    }

    fn uploads_left(&mut self) -> [usize; 3] {
        let now = self.now;
        [class::UPLOAD, class::UPLOAD_PART, class::GROUP_UPLOAD].map(|class| self.clients[0].count(class, now))
    }

    fn dropped_uploads(&self) -> usize {
        let dropped = self.clients[0].events.iter().filter_map(|event| match event {
            Event::UploadsDropped { uploads, .. } => Some(uploads.len()),
            _ => None,
        });
        dropped.sum()
    }
}

fn file_of(content: &Content) -> &AttachmentPlace {
    &content.attachments[0].place
}

#[test]
fn what_is_said_with_a_file_waits_until_the_one_copy_of_it_is_at_the_server() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say_with_file(&group);
    world.rest();
    assert_eq!(world.own_state(&group), (GroupMessageState::Queued, Some("uploading".into())));
    assert_eq!(world.texts_said(1, &group), Vec::<String>::new());
    world.say(0, &group, "the film follows");
    world.rest();
    world.upload_all(0);
    world.rest();
    assert_eq!(world.server.blobs.len(), 1, "one copy for all");
    for number in 0..3 {
        assert_eq!(world.texts_said(number, &group), ["the film follows", "see attached"], "{number}");
        let said = world.said(number, &group).pop().unwrap();
        let AttachmentPlace::Blob(blob) = file_of(&said.content) else { panic!("it is in the message") };
        assert!(world.blob(blob) == bytes(5 * MIB) && blob.expires >= world.now + BLOB_KEPT_MIN_MS);
    }
    assert_eq!(world.uploads_left(), [0, 0, 0]);
}

#[test]
fn a_small_file_goes_inside_and_one_that_nobody_may_send_is_refused_by_name() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    let file = |source| Attachment { name: "note.txt".into(), media_type: "text/plain".into(), source };
    let small = file(AttachmentSource::Inline(b"Potassium 6.1".to_vec()));
    world.run(0, &said_with(group, "", vec![small])).unwrap();
    world.rest();
    let said = world.said(1, &group).pop().unwrap();
    assert!(matches!(file_of(&said.content), AttachmentPlace::Inline(data) if data == b"Potassium 6.1"));
    let huge = file(AttachmentSource::File { path: b"/x".to_vec(), length: u64::MAX, modified: 1 });
    let refused = engine_error(world.run(0, &said_with(group, "", vec![huge])));
    assert!(matches!(refused, EngineError::AttachmentTooLarge { name, .. } if name == "note.txt"));
    let inside = file(AttachmentSource::Inline(bytes(60_000)));
    assert!(matches!(engine_error(world.run(0, &said_with(group, "", vec![inside]))), EngineError::Content(_)));
    assert_eq!((world.said(0, &group).len(), world.uploads_left()), (1, [0, 0, 0]), "nothing of it was queued");
}

#[test]
fn who_is_taken_out_before_his_file_is_there_has_said_nothing_and_uploads_nothing_more() {
    let mut world = three();
    let group = world.create(1, "Ward 3", &[(0, MEMBER), (2, MEMBER)]);
    world.say_with_file(&group);
    world.run(0, &tick()).unwrap();
    world.change(1, &group, GroupChangeKind::Remove(world.address(0)));
    world.rest();
    assert_eq!(world.group(0, &group).standing, GroupStanding::Removed);
    assert_eq!(world.own_state(&group), (GroupMessageState::Failed, Some("group_removed".into())));
    assert_eq!((world.uploads_left(), world.dropped_uploads()), ([0, 0, 0], 1));
    world.upload_all(0);
    world.rest();
    assert_eq!(world.texts_said(2, &group), Vec::<String>::new());
}

#[test]
fn a_file_that_changes_begins_anew_and_one_that_cannot_be_had_fails_what_was_said_with_it() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    world.say_with_file(&group);
    let now = world.now;
    let before = world.clients[0].uploads(now)[0].record.blob_id;
    world.clients[0].files.own.insert(b"/film.mp4".to_vec(), (bytes(6 * MIB), 2));
    let length = 6 * MIB as u64;
    world.run(0, &Input::UploadChanged { blob_id: before, length, modified: 2 }).unwrap();
    assert_ne!(world.clients[0].uploads(now)[0].record.blob_id, before);
    world.upload_all(0);
    world.rest();
    let said = world.said(1, &group).pop().unwrap();
    let AttachmentPlace::Blob(blob) = file_of(&said.content) else { panic!("it is in the message") };
    assert!(world.blob(blob) == bytes(6 * MIB));

    world.say_with_file(&group);
    let missing = world.clients[0].uploads(now)[0].record.blob_id;
    world.run(0, &Input::UploadFailed { blob_id: missing, code: "file_missing".into() }).unwrap();
    assert_eq!(world.own_state(&group), (GroupMessageState::Failed, Some("file_missing".into())));
    let told = |event: &Event| {
        matches!(event, Event::Group { event: GroupEvent::MessageState { state: GroupMessageState::Failed, .. }, .. })
    };
    assert!(world.clients[0].events.iter().any(told));
    // Nobody tries for ever, and what the server would drop too soon is not sent.
    world.say_with_file(&group);
    world.later(UPLOAD_TRIED_MS + 1);
    world.rest();
    assert_eq!(world.own_state(&group), (GroupMessageState::Failed, Some("upload_expired".into())));
    world.say_with_file(&group);
    let now = world.now;
    let late = world.clients[0].uploads(now).remove(0).record.blob_id;
    for part in 0..2 {
        world.run(0, &Input::UploadPart { blob_id: late, part, digest: [1; 32] }).unwrap();
    }
    world.run(0, &Input::UploadDone { blob_id: late, expires: now + BLOB_KEPT_MIN_MS - 1 }).unwrap();
    assert_eq!(world.own_state(&group), (GroupMessageState::Failed, Some("blob_kept_too_short".into())));
    assert!(BLOB_KEPT_MS > BLOB_KEPT_MIN_MS && world.uploads_left() == [0, 0, 0]);
}

#[test]
fn killed_between_any_two_steps_of_an_upload_it_is_said_once_with_its_file() {
    let mut stages = 0;
    for steps in 0..60 {
        let mut world = three();
        let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
        let file = world.clients[0].attach("/film.mp4", &bytes(5 * MIB), 1);
        let mut fuse = Some(steps);
        let send = said_with(group, "see attached", vec![file]);
        let killed = match world.run_until(0, &send, &mut fuse) {
            Ok(result) => {
                result.unwrap();
                world.upload_due(0, &mut fuse).is_err() || world.run_until(0, &tick(), &mut fuse).is_err()
            }
            Err(_) => true,
        };
        world.clients[0].restart();
        world.upload_all(0);
        world.rest();
        let queued = !world.said(0, &group).is_empty();
        assert_eq!(world.texts_said(1, &group).len(), usize::from(queued), "{steps}");
        assert!(queued || steps < 2, "{steps}");
        if let Some(said) = world.said(1, &group).pop() {
            let AttachmentPlace::Blob(blob) = file_of(&said.content) else { panic!("it is in the message") };
            assert!(world.blob(blob) == bytes(5 * MIB), "{steps}");
        }
        stages += 1;
        if !killed {
            assert!(stages > 5);
            return;
        }
    }
    panic!("the scenario has more steps");
}
