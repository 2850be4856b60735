//! Privacy Pass: tokens that pay for anonymous requests. `spec/tokens.md`.
//!
//! The server evaluates blinded elements for somebody whom it knows, and later gets tokens from somebody whom it cannot know
//! again: a verifiable oblivious pseudorandom function (RFC 9497, ristretto255-SHA512, VOPRF mode). What is blinded is drawn
//! by the client alone, and one proof for the batch shows that the published key was used and no key of the client's own.
//!
//! ```
//! use chacha20::ChaCha20Rng;
//! use medipeps_core::crypto::secret::Secret;
//! use medipeps_core::token::{IssuerSecretKey, TokenBatch};
//! use rand_core::SeedableRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = &mut ChaCha20Rng::from_seed([7; 32]); // from the operating system, elsewhere than here
//!
//! // A server draws a key for the day and publishes its other half.
//! let issuer = IssuerSecretKey::derive(&Secret::random(rng), 20_783, 20_785 * 24 * 3600 * 1000)?;
//! let published = issuer.public();
//!
//! // A client blinds three tokens. It keeps the seed until it has the answer.
//! let batch = TokenBatch::blind(&published, 3, Secret::random(rng))?;
//! let answer = issuer.evaluate(batch.request(), rng)?;
//! let tokens = batch.finalize(&answer)?;
//!
//! // Whoever shows a token has drawn it; which of all batches it came out of does not show.
//! for token in &tokens {
//!     issuer.verify(token)?;
//! }
//! # Ok(())
//! # }
//! ```

mod batch;
mod issuer;
mod key_list;
mod old_rng;
mod voucher;

use thiserror::Error;

use crate::wire::WireError;

pub use crate::wire::token::{IssuerKey, IssuerKeys, Prices, Voucher};
pub use batch::TokenBatch;
pub use issuer::IssuerSecretKey;
#[cfg(test)]
pub(crate) use old_rng::OldRng;
pub use voucher::UnverifiedVoucher;

/// Milliseconds in a day.
pub const DAY_MS: u64 = 24 * 3600 * 1000;

/// Why tokens, keys or vouchers are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("what tokens stand on cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// A batch of none, or of too many, or an answer for more or fewer than were asked for.
    #[error("the batch has the wrong number of tokens")]
    Count,
    /// Bytes that are no element of the group, or the neutral one.
    #[error("not an element of the group")]
    Element,
    /// The batch is of another issuer key.
    #[error("the batch is of another issuer key")]
    Key,
    /// The server evaluated with another key than the one that it published.
    #[error("the proof of the batch does not verify")]
    Proof,
    /// The token was not issued with this key.
    #[error("the token does not verify")]
    Token,
    /// A signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

/// The day of a time, counted from 1970.
#[must_use]
pub fn day_of(now_ms: u64) -> u32 {
    u32::try_from(now_ms / DAY_MS).unwrap_or(u32::MAX)
}

/// What the VOPRF is evaluated on.
fn input(key_id: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
    let mut input = crate::label::TOKEN_INPUT.prefix();
    input.extend_from_slice(key_id);
    input.extend_from_slice(nonce);
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::test_rng::rng;

    fn issuer(seed: u8) -> IssuerSecretKey {
        IssuerSecretKey::derive(&Secret::from([seed; 32]), 20_000, 1).unwrap()
    }

    fn batch(issuer: &IssuerSecretKey, seed: u8) -> TokenBatch {
        TokenBatch::blind(&issuer.public(), 3, Secret::from([seed; 32])).unwrap()
    }

    #[test]
    fn tokens_are_good_at_their_issuer_alone() {
        let [one, other] = [1, 2].map(issuer);
        let batch = batch(&one, 3);
        let answer = one.evaluate(batch.request(), &mut rng(4)).unwrap();
        let tokens = batch.finalize(&answer).unwrap();
        assert_eq!(tokens.len(), 3);
        for token in &tokens {
            assert_eq!(one.verify(token), Ok(()));
            assert_eq!(other.verify(token), Err(TokenError::Key));
            for place in 0..64 {
                let mut altered = token.clone();
                altered.authenticator[place] ^= 1;
                assert_eq!(one.verify(&altered), Err(TokenError::Token));
            }
            let mut altered = token.clone();
            altered.nonce[0] ^= 1;
            assert_eq!(one.verify(&altered), Err(TokenError::Token));
        }
    }

    #[test]
    fn the_same_seed_blinds_the_same_and_another_seed_nothing_alike() {
        let issuer = issuer(1);
        assert_eq!(batch(&issuer, 3).request(), batch(&issuer, 3).request());
        let (one, other) = (batch(&issuer, 3), batch(&issuer, 4));
        assert!(one.request().blinded.iter().all(|element| !other.request().blinded.contains(element)));
    }

    #[test]
    fn a_server_that_marks_a_client_with_another_key_is_found_out() {
        let [published, marking] = [1, 2].map(issuer);
        let batch = batch(&published, 3);
        assert_eq!(marking.evaluate(batch.request(), &mut rng(4)), Err(TokenError::Key));
        let mut request = batch.request().clone();
        request.key_id = marking.public().id();
        let answer = marking.evaluate(&request, &mut rng(4)).unwrap();
        assert_eq!(batch.finalize(&answer), Err(TokenError::Proof));
    }

    #[test]
    fn an_altered_answer_is_refused() {
        let issuer = issuer(1);
        let batch = batch(&issuer, 3);
        let answer = issuer.evaluate(batch.request(), &mut rng(4)).unwrap();
        let mut swapped = answer.clone();
        swapped.evaluated.swap(0, 1);
        assert_eq!(batch.finalize(&swapped), Err(TokenError::Proof));
        let mut short = answer.clone();
        short.evaluated.pop();
        assert_eq!(batch.finalize(&short), Err(TokenError::Count));
        let mut other = answer.clone();
        other.proof[0] ^= 1;
        assert!(matches!(batch.finalize(&other), Err(TokenError::Proof | TokenError::Element)));
        let mut neutral = answer;
        neutral.evaluated[0] = [0; 32];
        assert_eq!(batch.finalize(&neutral), Err(TokenError::Element));
    }

    #[test]
    fn a_request_of_no_elements_is_refused() {
        let issuer = issuer(1);
        let mut request = batch(&issuer, 3).request().clone();
        request.blinded[1] = [0; 32];
        assert_eq!(issuer.evaluate(&request, &mut rng(4)), Err(TokenError::Element));
        request.blinded[1] = [0xff; 32];
        assert_eq!(issuer.evaluate(&request, &mut rng(4)), Err(TokenError::Element));
    }
}
