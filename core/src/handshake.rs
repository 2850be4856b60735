//! The initial message of a session, and what may be wrong with a handshake.

use thiserror::Error;

use crate::crypto::dh::DhPublicKey;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::kem;
use crate::double_ratchet::ReceiveError;
use crate::envelope::RatchetMessage;
use crate::identity::{Statement, StatementError};
use crate::label;
use crate::session::{DecryptError, SessionId};
use crate::wire::WireError;
use crate::wire::handshake::InitialMessageFields;

/// A first flight out of its seal: the sender's statement has been verified by itself, nothing else yet.
#[derive(Debug, Clone)]
pub struct InitialMessage {
    sender: Statement,
    sender_device_id: u32,
    handshake: HandshakeParts,
    pub(crate) ratchet_message: RatchetMessage,
}

/// The public parts of a handshake that the initiator repeats until the first reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeParts {
    /// EK
    pub ephemeral_key: DhPublicKey,
    /// CT
    pub kem_ciphertext: kem::Ciphertext,
    /// Which signed prekey of the responder.
    pub signed_prekey_id: u32,
    /// Which one-time prekey, if any was left.
    pub one_time_prekey_id: Option<u32>,
    /// Which KEM prekey, one-time or last-resort.
    pub kem_prekey_id: u32,
}

/// Why a session cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The first flight cannot be read.
    #[error("the first flight cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// The sender's statement is refused.
    #[error("the sender's statement is refused: {0}")]
    Statement(#[from] StatementError),
    /// The bundle's or the message's device is not in the statement.
    #[error("device {0} is not in the account's statement")]
    UnknownDevice(u32),
    /// A public key of small order.
    #[error("a public key of the handshake is not usable")]
    PublicKey,
    /// The first message does not verify: other prekeys, other identities, or altered on the way.
    #[error("the first message does not verify: {0}")]
    Message(DecryptError),
}

impl From<ReceiveError> for HandshakeError {
    fn from(error: ReceiveError) -> Self {
        Self::Message(error.into())
    }
}

impl HandshakeParts {
    /// The id that both sides give to the session: the hash of the ephemeral key and the KEM ciphertext.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        let parts: [&[u8]; 2] = [self.ephemeral_key.as_bytes(), self.kem_ciphertext.as_bytes()];
        let hash = labelled_sha256(label::SESSION_ID, &parts);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        SessionId(id)
    }
}

impl InitialMessage {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let fields = InitialMessageFields::decode(bytes)?;
        Ok(Self {
            sender: Statement::decode(&fields.sender_statement)?,
            sender_device_id: fields.sender_device_id,
            handshake: fields.handshake,
            ratchet_message: RatchetMessage::decode(&fields.ratchet_message)
                .ok_or(WireError::Bounds("ratchet_message"))?,
        })
    }

    /// The sender's statement; it speaks for itself only, so compare it with the pinned or the fetched one.
    #[must_use]
    pub const fn sender(&self) -> &Statement {
        &self.sender
    }

    /// The sender's device.
    #[must_use]
    pub const fn sender_device_id(&self) -> u32 {
        self.sender_device_id
    }

    /// Ephemeral key, KEM ciphertext and the ids of the prekeys to load.
    #[must_use]
    pub const fn handshake(&self) -> &HandshakeParts {
        &self.handshake
    }

    /// The session that this message opens or belongs to.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.handshake.session_id()
    }
}
