//! Offer and answer: what is sealed under the secret of the code.

use rand_core::CryptoRng;

use super::{LinkingAgreement, LinkingCode, LinkingError, Place};
use crate::crypto::hash::labelled_sha256;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::crypto::x_wing;
use crate::label;
use crate::wire::linking::{LinkAnswer, LinkOffer, LinkReveal};

/// Where offer and answer lie, by the secret of the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    offer: Place,
    answer: Place,
}

/// An offer with the hash that its code carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkingOffer {
    /// As it lies at the server.
    pub sealed: Vec<u8>,
    /// To be shown.
    pub code: LinkingCode,
}

impl Rendezvous {
    /// By the secret of a code.
    #[must_use]
    pub fn new(secret: &Secret<16>) -> Self {
        let expanded: Secret<152> = kdf::hkdf(&[0; 32], &[secret.as_bytes()], label::LINKING_RENDEZVOUS);
        let [offer, answer] = Place::cut::<152, 2>(&expanded);
        Self { offer, answer }
    }

    /// Where the offer lies.
    #[must_use]
    pub const fn offer_id(&self) -> &[u8; 32] {
        &self.offer.blob_id
    }

    /// Where the answer lies.
    #[must_use]
    pub const fn answer_id(&self) -> &[u8; 32] {
        &self.answer.blob_id
    }

    /// Opens the offer that a code was made for.
    ///
    /// # Errors
    /// [`LinkingError`]
    pub fn open_offer(&self, sealed: &[u8], offer_hash: &[u8; 32]) -> Result<LinkOffer, LinkingError> {
        if labelled_sha256(label::LINKING_OFFER, &[sealed]) != *offer_hash {
            return Err(LinkingError::OfferHash);
        }
        Ok(LinkOffer::decode(&self.offer.open(b"", sealed)?)?)
    }
}

impl LinkingOffer {
    /// Seals an offer; the same parts give the same bytes.
    #[must_use]
    pub fn seal(secret: &Secret<16>, offer: &LinkOffer) -> Self {
        let sealed = Rendezvous::new(secret).offer.seal(b"", &offer.encode());
        let offer_hash = labelled_sha256(label::LINKING_OFFER, &[&sealed]);
        Self { sealed, code: LinkingCode { rendezvous_secret: secret.clone(), offer_hash } }
    }

    /// What the answer agrees on, on the new device.
    ///
    /// # Errors
    /// [`LinkingError`]
    pub fn agree(&self, key: &x_wing::DecapsulationKey, answer: &[u8]) -> Result<LinkingAgreement, LinkingError> {
        let opened = Rendezvous::new(&self.code.rendezvous_secret).answer.open(&self.code.offer_hash, answer)?;
        let ciphertext = LinkAnswer::decode(&opened)?.ciphertext;
        let shared = key.decapsulate(&ciphertext).map_err(|_| LinkingError::PublicKey)?;
        Ok(LinkingAgreement::new(&shared, &self.code.offer_hash, answer))
    }
}

/// Answers an offer on the primary device: the answer as it is put, and the secret that both then share.
///
/// # Errors
/// [`LinkingError::PublicKey`]
pub fn answer(
    code: &LinkingCode,
    offer: &LinkOffer,
    rng: &mut impl CryptoRng,
) -> Result<(Vec<u8>, Secret<32>), LinkingError> {
    let (ciphertext, shared) = offer.encapsulation_key.encapsulate(rng).map_err(|_| LinkingError::PublicKey)?;
    let place = Rendezvous::new(&code.rendezvous_secret).answer;
    Ok((place.seal(&code.offer_hash, &LinkAnswer { ciphertext }.encode()), shared))
}

/// What an offer says of the reveal that will follow it. The nonce hides it, SHA-256 binds it.
#[must_use]
pub fn commitment(reveal: &LinkReveal) -> [u8; 32] {
    labelled_sha256(label::LINKING_COMMITMENT, &[&reveal.encode()])
}
