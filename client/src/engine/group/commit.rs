//! Commits: made from what is to be changed, given up when somebody was faster, and taken over when they are read in the log.

use medipeps_core::Address;
use medipeps_core::group::{EpochChange, GroupMember, GroupWelcome, Role};
use medipeps_core::group_log::entry_hash;
use medipeps_core::wire::client_records::{
    GroupChangeKind, GroupCommitRecord, GroupInvitationRecord, GroupRecord, GroupStanding,
};
use medipeps_core::wire::transport::{AppendGroupEntry, GroupLogEntry, Request};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::change::{self, Plan};
use super::mls::{Changes, OpenGroup, code_of};
use super::{
    GroupEvent, GroupId, GroupProblem, append, blob, device_list, invitation, load, message, store, successor, tell,
};
use crate::engine::account::OwnDevice;
use crate::engine::outcome::EngineError;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::GROUP_PROPOSAL_WAIT_MS;

/// Makes one commit of all that is ready, and sends it. False if nothing of it is left to do.
pub(super) fn make(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId) -> Result<bool, Stop> {
    let mut group = load(transaction, group_id)?;
    let mut mls = OpenGroup::load(transaction, group_id)?;
    let changes = match change::plan(transaction, own, &mls, &mut group)? {
        Plan::Nothing => {
            store(transaction, &group);
            return Ok(false);
        }
        Plan::Leave(id) => return propose_to_leave(transaction, (group, mls), id).map(|()| true),
        Plan::Commit(changes) => changes,
    };
    let made = match mls.commit(transaction, &changes) {
        Ok(made) => made,
        // The rules do not allow it, or a key package is no good any more: what it was to do is dropped and told.
        Err(Stop::Failed(error)) => match *error {
            EngineError::Group(GroupProblem::Engine(error)) => {
                change::fail_all(transaction, &mut group, &changes.ids, code_of(&error));
                store(transaction, &group);
                return Ok(false);
            }
            other => return Err(other.into()),
        },
        Err(error) => return Err(error),
    };
    if let Some(invitation) = &made.invitation {
        keep_invitation(transaction, &group, &changes, invitation);
    }
    let Changes { ids, invited, .. } = *changes;
    send(transaction, (&mut group, &mut mls), made.request, (ids, invited), false)?;
    Ok(true)
}

/// Stores an entry as the one that is on its way, and sends it.
fn send(
    transaction: &mut Transaction<'_>,
    (group, mls): (&mut GroupRecord, &mut OpenGroup),
    request: AppendGroupEntry,
    (changes, invited): (Vec<u64>, Vec<Address>),
    proposal: bool,
) -> Result<(), Stop> {
    let entry_id = request.entry_id;
    group.commit = Some(GroupCommitRecord {
        entry_id,
        entry_hash: entry_hash(&request.entry),
        epoch: group.epoch,
        changes,
        invited,
        appended: false,
        proposal,
    });
    let request = Request::AppendGroupEntry(request);
    transaction.store(&key::submission(&entry_id), &Zeroizing::new(request.encode()));
    mls.save(transaction)?;
    store(transaction, group);
    append::send(transaction, group, entry_id, request);
    Ok(())
}

fn keep_invitation(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    changes: &Changes,
    invitation: &GroupWelcome,
) {
    let (log_id, epoch) = (group.log_id, group.epoch + 1);
    let blob = blob::prepare(transaction, (&log_id, epoch), &invitation.encode());
    let (invited, devices) = (changes.invited.clone(), Vec::new());
    let record = GroupInvitationRecord { log_id, epoch, invited, devices, place: None, blob };
    transaction.store(&key::group_invitation(&log_id, epoch), &record);
}

/// The server will never take the commit: what it was to do is dropped and told.
pub(super) fn give_up(transaction: &mut Transaction<'_>, group: &mut GroupRecord, code: &str) -> Result<(), Stop> {
    let Some(commit) = group.commit.clone() else { return Ok(()) };
    let mut mls = OpenGroup::load(transaction, &group.log_id)?;
    drop_pending(transaction, group, &mut mls)?;
    mls.save(transaction)?;
    change::fail_all(transaction, group, &commit.changes, code);
    group.problem = Some(code.to_owned());
    tell(transaction, &group.log_id, GroupEvent::Problem { code: code.to_owned() });
    Ok(())
}

/// Forgets what is on its way; what it was to do stays to be done.
pub(super) fn drop_pending(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    mls: &mut OpenGroup,
) -> Result<(), Stop> {
    let Some(commit) = group.commit.take() else { return Ok(()) };
    mls.drop_commit();
    transaction.delete(&key::submission(&commit.entry_id));
    let epoch = commit.epoch + 1;
    if let Some(invitation) = transaction.load(&key::group_invitation(&group.log_id, epoch))? {
        blob::forget(transaction, (&group.log_id, epoch), invitation.blob.length);
        transaction.delete(&key::group_invitation(&group.log_id, epoch));
    }
    Ok(())
}

