//! The authorisation matrix: every request of the table over a connection in every state.

use chacha20::ChaCha20Rng;
use medipeps_core::identity::DeviceSecretKeys;
use medipeps_core::proof::{Channel, sign_deletion};
use medipeps_core::wire::transport::{
    Acknowledge, DeleteAccount, ErrorCode, FetchKeyPackages, FetchOwnData, FetchPrekeys, Payment, Request, Response,
    Transport,
};
use medipeps_server::Rate;
use medipeps_server::service::access::{Access, RULES, name, rule};
use rand_core::SeedableRng;

use crate::account::{Account, submit};
use crate::blobs::{begin, delete, fetch, put_piece};
use crate::client::{Client, ask, connect_silently};
use crate::group::Group;
use crate::key_packages;
use crate::server::TestServer;
use crate::tokens;

/// What a connection has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Hello,
    AnonymousRequest,
    Proof,
    ProofOfAnotherKey,
    ProofOfUnlistedDevice,
    ProofOfRemovedDevice,
}

const STATES: [Shown; 7] = [
    Shown::Nothing,
    Shown::Hello,
    Shown::AnonymousRequest,
    Shown::Proof,
    Shown::ProofOfAnotherKey,
    Shown::ProofOfUnlistedDevice,
    Shown::ProofOfRemovedDevice,
];

/// What the request must be answered with; `None` is success.
fn expected(access: Access, shown: Shown) -> Option<ErrorCode> {
    let failed = matches!(shown, Shown::ProofOfAnotherKey | Shown::ProofOfUnlistedDevice);
    let proved = matches!(shown, Shown::Proof | Shown::ProofOfRemovedDevice);
    match (access, shown) {
        (Access::First, Shown::Nothing) => None,
        (_, Shown::Nothing) => Some(ErrorCode::HelloRequired),
        (Access::First, _) => Some(ErrorCode::Malformed),
        (Access::Proof, Shown::Hello) => None,
        (Access::Proof, Shown::AnonymousRequest) => Some(ErrorCode::WrongConnection),
        (Access::Proof, _) => Some(ErrorCode::ProofRefused),
        (Access::Anonymous, _) if failed || proved => Some(ErrorCode::WrongConnection),
        (Access::Anonymous, _) => None,
        (Access::Proved, Shown::Proof) => None,
        (Access::Proved, Shown::ProofOfRemovedDevice) => Some(ErrorCode::UnknownDevice),
        (Access::Proved, _) => Some(ErrorCode::ProofRequired),
        (Access::Any, _) => None,
    }
}

/// The blob that there is before each cell of the matrix.
const BLOB: u8 = 7;

/// The group whose log there is before each cell of the matrix.
const GROUP: u8 = 7;

/// A client's channel; any other where nothing was said.
fn channel(client: Option<&Client>) -> Channel<'_> {
    let silent = Channel { nonce: &[0; 32], domain: "clinic.example", transport: Transport::Quic, exporter: None };
    client.map_or(silent, Client::channel)
}

/// An account with two devices, seen from the second one.
async fn two_devices(test: &TestServer, address: &str) -> (Account, Account) {
    let first = test.account(address).await;
    let keys = DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([9; 32]));
    let devices = vec![first.certificate(1, &first.device), first.certificate(2, &keys)];
    let statement = first.next_statement(devices);
    let client = Client::connect(test.address()).await;
    let published = client.ask(&Request::PublishStatement(statement.encoded().to_vec())).await;
    assert_eq!(published, Response::Done);
    let second = first.on_device(2, keys, statement);
    let client = Client::prove(test.address(), &second).await;
    let upload = second.prekeys.upload.sign(&second.device.signing_key);
    assert_eq!(client.ask(&Request::PublishPrekeys(upload)).await, Response::Done);
    let packages = Request::PublishKeyPackages(key_packages::upload(&second, 1, 0..1));
    assert_eq!(client.ask(&packages).await, Response::Done);
    (first, second)
}

