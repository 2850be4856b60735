//! A group at rest: what is written when, and how it is read back.

use std::collections::BTreeMap;

use mls_rs::group::ExportedTree;
use zeroize::Zeroizing;

use super::GroupId;
use super::engine::{GroupEngine, MlsConfig, Suite, mls_builder};
use super::error::{GroupError, StateError};
use super::journal::Journal;
use super::judge::Judge;
use super::keys::EpochKeys;
use super::member::{Group, Pending};
use super::pages::{GroupChanges, Pages};
use super::past::{Past, stored_policy};
use super::provider::Provider;
use super::storage::{KeyPackages, StateStorage};
use crate::wire::group::{EpochKeyFields, ManifestFields, PendingFields, Section};

/// The numbers of the pages that a manifest names: the records to load with it.
///
/// # Errors
/// [`GroupError::State`]
pub fn stored_pages(manifest: &[u8]) -> Result<Vec<u32>, GroupError> {
    let manifest = ManifestFields::decode(manifest).map_err(StateError::Malformed)?;
    let mut numbers: Vec<u32> =
        manifest.sections.iter().flat_map(|section| section.pages.iter().map(|(number, _)| *number)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

impl Group {
    /// What has changed since the last time, for the caller's store, in one transaction. If that transaction fails, this
    /// group must be dropped and loaded again.
    ///
    /// # Errors
    /// [`GroupError::Mls`] if the library cannot encode its state, which nothing makes it do.
    pub fn save(&mut self) -> Result<GroupChanges, GroupError> {
        self.checkpoint()?;
        let (group_id, cipher_suite, log_id) = (self.id, self.suite.number(), self.log_id);
        let keys = self.keys.iter().map(key_fields).collect();
        let pending = self
            .pending
            .as_ref()
            .map(|pending| PendingFields { entry_hash: pending.entry_hash, keys: key_fields(&pending.keys) });
        Ok(self.pages.finish(|generation, next_page, sections| ManifestFields {
            generation,
            group_id,
            cipher_suite,
            log_id,
            next_page,
            sections,
            keys,
            pending,
        }))
    }

    /// How often this group was saved: rises by one each time, so that a store that was put back is noticed by who kept it.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.pages.generation()
    }
}

impl GroupEngine<'_> {
    /// Reads a group from its manifest and pages; `page` gives a page's record by its number ([`stored_pages`]).
    ///
    /// # Errors
    /// [`GroupError::State`] if the records are not one state, or not of a group that this device is in.
    pub fn load(
        &self,
        manifest: &[u8],
        page: impl FnMut(u32) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Group, GroupError> {
        let manifest = ManifestFields::decode(manifest).map_err(StateError::Malformed)?;
        let suite = Suite::from_number(manifest.cipher_suite).ok_or(StateError::Section)?;
        let pages = Pages::load(&manifest, page)?;
        if manifest.pending.is_some() != pages.contains(Section::Pending) {
            return Err(StateError::Section.into());
        }
        let (provider, judge) = (Provider::default(), Judge::default());
        let past = Past::load(&pages)?;
        let (mls, storage) = mls_group(&pages, manifest.group_id, &provider, &judge)?;
        let mut group = Group::assemble(mls, manifest.group_id, suite, provider, judge, storage, self);
        let named = GroupId(group.mls.group_id().try_into().map_err(|_| StateError::Section)?);
        group.keys = manifest.keys.iter().map(epoch_keys).collect();
        if named != manifest.group_id || group.keys.last().is_none_or(|keys| keys.epoch() != group.epoch()) {
            return Err(StateError::Section.into());
        }
        group.log_id = manifest.log_id;
        let pending_policy = pages.contains(Section::PendingPolicy);
        let policy = pending_policy.then(|| stored_policy(&pages, Section::PendingPolicy)).transpose()?;
        group.pending = manifest.pending.as_ref().map(|pending| Pending {
            entry_hash: pending.entry_hash,
            keys: epoch_keys(&pending.keys),
            policy,
        });
        group.past = past;
        group.end_judging();
        group.policy().map_err(|_| StateError::Section)?;
        group.stored_tree = Some(group.epoch());
        group.pages = pages;
        group.journal = Journal::at(&group.keys, &group.past);
        Ok(group)
    }
}

/// The group that the library has, read from the pages.
pub(super) fn mls_group(
    pages: &Pages,
    id: GroupId,
    provider: &Provider,
    judge: &Judge,
) -> Result<(mls_rs::Group<MlsConfig>, StateStorage), StateError> {
    let state = pages.read(Section::State).ok_or(StateError::Section)?;
    let tree = pages.read(Section::Tree).ok_or(StateError::Section)?;
    let tree = ExportedTree::from_bytes(&tree).map_err(|_| StateError::Section)?;
    let mut epochs = BTreeMap::new();
    for section in pages.sections() {
        if let Section::Epoch(epoch) = section {
            epochs.insert(epoch, pages.read(section).ok_or(StateError::Section)?);
        }
    }
    let storage = StateStorage::with(state, epochs);
    let client = mls_builder(provider, judge, storage.clone(), KeyPackages::default()).build();
    let mls = client.load_group_with_ratchet_tree(&id.0, tree).map_err(|_| StateError::Section)?;
    Ok((mls, storage))
}

fn key_fields(keys: &EpochKeys) -> EpochKeyFields {
    EpochKeyFields {
        epoch: keys.epoch(),
        access_seed: keys.access_key().to_secret(),
        outer_key: keys.outer_key().clone(),
    }
}

fn epoch_keys(fields: &EpochKeyFields) -> EpochKeys {
    EpochKeys::new(fields.epoch, &fields.access_seed, fields.outer_key.clone())
}
