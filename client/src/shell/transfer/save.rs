//! Saves received files: under a harmless name that is not taken, and never a half one under that name.
//!
//! A document from a server is written to a hidden file in the target folder first. What of it is there is kept for a later
//! run, by whole parts; it is hashed again then, and the digest over the whole decides at the end. Only what is whole and
//! on the disk gets the final name, by a hard link, which never replaces anything.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use medipeps_core::attachment::{AttachmentError, BlobReference, part_digest, root};
use medipeps_core::kind::PhotoError;
use medipeps_core::limits::{ATTACHMENT_PART_LENGTH, IMAGE_LENGTH_MAX};
use thiserror::Error;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::ExpectedPhoto;
use super::fetch::{Fetch, FetchError};
use crate::fail_point::fail_point;
use crate::limits::{NUMBERED_NAMES_MAX, SAVE_SYNC_LENGTH};
use crate::shell::connection::ProgramLink;
use crate::shell::file_name;

const PART: u64 = ATTACHMENT_PART_LENGTH as u64;

/// Why a file is not saved.
#[derive(Debug, Error)]
pub enum SaveError {
    /// It cannot be fetched. What is there is kept.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is no room. What is there is kept.
    #[error(
        "there is no room on the disk for {}: {kept} of {length} bytes are there and kept; run the same command again when there is room",
        path.display()
    )]
    NoSpace {
        /// The file that is not whole.
        path: PathBuf,
        /// Bytes that a later run need not fetch.
        kept: u64,
        /// Bytes in all.
        length: u64,
    },
    /// Another process is saving it there now.
    #[error("{} is being written by another program", .0.display())]
    Busy(PathBuf),
    /// The disk does not take it.
    #[error("{}: {error}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Every byte verified, and together they are not what the message names: the sender's program is at fault.
    #[error("the file is not the one that the message names; nothing was saved")]
    NotTheOne,
    /// It was sent as a photo and is none: above all, its sender has not taken out what it tells beside its pixels.
    #[error("the photo is refused: {0}; nothing was saved")]
    Photo(#[from] PhotoError),
}

impl From<AttachmentError> for SaveError {
    fn from(error: AttachmentError) -> Self {
        Self::Fetch(error.into())
    }
}

/// Saves bytes that are in memory.
///
/// # Errors
/// [`SaveError::Disk`]
pub(crate) fn save_bytes(folder: &Path, name: &str, data: &[u8]) -> Result<PathBuf, SaveError> {
    let (mut file, path) = first_free(folder, name, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
    let written = file.write_all(data).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a file would look like a whole one.
        let _ = fs::remove_file(&path);
        return Err(disk(&path)(error));
    }
    sync_folder(folder)?;
    Ok(path)
}

/// Saves a document while it is fetched, going on with what a former run has left. A photo is looked at before it gets its
/// name.
///
/// # Errors
/// [`SaveError`]
pub(crate) async fn save_blob(
    folder: &Path,
    name: &str,
    (blob, photo): (&BlobReference, Option<&ExpectedPhoto>),
    mut fetch: Fetch<ProgramLink>,
) -> Result<PathBuf, SaveError> {
    loop {
        let (target, name, wanted) = (folder.to_owned(), name.to_owned(), blob.clone());
        let partial = match blocking(move || Partial::open(&target, &name, &wanted)).await? {
            Opened::Partial(partial) => partial,
            Opened::Finished(path) => return Ok(path),
        };
        let had_parts = !partial.digests.is_empty();
        let partial = fill(partial, &mut fetch).await?;
        let photo = photo.cloned();
        match blocking(move || partial.finish(photo.as_ref())).await {
            // What was there before was not what it should have been: once more, from nothing.
            Err(SaveError::NotTheOne) if had_parts => {}
            ended => return ended,
        }
    }
}

