//! An organisation's mailbox between engines: posted once whatever happens, claimed, answered, and nothing for who has left.

use medipeps_core::kind::{
    Body, GivenDeliveryKey, MailboxAct, MailboxAnswer, MailboxEvent, MailboxState, MessageId, Urgency,
};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord};

use super::world::{World, engine_error, mail, tick};
use crate::engine::{EngineError, GroupId, GroupInput, GroupProblem, Input, MailboxView, SendToGroup, Time, key};

/// The mailbox, two who take care of what comes, and somebody outside.
const NAMES: [&str; 4] = ["cardiology", "ben", "cleo", "dan"];
const MAILBOX: usize = 0;
const BEN: usize = 1;
const CLEO: usize = 2;
const DAN: usize = 3;

impl World {
    fn mailbox(&mut self, number: usize, group: &GroupId) -> MailboxView {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let _ = client.store.generation(now, &mut client.rng);
        client.store.mailbox(group, now, &mut client.rng).unwrap()
    }

    fn do_with(&mut self, number: usize, group: &GroupId, body: Body) {
        let fallback_text = body.fallback_text();
        let (attachments, in_reply_to, urgency) = (Vec::new(), None, Urgency::Routine);
        let command =
            SendToGroup { group: *group, body, fallback_text, in_reply_to, attachments, urgency, expires: None };
        self.run(number, &Input::Group(GroupInput::Send(Box::new(command)))).unwrap();
        self.rest();
    }

    fn act(&mut self, number: usize, group: &GroupId, message: MessageId, act: MailboxAct) {
        self.do_with(number, group, Body::MailboxEvent(MailboxEvent { message, act }));
    }
}

fn serving() -> (World, GroupId) {
    let mut world = World::new(&NAMES);
    world.publish_key_packages();
    let members = [(BEN, GroupRoleRecord::Member), (CLEO, GroupRoleRecord::Member)];
    let group = world.create(MAILBOX, "Cardiology", &members);
    world.run(MAILBOX, &Input::Group(GroupInput::Serve(Some(group)))).unwrap();
    world.rest();
    (world, group)
}

fn write(world: &mut World, text: &str) {
    let to = world.address(MAILBOX);
    world.send(DAN, mail(&to, text));
    world.send_all(DAN);
    world.rest();
}

fn texts(view: &MailboxView) -> Vec<String> {
    let mut mails: Vec<_> = view.mails.values().collect();
    mails.sort_by_key(|mail| mail.number);
    let text = |body: &Body| match body {
        Body::Mail(mail) => mail.text.clone(),
        other => panic!("{other:?}"),
    };
    mails.into_iter().map(|mail| text(&mail.content.as_ref().unwrap().body)).collect()
}

fn state(view: &MailboxView) -> MailboxState {
    view.mailbox.items().next().unwrap().1.state().clone()
}

#[test]
fn what_comes_is_seen_claimed_answered_and_traced() {
    let (mut world, group) = serving();
    write(&mut world, "an appointment, please");
    for member in [MAILBOX, BEN, CLEO] {
        let view = world.mailbox(member, &group);
        assert_eq!(texts(&view), ["an appointment, please"]);
        let item = view.mails.values().next().unwrap();
        assert_eq!((&item.sender, &item.posted_by), (&world.address(DAN), &world.address(MAILBOX)));
    }
    let message = *world.mailbox(BEN, &group).mails.keys().next().unwrap();
    world.act(BEN, &group, message, MailboxAct::Claimed);
    world.act(CLEO, &group, message, MailboxAct::Claimed);
    let held = |view: &MailboxView, by| matches!(state(view), MailboxState::Held { by: holder, .. } if holder == by);
    for member in [MAILBOX, BEN, CLEO] {
        let by = world.address(BEN);
        assert!(held(&world.mailbox(member, &group), by), "the first in the log has it, for everybody");
    }
    let answer = MailboxAnswer { message, text: "Tuesday at nine".to_owned() };
    world.do_with(BEN, &group, Body::MailboxAnswer(answer));
    world.settle();
    let received = world.clients[DAN].received(world.now);
    assert_eq!(received.len(), 1, "sent once");
    let detail = world.detail(DAN, received[0].id);
    assert_eq!(
        (&detail.message.sender, &detail.content.on_behalf_of),
        (&world.address(MAILBOX), &Some(world.address(BEN)))
    );
    assert!(detail.content.sender_name.contains("ben"), "{}", detail.content.sender_name);
    assert_eq!(detail.content.in_reply_to, Some(message));
    world.act(BEN, &group, message, MailboxAct::Done);
    let view = world.mailbox(CLEO, &group);
    assert!(matches!(state(&view), MailboxState::Done { .. }));
    assert_eq!(view.mailbox.trace_of(&world.address(BEN)).count(), 2);
    assert_eq!(view.mailbox.trace_of(&world.address(CLEO)).count(), 0, "what was refused is no trace");
    assert_eq!(view.mails[&message].answers, 1);
    world.rest();
    assert_eq!(world.clients[DAN].received(world.now).len(), 1, "and stays so");
}

