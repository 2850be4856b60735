//! A photo: an image that says nothing of where, when and with what it was taken.

use thiserror::Error;

use super::super::content::{Attachment, AttachmentPlace, ContentError};
use super::super::redacted::redacted;
use crate::attachment::{BlobReference, part_digest, root};
use crate::document::{DocumentKind, StripError, strip_location};
use crate::limits::{ATTACHMENT_PART_LENGTH, CAPTION_LENGTH_MAX, PHOTO_SIDE_MAX};

/// What a message says beside the image, which is its one attachment.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo {
    /// May be empty.
    pub caption: String,
    /// Pixels: so that room is kept for it before it is there.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// An image whose metadata has been removed, and so the only thing of which a photo is made.
#[derive(Clone, PartialEq, Eq)]
pub struct StrippedImage {
    bytes: Vec<u8>,
    media_type: &'static str,
    width: u32,
    height: u32,
}

/// Why an image is no photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PhotoError {
    /// Its metadata cannot be removed.
    #[error(transparent)]
    Strip(#[from] StripError),
    /// It still says more than its pixels.
    #[error("the image has metadata")]
    Metadata,
    /// Its header says no size, or one over [`PHOTO_SIDE_MAX`].
    #[error("the image has no size, or one of more than {PHOTO_SIDE_MAX} pixels a side")]
    Size,
    /// The blob has other bytes than the image.
    #[error("the blob does not hold the image")]
    OtherBlob,
    /// It is another image than the message says.
    #[error("the image is of another size or format than the message says")]
    NotAsSaid,
}

impl StrippedImage {
    /// Removes the metadata of a JPEG, PNG or WebP image.
    ///
    /// # Errors
    /// [`PhotoError::Strip`] and [`PhotoError::Size`].
    pub fn strip(image: &[u8]) -> Result<Self, PhotoError> {
        Self::of_clean(strip_location(image)?)
    }

    /// Takes an image that has none, for instance one that was received.
    ///
    /// # Errors
    /// [`PhotoError`], above all [`PhotoError::Metadata`].
    pub fn verify(image: Vec<u8>) -> Result<Self, PhotoError> {
        if strip_location(&image)? == image { Self::of_clean(image) } else { Err(PhotoError::Metadata) }
    }

    fn of_clean(bytes: Vec<u8>) -> Result<Self, PhotoError> {
        let DocumentKind::Image { format, dimensions } = DocumentKind::detect(&bytes) else {
            return Err(PhotoError::Strip(StripError::NotImage));
        };
        let (Some(media_type), Some(size)) = (format.media_type(), dimensions) else { return Err(PhotoError::Size) };
        if size.width.max(size.height) > PHOTO_SIDE_MAX {
            return Err(PhotoError::Size);
        }
        Ok(Self { bytes, media_type, width: size.width, height: size.height })
    }

    /// What a message says beside it.
    #[must_use]
    pub fn photo(&self, caption: &str) -> Photo {
        Photo { caption: caption.to_owned(), width: self.width, height: self.height }
    }

    /// The attachment of a small image.
    #[must_use]
    pub fn inline(self, name: &str) -> Attachment {
        let place = AttachmentPlace::Inline(self.bytes);
        Attachment { name: name.to_owned(), media_type: self.media_type.to_owned(), place }
    }

    /// The attachment of an image that was sealed into this blob.
    ///
    /// # Errors
    /// [`PhotoError::OtherBlob`] where length or digest of the blob are not the image's.
    pub fn in_blob(&self, name: &str, blob: BlobReference) -> Result<Attachment, PhotoError> {
        let digests: Vec<_> = self.bytes.chunks(ATTACHMENT_PART_LENGTH).map(part_digest).collect();
        let length = self.bytes.len() as u64;
        if blob.length != length || blob.root != root(length, &digests) {
            return Err(PhotoError::OtherBlob);
        }
        let place = AttachmentPlace::Blob(blob);
        Ok(Attachment { name: name.to_owned(), media_type: self.media_type.to_owned(), place })
    }

    /// The image.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Photo {
    /// Holds an image that has come in a blob against what the message says of it, before anybody sees it.
    ///
    /// # Errors
    /// [`PhotoError::Metadata`] if its sender has not stripped it; [`PhotoError::NotAsSaid`].
    pub fn check(&self, media_type: &str, image: Vec<u8>) -> Result<StrippedImage, PhotoError> {
        let image = StrippedImage::verify(image)?;
        let is_as_said = (image.media_type, image.width, image.height) == (media_type, self.width, self.height);
        if is_as_said { Ok(image) } else { Err(PhotoError::NotAsSaid) }
    }

    pub(super) fn validate(&self, attachments: &[Attachment]) -> Result<(), ContentError> {
        let [attachment] = attachments else { return Err(ContentError::Field("attachments")) };
        if !["image/jpeg", "image/png", "image/webp"].contains(&attachment.media_type.as_str()) {
            return Err(ContentError::Field("attachments.media_type"));
        }
        if self.caption.len() > CAPTION_LENGTH_MAX {
            return Err(ContentError::Field("photo.caption"));
        }
        if ![self.width, self.height].iter().all(|side| (1..=PHOTO_SIDE_MAX).contains(side)) {
            return Err(ContentError::Field("photo.size"));
        }
        // What is in a blob is looked at by `StrippedImage::verify`, when it has come.
        let AttachmentPlace::Inline(bytes) = &attachment.place else { return Ok(()) };
        match self.check(&attachment.media_type, bytes.clone()) {
            Ok(_) => Ok(()),
            Err(PhotoError::NotAsSaid) => Err(ContentError::Field("photo.size")),
            Err(error) => Err(ContentError::Photo(error)),
        }
    }
}

redacted!(Photo, StrippedImage);
