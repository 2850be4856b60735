//! Where other domains are: what a person says, the trust list, DNS; and those that have left the list.

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::trust_list::{TrustList, TrustListError, TrustListFields, TrustedDomain};
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, FetchTrustListReply, Request, Response};

use super::world::{Client, World, engine_error, mail, tick};
use crate::engine::{Connection, Correlation, DomainEvent, DomainInput, DomainProblem, EngineError};
use crate::engine::{Event, Input, Place, SendMail, Time};
use crate::limits::TRUST_LIST_ASK_MS;

const OTHER: &str = "other.example";
const DAY: u64 = 86_400_000;

fn signer() -> SigningKey {
    SigningKey::from_secret(&Secret::from([1; 32]))
}

/// A list of these domains for a day.
fn list(world: &World, number: u64, domains: &[&str]) -> TrustList {
    let one = |domain: &&str| TrustedDomain {
        domain: (*domain).to_owned(),
        host: format!("mail.{domain}"),
        port: 4433,
        server_key: SigningKey::from_secret(&Secret::from([number as u8; 32])).verifying_key(),
        spki_pins: Vec::new(),
    };
    let domains = domains.iter().map(one).collect();
    TrustList::sign(TrustListFields { number, issued: world.now, expires: world.now + DAY, domains }, &signer())
        .unwrap()
}

fn domain(world: &mut World, input: DomainInput) -> Result<(), EngineError> {
    match world.run(0, &Input::Domain(input)) {
        Ok(()) => Ok(()),
        refused => Err(engine_error(refused)),
    }
}

fn follow(world: &mut World, only_listed: bool) {
    domain(world, DomainInput::Follow { signer: signer().verifying_key(), only_listed }).unwrap();
}

fn take(world: &mut World, number: u64, domains: &[&str]) {
    let list = list(world, number, domains);
    domain(world, DomainInput::TakeList(list.encoded().to_vec())).unwrap();
}

fn set(world: &mut World, endpoint: &str) -> Result<(), EngineError> {
    domain(world, DomainInput::Set { domain: OTHER.into(), endpoint: endpoint.into(), server_key_hash: None })
}

fn place(world: &mut World) -> Result<Place, DomainProblem> {
    let now = Time(world.now);
    let client = &mut world.clients[0];
    client.store.place(OTHER, now, &mut client.rng).unwrap()
}

fn endpoint(world: &mut World) -> String {
    match place(world) {
        Ok(Place::Known { endpoint, .. }) => endpoint,
        other => panic!("no place is known: {other:?}"),
    }
}

/// Claire, and Eve of the other domain as her contact.
fn claire_and_eve() -> (World, Address) {
    let mut world = World::new(&["claire", "paul"]);
    let eve: Address = format!("eve@{OTHER}").parse().unwrap();
    world.clients.push(Client::new_at(eve.clone(), 50, world.now));
    let creation = world.creation(2);
    world.run(2, &creation).unwrap();
    world.run(0, &Input::AddContact { address: eve.clone(), accept_new_key: false }).unwrap();
    (world, eve)
}

