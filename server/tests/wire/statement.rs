//! Statements, prekeys and the end of an account.

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceSecretKeys, StatementIssue, recovery_key_hash};
use medipeps_core::proof::sign_deletion;
use medipeps_core::wire::transport::{DeleteAccount, ErrorCode, PrekeyStatusReply, Request, Response};
use rand_core::SeedableRng;

use crate::account::{Account, ONE_TIME_PREKEYS, submit};
use crate::client::{Client, code};
use crate::server::TestServer;

fn publish(statement: &medipeps_core::identity::Statement) -> Request {
    Request::PublishStatement(statement.encoded().to_vec())
}

#[tokio::test]
async fn statements_follow_one_another() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let client = Client::prove(test.address(), &account).await;
    let second = account.next_statement(vec![account.certificate(1, &account.device)]);
    assert_eq!(client.ask(&publish(&second)).await, Response::Done);
    assert_eq!(client.ask(&publish(&second)).await, Response::Done, "a repeat gets the first answer");
    assert_eq!(code(client.ask(&publish(&account.statement)).await), ErrorCode::StatementVersion);

    let fork = StatementIssue {
        address: &account.address,
        recovery_key_hash: recovery_key_hash(&account.recovery.verifying_key()),
        previous: Some(&account.statement),
        devices: vec![account.certificate(1, &account.device)],
        issued: 99,
    };
    let fork = fork.sign(&account.key).unwrap();
    assert_eq!(code(client.ask(&publish(&fork)).await), ErrorCode::StatementVersion);
    let after_fork = account
        .on_device(1, account.device.clone(), fork)
        .next_statement(vec![account.certificate(1, &account.device)]);
    assert_eq!(code(client.ask(&publish(&after_fork)).await), ErrorCode::StatementVersion, "another chain");

    let seen = account.on_device(1, account.device.clone(), second.clone());
    let other_keys = DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([8; 32]));
    let swapped = seen.next_statement(vec![account.certificate(1, &other_keys)]);
    assert_eq!(code(client.ask(&publish(&swapped)).await), ErrorCode::StatementRefused, "a number keeps its keys");

    let stranger = Account::new("mallory@clinic.example");
    let foreign = stranger.next_statement(vec![stranger.certificate(1, &stranger.device)]);
    assert_eq!(code(client.ask(&publish(&foreign)).await), ErrorCode::StatementRefused);

    let anonymous = Client::connect(test.address()).await;
    let fetched = anonymous.ask(&Request::FetchStatement(account.address.clone())).await;
    assert_eq!(fetched, Response::FetchStatement(second.encoded().to_vec()));
}

#[tokio::test]
async fn the_recovery_key_replaces_the_account_key() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let client = Client::prove(test.address(), &account).await;
    let new_key = SigningKey::random(&mut ChaCha20Rng::from_seed([5; 32]));
    let issue = || StatementIssue {
        address: &account.address,
        recovery_key_hash: recovery_key_hash(&account.recovery.verifying_key()),
        previous: Some(&account.statement),
        devices: vec![medipeps_core::identity::DeviceCertificate::issue(
            &new_key,
            &account.address,
            1,
            &account.device.public_keys(),
            true,
            6,
        )],
        issued: 6,
    };
    let recovered = issue().sign_with_recovery_key(new_key.verifying_key(), &account.recovery).unwrap();
    assert_eq!(client.ask(&publish(&recovered)).await, Response::Done);
    assert!(matches!(client.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)), "the device is the same");
}

#[tokio::test]
async fn prekeys_are_counted_and_uploads_rise() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let client = Client::prove(test.address(), &account).await;
    let count = u32::try_from(ONE_TIME_PREKEYS).unwrap();
    let status = PrekeyStatusReply { one_time_prekeys: count, one_time_kem_prekeys: count, sequence: 1 };
    assert_eq!(client.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(status));

    let device = &account.device.signing_key;
    let more = medipeps_core::prekey::GeneratedPrekeys::draw(
        device,
        &account.address,
        1,
        2,
        account.prekeys.next_id(),
        3,
        200,
        &mut ChaCha20Rng::from_seed([6; 32]),
    );
    let upload = Request::PublishPrekeys(more.upload.sign(device));
    assert_eq!(client.ask(&upload).await, Response::Done);
    assert_eq!(client.ask(&upload).await, Response::Done, "a repeat gets the first answer");
    let status = PrekeyStatusReply { one_time_prekeys: count + 3, one_time_kem_prekeys: count + 3, sequence: 2 };
    assert_eq!(client.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(status));
    let old = Request::PublishPrekeys(account.prekeys.upload.sign(device));
    assert_eq!(code(client.ask(&old).await), ErrorCode::PrekeySequence);

    let other = test.account("paul@clinic.example").await;
    let foreign = Request::PublishPrekeys(other.prekeys.upload.sign(&other.device.signing_key));
    assert_eq!(code(client.ask(&foreign).await), ErrorCode::PrekeysRefused);
    let mut wrong_device = more.upload.clone();
    (wrong_device.device_id, wrong_device.sequence) = (2, 9);
    let wrong_device = Request::PublishPrekeys(wrong_device.sign(device));
    assert_eq!(code(client.ask(&wrong_device).await), ErrorCode::PrekeysRefused);
}

#[tokio::test]
async fn only_the_account_key_deletes_the_account() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let other = test.account("paul@clinic.example").await;
    let client = Client::prove(test.address(), &account).await;
    let mut subscription = client.subscribe().await;
    subscription.next().await;
    let delete = |of: &Account, key: &SigningKey, statement_version| {
        Request::DeleteAccount(DeleteAccount {
            address: of.address.clone(),
            statement_version,
            signature: sign_deletion(key, &of.address, statement_version),
        })
    };
    let by_device = delete(&account, &account.device.signing_key, 1);
    assert_eq!(code(client.ask(&by_device).await), ErrorCode::ProofRefused);
    let of_other = delete(&other, &other.key, 1);
    assert_eq!(code(client.ask(&of_other).await), ErrorCode::ProofRefused);
    let of_another_version = delete(&account, &account.key, 2);
    assert_eq!(code(client.ask(&of_another_version).await), ErrorCode::StatementVersion);
    assert_eq!(client.ask(&delete(&account, &account.key, 1)).await, Response::Done);

    assert_eq!(code(subscription.next_response().await.unwrap()), ErrorCode::UnknownDevice);
    assert_eq!(code(client.ask(&Request::PrekeyStatus).await), ErrorCode::UnknownDevice);
    let anonymous = Client::connect(test.address()).await;
    assert_eq!(code(anonymous.ask(&submit(&account.address, &[1], 1)).await), ErrorCode::UnknownAccount);
    assert_eq!(code(anonymous.ask(&Request::FetchStatement(account.address.clone())).await), ErrorCode::UnknownAccount);
    // Another account under the same address is not the one that the old connection proved.
    let again = test.account("claire@clinic.example").await;
    assert_eq!(again.statement, account.statement);
    assert!(matches!(client.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)), "the key is listed again");
}
