//! A group as a device has it: where it stands in the log, what is to be changed, what was said.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{address, optional_id, secret, some_bytes, text};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::wire::{WireError, fixed, proto};

/// How a device stands to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupStanding {
    /// The server has not confirmed its log yet.
    Making,
    /// A member.
    Active,
    /// The Welcome is being fetched.
    Joining,
    /// It has left, or was never let in.
    Left,
    /// Somebody has taken it out.
    Removed,
    /// A commit that nobody can follow is in the log: an owner has to make the group anew.
    Broken,
    /// Its state is gone or too old: a member is asked for the way back.
    Rejoining,
    /// It wants to leave, and somebody has to take it out.
    Leaving,
}

/// What a member may do, in the order of the numbers on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRoleRecord {
    /// Changes the group.
    Owner,
    /// Writes.
    Member,
    /// Reads.
    Reader,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// Names the log at its server.
    pub log_id: [u8; 32],
    /// Whose server keeps the log.
    pub domain: String,
    /// As the group's policy has it.
    pub name: String,
    /// How this device stands to it.
    pub standing: GroupStanding,
    /// Whose entries are read.
    pub epoch: u64,
    /// Of the server's store that `after` belongs to; `None` before anything was read.
    pub incarnation: Option<[u8; 16]>,
    /// The last entry that was handled.
    pub after: u64,
    /// When to read again, in milliseconds since 1970.
    pub next_read: u64,
    /// How many [`GroupMessageRecord`]s there are, numbered from 0.
    pub messages: u64,
    /// A person has seen those with lower numbers.
    pub seen: u64,
    /// What is to be changed.
    pub changes: Vec<GroupChangeRecord>,
    /// The commit that is on its way.
    pub commit: Option<GroupCommitRecord>,
    /// Id of the next change.
    pub next_change: u64,
    /// To append, since something last went well.
    pub attempts: u32,
    /// When to append again, in milliseconds since 1970.
    pub next_attempt: u64,
    /// Code of what keeps the group from going on.
    pub problem: Option<String>,
    /// Since when this device is in it, in milliseconds since 1970.
    pub joined: u64,
    /// When this device last renewed its keys, in milliseconds since 1970.
    pub updated: u64,
    /// The server has confirmed the log.
    pub log_created: bool,
    /// Of the own statement that the account's devices in the group were held against.
    pub statement_version: u64,
}

/// Something to be changed in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChangeRecord {
    /// Names it within the group.
    pub id: u64,
    /// What.
    pub what: GroupChangeKind,
    /// Key packages that were fetched for it, by device.
    pub key_packages: Vec<(u32, Vec<u8>)>,
    /// The encoded signed statement that came with them.
    pub statement: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Times that key packages were asked for.
    pub asked: u32,
    /// When to ask again, in milliseconds since 1970.
    pub next_ask: u64,
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChangeKind {
    /// Take an account in, with all its devices.
    Add(Address, GroupRoleRecord),
    /// Take an account out.
    Remove(Address),
    /// Give an account another role.
    Role(Address, GroupRoleRecord),
    /// Call the group otherwise.
    Name(String),
    /// Keep messages for so many days; 0: for ever.
    Retention(u32),
    /// Bring this account's devices in the group into step with its statement.
    OwnDevices,
    /// Renew this device's keys.
    Update,
    /// Take this account out.
    Leave,
    /// Take out a device that its account no longer lists.
    RemoveDevice(Address, u32),
}

/// A commit that was made and is not read in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommitRecord {
    /// Names the entry; the encoded request is stored under it.
    pub entry_id: [u8; 16],
    /// SHA-256 of the entry.
    pub entry_hash: [u8; 32],
    /// That it closes.
    pub epoch: u64,
    /// Ids of what it does.
    pub changes: Vec<u64>,
    /// Accounts whose devices it adds.
    pub invited: Vec<Address>,
    /// The server has it.
    pub appended: bool,
    /// It is a proposal to leave, which somebody else commits.
    pub proposal: bool,
}

/// The invitation that a commit leads to, until those whom it adds have been sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInvitationRecord {
    /// Of the group.
    pub log_id: [u8; 32],
    /// That it leads to.
    pub epoch: u64,
    /// Who gets it.
    pub invited: Vec<Address>,
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

