//! Tokens: spent with what they pay for, remembered as long as their key, drawn by day; the request lane and withheld prekeys.

use medipeps_core::crypto::secret::Secret;

use super::group_logs::{entry, new_log};
use super::*;

const KEY: [u8; 32] = [1; 32];
const OTHER_KEY: [u8; 32] = [2; 32];

fn issuer_key(id: [u8; 32], expires_ms: u64) -> StoredIssuerKey {
    StoredIssuerKey { id, seed: Secret::from(id), day: 20_000, expires_ms }
}

fn token(nonce: u8) -> SpentToken {
    SpentToken { key_id: KEY, nonce: [nonce; 32] }
}

/// Tokens for a purpose.
fn spend(purpose: u8, nonces: &[u8]) -> Spend {
    Spend { tokens: nonces.iter().map(|nonce| token(*nonce)).collect(), purpose: [purpose; 32] }
}

fn paid(to: &Address, id: u8, nonces: &[u8]) -> Submission {
    Submission { spend: spend(id, nonces), ..submission(to, id, &[(1, 10)]) }
}

fn taking(purpose: u8, nonces: &[u8]) -> Taking {
    Taking { spend: spend(purpose, nonces), now_ms: NOW, withhold: false }
}

/// A store with an issuer key for two days and an account of one device.
async fn issuing<E: Engine>() -> (E, Arc<dyn Storage>, Address) {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    storage.put_issuer_key(issuer_key(KEY, NOW + 2 * DAY)).await.unwrap();
    let who = register(&*storage, "a@x", &[1]).await;
    (engine, storage, who)
}

const SPENT: Result<EnqueueOutcome, EnqueueError> = Err(EnqueueError::Payment(SpendError::Spent));

pub(in crate::storage) async fn a_token_pays_for_one_thing<E: Engine>() {
    let (_engine, storage, who) = issuing::<E>().await;
    assert_eq!(storage.enqueue(paid(&who, 1, &[1])).await, TAKEN);
    assert_eq!(storage.enqueue(paid(&who, 1, &[1])).await, AGAIN, "the same id and token");
    assert_eq!(storage.enqueue(paid(&who, 2, &[1])).await, SPENT);
    assert_eq!(storage.enqueue(paid(&who, 2, &[2, 1])).await, SPENT, "one of two");
    assert_eq!(storage.enqueue(paid(&who, 1, &[3])).await, AGAIN, "the id is known: another token is not taken");
    assert_eq!(storage.enqueue(paid(&who, 3, &[2, 3])).await, TAKEN, "what was refused or not needed is unspent");
    let unknown = Spend { tokens: vec![SpentToken { key_id: OTHER_KEY, nonce: [9; 32] }], purpose: [4; 32] };
    let refused = storage.enqueue(Submission { spend: unknown, ..paid(&who, 4, &[]) }).await;
    assert_eq!(refused, Err(EnqueueError::Payment(SpendError::UnknownKey)));
    assert_eq!(sequences(&*storage, &who, 1).await, [1, 2]);
}

pub(in crate::storage) async fn a_token_is_spent_once_by_many_at_once<E: Engine>() {
    let (_engine, storage, who) = issuing::<E>().await;
    let senders: Vec<_> = (1..=40)
        .map(|id| {
            let (storage, who) = (Arc::clone(&storage), who.clone());
            tokio::spawn(async move { storage.enqueue(paid(&who, id, &[7])).await })
        })
        .collect();
    let mut taken = 0;
    for sender in senders {
        match sender.await.unwrap() {
            TAKEN => taken += 1,
            refused => assert_eq!(refused, SPENT),
        }
    }
    assert_eq!((taken, sequences(&*storage, &who, 1).await.len()), (1, 1));
}

pub(in crate::storage) async fn what_is_refused_spends_nothing<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 1, ..ROOMY });
    let storage = engine.storage();
    storage.put_issuer_key(issuer_key(KEY, NOW + 2 * DAY)).await.unwrap();
    let who = register(&*storage, "a@x", &[1]).await;
    let stale = Submission { spend: spend(1, &[1]), ..submission(&who, 1, &[(2, 10)]) };
    assert!(matches!(storage.enqueue(stale).await, Err(EnqueueError::StaleDevices { .. })));
    assert_eq!(storage.enqueue(paid(&who, 2, &[1])).await, TAKEN);
    assert_eq!(storage.enqueue(paid(&who, 3, &[2])).await, Err(EnqueueError::QueueFull { device: 1 }));
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(paid(&who, 4, &[2])).await, TAKEN);
}

