//! Reading a group's log: entry after entry, epoch after epoch.
//!
//! Entries of an epoch are read by proving its key. The last one is the commit that closes it, with which the next epoch's
//! key is had; so a device that was away walks forward commit by commit, and one that was removed stops there.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::kind::{Body, Chat};
use medipeps_core::proof::Channel;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::client_records::{GroupMessageRecord, GroupMessageState, GroupRecord, GroupStanding};
use medipeps_core::wire::transport::{
    ErrorCode, ErrorReply, FetchGroupEntries, FetchGroupEntriesReply, GroupLogCursor, GroupLogEntry, SetGroupWake,
    SignalGroup, WatchedGroupLog,
};

use super::mls::{OpenGroup, Processed, Said};
use super::{
    GroupCorrelation, GroupEvent, GroupId, GroupProblem, append, commit, invitation, load, log_restore, mailbox,
    message, read_position, rejoin, retention, store, successor, tell, wake,
};
use crate::engine::account::OwnDevice;
use crate::engine::organisation;
use crate::engine::outbox::next_attempt;
use crate::engine::outcome::{EngineError, error_code_name};
use crate::engine::records::{class, key};
use crate::engine::server_clock;
use crate::engine::transaction::{Stop, Transaction, go_on};
use crate::engine::{Correlation, settings};
use crate::limits::{GROUP_ENTRIES_PER_READ, GROUP_FRESH_MS, GROUP_POLL_MS};

/// Entries of a group's log, as the server gave or pushed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntries {
    /// Which group.
    pub group: GroupId,
    /// Whose entries they are.
    pub epoch: u64,
    /// Of the server's store.
    pub incarnation: [u8; 16],
    /// In the order of the log.
    pub entries: Vec<GroupLogEntry>,
    /// There is nothing after them: the reader has the log as it is now.
    pub caught_up: bool,
    /// The epoch is closed, and these are the last of it.
    pub epoch_closed: bool,
    /// What time it is by the server's clock, if it has said so; milliseconds since 1970.
    pub now: Option<u64>,
}

/// What reads a group's log at a server, until the epoch closes.
#[derive(Debug, Clone)]
pub struct GroupReader {
    /// Which group.
    pub group: GroupId,
    /// Whose server keeps the log.
    pub domain: String,
    /// Whose entries are read.
    pub epoch: u64,
    /// How far this device has come.
    pub after: Option<GroupLogCursor>,
    /// Proves the epoch.
    pub access_key: SigningKey,
}

impl PartialEq for GroupReader {
    fn eq(&self, other: &Self) -> bool {
        self.access_key.verifying_key() == other.access_key.verifying_key()
            && (self.group, &self.domain, self.epoch, self.after)
                == (other.group, &other.domain, other.epoch, other.after)
    }
}

impl Eq for GroupReader {}

impl GroupReader {
    /// A request for its entries, good for one connection.
    #[must_use]
    pub fn fetch(&self, channel: &Channel<'_>, limit: u32) -> FetchGroupEntries {
        FetchGroupEntries::sign(&self.access_key, channel, self.group, self.epoch, self.after, limit)
    }

    /// A signal to those who watch the epoch, good for one connection.
    #[must_use]
    pub fn signal(&self, channel: &Channel<'_>, signal: Vec<u8>) -> SignalGroup {
        SignalGroup::sign(&self.access_key, channel, self.group, self.epoch, signal)
    }

    /// Where its reader is woken, good for one connection; see [`SetGroupWake`].
    #[must_use]
    pub fn wake(&self, channel: &Channel<'_>, handle: [u8; 16], wake: Option<(PushEndpoint, u64)>) -> SetGroupWake {
        SetGroupWake::sign(&self.access_key, channel, self.group, self.epoch, handle, wake)
    }

    /// A watch of its entries, good for one connection.
    #[must_use]
    pub fn watch(&self, channel: &Channel<'_>) -> WatchedGroupLog {
        WatchedGroupLog::sign(&self.access_key, channel, self.group, self.epoch, self.after)
    }
}

