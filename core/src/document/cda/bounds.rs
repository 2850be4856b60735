//! What is looked at before a tree is built: one pass that ends at the first thing that a clinical document must not have.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::CdaError;
use crate::limits::{CDA_ATTRIBUTES_MAX, CDA_DEPTH_MAX, CDA_LENGTH_MAX, CDA_NODES_MAX, CDA_TAG_LENGTH_MAX};

/// The document as text, once its size, depth, tags and references are known to be within bounds.
pub(super) fn check(bytes: &[u8]) -> Result<&str, CdaError> {
    if bytes.len() > CDA_LENGTH_MAX {
        return Err(CdaError::TooLarge { length: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| CdaError::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let (mut depth, mut nodes) = (0_usize, 0_usize);
    loop {
        let event = reader.read_event().map_err(|_| CdaError::Malformed { offset: reader.error_position() })?;
        nodes += 1;
        if nodes > CDA_NODES_MAX {
            return Err(CdaError::TooManyNodes);
        }
        match event {
            Event::Start(tag) => {
                check_tag(&tag)?;
                depth += 1;
                if depth > CDA_DEPTH_MAX {
                    return Err(CdaError::TooDeep);
                }
            }
            Event::Empty(tag) => check_tag(&tag)?,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Decl(declaration) => {
                let encoding = declaration.encoding();
                if encoding
                    .is_some_and(|encoding| !encoding.is_ok_and(|encoding| encoding.eq_ignore_ascii_case("utf-8")))
                {
                    return Err(CdaError::Encoding);
                }
            }
            Event::DocType(_) => return Err(CdaError::DocumentType),
            Event::GeneralRef(reference) => {
                let is_own = matches!(&*reference, "amp" | "lt" | "gt" | "quot" | "apos");
                if !is_own && !reference.is_char_ref() {
                    return Err(CdaError::Entity);
                }
            }
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return Ok(text),
        }
    }
}

fn check_tag(tag: &BytesStart<'_>) -> Result<(), CdaError> {
    let is_small = tag.len() <= CDA_TAG_LENGTH_MAX
        && tag.attributes().with_checks(false).take(CDA_ATTRIBUTES_MAX + 1).count() <= CDA_ATTRIBUTES_MAX;
    if is_small { Ok(()) } else { Err(CdaError::TagTooLong) }
}
