//! What a device has published for others to begin sessions with.

use prost::Message;

use super::some_bytes;
use crate::wire::{WireError, proto};

/// The prekeys of a device that are one for all senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeySet {
    /// Of the signed prekey.
    pub signed_prekey_id: u32,
    /// Of the last-resort KEM prekey.
    pub last_resort_kem_prekey_id: u32,
    /// Of the seal prekey.
    pub seal_prekey_id: u32,
    /// Seconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970; 0 for the current set.
    pub retired: u64,
}

/// What the device knows about the prekeys that it has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeysRecord {
    /// What the server hands out now.
    pub current: PrekeySet,
    /// What it handed out before, newest first.
    pub retired: Vec<PrekeySet>,
    /// No id is ever used twice.
    pub next_id: u32,
    /// Of the last upload.
    pub sequence: u64,
    /// An encoded `SignedPrekeyUpload` that the server has not confirmed.
    pub pending_upload: Option<Vec<u8>>,
}

impl PrekeySet {
    const fn encode(self) -> proto::ClientPrekeySet {
        proto::ClientPrekeySet {
            signed_prekey_id: self.signed_prekey_id,
            last_resort_kem_prekey_id: self.last_resort_kem_prekey_id,
            seal_prekey_id: self.seal_prekey_id,
            created: self.created,
            retired: self.retired,
        }
    }

    const fn decode(set: proto::ClientPrekeySet) -> Self {
        Self {
            signed_prekey_id: set.signed_prekey_id,
            last_resort_kem_prekey_id: set.last_resort_kem_prekey_id,
            seal_prekey_id: set.seal_prekey_id,
            created: set.created,
            retired: set.retired,
        }
    }
}

impl PrekeysRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientPrekeys {
            current: Some(self.current.encode()),
            retired: self.retired.iter().map(|set| set.encode()).collect(),
            next_id: self.next_id,
            sequence: self.sequence,
            pending_upload: self.pending_upload.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientPrekeys::decode(bytes)?;
        Ok(Self {
            current: PrekeySet::decode(record.current.ok_or(WireError::Missing("current"))?),
            retired: record.retired.into_iter().map(PrekeySet::decode).collect(),
            next_id: record.next_id,
            sequence: record.sequence,
            pending_upload: some_bytes(record.pending_upload),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prekeys_come_back_as_they_were_stored() {
        let set =
            PrekeySet { signed_prekey_id: 1, last_resort_kem_prekey_id: 2, seal_prekey_id: 3, created: 4, retired: 5 };
        let record = PrekeysRecord {
            current: PrekeySet { retired: 0, ..set },
            retired: vec![set],
            next_id: 9,
            sequence: 2,
            pending_upload: Some(vec![7]),
        };
        assert_eq!(PrekeysRecord::decode(&record.encode()), Ok(record));
    }
}
