//! What follows the answer: reveal, confirmation and grant, under the shared secret.

use std::fmt;

use zeroize::Zeroizing;

use super::rendezvous::commitment;
use super::{LinkingError, Place};
use crate::crypto::hash::labelled_sha256;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label;
use crate::wire::linking::{LinkGrant, LinkOffer, LinkReveal};

/// The places of one linking that only its two sides know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkingAgreement {
    /// Of offer and answer.
    binding: [u8; 32],
    reveal: Place,
    confirmation: Place,
    grant: Place,
}

/// Eight digits that both devices show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison(u32);

impl LinkingAgreement {
    /// Of the shared secret, and the answer as it lies at the server.
    #[must_use]
    pub fn new(shared: &Secret<32>, offer_hash: &[u8; 32], answer: &[u8]) -> Self {
        let binding = labelled_sha256(label::LINKING_TRANSCRIPT, &[offer_hash, answer]);
        let expanded: Secret<228> = kdf::hkdf(&binding, &[shared.as_bytes()], label::LINKING_KEYS);
        let [reveal, confirmation, grant] = Place::cut::<228, 3>(&expanded);
        Self { binding, reveal, confirmation, grant }
    }

    /// Where the reveal lies.
    #[must_use]
    pub const fn reveal_id(&self) -> &[u8; 32] {
        &self.reveal.blob_id
    }

    /// Where the confirmation lies.
    #[must_use]
    pub const fn confirmation_id(&self) -> &[u8; 32] {
        &self.confirmation.blob_id
    }

    /// Where the grant lies.
    #[must_use]
    pub const fn grant_id(&self) -> &[u8; 32] {
        &self.grant.blob_id
    }

    /// The digits to compare.
    #[must_use]
    pub fn comparison(&self, reveal: &LinkReveal) -> Comparison {
        let hash = labelled_sha256(label::LINKING_COMPARISON, &[&self.binding, &reveal.encode()]);
        let mut number = [0; 8];
        number.copy_from_slice(&hash[..8]);
        // The remainder of 64 bits is even to one part in 10^11, and below 10^8 by the division.
        Comparison((u64::from_be_bytes(number) % 100_000_000) as u32)
    }

    /// Seals the reveal.
    #[must_use]
    pub fn seal_reveal(&self, reveal: &LinkReveal) -> Vec<u8> {
        self.reveal.seal(&self.binding, &reveal.encode())
    }

    /// Opens the reveal, and holds it against the offer's commitment.
    ///
    /// # Errors
    /// [`LinkingError`]
    pub fn open_reveal(&self, sealed: &[u8], offer: &LinkOffer) -> Result<LinkReveal, LinkingError> {
        let reveal = LinkReveal::decode(&self.reveal.open(&self.binding, sealed)?)?;
        if commitment(&reveal) == offer.commitment { Ok(reveal) } else { Err(LinkingError::Commitment) }
    }

    /// Seals the new device's yes to the digits.
    #[must_use]
    pub fn seal_confirmation(&self, reveal: &LinkReveal) -> Vec<u8> {
        self.confirmation.seal(&self.transcript(reveal), b"")
    }

    /// Verifies the new device's yes.
    ///
    /// # Errors
    /// [`LinkingError`]
    pub fn open_confirmation(&self, sealed: &[u8], reveal: &LinkReveal) -> Result<(), LinkingError> {
        self.confirmation.open(&self.transcript(reveal), sealed).map(|_| ())
    }

    /// Seals the grant. **Once for each linking**: the key is good for one plaintext.
    #[must_use]
    pub fn seal_grant(&self, grant: &LinkGrant, reveal: &LinkReveal) -> Vec<u8> {
        self.grant.seal(&self.transcript(reveal), &grant.encode())
    }

    /// Opens the grant; what it says is for [`LinkGrant`]'s reader to check.
    ///
    /// # Errors
    /// [`LinkingError`]
    pub fn open_grant(&self, sealed: &[u8], reveal: &LinkReveal) -> Result<LinkGrant, LinkingError> {
        let opened: Zeroizing<Vec<u8>> = self.grant.open(&self.transcript(reveal), sealed)?;
        Ok(LinkGrant::decode(&opened)?)
    }

    /// Everything that the digits are made of, so that nothing is granted to another run.
    fn transcript(&self, reveal: &LinkReveal) -> [u8; 32] {
        labelled_sha256(label::LINKING_TRANSCRIPT, &[&self.binding, &reveal.encode()])
    }
}

impl fmt::Display for Comparison {
    /// In two groups of four.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04} {:04}", self.0 / 10_000, self.0 % 10_000)
    }
}
