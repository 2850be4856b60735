//! With what a client pays: tokens, batches on their way, tokens that are set aside for something.

use prost::Message;

use super::{secret, some_bytes, text};
use crate::crypto::secret::Secret;
use crate::token::{IssuerKey, IssuerKeys};
use crate::wire::transport::Token;
use crate::wire::{WireError, fixed, proto};
use zeroize::Zeroizing;

/// Bytes of a token without its key id.
const TOKEN_LENGTH: usize = 96;

/// With what a device pays at the server of one domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WalletRecord {
    /// Issuer keys and prices, as the anonymous connection saw them.
    pub keys: Option<IssuerKeys>,
    /// When that was, in milliseconds since 1970.
    pub keys_seen: u64,
    /// When they were last asked for, in milliseconds since 1970.
    pub keys_asked: u64,
    /// When the next batch is drawn, in milliseconds since 1970; 0: at the next occasion.
    pub next_draw: u64,
    /// Something waits for tokens.
    pub wanted: bool,
    /// How often both connections saw different keys, one after the other.
    pub mismatches: u32,
    /// Code of what stands in the way.
    pub problem: Option<String>,
    /// A batch on its way.
    pub draw: Option<TokenDraw>,
    /// The one that runs out first, first.
    pub batches: Vec<TokenBatchRecord>,
}

/// A batch on its way: key, count and seed make it anew, with the same blinded elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraw {
    /// Of the server.
    pub key: IssuerKey,
    /// Tokens; 0 while a voucher has not said how many.
    pub count: u32,
    /// Nonces and blinds are drawn from it.
    pub seed: Secret<32>,
    /// Secret half of the voucher's key; `None` at the own server.
    pub voucher_key: Option<Secret<32>>,
    /// An encoded `SignedVoucher`, once the own server has given it.
    pub voucher: Option<Vec<u8>>,
}

/// Tokens of one issuer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBatchRecord {
    /// Of the issuer key.
    pub key_id: [u8; 32],
    /// Milliseconds since 1970.
    pub expires: u64,
    /// How many are left.
    pub tokens: u32,
}

/// Some tokens of a batch: nonce and authenticator of each.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TokenPageRecord(pub Vec<([u8; 32], [u8; 64])>);

/// Tokens that are set aside for one request, so that a repeat of it shows the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Where they are good.
    pub domain: String,
    /// At least one.
    pub tokens: Vec<Token>,
}

impl std::fmt::Debug for TokenPageRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TokenPageRecord({} tokens)", self.0.len())
    }
}

impl WalletRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut record = proto::ClientWallet {
            keys: self.keys.as_ref().map(IssuerKeys::encode).unwrap_or_default(),
            keys_seen: self.keys_seen,
            keys_asked: self.keys_asked,
            next_draw: self.next_draw,
            wanted: self.wanted,
            mismatches: self.mismatches,
            problem: self.problem.clone().unwrap_or_default(),
            draw: self.draw.as_ref().map(|draw| proto::ClientTokenDraw {
                key: Some(proto::IssuerKey {
                    public_key: draw.key.public_key.to_vec(),
                    day: draw.key.day,
                    expires: draw.key.expires,
                }),
                count: draw.count,
                seed: draw.seed.as_bytes().to_vec(),
                voucher_key: draw.voucher_key.as_ref().map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
                voucher: draw.voucher.clone().unwrap_or_default(),
            }),
            batches: Vec::new(),
        };
        record.batches.extend(self.batches.iter().map(|batch| proto::ClientTokenBatch {
            key_id: batch.key_id.to_vec(),
            expires: batch.expires,
            tokens: batch.tokens,
        }));
        let bytes = Zeroizing::new(record.encode_to_vec());
        if let Some(draw) = &mut record.draw {
            zeroize::Zeroize::zeroize(&mut draw.seed);
            zeroize::Zeroize::zeroize(&mut draw.voucher_key);
        }
        bytes
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientWallet::decode(bytes)?;
        let keys = some_bytes(record.keys).map(|keys| IssuerKeys::decode(&keys)).transpose()?;
        let batch = |batch: &proto::ClientTokenBatch| {
            let key_id = fixed(&batch.key_id, "key_id")?;
            Ok(TokenBatchRecord { key_id, expires: batch.expires, tokens: batch.tokens })
        };
        Ok(Self {
            keys,
            keys_seen: record.keys_seen,
            keys_asked: record.keys_asked,
            next_draw: record.next_draw,
            wanted: record.wanted,
            mismatches: record.mismatches,
            problem: text(record.problem),
            draw: record.draw.map(token_draw).transpose()?,
            batches: record.batches.iter().map(batch).collect::<Result<_, WireError>>()?,
        })
    }
}

