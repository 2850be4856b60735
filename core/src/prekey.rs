//! Prekeys: what a device leaves at the server so that others can write to it while it is away.
//!
//! `spec/handshake.md`, section "Prekeys".

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use thiserror::Error;

use crate::Address;
use crate::crypto::dh::DhSecretKey;
use crate::crypto::signature::{Signature, SigningKey, VerifyingKey};
use crate::crypto::{kem, x_wing};
use crate::label::{self, Label};
use crate::wire::WireError;
pub use crate::wire::prekey::{EncodedBundle, KemPrekey, OneTimePrekey, SealPrekey, SignedPrekey};
use crate::wire::prekey::{SignedUpload, UploadFields};

/// A bundle whose signatures have been verified with the device's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeyBundle {
    /// The device.
    pub device_id: u32,
    /// X25519, signed.
    pub signed_prekey: SignedPrekey,
    /// X25519, absent when none was left.
    pub one_time_prekey: Option<OneTimePrekey>,
    /// ML-KEM-1024, one-time or last-resort.
    pub kem_prekey: KemPrekey,
    /// X-Wing, for the first flight's seal.
    pub seal_prekey: SealPrekey,
}

/// A verified upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeyUpload {
    /// The account.
    pub address: Address,
    /// The device.
    pub device_id: u32,
    /// Greater than in every upload before.
    pub sequence: u64,
    /// X25519, signed.
    pub signed_prekey: SignedPrekey,
    /// ML-KEM-1024, used when no one-time key is left.
    pub last_resort_kem_prekey: KemPrekey,
    /// X-Wing.
    pub seal_prekey: SealPrekey,
    /// X25519.
    pub one_time_prekeys: Vec<OneTimePrekey>,
    /// ML-KEM-1024.
    pub one_time_kem_prekeys: Vec<KemPrekey>,
}

/// Why prekeys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrekeyError {
    /// They cannot be read.
    #[error("the prekeys cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// A signature does not verify under the device's key.
    #[error("the signature of the {0} does not verify")]
    Signature(&'static str),
    /// A last-resort key stands where a one-time key belongs, or the other way round.
    #[error("a last-resort KEM prekey and a one-time one have been mixed up")]
    LastResort,
    /// Two one-time prekeys of one kind have the same id.
    #[error("two one-time prekeys have the same id")]
    DuplicateId,
}

impl SignedPrekey {
    /// Signs the public half. `created` is in seconds since 1970.
    #[must_use]
    pub fn sign(device: &SigningKey, id: u32, secret: &DhSecretKey, created: u64) -> Self {
        let key = secret.public_key();
        let signature = sign(device, label::SIGNED_PREKEY, id, created, key.as_bytes());
        Self { id, key, created, signature }
    }

    fn verify(&self, device: &VerifyingKey) -> Result<(), PrekeyError> {
        let parts = (label::SIGNED_PREKEY, "signed prekey");
        verify(device, parts, self.id, self.created, self.key.as_bytes(), &self.signature)
    }
}

impl KemPrekey {
    /// Signs the public half.
    #[must_use]
    pub fn sign(device: &SigningKey, id: u32, secret: &kem::DecapsulationKey, last_resort: bool) -> Self {
        let key = secret.encapsulation_key();
        let signature = sign(device, label::KEM_PREKEY, id, u64::from(last_resort), key.as_bytes());
        Self { id, key, last_resort, signature }
    }

    fn verify(&self, device: &VerifyingKey) -> Result<(), PrekeyError> {
        let parts = (label::KEM_PREKEY, "KEM prekey");
        verify(device, parts, self.id, u64::from(self.last_resort), self.key.as_bytes(), &self.signature)
    }
}

impl SealPrekey {
    /// Signs the public half. `created` is in seconds since 1970.
    #[must_use]
    pub fn sign(device: &SigningKey, id: u32, secret: &x_wing::DecapsulationKey, created: u64) -> Self {
        let key = secret.encapsulation_key();
        let signature = sign(device, label::SEAL_PREKEY, id, created, &key.to_bytes());
        Self { id, key, created, signature }
    }

    fn verify(&self, device: &VerifyingKey) -> Result<(), PrekeyError> {
        let parts = (label::SEAL_PREKEY, "seal prekey");
        verify(device, parts, self.id, self.created, &self.key.to_bytes(), &self.signature)
    }
}

