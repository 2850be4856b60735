//! Cases between engines: who may say what in one, and until when; what is shown is folded from what is stored.

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{
    Author, Body, Case, CaseAct, CaseMember, CaseRefusal, CaseState, Chat, MessageId, PatientReference, Urgency,
};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord};

use super::world::{World, engine_error};
use crate::engine::{
    CaseDetail, CaseSummary, EngineError, Event, GroupEvent, GroupId, GroupInput, GroupProblem, Input, SendToCase,
    SendToGroup, Time, key,
};

const MEMBER: GroupRoleRecord = GroupRoleRecord::Member;

impl World {
    fn in_case(&mut self, number: usize, group: &GroupId, case: Option<MessageId>, body: Body) -> MessageId {
        let patient =
            PatientReference { identifier: "1 85 05 78 006 084".into(), assigning_authority: "1.2.250".into() };
        let message = SendToGroup {
            group: *group,
            fallback_text: body.fallback_text(),
            body,
            in_reply_to: None,
            attachments: Vec::new(),
            urgency: Urgency::Routine,
            expires: None,
        };
        let patient = case.is_none().then_some(patient);
        let command = SendToCase { case, patient, message };
        self.run(number, &Input::Group(GroupInput::Case(Box::new(command)))).unwrap();
        let queued = self.clients[number].events.iter().rev().find_map(|event| match event {
            Event::Group { event: GroupEvent::MessageQueued { number }, .. } => Some(*number),
            _ => None,
        });
        let now = self.now;
        let record = self.clients[number].get(&key::group_message(group, queued.unwrap()), now).unwrap();
        MessageId(record.content_id)
    }

    fn say_in(&mut self, number: usize, group: &GroupId, case: MessageId, text: &str) -> MessageId {
        self.in_case(number, group, Some(case), Body::Chat(Chat::Text { text: text.to_owned() }))
    }

    fn open_case(&mut self, number: usize, group: &GroupId, team: &[(usize, bool)], closes: Option<u64>) -> MessageId {
        let team = team.iter().map(|(member, may_close)| self.member(*member, *may_close)).collect();
        self.in_case(number, group, None, Body::Case(Case::Opening { title: "Bed 4".into(), team, closes }))
    }

    fn member(&self, number: usize, may_close: bool) -> CaseMember {
        CaseMember { address: self.address(number), function: String::new(), may_close }
    }

