//! The same library with its own RustCrypto provider, basic credentials and no rules.

use mls_rs::client_builder::{BaseConfig, PaddingMode, WithCryptoProvider, WithIdentityProvider, WithMlsRules};
use mls_rs::group::{ExportedTree, ReceivedMessage};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use crate::Member;

const SUITE: CipherSuite = CipherSuite::CURVE25519_CHACHA;

type Config = WithMlsRules<
    DefaultMlsRules,
    WithCryptoProvider<RustCryptoProvider, WithIdentityProvider<BasicIdentityProvider, BaseConfig>>,
>;

fn client() -> Client<Config> {
    let suite = RustCryptoProvider::default().cipher_suite_provider(SUITE).unwrap();
    let (secret, public) = suite.signature_key_generate().unwrap();
    let name = suite.random_bytes_vec(16).unwrap();
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_ratchet_tree_extension(false))
        .with_encryption_options(EncryptionOptions::new(true, PaddingMode::None));
    Client::builder()
        .identity_provider(BasicIdentityProvider::new())
        .crypto_provider(RustCryptoProvider::default())
        .mls_rules(rules)
        .signing_identity(SigningIdentity::new(BasicCredential::new(name).into_credential(), public), secret, SUITE)
        .build()
}

/// A member.
pub(crate) struct MlsRs(Group<Config>);

impl MlsRs {
    fn commit(&mut self, add: Option<&MlsMessage>, remove: Option<u32>) -> Vec<u8> {
        let mut builder = self.0.commit_builder();
        if let Some(package) = add {
            builder = builder.add_member(package.clone()).unwrap();
        }
        if let Some(leaf) = remove {
            builder = builder.remove_member(leaf).unwrap();
        }
        let output = builder.build().unwrap();
        self.0.apply_pending_commit().unwrap();
        output.commit_message.to_bytes().unwrap()
    }
}

impl Member for MlsRs {
    const NAME: &'static str = "mls-rs";
    type Package = MlsMessage;
    type Joiner = Client<Config>;
    type Invitation = (Vec<u8>, Vec<u8>);

    fn packages(number: usize) -> (Vec<MlsMessage>, Client<Config>) {
        let mut first = None;
        let packages = (0..number)
            .map(|_| {
                let client = client();
                let package =
                    client.generate_key_package_message(Default::default(), Default::default(), None).unwrap();
                first.get_or_insert(client);
                package
            })
            .collect();
        (packages, first.unwrap())
    }

    fn create(packages: &[MlsMessage]) -> (Self, Self::Invitation) {
        let mut group = client().create_group(Default::default(), Default::default(), None).unwrap();
        let mut builder = group.commit_builder();
        for package in packages {
            builder = builder.add_member(package.clone()).unwrap();
        }
        let output = builder.build().unwrap();
        group.apply_pending_commit().unwrap();
        let tree = output.ratchet_tree.unwrap().to_bytes().unwrap();
        (Self(group), (output.welcome_messages[0].to_bytes().unwrap(), tree))
    }

    fn join(joiner: Client<Config>, (welcome, tree): &Self::Invitation) -> Self {
        let tree = ExportedTree::from_bytes(tree).unwrap();
        let welcome = MlsMessage::from_bytes(welcome).unwrap();
        Self(joiner.join_group(Some(tree), &welcome, None).unwrap().0)
    }

    fn add(&mut self, package: &MlsMessage) -> Vec<u8> {
        self.commit(Some(package), None)
    }

    fn remove(&mut self) -> Vec<u8> {
        let last = self.0.roster().members_iter().last().unwrap().index;
        self.commit(None, Some(last))
    }

    fn update(&mut self) -> Vec<u8> {
        self.commit(None, None)
    }

    fn receive(&mut self, commit: &[u8]) {
        let message = MlsMessage::from_bytes(commit).unwrap();
        assert!(matches!(self.0.process_incoming_message(message), Ok(ReceivedMessage::Commit(_))));
    }

    fn encrypt(&mut self, content: &[u8]) -> Vec<u8> {
        self.0.encrypt_application_message(content, Vec::new()).unwrap().to_bytes().unwrap()
    }

    fn decrypt(&mut self, message: &[u8]) -> usize {
        let message = MlsMessage::from_bytes(message).unwrap();
        let Ok(ReceivedMessage::ApplicationMessage(message)) = self.0.process_incoming_message(message) else {
            panic!()
        };
        message.data().len()
    }

    fn store(&mut self) -> Option<usize> {
        None
    }
}
