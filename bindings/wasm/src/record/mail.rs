//! Mail.

use medipeps_client::engine::{MessageDetail, MessageSummary};
use medipeps_core::kind::{self, AttachmentPlace, Body, Content, RecipientRole};
use medipeps_core::wire::client_records::{self, RecipientRecord};
use serde::{Deserialize, Serialize};

use super::hex;
use crate::error::PageError;

/// A mail to be sent; its attachments come beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MailDraft {
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: Option<String>,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) urgency: Option<Urgency>,
    pub(crate) ask_delivered: bool,
    pub(crate) ask_displayed: bool,
}

/// How soon a message must be read.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Urgency {
    #[default]
    Routine,
    Urgent,
    Vital,
}

/// A mail that was put into the outbox.
#[derive(Debug, Serialize)]
pub(crate) struct Queued {
    pub(crate) id: String,
    /// Why it is not at the server yet, if it is not.
    pub(crate) problem: Option<String>,
}

/// How far a message has come on its way to one recipient.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecipientState {
    Queued,
    Accepted,
    Delivered,
    Displayed,
    Failed,
}

/// A recipient of a sent message.
#[derive(Debug, Serialize)]
pub(crate) struct Recipient {
    address: String,
    copy: bool,
    state: RecipientState,
    reason: Option<String>,
}

/// What is known about the sender of a received message.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum SenderCheck {
    Checked,
    Unchecked,
    Impostor,
}

/// A mail as a list shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MailSummary {
    id: String,
    message_id: String,
    sent: bool,
    sender: String,
    sender_name: String,
    sender_check: Option<SenderCheck>,
    verified: bool,
    request: bool,
    subject: String,
    created: u64,
    received: u64,
    displayed: bool,
    attachments: u32,
    urgency: Urgency,
    recipients: Vec<Recipient>,
}

/// A file of a message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attachment {
    name: String,
    media_type: String,
    length: u64,
    inside: bool,
}

/// A mail with what it says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mail {
    summary: MailSummary,
    to: Vec<String>,
    cc: Vec<String>,
    text: String,
    html: Option<String>,
    whole: bool,
    missing: Option<String>,
    attachments: Vec<Attachment>,
    in_reply_to: Option<String>,
}

impl MailSummary {
    /// `verified`: a person has compared the sender's key; `request`: it came from a stranger.
    pub(crate) fn of(summary: &MessageSummary, verified: bool, request: bool) -> Self {
        let message = &summary.message;
        let check = match message.sender_check {
            client_records::SenderCheck::Checked => SenderCheck::Checked,
            client_records::SenderCheck::Unchecked => SenderCheck::Unchecked,
            client_records::SenderCheck::Impostor => SenderCheck::Impostor,
        };
        Self {
            id: hex(&summary.id),
            message_id: hex(&message.content_id),
            sent: message.sent,
            sender: message.sender.to_string(),
            sender_name: message.sender_name.clone(),
            sender_check: (!message.sent).then_some(check),
            verified,
            request,
            subject: message.subject.clone(),
            created: message.created,
            received: message.received,
            displayed: message.displayed != 0,
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

impl Mail {
    /// `missing`: why the text is not all here.
    ///
    /// # Errors
    /// What is no mail.
    pub(crate) fn of(
        detail: MessageDetail,
        (verified, request): (bool, bool),
        missing: Option<String>,
    ) -> Result<Self, PageError> {
        let attachments = attachments(&detail.content);
        let Content { body: Body::Mail(mail), in_reply_to, .. } = detail.content else {
            return Err(PageError::argument("it is no mail"));
        };
        let of_role = |role| {
            let chosen = mail.recipients.iter().filter(|recipient| recipient.role == role);
            chosen.map(|recipient| recipient.address.to_string()).collect()
        };
        let summary = MessageSummary { id: detail.id, message: detail.message };
        Ok(Self {
            summary: MailSummary::of(&summary, verified, request),
            to: of_role(RecipientRole::To),
            cc: of_role(RecipientRole::Cc),
            text: mail.text,
            html: mail.html,
            whole: missing.is_none(),
            missing,
            attachments,
            in_reply_to: in_reply_to.map(|id| hex(&id.0)),
        })
    }
}

pub(crate) fn attachments(content: &Content) -> Vec<Attachment> {
    let attachment = |file: &kind::Attachment| Attachment {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        length: file.length(),
        inside: matches!(file.place, AttachmentPlace::Inline(_)),
    };
    content.attachments.iter().map(attachment).collect()
}

impl From<&RecipientRecord> for Recipient {
    fn from(recipient: &RecipientRecord) -> Self {
        Self {
            address: recipient.address.to_string(),
            copy: recipient.copy,
            state: recipient.state.into(),
            reason: recipient.code.clone(),
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
