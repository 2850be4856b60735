//! Groups between engines: making one, saying things, races, leaving, being taken out, large invitations, crashes.

use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::kind::{Body, Chat, Content, MessageId, ReceiptsWanted, Urgency};
use medipeps_core::wire::client_records::{
    GroupChangeKind, GroupMessageState, GroupRecord, GroupRoleRecord, GroupStanding, OutboxRecord,
};
use medipeps_core::wire::transport::{GroupLogEntry, Request};
use rand_core::SeedableRng;

use super::world::{Fuse, Killed, World, engine_error, tick};
use crate::engine::{
    CreateGroup, EngineError, Event, GroupChange, GroupEvent, GroupId, GroupInput, GroupMessage, GroupProblem, Input,
    SendToGroup, Time, class, key,
};

impl World {
    /// Every device publishes its key packages, as it does when it first proves itself.
    pub(super) fn publish_key_packages(&mut self) {
        for number in 0..self.clients.len() {
            self.connect(number);
        }
    }

    pub(super) fn create(&mut self, number: usize, name: &str, members: &[(usize, GroupRoleRecord)]) -> GroupId {
        let members = members.iter().map(|(member, role)| (self.address(*member), *role)).collect();
        let (name, description) = (name.to_owned(), "Night shift".to_owned());
        let command = CreateGroup { name, description, members, retention_days: 0, organisation: None };
        self.run(number, &Input::Group(GroupInput::Create(command))).unwrap();
        let group = self.clients[number].events.iter().rev().find_map(|event| match event {
            Event::Group { group, event: GroupEvent::Prepared } => Some(*group),
            _ => None,
        });
        self.rest();
        group.unwrap()
    }

    /// Everybody reads, sends and fetches, until nothing moves; time goes on.
    pub(super) fn rest(&mut self) {
        let mut quiet = 0;
        for _ in 0..400 {
            let before = self.server.activity();
            for number in 0..self.clients.len() {
                self.later(50);
                self.catch_up(number);
            }
            quiet = if self.server.activity() == before { quiet + 1 } else { 0 };
            if quiet > 2 && !self.is_waiting() {
                return;
            }
            self.later(2_000);
        }
        panic!("the groups do not come to rest");
    }

    /// One fetches, reads and sends.
    pub(super) fn catch_up(&mut self, number: usize) {
        if self.away.contains(&number) {
            return;
        }
        self.receive(number);
        self.run(number, &Input::Group(GroupInput::ReadAll)).unwrap();
        self.send_all(number);
    }

    /// Whether somebody waits for a time to try again.
    fn is_waiting(&mut self) -> bool {
        let here: Vec<usize> = (0..self.clients.len()).filter(|number| !self.away.contains(number)).collect();
        here.into_iter().any(|number| {
            self.groups(number).iter().any(|group| {
                let open =
                    matches!(group.standing, GroupStanding::Active | GroupStanding::Making | GroupStanding::Leaving);
                open && (group.next_attempt > self.now || group.commit.is_some() || !group.changes.is_empty())
            })
        })
    }

    /// Puts a body into a client's outbox as it is.
    pub(super) fn send_bare(&mut self, number: usize, to: usize, body: Body) {
        let (id, recipient, now) = ([77; 16], self.address(to), self.now);
        let content = Content {
            id: MessageId(id),
            thread: MessageId(id),
            in_reply_to: None,
            replaces: None,
            created: now,
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
        };
        let entry = OutboxRecord {
            content_id: id,
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
        self.clients[number].put(&key::content(&id), &content.encode().unwrap(), now);
        self.clients[number].put(&key::outbox(&id, &recipient), &entry, now);
    }

    pub(super) fn say(&mut self, number: usize, group: &GroupId, text: &str) {
        let body = Body::Chat(Chat::Text { text: text.to_owned() });
        let command = SendToGroup {
            group: *group,
            body,
            fallback_text: text.to_owned(),
            in_reply_to: None,
            attachments: Vec::new(),
            urgency: Urgency::Routine,
            expires: None,
        };
        self.run(number, &Input::Group(GroupInput::Send(Box::new(command)))).unwrap();
    }

    /// Somebody with the epoch's key closes it with nothing that anybody could follow. The epoch.
    pub(super) fn close_with_garbage(&mut self, group: &GroupId) -> u64 {
        let epoch = self.group(0, group).epoch;
        let key = SigningKey::random(&mut chacha20::ChaCha20Rng::from_seed([9; 32])).verifying_key();
        let (entry_id, entry) = ([7; 16], vec![8; 4096]);
        let garbage = GroupLogEntry { sequence: 1_000_000, received: self.now, entry_id, entry, closes_epoch: true };
        let log = self.server.groups.logs.get_mut(group).unwrap();
        log.entries.push((epoch, garbage));
        log.keys.insert(epoch + 1, key);
        epoch
    }

    pub(super) fn change(&mut self, number: usize, group: &GroupId, what: GroupChangeKind) {
        self.try_change(number, group, what).unwrap();
    }

    pub(super) fn try_change(
        &mut self,
        number: usize,
        group: &GroupId,
        what: GroupChangeKind,
    ) -> Result<(), crate::account_store::HandleError> {
        self.run(number, &Input::Group(GroupInput::Change(GroupChange { group: *group, what })))
    }

    pub(super) fn groups(&mut self, number: usize) -> Vec<GroupRecord> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let _ = client.store.generation(now, &mut client.rng);
        client.store.groups(now, &mut client.rng).unwrap().into_iter().map(|group| group.group).collect()
    }

