use super::*;
use crate::wire::client_store::PassphraseLock;

fn header(salt: u8) -> BackupHeader {
    let lock = PassphraseLock { salt: [1; 16], memory_kib: 65_536, passes: 3, lanes: 1 };
    BackupHeader { lock, salt: [salt; 32], recovery_code: false, created: 1_700_000_000_000 }
}

fn stretched(seed: u8) -> Secret<32> {
    Secret::from([seed; 32])
}

/// The file, and where its chunks begin.
fn sealed(salt: u8, chunks: &[&[u8]]) -> (Vec<u8>, usize) {
    let (mut sealer, mut file) = Sealer::begin(&header(salt), &stretched(9)).unwrap();
    let begin = file.len();
    for (index, chunk) in chunks.iter().enumerate() {
        let mut chunk = chunk.to_vec();
        sealer.seal(&mut chunk, index + 1 == chunks.len()).unwrap();
        file.extend_from_slice(&chunk);
    }
    (file, begin)
}

fn opened(file: &[u8], secret: &Secret<32>) -> Result<Vec<u8>, BackupError> {
    let prefix = file.first_chunk::<PREFIX_LENGTH>().ok_or(BackupError::Foreign)?;
    let end = PREFIX_LENGTH + header_length(prefix)?;
    let header = file.get(PREFIX_LENGTH..end).ok_or(BackupError::Truncated)?;
    read_header(header)?;
    let (commitment, mut rest) = file[end..].split_first_chunk().ok_or(BackupError::Truncated)?;
    let mut opener = Opener::begin(&file[..end], commitment, secret)?;
    let mut plaintext = Vec::new();
    loop {
        let length = rest.len().min(CHUNK_LENGTH + TAG_LENGTH);
        let mut chunk = rest[..length].to_vec();
        rest = &rest[length..];
        opener.open(&mut chunk, rest.is_empty())?;
        plaintext.extend_from_slice(&chunk);
        if rest.is_empty() {
            return Ok(plaintext);
        }
    }
}

#[test]
fn what_was_sealed_comes_back() {
    let full = vec![7; CHUNK_LENGTH];
    for chunks in [vec![b"x".as_slice()], vec![&full], vec![&full, b"rest"], vec![&full, &full]] {
        assert_eq!(opened(&sealed(1, &chunks).0, &stretched(9)).unwrap(), chunks.concat());
    }
}

#[test]
fn another_secret_or_a_changed_header_opens_nothing() {
    let (file, begin) = sealed(1, &[b"secret"]);
    assert_eq!(opened(&file, &stretched(8)), Err(BackupError::WrongSecret));
    for place in 0..begin {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[place] ^= 1 << bit;
            let refused = opened(&changed, &stretched(9)).unwrap_err();
            assert_ne!(refused, BackupError::Altered, "byte {place} is refused before a chunk is opened");
        }
    }
    let mut foreign = file.clone();
    foreign[0] = b'X';
    assert_eq!(opened(&foreign, &stretched(9)), Err(BackupError::Foreign));
    let mut long = file;
    long[MAGIC.len()] = 0xff;
    assert_eq!(opened(&long, &stretched(9)), Err(BackupError::Header(WireError::Bounds("header"))));
}

#[test]
fn a_later_format_is_told_by_its_number() {
    assert_eq!(read_header(&[8, 7]), Err(BackupError::Version(7)));
}

#[test]
fn chunks_that_are_cut_moved_repeated_added_or_another_file_s_are_found_out() {
    let (one, two) = (vec![1; CHUNK_LENGTH], vec![2; CHUNK_LENGTH]);
    let (file, begin) = sealed(1, &[&one, &two, b"end"]);
    let (other, _) = sealed(2, &[&one, &two, b"end"]);
    const SEALED: usize = CHUNK_LENGTH + TAG_LENGTH;
    let open = |file: &[u8]| opened(file, &stretched(9));
    let chunk = |file: &[u8], number: usize| file[begin + number * SEALED..][..SEALED].to_vec();
    let last = &file[begin + 2 * SEALED..];
    let head = &file[..begin];
    assert_eq!(open(&[head, &chunk(&file, 0), &chunk(&file, 1)].concat()), Err(BackupError::Truncated));
    assert_eq!(open(head), Err(BackupError::Truncated));
    assert_eq!(open(&file[..file.len() - 1]), Err(BackupError::Altered));
    let swapped = [head, &chunk(&file, 1), &chunk(&file, 0), last].concat();
    assert_eq!(open(&swapped), Err(BackupError::Altered));
    assert_eq!(open(&[head, &chunk(&file, 0), last].concat()), Err(BackupError::Altered));
    let twice = [head, &chunk(&file, 0), &chunk(&file, 0), &chunk(&file, 1), last].concat();
    assert_eq!(open(&twice), Err(BackupError::Altered));
    let foreign = [head, &chunk(&file, 0), &chunk(&other, 1), last].concat();
    assert_eq!(open(&foreign), Err(BackupError::Altered));
    assert_eq!(open(&[&file, b"x".as_slice()].concat()), Err(BackupError::Altered));
    let (whole, _) = sealed(1, &[&one]);
    assert_eq!(open(&[&whole, last].concat()), Err(BackupError::Altered));
    for place in [begin, begin + SEALED + 5, file.len() - 1] {
        let mut changed = file.clone();
        changed[place] ^= 1;
        assert_eq!(open(&changed), Err(BackupError::Altered));
    }
}

#[test]
fn nothing_is_opened_after_the_end_or_after_an_error() {
    let (file, begin) = sealed(1, &[b"end"]);
    let (header, commitment) = file[..begin].split_last_chunk().unwrap();
    let mut opener = Opener::begin(header, commitment, &stretched(9)).unwrap();
    opener.open(&mut file[begin..].to_vec(), true).unwrap();
    assert_eq!(opener.open(&mut file[begin..].to_vec(), true), Err(BackupError::Extended));
    let mut opener = Opener::begin(header, commitment, &stretched(9)).unwrap();
    let mut chunk = file[begin..].to_vec();
    chunk[0] ^= 1;
    assert!(opener.open(&mut chunk, true).is_err() && chunk.is_empty());
    assert!(opener.open(&mut file[begin..].to_vec(), true).is_err());
}

#[test]
fn chunks_have_their_lengths() {
    let (mut sealer, _) = Sealer::begin(&header(1), &stretched(9)).unwrap();
    for (length, last) in [(0, true), (CHUNK_LENGTH + 1, true), (CHUNK_LENGTH - 1, false)] {
        assert!(sealer.seal(&mut vec![0; length], last).is_err());
    }
    sealer.seal(&mut vec![0; 1], true).unwrap();
    assert!(sealer.seal(&mut vec![0; 1], true).is_err());
}
