//! Who says something, as the session or the group has authenticated him.

use crate::Address;
use crate::crypto::signature::VerifyingKey;

/// An account: its address and the account key under which its device was certified. The key is part of it because an address
/// can be given to somebody else, who must not edit or delete what its former holder wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Author {
    /// Where the account is reached.
    pub address: Address,
    /// The account's key.
    pub account_key: VerifyingKey,
}

/// When and where a message came in its thread, the same for all readers of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What orders the thread: in a group the sequence in the log, between two people [`super::Content::created`].
    pub position: u64,
    /// Milliseconds since 1970: in a group when the server took the entry, between two people [`super::Content::created`], no
    /// later than it came.
    pub at: u64,
}