    pub(super) fn group(&mut self, number: usize, group: &GroupId) -> GroupRecord {
        self.groups(number).into_iter().find(|one| one.log_id == *group).expect("the group is known")
    }

    pub(super) fn members(&mut self, number: usize, group: &GroupId) -> Vec<(Address, GroupRoleRecord, usize)> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let groups = client.store.groups(now, &mut client.rng).unwrap();
        let group = groups.into_iter().find(|one| one.id == *group).expect("the group is known");
        group.roster.members.into_iter().map(|one| (one.address, one.role, one.devices.len())).collect()
    }

    pub(super) fn said(&mut self, number: usize, group: &GroupId) -> Vec<GroupMessage> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let _ = client.store.generation(now, &mut client.rng);
        client.store.group_messages(group, u64::MAX, now, &mut client.rng).unwrap()
    }

    pub(super) fn texts_said(&mut self, number: usize, group: &GroupId) -> Vec<String> {
        let logged = self.said(number, group).into_iter();
        let logged = logged.filter(|message| message.message.state == GroupMessageState::Logged);
        logged.map(|message| message.content.fallback_text).collect()
    }
}

pub(super) fn three() -> World {
    let mut world = World::new(&["ana", "ben", "cleo"]);
    world.publish_key_packages();
    world
}

pub(super) const MEMBER: GroupRoleRecord = GroupRoleRecord::Member;

#[test]
fn three_talk_in_a_group() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, GroupRoleRecord::Reader)]);
    for number in 0..3 {
        let record = world.group(number, &group);
        assert_eq!((record.standing, record.name.as_str()), (GroupStanding::Active, "Ward 3"), "{number}");
        assert_eq!(world.members(number, &group).len(), 3);
    }
    world.say(0, &group, "Good evening");
    world.say(1, &group, "Bed 4 is free");
    world.rest();
    for number in 0..3 {
        let mut texts = world.texts_said(number, &group);
        texts.sort();
        assert_eq!(texts, ["Bed 4 is free", "Good evening"], "{number}");
    }
    assert_eq!(world.texts_said(0, &group), world.texts_said(1, &group), "all see the log's order");
    let refused = engine_error({
        let body = Body::Chat(Chat::Text { text: "hm".into() });
        let (fallback_text, in_reply_to, attachments) = (String::new(), None, Vec::new());
        let urgency = Urgency::Routine;
        let send = SendToGroup { group, body, fallback_text, in_reply_to, attachments, urgency, expires: None };
        world.run(2, &Input::Group(GroupInput::Send(Box::new(send))))
    });
    assert!(matches!(refused, EngineError::Group(GroupProblem::Reader)));
    // A group is nobody else's business: nothing of it goes over a connection that writes to people, and back.
    for (_, connection, request) in &world.sent_over {
        let is_log = matches!(request, Request::AppendGroupEntry(_) | Request::CreateGroupLog(_));
        let over_logs = matches!(connection, crate::engine::Connection::GroupLogs(_));
        assert!(!matches!(request, Request::Submit(_)) || !over_logs);
        assert!(!is_log || over_logs);
    }
}

