//! Devices of the account, and the linking of a further one.

use std::time::SystemTime;

use medipeps_client::engine::{DeviceSummary, LinkProgress};

use super::time;

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Device {
    /// Its number, which is never used again.
    pub id: u32,
    /// What its owner calls it.
    pub name: Option<String>,
    /// It holds the account key, and can link and revoke devices.
    pub primary: bool,
    /// When it was certified, by the clock of the device that did.
    pub since: SystemTime,
    /// It is this one.
    pub this_device: bool,
}

impl From<DeviceSummary> for Device {
    fn from(device: DeviceSummary) -> Self {
        let DeviceSummary { device_id: id, name, primary, since, this_device } = device;
        Self { id, name, primary, since: time(since.saturating_mul(1000)), this_device }
    }
}

/// How far a linking has come.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum LinkState {
    /// New device: the server is asked.
    Preparing,
    /// New device: show this to a person, as a QR code and as text. It is good for ten minutes.
    ShowCode {
        /// What a primary device scans.
        code: String,
    },
    /// The other device has something to do.
    Meeting,
    /// Both people compare these digits; their answer goes to `continue_linking`.
    Compare {
        /// Two groups of four.
        digits: String,
        /// On the primary device: what the new one calls itself.
        name: Option<String>,
    },
    /// Agreed here; the other side has to agree.
    Agreed,
    /// Primary device: the list of devices is published.
    Granting,
    /// Primary device: the new one has not taken its grant yet, and does so whenever it goes on.
    Granted,
    /// It is done.
    Linked,
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
