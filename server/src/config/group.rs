//! What group logs may take.

use medipeps_core::limits::GROUP_ENTRY_LENGTH_MAX;
use serde::{Deserialize, Serialize};

use super::{AT_LEAST_ONE, GB, Rule};
use crate::limits::{GROUP_LOG_BYTES_MAX, GROUP_LOG_ENTRIES_MAX, GROUP_LOGS_BYTES_MAX, GROUP_LOGS_MAX};

/// Group logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Days for which an entry is kept, 1 and up.
    pub entry_days: u32,
    /// Days without a new entry after which a log goes, 1 and up. A log goes only when its entries have.
    pub log_days: u32,
    /// Entries of one log, 1 and up.
    pub log_entries_max: u64,
    /// Bytes of one log, 4325440 and up.
    pub log_bytes_max: u64,
    /// Logs, 1 and up.
    pub logs_max: u64,
    /// All logs together, in units of 10^9 bytes, 1 and up.
    pub max_gb: u32,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            entry_days: 90,
            log_days: 400,
            log_entries_max: GROUP_LOG_ENTRIES_MAX,
            log_bytes_max: GROUP_LOG_BYTES_MAX,
            logs_max: GROUP_LOGS_MAX,
            max_gb: (GROUP_LOGS_BYTES_MAX / GB) as u32,
        }
    }
}

impl Group {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (self.entry_days > 0, "group.entry_days", AT_LEAST_ONE),
            (self.log_days > 0, "group.log_days", AT_LEAST_ONE),
            (self.log_entries_max > 0, "group.log_entries_max", AT_LEAST_ONE),
            (
                self.log_bytes_max >= GROUP_ENTRY_LENGTH_MAX as u64,
                "group.log_bytes_max",
                "must be 4325440 or more, the largest entry",
            ),
            (self.logs_max > 0, "group.logs_max", AT_LEAST_ONE),
            (self.max_gb > 0, "group.max_gb", AT_LEAST_ONE),
        ]
    }
}
