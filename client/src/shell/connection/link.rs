//! What carries a connection, and its streams. Everything above sees streams of bytes, whichever transport it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use medipeps_core::label;
use medipeps_core::proof::{EXPORTER_LENGTH, Exporter};
use medipeps_core::wire::transport::Transport;
use quinn::{ConnectionError, Endpoint, ReadError, VarInt, WriteError};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::{ConnectError, RequestError, ServerExpectation, ServerTrust, race};
use crate::limits::{CLOSE_WAIT, READ_LENGTH, WEBSOCKET_CLOSE_WAIT};
use crate::shell::carrier::{ByteStream, Carrier};
use crate::shell::tls::CertificateTrust;

/// What carries a connection of a program: QUIC or WebSocket, whichever gets through.
#[derive(Debug, Clone)]
pub struct ProgramLink(pub(super) Link);

impl Carrier for ProgramLink {
    type Stream = ReceiveStream;

    async fn connect(server: &ServerExpectation<'_>, keep_alive: Duration) -> Result<Self, ConnectError> {
        Ok(Self(race::connect(server.address, &certificate_trust(server)?, keep_alive).await?))
    }

    fn transport(&self) -> Transport {
        self.0.transport()
    }

    fn exporter(&self) -> Result<Option<Exporter>, ConnectError> {
        self.0.exporter().map(Some)
    }

    fn certificate_key_hash(&self) -> Option<[u8; 32]> {
        self.0.certificate_key_hash()
    }

    fn is(&self, other: &Self) -> bool {
        self.0.is(&other.0)
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<ReceiveStream, RequestError> {
        self.0.send(bytes).await
    }

    fn arrivals(&self) -> u64 {
        self.0.arrivals()
    }

    fn abandon(&self) {
        self.0.abandon();
    }

    async fn closed(&self) -> RequestError {
        self.0.closed().await
    }

    async fn close(self) {
        self.0.close().await;
    }
}

fn certificate_trust(server: &ServerExpectation<'_>) -> Result<CertificateTrust, ConnectError> {
    let name = match server.trust {
        ServerTrust::Pinned(_) | ServerTrust::Unknown => return Ok(CertificateTrust::ServerKey),
        ServerTrust::DomainCertificate => server.domain,
        ServerTrust::WebPki => None,
    };
    CertificateTrust::web_pki(name).map_err(ConnectError::Certificate)
}

/// An open connection, whatever carries it. Clones share it; the last one dropped closes it.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// QUIC with ALPN `medipeps/1`.
    Quic(QuicLink),
    /// qmux over WebSocket.
    WebSocket(Arc<WebSocketLink>),
}

/// A QUIC connection and its socket.
#[derive(Debug, Clone)]
pub(super) struct QuicLink {
    pub(super) endpoint: Endpoint,
    pub(super) connection: quinn::Connection,
}

/// Streams over a WebSocket.
pub(super) struct WebSocketLink {
    pub(super) session: qmux::Session,
    pub(super) exporter: Exporter,
    /// Of the certificate that the server showed.
    pub(super) certificate_key_hash: Option<[u8; 32]>,
    /// How often something was read from the socket.
    pub(super) arrivals: Arc<AtomicU64>,
}

impl fmt::Debug for WebSocketLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebSocketLink").finish_non_exhaustive()
    }
}

