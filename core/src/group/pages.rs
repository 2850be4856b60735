//! A group at rest: its encoded state cut into pages, of which only those are written that changed.
//!
//! A section (the state, the tree, a past epoch, a pending commit) is a list of pages; the manifest holds the lists. When a
//! section is stored anew, every page that still occurs in it stays where it is, wherever the bytes around it moved, and
//! what lies between becomes new pages. Sections share pages: a pending commit is mostly the tree that is there already.
//!
//! What is compared are a device's own old and new state, so that time and page sizes tell which part of the state changed,
//! as the writes to the store do anyway, and nothing about its bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use zeroize::Zeroizing;

use super::GroupId;
use super::error::StateError;
use crate::limits::{GROUP_CHANGED_PAGE_LENGTH, GROUP_PAGE_LENGTH};
use crate::wire::group::{ManifestFields, PageFields, Section, SectionFields};

/// Bytes at a page's beginning by which it is looked for.
const PREFIX: usize = 16;
/// Pages that begin alike and are tried. Blank nodes are zeros, many of them.
const CANDIDATES_MAX: usize = 8;
/// A new piece shorter than this takes the old page after it in, or pages would crumble.
const CRUMB: usize = GROUP_CHANGED_PAGE_LENGTH / 4;

/// What the caller's store must write, in one transaction, before anything that was computed may leave the device.
pub struct GroupChanges {
    /// The manifest's record.
    pub manifest: Zeroizing<Vec<u8>>,
    /// Numbers and records of pages.
    pub pages: Vec<(u32, Zeroizing<Vec<u8>>)>,
    /// Numbers of pages to delete.
    pub removed: Vec<u32>,
}

impl GroupChanges {
    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.manifest.len() + self.pages.iter().map(|(_, record)| record.len()).sum::<usize>()
    }
}

impl fmt::Debug for GroupChanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.pages.iter().map(|(number, _)| number).collect();
        write!(formatter, "GroupChanges {{ pages: {numbers:?}, removed: {:?}, .. }}", self.removed)
    }
}

/// The pages of one group.
#[derive(Clone)]
pub(super) struct Pages {
    group_id: GroupId,
    generation: u64,
    next_page: u32,
    pages: BTreeMap<u32, Page>,
    sections: BTreeMap<Section, Vec<u32>>,
    written: BTreeSet<u32>,
    removed: BTreeSet<u32>,
}

#[derive(Clone)]
struct Page {
    generation: u64,
    content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pages {{ generation: {}, pages: {}, .. }}", self.generation, self.pages.len())
    }
}

impl Pages {
    pub(super) fn new(group_id: GroupId) -> Self {
        Self {
            group_id,
            generation: 0,
            next_page: 0,
            pages: BTreeMap::new(),
            sections: BTreeMap::new(),
            written: BTreeSet::new(),
            removed: BTreeSet::new(),
        }
    }

