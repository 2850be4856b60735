//! Ours: whole entries for the log, with everything that a member checks.

use std::cell::RefCell;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::group::{
    Change, Group, GroupEngine, GroupPolicy, GroupWelcome, KeyPackage, KeyPackageSecret, Received, Role, Suite,
};
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::kind::{Body, Chat, Content, MessageId, ReceiptsWanted, Urgency};
use rand_core::{Rng, SeedableRng};

use crate::Member;

const NOW: u64 = 1_790_000_000;

thread_local! {
    static RNG: RefCell<ChaCha20Rng> = RefCell::new(ChaCha20Rng::from_seed([1; 32]));
}

pub(crate) fn rng() -> ChaCha20Rng {
    let mut seed = [0; 32];
    RNG.with_borrow_mut(|rng| rng.fill_bytes(&mut seed));
    ChaCha20Rng::from_seed(seed)
}

struct Account {
    statement: Statement,
    keys: DeviceSecretKeys,
}

impl Account {
    fn new() -> Self {
        let rng = &mut rng();
        let address: Address = format!("m{:016x}@bench.example", rng.next_u64()).parse().unwrap();
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
        fallback_text: String::new(),
        attachments: Vec::new(),
        body_blob: None,
        sender_statement_version: 1,
        body,
    }
}

/// A member, on either suite.
struct Ours(Group);

impl Ours {
    fn packages(suite: Suite, number: usize) -> (Vec<KeyPackage>, (Account, KeyPackageSecret)) {
        let mut first = None;
        let packages = (0..number)
            .map(|_| {
                let account = Account::new();
                let made = account.engine().key_package(suite, NOW, &mut rng()).unwrap();
                let package = KeyPackage::verify(&made.key_package, suite, &account.statement, NOW).unwrap();
                first.get_or_insert((account, made.secret));
                package
            })
            .collect();
        (packages, first.unwrap())
    }

    fn create(suite: Suite, packages: &[KeyPackage]) -> (Self, GroupWelcome) {
        let account = Account::new();
        let key = *account.statement.account_key().as_bytes();
        let mut policy = GroupPolicy::new("bench", account.statement.address(), key, "bench.example");
        for package in packages {
            policy.set(package.address(), package.account_key(), Role::Member);
        }
        let rng = &mut rng();
        let mut group = account.engine().create(suite, &policy, NOW, rng).unwrap();
        let change = Change { add: packages.to_vec(), ..Change::default() };
        let prepared = group.prepare_commit(&change, rng).unwrap();
        group.adopt_commit().unwrap();
        (Self(group), prepared.invitation.unwrap())
    }

    fn commit(&mut self, change: &Change) -> Vec<u8> {
        let prepared = self.0.prepare_commit(change, &mut rng()).unwrap();
        self.0.adopt_commit().unwrap();
        prepared.entry.entry
    }

    fn add(&mut self, package: &KeyPackage) -> Vec<u8> {
        let mut policy = (*self.0.policy().unwrap()).clone();
        policy.set(package.address(), package.account_key(), Role::Member);
        self.commit(&Change { add: vec![package.clone()], policy: Some(policy), ..Change::default() })
    }

    fn remove(&mut self) -> Vec<u8> {
        let last = self.0.members().unwrap().pop().unwrap();
        let mut policy = (*self.0.policy().unwrap()).clone();
        policy.remove(&last.address);
        self.commit(&Change { remove: vec![last.leaf], policy: Some(policy), ..Change::default() })
    }

    fn receive(&mut self, commit: &[u8]) {
        let epoch = self.0.epoch();
        assert!(matches!(self.0.process(commit, epoch, true), Ok(Received::Epoch(_))));
    }

    /// A chat message with this text: what a client does before it encrypts is timed with it.
    fn encrypt(&mut self, text: &[u8]) -> Vec<u8> {
        let content = chat(std::str::from_utf8(text).unwrap());
        self.0.encrypt(&content.encode().unwrap(), &mut rng()).unwrap().entry.entry
    }

    fn decrypt(&mut self, message: &[u8]) -> usize {
        let epoch = self.0.epoch();
        let Ok(Received::Message { content, .. }) = self.0.process(message, epoch, false) else { panic!() };
        let Body::Chat(Chat::Text { text }) = &content.body else { panic!() };
        text.len()
    }
}

macro_rules! suite {
    ($(#[$documentation:meta])* $name:ident, $text:literal) => {
        $(#[$documentation])*
        pub(crate) struct $name(Ours);

        impl Member for $name {
            const NAME: &'static str = $text;
            type Package = KeyPackage;
            type Joiner = (AccountOf, KeyPackageSecret);
            type Invitation = GroupWelcome;

            fn packages(number: usize) -> (Vec<KeyPackage>, Self::Joiner) {
                let (packages, (account, secret)) = Ours::packages(Suite::$name, number);
                (packages, (AccountOf(account), secret))
            }

            fn create(packages: &[KeyPackage]) -> (Self, GroupWelcome) {
                let (group, invitation) = Ours::create(Suite::$name, packages);
                (Self(group), invitation)
            }

            fn join(joiner: Self::Joiner, invitation: &GroupWelcome) -> Self {
                Self(Ours(joiner.0.0.engine().join(invitation, &joiner.1).unwrap()))
            }

            fn add(&mut self, package: &KeyPackage) -> Vec<u8> {
                self.0.add(package)
            }

            fn remove(&mut self) -> Vec<u8> {
                self.0.remove()
            }

            fn update(&mut self) -> Vec<u8> {
                self.0.commit(&Change::default())
            }

            fn receive(&mut self, commit: &[u8]) {
                self.0.receive(commit);
            }

            fn encrypt(&mut self, content: &[u8]) -> Vec<u8> {
                self.0.encrypt(content)
            }

            fn decrypt(&mut self, message: &[u8]) -> usize {
                self.0.decrypt(message)
            }

            fn store(&mut self) -> Option<usize> {
                Some(self.0.0.save().unwrap().bytes())
            }
        }
    };
}

/// Who can join with the first key package.
pub(crate) struct AccountOf(Account);

suite! {
    /// On 0x0003.
    Classical, "classical"
}
suite! {
    /// On 0x004D.
    PostQuantum, "pq"
}
