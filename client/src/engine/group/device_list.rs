//! The devices in a group follow the statements of their accounts.
//!
//! An account sees to its own devices. Whoever owns the group takes out devices that an account no longer lists, because
//! the account may have no other device there to do it.

use medipeps_core::Address;
use medipeps_core::group::Role;
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRecord, GroupRoleRecord, GroupStanding};

use super::mls::{OpenGroup, role_record};
use super::{change, store};
use crate::engine::account::OwnDevice;
use crate::engine::contact;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction, go_on};

/// Brings the account's devices in a group into step, once for each statement of the account.
pub(super) fn follow_own_statement(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &GroupRecord,
) -> Result<(), Stop> {
    let version = own.statement.version();
    if group.statement_version == version {
        return Ok(());
    }
    let mut group = group.clone();
    group.statement_version = version;
    let listed: Vec<u32> = own.statement.devices().iter().map(DeviceCertificate::device_id).collect();
    let present = OpenGroup::load(transaction, &group.log_id)?.devices_of(own.address())?;
    if listed.iter().any(|device| !present.contains(device)) || present.iter().any(|device| !listed.contains(device)) {
        change::want(&mut group, GroupChangeKind::OwnDevices, transaction.now.0);
    }
    store(transaction, &group);
    Ok(())
}

/// A contact's statement is known as it is now: devices that it does not list are taken out where this account owns the
/// group.
pub(in crate::engine) fn contact_confirmed(
    transaction: &mut Transaction<'_>,
    statement: &Statement,
) -> Result<(), Stop> {
    for (_, group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        if group.standing == GroupStanding::Active {
            go_on(remove_unlisted(transaction, group, statement))?;
        }
    }
    Ok(())
}

fn remove_unlisted(
    transaction: &mut Transaction<'_>,
    mut group: GroupRecord,
    statement: &Statement,
) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    let roster = transaction.load(&key::group_roster(&group.log_id))?.unwrap_or_default();
    let role = |address: &Address| roster.members.iter().find(|member| member.address == *address);
    let (Some(us), Some(member)) = (role(own.address()), role(statement.address())) else { return Ok(()) };
    let mut noted = false;
    for device in member.devices.iter().filter(|device| statement.device(**device).is_none()) {
        let what = GroupChangeKind::RemoveDevice(member.address.clone(), *device);
        noted |= us.role == GroupRoleRecord::Owner && change::want(&mut group, what, transaction.now.0);
    }
    if noted {
        store(transaction, &group);
    }
    Ok(())
}

/// After each change of the group: what of its devices the statements that are known here do not list. An account may have
/// a newer statement; so it is asked for before anything is taken out.
pub(super) fn check(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &OpenGroup,
) -> Result<(), Stop> {
    let present = mls.devices_of(own.address())?;
    let listed: Vec<u32> = own.statement.devices().iter().map(DeviceCertificate::device_id).collect();
    if listed.iter().any(|device| !present.contains(device)) || present.iter().any(|device| !listed.contains(device)) {
        change::want(group, GroupChangeKind::OwnDevices, transaction.now.0);
    }
    let policy = mls.policy()?;
    if policy.role(own.address()) != Some(Role::Owner) {
        return Ok(());
    }
    for member in &policy.roster {
        if member.address == *own.address() {
            continue;
        }
        let devices = mls.devices_of(&member.address)?;
        if devices.is_empty() {
            // It has left, which was noted when it said so, or its devices are others now.
            let gone = GroupChangeKind::Remove(member.address.clone());
            if !group.changes.iter().any(|change| change.what == gone) {
                let back = GroupChangeKind::Add(member.address.clone(), role_record(member.role));
                change::want(group, back, transaction.now.0);
            }
            continue;
        }
        if let Some(statement) = contact::pinned(transaction, &member.address)?
            && *statement.account_key().as_bytes() == member.account_key
            && devices.iter().any(|device| statement.device(*device).is_none())
        {
            contact::ask(transaction, &member.address, false);
        }
    }
    Ok(())
}
