//! The limits of how often things may be asked, one for each key of `[rate]`. They can be set while the server runs; what has
//! been counted stays.

use medipeps_core::Address;

use crate::config::Rates;
use crate::metrics::Metrics;
use crate::network_address::NetworkAddress;
use crate::rate_limit::RateLimiter;

macro_rules! limiters {
    ($($(#[$documentation:meta])* $name:ident: $key:ty = $rate:ident,)*) => {
        /// A limiter for each key of `[rate]`.
        pub(super) struct Limiters {
            $($(#[$documentation])* pub(super) $name: RateLimiter<$key>,)*
        }

        impl Limiters {
            /// Full buckets. What they refuse is counted in `metrics`.
            pub(super) fn new(rates: &Rates, metrics: &Metrics) -> Self {
                Self { $($name: RateLimiter::counted(rates.$rate, metrics.refusals_of(stringify!($rate))),)* }
            }

            /// Sets other rates.
            pub(super) fn set(&self, rates: &Rates) {
                $(self.$name.set_rate(rates.$rate);)*
            }
        }
    };
}

limiters! {
    submit_per_recipient: Address = submit_per_recipient,
    submit_per_address: NetworkAddress = submit_per_address,
    requests_per_recipient: Address = requests_per_recipient,
    redemptions_per_address: NetworkAddress = redemptions_per_address,
    issuer_keys_per_address: NetworkAddress = issuer_keys_per_address,
    prekeys_per_recipient: Address = prekeys_per_recipient,
    prekeys_per_address: NetworkAddress = prekeys_per_address,
    statements_per_address: NetworkAddress = statements_per_address,
    registrations_per_address: NetworkAddress = registrations_per_address,
    publications_per_address: NetworkAddress = publications_per_address,
    blob_begins_per_address: NetworkAddress = blob_begins_per_address,
    /// In KiB.
    blob_upload_per_address: NetworkAddress = blob_upload_kib_per_address,
    /// In KiB.
    blob_download_per_address: NetworkAddress = blob_download_kib_per_address,
    proofs_per_address: NetworkAddress = proofs_per_address,
    key_packages_per_recipient: Address = key_packages_per_recipient,
    group_creations_per_address: NetworkAddress = group_creations_per_address,
    group_appends_per_log: [u8; 32] = group_appends_per_log,
    group_appends_per_address: NetworkAddress = group_appends_per_address,
    group_reads_per_address: NetworkAddress = group_reads_per_address,
    group_signals_per_address: NetworkAddress = group_signals_per_address,
    /// In KiB.
    group_upload_per_address: NetworkAddress = group_upload_kib_per_address,
    /// In KiB.
    group_download_per_address: NetworkAddress = group_download_kib_per_address,
    requests_per_account: Address = requests_per_account,
    uploads_per_account: Address = uploads_per_account,
    subscriptions_per_account: Address = subscriptions_per_account,
}
