//! Streams at a byte a second: they take no time from others, and end.

use std::time::{Duration, Instant};

use medipeps_core::wire::transport::{Request, Response};
use medipeps_server::limits::{REQUEST_TIMEOUT_MS, STREAMS_MAX};
use tokio::time::{sleep, timeout};

use crate::account::submit;
use crate::client::{Client, frame, read_response, write_raw};
use crate::server::TestServer;

#[tokio::test]
async fn streams_at_one_byte_a_second_end_and_hold_up_nobody() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let slow = Client::connect(test.address()).await;
    let whole = frame(&submit(&account.address, &[1], 9));
    let start = Instant::now();
    let mut streams = tokio::task::JoinSet::new();
    // QUIC gives room for new streams by twos: the one that Hello took is not free again by itself.
    for _ in 0..STREAMS_MAX - 1 {
        let (quic, whole) = (slow.quic.clone(), whole.clone());
        streams.spawn(async move {
            let (mut send, mut receive) = write_raw(&quic, &[], false).await;
            let dribble = async {
                for byte in whole {
                    if send.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            };
            let ((), answer) = tokio::join!(dribble, async { read_response_within_a_minute(&mut receive).await });
            answer
        });
    }
    let other = Client::connect(test.address()).await;
    let mut mark = 0;
    while start.elapsed() < Duration::from_millis(REQUEST_TIMEOUT_MS) {
        mark += 1;
        let asked = Instant::now();
        assert!(matches!(other.ask(&submit(&account.address, &[1], mark)).await, Response::Submit(_)));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        sleep(Duration::from_secs(3)).await;
    }
    while let Some(answer) = streams.join_next().await {
        assert_eq!(answer.unwrap(), None, "a stream that took too long ends without an answer");
    }
    assert!(start.elapsed() < Duration::from_millis(REQUEST_TIMEOUT_MS) + Duration::from_secs(15));
    let fetched = slow.ask(&Request::FetchStatement(account.address.clone())).await;
    assert!(matches!(fetched, Response::FetchStatement(_)), "its streams are free again");
}

async fn read_response_within_a_minute(receive: &mut quinn::RecvStream) -> Option<Response> {
    let mut length = [0; 4];
    match timeout(Duration::from_secs(60), receive.read_exact(&mut length)).await.expect("the stream ends") {
        Ok(()) => read_response(receive).await,
        Err(_) => None,
    }
}
