//! Groups: MLS (RFC 9420) with device certificates for credentials, a policy that all members enforce, log entries that
//! tell the server nothing, and a state that is stored page by page.
//!
//! [`GroupEngine`] is what a device does with groups: it publishes key packages, creates a group, joins one, loads one.
//! [`Group`] is one group as its member sees it. Nothing here reads a clock or a random source, and no type of the MLS
//! library is named outside of this folder. `spec/group.md`.
//!
//! # The order of things
//! A commit is prepared ([`Group::prepare_commit`]), stored ([`Group::save`]), appended to the log, and adopted
//! ([`Group::adopt_commit`]) when the server has taken it; if another commit won, that one is processed and this one dropped.
//! A message is encrypted, the state is stored, and only then do its bytes leave. What is read from the log goes through
//! [`Group::process`] in the log's order.
//!
//! `examples/group.rs` shows all of it.

mod commit;
mod credential;
mod engine;
mod entry;
mod error;
pub(crate) mod framing;
mod journal;
mod judge;
mod key_package;
mod keys;
mod member;
mod pages;
mod past;
mod policy;
mod policy_change;
pub mod provider;
mod receive;
mod rejoin;
mod rest;
mod rules;
mod signal;
mod storage;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::fmt;

pub use commit::{Change, PreparedCommit};
pub use engine::{GroupEngine, GroupWelcome, Suite};
pub use entry::ENTRY_OVERHEAD;
pub use error::{GroupError, KeyPackageError, Refusal, StateError};
pub use key_package::{GeneratedKeyPackage, KeyPackage, KeyPackageSecret};
pub use keys::EpochKeys;
pub use member::{EncryptedMessage, Group, GroupEntry, GroupMember};
pub use pages::GroupChanges;
pub use policy::{GroupPolicy, PolicyError, PolicyHash, Role, RosterEntry};
pub use policy_change::GroupPolicyChange;
pub use receive::{EpochChange, Received, Rejoined};
pub use rejoin::{GroupRejoin, PreparedRejoin};
pub use rest::stored_pages;
pub use signal::{GroupSignal, SignedSignal};

/// The id of a group: 32 random bytes, drawn by who created it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub [u8; 32]);

/// The id of a group's log at the server: the hash of the group's first access key.
pub type LogId = [u8; 32];

/// An account's Ed25519 key as a roster has it.
pub type RosterKey = [u8; 32];

impl fmt::Debug for GroupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GroupId({}..)", data_encoding::HEXLOWER.encode(&self.0[..8]))
    }
}
