//! Organisations between engines: administrators who sign one after another, members, forks, keys that are lost or stolen,
//! groups whose members must be certified, access in emergencies.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::kind::{Author, OrganisationDraft, OrganisationMessage};
use medipeps_core::organisation::{
    BreakGlass, MembershipError, OnCallEntry, OrganisationId, OrganisationPolicy, OrganisationService,
    OrganisationStatement, StatementDraft,
};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord, OrganisationStanding, OutboxRecord};

use super::world::{World, engine_error, mail};
use crate::account_store::HandleError;
use crate::engine::{
    BreakGlassInput, Certify, CreateGroup, CreateOrganisation, DraftSummary, EngineError, Event, GroupChange,
    GroupEvent, GroupId, GroupInput, Input, MemberStanding, OrganisationEvent, OrganisationInput, OrganisationProblem,
    OrganisationSummary, ProposeStatement, StatementChange, Time,
};

const DAY: u64 = 24 * 3600 * 1000;
const YEAR: u64 = 365 * DAY;

fn key(number: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from([number; 32]))
}

fn public(number: u8) -> VerifyingKey {
    key(number).verifying_key()
}

fn problem(result: Result<(), HandleError>) -> OrganisationProblem {
    match engine_error(result) {
        EngineError::Organisation(problem) => problem,
        other => panic!("{other:?} is about no organisation"),
    }
}

impl World {
    fn org(&mut self, number: usize, input: OrganisationInput) -> Result<(), HandleError> {
        self.run(number, &Input::Organisation(input))
    }

    fn organisations(&mut self, number: usize) -> Vec<OrganisationSummary> {
        let (now, client) = (self.now, &mut self.clients[number]);
        let now = Time(now + client.clock_ahead);
        client.store.organisations(now, &mut client.rng).unwrap()
    }

    fn organisation(&mut self, number: usize) -> OrganisationSummary {
        self.organisations(number).remove(0)
    }

    fn drafts(&mut self, number: usize) -> Vec<DraftSummary> {
        let (now, client) = (self.now, &mut self.clients[number]);
        client.store.organisation_drafts(Time(now), &mut client.rng).unwrap()
    }

    fn take_events(&mut self, number: usize) -> Vec<OrganisationEvent> {
        let events = std::mem::take(&mut self.clients[number].events);
        let of = |event| match event {
            Event::Organisation { event, .. } => Some(event),
            _ => None,
        };
        events.into_iter().filter_map(of).collect()
    }

    /// The first ones administer with keys 1, 2, ..., `threshold` of them; all the others are certified and have joined.
    fn clinic(&mut self, administrators: usize, threshold: u32, policy: OrganisationPolicy) -> OrganisationId {
        for number in 0..administrators {
            let secret = Secret::from([number as u8 + 1; 32]);
            self.org(number, OrganisationInput::AddAdministratorKey(secret)).unwrap();
        }
        let who = |number: usize| (public(number as u8 + 1), Some(self.address(number)));
        let administrators: Vec<_> = (0..administrators).map(who).collect();
        let command = CreateOrganisation {
            address: "office@clinic.example".parse().unwrap(),
            name: "Clinic of the Lake".to_owned(),
            administrators,
            threshold,
            policy,
        };
        self.org(0, OrganisationInput::Create(Box::new(command))).unwrap();
        self.settle();
        self.sign_and_publish(threshold as usize);
        self.organisation(0).record.id
    }

    /// The administrators 1.. sign what 0 has drafted, and 0 publishes.
    fn sign_and_publish(&mut self, threshold: usize) {
        let draft = self.drafts(0).pop().expect("there is a draft").id;
        for number in 1..threshold {
            self.org(number, OrganisationInput::Sign(draft)).unwrap();
            self.settle();
        }
        self.org(0, OrganisationInput::Publish(draft)).unwrap();
        self.settle();
    }

    fn certify(&mut self, organisation: OrganisationId, number: usize, role: &str, ends: u64, threshold: usize) {
        let address = self.address(number);
        if number != 0 {
            let add = Input::AddContact { address: address.clone(), accept_new_key: false };
            self.run(0, &add).unwrap();
        }
        let certify = Certify { organisation, address, role: role.to_owned(), from: None, ends };
        self.org(0, OrganisationInput::Certify(certify)).unwrap();
        self.settle();
        self.sign_and_publish(threshold);
    }

