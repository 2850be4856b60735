//! Keys that are lost, stolen and too few; forks; members whose time is over.

use proptest::prelude::*;

use super::*;
use crate::crypto::secret::Secret;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::kind::Author;
use crate::kind::test_content::author;
use crate::limits::{
    ADMINISTRATORS_MAX, BREAK_GLASS_DURATION_MAX, MEMBER_CERTIFICATE_LENGTH_MAX, ON_CALL_ENTRIES_MAX,
    REVOKED_SERIALS_MAX,
};
use crate::{Address, label};

fn key(number: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::from([number; 32]))
}

fn keys(numbers: &[u8]) -> Vec<VerifyingKey> {
    numbers.iter().map(|number| key(*number).verifying_key()).collect()
}

fn address(local: &str) -> Address {
    format!("{local}@clinic.example").parse().unwrap()
}

fn draft(
    previous: Option<&OrganisationStatement>,
    administrators: &[u8],
    threshold: u32,
    policy: OrganisationPolicy,
) -> Result<StatementDraft, OrganisationError> {
    let administrators = (&*keys(administrators), threshold);
    StatementDraft::new(&address("clinic"), "Clinic of the Lake", previous, administrators, policy, 1000)
}

fn signed(draft: StatementDraft, signers: &[u8]) -> Vec<u8> {
    let signatures = signers.iter().map(|number| draft.sign(&key(*number))).collect();
    draft.assemble(signatures).unwrap().encoded()
}

/// Two of three administrators: 1, 2 and 3.
fn chain() -> OrganisationChain {
    let draft = draft(None, &[1, 2, 3], 2, OrganisationPolicy::default()).unwrap();
    let id = OrganisationId(draft.preview().unwrap().hash());
    OrganisationChain::pin(&signed(draft, &[1, 3]), id).unwrap()
}

fn next(chain: &OrganisationChain, administrators: &[u8], policy: OrganisationPolicy, signers: &[u8]) -> Vec<u8> {
    signed(draft(Some(chain.current()), administrators, 2, policy).unwrap(), signers)
}

fn too_few(valid: usize) -> ChainError {
    ChainError::NotEnoughSignatures { valid, needed: 2 }
}

#[test]
fn an_organisation_is_its_pinned_first_statement_signed_by_k_of_its_own() {
    let draft = draft(None, &[1, 2, 3], 2, OrganisationPolicy::default()).unwrap();
    let id = OrganisationId(draft.preview().unwrap().hash());
    let pin = |signers: &[u8]| OrganisationChain::pin(&signed(draft.clone(), signers), id);
    assert_eq!(pin(&[1, 2]).unwrap().id(), id);
    assert_eq!(pin(&[1]), Err(too_few(1)));
    assert_eq!(pin(&[1, 4, 5]), Err(too_few(1)));
    let other = OrganisationChain::pin(&signed(draft.clone(), &[1, 2]), OrganisationId([9; 32]));
    assert_eq!(other, Err(ChainError::NotPinned));
    let asked = StatementDraft::decode(draft.bytes()).unwrap();
    assert_eq!(asked.preview().unwrap().name(), "Clinic of the Lake");
}

#[test]
fn a_lost_key_is_replaced_by_the_others() {
    let mut chain = chain();
    // The key of 2 is lost; 1 and 3 put 4 in its place.
    let replaced = next(&chain, &[1, 3, 4], OrganisationPolicy::default(), &[1, 3]);
    assert_eq!(chain.advance(&replaced), Ok(Advance::Advanced));
    assert_eq!(chain.advance(&replaced), Ok(Advance::Known));
    let by_the_new_one = next(&chain, &[1, 3, 4], OrganisationPolicy::default(), &[3, 4]);
    assert_eq!(chain.advance(&by_the_new_one), Ok(Advance::Advanced));
    assert_eq!(chain.current().version(), 3);
}

