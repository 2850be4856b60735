//! A code that opens a backup in place of a passphrase: drawn, shown once, and too long to guess.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::hash::labelled_sha256;
use crate::crypto::secret::Secret;
use crate::label;

/// Random bytes of a code: 136 bits.
const SECRET_LENGTH: usize = 17;
/// Bytes of the checksum, against a letter that was copied wrongly.
const CHECKSUM_LENGTH: usize = 3;
/// Letters of a code.
const CODE_LENGTH: usize = 32;
/// Letters that stand together.
const GROUP: usize = 4;

/// A code for one backup. Its `Debug` shows nothing; [`RecoveryCode::text`] is for the person.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Secret<SECRET_LENGTH>);

/// Why a text is no recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecoveryCodeError {
    /// The wrong length, or a character that base32 does not have.
    #[error("a recovery code has {CODE_LENGTH} letters a-z and digits 2-7; copy it whole")]
    Form,
    /// A letter is another.
    #[error("the recovery code's checksum is wrong; a letter was mistyped")]
    Checksum,
}

impl RecoveryCode {
    /// Draws one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// What is stretched as a passphrase is: the letters without spaces, in upper case.
    #[must_use]
    pub fn letters(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(self.0.as_bytes().to_vec());
        bytes.extend_from_slice(&checksum(&self.0));
        Zeroizing::new(BASE32_NOPAD.encode(&bytes))
    }

    /// The code in groups, to write down.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let letters = self.letters();
        let mut text = Zeroizing::new(String::with_capacity(CODE_LENGTH + CODE_LENGTH / GROUP));
        for (index, letter) in letters.chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push(' ');
            }
            text.push(letter);
        }
        text
    }
}

impl FromStr for RecoveryCode {
    type Err = RecoveryCodeError;

    /// Reads a code; white space, hyphens and lower case are forgiven.
    fn from_str(typed: &str) -> Result<Self, RecoveryCodeError> {
        let mut letters = Zeroizing::new(String::with_capacity(typed.len()));
        for letter in typed.chars().filter(|letter| !letter.is_whitespace() && *letter != '-') {
            letters.push(letter.to_ascii_uppercase());
        }
        if letters.len() != CODE_LENGTH {
            return Err(RecoveryCodeError::Form);
        }
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| RecoveryCodeError::Form)?);
        let (secret, sum) = bytes.split_last_chunk::<CHECKSUM_LENGTH>().ok_or(RecoveryCodeError::Form)?;
        let secret = Secret::from_slice(secret).ok_or(RecoveryCodeError::Form)?;
        if checksum(&secret) == *sum { Ok(Self(secret)) } else { Err(RecoveryCodeError::Checksum) }
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryCode(..)")
    }
}

fn checksum(secret: &Secret<SECRET_LENGTH>) -> [u8; CHECKSUM_LENGTH] {
    let hash = labelled_sha256(label::BACKUP_RECOVERY_CODE, &[secret.as_bytes()]);
    [hash[0], hash[1], hash[2]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;

    #[test]
    fn a_code_comes_back_however_it_is_typed() {
        let code = RecoveryCode::random(&mut rng(1));
        let text = code.text();
        assert_eq!(text.split(' ').map(str::len).collect::<Vec<_>>(), [4; 8]);
        assert_eq!(text.parse(), Ok(code.clone()));
        assert_eq!(text.to_lowercase().replace(' ', "-").parse(), Ok(code.clone()));
        assert_eq!(code.letters().parse(), Ok(code));
    }

    #[test]
    fn a_mistyped_code_is_told() {
        let text = RecoveryCode::random(&mut rng(2)).letters();
        assert_eq!(text[1..].parse::<RecoveryCode>(), Err(RecoveryCodeError::Form));
        assert_eq!(format!("1{}", &text[1..]).parse::<RecoveryCode>(), Err(RecoveryCodeError::Form));
        let other = if text.starts_with('A') { "B" } else { "A" };
        assert_eq!(format!("{other}{}", &text[1..]).parse::<RecoveryCode>(), Err(RecoveryCodeError::Checksum));
    }
}
