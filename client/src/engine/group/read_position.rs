//! Up to where members have read: told in the log, and kept as one position a member, not as messages.
//!
//! In groups of up to 32 accounts it is told when it moves, above that every ten minutes at most
//! ([`ReadPositionPolicy`]). What was on its way when the epoch ended or the process died is told anew.

use medipeps_core::group::{GroupError, Role};
use medipeps_core::kind::{Body, Chat, Content, MessageId, ReadPositionPolicy, ReceiptsWanted, Urgency};
use medipeps_core::wire::client_records::{GroupMessageState, GroupRecord, GroupStanding};
use medipeps_core::wire::transport::Request;
use zeroize::Zeroizing;

use super::mls::OpenGroup;
use super::{GroupEvent, GroupId, GroupProblem, append, load, message, store, tell};
use crate::engine::account::OwnDevice;
use crate::engine::outcome::EngineError;
use crate::engine::records::{Bytes, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{READ_POSITION_ANSWER_MS, READ_POSITION_LOOK_MAX, READ_POSITION_PAUSE_MS};

/// Up to where a member has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPosition {
    /// The number of the last message, on this device.
    pub number: u64,
    /// When the server took the word of it, in milliseconds since 1970.
    pub at: u64,
}

impl ReadPosition {
    /// Out of its record; `None` if that is none.
    pub(crate) fn of(record: &[u8]) -> Option<Self> {
        let (number, at) = record.split_first_chunk::<8>()?;
        Some(Self { number: u64::from_be_bytes(*number), at: u64::from_be_bytes(at.try_into().ok()?) })
    }

    fn record(self) -> Bytes {
        Zeroizing::new([self.number.to_be_bytes(), self.at.to_be_bytes()].concat())
    }
}

/// Remembers which number a message has.
pub(super) fn note(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    content_id: &[u8; 16],
    number: u64,
) -> Result<(), Stop> {
    let place = key::group_number(group_id, content_id);
    if !transaction.exists(&place)? {
        transaction.store(&place, &Zeroizing::new(number.to_be_bytes().to_vec()));
    }
    Ok(())
}

/// A message is gone.
pub(super) fn forget(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    content_id: &[u8; 16],
    number: u64,
) -> Result<(), Stop> {
    let place = key::group_number(group_id, content_id);
    if transaction.load(&place)?.is_some_and(|of| of.as_slice() == number.to_be_bytes()) {
        transaction.delete(&place);
    }
    Ok(())
}

/// A member has read up to a message. It only moves forward; what is not here (any more) says nothing.
pub(super) fn received(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    (reader, message, at): (&medipeps_core::Address, MessageId, u64),
) -> Result<(), Stop> {
    let Some(number) = transaction.load(&key::group_number(&group.log_id, &message.0))? else { return Ok(()) };
    let Ok(number) = number.as_slice().try_into().map(u64::from_be_bytes) else { return Ok(()) };
    let place = key::group_read(&group.log_id, reader);
    let before = transaction.load(&place)?.and_then(|record| ReadPosition::of(&record));
    if before.is_some_and(|before| before.number >= number) {
        return Ok(());
    }
    transaction.store(&place, &ReadPosition { number, at }.record());
    if reader == own.address() {
        // Another device of this account has shown it, and has told the others.
        group.seen = group.seen.max(number + 1).min(group.messages);
        group.read_told = group.read_told.max(number + 1);
    }
    tell(transaction, &group.log_id, GroupEvent::Read { by: reader.clone(), number });
    Ok(())
}

/// Whether the members are told of what is read on this device's account.
pub(in crate::engine) fn switch(transaction: &mut Transaction<'_>, group_id: &GroupId, told: bool) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    if group.read_positions_off == told {
        // What was read while it was off stays untold.
        (group.read_positions_off, group.read_told) = (!told, group.read_told.max(group.seen));
        store(transaction, &group);
    }
    Ok(())
}