    fn propose(&mut self, organisation: OrganisationId, changes: Vec<StatementChange>) -> Result<(), HandleError> {
        self.org(0, OrganisationInput::Propose(Box::new(ProposeStatement { organisation, changes })))?;
        self.settle();
        Ok(())
    }

    /// Two of three administrators, and `members` who are certified beside them, all joined.
    fn staffed(&mut self, policy: OrganisationPolicy) -> OrganisationId {
        let organisation = self.clinic(3, 2, policy);
        for number in 0..self.clients.len() {
            self.certify(organisation, number, "nurse", self.now + YEAR, 2);
        }
        for number in 2..self.clients.len() {
            self.org(number, OrganisationInput::Join(organisation)).unwrap();
        }
        organisation
    }

    fn standing_of(&mut self, number: usize, member: usize) -> MemberStanding {
        let address = self.address(member);
        let organisation = self.organisation(number);
        if member == number {
            return organisation.own;
        }
        let (now, client) = (self.now, &mut self.clients[number]);
        let now = Time(now + client.clock_ahead);
        let members = client.store.organisation_members(&organisation, now, &mut client.rng).unwrap();
        members.into_iter().find(|one| one.address == address).map_or(MemberStanding::Unknown, |one| one.standing)
    }

    fn role_of(&mut self, number: usize, member: usize) -> Option<String> {
        match self.standing_of(number, member) {
            MemberStanding::Certified(membership) => Some(membership.role),
            _ => None,
        }
    }

