//! Uploads of MLS key packages, signed by the device that will be added with them.
//!
//! `spec/group-log.md`, section "Key packages". What is inside a package is the business of whoever adds the device.

use thiserror::Error;

use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::label;
use crate::wire::WireError;
pub use crate::wire::key_package::KeyPackageUpload;
use crate::wire::key_package::SignedKeyPackageUpload;

/// Why an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyPackageError {
    /// It cannot be read.
    #[error("the key packages cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// The signature does not verify under the device's key.
    #[error("the signature of the key packages does not verify")]
    Signature,
}

impl KeyPackageUpload {
    /// Signs the upload with the device key; the result is an encoded `SignedKeyPackageUpload`.
    #[must_use]
    pub fn sign(&self, device: &SigningKey) -> Vec<u8> {
        let upload = self.encode();
        let signature = device.sign(label::KEY_PACKAGE_UPLOAD, &[&upload]);
        SignedKeyPackageUpload { upload, signature }.encode()
    }

    /// Reads an encoded `SignedKeyPackageUpload` and verifies its signature.
    ///
    /// # Errors
    /// [`KeyPackageError`]
    pub fn verify(encoded: &[u8], device: &VerifyingKey) -> Result<Self, KeyPackageError> {
        let signed = SignedKeyPackageUpload::decode(encoded)?;
        device
            .verify(label::KEY_PACKAGE_UPLOAD, &[&signed.upload], &signed.signature)
            .map_err(|_| KeyPackageError::Signature)?;
        Ok(Self::decode(&signed.upload)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGES_PER_UPLOAD_MAX};
    use crate::test_rng::rng;

    fn upload(packages: u32) -> KeyPackageUpload {
        KeyPackageUpload {
            address: "claire@clinic.example".parse().unwrap(),
            device_id: 1,
            sequence: 2,
            last_resort: vec![3; KEY_PACKAGE_LENGTH_MAX],
            one_time: (0..packages).map(|id| (id, vec![4; 3000])).collect(),
        }
    }

    #[test]
    fn an_upload_is_its_devices_own() {
        let [key, other] = [1, 2].map(|seed| SigningKey::random(&mut rng(seed)));
        let upload = upload(KEY_PACKAGES_PER_UPLOAD_MAX as u32);
        let signed = upload.sign(&key);
        assert_eq!(KeyPackageUpload::verify(&signed, &key.verifying_key()), Ok(upload));
        assert_eq!(KeyPackageUpload::verify(&signed, &other.verifying_key()), Err(KeyPackageError::Signature));
        let mut altered = signed;
        altered[40] ^= 1;
        assert_eq!(KeyPackageUpload::verify(&altered, &key.verifying_key()), Err(KeyPackageError::Signature));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let refused = |upload: KeyPackageUpload| KeyPackageUpload::decode(&upload.encode()).unwrap_err();
        assert_eq!(refused(upload(KEY_PACKAGES_PER_UPLOAD_MAX as u32 + 1)), WireError::Bounds("one_time"));
        assert_eq!(refused(KeyPackageUpload { device_id: 0, ..upload(0) }), WireError::Bounds("device_id"));
        let twice = KeyPackageUpload { one_time: vec![(1, vec![1]), (1, vec![2])], ..upload(0) };
        assert_eq!(refused(twice), WireError::Bounds("id"));
        for length in [0, KEY_PACKAGE_LENGTH_MAX + 1] {
            let last = KeyPackageUpload { last_resort: vec![0; length], ..upload(0) };
            assert_eq!(refused(last), WireError::Bounds("key_package"));
            let one_time = KeyPackageUpload { one_time: vec![(1, vec![0; length])], ..upload(0) };
            assert_eq!(refused(one_time), WireError::Bounds("key_package"));
        }
    }
}