#[test]
fn a_stolen_key_does_nothing_alone_and_nothing_any_more_once_it_is_removed() {
    let mut chain = chain();
    let id = chain.id();
    let first = chain.current().encoded();
    // The thief of 2 signs alone, and beside keys of his own.
    let thieves = next(&chain, &[2, 7, 8], OrganisationPolicy::default(), &[2]);
    assert_eq!(chain.advance(&thieves), Err(too_few(1)));
    let thieves = next(&chain, &[2, 7, 8], OrganisationPolicy::default(), &[2, 7, 8]);
    assert_eq!(chain.advance(&thieves), Err(too_few(1)));
    let certificate = MemberCertificate::draft(id, 1, &author(1), "surgeon", 0, 100).unwrap();
    let certificate = [2, 7].iter().fold(certificate, |one, number| {
        let signature = one.sign(&key(*number));
        one.with_signature(signature)
    });
    let refused = MembershipError::NotEnoughSignatures { valid: 1, needed: 2 };
    assert_eq!(chain.membership(&certificate, &author(1), 5), Err(refused.clone()));
    let removed = next(&chain, &[1, 3, 4], OrganisationPolicy::default(), &[1, 3]);
    assert_eq!(chain.advance(&removed), Ok(Advance::Advanced));
    let after = next(&chain, &[1, 2, 3], OrganisationPolicy::default(), &[2, 3]);
    assert_eq!(chain.advance(&after), Err(too_few(1)));
    // He gets another key later and dates back: together they would once have been enough.
    let dated_back = [2, 3].iter().fold(certificate, |one, number| {
        let signature = one.sign(&key(*number));
        one.with_signature(signature)
    });
    assert_eq!(chain.membership(&dated_back, &author(1), 5), Err(refused));
    assert_eq!(OrganisationChain::verify(id, &first, [&*removed]), Ok(chain));
}

#[test]
fn signatures_under_another_label_count_for_nothing() {
    let chain = chain();
    let draft = draft(Some(chain.current()), &[1, 2, 3], 2, OrganisationPolicy::default()).unwrap();
    let foreign = [1, 2].map(|number| AdministratorSignature {
        administrator: key(number).verifying_key(),
        signature: key(number).sign(label::ORGANISATION_MEMBER, &[draft.bytes()]),
    });
    let statement = draft.assemble(foreign.to_vec()).unwrap();
    assert_eq!(chain.clone().advance(&statement.encoded()), Err(too_few(0)));
}

#[test]
fn a_fork_is_told_and_changes_nothing() {
    let mut chain = chain();
    let policy = |seats| OrganisationPolicy { seats, ..OrganisationPolicy::default() };
    let (one, other) = (next(&chain, &[1, 2, 3], policy(1), &[1, 2]), next(&chain, &[1, 2, 3], policy(2), &[2, 3]));
    let unsigned = next(&chain, &[1, 2, 3], policy(3), &[2]);
    let mut on_the_other_side = chain.clone();
    chain.advance(&one).unwrap();
    let before = chain.clone();
    assert_eq!(chain.advance(&other), Err(ChainError::Forked { version: 2 }));
    // Whoever has too few keys raises no alarm.
    assert_eq!(chain.advance(&unsigned), Err(too_few(1)));
    on_the_other_side.advance(&other).unwrap();
    let third = next(&on_the_other_side, &[1, 2, 3], policy(2), &[1, 2]);
    assert_eq!(chain.advance(&third), Err(ChainError::Forked { version: 2 }));
    on_the_other_side.advance(&third).unwrap();
    let fourth = next(&on_the_other_side, &[1, 2, 3], policy(2), &[1, 2]);
    assert_eq!(chain.advance(&fourth), Err(ChainError::Missing { known: 2, version: 4 }));
    let first = signed(draft(None, &[1, 2], 2, policy(1)).unwrap(), &[1, 2]);
    assert_eq!(chain.advance(&first), Err(ChainError::NotPinned));
    assert_eq!(chain, before);
}

#[test]
fn the_address_of_an_organisation_stays() {
    let mut chain = chain();
    let administrators = (&*keys(&[1, 2, 3]), 2);
    let moved = StatementDraft::new(
        &address("other"),
        "Clinic of the Lake",
        Some(chain.current()),
        administrators,
        OrganisationPolicy::default(),
        1,
    );
    assert_eq!(chain.advance(&signed(moved.unwrap(), &[1, 2])), Err(ChainError::AddressChanged));
}

