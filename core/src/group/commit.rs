//! Commits: prepared, put into the log if no other comes first, and adopted when the server has taken them.

use mls_rs::group::{CommitOutput, CommitSecrets};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::engine::{GroupWelcome, log_extensions, policy_extensions};
use super::error::{GroupError, KeyPackageError, Refusal, StateError};
use super::judge::Agreed;
use super::key_package::KeyPackage;
use super::keys::EpochKeys;
use super::member::{Group, GroupEntry, Pending, epoch_keys};
use super::policy::GroupPolicy;
use super::policy_change::GroupPolicyChange;
use super::receive::EpochChange;
use crate::crypto::signature::VerifyingKey;
use crate::limits::GROUP_MEMBERS_MAX;
use crate::wire::group::Section;

/// What a commit does beside carrying out the proposals that wait. Nothing of it is an update: fresh keys for this device.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Devices to add.
    pub add: Vec<KeyPackage>,
    /// Leaves to remove.
    pub remove: Vec<u32>,
    /// The new policy. Accounts that are added must be in it, those that are removed must not. The blinding stays as it is.
    pub policy: Option<GroupPolicy>,
}

/// A commit on its way. The group is still in the epoch before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedCommit {
    /// The entry, of the epoch that it closes.
    pub entry: GroupEntry,
    /// Of the epoch that it begins: the server takes requests for that one under this key.
    pub next_access_key: VerifyingKey,
    /// For all devices that it adds. To be sent when the server has taken the commit, not before.
    pub invitation: Option<GroupWelcome>,
}

impl Group {
    /// Builds a commit. The group stays as it is until [`Self::adopt_commit`]; store it with the commit in it before the
    /// entry leaves, or a crash would leave a member behind that cannot follow its own commit.
    ///
    /// # Errors
    /// [`GroupError::CommitPending`], [`GroupError::Removed`], [`GroupError::Policy`], [`GroupError::Refused`] if the
    /// group's rules forbid it, [`Refusal::TooManyMembers`] over the limit, [`GroupError::NoSuchMember`],
    /// [`GroupError::RemovesSelf`], [`GroupError::KeyPackage`] for one of another suite, and [`GroupError::Unverified`].
    pub fn prepare_commit(&mut self, change: &Change, rng: &mut impl CryptoRng) -> Result<PreparedCommit, GroupError> {
        self.own_role()?;
        if self.pending.is_some() {
            return Err(GroupError::CommitPending);
        }
        if (self.size() + change.add.len()).saturating_sub(change.remove.len()) > GROUP_MEMBERS_MAX {
            return Err(Refusal::TooManyMembers.into());
        }
        if change.add.iter().any(|package| package.suite != self.suite) {
            return Err(KeyPackageError::Suite.into());
        }
        let (agreed, brought) = match &change.policy {
            Some(policy) => {
                policy.check()?;
                let before = self.policy()?;
                let agreed = Agreed::new(GroupPolicy { blinding: before.blinding, ..policy.clone() })?;
                let brought = GroupPolicyChange::between(&before, policy).encode();
                self.judge.bring(agreed.clone());
                (Some(agreed), brought)
            }
            None => (None, Vec::new()),
        };
        let built = self.built(change, agreed.as_ref(), brought, rng);
        self.end_judging();
        let (output, secrets, keys) = built?;
        let encoded = output.commit_message.to_bytes().map_err(|error| self.failed(&error))?;
        let entry = self.wrapped(&encoded, rng)?;
        let tree = output.ratchet_tree.as_ref().map(|tree| tree.to_bytes()).transpose();
        let invitation = match (output.welcome_messages.first(), tree.map_err(|error| self.failed(&error))?) {
            (Some(welcome), Some(tree)) => {
                let welcome = welcome.to_bytes().map_err(|error| self.failed(&error))?;
                let policy = agreed.as_ref().map_or_else(|| self.policy(), |agreed| Ok(agreed.policy.clone()))?;
                Some(GroupWelcome { welcome, tree, policy: policy.encode() })
            }
            _ => None,
        };
        self.pages.store(Section::Pending, &secrets);
        if let Some(agreed) = &agreed {
            self.pages.store(Section::PendingPolicy, &agreed.policy.encode());
        }
        self.checkpoint()?;
        let next_access_key = keys.access_key().verifying_key();
        self.pending = Some(Pending { entry_hash: Sha256::digest(&entry.entry).into(), keys, policy: agreed });
        self.end_judging();
        Ok(PreparedCommit { entry, next_access_key, invitation })
    }

    /// The commit, what its committer alone knows of the next epoch, and that epoch's keys.
    fn built(
        &mut self,
        change: &Change,
        agreed: Option<&Agreed>,
        brought: Vec<u8>,
        rng: &mut impl CryptoRng,
    ) -> Result<(CommitOutput, Zeroizing<Vec<u8>>, EpochKeys), GroupError> {
        let provider = self.provider.clone();
        let built = provider.randomness().during(rng, || {
            let builder = self.mls.commit_builder().authenticated_data(brought);
            let mut builder = builder.set_group_info_ext(log_extensions(&self.log_id));
            for package in &change.add {
                builder = builder.add_member(package.message.clone())?;
            }
            for leaf in &change.remove {
                builder = builder.remove_member(*leaf)?;
            }
            if let Some(agreed) = agreed {
                builder = builder.set_group_context_ext(policy_extensions(&agreed.hash))?;
            }
            let (output, secrets) = builder.build_detached()?;
            let mut next = self.mls.clone();
            next.apply_detached_commit(secrets.clone())?;
            Ok((output, Zeroizing::new(secrets.to_bytes()?), epoch_keys(&next)?))
        });
        built.map_err(|error| self.failed(&error))
    }

    /// Whether a commit waits for the server's answer.
    #[must_use]
    pub const fn has_pending_commit(&self) -> bool {
        self.pending.is_some()
    }

    /// Goes on to the epoch that the pending commit begins: the server has taken it.
    ///
    /// # Errors
    /// [`GroupError::NoCommitPending`]; [`GroupError::State`] if the pages are damaged.
    pub fn adopt_commit(&mut self) -> Result<EpochChange, GroupError> {
        if self.pending.is_none() {
            return Err(GroupError::NoCommitPending);
        }
        let secrets = self.pages.read(Section::Pending).ok_or(StateError::Section)?;
        let secrets = CommitSecrets::from_bytes(&secrets).map_err(|_| StateError::Section)?;
        let before = self.policy()?;
        let description = self.mls.apply_detached_commit(secrets).map_err(|error| self.failed(&error))?;
        let change = self.begin_epoch(&before, description)?;
        self.checkpoint()?;
        Ok(change)
    }

    /// Forgets the pending commit: another one came first, or it is no longer wanted and never left.
    pub fn drop_commit(&mut self) {
        self.pending = None;
        self.pages.remove(Section::Pending);
        self.pages.remove(Section::PendingPolicy);
    }
}