#[test]
fn who_is_taken_out_sees_nothing_more_and_is_told_that_his_word_was_not_sent() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(0, &group, "before");
    world.rest();
    // Ben is away and has something to say.
    world.away.insert(1);
    world.say(1, &group, "wait for me");
    world.change(0, &group, GroupChangeKind::Remove(world.address(1)));
    world.rest();
    world.say(0, &group, "after");
    world.rest();
    let epoch_before = world.group(1, &group).epoch;
    world.away.clear();
    world.rest();
    let record = world.group(1, &group);
    assert_eq!((record.standing, record.epoch), (GroupStanding::Removed, epoch_before));
    let said = world.said(1, &group);
    let own = said.iter().find(|message| message.content.fallback_text == "wait for me").unwrap();
    assert_eq!((own.message.state, own.message.code.as_deref()), (GroupMessageState::Failed, Some("group_removed")));
    assert_eq!(world.texts_said(1, &group), ["before"]);
    assert_eq!(world.texts_said(2, &group), ["before", "after"]);
    assert!(
        world.clients[1].events.iter().any(|event| matches!(event, Event::Group { event: GroupEvent::Removed, .. }))
    );
    let refused = engine_error(world.try_change(1, &group, GroupChangeKind::Update));
    assert!(matches!(refused, EngineError::Group(GroupProblem::Closed(GroupStanding::Removed))));
    // Nothing of what MLS had is left.
    let now = world.now;
    assert!(
        world.clients[1].count(class::GROUP_STATE, now) == 0 && world.clients[1].count(class::GROUP_ACCESS, now) == 0
    );
    // Whoever is out can come back, and has what he had.
    world.change(0, &group, GroupChangeKind::Add(world.address(1), MEMBER));
    world.rest();
    world.say(0, &group, "welcome back");
    world.rest();
    assert_eq!(world.texts_said(1, &group), ["before", "welcome back"]);
}

#[test]
fn who_is_taken_out_and_invited_again_while_away_comes_back() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.away.insert(1);
    let ben = world.address(1);
    world.change(0, &group, GroupChangeKind::Remove(ben.clone()));
    world.rest();
    world.say(0, &group, "without Ben");
    world.rest();
    world.change(0, &group, GroupChangeKind::Add(ben, MEMBER));
    world.rest();
    world.say(0, &group, "with Ben");
    world.rest();
    // His mail comes first, the log after it: the invitation waits for what the log says.
    world.away.clear();
    world.rest();
    assert_eq!(world.texts_said(1, &group), ["with Ben"]);
    world.say(1, &group, "thanks");
    world.rest();
    assert_eq!(world.texts_said(2, &group), ["without Ben", "with Ben", "thanks"]);
}

#[test]
fn a_word_that_crosses_a_commit_comes_once_in_the_new_epoch() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    // Ben does not know of the commit when he speaks; the log is in the next epoch already.
    world.away.insert(1);
    world.change(0, &group, GroupChangeKind::Name("Ward 4".into()));
    world.rest();
    world.say(1, &group, "crossing");
    world.away.clear();
    let before = world.group(1, &group).epoch;
    world.run(1, &tick()).unwrap();
    assert_eq!(world.said(1, &group)[0].message.state, GroupMessageState::Queued, "the log has refused it");
    world.rest();
    assert_eq!(world.group(1, &group).epoch, before + 1);
    for number in 0..3 {
        assert_eq!(world.texts_said(number, &group), ["crossing"], "{number}");
        assert_eq!(world.group(number, &group).name, "Ward 4");
    }
}

