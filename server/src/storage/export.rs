//! The file of a logical export, the same for every engine: `spec/storage-server.md`, section Export.
//!
//! A header, records with their lengths, and the SHA-256 of all that. What follows what is checked here, so that an engine
//! may load the records as they come.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Read, Write};

use medipeps_core::Address;
use medipeps_core::limits::{ENVELOPE_LENGTH_MAX, STATEMENT_LENGTH_MAX};
use medipeps_core::tenant::{DEFAULT_TENANT, Tenant};
use medipeps_core::wire::server_storage::{
    ExportRecord, ExportedBlob, ExportedGroupEntry, GroupEpochRecord, GroupLogRecord, piece_count, piece_length,
};
use sha2::{Digest, Sha256};

use super::{ExportError, ImportError};
use crate::limits::{EXPORT_RECORD_LENGTH_MAX, SLED_VALUE_LENGTH_MAX};

/// First bytes of an export, with its version.
const HEADER: &[u8; 16] = b"MEDIPEPS-EXPORT\x01";
/// Ids of used prekeys in one record.
pub(super) const USED_PREKEYS_PER_RECORD: usize = 1000;

/// Writes an export.
pub(super) struct ExportWriter {
    writer: Box<dyn Write + Send>,
    digest: Sha256,
    records: u64,
}

impl ExportWriter {
    /// Begins an export with its header.
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Result<Self, ExportError> {
        let mut export = Self { writer, digest: Sha256::new(), records: 0 };
        export.put(HEADER)?;
        Ok(export)
    }

    /// Adds a record.
    pub(super) fn write(&mut self, record: &ExportRecord) -> Result<(), ExportError> {
        let bytes = record.encode();
        let length = u32::try_from(bytes.len()).map_err(|_| ExportError::Write(io::ErrorKind::InvalidData.into()))?;
        self.put(&length.to_be_bytes())?;
        self.put(&bytes)?;
        self.records += 1;
        Ok(())
    }

    /// Adds a tenant with its days. The default one goes without saying unless something was counted or agreed.
    pub(super) fn write_tenant(
        &mut self,
        tenant: Tenant,
        days: impl Iterator<Item = ExportRecord>,
    ) -> Result<(), ExportError> {
        let mut days = days.peekable();
        if days.peek().is_some() || tenant != Tenant::default_tenant() {
            self.write(&ExportRecord::Tenant(tenant))?;
        }
        days.try_for_each(|day| self.write(&day))
    }

    /// Adds used ids of one-time prekeys and key packages, in as many records as it takes.
    pub(super) fn write_used(
        &mut self,
        one_time: &[u32],
        one_time_kem: &[u32],
        key_packages: &[u32],
    ) -> Result<(), ExportError> {
        let none = Vec::new;
        for ids in one_time.chunks(USED_PREKEYS_PER_RECORD) {
            let one_time = ids.to_vec();
            self.write(&ExportRecord::UsedPrekeys { one_time, one_time_kem: none(), key_packages: none() })?;
        }
        for ids in one_time_kem.chunks(USED_PREKEYS_PER_RECORD) {
            let one_time_kem = ids.to_vec();
            self.write(&ExportRecord::UsedPrekeys { one_time: none(), one_time_kem, key_packages: none() })?;
        }
        for ids in key_packages.chunks(USED_PREKEYS_PER_RECORD) {
            let key_packages = ids.to_vec();
            self.write(&ExportRecord::UsedPrekeys { one_time: none(), one_time_kem: none(), key_packages })?;
        }
        Ok(())
    }

    /// Ends the export.
    pub(super) fn finish(mut self) -> Result<(), ExportError> {
        self.write(&ExportRecord::End { records: self.records })?;
        let digest = self.digest.clone().finalize();
        self.writer.write_all(&digest).and_then(|()| self.writer.flush()).map_err(ExportError::Write)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.digest.update(bytes);
        self.writer.write_all(bytes).map_err(ExportError::Write)
    }
}

