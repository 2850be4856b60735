//! How often readers of a group tell that they type and what they have read.

use crate::limits::{READ_POSITION_INTERVAL, RECEIPT_ACCOUNTS_MAX, TYPING_ACCOUNTS_MAX};

/// Whether typing is told in a group of so many accounts.
#[must_use]
pub const fn typing_is_shown(accounts: usize) -> bool {
    accounts <= TYPING_ACCOUNTS_MAX
}

/// When a reader of a group sends his read position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadPositionPolicy {
    /// Whenever it moves.
    AtOnce,
    /// No sooner than [`READ_POSITION_INTERVAL`] after the last one: in a large group everybody would otherwise hear from
    /// everybody about each message.
    AtIntervals,
}

impl ReadPositionPolicy {
    /// The policy of a group of so many accounts.
    #[must_use]
    pub const fn of(accounts: usize) -> Self {
        if accounts <= RECEIPT_ACCOUNTS_MAX { Self::AtOnce } else { Self::AtIntervals }
    }

    /// Whether a position that has moved goes out now. Times are in milliseconds since 1970; `last` is when one was last sent.
    /// A clock that was put back does not silence a reader.
    #[must_use]
    pub fn is_due(self, last: Option<u64>, now: u64) -> bool {
        match (self, last) {
            (Self::AtOnce, _) | (Self::AtIntervals, None) => true,
            (Self::AtIntervals, Some(last)) => now < last || now - last >= READ_POSITION_INTERVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_32_accounts_a_read_position_waits_ten_minutes_and_typing_is_silent() {
        assert!(typing_is_shown(32) && !typing_is_shown(33));
        assert_eq!(ReadPositionPolicy::of(32), ReadPositionPolicy::AtOnce);
        let policy = ReadPositionPolicy::of(33);
        assert_eq!(policy, ReadPositionPolicy::AtIntervals);
        assert!(policy.is_due(None, 5));
        assert!(!policy.is_due(Some(5), 5 + 599_999));
        assert!(policy.is_due(Some(5), 5 + 600_000));
        assert!(policy.is_due(Some(5), 4));
        assert!(ReadPositionPolicy::AtOnce.is_due(Some(5), 5));
    }
}
