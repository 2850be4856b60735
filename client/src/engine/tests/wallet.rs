//! Tokens: drawn when it is time, spent once, and for a domain elsewhere by a voucher.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::wire::client_records::RecipientState;
use medipeps_core::wire::transport::{ErrorCode, Payment, Request};

use super::issuers::{BATCH, Issuer, VOUCHER};
use super::world::{Client, DOMAIN, World, mail, tick};
use crate::engine::{Connection, Event, Input, Send, Time, WalletEvent};

const OTHER: &str = "other.example";
const DAY: u64 = 86_400_000;

/// Claire and Paul at a server that takes nothing that is not paid.
fn world() -> World {
    let mut world = World::new(&["claire", "paul"]);
    world.issuers.by_domain.insert(DOMAIN.into(), Issuer::new(1));
    world
}

fn prove(world: &mut World, number: usize) {
    world.run(number, &Input::Authenticated { highest_generation: 0, statement_version: 1 }).unwrap();
}

fn tokens(world: &mut World, number: usize, domain: &str) -> u32 {
    let now = Time(world.now);
    let client = &mut world.clients[number];
    let _ = client.store.generation(now, &mut client.rng);
    let status = client.store.status(now, &mut client.rng).unwrap();
    status.wallets.iter().find(|wallet| wallet.domain == domain).map_or(0, |wallet| wallet.tokens)
}

fn draws(world: &World, domain: &str) -> usize {
    world.issuers.by_domain[domain].drawn.len()
}

#[test]
fn a_batch_is_drawn_each_day_and_never_because_something_is_sent() {
    let mut world = world();
    let paul = world.address(1);
    // Nothing was drawn yet: what is to be sent waits, and that it waits draws nothing.
    world.clients[0].handle(&Input::SendMail(mail(&paul, "waits")), world.now).unwrap();
    let id = world.clients[0].messages(world.now)[0].id;
    world.send_all(0);
    assert_eq!(world.state(0, id), (RecipientState::Queued, Some("PriceNotPaid".into())));
    assert_eq!((tokens(&mut world, 0, DOMAIN), draws(&world, DOMAIN)), (0, 0));
    prove(&mut world, 0);
    assert_eq!((tokens(&mut world, 0, DOMAIN), draws(&world, DOMAIN)), (BATCH, 1));
    // What waited is due at once: prekeys and the submission.
    world.send_all(0);
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
    assert_eq!(tokens(&mut world, 0, DOMAIN), BATCH - 2);
    // Not again on that day, however often it is proved and whatever is sent.
    for _ in 2..BATCH {
        world.send(0, mail(&paul, "more"));
        prove(&mut world, 0);
    }
    assert_eq!((tokens(&mut world, 0, DOMAIN), draws(&world, DOMAIN)), (0, 1));
    let id = world.send(0, mail(&paul, "too much"));
    prove(&mut world, 0);
    assert_eq!(world.state(0, id).1.as_deref(), Some("PriceNotPaid"));
    assert_eq!(draws(&world, DOMAIN), 1);
    // Paul confirms what has come, so that nothing of it is sent again.
    prove(&mut world, 1);
    world.settle();
    let before = draws(&world, DOMAIN);
    // At some time of the next day, for what is left of it and the day after.
    world.later(2 * DAY);
    prove(&mut world, 0);
    assert_eq!((tokens(&mut world, 0, DOMAIN), draws(&world, DOMAIN)), (BATCH, before + 1));
    world.send_all(0);
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
    // What runs out is not shown any more.
    world.later(2 * DAY);
    assert_eq!(tokens(&mut world, 0, DOMAIN), 0);
}

