//! The devices in a group follow the statements of their accounts.
//!
//! An account sees to its own devices. Whoever owns the group takes out devices that an account no longer lists, because
//! the account may have no other device there to do it.

use medipeps_core::Address;
use medipeps_core::group::Role;
use medipeps_core::identity::Statement;
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRecord, GroupStanding};

use super::mls::OpenGroup;
use super::{change, store};
use crate::engine::account::OwnDevice;
use crate::engine::contact;
use crate::engine::records::class;
use crate::engine::transaction::{Stop, Transaction, go_on};

/// The account's own list of devices has changed: in every group its devices are brought into step.
pub(in crate::engine) fn own_statement_changed(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    for (_, mut group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        let wanted = group.standing == GroupStanding::Active
            && change::want(&mut group, GroupChangeKind::OwnDevices, transaction.now.0);
        if wanted {
            store(transaction, &group);
        }
    }
    Ok(())
}

/// A contact's list of devices has changed: what it no longer lists is taken out where this account owns the group.
pub(in crate::engine) fn contact_changed(transaction: &mut Transaction<'_>, statement: &Statement) -> Result<(), Stop> {
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
    let mls = OpenGroup::load(transaction, &group.log_id)?;
    if note_unlisted(transaction, &own, &mut group, &mls, statement)? {
        store(transaction, &group);
    }
    Ok(())
}

fn note_unlisted(
    transaction: &Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &OpenGroup,
    statement: &Statement,
) -> Result<bool, Stop> {
    if mls.role(own.address())? != Some(Role::Owner) {
        return Ok(false);
    }
    let address: &Address = statement.address();
    let mut noted = false;
    for device in mls.devices_of(address)? {
        if statement.device(device).is_none() {
            let what = GroupChangeKind::RemoveDevice(address.clone(), device);
            noted |= change::want(group, what, transaction.now.0);
        }
    }
    Ok(noted)
}

/// After each change of the group: what of its devices the statements that are known here do not list.
pub(super) fn check(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &mut GroupRecord,
    mls: &OpenGroup,
) -> Result<(), Stop> {
    let present = mls.devices_of(own.address())?;
    if present.iter().any(|device| own.statement.device(*device).is_none()) {
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
        if mls.devices_of(&member.address)?.is_empty() {
            // Its last device has left.
            change::want(group, GroupChangeKind::Remove(member.address.clone()), transaction.now.0);
            continue;
        }
        if let Some(statement) = contact::pinned(transaction, &member.address)?
            && *statement.account_key().as_bytes() == member.account_key
        {
            note_unlisted(transaction, own, group, mls, &statement)?;
        }
    }
    Ok(())
}
