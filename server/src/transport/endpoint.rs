//! Where the server listens: the QUIC endpoint with its limits and the keys that let clients of a former process learn of
//! the restart, and the TCP socket for WebSocket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};

use super::certificate::{CertificateError, Certificates, tls_config};
use super::quic::ALPN_HTTP3;
use super::websocket::WebSocketListener;
use crate::config::Config;
use crate::environment::Environment;
use crate::key_file::{KeyFileError, load_or_draw};
use crate::limits::{
    CONNECTION_RECEIVE_WINDOW, CONNECTION_SEND_WINDOW, FREE_PORT_ATTEMPTS, HTTP3_UNI_STREAMS_MAX, INCOMING_BUFFER,
    INCOMING_BUFFER_TOTAL, INCOMING_MAX, SOCKET_RECEIVE_BUFFER, STREAM_RECEIVE_WINDOW, STREAMS_MAX, TCP_BACKLOG,
};

/// Why the server does not listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The socket cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Socket {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// TLS has no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The keys of QUIC cannot be kept.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The cryptography library refuses the configuration.
    #[error("QUIC cannot be set up: {0}")]
    Quic(String),
}

/// What the server listens on.
pub(crate) struct Listeners {
    /// For QUIC.
    pub(crate) endpoint: Endpoint,
    /// For WebSocket, unless the configuration has none.
    pub(crate) websocket: Option<WebSocketListener>,
}

/// Listens on sockets that were handed over, and else on the addresses of the configuration.
pub(crate) fn listen(
    config: &Config,
    environment: &dyn Environment,
    certificates: &Arc<Certificates>,
    handed_over: (Option<UdpSocket>, Option<std::net::TcpListener>),
) -> Result<Listeners, ListenError> {
    let tls = tls_config(certificates).map_err(|error| ListenError::Quic(error.to_string()))?;
    let (udp, tcp) = bind(config, handed_over)?;
    let idle = Duration::from_secs(u64::from(config.connection.idle_seconds));
    Ok(Listeners {
        endpoint: endpoint(config, environment, certificates, udp)?,
        websocket: tcp.map(|tcp| WebSocketListener::new(tcp, tls, idle)),
    })
}

/// The sockets. TCP has the port number of UDP unless it is configured, because that is where clients look for it.
fn bind(
    config: &Config,
    (handed_udp, handed_tcp): (Option<UdpSocket>, Option<std::net::TcpListener>),
) -> Result<(UdpSocket, Option<TcpListener>), ListenError> {
    let udp = |address| UdpSocket::bind(address).map_err(|error| ListenError::Socket { address, error });
    let tcp = |address| listen_tcp(address).map_err(|error| ListenError::Socket { address, error });
    let port_of =
        |socket: &UdpSocket| socket.local_addr().map_err(|error| ListenError::Socket { address: config.listen, error });
    if let Some(listener) = handed_tcp.filter(|_| config.transport.websocket) {
        let listener = take_over(listener).map_err(|error| ListenError::Socket { address: config.listen, error })?;
        return Ok((handed_udp.map_or_else(|| udp(config.listen), Ok)?, Some(listener)));
    }
    let is_handed_over = handed_udp.is_some();
    let first = handed_udp.map_or_else(|| udp(config.listen), Ok)?;
    if !config.transport.websocket {
        return Ok((first, None));
    }
    if let Some(address) = config.transport.websocket_listen {
        return Ok((first, Some(tcp(address)?)));
    }
    // A port that was left open must be free for both.
    let more = if config.listen.port() == 0 && !is_handed_over { FREE_PORT_ATTEMPTS } else { 1 };
    let mut socket = first;
    for _ in 1..more {
        if let Ok(listener) = tcp(port_of(&socket)?) {
            return Ok((socket, Some(listener)));
        }
        socket = udp(config.listen)?;
    }
    let address = port_of(&socket)?;
    Ok((socket, Some(tcp(address)?)))
}

fn take_over(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server takes the port although connections of the former one linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(TCP_BACKLOG)
}

fn endpoint(
    config: &Config,
    environment: &dyn Environment,
    certificates: &Arc<Certificates>,
    socket: UdpSocket,
) -> Result<Endpoint, ListenError> {
    let keys = load_or_draw::<72>(&config.data_dir.join("quic.key"), environment)?;
    let (reset, rest) = keys.split_at(32);
    let (_, connection_ids) = rest.split_at(32);

    let mut endpoint = EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, reset)));
    // A stateless reset is sent only for connection ids that the generator recognises, so its key must last too.
    let connection_ids = connection_ids.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
    endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_ids)));

    // The kernel gives what it allows; less is slower under load, not wrong.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_RECEIVE_BUFFER);
    let server = accept_config(config, environment, certificates)?;
    Endpoint::new(endpoint, Some(server), socket, Arc::new(quinn::TokioRuntime))
        .map_err(|error| ListenError::Socket { address: config.listen, error })
}

/// How connections are accepted over QUIC. Another configuration makes another; open connections keep theirs.
pub(crate) fn accept_config(
    config: &Config,
    environment: &dyn Environment,
    certificates: &Arc<Certificates>,
) -> Result<ServerConfig, ListenError> {
    let failed = |error: &dyn std::fmt::Display| ListenError::Quic(error.to_string());
    let mut tls = tls_config(certificates).map_err(|error| failed(&error))?;
    let browsers = !config.transport.allowed_origins.is_empty();
    if browsers {
        tls.alpn_protocols.push(ALPN_HTTP3.to_vec());
    }
    let tls = QuicServerConfig::try_from(tls).map_err(|error| failed(&error))?;
    let keys = load_or_draw::<72>(&config.data_dir.join("quic.key"), environment)?;
    let token = &keys[32..64];
    let token = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(token);
    let mut server = ServerConfig::new(Arc::new(tls), Arc::new(token));
    server
        .transport_config(Arc::new(transport_config(config, browsers)))
        .migration(true)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    // Tokens for later connections would tie those to this one.
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    server.validation_token_config(tokens);
    Ok(server)
}

/// `browsers` have streams of one direction, on HTTP/3, and one more of both, for the session itself.
fn transport_config(config: &Config, browsers: bool) -> TransportConfig {
    let idle = VarInt::from_u32(config.connection.idle_seconds.saturating_mul(1000));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX + u32::from(browsers)))
        .max_concurrent_uni_streams(VarInt::from_u32(if browsers { HTTP3_UNI_STREAMS_MAX } else { 0 }))
        .receive_window(VarInt::from_u32(CONNECTION_RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .send_window(CONNECTION_SEND_WINDOW)
        .max_idle_timeout(Some(IdleTimeout::from(idle)))
        // Whoever wants to be reached keeps the connection alive; the server never wakes a phone for it.
        .keep_alive_interval(None::<Duration>)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    transport
}
