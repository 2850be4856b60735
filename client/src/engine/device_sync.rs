//! Keeps the account's devices in step: what was read, who the contacts are, how far sent messages have come, what the
//! devices are called.
//! `spec/client-engine.md`, section "One's own devices".
//!
//! What happens here is noted in one record, and sent to the others by the tick a few seconds later. What they tell may come
//! twice, in any order, and before the message that it is about; the clocks may be wrong.

use medipeps_core::Address;
use medipeps_core::identity::{DeviceCertificate, Statement};
use medipeps_core::kind::{
    Body, DeviceName, DeviceSync, DisplayedMark, MessageId, Progress, SentState, SyncedContact, SyncedDelivery,
    SyncedServer,
};
use medipeps_core::limits::{SERVER_LENGTH_MAX, STATE_CODE_LENGTH_MAX};
use medipeps_core::wire::client_records::{
    ContactRecord, KnownDevicesRecord, MessageRecord, RecipientRecord, RecipientState, ServerRecord, SyncPendingRecord,
    VerifiedMark,
};

use super::account::OwnDevice;
use super::composition::enqueue_bare;
use super::outcome::Event;
use super::records::{class, key};
use super::sesame::{self, PeerDevice};
use super::transaction::{Stop, Transaction};
use super::{LocalId, contact, delivery, device_name, own_devices, settings};
use crate::limits::{SYNC_DELAY_MS, SYNC_EARLY_MAX};

/// A person has seen a message here.
pub(super) fn note_displayed(
    transaction: &mut Transaction<'_>,
    id: &LocalId,
    message: &MessageRecord,
) -> Result<(), Stop> {
    let pinned = contact::pinned(transaction, &message.sender)?;
    let account_key = pinned.map(|statement| *statement.account_key().as_bytes());
    // An impostor's message is not under the key that is pinned for his address.
    let account_key = match account_key {
        Some(account_key) if find_received(transaction, message, &account_key)? == Some(*id) => Some(account_key),
        _ => None,
    };
    let (sender, content_id, at) = (message.sender.clone(), MessageId(message.content_id), message.displayed);
    let displayed = vec![DisplayedMark { sender, account_key, content_id, at }];
    note(transaction, DeviceSync { displayed, ..DeviceSync::default() }, false)
}

/// A message has come further with a recipient. The device that wrote it tells the others.
pub(super) fn note_state(
    transaction: &mut Transaction<'_>,
    message: &MessageRecord,
    recipient: &RecipientRecord,
) -> Result<(), Stop> {
    let Some(account) = transaction.load(&key::account())? else { return Ok(()) };
    let Some(progress) = progress_of(recipient.state) else { return Ok(()) };
    if message.sender_device != account.device_id {
        return Ok(());
    }
    let fits = |code: &String| code.len() <= STATE_CODE_LENGTH_MAX && code.bytes().all(|byte| byte.is_ascii_graphic());
    let states = vec![SentState {
        content_id: MessageId(message.content_id),
        recipient: recipient.address.clone(),
        progress,
        code: recipient.code.clone().filter(fits).unwrap_or_default(),
        at: recipient.at,
    }];
    note(transaction, DeviceSync { states, ..DeviceSync::default() }, false)
}

/// A contact is new, or another statement of it was accepted, or a person has compared its key. It goes out at once: until
/// then the others do not know whose receipts to believe.
pub(super) fn note_contact(transaction: &mut Transaction<'_>, address: &Address) -> Result<(), Stop> {
    let Some(record) = transaction.load(&key::contact(address))? else { return Ok(()) };
    let contacts = vec![synced(transaction, record)?];
    note(transaction, DeviceSync { contacts, ..DeviceSync::default() }, true)
}

/// All contacts, in batches that can be sent: what a new device of the account needs.
pub(super) fn all_contacts(transaction: &mut Transaction<'_>) -> Result<Vec<DeviceSync>, Stop> {
    let (mut contacts, mut misses) = (Vec::new(), Misses::default());
    for (_, record) in transaction.scan::<ContactRecord>(class::CONTACT)? {
        let contact = synced(transaction, record);
        contacts.extend(misses.note(contact)?);
    }
    misses.check()?;
    Ok(DeviceSync { contacts, ..DeviceSync::default() }.split())
}

/// Sends what has been collected for long enough, and to a device that is new all that it cannot know.
pub(super) fn send_due(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    greet_new_devices(transaction, &own)?;
    let Some(pending) = transaction.load(&key::sync_out())? else { return Ok(()) };
    let waited = transaction.now.0.checked_sub(pending.since);
    // A clock that was put back must not hold it up.
    if waited.is_none_or(|waited| waited >= SYNC_DELAY_MS) {
        transaction.delete(&key::sync_out());
        send(transaction, &own, pending.batch)?;
    }
    Ok(())
}

