//! Tenants, as changes of records; what their accounts take is counted in memory, and anew at every start.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::tenant::{DEFAULT_TENANT, Tenant, TenantDay, TenantTerms, TenantUsage};
use medipeps_core::wire::server_storage::{AccountRecord, InvitationRecord, StoreRecord};

use super::SledStorage;
use super::committer::Writer;
use super::layout::{self, Due};
use super::records::{Changes, Records, corrupt};
use crate::limits::{INVITATION_RECORD_RETENTION_MS, TENANT_DAYS_KEPT};
use crate::storage::tenant::{check_terms, counted, day_of};
use crate::storage::{StorageError, SuspendError, TenantError, TenantStorage};

/// What the accounts of each tenant take, as the operations so far leave it.
#[derive(Debug, Default)]
pub(super) struct TenantBook {
    /// The tenant of each account.
    of_account: HashMap<u64, u64>,
    usage: BTreeMap<u64, TenantUsage>,
}

/// What an operation changes of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum UsageChange {
    /// An account joins a tenant.
    Joined { account: u64, tenant: u64 },
    /// An account goes. Its queues were emptied before.
    Left { account: u64 },
    /// Bytes come into the queues of an account.
    Stored { account: u64, bytes: u64 },
    /// Bytes leave them.
    Released { account: u64, bytes: u64 },
}

impl TenantBook {
    /// What the accounts of a tenant take.
    pub(super) fn usage(&self, tenant: u64) -> TenantUsage {
        self.usage.get(&tenant).copied().unwrap_or_default()
    }

    /// Follows an operation.
    pub(super) fn apply(&mut self, change: UsageChange) {
        match change {
            UsageChange::Joined { account, tenant } => {
                self.of_account.insert(account, tenant);
                self.usage.entry(tenant).or_default().seats += 1;
            }
            UsageChange::Left { account } => {
                if let Some(tenant) = self.of_account.remove(&account) {
                    let usage = self.usage.entry(tenant).or_default();
                    usage.seats = usage.seats.saturating_sub(1);
                }
            }
            UsageChange::Stored { account, bytes } => self.of(account).bytes += bytes,
            UsageChange::Released { account, bytes } => {
                let usage = self.of(account);
                usage.bytes = usage.bytes.saturating_sub(bytes);
            }
        }
    }

    fn of(&mut self, account: u64) -> &mut TenantUsage {
        let tenant = self.of_account.get(&account).copied().unwrap_or(DEFAULT_TENANT);
        self.usage.entry(tenant).or_default()
    }
}

/// Counts what the accounts of each tenant take.
pub(super) fn count(records: &Records) -> Result<TenantBook, StorageError> {
    let mut book = TenantBook::default();
    for item in records.scan(layout::ACCOUNTS) {
        let account = AccountRecord::decode(&item?.1).map_err(|error| corrupt("an account", &error))?;
        let AccountRecord { account, tenant, devices, .. } = account;
        book.apply(UsageChange::Joined { account, tenant });
        for device in devices {
            let bytes = records.queue(layout::QueueKey { account, device })?.bytes;
            book.apply(UsageChange::Stored { account, bytes });
        }
    }
    Ok(book)
}

#[async_trait]
impl TenantStorage for SledStorage {
    async fn create_tenant(&self, terms: TenantTerms, now_ms: u64) -> Result<u64, TenantError> {
        self.space.check()?;
        self.commit(move |writer, changes| create(&writer.records, changes, terms, now_ms)).await
    }

    async fn change_tenant(&self, number: u64, terms: TenantTerms) -> Result<(), TenantError> {
        self.commit(move |writer, changes| {
            let records = &writer.records;
            let tenant = records.tenant(number)?.ok_or(TenantError::Unknown)?;
            check_terms(&terms, Some(number), records.tenants()?.iter())?;
            put(changes, &Tenant { terms, ..tenant });
            Ok(())
        })
        .await
    }

    async fn remove_tenant(&self, number: u64) -> Result<(), TenantError> {
        self.commit(move |writer, changes| remove(writer, changes, number)).await
    }

    async fn tenant(&self, number: u64) -> Result<Option<Tenant>, StorageError> {
        self.read(move |shared| shared.records.tenant(number)).await
    }

    async fn tenants(&self) -> Result<Vec<(Tenant, TenantUsage)>, StorageError> {
        self.read(move |shared| {
            let tenants = shared.records.tenants()?;
            let book = shared.tenants();
            Ok(tenants.into_iter().map(|tenant| (tenant.number, tenant)).map(|(of, it)| (it, book.usage(of))).collect())
        })
        .await
    }

    async fn count_tenants(&self, now_ms: u64) -> Result<(), StorageError> {
        self.commit(move |writer, changes| {
            for tenant in writer.records.tenants()? {
                let usage = writer.shared.tenants().usage(tenant.number);
                count_day(&writer.records, changes, &tenant, usage, now_ms)?;
            }
            Ok(())
        })
        .await
    }

    async fn tenant_days(&self, number: u64, first_day: u32, last_day: u32) -> Result<Vec<TenantDay>, StorageError> {
        self.read(move |shared| shared.records.tenant_days(number, first_day, last_day)).await
    }