/// How far a message of a group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupMessageState {
    /// It waits to be appended.
    Queued,
    /// It is in the log.
    Logged,
    /// It will never be.
    Failed,
}

/// A message of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMessageRecord {
    /// In the log; 0: not yet.
    pub sequence: u64,
    /// Of the content.
    pub content_id: [u8; 16],
    /// Who wrote it, as MLS has authenticated it.
    pub sender: Address,
    /// With which device.
    pub sender_device: u32,
    /// The sender's account key, Ed25519.
    pub account_key: [u8; 32],
    /// By the server's clock; by this device's until it is in the log. Milliseconds since 1970.
    pub received: u64,
    /// An encoded `Content`.
    pub content: Vec<u8>,
    /// How far it has come.
    pub state: GroupMessageState,
    /// Of a failure.
    pub code: Option<String>,
}

/// Who is in a group, as MLS has it at the epoch that is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRosterRecord {
    /// What the group is for.
    pub description: String,
    /// For how many days messages are kept; 0: for ever.
    pub retention_days: u32,
    /// In the order of their addresses.
    pub members: Vec<GroupMemberRecord>,
}

/// An account in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMemberRecord {
    /// Who.
    pub address: Address,
    /// What it may do.
    pub role: GroupRoleRecord,
    /// Its devices in the group, ascending.
    pub devices: Vec<u32>,
}

/// A message of a group that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOutboxRecord {
    /// Of the group.
    pub log_id: [u8; 32],
    /// Of the content.
    pub content_id: [u8; 16],
    /// Of its [`GroupMessageRecord`].
    pub number: u64,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Once it is encrypted.
    pub entry: Option<GroupEntryRecord>,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

/// An encrypted entry that waits for the server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEntryRecord {
    /// Names it; the encoded request is stored under it.
    pub id: [u8; 16],
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// For which it is encrypted.
    pub epoch: u64,
}

/// Which key packages are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackagesRecord {
    /// Of the last upload.
    pub sequence: u64,
    /// Not used yet.
    pub next_id: u32,
    /// A signed upload that the server has not confirmed.
    pub pending_upload: Option<Vec<u8>>,
    /// When its last-resort one was made, in seconds since 1970.
    pub created: u64,
    /// KeyPackageRef of the last-resort one.
    pub last_resort: [u8; 32],
    /// Those that were replaced, by KeyPackageRef, and when, in seconds since 1970: an invitation may be under way.
    pub retired: Vec<([u8; 32], u64)>,
}

impl GroupRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientGroup {
            log_id: self.log_id.to_vec(),
            domain: self.domain.clone(),
            name: self.name.clone(),
            state: self.standing.number(),
            epoch: self.epoch,
            incarnation: self.incarnation.map(|id| id.to_vec()).unwrap_or_default(),
            after: self.after,
            next_read: self.next_read,
            messages: self.messages,
            seen: self.seen,
            changes: self.changes.iter().map(GroupChangeRecord::to_proto).collect(),
            commit: self.commit.as_ref().map(GroupCommitRecord::to_proto),
            next_change: self.next_change,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            problem: self.problem.clone().unwrap_or_default(),
            joined: self.joined,
            updated: self.updated,
            log_created: self.log_created,
            statement_version: self.statement_version,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroup::decode(bytes)?;
        Ok(Self {
            log_id: fixed(&record.log_id, "log_id")?,
            domain: record.domain,
            name: record.name,
            standing: GroupStanding::from_number(record.state)?,
            epoch: record.epoch,
            incarnation: optional_id(&record.incarnation, "incarnation")?,
            after: record.after,
            next_read: record.next_read,
            messages: record.messages,
            seen: record.seen,
            changes: record.changes.into_iter().map(GroupChangeRecord::from_proto).collect::<Result<_, _>>()?,
            commit: record.commit.map(GroupCommitRecord::from_proto).transpose()?,
            next_change: record.next_change,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            problem: text(record.problem),
            joined: record.joined,
            updated: record.updated,
            log_created: record.log_created,
            statement_version: record.statement_version,
        })
    }
}

impl GroupStanding {
    const fn number(self) -> u32 {
        match self {
            Self::Making => 1,
            Self::Active => 2,
            Self::Joining => 3,
            Self::Left => 4,
            Self::Removed => 5,
            Self::Broken => 6,
            Self::Rejoining => 7,
            Self::Leaving => 8,
        }
    }

