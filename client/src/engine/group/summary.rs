//! Groups as a person or a program reads them: out of records, changing nothing.

use std::collections::BTreeMap;

use medipeps_core::Address;
use medipeps_core::kind::Content;
use medipeps_core::wire::client_records::{
    GroupMemberRecord, GroupMessageRecord, GroupRecord, GroupRoleRecord, GroupRosterRecord, GroupWakeRecord, WakeRecord,
};

use super::{GroupId, ReadPosition};
use crate::engine::outcome::EngineError;

/// A group as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSummary {
    /// Which.
    pub id: GroupId,
    /// What is known about it.
    pub group: GroupRecord,
    /// Who is in it.
    pub roster: GroupRosterRecord,
    /// Up to where members have read, as far as they have told.
    pub read: BTreeMap<Address, ReadPosition>,
}

/// Where a device is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wakes {
    /// Where, and what the own server was told of it; `None`: nowhere.
    pub own: Option<WakeRecord>,
    /// What the servers of groups were told of it.
    pub groups: Vec<(GroupSummary, GroupWakeRecord)>,
}

/// An account in a group.
pub type GroupMember = GroupMemberRecord;

/// Something that was said in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMessage {
    /// Its number in the group on this device.
    pub number: u64,
    /// What is known about it.
    pub message: GroupMessageRecord,
    /// What it says.
    pub content: Content,
}

impl GroupSummary {
    /// Messages that nobody has seen on this device.
    #[must_use]
    pub const fn unread(&self) -> u64 {
        self.group.messages.saturating_sub(self.group.seen)
    }

    /// What an account may do in it.
    #[must_use]
    pub fn role(&self, address: &medipeps_core::Address) -> Option<GroupRoleRecord> {
        self.roster.members.iter().find(|member| member.address == *address).map(|member| member.role)
    }
}

impl GroupMessage {
    /// By which it is sorted: those in the log in its order, then what waits, as it was written.
    #[must_use]
    pub const fn order(&self) -> (bool, u64) {
        match self.message.sequence {
            0 => (true, self.number),
            sequence => (false, sequence),
        }
    }

    /// Out of its record.
    ///
    /// # Errors
    /// [`EngineError::Content`]
    pub fn of(number: u64, message: GroupMessageRecord) -> Result<Self, EngineError> {
        let content = Content::decode(&message.content)?;
        Ok(Self { number, message, content })
    }
}
