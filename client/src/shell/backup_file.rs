//! A backup as a file: written and read in a stream, a chunk at a time, so that a mailbox of any size fits. `spec/backup.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use medipeps_core::backup::{
    BackupError, CHUNK_LENGTH, COMMITMENT_LENGTH, Opener, PREFIX_LENGTH, Sealer, TAG_LENGTH, header_length, read_header,
};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::limits::BACKUP_RECORD_LENGTH_MAX;
use medipeps_core::wire::backup::{BackupEnd, BackupHeader, BackupRecord};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::store::StoreError;
use crate::store::lock::{argon2id, new_passphrase_lock};

/// Bytes of the length before a record.
const LENGTH_PREFIX: usize = 4;

/// Why a backup cannot be written or read.
#[derive(Debug, Error)]
pub enum BackupFileError {
    /// The file cannot be written or read.
    #[error("{path}: {error}")]
    Disk {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is a file of this name.
    #[error("{0} exists already; choose another name, or replace it with --force")]
    Exists(PathBuf),
    /// It does not open, or is not as it was written.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The passphrase cannot be stretched.
    #[error(transparent)]
    Stretch(#[from] StoreError),
    /// A record is larger than any may be.
    #[error("a record is too large for a backup")]
    TooLarge,
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> BackupFileError {
    let path = path.to_owned();
    move |error| BackupFileError::Disk { path, error }
}

/// A backup that is being written. Nothing is under the file's name before [`BackupWriter::finish`].
#[derive(Debug)]
pub struct BackupWriter {
    file: BufWriter<File>,
    /// Under which it is written.
    partial: PathBuf,
    path: PathBuf,
    sealer: Sealer,
    chunk: Zeroizing<Vec<u8>>,
    end: BackupEnd,
    /// Bytes of contents so far.
    pub length: u64,
}

impl BackupWriter {
    /// Begins a backup under a passphrase or, with `recovery_code`, the letters of a code. `now` is milliseconds since 1970.
    ///
    /// # Errors
    /// [`BackupFileError`]; [`BackupFileError::Exists`] unless `replace`.
    pub fn create(
        path: &Path,
        replace: bool,
        (secret, recovery_code): (&[u8], bool),
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BackupFileError> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(BackupFileError::Exists(path.to_owned()));
        }
        let lock = new_passphrase_lock(rng);
        let stretched = argon2id(secret, &lock)?;
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let header = BackupHeader { lock, salt, recovery_code, created: now };
        let (sealer, begin) = Sealer::begin(&header, &stretched)?;
        let partial = partial_name(path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = BufWriter::with_capacity(1 << 20, options.open(&partial).map_err(disk(&partial))?);
        file.write_all(&begin).map_err(disk(&partial))?;
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK_LENGTH + TAG_LENGTH));
        Ok(Self { file, partial, path: path.to_owned(), sealer, chunk, end: BackupEnd::default(), length: 0 })
    }

    /// Writes the next record.
    ///
    /// # Errors
    /// [`BackupFileError`]
    pub fn write(&mut self, record: &BackupRecord) -> Result<(), BackupFileError> {
        match record {
            BackupRecord::Entry(_) => self.end.entries += 1,
            BackupRecord::Copy(copy) if copy.last => self.end.copies += 1,
            _ => {}
        }
        let encoded = record.encode();
        let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
        if encoded.len() > BACKUP_RECORD_LENGTH_MAX {
            return Err(BackupFileError::TooLarge);
        }
        self.push(&length.to_be_bytes())?;
        self.push(&encoded)
    }

    /// Everything is written: the end, to the disk with it, and under its name. Without `replace` a file that has got the
    /// name meanwhile is not touched.
    ///
    /// # Errors
    /// [`BackupFileError`]
    pub fn finish(mut self, replace: bool) -> Result<BackupEnd, BackupFileError> {
        self.write(&BackupRecord::End(self.end))?;
        self.flush(true)?;
        let failed = || disk(&self.partial);
        self.file.flush().map_err(failed())?;
        self.file.get_ref().sync_all().map_err(failed())?;
        if !replace && self.path.symlink_metadata().is_ok() {
            return Err(BackupFileError::Exists(self.path.clone()));
        }
        std::fs::rename(&self.partial, &self.path).map_err(disk(&self.path))?;
        sync_folder_of(&self.path)?;
        Ok(self.end)
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), BackupFileError> {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            // A full chunk waits until it is known not to be the last.
            if self.chunk.len() == CHUNK_LENGTH {
                self.flush(false)?;
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(CHUNK_LENGTH - self.chunk.len()));
            self.chunk.extend_from_slice(taken);
            bytes = rest;
        }
        Ok(())
    }

    fn flush(&mut self, last: bool) -> Result<(), BackupFileError> {
        self.sealer.seal(&mut self.chunk, last)?;
        self.file.write_all(&self.chunk).map_err(disk(&self.partial))?;
        self.chunk.clear();
        Ok(())
    }
}

impl Drop for BackupWriter {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name any more.
        let _ = std::fs::remove_file(&self.partial);
    }
}

/// `.NAME.part` beside the file.
fn partial_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

fn sync_folder_of(path: &Path) -> Result<(), BackupFileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk(folder)) } else { Ok(()) }
}

