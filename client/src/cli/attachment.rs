//! Files that go out with mail, and with what is said in groups.

use std::io::Read;
use std::path::Path;

use medipeps_core::document::{Recording, StripError, strip_location};
use medipeps_core::kind::{AttachmentPlace, Photo, PhotoError, StrippedImage};
use medipeps_core::limits::IMAGE_LENGTH_MAX;

use super::CommandError;
use crate::shell::agent::{Document, DocumentPlace};

/// A file to be attached. With `without_location` it must be an image, and goes without what tells where it was taken.
pub(super) fn document(path: &Path, without_location: bool) -> Result<Document, CommandError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| CommandError::Use(format!("{} is no file", path.display())))?;
    let place = match without_location {
        true => DocumentPlace::Memory(stripped(path)?),
        false => DocumentPlace::File(path.to_owned()),
    };
    Ok(Document { media_type: media_type(&name).to_owned(), name, place })
}

/// A photo without metadata, with what a message says of it.
pub(super) fn photo(path: &Path, caption: &str) -> Result<(Photo, Document), CommandError> {
    let Document { name, .. } = document(path, false)?;
    let image = StrippedImage::strip(&read(path)?).map_err(|error: PhotoError| {
        CommandError::Failed(format!("{}: {error}; nothing was queued", path.display()))
    })?;
    let photo = image.photo(caption);
    let medipeps_core::kind::Attachment { media_type, place, .. } = image.inline(&name);
    let AttachmentPlace::Inline(data) = place else { return Err(CommandError::Failed("no image".to_owned())) };
    Ok((photo, Document { name, media_type, place: DocumentPlace::Memory(data) }))
}

/// A recording, with how long it takes.
pub(super) fn recording(path: &Path) -> Result<(Recording, Document), CommandError> {
    let document = document(path, false)?;
    let recording = Recording::detect(&read(path)?).ok_or_else(|| {
        CommandError::Failed(format!(
            "{} is no recording of up to an hour in Ogg with Opus or MPEG-4 (.m4a); nothing was queued",
            path.display()
        ))
    })?;
    Ok((recording, Document { media_type: recording.media_type.to_owned(), ..document }))
}

fn stripped(path: &Path) -> Result<Vec<u8>, CommandError> {
    strip_location(&read(path)?)
        .map_err(|error: StripError| CommandError::Failed(format!("{}: {error}; nothing was queued", path.display())))
}

/// All of a file, or one byte more than an image may have.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = || CommandError::file(path.display());
    if !std::fs::metadata(path).map_err(failed())?.is_file() {
        return Err(CommandError::Failed(format!("{} is not a file", path.display())));
    }
    let mut bytes = Vec::new();
    let limit = IMAGE_LENGTH_MAX as u64 + 1;
    std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed())?;
    Ok(bytes)
}

/// By the ending of the name; what is not known is bytes.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        "json" => "application/json",
        "zip" => "application/zip",
        "dcm" => "application/dicom",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "tif" | "tiff" => "image/tiff",
        "m4a" => "audio/mp4",
        "ogg" | "opus" => "audio/ogg",
        "webp" => "image/webp",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "odt" => "application/vnd.oasis.opendocument.text",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_and_typed_by_their_names() {
        let document = document(Path::new("/scans/Thorax é.PNG"), false).unwrap();
        assert_eq!((&*document.name, &*document.media_type), ("Thorax é.PNG", "image/png"));
        assert!(matches!(super::document(Path::new("/"), false), Err(CommandError::Use(_))));
    }

    #[test]
    fn what_is_no_image_is_refused_by_name_where_its_location_shall_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.png");
        std::fs::write(&path, b"no image at all").unwrap();
        let refused = document(&path, true).unwrap_err().to_string();
        assert!(refused.contains("scan.png") && refused.contains("no image"), "{refused}");
    }
}
