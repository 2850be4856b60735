//! What is said in a group: queued, encrypted for the epoch that holds, and in its place in the log.

use medipeps_core::group::{GroupError, Role};
use medipeps_core::group_log::entry_hash;
use medipeps_core::kind::{Body, Content, MessageId, PatientReference, ReceiptsWanted, Urgency};
use medipeps_core::organisation::OrganisationService;
use medipeps_core::wire::client_records::{
    GroupEntryRecord, GroupMessageRecord, GroupMessageState, GroupOutboxRecord, GroupRecord, GroupStanding,
};
use medipeps_core::wire::transport::{GroupLogEntry, Request};
use zeroize::Zeroizing;

use super::mls::{OpenGroup, code_of};
use super::{
    GroupEvent, GroupId, GroupProblem, append, file, load, load_active, mailbox, read_position, retention, store, tell,
};
use crate::engine::account::OwnDevice;
use crate::engine::attachment::Attachment;
use crate::engine::outbox::is_due;
use crate::engine::outcome::EngineError;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::upload::UPLOADING;
use crate::engine::{composition, organisation};
use crate::limits::{GROUP_OUTBOX_BATCH_MAX, OUTBOX_TRIED_MS};

/// Something to be said in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendToGroup {
    /// Which group.
    pub group: GroupId,
    /// What.
    pub body: Body,
    /// Shown by a client that does not know the kind.
    pub fallback_text: String,
    /// The content that this one answers.
    pub in_reply_to: Option<MessageId>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// How soon it must be read.
    pub urgency: Urgency,
    /// When all members delete it, whatever the group's retention is; milliseconds since 1970.
    pub expires: Option<u64>,
}

/// In which thread something is said.
pub(super) enum Thread {
    /// The group's own.
    Group,
    /// A case's.
    Case(MessageId),
    /// One that begins with it, about this patient.
    Opening(PatientReference),
}

/// Stores what a person has to say. It leaves with the next tick.
pub(in crate::engine) fn send(transaction: &mut Transaction<'_>, command: &SendToGroup) -> Result<(), Stop> {
    organisation::check_service(transaction, OrganisationService::Chat)?;
    say(transaction, command).map(|_| ())
}

/// The same for what no policy switches off. The content's id.
pub(in crate::engine) fn say(transaction: &mut Transaction<'_>, command: &SendToGroup) -> Result<[u8; 16], Stop> {
    queue(transaction, command, Thread::Group)
}

/// The same, in any thread.
pub(super) fn queue(
    transaction: &mut Transaction<'_>,
    command: &SendToGroup,
    thread: Thread,
) -> Result<[u8; 16], Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut group = load_active(transaction, &command.group)?;
    if let Some(successor) = group.successor {
        return Err(GroupProblem::Continues(successor).into());
    }
    let mls = OpenGroup::load(transaction, &command.group)?;
    if mls.role(own.address())? == Some(Role::Reader) {
        return Err(GroupProblem::Reader.into());
    }
    mailbox::note_owner(transaction, &mls, (&command.group, own.address(), group.messages))?;
    let id = MessageId::random(&mut transaction.rng);
    let now = transaction.now.0;
    let (thread, patient) = match thread {
        Thread::Group => (thread_of(&command.group), None),
        Thread::Case(case) => (case, None),
        Thread::Opening(patient) => (id, Some(patient)),
    };
    let (attachments, uploads) = composition::enclose(transaction, &own, id.0, &command.attachments)?;
    let content = Content {
        id,
        thread,
        in_reply_to: command.in_reply_to,
        replaces: None,
        created: now,
        expires: command.expires,
        urgency: command.urgency,
        sender_name: own.record.name.clone(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient,
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: command.fallback_text.clone(),
        attachments,
        body_blob: None,
        sender_statement_version: own.statement.version(),
        body: command.body.clone(),
    };
    let encoded = content.encode()?;
    keep_certificate(transaction, own.keys.signing_key.verifying_key().as_bytes(), &own_certificate(&own)?)?;
    // Refuses by name what does not fit, before anything is queued.
    composition::check_room_for_references(content.clone())?;
    let number = group.messages;
    let message = GroupMessageRecord {
        sequence: 0,
        content_id: id.0,
        sender: own.address().clone(),
        sender_device: own.record.device_id,
        account_key: *own.statement.account_key().as_bytes(),
        received: now,
        content: encoded.to_vec(),
        proof: None,
        device_key: *own.keys.signing_key.verifying_key().as_bytes(),
        epoch: 0,
        state: GroupMessageState::Queued,
        code: (!uploads.is_empty()).then(|| UPLOADING.to_owned()),
    };
    group.messages += 1;
    if group.seen == number {
        group.seen = group.messages;
    }
    read_position::note(transaction, &command.group, &id.0, number)?;
    retention::note(transaction, &mut group, number, &content);
    let seen = key::group_received(&command.group, own.address(), &id.0);
    transaction.store(&seen, &Zeroizing::new(number.to_be_bytes().to_vec()));
    transaction.store(&key::group_message(&command.group, number), &message);
    if uploads.is_empty() {
        let (log_id, content_id, created) = (command.group, id.0, now);
        let (entry, attempts, next_attempt) = (None, 0, 0);
        let entry = GroupOutboxRecord { log_id, content_id, number, created, entry, attempts, next_attempt };
        transaction.store(&key::group_outbox(&command.group, &id.0), &entry);
    } else {
        file::wait(transaction, (&command.group, number), &id.0);
    }
    for upload in &uploads {
        transaction.store(&key::upload(&upload.blob_id), upload);
    }
    store(transaction, &group);
    tell(transaction, &command.group, GroupEvent::MessageQueued { number });
    Ok(id.0)
}

