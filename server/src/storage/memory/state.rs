//! What the reference engine holds, and its transactions: each is run on a copy, which is kept if it succeeds.

use std::collections::{BTreeMap, BTreeSet};

use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::server_storage::{
    AccountRecord, DrawsRecord, InvitationRecord, InvitationUse, KeyPackagesRecord, PrekeysRecord, QueueRecord,
    SubmissionRecord, VoucherRecord,
};
use medipeps_core::wire::transport::Lane;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::blobs::MemoryBlob;
use super::group_logs::MemoryGroupLog;
use super::tenants::MemoryTenants;
use crate::limits::{INVITATION_RECORD_RETENTION_MS, ONE_TIME_PREKEYS_STORED_MAX, SUBMISSION_RECORD_RETENTION_MS};
use crate::storage::account::distinct_devices;
use crate::storage::tenant::{check_room, check_seat};
use crate::storage::{
    EnqueueError, EnqueueOutcome, ExpireCounts, Fault, GroupUsage, InspectedAccount, InspectedDevice,
    InspectedEnvelope, KeyPackageError, KeyPackageSet, PrekeyError, PrekeySet, QueueQuota, RegisterError,
    RegisterOutcome, Registration, SpentToken, StoredIssuerKey, Submission, TakenKem, TakenKeyPackage, TakenPrekeys,
    Taking,
};

/// All of a store.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) incarnation: [u8; 16],
    pub(super) last_account: u64,
    pub(super) invitations: BTreeMap<[u8; 32], InvitationRecord>,
    pub(super) accounts: BTreeMap<Address, MemoryAccount>,
    pub(super) blobs: BTreeMap<[u8; 32], MemoryBlob>,
    pub(super) group_logs: BTreeMap<[u8; 32], MemoryGroupLog>,
    pub(super) group_usage: GroupUsage,
    pub(super) issuer_keys: BTreeMap<[u8; 32], StoredIssuerKey>,
    /// What each has paid for.
    pub(super) spends: BTreeMap<SpentToken, [u8; 32]>,
    pub(super) vouchers: BTreeMap<[u8; 32], VoucherRecord>,
    pub(super) tenants: MemoryTenants,
    pub(super) fault: Option<Fault>,
}

/// An account and what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct MemoryAccount {
    pub(super) record: AccountRecord,
    pub(super) statement: Vec<u8>,
    pub(super) devices: BTreeMap<u32, MemoryDevice>,
    pub(super) submissions: BTreeMap<[u8; 16], SubmissionRecord>,
    pub(super) draws: DrawsRecord,
}

/// A device: its prekeys and its queue.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryDevice {
    pub(super) prekeys: Option<PrekeysRecord>,
    pub(super) one_time: BTreeMap<u32, Vec<u8>>,
    pub(super) one_time_kem: BTreeMap<u32, Vec<u8>>,
    pub(super) used_one_time: BTreeSet<u32>,
    pub(super) used_one_time_kem: BTreeSet<u32>,
    pub(super) key_packages: Option<(KeyPackagesRecord, Vec<u8>)>,
    pub(super) one_time_packages: BTreeMap<u32, Vec<u8>>,
    pub(super) used_packages: BTreeSet<u32>,
    pub(super) queue: QueueRecord,
    pub(super) envelopes: BTreeMap<u64, MemoryEnvelope>,
    pub(super) hint: watch::Sender<u64>,
    pub(super) wake: Option<PushEndpoint>,
}

/// An envelope in a queue.
#[derive(Debug, Clone)]
pub(super) struct MemoryEnvelope {
    pub(super) received: u64,
    pub(super) expires: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) lane: Lane,
}

impl State {
    pub(super) fn device(&self, address: &Address, device: u32) -> Option<&MemoryDevice> {
        self.accounts.get(address)?.devices.get(&device)
    }

