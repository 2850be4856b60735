//! What must be alike on every transport, and what must not pass from one to another.

use std::time::Duration;

use medipeps_core::proof::Channel;
use medipeps_core::wire::transport::{
    Acknowledge, Authenticate, ErrorCode, Request, Response, SubmitReply, SubscriptionEvent, Transport,
};

use crate::account::{Account, submit};
use crate::client::{code, connect_silently};
use crate::server::TestServer;
use crate::wire_client::{TRANSPORTS, WireClient, start};

/// Registration, prekeys, a submission, the push of the queue and its acknowledgement.
#[tokio::test]
async fn every_transport_carries_everything() {
    let test = start().await;
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let account = Account::new(&format!("claire{number}@clinic.example"));
        let invitation = test.invite(60_000).await;
        let newcomer = WireClient::connect(&test, transport).await;
        assert_eq!(newcomer.ask(&account.register(invitation)).await, Response::Done, "{transport:?}");

        let device = WireClient::connect(&test, transport).await;
        let proved = device.ask(&Request::Authenticate(device.proof(&account))).await;
        assert!(matches!(proved, Response::Authenticate(_)), "{transport:?}: {proved:?}");
        let mut push = device.open(&Request::Subscribe).await;
        let Some(Response::Subscription(SubscriptionEvent::Open(incarnation))) = push.response().await else {
            panic!("no subscription over {transport:?}")
        };
        assert_eq!(push.response().await, Some(Response::Subscription(SubscriptionEvent::QueueEmpty)));
        let sender = WireClient::connect(&test, transport).await;
        for sequence in 1..=3 {
            let submission = submit(&account.address, &[1], sequence);
            assert_eq!(sender.ask(&submission).await, Response::Submit(SubmitReply { duplicate: false }));
        }
        let mut last = 0;
        for _ in 1..=3 {
            let Some(Response::Subscription(SubscriptionEvent::Delivery(delivery))) = push.response().await else {
                panic!("no delivery over {transport:?}")
            };
            assert!(delivery.sequence > last);
            last = delivery.sequence;
        }
        let acknowledge = Request::Acknowledge(Acknowledge { incarnation, up_to: last, generation: 0 });
        assert_eq!(device.ask(&acknowledge).await, Response::Done);
        assert_eq!(push.response().await, Some(Response::Subscription(SubscriptionEvent::QueueEmpty)));
        assert_eq!(code(sender.ask(&Request::PrekeyStatus).await), ErrorCode::ProofRequired);
    }
}

/// The time for Hello concerns whoever has not said it.
#[tokio::test]
async fn whoever_has_said_hello_may_be_silent() {
    let test = start().await;
    let mut clients = Vec::new();
    for transport in TRANSPORTS {
        clients.push(WireClient::connect(&test, transport).await);
    }
    tokio::time::sleep(Duration::from_millis(11_000)).await;
    for client in clients {
        assert_eq!(code(client.ask(&Request::PrekeyStatus).await), ErrorCode::ProofRequired, "{:?}", client.transport);
    }
}

/// A proof that was captured on one transport, shown on every other, as it was and bent to fit.
#[tokio::test]
async fn a_proof_is_refused_on_any_other_connection_of_any_transport() {
    let test = start().await;
    let account = test.account("claire@clinic.example").await;
    for from in TRANSPORTS {
        for to in TRANSPORTS {
            let captured = WireClient::connect(&test, from).await.proof(&account);
            for bent in [false, true] {
                let other = WireClient::connect(&test, to).await;
                let fitting = Authenticate { transport: to, exporter_bound: to.has_exporter(), ..captured.clone() };
                let shown = if bent { fitting } else { captured.clone() };
                let refused = code(other.ask(&Request::Authenticate(shown)).await);
                let expected = if !bent && to.has_exporter() && !from.has_exporter() {
                    ErrorCode::ExporterRequired
                } else {
                    ErrorCode::ProofRefused
                };
                assert_eq!(refused, expected, "{from:?} on {to:?}, bent: {bent}");
                assert_eq!(code(other.ask(&Request::PrekeyStatus).await), ErrorCode::ProofRequired);
            }
        }
    }
}

