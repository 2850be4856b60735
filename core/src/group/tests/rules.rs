//! Each rule, kept by the one who would break it and enforced by those who receive it.

use mls_rs::{Extension, ExtensionList};

use super::rogue::{external_commit, rogue_entry};
use super::*;
use crate::group::judge::POLICY_EXTENSION;
use crate::test_rng::rng;

const SUITE: Suite = Suite::Classical;

struct Ward {
    claire: Account,
    karim: Account,
    anne: Account,
    eve: Account,
    log: Log,
    readers: Vec<Reader>,
    rng: ChaCha20Rng,
}

/// Claire is owner, Karim member, Anne reader; Eve is not in the group.
fn ward() -> Ward {
    let mut rng = rng(1);
    let [claire, karim, anne, eve] =
        [("claire", 1), ("karim", 2), ("anne", 3), ("eve", 4)].map(|(name, seed)| Account::new(name, 3, seed));
    let (log, readers) = group_of(SUITE, &claire, &[(&karim, Role::Member), (&anne, Role::Reader)], &mut rng);
    Ward { claire, karim, anne, eve, log, readers, rng }
}

/// The entry is refused by both others, and they can go on.
fn refused(ward: &mut Ward, sender: usize, entry: &GroupEntry, refusal: Refusal) {
    for (number, reader) in ward.readers.iter_mut().enumerate() {
        if number != sender {
            let expected = GroupError::GarbageCommit(Box::new(GroupError::Refused(refusal)));
            assert_eq!(reader.group.process(&entry.entry, entry.epoch, true), Err(expected));
        }
    }
    // Had it not closed the epoch, everything would be as before.
    commit(&mut ward.log, &mut ward.readers, 0, &Change::default(), &mut ward.rng);
}

fn with_policy(group: &Group, change: impl FnOnce(&mut GroupPolicy)) -> GroupPolicy {
    let mut policy = (*group.policy().unwrap()).clone();
    change(&mut policy);
    policy
}

fn extensions(policy: &GroupPolicy) -> ExtensionList {
    [Extension::new(POLICY_EXTENSION, policy.context_hash().to_vec())].into_iter().collect()
}

/// What a commit brings that changes a group's policy to this one.
fn brought(group: &Group, policy: &GroupPolicy) -> Vec<u8> {
    GroupPolicyChange::between(&group.policy().unwrap(), policy).encode()
}

/// A commit of Claire's client without rules: with these extensions, bringing these bytes.
fn rogue_policy(ward: &mut Ward, sender: usize, new: Option<ExtensionList>, brought: Vec<u8>) -> GroupEntry {
    rogue_entry!(ward.readers[sender].group, &mut ward.rng, |rogue| {
        let mut builder = rogue.commit_builder().authenticated_data(brought);
        if let Some(new) = new {
            builder = builder.set_group_context_ext(new).unwrap();
        }
        builder.build_detached().map(|(output, _)| output.commit_message)
    })
}

#[test]
fn an_own_device_is_added_and_someone_elses_is_not() {
    let mut ward = ward();
    let (own, _) = ward.karim.key_package(2, SUITE, &mut ward.rng);
    commit(&mut ward.log, &mut ward.readers, 1, &Change { add: vec![own], ..Change::default() }, &mut ward.rng);
    let (foreign, _) = ward.anne.key_package(2, SUITE, &mut ward.rng);
    let change = Change { add: vec![foreign.clone()], ..Change::default() };
    let prepared = ward.readers[1].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::AddByOther.into()));
    let entry = rogue_entry!(ward.readers[1].group, &mut ward.rng, |rogue| rogue
        .commit_builder()
        .add_member(foreign.message.clone())
        .unwrap()
        .build_detached()
        .map(|(output, _)| output.commit_message));
    refused(&mut ward, 1, &entry, Refusal::AddByOther);
}

