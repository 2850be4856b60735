//! Invitations and what comes of them.

use medipeps_core::wire::transport::{ErrorCode, Register, Request, Response};
use medipeps_server::storage::Storage;

use crate::account::Account;
use crate::client::{Client, code};
use crate::server::TestServer;

fn changed(request: &Request, change: impl FnOnce(&mut Register)) -> Request {
    match request {
        Request::Register(register) => {
            let mut register = register.clone();
            change(&mut register);
            Request::Register(register)
        }
        _ => unreachable!("it is a registration"),
    }
}

#[tokio::test]
async fn an_invitation_opens_one_account() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let invitation = test.invite(60_000).await;
    let [claire, paul] = ["claire@clinic.example", "paul@clinic.example"].map(Account::new);
    assert_eq!(client.ask(&claire.register(invitation)).await, Response::Done);
    assert_eq!(client.ask(&claire.register(invitation)).await, Response::Done, "a repeat gets the first answer");
    assert_eq!(code(client.ask(&paul.register(invitation)).await), ErrorCode::InvitationUsed);
    assert_eq!(code(client.ask(&paul.register([0; 16])).await), ErrorCode::InvitationUnknown);
    let other = test.invite(60_000).await;
    assert_eq!(code(client.ask(&claire.register(other)).await), ErrorCode::AddressTaken);
    assert_eq!(client.ask(&paul.register(other)).await, Response::Done, "a refusal uses nothing up");
    let expired = test.invite(0).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let late = Account::new("late@clinic.example");
    assert_eq!(code(client.ask(&late.register(expired)).await), ErrorCode::InvitationExpired);
}

#[tokio::test]
async fn a_registration_must_hold_together() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let invitation = test.invite(60_000).await;
    let account = Account::new("claire@clinic.example");
    let good = account.register(invitation);
    let elsewhere = Account::new("claire@other.example").register(invitation);
    assert_eq!(code(client.ask(&elsewhere).await), ErrorCode::WrongDomain);
    let second = account.next_statement(vec![account.certificate(1, &account.device)]);
    let later = changed(&good, |register| register.statement = second.encoded().to_vec());
    assert_eq!(code(client.ask(&later).await), ErrorCode::StatementVersion);
    let damaged = changed(&good, |register| {
        let last = register.statement.len() - 1;
        register.statement[last] ^= 1;
    });
    assert_eq!(code(client.ask(&damaged).await), ErrorCode::StatementRefused);
    let damaged = changed(&good, |register| {
        let last = register.prekeys[0].len() - 1;
        register.prekeys[0][last] ^= 1;
    });
    assert_eq!(code(client.ask(&damaged).await), ErrorCode::PrekeysRefused);
    let twice = changed(&good, |register| register.prekeys.push(register.prekeys[0].clone()));
    assert_eq!(code(client.ask(&twice).await), ErrorCode::PrekeysRefused);
    let foreign = Account::new("paul@clinic.example");
    let foreign = foreign.prekeys.upload.sign(&foreign.device.signing_key);
    let of_another = changed(&good, |register| register.prekeys = vec![foreign]);
    assert_eq!(code(client.ask(&of_another).await), ErrorCode::PrekeysRefused);
    assert_eq!(test.storage.account(&account.address).await.unwrap(), None);
    assert_eq!(client.ask(&good).await, Response::Done);
}

#[tokio::test]
async fn a_device_without_prekeys_is_not_registered() {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let account = Account::new("claire@clinic.example");
    let other = Account::new("other@clinic.example");
    let issue = medipeps_core::identity::StatementIssue {
        address: &account.address,
        recovery_key_hash: [1; 32],
        previous: None,
        devices: vec![account.certificate(1, &account.device), account.certificate(2, &other.device)],
        issued: 5,
    };
    let statement = issue.sign(&account.key).unwrap();
    let request = changed(&account.register(test.invite(60_000).await), |register| {
        register.statement = statement.encoded().to_vec();
    });
    assert_eq!(code(client.ask(&request).await), ErrorCode::PrekeysRefused);
}
