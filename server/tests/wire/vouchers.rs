//! Vouchers: what somebody of one server draws at home and redeems at another.

use std::io::Seek;

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::token::{UnverifiedVoucher, day_of};
use medipeps_core::wire::transport::{DrawVoucher, ErrorCode, Request, Response};
use medipeps_server::storage::Storage;

use crate::account::submit;
use crate::client::{Client, code};
use crate::server::{INCARNATION, TestServer, now_ms};
use crate::tokens::{
    TestVoucher, batch, draw_voucher, issuer_keys, pay, redeem, trust_the_hospital, voucher_of_the_hospital,
};

#[tokio::test]
async fn a_voucher_drawn_at_one_server_pays_at_another() {
    // Paul's home is the hospital; Claire is at the clinic, which trusts the hospital's key.
    let home = TestServer::start_with(|config| config.domain = "hospital.example".into()).await;
    let paul = home.account("paul@hospital.example").await;
    let at_home = Client::prove(home.address(), &paul).await;
    let home_key = data_encoding::BASE64.encode(&at_home.hello.server_key);
    let test = TestServer::start_with(|config| {
        config.tokens.required = true;
        config.federation.voucher_keys.insert("hospital.example".into(), home_key);
    })
    .await;
    let claire = test.account("claire@clinic.example").await;

    let key = SigningKey::from_secret(&Secret::from([5; 32]));
    let incarnation = issuer_keys(&Client::connect(test.address()).await).await.incarnation;
    let draw = DrawVoucher { domain: "clinic.example".into(), key: key.verifying_key(), incarnation };
    let Response::DrawVoucher(signed) = at_home.ask(&Request::DrawVoucher(draw)).await else { panic!("no voucher") };
    let server_key = VerifyingKey::from_slice(&at_home.hello.server_key).unwrap();
    let voucher = UnverifiedVoucher::decode(&signed).unwrap().verify(&server_key).unwrap();
    assert_eq!((voucher.tokens, voucher.day), (100, day_of(now_ms())));

    // One connection redeems, another spends.
    let redeeming = Client::connect(test.address()).await;
    let batch = batch(&test, 100).await;
    let request = medipeps_core::wire::transport::RedeemVoucher::sign(
        &key,
        &redeeming.channel(),
        signed,
        batch.request().clone(),
    );
    let Response::DrawTokens(answer) = redeeming.ask(&Request::RedeemVoucher(request)).await else { panic!("none") };
    let tokens = batch.finalize(&answer).unwrap();
    let sender = Client::connect(test.address()).await;
    let sent = sender.ask(&pay(submit(&claire.address, &[1], 1), &tokens[..1])).await;
    assert!(matches!(sent, Response::Submit(_)), "{sent:?}");
}

async fn trusting() -> (TestServer, Client) {
    let test = TestServer::start_with(trust_the_hospital).await;
    let client = Client::connect(test.address()).await;
    (test, client)
}

#[tokio::test]
async fn a_voucher_is_redeemed_once_and_a_repeat_gets_the_same() {
    let (test, client) = trusting().await;
    let voucher = voucher_of_the_hospital("one");
    let (first, second) = (batch(&test, 10).await, batch(&test, 10).await);
    let asked = redeem(&voucher, &client.channel(), first.request().clone());
    let Response::DrawTokens(answer) = client.ask(&asked).await else { panic!("no tokens") };
    let tokens = first.finalize(&answer).unwrap();
    let again = Client::connect(test.address()).await;
    assert_eq!(code(again.ask(&asked).await), ErrorCode::VoucherRefused, "signed for another connection");
    let repeat = redeem(&voucher, &again.channel(), first.request().clone());
    let Response::DrawTokens(answer) = again.ask(&repeat).await else { panic!("no tokens") };
    assert_eq!(first.finalize(&answer).unwrap(), tokens);
    let other = redeem(&voucher, &again.channel(), second.request().clone());
    assert_eq!(code(again.ask(&other).await), ErrorCode::VoucherSpent);
}

