//! The chain of an organisation's statements as this device follows it.

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::organisation::{Advance, ChainError, OrganisationChain, OrganisationId, OrganisationStatement};
use medipeps_core::wire::client_records::{OrganisationDraftRecord, OrganisationRecord, OrganisationStanding};
use zeroize::Zeroizing;

use super::outcome::chain_code;
use super::{OrganisationEvent, OrganisationProblem, chain_of, load, members_of, tell};
use crate::engine::account::OwnDevice;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::ORGANISATIONS_OFFERED_MAX;

/// What became of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Took {
    /// Nothing that was not known.
    Nothing,
    /// There are newer ones now.
    Advanced,
    /// Those between the known ones and these are missing.
    Missing,
    /// It is forked now, or was before.
    Forked,
    /// Passed over, and told.
    Refused,
}

/// Takes statements in, in order.
pub(super) fn take(
    transaction: &mut Transaction<'_>,
    from: Option<&Address>,
    id: &OrganisationId,
    statements: &[Vec<u8>],
) -> Result<Took, Stop> {
    let mut took = Took::Nothing;
    for encoded in statements {
        match take_one(transaction, from, id, encoded)? {
            Took::Nothing => {}
            Took::Advanced => took = Took::Advanced,
            other => return Ok(other),
        }
    }
    Ok(took)
}

fn take_one(
    transaction: &mut Transaction<'_>,
    from: Option<&Address>,
    id: &OrganisationId,
    encoded: &[u8],
) -> Result<Took, Stop> {
    let Some(mut record) = transaction.load(&key::organisation(id))? else {
        return pin(transaction, from, id, encoded);
    };
    let is_rejected = |one: OrganisationStatement| record.rejected.contains(&one.hash());
    if OrganisationStatement::decode(encoded).is_ok_and(is_rejected) {
        return Ok(Took::Nothing);
    }
    let mut chain = chain_of(&record)?;
    let result = chain.advance(encoded);
    if record.standing == OrganisationStanding::Forked {
        // Nothing is taken until a person has decided.
        return Ok(if result == Ok(Advance::Known) { Took::Nothing } else { Took::Forked });
    }
    match result {
        Ok(Advance::Known) => Ok(Took::Nothing),
        Ok(Advance::Advanced) => {
            advanced(transaction, &mut record, &chain, encoded);
            // Somebody else has published what waited here for signatures.
            transaction.delete(&key::organisation_draft(&chain.current().draft_id()));
            Ok(Took::Advanced)
        }
        Err(ChainError::Forked { version }) => forked(transaction, from, record, (version, encoded)),
        Err(ChainError::Missing { .. }) => Ok(Took::Missing),
        Err(error) => refuse(transaction, from, id, chain_code(&error)),
    }
}

/// The newest statement is in the record, all are kept to be handed on.
pub(super) fn advanced(
    transaction: &mut Transaction<'_>,
    record: &mut OrganisationRecord,
    chain: &OrganisationChain,
    encoded: &[u8],
) {
    let version = chain.current().version();
    (record.links, record.current) = (chain.links().to_vec(), encoded.to_vec());
    // Certificates and groups are held against it with the next tick.
    record.next_check = 0;
    transaction.store(&key::organisation_statement(&record.id, version), &Zeroizing::new(encoded.to_vec()));
    transaction.store(&key::organisation(&record.id), record);
    tell(transaction, &record.id, OrganisationEvent::Advanced { version });
}

