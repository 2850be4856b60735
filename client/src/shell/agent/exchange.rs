//! Sends what the engine wants sent and hands the answers back to it, over connections that are made when they are needed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::future::join_all;
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::token::IssuerKeys;
use medipeps_core::wire::transport::{
    Acknowledge, ErrorCode, ErrorReply, RedeemVoucher, Request, Response, TokenRequest,
};

use super::{AccountAgent, AgentError, ConnectionOf, NetworkError, Platform, Show};
use crate::account_store::Handled;
use crate::engine::{
    self, Correlation, Credentials, EngineError, Event, GroupCorrelation, GroupId, Input, Outgoing, Send,
};
use crate::fail_point::fail_point;
use crate::shell::address::ServerAddress;
use crate::shell::backoff::Backoff;
use crate::shell::carrier::Carrier;
use crate::shell::connection::{ConnectError, Device, RequestError, ServerConnection, ServerExpectation, ServerTrust};
use crate::shell::runtime::Instant;

/// A server that could not be asked.
#[derive(Debug)]
pub(super) struct Unreachable {
    backoff: Backoff,
    /// Not tried again before this.
    pub(super) until: Instant,
    /// What was wrong.
    pub(super) problem: String,
}

impl Unreachable {
    const fn new(until: Instant) -> Self {
        Self { backoff: Backoff::new(), until, problem: String::new() }
    }
}

/// A request with the connection that it goes over.
#[derive(Debug)]
struct Ready<C> {
    /// Its place in the step.
    index: usize,
    request: Request,
    connection: ServerConnection<C>,
    /// Whether the connection was made for it.
    fresh: bool,
}

type Answer = Result<Response, RequestError>;

/// What one input led to.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Requests that the engine wanted to send.
    pub(super) wanted: usize,
    /// The first that could not be sent.
    pub(super) failure: Option<NetworkError>,
}

/// What may not overtake one another has the same line: everything for one recipient.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Recipient(Address),
    Group(GroupId),
    /// By its place in the step.
    Alone(usize),
}

