//! The keys of all records of a class, in one piece of memory, as a search goes through them.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key.
const KEY_LENGTH: usize = 32;
/// Bytes of a record's name.
const NAME_LENGTH: usize = 16;

type Name = [u8; NAME_LENGTH];
type Key = [u8; KEY_LENGTH];

/// The keys of a class whose names have 16 bytes and whose values are keys of 32 bytes. Its `Debug` shows only how many
/// there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyTable {
    /// In no order.
    keys: Zeroizing<Vec<Key>>,
    /// Whose the keys are, at the same places. Changes go through all of them, which takes a few hundredths of a search
    /// and keeps no second table.
    names: Vec<Name>,
}

impl KeyTable {
    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &[u8; KEY_LENGTH]> {
        self.keys.iter()
    }

    /// The name of the record that the key at a place belongs to.
    #[must_use]
    pub fn name(&self, place: usize) -> Option<&[u8; NAME_LENGTH]> {
        self.names.get(place)
    }

    /// Bytes that it takes.
    pub(super) fn length(&self) -> usize {
        self.names.len() * (KEY_LENGTH + NAME_LENGTH)
    }

    /// Sets a record; false if it is none of such a class.
    pub(super) fn put(&mut self, name: &[u8], value: &[u8]) -> bool {
        self.delete(name);
        self.add(name, value)
    }

    /// Adds a record that is not there; false if it is none of such a class.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        let (Ok(name), (keys, [])) = (Name::try_from(name), value.as_chunks::<KEY_LENGTH>()) else { return false };
        self.reserve(keys.len());
        self.keys.extend_from_slice(keys);
        self.names.extend(keys.iter().map(|_| name));
        true
    }

    /// Deletes a record, if there is one. The last keys take the places of its own.
    pub(super) fn delete(&mut self, name: &[u8]) {
        let Ok(name) = Name::try_from(name) else { return };
        let name = u128::from_ne_bytes(name);
        let mut place = 0;
        while let Some(found) = self.names[place..].iter().position(|other| u128::from_ne_bytes(*other) == name) {
            place += found;
            let last = self.names.len() - 1;
            self.keys.swap(place, last);
            self.keys[last].zeroize();
            self.keys.truncate(last);
            self.names.swap_remove(place);
        }
    }

    /// Growing leaves no copy of the keys behind.
    fn reserve(&mut self, more: usize) {
        let needed = self.keys.len() + more;
        if needed > self.keys.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.keys.capacity())));
            larger.extend_from_slice(&self.keys);
            self.keys = larger;
        }
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyTable({} keys, ..)", self.names.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chacha20::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn it_has_what_a_map_would_have_after_any_changes() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (mut table, mut map) = (KeyTable::default(), BTreeMap::new());
        for _ in 0..4000 {
            let name = [rng.next_u32() as u8 % 50; NAME_LENGTH];
            if rng.next_u32().is_multiple_of(3) {
                table.delete(&name);
                map.remove(&name);
            } else {
                let mut value = vec![0; KEY_LENGTH * (rng.next_u32() as usize % 4)];
                rng.fill_bytes(&mut value);
                assert!(table.put(&name, &value));
                map.insert(name, value);
            }
            let mut found = BTreeMap::<Name, Vec<Key>>::new();
            for (place, key) in table.keys().enumerate() {
                found.entry(*table.name(place).unwrap()).or_default().push(*key);
            }
            found.values_mut().for_each(|keys| keys.sort_unstable());
            let expected = map.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
                let mut keys = value.as_chunks::<KEY_LENGTH>().0.to_vec();
                keys.sort_unstable();
                (*name, keys)
            });
            assert_eq!(found, expected.collect());
        }
        assert_eq!(table.name(table.keys().count()), None);
    }

    #[test]
    fn other_records_are_told() {
        let mut table = KeyTable::default();
        assert!(!table.put(&[1; 15], &[0; 32]) && !table.put(&[1; 16], &[0; 33]));
        assert_eq!(table, KeyTable::default());
    }
}