/// Keeps the certificate of a device that has said something, once.
pub(super) fn keep_certificate(
    transaction: &mut Transaction<'_>,
    device_key: &[u8; 32],
    certificate: &[u8],
) -> Result<(), Stop> {
    let key = key::device_certificate(device_key);
    if !transaction.exists(&key)? {
        transaction.store(&key, &Zeroizing::new(certificate.to_vec()));
    }
    Ok(())
}

fn own_certificate(own: &OwnDevice) -> Result<Vec<u8>, EngineError> {
    let certificate = own.statement.device(own.record.device_id).ok_or(EngineError::NoProgress)?;
    Ok(certificate.signed().encode())
}

/// The thread of what is said in a group.
#[must_use]
pub fn thread_of(group_id: &GroupId) -> MessageId {
    let mut thread = [0; 16];
    thread.copy_from_slice(&group_id[..16]);
    MessageId(thread)
}

/// Appends what waits, oldest first: what is encrypted for the present epoch goes again as it is, the rest is encrypted.
/// What was encrypted for an earlier one is not in the log: that was read to its end.
pub(super) fn send_due(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
    let group = load(transaction, group_id)?;
    if group.standing != GroupStanding::Active {
        return Ok(());
    }
    let mut waiting = waiting(transaction, group_id)?;
    waiting.retain(|entry| is_due(entry.next_attempt, transaction.now.0));
    if waiting.is_empty() {
        return Ok(());
    }
    let mut mls = OpenGroup::load(transaction, group_id)?;
    for mut entry in waiting.into_iter().take(GROUP_OUTBOX_BATCH_MAX) {
        if transaction.now.0.saturating_sub(entry.created) > OUTBOX_TRIED_MS {
            finish(transaction, &entry, GroupMessageState::Failed, (0, None), Some("expired"))?;
            continue;
        }
        if let Some(encrypted) = &entry.entry {
            if encrypted.epoch == mls.epoch() {
                append::again(transaction, &group, encrypted.id)?;
                continue;
            }
            transaction.delete(&key::submission(&encrypted.id));
        }
        let Some(message) = transaction.load(&key::group_message(group_id, entry.number))? else { continue };
        // The same content however often it must be encrypted, and bound to this device by each entry anew.
        let content = Zeroizing::new(message.content);
        let (request, proof) = match mls.encrypt(transaction, &content) {
            Ok(encrypted) => encrypted,
            Err(Stop::Failed(error)) => match *error {
                // Somebody wants to leave, and that comes first.
                EngineError::Group(GroupProblem::Engine(GroupError::CommitFirst)) => break,
                EngineError::Group(GroupProblem::Engine(error)) => {
                    let code = code_of(&error);
                    finish(transaction, &entry, GroupMessageState::Failed, (0, None), Some(code))?;
                    continue;
                }
                other => return Err(other.into()),
            },
            Err(error) => return Err(error),
        };
        let entry_id = request.entry_id;
        let (hash, epoch) = (entry_hash(&request.entry), mls.epoch());
        entry.entry = Some(GroupEntryRecord { id: entry_id, hash, epoch, proof });
        let request = Request::AppendGroupEntry(request);
        transaction.store(&key::submission(&entry_id), &Zeroizing::new(request.encode()));
        transaction.store(&key::group_outbox(group_id, &entry.content_id), &entry);
        append::send(transaction, &group, entry_id, request);
    }
    mls.save(transaction)
}

