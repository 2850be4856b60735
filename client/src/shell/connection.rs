//! A connection to a server over QUIC. `spec/transport.md`.
//!
//! A client keeps two to its own server, and they share nothing that would tie them: not the socket, not TLS tickets,
//! not QUIC tokens.
//!
//! - A **proved** one ([`Connection::proved`]) has proved a device: statements, prekeys, the own queue.
//! - An **anonymous** one ([`Connection::anonymous`]) proves nothing and names no sender: submit, prekey fetch,
//!   registration, and everything at servers of other domains.
//!
//! Either begins with the server's hello, and does not come about unless the hello is signed over this very TLS
//! channel by the key that the client expects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use medipeps_core::Address;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::label;
use medipeps_core::proof::{Channel, EXPORTER_LENGTH, Exporter, server_key_hash};
use medipeps_core::wire::WireError;
use medipeps_core::wire::transport::{
    Authenticate, AuthenticateReply, ErrorReply, GroupLogEvent, HelloReply, Request, Response, SubscriptionEvent,
    Transport, WatchGroupLogs,
};
use quinn::{ConnectionError, Endpoint, RecvStream, VarInt, WriteError};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::address::ServerAddress;
use super::frame::{FrameReader, frame};
use super::tls::{CertificateTrust, client_config};
use crate::limits::{
    CLOSE_WAIT, CONNECT_ADDRESSES_MAX, CONNECT_STAGGER, CONNECT_WAIT, KEEP_ALIVE, REQUEST_WAIT, TRANSFER_KEEP_ALIVE,
};

/// Which server is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTrust {
    /// The one whose key has this hash ([`server_key_hash`]): from an invitation, or pinned at the first connection.
    /// Its TLS certificate may be any.
    Pinned([u8; 32]),
    /// Not known yet: whichever answers, whatever its certificate. The caller learns by another way whether it was the
    /// right one, by [`Connection::server_key_hash`], and tells it no secret before.
    Unknown,
    /// The one that has a certificate of the Web's PKI for its host. The caller pins
    /// [`Connection::server_key_hash`] from then on.
    WebPki,
    /// The one that has a certificate of the Web's PKI for its domain ([`ServerExpectation::domain`]), whatever its host is
    /// called: DNS said where it is, and nobody vouches for that. The caller pins it from then on.
    DomainCertificate,
}

impl From<Option<[u8; 32]>> for ServerTrust {
    fn from(pin: Option<[u8; 32]>) -> Self {
        pin.map_or(Self::WebPki, Self::Pinned)
    }
}

/// Where to connect to, and what must be there.
#[derive(Debug, Clone, Copy)]
pub struct ServerExpectation<'a> {
    /// Host and port.
    pub address: &'a ServerAddress,
    /// The right server.
    pub trust: ServerTrust,
    /// The domain whose accounts it keeps; `None` if that is to be learnt ([`Connection::domain`]).
    pub domain: Option<&'a str>,
}

/// What a device proves itself with.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// The account.
    pub address: &'a Address,
    /// The device within the account, 1 and up.
    pub device_id: u32,
    /// The device key.
    pub key: &'a SigningKey,
    /// Generation of the device's store.
    pub generation: u64,
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing answers there: no such host, no network, no server. Worth another try later.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The host's certificate is not one of the Web's PKI, and no server key is pinned.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(String),
    /// Something answers there that does not speak this protocol.
    #[error("there is no Medipeps server there: {0}")]
    Protocol(String),
    /// The server has another key than the pinned one. Nothing was sent to it; a person has to decide.
    #[error("the server's key has changed: this is another server than before, or somebody stands between")]
    ServerKeyChanged {
        /// Hash of the key that the server showed, whose possession has not been proved.
        found: [u8; 32],
    },
    /// The server's certificate has none of the keys that the trust list has for its domain.
    #[error("the server of {0} shows a certificate that the trust list does not have")]
    CertificateKey(String),
    /// The server keeps the accounts of another domain.
    #[error("the server is for the domain {found}, not {expected}")]
    WrongDomain {
        /// What was asked for.
        expected: String,
        /// What the server is for, by its signature.
        found: String,
    },
    /// The hello is not signed by the server's key over this connection: somebody stands between.
    #[error("the server's hello is not its own: somebody stands between")]
    HelloSignature,
    /// Hello or proof of device failed.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Why a request has no answer, or which error it has for one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer in time. Whether the request was carried out is not known.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection is gone. Whether the request was carried out is not known.
    #[error("the connection was closed: {0}")]
    Closed(String),
    /// The server says no; `spec/errors.md` tells what to do about each code.
    #[error("the server refused: {} (code {})", .0.message, .0.code)]
    Refused(ErrorReply),
    /// The answer is not one.
    #[error("the server's answer cannot be read: {0}")]
    Wire(#[from] WireError),
    /// The answer is one to another request.
    #[error("the server's answer is to something else")]
    Unexpected,
}