#[test]
fn statements_that_break_their_own_rules_are_refused_by_name() {
    let refused = |administrators: &[u8], threshold, policy, error| {
        assert_eq!(draft(None, administrators, threshold, policy), Err(error));
    };
    let none = OrganisationPolicy::default;
    refused(&[], 1, none(), OrganisationError::Administrators);
    refused(&[1, 1], 1, none(), OrganisationError::Administrators);
    let many: Vec<u8> = (1..=ADMINISTRATORS_MAX as u8 + 1).collect();
    assert!(matches!(draft(None, &many, 1, none()), Err(OrganisationError::Malformed(_))));
    refused(&[1, 2], 3, none(), OrganisationError::Threshold);
    refused(&[1, 2], 0, none(), OrganisationError::Threshold);
    let policy = |field, change: fn(&mut OrganisationPolicy)| {
        let mut policy = full_policy();
        change(&mut policy);
        refused(&[1], 1, policy, OrganisationError::Policy(field));
    };
    policy("services", |policy| policy.services.reverse());
    policy("services", |policy| policy.services = vec![OrganisationService::Later(0)]);
    policy("on_call", |policy| policy.on_call.reverse());
    policy("on_call", |policy| policy.on_call[0].until = policy.on_call[0].from);
    policy("on_call", |policy| policy.on_call[0].addresses.clear());
    policy("revoked", |policy| policy.revoked.reverse());
    policy("break_glass", |policy| policy.break_glass.as_mut().unwrap().required = 3);
    policy("break_glass", |policy| policy.break_glass.as_mut().unwrap().required = 0);
    policy("break_glass", |policy| policy.break_glass.as_mut().unwrap().notified.clear());
    policy("break_glass", |policy| policy.break_glass.as_mut().unwrap().duration = BREAK_GLASS_DURATION_MAX + 1);
    let named = |name| StatementDraft::new(&address("clinic"), name, None, (&keys(&[1]), 1), none(), 1);
    assert_eq!(named(" "), Err(OrganisationError::Name));
    assert_eq!(named("a\nb"), Err(OrganisationError::Name));
}

pub(super) fn full_policy() -> OrganisationPolicy {
    let entry = |from, until, function: &str, locals: &[&str]| OnCallEntry {
        from,
        until,
        function: function.into(),
        addresses: locals.iter().map(|local| address(local)).collect(),
    };
    OrganisationPolicy {
        services: vec![OrganisationService::Mail, OrganisationService::Chat, OrganisationService::Later(4000)],
        seats: 120,
        retention_days: Some(3650),
        break_glass: Some(BreakGlass {
            who: vec![address("claire"), address("karim")],
            required: 2,
            duration: 3_600_000,
            notified: vec![address("officer")],
            log_id: [5; 32],
        }),
        on_call: vec![entry(1000, 2000, "anaesthesia", &["claire", "karim"]), entry(1500, 3000, "surgery", &["ana"])],
        revoked: vec![7, 9],
        serials_from: 3,
        officer: Some(address("officer")),
    }
}

#[test]
fn a_policy_says_what_is_on_who_is_on_call_and_who_breaks_the_glass() {
    let mut chain = chain();
    let statement = next(&chain, &[1, 2, 3], full_policy(), &[1, 2]);
    chain.advance(&statement).unwrap();
    let policy = chain.current().policy();
    assert_eq!(*policy, full_policy());
    assert!(policy.is_on(OrganisationService::Chat) && !policy.is_on(OrganisationService::Sms));
    assert!(policy.is_on(OrganisationService::of_number(4000)));
    assert_eq!(OrganisationService::of_number(5), OrganisationService::Teleconsultation);
    let on_call = |at| policy.on_call_at(at).map(|entry| entry.function.as_str()).collect::<Vec<_>>();
    assert_eq!(on_call(999), Vec::<&str>::new());
    assert_eq!(on_call(1000), ["anaesthesia"]);
    assert_eq!(on_call(1999), ["anaesthesia", "surgery"]);
    assert_eq!(on_call(2000), ["surgery"]);
    assert_eq!(on_call(3000), Vec::<&str>::new());
    let glass = policy.break_glass.as_ref().unwrap();
    let granted = |locals: &[&str]| glass.is_granted_by(&locals.iter().map(|local| address(local)).collect::<Vec<_>>());
    assert!(granted(&["karim", "ana", "claire"]));
    assert!(!granted(&["karim", "karim", "ana"]) && !granted(&["claire"]) && !granted(&[]));
    assert!(policy.has_seats_for(120) && !policy.has_seats_for(121));
    assert!(policy.is_revoked(2) && policy.is_revoked(9) && !policy.is_revoked(3) && !policy.is_revoked(8));
}

