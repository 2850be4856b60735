//! A store in memory, for tests and the simulator. It can be told to fail, and copied as a thief would copy a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::{
    RecordClass, SEALED_NAME_LENGTH, SealedKey, SealedPatch, SealedRecord, Store, StoreError, StoreHead, Transaction,
};

/// Handles on one store; a clone is a second handle on the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    /// Sealed records that have been read.
    reads: Arc<AtomicUsize>,
}

/// How a commit shall fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Before anything is written.
    Unwritten,
    /// After everything is written: the caller cannot know.
    Written,
}

#[derive(Debug, Clone, Default)]
struct Disk {
    head: StoreHead,
    records: BTreeMap<SealedKey, Vec<u8>>,
    fault: Option<CommitFault>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with these contents, as [`Self::contents`] gave them.
    #[must_use]
    pub fn with_contents(head: StoreHead, records: Vec<SealedRecord>) -> Self {
        let records = records.into_iter().map(|record| (record.key, record.sealed)).collect();
        Self { disk: Arc::new(Mutex::new(Disk { head, records, fault: None })), reads: Arc::default() }
    }

    /// The next commit, of whatever handle, fails so.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.disk().fault = Some(fault);
    }

    /// A store of its own with the same contents: a backup, or a seized disk.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { disk: Arc::new(Mutex::new(self.disk().clone())), reads: Arc::default() }
    }

    /// Puts the contents of another store here: a disk rolled back.
    pub fn restore(&self, other: &Self) {
        let contents = other.disk().clone();
        *self.disk() = contents;
    }

    /// Everything that is kept, as it is kept.
    #[must_use]
    pub fn contents(&self) -> (StoreHead, Vec<SealedRecord>) {
        let disk = self.disk();
        let records = disk.records.iter().map(|(key, sealed)| SealedRecord { key: *key, sealed: sealed.clone() });
        (disk.head.clone(), records.collect())
    }

    /// How many sealed records all handles have read so far.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Overwrites one record as damage would: without lock, generation or seal.
    pub fn damage(&self, record: SealedRecord) {
        self.disk().records.insert(record.key, record.sealed);
    }

    /// A thread that ended badly while it held the lock has left whole data: commits are the only writers, and cannot
    /// stop half-way.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    type Transaction<'a> = MemoryTransaction<'a>;

    /// Does not wait: [`StoreError::Busy`] at once if another handle has the lock.
    fn begin(&mut self) -> Result<MemoryTransaction<'_>, StoreError> {
        let disk = match self.disk.try_lock() {
            Ok(disk) => disk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
        };
        Ok(MemoryTransaction { disk, unstaged: None, reads: &self.reads })
    }
}

/// The lock on a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryTransaction<'a> {
    disk: MutexGuard<'a, Disk>,
    /// The records as they were before any was staged.
    unstaged: Option<BTreeMap<SealedKey, Vec<u8>>>,
    reads: &'a AtomicUsize,
}

impl Transaction for MemoryTransaction<'_> {
    fn head(&self) -> &StoreHead {
        &self.disk.head
    }

    fn load(&self, keys: &[SealedKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let found: Vec<_> = keys.iter().map(|key| self.disk.records.get(key).cloned()).collect();
        self.reads.fetch_add(found.iter().flatten().count(), Ordering::Relaxed);
        Ok(found)
    }

    fn page(
        &self,
        class: RecordClass,
        after: Option<&[u8; SEALED_NAME_LENGTH]>,
        count: usize,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        let least = SealedKey { class, name: [0; SEALED_NAME_LENGTH] };
        let from = after.map_or(Bound::Included(least), |name| Bound::Excluded(SealedKey { class, name: *name }));
        let of_class = self.disk.records.range((from, Bound::Unbounded)).take_while(|(key, _)| key.class == class);
        let page: Vec<_> =
            of_class.take(count).map(|(key, sealed)| SealedRecord { key: *key, sealed: sealed.clone() }).collect();
        self.reads.fetch_add(page.len(), Ordering::Relaxed);
        Ok(page)
    }

    fn classes(&self) -> Result<Vec<RecordClass>, StoreError> {
        let classes: BTreeSet<_> = self.disk.records.keys().map(|key| key.class).collect();
        Ok(classes.into_iter().collect())
    }

    fn stage(&mut self, records: &[SealedRecord]) -> Result<(), StoreError> {
        if self.unstaged.is_none() {
            self.unstaged = Some(self.disk.records.clone());
        }
        self.disk.records.extend(records.iter().map(|record| (record.key, record.sealed.clone())));
        Ok(())
    }

    fn commit(mut self, patch: SealedPatch, expected: u64) -> Result<u64, StoreError> {
        let disk = &mut *self.disk;
        if disk.head.generation != expected {
            return Err(StoreError::Stale { stored: disk.head.generation });
        }
        let fault = disk.fault.take();
        let failed = || StoreError::Medium("injected fault".to_owned());
        if fault == Some(CommitFault::Unwritten) {
            return Err(failed());
        }
        self.unstaged = None;
        for key in patch.deletes {
            disk.records.remove(&key);
        }
        for record in patch.puts {
            disk.records.insert(record.key, record.sealed);
        }
        disk.head.generation += 1;
        disk.head.generation_tag = patch.generation_tag;
        if patch.header.is_some() {
            disk.head.header = patch.header;
        }
        if fault == Some(CommitFault::Written) { Err(failed()) } else { Ok(disk.head.generation) }
    }
}

impl Drop for MemoryTransaction<'_> {
    fn drop(&mut self) {
        if let Some(unstaged) = self.unstaged.take() {
            self.disk.records = unstaged;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Fixture, check};

    impl Fixture for MemoryStore {
        type Store = Self;

        fn handle(&mut self) -> Result<Self, StoreError> {
            Ok(self.clone())
        }
    }

    #[test]
    fn memory_holds_what_a_store_must_hold() {
        check(MemoryStore::new).unwrap();
    }

    #[test]
    fn a_fault_fails_one_commit() {
        let mut store = MemoryStore::new();
        store.fail_next_commit(CommitFault::Unwritten);
        assert!(matches!(store.begin().unwrap().commit(SealedPatch::default(), 0), Err(StoreError::Medium(_))));
        assert_eq!(store.begin().unwrap().head().generation, 0);
        store.fail_next_commit(CommitFault::Written);
        assert!(matches!(store.begin().unwrap().commit(SealedPatch::default(), 0), Err(StoreError::Medium(_))));
        assert_eq!(store.begin().unwrap().head().generation, 1);
        assert_eq!(store.begin().unwrap().commit(SealedPatch::default(), 1).unwrap(), 2);
    }

    #[test]
    fn a_copy_goes_its_own_way_until_it_is_restored() {
        let mut store = MemoryStore::new();
        let copy = store.copy();
        store.begin().unwrap().commit(SealedPatch::default(), 0).unwrap();
        assert_eq!(copy.contents().0.generation, 0);
        store.restore(&copy);
        assert_eq!(store.contents().0.generation, 0);
    }
}
