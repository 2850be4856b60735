//! Groups out of the store and back: which records they are, and what of `medipeps_core::group` the rest of this folder uses.

use std::sync::Arc;

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::franking::{FrankedContent, FrankingError, FrankingProof};
use medipeps_core::group::{
    Change, EpochChange, Group, GroupEngine, GroupEntry, GroupError, GroupMember, GroupPolicy, GroupRejoin,
    GroupSignal, GroupWelcome, KeyPackage, KeyPackageSecret, Received, Refusal, Role, Suite, stored_pages,
};
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::kind::Chat;
use medipeps_core::kind::Content;
use medipeps_core::wire::client_records::{GroupMemberRecord, GroupRoleRecord, GroupRosterRecord};
use medipeps_core::wire::transport::{AppendGroupEntry, CreateGroupLog, GroupLogEntry, Payment};
use zeroize::Zeroizing;

use super::{GroupId, GroupProblem, log_restore};
use crate::engine::account::OwnDevice;
use crate::engine::outcome::EngineError;
use crate::engine::records::{Bytes, Key, key};
use crate::engine::transaction::{Stop, Transaction};

/// The suite of every group.
const SUITE: Suite = Suite::PostQuantum;

/// The name of a group's manifest; pages are named by their numbers.
const MANIFEST: &[u8] = b"manifest";

/// A group that was read from the store. What changes it must be saved in the same step.
pub(super) struct OpenGroup {
    group: Group,
    /// The epoch whose roster and access key are in the store.
    told_epoch: Option<u64>,
}

/// What a commit is to do.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    /// Ids of the changes that it carries out.
    pub(super) ids: Vec<u64>,
    /// The new policy.
    pub(super) policy: GroupPolicy,
    /// Encoded statements and key packages of devices to add.
    pub(super) added: Vec<(Vec<u8>, Vec<u8>)>,
    /// Devices to remove.
    pub(super) removed: Vec<(Address, u32)>,
    /// Accounts to be told.
    pub(super) invited: Vec<Address>,
}

/// A commit that was made.
pub(super) struct MadeCommit {
    /// To be appended.
    pub(super) request: AppendGroupEntry,
    /// For those whom it adds.
    pub(super) invitation: Option<GroupWelcome>,
}

/// What somebody has said, as MLS has authenticated it.
pub(super) struct Said {
    pub(super) sender: GroupMember,
    pub(super) account_key: [u8; 32],
    pub(super) device_key: [u8; 32],
    /// Of the sender's device, encoded.
    pub(super) certificate: Vec<u8>,
    pub(super) content: Content,
    pub(super) franked: FrankedContent,
}