#[test]
fn who_is_not_in_the_roster_is_not_added() {
    let mut ward = ward();
    let (package, _) = ward.eve.key_package(1, SUITE, &mut ward.rng);
    let change = Change { add: vec![package.clone()], ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::NotInRoster.into()));
    let entry = rogue_entry!(ward.readers[0].group, &mut ward.rng, |rogue| rogue
        .commit_builder()
        .add_member(package.message.clone())
        .unwrap()
        .build_detached()
        .map(|(output, _)| output.commit_message));
    for reader in &mut ward.readers[1..] {
        let received = reader.group.process(&entry.entry, entry.epoch, true);
        assert_eq!(received, Err(GroupError::GarbageCommit(Box::new(Refusal::NotInRoster.into()))));
    }
    // An account under another key than the roster's is another account.
    let policy = with_policy(&ward.readers[0].group, |policy| {
        policy.set(ward.eve.address(), [7; 32], Role::Member);
    });
    let change = Change { add: vec![package], policy: Some(policy), ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::NotInRoster.into()));
}

#[test]
fn only_an_owner_removes_another_account() {
    let mut ward = ward();
    let anne = ward.readers[2].group.own_leaf();
    let change = Change { remove: vec![anne], ..Change::default() };
    let prepared = ward.readers[1].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::RemoveByOther.into()));
    let entry = rogue_entry!(ward.readers[1].group, &mut ward.rng, |rogue| rogue
        .commit_builder()
        .remove_member(anne)
        .unwrap()
        .build_detached()
        .map(|(output, _)| output.commit_message));
    refused(&mut ward, 1, &entry, Refusal::RemoveByOther);
    let policy = with_policy(&ward.readers[0].group, |policy| policy.remove(ward.anne.address()));
    let change = Change { remove: vec![anne], policy: Some(policy), ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng).unwrap();
    assert!(ward.log.append(&prepared.entry, true));
    assert!(
        matches!(ward.readers[2].catch_up(&ward.log).last(), Some(Ok(Received::Epoch(change))) if change.removed_self)
    );
}

#[test]
fn only_an_owner_changes_the_policy() {
    let mut ward = ward();
    let policy = with_policy(&ward.readers[1].group, |policy| {
        policy.set(ward.karim.address(), ward.karim.key(), Role::Owner);
    });
    let change = Change { policy: Some(policy.clone()), ..Change::default() };
    let prepared = ward.readers[1].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::PolicyByOther.into()));
    let brought = brought(&ward.readers[1].group, &policy);
    let entry = rogue_policy(&mut ward, 1, Some(extensions(&policy)), brought);
    refused(&mut ward, 1, &entry, Refusal::PolicyByOther);
}

#[test]
fn a_policy_that_breaks_its_own_rules_is_refused() {
    let mut ward = ward();
    let nobody_owns = with_policy(&ward.readers[0].group, |policy| {
        policy.set(ward.claire.address(), ward.claire.key(), Role::Member);
    });
    let change = Change { policy: Some(nobody_owns.clone()), ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(PolicyError::NoOwner.into()));
    let none: ExtensionList = ExtensionList::new();
    let garbled = [Extension::new(POLICY_EXTENSION, vec![0xff; 9])].into_iter().collect();
    for (new, brought) in [
        (extensions(&nobody_owns), brought(&ward.readers[0].group, &nobody_owns)),
        (none, Vec::new()),
        (garbled, Vec::new()),
        (extensions(&nobody_owns), vec![0xff; 9]),
    ] {
        let entry = rogue_policy(&mut ward, 0, Some(new), brought);
        refused(&mut ward, 0, &entry, Refusal::Policy);
    }
}

#[test]
fn a_commit_without_its_policy_is_refused() {
    let mut ward = ward();
    let policy = with_policy(&ward.readers[0].group, |policy| policy.name = "Ward 4".to_owned());
    let entry = rogue_policy(&mut ward, 0, Some(extensions(&policy)), Vec::new());
    refused(&mut ward, 0, &entry, Refusal::PolicyMissing);
    // Nor is one taken that is known from before: a commit says itself what it changes to.
    let known = (*ward.readers[0].group.policy().unwrap()).clone();
    let change = Change { policy: Some(policy), ..Change::default() };
    commit(&mut ward.log, &mut ward.readers, 0, &change, &mut ward.rng);
    for policy in [known, (*ward.readers[0].group.policy().unwrap()).clone()] {
        let entry = rogue_policy(&mut ward, 0, Some(extensions(&policy)), Vec::new());
        refused(&mut ward, 0, &entry, Refusal::PolicyMissing);
    }
}

