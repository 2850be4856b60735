//! The second authorisation matrix: every request, by a device that has proved another account, aimed at this one. `access.rs` has the
//! first: every request over a connection in every state.
//!
//! The rows come from the list of requests: a request without one does not compile.

use medipeps_core::proof::sign_deletion;
use medipeps_core::tenant::TenantTerms;
use medipeps_core::wire::transport::{
    Acknowledge, DeleteAccount, ErrorCode, FetchKeyPackages, FetchOwnData, FetchPrekeys, Payment, Request, Response,
    Token,
};
use medipeps_server::service::access::{Access, REQUESTS, RequestName, request_name, rule};
use medipeps_server::storage::{DeviceWakeStorage, Storage, TenantStorage};

use crate::account::{Account, submit};
use crate::blobs::{begin, delete, fetch, put_piece};
use crate::client::{Client, frame, read_response, refusal, write_raw};
use crate::group::Group;
use crate::key_packages;
use crate::server::TestServer;
use crate::tokens;

/// What must come of a request that is aimed at another's account.
enum Outcome {
    Refused(ErrorCode),
    /// It names no account: whatever comes of it is the asker's own.
    OwnOnly,
}

use Outcome::{OwnOnly, Refused};

/// The strongest that an attacker can ask for: genuine requests of the other account, replayed, and what must come of it. `None` for
/// what this matrix cannot build: there is a test of its own.
async fn row(name: RequestName, claire: &Account, paul: &Client) -> Option<(Request, Outcome)> {
    let address = claire.address.clone();
    let wrong_connection = Refused(ErrorCode::WrongConnection);
    Some(match name {
        RequestName::Hello => (Request::Hello, Refused(ErrorCode::Malformed)),
        RequestName::Authenticate => (paul.proof(claire, 0), Refused(ErrorCode::ProofRefused)),
        RequestName::Register => (claire.register([1; 16]), wrong_connection),
        RequestName::FetchStatement => (Request::FetchStatement(address), wrong_connection),
        RequestName::PublishStatement => {
            let next = claire.next_statement(claire.statement.devices().to_vec());
            (Request::PublishStatement(next.encoded().to_vec()), wrong_connection)
        }
        RequestName::FetchPrekeys => {
            (Request::FetchPrekeys(FetchPrekeys { address, payment: Payment::None }), wrong_connection)
        }
        RequestName::Submit => (submit(&address, &[1], 2), wrong_connection),
        RequestName::BeginBlob => (begin(1, 3), wrong_connection),
        RequestName::PutBlobPiece => (put_piece(1, 0, vec![1; 3]), wrong_connection),
        RequestName::FetchBlob => (fetch(1, 0, 3), wrong_connection),
        RequestName::DeleteBlob => (delete(1), wrong_connection),
        RequestName::FetchKeyPackages => {
            (Request::FetchKeyPackages(FetchKeyPackages { address, payment: Payment::None }), wrong_connection)
        }
        RequestName::CreateGroupLog => (Group::new(1).create(), wrong_connection),
        RequestName::AppendGroupEntry => (Group::new(1).entry(0, 1, 10), wrong_connection),
        RequestName::FetchGroupEntries => (Group::new(1).fetch(&paul.channel(), 0, None), wrong_connection),
        RequestName::WatchGroupLogs => (Group::new(1).watch(&paul.channel(), 0, None), wrong_connection),
        RequestName::SignalGroup => (Group::new(1).signal(&paul.channel(), 0, 1), wrong_connection),
        RequestName::SetGroupWake => (Group::new(1).wake(&paul.channel(), 0, 1, None), wrong_connection),
        RequestName::PublishPrekeys => {
            let mut upload = claire.prekeys.upload.clone();
            upload.sequence = 2;
            (Request::PublishPrekeys(upload.sign(&claire.device.signing_key)), Refused(ErrorCode::PrekeysRefused))
        }
        RequestName::PublishKeyPackages => {
            let upload = key_packages::upload(claire, 2, 5..6);
            (Request::PublishKeyPackages(upload), Refused(ErrorCode::KeyPackagesRefused))
        }
        RequestName::DeleteAccount => {
            let signature = sign_deletion(&claire.key, &address, 1);
            let deletion = DeleteAccount { address, statement_version: 1, signature };
            (Request::DeleteAccount(deletion), Refused(ErrorCode::ProofRefused))
        }
        RequestName::Acknowledge => {
            let acknowledge = Acknowledge { incarnation: [7; 16], up_to: 1, generation: 9 };
            (Request::Acknowledge(acknowledge), Refused(ErrorCode::AcknowledgeAhead))
        }
        RequestName::PrekeyStatus => (Request::PrekeyStatus, OwnOnly),
        RequestName::KeyPackageStatus => (Request::KeyPackageStatus, OwnOnly),
        RequestName::Subscribe => (Request::Subscribe, OwnOnly),
        RequestName::SetDeliveryKeys => (Request::SetDeliveryKeys(vec![[1; 32]]), OwnOnly),
        RequestName::SetDeviceWake => (Request::SetDeviceWake(None), OwnOnly),
        RequestName::FetchPushServices => (Request::FetchPushServices, OwnOnly),
        RequestName::FetchTenant => (Request::FetchTenant, OwnOnly),
        RequestName::FetchOwnData => (Request::FetchOwnData(FetchOwnData { device_id: 1, after: 0 }), OwnOnly),
        RequestName::FetchIssuerKeys => (Request::FetchIssuerKeys, OwnOnly),
        RequestName::FetchTrustList => (Request::FetchTrustList { known: 0 }, wrong_connection),
        // What is drawn is the asker's own, and a voucher is of another server: `tokens.rs`, `vouchers.rs`.
        RequestName::DrawTokens | RequestName::DrawVoucher | RequestName::RedeemVoucher => return None,
    })
}

