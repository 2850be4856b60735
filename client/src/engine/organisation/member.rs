//! Certificates: the own one, and those that others have shown.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::kind::{Author, OrganisationMessage};
use medipeps_core::organisation::{MemberCertificate, Membership, MembershipError, OrganisationChain, OrganisationId};
use medipeps_core::wire::client_records::OrganisationRecord;

use super::outcome::membership_code;
use super::{
    OrganisationEvent, OrganisationProblem, chain_of, exchange, load_trusted, member_of, members_of, store_member, tell,
};
use crate::engine::account::OwnDevice;
use crate::engine::contact;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::ORGANISATION_CERTIFICATES_KEPT;

/// Those of these that can be read.
pub(super) fn decoded(certificates: &[Vec<u8>]) -> impl Iterator<Item = MemberCertificate> + '_ {
    certificates.iter().filter_map(|encoded| MemberCertificate::decode(encoded).ok())
}

/// The membership that the newest good one of these gives, or why none does.
pub(super) fn best(
    chain: &OrganisationChain,
    certificates: &[Vec<u8>],
    account: &Author,
    at: u64,
) -> Option<Result<Membership, MembershipError>> {
    let mut result = None;
    for certificate in decoded(certificates) {
        let judged = chain.membership(&certificate, account, at);
        if judged.is_ok() || !matches!(result, Some(Ok(_))) {
            result = Some(judged);
        }
    }
    result
}

/// Whether an account is a member at a time, as far as is known here. `None`: nothing is.
pub(super) fn membership(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    address: &Address,
    at: u64,
) -> Result<Option<Result<Membership, MembershipError>>, Stop> {
    let chain = chain_of(record)?;
    if address == own.address() {
        let account = Author { address: address.clone(), account_key: own.statement.account_key() };
        let certificates: Vec<_> = record.certificate.iter().cloned().collect();
        return Ok(best(&chain, &certificates, &account, at));
    }
    let Some(pinned) = contact::pinned(transaction, address)? else { return Ok(None) };
    let account = Author { address: address.clone(), account_key: pinned.account_key() };
    Ok(best(&chain, &member_of(transaction, &record.id, address)?.certificates, &account, at))
}

/// Everybody who has a certificate that holds now or will, as far as is known here, whatever account key it is for.
pub(super) fn certified(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
) -> Result<BTreeSet<Address>, Stop> {
    let (chain, now) = (chain_of(record)?, transaction.now.0);
    let holds = |certificates: &[Vec<u8>]| {
        decoded(certificates).any(|certificate| {
            let at = now.max(certificate.period().0);
            chain.membership(&certificate, &certificate.account(), at).is_ok()
        })
    };
    let mut certified = BTreeSet::new();
    if record.certificate.as_ref().is_some_and(|own| holds(std::slice::from_ref(own))) {
        certified.insert(own.address().clone());
    }
    let members = members_of(transaction, &record.id)?;
    certified.extend(members.into_iter().filter(|member| holds(&member.certificates)).map(|member| member.address));
    Ok(certified)
}

/// Stores a certificate that was judged: the own one, or another member's. The newest few of each are kept.
pub(super) fn keep(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    mut record: OrganisationRecord,
    certificate: &MemberCertificate,
) -> Result<OrganisationRecord, Stop> {
    let address = certificate.account().address;
    // It may have waited here for signatures.
    transaction.delete(&key::organisation_draft(&certificate.draft_id()));
    if address == *own.address() {
        record.certificate = Some(certificate.encoded());
        record.next_check = 0;
        transaction.store(&key::organisation(&record.id), &record);
        let (role, ends) = (certificate.role().to_owned(), certificate.period().1);
        tell(transaction, &record.id, OrganisationEvent::Certified { role, ends });
        return Ok(record);
    }
    let mut member = member_of(transaction, &record.id, &address)?;
    let mut all: Vec<MemberCertificate> = decoded(&member.certificates).collect();
    all.retain(|known| known.serial() != certificate.serial());
    all.push(certificate.clone());
    all.sort_by_key(MemberCertificate::serial);
    let from = all.len().saturating_sub(ORGANISATION_CERTIFICATES_KEPT);
    member.certificates = all[from..].iter().map(MemberCertificate::encoded).collect();
    store_member(transaction, &member);
    Ok(record)
}

