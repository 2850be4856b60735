//! A group is made: its state first, then its log at the server, and then those who are to be in it.

use medipeps_core::Address;
use medipeps_core::group::GroupPolicy;
use medipeps_core::limits::GROUP_NAME_LENGTH_MAX;
use medipeps_core::organisation::{OrganisationId, OrganisationService};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRecord, GroupRoleRecord, GroupStanding};

use super::mls::OpenGroup;
use super::{GroupEvent, GroupId, GroupProblem, append, change, store, tell};
use crate::engine::account::OwnDevice;
use crate::engine::contact;
use crate::engine::outcome::EngineError;
use crate::engine::transaction::{Stop, Transaction, go_on};
use crate::engine::{delivery, organisation, own_devices};

/// Makes a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGroup {
    /// What it is called. The server does not learn it.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Who is to be in it, beside this account, which owns it.
    pub members: Vec<(Address, GroupRoleRecord)>,
    /// For how many days messages are kept; 0: for ever.
    pub retention_days: u32,
    /// The organisation that it belongs to: whoever is in it is certified by it.
    pub organisation: Option<OrganisationId>,
}

/// Makes the group and stores it. Its log is asked for at once.
pub(in crate::engine) fn create(transaction: &mut Transaction<'_>, command: &CreateGroup) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    check_name(&command.name)?;
    for (address, _) in &command.members {
        if address == own.address() {
            return Err(EngineError::OwnAddress(address.clone()).into());
        }
        if address.domain() != own.address().domain() && contact::pinned(transaction, address)?.is_none() {
            return Err(EngineError::NotAContact(address.clone()).into());
        }
    }
    organisation::check_service(transaction, OrganisationService::Chat)?;
    let organisation = match &command.organisation {
        Some(id) => {
            let agreed = (command.members.as_slice(), command.retention_days);
            Some(organisation::check_group(transaction, &own, id, agreed)?)
        }
        None => None,
    };
    let account_key = *own.statement.account_key().as_bytes();
    let mut policy = GroupPolicy::new(&command.name, own.address(), account_key, own.address().domain());
    (policy.description, policy.retention_days) = (command.description.clone(), command.retention_days);
    policy.organisation = organisation;
    // Who is taken in may write.
    for (address, _) in &command.members {
        go_on(delivery::accept(transaction, address))?;
    }
    make(transaction, &own, &policy, &command.members).map(|_| ())
}

/// Makes a group of this account alone, with a policy that is checked; its other members are added by what is wanted first.
pub(super) fn make(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    policy: &GroupPolicy,
    members: &[(Address, GroupRoleRecord)],
) -> Result<GroupId, Stop> {
    let mut mls = OpenGroup::create(transaction, own, policy)?;
    let now = transaction.now.0;
    let mut group = GroupRecord {
        log_id: mls.log_id(),
        domain: policy.log_domain.clone(),
        name: policy.name.clone(),
        standing: GroupStanding::Making,
        epoch: mls.epoch(),
        incarnation: None,
        after: 0,
        next_read: 0,
        messages: 0,
        seen: 0,
        changes: Vec::new(),
        commit: None,
        next_change: 1,
        attempts: 0,
        next_attempt: 0,
        problem: None,
        joined: now,
        updated: now,
        log_created: false,
        statement_version: own.statement.version(),
        successor: None,
        predecessor: policy.predecessor,
        first: 0,
        next_deletion: 0,
        kept_until: 0,
        read_told: 0,
        read_told_at: 0,
        read_entry: None,
        read_positions_off: false,
        organisation: policy.organisation.clone(),
        server_time: 0,
        time_asked: 0,
        invited_by: None,
        entries_kept: 0,
        restored: None,
    };
    for (address, role) in members {
        change::want(&mut group, GroupChangeKind::Add(address.clone(), *role), now);
    }
    if own_devices::others(own).next().is_some() {
        change::want(&mut group, GroupChangeKind::OwnDevices, now);
    }
    mls.save(transaction)?;
    store(transaction, &group);
    tell(transaction, &group.log_id, GroupEvent::Prepared);
    append::create_log(transaction, &group)?;
    Ok(group.log_id)
}

/// Refuses a name that nobody could show.
pub(super) fn check_name(name: &str) -> Result<(), EngineError> {
    let good = (1..=GROUP_NAME_LENGTH_MAX).contains(&name.len())
        && !name.chars().any(char::is_control)
        && !name.trim().is_empty();
    if good { Ok(()) } else { Err(GroupProblem::Name.into()) }
}
