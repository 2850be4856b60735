//! Images with a place in every corner that their formats have, looked at before and after by an EXIF reader of others.

use proptest::prelude::*;

use super::super::DocumentKind;
use super::*;

/// A place, as every text below says it.
const PLACE: &[u8] = b"48.8583701N 2.2944813E";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0<x exif:GPSLatitude='48.8583701N 2.2944813E'/>";
const EXTENDED_XMP: &[u8] =
    b"http://ns.adobe.com/xmp/extension/\x000123456789ABCDEF0123456789ABCDEF\0\0\0\0\0\0\0\0<x>48.8583701N 2.2944813E";

/// An EXIF block with a maker, an orientation and a latitude.
fn exif_block(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    block.extend(3_u16.to_le_bytes());
    for (tag, kind, count, value) in [
        (0x010f_u16, 2_u16, 23_u32, 50_u32), // maker
        (0x0112, 3, 1, u32::from(orientation)),
        (0x8825, 4, 1, 74), // directory of the place
    ] {
        block
            .extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    block.extend([0; 4]);
    block.extend_from_slice(PLACE);
    block.extend([0; 2]);
    block.extend(2_u16.to_le_bytes());
    for (tag, kind, count, value) in [(1_u16, 2_u16, 2_u32, u32::from(b'N')), (2, 5, 3, 104)] {
        block
            .extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    block.extend([0; 4]);
    for (number, of) in [(48_u32, 1_u32), (51, 1), (3013, 100)] {
        block.extend([number.to_le_bytes(), of.to_le_bytes()].concat());
    }
    block
}

/// What another's reader finds: the latitude, the maker, and how the image is turned.
fn read_exif(image: &[u8]) -> (bool, bool, Option<u32>) {
    let Ok(read) = ::exif::Reader::new().read_from_container(&mut std::io::Cursor::new(image)) else {
        return (false, false, None);
    };
    let has = |tag| read.fields().any(|field| field.tag == tag);
    let orientation = read.get_field(::exif::Tag::Orientation, ::exif::In::PRIMARY);
    let orientation = orientation.and_then(|field| field.value.get_uint(0));
    (has(::exif::Tag::GPSLatitude), has(::exif::Tag::Make), orientation)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A JPEG of two scans; segments before the frame, between the scans, and bytes behind the image.
fn jpeg(before: &[(u8, &[u8])], between: &[(u8, &[u8])], behind: &[u8]) -> Vec<u8> {
    let mut image = vec![0xff, 0xd8];
    let mut put = |marker: u8, content: &[u8], data: &[u8]| {
        image.extend([0xff, marker]);
        image.extend(u16::try_from(content.len() + 2).unwrap().to_be_bytes());
        image.extend([content, data].concat());
    };
    before.iter().for_each(|(marker, content)| put(*marker, content, b""));
    put(0xdb, &[7; 65], b"");
    put(0xc2, &[8, 0xc3, 0x50, 0xc3, 0x50, 1, 1, 0x11, 0], b""); // 50 000 x 50 000
    put(0xc4, &[9; 20], b"");
    put(0xda, &[1, 1, 0, 0, 0, 0], b"\x12\xff\x00\x34\xff\xd0\x56");
    between.iter().for_each(|(marker, content)| put(*marker, content, b""));
    put(0xda, &[1, 1, 0, 1, 5, 0], b"\x78\xff\x00");
    image.extend([0xff, 0xd9]);
    image.extend_from_slice(behind);
    image
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(kind);
    hasher.update(content);
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], kind, content, &hasher.finalize().to_be_bytes()].concat()
}

/// A PNG of 50 000 x 50 000 with further chunks before and behind its data, and bytes behind the image.
fn png(before: &[(&[u8; 4], &[u8])], after: &[(&[u8; 4], &[u8])], behind: &[u8]) -> Vec<u8> {
    let mut header = 50_000_u32.to_be_bytes().repeat(2);
    header.extend([8, 2, 0, 0, 0]);
    let mut image = [png::SIGNATURE, &chunk(b"IHDR", &header)].concat();
    before.iter().for_each(|(kind, content)| image.extend(chunk(kind, content)));
    image.extend(chunk(b"IDAT", b"some data"));
    after.iter().for_each(|(kind, content)| image.extend(chunk(kind, content)));
    image.extend([&chunk(b"IEND", b""), behind].concat());
    image
}

fn riff(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&kind[..], &length, content, &[0][..content.len() % 2]].concat()
}

/// An extended WebP with these flags and chunks.
fn webp(flags: u8, chunks: &[(&[u8; 4], &[u8])], behind: &[u8]) -> Vec<u8> {
    let mut content = b"WEBP".to_vec();
    content.extend(riff(b"VP8X", &[flags, 0, 0, 0, 0x4f, 0xc3, 0, 0x4f, 0xc3, 0]));
    chunks.iter().for_each(|(kind, chunk)| content.extend(riff(kind, chunk)));
    [riff(b"RIFF", &content), behind.to_vec()].concat()
}