impl<P: Platform> AccountAgent<P> {
    /// Handles an input and everything that comes of it.
    pub(super) async fn round(&mut self, input: Input, show: Show<'_>) -> Result<Round, AgentError> {
        let mut round = Round::default();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let handled = P::handle(self, &input).await?;
            handled.events.iter().for_each(&mut *show);
            fail_point!(AfterShow);
            for event in &handled.events {
                self.follow(event).await?;
            }
            round.wanted += handled.outgoing.len();
            self.exchange(&handled, &mut inputs, &mut round.failure).await?;
        }
        // The last handle dropped closes it.
        self.own_devices = None;
        self.redemptions.clear();
        Ok(round)
    }

    /// What is to be done about an event beside showing it: what was dropped is dropped everywhere.
    async fn follow(&mut self, event: &Event) -> Result<(), AgentError> {
        if let Some(event) = super::domains::domain_event(event) {
            self.follow_domains(event);
        }
        if let Event::LinkedAnew { .. } | Event::Revoked { .. } = event {
            // It was proved for a device that this store is no more.
            self.proved = None;
        }
        self.follow_documents(event).await
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
        let mut lines: BTreeMap<Line, Vec<Ready<P::Carrier>>> = BTreeMap::new();
        for (index, outgoing) in handled.outgoing.iter().enumerate() {
            if failed.contains(&outgoing.connection) {
                continue;
            }
            match self.connection(&outgoing.connection, inputs).await {
                Ok((connection, fresh)) => {
                    let request = request(outgoing, handled.generation, &connection);
                    let ready = Ready { index, request, connection, fresh };
                    lines.entry(line(index, &outgoing.reply_to)).or_default().push(ready);
                }
                Err(AgentError::Network(error)) => {
                    self.note(&mut failed, &outgoing.connection, error, failure);
                }
                Err(error) => return Err(error),
            }
        }
        fail_point!(BeforeRequest);
        let lines = lines.into_values().map(|line| async move {
            let mut answers = Vec::new();
            for ready in line {
                let answer = ready.connection.request(&ready.request).await;
                answers.push((ready, answer));
            }
            answers
        });
        let mut answers: Vec<(Ready<P::Carrier>, Answer)> = join_all(lines).await.into_iter().flatten().collect();
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
        ready: Ready<P::Carrier>,
        mut answer: Answer,
        inputs: &mut VecDeque<Input>,
    ) -> Result<Result<Response, ErrorReply>, AgentError> {
        let mut server_key = *ready.connection.server_key();
        if matches!(answer, Err(RequestError::Closed(_))) && !ready.fresh {
            self.forget(&outgoing.connection, Some(&ready.connection));
            let connection = self.connection(&outgoing.connection, inputs).await?.0;
            // What is signed for a connection is signed for this one.
            let again = match &outgoing.send {
                Send::ReadGroup { reader, limit } => {
                    Request::FetchGroupEntries(reader.fetch(&connection.channel(), *limit))
                }
                Send::SignalGroup { reader, signal } => {
                    Request::SignalGroup(reader.signal(&connection.channel(), signal.clone()))
                }
                Send::WakeGroup { reader, handle, wake } => {
                    Request::SetGroupWake(reader.wake(&connection.channel(), *handle, wake.clone()))
                }
                Send::RedeemVoucher { voucher_key, voucher, request } => {
                    Request::RedeemVoucher(redemption(&connection, voucher_key, voucher, request))
                }
                _ => ready.request,
            };
            server_key = *connection.server_key();
            answer = connection.request(&again).await;
        }
        let failure = match answer {
            // Nobody but the server itself says with what it issues tokens.
            Ok(Response::FetchIssuerKeys(keys)) if IssuerKeys::verify(&keys, &server_key).is_err() => {
                return Ok(Err(ErrorReply::new(ErrorCode::Internal, "the issuer keys are not signed by the server")));
            }
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
        let domain = match connection {
            engine::Connection::Anonymous(domain)
            | engine::Connection::GroupLogs(domain)
            | engine::Connection::Redemption(domain) => Some(domain.clone()),
            engine::Connection::OwnDevices | engine::Connection::Registration => self.own_domain(),
            engine::Connection::Proved | engine::Connection::Linking => None,
        };
        if let Some(domain) = domain {
            let unreachable = self.unreachable.entry(domain).or_insert_with(|| Unreachable::new(Instant::now()));
            unreachable.until = Instant::now() + unreachable.backoff.failed(Duration::ZERO, &mut self.rng);
            unreachable.problem = error.to_string();
        }
        failure.get_or_insert(error);
    }

    fn own_domain(&mut self) -> Option<String> {
        let credentials = self.credentials().ok().flatten()?;
        Some(credentials.address.domain().to_owned())
    }

    /// The connection, and whether it was made just now.
    async fn connection(
        &mut self,
        kind: &engine::Connection,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(ConnectionOf<P>, bool), AgentError> {
        if *kind == engine::Connection::Linking {
            return self.linking_connection().await;
        }
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        match kind {
            engine::Connection::Proved => {
                let fresh = self.proved.is_none();
                match self.prove(&credentials).await {
                    Ok(authenticated) => inputs.extend(authenticated),
                    Err(error) => {
                        if is_proof_refused(&error) && !inputs.contains(&Input::CheckOwnStatement) {
                            inputs.push_back(Input::CheckOwnStatement);
                        }
                        return Err(error);
                    }
                }
                let connection = self.proved.clone().ok_or(NetworkError::Stopping)?;
                Ok((connection, fresh))
            }
            engine::Connection::Registration => Ok((self.registration(&credentials).await?, true)),
            engine::Connection::Anonymous(domain) => self.anonymous_connection(domain, &credentials, inputs).await,
            engine::Connection::GroupLogs(domain) => self.group_connection(domain, &credentials, inputs).await,
            engine::Connection::OwnDevices => self.own_devices_connection(&credentials).await,
            engine::Connection::Redemption(domain) => self.redemption_connection(domain, &credentials, inputs).await,
            engine::Connection::Linking => self.linking_connection().await,
        }
    }

    async fn anonymous_connection(
        &mut self,
        domain: &str,
        credentials: &Credentials,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(ConnectionOf<P>, bool), AgentError> {
        if let Some(connection) = self.anonymous.get(domain) {
            return Ok((connection.clone(), false));
        }
        let connection = self.connect_to(domain, credentials, inputs).await?;
        self.anonymous.insert(domain.to_owned(), connection.clone());
        Ok((connection, true))
    }

    /// As anonymous, and another one: whoever reads a group's log must not be seen beside those whom he writes to.
    pub(super) async fn group_connection(
        &mut self,
        domain: &str,
        credentials: &Credentials,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(ConnectionOf<P>, bool), AgentError> {
        if let Some(connection) = self.group_logs.get(domain) {
            return Ok((connection.clone(), false));
        }
        let connection = self.connect_to(domain, credentials, inputs).await?;
        self.group_logs.insert(domain.to_owned(), connection.clone());
        Ok((connection, true))
    }

    /// As anonymous, and another one: what a voucher gives is spent where nobody can tell by whom it was redeemed. It lasts for
    /// one round.
    async fn redemption_connection(
        &mut self,
        domain: &str,
        credentials: &Credentials,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(ConnectionOf<P>, bool), AgentError> {
        if let Some(connection) = self.redemptions.get(domain) {
            return Ok((connection.clone(), false));
        }
        let connection = self.connect_to(domain, credentials, inputs).await?;
        self.redemptions.insert(domain.to_owned(), connection.clone());
        Ok((connection, true))
    }

    /// A connection to the server of a domain, which proves nothing.
    async fn connect_to(
        &mut self,
        domain: &str,
        credentials: &Credentials,
        inputs: &mut VecDeque<Input>,
    ) -> Result<ConnectionOf<P>, AgentError> {
        let connection = match domain == credentials.address.domain() {
            true => {
                let address: ServerAddress = credentials.server.parse().map_err(NetworkError::from)?;
                let trust = ServerTrust::Pinned(credentials.server_key_hash);
                let expectation = ServerExpectation { address: &address, trust, domain: Some(domain) };
                ConnectionOf::<P>::anonymous(&expectation).await.map_err(NetworkError::from)?
            }
            false => self.connect_abroad(domain, inputs).await?.0,
        };
        self.unreachable.remove(domain);
        Ok(connection)
    }

    /// As anonymous as any other, and another one: what goes to the account's other devices must not be seen beside what
    /// goes to others. It lasts for one round.
    async fn own_devices_connection(
        &mut self,
        credentials: &Credentials,
    ) -> Result<(ConnectionOf<P>, bool), AgentError> {
        if let Some(connection) = &self.own_devices {
            return Ok((connection.clone(), false));
        }
        let address: ServerAddress = credentials.server.parse().map_err(NetworkError::from)?;
        let expectation = ServerExpectation {
            address: &address,
            trust: ServerTrust::Pinned(credentials.server_key_hash),
            domain: Some(credentials.address.domain()),
        };
        let connection = ConnectionOf::<P>::anonymous(&expectation).await.map_err(NetworkError::from)?;
        self.unreachable.remove(credentials.address.domain());
        self.own_devices = Some(connection.clone());
        Ok((connection, true))
    }

    /// Proves the device unless that is done; what the server says about the device's state goes to the engine.
    pub(super) async fn prove(&mut self, credentials: &Credentials) -> Result<Option<Input>, AgentError> {
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
            generation: self.store.generation(P::now(), &mut self.rng)?,
        };
        fail_point!(BeforeProof);
        let (connection, reply) = ConnectionOf::<P>::proved(&expectation, &device).await.map_err(NetworkError::from)?;
        fail_point!(AfterProof);
        self.proved = Some(connection);
        let (highest_generation, statement_version) = (reply.highest_generation, reply.statement_version);
        Ok(Some(Input::Authenticated { highest_generation, statement_version }))
    }

    /// Drops a connection; if `only` is given, only if it is still that one.
    fn forget(&mut self, connection: &engine::Connection, only: Option<&ConnectionOf<P>>) {
        let is_meant = |kept: &ConnectionOf<P>| only.is_none_or(|only| only.is(kept));
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
            engine::Connection::GroupLogs(domain) => {
                if self.group_logs.get(domain).is_some_and(is_meant) {
                    self.group_logs.remove(domain);
                }
            }
            engine::Connection::OwnDevices => {
                if self.own_devices.as_ref().is_some_and(is_meant) {
                    self.own_devices = None;
                }
            }
            engine::Connection::Redemption(domain) => {
                if self.redemptions.get(domain).is_some_and(is_meant) {
                    self.redemptions.remove(domain);
                }
            }
            // It ends with its request.
            engine::Connection::Registration => {}
            engine::Connection::Linking => self.linking = None,
        }
    }

    /// A connection for one request that names the account: nothing else goes over it.
    async fn registration(&self, credentials: &Credentials) -> Result<ConnectionOf<P>, AgentError> {
        let address: ServerAddress = credentials.server.parse().map_err(NetworkError::from)?;
        let expectation = ServerExpectation {
            address: &address,
            trust: ServerTrust::Pinned(credentials.server_key_hash),
            // Before registration the server says itself that the address is not of its domain, with a code.
            domain: credentials.registered.then_some(credentials.address.domain()),
        };
        Ok(ConnectionOf::<P>::anonymous(&expectation).await.map_err(NetworkError::from)?)
    }
}

/// Whether the server does not know the device: the account's statement tells why.
pub(super) fn is_proof_refused(error: &AgentError) -> bool {
    matches!(
        error,
        AgentError::Network(NetworkError::Connect(ConnectError::Request(RequestError::Refused(reply))))
            if reply.known_code() == Some(ErrorCode::ProofRefused)
    )
}

/// The request to send.
fn request<C: Carrier>(outgoing: &Outgoing, generation: u64, connection: &ServerConnection<C>) -> Request {
    match &outgoing.send {
        Send::Request(request) => request.clone(),
        Send::ReadGroup { reader, limit } => Request::FetchGroupEntries(reader.fetch(&connection.channel(), *limit)),
        Send::SignalGroup { reader, signal } => {
            Request::SignalGroup(reader.signal(&connection.channel(), signal.clone()))
        }
        Send::WakeGroup { reader, handle, wake } => {
            Request::SetGroupWake(reader.wake(&connection.channel(), *handle, wake.clone()))
        }
        Send::RedeemVoucher { voucher_key, voucher, request } => {
            Request::RedeemVoucher(redemption(connection, voucher_key, voucher, request))
        }
        Send::Acknowledge { incarnation, up_to } => {
            fail_point!(BeforeAcknowledge);
            Request::Acknowledge(Acknowledge { incarnation: *incarnation, up_to: *up_to, generation })
        }
    }
}

/// A voucher, and the batch that it pays for, signed for a connection.
fn redemption<C: Carrier>(
    connection: &ServerConnection<C>,
    voucher_key: &Secret<32>,
    voucher: &[u8],
    request: &TokenRequest,
) -> RedeemVoucher {
    let key = SigningKey::from_secret(voucher_key);
    RedeemVoucher::sign(&key, &connection.channel(), voucher.to_vec(), request.clone())
}

fn line(index: usize, correlation: &Correlation) -> Line {
    match correlation {
        Correlation::Submit { recipient, .. } => Line::Recipient(recipient.clone()),
        Correlation::Group(GroupCorrelation::Append { group, .. }) => Line::Group(*group),
        _ => Line::Alone(index),
    }
}
