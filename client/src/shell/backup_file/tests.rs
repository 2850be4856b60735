use chacha20::ChaCha20Rng;
use medipeps_core::wire::backup::{BackupCopy, BackupEntry};
use rand_core::SeedableRng;
use tempfile::TempDir;

use super::*;

fn entry(length: usize) -> BackupRecord {
    let value = (0..length).map(|index| index as u8).collect::<Vec<_>>();
    BackupRecord::Entry(BackupEntry { class: 4, name: vec![1; 16], value: value.into() })
}

fn create(path: &Path, replace: bool) -> Result<BackupWriter, BackupFileError> {
    BackupWriter::create(path, replace, (b"a passphrase", false), 5, &mut ChaCha20Rng::from_seed([1; 32]))
}

fn write(path: &Path, records: &[BackupRecord]) -> BackupEnd {
    let mut writer = create(path, true).unwrap();
    for record in records {
        writer.write(record).unwrap();
    }
    writer.finish(true).unwrap()
}

fn read_with(path: &Path, passphrase: &[u8]) -> Result<Vec<BackupRecord>, BackupFileError> {
    let closed = ClosedBackup::read(path)?;
    let stretched = closed.stretch(passphrase)?;
    let mut reader = closed.open(&stretched)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok(records)
}

fn read(path: &Path) -> Result<Vec<BackupRecord>, BackupFileError> {
    read_with(path, b"a passphrase")
}

fn refused(result: Result<Vec<BackupRecord>, BackupFileError>) -> BackupError {
    match result {
        Err(BackupFileError::Backup(error)) => error,
        other => panic!("it should have been refused: {other:?}"),
    }
}

#[test]
fn records_of_any_length_come_back_in_order() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    let copy =
        |offset, last| BackupRecord::Copy(BackupCopy { name: vec![2; 32], offset, data: vec![3; 500_000], last });
    // Around the length of a chunk, so that a record or the whole ends with one.
    let mut records: Vec<_> = (CHUNK_LENGTH - 60..CHUNK_LENGTH + 4).map(entry).collect();
    records.extend([entry(0), entry(1 << 20), copy(0, false), copy(500_000, true)]);
    let end = write(&path, &records);
    assert_eq!((end.entries, end.copies), (records.len() as u64 - 2, 1));
    assert_eq!(read(&path).unwrap(), records);
    assert_eq!(read(&path).unwrap().len(), records.len());
    assert!(!partial_name(&path).exists());
}

#[test]
fn every_length_of_the_last_chunk_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    for length in CHUNK_LENGTH - 100..CHUNK_LENGTH {
        // Argon2id is left out: it has nothing to do with lengths.
        let mut writer = create_fast(&path);
        writer.write(&entry(length)).unwrap();
        writer.finish(true).unwrap();
        let mut reader = ClosedBackup::read(&path).unwrap().open(&Secret::from([7; 32])).unwrap();
        assert_eq!(reader.next_record().unwrap(), Some(entry(length)));
        assert_eq!(reader.next_record().unwrap(), None, "{length}");
    }
}

fn create_fast(path: &Path) -> BackupWriter {
    let lock = new_passphrase_lock(&mut ChaCha20Rng::from_seed([1; 32]));
    let header = BackupHeader { lock, salt: [2; 32], recovery_code: false, created: 5 };
    let (sealer, begin) = Sealer::begin(&header, &Secret::from([7; 32])).unwrap();
    let partial = partial_name(path);
    let mut file = BufWriter::new(File::create(&partial).unwrap());
    file.write_all(&begin).unwrap();
    let (chunk, end) = (Zeroizing::new(Vec::new()), BackupEnd::default());
    BackupWriter { file, partial, path: path.to_owned(), sealer, chunk, end, length: 0 }
}

#[test]
fn a_wrong_passphrase_and_a_foreign_file_are_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    write(&path, &[entry(10)]);
    assert_eq!(refused(read_with(&path, b"another one")), BackupError::WrongSecret);
    for foreign in [b"".as_slice(), b"short", &[b'x'; 4096]] {
        std::fs::write(&path, foreign).unwrap();
        assert_eq!(refused(read(&path)), BackupError::Foreign);
    }
}

#[test]
fn a_file_that_was_cut_anywhere_or_changed_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    let mut writer = create_fast(&path);
    for _ in 0..3 {
        writer.write(&entry(CHUNK_LENGTH)).unwrap();
    }
    writer.finish(true).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let outcome = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut reader = ClosedBackup::read(&path)?.open(&Secret::from([7; 32]))?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(records)
    };
    assert_eq!(outcome(&whole).unwrap().len(), 3);
    for length in (0..whole.len()).step_by(997).chain(whole.len() - 5..whole.len()) {
        assert!(outcome(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
    for place in (0..whole.len()).step_by(991) {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        assert!(outcome(&changed).is_err(), "byte {place}");
    }
    assert_eq!(refused(outcome(&[&whole, b"more".as_slice()].concat())), BackupError::Altered);
}

#[test]
fn an_end_that_does_not_fit_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    let mut writer = create_fast(&path);
    writer.write(&entry(1)).unwrap();
    writer.end.entries = 2;
    writer.finish(true).unwrap();
    let mut reader = ClosedBackup::read(&path).unwrap().open(&Secret::from([7; 32])).unwrap();
    reader.next_record().unwrap();
    assert!(matches!(reader.next_record(), Err(BackupFileError::Backup(BackupError::Contents(_)))));
}

#[test]
fn nothing_is_replaced_unless_it_is_asked_for_and_nothing_is_left_of_a_failure() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    std::fs::write(&path, b"mine").unwrap();
    assert!(matches!(create(&path, false), Err(BackupFileError::Exists(_))));
    drop(create(&path, true).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), b"mine", "a backup that is not finished replaces nothing");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::remove_file(&path).unwrap();
    let writer = create(&path, false).unwrap();
    std::fs::write(&path, b"came meanwhile").unwrap();
    assert!(matches!(writer.finish(false), Err(BackupFileError::Exists(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"came meanwhile");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    write(&path, &[]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
