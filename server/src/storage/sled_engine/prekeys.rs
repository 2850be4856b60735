//! Storing prekeys and giving them away, as changes of records.

use std::collections::HashSet;

use medipeps_core::Address;
use medipeps_core::wire::server_storage::PrekeysRecord;

use super::layout::{self, OneTimeKind, QueueKey};
use super::records::{Changes, Records};
use super::tokens;
use crate::limits::ONE_TIME_PREKEYS_STORED_MAX;
use crate::storage::{PrekeyError, PrekeySet, PrekeyStatus, StorageError, TakenKem, TakenPrekeys, Taking};

/// See [`Storage::put_prekeys`](crate::storage::Storage::put_prekeys).
pub(super) fn put_prekeys(
    records: &Records,
    changes: &mut Changes,
    queue: QueueKey,
    sequence: u64,
    prekeys: PrekeySet,
) -> Result<(), PrekeyError> {
    let digest = prekeys.digest();
    if let Some(stored) = records.prekeys(queue)? {
        if stored.sequence == sequence && stored.digest == digest {
            return Ok(());
        }
        if sequence <= stored.sequence {
            return Err(PrekeyError::OldSequence { current: stored.sequence });
        }
    }
    for (kind, keys) in [(OneTimeKind::Dh, prekeys.one_time), (OneTimeKind::Kem, prekeys.one_time_kem)] {
        let mut stored: HashSet<u32> = records.one_time_ids(queue, kind)?.into_iter().collect();
        for (id, key) in keys {
            let used = records.get(&layout::with_id(layout::used(queue, kind), id))?.is_some();
            if !used && stored.insert(id) {
                changes.put(layout::with_id(layout::one_time(queue, kind), id), key);
            }
        }
        if stored.len() > ONE_TIME_PREKEYS_STORED_MAX {
            return Err(PrekeyError::TooMany);
        }
    }
    let record = PrekeysRecord {
        sequence,
        digest,
        signed_prekey: prekeys.signed_prekey,
        last_resort_kem: prekeys.last_resort_kem,
        seal: prekeys.seal,
    };
    changes.put(layout::prekeys(queue), record.encode());
    changes.effects.accounts.push(queue.account);
    Ok(())
}

/// See [`Storage::take_prekeys`](crate::storage::Storage::take_prekeys).
pub(super) fn take_prekeys(
    records: &Records,
    changes: &mut Changes,
    address: &Address,
    taking: &Taking,
) -> Result<Vec<TakenPrekeys>, PrekeyError> {
    let account = records.account(address)?.ok_or(PrekeyError::UnknownDevice)?;
    let repeated = tokens::take::<PrekeyError>(records, changes, &taking.spend)?;
    let mut taken = Vec::new();
    for device_id in account.devices {
        let queue = QueueKey { account: account.account, device: device_id };
        let Some(prekeys) = records.prekeys(queue)? else { continue };
        let (mut one_time, mut kem) = (None, None);
        if taking.withhold {
            note_withheld(records, changes, queue, taking.now_ms)?;
        } else if !repeated {
            one_time = take_one_time(records, changes, queue, OneTimeKind::Dh)?;
            kem = take_one_time(records, changes, queue, OneTimeKind::Kem)?;
        }
        taken.push(TakenPrekeys {
            device_id,
            signed: prekeys.signed_prekey,
            one_time,
            kem: kem.map_or(TakenKem::LastResort(prekeys.last_resort_kem), TakenKem::OneTime),
            seal: prekeys.seal,
        });
    }
    if !changes.is_empty() {
        changes.effects.accounts.push(account.account);
    }
    Ok(taken)
}

/// Notes, once, that one-time keys were withheld.
fn note_withheld(records: &Records, changes: &mut Changes, queue: QueueKey, now_ms: u64) -> Result<(), StorageError> {
    let mut counters = records.queue(queue)?;
    if counters.withheld_since == 0 {
        counters.withheld_since = now_ms.max(1);
        changes.put(layout::queue(queue), counters.encode());
    }
    Ok(())
}

/// See [`Storage::prekey_status`](crate::storage::Storage::prekey_status).
pub(super) fn prekey_status(records: &Records, queue: QueueKey) -> Result<PrekeyStatus, StorageError> {
    Ok(PrekeyStatus {
        one_time: records.one_time_ids(queue, OneTimeKind::Dh)?.len(),
        one_time_kem: records.one_time_ids(queue, OneTimeKind::Kem)?.len(),
        sequence: records.prekeys(queue)?.map_or(0, |prekeys| prekeys.sequence),
    })
}

/// Takes the key with the lowest id and marks the id as used.
fn take_one_time(
    records: &Records,
    changes: &mut Changes,
    queue: QueueKey,
    kind: OneTimeKind,
) -> Result<Option<Vec<u8>>, StorageError> {
    let Some((key, value)) = records.scan(&layout::one_time(queue, kind)).next().transpose()? else {
        return Ok(None);
    };
    let id = layout::read_id(&key).ok_or_else(|| StorageError::Corrupt("the key of a prekey".into()))?;
    changes.remove(key);
    changes.put(layout::with_id(layout::used(queue, kind), id), Vec::new());
    Ok(Some(value))
}
