//! The reference engine: everything in memory, one lock, and faults on request. For simulation and for comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::wire::server_storage::{
    AccountRecord, ExportRecord, InvitationRecord, InvitationUse, PrekeysRecord, QueueRecord, SubmissionRecord,
};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::account::{check_statement_length, distinct_devices};
use super::export::{ExportWriter, read_export};
use super::{
    Account, AcknowledgeError, EnqueueError, EnqueueOutcome, ExpireCounts, ExportError, ImportError, InspectedAccount,
    InspectedDevice, InspectedEnvelope, Invitation, InvitationError, PrekeyError, PrekeySet, PrekeyStatus, QueueError,
    QueueQuota, QueuedEnvelope, RegisterError, RegisterOutcome, Registration, ReplaceOutcome, StatementError, Storage,
    StorageError, Submission, TakenKem, TakenPrekeys,
};
use crate::limits::{
    FETCH_ENVELOPES_MAX, INSPECT_ACCOUNTS_MAX, INVITATION_RECORD_RETENTION_MS, ONE_TIME_PREKEYS_STORED_MAX,
    SUBMISSION_RECORD_RETENTION_MS,
};

/// A store in memory. It keeps nothing over the life of the value, but [`MemoryStorage::restart`] stands for the next
/// start of the process.
#[derive(Debug)]
pub struct MemoryStorage {
    quota: QueueQuota,
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

#[derive(Debug, Clone, Default)]
struct State {
    incarnation: [u8; 16],
    last_account: u64,
    invitations: BTreeMap<[u8; 32], InvitationRecord>,
    accounts: BTreeMap<Address, MemoryAccount>,
    fault: Option<Fault>,
}

#[derive(Debug, Clone)]
struct MemoryAccount {
    record: AccountRecord,
    statement: Vec<u8>,
    devices: BTreeMap<u32, MemoryDevice>,
    submissions: BTreeMap<[u8; 16], SubmissionRecord>,
}

#[derive(Debug, Clone, Default)]
struct MemoryDevice {
    prekeys: Option<PrekeysRecord>,
    one_time: BTreeMap<u32, Vec<u8>>,
    one_time_kem: BTreeMap<u32, Vec<u8>>,
    used_one_time: BTreeSet<u32>,
    used_one_time_kem: BTreeSet<u32>,
    queue: QueueRecord,
    envelopes: BTreeMap<u64, MemoryEnvelope>,
    hint: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
struct MemoryEnvelope {
    received: u64,
    expires: u64,
    bytes: Vec<u8>,
}

impl MemoryStorage {
    /// An empty store.
    #[must_use]
    pub fn new(quota: QueueQuota, incarnation: [u8; 16]) -> Self {
        let state = State { incarnation, ..State::default() };
        Self { quota, state: Mutex::new(state), failure: watch::Sender::new(None) }
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
        if fault.is_some() {
            let failure = StorageError::Failed("a fault was injected".into());
            self.failure.send_replace(Some(failure.clone()));
            return Err(failure.into());
        }
        for device in state.accounts.values().flat_map(|account| account.devices.values()) {
            let highest = device.queue.highest_sequence;
            device.hint.send_if_modified(|hint| std::mem::replace(hint, highest) != highest);
        }
        Ok(answer)
    }
}

impl State {
    fn device(&self, address: &Address, device: u32) -> Option<&MemoryDevice> {
        self.accounts.get(address)?.devices.get(&device)
    }

    fn device_mut(&mut self, address: &Address, device: u32) -> Option<&mut MemoryDevice> {
        self.accounts.get_mut(address)?.devices.get_mut(&device)
    }

