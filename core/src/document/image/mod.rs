//! Images: their format and size by the header, and the removal of all that says where, when and with what they were taken.

mod exif;
mod jpeg;
mod png;
#[cfg(test)]
mod tests;
mod webp;

use thiserror::Error;

use crate::limits::IMAGE_LENGTH_MAX;

/// A format of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG, animated ones included.
    Png,
    /// GIF.
    Gif,
    /// WebP (RFC 9649).
    WebP,
    /// TIFF, and the raw formats of cameras that are TIFF too.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// HEIF with HEVC, as telephones write it.
    Heic,
    /// HEIF with AV1.
    Avif,
    /// JPEG 2000.
    Jpeg2000,
    /// JPEG XL.
    JpegXl,
    /// A raw format of a camera that is told by its first bytes.
    Raw,
}

/// The size of an image in pixels, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Why metadata is not removed. There is no silent pass: what is not cleaned is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StripError {
    /// It is an image of a format that is not cleaned.
    #[error("metadata is not removed from {}", .0.description())]
    Unsupported(ImageFormat),
    /// It is no image that is known here.
    #[error("this is no image of a known format")]
    NotImage,
    /// Over [`IMAGE_LENGTH_MAX`].
    #[error("the image has {length} bytes; at most {IMAGE_LENGTH_MAX} are cleaned")]
    TooLarge {
        /// Bytes.
        length: usize,
    },
    /// It ends before its end.
    #[error("the image is cut off")]
    Truncated,
    /// It is not built as its format says.
    #[error("the image is damaged: {0}")]
    Malformed(&'static str),
}

/// Removes from a JPEG, PNG or WebP image everything that is not needed to show it: EXIF, XMP, IPTC, comments, texts, thumbnails,
/// notes of the maker, and what follows the image. The encoded pixels and the colour profile stay byte for byte; how the
/// image is turned stays as an EXIF block of its own with nothing else in it.
///
/// # Errors
/// [`StripError`]
pub fn strip_location(bytes: &[u8]) -> Result<Vec<u8>, StripError> {
    if bytes.len() > IMAGE_LENGTH_MAX {
        return Err(StripError::TooLarge { length: bytes.len() });
    }
    match ImageFormat::detect(bytes).ok_or(StripError::NotImage)? {
        ImageFormat::Jpeg => jpeg::strip(bytes),
        ImageFormat::Png => png::strip(bytes),
        ImageFormat::WebP => webp::strip(bytes),
        other => Err(StripError::Unsupported(other)),
    }
}