fn certificate(chain: &OrganisationChain, serial: u64, account: &Author, signers: &[u8]) -> MemberCertificate {
    let certificate = MemberCertificate::draft(chain.id(), serial, account, "nurse", 1000, 2000).unwrap();
    signers.iter().fold(certificate, |one, number| {
        let signature = one.sign(&key(*number));
        one.with_signature(signature)
    })
}

#[test]
fn a_member_counts_from_the_beginning_to_the_end_and_not_once_revoked() {
    let mut chain = chain();
    let nurse = author(1);
    let certificate = certificate(&chain, 7, &nurse, &[2, 3]);
    let certificate = MemberCertificate::decode(&certificate.encoded()).unwrap();
    let member = |chain: &OrganisationChain, at| chain.membership(&certificate, &nurse, at).map(|member| member.role);
    assert_eq!(member(&chain, 1000), Ok("nurse".to_owned()));
    assert_eq!(member(&chain, 1999), Ok("nurse".to_owned()));
    assert_eq!(member(&chain, 999), Err(MembershipError::NotYet { issued: 1000 }));
    assert_eq!(member(&chain, 2000), Err(MembershipError::Expired { ends: 2000 }));
    assert_eq!(chain.membership(&certificate, &author(2), 1500), Err(MembershipError::OtherAccount));
    let new_key = Author { account_key: author(2).account_key, ..nurse.clone() };
    assert_eq!(chain.membership(&certificate, &new_key, 1500), Err(MembershipError::OtherAccount));
    let statement = next(&chain, &[1, 2, 3], full_policy(), &[1, 2]);
    chain.advance(&statement).unwrap();
    assert_eq!(member(&chain, 1500), Err(MembershipError::Revoked));
    let elsewhere = MemberCertificate::draft(OrganisationId([9; 32]), 8, &nurse, "nurse", 1, 2).unwrap();
    assert_eq!(chain.membership(&elsewhere, &nurse, 1), Err(MembershipError::OtherOrganisation));
}

#[test]
fn a_certificate_outlives_an_administrator_as_long_as_k_others_have_signed_it() {
    let mut chain = chain();
    let (two, three) = (certificate(&chain, 1, &author(1), &[1, 2]), certificate(&chain, 2, &author(2), &[1, 2, 3]));
    let statement = next(&chain, &[1, 3, 4], OrganisationPolicy::default(), &[1, 3]);
    chain.advance(&statement).unwrap();
    let refused = MembershipError::NotEnoughSignatures { valid: 1, needed: 2 };
    assert_eq!(chain.membership(&two, &author(1), 1500), Err(refused));
    assert!(chain.membership(&three, &author(2), 1500).is_ok());
    // Signed again by one who is left.
    let signature = two.sign(&key(4));
    assert!(chain.membership(&two.with_signature(signature), &author(1), 1500).is_ok());
}

#[test]
fn certificates_that_break_their_own_rules_are_refused_by_name() {
    let id = chain().id();
    let draft = |serial, role: &str, ends| MemberCertificate::draft(id, serial, &author(1), role, 10, ends).map(|_| ());
    assert_eq!(draft(0, "nurse", 20), Err(MembershipError::Field("serial")));
    assert_eq!(draft(1, "", 20), Err(MembershipError::Field("role")));
    assert_eq!(draft(1, "a\nb", 20), Err(MembershipError::Field("role")));
    assert_eq!(draft(1, "nurse", 10), Err(MembershipError::Field("ends")));
    assert_eq!(MemberCertificate::decode(&[0; MEMBER_CERTIFICATE_LENGTH_MAX + 1]), Err(MembershipError::TooLong));
}

