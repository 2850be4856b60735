//! What the policy of an organisation keeps its members from, and what an owner's device does in its groups by itself.

use medipeps_core::Address;
use medipeps_core::organisation::{MembershipError, OrganisationService};
use medipeps_core::wire::client_records::{
    GroupChangeKind, GroupRecord, GroupRoleRecord, GroupStanding, OrganisationRecord, OrganisationStanding,
};

use super::outcome::membership_code;
use super::summary::service_name;
use super::{OrganisationEvent, OrganisationProblem, chain_of, load_trusted, member, tell};
use crate::engine::account::OwnDevice;
use crate::engine::group;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction, go_on};
use crate::limits::{ORGANISATION_ASK_MS, ORGANISATION_SIGN_AGAIN_MS};

/// Refuses what an organisation whose member this account is has switched off. A fork lifts nothing: the last statement that
/// was trusted goes on.
pub(in crate::engine) fn check_service(
    transaction: &mut Transaction<'_>,
    service: OrganisationService,
) -> Result<(), Stop> {
    for (_, record) in transaction.scan::<OrganisationRecord>(class::ORGANISATION)? {
        if record.certificate.is_none() || record.standing == OrganisationStanding::Offered {
            continue;
        }
        let own = OwnDevice::load(transaction)?;
        let chain = chain_of(&record)?;
        if chain.current().policy().is_on(service) {
            continue;
        }
        // Who is a member no more is bound by nothing. In a fork nobody is known to be, so the certificate's word is taken.
        let now = transaction.now.0;
        let standing = member::membership(transaction, &own, &record, own.address(), now)?;
        if matches!(standing, Some(Ok(_))) {
            let organisation = chain.current().name().to_owned();
            return Err(OrganisationProblem::ServiceOff { service: service_name(service), organisation }.into());
        }
    }
    Ok(())
}

