//! Files that go with a mail: inside it, or as blobs that are uploaded before it leaves.

use medipeps_core::attachment::{AttachmentKey, DIGEST_LENGTH};

/// A file to go with a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// As the recipient shall see it.
    pub name: String,
    /// For instance `application/pdf`.
    pub media_type: String,
    /// Where its bytes come from, and with that, whether it goes inside the message. [`super::fitting`] tells what fits.
    pub source: AttachmentSource,
}

/// Where the bytes of an attachment come from.
#[derive(Clone, PartialEq, Eq)]
pub enum AttachmentSource {
    /// Out of memory: it goes inside the message.
    Inline(Vec<u8>),
    /// Out of a file of the person's own: it goes as a blob.
    File {
        /// As the system has it; it need not be UTF-8.
        path: Vec<u8>,
        /// Bytes.
        length: u64,
        /// When it was last changed, in nanoseconds since 1970.
        modified: u64,
    },
    /// Out of what this device has sealed: it goes as a blob.
    SealedCopy(SealedCopy),
}

/// A plaintext that is no file of the person's own: sealed, and on this device's disk, before the mail is queued. A copy
/// is the message's own and goes with one message only.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCopy {
    /// Random.
    pub blob_id: [u8; 32],
    /// Sealed this plaintext and no other.
    pub key: AttachmentKey,
    /// Bytes of the plaintext.
    pub length: u64,
    /// [`medipeps_core::attachment::part_digest`] of each part of the plaintext.
    pub digests: Vec<[u8; DIGEST_LENGTH]>,
}

impl Attachment {
    /// Bytes of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        match &self.source {
            AttachmentSource::Inline(data) => data.len() as u64,
            AttachmentSource::File { length, .. } => *length,
            AttachmentSource::SealedCopy(copy) => copy.length,
        }
    }
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Attachment({} bytes, {:?})", self.length(), self.source)
    }
}

impl std::fmt::Debug for AttachmentSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Inline(_) => "Inline(..)",
            Self::File { .. } => "File(..)",
            Self::SealedCopy(_) => "SealedCopy(..)",
        })
    }
}

impl std::fmt::Debug for SealedCopy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealedCopy({} bytes, ..)", self.length)
    }
}
