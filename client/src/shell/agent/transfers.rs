//! Uploads and fetches of bodies that run beside everything else. Tasks do the work; what they need from the store, and how
//! they end, is settled here, one event after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use medipeps_core::wire::client_records::{UploadRecord, UploadRole, UploadSource};
use rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::{Agent, AgentError, NetworkError, Show, now};
use crate::account_store::HandleError;
use crate::engine::{Credentials, EngineError, Event, Input, LocalId, PendingUpload};
use crate::limits::{TRANSFER_PATIENCE, TRANSFERS_AT_ONCE_MAX};
use crate::shell::address::ServerAddress;
use crate::shell::connection::ServerTrust;
use crate::shell::transfer::body::{BodyEnd, fetch_body};
use crate::shell::transfer::pipeline::BlobServer;
use crate::shell::transfer::upload::{Upload, UploadEnd, delete, upload};
use crate::shell::transfer::{Direction, Meter, Progress, Report, Shared};

/// Reports that wait to be looked at; a transfer that needs an answer waits in line behind them.
const REPORTS_MAX: usize = 64;
/// What a person calls a body.
const BODY_NAME: &str = "message text";

/// Sees how far transfers have come.
pub type Watch = Box<dyn FnMut(&Progress) + Send>;

/// What runs.
pub(super) struct Transfers {
    pub(super) shared: Shared,
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
pub(super) struct Step(Happened);

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
    pub(super) async fn next(&mut self) -> Step {
        Step(tokio::select! {
            // In this order: what a task has reported comes before its end.
            biased;
            Some(report) = self.receiver.recv() => Happened::Report(report),
            Some(ended) = self.tasks.join_next() => Happened::Ended(ended),
            else => std::future::pending().await,
        })
    }

    /// The next report of a transfer that is settled elsewhere.
    pub(super) async fn next_report(&mut self) -> Option<Progress> {
        loop {
            if let Report::Progress(progress) = self.receiver.recv().await? {
                return Some(progress);
            }
        }
    }

    /// A report that waits already.
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

impl Agent {
    /// Shows the progress of transfers from now on.
    pub fn watch_transfers(&mut self, watch: Watch) {
        self.platform.transfers.watch = Some(watch);
    }

    /// Starts what is due and settles what happens, for so long or until a transfer ends. Gives back whether anything
    /// moved.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn transfer_for(&mut self, time: Duration, show: Show<'_>) -> Result<bool, AgentError> {
        let (begun, until) = (Instant::now(), Instant::now() + time);
        if !self.proof_answered
            && !self.uploads()?.is_empty()
            && let Err(error) = self.become_proved(show).await
        {
            match error {
                AgentError::Network(error) => tracing::debug!(%error, "uploads wait for the proof of device"),
                error => return Err(error),
            }
        }
        self.start_due_transfers()?;
        while let Ok(step) = timeout_at(until, self.platform.transfers.next()).await {
            if self.settle(step, show).await? {
                break;
            }
        }
        Ok(self.platform.transfers.progressed >= begun)
    }

    /// Starts what is due and does not run yet. No upload goes on before the server has answered the proof of device: an old
    /// copy of the store must not send a byte under its keys.
    pub(super) fn start_due_transfers(&mut self) -> Result<(), AgentError> {
        let Some(credentials) = self.credentials()?.filter(|credentials| credentials.registered) else { return Ok(()) };
        let (at, was_idle) = (now().0, self.platform.transfers.tasks.is_empty());
        for pending in self.store.uploads(now(), &mut self.rng)? {
            let running = self.platform.transfers.uploads.contains_key(&pending.record.blob_id);
            if self.proof_answered
                && self.platform.transfers.uploads.len() < TRANSFERS_AT_ONCE_MAX
                && !running
                && pending.record.next_attempt <= at
            {
                self.start_upload(pending, &credentials)?;
            }
        }
        for (id, record) in self.store.body_fetches(now(), &mut self.rng)? {
            if self.platform.transfers.bodies.len() < TRANSFERS_AT_ONCE_MAX && record.next_attempt <= at {
                // What one message says about its body must not keep the others waiting.
                if let Err(error) = self.start_body(id, &credentials) {
                    tracing::warn!(%error, "the text of a message cannot be fetched");
                }
            }
        }
        if was_idle && !self.platform.transfers.tasks.is_empty() {
            self.platform.transfers.progressed = Instant::now();
        }
        Ok(())
    }

