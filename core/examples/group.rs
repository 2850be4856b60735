//! A ward's group: Claire creates it, adds Karim while he is away, both write, keys are renewed, Karim is removed:
//! `cargo run --package medipeps-core --example group`.

use std::collections::BTreeMap;
use std::error::Error;

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::group::{
    Change, Group, GroupChanges, GroupEngine, GroupError, GroupPolicy, KeyPackage, Received, Role, Suite, stored_pages,
};
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use medipeps_core::kind::{Body, Chat, Content, MessageId, ReceiptsWanted, Urgency};
use rand_core::SeedableRng;
use zeroize::Zeroizing;

/// An account with one device.
struct Person {
    statement: Statement,
    keys: DeviceSecretKeys,
}

/// What the device keeps of one group: the manifest and its pages.
#[derive(Default)]
struct Store {
    manifest: Zeroizing<Vec<u8>>,
    pages: BTreeMap<u32, Zeroizing<Vec<u8>>>,
}

/// The log of one group at a server: entries with their epoch, and whether they closed it.
#[derive(Default)]
struct Log {
    epoch: u64,
    entries: Vec<(u64, Vec<u8>, bool)>,
}

/// Runs the example.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // A client seeds with 32 bytes of the operating system for each step.
    let rng = &mut ChaCha20Rng::from_seed([7; 32]);
    let now = 1_790_000_000;
    let (claire, karim) = (Person::new("claire@clinic.example", rng)?, Person::new("karim@clinic.example", rng)?);

    // Karim publishes a key package and keeps its private half; then he is away.
    let package = karim.engine()?.key_package(Suite::PostQuantum, now, rng)?;

    // Claire creates the group: its name, who is in it and what they may do. All members hold each other to it.
    let address = claire.statement.address();
    let mut policy = GroupPolicy::new("Ward 3", address, *claire.statement.account_key().as_bytes(), "clinic.example");
    policy.set(karim.statement.address(), *karim.statement.account_key().as_bytes(), Role::Member);
    let mut at_claire = claire.engine()?.create(Suite::PostQuantum, &policy, now, rng)?;
    // A server knows the log by the hash of its first access key, and nothing else of the group.
    let (mut log, mut claires_store) = (Log::default(), Store::default());

    // She adds him. The commit is stored, appended, and adopted when the server has taken it; then the invitation leaves.
    let checked = KeyPackage::verify(&package.key_package, Suite::PostQuantum, &karim.statement, now)?;
    let prepared = at_claire.prepare_commit(&Change { add: vec![checked], ..Change::default() }, rng)?;
    claires_store.write(at_claire.save()?);
    assert!(log.append(prepared.entry.epoch, prepared.entry.entry, true));
    at_claire.adopt_commit()?;
    claires_store.write(at_claire.save()?);

    // Karim is back. The private half goes in the transaction that stores the group: the invitation opens once.
    let invitation = prepared.invitation.ok_or("a commit that adds has an invitation")?;
    assert_eq!(invitation.key_packages()?, [package.secret.reference()]);
    let mut at_karim = karim.engine()?.join(&invitation, &package.secret)?;
    let mut karims_store = Store::default();
    karims_store.write(at_karim.save()?);
    println!("{} devices in {:?}, epoch {}", at_karim.size(), at_karim.policy()?.name, at_karim.epoch());

    // It is one entry for everybody, and its sender's state is stored before it leaves. He is bound to it: with its proof
    // it can be reported.
    let entry = at_claire.encrypt(&claire.says("Bed 4 is free", rng).encode()?, rng)?.entry;
    claires_store.write(at_claire.save()?);
    println!("an entry of {} bytes, whatever is said and however many read it", entry.entry.len());
    assert!(log.append(entry.epoch, entry.entry, false));
    let mut read_by_karim = 1;
    print_new(&mut at_karim, &log, &mut read_by_karim)?;
    karims_store.write(at_karim.save()?);

    // After a restart the group comes back from its pages.
    let mut at_karim = karims_store.read(&karim)?;
    let prepared = at_karim.prepare_commit(&Change::default(), rng)?;
    assert!(log.append(prepared.entry.epoch, prepared.entry.entry, true));
    print_new(&mut at_karim, &log, &mut read_by_karim)?;
    let mut read_by_claire = 2;
    print_new(&mut at_claire, &log, &mut read_by_claire)?;

    // Karim leaves the ward. He reads the commit that removes him, and nothing after it.
    let leaf = at_claire.leaves_of(karim.statement.address())?[0].leaf;
    policy.remove(karim.statement.address());
    let change = Change { remove: vec![leaf], policy: Some(policy), ..Change::default() };
    let prepared = at_claire.prepare_commit(&change, rng)?;
    assert!(log.append(prepared.entry.epoch, prepared.entry.entry, true));
    print_new(&mut at_claire, &log, &mut read_by_claire)?;
    let entry = at_claire.encrypt(&claire.says("Karim has left", rng).encode()?, rng)?.entry;
    assert!(log.append(entry.epoch, entry.entry, false));
    print_new(&mut at_karim, &log, &mut read_by_karim)?;
    assert!(at_karim.is_removed());
    let (epoch, last, _) = log.entries.last().ok_or("the log has entries")?;
    assert_eq!(at_karim.process(last, *epoch, false), Err(GroupError::Removed));
    Ok(())
}

