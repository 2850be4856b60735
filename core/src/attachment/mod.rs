//! Files of any size, sealed under a key of their own. `spec/attachment.md`.
//!
//! A plaintext is padded with zeros to a length that tells little ([`Layout`]), cut into chunks of 64 KiB, and each chunk
//! sealed with ChaCha20-Poly1305 under a nonce of its number and a mark on the last one (STREAM; the age specification,
//! "Payload"). A commitment to the key ends the sealed bytes, because Poly1305 alone lets one ciphertext open under two
//! keys. Whoever opens must show the last chunk and the commitment first ([`Opener::new`]): from then on the length is
//! known to be the sealed one, and every range can be read on its own.
//!
//! Nothing here knows messages, servers or files: a key, bytes in, bytes out.
//!
//! ```
//! use chacha20::ChaCha20Rng;
//! use medipeps_core::attachment::{AttachmentError, AttachmentKey, Layout, Opener, Sealer};
//! use rand_core::SeedableRng;
//!
//! let key = AttachmentKey::random(&mut ChaCha20Rng::from_seed([7; 32]));
//! let layout = Layout::new(11)?;
//! let mut sealed = Vec::new();
//! Sealer::new(&key, layout).seal_part(0, b"a lab value", &mut sealed)?;
//! assert_eq!(sealed.len() as u64, layout.sealed_length());
//!
//! // The end first; then any range.
//! let tail = layout.tail().start as usize..layout.tail().end as usize;
//! let opener = Opener::new(&key, layout, sealed[tail].to_vec())?;
//! let range = layout.sealed_range(&(2..5))?;
//! let mut buffer = sealed[range.start as usize..range.end as usize].to_vec();
//! opener.open_range(&(2..5), &mut buffer)?;
//! assert_eq!(buffer, b"lab");
//! # Ok::<(), AttachmentError>(())
//! ```
//!
//! `examples/attachment.rs` is a file of many parts.

mod digest;
mod layout;
mod open;
mod reference;
mod seal;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use rand_core::CryptoRng;
use thiserror::Error;

pub use digest::{DIGEST_LENGTH, part_digest, root};
pub use layout::Layout;
pub(crate) use layout::padme;
pub use open::Opener;
pub use reference::{BlobReference, BlobReferenceError};
pub use seal::Sealer;

use crate::crypto::aead::NONCE_LENGTH;
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label;
use crate::limits::ATTACHMENT_LENGTH_MAX;

/// Bytes of the commitment to the key.
pub const COMMITMENT_LENGTH: usize = 32;

/// The key of one plaintext: 32 random bytes that never seal another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentKey(Secret<32>);

/// Why an attachment cannot be sealed, or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// It has more bytes than an attachment may have.
    #[error("an attachment has at most {ATTACHMENT_LENGTH_MAX} bytes; this one has {length}")]
    TooLarge {
        /// Its length in bytes.
        length: u64,
    },
    /// The plaintext of a part has not the length that its place asks for: the file was cut or has grown.
    #[error("part {part} has {found} bytes and should have {expected}")]
    PartLength {
        /// Its number.
        part: u64,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The range is not inside the plaintext, or the sealed bytes are not those of the range.
    #[error("the range is not one of this attachment")]
    Range,
    /// The sealed bytes end with a commitment to another key: they are another attachment's, or cut, or longer.
    #[error("the sealed bytes belong to another key or are not whole")]
    Commitment,
    /// A chunk does not verify: altered, moved, or the end of something longer or shorter.
    #[error("the sealed bytes were altered")]
    Altered,
    /// The padding is not zeros: the length in the message is not the sealed one.
    #[error("the attachment's length is not the sealed one")]
    Padding,
    /// The digest over the whole is not the one in the message.
    #[error("the attachment is not the one that the message names")]
    Root,
}

impl AttachmentKey {
    /// Draws a key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// The key, to be put into a message or a record.
    #[must_use]
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The cipher of the chunks and the commitment: 64 bytes of HKDF, 32 for each.
    fn derive(&self) -> (ChaCha20Poly1305, Secret<COMMITMENT_LENGTH>) {
        let derived: Secret<64> = kdf::hkdf(b"", &[self.0.as_bytes()], label::ATTACHMENT_KEYS);
        let [payload_key, commitment] = kdf::split(&derived);
        (ChaCha20Poly1305::new(payload_key.as_bytes().into()), commitment)
    }
}

impl From<Secret<32>> for AttachmentKey {
    fn from(secret: Secret<32>) -> Self {
        Self(secret)
    }
}

/// Eleven bytes of the chunk's number, big-endian, and one that says whether it is the last.
fn chunk_nonce(chunk: u64, last: bool) -> [u8; NONCE_LENGTH] {
    let mut nonce = [0; NONCE_LENGTH];
    nonce[3..11].copy_from_slice(&chunk.to_be_bytes());
    nonce[11] = last.into();
    nonce
}
