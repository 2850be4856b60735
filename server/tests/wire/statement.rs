//! Statements, prekeys and the end of an account.

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{
    DeviceCertificate, DeviceSecretKeys, Statement, StatementError, StatementIssue, recovery_key_hash,
};
use medipeps_core::label;
use medipeps_core::limits::{DEVICES_MAX, ENVELOPE_LENGTH_MAX};
use medipeps_core::proof::sign_deletion;
use medipeps_core::wire::identity::{SignedStatement, StatementFields};
use medipeps_core::wire::transport::{
    DeleteAccount, DeviceEnvelope, ErrorCode, FetchPrekeys, Payment, PrekeyStatusReply, Request, Response, Submit,
};
use rand_core::SeedableRng;

use crate::account::{Account, ONE_TIME_PREKEYS, submit};
use crate::client::{Client, code, refusal};
use crate::server::TestServer;

fn publish(statement: &Statement) -> Request {
    Request::PublishStatement(statement.encoded().to_vec())
}

#[tokio::test]
async fn statements_follow_one_another() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let client = Client::connect(test.address()).await;
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
    assert_eq!(code(client.ask(&publish(&foreign)).await), ErrorCode::UnknownAccount);
    let elsewhere = Account::new("claire@other.example");
    let elsewhere = elsewhere.next_statement(vec![elsewhere.certificate(1, &elsewhere.device)]);
    assert_eq!(code(client.ask(&publish(&elsewhere)).await), ErrorCode::WrongDomain);

    let fetched = client.ask(&Request::FetchStatement(account.address.clone())).await;
    assert_eq!(fetched, Response::FetchStatement(second.encoded().to_vec()));
}

/// The statement that the recovery key signs on top of another: a new account key, one device, another recovery key.
fn recovered(
    account: &Account,
    previous: &Statement,
    (new_key, new_recovery): (&SigningKey, &SigningKey),
    (device_id, device): (u32, &DeviceSecretKeys),
) -> Statement {
    let keys = device.public_keys();
    let issue = StatementIssue {
        address: &account.address,
        recovery_key_hash: recovery_key_hash(&new_recovery.verifying_key()),
        previous: Some(previous),
        devices: vec![DeviceCertificate::issue(new_key, &account.address, device_id, &keys, true, 6)],
        issued: 6,
    };
    issue.sign_with_recovery_key(new_key.verifying_key(), &account.recovery).unwrap()
}

/// Nobody who has lost every device can prove one: the recovery statement needs no proof.
#[tokio::test]
async fn the_recovery_key_replaces_the_account_key_over_an_anonymous_connection() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let old = Client::prove(test.address(), &account).await;
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let keys = (&SigningKey::random(&mut rng), &SigningKey::random(&mut rng));
    let statement = recovered(&account, &account.statement, keys, (1, &account.device));
    let anonymous = Client::connect(test.address()).await;
    assert_eq!(anonymous.ask(&publish(&statement)).await, Response::Done);
    assert!(matches!(old.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)), "the device is the same");
    let proved = Client::prove(test.address(), &account).await;
    assert_eq!(code(proved.ask(&publish(&statement)).await), ErrorCode::WrongConnection);
}

