//! `spec/proto/key_package.proto`. Encodings only; [`crate::key_package`] checks the signature.

use std::collections::BTreeSet;

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::signature::Signature;
use crate::limits::{KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGES_PER_UPLOAD_MAX};

/// What an upload of key packages holds. The packages are MLS's encoding, which is not looked into here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageUpload {
    /// The account.
    pub address: Address,
    /// The device.
    pub device_id: u32,
    /// Greater than in every upload before.
    pub sequence: u64,
    /// Given when no other is left. 1 to [`KEY_PACKAGE_LENGTH_MAX`] bytes, like the others.
    pub last_resort: Vec<u8>,
    /// At most [`KEY_PACKAGES_PER_UPLOAD_MAX`], with different ids.
    pub one_time: Vec<(u32, Vec<u8>)>,
}

/// An upload as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedKeyPackageUpload {
    /// An encoded `KeyPackageUpload`, the exact bytes that were signed.
    pub upload: Vec<u8>,
    /// By the device key.
    pub signature: Signature,
}

impl KeyPackageUpload {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let package = |(id, bytes): &(u32, Vec<u8>)| proto::OneTimeKeyPackage { id: *id, key_package: bytes.clone() };
        proto::KeyPackageUpload {
            address: self.address.to_string(),
            device_id: self.device_id,
            sequence: self.sequence,
            last_resort: self.last_resort.clone(),
            one_time: self.one_time.iter().map(package).collect(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::KeyPackageUpload::decode(bytes)?;
        if message.device_id == 0 {
            return Err(WireError::Bounds("device_id"));
        }
        if message.one_time.len() > KEY_PACKAGES_PER_UPLOAD_MAX {
            return Err(WireError::Bounds("one_time"));
        }
        let ids: BTreeSet<u32> = message.one_time.iter().map(|one| one.id).collect();
        if ids.len() < message.one_time.len() {
            return Err(WireError::Bounds("id"));
        }
        let one_time = message.one_time.into_iter().map(|one| Ok((one.id, key_package(one.key_package)?)));
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            device_id: message.device_id,
            sequence: message.sequence,
            last_resort: key_package(message.last_resort)?,
            one_time: one_time.collect::<Result<_, WireError>>()?,
        })
    }
}

impl SignedKeyPackageUpload {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedKeyPackageUpload { upload: self.upload.clone(), signature: self.signature.to_vec() }
            .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedKeyPackageUpload::decode(bytes)?;
        Ok(Self { signature: fixed(&message.signature, "upload.signature")?, upload: message.upload })
    }
}

fn key_package(bytes: Vec<u8>) -> Result<Vec<u8>, WireError> {
    let fits = (1..=KEY_PACKAGE_LENGTH_MAX).contains(&bytes.len());
    if fits { Ok(bytes) } else { Err(WireError::Bounds("key_package")) }
}
