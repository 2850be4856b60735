//! `spec/proto/linking.proto`: what two devices put at the server for each other while one is linked.
//! [`crate::linking`] seals these.

use std::fmt;

use prost::Message;
use zeroize::Zeroizing;

use super::identity::verifying_key;
use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::dh::DhPublicKey;
use crate::crypto::secret::Secret;
use crate::crypto::x_wing;
use crate::identity::DevicePublicKeys;
use crate::kind::DeviceName;
use crate::limits::{DEVICES_MAX, LINKING_CONTACTS_MAX, LINKING_TOKENS_MAX, NAME_LENGTH_MAX, STATEMENT_LENGTH_MAX};

/// What a new device offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkOffer {
    /// The account that it wants to belong to.
    pub address: Address,
    /// Drawn, not 0.
    pub device_id: u32,
    /// The device's own.
    pub keys: DevicePublicKeys,
    /// For this linking alone.
    pub encapsulation_key: x_wing::EncapsulationKey,
    /// Of the reveal, by [`crate::linking::commitment`].
    pub commitment: [u8; 32],
    /// Of the server that the new device sees, by [`crate::proof::server_key_hash`].
    pub server_key_hash: [u8; 32],
}

/// What the primary device answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkAnswer {
    /// Under the offer's encapsulation key; its length is checked when it is opened.
    pub ciphertext: [u8; x_wing::CIPHERTEXT_LENGTH],
}

/// What the new device had committed itself to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReveal {
    /// Random.
    pub nonce: [u8; 32],
    /// What its owner calls the device; may be empty.
    pub name: String,
}

/// What makes a new device one of the account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkGrant {
    /// An encoded `SignedStatement` that lists it.
    pub statement: Vec<u8>,
    /// The account's display name.
    pub name: String,
    /// Of the account's server.
    pub server_key_hash: [u8; 32],
    /// Ed25519, where the new device is primary.
    pub account_key: Option<Secret<32>>,
    /// What the owner calls the devices.
    pub devices: Vec<DeviceName>,
    /// Encoded `ClientContact`s.
    pub contacts: Vec<Vec<u8>>,
    /// Encoded `ClientServer`s, by domain.
    pub servers: Vec<(String, Vec<u8>)>,
    /// Contacts that did not fit.
    pub contacts_left_out: u32,
    /// With which the new device pays on its first day.
    pub tokens: Option<LinkTokens>,
}

/// Tokens of the account's own server, all of one issuer key, that pass from one device to the other.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkTokens {
    /// Of the issuer key.
    pub key_id: [u8; 32],
    /// When they run out, in milliseconds since 1970.
    pub expires: u64,
    /// Nonce and authenticator of each; at most [`LINKING_TOKENS_MAX`].
    pub tokens: Vec<([u8; 32], [u8; 64])>,
}

impl fmt::Debug for LinkTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LinkTokens({} tokens)", self.tokens.len())
    }
}

impl LinkOffer {
    /// As it is sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::LinkOffer {
            address: self.address.to_string(),
            device_id: self.device_id,
            signing_key: self.keys.signing_key.as_bytes().to_vec(),
            dh_key: self.keys.dh_key.as_bytes().to_vec(),
            encapsulation_key: self.encapsulation_key.to_bytes(),
            commitment: self.commitment.to_vec(),
            server_key_hash: self.server_key_hash.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::LinkOffer::decode(bytes)?;
        if message.device_id == 0 {
            return Err(WireError::Bounds("device_id"));
        }
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            device_id: message.device_id,
            keys: DevicePublicKeys {
                signing_key: verifying_key(&message.signing_key, "signing_key")?,
                dh_key: DhPublicKey::from_slice(&message.dh_key).map_err(|_| WireError::Bounds("dh_key"))?,
            },
            encapsulation_key: x_wing::EncapsulationKey::from_slice(&message.encapsulation_key)
                .map_err(|_| WireError::Bounds("encapsulation_key"))?,
            commitment: fixed(&message.commitment, "commitment")?,
            server_key_hash: fixed(&message.server_key_hash, "server_key_hash")?,
        })
    }
}

impl LinkAnswer {
    /// As it is sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::LinkAnswer { ciphertext: self.ciphertext.to_vec() }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self { ciphertext: fixed(&proto::LinkAnswer::decode(bytes)?.ciphertext, "ciphertext")? })
    }
}

impl LinkReveal {
    /// As it is committed to, and sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::LinkReveal { nonce: self.nonce.to_vec(), name: self.name.clone() }.encode_to_vec()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::LinkReveal::decode(bytes)?;
        Ok(Self { nonce: fixed(&message.nonce, "nonce")?, name: device_name(message.name)? })
    }
}

