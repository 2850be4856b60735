//! A file of the person's own as it is read to be sent: by parts, and only as long as it stays what it was.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use thiserror::Error;

/// Why a file cannot be sent.
#[derive(Debug, Error)]
pub enum SourceError {
    /// There is none of this name.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// A folder, a device or a pipe.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The system does not let it be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is not as it was when it was first read.
    #[error("{} has changed", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
        /// How it is now.
        now: FileStamp,
    },
}

/// By what a change of a file is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    /// Bytes.
    pub length: u64,
    /// Nanoseconds since 1970 when its content was last changed; 0 where the file system does not say.
    pub modified: u64,
}

/// A file that is open for reading.
#[derive(Debug)]
pub(crate) struct SourceFile {
    path: PathBuf,
    file: File,
    stamp: FileStamp,
}

impl FileStamp {
    /// Of a file, which is not opened.
    ///
    /// # Errors
    /// [`SourceError::Missing`], [`SourceError::NotAFile`], [`SourceError::Unreadable`].
    pub fn of(path: &Path) -> Result<Self, SourceError> {
        Self::read(path, std::fs::metadata(path))
    }

    fn read(path: &Path, metadata: io::Result<Metadata>) -> Result<Self, SourceError> {
        let metadata = metadata.map_err(|error| refusal(path, error))?;
        if !metadata.is_file() {
            return Err(SourceError::NotAFile(path.to_owned()));
        }
        let since = metadata.modified().ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
        let modified = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Ok(Self { length: metadata.len(), modified })
    }
}

impl SourceFile {
    /// Opens a file that must be as it was. Anything that is no file is not even opened: a pipe would wait for a writer.
    ///
    /// # Errors
    /// [`SourceError`]
    pub(crate) fn open(path: &Path, expected: FileStamp) -> Result<Self, SourceError> {
        FileStamp::of(path)?;
        let file = File::open(path).map_err(|error| refusal(path, error))?;
        let source = Self { path: path.to_owned(), file, stamp: expected };
        source.check_unchanged()?;
        Ok(source)
    }

    /// Reads a range of it into `buffer`, in place of what was there.
    ///
    /// # Errors
    /// [`SourceError::Changed`] if it ends before the range does, [`SourceError::Unreadable`].
    pub(crate) fn read(&mut self, range: &Range<u64>, buffer: &mut Vec<u8>) -> Result<(), SourceError> {
        let length = range.end - range.start;
        buffer.clear();
        let read = self
            .file
            .seek(SeekFrom::Start(range.start))
            .and_then(|_| Read::by_ref(&mut self.file).take(length).read_to_end(buffer));
        match read {
            Ok(read) if read as u64 == length => Ok(()),
            Ok(_) => Err(self.check_unchanged().err().unwrap_or_else(|| self.changed(self.stamp))),
            Err(error) => Err(refusal(&self.path, error)),
        }
    }

    /// That it still has the length and the time that it had: what was read of it is of one version.
    ///
    /// # Errors
    /// [`SourceError::Changed`], [`SourceError::Unreadable`].
    pub(crate) fn check_unchanged(&self) -> Result<(), SourceError> {
        let now = FileStamp::read(&self.path, self.file.metadata())?;
        if now == self.stamp { Ok(()) } else { Err(self.changed(now)) }
    }

    /// That it has changed, whatever its length and time say.
    pub(crate) fn changed(&self, now: FileStamp) -> SourceError {
        SourceError::Changed { path: self.path.clone(), now }
    }

    pub(crate) const fn stamp(&self) -> FileStamp {
        self.stamp
    }
}

fn refusal(path: &Path, error: io::Error) -> SourceError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => SourceError::Missing(path),
        io::ErrorKind::IsADirectory => SourceError::NotAFile(path),
        _ => SourceError::Unreadable { path, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: &[u8]) -> FileStamp {
        std::fs::write(path, bytes).unwrap();
        FileStamp::of(path).unwrap()
    }

    #[test]
    fn ranges_come_as_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stamp = write(&path, b"0123456789");
        let mut file = SourceFile::open(&path, stamp).unwrap();
        let mut buffer = Vec::new();
        for (range, bytes) in [(3..5, &b"34"[..]), (0..10, b"0123456789"), (10..10, b"")] {
            file.read(&range, &mut buffer).unwrap();
            assert_eq!(buffer, bytes);
        }
    }

    #[test]
    fn a_file_that_changed_is_noticed_by_length_and_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stamp = write(&path, b"0123456789");
        let mut file = SourceFile::open(&path, stamp).unwrap();
        let cut = write(&path, b"0123");
        assert!(matches!(file.check_unchanged(), Err(SourceError::Changed { now, .. }) if now == cut));
        let mut buffer = Vec::new();
        assert!(matches!(file.read(&(0..10), &mut buffer), Err(SourceError::Changed { now, .. }) if now == cut));
        let other = FileStamp { modified: cut.modified + 1, ..cut };
        assert!(matches!(SourceFile::open(&path, other), Err(SourceError::Changed { now, .. }) if now == cut));
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(FileStamp::of(folder.path()), Err(SourceError::NotAFile(_))));
        assert!(matches!(FileStamp::of(&folder.path().join("none")), Err(SourceError::Missing(_))));
        assert!(matches!(
            FileStamp::of(Path::new("/dev/zero")),
            Err(SourceError::NotAFile(_)) | Err(SourceError::Missing(_))
        ));
    }
}
