//! PQXDH (Signal's specification, revision 3): X25519 and ML-KEM-1024 agree on one secret.
//!
//! `spec/handshake.md`. This module computes; [`crate::session`] makes sessions of the result.

use crate::crypto::dh::{DhError, DhPublicKey, DhSecretKey};
use crate::crypto::hash::labelled_sha256;
use crate::crypto::kdf;
use crate::crypto::kem;
use crate::crypto::secret::Secret;
use crate::double_ratchet::InitialKeys;
use crate::identity::{DeviceCertificate, Statement};
use crate::label;
use crate::spqr::SpqrInitialKeys;

/// The four agreements, by the private keys of either side.
pub(crate) struct Agreements {
    dh1: Secret<32>,
    dh2: Secret<32>,
    dh3: Secret<32>,
    dh4: Option<Secret<32>>,
}

/// What a handshake gives: keys for the Double Ratchet, and for the sparse post-quantum ratchet.
pub(crate) struct SessionKeys {
    pub(crate) double_ratchet: InitialKeys,
    pub(crate) spqr: SpqrInitialKeys,
}

/// One end of a session: the account and one of its devices, as the newest statement has them.
#[derive(Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) device: &'a DeviceCertificate,
}

impl Agreements {
    /// By the initiator: identity key and ephemeral key against the responder's three keys.
    pub(crate) fn initiator(
        identity: &DhSecretKey,
        ephemeral: &DhSecretKey,
        responder_identity: &DhPublicKey,
        signed_prekey: &DhPublicKey,
        one_time_prekey: Option<&DhPublicKey>,
    ) -> Result<Self, DhError> {
        Ok(Self {
            dh1: identity.agree(signed_prekey)?,
            dh2: ephemeral.agree(responder_identity)?,
            dh3: ephemeral.agree(signed_prekey)?,
            dh4: one_time_prekey.map(|key| ephemeral.agree(key)).transpose()?,
        })
    }

    /// By the responder.
    pub(crate) fn responder(
        identity: &DhSecretKey,
        signed_prekey: &DhSecretKey,
        one_time_prekey: Option<&DhSecretKey>,
        initiator_identity: &DhPublicKey,
        ephemeral: &DhPublicKey,
    ) -> Result<Self, DhError> {
        Ok(Self {
            dh1: signed_prekey.agree(initiator_identity)?,
            dh2: identity.agree(ephemeral)?,
            dh3: signed_prekey.agree(ephemeral)?,
            dh4: one_time_prekey.map(|key| key.agree(ephemeral)).transpose()?,
        })
    }

    /// SK (section 3.3), expanded to the keys that a session begins with.
    pub(crate) fn session_keys(&self, kem_secret: &Secret<32>) -> SessionKeys {
        // F of section 2.2: 32 bytes that begin no X25519 key, so that KDF inputs and keys cannot be confused.
        let mut input: Vec<&[u8]> = vec![&[0xff; 32], self.dh1.as_bytes(), self.dh2.as_bytes(), self.dh3.as_bytes()];
        if let Some(dh4) = &self.dh4 {
            input.push(dh4.as_bytes());
        }
        input.push(kem_secret.as_bytes());
        let secret: Secret<32> = kdf::hkdf(&[0; 32], &input, label::PQXDH);
        let expanded: Secret<160> = kdf::hkdf(&[0; 32], &[secret.as_bytes()], label::SESSION_KEYS);
        let [root_key, chain_seed, authentication_key, header_key_initiator, next_header_key_responder] =
            kdf::split::<160, 5>(&expanded);
        SessionKeys {
            double_ratchet: InitialKeys { root_key, header_key_initiator, next_header_key_responder },
            spqr: SpqrInitialKeys { chain_seed, authentication_key },
        }
    }
}

/// AD: for both ends address, account key and device certificate, then the KEM prekey, each with its length before it.
pub(crate) fn associated_data(initiator: End<'_>, responder: End<'_>, kem_prekey: &kem::EncapsulationKey) -> [u8; 32] {
    let mut bytes = Vec::new();
    let mut push = |part: &[u8]| {
        // All parts are far below 4 GiB: addresses, keys, certificates of bounded statements.
        bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    for end in [initiator, responder] {
        push(end.statement.address().as_str().as_bytes());
        push(end.statement.account_key().as_bytes());
        push(&end.device.signed().encode());
    }
    push(kem_prekey.as_bytes());
    labelled_sha256(label::ASSOCIATED_DATA, &[&bytes])
}
