//! Against small QUIC servers that do one thing right or wrong. The real server is tested in `tests/`.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use chacha20::ChaCha20Rng;
use medipeps_core::label;
use medipeps_core::proof::EXPORTER_LENGTH;
use medipeps_core::wire::transport::{Delivery, ErrorCode, Lane};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, VarInt};
use rand_core::SeedableRng;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::timeout;

use super::*;
use crate::shell::tls::CertificateTrust;

const DOMAIN: &str = "clinic.example";
const NONCE: [u8; 32] = [7; 32];

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::random(&mut ChaCha20Rng::from_seed([seed; 32]))
}

fn pin(seed: u8) -> ServerTrust {
    ServerTrust::Pinned(server_key_hash(&signing_key(seed).verifying_key()))
}

/// A certificate for `localhost` and its key, new each time.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// Certificate and key of a server, whether they belong together or not.
#[derive(Debug)]
struct Presented(Arc<CertifiedKey>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// What a server does with a request: the bytes to write, frames and all; `None` leaves the stream open and silent.
type Behaviour = Arc<dyn Fn(&Request, &Exporter) -> Option<Vec<u8>> + Send + Sync>;

struct Server {
    endpoint: Endpoint,
    address: ServerAddress,
    /// Every request with the port that it came from.
    seen: Arc<Mutex<Vec<(u16, Request)>>>,
}

impl Server {
    fn start(behaviour: impl Fn(&Request, &Exporter) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (certificate, key) = certificate();
        Self::start_with(certificate, &key, b"medipeps/1", Arc::new(behaviour))
    }

    fn start_with(
        certificate: CertificateDer<'static>,
        key: &PrivateKeyDer<'static>,
        alpn: &[u8],
        behaviour: Behaviour,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::crypto::ring::sign::any_supported_type(key).unwrap();
        let presented = Presented(Arc::new(CertifiedKey::new(vec![certificate], key)));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(presented));
        tls.alpn_protocols = vec![alpn.to_vec()];
        let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = ServerAddress { host: "localhost".to_owned(), port: endpoint.local_addr().unwrap().port() };
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(endpoint.clone(), behaviour, seen.clone()));
        Self { endpoint, address, seen }
    }

    fn expectation(&self, trust: ServerTrust) -> ServerExpectation<'_> {
        ServerExpectation { address: &self.address, trust, domain: Some(DOMAIN) }
    }

    async fn anonymous(&self) -> Result<Connection, ConnectError> {
        Connection::anonymous(&self.expectation(pin(1))).await
    }
}

async fn serve(endpoint: Endpoint, behaviour: Behaviour, seen: Arc<Mutex<Vec<(u16, Request)>>>) {
    while let Some(incoming) = endpoint.accept().await {
        let (behaviour, seen) = (behaviour.clone(), seen.clone());
        tokio::spawn(async move {
            let Ok(quic) = incoming.await else { return };
            let mut exporter = [0; EXPORTER_LENGTH];
            quic.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"").unwrap();
            let mut silent = Vec::new();
            while let Ok((mut sending, mut receiving)) = quic.accept_bi().await {
                let bytes = receiving.read_to_end(2 << 20).await.unwrap();
                let request = Request::decode(&bytes[4..]).unwrap();
                seen.lock().unwrap().push((quic.remote_address().port(), request.clone()));
                if matches!(request, Request::DeleteAccount(_)) {
                    quic.close(VarInt::from_u32(1), b"stopping");
                    return;
                }
                match behaviour(&request, &exporter) {
                    Some(bytes) => {
                        sending.write_all(&bytes).await.unwrap();
                        let _ = sending.finish();
                    }
                    None => silent.push(sending),
                }
            }
        });
    }
}

fn answer(response: &Response) -> Option<Vec<u8>> {
    Some(frame(&response.encode()))
}

/// The hello of a server that has one key and signs with another.
fn hello(shown: u8, signs: u8, domain: &str, exporter: &Exporter) -> HelloReply {
    let channel = Channel { nonce: &NONCE, domain, transport: Transport::Quic, exporter: Some(exporter) };
    HelloReply {
        nonce: NONCE,
        domain: domain.to_owned(),
        server_key: *signing_key(shown).verifying_key().as_bytes(),
        signature: channel.sign_hello(&signing_key(signs)),
        transport: Transport::Quic,
    }
}

/// Says hello as the server with key 1, and answers the rest by `rest`.
fn honest(
    rest: impl Fn(&Request, &Exporter) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> impl Fn(&Request, &Exporter) -> Option<Vec<u8>> + Send + Sync + 'static {
    move |request, exporter| match request {
        Request::Hello => answer(&Response::Hello(hello(1, 1, DOMAIN, exporter))),
        request => rest(request, exporter),
    }
}

