//! Groups that go on in another one: after a commit that is none, on purpose, and made by two owners at once.

use medipeps_core::wire::client_records::{GroupChangeKind, GroupMessageState, GroupRoleRecord, GroupStanding};

use super::groups::{MEMBER, three};
use super::world::{World, engine_error, tick};
use crate::engine::{
    EngineError, Event, GroupEvent, GroupId, GroupInput, GroupProblem, Input, SendToGroup, class, key,
};

const OWNER: GroupRoleRecord = GroupRoleRecord::Owner;

impl World {
    fn try_recreate(&mut self, number: usize, group: &GroupId) -> Result<(), crate::account_store::HandleError> {
        self.run(number, &Input::Group(GroupInput::Recreate(*group)))
    }

    /// Makes a group anew; its id.
    fn recreate(&mut self, number: usize, group: &GroupId) -> GroupId {
        self.try_recreate(number, group).unwrap();
        self.group(number, group).successor.expect("the new group is followed")
    }

    fn was_told(&self, number: usize, told: &GroupEvent) -> bool {
        self.clients[number].events.iter().any(|event| matches!(event, Event::Group { event, .. } if event == told))
    }
}

#[test]
fn after_a_garbage_commit_the_owner_makes_the_group_anew_and_everybody_talks_again() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, GroupRoleRecord::Reader)]);
    world.say(1, &group, "before");
    world.rest();
    world.close_with_garbage(&group);
    world.say(1, &group, "anybody?");
    world.rest();
    for number in 0..3 {
        assert_eq!(world.group(number, &group).standing, GroupStanding::Broken, "{number}");
    }
    let refused = engine_error(world.try_recreate(1, &group));
    assert!(matches!(refused, EngineError::Group(GroupProblem::NotOwner)));
    let new = world.recreate(0, &group);
    assert_ne!(new, group);
    world.rest();
    let again = engine_error(world.try_recreate(0, &group));
    assert!(matches!(again, EngineError::Group(GroupProblem::Continues(known)) if known == new));
    world.say(0, &new, "here again");
    world.say(1, &new, "me too");
    world.rest();
    let expected = world.members(0, &new);
    assert_eq!(expected.iter().map(|(_, role, _)| *role).collect::<Vec<_>>(), [OWNER, MEMBER, GroupRoleRecord::Reader]);
    for number in 0..3 {
        let (old, now) = (world.group(number, &group), world.group(number, &new));
        assert_eq!((now.standing, now.name.as_str()), (GroupStanding::Active, "Ward 3"), "{number}");
        assert_eq!((old.successor, now.predecessor), (Some(new), Some(group)), "{number}");
        assert!(world.was_told(number, &GroupEvent::Continues { successor: new }), "{number}");
        assert_eq!(world.texts_said(number, &group), ["before"], "what was said stays");
        let mut texts = world.texts_said(number, &new);
        texts.sort();
        assert_eq!(
            (texts, world.members(number, &new)),
            (vec!["here again".to_owned(), "me too".into()], expected.clone())
        );
        // The keys of a group that is over are of no use to anybody but a thief.
        let access = key::group_access(&group);
        let store = world.clients[number].store.store_mut();
        let kept = store.begin(1, &mut rand_rng()).unwrap().load(std::slice::from_ref(access.record())).unwrap();
        assert!(kept[0].is_none(), "{number}");
    }
    let said = world.said(1, &group);
    let waited = said.iter().find(|message| message.content.fallback_text == "anybody?").unwrap();
    let (state, code) = (waited.message.state, waited.message.code.as_deref());
    assert_eq!((state, code), (GroupMessageState::Failed, Some("group_continues")), "it is shown as not sent");
}

fn rand_rng() -> chacha20::ChaCha20Rng {
    rand_core::SeedableRng::from_seed([1; 32])
}

#[test]
fn a_group_that_is_open_says_itself_where_it_goes_on() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.say(2, &group, "before");
    world.rest();
    let new = world.recreate(0, &group);
    world.rest();
    for number in 0..3 {
        let old = world.group(number, &group);
        assert_eq!((old.successor, old.standing), (Some(new), GroupStanding::Active), "{number}");
        assert!(old.changes.is_empty());
        assert_eq!(world.members(number, &new).len(), 3);
    }
    let body = medipeps_core::kind::Body::Chat(medipeps_core::kind::Chat::Text { text: "hm".into() });
    let send = SendToGroup {
        group,
        body,
        fallback_text: "hm".into(),
        in_reply_to: None,
        attachments: Vec::new(),
        urgency: medipeps_core::kind::Urgency::Routine,
        expires: None,
    };
    let refused = engine_error(world.run(1, &Input::Group(GroupInput::Send(Box::new(send)))));
    assert!(matches!(refused, EngineError::Group(GroupProblem::Continues(known)) if known == new));
}

