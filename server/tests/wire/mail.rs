//! Submissions, subscriptions and acknowledgements.

use medipeps_core::identity::Statement;
use medipeps_core::prekey::{EncodedBundle, PrekeyBundle};
use medipeps_core::wire::transport::{
    ErrorCode, FetchPrekeys, Payment, Request, Response, StaleDevices, SubmitReply, SubscriptionEvent,
};

use crate::account::submit;
use crate::client::{Client, code, refusal};
use crate::server::TestServer;

#[tokio::test]
async fn mail_goes_from_nobody_to_a_device_and_is_forgotten() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;

    let sender = Client::connect(test.address()).await;
    let fetch = Request::FetchPrekeys(FetchPrekeys { address: account.address.clone(), payment: Payment::None });
    let Response::FetchPrekeys(reply) = sender.ask(&fetch).await else { panic!("no prekeys") };
    let statement = Statement::decode(&reply.statement).unwrap();
    let key = statement.device_keys(1).unwrap().signing_key;
    let bundle = PrekeyBundle::verify(&EncodedBundle::decode(&reply.bundles[0]).unwrap(), &key).unwrap();
    assert!(bundle.one_time_prekey.is_some() && !bundle.kem_prekey.last_resort);

    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    let accepted = Response::Submit(SubmitReply { duplicate: false });
    assert_eq!(sender.ask(&submit(&account.address, &[1], 1)).await, accepted);
    assert_eq!(sender.ask(&submit(&account.address, &[1], 2)).await, accepted);
    let deliveries = [subscription.delivery().await, subscription.delivery().await];
    assert_eq!(deliveries.each_ref().map(|one| one.sequence), [1, 2]);
    assert_eq!(deliveries.each_ref().map(|one| one.envelope[0]), [1, 2]);
    assert_eq!(device.acknowledge(subscription.incarnation, 1).await, Response::Done);
    assert!(subscription.is_silent().await, "the queue is not empty yet");
    assert_eq!(device.acknowledge(subscription.incarnation, 2).await, Response::Done);
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
}

#[tokio::test]
async fn a_submission_is_taken_once() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    let first = submit(&account.address, &[1], 1);
    assert_eq!(sender.ask(&first).await, Response::Submit(SubmitReply { duplicate: false }));
    assert_eq!(sender.ask(&first).await, Response::Submit(SubmitReply { duplicate: true }));
    let again = Client::connect(test.address()).await;
    assert_eq!(again.ask(&first).await, Response::Submit(SubmitReply { duplicate: true }));
    let Request::Submit(mut other) = submit(&account.address, &[1], 2) else { unreachable!("it is a submission") };
    other.id = [1; 16];
    assert_eq!(code(sender.ask(&Request::Submit(other)).await), ErrorCode::SubmissionIdReused);

    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.delivery().await.sequence, 1);
    assert!(subscription.is_silent().await);
}

#[tokio::test]
async fn envelopes_must_fit_the_devices() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    for (devices, missing, extra) in
        [(&[2][..], vec![1], vec![2]), (&[1, 2][..], vec![], vec![2]), (&[2, 3][..], vec![1], vec![2, 3])]
    {
        let error = refusal(sender.ask(&submit(&account.address, devices, 1)).await);
        assert_eq!(error.known_code(), Some(ErrorCode::StaleDevices));
        assert_eq!(error.stale_devices, Some(StaleDevices { missing, extra, statement_version: 1 }));
    }
    let unknown = "nobody@clinic.example".parse().unwrap();
    assert_eq!(code(sender.ask(&submit(&unknown, &[1], 1)).await), ErrorCode::UnknownAccount);
    let elsewhere = "claire@other.example".parse().unwrap();
    assert_eq!(code(sender.ask(&submit(&elsewhere, &[1], 1)).await), ErrorCode::WrongDomain);
    let accepted = sender.ask(&submit(&account.address, &[1], 1)).await;
    assert_eq!(accepted, Response::Submit(SubmitReply { duplicate: false }), "nothing of the refused ones was kept");
}

#[tokio::test]
async fn a_full_queue_refuses_until_it_has_room() {
    let test = TestServer::start_with(|config| config.queue.messages_max = 2).await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    for mark in 1..=2 {
        assert!(matches!(sender.ask(&submit(&account.address, &[1], mark)).await, Response::Submit(_)));
    }
    let error = refusal(sender.ask(&submit(&account.address, &[1], 3)).await);
    assert_eq!(error.known_code(), Some(ErrorCode::QueueFull));
    assert!(error.retry_after > 0);
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    for mark in 1..=2 {
        assert_eq!(subscription.delivery().await.envelope[0], mark);
    }
    assert_eq!(device.acknowledge(subscription.incarnation, 1).await, Response::Done);
    assert!(matches!(sender.ask(&submit(&account.address, &[1], 3)).await, Response::Submit(_)));
    assert_eq!(subscription.delivery().await.envelope[0], 3);
}
