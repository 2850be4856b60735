//! What members and administrators tell each other over 1:1, in pieces where it is large; and the same out of files.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{Author, Body, OrganisationMessage, OrganisationPiece};
use medipeps_core::limits::ORGANISATION_MESSAGE_LENGTH_MAX;
use medipeps_core::organisation::OrganisationId;
use medipeps_core::wire::client_records::{
    OrganisationArrivalRecord, OrganisationMemberRecord, OrganisationRecord, OrganisationStanding,
};
use rand_core::Rng;

use super::chain::Took;
use super::{
    OrganisationEvent, OrganisationProblem, chain, chain_of, draft, load_trusted, member, member_of, members_of,
    store_member, tell,
};
use crate::engine::account::OwnDevice;
use crate::engine::records::{class, key};
use crate::engine::sesame::PeerDevice;
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::{composition, contact};
use crate::limits::{ORGANISATION_ARRIVALS_MAX, ORGANISATION_ASK_PAUSE_MS};

/// Bytes of statements in one message: what is left is asked for by who gets it.
const STATEMENTS_LENGTH_MAX: usize = ORGANISATION_MESSAGE_LENGTH_MAX - (64 << 10);

/// Puts a message into the outbox. False, and told, if the recipient belongs to another domain and is no contact.
pub(super) fn send(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    to: &Address,
    message: &OrganisationMessage,
) -> Result<bool, Stop> {
    if to == own.address() {
        return Ok(false);
    }
    if to.domain() != own.address().domain() && contact::pinned(transaction, to)?.is_none() {
        tell(transaction, &message.organisation, OrganisationEvent::NotReachable { address: to.clone() });
        return Ok(false);
    }
    for piece in message.pieces().map_err(OrganisationProblem::from)? {
        composition::enqueue_confirmed(transaction, own, to, Body::Organisation(piece))?;
    }
    Ok(true)
}

/// A message with the statements after a version, as many as fit, and with what is the newest here.
pub(super) fn statements(
    transaction: &mut Transaction<'_>,
    record: &OrganisationRecord,
    after: u64,
) -> Result<OrganisationMessage, Stop> {
    let newest = record.links.len() as u64;
    let (mut statements, mut length) = (Vec::new(), 0);
    for version in after.saturating_add(1)..=newest {
        let key = key::organisation_statement(&record.id, version);
        let statement = transaction.load(&key)?.ok_or(OrganisationProblem::Unknown)?;
        length += statement.len();
        if length > STATEMENTS_LENGTH_MAX {
            break;
        }
        statements.push(statement.to_vec());
    }
    Ok(OrganisationMessage { statements, newest: newest_of(record), ..OrganisationMessage::about(record.id) })
}

fn newest_of(record: &OrganisationRecord) -> Option<(u64, [u8; 32])> {
    record.links.last().map(|link| (record.links.len() as u64, link.hash))
}

/// A piece has come.
pub(in crate::engine) fn received(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    (peer, checked): (&PeerDevice, bool),
    piece: &OrganisationPiece,
) -> Result<(), Stop> {
    let key = key::organisation_arrival(&piece.digest, &peer.address, peer.account_key.as_bytes());
    let known = transaction.load(&key)?;
    if known.is_none() && !make_room(transaction, checked)? {
        // Whoever sends it sends it again to nobody: it is told, and asked for anew by the daily question.
        let event =
            OrganisationEvent::Refused { from: Some(peer.address.clone()), code: "too_many_arrivals".to_owned() };
        tell(transaction, &OrganisationId([0; 32]), event);
        return Ok(());
    }
    let mut arrival = known.unwrap_or_else(|| OrganisationArrivalRecord {
        digest: piece.digest,
        sender: peer.address.clone(),
        account_key: peer.account_key,
        checked,
        length: piece.length,
        created: transaction.now.0,
        pieces: Vec::new(),
    });
    arrival.checked |= checked;
    if arrival.length == piece.length && !arrival.pieces.iter().any(|(index, _)| *index == piece.index) {
        arrival.pieces.push((piece.index, piece.bytes.clone()));
        arrival.pieces.sort_unstable_by_key(|(index, _)| *index);
    }
    if !arrival.checked {
        contact::ask(transaction, &peer.address, false);
    }
    conclude(transaction, own, arrival)
}

/// An account is a contact by this key now: what it has told is worked off.
pub(in crate::engine) fn sender_checked(
    transaction: &mut Transaction<'_>,
    address: &Address,
    account_key: &VerifyingKey,
) -> Result<(), Stop> {
    for (key, mut arrival) in transaction.scan::<OrganisationArrivalRecord>(class::ORGANISATION_ARRIVAL)? {
        if arrival.checked || arrival.sender != *address {
            continue;
        }
        if arrival.account_key != *account_key {
            transaction.delete(&key);
            continue;
        }
        arrival.checked = true;
        let own = OwnDevice::load_working(transaction)?;
        conclude(transaction, &own, arrival)?;
    }
    Ok(())
}

