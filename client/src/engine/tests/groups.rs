//! Groups between engines: making one, saying things, races, leaving, being taken out, large invitations, crashes.

use medipeps_core::Address;
use medipeps_core::kind::{Body, Chat, Urgency};
use medipeps_core::wire::client_records::{
    GroupChangeKind, GroupMessageState, GroupRecord, GroupRoleRecord, GroupStanding,
};
use medipeps_core::wire::transport::Request;

use super::world::{Client, World, engine_error};
use crate::engine::{
    CreateGroup, EngineError, Event, GroupChange, GroupEvent, GroupId, GroupInput, GroupMessage, GroupProblem, Input,
    SendToGroup, Time,
};

impl World {
    /// Every device publishes its key packages, as it does when it first proves itself.
    fn publish_key_packages(&mut self) {
        for number in 0..self.clients.len() {
            let generation = 0;
            let version = self.clients[number].statement_version(self.now);
            let input = Input::Authenticated { highest_generation: generation, statement_version: version };
            self.run(number, &input).unwrap();
        }
    }

    fn create(&mut self, number: usize, name: &str, members: &[(usize, GroupRoleRecord)]) -> GroupId {
        let members = members.iter().map(|(member, role)| (self.address(*member), *role)).collect();
        let (name, description) = (name.to_owned(), "Night shift".to_owned());
        let command = CreateGroup { name, description, members, retention_days: 0 };
        self.run(number, &Input::Group(GroupInput::Create(command))).unwrap();
        let group = self.clients[number].events.iter().rev().find_map(|event| match event {
            Event::Group { group, event: GroupEvent::Prepared } => Some(*group),
            _ => None,
        });
        self.rest();
        group.unwrap()
    }

    /// Everybody reads, sends and fetches, until nothing moves; time goes on.
    fn rest(&mut self) {
        let mut quiet = 0;
        for _ in 0..400 {
            let before = self.server.log.len();
            for number in 0..self.clients.len() {
                self.later(50);
                self.receive(number);
                self.run(number, &Input::Group(GroupInput::ReadAll)).unwrap();
                self.send_all(number);
            }
            quiet = if self.server.log.len() == before { quiet + 1 } else { 0 };
            if quiet > 2 && !self.is_waiting() {
                return;
            }
            self.later(2_000);
        }
        panic!("the groups do not come to rest");
    }

    /// Whether somebody waits for a time to try again.
    fn is_waiting(&mut self) -> bool {
        (0..self.clients.len()).any(|number| {
            self.groups(number).iter().any(|group| {
                let open = matches!(group.standing, GroupStanding::Active | GroupStanding::Making | GroupStanding::Leaving);
                open && (group.next_attempt > self.now || group.commit.is_some() || !group.changes.is_empty())
            })
        })
    }

    fn say(&mut self, number: usize, group: &GroupId, text: &str) {
        let body = Body::Chat(Chat::Text { text: text.to_owned() });
        let command = SendToGroup {
            group: *group,
            body,
            fallback_text: text.to_owned(),
            in_reply_to: None,
            attachments: Vec::new(),
            urgency: Urgency::Routine,
        };
        self.run(number, &Input::Group(GroupInput::Send(command))).unwrap();
    }

    fn change(&mut self, number: usize, group: &GroupId, what: GroupChangeKind) {
        self.try_change(number, group, what).unwrap();
    }

    fn try_change(
        &mut self,
        number: usize,
        group: &GroupId,
        what: GroupChangeKind,
    ) -> Result<(), crate::account_store::HandleError> {
        self.run(number, &Input::Group(GroupInput::Change(GroupChange { group: *group, what })))
    }

    fn groups(&mut self, number: usize) -> Vec<GroupRecord> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let _ = client.store.generation(now, &mut client.rng);
        client.store.groups(now, &mut client.rng).unwrap().into_iter().map(|group| group.group).collect()
    }

    fn group(&mut self, number: usize, group: &GroupId) -> GroupRecord {
        self.groups(number).into_iter().find(|one| one.log_id == *group).expect("the group is known")
    }

    fn members(&mut self, number: usize, group: &GroupId) -> Vec<(Address, GroupRoleRecord, usize)> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let groups = client.store.groups(now, &mut client.rng).unwrap();
        let group = groups.into_iter().find(|one| one.id == *group).expect("the group is known");
        group.roster.members.into_iter().map(|one| (one.address, one.role, one.devices.len())).collect()
    }

    fn said(&mut self, number: usize, group: &GroupId) -> Vec<GroupMessage> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        let _ = client.store.generation(now, &mut client.rng);
        client.store.group_messages(group, u64::MAX, now, &mut client.rng).unwrap()
    }

    fn texts_said(&mut self, number: usize, group: &GroupId) -> Vec<String> {
        let logged = self.said(number, group).into_iter();
        let logged = logged.filter(|message| message.message.state == GroupMessageState::Logged);
        logged.map(|message| message.content.fallback_text).collect()
    }
}

impl Client {
    fn statement_version(&mut self, now: u64) -> u64 {
        let _ = self.store.generation(Time(now), &mut self.rng);
        let account = self.store.account_record(Time(now), &mut self.rng).unwrap().unwrap();
        medipeps_core::identity::Statement::decode(&account.statement).unwrap().version()
    }
}

fn three() -> World {
    let mut world = World::new(&["ana", "ben", "cleo"]);
    world.publish_key_packages();
    world
}

const MEMBER: GroupRoleRecord = GroupRoleRecord::Member;

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
        let send = SendToGroup { group, body, fallback_text, in_reply_to, attachments, urgency };
        world.run(2, &Input::Group(GroupInput::Send(send)))
    });
    assert!(matches!(refused, EngineError::Group(GroupProblem::Reader)));
    // A group is nobody else's business: nothing of it goes over a connection that writes to people, and back.
    for (_, connection, request) in &world.sent_over {
        let is_log = matches!(request, Request::AppendGroupEntry(_) | Request::CreateGroupLog(_));
        let over_logs = matches!(connection, crate::engine::Connection::GroupLogs(_));
        assert!(!matches!(request, Request::Submit(_)) || !over_logs);
        assert_eq!(is_log && !over_logs, false);
    }
}