    fn cases(&mut self, number: usize, group: &GroupId) -> Vec<CaseSummary> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        client.store.group_cases(group, now, &mut client.rng).unwrap()
    }

    fn case(&mut self, number: usize, group: &GroupId, case: MessageId) -> Result<CaseDetail, EngineError> {
        let now = Time(self.now);
        let client = &mut self.clients[number];
        client.store.group_case(group, case, now, &mut client.rng).map_err(|error| engine_error(Err(error)))
    }

    fn texts_in(&mut self, number: usize, group: &GroupId, case: MessageId) -> Vec<String> {
        let detail = self.case(number, group, case).unwrap();
        detail
            .chat
            .messages()
            .map(|message| match &message.body {
                medipeps_core::kind::ShownBody::Text(text) => text.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn author(&mut self, number: usize, group: &GroupId) -> Author {
        let said = self.said(number, group);
        let address = self.address(number);
        let own = said.iter().find(|message| message.message.sender == address).unwrap();
        Author { address, account_key: VerifyingKey::from_slice(&own.message.account_key).unwrap() }
    }
}

fn four() -> (World, GroupId) {
    let mut world = World::new(&["ana", "ben", "cleo", "dan"]);
    world.publish_key_packages();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    (world, group)
}

#[test]
fn a_case_is_opened_talked_in_closed_and_opened_again_and_all_see_the_same() {
    let (mut world, group) = four();
    let case = world.open_case(0, &group, &[(0, true), (1, false)], None);
    world.rest();
    world.say_in(1, &group, case, "Potassium 6.1");
    // Cleo is in the group and not in the team: she reads, and what she says does not count.
    world.say_in(2, &group, case, "Let me help");
    world.rest();
    let id = world.say_in(0, &group, case, "On my wai");
    world.rest();
    world.in_case(0, &group, Some(case), Body::Chat(Chat::Edit { message: id, text: "On my way".into() }));
    // Ben may not close it.
    world.in_case(1, &group, Some(case), Body::Case(Case::Closing { reason: "Done".into() }));
    world.rest();
    for number in 0..3 {
        assert_eq!(world.texts_in(number, &group, case), ["Potassium 6.1", "On my way"], "{number}");
        let detail = world.case(number, &group, case).unwrap();
        assert_eq!((detail.refused, detail.state(world.now)), (2, CaseState::Open), "{number}");
    }
    world.in_case(0, &group, Some(case), Body::Case(Case::Closing { reason: "Discharged".into() }));
    world.rest();
    world.say_in(1, &group, case, "Too late");
    world.rest();
    for number in 0..3 {
        assert_eq!(world.texts_in(number, &group, case).len(), 2, "{number}");
        let detail = world.case(number, &group, case).unwrap();
        assert!(matches!(detail.state(world.now), CaseState::Closed { .. }));
    }
    // A person is told before he sends.
    let (ben, ana, now) = (world.author(1, &group), world.author(0, &group), world.now);
    let detail = world.case(1, &group, case).unwrap();
    let refused = detail.check_admits(&ben, now);
    assert!(matches!(refused, Err(GroupProblem::CaseRefused(CaseRefusal::Closed { .. }))), "{refused:?}");
    let reopening = Case::Reopening { reason: String::new(), closes: None };
    assert_eq!(detail.check_act(&ben, &reopening, now), Err(CaseRefusal::MayNotClose.into()));
    assert_eq!(detail.check_act(&ana, &reopening, now), Ok(()));
    world.in_case(0, &group, Some(case), Body::Case(reopening));
    let team = vec![world.member(2, true)];
    world.rest();
    world.in_case(0, &group, Some(case), Body::Case(Case::Team { team }));
    world.rest();
    world.say_in(1, &group, case, "No more of the team");
    world.say_in(2, &group, case, "I take over");
    world.rest();
    for number in 0..3 {
        assert_eq!(world.texts_in(number, &group, case).last().unwrap(), "I take over", "{number}");
        let detail = world.case(number, &group, case).unwrap();
        let acts: Vec<_> = detail.case.events().iter().map(|event| event.act).collect();
        assert_eq!(acts, [CaseAct::Opened, CaseAct::Closed, CaseAct::Reopened, CaseAct::Team]);
    }
}

#[test]
fn a_case_closes_by_itself_and_what_stands_before_stays() {
    let (mut world, group) = four();
    let closes = world.now + 3_600_000;
    let case = world.open_case(0, &group, &[(0, true), (1, false)], Some(closes));
    world.say_in(0, &group, case, "in time");
    world.rest();
    world.later(3_600_000);
    world.say_in(1, &group, case, "an hour later");
    world.rest();
    assert_eq!(world.texts_in(2, &group, case), ["in time"]);
    assert_eq!(world.case(2, &group, case).unwrap().state(closes), CaseState::Closed { since: closes });
}

#[test]
fn cases_are_found_in_a_long_log_and_keep_what_is_theirs() {
    let (mut world, group) = four();
    let first = world.open_case(0, &group, &[(0, true)], None);
    world.rest();
    for number in 0..crate::limits::GROUP_MESSAGES_PER_LOAD + 20 {
        world.say(0, &group, &format!("chatter {number}"));
    }
    world.rest();
    let second = world.open_case(1, &group, &[(1, true), (0, false)], None);
    world.rest();
    world.say_in(0, &group, first, "of the first");
    world.say_in(0, &group, second, "of the second");
    world.rest();
    for number in 0..3 {
        let cases = world.cases(number, &group);
        let listed: Vec<_> = cases.iter().map(|one| (one.case.id(), one.messages)).collect();
        assert_eq!(listed, [(second, 1), (first, 1)], "{number}");
        assert_eq!(world.texts_in(number, &group, first), ["of the first"]);
        assert_eq!(world.texts_in(number, &group, second), ["of the second"]);
    }
}

#[test]
fn who_comes_later_is_told_that_a_case_began_before_him() {
    let (mut world, group) = four();
    let case = world.open_case(0, &group, &[(0, true)], None);
    world.rest();
    let dan = world.address(3);
    world.change(0, &group, GroupChangeKind::Add(dan, MEMBER));
    world.rest();
    world.say_in(0, &group, case, "to be seen");
    world.rest();
    assert!(matches!(world.case(3, &group, case), Err(EngineError::Group(GroupProblem::UnknownCase))));
    assert!(world.cases(3, &group).is_empty());
    assert_eq!(world.texts_said(3, &group), ["to be seen"]);
}

#[test]
fn nobody_is_in_a_team_who_would_never_see_the_case() {
    let (mut world, group) = four();
    let team = vec![world.member(0, true), world.member(3, false)];
    let body = Body::Case(Case::Opening { title: "Bed 4".into(), team, closes: None });
    let fallback_text = body.fallback_text();
    let (in_reply_to, attachments, urgency) = (None, Vec::new(), Urgency::Routine);
    let message = SendToGroup { group, body, fallback_text, in_reply_to, attachments, urgency, expires: None };
    let patient = Some(PatientReference { identifier: "1".into(), assigning_authority: String::new() });
    let command = SendToCase { case: None, patient, message };
    let send = |command: &SendToCase| Input::Group(GroupInput::Case(Box::new(command.clone())));
    let refused = engine_error(world.run(0, &send(&command)));
    assert!(matches!(refused, EngineError::Group(GroupProblem::NotMember(address)) if address == world.address(3)));
    let mut nobody = SendToCase { patient: None, ..command };
    let team = vec![world.member(0, true)];
    nobody.message.body = Body::Case(Case::Opening { title: "Bed 4".into(), team, closes: None });
    let refused = engine_error(world.run(0, &send(&nobody)));
    assert!(matches!(refused, EngineError::Group(GroupProblem::CaseRefused(CaseRefusal::NoPatient))));
    assert!(world.said(0, &group).is_empty());
}
