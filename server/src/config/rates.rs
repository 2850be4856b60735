//! How often things may be asked.

use medipeps_core::limits::{BLOB_PIECE_LENGTH, GROUP_ENTRY_LENGTH_MAX};
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::rate_limit::Rate;

/// How often things may be asked. A network address is an IPv4 address or an IPv6 /64; the defaults let a hospital with 4 000 clients
/// behind one of them work, and come back within minutes after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Submissions to one recipient.
    pub submit_per_recipient: Rate,
    /// Submissions from one network address.
    pub submit_per_address: Rate,
    /// Submissions to one recipient from senders who know no delivery key, beside those.
    pub requests_per_recipient: Rate,
    /// Fetches of one recipient's prekeys; each takes a one-time key of every device. Past it they are withheld.
    pub prekeys_per_recipient: Rate,
    /// Vouchers redeemed from one network address.
    pub redemptions_per_address: Rate,
    /// Fetches of the issuer keys and prices from one network address.
    pub issuer_keys_per_address: Rate,
    /// Fetches of prekeys from one network address.
    pub prekeys_per_address: Rate,
    /// Fetches of statements from one network address.
    pub statements_per_address: Rate,
    /// Registrations from one network address, successful or not.
    pub registrations_per_address: Rate,
    /// Statements published from one network address, successful or not.
    pub publications_per_address: Rate,
    /// Proofs of device from one network address, successful or not.
    pub proofs_per_address: Rate,
    /// Blobs begun or deleted from one network address.
    pub blob_begins_per_address: Rate,
    /// KiB of blobs taken from one network address.
    pub blob_upload_kib_per_address: Rate,
    /// KiB of blobs given to one network address.
    pub blob_download_kib_per_address: Rate,
    /// Fetches of one recipient's key packages; each takes a one-time one of every device.
    pub key_packages_per_recipient: Rate,
    /// Group logs created from one network address.
    pub group_creations_per_address: Rate,
    /// Entries appended to one group log.
    pub group_appends_per_log: Rate,
    /// Entries appended from one network address.
    pub group_appends_per_address: Rate,
    /// Fetches from group logs, and logs watched, from one network address.
    pub group_reads_per_address: Rate,
    /// Signals to group logs from one network address.
    pub group_signals_per_address: Rate,
    /// KiB of entries taken from one network address.
    pub group_upload_kib_per_address: Rate,
    /// KiB of entries given to one network address.
    pub group_download_kib_per_address: Rate,
    /// Requests of one account over connections that have proved one of its devices.
    pub requests_per_account: Rate,
    /// Uploads of prekeys and key packages of one account.
    pub uploads_per_account: Rate,
    /// Subscriptions of one account.
    pub subscriptions_per_account: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |burst, per_minute| Rate { burst, per_minute };
        Self {
            submit_per_recipient: rate(600, 120),
            submit_per_address: rate(6000, 6000),
            requests_per_recipient: rate(120, 12),
            prekeys_per_recipient: rate(60, 6),
            redemptions_per_address: rate(1200, 600),
            issuer_keys_per_address: rate(12_000, 6000),
            prekeys_per_address: rate(1200, 600),
            statements_per_address: rate(4000, 1200),
            registrations_per_address: rate(600, 120),
            publications_per_address: rate(600, 120),
            proofs_per_address: rate(6000, 6000),
            blob_begins_per_address: rate(1200, 300),
            // 8 GiB at once, 15 GiB an hour.
            blob_upload_kib_per_address: rate(8 << 20, 256 << 10),
            // 16 GiB at once, 60 GiB an hour.
            blob_download_kib_per_address: rate(16 << 20, 1 << 20),
            key_packages_per_recipient: rate(60, 6),
            group_creations_per_address: rate(300, 30),
            group_appends_per_log: rate(600, 240),
            group_appends_per_address: rate(6000, 6000),
            group_reads_per_address: rate(40_000, 20_000),
            group_signals_per_address: rate(2400, 2400),
            // 1 GiB at once, 4 GiB an hour.
            group_upload_kib_per_address: rate(1 << 20, 64 << 10),
            // 8 GiB at once, 60 GiB an hour.
            group_download_kib_per_address: rate(8 << 20, 1 << 20),
            requests_per_account: rate(6000, 6000),
            uploads_per_account: rate(60, 30),
            subscriptions_per_account: rate(300, 60),
        }
    }
}

