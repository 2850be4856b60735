//! What is limited, and how a client is told.

use medipeps_core::identity::Statement;
use medipeps_core::prekey::{EncodedBundle, PrekeyBundle};
use medipeps_core::wire::transport::{ErrorCode, FetchPrekeys, Payment, Request, Response};
use medipeps_server::Rate;

use crate::account::{Account, ONE_TIME_PREKEYS, submit};
use crate::client::{Client, code, refusal};
use crate::server::TestServer;

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
async fn prekeys_run_out_into_the_last_resort_and_then_into_the_limit() {
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
    assert_limited(sender.ask(&fetch(&account)).await);
    assert!(matches!(sender.ask(&fetch(&other)).await, Response::FetchPrekeys(_)), "others can still be written to");
    let again = Client::connect(test.address()).await;
    assert_limited(again.ask(&fetch(&account)).await);
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
