//! One group as its member sees it: who is in it, what may be done, and messages to it.

use std::fmt;
use std::sync::Arc;

use mls_rs::error::MlsError;
use rand_core::CryptoRng;

use super::credential::LeafName;
use super::engine::{GroupEngine, MlsConfig, Suite};
use super::entry;
use super::error::{GroupError, Refusal};
use super::framing::FramedContent;
use super::journal::Journal;
use super::judge::{Agreed, Judge};
use super::keys::EpochKeys;
use super::pages::Pages;
use super::past::Past;
use super::policy::{GroupPolicy, Role};
use super::provider::Provider;
use super::storage::StateStorage;
use super::{GroupId, LogId};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::crypto::signature::VerifyingKey;
use crate::franking::FrankingProof;
use crate::label;
use crate::limits::{GROUP_EPOCHS_KEPT, GROUP_MESSAGE_LENGTH_MAX};

/// A group in memory. Whatever changes it must be stored ([`Self::save`]) before its results leave the device.
pub struct Group {
    pub(super) mls: mls_rs::Group<MlsConfig>,
    pub(super) id: GroupId,
    pub(super) suite: Suite,
    pub(super) log_id: LogId,
    pub(super) provider: Provider,
    pub(super) judge: Judge,
    pub(super) storage: StateStorage,
    pub(super) own: LeafName,
    /// The device's: what is said is signed under it.
    pub(super) device_key: VerifyingKey,
    /// Of the current epoch and those before it, newest last.
    pub(super) keys: Vec<EpochKeys>,
    pub(super) pending: Option<Pending>,
    pub(super) past: Past,
    pub(super) pages: Pages,
    pub(super) journal: Journal,
    /// The epoch whose tree is in the pages.
    pub(super) stored_tree: Option<u64>,
    pub(super) removed: bool,
}

/// A commit that waits for the server's answer; its secrets are in the pages.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) entry_hash: [u8; 32],
    pub(super) keys: EpochKeys,
    /// If it changes the policy.
    pub(super) policy: Option<Agreed>,
}

/// A device in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its leaf in the tree. Stays the same until it is removed; may be another's then.
    pub leaf: u32,
    /// The account.
    pub address: Address,
    /// The device's number in the account.
    pub device_id: u32,
    /// What the account may do; `None` only for one that has just been removed.
    pub role: Option<Role>,
}

/// A message, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedMessage {
    /// For the log.
    pub entry: GroupEntry,
    /// What binds this device to it, in this epoch. To be kept once the entry is in the log, so that the message can be reported.
    pub proof: FrankingProof,
}

/// An entry for the group's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// The epoch that it belongs to. If the log has moved on, it is of no use: encrypt again.
    pub epoch: u64,
    /// The wrapped bytes.
    pub entry: Vec<u8>,
}

pub(super) fn own_name(engine: &GroupEngine<'_>) -> LeafName {
    LeafName {
        address: engine.certificate.address().clone(),
        account_key: *engine.certificate.account_key().as_bytes(),
        device_id: engine.certificate.device_id(),
    }
}

impl Group {
    pub(super) fn assemble(
        mls: mls_rs::Group<MlsConfig>,
        id: GroupId,
        suite: Suite,
        provider: Provider,
        judge: Judge,
        storage: StateStorage,
        device: &GroupEngine<'_>,
    ) -> Self {
        Self {
            mls,
            id,
            suite,
            log_id: [0; 32],
            provider,
            judge,
            storage,
            own: own_name(device),
            device_key: device.certificate.keys().signing_key,
            keys: Vec::new(),
            pending: None,
            past: Past::default(),
            pages: Pages::new(id),
            journal: Journal::default(),
            stored_tree: None,
            removed: false,
        }
    }

    /// The group's id.
    #[must_use]
    pub const fn id(&self) -> GroupId {
        self.id
    }

    /// The id of its log.
    #[must_use]
    pub const fn log_id(&self) -> LogId {
        self.log_id
    }

