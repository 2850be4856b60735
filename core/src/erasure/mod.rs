//! The erasure code of the ML-KEM Braid (Signal's specification, revision 1, section 2.4): a piece of k chunks becomes up
//! to 65 536 chunks, any k of which give it back.
//!
//! A chunk is 32 bytes, 16 big-endian elements of GF(2^16). In each of the 16 lanes the piece is the polynomial of degree
//! below k through the points (index, element) of its own chunks; a further chunk is the polynomial at its index. So the
//! first k chunks are the piece itself. Indexes are public; the elements are handled in constant time all the same.

mod field;

use std::sync::LazyLock;

/// Bytes of a chunk.
pub const CHUNK_LENGTH: usize = 32;
/// A chunk as it travels.
pub type Chunk = [u8; CHUNK_LENGTH];

/// Chunks that a piece can become: as many as the field has elements.
const INDEXES: u32 = 1 << 16;
/// Points that are evaluated at once.
const POINTS: usize = 8;
/// Elements of a chunk.
const ELEMENTS: usize = CHUNK_LENGTH / 2;

type Elements = [u16; ELEMENTS];

/// Gives out a piece's chunks, no index twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoder {
    piece: Vec<Chunk>,
    next: u32,
}

/// Collects chunks until there are enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoder {
    needed: usize,
    chunks: Vec<(u16, Chunk)>,
}

impl Encoder {
    /// Of a piece; the last chunk is filled up with zeros.
    #[must_use]
    pub fn new(piece: &[u8]) -> Self {
        Self::resume(piece, 0)
    }

    /// Of a piece whose indexes below `next` have been given out.
    #[must_use]
    pub fn resume(piece: &[u8], next: u32) -> Self {
        let chunk = |bytes: &[u8]| {
            let mut chunk = [0; CHUNK_LENGTH];
            chunk[..bytes.len()].copy_from_slice(bytes);
            chunk
        };
        Self { piece: piece.chunks(CHUNK_LENGTH).map(chunk).collect(), next }
    }

    /// The next `count` chunks and the index of the first. When the indexes are used up, the last chunks come again:
    /// after so many messages a receiver has either had enough of the others, or lost the session.
    pub fn next_chunks(&mut self, count: usize) -> (u16, Vec<Chunk>) {
        let count = count.min(INDEXES as usize);
        let first = self.next.min(INDEXES - count as u32);
        self.next = first + count as u32;
        let mut chunks = Vec::with_capacity(count);
        let own = self.piece.get(first as usize..).unwrap_or_default();
        chunks.extend(own.iter().take(count));
        let others: Vec<u16> = (first..self.next).skip(chunks.len()).map(|index| index as u16).collect();
        if !others.is_empty() {
            chunks.extend(further_chunks(&self.piece, &others));
        }
        (first as u16, chunks)
    }

    /// The piece, with its last chunk filled up.
    #[must_use]
    pub fn piece(&self) -> &[u8] {
        self.piece.as_flattened()
    }

    /// The index that comes next; 65 536 when there is none.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }
}

impl Decoder {
    /// For a piece of `length` bytes.
    #[must_use]
    pub const fn new(length: usize) -> Self {
        Self { needed: length.div_ceil(CHUNK_LENGTH), chunks: Vec::new() }
    }

    /// Takes in consecutive chunks. An index that was seen, and whatever comes after there are enough, is ignored.
    pub fn add(&mut self, first: u16, chunks: &[Chunk]) {
        for (index, chunk) in (first..=u16::MAX).zip(chunks) {
            if self.chunks.len() < self.needed && self.chunks.iter().all(|(seen, _)| *seen != index) {
                self.chunks.push((index, *chunk));
            }
        }
    }

    /// The piece, with its last chunk filled up; `None` while chunks are missing.
    #[must_use]
    pub fn piece(&self) -> Option<Vec<u8>> {
        if self.chunks.len() < self.needed {
            return None;
        }
        let (nodes, values): (Vec<u16>, Vec<Chunk>) = self.chunks.iter().copied().unzip();
        let missing: Vec<u16> = (0..self.needed as u16).filter(|index| !nodes.contains(index)).collect();
        let mut piece = vec![0; self.needed * CHUNK_LENGTH];
        let mut place = |index: u16, chunk: &Chunk| {
            if let Some(place) = piece.chunks_exact_mut(CHUNK_LENGTH).nth(usize::from(index)) {
                place.copy_from_slice(chunk);
            }
        };
        if !missing.is_empty() {
            let found = evaluate(&nodes, &inverse_denominators(&nodes), &values, &missing);
            missing.iter().zip(&found).for_each(|(index, chunk)| place(*index, chunk));
        }
        // Places beyond the piece are none: those chunks have served as points.
        self.chunks.iter().for_each(|(index, chunk)| place(*index, chunk));
        Some(piece)
    }