    const fn from_number(number: u32) -> Result<Self, WireError> {
        match number {
            1 => Ok(Self::Making),
            2 => Ok(Self::Active),
            3 => Ok(Self::Joining),
            4 => Ok(Self::Left),
            5 => Ok(Self::Removed),
            6 => Ok(Self::Broken),
            7 => Ok(Self::Rejoining),
            8 => Ok(Self::Leaving),
            _ => Err(WireError::Bounds("group state")),
        }
    }
}

impl GroupRoleRecord {
    const fn number(self) -> u32 {
        match self {
            Self::Owner => 1,
            Self::Member => 2,
            Self::Reader => 3,
        }
    }

    const fn from_number(number: u32) -> Result<Self, WireError> {
        match number {
            1 => Ok(Self::Owner),
            2 => Ok(Self::Member),
            3 => Ok(Self::Reader),
            _ => Err(WireError::Bounds("role")),
        }
    }
}

impl GroupChangeRecord {
    fn to_proto(&self) -> proto::ClientGroupChange {
        let mut change = proto::ClientGroupChange {
            id: self.id,
            key_packages: self
                .key_packages
                .iter()
                .map(|(device_id, key_package)| proto::ClientGroupKeyPackage {
                    device_id: *device_id,
                    key_package: key_package.clone(),
                })
                .collect(),
            statement: self.statement.clone().unwrap_or_default(),
            created: self.created,
            asked: self.asked,
            next_ask: self.next_ask,
            ..proto::ClientGroupChange::default()
        };
        match &self.what {
            GroupChangeKind::Add(address, role) => {
                (change.kind, change.address, change.role) = (1, address.to_string(), role.number());
            }
            GroupChangeKind::Remove(address) => (change.kind, change.address) = (2, address.to_string()),
            GroupChangeKind::Role(address, role) => {
                (change.kind, change.address, change.role) = (3, address.to_string(), role.number());
            }
            GroupChangeKind::Name(name) => (change.kind, change.text) = (4, name.clone()),
            GroupChangeKind::Retention(days) => (change.kind, change.number) = (5, *days),
            GroupChangeKind::OwnDevices => change.kind = 6,
            GroupChangeKind::Update => change.kind = 7,
            GroupChangeKind::Leave => change.kind = 8,
            GroupChangeKind::RemoveDevice(address, device) => {
                (change.kind, change.address, change.number) = (9, address.to_string(), *device);
            }
        }
        change
    }

    fn from_proto(change: proto::ClientGroupChange) -> Result<Self, WireError> {
        let what = match change.kind {
            1 => GroupChangeKind::Add(address(&change.address)?, GroupRoleRecord::from_number(change.role)?),
            2 => GroupChangeKind::Remove(address(&change.address)?),
            3 => GroupChangeKind::Role(address(&change.address)?, GroupRoleRecord::from_number(change.role)?),
            4 => GroupChangeKind::Name(change.text),
            5 => GroupChangeKind::Retention(change.number),
            6 => GroupChangeKind::OwnDevices,
            7 => GroupChangeKind::Update,
            8 => GroupChangeKind::Leave,
            9 => GroupChangeKind::RemoveDevice(address(&change.address)?, change.number),
            _ => return Err(WireError::Bounds("group change")),
        };
        let key_packages = change.key_packages.into_iter().map(|one| (one.device_id, one.key_package)).collect();
        Ok(Self {
            id: change.id,
            what,
            key_packages,
            statement: some_bytes(change.statement),
            created: change.created,
            asked: change.asked,
            next_ask: change.next_ask,
        })
    }
}

impl GroupCommitRecord {
    fn to_proto(&self) -> proto::ClientGroupCommit {
        proto::ClientGroupCommit {
            entry_id: self.entry_id.to_vec(),
            entry_hash: self.entry_hash.to_vec(),
            epoch: self.epoch,
            changes: self.changes.clone(),
            invited: self.invited.iter().map(ToString::to_string).collect(),
            appended: self.appended,
            proposal: self.proposal,
        }
    }

