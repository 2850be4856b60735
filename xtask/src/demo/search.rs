//! The search of what the server keeps for what was written: any 32 bytes of it, in every encoding.

use std::collections::BTreeSet;

use super::encoding::{self, Encoding};

/// The length of the pieces that are looked for, in bytes of the encoded form. Shorter texts are looked for whole.
const WINDOW: usize = 32;
/// The shortest text that can be looked for: fewer bytes turn up by chance.
pub(super) const NEEDLE_LENGTH_MIN: usize = 8;
/// How many bytes of a piece its key has.
const KEY: usize = 8;
/// A piece of fewer different bytes (a run of spaces, say) tells nothing about where it came from.
const DIFFERENT_BYTES_MIN: usize = 4;

/// Something that was written and must not be found.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    /// What it is, for the report.
    pub(super) label: String,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

/// A piece of a needle that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Find {
    /// The needle's place in the list given to [`Searcher::new`].
    pub(super) needle: usize,
    /// The form in which it was found.
    pub(super) encoding: Encoding,
}

/// All pieces of all needles, ready to be looked for in one pass.
#[derive(Debug)]
pub(super) struct Searcher {
    forms: Vec<Form>,
    /// Sorted by key.
    pieces: Vec<Piece>,
    /// One bit for each value of a hash of the key: most positions of a haystack are done with after this.
    filter: Vec<u64>,
}

#[derive(Debug)]
struct Form {
    needle: usize,
    encoding: Encoding,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    key: u64,
    form: usize,
    offset: usize,
    length: usize,
}

/// How many bits of a key's hash the filter tells apart.
const FILTER_BITS: u32 = 24;

impl Default for Searcher {
    /// Looks for nothing.
    fn default() -> Self {
        Self { forms: Vec::new(), pieces: Vec::new(), filter: vec![0; 1 << (FILTER_BITS - 6)] }
    }
}

impl Searcher {
    /// Prepares the needles. Those under [`NEEDLE_LENGTH_MIN`] bytes are left out; the caller picks longer ones.
    pub(super) fn new(needles: &[Needle]) -> Self {
        let mut searcher = Self::default();
        for (needle, Needle { bytes, .. }) in needles.iter().enumerate() {
            if bytes.len() < NEEDLE_LENGTH_MIN {
                continue;
            }
            for (encoding, bytes) in encoding::all(bytes) {
                searcher.add(Form { needle, encoding, bytes });
            }
        }
        searcher.pieces.sort_unstable_by_key(|piece| piece.key);
        searcher
    }

    fn add(&mut self, form: Form) {
        let length = form.bytes.len().min(WINDOW);
        for (offset, piece) in form.bytes.windows(length).enumerate() {
            if piece.iter().collect::<BTreeSet<_>>().len() < DIFFERENT_BYTES_MIN {
                continue;
            }
            let key = piece.iter().take(KEY).fold(0, |key, byte| key << 8 | u64::from(*byte));
            let (word, bit) = filter_place(key);
            self.filter[word] |= bit;
            self.pieces.push(Piece { key, form: self.forms.len(), offset, length });
        }
        self.forms.push(form);
    }

    /// Every needle of which a piece lies in the haystack, in every form that it has there.
    pub(super) fn search(&self, haystack: &[u8]) -> BTreeSet<Find> {
        let mut finds = BTreeSet::new();
        let mut key = 0_u64;
        for (end, byte) in haystack.iter().enumerate() {
            key = key << 8 | u64::from(*byte);
            let (word, bit) = filter_place(key);
            if end + 1 < KEY || self.filter[word] & bit == 0 {
                continue;
            }
            let here = &haystack[end + 1 - KEY..];
            let first = self.pieces.partition_point(|piece| piece.key < key);
            for piece in self.pieces[first..].iter().take_while(|piece| piece.key == key) {
                let form = &self.forms[piece.form];
                if here.starts_with(&form.bytes[piece.offset..piece.offset + piece.length]) {
                    finds.insert(Find { needle: form.needle, encoding: form.encoding });
                }
            }
        }
        finds
    }
}

/// Where the filter has the bit of a key.
fn filter_place(key: u64) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - FILTER_BITS); // Fibonacci hashing
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles() -> Vec<Needle> {
        let needle = |label: &str, text: &str| Needle { label: label.to_owned(), bytes: text.as_bytes().to_vec() };
        vec![
            needle(
                "body",
                "Mrs Aubert may go home on Thursday. Please renew the bisoprolol 2.5 mg and see her within a week.",
            ),
            needle("name", "Karim Benali"),
            needle("short", "short"),
        ]
    }

    /// Bytes in which nothing was planted: a linear congruential sequence.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let searcher = Searcher::new(&needles());
        assert!(searcher.search(&noise(1 << 20)).is_empty());
        assert!(searcher.search(b"").is_empty());
        assert!(searcher.search(b"short").is_empty(), "too short to tell");
    }

    #[test]
    fn what_is_planted_in_any_encoding_is_found() {
        let needles = needles();
        let searcher = Searcher::new(&needles);
        for (number, needle) in needles.iter().enumerate().take(2) {
            for (encoding, form) in encoding::all(&needle.bytes) {
                for at in [0, 1, 4093, 65_536 - form.len()] {
                    let mut haystack = noise(65_536);
                    haystack[at..at + form.len()].copy_from_slice(&form);
                    let finds = searcher.search(&haystack);
                    assert!(
                        finds.contains(&Find { needle: number, encoding }),
                        "{} as {encoding} at {at}",
                        needle.label
                    );
                    assert!(finds.iter().all(|find| find.needle == number), "and nothing else");
                }
            }
        }
    }

    #[test]
    fn any_32_bytes_are_enough_and_31_are_not() {
        let needles = needles();
        let searcher = Searcher::new(&needles);
        for (encoding, form) in encoding::all(&needles[0].bytes) {
            for piece in form.windows(WINDOW) {
                let mut haystack = noise(4096);
                haystack[100..100 + WINDOW].copy_from_slice(piece);
                assert!(searcher.search(&haystack).contains(&Find { needle: 0, encoding }));
            }
        }
        let mut haystack = noise(4096);
        haystack[100..131].copy_from_slice(&needles[0].bytes[..31]);
        haystack[131] = !needles[0].bytes[31];
        assert!(searcher.search(&haystack).is_empty());
    }
}
