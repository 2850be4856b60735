//! The protocol for very many clients in one program: connections that share UDP sockets, where a real client has one each.
//!
//! Active clients use the real client's connection instead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use medipeps_client::shell::tls::pinned_quic_config;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::label;
use medipeps_core::limits::FRAME_LENGTH_MAX;
use medipeps_core::proof::{Channel, EXPORTER_LENGTH, Exporter, server_key_hash};
use medipeps_core::wire::transport::{Authenticate, HelloReply, Request, Response, SubscriptionEvent, Transport};
use quinn::{ClientConfig, Endpoint, RecvStream};
use tokio::time::timeout;

use crate::account::Account;
use crate::error::LoadError;

/// How long a handshake or an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two keep-alives, as a client in the foreground sends them.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// Connections over one socket.
const CONNECTIONS_PER_SOCKET: usize = 500;
/// Bytes that a socket of many connections may have waiting.
const SOCKET_BUFFER: usize = 2 << 20;

/// Where the server is and by which key it is known.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) domain: String,
    pub(crate) key_hash: [u8; 32],
    /// Whether all clients come from one network address.
    pub(crate) one_source: bool,
}

/// Sockets for many connections, each from a network address of its own where the server is on this machine.
#[derive(Debug)]
pub(crate) struct Sockets {
    place: Place,
    config: ClientConfig,
    endpoints: Vec<Endpoint>,
}

/// A connection whose server is verified.
#[derive(Debug)]
pub(crate) struct Connection {
    quic: quinn::Connection,
    nonce: [u8; 32],
    domain: String,
    exporter: Exporter,
}

/// A connection that has proved a device and subscribed.
#[derive(Debug)]
pub(crate) struct Subscribed {
    connection: Connection,
    _events: RecvStream,
}

impl Sockets {
    /// As many as so many connections need.
    pub(crate) fn open(place: &Place, connections: usize) -> Result<Self, LoadError> {
        let config = pinned_quic_config(KEEP_ALIVE).map_err(|error| LoadError::server("TLS")(&error))?;
        let count = connections.div_ceil(CONNECTIONS_PER_SOCKET).max(1);
        let endpoints = (0..count).map(|index| socket(place, index));
        Ok(Self { place: place.clone(), config, endpoints: endpoints.collect::<Result<_, _>>()? })
    }

    /// Connects over the socket of this number's turn, says Hello, and verifies the server.
    pub(crate) async fn connect(&self, number: usize) -> Result<Connection, LoadError> {
        let failed = LoadError::server("connecting");
        let Some(endpoint) = self.endpoints.get(number % self.endpoints.len().max(1)) else {
            return Err(failed(&"there is no socket"));
        };
        let connecting = endpoint.connect_with(self.config.clone(), self.place.address, &self.place.host);
        let connecting = connecting.map_err(|error| failed(&error))?;
        let connected = timeout(PATIENCE, connecting).await.map_err(|_| failed(&"no answer"))?;
        let quic = connected.map_err(|error| failed(&error))?;
        let mut exporter = [0; EXPORTER_LENGTH];
        quic.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"")
            .map_err(|_| failed(&"TLS gives no exporter"))?;
        match ask(&quic, &Request::Hello).await? {
            Response::Hello(hello) => self.verify(quic, hello, exporter),
            other => Err(failed(&format!("Hello was answered with {other:?}"))),
        }
    }

    fn verify(&self, quic: quinn::Connection, hello: HelloReply, exporter: Exporter) -> Result<Connection, LoadError> {
        let failed = LoadError::server("Hello");
        let key = VerifyingKey::from_slice(&hello.server_key).map_err(|_| failed(&"the server's key is none"))?;
        if server_key_hash(&key) != self.place.key_hash || hello.domain != self.place.domain {
            return Err(failed(&"it is another server than that of the invitations"));
        }
        let connection = Connection { quic, nonce: hello.nonce, domain: hello.domain, exporter };
        let verified = connection.channel().verify_hello(&key, &hello.signature);
        verified.map_err(|_| failed(&"the server's signature does not verify"))?;
        Ok(connection)
    }
}