    /// What has been taken in, in the order of arrival.
    #[must_use]
    pub fn chunks(&self) -> &[(u16, Chunk)] {
        &self.chunks
    }
}

/// Chunks beyond the piece itself. The barycentric form of what [`evaluate`] computes: the product of a point's differences
/// from all nodes stands before the sum, and what is left of the weights are inverses, which are looked up. All of them are
/// public; each element of the piece goes through the same steps whatever it is.
fn further_chunks(piece: &[Chunk], points: &[u16]) -> Vec<Chunk> {
    let nodes: Vec<u16> = (0..piece.len()).map(|index| index as u16).collect();
    let inverse_denominators = inverse_denominators(&nodes);
    let mut sums = vec![[0; ELEMENTS]; points.len()];
    for ((&node, value), &inverse) in nodes.iter().zip(piece).zip(&inverse_denominators) {
        let scaled = field::multiply_by(&elements(value), inverse);
        let multiples = field::Multiples::of(&scaled);
        for (sum, &point) in sums.iter_mut().zip(points) {
            multiples.add(sum, INVERSES[usize::from(point ^ node)]);
        }
    }
    let mut chunks = Vec::with_capacity(points.len());
    for (sums, points) in sums.chunks(POINTS).zip(points.chunks(POINTS)) {
        let mut lanes = [0; POINTS];
        lanes[..points.len()].copy_from_slice(points);
        let products = products_of_differences(lanes, piece.len());
        chunks.extend(sums.iter().zip(products).map(|(sum, product)| bytes(&field::multiply_by(sum, product))));
    }
    chunks
}

/// The inverse of every element; 128 KiB, made when the first chunk beyond a piece is.
static INVERSES: LazyLock<Vec<u16>> = LazyLock::new(field::all_inverses);

/// For each point the product of its differences from the nodes 0 to `count` - 1. The nodes below a power of two are a
/// subspace, over which the product is a polynomial of few terms: each doubling of the subspace is one multiplication.
fn products_of_differences(points: [u16; POINTS], count: usize) -> [u16; POINTS] {
    let mut products = [1; POINTS];
    let mut offset = 0;
    for dimension in (0..16).rev().filter(|dimension| (count >> dimension) & 1 == 1) {
        let mut product = points.map(|point| point ^ offset);
        for &constant in &SUBSPACES[..dimension] {
            product = field::multiply(&product, &product.map(|one| one ^ constant));
        }
        products = field::multiply(&products, &product);
        offset |= 1 << dimension;
    }
    products
}

/// The product of the differences of 2^m from all elements below it.
static SUBSPACES: [u16; 16] = subspaces();

const fn subspaces() -> [u16; 16] {
    let mut constants = [0; 16];
    let mut dimension = 0;
    while dimension < 16 {
        let mut product = 1 << dimension;
        let mut below = 0;
        while below < dimension {
            product = field::multiply_one(product, product ^ constants[below]);
            below += 1;
        }
        constants[dimension] = product;
        dimension += 1;
    }
    constants
}

/// The polynomial through the points (node, value) at other points.
fn evaluate(nodes: &[u16], inverse_denominators: &[u16], values: &[Chunk], points: &[u16]) -> Vec<Chunk> {
    let mut chunks = Vec::with_capacity(points.len());
    for some in points.chunks(POINTS) {
        let mut lanes = [0; POINTS];
        lanes[..some.len()].copy_from_slice(some);
        let weights = weights(nodes, inverse_denominators, lanes);
        let mut sums = [[0; ELEMENTS]; POINTS];
        for (weight, value) in weights.iter().zip(values) {
            let doublings = field::doublings(&elements(value));
            for (sum, factor) in sums.iter_mut().zip(weight).take(some.len()) {
                field::add_multiple(sum, &doublings, *factor);
            }
        }
        chunks.extend(sums.iter().take(some.len()).map(bytes));
    }
    chunks
}

