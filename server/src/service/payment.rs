//! What pays for an anonymous request: tokens, or the limits of the network address.
//!
//! A token is verified here and spent by the store, in one transaction with what it pays for. What is paid does not count
//! against the limits of the network address: four thousand people of a hospital have one. Verifying costs the server a tenth of a
//! millisecond, so that an address that sends many false or spent tokens is counted again as if it had not paid.

use std::sync::Arc;

use medipeps_core::crypto::hash::labelled_sha256;
use medipeps_core::label;
use medipeps_core::token::{IssuerSecretKey, Prices};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Payment, Token};

use super::{Moment, Service, internal, rate_limited, refuse};
use crate::limits::TOKENS_VERIFIED_INLINE;
use crate::network_address::NetworkAddress;
use crate::rate_limit::RateLimiter;
use crate::storage::{Spend, SpendError, SpentToken};

/// What a token pays for. A token is good for one of these and, as a repeat, for the same again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// A submission id and the recipient.
    Submit([u8; 16], &'a str),
    /// Of whose prekeys.
    Prekeys(&'a str),
    /// Of whose key packages.
    KeyPackages(&'a str),
    /// The blob's id.
    Blob([u8; 32]),
    /// The log's id.
    GroupLog([u8; 32]),
    /// The log's id and that of the entry.
    GroupEntry([u8; 32], [u8; 16]),
}

impl Purpose<'_> {
    fn hash(self) -> [u8; 32] {
        let parts: (u8, &[u8], &[u8]) = match &self {
            Self::Submit(id, address) => (1, id, address.as_bytes()),
            Self::Prekeys(address) => (2, &[], address.as_bytes()),
            Self::KeyPackages(address) => (3, &[], address.as_bytes()),
            Self::Blob(id) => (4, id, &[]),
            Self::GroupLog(id) => (5, id, &[]),
            Self::GroupEntry(log_id, entry_id) => (6, log_id, entry_id),
        };
        labelled_sha256(label::TOKEN_PURPOSE, &[&[parts.0], parts.1, parts.2])
    }
}

impl Service {
    /// What requests cost here.
    pub(super) fn prices(&self) -> Prices {
        self.issuer.config().price.into()
    }

    /// Verifies a payment of a request, or counts the request against `limiters` of the network address, each for so many.
    pub(super) async fn pay(
        &self,
        moment: Moment,
        payment: Payment,
        price: u32,
        purpose: Purpose<'_>,
        limiters: &[(&RateLimiter<NetworkAddress>, u32)],
    ) -> Result<Spend, ErrorReply> {
        let Moment { now_ms, network } = moment;
        let limit = || {
            limiters
                .iter()
                .try_for_each(|(limiter, count)| limiter.take_many(network, *count, now_ms))
                .map_err(rate_limited)
        };
        let tokens = match payment {
            Payment::None => {
                limit()?;
                let unpaid = self.issuer.config().required && price > 0;
                return if unpaid { Err(price_not_paid(price)) } else { Ok(Spend::default()) };
            }
            Payment::Tokens(tokens) => tokens,
        };
        if self.refused_payments.is_empty(&network, now_ms) {
            limit()?;
        }
        let verified = self.verify(moment, price, tokens, purpose).await;
        if verified.is_err() {
            self.payment_refused(moment);
        }
        verified
    }

    /// Notes that somebody at this network address has sent tokens that do not pay.
    pub(super) fn payment_refused(&self, moment: Moment) {
        // That there is none left to take is what it is for.
        let _ = self.refused_payments.take(moment.network, moment.now_ms);
    }

    /// What is answered when the store found that tokens do not pay.
    pub(super) fn spend_refused(&self, moment: Moment, error: SpendError) -> ErrorReply {
        self.payment_refused(moment);
        refuse(match error {
            SpendError::Spent => ErrorCode::TokenSpent,
            SpendError::UnknownKey => ErrorCode::UnknownIssuerKey,
        })
    }

    async fn verify(
        &self,
        moment: Moment,
        price: u32,
        tokens: Vec<Token>,
        purpose: Purpose<'_>,
    ) -> Result<Spend, ErrorReply> {
        if tokens.len() != price as usize {
            return Err(price_not_paid(price));
        }
        let set = self.issuer_keys(moment.now_ms).await?;
        let keys = tokens.iter().map(|token| set.find(&token.key_id).cloned()).collect::<Result<Vec<_>, _>>()?;
        let spent = tokens.iter().map(|token| SpentToken { key_id: token.key_id, nonce: token.nonce }).collect();
        let verified = if tokens.len() <= TOKENS_VERIFIED_INLINE {
            are_good(&keys, &tokens)
        } else {
            let verifying = tokio::task::spawn_blocking(move || are_good(&keys, &tokens));
            verifying.await.map_err(|_| internal("a verification was broken off"))?
        };
        if !verified {
            return Err(refuse(ErrorCode::TokenRefused));
        }
        Ok(Spend { tokens: spent, purpose: purpose.hash() })
    }
}

fn are_good(keys: &[Arc<IssuerSecretKey>], tokens: &[Token]) -> bool {
    keys.iter().zip(tokens).all(|(key, token)| key.verify(token).is_ok())
}

fn price_not_paid(price: u32) -> ErrorReply {
    ErrorReply::new(ErrorCode::PriceNotPaid, format!("this costs {price} tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn purposes_differ() {
        let purposes = [
            Purpose::Submit([1; 16], "a@b"),
            Purpose::Submit([1; 16], "c@b"),
            Purpose::Submit([2; 16], "a@b"),
            Purpose::Prekeys("a@b"),
            Purpose::KeyPackages("a@b"),
            Purpose::Blob([1; 32]),
            Purpose::GroupLog([1; 32]),
            Purpose::GroupEntry([1; 32], [1; 16]),
            Purpose::GroupEntry([1; 32], [2; 16]),
        ];
        let hashes: BTreeSet<_> = purposes.iter().map(|purpose| purpose.hash()).collect();
        assert_eq!(hashes.len(), purposes.len());
    }
}
