//! The store of desktops and phones: one SQLite file in the account's folder.
//!
//! - Write-ahead log with `synchronous=FULL`: a commit is one append and one fsync of the log, and it is there after a
//!   power cut. (`EXTRA` adds something only to rollback journals.) On Apple systems `fullfsync` makes it so.
//! - `BEGIN IMMEDIATE` for every event, readers too: the lock is held per event, so that an app and its extension, or
//!   two commands, share one folder and never step on a ratchet.
//! - `secure_delete=ON`: freed bytes are overwritten with zeros. The log holds old pages until it is folded in, so a
//!   patch that shall erase is followed by a checkpoint that truncates it. What flash memory keeps all the same is in
//!   `spec/storage-client.md`.
//! - The file is readable by its owner only, and so is the folder.

use std::fs::{DirBuilder, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::{
    RecordClass, SEALED_NAME_LENGTH, SealedKey, SealedPatch, SealedRecord, Store, StoreError, StoreHead, Transaction,
};
use crate::limits::STORE_LOCK_WAIT;

/// The store's file in the account's folder; SQLite puts `-wal` and `-shm` beside it.
pub const FILE_NAME: &str = "store.sqlite";
/// `PRAGMA user_version`: the format of the tables. The header has a version of its own.
const SCHEMA_VERSION: u32 = 1;
/// `PRAGMA application_id`: "MPep".
const APPLICATION_ID: u32 = 0x4d50_6570;

const SCHEMA: &str = "
    CREATE TABLE head (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        generation INTEGER NOT NULL,
        generation_tag BLOB NOT NULL,
        header BLOB
    ) STRICT;
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        class INTEGER NOT NULL,
        name BLOB NOT NULL,
        sealed BLOB NOT NULL,
        UNIQUE (class, name)
    ) STRICT;
    INSERT INTO head (id, generation, generation_tag) VALUES (0, 0, zeroblob(32));
";

/// A handle on the store in one folder.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
}

impl SqliteStore {
    /// Makes folder and file where they are not there yet, both for the owner only, and opens the store.
    ///
    /// # Errors
    /// [`StoreError::Medium`] if folder or file cannot be made, [`StoreError::Format`], [`StoreError::Busy`].
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder).map_err(|error| StoreError::Medium(error.to_string()))?;
        make_file(&folder.join(FILE_NAME)).map_err(|error| StoreError::Medium(error.to_string()))?;
        Self::open(folder)
    }

    /// Opens the store that there is.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Format`] if another version made it, [`StoreError::Busy`],
    /// [`StoreError::Medium`] if the file cannot be read or is not a store.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_waiting(folder, STORE_LOCK_WAIT)
    }

    /// [`Self::open`] with another time to wait for the lock.
    ///
    /// # Errors
    /// The same.
    pub fn open_waiting(folder: &Path, lock_wait: Duration) -> Result<Self, StoreError> {
        let file = folder.join(FILE_NAME);
        if !file.exists() {
            return Err(StoreError::Missing);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags).map_err(refusal)?;
        let mut store = Self { connection };
        store.configure(lock_wait).map_err(refusal)?;
        store.make_tables()?;
        Ok(store)
    }

    fn configure(&mut self, lock_wait: Duration) -> rusqlite::Result<()> {
        self.connection.busy_timeout(lock_wait)?;
        let set = |name, value: &str| self.connection.pragma_update(None, name, value);
        // Before the first page is written; the log's mode is kept in the file.
        set("secure_delete", "ON")?;
        set("journal_mode", "WAL")?;
        set("synchronous", "FULL")?;
        set("fullfsync", "ON")?;
        set("checkpoint_fullfsync", "ON")?;
        set("temp_store", "MEMORY")?;
        set("trusted_schema", "OFF")?;
        set("cell_size_check", "ON")
    }

    fn make_tables(&mut self) -> Result<(), StoreError> {
        let pragma = |connection: &Connection, name| {
            connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).map_err(refusal)
        };
        let known = |found| match found {
            SCHEMA_VERSION => Ok(true),
            0 => Ok(false),
            found => Err(StoreError::Format { found, known: SCHEMA_VERSION }),
        };
        if known(pragma(&self.connection, "user_version")?)? {
            return Ok(());
        }
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(refusal)?;
        // Another process may have been first.
        if !known(pragma(&transaction, "user_version")?)? {
            transaction.execute_batch(SCHEMA).map_err(refusal)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(refusal)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(refusal)?;
        }
        transaction.commit().map_err(refusal)
    }
}

