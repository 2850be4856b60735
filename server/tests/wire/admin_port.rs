//! The admin port: what it says of a server that is well, full, failing or ending, and that its metrics tell of nobody.

use std::net::SocketAddr;

use medipeps_core::wire::transport::{ErrorCode, Response, SubscriptionEvent};
use medipeps_server::storage::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::account::{Account, submit};
use crate::client::{Client, code};
use crate::server::TestServer;

pub async fn start() -> (TestServer, SocketAddr) {
    let test = TestServer::start_with(|config| config.admin.listen = Some("127.0.0.1:0".parse().unwrap())).await;
    let admin = test.server.admin_addr().unwrap();
    (test, admin)
}

/// The status, the head and the body of an answer.
async fn ask(admin: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

async fn status(admin: SocketAddr, path: &str) -> u16 {
    ask(admin, &format!("GET {path}")).await.0
}

pub async fn metrics(admin: SocketAddr) -> String {
    let (status, head, body) = ask(admin, "GET /metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    body
}

/// The value of a sample, whole as it is written before the value.
pub fn value(metrics: &str, sample: &str) -> f64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("there is no {sample} in\n{metrics}"))
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (test, admin) = start().await;
    let [claire, paul] = ["claire@clinic.example", "paul@clinic.example"].map(Account::new);
    let invitation = test.invite(60_000).await;
    for (account, invitation) in [(&claire, invitation), (&paul, test.invite(60_000).await)] {
        let client = Client::connect(test.address()).await;
        assert_eq!(client.ask(&account.register(invitation)).await, Response::Done);
    }
    let device = Client::prove(test.address(), &claire).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    let sender = Client::connect(test.address()).await;
    for mark in 0..3 {
        assert!(matches!(sender.ask(&submit(&claire.address, &[1], mark)).await, Response::Submit(_)));
    }
    assert!(matches!(sender.ask(&submit(&paul.address, &[1], 9)).await, Response::Submit(_)));
    let unknown = sender.ask(&submit(&"nobody@clinic.example".parse().unwrap(), &[1], 1)).await;
    assert_eq!(code(unknown), ErrorCode::UnknownAccount);
    let last = [subscription.delivery().await, subscription.delivery().await, subscription.delivery().await];
    assert_eq!(device.acknowledge(subscription.incarnation, last[1].sequence).await, Response::Done);

    let text = metrics(admin).await;
    for (sample, expected) in [
        ("medipeps_envelopes_enqueued_total", 4.0),
        ("medipeps_envelopes_delivered_total", 3.0),
        ("medipeps_envelopes_acknowledged_total", 2.0),
        ("medipeps_queued_envelopes", 2.0),
        ("medipeps_delivery_duration_seconds_count", 3.0),
        ("medipeps_subscriptions", 1.0),
        ("medipeps_requests_total{request=\"Submit\",code=\"ok\"}", 4.0),
        ("medipeps_requests_total{request=\"Submit\",code=\"UnknownAccount\"}", 1.0),
        ("medipeps_request_duration_seconds_count{request=\"Submit\"}", 5.0),
        ("medipeps_connections{transport=\"quic\",kind=\"proved\"}", 1.0),
        ("medipeps_connections{transport=\"quic\",kind=\"anonymous\"}", 1.0),
        ("medipeps_handshakes_total{transport=\"quic\",result=\"completed\"}", 4.0),
        ("medipeps_rate_limit_refusals_total{limiter=\"submit_per_address\"}", 0.0),
        ("medipeps_shutting_down", 0.0),
    ] {
        assert!((value(&text, sample) - expected).abs() < f64::EPSILON, "{sample} in\n{text}");
    }
    assert!(value(&text, "medipeps_certificate_expiry_seconds") > 1.8e9);
    assert!(value(&text, "medipeps_queued_bytes") > 0.0);
    let frames = value(&text, "medipeps_frame_memory_bytes{memory=\"requests\"}");
    assert!(frames > 0.0 && frames < 1e6, "the subscription's alone, and perhaps the last one's: {frames}");
    drop((device, sender));
    let start = std::time::Instant::now();
    while value(&metrics(admin).await, "medipeps_connections{transport=\"quic\",kind=\"anonymous\"}") > 0.0 {
        assert!(start.elapsed().as_secs() < 10, "a connection that is gone is counted no more");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn metrics_tell_of_nobody() {
    let (test, admin) = start().await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    let sender = Client::connect(test.address()).await;
    assert!(matches!(sender.ask(&submit(&account.address, &[1], 1)).await, Response::Submit(_)));
    let text = metrics(admin).await;
    for secret in ["claire", "clinic", "127.0.0.1", "@"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
}

#[tokio::test]
async fn health_and_readiness_say_what_is_wrong() {
    let (test, admin) = start().await;
    assert_eq!(ask(admin, "GET /health").await.2, "healthy\n");
    assert_eq!(ask(admin, "GET /ready").await.2, "ready\n");
    test.storage.set_low_space(true);
    let (status_code, _, body) = ask(admin, "GET /ready").await;
    assert!(status_code == 503 && body.contains("the disk has less"), "{body}");
    assert_eq!(status(admin, "/health").await, 200, "a full disk is no reason to start it again");
    test.storage.set_low_space(false);
    assert_eq!(status(admin, "/ready").await, 200);

    let account = test.account("claire@clinic.example").await;
    test.storage.fail_next_commit(Fault::BeforeCommit);
    let sender = Client::connect(test.address()).await;
    assert_eq!(code(sender.ask(&submit(&account.address, &[1], 1)).await), ErrorCode::StorageUnavailable);
    assert_eq!((status(admin, "/health").await, status(admin, "/ready").await), (503, 503));
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let (_test, admin) = start().await;
    assert_eq!(status(admin, "/").await, 404);
    assert_eq!(status(admin, "/metrics/..").await, 404);
    let (status_code, head, _) = ask(admin, "POST /metrics").await;
    assert!(status_code == 405 && head.contains("allow: get, head"), "{head}");
    let mut stream = TcpStream::connect(admin).await.unwrap();
    stream.write_all(b"GET /metr").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(8), stream.read_to_end(&mut rest));
    closed.await.expect("half a request does not stay").unwrap();
}
