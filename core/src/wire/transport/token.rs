//! Tokens as they travel: batches, payments, vouchers. `spec/tokens.md`; [`crate::token`] makes and verifies them.

use std::collections::BTreeSet;
use std::fmt;

use crate::crypto::signature::VerifyingKey;
use crate::limits::{DELIVERY_KEYS_MAX, TOKENS_PER_BATCH_MAX, TOKENS_PER_PAYMENT_MAX};
use crate::wire::{WireError, fixed, proto};

/// Bytes of a ristretto255 element.
const ELEMENT_LENGTH: usize = 32;

/// What pays for an anonymous request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payment {
    /// Nothing; the request counts against the limits of the queue and of the network address.
    None,
    /// 1 to [`TOKENS_PER_PAYMENT_MAX`] tokens, each once.
    Tokens(Vec<Token>),
}

/// A token. Whoever has it can spend it, once.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Of the issuer key.
    pub key_id: [u8; 32],
    /// Random; tells the token from others.
    pub nonce: [u8; 32],
    /// What the VOPRF gives for key id and nonce.
    pub authenticator: [u8; 64],
}

/// Blinded elements of one batch.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Of the issuer key.
    pub key_id: [u8; 32],
    /// 1 to [`TOKENS_PER_BATCH_MAX`] elements.
    pub blinded: Vec<[u8; ELEMENT_LENGTH]>,
}

/// The same elements evaluated, and the proof that the issuer key did it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenResponse {
    /// In the order of the request.
    pub evaluated: Vec<[u8; ELEMENT_LENGTH]>,
    /// For the whole batch.
    pub proof: [u8; 64],
}

/// Asks the home server for a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawVoucher {
    /// Where it is to be good.
    pub domain: String,
    /// Drawn for this voucher alone.
    pub key: VerifyingKey,
    /// Of that server's store, as its issuer keys say.
    pub incarnation: [u8; 16],
}

/// Draws a batch for a voucher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedeemVoucher {
    /// An encoded `SignedVoucher`.
    pub voucher: Vec<u8>,
    /// The batch.
    pub request: TokenRequest,
    /// Ed25519, by the voucher's key, for this connection.
    pub signature: [u8; 64],
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenRequest({} elements)", self.blinded.len())
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenResponse({} elements)", self.evaluated.len())
    }
}

impl Payment {
    pub(super) fn encode(&self) -> proto::Payment {
        use proto::payment::Payment as P;
        let payment = match self {
            Self::None => P::None(proto::NoPayment {}),
            Self::Tokens(tokens) => P::Tokens(proto::Tokens { tokens: tokens.iter().map(Token::to_proto).collect() }),
        };
        proto::Payment { payment: Some(payment) }
    }

    pub(super) fn decode(payment: Option<proto::Payment>) -> Result<Self, WireError> {
        use proto::payment::Payment as P;
        match payment.and_then(|payment| payment.payment).ok_or(WireError::Missing("payment"))? {
            P::None(_) => Ok(Self::None),
            P::Tokens(tokens) => {
                if tokens.tokens.is_empty() || tokens.tokens.len() > TOKENS_PER_PAYMENT_MAX {
                    return Err(WireError::Bounds("tokens"));
                }
                let tokens = tokens.tokens.iter().map(Token::from_proto).collect::<Result<Vec<_>, _>>()?;
                let different: BTreeSet<_> = tokens.iter().map(|token| (token.key_id, token.nonce)).collect();
                if different.len() < tokens.len() { Err(WireError::Bounds("tokens")) } else { Ok(Self::Tokens(tokens)) }
            }
        }
    }
}

impl Token {
    fn to_proto(&self) -> proto::Token {
        proto::Token {
            key_id: self.key_id.to_vec(),
            nonce: self.nonce.to_vec(),
            authenticator: self.authenticator.to_vec(),
        }
    }

    fn from_proto(message: &proto::Token) -> Result<Self, WireError> {
        Ok(Self {
            key_id: fixed(&message.key_id, "key_id")?,
            nonce: fixed(&message.nonce, "nonce")?,
            authenticator: fixed(&message.authenticator, "authenticator")?,
        })
    }
}

impl TokenRequest {
    pub(super) fn to_proto(&self) -> proto::TokenRequest {
        proto::TokenRequest { key_id: self.key_id.to_vec(), blinded: self.blinded.concat() }
    }

    pub(super) fn from_proto(message: Option<proto::TokenRequest>) -> Result<Self, WireError> {
        let message = message.ok_or(WireError::Missing("request"))?;
        Ok(Self { key_id: fixed(&message.key_id, "key_id")?, blinded: elements(&message.blinded, "blinded")? })
    }
}

impl TokenResponse {
    pub(super) fn to_proto(&self) -> proto::TokenResponse {
        proto::TokenResponse { evaluated: self.evaluated.concat(), proof: self.proof.to_vec() }
    }

