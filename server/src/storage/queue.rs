//! What the store keeps of queues, and how an operation on them can fail.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::limits::ENVELOPE_LENGTH_MAX;
use medipeps_core::wire::server_storage::QueueRecord;
use medipeps_core::wire::transport::Lane;
use thiserror::Error;

use super::{Spend, SpendError, StorageError};
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, REQUEST_LANE_BYTES_MAX, REQUEST_LANE_MESSAGES_MAX};

/// What one queue may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueQuota {
    /// Envelopes.
    pub messages_max: u64,
    /// Bytes of envelopes.
    pub bytes_max: u64,
    /// Envelopes of the request lane, beside those.
    pub request_messages_max: u64,
    /// Bytes of them.
    pub request_bytes_max: u64,
}

/// One message to all devices of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Chosen by the sender at random; a repeat to the same address gets the first answer.
    pub id: [u8; 16],
    /// The recipient.
    pub address: Address,
    /// An envelope for each device, at most `ENVELOPE_LENGTH_MAX` bytes each.
    pub envelopes: Vec<(u32, Vec<u8>)>,
    /// SHA-256 over what the sender submitted: it tells a repeat from another submission with the same id.
    pub digest: [u8; 32],
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// When the envelopes are dropped if nobody came for them, in milliseconds since 1970.
    pub expires_ms: u64,
    /// The lane in which the envelopes wait.
    pub lane: Lane,
    /// What pays for it.
    pub spend: Spend,
}

/// How a submission was taken. The envelopes of all devices are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnqueueOutcome {
    /// All devices have it.
    Accepted {
        /// This id had been taken before; nothing was stored again.
        duplicate: bool,
    },
}

/// An envelope that waits for its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedEnvelope {
    /// Its number in the queue: 1 and up, strictly increasing, never given twice under one incarnation.
    pub sequence: u64,
    /// When it was taken, in milliseconds since 1970.
    pub received_ms: u64,
    /// Its bytes, verified against their checksum.
    pub envelope: Vec<u8>,
    /// The lane in which it waits.
    pub lane: Lane,
}

/// What [`Storage::expire`](super::Storage::expire) has dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExpireCounts {
    /// Envelopes; each is counted in its queue as well.
    pub envelopes: u64,
    /// Records of submission ids.
    pub submissions: u64,
    /// Invitations.
    pub invitations: u64,
    /// Blobs, complete or not.
    pub blobs: u64,
    /// Entries of group logs.
    pub group_entries: u64,
    /// Group logs.
    pub group_logs: u64,
    /// Wakes of readers of group logs.
    pub group_wakes: u64,
    /// Records of spent tokens and redeemed vouchers.
    pub tokens: u64,
}

impl ExpireCounts {
    /// Adds what was dropped later.
    pub(super) const fn add(&mut self, later: Self) {
        self.envelopes += later.envelopes;
        self.submissions += later.submissions;
        self.invitations += later.invitations;
        self.blobs += later.blobs;
        self.group_entries += later.group_entries;
        self.group_logs += later.group_logs;
        self.group_wakes += later.group_wakes;
        self.tokens += later.tokens;
    }
}

