//! WebSocket over TLS on TCP, for networks that block UDP: the upgrade, and the streams that qmux makes of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, StatusCode};
use medipeps_core::label;
use medipeps_core::proof::{EXPORTER_LENGTH, Exporter};
use medipeps_core::wire::transport::Transport;
use qmux::ws::tokio_tungstenite::accept_hdr_async_with_config;
use qmux::ws::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use qmux::ws::tungstenite::protocol::WebSocketConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::{Host, serve};
use super::door::Door;
use super::link::Link;
use super::origin::{Asker, PATH, asker};
use super::patience::Patient;
use crate::limits::{
    HANDSHAKE_TIMEOUT_MS, STREAMS_MAX, TCP_ACCEPT_RETRY_MS, WEBSOCKET_MESSAGE_LENGTH_MAX, WEBSOCKET_READ_BUFFER,
    WEBSOCKET_STREAM_RECEIVE_WINDOW, WEBSOCKET_WRITE_BUFFER, WEBSOCKET_WRITE_BUFFER_MAX, WRITE_TIMEOUT_MS,
};

/// ALPN of HTTP/1.1, which WebSocket begins with.
pub(super) const ALPN_HTTP1: &[u8] = b"http/1.1";
/// The subprotocol: this protocol's streams by the second draft of qmux.
const SUBPROTOCOL: &str = "qmux-02.medipeps-1";
/// More than any connection carries: the windows of the streams are what bounds it.
const NO_CONNECTION_WINDOW: u64 = 1 << 60;

/// Listens for WebSocket.
pub(crate) struct WebSocketListener {
    listener: TcpListener,
    tls: TlsAcceptor,
    idle: Duration,
}

/// An upgraded connection.
struct Upgraded {
    session: qmux::Session,
    exporter: Option<Exporter>,
    browser: bool,
}

impl WebSocketListener {
    /// Takes over a socket that listens. Silence of `idle` ends a connection.
    pub(super) fn new(listener: TcpListener, mut tls: rustls::ServerConfig, idle: Duration) -> Self {
        tls.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
        Self { listener, tls: TlsAcceptor::from(Arc::new(tls)), idle }
    }

    /// Where it listens.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes connections until the task is ended.
    pub(crate) async fn accept(self, door: Arc<Door>, host: Host) {
        let Self { listener, tls, idle } = self;
        while let Some(handshake) = door.begin_tcp_handshake().await {
            let (socket, address) = match listener.accept().await {
                Ok((socket, peer)) => (socket, peer.ip()),
                Err(error) => {
                    tracing::warn!(%error, "a TCP connection cannot be taken");
                    sleep(Duration::from_millis(TCP_ACCEPT_RETRY_MS)).await;
                    continue;
                }
            };
            let Some(half_open) = door.half_open(address.into()) else {
                tracing::debug!("a connection was refused: too many handshakes of its address are under way");
                count(&host, "refused");
                continue;
            };
            let Some(places) = door.enter(address.into()) else {
                tracing::debug!("a connection was refused: too many are open");
                count(&host, "refused");
                continue;
            };
            let (tls, host) = (tls.clone(), host.clone());
            tokio::spawn(async move {
                let upgraded = upgrade(socket, &tls, host.allowed_origins.clone(), idle);
                let upgraded = timeout(Duration::from_millis(HANDSHAKE_TIMEOUT_MS), upgraded).await;
                drop((handshake, half_open));
                match upgraded {
                    Ok(Ok(upgraded)) => {
                        count(&host, "completed");
                        serve_upgraded(upgraded, address, host).await;
                    }
                    Ok(Err(error)) => {
                        count(&host, "failed");
                        tracing::debug!(%error, "a WebSocket handshake failed");
                    }
                    Err(_) => count(&host, "timed_out"),
                }
                drop(places);
            });
        }
    }
}

/// Counts a handshake by how it ended. Whether a browser is at the other end is not told apart here.
fn count(host: &Host, result: &'static str) {
    host.service.metrics().handshake(Transport::WebSocket, result);
}

async fn serve_upgraded(upgraded: Upgraded, address: IpAddr, host: Host) {
    let Upgraded { session, exporter, browser } = upgraded;
    serve(Link::WebSocket { session: Box::new(session), browser, address }, exporter, host).await;
}

