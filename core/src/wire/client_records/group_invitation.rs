//! Invitations to groups: those to be sent, and those whose blob is being fetched.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{address, optional_id, secret};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::wire::{WireError, fixed, proto};

/// The invitation that a commit leads to, until those whom it adds have been sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInvitationRecord {
    /// Of the group.
    pub log_id: [u8; 32],
    /// That it leads to.
    pub epoch: u64,
    /// Who gets it.
    pub invited: Vec<Address>,
    /// Of help for a rejoin: which device of each of those has asked. Empty for an invitation.
    pub devices: Vec<u32>,
    /// Once the commit is read in the log: the life of the server's store, and the entry's sequence.
    pub place: Option<([u8; 16], u64)>,
    /// The invitation's length, and the blob that it goes as if it is too large for a message.
    pub blob: GroupBlobRecord,
}

/// The sealed blob that an invitation travels in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBlobRecord {
    /// Names it at the server.
    pub id: [u8; 32],
    /// Seals it.
    pub key: Secret<32>,
    /// Lets this device write it.
    pub upload_secret: Secret<16>,
    /// Bytes of the invitation.
    pub length: u64,
    /// Of the invitation, [`crate::attachment::root`].
    pub root: [u8; 32],
    /// Pieces that the server has.
    pub stored_pieces: u32,
    /// The server has room for it.
    pub begun: bool,
    /// When the server drops it, in milliseconds since 1970.
    pub expires: u64,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

/// An invitation whose blob is being fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupJoinRecord {
    /// Of the group.
    pub log_id: [u8; 32],
    /// An encoded `Content`, of the kind `group_invitation`.
    pub content: Zeroizing<Vec<u8>>,
    /// Who has sent it.
    pub inviter: Address,
    /// Under which account key, Ed25519.
    pub account_key: [u8; 32],
    /// He is a contact by that key.
    pub checked: bool,
    /// Bytes of the blob that are here.
    pub fetched: u64,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

impl GroupInvitationRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (incarnation, sequence) = self.place.map(|(life, at)| (life.to_vec(), at)).unwrap_or_default();
        let mut record = proto::ClientGroupInvitation {
            log_id: self.log_id.to_vec(),
            epoch: self.epoch,
            invited: self.invited.iter().map(ToString::to_string).collect(),
            sequence,
            incarnation,
            blob: Some(self.blob.to_proto()),
            devices: self.devices.clone(),
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        if let Some(blob) = &mut record.blob {
            blob.key.zeroize();
            blob.upload_secret.zeroize();
        }
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupInvitation::decode(bytes)?;
        let incarnation = optional_id(&record.incarnation, "incarnation")?;
        if !record.devices.is_empty() && record.devices.len() != record.invited.len() {
            return Err(WireError::Bounds("devices"));
        }
        Ok(Self {
            log_id: fixed(&record.log_id, "log_id")?,
            epoch: record.epoch,
            invited: record.invited.iter().map(|invited| address(invited)).collect::<Result<_, _>>()?,
            devices: record.devices,
            place: incarnation.map(|incarnation| (incarnation, record.sequence)),
            blob: GroupBlobRecord::from_proto(record.blob.ok_or(WireError::Missing("blob"))?)?,
        })
    }
}

impl GroupBlobRecord {
    fn to_proto(&self) -> proto::ClientGroupBlob {
        proto::ClientGroupBlob {
            id: self.id.to_vec(),
            key: self.key.as_bytes().to_vec(),
            upload_secret: self.upload_secret.as_bytes().to_vec(),
            length: self.length,
            root: self.root.to_vec(),
            stored_pieces: self.stored_pieces,
            begun: self.begun,
            expires: self.expires,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
        }
    }

    fn from_proto(blob: proto::ClientGroupBlob) -> Result<Self, WireError> {
        Ok(Self {
            id: fixed(&blob.id, "blob id")?,
            key: secret(blob.key, "blob key")?,
            upload_secret: secret(blob.upload_secret, "upload secret")?,
            length: blob.length,
            root: fixed(&blob.root, "root")?,
            stored_pieces: blob.stored_pieces,
            begun: blob.begun,
            expires: blob.expires,
            attempts: blob.attempts,
            next_attempt: blob.next_attempt,
        })
    }
}

impl GroupJoinRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut record = proto::ClientGroupJoin {
            log_id: self.log_id.to_vec(),
            content: self.content.to_vec(),
            inviter: self.inviter.to_string(),
            account_key: self.account_key.to_vec(),
            checked: self.checked,
            fetched: self.fetched,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        record.content.zeroize();
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupJoin::decode(bytes)?;
        Ok(Self {
            log_id: fixed(&record.log_id, "log_id")?,
            content: Zeroizing::new(record.content),
            inviter: address(&record.inviter)?,
            account_key: fixed(&record.account_key, "account_key")?,
            checked: record.checked,
            fetched: record.fetched,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_come_back_as_they_were_stored_and_keep_their_key_to_themselves() {
        let mut invitation = GroupInvitationRecord {
            log_id: [1; 32],
            epoch: 2,
            devices: Vec::new(),
            invited: vec!["a@b".parse().unwrap()],
            place: Some(([3; 16], 4)),
            blob: GroupBlobRecord {
                id: [6; 32],
                key: Secret::from([0xAB; 32]),
                upload_secret: Secret::from([0xCD; 16]),
                length: 7,
                root: [8; 32],
                stored_pieces: 1,
                begun: true,
                expires: 9,
                attempts: 10,
                next_attempt: 11,
            },
        };
        assert_eq!(GroupInvitationRecord::decode(&invitation.encode()), Ok(invitation.clone()));
        assert!(!format!("{invitation:?}").contains("171"));
        invitation.place = None;
        assert_eq!(GroupInvitationRecord::decode(&invitation.encode()), Ok(invitation));
        let join = GroupJoinRecord {
            log_id: [1; 32],
            content: Zeroizing::new(vec![2; 3]),
            inviter: "a@b".parse().unwrap(),
            account_key: [7; 32],
            checked: true,
            fetched: 4,
            attempts: 5,
            next_attempt: 6,
        };
        assert_eq!(GroupJoinRecord::decode(&join.encode()), Ok(join));
    }
}
