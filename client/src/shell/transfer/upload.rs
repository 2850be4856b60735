//! Sends one document to the account's own server.
//!
//! Every part is read again on every run, however much of it the server has: its digest must be the stored one, so that
//! what the recipient gets is one version of the file and never a mix. A part that is new has its digest stored before
//! any of its ciphertext leaves, so that the key never seals two plaintexts. The next part is read, hashed and sealed
//! while the pieces of the one before are on their way.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use medipeps_core::attachment::{AttachmentError, Layout, Opener, Sealer, part_digest};
use medipeps_core::limits::BLOB_PIECE_LENGTH;
use medipeps_core::wire::client_records::{UploadRecord, UploadSource};
use medipeps_core::wire::transport::{
    BeginBlob, BeginBlobReply, DeleteBlob, ErrorCode, ErrorReply, Payment, PutBlobPiece, Request, Response,
};
use rand_core::CryptoRng;
use tokio::sync::{mpsc, oneshot};

use super::buffer::PartBuffer;
use super::pipeline::{BlobServer, Pipeline, PipelineError, Ticket};
use super::sealed_copy::{CopyReader, SealedCopies, SealedCopyError};
use super::source::{FileStamp, SourceError, SourceFile};
use super::{Direction, Meter, Progress, Report, Shared};
use crate::engine::PendingUpload;
use crate::fail_point::fail_point;
use crate::limits::UPLOAD_FORGOTTEN_MAX;
use crate::shell::carrier::Carrier;
use crate::shell::runtime::{BoxFuture, blocking};

const PIECE: u64 = BLOB_PIECE_LENGTH as u64;

/// One upload, and all it needs.
#[derive(Debug)]
pub(crate) struct Upload<S> {
    pub(crate) pending: PendingUpload,
    /// What pays for the blob.
    pub(crate) payment: Payment,
    /// What a person calls it.
    pub(crate) name: String,
    pub(crate) server: BlobServer,
    pub(crate) copies: S,
    pub(crate) shared: Shared,
    pub(crate) reports: mpsc::Sender<Report>,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UploadEnd {
    /// Every piece is on the server's disk, which keeps it until `expires`.
    Done { expires: u64 },
    /// The file is not what it was; this is what it is now.
    Changed(FileStamp),
    /// It could not go on now.
    Postponed { code: String, retry_after: u64 },
    /// It never can.
    Failed { code: String },
    /// Somebody else has finished it, or it is no longer wanted.
    Gone,
}

/// Why an upload stops before its end.
enum Stop {
    End(UploadEnd),
    /// The server does not know the blob any more.
    Forgotten,
}

impl From<UploadEnd> for Stop {
    fn from(end: UploadEnd) -> Self {
        Self::End(end)
    }
}

/// Runs an upload for as long as the server can be reached sooner or later.
pub(crate) async fn upload<C: Carrier, S: SealedCopies>(upload: Upload<S>, rng: &mut impl CryptoRng) -> UploadEnd {
    let Upload { pending, payment, name, server, copies, shared, reports } = upload;
    let record = Arc::new(pending.record);
    let Ok(layout) = Layout::new(record.length) else { return failed("file_too_large") };
    let progress = Progress {
        direction: Direction::Upload,
        blob_id: record.blob_id,
        name,
        done: 0,
        total: layout.sealed_length(),
    };
    let reader = match Reader::open(record.clone(), layout, &copies).await {
        Ok(reader) => reader,
        Err(end) => return end,
    };
    let mut run = Run::<C, S::Reader> {
        record,
        payment,
        layout,
        digests: pending.digests,
        reader: Some(reader),
        pipeline: Pipeline::new(server, shared.lanes.clone(), rng),
        meter: Meter::new(reports.clone(), progress),
        shared,
        reports,
    };
    for _ in 0..UPLOAD_FORGOTTEN_MAX {
        match run.run().await {
            Ok(expires) => {
                run.meter.finish().await;
                return UploadEnd::Done { expires };
            }
            Err(Stop::End(end)) => return end,
            Err(Stop::Forgotten) => {}
        }
    }
    postponed(ErrorCode::UnknownBlob.name(), 0)
}

/// Deletes a blob that nothing will ever name. Only once: the server drops what is not finished by itself.
pub(crate) async fn delete<C: Carrier>(
    record: UploadRecord,
    server: BlobServer,
    shared: Shared,
    rng: &mut impl CryptoRng,
) {
    let mut pipeline = Pipeline::<Piece, C>::new(server, shared.lanes, rng);
    let request = Request::DeleteBlob(DeleteBlob { id: record.blob_id, upload_secret: record.upload_secret });
    let _ = pipeline.ask(&request).await;
}

struct Run<C, R> {
    record: Arc<UploadRecord>,
    payment: Payment,
    layout: Layout,
    digests: Vec<Option<[u8; 32]>>,
    /// Away while a part is prepared.
    reader: Option<Reader<R>>,
    pipeline: Pipeline<Piece, C>,
    meter: Meter,
    shared: Shared,
    reports: mpsc::Sender<Report>,
}

type Preparing<R> = BoxFuture<'static, (Option<Reader<R>>, Result<Prepared, UploadEnd>)>;

impl<C: Carrier, R: CopyReader> Run<C, R> {
    /// From the beginning of the file to its end. Returns when the blob runs out.
    async fn run(&mut self) -> Result<u64, Stop> {
        fail_point!(BeforeUploadBegin);
        let begun = self.begin().await?;
        self.meter
            .set((0..self.pieces()).filter(|piece| begun.is_stored(*piece)).map(|piece| self.length(piece)).sum());
        let (mut next, mut complete) = (0, false);
        let mut preparing: Option<Preparing<R>> = None;
        loop {
            if preparing.is_none() && next < self.layout.parts() {
                preparing = Some(self.prepare(next, &begun)?);
                next += 1;
            }
            // No more than one part is ready beside the one whose pieces are on their way.
            let hungry = self.pipeline.is_hungry();
            tokio::select! {
                prepared = async { match &mut preparing { Some(future) => future.await, None => std::future::pending().await } },
                    if preparing.is_some() && hungry =>
                {
                    preparing = None;
                    self.reader = prepared.0;
                    self.send(prepared.1?, &begun).await?;
                }
                answered = self.pipeline.next(), if !self.pipeline.is_empty() => {
                    complete |= self.answered(answered)?;
                }
                else => break,
            }
        }
        if !complete {
            // Everything was there before, or the answer to the last piece was lost.
            let now = self.begin().await?;
            if !(0..self.pieces()).all(|piece| now.is_stored(piece)) {
                return Err(Stop::Forgotten);
            }
        }
        self.reader.as_ref().map_or(Ok(()), Reader::check_unchanged)?;
        fail_point!(BeforeUploadDone);
        Ok(begun.expires)
    }

