//! What a person has blocked and muted: what it keeps away, what it leaves alone, and that all his devices know it.

use medipeps_core::kind::{
    BlockedAccount, Body, Chat, Conversation, MUTED_FOR_EVER, MessageId, ReceiptsWanted, SettingsError, Urgency,
};
use medipeps_core::wire::client_records::{GroupMessageState, GroupRoleRecord, RecipientState, SettingsRecord};

use super::world::{World, engine_error, mail};
use crate::engine::{
    EngineError, Event, GroupEvent, GroupId, GroupInput, Input, LocalId, SendMail, SendToGroup, Time, class, key,
};

const MEMBER: GroupRoleRecord = GroupRoleRecord::Member;

impl World {
    fn block(&mut self, number: usize, whom: usize, blocked: bool) {
        let address = self.address(whom);
        self.later(1);
        self.run(number, &Input::Block { address, blocked }).unwrap();
    }

    fn mute(&mut self, number: usize, conversation: Conversation, until: u64) {
        self.later(1);
        self.run(number, &Input::Mute { conversation, until }).unwrap();
    }

    pub(super) fn settings(&mut self, number: usize) -> medipeps_core::kind::Settings {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        client.store.settings(now, &mut client.rng).unwrap()
    }

    fn told(&self, number: usize, id: &LocalId) -> (usize, usize) {
        let count = |event: Event| self.clients[number].events.iter().filter(|one| **one == event).count();
        (count(Event::MessageReceived { id: *id }), count(Event::MutedMessageReceived { id: *id }))
    }

    fn group_events(&self, number: usize) -> (usize, usize) {
        let is = |event: &Event, muted: bool| match event {
            Event::Group { event: GroupEvent::Message { .. }, .. } => !muted,
            Event::Group { event: GroupEvent::MutedMessage { .. }, .. } => muted,
            _ => false,
        };
        let count = |muted| self.clients[number].events.iter().filter(|event| is(event, muted)).count();
        (count(false), count(true))
    }
}

/// Claire and Paul know each other.
fn two() -> World {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.run(0, &Input::AddContact { address: paul, accept_new_key: false }).unwrap();
    world.run(1, &Input::AddContact { address: claire, accept_new_key: false }).unwrap();
    world.settle();
    world
}

fn with_receipts(world: &World, text: &str) -> SendMail {
    let wanted = ReceiptsWanted { delivered: true, displayed: true, processed: false };
    SendMail { receipts_wanted: wanted, ..mail(&world.address(1), text) }
}

#[test]
fn blocked_mail_is_told_to_nobody_and_gets_no_receipts_and_is_there_when_it_is_unblocked() {
    let mut world = two();
    world.block(1, 0, true);
    let id = world.send(0, with_receipts(&world, "hello"));
    world.settle();
    assert_eq!(world.told(1, &id), (0, 0));
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    // Even if a person looks at it.
    world.run(1, &Input::MarkDisplayed(id)).unwrap();
    world.settle();
    assert_eq!(world.state(0, id), (RecipientState::Accepted, None));
    // Between devices all goes on: nothing is sent again for want of a confirmation.
    world.later(crate::limits::EMPTY_DELAY_MS);
    world.settle();
    let now = world.now;
    assert_eq!(world.clients[0].count(class::UNCONFIRMED, now), 0);
    world.block(1, 0, false);
    assert_eq!(world.texts(1), ["hello"]);
    let next = world.send(0, with_receipts(&world, "again"));
    world.settle();
    assert_eq!(world.told(1, &next), (1, 0));
    assert_eq!(world.state(0, next), (RecipientState::Delivered, None));
}

#[test]
fn nobody_blocks_himself_or_more_than_there_is_room_for() {
    let mut world = two();
    let own = world.address(0);
    let refused = engine_error(world.run(0, &Input::Block { address: own, blocked: true }));
    assert!(matches!(refused, EngineError::OwnAddress(_)));
    let mut full = SettingsRecord::default();
    for number in 0..medipeps_core::limits::BLOCKED_ACCOUNTS_MAX {
        let address = format!("account{number}@clinic.example").parse().unwrap();
        full.settings.block(&BlockedAccount { address, blocked: true, at: 1 }).unwrap();
    }
    let now = world.now;
    world.clients[0].put(&key::settings(), &full, now);
    let address = "one.more@clinic.example".parse().unwrap();
    let refused = engine_error(world.run(0, &Input::Block { address, blocked: true }));
    assert!(matches!(refused, EngineError::Settings(SettingsError::TooManyBlocked)));
}

