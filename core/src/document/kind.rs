//! What a file is, told by its first bytes and not by its name.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

use super::cda;
use super::image::{Dimensions, ImageFormat};
use super::pdf::PdfVersion;
use crate::limits::DOCUMENT_PREFIX_LENGTH_MAX;

/// What a file's first bytes say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A PDF.
    Pdf {
        /// As its header says.
        version: PdfVersion,
    },
    /// An image. Nothing of it has been decoded.
    Image {
        /// Its format.
        format: ImageFormat,
        /// As its header says; none if that lies beyond the first bytes, or is not read in this format.
        dimensions: Option<Dimensions>,
    },
    /// XML whose root is HL7's `ClinicalDocument`. Whether it can be read, [`cda::ClinicalDocument::from_xml`] says.
    ClinicalDocument,
    /// UTF-8 without control characters, XML and HTML included.
    Text,
    /// Something else.
    Unknown,
}

/// A declared media type that the bytes contradict.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the file is declared as {declared} and is {}", found.description())]
pub struct DocumentMismatch {
    /// The media type, in lower case and without parameters.
    pub declared: String,
    /// What the bytes say.
    pub found: DocumentKind,
}

impl DocumentKind {
    /// Tells from the first bytes of a file; no more than [`DOCUMENT_PREFIX_LENGTH_MAX`] of them are looked at.
    #[must_use]
    pub fn detect(first_bytes: &[u8]) -> Self {
        let prefix = first_bytes.get(..DOCUMENT_PREFIX_LENGTH_MAX).unwrap_or(first_bytes);
        if let Some(format) = ImageFormat::detect(prefix) {
            return Self::Image { format, dimensions: Dimensions::read(format, prefix) };
        }
        if let Some(version) = PdfVersion::find(prefix) {
            return Self::Pdf { version };
        }
        let is_whole = first_bytes.len() < DOCUMENT_PREFIX_LENGTH_MAX;
        let Some(text) = text_of(prefix, is_whole) else { return Self::Unknown };
        if root_is_clinical_document(text) { Self::ClinicalDocument } else { Self::Text }
    }

    /// Holds a declared media type against the bytes. A type that we do not know is contradicted only by bytes that we do.
    ///
    /// # Errors
    /// [`DocumentMismatch`]
    pub fn check_declared(self, media_type: &str) -> Result<(), DocumentMismatch> {
        let declared = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let agrees = match &*declared {
            "" | "application/octet-stream" | "binary/octet-stream" => true,
            "application/pdf" | "application/x-pdf" => matches!(self, Self::Pdf { .. }),
            "application/xml" | "image/svg+xml" => matches!(self, Self::ClinicalDocument | Self::Text),
            "application/hl7-cda+xml" | "application/cda+xml" => self == Self::ClinicalDocument,
            other if other.starts_with("text/") => matches!(self, Self::ClinicalDocument | Self::Text),
            other => match (ImageFormat::of_media_type(other), self) {
                (Some(expected), Self::Image { format, .. }) => expected == format,
                (Some(_), _) => false,
                (None, Self::Pdf { .. } | Self::Image { .. }) => false,
                (None, Self::ClinicalDocument | Self::Text | Self::Unknown) => true,
            },
        };
        if agrees { Ok(()) } else { Err(DocumentMismatch { declared, found: self }) }
    }

    /// The media type of the bytes, where they say one.
    #[must_use]
    pub fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Pdf { .. } => Some("application/pdf"),
            Self::Image { format, .. } => format.media_type(),
            Self::ClinicalDocument => Some("text/xml"),
            Self::Text => Some("text/plain"),
            Self::Unknown => None,
        }
    }

    /// For a person, for instance "a PDF".
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Pdf { .. } => "a PDF",
            Self::Image { format, .. } => format.description(),
            Self::ClinicalDocument => "a clinical document (CDA)",
            Self::Text => "text",
            Self::Unknown => "of no kind that is known here",
        }
    }
}