impl Rates {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (is_rate(self.submit_per_recipient), "rate.submit_per_recipient", NO_RATE),
            (is_rate(self.submit_per_address), "rate.submit_per_address", NO_RATE),
            (is_rate(self.requests_per_recipient), "rate.requests_per_recipient", NO_RATE),
            (is_rate(self.prekeys_per_recipient), "rate.prekeys_per_recipient", NO_RATE),
            (is_rate(self.redemptions_per_address), "rate.redemptions_per_address", NO_RATE),
            (is_rate(self.issuer_keys_per_address), "rate.issuer_keys_per_address", NO_RATE),
            (is_rate(self.prekeys_per_address), "rate.prekeys_per_address", NO_RATE),
            (is_rate(self.statements_per_address), "rate.statements_per_address", NO_RATE),
            (is_rate(self.registrations_per_address), "rate.registrations_per_address", NO_RATE),
            (is_rate(self.publications_per_address), "rate.publications_per_address", NO_RATE),
            (is_rate(self.proofs_per_address), "rate.proofs_per_address", NO_RATE),
            (is_rate(self.blob_begins_per_address), "rate.blob_begins_per_address", NO_RATE),
            (is_piece_rate(self.blob_upload_kib_per_address), "rate.blob_upload_kib_per_address", NO_PIECE_RATE),
            (is_piece_rate(self.blob_download_kib_per_address), "rate.blob_download_kib_per_address", NO_PIECE_RATE),
            (is_rate(self.key_packages_per_recipient), "rate.key_packages_per_recipient", NO_RATE),
            (is_rate(self.group_creations_per_address), "rate.group_creations_per_address", NO_RATE),
            (is_rate(self.group_appends_per_log), "rate.group_appends_per_log", NO_RATE),
            (is_rate(self.group_appends_per_address), "rate.group_appends_per_address", NO_RATE),
            (is_rate(self.group_reads_per_address), "rate.group_reads_per_address", NO_RATE),
            (is_rate(self.group_signals_per_address), "rate.group_signals_per_address", NO_RATE),
            (is_entry_rate(self.group_upload_kib_per_address), "rate.group_upload_kib_per_address", NO_ENTRY_RATE),
            (is_entry_rate(self.group_download_kib_per_address), "rate.group_download_kib_per_address", NO_ENTRY_RATE),
            (is_rate(self.requests_per_account), "rate.requests_per_account", NO_RATE),
            (is_rate(self.uploads_per_account), "rate.uploads_per_account", NO_RATE),
            (is_rate(self.subscriptions_per_account), "rate.subscriptions_per_account", NO_RATE),
        ]
    }
}

const NO_RATE: &str = "needs a burst and a number per minute of 1 or more";

const fn is_rate(rate: Rate) -> bool {
    rate.burst > 0 && rate.per_minute > 0
}

const NO_PIECE_RATE: &str = "needs a burst of 513 or more, a piece of a blob, and a number per minute of 1 or more";

/// A bucket that a piece fits in: otherwise a piece would take the whole and count for less than it is.
const fn is_piece_rate(rate: Rate) -> bool {
    rate.burst as usize >= BLOB_PIECE_LENGTH.div_ceil(1024) && rate.per_minute > 0
}

const NO_ENTRY_RATE: &str =
    "needs a burst of 4225 or more, an entry of a group log, and a number per minute of 1 or more";

/// The same for an entry of a group log.
const fn is_entry_rate(rate: Rate) -> bool {
    rate.burst as usize >= GROUP_ENTRY_LENGTH_MAX.div_ceil(1024) && rate.per_minute > 0
}