/// Fetches what is missing. The next part comes in while the one before is opened and written.
async fn fill(partial: Partial, fetch: &mut Fetch<ProgramLink>) -> Result<Partial, SaveError> {
    fetch.begin_at(partial.digests.len() as u64)?;
    let (mut partial, mut writing) = (Some(partial), None);
    loop {
        let next = fetch.next_part().await;
        // Whatever came of the next one, this one is finished first: it is kept.
        if let Some(writing) = writing.take() {
            partial = Some(joined(writing).await?);
        }
        let Some(mut current) = partial.take() else { return Err(interrupted()) };
        let Some((part, mut sealed)) = next? else { return Ok(current) };
        let opener = fetch.opener();
        writing = Some(tokio::task::spawn_blocking(move || {
            opener.open_part(part, &mut sealed)?;
            current.write(&sealed)?;
            fail_point!(AfterFetchedPart);
            Ok(current)
        }));
    }
}

/// A file that is not whole yet.
#[derive(Debug)]
struct Partial {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    /// The one that it will have, unless it is taken.
    name: String,
    blob: BlobReference,
    /// Of the parts that are there, in order.
    digests: Vec<[u8; 32]>,
    /// Bytes that were written since the last sync.
    unsynced: u64,
}

/// What a former run has left.
#[derive(Debug)]
enum Opened {
    /// A file to go on with; it may be empty.
    Partial(Partial),
    /// It was whole and had its name.
    Finished(PathBuf),
}

impl Partial {
    /// Opens what is there, or begins. It is locked against other processes until it is dropped.
    fn open(folder: &Path, name: &str, blob: &BlobReference) -> Result<Opened, SaveError> {
        let name = file_name::harmless(name);
        let path = folder.join(file_name::partial(&name, &blob.id));
        let mut file = loop {
            if let Some(file) = lock(&path)? {
                break file;
            }
        };
        if let Some(finished) = finished(&file, folder, &name) {
            fs::remove_file(&path).map_err(disk(&path))?;
            sync_folder(folder)?;
            return Ok(Opened::Finished(finished));
        }
        let length = file.metadata().map_err(disk(&path))?.len();
        let parts = if length > blob.length {
            0
        } else {
            length / PART + u64::from(length == blob.length && !length.is_multiple_of(PART))
        };
        let digests = digests_of(&mut file, parts).map_err(disk(&path))?;
        let (folder, blob) = (folder.to_owned(), blob.clone());
        let partial = Self { file, path, folder, name, blob, digests, unsynced: 0 };
        partial.file.set_len(partial.kept()).map_err(|error| partial.refusal(error))?;
        Ok(Opened::Partial(partial))
    }

    /// Bytes that are there.
    fn kept(&self) -> u64 {
        (self.digests.len() as u64).saturating_mul(PART).min(self.blob.length)
    }

    /// Adds the plaintext of the next part, which is empty where there is only padding.
    fn write(&mut self, plaintext: &[u8]) -> Result<(), SaveError> {
        if plaintext.is_empty() {
            return Ok(());
        }
        let written = self.file.seek(SeekFrom::Start(self.kept())).and_then(|_| self.file.write_all(plaintext));
        written.map_err(|error| self.refusal(error))?;
        self.digests.push(part_digest(plaintext));
        self.unsynced += plaintext.len() as u64;
        if self.unsynced >= SAVE_SYNC_LENGTH {
            self.file.sync_data().map_err(|error| self.refusal(error))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Verifies the whole, brings it to the disk and gives it its name. What is not the one that the message names is
    /// thrown away.
    fn finish(mut self, photo: Option<&ExpectedPhoto>) -> Result<PathBuf, SaveError> {
        if self.kept() != self.blob.length || root(self.blob.length, &self.digests) != self.blob.root {
            fs::remove_file(&self.path).map_err(disk(&self.path))?;
            return Err(SaveError::NotTheOne);
        }
        if let Some(refusal) = photo.and_then(|photo| self.check_photo(photo).err()) {
            fs::remove_file(&self.path).map_err(disk(&self.path))?;
            return Err(refusal);
        }
        self.file.sync_all().map_err(|error| self.refusal(error))?;
        fail_point!(BeforeFinalName);
        let ((), path) = first_free(&self.folder, &self.name, |path| give_name(&self.path, path))?;
        fail_point!(AfterFinalName);
        match fs::remove_file(&self.path) {
            // Where there are no hard links the file was renamed.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(&self.path)(error)),
            _ => {}
        }
        sync_folder(&self.folder)?;
        Ok(path)
    }

    /// Reads the image whole. Who fetches it has seen that it is no longer than images may be.
    fn check_photo(&mut self, expected: &ExpectedPhoto) -> Result<(), SaveError> {
        let mut image = Vec::new();
        let read = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| Read::by_ref(&mut self.file).take(IMAGE_LENGTH_MAX as u64 + 1).read_to_end(&mut image));
        read.map_err(disk(&self.path))?;
        expected.photo.check(&expected.media_type, image)?;
        Ok(())
    }

    fn refusal(&self, error: io::Error) -> SaveError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                SaveError::NoSpace { path: self.path.clone(), kept: self.kept(), length: self.blob.length }
            }
            _ => disk(&self.path)(error),
        }
    }
}

