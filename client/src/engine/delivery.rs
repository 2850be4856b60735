//! Delivery keys: the own account's are made, set at its server and given to those whom a person has accepted; those of others
//! are kept and used. `spec/tokens.md`, section "Delivery keys".
//!
//! The key travels beside whatever is sent to an accepted account, so nobody has to be told apart: who has an older one gets
//! the newer with the next thing that he is sent, and until then is at worst in the request lane.

use medipeps_core::Address;
use medipeps_core::delivery_key::DeliveryKey;
use medipeps_core::identity::DeviceCertificate;
use medipeps_core::kind::{DeviceSync, GivenDeliveryKey, SyncedDelivery};
use medipeps_core::limits::DELIVERY_KEYS_MAX;
use medipeps_core::wire::client_records::{DeliveryRecord, OwnDeliveryKeysRecord};
use medipeps_core::wire::transport::Request;

use super::account::OwnDevice;
use super::outcome::{Connection, EngineError, Event};
use super::records::{Bytes, class, key};
use super::transaction::{Stop, Transaction};
use super::{Correlation, device_sync, settings};
use crate::limits::{DELIVERY_KEY_OVERLAP_MS, DELIVERY_KEY_RETRY_MS};

/// What a person is told about the delivery keys of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryKeySummary {
    /// When the present one was made, in milliseconds since 1970.
    pub made_at: u64,
    /// Former ones that are still good.
    pub former: usize,
    /// The server has taken all of them.
    pub is_set: bool,
}

impl DeliveryKeySummary {
    /// Out of the record; `None` while there is no key.
    pub(crate) fn of(record: &OwnDeliveryKeysRecord, address: &Address) -> Option<Self> {
        let newest = record.keys.last()?;
        Some(Self {
            made_at: newest.made_at,
            former: record.keys.len() - 1,
            is_set: record.told == hashes(record, address),
        })
    }
}

/// A person has written to an account, or has accepted it in another way: it gets the delivery key from now on.
pub(super) fn accept(transaction: &mut Transaction<'_>, address: &Address) -> Result<(), Stop> {
    let mut record = transaction.load(&key::delivery(address))?.unwrap_or_default();
    if record.accepted_at != 0 {
        return Ok(());
    }
    record.accepted_at = transaction.now.0.max(1);
    transaction.store(&key::delivery(address), &record);
    note(transaction, SyncedDelivery { address: address.clone(), key: None, accepted_at: record.accepted_at }, false)
}

/// The same as a command of its own.
pub(super) fn accept_by_hand(transaction: &mut Transaction<'_>, address: &Address) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    if address == own.address() {
        return Err(EngineError::OwnAddress(address.clone()).into());
    }
    accept(transaction, address)?;
    transaction.event(Event::Accepted { address: address.clone() });
    Ok(())
}

/// Makes a new key: whoever is to be shut out does not get it, and the former one ends before long.
pub(super) fn renew(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    let mut record = transaction.load(&key::own_delivery_keys())?.unwrap_or_default();
    let newest = record.keys.last().map_or(0, |given| given.made_at);
    // The clock may have been put back.
    let made_at = transaction.now.0.max(newest.saturating_add(1));
    let given = GivenDeliveryKey { key: DeliveryKey::random(&mut transaction.rng), made_at };
    insert(&mut record, own.address(), given.clone());
    transaction.store(&key::own_delivery_keys(), &record);
    note(transaction, SyncedDelivery { address: own.address().clone(), key: Some(given), accepted_at: 0 }, true)
}

/// Makes the account's first key, lets former ones go when their time is over, and tells the server.
pub(super) fn send_due(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let now = transaction.now.0;
    if transaction.load(&key::own_delivery_keys())?.is_none() {
        // Devices that are linked are told; that two begin at once is put right by the newer key.
        if !begins(&own) {
            return Ok(());
        }
        renew(transaction)?;
    }
    let Some(mut record) = transaction.load(&key::own_delivery_keys())? else { return Ok(()) };
    // One that was made in the future comes from a clock that was wrong: nobody waits a year for it.
    let is_over = |next: &GivenDeliveryKey| {
        next.made_at.saturating_add(DELIVERY_KEY_OVERLAP_MS) <= now
            || next.made_at > now.saturating_add(DELIVERY_KEY_OVERLAP_MS)
    };
    let over = record.keys.iter().skip(1).rposition(is_over).map_or(0, |last| last + 1);
    record.keys.drain(..over);
    let hashes = hashes(&record, own.address());
    // A time that is too far away comes from a clock that was wrong.
    let waits = record.next_attempt > now && record.next_attempt - now <= DELIVERY_KEY_RETRY_MS;
    if record.told == hashes || waits {
        if over > 0 {
            transaction.store(&key::own_delivery_keys(), &record);
        }
        return Ok(());
    }
    record.next_attempt = now.saturating_add(DELIVERY_KEY_RETRY_MS);
    transaction.store(&key::own_delivery_keys(), &record);
    let correlation = Correlation::SetDeliveryKeys(hashes.clone());
    transaction.send(Connection::Proved, Request::SetDeliveryKeys(hashes), correlation);
    Ok(())
}

/// The server has these.
pub(super) fn told(transaction: &mut Transaction<'_>, hashes: &[[u8; 32]]) -> Result<(), Stop> {
    let Some(mut record) = transaction.load(&key::own_delivery_keys())? else { return Ok(()) };
    (record.told, record.next_attempt) = (hashes.to_vec(), 0);
    transaction.store(&key::own_delivery_keys(), &record);
    Ok(())
}

