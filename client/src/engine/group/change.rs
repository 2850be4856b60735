//! What is to be changed in a group, until a commit that does it is in the log.
//!
//! A change says what is wanted, not how: after a lost race it is held against the group as it is then, and what somebody
//! else has done meanwhile is dropped.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::group::Role;
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupChangeRecord, GroupRecord, GroupRoleRecord};
use medipeps_core::wire::transport::{
    ErrorCode, ErrorReply, FetchKeyPackages, FetchKeyPackagesReply, Payment, Request,
};

use super::mls::{self, Changes, OpenGroup, role_of};
use super::{GroupCorrelation, GroupEvent, GroupId, GroupProblem, load_active, store, successor, tell};
use crate::engine::Correlation;
use crate::engine::account::OwnDevice;
use crate::engine::contact::{self, Pinned};
use crate::engine::outbox::{is_due, is_transient, next_attempt};
use crate::engine::outcome::{Connection, EngineError, error_code_name};
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::{delivery, organisation, own_devices};
use crate::limits::{GROUP_ADDED_AT_ONCE_MAX, GROUP_CHANGES_MAX, GROUP_KEY_PACKAGES_ASKED_MAX};

/// A change that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// Which group.
    pub group: GroupId,
    /// What.
    pub what: GroupChangeKind,
}

/// What the next commit is to do.
pub(super) enum Plan {
    /// Everything is done already, or cannot be done.
    Nothing,
    /// To leave, which others commit: the change's id.
    Leave(u64),
    /// All of this at once.
    Commit(Box<Changes>),
}

/// Notes a change; it leaves with the next tick.
pub(in crate::engine) fn change(transaction: &mut Transaction<'_>, command: &GroupChange) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut group = load_active(transaction, &command.group)?;
    let mls = OpenGroup::load(transaction, &command.group)?;
    check(&own, &mls, &command.what)?;
    match &command.what {
        GroupChangeKind::Add(address, _) => organisation::check_addition(transaction, &own, &group, address)?,
        GroupChangeKind::Retention(days) => organisation::check_retention(transaction, &group, *days)?,
        _ => {}
    }
    if let GroupChangeKind::Add(address, _) = &command.what
        && address.domain() != own.address().domain()
        && contact::pinned(transaction, address)?.is_none()
    {
        return Err(EngineError::NotAContact(address.clone()).into());
    }
    if group.changes.len() >= GROUP_CHANGES_MAX {
        return Err(GroupProblem::TooManyChanges { max: GROUP_CHANGES_MAX }.into());
    }
    want(&mut group, command.what.clone(), transaction.now.0);
    store(transaction, &group);
    match &command.what {
        // Who is taken in may write.
        GroupChangeKind::Add(address, _) => delivery::accept(transaction, address),
        _ => Ok(()),
    }
}

/// Refuses at once what the group's rules do not allow.
fn check(own: &OwnDevice, mls: &OpenGroup, what: &GroupChangeKind) -> Result<(), Stop> {
    let policy = mls.policy()?;
    let role = policy.role(own.address());
    let is_member = |address: &Address| policy.role(address).is_some();
    let last_owner = |address: &Address| {
        policy.role(address) == Some(Role::Owner)
            && !policy.roster.iter().any(|one| one.role == Role::Owner && one.address != *address)
    };
    match what {
        GroupChangeKind::OwnDevices | GroupChangeKind::Update => Ok(()),
        GroupChangeKind::Leave if last_owner(own.address()) && policy.roster.len() > 1 => {
            Err(GroupProblem::LastOwner.into())
        }
        GroupChangeKind::Leave => Ok(()),
        _ if role != Some(Role::Owner) => Err(GroupProblem::NotOwner.into()),
        GroupChangeKind::Remove(address) | GroupChangeKind::Role(address, _) if !is_member(address) => {
            Err(GroupProblem::NotMember(address.clone()).into())
        }
        GroupChangeKind::Remove(address) if address == own.address() => {
            Err(EngineError::OwnAddress(address.clone()).into())
        }
        GroupChangeKind::Role(address, role) if *role != GroupRoleRecord::Owner && last_owner(address) => {
            Err(GroupProblem::LastOwner.into())
        }
        GroupChangeKind::Add(address, _) if is_member(address) => Err(GroupProblem::Member(address.clone()).into()),
        GroupChangeKind::Name(name) => Ok(super::creation::check_name(name)?),
        _ => Ok(()),
    }
}

