//! Where the bytes of a plaintext lie in its sealed form.

use std::ops::Range;

use super::{AttachmentError, COMMITMENT_LENGTH};
use crate::crypto::aead::TAG_LENGTH;
use crate::limits::{ATTACHMENT_CHUNK_LENGTH, ATTACHMENT_LENGTH_MAX, ATTACHMENT_PART_LENGTH};

const CHUNK: u64 = ATTACHMENT_CHUNK_LENGTH as u64;
const SEALED_CHUNK: u64 = CHUNK + TAG_LENGTH as u64;
const PART: u64 = ATTACHMENT_PART_LENGTH as u64;
const CHUNKS_PER_PART: u64 = PART / CHUNK;

/// The places in an attachment of one length. All of it follows from the length of the plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    length: u64,
    padded: u64,
}

impl Layout {
    /// Of a plaintext of so many bytes.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`]
    pub const fn new(length: u64) -> Result<Self, AttachmentError> {
        if length > ATTACHMENT_LENGTH_MAX {
            return Err(AttachmentError::TooLarge { length });
        }
        let padded = padme(length);
        Ok(Self { length, padded: if padded < CHUNK { CHUNK } else { padded } })
    }

    /// Bytes of the plaintext.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the plaintext with its padding: its Padmé length, and a chunk at least.
    #[must_use]
    pub const fn padded_length(&self) -> u64 {
        self.padded
    }

    /// Bytes of the sealed form: the chunks with their tags, and the commitment.
    #[must_use]
    pub const fn sealed_length(&self) -> u64 {
        self.sealed_offset(self.padded) + COMMITMENT_LENGTH as u64
    }

    /// Chunks, at least one.
    #[must_use]
    pub const fn chunks(&self) -> u64 {
        self.padded.div_ceil(CHUNK)
    }

    /// Parts of the sealed form; those at the end may be nothing but padding.
    #[must_use]
    pub const fn parts(&self) -> u64 {
        self.padded.div_ceil(PART)
    }

    /// Parts of the plaintext, each of which has a digest; none for an empty one.
    #[must_use]
    pub const fn plaintext_parts(&self) -> u64 {
        self.length.div_ceil(PART)
    }

    /// The bytes of the plaintext that a part has: empty for one of nothing but padding.
    ///
    /// # Errors
    /// [`AttachmentError::Range`] for a part that does not exist.
    pub const fn part(&self, part: u64) -> Result<Range<u64>, AttachmentError> {
        if part >= self.parts() {
            return Err(AttachmentError::Range);
        }
        let (start, end) = (part * PART, (part + 1) * PART);
        Ok(min(start, self.length)..min(end, self.length))
    }

    /// The bytes of the sealed form that a part has. The last one ends with the commitment.
    ///
    /// # Errors
    /// [`AttachmentError::Range`] for a part that does not exist.
    pub const fn sealed_part(&self, part: u64) -> Result<Range<u64>, AttachmentError> {
        if part >= self.parts() {
            return Err(AttachmentError::Range);
        }
        let start = part * CHUNKS_PER_PART * SEALED_CHUNK;
        let end = if part + 1 == self.parts() { self.sealed_length() } else { start + CHUNKS_PER_PART * SEALED_CHUNK };
        Ok(start..end)
    }

    /// The bytes of the sealed form that hold a range of the plaintext: whole chunks.
    ///
    /// # Errors
    /// [`AttachmentError::Range`] for a range that is empty or not inside the plaintext.
    pub const fn sealed_range(&self, range: &Range<u64>) -> Result<Range<u64>, AttachmentError> {
        if range.start >= range.end || range.end > self.length {
            return Err(AttachmentError::Range);
        }
        let start = range.start / CHUNK * SEALED_CHUNK;
        let end = min(range.end.div_ceil(CHUNK) * CHUNK, self.padded);
        Ok(start..self.sealed_offset(end))
    }

    /// The bytes that must be shown before anything is opened: the last chunk and the commitment.
    #[must_use]
    pub const fn tail(&self) -> Range<u64> {
        (self.chunks() - 1) * SEALED_CHUNK..self.sealed_length()
    }

    /// The number of a part's first chunk, and the bytes of padded plaintext in the part.
    pub(super) const fn padded_part(&self, part: u64) -> (u64, u64) {
        let start = part * PART;
        (part * CHUNKS_PER_PART, min(start + PART, self.padded) - start)
    }

    /// Where sealed bytes end whose padded plaintext ends here, at the end of a chunk.
    const fn sealed_offset(&self, padded_end: u64) -> u64 {
        padded_end + padded_end.div_ceil(CHUNK) * TAG_LENGTH as u64
    }
}

/// Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PoPETs 2019,
/// section 4): of a length of E+1 bits, only as many leading bits stay as the number of bits of E says. At most 12 % more.
pub(crate) const fn padme(length: u64) -> u64 {
    // Below that, every bit stays.
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let cleared = exponent.saturating_sub(kept);
    let mask = (1_u64 << cleared) - 1;
    (length + mask) & !mask
}

const fn min(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}