impl RequestError {
    pub(super) fn closed(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::TimedOut,
            other => Self::Closed(other.to_string()),
        }
    }
}

/// An open connection, its server verified. Clones share it; the last one dropped closes it.
#[derive(Debug, Clone)]
pub struct Connection {
    endpoint: Endpoint,
    quic: quinn::Connection,
    server_key: VerifyingKey,
    domain: String,
    /// Of the server's hello: what is signed for this connection is signed over it.
    nonce: [u8; 32],
    exporter: Exporter,
}

impl Connection {
    /// Connects, verifies the server, and proves nothing.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn anonymous(server: &ServerExpectation<'_>) -> Result<Self, ConnectError> {
        Self::greet(server, &certificate_trust(server.trust)?, KEEP_ALIVE).await
    }

    /// [`Self::anonymous`] for one document's pieces: the server is asked for a sign of life so often that its silence says
    /// something ([`Self::datagrams_received`]).
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn for_transfer(server: &ServerExpectation<'_>) -> Result<Self, ConnectError> {
        Self::greet(server, &certificate_trust(server.trust)?, TRANSFER_KEEP_ALIVE).await
    }

    /// Connects, verifies the server, and proves the device over this connection's TLS exporter.
    ///
    /// # Errors
    /// [`ConnectError`]; the server's refusal of the proof is [`RequestError::Refused`].
    pub async fn proved(
        server: &ServerExpectation<'_>,
        device: &Device<'_>,
    ) -> Result<(Self, AuthenticateReply), ConnectError> {
        let connection = Self::greet(server, &certificate_trust(server.trust)?, KEEP_ALIVE).await?;
        let channel = connection.channel();
        let proof = Authenticate {
            address: device.address.clone(),
            device_id: device.device_id,
            transport: Transport::Quic,
            exporter_bound: true,
            signature: channel.sign_proof(device.key, device.address, device.device_id, device.generation),
            generation: device.generation,
        };
        match connection.request(&Request::Authenticate(proof)).await? {
            Response::Authenticate(reply) => Ok((connection, reply)),
            _ => Err(RequestError::Unexpected.into()),
        }
    }

    /// Whether both are clones of one connection.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.quic.stable_id() == other.quic.stable_id()
    }

    /// The hash by which to pin this server.
    #[must_use]
    pub fn server_key_hash(&self) -> [u8; 32] {
        server_key_hash(&self.server_key)
    }

    /// The server's key, by which it has signed its hello.
    #[must_use]
    pub const fn server_key(&self) -> &VerifyingKey {
        &self.server_key
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the certificate that the server showed.
    #[must_use]
    pub fn certificate_key_hash(&self) -> Option<[u8; 32]> {
        certificate_key_hash(self.quic.peer_identity()?)
    }

    /// The domain whose accounts this server keeps.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The connection as signatures see it.
    #[must_use]
    pub fn channel(&self) -> Channel<'_> {
        Channel { nonce: &self.nonce, domain: &self.domain, transport: Transport::Quic, exporter: Some(&self.exporter) }
    }

    /// Sends one request on a stream of its own and waits for its answer, at most
    /// [`REQUEST_WAIT`].
    ///
    /// # Errors
    /// [`RequestError`]; an error reply of the server is [`RequestError::Refused`]. [`Request::Subscribe`] goes by
    /// [`Self::subscribe`]; here its first event is all that is returned.
    pub async fn request(&self, request: &Request) -> Result<Response, RequestError> {
        self.request_within(request, REQUEST_WAIT).await
    }

    /// [`Self::request`] with another time to wait.
    ///
    /// # Errors
    /// The same.
    pub async fn request_within(&self, request: &Request, wait: Duration) -> Result<Response, RequestError> {
        timeout(wait, answer(self.send(request))).await.unwrap_or(Err(RequestError::TimedOut))
    }

    /// [`Self::request_within`] that lets go of the request as soon as it is on its way: half a megabyte each, where many
    /// wait for their answers.
    ///
    /// # Errors
    /// The same.
    pub async fn request_owned(&self, request: Request, wait: Duration) -> Result<Response, RequestError> {
        let bytes = frame(&request.encode());
        drop(request);
        timeout(wait, answer(send(&self.quic, bytes))).await.unwrap_or(Err(RequestError::TimedOut))
    }

    /// Datagrams that have come from the server so far. One that lives confirms what it gets, keep-alives included.
    #[must_use]
    pub fn datagrams_received(&self) -> u64 {
        self.quic.stats().udp_rx.datagrams
    }

    /// Closes the connection without waiting for anybody.
    pub fn abandon(&self) {
        self.quic.close(VarInt::from_u32(0), b"");
    }

    /// Opens the push of the device's queue.
    ///
    /// # Errors
    /// [`RequestError::Closed`] or [`RequestError::TimedOut`]; whether the server refuses is told by the first
    /// [`Subscription::next`].
    pub async fn subscribe(&self) -> Result<Subscription, RequestError> {
        let stream = timeout(REQUEST_WAIT, self.send(&Request::Subscribe)).await;
        let stream = stream.unwrap_or(Err(RequestError::TimedOut))?;
        Ok(Subscription { frames: FrameReader::new(stream) })
    }

    /// Opens the push of group logs.
    ///
    /// # Errors
    /// As with [`Self::subscribe`].
    pub async fn watch_group_logs(&self, logs: WatchGroupLogs) -> Result<GroupWatch, RequestError> {
        let stream = timeout(REQUEST_WAIT, self.send(&Request::WatchGroupLogs(logs))).await;
        let stream = stream.unwrap_or(Err(RequestError::TimedOut))?;
        Ok(GroupWatch { frames: FrameReader::new(stream) })
    }

    /// Waits until the connection is gone, and tells why.
    pub async fn closed(&self) -> RequestError {
        RequestError::closed(&self.quic.closed().await)
    }

    /// Closes the connection and gives the server a moment to learn of it.
    pub async fn close(self) {
        self.quic.close(VarInt::from_u32(0), b"");
        // A server that does not answer forgets the connection by itself.
        let _ = timeout(CLOSE_WAIT, self.endpoint.wait_idle()).await;
    }

    /// Connects and verifies the server's hello.
    async fn greet(
        server: &ServerExpectation<'_>,
        certificates: &CertificateTrust,
        keep_alive: Duration,
    ) -> Result<Self, ConnectError> {
        let name = match (server.trust, server.domain) {
            (ServerTrust::DomainCertificate, Some(domain)) => domain,
            _ => &server.address.host,
        };
        let (endpoint, quic) = connect(server.address, name, certificates, keep_alive).await?;
        let reply = say_hello(&quic).await?;
        let server_key = verify_identity(server, &reply)?;
        let exporter = exporter(&quic)?;
        let connection = Self { endpoint, quic, server_key, domain: reply.domain, nonce: reply.nonce, exporter };
        connection
            .channel()
            .verify_hello(&connection.server_key, &reply.signature)
            .map_err(|_| ConnectError::HelloSignature)?;
        match server.domain {
            Some(expected) if expected != connection.domain => {
                Err(ConnectError::WrongDomain { expected: expected.to_owned(), found: connection.domain })
            }
            _ => Ok(connection),
        }
    }

    async fn send(&self, request: &Request) -> Result<RecvStream, RequestError> {
        send(&self.quic, frame(&request.encode())).await
    }
}

