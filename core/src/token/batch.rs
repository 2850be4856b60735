//! The client's half: blinding a batch and making tokens of the answer.

use std::fmt;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use voprf::{EvaluationElement, Group, Proof, Ristretto255, VoprfClient};

use super::old_rng::OldRng;
use super::{IssuerKey, TokenError, input};
use crate::crypto::secret::Secret;
use crate::limits::TOKENS_PER_BATCH_MAX;
use crate::wire::transport::{Token, TokenRequest, TokenResponse};

/// A batch of tokens on its way. Key, number and seed make it anew, with the same blinded elements: a client keeps these three
/// until it has the tokens, and so asks for the same again when an answer is lost.
pub struct TokenBatch {
    public_key: <Ristretto255 as Group>::Elem,
    nonces: Vec<[u8; 32]>,
    blinds: Vec<VoprfClient<Ristretto255>>,
    request: TokenRequest,
}

impl TokenBatch {
    /// Blinds `count` tokens with what the seed gives. A seed is used for one batch of one key.
    ///
    /// # Errors
    /// [`TokenError::Count`], or [`TokenError::Element`] when the public key is none.
    pub fn blind(key: &IssuerKey, count: usize, seed: Secret<32>) -> Result<Self, TokenError> {
        if count == 0 || count > TOKENS_PER_BATCH_MAX {
            return Err(TokenError::Count);
        }
        let public_key = Ristretto255::deserialize_elem(&key.public_key).map_err(|_| TokenError::Element)?;
        let key_id = key.id();
        let mut rng = ChaCha20Rng::from_seed(*seed.as_bytes());
        drop(seed);
        let (mut nonces, mut blinds, mut blinded) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let mut nonce = [0; 32];
            rng.fill_bytes(&mut nonce);
            let one = VoprfClient::<Ristretto255>::blind(&input(&key_id, &nonce), &mut OldRng(&mut rng))
                .map_err(|_| TokenError::Element)?;
            nonces.push(nonce);
            blinded.push(one.message.serialize().into());
            blinds.push(one.state);
        }
        Ok(Self { public_key, nonces, blinds, request: TokenRequest { key_id, blinded } })
    }

    /// What the server is asked to evaluate.
    #[must_use]
    pub const fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Verifies the answer and unblinds the tokens.
    ///
    /// # Errors
    /// [`TokenError::Count`], [`TokenError::Element`] or [`TokenError::Proof`]; no token of such an answer is to be used.
    pub fn finalize(&self, response: &TokenResponse) -> Result<Vec<Token>, TokenError> {
        if response.evaluated.len() != self.nonces.len() {
            return Err(TokenError::Count);
        }
        let evaluated = response.evaluated.iter().map(|one| EvaluationElement::<Ristretto255>::deserialize(one));
        let evaluated = evaluated.collect::<Result<Vec<_>, _>>().map_err(|_| TokenError::Element)?;
        let proof = Proof::<Ristretto255>::deserialize(&response.proof).map_err(|_| TokenError::Proof)?;
        let inputs: Vec<_> = self.nonces.iter().map(|nonce| input(&self.request.key_id, nonce)).collect();
        let outputs = VoprfClient::batch_finalize(&inputs, &self.blinds, &evaluated, &proof, self.public_key)
            .map_err(|_| TokenError::Proof)?;
        let mut tokens = Vec::with_capacity(self.nonces.len());
        for (nonce, output) in self.nonces.iter().zip(outputs) {
            let authenticator = output.map_err(|_| TokenError::Element)?.into();
            tokens.push(Token { key_id: self.request.key_id, nonce: *nonce, authenticator });
        }
        Ok(tokens)
    }
}

impl fmt::Debug for TokenBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenBatch({} tokens)", self.nonces.len())
    }
}
