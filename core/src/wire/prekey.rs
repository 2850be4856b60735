//! `spec/proto/prekey.proto`. Encodings only; [`crate::prekey`] checks the signatures.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::dh::DhPublicKey;
use crate::crypto::signature::Signature;
use crate::crypto::{kem, x_wing};
use crate::limits::ONE_TIME_PREKEYS_PER_UPLOAD_MAX;

/// An X25519 prekey under the device's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPrekey {
    /// Chosen by the device.
    pub id: u32,
    /// The key.
    pub key: DhPublicKey,
    /// Seconds since 1970.
    pub created: u64,
    /// By the device key.
    pub signature: Signature,
}

/// An X25519 prekey that is used once; not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimePrekey {
    /// Chosen by the device.
    pub id: u32,
    /// The key.
    pub key: DhPublicKey,
}

/// An ML-KEM-1024 prekey under the device's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KemPrekey {
    /// Chosen by the device.
    pub id: u32,
    /// The key.
    pub key: kem::EncapsulationKey,
    /// Used again and again when no one-time key is left.
    pub last_resort: bool,
    /// By the device key.
    pub signature: Signature,
}

/// An X-Wing key that first flights are sealed to, under the device's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealPrekey {
    /// Chosen by the device.
    pub id: u32,
    /// The key.
    pub key: x_wing::EncapsulationKey,
    /// Seconds since 1970.
    pub created: u64,
    /// By the device key.
    pub signature: Signature,
}

/// What a sender gets for one device; every part still encoded, as the server stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedBundle {
    /// The device.
    pub device_id: u32,
    /// An encoded `SignedPrekey`.
    pub signed_prekey: Vec<u8>,
    /// An encoded `OneTimePrekey`.
    pub one_time_prekey: Option<Vec<u8>>,
    /// An encoded `KemPrekey`.
    pub kem_prekey: Vec<u8>,
    /// An encoded `SealPrekey`.
    pub seal_prekey: Vec<u8>,
}

/// The fields of an upload; keys still encoded, so that a server stores the bytes that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadFields {
    /// The account.
    pub address: Address,
    /// The device.
    pub device_id: u32,
    /// Greater than in every upload before.
    pub sequence: u64,
    /// An encoded `SignedPrekey`.
    pub signed_prekey: Vec<u8>,
    /// An encoded `KemPrekey`.
    pub last_resort_kem_prekey: Vec<u8>,
    /// An encoded `SealPrekey`.
    pub seal_prekey: Vec<u8>,
    /// Encoded `OneTimePrekey`s.
    pub one_time_prekeys: Vec<Vec<u8>>,
    /// Encoded `KemPrekey`s.
    pub one_time_kem_prekeys: Vec<Vec<u8>>,
}

/// An upload as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpload {
    /// An encoded `PrekeyUpload`, the exact bytes that were signed.
    pub upload: Vec<u8>,
    /// By the device key.
    pub signature: Signature,
}

impl SignedPrekey {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedPrekey {
            id: self.id,
            key: self.key.as_bytes().to_vec(),
            created: self.created,
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedPrekey::decode(bytes)?;
        Ok(Self {
            id: message.id,
            key: DhPublicKey::from_slice(&message.key).map_err(|_| WireError::Bounds("signed_prekey.key"))?,
            created: message.created,
            signature: fixed(&message.signature, "signed_prekey.signature")?,
        })
    }
}

impl OneTimePrekey {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::OneTimePrekey { id: self.id, key: self.key.as_bytes().to_vec() }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::OneTimePrekey::decode(bytes)?;
        Ok(Self {
            id: message.id,
            key: DhPublicKey::from_slice(&message.key).map_err(|_| WireError::Bounds("one_time_prekey.key"))?,
        })
    }
}

impl KemPrekey {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::KemPrekey {
            id: self.id,
            key: self.key.as_bytes().to_vec(),
            last_resort: self.last_resort,
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::KemPrekey::decode(bytes)?;
        Ok(Self {
            id: message.id,
            key: kem::EncapsulationKey::from_slice(&message.key).map_err(|_| WireError::Bounds("kem_prekey.key"))?,
            last_resort: message.last_resort,
            signature: fixed(&message.signature, "kem_prekey.signature")?,
        })
    }
}

impl SealPrekey {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SealPrekey {
            id: self.id,
            key: self.key.to_bytes(),
            created: self.created,
            signature: self.signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SealPrekey::decode(bytes)?;
        Ok(Self {
            id: message.id,
            key: x_wing::EncapsulationKey::from_slice(&message.key)
                .map_err(|_| WireError::Bounds("seal_prekey.key"))?,
            created: message.created,
            signature: fixed(&message.signature, "seal_prekey.signature")?,
        })
    }
}

impl EncodedBundle {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::PrekeyBundle {
            device_id: self.device_id,
            signed_prekey: self.signed_prekey.clone(),
            one_time_prekey: self.one_time_prekey.clone().unwrap_or_default(),
            kem_prekey: self.kem_prekey.clone(),
            seal_prekey: self.seal_prekey.clone(),
        }
        .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::PrekeyBundle::decode(bytes)?;
        if message.device_id == 0 {
            return Err(WireError::Bounds("device_id"));
        }
        Ok(Self {
            device_id: message.device_id,
            signed_prekey: message.signed_prekey,
            one_time_prekey: Some(message.one_time_prekey).filter(|key| !key.is_empty()),
            kem_prekey: message.kem_prekey,
            seal_prekey: message.seal_prekey,
        })
    }
}

impl UploadFields {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::PrekeyUpload {
            address: self.address.to_string(),
            device_id: self.device_id,
            sequence: self.sequence,
            signed_prekey: self.signed_prekey.clone(),
            last_resort_kem_prekey: self.last_resort_kem_prekey.clone(),
            seal_prekey: self.seal_prekey.clone(),
            one_time_prekeys: self.one_time_prekeys.clone(),
            one_time_kem_prekeys: self.one_time_kem_prekeys.clone(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::PrekeyUpload::decode(bytes)?;
        if message.device_id == 0 {
            return Err(WireError::Bounds("device_id"));
        }
        if message.one_time_prekeys.len() > ONE_TIME_PREKEYS_PER_UPLOAD_MAX {
            return Err(WireError::Bounds("one_time_prekeys"));
        }
        if message.one_time_kem_prekeys.len() > ONE_TIME_PREKEYS_PER_UPLOAD_MAX {
            return Err(WireError::Bounds("one_time_kem_prekeys"));
        }
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            device_id: message.device_id,
            sequence: message.sequence,
            signed_prekey: message.signed_prekey,
            last_resort_kem_prekey: message.last_resort_kem_prekey,
            seal_prekey: message.seal_prekey,
            one_time_prekeys: message.one_time_prekeys,
            one_time_kem_prekeys: message.one_time_kem_prekeys,
        })
    }
}

impl SignedUpload {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedPrekeyUpload { upload: self.upload.clone(), signature: self.signature.to_vec() }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedPrekeyUpload::decode(bytes)?;
        Ok(Self { signature: fixed(&message.signature, "upload.signature")?, upload: message.upload })
    }
}
