//! Other servers.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use medipeps_core::address::is_domain;
use medipeps_core::crypto::signature::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::limits::VOUCHER_KEYS_MAX;

/// Other servers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Federation {
    /// Domains whose vouchers are taken, each with its server key in base64.
    pub voucher_keys: BTreeMap<String, String>,
}

impl Federation {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (self.voucher_keys.len() <= VOUCHER_KEYS_MAX, "federation.voucher_keys", "has at most 4096 domains"),
            (
                self.voucher_keys.iter().all(|(domain, key)| is_domain(domain) && read_key(key).is_some()),
                "federation.voucher_keys",
                "must be domain names in lower case with Ed25519 keys in base64",
            ),
        ]
    }

    /// The keys, by domain.
    #[must_use]
    pub fn keys(&self) -> BTreeMap<String, VerifyingKey> {
        self.voucher_keys.iter().filter_map(|(domain, key)| Some((domain.clone(), read_key(key)?))).collect()
    }
}

fn read_key(text: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_slice(&BASE64.decode(text.as_bytes()).ok()?).ok()
}
