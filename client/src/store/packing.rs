//! Small records, many to a page, so that a class of very many is read in few pieces. A page is sealed as a record is.
//!
//! Which page a record lies on, its sealed name decides: an HMAC under a key that nobody else has. So whoever chooses names,
//! as a stranger chooses the ids of the sessions that he begins, cannot choose that they all lie on one page.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{RecordClass, RecordKey, SealedKey};

const LENGTH_LENGTH: usize = 4;

/// The number of a page: the first byte of the sealed names on it.
pub(super) type PageNumber = u8;

/// The page on which the record of this sealed name lies.
pub(super) const fn page_of(key: &SealedKey) -> PageNumber {
    key.name[0]
}

/// A page as a record of its class.
pub(super) fn page_key(class: RecordClass, number: PageNumber) -> RecordKey {
    RecordKey::new(class, [number])
}

/// The records of one page, by name.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Page(BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>);

impl Page {
    /// Reads what [`Self::encode`] made; `None` if it is not that.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut records = BTreeMap::new();
        visit(bytes, |name, value| {
            records.insert(name.to_vec(), Zeroizing::new(value.to_vec()));
        })?;
        Some(Self(records))
    }

    /// The records in rising order of their names, each as length and name, length and value.
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let length = |(name, value): (&Vec<u8>, &Zeroizing<Vec<u8>>)| 2 * LENGTH_LENGTH + name.len() + value.len();
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.iter().map(length).sum()));
        for (name, value) in &self.0 {
            put(&mut bytes, name);
            put(&mut bytes, value);
        }
        bytes
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Zeroizing<Vec<u8>>> {
        self.0.get(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a record; whether that changes anything.
    pub(super) fn put(&mut self, name: &[u8], value: &[u8]) -> bool {
        if self.0.get(name).is_some_and(|stored| stored.as_slice() == value) {
            return false;
        }
        self.0.insert(name.to_vec(), Zeroizing::new(value.to_vec()));
        true
    }

    /// Deletes a record; whether there was one.
    pub(super) fn delete(&mut self, name: &[u8]) -> bool {
        self.0.remove(name).is_some()
    }
}

/// What a patch changes on pages: by page, `None` where the record is deleted.
pub(super) type PageChanges<'a> = BTreeMap<(RecordClass, PageNumber), BTreeMap<&'a [u8], Option<&'a [u8]>>>;

/// Shows the records of an encoded page; `None` if it is not one, perhaps after some were shown.
pub(super) fn visit<'a>(mut bytes: &'a [u8], mut show: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    let mut last: Option<&[u8]> = None;
    while !bytes.is_empty() {
        let (name, value);
        (name, bytes) = take(bytes)?;
        (value, bytes) = take(bytes)?;
        if last.is_some_and(|last| last >= name) {
            return None;
        }
        show(name, value);
        last = Some(name);
    }
    Some(())
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    // Longer ones make the page too large for a record, which is refused.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(records: &[(&[u8], &[u8])]) -> Page {
        let mut page = Page::default();
        records.iter().for_each(|(name, value)| assert!(page.put(name, value)));
        page
    }

    #[test]
    fn pages_come_back() {
        for records in [&[][..], &[(&b""[..], &b""[..])], &[(b"a", b"1"), (b"b", b""), (b"ab", b"longer")]] {
            let page = page(records);
            let read = Page::decode(&page.encode()).unwrap();
            assert!(read == page);
            for (name, value) in records {
                assert_eq!(read.get(name).map(|value| value.as_slice()), Some(*value));
            }
            let mut shown = Vec::new();
            visit(&page.encode(), |name, value| shown.push((name.to_vec(), value.to_vec()))).unwrap();
            shown.sort();
            let mut sorted: Vec<_> = records.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            sorted.sort();
            assert_eq!(shown, sorted);
        }
    }

    #[test]
    fn what_changes_nothing_is_told() {
        let mut page = page(&[(b"a", b"1")]);
        assert!(!page.put(b"a", b"1") && !page.delete(b"b"));
        assert!(page.put(b"a", b"2") && page.delete(b"a") && page.is_empty());
    }

    #[test]
    fn what_is_cut_or_out_of_order_is_refused() {
        let bytes = page(&[(b"a", b"12"), (b"b", b"34")]).encode();
        let half = bytes.len() / 2;
        for length in (1..bytes.len()).filter(|length| *length != half) {
            assert!(Page::decode(&bytes[..length]).is_none(), "{length}");
        }
        for swapped in [[&bytes[half..], &bytes[..half]], [&bytes[..half], &bytes[..half]]] {
            assert!(Page::decode(&swapped.concat()).is_none());
        }
    }
}