/// What became of an entry.
pub(super) enum Processed {
    /// Somebody has said something.
    Message(Box<Said>),
    /// A new epoch has begun.
    Commit(EpochChange),
    /// Somebody wants to leave.
    Leaving(GroupMember),
    /// Something has been proposed.
    Proposal,
    /// It is this device's own, or was read before.
    Known,
    /// It is passed over.
    Refused { code: &'static str },
    /// It is this device's own commit, and its secrets are gone: the others have gone on.
    Lost,
    /// It has closed the epoch, and nobody can follow it.
    Broken { code: &'static str },
}

impl OpenGroup {
    /// Reads a group.
    pub(super) fn load(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<Self, Stop> {
        let own = OwnDevice::load(transaction)?;
        let manifest = transaction.load(&key::group_state(group_id, MANIFEST))?.ok_or(GroupProblem::Unknown)?;
        let numbers = stored_pages(&manifest).map_err(GroupProblem::from)?;
        let keys: Vec<_> = numbers.iter().map(|number| page(group_id, *number)).collect();
        let pages = transaction.load_all(&keys)?;
        let find = |number: u32| {
            let place = numbers.binary_search(&number).ok()?;
            pages.get(place)?.clone()
        };
        let group = engine(&own)?.load(&manifest, find).map_err(GroupProblem::from)?;
        let told_epoch = Some(group.epoch());
        Ok(Self { group, told_epoch })
    }

    /// Makes a group of this device alone.
    pub(super) fn create(
        transaction: &mut Transaction<'_>,
        own: &OwnDevice,
        policy: &GroupPolicy,
    ) -> Result<Self, Stop> {
        let now = transaction.now.0 / 1000;
        let group = engine(own)?.create(SUITE, policy, now, &mut transaction.rng).map_err(GroupProblem::from)?;
        Ok(Self { group, told_epoch: None })
    }

    /// Joins a group by an invitation, with whichever key package of this device it is for. Its private half is deleted,
    /// unless it is the last resort.
    pub(super) fn join(
        transaction: &mut Transaction<'_>,
        own: &OwnDevice,
        invitation: &GroupWelcome,
    ) -> Result<Self, Stop> {
        let references = invitation.key_packages().map_err(GroupProblem::from)?;
        let keys: Vec<_> = references.iter().map(key::key_package).collect();
        let stored: Vec<Option<Bytes>> = transaction.load_all(&keys)?;
        let ours = keys.iter().zip(stored).find_map(|(key, secret)| Some((key, secret?)));
        let Some((secret_key, secret)) = ours else { return Err(GroupProblem::from(GroupError::NoKeyPackage).into()) };
        let secret = KeyPackageSecret::decode(&secret).map_err(GroupProblem::from)?;
        let group = engine(own)?.join(invitation, &secret).map_err(GroupProblem::from)?;
        let published = transaction.load(&key::key_packages())?;
        let is_kept = published.is_some_and(|record| {
            let reference = secret.reference();
            record.last_resort == reference || record.retired.iter().any(|(retired, _)| *retired == reference)
        });
        if !is_kept {
            transaction.delete(secret_key);
        }
        Ok(Self { group, told_epoch: None })
    }

    /// Comes back by an external commit: the group as it is if the log takes the entry, and the entry.
    pub(super) fn rejoin(
        transaction: &mut Transaction<'_>,
        own: &OwnDevice,
        help: &GroupRejoin,
        group_id: &GroupId,
    ) -> Result<(Self, AppendGroupEntry), Stop> {
        let listed: Vec<u32> = own.statement.devices().iter().map(DeviceCertificate::device_id).collect();
        let prepared = engine(own)?.rejoin(help, &listed, &mut transaction.rng).map_err(GroupProblem::from)?;
        if prepared.group.log_id() != *group_id {
            return Err(GroupProblem::from(GroupError::OtherGroup).into());
        }
        let request = AppendGroupEntry::sign(
            prepared.keys.access_key(),
            *group_id,
            prepared.entry.epoch,
            transaction.random_id(),
            prepared.entry.entry,
            Some(prepared.next_access_key),
            Payment::None,
        );
        Ok((Self { group: prepared.group, told_epoch: None }, request))
    }

    /// What a device needs to come back.
    pub(super) fn help_rejoin(&self, transaction: &mut Transaction<'_>) -> Result<GroupRejoin, Stop> {
        Ok(self.group.help_rejoin(&mut transaction.rng).map_err(GroupProblem::from)?)
    }

    /// Writes what has changed.
    pub(super) fn save(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Stop> {
        let group_id = self.group.log_id();
        let changes = self.group.save().map_err(GroupProblem::from)?;
        transaction.store(&key::group_state(&group_id, MANIFEST), &changes.manifest);
        for (number, record) in changes.pages {
            transaction.store(&page(&group_id, number), &record);
        }
        for number in changes.removed {
            transaction.delete(&page(&group_id, number));
        }
        if self.told_epoch != Some(self.group.epoch()) && !self.group.is_removed() {
            let seed = Zeroizing::new(self.group.keys().access_key().to_secret().as_bytes().to_vec());
            transaction.store(&key::group_access(&group_id), &seed);
            transaction.store(&key::group_roster(&group_id), &self.roster()?);
            self.told_epoch = Some(self.group.epoch());
        }
        Ok(())
    }

    /// Deletes everything that MLS keeps of the group. What was said stays.
    pub(super) fn forget(&self, transaction: &mut Transaction<'_>) -> Result<(), Stop> {
        log_restore::forget(transaction, &self.group.log_id());
        Self::forget_of(transaction, &self.group.log_id())
    }

    /// The same for one that is not read.
    pub(super) fn forget_of(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
        if let Some(manifest) = transaction.load(&key::group_state(group_id, MANIFEST))? {
            // What cannot be read names no pages; they are found by nobody then.
            for number in stored_pages(&manifest).unwrap_or_default() {
                transaction.delete(&page(group_id, number));
            }
        }
        transaction.delete(&key::group_state(group_id, MANIFEST));
        transaction.delete(&key::group_access(group_id));
        Ok(())
    }

    /// The id of its log.
    pub(super) const fn log_id(&self) -> GroupId {
        self.group.log_id()
    }

    /// The current epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.group.epoch()
    }

    /// The public access key of the current epoch.
    pub(super) fn access_key(&self) -> VerifyingKey {
        self.group.keys().access_key().verifying_key()
    }

    /// What the members agree on.
    pub(super) fn policy(&self) -> Result<Arc<GroupPolicy>, Stop> {
        Ok(self.group.policy().map_err(GroupProblem::from)?)
    }

    /// What an account may do.
    pub(super) fn role(&self, address: &Address) -> Result<Option<Role>, Stop> {
        Ok(self.policy()?.role(address))
    }

    /// The numbers of an account's devices in the group, ascending.
    pub(super) fn devices_of(&self, address: &Address) -> Result<Vec<u32>, Stop> {
        let leaves = self.group.leaves_of(address).map_err(GroupProblem::from)?;
        let mut devices: Vec<u32> = leaves.iter().map(|leaf| leaf.device_id).collect();
        devices.sort_unstable();
        Ok(devices)
    }

    /// Whether no other device is in the group.
    pub(super) fn is_alone(&self) -> bool {
        self.group.size() <= 1
    }

    /// The request that makes the log.
    pub(super) fn create_log(&self) -> CreateGroupLog {
        CreateGroupLog::sign(self.group.keys().access_key(), self.group.epoch(), Payment::None)
    }

    /// Encrypts an encoded content; with what binds this device to it in this epoch.
    pub(super) fn encrypt(
        &mut self,
        transaction: &mut Transaction<'_>,
        content: &[u8],
    ) -> Result<(AppendGroupEntry, FrankingProof), Stop> {
        let encrypted = self.group.encrypt(content, &mut transaction.rng).map_err(GroupProblem::from)?;
        Ok((self.append(transaction, encrypted.entry), encrypted.proof))
    }

    /// Makes a signal to those who watch.
    pub(super) fn signal(
        &self,
        transaction: &mut Transaction<'_>,
        own: &OwnDevice,
        chat: &Chat,
    ) -> Result<Vec<u8>, Stop> {
        let now = transaction.now.0;
        let signal = self.group.signal(chat, now, &own.keys.signing_key, &mut transaction.rng);
        Ok(signal.map_err(GroupProblem::from)?)
    }

    /// Opens one.
    pub(super) fn open_signal(&self, signal: &[u8]) -> Result<GroupSignal, GroupError> {
        self.group.open_signal(signal)
    }

    /// Proposes that this device be taken out.
    pub(super) fn propose_to_leave(&mut self, transaction: &mut Transaction<'_>) -> Result<AppendGroupEntry, Stop> {
        let entry = self.group.leave(&mut transaction.rng).map_err(GroupProblem::from)?;
        Ok(self.append(transaction, entry))
    }

    /// Prepares a commit; it holds once it is read in the log.
    pub(super) fn commit(&mut self, transaction: &mut Transaction<'_>, changes: &Changes) -> Result<MadeCommit, Stop> {
        let now = transaction.now.0 / 1000;
        let mut change = Change::default();
        for (statement, package) in &changes.added {
            let statement = Statement::decode(statement).map_err(EngineError::from)?;
            let package = KeyPackage::verify(package, SUITE, &statement, now);
            change.add.push(package.map_err(GroupError::from).map_err(GroupProblem::from)?);
        }
        for (address, device) in &changes.removed {
            let leaves = self.group.leaves_of(address).map_err(GroupProblem::from)?;
            change.remove.extend(leaves.iter().filter(|leaf| leaf.device_id == *device).map(|leaf| leaf.leaf));
        }
        if *self.policy()? != changes.policy {
            change.policy = Some(changes.policy.clone());
        }
        let made = self.group.prepare_commit(&change, &mut transaction.rng).map_err(GroupProblem::from)?;
        let request = AppendGroupEntry::sign(
            self.group.keys().access_key(),
            self.group.log_id(),
            made.entry.epoch,
            transaction.random_id(),
            made.entry.entry,
            Some(made.next_access_key),
            Payment::None,
        );
        Ok(MadeCommit { request, invitation: made.invitation })
    }

    /// Forgets the commit that was prepared.
    pub(super) fn drop_commit(&mut self) {
        self.group.drop_commit();
    }

    /// Takes an entry in, in the log's order. This device's own commit holds from then on.
    pub(super) fn process(&mut self, entry: &GroupLogEntry, epoch: u64) -> Result<Processed, Stop> {
        match self.group.process(&entry.entry, epoch, entry.closes_epoch) {
            Ok(Received::Message { sender, content, franked, device_key, certificate }) => {
                let account_key = self.policy()?.entry(&sender.address).map(|entry| entry.account_key);
                let account_key = account_key.ok_or(GroupProblem::from(GroupError::NoSuchMember))?;
                let (content, device_key) = (*content, *device_key.as_bytes());
                let said = Said { sender, account_key, device_key, certificate, content, franked };
                Ok(Processed::Message(Box::new(said)))
            }
            Ok(Received::Epoch(change)) => Ok(Processed::Commit(change)),
            Ok(Received::Leaving(member)) => Ok(Processed::Leaving(member)),
            Ok(Received::Proposal(_)) => Ok(Processed::Proposal),
            Ok(Received::Own)
            | Err(GroupError::MessageKey | GroupError::EpochGone | GroupError::EpochAhead | GroupError::Removed) => {
                Ok(Processed::Known)
            }
            Err(GroupError::OwnCommitLost) => Ok(Processed::Lost),
            Err(GroupError::GarbageCommit(error)) => Ok(Processed::Broken { code: code_of(&error) }),
            Err(error) => Ok(Processed::Refused { code: code_of(&error) }),
        }
    }

    fn append(&self, transaction: &mut Transaction<'_>, entry: GroupEntry) -> AppendGroupEntry {
        let (keys, id) = (self.group.keys().access_key(), transaction.random_id());
        AppendGroupEntry::sign(keys, self.group.log_id(), entry.epoch, id, entry.entry, None, Payment::None)
    }

    fn roster(&self) -> Result<GroupRosterRecord, Stop> {
        let policy = self.policy()?;
        let members = self.group.members().map_err(GroupProblem::from)?;
        let devices_of = |address: &Address| {
            let of = members.iter().filter(|member| member.address == *address);
            let mut devices: Vec<u32> = of.map(|member| member.device_id).collect();
            devices.sort_unstable();
            devices
        };
        let member = |entry: &medipeps_core::group::RosterEntry| GroupMemberRecord {
            address: entry.address.clone(),
            role: role_record(entry.role),
            devices: devices_of(&entry.address),
        };
        Ok(GroupRosterRecord {
            description: policy.description.clone(),
            retention_days: policy.retention_days,
            members: policy.roster.iter().map(member).collect(),
        })
    }
}

/// A key package of this device: its public half, and the private one for the store.
pub(super) fn generate_key_package(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    now: u64,
) -> Result<(Vec<u8>, KeyPackageSecret), Stop> {
    let generated = engine(own)?.key_package(SUITE, now, &mut transaction.rng).map_err(GroupProblem::from)?;
    Ok((generated.key_package, generated.secret))
}

/// Whether a key package is one of this device of the account, good now.
pub(super) fn is_good(package: &[u8], statement: &Statement, device_id: u32, now_ms: u64) -> bool {
    KeyPackage::verify(package, SUITE, statement, now_ms / 1000).is_ok_and(|package| package.device_id() == device_id)
}

/// The stable code of an error, as `spec/errors.md` has it.
pub(super) const fn code_of(error: &GroupError) -> &'static str {
    match error {
        GroupError::Refused(Refusal::ReaderPosted) => "group_reader",
        GroupError::Refused(Refusal::Closed) => super::successor::CONTINUES,
        GroupError::Refused(_) | GroupError::Policy(_) => "group_rules",
        GroupError::KeyPackage(_) => "key_package",
        GroupError::NoKeyPackage => "no_key_package",
        GroupError::TooLong => "too_large",
        GroupError::Franking(FrankingError::Content(_)) => "content",
        GroupError::Franking(_) => "franking",
        GroupError::State(_) => "group_state",
        GroupError::OtherGroup => "other_group",
        GroupError::CommitOutOfPlace => "commit_out_of_place",
        GroupError::Sealed | GroupError::Unverified | GroupError::NotMls | GroupError::Malformed(_) => "group_entry",
        _ => "mls",
    }
}

pub(super) const fn role_record(role: Role) -> GroupRoleRecord {
    match role {
        Role::Owner => GroupRoleRecord::Owner,
        Role::Member => GroupRoleRecord::Member,
        Role::Reader => GroupRoleRecord::Reader,
    }
}

pub(super) const fn role_of(role: GroupRoleRecord) -> Role {
    match role {
        GroupRoleRecord::Owner => Role::Owner,
        GroupRoleRecord::Member => Role::Member,
        GroupRoleRecord::Reader => Role::Reader,
    }
}

/// This device as a member of groups.
pub(super) fn engine(own: &OwnDevice) -> Result<GroupEngine<'_>, EngineError> {
    let certificate = own.statement.device(own.record.device_id).ok_or(EngineError::NoProgress)?;
    Ok(GroupEngine { certificate, signing_key: &own.keys.signing_key })
}

fn page(group_id: &GroupId, number: u32) -> Key<Bytes> {
    key::group_state(group_id, &number.to_be_bytes())
}
