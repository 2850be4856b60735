//! An account on this machine: its folder, the engine on its store, and the connections that the engine asks for.
//!
//! Every event is committed before anything of it is sent or shown. When the network fails, the outbox keeps what was to
//! be sent; when the process stops, the next one goes on with what the disk has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::DirBuilder;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chacha20::ChaCha20Rng;
use medipeps_core::wire::transport::{
    Acknowledge, Delivery, ErrorCode, ErrorReply, Request, Response, SubscriptionEvent,
};
use rand_core::SeedableRng;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::{ServerAddress, ServerAddressError};
use super::backoff::Backoff;
use super::connection::{ConnectError, Connection, Device, RequestError, ServerExpectation, ServerTrust, Subscription};
use crate::account_store::{AccountStore, HandleError, Handled, Status};
use crate::engine::{
    self, ContactSummary, Correlation, Credentials, EngineError, Event, Input, LocalId, MessageDetail, MessageSummary,
    Outgoing, Send, Time,
};
use crate::fail_point::fail_point;
use crate::limits::{BATCH_WAIT, DELIVERY_BATCH_MAX, OUTBOX_LOOK_INTERVAL, OUTBOX_ROUNDS_MAX, REQUEST_WAIT};
use crate::store::StoreError;
use crate::store::seal::{SealedStore, Unlock};
use crate::store::sqlite::{FILE_NAME, SqliteStore};

/// Sees every event, after its commit and before anything else is done.
pub type Show<'a> = &'a mut dyn FnMut(&Event);

/// An open account.
#[derive(Debug)]
pub struct Agent {
    store: AccountStore<SqliteStore>,
    rng: ChaCha20Rng,
    proved: Option<Connection>,
    anonymous: BTreeMap<String, Connection>,
    /// By domain.
    unreachable: BTreeMap<String, Unreachable>,
}

/// A server that could not be asked.
#[derive(Debug)]
struct Unreachable {
    backoff: Backoff,
    until: Instant,
    problem: String,
}

impl Unreachable {
    fn new() -> Self {
        Self { backoff: Backoff::new(), until: Instant::now(), problem: String::new() }
    }
}

/// A request with the connection that it goes over.
#[derive(Debug)]
struct Ready {
    /// Its place in the step.
    index: usize,
    request: Request,
    connection: Connection,
    /// Whether the connection was made for it.
    fresh: bool,
}

type Answer = Result<Response, RequestError>;

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The engine or the store refuses. Nothing was changed.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The folder cannot be made.
    #[error("cannot make the folder {folder}: {source}")]
    Folder {
        /// Its path.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness,
    /// A server could not be asked. What was to be sent is kept.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Why a server could not be asked.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// There is no connection to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection failed under a request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A stored server address cannot be read.
    #[error(transparent)]
    Address(#[from] ServerAddressError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The server refuses what the connection is for.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// Another process of this account receives now.
    #[error("another program receives for this device now")]
    Displaced,
}

impl From<StoreError> for AgentError {
    fn from(error: StoreError) -> Self {
        Self::Handle(error.into())
    }
}

impl From<EngineError> for AgentError {
    fn from(error: EngineError) -> Self {
        Self::Handle(error.into())
    }
}

/// What one input led to.
#[derive(Debug, Default)]
struct Round {
    /// Requests that the engine wanted to send.
    wanted: usize,
    /// The first that could not be sent.
    failure: Option<NetworkError>,
}

/// How an attempt to receive ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Everything has been fetched, and there is no time left to wait for more.
    Drained,
    /// The time is over.
    Over,
}

