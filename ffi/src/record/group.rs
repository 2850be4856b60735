//! Groups and what is said in them.

use std::time::SystemTime;

use medipeps_client::engine::{GroupMessage as EngineMessage, GroupSummary};
use medipeps_core::Address;
use medipeps_core::kind::{self, Body, Chat, MessageId, Poll, Task, TaskChange, Vote};
use medipeps_core::wire::client_records::{GroupMessageState as StoredState, GroupRoleRecord, GroupStanding};

use super::break_glass::BreakGlassSays;
use super::case::CaseSays;
use super::mail::{Attachment, attachments};
use super::mailbox::MailboxAct;
use super::{hex, milliseconds, time};
use crate::identifier::{addresses, message_id};
use crate::{AccountAddress, GroupIdentifier, MedipepsError, MessageIdentifier, OrganisationIdentifier};

/// What a group is made of. Its server learns none of it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct GroupRequest {
    /// What it is called.
    pub name: String,
    /// What it is for.
    #[uniffi(default = "")]
    pub description: String,
    /// Who is to be in it, beside this account, which owns it.
    pub members: Vec<AccountAddress>,
    /// For how many days messages are kept; 0: for ever.
    #[uniffi(default = 0)]
    pub retention_days: u32,
    /// The organisation that it belongs to: whoever is in it is certified by it.
    #[uniffi(default = None)]
    pub organisation: Option<OrganisationIdentifier>,
}

/// A group that this account is or was in.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Group {
    /// Its id.
    pub id: GroupIdentifier,
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How it stands with it.
    pub state: GroupState,
    /// What keeps it from going on.
    pub problem: Option<String>,
    /// Who is in it.
    pub members: Vec<GroupMember>,
    /// Messages that nobody has seen on this device.
    pub unread: u32,
    /// For how many days messages are kept; 0: for ever.
    pub retention_days: u32,
    /// The members are told what is read on this device.
    pub tells_read_positions: bool,
    /// The organisation that it belongs to.
    pub organisation: Option<AccountAddress>,
    /// The group in which it goes on.
    pub successor: Option<GroupIdentifier>,
}

/// How it stands with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum GroupState {
    /// It is being made.
    Making,
    /// One can talk in it.
    Active,
    /// This device comes in.
    Joining,
    /// This account has left.
    Left,
    /// This account was taken out.
    Removed,
    /// It cannot go on; an owner makes it anew.
    Broken,
    /// This device has lost its place and comes back.
    Rejoining,
    /// This account leaves.
    Leaving,
}

/// An account in a group.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct GroupMember {
    /// Who.
    pub address: AccountAddress,
    /// What it may do.
    pub role: GroupRole,
    /// How many devices it has there.
    pub devices: u32,
    /// The number of the last message that it has read, as far as it has told.
    pub read_up_to: Option<i64>,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum GroupRole {
    /// Change the group.
    Owner,
    /// Write.
    Member,
    /// Read.
    Reader,
}

/// Something that was said in a group.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct GroupMessage {
    /// Its number in the group on this device.
    pub number: i64,
    /// The same for all who have it: votes, reactions and changes name it.
    pub id: MessageIdentifier,
    /// Who wrote it.
    pub sender: AccountAddress,
    /// As the sender calls himself.
    pub sender_name: String,
    /// When the server took it; by this device's clock until it has.
    pub time: SystemTime,
    /// How far it has come.
    pub state: GroupMessageState,
    /// Why it failed.
    pub reason: Option<String>,
    /// What it says.
    pub body: ChatBody,
    /// The message that it answers.
    pub in_reply_to: Option<MessageIdentifier>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// How far a message of a group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum GroupMessageState {
    /// On this device only.
    Waiting,
    /// In the group's log.
    Logged,
    /// It will never be.
    Failed,
}

