//! Groups from end to end, without a server: a log in memory that compares and sets.

mod franking;
mod hard_cases;
mod large;
mod life;
mod rest;
mod rogue;
mod rules;
mod schedule;
mod signals;

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::*;
use crate::Address;
use crate::crypto::signature::SigningKey;
use crate::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use crate::kind::test_content::content;
use crate::kind::{Body, Chat, Content};

pub(super) const NOW: u64 = 1_790_000_000;

/// An account and all that its devices know.
pub(super) struct Account {
    pub(super) statement: Statement,
    pub(super) devices: Vec<DeviceSecretKeys>,
}

impl Account {
    pub(super) fn new(name: &str, devices: u32, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let rng = &mut ChaCha20Rng::from_seed(bytes);
        let address: Address = format!("{name}@clinic.example").parse().unwrap();
        let (account_key, recovery_key) = (SigningKey::random(rng), SigningKey::random(rng));
        let keys: Vec<_> = (0..devices).map(|_| DeviceSecretKeys::random(rng)).collect();
        let certificate = |number: usize, keys: &DeviceSecretKeys| {
            let id = u32::try_from(number).unwrap() + 1;
            DeviceCertificate::issue(&account_key, &address, id, &keys.public_keys(), id == 1, NOW)
        };
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
            previous: None,
            devices: keys.iter().enumerate().map(|(number, keys)| certificate(number, keys)).collect(),
            issued: NOW,
        }
        .sign(&account_key)
        .unwrap();
        Self { statement, devices: keys }
    }

    pub(super) fn address(&self) -> &Address {
        self.statement.address()
    }

    pub(super) fn key(&self) -> RosterKey {
        *self.statement.account_key().as_bytes()
    }

    /// The engine of a device, 1 and up.
    pub(super) fn engine(&self, device: u32) -> GroupEngine<'_> {
        GroupEngine {
            certificate: self.statement.device(device).unwrap(),
            signing_key: &self.devices[device as usize - 1].signing_key,
        }
    }

    pub(super) fn policy(&self, others: &[(&Self, Role)]) -> GroupPolicy {
        let mut policy = GroupPolicy::new("Ward 3", self.address(), self.key(), "clinic.example");
        for (account, role) in others {
            policy.set(account.address(), account.key(), *role);
        }
        policy
    }

    pub(super) fn key_package(
        &self,
        device: u32,
        suite: Suite,
        rng: &mut ChaCha20Rng,
    ) -> (KeyPackage, KeyPackageSecret) {
        let made = self.engine(device).key_package(suite, NOW, rng).unwrap();
        let record = made.secret.encode();
        let package = KeyPackage::verify(&made.key_package, suite, &self.statement, NOW + 60).unwrap();
        (package, KeyPackageSecret::decode(&record).unwrap())
    }
}

/// What the server keeps of a group.
#[derive(Default)]
pub(super) struct Log {
    pub(super) epoch: u64,
    pub(super) entries: Vec<(u64, Vec<u8>, bool)>,
}

impl Log {
    /// Compare and set, as the server does.
    pub(super) fn append(&mut self, entry: &GroupEntry, closes: bool) -> bool {
        if entry.epoch != self.epoch {
            return false;
        }
        self.entries.push((entry.epoch, entry.entry.clone(), closes));
        self.epoch += u64::from(closes);
        true
    }
}

/// A member and how far he has read.
pub(super) struct Reader {
    pub(super) group: Group,
    pub(super) read: usize,
}

impl Reader {
    pub(super) fn at(group: Group, log: &Log) -> Self {
        Self { group, read: log.entries.len() }
    }

    /// Reads the log to its end.
    pub(super) fn catch_up(&mut self, log: &Log) -> Vec<Result<Received, GroupError>> {
        let mut received = Vec::new();
        for (epoch, entry, closes) in &log.entries[self.read..] {
            received.push(self.group.process(entry, *epoch, *closes));
        }
        self.read = log.entries.len();
        received
    }

