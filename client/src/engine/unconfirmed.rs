//! Messages that have left, until their recipients' devices say that they have them. What nobody confirms is sent again,
//! with the same content id and over a fresh handshake, and in the end shown as failed.

use medipeps_core::Address;
use medipeps_core::kind::MessageId;
use medipeps_core::wire::client_records::{OutboxRecord, RecipientState, UnconfirmedRecord};

use super::account::OwnDevice;
use super::agenda::{self, Matter};
use super::composition::enqueue;
use super::records::{class, key};
use super::sesame::{self, PeerDevice};
use super::transaction::{Stop, Transaction, go_on};
use super::{contact, outbox};
use crate::limits::{
    SENT_AGAIN_AT_ONCE_MAX, SENT_AGAIN_MAX, UNCONFIRMED_GRACE_MS, UNCONFIRMED_KEPT_MS, UNCONFIRMED_WAIT_MS,
};

/// The code of messages that nobody has confirmed.
pub(super) const UNCONFIRMED: &str = "unconfirmed";

/// The message is encrypted to these devices. It is noted before it leaves: a confirmation may come before the server's
/// answer does.
pub(super) fn sent(
    transaction: &mut Transaction<'_>,
    entry: &OutboxRecord,
    devices: impl Iterator<Item = u32>,
) -> Result<(), Stop> {
    let key = key::unconfirmed(&entry.content_id, &entry.recipient);
    let mut record = transaction.load(&key)?.unwrap_or_else(|| UnconfirmedRecord {
        content_id: entry.content_id,
        recipient: entry.recipient.clone(),
        devices: Vec::new(),
        confirmed: Vec::new(),
        accepted: 0,
        last_sent: 0,
        sent_again: 0,
        next: 0,
        noticed: false,
        bare: entry.receipt,
    });
    record.devices = devices.filter(|device| !record.confirmed.contains(device)).collect();
    transaction.store(&key, &record);
    Ok(())
}

/// The recipient's server has it on its disk: from now on a confirmation is awaited. False if none is.
pub(super) fn accepted(
    transaction: &mut Transaction<'_>,
    content_id: &[u8; 16],
    recipient: &Address,
) -> Result<bool, Stop> {
    let key = key::unconfirmed(content_id, recipient);
    let Some(mut record) = transaction.load(&key)? else { return Ok(false) };
    let now = transaction.now.0.max(1);
    if record.accepted == 0 {
        record.accepted = now;
    }
    record.last_sent = now;
    wait(transaction, record, UNCONFIRMED_WAIT_MS)?;
    Ok(true)
}

/// Whether the recipient's server has taken the message once.
pub(super) fn was_accepted(
    transaction: &mut Transaction<'_>,
    content_id: &[u8; 16],
    recipient: &Address,
) -> Result<bool, Stop> {
    let record = transaction.load(&key::unconfirmed(content_id, recipient))?;
    Ok(record.is_some_and(|record| record.accepted != 0))
}

/// Nothing more is awaited of a message. Whoever calls sees to a content that was kept for this alone.
pub(super) fn forget(transaction: &mut Transaction<'_>, content_id: &[u8; 16], recipient: &Address) {
    transaction.delete(&key::unconfirmed(content_id, recipient));
}

/// The same, with a content that was kept for this alone.
fn close(transaction: &mut Transaction<'_>, record: &UnconfirmedRecord) {
    forget(transaction, &record.content_id, &record.recipient);
    if record.bare {
        transaction.delete(&key::content(&record.content_id));
    }
}

/// A device of a checked contact, or of this account, has these messages.
pub(super) fn confirm(transaction: &mut Transaction<'_>, peer: &PeerDevice, ids: &[MessageId]) -> Result<(), Stop> {
    let keys: Vec<_> = ids.iter().map(|id| key::unconfirmed(&id.0, &peer.address)).collect();
    let records = transaction.load_all(&keys)?;
    let messages: Vec<_> = ids.iter().map(|id| key::message(&id.0)).collect();
    transaction.load_all(&messages)?;
    for ((id, key), record) in ids.iter().zip(&keys).zip(records) {
        let Some(mut record) = record else {
            // Given up before, or of somebody else's making.
            outbox::take_back_failure(transaction, &id.0, &peer.address)?;
            continue;
        };
        record.devices.retain(|device| *device != peer.device_id);
        if !record.confirmed.contains(&peer.device_id) {
            record.confirmed.push(peer.device_id);
        }
        if record.devices.is_empty() {
            close(transaction, &record);
            // Also where it is about to be sent again, or the server's answer was lost.
            go_on(outbox::arrived(transaction, &id.0, &peer.address))?;
        } else {
            transaction.store(key, &record);
        }
    }
    Ok(())
}

/// A device says that it cannot read something: whatever it has not confirmed is sent again.
pub(super) fn asked_by(transaction: &mut Transaction<'_>, peer: &PeerDevice) -> Result<(), Stop> {
    let mut count = 0;
    for (_, record) in transaction.scan::<UnconfirmedRecord>(class::UNCONFIRMED)? {
        let concerned = record.recipient == peer.address && record.devices.contains(&peer.device_id);
        if !concerned || record.accepted == 0 || record.sent_again >= SENT_AGAIN_MAX {
            continue;
        }
        match is_on_its_way(transaction, &record) {
            Ok(true) => continue,
            Ok(false) => count += 1,
            missing => go_on(missing)?,
        }
        if count > SENT_AGAIN_AT_ONCE_MAX {
            // In one of the next steps.
            wait(transaction, UnconfirmedRecord { noticed: true, ..record }, 0)?;
        } else {
            go_on(send_again(transaction, record, &[peer.device_id]))?;
        }
    }
    Ok(())
}