#[test]
fn a_commit_with_another_policy_is_refused() {
    let mut ward = ward();
    let named = with_policy(&ward.readers[0].group, |policy| policy.name = "Ward 4".to_owned());
    let other = with_policy(&ward.readers[0].group, |policy| {
        policy.set(ward.karim.address(), ward.karim.key(), Role::Owner);
    });
    let change = brought(&ward.readers[0].group, &other);
    let entry = rogue_policy(&mut ward, 0, Some(extensions(&named)), change.clone());
    refused(&mut ward, 0, &entry, Refusal::PolicyMismatch);
    // One that the commit changes nothing for, by an owner or by somebody else.
    for sender in [0, 1] {
        let entry = rogue_policy(&mut ward, sender, None, change.clone());
        refused(&mut ward, sender, &entry, Refusal::PolicyMismatch);
    }
    assert_eq!(ward.readers[1].group.own_role(), Ok(Role::Member));
}

#[test]
fn what_a_commit_brings_cannot_be_exchanged_on_its_way() {
    let mut ward = ward();
    let policy = with_policy(&ward.readers[0].group, |policy| policy.name = "Ward 4".to_owned());
    let change = Change { policy: Some(policy), ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng).unwrap();
    // Anne opens the wrapping, and puts another name in the place of the one that the owner signed for.
    let anne = &ward.readers[2].group;
    let mut message = crate::group::entry::unwrap(anne.keys(), &anne.log_id(), &prepared.entry.entry).unwrap();
    let at = message.windows(6).position(|window| window == b"Ward 4").unwrap();
    message[at + 5] = b'5';
    let forged = anne.wrapped(&message, &mut ward.rng).unwrap();
    let received = ward.readers[1].group.process(&forged.entry, forged.epoch, true);
    assert_eq!(received, Err(GroupError::GarbageCommit(Box::new(GroupError::Unverified))));
    assert_eq!(ward.readers[1].group.policy().unwrap().name, "Ward 3");
    assert!(ward.log.append(&prepared.entry, true));
    ward.readers.iter_mut().for_each(|reader| assert!(reader.catch_up(&ward.log).iter().all(Result::is_ok)));
    assert_eq!(ward.readers[1].group.policy().unwrap().name, "Ward 4");
}

#[test]
fn a_proposal_to_change_the_policy_is_not_carried_out() {
    let mut ward = ward();
    let policy = with_policy(&ward.readers[0].group, |policy| policy.name = "Ward 4".to_owned());
    let new = extensions(&policy);
    let data = brought(&ward.readers[0].group, &policy);
    let proposal =
        rogue_entry!(ward.readers[0].group, &mut ward.rng, |rogue| rogue.propose_group_context_extensions(new, data));
    assert!(ward.log.append(&proposal, false));
    for reader in &mut ward.readers[1..] {
        assert!(matches!(reader.catch_up(&ward.log)[..], [Ok(Received::Proposal(_))]));
    }
    ward.readers[0].read = ward.log.entries.len();
    // One who keeps the rules leaves it out.
    let prepared = ward.readers[1].group.prepare_commit(&Change::default(), &mut ward.rng).unwrap();
    ward.readers[1].group.drop_commit();
    let brought = brought(&ward.readers[1].group, &policy);
    let entry = rogue_policy(&mut ward, 1, None, brought);
    let received = ward.readers[2].group.process(&entry.entry, entry.epoch, true);
    assert_eq!(received, Err(GroupError::GarbageCommit(Box::new(Refusal::PolicyByReference.into()))));
    assert!(matches!(ward.readers[2].group.process(&prepared.entry.entry, 1, true), Ok(Received::Epoch(change))
        if !change.policy_changed));
}

