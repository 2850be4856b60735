//! Devices, and the linking of a further one.

use medipeps_client::engine::{DeviceSummary, LinkProgress};
use serde::Serialize;

/// A device of the account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Device {
    id: u32,
    name: Option<String>,
    primary: bool,
    /// Milliseconds since 1970.
    since: u64,
    this_device: bool,
}

/// How far a linking has come.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum LinkState {
    Preparing,
    ShowCode { code: String },
    Meeting,
    Compare { digits: String, name: Option<String> },
    Agreed,
    Granting,
    Granted,
    Linked,
}

impl From<DeviceSummary> for Device {
    fn from(device: DeviceSummary) -> Self {
        let DeviceSummary { device_id: id, name, primary, since, this_device } = device;
        Self { id, name, primary, since: since.saturating_mul(1000), this_device }
    }
}

impl From<LinkProgress> for LinkState {
    fn from(progress: LinkProgress) -> Self {
        match progress {
            LinkProgress::Preparing => Self::Preparing,
            LinkProgress::ShowCode(code) => Self::ShowCode { code: code.to_string() },
            LinkProgress::Meeting => Self::Meeting,
            LinkProgress::Compare { digits, name } => Self::Compare { digits, name },
            LinkProgress::Agreed => Self::Agreed,
            LinkProgress::Granting => Self::Granting,
            LinkProgress::Granted => Self::Granted,
            LinkProgress::Linked => Self::Linked,
        }
    }
}
