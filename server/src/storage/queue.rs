//! What the store keeps of queues, and how an operation on them can fail.

use medipeps_core::Address;
use thiserror::Error;

use super::StorageError;

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
    /// The id was used for something else, to the same recipient.
    #[error("the id has been used for another submission")]
    IdReused,
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
