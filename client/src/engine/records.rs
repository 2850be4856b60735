//! The records of the store: their classes, names and types. `spec/client-engine.md`, section "Records".

use std::marker::PhantomData;

use medipeps_core::Address;
use medipeps_core::attachment::DIGEST_LENGTH;
use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::{kem, x_wing};
use medipeps_core::envelope::HintKey;
use medipeps_core::organisation::OrganisationId;
use medipeps_core::wire::WireError;
use medipeps_core::wire::client_records::{
    AccountRecord, AdministratorKeyRecord, AgendaRecord, BodyFetchRecord, BreakGlassRecord, ContactRecord,
    DeliveryRecord, DepartedDomainRecord, DeviceNameRecord, GroupDepartureRecord, GroupInvitationRecord,
    GroupJoinRecord, GroupKeptEntryRecord, GroupMessageRecord, GroupOutboxRecord, GroupRecord, GroupRosterRecord,
    GroupWakeRecord, KeptEnvelopeRecord, KeyPackagesRecord, KnownDevicesRecord, LinkRecord, ListedDomainRecord,
    MailboxRecord, MessageRecord, OrganisationArrivalRecord, OrganisationDraftRecord, OrganisationMemberRecord,
    OrganisationRecord, OutboxRecord, OwedRecord, OwnDeliveryKeysRecord, OwnStatementRecord, PaymentRecord, PeerRecord,
    PrekeysRecord, QueueRecord, RestoreRecord, ServerRecord, SessionRecord, SettingsRecord, SyncPendingRecord,
    TokenPageRecord, TrustListRecord, UnconfirmedRecord, UnconfirmedSenderRecord, UndecryptableRecord, UploadRecord,
    WakeRecord, WalletRecord,
};
use zeroize::Zeroizing;

use crate::store::RecordKey;

pub mod class;

/// A record's value.
pub trait Record: Sized {
    /// Its bytes.
    fn encode(&self) -> Zeroizing<Vec<u8>>;

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`]
    fn decode(bytes: &[u8]) -> Result<Self, WireError>;
}

/// Which record, with the type of its value.
#[derive(Debug)]
pub struct Key<T> {
    record: RecordKey,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// As the store knows it.
    #[must_use]
    pub const fn record(&self) -> &RecordKey {
        &self.record
    }

    /// Its name in its class.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.record.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::from(self.record.clone())
    }
}

impl<T> From<RecordKey> for Key<T> {
    fn from(record: RecordKey) -> Self {
        Self { record, value: PhantomData }
    }
}

pub mod key;

/// A record that is bytes of another format.
pub type Bytes = Zeroizing<Vec<u8>>;

/// The digest of one part of an upload.
pub type PartDigest = [u8; DIGEST_LENGTH];

/// The hint keys of one session, 32 bytes each.
#[derive(Debug)]
pub struct HintKeys(pub Vec<HintKey>);

impl Record for Bytes {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self::new(bytes.to_vec()))
    }
}

impl Record for PartDigest {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        bytes.try_into().map_err(|_| WireError::Bounds("part digest"))
    }
}

impl Record for HintKeys {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.len() * 32));
        for key in &self.0 {
            bytes.extend_from_slice(key.secret().as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let key =
            |bytes: &[u8]| Secret::from_slice(bytes).map(HintKey::from_secret).ok_or(WireError::Bounds("hint key"));
        bytes.chunks(32).map(key).collect::<Result<_, _>>().map(Self)
    }
}

impl Record for DhSecretKey {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_secret().as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Secret::from_slice(bytes).map(|secret| Self::from_secret(&secret)).ok_or(WireError::Bounds("prekey"))
    }
}

impl Record for kem::DecapsulationKey {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.seed().as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Secret::from_slice(bytes).map(Self::from_seed).ok_or(WireError::Bounds("KEM prekey"))
    }
}

impl Record for x_wing::DecapsulationKey {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.seed().as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Secret::from_slice(bytes).map(Self::from_seed).ok_or(WireError::Bounds("seal prekey"))
    }
}

macro_rules! wire_records {
    ($($record:ty),*) => {
        $(impl Record for $record {
            fn encode(&self) -> Zeroizing<Vec<u8>> {
                <$record>::encode(self).into()
            }

            fn decode(bytes: &[u8]) -> Result<Self, WireError> {
                <$record>::decode(bytes)
            }
        })*
    };
}

wire_records!(
    AdministratorKeyRecord,
    BreakGlassRecord,
    OrganisationArrivalRecord,
    OrganisationDraftRecord,
    OrganisationMemberRecord,
    OrganisationRecord,
    GroupInvitationRecord,
    GroupJoinRecord,
    GroupMessageRecord,
    GroupOutboxRecord,
    GroupRecord,
    GroupRosterRecord,
    GroupWakeRecord,
    GroupKeptEntryRecord,
    WakeRecord,
    MailboxRecord,
    GroupDepartureRecord,
    KeyPackagesRecord,
    AccountRecord,
    DeviceNameRecord,
    LinkRecord,
    BodyFetchRecord,
    ContactRecord,
    ServerRecord,
    TrustListRecord,
    WalletRecord,
    TokenPageRecord,
    PaymentRecord,
    ListedDomainRecord,
    DepartedDomainRecord,
    MessageRecord,
    OutboxRecord,
    OwnStatementRecord,
    QueueRecord,
    UnconfirmedSenderRecord,
    UndecryptableRecord,
    SessionRecord,
    PeerRecord,
    PrekeysRecord,
    RestoreRecord,
    UploadRecord,
    UnconfirmedRecord,
    OwedRecord,
    KeptEnvelopeRecord,
    AgendaRecord,
    SyncPendingRecord,
    KnownDevicesRecord,
    SettingsRecord,
    DeliveryRecord,
    OwnDeliveryKeysRecord
);
