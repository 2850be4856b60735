//! What a person or a program asks for, and how a mail becomes an outbox entry for each recipient.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::attachment::{BlobReference, part_digest};
use medipeps_core::invitation::Invitation;
use medipeps_core::kind::{
    self, AttachmentPlace, Body, Content, ContentError, Mail, MailRecipient, MessageId, ReceiptsWanted, RecipientRole,
    Urgency, sanitise_html,
};
use medipeps_core::limits::{ATTACHMENT_LENGTH_MAX, ATTACHMENT_PART_LENGTH, ATTACHMENTS_MAX, RECIPIENTS_MAX};
use medipeps_core::organisation::OrganisationService;
use medipeps_core::wire::client_records::{
    MessageRecord, OutboxRecord, RecipientRecord, RecipientState, SenderCheck, UploadRecord, UploadRole,
};

use super::account::OwnDevice;
use super::attachment::{Attachment, AttachmentSource, SealedCopy};
use super::outcome::{EngineError, Event};
use super::records::{Bytes, key};
use super::transaction::{Stop, Transaction, go_on};
use super::upload::{self, UPLOADING};
use super::{LocalId, delivery, domain, organisation, own_devices, receipt};

/// The number of the kind `mail`.
pub(super) const KIND_MAIL: u32 = 1;
/// The number of the kind `report`.
pub(super) const KIND_REPORT: u32 = 11;

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
    /// Set where the body goes as a blob: of the encoded [`SendMail::body`].
    pub body_copy: Option<SealedCopy>,
}

impl SendMail {
    /// The very body that will be stored, so that a shell can seal it beforehand.
    ///
    /// # Errors
    /// [`EngineError::NoRecipients`], [`EngineError::TooManyRecipients`]
    pub fn body(&self) -> Result<Body, EngineError> {
        Ok(Body::Mail(Mail {
            subject: self.subject.clone(),
            text: self.text.clone(),
            html: self.html.as_deref().map(sanitise_html),
            recipients: recipients(self)?,
        }))
    }
}

/// Stores the mail, and one outbox entry for each recipient if nothing of it must be uploaded before. Nothing leaves in this
/// step.
pub(super) fn send_mail(transaction: &mut Transaction<'_>, command: &SendMail) -> Result<(), Stop> {
    send_mail_for(transaction, command, None)
}

/// The same in somebody's stead: `for_whom` is his address, and what the message calls its sender.
pub(super) fn send_mail_for(
    transaction: &mut Transaction<'_>,
    command: &SendMail,
    for_whom: Option<(Address, String)>,
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    organisation::check_service(transaction, OrganisationService::Mail)?;
    let recipients = recipients(command)?;
    for recipient in &recipients {
        check_reachable(transaction, &own, &recipient.address)?;
    }
    // Whoever is written to may answer.
    for recipient in recipients.iter().filter(|recipient| recipient.address != *own.address()) {
        go_on(delivery::accept(transaction, &recipient.address))?;
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
    let (on_behalf_of, sender_name) =
        for_whom.map_or_else(|| (None, own.record.name.clone()), |(who, name)| (Some(who), name));
    let Parts { attachments, body, body_blob, uploads } = Parts::of(transaction, &own, id.0, command)?;
    let content = Content {
        id,
        thread,
        in_reply_to,
        replaces: None,
        created: now,
        expires: None,
        urgency: command.urgency,
        sender_name: sender_name.clone(),
        sender_role: String::new(),
        on_behalf_of,
        patient: None,
        receipts_wanted: command.receipts_wanted,
        fallback_text: String::new(),
        attachments,
        body_blob,
        sender_statement_version: own.statement.version(),
        body,
    };
    // Refuses by name what does not fit, before anything is queued.
    let encoded = content.encode()?;
    check_room_for_references(content.clone())?;
    let mut record = MessageRecord {
        sent: true,
        content_id: id.0,
        thread: thread.0,
        sender: own.address().clone(),
        sender_device: own.record.device_id,
        sender_name,
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
        request_lane: false,
        recipients: Vec::new(),
    };
    for recipient in recipients {
        let to_self = &recipient.address == own.address();
        if !to_self && uploads.is_empty() {
            enqueue(transaction, id.0, &recipient.address, false);
        }
        record.recipients.push(RecipientRecord {
            address: recipient.address,
            copy: recipient.role == RecipientRole::Cc,
            // A copy to oneself is the message itself: it is here already.
            state: if to_self { RecipientState::Delivered } else { RecipientState::Queued },
            code: (!to_self && !uploads.is_empty()).then(|| UPLOADING.to_owned()),
            at: now,
        });
    }
    if uploads.is_empty() {
        own_devices::enqueue_for_others(transaction, &own, id.0, false);
    }
    for upload in &uploads {
        transaction.store(&key::upload(&upload.blob_id), upload);
    }
    transaction.store(&key::content(&id.0), &encoded);
    transaction.store(&key::message(&id.0), &record);
    transaction.event(Event::MessageQueued { id: id.0 });
    Ok(())
}

/// Puts content into the outbox for one recipient.
pub(super) fn enqueue(transaction: &mut Transaction<'_>, content_id: [u8; 16], recipient: &Address, receipt: bool) {
    enqueue_entry(transaction, content_id, recipient, receipt, None);
}

fn enqueue_entry(
    transaction: &mut Transaction<'_>,
    content_id: [u8; 16],
    recipient: &Address,
    receipt: bool,
    device: Option<u32>,
) {
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
        device,
    };
    transaction.store(&key::outbox(&content_id, recipient), &entry);
}

