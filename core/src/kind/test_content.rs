//! What tests of kinds begin with.

use super::{Author, Body, Content, MessageId, ReceiptsWanted, Urgency};
use crate::crypto::secret::Secret;
use crate::crypto::signature::SigningKey;

/// A content with nothing but a body.
pub(crate) fn content(body: Body) -> Content {
    Content {
        id: MessageId([1; 16]),
        thread: MessageId([1; 16]),
        in_reply_to: None,
        replaces: None,
        created: 1_700_000_000_000,
        expires: None,
        urgency: Urgency::Routine,
        sender_name: String::new(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: body.fallback_text(),
        attachments: Vec::new(),
        body_blob: None,
        sender_statement_version: 1,
        body,
    }
}

/// An account.
pub(crate) fn author(number: u8) -> Author {
    Author {
        address: format!("colleague{number}@clinic.example").parse().unwrap(),
        account_key: SigningKey::from_secret(&Secret::from([number; 32])).verifying_key(),
    }
}

/// An id.
pub(crate) fn id(number: u64) -> MessageId {
    MessageId(u128::from(number).to_be_bytes())
}