/// SHA-256 of the SubjectPublicKeyInfo of the first certificate of a chain.
pub(super) fn key_hash(chain: Option<&[CertificateDer<'_>]>) -> Option<[u8; 32]> {
    let certificate = ParsedCertificate::try_from(chain?.first()?).ok()?;
    Some(Sha256::digest(certificate.subject_public_key_info()).into())
}

impl Link {
    /// What is signed about how the two ends are connected.
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::Quic(_) => Transport::Quic,
            Self::WebSocket(_) => Transport::WebSocket,
        }
    }

    /// What TLS gives both ends of this very connection.
    pub(super) fn exporter(&self) -> Result<Exporter, ConnectError> {
        match self {
            Self::Quic(link) => {
                let mut exporter = [0; EXPORTER_LENGTH];
                link.connection
                    .export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"")
                    .map_err(|_| ConnectError::Protocol("TLS gives no exporter".to_owned()))?;
                Ok(exporter)
            }
            Self::WebSocket(link) => Ok(link.exporter),
        }
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the certificate that the server showed.
    pub(super) fn certificate_key_hash(&self) -> Option<[u8; 32]> {
        match self {
            Self::Quic(link) => {
                let chain = link.connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
                key_hash(Some(&chain))
            }
            Self::WebSocket(link) => link.certificate_key_hash,
        }
    }

    /// Whether both are clones of one connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Quic(one), Self::Quic(other)) => one.connection.stable_id() == other.connection.stable_id(),
            (Self::WebSocket(one), Self::WebSocket(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Writes these bytes on a new stream and ends it. The server may stop reading early; its answer says why.
    pub(super) async fn send(&self, bytes: Vec<u8>) -> Result<ReceiveStream, RequestError> {
        match self {
            Self::Quic(link) => {
                let opened = link.connection.open_bi().await;
                let (mut sending, receiving) = opened.map_err(|error| quic_closed(&error))?;
                match sending.write_chunk(bytes.into()).await {
                    Ok(()) | Err(WriteError::Stopped(_)) => {}
                    Err(WriteError::ConnectionLost(error)) => return Err(quic_closed(&error)),
                    Err(error) => return Err(RequestError::Closed(error.to_string())),
                }
                // It fails only on a stream that was stopped.
                let _ = sending.finish();
                Ok(ReceiveStream(Receiving::Quic(receiving)))
            }
            Self::WebSocket(link) => {
                let opened = link.session.open_bi().await;
                let (mut sending, receiving) = opened.map_err(|error| websocket_closed(&error))?;
                match sending.write_all(&bytes).await {
                    Ok(()) | Err(qmux::Error::StreamStop(_)) => {}
                    Err(error) => return Err(websocket_closed(&error)),
                }
                // It fails only on a stream that was stopped.
                let _ = sending.finish();
                Ok(ReceiveStream(Receiving::WebSocket(receiving)))
            }
        }
    }

    /// How often something has come from the server so far: datagrams, or reads of the socket.
    pub(super) fn arrivals(&self) -> u64 {
        match self {
            Self::Quic(link) => link.connection.stats().udp_rx.datagrams,
            Self::WebSocket(link) => link.arrivals.load(Ordering::Relaxed),
        }
    }

    /// Closes the connection without waiting for anybody.
    pub(super) fn abandon(&self) {
        match self {
            Self::Quic(link) => link.connection.close(VarInt::from_u32(0), b""),
            Self::WebSocket(link) => link.session.close(0, ""),
        }
    }

    /// Waits until the connection is gone, and tells why.
    pub(super) async fn closed(&self) -> RequestError {
        match self {
            Self::Quic(link) => quic_closed(&link.connection.closed().await),
            Self::WebSocket(link) => websocket_closed(&link.session.closed().await),
        }
    }

    /// Closes the connection and gives the server a moment to learn of it.
    pub(super) async fn close(self) {
        self.abandon();
        match self {
            // A server that does not answer forgets the connection by itself.
            Self::Quic(link) => {
                let _ = timeout(CLOSE_WAIT, link.endpoint.wait_idle()).await;
            }
            // The system delivers what has been written.
            Self::WebSocket(_) => sleep(WEBSOCKET_CLOSE_WAIT).await,
        }
    }
}

/// The server's half of a stream.
pub struct ReceiveStream(Receiving);

enum Receiving {
    Quic(quinn::RecvStream),
    WebSocket(qmux::RecvStream),
}

impl fmt::Debug for ReceiveStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReceiveStream").finish_non_exhaustive()
    }
}

impl ByteStream for ReceiveStream {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RequestError> {
        match &mut self.0 {
            Receiving::Quic(stream) => match stream.read_chunk(READ_LENGTH, true).await {
                Ok(Some(chunk)) => buffer.extend_from_slice(&chunk.bytes),
                Ok(None) => return Ok(false),
                Err(ReadError::ConnectionLost(error)) => return Err(quic_closed(&error)),
                Err(error) => return Err(RequestError::Closed(error.to_string())),
            },
            Receiving::WebSocket(stream) => match stream.read_chunk(READ_LENGTH).await {
                Ok(Some(chunk)) => buffer.extend_from_slice(&chunk),
                Ok(None) => return Ok(false),
                Err(error) => return Err(websocket_closed(&error)),
            },
        }
        Ok(true)
    }
}

fn quic_closed(error: &ConnectionError) -> RequestError {
    match error {
        ConnectionError::TimedOut => RequestError::TimedOut,
        other => RequestError::Closed(other.to_string()),
    }
}

fn websocket_closed(error: &qmux::Error) -> RequestError {
    match error {
        qmux::Error::IdleTimeout | qmux::Error::HandshakeTimeout => RequestError::TimedOut,
        other => RequestError::Closed(other.to_string()),
    }
}

/// How long a WebSocket may be silent, and how often the client asks for a sign of life.
pub(super) fn websocket_keep_alive(silence: Duration) -> qmux::ws::KeepAlive {
    qmux::ws::KeepAlive::new(silence, silence)
}