#[test]
fn a_person_counts_before_the_list_and_the_list_before_dns() {
    let mut world = World::new(&["claire"]);
    assert_eq!(place(&mut world), Ok(Place::LookUp { before: None }));
    let found = DomainInput::Found { domain: OTHER.into(), endpoint: "dns:1".into(), server_key_hash: [7; 32] };
    domain(&mut world, found.clone()).unwrap();
    assert_eq!(place(&mut world), Ok(Place::LookUp { before: Some(("dns:1".into(), [7; 32])) }));
    // DNS may say another place, not another key.
    let moved = DomainInput::Found { domain: OTHER.into(), endpoint: "dns:2".into(), server_key_hash: [7; 32] };
    domain(&mut world, moved).unwrap();
    let other = DomainInput::Found { domain: OTHER.into(), endpoint: "dns:2".into(), server_key_hash: [8; 32] };
    assert_eq!(domain(&mut world, other), Err(EngineError::ServerKeyChanged(OTHER.into())));
    follow(&mut world, false);
    take(&mut world, 1, &[OTHER]);
    let listed = list(&world, 1, &[OTHER]).domain(OTHER).unwrap().clone();
    let known = |place: Result<Place, DomainProblem>| match place {
        Ok(Place::Known { endpoint, server_key_hash, .. }) => (endpoint, server_key_hash),
        other => panic!("{other:?}"),
    };
    assert_eq!(known(place(&mut world)), (listed.endpoint(), Some(listed.server_key_hash())));
    set(&mut world, "person:1").unwrap();
    assert_eq!(known(place(&mut world)), ("person:1".into(), Some([7; 32])), "a server may move, its key stays");
    domain(&mut world, found).unwrap();
    assert_eq!(endpoint(&mut world), "person:1", "DNS changes nothing of what a person has said");
    domain(&mut world, DomainInput::Remove { domain: OTHER.into() }).unwrap();
    assert_eq!(endpoint(&mut world), listed.endpoint());
    let unknown = domain(&mut world, DomainInput::Remove { domain: OTHER.into() });
    assert_eq!(unknown, Err(EngineError::UnknownDomain(OTHER.into())));
    domain(&mut world, DomainInput::Unfollow).unwrap();
    assert_eq!(place(&mut world), Ok(Place::LookUp { before: None }));
}

#[test]
fn what_waits_for_a_domain_that_leaves_fails_and_nothing_more_is_sent_there() {
    let (mut world, eve) = claire_and_eve();
    let paul = world.address(1);
    follow(&mut world, false);
    take(&mut world, 1, &[OTHER]);
    world.send(0, mail(&eve, "before"));
    set(&mut world, "person:1").unwrap();
    let both = SendMail { cc: vec![paul.clone()], ..mail(&eve, "both") };
    world.clients[0].handle(&Input::SendMail(both), world.now).unwrap();
    let id = world.clients[0].messages(world.now)[0].id;
    let submitted = world.server.submitted().len();
    take(&mut world, 2, &["sea.example"]);
    let left = Event::Domain(DomainEvent::ListTaken {
        number: 2,
        joined: vec!["sea.example".into()],
        left: vec![OTHER.into()],
    });
    assert!(world.clients[0].events.contains(&left));
    world.send_all(0);
    let sent: Vec<_> = world.server.submitted()[submitted..].iter().map(|one| one.address.clone()).collect();
    assert_eq!(sent, [paul], "the other recipient gets it");
    assert_eq!(world.state(0, id), (RecipientState::Failed, Some("domain_left".into())));
    // Whatever is tried, by name.
    let problem = DomainProblem::Left { domain: OTHER.into(), number: 2 };
    assert_eq!(place(&mut world), Err(problem.clone()));
    let refused = EngineError::Domain(problem);
    assert_eq!(set(&mut world, "person:2"), Err(refused.clone()));
    assert_eq!(engine_error(world.run(0, &Input::SendMail(mail(&eve, "after")))), refused);
    let add = Input::AddContact { address: eve.clone(), accept_new_key: true };
    assert_eq!(engine_error(world.run(0, &add)), refused);
    // It comes back with a list that has it; what a person had said of it counts again.
    take(&mut world, 3, &[OTHER]);
    assert_eq!(endpoint(&mut world), "person:1");
    world.send(0, mail(&eve, "again"));
}

