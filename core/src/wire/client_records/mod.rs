//! `spec/proto/client_records.proto`: what a client keeps in its store, before the store seals it.
//!
//! Everything that may hold a secret is encoded into [`Zeroizing`] bytes.

mod account;
mod contact;
mod delivery;
mod domain;
mod group;
mod group_change;
mod group_invitation;
mod group_message;
mod group_restored;
mod group_wake;
mod key_packages;
mod linking;
mod mailbox;
mod message;
mod organisation;
mod outbox;
mod own_statement;
mod prekeys;
mod queue;
mod repair;
mod restore;
mod session;
mod settings;
mod sync;
mod transfer;
mod wallet;

pub use account::{AccountRecord, Revocation};
pub use contact::{ContactRecord, ServerRecord, UnconfirmedSenderRecord, VerifiedMark};
pub use delivery::{DeliveryRecord, OwnDeliveryKeysRecord};
pub use domain::{DepartedDomainRecord, ListedDomainRecord, TrustListRecord};
pub use group::{GroupMemberRecord, GroupRecord, GroupRoleRecord, GroupRosterRecord, GroupStanding};
pub use group_change::{GroupChangeKind, GroupChangeRecord, GroupCommitRecord};
pub use group_invitation::{GroupBlobRecord, GroupInvitationRecord, GroupJoinRecord};
pub use group_message::{GroupEntryRecord, GroupMessageRecord, GroupMessageState, GroupOutboxRecord};
pub use group_restored::{GroupKeptEntryRecord, GroupRestoredRecord, GroupRestoredStep};
pub use group_wake::{GroupWakeRecord, WakeRecord};
pub use key_packages::KeyPackagesRecord;
pub use linking::{DeviceNameRecord, LinkRecord, NewDeviceLinkRecord, NewDeviceStage, PrimaryLinkRecord, PrimaryStage};
pub use mailbox::{GroupDepartureRecord, MailboxRecord};
pub use message::{MessageRecord, RecipientRecord, RecipientState, SenderCheck};
pub use organisation::{
    AdministratorKeyRecord, BreakGlassRecord, OrganisationArrivalRecord, OrganisationDraftRecord,
    OrganisationMemberRecord, OrganisationRecord, OrganisationStanding,
};
pub use outbox::OutboxRecord;
pub use own_statement::{NewDeviceRecord, OwnStatementRecord};
pub use prekeys::{PrekeySet, PrekeysRecord};
pub use queue::{QueueRecord, UndecryptableRecord};
pub use repair::{AgendaRecord, KeptEnvelopeRecord, OwedRecord, UnconfirmedRecord};
pub use restore::{RestorePhase, RestoreRecord, RestoringDevice};
pub use session::{PeerDeviceRecord, PeerRecord, SessionRecord};
pub use settings::SettingsRecord;
pub use sync::{KnownDevicesRecord, SyncPendingRecord};
pub use transfer::{BodyFetchRecord, FinishedUpload, UploadRecord, UploadRole, UploadSource};
pub use wallet::{PaymentRecord, TokenBatchRecord, TokenDraw, TokenPageRecord, WalletRecord};

use zeroize::Zeroizing;

use super::{WireError, fixed};
use crate::Address;
use crate::crypto::secret::Secret;

fn address(text: &str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds("address"))
}

fn secret<const N: usize>(bytes: Vec<u8>, field: &'static str) -> Result<Secret<N>, WireError> {
    Secret::from_slice(&Zeroizing::new(bytes)).ok_or(WireError::Bounds(field))
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn some_bytes(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then_some(bytes)
}

fn optional_id<const LENGTH: usize>(bytes: &[u8], field: &'static str) -> Result<Option<[u8; LENGTH]>, WireError> {
    if bytes.is_empty() { Ok(None) } else { fixed(bytes, field).map(Some) }
}

fn ids(list: &[Vec<u8>], field: &'static str) -> Result<Vec<[u8; 16]>, WireError> {
    list.iter().map(|id| fixed(id, field)).collect()
}