/// The first statement of an organisation that is not known here.
fn pin(
    transaction: &mut Transaction<'_>,
    from: Option<&Address>,
    id: &OrganisationId,
    encoded: &[u8],
) -> Result<Took, Stop> {
    let chain = match OrganisationChain::pin(encoded, *id) {
        Ok(chain) => chain,
        Err(ChainError::NotPinned) if OrganisationStatement::decode(encoded).is_ok_and(|one| one.version() > 1) => {
            return Ok(Took::Missing);
        }
        Err(error) => return refuse(transaction, from, id, chain_code(&error)),
    };
    // Whoever has signed it here as an administrator has seen what it says; everybody else is asked.
    let draft = transaction.load(&key::organisation_draft(&chain.current().draft_id()))?;
    let own = draft.as_ref().is_some_and(|draft| draft.signed);
    let offered = transaction.scan::<OrganisationRecord>(class::ORGANISATION)?;
    let waiting = offered.iter().filter(|(_, record)| record.standing == OrganisationStanding::Offered).count();
    if !own && waiting >= ORGANISATIONS_OFFERED_MAX {
        return refuse(transaction, from, id, "too_many_offers");
    }
    // What others send must not stop what else has come with it.
    if own && let Err(Stop::Failed(_)) = check_address(transaction, chain.current().address(), id) {
        return refuse(transaction, from, id, "organisation_address");
    }
    let name = chain.current().name().to_owned();
    let administrators = draft.map(|draft| draft.administrators).unwrap_or_default();
    begin(transaction, &chain, from, (administrators, own))?;
    if !own {
        tell(transaction, id, OrganisationEvent::Offered { name, by: from.cloned() });
    }
    Ok(Took::Advanced)
}

/// The record of an organisation that begins here. `joins`: this device has signed its first statement, or published it.
pub(super) fn begin(
    transaction: &mut Transaction<'_>,
    chain: &OrganisationChain,
    from: Option<&Address>,
    (administrators, joins): (Vec<(VerifyingKey, Address)>, bool),
) -> Result<(), Stop> {
    let (id, now) = (chain.id(), transaction.now.0);
    let encoded = chain.current().encoded();
    let standing = if joins { OrganisationStanding::Joined } else { OrganisationStanding::Offered };
    if joins {
        check_address(transaction, chain.current().address(), &id)?;
    }
    transaction.delete(&key::organisation_draft(&chain.current().draft_id()));
    let record = OrganisationRecord {
        id,
        standing,
        links: chain.links().to_vec(),
        current: encoded.clone(),
        offered_by: from.cloned(),
        joined: if joins { now } else { 0 },
        fork: None,
        certificate: None,
        administrators,
        rejected: Vec::new(),
        next_ask: now.saturating_add(crate::limits::ORGANISATION_ASK_MS),
        next_check: 0,
    };
    transaction.store(&key::organisation_statement(&id, 1), &Zeroizing::new(encoded));
    transaction.store(&key::organisation(&id), &record);
    if record.standing == OrganisationStanding::Joined {
        tell(transaction, &id, OrganisationEvent::Joined);
    }
    Ok(())
}

/// Two statements of one version, both signed. One against which a person has decided, and what is built on it, is passed
/// over from then on.
fn forked(
    transaction: &mut Transaction<'_>,
    from: Option<&Address>,
    mut record: OrganisationRecord,
    (version, encoded): (u64, &[u8]),
) -> Result<Took, Stop> {
    let other = OrganisationStatement::decode(encoded).map_err(OrganisationProblem::from)?;
    let known = |hash: &[u8; 32]| record.rejected.contains(hash);
    if known(&other.hash()) {
        return Ok(Took::Nothing);
    }
    if other.previous_hash().is_some_and(|hash| known(&hash)) {
        record.rejected.push(other.hash());
        transaction.store(&key::organisation(&record.id), &record);
        return Ok(Took::Nothing);
    }
    (record.standing, record.fork) = (OrganisationStanding::Forked, Some(encoded.to_vec()));
    transaction.store(&key::organisation(&record.id), &record);
    tell(transaction, &record.id, OrganisationEvent::Forked { version, by: from.cloned() });
    Ok(Took::Forked)
}

fn refuse(
    transaction: &mut Transaction<'_>,
    from: Option<&Address>,
    id: &OrganisationId,
    code: &str,
) -> Result<Took, Stop> {
    tell(transaction, id, OrganisationEvent::Refused { from: from.cloned(), code: code.to_owned() });
    Ok(Took::Refused)
}

