//! The classes that a process has scanned, kept decrypted while nobody else commits.
//!
//! The table of hint keys is read for every envelope that comes in; among a thousand sessions it must not be decrypted
//! anew each time, nor put together: it is kept as a search goes through it. Own commits are carried over, a commit of
//! another handle empties the cache.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::key_table::KeyTable;
use super::{Patch, RecordClass, RecordKey};

/// All records of one class: values by name. Its `Debug` shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClassRecords {
    records: BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    /// Bytes of all names and values.
    length: usize,
}

impl ClassRecords {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Zeroizing<Vec<u8>>> {
        self.records.get(name)
    }

    /// Names and values in rising order of the names.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &Zeroizing<Vec<u8>>)> {
        self.records.iter().map(|(name, value)| (name.as_slice(), value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all names and values.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    pub(super) fn put(&mut self, name: Vec<u8>, value: Zeroizing<Vec<u8>>) {
        self.delete(&name);
        self.length += name.len() + value.len();
        self.records.insert(name, value);
    }

    fn delete(&mut self, name: &[u8]) {
        if let Some(value) = self.records.remove(name) {
            self.length -= name.len() + value.len();
        }
    }
}

impl fmt::Debug for ClassRecords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClassRecords({} records, ..)", self.len())
    }
}

/// Scanned classes as of one generation.
#[derive(Debug, Default)]
pub(super) struct ClassCache {
    generation: u64,
    classes: HashMap<RecordClass, Arc<ClassRecords>>,
    tables: HashMap<RecordClass, Arc<KeyTable>>,
}

impl ClassCache {
    /// Empties the cache if the store is at another generation than the cached classes.
    pub(super) fn see(&mut self, generation: u64) {
        if self.generation != generation {
            self.classes.clear();
            self.tables.clear();
            self.generation = generation;
        }
    }

    /// A class, if it was scanned.
    pub(super) fn get(&self, class: RecordClass) -> Option<&Arc<ClassRecords>> {
        self.classes.get(&class)
    }

    /// Keeps a class, unless it is larger than `length_max` bytes.
    pub(super) fn keep(&mut self, class: RecordClass, records: &Arc<ClassRecords>, length_max: usize) {
        if records.length() <= length_max {
            self.classes.insert(class, Arc::clone(records));
        }
    }

    /// The keys of a class, if they were read.
    pub(super) fn table(&self, class: RecordClass) -> Option<&Arc<KeyTable>> {
        self.tables.get(&class)
    }

    /// Keeps the keys of a class, unless they take more than `length_max` bytes.
    pub(super) fn keep_table(&mut self, class: RecordClass, table: &Arc<KeyTable>, length_max: usize) {
        if table.length() <= length_max {
            self.tables.insert(class, Arc::clone(table));
        }
    }

    /// Carries the cached classes over an own commit.
    pub(super) fn advance(&mut self, patch: &Patch, generation: u64, length_max: usize) {
        for RecordKey { class, name } in &patch.deletes {
            if let Some(records) = self.classes.get_mut(class) {
                Arc::make_mut(records).delete(name);
            }
            if let Some(table) = self.tables.get_mut(class) {
                Arc::make_mut(table).delete(name);
            }
        }
        for (RecordKey { class, name }, value) in &patch.puts {
            if let Some(records) = self.classes.get_mut(class) {
                Arc::make_mut(records).put(name.clone(), value.clone());
            }
            if let Some(table) = self.tables.get_mut(class)
                && !Arc::make_mut(table).put(name, value)
            {
                // Reading it anew will tell.
                self.tables.remove(class);
            }
        }
        self.tables.retain(|_, table| table.length() <= length_max);
        self.classes.retain(|_, records| records.length() <= length_max);
        self.generation = generation;
    }
}