#[test]
fn members_and_roles_are_changed_by_owners_alone() {
    let mut world = World::new(&["ana", "ben", "cleo", "dan"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    let add = GroupChangeKind::Add(world.address(3), MEMBER);
    assert!(matches!(
        engine_error(world.try_change(1, &group, add.clone())),
        EngineError::Group(GroupProblem::NotOwner)
    ));
    let last = GroupChangeKind::Leave;
    assert!(matches!(engine_error(world.try_change(0, &group, last)), EngineError::Group(GroupProblem::LastOwner)));
    world.change(0, &group, GroupChangeKind::Role(world.address(1), GroupRoleRecord::Owner));
    world.rest();
    world.change(1, &group, add);
    world.change(1, &group, GroupChangeKind::Remove(world.address(2)));
    world.rest();
    let expected = [(0, GroupRoleRecord::Owner), (1, GroupRoleRecord::Owner), (3, MEMBER)];
    let expected: Vec<_> = expected.map(|(number, role)| (world.address(number), role, 1)).into();
    for number in [0, 1, 3] {
        assert_eq!(world.members(number, &group), expected, "{number}");
    }
    assert_eq!(world.group(2, &group).standing, GroupStanding::Removed);
    // An address that nobody has is told, and holds up nothing else.
    world.change(0, &group, GroupChangeKind::Add("nobody@clinic.example".parse().unwrap(), MEMBER));
    world.change(0, &group, GroupChangeKind::Name("Ward 5".into()));
    world.rest();
    assert_eq!(world.group(3, &group).name, "Ward 5");
    let failed = |event: &Event| matches!(event, Event::Group { event: GroupEvent::ChangeFailed { code, .. }, .. } if code == "unknown_account");
    assert!(world.clients[0].events.iter().any(failed));
}

#[test]
fn who_leaves_is_out_and_the_roster_says_so() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.change(1, &group, GroupChangeKind::Leave);
    world.rest();
    assert_eq!(world.group(1, &group).standing, GroupStanding::Left);
    let expected = vec![(world.address(0), GroupRoleRecord::Owner, 1), (world.address(2), MEMBER, 1)];
    for number in [0, 2] {
        assert_eq!(world.members(number, &group), expected, "{number}");
    }
    world.say(2, &group, "gone");
    world.rest();
    assert_eq!((world.texts_said(0, &group), world.texts_said(1, &group)), (vec!["gone".to_owned()], Vec::new()));
}

#[test]
fn a_group_of_one_works_and_ends_with_its_member() {
    let mut world = World::new(&["ana"]);
    let group = world.create(0, "Notes", &[]);
    world.say(0, &group, "to myself");
    world.rest();
    assert_eq!(world.texts_said(0, &group), ["to myself"]);
    world.change(0, &group, GroupChangeKind::Leave);
    world.rest();
    assert_eq!(world.group(0, &group).standing, GroupStanding::Left);
}

#[test]
fn a_commit_that_is_none_breaks_the_group_for_all_and_is_shown() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(2, &group, "before");
    world.rest();
    let epoch = world.close_with_garbage(&group);
    world.say(1, &group, "anybody?");
    world.rest();
    for number in 0..3 {
        let record = world.group(number, &group);
        assert_eq!((record.standing, record.epoch), (GroupStanding::Broken, epoch));
        assert!(record.problem.is_some());
        assert_eq!(world.texts_said(number, &group), ["before"]);
    }
    let refused = engine_error(world.try_change(0, &group, GroupChangeKind::Update));
    assert!(matches!(refused, EngineError::Group(GroupProblem::Closed(GroupStanding::Broken))));
}

#[test]
fn a_team_whose_welcome_is_too_large_for_a_message_joins_by_a_blob() {
    let names: Vec<String> = (0..16).map(|number| format!("m{number}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.publish_key_packages();
    let others: Vec<_> = (1..16).map(|number| (number, MEMBER)).collect();
    let group = world.create(0, "All", &others);
    assert!(!world.server.groups.blobs.is_empty(), "it went as a blob");
    world.say(15, &group, "here");
    world.rest();
    for number in 0..16 {
        assert_eq!(world.texts_said(number, &group), ["here"], "{number}");
        let now = world.now;
        let client = &mut world.clients[number];
        let left = [class::GROUP_INVITATION, class::GROUP_INVITATION_PIECE, class::GROUP_JOIN];
        assert!(left.into_iter().all(|class| client.count(class, now) == 0), "nothing of the invitation is left");
    }
}

#[test]
fn an_invitation_that_comes_again_is_worth_nothing() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
    let invitation = {
        let now = world.now;
        let client = &mut world.clients[1];
        assert!(client.count(class::GROUP_STATE, now) > 0);
        world.find_device(1).unwrap().queue.clone()
    };
    world.change(0, &group, GroupChangeKind::Remove(world.address(1)));
    world.rest();
    assert_eq!(world.group(1, &group).standing, GroupStanding::Removed);
    // The server plays everything again, under another life of its store.
    world.server.incarnation = [2; 16];
    world.find_device(1).unwrap().acknowledged = 0;
    world.deliver(1, invitation);
    world.rest();
    assert_eq!(world.group(1, &group).standing, GroupStanding::Removed);
}

#[test]
fn a_restored_server_gives_entries_again_and_nothing_is_doubled() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(0, &group, "one");
    world.say(1, &group, "two");
    world.rest();
    let before = world.texts_said(2, &group);
    world.server.incarnation = [2; 16];
    world.say(1, &group, "three");
    world.rest();
    for number in 0..3 {
        let texts = world.texts_said(number, &group);
        assert_eq!((texts.len(), &texts[..2]), (3, &before[..]), "{number}");
        assert_eq!(world.group(number, &group).standing, GroupStanding::Active);
    }
}