#[test]
fn who_is_blocked_takes_nobody_into_a_group_and_in_one_his_words_do_not_ring() {
    let mut world = World::new(&["ana", "ben", "cleo"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.block(0, 1, true);
    let unwanted = world.create(1, "Join us", &[(0, MEMBER), (2, MEMBER)]);
    let known = |world: &mut World, number: usize, group: &GroupId| {
        let now = world.now;
        world.clients[number].get(&key::group(group), now).is_some()
    };
    assert!(!known(&mut world, 0, &unwanted) && known(&mut world, 2, &unwanted));
    let before = world.group_events(0);
    world.say(1, &group, "Can you hear me");
    world.rest();
    world.say(2, &group, "Good evening");
    world.rest();
    let after = world.group_events(0);
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    // The order is the log's for all, and what he changes is changed: that is folded away when it is shown, not
    // forgotten.
    let id = world.said(0, &group)[0].content.id;
    let edit = Body::Chat(Chat::Edit { message: id, text: "Can you hear me now".into() });
    let (in_reply_to, attachments, urgency) = (None, Vec::new(), Urgency::Routine);
    let command = SendToGroup {
        group,
        fallback_text: edit.fallback_text(),
        body: edit,
        in_reply_to,
        attachments,
        urgency,
        expires: None,
    };
    world.run(1, &Input::Group(GroupInput::Send(Box::new(command)))).unwrap();
    world.rest();
    let sequences = |world: &mut World, number| -> Vec<u64> {
        world.said(number, &group).iter().map(|message| message.message.sequence).collect()
    };
    assert_eq!(sequences(&mut world, 0), sequences(&mut world, 2));
    // And the group goes on with him: his commits are taken.
    let epoch = world.said(0, &group).last().unwrap().message.epoch;
    world.change(1, &group, medipeps_core::wire::client_records::GroupChangeKind::Update);
    world.rest();
    world.say(0, &group, "in the next epoch");
    world.rest();
    let last = world.said(1, &group).pop().unwrap().message;
    assert_eq!((last.state, last.epoch > epoch), (GroupMessageState::Logged, true));
}

#[test]
fn what_is_muted_comes_as_before_and_does_not_ring_until_its_time() {
    let mut world = two();
    let claire = world.address(0);
    let until = world.now + 3_600_000;
    world.mute(1, Conversation::Account(claire), until);
    let id = world.send(0, with_receipts(&world, "quietly"));
    world.settle();
    assert_eq!(world.told(1, &id), (0, 1));
    assert_eq!((world.texts(1), world.state(0, id).0), (vec!["quietly".to_owned()], RecipientState::Delivered));
    world.later(3_600_000);
    let id = world.send(0, with_receipts(&world, "aloud"));
    world.settle();
    assert_eq!(world.told(1, &id), (1, 0));
    // A thread alone; an answer in it does not ring, another mail does.
    world.mute(1, Conversation::Thread(MessageId(id)), MUTED_FOR_EVER);
    let answer = SendMail { in_reply_to: Some(id), ..with_receipts(&world, "in the thread") };
    let (answer, other) = (world.send(0, answer), world.send(0, with_receipts(&world, "another")));
    world.settle();
    assert_eq!((world.told(1, &answer), world.told(1, &other)), ((0, 1), (1, 0)));
}

#[test]
fn a_muted_group_does_not_ring() {
    let mut world = World::new(&["ana", "ben"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    world.mute(0, Conversation::Group(group), MUTED_FOR_EVER);
    world.say(1, &group, "hm");
    world.rest();
    assert_eq!(world.group_events(0), (0, 1));
    world.mute(0, Conversation::Group(group), 0);
    world.say(1, &group, "hello");
    world.rest();
    assert_eq!((world.group_events(0), world.texts_said(0, &group).len()), ((1, 1), 2));
}

#[test]
fn all_devices_of_the_account_know_it_a_new_one_too() {
    let mut world = two();
    let second = world.join_device(1);
    world.settle_in_step();
    let claire = world.address(0);
    world.block(1, 0, true);
    world.settle_in_step();
    assert!(world.settings(second).is_blocked(&claire));
    // The second says otherwise later, and mutes.
    world.block(second, 0, false);
    world.mute(second, Conversation::Account(claire.clone()), MUTED_FOR_EVER);
    world.mute(second, Conversation::Group([7; 32]), 5);
    world.settle_in_step();
    assert_eq!(world.settings(1), world.settings(second));
    assert!(!world.settings(1).is_blocked(&claire));
    let now = world.now;
    assert!(world.settings(1).is_muted(&Conversation::Account(claire), now));
    let third = world.join_device(1);
    world.settle_in_step();
    assert_eq!(world.settings(third), world.settings(1));
}
