//! Which session is used with which device of a peer (Sesame): one active for each pair of devices, others kept for
//! what is still on its way. Whatever is received makes its session the active one, so that two sides that wrote first
//! at the same time end up with the same.

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::identity::Statement;
use medipeps_core::session::{Session, SessionId};
use medipeps_core::wire::client_records::{PeerDeviceRecord, PeerRecord, SessionRecord};

use super::account::OwnDevice;
use super::outcome::EngineError;
use super::records::{HintKeys, Key, key};
use super::transaction::{Stop, Transaction};
use crate::limits::{INACTIVE_SESSIONS_MAX, NO_PREKEYS_REMEMBERED_MS, UNANSWERED_SESSION_USED_MS};

/// One device of a peer. The account key is part of the name: an impostor's sessions never mix with the contact's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeerDevice {
    pub(super) address: Address,
    pub(super) account_key: VerifyingKey,
    pub(super) device_id: u32,
}

impl PeerDevice {
    pub(super) fn of(statement: &Statement, device_id: u32) -> Self {
        Self { address: statement.address().clone(), account_key: statement.account_key(), device_id }
    }

    fn key(&self) -> Key<PeerRecord> {
        key::peer(&self.address, self.account_key.as_bytes())
    }
}

/// A session out of the store. One that cannot be read is of another wire version: there is no downgrade, so it is
/// deleted, and the next message begins anew.
pub(super) fn load(transaction: &mut Transaction<'_>, id: SessionId) -> Result<Option<(SessionRecord, Session)>, Stop> {
    let Some(record) = transaction.load(&key::session(&id.0))? else { return Ok(None) };
    match Session::decode(&record.state) {
        Ok(session) => Ok(Some((record, session))),
        Err(_) => {
            abandon(transaction, id, &record)?;
            Ok(None)
        }
    }
}

/// Deletes a session that can no longer be used, with its place among those of its pair.
pub(super) fn abandon(transaction: &mut Transaction<'_>, id: SessionId, record: &SessionRecord) -> Result<(), Stop> {
    forget(transaction, &id.0);
    let key = peer_of(record)?.key();
    let Some(mut peer) = transaction.load(&key)? else { return Ok(()) };
    for device in &mut peer.devices {
        device.active = device.active.filter(|active| *active != id.0);
        device.inactive.retain(|inactive| *inactive != id.0);
    }
    transaction.store(&key, &peer);
    Ok(())
}

/// Stores a session's new state with its hint keys.
pub(super) fn store(transaction: &mut Transaction<'_>, mut record: SessionRecord, session: &Session) {
    let id = session.id();
    record.state = session.encode();
    transaction.store(&key::session(&id.0), &record);
    transaction.store(&key::hints(&id.0), &HintKeys(session.hint_keys()));
}

/// Stores a new session and makes it the active one.
pub(super) fn begin(
    transaction: &mut Transaction<'_>,
    peer: &PeerDevice,
    session: &Session,
    received: bool,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    let record = SessionRecord {
        peer: peer.address.clone(),
        peer_account_key: *peer.account_key.as_bytes(),
        peer_device: peer.device_id,
        created: now,
        last_received: if received { now } else { 0 },
        state: Vec::new().into(),
    };
    store(transaction, record, session);
    activate(transaction, peer, session.id())
}

/// Makes a session the active one of its pair; the oldest inactive ones beyond the limit are deleted.
pub(super) fn activate(transaction: &mut Transaction<'_>, peer: &PeerDevice, id: SessionId) -> Result<(), Stop> {
    let mut record = transaction.load(&peer.key())?.unwrap_or_default();
    let device = match record.devices.iter_mut().find(|device| device.device_id == peer.device_id) {
        Some(device) => device,
        None => insert(&mut record, peer.device_id),
    };
    if device.active == Some(id.0) {
        return Ok(());
    }
    device.no_prekeys = 0;
    device.inactive.retain(|inactive| *inactive != id.0);
    if let Some(before) = device.active.replace(id.0) {
        device.inactive.insert(0, before);
    }
    let dropped = device.inactive.split_off(device.inactive.len().min(INACTIVE_SESSIONS_MAX));
    transaction.store(&peer.key(), &record);
    for id in dropped {
        forget(transaction, &id);
    }
    Ok(())
}

fn insert(record: &mut PeerRecord, device_id: u32) -> &mut PeerDeviceRecord {
    let place = record.devices.partition_point(|device| device.device_id < device_id);
    let new = PeerDeviceRecord { device_id, active: None, inactive: Vec::new(), no_prekeys: 0 };
    record.devices.insert(place, new);
    &mut record.devices[place]
}

/// The account's server has given prekeys of all its devices but these, which are listed and have none yet.
pub(super) fn note_without_prekeys(
    transaction: &mut Transaction<'_>,
    statement: &Statement,
    device_ids: &[u32],
) -> Result<(), Stop> {
    let Some(first) = device_ids.first() else { return Ok(()) };
    let key = PeerDevice::of(statement, *first).key();
    let now = transaction.now.0.max(1);
    let mut record = transaction.load(&key)?.unwrap_or_default();
    for id in device_ids {
        match record.devices.iter_mut().find(|device| device.device_id == *id) {
            Some(device) => device.no_prekeys = now,
            None => insert(&mut record, *id).no_prekeys = now,
        }
    }
    transaction.store(&key, &record);
    Ok(())
}