    /// Takes the pages that a manifest names.
    pub(super) fn load(
        manifest: &ManifestFields,
        mut page: impl FnMut(u32) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, StateError> {
        let mut loaded =
            Self { generation: manifest.generation, next_page: manifest.next_page, ..Self::new(manifest.group_id) };
        for section in &manifest.sections {
            let mut numbers = Vec::with_capacity(section.pages.len());
            for &(number, generation) in &section.pages {
                let known = loaded.pages.get(&number).map(|page| page.generation);
                let found = match known {
                    Some(known) => known == generation,
                    None => {
                        let record = page(number).ok_or(StateError::MissingPage(number))?;
                        let fields = PageFields::decode(&record)?;
                        let found = fields.group_id == manifest.group_id
                            && fields.number == number
                            && fields.generation == generation
                            && number < manifest.next_page;
                        loaded.pages.insert(number, Page { generation, content: fields.content });
                        found
                    }
                };
                if !found {
                    return Err(StateError::OtherPage(number));
                }
                numbers.push(number);
            }
            loaded.sections.insert(section.section, numbers);
        }
        Ok(loaded)
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = Section> + '_ {
        self.sections.keys().copied()
    }

    /// The bytes of a section.
    pub(super) fn read(&self, section: Section) -> Option<Zeroizing<Vec<u8>>> {
        let pages = self.sections.get(&section)?;
        let length = pages.iter().filter_map(|number| self.pages.get(number)).map(|page| page.content.len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for number in pages {
            bytes.extend_from_slice(&self.pages.get(number)?.content);
        }
        Some(bytes)
    }

    /// Stores a section anew.
    pub(super) fn store(&mut self, section: Section, bytes: &[u8]) {
        let previous = self.sections.remove(&section).unwrap_or_default();
        // What a message changes is a little of a state that was there before; everything else comes with an epoch.
        let length = if section == Section::State && !previous.is_empty() {
            GROUP_CHANGED_PAGE_LENGTH
        } else {
            GROUP_PAGE_LENGTH
        };
        let cuts = self.cut(bytes, &previous);
        let mut numbers = Vec::with_capacity(previous.len() + 2);
        for cut in cuts {
            match cut {
                Cut::Known(number) => numbers.push(number),
                Cut::New(start, end) => {
                    let pieces = (end - start).div_ceil(length).max(1);
                    for piece in bytes[start..end].chunks((end - start).div_ceil(pieces).max(1)) {
                        numbers.push(self.add(piece));
                    }
                }
            }
        }
        self.sections.insert(section, numbers);
    }

    /// Forgets a section.
    pub(super) fn remove(&mut self, section: Section) {
        self.sections.remove(&section);
    }

    /// Whether a section is there.
    pub(super) fn contains(&self, section: Section) -> bool {
        self.sections.contains_key(&section)
    }

    /// Ends a change: pages that no section names go, the generation rises, and what is to be written comes out.
    pub(super) fn finish(
        &mut self,
        manifest: impl FnOnce(u64, u32, Vec<SectionFields>) -> ManifestFields,
    ) -> GroupChanges {
        let named: BTreeSet<u32> = self.sections.values().flatten().copied().collect();
        let unnamed: Vec<u32> = self.pages.keys().filter(|number| !named.contains(number)).copied().collect();
        for number in unnamed {
            self.pages.remove(&number);
            if !self.written.remove(&number) {
                self.removed.insert(number);
            }
        }
        self.generation += 1;
        let mut records = Vec::with_capacity(self.written.len());
        for number in std::mem::take(&mut self.written) {
            if let Some(page) = self.pages.get_mut(&number) {
                page.generation = self.generation;
                let fields = PageFields {
                    group_id: self.group_id,
                    number,
                    generation: page.generation,
                    content: page.content.clone(),
                };
                records.push((number, fields.encode()));
            }
        }
        let sections = self
            .sections
            .iter()
            .map(|(&section, numbers)| SectionFields {
                section,
                pages: numbers
                    .iter()
                    .filter_map(|number| Some((*number, self.pages.get(number)?.generation)))
                    .collect(),
            })
            .collect();
        GroupChanges {
            manifest: manifest(self.generation, self.next_page, sections).encode(),
            pages: records,
            removed: std::mem::take(&mut self.removed).into_iter().collect(),
        }
    }

    fn add(&mut self, content: &[u8]) -> u32 {
        let number = self.next_page;
        self.next_page += 1;
        self.pages.insert(number, Page { generation: 0, content: Zeroizing::new(content.to_vec()) });
        self.written.insert(number);
        number
    }

    /// Where known pages lie in `bytes`, and what lies between them.
    fn cut(&self, bytes: &[u8], previous: &[u32]) -> Vec<Cut> {
        let index = Index::of(&self.pages);
        let mut cuts = Vec::new();
        let (mut start, mut at, mut expected) = (0, 0, 0);
        let mut awaited = self.awaited(previous, expected);
        while at < bytes.len() {
            // Asked at every byte, so it is not looked up anew.
            let next = awaited.filter(|(_, content)| bytes[at..].starts_with(content)).map(|(number, _)| number);
            let found = next.or_else(|| index.find(&bytes[at..], |number| self.begins(&bytes[at..], number)));
            let Some(number) = found else {
                at += 1;
                continue;
            };
            let length = self.pages.get(&number).map_or(1, |page| page.content.len());
            if let Some(place) = previous.iter().skip(expected).position(|other| *other == number) {
                expected += place + 1;
                awaited = self.awaited(previous, expected);
            }
            if start == at || at - start >= CRUMB {
                if start < at {
                    cuts.push(Cut::New(start, at));
                }
                cuts.push(Cut::Known(number));
                start = at + length;
            }
            at += length;
        }
        if start < bytes.len() {
            cuts.push(Cut::New(start, bytes.len()));
        }
        cuts
    }

    /// The page that came next before, if there is anything in it.
    fn awaited(&self, previous: &[u32], expected: usize) -> Option<(u32, &[u8])> {
        let number = *previous.get(expected)?;
        let content = self.pages.get(&number)?.content.as_slice();
        (!content.is_empty()).then_some((number, content))
    }

    fn begins(&self, bytes: &[u8], number: u32) -> bool {
        self.pages.get(&number).is_some_and(|page| !page.content.is_empty() && bytes.starts_with(&page.content))
    }
}

enum Cut {
    Known(u32),
    New(usize, usize),
}

/// Pages by how they begin.
struct Index {
    /// One bit for each value of two bytes that some page begins with, so that most places are passed by quickly.
    seen: Vec<u64>,
    pages: HashMap<[u8; PREFIX], Vec<u32>>,
}

impl Index {
    fn of(pages: &BTreeMap<u32, Page>) -> Self {
        let mut index = Self { seen: vec![0; 1 << 10], pages: HashMap::with_capacity(pages.len()) };
        for (number, page) in pages {
            if let Some(prefix) = page.content.first_chunk::<PREFIX>() {
                let (word, bit) = place(prefix);
                index.seen[word] |= bit;
                index.pages.entry(*prefix).or_default().push(*number);
            }
        }
        index
    }

    fn find(&self, bytes: &[u8], is_here: impl Fn(u32) -> bool) -> Option<u32> {
        let prefix = bytes.first_chunk::<PREFIX>()?;
        let (word, bit) = place(prefix);
        if self.seen[word] & bit == 0 {
            return None;
        }
        let candidates = self.pages.get(prefix)?;
        candidates.iter().rev().take(CANDIDATES_MAX).copied().find(|number| is_here(*number))
    }
}

fn place(prefix: &[u8; PREFIX]) -> (usize, u64) {
    let value = usize::from(prefix[0] ^ prefix[5]) << 8 | usize::from(prefix[3] ^ prefix[9]);
    (value >> 6, 1 << (value & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;
    use rand_core::Rng;

    const GROUP: GroupId = GroupId([1; 32]);

    fn manifest(generation: u64, next_page: u32, sections: Vec<SectionFields>) -> ManifestFields {
        ManifestFields {
            generation,
            group_id: GROUP,
            cipher_suite: 3,
            log_id: [2; 32],
            next_page,
            sections,
            keys: Vec::new(),
            pending: None,
        }
    }

    fn random(length: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; length];
        rng(seed).fill_bytes(&mut bytes);
        bytes
    }

    /// A store that does as it is told.
    #[derive(Default, Clone)]
    struct Store {
        manifest: Zeroizing<Vec<u8>>,
        pages: BTreeMap<u32, Zeroizing<Vec<u8>>>,
    }

    impl Store {
        fn write(&mut self, changes: GroupChanges) {
            self.manifest = changes.manifest;
            self.pages.extend(changes.pages);
            for number in changes.removed {
                assert!(self.pages.remove(&number).is_some(), "page {number} was never written");
            }
        }

        fn load(&self) -> Result<Pages, StateError> {
            let manifest = ManifestFields::decode(&self.manifest).unwrap();
            let loaded = Pages::load(&manifest, |number| self.pages.get(&number).cloned())?;
            assert_eq!(loaded.pages.len(), self.pages.len(), "no page is left over");
            Ok(loaded)
        }
    }

    #[test]
    fn a_change_in_the_middle_writes_little() {
        let (mut pages, mut store) = (Pages::new(GROUP), Store::default());
        let mut bytes = random(300_000, 1);
        pages.store(Section::State, &bytes);
        store.write(pages.finish(manifest));
        // The first change refines the page that it is in; those after it write little.
        bytes.splice(100_000..100_032, random(80, 2));
        pages.store(Section::State, &bytes);
        let changes = pages.finish(manifest);
        assert!(changes.bytes() < 40_000, "{}", changes.bytes());
        store.write(changes);
        bytes.splice(100_010..100_020, random(70, 3));
        pages.store(Section::State, &bytes);
        let changes = pages.finish(manifest);
        assert!(changes.bytes() < 5_000, "{}", changes.bytes());
        store.write(changes);
        assert_eq!(*store.load().unwrap().read(Section::State).unwrap(), bytes);
    }

    #[test]
    fn sections_share_what_they_have_in_common() {
        let (mut pages, mut store) = (Pages::new(GROUP), Store::default());
        let tree = random(500_000, 1);
        pages.store(Section::Tree, &tree);
        store.write(pages.finish(manifest));
        let pending = [random(700, 2), tree.clone(), random(900, 3), tree.clone()].concat();
        pages.store(Section::Pending, &pending);
        let changes = pages.finish(manifest);
        assert!(changes.bytes() < 6_000, "{}", changes.bytes());
        store.write(changes);
        pages.remove(Section::Pending);
        store.write(pages.finish(manifest));
        let loaded = store.load().unwrap();
        assert_eq!(*loaded.read(Section::Tree).unwrap(), tree);
        assert!(loaded.read(Section::Pending).is_none());
    }

    #[test]
    fn pages_of_another_state_are_refused() {
        let (mut pages, mut store) = (Pages::new(GROUP), Store::default());
        pages.store(Section::State, &random(5_000, 1));
        store.write(pages.finish(manifest));
        let old = store.clone();
        pages.store(Section::State, &random(5_000, 2));
        store.write(pages.finish(manifest));
        // The new manifest with the old pages, and the old one with the new.
        let mixed = Store { manifest: store.manifest.clone(), pages: old.pages.clone() };
        assert!(matches!(mixed.load(), Err(StateError::MissingPage(_))));
        let mut replayed = store.clone();
        let (number, record) = (*store.pages.keys().next().unwrap(), old.pages.values().next().unwrap().clone());
        replayed.pages.insert(number, record);
        assert_eq!(replayed.load().unwrap_err(), StateError::OtherPage(number));
        let mixed = Store { manifest: old.manifest.clone(), pages: store.pages.clone() };
        assert!(matches!(mixed.load(), Err(StateError::MissingPage(_))));
        assert!(old.load().is_ok() && store.load().is_ok());
    }

    #[test]
    fn any_series_of_changes_comes_back() {
        let (mut pages, mut store, mut generator) = (Pages::new(GROUP), Store::default(), rng(9));
        let mut bytes = random(20_000, 1);
        for round in 0_u8..120 {
            let at = generator.next_u32() as usize % (bytes.len() + 1);
            let length = (generator.next_u32() as usize % 3_000).min(bytes.len() - at);
            let new = generator.next_u32() as usize % 3_000;
            // Zeros as well, as blank nodes are.
            let content = if round % 3 == 0 { vec![0; new] } else { random(new, round) };
            bytes.splice(at..at + length, content);
            let section = [Section::State, Section::Tree, Section::Pending, Section::Epoch(4)][usize::from(round % 4)];
            pages.store(section, &bytes);
            store.write(pages.finish(manifest));
            pages = store.load().unwrap();
            assert_eq!(*pages.read(section).unwrap(), bytes, "round {round}");
            assert_eq!(pages.generation(), u64::from(round) + 1);
        }
    }
}