impl GroupEntries {
    /// Out of the server's answer.
    #[must_use]
    pub fn of(group: GroupId, epoch: u64, reply: &FetchGroupEntriesReply) -> Self {
        Self {
            group,
            epoch,
            incarnation: reply.incarnation,
            entries: reply.entries.clone(),
            caught_up: reply.entries.is_empty(),
            epoch_closed: reply.epoch_closed,
            now: Some(reply.now).filter(|now| *now != 0),
        }
    }
}

/// Asks for the next entries, if it is time.
pub(super) fn read_due(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
    let group = load(transaction, group_id)?;
    if !is_read(&group) || !is_due(&group, transaction.now.0) {
        return Ok(());
    }
    let Some(seed) = transaction.load(&key::group_access(group_id))? else { return Ok(()) };
    let reader = reader(&group, &seed)?;
    let correlation = GroupCorrelation::Fetch { group: *group_id, epoch: group.epoch };
    let correlation = Correlation::Group(correlation);
    if !transaction.is_sending(&correlation) {
        transaction.read_group(append::connection(&group), reader, GROUP_ENTRIES_PER_READ, correlation);
    }
    Ok(())
}

/// Whether the log is to be read. A time that is further away than groups are ever left alone comes from a clock that was
/// wrong.
pub(super) const fn is_due(group: &GroupRecord, now: u64) -> bool {
    group.next_read <= now || group.next_read - now > GROUP_POLL_MS
}

/// Whether the log was read to its end just now.
pub(super) const fn is_fresh(group: &GroupRecord, now: u64) -> bool {
    let read = group.next_read.saturating_sub(GROUP_POLL_MS);
    read <= now && now - read <= GROUP_FRESH_MS
}

/// A person waits: every group is read with the next tick.
pub(in crate::engine) fn read_all(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    for (_, mut group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        if is_read(&group) && group.next_read > transaction.now.0 {
            group.next_read = transaction.now.0;
            store(transaction, &group);
        }
    }
    Ok(())
}

/// What reads a group from where this device has come to.
///
/// # Errors
/// [`GroupProblem::Unknown`] if the key is none.
pub fn reader(group: &GroupRecord, access_seed: &[u8]) -> Result<GroupReader, EngineError> {
    let seed = Secret::from_slice(access_seed).ok_or(GroupProblem::Unknown)?;
    Ok(GroupReader {
        group: group.log_id,
        domain: group.domain.clone(),
        epoch: group.epoch,
        after: group.incarnation.map(|incarnation| GroupLogCursor { incarnation, sequence: group.after }),
        access_key: SigningKey::from_secret(&seed),
    })
}

/// The server has nothing to give for an epoch, or not now.
pub(in crate::engine) fn read_refused(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    epoch: u64,
    error: &ErrorReply,
) -> Result<(), Stop> {
    let mut group = load(transaction, group_id)?;
    if group.epoch != epoch || !is_read(&group) {
        return Ok(());
    }
    if let Some(ErrorCode::WrongIncarnation) = error.known_code() {
        // The server's store was restored: everything is read from the beginning of the epoch.
        log_restore::begin(&mut group, transaction.now.0);
        (group.incarnation, group.after, group.next_read) = (None, 0, transaction.now.0);
        store(transaction, &group);
        return Ok(());
    }
    group.next_read = next_attempt(transaction, 3, error.retry_after);
    if group.attempts > 0 {
        // Who has lost a race reads before the next one, and would ask without end.
        group.next_attempt = group.next_attempt.max(group.next_read);
    }
    if log_restore::read_refused(transaction, &mut group, error)? {
        store(transaction, &group);
        return Ok(());
    }
    if error.known_code() == Some(ErrorCode::GroupAccessRefused) {
        // All entries of this epoch have run out, with its key.
        rejoin::lose_place(transaction, &mut group, "group_entries_gone")?;
        store(transaction, &group);
        let own = OwnDevice::load_working(transaction)?;
        return invitation::take_up(transaction, &own, group_id);
    }
    if error.known_code() == Some(ErrorCode::UnknownGroupLog) {
        let code = error_code_name(error);
        if group.problem.as_ref() != Some(&code) {
            tell(transaction, group_id, GroupEvent::Problem { code: code.clone() });
        }
        group.problem = Some(code);
    }
    store(transaction, &group);
    Ok(())
}

