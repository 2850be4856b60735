//! Photos and recordings made ready to be said in a group: without what tells more than they show.

use medipeps_core::document::{Recording, strip_location};
use medipeps_core::kind::{AttachmentPlace, StrippedImage};

use crate::MedipepsError;
use crate::record::group::ChatBody;
use crate::record::mail::Document;

/// A photo or a recording for [`crate::Client::say`] and [`crate::Client::say_in_case`].
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct PreparedMedia {
    /// What is said.
    pub body: ChatBody,
    /// The one document beside it.
    pub document: Document,
}

/// Takes the metadata off a JPEG, PNG or WebP image, where it was taken for instance, and measures it. Only such an image is taken by
/// others as a photo.
///
/// # Errors
/// `Argument` with `image`: it is no such image, too large, or cannot be freed of its metadata.
#[uniffi::export]
pub fn prepare_photo(image: Vec<u8>, name: String, caption: String) -> Result<PreparedMedia, MedipepsError> {
    let stripped =
        StrippedImage::strip(&image).map_err(|error| MedipepsError::argument("image", &error.to_string()))?;
    let photo = stripped.photo(&caption);
    let attachment = stripped.inline(&name);
    let AttachmentPlace::Inline(data) = attachment.place else {
        return Err(MedipepsError::argument("image", "it has no bytes"));
    };
    Ok(PreparedMedia {
        body: ChatBody::Photo { caption: photo.caption, width: photo.width, height: photo.height },
        document: Document::Data { data, name: attachment.name, media_type: attachment.media_type },
    })
}

/// Measures a recording in Ogg with Opus or in MPEG-4 (`.m4a`).
///
/// # Errors
/// `Argument` with `recording`: it is no such recording, or takes longer than an hour.
#[uniffi::export]
pub fn prepare_recording(recording: Vec<u8>, name: String) -> Result<PreparedMedia, MedipepsError> {
    let detected = Recording::detect(&recording).ok_or_else(|| {
        MedipepsError::argument("recording", "it is no recording of up to an hour in Ogg with Opus or MPEG-4")
    })?;
    let media_type = detected.media_type.to_owned();
    Ok(PreparedMedia {
        body: ChatBody::Voice { duration: detected.duration },
        document: Document::Data { data: recording, name, media_type },
    })
}

/// An image without what tells where it was taken, to be attached to a mail.
///
/// # Errors
/// `Argument` with `image`.
#[uniffi::export]
pub fn image_without_location(image: Vec<u8>) -> Result<Vec<u8>, MedipepsError> {
    strip_location(&image).map_err(|error| MedipepsError::argument("image", &error.to_string()))
}
