//! What passes between those who watch a group's log and is kept by nobody: that somebody types. `spec/group.md`, section
//! "Signals".
//!
//! It is no MLS message: each would take a key of its sender that all who are away had to skip. It is sealed under a key of
//! the epoch, which whoever was removed has not, and signed by the device, so that no member speaks for another one.

use std::fmt;

use rand_core::CryptoRng;

use super::LogId;
use super::credential::LeafName;
use super::error::{GroupError, Refusal};
use super::keys::EpochKeys;
use super::member::{Group, GroupMember, named};
use super::policy::Role;
use crate::Address;
use crate::crypto::aead::{TAG_LENGTH, WIDE_NONCE_LENGTH, open_wide, seal_wide};
use crate::crypto::kdf::hkdf;
use crate::crypto::secret::Secret;
use crate::crypto::signature::{Signature, SigningKey, VerifyingKey};
use crate::kind::{Body, Chat};
use crate::label;
use crate::limits::GROUP_SIGNAL_LENGTH_MAX;
use crate::wire::WireError;
use crate::wire::content::{body_of_kind, kind_number};

/// Bytes of the length before the message.
const LENGTH_LENGTH: usize = 4;
/// Bytes of what is sealed, with its padding: a signal always has [`GROUP_SIGNAL_LENGTH_MAX`].
const PADDED_LENGTH: usize = GROUP_SIGNAL_LENGTH_MAX - WIDE_NONCE_LENGTH - TAG_LENGTH;

/// A signal of a member, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupSignal {
    /// Whose device has signed it.
    pub sender: GroupMember,
    /// Milliseconds since 1970, by the sender's clock. A signal that is no later than one that came before is an old one.
    pub at: u64,
    /// What: something ephemeral.
    pub chat: Chat,
}

/// What is sealed in a signal.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedSignal {
    /// Who says it is.
    pub address: Address,
    /// With which device.
    pub device_id: u32,
    /// Milliseconds since 1970.
    pub at: u64,
    /// An encoded `Chat`.
    pub chat: Vec<u8>,
    /// By the device, over log id, epoch, time and what.
    pub signature: Signature,
}

impl Group {
    /// Makes a signal for those who watch the current epoch. `signing_key` is this device's. Nothing of the group changes.
    ///
    /// # Errors
    /// [`GroupError::Removed`], [`Refusal::ReaderPosted`], [`Refusal::Closed`]; [`GroupError::Malformed`] for what is not
    /// ephemeral.
    pub fn signal(
        &self,
        chat: &Chat,
        at: u64,
        signing_key: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, GroupError> {
        match self.own_role()? {
            Role::Reader => return Err(Refusal::ReaderPosted.into()),
            _ if self.policy()?.successor.is_some() => return Err(Refusal::Closed.into()),
            _ => {}
        }
        if !chat.is_ephemeral() {
            return Err(WireError::Bounds("signal").into());
        }
        let chat = Body::Chat(chat.clone()).encode().map_err(|_| WireError::Bounds("signal"))?.to_vec();
        let signature = signing_key.sign(label::GROUP_TYPING, &[&signed(&self.log_id(), self.epoch(), at, &chat)]);
        let (address, device_id) = (self.own.address.clone(), self.own.device_id);
        let message = SignedSignal { address, device_id, at, chat, signature }.encode();
        let mut nonce = [0; WIDE_NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        let length = u32::try_from(message.len()).map_err(|_| GroupError::TooLong)?.to_be_bytes();
        if message.len() > PADDED_LENGTH - LENGTH_LENGTH {
            return Err(GroupError::TooLong);
        }
        let data = associated_data(&self.log_id(), self.epoch());
        Ok(seal_wide(&key_of(self.keys()), &nonce, &data, &[&length, &message], PADDED_LENGTH))
    }

    /// Opens a signal that came to this device while it watched the current epoch.
    ///
    /// # Errors
    /// [`GroupError::Sealed`] if it is of another group or epoch, or altered; [`GroupError::Unverified`] if its sender is no
    /// member or has not signed it; [`Refusal::ReaderPosted`], [`Refusal::Closed`]; [`GroupError::Malformed`].
    pub fn open_signal(&self, signal: &[u8]) -> Result<GroupSignal, GroupError> {
        let data = associated_data(&self.log_id(), self.epoch());
        let padded = open_wide(&key_of(self.keys()), &data, signal).map_err(|_| GroupError::Sealed)?;
        let (length, rest) = padded.split_first_chunk::<LENGTH_LENGTH>().ok_or(GroupError::Sealed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| GroupError::Sealed)?;
        let (message, padding) = rest.split_at_checked(length).ok_or(GroupError::Sealed)?;
        if padded.len() != PADDED_LENGTH || padding.iter().any(|byte| *byte != 0) {
            return Err(GroupError::Sealed);
        }
        let message = SignedSignal::decode(message)?;
        let identity = [message.address.as_str().as_bytes(), &message.device_id.to_be_bytes()].concat();
        let leaf = self.mls.member_with_identity(&identity).map_err(|_| GroupError::Unverified)?;
        let name = LeafName::read(&leaf.signing_identity)?;
        let key = VerifyingKey::from_slice(leaf.signing_identity.signature_key.as_bytes());
        let signed = signed(&self.log_id(), self.epoch(), message.at, &message.chat);
        let is_good = key.is_ok_and(|key| key.verify(label::GROUP_TYPING, &[&signed], &message.signature).is_ok());
        if !is_good || (&name.address, name.device_id) != (&message.address, message.device_id) {
            return Err(GroupError::Unverified);
        }
        let policy = self.policy()?;
        let sender = named(&policy, &leaf)?;
        match sender.role {
            Some(Role::Reader) => return Err(Refusal::ReaderPosted.into()),
            None => return Err(Refusal::NotInRoster.into()),
            Some(_) if policy.successor.is_some() => return Err(Refusal::Closed.into()),
            Some(_) => {}
        }
        let chat_kind = kind_number(&Body::Chat(Chat::Typing { active: true }));
        match body_of_kind(chat_kind, &message.chat)? {
            Body::Chat(chat) if chat.is_ephemeral() => Ok(GroupSignal { sender, at: message.at, chat }),
            _ => Err(WireError::Bounds("signal").into()),
        }
    }
}

fn key_of(keys: &EpochKeys) -> Secret<32> {
    hkdf(&[], &[keys.outer_key().as_bytes()], label::GROUP_SIGNAL_KEY)
}

/// log id, epoch (8 bytes). The key is for nothing else, so that no label is needed.
fn associated_data(log_id: &LogId, epoch: u64) -> Vec<u8> {
    [log_id.as_slice(), &epoch.to_be_bytes()].concat()
}

/// log id, epoch (8 bytes), time (8 bytes), what.
fn signed(log_id: &LogId, epoch: u64, at: u64, chat: &[u8]) -> Vec<u8> {
    [log_id.as_slice(), &epoch.to_be_bytes(), &at.to_be_bytes(), chat].concat()
}

impl fmt::Debug for SignedSignal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SignedSignal({}, device {}, ..)", self.address, self.device_id)
    }
}

impl fmt::Debug for GroupSignal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GroupSignal({}, device {}, ..)", self.sender.address, self.sender.device_id)
    }
}
