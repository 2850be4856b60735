//! What this device puts into a group's log: the log itself, commits, messages.

use medipeps_core::wire::client_records::{GroupRecord, GroupStanding};
use medipeps_core::wire::transport::{AppendGroupEntryReply, ErrorCode, ErrorReply, Request};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::mls::OpenGroup;
use super::{
    GroupCorrelation, GroupEvent, GroupId, change, commit, load, log_restore, message, read_position, reading, rejoin,
    store, tell,
};
use crate::engine::Correlation;
use crate::engine::account::OwnDevice;
use crate::engine::outbox::{is_due, is_transient, next_attempt};
use crate::engine::outcome::{Connection, error_code_name};
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{GROUP_RACE_PAUSE_FIRST_MS, GROUP_RACE_PAUSE_MAX_MS};

/// Asks the server for the log of a group that was just made.
pub(super) fn create_log(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<(), Stop> {
    if !is_due(group.next_attempt, transaction.now.0) {
        return Ok(());
    }
    let mls = OpenGroup::load(transaction, &group.log_id)?;
    let request = Request::CreateGroupLog(mls.create_log());
    transaction.store(&key::group_creation(&group.log_id), &Zeroizing::new(request.encode()));
    let correlation = Correlation::Group(GroupCorrelation::CreateLog(group.log_id));
    transaction.send(connection(group), request, correlation);
    Ok(())
}

/// What the server has said to a group's log.
pub(in crate::engine) fn created(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    result: Result<(), &ErrorReply>,
) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    if group.standing != GroupStanding::Making {
        return log_restore::created(transaction, group, result);
    }
    match result {
        Ok(()) => {
            (group.standing, group.log_created, group.problem) = (GroupStanding::Active, true, None);
            (group.attempts, group.next_attempt) = (0, 0);
            tell(transaction, group_id, GroupEvent::Made);
        }
        Err(error) => postpone(transaction, &mut group, error),
    }
    store(transaction, &group);
    Ok(())
}

/// Appends what is due: the commit that is on its way, or one for what is to be changed, or else messages.
pub(super) fn send_due(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId) -> Result<(), Stop> {
    let group = load(transaction, group_id)?;
    if !is_due(group.next_attempt, transaction.now.0) || log_restore::is_busy(&group) {
        return Ok(());
    }
    if group.restored.is_some() && (group.commit.is_some() || change::is_ready(&group)) {
        // Whoever has read further than the restored log goes must be able to say so first.
        return Ok(());
    }
    if let Some(commit) = &group.commit {
        // Until it, or another in its place, is read in the log, nothing else can be appended.
        return match commit.appended {
            true => Ok(()),
            false => again(transaction, &group, commit.entry_id),
        };
    }
    if change::is_ready(&group) {
        // A commit for an epoch that may be over would be built in vain: the log is read to its end first, and by who has
        // lost a race once more after its pause.
        if group.attempts > 0 && !reading::is_fresh(&group, transaction.now.0) {
            if !reading::is_due(&group, transaction.now.0) {
                store(transaction, &GroupRecord { next_read: transaction.now.0, ..group });
            }
            return Ok(());
        }
        if reading::is_due(&group, transaction.now.0) || commit::make(transaction, own, group_id)? {
            return Ok(());
        }
    }
    message::send_due(transaction, group_id)?;
    read_position::send_due(transaction, own, group_id)
}

/// Sends an entry's request, which is stored.
pub(super) fn again(transaction: &mut Transaction<'_>, group: &GroupRecord, entry_id: [u8; 16]) -> Result<(), Stop> {
    let Some(encoded) = transaction.load(&key::submission(&entry_id))? else { return Ok(()) };
    let request = Request::decode(&encoded)?;
    send(transaction, group, entry_id, request);
    Ok(())
}

/// Sends an entry's request.
pub(super) fn send(transaction: &mut Transaction<'_>, group: &GroupRecord, entry_id: [u8; 16], request: Request) {
    let correlation = Correlation::Group(GroupCorrelation::Append { group: group.log_id, entry_id });
    transaction.send(connection(group), request, correlation);
}

/// Over which connection everything about a group's log goes. Not the one over which others are written to: the log would
/// tell who writes to whom.
pub(super) fn connection(group: &GroupRecord) -> Connection {
    Connection::GroupLogs(group.domain.clone())
}

/// What the server has said to an entry.
pub(in crate::engine) fn answered(
    transaction: &mut Transaction<'_>,
    (group_id, entry_id): (&GroupId, &[u8; 16]),
    result: Result<&AppendGroupEntryReply, &ErrorReply>,
) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    if group.standing == GroupStanding::Rejoining {
        return rejoin::appended(transaction, group_id, result);
    }
    if log_restore::answered(transaction, &mut group, entry_id, result)? {
        store(transaction, &group);
        return Ok(());
    }
    let committed = group.commit.as_ref().is_some_and(|commit| commit.entry_id == *entry_id);
    match result {
        Ok(reply) => {
            (group.attempts, group.next_attempt, group.problem) = (0, 0, None);
            if let Some(commit) = group.commit.as_mut().filter(|_| committed) {
                commit.appended = true;
                // What came before it in the log is read first.
                group.next_read = transaction.now.0;
            } else {
                log_restore::keep_own(transaction, &mut group, entry_id, reply)?;
                read_position::logged(&mut group, entry_id);
                message::logged(transaction, group_id, entry_id, (reply.sequence, None))?;
            }
        }
        Err(error) => match error.known_code() {
            Some(ErrorCode::StaleGroupEpoch) => {
                group.next_read = transaction.now.0;
                // Somebody was faster. Many who try again at once would only be in each other's way.
                group.attempts = group.attempts.saturating_add(1);
                group.next_attempt = transaction.now.0.saturating_add(pause(transaction, group.attempts));
                if !committed {
                    read_position::stale(&mut group, entry_id);
                    message::encrypt_anew(transaction, group_id, entry_id)?;
                }
            }
            Some(ErrorCode::EntryIdReused) if !committed => message::encrypt_anew(transaction, group_id, entry_id)?,
            _ if committed && !is_transient(error) => {
                let code = error_code_name(error);
                commit::give_up(transaction, &mut group, &code)?;
            }
            Some(ErrorCode::TooLarge) => message::fail(transaction, group_id, entry_id, &error_code_name(error))?,
            _ => {
                if !committed {
                    group.next_read = transaction.now.0;
                }
                postpone(transaction, &mut group, error);
            }
        },
    }
    store(transaction, &group);
    Ok(())
}

/// Notes what stands in the way, and when to try again.
pub(super) fn postpone(transaction: &mut Transaction<'_>, group: &mut GroupRecord, error: &ErrorReply) {
    group.attempts = group.attempts.saturating_add(1);
    group.next_attempt = next_attempt(transaction, group.attempts, error.retry_after);
    let code = error_code_name(error);
    if group.problem.as_ref() != Some(&code) {
        tell(transaction, &group.log_id, GroupEvent::Problem { code: code.clone() });
    }
    group.problem = Some(code);
}

/// Milliseconds to wait after so many lost races: drawn, from a range that doubles.
fn pause(transaction: &mut Transaction<'_>, attempts: u32) -> u64 {
    let range = GROUP_RACE_PAUSE_FIRST_MS.saturating_mul(1 << attempts.min(16)).min(GROUP_RACE_PAUSE_MAX_MS);
    u64::from(transaction.rng.next_u32()) % range.max(1)
}
