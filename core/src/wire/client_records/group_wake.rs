//! Where a device is woken for its groups, and what it has told their servers.

use prost::Message;

use super::{optional_id, text};
use crate::push_endpoint::PushEndpoint;
use crate::wire::{WireError, fixed, proto};

/// Where this device is woken, and what its own server was told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WakeRecord {
    /// `None`: nowhere, and the server has not forgotten it yet.
    pub endpoint: Option<PushEndpoint>,
    /// The own server has it.
    pub told: bool,
    /// Since it last went well.
    pub attempts: u32,
    /// When to tell it again, in milliseconds since 1970.
    pub next_attempt: u64,
    /// Code of what keeps the server from it.
    pub problem: Option<String>,
}

/// What a group's server was told of where this device is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWakeRecord {
    /// Drawn by this device for this group.
    pub handle: [u8; 16],
    /// What the server was told last; `None` before anything.
    pub told: Option<PushEndpoint>,
    /// In which epoch.
    pub epoch: u64,
    /// Under which life of the server's store.
    pub incarnation: Option<[u8; 16]>,
    /// Until when, in milliseconds since 1970.
    pub expires: u64,
    /// The server has it.
    pub confirmed: bool,
    /// Since it last went well.
    pub attempts: u32,
    /// When to tell the same again, in milliseconds since 1970.
    pub next_attempt: u64,
    /// Code of what keeps the server from it.
    pub problem: Option<String>,
}

impl WakeRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientWake {
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.as_str().to_owned()).unwrap_or_default(),
            told: self.told,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            problem: self.problem.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientWake::decode(bytes)?;
        Ok(Self {
            endpoint: text(record.endpoint).map(|text| endpoint(&text)).transpose()?,
            told: record.told,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            problem: text(record.problem),
        })
    }
}

impl GroupWakeRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientGroupWake {
            handle: self.handle.to_vec(),
            told: self.told.as_ref().map(|told| told.as_str().to_owned()).unwrap_or_default(),
            epoch: self.epoch,
            incarnation: self.incarnation.map(|id| id.to_vec()).unwrap_or_default(),
            expires: self.expires,
            confirmed: self.confirmed,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            problem: self.problem.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientGroupWake::decode(bytes)?;
        Ok(Self {
            handle: fixed(&record.handle, "handle")?,
            told: text(record.told).map(|told| endpoint(&told)).transpose()?,
            epoch: record.epoch,
            incarnation: optional_id(&record.incarnation, "incarnation")?,
            expires: record.expires,
            confirmed: record.confirmed,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            problem: text(record.problem),
        })
    }
}

fn endpoint(url: &str) -> Result<PushEndpoint, WireError> {
    url.parse().map_err(|_| WireError::Bounds("endpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        let endpoint: PushEndpoint = "https://push.example/1".parse().unwrap();
        let wake = WakeRecord {
            endpoint: Some(endpoint.clone()),
            told: true,
            attempts: 1,
            next_attempt: 2,
            problem: Some("PushServiceRefused".to_owned()),
        };
        for wake in [WakeRecord::default(), wake] {
            assert_eq!(WakeRecord::decode(&wake.encode()), Ok(wake));
        }
        let mut group = GroupWakeRecord {
            handle: [1; 16],
            told: Some(endpoint),
            epoch: 2,
            incarnation: Some([3; 16]),
            expires: 4,
            confirmed: true,
            attempts: 5,
            next_attempt: 6,
            problem: Some("PushServiceRefused".to_owned()),
        };
        assert_eq!(GroupWakeRecord::decode(&group.encode()), Ok(group.clone()));
        (group.told, group.incarnation, group.problem) = (None, None, None);
        assert_eq!(GroupWakeRecord::decode(&group.encode()), Ok(group));
        let wrong = proto::ClientWake { endpoint: "http://push.example/1".to_owned(), ..Default::default() };
        assert_eq!(WakeRecord::decode(&wrong.encode_to_vec()), Err(WireError::Bounds("endpoint")));
    }
}