#[test]
fn an_invitation_with_a_wrong_policy_is_refused() {
    let mut ward = ward();
    let (package, secret) = ward.karim.key_package(2, SUITE, &mut ward.rng);
    let prepared =
        commit(&mut ward.log, &mut ward.readers, 1, &Change { add: vec![package], ..Change::default() }, &mut ward.rng);
    let invitation = prepared.invitation.unwrap();
    let other = with_policy(&ward.readers[0].group, |policy| {
        policy.set(ward.karim.address(), ward.karim.key(), Role::Owner);
    });
    let nobody_owns = GroupPolicy { roster: Vec::new(), ..other.clone() };
    for (policy, refusal) in [
        (Vec::new(), Refusal::PolicyMissing),
        (other.encode(), Refusal::PolicyMismatch),
        (nobody_owns.encode(), Refusal::Policy),
        (vec![0xff; 9], Refusal::Policy),
        (vec![0; crate::limits::GROUP_POLICY_LENGTH_MAX + 1], Refusal::Policy),
    ] {
        let wrong = GroupWelcome { policy, ..invitation.clone() };
        assert_eq!(ward.karim.engine(2).join(&wrong, &secret).unwrap_err(), refusal.into());
    }
    assert_eq!(ward.karim.engine(2).join(&invitation, &secret).unwrap().own_role(), Ok(Role::Member));
}

#[test]
fn help_to_rejoin_with_a_wrong_policy_is_refused() {
    let mut ward = ward();
    let help = ward.readers[0].group.help_rejoin(&mut ward.rng).unwrap();
    let other = with_policy(&ward.readers[0].group, |policy| policy.name = "Ward 4".to_owned());
    for (policy, refusal) in [(Vec::new(), Refusal::PolicyMissing), (other.encode(), Refusal::PolicyMismatch)] {
        let wrong = GroupRejoin { policy, ..help.clone() };
        assert_eq!(ward.karim.engine(2).rejoin(&wrong, &[], &mut ward.rng).unwrap_err(), refusal.into());
    }
    assert!(ward.karim.engine(2).rejoin(&help, &[], &mut ward.rng).is_ok());
}

#[test]
fn no_leaf_stays_of_an_account_that_left_the_roster() {
    let mut ward = ward();
    let policy = with_policy(&ward.readers[0].group, |policy| policy.remove(ward.anne.address()));
    let change = Change { policy: Some(policy.clone()), ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::LeafOutsideRoster.into()));
    let brought = brought(&ward.readers[0].group, &policy);
    let entry = rogue_policy(&mut ward, 0, Some(extensions(&policy)), brought);
    refused(&mut ward, 0, &entry, Refusal::LeafOutsideRoster);
}

#[test]
fn a_reader_who_posts_is_refused_by_readers() {
    let mut ward = ward();
    assert_eq!(encrypted(&mut ward.readers[2].group, "I may not", &mut ward.rng), Err(Refusal::ReaderPosted.into()));
    let entry = rogue_entry!(ward.readers[2].group, &mut ward.rng, |rogue| rogue
        .encrypt_application_message(b"I may not", Vec::new()));
    assert!(ward.log.append(&entry, false));
    for reader in &mut ward.readers[..2] {
        assert_eq!(reader.catch_up(&ward.log), [Err(Refusal::ReaderPosted.into())]);
    }
    ward.readers[2].read = ward.log.entries.len();
    say(&mut ward.log, &mut ward.readers[0], "the reader reads", &mut ward.rng);
    assert_eq!(ward.readers[2].texts(&ward.log), ["the reader reads"]);
}

