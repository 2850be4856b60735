//! A connection to a server, over QUIC or WebSocket, whichever gets through. `spec/transport.md`.
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

mod link;
mod network;
mod proxy;
mod quic;
mod race;
mod route;
mod websocket;

use std::time::Duration;

use medipeps_core::Address;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::proof::{Channel, Exporter, server_key_hash};
use medipeps_core::wire::WireError;
use medipeps_core::wire::transport::{
    Authenticate, AuthenticateReply, ErrorReply, GroupLogEvent, HelloReply, Request, Response, SubscriptionEvent,
    Transport, WatchGroupLogs,
};
use thiserror::Error;
use tokio::time::timeout;

use super::address::ServerAddress;
use super::frame::{FrameReader, frame};
use super::tls::CertificateTrust;
use crate::limits::{CONNECT_WAIT, KEEP_ALIVE, REQUEST_WAIT, TRANSFER_KEEP_ALIVE};
use link::Link;

pub(super) use link::ReceiveStream;
pub(crate) use network::FILE_NAME as NETWORKS_FILE_NAME;
pub use network::LastTransport;
pub use proxy::{Proxy, ProxyError};
pub use route::{Route, RouteError, last_transport, set as set_route};

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
    /// The proxy on the way does not let the connection through.
    #[error("the proxy does not let it through: {0}")]
    Proxy(String),
    /// Something answers there that does not speak this protocol.
    #[error("there is no Medipeps server there: {0}")]
    Protocol(String),
    /// The server has another key than the pinned one. Nothing was sent to it; a person has to decide.
    #[error("the server's key has changed: this is another server than before, or somebody stands between")]
    ServerKeyChanged {
        /// Hash of the key that the server showed, whose possession has not been proved.
        found: [u8; 32],
    },
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

/// An open connection, its server verified. Clones share it; the last one dropped closes it.
#[derive(Debug, Clone)]
pub struct Connection {
    link: Link,
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
        Self::greet(server, &certificate_trust(server.trust), KEEP_ALIVE).await
    }

    /// [`Self::anonymous`] for one document's pieces: the server is asked for a sign of life so often that its silence says
    /// something ([`Self::arrivals`]).
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn for_transfer(server: &ServerExpectation<'_>) -> Result<Self, ConnectError> {
        Self::greet(server, &certificate_trust(server.trust), TRANSFER_KEEP_ALIVE).await
    }

    /// Connects, verifies the server, and proves the device over this connection's TLS exporter.
    ///
    /// # Errors
    /// [`ConnectError`]; the server's refusal of the proof is [`RequestError::Refused`].
    pub async fn proved(
        server: &ServerExpectation<'_>,
        device: &Device<'_>,
    ) -> Result<(Self, AuthenticateReply), ConnectError> {
        let connection = Self::greet(server, &certificate_trust(server.trust), KEEP_ALIVE).await?;
        let channel = connection.channel();
        let proof = Authenticate {
            address: device.address.clone(),
            device_id: device.device_id,
            transport: connection.transport(),
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
        self.link.is(&other.link)
    }

    /// What carries it.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.link.transport()
    }

    /// The hash by which to pin this server.
    #[must_use]
    pub fn server_key_hash(&self) -> [u8; 32] {
        server_key_hash(&self.server_key)
    }

    /// The domain whose accounts this server keeps.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The connection as signatures see it.
    #[must_use]
    pub fn channel(&self) -> Channel<'_> {
        let transport = self.transport();
        Channel { nonce: &self.nonce, domain: &self.domain, transport, exporter: Some(&self.exporter) }
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
        timeout(wait, answer(self.link.send(bytes))).await.unwrap_or(Err(RequestError::TimedOut))
    }

    /// How often something has come from the server so far. One that lives answers what it gets, keep-alives included.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.link.arrivals()
    }

    /// Closes the connection without waiting for anybody.
    pub fn abandon(&self) {
        self.link.abandon();
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
        self.link.closed().await
    }

    /// Closes the connection and gives the server a moment to learn of it.
    pub async fn close(self) {
        self.link.close().await;
    }

    /// Connects and verifies the server's hello.
    async fn greet(
        server: &ServerExpectation<'_>,
        certificates: &CertificateTrust,
        keep_alive: Duration,
    ) -> Result<Self, ConnectError> {
        let link = race::connect(server.address, certificates, keep_alive).await?;
        let reply = say_hello(&link).await?;
        let server_key = verify_identity(server, &reply)?;
        let exporter = link.exporter()?;
        let connection = Self { link, server_key, domain: reply.domain, nonce: reply.nonce, exporter };
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

    async fn send(&self, request: &Request) -> Result<ReceiveStream, RequestError> {
        self.link.send(frame(&request.encode())).await
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

fn certificate_trust(trust: ServerTrust) -> CertificateTrust {
    match trust {
        ServerTrust::Pinned(_) | ServerTrust::Unknown => CertificateTrust::ServerKey,
        ServerTrust::WebPki => CertificateTrust::web_pki(),
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

async fn say_hello(link: &Link) -> Result<HelloReply, ConnectError> {
    let hello = link.send(frame(&Request::Hello.encode()));
    match timeout(CONNECT_WAIT, answer(hello)).await.unwrap_or(Err(RequestError::TimedOut))? {
        Response::Hello(reply) => Ok(reply),
        _ => Err(RequestError::Unexpected.into()),
    }
}

/// Waits until a request is sent, and for its answer.
async fn answer(sent: impl Future<Output = Result<ReceiveStream, RequestError>>) -> Result<Response, RequestError> {
    let mut frames = FrameReader::new(sent.await?);
    let answer = frames.next().await?.ok_or(WireError::Missing("frame"))?;
    accepted(Response::decode(&answer)?)
}

fn accepted(response: Response) -> Result<Response, RequestError> {
    match response {
        Response::Error(error) => Err(RequestError::Refused(error)),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests;