#[tokio::test]
async fn a_voucher_redeemed_on_two_connections_at_once_pays_once() {
    let (test, _) = trusting().await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        let client = Client::connect(test.address()).await;
        let batch = batch(&test, 10).await;
        let request = redeem(&voucher_of_the_hospital("two"), &client.channel(), batch.request().clone());
        clients.push(tokio::spawn(async move { client.ask(&request).await }));
    }
    let mut taken = 0;
    for client in clients {
        match client.await.unwrap() {
            Response::DrawTokens(_) => taken += 1,
            refused => assert_eq!(code(refused), ErrorCode::VoucherSpent),
        }
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn vouchers_that_are_not_good_here_are_refused() {
    let (test, client) = trusting().await;
    let good = voucher_of_the_hospital("good");
    let with = |change: &dyn Fn(&mut TestVoucher)| {
        let mut voucher = good.clone();
        change(&mut voucher);
        voucher
    };
    let today = day_of(now_ms());
    let other_key = || SigningKey::from_secret(&Secret::from([9; 32]));
    for (voucher, count, expected) in [
        (with(&|one| one.voucher.domain = "other.example".into()), 1, ErrorCode::VoucherRefused),
        (with(&|one| one.voucher.home = "stranger.example".into()), 1, ErrorCode::VoucherRefused),
        (with(&|one| one.home_key = other_key()), 1, ErrorCode::VoucherRefused),
        (with(&|one| one.key = other_key()), 1, ErrorCode::VoucherRefused),
        (with(&|one| one.voucher.tokens = 3), 4, ErrorCode::VoucherRefused),
        (with(&|one| one.voucher.incarnation[0] ^= 1), 1, ErrorCode::WrongIncarnation),
        (with(&|one| one.voucher.day = today - 2), 1, ErrorCode::VoucherExpired),
        (with(&|one| one.voucher.day = today + 2), 1, ErrorCode::VoucherExpired),
    ] {
        let batch = batch(&test, count).await;
        let asked = redeem(&voucher, &client.channel(), batch.request().clone());
        assert_eq!(code(client.ask(&asked).await), expected, "{:?}", voucher.voucher);
    }
    for day in [today - 1, today] {
        let batch = batch(&test, 1).await;
        let asked = redeem(&with(&|one| one.voucher.day = day), &client.channel(), batch.request().clone());
        assert!(matches!(client.ask(&asked).await, Response::DrawTokens(_)), "refusals spend nothing");
    }
}

#[tokio::test]
async fn vouchers_are_bounded_a_day() {
    let test = TestServer::start_with(|config| config.tokens.vouchers = 2).await;
    let claire = test.account("claire@clinic.example").await;
    let client = Client::prove(test.address(), &claire).await;
    assert_eq!(code(client.ask(&draw_voucher("clinic.example", 1)).await), ErrorCode::VoucherRefused, "at home");
    let first = client.ask(&draw_voucher("hospital.example", 1)).await;
    assert!(matches!(first, Response::DrawVoucher(_)));
    assert!(matches!(client.ask(&draw_voucher("other.example", 1)).await, Response::DrawVoucher(_)));
    assert_eq!(client.ask(&draw_voucher("hospital.example", 1)).await, first, "a repeat");
    assert_eq!(code(client.ask(&draw_voucher("hospital.example", 2)).await), ErrorCode::VouchersDrawn);
}

/// What was redeemed is not in an export: without the incarnation each voucher of two days would be good once more.
#[tokio::test]
async fn a_voucher_that_was_redeemed_before_a_restore_is_worth_nothing_after_it() {
    let (test, client) = trusting().await;
    let voucher = voucher_of_the_hospital("restored");
    let first = batch(&test, 1).await;
    let asked = redeem(&voucher, &client.channel(), first.request().clone());
    assert!(matches!(client.ask(&asked).await, Response::DrawTokens(_)));
    let mut export = tempfile::tempfile().unwrap();
    test.storage.export(Box::new(export.try_clone().unwrap())).await.unwrap();
    export.rewind().unwrap();

    let restored = TestServer::start_with(trust_the_hospital).await;
    restored.storage.import(Box::new(export)).await.unwrap();
    let client = Client::connect(restored.address()).await;
    let keys = issuer_keys(&client).await;
    assert_eq!(keys.incarnation, restored.storage.incarnation());
    assert_ne!(keys.incarnation, INCARNATION, "a restore redraws it");
    let second = batch(&restored, 1).await;
    let again = redeem(&voucher, &client.channel(), second.request().clone());
    assert_eq!(code(client.ask(&again).await), ErrorCode::WrongIncarnation);
    // One that was drawn for the restored server is good, under the same key.
    let mut drawn_anew = voucher;
    drawn_anew.voucher.incarnation = keys.incarnation;
    let asked = redeem(&drawn_anew, &client.channel(), second.request().clone());
    assert!(matches!(client.ask(&asked).await, Response::DrawTokens(_)));
}
