//! What members and administrators of an organisation tell each other: statements, certificates, what is to be signed.
//!
//! A statement may be larger than an envelope holds, so a message goes in pieces; each is a content of its own.

use thiserror::Error;

use super::content::ContentError;
use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::VerifyingKey;
use crate::label;
use crate::limits::{ADMINISTRATORS_MAX, ORGANISATION_MESSAGE_LENGTH_MAX, ORGANISATION_PIECE_LENGTH};
use crate::organisation::OrganisationId;
use crate::wire::{self, WireError};

/// A piece of an encoded [`OrganisationMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationPiece {
    /// SHA-256 of the whole, under its label.
    pub digest: [u8; 32],
    /// Bytes of the whole.
    pub length: u32,
    /// From 0. Every piece but the last has [`ORGANISATION_PIECE_LENGTH`] bytes.
    pub index: u32,
    /// The piece.
    pub bytes: Vec<u8>,
}

/// What somebody tells about an organisation. A receiver works it off from the first field to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationMessage {
    /// Which.
    pub organisation: OrganisationId,
    /// Encoded statements, ascending by version. Nothing is verified yet.
    pub statements: Vec<Vec<u8>>,
    /// An encoded certificate: the sender's own, the receiver's, or, for administrators, another member's.
    pub certificate: Option<Vec<u8>>,
    /// Version and hash of the newest statement that the sender has.
    pub newest: Option<(u64, [u8; 32])>,
    /// The statements after that one are asked for.
    pub send_statements: bool,
    /// The receiver's certificate is asked for.
    pub ask: bool,
    /// Something is to be signed.
    pub signing: Option<OrganisationSigning>,
}

/// What is to be signed, with the signatures that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationSigning {
    /// What.
    pub draft: OrganisationDraft,
    /// Where administrators are reached: a hint, of no authority.
    pub administrators: Vec<(VerifyingKey, Address)>,
}

/// Something for administrators to sign, encoded with the signatures so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganisationDraft {
    /// A statement.
    Statement(Vec<u8>),
    /// A member's certificate.
    Certificate(Vec<u8>),
}

/// Why a message about an organisation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrganisationMessageError {
    /// Over the limit in bytes.
    #[error("what is told about an organisation at once is over {ORGANISATION_MESSAGE_LENGTH_MAX} bytes")]
    TooLong,
    /// More administrators than there can be.
    #[error("there are too many administrators in it")]
    Administrators,
    /// It cannot be read.
    #[error("the message cannot be read: {0}")]
    Malformed(#[from] WireError),
}

impl OrganisationMessage {
    /// A message that says nothing yet.
    #[must_use]
    pub const fn about(organisation: OrganisationId) -> Self {
        Self {
            organisation,
            statements: Vec::new(),
            certificate: None,
            newest: None,
            send_statements: false,
            ask: false,
            signing: None,
        }
    }

    /// Its bytes, as a file has them too.
    ///
    /// # Errors
    /// [`OrganisationMessageError::TooLong`], [`OrganisationMessageError::Administrators`]
    pub fn encode(&self) -> Result<Vec<u8>, OrganisationMessageError> {
        if self.signing.as_ref().is_some_and(|signing| signing.administrators.len() > ADMINISTRATORS_MAX) {
            return Err(OrganisationMessageError::Administrators);
        }
        let bytes = wire::organisation::encode_message(self);
        if bytes.len() > ORGANISATION_MESSAGE_LENGTH_MAX { Err(OrganisationMessageError::TooLong) } else { Ok(bytes) }
    }

    /// Reads a message. Statements and certificates in it are not read by this.
    ///
    /// # Errors
    /// [`OrganisationMessageError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, OrganisationMessageError> {
        if bytes.len() > ORGANISATION_MESSAGE_LENGTH_MAX {
            return Err(OrganisationMessageError::TooLong);
        }
        Ok(wire::organisation::decode_message(bytes)?)
    }

    /// The pieces in which it travels.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn pieces(&self) -> Result<Vec<OrganisationPiece>, OrganisationMessageError> {
        let bytes = self.encode()?;
        let digest = labelled_sha256(label::ORGANISATION_MESSAGE, &[&bytes]);
        let length = u32::try_from(bytes.len()).map_err(|_| OrganisationMessageError::TooLong)?;
        let piece = |(index, bytes): (u32, &[u8])| OrganisationPiece { digest, length, index, bytes: bytes.to_vec() };
        Ok((0..).zip(bytes.chunks(ORGANISATION_PIECE_LENGTH)).map(piece).collect())
    }
}

