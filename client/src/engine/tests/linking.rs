//! Linking: two engines and a server between them, with thieves, wrong clocks, dishonest grants and kills at every step.

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::limits::DEVICES_MAX;
use medipeps_core::linking::{LinkingAgreement, LinkingCode, Rendezvous, answer};
use medipeps_core::wire::client_records::{LinkRecord, PrimaryLinkRecord};
use medipeps_core::wire::linking::LinkGrant;
use rand_core::SeedableRng;

use super::transfers::Blob;
use super::world::{Client, World, engine_error, tick};
use crate::account_store::HandleError;
use crate::engine::{BecomeDevice, EngineError, Event, Input, LinkDevice, LinkProblem, LinkProgress, Time, key};
use crate::limits::LINKING_VALID_MS;

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
const CLAIRE: usize = 0;
/// Ticks of both sides after which whatever can go on has come to its end.
const ROUNDS: usize = 8;

/// Claire has an account with a contact; a home without an account is beside her.
fn world() -> (World, usize) {
    let mut world = World::new(&["claire", "karim"]);
    world.run(CLAIRE, &Input::AddContact { address: world.address(1), accept_new_key: false }).unwrap();
    let new = add_home(&mut world);
    (world, new)
}

pub(super) fn add_home(world: &mut World) -> usize {
    let number = world.clients.len();
    world.clients.push(Client::new_at(world.address(CLAIRE), number as u8 + 50, world.now));
    number
}

fn becoming(world: &World) -> BecomeDevice {
    BecomeDevice {
        address: world.address(CLAIRE),
        server: "server.clinic.example:4433".into(),
        server_key_hash: [9; 32],
        name: "Ward tablet".into(),
        anew: false,
    }
}

fn progress(world: &mut World, number: usize) -> Option<LinkProgress> {
    let client = &mut world.clients[number];
    let record = client.store.link(Time(world.now), &mut client.rng).unwrap();
    record.map(|record| LinkProgress::of(&record).unwrap())
}

fn problems(world: &World, number: usize) -> Vec<LinkProblem> {
    let told = world.clients[number].events.iter().filter_map(|event| match event {
        Event::LinkFailed(problem) => Some(problem.clone()),
        _ => None,
    });
    told.collect()
}

/// The new device begins; its code.
fn code(world: &mut World, new: usize) -> LinkingCode {
    let input = Input::BecomeDevice(becoming(world));
    world.run(new, &input).unwrap();
    match progress(world, new) {
        Some(LinkProgress::ShowCode(code)) => code,
        other => panic!("no code is shown: {other:?}"),
    }
}

fn scan(world: &mut World, number: usize, code: &LinkingCode) -> Result<(), HandleError> {
    world.run(number, &Input::LinkDevice(LinkDevice { code: code.clone(), make_primary: false }))
}

fn tick_links(world: &mut World, sides: [usize; 2]) {
    for _ in 0..ROUNDS {
        for side in sides {
            world.run(side, &Input::LinkTick).unwrap();
        }
    }
}

fn digits(world: &mut World, number: usize) -> String {
    match progress(world, number) {
        Some(LinkProgress::Compare { digits, .. }) => digits,
        other => panic!("nothing is to be compared: {other:?}"),
    }
}

/// Up to where both sides ask.
fn meet(world: &mut World, new: usize) {
    let code = code(world, new);
    scan(world, CLAIRE, &code).unwrap();
    tick_links(world, [new, CLAIRE]);
}

fn agree(world: &mut World, number: usize) {
    world.run(number, &Input::LinkDecide { agreed: true }).unwrap();
}

pub(super) fn link(world: &mut World, new: usize) {
    meet(world, new);
    agree(world, CLAIRE);
    agree(world, new);
    tick_links(world, [CLAIRE, new]);
}

fn is_linked(world: &mut World, new: usize) -> bool {
    world.clients[new].get(&key::account(), world.now).is_some()
}

fn listed(world: &mut World) -> usize {
    world.statement(CLAIRE).devices().len()
}