/// Whether an entry of the log is what this device has on its way. A server may have given another entry the same id.
pub(super) fn is_own(group: &GroupRecord, entry: &GroupLogEntry) -> bool {
    let is =
        |commit: &GroupCommitRecord| commit.entry_id == entry.entry_id && commit.entry_hash == entry_hash(&entry.entry);
    group.commit.as_ref().is_some_and(is)
}

/// Whether what is on its way is a proposal to leave.
pub(super) fn is_proposal(group: &GroupRecord) -> bool {
    group.commit.as_ref().is_some_and(|commit| commit.proposal)
}

/// This device's commit is in the log: it holds from here on, and those whom it adds are told.
pub(super) fn read_back(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &mut OpenGroup,
    (change, entry): (&EpochChange, &GroupLogEntry),
) -> Result<(), Stop> {
    let Some(commit) = group.commit.take() else { return Ok(()) };
    transaction.delete(&key::submission(&commit.entry_id));
    group.changes.retain(|change| !commit.changes.contains(&change.id));
    (group.attempts, group.next_attempt, group.updated) = (0, 0, transaction.now.0);
    moved(transaction, own, group, mls, change)?;
    // What sends it reads the group's name out of the store.
    store(transaction, group);
    if let Some(mut record) = transaction.load(&key::group_invitation(&group.log_id, change.epoch))? {
        record.place = group.incarnation.map(|incarnation| (incarnation, entry.sequence));
        invitation::place(transaction, own, record)?;
    }
    Ok(())
}

/// Somebody else's commit is in the log.
pub(super) fn taken(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &mut OpenGroup,
    change: &EpochChange,
) -> Result<(), Stop> {
    drop_pending(transaction, group, mls)?;
    moved(transaction, own, group, mls, change)
}

fn moved(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &mut OpenGroup,
    change: &EpochChange,
) -> Result<(), Stop> {
    if change.removed_self {
        if group.standing == GroupStanding::Leaving {
            return left(transaction, group, mls);
        }
        message::fail_all(transaction, &group.log_id, "group_removed")?;
        group.changes.clear();
        group.standing = GroupStanding::Removed;
        tell(transaction, &group.log_id, GroupEvent::Removed);
        return mls.forget(transaction);
    }
    group.epoch = mls.epoch();
    let policy = mls.policy()?;
    group.name.clone_from(&policy.name);
    group.organisation.clone_from(&policy.organisation);
    let accounts = |members: &[GroupMember]| {
        let mut accounts: Vec<Address> = members.iter().map(|member| member.address.clone()).collect();
        accounts.sort();
        accounts.dedup();
        accounts
    };
    let event = GroupEvent::Changed {
        by: change.committer.address.clone(),
        added: accounts(&change.added),
        removed: accounts(&change.removed),
        rejoined: change.rejoined.iter().map(|one| (one.joined.address.clone(), one.joined.device_id)).collect(),
    };
    tell(transaction, &group.log_id, event);
    if let Some(successor) = mls.policy()?.successor
        && group.successor != Some(successor)
    {
        store(transaction, group);
        successor::named(transaction, own, &group.log_id, &successor)?;
        *group = load(transaction, &group.log_id)?;
    }
    device_list::check(transaction, own, group, mls)
}

/// Somebody wants to leave, and cannot take himself out: who reads it commits it, though not all at once. An owner takes
/// the whole account out.
pub(super) fn proposed(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &OpenGroup,
    leaving: Option<&GroupMember>,
) -> Result<(), Stop> {
    let wait = u64::from(transaction.rng.next_u32()) % GROUP_PROPOSAL_WAIT_MS;
    let is_owner = mls.role(own.address())? == Some(Role::Owner);
    let what = match leaving {
        // Another device of this account has left for all of them.
        Some(member) if member.address == *own.address() => GroupChangeKind::Leave,
        Some(member) if is_owner => GroupChangeKind::Remove(member.address.clone()),
        _ => GroupChangeKind::Update,
    };
    if change::want(group, what, transaction.now.0) {
        group.next_attempt = group.next_attempt.max(transaction.now.0.saturating_add(wait));
    }
    Ok(())
}

/// This device wants to leave: what it had to say is off. Nobody can take himself out, so that others have to commit it;
/// until then, and in each epoch anew, it is proposed.
fn propose_to_leave(
    transaction: &mut Transaction<'_>,
    (mut group, mut mls): (GroupRecord, OpenGroup),
    id: u64,
) -> Result<(), Stop> {
    message::fail_all(transaction, &group.log_id, "group_left")?;
    group.changes.retain(|change| change.id == id);
    if mls.is_alone() {
        left(transaction, &mut group, &mls)?;
        store(transaction, &group);
        return Ok(());
    }
    group.standing = GroupStanding::Leaving;
    let request = mls.propose_to_leave(transaction)?;
    send(transaction, (&mut group, &mut mls), request, (vec![id], Vec::new()), true)
}

fn left(transaction: &mut Transaction<'_>, group: &mut GroupRecord, mls: &OpenGroup) -> Result<(), Stop> {
    (group.standing, group.commit, group.problem) = (GroupStanding::Left, None, None);
    group.changes.clear();
    tell(transaction, &group.log_id, GroupEvent::Left);
    mls.forget(transaction)
}