    fn lapse_of(&mut self, number: usize, member: usize) -> Option<&'static str> {
        match self.standing_of(number, member) {
            MemberStanding::Lapsed { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Everybody shows everybody his certificate.
    fn introduce(&mut self, organisation: OrganisationId) {
        for number in 0..self.clients.len() {
            for other in (0..self.clients.len()).filter(|other| *other != number) {
                let to = self.address(other);
                self.org(number, OrganisationInput::Present { organisation, to, ask: false }).unwrap();
            }
        }
        self.settle();
    }

    fn ward(
        &mut self,
        number: usize,
        organisation: OrganisationId,
        members: &[usize],
        retention_days: u32,
    ) -> Result<GroupId, HandleError> {
        let members = members.iter().map(|one| (self.address(*one), GroupRoleRecord::Member)).collect();
        let organisation = Some(organisation);
        let (name, description) = ("Ward".to_owned(), String::new());
        let command = CreateGroup { name, description, members, retention_days, organisation };
        self.run(number, &Input::Group(GroupInput::Create(command)))?;
        let made = self.clients[number].events.iter().rev().find_map(|event| match event {
            Event::Group { group, event: GroupEvent::Prepared } => Some(*group),
            _ => None,
        });
        self.rest();
        Ok(made.unwrap())
    }

    fn addresses_in(&mut self, number: usize, group: &GroupId) -> Vec<String> {
        let (now, client) = (self.now, &mut self.clients[number]);
        let groups = client.store.groups(Time(now), &mut client.rng).unwrap();
        let group = groups.into_iter().find(|one| one.id == *group).unwrap();
        group.roster.members.iter().map(|member| member.address.local().to_owned()).collect()
    }

    /// A statement after the newest that a client knows, signed by these keys.
    fn forged(&mut self, number: usize, seats: u32, signers: &[u8]) -> OrganisationStatement {
        let organisation = self.organisation(number);
        let current = organisation.chain.current();
        let policy = OrganisationPolicy { seats, ..current.policy().clone() };
        let administrators = (current.administrators(), current.threshold());
        let draft =
            StatementDraft::new(current.address(), current.name(), Some(current), administrators, policy, 5).unwrap();
        let signatures = signers.iter().map(|number| draft.sign(&key(*number))).collect();
        draft.assemble(signatures).unwrap()
    }

    fn take(&mut self, number: usize, statements: &[&OrganisationStatement]) {
        let id = self.organisation(number).record.id;
        let statements = statements.iter().map(|one| one.encoded()).collect();
        let message = OrganisationMessage { statements, ..OrganisationMessage::about(id) };
        self.org(number, OrganisationInput::Take(message.encode().unwrap())).unwrap();
    }
}

fn policy() -> OrganisationPolicy {
    OrganisationPolicy {
        services: vec![OrganisationService::Mail, OrganisationService::Chat],
        seats: 20,
        ..OrganisationPolicy::default()
    }
}

#[test]
fn three_administrators_on_three_machines_make_an_organisation_and_certify_a_member() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.clinic(3, 2, policy());
    for number in 0..3 {
        let known = world.organisation(number);
        // The third has neither signed nor joined: it is offered to him.
        let joined = if number < 2 { OrganisationStanding::Joined } else { OrganisationStanding::Offered };
        assert_eq!((known.record.id, known.record.standing), (organisation, joined), "{number}");
    }
    world.certify(organisation, 3, "surgeon", world.now + YEAR, 2);
    let events = world.take_events(3);
    let offered = |event: &OrganisationEvent| matches!(event, OrganisationEvent::Offered { name, .. } if name == "Clinic of the Lake");
    assert!(events.iter().any(offered), "{events:?}");
    assert!(matches!(world.role_of(3, 3).as_deref(), Some("surgeon")));
    // Until he has joined he shows it to nobody.
    let to = world.address(1);
    let early = world.org(3, OrganisationInput::Present { organisation, to: to.clone(), ask: true });
    assert_eq!(problem(early), OrganisationProblem::NotJoined);
    world.org(3, OrganisationInput::Join(organisation)).unwrap();
    assert_eq!(problem(world.org(3, OrganisationInput::Join(organisation))), OrganisationProblem::AlreadyJoined);
    world.certify(organisation, 1, "head nurse", world.now + YEAR, 2);
    world.org(3, OrganisationInput::Present { organisation, to, ask: true }).unwrap();
    world.settle();
    assert_eq!(world.role_of(1, 3).as_deref(), Some("surgeon"));
    assert_eq!(world.role_of(3, 1).as_deref(), Some("head nurse"), "who is asked by a member answers");
}

#[test]
fn a_draft_with_too_few_signatures_is_not_published_and_one_without_a_key_is_not_signed() {
    let mut world = World::new(&["claire", "karim", "nadia"]);
    let organisation = world.clinic(2, 2, policy());
    world.propose(organisation, vec![StatementChange::Seats(30)]).unwrap();
    let draft = world.drafts(0)[0].id;
    let refused = problem(world.org(0, OrganisationInput::Publish(draft)));
    assert_eq!(refused, OrganisationProblem::NotEnoughSignatures { valid: 1, needed: 2 });
    // In a file it comes to anybody, who can carry it and do nothing else.
    let file = world.drafts(0)[0].message().encode().unwrap();
    let unknown = problem(world.org(2, OrganisationInput::Take(file.clone())));
    assert_eq!(unknown, OrganisationProblem::Unknown);
    // The second signs his copy of the file while nothing goes over the network, and hands it back as a file.
    let drafts = world.drafts(1);
    assert_eq!(drafts.len(), 1, "it has come over 1:1 too");
    world.org(1, OrganisationInput::Drop(drafts[0].id)).unwrap();
    world.org(1, OrganisationInput::Take(file)).unwrap();
    world.run(1, &Input::Organisation(OrganisationInput::Sign(draft))).unwrap();
    let back = world.drafts(1)[0].message().encode().unwrap();
    world.org(0, OrganisationInput::Take(back)).unwrap();
    assert!(world.drafts(0)[0].is_ready());
    // A person forgets what he has signed for: his key is gone, and he signs no more.
    world.org(1, OrganisationInput::ForgetAdministratorKey(public(2))).unwrap();
    assert_eq!(problem(world.org(1, OrganisationInput::Sign(draft))), OrganisationProblem::NotAdministrator);
    world.org(0, OrganisationInput::Publish(draft)).unwrap();
    world.settle();
    assert_eq!(world.organisation(1).chain.current().policy().seats, 30);
    assert_eq!(problem(world.org(1, OrganisationInput::Publish(draft))), OrganisationProblem::UnknownDraft);
    let nothing = world.propose(organisation, vec![StatementChange::Seats(30)]);
    assert_eq!(problem(nothing), OrganisationProblem::NothingChanged);
}

#[test]
fn an_administrator_s_lost_key_is_replaced_by_the_others() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.staffed(policy());
    world.org(2, OrganisationInput::ForgetAdministratorKey(public(3))).unwrap();
    world.org(2, OrganisationInput::AddAdministratorKey(Secret::from([9; 32]))).unwrap();
    let nadia = Some(world.address(2));
    let changes =
        vec![StatementChange::RemoveAdministrator(public(3)), StatementChange::AddAdministrator(public(9), nadia)];
    world.propose(organisation, changes).unwrap();
    world.sign_and_publish(2);
    for number in 0..4 {
        let known = world.organisation(number);
        assert!(known.chain.current().administrators().contains(&public(9)), "{number}");
        assert_eq!(known.chain.current().version(), 2, "{number}");
    }
    // The new key signs.
    world.propose(organisation, vec![StatementChange::Seats(21)]).unwrap();
    let draft = world.drafts(2)[0].id;
    world.org(2, OrganisationInput::Sign(draft)).unwrap();
    world.settle();
    world.org(2, OrganisationInput::Publish(draft)).unwrap();
    world.settle();
    assert_eq!(world.organisation(3).chain.current().policy().seats, 21);
}

