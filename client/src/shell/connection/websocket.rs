//! Connecting by WebSocket over TLS on TCP, for networks that block UDP. `spec/transport.md`, section "WebSocket".

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use medipeps_core::label;
use medipeps_core::proof::{EXPORTER_LENGTH, Exporter};
use qmux::ws::tokio_tungstenite::client_async_with_config;
use qmux::ws::tungstenite;
use qmux::ws::tungstenite::client::ClientRequestBuilder;
use qmux::ws::tungstenite::protocol::WebSocketConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::ConnectError;
use super::link::{Link, WebSocketLink, websocket_keep_alive};
use super::proxy::Proxy;
use super::race::more_telling;
use crate::limits::{
    CONNECT_STAGGER, IDLE_TIMEOUT, WEBSOCKET_BUFFER, WEBSOCKET_MESSAGE_LENGTH_MAX, WEBSOCKET_STREAM_RECEIVE_WINDOW,
    WEBSOCKET_WRITE_BUFFER_MAX,
};
use crate::shell::address::ServerAddress;
use crate::shell::tls::{ALPN_HTTP1, CertificateTrust, tls_config};

/// The subprotocol: this protocol's streams by the second draft of qmux.
const SUBPROTOCOL: &str = "qmux-02.medipeps-1";
/// Where the server takes WebSocket.
const PATH: &str = "/medipeps/1";
/// More than any connection carries: the windows of the streams are what bounds it. qmux does not give back what a stream
/// that was let go of had taken of a window for the whole connection.
const NO_CONNECTION_WINDOW: u64 = 1 << 60;

/// Connects straight to one of the network addresses.
pub(super) async fn connect(
    server: &ServerAddress,
    addresses: &[SocketAddr],
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<Link, ConnectError> {
    upgrade(reach(addresses).await?, server, certificates, keep_alive).await
}

/// Connects through a proxy, which looks the host up.
pub(super) async fn connect_through(
    proxy: &Proxy,
    server: &ServerAddress,
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<Link, ConnectError> {
    let addresses = super::race::resolve(&proxy.address).await?;
    let mut socket = reach(&addresses).await?;
    proxy.open_tunnel(&mut socket, server).await?;
    upgrade(socket, server, certificates, keep_alive).await
}

/// Tries the network addresses one beside the other until one takes the connection.
async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Unreachable("no answer".to_owned());
    let mut attempts = JoinSet::new();
    for (index, address) in addresses.iter().copied().enumerate() {
        let stagger = CONNECT_STAGGER.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
        attempts.spawn(async move {
            sleep(stagger).await;
            TcpStream::connect(address).await.map_err(|error| unreachable(&format!("{address}: {error}")))
        });
    }
    while let Some(attempted) = attempts.join_next().await {
        match attempted {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = more_telling(last, error),
            Err(_) => {}
        }
    }
    Err(last)
}

/// TLS, the upgrade from HTTP, then qmux.
async fn upgrade(
    socket: TcpStream,
    server: &ServerAddress,
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<Link, ConnectError> {
    let _ = socket.set_nodelay(true);
    let arrivals = Arc::new(AtomicU64::new(0));
    let socket = Counted { socket, arrivals: arrivals.clone() };
    let protocol = |error: &dyn std::fmt::Display| ConnectError::Protocol(format!("{server} (TCP): {error}"));
    let config = tls_config(certificates, ALPN_HTTP1).map_err(|error| protocol(&error))?;
    let name = ServerName::try_from(server.host.clone()).map_err(|error| protocol(&error))?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    let tls = tls.map_err(|error| tls_refusal(server, &error))?;
    let exporter = exporter(tls.get_ref().1).ok_or_else(|| protocol(&"TLS gives no exporter"))?;
    let url = format!("wss://{server}{PATH}").parse().map_err(|error| protocol(&error))?;
    let request = ClientRequestBuilder::new(url).with_sub_protocol(SUBPROTOCOL);
    let upgraded = client_async_with_config(request, tls, Some(socket_config())).await;
    let (socket, _) = upgraded.map_err(|error| match error {
        tungstenite::Error::Io(error) => unreachable(&format!("{server} (TCP): {error}")),
        error => protocol(&error),
    })?;
    let session = qmux::ws::Upgraded::new(socket)
        .with_alpn(SUBPROTOCOL)
        .with_keep_alive(websocket_keep_alive(IDLE_TIMEOUT))
        .with_session_config(session_config(keep_alive))
        .connect();
    Ok(Link::WebSocket(Arc::new(WebSocketLink { session, exporter, arrivals })))
}

fn exporter(tls: &rustls::ClientConnection) -> Option<Exporter> {
    tls.export_keying_material([0; EXPORTER_LENGTH], label::TLS_EXPORTER.as_bytes(), Some(b"")).ok()
}

fn unreachable(what: &str) -> ConnectError {
    ConnectError::Unreachable(what.to_owned())
}

/// Why TLS did not come about.
fn tls_refusal(server: &ServerAddress, error: &io::Error) -> ConnectError {
    let said = format!("{server} (TCP): {error}");
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => ConnectError::Certificate(said),
        Some(_) => ConnectError::Protocol(said),
        None => ConnectError::Unreachable(said),
    }
}

fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(WEBSOCKET_BUFFER)
        .write_buffer_size(WEBSOCKET_BUFFER)
        .max_write_buffer_size(WEBSOCKET_WRITE_BUFFER_MAX)
        .max_message_size(Some(WEBSOCKET_MESSAGE_LENGTH_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_LENGTH_MAX))
}

fn session_config(keep_alive: Duration) -> qmux::Config {
    let mut config = qmux::Config::default();
    // The client opens every stream.
    config.max_streams_bidi = 0;
    config.max_streams_uni = 0;
    config.max_data = NO_CONNECTION_WINDOW;
    config.max_stream_data_bidi_local = WEBSOCKET_STREAM_RECEIVE_WINDOW;
    config.max_stream_data_bidi_remote = 0;
    config.max_stream_data_uni = 0;
    // The server's alone: a shorter one would make the server send keep-alives.
    config.max_idle_timeout = 0;
    config.max_datagram_frame_size = 0;
    // What keeps proxies and address translators from forgetting the connection, and is answered by a server that lives.
    config.rtt_interval = keep_alive;
    config
}

/// A socket that counts how often something was read.
#[derive(Debug)]
struct Counted {
    socket: TcpStream,
    arrivals: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.socket).poll_read(context, into);
        if into.filled().len() > before {
            self.arrivals.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
