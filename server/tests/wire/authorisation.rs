//! The second authorisation matrix: every request, by a device that has proved another account, aimed at this one. `access.rs` has the
//! first: every request over a connection in every state.
//!
//! The rows come from the list of requests: a request without one does not compile.

use medipeps_core::proof::sign_deletion;
use medipeps_core::wire::transport::{
    Acknowledge, DeleteAccount, ErrorCode, FetchKeyPackages, FetchPrekeys, Payment, Request, Response,
};
use medipeps_server::service::access::{REQUESTS, RequestName, request_name};
use medipeps_server::storage::Storage;

use crate::account::{Account, submit};
use crate::blobs::{begin, delete, fetch, put_piece};
use crate::client::{Client, frame, read_response, write_raw};
use crate::group::Group;
use crate::key_packages;
use crate::server::TestServer;

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
        RequestName::FetchIssuerKeys => (Request::FetchIssuerKeys, OwnOnly),
        // Drawn and spent by nobody in particular: `tokens.rs`.
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
    (found.statement, found.statement_version, queued, prekeys, packages)
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
    let paul = test.account("paul@clinic.example").await;

    let before = state(&test, &claire).await;
    let mut rows = 0;
    for name in REQUESTS {
        let attacker = Client::prove(test.address(), &paul).await;
        let Some((request, outcome)) = row(*name, &claire, &attacker).await else { continue };
        assert_eq!(request_name(&request), *name, "the row is of another request");
        let (_send, mut receive) = write_raw(&attacker.quic, &frame(&request), true).await;
        let response = read_response(&mut receive).await.unwrap();
        let code = match &response {
            Response::Error(error) => error.known_code(),
            _ => None,
        };
        match outcome {
            Refused(expected) => assert_eq!(code, Some(expected), "{name:?}: {response:?}"),
            OwnOnly => assert!(code != Some(ErrorCode::Internal), "{name:?}: {response:?}"),
        }
        assert_eq!(state(&test, &claire).await, before, "{name:?} by another account changed something");
        rows += 1;
    }
    assert!(rows >= REQUESTS.len() - 3);
}
