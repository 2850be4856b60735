//! What the callbacks of one group share: the policies that may be meant, and the rule that was found broken.
//!
//! The group context holds a policy's hash. The policies themselves come beside what MLS authenticates, and wait here for
//! the hash that names them: one that no hash names is never used. MLS asks about every leaf and every proposal by itself,
//! and hands no more than "refused" on; so the reason waits here too, for whoever began the call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mls_rs::ExtensionList;
use mls_rs::extension::ExtensionType;

use super::error::Refusal;
use super::policy::{GroupPolicy, PolicyHash};

/// The group context extension that holds the policy's hash: of the range for private use (RFC 9420 section 17.3).
pub(super) const POLICY_EXTENSION: ExtensionType = ExtensionType::new(0xf001);
/// The GroupInfo extension that names the log.
pub(super) const LOG_EXTENSION: ExtensionType = ExtensionType::new(0xf002);

/// A policy that keeps its own rules, hashed once.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub(super) hash: PolicyHash,
    pub(super) policy: Arc<GroupPolicy>,
}

impl Agreed {
    /// Checks and hashes a policy.
    pub(super) fn new(policy: GroupPolicy) -> Result<Self, Refusal> {
        policy.check().map_err(|_| Refusal::Policy)?;
        Ok(Self { hash: policy.context_hash(), policy: Arc::new(policy) })
    }
}

/// Shared by identity provider and rules of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    known: Vec<Agreed>,
    /// The one that the commit or invitation at hand brings.
    brought: Option<PolicyHash>,
    refusal: Option<Refusal>,
}

impl Judge {
    /// The policy that a group's extensions name.
    ///
    /// # Errors
    /// [`Refusal::Policy`] if they name none, [`Refusal::PolicyMissing`] if it has not come, [`Refusal::PolicyMismatch`]
    /// if another one came.
    pub(super) fn policy(&self, extensions: &ExtensionList) -> Result<Arc<GroupPolicy>, Refusal> {
        self.agreed(extensions).map(|agreed| agreed.policy)
    }

    /// The same, with its hash.
    pub(super) fn agreed(&self, extensions: &ExtensionList) -> Result<Agreed, Refusal> {
        let hash = named_hash(extensions)?;
        let memory = self.memory();
        let known = memory.known.iter().rev().find(|agreed| agreed.hash == hash);
        let missing = if memory.brought.is_some() { Refusal::PolicyMismatch } else { Refusal::PolicyMissing };
        known.cloned().ok_or(missing)
    }

    /// Takes the policy that a commit or an invitation brings, until [`Self::end`].
    pub(super) fn bring(&self, agreed: Agreed) {
        let mut memory = self.memory();
        memory.brought = Some(agreed.hash);
        memory.known.push(agreed);
    }

    /// What was brought has been judged. Only policies of these stay: of the epochs that are kept, and of a pending commit.
    pub(super) fn end<'a>(&self, kept: impl Iterator<Item = &'a Agreed>) {
        let mut memory = self.memory();
        memory.brought = None;
        memory.known.clear();
        memory.known.extend(kept.cloned());
    }

    /// A commit brings a policy if it changes the extensions, the one that they name then, and otherwise none: so that all
    /// that is carried in a commit is what its committer signed for.
    pub(super) fn check_brought(&self, changed: Option<&ExtensionList>) -> Result<(), Refusal> {
        let brought = self.memory().brought;
        match (brought, changed.map(named_hash).transpose()?) {
            (None, None) => Ok(()),
            (Some(brought), Some(named)) if brought == named => Ok(()),
            (None, Some(_)) => Err(Refusal::PolicyMissing),
            (Some(_), _) => Err(Refusal::PolicyMismatch),
        }
    }

    /// Keeps the reason of a refusal, and passes the result on. The first one stays: what follows comes of it.
    pub(super) fn note<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(refusal) = &result {
            self.memory().refusal.get_or_insert(*refusal);
        }
        result
    }

    /// The reason, if there was one since it was last asked.
    pub(super) fn take(&self) -> Option<Refusal> {
        self.memory().refusal.take()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named_hash(extensions: &ExtensionList) -> Result<PolicyHash, Refusal> {
    let extension = extensions.iter().find(|extension| extension.extension_type == POLICY_EXTENSION);
    let hash = extension.and_then(|extension| extension.extension_data.as_slice().try_into().ok());
    hash.ok_or(Refusal::Policy)
}