/// The joined organisation with this address.
fn of_address(transaction: &mut Transaction<'_>, address: &Address) -> Result<Option<OrganisationRecord>, Stop> {
    for (_, record) in transaction.scan::<OrganisationRecord>(class::ORGANISATION)? {
        if record.standing != OrganisationStanding::Offered && chain_of(&record)?.current().address() == address {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// A new group of an organisation: who makes it and who is in it are certified, and nothing is kept too long. The
/// organisation's address.
pub(in crate::engine) fn check_group(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    id: &medipeps_core::organisation::OrganisationId,
    (members, retention_days): (&[(Address, GroupRoleRecord)], u32),
) -> Result<Address, Stop> {
    let record = load_trusted(transaction, id)?;
    let now = transaction.now.0;
    if !matches!(member::membership(transaction, own, &record, own.address(), now)?, Some(Ok(_))) {
        return Err(OrganisationProblem::NotCertified.into());
    }
    for (address, _) in members {
        check_member(transaction, own, &record, address)?;
    }
    check_days(&record, retention_days)?;
    Ok(chain_of(&record)?.current().address().clone())
}

/// Refuses to take somebody into a group of an organisation who is not certified, as far as is known here.
pub(in crate::engine) fn check_addition(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    group: &GroupRecord,
    address: &Address,
) -> Result<(), Stop> {
    let Some(organisation) = &group.organisation else { return Ok(()) };
    let record = of_address(transaction, organisation)?.ok_or(OrganisationProblem::Unknown)?;
    check_trusted(&record)?;
    check_member(transaction, own, &record, address)
}

/// Refuses to keep messages of a group longer than its organisation does.
pub(in crate::engine) fn check_retention(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    days: u32,
) -> Result<(), Stop> {
    let Some(organisation) = &group.organisation else { return Ok(()) };
    match of_address(transaction, organisation)? {
        Some(record) => Ok(check_days(&record, days)?),
        None => Err(OrganisationProblem::Unknown.into()),
    }
}

fn check_trusted(record: &OrganisationRecord) -> Result<(), OrganisationProblem> {
    match record.standing {
        OrganisationStanding::Forked => Err(OrganisationProblem::Forked),
        _ => Ok(()),
    }
}

fn check_member(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    address: &Address,
) -> Result<(), Stop> {
    match member::membership(transaction, own, record, address, transaction.now.0)? {
        Some(Ok(_)) => Ok(()),
        _ => Err(OrganisationProblem::MemberNotCertified(address.clone()).into()),
    }
}

fn check_days(record: &OrganisationRecord, days: u32) -> Result<(), OrganisationProblem> {
    let chain = chain_of(record)?;
    match chain.current().policy().retention_days {
        Some(max) if days == 0 || days > max => {
            Err(OrganisationProblem::RetentionTooLong { max, organisation: chain.current().name().to_owned() })
        }
        _ => Ok(()),
    }
}

/// Holds every group of an organisation against certificates and policy; what an owner's device can do about it, it does. Whether the
/// server's time is awaited for it.
pub(super) fn enforce(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
) -> Result<bool, Stop> {
    let chain = chain_of(record)?;
    let now = transaction.now.0;
    let mut waits = false;
    if record.certificate.is_some()
        && let Some(Err(error)) = member::membership(transaction, own, record, own.address(), now)?
    {
        tell(transaction, &record.id, OrganisationEvent::NotCertified { code: membership_code(&error).to_owned() });
    }
    for (_, group) in transaction.scan::<GroupRecord>(class::GROUP)? {
        if group.standing == GroupStanding::Active && group.organisation.as_ref() == Some(chain.current().address()) {
            match enforce_in(transaction, own, record, group) {
                Ok(waiting) => waits |= waiting,
                missing => go_on(missing)?,
            }
        }
    }
    Ok(waits)
}

fn enforce_in(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    mut group: GroupRecord,
) -> Result<bool, Stop> {
    let roster = transaction.load(&key::group_roster(&group.log_id))?.unwrap_or_default();
    let is_owner = |address: &Address| {
        roster.members.iter().any(|member| member.address == *address && member.role == GroupRoleRecord::Owner)
    };
    if !is_owner(own.address()) {
        return Ok(false);
    }
    let mut waits = false;
    let (before, now) = (group.clone(), transaction.now.0);
    if let Err(OrganisationProblem::RetentionTooLong { max, .. }) = check_days(record, roster.retention_days) {
        group::want(&mut group, GroupChangeKind::Retention(max), now);
    }
    for member in roster.members.iter().filter(|member| member.address != *own.address()) {
        let standing = member::membership(transaction, own, record, &member.address, now)?;
        let code = match standing {
            Some(Ok(_)) => continue,
            Some(Err(error)) => match is_over(record, &group, &error, now)? {
                Over::Yes => membership_code(&error),
                Over::No => continue,
                Over::AskTheServer => {
                    // By this clock it is over, by nobody else's yet. An entry of one's own brings the server's time.
                    if now.abs_diff(group.time_asked) >= ORGANISATION_ASK_MS {
                        (group.time_asked, waits) = (now, true);
                        group::want(&mut group, GroupChangeKind::Update, now);
                    }
                    continue;
                }
            },
            None => {
                // Somebody else has taken him in, and knows him; this device asks him for his certificate.
                let known = super::member_of(transaction, &record.id, &member.address)?;
                if now.abs_diff(known.asked) >= ORGANISATION_ASK_MS
                    && matches!(member::membership(transaction, own, record, own.address(), now)?, Some(Ok(_)))
                {
                    member::show(transaction, own, record, &member.address, true)?;
                }
                continue;
            }
        };
        if group::want(&mut group, GroupChangeKind::Remove(member.address.clone()), now) {
            let event = OrganisationEvent::TakingOut {
                group: group.log_id,
                address: member.address.clone(),
                code: code.to_owned(),
            };
            tell(transaction, &record.id, event);
        }
    }
    if group != before {
        transaction.store(&key::group(&group.log_id), &group);
    }
    Ok(waits)
}

/// Whether a certificate that does not hold is a reason to take its owner out of a group.
enum Over {
    Yes,
    No,
    /// If the server's time says so too.
    AskTheServer,
}

fn is_over(
    record: &OrganisationRecord,
    group: &GroupRecord,
    error: &MembershipError,
    now: u64,
) -> Result<Over, OrganisationProblem> {
    Ok(match error {
        MembershipError::Revoked | MembershipError::OtherAccount => Over::Yes,
        // This device's clock may be ahead; a wrong one must not empty a group.
        MembershipError::Expired { ends } if group.server_time >= *ends => Over::Yes,
        MembershipError::Expired { .. } => Over::AskTheServer,
        // An administrator has gone, and the others have some time to sign again.
        MembershipError::NotEnoughSignatures { .. } => {
            let issued = chain_of(record)?.current().issued();
            match now.saturating_sub(issued) > ORGANISATION_SIGN_AGAIN_MS {
                true => Over::Yes,
                false => Over::No,
            }
        }
        _ => Over::No,
    })
}
