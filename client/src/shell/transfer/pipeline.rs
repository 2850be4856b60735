//! Requests about one blob: several in flight, over a connection that is made anew where it is lost.
//!
//! Every such request may be repeated, so the answer to a lost connection is always the same: connect, and send again what
//! has no answer. How many are in flight follows what the network carries: it grows with answers and halves with a failure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request, Response};
use rand_core::{CryptoRng, SeedableRng};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{BLOB_REQUEST_WAIT, RECONNECT_WAIT_MAX, SERVER_SILENCE_MAX, TRANSFER_PIECES_IN_FLIGHT_MAX};
use crate::shell::address::ServerAddress;
use crate::shell::backoff::Backoff;
use crate::shell::carrier::Carrier;
use crate::shell::connection::{ConnectError, RequestError, ServerConnection, ServerExpectation, ServerTrust};
use crate::shell::runtime::{Instant, JoinSet, MaybeSend, sleep_until, timeout};

/// Failures of the server itself in a row that are taken for passing ones.
const INTERNAL_ERRORS_MAX: u32 = 3;

/// The server that has a blob.
#[derive(Debug, Clone)]
pub(crate) struct BlobServer {
    pub(crate) address: ServerAddress,
    pub(crate) trust: ServerTrust,
    pub(crate) domain: String,
}

/// Why asking again soon is of no use.
#[derive(Debug, Error)]
pub(crate) enum PipelineError {
    /// It is not the right server, or none of this protocol.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server says no.
    #[error("the server refused: {} (code {})", .0.message, .0.code)]
    Refused(ErrorReply),
    /// The server answers what was not asked.
    #[error("the server's answer cannot be used: {0}")]
    Answer(String),
}

/// What a request can be made of, again if need be.
pub(crate) trait Ticket: MaybeSend + 'static {
    fn request(&self) -> Request;
}

/// Requests about one blob, and the connection that they go over.
#[derive(Debug)]
pub(crate) struct Pipeline<T, C> {
    server: BlobServer,
    connection: Option<ServerConnection<C>>,
    backoff: Backoff,
    rng: ChaCha20Rng,
    lanes: Arc<Semaphore>,
    /// Requests that may be in flight now.
    window: usize,
    waiting: VecDeque<T>,
    flights: JoinSet<Flight<T, C>>,
    /// Nothing is sent before this: the server has asked for a pause, or could not be reached.
    paused_until: Instant,
    /// Datagrams of the connection when its silence was last looked at.
    heard: u64,
    /// Times that the server has failed since it last answered.
    internal_errors: u32,
}

/// A request that came to an end.
#[derive(Debug)]
struct Flight<T, C> {
    ticket: T,
    connection: ServerConnection<C>,
    answer: Result<Response, RequestError>,
}

impl<T: Ticket, C: Carrier> Pipeline<T, C> {
    pub(crate) fn new(server: BlobServer, lanes: Arc<Semaphore>, rng: &mut impl CryptoRng) -> Self {
        Self {
            server,
            connection: None,
            backoff: Backoff::new(),
            rng: ChaCha20Rng::from_rng(rng),
            lanes,
            window: 2,
            waiting: VecDeque::new(),
            flights: JoinSet::new(),
            paused_until: Instant::now(),
            heard: 0,
            internal_errors: 0,
        }
    }

    /// Puts a request in line.
    pub(crate) fn push(&mut self, ticket: T) {
        self.waiting.push_back(ticket);
    }

    /// Whether everything in line has been sent.
    pub(crate) fn is_hungry(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether everything has been answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flights.is_empty()
    }

