//! What is to be sent: one entry for each message and recipient, until the recipient's server has it on its disk.
//!
//! An entry begins unencrypted. Encrypting it stores the envelopes, the sessions' new states and a random submission id
//! in one patch; only then does it leave, and every repeat sends the same bytes under the same id.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::prekey::{EncodedBundle, PrekeyBundle};
use medipeps_core::session::{EncryptError, Session};
use medipeps_core::wire::client_records::{OutboxRecord, RecipientRecord, RecipientState};
use medipeps_core::wire::transport::{
    DeviceEnvelope, ErrorCode, ErrorReply, FetchPrekeys, FetchPrekeysReply, Payment, Request, Submit,
};
use rand_core::Rng;
use zeroize::Zeroizing;

use super::account::OwnDevice;
use super::contact::{self, KEY_CHANGED, Pinned};
use super::domain::{self, DOMAIN_LEFT};
use super::outcome::{Connection, ContactProblem, Event, error_code_name};
use super::records::{Key, class, key};
use super::sesame::{self, PeerDevice};
use super::transaction::{Stop, Transaction, go_on};
use super::unconfirmed::{self, UNCONFIRMED};
use super::{Correlation, composition, delivery, device_sync, owed, own_devices, payment};
use crate::limits::{
    OUTBOX_BATCH_MAX, OUTBOX_TRIED_MS, RETRY_AFTER_MAX_MS, RETRY_FIRST_MS, RETRY_MAX_MS, STALE_DEVICES_AT_ONCE_MAX,
};

