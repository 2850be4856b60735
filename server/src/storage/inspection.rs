//! What the store knows, in plain terms: this is all that the server can tell of its users.

use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::server_storage::GroupLogRecord;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedAccount {
    /// Its address.
    pub address: Address,
    /// The organisation of its invitation.
    pub organisation: Option<String>,
    /// The version of its statement.
    pub statement_version: u64,
    /// Bytes of its statement.
    pub statement_length: usize,
    /// When it was registered, in milliseconds since 1970.
    pub created_ms: u64,
    /// Submission ids remembered for it.
    pub submissions: u64,
    /// Its devices, in ascending order.
    pub devices: Vec<InspectedDevice>,
}

/// One device and its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedDevice {
    /// Its number within the account.
    pub device_id: u32,
    /// The highest store generation that it reported.
    pub generation: u64,
    /// Unused one-time X25519 keys.
    pub one_time: usize,
    /// Unused one-time KEM keys.
    pub one_time_kem: usize,
    /// Unused one-time key packages.
    pub key_packages: usize,
    /// The highest sequence ever assigned in its queue.
    pub highest_sequence: u64,
    /// Bytes of all envelopes in its queue.
    pub bytes: u64,
    /// Envelopes that expired and that the device has not been told of.
    pub expired: u64,
    /// Where it is woken.
    pub wake: Option<PushEndpoint>,
    /// The envelopes in its queue, oldest first.
    pub envelopes: Vec<InspectedEnvelope>,
}

/// One envelope in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectedEnvelope {
    /// Its number in the queue.
    pub sequence: u64,
    /// Its size in bytes.
    pub length: u32,
    /// When it was taken, in milliseconds since 1970.
    pub received_ms: u64,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// One group log. Which accounts are in the group the store does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectedGroupLog {
    /// The hash of its first access key.
    pub log_id: [u8; 32],
    /// The number of the epoch that it began with.
    pub first_epoch: u64,
    /// The number of the current epoch.
    pub epoch: u64,
    /// Closed epochs of which entries are left.
    pub closed_epochs: u64,
    /// Entries of all epochs.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// When the last entry came, in milliseconds since 1970.
    pub changed_ms: u64,
    /// Wake handles of its readers, out of all epochs.
    pub wakes: u64,
}

impl InspectedGroupLog {
    /// A log as its record has it.
    pub(super) const fn new(log_id: [u8; 32], log: &GroupLogRecord, closed_epochs: u64, wakes: u64) -> Self {
        Self {
            log_id,
            first_epoch: log.first_epoch,
            epoch: log.epoch,
            closed_epochs,
            entries: log.entries,
            bytes: log.bytes,
            created_ms: log.created,
            changed_ms: log.changed,
            wakes,
        }
    }
}