#[test]
fn a_closed_group_takes_no_messages() {
    let mut ward = ward();
    let policy = with_policy(&ward.readers[0].group, |policy| policy.successor = Some([9; 32]));
    let change = Change { policy: Some(policy), ..Change::default() };
    commit(&mut ward.log, &mut ward.readers, 0, &change, &mut ward.rng);
    assert_eq!(encrypted(&mut ward.readers[1].group, "too late", &mut ward.rng), Err(Refusal::Closed.into()));
    let entry = rogue_entry!(ward.readers[1].group, &mut ward.rng, |rogue| rogue
        .encrypt_application_message(b"too late", Vec::new()));
    assert_eq!(ward.readers[0].group.process(&entry.entry, entry.epoch, false), Err(Refusal::Closed.into()));
}

#[test]
fn kinds_of_proposals_that_groups_do_not_use_are_refused() {
    let mut ward = ward();
    let entry = rogue_entry!(ward.readers[0].group, &mut ward.rng, |rogue| rogue
        .commit_builder()
        .reinit(None, mls_rs::ProtocolVersion::MLS_10, SUITE.mls(), ExtensionList::new())
        .unwrap()
        .build_detached()
        .map(|(output, _)| output.commit_message));
    refused(&mut ward, 0, &entry, Refusal::Proposal);
}

#[test]
fn a_bad_proposal_of_another_is_left_out_of_ones_commit() {
    let mut ward = ward();
    let anne = ward.readers[2].group.own_leaf();
    let proposal = rogue_entry!(ward.readers[1].group, &mut ward.rng, |rogue| rogue.propose_remove(anne, Vec::new()));
    assert!(ward.log.append(&proposal, false));
    assert!(matches!(ward.readers[0].catch_up(&ward.log)[..], [Ok(Received::Proposal(_))]));
    assert!(matches!(ward.readers[2].catch_up(&ward.log)[..], [Ok(Received::Proposal(_))]));
    ward.readers[1].read = ward.log.entries.len();
    commit(&mut ward.log, &mut ward.readers, 0, &Change::default(), &mut ward.rng);
    assert_eq!(ward.readers[0].group.size(), 3);
}

#[test]
fn a_device_takes_the_place_of_one_of_its_account_only() {
    let mut ward = ward();
    // Karim's second device lost its state, or never had one: it takes the place of the first.
    let help = ward.readers[0].group.help_rejoin(&mut ward.rng).unwrap();
    let help = GroupRejoin::decode(&help.encode()).unwrap();
    let rejoin = ward.karim.engine(2).rejoin(&help, &[], &mut ward.rng).unwrap();
    assert!(ward.log.append(&rejoin.entry, true));
    let received = ward.readers[0].catch_up(&ward.log);
    let [Ok(Received::Epoch(change))] = &received[..] else { panic!("{received:?}") };
    let rejoined = change.rejoined.as_ref().unwrap();
    assert_eq!((rejoined.replaced.device_id, rejoined.joined.device_id), (1, 2));
    assert_eq!(rejoined.joined.address, *ward.karim.address());
    assert!(matches!(&ward.readers[1].catch_up(&ward.log)[..], [Ok(Received::Epoch(change))] if change.removed_self));
    ward.readers[1] = Reader::at(rejoin.group, &ward.log);
    say(&mut ward.log, &mut ward.readers[1], "back again", &mut ward.rng);
    assert_eq!(ward.readers[0].texts(&ward.log), ["back again"]);
    // Eve has no leaf there.
    let help = ward.readers[0].group.help_rejoin(&mut ward.rng).unwrap();
    let rejoin = ward.eve.engine(1).rejoin(&help, &[], &mut ward.rng);
    assert_eq!(rejoin.unwrap_err(), Refusal::ExternalCommit.into());
}

