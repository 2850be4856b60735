//! After a restore of a log's server: members append the entries again that the backup did not have.
//!
//! Every device keeps the last entries that it has read, signed with the keys of their epochs, in a ring. When the server
//! shows another incarnation, the log is read anew. If it lacks the device's own epoch, the device goes back through what it
//! keeps, epoch by epoch, until the server knows one, and appends from there on; what is there already is a repeat to the
//! server, whoever comes first. Where the log has closed an epoch by another commit than the members have, it is forked, and
//! only an owner helps, who makes the group anew. `spec/group-log.md`, section "After a restore".

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::wire::client_records::{
    GroupKeptEntryRecord, GroupRecord, GroupRestoredRecord, GroupRestoredStep as Step, GroupStanding,
};
use medipeps_core::wire::transport::{
    AppendGroupEntry, AppendGroupEntryReply, ErrorCode, ErrorReply, GroupLogEntry, Payment, Request,
};

use super::mls::OpenGroup;
use super::{GroupCorrelation, GroupEvent, GroupId, append, commit, load, store, successor, tell};
use crate::engine::Correlation;
use crate::engine::account::OwnDevice;
use crate::engine::outbox::{is_due, next_attempt};
use crate::engine::records::{Key, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{GROUP_ENTRIES_KEPT, GROUP_ENTRY_KEPT_LENGTH, GROUP_RESTORED_PAUSE_MS, GROUP_RESTORED_WAIT_MS};

/// The code of a log that lacks the epoch that this device is in.
const BEHIND: &str = "group_log_behind";
/// The code of a log that has gone on otherwise than its members.
const FORKED: &str = "group_log_forked";

/// An entry that is kept, read.
struct Kept {
    key: Key<GroupKeptEntryRecord>,
    record: GroupKeptEntryRecord,
    request: AppendGroupEntry,
}

impl Kept {
    /// In this order entries are appended: what closes an epoch comes last.
    const fn place(&self) -> (u64, bool, u64) {
        (self.request.epoch, self.request.next_access_key.is_some(), self.record.sequence)
    }
}

/// Keeps an entry that was read in an epoch, and processed.
pub(super) fn keep(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    mls: &OpenGroup,
    (epoch, entry): (u64, &GroupLogEntry),
    incarnation: [u8; 16],
) -> Result<(), Stop> {
    let closes = group.epoch != epoch;
    let stays = matches!(group.standing, GroupStanding::Active | GroupStanding::Leaving);
    if !stays || (!closes && entry.entry.len() > GROUP_ENTRY_KEPT_LENGTH) {
        return Ok(());
    }
    // What is stored is the key of the epoch that was read: the group's pages are written when all entries are taken.
    let Some(seed) = transaction.load(&key::group_access(&group.log_id))? else { return Ok(()) };
    let Some(seed) = Secret::from_slice(&seed) else { return Ok(()) };
    let request = AppendGroupEntry::sign(
        &SigningKey::from_secret(&seed),
        group.log_id,
        epoch,
        entry.entry_id,
        entry.entry.clone(),
        closes.then(|| mls.access_key()),
        Payment::None,
    );
    put(transaction, group, request, (incarnation, entry.sequence));
    Ok(())
}

/// Keeps an entry of this device's own that the server has taken: it may not be read back before a restore.
pub(super) fn keep_own(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    entry_id: &[u8; 16],
    reply: &AppendGroupEntryReply,
) -> Result<(), Stop> {
    let Some(encoded) = transaction.load(&key::submission(entry_id))? else { return Ok(()) };
    if let Request::AppendGroupEntry(request) = Request::decode(&encoded)?
        && request.entry.len() <= GROUP_ENTRY_KEPT_LENGTH
    {
        put(transaction, group, request, (reply.incarnation, reply.sequence));
    }
    Ok(())
}

/// An entry that is kept was read once more, under another incarnation.
pub(super) fn seen(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    entry: &GroupLogEntry,
    incarnation: [u8; 16],
) -> Result<(), Stop> {
    if group.restored.is_none() {
        return Ok(());
    }
    let kept = all(transaction, group)?.into_iter().find(|kept| kept.request.entry_id == entry.entry_id);
    if let Some(Kept { key, record, .. }) = kept {
        transaction.store(&key, &GroupKeptEntryRecord { incarnation, sequence: entry.sequence, ..record });
    }
    Ok(())
}

/// The group is read no more: nothing of its log is kept.
pub(super) fn forget(transaction: &mut Transaction<'_>, log_id: &GroupId) {
    (0..GROUP_ENTRIES_KEPT).for_each(|slot| transaction.delete(&key::group_kept_entry(log_id, slot)));
    transaction.delete(&key::group_creation(log_id));
}

/// The server shows another incarnation: the log is read anew, and then compared with what is kept.
pub(super) fn begin(group: &mut GroupRecord, now: u64) {
    group.restored =
        Some(GroupRestoredRecord { since: now, epoch: group.epoch, incarnation: None, step: Step::Reading });
}

/// Whether nothing else is to be appended now.
pub(super) fn is_busy(group: &GroupRecord) -> bool {
    group.restored.as_ref().is_some_and(|restored| restored.step != Step::Whole)
}

/// The log was read to its end: what it lacks of the device's own epoch comes next.
pub(super) fn caught_up(group: &mut GroupRecord, now: u64) {
    let (epoch, incarnation) = (group.epoch, group.incarnation);
    if let Some(restored) = group.restored.as_mut().filter(|restored| restored.step != Step::Whole) {
        // What was appended before the device's own epoch is behind it, whichever it was.
        (restored.step, restored.epoch, restored.incarnation) = (Step::Read, epoch, incarnation);
        (group.attempts, group.next_attempt) = (0, now);
    }
}

/// The log could not be read. True if that is what a restore does: entries are appended, or others are waited for.
pub(super) fn read_refused(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    error: &ErrorReply,
) -> Result<bool, Stop> {
    let now = transaction.now.0;
    let Some(restored) = &group.restored else { return Ok(false) };
    if restored.step == Step::Whole || now.saturating_sub(restored.since) >= GROUP_RESTORED_WAIT_MS {
        // Nobody has what is missing.
        group.restored = None;
        return Ok(false);
    }
    match error.known_code() {
        Some(ErrorCode::GroupAccessRefused) => behind(transaction, group)?,
        Some(ErrorCode::UnknownGroupLog) => missing(transaction, group)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Appends the next entry that the log may lack, if it is time.
pub(super) fn work_due(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    let now = transaction.now.0;
    let Some(restored) = &group.restored else { return Ok(()) };
    match restored.step {
        Step::Whole if now.saturating_sub(restored.since) >= GROUP_RESTORED_PAUSE_MS => group.restored = None,
        Step::Behind | Step::Read if is_due(group.next_attempt, now) => send_next(transaction, &mut group)?,
        _ => return Ok(()),
    }
    store(transaction, &group);
    Ok(())
}

/// The answer to an entry. False if it is none that is appended again.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    entry_id: &[u8; 16],
    result: Result<&AppendGroupEntryReply, &ErrorReply>,
) -> Result<bool, Stop> {
    let Some(restored) = group.restored.clone().filter(|restored| matches!(restored.step, Step::Behind | Step::Read))
    else {
        return Ok(false);
    };
    let kept = all(transaction, group)?;
    let Some(one) = kept.iter().find(|kept| kept.request.entry_id == *entry_id) else { return Ok(false) };
    let error = match result {
        Ok(&AppendGroupEntryReply { incarnation, sequence, .. }) => {
            transaction.store(&one.key, &GroupKeptEntryRecord { incarnation, sequence, ..one.record.clone() });
            group.restored = Some(GroupRestoredRecord { incarnation: Some(incarnation), ..restored });
            (group.attempts, group.next_attempt) = (0, transaction.now.0);
            send_next(transaction, group)?;
            return Ok(true);
        }
        Err(error) => error,
    };
    match error.known_code() {
        Some(ErrorCode::StaleGroupEpoch) => {
            let closing = kept
                .iter()
                .find(|kept| kept.request.epoch == one.request.epoch && kept.request.next_access_key.is_some());
            match (&error.closing_commit, closing) {
                (Some(theirs), Some(ours)) if theirs.entry != ours.request.entry => forked(transaction, group)?,
                // Their commit may be the members' own: reading tells.
                (Some(_), _) => {
                    transaction.delete(&one.key);
                    send_next(transaction, group)?;
                }
                (None, _) => wait(transaction, group, error.retry_after),
            }
        }
        Some(ErrorCode::EntryIdReused) => forked(transaction, group)?,
        Some(ErrorCode::GroupAccessRefused) if one.request.epoch == restored.epoch => behind(transaction, group)?,
        // Somewhere between an epoch that the server knows and this one there is an entry that only others have.
        Some(ErrorCode::GroupAccessRefused) => wait(transaction, group, 0),
        Some(ErrorCode::UnknownGroupLog) => missing(transaction, group)?,
        // Not paid, perhaps: the tokens of before the restore are worth nothing, and others come.
        _ => append::postpone(transaction, group, error),
    }
    Ok(true)
}

/// The answer to the request that makes a lost log again.
pub(super) fn created(
    transaction: &mut Transaction<'_>,
    mut group: GroupRecord,
    result: Result<(), &ErrorReply>,
) -> Result<(), Stop> {
    let Some(restored) = group.restored.as_mut() else { return Ok(()) };
    match result {
        Ok(()) => {
            (restored.step, restored.epoch) = (Step::Behind, 0);
            (group.attempts, group.next_attempt) = (0, transaction.now.0);
            send_next(transaction, &mut group)?;
        }
        Err(error) => wait(transaction, &mut group, error.retry_after),
    }
    store(transaction, &group);
    Ok(())
}

fn put(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    request: AppendGroupEntry,
    (incarnation, sequence): ([u8; 16], u64),
) {
    let slot = u32::try_from(group.entries_kept % u64::from(GROUP_ENTRIES_KEPT)).unwrap_or_default();
    let request = Request::AppendGroupEntry(request).encode();
    let record = GroupKeptEntryRecord { request, incarnation, sequence };
    transaction.store(&key::group_kept_entry(&group.log_id, slot), &record);
    group.entries_kept = group.entries_kept.saturating_add(1);
}

/// What is kept of a group, in the order in which it is appended.
fn all(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<Vec<Kept>, Stop> {
    let count = u32::try_from(group.entries_kept).unwrap_or(GROUP_ENTRIES_KEPT).min(GROUP_ENTRIES_KEPT);
    let keys: Vec<_> = (0..count).map(|slot| key::group_kept_entry(&group.log_id, slot)).collect();
    let records = transaction.load_all(&keys)?;
    let mut kept = Vec::new();
    for (key, record) in keys.into_iter().zip(records) {
        let Some(record) = record else { continue };
        if let Request::AppendGroupEntry(request) = Request::decode(&record.request)? {
            kept.push(Kept { key, record, request });
        }
    }
    kept.sort_by_key(Kept::place);
    Ok(kept)
}

/// Sends the first entry that the log is not known to have. If there is none it is whole, or is read to find out.
fn send_next(transaction: &mut Transaction<'_>, group: &mut GroupRecord) -> Result<(), Stop> {
    let kept = all(transaction, group)?;
    let Some(restored) = group.restored.as_mut() else { return Ok(()) };
    let next = kept
        .into_iter()
        .find(|kept| kept.request.epoch >= restored.epoch && Some(kept.record.incarnation) != restored.incarnation);
    match (next, restored.step) {
        (Some(next), _) => {
            let entry_id = next.request.entry_id;
            append::send(transaction, group, entry_id, Request::AppendGroupEntry(next.request));
        }
        (None, Step::Behind) => {
            restored.step = Step::Reading;
            group.next_read = transaction.now.0;
        }
        (None, _) => restored.step = Step::Whole,
    }
    Ok(())
}

/// The server does not know the epoch from which on entries were to be appended: the one before is tried.
fn behind(transaction: &mut Transaction<'_>, group: &mut GroupRecord) -> Result<(), Stop> {
    let kept = all(transaction, group)?;
    tell_once(transaction, group, BEHIND);
    let Some(restored) = group.restored.as_mut() else { return Ok(()) };
    let before = kept.iter().rev().map(|kept| kept.request.epoch).find(|epoch| *epoch < restored.epoch);
    let Some(before) = before else {
        wait(transaction, group, 0);
        return Ok(());
    };
    (restored.epoch, restored.step) = (before, Step::Behind);
    (group.attempts, group.next_attempt) = (0, transaction.now.0);
    send_next(transaction, group)
}

/// The server does not know the log: who has made it makes it again.
fn missing(transaction: &mut Transaction<'_>, group: &mut GroupRecord) -> Result<(), Stop> {
    tell_once(transaction, group, BEHIND);
    match transaction.load(&key::group_creation(&group.log_id))? {
        Some(encoded) => {
            let correlation = Correlation::Group(GroupCorrelation::CreateLog(group.log_id));
            transaction.send(append::connection(group), Request::decode(&encoded)?, correlation);
            // If the answer does not come, the log is read once more.
            group.next_read = next_attempt(transaction, 1, 0);
        }
        None => wait(transaction, group, 0),
    }
    Ok(())
}

/// Others have what is missing, or nobody has: after a while all of it is tried again.
fn wait(transaction: &mut Transaction<'_>, group: &mut GroupRecord, retry_after: u64) {
    let epoch = group.epoch;
    if let Some(restored) = group.restored.as_mut() {
        (restored.step, restored.epoch) = (Step::Reading, epoch);
    }
    group.attempts = group.attempts.saturating_add(1);
    group.next_read = next_attempt(transaction, group.attempts, retry_after);
}

/// The log has gone on otherwise than its members: they stay with what they have read, and an owner makes the group anew.
fn forked(transaction: &mut Transaction<'_>, group: &mut GroupRecord) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut mls = OpenGroup::load(transaction, &group.log_id)?;
    commit::drop_pending(transaction, group, &mut mls)?;
    mls.save(transaction)?;
    (group.standing, group.restored) = (GroupStanding::Broken, None);
    tell_once(transaction, group, FORKED);
    // Somebody may have invited this device to what goes on in its place.
    store(transaction, group);
    successor::consider(transaction, &own, &group.log_id)?;
    *group = load(transaction, &group.log_id)?;
    Ok(())
}

fn tell_once(transaction: &mut Transaction<'_>, group: &mut GroupRecord, code: &str) {
    if group.problem.as_deref() != Some(code) {
        tell(transaction, &group.log_id, GroupEvent::Problem { code: code.to_owned() });
    }
    group.problem = Some(code.to_owned());
}