/// Everything of an account that a request could change.
async fn state(test: &TestServer, account: &Account) -> impl PartialEq + std::fmt::Debug + use<> {
    let found = test.storage.account(&account.address).await.unwrap().unwrap();
    let queued = test.storage.fetch(&account.address, 1, 0, 100).await.unwrap();
    let queued: Vec<_> = queued.into_iter().map(|one| (one.sequence, one.envelope)).collect();
    let prekeys = format!("{:?}", test.storage.prekey_status(&account.address, 1).await.unwrap());
    let packages = format!("{:?}", test.storage.key_package_status(&account.address, 1).await.unwrap());
    let inspected = test.storage.inspect_account(&account.address).await.unwrap().unwrap();
    let wakes: Vec<_> = inspected.devices.into_iter().map(|device| device.wake).collect();
    (found.statement, found.statement_version, queued, prekeys, packages, wakes)
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    SameTenant,
    OtherTenant,
    Suspended,
    OfSuspendedTenant,
}

impl Who {
    const ALL: [Self; 4] = [Self::SameTenant, Self::OtherTenant, Self::Suspended, Self::OfSuspendedTenant];

    /// What the request must be refused with because of who asks, before anything else is looked at.
    fn refusal(self, access: Access) -> Option<ErrorCode> {
        match (self, access) {
            (Self::Suspended, Access::Proved) => Some(ErrorCode::AccountSuspended),
            (Self::OfSuspendedTenant, Access::Proved) => Some(ErrorCode::TenantSuspended),
            _ => None,
        }
    }
}

#[tokio::test]
async fn no_request_of_one_account_reaches_another() {
    let test = TestServer::start_with(|config| {
        let many = medipeps_server::Rate { burst: 100_000, per_minute: 100_000 };
        config.rate.proofs_per_address = many;
        config.rate.registrations_per_address = many;
    })
    .await;
    let claire = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &claire).await;
    let packages = Request::PublishKeyPackages(key_packages::upload(&claire, 1, 0..1));
    assert_eq!(device.ask(&packages).await, Response::Done);
    let sender = Client::connect(test.address()).await;
    assert!(matches!(sender.ask(&submit(&claire.address, &[1], 1)).await, Response::Submit(_)));

    let wake = Some("https://push.example/claire".parse().unwrap());
    test.storage.set_device_wake(&claire.address, 1, wake).await.unwrap();
    let before = state(&test, &claire).await;
    let mut cells = 0;
    for who in Who::ALL {
        let terms = TenantTerms::unbounded(&format!("{who:?}"));
        let tenant = match who {
            Who::SameTenant | Who::Suspended => 0,
            Who::OtherTenant | Who::OfSuspendedTenant => test.storage.create_tenant(terms.clone(), 1).await.unwrap(),
        };
        for (row_number, name) in REQUESTS.iter().enumerate() {
            let address = format!("{}-{row_number}@clinic.example", format!("{who:?}").to_lowercase());
            let paul = test.account_of(tenant, &address).await;
            let attacker = Client::prove(test.address(), &paul).await;
            let Some((request, outcome)) = row(*name, &claire, &attacker).await else { continue };
            assert_eq!(request_name(&request), *name, "the row is of another request");
            if who == Who::Suspended {
                test.storage.set_suspended(&paul.address, true).await.unwrap();
            }
            let suspended = TenantTerms { suspended: true, ..terms.clone() };
            if who == Who::OfSuspendedTenant {
                test.storage.change_tenant(tenant, suspended).await.unwrap();
            }
            let (_send, mut receive) = write_raw(&attacker.quic, &frame(&request), true).await;
            let response = read_response(&mut receive).await.unwrap();
            let code = match &response {
                Response::Error(error) => error.known_code(),
                _ => None,
            };
            match (who.refusal(rule(&request)), outcome) {
                (Some(expected), _) | (None, Refused(expected)) => {
                    assert_eq!(code, Some(expected), "{name:?} by {who:?}: {response:?}");
                }
                (None, OwnOnly) => assert!(code != Some(ErrorCode::Internal), "{name:?} by {who:?}: {response:?}"),
            }
            assert_eq!(state(&test, &claire).await, before, "{name:?} by {who:?} changed something");
            if who == Who::OfSuspendedTenant {
                test.storage.change_tenant(tenant, terms.clone()).await.unwrap();
            }
            cells += 1;
        }
    }
    assert!(cells >= Who::ALL.len() * (REQUESTS.len() - 3));
}