    async fn begin(&mut self) -> Result<BeginBlobReply, Stop> {
        let request = Request::BeginBlob(BeginBlob {
            id: self.record.blob_id,
            upload_secret: self.record.upload_secret,
            length: self.layout.sealed_length(),
            payment: self.payment.clone(),
        });
        match self.pipeline.ask(&request).await {
            Ok(Response::BeginBlob(reply)) => Ok(reply),
            Ok(_) => Err(postponed("Unexpected", 0).into()),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Reads and seals a part, on another thread where there is one, once there is memory for it.
    fn prepare(&mut self, part: u64, begun: &BeginBlobReply) -> Result<Preparing<R>, Stop> {
        let Some(reader) = self.reader.take() else { return Err(postponed("internal", 0).into()) };
        let wanted = self.pieces_of(part)?.any(|piece| !begun.is_stored(piece));
        let buffers = self.shared.buffers.clone();
        Ok(Box::pin(async move {
            let (plain, sealed) = (buffers.take().await, buffers.take().await);
            reader.prepare(part, (plain, sealed), wanted).await
        }))
    }

    /// Settles a part's digest, and only then puts its pieces in line.
    async fn send(&mut self, prepared: Prepared, begun: &BeginBlobReply) -> Result<(), Stop> {
        let Prepared { part, digest, sealed } = prepared;
        if let Some(digest) = digest {
            let known = usize::try_from(part).ok().and_then(|part| self.digests.get_mut(part));
            let known = known.ok_or_else(|| failed("file_too_large"))?;
            match known {
                Some(known) if *known != digest => {
                    let stamp = self.reader.as_ref().and_then(Reader::stamp);
                    return Err(stamp.map_or_else(|| failed("sealed_copy_damaged"), UploadEnd::Changed).into());
                }
                Some(_) => {}
                None => {
                    let (stored, is_stored) = oneshot::channel();
                    let (blob_id, number) = (self.record.blob_id, u32::try_from(part).unwrap_or(u32::MAX));
                    let report = Report::Part { blob_id, part: number, digest, stored };
                    let told = self.reports.send(report).await.is_ok();
                    if !told || is_stored.await != Ok(true) {
                        return Err(UploadEnd::Gone.into());
                    }
                    *known = Some(digest);
                    fail_point!(AfterPartDigest);
                }
            }
        }
        let Some(sealed) = sealed.map(Arc::new) else { return Ok(()) };
        let start = self.layout.sealed_part(part).map_err(|_| failed("file_too_large"))?.start;
        for index in self.pieces_of(part)?.filter(|piece| !begun.is_stored(*piece)) {
            let from = usize::try_from(u64::from(index) * PIECE - start).unwrap_or(usize::MAX);
            let range = from..sealed.len().min(from.saturating_add(BLOB_PIECE_LENGTH));
            self.pipeline.push(Piece { record: self.record.clone(), index, sealed: sealed.clone(), range });
        }
        Ok(())
    }

    /// Whether the server has all pieces now.
    fn answered(&mut self, answered: Result<Option<(Piece, Response)>, PipelineError>) -> Result<bool, Stop> {
        match answered {
            Ok(Some((piece, Response::PutBlobPiece(reply)))) => {
                self.meter.add(self.length(piece.index));
                fail_point!(AfterPiece);
                Ok(reply.complete)
            }
            Ok(Some(_)) => Err(postponed("Unexpected", 0).into()),
            Ok(None) => Ok(false),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn refused(&self, error: PipelineError) -> Stop {
        let reply = match error {
            PipelineError::Refused(reply) => reply,
            PipelineError::Connect(error) => {
                tracing::warn!(%error, "an upload cannot go on");
                return postponed("server_not_trusted", 0).into();
            }
            PipelineError::Answer(_) => return postponed("Unexpected", 0).into(),
        };
        match reply.known_code() {
            Some(ErrorCode::UnknownBlob) => Stop::Forgotten,
            Some(ErrorCode::TooLarge) => failed(ErrorCode::TooLarge.name()).into(),
            // The id is taken, or the server has other bytes: another blob is what helps.
            Some(ErrorCode::BlobMismatch) => {
                let stamp = self.reader.as_ref().and_then(Reader::stamp);
                stamp.map_or_else(|| failed(ErrorCode::BlobMismatch.name()), UploadEnd::Changed).into()
            }
            _ => postponed(&code_of(&reply), reply.retry_after).into(),
        }
    }

    fn pieces(&self) -> u32 {
        u32::try_from(self.layout.sealed_length().div_ceil(PIECE)).unwrap_or(u32::MAX)
    }

    fn length(&self, piece: u32) -> u64 {
        (self.layout.sealed_length() - u64::from(piece) * PIECE).min(PIECE)
    }

    /// A part begins where a piece does.
    fn pieces_of(&self, part: u64) -> Result<Range<u32>, Stop> {
        let Range { start, end } = self.layout.sealed_part(part).map_err(|_| failed("file_too_large"))?;
        let number = |offset: u64| u32::try_from(offset).unwrap_or(u32::MAX);
        Ok(number(start / PIECE)..number(end.div_ceil(PIECE)))
    }
}

/// One piece of a part that is sealed in memory.
#[derive(Debug)]
struct Piece {
    record: Arc<UploadRecord>,
    index: u32,
    sealed: Arc<PartBuffer>,
    range: Range<usize>,
}

impl Ticket for Piece {
    fn request(&self) -> Request {
        fail_point!(BeforePiece);
        Request::PutBlobPiece(PutBlobPiece {
            id: self.record.blob_id,
            upload_secret: self.record.upload_secret,
            index: self.index,
            data: self.sealed[self.range.clone()].to_vec(),
        })
    }
}

/// A part that was read.
struct Prepared {
    part: u64,
    /// None for a part of nothing but padding.
    digest: Option<[u8; 32]>,
    /// None if the server has all of it.
    sealed: Option<PartBuffer>,
}

/// Where the parts come from.
enum Reader<R> {
    File {
        file: SourceFile,
        sealer: Sealer,
    },
    /// It was sealed before; here it is opened as well, so that what the disk has spoilt is not sent.
    Copy {
        copy: R,
        opener: Arc<Opener>,
    },
}

impl<R: CopyReader> Reader<R> {
    async fn open(
        record: Arc<UploadRecord>,
        layout: Layout,
        copies: &impl SealedCopies<Reader = R>,
    ) -> Result<Self, UploadEnd> {
        if let UploadSource::File { path, modified } = &record.source {
            let path = path_of(path);
            let stamp = FileStamp { length: record.length, modified: *modified };
            let opened = blocking(move || SourceFile::open(&path, stamp)).await;
            let file = opened.map_err(|_| postponed("internal", 0))??;
            return Ok(Self::File { file, sealer: Sealer::new(&record.key, layout) });
        }
        let mut copy = copies.open(&record.blob_id).await?;
        let tail = copy.read(layout.tail()).await?;
        Ok(Self::Copy { copy, opener: Arc::new(Opener::new(&record.key, layout, tail)?) })
    }

    /// Reads a part, and seals it if it is wanted. Comes back unless the thread has died that did it.
    async fn prepare(
        self,
        part: u64,
        (mut plain, mut sealed): (PartBuffer, PartBuffer),
        wanted: bool,
    ) -> (Option<Self>, Result<Prepared, UploadEnd>) {
        match self {
            Self::File { mut file, sealer } => {
                let work = blocking(move || {
                    let prepared = prepare_file(&mut file, &sealer, part, (plain, sealed), wanted);
                    (Some(Self::File { file, sealer }), prepared)
                });
                work.await.unwrap_or_else(|_| (None, Err(postponed("internal", 0))))
            }
            Self::Copy { mut copy, opener } => {
                let read = match opener.layout().sealed_part(part) {
                    Ok(range) => copy.read(range).await,
                    Err(error) => Err(error.into()),
                };
                let prepared = match read {
                    Ok(bytes) => {
                        let opener = opener.clone();
                        let work = blocking(move || {
                            sealed.clear();
                            sealed.extend_from_slice(&bytes);
                            plain.clear();
                            plain.extend_from_slice(&bytes);
                            opener.open_part(part, &mut plain)?;
                            Ok(prepared(part, &plain, sealed, wanted))
                        });
                        work.await.unwrap_or_else(|_| Err(postponed("internal", 0)))
                    }
                    Err(error) => Err(error.into()),
                };
                (Some(Self::Copy { copy, opener }), prepared)
            }
        }
    }

    fn check_unchanged(&self) -> Result<(), UploadEnd> {
        match self {
            Self::File { file, .. } => Ok(file.check_unchanged()?),
            Self::Copy { .. } => Ok(()),
        }
    }

    /// What the file is now, to begin anew with.
    fn stamp(&self) -> Option<FileStamp> {
        match self {
            Self::File { file, .. } => Some(match file.check_unchanged() {
                Err(SourceError::Changed { now, .. }) => now,
                _ => file.stamp(),
            }),
            Self::Copy { .. } => None,
        }
    }
}

fn prepare_file(
    file: &mut SourceFile,
    sealer: &Sealer,
    part: u64,
    (mut plain, mut sealed): (PartBuffer, PartBuffer),
    wanted: bool,
) -> Result<Prepared, UploadEnd> {
    file.read(&sealer.layout().part(part)?, &mut plain)?;
    if wanted {
        sealer.seal_part(part, &plain, &mut sealed)?;
    }
    Ok(prepared(part, &plain, sealed, wanted))
}

fn prepared(part: u64, plain: &[u8], sealed: PartBuffer, wanted: bool) -> Prepared {
    let digest = (!plain.is_empty()).then(|| part_digest(plain));
    Prepared { part, digest, sealed: wanted.then_some(sealed) }
}

impl From<SourceError> for UploadEnd {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Missing(_) => failed("file_missing"),
            SourceError::NotAFile(_) | SourceError::Unreadable { .. } => failed("file_unreadable"),
            SourceError::Changed { now, .. } => Self::Changed(now),
        }
    }
}

impl From<SealedCopyError> for UploadEnd {
    fn from(error: SealedCopyError) -> Self {
        failed(match error {
            SealedCopyError::Missing => "sealed_copy_missing",
            SealedCopyError::Damaged(_) => "sealed_copy_damaged",
            SealedCopyError::Disk { .. }
            | SealedCopyError::Medium(_)
            | SealedCopyError::Full
            | SealedCopyError::Source(_) => return postponed("disk", 0),
        })
    }
}

/// Of a copy: what is on the disk is not what was sealed. Of a file: it is not as long as it was, which reading notices first.
impl From<AttachmentError> for UploadEnd {
    fn from(_: AttachmentError) -> Self {
        failed("sealed_copy_damaged")
    }
}

fn failed(code: &str) -> UploadEnd {
    UploadEnd::Failed { code: code.to_owned() }
}

fn postponed(code: &str, retry_after: u64) -> UploadEnd {
    UploadEnd::Postponed { code: code.to_owned(), retry_after }
}

/// The name of a code as `spec/errors.md` has it, or its number.
pub(crate) fn code_of(reply: &ErrorReply) -> String {
    reply.known_code().map_or_else(|| reply.code.to_string(), |code| code.name().to_owned())
}

/// A path as the system had it when it was stored.
fn path_of(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
    #[cfg(not(unix))]
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
