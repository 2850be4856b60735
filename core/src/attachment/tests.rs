use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::limits::{ATTACHMENT_CHUNK_LENGTH, ATTACHMENT_PART_LENGTH, BLOB_LENGTH_MAX, BLOB_PIECE_LENGTH};
use crate::test_rng::rng;

const CHUNK: u64 = ATTACHMENT_CHUNK_LENGTH as u64;
const PART: u64 = ATTACHMENT_PART_LENGTH as u64;

fn plaintext(length: u64) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
}

fn key(seed: u8) -> AttachmentKey {
    AttachmentKey::random(&mut rng(seed))
}

fn slice(bytes: &[u8], range: Range<u64>) -> Vec<u8> {
    bytes[range.start as usize..range.end as usize].to_vec()
}

fn seal(key: &AttachmentKey, plaintext: &[u8]) -> Vec<u8> {
    let layout = Layout::new(plaintext.len() as u64).unwrap();
    let sealer = Sealer::new(key, layout);
    let (mut whole, mut part_bytes) = (Vec::new(), Vec::new());
    for part in 0..layout.parts() {
        sealer.seal_part(part, &slice(plaintext, layout.part(part).unwrap()), &mut part_bytes).unwrap();
        let place = layout.sealed_part(part).unwrap();
        assert_eq!((place.start, place.end), (whole.len() as u64, (whole.len() + part_bytes.len()) as u64));
        whole.extend_from_slice(&part_bytes);
    }
    assert_eq!(whole.len() as u64, layout.sealed_length());
    whole
}

fn opener(key: &AttachmentKey, length: u64, sealed: &[u8]) -> Result<Opener, AttachmentError> {
    let layout = Layout::new(length).unwrap();
    // What a server would give for this range.
    let end = sealed.len() as u64;
    let tail = layout.tail();
    Opener::new(key, layout, slice(sealed, tail.start.min(end)..tail.end.min(end)))
}

fn open(key: &AttachmentKey, length: u64, sealed: &[u8]) -> Result<Vec<u8>, AttachmentError> {
    let opener = opener(key, length, sealed)?;
    let mut opened = Vec::new();
    for part in 0..opener.layout().parts() {
        let mut buffer = slice(sealed, opener.layout().sealed_part(part).unwrap());
        opener.open_part(part, &mut buffer)?;
        opened.extend_from_slice(&buffer);
    }
    Ok(opened)
}

#[test]
fn files_of_all_border_lengths_come_back() {
    for border in [0, CHUNK, 2 * CHUNK, PART - CHUNK, PART, 2 * PART] {
        for length in [border.saturating_sub(1), border, border + 1] {
            let (key, plaintext) = (key(1), plaintext(length));
            assert!(open(&key, length, &seal(&key, &plaintext)) == Ok(plaintext), "{length}");
        }
    }
}

#[test]
fn lengths_are_padded_as_padme_says() {
    // The last two from the paper's definition, worked out by hand: 2^29 + 1 keeps 5 bits below its first.
    for (length, padded) in [
        (0, CHUNK),
        (CHUNK, CHUNK),
        (CHUNK + 1, CHUNK + 2048),
        (200_000_000, 201_326_592),
        ((1 << 29) + 1, (1 << 29) + (1 << 24)),
        (crate::limits::ATTACHMENT_LENGTH_MAX, crate::limits::ATTACHMENT_LENGTH_MAX),
    ] {
        assert_eq!(Layout::new(length).unwrap().padded_length(), padded, "{length}");
    }
    let length = crate::limits::ATTACHMENT_LENGTH_MAX + 1;
    assert_eq!(Layout::new(length), Err(AttachmentError::TooLarge { length }));
    let largest = Layout::new(crate::limits::ATTACHMENT_LENGTH_MAX).unwrap();
    assert_eq!(largest.sealed_length(), BLOB_LENGTH_MAX);
}

#[test]
fn parts_begin_where_pieces_of_blobs_do() {
    let layout = Layout::new(3 * PART + 5).unwrap();
    for part in 0..layout.parts() {
        assert_eq!(layout.sealed_part(part).unwrap().start % BLOB_PIECE_LENGTH as u64, 0);
    }
}

#[test]
fn a_truncated_attachment_is_refused_and_so_is_a_range_of_it() {
    let (key, length) = (key(1), 3 * CHUNK + 10);
    let sealed = seal(&key, &plaintext(length));
    for cut in [0, 1, COMMITMENT_LENGTH, sealed.len() - COMMITMENT_LENGTH, sealed.len() - 1, 65_552] {
        assert_eq!(opener(&key, length, &sealed[..cut]).unwrap_err(), AttachmentError::Commitment, "{cut}");
    }
    // Cut at a chunk, the commitment put behind it: the last chunk is not marked as one, so no range can be read.
    let mut cut = sealed[..2 * 65_552].to_vec();
    cut.extend_from_slice(&sealed[sealed.len() - COMMITMENT_LENGTH..]);
    assert_eq!(opener(&key, 2 * CHUNK, &cut).unwrap_err(), AttachmentError::Altered);
    // The same under the length in the message: what lies at the end is not the last chunk of that length.
    assert_eq!(opener(&key, length, &cut).unwrap_err(), AttachmentError::Commitment);
}

