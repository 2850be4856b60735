//! A group as a device has it: where it stands in the log, and who is in it.

use prost::Message;

use super::{GroupChangeRecord, GroupCommitRecord, GroupRestoredRecord, address, optional_id, text};
use crate::Address;
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
    /// How many [`super::GroupMessageRecord`]s there are, numbered from 0.
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
    /// The group that goes on in this one's place, by its log.
    pub successor: Option<[u8; 32]>,
    /// The group in whose place this one is, by its log.
    pub predecessor: Option<[u8; 32]>,
    /// Messages with lower numbers have been deleted.
    pub first: u64,
    /// No message is to be deleted before this, in milliseconds since 1970 by the server's clock; 0: it is not known.
    pub next_deletion: u64,
    /// A retention that was shortened deletes nothing before this; milliseconds since 1970, by the server's clock.
    pub kept_until: u64,
    /// The members have been told that messages with lower numbers are read.
    pub read_told: u64,
    /// When they were last told, in milliseconds since 1970; 0: never.
    pub read_told_at: u64,
    /// The entry that tells them, and up to which number, until it is in the log.
    pub read_entry: Option<([u8; 16], u64)>,
    /// They are not to be told.
    pub read_positions_off: bool,
    /// The organisation that the group belongs to, as its policy has it.
    pub organisation: Option<Address>,
    /// The highest time that the log's server has given an entry, in milliseconds since 1970.
    pub server_time: u64,
    /// When this device last had the server's time told by an entry of its own, in milliseconds since 1970.
    pub time_asked: u64,
    /// Who has invited this device; `None` if the group was made here.
    pub invited_by: Option<Address>,
    /// How many entries were kept so far, for after a restore of the server; see [`super::GroupKeptEntryRecord`].
    pub entries_kept: u64,
    /// The server's store was restored, and the log may lack what this device has.
    pub restored: Option<GroupRestoredRecord>,
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
            successor: self.successor.map(|id| id.to_vec()).unwrap_or_default(),
            predecessor: self.predecessor.map(|id| id.to_vec()).unwrap_or_default(),
            first: self.first,
            next_deletion: self.next_deletion,
            kept_until: self.kept_until,
            read_told: self.read_told,
            read_told_at: self.read_told_at,
            read_entry: self.read_entry.map(|(id, _)| id.to_vec()).unwrap_or_default(),
            read_entry_up_to: self.read_entry.map_or(0, |(_, up_to)| up_to),
            read_positions_off: self.read_positions_off,
            organisation: self.organisation.as_ref().map(ToString::to_string).unwrap_or_default(),
            server_time: self.server_time,
            time_asked: self.time_asked,
            invited_by: self.invited_by.as_ref().map(ToString::to_string).unwrap_or_default(),
            entries_kept: self.entries_kept,
            restored: self.restored.as_ref().map(GroupRestoredRecord::to_proto),
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
            successor: optional_id(&record.successor, "successor")?,
            predecessor: optional_id(&record.predecessor, "predecessor")?,
            first: record.first,
            next_deletion: record.next_deletion,
            kept_until: record.kept_until,
            read_told: record.read_told,
            read_told_at: record.read_told_at,
            read_entry: optional_id(&record.read_entry, "read_entry")?.map(|id| (id, record.read_entry_up_to)),
            read_positions_off: record.read_positions_off,
            organisation: text(record.organisation).map(|one| address(&one)).transpose()?,
            server_time: record.server_time,
            time_asked: record.time_asked,
            invited_by: text(record.invited_by).map(|invited_by| address(&invited_by)).transpose()?,
            entries_kept: record.entries_kept,
            restored: record.restored.as_ref().map(GroupRestoredRecord::from_proto).transpose()?,
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
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Owner => 1,
            Self::Member => 2,
            Self::Reader => 3,
        }
    }

    pub(super) const fn from_number(number: u32) -> Result<Self, WireError> {
        match number {
            1 => Ok(Self::Owner),
            2 => Ok(Self::Member),
            3 => Ok(Self::Reader),
            _ => Err(WireError::Bounds("role")),
        }
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

#[cfg(test)]
mod tests {
    use super::super::GroupChangeKind;
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
                change(10, GroupChangeKind::Successor([6; 32])),
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
            next_change: 11,
            attempts: 2,
            next_attempt: 99,
            problem: Some("stale".into()),
            joined: 5,
            updated: 6,
            log_created: true,
            statement_version: 3,
            successor: Some([7; 32]),
            predecessor: Some([8; 32]),
            first: 3,
            next_deletion: 12,
            kept_until: 13,
            read_told: 2,
            read_told_at: 14,
            read_entry: Some(([9; 16], 3)),
            read_positions_off: true,
            organisation: Some("clinic@b".parse().unwrap()),
            server_time: 12,
            time_asked: 13,
            invited_by: Some("c@b".parse().unwrap()),
            entries_kept: 300,
            restored: Some(GroupRestoredRecord {
                since: 5,
                epoch: 6,
                incarnation: None,
                step: super::super::GroupRestoredStep::Behind,
            }),
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
            let record = GroupRecord {
                standing,
                commit: None,
                incarnation: None,
                problem: None,
                successor: None,
                read_entry: None,
                invited_by: None,
                entries_kept: 0,
                restored: None,
                ..group()
            };
            assert_eq!(GroupRecord::decode(&record.encode()), Ok(record));
        }
        let unknown = proto::ClientGroup { log_id: vec![1; 32], state: 9, ..proto::ClientGroup::default() };
        assert_eq!(GroupRecord::decode(&unknown.encode_to_vec()), Err(WireError::Bounds("group state")));
    }

    #[test]
    fn rosters_come_back_as_they_were_stored() {
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
    }
}