const ICC: &[u8] = b"ICC_PROFILE\0\x01\x01a profile of colours";
const ADOBE: &[u8] = b"Adobe\0\x64\0\0\0\0\x01";
const JFIF: &[u8] = b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0";

fn placed_jpeg(orientation: u8) -> Vec<u8> {
    let exif = [exif::PREFIX, &exif_block(orientation)].concat();
    let thumbnail = [&JFIF[..12], &[1, 1, 9, 9, 9], PLACE].concat();
    let iptc = [b"Photoshop 3.0\x008BIM\x04\x04", PLACE].concat();
    let adobe = [ADOBE, PLACE].concat();
    jpeg(
        &[
            (0xe1, &exif),
            (0xe0, &thumbnail),
            (0xe0, &[b"JFXX\0\x10", PLACE].concat()),
            (0xe1, XMP),
            (0xe1, EXTENDED_XMP),
            (0xe2, ICC),
            (0xe2, &[b"MPF\0", PLACE].concat()),
            (0xed, &iptc),
            (0xee, &adobe),
            (0xef, PLACE),
            (0xfe, PLACE),
        ],
        &[(0xfe, PLACE), (0xe1, XMP)],
        &[b"\0\0\0\x18ftypmp42", PLACE].concat(),
    )
}

fn placed_png(orientation: u8) -> Vec<u8> {
    png(
        &[
            (b"iCCP", b"name\0\0profile"),
            (b"tEXt", &[b"Comment\0", PLACE].concat()),
            (b"zTXt", &[b"Raw profile type exif\0\0", PLACE].concat()),
            (b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", XMP].concat()),
            (b"tIME", &[7, 234, 1, 1, 1, 1, 1]),
        ],
        &[(b"eXIf", &exif_block(orientation)), (b"maKe", PLACE), (b"caBX", PLACE)],
        PLACE,
    )
}

fn placed_webp(orientation: u8) -> Vec<u8> {
    let exif = exif_block(orientation);
    webp(
        0x2c,
        &[(b"ICCP", b"profile"), (b"VP8L", b"\x2fpixels"), (b"EXIF", &exif), (b"XMP ", XMP), (b"note", PLACE)],
        PLACE,
    )
}

#[test]
fn a_place_is_gone_and_the_image_is_as_without_it() {
    let cases = [
        (placed_jpeg(1), jpeg(&[(0xe0, JFIF), (0xe2, ICC), (0xee, ADOBE)], &[], b"")),
        (placed_png(1), png(&[(b"iCCP", b"name\0\0profile")], &[], b"")),
        (placed_webp(1), webp(0x20, &[(b"ICCP", b"profile"), (b"VP8L", b"\x2fpixels")], b"")),
    ];
    for (placed, plain) in cases {
        assert_eq!(read_exif(&placed), (true, true, Some(1)));
        assert!(contains(&placed, PLACE));
        let stripped = strip_location(&placed).unwrap();
        assert_eq!(read_exif(&stripped), (false, false, None));
        assert!(stripped == plain, "{}", String::from_utf8_lossy(&stripped));
        assert_eq!(strip_location(&stripped), Ok(stripped));
    }
}

#[test]
fn orientation_stays_and_nothing_with_it() {
    for orientation in 2..=8 {
        for placed in [placed_jpeg(orientation), placed_png(orientation), placed_webp(orientation)] {
            let stripped = strip_location(&placed).unwrap();
            assert_eq!(read_exif(&stripped), (false, false, Some(u32::from(orientation))));
            assert!(!contains(&stripped, PLACE));
            assert_eq!(strip_location(&stripped), Ok(stripped));
        }
    }
    for unknown in [0, 9, 255] {
        assert_eq!(read_exif(&strip_location(&placed_jpeg(unknown)).unwrap()), (false, false, None));
    }
}

#[test]
fn bytes_that_fill_before_a_marker_are_no_data() {
    let image = jpeg(&[], &[], b"");
    let (all_but_end, end) = image.split_at(image.len() - 2);
    assert_eq!(strip_location(&[all_but_end, b"\xff\xff", end].concat()), Ok(image));
}

#[test]
fn frames_of_an_animation_are_cleaned_too() {
    let frame = [vec![1; 16], riff(b"ALPH", b"odd"), riff(b"VP8 ", b"pixels"), riff(b"note", PLACE)].concat();
    let clean = [vec![1; 16], riff(b"ALPH", b"odd"), riff(b"VP8 ", b"pixels")].concat();
    let placed = webp(0x02, &[(b"ANIM", &[0; 6]), (b"ANMF", &frame)], b"");
    assert_eq!(strip_location(&placed), Ok(webp(0x02, &[(b"ANIM", &[0; 6]), (b"ANMF", &clean)], b"")));
}

#[test]
fn formats_that_are_not_cleaned_are_refused_by_name() {
    use ImageFormat::{Avif, Bmp, Gif, Heic, Jpeg2000, JpegXl, Raw, Tiff};
    for (head, format) in [
        (&b"GIF89a\x01\0\x01\0"[..], Gif),
        (b"II*\0\x08\0\0\0", Tiff),
        (b"MM\0*\0\0\0\x08", Tiff),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", Bmp),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Heic),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Heic),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", Avif),
        (b"\0\0\0\x0cjP  \r\n\x87\n", Jpeg2000),
        (b"\0\0\0\x0cJXL \r\n\x87\n", JpegXl),
        (b"\xff\x0a\xfa\x7f", JpegXl),
        (b"FUJIFILMCCD-RAW 0201", Raw),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", Raw),
    ] {
        assert_eq!(strip_location(head), Err(StripError::Unsupported(format)));
        let kind = DocumentKind::detect(head);
        assert!(matches!(kind, DocumentKind::Image { format: found, .. } if found == format), "{kind:?}");
    }
    for none in [&b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"[..], b"RIFF\0\0\0\0WAVE", b"%PDF-1.4", b"", b"\xff\xd8"] {
        assert_eq!(strip_location(none), Err(StripError::NotImage));
    }
    let length = IMAGE_LENGTH_MAX + 1;
    assert_eq!(strip_location(&vec![0; length]), Err(StripError::TooLarge { length }));
}