/// A backup whose header has been read and that nothing has opened yet.
#[derive(Debug)]
pub struct ClosedBackup {
    file: BufReader<File>,
    path: PathBuf,
    /// The file up to the end of the header.
    begin: Vec<u8>,
    commitment: [u8; COMMITMENT_LENGTH],
    /// What it says in the clear.
    pub header: BackupHeader,
    /// Bytes of the file.
    pub length: u64,
}

impl ClosedBackup {
    /// Reads the header.
    ///
    /// # Errors
    /// [`BackupFileError::Disk`]; [`BackupError::Foreign`], [`BackupError::Version`], [`BackupError::Header`],
    /// [`BackupError::Truncated`].
    pub fn read(path: &Path) -> Result<Self, BackupFileError> {
        let file = File::open(path).map_err(disk(path))?;
        let length = file.metadata().map_err(disk(path))?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut begin = vec![0; PREFIX_LENGTH];
        read_exactly(&mut file, path, &mut begin, BackupError::Foreign)?;
        let prefix = begin.first_chunk().ok_or(BackupError::Foreign)?;
        begin.resize(PREFIX_LENGTH + header_length(prefix)?, 0);
        read_exactly(&mut file, path, &mut begin[PREFIX_LENGTH..], BackupError::Truncated)?;
        let header = read_header(&begin[PREFIX_LENGTH..])?;
        let mut commitment = [0; COMMITMENT_LENGTH];
        read_exactly(&mut file, path, &mut commitment, BackupError::Truncated)?;
        Ok(Self { file, path: path.to_owned(), begin, commitment, header, length })
    }

    /// The passphrase or the letters of the recovery code under this backup's lock: half a second's work, once.
    ///
    /// # Errors
    /// [`BackupFileError::Stretch`]
    pub fn stretch(&self, secret: &[u8]) -> Result<Secret<32>, BackupFileError> {
        Ok(argon2id(secret, &self.header.lock)?)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`BackupError::WrongSecret`]
    pub fn open(self, stretched: &Secret<32>) -> Result<BackupReader, BackupFileError> {
        let opener = Opener::begin(&self.begin, &self.commitment, stretched)?;
        let plaintext = Zeroizing::new(Vec::new());
        let (read, end) = (0, BackupEnd::default());
        Ok(BackupReader { file: self.file, path: self.path, opener, plaintext, taken: 0, at_end: false, end, read })
    }
}

/// A backup that is being read.
#[derive(Debug)]
pub struct BackupReader {
    file: BufReader<File>,
    path: PathBuf,
    opener: Opener,
    /// Of the chunk that is being read.
    plaintext: Zeroizing<Vec<u8>>,
    /// How much of it has been read.
    taken: usize,
    /// The last chunk has been opened.
    at_end: bool,
    /// What has come so far.
    end: BackupEnd,
    /// Bytes of contents so far.
    pub read: u64,
}

impl BackupReader {
    /// The next record; `None` after the last, and only if nothing was missing and nothing comes after it.
    ///
    /// # Errors
    /// [`BackupFileError`]
    pub fn next_record(&mut self) -> Result<Option<BackupRecord>, BackupFileError> {
        let mut length = [0; LENGTH_PREFIX];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > BACKUP_RECORD_LENGTH_MAX {
            return Err(BackupError::Contents("a record is too long").into());
        }
        let mut encoded = Zeroizing::new(vec![0; length]);
        self.fill(&mut encoded)?;
        let record = BackupRecord::decode(&encoded).map_err(|_| BackupError::Contents("a record cannot be read"))?;
        match &record {
            BackupRecord::Entry(_) => self.end.entries += 1,
            BackupRecord::Copy(copy) => self.end.copies += u64::from(copy.last),
            BackupRecord::Account(_) => {}
            BackupRecord::End(end) => {
                let whole = *end == self.end && self.taken == self.plaintext.len() && self.at_end;
                return if whole { Ok(None) } else { Err(BackupError::Contents("not what its end says").into()) };
            }
        }
        Ok(Some(record))
    }

    fn fill(&mut self, mut wanted: &mut [u8]) -> Result<(), BackupFileError> {
        while !wanted.is_empty() {
            if self.taken == self.plaintext.len() {
                self.next_chunk()?;
            }
            let length = wanted.len().min(self.plaintext.len() - self.taken);
            let (now, later) = wanted.split_at_mut(length);
            now.copy_from_slice(&self.plaintext[self.taken..self.taken + length]);
            self.taken += length;
            self.read += length as u64;
            wanted = later;
        }
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<(), BackupFileError> {
        if self.at_end {
            return Err(BackupError::Contents("no end").into());
        }
        let path = &self.path;
        self.plaintext.zeroize();
        let chunk = (CHUNK_LENGTH + TAG_LENGTH) as u64;
        Read::by_ref(&mut self.file).take(chunk).read_to_end(&mut self.plaintext).map_err(disk(path))?;
        self.at_end = self.file.fill_buf().map_err(disk(path))?.is_empty();
        self.opener.open(&mut self.plaintext, self.at_end)?;
        self.taken = 0;
        Ok(())
    }
}

fn read_exactly(file: &mut impl Read, path: &Path, into: &mut [u8], short: BackupError) -> Result<(), BackupFileError> {
    file.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => short.into(),
        _ => disk(path)(error),
    })
}

#[cfg(test)]
mod tests;