/// The same for something that must arrive: it is sent again until the recipient has confirmed it.
pub(super) fn enqueue_confirmed(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    recipient: &Address,
    body: Body,
) -> Result<(), Stop> {
    let id = enqueue_bare(transaction, own, recipient, None, body)?;
    enqueue(transaction, id, recipient, false);
    Ok(())
}

/// Puts a body into the outbox that is no message of its own, in its own frame or about a message, by thread and id. What
/// is sent so is never kept by its sender.
pub(super) fn enqueue_bare(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    recipient: &Address,
    about: Option<(MessageId, MessageId)>,
    body: Body,
) -> Result<[u8; 16], Stop> {
    let content = bare(transaction, own, about, body);
    transaction.store(&key::content(&content.id.0), &content.encode()?);
    enqueue(transaction, content.id.0, recipient, true);
    Ok(content.id.0)
}

/// The same for one device of the recipient.
pub(super) fn enqueue_for_device(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    (recipient, device): (&Address, u32),
    body: Body,
) -> Result<(), Stop> {
    let content = bare(transaction, own, None, body);
    transaction.store(&key::content(&content.id.0), &content.encode()?);
    enqueue_entry(transaction, content.id.0, recipient, true, Some(device));
    Ok(())
}

/// What the other devices get in the place of something that is for one.
pub(super) fn empty(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<Bytes, Stop> {
    Ok(bare(transaction, own, None, Body::Empty).encode()?)
}

fn bare(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    about: Option<(MessageId, MessageId)>,
    body: Body,
) -> Content {
    let id = MessageId::random(&mut transaction.rng);
    Content {
        id,
        thread: about.map_or(id, |(thread, _)| thread),
        in_reply_to: about.map(|(_, message)| message),
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
        body,
    }
}

/// What a mail is made of, and what of it must be uploaded.
struct Parts {
    attachments: Vec<kind::Attachment>,
    body: Body,
    body_blob: Option<BlobReference>,
    uploads: Vec<UploadRecord>,
}

impl Parts {
    fn of(
        transaction: &mut Transaction<'_>,
        own: &OwnDevice,
        content_id: [u8; 16],
        command: &SendMail,
    ) -> Result<Self, Stop> {
        let (attachments, mut uploads) = enclose(transaction, own, content_id, &command.attachments)?;
        let (mut body, mut body_blob) = (command.body()?, None);
        if let Some(copy) = &command.body_copy {
            check_is_copy_of(copy, &body)?;
            let upload = upload::of_sealed_copy(transaction, (content_id, UploadRole::Body), copy)?;
            (body, body_blob) = (body.short(), Some(upload::reference(own, &upload)));
            uploads.push(upload);
        }
        check_ids(&uploads)?;
        Ok(Self { attachments, body, body_blob, uploads })
    }
}

/// The attachments of a content, and what of them must be uploaded.
pub(super) fn enclose(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    content_id: [u8; 16],
    files: &[Attachment],
) -> Result<(Vec<kind::Attachment>, Vec<UploadRecord>), Stop> {
    if files.len() > ATTACHMENTS_MAX {
        return Err(ContentError::TooManyAttachments { count: files.len() }.into());
    }
    let (mut attachments, mut uploads) = (Vec::new(), Vec::new());
    for (index, attachment) in (0..).zip(files) {
        let Attachment { name, media_type, source } = attachment;
        let role = (content_id, UploadRole::Attachment(index));
        if attachment.length() > ATTACHMENT_LENGTH_MAX {
            let (name, length) = (name.clone(), attachment.length());
            return Err(EngineError::AttachmentTooLarge { name, length }.into());
        }
        let upload = match source {
            AttachmentSource::Inline(_) => None,
            AttachmentSource::File { path, .. } if path.is_empty() => {
                return Err(EngineError::Source("a file has no path").into());
            }
            AttachmentSource::File { path, length, modified } => {
                Some(upload::of_file(transaction, role, (path, *length, *modified)))
            }
            AttachmentSource::SealedCopy(copy) => Some(upload::of_sealed_copy(transaction, role, copy)?),
        };
        let place = match (source, &upload) {
            (AttachmentSource::Inline(data), _) => AttachmentPlace::Inline(data.clone()),
            (_, Some(upload)) => AttachmentPlace::Blob(upload::reference(own, upload)),
            (_, None) => return Err(EngineError::NoProgress.into()),
        };
        attachments.push(kind::Attachment { name: name.clone(), media_type: media_type.clone(), place });
        uploads.extend(upload);
    }
    check_ids(&uploads)?;
    Ok((attachments, uploads))
}

fn check_ids(uploads: &[UploadRecord]) -> Result<(), EngineError> {
    let mut ids = BTreeSet::new();
    match uploads.iter().all(|upload| ids.insert(upload.blob_id)) {
        true => Ok(()),
        false => Err(EngineError::Source("two sealed copies have one id")),
    }
}

/// A recipient must find in the blob what was written, not what was sealed for another mail.
pub(super) fn check_is_copy_of(copy: &SealedCopy, body: &Body) -> Result<(), EngineError> {
    let encoded = body.encode()?;
    let digests = encoded.chunks(ATTACHMENT_PART_LENGTH).map(part_digest);
    if copy.length == encoded.len() as u64 && digests.eq(copy.digests.iter().copied()) {
        Ok(())
    } else {
        Err(EngineError::Source("it is not this message's body"))
    }
}

/// What is known only once the uploads are done, and the length of a file that changes meanwhile, must not make a message
/// too large that was queued.
pub(super) fn check_room_for_references(mut content: Content) -> Result<(), EngineError> {
    for attachment in &mut content.attachments {
        if let AttachmentPlace::Blob(blob) = &mut attachment.place {
            (blob.length, blob.expires) = (ATTACHMENT_LENGTH_MAX, u64::MAX);
        }
    }
    if let Some(blob) = &mut content.body_blob {
        blob.expires = u64::MAX;
    }
    content.encode()?;
    Ok(())
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
pub(super) fn check_reachable(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    address: &Address,
) -> Result<(), Stop> {
    domain::check_not_left(transaction, address.domain())?;
    if address.domain() == own.address().domain() || transaction.exists(&key::contact(address))? {
        return Ok(());
    }
    Err(EngineError::NotAContact(address.clone()).into())
}