/// Takes entries over, in order, in one transaction.
pub(in crate::engine) fn entries_read(transaction: &mut Transaction<'_>, read: &GroupEntries) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut group = load(transaction, &read.group)?;
    match (read.now, read.entries.iter().map(|entry| entry.received).max()) {
        (Some(now), _) => server_clock::told(transaction, &group.domain, now)?,
        (None, Some(received)) => server_clock::told_past(transaction, &group.domain, received)?,
        (None, None) => {}
    }
    if !is_read(&group) || group.epoch != read.epoch {
        // Somebody else of this account's programs has read on meanwhile.
        return Ok(());
    }
    if group.incarnation != Some(read.incarnation) {
        // The server's store has begun a new life: what was read before comes again and is known by MLS.
        if group.incarnation.is_some() {
            log_restore::begin(&mut group, transaction.now.0);
        }
        (group.incarnation, group.after) = (Some(read.incarnation), 0);
    }
    let mut mls = OpenGroup::load(transaction, &read.group)?;
    for entry in &read.entries {
        if entry.sequence <= group.after {
            continue;
        }
        // One that misses a record does not keep the others from asking for theirs.
        let epoch = group.epoch;
        match take(transaction, &own, &mut group, &mut mls, entry) {
            Ok(Taken::New) => log_restore::keep(transaction, &mut group, &mls, (epoch, entry), read.incarnation)?,
            Ok(Taken::Known) => log_restore::seen(transaction, &group, entry, read.incarnation)?,
            other => go_on(other.map(|_| ()))?,
        }
        group.after = entry.sequence;
        group.server_time = group.server_time.max(entry.received);
        if !is_read(&group) {
            break;
        }
    }
    if is_read(&group) {
        let moved = group.epoch != read.epoch;
        if !moved && read.epoch_closed {
            // The commit that closes the epoch is not there any more: there is no way on from here.
            rejoin::lose_place(transaction, &mut group, "group_entries_gone")?;
        }
        let more = moved || (!read.caught_up && !read.entries.is_empty());
        group.next_read = transaction.now.0.saturating_add(if more { 0 } else { GROUP_POLL_MS });
        if !more {
            group.problem = None;
            log_restore::caught_up(&mut group, transaction.now.0);
            read_position::caught_up(&mut group, transaction.now.0);
        }
    }
    // Who is out has nothing of the group any more.
    if is_read(&group) || group.standing == GroupStanding::Broken {
        mls.save(transaction)?;
    }
    store(transaction, &group);
    if log_restore::is_busy(&group) {
        log_restore::work_due(transaction, &group.log_id)?;
        group = load(transaction, &group.log_id)?;
    }
    wake::tell_due(transaction, &group)?;
    if !is_read(&group) {
        return invitation::take_up(transaction, &own, &group.log_id);
    }
    if group.epoch != read.epoch {
        invitation::forget_old(transaction, &group)?;
    }
    // What waited for this is built at once: the longer it takes, the sooner somebody else is first.
    if !is_due(&group, transaction.now.0) && group.attempts > 0 {
        append::send_due(transaction, &own, &group.log_id)?;
    }
    Ok(())
}

/// Whether the log is read: by a member, and by one who wants to leave until he is out.
pub(super) const fn is_read(group: &GroupRecord) -> bool {
    matches!(group.standing, GroupStanding::Active | GroupStanding::Leaving)
}

