//! Other domains, and the space of trust that they belong to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use data_encoding::{BASE64, HEXLOWER};
use medipeps_core::address::is_domain;
use medipeps_core::crypto::signature::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::limits::VOUCHER_KEYS_MAX;

/// Other servers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Federation {
    /// A file with the trust list: a signed, numbered list of the domains of a space of trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_list: Option<PathBuf>,
    /// The public key of whoever signs it, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_list_signer: Option<String>,
    /// Domains whose vouchers are taken, each with its server key in base64; beside those of the trust list.
    pub voucher_keys: BTreeMap<String, String>,
}

impl Federation {
    /// Who signs the trust list, if one is followed.
    #[must_use]
    pub fn signer(&self) -> Option<VerifyingKey> {
        let bytes = HEXLOWER.decode(self.trust_list_signer.as_ref()?.to_ascii_lowercase().as_bytes()).ok()?;
        VerifyingKey::from_slice(&bytes).ok()
    }

    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (
                self.trust_list.is_some() == self.trust_list_signer.is_some(),
                "federation.trust_list",
                "and `trust_list_signer` must be given together",
            ),
            (
                self.trust_list_signer.is_none() || self.signer().is_some(),
                "federation.trust_list_signer",
                "must be a public key, 64 hexadecimal digits",
            ),
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
