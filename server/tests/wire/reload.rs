//! Another configuration, and another certificate, while the server runs.

use std::path::Path;
use std::time::{Duration, Instant};

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::trust_list::{TrustList, TrustListFields};
use medipeps_core::wire::transport::{ErrorCode, FetchPrekeys, Payment, Request, Response, SubscriptionEvent};
use medipeps_server::storage::Storage;
use medipeps_server::{Config, Rate, ReloadFailure};
use tokio::sync::watch;

use crate::account::{Account, submit};
use crate::client::{Client, code, connect_silently, frame, refusal, write_raw};
use crate::server::{TestServer, now_ms};
use crate::tokens::{batch, draw, issuer_keys, pay, redeem, trust_the_hospital, voucher_of_the_hospital};

/// Replacements of the certificate under load.
const SWAPS: usize = 50;

/// Writes a new certificate with its key, as tools for it do: another file in the place of the former.
fn write_certificate(folder: &Path, name: &str) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    for (file, text) in [("certificate.pem", certificate.pem()), ("private-key.pem", key.serialize_pem())] {
        let new = folder.join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, folder.join(file)).unwrap();
    }
}

fn with_certificate(config: &mut Config, folder: &Path) {
    config.certificate = Some(folder.join("certificate.pem"));
    config.private_key = Some(folder.join("private-key.pem"));
}

/// The certificate that a handshake shows.
async fn shown(test: &TestServer) -> Vec<u8> {
    let (_endpoint, quic) = connect_silently(test.address(), b"medipeps/1").await.unwrap();
    let identity = quic.peer_identity().unwrap();
    identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().unwrap()[0].to_vec()
}

fn fetch(account: &Account) -> Request {
    Request::FetchPrekeys(FetchPrekeys { address: account.address.clone(), payment: Payment::None })
}

#[tokio::test]
async fn limits_change_under_open_connections() {
    let mut test = TestServer::start_with(|config| config.queue.messages_max = 2).await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let sender = Client::connect(test.address()).await;
    for mark in 0..2 {
        assert!(matches!(sender.ask(&submit(&account.address, &[1], mark)).await, Response::Submit(_)));
    }
    assert_eq!(code(sender.ask(&submit(&account.address, &[1], 3)).await), ErrorCode::QueueFull);

    let mut config = test.config.clone();
    config.queue.messages_max = 3;
    config.rate.prekeys_per_recipient = Rate { burst: 1, per_minute: 1 };
    config.connection.connections_per_address_max = 3;
    config.retention.envelope_days = 1;
    config.blobs.largest_gb = 1;
    let changed = test.server.reload(&config).await.unwrap();
    let expected = [
        "blobs.largest_gb",
        "connection.connections_per_address_max",
        "queue.messages_max",
        "rate.prekeys_per_recipient",
        "retention.envelope_days",
    ];
    assert_eq!(changed, expected);
    assert!(matches!(sender.ask(&submit(&account.address, &[1], 3)).await, Response::Submit(_)), "there is room now");
    assert!(matches!(sender.ask(&fetch(&account)).await, Response::FetchPrekeys(_)));
    let Response::FetchPrekeys(second) = sender.ask(&fetch(&account)).await else { panic!("no prekeys") };
    assert!(second.one_time_withheld, "past the limit there is the last resort");
    let _third = Client::connect(test.address()).await;
    assert!(connect_silently(test.address(), b"medipeps/1").await.is_err(), "a fourth is one too many");
    let mut subscription = device.subscribe().await;
    assert!(matches!(subscription.next().await, SubscriptionEvent::PrekeysWithheld(_)), "the owner is told");
    assert_eq!(subscription.delivery().await.sequence, 1, "who was connected stays");

    let day = 24 * 3600 * 1000;
    test.storage.expire(crate::server::now_ms() + day + 1000).await.unwrap();
    let left = test.storage.fetch(&account.address, 1, 0, 9).await.unwrap();
    assert_eq!(left.len(), 2, "what came under the former retention keeps it");
    assert!(test.server.reload(&config).await.unwrap().is_empty(), "nothing has changed");
}

