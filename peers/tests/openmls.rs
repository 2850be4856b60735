//! Groups beside OpenMLS, another implementation of RFC 9420: its members and ours in one group of suite 0x0003, each
//! processing what the other makes. The wrapping of log entries is written here once more, from `spec/group.md`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::time::{SystemTime, UNIX_EPOCH};

use chacha20::ChaCha20Rng;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::Signer as _;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::franking;
use medipeps_core::group::{
    Change, EncryptedMessage, Group, GroupEngine, GroupEntry, GroupPolicy, GroupWelcome, KeyPackage, Received, Role,
    Suite,
};
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::kind::{Body, Chat, Content, MessageId, ReceiptsWanted, Urgency};
use openmls::prelude::tls_codec::{Deserialize, Serialize};
use openmls::prelude::{
    Capabilities, Ciphersuite, Credential, CredentialType, CredentialWithKey, ExtensionType, LeafNodeIndex,
    LeafNodeParameters, Lifetime, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent, RatchetTreeIn, StagedWelcome,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rand_core::{Rng, SeedableRng};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
/// The numbers of the credential and of the policy extension.
const PRIVATE_TYPE: u16 = 0xf001;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct Account {
    statement: Statement,
    keys: DeviceSecretKeys,
}

impl Account {
    fn new(name: &str, rng: &mut ChaCha20Rng) -> Self {
        let address: Address = format!("{name}@clinic.example").parse().unwrap();
        let account_key = SigningKey::random(rng);
        let keys = DeviceSecretKeys::random(rng);
        let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: [0; 32],
            previous: None,
            devices: vec![device],
            issued: 1,
        };
        Self { statement: statement.sign(&account_key).unwrap(), keys }
    }

    fn engine(&self) -> GroupEngine<'_> {
        GroupEngine { certificate: self.statement.device(1).unwrap(), signing_key: &self.keys.signing_key }
    }
}

/// Signs for OpenMLS with a device's key.
struct DeviceSigner(ed25519_dalek::SigningKey);

impl Signer for DeviceSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A device whose client is OpenMLS.
struct OpenMember {
    provider: OpenMlsRustCrypto,
    signer: DeviceSigner,
    credential: CredentialWithKey,
    group: Option<MlsGroup>,
    log_id: [u8; 32],
    rng: ChaCha20Rng,
}

impl OpenMember {
    fn new(account: &Account) -> Self {
        let certificate = account.statement.device(1).unwrap();
        let key = certificate.keys().signing_key;
        let credential = Credential::new(CredentialType::Other(PRIVATE_TYPE), certificate.signed().encode());
        Self {
            provider: OpenMlsRustCrypto::default(),
            signer: DeviceSigner(ed25519_dalek::SigningKey::from_bytes(
                account.keys.signing_key.to_secret().as_bytes(),
            )),
            credential: CredentialWithKey { credential, signature_key: key.as_bytes().as_slice().into() },
            group: None,
            log_id: [0; 32],
            rng: ChaCha20Rng::from_seed([9; 32]),
        }
    }