/// Whoever stands between and hands the server's nonce on gets a signature over what the device sees: its own transport
/// and its own exporter.
#[tokio::test]
async fn a_nonce_that_is_handed_on_to_another_transport_is_of_no_use() {
    let test = start().await;
    let account = test.account("claire@clinic.example").await;
    for device_by in TRANSPORTS {
        for server_by in TRANSPORTS {
            let device = WireClient::connect(&test, device_by).await;
            let between = WireClient::connect(&test, server_by).await;
            let seen = Channel { nonce: &between.hello.nonce, ..device.channel() };
            let proof = WireClient::proof_over(seen, &account);
            let fitting =
                Authenticate { transport: server_by, exporter_bound: server_by.has_exporter(), ..proof.clone() };
            let response = between.ask(&Request::Authenticate(fitting)).await;
            if device_by == server_by && !device_by.has_exporter() {
                // A browser knows its server by the certificate alone: there is nothing else that it could sign.
                assert!(matches!(response, Response::Authenticate(_)));
            } else {
                assert_eq!(code(response), ErrorCode::ProofRefused, "{device_by:?} through {server_by:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_proof_without_exporter_is_refused_where_the_transport_has_one() {
    let test = start().await;
    let account = test.account("claire@clinic.example").await;
    for transport in TRANSPORTS {
        let client = WireClient::connect(&test, transport).await;
        let proof = WireClient::proof_over(Channel { exporter: None, ..client.channel() }, &account);
        let response = client.ask(&Request::Authenticate(proof)).await;
        if transport.has_exporter() {
            assert_eq!(code(response), ErrorCode::ExporterRequired, "{transport:?}");
        } else {
            assert!(matches!(response, Response::Authenticate(_)), "{transport:?}");
            let client = WireClient::connect(&test, transport).await;
            let proof = WireClient::proof_over(Channel { exporter: Some(&[1; 32]), ..client.channel() }, &account);
            assert_eq!(code(client.ask(&Request::Authenticate(proof)).await), ErrorCode::ProofRefused);
        }
    }
}

/// The push waits for the client that takes nothing; everything else goes on, on its connection too.
#[tokio::test]
async fn whoever_reads_nothing_holds_up_nobody() {
    const COUNT: u8 = 60;
    let test = start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = WireClient::connect(&test, Transport::WebSocket).await;
    for number in 1..=COUNT {
        let Request::Submit(mut request) = submit(&account.address, &[1], number) else { unreachable!("it is one") };
        request.envelopes[0].envelope = vec![number; 65_536];
        assert!(matches!(sender.ask(&Request::Submit(request)).await, Response::Submit(_)));
    }
    for transport in TRANSPORTS {
        let device = WireClient::connect(&test, transport).await;
        let proved = device.ask(&Request::Authenticate(device.proof(&account))).await;
        assert!(matches!(proved, Response::Authenticate(_)));
        let mut push = device.open(&Request::Subscribe).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(matches!(device.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)), "{transport:?}");
        assert!(matches!(push.response().await, Some(Response::Subscription(SubscriptionEvent::Open(_)))));
        for number in 1..=COUNT {
            let Some(Response::Subscription(SubscriptionEvent::Delivery(delivery))) = push.response().await else {
                panic!("no delivery {number} over {transport:?}")
            };
            assert_eq!(delivery.envelope, vec![number; 65_536], "{transport:?}");
        }
    }
}

#[tokio::test]
async fn connections_of_all_transports_count_together() {
    let test = TestServer::start_with(|config| {
        config.connection.connections_per_address_max = 2;
        config.transport.allowed_origins = vec![crate::wire_client::ORIGIN.to_owned()];
    })
    .await;
    let quic = WireClient::connect(&test, Transport::Quic).await;
    let websocket = WireClient::connect(&test, Transport::WebSocket).await;
    assert!(connect_silently(test.address(), b"medipeps/1").await.is_err());
    assert!(crate::wire_client::upgrade(&test, "/medipeps/1", "qmux-02.medipeps-1", None).await.is_err());
    drop(websocket);
    let start = std::time::Instant::now();
    while connect_silently(test.address(), b"medipeps/1").await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the place is not free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(quic);
}

#[tokio::test]
async fn a_stopping_server_tells_every_client() {
    let test = start().await;
    let mut clients = Vec::new();
    for transport in TRANSPORTS {
        clients.push(WireClient::connect(&test, transport).await);
    }
    let begun = std::time::Instant::now();
    let stopping = tokio::spawn(test.server.shutdown());
    for client in clients {
        assert_eq!(client.session.closed_with().await, Some(1), "{:?}", client.transport);
    }
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