    fn start_upload(&mut self, pending: PendingUpload, credentials: &Credentials) -> Result<(), AgentError> {
        let name = match pending.record.role {
            UploadRole::Body => BODY_NAME.to_owned(),
            UploadRole::Attachment(index) => {
                // Its message is there, or the engine says what is wrong once the upload has come to its end.
                let id = pending.record.content_id;
                let content = match self.outline(id) {
                    Ok(message) => Some(message.content),
                    Err(_) => self.store.group_upload(&id, now(), &mut self.rng)?.map(|message| message.content),
                };
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let attachment = content.as_ref().and_then(|content| content.attachments.get(index));
                attachment.map(|attachment| attachment.name.clone()).unwrap_or_default()
            }
        };
        let record = Box::new(pending.record.clone());
        self.handle(&Input::PayUpload { blob_id: record.blob_id })?;
        let payment = self.store.upload_payment(&record.blob_id, now(), &mut self.rng)?;
        let task = Upload {
            pending,
            payment,
            name,
            server: self.blob_server(credentials.address.domain(), credentials)?,
            copies: self.platform.copies.clone(),
            shared: self.platform.transfers.shared.clone(),
            reports: self.platform.transfers.sender.clone(),
        };
        let (id, mut rng) = (record.blob_id, ChaCha20Rng::from_rng(&mut self.rng));
        let handle = self
            .platform
            .transfers
            .tasks
            .spawn(async move { Ended::Upload { record, end: upload(task, &mut rng).await } });
        self.platform.transfers.uploads.insert(id, handle);
        Ok(())
    }

    /// Fetches the body of a message unless that is being done.
    pub(super) fn start_body(&mut self, id: LocalId, credentials: &Credentials) -> Result<(), AgentError> {
        if self.platform.transfers.bodies.contains_key(&id) {
            return Ok(());
        }
        let detail = self.outline(id)?;
        let Some(blob) = detail.content.body_blob.clone() else { return Ok(()) };
        let server = self.blob_server(&blob.domain, credentials)?;
        let meter = self.meter(&blob.id, BODY_NAME, blob.layout().map_or(0, |layout| layout.sealed_length()));
        let (copies, shared) = (self.platform.copies.clone(), self.platform.transfers.shared.clone());
        let mut rng = ChaCha20Rng::from_rng(&mut self.rng);
        let handle = self.platform.transfers.tasks.spawn(async move {
            let end = fetch_body(detail, server, copies, shared, meter, &mut rng).await;
            Ended::Body { id, end }
        });
        self.platform.transfers.bodies.insert(id, handle);
        Ok(())
    }

    /// For a download.
    pub(super) fn meter(&self, blob_id: &[u8; 32], name: &str, total: u64) -> Meter {
        let progress =
            Progress { direction: Direction::Download, blob_id: *blob_id, name: name.to_owned(), done: 0, total };
        Meter::new(self.platform.transfers.sender.clone(), progress)
    }

    /// Does what a transfer asks for, or what follows from its end. Gives back whether one ended.
    pub(super) async fn settle(&mut self, Step(happened): Step, show: Show<'_>) -> Result<bool, AgentError> {
        self.platform.transfers.progressed = Instant::now();
        match happened {
            Happened::Report(Report::Progress(progress)) => {
                self.platform.transfers.show(&progress);
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
                self.platform.transfers.bodies.remove(&id);
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
                self.platform.transfers.uploads.retain(|_, task| !task.is_finished());
                self.platform.transfers.bodies.retain(|_, task| !task.is_finished());
            }
        }
        self.start_due_transfers()?;
        Ok(true)
    }

    async fn upload_ended(&mut self, record: UploadRecord, end: UploadEnd, show: Show<'_>) -> Result<(), AgentError> {
        let blob_id = record.blob_id;
        self.platform.transfers.uploads.remove(&blob_id);
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
            self.drop_copy(&record);
        } else if is_changed {
            self.delete_blob(record)?;
        }
        Ok(())
    }

    /// What was dropped is dropped everywhere.
    pub(super) fn follow_documents(&mut self, event: &Event) -> Result<(), AgentError> {
        if let Event::UploadsDropped { uploads, .. } = event {
            for record in uploads {
                if let Some(task) = self.platform.transfers.uploads.remove(&record.blob_id) {
                    task.abort();
                }
                self.drop_copy(record);
                self.delete_blob(record.clone())?;
            }
        }
        Ok(())
    }

    /// Removes sealed copies that processes which died have left.
    pub(super) fn sweep_copies(&mut self) -> Result<(), AgentError> {
        let uploads = self.store.uploads(now(), &mut self.rng)?;
        self.platform.copies.sweep(|blob_id| uploads.iter().any(|upload| upload.record.blob_id == *blob_id));
        Ok(())
    }

    /// A copy of an attachment is needed until the server has it; that of a body is what a person reads.
    fn drop_copy(&self, record: &UploadRecord) {
        if matches!((record.role, &record.source), (UploadRole::Attachment(_), UploadSource::SealedCopy)) {
            self.platform.copies.remove(&record.blob_id);
        }
    }

    /// Best effort: what is not deleted runs out by itself.
    fn delete_blob(&mut self, record: UploadRecord) -> Result<(), AgentError> {
        let Some(credentials) = self.credentials()? else { return Ok(()) };
        let server = self.blob_server(credentials.address.domain(), &credentials)?;
        let (shared, mut rng) = (self.platform.transfers.shared.clone(), ChaCha20Rng::from_rng(&mut self.rng));
        self.platform.transfers.tasks.spawn(async move {
            // Nobody waits for a server that is away.
            let _ = tokio::time::timeout(TRANSFER_PATIENCE, delete(record, server, shared, &mut rng)).await;
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