/// Lagrange's basis polynomials at several points: for each node the product of (point - other node) over all other nodes,
/// divided by the same at the node itself.
fn weights(nodes: &[u16], inverse_denominators: &[u16], points: [u16; POINTS]) -> Vec<[u16; POINTS]> {
    let difference = |node: u16| points.map(|point| point ^ node);
    let mut weights = Vec::with_capacity(nodes.len());
    let mut before = [1; POINTS];
    for &node in nodes {
        weights.push(before);
        before = field::multiply(&before, &difference(node));
    }
    let mut after = [1; POINTS];
    for ((weight, &node), &inverse) in weights.iter_mut().zip(nodes).zip(inverse_denominators).rev() {
        *weight = field::multiply(&field::multiply(weight, &after), &[inverse; POINTS]);
        after = field::multiply(&after, &difference(node));
    }
    weights
}

/// For each node the inverse of the product of its differences from all others.
fn inverse_denominators(nodes: &[u16]) -> Vec<u16> {
    // The pieces of the Braid, before the first chunk is lost: computed when the crate is compiled.
    for known in [&PIECE_3[..], &PIECE_5, &PIECE_30, &PIECE_36] {
        if nodes.len() == known.len() && nodes.iter().enumerate().all(|(index, &node)| usize::from(node) == index) {
            return known.to_vec();
        }
    }
    let mut inverses = Vec::with_capacity(nodes.len());
    for some in nodes.chunks(POINTS) {
        let mut products = [1; POINTS];
        for &node in nodes {
            let mut differences = [1; POINTS];
            for (difference, &one) in differences.iter_mut().zip(some) {
                // A node's difference from itself does not count. Nodes are public.
                *difference = if one == node { 1 } else { one ^ node };
            }
            products = field::multiply(&products, &differences);
        }
        inverses.extend(field::invert(&products).into_iter().take(some.len()));
    }
    inverses
}

static PIECE_3: [u16; 3] = systematic_inverses();
static PIECE_5: [u16; 5] = systematic_inverses();
static PIECE_30: [u16; 30] = systematic_inverses();
static PIECE_36: [u16; 36] = systematic_inverses();

/// [`inverse_denominators`] of the nodes 0 to K - 1.
const fn systematic_inverses<const K: usize>() -> [u16; K] {
    let mut inverses = [0; K];
    let mut node = 0;
    while node < K {
        let mut product = 1;
        let mut other = 0;
        while other < K {
            if other != node {
                product = field::multiply_one(product, (node ^ other) as u16);
            }
            other += 1;
        }
        inverses[node] = field::invert_one(product);
        node += 1;
    }
    inverses
}

fn elements(chunk: &Chunk) -> Elements {
    let mut elements = [0; ELEMENTS];
    for (element, bytes) in elements.iter_mut().zip(chunk.chunks_exact(2)) {
        *element = u16::from_be_bytes([bytes[0], bytes[1]]);
    }
    elements
}

