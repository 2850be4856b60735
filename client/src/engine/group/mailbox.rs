//! An organisation's mailbox: on the mailbox's own device, what comes to the account is posted into the group, and what members
//! answer is sent in the mailbox's name; on every member's device, who takes care of what. `spec/organisation.md`, Mailbox.

use medipeps_core::Address;
use medipeps_core::group::{EpochChange, Role};
use medipeps_core::kind::{Body, Content, GivenDeliveryKey, MailboxArrival, MessageId, ReceiptsWanted, Urgency};
use medipeps_core::wire::client_records::{
    GroupDepartureRecord, GroupMessageState, GroupRecord, GroupStanding, MailboxRecord, MessageRecord, SenderCheck,
};
use medipeps_core::wire::transport::GroupLogEntry;
use zeroize::Zeroizing;

use super::mls::OpenGroup;
use super::{GroupEvent, GroupId, GroupProblem, SendToGroup, load, load_active, message, tell};
use crate::engine::account::OwnDevice;
use crate::engine::composition::{self, SendMail};
use crate::engine::outcome::EngineError;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::{Bytes, LocalId};
use crate::limits::MAILBOX_BATCH_MAX;

/// From now on this account is the mailbox of a group, or of none. What has come before is posted as well, once.
pub(super) fn serve(transaction: &mut Transaction<'_>, group_id: Option<&GroupId>) -> Result<(), Stop> {
    let Some(group_id) = group_id else {
        transaction.delete(&key::mailbox());
        return Ok(());
    };
    let own = OwnDevice::load_working(transaction)?;
    let group = load_active(transaction, group_id)?;
    // Members take what an owner has posted for what has come, and what nobody else has.
    if OpenGroup::load(transaction, group_id)?.role(own.address())? != Some(Role::Owner) {
        return Err(GroupProblem::NotOwner.into());
    }
    if transaction.load(&key::mailbox())?.is_some_and(|known| known.log_id == *group_id) {
        return Ok(());
    }
    transaction.store(&key::mailbox(), &MailboxRecord { log_id: *group_id, handled: group.messages });
    for (key, message) in transaction.scan::<MessageRecord>(class::MESSAGE)? {
        if let Ok(id) = LocalId::try_from(key.name())
            && is_mail(&message)
        {
            wait(transaction, &id)?;
        }
    }
    Ok(())
}

/// A mail has come to the account: if it is a mailbox, it is to be posted. In the step that stores the mail, so that neither a
/// crash before nor one after loses it or posts it twice.
pub(in crate::engine) fn arrived(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    match transaction.load(&key::mailbox())? {
        Some(_) => wait(transaction, id),
        None => Ok(()),
    }
}

fn is_mail(message: &MessageRecord) -> bool {
    !message.sent && message.kind == composition::KIND_MAIL
}

fn wait(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    if !transaction.exists(&key::mailbox_posted(id))? {
        transaction.store(&key::mailbox_waiting(id), &Zeroizing::new(Vec::new()));
    }
    Ok(())
}

/// Posts what waits, and sends what members answer.
pub(super) fn work_due(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let Some(record) = transaction.load(&key::mailbox())? else { return Ok(()) };
    let Some(group) = transaction.load(&key::group(&record.log_id))? else { return Ok(()) };
    if group.standing != GroupStanding::Active {
        return Ok(());
    }
    post_due(transaction, &record.log_id)?;
    answer_due(transaction, record)
}

fn post_due(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
    let waiting = transaction.scan::<Bytes>(class::MAILBOX_WAITING)?;
    for (waiting, _) in waiting.into_iter().take(MAILBOX_BATCH_MAX) {
        let Ok(id) = LocalId::try_from(waiting.name()) else { continue };
        let Some(message) = transaction.load(&key::message(&id))? else {
            transaction.delete(&waiting);
            continue;
        };
        // Its server is being asked, or its body fetched.
        if message.sender_check == SenderCheck::Unchecked || transaction.exists(&key::body_fetch(&id))? {
            continue;
        }
        if message.sender_check == SenderCheck::Checked {
            let Some(content) = transaction.load(&key::content(&id))? else { continue };
            // The sender's delivery key was given to this account, not to all who read its mailbox.
            let content = GivenDeliveryKey::detach(&content).map_err(EngineError::from)?;
            let Some(sender) = transaction.load(&key::contact(&message.sender))? else { continue };
            let statement = transaction.statement(&sender.statement).map_err(EngineError::from)?;
            let account_key = statement.account_key();
            for part in MailboxArrival::parts(MessageId(id), &message.sender, account_key, message.received, &content) {
                post(transaction, group_id, Body::MailboxArrival(part))?;
            }
        }
        transaction.store(&key::mailbox_posted(&id), &Zeroizing::new(Vec::new()));
        transaction.delete(&waiting);
    }
    Ok(())
}

