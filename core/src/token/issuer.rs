//! The server's half: issuer keys, evaluating batches, verifying tokens.

use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use voprf::{BlindedElement, Group, Ristretto255, VoprfServer};

use super::old_rng::OldRng;
use super::{IssuerKey, TokenError, input};
use crate::crypto::hash::labelled_sha256;
use crate::crypto::secret::Secret;
use crate::label;
use crate::limits::TOKENS_PER_BATCH_MAX;
use crate::wire::transport::{Token, TokenRequest, TokenResponse};

/// A day's issuer key; wiped when dropped, printed as `..`.
pub struct IssuerSecretKey {
    server: Box<VoprfServer<Ristretto255>>,
    public: IssuerKey,
    id: [u8; 32],
}

impl IssuerKey {
    /// By which requests and tokens name the key: a hash of the public key and its day.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        labelled_sha256(label::ISSUER_KEY_ID, &[&self.public_key, &self.day.to_be_bytes()])
    }
}

impl IssuerSecretKey {
    /// The key of a seed: it issues on a day, and its tokens are good until `expires`, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`TokenError::Element`] for a seed that gives no key; nobody will ever meet one.
    pub fn derive(seed: &Secret<32>, day: u32, expires: u64) -> Result<Self, TokenError> {
        let mut info = label::ISSUER_KEY_PAIR.prefix();
        info.extend_from_slice(&day.to_be_bytes());
        let server =
            VoprfServer::<Ristretto255>::new_from_seed(seed.as_bytes(), &info).map_err(|_| TokenError::Element)?;
        let public_key = Ristretto255::serialize_elem(server.get_public_key()).into();
        let public = IssuerKey { public_key, day, expires };
        Ok(Self { server: Box::new(server), id: public.id(), public })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> IssuerKey {
        self.public
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Evaluates a batch and proves that this key did it. The elements of the same batch are the same each time.
    ///
    /// # Errors
    /// [`TokenError::Key`], [`TokenError::Count`] or [`TokenError::Element`]
    pub fn evaluate(&self, request: &TokenRequest, rng: &mut impl CryptoRng) -> Result<TokenResponse, TokenError> {
        if request.key_id != self.id {
            return Err(TokenError::Key);
        }
        if request.blinded.is_empty() || request.blinded.len() > TOKENS_PER_BATCH_MAX {
            return Err(TokenError::Count);
        }
        let blinded = request.blinded.iter().map(|element| BlindedElement::<Ristretto255>::deserialize(element));
        let blinded = blinded.collect::<Result<Vec<_>, _>>().map_err(|_| TokenError::Element)?;
        let evaluated = self.server.batch_blind_evaluate(&mut OldRng(rng), &blinded).map_err(|_| TokenError::Count)?;
        let proof: Vec<u8> = evaluated.proof.serialize().to_vec();
        Ok(TokenResponse {
            evaluated: evaluated.messages.iter().map(|element| element.serialize().into()).collect(),
            proof: proof.try_into().map_err(|_| TokenError::Proof)?,
        })
    }

    /// Verifies that a token was issued with this key.
    ///
    /// # Errors
    /// [`TokenError::Key`] or [`TokenError::Token`]
    pub fn verify(&self, token: &Token) -> Result<(), TokenError> {
        if token.key_id != self.id {
            return Err(TokenError::Key);
        }
        let output = self.server.evaluate(&input(&token.key_id, &token.nonce)).map_err(|_| TokenError::Token)?;
        if output.as_slice().ct_eq(&token.authenticator).into() { Ok(()) } else { Err(TokenError::Token) }
    }
}

impl fmt::Debug for IssuerSecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("..")
    }
}
