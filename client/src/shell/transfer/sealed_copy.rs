//! Sealed copies in `HOME/blobs/`: bodies that are too large for the store, and what is to be sent and is no file of the
//! person's own. `spec/storage-client.md`.
//!
//! A copy has the very bytes that the server has; its key is in the store. Its name is the blob's id where this device made
//! it, and the message's id here where it was fetched. It gets the name only when it is whole and on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use medipeps_core::attachment::{
    AttachmentError, AttachmentKey, BlobReference, Layout, Opener, Sealer, part_digest, root,
};
use medipeps_core::limits::ATTACHMENT_PART_LENGTH;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::fail_point::fail_point;
use crate::limits::UNUSED_COPY_KEPT;

/// The folder in the home.
pub(crate) const FOLDER: &str = "blobs";
/// Ending of a copy that no message is known to have: made, and its message not in the store yet.
const STAGED: &str = "new";
/// Ending of a copy that is not whole.
const PARTIAL: &str = "part";

/// Why a sealed copy cannot be made or used.
#[derive(Debug, Error)]
pub enum SealedCopyError {
    /// There is none.
    #[error("the sealed copy is not on this device")]
    Missing,
    /// It is not what it should be.
    #[error("the sealed copy on this device is damaged: {0}")]
    Damaged(#[from] AttachmentError),
    /// What was to be sealed could not be read.
    #[error("what was to be sent cannot be read any more: {0}")]
    Source(io::Error),
    /// The disk does not take it or give it.
    #[error("{}: {error}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The sealed copies of one home.
#[derive(Debug, Clone)]
pub(crate) struct SealedCopies {
    folder: PathBuf,
}

/// A copy that was opened whole.
struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    /// Of its parts.
    digests: Vec<[u8; 32]>,
}

/// A copy that is being written.
#[derive(Debug)]
pub(crate) struct CopyWriter {
    file: File,
    path: PathBuf,
    whole: PathBuf,
    folder: PathBuf,
}

impl SealedCopies {
    pub(crate) fn of_home(home: &Path) -> Self {
        Self { folder: home.join(FOLDER) }
    }

    /// Seals a plaintext of so many bytes, part by part, and keeps the copy aside until [`Self::adopt`]; gives the digests of its parts.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    pub(crate) fn stage(
        &self,
        blob_id: &[u8; 32],
        key: &AttachmentKey,
        length: u64,
        plaintext: &mut dyn Read,
    ) -> Result<Vec<[u8; 32]>, SealedCopyError> {
        let sealer = Sealer::new(key, Layout::new(length)?);
        let mut writer = self.writer(blob_id, Some(STAGED))?;
        let (mut digests, mut sealed, mut left) = (Vec::new(), Vec::new(), length);
        let mut buffer = Zeroizing::new(vec![0; ATTACHMENT_PART_LENGTH]);
        for part in 0..sealer.layout().parts() {
            let in_part = usize::try_from(left).unwrap_or(usize::MAX).min(ATTACHMENT_PART_LENGTH);
            let (plaintext_part, _) = buffer.split_at_mut(in_part);
            plaintext.read_exact(plaintext_part).map_err(SealedCopyError::Source)?;
            left -= in_part as u64;
            if !plaintext_part.is_empty() {
                digests.push(part_digest(plaintext_part));
            }
            sealer.seal_part(part, plaintext_part, &mut sealed)?;
            writer.write(&sealed)?;
        }
        writer.finish()?;
        fail_point!(AfterSealedCopy);
        Ok(digests)
    }

