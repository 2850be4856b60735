//! The code that a new device shows: where its offer lies, and which offer it is.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use thiserror::Error;

use crate::crypto::hash::labelled_sha256;
use crate::crypto::secret::Secret;
use crate::label;

/// What goes before the code's letters, so that a reader of QR codes knows what it has found.
const PREFIX: &str = "MEDIPEPS-LINK:";
/// The version of the protocol behind the code.
const VERSION: u8 = 1;
/// Letters behind the prefix: base32 of version, secret, hash and checksum.
const CODE_LENGTH: usize = 82;
const CHECKSUM_LENGTH: usize = 2;

/// A linking code. It is good for one linking, for ten minutes.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkingCode {
    /// Whoever has it can read the offer and put an answer, and no more.
    pub rendezvous_secret: Secret<16>,
    /// Of the offer as it lies at the server.
    pub offer_hash: [u8; 32],
}

/// Why a text is no linking code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LinkingCodeError {
    /// The wrong length, another beginning, or a character that base32 does not have.
    #[error(
        "a linking code begins with {PREFIX} and has {CODE_LENGTH} letters A-Z and digits 2-7 after that; copy it whole"
    )]
    Form,
    /// A character was mistyped.
    #[error("the linking code's checksum is wrong; a character was lost or mistyped")]
    Checksum,
    /// Made by a newer version of this program.
    #[error("the linking code is of version {0}, which this program does not know")]
    Version(u8),
}

impl fmt::Display for LinkingCode {
    /// The code for a person or a QR code; all its characters are in the QR code's alphanumeric set.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.rendezvous_secret.as_bytes());
        bytes.extend_from_slice(&self.offer_hash);
        bytes.extend_from_slice(&checksum(&bytes));
        write!(formatter, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes))
    }
}

impl FromStr for LinkingCode {
    type Err = LinkingCodeError;

    /// Reads a code; white space, hyphens, lower case and a missing prefix are forgiven.
    fn from_str(text: &str) -> Result<Self, LinkingCodeError> {
        let typed: String = text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>().to_uppercase();
        let code = typed.strip_prefix(PREFIX).unwrap_or(&typed).replace('-', "");
        if code.len() != CODE_LENGTH {
            return Err(LinkingCodeError::Form);
        }
        let bytes = BASE32_NOPAD.decode(code.as_bytes()).map_err(|_| LinkingCodeError::Form)?;
        let (body, sum) = bytes.split_at_checked(bytes.len() - CHECKSUM_LENGTH).ok_or(LinkingCodeError::Form)?;
        if checksum(body) != sum {
            return Err(LinkingCodeError::Checksum);
        }
        let (&version, rest) = body.split_first().ok_or(LinkingCodeError::Form)?;
        if version != VERSION {
            return Err(LinkingCodeError::Version(version));
        }
        let (secret, hash) = rest.split_at_checked(16).ok_or(LinkingCodeError::Form)?;
        Ok(Self {
            rendezvous_secret: Secret::from_slice(secret).ok_or(LinkingCodeError::Form)?,
            offer_hash: hash.try_into().map_err(|_| LinkingCodeError::Form)?,
        })
    }
}

impl fmt::Debug for LinkingCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkingCode(..)")
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let hash = labelled_sha256(label::LINKING_CHECKSUM, &[bytes]);
    [hash[0], hash[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_even_when_typed_by_hand() {
        let code = LinkingCode { rendezvous_secret: Secret::from([9; 16]), offer_hash: [7; 32] };
        let text = code.to_string();
        assert_eq!(text.len(), PREFIX.len() + CODE_LENGTH);
        assert_eq!(text.parse(), Ok(code.clone()));
        let typed = format!(" {}-{}\n", text[PREFIX.len()..50].to_lowercase(), &text[50..]);
        assert_eq!(typed.parse(), Ok(code));
    }

    #[test]
    fn codes_that_are_malformed_are_refused() {
        let code = LinkingCode { rendezvous_secret: Secret::from([9; 16]), offer_hash: [7; 32] };
        let text = code.to_string();
        for cut in [&text[..text.len() - 1], "", PREFIX, "https://clinic.example/"] {
            assert_eq!(cut.parse::<LinkingCode>(), Err(LinkingCodeError::Form), "{cut}");
        }
        let mut mistyped = text.clone().into_bytes();
        mistyped[40] = if mistyped[40] == b'A' { b'B' } else { b'A' };
        assert_eq!(String::from_utf8(mistyped).unwrap().parse::<LinkingCode>(), Err(LinkingCodeError::Checksum));
        let mut newer = vec![2; 49];
        newer.extend_from_slice(&checksum(&newer));
        assert_eq!(BASE32_NOPAD.encode(&newer).parse::<LinkingCode>(), Err(LinkingCodeError::Version(2)));
    }

    #[test]
    fn a_code_is_not_printed_where_secrets_are_not() {
        let code = LinkingCode { rendezvous_secret: Secret::from([9; 16]), offer_hash: [7; 32] };
        assert_eq!(format!("{code:?}"), "LinkingCode(..)");
    }
}
