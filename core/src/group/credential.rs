//! The leaf credential is the device certificate: who a leaf is, and whether it may be in the group.

use mls_rs::error::IntoAnyError;
use mls_rs::identity::{Credential, CredentialType, CustomCredential, SigningIdentity};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider};
use mls_rs_core::identity::MemberValidationContext;

use super::error::Refusal;
use super::judge::Judge;
use super::{GroupEngine, RosterKey};
use crate::Address;
use crate::identity::DeviceCertificate;
use crate::wire::group::{credential_device, credential_names};
use crate::wire::identity::SignedDeviceCertificate;

/// A device certificate as a credential: of the range for private use (RFC 9420 section 17.5).
pub(super) const DEVICE_CREDENTIAL: CredentialType = CredentialType::new(0xf001);

/// The identity of a device in MLS.
pub(super) fn signing_identity(device: &GroupEngine<'_>) -> SigningIdentity {
    let credential = CustomCredential::new(DEVICE_CREDENTIAL, device.certificate.signed().encode());
    let key = device.certificate.keys().signing_key;
    SigningIdentity::new(Credential::Custom(credential), key.as_bytes().to_vec().into())
}

/// The account and device that a leaf names, and the account's key. Verified when the leaf came into the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeafName {
    pub(super) address: Address,
    pub(super) account_key: RosterKey,
    pub(super) device_id: u32,
}

impl LeafName {
    pub(super) fn read(identity: &SigningIdentity) -> Result<Self, Refusal> {
        let credential = certificate_bytes(identity)?;
        let names = credential_names(credential).map_err(|_| Refusal::Certificate)?;
        let (address, device_id, account_key) = names;
        Ok(Self { address, account_key, device_id })
    }

    /// Whether both are devices of one account under one key.
    pub(super) fn same_account(&self, other: &Self) -> bool {
        self.address == other.address && self.account_key == other.account_key
    }
}

/// Verifies the certificate in a leaf, and that the leaf signs with the device's key.
pub(super) fn verify(identity: &SigningIdentity) -> Result<DeviceCertificate, Refusal> {
    let signed = SignedDeviceCertificate::decode(certificate_bytes(identity)?).map_err(|_| Refusal::Certificate)?;
    let certificate = DeviceCertificate::verify(signed).map_err(|_| Refusal::Certificate)?;
    if certificate.keys().signing_key.as_bytes().as_slice() == identity.signature_key.as_bytes() {
        Ok(certificate)
    } else {
        Err(Refusal::DeviceKey)
    }
}

/// The encoded certificate in a leaf.
pub(super) fn certificate_bytes(identity: &SigningIdentity) -> Result<&[u8], Refusal> {
    match &identity.credential {
        Credential::Custom(credential) if credential.credential_type == DEVICE_CREDENTIAL => Ok(&credential.data),
        _ => Err(Refusal::Certificate),
    }
}

impl IntoAnyError for Refusal {}

/// Answers MLS's questions about leaves.
#[derive(Debug, Clone)]
pub(super) struct Identities(pub(super) Judge);

impl IdentityProvider for Identities {
    type Error = Refusal;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        context: MemberValidationContext<'_>,
    ) -> Result<(), Refusal> {
        self.0.note((|| {
            let certificate = verify(identity)?;
            // A key package by itself belongs to no group yet.
            let Some(extensions) = context.new_extensions() else {
                return Ok(());
            };
            let policy = self.0.policy(extensions)?;
            match policy.entry(certificate.address()) {
                Some(entry) if entry.account_key == *certificate.account_key().as_bytes() => Ok(()),
                _ => Err(Refusal::NotInRoster),
            }
        })())
    }

    fn validate_external_sender(
        &self,
        _identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _extensions: Option<&ExtensionList>,
    ) -> Result<(), Refusal> {
        self.0.note(Err(Refusal::Outsider))
    }

    /// address || device id: one leaf a device.
    fn identity(&self, identity: &SigningIdentity, _extensions: &ExtensionList) -> Result<Vec<u8>, Refusal> {
        let credential = self.0.note(certificate_bytes(identity))?;
        let (address, device_id) = self.0.note(credential_device(credential).map_err(|_| Refusal::Certificate))?;
        Ok([address.as_str().as_bytes(), &device_id.to_be_bytes()].concat())
    }

    /// An update stays within its account; our rules hold it to its device where they see it. An external commit may take
    /// the place of another device of its account: the one that was lost.
    fn valid_successor(
        &self,
        predecessor: &SigningIdentity,
        successor: &SigningIdentity,
        _extensions: &ExtensionList,
    ) -> Result<bool, Refusal> {
        let predecessor = self.0.note(LeafName::read(predecessor))?;
        let successor = self.0.note(LeafName::read(successor))?;
        Ok(predecessor.same_account(&successor))
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![DEVICE_CREDENTIAL]
    }
}
