//! The store as the engine's shell sees it: records in the clear above, sealed records below.
//!
//! Whoever has the disk but neither passphrase nor platform key learns the number, the class and the size of the
//! records and how often they change, and can delete or roll back; not read, change, swap or rename.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::cache::ClassCache;
pub use super::cache::ClassRecords;
pub use super::key_table::KeyTable;
use super::keyring::Keyring;
pub use super::lock::Unlock;
use super::packing::{self, PageChanges, PageNumber};
use super::{
    Patch, Protection, RecordClass, RecordKey, SEALED_NAME_LENGTH, SealedPatch, SealedRecord, Store, StoreError,
    StoreHead, Transaction,
};
use crate::limits::{CLASS_CACHE_LENGTH_MAX, RECORD_NAME_LENGTH_MAX, SCAN_PAGE};

/// Milliseconds of a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// An open store: a backend and the keys to it.
pub struct SealedStore<S> {
    store: S,
    keyring: Keyring,
    cache: ClassCache,
}

impl<S: Store> SealedStore<S> {
    /// Makes a new store at generation 1 in an empty backend. `now` is milliseconds since 1970.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the backend is not empty, [`StoreError::Memory`], and what the backend says.
    pub fn create(mut store: S, unlock: &Unlock<'_>, now: u64, rng: &mut impl CryptoRng) -> Result<Self, StoreError> {
        let transaction = store.begin()?;
        if *transaction.head() != StoreHead::default() {
            return Err(StoreError::Exists);
        }
        let keyring = Keyring::create(unlock, now / DAY, rng)?;
        let patch = SealedPatch {
            header: Some(keyring.header()),
            generation_tag: keyring.generation_tag(1),
            ..SealedPatch::default()
        };
        transaction.commit(patch, 0)?;
        Ok(Self { store, keyring, cache: ClassCache::default() })
    }

    /// Opens a store that there is.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none, [`StoreError::WrongPassphrase`], [`StoreError::WrongPlatformKey`],
    /// [`StoreError::OtherLock`], [`StoreError::Format`], [`StoreError::Header`], [`StoreError::Generation`],
    /// [`StoreError::Memory`], and what the backend says.
    pub fn open(mut store: S, unlock: &Unlock<'_>) -> Result<Self, StoreError> {
        // Stretching a passphrase takes a good part of a second: not under the lock.
        let head = store.begin()?.head().clone();
        let keyring = Keyring::open(unlock, head.header.as_deref().ok_or(StoreError::Missing)?)?;
        keyring.verify_generation(head.generation, &head.generation_tag)?;
        Ok(Self { store, keyring, cache: ClassCache::default() })
    }

    /// Takes the lock and begins the handling of one event at `now` (milliseconds since 1970). On the first event of a
    /// day the state key is redrawn first, which is a commit of its own.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Generation`], [`StoreError::Header`], and what the backend says.
    pub fn begin(&mut self, now: u64, rng: &mut impl CryptoRng) -> Result<SealedTransaction<'_, S>, StoreError> {
        if self.keyring.state_key_day() != now / DAY {
            self.redraw_state_key(now / DAY, rng)?;
        }
        let transaction = self.store.begin()?;
        follow(&mut self.keyring, transaction.head())?;
        self.cache.see(transaction.head().generation);
        Ok(SealedTransaction { transaction, keyring: &self.keyring, cache: &mut self.cache })
    }

    /// Under which name a machine keeps the highest generation of this store as this device: the same for every copy of it,
    /// and nothing that tells whose it is.
    #[must_use]
    pub fn anchor_name(&self, device_id: u32) -> [u8; 32] {
        self.keyring.anchor_name(device_id)
    }

    /// Locks the store in another way from now on, and returns the new generation. Whoever has an old copy of the file
    /// and the old passphrase still opens that copy, and with the master key in it the records of this one.
    ///
    /// # Errors
    /// [`StoreError::Memory`], and what the backend says; the lock is then as it was.
    pub fn change_lock(&mut self, unlock: &Unlock<'_>, rng: &mut impl CryptoRng) -> Result<u64, StoreError> {
        let transaction = self.store.begin()?;
        follow(&mut self.keyring, transaction.head())?;
        let before = self.keyring.header();
        self.keyring.change_lock(unlock, rng)?;
        let generation = transaction.head().generation;
        let patch = SealedPatch {
            header: Some(self.keyring.header()),
            generation_tag: self.keyring.generation_tag(generation + 1),
            erase: true,
            ..SealedPatch::default()
        };
        match transaction.commit(patch, generation) {
            Ok(generation) => Ok(generation),
            Err(error) => {
                self.keyring.follow(&before)?;
                Err(error)
            }
        }
    }

    /// Seals all state records under a key drawn now and deletes the key before, in one commit, unless another handle
    /// has done so today.
    fn redraw_state_key(&mut self, day: u64, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        let transaction = self.store.begin()?;
        follow(&mut self.keyring, transaction.head())?;
        if self.keyring.state_key_day() == day {
            return Ok(());
        }
        let before = self.keyring.header();
        let resealed = reseal(&mut self.keyring, transaction, day, rng);
        match resealed {
            Ok(generation) => {
                // The values are the same, so what was cached stays good.
                self.cache.see(generation - 1);
                self.cache.advance(&Patch::default(), generation, CLASS_CACHE_LENGTH_MAX);
                Ok(())
            }
            Err(error) => {
                self.keyring.follow(&before)?;
                Err(error)
            }
        }
    }
}

