//! What messages say. Each kind has a module with its rules; `spec/content.md` describes them.

mod author;
mod body;
mod break_glass;
mod case;
mod chat;
mod content;
mod device_sync;
mod given_delivery_key;
mod group;
mod html;
mod mail;
mod mailbox;
mod mailbox_mail;
mod organisation;
mod receipt;
mod received;
mod redacted;
mod report;
mod settings;
#[cfg(test)]
pub(crate) mod test_content;
#[cfg(test)]
mod vectors;

pub use author::{Author, Place};
pub use body::Body;
pub use break_glass::{BreakGlassEvent, BreakGlassSays, BreakGlassUse};
pub use case::{
    Case, CaseAct, CaseEntry, CaseEvent, CaseMember, CaseRefusal, CaseState, CaseThread, SignedTranscript, Transcript,
    TranscriptError, TranscriptMessage, TranscriptOption, TranscriptSays, VerifiedTranscript,
};
pub use chat::{
    Applied, Chat, ChatEntry, ChatRefusal, ChatThread, Photo, PhotoError, Poll, ReadPositionPolicy, ShownBody,
    ShownFile, ShownMessage, StrippedImage, Task, TaskChange, TaskState, Voice, Vote, typing_is_shown,
};
pub use content::{
    Attachment, AttachmentPlace, Content, ContentError, MessageId, PatientReference, ReceiptsWanted, Urgency,
};
pub use device_sync::{DeviceName, DeviceSync, DisplayedMark, Progress, SentState, SyncedContact, SyncedServer};
pub use given_delivery_key::{GivenDeliveryKey, SyncedDelivery};
pub use group::{GroupInvitation, GroupRejoinAnswer, GroupRejoinRequest, LogPosition};
pub use html::{sanitise_html, text_of_html};
pub use mail::{Mail, MailRecipient, RecipientRole};
pub use mailbox::{
    Mailbox, MailboxAct, MailboxEntry, MailboxEvent, MailboxItem, MailboxRefusal, MailboxState, MailboxTrace,
    MailboxTraceAct,
};
pub use mailbox_mail::{MailboxAnswer, MailboxArrival};
pub use organisation::{
    OrganisationDraft, OrganisationMessage, OrganisationMessageError, OrganisationPiece, OrganisationSigning,
};
pub use receipt::{Receipt, ReceiptEvent};
pub use received::Received;
pub use report::{Report, ReportError, ReportedMessage};
pub use settings::{BlockedAccount, Conversation, MUTED_FOR_EVER, MutedConversation, Settings, SettingsError};
