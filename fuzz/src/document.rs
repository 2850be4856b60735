//! Documents and images as a peer might attach them.

use medipeps_core::document::cda::ClinicalDocument;
use medipeps_core::document::{DocumentKind, PdfSummary, Recording, strip_location};
use medipeps_core::limits::{DOCUMENT_PREFIX_LENGTH_MAX, VOICE_DURATION_MAX};

/// What is read must be written, and read as the same.
pub(crate) fn comes_back(data: &[u8]) {
    let Ok(document) = ClinicalDocument::from_xml(data) else { return };
    let written = document.to_xml();
    let again = written.and_then(|xml| ClinicalDocument::from_xml(&xml));
    assert!(again.is_ok_and(|again| again == document), "a document that is read does not come back");
}

/// The kind hangs on the first bytes alone, agrees with its own media type, and a PDF is one for both readers; a recording is of
/// a length that a message may have.
pub(crate) fn is_told(data: &[u8]) {
    let kind = DocumentKind::detect(data);
    if let Some(prefix) = data.get(..DOCUMENT_PREFIX_LENGTH_MAX) {
        assert_eq!(DocumentKind::detect(prefix), kind);
    }
    if let Some(media_type) = kind.media_type() {
        assert_eq!(kind.check_declared(media_type), Ok(()));
    }
    let _ = kind.check_declared(&String::from_utf8_lossy(data.get(..40).unwrap_or(data)));
    if let Some(recording) = Recording::detect(data) {
        assert!((1..=VOICE_DURATION_MAX).contains(&recording.duration), "a recording that no message may have");
    }
    let scanned = PdfSummary::scan(data);
    if let DocumentKind::Pdf { version } = kind {
        assert_eq!(scanned.map(|summary| summary.version), Ok(version));
    }
}

/// Stripping twice is stripping once, and the format stays.
pub(crate) fn strips_once(data: &[u8]) {
    let data = with_checksums(data);
    let Ok(stripped) = strip_location(&data) else { return };
    let format = |bytes| match DocumentKind::detect(bytes) {
        DocumentKind::Image { format, .. } => Some(format),
        _ => None,
    };
    assert!(format(&data).is_some() && format(&data) == format(&stripped), "an image becomes something else");
    assert_eq!(strip_location(&stripped), Ok(stripped), "stripping twice is not stripping once");
}

/// A PNG with the checksums that its chunks should have: the fuzzer would not get past them.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut image = data.to_vec();
    let mut at = 8;
    while image.starts_with(b"\x89PNG\r\n\x1a\n") {
        let length = image.get(at..at + 4).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
        let Some(end) = length.and_then(|length| (at + 8).checked_add(usize::try_from(length).ok()?)) else { break };
        let Some(sum) = image.get(at + 4..end).map(crc32fast::hash) else { break };
        let Some(place) = image.get_mut(end..).and_then(|rest| rest.get_mut(..4)) else { break };
        place.copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_inputs_get_all_the_way() {
        for document in [
            &include_bytes!("../corpus/clinical_document/full")[..],
            include_bytes!("../corpus/clinical_document/small"),
            include_bytes!("../corpus/clinical_document/text-body"),
        ] {
            ClinicalDocument::from_xml(document).unwrap();
        }
        for image in [
            &include_bytes!("../corpus/image_metadata/jpeg")[..],
            include_bytes!("../corpus/image_metadata/png"),
            include_bytes!("../corpus/image_metadata/webp"),
            include_bytes!("../corpus/image_metadata/webp-simple"),
        ] {
            assert_eq!(with_checksums(image), image);
            assert!(strip_location(image).unwrap().len() <= image.len());
        }
    }
}
