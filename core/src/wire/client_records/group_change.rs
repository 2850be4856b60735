//! What is to be changed in a group, and the commit that changes it.

use super::{GroupRoleRecord, address, some_bytes};
use crate::Address;
use crate::wire::{WireError, fixed, proto};

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
    /// Say that the group goes on in another one, by its log.
    Successor([u8; 32]),
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

impl GroupChangeRecord {
    pub(super) fn to_proto(&self) -> proto::ClientGroupChange {
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
            GroupChangeKind::Successor(log_id) => (change.kind, change.successor) = (10, log_id.to_vec()),
        }
        change
    }

    pub(super) fn from_proto(change: proto::ClientGroupChange) -> Result<Self, WireError> {
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
            10 => GroupChangeKind::Successor(fixed(&change.successor, "successor")?),
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
    pub(super) fn to_proto(&self) -> proto::ClientGroupCommit {
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

    pub(super) fn from_proto(commit: proto::ClientGroupCommit) -> Result<Self, WireError> {
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