#[test]
fn a_stolen_key_alone_does_nothing_and_its_certificates_are_signed_again_once_it_is_gone() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.staffed(policy());
    world.introduce(organisation);
    // The thief has karim's key, 2, and keys of his own.
    let thieves = world.forged(3, 99, &[2, 7]);
    world.take(3, &[&thieves]);
    let events = world.take_events(3);
    let refused = OrganisationEvent::Refused { from: None, code: "statement_signatures".to_owned() };
    assert!(events.contains(&refused), "{events:?}");
    assert_eq!(world.organisation(3).record.standing, OrganisationStanding::Joined, "and no alarm");
    // Karim is put out. What he has signed lacks his signature from then on: 1 of 2.
    let replaced =
        vec![StatementChange::RemoveAdministrator(public(2)), StatementChange::AddAdministrator(public(8), None)];
    world.propose(organisation, replaced).unwrap();
    let draft = world.drafts(0)[0].id;
    world.org(2, OrganisationInput::Sign(draft)).unwrap();
    world.settle();
    world.org(0, OrganisationInput::Publish(draft)).unwrap();
    world.settle();
    assert_eq!(world.lapse_of(3, 3), Some("certificate_signatures"));
    assert_eq!(world.lapse_of(0, 3), Some("certificate_signatures"));
    world.org(0, OrganisationInput::SignAgain(organisation)).unwrap();
    world.settle();
    let drafts: Vec<_> = world.drafts(0).iter().map(|draft| draft.id).collect();
    assert_eq!(drafts.len(), 4, "each that lacks one");
    for draft in drafts {
        world.org(2, OrganisationInput::Sign(draft)).unwrap();
        world.settle();
        world.org(0, OrganisationInput::Publish(draft)).unwrap();
    }
    world.settle();
    assert_eq!(world.role_of(3, 3).as_deref(), Some("nurse"));
    assert_eq!(world.role_of(0, 3).as_deref(), Some("nurse"));
}

#[test]
fn a_fork_is_an_alarm_and_nothing_is_trusted_until_a_person_has_decided() {
    for take_other in [false, true] {
        let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
        let organisation = world.staffed(policy());
        world.introduce(organisation);
        let other = world.forged(3, 77, &[2, 3]);
        let built_on = {
            let one = world.forged(3, 22, &[1, 2]);
            world.take(3, &[&one]);
            world.take_events(3);
            world.take(3, &[&other]);
            one
        };
        let events = world.take_events(3);
        assert!(events.contains(&OrganisationEvent::Forked { version: 2, by: None }), "{events:?}");
        let known = world.organisation(3);
        assert_eq!((known.record.standing, known.is_trusted()), (OrganisationStanding::Forked, false));
        assert_eq!(known.fork.as_ref().unwrap().followed, Some(built_on.hash()));
        // Nothing of it is trusted: nobody is shown as certified, nobody is on call, nothing is signed or shown.
        let to = world.address(0);
        let present = world.org(3, OrganisationInput::Present { organisation, to, ask: false });
        assert_eq!(problem(present), OrganisationProblem::Forked);
        assert_eq!(known.on_call(None, world.now), Err(OrganisationProblem::Forked));
        let (now, client) = (world.now, &mut world.clients[3]);
        let certified = client.store.certified_contacts(Time(now), &mut client.rng).unwrap();
        assert!(certified.values().all(Vec::is_empty));
        world.org(3, OrganisationInput::Resolve { organisation, take_other }).unwrap();
        let chosen = if take_other { &other } else { &built_on };
        assert_eq!(world.organisation(3).chain.current().hash(), chosen.hash());
        // The other side comes again, and what is built on it: no alarm any more, and nothing of it is taken.
        let lost = if take_other { &built_on } else { &other };
        world.take(3, &[lost]);
        let known = world.organisation(3);
        assert_eq!(
            (known.record.standing, known.chain.current().hash()),
            (OrganisationStanding::Joined, chosen.hash())
        );
        let resolve = world.org(3, OrganisationInput::Resolve { organisation, take_other });
        assert_eq!(problem(resolve), OrganisationProblem::NotForked);
    }
}

