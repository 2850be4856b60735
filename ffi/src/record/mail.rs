//! Mail: what is written, what is listed, what is read.

use std::time::SystemTime;

use medipeps_client::engine::{Certified, ContactSummary, MessageDetail, MessageSummary};
use medipeps_core::kind::{self, Body, Content, RecipientRole, Report};
use medipeps_core::wire::client_records::{self, RecipientRecord};

use super::break_glass::BreakGlassSays;
use super::group::{ChatBody, number};
use super::organisation::Certification;
use super::{hex, time, time_if_any};
use crate::{AccountAddress, GroupIdentifier, MessageIdentifier, OrganisationIdentifier};

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MailDraft {
    /// Who is to act.
    pub to: Vec<AccountAddress>,
    /// Who is to know.
    #[uniffi(default = [])]
    pub cc: Vec<AccountAddress>,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML; it is sanitised.
    #[uniffi(default = None)]
    pub html: Option<String>,
    /// Files.
    #[uniffi(default = [])]
    pub documents: Vec<Document>,
    /// How soon it must be read.
    pub urgency: Urgency,
    /// Ask to be told when a device has it.
    #[uniffi(default = false)]
    pub ask_delivered: bool,
    /// Ask to be told when a person has seen it.
    #[uniffi(default = false)]
    pub ask_displayed: bool,
    /// The message that this one answers.
    #[uniffi(default = None)]
    pub in_reply_to: Option<MessageIdentifier>,
}

/// A file to go with a message.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Document {
    /// A file, read as it is sent, whatever its size: it must stay as it is until then.
    File {
        /// Where it is.
        path: String,
        /// As the recipient shall see it.
        name: String,
        /// For instance `application/pdf`.
        media_type: String,
    },
    /// Bytes. What does not fit the message is kept sealed on this device until it is sent.
    Data {
        /// The bytes.
        data: Vec<u8>,
        /// As the recipient shall see it.
        name: String,
        /// For instance `application/pdf`.
        media_type: String,
    },
    /// A file that another app has opened for this one, as Android's content resolver does. It is read from its beginning, in
    /// pieces, while the call runs, and kept sealed on this device until it is sent; the descriptor stays the app's and open. A
    /// pipe is refused.
    Descriptor {
        /// The open descriptor.
        descriptor: i32,
        /// As the recipient shall see it.
        name: String,
        /// For instance `application/pdf`.
        media_type: String,
    },
}

impl std::fmt::Debug for Document {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::File { .. } => "File(..)",
            Self::Data { .. } => "Data(..)",
            Self::Descriptor { .. } => "Descriptor(..)",
        })
    }
}

/// How soon a message must be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, uniffi::Enum)]
pub enum Urgency {
    /// In the course of the day.
    #[default]
    Routine,
    /// Within the hour.
    Urgent,
    /// A life depends on it.
    Vital,
}

/// A mail that is in the outbox, or further.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct SentMail {
    /// Its id in this store.
    pub id: MessageIdentifier,
    /// How far it has come.
    pub recipients: Vec<Recipient>,
}

/// A recipient of a sent message.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Recipient {
    /// Who.
    pub address: AccountAddress,
    /// In copy.
    pub copy: bool,
    /// How far it has come.
    pub state: RecipientState,
    /// Why it failed or what holds it up: a word out of `spec/errors.md` or `spec/client-engine.md`.
    pub reason: Option<String>,
    /// Since when.
    pub since: SystemTime,
}

/// How far a message has come on its way to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum RecipientState {
    /// On this device only.
    Queued,
    /// On the disk of the recipient's server.
    Accepted,
    /// On a device of the recipient.
    Delivered,
    /// A person has seen it.
    Displayed,
    /// It will never arrive.
    Failed,
}

/// A message as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MessageOverview {
    /// Its id in this store.
    pub id: MessageIdentifier,
    /// By this account.
    pub sent: bool,
    /// Whose message it is.
    pub sender: AccountAddress,
    /// As the sender wrote it.
    pub sender_name: String,
    /// What is known about the sender of a received message.
    pub sender_check: Option<SenderCheck>,
    /// It came as a request: its sender has no key to write to this account ([`crate::Client::accept`] gives one).
    pub request: bool,
    /// What the organisations that are joined here say of the sender of a received message, under the key by which it came.
    pub certified: Vec<Certification>,
    /// One line; empty for kinds that have none.
    pub subject: String,
    /// When it was sent, or came to the server.
    pub time: SystemTime,
    /// When a person saw it.
    pub displayed: Option<SystemTime>,
    /// How many.
    pub attachments: u32,
    /// How soon it must be read.
    pub urgency: Urgency,
    /// Of a sent message.
    pub recipients: Vec<Recipient>,
}