#[test]
fn a_linked_device_has_account_contacts_and_names_and_takes_part() {
    let (mut world, new) = world();
    meet(&mut world, new);
    assert_eq!(digits(&mut world, CLAIRE), digits(&mut world, new));
    agree(&mut world, new);
    tick_links(&mut world, [CLAIRE, new]);
    assert_eq!(listed(&mut world), 1, "only one side has agreed");
    agree(&mut world, CLAIRE);
    tick_links(&mut world, [CLAIRE, new]);
    assert_eq!((progress(&mut world, CLAIRE), progress(&mut world, new)), (None, None));
    assert!(world.server.blobs.is_empty(), "both have deleted what they put");
    let account = world.account_record(new);
    assert_eq!((account.account_key, account.name.as_str()), (None, "Dr claire"));
    for number in [CLAIRE, new] {
        let (client, now) = (&mut world.clients[number], Time(world.now));
        let devices = client.store.devices(now, &mut client.rng).unwrap();
        let shown: Vec<_> = devices.iter().map(|one| (one.name.as_deref(), one.primary, one.this_device)).collect();
        assert_eq!(shown, [(None, true, number == CLAIRE), (Some("Ward tablet"), false, number == new)]);
    }
    world.connect(new);
    let karim = world.address(1);
    world.send(new, super::world::mail(&karim, "from the tablet"));
    world.settle();
    assert_eq!(world.texts(1), ["from the tablet"]);
    let claire = world.address(CLAIRE);
    world.send(1, super::world::mail(&claire, "to both"));
    world.settle();
    for number in [CLAIRE, new] {
        assert!(world.texts(number).contains(&"to both".to_owned()), "device {number}");
    }
    // It is not primary.
    let third = add_home(&mut world);
    let code = code(&mut world, third);
    assert_eq!(engine_error(scan(&mut world, new, &code)), EngineError::NotPrimary);
}

#[test]
fn a_primary_device_hands_on_the_account_key_where_that_was_asked_for() {
    let (mut world, new) = world();
    let first = code(&mut world, new);
    world.run(CLAIRE, &Input::LinkDevice(LinkDevice { code: first, make_primary: true })).unwrap();
    tick_links(&mut world, [new, CLAIRE]);
    agree(&mut world, CLAIRE);
    agree(&mut world, new);
    tick_links(&mut world, [CLAIRE, new]);
    assert_eq!(world.account_record(new).account_key, world.account_record(CLAIRE).account_key);
    // Two are the limit, and the new one links others.
    let third = add_home(&mut world);
    let second = code(&mut world, third);
    let refused = world.run(new, &Input::LinkDevice(LinkDevice { code: second.clone(), make_primary: true }));
    assert_eq!(engine_error(refused), EngineError::TooManyPrimaries { max: 2 });
    scan(&mut world, new, &second).unwrap();
    tick_links(&mut world, [third, new]);
    agree(&mut world, new);
    agree(&mut world, third);
    tick_links(&mut world, [new, third]);
    assert!(is_linked(&mut world, third));
    // The first primary device did not hear of it: its own next linking stands on top all the same.
    let fourth = add_home(&mut world);
    link(&mut world, fourth);
    assert!(is_linked(&mut world, fourth));
    assert_eq!(listed(&mut world), 4);
}

#[test]
fn a_code_is_good_once() {
    let (mut world, new) = world();
    let code = code(&mut world, new);
    scan(&mut world, CLAIRE, &code).unwrap();
    tick_links(&mut world, [new, CLAIRE]);
    agree(&mut world, CLAIRE);
    agree(&mut world, new);
    tick_links(&mut world, [CLAIRE, new]);
    assert!(is_linked(&mut world, new));
    scan(&mut world, CLAIRE, &code).unwrap();
    assert_eq!(problems(&world, CLAIRE), [LinkProblem::UnknownCode]);
    assert_eq!(listed(&mut world), 2);
}

#[test]
fn who_photographed_the_code_and_answers_first_is_found_out() {
    let (mut world, new) = world();
    let code = code(&mut world, new);
    let places = Rendezvous::new(&code.rendezvous_secret);
    let sealed = world.server.blobs[places.offer_id()].parts[&0].clone();
    let offer = places.open_offer(&sealed, &code.offer_hash).unwrap();
    let (thiefs, _) = answer(&code, &offer, &mut ChaCha20Rng::from_seed([77; 32])).unwrap();
    let blob = Blob { upload_secret: [1; 16], parts: [(0, thiefs)].into(), expires: world.now + YEAR_MS };
    world.server.blobs.insert(*places.answer_id(), blob);
    scan(&mut world, CLAIRE, &code).unwrap();
    world.run(new, &Input::LinkTick).unwrap();
    // The new device shows digits, the primary device none, and says why.
    digits(&mut world, new);
    assert_eq!(problems(&world, CLAIRE), [LinkProblem::AlreadyAnswered]);
    world.run(new, &Input::LinkDecide { agreed: false }).unwrap();
    assert_eq!(problems(&world, new), [LinkProblem::Stopped]);
    assert_eq!((listed(&mut world), is_linked(&mut world, new)), (1, false));
}