impl PrekeyBundle {
    /// Reads a bundle and verifies every signature in it.
    ///
    /// # Errors
    /// [`PrekeyError`]
    pub fn verify(encoded: &EncodedBundle, device: &VerifyingKey) -> Result<Self, PrekeyError> {
        let bundle = Self {
            device_id: encoded.device_id,
            signed_prekey: SignedPrekey::decode(&encoded.signed_prekey)?,
            one_time_prekey: encoded.one_time_prekey.as_deref().map(OneTimePrekey::decode).transpose()?,
            kem_prekey: KemPrekey::decode(&encoded.kem_prekey)?,
            seal_prekey: SealPrekey::decode(&encoded.seal_prekey)?,
        };
        bundle.signed_prekey.verify(device)?;
        bundle.kem_prekey.verify(device)?;
        bundle.seal_prekey.verify(device)?;
        Ok(bundle)
    }
}

impl PrekeyUpload {
    /// Signs the upload with the device key; the result is an encoded `SignedPrekeyUpload`.
    #[must_use]
    pub fn sign(&self, device: &SigningKey) -> Vec<u8> {
        let upload = self.fields().encode();
        let signature = device.sign(label::PREKEY_UPLOAD, &[&upload]);
        SignedUpload { upload, signature }.encode()
    }

    /// The account and the device that an encoded `SignedPrekeyUpload` names, not verified: to find the key to verify
    /// it with.
    ///
    /// # Errors
    /// [`PrekeyError::Malformed`]
    pub fn claimed_device(encoded: &[u8]) -> Result<(Address, u32), PrekeyError> {
        let fields = UploadFields::decode(&SignedUpload::decode(encoded)?.upload)?;
        Ok((fields.address, fields.device_id))
    }

    /// Reads an encoded `SignedPrekeyUpload` and verifies every signature in it.
    ///
    /// # Errors
    /// [`PrekeyError`]
    pub fn verify(encoded: &[u8], device: &VerifyingKey) -> Result<Self, PrekeyError> {
        let signed = SignedUpload::decode(encoded)?;
        device
            .verify(label::PREKEY_UPLOAD, &[&signed.upload], &signed.signature)
            .map_err(|_| PrekeyError::Signature("upload"))?;
        let fields = UploadFields::decode(&signed.upload)?;
        let upload = Self {
            address: fields.address,
            device_id: fields.device_id,
            sequence: fields.sequence,
            signed_prekey: SignedPrekey::decode(&fields.signed_prekey)?,
            last_resort_kem_prekey: KemPrekey::decode(&fields.last_resort_kem_prekey)?,
            seal_prekey: SealPrekey::decode(&fields.seal_prekey)?,
            one_time_prekeys: decode_all(&fields.one_time_prekeys, OneTimePrekey::decode)?,
            one_time_kem_prekeys: decode_all(&fields.one_time_kem_prekeys, KemPrekey::decode)?,
        };
        upload.signed_prekey.verify(device)?;
        upload.last_resort_kem_prekey.verify(device)?;
        upload.seal_prekey.verify(device)?;
        let one_time = &upload.one_time_kem_prekeys;
        if !upload.last_resort_kem_prekey.last_resort || one_time.iter().any(|key| key.last_resort) {
            return Err(PrekeyError::LastResort);
        }
        one_time.iter().try_for_each(|key| key.verify(device))?;
        let distinct = |ids: Vec<u32>| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
        if !distinct(upload.one_time_prekeys.iter().map(|key| key.id).collect())
            || !distinct(one_time.iter().map(|key| key.id).collect())
        {
            return Err(PrekeyError::DuplicateId);
        }
        Ok(upload)
    }

    fn fields(&self) -> UploadFields {
        UploadFields {
            address: self.address.clone(),
            device_id: self.device_id,
            sequence: self.sequence,
            signed_prekey: self.signed_prekey.encode(),
            last_resort_kem_prekey: self.last_resort_kem_prekey.encode(),
            seal_prekey: self.seal_prekey.encode(),
            one_time_prekeys: self.one_time_prekeys.iter().map(OneTimePrekey::encode).collect(),
            one_time_kem_prekeys: self.one_time_kem_prekeys.iter().map(KemPrekey::encode).collect(),
        }
    }
}