    fn key_package(&self) -> Vec<u8> {
        let capabilities = Capabilities::new(
            None,
            Some(&[SUITE]),
            Some(&[ExtensionType::Unknown(PRIVATE_TYPE)]),
            None,
            Some(&[CredentialType::Other(PRIVATE_TYPE)]),
        );
        let bundle = openmls::prelude::KeyPackage::builder()
            .leaf_node_capabilities(capabilities)
            .key_package_lifetime(Lifetime::new(30 * 86_400))
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())
            .unwrap();
        MlsMessageOut::from(bundle.key_package().clone()).tls_serialize_detached().unwrap()
    }

    fn join(&mut self, invitation: &GroupWelcome, log_id: [u8; 32]) {
        let message = MlsMessageIn::tls_deserialize_exact(&invitation.welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { panic!("not a Welcome") };
        let tree = RatchetTreeIn::tls_deserialize_exact(&invitation.tree).unwrap();
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(false)
            .build();
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, Some(tree)).unwrap();
        self.group = Some(staged.into_group(&self.provider).unwrap());
        self.log_id = log_id;
    }

    fn group(&mut self) -> &mut MlsGroup {
        self.group.as_mut().unwrap()
    }

    fn export(&self, label: &str) -> Vec<u8> {
        self.group.as_ref().unwrap().export_secret(self.provider.crypto(), label, &[], 32).unwrap()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.export("Medipeps group outer key").as_slice().try_into().unwrap())
    }

    fn associated_data(&self) -> Vec<u8> {
        let epoch = self.group.as_ref().unwrap().epoch().as_u64();
        let label = b"Medipeps group entry";
        [&[label.len() as u8][..], label, &self.log_id, &epoch.to_be_bytes()].concat()
    }

    fn wrap(&mut self, message: &MlsMessageOut) -> GroupEntry {
        let epoch = self.group().epoch().as_u64();
        let message = message.tls_serialize_detached().unwrap();
        let mut plaintext = (message.len() as u32).to_be_bytes().to_vec();
        plaintext.extend_from_slice(&message);
        let size = [4096, 8192, 16384, 32768, 65536].into_iter().find(|size| plaintext.len() + 40 <= *size).unwrap();
        plaintext.resize(size - 40, 0);
        let mut nonce = [0; 24];
        self.rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: &plaintext, aad: &self.associated_data() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).unwrap();
        GroupEntry { epoch, entry: [&nonce[..], &sealed].concat() }
    }

    fn unwrap(&self, entry: &[u8]) -> MlsMessageIn {
        let (nonce, sealed) = entry.split_first_chunk::<24>().unwrap();
        let payload = Payload { msg: sealed, aad: &self.associated_data() };
        let plaintext = self.cipher().decrypt(&XNonce::from(*nonce), payload).unwrap();
        let length = u32::from_be_bytes(plaintext[..4].try_into().unwrap()) as usize;
        MlsMessageIn::tls_deserialize_exact(&plaintext[4..4 + length]).unwrap()
    }

    /// What an application message says, and what lies beside it; commits are merged.
    fn process(&mut self, entry: &GroupEntry) -> Option<(Vec<u8>, Vec<u8>)> {
        let message = self.unwrap(&entry.entry).try_into_protocol_message().unwrap();
        let group = self.group.as_mut().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        let beside = processed.aad().to_vec();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => Some((message.into_bytes(), beside)),
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&self.provider, *commit).unwrap();
                None
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                group.store_pending_proposal(self.provider.storage(), *proposal).unwrap();
                None
            }
            _ => panic!("neither message, proposal nor commit"),
        }
    }

    fn say(&mut self, text: &str) -> GroupEntry {
        let group = self.group.as_mut().unwrap();
        group.set_aad(self.log_id.to_vec());
        let message = group.create_message(&self.provider, &self.signer, &chat(text).encode().unwrap()).unwrap();
        self.wrap(&message)
    }

    /// A commit that updates this device's keys, wrapped in the epoch that it closes, and merged.
    fn update(&mut self) -> GroupEntry {
        let group = self.group.as_mut().unwrap();
        let commit = group.self_update(&self.provider, &self.signer, LeafNodeParameters::default()).unwrap();
        let entry = self.wrap(commit.commit());
        let group = self.group.as_mut().unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        entry
    }

    fn remove(&mut self, leaf: u32) -> GroupEntry {
        let group = self.group.as_mut().unwrap();
        let (commit, _, _) = group.remove_members(&self.provider, &self.signer, &[LeafNodeIndex::new(leaf)]).unwrap();
        let entry = self.wrap(&commit);
        self.group.as_mut().unwrap().merge_pending_commit(&self.provider).unwrap();
        entry
    }
}

