//! The push of a queue.

use std::time::{Duration, Instant};

use medipeps_core::limits::UNACKNOWLEDGED_MAX;
use medipeps_core::wire::transport::{Acknowledge, ErrorCode, Request, Response, Submit, SubscriptionEvent};
use medipeps_server::storage::Storage;

use crate::account::{Account, submit};
use crate::client::{Client, code};
use crate::server::TestServer;

async fn send(test: &TestServer, account: &Account, marks: impl IntoIterator<Item = u16>) {
    let sender = Client::connect(test.address()).await;
    for mark in marks {
        let Request::Submit(mut request) = submit(&account.address, &[1], 0) else { unreachable!("it is one") };
        request.id[..2].copy_from_slice(&mark.to_be_bytes());
        request.envelopes[0].envelope[..2].copy_from_slice(&mark.to_be_bytes());
        let response = sender.ask(&Request::Submit(Submit { ..request })).await;
        assert!(matches!(response, Response::Submit(_)), "{response:?}");
    }
}

fn mark(envelope: &[u8]) -> u16 {
    u16::from_be_bytes([envelope[0], envelope[1]])
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    send(&test, &account, 1..=3).await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    for number in 1..=3 {
        assert_eq!(mark(&subscription.delivery().await.envelope), number);
    }
    assert_eq!(device.acknowledge(subscription.incarnation, 1).await, Response::Done);
    assert_eq!(device.acknowledge(subscription.incarnation, 1).await, Response::Done, "a repeat is harmless");
    drop(subscription);
    device.quic.close(0_u32.into(), b"");

    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.delivery().await.sequence, 2);
    assert_eq!(subscription.delivery().await.sequence, 3);
    assert_eq!(device.acknowledge(subscription.incarnation, 3).await, Response::Done);
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    send(&test, &account, 4..=4).await;
    assert_eq!(subscription.delivery().await.sequence, 4, "a number is never given twice");
}

#[tokio::test]
async fn acknowledgements_belong_to_the_store_and_to_what_was_stored() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    send(&test, &account, 1..=1).await;
    let device = Client::prove(test.address(), &account).await;
    assert_eq!(code(device.acknowledge([8; 16], 1).await), ErrorCode::WrongIncarnation);
    assert_eq!(code(device.acknowledge([7; 16], 2).await), ErrorCode::AcknowledgeAhead);
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.delivery().await.sequence, 1, "neither removed anything");
    let acknowledge = Acknowledge { incarnation: subscription.incarnation, up_to: 1, generation: 9 };
    assert_eq!(device.ask(&Request::Acknowledge(acknowledge)).await, Response::Done);
    let next = Client::connect(test.address()).await;
    match next.ask(&next.proof(&account, 4)).await {
        Response::Authenticate(reply) => assert_eq!(reply.highest_generation, 9),
        other => panic!("not proved: {other:?}"),
    }
}

#[tokio::test]
async fn at_most_so_many_are_under_way() {
    let test = TestServer::start_with(|config| {
        config.rate.submit_per_recipient = medipeps_server::Rate { burst: 10_000, per_minute: 10_000 };
    })
    .await;
    let account = test.account("claire@clinic.example").await;
    let window = u16::try_from(UNACKNOWLEDGED_MAX).unwrap();
    send(&test, &account, 1..=window + 20).await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    for number in 1..=window {
        assert_eq!(mark(&subscription.delivery().await.envelope), number);
    }
    assert!(subscription.is_silent().await);
    assert_eq!(device.acknowledge(subscription.incarnation, 5).await, Response::Done);
    for number in window + 1..=window + 5 {
        assert_eq!(mark(&subscription.delivery().await.envelope), number);
    }
    assert!(subscription.is_silent().await);
    assert_eq!(device.acknowledge(subscription.incarnation, u64::from(window) + 5).await, Response::Done);
    for number in window + 6..=window + 20 {
        assert_eq!(mark(&subscription.delivery().await.envelope), number);
    }
}

#[tokio::test]
async fn a_newer_subscription_takes_over() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let first = Client::prove(test.address(), &account).await;
    let mut older = first.subscribe().await;
    assert_eq!(older.next().await, SubscriptionEvent::QueueEmpty);
    let second = Client::prove(test.address(), &account).await;
    let mut newer = second.subscribe().await;
    assert_eq!(older.next().await, SubscriptionEvent::Displaced);
    assert_eq!(older.next_response().await, None, "nothing comes after it");
    assert_eq!(newer.next().await, SubscriptionEvent::QueueEmpty);
    send(&test, &account, 1..=1).await;
    assert_eq!(newer.delivery().await.sequence, 1);
    // An acknowledgement over the older connection is as good.
    assert_eq!(first.acknowledge(newer.incarnation, 1).await, Response::Done);
    assert_eq!(newer.next().await, SubscriptionEvent::QueueEmpty);
}

#[tokio::test]
async fn what_expired_is_told_until_the_device_has_heard_it() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    send(&test, &account, 1..=2).await;
    assert_eq!(test.storage.expire(u64::MAX).await.unwrap().envelopes, 2);
    for _ in 0..2 {
        let device = Client::prove(test.address(), &account).await;
        let mut subscription = device.subscribe().await;
        assert_eq!(subscription.next().await, SubscriptionEvent::Expired(2), "a lost connection loses nothing");
        assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    }
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::Expired(2));
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    assert_eq!(device.acknowledge(subscription.incarnation, 0).await, Response::Done);
    // The subscription settles it; a mail shows that it has come round.
    send(&test, &account, 3..=3).await;
    subscription.delivery().await;
    assert_eq!(test.storage.expired_count(&account.address, 1).await.unwrap(), 0);
    let again = Client::prove(test.address(), &account).await;
    assert_eq!(again.subscribe().await.delivery().await.sequence, 3);
}

#[tokio::test]
async fn mail_arrives_although_nothing_announces_it() {
    let test = TestServer::start_stubborn(Duration::ZERO).await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    let start = Instant::now();
    send(&test, &account, 1..=1).await;
    assert_eq!(subscription.delivery().await.sequence, 1);
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    // Taken off by another node of the server: this one finds out by itself.
    test.storage.acknowledge(&account.address, 1, subscription.incarnation, 1).await.unwrap();
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let test = TestServer::start_with(|config| {
        config.rate.submit_per_recipient = medipeps_server::Rate { burst: 10_000, per_minute: 10_000 };
    })
    .await;
    let account = test.account("claire@clinic.example").await;
    let other = test.account("paul@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    let count = 100;
    for number in 1..=count {
        let Request::Submit(mut request) = submit(&account.address, &[1], number) else { unreachable!("it is one") };
        request.envelopes[0].envelope = vec![number; 65_536];
        assert!(matches!(sender.ask(&Request::Submit(request)).await, Response::Submit(_)));
    }
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert!(matches!(device.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)), "its own requests go on");
    send(&test, &other, 1..=1).await;
    let other = Client::prove(test.address(), &other).await;
    assert_eq!(other.subscribe().await.delivery().await.sequence, 1);
    for number in 1..=count {
        assert_eq!(subscription.delivery().await.envelope, vec![number; 65_536]);
    }
}