#[test]
fn a_fork_that_shows_by_what_is_built_on_it_is_resolved_too() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.staffed(policy());
    let (followed, other) = (world.forged(3, 22, &[1, 2]), world.forged(3, 77, &[2, 3]));
    let administrators = (other.administrators(), other.threshold());
    let next = OrganisationPolicy { seats: 78, ..other.policy().clone() };
    let draft = StatementDraft::new(other.address(), other.name(), Some(&other), administrators, next, 6).unwrap();
    let signatures = vec![draft.sign(&key(2)), draft.sign(&key(3))];
    let next = draft.assemble(signatures).unwrap();
    world.take(3, &[&followed]);
    world.take(3, &[&next]);
    assert_eq!(world.organisation(3).record.standing, OrganisationStanding::Forked);
    world.org(3, OrganisationInput::Resolve { organisation, take_other: true }).unwrap();
    assert_eq!(world.organisation(3).chain.current().version(), 1, "back to where both agree");
    // The side that was given up is properly signed and follows; it is not taken again.
    world.take(3, &[&followed]);
    assert_eq!(world.organisation(3).chain.current().version(), 1);
    world.take(3, &[&other, &next]);
    assert_eq!(world.organisation(3).chain.current().hash(), next.hash());
    assert_eq!(world.organisation(3).record.standing, OrganisationStanding::Joined);
}

#[test]
fn a_fork_shows_between_colleagues_who_were_shown_different_statements() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne", "hugo"]);
    let organisation = world.staffed(policy());
    world.introduce(organisation);
    // Somebody with two keys shows one statement to anne and another to hugo.
    let (one, other) = (world.forged(3, 22, &[1, 2]), world.forged(4, 77, &[2, 3]));
    world.take(3, &[&one]);
    world.take(4, &[&other]);
    // A day later they have asked each other, or somebody who has asked.
    for _ in 0..12 {
        world.later(DAY + 1);
        world.settle();
    }
    for number in [3, 4] {
        assert_eq!(world.organisation(number).record.standing, OrganisationStanding::Forked, "{number}");
    }
}

#[test]
fn who_missed_versions_fetches_those_in_between() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.staffed(policy());
    // Anne is away while three statements are published; they stay in her queue and are thrown away there.
    for seats in [21, 22, 23] {
        world.propose(organisation, vec![StatementChange::Seats(seats)]).unwrap();
        let draft = world.drafts(0)[0].id;
        world.org(1, OrganisationInput::Sign(draft)).unwrap();
        for _ in 0..3 {
            for number in 0..3 {
                world.receive(number);
            }
        }
        world.org(0, OrganisationInput::Publish(draft)).unwrap();
        for _ in 0..3 {
            for number in 0..3 {
                world.receive(number);
            }
        }
        if seats < 23 {
            world.device(3).queue.clear();
        }
    }
    assert_eq!(world.organisation(3).chain.current().version(), 1);
    world.settle();
    assert_eq!(world.organisation(3).chain.current().version(), 4, "what was missing was asked for");
    assert_eq!(world.organisation(3).chain.current().policy().seats, 23);
}

