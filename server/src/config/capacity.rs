//! What may be kept, for how long, and how many may be connected.

use serde::{Deserialize, Serialize};

use super::{AT_LEAST_ONE, GB, MB, Rule};
use crate::limits::{
    BLOBS_BYTES_MAX, FREE_SPACE_FLOOR, LARGEST_BLOB, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, REQUEST_LANE_BYTES_MAX,
    REQUEST_LANE_MESSAGES_MAX,
};

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days for which an envelope waits for its device, 1 and up.
    pub envelope_days: u32,
    /// Days for which an invitation is good unless `invite` says otherwise, 1 and up.
    pub invitation_days: u32,
    /// Days for which a blob is kept from its beginning, 1 and up.
    pub blob_days: u32,
}

/// What the queue of one device may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Envelopes, 1 and up.
    pub messages_max: u64,
    /// Bytes of envelopes, 65536 and up.
    pub bytes_max: u64,
    /// Envelopes from senders who know no delivery key, beside those, 1 and up.
    pub request_messages_max: u64,
    /// Bytes of them, 65536 and up.
    pub request_bytes_max: u64,
}

/// What blobs may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// All together, in units of 10^9 bytes, 1 and up.
    pub max_gb: u32,
    /// One of them, in units of 10^9 bytes, 1 and up.
    pub largest_gb: u32,
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Free space below which nothing new is taken, in units of 10^6 bytes. 0 switches it off.
    pub free_space_floor_mb: u32,
}

/// Connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Open at once, 1 and up.
    pub connections_max: usize,
    /// Open at once from one network address (IPv6: /64), 1 and up.
    pub connections_per_address_max: usize,
    /// Handshakes under way at once, 1 and up.
    pub handshakes_max: usize,
    /// Seconds of silence after which a connection is dropped, 10 to 600.
    pub idle_seconds: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { envelope_days: 30, invitation_days: 14, blob_days: 30 }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            messages_max: QUEUE_MESSAGES_MAX,
            bytes_max: QUEUE_BYTES_MAX,
            request_messages_max: REQUEST_LANE_MESSAGES_MAX,
            request_bytes_max: REQUEST_LANE_BYTES_MAX,
        }
    }
}

impl Default for Blobs {
    fn default() -> Self {
        Self { max_gb: (BLOBS_BYTES_MAX / GB) as u32, largest_gb: (LARGEST_BLOB / GB) as u32 }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self { free_space_floor_mb: (FREE_SPACE_FLOOR / MB) as u32 }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { connections_max: 20_000, connections_per_address_max: 10_000, handshakes_max: 256, idle_seconds: 120 }
    }
}

impl Retention {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (self.envelope_days > 0, "retention.envelope_days", AT_LEAST_ONE),
            (self.invitation_days > 0, "retention.invitation_days", AT_LEAST_ONE),
            (self.blob_days > 0, "retention.blob_days", AT_LEAST_ONE),
        ]
    }
}

impl Queue {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (self.messages_max > 0, "queue.messages_max", AT_LEAST_ONE),
            (self.bytes_max >= 65_536, "queue.bytes_max", "must be 65536 or more, the largest envelope"),
            (self.request_messages_max > 0, "queue.request_messages_max", AT_LEAST_ONE),
            (
                self.request_bytes_max >= 65_536,
                "queue.request_bytes_max",
                "must be 65536 or more, the largest envelope",
            ),
        ]
    }
}

impl Blobs {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![(self.max_gb > 0, "blobs.max_gb", AT_LEAST_ONE), (self.largest_gb > 0, "blobs.largest_gb", AT_LEAST_ONE)]
    }
}

impl Connections {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (self.connections_max > 0, "connection.connections_max", AT_LEAST_ONE),
            (self.connections_per_address_max > 0, "connection.connections_per_address_max", AT_LEAST_ONE),
            (self.handshakes_max > 0, "connection.handshakes_max", AT_LEAST_ONE),
            ((10..=600).contains(&self.idle_seconds), "connection.idle_seconds", "must be from 10 to 600"),
        ]
    }
}