/// Adds to what is to be changed, unless the very same is there. False if it is.
pub(in crate::engine) fn want(group: &mut GroupRecord, what: GroupChangeKind, now: u64) -> bool {
    if group.changes.iter().any(|change| change.what == what) {
        return false;
    }
    let id = group.next_change;
    group.next_change += 1;
    let change =
        GroupChangeRecord { id, what, key_packages: Vec::new(), statement: None, created: now, asked: 0, next_ask: 0 };
    group.changes.push(change);
    true
}

/// Whether there is anything for a commit: what needs key packages has them.
pub(super) fn is_ready(group: &GroupRecord) -> bool {
    group.changes.iter().any(|change| account_asked(change).is_none() || change.statement.is_some())
}

/// Asks for the key packages that changes need.
pub(super) fn ask_due(transaction: &mut Transaction<'_>, own: &OwnDevice, group_id: &GroupId) -> Result<(), Stop> {
    let group = super::load(transaction, group_id)?;
    for change in &group.changes {
        let Some(who) = account_asked(change) else { continue };
        if change.statement.is_some() || !is_due(change.next_ask, transaction.now.0) {
            continue;
        }
        let address = who.unwrap_or_else(|| own.address().clone());
        let connection = match address == *own.address() {
            true => Connection::OwnDevices,
            false => Connection::Anonymous(address.domain().to_owned()),
        };
        let request = Request::FetchKeyPackages(FetchKeyPackages { address: address.clone(), payment: Payment::None });
        let correlation = GroupCorrelation::FetchKeyPackages { group: *group_id, change: change.id, address };
        let correlation = Correlation::Group(correlation);
        if !transaction.is_sending(&correlation) {
            transaction.send(connection, request, correlation);
        }
    }
    Ok(())
}

/// Whose key packages a change needs; the inner `None` is the own account.
fn account_asked(change: &GroupChangeRecord) -> Option<Option<Address>> {
    match &change.what {
        GroupChangeKind::Add(address, _) => Some(Some(address.clone())),
        GroupChangeKind::OwnDevices => Some(None),
        _ => None,
    }
}

/// The key packages that a change needs have come.
pub(in crate::engine) fn key_packages_fetched(
    transaction: &mut Transaction<'_>,
    (group_id, id, address): (&GroupId, u64, &Address),
    reply: &FetchKeyPackagesReply,
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut group = super::load(transaction, group_id)?;
    let Ok(statement) = Statement::decode(&reply.statement) else {
        return fail(transaction, &mut group, id, "statement_refused");
    };
    let is_stranger = address != own.address() && contact::pinned(transaction, address)?.is_none();
    let expected = if is_stranger { successor::account_key(transaction, &group, address)? } else { None };
    let accepted = match address == own.address() {
        true => own_devices::learn(transaction, &statement)?,
        // Somebody who was in the group before comes back as the same.
        false if expected.is_some_and(|expected| expected != *statement.account_key().as_bytes()) => false,
        false => contact::pin(transaction, address, &statement, false)? == Pinned::Accepted,
    };
    if !accepted {
        return fail(transaction, &mut group, id, contact::KEY_CHANGED);
    }
    let mut good = Vec::new();
    for one in &reply.packages {
        // A device whose key package is refused is left out; it is added when it has a good one.
        if mls::is_good(&one.key_package, &statement, one.device_id, transaction.now.0) {
            good.push((one.device_id, one.key_package.clone()));
        }
    }
    let Some(change) = group.changes.iter_mut().find(|change| change.id == id) else { return Ok(()) };
    if good.is_empty() && address != own.address() {
        return ask_later(transaction, &mut group, id, "no_key_packages", 0);
    }
    (change.key_packages, change.statement) = (good, Some(reply.statement.clone()));
    store(transaction, &group);
    Ok(())
}

