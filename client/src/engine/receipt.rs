//! Receipts: sent to checked contacts who asked for them, never for receipts; received ones move a message's state.

use medipeps_core::kind::{Body, MessageId, Receipt, ReceiptEvent, ReceiptsWanted};
use medipeps_core::wire::client_records::{MessageRecord, RecipientState, SenderCheck};

use super::account::OwnDevice;
use super::composition::{KIND_MAIL, KIND_REPORT, enqueue_bare};
use super::outcome::EngineError;
use super::records::key;
use super::sesame::PeerDevice;
use super::transaction::{Stop, Transaction};
use super::{LocalId, body, device_sync, outbox, settings, unconfirmed};

/// Bits of [`MessageRecord::receipts_wanted`], as in `content.proto`.
const DELIVERED: u32 = 1;
const DISPLAYED: u32 = 2;
const PROCESSED: u32 = 4;
/// A bit of [`MessageRecord::receipts_sent`] alone: that the kind is not known goes out once too.
const UNSUPPORTED: u32 = 8;

/// The bits of the receipts that are asked for.
pub(super) const fn bits(wanted: ReceiptsWanted) -> u32 {
    (if wanted.delivered { DELIVERED } else { 0 })
        | (if wanted.displayed { DISPLAYED } else { 0 })
        | (if wanted.processed { PROCESSED } else { 0 })
}

/// The message was shown to a person, for the first time or again.
pub(super) fn mark_displayed(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    let mut message = transaction.load(&key::message(id))?.ok_or(EngineError::UnknownMessage)?;
    // What has a body still to come has not been seen; what will never have one has been seen as far as it ever can be.
    let waits = body::is_missing(transaction, id)?.is_some_and(|body| body.failed.is_none());
    if message.sent || message.displayed != 0 || waits {
        return Ok(());
    }
    message.displayed = transaction.now.0;
    transaction.store(&key::message(id), &message);
    device_sync::note_displayed(transaction, id, &message)?;
    send(transaction, id, message, ReceiptEvent::Displayed, DISPLAYED)
}

/// Tells the sender that the message is in this store, if that was asked for and may be told; and that its kind is not
/// known, if it is not.
pub(super) fn send_arrived(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    send_delivered(transaction, id)?;
    let kind = transaction.load(&key::message(id))?.map(|message| message.kind);
    if kind.is_some_and(|kind| !matches!(kind, KIND_MAIL | KIND_REPORT)) {
        send_unsupported(transaction, id)
    } else {
        Ok(())
    }
}

/// Tells the sender that the message is in this store, if that was asked for and may be told.
pub(super) fn send_delivered(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    let Some(message) = transaction.load(&key::message(id))? else { return Ok(()) };
    send(transaction, id, message, ReceiptEvent::Delivered, DELIVERED)
}

/// Tells the sender that this version does not know the kind of message and showed its fallback text.
pub(super) fn send_unsupported(transaction: &mut Transaction<'_>, id: &LocalId) -> Result<(), Stop> {
    let Some(mut message) = transaction.load(&key::message(id))? else { return Ok(()) };
    message.receipts_wanted |= UNSUPPORTED;
    send(transaction, id, message, ReceiptEvent::Unsupported, UNSUPPORTED)
}

/// A receipt has come from a checked contact.
pub(super) fn received(transaction: &mut Transaction<'_>, peer: &PeerDevice, receipt: &Receipt) -> Result<(), Stop> {
    let (state, code) = match receipt.event {
        ReceiptEvent::Delivered => (RecipientState::Delivered, None),
        ReceiptEvent::Displayed | ReceiptEvent::Processed => (RecipientState::Displayed, None),
        ReceiptEvent::Unsupported => (RecipientState::Delivered, Some("unsupported")),
    };
    // Only for one's own message and only by one of its recipients: set_state looks for both.
    outbox::set_state(transaction, &receipt.message_id.0, &peer.address, state, code)?;
    // Who has read it has it.
    unconfirmed::confirm(transaction, peer, &[receipt.message_id])
}

fn send(
    transaction: &mut Transaction<'_>,
    id: &LocalId,
    mut message: MessageRecord,
    event: ReceiptEvent,
    bit: u32,
) -> Result<(), Stop> {
    let wanted = message.receipts_wanted & bit != 0 && message.receipts_sent & bit == 0;
    if message.sent || !wanted || message.sender_check != SenderCheck::Checked {
        return Ok(());
    }
    // Half a message has not arrived.
    if body::is_missing(transaction, id)?.is_some() {
        return Ok(());
    }
    let own = OwnDevice::load(transaction)?;
    if own.record.rolled_back || settings::is_blocked(transaction, &message.sender)? {
        return Ok(());
    }
    let (thread, message_id) = (MessageId(message.thread), MessageId(message.content_id));
    let body = Body::Receipt(Receipt { message_id, event, at: transaction.now.0 });
    enqueue_bare(transaction, &own, &message.sender, Some((thread, message_id)), body)?;
    message.receipts_sent |= bit;
    message.receipts_wanted &= !UNSUPPORTED;
    transaction.store(&key::message(id), &message);
    Ok(())
}
