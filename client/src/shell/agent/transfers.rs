//! Uploads and fetches of bodies that run beside everything else. Tasks do the work; what they need from the store, and how
//! they end, is settled here, one event after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use medipeps_core::wire::client_records::{UploadRecord, UploadRole, UploadSource};
use rand_core::SeedableRng;
use tokio::sync::mpsc;

use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::account_store::HandleError;
use crate::engine::{Credentials, EngineError, Event, Input, LocalId, PendingUpload};
use crate::limits::{TRANSFER_PATIENCE, TRANSFERS_AT_ONCE_MAX};
use crate::shell::address::ServerAddress;
use crate::shell::connection::ServerTrust;
use crate::shell::runtime::{AbortHandle, Instant, JoinError, JoinSet, is_finished, timeout, timeout_at};
use crate::shell::transfer::body::{BodyEnd, fetch_body};
use crate::shell::transfer::pipeline::BlobServer;
use crate::shell::transfer::sealed_copy::SealedCopies;
use crate::shell::transfer::upload::{Upload, UploadEnd, delete, upload};
use crate::shell::transfer::{Direction, Meter, Progress, Report, Shared};

/// Reports that wait to be looked at; a transfer that needs an answer waits in line behind them.
const REPORTS_MAX: usize = 64;
/// What a person calls a body.
const BODY_NAME: &str = "message text";

/// Sees how far transfers have come.
#[cfg(not(target_arch = "wasm32"))]
pub type Watch = Box<dyn FnMut(&Progress) + Send>;

/// Sees how far transfers have come.
#[cfg(target_arch = "wasm32")]
pub type Watch = Box<dyn FnMut(&Progress)>;

/// What runs.
pub(super) struct Transfers {
    pub(super) shared: Shared,
    /// For downloads, which need this agent no longer once they have begun.
    pub(super) downloads: Shared,
    /// Another agent on the same store sends what is to be sent.
    leaves_uploads: bool,
    tasks: JoinSet<Ended>,
    uploads: BTreeMap<[u8; 32], AbortHandle>,
    bodies: BTreeMap<LocalId, AbortHandle>,
    sender: mpsc::Sender<Report>,
    receiver: mpsc::Receiver<Report>,
    /// When something last moved.
    progressed: Instant,
    pub(super) watch: Option<Watch>,
}

/// How a task ended.
#[derive(Debug)]
enum Ended {
    Upload {
        record: Box<UploadRecord>,
        end: UploadEnd,
    },
    Body {
        id: LocalId,
        end: BodyEnd,
    },
    /// A blob that nothing names was deleted, or could not be.
    Deletion,
}

/// Something to be settled.
#[derive(Debug)]
pub(super) struct Moved(Happened);

#[derive(Debug)]
enum Happened {
    Report(Report),
    Ended(Result<Ended, JoinError>),
}

impl Transfers {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(REPORTS_MAX);
        Self {
            shared: Shared::new(),
            downloads: Shared::new(),
            leaves_uploads: false,
            tasks: JoinSet::new(),
            uploads: BTreeMap::new(),
            bodies: BTreeMap::new(),
            sender,
            receiver,
            progressed: Instant::now(),
            watch: None,
        }
    }

    /// The next thing to be settled; waits for ever if nothing runs. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Moved {
        Moved(tokio::select! {
            // In this order: what a task has reported comes before its end.
            biased;
            Some(report) = self.receiver.recv() => Happened::Report(report),
            Some(ended) = self.tasks.join_next() => Happened::Ended(ended),
            else => std::future::pending().await,
        })
    }

    /// The next report of a transfer that is settled elsewhere.
    #[cfg(feature = "native")]
    pub(super) async fn next_report(&mut self) -> Option<Progress> {
        loop {
            if let Report::Progress(progress) = self.receiver.recv().await? {
                return Some(progress);
            }
        }
    }

    /// A report that waits already.
    #[cfg(feature = "native")]
    pub(super) fn ready_report(&mut self) -> Option<Progress> {
        match self.receiver.try_recv() {
            Ok(Report::Progress(progress)) => Some(progress),
            _ => None,
        }
    }

    /// Whether the body of a message is being fetched.
    pub(super) fn fetches_body(&self, id: &LocalId) -> bool {
        self.bodies.contains_key(id)
    }

    /// Whether nothing runs, or nothing has moved for so long that waiting is of no use now.
    pub(super) fn are_settled(&self) -> bool {
        self.tasks.is_empty() || self.progressed.elapsed() > TRANSFER_PATIENCE
    }

    /// Ends everything. What the server and the store have is what the next run goes on with.
    pub(super) fn stop(&mut self) {
        self.tasks.abort_all();
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        self.progressed = Instant::now();
        if let Some(watch) = &mut self.watch {
            watch(progress);
        }
    }
}

