//! Decoys: envelopes of a device to itself that say nothing. `spec/envelope.md`, section "Decoy".
//!
//! A server takes envelopes for all devices of an account or for none. A device that writes to the others of its account
//! puts one for itself beside theirs, so that the submission does not show that it comes from one of them.

use std::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::dh::DhSecretKey;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::envelope::{EnvelopeError, NONCE_LENGTH, VERSION};
use crate::label;
use crate::limits::ENVELOPE_SIZES;

/// By which a device knows its own decoys. Nothing is stored for it: it follows from the device's X25519 key.
#[derive(Clone)]
pub struct DecoyKey(Secret<32>);

impl DecoyKey {
    /// Of a device.
    #[must_use]
    pub fn of(device: &DhSecretKey) -> Self {
        Self(kdf::hkdf(&[0; 32], &[device.to_secret().as_bytes()], label::DECOY))
    }

    /// A decoy of this many bytes: version, a random nonce, and the ChaCha20 stream (RFC 8439) of key and nonce.
    ///
    /// # Errors
    /// [`EnvelopeError::Size`]
    pub fn draw(&self, length: usize, rng: &mut impl CryptoRng) -> Result<Vec<u8>, EnvelopeError> {
        if !ENVELOPE_SIZES.contains(&length) {
            return Err(EnvelopeError::Size(length));
        }
        let mut decoy = vec![0; length];
        decoy[0] = VERSION;
        let (prefix, stream) = decoy.split_at_mut(1 + NONCE_LENGTH);
        rng.fill_bytes(&mut prefix[1..]);
        self.cipher(&prefix[1..]).apply_keystream(stream);
        Ok(decoy)
    }

    /// Whether an encoded envelope is a decoy of this device. A stranger's never is; one with a flipped bit is not.
    #[must_use]
    pub fn matches(&self, encoded: &[u8]) -> bool {
        let Some((prefix, received)) = encoded.split_at_checked(1 + NONCE_LENGTH) else { return false };
        if prefix[0] != VERSION || !ENVELOPE_SIZES.contains(&encoded.len()) {
            return false;
        }
        let mut stream = Zeroizing::new(vec![0; received.len()]);
        self.cipher(&prefix[1..]).apply_keystream(&mut stream);
        stream.ct_eq(received).into()
    }

    fn cipher(&self, nonce: &[u8]) -> ChaCha20 {
        let mut copy = [0; NONCE_LENGTH];
        copy.copy_from_slice(nonce);
        ChaCha20::new(self.0.as_bytes().into(), &copy.into())
    }
}

impl fmt::Debug for DecoyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DecoyKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Envelope, seal_first_flight};
    use crate::test_rng::rng;

    #[test]
    fn a_device_knows_its_own_decoys_and_nobody_else_s() {
        let mut rng = rng(1);
        let [mine, other] = [(); 2].map(|()| DecoyKey::of(&DhSecretKey::random(&mut rng)));
        for size in ENVELOPE_SIZES {
            let decoy = mine.draw(size, &mut rng).unwrap();
            assert_eq!(decoy.len(), size);
            assert!(Envelope::decode(&decoy).is_ok(), "it has the form of an envelope");
            assert!(mine.matches(&decoy));
            assert!(!other.matches(&decoy));
            assert_ne!(mine.draw(size, &mut rng).unwrap(), decoy);
        }
        assert_eq!(mine.draw(4095, &mut rng), Err(EnvelopeError::Size(4095)));
    }

    #[test]
    fn no_envelope_that_says_something_is_taken_for_a_decoy() {
        let mut rng = rng(2);
        let mine = DecoyKey::of(&DhSecretKey::random(&mut rng));
        let seal = crate::crypto::x_wing::DecapsulationKey::random(&mut rng);
        for _ in 0..64 {
            let flight = seal_first_flight(b"a message", &seal.encapsulation_key(), &mut rng).unwrap();
            assert!(!mine.matches(&flight));
        }
        assert!(!mine.matches(&[]));
        assert!(!mine.matches(&[VERSION; 4096]));
    }

    #[test]
    fn a_decoy_with_a_flipped_bit_is_none() {
        let mut rng = rng(3);
        let mine = DecoyKey::of(&DhSecretKey::random(&mut rng));
        let decoy = mine.draw(4096, &mut rng).unwrap();
        for bit in (0..200).chain([4096 * 8 - 1]) {
            let mut flipped = decoy.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!mine.matches(&flipped), "bit {bit}");
        }
        assert!(!mine.matches(&[decoy.as_slice(), &[0; 4096]].concat()));
    }
}