/// A receipt, for instance, that is made after the domain has left.
#[test]
fn what_comes_into_the_outbox_for_a_domain_that_has_left_fails_too() {
    let (mut world, eve) = claire_and_eve();
    follow(&mut world, false);
    take(&mut world, 1, &[OTHER]);
    let claire = world.address(0);
    world.run(2, &Input::AddContact { address: claire.clone(), accept_new_key: false }).unwrap();
    world.send(2, mail(&claire, "please confirm"));
    take(&mut world, 2, &[]);
    let before = world.server.submitted().len();
    world.receive(0);
    world.later(3_600_000);
    world.send_all(0);
    assert_eq!(world.server.submitted().len(), before, "no receipt to {eve}");
    let now = Time(world.now);
    let client = &mut world.clients[0];
    assert_eq!(client.store.status(now, &mut client.rng).unwrap().outbox, []);
}

#[test]
fn a_list_that_has_run_out_is_followed_no_more_and_what_waits_is_not_lost() {
    let (mut world, eve) = claire_and_eve();
    follow(&mut world, false);
    take(&mut world, 1, &[OTHER]);
    world.later(DAY - 1);
    assert!(place(&mut world).is_ok());
    world.later(1);
    assert_eq!(place(&mut world), Err(DomainProblem::ListExpired(OTHER.into())));
    world.clients[0].handle(&Input::SendMail(mail(&eve, "waits")), world.now).unwrap();
    let id = world.clients[0].messages(world.now)[0].id;
    let over = list(&world, 2, &[OTHER]);
    world.later(DAY);
    let refused = domain(&mut world, DomainInput::TakeList(over.encoded().to_vec()));
    assert_eq!(refused, Err(EngineError::TrustList(TrustListError::Expired)));
    assert_eq!(world.state(0, id).0, RecipientState::Queued);
    take(&mut world, 3, &[OTHER]);
    world.send_all(0);
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
}

#[test]
fn who_keeps_to_the_list_reaches_nobody_else() {
    let mut world = World::new(&["claire"]);
    set(&mut world, "person:1").unwrap();
    follow(&mut world, true);
    assert_eq!(place(&mut world), Err(DomainProblem::NotListed(OTHER.into())), "no list has come yet");
    take(&mut world, 1, &["sea.example"]);
    assert_eq!(place(&mut world), Err(DomainProblem::NotListed(OTHER.into())));
    assert!(matches!(set(&mut world, "person:2"), Err(EngineError::Domain(DomainProblem::NotListed(_)))));
    take(&mut world, 2, &[OTHER]);
    assert_eq!(endpoint(&mut world), "person:1");
    follow(&mut world, false);
    take(&mut world, 3, &[OTHER]);
    assert_eq!(endpoint(&mut world), "person:1");
}

#[test]
fn only_the_list_of_the_signer_with_the_highest_number_is_taken() {
    let mut world = World::new(&["claire"]);
    let first = list(&world, 1, &[OTHER]);
    let take_it = |list: &TrustList| DomainInput::TakeList(list.encoded().to_vec());
    assert_eq!(domain(&mut world, take_it(&first)), Err(EngineError::NoTrustList));
    follow(&mut world, false);
    let second = list(&world, 2, &[OTHER]);
    domain(&mut world, take_it(&second)).unwrap();
    domain(&mut world, take_it(&second)).unwrap();
    let older = TrustListError::Older { found: 1, known: 2 };
    assert_eq!(domain(&mut world, take_it(&first)), Err(EngineError::TrustList(older)));
    let forked = list(&world, 2, &[]);
    assert_eq!(domain(&mut world, take_it(&forked)), Err(EngineError::TrustList(TrustListError::Forked(2))));
    let other = SigningKey::from_secret(&Secret::from([2; 32]));
    let forged = TrustList::sign(list(&world, 9, &[]).fields().clone(), &other).unwrap();
    assert_eq!(domain(&mut world, take_it(&forged)), Err(EngineError::TrustList(TrustListError::Signature)));
    assert!(place(&mut world).is_ok());
    // Another signer begins anew: what the former said of domains counts no more, and the numbers neither.
    domain(&mut world, DomainInput::Follow { signer: other.verifying_key(), only_listed: false }).unwrap();
    assert_eq!(place(&mut world), Ok(Place::LookUp { before: None }));
    let own = TrustList::sign(list(&world, 1, &[]).fields().clone(), &other).unwrap();
    domain(&mut world, take_it(&own)).unwrap();
}

