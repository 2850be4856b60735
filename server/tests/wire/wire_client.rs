//! A client that is connected by any of the transports.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::label;
use medipeps_core::proof::{Channel, Exporter};
use medipeps_core::wire::transport::{Authenticate, HelloReply, Request, Response, Transport};
use qmux::ws::tokio_tungstenite::{WebSocketStream, client_async};
use qmux::ws::tungstenite;
use qmux::ws::tungstenite::client::ClientRequestBuilder;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use web_transport_quinn::proto::ConnectRequest;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use crate::account::Account;
use crate::client::{connect_silently, frame, tls};
use crate::server::TestServer;

/// The origin that the servers of these tests allow.
pub const ORIGIN: &str = "https://mail.clinic.example";
/// Longer than anything that is waited for in these tests.
const PATIENCE: Duration = Duration::from_secs(20);
/// All transports.
pub const TRANSPORTS: [Transport; 4] =
    [Transport::Quic, Transport::WebTransport, Transport::WebSocket, Transport::BrowserWebSocket];
/// What the WebSocket speaks.
const SUBPROTOCOL: &str = "qmux-02.medipeps-1";

/// A server that takes every transport.
pub async fn start() -> TestServer {
    TestServer::start_with(|config| config.transport.allowed_origins = vec![ORIGIN.to_owned()]).await
}

/// An open connection that has said Hello.
pub struct WireClient {
    pub session: AnySession,
    pub hello: HelloReply,
    pub transport: Transport,
    /// What this end signs, if the transport has one.
    pub exporter: Option<Exporter>,
    _endpoint: Option<quinn::Endpoint>,
}

/// A connection as tests see it.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "a test has one of them")]
pub enum AnySession {
    Quinn(web_transport_quinn::Session),
    Qmux(qmux::Session),
}

/// A stream whose request is on its way.
pub enum Asked {
    Quinn(web_transport_quinn::RecvStream),
    Qmux(qmux::RecvStream),
}

impl AnySession {
    /// Opens a stream and writes these bytes on it.
    pub async fn write(&self, bytes: &[u8]) -> Asked {
        match self {
            Self::Quinn(session) => {
                let (mut send, receive) = session.open_bi().await.unwrap();
                send.write_all(bytes).await.unwrap();
                send.finish().unwrap();
                Asked::Quinn(receive)
            }
            Self::Qmux(session) => {
                let (mut send, receive) = session.open_bi().await.unwrap();
                send.write_all(bytes).await.unwrap();
                send.finish().unwrap();
                Asked::Qmux(receive)
            }
        }
    }

    /// The application error code with which the server closes the connection.
    pub async fn closed_with(&self) -> Option<u32> {
        let closed = async {
            match self {
                Self::Quinn(session) => web_transport_trait::Error::session_error(&session.closed().await),
                Self::Qmux(session) => web_transport_trait::Error::session_error(&session.closed().await),
            }
        };
        timeout(PATIENCE, closed).await.expect("it stays open").map(|(code, _)| code)
    }
}

impl Asked {
    /// Reads so many bytes, or `None` at the end of the stream.
    async fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self {
            Self::Quinn(stream) => stream.read_exact(&mut bytes).await.ok()?,
            Self::Qmux(stream) => {
                let mut at = 0;
                while at < count {
                    at += stream.read(&mut bytes[at..]).await.ok()??;
                }
            }
        }
        Some(bytes)
    }

    /// Reads one frame, or `None` at the end of the stream.
    pub async fn response(&mut self) -> Option<Response> {
        let read = async {
            let length = u32::from_be_bytes(self.read(4).await?.try_into().unwrap());
            Some(Response::decode(&self.read(length as usize).await?).unwrap())
        };
        timeout(PATIENCE, read).await.expect("no answer in time")
    }
}