#[test]
fn a_repeat_shows_the_same_token_and_a_token_that_was_refused_is_not_shown_again() {
    let mut world = world();
    let paul = world.address(1);
    prove(&mut world, 0);
    world.send(0, mail(&paul, "first"));
    world.clients[0].handle(&Input::SendMail(mail(&paul, "second")), world.now).unwrap();
    let paid = |world: &mut World| -> Vec<Payment> {
        let handled = world.clients[0].handle(&tick(), world.now).unwrap();
        let payment = handled.outgoing.iter().filter_map(|one| match &one.send {
            Send::Request(Request::Submit(submit)) => Some(submit.payment.clone()),
            _ => None,
        });
        payment.collect()
    };
    // The process dies again and again before the answer comes.
    let first = paid(&mut world);
    assert!(matches!(&first[..], [Payment::Tokens(tokens)] if tokens.len() == 1));
    world.clients[0].restart();
    assert_eq!(paid(&mut world), first);
    let before = world.sent_over.len();
    world.issuers.by_domain.get_mut(DOMAIN).unwrap().refusals =
        vec![ErrorCode::TokenSpent, ErrorCode::TokenRefused, ErrorCode::UnknownIssuerKey];
    for _ in 0..4 {
        world.send_all(0);
        world.later(3_600_000);
    }
    let shown: Vec<Payment> = world.sent_over[before..]
        .iter()
        .filter_map(|(by, _, request)| match request {
            Request::Submit(submit) if *by == 0 && submit.address == paul => Some(submit.payment.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((shown.len(), &shown[0]), (4, &first[0]));
    assert!((1..4).all(|at| !shown[..at].contains(&shown[at])), "{shown:?}");
    world.send_all(0);
    world.settle();
    assert_eq!(world.texts(1), ["first", "second"]);
}

#[test]
fn a_server_that_shows_other_keys_to_the_proved_connection_gets_nothing_to_sign() {
    let mut world = world();
    world.issuers.by_domain.get_mut(DOMAIN).unwrap().marking = Some(77);
    prove(&mut world, 0);
    assert_eq!((tokens(&mut world, 0, DOMAIN), draws(&world, DOMAIN)), (0, 0));
    let cheats = Event::Wallet(WalletEvent::IssuerCheats { domain: DOMAIN.into() });
    assert!(world.clients[0].events.contains(&cheats));
    world.issuers.by_domain.get_mut(DOMAIN).unwrap().marking = None;
    world.later(2 * DAY);
    prove(&mut world, 0);
    assert_eq!(tokens(&mut world, 0, DOMAIN), BATCH);
}

#[test]
fn a_voucher_pays_elsewhere_and_what_it_gives_is_spent_over_another_connection() {
    let mut world = world();
    world.issuers.by_domain.insert(OTHER.into(), Issuer::new(100));
    let eve: Address = format!("eve@{OTHER}").parse().unwrap();
    world.clients.push(Client::new_at(eve.clone(), 50, world.now));
    let creation = world.creation(2);
    world.run(2, &creation).unwrap();
    prove(&mut world, 0);
    world.run(0, &Input::AddContact { address: eve.clone(), accept_new_key: false }).unwrap();
    assert_eq!(tokens(&mut world, 0, OTHER), VOUCHER);
    assert_eq!(world.issuers.by_domain[OTHER].drawn, [Connection::Redemption(OTHER.into())]);
    let id = world.send(0, mail(&eve, "paid by a voucher"));
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
    assert_eq!((tokens(&mut world, 0, OTHER), tokens(&mut world, 0, DOMAIN)), (VOUCHER - 2, BATCH));
    let connections: BTreeSet<_> = world
        .sent_over
        .iter()
        .filter(|(_, _, request)| matches!(request, Request::Submit(_)))
        .map(|(_, connection, _)| format!("{connection:?}"))
        .collect();
    assert_eq!(connections, BTreeSet::from([format!("{:?}", Connection::Anonymous(OTHER.into()))]));
    // When they run low another voucher is drawn with the next proof, before they are gone.
    for _ in 3..VOUCHER {
        world.send(0, mail(&eve, "more"));
    }
    world.later(3_600_000);
    prove(&mut world, 0);
    assert_eq!(tokens(&mut world, 0, OTHER), VOUCHER + 1);
}

/// A restore retires a server's keys: what was drawn is worth nothing, nobody waits for the next day, and what was refused goes out.
#[test]
fn tokens_of_a_server_that_was_restored_are_thrown_away_and_others_drawn_at_once() {
    let mut world = world();
    let paul = world.address(1);
    prove(&mut world, 0);
    world.send(0, mail(&paul, "before"));
    world.settle();
    world.issuers.by_domain.insert(DOMAIN.into(), Issuer::new(90));
    let id = world.send(0, mail(&paul, "after"));
    world.send_all(0);
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
    assert_eq!(draws(&world, DOMAIN), 1);
    let left = tokens(&mut world, 0, DOMAIN);
    assert!(left < BATCH && left > BATCH - 5, "{left}: the old ones are not counted");
    // Once: whoever says without end that keys are over gets no draw without end.
    prove(&mut world, 0);
    world.send_all(0);
    assert_eq!(draws(&world, DOMAIN), 1);
}

/// Claire, and Eve at another server, to whom Claire can pay.
fn with_eve() -> (World, Address) {
    let mut world = world();
    world.issuers.by_domain.insert(OTHER.into(), Issuer::new(100));
    let eve: Address = format!("eve@{OTHER}").parse().unwrap();
    world.clients.push(Client::new_at(eve.clone(), 50, world.now));
    let creation = world.creation(2);
    world.run(2, &creation).unwrap();
    prove(&mut world, 0);
    (world, eve)
}

#[test]
fn a_voucher_of_before_a_restore_is_thrown_away_and_another_drawn_at_once() {
    let (mut world, eve) = with_eve();
    world.issuers.by_domain.get_mut(OTHER).unwrap().restored_at_redemption = true;
    world.run(0, &Input::AddContact { address: eve.clone(), accept_new_key: false }).unwrap();
    world.send_all(0);
    assert_eq!(tokens(&mut world, 0, OTHER), VOUCHER);
    let id = world.send(0, mail(&eve, "paid by the second one"));
    assert_eq!(world.state(0, id).0, RecipientState::Accepted);
    let keys: BTreeSet<_> = world
        .sent_over
        .iter()
        .filter_map(|(_, _, request)| match request {
            Request::DrawVoucher(draw) => Some((draw.key.as_bytes().to_vec(), draw.incarnation)),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 2, "another key: the first voucher tells the home server nothing about the second");
}

#[test]
fn what_nobody_has_confirmed_is_sent_again_when_another_domains_server_was_restored() {
    let (mut world, eve) = with_eve();
    world.run(0, &Input::AddContact { address: eve.clone(), accept_new_key: false }).unwrap();
    let paul = world.address(1);
    world.send(0, mail(&eve, "lost with the restore"));
    world.send(0, mail(&paul, "at home"));
    world.find_device(2).unwrap().queue.clear();
    let submitted = |world: &World, to: &Address| {
        let to_whom = |request: &Request| matches!(request, Request::Submit(submit) if submit.address == *to);
        world.sent_over.iter().filter(|(by, _, request)| *by == 0 && to_whom(request)).count()
    };
    let (to_eve, to_paul) = (submitted(&world, &eve), submitted(&world, &paul));
    // Another incarnation, other issuer keys: the next payment is refused, and its keys are asked for.
    world.issuers.by_domain.insert(OTHER.into(), Issuer::new(90));
    world.send(0, mail(&eve, "after"));
    world.later(60_000);
    prove(&mut world, 0);
    world.send_all(0);
    world.later(3_600_000);
    prove(&mut world, 0);
    world.send_all(0);
    assert!(submitted(&world, &eve) > to_eve + 1);
    assert_eq!(submitted(&world, &paul), to_paul, "what is at another server is not concerned");
    world.receive(2);
    let mut texts = world.texts(2);
    texts.sort();
    assert_eq!(texts, ["after", "lost with the restore"]);
}
