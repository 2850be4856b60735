//! A connection to a server, over whatever carries it ([`Carrier`]). `spec/transport.md`.
//!
//! A client keeps two to its own server, and they share nothing that would tie them: not the socket, not TLS tickets,
//! not QUIC tokens.
//!
//! - A **proved** one ([`ServerConnection::proved`]) has proved a device: statements, prekeys, the own queue.
//! - An **anonymous** one ([`ServerConnection::anonymous`]) proves nothing and names no sender: submit, prekey fetch,
//!   registration, and everything at servers of other domains.
//!
//! Either begins with the server's hello, and does not come about unless the hello is signed over this very TLS
//! channel by the key that the client expects.

#[cfg(feature = "native")]
mod link;
#[cfg(feature = "native")]
mod network;
#[cfg(feature = "native")]
mod proxy;
#[cfg(feature = "native")]
mod quic;
#[cfg(feature = "native")]
mod race;
#[cfg(feature = "native")]
mod route;
#[cfg(feature = "native")]
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

use super::address::ServerAddress;
use super::carrier::{ByteStream, Carrier};
use super::frame::{FrameReader, frame};
use super::runtime::timeout;
use crate::limits::{CONNECT_WAIT, KEEP_ALIVE, REQUEST_WAIT, TRANSFER_KEEP_ALIVE};

#[cfg(feature = "native")]
pub use link::{ProgramLink, ReceiveStream};
#[cfg(feature = "native")]
pub(crate) use network::FILE_NAME as NETWORKS_FILE_NAME;
#[cfg(feature = "native")]
pub use network::LastTransport;
#[cfg(feature = "native")]
pub use proxy::{Proxy, ProxyError};
#[cfg(feature = "native")]
pub use route::{Route, RouteError, last_transport, set as set_route};

/// A program's connection.
#[cfg(feature = "native")]
pub type Connection = ServerConnection<ProgramLink>;
/// The push of a device's queue to a program.
#[cfg(feature = "native")]
pub type Subscription = QueuePush<ReceiveStream>;
/// The push of group logs to a program.
#[cfg(feature = "native")]
pub type GroupWatch = GroupLogPushes<ReceiveStream>;

/// Which server is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTrust {
    /// The one whose key has this hash ([`server_key_hash`]): from an invitation, or pinned at the first connection.
    /// Its TLS certificate may be any.
    Pinned([u8; 32]),
    /// Not known yet: whichever answers, whatever its certificate. The caller learns by another way whether it was the
    /// right one, by [`ServerConnection::server_key_hash`], and tells it no secret before.
    Unknown,
    /// The one that has a certificate of the Web's PKI for its host. The caller pins
    /// [`ServerConnection::server_key_hash`] from then on.
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
    /// The domain whose accounts it keeps; `None` if that is to be learnt ([`ServerConnection::domain`]).
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

/// An open connection, its server verified. Clones share it; the last one dropped closes it.
#[derive(Debug, Clone)]
pub struct ServerConnection<C> {
    link: C,
    server_key: VerifyingKey,
    domain: String,
    /// Of the server's hello: what is signed for this connection is signed over it.
    nonce: [u8; 32],
    /// `None` on the transports of pages.
    exporter: Option<Exporter>,
}