impl WireClient {
    /// Connects by a transport and says Hello; checks the server's key for this very connection.
    pub async fn connect(test: &TestServer, transport: Transport) -> Self {
        let (session, exporter, endpoint) = match transport {
            Transport::Quic => {
                let (endpoint, quic) = connect_silently(test.address(), b"medipeps/1").await.unwrap();
                let mut exporter = [0; 32];
                quic.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"").unwrap();
                (AnySession::Quinn(web_transport_quinn::Session::raw(quic)), Some(exporter), Some(endpoint))
            }
            Transport::WebTransport => {
                let (endpoint, session) = web_transport(test, "/medipeps/1", Some(ORIGIN)).await.unwrap();
                (AnySession::Quinn(session), None, Some(endpoint))
            }
            Transport::WebSocket => {
                let (session, exporter) = websocket(test, None).await;
                (AnySession::Qmux(session), Some(exporter), None)
            }
            Transport::BrowserWebSocket => (AnySession::Qmux(websocket(test, Some(ORIGIN)).await.0), None, None),
        };
        Self::greet(session, transport, exporter, endpoint).await
    }

    /// Connects by WebSocket, as a program, at this TCP address.
    pub async fn connect_by_websocket_at(address: SocketAddr) -> Self {
        let (socket, exporter) = upgrade_at(address, "/medipeps/1", SUBPROTOCOL, None).await.unwrap();
        let session = qmux::ws::Upgraded::new(socket).with_alpn(SUBPROTOCOL).connect();
        Self::greet(AnySession::Qmux(session), Transport::WebSocket, Some(exporter), None).await
    }

    async fn greet(
        session: AnySession,
        transport: Transport,
        exporter: Option<Exporter>,
        endpoint: Option<quinn::Endpoint>,
    ) -> Self {
        let mut asked = session.write(&frame(&Request::Hello)).await;
        let Some(Response::Hello(hello)) = asked.response().await else { panic!("no hello over {transport:?}") };
        let client = Self { session, hello, transport, exporter, _endpoint: endpoint };
        assert_eq!(client.hello.transport, transport);
        let server_key = VerifyingKey::from_slice(&client.hello.server_key).unwrap();
        client.channel().verify_hello(&server_key, &client.hello.signature).unwrap();
        client
    }

    pub fn channel(&self) -> Channel<'_> {
        let (nonce, domain) = (&self.hello.nonce, self.hello.domain.as_str());
        Channel { nonce, domain, transport: self.transport, exporter: self.exporter.as_ref() }
    }

    /// A proof over any channel, of the account's first device.
    pub fn proof_over(channel: Channel<'_>, account: &Account) -> Authenticate {
        let device = account.device_id;
        Authenticate {
            address: account.address.clone(),
            device_id: device,
            transport: channel.transport,
            exporter_bound: channel.exporter.is_some(),
            signature: channel.sign_proof(&account.device.signing_key, &account.address, device, 0),
            generation: 0,
        }
    }

    /// The proof for this connection.
    pub fn proof(&self, account: &Account) -> Authenticate {
        Self::proof_over(self.channel(), account)
    }

    pub async fn ask(&self, request: &Request) -> Response {
        self.open(request).await.response().await.expect("the stream ended without an answer")
    }

    /// Asks what is answered by more than one frame.
    pub async fn open(&self, request: &Request) -> Asked {
        self.session.write(&frame(request)).await
    }
}

/// Opens a WebTransport session.
pub async fn web_transport(
    test: &TestServer,
    path: &str,
    origin: Option<&'static str>,
) -> Result<(quinn::Endpoint, web_transport_quinn::Session), String> {
    let connected = connect_silently(test.address(), b"h3").await;
    let (endpoint, quic) = connected.map_err(|error| error.to_string())?;
    let url = format!("https://localhost:{}{path}", test.address().port());
    let mut request = ConnectRequest::new(url.parse::<url::Url>().unwrap());
    if let Some(origin) = origin {
        request = request.with_header(HeaderName::from_static("origin"), HeaderValue::from_static(origin));
    }
    let session = web_transport_quinn::Session::connect(quic, request).await.map_err(|error| error.to_string())?;
    Ok((endpoint, session))
}

/// A TLS connection to the WebSocket port from one of this machine's addresses.
pub async fn tls_over_tcp(to: SocketAddr, from: IpAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(to).await?;
    let connector = TlsConnector::from(Arc::new(tls(b"http/1.1")));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Asks for a WebSocket with a subprotocol.
pub async fn upgrade(
    test: &TestServer,
    path: &str,
    subprotocol: &str,
    origin: Option<&str>,
) -> Result<(WebSocketStream<TlsStream<TcpStream>>, Exporter), tungstenite::Error> {
    upgrade_at(test.websocket_address(), path, subprotocol, origin).await
}

async fn upgrade_at(
    address: SocketAddr,
    path: &str,
    subprotocol: &str,
    origin: Option<&str>,
) -> Result<(WebSocketStream<TlsStream<TcpStream>>, Exporter), tungstenite::Error> {
    let stream = tls_over_tcp(address, [127, 0, 0, 1].into()).await?;
    let exporter =
        stream.get_ref().1.export_keying_material([0; 32], label::TLS_EXPORTER.as_bytes(), Some(b"")).unwrap();
    let url = format!("wss://localhost:{}{path}", address.port()).parse().unwrap();
    let mut request = ClientRequestBuilder::new(url).with_sub_protocol(subprotocol);
    if let Some(origin) = origin {
        request = request.with_header("Origin", origin);
    }
    Ok((client_async(request, stream).await?.0, exporter))
}

/// Connects by WebSocket, with an origin as a browser or without one.
pub async fn websocket(test: &TestServer, origin: Option<&str>) -> (qmux::Session, Exporter) {
    let (socket, exporter) = upgrade(test, "/medipeps/1", SUBPROTOCOL, origin).await.unwrap();
    (qmux::ws::Upgraded::new(socket).with_alpn(SUBPROTOCOL).connect(), exporter)
}
