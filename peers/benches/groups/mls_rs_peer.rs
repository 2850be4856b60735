//! The same library without what the product adds, basic credentials and no rules: with its own RustCrypto provider, which is
//! the peer, and with our provider, which is what of our time is MLS alone.

use mls_rs::client_builder::{BaseConfig, PaddingMode, WithCryptoProvider, WithIdentityProvider, WithMlsRules};
use mls_rs::group::{ExportedTree, ReceivedMessage};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use crate::Member;
use crate::ours::rng;

const SUITE: CipherSuite = CipherSuite::CURVE25519_CHACHA;

/// A provider, and how it gets its randomness.
pub(crate) trait Source {
    /// As the ids have it.
    const NAME: &'static str;
    /// It.
    type Provider: CryptoProvider + Clone + Default;
    /// Does something with it.
    fn during<R>(provider: &Self::Provider, call: impl FnOnce() -> R) -> R;
}

/// The library's own.
pub(crate) struct RustCrypto;

impl Source for RustCrypto {
    const NAME: &'static str = "mls-rs";
    type Provider = RustCryptoProvider;

    fn during<R>(_provider: &RustCryptoProvider, call: impl FnOnce() -> R) -> R {
        call()
    }
}

/// Ours.
pub(crate) struct Ours;

impl Source for Ours {
    const NAME: &'static str = "bare";
    type Provider = medipeps_core::group::provider::Provider;

    fn during<R>(provider: &Self::Provider, call: impl FnOnce() -> R) -> R {
        provider.randomness().during(&mut rng(), call)
    }
}

type Config<S> = WithMlsRules<
    DefaultMlsRules,
    WithCryptoProvider<<S as Source>::Provider, WithIdentityProvider<BasicIdentityProvider, BaseConfig>>,
>;

/// Who is not in a group yet.
pub(crate) struct Person<S: Source> {
    provider: S::Provider,
    client: Client<Config<S>>,
}

impl<S: Source> Person<S> {
    fn new() -> Self {
        let provider = S::Provider::default();
        let suite = provider.cipher_suite_provider(SUITE).unwrap();
        let client = S::during(&provider, || {
            let (secret, public) = suite.signature_key_generate().unwrap();
            let name = suite.random_bytes_vec(16).unwrap();
            let rules = DefaultMlsRules::new()
                .with_commit_options(CommitOptions::new().with_ratchet_tree_extension(false))
                .with_encryption_options(EncryptionOptions::new(true, PaddingMode::None));
            let identity = SigningIdentity::new(BasicCredential::new(name).into_credential(), public);
            Client::builder()
                .identity_provider(BasicIdentityProvider::new())
                .crypto_provider(provider.clone())
                .mls_rules(rules)
                .signing_identity(identity, secret, SUITE)
                .build()
        });
        Self { provider, client }
    }
}

/// A member.
pub(crate) struct MlsRs<S: Source> {
    provider: S::Provider,
    group: Group<Config<S>>,
}

impl<S: Source> MlsRs<S> {
    fn commit(&mut self, add: Option<&MlsMessage>, remove: Option<u32>) -> Vec<u8> {
        S::during(&self.provider, || {
            let mut builder = self.group.commit_builder();
            if let Some(package) = add {
                builder = builder.add_member(package.clone()).unwrap();
            }
            if let Some(leaf) = remove {
                builder = builder.remove_member(leaf).unwrap();
            }
            let output = builder.build().unwrap();
            self.group.apply_pending_commit().unwrap();
            output.commit_message.to_bytes().unwrap()
        })
    }
}

impl<S: Source> Member for MlsRs<S> {
    const NAME: &'static str = S::NAME;
    type Package = MlsMessage;
    type Joiner = Person<S>;
    type Invitation = (Vec<u8>, Vec<u8>);

    fn packages(number: usize) -> (Vec<MlsMessage>, Person<S>) {
        let mut first = None;
        let packages = (0..number)
            .map(|_| {
                let person = Person::new();
                let package = S::during(&person.provider, || {
                    person.client.generate_key_package_message(Default::default(), Default::default(), None).unwrap()
                });
                first.get_or_insert(person);
                package
            })
            .collect();
        (packages, first.unwrap())
    }

    fn create(packages: &[MlsMessage]) -> (Self, Self::Invitation) {
        let Person { provider, client } = Person::<S>::new();
        let (group, invitation) = S::during(&provider, || {
            let mut group = client.create_group(Default::default(), Default::default(), None).unwrap();
            let mut builder = group.commit_builder();
            for package in packages {
                builder = builder.add_member(package.clone()).unwrap();
            }
            let output = builder.build().unwrap();
            group.apply_pending_commit().unwrap();
            let tree = output.ratchet_tree.unwrap().to_bytes().unwrap();
            (group, (output.welcome_messages[0].to_bytes().unwrap(), tree))
        });
        (Self { provider, group }, invitation)
    }

    fn join(joiner: Person<S>, (welcome, tree): &Self::Invitation) -> Self {
        let tree = ExportedTree::from_bytes(tree).unwrap();
        let welcome = MlsMessage::from_bytes(welcome).unwrap();
        let Person { provider, client } = joiner;
        let group = S::during(&provider, || client.join_group(Some(tree), &welcome, None).unwrap().0);
        Self { provider, group }
    }

    fn add(&mut self, package: &MlsMessage) -> Vec<u8> {
        self.commit(Some(package), None)
    }

    fn remove(&mut self) -> Vec<u8> {
        let last = self.group.roster().members_iter().last().unwrap().index;
        self.commit(None, Some(last))
    }

    fn update(&mut self) -> Vec<u8> {
        self.commit(None, None)
    }

    fn receive(&mut self, commit: &[u8]) {
        let message = MlsMessage::from_bytes(commit).unwrap();
        assert!(matches!(self.group.process_incoming_message(message), Ok(ReceivedMessage::Commit(_))));
    }

    fn encrypt(&mut self, content: &[u8]) -> Vec<u8> {
        let encrypt = || self.group.encrypt_application_message(content, Vec::new()).unwrap().to_bytes().unwrap();
        S::during(&self.provider, encrypt)
    }

    fn decrypt(&mut self, message: &[u8]) -> usize {
        let message = MlsMessage::from_bytes(message).unwrap();
        let Ok(ReceivedMessage::ApplicationMessage(message)) = self.group.process_incoming_message(message) else {
            panic!()
        };
        message.data().len()
    }

    fn store(&mut self) -> Option<usize> {
        None
    }
}