#[tokio::test]
async fn a_stolen_primary_signs_a_statement_and_the_recovery_key_overrides_it() {
    let test = TestServer::start().await;
    let owner = test.account("claire@clinic.example").await;
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    let [thiefs, own] = [(); 2].map(|()| DeviceSecretKeys::random(&mut rng));
    let thiefs_recovery = SigningKey::random(&mut rng);

    // The thief holds the account key: he puts his own device in the place of the owner's.
    let thief = Client::connect(test.address()).await;
    let stolen = owner.next_statement(vec![owner.certificate(2, &thiefs)]);
    assert_eq!(thief.ask(&publish(&stolen)).await, Response::Done);
    let thief_device = owner.on_device(2, thiefs.clone(), stolen.clone());
    let proved = Client::prove(test.address(), &thief_device).await;
    let upload = thief_device.prekeys.upload.sign(&thiefs.signing_key);
    assert_eq!(proved.ask(&Request::PublishPrekeys(upload)).await, Response::Done);
    // He cannot make the recovery key his own. Only a client that leaves out the check sends such a statement.
    let locked = |previous: &Statement| {
        let issue = StatementIssue {
            address: &owner.address,
            recovery_key_hash: recovery_key_hash(&thiefs_recovery.verifying_key()),
            previous: None,
            devices: vec![owner.certificate(2, &thiefs)],
            issued: 7,
        };
        let version_1 = SignedStatement::decode(issue.sign(&owner.key).unwrap().encoded()).unwrap();
        let mut fields = StatementFields::decode(&version_1.statement).unwrap();
        (fields.version, fields.previous_hash) = (previous.version() + 1, Some(previous.hash()));
        let statement = fields.encode();
        let signature = owner.key.sign(label::ACCOUNT_STATEMENT, &[&statement]);
        let signed = SignedStatement { statement, signature, recovery_key: None };
        Statement::decode(&signed.encode()).unwrap()
    };
    let refused = refusal(thief.ask(&publish(&locked(&stolen))).await);
    assert_eq!(refused.known_code(), Some(ErrorCode::StatementRefused));
    assert_eq!(refused.message, StatementError::RecoveryKeyChange.to_string());

    // The owner's recovery key gives the account another key; the thief's device is out.
    let (new_key, new_recovery) = (SigningKey::random(&mut rng), SigningKey::random(&mut rng));
    let back = recovered(&owner, &stolen, (&new_key, &new_recovery), (3, &own));
    let anonymous = Client::connect(test.address()).await;
    assert_eq!(anonymous.ask(&publish(&back)).await, Response::Done);
    assert_eq!(code(proved.ask(&Request::PrekeyStatus).await), ErrorCode::UnknownDevice);
    let again = Client::connect(test.address()).await;
    assert_eq!(code(again.ask(&again.proof(&thief_device, 0)).await), ErrorCode::ProofRefused);

    // What the thief signs later is of no account key that counts, on the old chain and on the new one.
    let late = thief_device.next_statement(vec![owner.certificate(2, &thiefs)]);
    assert_eq!(code(thief.ask(&publish(&late)).await), ErrorCode::StatementVersion);
    assert_eq!(code(thief.ask(&publish(&locked(&back))).await), ErrorCode::StatementRefused);
    let fetched = anonymous.ask(&Request::FetchStatement(owner.address.clone())).await;
    assert_eq!(fetched, Response::FetchStatement(back.encoded().to_vec()));
}

/// Twenty devices, each with prekeys and with an envelope of the largest size.
#[tokio::test]
async fn an_account_has_twenty_devices_and_gets_a_mail_on_each() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let last = u32::try_from(DEVICES_MAX).unwrap();
    let others: Vec<_> = (2..=last).map(|id| (id, DeviceSecretKeys::random(&mut rng))).collect();
    let secondary = |(id, device): &(u32, DeviceSecretKeys)| {
        DeviceCertificate::issue(&account.key, &account.address, *id, &device.public_keys(), false, 6)
    };
    let mut devices = vec![account.certificate(1, &account.device)];
    devices.extend(others.iter().map(secondary));
    let statement = account.next_statement(devices);
    let anonymous = Client::connect(test.address()).await;
    assert_eq!(anonymous.ask(&publish(&statement)).await, Response::Done);
    for (id, device) in &others {
        let device = account.on_device(*id, device.clone(), statement.clone());
        let client = Client::prove(test.address(), &device).await;
        let upload = device.prekeys.upload.sign(&device.device.signing_key);
        assert_eq!(client.ask(&Request::PublishPrekeys(upload)).await, Response::Done);
    }
    let fetch = Request::FetchPrekeys(FetchPrekeys { address: account.address.clone(), payment: Payment::None });
    let Response::FetchPrekeys(reply) = anonymous.ask(&fetch).await else { panic!("no prekeys") };
    assert_eq!(reply.bundles.len(), DEVICES_MAX);
    let envelope = |device_id| DeviceEnvelope { device_id, envelope: vec![9; ENVELOPE_LENGTH_MAX] };
    let submit = Request::Submit(Submit {
        id: [1; 16],
        address: account.address.clone(),
        envelopes: (1..=last).map(envelope).collect(),
        payment: Payment::None,
        delivery_key: None,
    });
    assert!(submit.encode().len() > 1 << 20, "more than the frame of eight devices");
    assert!(matches!(anonymous.ask(&submit).await, Response::Submit(_)));
    for (id, device) in [others.first().unwrap(), others.last().unwrap()] {
        let client = Client::prove(test.address(), &account.on_device(*id, device.clone(), statement.clone())).await;
        let delivery = client.subscribe().await.delivery().await;
        assert_eq!(delivery.envelope, vec![9; ENVELOPE_LENGTH_MAX]);
    }
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
