//! A device's way into groups: creating one, joining one by invitation.

use mls_rs::client_builder::{
    BaseConfig, ClientBuilder, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithKeyPackageRepo,
    WithMlsRules,
};
use mls_rs::error::MlsError;
use mls_rs::group::ExportedTree;
use mls_rs::time::MlsTime;
use mls_rs::{Client, Extension, ExtensionList, MlsMessage};
use mls_rs_core::crypto::{CipherSuite, SignatureSecretKey};
use rand_core::CryptoRng;

use super::credential::{Identities, LeafName, signing_identity};
use super::error::{GroupError, Refusal};
use super::judge::{Agreed, Judge, LOG_EXTENSION, POLICY_EXTENSION};
use super::key_package::{KeyPackageSecret, lifetime};
use super::keys::log_id;
use super::member::Group;
use super::policy::{GroupPolicy, PolicyHash, Role};
use super::provider::{CLASSICAL, POST_QUANTUM, Provider};
use super::rules::Rules;
use super::storage::{KeyPackages, StateStorage};
use super::{GroupId, LogId};
use crate::crypto::signature::SigningKey;
use crate::identity::DeviceCertificate;
use crate::limits::{GROUP_INVITATION_LENGTH_MAX, GROUP_MEMBERS_MAX, GROUP_POLICY_LENGTH_MAX};

/// A device as a member of groups: its certificate, which is its credential, and the key in it, which signs all it says.
#[derive(Debug, Clone, Copy)]
pub struct GroupEngine<'a> {
    /// From the account's newest statement.
    pub certificate: &'a DeviceCertificate,
    /// Its signing key's private half.
    pub signing_key: &'a SigningKey,
}

/// The cipher suite of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// 0x004D: X-Wing, ChaCha20-Poly1305, SHA-256, Ed25519. Every group of the product.
    PostQuantum,
    /// 0x0003: the same with X25519. For published vectors, other implementations, and timing beside them.
    Classical,
}

impl Suite {
    /// The number of the suite in MLS.
    #[must_use]
    pub fn number(self) -> u16 {
        self.mls().into()
    }

    pub(super) const fn mls(self) -> CipherSuite {
        match self {
            Self::PostQuantum => POST_QUANTUM,
            Self::Classical => CLASSICAL,
        }
    }

    pub(super) fn from_number(number: u16) -> Option<Self> {
        [Self::PostQuantum, Self::Classical].into_iter().find(|suite| suite.number() == number)
    }
}

/// What makes a member of each device whose key package was added. It is sealed to them, and opens once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWelcome {
    /// An MLSMessage with a Welcome.
    pub welcome: Vec<u8>,
    /// The group's tree.
    pub tree: Vec<u8>,
    /// The group's policy, encoded; the GroupInfo in the Welcome has its hash.
    pub policy: Vec<u8>,
}

impl GroupWelcome {
    /// The references of the key packages that it is for: which records to look for in the store.
    ///
    /// # Errors
    /// [`GroupError::NotMls`]
    pub fn key_packages(&self) -> Result<Vec<[u8; 32]>, GroupError> {
        let message = MlsMessage::from_bytes(&self.welcome).map_err(|_| GroupError::NotMls)?;
        let references = message.welcome_key_package_references();
        if references.is_empty() {
            return Err(GroupError::NotMls);
        }
        references.into_iter().map(|reference| (**reference).try_into().map_err(|_| GroupError::NotMls)).collect()
    }
}

pub(super) type MlsConfig = WithMlsRules<
    Rules,
    WithCryptoProvider<
        Provider,
        WithIdentityProvider<
            Identities,
            WithGroupStateStorage<StateStorage, WithKeyPackageRepo<KeyPackages, BaseConfig>>,
        >,
    >,
>;

/// A client of the library on one group's provider, rules and storage.
pub(super) fn mls_builder(
    provider: &Provider,
    judge: &Judge,
    storage: StateStorage,
    packages: KeyPackages,
) -> ClientBuilder<MlsConfig> {
    Client::builder()
        .key_package_repo(packages)
        .group_state_storage(storage)
        .identity_provider(Identities(judge.clone()))
        .crypto_provider(provider.clone())
        .mls_rules(Rules(judge.clone()))
        .extension_type(POLICY_EXTENSION)
        .key_package_lifetime(lifetime())
}

/// The same, for this device.
pub(super) fn mls_client(
    device: &GroupEngine<'_>,
    suite: Suite,
    provider: &Provider,
    judge: &Judge,
    storage: StateStorage,
    packages: KeyPackages,
) -> Client<MlsConfig> {
    let seed = device.signing_key.to_secret();
    let signer = SignatureSecretKey::new_slice(seed.as_bytes());
    mls_builder(provider, judge, storage, packages)
        .signing_identity(signing_identity(device), signer, suite.mls())
        .build()
}

/// The group context's extensions: the policy's hash and nothing else.
pub(super) fn policy_extensions(hash: &PolicyHash) -> ExtensionList {
    [Extension::new(POLICY_EXTENSION, hash.to_vec())].into_iter().collect()
}

/// The policy that came with an invitation or with help to rejoin.
pub(super) fn policy_beside(encoded: &[u8]) -> Result<Agreed, Refusal> {
    if encoded.is_empty() {
        return Err(Refusal::PolicyMissing);
    }
    if encoded.len() > GROUP_POLICY_LENGTH_MAX {
        return Err(Refusal::Policy);
    }
    Agreed::new(GroupPolicy::decode(encoded).map_err(|_| Refusal::Policy)?)
}