#[test]
fn a_statement_larger_than_an_envelope_travels_in_pieces() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.staffed(policy());
    let entry = |number: u64| OnCallEntry {
        from: world.now + number * 1000,
        until: world.now + (number + 1) * 1000,
        function: format!("anaesthesia and intensive care {number}"),
        addresses: (0..3).map(|one| format!("colleague-{one}@clinic.example").parse().unwrap()).collect(),
    };
    let rota: Vec<_> = (0..1536).map(entry).collect();
    world.propose(organisation, vec![StatementChange::OnCall(rota.clone())]).unwrap();
    let OrganisationDraft::Statement(bytes) = world.drafts(1)[0].record.draft.clone() else { panic!() };
    assert!(bytes.len() > 180_000, "{}", bytes.len());
    world.sign_and_publish(2);
    let known = world.organisation(3);
    assert_eq!(known.chain.current().policy().on_call, rota);
    let on_call = known.on_call(Some("Anaesthesia and intensive care 7"), rota[7].from).unwrap();
    assert_eq!((on_call.len(), on_call[0].addresses.len()), (1, 3));
    assert_eq!(known.on_call(Some("surgery"), rota[7].from), Ok(Vec::new()));
}

#[test]
fn seats_are_counted_and_a_serial_is_never_used_twice() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne", "hugo"]);
    let organisation = world.clinic(2, 2, OrganisationPolicy { seats: 1, ..policy() });
    world.certify(organisation, 2, "nurse", world.now + YEAR, 2);
    // Another one for the same person needs no other seat, and has a higher serial.
    world.certify(organisation, 2, "head nurse", world.now + YEAR, 2);
    let serials = {
        let organisation = world.organisation(0);
        let (now, client) = (world.now, &mut world.clients[0]);
        let mut members = client.store.organisation_members(&organisation, Time(now), &mut client.rng).unwrap();
        members.remove(0).serials
    };
    assert!(serials.len() == 2 && serials[0] < serials[1], "{serials:?}");
    assert_eq!(world.role_of(0, 2).as_deref(), Some("head nurse"));
    let address = world.address(3);
    world.run(0, &Input::AddContact { address: address.clone(), accept_new_key: false }).unwrap();
    let certify = |address| Certify { organisation, address, role: "nurse".to_owned(), from: None, ends: u64::MAX };
    let full = problem(world.org(0, OrganisationInput::Certify(certify(address.clone()))));
    assert_eq!(full, OrganisationProblem::SeatsExceeded { seats: 1, members: 1 });
    let unknown = engine_error(world.org(0, OrganisationInput::Certify(certify(world.address(4)))));
    assert_eq!(unknown, EngineError::UnknownContact(world.address(4)));
    // Whoever leaves makes room.
    world.propose(organisation, vec![StatementChange::RevokeAccount(world.address(2))]).unwrap();
    world.sign_and_publish(2);
    assert_eq!(world.lapse_of(2, 2), Some("certificate_revoked"));
    world.certify(organisation, 3, "nurse", world.now + YEAR, 2);
    // A clock that was put back, or a store that forgot, gives no serial again.
    world.now -= 300 * DAY;
    let certify = Certify { organisation, address, role: "nurse".to_owned(), from: None, ends: world.now + YEAR };
    world.org(0, OrganisationInput::Certify(certify)).unwrap();
    let drafted = world.drafts(0)[0].certificate.clone().unwrap().serial();
    assert!(serials.iter().all(|serial| drafted > *serial), "{drafted} {serials:?}");
}

#[test]
fn what_is_switched_off_is_refused_where_it_is_sent_and_marked_where_it_comes() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne"]);
    let organisation = world.staffed(policy());
    world.introduce(organisation);
    let to = world.address(1);
    // Said while it was allowed, read when it is not any more.
    world.send(3, mail(&to, "Potassium 6.1"));
    world.settle();
    world.propose(organisation, vec![StatementChange::Services(vec![OrganisationService::Chat])]).unwrap();
    world.sign_and_publish(2);
    let refused = problem(world.run(3, &Input::SendMail(mail(&to, "again"))));
    let name = "Clinic of the Lake".to_owned();
    assert_eq!(refused, OrganisationProblem::ServiceOff { service: "mail", organisation: name });
    let (now, client) = (world.now, &mut world.clients[1]);
    let messages = client.store.messages(Time(now), &mut client.rng).unwrap();
    let certified = client.store.certified_senders(&messages, Time(now), &mut client.rng).unwrap();
    let said = &certified.values().next().unwrap()[0];
    assert_eq!((said.role.as_str(), said.service_off), ("nurse", true));
    // Who is no member any more is bound by nothing.
    world.propose(organisation, vec![StatementChange::RevokeAccount(world.address(3))]).unwrap();
    world.sign_and_publish(2);
    world.run(3, &Input::SendMail(mail(&to, "free"))).unwrap();
}

