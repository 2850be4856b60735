//! The list of issuer keys, signed by the server key: the same bytes for everybody.
//!
//! A server that had a key for one client alone could know that client's tokens again. So a client fetches the list over both
//! its connections and compares: over the anonymous one the server does not know for whom it would have to make another.

use super::{IssuerKey, IssuerKeys, Prices, TokenError};
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::label;
use crate::limits::{BLOB_UNPRICED_LENGTH_MAX, TOKENS_PER_PAYMENT_MAX};
use crate::wire::token::SignedIssuerKeys;

const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;

impl IssuerKeys {
    /// Signs the list with the server key; the result is an encoded `SignedIssuerKeys`.
    #[must_use]
    pub fn sign(&self, server_key: &SigningKey) -> Vec<u8> {
        let keys = self.encode();
        let signature = server_key.sign(label::ISSUER_KEY_LIST, &[&keys]);
        SignedIssuerKeys { keys, signature }.encode()
    }

    /// Reads an encoded `SignedIssuerKeys` and verifies its signature.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] or [`TokenError::Signature`]
    pub fn verify(encoded: &[u8], server_key: &VerifyingKey) -> Result<Self, TokenError> {
        let signed = SignedIssuerKeys::decode(encoded)?;
        server_key
            .verify(label::ISSUER_KEY_LIST, &[&signed.keys], &signed.signature)
            .map_err(|_| TokenError::Signature)?;
        Ok(Self::decode(&signed.keys)?)
    }

    /// The key that issues now.
    #[must_use]
    pub fn issuing(&self) -> Option<&IssuerKey> {
        self.keys.first()
    }

    /// Whether tokens of this key are still taken at a time, in milliseconds since 1970.
    #[must_use]
    pub fn takes(&self, key_id: &[u8; 32], now_ms: u64) -> bool {
        self.keys.iter().any(|key| key.id() == *key_id && now_ms < key.expires)
    }
}

impl Prices {
    /// What a blob of so many bytes costs; one as small as those of a linking costs nothing.
    #[must_use]
    pub fn blob(&self, length: u64) -> u32 {
        if length <= BLOB_UNPRICED_LENGTH_MAX { 0 } else { by_size(length, u64::from(self.blob_mib) * MIB) }
    }

    /// What an entry of so many bytes costs.
    #[must_use]
    pub fn group_append(&self, length: usize) -> u32 {
        by_size(length as u64, u64::from(self.group_append_kib) * KIB)
    }
}

/// A token for each begun unit, and never more than a payment can have.
fn by_size(length: u64, unit: u64) -> u32 {
    if unit == 0 { 0 } else { length.div_ceil(unit).min(TOKENS_PER_PAYMENT_MAX as u64) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;

    #[test]
    fn a_list_is_its_servers_own() {
        let [key, other] = [1, 2].map(|seed| SigningKey::from_secret(&Secret::from([seed; 32])));
        let prices = Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 1, group_append_kib: 64 };
        let issuer = IssuerKey { public_key: [3; 32], day: 20_000, expires: 50 };
        let list = IssuerKeys {
            domain: "clinic.example".into(),
            keys: vec![issuer],
            prices,
            batch: 1,
            vouchers: 1,
            voucher_tokens: 1,
            required: false,
            incarnation: [4; 16],
        };
        let signed = list.sign(&key);
        assert_eq!(IssuerKeys::verify(&signed, &key.verifying_key()), Ok(list.clone()));
        assert_eq!(IssuerKeys::verify(&signed, &other.verifying_key()), Err(TokenError::Signature));
        let mut altered = signed;
        altered[10] ^= 1;
        assert!(IssuerKeys::verify(&altered, &key.verifying_key()).is_err());
        assert!(list.takes(&issuer.id(), 49) && !list.takes(&issuer.id(), 50) && !list.takes(&[0; 32], 49));
    }

    #[test]
    fn begun_units_count() {
        let mut prices = Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 1, group_append_kib: 64 };
        let lengths = [BLOB_UNPRICED_LENGTH_MAX, BLOB_UNPRICED_LENGTH_MAX + 1, 64 * MIB, 64 * MIB + 1];
        assert_eq!(lengths.map(|length| prices.blob(length)), [0, 1, 1, 2]);
        assert_eq!(prices.blob(crate::limits::BLOB_LENGTH_MAX), TOKENS_PER_PAYMENT_MAX as u32);
        assert_eq!([1, 64 << 10, (64 << 10) + 1].map(|length| prices.group_append(length)), [1, 1, 2]);
        (prices.blob_mib, prices.group_append_kib) = (0, 0);
        assert_eq!((prices.blob(u64::MAX), prices.group_append(1)), (0, 0));
    }
}
