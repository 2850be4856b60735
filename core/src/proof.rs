//! What is signed on a connection: the server's hello, the proof of device, the deletion of an account.
//!
//! `spec/transport.md`, sections "Hello" and "Proof of device".

use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::{Signature, SignatureError, SigningKey, VerifyingKey};
use crate::label;
use crate::wire::transport::Transport;

/// Bytes that both ends take from the TLS exporter (RFC 8446 section 7.5), under [`label::TLS_EXPORTER`] and no context.
pub const EXPORTER_LENGTH: usize = 32;

/// What the TLS exporter gave for this connection.
pub type Exporter = [u8; EXPORTER_LENGTH];

/// One connection as a signature sees it.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    /// The server's nonce.
    pub nonce: &'a [u8; 32],
    /// The server's domain.
    pub domain: &'a str,
    /// How the two are connected.
    pub transport: Transport,
    /// `None` only where the transport has no exporter to give.
    pub exporter: Option<&'a Exporter>,
}

impl Channel<'_> {
    /// nonce, length of the domain (2 bytes), domain, transport (4 bytes), 1 and the exporter or 0.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.nonce.to_vec();
        bytes.extend_from_slice(&length(self.domain).to_be_bytes());
        bytes.extend_from_slice(self.domain.as_bytes());
        bytes.extend_from_slice(&self.transport.encode().to_be_bytes());
        match self.exporter {
            Some(exporter) => {
                bytes.push(1);
                bytes.extend_from_slice(exporter);
            }
            None => bytes.push(0),
        }
        bytes
    }

    /// Signs the server's hello with the server key.
    #[must_use]
    pub fn sign_hello(&self, server_key: &SigningKey) -> Signature {
        server_key.sign(label::SERVER_HELLO, &[&self.encode()])
    }

    /// Verifies the server's hello.
    ///
    /// # Errors
    /// [`SignatureError::Signature`] if another server signed, or this one for another connection.
    pub fn verify_hello(&self, server_key: &VerifyingKey, signature: &Signature) -> Result<(), SignatureError> {
        server_key.verify(label::SERVER_HELLO, &[&self.encode()], signature)
    }

    /// Signs a proof of device with the device key.
    #[must_use]
    pub fn sign_proof(&self, device_key: &SigningKey, address: &Address, device_id: u32, generation: u64) -> Signature {
        device_key.sign(label::DEVICE_PROOF, &[&self.encode(), &device(address, device_id, generation)])
    }

    /// Verifies a proof of device.
    ///
    /// # Errors
    /// [`SignatureError::Signature`] if the key, or anything that was signed, differs.
    pub fn verify_proof(
        &self,
        device_key: &VerifyingKey,
        address: &Address,
        device_id: u32,
        generation: u64,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let parts = [self.encode(), device(address, device_id, generation)];
        device_key.verify(label::DEVICE_PROOF, &[&parts[0], &parts[1]], signature)
    }
}

/// Signs the deletion of an account with its account key. The statement's version keeps a replay from deleting a later
/// account under the same address.
#[must_use]
pub fn sign_deletion(account_key: &SigningKey, address: &Address, statement_version: u64) -> Signature {
    account_key.sign(label::DELETE_ACCOUNT, &[&statement_version.to_be_bytes(), address.as_str().as_bytes()])
}

/// Verifies the deletion of an account.
///
/// # Errors
/// [`SignatureError::Signature`]
pub fn verify_deletion(
    account_key: &VerifyingKey,
    address: &Address,
    statement_version: u64,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let parts: [&[u8]; 2] = [&statement_version.to_be_bytes(), address.as_str().as_bytes()];
    account_key.verify(label::DELETE_ACCOUNT, &parts, signature)
}

/// The hash by which an invitation code and a client know a server's key.
#[must_use]
pub fn server_key_hash(server_key: &VerifyingKey) -> [u8; 32] {
    labelled_sha256(label::SERVER_KEY_HASH, &[server_key.as_bytes()])
}

/// device id (4 bytes), generation (8 bytes), length of the address (2 bytes), address.
fn device(address: &Address, device_id: u32, generation: u64) -> Vec<u8> {
    let mut bytes = device_id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&length(address.as_str()).to_be_bytes());
    bytes.extend_from_slice(address.as_str().as_bytes());
    bytes
}

/// Domains and addresses are at most 318 bytes, by their types.
fn length(text: &str) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rng::rng;

    const CHANNEL: Channel<'_> =
        Channel { nonce: &[1; 32], domain: "clinic.example", transport: Transport::Quic, exporter: Some(&[2; 32]) };

    #[test]
    fn a_proof_holds_for_its_own_connection_only() {
        let key = SigningKey::random(&mut rng(1));
        let address: Address = "claire@clinic.example".parse().unwrap();
        let proof = CHANNEL.sign_proof(&key, &address, 1, 7);
        let verify = |channel: Channel<'_>| channel.verify_proof(&key.verifying_key(), &address, 1, 7, &proof);
        assert!(verify(CHANNEL).is_ok());
        assert!(verify(Channel { nonce: &[9; 32], ..CHANNEL }).is_err());
        assert!(verify(Channel { domain: "other.example", ..CHANNEL }).is_err());
        assert!(verify(Channel { exporter: Some(&[3; 32]), ..CHANNEL }).is_err());
        assert!(verify(Channel { exporter: None, ..CHANNEL }).is_err());
        assert!(CHANNEL.verify_proof(&key.verifying_key(), &address, 2, 7, &proof).is_err());
        assert!(CHANNEL.verify_proof(&key.verifying_key(), &address, 1, 8, &proof).is_err());
        assert!(CHANNEL.verify_hello(&key.verifying_key(), &proof).is_err());
    }

    #[test]
    fn a_hello_of_another_server_is_refused() {
        let [key, other] = [1, 2].map(|seed| SigningKey::random(&mut rng(seed)));
        let hello = CHANNEL.sign_hello(&key);
        assert!(CHANNEL.verify_hello(&key.verifying_key(), &hello).is_ok());
        assert!(CHANNEL.verify_hello(&other.verifying_key(), &hello).is_err());
    }
}
