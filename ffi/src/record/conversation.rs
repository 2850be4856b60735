//! Conversations that do not ring.

use std::time::SystemTime;

use medipeps_core::kind::{self, MUTED_FOR_EVER, MessageId};

use super::{hex, time};
use crate::MedipepsError;
use crate::identifier::{AccountAddress, GroupIdentifier, MessageIdentifier, address, group_id, message_id};

/// What can be muted.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Conversation {
    /// What an account writes to this one alone.
    OfAccount {
        /// Which.
        address: AccountAddress,
    },
    /// A thread.
    OfThread {
        /// [`crate::Message::thread`].
        thread: MessageIdentifier,
    },
    /// A group.
    OfGroup {
        /// Which.
        group: GroupIdentifier,
    },
}

/// A conversation that does not ring.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct MutedConversation {
    /// Which.
    pub conversation: Conversation,
    /// Until when; `None`: until a person says otherwise.
    pub until: Option<SystemTime>,
}

impl Conversation {
    pub(crate) fn into_conversation(self) -> Result<kind::Conversation, MedipepsError> {
        Ok(match self {
            Self::OfAccount { address: text } => kind::Conversation::Account(address(&text)?),
            Self::OfThread { thread } => kind::Conversation::Thread(MessageId(message_id(&thread)?)),
            Self::OfGroup { group } => kind::Conversation::Group(group_id(&group)?),
        })
    }
}

impl From<&kind::Conversation> for Conversation {
    fn from(conversation: &kind::Conversation) -> Self {
        match conversation {
            kind::Conversation::Account(address) => Self::OfAccount { address: address.to_string() },
            kind::Conversation::Thread(thread) => Self::OfThread { thread: hex(&thread.0) },
            kind::Conversation::Group(group) => Self::OfGroup { group: hex(group) },
        }
    }
}

impl From<&kind::MutedConversation> for MutedConversation {
    fn from(muted: &kind::MutedConversation) -> Self {
        let until = (muted.until != MUTED_FOR_EVER).then(|| time(muted.until));
        Self { conversation: Conversation::from(&muted.conversation), until }
    }
}
