//! Where the documents of a person's own are on a machine: in files, in memory, or in a file that is open.

use std::fs::File;
use std::io::{self, Read};
#[cfg(unix)]
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medipeps_core::limits::INLINE_ATTACHMENTS_LENGTH_MAX;
use zeroize::Zeroizing;

use super::sending::{DocumentSource, OpenedDocument, OutgoingDocument};
use super::{Agent, AgentError, Show};
use crate::engine::{AttachmentSource, SendToCase};
use crate::shell::runtime::blocking;
use crate::shell::transfer::sealed_copy::{InMemory, Plaintext};
use crate::shell::transfer::source::{FileStamp, SourceError, SourceFile};

/// A document to go with a mail of a program.
pub type Document = OutgoingDocument<DocumentPlace>;

/// Where a document is.
#[derive(Clone)]
pub enum DocumentPlace {
    /// In a file of the person's own, which must stay there until it is sent.
    File(PathBuf),
    /// In memory; what does not fit the message is kept sealed on this device until it is sent.
    Memory(Vec<u8>),
    /// A file that is open now and may be gone afterwards, as another app shares it. Read from its beginning; what does not fit
    /// the message is kept sealed on this device until it is sent.
    Opened(Arc<File>),
}

impl std::fmt::Debug for DocumentPlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(_) => formatter.write_str("File(..)"),
            Self::Opened(_) => formatter.write_str("Opened(..)"),
            Self::Memory(data) => write!(formatter, "Memory({} bytes)", data.len()),
        }
    }
}

impl DocumentSource for DocumentPlace {
    type Opened = OpenedPlace;

    fn open(self, name: &str) -> Result<OpenedPlace, AgentError> {
        Ok(match self {
            Self::File(path) => {
                let stamp = readable(&path)?;
                OpenedPlace::File { path, stamp }
            }
            Self::Memory(data) => OpenedPlace::Memory { data, taken: 0 },
            Self::Opened(file) => {
                let length = opened_length(&file, name)?;
                OpenedPlace::Opened { name: name.to_owned(), length, bytes: FromStart { file, offset: 0 } }
            }
        })
    }
}

/// A document that was looked at.
#[derive(Debug)]
pub enum OpenedPlace {
    /// A file, as it was then.
    File {
        /// Where.
        path: PathBuf,
        /// By what a change is noticed.
        stamp: FileStamp,
    },
    /// Bytes.
    Memory {
        /// All of them.
        data: Vec<u8>,
        /// How many of them have been given.
        taken: usize,
    },
    /// An open file.
    Opened {
        /// What the document is called.
        name: String,
        /// Bytes.
        length: u64,
        /// What has not been given.
        bytes: FromStart,
    },
}

impl OpenedDocument for OpenedPlace {
    fn length(&self) -> u64 {
        match self {
            Self::File { stamp, .. } => stamp.length,
            Self::Memory { data, .. } => data.len() as u64,
            Self::Opened { length, .. } => *length,
        }
    }

    fn stays(&self) -> Result<Option<AttachmentSource>, AgentError> {
        let Self::File { path, stamp: FileStamp { length, modified } } = self else { return Ok(None) };
        let path = path_bytes(&absolute(path.clone())?);
        Ok(Some(AttachmentSource::File { path, length: *length, modified: *modified }))
    }

    async fn whole(self) -> Result<Vec<u8>, AgentError> {
        match self {
            Self::File { path, stamp } => Ok(read_small(&path, stamp)?),
            Self::Memory { data, .. } => Ok(data),
            Self::Opened { name, length, mut bytes } => {
                let unreadable = |error| SourceError::Unreadable { path: name.into(), error };
                // What goes inside is small. A file that has become shorter is refused.
                let mut data = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
                bytes.read_exact(&mut data).map_err(unreadable)?;
                Ok(data)
            }
        }
    }
}

impl Plaintext for OpenedPlace {
    async fn next(&mut self, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        match self {
            // It is sent from where it stays.
            Self::File { .. } => Err(io::ErrorKind::Unsupported.into()),
            Self::Memory { data, taken } => {
                let next = InMemory(data.get(*taken..).unwrap_or_default()).next(length).await?;
                *taken += length;
                Ok(next)
            }
            Self::Opened { bytes, .. } => {
                let mut from = bytes.clone();
                let read = blocking(move || {
                    let mut next = Zeroizing::new(vec![0; length]);
                    from.read_exact(&mut next).map(|()| next)
                });
                let next = read.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))?;
                bytes.offset += length as u64;
                Ok(next)
            }
        }
    }
}

impl Agent {
    /// As [`Self::send_to_group`], about a case or in one. What would not count as far as this device knows is refused.
    ///
    /// # Errors
    /// As [`Self::send_mail`].
    pub async fn send_to_case(
        &mut self,
        command: SendToCase,
        documents: Vec<Document>,
        show: Show<'_>,
    ) -> Result<u64, AgentError> {
        let SendToCase { case, patient, message } = command;
        let input = |agent: &mut Self, message| agent.case_input(SendToCase { case, patient, message });
        self.say(message, documents, input, show).await
    }
}

/// What an open file has from its first byte on, wherever its owner has come in it, and without moving that.
#[derive(Debug, Clone)]
pub struct FromStart {
    file: Arc<File>,
    offset: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = self.file.read_at(buffer, self.offset)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// How long an open file is; a pipe has no length, and cannot be read twice.
fn opened_length(file: &File, name: &str) -> Result<u64, SourceError> {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err(SourceError::NotAFile(name.into())),
        Err(error) => Err(SourceError::Unreadable { path: name.into(), error }),
    }
}

/// The file as it is now, if it can be opened.
fn readable(path: &Path) -> Result<FileStamp, SourceError> {
    let stamp = FileStamp::of(path)?;
    SourceFile::open(path, stamp)?;
    Ok(stamp)
}

/// A small file whole; it must not have changed since its length was looked at.
fn read_small(path: &Path, stamp: FileStamp) -> Result<Vec<u8>, SourceError> {
    let unreadable = |error| SourceError::Unreadable { path: path.to_owned(), error };
    let mut data = Vec::new();
    let limit = INLINE_ATTACHMENTS_LENGTH_MAX as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut data)).map_err(unreadable)?;
    match data.len() as u64 == stamp.length {
        true => Ok(data),
        false => Err(SourceError::Changed { path: path.to_owned(), now: FileStamp::of(path)? }),
    }
}

/// Whoever sends it later may stand in another folder.
fn absolute(path: PathBuf) -> Result<PathBuf, SourceError> {
    std::path::absolute(&path).map_err(|error| SourceError::Unreadable { path, error })
}

fn path_bytes(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    #[cfg(not(unix))]
    path.to_string_lossy().into_owned().into_bytes()
}
