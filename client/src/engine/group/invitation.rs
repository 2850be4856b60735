//! Invitations: sent to those whom a commit adds once it is in the log, and taken up by those who are added.

use medipeps_core::Address;
use medipeps_core::attachment::BlobReference;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::group::{GroupWelcome, Role};
use medipeps_core::kind::{self, AttachmentPlace, Body, Content, LogPosition};
use medipeps_core::wire::client_records::{GroupInvitationRecord, GroupJoinRecord, GroupRecord, GroupStanding};
use zeroize::Zeroizing;

use super::mls::OpenGroup;
use super::reading::is_read;
use super::{GroupEvent, GroupId, blob, device_list, load, rejoin, store, successor, tell};
use crate::engine::account::OwnDevice;
use crate::engine::outcome::EngineError;
use crate::engine::records::{class, key};
use crate::engine::sesame::PeerDevice;
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::{composition, contact};
use crate::limits::{GROUP_INVITATION_INLINE_MAX, UNCHECKED_INVITATIONS_MAX};

/// The commit is in the log: those whom it adds may be told. A large invitation is uploaded first.
pub(super) fn place(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: GroupInvitationRecord,
) -> Result<(), Stop> {
    let large = record.blob.length > GROUP_INVITATION_INLINE_MAX as u64;
    if large {
        transaction.store(&key::group_invitation(&record.log_id, record.epoch), &record);
        return Ok(());
    }
    send(transaction, own, &record)
}

/// Tells those who are invited, and forgets the invitation.
pub(super) fn send(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &GroupInvitationRecord,
) -> Result<(), Stop> {
    if rejoin::is_help(record) {
        return rejoin::answer(transaction, own, record);
    }
    let group = load(transaction, &record.log_id)?;
    let Some((incarnation, sequence)) = record.place else { return Ok(()) };
    let (group_id, epoch) = (&record.log_id, record.epoch);
    let invitation = match record.blob.length > GROUP_INVITATION_INLINE_MAX as u64 {
        true => AttachmentPlace::Blob(blob::reference(own.address().domain(), &record.blob)),
        false => AttachmentPlace::Inline(blob::pieces(transaction, (group_id, epoch), record.blob.length)?),
    };
    for invited in &record.invited {
        let body = Body::GroupInvitation(kind::GroupInvitation {
            log_id: *group_id,
            domain: group.domain.clone(),
            epoch,
            position: LogPosition { incarnation, sequence },
            name: group.name.clone(),
            invitation: invitation.clone(),
            inviter: own.address().clone(),
        });
        if invited == own.address() {
            composition::enqueue_bare(transaction, own, invited, None, body)?;
        } else {
            composition::enqueue_confirmed(transaction, own, invited, body)?;
        }
    }
    blob::forget(transaction, (group_id, epoch), record.blob.length);
    transaction.delete(&key::group_invitation(group_id, epoch));
    Ok(())
}

/// Somebody invites this device. Whoever is no contact has to be asked about first, at his server; a played back invitation
/// is for a key package that is gone.
pub(in crate::engine) fn received(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    (peer, checked): (&PeerDevice, bool),
    content: &Content,
    encoded: &[u8],
) -> Result<(), Stop> {
    let Body::GroupInvitation(invitation) = &content.body else { return Ok(()) };
    let group_id = invitation.log_id;
    let known = transaction.load(&key::group(&group_id))?;
    // One to an epoch that this device was in before would make it use the same keys again, where the key package was the
    // last-resort one and is still here.
    let is_old = |group: &GroupRecord| invitation.epoch <= group.epoch || group.standing == GroupStanding::Making;
    if known.as_ref().is_some_and(is_old) || !invitation.is_from(&peer.address) {
        return Ok(());
    }
    let join = GroupJoinRecord {
        log_id: group_id,
        content: Zeroizing::new(encoded.to_vec()),
        inviter: peer.address.clone(),
        account_key: *peer.account_key.as_bytes(),
        checked,
        fetched: 0,
        attempts: 0,
        next_attempt: 0,
    };
    let is_member = known.as_ref().is_some_and(is_read);
    if checked
        && !is_member
        && let AttachmentPlace::Inline(bytes) = &invitation.invitation
    {
        return join_with(transaction, own, &join, bytes);
    }
    if !checked {
        let unchecked = transaction.scan::<GroupJoinRecord>(class::GROUP_JOIN)?;
        if unchecked.iter().filter(|(_, join)| !join.checked).count() >= UNCHECKED_INVITATIONS_MAX {
            tell(transaction, &group_id, GroupEvent::InvitationRefused { code: "too_many_unchecked".to_owned() });
            return Ok(());
        }
        contact::ask(transaction, &peer.address, false);
    }
    // A member has been taken out and invited again meanwhile, if the invitation is any good: the log, read on, tells.
    if !is_member {
        let group = joining(transaction, invitation, known);
        store(transaction, &group);
    }
    transaction.store(&key::group_join(&group_id), &join);
    Ok(())
}