/// A chat message, as a client makes it.
fn chat(text: &str) -> Content {
    let body = Body::Chat(Chat::Text { text: text.to_owned() });
    Content {
        id: MessageId([1; 16]),
        thread: MessageId([2; 16]),
        in_reply_to: None,
        replaces: None,
        created: 1_790_000_000_000,
        expires: None,
        urgency: Urgency::Routine,
        sender_name: String::new(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: text.to_owned(),
        attachments: Vec::new(),
        body_blob: None,
        sender_statement_version: 1,
        body,
    }
}

/// Somebody says it, and it can be reported: whoever signed it, the signature is over what the specification has.
fn says(group: &mut Group, entry: &GroupEntry, text: &str, sender: &Account) {
    let received = group.process(&entry.entry, entry.epoch, false).unwrap();
    let Received::Message { sender: from, content, franked, .. } = received else { panic!("{received:?}") };
    assert_eq!(content.fallback_text, text);
    assert_eq!(from.address, *sender.statement.address());
    let key = sender.statement.device(1).unwrap().keys().signing_key;
    let reported = franking::open(&franked.bytes, &franked.proof, &group.log_id(), &key).unwrap();
    assert_eq!((reported.content, reported.epoch), (*content, entry.epoch));
}

/// The two agree on the epoch, its keys, and who is in the group.
fn agree(ours: &Group, theirs: &OpenMember) {
    let group = theirs.group.as_ref().unwrap();
    assert_eq!(ours.epoch(), group.epoch().as_u64());
    let seed: [u8; 32] = theirs.export("Medipeps group access key").try_into().unwrap();
    let access = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    assert_eq!(ours.keys().access_key().verifying_key().as_bytes(), access.as_bytes());
    let leaves: Vec<u32> = ours.members().unwrap().iter().map(|member| member.leaf).collect();
    assert_eq!(leaves, group.members().map(|member| member.index.u32()).collect::<Vec<_>>());
}

#[test]
fn members_of_both_implementations_share_a_group() {
    let rng = &mut ChaCha20Rng::from_seed([1; 32]);
    let [claire, karim, anne, omar] = ["claire", "karim", "anne", "omar"].map(|name| Account::new(name, rng));
    let mut policy = GroupPolicy::new(
        "Ward 3",
        claire.statement.address(),
        *claire.statement.account_key().as_bytes(),
        "clinic.example",
    );
    for account in [&karim, &anne, &omar] {
        policy.set(account.statement.address(), *account.statement.account_key().as_bytes(), Role::Owner);
    }
    let mut ours = claire.engine().create(Suite::Classical, &policy, now(), rng).unwrap();
    let mut theirs = [OpenMember::new(&karim), OpenMember::new(&omar)];

    // Ours adds both of theirs and one more of ours; all come by one Welcome.
    let annes = anne.engine().key_package(Suite::Classical, now(), rng).unwrap();
    let packages = [(theirs[0].key_package(), &karim), (annes.key_package, &anne), (theirs[1].key_package(), &omar)];
    let add = packages
        .iter()
        .map(|(package, account)| KeyPackage::verify(package, Suite::Classical, &account.statement, now()).unwrap())
        .collect();
    let prepared = ours.prepare_commit(&Change { add, ..Change::default() }, rng).unwrap();
    ours.adopt_commit().unwrap();
    let invitation = prepared.invitation.unwrap();
    let mut annes = anne.engine().join(&invitation, &annes.secret).unwrap();
    for member in &mut theirs {
        member.join(&invitation, ours.log_id());
        agree(&ours, member);
    }

    for round in 0..6_u32 {
        // A message from each, read by all others.
        let text = format!("from Claire in round {round}");
        let said = chat(&text).encode().unwrap();
        let EncryptedMessage { entry, proof } = ours.encrypt(&said, rng).unwrap();
        let key = claire.keys.signing_key.verifying_key();
        assert_eq!(franking::open(&said, &proof, &ours.log_id(), &key).unwrap().content.fallback_text, text);
        says(&mut annes, &entry, &text, &claire);
        for member in &mut theirs {
            assert!(member.process(&entry).unwrap() == (said.to_vec(), ours.log_id().to_vec()));
        }
        for (sender, account) in [(0, &karim), (1, &omar)] {
            let text = format!("from OpenMLS {sender} in round {round}");
            let entry = theirs[sender].say(&text);
            for group in [&mut ours, &mut annes] {
                says(group, &entry, &text, account);
            }
            let read = theirs[1 - sender].process(&entry).unwrap();
            assert_eq!(Content::decode(&read.0).unwrap().fallback_text, text);
        }
        // A commit, from ours and theirs by turns.
        if round % 2 == 0 {
            let prepared = ours.prepare_commit(&Change::default(), rng).unwrap();
            for member in &mut theirs {
                assert!(member.process(&prepared.entry).is_none());
            }
            ours.adopt_commit().unwrap();
            annes.process(&prepared.entry.entry, prepared.entry.epoch, true).unwrap();
        } else {
            let committer = round as usize / 2 % 2;
            let entry = theirs[committer].update();
            for group in [&mut ours, &mut annes] {
                let received = group.process(&entry.entry, entry.epoch, true).unwrap();
                assert!(matches!(received, Received::Epoch(_)));
            }
            assert!(theirs[1 - committer].process(&entry).is_none());
        }
        for member in &theirs {
            agree(&ours, member);
            agree(&annes, member);
        }
    }

    // Theirs carries out a proposal of ours: Anne leaves. Then ours removes one of theirs.
    let leaving = annes.leave(rng).unwrap();
    ours.process(&leaving.entry, leaving.epoch, false).unwrap();
    for member in &mut theirs {
        assert!(member.process(&leaving).is_none());
    }
    let entry = theirs[0].update();
    assert!(theirs[1].process(&entry).is_none());
    let received = ours.process(&entry.entry, entry.epoch, true).unwrap();
    assert!(matches!(received, Received::Epoch(change) if change.removed.len() == 1));
    assert!(
        matches!(annes.process(&entry.entry, entry.epoch, true), Ok(Received::Epoch(change)) if change.removed_self)
    );
    let omars = ours.leaves_of(omar.statement.address()).unwrap()[0].leaf;
    let entry = theirs[0].remove(omars);
    ours.process(&entry.entry, entry.epoch, true).unwrap();
    agree(&ours, &theirs[0]);
    let entry = theirs[0].say("the two of us");
    says(&mut ours, &entry, "the two of us", &karim);
}