#[tokio::test]
async fn the_pinned_server_is_taken_whatever_its_certificate() {
    for _ in 0..2 {
        let server = Server::start(honest(|_, _| answer(&Response::Done))); // a new certificate each time
        let connection = server.anonymous().await.unwrap();
        assert_eq!(connection.domain(), DOMAIN);
        assert_eq!(ServerTrust::Pinned(connection.server_key_hash()), pin(1));
        assert!(matches!(connection.request(&Request::PrekeyStatus).await, Ok(Response::Done)));
        connection.close().await;
    }
}

#[tokio::test]
async fn another_server_key_is_refused_and_gets_nothing_more() {
    let server = Server::start(|_, exporter| answer(&Response::Hello(hello(2, 2, DOMAIN, exporter))));
    let refused = server.anonymous().await;
    let other = server_key_hash(&signing_key(2).verifying_key());
    assert!(matches!(refused, Err(ConnectError::ServerKeyChanged { found }) if found == other), "{refused:?}");
    let key = signing_key(9);
    let address: Address = "claire@clinic.example".parse().unwrap();
    let device = Device { address: &address, device_id: 1, key: &key, generation: 1 };
    let refused = Connection::proved(&server.expectation(pin(1)), &device).await;
    assert!(matches!(refused, Err(ConnectError::ServerKeyChanged { .. })));
    assert!(server.seen.lock().unwrap().iter().all(|(_, request)| *request == Request::Hello));
}

#[tokio::test]
async fn a_hello_that_another_key_signed_is_refused() {
    let server = Server::start(|_, exporter| answer(&Response::Hello(hello(1, 2, DOMAIN, exporter))));
    let refused = server.anonymous().await;
    assert!(matches!(refused, Err(ConnectError::HelloSignature)), "{refused:?}");
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let server = Server::start(|_, exporter| {
        let reply = HelloReply { server_key: [0xff; 32], ..hello(1, 1, DOMAIN, exporter) };
        answer(&Response::Hello(reply))
    });
    assert!(matches!(server.anonymous().await, Err(ConnectError::HelloSignature)));
}

#[tokio::test]
async fn a_hello_passed_on_from_another_connection_is_refused() {
    let right = Server::start(honest(|_, _| None));
    right.anonymous().await.unwrap();
    // Whoever stands between has a connection of his own to the right server, and hands its hello on.
    let between = Connection::anonymous(&right.expectation(pin(1))).await.unwrap();
    let Ok(Response::Hello(reply)) = between.request(&Request::Hello).await else { panic!("no hello") };
    let channel = Channel { nonce: &reply.nonce, ..between.channel() };
    channel.verify_hello(&signing_key(1).verifying_key(), &reply.signature).unwrap();
    let relay = Server::start(move |_, _| answer(&Response::Hello(reply.clone())));
    let refused = relay.anonymous().await;
    assert!(matches!(refused, Err(ConnectError::HelloSignature)), "{refused:?}");
}

#[tokio::test]
async fn a_server_of_another_domain_is_refused() {
    let server = Server::start(|_, exporter| answer(&Response::Hello(hello(1, 1, "other.example", exporter))));
    let refused = server.anonymous().await;
    assert!(matches!(refused, Err(ConnectError::WrongDomain { found, .. }) if found == "other.example"));
    let learnt = ServerExpectation { domain: None, ..server.expectation(pin(1)) };
    assert_eq!(Connection::anonymous(&learnt).await.unwrap().domain(), "other.example");
    // A domain that is not under the signature is not believed.
    let server = Server::start(|_, exporter| {
        let reply = HelloReply { domain: DOMAIN.to_owned(), ..hello(1, 1, "other.example", exporter) };
        answer(&Response::Hello(reply))
    });
    assert!(matches!(server.anonymous().await, Err(ConnectError::HelloSignature)));
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    let over = [0xff, 0xff, 0xff, 0xff, 1, 2, 3].to_vec();
    let cut = [0, 0, 0, 9, 1].to_vec();
    for garbage in [vec![], frame(b"\xff\xff\xff"), frame(b""), over, cut, vec![0; 3]] {
        let bytes = garbage.clone();
        let server = Server::start(move |_, _| Some(bytes.clone()));
        let refused = server.anonymous().await;
        let wire = matches!(refused, Err(ConnectError::Request(RequestError::Wire(_))));
        assert!(wire, "{garbage:?}: {refused:?}");
    }
    let server = Server::start(|_, _| answer(&Response::Done));
    assert!(matches!(server.anonymous().await, Err(ConnectError::Request(RequestError::Unexpected))));
}