/// A request of this name that succeeds on the right connection, with what it takes from it.
async fn request(test: &TestServer, name: &str, account: &Account, client: Option<&Client>) -> Request {
    let address = account.address.clone();
    match name {
        "Hello" => Request::Hello,
        "Authenticate" => match client {
            Some(client) => client.proof(account, 0),
            None => {
                let channel =
                    Channel { nonce: &[0; 32], domain: "clinic.example", transport: Transport::Quic, exporter: None };
                Request::Authenticate(medipeps_core::wire::transport::Authenticate {
                    signature: channel.sign_proof(&account.device.signing_key, &address, 2, 0),
                    address,
                    device_id: 2,
                    transport: Transport::Quic,
                    exporter_bound: false,
                    generation: 0,
                })
            }
        },
        "Register" => Account::new(&format!("new-{address}")).register(test.invite(60_000).await),
        "FetchStatement" => Request::FetchStatement(address),
        "FetchPrekeys" => Request::FetchPrekeys(FetchPrekeys { address, payment: Payment::None }),
        "Submit" => submit(&address, &[1, 2], 1),
        "BeginBlob" => begin(BLOB, 3),
        "PutBlobPiece" => put_piece(BLOB, 0, vec![1; 3]),
        "FetchBlob" => fetch(BLOB, 0, 3),
        "DeleteBlob" => delete(BLOB),
        "CreateGroupLog" => Group::new(9).create(),
        "AppendGroupEntry" => Group::new(GROUP).entry(0, 1, 10),
        "FetchGroupEntries" => Group::new(GROUP).fetch(&channel(client), 0, None),
        "WatchGroupLogs" => Group::new(GROUP).watch(&channel(client), 0, None),
        "SignalGroup" => Group::new(GROUP).signal(&channel(client), 0, 1),
        "SetGroupWake" => Group::new(GROUP).wake(&channel(client), 0, 1, None),
        "FetchKeyPackages" => Request::FetchKeyPackages(FetchKeyPackages { address, payment: Payment::None }),
        "PublishKeyPackages" => Request::PublishKeyPackages(key_packages::upload(account, 2, 0..1)),
        "KeyPackageStatus" => Request::KeyPackageStatus,
        "PublishStatement" => {
            let devices = account.statement.devices().to_vec();
            Request::PublishStatement(account.next_statement(devices).encoded().to_vec())
        }
        "PublishPrekeys" => {
            let mut upload = account.prekeys.upload.clone();
            upload.sequence = 2;
            Request::PublishPrekeys(upload.sign(&account.device.signing_key))
        }
        "PrekeyStatus" => Request::PrekeyStatus,
        "DeleteAccount" => Request::DeleteAccount(DeleteAccount {
            signature: sign_deletion(&account.key, &address, 2),
            address,
            statement_version: 2,
        }),
        "FetchTenant" => Request::FetchTenant,
        "FetchOwnData" => Request::FetchOwnData(FetchOwnData { device_id: 2, after: 0 }),
        "FetchTrustList" => Request::FetchTrustList { known: 0 },
        "SetDeviceWake" => Request::SetDeviceWake(None),
        "FetchPushServices" => Request::FetchPushServices,
        "Subscribe" => Request::Subscribe,
        "FetchIssuerKeys" => Request::FetchIssuerKeys,
        "DrawTokens" => Request::DrawTokens(tokens::batch(test, 1).await.request().clone()),
        "DrawVoucher" => tokens::draw_voucher("hospital.example", 1),
        "RedeemVoucher" => {
            let voucher = tokens::voucher_of_the_hospital(address.as_str());
            let batch = tokens::batch(test, 1).await;
            tokens::redeem(&voucher, &channel(client), batch.request().clone())
        }
        "SetDeliveryKeys" => Request::SetDeliveryKeys(vec![[1; 32]]),
        "Acknowledge" => Request::Acknowledge(Acknowledge { incarnation: [7; 16], up_to: 0, generation: 0 }),
        other => panic!("the matrix has no request {other}"),
    }
}