impl<S> fmt::Debug for SealedStore<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealedStore(..)")
    }
}

/// Brings the keys up to what lies in the store: another handle may have redrawn the state key.
fn follow(keyring: &mut Keyring, head: &StoreHead) -> Result<(), StoreError> {
    let header = head.header.as_deref().ok_or(StoreError::Missing)?;
    if keyring.header() != header {
        keyring.follow(header)?;
    }
    keyring.verify_generation(head.generation, &head.generation_tag)
}

/// Draws the state key of the day, seals the state records under it page by page, and commits.
fn reseal(
    keyring: &mut Keyring,
    mut transaction: impl Transaction,
    day: u64,
    rng: &mut impl CryptoRng,
) -> Result<u64, StoreError> {
    let old = keyring.redraw(day, rng);
    for class in transaction.classes()? {
        if class.protection() != Protection::State {
            continue;
        }
        let mut after = None;
        loop {
            let page = transaction.page(class, after.as_ref(), SCAN_PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.name);
            // What does not open now is left as it is: it will be told as corrupt when it is loaded, and must not lock
            // the owner out of everything else.
            let opened = page.iter().filter_map(|record| keyring.open_record_under(&old, record).ok());
            let resealed: Result<Vec<_>, _> =
                opened.map(|(key, value)| keyring.seal_record(&key, &value, rng)).collect();
            transaction.stage(&resealed?)?;
        }
    }
    let generation = transaction.head().generation;
    let patch = SealedPatch {
        header: Some(keyring.header()),
        generation_tag: keyring.generation_tag(generation + 1),
        erase: true,
        ..SealedPatch::default()
    };
    transaction.commit(patch, generation)
}

/// The name of a record as the backend knows it.
pub type SealedName = [u8; SEALED_NAME_LENGTH];

/// Some records of a class.
#[derive(Debug)]
pub struct Page {
    /// With their names and values.
    pub records: Vec<(RecordKey, Zeroizing<Vec<u8>>)>,
    /// Where the next page begins; `None` if there is nothing more.
    pub last: Option<SealedName>,
}

/// The lock on an open store, held for one event. Dropped, it releases the lock and leaves the store as it was.
pub struct SealedTransaction<'a, S: Store + 'a> {
    transaction: S::Transaction<'a>,
    keyring: &'a Keyring,
    cache: &'a mut ClassCache,
}

