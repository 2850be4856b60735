//! What is limited, and how a client is told.

use medipeps_core::identity::Statement;
use medipeps_core::prekey::{EncodedBundle, PrekeyBundle};
use medipeps_core::wire::transport::{ErrorCode, FetchPrekeys, Payment, Request, Response, SubscriptionEvent};
use medipeps_server::Rate;
use medipeps_server::storage::TokenStorage;

use crate::account::{Account, ONE_TIME_PREKEYS, submit};
use crate::client::{Client, code, refusal};
use crate::server::{TestServer, now_ms};
use crate::tokens::{batch, redeem, voucher_of_the_hospital};

const FOUR: Rate = Rate { burst: 4, per_minute: 6 };

fn fetch(account: &Account) -> Request {
    Request::FetchPrekeys(FetchPrekeys { address: account.address.clone(), payment: Payment::None })
}

/// The refusal says when to come again: in at most a tenth of a minute at six a minute.
fn assert_limited(response: Response) {
    let error = refusal(response);
    assert_eq!(error.known_code(), Some(ErrorCode::RateLimited));
    assert!((1..=10_000).contains(&error.retry_after), "{}", error.retry_after);
}

#[tokio::test]
async fn prekeys_run_out_into_the_last_resort_and_past_the_limit_they_are_withheld() {
    let test = TestServer::start_with(|config| config.rate.prekeys_per_recipient = FOUR).await;
    let account = test.account("claire@clinic.example").await;
    let other = test.account("paul@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    let mut one_time = Vec::new();
    for round in 0..4 {
        let Response::FetchPrekeys(reply) = sender.ask(&fetch(&account)).await else { panic!("no prekeys") };
        let statement = Statement::decode(&reply.statement).unwrap();
        let key = statement.device_keys(1).unwrap().signing_key;
        let bundle = PrekeyBundle::verify(&EncodedBundle::decode(&reply.bundles[0]).unwrap(), &key).unwrap();
        assert_eq!(bundle.kem_prekey.last_resort, round >= ONE_TIME_PREKEYS);
        assert_eq!(bundle.one_time_prekey.is_none(), round >= ONE_TIME_PREKEYS);
        one_time.extend(bundle.one_time_prekey.map(|key| key.id));
    }
    one_time.dedup();
    assert_eq!(one_time.len(), ONE_TIME_PREKEYS, "no key is given twice");
    let withheld = |response: Response| {
        let Response::FetchPrekeys(reply) = response else { panic!("no prekeys: {response:?}") };
        assert!(reply.one_time_withheld);
    };
    withheld(sender.ask(&fetch(&account)).await);
    let Response::FetchPrekeys(reply) = sender.ask(&fetch(&other)).await else { panic!("no prekeys") };
    assert!(!reply.one_time_withheld, "others give theirs");
    let again = Client::connect(test.address()).await;
    withheld(again.ask(&fetch(&account)).await);

    // The owner is told, on each subscription until he has acknowledged something.
    let since = |event| match event {
        SubscriptionEvent::PrekeysWithheld(since) => since,
        other => panic!("not told: {other:?}"),
    };
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    let told = since(subscription.next().await);
    assert!(told.abs_diff(now_ms()) < 60_000, "{told}");
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    let mut subscription = device.subscribe().await;
    assert_eq!(since(subscription.next().await), told);
    assert_eq!(device.acknowledge(subscription.incarnation, 0).await, Response::Done);
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while test.storage.withheld_since(&account.address, 1).await.unwrap() != 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty, "it is not told again");
}

#[tokio::test]
async fn one_network_address_cannot_fetch_prekeys_of_everybody() {
    let test = TestServer::start_with(|config| config.rate.prekeys_per_address = FOUR).await;
    let sender = Client::connect(test.address()).await;
    for number in 0..4 {
        let unknown = Account::new(&format!("nobody{number}@clinic.example"));
        assert_eq!(code(sender.ask(&fetch(&unknown)).await), ErrorCode::UnknownAccount);
    }
    let account = test.account("claire@clinic.example").await;
    assert_limited(sender.ask(&fetch(&account)).await);
}