#[tokio::test]
async fn no_server_is_told_soon() {
    let began = Instant::now();
    let closed = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let address = ServerAddress { host: "127.0.0.1".to_owned(), port: closed };
    let nobody = ServerExpectation { address: &address, trust: pin(1), domain: None };
    let refused = Connection::anonymous(&nobody).await;
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_unknown_host_is_told() {
    let address = ServerAddress { host: "no-such-host.invalid".to_owned(), port: 4433 };
    let nobody = ServerExpectation { address: &address, trust: ServerTrust::WebPki, domain: None };
    let refused = Connection::anonymous(&nobody).await;
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
}

#[tokio::test]
async fn without_a_pin_the_certificate_decides() {
    let (certificate, key) = certificate();
    let behaviour = Arc::new(honest(|_, _| None));
    let server = Server::start_with(certificate.clone(), &key, b"medipeps/1", behaviour);
    let refused = Connection::anonymous(&server.expectation(ServerTrust::WebPki)).await;
    assert!(matches!(refused, Err(ConnectError::Certificate(_))), "{refused:?}");
    assert!(server.seen.lock().unwrap().is_empty());

    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trust = CertificateTrust::Roots(Arc::new(roots));
    let connection = greet(&server.expectation(ServerTrust::WebPki), &trust).await.unwrap();
    assert_eq!(ServerTrust::Pinned(connection.server_key_hash()), pin(1));
    // The same certificate for another name is none.
    let by_number = ServerAddress { host: "127.0.0.1".to_owned(), ..server.address.clone() };
    let expectation = ServerExpectation { address: &by_number, ..server.expectation(ServerTrust::WebPki) };
    assert!(matches!(greet(&expectation, &trust).await, Err(ConnectError::Certificate(_))));
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_even_under_a_pin() {
    let ((shown, _), (_, other_key)) = (certificate(), certificate());
    let server = Server::start_with(shown, &other_key, b"medipeps/1", Arc::new(honest(|_, _| None)));
    let refused = server.anonymous().await;
    assert!(matches!(refused, Err(ConnectError::Protocol(_))), "{refused:?}");
}

#[tokio::test]
async fn a_server_of_another_protocol_is_told() {
    let (certificate, key) = certificate();
    let server = Server::start_with(certificate, &key, b"h3", Arc::new(honest(|_, _| None)));
    let refused = server.anonymous().await;
    assert!(matches!(refused, Err(ConnectError::Protocol(_))), "{refused:?}");
}

/// Verifies proofs as a server does, for claire's device 3 with key 9.
fn verifying(request: &Request, exporter: &Exporter) -> Option<Vec<u8>> {
    let Request::Authenticate(proof) = request else { return answer(&Response::Done) };
    let channel = Channel { nonce: &NONCE, domain: DOMAIN, transport: proof.transport, exporter: Some(exporter) };
    let key = signing_key(9).verifying_key();
    let holds = proof.exporter_bound
        && channel.verify_proof(&key, &proof.address, proof.device_id, proof.generation, &proof.signature).is_ok();
    answer(&if holds {
        Response::Authenticate(AuthenticateReply {
            highest_generation: proof.generation - 1,
            statement_version: 2,
            incarnation: [4; 16],
        })
    } else {
        Response::Error(ErrorReply::new(ErrorCode::ProofRefused, "the proof does not verify"))
    })
}

#[tokio::test]
async fn a_device_proves_itself_over_the_exporter() {
    let server = Server::start(honest(verifying));
    let address: Address = "claire@clinic.example".parse().unwrap();
    let (right, wrong) = (signing_key(9), signing_key(8));
    let device = Device { address: &address, device_id: 3, key: &right, generation: 12 };
    let (_, reply) = Connection::proved(&server.expectation(pin(1)), &device).await.unwrap();
    assert_eq!(reply, AuthenticateReply { highest_generation: 11, statement_version: 2, incarnation: [4; 16] });

    let other = Device { key: &wrong, ..device };
    let refused = Connection::proved(&server.expectation(pin(1)), &other).await;
    let Err(ConnectError::Request(RequestError::Refused(error))) = refused else { panic!("{refused:?}") };
    assert_eq!(error.known_code(), Some(ErrorCode::ProofRefused));
}

#[tokio::test]
async fn connections_share_no_socket_and_the_anonymous_one_names_nobody() {
    let server = Server::start(honest(verifying));
    let address: Address = "claire@clinic.example".parse().unwrap();
    let key = signing_key(9);
    let device = Device { address: &address, device_id: 3, key: &key, generation: 12 };
    let (proved, _) = Connection::proved(&server.expectation(pin(1)), &device).await.unwrap();
    let anonymous = server.anonymous().await.unwrap();
    let request = Request::FetchStatement("paul@clinic.example".parse().unwrap());
    anonymous.request(&request).await.unwrap();
    let seen = server.seen.lock().unwrap().clone();
    let ports: Vec<_> = seen.iter().map(|(port, _)| *port).collect();
    assert_eq!((ports[0], ports[2]), (ports[1], ports[3]));
    assert_ne!(ports[0], ports[2]);
    assert_eq!((&seen[2].1, &seen[3].1), (&Request::Hello, &request));
    assert_ne!(proved.channel().exporter, anonymous.channel().exporter);
}

#[tokio::test]
async fn refusals_silence_and_closing_are_told_apart() {
    let server = Server::start(honest(|request, _| match request {
        Request::Submit(_) => None,
        _ => answer(&Response::Error(ErrorReply::new(ErrorCode::RateLimited, "slowly").retry_after(2000))),
    }));
    let connection = server.anonymous().await.unwrap();
    let Err(RequestError::Refused(error)) = connection.request(&Request::PrekeyStatus).await else { panic!() };
    assert_eq!((error.known_code(), error.retry_after), (Some(ErrorCode::RateLimited), 2000));

    let address: Address = "claire@clinic.example".parse().unwrap();
    let submit = Request::Submit(medipeps_core::wire::transport::Submit {
        id: [1; 16],
        address: address.clone(),
        envelopes: vec![medipeps_core::wire::transport::DeviceEnvelope { device_id: 1, envelope: vec![0; 65_536] }],
        payment: medipeps_core::wire::transport::Payment::None,
        delivery_key: None,
    });
    let silent = connection.request_within(&submit, Duration::from_millis(100)).await;
    assert!(matches!(silent, Err(RequestError::TimedOut)), "{silent:?}");

    let closing = Request::DeleteAccount(medipeps_core::wire::transport::DeleteAccount {
        address,
        statement_version: 1,
        signature: [0; 64],
    });
    let closed = connection.request(&closing).await;
    assert!(matches!(closed, Err(RequestError::Closed(_))), "{closed:?}");
    assert!(matches!(connection.closed().await, RequestError::Closed(_)));
    let after = connection.request(&Request::PrekeyStatus).await;
    assert!(matches!(after, Err(RequestError::Closed(_))), "{after:?}");
}

#[tokio::test]
async fn events_come_in_order_even_if_the_wait_is_dropped() {
    let events: Vec<_> = [SubscriptionEvent::Open([4; 16])]
        .into_iter()
        .chain((1..=20).map(|sequence| {
            let envelope = vec![sequence as u8; 65_536];
            SubscriptionEvent::Delivery(Delivery { sequence, received: 5, envelope, lane: Lane::Normal })
        }))
        .chain([SubscriptionEvent::QueueEmpty])
        .collect();
    let pushed = events.clone();
    let server = Server::start(honest(move |_, _| {
        Some(pushed.iter().flat_map(|event| frame(&Response::Subscription(event.clone()).encode())).collect())
    }));
    let connection = server.anonymous().await.unwrap();
    let mut subscription = connection.subscribe().await.unwrap();
    let mut received = Vec::new();
    loop {
        match timeout(Duration::from_micros(50), subscription.next()).await {
            Err(_) => {}
            Ok(Ok(Some(event))) => received.push(event),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(received, events);
}

#[tokio::test]
async fn a_refused_subscription_and_a_lost_one_are_errors() {
    let server = Server::start(honest(|_, _| {
        answer(&Response::Error(ErrorReply::new(ErrorCode::ProofRequired, "prove the device first")))
    }));
    let connection = server.anonymous().await.unwrap();
    let mut subscription = connection.subscribe().await.unwrap();
    assert!(matches!(subscription.next().await, Err(RequestError::Refused(_))));

    let server = Server::start(honest(|_, _| None));
    let connection = server.anonymous().await.unwrap();
    let mut subscription = connection.subscribe().await.unwrap();
    server.endpoint.close(VarInt::from_u32(1), b"stopping");
    assert!(matches!(subscription.next().await, Err(RequestError::Closed(_))));
}

/// Connects with these certificates in place of the Web's.
async fn greet(server: &ServerExpectation<'_>, certificates: &CertificateTrust) -> Result<Connection, ConnectError> {
    let link = race::connect(server.address, certificates, KEEP_ALIVE).await?;
    Connection::over(ProgramLink(link), server).await
}
