//! Looking into what is compressed: gzip, zlib and Zstandard wherever they start, raw deflate where it might.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

/// How much of one compressed stream is unpacked, in bytes.
const UNPACKED_LENGTH_MAX: u64 = 4 << 20;
/// How deep streams inside streams are followed.
const DEPTH_MAX: u8 = 3;
/// Less unpacked output than this holds no piece that the search looks for.
const OUTPUT_LENGTH_MIN: usize = super::search::NEEDLE_LENGTH_MIN;

/// Whether raw deflate, which has no mark of its own, is tried at every byte. It costs about a microsecond a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawDeflate {
    /// At every byte.
    Everywhere,
    /// Nowhere.
    Nowhere,
}

/// Hands `see` the bytes themselves, then whatever unpacks from anywhere in them, streams in streams included.
///
/// What unpacks before a stream turns out to be broken counts too.
pub(super) fn unpack(bytes: &[u8], raw_deflate: RawDeflate, see: &mut impl FnMut(&[u8])) {
    unpack_at_depth(bytes, raw_deflate, 0, see);
}

fn unpack_at_depth(bytes: &[u8], raw_deflate: RawDeflate, depth: u8, see: &mut impl FnMut(&[u8])) {
    see(bytes);
    if depth == DEPTH_MAX {
        return;
    }
    for start in 0..bytes.len() {
        let here = &bytes[start..];
        let output = if here.starts_with(&[0x1f, 0x8b, 8]) {
            read(GzDecoder::new(here))
        } else if here.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            StreamingDecoder::new(here).map(read).unwrap_or_default()
        } else if is_zlib_header(here) {
            read(ZlibDecoder::new(here))
        } else {
            Vec::new()
        };
        if output.len() >= OUTPUT_LENGTH_MIN {
            unpack_at_depth(&output, RawDeflate::Nowhere, depth + 1, see);
        }
        if raw_deflate == RawDeflate::Everywhere && may_be_deflate(here) {
            let output = read(DeflateDecoder::new(here));
            if output.len() >= OUTPUT_LENGTH_MIN {
                see(&output);
            }
        }
    }
}

/// What comes out before the end or the first error.
fn read(decoder: impl Read) -> Vec<u8> {
    let mut output = Vec::new();
    let _ = decoder.take(UNPACKED_LENGTH_MAX).read_to_end(&mut output);
    output
}

/// Method 8, a window of at most 32 KiB, no preset dictionary, and the check bits (RFC 1950 section 2.2).
fn is_zlib_header(bytes: &[u8]) -> bool {
    let [method, flags, ..] = *bytes else { return false };
    method & 0x0f == 8
        && method >> 4 <= 7
        && flags & 0x20 == 0
        && (u16::from(method) << 8 | u16::from(flags)).is_multiple_of(31)
}

/// Whether a deflate block of a defined type starts here; a stored one has its length twice (RFC 1951 section 3.2.4).
fn may_be_deflate(bytes: &[u8]) -> bool {
    match *bytes {
        [first, a, b, c, d, ..] => match first >> 1 & 3 {
            0 => a == !c && b == !d,
            1 | 2 => true,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"Mrs Aubert may go home on Thursday. Mrs Aubert takes bisoprolol, 2.5 mg in the morning.";

    /// Zstandard of [`TEXT`] by one raw block (RFC 8878): magic, single segment with a one-byte size, header, bytes.
    fn zstandard() -> Vec<u8> {
        let length = u8::try_from(TEXT.len()).unwrap();
        let header = 1 | u32::from(length) << 3; // last block, raw
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, length];
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(TEXT);
        frame
    }

    fn packed() -> Vec<(&'static str, Vec<u8>)> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(TEXT).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(TEXT).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(TEXT).unwrap();
        let mut stored = DeflateEncoder::new(Vec::new(), Compression::none());
        stored.write_all(TEXT).unwrap();
        let mut twice = ZlibEncoder::new(Vec::new(), Compression::best());
        twice.write_all(&gzip).unwrap();
        vec![
            ("gzip", gzip),
            ("zlib", zlib.finish().unwrap()),
            ("deflate", deflate.finish().unwrap()),
            ("stored deflate", stored.finish().unwrap()),
            ("zstandard", zstandard()),
            ("gzip in zlib", twice.finish().unwrap()),
        ]
    }

    #[test]
    fn what_is_packed_is_found_wherever_it_starts() {
        for (name, packed) in packed() {
            for before in [0_usize, 1, 777] {
                let mut bytes: Vec<u8> = (0..before).map(|number| u8::try_from(number % 251).unwrap()).collect();
                bytes.extend_from_slice(&packed);
                bytes.extend_from_slice(&[0xee; 50]);
                let mut found = false;
                unpack(&bytes, RawDeflate::Everywhere, &mut |output| {
                    found |= output.windows(TEXT.len()).any(|window| window == TEXT);
                });
                assert!(found, "{name} after {before} bytes");
            }
        }
    }

    #[test]
    fn a_broken_stream_gives_what_came_before_the_break() {
        let (_, mut gzip) = packed().remove(0);
        gzip.truncate(gzip.len() - 12);
        let mut longest = 0;
        unpack(&gzip, RawDeflate::Nowhere, &mut |output| {
            if TEXT.starts_with(output) {
                longest = longest.max(output.len());
            }
        });
        assert!(longest > TEXT.len() / 2, "{longest}");
    }
}