pub(in crate::storage) async fn everything_that_is_paid_spends<E: Engine>() {
    let (_engine, storage, who) = issuing::<E>().await;
    storage
        .put_key_packages(&who, 1, 1, KeyPackageSet { last_resort: vec![1], one_time: vec![(1, vec![2])] })
        .await
        .unwrap();
    let blob = |id: u8, nonce: u8| NewBlob {
        id: [id; 32],
        secret_hash: [3; 32],
        length: 5,
        now_ms: NOW,
        expires_ms: NOW + DAY,
        unfinished_expires_ms: NOW + DAY,
        spend: spend(id, &[nonce]),
    };
    let log = |id: u8, nonce: u8| NewGroupLog { spend: spend(id, &[nonce]), ..new_log([id; 32]) };
    let append = |number: u64, nonce: u8| GroupAppend {
        log_id: [11; 32],
        spend: spend(number as u8, &[nonce]),
        ..entry(group_logs::FIRST, number, 10)
    };
    storage.begin_blob(blob(10, 1)).await.unwrap();
    storage.begin_blob(blob(10, 1)).await.unwrap();
    storage.create_group_log(log(11, 2)).await.unwrap();
    storage.create_group_log(log(11, 2)).await.unwrap();
    assert!(!storage.append_group_entry(append(12, 3)).await.unwrap().duplicate);
    assert!(storage.append_group_entry(append(12, 3)).await.unwrap().duplicate);
    storage.take_prekeys(&who, taking(13, &[4])).await.unwrap();
    storage.take_key_packages(&who, taking(14, &[5])).await.unwrap();
    // Each of the five, paid with a token of each of the others.
    let spent = SpendError::Spent;
    for nonce in 1..=5 {
        assert_eq!(storage.begin_blob(blob(20, nonce)).await, Err(BeginBlobError::Payment(spent)));
        assert_eq!(storage.create_group_log(log(21, nonce)).await, Err(CreateGroupLogError::Payment(spent)));
        assert_eq!(storage.append_group_entry(append(22, nonce)).await, Err(GroupAppendError::Payment(spent)));
        assert_eq!(storage.take_prekeys(&who, taking(23, &[nonce])).await, Err(PrekeyError::Payment(spent)));
        let packages = storage.take_key_packages(&who, taking(24, &[nonce])).await;
        assert_eq!(packages, Err(KeyPackageError::Payment(spent)));
    }
    // What is gone is not had again for what has paid for it once.
    storage.delete_blob(&[10; 32], &[3; 32]).await.unwrap();
    assert_eq!(storage.begin_blob(blob(10, 1)).await, Err(BeginBlobError::Payment(spent)));
}

pub(in crate::storage) async fn a_repeated_fetch_takes_no_second_key<E: Engine>() {
    let (_engine, storage, who) = issuing::<E>().await;
    let before = storage.prekey_status(&who, 1).await.unwrap();
    let first = storage.take_prekeys(&who, taking(1, &[1])).await.unwrap().remove(0);
    assert!(first.one_time.is_some());
    for _ in 0..5 {
        let again = storage.take_prekeys(&who, taking(1, &[1])).await.unwrap().remove(0);
        assert_eq!((again.one_time, again.signed), (None, first.signed.clone()));
        assert!(matches!(again.kem, TakenKem::LastResort(_)));
    }
    assert_eq!(storage.prekey_status(&who, 1).await.unwrap().one_time, before.one_time - 1);
    assert_eq!(storage.withheld_since(&who, 1).await, Ok(0), "nobody drains anything");
}