/// What is known about the sender of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SenderCheck {
    /// Under the account key that the contact is pinned by.
    Checked,
    /// The sender's server has not been asked yet.
    Unchecked,
    /// The address belongs to another account key. Show it as forged.
    Impostor,
}

/// A message with what it says.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Message {
    /// As lists show it.
    pub overview: MessageOverview,
    /// What it says.
    pub body: MessageBody,
    /// The id of the thread's first message, the same for all who have it.
    pub thread: String,
    /// Files, in the sender's order.
    pub attachments: Vec<Attachment>,
}

/// What a message says, by its kind.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
#[allow(clippy::large_enum_variant, reason = "nothing is boxed across languages")]
pub enum MessageBody {
    /// A mail.
    Mail {
        /// One line.
        subject: String,
        /// The text; empty while `missing` is set.
        text: String,
        /// The same as sanitised HTML.
        html: Option<String>,
        /// Who is to act.
        to: Vec<AccountAddress>,
        /// Who is to know.
        cc: Vec<AccountAddress>,
        /// Why the text is not here; `None` if it is.
        missing: Option<String>,
    },
    /// A message of a group, reported to the organisation's officer.
    Report {
        /// As the reporter wrote it.
        reason: String,
        /// The group, by its log. The officer need not be in it.
        group: GroupIdentifier,
        /// Its place in the group, as the reporter says.
        claimed_place: i64,
        /// Who has said what, if that is proven. Nothing is shown otherwise: it would accuse somebody without proof.
        proven: Option<ReportedMessage>,
        /// Why nothing is proven.
        problem: Option<String>,
    },
    /// Somebody uses access in an emergency, and this account is to know.
    BreakGlass {
        /// Under whose policy.
        organisation: OrganisationIdentifier,
        /// Which request.
        request: MessageIdentifier,
        /// What is said about it.
        says: BreakGlassSays,
    },
    /// Something of a chat, from one account to another.
    Chat {
        /// What.
        body: ChatBody,
    },
    /// A kind that this version does not show in another way.
    Other {
        /// Its number (`spec/content.md`).
        kind: u32,
        /// What to show.
        text: String,
    },
}

impl std::fmt::Debug for MessageBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Mail { .. } => "Mail(..)",
            Self::Report { .. } => "Report(..)",
            Self::BreakGlass { .. } => "BreakGlass(..)",
            Self::Chat { .. } => "Chat(..)",
            Self::Other { .. } => "Other(..)",
        })
    }
}

/// What a report proves: this device of this account has said exactly this in this group, in this epoch. It does not prove when, nor
/// what was said before and after, nor that it was not deleted later.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct ReportedMessage {
    /// The message.
    pub id: MessageIdentifier,
    /// Who has said it.
    pub sender: AccountAddress,
    /// With which device.
    pub device: u32,
    /// In which epoch of the group.
    pub epoch: i64,
    /// Under which account key, 64 hexadecimal digits.
    pub account_key: String,
    /// Whether that is the key of the contact of this address.
    pub known_key: ReportedKey,
    /// What was said.
    pub body: ChatBody,
    /// When, as the sender says.
    pub claimed_time: SystemTime,
    /// Files, by name and length: they are not here.
    pub attachments: Vec<Attachment>,
}

impl std::fmt::Debug for ReportedMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ReportedMessage").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// How the account key of a reported message stands to what is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ReportedKey {
    /// Its address is no contact.
    NoContact,
    /// It is not the contact's.
    Other,
    /// It is the contact's.
    Pinned,
    /// It is the contact's, and a person has compared it.
    Verified,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Attachment {
    /// As the sender named it: text to show, no path.
    pub name: String,
    /// As the sender says.
    pub media_type: String,
    /// Bytes.
    pub length: i64,
    /// Inside the message; otherwise it is fetched from the server when it is saved.
    pub inside: bool,
}

/// What became of an attachment that was to be saved.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum SavedAttachment {
    /// It is there, whole and verified.
    Saved {
        /// Under this name, made harmless, and not one that was taken.
        path: String,
    },
    /// It is not.
    Failed {
        /// For a log.
        message: String,
    },
}

impl From<&RecipientRecord> for Recipient {
    fn from(recipient: &RecipientRecord) -> Self {
        Self {
            address: recipient.address.to_string(),
            copy: recipient.copy,
            state: recipient.state.into(),
            reason: recipient.code.clone(),
            since: time(recipient.at),
        }
    }
}

impl From<client_records::RecipientState> for RecipientState {
    fn from(state: client_records::RecipientState) -> Self {
        match state {
            client_records::RecipientState::Queued => Self::Queued,
            client_records::RecipientState::Accepted => Self::Accepted,
            client_records::RecipientState::Delivered => Self::Delivered,
            client_records::RecipientState::Displayed => Self::Displayed,
            client_records::RecipientState::Failed => Self::Failed,
        }
    }
}