impl LinkGrant {
    /// As it is sealed.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let message = proto::LinkGrant {
            statement: self.statement.clone(),
            name: self.name.clone(),
            server_key_hash: self.server_key_hash.to_vec(),
            account_key: self.account_key.as_ref().map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
            devices: self
                .devices
                .iter()
                .map(|one| proto::LinkDeviceName { device_id: one.device_id, name: one.name.clone(), at: one.at })
                .collect(),
            contacts: self.contacts.clone(),
            servers: self
                .servers
                .iter()
                .map(|(domain, server)| proto::LinkServer { domain: domain.clone(), server: server.clone() })
                .collect(),
            contacts_left_out: self.contacts_left_out,
            tokens: self.tokens.as_ref().map(LinkTokens::to_message),
        };
        let encoded = Zeroizing::new(message.encode_to_vec());
        drop(Zeroizing::new(message.account_key));
        drop(message.tokens.map(|tokens| Zeroizing::new(tokens.tokens)));
        encoded
    }

    /// Reads it. What is in the statement, the contacts and the servers is for the reader to check.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::LinkGrant::decode(bytes)?;
        let account_key = Zeroizing::new(message.account_key);
        let tokens = message.tokens.map(LinkTokens::from_message).transpose()?;
        if message.statement.len() > STATEMENT_LENGTH_MAX {
            return Err(WireError::Bounds("statement"));
        }
        if message.devices.len() > DEVICES_MAX {
            return Err(WireError::Bounds("devices"));
        }
        if message.contacts.len().max(message.servers.len()) > LINKING_CONTACTS_MAX {
            return Err(WireError::Bounds("contacts"));
        }
        let device = |one: proto::LinkDeviceName| {
            Ok(DeviceName { device_id: one.device_id, name: device_name(one.name)?, at: one.at })
        };
        Ok(Self {
            statement: message.statement,
            name: device_name(message.name)?,
            server_key_hash: fixed(&message.server_key_hash, "server_key_hash")?,
            account_key: match account_key.len() {
                0 => None,
                _ => Some(Secret::from_slice(&account_key).ok_or(WireError::Bounds("account_key"))?),
            },
            devices: message.devices.into_iter().map(device).collect::<Result<_, WireError>>()?,
            contacts: message.contacts,
            servers: message.servers.into_iter().map(|server| (server.domain, server.server)).collect(),
            contacts_left_out: message.contacts_left_out,
            tokens,
        })
    }
}

impl LinkTokens {
    fn to_message(&self) -> proto::LinkTokens {
        let mut tokens = Vec::with_capacity(self.tokens.len() * TOKEN_LENGTH);
        for (nonce, authenticator) in &self.tokens {
            tokens.extend_from_slice(nonce);
            tokens.extend_from_slice(authenticator);
        }
        proto::LinkTokens { key_id: self.key_id.to_vec(), expires: self.expires, tokens }
    }

    fn from_message(message: proto::LinkTokens) -> Result<Self, WireError> {
        let bytes = Zeroizing::new(message.tokens);
        if !bytes.len().is_multiple_of(TOKEN_LENGTH) || bytes.len() / TOKEN_LENGTH > LINKING_TOKENS_MAX {
            return Err(WireError::Bounds("tokens"));
        }
        let token = |one: &[u8]| Ok((fixed(&one[..32], "tokens")?, fixed(&one[32..], "tokens")?));
        Ok(Self {
            key_id: fixed(&message.key_id, "key_id")?,
            expires: message.expires,
            tokens: bytes.chunks_exact(TOKEN_LENGTH).map(token).collect::<Result<_, WireError>>()?,
        })
    }
}

/// Bytes of nonce and authenticator.
const TOKEN_LENGTH: usize = 32 + 64;

/// A name that a person gave: bounded, in one line.
pub(crate) fn device_name(name: String) -> Result<String, WireError> {
    if name.len() > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
        return Err(WireError::Bounds("name"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linking::tests::grant;

    #[test]
    fn tokens_of_a_grant_arrive_and_too_many_or_half_ones_are_refused() {
        let tokens =
            |count: usize| Some(LinkTokens { key_id: [1; 32], expires: 5, tokens: vec![([2; 32], [3; 64]); count] });
        let granted = LinkGrant { tokens: tokens(LINKING_TOKENS_MAX), ..grant() };
        assert_eq!(LinkGrant::decode(&granted.encode()), Ok(granted));
        let many = LinkGrant { tokens: tokens(LINKING_TOKENS_MAX + 1), ..grant() };
        assert_eq!(LinkGrant::decode(&many.encode()), Err(WireError::Bounds("tokens")));
        let half = proto::LinkTokens { key_id: vec![1; 32], expires: 5, tokens: vec![0; TOKEN_LENGTH - 1] };
        assert_eq!(LinkTokens::from_message(half), Err(WireError::Bounds("tokens")));
    }
}
