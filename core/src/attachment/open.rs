//! Opening: the end first, then any part or range.

use std::ops::Range;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, Tag};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{AttachmentError, AttachmentKey, COMMITMENT_LENGTH, Layout, chunk_nonce};
use crate::crypto::aead::TAG_LENGTH;
use crate::limits::ATTACHMENT_CHUNK_LENGTH;

const SEALED_CHUNK_LENGTH: usize = ATTACHMENT_CHUNK_LENGTH + TAG_LENGTH;

/// Opens one attachment whose end has been seen and verified.
pub struct Opener {
    cipher: ChaCha20Poly1305,
    layout: Layout,
}

impl Opener {
    /// Takes the end of the sealed bytes, those of [`Layout::tail`], and verifies it: that the bytes are sealed under
    /// this key, that they end there, and that the padding of the last chunk is zeros. `tail` is wiped.
    ///
    /// # Errors
    /// [`AttachmentError::Commitment`], [`AttachmentError::Altered`], [`AttachmentError::Padding`].
    pub fn new(key: &AttachmentKey, layout: Layout, mut tail: Vec<u8>) -> Result<Self, AttachmentError> {
        let (cipher, commitment) = key.derive();
        let opener = Self { cipher, layout };
        let range = layout.tail();
        let chunk_length = tail.len().checked_sub(COMMITMENT_LENGTH).ok_or(AttachmentError::Commitment)?;
        let committed: bool = tail[chunk_length..].ct_eq(commitment.as_bytes().as_slice()).into();
        if tail.len() as u64 != range.end - range.start || !committed {
            return Err(AttachmentError::Commitment);
        }
        tail.truncate(chunk_length);
        let last = layout.chunks() - 1;
        let verified = opener.open_chunks(last, &mut tail).and_then(|()| {
            let start = last * ATTACHMENT_CHUNK_LENGTH as u64;
            check_padding(&tail, layout.length().saturating_sub(start))
        });
        tail.zeroize();
        verified.map(|()| opener)
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Opens a part: `buffer` has the bytes of [`Layout::sealed_part`] and afterwards the plaintext, that of
    /// [`Layout::part`]. After an error it is empty.
    ///
    /// # Errors
    /// [`AttachmentError::Range`] for bytes of another length, [`AttachmentError::Altered`], [`AttachmentError::Padding`].
    pub fn open_part(&self, part: u64, buffer: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let opened = self.try_open_part(part, buffer);
        wipe_unless(opened, buffer)
    }

    fn try_open_part(&self, part: u64, buffer: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let (plaintext, sealed) = (self.layout.part(part)?, self.layout.sealed_part(part)?);
        if buffer.len() as u64 != sealed.end - sealed.start {
            return Err(AttachmentError::Range);
        }
        let last = part + 1 == self.layout.parts();
        // What the commitment says was verified with the tail; here it is passed over.
        buffer.truncate(buffer.len() - if last { COMMITMENT_LENGTH } else { 0 });
        self.open_chunks(self.layout.padded_part(part).0, buffer)?;
        let length = plaintext.end - plaintext.start;
        check_padding(buffer, length)?;
        buffer.truncate(usize::try_from(length).map_err(|_| AttachmentError::Range)?);
        Ok(())
    }

    /// Opens a range of the plaintext: `buffer` has the bytes of [`Layout::sealed_range`] and afterwards the range. After
    /// an error it is empty.
    ///
    /// # Errors
    /// [`AttachmentError::Range`], [`AttachmentError::Altered`].
    pub fn open_range(&self, range: &Range<u64>, buffer: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let opened = self.try_open_range(range, buffer);
        wipe_unless(opened, buffer)
    }

    fn try_open_range(&self, range: &Range<u64>, buffer: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let sealed = self.layout.sealed_range(range)?;
        if buffer.len() as u64 != sealed.end - sealed.start {
            return Err(AttachmentError::Range);
        }
        let first = range.start / ATTACHMENT_CHUNK_LENGTH as u64;
        self.open_chunks(first, buffer)?;
        let before = range.start - first * ATTACHMENT_CHUNK_LENGTH as u64;
        let within = |offset: u64| usize::try_from(offset).map_err(|_| AttachmentError::Range);
        buffer.truncate(within(before + range.end - range.start)?);
        buffer.drain(..within(before)?);
        Ok(())
    }

    /// Opens consecutive chunks where they are and closes the gaps that their tags leave.
    fn open_chunks(&self, first: u64, buffer: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let last = self.layout.chunks() - 1;
        let (mut read, mut written) = (0, 0);
        for chunk in first.. {
            let end = buffer.len().min(read + SEALED_CHUNK_LENGTH);
            let tag_at = end.checked_sub(TAG_LENGTH).filter(|at| *at > read).ok_or(AttachmentError::Altered)?;
            let tag = Tag::try_from(&buffer[tag_at..end]).map_err(|_| AttachmentError::Altered)?;
            let nonce = chunk_nonce(chunk, chunk == last);
            let sealed = (&mut buffer[read..tag_at]).into();
            self.cipher
                .decrypt_inout_detached(&nonce.into(), b"", sealed, &tag)
                .map_err(|_| AttachmentError::Altered)?;
            buffer.copy_within(read..tag_at, written);
            written += tag_at - read;
            read = end;
            if read == buffer.len() {
                break;
            }
        }
        buffer.truncate(written);
        Ok(())
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Opener").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Everything behind the plaintext is zeros.
fn check_padding(padded: &[u8], length: u64) -> Result<(), AttachmentError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(padded.len());
    if padded[length..].iter().all(|byte| *byte == 0) { Ok(()) } else { Err(AttachmentError::Padding) }
}

/// Plaintext that belongs to something altered is not handed out.
fn wipe_unless(opened: Result<(), AttachmentError>, buffer: &mut Vec<u8>) -> Result<(), AttachmentError> {
    if opened.is_err() {
        buffer.zeroize();
    }
    opened
}