/// A connection that has shown this for the second device.
async fn connection(test: &TestServer, shown: Shown, first: &Account, second: &Account) -> Client {
    let client = Client::connect(test.address()).await;
    let refused = |response: Response| matches!(response, Response::Error(error) if error.known_code() == Some(ErrorCode::ProofRefused));
    match shown {
        Shown::Nothing => unreachable!("a client says Hello"),
        Shown::Hello => {}
        Shown::AnonymousRequest => {
            let fetched = client.ask(&Request::FetchStatement(first.address.clone())).await;
            assert!(matches!(fetched, Response::FetchStatement(_)));
        }
        Shown::Proof | Shown::ProofOfRemovedDevice => {
            assert!(matches!(client.ask(&client.proof(second, 0)).await, Response::Authenticate(_)));
        }
        Shown::ProofOfAnotherKey => {
            let device = Account {
                device: Account::new("mallory@clinic.example").device,
                ..Account::new(first.address.as_str())
            };
            assert!(refused(client.ask(&client.proof(&device, 0)).await));
        }
        Shown::ProofOfUnlistedDevice => {
            let device = Account { device_id: 3, ..Account::new(first.address.as_str()) };
            assert!(refused(client.ask(&client.proof(&device, 0)).await));
        }
    }
    if shown == Shown::ProofOfRemovedDevice {
        let seen = first.on_device(1, first.device.clone(), second.statement.clone());
        let without = seen.next_statement(vec![first.certificate(1, &first.device)]);
        let primary = Client::connect(test.address()).await;
        let published = primary.ask(&Request::PublishStatement(without.encoded().to_vec())).await;
        assert_eq!(published, Response::Done);
    }
    client
}

#[tokio::test]
async fn every_request_meets_its_rule_in_every_state() {
    let test = TestServer::start_with(|config| {
        let many = Rate { burst: 100_000, per_minute: 100_000 };
        config.rate.registrations_per_address = many;
        config.rate.publications_per_address = many;
        config.rate.proofs_per_address = many;
        config.rate.prekeys_per_address = many;
        config.rate.blob_begins_per_address = many;
        config.rate.group_creations_per_address = many;
        config.rate.group_appends_per_address = many;
        tokens::trust_the_hospital(config);
    })
    .await;
    let mut cells = 0;
    for (row, (request_name, access)) in RULES.iter().enumerate() {
        for (column, shown) in STATES.into_iter().enumerate() {
            let (first, second) = two_devices(&test, &format!("user-{row}-{column}@clinic.example")).await;
            let uploader = Client::connect(test.address()).await;
            for request in [begin(BLOB, 3), put_piece(BLOB, 0, vec![1; 3]), Group::new(GROUP).create()] {
                assert!(!matches!(uploader.ask(&request).await, Response::Error(_)));
            }
            let (response, asked) = if shown == Shown::Nothing {
                let (_endpoint, quic) = connect_silently(test.address(), b"medipeps/1").await.unwrap();
                let asked = request(&test, request_name, &second, None).await;
                (ask(&quic, &asked).await, asked)
            } else {
                let client = connection(&test, shown, &first, &second).await;
                let asked = request(&test, request_name, &second, Some(&client)).await;
                (client.ask(&asked).await, asked)
            };
            assert_eq!((name(&asked), rule(&asked)), (*request_name, *access));
            let code = match &response {
                Response::Error(error) => Some(error.known_code().unwrap()),
                _ => None,
            };
            assert_eq!(code, expected(*access, shown), "{request_name} after {shown:?}: {response:?}");
            cells += 1;
        }
    }
    assert_eq!(cells, RULES.len() * STATES.len());
}
