//! What the records say of an account, for people.

use std::ops::Bound;

use medipeps_core::Address;
use medipeps_core::wire::server_storage::{AccountRecord, GroupLogRecord};

use super::layout::{self, OneTimeKind, QueueKey};
use super::records::{Records, corrupt};
use crate::storage::{InspectedAccount, InspectedDevice, InspectedEnvelope, InspectedGroupLog, StorageError};

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
            key_packages: records.key_package_ids(queue)?.len(),
            highest_sequence: counters.highest_sequence,
            bytes: counters.bytes,
            expired: counters.expired,
            wake: records.device_wake(queue)?.map(|wake| wake.endpoint),
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

/// Group logs whose keys come after `first`, at most `limit` of them.
pub(super) fn inspect_group_logs(
    records: &Records,
    first: Bound<Vec<u8>>,
    limit: usize,
) -> Result<Vec<InspectedGroupLog>, StorageError> {
    let last = Bound::Excluded(vec![layout::GROUP_LOGS[0] + 1]);
    let found: Vec<_> = records.range(first, last).take(limit).collect::<Result<_, _>>()?;
    found
        .iter()
        .map(|(key, value)| {
            let log_id = layout::read_group_log(key).ok_or_else(|| StorageError::Corrupt("the key of a log".into()))?;
            let log = GroupLogRecord::decode(value).map_err(|error| corrupt("a group log", &error))?;
            let closed_epochs = records.scan(&layout::group_epochs(&log_id)).count() as u64;
            let wakes = records.scan(&layout::group_wakes(&log_id)).count() as u64;
            Ok(InspectedGroupLog::new(log_id, &log, closed_epochs, wakes))
        })
        .collect()
}