#[test]
fn a_group_of_an_organisation_takes_in_who_is_certified_and_nobody_else() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne", "eve"]);
    let organisation = world.clinic(3, 2, OrganisationPolicy { retention_days: Some(90), ..policy() });
    for number in [0, 1, 2, 3] {
        world.certify(organisation, number, "nurse", world.now + YEAR, 2);
    }
    world.org(3, OrganisationInput::Join(organisation)).unwrap();
    world.publish_key_packages();
    let too_long = problem(world.ward(0, organisation, &[3], 0).map(|_| ()));
    assert!(matches!(too_long, OrganisationProblem::RetentionTooLong { max: 90, .. }), "{too_long:?}");
    let stranger = problem(world.ward(0, organisation, &[3, 4], 30).map(|_| ()));
    assert_eq!(stranger, OrganisationProblem::MemberNotCertified(world.address(4)));
    let group = world.ward(0, organisation, &[3], 30).unwrap();
    assert_eq!(world.addresses_in(3, &group), ["anne", "claire"]);
    let change = |what| Input::Group(GroupInput::Change(GroupChange { group, what }));
    let add = change(GroupChangeKind::Add(world.address(4), GroupRoleRecord::Member));
    assert_eq!(problem(world.run(0, &add)), OrganisationProblem::MemberNotCertified(world.address(4)));
    let longer = problem(world.run(0, &change(GroupChangeKind::Retention(91))));
    assert!(matches!(longer, OrganisationProblem::RetentionTooLong { .. }));
    // The policy gets stricter: the owner's device follows by itself.
    world.propose(organisation, vec![StatementChange::Retention(Some(7))]).unwrap();
    world.sign_and_publish(2);
    world.rest();
    let (now, client) = (world.now, &mut world.clients[3]);
    let known = client.store.groups(Time(now), &mut client.rng).unwrap();
    assert_eq!(known[0].roster.retention_days, 7);
}

#[test]
fn who_is_revoked_is_taken_out_at_once_and_who_has_ended_by_the_server_s_clock_alone() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne", "hugo"]);
    let organisation = world.clinic(3, 2, policy());
    for (number, days) in [(0, 365), (1, 365), (2, 365), (3, 365), (4, 30)] {
        world.certify(organisation, number, "nurse", world.now + days * DAY, 2);
    }
    world.publish_key_packages();
    let group = world.ward(0, organisation, &[1, 3, 4], 0).unwrap();
    assert_eq!(world.addresses_in(0, &group), ["anne", "claire", "hugo", "karim"]);
    world.propose(organisation, vec![StatementChange::RevokeAccount(world.address(3))]).unwrap();
    world.sign_and_publish(2);
    world.rest();
    assert_eq!(world.addresses_in(1, &group), ["claire", "hugo", "karim"]);
    // The owner's clock is two months ahead. It asks the server by an entry of its own, and takes nobody out.
    world.clients[0].clock_ahead = 60 * DAY;
    for _ in 0..3 {
        world.run(0, &super::world::tick()).unwrap();
        world.rest();
    }
    assert_eq!(world.lapse_of(0, 4), Some("certificate_ended"), "by the wrong clock");
    assert_eq!(world.addresses_in(1, &group), ["claire", "hugo", "karim"], "a wrong clock empties no group");
    world.clients[0].clock_ahead = 0;
    world.later(31 * DAY);
    for _ in 0..3 {
        world.run(0, &super::world::tick()).unwrap();
        world.rest();
        world.later(60_001);
    }
    assert_eq!(world.addresses_in(1, &group), ["claire", "karim"], "by everybody's clock");
}