#[test]
fn who_says_no_is_heard_on_the_other_side() {
    for (says_no, other) in [(CLAIRE, 2), (2, CLAIRE)] {
        for other_agreed in [false, true] {
            let (mut world, new) = world();
            meet(&mut world, new);
            if other_agreed {
                agree(&mut world, other);
                tick_links(&mut world, [CLAIRE, new]);
            }
            world.run(says_no, &Input::LinkDecide { agreed: false }).unwrap();
            tick_links(&mut world, [CLAIRE, new]);
            assert_eq!(problems(&world, says_no), [LinkProblem::Stopped]);
            assert_eq!(problems(&world, other), [LinkProblem::Refused], "{other} after {other_agreed}");
            assert_eq!((listed(&mut world), is_linked(&mut world, new)), (1, false));
            assert!(world.server.blobs.is_empty());
        }
    }
}

/// Runs an input on a device whose clock is wrong.
fn run_at(world: &mut World, number: usize, clock: u64, input: &Input) {
    let now = std::mem::replace(&mut world.now, clock);
    world.run(number, input).unwrap();
    world.now = now;
}

#[test]
fn a_clock_that_is_wrong_by_a_year_changes_nothing() {
    for (at_new, at_primary) in [(YEAR_MS, 0), (0, YEAR_MS)] {
        let (mut world, new) = world();
        // The server's clock is a third one, between.
        let base = world.now;
        let clock = |number: usize| base - YEAR_MS / 2 + if number == new { at_new } else { at_primary };
        let begin = Input::BecomeDevice(becoming(&world));
        run_at(&mut world, new, clock(new), &begin);
        let Some(LinkProgress::ShowCode(code)) = progress(&mut world, new) else { panic!("no code") };
        let scan = Input::LinkDevice(LinkDevice { code, make_primary: false });
        run_at(&mut world, CLAIRE, clock(CLAIRE), &scan);
        let both = [new, CLAIRE];
        for input in [Input::LinkTick, Input::LinkTick, Input::LinkDecide { agreed: true }] {
            both.into_iter().for_each(|number| run_at(&mut world, number, clock(number), &input));
        }
        for number in both.repeat(ROUNDS) {
            run_at(&mut world, number, clock(number), &Input::LinkTick);
        }
        assert!(is_linked(&mut world, new), "{:?} {:?}", problems(&world, CLAIRE), problems(&world, new));
        assert_eq!(listed(&mut world), 2);
    }
}

#[test]
fn ten_minutes_of_either_sides_own_clock_end_it() {
    for late in [CLAIRE, 2] {
        let (mut world, new) = world();
        meet(&mut world, new);
        let clock = world.now + LINKING_VALID_MS + 1;
        run_at(&mut world, late, clock, &Input::LinkTick);
        assert_eq!(problems(&world, late), [LinkProblem::Expired]);
        tick_links(&mut world, [CLAIRE, new]);
        let other = if late == CLAIRE { new } else { CLAIRE };
        assert_eq!(problems(&world, other), [LinkProblem::Refused]);
        assert_eq!((listed(&mut world), is_linked(&mut world, new)), (1, false));
    }
    // A code that nobody has scanned: the new device deletes its offer, and begins anew with another one.
    let (mut world, new) = world();
    let old = code(&mut world, new);
    world.later(LINKING_VALID_MS + 1);
    world.run(new, &Input::LinkTick).unwrap();
    assert_eq!(problems(&world, new), [LinkProblem::Expired]);
    scan(&mut world, CLAIRE, &old).unwrap();
    assert_eq!(problems(&world, CLAIRE), [LinkProblem::UnknownCode]);
    assert_ne!(code(&mut world, new), old);
}

