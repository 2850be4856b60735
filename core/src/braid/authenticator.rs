//! The Braid's authenticator: MACs under a key that takes in every agreed key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::crypto::incremental_kem::{FIRST_PART_LENGTH, HEADER_LENGTH, SECOND_PART_LENGTH};
use crate::crypto::kdf;
use crate::crypto::secret::Secret;
use crate::label::{self, Label};

/// Bytes of a MAC: never truncated.
pub(super) const MAC_LENGTH: usize = 32;

/// Root and MAC key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    pub(crate) root: Secret<32>,
    pub(crate) mac: Secret<32>,
}

/// The MAC does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MacError;

impl Authenticator {
    /// `Init(1, auth_key)`: from zeros, by the key of the handshake.
    #[must_use]
    pub fn new(key: &Secret<32>) -> Self {
        let mut authenticator = Self { root: Secret::zeroed(), mac: Secret::zeroed() };
        authenticator.update(1, key);
        authenticator
    }

    /// `Update`: takes in an epoch's key, the derived one.
    pub(crate) fn update(&mut self, epoch: u64, key: &Secret<32>) {
        let root = self.root.as_bytes();
        let expanded: Secret<64> = kdf::hkdf_at(root, &[key.as_bytes()], label::BRAID_AUTHENTICATOR, epoch);
        [self.root, self.mac] = kdf::split::<64, 2>(&expanded);
    }

    /// `MacHdr`
    pub(crate) fn header_mac(&self, epoch: u64, header: &[u8; HEADER_LENGTH]) -> [u8; MAC_LENGTH] {
        self.computation(label::BRAID_HEADER_MAC, epoch, &[header]).finalize().into_bytes().into()
    }

    /// `VfyHdr`, in constant time.
    pub(super) fn verify_header(
        &self,
        epoch: u64,
        header: &[u8; HEADER_LENGTH],
        mac: &[u8; MAC_LENGTH],
    ) -> Result<(), MacError> {
        self.computation(label::BRAID_HEADER_MAC, epoch, &[header]).verify(mac.into()).map_err(|_| MacError)
    }

    /// `MacCt`
    pub(crate) fn ciphertext_mac(
        &self,
        epoch: u64,
        first_part: &[u8; FIRST_PART_LENGTH],
        second_part: &[u8; SECOND_PART_LENGTH],
    ) -> [u8; MAC_LENGTH] {
        let parts: [&[u8]; 2] = [first_part, second_part];
        self.computation(label::BRAID_CIPHERTEXT_MAC, epoch, &parts).finalize().into_bytes().into()
    }

    /// `VfyCt`, in constant time.
    pub(super) fn verify_ciphertext(
        &self,
        epoch: u64,
        first_part: &[u8; FIRST_PART_LENGTH],
        second_part: &[u8; SECOND_PART_LENGTH],
        mac: &[u8; MAC_LENGTH],
    ) -> Result<(), MacError> {
        let parts: [&[u8]; 2] = [first_part, second_part];
        self.computation(label::BRAID_CIPHERTEXT_MAC, epoch, &parts).verify(mac.into()).map_err(|_| MacError)
    }

    /// All parts have fixed lengths, and so has the epoch.
    fn computation(&self, label: Label, epoch: u64, parts: &[&[u8]]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.mac.as_bytes()) else {
            unreachable!("HMAC takes a key of any length");
        };
        mac.update(&label.prefix());
        mac.update(&epoch.to_be_bytes());
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}
