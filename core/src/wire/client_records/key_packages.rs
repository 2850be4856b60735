//! Which key packages a device has published.

use prost::Message;

use super::some_bytes;
use crate::wire::{WireError, fixed, proto};

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
    /// KeyPackageRefs of the one-time ones of the last upload.
    pub one_time: Vec<[u8; 32]>,
    /// Those that were replaced, by KeyPackageRef, and when, in seconds since 1970: an invitation may be under way.
    pub retired: Vec<([u8; 32], u64)>,
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
            one_time: self.one_time.iter().map(|reference| reference.to_vec()).collect(),
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
            one_time: record
                .one_time
                .iter()
                .map(|reference| fixed(reference, "one_time"))
                .collect::<Result<_, WireError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_comes_back_as_it_was_stored() {
        let published = KeyPackagesRecord {
            sequence: 1,
            next_id: 2,
            pending_upload: Some(vec![3]),
            created: 4,
            last_resort: [5; 32],
            one_time: vec![[8; 32], [9; 32]],
            retired: vec![([6; 32], 7)],
        };
        assert_eq!(KeyPackagesRecord::decode(&published.encode()), Ok(published));
    }
}
