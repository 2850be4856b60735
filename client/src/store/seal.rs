//! The store as the engine's shell sees it: records in the clear above, sealed records below.
//!
//! Whoever has the disk but neither passphrase nor platform key learns the number, the class and the size of the
//! records and how often they change, and can delete or roll back; not read, change, swap or rename.

use std::fmt;
use std::sync::Arc;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::cache::ClassCache;
pub use super::cache::ClassRecords;
use super::keyring::Keyring;
pub use super::lock::Unlock;
use super::{
    Patch, Protection, RecordClass, RecordKey, SEALED_NAME_LENGTH, SealedPatch, SealedRecord, Store, StoreError,
    StoreHead, Transaction,
};
use crate::limits::{CLASS_CACHE_LENGTH_MAX, SCAN_PAGE};

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
        let absent: Vec<_> =
            keys.iter().filter(|key| cached(key).is_none()).map(|key| self.keyring.seal_key(key)).collect();
        let mut loaded = absent.iter().zip(self.transaction.load(&absent)?);
        keys.iter()
            .map(|key| match cached(key) {
                Some(value) => Ok(value),
                None => match loaded.next() {
                    Some((sealed_key, Some(sealed))) => {
                        let (_, value) = self.keyring.open_record(&SealedRecord { key: *sealed_key, sealed })?;
                        Ok(Some(value))
                    }
                    _ => Ok(None),
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
        let records = page.iter().map(|record| self.keyring.open_record(record)).collect::<Result<_, _>>()?;
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
                let (key, value) = self.keyring.open_record(record)?;
                visit(key, value)?;
            }
        }
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
        let sealed = SealedPatch {
            puts: patch
                .puts
                .iter()
                .map(|(key, value)| self.keyring.seal_record(key, value, rng))
                .collect::<Result<_, _>>()?,
            deletes: patch.deletes.iter().map(|key| self.keyring.seal_key(key)).collect(),
            header: None,
            generation_tag: self.keyring.generation_tag(generation + 1),
            erase: false,
        };
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
