//! JPEG (ITU-T T.81, annex B): the segments that a decoder needs stay, all scans included; the rest goes.

use super::StripError;
use super::exif::{self, Orientation};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;

/// Bytes of a JFIF segment without a thumbnail (JFIF 1.02).
const JFIF_LENGTH: usize = 14;
/// Bytes of the segment that says how Adobe's encoders transform colours.
const ADOBE_LENGTH: usize = 12;

pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, StripError> {
    let (mut jfif, mut orientation, mut kept) = (None, None, Vec::with_capacity(bytes.len()));
    let (mut has_frame, mut has_scan) = (false, false);
    let mut rest = bytes.strip_prefix(&[0xff, SOI]).ok_or(StripError::Malformed("no start of image"))?;
    loop {
        let marker = marker(&mut rest)?;
        if marker == EOI {
            break; // what follows is no part of the image: films, further images, notes of the maker
        }
        let content = content(&mut rest)?;
        match marker {
            APP0 if content.starts_with(b"JFIF\0") => {
                let mut header: [u8; JFIF_LENGTH] =
                    content.first_chunk().copied().ok_or(StripError::Malformed("a short JFIF segment"))?;
                [header[12], header[13]] = [0, 0]; // no thumbnail
                jfif.get_or_insert(header);
            }
            APP1 if content.starts_with(exif::PREFIX) => orientation = orientation.or(Orientation::find(content)),
            APP2 if content.starts_with(b"ICC_PROFILE\0") => segment(&mut kept, marker, content),
            APP14 if content.starts_with(b"Adobe") => {
                let adobe = content.get(..ADOBE_LENGTH).ok_or(StripError::Malformed("a short Adobe segment"))?;
                segment(&mut kept, marker, adobe);
            }
            APP0..=APP15 | COM => {}
            // Frames, tables, restart intervals, numbers of lines.
            0xc0..=0xcf | 0xdb..=0xdf => {
                has_frame |= !matches!(marker, 0xc4 | 0xc8 | 0xcc | 0xdb..=0xdf);
                segment(&mut kept, marker, content);
            }
            SOS => {
                if !has_frame {
                    return Err(StripError::Malformed("a scan without a frame"));
                }
                has_scan = true;
                segment(&mut kept, marker, content);
                kept.extend_from_slice(entropy_coded(&mut rest)?);
            }
            _ => return Err(StripError::Malformed("a marker that is reserved")),
        }
    }
    if !has_scan {
        return Err(StripError::Malformed("no image in it"));
    }
    let mut stripped = vec![0xff, SOI];
    if let Some(jfif) = jfif {
        segment(&mut stripped, APP0, &jfif);
    }
    if let Some(orientation) = orientation {
        segment(&mut stripped, APP1, &[exif::PREFIX, &orientation.block()].concat());
    }
    stripped.append(&mut kept);
    stripped.extend([0xff, EOI]);
    Ok(stripped)
}

/// Takes the next marker, with the fill bytes before it.
fn marker(rest: &mut &[u8]) -> Result<u8, StripError> {
    let (first, mut after) = rest.split_first().ok_or(StripError::Truncated)?;
    if *first != 0xff {
        return Err(StripError::Malformed("no marker where one must be"));
    }
    loop {
        let (byte, behind) = after.split_first().ok_or(StripError::Truncated)?;
        after = behind;
        if *byte != 0xff {
            *rest = after;
            return Ok(*byte);
        }
    }
}

/// Takes what a segment holds behind its length.
fn content<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], StripError> {
    let (length, after) = rest.split_first_chunk().ok_or(StripError::Truncated)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let length = length.checked_sub(2).ok_or(StripError::Malformed("a segment shorter than its length"))?;
    let (content, after) = after.split_at_checked(length).ok_or(StripError::Truncated)?;
    *rest = after;
    Ok(content)
}

/// Takes the coded data of a scan up to the next marker that is no restart.
fn entropy_coded<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], StripError> {
    let whole = *rest;
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7);
    let end = whole.windows(2).position(is_end).ok_or(StripError::Truncated)?;
    let (data, after) = whole.split_at_checked(end).ok_or(StripError::Truncated)?;
    *rest = after;
    Ok(data)
}

/// Writes a segment; `content` came out of one, or is short.
fn segment(out: &mut Vec<u8>, marker: u8, content: &[u8]) {
    let length = u16::try_from(content.len() + 2).unwrap_or(u16::MAX);
    out.extend([0xff, marker]);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(content);
}