/// Reads an export and hands each record on, the end excepted. What `visit` has seen is good only if this returns `Ok`:
/// the digest comes last.
pub(super) fn read_export(
    reader: &mut dyn Read,
    visit: &mut dyn FnMut(ExportRecord) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut reader = DigestReader { reader, digest: Sha256::new() };
    let mut header = [0; HEADER.len()];
    reader
        .fill(&mut header)
        .map_err(|error| if matches!(error, ImportError::Damaged) { ImportError::Format } else { error })?;
    if header != *HEADER {
        return Err(ImportError::Format);
    }
    let mut order = Order::default();
    let mut records = 0;
    loop {
        let mut length = [0; 4];
        reader.fill(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > EXPORT_RECORD_LENGTH_MAX {
            return Err(ImportError::Damaged);
        }
        let mut bytes = vec![0; length];
        reader.fill(&mut bytes)?;
        let record = ExportRecord::decode(&bytes).map_err(|_| ImportError::Damaged)?;
        if let ExportRecord::End { records: written } = record {
            if written != records || !order.is_complete() {
                return Err(ImportError::Damaged);
            }
            break;
        }
        if !order.allows(&record) {
            return Err(ImportError::Damaged);
        }
        records += 1;
        visit(record)?;
    }
    let expected: [u8; 32] = reader.digest.clone().finalize().into();
    let mut found = [0; 32];
    reader.fill(&mut found)?;
    if found != expected || !reader.is_at_end()? {
        return Err(ImportError::Damaged);
    }
    Ok(())
}

struct DigestReader<'a> {
    reader: &'a mut dyn Read,
    digest: Sha256,
}

impl DigestReader<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ImportError> {
        self.reader.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ImportError::Damaged,
            _ => ImportError::Read(error),
        })?;
        self.digest.update(&*buffer);
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool, ImportError> {
        let mut byte = [0];
        loop {
            match self.reader.read(&mut byte) {
                Ok(count) => return Ok(count == 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ImportError::Read(error)),
            }
        }
    }
}

/// What has been read, as far as it decides what may follow.
#[derive(Default)]
struct Order {
    /// Numbers of tenants, and the last day of the last one.
    tenants: BTreeSet<u64>,
    day: Option<u32>,
    invitations: HashSet<[u8; 32]>,
    accounts: HashSet<u64>,
    address: Option<Address>,
    /// Devices of the current account that have not come yet, in descending order.
    devices: Vec<u32>,
    /// Of the current device: the highest sequence ever assigned, and the last one read.
    queue: Option<(u64, u64)>,
    group_log: Option<GroupLogOrder>,
    /// The current blob, and how many of its pieces have come.
    blob: Option<(ExportedBlob, u32)>,
}

/// What has been read of the current group log.
struct GroupLogOrder {
    log_id: [u8; 32],
    log: GroupLogRecord,
    /// Closed epochs with the number of what closed them, and how many entries of each have come.
    closed: BTreeMap<u64, (u64, u64)>,
    /// Epoch and sequence of the last entry.
    last: Option<(u64, u64)>,
    ids: HashSet<[u8; 16]>,
}

