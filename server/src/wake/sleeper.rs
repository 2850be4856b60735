//! Who is woken: a reader of a group log by what comes in his epoch, or a device by what comes into its queue.

use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;

use crate::storage::{DeviceWake, GroupWake};

/// Who is woken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sleeper {
    /// Of a group log.
    Reader(GroupWake),
    /// Of an account.
    Device(DeviceWake),
}

/// What tells one from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    /// Log and handle.
    Reader([u8; 32], [u8; 16]),
    /// Account and device.
    Device(Address, u32),
}

impl Sleeper {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Reader(wake) => Key::Reader(wake.log_id, wake.handle),
            Self::Device(wake) => Key::Device(wake.address.clone(), wake.device),
        }
    }

    pub(super) const fn endpoint(&self) -> &PushEndpoint {
        match self {
            Self::Reader(wake) => &wake.endpoint,
            Self::Device(wake) => &wake.endpoint,
        }
    }

    /// The epoch of a reader; a device has none.
    pub(super) const fn epoch(&self) -> u64 {
        match self {
            Self::Reader(wake) => wake.epoch,
            Self::Device(_) => 0,
        }
    }
}