#[test]
fn a_reordered_attachment_is_refused() {
    let (key, length) = (key(1), 3 * CHUNK);
    let mut sealed = seal(&key, &plaintext(length));
    let (first, rest) = sealed.split_at_mut(65_552);
    first.swap_with_slice(&mut rest[..65_552]);
    assert_eq!(open(&key, length, &sealed), Err(AttachmentError::Altered));
}

#[test]
fn an_extended_attachment_is_refused() {
    let (key, length) = (key(1), 2 * CHUNK);
    let sealed = seal(&key, &plaintext(length));
    let commitment = sealed.len() - COMMITMENT_LENGTH;
    // A chunk more, sealed under nothing that the key gives; and the last chunk once more.
    for more in [vec![0; 65_552], sealed[65_552..commitment].to_vec()] {
        let extended = [&sealed[..commitment], &more, &sealed[commitment..]].concat();
        assert_eq!(opener(&key, 3 * CHUNK, &extended).unwrap_err(), AttachmentError::Altered);
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    let layout = Layout::new(length).unwrap();
    let tail = longer[layout.tail().start as usize..].to_vec();
    assert_eq!(Opener::new(&key, layout, tail).unwrap_err(), AttachmentError::Commitment);
}

#[test]
fn a_swapped_attachment_is_refused() {
    let length = 2 * CHUNK;
    let (one, other) = (key(1), key(2));
    let sealed = seal(&other, &plaintext(length));
    assert_eq!(opener(&one, length, &sealed).unwrap_err(), AttachmentError::Commitment);
    // One's commitment under the other's chunks.
    let own = seal(&one, &plaintext(length));
    let at = own.len() - COMMITMENT_LENGTH;
    let mixed = [&sealed[..at], &own[at..]].concat();
    assert_eq!(opener(&one, length, &mixed).unwrap_err(), AttachmentError::Altered);
    // One's last chunk too, so that only what lies before is the other's.
    let mixed = [&sealed[..65_552], &own[65_552..]].concat();
    assert_eq!(open(&one, length, &mixed), Err(AttachmentError::Altered));
}

#[test]
fn any_flipped_bit_is_noticed_and_nothing_is_handed_out() {
    let (key, length) = (key(1), CHUNK + 3);
    let sealed = seal(&key, &plaintext(length));
    for position in (0..sealed.len()).step_by(997).chain(sealed.len() - 60..sealed.len()) {
        let mut bad = sealed.clone();
        bad[position] ^= 1;
        assert!(open(&key, length, &bad).is_err(), "byte {position}");
    }
    let opener = opener(&key, length, &sealed).unwrap();
    let mut buffer = slice(&sealed, opener.layout().sealed_part(0).unwrap());
    buffer[65_552] ^= 1;
    assert_eq!(opener.open_part(0, &mut buffer), Err(AttachmentError::Altered));
    assert!(buffer.is_empty());
}

#[test]
fn a_length_that_was_not_sealed_is_refused() {
    // Both lengths have the same padded one, so only the padding tells them apart.
    let (key, length) = (key(1), 9 * CHUNK - 5);
    let sealed = seal(&key, &vec![7; length as usize]);
    assert_eq!(Layout::new(length - 1).unwrap().sealed_length(), sealed.len() as u64);
    assert_eq!(opener(&key, length - 1, &sealed).unwrap_err(), AttachmentError::Padding);
}

#[test]
fn a_part_of_another_length_is_not_sealed() {
    let sealer = Sealer::new(&key(1), Layout::new(PART + 1).unwrap());
    let (expected, found) = (PART, PART - 1);
    let refused = sealer.seal_part(0, &plaintext(found), &mut Vec::new());
    assert_eq!(refused, Err(AttachmentError::PartLength { part: 0, expected, found }));
    assert_eq!(sealer.seal_part(9, &[], &mut Vec::new()), Err(AttachmentError::Range));
}

#[test]
fn the_root_tells_length_order_and_content() {
    let digests = [part_digest(b"one"), part_digest(b"two")];
    let whole = root(6, &digests);
    assert_ne!(whole, root(7, &digests));
    assert_ne!(whole, root(6, &[digests[1], digests[0]]));
    assert_ne!(whole, root(6, &digests[..1]));
}

#[test]
fn a_key_prints_nothing() {
    assert_eq!(format!("{:?}", key(1)), "AttachmentKey(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_range_can_be_read_on_its_own(length in 1..6 * CHUNK, bounds in any::<(u64, u64)>()) {
        let (key, plaintext) = (key(1), plaintext(length));
        let sealed = seal(&key, &plaintext);
        let opener = opener(&key, length, &sealed).unwrap();
        let start = bounds.0 % length;
        let range = start..start + 1 + bounds.1 % (length - start);
        let mut buffer = slice(&sealed, opener.layout().sealed_range(&range).unwrap());
        opener.open_range(&range, &mut buffer).unwrap();
        prop_assert!(buffer == slice(&plaintext, range));
        let outside = start..length + 1;
        prop_assert_eq!(opener.open_range(&outside, &mut buffer), Err(AttachmentError::Range));
    }
}
