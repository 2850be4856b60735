//! Tokens that pay for anonymous requests.

use medipeps_core::limits::{TOKENS_PER_BATCH_MAX, TOKENS_PER_PAYMENT_MAX};
use medipeps_core::token;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::limits::{ISSUER_KEY_DAYS_MAX, TOKENS_PER_DAY, VOUCHERS_PER_DAY_MAX};

/// Tokens that pay for anonymous requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Whether what has a price is refused when it is not paid. If not, it counts against the limits of the network address.
    pub required: bool,
    /// Tokens that an account may draw a day, over all its devices, 1 to 2048.
    pub batch: u32,
    /// Days for which the tokens of a day's issuer key are good, the day itself counted, 2 to 14.
    pub key_days: u32,
    /// Vouchers for other servers that an account may draw a day, 0 to 64.
    pub vouchers: u32,
    /// Tokens that a voucher of this server is for, and the most that are given here for one of another server, 1 to 2048.
    pub voucher_tokens: u32,
    /// What requests cost, in tokens.
    pub price: Prices,
}

/// What requests cost, in tokens, 0 to 256; 0 is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// A submission.
    pub submit: u32,
    /// A fetch of prekeys or of key packages.
    pub prekeys: u32,
    /// So many MiB of a blob cost one token; 0: blobs cost nothing.
    pub blob_mib: u32,
    /// Creating a group log.
    pub group_create: u32,
    /// So many KiB of an entry of a group log cost one token; 0: entries cost nothing.
    pub group_append_kib: u32,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            required: false,
            batch: TOKENS_PER_DAY,
            key_days: 2,
            vouchers: 8,
            voucher_tokens: 100,
            price: Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 4, group_append_kib: 64 },
        }
    }
}

impl Tokens {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let batch = |tokens: u32| (1..=TOKENS_PER_BATCH_MAX as u32).contains(&tokens);
        let price = |tokens: u32| tokens <= TOKENS_PER_PAYMENT_MAX as u32;
        vec![
            (batch(self.batch), "tokens.batch", "must be 1 to 2048"),
            ((2..=ISSUER_KEY_DAYS_MAX).contains(&self.key_days), "tokens.key_days", "must be 2 to 14"),
            (self.vouchers <= VOUCHERS_PER_DAY_MAX, "tokens.vouchers", "must be 0 to 64"),
            (batch(self.voucher_tokens), "tokens.voucher_tokens", "must be 1 to 2048"),
            (price(self.price.submit), "tokens.price.submit", "must be 0 to 256"),
            (price(self.price.prekeys), "tokens.price.prekeys", "must be 0 to 256"),
            (price(self.price.group_create), "tokens.price.group_create", "must be 0 to 256"),
        ]
    }
}

impl From<Prices> for token::Prices {
    fn from(prices: Prices) -> Self {
        let Prices { submit, prekeys, blob_mib, group_create, group_append_kib } = prices;
        Self { submit, prekeys, blob_mib, group_create, group_append_kib }
    }
}
