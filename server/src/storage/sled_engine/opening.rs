//! Opening a store: the lock, the format, the segments that are left.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use medipeps_core::wire::server_storage::{
    BlobPieceRecord, BlobRecord, EnvelopeRecord, GroupEntryRecord, GroupLogRecord, StoreRecord,
};

use medipeps_core::wire::WireError;

use super::records::{Records, corrupt};
use super::{layout, segment};
use crate::storage::{BlobUsage, GroupUsage, OpenError, StorageError};

/// For how long a store that is in use is tried again: when one has just been closed, sled's own threads may hold its file
/// a moment longer.
const IN_USE_PATIENCE: Duration = Duration::from_secs(1);
const IN_USE_INTERVAL: Duration = Duration::from_millis(20);

/// Opens sled as the rules want it.
pub(super) fn open_sled(directory: &Path, cache_bytes: u64) -> Result<sled::Db, OpenError> {
    let start = Instant::now();
    loop {
        // sled's own flusher would only add syncs that nobody waits for.
        let config = sled::Config::new().path(directory).cache_capacity(cache_bytes).flush_every_ms(None);
        match config.open() {
            // sled 0.34.7, config.rs, says it in no other way.
            Err(sled::Error::Io(error)) if error.to_string().starts_with("could not acquire lock on") => {
                if start.elapsed() > IN_USE_PATIENCE {
                    return Err(OpenError::InUse);
                }
                std::thread::sleep(IN_USE_INTERVAL);
            }
            Err(sled::Error::Io(error)) => return Err(OpenError::Io(error)),
            Err(other) => return Err(OpenError::Corrupt(other.to_string())),
            Ok(database) => return Ok(database),
        }
    }
}

/// The record of the store; `None` if there is no store yet.
pub(super) fn read_format(records: &Records) -> Result<Option<StoreRecord>, OpenError> {
    let opening = |error: StorageError| OpenError::Corrupt(error.to_string());
    let Some(format) = records.get(layout::FORMAT_KEY).map_err(opening)? else {
        return if records.tree.is_empty() {
            Ok(None)
        } else {
            Err(OpenError::Corrupt("the format is missing".into()))
        };
    };
    let found = format.try_into().map(u32::from_be_bytes).unwrap_or(0);
    if !(layout::OLDEST_FORMAT..=layout::FORMAT).contains(&found) {
        return Err(OpenError::UnknownFormat { found, known: layout::FORMAT });
    }
    let store = records.store().map_err(opening)?;
    if store.import_unfinished { Err(OpenError::ImportUnfinished) } else { Ok(Some(store)) }
}

/// Brings a store of an older format up to the present one, in one batch: whoever is interrupted finds the old store or the
/// new one. What format 2 adds is absent from older records and reads as what it was before there was such a thing.
pub(super) fn migrate(records: &Records, database: &sled::Db, file: &File) -> Result<(), OpenError> {
    let opening = |error: StorageError| OpenError::Corrupt(error.to_string());
    let current = layout::FORMAT.to_be_bytes();
    if records.get(layout::FORMAT_KEY).map_err(opening)?.as_deref() == Some(&current[..]) {
        return Ok(());
    }
    let failed = |error: sled::Error| OpenError::Io(io::Error::other(error));
    let mut batch = sled::Batch::default();
    batch.insert(layout::FORMAT_KEY, &current);
    records.tree.apply_batch(batch).map_err(failed)?;
    database.flush().map_err(failed)?;
    file.sync_all()?;
    tracing::info!(format = layout::FORMAT, "the store was brought up to the format of this version");
    Ok(())
}

/// Makes an empty tree a store.
pub(super) fn create(records: &Records, database: &sled::Db, file: &File) -> Result<[u8; 16], OpenError> {
    let incarnation = draw_incarnation()?;
    let mut batch = sled::Batch::default();
    batch.insert(layout::FORMAT_KEY, &layout::FORMAT.to_be_bytes());
    batch.insert(
        layout::STORE_KEY,
        StoreRecord { incarnation, next_account: 1, next_blob: 1, next_tenant: 1, import_unfinished: false }.encode(),
    );
    let failed = |error: sled::Error| OpenError::Io(io::Error::other(error));
    records.tree.apply_batch(batch).map_err(failed)?;
    database.flush().map_err(failed)?;
    file.sync_all()?;
    Ok(incarnation)
}

