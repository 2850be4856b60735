//! What `spec/proto/content.proto` has about blocked accounts and muted conversations; also a record of the client's.

use super::address;
use crate::kind::{BlockedAccount, Conversation, MessageId, MutedConversation};
use crate::wire::{WireError, proto};

pub(crate) fn blocked_account(entry: &BlockedAccount) -> proto::BlockedAccount {
    proto::BlockedAccount { address: entry.address.to_string(), blocked: entry.blocked, at: entry.at }
}

pub(crate) fn blocked_account_of(entry: proto::BlockedAccount) -> Result<BlockedAccount, WireError> {
    let address = address(&entry.address, "blocked.address")?;
    Ok(BlockedAccount { address, blocked: entry.blocked, at: entry.at })
}

pub(crate) fn muted_conversation(entry: &MutedConversation) -> proto::MutedConversation {
    let (conversation, account) = match &entry.conversation {
        Conversation::Thread(thread) => (thread.0.to_vec(), String::new()),
        Conversation::Group(log_id) => (log_id.to_vec(), String::new()),
        Conversation::Account(address) => (Vec::new(), address.to_string()),
    };
    proto::MutedConversation { conversation, until: entry.until, at: entry.at, account }
}

pub(crate) fn muted_conversation_of(entry: proto::MutedConversation) -> Result<MutedConversation, WireError> {
    let bytes = entry.conversation.as_slice();
    if bytes.is_empty() {
        let conversation = Conversation::Account(address(&entry.account, "muted.account")?);
        return Ok(MutedConversation { conversation, until: entry.until, at: entry.at });
    }
    let thread = bytes.try_into().map(MessageId).map(Conversation::Thread).ok();
    let conversation = thread.or_else(|| bytes.try_into().map(Conversation::Group).ok());
    let conversation = conversation.ok_or(WireError::Bounds("muted.conversation"))?;
    Ok(MutedConversation { conversation, until: entry.until, at: entry.at })
}
