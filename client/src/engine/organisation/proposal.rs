//! What an administrator drafts: an organisation, its next statement, a member's certificate.

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{Author, OrganisationDraft};
use medipeps_core::organisation::{
    BreakGlass, MemberCertificate, OnCallEntry, OrganisationId, OrganisationPolicy, OrganisationService,
    OrganisationStatement, StatementDraft,
};
use medipeps_core::wire::client_records::OrganisationDraftRecord;
use rand_core::Rng;

use super::{OrganisationProblem, chain_of, draft, load_trusted, member, members_of};
use crate::engine::account::OwnDevice;
use crate::engine::contact;
use crate::engine::outcome::EngineError;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};

/// Bits of a serial below the milliseconds: drawn, so that two administrators who certify in the same millisecond, on
/// different machines, do not take the same.
const SERIAL_RANDOM_BITS: u32 = 20;

/// A new organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOrganisation {
    /// The organisation's account; it never changes.
    pub address: Address,
    /// Its name.
    pub name: String,
    /// Who administers it, and where they are reached if that is known.
    pub administrators: Vec<(VerifyingKey, Option<Address>)>,
    /// How many of them must sign.
    pub threshold: u32,
    /// The policy.
    pub policy: OrganisationPolicy,
}

/// What the next statement of an organisation is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposeStatement {
    /// Which organisation.
    pub organisation: OrganisationId,
    /// In this order.
    pub changes: Vec<StatementChange>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementChange {
    /// Call it otherwise.
    Name(String),
    /// One more administrator, and where he is reached if that is known.
    AddAdministrator(VerifyingKey, Option<Address>),
    /// One administrator less.
    RemoveAdministrator(VerifyingKey),
    /// How many administrators must sign from then on.
    Threshold(u32),
    /// What is switched on.
    Services(Vec<OrganisationService>),
    /// How many members there may be at a time.
    Seats(u32),
    /// How many days members keep what they get.
    Retention(Option<u32>),
    /// Who gets reports.
    Officer(Option<Address>),
    /// Who is on call when.
    OnCall(Vec<OnCallEntry>),
    /// Who may break the glass.
    BreakGlass(Option<BreakGlass>),
    /// Certificates with these serials do not hold any more.
    RevokeSerials(Vec<u64>),
    /// All certificates of this account, as far as they are known here, do not hold any more.
    RevokeAccount(Address),
    /// Certificates with lower serials do not hold any more.
    SerialsFrom(u64),
}

/// A member to be certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certify {
    /// By which organisation.
    pub organisation: OrganisationId,
    /// Who: a contact, or this account.
    pub address: Address,
    /// As what.
    pub role: String,
    /// From when it holds, in milliseconds since 1970; `None`: now.
    pub from: Option<u64>,
    /// From when it does not hold, in milliseconds since 1970.
    pub ends: u64,
}

pub(super) fn create(transaction: &mut Transaction<'_>, command: &CreateOrganisation) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let keys: Vec<VerifyingKey> = command.administrators.iter().map(|(key, _)| *key).collect();
    let administrators = (keys.as_slice(), command.threshold);
    let (policy, now) = (command.policy.clone(), transaction.now.0);
    let made = StatementDraft::new(&command.address, &command.name, None, administrators, policy, now);
    let statement = made.and_then(|made| made.preview()).map_err(OrganisationProblem::from)?;
    let administrators = reached(&command.administrators);
    put_statement(transaction, &own, OrganisationId(statement.hash()), statement, administrators)
}

pub(super) fn propose(transaction: &mut Transaction<'_>, command: &ProposeStatement) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let record = load_trusted(transaction, &command.organisation)?;
    let chain = chain_of(&record)?;
    let current = chain.current();
    let mut name = current.name().to_owned();
    let mut administrators = current.administrators().to_vec();
    let (mut threshold, mut policy) = (current.threshold(), current.policy().clone());
    let mut reached_at = record.administrators.clone();
    for change in &command.changes {
        match change {
            StatementChange::Name(to) => name.clone_from(to),
            StatementChange::AddAdministrator(key, address) => {
                if !administrators.contains(key) {
                    administrators.push(*key);
                }
                reached_at.extend(reached(&[(*key, address.clone())]));
            }
            StatementChange::RemoveAdministrator(key) => {
                if !administrators.contains(key) {
                    return Err(OrganisationProblem::NotListed.into());
                }
                administrators.retain(|one| one != key);
            }
            StatementChange::Threshold(to) => threshold = *to,
            StatementChange::Services(services) => {
                policy.services.clone_from(services);
                policy.services.sort_unstable_by_key(|service| service.number());
                policy.services.dedup();
            }
            StatementChange::Seats(seats) => policy.seats = *seats,
            StatementChange::Retention(days) => policy.retention_days = *days,
            StatementChange::Officer(officer) => policy.officer.clone_from(officer),
            StatementChange::OnCall(entries) => {
                policy.on_call.clone_from(entries);
                policy.on_call.sort_by_key(|entry| entry.from);
            }
            StatementChange::BreakGlass(glass) => policy.break_glass.clone_from(glass),
            StatementChange::RevokeSerials(serials) => revoke(&mut policy, serials),
            StatementChange::RevokeAccount(address) => {
                let serials = serials_of(transaction, &own, &record, address)?;
                if serials.is_empty() {
                    return Err(OrganisationProblem::NoCertificate(address.clone()).into());
                }
                revoke(&mut policy, &serials);
            }
            StatementChange::SerialsFrom(serial) => {
                policy.serials_from = *serial;
                policy.revoked.retain(|revoked| revoked >= serial);
            }
        }
    }
    let same_people = {
        let mut sorted = administrators.clone();
        sorted.sort_unstable();
        sorted == current.administrators() && threshold == current.threshold()
    };
    if same_people && name == current.name() && policy == *current.policy() {
        return Err(OrganisationProblem::NothingChanged.into());
    }
    let administrators = (administrators.as_slice(), threshold);
    let now = transaction.now.0;
    let made = StatementDraft::new(current.address(), &name, Some(current), administrators, policy, now);
    let statement = made.and_then(|made| made.preview()).map_err(OrganisationProblem::from)?;
    put_statement(transaction, &own, command.organisation, statement, reached_at)
}

