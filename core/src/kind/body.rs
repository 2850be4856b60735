//! What a message says, by its kind.

use zeroize::Zeroizing;

use super::content::ContentError;
use super::{
    BreakGlassEvent, Case, Chat, DeviceSync, GroupInvitation, GroupRejoinAnswer, GroupRejoinRequest, Mail,
    MailboxAnswer, MailboxArrival, MailboxEvent, OrganisationPiece, Receipt, Received, Report,
};
use crate::limits::BODY_BLOB_LENGTH_MAX;
use crate::wire;

/// The kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A mail.
    Mail(Mail),
    /// What became of another message.
    Receipt(Receipt),
    /// What a device has stored.
    Received(Received),
    /// Nothing: it moves the ratchets on.
    Empty,
    /// What the sender's device tells the other devices of its account.
    DeviceSync(DeviceSync),
    /// A chat message.
    Chat(Chat),
    /// The sender has added a device of the recipient to a group.
    GroupInvitation(GroupInvitation),
    /// The sender has lost a group's state.
    GroupRejoinRequest(GroupRejoinRequest),
    /// What he needs to come back.
    GroupRejoinAnswer(GroupRejoinAnswer),
    /// Something about a case.
    Case(Case),
    /// A message of a group, for the organisation's officer.
    Report(Report),
    /// Somebody takes care of a message of the organisation's mailbox, or is done with it.
    MailboxEvent(MailboxEvent),
    /// What members and administrators of an organisation tell each other.
    Organisation(OrganisationPiece),
    /// Access in an emergency is asked for, agreed to, used, or ended.
    BreakGlass(BreakGlassEvent),
    /// Something has come to the organisation's mailbox.
    MailboxArrival(MailboxArrival),
    /// An answer in the name of the organisation's mailbox.
    MailboxAnswer(MailboxAnswer),
    /// A kind of a later version: the fallback text is shown.
    Unknown {
        /// Its number.
        kind: u32,
        /// Its bytes.
        body: Vec<u8>,
    },
}

impl Body {
    /// The encoded message of the kind, as a blob has it.
    ///
    /// # Errors
    /// [`ContentError::BodyTooLarge`]
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, ContentError> {
        let bytes = wire::content::body_bytes(self);
        let length = bytes.len() as u64;
        if length > BODY_BLOB_LENGTH_MAX { Err(ContentError::BodyTooLarge { length }) } else { Ok(bytes) }
    }

    /// The number of its kind on the wire.
    #[must_use]
    pub fn kind_number(&self) -> u32 {
        wire::content::kind_number(self)
    }

    /// What goes into [`super::Content::fallback_text`], in English: a client that does not know the kind shows it. Empty for what is
    /// not for people.
    #[must_use]
    pub fn fallback_text(&self) -> String {
        match self {
            Self::Mail(mail) => format!("Mail: {}", mail.subject),
            Self::Chat(chat) => chat.fallback_text(),
            Self::GroupInvitation(invitation) => invitation.fallback_text(),
            Self::GroupRejoinRequest(_) => "Asks for the way back into a group".to_owned(),
            Self::GroupRejoinAnswer(_) => "Shows the way back into a group".to_owned(),
            Self::Case(case) => case.fallback_text(),
            Self::MailboxEvent(event) => event.fallback_text(),
            Self::Organisation(_) => "Something about an organisation".to_owned(),
            Self::BreakGlass(event) => event.fallback_text(),
            Self::MailboxArrival(arrival) => arrival.fallback_text(),
            Self::MailboxAnswer(_) => "Answers a message of the mailbox".to_owned(),
            Self::Report(_) => "A report of a message, for the organisation's officer".to_owned(),
            Self::Receipt(_) | Self::Received(_) | Self::Empty | Self::DeviceSync(_) | Self::Unknown { .. } => {
                String::new()
            }
        }
    }

    /// What of it stays in the message when the whole goes as a blob: of a mail everything but text and HTML, of a report
    /// everything but the message.
    #[must_use]
    pub fn short(&self) -> Self {
        match self {
            Self::Mail(mail) => Self::Mail(mail.short()),
            Self::Report(report) => Self::Report(report.short()),
            Self::Unknown { kind, .. } => Self::Unknown { kind: *kind, body: Vec::new() },
            Self::Receipt(_)
            | Self::Received(_)
            | Self::Empty
            | Self::DeviceSync(_)
            | Self::Chat(_)
            | Self::GroupInvitation(_)
            | Self::GroupRejoinRequest(_)
            | Self::GroupRejoinAnswer(_)
            | Self::Case(_)
            | Self::MailboxEvent(_)
            | Self::Organisation(_)
            | Self::BreakGlass(_)
            | Self::MailboxArrival(_)
            | Self::MailboxAnswer(_) => self.clone(),
        }
    }
}
