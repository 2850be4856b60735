//! A store that never announces anything and takes its time: wake-ups are hints, and slow commits happen.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::tenant::{Tenant, TenantDay, TenantTerms, TenantUsage};
use medipeps_server::storage::{
    Account, AcknowledgeError, BeginBlobError, BlobError, BlobPiece, BlobProgress, BlobRange, BlobUsage,
    CreateGroupLogError, DeliveryKeysError, DeviceWake, DeviceWakeStorage, DrawError, EnqueueError, EnqueueOutcome,
    ExpireCounts, ExportError, GroupAppend, GroupAppendError, GroupAppendOutcome, GroupEntries, GroupEpoch,
    GroupLogError, GroupUsage, GroupWake, GroupWakeError, ImportError, InspectedAccount, InspectedGroupLog, Invitation,
    InvitationError, KeyPackageError, KeyPackageSet, KeyPackageStatus, MemoryStorage, NewBlob, NewGroupLog,
    NewGroupWake, OperatedStorage, PieceOutcome, PrekeyError, PrekeySet, PrekeyStatus, QueueError, QueuedEnvelope,
    RedeemError, Redemption, RegisterError, RegisterOutcome, Registration, ReplaceOutcome, StatementError, Storage,
    StorageError, StorageLimits, StoreMetrics, StoredIssuerKey, Submission, SuspendError, TakenKeyPackage,
    TakenPrekeys, Taking, TenantError, TenantStorage, TokenDraw, TokenStorage, Verification, VerifyStorage,
    VoucherDraw, WakeStorage,
};
use tokio::sync::watch;

pub struct StubbornStorage {
    pub inner: Arc<MemoryStorage>,
    /// How long a submission takes.
    pub enqueue_takes: Duration,
    /// Kept, so that those who watch wait for ever.
    pub silence: watch::Sender<u64>,
}