fn put_statement(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    organisation: OrganisationId,
    statement: OrganisationStatement,
    administrators: Vec<(VerifyingKey, Address)>,
) -> Result<(), Stop> {
    let record = OrganisationDraftRecord {
        organisation,
        draft: OrganisationDraft::Statement(statement.encoded()),
        created: transaction.now.0,
        from: None,
        signed: false,
        administrators,
    };
    draft::begin(transaction, own, statement.draft_id(), record)
}

pub(super) fn certify(transaction: &mut Transaction<'_>, command: &Certify) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let record = load_trusted(transaction, &command.organisation)?;
    let account = if command.address == *own.address() {
        Author { address: own.address().clone(), account_key: own.statement.account_key() }
    } else {
        let pinned = contact::pinned(transaction, &command.address)?;
        let statement = pinned.ok_or_else(|| EngineError::UnknownContact(command.address.clone()))?;
        Author { address: command.address.clone(), account_key: statement.account_key() }
    };
    let now = transaction.now.0;
    let issued = command.from.unwrap_or(now);
    if command.ends <= now || command.ends <= issued {
        return Err(OrganisationProblem::AlreadyEnded.into());
    }
    draft::check_seats(transaction, &own, &record, &command.address)?;
    let serial = next_serial(transaction, &own, &record)?;
    let made = MemberCertificate::draft(command.organisation, serial, &account, &command.role, issued, command.ends);
    put_certificate(transaction, &own, &record.administrators, made.map_err(OrganisationProblem::from)?)
}

/// Certificates that hold but for signatures of administrators who have gone: drafted again as they are, with the
/// signatures that still count.
pub(super) fn sign_again(transaction: &mut Transaction<'_>, organisation: &OrganisationId) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let record = load_trusted(transaction, organisation)?;
    let chain = chain_of(&record)?;
    let mut certificates: Vec<Vec<u8>> =
        members_of(transaction, organisation)?.into_iter().flat_map(|member| member.certificates).collect();
    certificates.extend(record.certificate.clone());
    let mut any = false;
    for encoded in certificates {
        let Ok(certificate) = MemberCertificate::decode(&encoded) else { continue };
        let account = certificate.account();
        let lacks = chain.membership(&certificate, &account, transaction.now.0.max(certificate.period().0));
        let Err(medipeps_core::organisation::MembershipError::NotEnoughSignatures { .. }) = lacks else { continue };
        if certificate.period().1 <= transaction.now.0 || chain.current().policy().is_revoked(certificate.serial()) {
            continue;
        }
        any = true;
        put_certificate(transaction, &own, &record.administrators, certificate)?;
    }
    if any { Ok(()) } else { Err(OrganisationProblem::NothingChanged.into()) }
}

fn put_certificate(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    administrators: &[(VerifyingKey, Address)],
    certificate: MemberCertificate,
) -> Result<(), Stop> {
    let record = OrganisationDraftRecord {
        organisation: certificate.organisation(),
        draft: OrganisationDraft::Certificate(certificate.encoded()),
        created: transaction.now.0,
        from: None,
        signed: false,
        administrators: administrators.to_vec(),
    };
    draft::begin(transaction, own, certificate.draft_id(), record)
}

/// Milliseconds since 1970 and twenty random bits, and above all that are known here: no counter that a restored store, or
/// another administrator's machine, could take a second time. Rising, so that [`OrganisationPolicy::serials_from`] can void
/// all that were given before a time.
fn next_serial(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &medipeps_core::wire::client_records::OrganisationRecord,
) -> Result<u64, Stop> {
    let mut highest = chain_of(record)?.current().policy().serials_from;
    for member in members_of(transaction, &record.id)? {
        for serial in serials_of(transaction, own, record, &member.address)? {
            highest = highest.max(serial);
        }
    }
    for serial in serials_of(transaction, own, record, own.address())? {
        highest = highest.max(serial);
    }
    let random = u64::from(transaction.rng.next_u32()) & ((1 << SERIAL_RANDOM_BITS) - 1);
    let drawn = (transaction.now.0 << SERIAL_RANDOM_BITS) | random;
    Ok(drawn.max(highest.saturating_add(1 + random)))
}

/// Serials of the certificates of an account that are known here.
fn serials_of(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &medipeps_core::wire::client_records::OrganisationRecord,
    address: &Address,
) -> Result<Vec<u64>, Stop> {
    let certificates = match address == own.address() {
        true => record.certificate.iter().cloned().collect(),
        false => {
            let known = transaction.load(&key::organisation_member(&record.id, address))?;
            known.map(|known| known.certificates).unwrap_or_default()
        }
    };
    Ok(member::decoded(&certificates).map(|certificate| certificate.serial()).collect())
}

fn revoke(policy: &mut OrganisationPolicy, serials: &[u64]) {
    policy.revoked.extend(serials.iter().filter(|serial| **serial >= policy.serials_from));
    policy.revoked.sort_unstable();
    policy.revoked.dedup();
}

fn reached(administrators: &[(VerifyingKey, Option<Address>)]) -> Vec<(VerifyingKey, Address)> {
    administrators.iter().filter_map(|(key, address)| Some((*key, address.clone()?))).collect()
}