#[test]
fn a_new_device_of_a_member_comes_in_and_a_revoked_one_goes_out() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    let tablet = world.join_device(1);
    world.connect(tablet);
    world.connect(1);
    world.rest();
    assert_eq!(world.group(tablet, &group).standing, GroupStanding::Active);
    world.say(tablet, &group, "from the tablet");
    world.rest();
    for number in [0, 1, 2, tablet] {
        assert_eq!(world.texts_said(number, &group), ["from the tablet"], "{number}");
        assert_eq!(world.members(number, &group)[1].2, 2, "Ben has two devices in it");
    }
    world.revoke_device(1, tablet);
    world.away.insert(tablet);
    world.connect(1);
    world.rest();
    world.say(0, &group, "without the tablet");
    world.rest();
    for number in [0, 1, 2] {
        assert_eq!(world.members(number, &group)[1].2, 1, "{number}");
    }
    let epoch = world.group(tablet, &group).epoch;
    assert!(epoch < world.group(0, &group).epoch);
}

#[test]
fn who_was_away_for_many_epochs_walks_forward_commit_by_commit() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.away.insert(2);
    for number in 0..12 {
        world.say(1, &group, &format!("said {number}"));
        world.change(number % 2, &group, GroupChangeKind::Update);
        world.rest();
    }
    world.server.groups.page = Some(1);
    world.away.clear();
    world.rest();
    assert_eq!(world.texts_said(2, &group), world.texts_said(1, &group));
    assert_eq!(world.texts_said(2, &group).len(), 12);
    assert_eq!(world.group(2, &group).epoch, world.group(0, &group).epoch);
}

/// What two do, as one of them may be killed on the way.
fn scenario(world: &mut World, fuse: &mut Fuse) -> Result<(), Killed> {
    let member = vec![(world.address(1), MEMBER)];
    let (name, description) = ("Ward 3".to_owned(), String::new());
    let create = CreateGroup { name, description, members: member, retention_days: 0, organisation: None };
    world.run_until(0, &Input::Group(GroupInput::Create(create)), fuse)?.unwrap();
    for round in 0..6 {
        world.later(5_000);
        world.run_until(0, &tick(), fuse)?.unwrap();
        world.run_until(0, &Input::Group(GroupInput::ReadAll), fuse)?.unwrap();
        if round == 3 {
            let group = world.groups(0)[0].log_id;
            let (body, fallback_text) = (Body::Chat(Chat::Text { text: "hello".into() }), "hello".to_owned());
            let (in_reply_to, attachments, urgency) = (None, Vec::new(), Urgency::Routine);
            let send = SendToGroup { group, body, fallback_text, in_reply_to, attachments, urgency, expires: None };
            world.run_until(0, &Input::Group(GroupInput::Send(Box::new(send))), fuse)?.unwrap();
        }
    }
    Ok(())
}

#[test]
fn killed_between_any_two_steps_nothing_is_lost_doubled_or_half_done() {
    let mut killed_in = 0;
    for steps in 0..120 {
        let mut world = World::new(&["ana", "ben"]);
        world.publish_key_packages();
        let killed = scenario(&mut world, &mut Some(steps)).is_err();
        world.clients[0].restart();
        world.rest();
        let groups = world.groups(0);
        if let [group] = groups.as_slice() {
            let id = group.log_id;
            assert_eq!(world.group(1, &id).standing, GroupStanding::Active, "{steps}");
            let texts = world.texts_said(1, &id);
            assert_eq!(texts, world.texts_said(0, &id), "{steps}");
            assert!(texts.len() <= 1, "{steps}");
            assert_eq!(world.server.groups.logs[&id].keys.len(), 2, "one commit: {steps}");
        } else {
            assert!(groups.is_empty() && steps < 2, "{steps}");
        }
        if !killed {
            assert!(killed_in > 10);
            return;
        }
        killed_in = steps;
    }
    panic!("the scenario has more steps");
}
