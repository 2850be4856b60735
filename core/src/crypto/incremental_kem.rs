//! ML-KEM-768 (FIPS 203) in two parts, for the Braid: who has the header alone makes the first part of the ciphertext.
//!
//! header = rho (32) || SHA3-256 of the encapsulation key (32); vector = the rest of that key. Seeds are kept, never the
//! library's intermediate state: the second part is the tail of the plain deterministic encapsulation.

use libcrux_ml_kem::mlkem768::{self, incremental};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroize;

use super::secret::Secret;

/// Bytes of a header.
pub const HEADER_LENGTH: usize = 64;
/// Bytes of a vector.
pub const VECTOR_LENGTH: usize = 1152;
/// Bytes of a ciphertext's first part.
pub const FIRST_PART_LENGTH: usize = 960;
/// Bytes of a ciphertext's second part.
pub const SECOND_PART_LENGTH: usize = 128;

/// The 64-byte seed `d || z` that a key pair is made from (FIPS 203 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecapsulationSeed(Secret<64>);

/// The public half of a key pair, in its two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncapsulationKeyParts {
    /// rho and the key's hash.
    pub header: [u8; HEADER_LENGTH],
    /// The encoded vector t.
    pub vector: Box<[u8; VECTOR_LENGTH]>,
}

/// Why there is no ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IncrementalKemError {
    /// The vector is not the one of the header's hash, or has coefficients beyond the modulus.
    #[error("the two parts are no ML-KEM-768 encapsulation key")]
    EncapsulationKey,
    /// The plain encapsulation begins with another first part than the one that was made from the header.
    #[error("the two ways to encapsulate differ")]
    FirstPart,
}

impl DecapsulationSeed {
    /// Draws a fresh seed.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Out of the store.
    #[must_use]
    pub const fn from_secret(secret: Secret<64>) -> Self {
        Self(secret)
    }