/// The server has none to give.
pub(in crate::engine) fn key_packages_refused(
    transaction: &mut Transaction<'_>,
    (group_id, id): (&GroupId, u64),
    error: &ErrorReply,
) -> Result<(), Stop> {
    let mut group = super::load(transaction, group_id)?;
    let code = match error.known_code() {
        Some(ErrorCode::UnknownAccount) => "unknown_account".to_owned(),
        _ => error_code_name(error),
    };
    match is_transient(error) {
        true => ask_later(transaction, &mut group, id, &code, error.retry_after),
        false => fail(transaction, &mut group, id, &code),
    }
}

fn ask_later(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    id: u64,
    code: &str,
    retry_after: u64,
) -> Result<(), Stop> {
    let Some(change) = group.changes.iter_mut().find(|change| change.id == id) else { return Ok(()) };
    change.asked = change.asked.saturating_add(1);
    if change.asked > GROUP_KEY_PACKAGES_ASKED_MAX {
        return fail(transaction, group, id, code);
    }
    change.next_ask = next_attempt(transaction, change.asked, retry_after);
    group.problem = Some(code.to_owned());
    store(transaction, group);
    Ok(())
}

/// A change cannot be made: it is dropped and told.
fn fail(transaction: &mut Transaction<'_>, group: &mut GroupRecord, id: u64, code: &str) -> Result<(), Stop> {
    let Some(place) = group.changes.iter().position(|change| change.id == id) else { return Ok(()) };
    let change = group.changes.remove(place);
    tell(transaction, &group.log_id, GroupEvent::ChangeFailed { what: change.what, code: code.to_owned() });
    store(transaction, group);
    Ok(())
}

/// Changes cannot be made: they are dropped and told. The group is for the caller to store.
pub(super) fn fail_all(transaction: &mut Transaction<'_>, group: &mut GroupRecord, ids: &[u64], code: &str) {
    for change in group.changes.iter().filter(|change| ids.contains(&change.id)) {
        let event = GroupEvent::ChangeFailed { what: change.what.clone(), code: code.to_owned() };
        tell(transaction, &group.log_id, event);
    }
    group.changes.retain(|change| !ids.contains(&change.id));
}

/// Holds what is to be changed against the group as it is, and says what the next commit does. What is done is dropped
/// from `group`, and so is what cannot be done any more.
pub(super) fn plan(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    mls: &OpenGroup,
    group: &mut GroupRecord,
) -> Result<Plan, Stop> {
    if let Some(leave) = group.changes.iter().find(|change| change.what == GroupChangeKind::Leave) {
        return Ok(Plan::Leave(leave.id));
    }
    let mut changes = Changes {
        ids: Vec::new(),
        policy: (*mls.policy()?).clone(),
        added: Vec::new(),
        removed: Vec::new(),
        invited: Vec::new(),
    };
    let mut dropped = BTreeSet::new();
    for change in group.changes.clone() {
        if account_asked(&change).is_some() && change.statement.is_none() {
            continue;
        }
        if changes.added.len() >= GROUP_ADDED_AT_ONCE_MAX {
            break;
        }
        // His certificate may have ended since somebody asked for it.
        if let GroupChangeKind::Add(address, _) = &change.what
            && let Err(Stop::Failed(error)) = organisation::check_addition(transaction, own, group, address)
        {
            let EngineError::Organisation(_) = *error else { return Err((*error).into()) };
            dropped.insert(change.id);
            let event = GroupEvent::ChangeFailed { what: change.what, code: "not_certified".to_owned() };
            tell(transaction, &group.log_id, event);
            continue;
        }
        match changes.include(own, mls, &change)? {
            Included::Yes => changes.ids.push(change.id),
            Included::Done => {
                dropped.insert(change.id);
            }
            Included::Refused(code) => {
                dropped.insert(change.id);
                let event = GroupEvent::ChangeFailed { what: change.what, code: code.to_owned() };
                tell(transaction, &group.log_id, event);
            }
        }
    }
    group.changes.retain(|change| !dropped.contains(&change.id));
    Ok(if changes.ids.is_empty() { Plan::Nothing } else { Plan::Commit(Box::new(changes)) })
}