#[test]
fn a_code_of_another_account_or_server_is_refused() {
    let (mut world, new) = world();
    let own = code(&mut world, new);
    scan(&mut world, 1, &own).unwrap();
    assert_eq!(problems(&world, 1), [LinkProblem::OtherAccount(world.address(CLAIRE))]);
    let elsewhere = add_home(&mut world);
    let begin = Input::BecomeDevice(BecomeDevice { server_key_hash: [8; 32], ..becoming(&world) });
    world.run(elsewhere, &begin).unwrap();
    let Some(LinkProgress::ShowCode(code)) = progress(&mut world, elsewhere) else { panic!("no code") };
    scan(&mut world, CLAIRE, &code).unwrap();
    assert_eq!(problems(&world, CLAIRE), [LinkProblem::OtherServer]);
    // Where there is an account, there is no new device.
    let refused = world.run(1, &Input::BecomeDevice(becoming(&world)));
    assert_eq!(engine_error(refused), EngineError::AccountExists(world.address(1)));
}

#[test]
fn a_twenty_first_device_is_refused() {
    let mut world = World::new(&["claire"]);
    for _ in 1..DEVICES_MAX {
        world.join_device(CLAIRE);
    }
    let new = add_home(&mut world);
    let code = code(&mut world, new);
    let refused = engine_error(scan(&mut world, CLAIRE, &code));
    assert_eq!(refused, EngineError::TooManyDevices { max: DEVICES_MAX });
    assert_eq!(listed(&mut world), DEVICES_MAX);
}

/// What the primary device keeps of the linking.
fn of_primary(world: &mut World) -> PrimaryLinkRecord {
    match world.clients[CLAIRE].get(&key::link(), world.now) {
        Some(LinkRecord::Primary(record)) => record,
        other => panic!("no linking: {other:?}"),
    }
}

/// The grant lies at the server, the new device has not looked.
fn granted() -> (World, usize, LinkingAgreement, LinkGrant) {
    granted_as(false)
}

fn granted_as(make_primary: bool) -> (World, usize, LinkingAgreement, LinkGrant) {
    let (mut world, new) = world();
    let code = code(&mut world, new);
    world.run(CLAIRE, &Input::LinkDevice(LinkDevice { code, make_primary })).unwrap();
    tick_links(&mut world, [new, CLAIRE]);
    agree(&mut world, CLAIRE);
    agree(&mut world, new);
    (0..ROUNDS).for_each(|_| world.run(CLAIRE, &Input::LinkTick).unwrap());
    let record = of_primary(&mut world);
    let (answer, shared) = record.answer.unwrap();
    let agreement = LinkingAgreement::new(&shared, &record.offer_hash, &answer);
    let sealed = &world.server.blobs[agreement.grant_id()].parts[&0];
    let grant = agreement.open_grant(sealed, &record.reveal.unwrap()).unwrap();
    (world, new, agreement, grant)
}

fn issued(world: &mut World, account_key: &SigningKey, keys: &DeviceSecretKeys, device_id: u32) -> Statement {
    let (address, statement) = (world.address(CLAIRE), world.statement(CLAIRE));
    let mut devices = vec![];
    for device in statement.devices() {
        let keys = if device.device_id() == device_id { keys.public_keys() } else { device.keys() };
        let (id, primary) = (device.device_id(), device.primary());
        devices.push(DeviceCertificate::issue(account_key, &address, id, &keys, primary, 1));
    }
    let recovery_key_hash = statement.recovery_key_hash();
    StatementIssue { address: &address, recovery_key_hash, previous: None, devices, issued: 1 }
        .sign(account_key)
        .unwrap()
}

#[test]
fn a_grant_that_is_not_what_was_asked_for_is_refused() {
    type Forge = fn(&mut World, &mut LinkGrant);
    let cases: [(&str, Forge); 6] = [
        ("other keys", |world, grant| {
            let key = SigningKey::from_secret(&world.account_record(CLAIRE).account_key.unwrap());
            let listed = Statement::decode(&grant.statement).unwrap().devices()[1].device_id();
            let others = DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([5; 32]));
            grant.statement = issued(world, &key, &others, listed).encoded().to_vec();
        }),
        ("does not list it", |world, grant| {
            grant.statement = world.account_record(CLAIRE).statement;
            let key = SigningKey::from_secret(&world.account_record(CLAIRE).account_key.unwrap());
            let (address, statement) = (world.address(CLAIRE), world.statement(CLAIRE));
            let issue = StatementIssue {
                address: &address,
                recovery_key_hash: statement.recovery_key_hash(),
                previous: None,
                devices: statement.devices()[..1].to_vec(),
                issued: 1,
            };
            grant.statement = issue.sign(&key).unwrap().encoded().to_vec();
        }),
        ("another account's", |world, grant| grant.statement = world.account_record(1).statement),
        ("another server", |_, grant| grant.server_key_hash = [8; 32]),
        ("an account key that is not due", |_, grant| grant.account_key = Some(Secret::from([1; 32]))),
        ("no statement", |_, grant| grant.statement = vec![1, 2, 3]),
    ];
    for (name, forge) in cases {
        let (mut world, new, agreement, mut grant) = granted();
        forge(&mut world, &mut grant);
        let sealed = agreement.seal_grant(&grant, &of_primary(&mut world).reveal.unwrap());
        world.server.blobs.get_mut(agreement.grant_id()).unwrap().parts.insert(0, sealed);
        (0..ROUNDS).for_each(|_| world.run(new, &Input::LinkTick).unwrap());
        assert!(matches!(problems(&world, new)[..], [LinkProblem::Grant(_)]), "{name}: {:?}", problems(&world, new));
        assert!(!is_linked(&mut world, new), "{name}");
    }
}