/// Works off a message that is whole and of a checked sender; stores it otherwise.
fn conclude(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    arrival: OrganisationArrivalRecord,
) -> Result<(), Stop> {
    let key = key::organisation_arrival(&arrival.digest, &arrival.sender, arrival.account_key.as_bytes());
    let held: usize = arrival.pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    let whole = held == arrival.length as usize;
    if !whole || !arrival.checked {
        transaction.store(&key, &arrival);
        return Ok(());
    }
    transaction.delete(&key);
    let pieces = arrival.pieces.iter().map(|(_, bytes)| bytes.as_slice());
    let message =
        OrganisationPiece::join(&arrival.digest, pieces).and_then(|bytes| OrganisationMessage::decode(&bytes).ok());
    let Some(message) = message else {
        let event = OrganisationEvent::Refused { from: Some(arrival.sender.clone()), code: "message".to_owned() };
        tell(transaction, &OrganisationId([0; 32]), event);
        return Ok(());
    };
    let from = Author { address: arrival.sender.clone(), account_key: arrival.account_key };
    told(transaction, own, Some(&from), &message)
}

/// Room for one more: the oldest that is not whole gives way where checked contacts send; strangers wait outside.
fn make_room(transaction: &mut Transaction<'_>, checked: bool) -> Result<bool, Stop> {
    let all = transaction.scan::<OrganisationArrivalRecord>(class::ORGANISATION_ARRIVAL)?;
    if all.len() < ORGANISATION_ARRIVALS_MAX {
        return Ok(true);
    }
    if !checked {
        return Ok(false);
    }
    if let Some((key, _)) = all.iter().min_by_key(|(_, arrival)| (arrival.checked, arrival.created)) {
        transaction.delete(key);
    }
    Ok(true)
}

/// A person has taken in a file.
pub(super) fn take_file(transaction: &mut Transaction<'_>, bytes: &[u8]) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let message = OrganisationMessage::decode(bytes).map_err(OrganisationProblem::from)?;
    told(transaction, &own, None, &message)
}

/// Works a message off, from its first field to its last. `from`: who has sent it; nobody if it was in a file.
fn told(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    from: Option<&Author>,
    message: &OrganisationMessage,
) -> Result<(), Stop> {
    let (id, sender) = (message.organisation, from.map(|author| &author.address));
    let took = chain::take(transaction, sender, &id, &message.statements)?;
    if let Some(signing) = &message.signing {
        draft::take(transaction, sender, &id, signing)?;
    }
    let Some(mut record) = transaction.load(&key::organisation(&id))? else {
        if let (Some(sender), Some(_)) = (sender, &message.newest)
            && took != Took::Refused
        {
            ask_unknown(transaction, own, sender, &id)?;
        }
        return Ok(());
    };
    if record.standing == OrganisationStanding::Forked {
        return match from {
            Some(from) if message.send_statements => spread_alarm(transaction, own, from, &record, message),
            _ => Ok(()),
        };
    }
    if let Some(certificate) = &message.certificate {
        record = member::take(transaction, own, from, record, certificate)?;
    }
    let Some(from) = from else { return Ok(()) };
    compare(transaction, own, from, &record, message)?;
    // Nobody hears of a membership that its owner has not confirmed.
    if message.ask && record.standing == OrganisationStanding::Joined {
        let (us, them) = (own.address().clone(), from.address.clone());
        let now = transaction.now.0;
        let ours = member::membership(transaction, own, &record, &us, now)?;
        let theirs = member::membership(transaction, own, &record, &them, now)?;
        if matches!((ours, theirs), (Some(Ok(_)), Some(Ok(_)))) {
            member::show(transaction, own, &record, &them, false)?;
        }
    }
    Ok(())
}

