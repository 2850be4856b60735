//! OpenMLS with its RustCrypto provider, basic credentials and its store in memory.

use ed25519_dalek::Signer as _;
use openmls::prelude::tls_codec::{Deserialize, Serialize};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage, LeafNodeParameters, MlsGroup, MlsGroupCreateConfig,
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider, OpenMlsRand,
    PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent, RatchetTreeIn, StagedWelcome,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use crate::Member;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

struct Key(ed25519_dalek::SigningKey);

impl Signer for Key {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Who is not in a group yet.
pub(crate) struct Person {
    provider: OpenMlsRustCrypto,
    key: Key,
    credential: CredentialWithKey,
}

impl Person {
    fn new() -> Self {
        let provider = OpenMlsRustCrypto::default();
        let seed: [u8; 32] = provider.rand().random_array().unwrap();
        let key = Key(ed25519_dalek::SigningKey::from_bytes(&seed));
        let credential = CredentialWithKey {
            credential: BasicCredential::new(seed[..16].to_vec()).into(),
            signature_key: key.0.verifying_key().as_bytes().as_slice().into(),
        };
        Self { provider, key, credential }
    }
}

/// A member.
pub(crate) struct OpenMls {
    person: Person,
    group: MlsGroup,
}

impl Member for OpenMls {
    const NAME: &'static str = "openmls";
    type Package = KeyPackage;
    type Joiner = Person;
    type Invitation = (Vec<u8>, Vec<u8>);

    fn packages(number: usize) -> (Vec<KeyPackage>, Person) {
        let mut first = None;
        let packages = (0..number)
            .map(|_| {
                let person = Person::new();
                let bundle = KeyPackage::builder()
                    .build(SUITE, &person.provider, &person.key, person.credential.clone())
                    .unwrap();
                first.get_or_insert(person);
                bundle.key_package().clone()
            })
            .collect();
        (packages, first.unwrap())
    }

    fn create(packages: &[KeyPackage]) -> (Self, Self::Invitation) {
        let person = Person::new();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(false)
            .build();
        let mut group = MlsGroup::new(&person.provider, &person.key, &config, person.credential.clone()).unwrap();
        let (_, welcome, _) = group.add_members(&person.provider, &person.key, packages).unwrap();
        group.merge_pending_commit(&person.provider).unwrap();
        let tree = group.export_ratchet_tree().tls_serialize_detached().unwrap();
        (Self { person, group }, (welcome.tls_serialize_detached().unwrap(), tree))
    }

    fn join(person: Person, (welcome, tree): &Self::Invitation) -> Self {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { panic!() };
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(false)
            .build();
        let staged = StagedWelcome::new_from_welcome(&person.provider, &config, welcome, Some(tree)).unwrap();
        let group = staged.into_group(&person.provider).unwrap();
        Self { person, group }
    }

    fn add(&mut self, package: &KeyPackage) -> Vec<u8> {
        let Person { provider, key, .. } = &self.person;
        let (commit, _, _) = self.group.add_members(provider, key, std::slice::from_ref(package)).unwrap();
        self.group.merge_pending_commit(provider).unwrap();
        commit.tls_serialize_detached().unwrap()
    }

    fn remove(&mut self) -> Vec<u8> {
        let Person { provider, key, .. } = &self.person;
        let last = self.group.members().last().unwrap().index;
        let (commit, _, _) = self.group.remove_members(provider, key, &[last]).unwrap();
        self.group.merge_pending_commit(provider).unwrap();
        commit.tls_serialize_detached().unwrap()
    }

    fn update(&mut self) -> Vec<u8> {
        let Person { provider, key, .. } = &self.person;
        let commit = self.group.self_update(provider, key, LeafNodeParameters::default()).unwrap();
        self.group.merge_pending_commit(provider).unwrap();
        commit.commit().tls_serialize_detached().unwrap()
    }

    fn receive(&mut self, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact(commit).unwrap().try_into_protocol_message().unwrap();
        let provider = &self.person.provider;
        let processed = self.group.process_message(provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(commit) = processed.into_content() else { panic!() };
        self.group.merge_staged_commit(provider, *commit).unwrap();
    }

    fn encrypt(&mut self, content: &[u8]) -> Vec<u8> {
        let Person { provider, key, .. } = &self.person;
        self.group.create_message(provider, key, content).unwrap().tls_serialize_detached().unwrap()
    }

    fn decrypt(&mut self, message: &[u8]) -> usize {
        let message = MlsMessageIn::tls_deserialize_exact(message).unwrap().try_into_protocol_message().unwrap();
        let processed = self.group.process_message(&self.person.provider, message).unwrap();
        let ProcessedMessageContent::ApplicationMessage(message) = processed.into_content() else { panic!() };
        message.into_bytes().len()
    }

    fn store(&mut self) -> Option<usize> {
        None
    }
}
