//! What crosses the border: records and enums, made of what the engine has.

pub(crate) mod account;
pub(crate) mod administration;
pub(crate) mod backup;
pub(crate) mod break_glass;
pub(crate) mod case;
pub(crate) mod contact;
pub(crate) mod conversation;
pub(crate) mod device;
pub(crate) mod group;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod organisation;
pub(crate) mod sync;
pub(crate) mod wake;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;

/// Of milliseconds since 1970.
pub(crate) fn time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// The same where 0 means never.
pub(crate) fn time_if_any(milliseconds: u64) -> Option<SystemTime> {
    (milliseconds != 0).then(|| time(milliseconds))
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An id as apps see it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