#[test]
fn a_primary_device_is_not_given_another_key_than_the_account_s_or_none() {
    for key in [None, Some(Secret::from([1; 32]))] {
        let (mut world, new, agreement, mut grant) = granted_as(true);
        assert!(grant.account_key.is_some());
        grant.account_key = key;
        let sealed = agreement.seal_grant(&grant, &of_primary(&mut world).reveal.unwrap());
        world.server.blobs.get_mut(agreement.grant_id()).unwrap().parts.insert(0, sealed);
        (0..ROUNDS).for_each(|_| world.run(new, &Input::LinkTick).unwrap());
        assert!(matches!(problems(&world, new)[..], [LinkProblem::Grant(_)]), "{:?}", problems(&world, new));
        assert!(!is_linked(&mut world, new));
    }
}

#[test]
fn a_server_that_gives_another_statement_than_the_grants_is_refused() {
    type Give = fn(&mut World) -> Statement;
    let cases: [(&str, Give); 4] = [
        ("an older one that lists it", |world| {
            let key = SigningKey::from_secret(&world.account_record(CLAIRE).account_key.unwrap());
            issued(world, &key, &DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([6; 32])), 0)
        }),
        ("the one before", |world| {
            let key = SigningKey::from_secret(&world.account_record(CLAIRE).account_key.unwrap());
            let (address, statement) = (world.address(CLAIRE), world.statement(CLAIRE));
            let devices = statement.devices()[..1].to_vec();
            let recovery_key_hash = statement.recovery_key_hash();
            let issue = StatementIssue { address: &address, recovery_key_hash, previous: None, devices, issued: 1 };
            issue.sign(&key).unwrap()
        }),
        ("under another account key", |world| {
            let other = SigningKey::from_secret(&Secret::from([3; 32]));
            issued(world, &other, &DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([6; 32])), 0)
        }),
        ("a later one without it", |world| {
            let key = SigningKey::from_secret(&world.account_record(CLAIRE).account_key.unwrap());
            let (address, statement) = (world.address(CLAIRE), world.statement(CLAIRE));
            let issue = StatementIssue {
                address: &address,
                recovery_key_hash: statement.recovery_key_hash(),
                previous: Some(&statement),
                devices: statement.devices()[..1].to_vec(),
                issued: 1,
            };
            issue.sign(&key).unwrap()
        }),
    ];
    for (name, give) in cases {
        let (mut world, new, _, _) = granted();
        let (address, given) = (world.address(CLAIRE), give(&mut world));
        world.server.account(&address).unwrap().statement = given;
        (0..ROUNDS).for_each(|_| world.run(new, &Input::LinkTick).unwrap());
        assert!(
            matches!(problems(&world, new)[..], [LinkProblem::Statement(_)]),
            "{name}: {:?}",
            problems(&world, new)
        );
        assert!(!is_linked(&mut world, new), "{name}");
    }
}

/// One side's whole part, with every input that a person gives, and a new process where the fuse burns down.
fn drive(world: &mut World, number: usize, input: &Input, fuse: &mut Option<usize>) {
    if let Ok(result) = world.run_until(number, input, fuse) {
        // A yes to what is agreed already, or not yet asked; and the command again, where all is done.
        let refused = EngineError::AccountExists(world.address(CLAIRE));
        let done = matches!(&result, Err(HandleError::Engine(error)) if *error == refused && is_linked(world, number));
        let known = done || matches!(result, Ok(()) | Err(HandleError::Engine(EngineError::NoLinking)));
        assert!(known, "{result:?}");
    } else {
        *fuse = None;
        world.clients[number].restart();
    }
}