    /// For the store.
    #[must_use]
    pub const fn secret(&self) -> &Secret<64> {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn encapsulation_key(&self) -> EncapsulationKeyParts {
        let pair = mlkem768::generate_key_pair(*self.0.as_bytes());
        let (vector, rho) = pair.pk().split_at(VECTOR_LENGTH);
        let mut parts = EncapsulationKeyParts { header: [0; HEADER_LENGTH], vector: Box::new([0; VECTOR_LENGTH]) };
        parts.header[..32].copy_from_slice(rho);
        parts.header[32..].copy_from_slice(&libcrux_sha3::sha256(pair.pk()));
        parts.vector.copy_from_slice(vector);
        parts
    }

    /// The shared secret; for parts that were not made for this key, an unrelated one (implicit rejection).
    #[must_use]
    pub fn decapsulate(
        &self,
        first_part: &[u8; FIRST_PART_LENGTH],
        second_part: &[u8; SECOND_PART_LENGTH],
    ) -> Secret<32> {
        let mut ciphertext = [0; FIRST_PART_LENGTH + SECOND_PART_LENGTH];
        ciphertext[..FIRST_PART_LENGTH].copy_from_slice(first_part);
        ciphertext[FIRST_PART_LENGTH..].copy_from_slice(second_part);
        let pair = mlkem768::generate_key_pair(*self.0.as_bytes());
        Secret::from(mlkem768::decapsulate(pair.private_key(), &ciphertext.into()))
    }
}

/// `Encaps1`: the ciphertext's first part and the shared secret, from the header and 32 fresh bytes.
#[must_use]
pub fn encapsulate_first(
    header: &[u8; HEADER_LENGTH],
    randomness: &Secret<32>,
) -> (Box<[u8; FIRST_PART_LENGTH]>, Secret<32>) {
    let mut state = [0; incremental::encaps_state_len()];
    let mut shared = Secret::<32>::zeroed();
    let made = incremental::encapsulate1(header, *randomness.as_bytes(), &mut state, shared.as_mut_bytes());
    state.zeroize();
    let Ok(first_part) = made else { unreachable!("all lengths are those that the library asks for") };
    (Box::new(first_part.value), shared)
}

/// `Encaps2`: the ciphertext's second part, once the vector is here too.
///
/// # Errors
/// [`IncrementalKemError`]
pub fn encapsulate_second(
    header: &[u8; HEADER_LENGTH],
    vector: &[u8; VECTOR_LENGTH],
    randomness: &Secret<32>,
    first_part: &[u8; FIRST_PART_LENGTH],
) -> Result<[u8; SECOND_PART_LENGTH], IncrementalKemError> {
    check_vector(header, vector)?;
    let key = full_key(header, vector);
    let (ciphertext, mut shared) = mlkem768::encapsulate(&key.into(), *randomness.as_bytes());
    shared.zeroize();
    let (first, second) = ciphertext.as_slice().split_at(FIRST_PART_LENGTH);
    if first != first_part {
        return Err(IncrementalKemError::FirstPart);
    }
    second.try_into().map_err(|_| IncrementalKemError::FirstPart)
}

/// Whether the vector is the header's, and canonical (FIPS 203 section 7.2).
///
/// # Errors
/// [`IncrementalKemError::EncapsulationKey`]
pub fn check_vector(header: &[u8; HEADER_LENGTH], vector: &[u8; VECTOR_LENGTH]) -> Result<(), IncrementalKemError> {
    let key = full_key(header, vector);
    // FIPS 203 encodes the vector before rho; the Braid's text has them the other way round.
    if libcrux_sha3::sha256(&key) != header[32..] || !mlkem768::validate_public_key(&key.into()) {
        return Err(IncrementalKemError::EncapsulationKey);
    }
    Ok(())
}

fn full_key(header: &[u8; HEADER_LENGTH], vector: &[u8; VECTOR_LENGTH]) -> [u8; VECTOR_LENGTH + 32] {
    let mut key = [0; VECTOR_LENGTH + 32];
    key[..VECTOR_LENGTH].copy_from_slice(vector);
    key[VECTOR_LENGTH..].copy_from_slice(&header[..32]);
    key
}

#[cfg(test)]
mod tests {
    use ml_kem::kem::{Decapsulate, KeyExport};
    use ml_kem::ml_kem_768;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn an_independent_implementation_computes_the_same(seed in any::<[u8; 32]>(), tail in any::<[u8; 32]>(), randomness in any::<[u8; 32]>()) {
            let seed: [u8; 64] = [seed, tail].concat().try_into().unwrap();
            let own = DecapsulationSeed::from_secret(Secret::from(seed));
            let parts = own.encapsulation_key();
            let (first, shared) = encapsulate_first(&parts.header, &Secret::from(randomness));
            let second = encapsulate_second(&parts.header, &parts.vector, &Secret::from(randomness), &first).unwrap();
            prop_assert_eq!(own.decapsulate(&first, &second), shared.clone());

            let other = ml_kem_768::DecapsulationKey::from_seed(seed.into());
            let key = other.encapsulation_key();
            let encoded = key.to_bytes();
            prop_assert_eq!(&encoded[..VECTOR_LENGTH], &parts.vector[..]);
            prop_assert_eq!(&encoded[VECTOR_LENGTH..], &parts.header[..32]);
            let (ciphertext, theirs) = key.encapsulate_deterministic(&randomness.into());
            prop_assert_eq!(&ciphertext[..FIRST_PART_LENGTH], &first[..]);
            prop_assert_eq!(&ciphertext[FIRST_PART_LENGTH..], &second[..]);
            prop_assert_eq!(&theirs[..], &shared.as_bytes()[..]);
            prop_assert_eq!(&other.decapsulate(&ciphertext)[..], &shared.as_bytes()[..]);
            // Implicit rejection, too.
            let mut altered = first.clone();
            altered[5] ^= 1;
            let mut altered_whole = ciphertext;
            altered_whole[5] ^= 1;
            let rejected = own.decapsulate(&altered, &second);
            prop_assert_eq!(&other.decapsulate(&altered_whole)[..], &rejected.as_bytes()[..]);
        }
    }

    #[test]
    fn a_vector_of_another_hash_or_beyond_the_modulus_is_refused() {
        let randomness = Secret::from([2; 32]);
        let parts = DecapsulationSeed::from_secret(Secret::from([1; 64])).encapsulation_key();
        let (first, _) = encapsulate_first(&parts.header, &randomness);
        let mut vector = parts.vector.clone();
        vector[0] ^= 1;
        let refused = |header: &_, vector: &_| encapsulate_second(header, vector, &randomness, &first);
        assert_eq!(refused(&parts.header, &vector), Err(IncrementalKemError::EncapsulationKey));
        // The hash fits, a coefficient does not.
        *vector = *parts.vector;
        vector[..2].copy_from_slice(&[0xff; 2]);
        let mut header = parts.header;
        let hash = libcrux_sha3::sha256(&full_key(&header, &vector));
        header[32..].copy_from_slice(&hash);
        assert_eq!(refused(&header, &vector), Err(IncrementalKemError::EncapsulationKey));
        let mut other = first.clone();
        other[0] ^= 1;
        let second = encapsulate_second(&parts.header, &parts.vector, &randomness, &other);
        assert_eq!(second, Err(IncrementalKemError::FirstPart));
    }
}
