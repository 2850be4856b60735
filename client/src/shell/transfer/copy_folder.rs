//! Sealed copies in `HOME/blobs/`. `spec/storage-client.md`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use data_encoding::HEXLOWER;

use super::sealed_copy::{CopyReader, CopyWriter, SealedCopies, SealedCopyError, Standing, interrupted};
use crate::limits::UNUSED_COPY_KEPT;
use crate::shell::runtime::blocking;

/// The folder in the home.
pub(crate) const FOLDER: &str = "blobs";
/// Ending of a copy that no message is known to have: made, and its message not in the store yet.
const STAGED: &str = "new";
/// Ending of a copy that is not whole.
const PARTIAL: &str = "part";

/// The sealed copies of one home.
#[derive(Debug, Clone)]
pub struct CopyFolder {
    folder: PathBuf,
}

/// A copy that is being written.
#[derive(Debug)]
pub struct CopyFileWriter {
    file: Arc<File>,
    path: PathBuf,
    whole: PathBuf,
    folder: PathBuf,
}

impl CopyFolder {
    pub(crate) fn of_home(home: &Path) -> Self {
        Self { folder: home.join(FOLDER) }
    }

    /// Where a copy is that has its name, or gets it now.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    pub(crate) fn adopted(&self, name: &[u8]) -> Result<PathBuf, SealedCopyError> {
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
    pub(crate) fn fetched(&self, name: &[u8]) -> Result<CopyFileWriter, SealedCopyError> {
        self.writer(name, None)
    }

    fn delete(&self, name: &[u8]) {
        for ending in [None, Some(STAGED)] {
            let _ = fs::remove_file(self.path(name, ending));
        }
    }

    /// What is young may be in use by another process.
    fn sweep_old(&self, needed: &[[u8; 32]]) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let id = path.file_name().and_then(|name| HEXLOWER.decode(name.as_encoded_bytes().get(..64)?).ok());
            let id: Option<[u8; 32]> = id.and_then(|id| id.try_into().ok());
            let unused = match (ending, id) {
                (Some(PARTIAL), _) => true,
                (Some(STAGED), Some(id)) => !needed.contains(&id),
                _ => false,
            };
            let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
            if unused && matches!(age, Ok(Ok(age)) if age > UNUSED_COPY_KEPT) {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn writer(&self, name: &[u8], ending: Option<&str>) -> Result<CopyFileWriter, SealedCopyError> {
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
        Ok(CopyFileWriter { file: Arc::new(file), path, whole, folder: self.folder.clone() })
    }

    fn path(&self, name: &[u8], ending: Option<&str>) -> PathBuf {
        let name = HEXLOWER.encode(name);
        self.folder.join(ending.map_or(name.clone(), |ending| format!("{name}.{ending}")))
    }
}

impl CopyFileWriter {
    /// The next bytes.
    ///
    /// # Errors
    /// [`SealedCopyError::Disk`]
    pub(crate) fn write_now(&self, sealed: &[u8]) -> Result<(), SealedCopyError> {
        (&*self.file).write_all(sealed).map_err(disk(&self.path))
    }

    /// Everything is written: to the disk with it, and under its name.
    ///
    /// # Errors
    /// [`SealedCopyError::Disk`]
    pub(crate) fn finish_now(self) -> Result<(), SealedCopyError> {
        self.file.sync_all().map_err(disk(&self.path))?;
        fs::rename(&self.path, &self.whole).map_err(disk(&self.whole))?;
        sync_folder(&self.folder)
    }
}

impl Drop for CopyFileWriter {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name any more.
        let _ = fs::remove_file(&self.path);
    }
}

impl SealedCopies for CopyFolder {
    type Writer = CopyFileWriter;
    type Reader = CopyFile;

    async fn create(&self, name: &[u8], standing: Standing) -> Result<CopyFileWriter, SealedCopyError> {
        let ending = match standing {
            Standing::Staged => Some(STAGED),
            Standing::Adopted => None,
        };
        let (copies, name) = (self.clone(), name.to_vec());
        on_the_disk(move || copies.writer(&name, ending)).await
    }

    async fn adopt(&self, name: &[u8]) -> Result<(), SealedCopyError> {
        let (copies, name) = (self.clone(), name.to_vec());
        on_the_disk(move || copies.adopted(&name).map(drop)).await
    }

    async fn open(&self, name: &[u8]) -> Result<CopyFile, SealedCopyError> {
        let (copies, name) = (self.clone(), name.to_vec());
        on_the_disk(move || {
            let path = copies.adopted(&name)?;
            let file = Arc::new(File::open(&path).map_err(disk(&path))?);
            Ok(CopyFile { file, path })
        })
        .await
    }

    async fn remove(&self, name: &[u8]) {
        let (copies, name) = (self.clone(), name.to_vec());
        let _ = blocking(move || copies.delete(&name)).await;
    }

    async fn sweep(&self, needed: Vec<[u8; 32]>) {
        let copies = self.clone();
        let _ = blocking(move || copies.sweep_old(&needed)).await;
    }
}

impl CopyWriter for CopyFileWriter {
    async fn write<B: AsRef<[u8]> + Send + 'static>(&mut self, sealed: B) -> Result<B, SealedCopyError> {
        let (file, path) = (self.file.clone(), self.path.clone());
        on_the_disk(move || (&*file).write_all(sealed.as_ref()).map(|()| sealed).map_err(disk(&path))).await
    }

    async fn finish(self) -> Result<(), SealedCopyError> {
        on_the_disk(move || self.finish_now()).await
    }
}

