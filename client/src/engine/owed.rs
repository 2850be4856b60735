//! What is owed to checked contacts, and to the account's other devices: `received` for what has come, and an empty message where nothing else moves the
//! ratchets on.
//!
//! `received` waits 30 to 300 seconds for more to come, so that a hundred messages make one and its time says little
//! about the device's habits. It is not answered, and neither are receipts and empty messages: two devices that are left
//! alone come to rest.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::kind::{Body, MessageId, Received};
use medipeps_core::limits::RECEIVED_IDS_MAX;
use medipeps_core::wire::client_records::OwedRecord;
use rand_core::Rng;

use super::account::OwnDevice;
use super::agenda::{self, Matter};
use super::composition;
use super::contact;
use super::own_devices;
use super::records::{class, key};
use super::sesame::{self, PeerDevice};
use super::transaction::{Stop, Transaction, go_on};
use crate::limits::{
    ASK_INTERVAL_MS, EMPTY_DELAY_MS, OUTBOX_BATCH_MAX, OWED_IDS_MAX, RECEIVED_DELAY_MAX_MS, RECEIVED_DELAY_MIN_MS,
};

/// A message of a checked contact has come, perhaps again: then the sender lacks the first `received`.
pub(super) fn confirm(
    transaction: &mut Transaction<'_>,
    sender: &Address,
    content_id: [u8; 16],
    urgent: bool,
) -> Result<(), Stop> {
    let mut owed = load(transaction, sender)?;
    let now = transaction.now.0;
    // What is left out comes again, and is confirmed then.
    if owed.message_ids.len() < OWED_IDS_MAX && !owed.message_ids.contains(&content_id) {
        owed.message_ids.push(content_id);
    }
    if urgent {
        owed.due = now.max(1);
    } else if owed.due == 0 {
        let spread = RECEIVED_DELAY_MAX_MS - RECEIVED_DELAY_MIN_MS + 1;
        owed.due = now + RECEIVED_DELAY_MIN_MS + u64::from(transaction.rng.next_u32()) % spread;
    }
    store(transaction, &owed)
}

/// Something came from this device whose header opened and whose content did not. Its account is told at once, but once
/// an hour: whoever flips bits on the way must not make two devices talk all day.
pub(super) fn ask(transaction: &mut Transaction<'_>, peer: &PeerDevice) -> Result<(), Stop> {
    let now = transaction.now.0;
    if !is_known(transaction, peer)? || !sesame::may_ask(transaction, peer, ASK_INTERVAL_MS)? {
        return Ok(());
    }
    let mut owed = load(transaction, &peer.address)?;
    (owed.unreadable, owed.due) = (true, now.max(1));
    store(transaction, &owed)
}

/// Whether a device is a contact's, or one of this account's.
fn is_known(transaction: &mut Transaction<'_>, peer: &PeerDevice) -> Result<bool, Stop> {
    let own = OwnDevice::load(transaction)?;
    if peer.address == *own.address() {
        return Ok(own_devices::device_refused(&own, peer).is_none());
    }
    contact::is_pinned_by(transaction, &peer.address, &peer.account_key)
}

/// Something came that is not answered, and was not empty: if nothing is said to this contact for a day, an empty message
/// is, so that both sides' ratchets move on.
pub(super) fn heard(transaction: &mut Transaction<'_>, sender: &Address) -> Result<(), Stop> {
    let mut owed = load(transaction, sender)?;
    if owed.empty_due != 0 {
        return Ok(());
    }
    owed.empty_due = transaction.now.0 + EMPTY_DELAY_MS;
    store(transaction, &owed)
}

/// Something is on its way to this contact.
pub(super) fn said(transaction: &mut Transaction<'_>, recipient: &Address) -> Result<(), Stop> {
    match transaction.load(&key::owed(recipient))? {
        Some(owed) if owed.empty_due != 0 => store(transaction, &OwedRecord { empty_due: 0, ..owed }),
        _ => Ok(()),
    }
}

/// Puts into the outbox what is due.
pub(super) fn send_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    if !agenda::take_due(transaction, Matter::Owed)? {
        return Ok(());
    }
    let own = OwnDevice::load_working(transaction)?;
    for (_, owed) in transaction.scan::<OwedRecord>(class::OWED)? {
        go_on(send_to(transaction, &own, owed, unreachable))?;
    }
    Ok(())
}

fn send_to(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    mut owed: OwedRecord,
    unreachable: &BTreeSet<String>,
) -> Result<(), Stop> {
    let now = transaction.now.0;
    owed.due = agenda::within(owed.due, now, RECEIVED_DELAY_MAX_MS);
    owed.empty_due = agenda::within(owed.empty_due, now, EMPTY_DELAY_MS);
    let received = owed.due != 0 && owed.due <= now;
    let empty = owed.due == 0 && owed.empty_due != 0 && owed.empty_due <= now;
    if received || empty {
        // What waits already for this contact's server need not wait in two pieces.
        let waits = match owed.sending {
            Some(id) => transaction.exists(&key::outbox(&id, &owed.address))?,
            None => false,
        };
        let held = waits || unreachable.contains(owed.address.domain());
        match (held, received) {
            (true, true) => owed.due = now + RECEIVED_DELAY_MIN_MS,
            (true, false) => owed.empty_due = now + RECEIVED_DELAY_MAX_MS,
            (false, true) => send_received(transaction, own, &mut owed)?,
            (false, false) => {
                let id = composition::enqueue_bare(transaction, own, &owed.address, None, Body::Empty)?;
                (owed.sending, owed.empty_due) = (Some(id), 0);
            }
        }
    }
    store(transaction, &owed)
}

fn send_received(transaction: &mut Transaction<'_>, own: &OwnDevice, owed: &mut OwedRecord) -> Result<(), Stop> {
    for _ in 0..OUTBOX_BATCH_MAX {
        let count = owed.message_ids.len().min(RECEIVED_IDS_MAX);
        if count == 0 && !owed.unreadable {
            break;
        }
        let message_ids = owed.message_ids.drain(..count).map(MessageId).collect();
        let received = Received { message_ids, unreadable: std::mem::take(&mut owed.unreadable) };
        let id = composition::enqueue_bare(transaction, own, &owed.address, None, Body::Received(received))?;
        owed.sending = Some(id);
    }
    owed.due = if owed.message_ids.is_empty() { 0 } else { transaction.now.0 + RECEIVED_DELAY_MIN_MS };
    // What is on its way now moves the ratchets on.
    owed.empty_due = 0;
    Ok(())
}

fn load(transaction: &mut Transaction<'_>, address: &Address) -> Result<OwedRecord, Stop> {
    let new = || OwedRecord {
        address: address.clone(),
        message_ids: Vec::new(),
        due: 0,
        unreadable: false,
        sending: None,
        empty_due: 0,
    };
    Ok(transaction.load(&key::owed(address))?.unwrap_or_else(new))
}

fn store(transaction: &mut Transaction<'_>, owed: &OwedRecord) -> Result<(), Stop> {
    let due = [owed.due, owed.empty_due].into_iter().filter(|due| *due != 0).min();
    let Some(due) = due else {
        transaction.delete(&key::owed(&owed.address));
        return Ok(());
    };
    transaction.store(&key::owed(&owed.address), owed);
    agenda::note(transaction, Matter::Owed, due)
}