/// The push of a device's queue.
#[derive(Debug)]
pub struct Subscription {
    frames: FrameReader,
}

impl Subscription {
    /// Waits for the next event; `None` when the server has ended the subscription. Dropping the future loses nothing,
    /// so it may stand in a `select`. There is no time limit: [`Connection::closed`] and the keep-alive see to a server
    /// that is gone.
    ///
    /// # Errors
    /// [`RequestError`], after which nothing more comes.
    pub async fn next(&mut self) -> Result<Option<SubscriptionEvent>, RequestError> {
        let Some(event) = self.frames.next().await? else {
            return Ok(None);
        };
        match accepted(Response::decode(&event)?)? {
            Response::Subscription(event) => Ok(Some(event)),
            _ => Err(RequestError::Unexpected),
        }
    }
}

/// The push of group logs.
#[derive(Debug)]
pub struct GroupWatch {
    frames: FrameReader,
}

impl GroupWatch {
    /// Waits for the next event, as [`Subscription::next`] does; `None` when no log is left.
    ///
    /// # Errors
    /// [`RequestError`], after which nothing more comes.
    pub async fn next(&mut self) -> Result<Option<GroupLogEvent>, RequestError> {
        let Some(event) = self.frames.next().await? else {
            return Ok(None);
        };
        match accepted(Response::decode(&event)?)? {
            Response::GroupLog(event) => Ok(Some(event)),
            _ => Err(RequestError::Unexpected),
        }
    }
}