/// Somebody has sent a certificate: this account's, his own, or, between administrators, another member's. Whose word it is
/// does not matter, since administrators have signed it.
pub(super) fn take(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    from: Option<&Author>,
    record: OrganisationRecord,
    encoded: &[u8],
) -> Result<OrganisationRecord, Stop> {
    let id = record.id;
    let sender = from.map(|author| author.address.clone());
    let refuse = |transaction: &mut Transaction<'_>, code: &str| {
        tell(transaction, &id, OrganisationEvent::Refused { from: sender.clone(), code: code.to_owned() });
    };
    let Ok(certificate) = MemberCertificate::decode(encoded) else {
        refuse(transaction, "certificate");
        return Ok(record);
    };
    let mut account = certificate.account();
    if account.address == *own.address() {
        account.account_key = own.statement.account_key();
    } else if let Some(from) = from.filter(|from| from.address == account.address) {
        account.account_key = from.account_key;
    }
    let now = transaction.now.0;
    let judged = chain_of(&record)?.membership(&certificate, &account, now);
    match judged {
        // One that begins later, or begins now by a clock that is ahead of this one, is kept until then.
        Ok(_) | Err(MembershipError::NotYet { .. }) => {}
        Err(error) => {
            refuse(transaction, membership_code(&error));
            return Ok(record);
        }
    }
    if account.address == *own.address() {
        let newer = |known: &Vec<u8>| {
            MemberCertificate::decode(known).is_ok_and(|known| {
                let better = known.serial() > certificate.serial();
                better && chain_of(&record).is_ok_and(|chain| chain.membership(&known, &account, now).is_ok())
            })
        };
        if record.certificate.as_ref().is_some_and(newer) {
            return Ok(record);
        }
        if record.certificate.as_deref() == Some(encoded) {
            return Ok(record);
        }
    } else {
        let known = member_of(transaction, &id, &account.address)?;
        if known.certificates.iter().any(|known| known == encoded) {
            return Ok(record);
        }
        if from.is_some_and(|from| from.address == account.address) {
            let (role, ends) = (certificate.role().to_owned(), certificate.period().1);
            tell(transaction, &id, OrganisationEvent::MemberSeen { address: account.address.clone(), role, ends });
        }
    }
    keep(transaction, own, record, &certificate)
}

/// Shows the own certificate to somebody: with all statements the first time, so that he can judge it.
pub(super) fn present(
    transaction: &mut Transaction<'_>,
    id: &OrganisationId,
    to: &Address,
    ask: bool,
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let record = load_trusted(transaction, id)?;
    if !matches!(membership(transaction, &own, &record, own.address(), transaction.now.0)?, Some(Ok(_))) {
        return Err(OrganisationProblem::NotCertified.into());
    }
    show(transaction, &own, &record, to, ask)
}

/// The same where it is known to hold.
pub(super) fn show(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    to: &Address,
    ask: bool,
) -> Result<(), Stop> {
    let mut member = member_of(transaction, &record.id, to)?;
    let (known, now) = (member.shown != 0, transaction.now.0.max(1));
    let after = if known { record.links.len() as u64 } else { 0 };
    let message = exchange::statements(transaction, record, after)?;
    let message = OrganisationMessage { certificate: record.certificate.clone(), ask, ..message };
    if exchange::send(transaction, own, to, &message)? {
        member.shown = now;
        if ask {
            member.asked = now;
        }
        store_member(transaction, &member);
    }
    Ok(())
}