    /// The suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.mls.current_epoch()
    }

    /// The current epoch's keys.
    #[must_use]
    pub fn keys(&self) -> &EpochKeys {
        // A group is handed out only after its first epoch's keys are there.
        self.keys.last().unwrap_or_else(|| unreachable!("every group has the keys of its epoch"))
    }

    /// The keys of an epoch, if it is the current one or among the few before it that are kept.
    #[must_use]
    pub fn keys_of(&self, epoch: u64) -> Option<&EpochKeys> {
        self.keys.iter().find(|keys| keys.epoch() == epoch)
    }

    /// What the members agree on.
    ///
    /// # Errors
    /// [`Refusal::Policy`] cannot come from a group whose members keep the rules.
    pub fn policy(&self) -> Result<Arc<GroupPolicy>, GroupError> {
        Ok(self.judge.policy(&self.mls.context().extensions)?)
    }

    /// The devices, by leaf.
    ///
    /// # Errors
    /// [`GroupError::Refused`] cannot come from a group whose members keep the rules.
    pub fn members(&self) -> Result<Vec<GroupMember>, GroupError> {
        let policy = self.policy()?;
        self.mls.roster().members_iter().map(|member| named(&policy, &member)).collect()
    }

    /// How many devices are in the group.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mls.roster().member_identities_iter().count()
    }

    /// The leaf of this device.
    #[must_use]
    pub fn own_leaf(&self) -> u32 {
        self.mls.current_member_index()
    }

    /// What this account may do.
    ///
    /// # Errors
    /// As [`Self::policy`], and [`GroupError::Removed`].
    pub fn own_role(&self) -> Result<Role, GroupError> {
        if self.removed {
            return Err(GroupError::Removed);
        }
        self.policy()?.role(&self.own.address).ok_or(GroupError::Removed)
    }

    /// Whether this device was removed by the last commit. Nothing can be done with the group any more.
    #[must_use]
    pub const fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether proposals of others wait for a commit. Until then nothing can be sent.
    #[must_use]
    pub fn commit_required(&self) -> bool {
        self.mls.commit_required()
    }

    /// Encrypts a message to the group, the id of the log beside it, and signs it. The state must be stored before the entry
    /// leaves. `content` is an encoded [`Content`](crate::kind::Content); members refuse anything else.
    ///
    /// # Errors
    /// [`GroupError::Removed`], [`Refusal::ReaderPosted`], [`Refusal::Closed`], [`GroupError::CommitFirst`], and
    /// [`GroupError::TooLong`].
    pub fn encrypt(&mut self, content: &[u8], rng: &mut impl CryptoRng) -> Result<EncryptedMessage, GroupError> {
        if self.own_role()? == Role::Reader {
            return Err(Refusal::ReaderPosted.into());
        }
        if self.policy()?.successor.is_some() {
            return Err(Refusal::Closed.into());
        }
        if content.len() > GROUP_MESSAGE_LENGTH_MAX {
            return Err(GroupError::TooLong);
        }
        if self.mls.commit_required() {
            return Err(GroupError::CommitFirst);
        }
        let provider = self.provider.clone();
        let (message, seen) = provider.witness().during(|| {
            provider
                .randomness()
                .during(rng, || self.mls.encrypt_application_message(content, self.log_id.to_vec())?.to_bytes())
        });
        let message = message.map_err(|error| self.failed(&error))?;
        self.note_encrypted()?;
        let (group_id, epoch, leaf, log_id) = (&self.id, self.epoch(), self.own_leaf(), &self.log_id);
        let framed = FramedContent { group_id, epoch, leaf, log_id, content };
        let proof = FrankingProof::of(&framed, self.device_key.as_bytes(), seen.as_ref())?;
        Ok(EncryptedMessage { entry: self.wrapped(&message, rng)?, proof })
    }

    /// Asks to be removed from the group: a commit of another member carries it out. Nothing can be sent until then.
    ///
    /// # Errors
    /// [`GroupError::Removed`]
    pub fn leave(&mut self, rng: &mut impl CryptoRng) -> Result<GroupEntry, GroupError> {
        self.own_role()?;
        let own = self.own_leaf();
        let message = self
            .provider
            .clone()
            .randomness()
            .during(rng, || self.mls.propose_remove(own, Vec::new())?.to_bytes())
            .map_err(|error| self.failed(&error))?;
        // Made again it would be another proposal.
        self.checkpoint()?;
        self.wrapped(&message, rng)
    }

    pub(super) fn wrapped(&self, message: &[u8], rng: &mut impl CryptoRng) -> Result<GroupEntry, GroupError> {
        let entry = entry::wrap(self.keys(), &self.log_id, message, rng)?;
        Ok(GroupEntry { epoch: self.epoch(), entry })
    }

    /// Takes the keys of an epoch that has just begun, and drops those of epochs long past.
    pub(super) fn export_keys(&mut self) -> Result<(), GroupError> {
        let keys = epoch_keys(&self.mls).map_err(|error| self.failed(&error))?;
        self.keys.push(keys);
        let surplus = self.keys.len().saturating_sub(GROUP_EPOCHS_KEPT + 1);
        self.keys.drain(..surplus);
        Ok(())
    }

    /// Notes the policy of an epoch that has just begun, whose keys are there, and drops those of epochs long past.
    pub(super) fn begin_policy(&mut self, agreed: Agreed) {
        self.past.begin(self.mls.current_epoch(), agreed);
        self.past.forget_before(self.keys.first().map_or(0, EpochKeys::epoch));
        self.end_judging();
    }

    /// Nothing is judged any more; what a refused commit brought goes.
    pub(super) fn end_judging(&self) {
        let pending = self.pending.as_ref().and_then(|pending| pending.policy.as_ref());
        self.judge.end(self.past.policies().chain(pending));
    }

    pub(super) fn failed(&self, error: &MlsError) -> GroupError {
        GroupError::from_mls(error, self.judge.take())
    }
}

/// The keys that the current epoch of a group exports.
pub(super) fn epoch_keys(mls: &mls_rs::Group<MlsConfig>) -> Result<EpochKeys, MlsError> {
    let export = |label: label::Label| -> Result<Secret<32>, MlsError> {
        let exported = mls.export_secret(label.as_bytes(), &[], 32)?;
        Secret::from_slice(&exported).ok_or(MlsError::ExporterDeleted)
    };
    let access_seed = export(label::GROUP_ACCESS_KEY)?;
    Ok(EpochKeys::new(mls.current_epoch(), &access_seed, export(label::GROUP_OUTER_KEY)?))
}

pub(super) fn named(policy: &GroupPolicy, member: &mls_rs::group::Member) -> Result<GroupMember, GroupError> {
    let name = LeafName::read(&member.signing_identity)?;
    let role = policy.role(&name.address);
    Ok(GroupMember { leaf: member.index, address: name.address, device_id: name.device_id, role })
}

impl fmt::Debug for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Group({:?}, epoch {}, ..)", self.id, self.epoch())
    }
}
