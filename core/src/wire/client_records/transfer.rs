//! What is on its way to a server in pieces, or is still to be fetched.

use prost::Message;
use zeroize::Zeroizing;

use super::{secret, text};
use crate::attachment::{AttachmentKey, BlobReference, DIGEST_LENGTH};
use crate::limits::ATTACHMENT_LENGTH_MAX;
use crate::wire::content::{decode_blob_reference, encode_blob_reference};
use crate::wire::{WireError, fixed, proto};

/// A file or a body on its way to the account's own server.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadRecord {
    /// Random; whoever knows it may fetch the blob.
    pub blob_id: [u8; 32],
    /// Known to this device and, as a hash, to the server.
    pub upload_secret: [u8; 16],
    /// Seals this plaintext and no other.
    pub key: AttachmentKey,
    /// Of the message that waits for it.
    pub content_id: [u8; 16],
    /// What it is of that message.
    pub role: UploadRole,
    /// Bytes of the plaintext.
    pub length: u64,
    /// Where it is read from.
    pub source: UploadSource,
    /// Times that the file had changed meanwhile.
    pub begun_anew: u32,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
    /// Set once every piece is at the server. The record stays until the message's other uploads are done too.
    pub finished: Option<FinishedUpload>,
}

/// What the message will say about a blob that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedUpload {
    /// [`crate::attachment::root`] of the plaintext.
    pub root: [u8; DIGEST_LENGTH],
    /// When the server drops the blob, in milliseconds since 1970.
    pub expires: u64,
}

/// What an upload is of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UploadRole {
    /// The body.
    Body,
    /// The attachment in this place.
    Attachment(u32),
}

/// Where an upload is read from.
#[derive(Clone, PartialEq, Eq)]
pub enum UploadSource {
    /// The sealed copy that this device keeps under the blob's id.
    SealedCopy,
    /// A file of the person's own.
    File {
        /// As the system has it; it need not be UTF-8.
        path: Vec<u8>,
        /// Nanoseconds since 1970, when it was first read.
        modified: u64,
    },
}

/// A body that has not been fetched yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyFetchRecord {
    /// Where it is.
    pub blob: BlobReference,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
    /// Why it is not tried again.
    pub failed: Option<String>,
    /// What held it up last.
    pub code: Option<String>,
}

impl UploadRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (body, attachment) = match self.role {
            UploadRole::Body => (true, 0),
            UploadRole::Attachment(index) => (false, index),
        };
        let (path, modified) = match &self.source {
            UploadSource::SealedCopy => (Vec::new(), 0),
            UploadSource::File { path, modified } => (path.clone(), *modified),
        };
        let record = proto::ClientUpload {
            blob_id: self.blob_id.to_vec(),
            upload_secret: self.upload_secret.to_vec(),
            key: self.key.secret().as_bytes().to_vec(),
            content_id: self.content_id.to_vec(),
            attachment,
            body,
            length: self.length,
            path,
            modified,
            begun_anew: self.begun_anew,
            created: self.created,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            root: self.finished.map(|finished| finished.root.to_vec()).unwrap_or_default(),
            expires: self.finished.map_or(0, |finished| finished.expires),
        };
        Zeroizing::new(record.encode_to_vec())
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientUpload::decode(bytes)?;
        if record.length > ATTACHMENT_LENGTH_MAX {
            return Err(WireError::Bounds("length"));
        }
        Ok(Self {
            blob_id: fixed(&record.blob_id, "blob_id")?,
            upload_secret: fixed(&record.upload_secret, "upload_secret")?,
            key: secret(record.key, "key")?.into(),
            content_id: fixed(&record.content_id, "content_id")?,
            role: if record.body { UploadRole::Body } else { UploadRole::Attachment(record.attachment) },
            length: record.length,
            source: match record.path.is_empty() {
                true => UploadSource::SealedCopy,
                false => UploadSource::File { path: record.path, modified: record.modified },
            },
            begun_anew: record.begun_anew,
            created: record.created,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            finished: match record.root.is_empty() {
                true => None,
                false => Some(FinishedUpload { root: fixed(&record.root, "root")?, expires: record.expires }),
            },
        })
    }
}

impl BodyFetchRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let record = proto::ClientBodyFetch {
            blob: Some(encode_blob_reference(&self.blob)),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            failed: self.failed.clone().unwrap_or_default(),
            code: self.code.clone().unwrap_or_default(),
        };
        Zeroizing::new(record.encode_to_vec())
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientBodyFetch::decode(bytes)?;
        Ok(Self {
            blob: decode_blob_reference(record.blob.ok_or(WireError::Missing("blob"))?)?,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            failed: text(record.failed),
            code: text(record.code),
        })
    }
}

impl std::fmt::Debug for UploadRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "UploadRecord({:?}, {} bytes, ..)", self.role, self.length)
    }
}

impl std::fmt::Debug for UploadSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::SealedCopy => "SealedCopy",
            Self::File { .. } => "File(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;

    #[test]
    fn transfers_come_back_as_they_were_stored() {
        let file = UploadSource::File { path: b"/scans/\xff.png".to_vec(), modified: 5 };
        let finished = Some(FinishedUpload { root: [8; 32], expires: 9 });
        for (role, source, finished) in
            [(UploadRole::Body, UploadSource::SealedCopy, finished), (UploadRole::Attachment(3), file, None)]
        {
            let record = UploadRecord {
                blob_id: [1; 32],
                upload_secret: [2; 16],
                key: Secret::from([3; 32]).into(),
                content_id: [4; 16],
                role,
                length: ATTACHMENT_LENGTH_MAX,
                source,
                begun_anew: 6,
                created: 7,
                attempts: 8,
                next_attempt: 9,
                finished,
            };
            assert_eq!(UploadRecord::decode(&record.encode()), Ok(record));
        }
        let blob = BlobReference {
            domain: "clinic.example".into(),
            id: [1; 32],
            key: Secret::from([2; 32]).into(),
            length: 3,
            root: [4; 32],
            expires: 5,
        };
        let record =
            BodyFetchRecord { blob, attempts: 1, next_attempt: 2, failed: Some("UnknownBlob".into()), code: None };
        assert_eq!(BodyFetchRecord::decode(&record.encode()), Ok(record.clone()));
        let record = BodyFetchRecord { failed: None, code: Some("RateLimited".into()), ..record };
        assert_eq!(BodyFetchRecord::decode(&record.encode()), Ok(record));
    }
}
