//! Tokens: drawn by an account, spent by nobody in particular.

use std::sync::atomic::{AtomicU8, Ordering};

use medipeps_core::crypto::hash::labelled_sha256;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::delivery_key::DeliveryKey;
use medipeps_core::label;
use medipeps_core::proof::Channel;
use medipeps_core::token::{IssuerKeys, TokenBatch, Voucher, day_of};
use medipeps_core::wire::transport::{
    BeginBlob, DrawVoucher, ErrorCode, FetchPrekeys, Lane, Payment, RedeemVoucher, Request, Response, SubmitReply,
    SubscriptionEvent, Token, TokenRequest,
};
use medipeps_server::{Config, Rate};

use crate::account::{Account, submit};
use crate::client::{Client, code};
use crate::server::{INCARNATION, TestServer, now_ms};

/// So that no batch is another's.
static SEED: AtomicU8 = AtomicU8::new(1);

/// The list of issuer keys, verified.
pub async fn issuer_keys(client: &Client) -> IssuerKeys {
    let Response::FetchIssuerKeys(list) = client.ask(&Request::FetchIssuerKeys).await else { panic!("no list") };
    IssuerKeys::verify(&list, &VerifyingKey::from_slice(&client.hello.server_key).unwrap()).unwrap()
}

/// A batch that was not asked for yet.
pub async fn batch(test: &TestServer, count: usize) -> TokenBatch {
    let list = issuer_keys(&Client::connect(test.address()).await).await;
    let seed = Secret::from([SEED.fetch_add(1, Ordering::Relaxed); 32]);
    TokenBatch::blind(list.issuing().unwrap(), count, seed).unwrap()
}

/// Draws tokens of an account's day.
pub async fn draw(test: &TestServer, account: &Account, count: usize) -> Vec<Token> {
    let batch = batch(test, count).await;
    let client = Client::prove(test.address(), account).await;
    match client.ask(&Request::DrawTokens(batch.request().clone())).await {
        Response::DrawTokens(answer) => batch.finalize(&answer).unwrap(),
        other => panic!("no tokens: {other:?}"),
    }
}

/// The same submission, paid.
pub fn pay(request: Request, tokens: &[Token]) -> Request {
    let payment = Payment::Tokens(tokens.to_vec());
    match request {
        Request::Submit(mut submit) => {
            submit.payment = payment;
            Request::Submit(submit)
        }
        Request::FetchPrekeys(mut fetch) => {
            fetch.payment = payment;
            Request::FetchPrekeys(fetch)
        }
        other => panic!("{other:?} is not paid in these tests"),
    }
}

const TAKEN: Response = Response::Submit(SubmitReply { duplicate: false });
const AGAIN: Response = Response::Submit(SubmitReply { duplicate: true });

/// A server that takes nothing that is not paid.
async fn charging() -> (TestServer, Account, Account) {
    let test = TestServer::start_with(|config| config.tokens.required = true).await;
    let (claire, paul) = (test.account("claire@clinic.example").await, test.account("paul@clinic.example").await);
    (test, claire, paul)
}

#[tokio::test]
async fn the_list_of_issuer_keys_is_the_same_for_everybody() {
    let test = TestServer::start().await;
    let claire = test.account("claire@clinic.example").await;
    let anonymous = Client::connect(test.address()).await;
    let proved = Client::prove(test.address(), &claire).await;
    let list = anonymous.ask(&Request::FetchIssuerKeys).await;
    assert_eq!(list, proved.ask(&Request::FetchIssuerKeys).await);
    let list = issuer_keys(&anonymous).await;
    assert_eq!((list.domain.as_str(), list.keys.len()), ("clinic.example", 1));
    assert_eq!(list.keys[0].day, day_of(now_ms()));
    // It settles nothing: the connection that asked can still prove a device.
    assert!(matches!(anonymous.ask(&anonymous.proof(&claire, 0)).await, Response::Authenticate(_)));
}

#[tokio::test]
async fn a_token_pays_for_one_submission_and_its_repeats() {
    let (test, claire, paul) = charging().await;
    let tokens = draw(&test, &claire, 3).await;
    let sender = Client::connect(test.address()).await;
    let unpaid = submit(&paul.address, &[1], 1);
    assert_eq!(code(sender.ask(&unpaid).await), ErrorCode::PriceNotPaid);
    assert_eq!(code(sender.ask(&pay(unpaid.clone(), &tokens[..2])).await), ErrorCode::PriceNotPaid, "too many");
    let paid = pay(unpaid, &tokens[..1]);
    assert_eq!(sender.ask(&paid).await, TAKEN);
    // The acknowledgement was lost: the same again, over another connection.
    let again = Client::connect(test.address()).await;
    assert_eq!(again.ask(&paid).await, AGAIN);
    for other in [submit(&paul.address, &[1], 2), submit(&claire.address, &[1], 1)] {
        assert_eq!(code(again.ask(&pay(other, &tokens[..1])).await), ErrorCode::TokenSpent);
    }
    let fetch = Request::FetchPrekeys(FetchPrekeys { address: paul.address.clone(), payment: Payment::None });
    assert_eq!(code(again.ask(&pay(fetch.clone(), &tokens[..1])).await), ErrorCode::TokenSpent);
    assert!(matches!(again.ask(&pay(fetch, &tokens[1..2])).await, Response::FetchPrekeys(_)));
    // A refusal spends nothing.
    assert_eq!(code(again.ask(&pay(submit(&paul.address, &[9], 3), &tokens[2..])).await), ErrorCode::StaleDevices);
    assert_eq!(again.ask(&pay(submit(&paul.address, &[1], 4), &tokens[2..])).await, TAKEN);
}

