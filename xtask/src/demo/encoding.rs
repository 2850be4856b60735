//! The forms in which a text might lie in a file: as itself, as UTF-16, base64 or hexadecimal.

use std::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// How bytes were written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Encoding {
    /// As they are.
    Plain,
    /// UTF-16, little endian.
    Utf16Little,
    /// UTF-16, big endian.
    Utf16Big,
    /// Base64 (RFC 4648 section 4) inside something longer, at this offset from a multiple of three bytes.
    Base64(u8),
    /// Base64 for file names and URLs (RFC 4648 section 5), at this offset.
    Base64Url(u8),
    /// Hexadecimal in lower case.
    HexLower,
    /// Hexadecimal in upper case.
    HexUpper,
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => formatter.write_str("UTF-8"),
            Self::Utf16Little => formatter.write_str("UTF-16 LE"),
            Self::Utf16Big => formatter.write_str("UTF-16 BE"),
            Self::Base64(offset) => write!(formatter, "base64 at offset {offset}"),
            Self::Base64Url(offset) => write!(formatter, "base64url at offset {offset}"),
            Self::HexLower => formatter.write_str("hex"),
            Self::HexUpper => formatter.write_str("HEX"),
        }
    }
}

/// The bytes in every encoding. UTF-16 comes only where the bytes are text.
pub(super) fn all(bytes: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    let mut forms = vec![
        (Encoding::Plain, bytes.to_vec()),
        (Encoding::HexLower, HEXLOWER.encode(bytes).into_bytes()),
        (Encoding::HexUpper, HEXUPPER.encode(bytes).into_bytes()),
    ];
    if let Ok(text) = std::str::from_utf8(bytes) {
        forms.push((Encoding::Utf16Little, text.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        forms.push((Encoding::Utf16Big, text.encode_utf16().flat_map(u16::to_be_bytes).collect()));
    }
    for offset in 0..3 {
        forms.push((Encoding::Base64(offset), inside(&BASE64_NOPAD, bytes, offset)));
        forms.push((Encoding::Base64Url(offset), inside(&BASE64URL_NOPAD, bytes, offset)));
    }
    forms
}

/// The base64 characters that these bytes alone decide when they follow `offset` bytes of something else.
fn inside(alphabet: &data_encoding::Encoding, bytes: &[u8], offset: u8) -> Vec<u8> {
    let offset = usize::from(offset);
    let mut whole = vec![0; offset];
    whole.extend_from_slice(bytes);
    let first = (offset * 8).div_ceil(6);
    let end = whole.len() * 8 / 6;
    alphabet.encode(&whole).as_bytes()[first..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_whatever_surrounds_the_text() {
        let text = "Mme Aubert, née Lefèvre >>> ???".as_bytes();
        for before in 0..7_usize {
            for after in 0..4 {
                let mut whole = vec![0xa5; before];
                whole.extend_from_slice(text);
                whole.extend(std::iter::repeat_n(0x5a, after));
                let offset = u8::try_from(before % 3).unwrap();
                for (form, alphabet) in [
                    (Encoding::Base64(offset), data_encoding::BASE64),
                    (Encoding::Base64Url(offset), data_encoding::BASE64URL),
                ] {
                    let needle = all(text).into_iter().find(|(encoding, _)| *encoding == form).unwrap().1;
                    let haystack = alphabet.encode(&whole);
                    assert!(haystack.contains(std::str::from_utf8(&needle).unwrap()), "{form}, {before}, {after}");
                }
            }
        }
    }

    #[test]
    fn every_form_is_made() {
        let forms = all(b"report");
        let form = |wanted| {
            String::from_utf8(forms.iter().find(|(encoding, _)| *encoding == wanted).unwrap().1.clone()).unwrap()
        };
        assert_eq!(form(Encoding::Plain), "report");
        assert_eq!(form(Encoding::Utf16Little), "r\0e\0p\0o\0r\0t\0");
        assert_eq!(form(Encoding::Utf16Big), "\0r\0e\0p\0o\0r\0t");
        assert_eq!(form(Encoding::HexLower), "7265706f7274");
        assert_eq!(form(Encoding::HexUpper), "7265706F7274");
        assert_eq!(form(Encoding::Base64(0)), "cmVwb3J0");
        assert_eq!(all(&[0xff; 9]).len(), 9, "no UTF-16 for what is no text");
    }
}
