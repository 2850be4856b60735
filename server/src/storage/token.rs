//! What the store keeps of tokens: issuer keys, what was spent, what was drawn. `spec/tokens.md`.
//!
//! Spending is part of what it pays for: the operation is stored with the record that the token is spent, or neither is.
//! The records of a key go with the key, so that nothing has to be remembered for longer than a token lives.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::wire::server_storage::{DrawRecord, DrawsRecord};
use thiserror::Error;

use super::StorageError;

/// The part of a store that knows tokens.
#[async_trait]
pub trait TokenStorage: Send + Sync + 'static {
    /// All issuer keys that have not been dropped, in no order.
    ///
    /// # Errors
    /// The engine failed.
    async fn issuer_keys(&self) -> Result<Vec<StoredIssuerKey>, StorageError>;

    /// Stores an issuer key. From its end on [`Storage::expire`](super::Storage::expire) drops it with all that was spent of it.
    ///
    /// # Errors
    /// The engine failed.
    async fn put_issuer_key(&self, key: StoredIssuerKey) -> Result<(), StorageError>;

    /// Counts a batch of tokens against what an account may draw on a day. A device draws once a day; the same batch again
    /// is taken as the first time.
    ///
    /// # Errors
    /// See [`DrawError`].
    async fn draw_tokens(&self, address: &Address, draw: TokenDraw) -> Result<(), DrawError>;

    /// Counts a voucher against what an account may draw on a day. The same again is taken as the first time.
    ///
    /// # Errors
    /// See [`DrawError`].
    async fn draw_voucher(&self, address: &Address, draw: VoucherDraw) -> Result<(), DrawError>;

    /// Redeems a voucher. The same batch again is taken as the first time.
    ///
    /// # Errors
    /// See [`RedeemError`].
    async fn redeem_voucher(&self, redemption: Redemption) -> Result<(), RedeemError>;

    /// Replaces the hashes of an account's delivery keys.
    ///
    /// # Errors
    /// See [`DeliveryKeysError`].
    async fn set_delivery_keys(&self, address: &Address, hashes: Vec<[u8; 32]>) -> Result<(), DeliveryKeysError>;

    /// When one-time prekeys of the account were first withheld without the device having been told, in milliseconds since
    /// 1970; 0: none were.
    ///
    /// # Errors
    /// See [`QueueError`](super::QueueError).
    async fn withheld_since(&self, address: &Address, device: u32) -> Result<u64, super::QueueError>;

    /// Forgets it, after the device was told of it.
    ///
    /// # Errors
    /// See [`QueueError`](super::QueueError).
    async fn settle_withheld(&self, address: &Address, device: u32, since: u64) -> Result<(), super::QueueError>;
}

/// An issuer key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIssuerKey {
    /// By which tokens name it.
    pub id: [u8; 32],
    /// What it is derived from.
    pub seed: Secret<32>,
    /// The day on which it issues, counted from 1970.
    pub day: u32,
    /// When its tokens are worth nothing any more, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// What pays for an operation. The caller has verified the tokens. None, the default: it is not paid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spend {
    /// Each once.
    pub tokens: Vec<SpentToken>,
    /// SHA-256 of what they pay for: it tells a repeat from another use.
    pub purpose: [u8; 32],
}

/// A token that is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpentToken {
    /// Of the issuer key.
    pub key_id: [u8; 32],
    /// Of the token.
    pub nonce: [u8; 32],
}

/// How prekeys or key packages are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taking {
    /// No one-time key is given: others have taken too many.
    pub withhold: bool,
    /// What pays for it. A repeat gets no second one-time key.
    pub spend: Spend,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A batch of tokens that a device draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDraw {
    /// The device.
    pub device: u32,
    /// Counted from 1970.
    pub day: u32,
    /// SHA-256 of the batch.
    pub digest: [u8; 32],
    /// Tokens in it.
    pub count: u32,
    /// Tokens that all devices of the account may draw on this day.
    pub most: u32,
}

/// A voucher that an account draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoucherDraw {
    /// Counted from 1970.
    pub day: u32,
    /// SHA-256 of domain and key.
    pub digest: [u8; 32],
    /// Vouchers that the account may draw on this day.
    pub most: u32,
}

/// A voucher that is redeemed. The caller has verified it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redemption {
    /// Of the voucher.
    pub voucher: [u8; 32],
    /// SHA-256 of the batch.
    pub digest: [u8; 32],
    /// When the voucher runs out, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// Why tokens do not pay. Nothing was stored and nothing spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpendError {
    /// A token has paid for something else.
    #[error("a token has been spent")]
    Spent,
    /// The key of a token has been dropped.
    #[error("the issuer key is not known")]
    UnknownKey,
}

/// Why nothing was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DrawError {
    /// No account has this address.
    #[error("no account has this address")]
    UnknownAccount,
    /// The device has drawn another batch on this day, or the account would have drawn too much.
    #[error("the account has drawn what it may on this day")]
    Drawn,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a voucher was not redeemed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedeemError {
    /// It has been redeemed for another batch.
    #[error("the voucher has been redeemed")]
    Spent,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why delivery keys were not replaced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeliveryKeysError {
    /// No account has this address.
    #[error("no account has this address")]
    UnknownAccount,
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How tokens stand before an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spending {
    /// None of them was spent.
    Fresh,
    /// All of them have paid for this very thing.
    Repeated,
}

impl Spend {
    /// How the tokens stand, when `spent` tells what a token has paid for and `is_known` whether its key is there.
    pub(super) fn look<E: From<SpendError>>(
        &self,
        is_known: impl Fn(&[u8; 32]) -> Result<bool, E>,
        spent: impl Fn(&SpentToken) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<Spending, E> {
        let mut repeated = 0;
        for token in &self.tokens {
            if !is_known(&token.key_id)? {
                return Err(SpendError::UnknownKey.into());
            }
            match spent(token)? {
                None => {}
                Some(purpose) if purpose == self.purpose => repeated += 1,
                Some(_) => return Err(SpendError::Spent.into()),
            }
        }
        match repeated {
            0 => Ok(Spending::Fresh),
            all if all == self.tokens.len() => Ok(Spending::Repeated),
            _ => Err(SpendError::Spent.into()),
        }
    }
}

impl TokenDraw {
    /// Counts the batch; `false` if it was counted before.
    pub(super) fn count_in(&self, draws: &mut DrawsRecord) -> Result<bool, DrawError> {
        begin_day(draws, self.day);
        if let Some(before) = draws.tokens.iter().find(|draw| draw.device == self.device) {
            let same = before.digest == self.digest && before.count == self.count;
            return if same { Ok(false) } else { Err(DrawError::Drawn) };
        }
        let drawn = draws.tokens.iter().fold(self.count, |sum, draw| sum.saturating_add(draw.count));
        if drawn > self.most {
            return Err(DrawError::Drawn);
        }
        draws.tokens.push(DrawRecord { device: self.device, count: self.count, digest: self.digest });
        Ok(true)
    }
}

impl VoucherDraw {
    /// Counts the voucher; `false` if it was counted before.
    pub(super) fn count_in(&self, draws: &mut DrawsRecord) -> Result<bool, DrawError> {
        begin_day(draws, self.day);
        if draws.vouchers.contains(&self.digest) {
            return Ok(false);
        }
        if draws.vouchers.len() >= self.most as usize {
            return Err(DrawError::Drawn);
        }
        draws.vouchers.push(self.digest);
        Ok(true)
    }
}

fn begin_day(draws: &mut DrawsRecord, day: u32) {
    if draws.day != day {
        *draws = DrawsRecord { day, ..DrawsRecord::default() };
    }
}