#[tokio::test]
async fn a_token_spent_on_two_connections_at_once_pays_once() {
    let (test, claire, paul) = charging().await;
    let token = draw(&test, &claire, 1).await;
    let mut clients = Vec::new();
    for mark in 0..8 {
        let client = Client::connect(test.address()).await;
        let request = pay(submit(&paul.address, &[1], mark), &token);
        clients.push(tokio::spawn(async move { client.ask(&request).await }));
    }
    let mut taken = 0;
    for client in clients {
        match client.await.unwrap() {
            Response::Submit(reply) => taken += u32::from(!reply.duplicate),
            refused => assert_eq!(code(refused), ErrorCode::TokenSpent),
        }
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn false_tokens_are_refused_and_counted() {
    let (test, claire, paul) = charging().await;
    let mut tokens = draw(&test, &claire, 1).await;
    let sender = Client::connect(test.address()).await;
    let good = tokens[0].clone();
    tokens[0].authenticator[0] ^= 1;
    assert_eq!(code(sender.ask(&pay(submit(&paul.address, &[1], 1), &tokens)).await), ErrorCode::TokenRefused);
    tokens[0] = Token { nonce: [9; 32], ..good.clone() };
    assert_eq!(code(sender.ask(&pay(submit(&paul.address, &[1], 1), &tokens)).await), ErrorCode::TokenRefused);
    tokens[0] = Token { key_id: [9; 32], ..good.clone() };
    assert_eq!(code(sender.ask(&pay(submit(&paul.address, &[1], 1), &tokens)).await), ErrorCode::UnknownIssuerKey);
    assert_eq!(sender.ask(&pay(submit(&paul.address, &[1], 1), &[good])).await, TAKEN);
}

#[tokio::test]
async fn an_account_draws_once_a_day_and_a_repeat_gets_the_same() {
    let test = TestServer::start_with(|config| config.tokens.batch = 5).await;
    let claire = test.account("claire@clinic.example").await;
    let client = Client::prove(test.address(), &claire).await;
    let (first, second, large) = (batch(&test, 4).await, batch(&test, 1).await, batch(&test, 6).await);
    let asked = |batch: &TokenBatch| Request::DrawTokens(batch.request().clone());
    assert_eq!(code(client.ask(&asked(&large)).await), ErrorCode::TokensDrawn, "more than a day's");
    let Response::DrawTokens(answer) = client.ask(&asked(&first)).await else { panic!("no tokens") };
    let tokens = first.finalize(&answer).unwrap();
    let again = Client::prove(test.address(), &claire).await;
    let Response::DrawTokens(answer) = again.ask(&asked(&first)).await else { panic!("no tokens") };
    assert_eq!(first.finalize(&answer).unwrap(), tokens);
    assert_eq!(code(again.ask(&asked(&second)).await), ErrorCode::TokensDrawn);
    let stale = TokenRequest { key_id: [9; 32], ..second.request().clone() };
    assert_eq!(code(again.ask(&Request::DrawTokens(stale)).await), ErrorCode::UnknownIssuerKey);
    let nothing = TokenRequest { blinded: vec![[0xff; 32]], ..second.request().clone() };
    assert_eq!(code(again.ask(&Request::DrawTokens(nothing)).await), ErrorCode::Malformed);
}

#[tokio::test]
async fn what_is_paid_does_not_count_against_the_network_address() {
    let test = TestServer::start_with(|config| {
        config.rate.submit_per_address = Rate { burst: 2, per_minute: 1 };
        config.rate.blob_begins_per_address = Rate { burst: 1, per_minute: 1 };
    })
    .await;
    let claire = test.account("claire@clinic.example").await;
    let tokens = draw(&test, &claire, 40).await;
    let sender = Client::connect(test.address()).await;
    for (mark, token) in (0..).zip(&tokens[..30]) {
        let paid = pay(submit(&claire.address, &[1], mark), std::slice::from_ref(token));
        assert_eq!(sender.ask(&paid).await, TAKEN, "{mark}");
    }
    for mark in 100..102 {
        assert_eq!(sender.ask(&submit(&claire.address, &[1], mark)).await, TAKEN);
    }
    assert_eq!(code(sender.ask(&submit(&claire.address, &[1], 102)).await), ErrorCode::RateLimited);
    // A blob costs by its length.
    let length = 3 * (64 << 20) - 1;
    let begin = |id: u8, tokens: &[Token]| {
        let payment = Payment::Tokens(tokens.to_vec());
        Request::BeginBlob(BeginBlob { id: [id; 32], upload_secret: [1; 16], length, payment })
    };
    assert_eq!(code(sender.ask(&begin(1, &tokens[30..32])).await), ErrorCode::PriceNotPaid);
    for (id, paid) in [(1, &tokens[30..33]), (2, &tokens[33..36]), (2, &tokens[33..36])] {
        assert!(matches!(sender.ask(&begin(id, paid)).await, Response::BeginBlob(_)));
    }
    assert_eq!(code(sender.ask(&begin(3, &tokens[35..38])).await), ErrorCode::TokenSpent, "one of three");
}

#[tokio::test]
async fn strangers_wait_in_the_request_lane() {
    let test = TestServer::start_with(|config| config.queue.request_messages_max = 2).await;
    let claire = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &claire).await;
    let sender = Client::connect(test.address()).await;
    assert_eq!(sender.ask(&submit(&claire.address, &[1], 1)).await, TAKEN, "she has set no key");
    let [old, new] = [DeliveryKey::from([1; 16]), DeliveryKey::from([2; 16])];
    let with = |mark: u8, key: &DeliveryKey| {
        let Request::Submit(mut request) = submit(&claire.address, &[1], mark) else { unreachable!("it is one") };
        request.delivery_key = Some(key.clone());
        Request::Submit(request)
    };
    let set =
        |keys: &[&DeliveryKey]| Request::SetDeliveryKeys(keys.iter().map(|key| key.hash(&claire.address)).collect());
    assert_eq!(device.ask(&set(&[&old, &new])).await, Response::Done);
    for request in
        [with(2, &old), with(3, &new), submit(&claire.address, &[1], 4), with(5, &DeliveryKey::from([3; 16]))]
    {
        assert_eq!(sender.ask(&request).await, TAKEN);
    }
    assert_eq!(code(sender.ask(&submit(&claire.address, &[1], 6)).await), ErrorCode::RequestLaneFull);
    assert_eq!(sender.ask(&submit(&claire.address, &[1], 4)).await, AGAIN, "a repeat is no new request");
    assert_eq!(device.ask(&set(&[&new])).await, Response::Done);
    assert_eq!(code(sender.ask(&with(6, &old)).await), ErrorCode::RequestLaneFull, "the old key is one no more");
    assert_eq!(sender.ask(&with(7, &new)).await, TAKEN);

    let mut subscription = device.subscribe().await;
    let mut lanes = Vec::new();
    for _ in 0..6 {
        lanes.push(subscription.delivery().await.lane);
    }
    use Lane::{Normal as N, Request as R};
    assert_eq!(lanes, [N, N, N, R, R, N]);
    assert_eq!(device.acknowledge(subscription.incarnation, 6).await, Response::Done);
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    assert_eq!(sender.ask(&submit(&claire.address, &[1], 8)).await, TAKEN, "there is room again");
}

/// The server key of `hospital.example`, whose vouchers the servers of these tests take.
fn hospital_key() -> SigningKey {
    SigningKey::from_secret(&Secret::from([0x77; 32]))
}

/// Has a server take vouchers of `hospital.example`.
pub fn trust_the_hospital(config: &mut Config) {
    let key = data_encoding::BASE64.encode(hospital_key().verifying_key().as_bytes());
    config.federation.voucher_keys.insert("hospital.example".into(), key);
}

/// The key of a voucher that is named so.
fn voucher_key(name: &str) -> SigningKey {
    SigningKey::from_secret(&Secret::from(labelled_sha256(label::VOUCHER_ID, &[name.as_bytes()])))
}

/// A voucher, and the key that redeems it.
#[derive(Clone)]
pub struct TestVoucher {
    pub voucher: Voucher,
    pub key: SigningKey,
    pub home_key: SigningKey,
}

/// A voucher of `hospital.example` for `clinic.example`, drawn today.
pub fn voucher_of_the_hospital(name: &str) -> TestVoucher {
    let key = voucher_key(name);
    let [home, domain] = ["hospital.example", "clinic.example"].map(str::to_owned);
    let voucher =
        Voucher { home, domain, day: day_of(now_ms()), key: key.verifying_key(), tokens: 10, incarnation: INCARNATION };
    TestVoucher { voucher, key, home_key: hospital_key() }
}

/// Redeems a voucher over a connection.
pub fn redeem(voucher: &TestVoucher, channel: &Channel<'_>, request: TokenRequest) -> Request {
    let signed = voucher.voucher.sign(&voucher.home_key);
    Request::RedeemVoucher(RedeemVoucher::sign(&voucher.key, channel, signed, request))
}

/// Asks for a voucher for a domain.
pub fn draw_voucher(domain: &str, key: u8) -> Request {
    let key = SigningKey::from_secret(&Secret::from([key; 32])).verifying_key();
    Request::DrawVoucher(DrawVoucher { domain: domain.into(), key, incarnation: INCARNATION })
}