#[test]
fn of_two_that_are_made_at_once_all_follow_the_same_and_the_other_one_is_closed() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut world = three();
        let group = world.create(0, "Ward 3", &[(1, OWNER), (2, MEMBER)]);
        world.say(2, &group, "before");
        world.rest();
        world.close_with_garbage(&group);
        world.rest();
        let mut made = [world.recreate(first, &group), world.recreate(second, &group)];
        made.sort();
        let [followed, other] = made;
        world.rest();
        for number in 0..3 {
            assert_eq!(world.group(number, &group).successor, Some(followed), "{number}");
            assert_eq!(world.members(number, &followed).len(), 3, "{number}");
            if let Some(other) = world.groups(number).into_iter().find(|one| one.log_id == other) {
                assert_eq!(other.successor, Some(followed), "{number}");
            }
        }
        world.say(2, &followed, "together");
        world.rest();
        for number in 0..3 {
            assert_eq!(world.texts_said(number, &followed), ["together"], "{number}");
        }
    }
}

#[test]
fn who_was_no_owner_takes_no_group_over_by_claiming_to_be_its_successor() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.close_with_garbage(&group);
    world.rest();
    // As Cleo knows the group, Ana owns nothing in it.
    let now = world.now;
    let mut roster = {
        let client = &mut world.clients[2];
        let groups = client.store.groups(crate::engine::Time(now), &mut client.rng).unwrap();
        groups.into_iter().find(|one| one.id == group).unwrap().roster
    };
    roster.members[0].role = MEMBER;
    roster.members[1].role = OWNER;
    world.clients[2].put(&key::group_roster(&group), &roster, now);
    let new = world.recreate(0, &group);
    world.rest();
    let (ben, cleo) = (world.group(1, &group), world.group(2, &group));
    assert_eq!((ben.successor, cleo.successor), (Some(new), None));
    let refused = GroupEvent::SuccessorRefused { successor: new, by: world.address(0) };
    assert!(world.was_told(2, &refused) && !world.was_told(1, &refused));
    assert_eq!(world.group(2, &new).predecessor, None, "it is a group like any other");
    assert!(world.clients[2].count(class::GROUP_STATE, now) > 0);
}

#[test]
fn killed_between_any_two_steps_of_making_it_anew_the_group_goes_on_once_or_not_at_all() {
    let mut killed_in = 0;
    for steps in 0..60 {
        let mut world = three();
        let group = world.create(0, "Ward 3", &[(1, MEMBER)]);
        world.close_with_garbage(&group);
        world.rest();
        let mut fuse = Some(steps);
        let recreate = Input::Group(GroupInput::Recreate(group));
        let killed = [recreate, tick(), tick()].iter().any(|input| match world.run_until(0, input, &mut fuse) {
            Ok(result) => {
                result.unwrap();
                world.later(5_000);
                false
            }
            Err(_) => true,
        });
        world.clients[0].restart();
        world.rest();
        match world.group(0, &group).successor {
            Some(new) => {
                assert_eq!((world.groups(0).len(), world.group(1, &group).successor), (2, Some(new)), "{steps}");
                world.say(1, &new, "here");
                world.rest();
                assert_eq!(world.texts_said(0, &new), ["here"], "{steps}");
            }
            None => assert!(world.groups(0).len() == 1 && steps < 2, "{steps}"),
        }
        if !killed {
            assert!(killed_in > 5);
            return;
        }
        killed_in = steps;
    }
    panic!("there are more steps");
}

#[test]
fn who_was_away_while_the_successor_was_named_and_came_back_follows_it() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, MEMBER), (2, MEMBER)]);
    world.away.insert(2);
    let new = world.recreate(0, &group);
    world.rest();
    // What Cleo would have to read has run out: she comes back through a member.
    let epoch = world.group(0, &group).epoch;
    let log = world.server.groups.logs.get_mut(&group).unwrap();
    log.entries.retain(|(of, _)| *of >= epoch);
    log.keys.retain(|of, _| *of >= epoch);
    world.away.clear();
    world.rest();
    assert_eq!(world.group(2, &group).successor, Some(new));
    assert_eq!(world.group(2, &new).standing, GroupStanding::Active);
}

#[test]
fn who_was_an_owner_once_takes_nobody_along_who_has_not_read_that_he_is_none() {
    let mut world = three();
    let group = world.create(0, "Ward 3", &[(1, OWNER), (2, MEMBER)]);
    world.rest();
    // Ben is no owner any more, and goes on as if he were one: his store is put back. Cleo is away.
    let (old, now) = (world.clients[1].disk.copy(), world.now);
    world.away.extend([1, 2]);
    world.change(0, &group, GroupChangeKind::Role(world.address(1), MEMBER));
    world.rest();
    world.clients[1].disk.restore(&old);
    world.clients[1].restart();
    let false_group = world.recreate(1, &group);
    world.away.remove(&1);
    for _ in 0..4 {
        world.later(2_000);
        world.receive(1);
    }
    // Cleo gets the invitation before she has read the log.
    let batch = world.pushed(2);
    world.deliver(2, batch);
    assert!(world.groups(2).iter().any(|one| one.log_id == false_group), "{now}");
    assert_eq!(world.group(2, &group).successor, None, "the group is open, and does not say so");
    world.away.clear();
    world.rest();
    assert_eq!(world.group(2, &group).successor, None);
    assert_eq!(world.group(0, &group).successor, None);
}
