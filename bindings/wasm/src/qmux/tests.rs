//! Against the crate that the server uses, over a WebSocket in memory.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use qmux::ws::tokio_tungstenite::WebSocketStream;
use qmux::ws::tungstenite::Message;
use qmux::ws::tungstenite::protocol::Role;
use tokio::io::DuplexStream;
use tokio::time::timeout;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use super::*;

/// As the server's configuration has them (`server/src/limits.rs`).
const SERVER_WINDOW: u64 = 128 << 10;
const SERVER_STREAMS: u64 = 12;
const WINDOW: u64 = 1 << 20;

type Socket = WebSocketStream<DuplexStream>;

/// A server that answers each stream by `answer`, and this end of its socket.
async fn server(answer: fn(Vec<u8>) -> Vec<u8>) -> Socket {
    let (near, far) = tokio::io::duplex(64 << 10);
    let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    let mut config = qmux::Config::default();
    config.max_streams_bidi = SERVER_STREAMS;
    config.max_streams_uni = 0;
    config.max_data = NO_CONNECTION_WINDOW;
    config.max_stream_data_bidi_remote = SERVER_WINDOW;
    let session = qmux::ws::Upgraded::new(far).with_alpn("qmux-02.medipeps-1").with_session_config(config).accept();
    tokio::spawn(async move {
        while let Ok((mut sending, mut receiving)) = session.accept_bi().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                while let Ok(Some(chunk)) = receiving.read_chunk(64 << 10).await {
                    request.extend_from_slice(&chunk);
                }
                let _ = sending.write_all(&answer(request)).await;
                let _ = sending.finish();
            });
        }
    });
    WebSocketStream::from_raw_socket(near, Role::Client, None).await
}

/// Sends what may be sent, then takes what comes.
async fn turn(ours: &mut Multiplexer, socket: &mut Socket) {
    while let Some(record) = ours.next_record() {
        assert!(record.len() as u64 <= 16_382);
        socket.send(Message::Binary(record.into())).await.unwrap();
    }
    let message = timeout(Duration::from_secs(10), socket.next()).await.expect("the server is silent");
    if let Message::Binary(record) = message.unwrap().unwrap() {
        ours.receive(&record).unwrap();
    }
}

async fn open(ours: &mut Multiplexer, socket: &mut Socket, bytes: &[u8]) -> u64 {
    loop {
        match ours.open(bytes) {
            Some(id) => return id,
            None => turn(ours, socket).await,
        }
    }
}

async fn whole(ours: &mut Multiplexer, socket: &mut Socket, id: u64) -> Vec<u8> {
    let mut answer = Vec::new();
    loop {
        match ours.read(id, &mut answer) {
            Arrived::Data => {}
            Arrived::Nothing => turn(ours, socket).await,
            Arrived::End => return answer,
            Arrived::Reset(code) => panic!("reset with {code}"),
        }
    }
}

#[tokio::test]
async fn what_is_larger_than_the_windows_goes_both_ways() {
    let mut socket = server(|request| request.repeat(3)).await;
    let mut ours = Multiplexer::new(WINDOW);
    assert_eq!(ours.open(b"too early"), None);
    let request: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 251) as u8).collect();
    let large = open(&mut ours, &mut socket, &request).await;
    let small = open(&mut ours, &mut socket, b"").await;
    assert_eq!(whole(&mut ours, &mut socket, small).await, b"");
    assert!(whole(&mut ours, &mut socket, large).await == request.repeat(3));
}

#[tokio::test]
async fn streams_are_opened_as_the_server_allows_them() {
    let mut socket = server(|request| request).await;
    let mut ours = Multiplexer::new(WINDOW);
    let first = open(&mut ours, &mut socket, &[0]).await;
    for number in 1..SERVER_STREAMS {
        assert!(ours.open(&[number as u8]).is_some());
    }
    assert_eq!(ours.open(b"one more"), None);
    assert_eq!(whole(&mut ours, &mut socket, first).await, [0]);
    ours.let_go(first);
    for number in 0..100_u8 {
        let id = open(&mut ours, &mut socket, &[number]).await;
        assert_eq!(whole(&mut ours, &mut socket, id).await, [number]);
        ours.let_go(id);
    }
}

#[tokio::test]
async fn what_is_let_go_of_ends_and_holds_up_nothing() {
    let mut socket = server(|request| request.repeat(1000)).await;
    let mut ours = Multiplexer::new(WINDOW);
    for _ in 0..2 * SERVER_STREAMS {
        let id = open(&mut ours, &mut socket, &[7; 10_000]).await;
        turn(&mut ours, &mut socket).await;
        ours.let_go(id);
    }
    ours.ping();
    let id = open(&mut ours, &mut socket, b"still there").await;
    assert_eq!(whole(&mut ours, &mut socket, id).await.len(), 11_000);
}

#[test]
fn what_a_server_must_not_send_is_refused() {
    let parameters = Parameters {
        max_data: 1 << 20,
        max_stream_data_local: 0,
        max_stream_data_remote: 100,
        max_streams: 1,
        max_record: 16_382,
    };
    let opened = || {
        let mut ours = Multiplexer::new(10);
        ours.receive(&parameters.frame()).unwrap();
        (ours.open(b"request").unwrap(), ours)
    };
    let refused = |record: &[u8]| opened().1.receive(record).unwrap_err();
    assert_eq!(opened().0, 0);
    assert_eq!(Multiplexer::new(10).receive(&frame::ping(1)), Err(Violation::Parameters));
    assert_eq!(refused(&parameters.frame()), Violation::Parameters);
    assert_eq!(refused(&frame::stream(4, 0, b"", false)), Violation::Stream(4));
    assert_eq!(refused(&frame::stream(1, 0, b"", false)), Violation::Stream(1));
    assert_eq!(refused(&frame::stream(0, 1, b"a", false)), Violation::Data(0));
    assert_eq!(refused(&frame::stream(0, 0, b"eleven byte", false)), Violation::Data(0));
    assert_eq!(refused(&[frame::stream(0, 0, b"", true), frame::stream(0, 0, b"", true)].concat()), Violation::Data(0));
    assert_eq!(refused(&[0x3e]), Violation::Frame(0x3e));
    let whole = frame::stream(0, 0, b"ten bytes.", true);
    for length in 1..whole.len() {
        assert_eq!(refused(&whole[..length]), Violation::Short, "{length}");
    }
    let (id, mut ours) = opened();
    ours.receive(&whole).unwrap();
    let mut read = Vec::new();
    assert_eq!(ours.read(id, &mut read), Arrived::Data);
    assert_eq!((ours.read(id, &mut read), &read[..]), (Arrived::End, &b"ten bytes."[..]));
}
