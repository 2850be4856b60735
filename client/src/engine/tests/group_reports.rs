//! Reports: an officer learns who said what in one message of a group, and nothing else.

use medipeps_core::kind::{Body, Chat, Report, Urgency};
use medipeps_core::wire::client_records::{GroupRoleRecord, RecipientState};

use super::world::{World, engine_error};
use crate::account_store::HandleError;
use crate::engine::{
    Attachment, AttachmentSource, EngineError, Event, GroupId, GroupInput, GroupProblem, Input, LocalId, ReportMessage,
    SealedCopy, SendToGroup, Time, key,
};

const ANA: usize = 0;
const BEN: usize = 1;
const OFFICER: usize = 2;

/// Ana and Ben are in a group; the officer is not, and has Ana as a contact.
fn ward() -> (World, GroupId) {
    let mut world = World::new(&["ana", "ben", "officer"]);
    world.publish_key_packages();
    let group = world.create(ANA, "Ward 3", &[(BEN, GroupRoleRecord::Member)]);
    let ana = world.address(ANA);
    world.run(OFFICER, &Input::AddContact { address: ana, accept_new_key: false }).unwrap();
    (world, group)
}

impl World {
    fn try_report(&mut self, group: GroupId, number: u64, copy: Option<SealedCopy>) -> Result<(), HandleError> {
        let (to, reason) = (self.address(OFFICER), "An insult\nin front of all".to_owned());
        let command = ReportMessage { group, number, to, reason, body_copy: copy };
        self.run(ANA, &Input::Group(GroupInput::Report(command)))
    }

    fn report(&mut self, group: GroupId, number: u64, copy: Option<SealedCopy>) -> LocalId {
        self.try_report(group, number, copy).unwrap();
        let queued = self.clients[ANA].events.iter().rev().find_map(|event| match event {
            Event::MessageQueued { id } => Some(*id),
            _ => None,
        });
        queued.unwrap()
    }

    fn number_of(&mut self, group: &GroupId, text: &str) -> u64 {
        let said = self.said(ANA, group);
        said.iter().find(|message| message.content.fallback_text == text).unwrap().number
    }

