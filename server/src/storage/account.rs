//! What the store keeps of accounts and invitations, and how an operation on them can fail.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::limits::{NAME_LENGTH_MAX, STATEMENT_LENGTH_MAX};
use thiserror::Error;

use super::StorageError;
use super::prekey::PrekeySet;

/// The right to register one account, named by the SHA-256 of the secret in the invitation code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The organisation that the account will belong to.
    pub organisation: Option<String>,
    /// When it runs out, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The number of the tenant that the account will belong to.
    pub tenant: u64,
    /// The only address that it can be used for.
    pub address: Option<Address>,
}

/// What it takes to create an account. The caller has verified the statement and every signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// SHA-256 of the invitation's secret.
    pub invitation_hash: [u8; 32],
    /// The address, which the statement names too.
    pub address: Address,
    /// The encoded `SignedStatement`, at most `STATEMENT_LENGTH_MAX` bytes.
    pub statement: Vec<u8>,
    /// The version inside the statement.
    pub statement_version: u64,
    /// Every device of the statement, with its first prekeys.
    pub devices: Vec<DeviceRecord>,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A device at registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The device's number within the account.
    pub device_id: u32,
    /// The sequence of the upload that these prekeys came in.
    pub sequence: u64,
    /// Its prekeys.
    pub prekeys: PrekeySet,
}

/// How a registration was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterOutcome {
    /// The same invitation had already created this account with the same statement; nothing was changed.
    pub repeated: bool,
}

/// How a statement was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceOutcome {
    /// The same statement was already the current one; nothing was changed.
    pub repeated: bool,
}

/// An account as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// The version inside the statement.
    pub statement_version: u64,
    /// The organisation of the invitation.
    pub organisation: Option<String>,
    /// The devices of the statement, in ascending order.
    pub devices: Vec<u32>,
    /// When it was registered, in milliseconds since 1970.
    pub created_ms: u64,
    /// Hashes of the delivery keys that it has set; none: whoever writes is taken as if he had one.
    pub delivery_keys: Vec<[u8; 32]>,
    /// The number of the tenant that it belongs to.
    pub tenant: u64,
    /// Whoever runs the server lets nothing in or out.
    pub suspended: bool,
    /// The same for all accounts of its tenant.
    pub tenant_suspended: bool,
}

/// Why an invitation was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// There is one with this hash.
    #[error("an invitation with this hash exists")]
    Exists,
    /// No tenant has the number.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an account was not registered. Nothing was changed, and the invitation is as good as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// No invitation has this hash.
    #[error("the invitation is not known")]
    InvitationUnknown,
    /// The invitation has created another account, or this one with another statement.
    #[error("the invitation has been used")]
    InvitationUsed,
    /// The invitation ran out before it was used.
    #[error("the invitation has expired")]
    InvitationExpired,
    /// The address belongs to an account.
    #[error("the address is taken")]
    AddressTaken,
    /// The invitation is for another address.
    #[error("the invitation is for another address")]
    InvitationBound,
    /// The tenant of the invitation has as many accounts as its licence allows.
    #[error("all seats of the licence are taken")]
    SeatsExhausted,
    /// The licence of the tenant has ended, and its grace is over.
    #[error("the licence has ended")]
    LicenceEnded,
    /// The tenant is suspended.
    #[error("the tenant is suspended")]
    TenantSuspended,
    /// Two devices have the same number, or there is none.
    #[error("the devices are not one or more with different numbers")]
    Devices,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a statement was not replaced, or an account not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// No account has this address.
    #[error("no account has this address")]
    UnknownAccount,
    /// The stored statement has another version than expected, or the new one is not its successor.
    #[error("the current statement version is {current}")]
    WrongVersion {
        /// The version of the stored statement.
        current: u64,
    },
    /// Two devices have the same number, or there is none.
    #[error("the devices are not one or more with different numbers")]
    Devices,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Invitation {
    /// Refuses what no service should have let through.
    pub(super) fn check_lengths(&self) -> Result<(), StorageError> {
        let length = self.organisation.as_ref().map_or(0, String::len);
        StorageError::check_length("the organisation", length, NAME_LENGTH_MAX)
    }
}

impl Registration {
    /// Refuses what no service should have let through.
    pub(super) fn check_lengths(&self) -> Result<(), StorageError> {
        check_statement_length(&self.statement)?;
        self.devices.iter().try_for_each(|device| device.prekeys.check_lengths())
    }
}

/// Refuses a statement that no service should have let through.
pub(super) fn check_statement_length(statement: &[u8]) -> Result<(), StorageError> {
    StorageError::check_length("the statement", statement.len(), STATEMENT_LENGTH_MAX)
}

/// The devices in ascending order, or `None` if two are the same or there is none.
pub(super) fn distinct_devices(devices: impl IntoIterator<Item = u32>) -> Option<Vec<u32>> {
    let mut set = BTreeSet::new();
    let distinct = devices.into_iter().all(|device| set.insert(device));
    (distinct && !set.is_empty()).then(|| set.into_iter().collect())
}
