//! Backups.

use medipeps_client::shell::agent::RestoreOutcome;

/// What a backup is locked with.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum BackupLock {
    /// A passphrase of the person's own.
    Passphrase {
        /// As it was typed.
        passphrase: String,
    },
    /// A code that is drawn now, shown once, and written down.
    NewRecoveryCode,
}

/// What a backup has.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct BackupSummary {
    /// Messages, sent and received.
    pub messages: i64,
    /// Contacts.
    pub contacts: i64,
    /// Bytes of contents.
    pub length: i64,
    /// Texts that should be on this device and are not: sync first.
    pub texts_missing: i64,
    /// The account key is in it, so that a restored device needs no other one.
    pub account_key: bool,
    /// With [`BackupLock::NewRecoveryCode`]: what opens it. It is kept nowhere.
    pub recovery_code: Option<String>,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum RestoreState {
    /// Messages and contacts are here, and the new device is the account's.
    Works {
        /// It holds the account key.
        primary: bool,
    },
    /// Messages and contacts are here; to send and receive, link the device by [`crate::Client::become_device`].
    NeedsLink {
        /// The account is under another key than the backup's: if the person did not do that, use the recovery key.
        key_replaced: bool,
    },
}

impl From<RestoreOutcome> for RestoreState {
    fn from(outcome: RestoreOutcome) -> Self {
        match outcome {
            RestoreOutcome::Works { primary } => Self::Works { primary },
            RestoreOutcome::NeedsLink { key_replaced } => Self::NeedsLink { key_replaced },
        }
    }
}
