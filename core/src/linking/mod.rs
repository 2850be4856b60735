//! Linking a new device to an account: a code to scan, a number to compare, a grant. `spec/linking.md`.
//!
//! The two devices meet at the account's server, in blobs that it cannot open. The new device puts an **offer** under the
//! rendezvous secret of its code; a primary device **answers** with an encapsulated secret; the new device **reveals** what
//! it had committed itself to in the offer, and both show the same eight digits. When a person has agreed on both, the
//! primary device puts the **grant**.
//!
//! Who photographs the code can read the offer and answer first, and is found out: the digits differ, and the primary
//! device is told that somebody else has answered. The digits cannot be ground, because each side fixes its part before
//! it sees the other's.

mod agreement;
mod code;
mod rendezvous;

pub use agreement::{Comparison, LinkingAgreement};
pub use code::{LinkingCode, LinkingCodeError};
pub use rendezvous::{LinkingOffer, Rendezvous, answer, commitment};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::aead::{self, SingleUseKey, TAG_LENGTH};
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label;
use crate::limits::LINKING_BLOB_LENGTH_MAX;
use crate::wire::WireError;

/// Lengths of plaintexts are multiples of this, so that offer, answer, reveal and confirmation look alike.
const PADDED_TO: usize = 4096;
const LENGTH_LENGTH: usize = 4;

/// Why what the other side put is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkingError {
    /// The offer is not the one that the code was made for.
    #[error("the offer is not the one that the code was made for")]
    OfferHash,
    /// It is not sealed under this linking's keys, or altered.
    #[error("what the other device put does not verify")]
    Seal,
    /// It cannot be read.
    #[error("what the other device put cannot be read")]
    Malformed,
    /// What was revealed is not what was committed to.
    #[error("the new device revealed something else than it had committed itself to")]
    Commitment,
    /// A key that cannot be agreed with.
    #[error("a public key of the linking is not usable")]
    PublicKey,
}

impl From<WireError> for LinkingError {
    fn from(_: WireError) -> Self {
        Self::Malformed
    }
}

/// A place at the server and the key that seals what lies there, once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    blob_id: [u8; 32],
    key: SingleUseKey,
}

impl Place {
    /// Places one after the other out of expanded bytes.
    fn cut<const N: usize, const PLACES: usize>(expanded: &Secret<N>) -> [Self; PLACES] {
        const { assert!(N == PLACES * 76) };
        std::array::from_fn(|index| {
            let (mut blob_id, mut key) = ([0; 32], SingleUseKey::zeroed());
            blob_id.copy_from_slice(&expanded.as_bytes()[index * 76..index * 76 + 32]);
            key.as_mut_bytes().copy_from_slice(&expanded.as_bytes()[index * 76 + 32..index * 76 + 76]);
            Self { blob_id, key }
        })
    }

    fn seal(&self, associated_data: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let length = (LENGTH_LENGTH + plaintext.len()).next_multiple_of(PADDED_TO);
        let mut padded = Zeroizing::new(Vec::with_capacity(length + TAG_LENGTH));
        // Far below 4 GiB: a grant is cut to a piece of a blob.
        padded.extend_from_slice(&(plaintext.len() as u32).to_be_bytes());
        padded.extend_from_slice(plaintext);
        padded.resize(length, 0);
        aead::seal_once(&self.key, associated_data, padded)
    }

    fn open(&self, associated_data: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkingError> {
        if sealed.len() > LINKING_BLOB_LENGTH_MAX {
            return Err(LinkingError::Malformed);
        }
        let mut opened =
            aead::open_once(&self.key, associated_data, sealed.to_vec()).map_err(|_| LinkingError::Seal)?;
        let length: [u8; LENGTH_LENGTH] =
            opened.get(..LENGTH_LENGTH).and_then(|bytes| bytes.try_into().ok()).ok_or(LinkingError::Malformed)?;
        let end = usize::try_from(u32::from_be_bytes(length)).ok().and_then(|length| length.checked_add(LENGTH_LENGTH));
        let end = end.filter(|end| *end <= opened.len()).ok_or(LinkingError::Malformed)?;
        opened.truncate(end);
        opened.drain(..LENGTH_LENGTH);
        Ok(opened)
    }
}

/// The upload secret of a blob: each side derives its own, so that a restart goes on with the same one.
#[must_use]
pub fn upload_secret(seed: &Secret<32>, blob_id: &[u8; 32]) -> [u8; 16] {
    let secret: Secret<16> = kdf::hkdf(blob_id, &[seed.as_bytes()], label::LINKING_UPLOAD_SECRET);
    *secret.as_bytes()
}

#[cfg(test)]
pub(crate) mod tests;
