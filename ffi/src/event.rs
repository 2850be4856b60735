//! What happens by itself, as apps hear it.

use medipeps_client::engine::{Event, GroupEvent};

use crate::record::group::number;
use crate::record::hex;
use crate::record::mail::RecipientState;
use crate::{AccountAddress, GroupIdentifier, MessageIdentifier, OrganisationEvent, OrganisationIdentifier};

/// Something happened. It is on the disk already.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ClientEvent {
    /// Connected, and everything that was at the server is here.
    Ready,
    /// A message has come.
    MessageReceived {
        /// Which.
        id: MessageIdentifier,
        /// Its sender or its thread is muted, so that it does not ring.
        muted: bool,
    },
    /// A sent message has come further, has failed, or waits for a person's decision.
    MessageState {
        /// Which.
        id: MessageIdentifier,
        /// On the way to whom.
        recipient: AccountAddress,
        /// How far.
        state: RecipientState,
        /// Why it failed or what holds it up.
        reason: Option<String>,
    },
    /// Another device of the account has sent a message.
    SentElsewhere {
        /// Which.
        id: MessageIdentifier,
    },
    /// A person has seen a message on another device of the account.
    DisplayedElsewhere {
        /// Which.
        id: MessageIdentifier,
    },
    /// The text of a message is here.
    BodyFetched {
        /// Of which.
        id: MessageIdentifier,
    },
    /// The text of a message can never be had.
    BodyFailed {
        /// Of which.
        id: MessageIdentifier,
        /// Why.
        reason: String,
    },
    /// An envelope could not be read.
    Undecryptable {
        /// Why: a word out of `spec/client-engine.md`.
        reason: String,
        /// Who sent it, where that is known.
        sender: Option<AccountAddress>,
    },
    /// What is known about a sender has changed.
    SenderChecked {
        /// Who.
        address: AccountAddress,
        /// The address belongs to another account key: show its messages as forged.
        impostor: bool,
    },
    /// A contact is known by another account key.
    ContactKeyChanged {
        /// Who.
        address: AccountAddress,
        /// A person has accepted it; otherwise the recovery key vouched for it: tell the person.
        accepted: bool,
    },
    /// A contact's server gives another key than the pinned one: nothing is sent until a person decides.
    ContactKeyRefused {
        /// Who.
        address: AccountAddress,
    },
    /// This device is in a group.
    GroupJoined {
        /// Which.
        group: GroupIdentifier,
        /// What it is called.
        name: String,
        /// Who has added it.
        by: AccountAddress,
    },
    /// Somebody has said something in a group.
    GroupMessageReceived {
        /// Which.
        group: GroupIdentifier,
        /// The message's number.
        number: i64,
        /// It does not ring.
        muted: bool,
    },
    /// What was said here has come further in a group, or has failed.
    GroupMessageState {
        /// Which.
        group: GroupIdentifier,
        /// The message's number.
        number: i64,
    },
    /// Members, roles, name, retention or this account's place have changed: list the group again.
    GroupChanged {
        /// Which.
        group: GroupIdentifier,
    },
    /// Somebody types in a group, or has stopped. It is shown for six seconds if no other comes.
    GroupTyping {
        /// Which.
        group: GroupIdentifier,
        /// Who.
        by: AccountAddress,
        /// Whether he does.
        active: bool,
    },
    /// A member has read up to a message.
    GroupRead {
        /// Which.
        group: GroupIdentifier,
        /// Who.
        by: AccountAddress,
        /// The message's number.
        number: i64,
    },
    /// Something has come to a group's mailbox, or somebody has done something with it or has answered it: look at it again. What a
    /// member held who was taken out is free with `GroupChanged`.
    MailboxChanged {
        /// Whose mailbox.
        group: GroupIdentifier,
        /// Which message, by its name in the mailbox.
        message: MessageIdentifier,
    },
    /// This account is a mailbox, and what a member has answered in its name cannot be sent.
    MailboxAnswerRefused {
        /// Whose mailbox.
        group: GroupIdentifier,
        /// The number of the member's message.
        number: i64,
        /// Why, for a log.
        detail: String,
    },
    /// Something has happened with an organisation.
    OrganisationTold {
        /// Which.
        organisation: OrganisationIdentifier,
        /// What.
        event: OrganisationEvent,
    },
    /// This device is none of the account any more: nothing is sent or received from now on.
    Revoked,
    /// The store is an old copy: its sessions were dropped.
    StateRolledBack,
    /// The server was restored from a backup; what is missing is sent again.
    ServerRestored,
    /// The connection is lost; another one is tried.
    Offline {
        /// Why, for a log.
        message: String,
    },
    /// The account's server does not call the push service by which this device is to be woken; it is asked again after a day.
    WakeRefused {
        /// A word out of `spec/errors.md`.
        reason: String,
    },
    /// Nothing more is received: the account was closed, or a person has to do something first.
    Stopped {
        /// A [`crate::MedipepsError`]'s code; 0 where the app asked for it.
        code: i32,
        /// For a log.
        message: String,
    },
}