    fn from_proto(commit: proto::ClientGroupCommit) -> Result<Self, WireError> {
        Ok(Self {
            entry_id: fixed(&commit.entry_id, "entry_id")?,
            entry_hash: fixed(&commit.entry_hash, "entry_hash")?,
            epoch: commit.epoch,
            changes: commit.changes,
            invited: commit.invited.iter().map(|invited| address(invited)).collect::<Result<_, _>>()?,
            appended: commit.appended,
            proposal: commit.proposal,
        })
    }
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
        Ok(Self {
            log_id: fixed(&record.log_id, "log_id")?,
            epoch: record.epoch,
            invited: record.invited.iter().map(|invited| address(invited)).collect::<Result<_, _>>()?,
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

impl GroupMessageRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientGroupMessage {
            sequence: self.sequence,
            content_id: self.content_id.to_vec(),
            sender: self.sender.to_string(),
            sender_device: self.sender_device,
            received: self.received,
            content: self.content.clone(),
            state: match self.state {
                GroupMessageState::Queued => 1,
                GroupMessageState::Logged => 2,
                GroupMessageState::Failed => 3,
            },
            code: self.code.clone().unwrap_or_default(),
            account_key: self.account_key.to_vec(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupMessage::decode(bytes)?;
        Ok(Self {
            sequence: record.sequence,
            content_id: fixed(&record.content_id, "content_id")?,
            sender: address(&record.sender)?,
            sender_device: record.sender_device,
            account_key: fixed(&record.account_key, "account_key")?,
            received: record.received,
            content: record.content,
            state: match record.state {
                1 => GroupMessageState::Queued,
                2 => GroupMessageState::Logged,
                3 => GroupMessageState::Failed,
                _ => return Err(WireError::Bounds("group message state")),
            },
            code: text(record.code),
        })
    }
}

impl GroupOutboxRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientGroupOutboxEntry {
            log_id: self.log_id.to_vec(),
            content_id: self.content_id.to_vec(),
            number: self.number,
            created: self.created,
            entry_id: self.entry.map(|entry| entry.id.to_vec()).unwrap_or_default(),
            entry_hash: self.entry.map(|entry| entry.hash.to_vec()).unwrap_or_default(),
            epoch: self.entry.map_or(0, |entry| entry.epoch),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupOutboxEntry::decode(bytes)?;
        let entry = match optional_id(&record.entry_id, "entry_id")? {
            Some(id) => {
                Some(GroupEntryRecord { id, hash: fixed(&record.entry_hash, "entry_hash")?, epoch: record.epoch })
            }
            None => None,
        };
        Ok(Self {
            log_id: fixed(&record.log_id, "log_id")?,
            content_id: fixed(&record.content_id, "content_id")?,
            number: record.number,
            created: record.created,
            entry,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
        })
    }
}

impl GroupRosterRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let member = |member: &GroupMemberRecord| proto::ClientGroupMember {
            address: member.address.to_string(),
            role: member.role.number(),
            devices: member.devices.clone(),
        };
        proto::ClientGroupRoster {
            description: self.description.clone(),
            retention_days: self.retention_days,
            members: self.members.iter().map(member).collect(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupRoster::decode(bytes)?;
        let member = |member: proto::ClientGroupMember| {
            Ok(GroupMemberRecord {
                address: address(&member.address)?,
                role: GroupRoleRecord::from_number(member.role)?,
                devices: member.devices,
            })
        };
        Ok(Self {
            description: record.description,
            retention_days: record.retention_days,
            members: record.members.into_iter().map(member).collect::<Result<_, WireError>>()?,
        })
    }
}

impl KeyPackagesRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientKeyPackages {
            sequence: self.sequence,
            next_id: self.next_id,
            pending_upload: self.pending_upload.clone().unwrap_or_default(),
            created: self.created,
            last_resort: self.last_resort.to_vec(),
            retired: self
                .retired
                .iter()
                .map(|(reference, at)| proto::ClientRetiredKeyPackage { reference: reference.to_vec(), at: *at })
                .collect(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientKeyPackages::decode(bytes)?;
        Ok(Self {
            sequence: record.sequence,
            next_id: record.next_id,
            pending_upload: some_bytes(record.pending_upload),
            created: record.created,
            last_resort: fixed(&record.last_resort, "last_resort")?,
            retired: record
                .retired
                .iter()
                .map(|one| Ok((fixed(&one.reference, "reference")?, one.at)))
                .collect::<Result<_, WireError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: u64, what: GroupChangeKind) -> GroupChangeRecord {
        GroupChangeRecord {
            id,
            what,
            key_packages: vec![(3, vec![1, 2])],
            statement: Some(vec![9]),
            created: 4,
            asked: 1,
            next_ask: 7,
        }
    }

    fn group() -> GroupRecord {
        let who: Address = "a@b".parse().unwrap();
        GroupRecord {
            log_id: [1; 32],
            domain: "b".into(),
            name: "Ward 3".into(),
            standing: GroupStanding::Active,
            epoch: 7,
            incarnation: Some([2; 16]),
            after: 9,
            next_read: 10,
            messages: 11,
            seen: 4,
            changes: vec![
                change(1, GroupChangeKind::Add(who.clone(), GroupRoleRecord::Owner)),
                change(2, GroupChangeKind::Remove(who.clone())),
                change(3, GroupChangeKind::Role(who.clone(), GroupRoleRecord::Reader)),
                change(4, GroupChangeKind::Name("Ward 4".into())),
                change(5, GroupChangeKind::Retention(30)),
                change(6, GroupChangeKind::OwnDevices),
                change(7, GroupChangeKind::Update),
                change(8, GroupChangeKind::Leave),
                change(9, GroupChangeKind::RemoveDevice(who.clone(), 5)),
            ],
            commit: Some(GroupCommitRecord {
                entry_id: [3; 16],
                entry_hash: [4; 32],
                epoch: 7,
                changes: vec![1],
                invited: vec![who],
                appended: true,
                proposal: false,
            }),
            next_change: 10,
            attempts: 2,
            next_attempt: 99,
            problem: Some("stale".into()),
            joined: 5,
            updated: 6,
            log_created: true,
            statement_version: 3,
        }
    }

    #[test]
    fn groups_come_back_as_they_were_stored() {
        assert_eq!(GroupRecord::decode(&group().encode()), Ok(group()));
        for standing in [
            GroupStanding::Making,
            GroupStanding::Joining,
            GroupStanding::Left,
            GroupStanding::Removed,
            GroupStanding::Broken,
            GroupStanding::Rejoining,
            GroupStanding::Leaving,
        ] {
            let record = GroupRecord { standing, commit: None, incarnation: None, problem: None, ..group() };
            assert_eq!(GroupRecord::decode(&record.encode()), Ok(record));
        }
        let unknown = proto::ClientGroup { log_id: vec![1; 32], state: 9, ..proto::ClientGroup::default() };
        assert_eq!(GroupRecord::decode(&unknown.encode_to_vec()), Err(WireError::Bounds("group state")));
    }

    #[test]
    fn what_is_said_and_sent_comes_back_as_it_was_stored() {
        let message = GroupMessageRecord {
            sequence: 1,
            content_id: [2; 16],
            sender: "a@b".parse().unwrap(),
            sender_device: 3,
            account_key: [9; 32],
            received: 4,
            content: vec![5],
            state: GroupMessageState::Failed,
            code: Some("reader".into()),
        };
        assert_eq!(GroupMessageRecord::decode(&message.encode()), Ok(message));
        let roster = GroupRosterRecord {
            description: "Night shift".into(),
            retention_days: 30,
            members: vec![GroupMemberRecord {
                address: "a@b".parse().unwrap(),
                role: GroupRoleRecord::Reader,
                devices: vec![1, 2],
            }],
        };
        assert_eq!(GroupRosterRecord::decode(&roster.encode()), Ok(roster));
        let mut entry = GroupOutboxRecord {
            log_id: [1; 32],
            content_id: [2; 16],
            number: 3,
            created: 4,
            entry: Some(GroupEntryRecord { id: [5; 16], hash: [6; 32], epoch: 7 }),
            attempts: 8,
            next_attempt: 9,
        };
        assert_eq!(GroupOutboxRecord::decode(&entry.encode()), Ok(entry.clone()));
        entry.entry = None;
        assert_eq!(GroupOutboxRecord::decode(&entry.encode()), Ok(entry));
        let published = KeyPackagesRecord {
            sequence: 1,
            next_id: 2,
            pending_upload: Some(vec![3]),
            created: 4,
            last_resort: [5; 32],
            retired: vec![([6; 32], 7)],
        };
        assert_eq!(KeyPackagesRecord::decode(&published.encode()), Ok(published));
    }

    #[test]
    fn invitations_come_back_as_they_were_stored_and_keep_their_key_to_themselves() {
        let mut invitation = GroupInvitationRecord {
            log_id: [1; 32],
            epoch: 2,
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