fn exporter(quic: &quinn::Connection) -> Result<Exporter, ConnectError> {
    let mut exporter = [0; EXPORTER_LENGTH];
    quic.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"")
        .map_err(|_| ConnectError::Protocol("TLS gives no exporter".to_owned()))?;
    Ok(exporter)
}

fn certificate_key_hash(identity: Box<dyn std::any::Any>) -> Option<[u8; 32]> {
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let certificate = ParsedCertificate::try_from(chain.first()?).ok()?;
    Some(Sha256::digest(certificate.subject_public_key_info()).into())
}

fn certificate_trust(trust: ServerTrust) -> Result<CertificateTrust, ConnectError> {
    match trust {
        ServerTrust::Pinned(_) | ServerTrust::Unknown => Ok(CertificateTrust::ServerKey),
        ServerTrust::WebPki | ServerTrust::DomainCertificate => {
            CertificateTrust::web_pki().map_err(ConnectError::Certificate)
        }
    }
}

/// The server's key, if it is the pinned one. That the server holds it is for the signature to show.
fn verify_identity(server: &ServerExpectation<'_>, reply: &HelloReply) -> Result<VerifyingKey, ConnectError> {
    let server_key = VerifyingKey::from_slice(&reply.server_key).map_err(|_| ConnectError::HelloSignature)?;
    let found = server_key_hash(&server_key);
    match server.trust {
        ServerTrust::Pinned(pin) if pin != found => Err(ConnectError::ServerKeyChanged { found }),
        _ => Ok(server_key),
    }
}

async fn say_hello(quic: &quinn::Connection) -> Result<HelloReply, ConnectError> {
    let hello = send(quic, frame(&Request::Hello.encode()));
    match timeout(CONNECT_WAIT, answer(hello)).await.unwrap_or(Err(RequestError::TimedOut))? {
        Response::Hello(reply) => Ok(reply),
        _ => Err(RequestError::Unexpected.into()),
    }
}

/// Waits until a request is sent, and for its answer.
async fn answer(sent: impl Future<Output = Result<RecvStream, RequestError>>) -> Result<Response, RequestError> {
    let mut frames = FrameReader::new(sent.await?);
    let answer = frames.next().await?.ok_or(WireError::Missing("frame"))?;
    accepted(Response::decode(&answer)?)
}

