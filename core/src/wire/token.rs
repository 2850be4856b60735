//! `spec/proto/token.proto`: issuer keys and vouchers. Encodings only; [`crate::token`] checks signatures.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::address::is_domain;
use crate::crypto::signature::{Signature, VerifyingKey};
use crate::limits::{ISSUER_KEYS_MAX, TOKENS_PER_BATCH_MAX};

/// What a server issues tokens with, and what it asks for: the same for everybody who asks at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKeys {
    /// The server's domain.
    pub domain: String,
    /// 1 to [`ISSUER_KEYS_MAX`], the one that issues now first.
    pub keys: Vec<IssuerKey>,
    /// What requests cost.
    pub prices: Prices,
    /// Tokens that an account may draw a day, over all its devices.
    pub batch: u32,
    /// Vouchers that an account may draw a day.
    pub vouchers: u32,
    /// Tokens that a voucher of this server is for.
    pub voucher_tokens: u32,
    /// What has a price is refused when it is not paid.
    pub required: bool,
    /// Of the server's store: another one after a restore.
    pub incarnation: [u8; 16],
}

/// The public half of an issuer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerKey {
    /// A ristretto255 element.
    pub public_key: [u8; 32],
    /// The day on which it issues, counted from 1970.
    pub day: u32,
    /// Milliseconds since 1970: from then on its tokens are worth nothing.
    pub expires: u64,
}

/// What requests cost, in tokens; 0 is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// A submission.
    pub submit: u32,
    /// A fetch of prekeys or of key packages.
    pub prekeys: u32,
    /// So many MiB of a blob cost one token; begun ones count. 0: blobs cost nothing.
    pub blob_mib: u32,
    /// Creating a group log.
    pub group_create: u32,
    /// So many KiB of an entry of a group log cost one token; begun ones count. 0: entries cost nothing.
    pub group_append_kib: u32,
}

/// A list of issuer keys as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIssuerKeys {
    /// An encoded [`IssuerKeys`], the exact bytes that were signed.
    pub keys: Vec<u8>,
    /// By the server key.
    pub signature: Signature,
}

/// A home server's word that somebody of its own may draw tokens at another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The domain that signs.
    pub home: String,
    /// The domain where it is good.
    pub domain: String,
    /// The day on which it was drawn, counted from 1970.
    pub day: u32,
    /// Drawn for this voucher alone; who has its secret half may redeem it.
    pub key: VerifyingKey,
    /// How many tokens may be drawn for it, 1 to [`TOKENS_PER_BATCH_MAX`].
    pub tokens: u32,
    /// Of the store of the server where it is good: after a restore, which forgets what was redeemed, it is worth nothing.
    pub incarnation: [u8; 16],
}

/// A voucher as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedVoucher {
    /// An encoded [`Voucher`], the exact bytes that were signed.
    pub voucher: Vec<u8>,
    /// By the home server's key.
    pub signature: Signature,
}

impl IssuerKeys {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let key = |key: &IssuerKey| proto::IssuerKey {
            public_key: key.public_key.to_vec(),
            day: key.day,
            expires: key.expires,
        };
        proto::IssuerKeys {
            domain: self.domain.clone(),
            keys: self.keys.iter().map(key).collect(),
            prices: Some(proto::Prices {
                submit: self.prices.submit,
                prekeys: self.prices.prekeys,
                blob_mib: self.prices.blob_mib,
                group_create: self.prices.group_create,
                group_append_kib: self.prices.group_append_kib,
            }),
            batch: self.batch,
            vouchers: self.vouchers,
            voucher_tokens: self.voucher_tokens,
            required: self.required,
            incarnation: self.incarnation.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::IssuerKeys::decode(bytes)?;
        if message.keys.is_empty() || message.keys.len() > ISSUER_KEYS_MAX {
            return Err(WireError::Bounds("keys"));
        }
        let key = |key: proto::IssuerKey| {
            let public_key = fixed(&key.public_key, "public_key")?;
            Ok(IssuerKey { public_key, day: key.day, expires: key.expires })
        };
        let prices = message.prices.ok_or(WireError::Missing("prices"))?;
        Ok(Self {
            domain: domain(message.domain, "domain")?,
            keys: message.keys.into_iter().map(key).collect::<Result<_, WireError>>()?,
            prices: Prices {
                submit: prices.submit,
                prekeys: prices.prekeys,
                blob_mib: prices.blob_mib,
                group_create: prices.group_create,
                group_append_kib: prices.group_append_kib,
            },
            batch: message.batch,
            vouchers: message.vouchers,
            voucher_tokens: message.voucher_tokens,
            required: message.required,
            incarnation: fixed(&message.incarnation, "incarnation")?,
        })
    }
}

