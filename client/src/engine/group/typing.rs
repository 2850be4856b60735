//! That somebody types: a signal to those who watch the log, which nobody keeps. The store does not change by it.

use medipeps_core::group::Role;
use medipeps_core::kind::{Chat, typing_is_shown};
use medipeps_core::limits::TYPING_ACCOUNTS_MAX;
use medipeps_core::wire::client_records::GroupStanding;

use super::mls::OpenGroup;
use super::reading::{is_read, reader};
use super::{GroupCorrelation, GroupEvent, GroupId, GroupProblem, append, load, tell};
use crate::engine::Correlation;
use crate::engine::account::OwnDevice;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};

/// A signal that has come to this device while it watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSignal {
    /// Which group.
    pub group: GroupId,
    /// Whose epoch was watched.
    pub epoch: u64,
    /// As the server has passed it on.
    pub signal: Vec<u8>,
}

/// A person types, or has stopped.
pub(in crate::engine) fn send(transaction: &mut Transaction<'_>, group_id: &GroupId, active: bool) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let group = load(transaction, group_id)?;
    if group.standing != GroupStanding::Active {
        return Err(GroupProblem::Closed(group.standing).into());
    }
    if let Some(successor) = group.successor {
        return Err(GroupProblem::Continues(successor).into());
    }
    let mls = OpenGroup::load(transaction, group_id)?;
    let policy = mls.policy()?;
    if !typing_is_shown(policy.roster.len()) {
        return Err(GroupProblem::TooManyForTyping { max: TYPING_ACCOUNTS_MAX }.into());
    }
    if policy.role(own.address()) == Some(Role::Reader) {
        return Err(GroupProblem::Reader.into());
    }
    let signal = mls.signal(transaction, &own, &Chat::Typing { active })?;
    let Some(seed) = transaction.load(&key::group_access(group_id))? else { return Ok(()) };
    let correlation = Correlation::Group(GroupCorrelation::Signal(*group_id));
    transaction.signal_group(append::connection(&group), reader(&group, &seed)?, signal, correlation);
    Ok(())
}

/// Takes a signal in. What is of another epoch, of nobody, or of this very device is passed over.
pub(in crate::engine) fn received(transaction: &mut Transaction<'_>, signal: &GroupSignal) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let group = load(transaction, &signal.group)?;
    if !is_read(&group) || group.epoch != signal.epoch {
        return Ok(());
    }
    let mls = OpenGroup::load(transaction, &signal.group)?;
    let Ok(opened) = mls.open_signal(&signal.signal) else { return Ok(()) };
    let (by, device) = (opened.sender.address, opened.sender.device_id);
    let is_own = by == *own.address() && device == own.record.device_id;
    if let (Chat::Typing { active }, false) = (opened.chat, is_own) {
        tell(transaction, &signal.group, GroupEvent::Typing { by, device, active, at: opened.at });
    }
    Ok(())
}
