//! `spec/proto/identity.proto`. Encodings only; [`crate::identity`] checks what they say.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::dh::DhPublicKey;
use crate::crypto::signature::{Signature, VerifyingKey};

/// The fields of a device certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificateFields {
    /// The account.
    pub address: Address,
    /// Its key.
    pub account_key: VerifyingKey,
    /// 1 and up.
    pub device_id: u32,
    /// Signs prekeys and proofs.
    pub signing_key: VerifyingKey,
    /// Identity key in the handshake.
    pub dh_key: DhPublicKey,
    /// Holds the account key.
    pub primary: bool,
    /// Seconds since 1970.
    pub issued: u64,
}

/// A certificate as it is carried: the exact bytes that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedDeviceCertificate {
    /// An encoded `DeviceCertificate`.
    pub certificate: Vec<u8>,
    /// By the account key.
    pub signature: Signature,
}

/// The fields of an account statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFields {
    /// The account.
    pub address: Address,
    /// Its key.
    pub account_key: VerifyingKey,
    /// Of the recovery key.
    pub recovery_key_hash: [u8; 32],
    /// 1 and up.
    pub version: u64,
    /// Of the statement before; `None` in version 1.
    pub previous_hash: Option<[u8; 32]>,
    /// The devices.
    pub devices: Vec<SignedDeviceCertificate>,
    /// Seconds since 1970.
    pub issued: u64,
}

/// A statement as it is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// An encoded `AccountStatement`, the exact bytes that were signed.
    pub statement: Vec<u8>,
    /// By the account key, or by the recovery key if that is given.
    pub signature: Signature,
    /// The recovery key, if it signed.
    pub recovery_key: Option<VerifyingKey>,
}

/// The fields of a verification code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationCodeFields {
    /// Of the account that shows the code.
    pub address: Address,
    /// Its own key.
    pub account_key: VerifyingKey,
    /// Of the account that the code is for.
    pub peer_address: Address,
    /// As the device that shows the code has it pinned.
    pub peer_account_key: VerifyingKey,
}

/// The only version of verification codes.
const VERIFICATION_CODE_VERSION: u32 = 1;

impl VerificationCodeFields {
    /// The code's bytes, without its checksum.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::VerificationCode {
            version: VERIFICATION_CODE_VERSION,
            address: self.address.to_string(),
            account_key: self.account_key.as_bytes().to_vec(),
            peer_address: self.peer_address.to_string(),
            peer_account_key: self.peer_account_key.as_bytes().to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name; `version` where a later program made the code.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::VerificationCode::decode(bytes)?;
        if message.version != VERIFICATION_CODE_VERSION {
            return Err(WireError::Bounds("version"));
        }
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            account_key: verifying_key(&message.account_key, "account_key")?,
            peer_address: Address::from_canonical(&message.peer_address)
                .map_err(|_| WireError::Bounds("peer_address"))?,
            peer_account_key: verifying_key(&message.peer_account_key, "peer_account_key")?,
        })
    }
}

impl DeviceCertificateFields {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::DeviceCertificate {
            address: self.address.to_string(),
            account_key: self.account_key.as_bytes().to_vec(),
            device_id: self.device_id,
            signing_key: self.signing_key.as_bytes().to_vec(),
            dh_key: self.dh_key.as_bytes().to_vec(),
            primary: self.primary,
            issued: self.issued,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::DeviceCertificate::decode(bytes)?;
        if message.device_id == 0 {
            return Err(WireError::Bounds("device_id"));
        }
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            account_key: verifying_key(&message.account_key, "account_key")?,
            device_id: message.device_id,
            signing_key: verifying_key(&message.signing_key, "signing_key")?,
            dh_key: DhPublicKey::from_slice(&message.dh_key).map_err(|_| WireError::Bounds("dh_key"))?,
            primary: message.primary,
            issued: message.issued,
        })
    }
}

impl SignedDeviceCertificate {
    /// The bytes that a session's associated data takes in.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads a certificate that is carried alone. Nothing is verified by this.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedDeviceCertificate::decode(bytes)?;
        Ok(Self { signature: fixed(&message.signature, "signature")?, certificate: message.certificate })
    }

    fn to_proto(&self) -> proto::SignedDeviceCertificate {
        proto::SignedDeviceCertificate { certificate: self.certificate.clone(), signature: self.signature.to_vec() }
    }
}

impl StatementFields {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::AccountStatement {
            address: self.address.to_string(),
            account_key: self.account_key.as_bytes().to_vec(),
            recovery_key_hash: self.recovery_key_hash.to_vec(),
            version: self.version,
            previous_hash: self.previous_hash.map(|hash| hash.to_vec()).unwrap_or_default(),
            devices: self.devices.iter().map(SignedDeviceCertificate::to_proto).collect(),
            issued: self.issued,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::AccountStatement::decode(bytes)?;
        let previous_hash = match message.previous_hash.as_slice() {
            [] => None,
            hash => Some(fixed(hash, "previous_hash")?),
        };
        let devices = message
            .devices
            .into_iter()
            .map(|device| {
                Ok(SignedDeviceCertificate {
                    signature: fixed(&device.signature, "devices.signature")?,
                    certificate: device.certificate,
                })
            })
            .collect::<Result<_, WireError>>()?;
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            account_key: verifying_key(&message.account_key, "account_key")?,
            recovery_key_hash: fixed(&message.recovery_key_hash, "recovery_key_hash")?,
            version: message.version,
            previous_hash,
            devices,
            issued: message.issued,
        })
    }
}

impl SignedStatement {
    /// The statement as it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedStatement {
            statement: self.statement.clone(),
            signature: self.signature.to_vec(),
            recovery_key: self.recovery_key.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedStatement::decode(bytes)?;
        let recovery_key = match message.recovery_key.as_slice() {
            [] => None,
            key => Some(verifying_key(key, "recovery_key")?),
        };
        Ok(Self { signature: fixed(&message.signature, "signature")?, statement: message.statement, recovery_key })
    }
}

pub(crate) fn verifying_key(bytes: &[u8], field: &'static str) -> Result<VerifyingKey, WireError> {
    VerifyingKey::from_slice(bytes).map_err(|_| WireError::Bounds(field))
}