/// Why a submission was not taken. No device has it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnqueueError {
    /// No account has this address.
    #[error("no account has this address")]
    UnknownRecipient,
    /// The envelopes are not for the devices that the account has.
    #[error("envelopes are missing for devices {missing:?} and superfluous for {extra:?}")]
    StaleDevices {
        /// Devices that have prekeys and no envelope, in ascending order.
        missing: Vec<u32>,
        /// Envelopes for devices that the account has not, or a second one for the same device, in ascending order.
        extra: Vec<u32>,
        /// The version of the statement that lists the devices.
        statement_version: u64,
    },
    /// The queue of a device would hold more than its quota.
    #[error("the queue of device {device} is full")]
    QueueFull {
        /// The lowest device whose queue is full.
        device: u32,
    },
    /// The request lane of a device would hold more than its quota.
    #[error("the request lane of device {device} is full")]
    RequestLaneFull {
        /// The lowest device whose request lane is full.
        device: u32,
    },
    /// The id was used for something else, to the same recipient.
    #[error("the id has been used for another submission")]
    IdReused,
    /// The tokens do not pay for it.
    #[error(transparent)]
    Payment(#[from] SpendError),
    /// Whoever runs the server has suspended the account.
    #[error("the account is suspended")]
    AccountSuspended,
    /// Whoever runs the server has suspended the tenant.
    #[error("the tenant is suspended")]
    TenantSuspended,
    /// The licence of the tenant has ended, and its grace is over.
    #[error("the licence has ended")]
    LicenceEnded,
    /// The queues of the tenant would hold more than its licence allows.
    #[error("the queues of the tenant are full")]
    TenantStorageFull,
    /// The engine failed; whether the submission is stored is not known. A repeat with the same id finds out.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a queue could not be read or watched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueueError {
    /// No account has this address, or it has no such device.
    #[error("no account has this address and device")]
    UnknownDevice,
    /// The first envelope after the cursor is not what was stored. It is not served; a fetch after its number goes past.
    #[error("the envelope with sequence {sequence} is damaged")]
    Corrupt {
        /// The number of the damaged envelope.
        sequence: u64,
    },
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why an acknowledgement was refused. Nothing was removed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AcknowledgeError {
    /// No account has this address, or it has no such device.
    #[error("no account has this address and device")]
    UnknownDevice,
    /// The cursor belongs to another life of the store, before a restore.
    #[error("the acknowledgement belongs to another incarnation of the store")]
    ForeignIncarnation,
    /// No envelope with this number was ever stored.
    #[error("the highest sequence ever assigned is {highest}")]
    BeyondAssigned {
        /// The highest number that the queue has given; 0 when none.
        highest: u64,
    },
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Default for QueueQuota {
    fn default() -> Self {
        Self {
            messages_max: QUEUE_MESSAGES_MAX,
            bytes_max: QUEUE_BYTES_MAX,
            request_messages_max: REQUEST_LANE_MESSAGES_MAX,
            request_bytes_max: REQUEST_LANE_BYTES_MAX,
        }
    }
}

impl QueueQuota {
    /// Gives an envelope of `length` bytes a number in a queue and counts it there, if its lane has room: the two lanes take
    /// no room from each other.
    pub(super) fn admit(
        &self,
        queue: &mut QueueRecord,
        device: u32,
        length: usize,
        lane: Lane,
    ) -> Result<(), EnqueueError> {
        let length = length as u64;
        match lane {
            Lane::Normal => {
                let messages = queue.messages.saturating_sub(queue.request_messages);
                let bytes = queue.bytes.saturating_sub(queue.request_bytes);
                if messages >= self.messages_max || bytes.saturating_add(length) > self.bytes_max {
                    return Err(EnqueueError::QueueFull { device });
                }
            }
            Lane::Request => {
                let bytes = queue.request_bytes.saturating_add(length);
                if queue.request_messages >= self.request_messages_max || bytes > self.request_bytes_max {
                    return Err(EnqueueError::RequestLaneFull { device });
                }
                queue.request_messages += 1;
                queue.request_bytes = bytes;
            }
        }
        queue.highest_sequence += 1;
        queue.messages += 1;
        queue.bytes += length;
        Ok(())
    }
}

impl Submission {
    /// Refuses what no service should have let through.
    pub(super) fn check_lengths(&self) -> Result<(), StorageError> {
        for (_, envelope) in &self.envelopes {
            StorageError::check_length("an envelope", envelope.len(), ENVELOPE_LENGTH_MAX)?;
        }
        Ok(())
    }

    /// Holds the envelopes against the devices of the statement, `listed`, each with whether it has prekeys.
    pub(super) fn check_devices(&self, listed: &[(u32, bool)], statement_version: u64) -> Result<(), EnqueueError> {
        let addressed: BTreeSet<u32> = self.envelopes.iter().map(|(device, _)| *device).collect();
        let missing: Vec<u32> = listed
            .iter()
            .filter(|(device, has_prekeys)| *has_prekeys && !addressed.contains(device))
            .map(|(device, _)| *device)
            .collect();
        let mut seen = BTreeSet::new();
        let extra: BTreeSet<u32> = self
            .envelopes
            .iter()
            .map(|(device, _)| *device)
            .filter(|device| !seen.insert(*device) || !listed.iter().any(|(known, _)| known == device))
            .collect();
        if missing.is_empty() && extra.is_empty() && !self.envelopes.is_empty() {
            return Ok(());
        }
        Err(EnqueueError::StaleDevices { missing, extra: extra.into_iter().collect(), statement_version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(devices: &[u32]) -> Submission {
        Submission {
            id: [0; 16],
            address: "a@b".parse().unwrap(),
            envelopes: devices.iter().map(|device| (*device, vec![0; 8])).collect(),
            digest: [0; 32],
            now_ms: 0,
            expires_ms: 1,
            lane: Lane::Normal,
            spend: Spend::default(),
        }
    }

    #[test]
    fn the_envelopes_must_match_the_devices() {
        let listed = [(1, true), (2, true), (5, false)];
        assert_eq!(submission(&[2, 1]).check_devices(&listed, 9), Ok(()));
        assert_eq!(submission(&[1, 2, 5]).check_devices(&listed, 9), Ok(()));
        let stale = |missing: &[u32], extra: &[u32]| {
            let (missing, extra) = (missing.to_vec(), extra.to_vec());
            Err(EnqueueError::StaleDevices { missing, extra, statement_version: 9 })
        };
        assert_eq!(submission(&[1]).check_devices(&listed, 9), stale(&[2], &[]));
        assert_eq!(submission(&[1, 2, 9, 7]).check_devices(&listed, 9), stale(&[], &[7, 9]));
        assert_eq!(submission(&[1, 2, 1]).check_devices(&listed, 9), stale(&[], &[1]));
        assert_eq!(submission(&[]).check_devices(&[(5, false)], 9), stale(&[], &[]));
    }

    #[test]
    fn an_oversize_envelope_is_refused() {
        let mut large = submission(&[1]);
        large.envelopes[0].1 = vec![0; ENVELOPE_LENGTH_MAX + 1];
        assert!(matches!(large.check_lengths(), Err(StorageError::Oversize { .. })));
    }
}
