//! The way back into a group for a device that has lost its place: its state was rolled back, or what it had to read is gone.
//!
//! It asks one member after the other, over 1:1. Who is asked and finds the account in the roster hands over what an external
//! commit needs; the commit takes the place of a leaf of the same account, and everybody is shown that.

use medipeps_core::Address;
use medipeps_core::group::GroupRejoin;
use medipeps_core::group_log::entry_hash;
use medipeps_core::kind::{AttachmentPlace, Body, Content, GroupRejoinAnswer, GroupRejoinRequest, LogPosition};
use medipeps_core::wire::client_records::{
    GroupChangeKind, GroupCommitRecord, GroupInvitationRecord, GroupJoinRecord, GroupRecord, GroupStanding,
};
use medipeps_core::wire::transport::{AppendGroupEntryReply, ErrorReply, Request};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::mls::{OpenGroup, code_of};
use super::{GroupEvent, GroupId, GroupProblem, append, blob, change, load, message, store, successor, tell};
use crate::engine::account::OwnDevice;
use crate::engine::composition;
use crate::engine::contact;
use crate::engine::outbox::{is_due, next_attempt};
use crate::engine::outcome::{EngineError, error_code_name};
use crate::engine::own_devices;
use crate::engine::records::{class, key};
use crate::engine::sesame::PeerDevice;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{GROUP_INVITATION_INLINE_MAX, GROUP_REJOIN_ASK_FIRST_MS, GROUP_REJOIN_ASK_MAX_MS};

/// Distinguishes the help for a rejoin from an invitation to the same epoch, in the names of records.
const HELP: u64 = 1 << 63;

/// This device has lost its place in a group: what it had of MLS is deleted, what was said stays.
pub(super) fn lose_place(transaction: &mut Transaction<'_>, group: &mut GroupRecord, code: &str) -> Result<(), Stop> {
    message::fail_all(transaction, &group.log_id, code)?;
    OpenGroup::forget_of(transaction, &group.log_id)?;
    if let Some(commit) = group.commit.take() {
        transaction.delete(&key::submission(&commit.entry_id));
    }
    group.changes.clear();
    (group.standing, group.attempts, group.next_attempt) = (GroupStanding::Rejoining, 0, 0);
    group.problem = Some(code.to_owned());
    tell(transaction, &group.log_id, GroupEvent::Problem { code: code.to_owned() });
    Ok(())
}

/// The whole store was an old copy: no state of a group in it may be used, because the newer state has used its keys.
pub(in crate::engine) fn rolled_back(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    for (_, mut group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        match group.standing {
            GroupStanding::Active | GroupStanding::Rejoining | GroupStanding::Leaving => {
                lose_place(transaction, &mut group, "state_rolled_back")?;
            }
            GroupStanding::Making | GroupStanding::Joining => {
                OpenGroup::forget_of(transaction, &group.log_id)?;
                (group.standing, group.commit) = (GroupStanding::Left, None);
                group.changes.clear();
            }
            GroupStanding::Left | GroupStanding::Removed | GroupStanding::Broken => continue,
        }
        store(transaction, &group);
    }
    for class in [
        class::GROUP_STATE,
        class::GROUP_ACCESS,
        class::KEY_PACKAGE,
        class::KEY_PACKAGES,
        class::GROUP_INVITATION,
        class::GROUP_INVITATION_PIECE,
        class::GROUP_JOIN,
    ] {
        for (key, _) in transaction.scan::<crate::engine::Bytes>(class)? {
            transaction.delete(&key);
        }
    }
    Ok(())
}

/// The group as a restored device has it: what was said, and no state.
pub(in crate::engine) fn restored(group: &mut GroupRecord) {
    match group.standing {
        GroupStanding::Active | GroupStanding::Rejoining | GroupStanding::Leaving => {
            (group.standing, group.problem) = (GroupStanding::Rejoining, Some("restored".to_owned()));
        }
        GroupStanding::Making | GroupStanding::Joining => group.standing = GroupStanding::Left,
        GroupStanding::Left | GroupStanding::Removed | GroupStanding::Broken => {}
    }
    (group.commit, group.attempts, group.next_attempt) = (None, 0, 0);
    group.changes.clear();
    group.statement_version = 0;
}