impl From<Urgency> for kind::Urgency {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Routine => Self::Routine,
            Urgency::Urgent => Self::Urgent,
            Urgency::Vital => Self::Vital,
        }
    }
}

impl MessageOverview {
    /// `certified`: what organisations say of the sender.
    pub(crate) fn of(summary: &MessageSummary, certified: &[Certified]) -> Self {
        let message = &summary.message;
        let check = match message.sender_check {
            client_records::SenderCheck::Checked => SenderCheck::Checked,
            client_records::SenderCheck::Unchecked => SenderCheck::Unchecked,
            client_records::SenderCheck::Impostor => SenderCheck::Impostor,
        };
        Self {
            id: hex(&summary.id),
            sent: message.sent,
            sender: message.sender.to_string(),
            sender_name: message.sender_name.clone(),
            sender_check: (!message.sent).then_some(check),
            request: message.request_lane,
            certified: certified.iter().map(Certification::from).collect(),
            subject: message.subject.clone(),
            time: time(summary.time()),
            displayed: time_if_any(message.displayed),
            attachments: message.attachments,
            urgency: match message.urgency {
                1 => Urgency::Urgent,
                2 => Urgency::Vital,
                _ => Urgency::Routine,
            },
            recipients: message.recipients.iter().map(Recipient::from).collect(),
        }
    }
}

impl Message {
    pub(crate) fn of(
        detail: &MessageDetail,
        missing: Option<String>,
        (certified, contacts): (&[Certified], &[ContactSummary]),
    ) -> Self {
        let summary = MessageSummary { id: detail.id, message: detail.message.clone() };
        Self {
            overview: MessageOverview::of(&summary, certified),
            body: body(&detail.content, missing, contacts),
            thread: hex(&detail.message.thread),
            attachments: attachments(&detail.content),
        }
    }
}

pub(crate) fn attachments(content: &Content) -> Vec<Attachment> {
    let attachment = |file: &kind::Attachment| Attachment {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        length: i64::try_from(file.length()).unwrap_or(i64::MAX),
        inside: matches!(file.place, kind::AttachmentPlace::Inline(_)),
    };
    content.attachments.iter().map(attachment).collect()
}

pub(crate) fn body(content: &Content, missing: Option<String>, contacts: &[ContactSummary]) -> MessageBody {
    match &content.body {
        Body::Mail(mail) => {
            let of_role = |role| {
                let chosen = mail.recipients.iter().filter(|recipient| recipient.role == role);
                chosen.map(|recipient| recipient.address.to_string()).collect()
            };
            MessageBody::Mail {
                subject: mail.subject.clone(),
                text: mail.text.clone(),
                html: mail.html.clone(),
                to: of_role(RecipientRole::To),
                cc: of_role(RecipientRole::Cc),
                missing,
            }
        }
        Body::Report(report) => reported(report, contacts),
        Body::BreakGlass(event) => MessageBody::BreakGlass {
            organisation: hex(&event.organisation.0),
            request: hex(&event.request),
            says: BreakGlassSays::from(&event.says),
        },
        Body::Chat(_) => MessageBody::Chat { body: ChatBody::of(&content.body, &content.fallback_text) },
        other => MessageBody::Other { kind: other.kind_number(), text: content.fallback_text.clone() },
    }
}

fn reported(report: &Report, contacts: &[ContactSummary]) -> MessageBody {
    let (proven, problem) = match report.verify() {
        Ok(proven) => (Some(ReportedMessage::of(&proven, contacts)), None),
        Err(_) if report.content.is_empty() => (None, Some("the message is not on this device yet".to_owned())),
        Err(error) => (None, Some(error.to_string())),
    };
    MessageBody::Report {
        reason: report.reason.clone(),
        group: hex(&report.log_id),
        claimed_place: number(report.position.sequence),
        proven,
        problem,
    }
}

impl ReportedMessage {
    fn of(proven: &kind::ReportedMessage, contacts: &[ContactSummary]) -> Self {
        let kind::ReportedMessage { content, sender, device_id, epoch } = proven;
        let contact = contacts.iter().find(|contact| contact.address == sender.address);
        Self {
            id: hex(&content.id.0),
            sender: sender.address.to_string(),
            device: *device_id,
            epoch: number(*epoch),
            account_key: hex(sender.account_key.as_bytes()),
            known_key: match contact {
                None => ReportedKey::NoContact,
                Some(contact) if contact.account_key != sender.account_key => ReportedKey::Other,
                Some(contact) if contact.verified.is_some() => ReportedKey::Verified,
                Some(_) => ReportedKey::Pinned,
            },
            body: ChatBody::of(&content.body, &content.fallback_text),
            claimed_time: time(content.created),
            attachments: attachments(content),
        }
    }
}
