//! Building a state from an export.

use std::collections::BTreeMap;

use medipeps_core::Address;
use medipeps_core::wire::server_storage::{
    BlobRecord, DrawsRecord, ExportRecord, ExportedBlob, GroupEpochRecord, QueueRecord,
};
use medipeps_core::wire::transport::Lane;
use tokio::sync::watch;

use super::blobs::MemoryBlob;
use super::group_logs::MemoryGroupLog;
use super::state::{MemoryAccount, MemoryDevice, MemoryEnvelope, State};

/// A state under construction from the records of an export, which come in their order.
#[derive(Default)]
pub(super) struct Loading {
    state: State,
    account: Option<(Address, MemoryAccount)>,
    device: Option<(u32, MemoryDevice)>,
    blob: Option<[u8; 32]>,
    group_log: Option<[u8; 32]>,
}

impl Loading {
    /// Adds the next record.
    pub(super) fn add(&mut self, record: ExportRecord) {
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
                self.account = Some((
                    address,
                    MemoryAccount { record: account, statement, devices, submissions, draws: DrawsRecord::default() },
                ));
            }
            ExportRecord::Device { device_id, queue, prekeys } => {
                self.end_device();
                let queue = QueueRecord { messages: 0, bytes: 0, request_messages: 0, request_bytes: 0, ..queue };
                let hint = watch::Sender::new(queue.highest_sequence);
                self.device = Some((device_id, MemoryDevice { queue, prekeys, hint, ..MemoryDevice::default() }));
            }
            ExportRecord::UsedPrekeys { one_time, one_time_kem, key_packages } => {
                if let Some((_, device)) = &mut self.device {
                    device.used_one_time.extend(one_time);
                    device.used_one_time_kem.extend(one_time_kem);
                    device.used_packages.extend(key_packages);
                }
            }
            ExportRecord::Envelope { sequence, received, expires, envelope, request_lane } => {
                if let Some((_, device)) = &mut self.device {
                    device.queue.messages += 1;
                    device.queue.bytes += envelope.len() as u64;
                    let lane = if request_lane { Lane::Request } else { Lane::Normal };
                    if request_lane {
                        device.queue.request_messages += 1;
                        device.queue.request_bytes += envelope.len() as u64;
                    }
                    device.envelopes.insert(sequence, MemoryEnvelope { received, expires, bytes: envelope, lane });
                }
            }
            ExportRecord::Submission { id, submission } => {
                if let Some((_, account)) = &mut self.account {
                    account.submissions.insert(id, submission);
                }
            }
            ExportRecord::Blob(ExportedBlob { id, length, secret_hash, begun, expires }) => {
                let record = BlobRecord {
                    number: 1,
                    length,
                    secret_hash,
                    begun,
                    expires,
                    unfinished_expires: expires,
                    stored_pieces: 0,
                };
                self.state.blobs.insert(id, MemoryBlob::new(record));
                self.blob = Some(id);
            }
            ExportRecord::BlobPiece(data) => {
                if let Some(blob) = self.blob.and_then(|id| self.state.blobs.get_mut(&id)) {
                    blob.add(blob.record.stored_pieces, data);
                }
            }
            ExportRecord::GroupLog { log_id, log } => {
                self.state.group_logs.insert(log_id, MemoryGroupLog::new(log));
                self.group_log = Some(log_id);
            }
            ExportRecord::GroupEpoch { epoch, record } => {
                if let Some(log) = self.group_log() {
                    log.closed.insert(epoch, GroupEpochRecord { entries: 0, ..record });
                }
            }
            ExportRecord::GroupEntry(entry) => {
                if let Some(log) = self.group_log() {
                    log.add(entry);
                }
            }
            ExportRecord::Tenant(tenant) => {
                self.state.tenants.last_tenant = self.state.tenants.last_tenant.max(tenant.number);
                self.state.tenants.tenants.insert(tenant.number, tenant);
            }
            ExportRecord::TenantDay { tenant, day } => {
                self.state.tenants.days.insert((tenant, day.day), day);
            }
            ExportRecord::End { .. } => {}
        }
    }

    fn group_log(&mut self) -> Option<&mut MemoryGroupLog> {
        self.group_log.and_then(|id| self.state.group_logs.get_mut(&id))
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

    /// The state, after the last record.
    pub(super) fn finish(mut self) -> State {
        self.end_account();
        self.state.count_group_logs();
        self.state
    }
}
