//! The kind `receipt`: what became of another message. It rests on the session, not on a signature.

use super::content::MessageId;

/// One event of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which message.
    pub message_id: MessageId,
    /// What happened.
    pub event: ReceiptEvent,
    /// Milliseconds since 1970, by the clock of who says so.
    pub at: u64,
}

/// What a recipient tells about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptEvent {
    /// A device has it.
    Delivered,
    /// A person has seen it.
    Displayed,
    /// A system has taken it in.
    Processed,
    /// The recipient's client does not know the kind and showed the fallback text.
    Unsupported,
}
