//! Frames, streams and connections that are not as they should be, and the end of a server.

use std::time::{Duration, Instant};

use medipeps_core::limits::GROUP_FRAME_LENGTH_MAX;
use medipeps_core::wire::transport::{ErrorCode, Request, Response, SubmitReply, SubscriptionEvent};
use medipeps_server::limits::{RETRY_SPREAD_MIN_MS, SHUTDOWN_RETRY_MS};
use medipeps_server::storage::{Fault, Storage};

use crate::account::submit;
use crate::client::{Client, code, connect_silently, frame, read_response, refusal, write_raw};
use crate::server::TestServer;

#[tokio::test]
async fn frames_that_cannot_be_read_are_refused() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let oversize = u32::try_from(GROUP_FRAME_LENGTH_MAX + 1).unwrap().to_be_bytes();
    for (bytes, expected) in [
        (oversize.to_vec(), ErrorCode::TooLarge),
        (u32::MAX.to_be_bytes().to_vec(), ErrorCode::TooLarge),
        (vec![0, 0, 0, 0], ErrorCode::Malformed),
        (vec![0, 0, 0, 3, 0xff, 0xff, 0xff], ErrorCode::Malformed),
        (vec![0, 0, 0, 2, 0x7a, 0x00], ErrorCode::Malformed),
    ] {
        let (_send, mut receive) = write_raw(&client.quic, &bytes, true).await;
        assert_eq!(code(read_response(&mut receive).await.unwrap()), expected, "{bytes:?}");
    }
    for cut in [0, 1, 4, 5] {
        let whole = frame(&submit(&"claire@clinic.example".parse().unwrap(), &[1], 1));
        let (_send, mut receive) = write_raw(&client.quic, &whole[..cut], true).await;
        assert_eq!(read_response(&mut receive).await, None, "half a frame has no answer");
    }
    assert_eq!(code(client.ask(&Request::PrekeyStatus).await), ErrorCode::ProofRequired, "the connection lives");
}

#[tokio::test]
async fn half_open_streams_hold_up_no_others() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let client = Client::connect(test.address()).await;
    let whole = frame(&Request::FetchStatement(account.address.clone()));
    let mut halves = Vec::new();
    for _ in 0..10 {
        halves.push(write_raw(&client.quic, &whole[..3], false).await);
    }
    let start = Instant::now();
    assert!(matches!(client.ask(&Request::FetchStatement(account.address.clone())).await, Response::FetchStatement(_)));
    assert!(start.elapsed() < Duration::from_secs(5));
    for (send, receive) in &mut halves {
        send.write_all(&whole[3..]).await.unwrap();
        assert!(matches!(read_response(receive).await, Some(Response::FetchStatement(_))));
    }
}

#[tokio::test]
async fn other_protocols_and_directions_are_refused() {
    let test = TestServer::start().await;
    assert!(connect_silently(test.address(), b"h3").await.is_err());
    let client = Client::connect(test.address()).await;
    let stream = tokio::time::timeout(Duration::from_millis(300), client.quic.open_uni()).await;
    assert!(stream.is_err(), "a client may open no stream of one direction");
    assert_eq!(client.quic.max_datagram_size(), None, "datagrams are off");
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let test = TestServer::start().await;
    let (_endpoint, quic) = connect_silently(test.address(), b"medipeps/1").await.unwrap();
    match tokio::time::timeout(Duration::from_secs(15), quic.closed()).await.unwrap() {
        quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, 2_u32.into()),
        other => panic!("closed otherwise: {other}"),
    }
}

#[tokio::test]
async fn no_more_connections_than_the_configuration_allows() {
    let test = TestServer::start_with(|config| config.connection.connections_per_address_max = 2).await;
    let one = Client::connect(test.address()).await;
    let _two = Client::connect(test.address()).await;
    assert!(connect_silently(test.address(), b"medipeps/1").await.is_err());
    one.quic.close(0_u32.into(), b"");
    let start = Instant::now();
    while connect_silently(test.address(), b"medipeps/1").await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the place is not free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Past the first few, clients must show that their address is their own, which costs a round trip and nothing else.
#[tokio::test]
async fn a_burst_of_connections_is_served() {
    let test = TestServer::start().await;
    let address = test.address();
    let connections: Vec<_> = (0..100).map(|_| tokio::spawn(Client::connect(address))).collect();
    for connection in connections {
        connection.await.unwrap();
    }
}

#[tokio::test]
async fn a_stopping_server_finishes_what_it_has_begun() {
    let test = TestServer::start_stubborn(Duration::from_millis(700)).await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    subscription.next().await;
    let sender = Client::connect(test.address()).await;
    let (_send, mut receive) = write_raw(&sender.quic, &frame(&submit(&account.address, &[1], 1)), true).await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    let address = test.address();
    let start = Instant::now();
    let shutdown = tokio::spawn(test.server.shutdown());
    let SubscriptionEvent::GoAway { retry_after } = subscription.next().await else { panic!("not told to go away") };
    assert!((SHUTDOWN_RETRY_MS..SHUTDOWN_RETRY_MS + RETRY_SPREAD_MIN_MS).contains(&retry_after));
    assert_eq!(subscription.next_response().await, None, "it is the last of all");
    assert_eq!(code(sender.ask(&Request::FetchStatement(account.address.clone())).await), ErrorCode::ShuttingDown);
    let accepted = Response::Submit(SubmitReply { duplicate: false });
    assert_eq!(read_response(&mut receive).await, Some(accepted), "what was begun is answered");
    shutdown.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(test.storage.fetch(&account.address, 1, 0, 10).await.unwrap().len(), 1);
    match sender.quic.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, 1_u32.into()),
        other => panic!("closed otherwise: {other}"),
    }
    let again = tokio::time::timeout(Duration::from_secs(1), connect_silently(address, b"medipeps/1")).await;
    assert!(!matches!(again, Ok(Ok(_))), "nobody listens any more");
}

#[tokio::test]
async fn a_store_that_failed_confirms_nothing() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    test.storage.fail_next_commit(Fault::BeforeCommit);
    let error = refusal(sender.ask(&submit(&account.address, &[1], 1)).await);
    assert_eq!(error.known_code(), Some(ErrorCode::StorageUnavailable));
    assert!(error.retry_after > 0);
    tokio::time::timeout(Duration::from_secs(5), test.server.storage_failed()).await.unwrap();
}