/// This device is in the group no longer, or has lost its place: an invitation that came meanwhile is taken up.
pub(super) fn take_up(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId) -> Result<(), Stop> {
    let Some(join) = transaction.load(&key::group_join(group_id))? else { return Ok(()) };
    let Body::GroupInvitation(told) = Content::decode(&join.content)?.body else { return Ok(()) };
    if join.checked
        && let AttachmentPlace::Inline(bytes) = &told.invitation
    {
        transaction.delete(&key::group_join(group_id));
        return join_with(transaction, own, &join, bytes);
    }
    let known = transaction.load(&key::group(group_id))?;
    let group = joining(transaction, &told, known);
    store(transaction, &group);
    Ok(())
}

/// A member has read this far: an invitation to this epoch or one before was not for him.
pub(super) fn forget_old(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<(), Stop> {
    if let Some(join) = transaction.load(&key::group_join(&group.log_id))?
        && let Body::GroupInvitation(told) = Content::decode(&join.content)?.body
        && told.epoch <= group.epoch
    {
        transaction.delete(&key::group_join(&group.log_id));
    }
    Ok(())
}

/// An account is a contact by this key now: what it has invited this device to is taken up.
pub(in crate::engine) fn sender_checked(
    transaction: &mut Transaction<'_>,
    address: &Address,
    account_key: &VerifyingKey,
) -> Result<(), Stop> {
    for (key, mut join) in transaction.scan::<GroupJoinRecord>(class::GROUP_JOIN)? {
        if join.checked || join.inviter != *address {
            continue;
        }
        if join.account_key != *account_key.as_bytes() {
            refuse(transaction, &join.log_id, "impostor")?;
            continue;
        }
        join.checked = true;
        if transaction.load(&key::group(&join.log_id))?.as_ref().is_some_and(is_read) {
            transaction.store(&key, &join);
            continue;
        }
        match Content::decode(&join.content)?.body {
            Body::GroupInvitation(kind::GroupInvitation { invitation: AttachmentPlace::Inline(bytes), .. }) => {
                let own = OwnDevice::load_working(transaction)?;
                transaction.delete(&key);
                join_with(transaction, &own, &join, &bytes)?;
            }
            _ => transaction.store(&key, &join),
        }
    }
    Ok(())
}

/// The blob of an invitation is here whole.
pub(super) fn fetched(
    transaction: &mut Transaction<'_>,
    join: &GroupJoinRecord,
    invitation: &[u8],
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    transaction.delete(&key::group_join(&join.log_id));
    match transaction.load(&key::group(&join.log_id))? {
        Some(group) if group.standing == GroupStanding::Rejoining => rejoin::fetched(transaction, group, invitation),
        _ => join_with(transaction, &own, join, invitation),
    }
}

/// Where the invitation of a join lies, if it is a blob.
pub(super) fn blob_of(join: &GroupJoinRecord) -> Result<Option<BlobReference>, Stop> {
    let content = Content::decode(&join.content)?;
    Ok(match content.body {
        Body::GroupInvitation(kind::GroupInvitation { invitation: AttachmentPlace::Blob(blob), .. }) => Some(blob),
        _ => rejoin::blob_of(content),
    })
}

/// An invitation comes to nothing.
pub(super) fn refuse(transaction: &mut Transaction<'_>, group_id: &GroupId, code: &str) -> Result<(), Stop> {
    transaction.delete(&key::group_join(group_id));
    if let Some(group) = transaction.load(&key::group(group_id))?
        && group.standing == GroupStanding::Joining
    {
        match group.messages {
            0 => transaction.delete(&key::group(group_id)),
            // What was said when this device was in it before is kept.
            _ => store(transaction, &GroupRecord { standing: GroupStanding::Removed, ..group }),
        }
    }
    tell(transaction, group_id, GroupEvent::InvitationRefused { code: code.to_owned() });
    Ok(())
}

fn join_with(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    join: &GroupJoinRecord,
    invitation: &[u8],
) -> Result<(), Stop> {
    let Body::GroupInvitation(told) = Content::decode(&join.content)?.body else { return Ok(()) };
    let Ok(invitation) = GroupWelcome::decode(invitation) else {
        return refuse(transaction, &join.log_id, "invitation");
    };
    let mut mls = match OpenGroup::join(transaction, own, &invitation) {
        Ok(mls) => mls,
        Err(Stop::Failed(error)) => match *error {
            EngineError::Group(super::GroupProblem::Engine(error)) => {
                return refuse(transaction, &join.log_id, super::mls::code_of(&error));
            }
            other => return Err(other.into()),
        },
        Err(error) => return Err(error),
    };
    let policy = mls.policy()?;
    let inviter = policy.role(&join.inviter);
    if mls.log_id() != join.log_id || mls.epoch() != told.epoch || policy.log_domain != told.domain {
        return refuse(transaction, &join.log_id, "invitation");
    }
    if inviter != Some(Role::Owner) && join.inviter != *own.address() {
        return refuse(transaction, &join.log_id, "group_rules");
    }
    let known = transaction.load(&key::group(&join.log_id))?;
    let mut group = joining(transaction, &told, known);
    let now = transaction.now.0;
    (group.standing, group.name) = (GroupStanding::Active, policy.name.clone());
    group.organisation.clone_from(&policy.organisation);
    (group.joined, group.updated, group.invited_by) = (now, now, Some(join.inviter.clone()));
    mls.save(transaction)?;
    device_list::check(transaction, own, &mut group, &mls)?;
    store(transaction, &group);
    tell(transaction, &join.log_id, GroupEvent::Joined { name: group.name.clone(), by: join.inviter.clone() });
    successor::joined(transaction, own, &policy, &join.log_id)
}

/// The record of a group that is being joined; what was said in it before stays.
fn joining(
    transaction: &Transaction<'_>,
    invitation: &kind::GroupInvitation,
    known: Option<GroupRecord>,
) -> GroupRecord {
    let (messages, seen, next_change) =
        known.as_ref().map_or((0, 0, 1), |known| (known.messages, known.seen, known.next_change));
    GroupRecord {
        log_id: invitation.log_id,
        domain: invitation.domain.clone(),
        name: invitation.name.clone(),
        standing: GroupStanding::Joining,
        epoch: invitation.epoch,
        incarnation: Some(invitation.position.incarnation),
        after: invitation.position.sequence,
        next_read: transaction.now.0,
        messages,
        seen,
        changes: Vec::new(),
        commit: None,
        next_change,
        attempts: 0,
        next_attempt: 0,
        problem: None,
        joined: 0,
        updated: 0,
        log_created: true,
        statement_version: 0,
        successor: None,
        predecessor: None,
        first: known.as_ref().map_or(0, |known| known.first),
        next_deletion: 0,
        kept_until: 0,
        read_told: messages,
        read_told_at: 0,
        read_entry: None,
        read_positions_off: known.as_ref().is_some_and(|known| known.read_positions_off),
        organisation: None,
        server_time: 0,
        time_asked: 0,
        invited_by: None,
        entries_kept: known.map_or(0, |known| known.entries_kept),
        restored: None,
    }
}
