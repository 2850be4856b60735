//! Envelopes of no session. Nobody can be asked about them, because nobody knows whose they are; so they are kept for a
//! week, and tried again with every session that has begun or moved.

use medipeps_core::envelope::Envelope;
use medipeps_core::wire::client_records::{KeptEnvelopeRecord, QueueRecord};
use medipeps_core::wire::transport::{Delivery, Lane};

use super::account::OwnDevice;
use super::agenda::{self, Matter};
use super::receiving::{self, Keys, Opened};
use super::records::{Key, class, key};
use super::transaction::{Stop, Transaction};
use crate::limits::{KEPT_ENVELOPE_MS, KEPT_ENVELOPES_LENGTH_MAX, KEPT_ENVELOPES_MAX, UNDECRYPTABLE_KEPT_MAX};

/// Whether envelopes are kept already. Where none are, one batch is not too much.
pub(super) fn are_there(transaction: &mut Transaction<'_>) -> Result<bool, Stop> {
    if !agenda::has(transaction, Matter::Kept)? {
        return Ok(false);
    }
    transaction.stored_class(class::KEPT_ENVELOPE)?;
    Ok(true)
}

/// Keeps an envelope. `number` is the one under which it was noted as undecryptable.
pub(super) fn keep(transaction: &mut Transaction<'_>, number: u64, delivery: &Delivery) -> Result<(), Stop> {
    let now = transaction.now.0;
    let record = KeptEnvelopeRecord {
        sequence: delivery.sequence,
        received: delivery.received,
        kept: now,
        envelope: delivery.envelope.clone(),
        request_lane: delivery.lane == Lane::Request,
    };
    transaction.store(&key::kept_envelope(number), &record);
    agenda::note(transaction, Matter::Kept, now.saturating_add(KEPT_ENVELOPE_MS))
}

/// Deletes the oldest of what is more than is kept.
pub(super) fn trim(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let (mut count, mut length) = (0, 0);
    for (key, record) in all(transaction)?.into_iter().rev() {
        count += 1;
        length += record.envelope.len();
        if count > KEPT_ENVELOPES_MAX || length > KEPT_ENVELOPES_LENGTH_MAX {
            transaction.delete(&key);
        }
    }
    Ok(())
}

/// Deletes what nothing has opened for a week.
pub(super) fn drop_old(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    if !agenda::take_due(transaction, Matter::Kept)? {
        return Ok(());
    }
    let now = transaction.now.0;
    for (key, mut record) in all(transaction)? {
        if record.kept > now {
            // A clock that was wrong has set it.
            record.kept = now;
            transaction.store(&key, &record);
        }
        let end = record.kept.saturating_add(KEPT_ENVELOPE_MS);
        if end <= now {
            transaction.delete(&key);
        } else {
            agenda::note(transaction, Matter::Kept, end)?;
        }
    }
    Ok(())
}

/// Tries what is kept with the sessions that this batch has begun or moved; others have had their turn. What opens may
/// move its session further.
pub(super) fn try_again(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    keys: &mut Keys,
    queue: &mut QueueRecord,
) -> Result<(), Stop> {
    if !keys.has_moved() {
        return Ok(());
    }
    loop {
        let mut opened = false;
        for (key, record) in all(transaction)? {
            let Ok(envelope) = Envelope::decode(&record.envelope) else { continue };
            let sessions = keys.moved(&envelope);
            if sessions.is_empty() {
                continue;
            }
            let Some(came_to) = receiving::open_in(transaction, own, keys, sessions, &envelope)? else { continue };
            opened |= matches!(came_to, Opened::Message { .. });
            forget(transaction, &key, &record)?;
            let KeptEnvelopeRecord { sequence, received, envelope, request_lane, .. } = record;
            let lane = if request_lane { Lane::Request } else { Lane::Normal };
            let delivery = Delivery { sequence, received, envelope, lane };
            receiving::conclude(transaction, own, queue, (&delivery, came_to))?;
        }
        if !opened {
            return Ok(());
        }
    }
}

/// The envelope is read after all: it is no longer one of those that could not be.
fn forget(
    transaction: &mut Transaction<'_>,
    key: &Key<KeptEnvelopeRecord>,
    record: &KeptEnvelopeRecord,
) -> Result<(), Stop> {
    transaction.delete(key);
    let Ok(number) = key.name().try_into().map(u64::from_be_bytes) else { return Ok(()) };
    let place = key::undecryptable(number % UNDECRYPTABLE_KEPT_MAX);
    if transaction.load(&place)?.is_some_and(|noted| noted.sequence == record.sequence) {
        transaction.delete(&place);
    }
    Ok(())
}

/// Oldest first.
fn all(transaction: &mut Transaction<'_>) -> Result<Vec<(Key<KeptEnvelopeRecord>, KeptEnvelopeRecord)>, Stop> {
    transaction.scan(class::KEPT_ENVELOPE)
}