/// What is said in a group, by its kind.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ChatBody {
    /// A text.
    Text {
        /// It.
        text: String,
    },
    /// A photo, which is the one attachment.
    Photo {
        /// May be empty.
        caption: String,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// A recording, which is the one attachment.
    Voice {
        /// Milliseconds.
        duration: u32,
    },
    /// A question with options.
    Poll {
        /// One question.
        question: String,
        /// No two the same.
        options: Vec<String>,
        /// Whether one account may choose several.
        multiple: bool,
        /// Until when votes count.
        closes: Option<SystemTime>,
    },
    /// What an account chooses; a later vote stands instead of an earlier one.
    Vote {
        /// The poll.
        poll: MessageIdentifier,
        /// Numbers of options, from 0 on, ascending; none takes the vote back.
        options: Vec<u32>,
    },
    /// Something to be done.
    Task {
        /// What.
        text: String,
        /// By whom; none: everybody may.
        assignees: Vec<AccountAddress>,
        /// Until when.
        due: Option<SystemTime>,
    },
    /// What has become of a task.
    TaskChange {
        /// The task.
        task: MessageIdentifier,
        /// Its state from now on.
        state: TaskState,
    },
    /// A reaction to a message.
    Reaction {
        /// To which.
        message: MessageIdentifier,
        /// `None` takes it back.
        emoji: Option<String>,
    },
    /// Another text for a message of one's own.
    Edit {
        /// Which.
        message: MessageIdentifier,
        /// What it says from now on.
        text: String,
    },
    /// A message of one's own is deleted.
    Delete {
        /// Which.
        message: MessageIdentifier,
    },
    /// Something has happened to a case. It is said by [`crate::Client::open_case`] and the like.
    AboutCase {
        /// What.
        says: CaseSays,
    },
    /// Something has come to the group's mailbox, which shows it ([`crate::Client::mailbox_message`]).
    MailboxArrival {
        /// Its name in the mailbox.
        message: MessageIdentifier,
        /// Who has written it.
        writer: AccountAddress,
    },
    /// Somebody does something with a message of the mailbox ([`crate::Client::claim_mailbox_message`] and the like). Whether it
    /// counts is seen in the mailbox.
    MailboxEvent {
        /// The message's name in the mailbox.
        message: MessageIdentifier,
        /// What.
        act: MailboxAct,
    },
    /// An answer in the mailbox's name ([`crate::Client::answer_mailbox_message`]).
    MailboxAnswer {
        /// The message's name in the mailbox.
        message: MessageIdentifier,
        /// The text.
        text: String,
    },
    /// Something about access in an emergency ([`crate::Client::request_break_glass`] and the like).
    BreakGlass {
        /// Under whose policy.
        organisation: OrganisationIdentifier,
        /// Which request.
        request: MessageIdentifier,
        /// What.
        says: BreakGlassSays,
    },
    /// A kind that this version does not show in another way. It cannot be sent.
    Other {
        /// Its number (`spec/content.md`).
        kind: u32,
        /// What to show.
        text: String,
    },
}

impl std::fmt::Debug for ChatBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ChatBody(..)")
    }
}

/// What has become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TaskState {
    /// To be done.
    Open,
    /// Done.
    Done,
    /// Somebody has said that he will not.
    Declined,
}

impl From<&GroupSummary> for Group {
    fn from(group: &GroupSummary) -> Self {
        let member = |member: &medipeps_client::engine::GroupMember| GroupMember {
            address: member.address.to_string(),
            role: member.role.into(),
            devices: u32::try_from(member.devices.len()).unwrap_or(u32::MAX),
            read_up_to: group.read.get(&member.address).map(|read| number(read.number)),
        };
        Self {
            id: hex(&group.id),
            name: group.group.name.clone(),
            description: group.roster.description.clone(),
            state: group.group.standing.into(),
            problem: group.group.problem.clone(),
            members: group.roster.members.iter().map(member).collect(),
            unread: u32::try_from(group.unread()).unwrap_or(u32::MAX),
            retention_days: group.roster.retention_days,
            tells_read_positions: !group.group.read_positions_off,
            organisation: group.group.organisation.as_ref().map(Address::to_string),
            successor: group.group.successor.map(|id| hex(&id)),
        }
    }
}

impl From<GroupStanding> for GroupState {
    fn from(standing: GroupStanding) -> Self {
        match standing {
            GroupStanding::Making => Self::Making,
            GroupStanding::Active => Self::Active,
            GroupStanding::Joining => Self::Joining,
            GroupStanding::Left => Self::Left,
            GroupStanding::Removed => Self::Removed,
            GroupStanding::Broken => Self::Broken,
            GroupStanding::Rejoining => Self::Rejoining,
            GroupStanding::Leaving => Self::Leaving,
        }
    }
}

impl From<GroupRoleRecord> for GroupRole {
    fn from(role: GroupRoleRecord) -> Self {
        match role {
            GroupRoleRecord::Owner => Self::Owner,
            GroupRoleRecord::Member => Self::Member,
            GroupRoleRecord::Reader => Self::Reader,
        }
    }
}

impl From<GroupRole> for GroupRoleRecord {
    fn from(role: GroupRole) -> Self {
        match role {
            GroupRole::Owner => Self::Owner,
            GroupRole::Member => Self::Member,
            GroupRole::Reader => Self::Reader,
        }
    }
}

impl From<StoredState> for GroupMessageState {
    fn from(state: StoredState) -> Self {
        match state {
            StoredState::Queued => Self::Waiting,
            StoredState::Logged => Self::Logged,
            StoredState::Failed => Self::Failed,
        }
    }
}

impl From<&EngineMessage> for GroupMessage {
    fn from(message: &EngineMessage) -> Self {
        let EngineMessage { number: in_group, message, content } = message;
        Self {
            number: number(*in_group),
            id: hex(&content.id.0),
            sender: message.sender.to_string(),
            sender_name: content.sender_name.clone(),
            time: time(message.received),
            state: message.state.into(),
            reason: message.code.clone(),
            body: ChatBody::of(&content.body, &content.fallback_text),
            in_reply_to: content.in_reply_to.map(|id| hex(&id.0)),
            attachments: attachments(content),
        }
    }
}

