//! The reference engine: everything in memory, one lock, and faults on request. For simulation and for comparison.

mod blobs;
mod device_wakes;
mod group_logs;
mod group_wakes;
mod loading;
mod operating;
mod state;
mod tenants;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::wire::server_storage::{
    BlobRecord, ExportRecord, ExportedBlob, ExportedGroupEntry, InvitationRecord,
};
use medipeps_core::wire::transport::Lane;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use self::loading::Loading;
use self::state::State;
use super::account::{check_statement_length, distinct_devices};
use super::export::{ExportWriter, read_export};
use super::{
    Account, AcknowledgeError, BeginBlobError, BlobError, BlobPiece, BlobProgress, BlobRange, BlobUsage,
    CreateGroupLogError, EnqueueError, EnqueueOutcome, ExpireCounts, ExportError, GroupAppend, GroupAppendError,
    GroupAppendOutcome, GroupEntries, GroupEpoch, GroupLogError, GroupQuota, GroupUsage, ImportError, InspectedAccount,
    InspectedGroupLog, Invitation, InvitationError, KeyPackageError, KeyPackageSet, KeyPackageStatus, NewBlob,
    NewGroupLog, OperatedStorage, PieceOutcome, PrekeyError, PrekeySet, PrekeyStatus, QueueError, QueueQuota,
    QueuedEnvelope, RegisterError, RegisterOutcome, Registration, ReplaceOutcome, StatementError, Storage,
    StorageError, StorageLimits, StoreMetrics, Submission, TakenKeyPackage, TakenPrekeys, Taking,
};
use crate::limits::{BLOBS_BYTES_MAX, FETCH_ENVELOPES_MAX, INSPECT_ACCOUNTS_MAX, INSPECT_GROUP_LOGS_MAX};

/// A store in memory. It keeps nothing over the life of the value, but [`MemoryStorage::restart`] stands for the next
/// start of the process.
#[derive(Debug)]
pub struct MemoryStorage {
    limits: Mutex<StorageLimits>,
    metrics: StoreMetrics,
    low_space: AtomicBool,
    state: Mutex<State>,
    failure: watch::Sender<Option<StorageError>>,
}

/// How the next commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it reaches the disk.
    BeforeCommit,
    /// All of it is on the disk, and the caller is told that it failed.
    AfterCommit,
}

impl MemoryStorage {
    /// An empty store.
    #[must_use]
    pub fn new(quota: QueueQuota, incarnation: [u8; 16]) -> Self {
        let state = State { incarnation, ..State::default() };
        let (state, failure) = (Mutex::new(state), watch::Sender::new(None));
        let (groups, blob_bytes_max) = (GroupQuota::default(), BLOBS_BYTES_MAX);
        let limits = Mutex::new(StorageLimits { queue: quota, blob_bytes_max, groups, free_space_floor: 0 });
        let metrics = StoreMetrics::default();
        Self { limits, metrics, low_space: AtomicBool::new(false), state, failure }
    }

    /// Bounds what group logs may hold.
    #[must_use]
    pub fn with_group_quota(self, group_quota: GroupQuota) -> Self {
        self.change_limits(|limits| limits.groups = group_quota);
        self
    }

    /// Bounds the bytes of all blobs together.
    #[must_use]
    pub fn with_blob_bytes_max(self, blob_bytes_max: u64) -> Self {
        self.change_limits(|limits| limits.blob_bytes_max = blob_bytes_max);
        self
    }

    /// Makes the disk full, or gives it room again: until then nothing new is taken.
    pub fn set_low_space(&self, low: bool) {
        self.low_space.store(low, Ordering::Relaxed);
    }

    /// Makes the next commit fail. From then on every operation fails, until [`MemoryStorage::restart`].
    pub fn fail_next_commit(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// Stands for the next start of the server: what was committed is there, whoever watched is cut off, and the engine
    /// works again.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.fault = None;
        for device in state.accounts.values_mut().flat_map(|account| account.devices.values_mut()) {
            device.hint = watch::Sender::new(device.queue.highest_sequence);
        }
        for log in state.group_logs.values_mut() {
            log.hint = watch::Sender::new(log.record.highest_sequence);
        }
        self.failure.send_replace(None);
    }