/// What is signed of a prekey: its id, one more number (when it was made, or whether it is the last resort) and the key.
fn sign(device: &SigningKey, label: Label, id: u32, number: u64, key: &[u8]) -> Signature {
    device.sign(label, &[&id.to_be_bytes(), &number.to_be_bytes(), key])
}

fn verify(
    device: &VerifyingKey,
    (label, name): (Label, &'static str),
    id: u32,
    number: u64,
    key: &[u8],
    signature: &Signature,
) -> Result<(), PrekeyError> {
    device
        .verify(label, &[&id.to_be_bytes(), &number.to_be_bytes(), key], signature)
        .map_err(|_| PrekeyError::Signature(name))
}

fn decode_all<T>(encoded: &[Vec<u8>], decode: fn(&[u8]) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
    encoded.iter().map(|bytes| decode(bytes)).collect()
}

/// The private halves of what one device has published, with ids that begin at `first_id`.
#[derive(Debug)]
pub struct GeneratedPrekeys {
    /// The upload, ready to be signed.
    pub upload: PrekeyUpload,
    /// Of the signed prekey.
    pub signed_prekey: (u32, DhSecretKey),
    /// Of the last-resort KEM prekey.
    pub last_resort_kem_prekey: (u32, kem::DecapsulationKey),
    /// Of the seal prekey.
    pub seal_prekey: (u32, x_wing::DecapsulationKey),
    /// Of the one-time prekeys.
    pub one_time_prekeys: Vec<(u32, DhSecretKey)>,
    /// Of the one-time KEM prekeys.
    pub one_time_kem_prekeys: Vec<(u32, kem::DecapsulationKey)>,
}

impl GeneratedPrekeys {
    /// Draws all keys of an upload. Ids run from `first_id` over all kinds, so that none is ever used twice;
    /// [`Self::next_id`] is where the next upload begins. `created` is in seconds since 1970.
    #[expect(clippy::too_many_arguments, reason = "each is one field of the upload")]
    pub fn draw(
        device: &SigningKey,
        address: &Address,
        device_id: u32,
        sequence: u64,
        first_id: u32,
        one_time: usize,
        created: u64,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut ids = first_id..;
        let mut next_id = || ids.next().unwrap_or(u32::MAX);
        let signed = (next_id(), DhSecretKey::random(rng));
        let last_resort = (next_id(), kem::DecapsulationKey::random(rng));
        let seal = (next_id(), x_wing::DecapsulationKey::random(rng));
        let one_time_prekeys: Vec<_> = (0..one_time).map(|_| (next_id(), DhSecretKey::random(rng))).collect();
        let one_time_kem_prekeys: Vec<_> =
            (0..one_time).map(|_| (next_id(), kem::DecapsulationKey::random(rng))).collect();
        let upload = PrekeyUpload {
            address: address.clone(),
            device_id,
            sequence,
            signed_prekey: SignedPrekey::sign(device, signed.0, &signed.1, created),
            last_resort_kem_prekey: KemPrekey::sign(device, last_resort.0, &last_resort.1, true),
            seal_prekey: SealPrekey::sign(device, seal.0, &seal.1, created),
            one_time_prekeys: one_time_prekeys
                .iter()
                .map(|(id, secret)| OneTimePrekey { id: *id, key: secret.public_key() })
                .collect(),
            one_time_kem_prekeys: one_time_kem_prekeys
                .iter()
                .map(|(id, secret)| KemPrekey::sign(device, *id, secret, false))
                .collect(),
        };
        Self {
            upload,
            signed_prekey: signed,
            last_resort_kem_prekey: last_resort,
            seal_prekey: seal,
            one_time_prekeys,
            one_time_kem_prekeys,
        }
    }

    /// The id after the last one used here.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        let used = 3 + self.one_time_prekeys.len() + self.one_time_kem_prekeys.len();
        self.signed_prekey.0.saturating_add(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// The bundle that a server makes out of the upload when it hands out the one-time keys at `index`, or the
    /// last-resort key past the last one.
    #[must_use]
    pub fn bundle(&self, index: usize) -> EncodedBundle {
        let upload = &self.upload;
        EncodedBundle {
            device_id: upload.device_id,
            signed_prekey: upload.signed_prekey.encode(),
            one_time_prekey: upload.one_time_prekeys.get(index).map(OneTimePrekey::encode),
            kem_prekey: upload.one_time_kem_prekeys.get(index).unwrap_or(&upload.last_resort_kem_prekey).encode(),
            seal_prekey: upload.seal_prekey.encode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;

    fn generated(one_time: usize) -> (SigningKey, GeneratedPrekeys) {
        let mut rng = rng(1);
        let device = SigningKey::random(&mut rng);
        let address = "claire@clinic.example".parse().unwrap();
        let keys = GeneratedPrekeys::draw(&device, &address, 1, 1, 10, one_time, 100, &mut rng);
        (device, keys)
    }

    #[test]
    fn an_upload_and_its_bundles_verify() {
        let (device, keys) = generated(2);
        let encoded = keys.upload.sign(&device);
        assert_eq!(PrekeyUpload::verify(&encoded, &device.verifying_key()).as_ref(), Ok(&keys.upload));
        assert_eq!(PrekeyUpload::claimed_device(&encoded).unwrap().1, 1);
        assert_eq!(keys.next_id(), 17);
        for index in 0..3 {
            let bundle = PrekeyBundle::verify(&keys.bundle(index), &device.verifying_key()).unwrap();
            assert_eq!(bundle.kem_prekey.last_resort, index == 2);
            assert_eq!(bundle.one_time_prekey.is_none(), index == 2);
        }
    }

    #[test]
    fn every_signature_of_a_bundle_counts() {
        let (device, keys) = generated(1);
        let verify = |bundle: EncodedBundle| PrekeyBundle::verify(&bundle, &device.verifying_key());
        let mut signed = keys.upload.signed_prekey.clone();
        signed.created += 1;
        let bundle = EncodedBundle { signed_prekey: signed.encode(), ..keys.bundle(0) };
        assert_eq!(verify(bundle), Err(PrekeyError::Signature("signed prekey")));
        let mut kem = keys.upload.last_resort_kem_prekey.clone();
        kem.last_resort = false;
        let bundle = EncodedBundle { kem_prekey: kem.encode(), ..keys.bundle(0) };
        assert_eq!(verify(bundle), Err(PrekeyError::Signature("KEM prekey")));
        let mut seal = keys.upload.seal_prekey.clone();
        seal.id += 1;
        let bundle = EncodedBundle { seal_prekey: seal.encode(), ..keys.bundle(0) };
        assert_eq!(verify(bundle), Err(PrekeyError::Signature("seal prekey")));
    }

    #[test]
    fn one_time_ids_are_distinct_and_last_resort_keys_in_their_place() {
        let (device, mut keys) = generated(2);
        let verify = |upload: &PrekeyUpload| PrekeyUpload::verify(&upload.sign(&device), &device.verifying_key());
        keys.upload.one_time_prekeys[1].id = keys.upload.one_time_prekeys[0].id;
        assert_eq!(verify(&keys.upload), Err(PrekeyError::DuplicateId));
        let last_resort = keys.upload.last_resort_kem_prekey.clone();
        keys.upload.one_time_kem_prekeys.push(last_resort);
        assert_eq!(verify(&keys.upload), Err(PrekeyError::LastResort));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_an_upload_is_refused() {
        let (device, keys) = generated(1);
        let encoded = keys.upload.sign(&device);
        for bit in (0..encoded.len() * 8).step_by(7) {
            let mut bytes = encoded.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(PrekeyUpload::verify(&bytes, &device.verifying_key()).is_err(), "bit {bit}");
        }
    }

    type Field = fn(&mut EncodedBundle) -> &mut Vec<u8>;

    #[test]
    fn a_flipped_bit_in_each_field_of_a_bundle_is_refused() {
        let (device, keys) = generated(1);
        let bundle = keys.bundle(0);
        let flipped = |field: Field, bit: usize| {
            let mut bundle = bundle.clone();
            field(&mut bundle)[bit / 8] ^= 1 << (bit % 8);
            PrekeyBundle::verify(&bundle, &device.verifying_key())
        };
        let fields: [(&str, Field); 3] = [
            ("signed_prekey", |bundle| &mut bundle.signed_prekey),
            ("kem_prekey", |bundle| &mut bundle.kem_prekey),
            ("seal_prekey", |bundle| &mut bundle.seal_prekey),
        ];
        for (name, field) in fields {
            for bit in (0..field(&mut bundle.clone()).len() * 8).step_by(5) {
                assert!(flipped(field, bit).is_err(), "{name} bit {bit}");
            }
        }
    }
}
