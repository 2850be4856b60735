//! Where a device keeps its account: records, loaded, scanned, committed and exported.
//!
//! Three layers, top to bottom:
//!
//! 1. The shell and the engine speak of **records**: a [`RecordKey`] (class and name) and a value in the clear. A step
//!    of the engine ends in a [`Patch`], which is committed whole or not at all.
//! 2. [`seal`] seals every record and hides every name, under a passphrase or a platform key.
//! 3. A [`Store`] keeps **sealed** records: SQLite on desktops and phones, memory in tests and in the simulator. All
//!    of them pass one suite, [`conformance`].
//!
//! A shell handles one event so:
//!
//! ```text
//! let mut transaction = store.begin(now, rng)?;       // takes the lock, other processes wait
//! loop { transaction.load(..)?; transaction.scan(..)?; } // as the engine asks
//! transaction.commit(&patch, rng)?;                   // generation + 1, durable; releases the lock
//! // only now: tell the server, send, show
//! ```
//!
//! Dropping the transaction instead of committing it changes nothing. `spec/storage-client.md` describes what lies on
//! the disk.

mod cache;
pub mod conformance;
mod key_table;
mod keyring;
pub(crate) mod lock;
pub mod memory;
mod packing;
pub mod seal;
#[cfg(feature = "native")]
pub mod sqlite;

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

/// Under which key the records of a class are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// Contacts, messages, settings: under the store key, which stays.
    Account,
    /// Ratchets, prekeys, groups: under the state key, which is redrawn every day, so that what was deleted cannot be
    /// opened again, whatever the disk still holds.
    State,
}

/// A kind of record. The engine names its classes once, as constants:
///
/// ```
/// use medipeps_client::store::RecordClass;
/// const CONTACT: RecordClass = RecordClass::account(1);
/// const SESSION: RecordClass = RecordClass::state(1);
/// assert_ne!(CONTACT, SESSION);
/// ```
///
/// On disk a class is one byte: its number, plus 64 if its records are packed, plus 128 if they are sealed under the state
/// key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordClass(u8);

/// Set in the byte of a class whose records are sealed under the state key.
const STATE_BIT: u8 = 0x80;
/// Set in the byte of a class whose records are packed.
const PACKED_BIT: u8 = 0x40;

impl RecordClass {
    /// A class under [`Protection::Account`].
    ///
    /// # Panics
    /// When compiled, if the number is above 63.
    #[must_use]
    pub const fn account(number: u8) -> Self {
        assert!(number < PACKED_BIT, "a class has a number from 0 to 63");
        Self(number)
    }

    /// A class under [`Protection::State`].
    ///
    /// # Panics
    /// When compiled, if the number is above 63.
    #[must_use]
    pub const fn state(number: u8) -> Self {
        assert!(number < PACKED_BIT, "a class has a number from 0 to 63");
        Self(number | STATE_BIT)
    }

    /// A class under [`Protection::State`] whose records are small, and read all together where there are very many:
    /// they are sealed many at a time. Whoever changes one writes those beside it anew.
    ///
    /// # Panics
    /// When compiled, if the number is above 63.
    #[must_use]
    pub const fn packed_state(number: u8) -> Self {
        assert!(number < PACKED_BIT, "a class has a number from 0 to 63");
        Self(number | STATE_BIT | PACKED_BIT)
    }

    /// The class that has this byte on disk; every byte is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// Its byte on disk.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Whether its records are packed.
    #[must_use]
    pub const fn is_packed(self) -> bool {
        self.0 & PACKED_BIT != 0
    }

    /// Under which key its records are sealed.
    #[must_use]
    pub const fn protection(self) -> Protection {
        if self.0 & STATE_BIT == 0 { Protection::Account } else { Protection::State }
    }
}

impl fmt::Display for RecordClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.protection() {
            Protection::Account => "account",
            Protection::State => "state",
        };
        write!(formatter, "{kind} {}", self.0 & !(STATE_BIT | PACKED_BIT))
    }
}

impl fmt::Debug for RecordClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RecordClass({self})")
    }
}

/// Which record. Its `Debug` shows the class only: names are addresses and ids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The kind of record.
    pub class: RecordClass,
    /// Its name within the class, at most [`RECORD_NAME_LENGTH_MAX`](crate::limits::RECORD_NAME_LENGTH_MAX) bytes.
    pub name: Vec<u8>,
}

impl RecordKey {
    /// The record of this class and name.
    #[must_use]
    pub fn new(class: RecordClass, name: impl Into<Vec<u8>>) -> Self {
        Self { class, name: name.into() }
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RecordKey({}, ..)", self.class)
    }
}

/// What one step changes, committed whole or not at all. Deletions are done first, so a key in both lists is put.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// New values, in the clear; a key that exists is overwritten. Of a key put twice the last counts.
    pub puts: Vec<(RecordKey, Zeroizing<Vec<u8>>)>,
    /// Records to delete; one that does not exist is passed over.
    pub deletes: Vec<RecordKey>,
}

impl Patch {
    /// Adds a new value.
    pub fn put(&mut self, key: RecordKey, value: impl Into<Zeroizing<Vec<u8>>>) {
        self.puts.push((key, value.into()));
    }

    /// Adds a deletion.
    pub fn delete(&mut self, key: RecordKey) {
        self.deletes.push(key);
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Patch({} puts, {} deletes, ..)", self.puts.len(), self.deletes.len())
    }
}

/// Bytes of a sealed name: an HMAC-SHA256.
pub const SEALED_NAME_LENGTH: usize = 32;

