//! What the store keeps of tenants, and how an operation on them can fail. `spec/tenants.md` says what each rule is for.
//!
//! What the accounts of a tenant take is counted as operations go, so that a seat or a byte is never given twice; what is
//! counted a day is kept for statements.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::tenant::{Standing, Tenant, TenantDay, TenantTerms, TenantUsage, TermsError};
use thiserror::Error;

use super::{EnqueueError, RegisterError, StorageError};
use crate::service::DAY_MS;

/// The part of a store that knows tenants.
#[async_trait]
pub trait TenantStorage: Send + Sync + 'static {
    /// Adds a tenant and returns its number.
    ///
    /// # Errors
    /// See [`TenantError`].
    async fn create_tenant(&self, terms: TenantTerms, now_ms: u64) -> Result<u64, TenantError>;

    /// Gives a tenant other terms, the default one included.
    ///
    /// # Errors
    /// See [`TenantError`].
    async fn change_tenant(&self, number: u64, terms: TenantTerms) -> Result<(), TenantError>;

    /// Removes a tenant without accounts, its invitations and what was counted of it. The default one stays.
    ///
    /// # Errors
    /// See [`TenantError`].
    async fn remove_tenant(&self, number: u64) -> Result<(), TenantError>;

    /// A tenant; the default one is always there.
    ///
    /// # Errors
    /// The engine failed.
    async fn tenant(&self, number: u64) -> Result<Option<Tenant>, StorageError>;

    /// All tenants in the order of their numbers, with what their accounts take.
    ///
    /// # Errors
    /// The engine failed.
    async fn tenants(&self) -> Result<Vec<(Tenant, TenantUsage)>, StorageError>;

    /// Notes for this day what the accounts of every tenant take.
    ///
    /// # Errors
    /// The engine failed.
    async fn count_tenants(&self, now_ms: u64) -> Result<(), StorageError>;

    /// What was counted of a tenant, both days included, ascending. Days on which nothing was counted are left out.
    ///
    /// # Errors
    /// The engine failed.
    async fn tenant_days(&self, number: u64, first_day: u32, last_day: u32) -> Result<Vec<TenantDay>, StorageError>;

    /// Suspends an account, or takes it up again. A repeat changes nothing.
    ///
    /// # Errors
    /// See [`SuspendError`].
    async fn set_suspended(&self, address: &Address, suspended: bool) -> Result<(), SuspendError>;
}

/// Why a tenant was not added, changed or removed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TenantError {
    /// The terms cannot be.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Another tenant has the name.
    #[error("there is a tenant with this name")]
    NameTaken,
    /// No tenant has the number.
    #[error("there is no such tenant")]
    Unknown,
    /// It has accounts.
    #[error("the tenant has {accounts} accounts")]
    InUse {
        /// How many.
        accounts: u64,
    },
    /// The default one is never removed.
    #[error("the default tenant stays; it can be changed")]
    Default,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an account was not suspended or taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SuspendError {
    /// No account has the address.
    #[error("no account has this address")]
    UnknownAccount,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The day of a time, since 1970, by UTC.
#[must_use]
pub(super) fn day_of(now_ms: u64) -> u32 {
    u32::try_from(now_ms / DAY_MS).unwrap_or(u32::MAX)
}

/// Refuses a name that another tenant has.
pub(super) fn check_terms<'a>(
    terms: &TenantTerms,
    number: Option<u64>,
    mut others: impl Iterator<Item = &'a Tenant>,
) -> Result<(), TenantError> {
    terms.check()?;
    let taken = others.any(|other| Some(other.number) != number && other.terms.name == terms.name);
    if taken { Err(TenantError::NameTaken) } else { Ok(()) }
}

/// Whether the tenant may have another account.
pub(super) fn check_seat(tenant: &Tenant, usage: TenantUsage, now_ms: u64) -> Result<(), RegisterError> {
    match tenant.terms.standing(now_ms) {
        Standing::Suspended => return Err(RegisterError::TenantSuspended),
        Standing::Ended => return Err(RegisterError::LicenceEnded),
        Standing::Active | Standing::Grace => {}
    }
    if tenant.terms.seats.is_some_and(|seats| usage.seats >= seats) {
        return Err(RegisterError::SeatsExhausted);
    }
    Ok(())
}

/// Whether so many bytes more may go into the queues of an account.
pub(super) fn check_room(
    tenant: &Tenant,
    account_suspended: bool,
    usage: TenantUsage,
    bytes: u64,
    now_ms: u64,
) -> Result<(), EnqueueError> {
    if account_suspended {
        return Err(EnqueueError::AccountSuspended);
    }
    match tenant.terms.standing(now_ms) {
        Standing::Suspended => return Err(EnqueueError::TenantSuspended),
        Standing::Ended => return Err(EnqueueError::LicenceEnded),
        Standing::Active | Standing::Grace => {}
    }
    if tenant.terms.storage_bytes.is_some_and(|most| usage.bytes.saturating_add(bytes) > most) {
        return Err(EnqueueError::TenantStorageFull);
    }
    Ok(())
}

/// A day of a tenant with one more count in it.
pub(super) fn counted(before: Option<TenantDay>, tenant: &Tenant, usage: TenantUsage, now_ms: u64) -> TenantDay {
    let active = matches!(tenant.terms.standing(now_ms), Standing::Active | Standing::Grace);
    let TenantUsage { seats, bytes } = usage;
    TenantDay {
        day: day_of(now_ms),
        seats,
        seats_peak: before.as_ref().map_or(0, |before| before.seats_peak).max(seats),
        bytes_peak: before.as_ref().map_or(0, |before| before.bytes_peak).max(bytes),
        active: active || before.is_some_and(|before| before.active),
        services: tenant.terms.services.clone(),
    }
}