/// Two organisations with one address could be taken for each other in groups.
fn check_address(transaction: &mut Transaction<'_>, address: &Address, id: &OrganisationId) -> Result<(), Stop> {
    for (_, other) in transaction.scan::<OrganisationRecord>(class::ORGANISATION)? {
        if other.id != *id && other.standing != OrganisationStanding::Offered {
            let taken = chain_of(&other)?.current().address().clone();
            if taken == *address {
                return Err(OrganisationProblem::AddressTaken(taken).into());
            }
        }
    }
    Ok(())
}

/// A person has compared the id.
pub(super) fn join(transaction: &mut Transaction<'_>, id: &OrganisationId) -> Result<(), Stop> {
    OwnDevice::load_working(transaction)?;
    let mut record = load(transaction, id)?;
    if record.standing != OrganisationStanding::Offered {
        return Err(OrganisationProblem::AlreadyJoined.into());
    }
    let address = chain_of(&record)?.current().address().clone();
    check_address(transaction, &address, id)?;
    (record.standing, record.joined, record.next_check) = (OrganisationStanding::Joined, transaction.now.0, 0);
    transaction.store(&key::organisation(id), &record);
    tell(transaction, id, OrganisationEvent::Joined);
    Ok(())
}

/// Everything of it is forgotten here. Administrator keys stay: they may be other organisations' too.
pub(super) fn leave(transaction: &mut Transaction<'_>, id: &OrganisationId) -> Result<(), Stop> {
    let record = load(transaction, id)?;
    for version in 1..=record.links.len() as u64 {
        transaction.delete(&key::organisation_statement(id, version));
    }
    for member in members_of(transaction, id)? {
        transaction.delete(&key::organisation_member(id, &member.address));
    }
    for (key, draft) in transaction.scan::<OrganisationDraftRecord>(class::ORGANISATION_DRAFT)? {
        if draft.organisation == *id {
            transaction.delete(&key);
        }
    }
    transaction.delete(&key::organisation(id));
    Ok(())
}

/// A person has decided which side of a fork is to be trusted. The other one, and what is built on it, is passed over.
pub(super) fn resolve(transaction: &mut Transaction<'_>, id: &OrganisationId, take_other: bool) -> Result<(), Stop> {
    let mut record = load(transaction, id)?;
    let Some(fork) = record.fork.take().filter(|_| record.standing == OrganisationStanding::Forked) else {
        return Err(OrganisationProblem::NotForked.into());
    };
    let other = OrganisationStatement::decode(&fork).map_err(OrganisationProblem::from)?;
    record.standing = OrganisationStanding::Joined;
    // What follows on either side is asked for at once.
    (record.next_check, record.next_ask) = (0, 0);
    if !take_other {
        // The one that it is built on is on the other side as well, if it is none of this one's.
        let built_on = other.previous_hash().filter(|hash| !record.links.iter().any(|link| link.hash == *hash));
        record.rejected.extend([other.hash()].into_iter().chain(built_on));
        transaction.store(&key::organisation(id), &record);
        tell(transaction, id, OrganisationEvent::Resolved);
        return Ok(());
    }
    let chain = chain_of(&record)?;
    let place = record.links.iter().position(|link| Some(link.hash) == other.previous_hash());
    let kept = match place {
        Some(place) => place as u64 + 1,
        // Built on a statement that is not here: from the last version on which both sides agree for sure.
        None => other.version().saturating_sub(2).max(1),
    };
    let earlier = transaction.load(&key::organisation_statement(id, kept))?.ok_or(OrganisationProblem::Unknown)?;
    record.rejected.extend(record.links.iter().skip(kept as usize).map(|link| link.hash));
    for version in kept + 1..=record.links.len() as u64 {
        transaction.delete(&key::organisation_statement(id, version));
    }
    let mut chain = chain.cut_back(&earlier).map_err(OrganisationProblem::from)?;
    (record.links, record.current) = (chain.links().to_vec(), earlier.to_vec());
    match place {
        Some(_) => {
            chain.advance(&fork).map_err(OrganisationProblem::from)?;
            advanced(transaction, &mut record, &chain, &fork);
        }
        None => transaction.store(&key::organisation(id), &record),
    }
    tell(transaction, id, OrganisationEvent::Resolved);
    Ok(())
}
