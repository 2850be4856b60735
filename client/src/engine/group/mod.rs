//! Groups on a device: what a person asks for becomes entries of a group's log, and what is read there becomes messages.
//! `spec/client-engine.md`, section "Groups".
//!
//! Everything is applied in the order of the log, this device's own entries included: whether the server's answer to an
//! append came or not, the log tells. Nothing leaves before the state that made it is stored.

mod append;
mod blob;
mod case;
mod change;
mod commit;
mod creation;
mod device_list;
mod file;
mod invitation;
mod key_packages;
mod log_restore;
mod mailbox;
mod mailbox_view;
mod message;
mod mls;
mod outcome;
mod read_position;
mod reading;
mod rejoin;
mod report;
mod retention;
mod successor;
mod summary;
mod typing;
mod wake;

use std::collections::BTreeSet;

use medipeps_core::wire::client_records::{GroupChangeKind, GroupRecord, GroupStanding};
use medipeps_core::wire::transport::ErrorCode;

use super::account::OwnDevice;
use super::outcome::Event;
use super::records::{class, key};
use super::transaction::{Stop, Transaction, go_on};
use crate::limits::GROUP_UPDATE_MS;

pub use blob::GroupBlobRequest;
pub use case::{CaseDetail, CaseFold, CaseList, CaseSummary, SendToCase};
pub use change::GroupChange;
pub use creation::CreateGroup;
pub use mailbox_view::{MailboxMail, MailboxView};
pub use message::{SendToGroup, thread_of};
pub use outcome::{GroupCorrelation, GroupEvent, GroupInput, GroupProblem};
pub use read_position::ReadPosition;
pub use reading::{GroupEntries, GroupReader, reader};
pub use report::{ReportMessage, report_of};
pub use summary::{GroupMember, GroupMessage, GroupSummary, Wakes};
pub use typing::GroupSignal;

pub(super) use change::want;
pub(super) use device_list::contact_confirmed;
pub(crate) use file::place_of as place_of_upload;
pub(super) use file::waiting as waiting_for_upload;
pub(super) use invitation::{received as invitation_received, sender_checked};
pub(super) use key_packages::begin as begin_key_packages;
pub(super) use mailbox::arrived as mail_arrived;
pub(super) use message::say;
pub(super) use outcome::{handle, reply};
pub(super) use rejoin::{
    answered_by as rejoin_answered, requested as rejoin_requested, requested_unchecked as rejoin_requested_unchecked,
    restored, rolled_back,
};

/// Names a group: the id of its log.
pub type GroupId = [u8; 32];

/// Does for each group what is due: what is to be appended, and what is to be read.
pub(super) fn send_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    // Before the groups are looked at: what is posted goes out with this tick.
    go_on(mailbox::work_due(transaction))?;
    let groups = transaction.scan::<GroupRecord>(class::GROUP)?;
    if groups.is_empty() {
        return Ok(());
    }
    let own = OwnDevice::load_working(transaction)?;
    for (_, group) in groups {
        go_on(retention::delete_due(transaction, &group.log_id))?;
        if unreachable.contains(&group.domain) {
            continue;
        }
        // What has just been deleted is in the record.
        let Ok(group) = load(transaction, &group.log_id) else { continue };
        // A group that misses a record does not keep the others from asking for theirs.
        go_on(send_due_of(transaction, &own, group))?;
    }
    Ok(())
}

/// Where a group's log is.
pub(super) fn domain_of(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<Option<String>, Stop> {
    Ok(transaction.load(&key::group(group_id))?.map(|group| group.domain))
}

/// Tokens have come for a domain: what waited for them is due at once.
pub(super) fn due_again(transaction: &mut Transaction<'_>, domain: &str) -> Result<(), Stop> {
    use ErrorCode::{PriceNotPaid, TokenRefused, TokenSpent, UnknownIssuerKey};
    let unpaid = [PriceNotPaid, TokenRefused, TokenSpent, UnknownIssuerKey].map(ErrorCode::name);
    for (_, mut group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        if group.domain == domain && group.problem.as_deref().is_some_and(|problem| unpaid.contains(&problem)) {
            (group.attempts, group.next_attempt, group.problem) = (0, 0, None);
            store(transaction, &group);
        }
    }
    Ok(())
}

fn send_due_of(transaction: &mut Transaction<'_>, own: &OwnDevice, group: GroupRecord) -> Result<(), Stop> {
    match group.standing {
        GroupStanding::Making => append::create_log(transaction, &group),
        GroupStanding::Joining => blob::fetch_due(transaction, &group),
        GroupStanding::Active => {
            blob::upload_due(transaction, &group)?;
            renew_keys(transaction, &group);
            let group = load(transaction, &group.log_id)?;
            device_list::follow_own_statement(transaction, own, &group)?;
            change::ask_due(transaction, own, &group.log_id)?;
            log_restore::work_due(transaction, &group.log_id)?;
            append::send_due(transaction, own, &group.log_id)?;
            reading::read_due(transaction, &group.log_id)?;
            let group = load(transaction, &group.log_id)?;
            wake::tell_due(transaction, &group)
        }
        GroupStanding::Leaving => {
            wake::tell_due(transaction, &group)?;
            log_restore::work_due(transaction, &group.log_id)?;
            append::send_due(transaction, own, &group.log_id)?;
            reading::read_due(transaction, &group.log_id)
        }
        // Nobody helps back into a group that goes on elsewhere.
        GroupStanding::Rejoining if group.successor.is_some() => Ok(()),
        GroupStanding::Rejoining => {
            successor::consider(transaction, own, &group.log_id)?;
            let group = load(transaction, &group.log_id)?;
            rejoin::ask_due(transaction, own, &group)
        }
        GroupStanding::Broken => {
            successor::tidy(transaction, &group)?;
            wake::tell_due(transaction, &group)
        }
        GroupStanding::Left | GroupStanding::Removed => wake::tell_due(transaction, &group),
    }
}

/// Once a week this device's keys in a group are renewed, so that who has had them has them no longer.
fn renew_keys(transaction: &mut Transaction<'_>, group: &GroupRecord) {
    let now = transaction.now.0;
    let age = now.checked_sub(group.updated);
    if group.successor.is_none() && age.is_none_or(|age| age >= GROUP_UPDATE_MS) {
        let mut group = group.clone();
        group.updated = now;
        change::want(&mut group, GroupChangeKind::Update, now);
        store(transaction, &group);
    }
}

/// A group that this device knows.
fn load(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<GroupRecord, Stop> {
    Ok(transaction.load(&key::group(group_id))?.ok_or(GroupProblem::Unknown)?)
}

/// One that it can write to.
fn load_active(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<GroupRecord, Stop> {
    let group = load(transaction, group_id)?;
    match group.standing {
        GroupStanding::Active | GroupStanding::Making => Ok(group),
        standing => Err(GroupProblem::Closed(standing).into()),
    }
}

fn store(transaction: &mut Transaction<'_>, group: &GroupRecord) {
    transaction.store(&key::group(&group.log_id), group);
}

/// Tells the shell after the commit.
fn tell(transaction: &mut Transaction<'_>, group: &GroupId, event: GroupEvent) {
    transaction.event(Event::Group { group: *group, event });
}
