//! Mailboxes of organisations: what has come, who takes care of it, and what has happened to it.

use std::time::SystemTime;

use medipeps_client::engine::{MailboxMail, MailboxView};
use medipeps_core::kind::{self, MailboxTraceAct, MessageId};

use super::group::number;
use super::mail::{Attachment, MessageBody, attachments, body};
use super::{hex, time};
use crate::identifier::{AccountAddress, MessageIdentifier};

/// A message that has come to a group's mailbox.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct MailboxMessage {
    /// Names it in the mailbox, the same for all members.
    pub id: MessageIdentifier,
    /// The number of the group's message that brought it, on this device.
    pub number: i64,
    /// Who has written it, as the mailbox's account has authenticated him.
    pub sender: AccountAddress,
    /// As the sender wrote it.
    pub sender_name: String,
    /// When the mailbox's server took it.
    pub received: SystemTime,
    /// Who takes care of it.
    pub state: MailboxState,
    /// How often somebody has answered.
    pub answers: i64,
    /// What it says; `None` where it cannot be read.
    pub body: Option<MessageBody>,
    /// Files, in the sender's order.
    pub attachments: Vec<Attachment>,
}

/// Who takes care of a message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum MailboxState {
    /// Nobody.
    Unclaimed,
    /// Somebody.
    Held {
        /// Who.
        by: AccountAddress,
        /// Since when.
        since: SystemTime,
    },
    /// Nothing is left to do.
    Done {
        /// Who said so.
        by: AccountAddress,
        /// When.
        since: SystemTime,
    },
}

/// A message of a mailbox after something was done with it.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct MailboxChange {
    /// The message, as it stands now.
    pub message: MailboxMessage,
    /// What was done is not in the group's log yet, and does not show: `sync` or receiving goes on with it, and a colleague may come
    /// before.
    pub waits: bool,
}

/// Something that has happened to a message of a mailbox, and counts.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MailboxTrace {
    /// Which message.
    pub message: MessageIdentifier,
    /// When.
    pub time: SystemTime,
    /// Who did it; `None` where it came from outside.
    pub by: Option<AccountAddress>,
    /// What.
    pub act: MailboxAct,
}

/// What happens to a message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum MailboxAct {
    /// It has come.
    Arrived,
    /// Somebody takes care of it.
    Claimed,
    /// Somebody has given it to a colleague.
    Assigned {
        /// To whom.
        to: AccountAddress,
    },
    /// Nobody takes care of it any more.
    Released,
    /// Nothing is left to do.
    Done,
    /// Who took care of it was taken out of the group, and nobody does any more.
    HolderLeft {
        /// Who.
        holder: AccountAddress,
    },
}

impl MailboxMessage {
    /// All of a mailbox, in the order in which they came into the group.
    pub(crate) fn all(view: &MailboxView) -> Vec<Self> {
        let mut messages: Vec<Self> = view.mails.iter().map(|(id, mail)| Self::of(view, id, mail)).collect();
        messages.sort_by_key(|message| message.number);
        messages
    }

    pub(crate) fn of(view: &MailboxView, id: &MessageId, mail: &MailboxMail) -> Self {
        let content = mail.content.as_ref();
        Self {
            id: hex(&id.0),
            number: number(mail.number),
            sender: mail.sender.to_string(),
            sender_name: content.map(|content| content.sender_name.clone()).unwrap_or_default(),
            received: time(mail.received),
            state: view.mailbox.item(id).map_or(MailboxState::Unclaimed, |item| item.state().into()),
            answers: number(mail.answers),
            body: content.map(|content| {
                // The whole of a long text was left where the mailbox's account has it.
                let missing = content.body_blob.as_ref().map(|_| "not_posted".to_owned());
                body(content, missing, &[])
            }),
            attachments: content.map(attachments).unwrap_or_default(),
        }
    }
}

impl From<&kind::MailboxState> for MailboxState {
    fn from(state: &kind::MailboxState) -> Self {
        match state {
            kind::MailboxState::Unclaimed => Self::Unclaimed,
            kind::MailboxState::Held { by, since } => Self::Held { by: by.to_string(), since: time(*since) },
            kind::MailboxState::Done { by, at } => Self::Done { by: by.to_string(), since: time(*at) },
        }
    }
}

impl MailboxTrace {
    pub(crate) fn of(message: &MessageId, trace: &kind::MailboxTrace) -> Self {
        Self {
            message: hex(&message.0),
            time: time(trace.place.at),
            by: trace.author.as_ref().map(|author| author.address.to_string()),
            act: match &trace.act {
                MailboxTraceAct::Arrived => MailboxAct::Arrived,
                MailboxTraceAct::Did(act) => MailboxAct::from(act),
                MailboxTraceAct::HolderLeft(holder) => MailboxAct::HolderLeft { holder: holder.to_string() },
            },
        }
    }
}

impl From<&kind::MailboxAct> for MailboxAct {
    fn from(act: &kind::MailboxAct) -> Self {
        match act {
            kind::MailboxAct::Claimed => Self::Claimed,
            kind::MailboxAct::Assigned(to) => Self::Assigned { to: to.to_string() },
            kind::MailboxAct::Released => Self::Released,
            kind::MailboxAct::Done => Self::Done,
        }
    }
}