    pub(super) fn device_mut(&mut self, address: &Address, device: u32) -> Option<&mut MemoryDevice> {
        self.accounts.get_mut(address)?.devices.get_mut(&device)
    }

    pub(super) fn register(&mut self, registration: Registration) -> Result<RegisterOutcome, RegisterError> {
        let statement_digest: [u8; 32] = Sha256::digest(&registration.statement).into();
        let devices = distinct_devices(registration.devices.iter().map(|device| device.device_id))
            .ok_or(RegisterError::Devices)?;
        let invitation =
            self.invitations.get(&registration.invitation_hash).ok_or(RegisterError::InvitationUnknown)?.clone();
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
        if invitation.address.as_ref().is_some_and(|bound| *bound != registration.address) {
            return Err(RegisterError::InvitationBound);
        }
        let tenant = self.tenant_of(invitation.tenant)?;
        check_seat(&tenant, self.tenant_usage(tenant.number), registration.now_ms)?;
        self.last_account += 1;
        let used = Some(InvitationUse { account: self.last_account, statement_digest });
        self.invitations.insert(registration.invitation_hash, InvitationRecord { used, ..invitation.clone() });
        let record = AccountRecord {
            account: self.last_account,
            statement_version: registration.statement_version,
            statement_length: u32::try_from(registration.statement.len()).unwrap_or(u32::MAX),
            organisation: invitation.organisation.clone(),
            created: registration.now_ms,
            devices,
            delivery_keys: Vec::new(),
            tenant: tenant.number,
            suspended: false,
        };
        let mut account = MemoryAccount {
            record,
            statement: registration.statement,
            devices: BTreeMap::new(),
            submissions: BTreeMap::new(),
            draws: DrawsRecord::default(),
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
        self.count_day(&tenant, registration.now_ms);
        Ok(RegisterOutcome { repeated: false })
    }

    pub(super) fn enqueue(
        &mut self,
        submission: Submission,
        quota: QueueQuota,
    ) -> Result<EnqueueOutcome, EnqueueError> {
        let (tenant, suspended) = match self.accounts.get(&submission.address) {
            Some(account) => (self.tenant_of(account.record.tenant)?, account.record.suspended),
            None => return Err(EnqueueError::UnknownRecipient),
        };
        let usage = self.tenant_usage(tenant.number);
        let account = self.accounts.get_mut(&submission.address).ok_or(EnqueueError::UnknownRecipient)?;
        if let Some(before) = account.submissions.get(&submission.id) {
            let same = before.digest == submission.digest;
            return if same { Ok(EnqueueOutcome::Accepted { duplicate: true }) } else { Err(EnqueueError::IdReused) };
        }
        let bytes = submission.envelopes.iter().map(|(_, envelope)| envelope.len() as u64).sum();
        check_room(&tenant, suspended, usage, bytes, submission.now_ms)?;
        let listed: Vec<(u32, bool)> =
            account.devices.iter().map(|(id, device)| (*id, device.prekeys.is_some())).collect();
        submission.check_devices(&listed, account.record.statement_version)?;
        let lane = submission.lane;
        let mut envelopes = submission.envelopes;
        envelopes.sort_by_key(|(device, _)| *device);
        for (device, bytes) in envelopes {
            let Some(stored) = account.devices.get_mut(&device) else { continue };
            quota.admit(&mut stored.queue, device, bytes.len(), lane)?;
            let envelope = MemoryEnvelope { received: submission.now_ms, expires: submission.expires_ms, bytes, lane };
            stored.envelopes.insert(stored.queue.highest_sequence, envelope);
        }
        let forget = submission.now_ms.saturating_add(SUBMISSION_RECORD_RETENTION_MS);
        account.submissions.insert(submission.id, SubmissionRecord { digest: submission.digest, forget });
        self.spend::<EnqueueError>(&submission.spend)?;
        Ok(EnqueueOutcome::Accepted { duplicate: false })
    }

    pub(super) fn expire(&mut self, now_ms: u64) -> ExpireCounts {
        let mut counts = ExpireCounts::default();
        let before = self.invitations.len();
        self.invitations
            .retain(|_, invitation| invitation.expires.saturating_add(INVITATION_RECORD_RETENTION_MS) > now_ms);
        counts.invitations = (before - self.invitations.len()) as u64;
        let before = self.blobs.len();
        self.blobs.retain(|_, blob| blob.record.due() > now_ms);
        counts.blobs = (before - self.blobs.len()) as u64;
        self.expire_group_logs(now_ms, &mut counts);
        counts.tokens = self.expire_tokens(now_ms);
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
    pub(super) fn put(&mut self, sequence: u64, prekeys: PrekeySet) -> Result<(), PrekeyError> {
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

    pub(super) fn take(&mut self, device_id: u32, taking: &Taking, repeated: bool) -> Option<TakenPrekeys> {
        let prekeys = self.prekeys.as_ref()?;
        let (mut one_time, mut one_time_kem) = (None, None);
        if taking.withhold {
            if self.queue.withheld_since == 0 {
                self.queue.withheld_since = taking.now_ms.max(1);
            }
        } else if !repeated {
            one_time = self.one_time.pop_first();
            one_time_kem = self.one_time_kem.pop_first();
        }
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

    pub(super) fn put_packages(&mut self, sequence: u64, packages: KeyPackageSet) -> Result<(), KeyPackageError> {
        packages.check_lengths()?;
        let digest = packages.digest();
        let stored = self.key_packages.as_ref().map(|(stored, _)| (stored.sequence, stored.digest));
        if KeyPackageSet::check_sequence(sequence, &digest, stored)? {
            return Ok(());
        }
        let unused = packages.one_time.into_iter().filter(|(id, _)| !self.used_packages.contains(id));
        self.one_time_packages = unused.collect();
        self.key_packages = Some((KeyPackagesRecord { sequence, digest }, packages.last_resort));
        Ok(())
    }

    pub(super) fn take_package(&mut self, device_id: u32, withhold: bool) -> Option<TakenKeyPackage> {
        let (_, last_resort) = self.key_packages.as_ref()?;
        let one_time = if withhold { None } else { self.one_time_packages.pop_first() };
        self.used_packages.extend(one_time.as_ref().map(|(id, _)| *id));
        Some(TakenKeyPackage {
            device_id,
            last_resort: one_time.is_none(),
            key_package: one_time.map_or_else(|| last_resort.clone(), |(_, package)| package),
        })
    }

    pub(super) fn drop_envelopes(&mut self, drop: impl Fn(u64, &MemoryEnvelope) -> bool) -> u64 {
        let before = self.envelopes.len();
        self.envelopes.retain(|sequence, envelope| !drop(*sequence, envelope));
        self.queue.messages = self.envelopes.len() as u64;
        self.queue.bytes = self.envelopes.values().map(|envelope| envelope.bytes.len() as u64).sum();
        self.count_requests();
        (before - self.envelopes.len()) as u64
    }

    /// Counts what waits in the request lane.
    fn count_requests(&mut self) {
        let requests = || self.envelopes.values().filter(|envelope| envelope.lane == Lane::Request);
        let bytes = requests().map(|envelope| envelope.bytes.len() as u64).sum();
        (self.queue.request_messages, self.queue.request_bytes) = (requests().count() as u64, bytes);
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

impl MemoryAccount {
    pub(super) fn inspect(&self, address: &Address) -> InspectedAccount {
        let devices = self.devices.iter().map(|(device_id, device)| InspectedDevice {
            device_id: *device_id,
            generation: device.queue.generation,
            one_time: device.one_time.len(),
            one_time_kem: device.one_time_kem.len(),
            key_packages: device.one_time_packages.len(),
            highest_sequence: device.queue.highest_sequence,
            bytes: device.queue.bytes,
            expired: device.queue.expired,
            wake: device.wake.clone(),
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
