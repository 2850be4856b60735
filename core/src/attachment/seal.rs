//! Sealing, part by part, in any order and on any number of threads.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::AeadInOut;

use super::{AttachmentError, AttachmentKey, COMMITMENT_LENGTH, Layout, chunk_nonce};
use crate::crypto::aead::TAG_LENGTH;
use crate::crypto::secret::Secret;
use crate::limits::{ATTACHMENT_CHUNK_LENGTH, ATTACHMENT_PART_LENGTH};

/// Seals one plaintext. The same parts give the same bytes, so that an interrupted upload can go on.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    commitment: Secret<COMMITMENT_LENGTH>,
    layout: Layout,
}

impl Sealer {
    /// For a plaintext of this layout under a key that seals nothing else.
    #[must_use]
    pub fn new(key: &AttachmentKey, layout: Layout) -> Self {
        let (cipher, commitment) = key.derive();
        Self { cipher, commitment, layout }
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Puts the sealed form of a part into `sealed`, in place of what was there: the bytes of [`Layout::sealed_part`].
    /// `plaintext` has the bytes of [`Layout::part`].
    ///
    /// # Errors
    /// [`AttachmentError::Range`] for a part that does not exist, [`AttachmentError::PartLength`] for a plaintext of
    /// another length.
    pub fn seal_part(&self, part: u64, plaintext: &[u8], sealed: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let range = self.layout.part(part)?;
        let (expected, found) = (range.end - range.start, plaintext.len() as u64);
        if expected != found {
            return Err(AttachmentError::PartLength { part, expected, found });
        }
        let (first_chunk, padded) = self.layout.padded_part(part);
        // A part has at most 4 MiB.
        let padded = usize::try_from(padded).unwrap_or(ATTACHMENT_PART_LENGTH);
        let last = self.layout.chunks() - 1;
        sealed.clear();
        sealed.reserve_exact(padded + padded.div_ceil(ATTACHMENT_CHUNK_LENGTH) * TAG_LENGTH + COMMITMENT_LENGTH);
        let mut chunk = first_chunk;
        for start in (0..padded).step_by(ATTACHMENT_CHUNK_LENGTH) {
            let end = padded.min(start + ATTACHMENT_CHUNK_LENGTH);
            let at = sealed.len();
            sealed.extend_from_slice(&plaintext[start.min(plaintext.len())..end.min(plaintext.len())]);
            sealed.resize(at + end - start, 0);
            self.seal_chunk(chunk, chunk == last, at, sealed);
            chunk += 1;
        }
        if chunk > last {
            sealed.extend_from_slice(self.commitment.as_bytes());
        }
        Ok(())
    }

    /// Encrypts the bytes from `at` on where they are and adds their tag.
    fn seal_chunk(&self, chunk: u64, last: bool, at: usize, sealed: &mut Vec<u8>) {
        let nonce = chunk_nonce(chunk, last);
        let buffer = (&mut sealed[at..]).into();
        let Ok(tag) = self.cipher.encrypt_inout_detached(&nonce.into(), b"", buffer) else {
            unreachable!("a chunk has 64 KiB, ChaCha20 takes 256 GiB (RFC 8439 section 2.8)");
        };
        sealed.extend_from_slice(&tag);
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sealer").field("layout", &self.layout).finish_non_exhaustive()
    }
}