/// What pays for a request, where it is paid. A new request has to be named here.
fn payment(request: &mut Request) -> Option<&mut Payment> {
    match request {
        Request::Submit(request) => Some(&mut request.payment),
        Request::FetchPrekeys(request) => Some(&mut request.payment),
        Request::FetchKeyPackages(request) => Some(&mut request.payment),
        Request::BeginBlob(request) => Some(&mut request.payment),
        Request::CreateGroupLog(request) => Some(&mut request.payment),
        Request::AppendGroupEntry(request) => Some(&mut request.payment),
        Request::Hello
        | Request::Authenticate(_)
        | Request::Register(_)
        | Request::FetchStatement(_)
        | Request::PublishStatement(_)
        | Request::PutBlobPiece(_)
        | Request::FetchBlob(_)
        | Request::DeleteBlob(_)
        | Request::FetchGroupEntries(_)
        | Request::WatchGroupLogs(_)
        | Request::SignalGroup(_)
        | Request::SetGroupWake(_)
        | Request::RedeemVoucher(_)
        | Request::PublishPrekeys(_)
        | Request::PrekeyStatus
        | Request::PublishKeyPackages(_)
        | Request::KeyPackageStatus
        | Request::DeleteAccount(_)
        | Request::Subscribe
        | Request::Acknowledge(_)
        | Request::DrawTokens(_)
        | Request::DrawVoucher(_)
        | Request::SetDeliveryKeys(_)
        | Request::FetchTenant
        | Request::FetchOwnData(_)
        | Request::FetchIssuerKeys
        | Request::SetDeviceWake(_)
        | Request::FetchPushServices
        | Request::FetchTrustList { .. } => None,
    }
}

/// Every request that is paid, with no token, one that was spent for something else, a false one, and one of a key that is no more.
#[tokio::test]
async fn nothing_is_had_for_a_payment_that_is_none() {
    let test = TestServer::start_with(|config| config.tokens.required = true).await;
    let claire = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &claire).await;
    let packages = Request::PublishKeyPackages(key_packages::upload(&claire, 1, 0..1));
    assert_eq!(device.ask(&packages).await, Response::Done);
    let tokens = tokens::draw(&test, &claire, 3).await;
    let log = Group::new(1);
    let sender = Client::connect(test.address()).await;
    let spend = tokens::pay(submit(&claire.address, &[1], 1), &tokens[..1]);
    assert!(matches!(sender.ask(&spend).await, Response::Submit(_)));
    let mut creation = log.create();
    *payment(&mut creation).unwrap() = Payment::Tokens(vec![tokens[2].clone()]);
    let created = sender.ask(&creation).await;
    let has_log = !matches!(created, Response::Error(_));

    let false_token = Token { nonce: [9; 32], ..tokens[1].clone() };
    let old_token = Token { key_id: [9; 32], ..tokens[1].clone() };
    let payments = [
        (Payment::None, ErrorCode::PriceNotPaid),
        (Payment::Tokens(vec![tokens[0].clone()]), ErrorCode::TokenSpent),
        (Payment::Tokens(vec![false_token]), ErrorCode::TokenRefused),
        (Payment::Tokens(vec![old_token]), ErrorCode::UnknownIssuerKey),
    ];
    let before = state(&test, &claire).await;
    let mut paid = 0;
    for name in REQUESTS {
        let Some((mut request, _)) = row(*name, &claire, &device).await else { continue };
        if payment(&mut request).is_none() || (*name == RequestName::AppendGroupEntry && !has_log) {
            continue;
        }
        if *name == RequestName::CreateGroupLog {
            request = Group::new(2).create();
        }
        // One as small as what links a device costs nothing.
        if let Request::BeginBlob(begin) = &mut request {
            begin.length = 1 << 20;
        }
        for (with, expected) in &payments {
            *payment(&mut request).unwrap() = with.clone();
            let response = sender.ask(&request).await;
            // A price of more than one token is not met by one; either way nothing is had.
            let code = refusal(response).known_code().unwrap();
            let unmet = code == ErrorCode::PriceNotPaid;
            assert!(code == *expected || unmet, "{name:?} with {with:?}: {code:?}, not {expected:?}");
            assert_eq!(state(&test, &claire).await, before, "{name:?} with {with:?} changed something");
        }
        paid += 1;
    }
    assert!(paid >= 5, "{paid}");
}
