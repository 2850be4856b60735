//! Issuer keys, spent tokens, draws and vouchers, as changes of records.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::wire::server_storage::{AccountRecord, DrawsRecord, IssuerKeyRecord, SpendRecord, VoucherRecord};

use super::SledStorage;
use super::layout::{self, Due};
use super::records::{Changes, Records, corrupt};
use crate::storage::token::Spending;
use crate::storage::{
    DeliveryKeysError, DrawError, QueueError, RedeemError, Redemption, Spend, SpendError, StorageError,
    StoredIssuerKey, TokenDraw, TokenStorage, VoucherDraw,
};

#[async_trait]
impl TokenStorage for SledStorage {
    async fn issuer_keys(&self) -> Result<Vec<StoredIssuerKey>, StorageError> {
        // By the committer, so that what is returned is on the disk.
        self.commit(|writer, _| {
            writer
                .records
                .scan(layout::ISSUER_KEYS)
                .map(|item| {
                    let (key, value) = item?;
                    let id = layout::read_hash(&key).ok_or_else(|| StorageError::Corrupt("the key of a key".into()))?;
                    let record = IssuerKeyRecord::decode(&value).map_err(|error| corrupt("an issuer key", &error))?;
                    Ok(StoredIssuerKey { id, seed: record.seed, day: record.day, expires_ms: record.expires })
                })
                .collect()
        })
        .await
    }

    async fn put_issuer_key(&self, key: StoredIssuerKey) -> Result<(), StorageError> {
        self.commit(move |_, changes| {
            let record = IssuerKeyRecord { seed: key.seed, day: key.day, expires: key.expires_ms };
            changes.put(layout::issuer_key(&key.id), record.encode());
            changes.put(layout::deadline(key.expires_ms, Due::IssuerKey(key.id)), Vec::new());
            Ok(())
        })
        .await
    }

    async fn draw_tokens(&self, address: &Address, draw: TokenDraw) -> Result<(), DrawError> {
        self.draw(address, move |draws| draw.count_in(draws)).await
    }

    async fn draw_voucher(&self, address: &Address, draw: VoucherDraw) -> Result<(), DrawError> {
        self.draw(address, move |draws| draw.count_in(draws)).await
    }

    async fn redeem_voucher(&self, redemption: Redemption) -> Result<(), RedeemError> {
        self.commit(move |writer, changes| {
            let Redemption { voucher, digest, expires_ms: expires } = redemption;
            let key = layout::voucher(&voucher);
            match writer.records.decoded(&key, "a voucher", VoucherRecord::decode)? {
                Some(before) if before.digest == digest => Ok(()),
                Some(_) => Err(RedeemError::Spent),
                None => {
                    changes.put(key, VoucherRecord { digest, expires }.encode());
                    changes.put(layout::deadline(expires, Due::Voucher(voucher)), Vec::new());
                    Ok(())
                }
            }
        })
        .await
    }

    async fn set_delivery_keys(&self, address: &Address, hashes: Vec<[u8; 32]>) -> Result<(), DeliveryKeysError> {
        let address = address.clone();
        self.commit(move |writer, changes| {
            let account = writer.records.account(&address)?.ok_or(DeliveryKeysError::UnknownAccount)?;
            if account.delivery_keys != hashes {
                let account = AccountRecord { delivery_keys: hashes, ..account };
                changes.effects.accounts.push(account.account);
                changes.put(layout::account(&address), account.encode());
            }
            Ok(())
        })
        .await
    }

    async fn withheld_since(&self, address: &Address, device: u32) -> Result<u64, QueueError> {
        let address = address.clone();
        self.read_account(move |records| {
            let queue = records.queue_key(&address, device)?.ok_or(QueueError::UnknownDevice)?;
            Ok((records.queue(queue)?.withheld_since, Some(queue.account)))
        })
        .await
    }