    /// Gives a staged copy its name, now that its message is in the store. A crash before that is made good whenever the copy
    /// is looked for.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    pub(crate) fn adopt(&self, name: &[u8]) -> Result<PathBuf, SealedCopyError> {
        let path = self.path(name, None);
        if path.exists() {
            return Ok(path);
        }
        match fs::rename(self.path(name, Some(STAGED)), &path) {
            Ok(()) => {}
            // Another process may have been quicker.
            Err(_) if path.exists() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SealedCopyError::Missing),
            Err(error) => return Err(disk(&path)(error)),
        }
        sync_folder(&self.folder)?;
        Ok(path)
    }

    /// A copy to be written as its bytes come from the server.
    ///
    /// # Errors
    /// [`SealedCopyError::Disk`]
    pub(crate) fn fetched(&self, name: &[u8]) -> Result<CopyWriter, SealedCopyError> {
        self.writer(name, None)
    }

    /// Opens a copy whole and verifies it to the last byte.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    pub(crate) fn open(&self, name: &[u8], blob: &BlobReference) -> Result<Zeroizing<Vec<u8>>, SealedCopyError> {
        let opened = self.open_parts(name, blob)?;
        match root(blob.length, &opened.digests) == blob.root {
            true => Ok(opened.plaintext),
            false => Err(AttachmentError::Root.into()),
        }
    }

    /// The same for a copy that this device has sealed itself: its key sealed nothing else.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    pub(crate) fn open_own(&self, name: &[u8], blob: &BlobReference) -> Result<Zeroizing<Vec<u8>>, SealedCopyError> {
        Ok(self.open_parts(name, blob)?.plaintext)
    }

    fn open_parts(&self, name: &[u8], blob: &BlobReference) -> Result<Opened, SealedCopyError> {
        let layout = blob.layout()?;
        let path = self.adopt(name)?;
        let mut file = File::open(&path).map_err(disk(&path))?;
        let opener = Opener::new(&blob.key, layout, read_range(&mut file, &path, &layout.tail())?)?;
        let (mut plaintext, mut digests) = (Zeroizing::new(Vec::new()), Vec::new());
        for part in 0..layout.plaintext_parts() {
            let mut bytes = Zeroizing::new(read_range(&mut file, &path, &layout.sealed_part(part)?)?);
            opener.open_part(part, &mut bytes)?;
            digests.push(part_digest(&bytes));
            plaintext.extend_from_slice(&bytes);
        }
        Ok(Opened { plaintext, digests })
    }

    /// Removes a copy that nothing needs any more.
    pub(crate) fn remove(&self, name: &[u8]) {
        for ending in [None, Some(STAGED)] {
            // What cannot be removed takes room and does no other harm.
            let _ = fs::remove_file(self.path(name, ending));
        }
    }

    /// Removes what was left behind by processes that died: copies that are not whole, and staged ones whose message never
    /// came into the store. `is_needed` knows the blobs of pending uploads. What is young may be in use by another process.
    pub(crate) fn sweep(&self, is_needed: impl Fn(&[u8; 32]) -> bool) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let id = path.file_name().and_then(|name| HEXLOWER.decode(name.as_encoded_bytes().get(..64)?).ok());
            let id: Option<[u8; 32]> = id.and_then(|id| id.try_into().ok());
            let unused = match (ending, id) {
                (Some(PARTIAL), _) => true,
                (Some(STAGED), Some(id)) => !is_needed(&id),
                _ => false,
            };
            let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
            if unused && matches!(age, Ok(Ok(age)) if age > UNUSED_COPY_KEPT) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn writer(&self, name: &[u8], ending: Option<&str>) -> Result<CopyWriter, SealedCopyError> {
        create_folder(&self.folder)?;
        let whole = self.path(name, ending);
        // Two processes may fetch the same body; each has a file of its own until it is whole.
        let nonce = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_nanos()).unwrap_or(0);
        let path = self.path(name, Some(&format!("{}-{nonce}.{PARTIAL}", std::process::id())));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(disk(&path))?;
        Ok(CopyWriter { file, path, whole, folder: self.folder.clone() })
    }

    fn path(&self, name: &[u8], ending: Option<&str>) -> PathBuf {
        let name = HEXLOWER.encode(name);
        self.folder.join(ending.map_or(name.clone(), |ending| format!("{name}.{ending}")))
    }
}

impl CopyWriter {
    /// The next bytes.
    ///
    /// # Errors
    /// [`SealedCopyError::Disk`]
    pub(crate) fn write(&mut self, sealed: &[u8]) -> Result<(), SealedCopyError> {
        self.file.write_all(sealed).map_err(disk(&self.path))
    }

    /// Everything is written: to the disk with it, and under its name.
    ///
    /// # Errors
    /// [`SealedCopyError::Disk`]
    pub(crate) fn finish(self) -> Result<(), SealedCopyError> {
        self.file.sync_all().map_err(disk(&self.path))?;
        fs::rename(&self.path, &self.whole).map_err(disk(&self.whole))?;
        sync_folder(&self.folder)
    }
}

