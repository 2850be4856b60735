//! Tokens of the reference engine.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::wire::server_storage::VoucherRecord;

use super::MemoryStorage;
use super::state::State;
use crate::storage::token::Spending;
use crate::storage::{
    DeliveryKeysError, DrawError, QueueError, RedeemError, Redemption, Spend, SpendError, StorageError,
    StoredIssuerKey, TokenDraw, TokenStorage, VoucherDraw,
};

#[async_trait]
impl TokenStorage for MemoryStorage {
    async fn issuer_keys(&self) -> Result<Vec<StoredIssuerKey>, StorageError> {
        Ok(self.read()?.issuer_keys.values().cloned().collect())
    }

    async fn put_issuer_key(&self, key: StoredIssuerKey) -> Result<(), StorageError> {
        self.commit(|state| {
            state.issuer_keys.insert(key.id, key);
            Ok(())
        })
    }

    async fn draw_tokens(&self, address: &Address, draw: TokenDraw) -> Result<(), DrawError> {
        self.commit(|state| {
            let account = state.accounts.get_mut(address).ok_or(DrawError::UnknownAccount)?;
            draw.count_in(&mut account.draws).map(|_| ())
        })
    }

    async fn draw_voucher(&self, address: &Address, draw: VoucherDraw) -> Result<(), DrawError> {
        self.commit(|state| {
            let account = state.accounts.get_mut(address).ok_or(DrawError::UnknownAccount)?;
            draw.count_in(&mut account.draws).map(|_| ())
        })
    }

    async fn redeem_voucher(&self, redemption: Redemption) -> Result<(), RedeemError> {
        self.commit(|state| match state.vouchers.get(&redemption.voucher) {
            Some(before) if before.digest == redemption.digest => Ok(()),
            Some(_) => Err(RedeemError::Spent),
            None => {
                let record = VoucherRecord { digest: redemption.digest, expires: redemption.expires_ms };
                state.vouchers.insert(redemption.voucher, record);
                Ok(())
            }
        })
    }

    async fn set_delivery_keys(&self, address: &Address, hashes: Vec<[u8; 32]>) -> Result<(), DeliveryKeysError> {
        self.commit(|state| {
            let account = state.accounts.get_mut(address).ok_or(DeliveryKeysError::UnknownAccount)?;
            account.record.delivery_keys = hashes;
            Ok(())
        })
    }

    async fn withheld_since(&self, address: &Address, device: u32) -> Result<u64, QueueError> {
        Ok(self.read()?.device(address, device).ok_or(QueueError::UnknownDevice)?.queue.withheld_since)
    }

    async fn settle_withheld(&self, address: &Address, device: u32, since: u64) -> Result<(), QueueError> {
        self.commit(|state| {
            let queue = &mut state.device_mut(address, device).ok_or(QueueError::UnknownDevice)?.queue;
            if queue.withheld_since == since {
                queue.withheld_since = 0;
            }
            Ok(())
        })
    }
}

impl State {
    /// Spends tokens on something that is stored for the first time: none of them may have been spent before.
    pub(super) fn spend<E: From<SpendError>>(&mut self, spend: &Spend) -> Result<(), E> {
        if self.take::<E>(spend)? { Err(SpendError::Spent.into()) } else { Ok(()) }
    }

    /// Spends tokens on what leaves no other trace of its caller: whether they had paid for the same before.
    pub(super) fn take<E: From<SpendError>>(&mut self, spend: &Spend) -> Result<bool, E> {
        let spending = spend.look::<E>(
            |key_id| Ok(self.issuer_keys.contains_key(key_id)),
            |token| Ok(self.spends.get(token).copied()),
        )?;
        if spending == Spending::Fresh {
            self.spends.extend(spend.tokens.iter().map(|token| (*token, spend.purpose)));
        }
        Ok(spending == Spending::Repeated)
    }

    /// Drops issuer keys whose time is up with what was spent of them, and vouchers; says how many records that were.
    pub(super) fn expire_tokens(&mut self, now_ms: u64) -> u64 {
        let before = self.spends.len() + self.vouchers.len();
        self.issuer_keys.retain(|_, key| key.expires_ms > now_ms);
        let keys = &self.issuer_keys;
        self.spends.retain(|token, _| keys.contains_key(&token.key_id));
        self.vouchers.retain(|_, voucher| voucher.expires > now_ms);
        (before - self.spends.len() - self.vouchers.len()) as u64
    }
}