#[test]
fn the_largest_policy_and_the_longest_certificate_fit() {
    let entry = |number: u64| OnCallEntry {
        from: 1_700_000_000_000 + number,
        until: 1_800_000_000_000,
        function: "anaesthesia, first call".into(),
        addresses: ["claire.martin", "karim.benali", "ana.silva"].map(address).to_vec(),
    };
    let policy = OrganisationPolicy {
        on_call: (0..ON_CALL_ENTRIES_MAX as u64).map(entry).collect(),
        revoked: (1 << 40..(1 << 40) + REVOKED_SERIALS_MAX as u64).collect(),
        ..full_policy()
    };
    let administrators: Vec<u8> = (1..=ADMINISTRATORS_MAX as u8).collect();
    let statement = draft(None, &administrators, 16, policy).unwrap();
    let id = OrganisationId(statement.preview().unwrap().hash());
    let chain = OrganisationChain::pin(&signed(statement, &administrators), id).unwrap();
    let domain = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    let longest = Author { address: format!("{}@{domain}", "l".repeat(64)).parse().unwrap(), ..author(1) };
    let certificate = MemberCertificate::draft(id, u64::MAX, &longest, &"r".repeat(128), 1, u64::MAX).unwrap();
    let certificate = administrators.iter().fold(certificate, |one, number| {
        let signature = one.sign(&key(*number));
        one.with_signature(signature)
    });
    assert!(chain.membership(&MemberCertificate::decode(&certificate.encoded()).unwrap(), &longest, 5).is_ok());
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let chain = chain();
    let statement = next(&chain, &[1, 2, 3], full_policy(), &[1, 2]);
    let nurse = author(1);
    let member = certificate(&chain, 7, &nurse, &[2, 3]).encoded();
    for byte in 0..statement.len() {
        let mut altered = statement.clone();
        altered[byte] ^= 1 << (byte % 8);
        assert!(chain.clone().advance(&altered).is_err(), "byte {byte}");
    }
    for byte in 0..member.len() {
        let mut altered = member.clone();
        altered[byte] ^= 1 << (byte % 8);
        let taken = MemberCertificate::decode(&altered).map(|one| chain.membership(&one, &nurse, 1500));
        assert!(!matches!(taken, Ok(Ok(_))), "byte {byte}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// However many sign, and how often: what counts is k different ones of those that the former version names.
    #[test]
    fn k_less_one_signatures_never_suffice(
        administrators in 1_u8..8,
        threshold in 1_u32..8,
        signers in prop::collection::vec(1_u8..12, 0..12),
    ) {
        let threshold = threshold.min(administrators.into());
        let listed: Vec<u8> = (1..=administrators).collect();
        let first = draft(None, &listed, threshold, OrganisationPolicy::default()).unwrap();
        let id = OrganisationId(first.preview().unwrap().hash());
        let mut chain = OrganisationChain::pin(&signed(first, &listed), id).unwrap();
        let next = draft(Some(chain.current()), &[20, 21], 2, OrganisationPolicy::default()).unwrap();
        let signatures: Vec<_> = signers.iter().map(|number| next.sign(&key(*number))).collect();
        let mut distinct = signers.clone();
        distinct.sort_unstable();
        distinct.dedup();
        // With one twice it is no statement at all.
        let repeated = distinct.len() < signers.len();
        let assembled = next.clone().assemble(signatures);
        prop_assert_eq!(assembled == Err(OrganisationError::SignatureOrder), repeated);
        let statement = signed(next, &distinct);
        let valid = distinct.iter().filter(|number| **number <= administrators).count();
        let enough = valid >= threshold as usize;
        prop_assert_eq!(chain.advance(&statement).is_ok(), enough);
        prop_assert_eq!(chain.current().version(), if enough { 2 } else { 1 });

        let (id, account) = (chain.id(), author(1));
        let member = MemberCertificate::draft(id, 1, &account, "nurse", 0, 10).unwrap();
        let member = signers.iter().fold(member, |one, number| {
            let signature = one.sign(&key(*number));
            one.with_signature(signature)
        });
        let counted = if enough { 0 } else { valid };
        let needed = if enough { 2 } else { threshold as usize };
        prop_assert_eq!(chain.membership(&member, &account, 5).is_ok(), counted >= needed);
    }
}
