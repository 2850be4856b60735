//! Key packages: what a device publishes so that it can be added to groups while it is away.

use mls_rs::MlsMessage;
use mls_rs::error::MlsError;
use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::time::MlsTime;
use mls_rs_core::crypto::{CipherSuiteProvider, CryptoProvider};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::credential::{self, LeafName};
use super::engine::{GroupEngine, Suite, mls_client};
use super::error::{GroupError, KeyPackageError};
use super::judge::Judge;
use super::provider::Provider;
use super::storage::{KeyPackages, StateStorage};
use crate::Address;
use crate::identity::Statement;
use crate::limits::{KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGE_LIFETIME_DAYS, KEY_PACKAGE_SKEW_DAYS};
use crate::wire::group::KeyPackageSecretFields;

const DAY: u64 = 86_400;
/// What MLS puts before a key package that is signed (RFC 9420 sections 5.1.2 and 10).
const SIGN_LABEL: &[u8] = b"MLS 1.0 KeyPackageTBS";
/// Bytes of a signature at a key package's end, with its length.
const SIGNATURE_LENGTH: usize = 2 + 64;

/// Both halves of a new key package.
#[derive(Debug)]
pub struct GeneratedKeyPackage {
    /// To be published: an MLSMessage.
    pub key_package: Vec<u8>,
    /// To be stored until it is used, or so old that nobody can use it.
    pub secret: KeyPackageSecret,
}

/// The private half of a key package. It is deleted in the transaction that stores the group which it led into, the last
/// resort's when the next one has been published for long enough.
#[derive(Debug)]
pub struct KeyPackageSecret(KeyPackageSecretFields);

impl KeyPackageSecret {
    /// The hash by which invitations name the key package: a good name for the record.
    #[must_use]
    pub const fn reference(&self) -> [u8; 32] {
        self.0.reference
    }

    /// The record.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.0.encode()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`GroupError::Malformed`]
    pub fn decode(encoded: &[u8]) -> Result<Self, GroupError> {
        Ok(Self(KeyPackageSecretFields::decode(encoded)?))
    }

    pub(super) fn suite(&self) -> Option<Suite> {
        Suite::from_number(self.0.cipher_suite)
    }

    pub(super) fn storage(&self) -> Result<KeyPackages, GroupError> {
        let data = KeyPackageData::mls_decode(&mut self.0.data.as_slice()).map_err(|_| GroupError::NotMls)?;
        Ok(KeyPackages::with(self.0.reference.to_vec(), data))
    }
}

/// A peer's key package that has been checked.
#[derive(Debug, Clone)]
pub struct KeyPackage {
    pub(super) message: MlsMessage,
    pub(super) suite: Suite,
    name: LeafName,
}

impl KeyPackage {
    /// Checks a key package that a server handed out for a device of an account whose statement was verified: suite,
    /// certificate, signature, lifetime at `now` (seconds since 1970), and that the statement lists the device with the keys
    /// in the certificate.
    ///
    /// # Errors
    /// [`KeyPackageError`]
    pub fn verify(encoded: &[u8], suite: Suite, statement: &Statement, now: u64) -> Result<Self, KeyPackageError> {
        if encoded.len() > KEY_PACKAGE_LENGTH_MAX {
            return Err(KeyPackageError::Malformed);
        }
        let message = MlsMessage::from_bytes(encoded).map_err(|_| KeyPackageError::Malformed)?;
        let package = message.as_key_package().ok_or(KeyPackageError::Malformed)?;
        if Suite::from_number(package.cipher_suite.into()) != Some(suite) {
            return Err(KeyPackageError::Suite);
        }
        let identity = package.signing_identity();
        let certificate = credential::verify(identity).map_err(|_| KeyPackageError::Certificate)?;
        let listed = statement.device(certificate.device_id());
        if statement.address() != certificate.address() || listed.is_none_or(|device| *device != certificate) {
            return Err(KeyPackageError::Device);
        }
        let expires = package.expiration().map_err(|_| KeyPackageError::Malformed)?.seconds_since_epoch();
        let latest = now.saturating_add((KEY_PACKAGE_LIFETIME_DAYS + KEY_PACKAGE_SKEW_DAYS) * DAY);
        if expires < now || expires > latest {
            return Err(KeyPackageError::Lifetime);
        }
        verify_signature(package, suite).map_err(|_| KeyPackageError::Unverified)?;
        let name = LeafName::read(identity).map_err(|_| KeyPackageError::Certificate)?;
        Ok(Self { message, suite, name })
    }

    /// The account that it adds a device of.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.name.address
    }

    /// The device's number.
    #[must_use]
    pub const fn device_id(&self) -> u32 {
        self.name.device_id
    }

    /// The account's key.
    #[must_use]
    pub const fn account_key(&self) -> super::RosterKey {
        self.name.account_key
    }
}

/// The library verifies this when a key package is committed. Then it is too late to ask for another one.
fn verify_signature(package: &mls_rs::KeyPackage, suite: Suite) -> Result<(), MlsError> {
    let encoded = package.mls_encode_to_vec()?;
    let signed = encoded.len().checked_sub(SIGNATURE_LENGTH).ok_or(MlsError::InvalidSignature)?;
    let mut message = Vec::with_capacity(encoded.len() + 32);
    mls_rs::mls_rs_codec::byte_vec::mls_encode(&SIGN_LABEL, &mut message)?;
    mls_rs::mls_rs_codec::byte_vec::mls_encode(&&encoded[..signed], &mut message)?;
    let suite = Provider::default().cipher_suite_provider(suite.mls()).ok_or(MlsError::InvalidSignature)?;
    suite
        .verify(&package.signing_identity().signature_key, &package.signature, &message)
        .map_err(|_| MlsError::InvalidSignature)
}

impl GroupEngine<'_> {
    /// Draws a key package. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`GroupError::Mls`] if the library refuses, which nothing makes it do.
    pub fn key_package(
        &self,
        suite: Suite,
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<GeneratedKeyPackage, GroupError> {
        let (provider, judge, packages) = (Provider::default(), Judge::default(), KeyPackages::default());
        let client = mls_client(self, suite, &provider, &judge, StateStorage::default(), packages.clone());
        let from = MlsTime::from(now.saturating_sub(KEY_PACKAGE_SKEW_DAYS * DAY));
        let message = provider
            .randomness()
            .during(rng, || client.generate_key_package_message(Default::default(), Default::default(), Some(from)))
            .map_err(|error| GroupError::from_mls(&error, judge.take()))?;
        let key_package = message.to_bytes().map_err(|error| GroupError::from_mls(&error, None))?;
        let (reference, data) = packages.take().ok_or(GroupError::NoKeyPackage)?;
        let reference = reference.try_into().map_err(|_| GroupError::NotMls)?;
        let data = Zeroizing::new(data.mls_encode_to_vec().map_err(|_| GroupError::NotMls)?);
        let secret = KeyPackageSecret(KeyPackageSecretFields { reference, data, cipher_suite: suite.number() });
        Ok(GeneratedKeyPackage { key_package, secret })
    }
}

pub(super) const fn lifetime() -> std::time::Duration {
    std::time::Duration::from_secs((KEY_PACKAGE_LIFETIME_DAYS + KEY_PACKAGE_SKEW_DAYS) * DAY)
}