#[tokio::test]
async fn what_cannot_change_leaves_everything_as_it_was() {
    let mut test = TestServer::start().await;
    let account = test.account("claire@clinic.example").await;
    let sender = Client::connect(test.address()).await;
    let folder = tempfile::tempdir().unwrap();
    let tight = Rate { burst: 1, per_minute: 1 };
    let refused = |change: fn(&mut Config, &Path)| {
        let mut config = test.config.clone();
        config.rate.prekeys_per_recipient = tight;
        change(&mut config, folder.path());
        config
    };
    let moved = refused(|config, _| config.data_dir = "elsewhere".into());
    let uncertified = refused(with_certificate);
    let without_authorities = refused(|config, folder| {
        config.push.hosts = vec!["push.example".to_owned()];
        config.push.certificates = Some(folder.join("absent.pem"));
    });
    assert!(matches!(test.server.reload(&moved).await, Err(ReloadFailure::Keys(_))));
    assert!(matches!(test.server.reload(&uncertified).await, Err(ReloadFailure::Certificate(_))));
    assert!(matches!(test.server.reload(&without_authorities).await, Err(ReloadFailure::Push(_))));
    for _ in 0..3 {
        assert!(matches!(sender.ask(&fetch(&account)).await, Response::FetchPrekeys(_)), "the rate is the former one");
    }
    shown(&test).await;
}

#[tokio::test]
async fn another_certificate_is_for_new_handshakes() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "one.example");
    let mut test = TestServer::start_with(|config| with_certificate(config, folder.path())).await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    assert_eq!(subscription.next().await, SubscriptionEvent::QueueEmpty);
    let first = shown(&test).await;
    write_certificate(folder.path(), "two.example");
    let config = test.config.clone();
    assert_eq!(test.server.reload(&config).await.unwrap(), ["certificate"], "its file has another");
    assert_ne!(shown(&test).await, first);
    std::fs::write(folder.path().join("private-key.pem"), "no key").unwrap();
    assert!(test.server.reload(&config).await.is_err());
    assert_ne!(shown(&test).await, first, "the one from before stays");
    let sender = Client::connect(test.address()).await;
    assert!(matches!(sender.ask(&submit(&account.address, &[1], 1)).await, Response::Submit(_)));
    subscription.delivery().await;
}

/// Nobody tells the server: it looks at the files by itself.
#[tokio::test]
async fn the_files_of_the_certificate_are_watched() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "one.example");
    let test = TestServer::start_with(|config| with_certificate(config, folder.path())).await;
    let first = shown(&test).await;
    write_certificate(folder.path(), "two.example");
    let start = Instant::now();
    while shown(&test).await == first {
        assert!(start.elapsed() < Duration::from_secs(30), "it is not taken over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_while_the_certificate_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "start.example");
    let mut test = TestServer::start_with(|config| with_certificate(config, folder.path())).await;
    let (stop, stopped) = watch::channel(false);
    let address = test.address();
    let loops: Vec<_> = (0..4)
        .map(|_| {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let mut handshakes = 0;
                while !*stopped.borrow() {
                    Client::connect(address).await;
                    handshakes += 1;
                }
                handshakes
            })
        })
        .collect();
    let config = test.config.clone();
    let mut seen = std::collections::BTreeSet::new();
    for swap in 0..SWAPS {
        write_certificate(folder.path(), &format!("swap{swap}.example"));
        test.server.reload(&config).await.unwrap();
        seen.insert(shown(&test).await);
    }
    stop.send_replace(true);
    let mut handshakes = 0;
    for one in loops {
        handshakes += one.await.expect("a handshake failed");
    }
    assert_eq!(seen.len(), SWAPS, "each is shown");
    assert!(handshakes > SWAPS, "{handshakes} handshakes");
}