impl Agent {
    /// Whether there is an account's store in the folder.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        folder.join(FILE_NAME).exists()
    }

    /// Makes the folder, for this user alone, and an empty store in it.
    ///
    /// # Errors
    /// [`AgentError::Folder`], and what the store says.
    pub fn create(folder: &Path, passphrase: &str) -> Result<Self, AgentError> {
        let mut rng = random()?;
        make_private_folder(folder)
            .map_err(|source| AgentError::Folder { folder: folder.display().to_string(), source })?;
        let store = SqliteStore::create(folder)?;
        let unlock = Unlock::Passphrase(passphrase.as_bytes());
        let sealed = SealedStore::create(store, &unlock, now().0, &mut rng)?;
        Ok(Self::on(sealed, rng))
    }

    /// Opens the store in the folder.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::WrongPassphrase`], and what else the store says.
    pub fn open(folder: &Path, passphrase: &str) -> Result<Self, AgentError> {
        let rng = random()?;
        let store = SqliteStore::open(folder)?;
        let sealed = SealedStore::open(store, &Unlock::Passphrase(passphrase.as_bytes()))?;
        Ok(Self::on(sealed, rng))
    }

    fn on(store: SealedStore<SqliteStore>, rng: ChaCha20Rng) -> Self {
        Self {
            store: AccountStore::new(store),
            rng,
            proved: None,
            anonymous: BTreeMap::new(),
            unreachable: BTreeMap::new(),
        }
    }

    /// Handles an input and everything that comes of it. A network failure is no error: what was to be sent is kept,
    /// and the first failure is returned.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn run(&mut self, input: Input, show: Show<'_>) -> Result<Option<NetworkError>, AgentError> {
        Ok(self.round(input, show).await?.failure)
    }

    /// Sends what is due, until nothing is. A server that cannot be reached keeps only its own mail waiting, and is not
    /// tried again for a while; what stands in the way is returned.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn send_due(&mut self, show: Show<'_>) -> Result<Option<String>, AgentError> {
        for _ in 0..OUTBOX_ROUNDS_MAX {
            let now = Instant::now();
            let waits = self.unreachable.iter().filter(|(_, one)| one.until > now);
            let unreachable = waits.map(|(domain, _)| domain.clone()).collect();
            if self.round(Input::Tick { unreachable }, show).await?.wanted == 0 {
                break;
            }
        }
        Ok(self.unreachable.values().next().map(|one| one.problem.clone()))
    }

    /// Sends what is due, fetches everything that has come, and stays connected for as long as `wait` says, connecting
    /// again where the connection is lost.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; [`AgentError::Network`] if the queue was not emptied once.
    pub async fn sync(&mut self, wait: Duration, show: Show<'_>) -> Result<(), AgentError> {
        let end = Instant::now() + wait;
        let (mut backoff, mut drained) = (Backoff::new(), false);
        loop {
            let failure = match self.receive(end, &mut drained, &mut backoff, show).await {
                Ok(_) => return Ok(()),
                Err(AgentError::Network(NetworkError::Displaced)) => return Err(NetworkError::Displaced.into()),
                Err(AgentError::Network(failure)) => failure,
                Err(error) => return Err(error),
            };
            self.proved = None;
            let pause = backoff.failed(Duration::ZERO, &mut self.rng);
            if is_final(&failure) || Instant::now() + pause >= end {
                return if drained { Ok(()) } else { Err(failure.into()) };
            }
            sleep(pause).await;
        }
    }

    /// The domain of the server at an address, and nothing else: to suggest an account's address before there is one.
    ///
    /// # Errors
    /// [`NetworkError`]
    pub async fn domain_of(server: &str, server_key_hash: [u8; 32]) -> Result<String, NetworkError> {
        let address: ServerAddress = server.parse()?;
        let expectation =
            ServerExpectation { address: &address, trust: ServerTrust::Pinned(server_key_hash), domain: None };
        let connection = Connection::anonymous(&expectation).await?;
        let domain = connection.domain().to_owned();
        connection.close().await;
        Ok(domain)
    }

    /// Closes the connections.
    pub async fn close(mut self) {
        for connection in self.proved.take().into_iter().chain(std::mem::take(&mut self.anonymous).into_values()) {
            connection.close().await;
        }
    }

    /// Who this account is; `None` before it is made.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn credentials(&mut self) -> Result<Option<Credentials>, AgentError> {
        Ok(self.store.credentials(now(), &mut self.rng)?)
    }

    /// All messages, newest first.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn messages(&mut self) -> Result<Vec<MessageSummary>, AgentError> {
        Ok(self.store.messages(now(), &mut self.rng)?)
    }

    /// One message with its content.
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`EngineError::UnknownMessage`] if there is none of this id.
    pub fn message(&mut self, id: LocalId) -> Result<MessageDetail, AgentError> {
        let message = self.store.message(id, now(), &mut self.rng)?;
        message.ok_or_else(|| EngineError::UnknownMessage.into())
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn contacts(&mut self) -> Result<Vec<ContactSummary>, AgentError> {
        Ok(self.store.contacts(now(), &mut self.rng)?)
    }

    /// How things are.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn status(&mut self) -> Result<Status, AgentError> {
        Ok(self.store.status(now(), &mut self.rng)?)
    }

    async fn round(&mut self, input: Input, show: Show<'_>) -> Result<Round, AgentError> {
        let mut round = Round::default();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let handled = self.handle(&input)?;
            handled.events.iter().for_each(&mut *show);
            fail_point!(AfterShow);
            round.wanted += handled.outgoing.len();
            self.exchange(&handled, &mut inputs, &mut round.failure).await?;
        }
        Ok(round)
    }

    fn handle(&mut self, input: &Input) -> Result<Handled, AgentError> {
        let handled = tokio::task::block_in_place(|| self.store.handle(input, now(), &mut self.rng))?;
        Ok(handled)
    }

    /// Sends what a step has to send: side by side, but one after the other for each recipient, so that mail arrives in
    /// the order in which it was written. The answers become inputs.
    async fn exchange(
        &mut self,
        handled: &Handled,
        inputs: &mut VecDeque<Input>,
        failure: &mut Option<NetworkError>,
    ) -> Result<(), AgentError> {
        let mut failed: BTreeSet<engine::Connection> = BTreeSet::new();
        let mut lines: BTreeMap<String, Vec<Ready>> = BTreeMap::new();
        for (index, outgoing) in handled.outgoing.iter().enumerate() {
            if failed.contains(&outgoing.connection) {
                continue;
            }
            match self.connection(&outgoing.connection, inputs).await {
                Ok((connection, fresh)) => {
                    let ready = Ready { index, request: request(outgoing, handled.generation), connection, fresh };
                    lines.entry(line(index, &outgoing.reply_to)).or_default().push(ready);
                }
                Err(AgentError::Network(error)) => {
                    self.note(&mut failed, &outgoing.connection, error, failure);
                }
                Err(error) => return Err(error),
            }
        }
        fail_point!(BeforeRequest);
        let mut tasks = JoinSet::new();
        for line in lines.into_values() {
            tasks.spawn(async move {
                let mut answers = Vec::new();
                for ready in line {
                    let answer = ready.connection.request(&ready.request).await;
                    answers.push((ready, answer));
                }
                answers
            });
        }
        let mut answers: Vec<(Ready, Answer)> = tasks.join_all().await.into_iter().flatten().collect();
        fail_point!(AfterReply);
        answers.sort_by_key(|(ready, _)| ready.index);
        for (ready, answer) in answers {
            let outgoing = &handled.outgoing[ready.index];
            match self.understand(outgoing, ready, answer, inputs).await {
                Ok(result) => inputs.push_back(Input::Reply { to: outgoing.reply_to.clone(), result }),
                Err(AgentError::Network(error)) => {
                    self.note(&mut failed, &outgoing.connection, error, failure);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What an answer means. A connection that had died while nobody looked is replaced once; every request may be
    /// repeated.
    async fn understand(
        &mut self,
        outgoing: &Outgoing,
        ready: Ready,
        mut answer: Answer,
        inputs: &mut VecDeque<Input>,
    ) -> Result<Result<Response, ErrorReply>, AgentError> {
        if matches!(answer, Err(RequestError::Closed(_))) && !ready.fresh {
            self.forget(&outgoing.connection, Some(&ready.connection));
            answer = self.connection(&outgoing.connection, inputs).await?.0.request(&ready.request).await;
        }
        let failure = match answer {
            Ok(response) => return Ok(Ok(response)),
            // What cannot be read counts as a failure of the server, so that it is not asked again at once.
            Err(error @ (RequestError::Wire(_) | RequestError::Unexpected)) => {
                return Ok(Err(ErrorReply::new(ErrorCode::Internal, error.to_string())));
            }
            Err(RequestError::Refused(error)) => match error.known_code() {
                Some(ErrorCode::ShuttingDown) => NetworkError::Stopping,
                Some(
                    ErrorCode::HelloRequired
                    | ErrorCode::ProofRequired
                    | ErrorCode::WrongConnection
                    | ErrorCode::ProofRefused
                    | ErrorCode::ExporterRequired,
                ) => NetworkError::Refused(error.message),
                _ => return Ok(Err(error)),
            },
            Err(error) => error.into(),
        };
        self.forget(&outgoing.connection, None);
        Err(failure.into())
    }

    /// Remembers that a server could not be asked, and for how long not to try it again.
    fn note(
        &mut self,
        failed: &mut BTreeSet<engine::Connection>,
        connection: &engine::Connection,
        error: NetworkError,
        failure: &mut Option<NetworkError>,
    ) {
        tracing::debug!(%error, "a request was not sent");
        failed.insert(connection.clone());
        if let engine::Connection::Anonymous(domain) = connection {
            let unreachable = self.unreachable.entry(domain.clone()).or_insert_with(Unreachable::new);
            unreachable.until = Instant::now() + unreachable.backoff.failed(Duration::ZERO, &mut self.rng);
            unreachable.problem = error.to_string();
        }
        failure.get_or_insert(error);
    }

    /// The connection, and whether it was made just now.
    async fn connection(
        &mut self,
        kind: &engine::Connection,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(Connection, bool), AgentError> {
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        match kind {
            engine::Connection::Proved => {
                let fresh = self.proved.is_none();
                inputs.extend(self.prove(&credentials).await?);
                let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
                Ok((connection, fresh))
            }
            engine::Connection::Registration => {
                let domain = credentials.address.domain().to_owned();
                self.anonymous_connection(&domain, &credentials, inputs).await
            }
            engine::Connection::Anonymous(domain) => self.anonymous_connection(domain, &credentials, inputs).await,
        }
    }

    async fn anonymous_connection(
        &mut self,
        domain: &str,
        credentials: &Credentials,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(Connection, bool), AgentError> {
        if let Some(connection) = self.anonymous.get(domain) {
            return Ok((connection.clone(), false));
        }
        let own = domain == credentials.address.domain();
        let (endpoint, pin) = if own {
            (credentials.server.clone(), Some(credentials.server_key_hash))
        } else {
            let server = self.store.server(domain, now(), &mut self.rng)?;
            let server = server.ok_or_else(|| EngineError::UnknownServer(domain.to_owned()))?;
            (server.endpoint, server.server_key_hash)
        };
        let address: ServerAddress = endpoint.parse().map_err(NetworkError::from)?;
        // Before registration the server says itself that the address is not of its domain, with a code.
        let expected = (credentials.registered || !own).then_some(domain);
        let expectation = ServerExpectation { address: &address, trust: pin.into(), domain: expected };
        let connection = Connection::anonymous(&expectation).await.map_err(NetworkError::from)?;
        if pin.is_none() {
            let server_key_hash = connection.server_key_hash();
            inputs.push_back(Input::PinServer { domain: domain.to_owned(), server_key_hash });
        }
        self.unreachable.remove(domain);
        self.anonymous.insert(domain.to_owned(), connection.clone());
        Ok((connection, true))
    }

    /// Proves the device unless that is done; what the server says about the device's state goes to the engine.
    async fn prove(&mut self, credentials: &Credentials) -> Result<Option<Input>, AgentError> {
        if self.proved.is_some() {
            return Ok(None);
        }
        if !credentials.registered {
            return Err(EngineError::NotRegistered.into());
        }
        let address: ServerAddress = credentials.server.parse().map_err(NetworkError::from)?;
        let expectation = ServerExpectation {
            address: &address,
            trust: ServerTrust::Pinned(credentials.server_key_hash),
            domain: Some(credentials.address.domain()),
        };
        let device = Device {
            address: &credentials.address,
            device_id: credentials.device_id,
            key: &credentials.device_key,
            generation: self.store.generation(now(), &mut self.rng)?,
        };
        fail_point!(BeforeProof);
        let (connection, reply) = Connection::proved(&expectation, &device).await.map_err(NetworkError::from)?;
        fail_point!(AfterProof);
        self.proved = Some(connection);
        Ok(Some(Input::Authenticated { highest_generation: reply.highest_generation }))
    }

    /// Drops a connection; if `only` is given, only if it is still that one.
    fn forget(&mut self, connection: &engine::Connection, only: Option<&Connection>) {
        let is_meant = |kept: &Connection| only.is_none_or(|only| only.is(kept));
        match connection {
            engine::Connection::Proved => {
                if self.proved.as_ref().is_some_and(is_meant) {
                    self.proved = None;
                }
            }
            engine::Connection::Anonymous(domain) => {
                if self.anonymous.get(domain).is_some_and(is_meant) {
                    self.anonymous.remove(domain);
                }
            }
            engine::Connection::Registration => self.anonymous.clear(),
        }
    }

    async fn receive(
        &mut self,
        end: Instant,
        drained: &mut bool,
        backoff: &mut Backoff,
        show: Show<'_>,
    ) -> Result<End, AgentError> {
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        if let Some(authenticated) = self.prove(&credentials).await? {
            self.run(authenticated, show).await?;
        }
        // A recipient's server that is away must not keep this account from its own mail.
        self.send_due(show).await?;
        let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
        fail_point!(BeforeSubscribe);
        let mut subscription = connection.subscribe().await.map_err(NetworkError::from)?;
        backoff.succeeded();
        let (mut incarnation, mut pending) = ([0; 16], None);
        loop {
            let event = match pending.take() {
                Some(event) => event,
                None => match next(&mut subscription, end, *drained).await? {
                    Some(event) => event,
                    None if Instant::now() >= end => return Ok(End::Over),
                    None => {
                        // Another process may have put something into the outbox, or something is due again.
                        self.send_due(show).await?;
                        continue;
                    }
                },
            };
            match event {
                SubscriptionEvent::Open(opened) => incarnation = opened,
                SubscriptionEvent::Delivery(first) => {
                    let (batch, after) = batch(&mut subscription, first).await?;
                    pending = after;
                    fail_point!(AfterDelivery);
                    self.run(Input::Deliveries { incarnation, batch }, show).await?;
                    self.send_due(show).await?;
                    if self.proved.is_none() {
                        // The acknowledgement did not get through; the server will deliver again.
                        return Err(NetworkError::Stopping.into());
                    }
                }
                SubscriptionEvent::QueueEmpty => {
                    *drained = true;
                    if Instant::now() >= end {
                        return Ok(End::Drained);
                    }
                }
                SubscriptionEvent::Expired(count) => {
                    self.run(Input::Expired(count), show).await?;
                }
                SubscriptionEvent::Displaced => return Err(NetworkError::Displaced.into()),
            }
        }
    }
}

/// The request to send.
fn request(outgoing: &Outgoing, generation: u64) -> Request {
    match &outgoing.send {
        Send::Request(request) => request.clone(),
        Send::Acknowledge { incarnation, up_to } => {
            fail_point!(BeforeAcknowledge);
            Request::Acknowledge(Acknowledge { incarnation: *incarnation, up_to: *up_to, generation })
        }
    }
}

/// What may not overtake one another has the same line: everything for one recipient.
fn line(index: usize, correlation: &Correlation) -> String {
    match correlation {
        Correlation::Submit { recipient, .. } => recipient.to_string(),
        _ => index.to_string(),
    }
}

/// The next event. `None` when it is time to look after other things, which it never is before the queue was emptied.
async fn next(
    subscription: &mut Subscription,
    end: Instant,
    drained: bool,
) -> Result<Option<SubscriptionEvent>, NetworkError> {
    let now = Instant::now();
    let until = if drained { end.min(now + OUTBOX_LOOK_INTERVAL) } else { now + REQUEST_WAIT };
    match timeout_at(until, subscription.next()).await {
        Ok(Ok(Some(event))) => Ok(Some(event)),
        Ok(Ok(None)) => Err(NetworkError::Stopping),
        Ok(Err(error)) => Err(error.into()),
        Err(_) if drained => Ok(None),
        Err(_) => Err(RequestError::TimedOut.into()),
    }
}

/// What has come by now, up to a limit: one transaction and one acknowledgement for all of it. Also the event after it,
/// if that is something else.
async fn batch(
    subscription: &mut Subscription,
    first: Delivery,
) -> Result<(Vec<Delivery>, Option<SubscriptionEvent>), NetworkError> {
    let mut batch = vec![first];
    while batch.len() < DELIVERY_BATCH_MAX {
        match timeout(BATCH_WAIT, subscription.next()).await {
            Ok(Ok(Some(SubscriptionEvent::Delivery(delivery)))) => batch.push(delivery),
            Ok(Ok(other)) => return Ok((batch, other)),
            // What was received is worth committing; the failure shows again at the next read.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Ok((batch, None))
}

/// Whether trying again later is of no use until a person has done something.
fn is_final(failure: &NetworkError) -> bool {
    match failure {
        NetworkError::Connect(ConnectError::Request(RequestError::Refused(error))) => {
            matches!(
                error.known_code(),
                Some(ErrorCode::ProofRefused | ErrorCode::UnknownAccount | ErrorCode::UnknownDevice)
            )
        }
        NetworkError::Connect(
            ConnectError::ServerKeyChanged { .. }
            | ConnectError::WrongDomain { .. }
            | ConnectError::HelloSignature
            | ConnectError::Certificate(_),
        )
        | NetworkError::Address(_) => true,
        _ => false,
    }
}

/// Milliseconds since 1970, by this machine's clock.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn random() -> Result<ChaCha20Rng, AgentError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| AgentError::Randomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