impl OrganisationPiece {
    /// How many pieces the whole has.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.length.div_ceil(ORGANISATION_PIECE_LENGTH as u32)
    }

    /// The whole, if these are all its pieces, in order.
    #[must_use]
    pub fn join<'a>(digest: &[u8; 32], pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for piece in pieces {
            whole.extend_from_slice(piece);
        }
        (labelled_sha256(label::ORGANISATION_MESSAGE, &[&whole]) == *digest).then_some(whole)
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        let length = self.length as usize;
        if length == 0 || length > ORGANISATION_MESSAGE_LENGTH_MAX {
            return Err(ContentError::Field("organisation.length"));
        }
        if self.index >= self.count() {
            return Err(ContentError::Field("organisation.index"));
        }
        let from = self.index as usize * ORGANISATION_PIECE_LENGTH;
        let expected = (length - from).min(ORGANISATION_PIECE_LENGTH);
        if self.bytes.len() == expected { Ok(()) } else { Err(ContentError::Field("organisation.bytes")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::crypto::signature::SigningKey;
    use crate::kind::test_content::content;
    use crate::kind::{Body, Content};

    fn message(length: usize) -> OrganisationMessage {
        let key = SigningKey::from_secret(&Secret::from([1; 32])).verifying_key();
        OrganisationMessage {
            statements: vec![(0..length).map(|byte| (byte % 251) as u8).collect(), vec![2; 3]],
            certificate: Some(vec![3]),
            newest: Some((7, [8; 32])),
            send_statements: true,
            ask: true,
            signing: Some(OrganisationSigning {
                draft: OrganisationDraft::Certificate(vec![4]),
                administrators: vec![(key, "a@b".parse().unwrap())],
            }),
            ..OrganisationMessage::about(OrganisationId([9; 32]))
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        for length in [1, 200_000] {
            assert_eq!(OrganisationMessage::decode(&message(length).encode().unwrap()), Ok(message(length)));
        }
        let bare = OrganisationMessage::about(OrganisationId([9; 32]));
        assert_eq!(OrganisationMessage::decode(&bare.encode().unwrap()), Ok(bare));
        assert_eq!(message(1 << 20).encode(), Err(OrganisationMessageError::TooLong));
    }

    #[test]
    fn a_large_one_travels_in_pieces_of_which_each_fits_a_content() {
        let pieces = message(200_000).pieces().unwrap();
        assert_eq!((pieces.len(), pieces[0].count()), (5, 5));
        for piece in &pieces {
            let sent = content(Body::Organisation(piece.clone()));
            assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
        }
        let bytes = |pieces: &[OrganisationPiece]| {
            OrganisationPiece::join(&pieces[0].digest, pieces.iter().map(|piece| piece.bytes.as_slice()))
        };
        assert_eq!(OrganisationMessage::decode(&bytes(&pieces).unwrap()), Ok(message(200_000)));
        let mut turned = pieces.clone();
        turned.swap(1, 2);
        assert!(bytes(&turned).is_none());
    }

    #[test]
    fn pieces_that_cannot_be_are_refused() {
        let good = message(100_000).pieces().unwrap();
        let check = |change: fn(&mut OrganisationPiece)| {
            let mut piece = good[1].clone();
            change(&mut piece);
            piece.validate()
        };
        assert_eq!(check(|_| {}), Ok(()));
        assert_eq!(check(|piece| piece.length = 0), Err(ContentError::Field("organisation.length")));
        assert_eq!(check(|piece| piece.length = u32::MAX), Err(ContentError::Field("organisation.length")));
        assert_eq!(check(|piece| piece.index = 3), Err(ContentError::Field("organisation.index")));
        assert_eq!(check(|piece| piece.index = 2), Err(ContentError::Field("organisation.bytes")));
        assert_eq!(check(|piece| piece.bytes.push(0)), Err(ContentError::Field("organisation.bytes")));
    }
}
