//! What requests are answered by that may change while the server runs.

use super::DAY_MS;
use crate::config::Config;

/// Values of the configuration that the service looks up for every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) envelope_retention_ms: u64,
    pub(super) blob_retention_ms: u64,
    /// Bytes of the largest blob that is taken.
    pub(super) largest_blob: u64,
    pub(super) group_entry_retention_ms: u64,
    pub(super) group_log_retention_ms: u64,
}

impl Settings {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            envelope_retention_ms: u64::from(config.retention.envelope_days) * DAY_MS,
            blob_retention_ms: u64::from(config.retention.blob_days) * DAY_MS,
            largest_blob: config.largest_blob(),
            group_entry_retention_ms: u64::from(config.group.entry_days) * DAY_MS,
            group_log_retention_ms: u64::from(config.group.log_days) * DAY_MS,
        }
    }
}