/// The GroupInfo's extensions: the log. Signed by who wrote the GroupInfo.
pub(super) fn log_extensions(log_id: &LogId) -> ExtensionList {
    [Extension::new(LOG_EXTENSION, log_id.to_vec())].into_iter().collect()
}

pub(super) fn named_log(extensions: &ExtensionList) -> Result<LogId, GroupError> {
    let extension = extensions.get(LOG_EXTENSION).ok_or(GroupError::NotMls)?;
    extension.extension_data.try_into().map_err(|_| GroupError::NotMls)
}

impl GroupEngine<'_> {
    /// Creates a group of this device alone, at epoch 0. The log is created with the first epoch's access key
    /// ([`Group::keys`]); who else is in the policy's roster is added by commits. The policy's blinding is drawn. `now` is in
    /// seconds since 1970.
    ///
    /// # Errors
    /// [`GroupError::Policy`], and [`Refusal::NotInRoster`] if this account is not in the roster; as no owner it could add
    /// nobody, which is [`Refusal::AddByOther`].
    pub fn create(
        &self,
        suite: Suite,
        policy: &GroupPolicy,
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Group, GroupError> {
        policy.check()?;
        match policy.role(self.certificate.address()) {
            Some(Role::Owner) => {}
            Some(_) => return Err(Refusal::AddByOther.into()),
            None => return Err(Refusal::NotInRoster.into()),
        }
        let (provider, judge, storage) = (Provider::default(), Judge::default(), StateStorage::default());
        let mut policy = policy.clone();
        rng.fill_bytes(&mut policy.blinding);
        let agreed = Agreed::new(policy)?;
        judge.bring(agreed.clone());
        let client = mls_client(self, suite, &provider, &judge, storage.clone(), KeyPackages::default());
        let mut id = GroupId([0; 32]);
        rng.fill_bytes(&mut id.0);
        let mls = provider
            .randomness()
            .during(rng, || {
                let extensions = policy_extensions(&agreed.hash);
                client.create_group_with_id(id.0.to_vec(), extensions, Default::default(), Some(MlsTime::from(now)))
            })
            .map_err(|error| GroupError::from_mls(&error, judge.take()))?;
        let mut group = Group::assemble(mls, id, suite, provider, judge, storage, self);
        group.export_keys()?;
        group.begin_policy(agreed);
        group.log_id = log_id(&group.keys().access_key().verifying_key());
        group.checkpoint()?;
        Ok(group)
    }

    /// Joins a group by an invitation and the key package that it is for. The record of the key package must be deleted in
    /// the transaction that stores the group, or the invitation could be played again.
    ///
    /// Every leaf is verified: its certificate, its place in the roster, its signature. Whoever invited must be an owner, or
    /// a device of this account.
    ///
    /// # Errors
    /// [`GroupError::NoKeyPackage`] if the invitation is for another key package; [`GroupError::Refused`] if the group
    /// breaks its own rules or the policy beside the Welcome is not the group's; [`GroupError::NotMls`], [`GroupError::Unverified`] and [`GroupError::Mls`] for the rest.
    pub fn join(&self, invitation: &GroupWelcome, secret: &KeyPackageSecret) -> Result<Group, GroupError> {
        if invitation.welcome.len().saturating_add(invitation.tree.len()) > GROUP_INVITATION_LENGTH_MAX {
            return Err(GroupError::TooLong);
        }
        let agreed = policy_beside(&invitation.policy)?;
        let suite = secret.suite().ok_or(GroupError::NoKeyPackage)?;
        let (provider, judge, storage) = (Provider::default(), Judge::default(), StateStorage::default());
        judge.bring(agreed);
        let failed = |error: MlsError| GroupError::from_mls(&error, judge.take());
        let client = mls_client(self, suite, &provider, &judge, storage.clone(), secret.storage()?);
        let welcome = MlsMessage::from_bytes(&invitation.welcome).map_err(|_| GroupError::NotMls)?;
        let tree = ExportedTree::from_bytes(&invitation.tree).map_err(|_| GroupError::NotMls)?;
        let (mls, information) = client.join_group(Some(tree), &welcome, None).map_err(failed)?;
        let id = GroupId(mls.group_id().try_into().map_err(|_| GroupError::NotMls)?);
        let log = named_log(information.group_info_extensions())?;
        let mut group = Group::assemble(mls, id, suite, provider, judge.clone(), storage, self);
        group.log_id = log;
        group.check_joined(information.sender)?;
        group.export_keys()?;
        group.begin_policy(group.judge.agreed(&group.mls.context().extensions)?);
        group.checkpoint()?;
        Ok(group)
    }
}

impl Group {
    /// What MLS does not check of a group that is joined: that it keeps our rules by itself.
    fn check_joined(&self, inviter: u32) -> Result<(), GroupError> {
        let policy = self.policy()?;
        let inviter = self.mls.roster().member_with_index(inviter).map_err(|_| GroupError::NoSuchMember)?;
        let inviter = LeafName::read(&inviter.signing_identity)?;
        let own = inviter.address == self.own.address;
        if !own && policy.role(&inviter.address) != Some(Role::Owner) {
            return Err(Refusal::AddByOther.into());
        }
        if self.mls.context().extensions.len() != 1 {
            return Err(Refusal::Proposal.into());
        }
        if self.mls.roster().member_identities_iter().count() > GROUP_MEMBERS_MAX {
            return Err(Refusal::TooManyMembers.into());
        }
        Ok(())
    }
}
