//! Appends to group logs at the storage trait: as many a second as are on the disk, of the same size and with as many in flight
//! as a row of durable enqueue in the same run.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medipeps_server::storage::{GroupAppend, GroupQuota, NewGroupLog, SledStorage, Spend, Storage, StorageOptions};

use super::{ENVELOPE_LENGTH, Failed, NOW_MS, random_bytes};

/// Logs that are written to by turns, as accounts are.
const LOGS: u64 = 64;
/// As in one of the rows of durable enqueue.
pub(super) const IN_FLIGHT: u64 = 64;
const KEY: [u8; 32] = [1; 32];

/// Appends a second, for so long.
pub(super) fn measure(
    runtime: &tokio::runtime::Runtime,
    directory: &Path,
    duration: Duration,
) -> Result<f64, Box<dyn Error>> {
    let store = directory.join("store-group-logs");
    if store.exists() {
        fs::remove_dir_all(&store)?;
    }
    let per_second = runtime.block_on(append(&store, duration)).map_err(|error| error.to_string())?;
    fs::remove_dir_all(&store)?;
    Ok(per_second)
}

async fn append(store: &Path, duration: Duration) -> Result<f64, Failed> {
    let group_quota = GroupQuota { entries_max: u64::MAX, bytes_max: u64::MAX, ..GroupQuota::default() };
    let storage = Arc::new(SledStorage::open(&StorageOptions { group_quota, ..StorageOptions::new(store) })?);
    for log in 0..LOGS {
        let (log_id, access_key) = (log_id(log), KEY);
        let new = NewGroupLog {
            log_id,
            access_key,
            epoch: 0,
            now_ms: NOW_MS,
            expires_ms: NOW_MS + 1,
            spend: Spend::default(),
        };
        storage.create_group_log(new).await?;
    }
    let entry = Arc::new(random_bytes(ENVELOPE_LENGTH));
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let authors: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (storage, next, entry) = (Arc::clone(&storage), Arc::clone(&next), Arc::clone(&entry));
            tokio::spawn(async move {
                let mut appended = 0_u64;
                while start.elapsed() < duration {
                    storage.append_group_entry(new_entry(next.fetch_add(1, Ordering::Relaxed), &entry)).await?;
                    appended += 1;
                }
                Ok::<_, Failed>(appended)
            })
        })
        .collect();
    let mut appended = 0;
    for author in authors {
        appended += author.await??;
    }
    Ok(appended as f64 / start.elapsed().as_secs_f64())
}

fn log_id(log: u64) -> [u8; 32] {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&log.to_be_bytes());
    id
}

fn new_entry(number: u64, entry: &[u8]) -> GroupAppend {
    let mut entry_id = [0; 16];
    // Drawn ids are in no order.
    entry_id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    entry_id[8..].copy_from_slice(&number.to_be_bytes());
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&entry_id);
    let now_ms = NOW_MS + number / 10;
    GroupAppend {
        log_id: log_id(number % LOGS),
        epoch: 0,
        access_key: KEY,
        entry_id,
        digest,
        entry: entry.to_vec(),
        next_access_key: None,
        now_ms,
        expires_ms: now_ms + 90 * 24 * 3600 * 1000,
        log_expires_ms: now_ms + 400 * 24 * 3600 * 1000,
        spend: Spend::default(),
    }
}