impl Store for SqliteStore {
    type Transaction<'a> = SqliteTransaction<'a>;

    fn begin(&mut self) -> Result<SqliteTransaction<'_>, StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(refusal)?;
        // From here on dropping it rolls back.
        let mut transaction =
            SqliteTransaction { connection: &mut self.connection, head: StoreHead::default(), open: true };
        transaction.head = transaction.read_head()?;
        Ok(transaction)
    }
}

/// The lock on a [`SqliteStore`].
#[derive(Debug)]
pub struct SqliteTransaction<'a> {
    connection: &'a mut Connection,
    head: StoreHead,
    open: bool,
}

impl SqliteTransaction<'_> {
    fn read_head(&self) -> Result<StoreHead, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT generation, generation_tag, header FROM head WHERE id = 0")
            .and_then(|mut query| query.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .map_err(refusal)?;
        let (generation, generation_tag, header): (i64, Vec<u8>, _) = row;
        Ok(StoreHead {
            generation: u64::try_from(generation).map_err(|_| StoreError::Generation)?,
            generation_tag: generation_tag.try_into().map_err(|_| StoreError::Generation)?,
            header,
        })
    }

    fn put(&self, records: &[SealedRecord]) -> rusqlite::Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO record (class, name, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (class, name) DO UPDATE SET sealed = excluded.sealed",
        )?;
        for SealedRecord { key, sealed } in records {
            put.execute(params![key.class.byte(), key.name, sealed])?;
        }
        Ok(())
    }

    fn write(&self, patch: &SealedPatch, generation: i64) -> rusqlite::Result<()> {
        let mut delete = self.connection.prepare_cached("DELETE FROM record WHERE class = ?1 AND name = ?2")?;
        for key in &patch.deletes {
            delete.execute(params![key.class.byte(), key.name])?;
        }
        self.put(&patch.puts)?;
        self.connection
            .prepare_cached(
                "UPDATE head SET generation = ?1, generation_tag = ?2, header = coalesce(?3, header) WHERE id = 0",
            )?
            .execute(params![generation, patch.generation_tag, patch.header])?;
        Ok(())
    }
}