    pub(super) fn from_proto(message: Option<proto::TokenResponse>) -> Result<Self, WireError> {
        let message = message.ok_or(WireError::Missing("response"))?;
        Ok(Self { evaluated: elements(&message.evaluated, "evaluated")?, proof: fixed(&message.proof, "proof")? })
    }
}

impl DrawVoucher {
    pub(super) fn to_proto(&self) -> proto::DrawVoucher {
        proto::DrawVoucher {
            domain: self.domain.clone(),
            key: self.key.as_bytes().to_vec(),
            incarnation: self.incarnation.to_vec(),
        }
    }

    pub(super) fn from_proto(message: proto::DrawVoucher) -> Result<Self, WireError> {
        if !crate::address::is_domain(&message.domain) {
            return Err(WireError::Bounds("domain"));
        }
        let key = VerifyingKey::from_slice(&message.key).map_err(|_| WireError::Bounds("key"))?;
        Ok(Self { incarnation: fixed(&message.incarnation, "incarnation")?, domain: message.domain, key })
    }
}

impl RedeemVoucher {
    pub(super) fn to_proto(&self) -> proto::RedeemVoucher {
        proto::RedeemVoucher {
            voucher: self.voucher.clone(),
            request: Some(self.request.to_proto()),
            signature: self.signature.to_vec(),
        }
    }

    pub(super) fn from_proto(message: proto::RedeemVoucher) -> Result<Self, WireError> {
        Ok(Self {
            request: TokenRequest::from_proto(message.request)?,
            signature: fixed(&message.signature, "signature")?,
            voucher: message.voucher,
        })
    }
}

/// The hashes of an account's delivery keys.
pub(super) fn delivery_key_hashes(hashes: &[Vec<u8>]) -> Result<Vec<[u8; 32]>, WireError> {
    if hashes.len() > DELIVERY_KEYS_MAX {
        return Err(WireError::Bounds("hashes"));
    }
    hashes.iter().map(|hash| fixed(hash, "hashes")).collect()
}

fn elements(bytes: &[u8], field: &'static str) -> Result<Vec<[u8; ELEMENT_LENGTH]>, WireError> {
    let (elements, rest) = bytes.as_chunks::<ELEMENT_LENGTH>();
    let fits = rest.is_empty() && (1..=TOKENS_PER_BATCH_MAX).contains(&elements.len());
    if fits { Ok(elements.to_vec()) } else { Err(WireError::Bounds(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;
    use crate::test_rng::rng;
    use crate::wire::transport::{FetchPrekeys, Request, Response};

    fn paid(nonces: &[u8]) -> Request {
        let token = |nonce: &u8| Token { key_id: [1; 32], nonce: [*nonce; 32], authenticator: [2; 64] };
        let payment = Payment::Tokens(nonces.iter().map(token).collect());
        Request::FetchPrekeys(FetchPrekeys { address: "a@b".parse().unwrap(), payment })
    }

    fn draw(count: usize) -> Request {
        Request::DrawTokens(TokenRequest { key_id: [3; 32], blinded: vec![[4; 32]; count] })
    }

    #[test]
    fn requests_and_answers_come_back_as_they_were_sent() {
        let key = SigningKey::random(&mut rng(1)).verifying_key();
        let request = TokenRequest { key_id: [3; 32], blinded: vec![[4; 32], [5; 32]] };
        for request in [
            paid(&[1]),
            paid(&(0..=255).collect::<Vec<_>>()),
            draw(1),
            draw(TOKENS_PER_BATCH_MAX),
            Request::FetchIssuerKeys,
            Request::DrawVoucher(DrawVoucher { domain: "hospital.example".into(), key, incarnation: [9; 16] }),
            Request::RedeemVoucher(RedeemVoucher { voucher: vec![6], request, signature: [7; 64] }),
            Request::SetDeliveryKeys(vec![[8; 32]; DELIVERY_KEYS_MAX]),
            Request::SetDeliveryKeys(vec![]),
        ] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        for response in [
            Response::FetchIssuerKeys(vec![9]),
            Response::DrawTokens(TokenResponse { evaluated: vec![[10; 32]], proof: [11; 64] }),
            Response::DrawVoucher(vec![12]),
        ] {
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let refused = |request: Request| Request::decode(&request.encode()).unwrap_err();
        assert_eq!(refused(paid(&[])), WireError::Bounds("tokens"));
        assert_eq!(refused(paid(&[1, 2, 1])), WireError::Bounds("tokens"));
        assert_eq!(refused(draw(0)), WireError::Bounds("blinded"));
        assert_eq!(refused(draw(TOKENS_PER_BATCH_MAX + 1)), WireError::Bounds("blinded"));
        assert_eq!(refused(Request::SetDeliveryKeys(vec![[0; 32]; 5])), WireError::Bounds("hashes"));
        assert_eq!(elements(&[0; 33], "blinded"), Err(WireError::Bounds("blinded")));
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", paid(&[1])).contains("nonce"));
    }
}
