//! WebP (RFC 9649): the chunks that a decoder needs stay, within the frames of an animation too; the rest goes.

use super::StripError;
use super::exif::Orientation;

/// Bytes before the first chunk: `RIFF`, a length, `WEBP`.
const HEADER_LENGTH: usize = 12;
/// Bytes of the chunk that announces the others.
const EXTENDED_LENGTH: usize = 10;
/// Its flag for an EXIF chunk.
const HAS_EXIF: u8 = 0x08;
/// Its flag for an XMP chunk.
const HAS_XMP: u8 = 0x04;
/// Bytes of an animation frame's own header.
const FRAME_HEADER_LENGTH: usize = 16;

pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, StripError> {
    let length: [u8; 4] = bytes.get(4..8).and_then(|length| length.try_into().ok()).ok_or(StripError::Truncated)?;
    let end = usize::try_from(u32::from_le_bytes(length)).ok().and_then(|length| length.checked_add(8));
    let end = end.ok_or(StripError::Truncated)?;
    if end < HEADER_LENGTH {
        return Err(StripError::Malformed("a file shorter than its header"));
    }
    let mut rest = bytes.get(HEADER_LENGTH..end).ok_or(StripError::Truncated)?; // what follows is no part of the image
    let (mut extended, mut orientation, mut has_data, mut kept) = (None, None, false, Vec::with_capacity(bytes.len()));
    while !rest.is_empty() {
        let (kind, content) = take_chunk(&mut rest)?;
        match kind {
            b"VP8X" => {
                let header: [u8; EXTENDED_LENGTH] =
                    content.try_into().map_err(|_| StripError::Malformed("an extended header of a wrong length"))?;
                extended.get_or_insert(header);
            }
            b"VP8 " | b"VP8L" => {
                has_data = true;
                put_chunk(&mut kept, kind, content);
            }
            b"ICCP" | b"ANIM" | b"ALPH" => put_chunk(&mut kept, kind, content),
            b"ANMF" => {
                has_data = true;
                put_chunk(&mut kept, kind, &frame(content)?);
            }
            b"EXIF" => orientation = orientation.or(Orientation::find(content)),
            _ => {}
        }
    }
    if !has_data {
        return Err(StripError::Malformed("no image in it"));
    }
    let mut chunks = b"WEBP".to_vec();
    if let Some(mut extended) = extended {
        extended[0] = extended[0] & !(HAS_EXIF | HAS_XMP) | if orientation.is_some() { HAS_EXIF } else { 0 };
        put_chunk(&mut chunks, b"VP8X", &extended);
    }
    chunks.append(&mut kept);
    // Without the extended header no reader looks for EXIF, and none saw an orientation before.
    if let (Some(orientation), true) = (orientation, extended.is_some()) {
        put_chunk(&mut chunks, b"EXIF", &orientation.block());
    }
    let mut stripped = b"RIFF".to_vec();
    stripped.extend(u32::try_from(chunks.len()).map_err(|_| StripError::Truncated)?.to_le_bytes());
    stripped.append(&mut chunks);
    Ok(stripped)
}

/// An animation's frame, with its image and its transparency only.
fn frame(content: &[u8]) -> Result<Vec<u8>, StripError> {
    let (header, mut rest) = content.split_at_checked(FRAME_HEADER_LENGTH).ok_or(StripError::Truncated)?;
    let mut kept = header.to_vec();
    while !rest.is_empty() {
        let (kind, content) = take_chunk(&mut rest)?;
        if matches!(kind, b"ALPH" | b"VP8 " | b"VP8L") {
            put_chunk(&mut kept, kind, content);
        }
    }
    Ok(kept)
}

/// Takes a chunk; one of odd length has a byte behind it.
fn take_chunk<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8; 4], &'a [u8]), StripError> {
    let (kind, after) = rest.split_first_chunk().ok_or(StripError::Truncated)?;
    let (length, after) = after.split_first_chunk().ok_or(StripError::Truncated)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| StripError::Truncated)?;
    let (content, after) = after.split_at_checked(length).ok_or(StripError::Truncated)?;
    *rest = after.get(length % 2..).ok_or(StripError::Truncated)?;
    Ok((kind, content))
}

/// Writes a chunk; `content` is not longer than the file that it came from.
fn put_chunk(out: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(kind);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(content);
    if content.len() % 2 == 1 {
        out.push(0);
    }
}