/// Tells the members up to where this account has read, if that has moved and it is time.
pub(super) fn send_due(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    let now = transaction.now.0;
    if group.read_entry.is_some() {
        // It may be in the log although its answer was lost: that is looked at before it is told anew.
        if is_since(&group, READ_POSITION_ANSWER_MS, now) && group.next_read > now {
            group.next_read = now;
            store(transaction, &group);
        }
        return Ok(());
    }
    if group.standing != GroupStanding::Active
        || group.successor.is_some()
        || group.read_positions_off
        || group.seen <= group.read_told
        || !is_due(transaction, &group)?
    {
        return Ok(());
    }
    let Some(message) = last_of_others(transaction, own, &group)? else {
        group.read_told = group.seen;
        store(transaction, &group);
        return Ok(());
    };
    let mut mls = OpenGroup::load(transaction, group_id)?;
    if mls.role(own.address())? == Some(Role::Reader) {
        // Who may not write has nothing to tell by.
        group.read_told = group.seen;
        store(transaction, &group);
        return Ok(());
    }
    let content = content(transaction, own, group_id, message);
    let content = content.encode()?;
    let request = match mls.encrypt(transaction, &content) {
        Ok((request, _)) => request,
        Err(Stop::Failed(error)) => match *error {
            // Somebody wants to leave, and that comes first.
            EngineError::Group(GroupProblem::Engine(GroupError::CommitFirst)) => return Ok(()),
            other => return Err(other.into()),
        },
        Err(error) => return Err(error),
    };
    let entry_id = request.entry_id;
    (group.read_entry, group.read_told_at) = (Some((entry_id, group.seen)), now);
    mls.save(transaction)?;
    store(transaction, &group);
    append::send(transaction, &group, entry_id, Request::AppendGroupEntry(request));
    Ok(())
}

/// Whether it is time.
fn is_due(transaction: &mut Transaction<'_>, group: &GroupRecord) -> Result<bool, Stop> {
    let now = transaction.now.0;
    let roster = transaction.load(&key::group_roster(&group.log_id))?.unwrap_or_default();
    let last = Some(group.read_told_at).filter(|at| *at != 0);
    let policy = ReadPositionPolicy::of(roster.members.len());
    Ok(policy.is_due(last, now) && is_since(group, READ_POSITION_PAUSE_MS, now))
}

/// Whether so many milliseconds have gone by since one was told. A clock that was put back does not silence a reader.
const fn is_since(group: &GroupRecord, pause: u64, now: u64) -> bool {
    now < group.read_told_at || now - group.read_told_at >= pause
}

/// The last message of somebody else among those that are read and untold.
fn last_of_others(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &GroupRecord,
) -> Result<Option<MessageId>, Stop> {
    let from = group.read_told.max(group.first).max(group.seen.saturating_sub(READ_POSITION_LOOK_MAX));
    let keys: Vec<_> = (from..group.seen).rev().map(|number| key::group_message(&group.log_id, number)).collect();
    let messages = transaction.load_all(&keys)?.into_iter().flatten();
    let mut of_others =
        messages.filter(|message| message.state == GroupMessageState::Logged && message.sender != *own.address());
    Ok(of_others.next().map(|message| MessageId(message.content_id)))
}

fn content(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId, message: MessageId) -> Content {
    Content {
        id: MessageId::random(&mut transaction.rng),
        thread: message::thread_of(group_id),
        in_reply_to: None,
        replaces: None,
        created: transaction.now.0,
        expires: None,
        urgency: Urgency::Routine,
        sender_name: String::new(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: String::new(),
        attachments: Vec::new(),
        body_blob: None,
        sender_statement_version: own.statement.version(),
        body: Body::Chat(Chat::ReadPosition { message }),
    }
}

/// An entry is in the log: if it is the one that tells a position, that is told.
pub(super) fn logged(group: &mut GroupRecord, entry_id: &[u8; 16]) {
    if let Some((_, up_to)) = group.read_entry.take_if(|(id, _)| id == entry_id) {
        group.read_told = group.read_told.max(up_to);
    }
}

/// The log has been read to its end: an entry that has had no answer for long and is not there is lost.
pub(super) const fn caught_up(group: &mut GroupRecord, now: u64) {
    if is_since(group, READ_POSITION_ANSWER_MS, now) {
        group.read_entry = None;
    }
}

/// An entry was for an epoch that is over: the position is told anew.
pub(super) fn stale(group: &mut GroupRecord, entry_id: &[u8; 16]) {
    group.read_entry.take_if(|(id, _)| id == entry_id);
}
