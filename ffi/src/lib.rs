//! A Medipeps account for apps in Kotlin, Swift and Python.
//!
//! One object, [`Client`], is an account in a folder of the app. What a person does is an async method of it; what happens
//! by itself comes to an [`EventListener`]. Every event is on the disk before an app hears of it. All data is records and
//! enums; every error is a [`MedipepsError`] with a code that stays what it is (`spec/bindings.md`).
//!
//! This crate decides nothing: it turns the types of `medipeps-client` into types that cross languages.

#![allow(
    unsafe_code,
    reason = "what UniFFI's macros expand to: exported C functions with raw buffers; nothing here has any"
)]

mod client;
mod descriptor;
mod error;
mod event;
mod identifier;
mod key_vault;
mod listener;
mod log;
mod organisation_event;
mod paper_key;
mod progress;
mod record;
mod worker;

pub use client::{Client, OrganisationImport, WipeOutcome, lock_account, store_exists, wipe_account};
pub use error::MedipepsError;
pub use event::ClientEvent;
pub use identifier::{AccountAddress, DraftIdentifier, GroupIdentifier, MessageIdentifier, OrganisationIdentifier};
pub use key_vault::{KeyVault, StoreLock, VaultError};
pub use listener::{EventListener, ListenerError};
pub use log::{LogLevel, LogListener, set_log};
pub use organisation_event::OrganisationEvent;
pub use progress::{ProgressListener, Transfer, TransferDirection, TransferListener};
pub use record::account::{Account, AccountCreated, AccountRequest, AccountStatus, RecoveryRequest};
pub use record::administration::{
    AdministratorKey, CertificateRequest, DraftChange, DraftContents, DrawnAdministratorKey, OrganisationDraft,
    OrganisationRequest, StatementChange,
};
pub use record::backup::{BackupLock, BackupSummary, RestoreState};
pub use record::break_glass::{BreakGlassRequest, BreakGlassSays, BreakGlassState};
pub use record::case::{
    Case, CaseAct, CaseContents, CaseEvent, CaseMember, CaseOverview, CaseRequest, CaseSays, CaseState, Patient,
};
pub use record::contact::{Contact, KeyState};
pub use record::conversation::{Conversation, MutedConversation};
pub use record::device::{Device, LinkState};
pub use record::group::{
    ChatBody, Group, GroupMember, GroupMessage, GroupMessageState, GroupRequest, GroupRole, GroupState, TaskState,
};
pub use record::mail::{
    Attachment, Document, MailDraft, Message, MessageBody, MessageOverview, Recipient, RecipientState, ReportedKey,
    ReportedMessage, SavedAttachment, SenderCheck, SentMail, Urgency,
};
pub use record::mailbox::{MailboxAct, MailboxChange, MailboxMessage, MailboxState, MailboxTrace};
pub use record::organisation::{
    Administrator, BreakGlassPolicy, Certification, MemberStanding, OnCall, OnCallEntry, Organisation,
    OrganisationMember, OrganisationPolicy, OrganisationService, OrganisationState, OrganisationStatement,
};
pub use record::sync::SyncReport;
pub use record::wake::{PushEndpoint, PushKeys, PushServices, Wake, WakeState};

uniffi::setup_scaffolding!("medipeps");

/// Version of this library, as `Cargo.toml` has it.
#[uniffi::export]
#[must_use]
pub fn library_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
