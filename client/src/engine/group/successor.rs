//! Groups that go on in another one: because the log has a commit that is none, or because the suite changes. The new group
//! names the old one, and the old one's policy the new one where it still can. `spec/group.md`, "Successors".
//!
//! Several owners may make one at once. All members follow the same: the one that the old group's policy names, or else, of
//! those that an owner of the old group has invited them to, the one with the lowest log id.

use medipeps_core::Address;
use medipeps_core::group::{GroupPolicy, Role};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRecord, GroupRoleRecord, GroupStanding};

use super::mls::{OpenGroup, role_record};
use super::{GroupEvent, GroupId, GroupProblem, change, creation, load, message, store, tell};
use crate::engine::account::OwnDevice;
use crate::engine::contact;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};

/// The code of what was to be said in a group that goes on in another one.
pub(super) const CONTINUES: &str = "group_continues";

/// Makes a group anew, with the same members: they are invited as to any new group.
pub(in crate::engine) fn recreate(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let old = load(transaction, group_id)?;
    if let Some(successor) = old.successor {
        return Err(GroupProblem::Continues(successor).into());
    }
    if !matches!(old.standing, GroupStanding::Broken | GroupStanding::Active) {
        return Err(GroupProblem::Closed(old.standing).into());
    }
    let before = OpenGroup::load(transaction, group_id)?.policy()?;
    if before.role(own.address()) != Some(Role::Owner) {
        return Err(GroupProblem::NotOwner.into());
    }
    let account_key = *own.statement.account_key().as_bytes();
    let alone = GroupPolicy::new(&before.name, own.address(), account_key, own.address().domain());
    let policy = GroupPolicy {
        description: before.description.clone(),
        retention_days: before.retention_days,
        organisation: before.organisation.clone(),
        case: before.case.clone(),
        predecessor: Some(*group_id),
        ..alone
    };
    let (mut members, mut out_of_reach) = (Vec::new(), Vec::new());
    for entry in before.roster.iter().filter(|entry| entry.address != *own.address()) {
        let domain = entry.address.domain();
        // Where the accounts of a domain are reached is known of contacts alone.
        let is_reached = domain == own.address().domain() || contact::pinned(transaction, &entry.address)?.is_some();
        let of = if is_reached { &mut members } else { &mut out_of_reach };
        of.push((entry.address.clone(), role_record(entry.role)));
    }
    let new = creation::make(transaction, &own, &policy, &members)?;
    for (address, role) in out_of_reach {
        let (what, code) = (GroupChangeKind::Add(address, role), "not_a_contact".to_owned());
        tell(transaction, &new, GroupEvent::ChangeFailed { what, code });
    }
    follow(transaction, &own, group_id, &new)?;
    let mut old = load(transaction, group_id)?;
    if old.standing == GroupStanding::Active {
        change::want(&mut old, GroupChangeKind::Successor(new), transaction.now.0);
        store(transaction, &old);
    }
    Ok(())
}

/// This device has come into a group that says in whose place it is. The group is in the store.
pub(super) fn joined(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    policy: &GroupPolicy,
    group_id: &GroupId,
) -> Result<(), Stop> {
    if let Some(successor) = policy.successor {
        named(transaction, own, group_id, &successor)?;
    }
    let Some(predecessor) = policy.predecessor.filter(|predecessor| predecessor != group_id) else { return Ok(()) };
    if !transaction.exists(&key::group(&predecessor))? {
        return Ok(());
    }
    let mut group = load(transaction, group_id)?;
    group.predecessor = Some(predecessor);
    store(transaction, &group);
    consider(transaction, own, &predecessor)
}

