//! WebSocket connections that are not as they should be.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use medipeps_core::wire::transport::{Request, Response, Transport};
use qmux::ws::tungstenite;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Client;
use crate::server::TestServer;
use crate::wire_client::{AnySession, ORIGIN, WireClient, start, tls_over_tcp, upgrade, websocket};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

fn status(refused: Result<impl Sized, tungstenite::Error>) -> u16 {
    match refused {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn only_allowed_origins_and_only_this_protocol_are_taken() {
    let test = start().await;
    let protocol = "qmux-02.medipeps-1";
    assert_eq!(status(upgrade(&test, "/medipeps/1", protocol, None).await), 101);
    assert_eq!(status(upgrade(&test, "/medipeps/1", protocol, Some(ORIGIN)).await), 101);
    for origin in ["https://evil.example", "null", "https://mail.clinic.example.evil.example"] {
        assert_eq!(status(upgrade(&test, "/medipeps/1", protocol, Some(origin)).await), 403, "{origin}");
    }
    assert_eq!(status(upgrade(&test, "/", protocol, None).await), 404);
    assert_eq!(status(upgrade(&test, "/medipeps/1", "qmux-02", None).await), 400);
    let test = TestServer::start().await;
    assert_eq!(status(upgrade(&test, "/medipeps/1", protocol, Some(ORIGIN)).await), 403, "none is allowed");
}

#[tokio::test]
async fn a_silent_websocket_is_closed() {
    let test = start().await;
    let (session, _) = websocket(&test, None).await;
    assert_eq!(AnySession::Qmux(session).closed_with().await, Some(2));
}

/// The address that opens connections and says nothing is refused more of them; others, and QUIC, are not held up.
#[tokio::test]
async fn half_open_handshakes_hold_up_no_others() {
    let test = start().await;
    let mut half_open = Vec::new();
    for _ in 0..100 {
        half_open.push(TcpStream::connect(test.websocket_address()).await.unwrap());
    }
    let begun = Instant::now();
    let one_too_many = tls_over_tcp(test.websocket_address(), HERE).await;
    assert!(one_too_many.is_err(), "its address has too many under way");
    assert!(tls_over_tcp(test.websocket_address(), ELSEWHERE.into()).await.is_ok());
    Client::connect(test.address()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Whoever says nothing is given up in time, and then there is room again.
    let mut first = half_open.swap_remove(0);
    assert_eq!(first.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(tls_over_tcp(test.websocket_address(), HERE).await.is_ok());
}

/// One byte a second: the upgrade must be whole in time.
#[tokio::test]
async fn a_slow_upgrade_is_given_up() {
    let test = start().await;
    let mut stream = tls_over_tcp(test.websocket_address(), HERE).await.unwrap();
    let begun = Instant::now();
    for byte in b"GET /medipeps/1 HTTP/1.1\r\nHost: localhost\r\n" {
        let mut answer = [0; 1];
        if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
            break;
        }
        if let Ok(read) = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
            assert_eq!(read.unwrap_or(0), 0, "it answers half a request");
            break;
        }
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(8) && took < Duration::from_secs(14), "{took:?}");
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let test = start().await;
    let mut stream = tls_over_tcp(test.websocket_address(), HERE).await.unwrap();
    stream.write_all(b"GET /medipeps/1 HTTP/1.1\r\n").await.unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    while stream.write_all(&[b"X-Filler: ".as_slice(), &[b'a'; 1000], b"\r\n"].concat()).await.is_ok() {
        sent += 1012;
        assert!(sent < 16 << 20 && begun.elapsed() < Duration::from_secs(15), "{sent} bytes were taken");
    }
}

/// A message longer than a record may be ends the connection, before it is in memory.
#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection() {
    let test = start().await;
    let (mut socket, _) = upgrade(&test, "/medipeps/1", "qmux-02.medipeps-1", None).await.unwrap();
    let stream = socket.get_mut();
    // A binary frame that claims a gigabyte: FIN and binary, masked with an eight-byte length, the length, a mask.
    let head = [vec![0x82, 0xff], (1_u64 << 30).to_be_bytes().to_vec(), vec![0; 4]].concat();
    stream.write_all(&head).await.unwrap();
    stream.flush().await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it waits for the rest");
    let client = WireClient::connect(&test, Transport::WebSocket).await;
    assert!(matches!(client.ask(&Request::PrekeyStatus).await, Response::Error(_)), "others are served");
}

/// What is sent to nobody: the other end is gone without a word, as when a phone's battery is empty.
#[tokio::test]
async fn a_websocket_whose_other_end_is_gone_is_given_up() {
    let test = TestServer::start_with(|config| {
        config.connection.idle_seconds = 10;
        config.connection.connections_per_address_max = 1;
    })
    .await;
    // A relay between the two that carries nothing more from some moment on, and closes neither side.
    let listener = tokio::net::TcpListener::bind((HERE, 0)).await.unwrap();
    let relay = listener.local_addr().unwrap();
    let (dead, _) = tokio::sync::watch::channel(false);
    let (server, mut is_dead) = (test.websocket_address(), dead.subscribe());
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = is_dead.wait_for(|dead| *dead) => {}
        }
        std::future::pending::<()>().await;
    });
    let client = WireClient::connect_by_websocket_at(relay).await;
    assert!(matches!(client.ask(&Request::PrekeyStatus).await, Response::Error(_)));
    dead.send_replace(true);
    let begun = Instant::now();
    while upgrade(&test, "/medipeps/1", "qmux-02.medipeps-1", None).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(40), "its place is not free again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(5), "it was given up too early: {:?}", begun.elapsed());
}

/// qmux tells of a stream that has become free only when half of them have, so fewer than 12 may be open for a while.
#[tokio::test]
async fn streams_beyond_the_limit_wait() {
    let test = start().await;
    let client = WireClient::connect(&test, Transport::WebSocket).await;
    let AnySession::Qmux(session) = &client.session else { panic!("no qmux") };
    let mut open = Vec::new();
    let one_more = || tokio::time::timeout(Duration::from_millis(300), web_transport_trait::Session::open_bi(session));
    while let Ok(stream) = one_more().await {
        open.push(stream.unwrap());
    }
    assert!((7..=12).contains(&open.len()), "{}", open.len());
    let uni = web_transport_trait::Session::open_uni(session);
    assert!(tokio::time::timeout(Duration::from_millis(300), uni).await.is_err(), "a stream of one direction");
    drop(open);
    assert!(matches!(client.ask(&Request::PrekeyStatus).await, Response::Error(_)), "there is room again");
}

/// TCP from an address of its own, so that the kernel's queue is not what refuses.
#[tokio::test]
async fn plain_http_on_the_port_is_no_way_in() {
    let test = start().await;
    let socket = TcpSocket::new_v4().unwrap();
    let mut stream = socket.connect(test.websocket_address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
}
