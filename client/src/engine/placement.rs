//! What of a message travels inside it, and what goes as blobs.

use medipeps_core::attachment::DIGEST_LENGTH;
use medipeps_core::kind::{Body, ContentError};
use medipeps_core::limits::{CONTENT_LENGTH_MAX, INLINE_ATTACHMENTS_LENGTH_MAX};

use crate::limits::CONTENT_FRAME_LENGTH_MAX;

/// Which parts of a message go inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Of each attachment, in order: whether it goes inside.
    pub inline: Vec<bool>,
    /// The body goes as a blob; a sealed copy of it must be made.
    pub body_blob: bool,
}

/// What an attachment needs room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentSize {
    /// Bytes of name and media type together.
    pub labels: usize,
    /// Bytes of the file.
    pub length: u64,
}

/// Decides what goes inside a message and what as blobs: all that fits goes inside; where it does not fit, the largest
/// leaves first, and an attachment before a body of the same size. `domain` is the account's own.
///
/// What is left over the limit even so (64 long names to 64 long addresses) is refused by `SendMail`.
///
/// # Errors
/// [`ContentError::BodyTooLarge`]
pub fn fitting(body: &Body, domain: &str, attachments: &[AttachmentSize]) -> Result<Placement, ContentError> {
    fitting_beside(body, 0, domain, attachments)
}

/// The same where the message has so many bytes more that do not leave it: a fallback text.
///
/// # Errors
/// [`ContentError::BodyTooLarge`]
pub fn fitting_beside(
    body: &Body,
    beside: usize,
    domain: &str,
    attachments: &[AttachmentSize],
) -> Result<Placement, ContentError> {
    let reference = reference_length(domain);
    let (whole, short) = (body.encode()?.len(), body.short().encode()?.len());
    let mut placement = Placement { inline: Vec::with_capacity(attachments.len()), body_blob: false };
    let (mut content, mut inside) = (CONTENT_FRAME_LENGTH_MAX + beside + whole, 0);
    for attachment in attachments {
        let length = inline_length(attachment.length);
        placement.inline.push(length.is_some());
        inside += length.unwrap_or(0);
        content += attachment.labels + ATTACHMENT_FRAME_LENGTH + length.unwrap_or(reference);
    }
    loop {
        let inline = attachments.iter().zip(&placement.inline).enumerate().filter(|(_, (_, inline))| **inline);
        let lengths = inline.filter_map(|(index, (size, _))| inline_length(size.length).map(|length| (length, index)));
        // The first of the largest.
        let largest = lengths.max_by_key(|(length, index)| (*length, std::cmp::Reverse(*index)));
        let over = content > CONTENT_LENGTH_MAX;
        let body_gains = !placement.body_blob && whole > short + reference;
        match largest {
            Some((length, index)) if inside > INLINE_ATTACHMENTS_LENGTH_MAX => {
                placement.inline[index] = false;
                (inside, content) = (inside - length, content - length + reference);
            }
            Some((length, index)) if over && length > reference && !(body_gains && whole - short > length) => {
                placement.inline[index] = false;
                (inside, content) = (inside - length, content - length + reference);
            }
            _ if over && body_gains => {
                placement.body_blob = true;
                content = content - whole + short + reference;
            }
            _ => return Ok(placement),
        }
    }
}

/// Bytes of a file that may go inside.
fn inline_length(length: u64) -> Option<usize> {
    usize::try_from(length).ok().filter(|length| *length <= INLINE_ATTACHMENTS_LENGTH_MAX)
}

/// Bytes around an attachment's labels and its place, at most: tags, and lengths of up to three bytes.
const ATTACHMENT_FRAME_LENGTH: usize = 16;

/// Bytes of an encoded `BlobReference` with its tag and length, at most: domain, id, key, root, length, time.
const fn reference_length(domain: &str) -> usize {
    4 + (2 + domain.len()) + 3 * (2 + DIGEST_LENGTH) + 2 * 11 + 2
}