impl ChatBody {
    pub(crate) fn of(body: &Body, fallback_text: &str) -> Self {
        let other = || Self::Other { kind: body.kind_number(), text: fallback_text.to_owned() };
        match body {
            Body::Chat(chat) => Self::of_chat(chat).unwrap_or_else(other),
            Body::Case(case) => Self::AboutCase { says: CaseSays::from(case) },
            Body::MailboxArrival(arrival) => {
                Self::MailboxArrival { message: hex(&arrival.message.0), writer: arrival.sender.to_string() }
            }
            Body::MailboxEvent(event) => {
                Self::MailboxEvent { message: hex(&event.message.0), act: MailboxAct::from(&event.act) }
            }
            Body::MailboxAnswer(answer) => {
                Self::MailboxAnswer { message: hex(&answer.message.0), text: answer.text.clone() }
            }
            Body::BreakGlass(event) => Self::BreakGlass {
                organisation: hex(&event.organisation.0),
                request: hex(&event.request),
                says: BreakGlassSays::from(&event.says),
            },
            _ => other(),
        }
    }

    /// `None` for what no message is.
    fn of_chat(chat: &Chat) -> Option<Self> {
        Some(match chat {
            Chat::Text { text } => Self::Text { text: text.clone() },
            Chat::Photo(photo) => {
                Self::Photo { caption: photo.caption.clone(), width: photo.width, height: photo.height }
            }
            Chat::Voice(voice) => Self::Voice { duration: voice.duration },
            Chat::Poll(poll) => Self::Poll {
                question: poll.question.clone(),
                options: poll.options.clone(),
                multiple: poll.multiple,
                closes: poll.closes.map(time),
            },
            Chat::Vote(vote) => Self::Vote { poll: hex(&vote.poll.0), options: vote.options.clone() },
            Chat::Task(task) => Self::Task {
                text: task.text.clone(),
                assignees: task.assignees.iter().map(Address::to_string).collect(),
                due: task.due.map(time),
            },
            Chat::TaskChange(change) => {
                Self::TaskChange { task: hex(&change.task.0), state: TaskState::of(change.state) }
            }
            Chat::Reaction { message, emoji } => Self::Reaction { message: hex(&message.0), emoji: emoji.clone() },
            Chat::Edit { message, text } => Self::Edit { message: hex(&message.0), text: text.clone() },
            Chat::Delete { message } => Self::Delete { message: hex(&message.0) },
            Chat::Typing { .. } | Chat::ReadPosition { .. } => return None,
        })
    }

    /// As the engine sends it.
    pub(crate) fn into_chat(self) -> Result<Chat, MedipepsError> {
        let named = |text: &str| message_id(text).map(MessageId);
        Ok(match self {
            Self::Text { text } => Chat::Text { text },
            Self::Photo { caption, width, height } => Chat::Photo(kind::Photo { caption, width, height }),
            Self::Voice { duration } => Chat::Voice(kind::Voice { duration }),
            Self::Poll { question, options, multiple, closes } => {
                Chat::Poll(Poll { question, options, multiple, closes: closes.map(milliseconds) })
            }
            Self::Vote { poll, options } => Chat::Vote(Vote { poll: named(&poll)?, options }),
            Self::Task { text, assignees, due } => {
                Chat::Task(Task { text, assignees: addresses(&assignees)?, due: due.map(milliseconds) })
            }
            Self::TaskChange { task, state } => {
                Chat::TaskChange(TaskChange { task: named(&task)?, state: state.into_state() })
            }
            Self::Reaction { message, emoji } => Chat::Reaction { message: named(&message)?, emoji },
            Self::Edit { message, text } => Chat::Edit { message: named(&message)?, text },
            Self::Delete { message } => Chat::Delete { message: named(&message)? },
            Self::AboutCase { .. }
            | Self::MailboxArrival { .. }
            | Self::MailboxEvent { .. }
            | Self::MailboxAnswer { .. }
            | Self::BreakGlass { .. }
            | Self::Other { .. } => return Err(MedipepsError::argument("body", "this kind is not said so")),
        })
    }
}

impl TaskState {
    const fn of(state: kind::TaskState) -> Self {
        match state {
            kind::TaskState::Open => Self::Open,
            kind::TaskState::Done => Self::Done,
            kind::TaskState::Declined => Self::Declined,
        }
    }

    const fn into_state(self) -> kind::TaskState {
        match self {
            Self::Open => kind::TaskState::Open,
            Self::Done => kind::TaskState::Done,
            Self::Declined => kind::TaskState::Declined,
        }
    }
}

pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
