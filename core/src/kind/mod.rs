//! What messages say. Each kind has a module with its rules; `spec/content.md` describes them.

mod content;
mod device_sync;
mod html;
mod mail;
mod receipt;
mod received;

pub use content::{
    Attachment, AttachmentPlace, Body, Content, ContentError, MessageId, PatientReference, ReceiptsWanted, Urgency,
};
pub use device_sync::{DeviceName, DeviceSync, DisplayedMark, Progress, SentState, SyncedContact, SyncedServer};
pub use html::{sanitise_html, text_of_html};
pub use mail::{Mail, MailRecipient, RecipientRole};
pub use receipt::{Receipt, ReceiptEvent};
pub use received::Received;