#[test]
fn cut_images_are_refused() {
    for (image, behind) in
        [(placed_jpeg(6), 12 + PLACE.len()), (placed_png(6), PLACE.len()), (placed_webp(6), PLACE.len())]
    {
        for end in 0..image.len() - behind {
            assert!(strip_location(&image[..end]).is_err(), "cut at {end}");
        }
        assert!(strip_location(&image[..image.len() - behind]).is_ok());
    }
}

#[test]
fn damaged_images_are_refused() {
    let refused = |image: &[u8], why| assert_eq!(strip_location(image), Err(StripError::Malformed(why)));
    let mut image = png(&[], &[], b"");
    let last = image.len() - 1;
    image[last] ^= 1;
    refused(&image, "a chunk with a wrong checksum");
    refused(&png(&[(b"NEED", b"")], &[], b""), "a chunk that is needed and not known");
    refused(&[png::SIGNATURE, &chunk(b"IEND", b"")].concat(), "no header");
    refused(b"\xff\xd8\xff\xe0\x00\x01", "a segment shorter than its length");
    refused(b"\xff\xd8\xff\xd9", "no image in it");
    refused(b"\xff\xd8\xff\xda\x00\x02\x00\xff\xd9", "a scan without a frame");
    refused(b"\xff\xd8\xff\xfe\x00\x02junk", "no marker where one must be");
    refused(b"\xff\xd8\xff\xe0\x00\x07JFIF\0", "a short JFIF segment");
    refused(&webp(0, &[], b""), "no image in it");
    refused(b"RIFF\x02\0\0\0WEBP", "a file shorter than its header");
}

#[test]
fn fifty_thousand_pixels_a_side_are_told_and_never_decoded() {
    let expected = Some(Dimensions { width: 50_000, height: 50_000 });
    let bmp =
        [&b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..], &50_000_i32.to_le_bytes(), &(-50_000_i32).to_le_bytes()]
            .concat();
    let gif = [&b"GIF89a"[..], &50_000_u16.to_le_bytes().repeat(2)].concat();
    for (image, format) in [
        (jpeg(&[(0xe0, JFIF)], &[], b""), ImageFormat::Jpeg),
        (png(&[], &[], b""), ImageFormat::Png),
        (webp(0, &[(b"VP8L", b"\x2fpixels")], b""), ImageFormat::WebP),
        (bmp, ImageFormat::Bmp),
        (gif, ImageFormat::Gif),
    ] {
        assert_eq!(DocumentKind::detect(&image), DocumentKind::Image { format, dimensions: expected });
        if ImageFormat::detect(&image).is_some_and(|format| matches!(format, ImageFormat::Jpeg | ImageFormat::Png)) {
            assert!(strip_location(&image).unwrap().len() <= image.len());
        }
    }
    let beyond = jpeg(&[(0xe1, &[0; 65_000]), (0xe1, &[0; 65_000])], &[], b"");
    let unseen = DocumentKind::Image { format: ImageFormat::Jpeg, dimensions: None };
    assert_eq!(DocumentKind::detect(&beyond), unseen, "the size lies beyond the first bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_images_never_panic(which in 0_usize..3, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut image = [placed_jpeg(6), placed_png(6), placed_webp(6)][which].clone();
        for (at, value) in changes {
            let at = at.index(image.len());
            image[at] = value;
        }
        let _ = DocumentKind::detect(&image);
        if let Ok(stripped) = strip_location(&image) {
            prop_assert_eq!(strip_location(&stripped), Ok(stripped));
        }
    }
}