/// Whether a device had no prekeys a moment ago. Asking again would cost its siblings a one-time prekey each; if it has
/// some by now, the server says so when the message comes without an envelope for it.
pub(super) fn is_without_prekeys(transaction: &mut Transaction<'_>, peer: &PeerDevice) -> Result<bool, Stop> {
    let record = transaction.load(&peer.key())?.unwrap_or_default();
    let noted = record.devices.iter().find(|device| device.device_id == peer.device_id).map_or(0, |one| one.no_prekeys);
    Ok(noted != 0 && transaction.now.0.abs_diff(noted) < NO_PREKEYS_REMEMBERED_MS)
}

/// The session to write to a device with, if there is one that can be used.
pub(super) fn active(
    transaction: &mut Transaction<'_>,
    peer: &PeerDevice,
) -> Result<Option<(SessionRecord, Session)>, Stop> {
    let record = transaction.load(&peer.key())?.unwrap_or_default();
    let device = record.devices.into_iter().find(|device| device.device_id == peer.device_id);
    let Some(id) = device.and_then(|device| device.active) else { return Ok(None) };
    let Some((record, session)) = load(transaction, SessionId(id))? else { return Ok(None) };
    let unanswered = transaction.now.0.saturating_sub(record.created) > UNANSWERED_SESSION_USED_MS;
    let usable = !(session.awaiting_reply() && unanswered);
    Ok(usable.then_some((record, session)))
}

/// Whether there has been a session with a device, so that it can be written to as long as that holds.
pub(super) fn has_active(transaction: &mut Transaction<'_>, peer: &PeerDevice) -> Result<bool, Stop> {
    let record = transaction.load(&peer.key())?.unwrap_or_default();
    Ok(record.devices.iter().any(|device| device.device_id == peer.device_id && device.active.is_some()))
}

/// Encrypts content to one device with its active session; `None` if there is none.
pub(super) fn encrypt(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    peer: &PeerDevice,
    content: &[u8],
) -> Result<Option<Result<Vec<u8>, medipeps_core::session::EncryptError>>, Stop> {
    let Some((record, mut session)) = active(transaction, peer)? else { return Ok(None) };
    let envelope = session.encrypt(content, &own.local(), &mut transaction.rng);
    if envelope.is_ok() {
        store(transaction, record, &session);
    }
    Ok(Some(envelope))
}

/// Puts the session aside over which something was sent at `sent` and did not arrive: the next message begins a new one.
/// A session that was begun after that is not to blame.
pub(super) fn put_aside(transaction: &mut Transaction<'_>, peer: &PeerDevice, sent: u64) -> Result<(), Stop> {
    let Some(mut record) = transaction.load(&peer.key())? else { return Ok(()) };
    let place = record.devices.iter().position(|device| device.device_id == peer.device_id);
    let Some(device) = place.map(|place| &mut record.devices[place]) else { return Ok(()) };
    let Some(active) = device.active else { return Ok(()) };
    let begun = transaction.load(&key::session(&active))?.map_or(0, |session| session.created);
    if begun > sent && begun <= transaction.now.0 {
        return Ok(());
    }
    device.active = None;
    device.inactive.insert(0, active);
    let dropped = device.inactive.split_off(device.inactive.len().min(INACTIVE_SESSIONS_MAX));
    transaction.store(&peer.key(), &record);
    for id in dropped {
        forget(transaction, &id);
    }
    Ok(())
}

/// Whether a peer may be told now that something of it cannot be read; if so, it is noted that it was.
pub(super) fn may_ask(transaction: &mut Transaction<'_>, peer: &PeerDevice, interval: u64) -> Result<bool, Stop> {
    let now = transaction.now.0;
    let mut record = transaction.load(&peer.key())?.unwrap_or_default();
    if record.asked != 0 && record.asked <= now && now - record.asked < interval {
        return Ok(false);
    }
    record.asked = now.max(1);
    transaction.store(&peer.key(), &record);
    Ok(true)
}

/// Deletes all sessions with an account.
pub(super) fn forget_peer(
    transaction: &mut Transaction<'_>,
    address: &Address,
    account_key: &VerifyingKey,
) -> Result<(), Stop> {
    let key = key::peer(address, account_key.as_bytes());
    for device in transaction.load(&key)?.unwrap_or_default().devices {
        for id in device.active.iter().chain(&device.inactive) {
            forget(transaction, id);
        }
    }
    transaction.delete(&key);
    Ok(())
}

/// Deletes the sessions with devices that the newest statement does not list any more.
pub(super) fn forget_missing_devices(transaction: &mut Transaction<'_>, statement: &Statement) -> Result<(), Stop> {
    let key = key::peer(statement.address(), statement.account_key().as_bytes());
    let Some(mut record) = transaction.load(&key)? else { return Ok(()) };
    let (kept, gone): (Vec<_>, Vec<_>) =
        record.devices.into_iter().partition(|device| statement.device(device.device_id).is_some());
    if gone.is_empty() {
        return Ok(());
    }
    for id in gone.iter().flat_map(|device| device.active.iter().chain(&device.inactive)) {
        forget(transaction, id);
    }
    record.devices = kept;
    transaction.store(&key, &record);
    Ok(())
}

/// Whose session it is.
pub(super) fn peer_of(record: &SessionRecord) -> Result<PeerDevice, EngineError> {
    let account_key = VerifyingKey::from_slice(&record.peer_account_key)
        .map_err(|_| medipeps_core::wire::WireError::Bounds("peer_account_key"))?;
    Ok(PeerDevice { address: record.peer.clone(), account_key, device_id: record.peer_device })
}

fn forget(transaction: &mut Transaction<'_>, id: &[u8; 16]) {
    transaction.delete(&key::session(id));
    transaction.delete(&key::hints(id));
}
