//! Storing key packages and giving them away, as changes of records.
//!
//! A package may be larger than a value of sled should be, so each is cut into pieces, as statements are.

use medipeps_core::Address;
use medipeps_core::wire::server_storage::KeyPackagesRecord;

use super::layout::{self, OneTimeKind, QueueKey};
use super::records::{Changes, Records};
use super::tokens;
use crate::limits::SLED_VALUE_LENGTH_MAX;
use crate::storage::{KeyPackageError, KeyPackageSet, KeyPackageStatus, StorageError, TakenKeyPackage, Taking};

/// See [`Storage::put_key_packages`](crate::storage::Storage::put_key_packages).
pub(super) fn put_key_packages(
    records: &Records,
    changes: &mut Changes,
    queue: QueueKey,
    sequence: u64,
    packages: &KeyPackageSet,
) -> Result<(), KeyPackageError> {
    let digest = packages.digest();
    let stored = records.key_packages(queue)?.map(|stored| (stored.sequence, stored.digest));
    if KeyPackageSet::check_sequence(sequence, &digest, stored)? {
        return Ok(());
    }
    let last_resort = layout::last_resort_package(queue);
    for item in records.scan(&layout::key_packages_of(queue)).chain(records.scan(&last_resort)) {
        changes.remove(item?.0);
    }
    for (id, package) in &packages.one_time {
        let used = records.get(&layout::with_id(layout::used(queue, OneTimeKind::KeyPackage), *id))?.is_some();
        if !used {
            put_pieces(changes, &layout::key_package(queue, *id), package);
        }
    }
    put_pieces(changes, &last_resort, &packages.last_resort);
    changes.put(layout::key_packages(queue), KeyPackagesRecord { sequence, digest }.encode());
    changes.effects.accounts.push(queue.account);
    Ok(())
}

/// See [`Storage::take_key_packages`](crate::storage::Storage::take_key_packages).
pub(super) fn take_key_packages(
    records: &Records,
    changes: &mut Changes,
    address: &Address,
    taking: &Taking,
) -> Result<Vec<TakenKeyPackage>, KeyPackageError> {
    let account = records.account(address)?.ok_or(KeyPackageError::UnknownDevice)?;
    let repeated = tokens::take::<KeyPackageError>(records, changes, &taking.spend)?;
    let mut taken = Vec::new();
    for device_id in account.devices {
        let queue = QueueKey { account: account.account, device: device_id };
        if records.key_packages(queue)?.is_none() {
            continue;
        }
        let withhold = taking.withhold || repeated;
        let one_time = if withhold { None } else { take_one_time(records, changes, queue)? };
        let last_resort = one_time.is_none();
        let key_package = match one_time {
            Some(package) => package,
            None => pieces(records, &layout::last_resort_package(queue))?,
        };
        taken.push(TakenKeyPackage { device_id, key_package, last_resort });
    }
    if !changes.is_empty() {
        changes.effects.accounts.push(account.account);
    }
    Ok(taken)
}

/// See [`Storage::key_package_status`](crate::storage::Storage::key_package_status).
pub(super) fn key_package_status(records: &Records, queue: QueueKey) -> Result<KeyPackageStatus, StorageError> {
    let sequence = records.key_packages(queue)?.map_or(0, |stored| stored.sequence);
    Ok(KeyPackageStatus { one_time: records.key_package_ids(queue)?.len(), sequence })
}

/// Takes the package with the lowest id and marks the id as used.
fn take_one_time(records: &Records, changes: &mut Changes, queue: QueueKey) -> Result<Option<Vec<u8>>, StorageError> {
    let Some((first, _)) = records.scan(&layout::key_packages_of(queue)).next().transpose()? else {
        return Ok(None);
    };
    let id = layout::read_package_id(&first).ok_or_else(|| StorageError::Corrupt("the key of a key package".into()))?;
    let prefix = layout::key_package(queue, id);
    let package = pieces(records, &prefix)?;
    for item in records.scan(&prefix) {
        changes.remove(item?.0);
    }
    changes.put(layout::with_id(layout::used(queue, OneTimeKind::KeyPackage), id), Vec::new());
    Ok(Some(package))
}

fn put_pieces(changes: &mut Changes, prefix: &[u8], package: &[u8]) {
    for (piece, bytes) in (0_u8..).zip(package.chunks(SLED_VALUE_LENGTH_MAX)) {
        changes.put([prefix, &[piece]].concat(), bytes.to_vec());
    }
}

fn pieces(records: &Records, prefix: &[u8]) -> Result<Vec<u8>, StorageError> {
    let mut package = Vec::new();
    for item in records.scan(prefix) {
        package.extend(item?.1);
    }
    Ok(package)
}