/// What another device of the account has told.
pub(super) fn apply(transaction: &mut Transaction<'_>, own: &OwnDevice, sync: &DeviceSync) -> Result<(), Stop> {
    let (mut early, mut misses) = (DeviceSync::default(), Misses::default());
    for contact in &sync.contacts {
        let applied = apply_contact(transaction, own, contact);
        misses.note(applied)?;
    }
    let applied = settings::apply(transaction, sync);
    misses.note(applied)?;
    let applied = delivery::apply(transaction, own, sync);
    misses.note(applied)?;
    for name in &sync.names {
        let applied = device_name::apply(transaction, name);
        misses.note(applied)?;
    }
    for mark in &sync.displayed {
        let applied = apply_displayed(transaction, mark);
        if misses.note(applied)? == Some(false) {
            early.displayed.push(mark.clone());
        }
    }
    for state in &sync.states {
        let applied = apply_state(transaction, own, state);
        if misses.note(applied)? == Some(false) {
            early.states.push(state.clone());
        }
    }
    misses.check()?;
    if early.is_empty() {
        return Ok(());
    }
    let mut kept = transaction.load(&key::sync_early())?.unwrap_or_default();
    kept.batch.append(early);
    drop_oldest(&mut kept.batch.displayed);
    drop_oldest(&mut kept.batch.states);
    transaction.store(&key::sync_early(), &kept);
    Ok(())
}

/// A message has come that another device may have spoken of before.
pub(super) fn apply_early(transaction: &mut Transaction<'_>, own: &OwnDevice, id: &MessageId) -> Result<(), Stop> {
    let Some(mut kept) = transaction.load(&key::sync_early())? else { return Ok(()) };
    let before = kept.batch.len();
    for mark in kept.batch.displayed.extract_if(.., |mark| mark.content_id == *id).collect::<Vec<_>>() {
        if !apply_displayed(transaction, &mark)? {
            kept.batch.displayed.push(mark);
        }
    }
    for state in kept.batch.states.extract_if(.., |state| state.content_id == *id).collect::<Vec<_>>() {
        if !apply_state(transaction, own, &state)? {
            kept.batch.states.push(state);
        }
    }
    match kept.batch.len() {
        0 => transaction.delete(&key::sync_early()),
        now if now == before => {}
        _ => transaction.store(&key::sync_early(), &kept),
    }
    Ok(())
}

/// Entries that miss a record do not keep the others from asking for theirs: a batch has hundreds.
#[derive(Default)]
struct Misses(bool);

impl Misses {
    fn note<T>(&mut self, result: Result<T, Stop>) -> Result<Option<T>, Stop> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Stop::Needs) => {
                self.0 = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    const fn check(self) -> Result<(), Stop> {
        if self.0 { Err(Stop::Needs) } else { Ok(()) }
    }
}

/// Adds an entry to what the other devices are to learn; `at_once`: with the next tick.
pub(super) fn note(transaction: &mut Transaction<'_>, entry: DeviceSync, at_once: bool) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    if own.record.rolled_back || own_devices::others(&own).next().is_none() {
        return Ok(());
    }
    let now = transaction.now.0;
    let mut pending = match transaction.load(&key::sync_out())? {
        Some(full) if full.batch.is_full() => {
            send(transaction, &own, full.batch)?;
            SyncPendingRecord { since: now, ..SyncPendingRecord::default() }
        }
        Some(pending) => pending,
        None => SyncPendingRecord { since: now, ..SyncPendingRecord::default() },
    };
    // The last word about one thing is enough.
    pending.batch.contacts.retain(|old| entry.contacts.iter().all(|new| new.address != old.address));
    let about = |state: &SentState| (state.content_id, state.recipient.clone());
    pending.batch.states.retain(|old| entry.states.iter().all(|new| about(new) != about(old)));
    pending.batch.names.retain(|old| entry.names.iter().all(|new| new.device_id != old.device_id));
    pending.batch.blocked.retain(|old| entry.blocked.iter().all(|new| new.address != old.address));
    let about = |one: &SyncedDelivery| (one.address.clone(), one.key.is_some());
    pending.batch.deliveries.retain(|old| entry.deliveries.iter().all(|new| about(new) != about(old)));
    pending.batch.muted.retain(|old| entry.muted.iter().all(|new| new.conversation != old.conversation));
    pending.batch.append(entry);
    if at_once {
        pending.since = 0;
    }
    transaction.store(&key::sync_out(), &pending);
    Ok(())
}