pub(in crate::storage) async fn spent_tokens_survive_a_restart_and_go_with_their_key<E: Engine>() {
    let (mut engine, storage, who) = issuing::<E>().await;
    storage.put_issuer_key(issuer_key(OTHER_KEY, NOW + 3 * DAY)).await.unwrap();
    for id in 1..=5 {
        assert_eq!(storage.enqueue(paid(&who, id, &[id])).await, TAKEN);
    }
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.enqueue(paid(&who, 1, &[1])).await, AGAIN);
    assert_eq!(storage.enqueue(paid(&who, 9, &[1])).await, SPENT);
    let mut keys = storage.issuer_keys().await.unwrap();
    keys.sort_by_key(|key| key.id);
    assert_eq!(keys, [issuer_key(KEY, NOW + 2 * DAY), issuer_key(OTHER_KEY, NOW + 3 * DAY)]);

    assert_eq!(storage.expire(NOW + 2 * DAY - 1).await.unwrap().tokens, 0);
    assert_eq!(storage.expire(NOW + 2 * DAY).await.unwrap().tokens, 5);
    assert_eq!(storage.issuer_keys().await.unwrap(), [issuer_key(OTHER_KEY, NOW + 3 * DAY)]);
    let refused = storage.enqueue(paid(&who, 9, &[1])).await;
    assert_eq!(refused, Err(EnqueueError::Payment(SpendError::UnknownKey)), "forgotten, and worth nothing");
    assert_eq!(storage.enqueue(paid(&who, 1, &[1])).await, AGAIN, "the id is known for longer");
}

pub(in crate::storage) async fn a_restore_retires_issuer_keys<E: Engine>() {
    let (_engine, storage, who) = issuing::<E>().await;
    storage.enqueue(paid(&who, 1, &[1])).await.unwrap();
    storage.draw_tokens(&who, draw(1, 100, 1, 10)).await.unwrap();
    storage.set_delivery_keys(&who, vec![[5; 32]]).await.unwrap();
    let exported = export(&*storage).await;

    let other = E::create(ROOMY);
    let restored = other.storage();
    restored.put_issuer_key(issuer_key(OTHER_KEY, NOW + 2 * DAY)).await.unwrap();
    restored.import(Box::new(std::io::Cursor::new(exported))).await.unwrap();
    assert_eq!(restored.issuer_keys().await.unwrap(), [], "neither those of the export nor those before it");
    let refused = restored.enqueue(paid(&who, 2, &[2])).await;
    assert_eq!(refused, Err(EnqueueError::Payment(SpendError::UnknownKey)));
    assert_eq!(restored.enqueue(paid(&who, 1, &[1])).await, AGAIN, "what was accepted before stays accepted");
    assert_eq!(restored.draw_tokens(&who, draw(1, 100, 2, 10)).await, Ok(()), "the day's tokens are drawn anew");
    let account = restored.account(&who).await.unwrap().unwrap();
    assert_eq!(account.delivery_keys, [[5; 32]], "contacts go on writing");
}

fn draw(device: u32, day: u32, digest: u8, count: u32) -> TokenDraw {
    TokenDraw { device, day, digest: [digest; 32], count, most: 30 }
}

pub(in crate::storage) async fn a_day_is_drawn_once_a_device<E: Engine>() {
    let (mut engine, storage, who) = issuing::<E>().await;
    assert_eq!(storage.draw_tokens(&who, draw(1, 100, 1, 20)).await, Ok(()));
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.draw_tokens(&who, draw(1, 100, 1, 20)).await, Ok(()), "the same batch");
    assert_eq!(storage.draw_tokens(&who, draw(1, 100, 2, 1)).await, Err(DrawError::Drawn), "another batch");
    assert_eq!(storage.draw_tokens(&who, draw(2, 100, 3, 11)).await, Err(DrawError::Drawn), "more than is left");
    assert_eq!(storage.draw_tokens(&who, draw(2, 100, 3, 10)).await, Ok(()), "another device's share");
    assert_eq!(storage.draw_tokens(&who, draw(1, 101, 4, 30)).await, Ok(()), "another day");
    let unknown = address("nobody@x");
    assert_eq!(storage.draw_tokens(&unknown, draw(1, 100, 1, 1)).await, Err(DrawError::UnknownAccount));
    storage.delete_account(&who, 1).await.unwrap();
    assert_eq!(storage.draw_tokens(&who, draw(1, 101, 5, 1)).await, Err(DrawError::UnknownAccount));
}

