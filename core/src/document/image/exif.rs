//! Of EXIF, the one thing that an image needs to be shown right: how it is turned.

/// What stands before EXIF in a JPEG, and by mistake in some WebP files.
pub(super) const PREFIX: &[u8] = b"Exif\0\0";
/// The tag of the orientation (EXIF 2.32, 4.6.4).
const ORIENTATION: u16 = 0x0112;
/// The type of its value: two bytes.
const SHORT: u16 = 3;

/// How an image is to be turned or mirrored before it is shown: 2 to 8. The value 1 says nothing and is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

impl Orientation {
    /// Finds it in the first directory of an EXIF block, with or without its prefix. Nothing is found in a damaged block.
    pub(super) fn find(block: &[u8]) -> Option<Self> {
        let tiff = block.strip_prefix(PREFIX).unwrap_or(block);
        let is_little = match tiff.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let two = |at: usize| {
            let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
        };
        let four = |at: usize| {
            let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
        };
        let directory = usize::try_from(four(4)?).ok()?;
        let entries = usize::from(two(directory)?);
        let entry = |index: usize| directory.checked_add(2)?.checked_add(index * 12);
        let found = (0..entries).map_while(entry).find(|at| two(*at) == Some(ORIENTATION))?;
        if (two(found + 2)?, four(found + 4)?) != (SHORT, 1) {
            return None;
        }
        u8::try_from(two(found + 8)?).ok().filter(|value| (2..=8).contains(value)).map(Self)
    }

    /// An EXIF block, without prefix, that says this and nothing else.
    pub(super) fn block(self) -> [u8; 26] {
        let mut block = *b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
        block[19] = self.0;
        block
    }
}
