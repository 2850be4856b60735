//! The space of trust that the server's domain belongs to.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use medipeps_core::crypto::signature::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::Rule;

/// Other domains.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Federation {
    /// A file with the trust list: a signed, numbered list of the domains of a space of trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_list: Option<PathBuf>,
    /// The public key of whoever signs it, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_list_signer: Option<String>,
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
        ]
    }
}