fn send(transaction: &mut Transaction<'_>, own: &OwnDevice, batch: DeviceSync) -> Result<(), Stop> {
    if own_devices::others(own).next().is_none() {
        return Ok(());
    }
    for batch in batch.split() {
        enqueue_bare(transaction, own, own.address(), None, Body::DeviceSync(batch))?;
    }
    Ok(())
}

/// A device that is new says so, with what it is called: that begins the sessions. A device that the statement lists for
/// the first time gets all contacts and names from the primary devices, which are the ones that list it; not before there
/// is a session with it, because until it has published prekeys nothing can be sent to it.
fn greet_new_devices(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<(), Stop> {
    let mut others: Vec<u32> = own_devices::others(own).collect();
    others.sort_unstable();
    let known = transaction.load(&key::known_devices())?;
    let mut greeted = known.clone().unwrap_or_default().device_ids;
    if greeted == others {
        return Ok(());
    }
    if known.is_none() {
        introduce(transaction, own)?;
    }
    let primary = own.statement.device(own.record.device_id).is_some_and(DeviceCertificate::primary);
    let mut is_new = false;
    greeted.retain(|id| others.contains(id));
    for id in others.into_iter().filter(|id| !known.as_ref().is_some_and(|known| known.device_ids.contains(id))) {
        if !primary || sesame::has_active(transaction, &PeerDevice::of(&own.statement, id))? {
            is_new = true;
            greeted.push(id);
        }
    }
    greeted.sort_unstable();
    let record = KnownDevicesRecord { device_ids: greeted };
    if known.as_ref() != Some(&record) {
        transaction.store(&key::known_devices(), &record);
    }
    if is_new && primary {
        let (batches, names) = (all_contacts(transaction)?, device_name::all(transaction)?);
        let names = DeviceSync { names, ..DeviceSync::default() }.split();
        let deliveries = delivery::all(transaction, own)?;
        for batch in batches.into_iter().chain(names).chain(settings::all(transaction)?).chain(deliveries) {
            enqueue_bare(transaction, own, own.address(), None, Body::DeviceSync(batch))?;
        }
    }
    Ok(())
}

fn introduce(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<(), Stop> {
    let device_id = own.record.device_id;
    let name = transaction.load(&key::device_name(device_id))?;
    let names = name.into_iter().map(|one| DeviceName { device_id, name: one.name, at: one.at }).collect();
    let batch = DeviceSync { names, ..DeviceSync::default() };
    enqueue_bare(transaction, own, own.address(), None, Body::DeviceSync(batch))?;
    Ok(())
}

fn synced(transaction: &mut Transaction<'_>, record: ContactRecord) -> Result<SyncedContact, Stop> {
    let server = transaction.load(&key::server(record.address.domain()))?.filter(|server| !server.by_dns);
    let server = server.map(|server| SyncedServer { endpoint: server.endpoint, key_hash: server.server_key_hash });
    Ok(SyncedContact {
        address: record.address,
        statement: record.statement,
        added: record.added,
        verified: record.verified.map(|mark| (*mark.account_key.as_bytes(), mark.at)),
        server: server.filter(|server| server.endpoint.len() <= SERVER_LENGTH_MAX),
    })
}

/// Under the same rules as from the server: a newer statement under the pinned key is taken, another key is a change that
/// a person decides about on this device too. Marks and the time are merged: the earliest counts.
fn apply_contact(transaction: &mut Transaction<'_>, own: &OwnDevice, synced: &SyncedContact) -> Result<(), Stop> {
    let Ok(statement) = Statement::decode(&synced.statement) else { return Ok(()) };
    let domain = synced.address.domain();
    if synced.address == *own.address() || *statement.address() != synced.address {
        return Ok(());
    }
    // Where there is none the trust list or DNS tells this device too.
    if domain != own.address().domain()
        && !transaction.exists(&key::server(domain))?
        && let Some(server) = &synced.server
    {
        let record =
            ServerRecord { endpoint: server.endpoint.clone(), server_key_hash: server.key_hash, by_dns: false };
        transaction.store(&key::server(domain), &record);
    }
    let known = contact::pinned(transaction, &synced.address)?;
    let older =
        |known: &Statement| known.account_key() == statement.account_key() && statement.version() < known.version();
    if !known.is_some_and(|known| older(&known)) {
        contact::pin_quietly(transaction, &synced.address, &statement, false)?;
    }
    let Some(mut record) = transaction.load(&key::contact(&synced.address))? else { return Ok(()) };
    let before = record.clone();
    let pinned = Statement::decode(&record.statement)?.account_key();
    if synced.added != 0 {
        record.added = record.added.min(synced.added);
    }
    // Somebody compared the very key that is pinned here.
    if let Some((account_key, at)) = synced.verified
        && account_key == *pinned.as_bytes()
    {
        let at = record.verified.filter(|mark| mark.account_key == pinned).map_or(at, |mark| mark.at.min(at));
        record.verified = Some(VerifiedMark { account_key: pinned, at });
    }
    if record != before {
        transaction.store(&key::contact(&synced.address), &record);
    }
    Ok(())
}

/// False if the message is not here. The earliest time counts, and none that has not come yet.
fn apply_displayed(transaction: &mut Transaction<'_>, mark: &DisplayedMark) -> Result<bool, Stop> {
    let id = match &mark.account_key {
        None => mark.content_id.0,
        Some(account_key) => {
            let seen = transaction.load(&key::received(&mark.sender, account_key, &mark.content_id.0))?;
            match seen.and_then(|id| LocalId::try_from(id.as_slice()).ok()) {
                Some(id) => id,
                None => return Ok(false),
            }
        }
    };
    let Some(mut message) = transaction.load(&key::message(&id))? else { return Ok(false) };
    if message.sent || message.sender != mark.sender {
        return Ok(true);
    }
    let at = mark.at.clamp(1, transaction.now.0.max(1));
    if message.displayed == 0 || at < message.displayed {
        if message.displayed == 0 {
            transaction.event(Event::DisplayedElsewhere { id });
        }
        message.displayed = at;
        transaction.store(&key::message(&id), &message);
    }
    Ok(true)
}

/// False if the message is not here. What a recipient has said beats what servers have; between accepted and failed the
/// later word of the device that wrote the message counts.
fn apply_state(transaction: &mut Transaction<'_>, own: &OwnDevice, synced: &SentState) -> Result<bool, Stop> {
    let Some(id) = own_devices::find_sent(transaction, &synced.content_id.0)? else { return Ok(false) };
    let Some(mut message) = transaction.load(&key::message(&id))? else { return Ok(false) };
    let writes_itself = message.sender_device == own.record.device_id;
    let entry = message.recipients.iter_mut().find(|entry| entry.address == synced.recipient);
    let Some(entry) = entry.filter(|_| !writes_itself) else { return Ok(true) };
    let state = state_of(synced.progress);
    let code = Some(synced.code.clone()).filter(|code| !code.is_empty());
    let word = |state, at, code: &Option<String>| match rank(state) {
        1 => (1, at, state == RecipientState::Failed, code.clone()),
        rank => (rank, 0, false, code.clone()),
    };
    if word(state, synced.at, &code) <= word(entry.state, entry.at, &entry.code) {
        return Ok(true);
    }
    (entry.state, entry.code, entry.at) = (state, code.clone(), synced.at);
    transaction.store(&key::message(&id), &message);
    transaction.event(Event::RecipientState { id, recipient: synced.recipient.clone(), state, code });
    Ok(true)
}

const fn rank(state: RecipientState) -> u8 {
    match state {
        RecipientState::Queued => 0,
        RecipientState::Accepted | RecipientState::Failed => 1,
        RecipientState::Delivered => 2,
        RecipientState::Displayed => 3,
    }
}

const fn progress_of(state: RecipientState) -> Option<Progress> {
    match state {
        RecipientState::Queued => None,
        RecipientState::Accepted => Some(Progress::Accepted),
        RecipientState::Delivered => Some(Progress::Delivered),
        RecipientState::Displayed => Some(Progress::Displayed),
        RecipientState::Failed => Some(Progress::Failed),
    }
}

const fn state_of(progress: Progress) -> RecipientState {
    match progress {
        Progress::Accepted => RecipientState::Accepted,
        Progress::Delivered => RecipientState::Delivered,
        Progress::Displayed => RecipientState::Displayed,
        Progress::Failed => RecipientState::Failed,
    }
}

fn find_received(
    transaction: &mut Transaction<'_>,
    message: &MessageRecord,
    account_key: &[u8; 32],
) -> Result<Option<LocalId>, Stop> {
    let seen = transaction.load(&key::received(&message.sender, account_key, &message.content_id))?;
    Ok(seen.and_then(|id| LocalId::try_from(id.as_slice()).ok()))
}

fn drop_oldest<T>(entries: &mut Vec<T>) {
    let over = entries.len().saturating_sub(SYNC_EARLY_MAX);
    entries.drain(..over);
}
