//! Fetches one document from its sender's server: the end first, then parts in order, or any range.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use medipeps_core::attachment::{AttachmentError, BlobReference, Layout, Opener};
use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, FetchBlob, FetchBlobReply, Request, Response};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::buffer::PartBuffer;
use super::pipeline::{BlobServer, Pipeline, PipelineError, Ticket};
use super::upload::code_of;
use super::{Meter, Shared};
use crate::fail_point::fail_point;
use crate::shell::carrier::Carrier;
use crate::shell::connection::ConnectError;

const PIECE: u64 = BLOB_PIECE_LENGTH as u64;
/// Parts that are on their way at once: one that comes in and one behind it.
const PARTS_AHEAD: usize = 2;

/// Why a document cannot be fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The server does not have it any more.
    #[error("the server no longer has it")]
    Gone,
    /// The server has something else: cut, longer, altered, or of another message.
    #[error("what the server has is not what was sent: {0}")]
    NotTheSame(#[from] AttachmentError),
    /// The server says no.
    #[error("the server refused: {} (code {})", .0.message, .0.code)]
    Refused(ErrorReply),
    /// It is not the right server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server answers what was not asked.
    #[error("the server's answer cannot be used: {0}")]
    Answer(String),
    /// Nothing has come for a while: the server is away, or the network. What is there is kept.
    #[error("nothing more comes from the server; what is there is kept, and the same command goes on with it")]
    Stalled,
}

impl FetchError {
    /// A code for records and programs, and whether trying again is of no use.
    #[must_use]
    pub fn code(&self) -> (String, bool) {
        match self {
            Self::Gone => (ErrorCode::UnknownBlob.name().to_owned(), true),
            Self::NotTheSame(_) => ("altered".to_owned(), true),
            Self::Refused(reply) => (code_of(reply), false),
            Self::Connect(_) => ("server_not_trusted".to_owned(), false),
            Self::Answer(_) => ("Unexpected".to_owned(), false),
            Self::Stalled => ("stalled".to_owned(), false),
        }
    }
}

impl From<PipelineError> for FetchError {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Refused(reply) if reply.known_code() == Some(ErrorCode::UnknownBlob) => Self::Gone,
            PipelineError::Refused(reply) => Self::Refused(reply),
            PipelineError::Connect(error) => Self::Connect(error),
            PipelineError::Answer(what) => Self::Answer(what),
        }
    }
}

/// A document whose end has been seen: from here on every byte that comes is verified.
#[derive(Debug)]
pub(crate) struct Fetch<C> {
    id: [u8; 32],
    layout: Layout,
    opener: Arc<Opener>,
    pipeline: Pipeline<Wanted, C>,
    shared: Shared,
    meter: Option<Meter>,
    /// Parts on their way, in order.
    coming: VecDeque<Coming>,
    next_part: u64,
}

/// A part whose pieces come in.
#[derive(Debug)]
struct Coming {
    part: u64,
    sealed: Range<u64>,
    buffer: PartBuffer,
    missing: u64,
}

