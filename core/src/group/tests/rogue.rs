//! A member whose client keeps no rules: the same secrets, the library without ours.

use mls_rs::client_builder::{
    BaseConfig, ClientBuilder, PaddingMode, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider,
    WithMlsRules,
};
use mls_rs::group::ExportedTree;
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::time::MlsTime;
use mls_rs::{Client, ExtensionList, IdentityProvider, MlsMessage};
use mls_rs_core::identity::MemberValidationContext;

use super::super::credential::{DEVICE_CREDENTIAL, Identities};
use super::super::error::Refusal;
use super::super::judge::{Judge, POLICY_EXTENSION};
use super::super::storage::StateStorage;
use super::*;
use crate::wire::group::Section;

/// Lets everything pass.
#[derive(Debug, Clone)]
pub(super) struct Lenient;

impl IdentityProvider for Lenient {
    type Error = Refusal;

    fn validate_member(
        &self,
        _identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _context: MemberValidationContext<'_>,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    fn validate_external_sender(
        &self,
        _identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _extensions: Option<&ExtensionList>,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    fn identity(&self, identity: &SigningIdentity, extensions: &ExtensionList) -> Result<Vec<u8>, Refusal> {
        Identities(Judge::default()).identity(identity, extensions)
    }

    fn valid_successor(
        &self,
        _predecessor: &SigningIdentity,
        _successor: &SigningIdentity,
        _extensions: &ExtensionList,
    ) -> Result<bool, Refusal> {
        Ok(true)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![DEVICE_CREDENTIAL]
    }
}

pub(super) type RogueConfig = WithMlsRules<
    DefaultMlsRules,
    WithCryptoProvider<
        provider::Provider,
        WithIdentityProvider<Lenient, WithGroupStateStorage<StateStorage, BaseConfig>>,
    >,
>;

fn builder(provider: &provider::Provider, storage: StateStorage) -> ClientBuilder<RogueConfig> {
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_ratchet_tree_extension(false))
        .with_encryption_options(EncryptionOptions::new(true, PaddingMode::None));
    Client::builder()
        .group_state_storage(storage)
        .identity_provider(Lenient)
        .crypto_provider(provider.clone())
        .mls_rules(rules)
        .extension_type(POLICY_EXTENSION)
}

/// Does with the library what the member's own client would refuse to do, and wraps the message for the log.
macro_rules! rogue_entry {
    ($group:expr, $rng:expr, |$rogue:ident| $act:expr) => {{
        let provider = $crate::group::provider::Provider::default();
        let mut $rogue = $crate::group::tests::rogue::rogue(&mut $group, &provider);
        let message: mls_rs::MlsMessage = provider.randomness().during($rng, || $act).unwrap();
        $group.wrapped(&message.to_bytes().unwrap(), $rng).unwrap()
    }};
}
pub(super) use rogue_entry;

/// The member's group, without rules.
pub(super) fn rogue(group: &mut Group, provider: &provider::Provider) -> mls_rs::Group<RogueConfig> {
    group.checkpoint().unwrap();
    let state = group.pages.read(Section::State).unwrap();
    let tree = ExportedTree::from_bytes(&group.pages.read(Section::Tree).unwrap()).unwrap();
    let client = builder(provider, StateStorage::with(state, BTreeMap::new())).build();
    client.load_group_with_ratchet_tree(&group.id().0, tree).unwrap()
}

/// An external commit that takes the place of any leaf, wrapped with the keys that a member handed over.
pub(super) fn external_commit(
    engine: &GroupEngine<'_>,
    help: &GroupRejoin,
    helper: &Group,
    remove: Option<u32>,
    rng: &mut ChaCha20Rng,
) -> GroupEntry {
    let provider = provider::Provider::default();
    let signer = engine.signing_key.to_secret().as_bytes().to_vec().into();
    let client = builder(&provider, StateStorage::default())
        .signing_identity(super::super::credential::signing_identity(engine), signer, helper.suite().mls())
        .build();
    let mut commit = client.external_commit_builder().unwrap();
    commit = commit.with_tree_data(ExportedTree::from_bytes(&help.tree).unwrap());
    if let Some(leaf) = remove {
        commit = commit.with_removal(leaf);
    }
    let info = MlsMessage::from_bytes(&help.group_info).unwrap();
    let (_, message) = provider.randomness().during(rng, || commit.build(info)).unwrap();
    helper.wrapped(&message.to_bytes().unwrap(), rng).unwrap()
}