/// What became of a change in a plan.
enum Included {
    Yes,
    Done,
    Refused(&'static str),
}

impl Changes {
    fn include(&mut self, own: &OwnDevice, mls: &OpenGroup, change: &GroupChangeRecord) -> Result<Included, Stop> {
        let policy = mls.policy()?;
        let is_owner = policy.role(own.address()) == Some(Role::Owner);
        let role = |address: &Address| policy.role(address);
        match &change.what {
            GroupChangeKind::Leave => Ok(Included::Done),
            GroupChangeKind::Update => Ok(Included::Yes),
            GroupChangeKind::OwnDevices => self.include_own_devices(own, mls, change),
            GroupChangeKind::RemoveDevice(address, device) => {
                let in_group = mls.devices_of(address)?.contains(device);
                if in_group {
                    self.removed.push((address.clone(), *device));
                }
                Ok(if in_group { Included::Yes } else { Included::Done })
            }
            _ if !is_owner => Ok(Included::Refused("not_group_owner")),
            GroupChangeKind::Add(address, _) if role(address).is_some() && !mls.devices_of(address)?.is_empty() => {
                Ok(Included::Done)
            }
            GroupChangeKind::Add(address, as_role) => {
                let Some(encoded) = &change.statement else { return Ok(Included::Refused("statement_refused")) };
                let account_key = *Statement::decode(encoded)?.account_key().as_bytes();
                let mut policy = self.policy.clone();
                policy.set(address, account_key, role(address).unwrap_or(role_of(*as_role)));
                if policy.check().is_err() {
                    return Ok(Included::Refused("group_full"));
                }
                self.policy = policy;
                self.added.extend(change.key_packages.iter().map(|(_, package)| (encoded.clone(), package.clone())));
                self.invited.push(address.clone());
                Ok(Included::Yes)
            }
            GroupChangeKind::Remove(address) if role(address).is_none() => Ok(Included::Done),
            GroupChangeKind::Remove(address) => {
                self.removed.extend(mls.devices_of(address)?.into_iter().map(|device| (address.clone(), device)));
                self.policy.remove(address);
                Ok(Included::Yes)
            }
            GroupChangeKind::Role(address, to) => match role(address) {
                None => Ok(Included::Refused("not_group_member")),
                Some(now) if now == role_of(*to) => Ok(Included::Done),
                Some(_) => {
                    if let Some(entry) = self.policy.roster.iter_mut().find(|entry| entry.address == *address) {
                        entry.role = role_of(*to);
                    }
                    Ok(Included::Yes)
                }
            },
            GroupChangeKind::Name(name) if policy.name == *name => Ok(Included::Done),
            GroupChangeKind::Name(name) => {
                self.policy.name.clone_from(name);
                Ok(Included::Yes)
            }
            GroupChangeKind::Retention(days) if policy.retention_days == *days => Ok(Included::Done),
            GroupChangeKind::Retention(days) => {
                self.policy.retention_days = *days;
                Ok(Included::Yes)
            }
            GroupChangeKind::Successor(log_id) if policy.successor == Some(*log_id) => Ok(Included::Done),
            GroupChangeKind::Successor(log_id) => {
                self.policy.successor = Some(*log_id);
                Ok(Included::Yes)
            }
        }
    }

    /// Devices that the account's statement lists come in, those that it does not go out.
    fn include_own_devices(
        &mut self,
        own: &OwnDevice,
        mls: &OpenGroup,
        change: &GroupChangeRecord,
    ) -> Result<Included, Stop> {
        let listed: BTreeSet<u32> = own.statement.devices().iter().map(DeviceCertificate::device_id).collect();
        let present = mls.devices_of(own.address())?;
        let before = (self.added.len(), self.removed.len());
        let gone = present.iter().filter(|device| !listed.contains(device));
        self.removed.extend(gone.map(|device| (own.address().clone(), *device)));
        let statement = change.statement.clone().unwrap_or_default();
        for (device, package) in &change.key_packages {
            if listed.contains(device) && !present.contains(device) {
                self.added.push((statement.clone(), package.clone()));
            }
        }
        if self.added.len() > before.0 {
            self.invited.push(own.address().clone());
        }
        Ok(if (self.added.len(), self.removed.len()) == before { Included::Done } else { Included::Yes })
    }
}
