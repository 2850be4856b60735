//! How much of the server's memory one peer can take: half frames on all its streams, and what it does not read.

use std::time::{Duration, Instant};

use medipeps_core::limits::{BLOB_PIECE_LENGTH, FRAME_LENGTH_MAX};
use medipeps_core::wire::transport::{ErrorCode, Request, Response};
use medipeps_server::limits::{CONNECTION_REQUEST_MEMORY_MAX, STREAMS_MAX};
use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::account::submit;
use crate::blobs::{begin, fetch, put_piece};
use crate::client::{Client, connect_silently, read_response, refusal, write_raw};
use crate::server::TestServer;

/// Streams whose frame is there but for its last byte; those that the server refused, instead.
async fn half_frames(client: &Client) -> (Vec<(SendStream, RecvStream)>, usize) {
    let length = u32::try_from(FRAME_LENGTH_MAX).unwrap();
    let most = [&length.to_be_bytes()[..], &vec![0xff; FRAME_LENGTH_MAX - 1]].concat();
    let (mut waiting, mut refused) = (Vec::new(), 0);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..STREAMS_MAX {
        let (quic, most) = (client.quic.clone(), most.clone());
        tasks.spawn(async move {
            let (mut send, mut receive) = write_raw(&quic, &[], false).await;
            // A stream that is refused is not read to its end.
            let _ = send.write_all(&most).await;
            match timeout(Duration::from_secs(2), read_response(&mut receive)).await {
                Ok(answer) => Err(answer),
                Err(_) => Ok((send, receive)),
            }
        });
    }
    while let Some(stream) = tasks.join_next().await {
        match stream.unwrap() {
            Ok(stream) => waiting.push(stream),
            Err(answer) => {
                let error = refusal(answer.unwrap());
                assert_eq!(error.known_code(), Some(ErrorCode::RateLimited));
                assert!(error.retry_after > 0);
                refused += 1;
            }
        }
    }
    (waiting, refused)
}

#[tokio::test]
async fn half_frames_on_all_streams_take_no_more_than_the_share_of_a_connection() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let greedy = Client::connect(test.address()).await;
    let (waiting, refused) = half_frames(&greedy).await;
    assert!(waiting.len() * (FRAME_LENGTH_MAX - 1) <= CONNECTION_REQUEST_MEMORY_MAX, "{} are held", waiting.len());
    assert!(!waiting.is_empty() && waiting.len() + refused == STREAMS_MAX as usize);

    let other = Client::connect(test.address()).await;
    assert!(matches!(other.ask(&submit(&account.address, &[1], 1)).await, Response::Submit(_)), "others are served");

    drop(waiting);
    greedy.quic.close(0_u32.into(), b"");
    let again = Client::connect(test.address()).await;
    let (waiting, _) = half_frames(&again).await;
    assert!(!waiting.is_empty(), "what was held is given back");
}

#[tokio::test]
async fn a_connection_that_has_not_said_hello_has_no_larger_share() {
    let test = TestServer::start().await;
    let (endpoint, quic) = connect_silently(test.address(), b"medipeps/1").await.unwrap();
    let mut exporter = [0; 32];
    quic.export_keying_material(&mut exporter, b"x", b"").unwrap();
    let length = u32::try_from(FRAME_LENGTH_MAX).unwrap();
    let most = [&length.to_be_bytes()[..], &vec![0xff; FRAME_LENGTH_MAX - 1]].concat();
    let start = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        let (mut send, receive) = write_raw(&quic, &[], false).await;
        let _ = timeout(Duration::from_secs(1), send.write_all(&most)).await;
        streams.push((send, receive));
    }
    let closed = timeout(Duration::from_secs(30), quic.closed()).await;
    assert!(closed.is_ok(), "whoever only fills memory is closed, {:?}", start.elapsed());
    drop(endpoint);
}

/// Answers that wait for a reader take its own share of the memory; it can use every stream it has.
#[tokio::test]
async fn a_reader_that_takes_nothing_has_room_for_its_streams_and_no_more() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    assert!(!matches!(client.ask(&begin(1, BLOB_PIECE_LENGTH as u64)).await, Response::Error(_)));
    assert!(!matches!(client.ask(&put_piece(1, 0, vec![7; BLOB_PIECE_LENGTH])).await, Response::Error(_)));
    let request = crate::client::frame(&fetch(1, 0, BLOB_PIECE_LENGTH as u32));
    let mut unread = Vec::new();
    for _ in 0..STREAMS_MAX - 1 {
        unread.push(write_raw(&client.quic, &request, true).await);
    }
    let other = Client::connect(test.address()).await;
    let answer = other.ask(&fetch(1, 0, BLOB_PIECE_LENGTH as u32)).await;
    assert!(matches!(answer, Response::FetchBlob(_)), "others read meanwhile");
    assert!(matches!(client.ask(&Request::FetchIssuerKeys).await, Response::FetchIssuerKeys(_) | Response::Error(_)));
    for (_, mut receive) in unread {
        assert!(
            matches!(read_response(&mut receive).await, Some(Response::FetchBlob(_))),
            "and so does it, in the end"
        );
    }
}