/// Looks at the groups that say that they are in another one's place. They are believed once that cannot go on as far as this
/// device has read it, if who invited was an owner there. While it is open, its policy alone says where it goes on: the roster
/// that is known of it may be an old one.
pub(super) fn consider(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId) -> Result<(), Stop> {
    let standing = load(transaction, group_id)?.standing;
    if matches!(
        standing,
        GroupStanding::Making | GroupStanding::Active | GroupStanding::Joining | GroupStanding::Leaving
    ) {
        return Ok(());
    }
    let roster = transaction.load(&key::group_roster(group_id))?.unwrap_or_default();
    for (_, mut group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        let (Some(by), true) = (group.invited_by.clone(), group.predecessor == Some(*group_id)) else { continue };
        let role = roster.members.iter().find(|member| member.address == by).map(|member| member.role);
        if role == Some(GroupRoleRecord::Owner) {
            follow(transaction, own, group_id, &group.log_id)?;
        } else {
            group.predecessor = None;
            store(transaction, &group);
            tell(transaction, group_id, GroupEvent::SuccessorRefused { successor: group.log_id, by });
        }
    }
    Ok(())
}

/// The policy of a group that is in the store names its successor: that stands, whatever was followed before.
pub(super) fn named(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group_id: &GroupId,
    successor: &GroupId,
) -> Result<(), Stop> {
    settle(transaction, own, group_id, *successor)
}

/// Another group can be followed in a group's place.
fn follow(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group_id: &GroupId,
    candidate: &GroupId,
) -> Result<(), Stop> {
    let named = match OpenGroup::load(transaction, group_id) {
        Ok(mls) => mls.policy()?.successor,
        // Who was taken out has no policy any more.
        Err(Stop::Failed(_)) => None,
        Err(error) => return Err(error),
    };
    let known = load(transaction, group_id)?.successor;
    let chosen = named.unwrap_or_else(|| known.map_or(*candidate, |known| known.min(*candidate)));
    if chosen != *candidate {
        close(transaction, own, candidate, &chosen)?;
    }
    settle(transaction, own, group_id, chosen)
}

fn settle(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId, chosen: GroupId) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    let before = group.successor.replace(chosen);
    if before == Some(chosen) || chosen == *group_id {
        return Ok(());
    }
    store(transaction, &group);
    message::fail_all(transaction, group_id, CONTINUES)?;
    tell(transaction, group_id, GroupEvent::Continues { successor: chosen });
    match before {
        Some(before) => close(transaction, own, &before, &chosen),
        None => Ok(()),
    }
}

/// A group that is not followed goes on in the one that is, if this account can say so there.
fn close(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId, chosen: &GroupId) -> Result<(), Stop> {
    let Some(mut group) = transaction.load(&key::group(group_id))? else { return Ok(()) };
    let roster = transaction.load(&key::group_roster(group_id))?.unwrap_or_default();
    let own_role = roster.members.iter().find(|member| member.address == *own.address()).map(|member| member.role);
    let is_open = matches!(group.standing, GroupStanding::Active | GroupStanding::Making);
    if is_open && own_role == Some(GroupRoleRecord::Owner) && group.successor != Some(*chosen) {
        // Nobody is invited to it any more.
        group.changes.retain(|change| !matches!(change.what, GroupChangeKind::Add(..)));
        change::want(&mut group, GroupChangeKind::Successor(*chosen), transaction.now.0);
        store(transaction, &group);
    }
    Ok(())
}

/// By which account key somebody was in the group in whose place this one is, as far as that is known here.
pub(super) fn account_key(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    address: &Address,
) -> Result<Option<[u8; 32]>, Stop> {
    let Some(predecessor) = group.predecessor else { return Ok(None) };
    match OpenGroup::load(transaction, &predecessor) {
        Ok(mls) => Ok(mls.policy()?.entry(address).map(|entry| entry.account_key)),
        Err(Stop::Failed(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes what MLS had of a group that is broken, once all are invited to the one that is followed; what was said stays.
pub(super) fn tidy(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<(), Stop> {
    let Some(successor) = group.successor else { return Ok(()) };
    if !transaction.exists(&key::group_access(&group.log_id))? {
        return Ok(());
    }
    let successor = transaction.load(&key::group(&successor))?;
    let invites = |group: &GroupRecord| group.changes.iter().any(|one| matches!(one.what, GroupChangeKind::Add(..)));
    match successor {
        Some(successor) if !invites(&successor) && successor.standing == GroupStanding::Active => {
            OpenGroup::forget_of(transaction, &group.log_id)
        }
        _ => Ok(()),
    }
}