    /// The same, of a log in which everything is good; texts only.
    pub(super) fn texts(&mut self, log: &Log) -> Vec<String> {
        let text = |received| match received {
            Received::Message { content, .. } => Some(text_of(&content).to_owned()),
            _ => None,
        };
        self.catch_up(log).into_iter().filter_map(|received| text(received.unwrap())).collect()
    }
}

/// A store that does as it is told.
#[derive(Default, Clone)]
pub(super) struct Store {
    pub(super) manifest: Zeroizing<Vec<u8>>,
    pub(super) pages: BTreeMap<u32, Zeroizing<Vec<u8>>>,
    pub(super) written: usize,
}

impl Store {
    pub(super) fn save(&mut self, group: &mut Group) {
        let changes = group.save().unwrap();
        self.written += changes.bytes();
        self.manifest = changes.manifest;
        self.pages.extend(changes.pages);
        for number in changes.removed {
            assert!(self.pages.remove(&number).is_some());
        }
    }

    pub(super) fn load(&self, engine: &GroupEngine<'_>) -> Result<Group, GroupError> {
        assert_eq!(stored_pages(&self.manifest).unwrap(), self.pages.keys().copied().collect::<Vec<_>>());
        engine.load(&self.manifest, |number| self.pages.get(&number).cloned())
    }
}

/// A group that the first account created, with the first device of each of the others in it, all at the log's end.
pub(super) fn group_of(
    suite: Suite,
    owner: &Account,
    others: &[(&Account, Role)],
    rng: &mut ChaCha20Rng,
) -> (Log, Vec<Reader>) {
    let mut log = Log::default();
    let mut group = owner.engine(1).create(suite, &owner.policy(others), NOW, rng).unwrap();
    let (packages, secrets): (Vec<_>, Vec<_>) =
        others.iter().map(|(account, _)| account.key_package(1, suite, rng)).unzip();
    let change = Change { add: packages, ..Change::default() };
    let prepared = group.prepare_commit(&change, rng).unwrap();
    assert!(log.append(&prepared.entry, true));
    group.adopt_commit().unwrap();
    assert_eq!(group.keys().access_key().verifying_key(), prepared.next_access_key);
    let mut readers = vec![Reader::at(group, &log)];
    for ((account, _), secret) in others.iter().zip(secrets) {
        let group = account.engine(1).join(prepared.invitation.as_ref().unwrap(), &secret).unwrap();
        readers.push(Reader::at(group, &log));
    }
    (log, readers)
}

/// Lets one reader commit, and all read it.
pub(super) fn commit(
    log: &mut Log,
    readers: &mut [Reader],
    committer: usize,
    change: &Change,
    rng: &mut ChaCha20Rng,
) -> PreparedCommit {
    let prepared = readers[committer].group.prepare_commit(change, rng).unwrap();
    assert!(log.append(&prepared.entry, true));
    for reader in readers {
        for received in reader.catch_up(log) {
            received.unwrap();
        }
    }
    prepared
}

/// A text, as it is encrypted.
pub(super) fn encoded(text: &str) -> Zeroizing<Vec<u8>> {
    content(Body::Chat(Chat::Text { text: text.to_owned() })).encode().unwrap()
}

/// A text, as its sender's device puts it into a group.
pub(super) fn encrypted(group: &mut Group, text: &str, rng: &mut ChaCha20Rng) -> Result<GroupEntry, GroupError> {
    Ok(group.encrypt(&encoded(text), rng)?.entry)
}

/// What it says.
pub(super) fn text_of(content: &Content) -> &str {
    match &content.body {
        Body::Chat(Chat::Text { text }) => text,
        other => panic!("{other:?}"),
    }
}

/// Encrypts, stores nothing, and appends.
pub(super) fn say(log: &mut Log, reader: &mut Reader, text: &str, rng: &mut ChaCha20Rng) {
    let entry = encrypted(&mut reader.group, text, rng).unwrap();
    assert!(log.append(&entry, false));
}
