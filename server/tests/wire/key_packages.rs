//! Key packages: left by a device, taken by anybody.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use medipeps_core::identity::Statement;
use medipeps_core::key_package::KeyPackageUpload;
use medipeps_core::wire::transport::{
    ErrorCode, FetchKeyPackages, FetchKeyPackagesReply, KeyPackageStatusReply, Payment, Request, Response,
};
use medipeps_server::Rate;

use crate::account::Account;
use crate::client::{Client, code, refusal};
use crate::server::TestServer;

/// A signed upload of the account's device. To a server, packages are bytes.
pub fn upload(account: &Account, sequence: u64, ids: Range<u32>) -> Vec<u8> {
    fields(account, sequence, ids).sign(&account.device.signing_key)
}

fn fields(account: &Account, sequence: u64, ids: Range<u32>) -> KeyPackageUpload {
    KeyPackageUpload {
        address: account.address.clone(),
        device_id: account.device_id,
        sequence,
        last_resort: vec![0xff; 5000],
        one_time: ids.map(|id| (id, vec![id as u8; 5000])).collect(),
    }
}

fn fetch(account: &Account) -> Request {
    Request::FetchKeyPackages(FetchKeyPackages { address: account.address.clone(), payment: Payment::None })
}

async fn taken(client: &Client, account: &Account) -> FetchKeyPackagesReply {
    match client.ask(&fetch(account)).await {
        Response::FetchKeyPackages(reply) => reply,
        other => panic!("not fetched: {other:?}"),
    }
}

/// How many are left, and the last sequence. The server's time is with them.
async fn left(device: &Client) -> (u32, u64) {
    match device.ask(&Request::KeyPackageStatus).await {
        Response::KeyPackageStatus(KeyPackageStatusReply { one_time, sequence, now }) => {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
            assert!(now.abs_diff(since_1970) < 60_000, "{now}");
            (one_time, sequence)
        }
        other => panic!("no status: {other:?}"),
    }
}

#[tokio::test]
async fn key_packages_are_given_once_and_then_the_last_resort() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let inviter = Client::connect(test.address()).await;
    let none = refusal(inviter.ask(&fetch(&account)).await);
    assert_eq!(none.known_code(), Some(ErrorCode::RateLimited), "she has left none yet");
    assert!(none.retry_after > 0);
    let publish = Request::PublishKeyPackages(upload(&account, 1, 0..2));
    for _ in 0..2 {
        assert_eq!(device.ask(&publish).await, Response::Done, "the same again changes nothing");
    }
    assert_eq!(left(&device).await, (2, 1));
    for (byte, last_resort) in [(0, false), (1, false), (0xff, true), (0xff, true)] {
        let reply = taken(&inviter, &account).await;
        assert_eq!(Statement::decode(&reply.statement).unwrap().address(), &account.address);
        let package = &reply.packages[0];
        assert_eq!((package.device_id, package.last_resort), (1, last_resort));
        assert_eq!(package.key_package, vec![byte; 5000]);
    }
    assert_eq!(left(&device).await, (0, 1));
}

#[tokio::test]
async fn an_upload_is_held_against_the_device_that_proved_itself() {
    let test = TestServer::start().await;
    let [claire, paul] = [test.account("claire@clinic.example").await, test.account("paul@clinic.example").await];
    let device = Client::prove(test.address(), &claire).await;
    let publish = |bytes| Request::PublishKeyPackages(bytes);
    let foreign = fields(&paul, 1, 0..1).sign(&claire.device.signing_key);
    let other_device = KeyPackageUpload { device_id: 2, ..fields(&claire, 1, 0..1) }.sign(&claire.device.signing_key);
    let forged = fields(&claire, 1, 0..1).sign(&paul.device.signing_key);
    for refused in [foreign, other_device, forged, upload(&paul, 1, 0..1), vec![1, 2, 3]] {
        assert_eq!(code(device.ask(&publish(refused)).await), ErrorCode::KeyPackagesRefused);
    }
    assert_eq!(device.ask(&publish(upload(&claire, 5, 0..50))).await, Response::Done);
    assert_eq!(code(device.ask(&publish(upload(&claire, 5, 0..3))).await), ErrorCode::KeyPackageSequence);
    // Week after week: what was not used makes room.
    for sequence in 6..10 {
        assert_eq!(device.ask(&publish(upload(&claire, sequence, 50..100))).await, Response::Done);
        assert_eq!(left(&device).await, (50, sequence));
    }
}

#[tokio::test]
async fn nobody_can_drain_a_persons_key_packages_at_once() {
    let test = TestServer::start_with(|config| {
        config.rate.key_packages_per_recipient = Rate { burst: 2, per_minute: 6 };
    })
    .await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    assert_eq!(device.ask(&Request::PublishKeyPackages(upload(&account, 1, 0..9))).await, Response::Done);
    for _ in 0..2 {
        let client = Client::connect(test.address()).await;
        taken(&client, &account).await;
    }
    // Past the limit the one-time ones are withheld.
    let client = Client::connect(test.address()).await;
    let Response::FetchKeyPackages(reply) = client.ask(&fetch(&account)).await else { panic!("no key packages") };
    assert!(reply.packages.iter().all(|package| package.last_resort));
    assert_eq!(left(&device).await, (7, 1));
    let unknown = Account::new("nobody@clinic.example");
    assert_eq!(code(client.ask(&fetch(&unknown)).await), ErrorCode::UnknownAccount);
}