fn take(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &mut OpenGroup,
    entry: &GroupLogEntry,
) -> Result<Taken, Stop> {
    let own_commit = commit::is_own(group, entry);
    if own_commit && commit::is_proposal(group) {
        return Ok(Taken::New);
    }
    if message::logged(transaction, &group.log_id, &entry.entry_id, (entry.sequence, Some(entry)))? {
        return Ok(Taken::New);
    }
    read_position::logged(group, &entry.entry_id);
    let retention = mls.policy()?.retention_days;
    let processed = mls.process(entry, group.epoch)?;
    let taken = if matches!(processed, Processed::Known) { Taken::Known } else { Taken::New };
    match processed {
        Processed::Message(said) => {
            let (address, number) = (said.sender.address.clone(), group.messages);
            keep(transaction, own, group, *said, entry)?;
            match group.messages > number {
                true => mailbox::note_owner(transaction, mls, (&group.log_id, &address, number)),
                false => Ok(()),
            }
        }
        Processed::Commit(change) => {
            match own_commit {
                true => commit::read_back(transaction, own, group, mls, (&change, entry))?,
                false => commit::taken(transaction, own, group, mls, &change)?,
            }
            if is_read(group) {
                let agreed = (retention, mls.policy()?.retention_days);
                retention::agreed(transaction, group, agreed, entry.received);
            }
            mailbox::note_departures(transaction, group, mls, (&change, entry))
        }
        Processed::Leaving(member) => commit::proposed(transaction, own, group, mls, Some(&member)),
        Processed::Proposal => commit::proposed(transaction, own, group, mls, None),
        Processed::Known => Ok(()),
        Processed::Lost => rejoin::lose_place(transaction, group, "own_commit_lost"),
        Processed::Refused { code } => {
            tell(transaction, &group.log_id, GroupEvent::EntryRefused { code: code.to_owned() });
            Ok(())
        }
        // It has closed the epoch, and nobody can follow it.
        Processed::Broken { code } => {
            group.standing = GroupStanding::Broken;
            group.problem = Some(code.to_owned());
            commit::drop_pending(transaction, group, mls)?;
            tell(transaction, &group.log_id, GroupEvent::Problem { code: code.to_owned() });
            // Somebody may have invited this device to what goes on in its place.
            store(transaction, group);
            successor::consider(transaction, own, &group.log_id)?;
            *group = load(transaction, &group.log_id)?;
            Ok(())
        }
    }
    .map(|()| taken)
}

/// Whether an entry of the log was new to this device.
enum Taken {
    /// It was.
    New,
    /// It has read it before, or made it.
    Known,
}

/// Stores what somebody said, once.
fn keep(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    said: Said,
    entry: &GroupLogEntry,
) -> Result<(), Stop> {
    let Said { sender, account_key, device_key, certificate, content, franked } = said;
    let from_self = sender.address == *own.address();
    match &content.body {
        // It is no message, but where somebody has come to.
        Body::Chat(Chat::ReadPosition { message }) => {
            return read_position::received(transaction, own, group, (&sender.address, *message, entry.received));
        }
        Body::Chat(chat) if chat.is_ephemeral() => {
            tell(transaction, &group.log_id, GroupEvent::EntryRefused { code: "content".to_owned() });
            return Ok(());
        }
        _ => {}
    }
    // The same content may come again after a restore of the server.
    let seen = key::group_received(&group.log_id, &sender.address, &content.id.0);
    if transaction.exists(&seen)? {
        return Ok(());
    }
    if retention::is_over(transaction, group, (&content, entry.received))? {
        return Ok(());
    }
    transaction.store(&seen, &zeroize::Zeroizing::new(group.messages.to_be_bytes().to_vec()));
    message::keep_certificate(transaction, &device_key, &certificate)?;
    let silent = settings::is_silent_in_group(transaction, &group.log_id, (&sender.address, content.thread))?;
    let number = group.messages;
    read_position::note(transaction, &group.log_id, &content.id.0, number)?;
    retention::note(transaction, group, number, &content);
    let record = GroupMessageRecord {
        sequence: entry.sequence,
        content_id: content.id.0,
        sender: sender.address,
        sender_device: sender.device_id,
        account_key,
        received: entry.received,
        content: franked.bytes.to_vec(),
        proof: Some(franked.proof),
        device_key,
        epoch: group.epoch,
        state: GroupMessageState::Logged,
        code: None,
    };
    transaction.store(&key::group_message(&group.log_id, number), &record);
    if let Body::BreakGlass(event) = &content.body {
        organisation::said_in_group(transaction, &group.log_id, &record, event)?;
    }
    group.messages += 1;
    if from_self && group.seen == number {
        group.seen = group.messages;
    }
    tell(
        transaction,
        &group.log_id,
        match silent {
            true => GroupEvent::MutedMessage { number },
            false => GroupEvent::Message { number },
        },
    );
    mailbox::told(transaction, &group.log_id, &content.body);
    Ok(())
}