/// Reads the log to its end, or to one's removal.
fn print_new(group: &mut Group, log: &Log, read: &mut usize) -> Result<(), GroupError> {
    for (epoch, entry, closes) in &log.entries[*read..] {
        *read += 1;
        match group.process(entry, *epoch, *closes)? {
            // What its sender is not bound to is refused before it comes here; with its bytes, proof and certificate it
            // can be reported.
            Received::Message { sender, content, .. } => {
                println!("{}: {}", sender.address, content.fallback_text);
            }
            Received::Epoch(change) if change.removed_self => {
                println!("{} removed this device", change.committer.address);
                return Ok(());
            }
            Received::Epoch(change) => println!("epoch {}, by {}", change.epoch, change.committer.address),
            Received::Own | Received::Leaving(_) | Received::Proposal(_) => {}
        }
    }
    Ok(())
}

impl Person {
    fn new(address: &str, rng: &mut ChaCha20Rng) -> Result<Self, Box<dyn Error>> {
        let address = address.parse()?;
        let (account_key, recovery_key) = (SigningKey::random(rng), SigningKey::random(rng));
        let keys = DeviceSecretKeys::random(rng);
        let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1_790_000_000);
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
            previous: None,
            devices: vec![device],
            issued: 1_790_000_000,
        };
        Ok(Self { statement: statement.sign(&account_key)?, keys })
    }

    /// A chat message of this person.
    fn says(&self, text: &str, rng: &mut ChaCha20Rng) -> Content {
        let body = Body::Chat(Chat::Text { text: text.to_owned() });
        let id = MessageId::random(rng);
        Content {
            id,
            thread: id,
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
            fallback_text: body.fallback_text(),
            attachments: Vec::new(),
            body_blob: None,
            sender_statement_version: self.statement.version(),
            body,
        }
    }

    fn engine(&self) -> Result<GroupEngine<'_>, Box<dyn Error>> {
        let certificate = self.statement.device(1).ok_or("every account has its first device")?;
        Ok(GroupEngine { certificate, signing_key: &self.keys.signing_key })
    }
}

impl Store {
    fn write(&mut self, changes: GroupChanges) {
        self.manifest = changes.manifest;
        self.pages.extend(changes.pages);
        for number in changes.removed {
            self.pages.remove(&number);
        }
    }

    fn read(&self, person: &Person) -> Result<Group, Box<dyn Error>> {
        println!("{} pages at rest", stored_pages(&self.manifest)?.len());
        Ok(person.engine()?.load(&self.manifest, |number| self.pages.get(&number).cloned())?)
    }
}

impl Log {
    /// One commit closes an epoch; whatever comes for that epoch afterwards is refused.
    fn append(&mut self, epoch: u64, entry: Vec<u8>, closes_epoch: bool) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.entries.push((epoch, entry, closes_epoch));
        self.epoch += u64::from(closes_epoch);
        true
    }
}