fn token_draw(draw: proto::ClientTokenDraw) -> Result<TokenDraw, WireError> {
    let key = draw.key.ok_or(WireError::Missing("key"))?;
    let voucher_key = some_bytes(draw.voucher_key).map(|key| secret(key, "voucher_key")).transpose()?;
    Ok(TokenDraw {
        key: IssuerKey { public_key: fixed(&key.public_key, "public_key")?, day: key.day, expires: key.expires },
        count: draw.count,
        seed: secret(draw.seed, "seed")?,
        voucher_key,
        voucher: some_bytes(draw.voucher),
    })
}

impl TokenPageRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut tokens = Vec::with_capacity(self.0.len() * TOKEN_LENGTH);
        for (nonce, authenticator) in &self.0 {
            tokens.extend_from_slice(nonce);
            tokens.extend_from_slice(authenticator);
        }
        let page = proto::ClientTokenPage { tokens };
        let bytes = Zeroizing::new(page.encode_to_vec());
        drop(Zeroizing::new(page.tokens));
        bytes
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let tokens = Zeroizing::new(proto::ClientTokenPage::decode(bytes)?.tokens);
        let (tokens, rest) = tokens.as_chunks::<TOKEN_LENGTH>();
        if !rest.is_empty() {
            return Err(WireError::Bounds("tokens"));
        }
        let token = |token: &[u8; TOKEN_LENGTH]| Ok((fixed(&token[..32], "tokens")?, fixed(&token[32..], "tokens")?));
        tokens.iter().map(token).collect::<Result<_, WireError>>().map(Self)
    }
}

impl PaymentRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut tokens = Vec::with_capacity(self.tokens.len() * (32 + TOKEN_LENGTH));
        for token in &self.tokens {
            tokens.extend_from_slice(&token.key_id);
            tokens.extend_from_slice(&token.nonce);
            tokens.extend_from_slice(&token.authenticator);
        }
        let payment = proto::ClientPayment { domain: self.domain.clone(), tokens };
        let bytes = Zeroizing::new(payment.encode_to_vec());
        drop(Zeroizing::new(payment.tokens));
        bytes
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let payment = proto::ClientPayment::decode(bytes)?;
        let tokens = Zeroizing::new(payment.tokens);
        let (tokens, rest) = tokens.as_chunks::<{ 32 + TOKEN_LENGTH }>();
        if tokens.is_empty() || !rest.is_empty() {
            return Err(WireError::Bounds("tokens"));
        }
        let token = |token: &[u8; 32 + TOKEN_LENGTH]| {
            Ok(Token {
                key_id: fixed(&token[..32], "tokens")?,
                nonce: fixed(&token[32..64], "tokens")?,
                authenticator: fixed(&token[64..], "tokens")?,
            })
        };
        let tokens = tokens.iter().map(token).collect::<Result<_, WireError>>()?;
        Ok(Self { domain: payment.domain, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Prices;
    use crate::vectors::secret;

    #[test]
    fn the_records_come_back_as_they_were() {
        let key = IssuerKey { public_key: [1; 32], day: 2, expires: 3 };
        let keys = IssuerKeys {
            domain: "clinic.example".into(),
            keys: vec![key],
            prices: Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 1, group_append_kib: 64 },
            batch: 5,
            vouchers: 6,
            voucher_tokens: 7,
            required: true,
            incarnation: [8; 16],
        };
        let draw =
            TokenDraw { key, count: 8, seed: secret(9), voucher_key: Some(secret(10)), voucher: Some(vec![11; 90]) };
        let some = WalletRecord {
            keys: Some(keys),
            keys_seen: 12,
            keys_asked: 13,
            next_draw: 14,
            wanted: true,
            mismatches: 15,
            problem: Some("TokensDrawn".into()),
            draw: Some(draw),
            batches: vec![TokenBatchRecord { key_id: [16; 32], expires: 17, tokens: 18 }],
        };
        for record in [WalletRecord::default(), some] {
            assert_eq!(WalletRecord::decode(&record.encode()), Ok(record));
        }
        for page in [TokenPageRecord::default(), TokenPageRecord(vec![([1; 32], [2; 64]), ([3; 32], [4; 64])])] {
            assert_eq!(TokenPageRecord::decode(&page.encode()), Ok(page));
        }
        let token = Token { key_id: [1; 32], nonce: [2; 32], authenticator: [3; 64] };
        let payment = PaymentRecord { domain: "clinic.example".into(), tokens: vec![token] };
        assert_eq!(PaymentRecord::decode(&payment.encode()), Ok(payment));
        assert!(PaymentRecord::decode(b"").is_err());
    }
}
