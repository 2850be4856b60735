//! The device certificate: the account key's word for a device's keys.

use rand_core::CryptoRng;

use super::statement::StatementError;
use crate::Address;
use crate::crypto::dh::{DhPublicKey, DhSecretKey};
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::label;
use crate::wire::identity::{DeviceCertificateFields, SignedDeviceCertificate};

/// A certificate whose signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    fields: DeviceCertificateFields,
    signed: SignedDeviceCertificate,
}

/// The public halves of a device's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePublicKeys {
    /// Signs prekeys, proofs and uploads.
    pub signing_key: VerifyingKey,
    /// Identity key in the handshake.
    pub dh_key: DhPublicKey,
}

/// A device's two private keys.
#[derive(Debug, Clone)]
pub struct DeviceSecretKeys {
    /// Signs prekeys, proofs and uploads.
    pub signing_key: SigningKey,
    /// Identity key in the handshake.
    pub dh_key: DhSecretKey,
}

impl DeviceSecretKeys {
    /// Draws both.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self { signing_key: SigningKey::random(rng), dh_key: DhSecretKey::random(rng) }
    }

    /// The public halves.
    #[must_use]
    pub fn public_keys(&self) -> DevicePublicKeys {
        DevicePublicKeys { signing_key: self.signing_key.verifying_key(), dh_key: self.dh_key.public_key() }
    }
}

impl DeviceCertificate {
    /// Issues a certificate with the account key. `issued` is in seconds since 1970.
    #[must_use]
    pub fn issue(
        account_key: &SigningKey,
        address: &Address,
        device_id: u32,
        keys: &DevicePublicKeys,
        primary: bool,
        issued: u64,
    ) -> Self {
        let fields = DeviceCertificateFields {
            address: address.clone(),
            account_key: account_key.verifying_key(),
            device_id,
            signing_key: keys.signing_key,
            dh_key: keys.dh_key,
            primary,
            issued,
        };
        let certificate = fields.encode();
        let signature = account_key.sign(label::DEVICE_CERTIFICATE, &[&certificate]);
        Self { fields, signed: SignedDeviceCertificate { certificate, signature } }
    }

    /// Verifies a certificate under the account key that it names.
    ///
    /// # Errors
    /// [`StatementError::Malformed`] and [`StatementError::CertificateSignature`].
    pub fn verify(signed: SignedDeviceCertificate) -> Result<Self, StatementError> {
        let fields = DeviceCertificateFields::decode(&signed.certificate)?;
        fields
            .account_key
            .verify(label::DEVICE_CERTIFICATE, &[&signed.certificate], &signed.signature)
            .map_err(|_| StatementError::CertificateSignature)?;
        Ok(Self { fields, signed })
    }

    /// The account.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.fields.address
    }

    /// The account's key.
    #[must_use]
    pub const fn account_key(&self) -> VerifyingKey {
        self.fields.account_key
    }

    /// The device's number in the account, 1 and up.
    #[must_use]
    pub const fn device_id(&self) -> u32 {
        self.fields.device_id
    }

    /// The device's public keys.
    #[must_use]
    pub const fn keys(&self) -> DevicePublicKeys {
        DevicePublicKeys { signing_key: self.fields.signing_key, dh_key: self.fields.dh_key }
    }

    /// Whether the device holds the account key.
    #[must_use]
    pub const fn primary(&self) -> bool {
        self.fields.primary
    }

    /// When it was issued, in seconds since 1970, by the clock of the device that did. For people; nothing depends on it.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.fields.issued
    }

    /// The certificate as it is carried.
    #[must_use]
    pub const fn signed(&self) -> &SignedDeviceCertificate {
        &self.signed
    }
}