    fn register(&mut self, registration: Registration) -> Result<RegisterOutcome, RegisterError> {
        let statement_digest: [u8; 32] = Sha256::digest(&registration.statement).into();
        let devices = distinct_devices(registration.devices.iter().map(|device| device.device_id))
            .ok_or(RegisterError::Devices)?;
        let invitation =
            self.invitations.get_mut(&registration.invitation_hash).ok_or(RegisterError::InvitationUnknown)?;
        let existing = self.accounts.get(&registration.address).map(|account| account.record.account);
        if let Some(used) = invitation.used {
            let same = existing == Some(used.account) && used.statement_digest == statement_digest;
            return if same { Ok(RegisterOutcome { repeated: true }) } else { Err(RegisterError::InvitationUsed) };
        }
        if invitation.expires <= registration.now_ms {
            return Err(RegisterError::InvitationExpired);
        }
        if existing.is_some() {
            return Err(RegisterError::AddressTaken);
        }
        self.last_account += 1;
        invitation.used = Some(InvitationUse { account: self.last_account, statement_digest });
        let record = AccountRecord {
            account: self.last_account,
            statement_version: registration.statement_version,
            statement_length: u32::try_from(registration.statement.len()).unwrap_or(u32::MAX),
            organisation: invitation.organisation.clone(),
            created: registration.now_ms,
            devices,
        };
        let mut account = MemoryAccount {
            record,
            statement: registration.statement,
            devices: BTreeMap::new(),
            submissions: BTreeMap::new(),
        };
        for device in registration.devices {
            let mut stored = MemoryDevice::default();
            stored.put(device.sequence, device.prekeys).map_err(|error| match error {
                PrekeyError::Storage(error) => RegisterError::Storage(error),
                _ => RegisterError::Devices,
            })?;
            account.devices.insert(device.device_id, stored);
        }
        self.accounts.insert(registration.address, account);
        Ok(RegisterOutcome { repeated: false })
    }

    fn enqueue(&mut self, submission: Submission, quota: QueueQuota) -> Result<EnqueueOutcome, EnqueueError> {
        let account = self.accounts.get_mut(&submission.address).ok_or(EnqueueError::UnknownRecipient)?;
        if let Some(before) = account.submissions.get(&submission.id) {
            let same = before.digest == submission.digest;
            return if same { Ok(EnqueueOutcome::Accepted { duplicate: true }) } else { Err(EnqueueError::IdReused) };
        }
        let listed: Vec<(u32, bool)> =
            account.devices.iter().map(|(id, device)| (*id, device.prekeys.is_some())).collect();
        submission.check_devices(&listed, account.record.statement_version)?;
        let mut envelopes = submission.envelopes;
        envelopes.sort_by_key(|(device, _)| *device);
        for (device, bytes) in envelopes {
            let Some(stored) = account.devices.get_mut(&device) else { continue };
            if !quota.has_room(stored.queue.messages, stored.queue.bytes, bytes.len()) {
                return Err(EnqueueError::QueueFull { device });
            }
            stored.queue.highest_sequence += 1;
            stored.queue.messages += 1;
            stored.queue.bytes += bytes.len() as u64;
            let envelope = MemoryEnvelope { received: submission.now_ms, expires: submission.expires_ms, bytes };
            stored.envelopes.insert(stored.queue.highest_sequence, envelope);
        }
        let forget = submission.now_ms.saturating_add(SUBMISSION_RECORD_RETENTION_MS);
        account.submissions.insert(submission.id, SubmissionRecord { digest: submission.digest, forget });
        Ok(EnqueueOutcome::Accepted { duplicate: false })
    }

    fn expire(&mut self, now_ms: u64) -> ExpireCounts {
        let mut counts = ExpireCounts::default();
        let before = self.invitations.len();
        self.invitations
            .retain(|_, invitation| invitation.expires.saturating_add(INVITATION_RECORD_RETENTION_MS) > now_ms);
        counts.invitations = (before - self.invitations.len()) as u64;
        for account in self.accounts.values_mut() {
            let before = account.submissions.len();
            account.submissions.retain(|_, submission| submission.forget > now_ms);
            counts.submissions += (before - account.submissions.len()) as u64;
            for device in account.devices.values_mut() {
                let expired = device.drop_envelopes(|_, envelope| envelope.expires <= now_ms);
                device.queue.expired += expired;
                counts.envelopes += expired;
            }
        }
        counts
    }
}

impl MemoryDevice {
    fn put(&mut self, sequence: u64, prekeys: PrekeySet) -> Result<(), PrekeyError> {
        prekeys.check_lengths()?;
        let digest = prekeys.digest();
        if let Some(stored) = &self.prekeys {
            if stored.sequence == sequence && stored.digest == digest {
                return Ok(());
            }
            if sequence <= stored.sequence {
                return Err(PrekeyError::OldSequence { current: stored.sequence });
            }
        }
        add_one_time(&mut self.one_time, &self.used_one_time, prekeys.one_time)?;
        add_one_time(&mut self.one_time_kem, &self.used_one_time_kem, prekeys.one_time_kem)?;
        self.prekeys = Some(PrekeysRecord {
            sequence,
            digest,
            signed_prekey: prekeys.signed_prekey,
            last_resort_kem: prekeys.last_resort_kem,
            seal: prekeys.seal,
        });
        Ok(())
    }