#[test]
fn a_kill_at_any_step_of_either_side_leaves_a_linking_that_comes_to_its_end() {
    for killed in [CLAIRE, 2] {
        let mut kills = 0;
        for steps in 0.. {
            let (mut world, new) = world();
            let mut fuse = Some(steps);
            let mut none = None;
            let begin = Input::BecomeDevice(becoming(&world));
            let mut code = None;
            for _ in 0..3 * ROUNDS {
                drive(&mut world, new, &begin, if killed == new { &mut fuse } else { &mut none });
                if let Some(LinkProgress::ShowCode(shown)) = progress(&mut world, new) {
                    code = Some(shown);
                }
                let Some(code) = &code else { continue };
                let scan = Input::LinkDevice(LinkDevice { code: code.clone(), make_primary: false });
                for input in [scan, Input::LinkTick, Input::LinkDecide { agreed: true }] {
                    if is_linked(&mut world, new) && progress(&mut world, CLAIRE).is_none() {
                        break;
                    }
                    drive(&mut world, CLAIRE, &input, if killed == CLAIRE { &mut fuse } else { &mut none });
                }
                for input in [Input::LinkTick, Input::LinkDecide { agreed: true }] {
                    drive(&mut world, new, &input, if killed == new { &mut fuse } else { &mut none });
                }
            }
            assert!(is_linked(&mut world, new), "{killed} after {steps}: {:?}", problems(&world, CLAIRE));
            assert_eq!(listed(&mut world), 2, "{killed} after {steps}");
            assert!(problems(&world, CLAIRE).is_empty() && problems(&world, new).is_empty());
            assert_eq!(progress(&mut world, new), None, "{killed} after {steps}");
            if fuse.is_some() {
                break;
            }
            kills += 1;
        }
        println!("{kills} kills of {killed}");
        assert!(kills > 20, "only {kills} kills of {killed}");
    }
}

#[test]
fn a_device_that_is_listed_gets_its_grant_by_the_primary_devices_next_sync() {
    // The primary device is killed at each step from the confirmation on; `sync` alone goes on.
    let mut kills = 0;
    for steps in 0.. {
        let (mut world, new) = world();
        meet(&mut world, new);
        agree(&mut world, CLAIRE);
        agree(&mut world, new);
        if world.run_until(CLAIRE, &Input::LinkTick, &mut Some(steps)).is_ok() {
            break;
        }
        world.clients[CLAIRE].restart();
        let Some(LinkProgress::Granting | LinkProgress::Granted) = progress(&mut world, CLAIRE) else { continue };
        kills += 1;
        // Hours are not too late: the new device waits too.
        world.later(5 * 3600 * 1000);
        (0..ROUNDS).for_each(|_| world.run(CLAIRE, &tick()).unwrap());
        tick_links(&mut world, [new, new]);
        assert!(is_linked(&mut world, new), "after {steps}: {:?}", problems(&world, new));
        assert_eq!(listed(&mut world), 2);
    }
    assert!(kills > 5, "only {kills} kills");
}

#[test]
fn an_old_copy_of_a_device_is_linked_as_another_one_and_keeps_what_it_has() {
    let (mut world, new) = world();
    link(&mut world, new);
    world.connect(new);
    let (claire, karim) = (world.address(CLAIRE), world.address(1));
    world.send(1, super::world::mail(&claire, "before"));
    world.settle();
    let before = world.account_record(new).device_id;
    world.run(new, &Input::Authenticated { highest_generation: 1 << 40, statement_version: 0 }).unwrap();
    assert!(world.account_record(new).rolled_back);
    let other = BecomeDevice { address: karim.clone(), ..becoming(&world) };
    assert!(matches!(engine_error(world.run(new, &Input::BecomeDevice(other))), EngineError::AccountExists(_)));
    link(&mut world, new);
    let account = world.account_record(new);
    assert!(!account.rolled_back && account.device_id != before);
    world.clients[new].device_id = None;
    world.connect(new);
    world.send(1, super::world::mail(&claire, "after"));
    world.settle();
    let texts = world.texts(new);
    assert!(texts.contains(&"before".to_owned()) && texts.contains(&"after".to_owned()), "{texts:?}");
}