    async fn settle_withheld(&self, address: &Address, device: u32, since: u64) -> Result<(), QueueError> {
        self.commit_device(address, device, QueueError::UnknownDevice, move |records, changes, queue| {
            let mut counters = records.queue(queue)?;
            if counters.withheld_since == since && since != 0 {
                counters.withheld_since = 0;
                changes.put(layout::queue(queue), counters.encode());
                changes.effects.accounts.push(queue.account);
            }
            Ok(())
        })
        .await
    }
}

impl SledStorage {
    async fn draw(
        &self,
        address: &Address,
        count: impl FnOnce(&mut DrawsRecord) -> Result<bool, DrawError> + Send + 'static,
    ) -> Result<(), DrawError> {
        let address = address.clone();
        self.commit(move |writer, changes| {
            let account = writer.records.account(&address)?.ok_or(DrawError::UnknownAccount)?.account;
            let key = layout::draws(account);
            let mut draws = writer.records.decoded(&key, "draws", DrawsRecord::decode)?.unwrap_or_default();
            if count(&mut draws)? {
                changes.put(key, draws.encode());
            }
            Ok(())
        })
        .await
    }
}

/// How the tokens stand, for the committer.
pub(super) fn look<E>(records: &Records, spend: &Spend) -> Result<Spending, E>
where
    E: From<StorageError> + From<SpendError>,
{
    spend.look(
        |key_id| Ok(records.get(&layout::issuer_key(key_id))?.is_some()),
        |token| {
            let record =
                records.decoded(&layout::spend(&token.key_id, &token.nonce), "a spent token", SpendRecord::decode)?;
            Ok(record.map(|record| record.purpose))
        },
    )
}

/// Spends tokens on something that is stored for the first time: none of them may have been spent before.
pub(super) fn spend<E>(records: &Records, changes: &mut Changes, spend: &Spend) -> Result<(), E>
where
    E: From<StorageError> + From<SpendError>,
{
    match look::<E>(records, spend)? {
        Spending::Repeated => Err(SpendError::Spent.into()),
        Spending::Fresh => {
            put_spend(changes, spend);
            Ok(())
        }
    }
}

/// Spends tokens on what leaves no other trace of its caller: whether they had paid for the same before.
pub(super) fn take<E>(records: &Records, changes: &mut Changes, spend: &Spend) -> Result<bool, E>
where
    E: From<StorageError> + From<SpendError>,
{
    let spending = look::<E>(records, spend)?;
    if spending == Spending::Fresh {
        put_spend(changes, spend);
    }
    Ok(spending == Spending::Repeated)
}

/// Stores that tokens are spent.
pub(super) fn put_spend(changes: &mut Changes, spend: &Spend) {
    for token in &spend.tokens {
        changes.put(layout::spend(&token.key_id, &token.nonce), SpendRecord { purpose: spend.purpose }.encode());
    }
}

/// Drops at most `limit` tokens of a key whose time is up, and the key with the last of them. Says how many there were.
pub(super) fn sweep(
    records: &Records,
    changes: &mut Changes,
    at_ms: u64,
    key_id: [u8; 32],
    limit: usize,
) -> Result<usize, StorageError> {
    // No token of it is taken from now on, whatever is left of what was spent.
    changes.remove(layout::issuer_key(&key_id));
    let mut swept = 0;
    for item in records.scan(&layout::spends(&key_id)).take(limit) {
        changes.remove(item?.0);
        swept += 1;
    }
    if swept < limit {
        changes.remove(layout::deadline(at_ms, Due::IssuerKey(key_id)));
    }
    Ok(swept)
}

/// Drops everything of tokens, before an import: what was issued before it is worth nothing after.
pub(super) fn retire(records: &Records, changes: &mut Changes) -> Result<(), StorageError> {
    for prefix in [layout::ISSUER_KEYS, layout::SPENDS, layout::VOUCHERS, layout::DRAWS] {
        for item in records.scan(prefix) {
            changes.remove(item?.0);
        }
    }
    Ok(())
}