impl<C: Carrier> ServerConnection<C> {
    /// Connects, verifies the server, and proves nothing.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn anonymous(server: &ServerExpectation<'_>) -> Result<Self, ConnectError> {
        Self::greet(server, KEEP_ALIVE).await
    }

    /// [`Self::anonymous`] for one document's pieces: the server is asked for a sign of life so often that its silence says
    /// something ([`Self::arrivals`]).
    ///
    /// # Errors
    /// [`ConnectError`]
    pub async fn for_transfer(server: &ServerExpectation<'_>) -> Result<Self, ConnectError> {
        Self::greet(server, TRANSFER_KEEP_ALIVE).await
    }

    /// Connects, verifies the server, and proves the device over this connection's TLS exporter, where a transport has one.
    ///
    /// # Errors
    /// [`ConnectError`]; the server's refusal of the proof is [`RequestError::Refused`].
    pub async fn proved(
        server: &ServerExpectation<'_>,
        device: &Device<'_>,
    ) -> Result<(Self, AuthenticateReply), ConnectError> {
        let connection = Self::greet(server, KEEP_ALIVE).await?;
        let channel = connection.channel();
        let proof = Authenticate {
            address: device.address.clone(),
            device_id: device.device_id,
            transport: connection.transport(),
            exporter_bound: connection.exporter.is_some(),
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
    pub fn transport(&self) -> Transport {
        self.link.transport()
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
        self.link.certificate_key_hash()
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
        Channel { nonce: &self.nonce, domain: &self.domain, transport, exporter: self.exporter.as_ref() }
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
    /// [`QueuePush::next`].
    pub async fn subscribe(&self) -> Result<QueuePush<C::Stream>, RequestError> {
        let stream = timeout(REQUEST_WAIT, self.send(&Request::Subscribe)).await;
        let stream = stream.unwrap_or(Err(RequestError::TimedOut))?;
        Ok(QueuePush { frames: FrameReader::new(stream) })
    }

    /// Opens the push of group logs.
    ///
    /// # Errors
    /// As with [`Self::subscribe`].
    pub async fn watch_group_logs(&self, logs: WatchGroupLogs) -> Result<GroupLogPushes<C::Stream>, RequestError> {
        let stream = timeout(REQUEST_WAIT, self.send(&Request::WatchGroupLogs(logs))).await;
        let stream = stream.unwrap_or(Err(RequestError::TimedOut))?;
        Ok(GroupLogPushes { frames: FrameReader::new(stream) })
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
    async fn greet(server: &ServerExpectation<'_>, keep_alive: Duration) -> Result<Self, ConnectError> {
        Self::over(C::connect(server, keep_alive).await?, server).await
    }

    /// Verifies the server's hello.
    async fn over(link: C, server: &ServerExpectation<'_>) -> Result<Self, ConnectError> {
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

    async fn send(&self, request: &Request) -> Result<C::Stream, RequestError> {
        self.link.send(frame(&request.encode())).await
    }
}

/// The push of a device's queue.
#[derive(Debug)]
pub struct QueuePush<S> {
    frames: FrameReader<S>,
}

impl<S: ByteStream> QueuePush<S> {
    /// Waits for the next event; `None` when the server has ended the subscription. Dropping the future loses nothing,
    /// so it may stand in a `select`. There is no time limit: [`ServerConnection::closed`] and the keep-alive see to a server
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
pub struct GroupLogPushes<S> {
    frames: FrameReader<S>,
}

impl<S: ByteStream> GroupLogPushes<S> {
    /// Waits for the next event, as [`QueuePush::next`] does; `None` when no log is left.
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

/// The server's key, if it is the pinned one. That the server holds it is for the signature to show.
fn verify_identity(server: &ServerExpectation<'_>, reply: &HelloReply) -> Result<VerifyingKey, ConnectError> {
    let server_key = VerifyingKey::from_slice(&reply.server_key).map_err(|_| ConnectError::HelloSignature)?;
    let found = server_key_hash(&server_key);
    match server.trust {
        ServerTrust::Pinned(pin) if pin != found => Err(ConnectError::ServerKeyChanged { found }),
        _ => Ok(server_key),
    }
}

async fn say_hello<C: Carrier>(link: &C) -> Result<HelloReply, ConnectError> {
    let hello = link.send(frame(&Request::Hello.encode()));
    match timeout(CONNECT_WAIT, answer(hello)).await.unwrap_or(Err(RequestError::TimedOut))? {
        Response::Hello(reply) => Ok(reply),
        _ => Err(RequestError::Unexpected.into()),
    }
}

/// Waits until a request is sent, and for its answer.
async fn answer<S: ByteStream>(sent: impl Future<Output = Result<S, RequestError>>) -> Result<Response, RequestError> {
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
#[cfg(feature = "native")]
mod tests;
