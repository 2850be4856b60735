//! Tenants of the reference engine: what their accounts take is added up whenever somebody asks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::tenant::{DEFAULT_TENANT, Tenant, TenantDay, TenantTerms, TenantUsage};

use super::MemoryStorage;
use super::state::State;
use crate::limits::TENANT_DAYS_KEPT;
use crate::storage::tenant::{check_terms, counted, day_of};
use crate::storage::{OperatedStorage as _, StorageError, SuspendError, TenantError, TenantStorage};

/// What the store knows of tenants.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryTenants {
    pub(super) last_tenant: u64,
    pub(super) tenants: BTreeMap<u64, Tenant>,
    /// By tenant and day.
    pub(super) days: BTreeMap<(u64, u32), TenantDay>,
}

#[async_trait]
impl TenantStorage for MemoryStorage {
    async fn create_tenant(&self, terms: TenantTerms, now_ms: u64) -> Result<u64, TenantError> {
        self.check_space()?;
        self.commit(|state| {
            check_terms(&terms, None, state.tenants.all().iter())?;
            let number = state.tenants.last_tenant + 1;
            state.tenants.last_tenant = number;
            state.tenants.tenants.insert(number, Tenant { number, created_ms: now_ms, terms });
            Ok(number)
        })
    }

    async fn change_tenant(&self, number: u64, terms: TenantTerms) -> Result<(), TenantError> {
        self.commit(|state| {
            let tenant = state.tenants.get(number).ok_or(TenantError::Unknown)?;
            check_terms(&terms, Some(number), state.tenants.all().iter())?;
            state.tenants.tenants.insert(number, Tenant { terms, ..tenant });
            Ok(())
        })
    }

    async fn remove_tenant(&self, number: u64) -> Result<(), TenantError> {
        self.commit(|state| {
            if number == DEFAULT_TENANT {
                return Err(TenantError::Default);
            }
            state.tenants.get(number).ok_or(TenantError::Unknown)?;
            let accounts = state.tenant_usage(number).seats;
            if accounts > 0 {
                return Err(TenantError::InUse { accounts });
            }
            state.invitations.retain(|_, invitation| invitation.tenant != number);
            state.tenants.days.retain(|(tenant, _), _| *tenant != number);
            state.tenants.tenants.remove(&number);
            Ok(())
        })
    }

    async fn tenant(&self, number: u64) -> Result<Option<Tenant>, StorageError> {
        Ok(self.read()?.tenants.get(number))
    }

    async fn tenants(&self) -> Result<Vec<(Tenant, TenantUsage)>, StorageError> {
        let state = self.read()?;
        let usage = |tenant: &Tenant| state.tenant_usage(tenant.number);
        Ok(state.tenants.all().into_iter().map(|tenant| (usage(&tenant), tenant)).map(|(of, it)| (it, of)).collect())
    }

    async fn count_tenants(&self, now_ms: u64) -> Result<(), StorageError> {
        self.commit(|state| {
            for tenant in state.tenants.all() {
                state.count_day(&tenant, now_ms);
            }
            Ok(())
        })
    }

    async fn tenant_days(&self, number: u64, first_day: u32, last_day: u32) -> Result<Vec<TenantDay>, StorageError> {
        if first_day > last_day {
            return Ok(Vec::new());
        }
        let state = self.read()?;
        Ok(state.tenants.days.range((number, first_day)..=(number, last_day)).map(|(_, day)| day.clone()).collect())
    }

    async fn set_suspended(&self, address: &Address, suspended: bool) -> Result<(), SuspendError> {
        self.commit(|state| {
            let account = state.accounts.get_mut(address).ok_or(SuspendError::UnknownAccount)?;
            account.record.suspended = suspended;
            Ok(())
        })
    }
}

impl MemoryTenants {
    /// A tenant; the default one is always there.
    pub(super) fn get(&self, number: u64) -> Option<Tenant> {
        let default = (number == DEFAULT_TENANT).then(Tenant::default_tenant);
        self.tenants.get(&number).cloned().or(default)
    }

    /// All tenants, the default one included.
    pub(super) fn all(&self) -> Vec<Tenant> {
        let mut tenants = self.tenants.clone();
        tenants.entry(DEFAULT_TENANT).or_insert_with(Tenant::default_tenant);
        tenants.into_values().collect()
    }
}

impl State {
    /// The tenant of an account or of an invitation, which is there.
    pub(super) fn tenant_of(&self, number: u64) -> Result<Tenant, StorageError> {
        self.tenants.get(number).ok_or_else(|| StorageError::Corrupt(format!("tenant {number} is missing")))
    }

    /// What the accounts of a tenant take.
    pub(super) fn tenant_usage(&self, number: u64) -> TenantUsage {
        let accounts = self.accounts.values().filter(|account| account.record.tenant == number);
        accounts.fold(TenantUsage::default(), |usage, account| TenantUsage {
            seats: usage.seats + 1,
            bytes: usage.bytes + account.devices.values().map(|device| device.queue.bytes).sum::<u64>(),
        })
    }

    /// Notes one more count of a tenant's day, and drops days that are kept no longer.
    pub(super) fn count_day(&mut self, tenant: &Tenant, now_ms: u64) {
        let (number, day) = (tenant.number, day_of(now_ms));
        let usage = self.tenant_usage(number);
        let days = &mut self.tenants.days;
        let last = day.saturating_sub(TENANT_DAYS_KEPT);
        days.retain(|(of, old), _| *of != number || *old > last);
        let after = counted(days.get(&(number, day)).cloned(), tenant, usage, now_ms);
        days.insert((number, day), after);
    }
}