/// TLS, then the upgrade from HTTP, then qmux.
async fn upgrade(
    socket: TcpStream,
    tls: &TlsAcceptor,
    allowed_origins: Arc<[String]>,
    idle: Duration,
) -> io::Result<Upgraded> {
    socket.set_nodelay(true)?;
    let socket = Patient::new(socket, Duration::from_millis(WRITE_TIMEOUT_MS));
    let stream = tls.accept(socket).await?;
    let exporter = exporter(stream.get_ref().1);
    let mut browser = false;
    #[expect(clippy::result_large_err, reason = "tungstenite's callback returns its error by value")]
    let judge = |request: &Request, mut response: Response| {
        let asker = admit(request.uri().path(), request.headers(), &allowed_origins).map_err(|refusal| *refusal)?;
        browser = asker == Asker::Page;
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(stream, judge, Some(socket_config())).await.map_err(io::Error::other)?;
    let session =
        qmux::ws::Upgraded::new(socket).with_alpn(SUBPROTOCOL).with_session_config(session_config(idle)).accept();
    // A browser cannot have the exporter, so what it signs does not cover it.
    Ok(Upgraded { session, exporter: exporter.filter(|_| !browser), browser })
}

fn exporter(tls: &rustls::ServerConnection) -> Option<Exporter> {
    tls.export_keying_material([0; EXPORTER_LENGTH], label::TLS_EXPORTER.as_bytes(), Some(b"")).ok()
}

/// Who asks, if it is for this protocol and the origin may.
fn admit(path: &str, headers: &HeaderMap, allowed_origins: &[String]) -> Result<Asker, Box<ErrorResponse>> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.iter().filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(','));
    if path != PATH {
        return Err(refusal(StatusCode::NOT_FOUND));
    }
    if !offered.into_iter().any(|protocol| protocol.trim() == SUBPROTOCOL) {
        return Err(refusal(StatusCode::BAD_REQUEST));
    }
    match asker(headers, allowed_origins) {
        Asker::Stranger => Err(refusal(StatusCode::FORBIDDEN)),
        asker => Ok(asker),
    }
}

fn refusal(status: StatusCode) -> Box<ErrorResponse> {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    Box::new(response)
}

fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(WEBSOCKET_READ_BUFFER)
        .write_buffer_size(WEBSOCKET_WRITE_BUFFER)
        .max_write_buffer_size(WEBSOCKET_WRITE_BUFFER_MAX)
        .max_message_size(Some(WEBSOCKET_MESSAGE_LENGTH_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_LENGTH_MAX))
}

fn session_config(idle: Duration) -> qmux::Config {
    let mut config = qmux::Config::default();
    config.max_streams_bidi = u64::from(STREAMS_MAX);
    config.max_streams_uni = 0;
    config.max_data = NO_CONNECTION_WINDOW;
    config.max_stream_data_bidi_remote = WEBSOCKET_STREAM_RECEIVE_WINDOW;
    config.max_stream_data_bidi_local = 0;
    config.max_stream_data_uni = 0;
    config.max_idle_timeout = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    config.max_datagram_frame_size = 0;
    // Whoever wants to be reached keeps the connection alive.
    config.rtt_interval = Duration::ZERO;
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ORIGIN;

    #[test]
    fn only_this_protocol_at_its_path_is_upgraded() {
        let allowed = ["https://mail.clinic.example".to_owned()];
        let ask = |path: &str, protocols: &[&'static str], origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            for protocol in protocols {
                headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
            }
            origin.map(|origin| headers.insert(ORIGIN, HeaderValue::from_static(origin)));
            admit(path, &headers, &allowed).map_err(|refusal| refusal.status().as_u16())
        };
        assert_eq!(ask(PATH, &[SUBPROTOCOL], None), Ok(Asker::Program));
        assert_eq!(ask(PATH, &["other, qmux-02.medipeps-1"], None), Ok(Asker::Program));
        assert_eq!(ask(PATH, &["other", SUBPROTOCOL], Some("https://mail.clinic.example")), Ok(Asker::Page));
        assert_eq!(ask(PATH, &[SUBPROTOCOL], Some("https://evil.example")), Err(403));
        assert_eq!(ask(PATH, &[], None), Err(400));
        assert_eq!(ask(PATH, &["qmux-02"], None), Err(400));
        assert_eq!(ask("/", &[SUBPROTOCOL], None), Err(404));
    }
}