impl<P: Platform> AccountAgent<P> {
    /// Shows the progress of transfers from now on.
    pub fn watch_transfers(&mut self, watch: Watch) {
        self.transfers.watch = Some(watch);
    }

    /// Leaves uploads from now on to another agent on the same store, or no longer. Two would do no harm, and send everything
    /// twice.
    pub fn leave_uploads(&mut self, leave: bool) {
        self.transfers.leaves_uploads = leave;
    }

    /// Starts what is due and settles what happens, for so long or until a transfer ends. Gives back whether anything
    /// moved.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn transfer_for(&mut self, time: Duration, show: Show<'_>) -> Result<bool, AgentError> {
        let (begun, until) = (Instant::now(), Instant::now() + time);
        if !self.proof_answered
            && !self.transfers.leaves_uploads
            && !self.uploads()?.is_empty()
            && let Err(error) = self.become_proved(show).await
        {
            match error {
                AgentError::Network(error) => tracing::debug!(%error, "uploads wait for the proof of device"),
                error => return Err(error),
            }
        }
        self.start_due_transfers().await?;
        while let Ok(moved) = timeout_at(until, self.transfers.next()).await {
            if self.settle(moved, show).await? {
                break;
            }
        }
        Ok(self.transfers.progressed >= begun)
    }

    /// Starts what is due and does not run yet. No upload goes on before the server has answered the proof of device: an old
    /// copy of the store must not send a byte under its keys.
    pub(super) async fn start_due_transfers(&mut self) -> Result<(), AgentError> {
        let Some(credentials) = self.credentials()?.filter(|credentials| credentials.registered) else { return Ok(()) };
        let (at, was_idle) = (P::now().0, self.transfers.tasks.is_empty());
        for pending in self.store.uploads(P::now(), &mut self.rng)? {
            let running = self.transfers.uploads.contains_key(&pending.record.blob_id);
            if self.proof_answered
                && !self.transfers.leaves_uploads
                && self.transfers.uploads.len() < TRANSFERS_AT_ONCE_MAX
                && !running
                && pending.record.next_attempt <= at
            {
                self.start_upload(pending, &credentials).await?;
            }
        }
        for (id, record) in self.store.body_fetches(P::now(), &mut self.rng)? {
            if self.transfers.bodies.len() < TRANSFERS_AT_ONCE_MAX && record.next_attempt <= at {
                // What one message says about its body must not keep the others waiting.
                if let Err(error) = self.start_body(id, &credentials) {
                    tracing::warn!(%error, "the text of a message cannot be fetched");
                }
            }
        }
        if was_idle && !self.transfers.tasks.is_empty() {
            self.transfers.progressed = Instant::now();
        }
        Ok(())
    }

    async fn start_upload(&mut self, pending: PendingUpload, credentials: &Credentials) -> Result<(), AgentError> {
        let name = match pending.record.role {
            UploadRole::Body => BODY_NAME.to_owned(),
            UploadRole::Attachment(index) => {
                // Its message is there, or the engine says what is wrong once the upload has come to its end.
                let id = pending.record.content_id;
                let content = match self.outline(id) {
                    Ok(message) => Some(message.content),
                    Err(_) => self.store.group_upload(&id, P::now(), &mut self.rng)?.map(|message| message.content),
                };
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let attachment = content.as_ref().and_then(|content| content.attachments.get(index));
                attachment.map(|attachment| attachment.name.clone()).unwrap_or_default()
            }
        };
        let record = Box::new(pending.record.clone());
        P::handle(self, &Input::PayUpload { blob_id: record.blob_id }).await?;
        let payment = self.store.upload_payment(&record.blob_id, P::now(), &mut self.rng)?;
        let task = Upload {
            pending,
            payment,
            name,
            server: self.blob_server(credentials.address.domain(), credentials)?,
            copies: self.platform.copies().clone(),
            shared: self.transfers.shared.clone(),
            reports: self.transfers.sender.clone(),
        };
        let (id, mut rng) = (record.blob_id, ChaCha20Rng::from_rng(&mut self.rng));
        let handle = self.transfers.tasks.spawn(async move {
            let end = upload::<P::Carrier, P::Copies>(task, &mut rng).await;
            Ended::Upload { record, end }
        });
        self.transfers.uploads.insert(id, handle);
        Ok(())
    }

    /// Fetches the body of a message unless that is being done.
    pub(super) fn start_body(&mut self, id: LocalId, credentials: &Credentials) -> Result<(), AgentError> {
        if self.transfers.bodies.contains_key(&id) {
            return Ok(());
        }
        let detail = self.outline(id)?;
        let Some(blob) = detail.content.body_blob.clone() else { return Ok(()) };
        let server = self.blob_server(&blob.domain, credentials)?;
        let meter = self.meter(&blob.id, BODY_NAME, blob.layout().map_or(0, |layout| layout.sealed_length()));
        let (copies, shared) = (self.platform.copies().clone(), self.transfers.shared.clone());
        let mut rng = ChaCha20Rng::from_rng(&mut self.rng);
        let handle = self.transfers.tasks.spawn(async move {
            let end = fetch_body::<P::Carrier, P::Copies>(detail, server, copies, shared, meter, &mut rng).await;
            Ended::Body { id, end }
        });
        self.transfers.bodies.insert(id, handle);
        Ok(())
    }

    /// For a download.
    pub(super) fn meter(&self, blob_id: &[u8; 32], name: &str, total: u64) -> Meter {
        let progress =
            Progress { direction: Direction::Download, blob_id: *blob_id, name: name.to_owned(), done: 0, total };
        Meter::new(self.transfers.sender.clone(), progress)
    }

    /// Does what a transfer asks for, or what follows from its end. Gives back whether one ended.
    pub(super) async fn settle(&mut self, Moved(happened): Moved, show: Show<'_>) -> Result<bool, AgentError> {
        self.transfers.progressed = Instant::now();
        match happened {
            Happened::Report(Report::Progress(progress)) => {
                self.transfers.show(&progress);
                return Ok(false);
            }
            Happened::Report(Report::Part { blob_id, part, digest, stored }) => {
                let kept = match self.round(Input::UploadPart { blob_id, part, digest }, show).await {
                    Ok(_) => true,
                    // Another process was quicker: it has finished, or begun anew, or read something else.
                    Err(AgentError::Handle(HandleError::Engine(
                        EngineError::UnknownUpload | EngineError::PartChanged { .. } | EngineError::UploadPart { .. },
                    ))) => false,
                    Err(error) => return Err(error),
                };
                // A task that is gone needs no answer.
                let _ = stored.send(kept);
                return Ok(false);
            }
            Happened::Ended(Ok(Ended::Upload { record, end })) => self.upload_ended(*record, end, show).await?,
            Happened::Ended(Ok(Ended::Body { id, end })) => {
                self.transfers.bodies.remove(&id);
                let input = match end {
                    BodyEnd::Stored => Input::BodyStored { id },
                    BodyEnd::Postponed { code, retry_after } => Input::BodyPostponed { id, code, retry_after },
                    BodyEnd::Failed { code } => Input::BodyFailed { id, code },
                };
                self.round(input, show).await?;
            }
            Happened::Ended(Ok(Ended::Deletion)) => return Ok(false),
            Happened::Ended(Err(error)) => {
                tracing::debug!(%error, "a transfer was ended");
                self.transfers.uploads.retain(|_, task| !is_finished(task));
                self.transfers.bodies.retain(|_, task| !is_finished(task));
            }
        }
        self.start_due_transfers().await?;
        Ok(true)
    }

    async fn upload_ended(&mut self, record: UploadRecord, end: UploadEnd, show: Show<'_>) -> Result<(), AgentError> {
        let blob_id = record.blob_id;
        self.transfers.uploads.remove(&blob_id);
        let input = match end {
            UploadEnd::Done { expires } => Input::UploadDone { blob_id, expires },
            UploadEnd::Changed(now) => Input::UploadChanged { blob_id, length: now.length, modified: now.modified },
            UploadEnd::Postponed { code, retry_after } => Input::UploadPostponed { blob_id, code, retry_after },
            UploadEnd::Failed { code } => Input::UploadFailed { blob_id, code },
            UploadEnd::Gone => return Ok(()),
        };
        let (is_done, is_changed) =
            (matches!(input, Input::UploadDone { .. }), matches!(input, Input::UploadChanged { .. }));
        self.round(input, show).await?;
        if is_done {
            self.drop_copy(&record).await;
        } else if is_changed {
            self.delete_blob(record)?;
        }
        Ok(())
    }

    /// What was dropped is dropped everywhere.
    pub(super) async fn follow_documents(&mut self, event: &Event) -> Result<(), AgentError> {
        if let Event::UploadsDropped { uploads, .. } = event {
            for record in uploads {
                if let Some(task) = self.transfers.uploads.remove(&record.blob_id) {
                    task.abort();
                }
                self.drop_copy(record).await;
                self.delete_blob(record.clone())?;
            }
        }
        Ok(())
    }

    /// Removes sealed copies that processes which died have left.
    pub(super) async fn sweep_copies(&mut self) -> Result<(), AgentError> {
        let uploads = self.store.uploads(P::now(), &mut self.rng)?;
        self.platform.copies().sweep(uploads.iter().map(|upload| upload.record.blob_id).collect()).await;
        Ok(())
    }

    /// A copy of an attachment is needed until the server has it; that of a body is what a person reads.
    async fn drop_copy(&self, record: &UploadRecord) {
        if matches!((record.role, &record.source), (UploadRole::Attachment(_), UploadSource::SealedCopy)) {
            self.platform.copies().remove(&record.blob_id).await;
        }
    }

    /// Best effort: what is not deleted runs out by itself.
    fn delete_blob(&mut self, record: UploadRecord) -> Result<(), AgentError> {
        let Some(credentials) = self.credentials()? else { return Ok(()) };
        let server = self.blob_server(credentials.address.domain(), &credentials)?;
        let (shared, mut rng) = (self.transfers.shared.clone(), ChaCha20Rng::from_rng(&mut self.rng));
        self.transfers.tasks.spawn(async move {
            // Nobody waits for a server that is away.
            let _ = timeout(TRANSFER_PATIENCE, delete::<P::Carrier>(record, server, shared, &mut rng)).await;
            Ended::Deletion
        });
        Ok(())
    }

    /// The server that keeps the blobs of a domain.
    pub(super) fn blob_server(&mut self, domain: &str, credentials: &Credentials) -> Result<BlobServer, AgentError> {
        let (address, trust) = match domain == credentials.address.domain() {
            true => {
                let address: ServerAddress = credentials.server.parse().map_err(NetworkError::from)?;
                (address, ServerTrust::Pinned(credentials.server_key_hash))
            }
            false => self.blob_place(domain)?,
        };
        Ok(BlobServer { address, trust, domain: domain.to_owned() })
    }
}

impl std::fmt::Debug for Transfers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Transfers")
            .field("uploads", &self.uploads.len())
            .field("bodies", &self.bodies.len())
            .finish_non_exhaustive()
    }
}
