//! What the callbacks of one group share: the policy that was read last, and the rule that was found broken.
//!
//! MLS asks about every leaf and every proposal by itself, and hands no more than "refused" on. So the policy is decoded
//! once for all of them, and the reason waits here for whoever began the call.

use std::sync::{Arc, Mutex, PoisonError};

use mls_rs::ExtensionList;
use mls_rs::extension::ExtensionType;

use super::error::Refusal;
use super::policy::GroupPolicy;
use crate::limits::GROUP_POLICY_LENGTH_MAX;

/// The group context extension that holds the policy: of the range for private use (RFC 9420 section 17.3).
pub(super) const POLICY_EXTENSION: ExtensionType = ExtensionType::new(0xf001);
/// The GroupInfo extension that names the log.
pub(super) const LOG_EXTENSION: ExtensionType = ExtensionType::new(0xf002);

/// Shared by identity provider and rules of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    policy: Option<(Vec<u8>, Arc<GroupPolicy>)>,
    refusal: Option<Refusal>,
}

impl Judge {
    /// The policy in a group's extensions, decoded and checked.
    pub(super) fn policy(&self, extensions: &ExtensionList) -> Result<Arc<GroupPolicy>, Refusal> {
        let extension =
            extensions.iter().find(|extension| extension.extension_type == POLICY_EXTENSION).ok_or(Refusal::Policy)?;
        let encoded = extension.extension_data.as_slice();
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, policy)) = &memory.policy
            && known == encoded
        {
            return Ok(policy.clone());
        }
        if encoded.len() > GROUP_POLICY_LENGTH_MAX {
            return Err(Refusal::Policy);
        }
        let policy = GroupPolicy::decode(encoded).map_err(|_| Refusal::Policy)?;
        policy.check().map_err(|_| Refusal::Policy)?;
        let policy = Arc::new(policy);
        memory.policy = Some((encoded.to_vec(), policy.clone()));
        Ok(policy)
    }

    /// Keeps the reason of a refusal, and passes the result on. The first one stays: what follows comes of it.
    pub(super) fn note<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(refusal) = &result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal.get_or_insert(*refusal);
        }
        result
    }

    /// The reason, if there was one since it was last asked.
    pub(super) fn take(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal.take()
    }
}
