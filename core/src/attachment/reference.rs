//! What a message says about a blob: where it lies, how to open it, and what must come out.

use std::fmt;

use thiserror::Error;

use super::{AttachmentError, AttachmentKey, DIGEST_LENGTH, Layout};

/// Everything that a recipient needs to fetch and open a sealed plaintext.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobReference {
    /// Whose server keeps it.
    pub domain: String,
    /// Random; whoever knows it may fetch the blob.
    pub id: [u8; 32],
    /// Opens it.
    pub key: AttachmentKey,
    /// Bytes of the plaintext.
    pub length: u64,
    /// [`super::root`] of the plaintext.
    pub root: [u8; DIGEST_LENGTH],
    /// When the server drops it, in milliseconds since 1970.
    pub expires: u64,
}

/// Why a reference is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlobReferenceError {
    /// The domain is none.
    #[error("the domain of a blob is not a domain")]
    Domain,
    /// The length is over the limit.
    #[error(transparent)]
    Length(#[from] AttachmentError),
}

impl BlobReference {
    /// Where the plaintext lies in the blob.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`]
    pub const fn layout(&self) -> Result<Layout, AttachmentError> {
        Layout::new(self.length)
    }

    /// Holds the fields against their bounds.
    pub(crate) fn validate(&self) -> Result<(), BlobReferenceError> {
        if !crate::address::is_domain(&self.domain) {
            return Err(BlobReferenceError::Domain);
        }
        self.layout()?;
        Ok(())
    }
}

impl fmt::Debug for BlobReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BlobReference({} bytes at {}, ..)", self.length, self.domain)
    }
}
