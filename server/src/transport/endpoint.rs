//! The QUIC endpoint: its socket, its limits, and the keys that let clients of a former process learn of the restart.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use thiserror::Error;

use super::certificate::{CertificateError, Certificates, tls_config};
use crate::config::Config;
use crate::environment::Environment;
use crate::key_file::{KeyFileError, load_or_draw};
use crate::limits::{
    CONNECTION_RECEIVE_WINDOW, CONNECTION_SEND_WINDOW, INCOMING_BUFFER, INCOMING_BUFFER_TOTAL, INCOMING_MAX,
    SOCKET_RECEIVE_BUFFER, STREAM_RECEIVE_WINDOW, STREAMS_MAX,
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

/// Listens for QUIC on a socket that was handed over, or else on the address of the configuration.
pub(crate) fn listen(
    config: &Config,
    environment: &dyn Environment,
    certificates: &Arc<Certificates>,
    socket: Option<UdpSocket>,
) -> Result<Endpoint, ListenError> {
    let keys = load_or_draw::<72>(&config.data_dir.join("quic.key"), environment)?;
    let (reset, rest) = keys.split_at(32);
    let (_, connection_ids) = rest.split_at(32);

    let mut endpoint = EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, reset)));
    // A stateless reset is sent only for connection ids that the generator recognises, so its key must last too.
    let connection_ids = connection_ids.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
    endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_ids)));

    let failed = |error| ListenError::Socket { address: config.listen, error };
    let socket = match socket {
        Some(socket) => socket,
        None => UdpSocket::bind(config.listen).map_err(failed)?,
    };
    // The kernel gives what it allows; less is slower under load, not wrong.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_RECEIVE_BUFFER);
    let server = accept_config(config, environment, certificates)?;
    Endpoint::new(endpoint, Some(server), socket, Arc::new(quinn::TokioRuntime)).map_err(failed)
}

/// How connections are accepted. Another configuration makes another; open connections keep theirs.
pub(crate) fn accept_config(
    config: &Config,
    environment: &dyn Environment,
    certificates: &Arc<Certificates>,
) -> Result<ServerConfig, ListenError> {
    let failed = |error: &dyn std::fmt::Display| ListenError::Quic(error.to_string());
    let tls = tls_config(certificates).map_err(|error| failed(&error))?;
    let tls = QuicServerConfig::try_from(tls).map_err(|error| failed(&error))?;
    let keys = load_or_draw::<72>(&config.data_dir.join("quic.key"), environment)?;
    let token = &keys[32..64];
    let token = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(token);
    let mut server = ServerConfig::new(Arc::new(tls), Arc::new(token));
    server
        .transport_config(Arc::new(transport_config(config)))
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

fn transport_config(config: &Config) -> TransportConfig {
    let idle = VarInt::from_u32(config.connection.idle_seconds.saturating_mul(1000));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
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