impl ImageFormat {
    /// Tells by the first bytes.
    pub(super) fn detect(bytes: &[u8]) -> Option<Self> {
        let starts_with = |start: &[u8]| bytes.starts_with(start);
        let at_8 = bytes.get(8..12);
        match bytes.get(4..8) {
            Some(b"ftyp") => return Self::of_brands(bytes),
            Some(b"jP  ") if starts_with(&[0, 0, 0, 12]) => return Some(Self::Jpeg2000),
            Some(b"JXL ") if starts_with(&[0, 0, 0, 12]) => return Some(Self::JpegXl),
            _ => {}
        }
        let raw: [&[u8]; 4] = [b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS"];
        let formats: [(&[u8], Self); 9] = [
            (b"\xff\xd8\xff", Self::Jpeg),
            (png::SIGNATURE, Self::Png),
            (b"GIF87a", Self::Gif),
            (b"GIF89a", Self::Gif),
            (b"II*\0", Self::Tiff),
            (b"MM\0*", Self::Tiff),
            (b"II+\0", Self::Tiff),
            (b"MM\0+", Self::Tiff),
            (b"\xff\x0a", Self::JpegXl),
        ];
        if starts_with(b"RIFF") && at_8 == Some(b"WEBP") {
            return Some(Self::WebP);
        }
        if starts_with(b"BM") && bytes.get(6..10) == Some(&[0; 4]) {
            return Some(Self::Bmp);
        }
        if raw.iter().any(|start| starts_with(start)) {
            return Some(Self::Raw);
        }
        formats.iter().find(|(start, _)| starts_with(start)).map(|(_, format)| *format)
    }

    /// By the brands of an ISO base media file; a film is none of ours.
    fn of_brands(bytes: &[u8]) -> Option<Self> {
        let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
        let end = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len()).min(256);
        // The major brand, and behind the minor version the compatible ones.
        let brands = bytes.get(8..12).into_iter().chain(bytes.get(16..end).unwrap_or_default().chunks_exact(4));
        brands.into_iter().find_map(|brand| match brand {
            b"avif" | b"avis" => Some(Self::Avif),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" | b"mif1" | b"msf1" => {
                Some(Self::Heic)
            }
            b"crx " => Some(Self::Raw),
            _ => None,
        })
    }

    /// The format that a media type in lower case names.
    pub(super) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Some(Self::Jpeg),
            "image/png" | "image/apng" => Some(Self::Png),
            "image/gif" => Some(Self::Gif),
            "image/webp" => Some(Self::WebP),
            "image/tiff" => Some(Self::Tiff),
            "image/bmp" | "image/x-ms-bmp" => Some(Self::Bmp),
            "image/heic" | "image/heif" => Some(Self::Heic),
            "image/avif" => Some(Self::Avif),
            "image/jp2" => Some(Self::Jpeg2000),
            "image/jxl" => Some(Self::JpegXl),
            _ => None,
        }
    }

    /// The media type; raw formats have none in common.
    #[must_use]
    pub fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Jpeg => Some("image/jpeg"),
            Self::Png => Some("image/png"),
            Self::Gif => Some("image/gif"),
            Self::WebP => Some("image/webp"),
            Self::Tiff => Some("image/tiff"),
            Self::Bmp => Some("image/bmp"),
            Self::Heic => Some("image/heic"),
            Self::Avif => Some("image/avif"),
            Self::Jpeg2000 => Some("image/jp2"),
            Self::JpegXl => Some("image/jxl"),
            Self::Raw => None,
        }
    }

    /// For a person, for instance "a PNG image".
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Jpeg => "a JPEG image",
            Self::Png => "a PNG image",
            Self::Gif => "a GIF image",
            Self::WebP => "a WebP image",
            Self::Tiff => "a TIFF image",
            Self::Bmp => "a BMP image",
            Self::Heic => "a HEIC image",
            Self::Avif => "an AVIF image",
            Self::Jpeg2000 => "a JPEG 2000 image",
            Self::JpegXl => "a JPEG XL image",
            Self::Raw => "a raw image of a camera",
        }
    }
}

impl Dimensions {
    /// What the header says, if it says it in these bytes.
    pub(super) fn read(format: ImageFormat, prefix: &[u8]) -> Option<Self> {
        let kind = match format {
            ImageFormat::Jpeg => imagesize::ImageType::Jpeg,
            ImageFormat::Png => imagesize::ImageType::Png,
            ImageFormat::Gif => imagesize::ImageType::Gif,
            ImageFormat::Tiff => imagesize::ImageType::Tiff,
            ImageFormat::Bmp => imagesize::ImageType::Bmp,
            ImageFormat::WebP => imagesize::ImageType::Webp,
            // Of the others it reads none, or (HEIF) with a multiplication that overflows where a pointer has 32 bits.
            _ => return None,
        };
        let mut reader = std::io::Cursor::new(prefix);
        if format == ImageFormat::WebP {
            reader.set_position(12); // its reader begins behind the signature
        }
        let size = kind.reader_size(&mut reader).ok()?;
        let (mut width, mut height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
        match format {
            ImageFormat::Bmp => height = height.cast_signed().unsigned_abs(), // negative: the rows go downwards
            ImageFormat::WebP if prefix.get(12..16) == Some(b"VP8 ") => {
                (width, height) = (width & 0x3fff, height & 0x3fff); // above are hints for scaling
            }
            _ => {}
        }
        (width > 0 && height > 0).then_some(Self { width, height })
    }
}