    fn reported(&mut self) -> Report {
        let now = self.now;
        let received = self.clients[OFFICER].received(now);
        assert_eq!(received.len(), 1);
        assert_eq!(
            (received[0].message.kind, received[0].message.subject.as_str()),
            (11, "Report: An insult in front of all")
        );
        match self.detail(OFFICER, received[0].id).content.body {
            Body::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_officer_learns_who_said_what_and_nothing_else_of_the_group() {
    let (mut world, group) = ward();
    for (number, text) in [(BEN, "Mrs Nessi is in bed 4"), (BEN, "You fool"), (ANA, "Please"), (BEN, "Bed 5 is free")] {
        world.say(number, &group, text);
        world.rest();
    }
    let number = world.number_of(&group, "You fool");
    let id = world.report(group, number, None);
    world.send_all(ANA);
    world.settle();
    assert_eq!(world.state(ANA, id).0, RecipientState::Delivered);
    let report = world.reported();
    let proven = report.verify().unwrap();
    assert_eq!(proven.content.fallback_text, "You fool");
    let device = world.device_id(BEN);
    assert_eq!((proven.sender.address, proven.device_id), (world.address(BEN), device));
    assert_eq!(report.log_id, group);
    let now = world.now;
    let kept = world.clients[ANA].get(&key::group_message(&group, number), now).unwrap();
    assert_eq!((proven.epoch, report.position.sequence), (kept.epoch, kept.sequence));
    // No other message is in it, nor a key of one, of the group or of the epoch.
    let bytes = Body::Report(report).encode().unwrap();
    for other in world.said(ANA, &group).into_iter().filter(|other| other.number != number) {
        let content = &other.message.content;
        assert!(!contains(&bytes, other.content.fallback_text.as_bytes()));
        assert!(!contains(&bytes, &other.message.proof.as_ref().unwrap().signature));
        assert!(!contains(&bytes, content));
    }
    assert!(contains(&bytes, &kept.content), "what is looked for is found where it is");
    assert!(contains(&bytes, &kept.proof.unwrap().signature), "what is looked for is found where it is");
    let seed = world.clients[ANA].get(&key::group_access(&group), now).unwrap();
    assert!(!contains(&bytes, &seed));
    assert!(!contains(&bytes, b"Ward 3"));
    // The group hears nothing of it.
    world.rest();
    assert_eq!(world.said(BEN, &group).len(), 4);
}

#[test]
fn a_sender_who_revokes_his_device_is_not_out_of_reach() {
    let (mut world, group) = ward();
    world.say(BEN, &group, "You fool");
    world.rest();
    // Ben is gone from the group, with his devices.
    let ben = world.address(BEN);
    world.change(ANA, &group, medipeps_core::wire::client_records::GroupChangeKind::Remove(ben));
    world.rest();
    world.report(group, 0, None);
    world.send_all(ANA);
    world.settle();
    assert_eq!(world.reported().verify().unwrap().sender.address, world.address(BEN));
}

#[test]
fn what_nobody_has_seen_or_this_device_cannot_prove_is_not_reported() {
    let (mut world, group) = ward();
    world.say(BEN, &group, "You fool");
    world.rest();
    let refused = |result| match engine_error(result) {
        EngineError::Group(problem) => problem,
        other => panic!("{other}"),
    };
    assert_eq!(refused(world.try_report(group, 7, None)), GroupProblem::UnknownMessage(7));
    assert_eq!(refused(world.try_report([9; 32], 0, None)), GroupProblem::Unknown);
    world.say(ANA, &group, "not sent yet");
    let queued = world.number_of(&group, "not sent yet");
    assert_eq!(refused(world.try_report(group, queued, None)), GroupProblem::NotInLog);
    let to_self = ReportMessage { group, number: 0, to: world.address(ANA), reason: String::new(), body_copy: None };
    let to_self = world.run(ANA, &Input::Group(GroupInput::Report(to_self)));
    assert!(matches!(engine_error(to_self), EngineError::OwnAddress(_)));
    // A record that was tampered with accuses nobody.
    let now = world.now;
    let mut kept = world.clients[ANA].get(&key::group_message(&group, 0), now).unwrap();
    let at = kept.content.windows(8).position(|window| window == b"You fool").unwrap();
    kept.content[at..at + 8].copy_from_slice(b"You liar");
    world.clients[ANA].put(&key::group_message(&group, 0), &kept, now);
    assert_eq!(refused(world.try_report(group, 0, None)), GroupProblem::NotProven);
}

#[test]
fn what_a_reporter_has_made_up_is_not_proven_to_the_officer() {
    let (mut world, group) = ward();
    world.say(BEN, &group, "You fool");
    world.rest();
    let id = world.report(group, 0, None);
    // Ana's client is not ours.
    let mut content = world.detail(ANA, id).content;
    let Body::Report(report) = &mut content.body else { panic!() };
    let at = report.content.windows(8).position(|window| window == b"You fool").unwrap();
    report.content[at..at + 8].copy_from_slice(b"You liar");
    let now = world.now;
    world.clients[ANA].put(&key::content(&id), &content.encode().unwrap(), now);
    world.send_all(ANA);
    world.settle();
    assert!(world.reported().verify().is_err());
}

#[test]
fn a_message_too_large_to_be_reported_inside_another_goes_as_a_blob() {
    let (mut world, group) = ward();
    let text = "You fool. ".repeat(1600);
    let source = AttachmentSource::Inline(vec![7; 22_900]);
    let file = Attachment { name: "photo.jpg".into(), media_type: "image/jpeg".into(), source };
    let send = SendToGroup {
        group,
        body: Body::Chat(Chat::Text { text: text.clone() }),
        fallback_text: text.clone(),
        in_reply_to: None,
        attachments: vec![file],
        urgency: Urgency::Routine,
        expires: None,
    };
    world.run(BEN, &Input::Group(GroupInput::Send(Box::new(send)))).unwrap();
    world.rest();
    // Without a blob it is refused by its size.
    assert!(matches!(engine_error(world.try_report(group, 0, None)), EngineError::Content(_)));
    let now = Time(world.now);
    let client = &mut world.clients[ANA];
    let report = client.store.group_report(&group, 0, "An insult\nin front of all", now, &mut client.rng).unwrap();
    let encoded = Body::Report(report).encode().unwrap();
    let copy = client.seal(&encoded);
    // A copy of something else is not taken.
    let other = client.seal(&encoded[1..]);
    assert!(matches!(engine_error(world.try_report(group, 0, Some(other))), EngineError::Source(_)));
    let id = world.report(group, 0, Some(copy));
    world.upload_all(ANA);
    world.send_all(ANA);
    world.settle();
    assert_eq!(world.state(ANA, id).0, RecipientState::Accepted);
    assert!(world.reported().verify().is_err(), "the short form proves nothing");
    assert!(world.fetch_bodies(OFFICER, &mut None).is_ok());
    let now = world.now;
    let local = world.clients[OFFICER].received(now)[0].id;
    let whole = world.whole(OFFICER, local).unwrap().content.body;
    let Body::Report(whole) = whole else { panic!("{whole:?}") };
    assert_eq!(whole.verify().unwrap().content.fallback_text, text);
    world.settle();
    assert_eq!(world.state(ANA, id).0, RecipientState::Delivered);
}
