//! The text in a verification QR code: which account keys a device knows, for another device to compare with its own.
//!
//! Nothing in it is a secret. Whoever scans it from the other person's screen compares both keys at once, by machine,
//! where the safety number leaves sixty digits to two people.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use thiserror::Error;

use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::VerifyingKey;
use crate::label;
use crate::limits::VERIFICATION_CODE_LENGTH_MAX;
use crate::wire::identity::VerificationCodeFields;

/// What every code begins with.
const PREFIX: &str = "medipeps-verify:";
/// Bytes of the checksum: a code that lost a letter must not look like a forged one.
const CHECKSUM_LENGTH: usize = 4;

/// What a device shows: its account's key, and the key by which it has the other account pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationCode(VerificationCodeFields);

/// What came of comparing a scanned code with what this device knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Both devices know both accounts by the same keys.
    Match,
    /// The contact's own key is not the one that is pinned here: somebody may stand between the two.
    OtherKey,
    /// The contact's device knows this account by another key: somebody may stand between the two.
    OtherOwnKey,
    /// The code is of other people, or for somebody else; it says nothing.
    NotMe,
}

/// Why a text is no verification code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerificationCodeError {
    /// It does not begin or go on as one.
    #[error("a verification code begins with {PREFIX}; scan or copy it whole")]
    Form,
    /// A letter was lost or changed.
    #[error("the verification code's checksum is wrong; a letter was lost or changed")]
    Checksum,
    /// A later program made it, or it says what cannot be.
    #[error("the verification code cannot be read by this version")]
    Content,
}

impl VerificationCode {
    /// The code that the account `own` shows to the account `peer`.
    #[must_use]
    pub fn new(own: (&Address, &VerifyingKey), peer: (&Address, &VerifyingKey)) -> Self {
        Self(VerificationCodeFields {
            address: own.0.clone(),
            account_key: *own.1,
            peer_address: peer.0.clone(),
            peer_account_key: *peer.1,
        })
    }

    /// Compares a scanned code with this device's own key and with the one that it has pinned for a contact.
    #[must_use]
    pub fn compare(&self, own: (&Address, &VerifyingKey), contact: (&Address, &VerifyingKey)) -> Verification {
        let Self(shown) = self;
        if shown.peer_address != *own.0 || shown.address != *contact.0 {
            Verification::NotMe
        } else if shown.account_key != *contact.1 {
            Verification::OtherKey
        } else if shown.peer_account_key != *own.1 {
            Verification::OtherOwnKey
        } else {
            Verification::Match
        }
    }

    /// Whose device shows the code.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.0.address
    }
}

impl fmt::Display for VerificationCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.encode();
        bytes.extend_from_slice(&checksum(&bytes));
        // Upper case, which QR codes hold in fewer modules.
        write!(formatter, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes))
    }
}

impl FromStr for VerificationCode {
    type Err = VerificationCodeError;

    /// Reads a code; white space and lower case are forgiven.
    fn from_str(text: &str) -> Result<Self, VerificationCodeError> {
        if text.len() > VERIFICATION_CODE_LENGTH_MAX {
            return Err(VerificationCodeError::Form);
        }
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let (prefix, encoded) = text.split_at_checked(PREFIX.len()).ok_or(VerificationCodeError::Form)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(VerificationCodeError::Form);
        }
        let bytes =
            BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).map_err(|_| VerificationCodeError::Form)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LENGTH>().ok_or(VerificationCodeError::Form)?;
        if checksum(body) != *sum {
            return Err(VerificationCodeError::Checksum);
        }
        VerificationCodeFields::decode(body).map(Self).map_err(|_| VerificationCodeError::Content)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let hash = labelled_sha256(label::VERIFICATION_CODE, &[bytes]);
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;
    use crate::test_rng::rng;

    fn key(seed: u8) -> VerifyingKey {
        SigningKey::random(&mut rng(seed)).verifying_key()
    }

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn a_code_says_whether_both_sides_know_the_same_keys() {
        let (claire, karim) = (address("claire@clinic.example"), address("karim@clinic.example"));
        let (claires, karims, other) = (key(1), key(2), key(3));
        let of_karim = |own, peer| VerificationCode::new((&karim, own), (&claire, peer)).to_string();
        let scanned =
            |text: String| text.parse::<VerificationCode>().unwrap().compare((&claire, &claires), (&karim, &karims));
        assert_eq!(scanned(of_karim(&karims, &claires)), Verification::Match);
        assert_eq!(scanned(of_karim(&other, &claires)), Verification::OtherKey);
        assert_eq!(scanned(of_karim(&karims, &other)), Verification::OtherOwnKey);
        let of_claire = VerificationCode::new((&claire, &claires), (&karim, &karims)).to_string();
        assert_eq!(scanned(of_claire), Verification::NotMe, "one's own code is not the other's");
        let paul = address("paul@clinic.example");
        let for_paul = VerificationCode::new((&karim, &karims), (&paul, &claires)).to_string();
        assert_eq!(scanned(for_paul), Verification::NotMe);
        let of_paul = VerificationCode::new((&paul, &karims), (&claire, &claires)).to_string();
        assert_eq!(scanned(of_paul), Verification::NotMe);
    }

    #[test]
    fn a_code_comes_back_and_a_spoilt_one_does_not() {
        let (claire, karim) = (address("claire@clinic.example"), address("karim@clinic.example"));
        let code = VerificationCode::new((&claire, &key(1)), (&karim, &key(2)));
        let text = code.to_string();
        assert_eq!(text.parse(), Ok(code.clone()));
        let (first, second) = text.split_at(40);
        assert_eq!(format!(" {}\n{}\n", first.to_uppercase(), second.to_lowercase()).parse(), Ok(code));
        let parse = |text: &str| text.parse::<VerificationCode>();
        assert_eq!(parse(&text.replace("verify", "link")), Err(VerificationCodeError::Form));
        assert_eq!(parse(""), Err(VerificationCodeError::Form));
        assert_eq!(parse(&"é".repeat(20)), Err(VerificationCodeError::Form));
        assert_eq!(parse(&"A".repeat(VERIFICATION_CODE_LENGTH_MAX + 1)), Err(VerificationCodeError::Form));
        let place = text.len() - 30;
        let other = if text.as_bytes()[place] == b'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
        assert_eq!(parse(&changed), Err(VerificationCodeError::Checksum));
        for length in 0..text.len() {
            assert!(parse(&text[..length]).is_err(), "{length} letters");
        }
    }

    #[test]
    fn the_longest_addresses_fit() {
        let long = |letter: &str| address(&format!("{}@{}example", letter.repeat(64), "abcdefgh.".repeat(27)));
        let code = VerificationCode::new((&long("a"), &key(1)), (&long("b"), &key(2))).to_string();
        assert!(code.len() <= VERIFICATION_CODE_LENGTH_MAX, "{}", code.len());
        assert!(code.parse::<VerificationCode>().is_ok());
    }
}
