//! What the records say of an account, for people.

use medipeps_core::Address;
use medipeps_core::wire::server_storage::AccountRecord;

use super::layout::{self, OneTimeKind, QueueKey};
use super::records::Records;
use crate::storage::{InspectedAccount, InspectedDevice, InspectedEnvelope, StorageError};

/// See [`Storage::inspect`](crate::storage::Storage::inspect).
pub(super) fn inspect_account(
    records: &Records,
    address: Address,
    account: AccountRecord,
) -> Result<InspectedAccount, StorageError> {
    let submissions = records.scan(&layout::submissions(account.account)).count() as u64;
    let inspect_device = |device| {
        let queue = QueueKey { account: account.account, device };
        let counters = records.queue(queue)?;
        let envelopes = records.envelopes(queue, 0, u64::MAX).map(|item| {
            let (sequence, record) = item?;
            Ok(InspectedEnvelope {
                sequence,
                length: record.length,
                received_ms: record.received,
                expires_ms: record.expires,
            })
        });
        Ok(InspectedDevice {
            device_id: device,
            generation: counters.generation,
            one_time: records.one_time_ids(queue, OneTimeKind::Dh)?.len(),
            one_time_kem: records.one_time_ids(queue, OneTimeKind::Kem)?.len(),
            highest_sequence: counters.highest_sequence,
            bytes: counters.bytes,
            expired: counters.expired,
            envelopes: envelopes.collect::<Result<_, StorageError>>()?,
        })
    };
    Ok(InspectedAccount {
        address,
        statement_version: account.statement_version,
        statement_length: account.statement_length as usize,
        created_ms: account.created,
        submissions,
        devices: account.devices.iter().map(|device| inspect_device(*device)).collect::<Result<_, StorageError>>()?,
        organisation: account.organisation,
    })
}
