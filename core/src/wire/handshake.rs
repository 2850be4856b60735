//! `spec/proto/handshake.proto`.

use prost::Message;

use super::{WireError, proto};
use crate::crypto::dh::DhPublicKey;
use crate::crypto::kem;
use crate::handshake::HandshakeParts;
use crate::limits::STATEMENT_LENGTH_MAX;

/// The fields of an initial message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialMessageFields {
    /// An encoded `SignedStatement`.
    pub sender_statement: Vec<u8>,
    /// 1 and up.
    pub sender_device_id: u32,
    /// Ephemeral key, KEM ciphertext, prekey ids.
    pub handshake: HandshakeParts,
    /// nonce, encrypted header, ciphertext.
    pub ratchet_message: Vec<u8>,
}

impl InitialMessageFields {
    /// The bytes that the first flight seals.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::InitialMessage {
            sender_statement: self.sender_statement.clone(),
            sender_device_id: self.sender_device_id,
            ephemeral_key: self.handshake.ephemeral_key.as_bytes().to_vec(),
            kem_ciphertext: self.handshake.kem_ciphertext.as_bytes().to_vec(),
            signed_prekey_id: self.handshake.signed_prekey_id,
            one_time_prekey_id: self.handshake.one_time_prekey_id,
            kem_prekey_id: self.handshake.kem_prekey_id,
            ratchet_message: self.ratchet_message.clone(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::InitialMessage::decode(bytes)?;
        if message.sender_device_id == 0 {
            return Err(WireError::Bounds("sender_device_id"));
        }
        if message.sender_statement.len() > STATEMENT_LENGTH_MAX {
            return Err(WireError::Bounds("sender_statement"));
        }
        Ok(Self {
            sender_statement: message.sender_statement,
            sender_device_id: message.sender_device_id,
            handshake: HandshakeParts {
                ephemeral_key: DhPublicKey::from_slice(&message.ephemeral_key)
                    .map_err(|_| WireError::Bounds("ephemeral_key"))?,
                kem_ciphertext: kem::Ciphertext::from_slice(&message.kem_ciphertext)
                    .map_err(|_| WireError::Bounds("kem_ciphertext"))?,
                signed_prekey_id: message.signed_prekey_id,
                one_time_prekey_id: message.one_time_prekey_id,
                kem_prekey_id: message.kem_prekey_id,
            },
            ratchet_message: message.ratchet_message,
        })
    }
}