impl ClientEvent {
    /// What an app is to hear of it.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::MessageReceived { id } => Self::MessageReceived { id: hex(id), muted: false },
            Event::MutedMessageReceived { id } => Self::MessageReceived { id: hex(id), muted: true },
            Event::RecipientState { id, recipient, state, code } => Self::MessageState {
                id: hex(id),
                recipient: recipient.to_string(),
                state: (*state).into(),
                reason: code.clone(),
            },
            Event::SentElsewhere { id } => Self::SentElsewhere { id: hex(id) },
            Event::DisplayedElsewhere { id } => Self::DisplayedElsewhere { id: hex(id) },
            Event::BodyFetched { id } => Self::BodyFetched { id: hex(id) },
            Event::BodyFailed { id, code } => Self::BodyFailed { id: hex(id), reason: code.clone() },
            Event::Undecryptable { reason, sender } => Self::Undecryptable {
                reason: reason.code().to_owned(),
                sender: sender.as_ref().map(ToString::to_string),
            },
            Event::SenderChecked { address, impostor } => {
                Self::SenderChecked { address: address.to_string(), impostor: *impostor }
            }
            Event::ContactKeyChanged { address, accepted } => {
                Self::ContactKeyChanged { address: address.to_string(), accepted: *accepted }
            }
            Event::ContactRefused { address, problem: medipeps_client::engine::ContactProblem::KeyChanged } => {
                Self::ContactKeyRefused { address: address.to_string() }
            }
            Event::Group { group, event } => return Self::of_group(hex(group), event),
            Event::Organisation { organisation, event } => {
                Self::OrganisationTold { organisation: hex(&organisation.0), event: OrganisationEvent::of(event)? }
            }
            Event::Revoked { .. } => Self::Revoked,
            Event::StateRolledBack { .. } => Self::StateRolledBack,
            Event::QueueRestarted => Self::ServerRestored,
            Event::WakeRefused { code } => Self::WakeRefused { reason: code.clone() },
            _ => return None,
        })
    }

    fn of_group(group: GroupIdentifier, event: &GroupEvent) -> Option<Self> {
        Some(match event {
            GroupEvent::Joined { name, by } => Self::GroupJoined { group, name: name.clone(), by: by.to_string() },
            GroupEvent::Message { number: n } => Self::GroupMessageReceived { group, number: number(*n), muted: false },
            GroupEvent::MutedMessage { number: n } => {
                Self::GroupMessageReceived { group, number: number(*n), muted: true }
            }
            GroupEvent::MessageState { number: n, .. } => Self::GroupMessageState { group, number: number(*n) },
            GroupEvent::Typing { by, active, .. } => Self::GroupTyping { group, by: by.to_string(), active: *active },
            GroupEvent::Read { by, number: n } => Self::GroupRead { group, by: by.to_string(), number: number(*n) },
            GroupEvent::Mailbox { message } => Self::MailboxChanged { group, message: hex(&message.0) },
            GroupEvent::AnswerRefused { number: n, code } => {
                Self::MailboxAnswerRefused { group, number: number(*n), detail: code.clone() }
            }
            GroupEvent::Made
            | GroupEvent::Changed { .. }
            | GroupEvent::ChangeFailed { .. }
            | GroupEvent::Removed
            | GroupEvent::Left
            | GroupEvent::Rejoined
            | GroupEvent::Problem { .. }
            | GroupEvent::RetentionChanged { .. }
            | GroupEvent::Continues { .. }
            | GroupEvent::Deleted { .. } => Self::GroupChanged { group },
            _ => return None,
        })
    }
}