/// Which record, as a [`Store`] knows it: the class, and the name as an HMAC under a key that the store does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedKey {
    /// The kind of record.
    pub class: RecordClass,
    /// HMAC of class and name.
    pub name: [u8; SEALED_NAME_LENGTH],
}

/// A record as a [`Store`] keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// Which.
    pub key: SealedKey,
    /// Nonce and ciphertext.
    pub sealed: Vec<u8>,
}

/// What a commit changes in a [`Store`]. Deletions are done first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedPatch {
    /// New values; of a key put twice the last counts.
    pub puts: Vec<SealedRecord>,
    /// Records to delete; one that does not exist is passed over.
    pub deletes: Vec<SealedKey>,
    /// A new header (an encoded `ClientStoreHeader`), or `None` to keep the one there is.
    pub header: Option<Vec<u8>>,
    /// Authenticates the generation that this commit makes; kept beside it.
    pub generation_tag: [u8; 32],
    /// What the patch overwrites or deletes shall leave the disk as far as the engine can see to it: SQLite folds its
    /// write-ahead log into the (zeroed) pages and truncates it.
    pub erase: bool,
}

/// What a [`Store`] knows about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreHead {
    /// Commits so far; 0 in a new store.
    pub generation: u64,
    /// As the last commit gave it; zeros in a new store.
    pub generation_tag: [u8; 32],
    /// As the last commit with a header gave it; `None` in a new store.
    pub header: Option<Vec<u8>>,
}

/// Keeps sealed records; see [`conformance`] for everything that an engine must hold.
pub trait Store {
    /// A transaction on this store.
    type Transaction<'a>: Transaction
    where
        Self: 'a;

    /// Takes the lock and begins. Other handles on the same store, in this process or another, wait until the
    /// transaction is committed or dropped.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the lock was not free within the engine's waiting time, else what the medium says.
    fn begin(&mut self) -> Result<Self::Transaction<'_>, StoreError>;
}

/// The lock on a [`Store`], held for one event. Dropped, it releases the lock and leaves the store as it was.
pub trait Transaction {
    /// Generation, its tag, and the header, as they are under this lock.
    fn head(&self) -> &StoreHead;

    /// The sealed values in the order of the keys; `None` where there is no such record.
    ///
    /// # Errors
    /// [`StoreError::Medium`]
    fn load(&self, keys: &[SealedKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// The records of a class in rising order of their sealed names, from the first one after `after` (or the first of
    /// all), at most `count` of them.
    ///
    /// # Errors
    /// [`StoreError::Medium`]
    fn page(
        &self,
        class: RecordClass,
        after: Option<&[u8; SEALED_NAME_LENGTH]>,
        count: usize,
    ) -> Result<Vec<SealedRecord>, StoreError>;

    /// The classes that have records, in rising order of their byte.
    ///
    /// # Errors
    /// [`StoreError::Medium`]
    fn classes(&self) -> Result<Vec<RecordClass>, StoreError>;

    /// Puts records ahead of the commit that they go with, for what is too much for one [`SealedPatch`]. They can be
    /// read in this transaction; if it is dropped, or its commit fails, they were never there.
    ///
    /// # Errors
    /// [`StoreError::Medium`]; the transaction is then good for nothing but to be dropped.
    fn stage(&mut self, records: &[SealedRecord]) -> Result<(), StoreError>;

    /// Writes everything in one step, raises the generation by one, and returns it only when all of it would survive
    /// a power cut. After an error nothing of the patch, or of what was staged, is there.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the stored generation is not `expected`, [`StoreError::Medium`].
    fn commit(self, patch: SealedPatch, expected: u64) -> Result<u64, StoreError>;
}

/// Why a store cannot do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds the store for longer than an event takes.
    #[error("another program is using this store; try again")]
    Busy,
    /// The caller's view of the store is older, or newer, than what is there. It loads again.
    #[error("the store is at generation {stored}, not the expected one")]
    Stale {
        /// What is there.
        stored: u64,
    },
    /// The browser gives no more room.
    #[error("the browser gives this store no more room")]
    Full,
    /// The medium failed: no space, no permission, an I/O error.
    #[error("the store's medium failed: {0}")]
    Medium(String),
    /// The store was made by another version of this program.
    #[error("the store has format {found}; this program reads format {known}")]
    Format {
        /// What is there.
        found: u32,
        /// What this version reads and writes.
        known: u32,
    },
    /// There is a store already where a new one should be made.
    #[error("there is a store here already")]
    Exists,
    /// There is no store where one should be opened.
    #[error("there is no store here")]
    Missing,
    /// The passphrase is not the one that the store was locked with (or its header was damaged).
    #[error("the passphrase does not open this store")]
    WrongPassphrase,
    /// The platform key is not the one that the store was locked with (or its header was damaged).
    #[error("the platform's key does not open this store")]
    WrongPlatformKey,
    /// The store is locked in the other way: by a passphrase where a platform key was given, or the reverse.
    #[error("the store is locked by a {0}")]
    OtherLock(&'static str),
    /// There is not enough memory to stretch the passphrase.
    #[error("not enough memory to check the passphrase")]
    Memory,
    /// The header is not one that this program wrote.
    #[error("the store's header is damaged: {0}")]
    Header(&'static str),
    /// The generation was written by something else than a commit of this store.
    #[error("the store's generation was changed from outside")]
    Generation,
    /// A record does not open, or belongs elsewhere: the disk or a stranger changed it.
    #[error("a record of the class {class} is damaged")]
    Corrupt {
        /// The record's class.
        class: RecordClass,
    },
    /// A record or its name is larger than its limit.
    #[error("a record of the class {class} is too large")]
    TooLarge {
        /// The record's class.
        class: RecordClass,
    },
}