impl SignedIssuerKeys {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedIssuerKeys { keys: self.keys.clone(), signature: self.signature.to_vec() }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedIssuerKeys::decode(bytes)?;
        Ok(Self { signature: fixed(&message.signature, "keys.signature")?, keys: message.keys })
    }
}

impl Voucher {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::Voucher {
            home: self.home.clone(),
            domain: self.domain.clone(),
            day: self.day,
            key: self.key.as_bytes().to_vec(),
            tokens: self.tokens,
            incarnation: self.incarnation.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::Voucher::decode(bytes)?;
        if message.tokens == 0 || message.tokens as usize > TOKENS_PER_BATCH_MAX {
            return Err(WireError::Bounds("tokens"));
        }
        Ok(Self {
            home: domain(message.home, "home")?,
            domain: domain(message.domain, "domain")?,
            day: message.day,
            key: VerifyingKey::from_slice(&message.key).map_err(|_| WireError::Bounds("key"))?,
            tokens: message.tokens,
            incarnation: fixed(&message.incarnation, "incarnation")?,
        })
    }
}

impl SignedVoucher {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedVoucher { voucher: self.voucher.clone(), signature: self.signature.to_vec() }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedVoucher::decode(bytes)?;
        Ok(Self { signature: fixed(&message.signature, "voucher.signature")?, voucher: message.voucher })
    }
}

fn domain(text: String, field: &'static str) -> Result<String, WireError> {
    if is_domain(&text) { Ok(text) } else { Err(WireError::Bounds(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;
    use crate::test_rng::rng;

    fn keys(count: usize) -> IssuerKeys {
        IssuerKeys {
            domain: "clinic.example".into(),
            keys: (0..count).map(|n| IssuerKey { public_key: [n as u8; 32], day: 20_000, expires: 1 }).collect(),
            prices: Prices { submit: 1, prekeys: 2, blob_mib: 3, group_create: 4, group_append_kib: 5 },
            batch: 6,
            vouchers: 7,
            voucher_tokens: 8,
            required: true,
            incarnation: [9; 16],
        }
    }

    fn voucher(tokens: u32, domain: &str) -> Voucher {
        let key = SigningKey::random(&mut rng(1)).verifying_key();
        Voucher { home: "clinic.example".into(), domain: domain.into(), day: 20_000, key, tokens, incarnation: [9; 16] }
    }

    #[test]
    fn lists_and_vouchers_come_back_as_they_were() {
        for count in [1, ISSUER_KEYS_MAX] {
            assert_eq!(IssuerKeys::decode(&keys(count).encode()), Ok(keys(count)));
        }
        for tokens in [1, TOKENS_PER_BATCH_MAX as u32] {
            let voucher = voucher(tokens, "hospital.example");
            assert_eq!(Voucher::decode(&voucher.encode()), Ok(voucher));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        for count in [0, ISSUER_KEYS_MAX + 1] {
            assert_eq!(IssuerKeys::decode(&keys(count).encode()), Err(WireError::Bounds("keys")));
        }
        for tokens in [0, TOKENS_PER_BATCH_MAX as u32 + 1] {
            let encoded = voucher(tokens, "hospital.example").encode();
            assert_eq!(Voucher::decode(&encoded), Err(WireError::Bounds("tokens")));
        }
        let mut short = proto::Voucher::decode(voucher(1, "hospital.example").encode().as_slice()).unwrap();
        short.incarnation.pop();
        assert_eq!(Voucher::decode(&short.encode_to_vec()), Err(WireError::Bounds("incarnation")));
        let encoded = voucher(1, "Hospital.example").encode();
        assert_eq!(Voucher::decode(&encoded), Err(WireError::Bounds("domain")));
    }
}
