//! Tenants and suspension as clients see them.

use medipeps_core::tenant::{Licence, Standing, TenantTerms};
use medipeps_core::wire::transport::{ErrorCode, FetchOwnData, Request, Response};
use medipeps_server::environment::{Environment, SystemEnvironment};
use medipeps_server::storage::TenantStorage;

use crate::account::{Account, submit};
use crate::client::{Client, code};
use crate::server::TestServer;

#[tokio::test]
async fn a_device_learns_what_its_tenant_has() {
    let test = TestServer::start().await;
    let terms = TenantTerms {
        licence: Licence::Territory,
        seats: Some(1),
        services: vec!["chat".to_owned(), "mail".to_owned()],
        ..TenantTerms::unbounded("Territoire de Pau")
    };
    let tenant = test.storage.create_tenant(terms.clone(), 1).await.unwrap();
    let account = test.account_of(tenant, "claire@clinic.example").await;
    let client = Client::prove(test.address(), &account).await;
    let Response::FetchTenant(reply) = client.ask(&Request::FetchTenant).await else { panic!("no tenant") };
    assert_eq!((reply.name, reply.licence, reply.standing), (terms.name.clone(), terms.licence, Standing::Active));
    assert_eq!((reply.ends, reply.services), (None, terms.services.clone()));

    let late = Account::new("late@clinic.example");
    let invitation = test.invite_to(tenant, None).await;
    let refused = Client::connect(test.address()).await.ask(&late.register(invitation)).await;
    assert_eq!(code(refused), ErrorCode::SeatsExhausted);
    let now = SystemEnvironment.now_ms();
    let ended = TenantTerms { ends_ms: Some(now - 1), seats: None, ..terms };
    test.storage.change_tenant(tenant, ended.clone()).await.unwrap();
    let refused = Client::connect(test.address()).await.ask(&late.register(invitation)).await;
    assert_eq!(code(refused), ErrorCode::LicenceEnded);
    let sender = Client::connect(test.address()).await;
    assert_eq!(code(sender.ask(&submit(&account.address, &[1], 1)).await), ErrorCode::LicenceEnded);
    let Response::FetchTenant(reply) = client.ask(&Request::FetchTenant).await else { panic!("no tenant") };
    assert_eq!(reply.standing, Standing::Ended);
    let grace = TenantTerms { grace_ms: 1 << 40, ..ended };
    test.storage.change_tenant(tenant, grace).await.unwrap();
    let bound = test.invite_to(tenant, Some("paul@clinic.example")).await;
    let anonymous = Client::connect(test.address()).await;
    assert_eq!(code(anonymous.ask(&late.register(bound)).await), ErrorCode::InvitationBound);
    assert_eq!(anonymous.ask(&late.register(invitation)).await, Response::Done, "the invitation stayed good");
}

#[tokio::test]
async fn a_suspended_account_is_shut_out_at_once() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    assert!(matches!(sender.ask(&submit(&account.address, &[1], 1)).await, Response::Submit(_)));
    let mut subscribed = Client::prove(test.address(), &account).await.subscribe().await;
    assert_eq!(subscribed.delivery().await.sequence, 1);
    let before = Client::prove(test.address(), &account).await;
    test.storage.set_suspended(&account.address, true).await.unwrap();
    assert_eq!(code(before.ask(&Request::PrekeyStatus).await), ErrorCode::AccountSuspended);
    assert_eq!(code(sender.ask(&submit(&account.address, &[1], 2)).await), ErrorCode::AccountSuspended);
    let last = loop {
        match subscribed.next_response().await.expect("it ends with a reason") {
            Response::Subscription(_) => {}
            last => break last,
        }
    };
    assert_eq!(code(last), ErrorCode::AccountSuspended, "within a look at the queue");
    let client = Client::connect(test.address()).await;
    let proof = client.proof(&account, 0);
    assert_eq!(code(client.ask(&proof).await), ErrorCode::AccountSuspended);
    // Who cannot prove the device is not told.
    let stranger = Client::connect(test.address()).await;
    let foreign =
        Account { device: Account::new("mallory@clinic.example").device, ..Account::new("claire@clinic.example") };
    assert_eq!(code(stranger.ask(&stranger.proof(&foreign, 0)).await), ErrorCode::ProofRefused);

    test.storage.set_suspended(&account.address, false).await.unwrap();
    test.storage.change_tenant(0, TenantTerms { suspended: true, ..TenantTerms::unbounded("default") }).await.unwrap();
    let client = Client::connect(test.address()).await;
    let proof = client.proof(&account, 0);
    assert_eq!(code(client.ask(&proof).await), ErrorCode::TenantSuspended);
    assert_eq!(code(sender.ask(&submit(&account.address, &[1], 2)).await), ErrorCode::TenantSuspended);
    test.storage.change_tenant(0, TenantTerms::unbounded("default")).await.unwrap();
    let mut again = Client::prove(test.address(), &account).await.subscribe().await;
    assert_eq!(again.delivery().await.sequence, 1, "nothing was lost meanwhile");
}

#[tokio::test]
async fn an_account_is_told_what_the_server_has_of_it() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    test.account("karim@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    for mark in 1..=3 {
        assert!(matches!(sender.ask(&submit(&account.address, &[1], mark)).await, Response::Submit(_)));
    }
    let client = Client::prove(test.address(), &account).await;
    let ask = |device_id, after| Request::FetchOwnData(FetchOwnData { device_id, after });
    let Response::FetchOwnData(data) = client.ask(&ask(1, 1)).await else { panic!("no data") };
    assert_eq!((data.address, data.tenant.as_str(), data.submissions), (account.address.clone(), "default", 3));
    assert_eq!(data.statement, account.statement.encoded());
    assert_eq!((data.devices.len(), data.devices[0].queued, data.devices[0].bytes), (1, 3, 3 * 4096));
    let waiting: Vec<_> = data.envelopes.iter().map(|one| (one.sequence, one.size)).collect();
    assert_eq!(waiting, [(2, 4096), (3, 4096)]);
    let Response::FetchOwnData(data) = client.ask(&ask(0, 0)).await else { panic!("no data") };
    assert_eq!(data.envelopes, []);
}
