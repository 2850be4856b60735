//! Sealed copies: bodies that are too large for the store, and what is to be sent and is no file of the person's own.
//! `spec/storage-client.md`.
//!
//! A copy has the very bytes that the server has; its key is in the store. Its name is the blob's id where this device made
//! it, and the message's id here where it was fetched. It gets the name only when it is whole and on the disk.

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use medipeps_core::attachment::{
    AttachmentError, AttachmentKey, BlobReference, Layout, Opener, Sealer, part_digest, root,
};
use medipeps_core::limits::ATTACHMENT_PART_LENGTH;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::fail_point::fail_point;
use crate::shell::runtime::{MaybeSend, MaybeSync, blocking};

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
    /// There is no more room for it.
    #[error("there is no more room on this device for a sealed copy")]
    Full,
    /// The disk does not take it or give it.
    #[error("{}: {error}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What keeps the copies, and is no disk, does not take it or give it.
    #[error("the sealed copies cannot be used: {0}")]
    Medium(String),
}

/// How a copy stands once it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No message is known to have it: it was made, and its message is not in the store yet.
    Staged,
    /// It has its name.
    Adopted,
}

/// Where the sealed copies of an account are kept. Clones share it.
pub trait SealedCopies: Clone + Debug + MaybeSend + MaybeSync + 'static {
    /// A copy that is being written.
    type Writer: CopyWriter;
    /// A copy that is read.
    type Reader: CopyReader;

    /// Begins a copy. Before [`CopyWriter::finish`] there is nothing under its name.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    fn create(
        &self,
        name: &[u8],
        standing: Standing,
    ) -> impl Future<Output = Result<Self::Writer, SealedCopyError>> + MaybeSend;

    /// Gives a staged copy its name, now that its message is in the store. A crash before that is made good whenever the copy
    /// is looked for.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    fn adopt(&self, name: &[u8]) -> impl Future<Output = Result<(), SealedCopyError>> + MaybeSend;

    /// Opens a copy for reading, and adopts it if it is staged.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    fn open(&self, name: &[u8]) -> impl Future<Output = Result<Self::Reader, SealedCopyError>> + MaybeSend;

    /// Removes a copy that nothing needs any more. What cannot be removed takes room and does no other harm.
    fn remove(&self, name: &[u8]) -> impl Future<Output = ()> + MaybeSend;

    /// Removes what was left behind by others that died: copies that are not whole, and staged ones whose message never came into
    /// the store. `needed` are the blobs of pending uploads.
    fn sweep(&self, needed: Vec<[u8; 32]>) -> impl Future<Output = ()> + MaybeSend;
}

/// A copy that is being written. Dropped before its end, it is nothing.
pub trait CopyWriter: Debug + MaybeSend + 'static {
    /// Adds the next bytes, and gives them back.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    fn write<B: AsRef<[u8]> + MaybeSend + 'static>(
        &mut self,
        sealed: B,
    ) -> impl Future<Output = Result<B, SealedCopyError>> + MaybeSend;

    /// Everything is written: to the disk with it, and under its name.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    fn finish(self) -> impl Future<Output = Result<(), SealedCopyError>> + MaybeSend;
}

/// A copy that is read.
pub trait CopyReader: Debug + MaybeSend + 'static {
    /// The bytes of a range; fewer where the copy ends before it does.
    ///
    /// # Errors
    /// [`SealedCopyError`]
    fn read(&mut self, range: Range<u64>) -> impl Future<Output = Result<Vec<u8>, SealedCopyError>> + MaybeSend;
}

/// What is to be sealed, from its first byte on.
pub trait Plaintext {
    /// The next so many bytes, of a part's length at most.
    ///
    /// # Errors
    /// What the system says; where there are fewer, [`io::ErrorKind::UnexpectedEof`].
    fn next(&mut self, length: usize) -> impl Future<Output = io::Result<Zeroizing<Vec<u8>>>>;
}

