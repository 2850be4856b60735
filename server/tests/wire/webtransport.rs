//! WebTransport sessions that are not as they should be, and HTTP/3 that is none.

use std::time::Duration;

use crate::client::connect_silently;
use crate::server::TestServer;
use crate::wire_client::{ORIGIN, start, web_transport};

#[tokio::test]
async fn only_pages_of_allowed_origins_get_a_session() {
    let test = start().await;
    assert!(web_transport(&test, "/medipeps/1", Some(ORIGIN)).await.is_ok());
    for origin in [None, Some("https://evil.example"), Some("null"), Some("https://mail.clinic.example:8443")] {
        let refused = web_transport(&test, "/medipeps/1", origin).await.err().unwrap();
        assert!(refused.contains("403"), "{origin:?}: {refused}");
    }
    let refused = web_transport(&test, "/other", Some(ORIGIN)).await.err().unwrap();
    assert!(refused.contains("404"), "{refused}");
}

#[tokio::test]
async fn without_allowed_origins_there_is_no_http3() {
    let test = TestServer::start().await;
    assert!(web_transport(&test, "/medipeps/1", Some(ORIGIN)).await.is_err());
    assert!(connect_silently(test.address(), b"h3").await.is_err());
}

async fn closed_with(quic: &quinn::Connection) -> u64 {
    match tokio::time::timeout(Duration::from_secs(15), quic.closed()).await.unwrap() {
        quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("closed otherwise: {other}"),
    }
}

#[tokio::test]
async fn http3_that_asks_for_no_session_is_closed() {
    let test = start().await;
    let (_endpoint, silent) = connect_silently(test.address(), b"h3").await.unwrap();
    let (_endpoint, wrong) = connect_silently(test.address(), b"h3").await.unwrap();
    let mut control = wrong.open_uni().await.unwrap();
    control.write_all(b"this is no control stream").await.unwrap();
    assert_eq!(closed_with(&wrong).await, 10);
    assert_eq!(closed_with(&silent).await, 10);
}

#[tokio::test]
async fn a_stream_of_one_direction_is_for_http3_alone() {
    let test = start().await;
    let (_endpoint, quic) = connect_silently(test.address(), b"medipeps/1").await.unwrap();
    let mut stream = quic.open_uni().await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(closed_with(&quic).await, 11);
}
