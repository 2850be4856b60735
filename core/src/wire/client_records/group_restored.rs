//! What a device keeps so that a group's log can be made whole after a restore of its server.

use prost::Message;

use super::optional_id;
use crate::wire::{WireError, fixed, proto};

/// An entry of a group's log, as it can be appended again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKeptEntryRecord {
    /// An encoded `AppendGroupEntry` request without a payment, signed with the key of its epoch.
    pub request: Vec<u8>,
    /// Of the server's store that the log is known to have it under.
    pub incarnation: [u8; 16],
    /// Its number there.
    pub sequence: u64,
}

/// How far a device is in making a group's log whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRestoredRecord {
    /// When it learned of the restore, in milliseconds since 1970.
    pub since: u64,
    /// Entries of this epoch and later ones are appended again.
    pub epoch: u64,
    /// Of the restored store, once an answer has named it.
    pub incarnation: Option<[u8; 16]>,
    /// What is done next.
    pub step: GroupRestoredStep,
}

/// What is done next about a log whose server was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupRestoredStep {
    /// The log is read.
    Reading,
    /// The log lacks the device's own epoch: entries are appended, and it is read again.
    Behind,
    /// The log was read to its end: what it lacks is appended.
    Read,
    /// Nothing is missing that this device holds; it changes nothing for a while, so that others can say the same.
    Whole,
}

impl GroupKeptEntryRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { request, incarnation, sequence } = self;
        proto::ClientGroupKeptEntry { request: request.clone(), incarnation: incarnation.to_vec(), sequence: *sequence }
            .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupKeptEntry::decode(bytes)?;
        let incarnation = fixed(&record.incarnation, "incarnation")?;
        Ok(Self { request: record.request, incarnation, sequence: record.sequence })
    }
}

impl GroupRestoredRecord {
    pub(super) fn to_proto(&self) -> proto::ClientGroupRestored {
        proto::ClientGroupRestored {
            since: self.since,
            epoch: self.epoch,
            incarnation: self.incarnation.map(|id| id.to_vec()).unwrap_or_default(),
            step: match self.step {
                GroupRestoredStep::Reading => 1,
                GroupRestoredStep::Behind => 2,
                GroupRestoredStep::Read => 3,
                GroupRestoredStep::Whole => 4,
            },
        }
    }

    pub(super) fn from_proto(record: &proto::ClientGroupRestored) -> Result<Self, WireError> {
        Ok(Self {
            since: record.since,
            epoch: record.epoch,
            incarnation: optional_id(&record.incarnation, "restored.incarnation")?,
            step: match record.step {
                1 => GroupRestoredStep::Reading,
                2 => GroupRestoredStep::Behind,
                3 => GroupRestoredStep::Read,
                4 => GroupRestoredStep::Whole,
                _ => return Err(WireError::Bounds("restored.step")),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_stored() {
        let kept = GroupKeptEntryRecord { request: vec![1, 2], incarnation: [3; 16], sequence: 4 };
        assert_eq!(GroupKeptEntryRecord::decode(&kept.encode()), Ok(kept));
        for step in
            [GroupRestoredStep::Reading, GroupRestoredStep::Behind, GroupRestoredStep::Read, GroupRestoredStep::Whole]
        {
            for incarnation in [None, Some([5; 16])] {
                let record = GroupRestoredRecord { since: 1, epoch: 2, incarnation, step };
                assert_eq!(GroupRestoredRecord::from_proto(&record.to_proto()), Ok(record));
            }
        }
        let unknown = proto::ClientGroupRestored { step: 5, ..Default::default() };
        assert_eq!(GroupRestoredRecord::from_proto(&unknown), Err(WireError::Bounds("restored.step")));
    }
}