    async fn set_suspended(&self, address: &Address, suspended: bool) -> Result<(), SuspendError> {
        let address = address.clone();
        self.commit(move |writer, changes| {
            let account = writer.records.account(&address)?.ok_or(SuspendError::UnknownAccount)?;
            if account.suspended != suspended {
                changes.effects.accounts.push(account.account);
                changes.put(layout::account(&address), AccountRecord { suspended, ..account }.encode());
            }
            Ok(())
        })
        .await
    }
}

fn create(records: &Records, changes: &mut Changes, terms: TenantTerms, now_ms: u64) -> Result<u64, TenantError> {
    check_terms(&terms, None, records.tenants()?.iter())?;
    let store = records.store()?;
    let number = store.next_tenant;
    changes.put(layout::STORE_KEY.to_vec(), StoreRecord { next_tenant: number + 1, ..store }.encode());
    put(changes, &Tenant { number, created_ms: now_ms, terms });
    Ok(number)
}

fn remove(writer: &Writer, changes: &mut Changes, number: u64) -> Result<(), TenantError> {
    if number == DEFAULT_TENANT {
        return Err(TenantError::Default);
    }
    let records = &writer.records;
    records.tenant(number)?.ok_or(TenantError::Unknown)?;
    let accounts = writer.shared.tenants().usage(number).seats;
    if accounts > 0 {
        return Err(TenantError::InUse { accounts });
    }
    for item in records.scan(layout::INVITATIONS) {
        let (key, value) = item?;
        let invitation = InvitationRecord::decode(&value).map_err(|error| corrupt("an invitation", &error))?;
        let hash = key.get(1..).and_then(|hash| hash.try_into().ok());
        let hash = hash.ok_or_else(|| StorageError::Corrupt("the key of an invitation".into()))?;
        if invitation.tenant == number {
            let forget = invitation.expires.saturating_add(INVITATION_RECORD_RETENTION_MS);
            changes.remove(layout::deadline(forget, Due::Invitation(hash)));
            changes.remove(key);
        }
    }
    for item in records.scan(&layout::tenant_days(number)) {
        changes.remove(item?.0);
    }
    changes.remove(layout::tenant(number));
    Ok(())
}

/// Stores a tenant.
pub(super) fn put(changes: &mut Changes, tenant: &Tenant) {
    changes.put(layout::tenant(tenant.number), tenant.encode());
}

/// Notes one more count of a tenant's day, and drops days that are kept no longer.
pub(super) fn count_day(
    records: &Records,
    changes: &mut Changes,
    tenant: &Tenant,
    usage: TenantUsage,
    now_ms: u64,
) -> Result<(), StorageError> {
    let day = day_of(now_ms);
    let before = records.tenant_days(tenant.number, day, day)?.pop();
    let after = counted(before.clone(), tenant, usage, now_ms);
    if before.is_none() {
        let last = day.saturating_sub(TENANT_DAYS_KEPT);
        for old in records.tenant_days(tenant.number, 0, last)? {
            changes.remove(layout::tenant_day(tenant.number, old.day));
        }
    }
    if before.as_ref() != Some(&after) {
        changes.put(layout::tenant_day(tenant.number, day), after.encode());
    }
    Ok(())
}

impl Records {
    /// A tenant; the default one is always there.
    pub(super) fn tenant(&self, number: u64) -> Result<Option<Tenant>, StorageError> {
        let value = self.get(&layout::tenant(number))?;
        let tenant = value.map(|value| Tenant::decode(&value).map_err(|error| corrupt("a tenant", &error)));
        let tenant = tenant.transpose()?;
        Ok(tenant.or_else(|| (number == DEFAULT_TENANT).then(Tenant::default_tenant)))
    }

    /// The tenant of an account or of an invitation, which is there.
    pub(super) fn tenant_of(&self, number: u64) -> Result<Tenant, StorageError> {
        self.tenant(number)?.ok_or_else(|| StorageError::Corrupt(format!("tenant {number} is missing")))
    }

    /// All tenants, in the order of their numbers.
    pub(super) fn tenants(&self) -> Result<Vec<Tenant>, StorageError> {
        let mut tenants = Vec::new();
        for item in self.scan(layout::TENANTS) {
            tenants.push(Tenant::decode(&item?.1).map_err(|error| corrupt("a tenant", &error))?);
        }
        if tenants.first().is_none_or(|first| first.number != DEFAULT_TENANT) {
            tenants.insert(0, Tenant::default_tenant());
        }
        Ok(tenants)
    }

    /// What was counted of a tenant, both days included.
    pub(super) fn tenant_days(&self, number: u64, first: u32, last: u32) -> Result<Vec<TenantDay>, StorageError> {
        if first > last {
            return Ok(Vec::new());
        }
        let bound = |day| Bound::Included(layout::tenant_day(number, day));
        let mut days = Vec::new();
        for item in self.range(bound(first), bound(last)) {
            days.push(TenantDay::decode(&item?.1).map_err(|error| corrupt("a tenant's day", &error))?);
        }
        Ok(days)
    }
}
