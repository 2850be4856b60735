//! What messages say. Each kind has a module with its rules; `spec/content.md` describes them.

mod author;
mod chat;
mod content;
mod device_sync;
mod html;
mod mail;
mod receipt;
mod received;
mod redacted;
#[cfg(test)]
pub(crate) mod test_content;

pub use author::{Author, Place};
pub use chat::{
    Applied, Chat, ChatEntry, ChatRefusal, ChatThread, Photo, PhotoError, Poll, ReadPositionPolicy, ShownBody,
    ShownFile, ShownMessage, StrippedImage, Task, TaskChange, TaskState, Voice, Vote, typing_is_shown,
};
pub use content::{
    Attachment, AttachmentPlace, Body, Content, ContentError, MessageId, PatientReference, ReceiptsWanted, Urgency,
};
pub use device_sync::{DeviceName, DeviceSync, DisplayedMark, Progress, SentState, SyncedContact, SyncedServer};
pub use html::{sanitise_html, text_of_html};
pub use mail::{Mail, MailRecipient, RecipientRole};
pub use receipt::{Receipt, ReceiptEvent};
pub use received::Received;
