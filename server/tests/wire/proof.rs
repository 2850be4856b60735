//! Hello and the proof of device.

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::identity::DeviceSecretKeys;
use medipeps_core::proof::Channel;
use medipeps_core::wire::transport::{Authenticate, AuthenticateReply, ErrorCode, Request, Response};
use rand_core::SeedableRng;

use crate::account::Account;
use crate::client::{Client, code};
use crate::server::TestServer;

#[tokio::test]
async fn a_hello_holds_for_its_own_connection_only() {
    let test = TestServer::start().await;
    let [one, other] = [Client::connect(test.address()).await, Client::connect(test.address()).await];
    assert_ne!(one.hello.nonce, other.hello.nonce);
    let key = VerifyingKey::from_slice(&one.hello.server_key).unwrap();
    assert_eq!(key, test.server.server_key().verifying_key());
    let relayed = Channel { exporter: Some(&other.exporter), ..one.channel() };
    assert!(relayed.verify_hello(&key, &one.hello.signature).is_err());
}

#[tokio::test]
async fn a_proof_tells_what_the_server_knows() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    for (generation, highest_generation) in [(5, 0), (7, 5), (6, 7)] {
        let client = Client::connect(test.address()).await;
        let reply = AuthenticateReply { highest_generation, statement_version: 1, incarnation: [7; 16] };
        assert_eq!(client.ask(&client.proof(&account, generation)).await, Response::Authenticate(reply));
    }
}

#[tokio::test]
async fn a_proof_is_good_once_and_for_its_connection() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let [one, other] = [Client::connect(test.address()).await, Client::connect(test.address()).await];
    let proof = one.proof(&account, 0);
    assert_eq!(code(other.ask(&proof).await), ErrorCode::ProofRefused);
    assert!(matches!(one.ask(&proof).await, Response::Authenticate(_)));
    assert_eq!(code(one.ask(&proof).await), ErrorCode::ProofRefused);
    // The failed attempt has used up the nonce: not even the right proof is taken now.
    assert_eq!(code(other.ask(&other.proof(&account, 0)).await), ErrorCode::ProofRefused);
    assert!(matches!(one.ask(&Request::PrekeyStatus).await, Response::PrekeyStatus(_)));
}

/// Everything that a proof covers, changed one at a time.
#[tokio::test]
async fn a_proof_of_anything_else_is_refused_alike() {
    let test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let elsewhere = Account::new("claire@other.example");
    let nobody = Account::new("nobody@clinic.example");
    let without_exporter = |client: &Client| {
        let channel = Channel { exporter: None, ..client.channel() };
        match client.proof_over(channel, &account, 0) {
            Request::Authenticate(proof) => proof,
            _ => unreachable!("it is a proof"),
        }
    };
    type Proof<'a> = Box<dyn Fn(&Client) -> Request + 'a>;
    let proofs: Vec<(&str, Proof<'_>)> = vec![
        (
            "domain",
            Box::new(|client| client.proof_over(Channel { domain: "other.example", ..client.channel() }, &account, 0)),
        ),
        ("nonce", Box::new(|client| client.proof_over(Channel { nonce: &[1; 32], ..client.channel() }, &account, 0))),
        (
            "exporter",
            Box::new(|client| client.proof_over(Channel { exporter: Some(&[1; 32]), ..client.channel() }, &account, 0)),
        ),
        (
            "exporter claimed",
            Box::new(|client| Request::Authenticate(Authenticate { exporter_bound: true, ..without_exporter(client) })),
        ),
        ("unknown account", Box::new(|client| client.proof(&nobody, 0))),
        ("account of another domain", Box::new(|client| client.proof(&elsewhere, 0))),
        (
            "generation",
            Box::new(|client| match client.proof(&account, 3) {
                Request::Authenticate(proof) => Request::Authenticate(Authenticate { generation: 4, ..proof }),
                _ => unreachable!("it is a proof"),
            }),
        ),
        (
            "device number",
            Box::new(|client| match client.proof(&account, 3) {
                Request::Authenticate(proof) => Request::Authenticate(Authenticate { device_id: 2, ..proof }),
                _ => unreachable!("it is a proof"),
            }),
        ),
    ];
    let mut messages = Vec::new();
    for (what, proof) in &proofs {
        let client = Client::connect(test.address()).await;
        let error = crate::client::refusal(client.ask(&proof(&client)).await);
        assert_eq!(error.known_code(), Some(ErrorCode::ProofRefused), "{what}");
        messages.push(error.message);
        assert_eq!(code(client.ask(&Request::PrekeyStatus).await), ErrorCode::ProofRequired, "{what}");
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "the answer tells what was wrong: {messages:?}");

    let client = Client::connect(test.address()).await;
    let proof = Request::Authenticate(without_exporter(&client));
    assert_eq!(code(client.ask(&proof).await), ErrorCode::ExporterRequired);
    assert_eq!(code(client.ask(&client.proof(&account, 0)).await), ErrorCode::ProofRefused);
}

/// A number that was freed and given to another device does not let the old device's connection in.
#[tokio::test]
async fn a_reused_device_number_does_not_revive_an_old_connection() {
    let test = TestServer::start().await;
    let first = test.account("claire@clinic.example").await;
    let mut statement = first.statement.clone();
    let [stolen, new] = [3, 4].map(|seed| DeviceSecretKeys::random(&mut ChaCha20Rng::from_seed([seed; 32])));
    let mut publish = Vec::new();
    for second in [Some(&stolen), None, Some(&new)] {
        let mut devices = vec![first.certificate(1, &first.device)];
        devices.extend(second.map(|keys| first.certificate(2, keys)));
        let seen = first.on_device(1, first.device.clone(), statement);
        statement = seen.next_statement(devices);
        publish.push(Request::PublishStatement(statement.encoded().to_vec()));
    }
    let anonymous = Client::connect(test.address()).await;
    assert_eq!(anonymous.ask(&publish[0]).await, Response::Done);
    let old = Client::prove(test.address(), &first.on_device(2, stolen, statement.clone())).await;
    let mut subscription = old.subscribe().await;
    assert_eq!(anonymous.ask(&publish[1]).await, Response::Done);
    assert_eq!(anonymous.ask(&publish[2]).await, Response::Done);
    assert_eq!(code(old.ask(&Request::PrekeyStatus).await), ErrorCode::UnknownDevice);
    let mut last = subscription.next_response().await.unwrap();
    while let Response::Subscription(_) = last {
        last = subscription.next_response().await.unwrap();
    }
    assert_eq!(code(last), ErrorCode::UnknownDevice);
    let address: Address = first.address.clone();
    let new = first.on_device(2, new, statement);
    assert_eq!(new.address, address);
    Client::prove(test.address(), &new).await;
}
