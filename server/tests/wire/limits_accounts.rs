//! How often one account may ask, over all connections that have proved a device of it.

use medipeps_core::wire::transport::{ErrorCode, Request, Response};
use medipeps_server::Rate;

use crate::account::Account;
use crate::client::{Client, code, frame, read_response, refusal, write_raw};
use crate::key_packages;
use crate::server::TestServer;

const FOUR: Rate = Rate { burst: 4, per_minute: 6 };

#[track_caller]
fn assert_limited(response: Response) {
    let error = refusal(response);
    assert_eq!(error.known_code(), Some(ErrorCode::RateLimited));
    assert!((1..=10_000).contains(&error.retry_after), "{}", error.retry_after);
}

/// What a subscription begins with.
async fn subscribe(client: &Client) -> Response {
    let (_send, mut receive) = write_raw(&client.quic, &frame(&Request::Subscribe), true).await;
    read_response(&mut receive).await.unwrap()
}

async fn two_accounts(test: &TestServer) -> [Account; 2] {
    [test.account("claire@clinic.example").await, test.account("paul@clinic.example").await]
}

#[tokio::test]
async fn a_storm_of_acknowledgements_is_stopped_and_holds_up_no_other_account() {
    let test = TestServer::start_with(|config| config.rate.requests_per_account = FOUR).await;
    let [claire, paul] = two_accounts(&test).await;
    let device = Client::prove(test.address(), &claire).await;
    for _ in 0..4 {
        assert_eq!(device.acknowledge([7; 16], 0).await, Response::Done);
    }
    assert_limited(device.acknowledge([7; 16], 0).await);
    let again = Client::prove(test.address(), &claire).await;
    for request in [Request::PrekeyStatus, Request::KeyPackageStatus, Request::Subscribe] {
        assert_limited(again.ask(&request).await);
    }
    let other = Client::prove(test.address(), &paul).await;
    assert_eq!(other.acknowledge([7; 16], 0).await, Response::Done);
}

#[tokio::test]
async fn uploads_of_one_account_are_limited() {
    let test = TestServer::start_with(|config| config.rate.uploads_per_account = FOUR).await;
    let [claire, paul] = two_accounts(&test).await;
    let device = Client::prove(test.address(), &claire).await;
    let prekeys = |account: &Account, sequence| {
        let mut upload = account.prekeys.upload.clone();
        upload.sequence = sequence;
        Request::PublishPrekeys(upload.sign(&account.device.signing_key))
    };
    let packages = |account, sequence| Request::PublishKeyPackages(key_packages::upload(account, sequence, 0..1));
    for request in [prekeys(&claire, 2), packages(&claire, 1), prekeys(&claire, 3), packages(&claire, 2)] {
        assert_eq!(device.ask(&request).await, Response::Done);
    }
    assert_limited(device.ask(&prekeys(&claire, 4)).await);
    assert_limited(device.ask(&packages(&claire, 3)).await);
    assert!(matches!(device.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)), "the rest goes on");
    let other = Client::prove(test.address(), &paul).await;
    assert_eq!(other.ask(&prekeys(&paul, 2)).await, Response::Done);
}

#[tokio::test]
async fn subscriptions_that_come_and_go_are_limited() {
    let test = TestServer::start_with(|config| config.rate.subscriptions_per_account = FOUR).await;
    let [claire, paul] = two_accounts(&test).await;
    let device = Client::prove(test.address(), &claire).await;
    for _ in 0..4 {
        assert!(matches!(subscribe(&device).await, Response::Subscription(_)));
    }
    assert_limited(subscribe(&device).await);
    assert_eq!(device.acknowledge([7; 16], 0).await, Response::Done, "what is under way can be acknowledged");
    let other = Client::prove(test.address(), &paul).await;
    assert!(matches!(subscribe(&other).await, Response::Subscription(_)));
}

#[tokio::test]
async fn what_nobody_proved_counts_for_no_account() {
    let test =
        TestServer::start_with(|config| config.rate.requests_per_account = Rate { burst: 1, per_minute: 1 }).await;
    let claire = test.account("claire@clinic.example").await;
    let stranger = Client::connect(test.address()).await;
    for _ in 0..3 {
        let fetched = stranger.ask(&Request::FetchStatement(claire.address.clone())).await;
        assert!(matches!(fetched, Response::FetchStatement(_)));
    }
    let unproved = Client::connect(test.address()).await;
    assert_eq!(code(unproved.ask(&Request::PrekeyStatus).await), ErrorCode::ProofRequired);
    let device = Client::prove(test.address(), &claire).await;
    assert!(matches!(device.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)));
}