pub(in crate::storage) async fn vouchers_are_drawn_and_redeemed_once<E: Engine>() {
    let (mut engine, storage, who) = issuing::<E>().await;
    let voucher = |digest: u8, day: u32| VoucherDraw { day, digest: [digest; 32], most: 2 };
    for (drawn, expected) in [
        (voucher(1, 100), Ok(())),
        (voucher(2, 100), Ok(())),
        (voucher(1, 100), Ok(())),
        (voucher(3, 100), Err(DrawError::Drawn)),
        (voucher(3, 101), Ok(())),
    ] {
        assert_eq!(storage.draw_voucher(&who, drawn).await, expected, "{drawn:?}");
    }
    let redemption = |digest: u8| Redemption { voucher: [4; 32], digest: [digest; 32], expires_ms: NOW + DAY };
    assert_eq!(storage.redeem_voucher(redemption(1)).await, Ok(()));
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.redeem_voucher(redemption(1)).await, Ok(()), "the same batch");
    assert_eq!(storage.redeem_voucher(redemption(2)).await, Err(RedeemError::Spent));
    assert_eq!(storage.expire(NOW + DAY).await.unwrap().tokens, 1);
    assert_eq!(storage.expire(NOW + DAY).await.unwrap().tokens, 0);
}

pub(in crate::storage) async fn strangers_have_a_lane_of_their_own<E: Engine>() {
    let quota = QueueQuota { messages_max: 2, request_messages_max: 2, request_bytes_max: 100, ..ROOMY };
    let mut engine = E::create(quota);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let stranger = |id, length| Submission { lane: Lane::Request, ..submission(&who, id, &[(1, length)]) };
    let full = Err(EnqueueError::RequestLaneFull { device: 1 });
    assert_eq!(storage.enqueue(stranger(1, 101)).await, full, "too many bytes");
    assert_eq!(storage.enqueue(stranger(2, 50)).await, TAKEN);
    assert_eq!(storage.enqueue(stranger(3, 50)).await, TAKEN);
    assert_eq!(storage.enqueue(stranger(4, 1)).await, full);
    for id in 5..=6 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 10)])).await, TAKEN, "contacts have their own room");
    }
    let contact = storage.enqueue(submission(&who, 7, &[(1, 10)])).await;
    assert_eq!(contact, Err(EnqueueError::QueueFull { device: 1 }));
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    let lanes = storage.fetch(&who, 1, 0, 9).await.unwrap().iter().map(|one| one.lane).collect::<Vec<_>>();
    assert_eq!(lanes, [Lane::Request, Lane::Request, Lane::Normal, Lane::Normal]);
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(stranger(4, 50)).await, TAKEN, "one went");
    assert_eq!(storage.enqueue(stranger(8, 1)).await, full);
    let exported = export(&*storage).await;
    let other = E::create(quota);
    let restored = other.storage();
    restored.import(Box::new(std::io::Cursor::new(exported))).await.unwrap();
    assert_eq!(restored.enqueue(stranger(8, 1)).await, full, "counted again");
    storage.expire(NOW + 30 * DAY).await.unwrap();
    assert_eq!(storage.enqueue(stranger(8, 50)).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 9, &[(1, 10)])).await, TAKEN);
}

pub(in crate::storage) async fn withheld_prekeys_are_told_until_settled<E: Engine>() {
    let (mut engine, storage, who) = issuing::<E>().await;
    let withhold = |now_ms| Taking { withhold: true, now_ms, spend: Spend::default() };
    for later in [5, 6, 7] {
        let taken = storage.take_prekeys(&who, withhold(NOW + later)).await.unwrap().remove(0);
        assert_eq!((taken.one_time, taken.kem), (None, TakenKem::LastResort(vec![1; 1600])));
    }
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.prekey_status(&who, 1).await.unwrap().one_time, 3, "none was taken");
    assert_eq!(storage.withheld_since(&who, 1).await, Ok(NOW + 5), "the first time");
    storage.settle_withheld(&who, 1, NOW).await.unwrap();
    assert_eq!(storage.withheld_since(&who, 1).await, Ok(NOW + 5), "another time was told");
    storage.settle_withheld(&who, 1, NOW + 5).await.unwrap();
    assert_eq!(storage.withheld_since(&who, 1).await, Ok(0));
    assert_eq!(storage.withheld_since(&who, 9).await, Err(QueueError::UnknownDevice));
}
