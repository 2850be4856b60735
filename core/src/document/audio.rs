//! Recordings: what one is by its bytes, and how long it takes. Ogg with Opus (RFC 7845) and MPEG-4 audio (ISO/IEC 14496-12), which
//! is what telephones and browsers record. Nothing is decoded.

use crate::limits::VOICE_DURATION_MAX;

/// Bytes of an Ogg page before its table of segments.
const OGG_HEADER_LENGTH: usize = 27;
/// Samples of Opus a millisecond, whatever was recorded at.
const OPUS_SAMPLES_PER_MS: u64 = 48;

/// A recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    /// `audio/ogg` or `audio/mp4`.
    pub media_type: &'static str,
    /// Milliseconds: 1 to [`VOICE_DURATION_MAX`].
    pub duration: u32,
}

impl Recording {
    /// Looks at all of a file. `None` if it is neither of the two, has pictures, or takes longer than a voice message may.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        let (media_type, duration) = match ogg_opus(bytes) {
            Some(duration) => ("audio/ogg", duration),
            None => ("audio/mp4", mpeg4(bytes)?),
        };
        let duration = u32::try_from(duration.max(1)).ok().filter(|duration| *duration <= VOICE_DURATION_MAX)?;
        Some(Self { media_type, duration })
    }
}

/// Milliseconds of an Ogg file whose one stream is Opus: the last page's position less what is skipped at the beginning.
fn ogg_opus(bytes: &[u8]) -> Option<u64> {
    let (first, mut rest) = OggPage::read(bytes)?;
    let skipped = first.body.strip_prefix(b"OpusHead")?.get(2..4)?;
    let skipped = u64::from(u16::from_le_bytes(skipped.try_into().ok()?));
    let mut last = None;
    while let Some((page, after)) = OggPage::read(rest) {
        // A second stream is something else than a recording.
        if page.serial != first.serial {
            return None;
        }
        // All ones: no packet ends on the page.
        last = last.max(Some(page.position).filter(|position| *position <= i64::MAX as u64));
        rest = after;
    }
    Some(last?.checked_sub(skipped)? / OPUS_SAMPLES_PER_MS)
}

struct OggPage<'a> {
    position: u64,
    serial: u32,
    body: &'a [u8],
}

impl<'a> OggPage<'a> {
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_at_checked(OGG_HEADER_LENGTH)?;
        let header = header.strip_prefix(b"OggS\0")?;
        let position = u64::from_le_bytes(header.get(1..9)?.try_into().ok()?);
        let serial = u32::from_le_bytes(header.get(9..13)?.try_into().ok()?);
        let (segments, rest) = rest.split_at_checked(usize::from(*header.last()?))?;
        let length = segments.iter().map(|length| usize::from(*length)).sum();
        let (body, rest) = rest.split_at_checked(length)?;
        Some((Self { position, serial, body }, rest))
    }
}

/// Milliseconds of an MPEG-4 file all of whose tracks are sound.
fn mpeg4(bytes: &[u8]) -> Option<u64> {
    let mut boxes = Boxes(bytes);
    if boxes.next()?.0 != *b"ftyp" {
        return None;
    }
    let (_, movie) = boxes.find(|(kind, _)| kind == b"moov")?;
    let mut tracks = Boxes(movie).filter(|(kind, _)| kind == b"trak").peekable();
    tracks.peek()?;
    let handler = |track| {
        let (_, media) = Boxes(track).find(|(kind, _)| kind == b"mdia")?;
        let (_, handler) = Boxes(media).find(|(kind, _)| kind == b"hdlr")?;
        handler.get(8..12)
    };
    if !tracks.all(|(_, track)| handler(track) == Some(b"soun")) {
        return None;
    }
    let (_, header) = Boxes(movie).find(|(kind, _)| kind == b"mvhd")?;
    let number = |at: usize| Some(u64::from(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?)));
    let (scale, duration) = match header.first()? {
        0 => (number(12)?, number(16)?),
        1 => (number(20)?, (number(24)? << 32) | number(28)?),
        _ => return None,
    };
    duration.checked_mul(1000)?.checked_div(scale)
}

