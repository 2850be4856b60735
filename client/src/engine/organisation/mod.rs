//! Organisations on a device: who administers one, who belongs to it, and what its policy allows here.
//! `spec/organisation.md`; on a device `spec/client-engine.md`, section "Organisations".
//!
//! The server has no part in any of it: statements, certificates and what is to be signed go over 1:1, or in files by hand.

mod administrator;
mod break_glass;
mod chain;
mod draft;
mod enforcement;
mod exchange;
mod member;
mod outcome;
mod proposal;
mod summary;

use std::collections::BTreeSet;

use medipeps_core::organisation::{OrganisationChain, OrganisationId};
use medipeps_core::wire::client_records::{OrganisationMemberRecord, OrganisationRecord, OrganisationStanding};
use rand_core::Rng;

use super::account::OwnDevice;
use super::outcome::Event;
use super::records::{class, key};
use super::transaction::{Stop, Transaction, go_on};
use crate::limits::{ORGANISATION_ASK_MS, ORGANISATION_ASK_PAUSE_MS, ORGANISATION_CHECK_MS};

pub use break_glass::BreakGlassInput;
pub use outcome::{OrganisationEvent, OrganisationInput, OrganisationProblem};
pub use proposal::{Certify, CreateOrganisation, ProposeStatement, StatementChange};
pub use summary::{
    AdministratorKeySummary, BreakGlassSummary, Certified, DraftSummary, Fork, MemberStanding, MemberSummary, OnCall,
    OrganisationSummary, service_name,
};

pub(super) use break_glass::{said_in_group, told as break_glass_told};
pub(super) use enforcement::{check_addition, check_group, check_retention, check_service};
pub(super) use exchange::{received, sender_checked};
pub(super) use outcome::handle;

/// Does what is due: a colleague is asked for newer statements, and groups are held against certificates and policy.
pub(super) fn send_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    let records = transaction.scan::<OrganisationRecord>(class::ORGANISATION)?;
    for (_, record) in records {
        if record.standing != OrganisationStanding::Joined {
            continue;
        }
        // One that misses a record does not keep the others from asking for theirs.
        go_on(send_due_of(transaction, record, unreachable))?;
    }
    Ok(())
}

fn send_due_of(
    transaction: &mut Transaction<'_>,
    mut record: OrganisationRecord,
    unreachable: &BTreeSet<String>,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    let is_due = |next: u64, longest: u64| next <= now || next - now > longest;
    let (asks, checks) =
        (is_due(record.next_ask, 2 * ORGANISATION_ASK_MS), is_due(record.next_check, ORGANISATION_CHECK_MS));
    if !asks && !checks {
        return Ok(());
    }
    let own = OwnDevice::load_working(transaction)?;
    if checks {
        let waits = enforcement::enforce(transaction, &own, &record)?;
        record = load(transaction, &record.id)?;
        record.next_check = now.saturating_add(if waits { ORGANISATION_ASK_PAUSE_MS } else { ORGANISATION_CHECK_MS });
    }
    if asks {
        exchange::ask_a_colleague(transaction, &own, &record, unreachable)?;
        let jitter = u64::from(transaction.rng.next_u32()) % (ORGANISATION_ASK_MS / 4);
        record.next_ask = now.saturating_add(ORGANISATION_ASK_MS - jitter);
    }
    transaction.store(&key::organisation(&record.id), &record);
    Ok(())
}

/// An organisation that this device knows.
fn load(transaction: &mut Transaction<'_>, id: &OrganisationId) -> Result<OrganisationRecord, Stop> {
    Ok(transaction.load(&key::organisation(id))?.ok_or(OrganisationProblem::Unknown)?)
}

/// One that a person has confirmed, and that nobody has forked.
fn load_trusted(transaction: &mut Transaction<'_>, id: &OrganisationId) -> Result<OrganisationRecord, Stop> {
    let record = load(transaction, id)?;
    match record.standing {
        OrganisationStanding::Joined => Ok(record),
        OrganisationStanding::Offered => Err(OrganisationProblem::NotJoined.into()),
        OrganisationStanding::Forked => Err(OrganisationProblem::Forked.into()),
    }
}

fn chain_of(record: &OrganisationRecord) -> Result<OrganisationChain, OrganisationProblem> {
    Ok(OrganisationChain::from_stored(record.links.clone(), &record.current)?)
}

/// What is known of another member; an empty record if nothing is.
fn member_of(
    transaction: &mut Transaction<'_>,
    id: &OrganisationId,
    address: &medipeps_core::Address,
) -> Result<OrganisationMemberRecord, Stop> {
    let known = transaction.load(&key::organisation_member(id, address))?;
    Ok(known.unwrap_or_else(|| OrganisationMemberRecord {
        organisation: *id,
        address: address.clone(),
        certificates: Vec::new(),
        shown: 0,
        asked: 0,
    }))
}

/// All other members of an organisation of whom something is known.
fn members_of(transaction: &mut Transaction<'_>, id: &OrganisationId) -> Result<Vec<OrganisationMemberRecord>, Stop> {
    let all = transaction.scan::<OrganisationMemberRecord>(class::ORGANISATION_MEMBER)?;
    Ok(all.into_iter().map(|(_, member)| member).filter(|member| member.organisation == *id).collect())
}

fn store_member(transaction: &mut Transaction<'_>, member: &OrganisationMemberRecord) {
    transaction.store(&key::organisation_member(&member.organisation, &member.address), member);
}

/// Tells the shell after the commit.
fn tell(transaction: &mut Transaction<'_>, organisation: &OrganisationId, event: OrganisationEvent) {
    transaction.event(Event::Organisation { organisation: *organisation, event });
}