    /// The next answer, in whatever order they come; `None` if nothing is in line or in flight. Waits for as long as it
    /// takes to reach the server. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`PipelineError`]
    pub(crate) async fn next(&mut self) -> Result<Option<(T, Response)>, PipelineError> {
        loop {
            self.launch().await?;
            if self.flights.is_empty() {
                if self.waiting.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            match timeout(SERVER_SILENCE_MAX, self.flights.join_next()).await {
                Ok(Some(Ok(flight))) => {
                    if let Some(answered) = self.landed(flight)? {
                        return Ok(Some(answered));
                    }
                }
                // A flight does not panic and is not aborted; if one were, its ticket is gone with it.
                Ok(Some(Err(error))) => return Err(PipelineError::Answer(error.to_string())),
                Ok(None) => {}
                Err(_) => self.listen(),
            }
        }
    }

    /// One request alone, with the same patience. Dropping the future loses nothing but the answer.
    ///
    /// # Errors
    /// [`PipelineError`]
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Response, PipelineError> {
        loop {
            let connection = self.connect().await?;
            match connection.request(request).await {
                Ok(response) => {
                    self.backoff.succeeded();
                    return Ok(response);
                }
                Err(error) => self.failed(error, &connection)?,
            }
        }
    }

    /// Sends what is in line, as far as the window and the other transfers let it.
    async fn launch(&mut self) -> Result<(), PipelineError> {
        while self.flights.len() < self.window && !self.waiting.is_empty() {
            let connection = self.connect().await?;
            let Some(lane) = self.lane().await else { return Ok(()) };
            let Some(ticket) = self.waiting.pop_front() else { return Ok(()) };
            if self.flights.is_empty() {
                self.heard = connection.arrivals();
            }
            self.flights.spawn(async move {
                let answer = connection.request_owned(ticket.request(), BLOB_REQUEST_WAIT).await;
                drop(lane);
                Flight { ticket, connection, answer }
            });
        }
        Ok(())
    }

    /// A lane, if there is one or if nothing else is to be waited for.
    async fn lane(&self) -> Option<OwnedSemaphorePermit> {
        if self.flights.is_empty() {
            self.lanes.clone().acquire_owned().await.ok()
        } else {
            self.lanes.clone().try_acquire_owned().ok()
        }
    }

    fn landed(&mut self, flight: Flight<T, C>) -> Result<Option<(T, Response)>, PipelineError> {
        let Flight { ticket, connection, answer } = flight;
        match answer {
            Ok(response) => {
                self.backoff.succeeded();
                self.internal_errors = 0;
                self.window = (self.window + 1).min(TRANSFER_PIECES_IN_FLIGHT_MAX);
                Ok(Some((ticket, response)))
            }
            Err(error) => {
                self.waiting.push_front(ticket);
                self.failed(error, &connection)?;
                Ok(None)
            }
        }
    }

    /// What follows from a failure: a pause, another connection, or the end.
    fn failed(&mut self, error: RequestError, connection: &ServerConnection<C>) -> Result<(), PipelineError> {
        tracing::debug!(%error, "a request about a blob has to be repeated");
        match error {
            RequestError::Refused(reply) => match reply.known_code() {
                // Asked to wait, not failed: the time that the server names is enough.
                Some(ErrorCode::RateLimited) => self.pause_at_least(Duration::from_millis(reply.retry_after)),
                Some(ErrorCode::StorageUnavailable) => self.pause(reply.retry_after),
                // What fails and should not gets another try, later; a blob that is damaged there fails every time.
                Some(ErrorCode::Internal) if self.internal_errors < INTERNAL_ERRORS_MAX => {
                    self.internal_errors += 1;
                    self.pause(reply.retry_after);
                }
                Some(ErrorCode::ShuttingDown) => {
                    self.lost(connection);
                    self.pause(reply.retry_after);
                }
                _ => return Err(PipelineError::Refused(reply)),
            },
            RequestError::TimedOut | RequestError::Closed(_) => self.lost(connection),
            RequestError::Wire(_) | RequestError::Unexpected => return Err(PipelineError::Answer(error.to_string())),
        }
        Ok(())
    }

    /// Waits longer with every failure. What was in flight together fails together and counts once.
    fn pause(&mut self, retry_after_ms: u64) {
        if self.paused_until <= Instant::now() {
            let wait = self.backoff.failed(Duration::from_millis(retry_after_ms), &mut self.rng);
            self.pause_at_least(wait);
        }
    }

    fn pause_at_least(&mut self, wait: Duration) {
        self.paused_until = self.paused_until.max(Instant::now() + wait.min(2 * RECONNECT_WAIT_MAX));
    }

    /// Gives a connection up, unless another has taken its place.
    fn lost(&mut self, connection: &ServerConnection<C>) {
        if self.connection.as_ref().is_some_and(|kept| kept.is(connection)) {
            self.connection = None;
            self.window = (self.window / 2).max(1);
        }
    }

    /// Whether anything at all has come from the server while an answer was waited for. A server that lives confirms what
    /// it gets, however slow the answer; one that is silent is looked for anew, long before QUIC gives it up.
    fn listen(&mut self) {
        let Some(connection) = self.connection.clone() else { return };
        let heard = connection.arrivals();
        if heard == self.heard {
            self.lost(&connection);
            connection.abandon();
        }
        self.heard = heard;
    }

    /// The connection; tries for as long as it takes, unless trying again is of no use.
    async fn connect(&mut self) -> Result<ServerConnection<C>, PipelineError> {
        loop {
            sleep_until(self.paused_until).await;
            if let Some(connection) = &self.connection {
                return Ok(connection.clone());
            }
            let BlobServer { address, trust, domain } = &self.server;
            let expectation = ServerExpectation { address, trust: *trust, domain: Some(domain) };
            match ServerConnection::for_transfer(&expectation).await {
                Ok(connection) => {
                    self.heard = connection.arrivals();
                    self.connection = Some(connection);
                }
                Err(
                    error @ (ConnectError::ServerKeyChanged { .. }
                    | ConnectError::WrongDomain { .. }
                    | ConnectError::HelloSignature
                    | ConnectError::Certificate(_)),
                ) => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%error, "the server of a blob cannot be reached");
                    self.pause(0);
                }
            }
        }
    }
}