/// Writes a request's frame on a new stream. The server may stop reading early; its answer says why.
async fn send(quic: &quinn::Connection, frame: Vec<u8>) -> Result<RecvStream, RequestError> {
    let (mut sending, receiving) = quic.open_bi().await.map_err(|error| RequestError::closed(&error))?;
    match sending.write_chunk(frame.into()).await {
        Ok(()) | Err(WriteError::Stopped(_)) => {}
        Err(WriteError::ConnectionLost(error)) => return Err(RequestError::closed(&error)),
        Err(error) => return Err(RequestError::Closed(error.to_string())),
    }
    // It fails only on a stream that was stopped.
    let _ = sending.finish();
    Ok(receiving)
}

fn accepted(response: Response) -> Result<Response, RequestError> {
    match response {
        Response::Error(error) => Err(RequestError::Refused(error)),
        other => Ok(other),
    }
}

/// Tries the host's network addresses one beside the other, each with a socket of its own, until one answers. Where
/// certificates count, the server's must be for `name`.
async fn connect(
    server: &ServerAddress,
    name: &str,
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<(Endpoint, quinn::Connection), ConnectError> {
    let mut last = ConnectError::Unreachable("no answer".to_owned());
    let attempts = async {
        let mut attempts = JoinSet::new();
        for (index, address) in resolve(server).await?.into_iter().enumerate() {
            let (name, certificates) = (name.to_owned(), certificates.clone());
            let stagger = CONNECT_STAGGER.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            attempts.spawn(async move {
                sleep(stagger).await;
                attempt(address, &name, &certificates, keep_alive).await
            });
        }
        while let Some(attempted) = attempts.join_next().await {
            match attempted {
                Ok(Ok(connected)) => return Ok(connected),
                // An answer that was refused says more than silence.
                Ok(Err(error)) if !matches!(error, ConnectError::Unreachable(_)) => last = error,
                Ok(Err(error)) if matches!(last, ConnectError::Unreachable(_)) => last = error,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(last)
    };
    timeout(CONNECT_WAIT, attempts)
        .await
        .unwrap_or_else(|_| Err(ConnectError::Unreachable(format!("no answer from {server}"))))
}

/// The network addresses of a host, families in turn.
async fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
    let found: Vec<_> =
        found.map_err(|error| ConnectError::Unreachable(format!("{}: {error}", server.host)))?.collect();
    let (six, four): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let mut addresses = Vec::new();
    for index in 0..six.len().max(four.len()) {
        addresses.extend(six.get(index).into_iter().chain(four.get(index)));
    }
    addresses.truncate(CONNECT_ADDRESSES_MAX);
    Ok(addresses)
}

async fn attempt(
    address: SocketAddr,
    host: &str,
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<(Endpoint, quinn::Connection), ConnectError> {
    let local = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let unreachable = |error: &dyn std::fmt::Display| ConnectError::Unreachable(format!("{address}: {error}"));
    let config = client_config(certificates, keep_alive).map_err(|error| ConnectError::Protocol(error.to_string()))?;
    let endpoint = Endpoint::client(SocketAddr::new(local, 0)).map_err(|error| unreachable(&error))?;
    let connecting = endpoint.connect_with(config, address, host).map_err(|error| unreachable(&error))?;
    match connecting.await {
        Ok(quic) => Ok((endpoint, quic)),
        Err(error) => Err(refusal(&error, address)),
    }
}

/// TLS alerts (RFC 8446 section 6.2) as QUIC carries them: 0x100 and the alert (RFC 9001 section 4.8).
fn refusal(error: &ConnectionError, address: SocketAddr) -> ConnectError {
    const TLS_ALERT: u64 = 0x100;
    const CERTIFICATE_ALERTS: std::ops::RangeInclusive<u64> = 42..=48;
    let said = || format!("{address}: {error}");
    match error {
        ConnectionError::TransportError(local) => match u64::from(local.code).checked_sub(TLS_ALERT) {
            Some(alert) if CERTIFICATE_ALERTS.contains(&alert) => ConnectError::Certificate(local.reason.clone()),
            _ => ConnectError::Protocol(said()),
        },
        ConnectionError::ConnectionClosed(close) if u64::from(close.error_code) >= TLS_ALERT => {
            ConnectError::Protocol(said())
        }
        ConnectionError::VersionMismatch => ConnectError::Protocol(said()),
        _ => ConnectError::Unreachable(said()),
    }
}

#[cfg(test)]
mod tests;