#[tokio::test]
async fn submissions_are_limited_by_recipient_and_by_network_address() {
    let test = TestServer::start_with(|config| {
        config.rate.submit_per_recipient = FOUR;
        config.rate.submit_per_address = Rate { burst: 6, per_minute: 6 };
    })
    .await;
    let [claire, paul] = [test.account("claire@clinic.example").await, test.account("paul@clinic.example").await];
    let sender = Client::connect(test.address()).await;
    for mark in 0..4 {
        assert!(matches!(sender.ask(&submit(&claire.address, &[1], mark)).await, Response::Submit(_)));
    }
    assert_limited(sender.ask(&submit(&claire.address, &[1], 4)).await);
    assert!(matches!(sender.ask(&submit(&paul.address, &[1], 4)).await, Response::Submit(_)));
    assert_limited(sender.ask(&submit(&paul.address, &[1], 5)).await);
}

#[tokio::test]
async fn proofs_registrations_publications_and_statements_are_limited() {
    let test = TestServer::start_with(|config| {
        config.rate.proofs_per_address = FOUR;
        config.rate.registrations_per_address = FOUR;
        config.rate.publications_per_address = FOUR;
        config.rate.statements_per_address = FOUR;
    })
    .await;
    let anonymous = Client::connect(test.address()).await;
    let account = Account::new("claire@clinic.example");
    let publication = Request::PublishStatement(account.statement.encoded().to_vec());
    for _ in 0..4 {
        assert_eq!(code(anonymous.ask(&account.register([0; 16])).await), ErrorCode::InvitationUnknown);
        assert_eq!(code(anonymous.ask(&publication).await), ErrorCode::UnknownAccount);
        let fetched = anonymous.ask(&Request::FetchStatement(account.address.clone())).await;
        assert_eq!(code(fetched), ErrorCode::UnknownAccount);
        let client = Client::connect(test.address()).await;
        assert_eq!(code(client.ask(&client.proof(&account, 0)).await), ErrorCode::ProofRefused);
    }
    assert_limited(anonymous.ask(&account.register([0; 16])).await);
    assert_limited(anonymous.ask(&publication).await);
    assert_limited(anonymous.ask(&Request::FetchStatement(account.address.clone())).await);
    let client = Client::connect(test.address()).await;
    assert_limited(client.ask(&client.proof(&account, 0)).await);
}

#[tokio::test]
async fn what_everybody_may_ask_for_and_vouchers_that_are_none_are_limited() {
    let test = TestServer::start_with(|config| {
        config.rate.issuer_keys_per_address = FOUR;
        config.rate.redemptions_per_address = FOUR;
        config.rate.statements_per_address = FOUR;
    })
    .await;
    let anonymous = Client::connect(test.address()).await;
    let batch = batch(&test, 1).await;
    // The hospital is not trusted here.
    let voucher = redeem(&voucher_of_the_hospital("any"), &anonymous.channel(), batch.request().clone());
    for asked in 0..4 {
        let keys = anonymous.ask(&Request::FetchIssuerKeys).await;
        // The batch has asked once.
        assert_eq!(matches!(keys, Response::FetchIssuerKeys(_)), asked < 3, "{keys:?}");
        assert_eq!(code(anonymous.ask(&voucher).await), ErrorCode::VoucherRefused);
        let list = anonymous.ask(&Request::FetchTrustList { known: 0 }).await;
        assert!(matches!(list, Response::FetchTrustList(_)), "{list:?}");
    }
    for request in [Request::FetchIssuerKeys, voucher, Request::FetchTrustList { known: 0 }] {
        assert_limited(anonymous.ask(&request).await);
    }
}