/// The server was restored from a backup, which may have other keys.
pub(super) fn server_restored(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let Some(mut record) = transaction.load(&key::own_delivery_keys())? else { return Ok(()) };
    (record.told, record.next_attempt) = (Vec::new(), 0);
    transaction.store(&key::own_delivery_keys(), &record);
    Ok(())
}

/// With which a submission to an account is marked; to one's own account with one's own.
pub(super) fn key_of(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    address: &Address,
) -> Result<Option<DeliveryKey>, Stop> {
    if address == own.address() {
        let record = transaction.load(&key::own_delivery_keys())?;
        return Ok(record.and_then(|record| record.keys.last().map(|given| given.key.clone())));
    }
    let record = transaction.load(&key::delivery(address))?;
    Ok(record.and_then(|record| record.key).map(|given| given.key))
}

/// What is sent to an account, with the own key beside it if the account may have it.
pub(super) fn with_own_key(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    recipient: &Address,
    content: Bytes,
) -> Result<Bytes, Stop> {
    if recipient == own.address() || !is_accepted(transaction, recipient)? {
        return Ok(content);
    }
    let record = transaction.load(&key::own_delivery_keys())?;
    let given = record.as_ref().and_then(|record| record.keys.last());
    Ok(given.and_then(|given| given.attach(&content)).unwrap_or(content))
}

/// Keeps the key that came beside a message, from a sender whose account key is the pinned one.
pub(super) fn received(transaction: &mut Transaction<'_>, sender: &Address, content: &[u8]) -> Result<(), Stop> {
    let Ok(Some(given)) = GivenDeliveryKey::beside(content) else { return Ok(()) };
    if learn(transaction, sender, &given)? {
        note(transaction, SyncedDelivery { address: sender.clone(), key: Some(given), accepted_at: 0 }, false)?;
    }
    Ok(())
}

/// Whether an account gets the key: it has been accepted, and is not blocked.
pub(super) fn is_accepted(transaction: &mut Transaction<'_>, address: &Address) -> Result<bool, Stop> {
    let accepted = transaction.load(&key::delivery(address))?.is_some_and(|record| record.accepted_at != 0);
    Ok(accepted && !settings::is_blocked(transaction, address)?)
}

/// What another device of the account has told.
pub(super) fn apply(transaction: &mut Transaction<'_>, own: &OwnDevice, sync: &DeviceSync) -> Result<(), Stop> {
    for entry in &sync.deliveries {
        if entry.address == *own.address() {
            let Some(given) = entry.key.clone() else { continue };
            let mut record = transaction.load(&key::own_delivery_keys())?.unwrap_or_default();
            let before = record.clone();
            insert(&mut record, own.address(), given);
            if record != before {
                transaction.store(&key::own_delivery_keys(), &record);
            }
            continue;
        }
        if let Some(given) = &entry.key {
            learn(transaction, &entry.address, given)?;
        }
        let mut record = transaction.load(&key::delivery(&entry.address))?.unwrap_or_default();
        if entry.accepted_at != 0 && (record.accepted_at == 0 || entry.accepted_at < record.accepted_at) {
            record.accepted_at = entry.accepted_at;
            transaction.store(&key::delivery(&entry.address), &record);
        }
    }
    Ok(())
}

/// All that is known, in batches that can be sent: what a new device of the account needs.
pub(super) fn all(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<Vec<DeviceSync>, Stop> {
    let mut deliveries = Vec::new();
    for given in transaction.load(&key::own_delivery_keys())?.unwrap_or_default().keys {
        deliveries.push(SyncedDelivery { address: own.address().clone(), key: Some(given), accepted_at: 0 });
    }
    for (name, record) in transaction.scan::<DeliveryRecord>(class::DELIVERY)? {
        let Some(address) = std::str::from_utf8(name.name()).ok().and_then(|text| text.parse().ok()) else { continue };
        deliveries.push(SyncedDelivery { address, key: record.key, accepted_at: record.accepted_at });
    }
    Ok(DeviceSync { deliveries, ..DeviceSync::default() }.split())
}

fn learn(transaction: &mut Transaction<'_>, address: &Address, given: &GivenDeliveryKey) -> Result<bool, Stop> {
    let mut record = transaction.load(&key::delivery(address))?.unwrap_or_default();
    if record.key.as_ref().is_some_and(|known| !given.replaces(address, known)) {
        return Ok(false);
    }
    record.key = Some(given.clone());
    transaction.store(&key::delivery(address), &record);
    Ok(true)
}

fn insert(record: &mut OwnDeliveryKeysRecord, address: &Address, given: GivenDeliveryKey) {
    if record.keys.contains(&given) {
        return;
    }
    record.keys.push(given);
    record.keys.sort_by_key(|given| (given.made_at, given.key.hash(address)));
    let over = record.keys.len().saturating_sub(DELIVERY_KEYS_MAX);
    record.keys.drain(..over);
    record.next_attempt = 0;
}

fn note(transaction: &mut Transaction<'_>, entry: SyncedDelivery, at_once: bool) -> Result<(), Stop> {
    device_sync::note(transaction, DeviceSync { deliveries: vec![entry], ..DeviceSync::default() }, at_once)
}

/// Whether this device makes the account's first key: the primary device of the lowest number does.
fn begins(own: &OwnDevice) -> bool {
    let primaries = own.statement.devices().iter().filter(|device| DeviceCertificate::primary(device));
    primaries.map(DeviceCertificate::device_id).min().is_none_or(|lowest| lowest == own.record.device_id)
}

fn hashes(record: &OwnDeliveryKeysRecord, address: &Address) -> Vec<[u8; 32]> {
    record.keys.iter().map(|given| given.key.hash(address)).collect()
}