#[test]
fn the_glass_breaks_after_enough_have_agreed_and_everybody_is_told_and_not_before() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne", "hugo"]);
    let organisation = world.staffed(policy());
    world.publish_key_packages();
    let group = world.ward(0, organisation, &[1, 2, 3], 0).unwrap();
    world.introduce(organisation);
    let glass = BreakGlass {
        who: vec![world.address(1), world.address(2), world.address(3)],
        required: 2,
        duration: 3_600_000,
        notified: vec![world.address(4)],
        log_id: group,
    };
    let none = BreakGlassInput::Request { organisation, reason: "Why".into(), subject: "What".into() };
    assert_eq!(problem(world.org(3, OrganisationInput::BreakGlass(none))), OrganisationProblem::NoBreakGlass);
    world.propose(organisation, vec![StatementChange::BreakGlass(Some(glass))]).unwrap();
    world.sign_and_publish(2);
    let ask = BreakGlassInput::Request {
        organisation,
        reason: "Unconscious, no relatives".into(),
        subject: "The file of bed 4".into(),
    };
    world.org(3, OrganisationInput::BreakGlass(ask)).unwrap();
    world.rest();
    let state = |world: &mut World, number: usize| {
        let (now, client) = (world.now, &mut world.clients[number]);
        client.store.break_glass(Time(now), &mut client.rng).unwrap().remove(0)
    };
    let request = state(&mut world, 1).record.request;
    let open = || OrganisationInput::BreakGlass(BreakGlassInput::Open { organisation, request });
    let agree = || OrganisationInput::BreakGlass(BreakGlassInput::Agree { organisation, request });
    assert_eq!(problem(world.org(3, open())), OrganisationProblem::NotAgreed { agreed: 1, required: 2 });
    assert_eq!(problem(world.org(0, agree())), OrganisationProblem::MayNotAgree);
    world.org(1, agree()).unwrap();
    world.rest();
    assert_eq!(state(&mut world, 3).state, "granted");
    assert_eq!(problem(world.org(1, open())), OrganisationProblem::NotRequester);
    // Nothing leaves yet: neither the log nor hugo knows, so nothing is open.
    world.run(3, &Input::Organisation(open())).unwrap();
    assert_eq!(state(&mut world, 3).state, "announced");
    // In the log, and hugo is not told yet: the notice is held back.
    let (hugo, notice) = state(&mut world, 3).record.notices[0].clone();
    let key = crate::engine::key::outbox(&notice, &hugo);
    let entry = OutboxRecord {
        content_id: notice,
        recipient: hugo,
        created: world.now,
        submission_id: None,
        attempts: 0,
        next_attempt: 0,
        fetch_prekeys: false,
        blocked: Some("held back".to_owned()),
        receipt: false,
        device: None,
    };
    world.clients[3].put(&key, &entry, world.now);
    world.rest();
    let held = state(&mut world, 3);
    assert_eq!((held.state, held.record.logged), ("announced", true), "who is to know must know first");
    world.clients[3].put(&key, &OutboxRecord { blocked: None, ..entry }, world.now);
    world.rest();
    assert_eq!(state(&mut world, 3).state, "open");
    assert_eq!(state(&mut world, 0).state, "used");
    let events = world.take_events(4);
    let told =
        |event: &OrganisationEvent| matches!(event, OrganisationEvent::BreakGlass { what, .. } if what == "used");
    assert!(events.iter().any(told), "{events:?}");
    assert_eq!(problem(world.org(3, open())), OrganisationProblem::AlreadyUsed);
    // It ends by itself.
    world.later(3_600_000);
    assert_eq!(state(&mut world, 3).state, "over");
    assert_eq!(state(&mut world, 0).state, "over");
}

#[test]
fn a_certificate_of_somebody_else_is_worth_nothing_in_other_hands() {
    let mut world = World::new(&["claire", "karim", "nadia", "anne", "eve"]);
    let organisation = world.clinic(3, 2, policy());
    world.certify(organisation, 3, "surgeon", world.now + YEAR, 2);
    let certificate = world.organisation(3).record.certificate.unwrap();
    let chain = world.organisation(0).chain;
    let certificate = medipeps_core::organisation::MemberCertificate::decode(&certificate).unwrap();
    let eve = Author { address: world.address(3), account_key: public(7) };
    assert_eq!(chain.membership(&certificate, &eve, world.now), Err(MembershipError::OtherAccount));
}