#[tokio::test]
async fn a_subscription_is_refused_once_the_end_has_begun() {
    let test = TestServer::start_stubborn(Duration::from_millis(1500)).await;
    let account = test.account("claire@clinic.example").await;
    let device = Client::prove(test.address(), &account).await;
    let mut subscription = device.subscribe().await;
    // As long as this is under way, the server is there.
    let sender = Client::connect(test.address()).await;
    let _slow = write_raw(&sender.quic, &frame(&submit(&account.address, &[1], 1)), true).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let shutdown = tokio::spawn(test.server.shutdown());
    loop {
        match subscription.next().await {
            SubscriptionEvent::GoAway { .. } => break,
            SubscriptionEvent::QueueEmpty => {}
            event => panic!("{event:?}"),
        }
    }
    let error = refusal(device.ask(&Request::Subscribe).await);
    assert_eq!(error.known_code(), Some(ErrorCode::ShuttingDown));
    assert!(error.retry_after >= 5000);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_price_that_is_raised_holds_at_once_under_traffic() {
    let mut test = TestServer::start_with(|config| config.tokens.required = true).await;
    let claire = test.account("claire@clinic.example").await;
    let tokens = draw(&test, &claire, 200).await;
    let sender = Client::connect(test.address()).await;
    let before = issuer_keys(&sender).await;
    let mut config = test.config.clone();
    config.tokens.price.submit = 2;
    // While messages go out one after the other, the price is raised once.
    let (address, sending) = (claire.address.clone(), tokens.clone());
    let traffic = tokio::spawn(async move {
        let mut refused = 0;
        for (mark, token) in (0..).zip(&sending[..190]) {
            let paid = pay(submit(&address, &[1], mark), std::slice::from_ref(token));
            match sender.ask(&paid).await {
                Response::Submit(_) => assert_eq!(refused, 0, "no price goes back"),
                response => {
                    assert_eq!(code(response), ErrorCode::PriceNotPaid);
                    refused += 1;
                }
            }
            if refused == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (sender, refused)
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(test.server.reload(&config).await.unwrap(), ["tokens.price"]);
    let (sender, refused) = traffic.await.unwrap();
    assert_eq!(refused, 3, "the new price came while messages went out");
    // The key is the same, the list says the new price, and what was refused has spent nothing.
    let after = issuer_keys(&sender).await;
    assert_eq!((after.prices.submit, &after.keys), (2, &before.keys));
    for (mark, tokens) in [(200, &tokens[190..192]), (201, &tokens[192..194])] {
        let paid = sender.ask(&pay(submit(&claire.address, &[1], mark), tokens)).await;
        assert!(matches!(paid, Response::Submit(_)), "{paid:?}");
    }
    // What is refused changes no price.
    config.tokens.price.submit = 3;
    config.domain = "other.example".to_owned();
    assert!(matches!(test.server.reload(&config).await, Err(ReloadFailure::Keys(_))));
    assert_eq!(issuer_keys(&sender).await, after);
}

#[tokio::test]
async fn a_domain_that_has_left_is_refused_from_the_reload_on() {
    let mut test = TestServer::start_with(trust_the_hospital).await;
    let client = Client::connect(test.address()).await;
    let trusted = test.config.clone();
    let mut without = trusted.clone();
    without.federation.voucher_keys.clear();
    for (config, name, taken) in [(&without, "one", false), (&trusted, "two", true), (&without, "three", false)] {
        assert_eq!(test.server.reload(config).await.unwrap(), ["federation.voucher_keys"]);
        let batch = batch(&test, 1).await;
        let request = redeem(&voucher_of_the_hospital(name), &client.channel(), batch.request().clone());
        let answer = client.ask(&request).await;
        match taken {
            true => assert!(matches!(answer, Response::DrawTokens(_)), "{answer:?}"),
            false => assert_eq!(code(answer), ErrorCode::VoucherRefused),
        }
    }
}

#[tokio::test]
async fn a_trust_list_is_begun_changed_and_left_by_reload() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    let signer = SigningKey::from_secret(&Secret::from([3; 32]));
    let write = |number: u64, signer: &SigningKey| {
        let (issued, expires) = (now_ms(), now_ms() + 60_000);
        let fields = TrustListFields { number, issued, expires, domains: Vec::new() };
        std::fs::write(&path, TrustList::sign(fields, signer).unwrap().encoded()).unwrap();
    };
    let mut test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let followed = || async {
        match client.ask(&Request::FetchTrustList { known: 0 }).await {
            Response::FetchTrustList(reply) => reply.number,
            other => panic!("{other:?}"),
        }
    };
    let without = test.config.clone();
    let mut with = without.clone();
    with.federation.trust_list = Some(path.clone());
    with.federation.trust_list_signer = Some(data_encoding::HEXLOWER.encode(signer.verifying_key().as_bytes()));
    assert!(matches!(test.server.reload(&with).await, Err(ReloadFailure::TrustList(_))), "there is no such file");
    assert_eq!(followed().await, 0);
    write(1, &signer);
    test.server.reload(&with).await.unwrap();
    assert_eq!(followed().await, 1);
    // A reload looks at the file at once; one that is refused leaves the rest as it was too.
    write(2, &signer);
    assert_eq!(test.server.reload(&with).await.unwrap(), ["federation.trust_list"]);
    assert_eq!(followed().await, 2);
    for (number, signer) in [(3, SigningKey::from_secret(&Secret::from([4; 32]))), (1, signer)] {
        write(number, &signer);
        let mut tight = with.clone();
        tight.rate.issuer_keys_per_address = Rate { burst: 1, per_minute: 1 };
        assert!(matches!(test.server.reload(&tight).await, Err(ReloadFailure::TrustList(_))));
        assert_eq!(followed().await, 2);
    }
    for _ in 0..3 {
        issuer_keys(&client).await;
    }
    test.server.reload(&without).await.unwrap();
    assert_eq!(followed().await, 0, "none is followed any more");
}