/// An entry is in the log. False if it is none of this device's that waits, or not the very entry that was sent.
pub(super) fn logged(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    entry_id: &[u8; 16],
    (sequence, read): (u64, Option<&GroupLogEntry>),
) -> Result<bool, Stop> {
    let Some(entry) = find(transaction, group_id, entry_id)? else { return Ok(false) };
    let same = |read: &GroupLogEntry| entry.entry.as_ref().is_some_and(|sent| sent.hash == entry_hash(&read.entry));
    if !read.is_none_or(same) {
        return Ok(false);
    }
    let received = read.map(|read| read.received);
    finish(transaction, &entry, GroupMessageState::Logged, (sequence, received), None)?;
    Ok(true)
}

/// The epoch is over for which an entry was encrypted, or its id is taken.
pub(super) fn encrypt_anew(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    entry_id: &[u8; 16],
) -> Result<(), Stop> {
    let Some(entry) = find(transaction, group_id, entry_id)? else { return Ok(()) };
    transaction.delete(&key::submission(entry_id));
    let entry = GroupOutboxRecord { entry: None, ..entry };
    transaction.store(&key::group_outbox(group_id, &entry.content_id), &entry);
    Ok(())
}

/// The server will never take an entry.
pub(super) fn fail(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    entry_id: &[u8; 16],
    code: &str,
) -> Result<(), Stop> {
    match find(transaction, group_id, entry_id)? {
        Some(entry) => finish(transaction, &entry, GroupMessageState::Failed, (0, None), Some(code)),
        None => Ok(()),
    }
}

/// Nothing more can be said in a group.
pub(super) fn fail_all(transaction: &mut Transaction<'_>, group_id: &GroupId, code: &str) -> Result<(), Stop> {
    for entry in waiting(transaction, group_id)? {
        finish(transaction, &entry, GroupMessageState::Failed, (0, None), Some(code))?;
    }
    file::fail_all(transaction, group_id, code)
}

/// A person has seen the messages up to a number.
pub(in crate::engine) fn mark_seen(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    number: u64,
) -> Result<(), Stop> {
    let mut group: GroupRecord = load(transaction, group_id)?;
    let seen = (number + 1).min(group.messages);
    if seen > group.seen {
        group.seen = seen;
        store(transaction, &group);
    }
    Ok(())
}

fn finish(
    transaction: &mut Transaction<'_>,
    entry: &GroupOutboxRecord,
    state: GroupMessageState,
    (sequence, received): (u64, Option<u64>),
    code: Option<&str>,
) -> Result<(), Stop> {
    if let Some(encrypted) = &entry.entry {
        transaction.delete(&key::submission(&encrypted.id));
    }
    transaction.delete(&key::group_outbox(&entry.log_id, &entry.content_id));
    let key = key::group_message(&entry.log_id, entry.number);
    let Some(mut message) = transaction.load(&key)? else { return Ok(()) };
    (message.state, message.sequence, message.code) = (state, sequence, code.map(str::to_owned));
    message.received = received.unwrap_or(message.received);
    if let (GroupMessageState::Logged, Some(sent)) = (state, &entry.entry) {
        (message.epoch, message.proof) = (sent.epoch, Some(sent.proof.clone()));
    }
    transaction.store(&key, &message);
    let body = match state {
        GroupMessageState::Logged => Some(Content::decode(&message.content)?.body),
        GroupMessageState::Queued | GroupMessageState::Failed => None,
    };
    if let Some(Body::BreakGlass(event)) = &body {
        organisation::said_in_group(transaction, &entry.log_id, &message, event)?;
    }
    tell(
        transaction,
        &entry.log_id,
        GroupEvent::MessageState { number: entry.number, state, code: code.map(str::to_owned) },
    );
    if let Some(body) = &body {
        mailbox::told(transaction, &entry.log_id, body);
    }
    Ok(())
}

fn find(
    transaction: &mut Transaction<'_>,
    group_id: &GroupId,
    entry_id: &[u8; 16],
) -> Result<Option<GroupOutboxRecord>, Stop> {
    let is = |entry: &GroupOutboxRecord| entry.entry.as_ref().is_some_and(|sent| sent.id == *entry_id);
    Ok(waiting(transaction, group_id)?.into_iter().find(is))
}

fn waiting(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<Vec<GroupOutboxRecord>, Stop> {
    let all = transaction.scan::<GroupOutboxRecord>(class::GROUP_OUTBOX)?;
    let mut waiting: Vec<_> =
        all.into_iter().map(|(_, entry)| entry).filter(|entry| entry.log_id == *group_id).collect();
    waiting.sort_by_key(|entry| entry.number);
    Ok(waiting)
}
