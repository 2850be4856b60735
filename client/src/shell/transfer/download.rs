//! A whole document for whoever has no file to write it to: part by part, and told at the end that it is the one.

use std::marker::PhantomData;

use chacha20::ChaCha20Rng;
use medipeps_core::attachment::{AttachmentError, BlobReference, part_digest, root};
use medipeps_core::kind::PhotoError;
use thiserror::Error;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::fetch::{Fetch, FetchError};
use super::pipeline::BlobServer;
use super::{Direction, ExpectedPhoto, Meter, Progress, Report, Shared};
use crate::limits::TRANSFER_PATIENCE;
use crate::shell::carrier::Carrier;
use crate::shell::runtime::{Instant, blocking, sleep, timeout};

/// Reports that wait to be looked at; one that is lost is made good by the next.
const REPORTS_MAX: usize = 8;

/// Why a document was not given.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// It cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It was sent as a photo and is none: above all, its sender has not taken out what it tells beside its pixels.
    #[error("the photo is refused: {0}")]
    Photo(#[from] PhotoError),
}

impl From<AttachmentError> for DownloadError {
    fn from(error: AttachmentError) -> Self {
        Self::Fetch(error.into())
    }
}

/// A document that can be fetched. It needs its account no longer.
#[derive(Debug)]
pub struct Download<C> {
    place: Place,
    carrier: PhantomData<fn() -> C>,
}

#[derive(Debug)]
enum Place {
    /// In its message, which was looked at when it was read.
    Inline(Vec<u8>),
    /// At a server.
    Blob(Box<AtServer>),
}

/// What it takes to fetch a document.
#[derive(Debug)]
pub(crate) struct AtServer {
    pub(crate) blob: BlobReference,
    /// What a person calls it.
    pub(crate) name: String,
    /// If it was sent as one.
    pub(crate) photo: Option<ExpectedPhoto>,
    pub(crate) server: BlobServer,
    pub(crate) shared: Shared,
    pub(crate) rng: ChaCha20Rng,
}

impl<C: Carrier> Download<C> {
    /// Of bytes that are here.
    pub(crate) const fn inline(bytes: Vec<u8>) -> Self {
        Self { place: Place::Inline(bytes), carrier: PhantomData }
    }

    /// Of a blob.
    pub(crate) fn at_server(place: AtServer) -> Self {
        Self { place: Place::Blob(Box::new(place)), carrier: PhantomData }
    }

    /// Fetches it. `take` gets its bytes in order, every part verified; `watch` sees how far it has come. Only after the end may
    /// anything be done with the bytes: then they are the document that the message names, whole.
    ///
    /// # Errors
    /// [`DownloadError`]; what `take` got must be thrown away.
    pub async fn run(
        self,
        mut take: impl AsyncFnMut(&[u8]),
        watch: impl FnMut(&Progress),
    ) -> Result<(), DownloadError> {
        match self.place {
            Place::Inline(bytes) => {
                take(&bytes).await;
                Ok(())
            }
            Place::Blob(place) if place.photo.is_some() => place.photo::<C>(&mut take, watch).await,
            Place::Blob(place) => place.fetch::<C>(&mut take, watch).await,
        }
    }
}

impl AtServer {
    /// A photo is looked at before anything of it is given. Whoever made this has seen that it is no longer than images may be.
    async fn photo<C: Carrier>(
        self,
        take: &mut impl AsyncFnMut(&[u8]),
        watch: impl FnMut(&Progress),
    ) -> Result<(), DownloadError> {
        let expected = self.photo.clone();
        let mut image = Zeroizing::new(Vec::new());
        self.fetch::<C>(&mut async |part: &[u8]| image.extend_from_slice(part), watch).await?;
        if let Some(expected) = expected {
            expected.photo.check(&expected.media_type, image.to_vec())?;
        }
        take(&image).await;
        Ok(())
    }

    async fn fetch<C: Carrier>(
        mut self,
        take: &mut impl AsyncFnMut(&[u8]),
        mut watch: impl FnMut(&Progress),
    ) -> Result<(), DownloadError> {
        // It is never closed; if it were, one more would do no harm.
        let _turn = self.shared.downloads.clone().acquire_owned().await.ok();
        let (sender, mut reports) = mpsc::channel(REPORTS_MAX);
        let total = self.blob.layout().map_or(0, |layout| layout.sealed_length());
        let progress =
            Progress { direction: Direction::Download, blob_id: self.blob.id, name: self.name, done: 0, total };
        let meter = Meter::new(sender, progress.clone());
        let opening = Fetch::<C>::open(&self.blob, self.server, self.shared, Some(meter), &mut self.rng);
        let mut fetch = timeout(TRANSFER_PATIENCE, opening).await.unwrap_or(Err(FetchError::Stalled))?;
        let mut digests = Vec::new();
        let mut moved = Instant::now();
        loop {
            let next = tokio::select! {
                biased;
                Some(report) = reports.recv() => {
                    moved = Instant::now();
                    if let Report::Progress(progress) = report {
                        watch(&progress);
                    }
                    continue;
                }
                next = fetch.next_part() => next?,
                () = sleep(TRANSFER_PATIENCE.saturating_sub(moved.elapsed())) => return Err(FetchError::Stalled.into()),
            };
            let Some((part, sealed)) = next else { break };
            let opener = fetch.opener();
            let opened = blocking(move || {
                let mut part_bytes = sealed;
                opener.open_part(part, &mut part_bytes)?;
                // There may be parts of nothing but padding.
                let digest = (!part_bytes.is_empty()).then(|| part_digest(&part_bytes));
                Ok::<_, AttachmentError>((part_bytes, digest))
            });
            let (plaintext, digest) = opened.await.unwrap_or(Err(AttachmentError::Range))?;
            if let Some(digest) = digest {
                digests.push(digest);
                take(&plaintext).await;
            }
            moved = Instant::now();
        }
        if root(self.blob.length, &digests) != self.blob.root {
            return Err(AttachmentError::Root.into());
        }
        watch(&Progress { done: total, ..progress });
        Ok(())
    }
}
