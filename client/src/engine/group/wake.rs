//! Where this device is woken when something comes for a group: told to the server of each group, in each epoch anew, because a server
//! wakes the members of an epoch by that epoch's entries and by no later ones. `spec/group-log.md`, Waking.

use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::client_records::{GroupRecord, GroupStanding, GroupWakeRecord};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply};

use super::reading::reader;
use super::{GroupCorrelation, GroupEvent, GroupId, append, load, store, tell};
use crate::engine::Correlation;
use crate::engine::outbox::{is_transient, next_attempt};
use crate::engine::outcome::error_code_name;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{GROUP_POLL_MS, GROUP_WAKE_MS, WAKE_ANSWER_MS, WAKE_REFUSED_MS};

/// Tells a group's server what it does not know yet. A member who has not read to the end of the log waits: the epochs that it
/// walks through are over.
pub(super) fn tell_due(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<(), Stop> {
    let wanted = transaction.load(&key::wake())?.and_then(|wake| wake.endpoint);
    let known = transaction.load(&key::group_wake(&group.log_id))?;
    match (group.standing, wanted, known) {
        (GroupStanding::Active, Some(endpoint), known) => set_due(transaction, group, endpoint, known),
        (GroupStanding::Active | GroupStanding::Leaving, _, Some(known)) => remove_due(transaction, group, known),
        // The server has forgotten it with the epoch.
        (GroupStanding::Left | GroupStanding::Removed | GroupStanding::Broken, _, Some(_)) => {
            transaction.delete(&key::group_wake(&group.log_id));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn set_due(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    endpoint: PushEndpoint,
    known: Option<GroupWakeRecord>,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    if group.next_read <= now || group.incarnation.is_none() {
        return Ok(());
    }
    let known = known.unwrap_or_else(|| new(transaction.random_id()));
    let same = known.told.as_ref() == Some(&endpoint);
    let holds = same && known.confirmed && known.epoch == group.epoch && known.incarnation == group.incarnation;
    // One that lasts longer than any comes from a clock that was wrong.
    let lasts = (now.saturating_add(GROUP_WAKE_MS / 2)..=now.saturating_add(GROUP_WAKE_MS)).contains(&known.expires);
    let refused = known.problem.as_deref() == Some(ErrorCode::PushServiceRefused.name());
    let tried = same && (known.epoch == group.epoch || refused);
    if (holds && lasts) || (tried && waits(&known, now)) {
        return Ok(());
    }
    let known = GroupWakeRecord {
        told: Some(endpoint.clone()),
        epoch: group.epoch,
        incarnation: group.incarnation,
        expires: now.saturating_add(GROUP_WAKE_MS),
        confirmed: false,
        next_attempt: now.saturating_add(WAKE_ANSWER_MS),
        ..known
    };
    let wake = Some((endpoint, known.expires));
    send(transaction, group, &known, wake, GroupCorrelation::Wake(group.log_id))
}

fn remove_due(transaction: &mut Transaction<'_>, group: &GroupRecord, known: GroupWakeRecord) -> Result<(), Stop> {
    let now = transaction.now.0;
    if known.told.is_none() {
        transaction.delete(&key::group_wake(&group.log_id));
        return Ok(());
    }
    // What was waited for was the answer to something else, as long as the handle was to stay.
    if known.expires == 0 && waits(&known, now) {
        return Ok(());
    }
    let next_attempt = now.saturating_add(WAKE_ANSWER_MS);
    let known = GroupWakeRecord { expires: 0, confirmed: false, next_attempt, ..known };
    send(transaction, group, &known, None, GroupCorrelation::WakeOff(group.log_id))
}

/// Whether it is too early to tell the same again. A time that is further away than anything waits comes from a clock that was
/// wrong.
const fn waits(known: &GroupWakeRecord, now: u64) -> bool {
    known.next_attempt > now && known.next_attempt - now <= WAKE_REFUSED_MS
}

fn send(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    known: &GroupWakeRecord,
    wake: Option<(PushEndpoint, u64)>,
    correlation: GroupCorrelation,
) -> Result<(), Stop> {
    let Some(seed) = transaction.load(&key::group_access(&group.log_id))? else { return Ok(()) };
    transaction.store(&key::group_wake(&group.log_id), known);
    let (reader, correlation) = (reader(group, &seed)?, Correlation::Group(correlation));
    transaction.wake_group(append::connection(group), reader, (known.handle, wake), correlation);
    Ok(())
}

const fn new(handle: [u8; 16]) -> GroupWakeRecord {
    GroupWakeRecord {
        handle,
        told: None,
        epoch: 0,
        incarnation: None,
        expires: 0,
        confirmed: false,
        attempts: 0,
        next_attempt: 0,
        problem: None,
    }
}

/// Whether a server will not take it the next time either.
fn is_refusal(error: &ErrorReply) -> bool {
    matches!(error.known_code(), Some(ErrorCode::PushServiceRefused | ErrorCode::GroupWakesFull))
        || !is_transient(error)
}

/// What the server has said to where this device is woken.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    result: Result<(), &ErrorReply>,
) -> Result<(), Stop> {
    let Some(mut known) = transaction.load(&key::group_wake(group_id))? else { return Ok(()) };
    let mut group = load(transaction, group_id)?;
    let now = transaction.now.0;
    match result {
        // Said off meanwhile: the answer to that decides.
        _ if known.expires == 0 => return Ok(()),
        Ok(()) => {
            (known.confirmed, known.attempts, known.next_attempt, known.problem) = (true, 0, 0, None);
            // What came between the last look and this answer has woken nobody.
            group.next_read = now;
            store(transaction, &group);
        }
        Err(error) if error.known_code() == Some(ErrorCode::StaleGroupEpoch) => {
            group.next_read = now;
            store(transaction, &group);
            known.next_attempt = now.saturating_add(GROUP_POLL_MS);
        }
        Err(error) => {
            known.attempts = known.attempts.saturating_add(1);
            let refused = is_refusal(error);
            known.next_attempt = match refused {
                true => now.saturating_add(WAKE_REFUSED_MS),
                false => next_attempt(transaction, known.attempts, error.retry_after),
            };
            let code = error_code_name(error);
            if refused && known.problem.as_ref() != Some(&code) {
                tell(transaction, group_id, GroupEvent::WakeRefused { code: code.clone() });
            }
            known.problem = Some(code);
        }
    }
    transaction.store(&key::group_wake(group_id), &known);
    Ok(())
}

/// What the server has said to that this device is not to be woken any more.
pub(super) fn removed(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    result: Result<(), &ErrorReply>,
) -> Result<(), Stop> {
    let Some(mut known) = transaction.load(&key::group_wake(group_id))?.filter(|known| known.expires == 0) else {
        return Ok(());
    };
    match result {
        Err(error) if is_transient(error) => {
            known.attempts = known.attempts.saturating_add(1);
            known.next_attempt = next_attempt(transaction, known.attempts, error.retry_after);
            transaction.store(&key::group_wake(group_id), &known);
        }
        // A server that does not know the log or the epoch any more wakes nobody for it.
        Ok(()) | Err(_) => transaction.delete(&key::group_wake(group_id)),
    }
    Ok(())
}