impl<C: Carrier> Fetch<C> {
    /// Fetches and verifies the end. Waits for as long as it takes to reach the server.
    ///
    /// # Errors
    /// [`FetchError`]
    pub(crate) async fn open(
        blob: &BlobReference,
        server: BlobServer,
        shared: Shared,
        meter: Option<Meter>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, FetchError> {
        fail_point!(BeforeFetch);
        let layout = blob.layout()?;
        let mut pipeline = Pipeline::new(server, shared.lanes.clone(), rng);
        let tail = whole_range(&mut pipeline, blob.id, layout, &layout.tail()).await?;
        let opener = Arc::new(Opener::new(&blob.key, layout, tail)?);
        let coming = VecDeque::new();
        Ok(Self { id: blob.id, layout, opener, pipeline, shared, meter, coming, next_part: 0 })
    }

    pub(crate) fn opener(&self) -> Arc<Opener> {
        self.opener.clone()
    }

    /// The bytes of a range of the plaintext, of a part's length at most.
    ///
    /// # Errors
    /// [`FetchError`]; of a range that is empty or not inside the document too.
    pub(crate) async fn range(&mut self, range: &Range<u64>) -> Result<Zeroizing<Vec<u8>>, FetchError> {
        let sealed = self.layout.sealed_range(range)?;
        let mut bytes = Zeroizing::new(whole_range(&mut self.pipeline, self.id, self.layout, &sealed).await?);
        self.opener.open_range(range, &mut bytes)?;
        Ok(bytes)
    }

    /// Where [`Self::next_part`] begins: what is before is on the disk already.
    #[cfg(feature = "native")]
    pub(crate) fn begin_at(&mut self, part: u64) -> Result<(), FetchError> {
        self.coming.clear();
        self.next_part = part;
        let done = if part >= self.layout.parts() {
            self.layout.sealed_length()
        } else {
            self.layout.sealed_part(part)?.start
        };
        if let Some(meter) = &mut self.meter {
            meter.set(done);
        }
        Ok(())
    }

    /// The sealed bytes of the next part, whole; `None` after the last. Padding is fetched too: a server that saw which
    /// pieces nobody wants would know the length that the padding hides.
    ///
    /// # Errors
    /// [`FetchError`]
    pub(crate) async fn next_part(&mut self) -> Result<Option<(u64, PartBuffer)>, FetchError> {
        loop {
            if let Some(first) = self.coming.front()
                && first.missing == 0
                && let Some(whole) = self.coming.pop_front()
            {
                return Ok(Some((whole.part, whole.buffer)));
            }
            while self.coming.len() < PARTS_AHEAD && self.next_part < self.layout.parts() {
                self.want_next().await?;
            }
            match self.pipeline.next().await? {
                None => return Ok(None),
                Some((wanted, response)) => {
                    let data = data_of(&wanted, response, self.layout)?;
                    self.place(&wanted, &data)?;
                }
            }
        }
    }

    async fn want_next(&mut self) -> Result<(), FetchError> {
        let sealed = self.layout.sealed_part(self.next_part)?;
        let mut buffer = self.shared.buffers.take().await;
        let length = usize::try_from(sealed.end - sealed.start).map_err(|_| AttachmentError::Range)?;
        buffer.clear();
        buffer.resize(length, 0);
        let mut missing = 0;
        for wanted in pieces(self.id, &sealed) {
            missing += 1;
            self.pipeline.push(wanted);
        }
        self.coming.push_back(Coming { part: self.next_part, sealed, buffer, missing });
        self.next_part += 1;
        Ok(())
    }

    fn place(&mut self, wanted: &Wanted, data: &[u8]) -> Result<(), FetchError> {
        let coming = self.coming.iter_mut().find(|coming| coming.sealed.contains(&wanted.offset));
        let coming = coming.ok_or(AttachmentError::Range)?;
        let from = usize::try_from(wanted.offset - coming.sealed.start).map_err(|_| AttachmentError::Range)?;
        let place = coming.buffer.get_mut(from..from + data.len()).ok_or(AttachmentError::Range)?;
        place.copy_from_slice(data);
        coming.missing -= 1;
        if let Some(meter) = &mut self.meter {
            meter.add(data.len() as u64);
        }
        Ok(())
    }
}

/// Bytes of a blob that were asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    id: [u8; 32],
    offset: u64,
    length: u32,
}

impl Ticket for Wanted {
    fn request(&self) -> Request {
        Request::FetchBlob(FetchBlob { id: self.id, offset: self.offset, length: self.length })
    }
}

/// The requests for a range of the blob.
fn pieces(id: [u8; 32], range: &Range<u64>) -> impl Iterator<Item = Wanted> + use<> {
    let Range { start, end } = *range;
    let offsets = (0..(end - start).div_ceil(PIECE)).map(move |number| start + number * PIECE);
    // A piece has half a megabyte.
    offsets.map(move |offset| Wanted { id, offset, length: u32::try_from((end - offset).min(PIECE)).unwrap_or(1) })
}

/// A range of the sealed bytes, in memory.
async fn whole_range<C: Carrier>(
    pipeline: &mut Pipeline<Wanted, C>,
    id: [u8; 32],
    layout: Layout,
    range: &Range<u64>,
) -> Result<Vec<u8>, FetchError> {
    pieces(id, range).for_each(|wanted| pipeline.push(wanted));
    let mut found = BTreeMap::new();
    while let Some((wanted, response)) = pipeline.next().await? {
        found.insert(wanted.offset, data_of(&wanted, response, layout)?);
    }
    Ok(found.into_values().flatten().collect())
}

/// The bytes that were asked for, all of them, out of a blob that is as long as it should be.
fn data_of(wanted: &Wanted, response: Response, layout: Layout) -> Result<Vec<u8>, FetchError> {
    let Response::FetchBlob(FetchBlobReply { data, blob_length }) = response else {
        return Err(FetchError::Answer("it is one to something else".to_owned()));
    };
    if blob_length != layout.sealed_length() {
        return Err(AttachmentError::Commitment.into());
    }
    if data.len() as u64 != u64::from(wanted.length) {
        return Err(FetchError::Answer("it has another length than was asked for".to_owned()));
    }
    Ok(data)
}