#[test]
fn the_own_server_is_asked_from_time_to_time_and_trusted_for_nothing() {
    let mut world = World::new(&["claire"]);
    let asked = |world: &mut World| -> Vec<u64> {
        let handled = world.clients[0].handle(&tick(), world.now).unwrap();
        let known = handled.outgoing.iter().filter_map(|one| match &one.send {
            crate::engine::Send::Request(Request::FetchTrustList { known }) => {
                assert_eq!(one.connection, Connection::Anonymous("clinic.example".into()));
                Some(*known)
            }
            _ => None,
        });
        known.collect()
    };
    assert!(asked(&mut world).is_empty());
    follow(&mut world, false);
    assert_eq!(asked(&mut world), [0]);
    let answer = |world: &mut World, result: Result<FetchTrustListReply, ErrorReply>| {
        let result = result.map(Response::FetchTrustList);
        world.run(0, &Input::Reply { to: Correlation::FetchTrustList, result }).unwrap();
    };
    let encoded = |list: TrustList| FetchTrustListReply { number: 3, list: list.encoded().to_vec() };
    let third = encoded(list(&world, 3, &[OTHER]));
    answer(&mut world, Ok(third));
    assert!(place(&mut world).is_ok_and(|place| matches!(place, Place::Known { .. })));
    assert!(asked(&mut world).is_empty());
    world.later(TRUST_LIST_ASK_MS);
    assert_eq!(asked(&mut world), [3]);
    // What it says wrongly changes nothing, is said, and is no reason to ask all the time.
    let older = encoded(list(&world, 2, &[]));
    let refused = [
        Ok(older),
        Ok(FetchTrustListReply { number: 4, list: vec![1, 2, 3] }),
        Ok(FetchTrustListReply { number: 0, list: Vec::new() }),
        Err(ErrorReply::new(ErrorCode::RateLimited, "")),
    ];
    for reply in refused {
        world.clients[0].events.clear();
        answer(&mut world, reply);
        let event = world.clients[0].events.last();
        assert!(matches!(event, Some(Event::Domain(DomainEvent::ListRefused { .. }))), "{event:?}");
        assert!(asked(&mut world).is_empty());
        assert!(place(&mut world).is_ok_and(|place| matches!(place, Place::Known { .. })));
    }
    // A clock that was a year ahead does not keep it from asking.
    world.clients[0].clock_ahead = 365 * DAY;
    assert_eq!(asked(&mut world).len(), 1);
    answer(&mut world, Ok(FetchTrustListReply { number: 3, list: Vec::new() }));
    world.clients[0].clock_ahead = 0;
    assert_eq!(asked(&mut world).len(), 1);
}

/// Otherwise whoever writes could make a device look up and visit whatever he likes.
#[test]
fn who_writes_from_a_domain_that_nobody_has_named_is_not_looked_up() {
    let mut world = World::new(&["claire"]);
    let eve: Address = format!("eve@{OTHER}").parse().unwrap();
    world.clients.push(Client::new_at(eve, 50, world.now));
    let creation = world.creation(1);
    world.run(1, &creation).unwrap();
    let claire = world.address(0);
    world.run(1, &Input::AddContact { address: claire.clone(), accept_new_key: false }).unwrap();
    world.send(1, mail(&claire, "hello"));
    let asked = |world: &World| {
        world
            .sent_over
            .iter()
            .any(|(number, connection, _)| *number == 0 && *connection == Connection::Anonymous(OTHER.into()))
    };
    world.receive(0);
    assert!(!asked(&world));
    set(&mut world, "person:1").unwrap();
    world.send_all(0);
    assert!(asked(&world));
}
