//! A client of QUIC and frames.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::label;
use medipeps_core::proof::{Channel, Exporter};
use medipeps_core::wire::transport::{
    Acknowledge, Authenticate, Delivery, ErrorCode, ErrorReply, GroupLogEvent, GroupLogPush, HelloReply, Request,
    Response, SubscriptionEvent, Transport,
};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::time::timeout;

use crate::account::Account;

/// Longer than anything that is waited for in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open connection that has said Hello.
pub struct Client {
    pub quic: Connection,
    pub hello: HelloReply,
    pub exporter: Exporter,
    _endpoint: Endpoint,
}

/// The end of a subscription at which events come out.
pub struct Subscription {
    receive: RecvStream,
    pub incarnation: [u8; 16],
}

/// The end of a watch at which events come out.
pub struct GroupWatch {
    receive: RecvStream,
    pub incarnation: [u8; 16],
}

/// Clients know the server by its own key, not by its certificate.
#[derive(Debug)]
pub struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// TLS that takes any certificate.
pub fn tls(alpn: &[u8]) -> rustls::ClientConfig {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls
}

/// What a client connects with over QUIC.
pub fn client_config(alpn: &[u8]) -> quinn::ClientConfig {
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls(alpn)).unwrap()));
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(60).try_into().unwrap()));
    config.transport_config(Arc::new(transport));
    config
}

/// Connects without saying anything.
pub async fn connect_silently(
    address: SocketAddr,
    alpn: &[u8],
) -> Result<(Endpoint, Connection), quinn::ConnectionError> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connecting = endpoint.connect_with(client_config(alpn), address, "localhost").unwrap();
    Ok((endpoint.clone(), connecting.await?))
}

/// Opens a stream and writes these bytes on it; `finish` ends it.
pub async fn write_raw(quic: &Connection, bytes: &[u8], finish: bool) -> (SendStream, RecvStream) {
    let (mut send, receive) = quic.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    if finish {
        send.finish().unwrap();
    }
    (send, receive)
}

/// Reads one frame, or `None` at the end of the stream.
pub async fn read_response(receive: &mut RecvStream) -> Option<Response> {
    let read = async {
        let mut length = [0; 4];
        receive.read_exact(&mut length).await.ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        receive.read_exact(&mut frame).await.ok()?;
        Some(Response::decode(&frame).unwrap())
    };
    timeout(PATIENCE, read).await.expect("no answer in time")
}

/// The frame of a request.
pub fn frame(request: &Request) -> Vec<u8> {
    let body = request.encode();
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Asks over any connection.
pub async fn ask(quic: &Connection, request: &Request) -> Response {
    let (_send, mut receive) = write_raw(quic, &frame(request), true).await;
    read_response(&mut receive).await.expect("the stream ended without an answer")
}

/// The code of a refusal, or what came instead.
pub fn code(response: Response) -> ErrorCode {
    refusal(response).known_code().unwrap()
}

pub fn refusal(response: Response) -> ErrorReply {
    match response {
        Response::Error(error) => error,
        other => panic!("not refused: {other:?}"),
    }
}

impl Client {
    /// Connects and says Hello; checks the server's key for this very connection.
    pub async fn connect(address: SocketAddr) -> Self {
        let (endpoint, quic) = connect_silently(address, b"medipeps/1").await.unwrap();
        let Response::Hello(hello) = ask(&quic, &Request::Hello).await else { panic!("no hello") };
        let mut exporter = [0; 32];
        quic.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"").unwrap();
        let client = Self { quic, hello, exporter, _endpoint: endpoint };
        let server_key = VerifyingKey::from_slice(&client.hello.server_key).unwrap();
        client.channel().verify_hello(&server_key, &client.hello.signature).unwrap();
        client
    }

    /// Connects as a device of an account.
    pub async fn prove(address: SocketAddr, account: &Account) -> Self {
        let client = Self::connect(address).await;
        match client.ask(&client.proof(account, 0)).await {
            Response::Authenticate(_) => client,
            other => panic!("not proved: {other:?}"),
        }
    }

    pub fn channel(&self) -> Channel<'_> {
        Channel {
            nonce: &self.hello.nonce,
            domain: &self.hello.domain,
            transport: Transport::Quic,
            exporter: Some(&self.exporter),
        }
    }

    /// The proof of the account's first device for this connection.
    pub fn proof(&self, account: &Account, generation: u64) -> Request {
        self.proof_over(self.channel(), account, generation)
    }

    /// A proof over any channel.
    pub fn proof_over(&self, channel: Channel<'_>, account: &Account, generation: u64) -> Request {
        let device = account.device_id;
        Request::Authenticate(Authenticate {
            address: account.address.clone(),
            device_id: device,
            transport: Transport::Quic,
            exporter_bound: channel.exporter.is_some(),
            signature: channel.sign_proof(&account.device.signing_key, &account.address, device, generation),
            generation,
        })
    }

    pub async fn ask(&self, request: &Request) -> Response {
        ask(&self.quic, request).await
    }

    /// Watches group logs and reads the opening.
    pub async fn watch(&self, request: &Request) -> GroupWatch {
        let (_send, mut receive) = write_raw(&self.quic, &frame(request), true).await;
        match read_response(&mut receive).await {
            Some(Response::GroupLog(GroupLogEvent::Open(incarnation))) => GroupWatch { receive, incarnation },
            other => panic!("no watch: {other:?}"),
        }
    }

    /// Subscribes and reads the opening.
    pub async fn subscribe(&self) -> Subscription {
        let (_send, mut receive) = write_raw(&self.quic, &frame(&Request::Subscribe), true).await;
        match read_response(&mut receive).await {
            Some(Response::Subscription(SubscriptionEvent::Open(incarnation))) => Subscription { receive, incarnation },
            other => panic!("no subscription: {other:?}"),
        }
    }

    pub async fn acknowledge(&self, incarnation: [u8; 16], up_to: u64) -> Response {
        self.ask(&Request::Acknowledge(Acknowledge { incarnation, up_to, generation: 0 })).await
    }
}

impl GroupWatch {
    /// What comes next, of any kind; `None` at the end.
    pub async fn next_response(&mut self) -> Option<Response> {
        read_response(&mut self.receive).await
    }

    /// What comes next of which log.
    pub async fn next(&mut self) -> ([u8; 32], GroupLogPush) {
        match self.next_response().await {
            Some(Response::GroupLog(GroupLogEvent::Log { log_id, event })) => (log_id, event),
            other => panic!("no event: {other:?}"),
        }
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(300), read_response(&mut self.receive)).await.is_err()
    }
}

impl Subscription {
    /// What comes next, of any kind.
    pub async fn next_response(&mut self) -> Option<Response> {
        read_response(&mut self.receive).await
    }

    pub async fn next(&mut self) -> SubscriptionEvent {
        match self.next_response().await {
            Some(Response::Subscription(event)) => event,
            other => panic!("no event: {other:?}"),
        }
    }

    pub async fn delivery(&mut self) -> Delivery {
        match self.next().await {
            SubscriptionEvent::Delivery(delivery) => delivery,
            other => panic!("no delivery: {other:?}"),
        }
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(300), read_response(&mut self.receive)).await.is_err()
    }
}