/// The sender has given it to the mailbox's account, not to all who read there.
#[test]
fn a_senders_delivery_key_is_not_posted() {
    let (mut world, group) = serving();
    write(&mut world, "hello");
    let came = world.clients[MAILBOX].received(world.now)[0].id;
    let stored = {
        let client = &mut world.clients[MAILBOX];
        let transaction = client.store.store_mut().begin(world.now, &mut client.rng).unwrap();
        transaction.load(&[key::content(&came).record().clone()]).unwrap().remove(0).unwrap()
    };
    assert!(GivenDeliveryKey::beside(&stored).unwrap().is_some(), "it came with one");
    let said = world.said(BEN, &group);
    let posted = said.iter().find_map(|one| match &one.content.body {
        Body::MailboxArrival(arrival) => Some(&arrival.content),
        _ => None,
    });
    assert_eq!(GivenDeliveryKey::beside(posted.unwrap()), Ok(None));
}

#[test]
fn who_leaves_holds_nothing_and_reads_nothing_after() {
    let (mut world, group) = serving();
    write(&mut world, "before");
    let message = *world.mailbox(BEN, &group).mails.keys().next().unwrap();
    world.act(BEN, &group, message, MailboxAct::Claimed);
    let out = GroupChangeKind::Remove(world.address(BEN));
    world.change(MAILBOX, &group, out);
    world.rest();
    write(&mut world, "after");
    for member in [MAILBOX, CLEO] {
        let view = world.mailbox(member, &group);
        assert_eq!(texts(&view), ["before", "after"]);
        assert_eq!(*view.mailbox.item(&message).unwrap().state(), MailboxState::Unclaimed);
        assert_eq!(view.mailbox.item(&message).unwrap().trace().len(), 3);
    }
    assert_eq!(texts(&world.mailbox(BEN, &group)), ["before"]);
}

#[test]
fn a_mail_is_posted_once_wherever_the_mailbox_dies() {
    for steps in 0..12 {
        let (mut world, group) = serving();
        let to = world.address(MAILBOX);
        world.send(DAN, mail(&to, "once"));
        world.send_all(DAN);
        let mut fuse = Some(steps);
        let batch = world.pushed(MAILBOX);
        let deliver = Input::Deliveries { incarnation: world.server.incarnation, batch };
        let died =
            world.run_until(MAILBOX, &deliver, &mut fuse).and_then(|_| world.run_until(MAILBOX, &tick(), &mut fuse));
        if died.is_err() {
            world.clients[MAILBOX].restart();
        }
        world.rest();
        assert_eq!(texts(&world.mailbox(CLEO, &group)), ["once"], "died after {steps} steps: {}", died.is_err());
    }
}

#[test]
fn only_an_owner_posts_and_what_was_there_is_posted_when_it_begins() {
    let mut world = World::new(&NAMES);
    world.publish_key_packages();
    let group = world.create(BEN, "Cardiology", &[(MAILBOX, GroupRoleRecord::Member), (CLEO, GroupRoleRecord::Member)]);
    let refused = engine_error(world.run(MAILBOX, &Input::Group(GroupInput::Serve(Some(group)))));
    assert_eq!(refused, EngineError::Group(GroupProblem::NotOwner));
    write(&mut world, "early");
    let owner = GroupChangeKind::Role(world.address(MAILBOX), GroupRoleRecord::Owner);
    world.change(BEN, &group, owner);
    world.rest();
    for _ in 0..2 {
        world.run(MAILBOX, &Input::Group(GroupInput::Serve(Some(group)))).unwrap();
        world.rest();
    }
    assert_eq!(texts(&world.mailbox(CLEO, &group)), ["early"]);
    world.run(MAILBOX, &Input::Group(GroupInput::Serve(None))).unwrap();
    write(&mut world, "late");
    assert_eq!(texts(&world.mailbox(CLEO, &group)), ["early"]);
    // A member who posts as if something had come is not believed.
    let view = world.mailbox(MAILBOX, &group);
    let message = *view.mails.keys().next().unwrap();
    let forged = medipeps_core::kind::MailboxArrival {
        message: MessageId([9; 16]),
        sender: world.address(DAN),
        account_key: medipeps_core::crypto::signature::SigningKey::from_secret(&[1; 32].into()).verifying_key(),
        received: 1,
        part: 0,
        parts: 1,
        content: view.mails[&message].content.as_ref().unwrap().encode().unwrap().to_vec(),
    };
    world.do_with(CLEO, &group, Body::MailboxArrival(forged));
    assert_eq!(texts(&world.mailbox(BEN, &group)), ["early"]);
}
