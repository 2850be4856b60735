//! What a PDF shows of itself without being interpreted.

use thiserror::Error;

use crate::limits::PDF_SCAN_LENGTH_MAX;

/// Bytes from the beginning in which readers look for the header (ISO 32000-1, annex H, note 13).
const HEADER_WITHIN: usize = 1024;
/// Bytes of a name that are compared; the longest that we look for is shorter.
const NAME_LENGTH_MAX: usize = 32;

/// The version in a PDF's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PdfVersion {
    /// 1 or 2.
    pub major: u8,
    /// 0 to 9.
    pub minor: u8,
}

/// What a scan of a PDF's bytes finds.
///
/// A scan sees names that lie open in the file. It does not see what is in compressed object streams, which most PDFs since 1.5
/// have and which `has_compressed_objects` tells; nor anything in an encrypted file's strings. A name may also stand in a text or
/// a stream and mean nothing. So `true` is a reason for care, and `false` beside `has_compressed_objects` is no promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PdfSummary {
    /// As the header says. The catalogue may raise it.
    pub version: PdfVersion,
    /// A password or a certificate may be needed: `/Encrypt`.
    pub is_encrypted: bool,
    /// It may run scripts: `/JavaScript`, or `/Rendition`, whose actions may carry them.
    pub has_javascript: bool,
    /// It may start programs: `/Launch`.
    pub has_launch_action: bool,
    /// It has other files in it: `/EmbeddedFile`, `/EmbeddedFiles`.
    pub has_embedded_files: bool,
    /// Objects lie in compressed streams, where nothing of the above is seen: `/ObjStm`.
    pub has_compressed_objects: bool,
}

/// Why a PDF is not scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PdfError {
    /// There is no header in the first 1024 bytes.
    #[error("this is not a PDF")]
    NotPdf,
    /// Over [`PDF_SCAN_LENGTH_MAX`]. A part would say nothing about the rest.
    #[error("the PDF has {length} bytes; at most {PDF_SCAN_LENGTH_MAX} are scanned")]
    TooLarge {
        /// Bytes.
        length: usize,
    },
}

impl PdfVersion {
    /// The version in the header, if there is one: `%PDF-` and two digits with a dot between.
    pub(super) fn find(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEADER_WITHIN).unwrap_or(bytes);
        head.windows(8).find_map(|window| match window {
            [b'%', b'P', b'D', b'F', b'-', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
                Some(Self { major: major - b'0', minor: minor - b'0' })
            }
            _ => None,
        })
    }
}

impl PdfSummary {
    /// Scans a whole PDF once.
    ///
    /// # Errors
    /// [`PdfError`]
    pub fn scan(bytes: &[u8]) -> Result<Self, PdfError> {
        if bytes.len() > PDF_SCAN_LENGTH_MAX {
            return Err(PdfError::TooLarge { length: bytes.len() });
        }
        let mut summary = Self {
            version: PdfVersion::find(bytes).ok_or(PdfError::NotPdf)?,
            is_encrypted: false,
            has_javascript: false,
            has_launch_action: false,
            has_embedded_files: false,
            has_compressed_objects: false,
        };
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
            rest = rest.get(at + 1..).unwrap_or_default();
            let (name, length) = name(rest);
            match name.as_slice() {
                b"Encrypt" => summary.is_encrypted = true,
                b"JavaScript" | b"Rendition" => summary.has_javascript = true,
                b"Launch" => summary.has_launch_action = true,
                b"EmbeddedFile" | b"EmbeddedFiles" => summary.has_embedded_files = true,
                b"ObjStm" => summary.has_compressed_objects = true,
                _ => {}
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(summary)
    }
}

/// The name at the beginning, and how many bytes it takes. `#` and two digits stand for a byte (ISO 32000-1, 7.3.5), which is how
/// names are hidden from simpler scans.
fn name(bytes: &[u8]) -> (Vec<u8>, usize) {
    let is_regular =
        |byte: u8| !matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ') && !b"()<>[]{}/%".contains(&byte);
    let length = bytes.iter().position(|byte| !is_regular(*byte)).unwrap_or(bytes.len());
    let mut written = bytes.iter().copied().take(length.min(3 * NAME_LENGTH_MAX));
    let mut name = Vec::new();
    while let Some(byte) = written.next() {
        let escaped = || {
            let mut ahead = written.clone();
            let digits = [ahead.next()?, ahead.next()?].map(|digit| char::from(digit).to_digit(16));
            u8::try_from(digits[0]? * 16 + digits[1]?).ok()
        };
        match (byte == b'#').then(escaped).flatten() {
            Some(value) => {
                name.push(value);
                written.nth(1);
            }
            None => name.push(byte),
        }
    }
    (name, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(body: &str) -> PdfSummary {
        PdfSummary::scan(format!("%PDF-1.6\n{body}").as_bytes()).unwrap()
    }

    #[test]
    fn what_lies_open_is_seen() {
        let plain = scan("1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj trailer <</Root 1 0 R>> %%EOF");
        assert_eq!(plain.version, PdfVersion { major: 1, minor: 6 });
        assert!(!plain.is_encrypted && !plain.has_javascript && !plain.has_launch_action);
        assert!(!plain.has_embedded_files && !plain.has_compressed_objects);
        assert!(scan("trailer <</Encrypt 9 0 R>>").is_encrypted);
        assert!(scan("<</OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>").has_javascript);
        assert!(scan("<</S/Rendition/JS(x)>>").has_javascript);
        assert!(scan("<</S /Launch /F (cmd.exe)>>").has_launch_action);
        assert!(scan("<</Names<</EmbeddedFiles 3 0 R>>>>").has_embedded_files);
        assert!(scan("<</Type/ObjStm/N 2/First 9>>stream").has_compressed_objects);
    }

    #[test]
    fn names_are_found_behind_escapes_and_not_in_longer_ones() {
        assert!(scan("<</S/J#61vaScript>>").has_javascript);
        assert!(scan("<</S/#4a#61#76#61#53#63#72#69#70#74>>").has_javascript);
        assert!(scan("<</S/Laun#63h/F(x)>>").has_launch_action);
        assert!(!scan("<</JavaScripts/Launching/Encrypted#20>>").has_javascript);
        assert!(!scan("/Launch#").has_launch_action);
        assert!(scan("//Launch").has_launch_action);
        assert!(scan("/Launch").has_launch_action, "at the very end");
    }

    #[test]
    fn what_is_no_pdf_or_too_large_is_refused() {
        assert_eq!(PdfSummary::scan(b""), Err(PdfError::NotPdf));
        assert_eq!(PdfSummary::scan(b"%PDF-"), Err(PdfError::NotPdf));
        let length = PDF_SCAN_LENGTH_MAX + 1;
        assert_eq!(PdfSummary::scan(&vec![0; length]), Err(PdfError::TooLarge { length }));
    }
}