    fn take(&mut self, device_id: u32) -> Option<TakenPrekeys> {
        let prekeys = self.prekeys.as_ref()?;
        let one_time = self.one_time.pop_first();
        let one_time_kem = self.one_time_kem.pop_first();
        self.used_one_time.extend(one_time.as_ref().map(|(id, _)| *id));
        self.used_one_time_kem.extend(one_time_kem.as_ref().map(|(id, _)| *id));
        Some(TakenPrekeys {
            device_id,
            signed: prekeys.signed_prekey.clone(),
            one_time: one_time.map(|(_, key)| key),
            kem: one_time_kem.map_or_else(
                || TakenKem::LastResort(prekeys.last_resort_kem.clone()),
                |(_, key)| TakenKem::OneTime(key),
            ),
            seal: prekeys.seal.clone(),
        })
    }

    fn drop_envelopes(&mut self, drop: impl Fn(u64, &MemoryEnvelope) -> bool) -> u64 {
        let before = self.envelopes.len();
        self.envelopes.retain(|sequence, envelope| !drop(*sequence, envelope));
        self.queue.messages = self.envelopes.len() as u64;
        self.queue.bytes = self.envelopes.values().map(|envelope| envelope.bytes.len() as u64).sum();
        (before - self.envelopes.len()) as u64
    }
}

fn add_one_time(
    stored: &mut BTreeMap<u32, Vec<u8>>,
    used: &BTreeSet<u32>,
    keys: Vec<(u32, Vec<u8>)>,
) -> Result<(), PrekeyError> {
    for (id, key) in keys {
        if !used.contains(&id) {
            stored.entry(id).or_insert(key);
        }
    }
    if stored.len() > ONE_TIME_PREKEYS_STORED_MAX { Err(PrekeyError::TooMany) } else { Ok(()) }
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
            let Invitation { organisation, expires_ms: expires } = invitation;
            state.invitations.insert(hash, InvitationRecord { organisation, expires, used: None });
            Ok(())
        })
    }

    async fn register(&self, registration: Registration) -> Result<RegisterOutcome, RegisterError> {
        registration.check_lengths()?;
        self.commit(|state| state.register(registration))
    }

    async fn account(&self, address: &Address) -> Result<Option<Account>, StorageError> {
        Ok(self.read()?.accounts.get(address).map(|account| Account {
            statement: account.statement.clone(),
            statement_version: account.record.statement_version,
            organisation: account.record.organisation.clone(),
            devices: account.record.devices.clone(),
            created_ms: account.record.created,
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
        self.commit(|state| state.device_mut(address, device).ok_or(PrekeyError::UnknownDevice)?.put(sequence, prekeys))
    }

    async fn take_prekeys(&self, address: &Address) -> Result<Vec<TakenPrekeys>, PrekeyError> {
        self.commit(|state| {
            let account = state.accounts.get_mut(address).ok_or(PrekeyError::UnknownDevice)?;
            Ok(account.devices.iter_mut().filter_map(|(id, device)| device.take(*id)).collect())
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
        self.commit(|state| state.enqueue(submission, self.quota))
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
        self.commit(|state| {
            let foreign = state.incarnation != incarnation;
            let device = state.device_mut(address, device).ok_or(AcknowledgeError::UnknownDevice)?;
            let highest = device.queue.highest_sequence;
            if foreign {
                return Err(AcknowledgeError::ForeignIncarnation);
            }
            if up_to > highest {
                return Err(AcknowledgeError::BeyondAssigned { highest });
            }
            device.drop_envelopes(|sequence, _| sequence <= up_to);
            Ok(())
        })
    }

    async fn watch(&self, address: &Address, device: u32) -> Result<watch::Receiver<u64>, QueueError> {
        let state = self.read()?;
        Ok(state.device(address, device).ok_or(QueueError::UnknownDevice)?.hint.subscribe())
    }

    async fn expire(&self, now_ms: u64) -> Result<ExpireCounts, StorageError> {
        self.commit(|state| Ok(state.expire(now_ms)))
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

    async fn export(&self, mut writer: Box<dyn io::Write + Send>) -> Result<(), ExportError> {
        let state = self.read()?;
        let mut export = ExportWriter::new(writer.as_mut())?;
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
                )?;
                for (sequence, envelope) in &device.envelopes {
                    export.write(&ExportRecord::Envelope {
                        sequence: *sequence,
                        received: envelope.received,
                        expires: envelope.expires,
                        envelope: envelope.bytes.clone(),
                    })?;
                }
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
            if !state.accounts.is_empty() || !state.invitations.is_empty() {
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
}

impl MemoryAccount {
    fn inspect(&self, address: &Address) -> InspectedAccount {
        let devices = self.devices.iter().map(|(device_id, device)| InspectedDevice {
            device_id: *device_id,
            generation: device.queue.generation,
            one_time: device.one_time.len(),
            one_time_kem: device.one_time_kem.len(),
            highest_sequence: device.queue.highest_sequence,
            bytes: device.queue.bytes,
            expired: device.queue.expired,
            envelopes: device
                .envelopes
                .iter()
                .map(|(sequence, envelope)| InspectedEnvelope {
                    sequence: *sequence,
                    length: u32::try_from(envelope.bytes.len()).unwrap_or(u32::MAX),
                    received_ms: envelope.received,
                    expires_ms: envelope.expires,
                })
                .collect(),
        });
        InspectedAccount {
            address: address.clone(),
            organisation: self.record.organisation.clone(),
            statement_version: self.record.statement_version,
            statement_length: self.statement.len(),
            created_ms: self.record.created,
            submissions: self.submissions.len() as u64,
            devices: devices.collect(),
        }
    }
}

/// A state under construction from the records of an export, which come in their order.
#[derive(Default)]
struct Loading {
    state: State,
    account: Option<(Address, MemoryAccount)>,
    device: Option<(u32, MemoryDevice)>,
}

impl Loading {
    fn add(&mut self, record: ExportRecord) {
        match record {
            ExportRecord::Invitation { hash, invitation } => {
                let account = invitation.used.map_or(0, |used| used.account);
                self.state.last_account = self.state.last_account.max(account);
                self.state.invitations.insert(hash, invitation);
            }
            ExportRecord::Account { address, account, statement } => {
                self.end_account();
                self.state.last_account = self.state.last_account.max(account.account);
                let (devices, submissions) = (BTreeMap::new(), BTreeMap::new());
                self.account = Some((address, MemoryAccount { record: account, statement, devices, submissions }));
            }
            ExportRecord::Device { device_id, queue, prekeys } => {
                self.end_device();
                let queue = QueueRecord { messages: 0, bytes: 0, ..queue };
                let hint = watch::Sender::new(queue.highest_sequence);
                self.device = Some((device_id, MemoryDevice { queue, prekeys, hint, ..MemoryDevice::default() }));
            }
            ExportRecord::UsedPrekeys { one_time, one_time_kem } => {
                if let Some((_, device)) = &mut self.device {
                    device.used_one_time.extend(one_time);
                    device.used_one_time_kem.extend(one_time_kem);
                }
            }
            ExportRecord::Envelope { sequence, received, expires, envelope } => {
                if let Some((_, device)) = &mut self.device {
                    device.queue.messages += 1;
                    device.queue.bytes += envelope.len() as u64;
                    device.envelopes.insert(sequence, MemoryEnvelope { received, expires, bytes: envelope });
                }
            }
            ExportRecord::Submission { id, submission } => {
                if let Some((_, account)) = &mut self.account {
                    account.submissions.insert(id, submission);
                }
            }
            ExportRecord::End { .. } => {}
        }
    }

    fn end_device(&mut self) {
        if let (Some((_, account)), Some((id, device))) = (&mut self.account, self.device.take()) {
            account.devices.insert(id, device);
        }
    }

    fn end_account(&mut self) {
        self.end_device();
        self.state.accounts.extend(self.account.take());
    }

    fn finish(mut self) -> State {
        self.end_account();
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::conformance::{self, Engine, ROOMY, conformance_suite, register, submission};
    use super::*;

    struct MemoryEngine(Arc<MemoryStorage>);

    impl Engine for MemoryEngine {
        fn create(quota: QueueQuota) -> Self {
            // Two stores must differ; a simulation draws this from its seed.
            let mut incarnation = [0; 16];
            getrandom::fill(&mut incarnation).unwrap();
            Self(Arc::new(MemoryStorage::new(quota, incarnation)))
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
