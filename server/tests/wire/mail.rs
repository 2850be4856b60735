//! Submissions, subscriptions and acknowledgements.

use medipeps_core::identity::Statement;
use medipeps_core::prekey::{EncodedBundle, PrekeyBundle};
use medipeps_core::wire::transport::{FetchPrekeys, Payment, Request, Response, SubmitReply, SubscriptionEvent};

use crate::account::submit;
use crate::client::Client;
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