#[async_trait]
impl Storage for StubbornStorage {
    fn incarnation(&self) -> [u8; 16] {
        self.inner.incarnation()
    }
    fn failure(&self) -> watch::Receiver<Option<StorageError>> {
        self.inner.failure()
    }
    async fn create_invitation(&self, hash: [u8; 32], invitation: Invitation) -> Result<(), InvitationError> {
        self.inner.create_invitation(hash, invitation).await
    }
    async fn register(&self, registration: Registration) -> Result<RegisterOutcome, RegisterError> {
        self.inner.register(registration).await
    }
    async fn account(&self, address: &Address) -> Result<Option<Account>, StorageError> {
        self.inner.account(address).await
    }
    async fn replace_statement(
        &self,
        address: &Address,
        expected_version: u64,
        statement: Vec<u8>,
        new_version: u64,
        devices: Vec<u32>,
    ) -> Result<ReplaceOutcome, StatementError> {
        self.inner.replace_statement(address, expected_version, statement, new_version, devices).await
    }
    async fn delete_account(&self, address: &Address, statement_version: u64) -> Result<(), StatementError> {
        self.inner.delete_account(address, statement_version).await
    }
    async fn put_prekeys(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        prekeys: PrekeySet,
    ) -> Result<(), PrekeyError> {
        self.inner.put_prekeys(address, device, sequence, prekeys).await
    }
    async fn take_prekeys(&self, address: &Address, taking: Taking) -> Result<Vec<TakenPrekeys>, PrekeyError> {
        self.inner.take_prekeys(address, taking).await
    }
    async fn prekey_status(&self, address: &Address, device: u32) -> Result<PrekeyStatus, PrekeyError> {
        self.inner.prekey_status(address, device).await
    }
    async fn enqueue(&self, submission: Submission) -> Result<EnqueueOutcome, EnqueueError> {
        tokio::time::sleep(self.enqueue_takes).await;
        self.inner.enqueue(submission).await
    }
    async fn fetch(
        &self,
        address: &Address,
        device: u32,
        after: u64,
        limit: usize,
    ) -> Result<Vec<QueuedEnvelope>, QueueError> {
        self.inner.fetch(address, device, after, limit).await
    }
    async fn acknowledge(
        &self,
        address: &Address,
        device: u32,
        incarnation: [u8; 16],
        up_to: u64,
    ) -> Result<(), AcknowledgeError> {
        self.inner.acknowledge(address, device, incarnation, up_to).await
    }
    async fn watch(&self, _address: &Address, _device: u32) -> Result<watch::Receiver<u64>, QueueError> {
        Ok(self.silence.subscribe())
    }
    async fn expire(&self, now_ms: u64) -> Result<ExpireCounts, StorageError> {
        self.inner.expire(now_ms).await
    }
    async fn expired_count(&self, address: &Address, device: u32) -> Result<u64, QueueError> {
        self.inner.expired_count(address, device).await
    }
    async fn settle_expired(&self, address: &Address, device: u32, count: u64) -> Result<(), QueueError> {
        self.inner.settle_expired(address, device, count).await
    }
    async fn report_generation(&self, address: &Address, device: u32, generation: u64) -> Result<u64, QueueError> {
        self.inner.report_generation(address, device, generation).await
    }
    async fn begin_blob(&self, blob: NewBlob) -> Result<BlobProgress, BeginBlobError> {
        self.inner.begin_blob(blob).await
    }
    async fn put_blob_piece(&self, piece: BlobPiece) -> Result<PieceOutcome, BlobError> {
        self.inner.put_blob_piece(piece).await
    }
    async fn read_blob(&self, id: &[u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError> {
        self.inner.read_blob(id, offset, length).await
    }
    async fn delete_blob(&self, id: &[u8; 32], secret_hash: &[u8; 32]) -> Result<(), BlobError> {
        self.inner.delete_blob(id, secret_hash).await
    }
    async fn blob_usage(&self) -> Result<BlobUsage, StorageError> {
        self.inner.blob_usage().await
    }
    async fn export(&self, writer: Box<dyn Write + Send>) -> Result<(), ExportError> {
        self.inner.export(writer).await
    }
    async fn import(&self, reader: Box<dyn Read + Send>) -> Result<(), ImportError> {
        self.inner.import(reader).await
    }
    async fn inspect(&self, after: Option<&Address>, limit: usize) -> Result<Vec<InspectedAccount>, StorageError> {
        self.inner.inspect(after, limit).await
    }
    async fn put_key_packages(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        packages: KeyPackageSet,
    ) -> Result<(), KeyPackageError> {
        self.inner.put_key_packages(address, device, sequence, packages).await
    }
    async fn take_key_packages(
        &self,
        address: &Address,
        taking: Taking,
    ) -> Result<Vec<TakenKeyPackage>, KeyPackageError> {
        self.inner.take_key_packages(address, taking).await
    }
    async fn key_package_status(&self, address: &Address, device: u32) -> Result<KeyPackageStatus, KeyPackageError> {
        self.inner.key_package_status(address, device).await
    }
    async fn create_group_log(&self, log: NewGroupLog) -> Result<(), CreateGroupLogError> {
        self.inner.create_group_log(log).await
    }
    async fn append_group_entry(&self, append: GroupAppend) -> Result<GroupAppendOutcome, GroupAppendError> {
        self.inner.append_group_entry(append).await
    }
    async fn group_epoch(&self, log_id: &[u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError> {
        self.inner.group_epoch(log_id, epoch).await
    }
    async fn fetch_group_entries(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<GroupEntries, GroupLogError> {
        self.inner.fetch_group_entries(log_id, epoch, after, limit, bytes).await
    }
    async fn watch_group_log(&self, _log_id: &[u8; 32]) -> Result<watch::Receiver<u64>, GroupLogError> {
        Ok(self.silence.subscribe())
    }
    async fn group_usage(&self) -> Result<GroupUsage, StorageError> {
        self.inner.group_usage().await
    }
    async fn inspect_account(&self, address: &Address) -> Result<Option<InspectedAccount>, StorageError> {
        self.inner.inspect_account(address).await
    }
    async fn inspect_group_logs(
        &self,
        after: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<InspectedGroupLog>, StorageError> {
        self.inner.inspect_group_logs(after, limit).await
    }
}

#[async_trait]
impl TokenStorage for StubbornStorage {
    async fn issuer_keys(&self) -> Result<Vec<StoredIssuerKey>, StorageError> {
        self.inner.issuer_keys().await
    }
    async fn put_issuer_key(&self, key: StoredIssuerKey) -> Result<(), StorageError> {
        self.inner.put_issuer_key(key).await
    }
    async fn draw_tokens(&self, address: &Address, draw: TokenDraw) -> Result<(), DrawError> {
        self.inner.draw_tokens(address, draw).await
    }
    async fn draw_voucher(&self, address: &Address, draw: VoucherDraw) -> Result<(), DrawError> {
        self.inner.draw_voucher(address, draw).await
    }
    async fn redeem_voucher(&self, redemption: Redemption) -> Result<(), RedeemError> {
        self.inner.redeem_voucher(redemption).await
    }
    async fn set_delivery_keys(&self, address: &Address, hashes: Vec<[u8; 32]>) -> Result<(), DeliveryKeysError> {
        self.inner.set_delivery_keys(address, hashes).await
    }
    async fn withheld_since(&self, address: &Address, device: u32) -> Result<u64, QueueError> {
        self.inner.withheld_since(address, device).await
    }
    async fn settle_withheld(&self, address: &Address, device: u32, since: u64) -> Result<(), QueueError> {
        self.inner.settle_withheld(address, device, since).await
    }
}

#[async_trait]
impl OperatedStorage for StubbornStorage {
    fn set_limits(&self, limits: StorageLimits) {
        self.inner.set_limits(limits);
    }
    fn metrics(&self) -> StoreMetrics {
        self.inner.metrics()
    }
    fn check_space(&self) -> Result<(), StorageError> {
        self.inner.check_space()
    }
    async fn move_to_end(&self, address: &Address, device: u32, sequence: u64) -> Result<Option<u64>, QueueError> {
        self.inner.move_to_end(address, device, sequence).await
    }
}

#[async_trait]
impl WakeStorage for StubbornStorage {
    async fn set_group_wake(&self, wake: NewGroupWake) -> Result<(), GroupWakeError> {
        self.inner.set_group_wake(wake).await
    }
    async fn remove_group_wake(&self, log_id: [u8; 32], handle: [u8; 16]) -> Result<(), StorageError> {
        self.inner.remove_group_wake(log_id, handle).await
    }
    async fn drop_group_wake(&self, wake: GroupWake) -> Result<(), StorageError> {
        self.inner.drop_group_wake(wake).await
    }
    async fn group_wakes(&self, log_id: [u8; 32], epoch: u64) -> Result<Vec<GroupWake>, StorageError> {
        self.inner.group_wakes(log_id, epoch).await
    }
    async fn unsettled_group_wakes(&self, since_ms: u64) -> Result<Vec<GroupWake>, StorageError> {
        self.inner.unsettled_group_wakes(since_ms).await
    }
}

#[async_trait]
impl DeviceWakeStorage for StubbornStorage {
    async fn set_device_wake(
        &self,
        address: &Address,
        device: u32,
        endpoint: Option<PushEndpoint>,
    ) -> Result<(), QueueError> {
        self.inner.set_device_wake(address, device, endpoint).await
    }
    async fn drop_device_wake(&self, wake: DeviceWake) -> Result<(), StorageError> {
        self.inner.drop_device_wake(wake).await
    }
    async fn due_device_wake(&self, address: &Address, device: u32) -> Result<Option<DeviceWake>, StorageError> {
        self.inner.due_device_wake(address, device).await
    }
    async fn due_device_wakes(&self) -> Result<Vec<DeviceWake>, StorageError> {
        self.inner.due_device_wakes().await
    }
}

#[async_trait]
impl TenantStorage for StubbornStorage {
    async fn create_tenant(&self, terms: TenantTerms, now_ms: u64) -> Result<u64, TenantError> {
        self.inner.create_tenant(terms, now_ms).await
    }
    async fn change_tenant(&self, number: u64, terms: TenantTerms) -> Result<(), TenantError> {
        self.inner.change_tenant(number, terms).await
    }
    async fn remove_tenant(&self, number: u64) -> Result<(), TenantError> {
        self.inner.remove_tenant(number).await
    }
    async fn tenant(&self, number: u64) -> Result<Option<Tenant>, StorageError> {
        self.inner.tenant(number).await
    }
    async fn tenants(&self) -> Result<Vec<(Tenant, TenantUsage)>, StorageError> {
        self.inner.tenants().await
    }
    async fn count_tenants(&self, now_ms: u64) -> Result<(), StorageError> {
        self.inner.count_tenants(now_ms).await
    }
    async fn tenant_days(&self, number: u64, first_day: u32, last_day: u32) -> Result<Vec<TenantDay>, StorageError> {
        self.inner.tenant_days(number, first_day, last_day).await
    }
    async fn set_suspended(&self, address: &Address, suspended: bool) -> Result<(), SuspendError> {
        self.inner.set_suspended(address, suspended).await
    }
}

#[async_trait]
impl VerifyStorage for StubbornStorage {
    async fn verify(&self) -> Result<Verification, StorageError> {
        self.inner.verify().await
    }
}
