//! PNG (W3C PNG, third edition): the chunks that a decoder needs stay, those of animations included; the rest goes.

use super::StripError;
use super::exif::Orientation;

/// How every PNG begins.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Bytes of the header chunk's content.
const HEADER_LENGTH: usize = 13;

/// A chunk: its type, its content, and all of it as it stands in the file.
struct Chunk<'a> {
    kind: &'a [u8; 4],
    content: &'a [u8],
    whole: &'a [u8],
}

pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, StripError> {
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or(StripError::Malformed("no signature"))?;
    let header = chunk(&mut rest)?;
    if header.kind != b"IHDR" || header.content.len() != HEADER_LENGTH {
        return Err(StripError::Malformed("no header"));
    }
    let (mut orientation, mut has_data, mut kept) = (None, false, Vec::with_capacity(bytes.len()));
    loop {
        let chunk = chunk(&mut rest)?;
        match chunk.kind {
            b"IEND" => {
                kept.extend_from_slice(chunk.whole);
                break; // what follows is no part of the image
            }
            b"IDAT" => {
                has_data = true;
                kept.extend_from_slice(chunk.whole);
            }
            b"PLTE" | b"tRNS" | b"cHRM" | b"gAMA" | b"iCCP" | b"sBIT" | b"sRGB" | b"cICP" | b"mDCV" | b"cLLI"
            | b"bKGD" | b"hIST" | b"pHYs" | b"acTL" | b"fcTL" | b"fdAT" => kept.extend_from_slice(chunk.whole),
            b"eXIf" => orientation = orientation.or(Orientation::find(chunk.content)),
            // A small first letter: a decoder can do without.
            [first, ..] if first.is_ascii_lowercase() => {}
            _ => return Err(StripError::Malformed("a chunk that is needed and not known")),
        }
    }
    if !has_data {
        return Err(StripError::Malformed("no image in it"));
    }
    let mut stripped = [SIGNATURE, header.whole].concat();
    if let Some(orientation) = orientation {
        let block = orientation.block();
        stripped.extend(26_u32.to_be_bytes());
        stripped.extend_from_slice(b"eXIf");
        stripped.extend_from_slice(&block);
        stripped.extend(checksum(b"eXIf", &block).to_be_bytes());
    }
    stripped.append(&mut kept);
    Ok(stripped)
}

/// Takes a chunk, whose checksum must be right.
fn chunk<'a>(rest: &mut &'a [u8]) -> Result<Chunk<'a>, StripError> {
    let whole = *rest;
    let (length, after) = whole.split_first_chunk().ok_or(StripError::Truncated)?;
    let (kind, after) = after.split_first_chunk().ok_or(StripError::Truncated)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| StripError::Truncated)?;
    let (content, after) = after.split_at_checked(length).ok_or(StripError::Truncated)?;
    let (sum, after) = after.split_first_chunk().ok_or(StripError::Truncated)?;
    if u32::from_be_bytes(*sum) != checksum(kind, content) {
        return Err(StripError::Malformed("a chunk with a wrong checksum"));
    }
    *rest = after;
    let whole = whole.get(..12 + length).ok_or(StripError::Truncated)?;
    Ok(Chunk { kind, content, whole })
}

fn checksum(kind: &[u8; 4], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind);
    hasher.update(content);
    hasher.finalize()
}