impl Connection {
    /// Asks, and has an answer that is no refusal.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Response, LoadError> {
        ask(&self.quic, request).await
    }

    /// Proves the account's device and subscribes.
    pub(crate) async fn subscribe(self, account: &Account) -> Result<Subscribed, LoadError> {
        let (address, device_id) = (account.address(), account.device_id());
        let signature = self.channel().sign_proof(account.device_key(), address, device_id, 0);
        let proof = Authenticate {
            address: address.clone(),
            device_id,
            transport: Transport::Quic,
            exporter_bound: true,
            signature,
            generation: 0,
        };
        self.ask(&Request::Authenticate(proof)).await?;
        let failed = LoadError::server("Subscribe");
        let mut events = send(&self.quic, &Request::Subscribe).await.map_err(|error| failed(&error))?;
        match timeout(PATIENCE, read(&mut events))
            .await
            .map_err(|_| failed(&"no answer"))?
            .map_err(|error| failed(&error))?
        {
            Response::Subscription(SubscriptionEvent::Open(_)) => Ok(Subscribed { connection: self, _events: events }),
            other => Err(failed(&format!("answered with {other:?}"))),
        }
    }

    fn channel(&self) -> Channel<'_> {
        Channel { nonce: &self.nonce, domain: &self.domain, transport: Transport::Quic, exporter: Some(&self.exporter) }
    }
}

impl Subscribed {
    /// Whether it is still there.
    pub(crate) fn is_open(&self) -> bool {
        self.connection.quic.close_reason().is_none()
    }
}

async fn ask(quic: &quinn::Connection, request: &Request) -> Result<Response, LoadError> {
    let failed = LoadError::server("a request");
    let answered = async { read(&mut send(quic, request).await?).await };
    match timeout(PATIENCE, answered)
        .await
        .map_err(|_| failed(&"no answer in time"))?
        .map_err(|error| failed(&error))?
    {
        Response::Error(error) => Err(failed(&format!("refused: {} (code {})", error.message, error.code))),
        response => Ok(response),
    }
}

async fn send(quic: &quinn::Connection, request: &Request) -> Result<RecvStream, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let (mut sending, receiving) = quic.open_bi().await.map_err(|error| said(&error))?;
    let body = request.encode();
    let length = u32::try_from(body.len()).map_err(|error| said(&error))?.to_be_bytes();
    sending.write_all(&[length.as_slice(), &body].concat()).await.map_err(|error| said(&error))?;
    // It fails only on a stream that was stopped, and then the answer says why.
    let _ = sending.finish();
    Ok(receiving)
}

async fn read(stream: &mut RecvStream) -> Result<Response, String> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(|error| error.to_string())?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_LENGTH_MAX {
        return Err(format!("an answer of {length} bytes"));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.map_err(|error| error.to_string())?;
    Response::decode(&frame).map_err(|error| error.to_string())
}

/// 127.0.1.0, 127.0.1.1, .. for a server on this machine: the kernel takes them all, and the server counts them one by one.
fn socket(place: &Place, index: usize) -> Result<Endpoint, LoadError> {
    let local = match place.address.ip() {
        // The active clients have it as well.
        IpAddr::V4(server) if server.is_loopback() && place.one_source => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(server) if server.is_loopback() => {
            let number = u16::try_from(index).unwrap_or(u16::MAX).saturating_add(256);
            let [third, fourth] = number.to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(127, 0, third, fourth))
        }
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = std::net::UdpSocket::bind((local, 0)).map_err(LoadError::system(format!("a socket on {local}")))?;
    // The kernel gives what it allows.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER);
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime).map_err(LoadError::system("QUIC"))
}
