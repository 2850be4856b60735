//! Large documents between this device and the blobs of a server. `spec/attachment.md`, `spec/transport.md`.
//!
//! One file for each idea: the memory for parts (`buffer`), requests in flight over a connection that may die
//! (`pipeline`), the files that are sent (`source`) and the sealed copies that this device keeps (`sealed_copy`, in a folder
//! `copy_folder`), then `upload`, `fetch`, `download` and `save`. They touch no account: what must be remembered before a step may be taken
//! goes through a `Report` to whoever has the store.
//!
//! Every blob has a connection of its own, which proves nothing and submits nothing. A server that saw a blob's pieces
//! beside a submission would know which recipient a file is for, and blobs that shared a connection would be known to be
//! of one message or of one correspondence.

pub(crate) mod body;
pub(crate) mod buffer;
#[cfg(feature = "native")]
pub(crate) mod copy_folder;
pub mod download;
pub(crate) mod fetch;
pub(crate) mod pipeline;
#[cfg(feature = "native")]
pub(crate) mod save;
pub mod sealed_copy;
pub(crate) mod source;
pub(crate) mod upload;

use std::sync::Arc;

use medipeps_core::document::StripError;
use medipeps_core::kind::{Attachment, Body, Chat, Content, Photo, PhotoError};
use medipeps_core::limits::IMAGE_LENGTH_MAX;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::buffer::PartBuffers;
use crate::limits::{TRANSFER_PIECES_IN_FLIGHT_MAX, TRANSFERS_AT_ONCE_MAX};

#[cfg(feature = "native")]
pub use copy_folder::CopyFolder;
pub use fetch::FetchError;
#[cfg(feature = "native")]
pub use save::SaveError;
pub use sealed_copy::SealedCopyError;
pub use source::SourceError;

/// Which way a document goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To the account's own server.
    Upload,
    /// From the sender's server.
    Download,
}

/// How far one document has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which way.
    pub direction: Direction,
    /// The blob, to tell transfers apart.
    pub blob_id: [u8; 32],
    /// What a person calls it.
    pub name: String,
    /// Bytes that are where they go. Less than before if it had to be begun anew.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What a message says of a file that is a photo.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedPhoto {
    /// Size.
    pub(crate) photo: Photo,
    /// Format.
    pub(crate) media_type: String,
}

impl ExpectedPhoto {
    /// Of an attachment; `None` if its message sends no photo.
    pub(crate) fn of(content: &Content, attachment: &Attachment) -> Option<Self> {
        match &content.body {
            Body::Chat(Chat::Photo(photo)) => {
                Some(Self { photo: photo.clone(), media_type: attachment.media_type.clone() })
            }
            _ => None,
        }
    }

    /// An image is opened in memory, so that there is a limit to it.
    ///
    /// # Errors
    /// [`PhotoError`]
    pub(crate) fn check_length(length: u64) -> Result<(), PhotoError> {
        match length > IMAGE_LENGTH_MAX as u64 {
            true => Err(StripError::TooLarge { length: usize::try_from(length).unwrap_or(usize::MAX) }.into()),
            false => Ok(()),
        }
    }
}

/// What a transfer tells whoever drives it.
#[derive(Debug)]
pub(crate) enum Report {
    /// A part was read for the first time: its digest must be stored before any of its ciphertext leaves. The answer says
    /// whether the upload may go on.
    Part { blob_id: [u8; 32], part: u32, digest: [u8; 32], stored: oneshot::Sender<bool> },
    /// It has come so far.
    Progress(Progress),
}

/// What all transfers of a process share, so that together they stay in the bounds.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// Memory.
    pub(crate) buffers: PartBuffers,
    /// Pieces in flight.
    pub(crate) lanes: Arc<Semaphore>,
    /// Downloads at once ([`download`]): each waits for a second part while it has one, so that too many would wait for ever.
    pub(crate) downloads: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let of = |permits| Arc::new(Semaphore::new(permits));
        let (lanes, downloads) = (of(TRANSFER_PIECES_IN_FLIGHT_MAX), of(TRANSFERS_AT_ONCE_MAX));
        Self { buffers: PartBuffers::new(), lanes, downloads }
    }
}

/// Tells progress without ever waiting for the one who shows it: a lost report is made good by the next.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    reports: mpsc::Sender<Report>,
    progress: Progress,
}

impl Meter {
    pub(crate) const fn new(reports: mpsc::Sender<Report>, progress: Progress) -> Self {
        Self { reports, progress }
    }

    pub(crate) fn set(&mut self, done: u64) {
        self.progress.done = done;
        let _ = self.reports.try_send(Report::Progress(self.progress.clone()));
    }

    /// All is done: this report is not lost, however many wait before it.
    pub(crate) async fn finish(mut self) {
        self.progress.done = self.progress.total;
        // Whoever does not look any more needs no report.
        let _ = self.reports.send(Report::Progress(self.progress)).await;
    }

    pub(crate) fn add(&mut self, bytes: u64) {
        self.set(self.progress.done + bytes);
    }
}