/// Sends again what nobody has confirmed for a day, and gives up what was sent often enough.
pub(super) fn send_due(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    if !agenda::take_due(transaction, Matter::Unconfirmed)? {
        return Ok(());
    }
    let now = transaction.now.0;
    let mut count = 0;
    for (_, mut record) in transaction.scan::<UnconfirmedRecord>(class::UNCONFIRMED)? {
        if record.accepted == 0 {
            continue;
        }
        let next = agenda::within(record.next, now, UNCONFIRMED_WAIT_MS);
        if next <= now && count < SENT_AGAIN_AT_ONCE_MAX {
            count += 1;
            record.accepted = record.accepted.min(now);
            go_on(look_at(transaction, record))?;
        } else if next == record.next {
            agenda::note(transaction, Matter::Unconfirmed, next)?;
        } else {
            // A clock that was wrong has set it.
            wait(transaction, record, next - now)?;
        }
    }
    Ok(())
}

/// A backup has brought what its device was waiting for. Confirmations that came to that device meanwhile are unknown here:
/// what is as old as nothing is waited for any longer is let go, the rest is looked at, and sent again if need be. Whoever
/// has it drops it, and confirms it again.
pub(super) fn restored(transaction: &mut Transaction<'_>, own_address: &Address) -> Result<(), Stop> {
    let now = transaction.now.0;
    for (_, record) in transaction.scan::<UnconfirmedRecord>(class::UNCONFIRMED)? {
        let old = now.abs_diff(record.accepted) >= UNCONFIRMED_KEPT_MS;
        match old || record.recipient == *own_address {
            true => close(transaction, &record),
            false => wait(transaction, UnconfirmedRecord { sent_again: 0, noticed: false, ..record }, 0)?,
        }
    }
    Ok(())
}

/// The server of a domain was restored from a backup: what accounts there have not confirmed may be lost, or their
/// confirmations may be. It is sent again at once; whoever has it drops it, and confirms it again.
pub(super) fn server_restored(transaction: &mut Transaction<'_>, domain: &str) -> Result<(), Stop> {
    for (_, record) in transaction.scan::<UnconfirmedRecord>(class::UNCONFIRMED)? {
        if record.accepted != 0 && record.recipient.domain() == domain {
            wait(transaction, UnconfirmedRecord { sent_again: 0, noticed: true, ..record }, 0)?;
        }
    }
    Ok(())
}

/// A message whose time has come.
fn look_at(transaction: &mut Transaction<'_>, record: UnconfirmedRecord) -> Result<(), Stop> {
    let (now, end) = (transaction.now.0, record.accepted.saturating_add(UNCONFIRMED_KEPT_MS));
    if !record.confirmed.is_empty() {
        // Some device has it. The others may be off for long, or for ever.
        if end <= now {
            close(transaction, &record);
            return Ok(());
        }
        return wait(transaction, record, (end - now).min(UNCONFIRMED_WAIT_MS));
    }
    if is_on_its_way(transaction, &record)? {
        return wait(transaction, record, UNCONFIRMED_WAIT_MS);
    }
    if !record.noticed {
        // A device that was off for days finds the confirmations in its queue, if it is given the time to look.
        return wait(transaction, UnconfirmedRecord { noticed: true, ..record }, UNCONFIRMED_GRACE_MS);
    }
    if record.sent_again >= SENT_AGAIN_MAX {
        close(transaction, &record);
        if is_own_address(transaction, &record.recipient)? {
            // The other devices are off for long, or for ever; what they lack fails for nobody.
            return Ok(());
        }
        let state = RecipientState::Failed;
        return outbox::set_state(transaction, &record.content_id, &record.recipient, state, Some(UNCONFIRMED));
    }
    let devices = record.devices.clone();
    send_again(transaction, record, &devices)
}

/// Puts the message into the outbox again, and the sessions aside over which it did not arrive.
fn send_again(transaction: &mut Transaction<'_>, record: UnconfirmedRecord, devices: &[u32]) -> Result<(), Stop> {
    let statement = match is_own_address(transaction, &record.recipient)? {
        true => Some(OwnDevice::load(transaction)?.statement),
        false => contact::pinned(transaction, &record.recipient)?,
    };
    if let Some(statement) = statement {
        for device in devices {
            let peer = PeerDevice::of(&statement, *device);
            sesame::put_aside(transaction, &peer, record.last_sent)?;
        }
    }
    enqueue(transaction, record.content_id, &record.recipient, record.bare);
    let sent_again = record.sent_again + 1;
    wait(transaction, UnconfirmedRecord { sent_again, noticed: false, ..record }, UNCONFIRMED_WAIT_MS)
}

fn is_own_address(transaction: &mut Transaction<'_>, recipient: &Address) -> Result<bool, Stop> {
    Ok(transaction.load(&key::account())?.is_some_and(|account| account.address == *recipient))
}

fn is_on_its_way(transaction: &mut Transaction<'_>, record: &UnconfirmedRecord) -> Result<bool, Stop> {
    transaction.exists(&key::outbox(&record.content_id, &record.recipient))
}

fn wait(transaction: &mut Transaction<'_>, mut record: UnconfirmedRecord, milliseconds: u64) -> Result<(), Stop> {
    record.next = transaction.now.0.saturating_add(milliseconds);
    transaction.store(&key::unconfirmed(&record.content_id, &record.recipient), &record);
    agenda::note(transaction, Matter::Unconfirmed, record.next)
}
