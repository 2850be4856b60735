//! Groups and what is said in them.

use medipeps_client::engine::{GroupMessage as EngineMessage, GroupSummary};
use medipeps_core::kind::{Body, Chat};
use medipeps_core::wire::client_records::{GroupMessageState as StoredState, GroupRoleRecord, GroupStanding};
use serde::{Deserialize, Serialize};

use super::hex;
use super::mail::{Attachment, attachments};

/// What a group is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupRequest {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) members: Vec<String>,
    pub(crate) retention_days: u32,
}

/// Something to be said; its attachments come beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ChatDraft {
    pub(crate) text: String,
    pub(crate) in_reply_to: Option<String>,
}

/// A group that this account is or was in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    id: String,
    name: String,
    description: String,
    state: &'static str,
    problem: Option<String>,
    members: Vec<GroupMember>,
    unread: u64,
    muted: bool,
    retention_days: u32,
}

/// An account in a group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupMember {
    address: String,
    role: &'static str,
    read_up_to: Option<u64>,
}

/// Something that was said in a group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupMessage {
    number: u64,
    id: String,
    sender: String,
    sender_name: String,
    /// Milliseconds since 1970.
    time: u64,
    state: &'static str,
    reason: Option<String>,
    body: ChatBody,
    in_reply_to: Option<String>,
    attachments: Vec<Attachment>,
}

/// What is said, by its kind.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ChatBody {
    Text {
        text: String,
    },
    Edit {
        message: String,
        text: String,
    },
    Delete {
        message: String,
    },
    Reaction {
        message: String,
        emoji: Option<String>,
    },
    /// What this version does not show in another way.
    Other {
        text: String,
    },
}

impl Group {
    pub(crate) fn of(group: &GroupSummary, muted: bool) -> Self {
        let member = |member: &medipeps_client::engine::GroupMember| GroupMember {
            address: member.address.to_string(),
            role: match member.role {
                GroupRoleRecord::Owner => "owner",
                GroupRoleRecord::Member => "member",
                GroupRoleRecord::Reader => "reader",
            },
            read_up_to: group.read.get(&member.address).map(|read| read.number),
        };
        Self {
            id: hex(&group.id),
            name: group.group.name.clone(),
            description: group.roster.description.clone(),
            state: match group.group.standing {
                GroupStanding::Making => "making",
                GroupStanding::Active => "active",
                GroupStanding::Joining => "joining",
                GroupStanding::Left => "left",
                GroupStanding::Removed => "removed",
                GroupStanding::Broken => "broken",
                GroupStanding::Rejoining => "rejoining",
                GroupStanding::Leaving => "leaving",
            },
            problem: group.group.problem.clone(),
            members: group.roster.members.iter().map(member).collect(),
            unread: group.unread(),
            muted,
            retention_days: group.roster.retention_days,
        }
    }
}

impl From<&EngineMessage> for GroupMessage {
    fn from(message: &EngineMessage) -> Self {
        let EngineMessage { number, message, content } = message;
        Self {
            number: *number,
            id: hex(&content.id.0),
            sender: message.sender.to_string(),
            sender_name: content.sender_name.clone(),
            time: message.received,
            state: match message.state {
                StoredState::Queued => "waiting",
                StoredState::Logged => "logged",
                StoredState::Failed => "failed",
            },
            reason: message.code.clone(),
            body: ChatBody::of(&content.body, &content.fallback_text),
            in_reply_to: content.in_reply_to.map(|id| hex(&id.0)),
            attachments: attachments(content),
        }
    }
}

impl ChatBody {
    fn of(body: &Body, fallback_text: &str) -> Self {
        match body {
            Body::Chat(Chat::Text { text }) => Self::Text { text: text.clone() },
            Body::Chat(Chat::Edit { message, text }) => Self::Edit { message: hex(&message.0), text: text.clone() },
            Body::Chat(Chat::Delete { message }) => Self::Delete { message: hex(&message.0) },
            Body::Chat(Chat::Reaction { message, emoji }) => {
                Self::Reaction { message: hex(&message.0), emoji: emoji.clone() }
            }
            _ => Self::Other { text: fallback_text.to_owned() },
        }
    }
}