/// The bytes as text, less a character that the end of a prefix cuts.
fn text_of(prefix: &[u8], is_whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && !is_whole => {
            std::str::from_utf8(prefix.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let is_refused = |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{c}');
    (!text.is_empty() && !text.contains(is_refused)).then_some(text)
}

/// Whether the first element, behind a declaration, comments and processing instructions, is HL7's `ClinicalDocument`.
fn root_is_clinical_document(text: &str) -> bool {
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    loop {
        match reader.read_event() {
            Ok(Event::Decl(_) | Event::PI(_) | Event::Comment(_)) => {}
            Ok(Event::Text(text)) if text.trim_ascii().is_empty() => {}
            Ok(Event::Start(tag) | Event::Empty(tag)) => return is_clinical_document(&tag),
            _ => return false,
        }
    }
}

fn is_clinical_document(tag: &BytesStart<'_>) -> bool {
    let name = tag.name();
    let declaration = match name.prefix() {
        Some(prefix) => format!("xmlns:{}", prefix.into_inner()),
        None => "xmlns".to_owned(),
    };
    let declares = |attribute: quick_xml::events::attributes::Attribute<'_>| {
        attribute.key.into_inner() == declaration && *attribute.value == *cda::NAMESPACE
    };
    name.local_name().into_inner() == "ClinicalDocument" && tag.attributes().flatten().any(declares)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DocumentKind {
        DocumentKind::detect(text.as_bytes())
    }

    #[test]
    fn pdf_is_told_with_its_version() {
        let version = |major, minor| DocumentKind::Pdf { version: PdfVersion { major, minor } };
        assert_eq!(text("%PDF-1.7\n%\u{e9}"), version(1, 7));
        assert_eq!(text("\r\n%PDF-2.0\n"), version(2, 0));
        assert_eq!(DocumentKind::detect(b"\xff\x00%PDF-1.4"), version(1, 4));
        assert_eq!(text("%PDF-x.y"), DocumentKind::Text);
        assert_eq!(text(&format!("{}%PDF-1.4", " ".repeat(2000))), DocumentKind::Text, "too late to be a header");
    }

    #[test]
    fn clinical_documents_are_told_by_root_and_namespace() {
        let start = "<?xml version=\"1.0\"?><?x y?><!-- <ClinicalDocument xmlns=\"urn:hl7-org:v3\"> -->\n";
        assert_eq!(
            text(&format!("\u{feff}{start}<ClinicalDocument xmlns=\"urn:hl7-org:v3\" a=\"b\"><x")),
            DocumentKind::ClinicalDocument
        );
        assert_eq!(text("<v3:ClinicalDocument xmlns:v3='urn:hl7-org:v3'>"), DocumentKind::ClinicalDocument);
        for other in [
            "<ClinicalDocument>",
            "<ClinicalDocument xmlns=\"urn:hl7-org:v2\">",
            "<v3:ClinicalDocument xmlns=\"urn:hl7-org:v3\">",
            "<a><ClinicalDocument xmlns=\"urn:hl7-org:v3\"/></a>",
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><ClinicalDocument xmlns=\"urn:hl7-org:v3\">",
            "words <ClinicalDocument xmlns=\"urn:hl7-org:v3\">",
            start,
        ] {
            assert_eq!(text(other), DocumentKind::Text, "{other}");
        }
    }

    #[test]
    fn text_has_no_control_characters_and_may_be_cut() {
        assert_eq!(text("Bonjour é\r\n\tà demain"), DocumentKind::Text);
        assert_eq!(DocumentKind::detect(b""), DocumentKind::Unknown);
        assert_eq!(DocumentKind::detect(b"MZ\x90\x00\x03"), DocumentKind::Unknown);
        assert_eq!(DocumentKind::detect(b"caf\xe9"), DocumentKind::Unknown, "not UTF-8");
        assert_eq!(DocumentKind::detect(b"caf\xc3"), DocumentKind::Unknown, "a whole file does not end in the middle");
        let cut = "é".repeat(DOCUMENT_PREFIX_LENGTH_MAX);
        assert_eq!(DocumentKind::detect(&cut.as_bytes()[1..]), DocumentKind::Unknown);
        assert_eq!(DocumentKind::detect(&[b"x", cut.as_bytes()].concat()), DocumentKind::Text);
    }

    #[test]
    fn only_the_first_bytes_count() {
        let mut bytes = vec![b' '; DOCUMENT_PREFIX_LENGTH_MAX];
        bytes.extend([0, 1, 2]);
        assert_eq!(DocumentKind::detect(&bytes), DocumentKind::Text);
    }

    #[test]
    fn a_declared_type_that_the_bytes_contradict_is_reported() {
        let pdf = text("%PDF-1.7\n");
        let png = DocumentKind::Image { format: ImageFormat::Png, dimensions: None };
        for (kind, declared) in [
            (pdf, "application/pdf"),
            (pdf, "Application/PDF; name=x"),
            (pdf, "application/octet-stream"),
            (pdf, ""),
            (png, "image/png"),
            (DocumentKind::Text, "text/html; charset=utf-8"),
            (DocumentKind::ClinicalDocument, "text/xml"),
            (DocumentKind::Unknown, "application/zip"),
            (DocumentKind::Text, "application/json"),
        ] {
            assert_eq!(kind.check_declared(declared), Ok(()), "{declared}");
        }
        for (kind, declared) in [
            (DocumentKind::Unknown, "application/pdf"),
            (DocumentKind::Text, "application/pdf"),
            (png, "image/jpeg"),
            (png, "application/pdf"),
            (pdf, "image/png"),
            (pdf, "text/plain"),
            (pdf, "application/zip"),
            (DocumentKind::Unknown, "text/plain"),
            (DocumentKind::Unknown, "image/heic"),
            (DocumentKind::Text, "application/hl7-cda+xml"),
        ] {
            let mismatch = kind.check_declared(declared).unwrap_err();
            assert_eq!((mismatch.declared.as_str(), mismatch.found), (declared, kind));
        }
        assert_eq!(
            png.check_declared("image/JPEG").unwrap_err().to_string(),
            "the file is declared as image/jpeg and is a PNG image"
        );
    }
}