impl Order {
    fn allows(&mut self, record: &ExportRecord) -> bool {
        match record {
            ExportRecord::Blob(blob) => {
                let ascending = self.blob.is_none_or(|(before, _)| before.id < blob.id);
                let whole = self.is_complete();
                self.blob = Some((*blob, 0));
                ascending && whole
            }
            ExportRecord::BlobPiece(data) => match &mut self.blob {
                Some((blob, index)) => {
                    let expected = piece_length(blob.length, *index);
                    *index += 1;
                    expected == Some(data.len())
                }
                None => false,
            },
            // Blobs come last.
            ExportRecord::End { .. } => false,
            _ if self.blob.is_some() => false,
            ExportRecord::GroupLog { log_id, log } => {
                let ascending = self.group_log.as_ref().is_none_or(|before| before.log_id < *log_id);
                let whole = self.is_complete();
                self.group_log = Some(GroupLogOrder::new(*log_id, *log));
                ascending && whole
            }
            ExportRecord::GroupEpoch { epoch, record } => {
                self.group_log.as_mut().is_some_and(|log| log.allows_epoch(*epoch, record))
            }
            ExportRecord::GroupEntry(entry) => self.group_log.as_mut().is_some_and(|log| log.allows_entry(entry)),
            // Group logs come after accounts.
            _ if self.group_log.is_some() => false,
            ExportRecord::Tenant(tenant) => {
                let ascending = self.tenants.last().is_none_or(|before| *before < tenant.number);
                self.tenants.insert(tenant.number);
                self.day = None;
                ascending && self.has_only_tenants() && fits(&tenant.encode())
            }
            ExportRecord::TenantDay { tenant, day } => {
                let ascending = self.day.is_none_or(|before| before < day.day);
                self.day = Some(day.day);
                ascending && self.tenants.last() == Some(tenant) && self.has_only_tenants() && fits(&day.encode())
            }
            ExportRecord::Invitation { hash, invitation } if self.has_tenant(invitation.tenant) => {
                self.address.is_none() && fits(&invitation.encode()) && self.invitations.insert(*hash)
            }
            ExportRecord::Account { address, account, statement } if self.has_tenant(account.tenant) => {
                let ascending = self.address.as_ref().is_none_or(|before| before < address);
                let whole = self.devices.is_empty()
                    && statement.len() == account.statement_length as usize
                    && statement.len() <= STATEMENT_LENGTH_MAX
                    && fits(&account.encode());
                self.address = Some(address.clone());
                self.devices = account.devices.iter().rev().copied().collect();
                self.queue = None;
                ascending && whole && self.accounts.insert(account.account)
            }
            ExportRecord::Device { device_id, queue, prekeys } => {
                self.queue = Some((queue.highest_sequence, 0));
                self.devices.pop() == Some(*device_id) && prekeys.as_ref().is_none_or(|prekeys| fits(&prekeys.encode()))
            }
            ExportRecord::UsedPrekeys { .. } => self.queue.is_some(),
            ExportRecord::Envelope { sequence, envelope, .. } => match &mut self.queue {
                Some((highest, last)) if *last < *sequence && *sequence <= *highest => {
                    *last = *sequence;
                    envelope.len() <= ENVELOPE_LENGTH_MAX
                }
                _ => false,
            },
            ExportRecord::Submission { .. } => self.address.is_some(),
            // Of a tenant that there is not.
            ExportRecord::Invitation { .. } | ExportRecord::Account { .. } => false,
        }
    }

    /// Tenants come first.
    fn has_only_tenants(&self) -> bool {
        self.invitations.is_empty() && self.address.is_none()
    }

    fn has_tenant(&self, number: u64) -> bool {
        number == DEFAULT_TENANT || self.tenants.contains(&number)
    }

    fn is_complete(&self) -> bool {
        self.devices.is_empty()
            && self.group_log.as_ref().is_none_or(GroupLogOrder::is_complete)
            && self.blob.is_none_or(|(blob, pieces)| pieces == piece_count(blob.length))
    }
}

impl GroupLogOrder {
    fn new(log_id: [u8; 32], log: GroupLogRecord) -> Self {
        Self { log_id, log, closed: BTreeMap::new(), last: None, ids: HashSet::new() }
    }

    fn allows_epoch(&mut self, epoch: u64, record: &GroupEpochRecord) -> bool {
        let ascending = self.closed.last_key_value().is_none_or(|(before, _)| *before < epoch);
        let of_the_log = (self.log.first_epoch..self.log.epoch).contains(&epoch);
        self.closed.insert(epoch, (record.closing_sequence, 0));
        ascending && of_the_log && self.last.is_none() && record.closing_sequence <= self.log.highest_sequence
    }

    fn allows_entry(&mut self, entry: &ExportedGroupEntry) -> bool {
        let (at, before) = ((entry.epoch, entry.sequence), self.last);
        let ascending = before.is_none_or(|(epoch, sequence)| epoch <= at.0 && sequence < at.1);
        self.last = Some(at);
        let of_its_epoch = match self.closed.get_mut(&entry.epoch) {
            Some((closing, entries)) => {
                *entries += 1;
                entry.sequence <= *closing && entry.closes_epoch == (entry.sequence == *closing)
            }
            None => entry.epoch == self.log.epoch && !entry.closes_epoch,
        };
        ascending && of_its_epoch && entry.sequence <= self.log.highest_sequence && self.ids.insert(entry.entry_id)
    }

    /// Every closed epoch has entries, or its key would not be kept.
    fn is_complete(&self) -> bool {
        self.closed.values().all(|(_, entries)| *entries > 0)
    }
}

/// Whether an engine that bounds its values can take this one.
fn fits(value: &[u8]) -> bool {
    value.len() <= SLED_VALUE_LENGTH_MAX
}