impl<'a, S: Store + 'a> SealedTransaction<'a, S> {
    /// Commits so far. An engine that remembers another number loads again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.transaction.head().generation
    }

    /// The values of these records, in their order; `None` where there is no such record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], and what the backend says.
    pub fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Zeroizing<Vec<u8>>>>, StoreError> {
        let cached = |key: &RecordKey| self.cache.get(key.class).map(|records| records.get(&key.name).cloned());
        let absent = || keys.iter().filter(|key| cached(key).is_none());
        let sealed: Vec<_> = absent().map(|key| (key.class.is_packed(), self.keyring.seal_key(key))).collect();
        let alone: Vec<_> = sealed.iter().filter(|(packed, _)| !packed).map(|(_, key)| *key).collect();
        let mut alone = alone.iter().zip(self.transaction.load(&alone)?);
        let packed = sealed.iter().filter(|(packed, _)| *packed).map(|(_, key)| (key.class, packing::page_of(key)));
        let pages = self.pages(packed)?;
        let mut sealed = sealed.iter();
        keys.iter()
            .map(|key| match cached(key) {
                Some(value) => Ok(value),
                None => match sealed.next() {
                    Some((true, sealed)) => {
                        let page = pages.get(&(key.class, packing::page_of(sealed)));
                        Ok(page.and_then(|page| page.get(&key.name)).cloned())
                    }
                    _ => match alone.next() {
                        Some((sealed_key, Some(sealed))) => {
                            let (_, value) = self.keyring.open_record(&SealedRecord { key: *sealed_key, sealed })?;
                            Ok(Some(value))
                        }
                        _ => Ok(None),
                    },
                },
            })
            .collect()
    }

    /// All records of a class. Scanned once, a class of at most [`CLASS_CACHE_LENGTH_MAX`] bytes is kept in memory and
    /// carried over own commits.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], and what the backend says.
    pub fn scan(&mut self, class: RecordClass) -> Result<Arc<ClassRecords>, StoreError> {
        if let Some(records) = self.cache.get(class) {
            return Ok(Arc::clone(records));
        }
        let mut records = ClassRecords::default();
        self.visit_class(class, |key, value| {
            records.put(key.name, value);
            Ok::<_, StoreError>(())
        })?;
        let records = Arc::new(records);
        self.cache.keep(class, &records, CLASS_CACHE_LENGTH_MAX);
        Ok(records)
    }

    /// The keys of a class whose names have 16 bytes and whose values are keys of 32 bytes each. Read once, they are kept as
    /// a scanned class is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], also if the class has other records, and what the backend says.
    pub fn key_table(&mut self, class: RecordClass) -> Result<Arc<KeyTable>, StoreError> {
        if let Some(table) = self.cache.table(class) {
            return Ok(Arc::clone(table));
        }
        let (mut table, corrupt) = (KeyTable::default(), || StoreError::Corrupt { class });
        let mut after = None;
        loop {
            let page = self.transaction.page(class, after.as_ref(), SCAN_PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.name);
            for sealed in &page {
                let (key, value) = self.keyring.open_record(sealed)?;
                let mut of_such_a_class = true;
                if class.is_packed() {
                    packing::visit(&value, |name, value| of_such_a_class &= table.add(name, value))
                        .ok_or_else(corrupt)?;
                } else {
                    of_such_a_class = table.add(&key.name, &value);
                }
                if !of_such_a_class {
                    return Err(corrupt());
                }
            }
        }
        let table = Arc::new(table);
        self.cache.keep_table(class, &table, CLASS_CACHE_LENGTH_MAX);
        Ok(table)
    }

    /// Shows every record of every class, secrets included, in rising order of class and in no order within it; the
    /// caller chooses what may leave the device.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], what the backend says, and what `visit` returns, which ends the export.
    pub fn export<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(RecordKey, Zeroizing<Vec<u8>>) -> Result<(), E>,
    ) -> Result<(), E> {
        for class in self.transaction.classes()? {
            self.visit_class(class, &mut visit)?;
        }
        Ok(())
    }

    /// Some records of a class in the order of their sealed names, after the one that the page before ended with. Who reads
    /// a class so, page by page in transactions of its own, keeps no others waiting and sees every record that was there
    /// from the first page to the last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], and what the backend says.
    pub fn page(&self, class: RecordClass, after: Option<&SealedName>) -> Result<Page, StoreError> {
        let page = self.transaction.page(class, after, SCAN_PAGE)?;
        let last = page.last().map(|record| record.key.name);
        let mut records = Vec::new();
        for record in &page {
            self.visit_sealed(record, |key, value| {
                records.push((key, value));
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(Page { records, last })
    }

    /// Whether there is nothing in the store.
    ///
    /// # Errors
    /// What the backend says.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.transaction.classes()?.is_empty())
    }

    fn visit_class<E: From<StoreError>>(
        &self,
        class: RecordClass,
        mut visit: impl FnMut(RecordKey, Zeroizing<Vec<u8>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = None;
        loop {
            let page = self.transaction.page(class, after.as_ref(), SCAN_PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.name);
            for record in &page {
                self.visit_sealed(record, &mut visit)?;
            }
        }
    }

    /// Opens what is sealed together: a record, or the records of a page.
    fn visit_sealed<E: From<StoreError>>(
        &self,
        sealed: &SealedRecord,
        mut visit: impl FnMut(RecordKey, Zeroizing<Vec<u8>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let class = sealed.key.class;
        if !class.is_packed() {
            let (key, value) = self.keyring.open_record(sealed)?;
            return visit(key, value);
        }
        let (_, page) = self.keyring.open_record(sealed)?;
        let mut done = Ok(());
        let read = packing::visit(&page, |name, value| {
            if done.is_ok() {
                done = visit(RecordKey::new(class, name), Zeroizing::new(value.to_vec()));
            }
        });
        done?;
        read.ok_or_else(|| StoreError::Corrupt { class }.into())
    }

    fn open_page(&self, sealed: &SealedRecord) -> Result<(PageNumber, packing::Page), StoreError> {
        let class = sealed.key.class;
        let (key, value) = self.keyring.open_record(sealed)?;
        let ([number], Some(page)) = (key.name.as_slice(), packing::Page::decode(&value)) else {
            return Err(StoreError::Corrupt { class });
        };
        Ok((*number, page))
    }

    /// Those of these pages that there are.
    fn pages(
        &self,
        wanted: impl Iterator<Item = (RecordClass, PageNumber)>,
    ) -> Result<BTreeMap<(RecordClass, PageNumber), packing::Page>, StoreError> {
        let mut pages: Vec<_> = wanted.collect();
        pages.sort_unstable();
        pages.dedup();
        let seal =
            |(class, number): &(RecordClass, PageNumber)| self.keyring.seal_key(&packing::page_key(*class, *number));
        let keys: Vec<_> = pages.iter().map(seal).collect();
        let mut found = BTreeMap::new();
        for (key, sealed) in keys.iter().zip(self.transaction.load(&keys)?) {
            if let Some(sealed) = sealed {
                let (number, page) = self.open_page(&SealedRecord { key: *key, sealed })?;
                found.insert((key.class, number), page);
            }
        }
        Ok(found)
    }

    /// What a patch changes on pages. Pages that stay as they are stay sealed as they are.
    fn seal_pages(&self, patch: &Patch, rng: &mut impl CryptoRng) -> Result<SealedPatch, StoreError> {
        let mut changes = PageChanges::new();
        let page_of = |key: &RecordKey| (key.class, packing::page_of(&self.keyring.seal_key(key)));
        for key in patch.deletes.iter().filter(|key| key.class.is_packed()) {
            changes.entry(page_of(key)).or_default().insert(&key.name, None);
        }
        for (key, value) in patch.puts.iter().filter(|(key, _)| key.class.is_packed()) {
            if key.name.len() > RECORD_NAME_LENGTH_MAX {
                return Err(StoreError::TooLarge { class: key.class });
            }
            changes.entry(page_of(key)).or_default().insert(&key.name, Some(value));
        }
        let mut pages = self.pages(changes.keys().copied())?;
        let mut sealed = SealedPatch::default();
        for ((class, number), records) in changes {
            let mut page = pages.remove(&(class, number)).unwrap_or_default();
            let mut changed = false;
            for (name, value) in records {
                changed |= match value {
                    Some(value) => page.put(name, value),
                    None => page.delete(name),
                };
            }
            let key = packing::page_key(class, number);
            match (changed, page.is_empty()) {
                (false, _) => {}
                (true, true) => sealed.deletes.push(self.keyring.seal_key(&key)),
                (true, false) => sealed.puts.push(self.keyring.seal_record(&key, &page.encode(), rng)?),
            }
        }
        Ok(sealed)
    }

    /// Commits a patch whole, releases the lock, and returns the new generation; when this returns, the patch would
    /// survive a power cut. An empty patch is not written and leaves the generation as it is.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], and what the backend says; nothing of the patch is then there, unless the medium
    /// failed in the very act, which the next [`SealedStore::begin`] tells by the generation.
    pub fn commit(self, patch: &Patch, rng: &mut impl CryptoRng) -> Result<u64, StoreError> {
        let generation = self.generation();
        if patch.is_empty() {
            return Ok(generation);
        }
        let mut sealed = self.seal_pages(patch, rng)?;
        for (key, value) in patch.puts.iter().filter(|(key, _)| !key.class.is_packed()) {
            sealed.puts.push(self.keyring.seal_record(key, value, rng)?);
        }
        let alone = patch.deletes.iter().filter(|key| !key.class.is_packed());
        sealed.deletes.extend(alone.map(|key| self.keyring.seal_key(key)));
        sealed.generation_tag = self.keyring.generation_tag(generation + 1);
        let generation = self.transaction.commit(sealed, generation)?;
        self.cache.advance(patch, generation, CLASS_CACHE_LENGTH_MAX);
        Ok(generation)
    }
}

impl<'a, S: Store + 'a> fmt::Debug for SealedTransaction<'a, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealedTransaction(generation {}, ..)", self.generation())
    }
}

#[cfg(test)]
mod tests;