impl Transaction for SqliteTransaction<'_> {
    fn head(&self) -> &StoreHead {
        &self.head
    }

    fn load(&self, keys: &[SealedKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT sealed FROM record WHERE class = ?1 AND name = ?2")
            .map_err(refusal)?;
        keys.iter()
            .map(|key| query.query_row(params![key.class.byte(), key.name], |row| row.get(0)).optional())
            .collect::<Result<_, _>>()
            .map_err(refusal)
    }

    fn page(
        &self,
        class: RecordClass,
        after: Option<&[u8; SEALED_NAME_LENGTH]>,
        count: usize,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        // Every name is greater than the empty one.
        let after = after.map_or(&[][..], |name| name.as_slice());
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut query = self
            .connection
            .prepare_cached("SELECT name, sealed FROM record WHERE class = ?1 AND name > ?2 ORDER BY name LIMIT ?3")
            .map_err(refusal)?;
        let rows = query
            .query_map(params![class.byte(), after, count], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(refusal)?;
        rows.map(|row| {
            let (name, sealed): (Vec<u8>, _) = row.map_err(refusal)?;
            let name: [u8; SEALED_NAME_LENGTH] = name.try_into().map_err(|_| StoreError::Corrupt { class })?;
            Ok(SealedRecord { key: SealedKey { class, name }, sealed })
        })
        .collect()
    }

    fn classes(&self) -> Result<Vec<RecordClass>, StoreError> {
        let mut query =
            self.connection.prepare_cached("SELECT DISTINCT class FROM record ORDER BY class").map_err(refusal)?;
        let rows = query.query_map([], |row| row.get::<_, u8>(0)).map_err(refusal)?;
        rows.map(|byte| byte.map(RecordClass::from_byte).map_err(refusal)).collect()
    }

    fn stage(&mut self, records: &[SealedRecord]) -> Result<(), StoreError> {
        self.put(records).map_err(refusal)
    }

    fn commit(mut self, patch: SealedPatch, expected: u64) -> Result<u64, StoreError> {
        let stored = self.head.generation;
        if stored != expected {
            return Err(StoreError::Stale { stored });
        }
        let generation = i64::try_from(stored + 1).map_err(|_| StoreError::Generation)?;
        self.write(&patch, generation).map_err(refusal)?;
        self.connection.execute_batch("COMMIT").map_err(refusal)?;
        self.open = false;
        if patch.erase {
            // The commit stands, whatever becomes of the log; the next one that erases tries again.
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        Ok(stored + 1)
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // If this fails SQLite has rolled back by itself, or does so when the file is opened again.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

fn refusal(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
        _ => StoreError::Medium(error.to_string()),
    }
}

/// Overwrites the header, and with it the wrapped keys, in the file and in its log; both reach the disk.
///
/// # Errors
/// [`StoreError::Busy`], [`StoreError::Medium`] if there is no store that can be read.
pub(crate) fn destroy_keys(folder: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = folder.join(FILE_NAME);
    let connection = Connection::open_with_flags(&file, flags).map_err(refusal)?;
    let mut store = SqliteStore { connection };
    store.configure(STORE_LOCK_WAIT).map_err(refusal)?;
    let destroy = "UPDATE head SET header = zeroblob(length(header)), generation_tag = zeroblob(32)";
    store.connection.execute(destroy, []).map_err(refusal)?;
    // The whole log into the file; then what the log has of former headers is overwritten, before SQLite lets go of it.
    store.connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).map_err(refusal)?;
    let medium = |error: std::io::Error| StoreError::Medium(error.to_string());
    let log = folder.join(format!("{FILE_NAME}-wal"));
    if let Ok(mut log) = OpenOptions::new().write(true).open(log) {
        let length = usize::try_from(log.metadata().map_err(medium)?.len()).unwrap_or(usize::MAX);
        std::io::Write::write_all(&mut log, &vec![0; length]).map_err(medium)?;
        log.sync_all().map_err(medium)?;
    }
    Ok(())
}

/// Makes the folder for its owner only; one that is there already is taken from the others.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::fs::Permissions;
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        builder.mode(0o700).create(folder)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    builder.create(folder)
}

/// Makes the file before SQLite does, which would let others read it; the log takes over its permissions.
fn make_file(file: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.sync_all()?;
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        std::fs::File::open(folder)?.sync_all()?; // the file's name is on the disk too
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Fixture, check};
    use crate::store::seal::{SealedStore, Unlock};
    use crate::store::{Patch, RecordKey};
    use chacha20::ChaCha20Rng;
    use medipeps_core::crypto::secret::Secret;
    use medipeps_core::wire::client_store::ClientStoreHeader;
    use rand_core::SeedableRng;
    use tempfile::TempDir;

    struct Folder(TempDir);

    impl Fixture for Folder {
        type Store = SqliteStore;

        fn handle(&mut self) -> Result<SqliteStore, StoreError> {
            drop(SqliteStore::create(self.0.path())?);
            SqliteStore::open_waiting(self.0.path(), Duration::from_millis(50))
        }
    }

    const CLASS: RecordClass = RecordClass::account(1);

    fn record(name: u8, sealed: Vec<u8>) -> SealedRecord {
        SealedRecord { key: SealedKey { class: CLASS, name: [name; SEALED_NAME_LENGTH] }, sealed }
    }

    fn put(name: u8, sealed: Vec<u8>) -> SealedPatch {
        SealedPatch { puts: vec![record(name, sealed)], ..SealedPatch::default() }
    }

    #[test]
    fn sqlite_holds_what_a_store_must_hold() {
        check(|| Folder(TempDir::new().unwrap())).unwrap();
    }

    #[test]
    fn a_folder_without_a_store_is_told_and_stays_empty() {
        let folder = TempDir::new().unwrap();
        assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::Missing)));
        assert!(matches!(SqliteStore::open(&folder.path().join("none")), Err(StoreError::Missing)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_no_store_is_refused() {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), vec![0x42; 8192]).unwrap();
        assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::Medium(_))));
    }

    #[test]
    fn a_store_of_a_later_format_is_refused_unchanged() {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::create(folder.path()).unwrap();
        store.connection.pragma_update(None, "user_version", 2).unwrap();
        drop(store);
        assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::Format { found: 2, known: 1 })));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("a home");
        let mut store = SqliteStore::create(&folder).unwrap();
        store.begin().unwrap().commit(put(1, vec![1]), 0).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
    }

    #[test]
    fn the_settings_that_durability_and_erasure_stand_on_are_in_force() {
        let folder = TempDir::new().unwrap();
        drop(SqliteStore::create(folder.path()).unwrap());
        let store = SqliteStore::open(folder.path()).unwrap();
        let number = |name| store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number("synchronous"), 2);
        assert_eq!(number("secure_delete"), 1);
        let mode: String = store.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_full_disk_leaves_the_store_as_it_was() {
        let folder = TempDir::new().unwrap();
        let mut store = SqliteStore::create(folder.path()).unwrap();
        store.begin().unwrap().commit(put(1, vec![1; 100]), 0).unwrap();
        let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |store: &SqliteStore, pages: i64| {
            store.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        };
        limit(&store, pages + 4);
        let patch = SealedPatch {
            puts: vec![record(1, vec![2; 100]), record(2, vec![3; 100_000])],
            header: Some(vec![1]),
            ..SealedPatch::default()
        };
        let failed = store.begin().unwrap().commit(patch.clone(), 1);
        assert!(matches!(failed, Err(StoreError::Medium(_))), "{failed:?}");
        let transaction = store.begin().unwrap();
        assert_eq!(transaction.head().generation, 1);
        assert_eq!(transaction.head().header, None);
        assert_eq!(transaction.page(CLASS, None, 9).unwrap(), [record(1, vec![1; 100])]);
        drop(transaction);
        limit(&store, 1_000_000);
        assert_eq!(store.begin().unwrap().commit(patch, 1).unwrap(), 2);
    }

    #[test]
    fn erased_values_are_not_in_the_files() {
        let folder = TempDir::new().unwrap();
        let mut store = SqliteStore::create(folder.path()).unwrap();
        let secret = b"to be erased, and to be found nowhere".repeat(300);
        store.begin().unwrap().commit(put(1, secret.clone()), 0).unwrap();
        let found = || {
            std::fs::read_dir(folder.path()).unwrap().any(|entry| {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap();
                bytes.windows(37).any(|window| window == &secret[..37])
            })
        };
        assert!(found());
        let patch = SealedPatch { deletes: vec![record(1, vec![]).key], erase: true, ..SealedPatch::default() };
        store.begin().unwrap().commit(patch, 1).unwrap();
        assert!(!found());
    }

    #[test]
    fn the_state_key_of_yesterday_is_not_in_the_files() {
        let folder = TempDir::new().unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (key, noon, day) = (Secret::from([2; 32]), 1_728_043_200_000, 86_400_000);
        let unlock = Unlock::PlatformKey(&key);
        let backend = SqliteStore::create(folder.path()).unwrap();
        let mut store = SealedStore::create(backend, &unlock, noon, &mut rng).unwrap();
        let mut patch = Patch::default();
        patch.put(RecordKey::new(RecordClass::state(1), *b"session"), vec![7; 5000]);
        store.begin(noon, &mut rng).unwrap().commit(&patch, &mut rng).unwrap();

        let header = SqliteStore::open(folder.path()).unwrap().begin().unwrap().head().header.clone().unwrap();
        let sealed_state_key = ClientStoreHeader::decode(&header).unwrap().sealed_state_key;
        let found = || {
            std::fs::read_dir(folder.path()).unwrap().any(|entry| {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap();
                bytes.windows(sealed_state_key.len()).any(|window| window == sealed_state_key)
            })
        };
        assert!(found());
        let transaction = store.begin(noon + day, &mut rng).unwrap();
        let loaded = transaction.load(&[RecordKey::new(RecordClass::state(1), *b"session")]).unwrap();
        assert_eq!(loaded[0].as_ref().unwrap().as_slice(), [7; 5000]);
        assert!(!found());
    }

    #[test]
    fn handles_in_many_threads_wait_for_each_other() {
        let folder = TempDir::new().unwrap();
        drop(SqliteStore::create(folder.path()).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut store = SqliteStore::open(folder.path()).unwrap();
                    for _ in 0..25 {
                        let transaction = store.begin().unwrap();
                        let counted = transaction.load(&[record(1, vec![]).key]).unwrap();
                        let counted = counted[0].as_ref().map_or(0, |bytes| bytes[0]);
                        let generation = transaction.head().generation;
                        transaction.commit(put(1, vec![counted + 1]), generation).unwrap();
                    }
                });
            }
        });
        let mut store = SqliteStore::open(folder.path()).unwrap();
        let transaction = store.begin().unwrap();
        assert_eq!(transaction.head().generation, 100);
        assert_eq!(transaction.page(CLASS, None, 9).unwrap(), [record(1, vec![100])]);
    }
}