/// Goes on with what is under way, or asks the next member.
pub(super) fn ask_due(transaction: &mut Transaction<'_>, own: &OwnDevice, group: &GroupRecord) -> Result<(), Stop> {
    if let Some(commit) = &group.commit {
        return append::again(transaction, group, commit.entry_id);
    }
    if transaction.exists(&key::group_join(&group.log_id))? {
        return blob::fetch_due(transaction, group);
    }
    if !is_due(group.next_attempt, transaction.now.0) {
        return Ok(());
    }
    let roster = transaction.load(&key::group_roster(&group.log_id))?.unwrap_or_default();
    let own_account = own_devices::others(own).next().map(|_| own.address().clone());
    let others = roster.members.into_iter().filter(|member| !member.devices.is_empty()).map(|member| member.address);
    let members: Vec<Address> =
        own_account.into_iter().chain(others.filter(|address| address != own.address())).collect();
    let Some(member) = members.get(group.attempts as usize % members.len().max(1)) else { return Ok(()) };
    let request = GroupRejoinRequest { log_id: group.log_id, epoch: Some(group.epoch).filter(|epoch| *epoch != 0) };
    composition::enqueue_bare(transaction, own, member, None, Body::GroupRejoinRequest(request))?;
    let mut group = group.clone();
    group.next_attempt = transaction.now.0.saturating_add(wait_for_answer(transaction, group.attempts));
    group.attempts = group.attempts.saturating_add(1);
    store(transaction, &group);
    Ok(())
}

/// Milliseconds until the next one is asked, after so many before: half as long again each time, a quarter more at random.
fn wait_for_answer(transaction: &mut Transaction<'_>, asked: u32) -> u64 {
    let mut wait = GROUP_REJOIN_ASK_FIRST_MS;
    for _ in 0..asked {
        if wait >= GROUP_REJOIN_ASK_MAX_MS {
            break;
        }
        wait += wait / 2;
    }
    let wait = wait.min(GROUP_REJOIN_ASK_MAX_MS);
    wait + u64::from(transaction.rng.next_u32()) % (wait / 4)
}

/// Another device asks for the way back. It gets it if its account is in the roster under its key; that the device is in
/// the account's newest statement was seen to when its envelope was opened. Everybody else gets no answer.
pub(in crate::engine) fn requested(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    peer: &PeerDevice,
    request: GroupRejoinRequest,
) -> Result<(), Stop> {
    let group_id = &request.log_id;
    let Some(group) = transaction.load(&key::group(group_id))? else { return Ok(()) };
    let Some(incarnation) = group.incarnation.filter(|_| group.standing == GroupStanding::Active) else {
        return Ok(());
    };
    let mls = OpenGroup::load(transaction, group_id)?;
    if peer.address == *own.address() && !mls.devices_of(own.address())?.contains(&peer.device_id) {
        // A device of this account that has no place yet is brought in beside this one, not in its place.
        let mut group = group;
        change::want(&mut group, GroupChangeKind::OwnDevices, transaction.now.0);
        store(transaction, &group);
        return Ok(());
    }
    let listed = mls.policy()?.entry(&peer.address).is_some_and(|one| one.account_key == *peer.account_key.as_bytes());
    if !listed || group.epoch != mls.epoch() {
        return Ok(());
    }
    let (epoch, name) = (mls.epoch(), mls.epoch() | HELP);
    if let Some(mut record) = transaction.load(&key::group_invitation(group_id, name))? {
        // Its blob is on its way to the server; it serves all who ask in this epoch.
        let mut asked = record.invited.iter().zip(&record.devices);
        if asked.all(|(address, device)| (address, device) != (&peer.address, &peer.device_id)) {
            record.invited.push(peer.address.clone());
            record.devices.push(peer.device_id);
            transaction.store(&key::group_invitation(group_id, name), &record);
        }
        return Ok(());
    }
    let help = mls.help_rejoin(transaction)?.encode();
    let prepared = blob::prepare(transaction, (group_id, name), &help);
    let record = GroupInvitationRecord {
        log_id: *group_id,
        epoch: name,
        invited: vec![peer.address.clone()],
        devices: vec![peer.device_id],
        place: Some((incarnation, group.after)),
        blob: prepared,
    };
    debug_assert_eq!(epoch, group.epoch);
    match record.blob.length > GROUP_INVITATION_INLINE_MAX as u64 {
        true => transaction.store(&key::group_invitation(group_id, name), &record),
        false => answer(transaction, own, &record)?,
    }
    Ok(())
}