/// A plaintext in memory.
#[derive(Debug)]
pub(crate) struct InMemory<'a>(pub(crate) &'a [u8]);

impl Plaintext for InMemory<'_> {
    async fn next(&mut self, length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let (next, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(Zeroizing::new(next.to_vec()))
    }
}

/// Seals a plaintext of so many bytes, part by part, and keeps the copy aside until it is adopted; gives the digests of its
/// parts.
///
/// # Errors
/// [`SealedCopyError`]
pub(crate) async fn stage<S: SealedCopies>(
    copies: &S,
    (blob_id, key): (&[u8; 32], &AttachmentKey),
    length: u64,
    plaintext: &mut impl Plaintext,
) -> Result<Vec<[u8; 32]>, SealedCopyError> {
    let sealer = Arc::new(Sealer::new(key, Layout::new(length)?));
    let mut writer = copies.create(blob_id, Standing::Staged).await?;
    let (mut digests, mut sealed, mut left) = (Vec::new(), Vec::new(), length);
    for part in 0..sealer.layout().parts() {
        let in_part = usize::try_from(left).unwrap_or(usize::MAX).min(ATTACHMENT_PART_LENGTH);
        let bytes = plaintext.next(in_part).await.map_err(SealedCopyError::Source)?;
        left -= in_part as u64;
        let (sealer, mut buffer) = (sealer.clone(), sealed);
        let (digest, buffer) = blocking(move || {
            sealer.seal_part(part, &bytes, &mut buffer)?;
            let digest = (!bytes.is_empty()).then(|| part_digest(&bytes));
            Ok::<_, SealedCopyError>((digest, buffer))
        })
        .await
        .unwrap_or_else(|_| Err(interrupted()))?;
        digests.extend(digest);
        sealed = writer.write(buffer).await?;
    }
    writer.finish().await?;
    fail_point!(AfterSealedCopy);
    Ok(digests)
}

/// Opens a copy whole and verifies it to the last byte.
///
/// # Errors
/// [`SealedCopyError`]
pub(crate) async fn open<S: SealedCopies>(
    copies: &S,
    name: &[u8],
    blob: &BlobReference,
) -> Result<Zeroizing<Vec<u8>>, SealedCopyError> {
    let opened = open_parts(copies, name, blob).await?;
    match root(blob.length, &opened.digests) == blob.root {
        true => Ok(opened.plaintext),
        false => Err(AttachmentError::Root.into()),
    }
}

/// The same for a copy that this device has sealed itself: its key sealed nothing else.
///
/// # Errors
/// [`SealedCopyError`]
pub(crate) async fn open_own<S: SealedCopies>(
    copies: &S,
    name: &[u8],
    blob: &BlobReference,
) -> Result<Zeroizing<Vec<u8>>, SealedCopyError> {
    Ok(open_parts(copies, name, blob).await?.plaintext)
}

/// A copy that was opened whole.
struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    /// Of its parts.
    digests: Vec<[u8; 32]>,
}

/// What is opened whole is a body, which is short: no other thread is asked for that.
async fn open_parts<S: SealedCopies>(copies: &S, name: &[u8], blob: &BlobReference) -> Result<Opened, SealedCopyError> {
    let layout = blob.layout()?;
    let mut copy = copies.open(name).await?;
    let opener = Opener::new(&blob.key, layout, copy.read(layout.tail()).await?)?;
    let (mut plaintext, mut digests) = (Zeroizing::new(Vec::new()), Vec::new());
    for part in 0..layout.plaintext_parts() {
        let mut bytes = Zeroizing::new(copy.read(layout.sealed_part(part)?).await?);
        opener.open_part(part, &mut bytes)?;
        digests.push(part_digest(&bytes));
        plaintext.extend_from_slice(&bytes);
    }
    Ok(Opened { plaintext, digests })
}

/// The thread that did it has died.
pub(crate) fn interrupted() -> SealedCopyError {
    SealedCopyError::Disk { path: PathBuf::new(), error: io::ErrorKind::Interrupted.into() }
}