/// Boxes one after the other: their kinds and what is in them.
struct Boxes<'a>(&'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = u64::from(u32::from_be_bytes(*self.0.first_chunk()?));
        let kind = self.0.get(4..8)?.try_into().ok()?;
        let (header, length) = match length {
            // It goes to the end.
            0 => (8, self.0.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(self.0.get(8..16)?.try_into().ok()?)).ok()?),
            length => (8, usize::try_from(length).ok()?),
        };
        let inside = self.0.get(header..length)?;
        self.0 = self.0.get(length..)?;
        Some((kind, inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(serial: u32, position: u64, body: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0\0".to_vec();
        page.extend_from_slice(&position.to_le_bytes());
        page.extend_from_slice(&serial.to_le_bytes());
        page.extend_from_slice(&[0; 8]);
        page.extend_from_slice(&[1, u8::try_from(body.len()).unwrap()]);
        page.extend_from_slice(body);
        page
    }

    fn opus(samples: u64) -> Vec<u8> {
        let head = [&b"OpusHead\x01\x01"[..], &312_u16.to_le_bytes(), &48_000_u32.to_le_bytes(), &[0; 3]].concat();
        let pages = [page(7, 0, &head), page(7, 0, b"OpusTags"), page(7, u64::MAX, b"part"), page(7, samples, b"end")];
        pages.concat()
    }

    fn atom(kind: &[u8; 4], inside: &[u8]) -> Vec<u8> {
        [&u32::try_from(inside.len() + 8).unwrap().to_be_bytes()[..], kind, inside].concat()
    }

    fn m4a(handlers: &[&[u8; 4]], header: &[u8]) -> Vec<u8> {
        let track = |handler: &&[u8; 4]| {
            let handler = atom(b"hdlr", &[&[0; 8][..], *handler, &[0; 12]].concat());
            atom(b"trak", &atom(b"mdia", &handler))
        };
        let movie = [atom(b"mvhd", header), handlers.iter().map(track).collect::<Vec<_>>().concat()].concat();
        [atom(b"ftyp", b"M4A \0\0\0\0"), atom(b"mdat", &[1; 99]), atom(b"moov", &movie)].concat()
    }

    fn short_header(scale: u32, duration: u32) -> Vec<u8> {
        [&[0; 12][..], &scale.to_be_bytes(), &duration.to_be_bytes(), &[0; 80]].concat()
    }

    #[test]
    fn recordings_are_told_with_their_length() {
        let recording = |media_type, duration| Some(Recording { media_type, duration });
        assert_eq!(Recording::detect(&opus(48_312)), recording("audio/ogg", 1000));
        assert_eq!(Recording::detect(&m4a(&[b"soun"], &short_header(44_100, 88_200))), recording("audio/mp4", 2000));
        let long = [&[1, 0, 0, 0][..], &[0; 16], &600_u32.to_be_bytes(), &900_u64.to_be_bytes(), &[0; 80]].concat();
        assert_eq!(Recording::detect(&m4a(&[b"soun"], &long)), recording("audio/mp4", 1500));
        assert_eq!(Recording::detect(&m4a(&[b"soun"], &short_header(1000, 0))), recording("audio/mp4", 1));
    }

    #[test]
    fn what_is_no_recording_is_none() {
        let whole = opus(48_312);
        for bytes in [
            &b""[..],
            b"RIFF....WAVE",
            &whole[..20],
            &opus(48 * u64::from(VOICE_DURATION_MAX) + 48 + 312),
            &opus(100),
            &[whole.clone(), page(8, 0, b"another stream")].concat(),
            &m4a(&[b"soun", b"vide"], &short_header(1000, 2000)),
            &m4a(&[], &short_header(1000, 2000)),
            &m4a(&[b"soun"], &short_header(0, 2000)),
            &m4a(&[b"soun"], &[2; 100]),
        ] {
            assert_eq!(Recording::detect(bytes), None);
        }
        // However it is cut, nothing is read beyond the end.
        for recording in [whole, m4a(&[b"soun"], &short_header(44_100, 88_200))] {
            for end in 0..recording.len() {
                let _ = Recording::detect(&recording[..end]);
            }
        }
    }
}