fn bytes(elements: &Elements) -> Chunk {
    let mut chunk = [0; CHUNK_LENGTH];
    for (bytes, element) in chunk.chunks_exact_mut(2).zip(elements) {
        bytes.copy_from_slice(&element.to_be_bytes());
    }
    chunk
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vectors::{check, hex};

    fn all(piece: &[u8], count: usize) -> Vec<Chunk> {
        Encoder::new(piece).next_chunks(count).1
    }

    #[test]
    fn the_first_chunks_are_the_piece_itself() {
        let piece: Vec<u8> = (0..96).collect();
        assert_eq!(all(&piece, 5).concat()[..96], piece);
    }

    #[test]
    fn the_tables_are_what_would_be_computed() {
        let nodes: Vec<u16> = (0..37).collect();
        for known in [&PIECE_3[..], &PIECE_5, &PIECE_30, &PIECE_36] {
            // Another order is not in the tables.
            let mut reversed: Vec<u16> = nodes[..known.len()].to_vec();
            reversed.reverse();
            let mut computed = inverse_denominators(&reversed);
            computed.reverse();
            assert_eq!(computed, known);
        }
    }

    #[test]
    fn a_product_over_a_subspace_is_the_product_of_its_differences() {
        for count in [1, 2, 3, 5, 30, 36, 100, 1023] {
            let points = [1023, 1024, 4095, 5000, 32_768, 65_535, 2000, 7777];
            let one_by_one = points
                .map(|point| (0..count).fold(1, |product, node| field::multiply_one(product, point ^ node as u16)));
            assert_eq!(products_of_differences(points, count), one_by_one, "{count}");
        }
    }

    #[test]
    fn after_the_last_index_the_last_chunks_come_again() {
        let mut encoder = Encoder::resume(&[7; 64], INDEXES - 8);
        let (first, chunks) = encoder.next_chunks(8);
        assert_eq!((first, chunks.len()), (u16::MAX - 7, 8));
        assert_eq!(encoder.next_chunks(8), (first, chunks.clone()));
        assert_eq!(encoder.next(), INDEXES);
        let mut decoder = Decoder::new(64);
        decoder.add(first, &chunks);
        assert_eq!(decoder.piece().unwrap(), [7; 64]);
        // A chunk that would lie beyond the last index is none.
        let mut decoder = Decoder::new(64);
        decoder.add(u16::MAX, &chunks[..2]);
        assert_eq!(decoder.chunks().len(), 1);
    }

    #[test]
    fn a_chunk_that_came_twice_counts_once() {
        let piece = [3; 96];
        let chunks = all(&piece, 3);
        let mut decoder = Decoder::new(96);
        for _ in 0..5 {
            decoder.add(1, &chunks[1..3]);
        }
        assert_eq!(decoder.piece(), None);
        decoder.add(0, &chunks[..1]);
        assert_eq!(decoder.piece().unwrap(), piece);
    }

    #[test]
    fn erasure_vectors() {
        let piece: Vec<u8> = (0..96_u8).map(|byte| byte.wrapping_mul(37)).collect();
        let products = [(1, 1), (2, 0x8000), (0x1234, 0x5678), (0xffff, 0xffff)].map(|(one, other)| {
            let product = field::multiply_one(one, other);
            serde_json::json!({ "one": one, "other": other, "product": product, "inverse_of_one": field::invert_one(one) })
        });
        let far = Encoder::resume(&piece, 65_535).next_chunks(1).1;
        let longest: Vec<u8> = (0..1152_u32).map(|index| ((index * index) >> 3) as u8).collect();
        let last = Encoder::resume(&longest, 36).next_chunks(8).1;
        check(
            "erasure",
            &serde_json::json!({
                "about": "spec/ratchet.md, Erasure code: GF(2^16) modulo 0x1100B; chunks of 32 bytes. `chunks` have the indexes 0 to 7.",
                "products": products,
                "piece": hex(&piece),
                "chunks": all(&piece, 8).iter().map(hex).collect::<Vec<_>>(),
                "chunk_65535": hex(far[0]),
                "piece_of_36_chunks": hex(&longest),
                "chunks_36_to_43": last.iter().map(hex).collect::<Vec<_>>(),
            }),
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn further_chunks_are_what_the_polynomial_is(
            piece in proptest::collection::vec(any::<Chunk>(), 1..40),
            first in prop_oneof![40..4200_u16, 40..65_000_u16],
            count in 1..20_u16,
        ) {
            let nodes: Vec<u16> = (0..piece.len() as u16).collect();
            let points: Vec<u16> = (first..first + count).collect();
            let expected = evaluate(&nodes, &inverse_denominators(&nodes), &piece, &points);
            prop_assert_eq!(further_chunks(&piece, &points), expected);
        }

        #[test]
        fn any_k_chunks_give_the_piece_back(
            piece in proptest::collection::vec(any::<u8>(), 1..1200),
            indexes in proptest::collection::hash_set(any::<u16>(), 40),
        ) {
            let needed = piece.len().div_ceil(CHUNK_LENGTH);
            let mut decoder = Decoder::new(piece.len());
            for (count, index) in indexes.into_iter().enumerate() {
                prop_assert_eq!(decoder.piece().is_some(), count >= needed);
                let (first, chunk) = Encoder::resume(&piece, u32::from(index)).next_chunks(1);
                decoder.add(first, &chunk);
            }
            let decoded = decoder.piece().unwrap();
            prop_assert_eq!(&decoded[..piece.len()], &piece[..]);
            prop_assert!(decoded[piece.len()..].iter().all(|&byte| byte == 0));
        }
    }
}