/// Sends what is due: entries that are encrypted go out again, others are encrypted where there are sessions, and for
/// the rest the recipient's prekeys are asked for.
pub(super) fn send_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let now = transaction.now.0;
    let mut fetched = BTreeSet::new();
    let mut handled = 0;
    for entry in oldest_first(transaction)? {
        if entry.blocked.is_some() || !is_due(entry.next_attempt, now) || unreachable.contains(entry.recipient.domain())
        {
            continue;
        }
        if handled == OUTBOX_BATCH_MAX {
            break;
        }
        handled += 1;
        if now.saturating_sub(entry.created) > OUTBOX_TRIED_MS {
            // What was accepted before may have arrived then; it is only that nobody has confirmed it.
            let before = unconfirmed::was_accepted(transaction, &entry.content_id, &entry.recipient)?;
            let code = if before { UNCONFIRMED } else { "expired" };
            finish(transaction, &entry, RecipientState::Failed, Some(code))?;
            continue;
        }
        if entry.recipient.domain() != own.address().domain() {
            match domain::has_left(transaction, entry.recipient.domain()) {
                Ok(true) => {
                    go_on(finish(transaction, &entry, RecipientState::Failed, Some(DOMAIN_LEFT)))?;
                    continue;
                }
                other => go_on(other)?,
            }
        }
        // An entry that misses a record does not keep the others from asking for theirs.
        match send_entry(transaction, &own, &entry, &mut fetched) {
            Ok(()) | Err(Stop::Needs) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What waits for accounts of these domains is given up.
pub(super) fn fail_domains(
    transaction: &mut Transaction<'_>,
    domains: &BTreeSet<String>,
    code: &str,
) -> Result<(), Stop> {
    if domains.is_empty() {
        return Ok(());
    }
    for entry in oldest_first(transaction)? {
        if domains.contains(entry.recipient.domain()) {
            go_on(finish(transaction, &entry, RecipientState::Failed, Some(code)))?;
        }
    }
    Ok(())
}

/// What was held up for a domain is due at once: what held it up is over.
pub(super) fn due_again(transaction: &mut Transaction<'_>, domain: &str) -> Result<(), Stop> {
    for mut entry in oldest_first(transaction)? {
        if entry.recipient.domain() == domain && entry.attempts > 0 {
            (entry.attempts, entry.next_attempt) = (0, 0);
            store(transaction, &entry);
        }
    }
    Ok(())
}

/// The recipient's statement and prekeys have come: sessions are made where there are none, and everything that waits
/// for this recipient is encrypted.
pub(super) fn prekeys_fetched(
    transaction: &mut Transaction<'_>,
    address: &Address,
    reply: &FetchPrekeysReply,
) -> Result<(), Stop> {
    let mut own = OwnDevice::load_working(transaction)?;
    let Ok(statement) = transaction.statement(&reply.statement) else {
        return hold_up(transaction, address, "statement_refused", 0);
    };
    if address == own.address() {
        if !own_devices::learn(transaction, &statement)? {
            return hold_up(transaction, address, "statement_refused", 0);
        }
        own = OwnDevice::load_working(transaction)?;
    } else {
        match contact::pin(transaction, address, &statement, false)? {
            Pinned::Accepted => {}
            // The entries are blocked already.
            Pinned::Refused(ContactProblem::KeyChanged) => return Ok(()),
            Pinned::Refused(_) => return hold_up(transaction, address, "statement_refused", 0),
        }
    }
    let unencrypted = waiting_for(transaction, address)?.into_iter().filter(|entry| entry.submission_id.is_none());
    for entry in unencrypted.take(OUTBOX_BATCH_MAX) {
        ask_ahead(transaction, &entry)?;
    }
    for device in statement.devices() {
        go_on(sesame::active(transaction, &PeerDevice::of(&statement, device.device_id())))?;
    }
    transaction.check_loaded()?;
    let mut without: Vec<u32> = statement.devices().iter().map(DeviceCertificate::device_id).collect();
    for encoded in &reply.bundles {
        let Ok(encoded) = EncodedBundle::decode(encoded) else { continue };
        without.retain(|id| *id != encoded.device_id);
        // A device whose bundle is refused is left out; the server then says that it is missing, and the entry waits.
        begin_session(transaction, &own, &statement, &encoded)?;
    }
    sesame::note_without_prekeys(transaction, &statement, &without)?;
    let unencrypted = waiting_for(transaction, address)?.into_iter().filter(|entry| entry.submission_id.is_none());
    for (index, mut entry) in unencrypted.enumerate() {
        entry.fetch_prekeys = false;
        if index >= OUTBOX_BATCH_MAX {
            // There are sessions now, so the next step needs no prekeys for it.
            store(transaction, &entry);
        } else if !encrypt(transaction, &own, &statement, &entry, false)? {
            retry_later(transaction, entry, "no_prekeys", 0)?;
        }
    }
    Ok(())
}

/// The recipient's server has no prekeys to give.
pub(super) fn prekeys_refused(
    transaction: &mut Transaction<'_>,
    address: &Address,
    error: &ErrorReply,
) -> Result<(), Stop> {
    for entry in waiting_for(transaction, address)? {
        if entry.submission_id.is_none() {
            go_on(after_error(transaction, entry, error))?;
        }
    }
    Ok(())
}

/// The recipient's server has the message on its disk.
pub(super) fn accepted(
    transaction: &mut Transaction<'_>,
    content_id: &[u8; 16],
    recipient: &Address,
    submission_id: &[u8; 16],
) -> Result<(), Stop> {
    match transaction.load(&key::outbox(content_id, recipient))? {
        Some(entry) if entry.submission_id == Some(*submission_id) => {
            finish(transaction, &entry, RecipientState::Accepted, None)
        }
        _ => Ok(()),
    }
}

/// The recipient's server has refused a submission, or could not take it now.
pub(super) fn refused(
    transaction: &mut Transaction<'_>,
    (content_id, recipient, submission_id): (&[u8; 16], &Address, &[u8; 16]),
    error: &ErrorReply,
) -> Result<(), Stop> {
    let Some(mut entry) = transaction.load(&key::outbox(content_id, recipient))? else { return Ok(()) };
    if entry.submission_id != Some(*submission_id) {
        return Ok(());
    }
    match error.known_code() {
        Some(ErrorCode::StaleDevices) => {
            transaction.delete(&key::submission(submission_id));
            (entry.submission_id, entry.fetch_prekeys) = (None, true);
            if entry.attempts < STALE_DEVICES_AT_ONCE_MAX {
                entry.attempts += 1;
                transaction.store(&key::outbox(content_id, recipient), &entry);
                return Ok(());
            }
            retry_later(transaction, entry, "stale_devices", error.retry_after)
        }
        Some(ErrorCode::SubmissionIdReused) => {
            transaction.delete(&key::submission(submission_id));
            entry.submission_id = None;
            retry_later(transaction, entry, "submission_id_reused", 0)
        }
        _ => after_error(transaction, entry, error),
    }
}

/// Takes an entry out of the outbox for good.
pub(super) fn finish(
    transaction: &mut Transaction<'_>,
    entry: &OutboxRecord,
    state: RecipientState,
    code: Option<&str>,
) -> Result<(), Stop> {
    if let Some(id) = &entry.submission_id {
        transaction.delete(&key::submission(id));
        payment::forget_submission(transaction, id);
    }
    transaction.delete(&key::outbox(&entry.content_id, &entry.recipient));
    let awaited = match state {
        RecipientState::Accepted => unconfirmed::accepted(transaction, &entry.content_id, &entry.recipient)?,
        _ => {
            unconfirmed::forget(transaction, &entry.content_id, &entry.recipient);
            false
        }
    };
    if entry.receipt {
        if !awaited {
            transaction.delete(&key::content(&entry.content_id));
        }
        return Ok(());
    }
    set_state(transaction, &entry.content_id, &entry.recipient, state, code)
}

/// Tells how far a sent message has come with one recipient. It never goes back, but for one thing: what nobody had
/// confirmed in time may have arrived after all.
pub(super) fn set_state(
    transaction: &mut Transaction<'_>,
    id: &[u8; 16],
    recipient: &Address,
    state: RecipientState,
    code: Option<&str>,
) -> Result<(), Stop> {
    let Some(id) = own_devices::find_sent(transaction, id)? else { return Ok(()) };
    let Some(mut message) = transaction.load(&key::message(&id))? else { return Ok(()) };
    let now = transaction.now.0;
    let Some(entry) = message.recipients.iter_mut().find(|entry| entry.address == *recipient) else { return Ok(()) };
    let code = code.map(str::to_owned);
    let failed_after_all = state == RecipientState::Failed && entry.state >= RecipientState::Delivered;
    let same = entry.state == state && entry.code == code;
    // Who says that he has it has it, whatever went wrong before.
    let said = matches!(state, RecipientState::Delivered | RecipientState::Displayed);
    let late =
        (said && entry.state == RecipientState::Failed) || (is_unconfirmed(entry) && state > RecipientState::Queued);
    // What the recipient could not do stays said.
    let weaker = said && entry.state == state && code.is_none();
    if !message.sent || weaker || (entry.state > state && !late) || failed_after_all || same {
        return Ok(());
    }
    (entry.state, entry.code, entry.at) = (state, code.clone(), now);
    let entry = entry.clone();
    transaction.store(&key::message(&id), &message);
    device_sync::note_state(transaction, &message, &entry)?;
    transaction.event(Event::RecipientState { id, recipient: recipient.clone(), state, code });
    Ok(())
}

/// Every device has the message, whatever the server has answered or not: it need not be sent, or not again.
pub(super) fn arrived(transaction: &mut Transaction<'_>, id: &[u8; 16], recipient: &Address) -> Result<(), Stop> {
    match transaction.load(&key::outbox(id, recipient))? {
        Some(entry) => finish(transaction, &entry, RecipientState::Accepted, None),
        None => Ok(()),
    }
}

/// The recipient has confirmed what was given up because nobody had.
pub(super) fn take_back_failure(
    transaction: &mut Transaction<'_>,
    id: &[u8; 16],
    recipient: &Address,
) -> Result<(), Stop> {
    let Some(message) = transaction.load(&key::message(id))? else { return Ok(()) };
    let entry = message.recipients.iter().find(|entry| entry.address == *recipient);
    if message.sent && entry.is_some_and(is_unconfirmed) {
        set_state(transaction, id, recipient, RecipientState::Accepted, None)?;
    }
    Ok(())
}

fn is_unconfirmed(recipient: &RecipientRecord) -> bool {
    recipient.state == RecipientState::Failed && recipient.code.as_deref() == Some(UNCONFIRMED)
}

/// Holds everything for a recipient until a person decides. What was encrypted before goes on: it is for the keys that
/// were pinned then.
pub(super) fn block(transaction: &mut Transaction<'_>, address: &Address, code: &str) -> Result<(), Stop> {
    for mut entry in waiting_for(transaction, address)? {
        if entry.submission_id.is_none() {
            entry.blocked = Some(code.to_owned());
            store(transaction, &entry);
            go_on(report(transaction, &entry, Some(code)))?;
        }
    }
    Ok(())
}

/// A person has decided, or a newer statement has come: everything for the recipient is due, for its present devices.
pub(super) fn unblock(transaction: &mut Transaction<'_>, address: &Address) -> Result<(), Stop> {
    for mut entry in waiting_for(transaction, address)? {
        if entry.blocked.take().is_some() {
            (entry.fetch_prekeys, entry.attempts, entry.next_attempt) = (true, 0, 0);
            store(transaction, &entry);
            go_on(report(transaction, &entry, None))?;
        }
    }
    Ok(())
}

/// When to try again after so many failures: twice as long each time, a quarter more or less, never before the server
/// wants it.
pub(super) fn next_attempt(transaction: &mut Transaction<'_>, attempts: u32, retry_after: u64) -> u64 {
    let wait = RETRY_FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(RETRY_MAX_MS);
    let jitter = u64::from(transaction.rng.next_u32()) % (wait / 4).max(1);
    let wait = (wait + jitter).max(retry_after.min(RETRY_AFTER_MAX_MS));
    transaction.now.0.saturating_add(wait)
}

/// Whether the time for an attempt has come. One that is further away than anything ever waits comes from a clock that was
/// wrong.
pub(super) const fn is_due(at: u64, now: u64) -> bool {
    at <= now || at - now > RETRY_AFTER_MAX_MS
}

/// Whether the same request may succeed later.
pub(super) fn is_transient(error: &ErrorReply) -> bool {
    !matches!(
        error.known_code(),
        Some(
            ErrorCode::Malformed
                | ErrorCode::TooLarge
                | ErrorCode::UnknownAccount
                | ErrorCode::AddressTaken
                | ErrorCode::WrongDomain
                | ErrorCode::InvitationUnknown
                | ErrorCode::InvitationUsed
                | ErrorCode::InvitationExpired
                | ErrorCode::StatementRefused
                | ErrorCode::StatementVersion
                | ErrorCode::PrekeysRefused
                | ErrorCode::LicenceEnded
                | ErrorCode::TenantSuspended
                | ErrorCode::AccountSuspended
                | ErrorCode::InvitationBound
        )
    )
}

fn send_entry(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    entry: &OutboxRecord,
    fetched: &mut BTreeSet<Address>,
) -> Result<(), Stop> {
    if let Some(id) = entry.submission_id {
        return submit_again(transaction, own, entry, id);
    }
    ask_ahead(transaction, entry)?;
    let statement = if entry.recipient == *own.address() {
        Some(own.statement.clone())
    } else {
        let contact = transaction.load(&key::contact(&entry.recipient))?;
        if contact.as_ref().is_some_and(|contact| contact.changed_statement.is_some()) {
            let mut entry = entry.clone();
            entry.blocked = Some(KEY_CHANGED.to_owned());
            store(transaction, &entry);
            return report(transaction, &entry, Some(KEY_CHANGED));
        }
        contact.map(|contact| transaction.statement(&contact.statement)).transpose()?
    };
    if let (Some(statement), false) = (statement, entry.fetch_prekeys)
        && encrypt(transaction, own, &statement, entry, true)?
    {
        return Ok(());
    }
    if fetched.insert(entry.recipient.clone()) {
        transaction.send(
            connection_to(own, &entry.recipient),
            Request::FetchPrekeys(FetchPrekeys { address: entry.recipient.clone(), payment: Payment::None }),
            Correlation::FetchPrekeys(entry.recipient.clone()),
        );
    }
    Ok(())
}

/// Asks for what an entry's encryption needs besides sessions: with each round of loading everything is gone through anew.
fn ask_ahead(transaction: &mut Transaction<'_>, entry: &OutboxRecord) -> Result<(), Stop> {
    go_on(transaction.load(&key::content(&entry.content_id)))?;
    go_on(transaction.load(&key::owed(&entry.recipient)))?;
    go_on(transaction.load(&key::delivery(&entry.recipient)))?;
    go_on(transaction.load(&key::own_delivery_keys()))?;
    go_on(transaction.load(&key::settings()))?;
    if !entry.receipt {
        go_on(transaction.load(&key::unconfirmed(&entry.content_id, &entry.recipient)))?;
    }
    Ok(())
}

/// Over which connection everything for an address goes.
fn connection_to(own: &OwnDevice, recipient: &Address) -> Connection {
    match recipient == own.address() {
        true => Connection::OwnDevices,
        false => Connection::Anonymous(recipient.domain().to_owned()),
    }
}

fn submit_again(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    entry: &OutboxRecord,
    id: [u8; 16],
) -> Result<(), Stop> {
    match transaction.load(&key::submission(&id))? {
        Some(encoded) => {
            let request = Request::decode(&encoded)?;
            send_submission(transaction, own, entry, id, request);
        }
        None => {
            let entry = OutboxRecord { submission_id: None, ..entry.clone() };
            store(transaction, &entry);
        }
    }
    Ok(())
}

/// Makes a session to the bundle's device unless there is a good one.
fn begin_session(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    statement: &Statement,
    encoded: &EncodedBundle,
) -> Result<(), Stop> {
    let Some(device) = statement.device_keys(encoded.device_id) else { return Ok(()) };
    let peer = PeerDevice::of(statement, encoded.device_id);
    if is_this_device(own, &peer) || sesame::active(transaction, &peer)?.is_some() {
        return Ok(());
    }
    let Ok(bundle) = PrekeyBundle::verify(encoded, &device.signing_key) else { return Ok(()) };
    if let Ok(session) = Session::initiate(&own.local(), statement, &bundle, &mut transaction.rng) {
        sesame::begin(transaction, &peer, &session, false)?;
    }
    Ok(())
}

/// Encrypts an entry for the devices of the recipient's statement and sends it. With `all`, false and nothing done if a
/// device has no session; else false only if none has.
fn encrypt(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    statement: &Statement,
    entry: &OutboxRecord,
    all: bool,
) -> Result<bool, Stop> {
    let Some(content) = transaction.load(&key::content(&entry.content_id))? else {
        finish(transaction, entry, RecipientState::Failed, Some("content_missing"))?;
        return Ok(true);
    };
    let (mut peers, mut without) = (Vec::new(), false);
    let to_own = entry.recipient == *own.address();
    if to_own && own_devices::others(own).next().is_none() {
        // Whoever it was for has been taken off the statement meanwhile.
        unconfirmed::forget(transaction, &entry.content_id, &entry.recipient);
        finish(transaction, entry, RecipientState::Accepted, None)?;
        return Ok(true);
    }
    for device in statement.devices() {
        let peer = PeerDevice::of(statement, device.device_id());
        if is_this_device(own, &peer) {
            continue;
        }
        // One device's session that is not loaded does not keep the others from being asked for.
        match sesame::active(transaction, &peer) {
            Ok(Some(_)) => peers.push(peer),
            Ok(None) => match sesame::is_without_prekeys(transaction, &peer) {
                Ok(known) => without |= !known,
                other => go_on(other)?,
            },
            other => go_on(other)?,
        }
    }
    if all && without {
        return Ok(false);
    }
    go_on(delivery::is_accepted(transaction, &entry.recipient))?;
    transaction.check_loaded()?;
    let content = delivery::with_own_key(transaction, own, &entry.recipient, content)?;
    let delivery_key = delivery::key_of(transaction, own, &entry.recipient)?;
    if let Some(device) = entry.device {
        if statement.device(device).is_none() {
            // It was taken off the statement meanwhile, and nobody else is to have it.
            finish(transaction, entry, RecipientState::Accepted, None)?;
            return Ok(true);
        }
        if peers.iter().all(|peer| peer.device_id != device) {
            return Ok(false);
        }
    }
    let mut envelopes = Vec::new();
    for peer in peers {
        // The server wants an envelope for each device.
        let is_for_it = entry.device.is_none_or(|device| device == peer.device_id);
        let other = if is_for_it { None } else { Some(composition::empty(transaction, own)?) };
        match sesame::encrypt(transaction, own, &peer, other.as_ref().unwrap_or(&content))? {
            Some(Ok(envelope)) => envelopes.push(DeviceEnvelope { device_id: peer.device_id, envelope }),
            Some(Err(EncryptError::TooLong { .. })) => {
                finish(transaction, entry, RecipientState::Failed, Some("message_too_large"))?;
                return Ok(true);
            }
            Some(Err(_)) | None => {}
        }
    }
    if envelopes.is_empty() {
        return Ok(false);
    }
    owed::said(transaction, &entry.recipient)?;
    if !entry.receipt || (to_own && own_devices::is_confirmed(&content)) {
        let devices = envelopes.iter().map(|envelope| envelope.device_id);
        unconfirmed::sent(transaction, entry, devices)?;
    }
    if to_own {
        own_devices::add_decoy(transaction, own, &mut envelopes);
    }
    let id = transaction.random_id();
    let address = entry.recipient.clone();
    let submit = Submit { id, address, envelopes, payment: Payment::None, delivery_key };
    let request = Request::Submit(submit);
    transaction.store(&key::submission(&id), &Zeroizing::new(request.encode()));
    let entry = OutboxRecord { submission_id: Some(id), fetch_prekeys: false, ..entry.clone() };
    store(transaction, &entry);
    send_submission(transaction, own, &entry, id, request);
    Ok(true)
}

fn is_this_device(own: &OwnDevice, peer: &PeerDevice) -> bool {
    peer.address == *own.address() && peer.device_id == own.record.device_id
}

fn send_submission(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    entry: &OutboxRecord,
    submission_id: [u8; 16],
    request: Request,
) {
    let (content_id, recipient) = (entry.content_id, entry.recipient.clone());
    transaction.send(
        connection_to(own, &recipient),
        request,
        Correlation::Submit { content_id, recipient, submission_id },
    );
}

/// Fails for good, or waits.
fn after_error(transaction: &mut Transaction<'_>, entry: OutboxRecord, error: &ErrorReply) -> Result<(), Stop> {
    if error.known_code() == Some(ErrorCode::UnknownAccount) {
        return finish(transaction, &entry, RecipientState::Failed, Some("unknown_account"));
    }
    let code = error_code_name(error);
    if is_transient(error) {
        retry_later(transaction, entry, &code, error.retry_after)
    } else {
        finish(transaction, &entry, RecipientState::Failed, Some(&code))
    }
}

fn hold_up(transaction: &mut Transaction<'_>, address: &Address, code: &str, retry_after: u64) -> Result<(), Stop> {
    for entry in waiting_for(transaction, address)? {
        if entry.submission_id.is_none() {
            go_on(retry_later(transaction, entry, code, retry_after))?;
        }
    }
    Ok(())
}

fn retry_later(
    transaction: &mut Transaction<'_>,
    mut entry: OutboxRecord,
    code: &str,
    retry_after: u64,
) -> Result<(), Stop> {
    entry.attempts = entry.attempts.saturating_add(1);
    entry.next_attempt = next_attempt(transaction, entry.attempts, retry_after);
    // Asking once more shows whether the recipient's devices have changed meanwhile.
    entry.fetch_prekeys |= entry.submission_id.is_none();
    store(transaction, &entry);
    report(transaction, &entry, Some(code))
}

fn report(transaction: &mut Transaction<'_>, entry: &OutboxRecord, code: Option<&str>) -> Result<(), Stop> {
    if entry.receipt {
        return Ok(());
    }
    set_state(transaction, &entry.content_id, &entry.recipient, RecipientState::Queued, code)
}

fn store(transaction: &mut Transaction<'_>, entry: &OutboxRecord) {
    transaction.store(&key::outbox(&entry.content_id, &entry.recipient), entry);
}

fn entries(transaction: &mut Transaction<'_>) -> Result<Vec<(Key<OutboxRecord>, OutboxRecord)>, Stop> {
    transaction.scan(class::OUTBOX)
}

fn waiting_for(transaction: &mut Transaction<'_>, address: &Address) -> Result<Vec<OutboxRecord>, Stop> {
    let mut entries = oldest_first(transaction)?;
    entries.retain(|entry| entry.recipient == *address);
    Ok(entries)
}

fn oldest_first(transaction: &mut Transaction<'_>) -> Result<Vec<OutboxRecord>, Stop> {
    let mut entries: Vec<OutboxRecord> = entries(transaction)?.into_iter().map(|(_, entry)| entry).collect();
    entries.sort_by_key(|entry| (entry.created, entry.content_id));
    Ok(entries)
}
