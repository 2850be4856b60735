//! What a person or a program asks for, and how a mail becomes an outbox entry for each recipient.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::invitation::Invitation;
use medipeps_core::kind::{
    Body, Content, InlineAttachment, Mail, MailRecipient, MessageId, ReceiptsWanted, RecipientRole, Urgency,
    sanitise_html,
};
use medipeps_core::limits::RECIPIENTS_MAX;
use medipeps_core::wire::client_records::{MessageRecord, OutboxRecord, RecipientRecord, RecipientState, SenderCheck};

use super::account::OwnDevice;
use super::outcome::{EngineError, Event};
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{LocalId, receipt};

/// The number of the kind `mail`.
pub(super) const KIND_MAIL: u32 = 1;

/// Makes an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateAccount {
    /// The account.
    pub address: Address,
    /// Its display name.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// Out of the invitation code.
    pub invitation: Invitation,
}

/// A file to go with a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// As the recipient shall see it.
    pub name: String,
    /// For instance `application/pdf`.
    pub media_type: String,
    /// The file.
    pub data: Vec<u8>,
}

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMail {
    /// For these to act.
    pub to: Vec<Address>,
    /// For the information of these.
    pub cc: Vec<Address>,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// How soon it must be read.
    pub urgency: Urgency,
    /// Which receipts are asked for.
    pub receipts_wanted: ReceiptsWanted,
    /// The message that this one answers, by its id in this store.
    pub in_reply_to: Option<LocalId>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Attachment({} bytes)", self.data.len())
    }
}

/// Stores the mail and one outbox entry for each recipient. Nothing leaves in this step.
pub(super) fn send_mail(transaction: &mut Transaction<'_>, command: &SendMail) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let recipients = recipients(command)?;
    for recipient in &recipients {
        check_reachable(transaction, &own, &recipient.address)?;
    }
    let id = MessageId::random(&mut transaction.rng);
    let (thread, in_reply_to) = match command.in_reply_to {
        None => (id, None),
        Some(local) => {
            let answered = transaction.load(&key::message(&local))?.ok_or(EngineError::UnknownMessage)?;
            (MessageId(answered.thread), Some(MessageId(answered.content_id)))
        }
    };
    let now = transaction.now.0;
    let attachments = command.attachments.iter().map(|attachment| InlineAttachment {
        name: attachment.name.clone(),
        media_type: attachment.media_type.clone(),
        data: attachment.data.clone(),
    });
    let content = Content {
        id,
        thread,
        in_reply_to,
        replaces: None,
        created: now,
        expires: None,
        urgency: command.urgency,
        sender_name: own.record.name.clone(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: command.receipts_wanted,
        fallback_text: String::new(),
        attachments: attachments.collect(),
        sender_statement_version: own.statement.version(),
        body: Body::Mail(Mail {
            subject: command.subject.clone(),
            text: command.text.clone(),
            html: command.html.as_deref().map(sanitise_html),
            recipients: recipients.clone(),
        }),
    };
    // Refuses by name what does not fit, before anything is queued.
    let encoded = content.encode()?;
    let mut record = MessageRecord {
        sent: true,
        content_id: id.0,
        thread: thread.0,
        sender: own.address().clone(),
        sender_device: own.record.device_id,
        sender_name: own.record.name.clone(),
        kind: KIND_MAIL,
        subject: command.subject.clone(),
        created: now,
        received: 0,
        displayed: now,
        sender_check: SenderCheck::Checked,
        urgency: urgency_number(command.urgency),
        receipts_wanted: receipt::bits(command.receipts_wanted),
        receipts_sent: 0,
        attachments: u32::try_from(content.attachments.len()).unwrap_or(u32::MAX),
        recipients: Vec::new(),
    };
    for recipient in recipients {
        let to_self = &recipient.address == own.address();
        if !to_self {
            enqueue(transaction, id.0, &recipient.address, false);
        }
        record.recipients.push(RecipientRecord {
            address: recipient.address,
            copy: recipient.role == RecipientRole::Cc,
            // A copy to oneself is the message itself: it is here already.
            state: if to_self { RecipientState::Delivered } else { RecipientState::Queued },
            code: None,
            at: now,
        });
    }
    transaction.store(&key::content(&id.0), &encoded);
    transaction.store(&key::message(&id.0), &record);
    transaction.event(Event::MessageQueued { id: id.0 });
    Ok(())
}

/// Puts content into the outbox for one recipient.
pub(super) fn enqueue(transaction: &mut Transaction<'_>, content_id: [u8; 16], recipient: &Address, receipt: bool) {
    let entry = OutboxRecord {
        content_id,
        recipient: recipient.clone(),
        created: transaction.now.0,
        submission_id: None,
        attempts: 0,
        next_attempt: 0,
        fetch_prekeys: false,
        blocked: None,
        receipt,
    };
    transaction.store(&key::outbox(&content_id, recipient), &entry);
}

/// The number of an urgency, as in `content.proto`.
pub(super) const fn urgency_number(urgency: Urgency) -> u32 {
    match urgency {
        Urgency::Routine => 0,
        Urgency::Urgent => 1,
        Urgency::Vital => 2,
    }
}

/// Everybody once; who is in `to` and in `cc` is in `to`.
fn recipients(command: &SendMail) -> Result<Vec<MailRecipient>, EngineError> {
    let mut seen = BTreeSet::new();
    let to = command.to.iter().map(|address| (address, RecipientRole::To));
    let cc = command.cc.iter().map(|address| (address, RecipientRole::Cc));
    let recipients: Vec<MailRecipient> = to
        .chain(cc)
        .filter(|(address, _)| seen.insert((*address).clone()))
        .map(|(address, role)| MailRecipient { address: address.clone(), role })
        .collect();
    match recipients.len() {
        0 => Err(EngineError::NoRecipients),
        count if count > RECIPIENTS_MAX => Err(EngineError::TooManyRecipients { max: RECIPIENTS_MAX }),
        _ => Ok(recipients),
    }
}

/// Someone of the own domain may be written to at once and is pinned on first use; others are contacts first.
fn check_reachable(transaction: &mut Transaction<'_>, own: &OwnDevice, address: &Address) -> Result<(), Stop> {
    if address.domain() == own.address().domain() || transaction.exists(&key::contact(address))? {
        return Ok(());
    }
    Err(EngineError::NotAContact(address.clone()).into())
}