/// The same, of an account that is no contact here, as members of a large group seldom are to each other. If the roster has
/// it under this key, its newest statement is asked for; whoever asks again is answered.
pub(in crate::engine) fn requested_unchecked(
    transaction: &mut Transaction<'_>,
    peer: &PeerDevice,
    request: GroupRejoinRequest,
) -> Result<(), Stop> {
    let Some(group) = transaction.load(&key::group(&request.log_id))? else { return Ok(()) };
    if group.standing != GroupStanding::Active {
        return Ok(());
    }
    let mls = OpenGroup::load(transaction, &request.log_id)?;
    let listed = mls.policy()?.entry(&peer.address).is_some_and(|one| one.account_key == *peer.account_key.as_bytes());
    if listed {
        contact::ask(transaction, &peer.address, false);
    }
    Ok(())
}

/// Whether a record is help for a rejoin.
pub(super) const fn is_help(record: &GroupInvitationRecord) -> bool {
    record.epoch & HELP != 0
}

/// Sends the help that was prepared.
pub(super) fn answer(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &GroupInvitationRecord,
) -> Result<(), Stop> {
    let (group_id, epoch) = (&record.log_id, record.epoch);
    let Some((incarnation, sequence)) = record.place else { return Ok(()) };
    let help = match record.blob.length > GROUP_INVITATION_INLINE_MAX as u64 {
        true => AttachmentPlace::Blob(blob::reference(own.address().domain(), &record.blob)),
        false => AttachmentPlace::Inline(blob::pieces(transaction, (group_id, epoch), record.blob.length)?),
    };
    // The account's other devices have no use for the epoch's keys, or have them.
    for (asked, device) in record.invited.iter().zip(&record.devices) {
        let answer = GroupRejoinAnswer {
            log_id: *group_id,
            epoch: epoch & !HELP,
            position: LogPosition { incarnation, sequence },
            help: help.clone(),
        };
        let to = (asked, *device);
        composition::enqueue_for_device(transaction, own, to, Body::GroupRejoinAnswer(answer))?;
    }
    blob::forget(transaction, (group_id, epoch), record.blob.length);
    transaction.delete(&key::group_invitation(group_id, epoch));
    Ok(())
}

/// A member has answered. Only who has asked, and only from a member whom it knew.
pub(in crate::engine) fn answered_by(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    peer: &PeerDevice,
    (answer, encoded): (&GroupRejoinAnswer, &[u8]),
) -> Result<(), Stop> {
    let Some(group) = transaction.load(&key::group(&answer.log_id))? else { return Ok(()) };
    let roster = transaction.load(&key::group_roster(&answer.log_id))?.unwrap_or_default();
    let is_member = roster.members.iter().any(|member| member.address == peer.address);
    let waits = group.standing == GroupStanding::Rejoining && group.commit.is_none();
    if !is_member || !waits || transaction.exists(&key::group_join(&answer.log_id))? {
        return Ok(());
    }
    if let AttachmentPlace::Inline(help) = &answer.help {
        return come_back(transaction, own, group, help);
    }
    let join = GroupJoinRecord {
        log_id: answer.log_id,
        content: Zeroizing::new(encoded.to_vec()),
        inviter: peer.address.clone(),
        account_key: *peer.account_key.as_bytes(),
        checked: true,
        fetched: 0,
        attempts: 0,
        next_attempt: 0,
    };
    transaction.store(&key::group_join(&answer.log_id), &join);
    Ok(())
}

