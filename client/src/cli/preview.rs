//! What attachments really are, told by their first bytes: a range of them is fetched, never the whole.

use medipeps_core::document::DocumentKind;
use serde::Serialize;

use super::{CommandError, output};
use crate::engine::MessageDetail;
use crate::limits::PREVIEW_LENGTH;
use crate::shell::agent::Agent;

/// Lines of a text that a preview shows, and letters of each.
const LINES_MAX: usize = 5;
const LETTERS_MAX: usize = 100;

/// What an attachment is, as JSON has it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PreviewJson {
    /// For a person.
    pub(super) what: String,
    /// The media type that the bytes tell, if they do.
    media_type: Option<&'static str>,
    /// The sender's media type says something else.
    pub(super) mismatch: Option<String>,
    /// Pixels.
    width: Option<u32>,
    height: Option<u32>,
    pdf_version: Option<String>,
    /// The first lines of a text.
    pub(super) lines: Vec<String>,
}

/// Looks into every attachment of a message.
pub(super) async fn preview(agent: &mut Agent, message: &MessageDetail) -> Result<Vec<PreviewJson>, CommandError> {
    let mut previews = Vec::new();
    for (index, attachment) in message.content.attachments.iter().enumerate() {
        let length = attachment.length().min(PREVIEW_LENGTH);
        let first = match length {
            0 => None,
            _ => Some(agent.read_range(message, index, &(0..length)).await?),
        };
        previews.push(of(first.as_deref().map_or(&[], Vec::as_slice), &attachment.media_type));
    }
    Ok(previews)
}

/// What the first bytes of a file tell.
fn of(first: &[u8], declared: &str) -> PreviewJson {
    let kind = DocumentKind::detect(first);
    let mut preview = PreviewJson {
        what: kind.description().to_owned(),
        media_type: kind.media_type(),
        mismatch: kind.check_declared(declared).err().map(|mismatch| mismatch.to_string()),
        width: None,
        height: None,
        pdf_version: None,
        lines: Vec::new(),
    };
    match kind {
        DocumentKind::Pdf { version } => {
            preview.pdf_version = Some(format!("{}.{}", version.major, version.minor));
            preview.what += &format!(", version {}.{}", version.major, version.minor);
        }
        DocumentKind::Image { dimensions: Some(dimensions), .. } => {
            (preview.width, preview.height) = (Some(dimensions.width), Some(dimensions.height));
            preview.what += &format!(", {} x {} pixels", dimensions.width, dimensions.height);
        }
        DocumentKind::Text => {
            let text = String::from_utf8_lossy(first);
            let lines = text.lines().map(|line| output::cut(line, LETTERS_MAX));
            preview.lines = lines.take(LINES_MAX).collect();
        }
        _ => {}
    }
    preview
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_say() {
        let pdf = of(b"%PDF-1.7\n1 0 obj", "application/pdf");
        assert_eq!((&*pdf.what, pdf.pdf_version.as_deref()), ("a PDF, version 1.7", Some("1.7")));
        assert_eq!(pdf.mismatch, None);
        assert!(of(b"%PDF-1.7\n1 0 obj", "image/png").mismatch.is_some());
        let text = of("one\ntwo\n3\n4\n5\n6\n".as_bytes(), "text/plain");
        assert_eq!(text.lines, ["one", "two", "3", "4", "5"]);
    }

    #[test]
    fn an_image_of_50_000_by_50_000_is_told_and_not_decoded() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([50_000_u32.to_be_bytes(), 50_000_u32.to_be_bytes()].concat());
        png.extend(b"\x08\x02\0\0\0\0\0\0\0");
        let preview = of(&png, "image/png");
        assert_eq!((preview.width, preview.height), (Some(50_000), Some(50_000)));
    }
}
