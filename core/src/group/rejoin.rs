//! Coming back after one's state was lost: another member hands over what a commit from outside needs.

use mls_rs::MlsMessage;
use mls_rs::error::MlsError;
use mls_rs::group::ExportedTree;
use rand_core::CryptoRng;

use super::GroupId;
use super::credential::LeafName;
use super::engine::{GroupEngine, Suite, log_extensions, mls_client, named_log, policy_beside};
use super::entry;
use super::error::{GroupError, Refusal};
use super::judge::Judge;
use super::keys::EpochKeys;
use super::member::{Group, GroupEntry, own_name};
use super::provider::Provider;
use super::storage::{KeyPackages, StateStorage};
use crate::crypto::secret::Secret;
use crate::crypto::signature::VerifyingKey;
use crate::limits::GROUP_INVITATION_LENGTH_MAX;

/// What a member hands to a device that lost its state: over 1:1 or in a sealed blob, since it holds the epoch's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRejoin {
    /// An MLSMessage with a GroupInfo that allows an external commit.
    pub group_info: Vec<u8>,
    /// The group's tree.
    pub tree: Vec<u8>,
    /// The epoch's access key, which the external commit is appended under.
    pub access_seed: Secret<32>,
    /// The epoch's outer key, which it is wrapped under.
    pub outer_key: Secret<32>,
    /// The group's policy, encoded; the GroupInfo has its hash.
    pub policy: Vec<u8>,
}

/// A way back into the group: worth something when the server has taken the entry.
#[derive(Debug)]
pub struct PreparedRejoin {
    /// The group as it is if the server takes the entry. Store it before the entry leaves.
    pub group: Group,
    /// The entry, which closes its epoch.
    pub entry: GroupEntry,
    /// The keys of the epoch that it closes: their access key signs the append.
    pub keys: EpochKeys,
    /// Of the epoch that it begins.
    pub next_access_key: VerifyingKey,
}

impl Group {
    /// What a device needs to come back. It is for the caller to see that the device's account is in the roster and the
    /// device in the account's newest statement, and to send it to that device and no other.
    ///
    /// # Errors
    /// [`GroupError::Removed`]
    pub fn help_rejoin(&self, rng: &mut impl CryptoRng) -> Result<GroupRejoin, GroupError> {
        self.own_role()?;
        let keys = self.keys();
        let made = self.provider.randomness().during(rng, || {
            let extensions = log_extensions(&self.log_id);
            let info = self.mls.group_info_message_allowing_ext_commit_with_extensions(false, extensions)?;
            Ok((info.to_bytes()?, self.mls.export_tree().to_bytes()?))
        });
        let (group_info, tree) = made.map_err(|error| self.failed(&error))?;
        Ok(GroupRejoin {
            group_info,
            tree,
            access_seed: keys.access_key().to_secret(),
            outer_key: keys.outer_key().clone(),
            policy: self.policy()?.encode(),
        })
    }
}

impl GroupEngine<'_> {
    /// Builds the external commit by which this device takes the place of a leaf of its account: its own if it has one
    /// there, or else one of a device that the account's newest statement does not list, or else any of the account. `listed`
    /// has the numbers of the devices that it lists.
    ///
    /// # Errors
    /// [`Refusal::ExternalCommit`] if the account has no leaf in the group; [`GroupError::Refused`] if the group breaks its
    /// own rules, or the policy is not what the GroupInfo names; [`GroupError::NotMls`], [`GroupError::Unverified`] and [`GroupError::Mls`] for the rest.
    pub fn rejoin(
        &self,
        help: &GroupRejoin,
        listed: &[u32],
        rng: &mut impl CryptoRng,
    ) -> Result<PreparedRejoin, GroupError> {
        if help.group_info.len().saturating_add(help.tree.len()) > GROUP_INVITATION_LENGTH_MAX {
            return Err(GroupError::TooLong);
        }
        let agreed = policy_beside(&help.policy)?;
        let info = MlsMessage::from_bytes(&help.group_info).map_err(|_| GroupError::NotMls)?;
        let tree = ExportedTree::from_bytes(&help.tree).map_err(|_| GroupError::NotMls)?;
        let named = info.as_group_info().ok_or(GroupError::NotMls)?;
        let epoch = named.group_context().epoch;
        let suite = Suite::from_number(named.group_context().cipher_suite.into()).ok_or(GroupError::NotMls)?;
        let id = GroupId(named.group_context().group_id.as_slice().try_into().map_err(|_| GroupError::NotMls)?);
        let log_id = named_log(named.extensions())?;
        let own = own_name(self);
        let leaf = leaf_to_replace(&tree, &own, listed)?;

        let (provider, judge, storage) = (Provider::default(), Judge::default(), StateStorage::default());
        judge.bring(agreed.clone());
        judge.policy(&named.group_context().extensions)?;
        // Known from here on, and not brought: a commit from outside changes no policy.
        judge.end(std::iter::once(&agreed));
        let failed = |error: MlsError| GroupError::from_mls(&error, judge.take());
        let client = mls_client(self, suite, &provider, &judge, storage.clone(), KeyPackages::default());
        let (mls, message) = provider
            .randomness()
            .during(rng, || client.external_commit_builder()?.with_tree_data(tree).with_removal(leaf).build(info))
            .map_err(failed)?;
        let keys = EpochKeys::new(epoch, &help.access_seed, help.outer_key.clone());
        let message = message.to_bytes().map_err(failed)?;
        let entry = GroupEntry { epoch, entry: entry::wrap(&keys, &log_id, &message, rng)? };
        let mut group = Group::assemble(mls, id, suite, provider, judge.clone(), storage, self);
        group.log_id = log_id;
        group.export_keys()?;
        group.begin_policy(agreed);
        group.checkpoint()?;
        let next_access_key = group.keys().access_key().verifying_key();
        Ok(PreparedRejoin { group, entry, keys, next_access_key })
    }
}

/// Its own leaf, or else one of a device that the account has no longer, or else any of the account.
fn leaf_to_replace(tree: &ExportedTree<'_>, own: &LeafName, listed: &[u32]) -> Result<u32, GroupError> {
    let roster = tree.roster();
    let (mut of_account, mut unlisted) = (None, None);
    for member in roster.members_iter() {
        let name = LeafName::read(&member.signing_identity)?;
        if name == *own {
            return Ok(member.index);
        }
        if name.same_account(own) {
            of_account.get_or_insert(member.index);
            if !listed.contains(&name.device_id) {
                unlisted.get_or_insert(member.index);
            }
        }
    }
    Ok(unlisted.or(of_account).ok_or(Refusal::ExternalCommit)?)
}