/// Where the help of an answer lies, if it is a blob.
pub(super) fn blob_of(content: Content) -> Option<medipeps_core::attachment::BlobReference> {
    match content.body {
        Body::GroupRejoinAnswer(GroupRejoinAnswer { help: AttachmentPlace::Blob(blob), .. }) => Some(blob),
        _ => None,
    }
}

/// The help is here whole.
pub(super) fn fetched(transaction: &mut Transaction<'_>, group: GroupRecord, help: &[u8]) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    come_back(transaction, &own, group, help)
}

/// Makes the external commit, stores the group as it will be, and sends the commit.
fn come_back(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    mut group: GroupRecord,
    help: &[u8],
) -> Result<(), Stop> {
    let Ok(help) = GroupRejoin::decode(help) else { return fail(transaction, group, "invitation") };
    let (mut mls, request) = match OpenGroup::rejoin(transaction, own, &help, &group.log_id) {
        Ok(prepared) => prepared,
        Err(Stop::Failed(error)) => match *error {
            EngineError::Group(GroupProblem::Engine(error)) => return fail(transaction, group, code_of(&error)),
            other => return Err(other.into()),
        },
        Err(error) => return Err(error),
    };
    group.epoch = mls.epoch();
    let entry_id = request.entry_id;
    group.commit = Some(GroupCommitRecord {
        entry_id,
        entry_hash: entry_hash(&request.entry),
        epoch: request.epoch,
        changes: Vec::new(),
        invited: Vec::new(),
        appended: false,
        proposal: false,
    });
    let request = Request::AppendGroupEntry(request);
    transaction.store(&key::submission(&entry_id), &Zeroizing::new(request.encode()));
    mls.save(transaction)?;
    store(transaction, &group);
    append::send(transaction, &group, entry_id, request);
    Ok(())
}

fn fail(transaction: &mut Transaction<'_>, mut group: GroupRecord, code: &str) -> Result<(), Stop> {
    group.problem = Some(code.to_owned());
    group.next_attempt = next_attempt(transaction, group.attempts, 0);
    store(transaction, &group);
    Ok(())
}

/// What the server has said to the external commit.
pub(super) fn appended(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    result: Result<&AppendGroupEntryReply, &ErrorReply>,
) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    let Some(commit) = group.commit.take() else { return Ok(()) };
    match result {
        Ok(reply) => {
            (group.standing, group.problem) = (GroupStanding::Active, None);
            (group.incarnation, group.after) = (Some(reply.incarnation), reply.sequence);
            (group.attempts, group.next_attempt, group.next_read) = (0, 0, transaction.now.0);
            (group.updated, group.next_deletion) = (transaction.now.0, 0);
            let policy = OpenGroup::load(transaction, group_id)?.policy()?;
            group.name.clone_from(&policy.name);
            transaction.delete(&key::submission(&commit.entry_id));
            tell(transaction, group_id, GroupEvent::Rejoined);
            if let Some(successor) = policy.successor {
                // It was named while this device was away.
                store(transaction, &group);
                let own = OwnDevice::load_working(transaction)?;
                return successor::named(transaction, &own, group_id, &successor);
            }
        }
        Err(error) if crate::engine::outbox::is_transient(error) && !is_stale(error) => {
            group.commit = Some(commit);
            group.attempts = group.attempts.saturating_add(1);
            group.next_attempt = next_attempt(transaction, group.attempts, error.retry_after);
        }
        Err(error) => {
            // Somebody committed meanwhile: the help is for an epoch that is over.
            OpenGroup::forget_of(transaction, group_id)?;
            transaction.delete(&key::submission(&commit.entry_id));
            group.problem = Some(error_code_name(error));
            group.next_attempt = next_attempt(transaction, 1, 0);
        }
    }
    store(transaction, &group);
    Ok(())
}

fn is_stale(error: &ErrorReply) -> bool {
    use medipeps_core::wire::transport::ErrorCode;

    matches!(error.known_code(), Some(ErrorCode::StaleGroupEpoch | ErrorCode::GroupAccessRefused))
}
