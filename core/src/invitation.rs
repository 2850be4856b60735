//! Invitation codes: what a person types to open an account, and how the client knows the right server by it.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::crypto::hash::labelled_sha256;
use crate::crypto::secret::Secret;
use crate::label;

/// Characters of a code: base32 of secret, hash of the server key and checksum.
const CODE_LENGTH: usize = 80;
const CHECKSUM_LENGTH: usize = 2;

/// An invitation: the secret that the server checks, and the hash of the server's key that the client checks.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The server keeps only its hash.
    pub secret: Secret<16>,
    /// [`crate::proof::server_key_hash`] of the server that issued it.
    pub server_key_hash: [u8; 32],
}

/// Why a text is no invitation code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// The wrong length or a character that base32 does not have.
    #[error("an invitation code has {CODE_LENGTH} letters a-z and digits 2-7; copy it whole")]
    Form,
    /// A character was mistyped.
    #[error("the invitation code's checksum is wrong; a character was lost or mistyped")]
    Checksum,
}

impl Invitation {
    /// Draws the secret of a new invitation.
    pub fn random(server_key_hash: [u8; 32], rng: &mut impl CryptoRng) -> Self {
        Self { secret: Secret::random(rng), server_key_hash }
    }

    /// What the server keeps of the secret.
    #[must_use]
    pub fn hash(secret: &[u8; 16]) -> [u8; 32] {
        labelled_sha256(label::INVITATION_HASH, &[secret])
    }

    /// The code to hand to a person. It is a secret until it has been used.
    #[must_use]
    pub fn code(&self) -> String {
        let mut bytes = self.secret.as_bytes().to_vec();
        bytes.extend_from_slice(&self.server_key_hash);
        bytes.extend_from_slice(&checksum(&bytes));
        base32().encode(&bytes)
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    /// Reads a code; white space, hyphens and upper case are forgiven.
    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let code: String =
            text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect::<String>().to_lowercase();
        if code.len() != CODE_LENGTH {
            return Err(InvitationError::Form);
        }
        let bytes = base32().decode(code.as_bytes()).map_err(|_| InvitationError::Form)?;
        let (body, sum) = bytes.split_at_checked(bytes.len() - CHECKSUM_LENGTH).ok_or(InvitationError::Form)?;
        if checksum(body) != sum {
            return Err(InvitationError::Checksum);
        }
        let (secret, hash) = body.split_at_checked(16).ok_or(InvitationError::Form)?;
        Ok(Self {
            secret: Secret::from_slice(secret).ok_or(InvitationError::Form)?,
            server_key_hash: hash.try_into().map_err(|_| InvitationError::Form)?,
        })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Invitation(..)")
    }
}

/// RFC 4648 section 6 in lower case, without padding.
fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    match specification.encoding() {
        Ok(encoding) => encoding,
        Err(_) => unreachable!("32 distinct symbols make an encoding"),
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let hash = labelled_sha256(label::INVITATION_HASH, &[b"checksum", bytes]);
    [hash[0], hash[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;

    #[test]
    fn a_code_comes_back_even_when_typed_by_hand() {
        let invitation = Invitation::random([7; 32], &mut rng(1));
        let code = invitation.code();
        assert_eq!(code.len(), CODE_LENGTH);
        assert_eq!(code.parse(), Ok(invitation.clone()));
        let typed = format!(" {}-{}\n", code[..40].to_uppercase(), &code[40..]);
        assert_eq!(typed.parse(), Ok(invitation));
    }

    #[test]
    fn mistyped_codes_are_refused() {
        let code = Invitation::random([7; 32], &mut rng(2)).code();
        assert_eq!(code[1..].parse::<Invitation>(), Err(InvitationError::Form));
        assert_eq!(code.replacen(|_: char| true, "1", 1).parse::<Invitation>(), Err(InvitationError::Form));
        let other = if code.starts_with('a') { "b" } else { "a" };
        assert_eq!(code.replacen(|_: char| true, other, 1).parse::<Invitation>(), Err(InvitationError::Checksum));
    }
}