/// A new incarnation.
pub(super) fn draw_incarnation() -> io::Result<[u8; 16]> {
    let mut incarnation = [0; 16];
    getrandom::fill(&mut incarnation).map_err(io::Error::other)?;
    Ok(incarnation)
}

/// Segments with the number of live bodies in each, and the number that comes next.
pub(super) type Live = (HashMap<u64, u64>, u64);

/// What all queues hold.
#[derive(Debug, Default)]
pub(super) struct Queued {
    /// Envelopes.
    pub(super) envelopes: i64,
    /// Bytes of them.
    pub(super) bytes: i64,
}

/// Counts the live bodies of each segment, deletes the files without any, and says which number comes next: for the segments
/// of envelopes and for those of blobs. With what the queues hold.
pub(super) fn clean_segments(records: &Records) -> Result<(Live, Live, Queued), OpenError> {
    let (mut live, mut pieces, mut queued) = (HashMap::new(), HashMap::new(), Queued::default());
    look_at(records, layout::ENVELOPES, "an envelope's record", |value| {
        let envelope = EnvelopeRecord::decode(value)?;
        count(&mut live, envelope.segment);
        queued.envelopes += 1;
        queued.bytes += i64::from(envelope.length);
        Ok(())
    })?;
    look_at(records, layout::BLOB_PIECES, "a piece of a blob", |value| {
        let piece = BlobPieceRecord::decode(value)?;
        count(&mut pieces, piece.segment);
        Ok(())
    })?;
    look_at(records, layout::GROUP_ENTRIES, "an entry's record", |value| {
        let entry = GroupEntryRecord::decode(value)?;
        count(if entry.large { &mut pieces } else { &mut live }, entry.segment);
        Ok(())
    })?;
    Ok((clean(&records.segments, live)?, clean(&records.blob_segments, pieces)?, queued))
}

/// Counts the group logs, what they hold and who is woken.
pub(super) fn count_group_logs(records: &Records) -> Result<GroupUsage, OpenError> {
    let mut usage = GroupUsage::default();
    look_at(records, layout::GROUP_LOGS, "a group log", |value| {
        let log = GroupLogRecord::decode(value)?;
        usage.add_log(log.entries, log.bytes);
        Ok(())
    })?;
    look_at(records, layout::GROUP_WAKES, "a wake", |_| {
        usage.wakes += 1;
        Ok(())
    })?;
    Ok(usage)
}

/// Counts the blobs and what is reserved for them.
pub(super) fn count_blobs(records: &Records) -> Result<BlobUsage, OpenError> {
    let opening = |error: StorageError| OpenError::Corrupt(error.to_string());
    let mut usage = BlobUsage::default();
    for item in records.scan(layout::BLOBS) {
        let (_, value) = item.map_err(opening)?;
        usage.add(&BlobRecord::decode(&value).map_err(|error| opening(corrupt("a blob", &error)))?);
    }
    Ok(usage)
}

fn count(live: &mut HashMap<u64, u64>, segment: u64) {
    *live.entry(segment).or_default() += 1;
}

/// Shows every value under a prefix to `look`.
fn look_at(
    records: &Records,
    prefix: &[u8],
    what: &str,
    mut look: impl FnMut(&[u8]) -> Result<(), WireError>,
) -> Result<(), OpenError> {
    let opening = |error: StorageError| OpenError::Corrupt(error.to_string());
    for item in records.scan(prefix) {
        let (_, value) = item.map_err(opening)?;
        look(&value).map_err(|error| opening(corrupt(what, &error)))?;
    }
    Ok(())
}

fn clean(directory: &Path, live: HashMap<u64, u64>) -> Result<Live, OpenError> {
    let files = segment::list(directory)?;
    let highest = live.keys().chain(&files).max().copied().unwrap_or(0);
    for number in files.iter().filter(|number| !live.contains_key(number)) {
        segment::delete(directory, *number)?;
    }
    Ok((live, highest.saturating_add(1)))
}