/// A copy that is read.
#[derive(Debug)]
pub struct CopyFile {
    file: Arc<File>,
    path: PathBuf,
}

impl CopyReader for CopyFile {
    async fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, SealedCopyError> {
        let (file, path) = (self.file.clone(), self.path.clone());
        on_the_disk(move || {
            let (mut file, mut bytes) = (&*file, Vec::new());
            file.seek(SeekFrom::Start(range.start))
                .and_then(|_| file.take(range.end - range.start).read_to_end(&mut bytes))
                .map_err(disk(&path))?;
            Ok(bytes)
        })
        .await
    }
}

/// Runs what waits for the disk on a thread for that.
async fn on_the_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SealedCopyError> + Send + 'static,
) -> Result<T, SealedCopyError> {
    blocking(work).await.unwrap_or_else(|_| Err(interrupted()))
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
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SealedCopyError::Full,
        _ => SealedCopyError::Disk { path, error },
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use medipeps_core::attachment::{AttachmentError, AttachmentKey, BlobReference, root};
    use medipeps_core::limits::ATTACHMENT_PART_LENGTH;
    use rand_core::SeedableRng;
    use zeroize::Zeroizing;

    use super::*;
    use crate::shell::transfer::sealed_copy::{self, InMemory};

    fn key() -> AttachmentKey {
        AttachmentKey::random(&mut ChaCha20Rng::from_seed([1; 32]))
    }

    fn copies() -> (tempfile::TempDir, CopyFolder) {
        let home = tempfile::tempdir().unwrap();
        let copies = CopyFolder::of_home(home.path());
        (home, copies)
    }

    async fn stage(copies: &CopyFolder, id: u8, plaintext: &[u8]) -> BlobReference {
        let length = plaintext.len() as u64;
        let staged = sealed_copy::stage(copies, (&[id; 32], &key()), length, &mut InMemory(plaintext)).await;
        let root = root(length, &staged.unwrap());
        BlobReference { domain: "clinic.example".into(), id: [id; 32], key: key(), length, root, expires: 0 }
    }

    async fn open(copies: &CopyFolder, blob: &BlobReference) -> Result<Zeroizing<Vec<u8>>, SealedCopyError> {
        sealed_copy::open(copies, &blob.id, blob).await
    }

    #[tokio::test]
    async fn a_copy_comes_back_whole_whatever_its_length() {
        let (_home, copies) = copies();
        for (id, length) in [(1, 0), (2, 1), (3, ATTACHMENT_PART_LENGTH), (4, ATTACHMENT_PART_LENGTH + 1)] {
            let plaintext: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let blob = stage(&copies, id, &plaintext).await;
            assert_eq!(*open(&copies, &blob).await.unwrap(), plaintext);
            let sealed = fs::metadata(copies.path(&blob.id, None)).unwrap().len();
            assert_eq!(sealed, blob.layout().unwrap().sealed_length());
        }
    }

    #[tokio::test]
    async fn a_damaged_copy_is_refused_and_so_is_another_s() {
        let (_home, copies) = copies();
        let (one, other) = (stage(&copies, 1, b"one").await, stage(&copies, 2, b"two").await);
        let path = copies.adopted(&one.id).unwrap();
        fs::copy(copies.adopted(&other.id).unwrap(), &path).unwrap();
        assert!(matches!(open(&copies, &one).await, Err(SealedCopyError::Damaged(AttachmentError::Root))));
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(open(&copies, &one).await, Err(SealedCopyError::Damaged(AttachmentError::Altered))));
        fs::write(&path, &bytes[..100]).unwrap();
        assert!(matches!(open(&copies, &one).await, Err(SealedCopyError::Damaged(AttachmentError::Commitment))));
        copies.remove(&one.id).await;
        assert!(matches!(open(&copies, &one).await, Err(SealedCopyError::Missing)));
    }

    #[tokio::test]
    async fn a_copy_that_does_not_come_to_its_end_is_nothing() {
        let (_home, copies) = copies();
        let short = &mut InMemory(b"four");
        let staged = sealed_copy::stage(&copies, (&[1; 32], &key()), 5, short).await;
        assert!(matches!(staged, Err(SealedCopyError::Source(error)) if error.kind() == io::ErrorKind::UnexpectedEof));
        assert_eq!(fs::read_dir(&copies.folder).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_dead_processes_left_is_swept_once_it_is_old() {
        let (_home, copies) = copies();
        let (needed, unneeded) = (stage(&copies, 1, b"1").await, stage(&copies, 2, b"2").await);
        let adopted = stage(&copies, 3, b"3").await;
        copies.adopt(&adopted.id).await.unwrap();
        let partial = copies.folder.join("aa.1-2.part");
        fs::write(&partial, b"half").unwrap();
        copies.sweep(vec![needed.id]).await;
        assert_eq!(fs::read_dir(&copies.folder).unwrap().count(), 4, "they are young");
        let long_ago = SystemTime::now() - 2 * UNUSED_COPY_KEPT;
        for entry in fs::read_dir(&copies.folder).unwrap() {
            File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
        }
        copies.sweep(vec![needed.id]).await;
        assert!(!partial.exists());
        assert!(matches!(open(&copies, &unneeded).await, Err(SealedCopyError::Missing)));
        assert_eq!((open(&copies, &needed).await.unwrap().len(), open(&copies, &adopted).await.unwrap().len()), (1, 1));
    }
}