impl Drop for CopyWriter {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Reads a range of a sealed file.
pub(crate) fn read_range(file: &mut File, path: &Path, range: &Range<u64>) -> Result<Vec<u8>, SealedCopyError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(range.start))
        .and_then(|_| Read::by_ref(file).take(range.end - range.start).read_to_end(&mut bytes))
        .map_err(disk(path))?;
    Ok(bytes)
}

/// A new name survives a power failure only once its folder is on the disk too.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), SealedCopyError> {
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk(folder)) } else { Ok(()) }
}

fn create_folder(folder: &Path) -> Result<(), SealedCopyError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(disk(folder))
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> SealedCopyError {
    let path = path.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::NotFound => SealedCopyError::Missing,
        _ => SealedCopyError::Disk { path, error },
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn key() -> AttachmentKey {
        AttachmentKey::random(&mut ChaCha20Rng::from_seed([1; 32]))
    }

    fn copies() -> (tempfile::TempDir, SealedCopies) {
        let home = tempfile::tempdir().unwrap();
        let copies = SealedCopies::of_home(home.path());
        (home, copies)
    }

    fn stage(copies: &SealedCopies, id: u8, plaintext: &[u8]) -> BlobReference {
        let digests = copies.stage(&[id; 32], &key(), plaintext.len() as u64, &mut &*plaintext).unwrap();
        let length = plaintext.len() as u64;
        let root = root(length, &digests);
        BlobReference { domain: "clinic.example".into(), id: [id; 32], key: key(), length, root, expires: 0 }
    }

    #[test]
    fn a_copy_comes_back_whole_whatever_its_length() {
        let (_home, copies) = copies();
        for (id, length) in [(1, 0), (2, 1), (3, ATTACHMENT_PART_LENGTH), (4, ATTACHMENT_PART_LENGTH + 1)] {
            let plaintext: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let blob = stage(&copies, id, &plaintext);
            assert_eq!(*copies.open(&blob.id, &blob).unwrap(), plaintext);
            let sealed = fs::metadata(copies.path(&blob.id, None)).unwrap().len();
            assert_eq!(sealed, blob.layout().unwrap().sealed_length());
        }
    }

    #[test]
    fn a_damaged_copy_is_refused_and_so_is_another_s() {
        let (_home, copies) = copies();
        let (one, other) = (stage(&copies, 1, b"one"), stage(&copies, 2, b"two"));
        let path = copies.adopt(&one.id).unwrap();
        fs::copy(copies.adopt(&other.id).unwrap(), &path).unwrap();
        assert!(matches!(copies.open(&one.id, &one), Err(SealedCopyError::Damaged(AttachmentError::Root))));
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(copies.open(&one.id, &one), Err(SealedCopyError::Damaged(AttachmentError::Altered))));
        fs::write(&path, &bytes[..100]).unwrap();
        assert!(matches!(copies.open(&one.id, &one), Err(SealedCopyError::Damaged(AttachmentError::Commitment))));
        copies.remove(&one.id);
        assert!(matches!(copies.open(&one.id, &one), Err(SealedCopyError::Missing)));
    }

    #[test]
    fn what_dead_processes_left_is_swept_once_it_is_old() {
        let (_home, copies) = copies();
        let (needed, unneeded, adopted) = (stage(&copies, 1, b"1"), stage(&copies, 2, b"2"), stage(&copies, 3, b"3"));
        copies.adopt(&adopted.id).unwrap();
        let partial = copies.folder.join("aa.1-2.part");
        fs::write(&partial, b"half").unwrap();
        let is_needed = |id: &[u8; 32]| *id == needed.id;
        copies.sweep(is_needed);
        assert_eq!(fs::read_dir(&copies.folder).unwrap().count(), 4, "they are young");
        let long_ago = SystemTime::now() - 2 * UNUSED_COPY_KEPT;
        for entry in fs::read_dir(&copies.folder).unwrap() {
            File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
        }
        copies.sweep(is_needed);
        assert!(!partial.exists());
        assert!(matches!(copies.open(&unneeded.id, &unneeded), Err(SealedCopyError::Missing)));
        assert_eq!(
            (copies.open(&needed.id, &needed).unwrap().len(), copies.open(&adopted.id, &adopted).unwrap().len()),
            (1, 1)
        );
    }
}