/// Holds the newest statement of somebody else against the own one: what is missing is asked for, what is asked for sent.
fn compare(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    from: &Author,
    record: &OrganisationRecord,
    message: &OrganisationMessage,
) -> Result<(), Stop> {
    let ours = record.links.len() as u64;
    let theirs = message.newest.map_or(0, |(version, _)| version);
    let hash_here = |version: u64| {
        let place = usize::try_from(version.checked_sub(1)?).ok()?;
        record.links.get(place).map(|link| link.hash)
    };
    // Another statement of a known version: it is asked for, and who asks is shown this one. Whoever sees both raises the alarm.
    let differs = message.newest.is_some_and(|(version, hash)| {
        hash_here(version).is_some_and(|known| known != hash) && !record.rejected.contains(&hash)
    });
    let member = member_of(transaction, &record.id, &from.address)?;
    if theirs > ours || differs {
        let after = if differs { theirs.saturating_sub(1).min(ours) } else { ours };
        ask(transaction, own, record, member.clone(), after)?;
    }
    // Questions alone are answered, and are asked once in a while, so that two who disagree do not talk for ever.
    if message.send_statements && is_entitled(record, &member, &from.address) {
        let after = if differs { theirs.saturating_sub(1) } else { theirs };
        let answer = statements(transaction, record, after)?;
        if !answer.statements.is_empty() {
            send(transaction, own, &from.address, &answer)?;
        }
    }
    Ok(())
}

/// Who sees a fork tells everybody who asks, with both statements: each judges for himself.
fn spread_alarm(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    from: &Author,
    record: &OrganisationRecord,
    message: &OrganisationMessage,
) -> Result<(), Stop> {
    let member = member_of(transaction, &record.id, &from.address)?;
    let Some(fork) = record.fork.clone().filter(|_| is_entitled(record, &member, &from.address)) else { return Ok(()) };
    let theirs = message.newest.map_or(0, |(version, _)| version);
    let mut alarm = statements(transaction, record, theirs.saturating_sub(1))?;
    alarm.statements.push(fork);
    alarm.newest = None;
    send(transaction, own, &from.address, &alarm)?;
    Ok(())
}

/// Statements have rotas and names in them: they go to members, administrators, and those whom this device has shown its
/// certificate or who have told it of the organisation.
fn is_entitled(record: &OrganisationRecord, member: &OrganisationMemberRecord, address: &Address) -> bool {
    member.shown != 0
        || !member.certificates.is_empty()
        || record.offered_by.as_ref() == Some(address)
        || record.administrators.iter().any(|(_, one)| one == address)
}

/// Asks somebody for the statements after a version, once in a while.
fn ask(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    mut member: OrganisationMemberRecord,
    after: u64,
) -> Result<(), Stop> {
    let now = transaction.now.0.max(1);
    if member.asked != 0 && now.abs_diff(member.asked) < ORGANISATION_ASK_PAUSE_MS {
        return Ok(());
    }
    let newest = usize::try_from(after).ok().and_then(|after| after.checked_sub(1));
    let newest = newest.and_then(|place| record.links.get(place)).map(|link| (after, link.hash));
    let question = OrganisationMessage { newest, send_statements: true, ..OrganisationMessage::about(record.id) };
    if send(transaction, own, &member.address.clone(), &question)? {
        member.asked = now;
        store_member(transaction, &member);
    }
    Ok(())
}

/// Somebody has told of an organisation whose first statement has not come: it is asked for.
fn ask_unknown(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    address: &Address,
    id: &OrganisationId,
) -> Result<(), Stop> {
    let mut member = member_of(transaction, id, address)?;
    let now = transaction.now.0.max(1);
    if member.asked != 0 && now.abs_diff(member.asked) < ORGANISATION_ASK_PAUSE_MS {
        return Ok(());
    }
    let question = OrganisationMessage { send_statements: true, ..OrganisationMessage::about(*id) };
    if send(transaction, own, address, &question)? {
        member.asked = now;
        store_member(transaction, &member);
    }
    Ok(())
}

/// Asks one of those who know the organisation, at random, so that nobody who holds something back is asked for ever.
pub(super) fn ask_a_colleague(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    record: &OrganisationRecord,
    unreachable: &BTreeSet<String>,
) -> Result<(), Stop> {
    let mut known: Vec<Address> =
        members_of(transaction, &record.id)?.into_iter().map(|member| member.address).collect();
    known.extend(record.administrators.iter().map(|(_, address)| address.clone()));
    known.extend(record.offered_by.clone());
    known.retain(|address| address != own.address() && !unreachable.contains(address.domain()));
    known.sort();
    known.dedup();
    if known.is_empty() {
        return Ok(());
    }
    let place = transaction.rng.next_u32() as usize % known.len();
    let Some(address) = known.get(place) else { return Ok(()) };
    let question = OrganisationMessage {
        newest: newest_of(record),
        send_statements: true,
        ..OrganisationMessage::about(record.id)
    };
    send(transaction, own, address, &question)?;
    Ok(())
}

/// A person wants to know at once.
pub(super) fn refresh(transaction: &mut Transaction<'_>, id: &OrganisationId) -> Result<(), Stop> {
    let mut record = load_trusted(transaction, id)?;
    chain_of(&record)?;
    (record.next_ask, record.next_check) = (0, 0);
    transaction.store(&key::organisation(id), &record);
    Ok(())
}