    /// Whoever held the lock when a thread died left nothing half done: changes are made on a copy.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        match &*self.failure.borrow() {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.lock()),
        }
    }

    /// Runs a transaction: what it changed is kept only if it succeeds and no fault was asked for.
    fn commit<T, E: From<StorageError>>(&self, transaction: impl FnOnce(&mut State) -> Result<T, E>) -> Result<T, E> {
        let mut state = self.read()?;
        let mut changed = state.clone();
        let answer = transaction(&mut changed)?;
        let fault = state.fault.take();
        changed.fault = None;
        if fault != Some(Fault::BeforeCommit) {
            *state = changed;
        }
        self.measure(&state);
        if fault.is_some() {
            let failure = StorageError::Failed("a fault was injected".into());
            self.failure.send_replace(Some(failure.clone()));
            return Err(failure.into());
        }
        for device in state.accounts.values().flat_map(|account| account.devices.values()) {
            let highest = device.queue.highest_sequence;
            device.hint.send_if_modified(|hint| std::mem::replace(hint, highest) != highest);
        }
        for log in state.group_logs.values() {
            let highest = log.record.highest_sequence;
            log.hint.send_if_modified(|hint| std::mem::replace(hint, highest) != highest);
        }
        Ok(answer)
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    fn incarnation(&self) -> [u8; 16] {
        self.lock().incarnation
    }

    fn failure(&self) -> watch::Receiver<Option<StorageError>> {
        self.failure.subscribe()
    }

    async fn create_invitation(&self, hash: [u8; 32], invitation: Invitation) -> Result<(), InvitationError> {
        invitation.check_lengths()?;
        self.commit(|state| {
            if state.invitations.contains_key(&hash) {
                return Err(InvitationError::Exists);
            }
            let Invitation { organisation, expires_ms: expires, tenant, address } = invitation;
            state.tenants.get(tenant).ok_or(InvitationError::UnknownTenant)?;
            let record = InvitationRecord { organisation, expires, used: None, tenant, address };
            state.invitations.insert(hash, record);
            Ok(())
        })
    }

    async fn register(&self, registration: Registration) -> Result<RegisterOutcome, RegisterError> {
        registration.check_lengths()?;
        self.check_space()?;
        self.commit(|state| state.register(registration))
    }

    async fn account(&self, address: &Address) -> Result<Option<Account>, StorageError> {
        let state = self.read()?;
        let Some(account) = state.accounts.get(address) else { return Ok(None) };
        Ok(Some(Account {
            statement: account.statement.clone(),
            statement_version: account.record.statement_version,
            organisation: account.record.organisation.clone(),
            devices: account.record.devices.clone(),
            created_ms: account.record.created,
            delivery_keys: account.record.delivery_keys.clone(),
            tenant: account.record.tenant,
            suspended: account.record.suspended,
            tenant_suspended: state.tenant_of(account.record.tenant)?.terms.suspended,
        }))
    }

    async fn replace_statement(
        &self,
        address: &Address,
        expected_version: u64,
        statement: Vec<u8>,
        new_version: u64,
        devices: Vec<u32>,
    ) -> Result<ReplaceOutcome, StatementError> {
        check_statement_length(&statement)?;
        let devices = distinct_devices(devices).ok_or(StatementError::Devices)?;
        self.commit(|state| {
            let account = state.accounts.get_mut(address).ok_or(StatementError::UnknownAccount)?;
            let current = account.record.statement_version;
            if current == new_version && account.statement == statement {
                return Ok(ReplaceOutcome { repeated: true });
            }
            if current != expected_version || current.checked_add(1) != Some(new_version) {
                return Err(StatementError::WrongVersion { current });
            }
            account.devices.retain(|device, _| devices.contains(device));
            for device in &devices {
                account.devices.entry(*device).or_default();
            }
            account.record.statement_version = new_version;
            account.record.statement_length = u32::try_from(statement.len()).unwrap_or(u32::MAX);
            account.record.devices = devices;
            account.statement = statement;
            Ok(ReplaceOutcome { repeated: false })
        })
    }

    async fn delete_account(&self, address: &Address, statement_version: u64) -> Result<(), StatementError> {
        self.commit(|state| {
            let account = state.accounts.get(address).ok_or(StatementError::UnknownAccount)?;
            let current = account.record.statement_version;
            if current != statement_version {
                return Err(StatementError::WrongVersion { current });
            }
            state.accounts.remove(address);
            Ok(())
        })
    }

    async fn put_prekeys(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        prekeys: PrekeySet,
    ) -> Result<(), PrekeyError> {
        self.check_space()?;
        self.commit(|state| state.device_mut(address, device).ok_or(PrekeyError::UnknownDevice)?.put(sequence, prekeys))
    }

    async fn take_prekeys(&self, address: &Address, taking: Taking) -> Result<Vec<TakenPrekeys>, PrekeyError> {
        self.commit(|state| {
            if !state.accounts.contains_key(address) {
                return Err(PrekeyError::UnknownDevice);
            }
            let repeated = state.take::<PrekeyError>(&taking.spend)?;
            let account = state.accounts.get_mut(address).ok_or(PrekeyError::UnknownDevice)?;
            let taken = account.devices.iter_mut().filter_map(|(id, device)| device.take(*id, &taking, repeated));
            Ok(taken.collect())
        })
    }

    async fn prekey_status(&self, address: &Address, device: u32) -> Result<PrekeyStatus, PrekeyError> {
        let state = self.read()?;
        let device = state.device(address, device).ok_or(PrekeyError::UnknownDevice)?;
        Ok(PrekeyStatus {
            one_time: device.one_time.len(),
            one_time_kem: device.one_time_kem.len(),
            sequence: device.prekeys.as_ref().map_or(0, |prekeys| prekeys.sequence),
        })
    }

    async fn enqueue(&self, submission: Submission) -> Result<EnqueueOutcome, EnqueueError> {
        submission.check_lengths()?;
        self.check_space()?;
        let envelopes = submission.envelopes.len() as u64;
        let taken = self.commit(|state| state.enqueue(submission, self.limits().queue))?;
        if taken == (EnqueueOutcome::Accepted { duplicate: false }) {
            self.metrics.enqueued.inc_by(envelopes);
        }
        Ok(taken)
    }

    async fn fetch(
        &self,
        address: &Address,
        device: u32,
        after: u64,
        limit: usize,
    ) -> Result<Vec<QueuedEnvelope>, QueueError> {
        let state = self.read()?;
        let device = state.device(address, device).ok_or(QueueError::UnknownDevice)?;
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        Ok(device
            .envelopes
            .range(first..)
            .take(limit.min(FETCH_ENVELOPES_MAX))
            .map(|(sequence, envelope)| QueuedEnvelope {
                sequence: *sequence,
                received_ms: envelope.received,
                envelope: envelope.bytes.clone(),
                lane: envelope.lane,
            })
            .collect())
    }

    async fn acknowledge(
        &self,
        address: &Address,
        device: u32,
        incarnation: [u8; 16],
        up_to: u64,
    ) -> Result<(), AcknowledgeError> {
        let acknowledged = self.commit(|state| {
            let foreign = state.incarnation != incarnation;
            let device = state.device_mut(address, device).ok_or(AcknowledgeError::UnknownDevice)?;
            let highest = device.queue.highest_sequence;
            if foreign {
                return Err(AcknowledgeError::ForeignIncarnation);
            }
            if up_to > highest {
                return Err(AcknowledgeError::BeyondAssigned { highest });
            }
            Ok::<_, AcknowledgeError>(device.drop_envelopes(|sequence, _| sequence <= up_to))
        })?;
        self.metrics.acknowledged.inc_by(acknowledged);
        Ok(())
    }

    async fn watch(&self, address: &Address, device: u32) -> Result<watch::Receiver<u64>, QueueError> {
        let state = self.read()?;
        Ok(state.device(address, device).ok_or(QueueError::UnknownDevice)?.hint.subscribe())
    }

    async fn expire(&self, now_ms: u64) -> Result<ExpireCounts, StorageError> {
        let counts = self.commit(|state| Ok::<_, StorageError>(state.expire(now_ms)))?;
        self.metrics.expired.inc_by(counts.envelopes);
        Ok(counts)
    }

    async fn expired_count(&self, address: &Address, device: u32) -> Result<u64, QueueError> {
        Ok(self.read()?.device(address, device).ok_or(QueueError::UnknownDevice)?.queue.expired)
    }

    async fn settle_expired(&self, address: &Address, device: u32, count: u64) -> Result<(), QueueError> {
        self.commit(|state| {
            let queue = &mut state.device_mut(address, device).ok_or(QueueError::UnknownDevice)?.queue;
            queue.expired = queue.expired.saturating_sub(count);
            Ok(())
        })
    }

    async fn report_generation(&self, address: &Address, device: u32, generation: u64) -> Result<u64, QueueError> {
        self.commit(|state| {
            let queue = &mut state.device_mut(address, device).ok_or(QueueError::UnknownDevice)?.queue;
            let before = queue.generation;
            queue.generation = before.max(generation);
            Ok(before)
        })
    }

    async fn begin_blob(&self, blob: NewBlob) -> Result<BlobProgress, BeginBlobError> {
        self.check_space()?;
        self.commit(|state| state.begin_blob(&blob, self.limits().blob_bytes_max))
    }

    async fn put_blob_piece(&self, piece: BlobPiece) -> Result<PieceOutcome, BlobError> {
        piece.check_length()?;
        self.check_space()?;
        self.commit(|state| state.put_blob_piece(piece))
    }

    async fn read_blob(&self, id: &[u8; 32], offset: u64, length: u32) -> Result<BlobRange, BlobError> {
        self.read()?.read_blob(id, offset, length)
    }

    async fn delete_blob(&self, id: &[u8; 32], secret_hash: &[u8; 32]) -> Result<(), BlobError> {
        self.commit(|state| state.delete_blob(id, secret_hash))
    }

    async fn blob_usage(&self) -> Result<BlobUsage, StorageError> {
        Ok(self.read()?.blob_usage())
    }

    async fn put_key_packages(
        &self,
        address: &Address,
        device: u32,
        sequence: u64,
        packages: KeyPackageSet,
    ) -> Result<(), KeyPackageError> {
        self.check_space()?;
        self.commit(|state| {
            let device = state.device_mut(address, device).ok_or(KeyPackageError::UnknownDevice)?;
            device.put_packages(sequence, packages)
        })
    }

    async fn take_key_packages(
        &self,
        address: &Address,
        taking: Taking,
    ) -> Result<Vec<TakenKeyPackage>, KeyPackageError> {
        self.commit(|state| {
            if !state.accounts.contains_key(address) {
                return Err(KeyPackageError::UnknownDevice);
            }
            let withhold = state.take::<KeyPackageError>(&taking.spend)? || taking.withhold;
            let account = state.accounts.get_mut(address).ok_or(KeyPackageError::UnknownDevice)?;
            Ok(account.devices.iter_mut().filter_map(|(id, device)| device.take_package(*id, withhold)).collect())
        })
    }

    async fn key_package_status(&self, address: &Address, device: u32) -> Result<KeyPackageStatus, KeyPackageError> {
        let state = self.read()?;
        let device = state.device(address, device).ok_or(KeyPackageError::UnknownDevice)?;
        let sequence = device.key_packages.as_ref().map_or(0, |(stored, _)| stored.sequence);
        Ok(KeyPackageStatus { one_time: device.one_time_packages.len(), sequence })
    }

    async fn create_group_log(&self, log: NewGroupLog) -> Result<(), CreateGroupLogError> {
        self.check_space()?;
        self.commit(|state| state.create_group_log(log, self.limits().groups))
    }

    async fn append_group_entry(&self, append: GroupAppend) -> Result<GroupAppendOutcome, GroupAppendError> {
        append.check_length()?;
        self.check_space()?;
        self.commit(|state| state.append_group_entry(append, self.limits().groups))
    }

    async fn group_epoch(&self, log_id: &[u8; 32], epoch: u64) -> Result<GroupEpoch, GroupLogError> {
        self.read()?.group_epoch(log_id, epoch)
    }

    async fn fetch_group_entries(
        &self,
        log_id: &[u8; 32],
        epoch: u64,
        after: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<GroupEntries, GroupLogError> {
        self.read()?.fetch_group_entries(log_id, epoch, after, limit, bytes)
    }

    async fn watch_group_log(&self, log_id: &[u8; 32]) -> Result<watch::Receiver<u64>, GroupLogError> {
        Ok(self.read()?.group_logs.get(log_id).ok_or(GroupLogError::UnknownLog)?.hint.subscribe())
    }

    async fn group_usage(&self) -> Result<GroupUsage, StorageError> {
        Ok(self.read()?.group_usage)
    }

    async fn export(&self, writer: Box<dyn io::Write + Send>) -> Result<(), ExportError> {
        let state = self.read()?;
        let mut export = ExportWriter::new(writer)?;
        for tenant in state.tenants.all() {
            let number = tenant.number;
            let days = state.tenants.days.range((number, 0)..=(number, u32::MAX)).map(|(_, day)| day.clone());
            export.write_tenant(tenant, days.map(|day| ExportRecord::TenantDay { tenant: number, day }))?;
        }
        for (hash, invitation) in &state.invitations {
            export.write(&ExportRecord::Invitation { hash: *hash, invitation: invitation.clone() })?;
        }
        for (address, account) in &state.accounts {
            export.write(&ExportRecord::Account {
                address: address.clone(),
                account: account.record.clone(),
                statement: account.statement.clone(),
            })?;
            for (id, submission) in &account.submissions {
                export.write(&ExportRecord::Submission { id: *id, submission: *submission })?;
            }
            for (device_id, device) in &account.devices {
                export.write(&ExportRecord::Device {
                    device_id: *device_id,
                    queue: device.queue,
                    prekeys: device.prekeys.clone(),
                })?;
                let used = |used: &BTreeSet<u32>, unused: &BTreeMap<u32, Vec<u8>>| -> Vec<u32> {
                    used.iter().chain(unused.keys()).copied().collect()
                };
                export.write_used(
                    &used(&device.used_one_time, &device.one_time),
                    &used(&device.used_one_time_kem, &device.one_time_kem),
                    &used(&device.used_packages, &device.one_time_packages),
                )?;
                for (sequence, envelope) in &device.envelopes {
                    export.write(&ExportRecord::Envelope {
                        sequence: *sequence,
                        received: envelope.received,
                        expires: envelope.expires,
                        envelope: envelope.bytes.clone(),
                        request_lane: envelope.lane == Lane::Request,
                    })?;
                }
            }
        }
        for (log_id, log) in &state.group_logs {
            export.write(&ExportRecord::GroupLog { log_id: *log_id, log: log.record })?;
            for (epoch, record) in &log.closed {
                export.write(&ExportRecord::GroupEpoch { epoch: *epoch, record: *record })?;
            }
            for ((epoch, sequence), entry) in &log.entries {
                export.write(&ExportRecord::GroupEntry(ExportedGroupEntry {
                    epoch: *epoch,
                    sequence: *sequence,
                    received: entry.record.received,
                    expires: entry.record.expires,
                    entry_id: entry.record.entry_id,
                    digest: entry.record.digest,
                    closes_epoch: entry.record.closes_epoch,
                    entry: entry.bytes.to_vec(),
                }))?;
            }
        }
        for (id, blob) in state.blobs.iter().filter(|(_, blob)| blob.record.is_complete()) {
            let BlobRecord { length, secret_hash, begun, expires, .. } = blob.record;
            export.write(&ExportRecord::Blob(ExportedBlob { id: *id, length, secret_hash, begun, expires }))?;
            for piece in blob.pieces.values() {
                export.write(&ExportRecord::BlobPiece(piece.to_vec()))?;
            }
        }
        export.finish()
    }

    async fn import(&self, mut reader: Box<dyn io::Read + Send>) -> Result<(), ImportError> {
        let mut loading = Loading::default();
        read_export(reader.as_mut(), &mut |record| {
            loading.add(record);
            Ok(())
        })?;
        let mut loaded = loading.finish();
        self.commit(|state| {
            let accounts = state.accounts.is_empty() && state.invitations.is_empty();
            let accounts = accounts && state.tenants.tenants.is_empty();
            if !accounts || !state.blobs.is_empty() || !state.group_logs.is_empty() {
                return Err(ImportError::NotEmpty);
            }
            // Drawn from the one before, because a simulation must run the same way from the same seed.
            let drawn = Sha256::digest(state.incarnation);
            loaded.incarnation.copy_from_slice(&drawn[..16]);
            *state = loaded;
            Ok(())
        })
    }

    async fn inspect(&self, after: Option<&Address>, limit: usize) -> Result<Vec<InspectedAccount>, StorageError> {
        Ok(self
            .read()?
            .accounts
            .iter()
            .filter(|(address, _)| after.is_none_or(|after| *address > after))
            .take(limit.min(INSPECT_ACCOUNTS_MAX))
            .map(|(address, account)| account.inspect(address))
            .collect())
    }

    async fn inspect_account(&self, address: &Address) -> Result<Option<InspectedAccount>, StorageError> {
        Ok(self.read()?.accounts.get(address).map(|account| account.inspect(address)))
    }

    async fn inspect_group_logs(
        &self,
        after: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<InspectedGroupLog>, StorageError> {
        let state = self.read()?;
        let logs = state.group_logs.iter().filter(|(log_id, _)| after.is_none_or(|after| **log_id > after));
        let logs = logs.take(limit.min(INSPECT_GROUP_LOGS_MAX));
        Ok(logs.map(|(log_id, log)| log.inspect(*log_id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::conformance::{self, Engine, ROOMY, conformance_suite, register, submission};

    struct MemoryEngine(Arc<MemoryStorage>);

    impl Engine for MemoryEngine {
        fn with_blobs(quota: QueueQuota, blob_bytes_max: u64) -> Self {
            // Two stores must differ; a simulation draws this from its seed.
            let mut incarnation = [0; 16];
            getrandom::fill(&mut incarnation).unwrap();
            Self(Arc::new(MemoryStorage::new(quota, incarnation).with_blob_bytes_max(blob_bytes_max)))
        }

        fn with_groups(quota: GroupQuota) -> Self {
            let mut incarnation = [0; 16];
            getrandom::fill(&mut incarnation).unwrap();
            Self(Arc::new(MemoryStorage::new(ROOMY, incarnation).with_group_quota(quota)))
        }

        fn set_low_space(&self, low: bool) {
            self.0.set_low_space(low);
        }

        fn reopen(&mut self) {
            self.0.restart();
        }

        fn storage(&self) -> Arc<dyn Storage> {
            Arc::clone(&self.0) as Arc<dyn Storage>
        }
    }

    conformance_suite!(MemoryEngine);

    #[tokio::test]
    async fn a_failed_commit_confirms_nothing_and_stops_the_engine() {
        for (fault, stored) in [(Fault::BeforeCommit, false), (Fault::AfterCommit, true)] {
            let storage = MemoryStorage::new(ROOMY, [1; 16]);
            let who = register(&storage, "a@x", &[1]).await;
            let mut failure = storage.failure();
            storage.fail_next_commit(fault);
            let failed = storage.enqueue(submission(&who, 1, &[(1, 10)])).await;
            assert!(matches!(failed, Err(EnqueueError::Storage(StorageError::Failed(_)))), "{failed:?}");
            assert!(failure.has_changed().unwrap() && failure.borrow_and_update().is_some());
            assert!(storage.fetch(&who, 1, 0, 1).await.is_err(), "nothing is served after a failure");
            storage.restart();
            let repeat = storage.enqueue(submission(&who, 1, &[(1, 10)])).await;
            assert_eq!(repeat, Ok(EnqueueOutcome::Accepted { duplicate: stored }));
            assert_eq!(storage.fetch(&who, 1, 0, 9).await.unwrap().len(), 1);
        }
    }

    #[tokio::test]
    async fn an_import_draws_the_same_incarnation_from_the_same_one() {
        let source = MemoryStorage::new(ROOMY, [1; 16]);
        let exported = conformance::export(&source).await;
        let (first, second) = (MemoryStorage::new(ROOMY, [2; 16]), MemoryStorage::new(ROOMY, [2; 16]));
        first.import(Box::new(io::Cursor::new(exported.clone()))).await.unwrap();
        second.import(Box::new(io::Cursor::new(exported))).await.unwrap();
        assert_eq!(first.incarnation(), second.incarnation());
        assert_ne!(first.incarnation(), [2; 16]);
    }
}