#[test]
fn wrong_external_commits_are_refused() {
    let mut ward = ward();
    let anne = ward.readers[2].group.own_leaf();
    // In the place of someone else; in nobody's place, though in the roster; and by someone whom the roster does not have.
    let help = ward.readers[0].group.help_rejoin(&mut ward.rng).unwrap();
    let attempts = [
        (ward.karim.engine(2), Some(anne), Refusal::ExternalCommit),
        (ward.karim.engine(2), None, Refusal::ExternalCommit),
        (ward.eve.engine(1), Some(anne), Refusal::ExternalCommit),
    ];
    let entries = attempts.map(|(engine, remove, refusal)| {
        (external_commit(&engine, &help, &ward.readers[0].group, remove, &mut ward.rng), refusal)
    });
    for (entry, refusal) in entries {
        for reader in &mut ward.readers {
            let received = reader.group.process(&entry.entry, entry.epoch, true);
            assert_eq!(received, Err(GroupError::GarbageCommit(Box::new(refusal.into()))));
        }
    }
    commit(&mut ward.log, &mut ward.readers, 0, &Change::default(), &mut ward.rng);
}

#[test]
fn key_packages_are_for_the_device_that_they_are_said_to_be() {
    let mut ward = ward();
    let made = ward.karim.engine(2).key_package(SUITE, NOW, &mut ward.rng).unwrap();
    let verify = |bytes: &[u8], suite, account: &Account, now| {
        KeyPackage::verify(bytes, suite, &account.statement, now).map(|package| package.device_id())
    };
    assert_eq!(verify(&made.key_package, SUITE, &ward.karim, NOW), Ok(2));
    assert_eq!(verify(&made.key_package, Suite::PostQuantum, &ward.karim, NOW), Err(KeyPackageError::Suite));
    assert_eq!(verify(&made.key_package, SUITE, &ward.claire, NOW), Err(KeyPackageError::Device));
    // The same address and device under other keys.
    let other = Account::new("karim", 3, 77);
    assert_eq!(verify(&made.key_package, SUITE, &other, NOW), Err(KeyPackageError::Device));
    let fewer = Account::new("karim", 1, 2);
    assert_eq!(verify(&made.key_package, SUITE, &fewer, NOW), Err(KeyPackageError::Device));
    let days = |number: u64| NOW + number * 86_400;
    assert_eq!(verify(&made.key_package, SUITE, &ward.karim, days(119)), Ok(2));
    assert_eq!(verify(&made.key_package, SUITE, &ward.karim, days(121)), Err(KeyPackageError::Lifetime));
    assert_eq!(verify(&made.key_package, SUITE, &ward.karim, NOW - 10 * 86_400), Err(KeyPackageError::Lifetime));
    assert_eq!(verify(&[0; 20_000], SUITE, &ward.karim, NOW), Err(KeyPackageError::Malformed));
    let mut altered = made.key_package.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(verify(&altered, SUITE, &ward.karim, NOW), Err(KeyPackageError::Unverified));
    // A certificate of Karim's with a key of Eve's.
    let stolen = GroupEngine { signing_key: &ward.eve.devices[0].signing_key, ..ward.karim.engine(2) };
    let made = stolen.key_package(SUITE, NOW, &mut ward.rng).unwrap();
    assert_eq!(verify(&made.key_package, SUITE, &ward.karim, NOW), Err(KeyPackageError::Unverified));
}

#[test]
fn limits_are_refused_by_name() {
    let mut ward = ward();
    let (package, _) = ward.karim.key_package(2, SUITE, &mut ward.rng);
    let change = Change { add: vec![package; crate::limits::GROUP_MEMBERS_MAX - 2], ..Change::default() };
    let prepared = ward.readers[0].group.prepare_commit(&change, &mut ward.rng);
    assert_eq!(prepared, Err(Refusal::TooManyMembers.into()));
    let long = vec![0; crate::limits::GROUP_MESSAGE_LENGTH_MAX + 1];
    assert_eq!(ward.readers[0].group.encrypt(&long, &mut ward.rng), Err(GroupError::TooLong));
    let own = ward.readers[0].group.own_leaf();
    let change = Change { remove: vec![own], ..Change::default() };
    assert_eq!(ward.readers[0].group.prepare_commit(&change, &mut ward.rng), Err(GroupError::RemovesSelf));
    let change = Change { remove: vec![700], ..Change::default() };
    assert_eq!(ward.readers[0].group.prepare_commit(&change, &mut ward.rng), Err(GroupError::NoSuchMember));
}