/// Opens and locks the file. `None` if another process finished it just then: what is open is that one's file, not ours.
fn lock(path: &Path) -> Result<Option<File>, SaveError> {
    // A link would lead elsewhere.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(disk(path)(io::ErrorKind::AlreadyExists.into()));
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(disk(path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(SaveError::Busy(path.to_owned())),
        // Where there are no locks, two processes at once spoil the file, and the digest over the whole says so.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    let same = same_file(&file, path);
    Ok(same.then_some(file))
}

/// Whether a path leads to an open file.
fn same_file(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (Ok(open), Ok(found)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
        (open.dev(), open.ino()) == (found.dev(), found.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// The final name, if a process died after it gave the file that and before it took away the other.
fn finished(file: &File, folder: &Path, name: &str) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        let links = std::os::unix::fs::MetadataExt::nlink(&file.metadata().ok()?);
        let names = (1..NUMBERED_NAMES_MAX).map(|number| folder.join(file_name::numbered(name, number)));
        // Names are given in order: the first that is free ends the search.
        let mut taken = names.take_while(|path| fs::symlink_metadata(path).is_ok());
        (links > 1).then(|| taken.find(|path| same_file(file, path))).flatten()
    }
    #[cfg(not(unix))]
    {
        let _ = (file, folder, name);
        None
    }
}

fn digests_of(file: &mut File, parts: u64) -> io::Result<Vec<[u8; 32]>> {
    let mut digests = Vec::new();
    let mut buffer = Zeroizing::new(Vec::with_capacity(ATTACHMENT_PART_LENGTH));
    file.seek(SeekFrom::Start(0))?;
    for _ in 0..parts {
        buffer.clear();
        Read::by_ref(file).take(PART).read_to_end(&mut buffer)?;
        digests.push(part_digest(&buffer));
    }
    Ok(digests)
}

/// Gives a file another name, which must be free.
fn give_name(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            // No hard links here: the name is reserved by an empty file, which the real one then replaces.
            OpenOptions::new().write(true).create_new(true).open(to)?;
            fs::rename(from, to).inspect_err(|_| {
                let _ = fs::remove_file(to);
            })
        }
        linked => linked,
    }
}

/// Tries `name`, `name (2)`, ... until one is free.
fn first_free<T>(
    folder: &Path,
    name: &str,
    mut take: impl FnMut(&Path) -> io::Result<T>,
) -> Result<(T, PathBuf), SaveError> {
    let name = file_name::harmless(name);
    let mut number = 1;
    loop {
        let path = folder.join(file_name::numbered(&name, number));
        match take(&path) {
            Ok(taken) => return Ok((taken, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NUMBERED_NAMES_MAX => number += 1,
            Err(error) => return Err(disk(&path)(error)),
        }
    }
}

fn sync_folder(folder: &Path) -> Result<(), SaveError> {
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk(folder)) } else { Ok(()) }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    let path = path.to_owned();
    move |error| SaveError::Disk { path, error }
}

/// Runs what waits for the disk on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SaveError> + Send + 'static,
) -> Result<T, SaveError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(interrupted()))
}

async fn joined<T>(work: JoinHandle<Result<T, SaveError>>) -> Result<T, SaveError> {
    work.await.unwrap_or_else(|_| Err(interrupted()))
}

fn interrupted() -> SaveError {
    disk(Path::new(""))(io::ErrorKind::Interrupted.into())
}

#[cfg(test)]
mod tests;