fn post(transaction: &mut Transaction<'_>, group_id: &GroupId, body: Body) -> Result<(), Stop> {
    let (fallback_text, urgency) = (body.fallback_text(), Urgency::Routine);
    let (in_reply_to, attachments) = (None, Vec::new());
    message::send(
        transaction,
        &SendToGroup { group: *group_id, body, fallback_text, in_reply_to, attachments, urgency, expires: None },
    )
}

/// Sends what was answered since the last look. How far it has looked is stored with what it sends.
fn answer_due(transaction: &mut Transaction<'_>, mut record: MailboxRecord) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let group = load(transaction, &record.log_id)?;
    let before = record.handled;
    let last = group.messages.min(before.saturating_add(MAILBOX_BATCH_MAX as u64));
    for number in before..last {
        record.handled = number + 1;
        let Some(said) = transaction.load(&key::group_message(&record.log_id, number))? else { continue };
        if said.state != GroupMessageState::Logged || said.sender == *own.address() {
            continue;
        }
        let Ok(content) = Content::decode(&said.content) else { continue };
        let Body::MailboxAnswer(answer) = &content.body else { continue };
        let Some(asked) = transaction.load(&key::message(&answer.message.0))?.filter(is_mail) else { continue };
        let posted = transaction.exists(&key::mailbox_posted(&answer.message.0))?;
        if !posted || asked.sender_check != SenderCheck::Checked {
            continue;
        }
        let mail = SendMail {
            to: vec![asked.sender.clone()],
            cc: Vec::new(),
            subject: reply_subject(&asked.subject),
            text: answer.text.clone(),
            html: None,
            attachments: Vec::new(),
            urgency: content.urgency,
            receipts_wanted: ReceiptsWanted::default(),
            in_reply_to: Some(answer.message.0),
            body_copy: None,
        };
        let name = format!("{} ({})", own.record.name, content.sender_name);
        match composition::send_mail_for(transaction, &mail, Some((said.sender, name))) {
            // What cannot be sent, as to somebody whose key has changed meanwhile, holds up no other answer.
            Err(Stop::Failed(error)) => {
                tell(transaction, &record.log_id, GroupEvent::AnswerRefused { number, code: error.to_string() });
            }
            sent => sent?,
        }
    }
    if record.handled != before {
        transaction.store(&key::mailbox(), &record);
    }
    Ok(())
}

fn reply_subject(subject: &str) -> String {
    if subject.starts_with("Re: ") { subject.to_owned() } else { format!("Re: {subject}") }
}

/// Something that was said is in the log: if it is about a message of the mailbox, that is to be looked at.
pub(super) fn told(transaction: &mut Transaction<'_>, group_id: &GroupId, body: &Body) {
    let message = match body {
        Body::MailboxArrival(arrival) => arrival.message,
        Body::MailboxEvent(event) => event.message,
        Body::MailboxAnswer(answer) => answer.message,
        _ => return,
    };
    tell(transaction, group_id, GroupEvent::Mailbox { message });
}

/// An owner has said something: what he posts into a mailbox counts, and what he does with what others hold.
pub(super) fn note_owner(
    transaction: &mut Transaction<'_>,
    mls: &OpenGroup,
    (group_id, sender, number): (&GroupId, &Address, u64),
) -> Result<(), Stop> {
    if mls.role(sender)? == Some(Role::Owner) {
        transaction.store(&key::group_owner_said(group_id, number), &Zeroizing::new(Vec::new()));
    }
    Ok(())
}

/// A commit has taken accounts out.
pub(super) fn note_departures(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    mls: &OpenGroup,
    (change, entry): (&EpochChange, &GroupLogEntry),
) -> Result<(), Stop> {
    if change.removed_self {
        return Ok(());
    }
    let mut gone: Vec<Address> = Vec::new();
    for member in &change.removed {
        // One whose other devices stay is still there.
        if mls.role(&member.address)?.is_none() && !gone.contains(&member.address) {
            gone.push(member.address.clone());
        }
    }
    let by = change.committer.address.clone();
    let policy = mls.policy()?;
    if !gone.is_empty()
        && let Some(owner) = policy.entry(&by)
    {
        let record = GroupDepartureRecord { by, account_key: owner.account_key, at: entry.received, gone };
        transaction.store(&key::group_departure(&group.log_id, entry.sequence), &record);
    }
    Ok(())
}
