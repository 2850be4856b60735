//! The other devices of this account: what is sent to people is sent to them too, and kept there as sent.
//! `spec/client-engine.md`, section "One's own devices".

use medipeps_core::Address;
use medipeps_core::decoy::DecoyKey;
use medipeps_core::identity::{Change, DeviceCertificate, Statement};
use medipeps_core::kind::{Body, Content, Mail};
use medipeps_core::wire::client_records::{MessageRecord, RecipientRecord, RecipientState, SenderCheck};
use medipeps_core::wire::transport::{Delivery, DeviceEnvelope};
use zeroize::Zeroizing;

use super::account::OwnDevice;
use super::composition::{enqueue, urgency_number};
use super::outcome::{Event, Undecryptable};
use super::records::key;
use super::sesame::PeerDevice;
use super::transaction::{Stop, Transaction};
use super::{LocalId, body, device_sync, group, owed, own_statement, receipt, unconfirmed};

/// The devices of the account beside this one.
pub(super) fn others(own: &OwnDevice) -> impl Iterator<Item = u32> {
    let this = own.record.device_id;
    own.statement.devices().iter().map(DeviceCertificate::device_id).filter(move |id| *id != this)
}

/// Puts content into the outbox for the other devices of the account, if there are any. `bare`: it is no message of its
/// own, and is forgotten once it is sent.
pub(super) fn enqueue_for_others(transaction: &mut Transaction<'_>, own: &OwnDevice, content_id: [u8; 16], bare: bool) {
    if others(own).next().is_some() {
        enqueue(transaction, content_id, own.address(), bare);
    }
}

/// Puts the decoy for this device among the envelopes for the others, at its place in the statement. `spec/envelope.md`.
pub(super) fn add_decoy(transaction: &mut Transaction<'_>, own: &OwnDevice, envelopes: &mut Vec<DeviceEnvelope>) {
    let smallest = envelopes.iter().map(|one| one.envelope.len()).min();
    let decoy = smallest.and_then(|length| DecoyKey::of(&own.keys.dh_key).draw(length, &mut transaction.rng).ok());
    let Some(envelope) = decoy else { return };
    let this = own.record.device_id;
    let before = |one: &DeviceEnvelope| {
        own.statement
            .devices()
            .iter()
            .map(DeviceCertificate::device_id)
            .take_while(|id| *id != this)
            .any(|id| id == one.device_id)
    };
    let place = envelopes.iter().take_while(|one| before(one)).count();
    envelopes.insert(place, DeviceEnvelope { device_id: this, envelope });
}

/// Whether a session's message from the own address is refused. `None` if it comes from a device of this account.
pub(super) fn device_refused(own: &OwnDevice, peer: &PeerDevice) -> Option<Undecryptable> {
    if peer.account_key != own.statement.account_key() || peer.device_id == own.record.device_id {
        return Some(Undecryptable::OwnAddress);
    }
    own.statement.device(peer.device_id).is_none().then_some(Undecryptable::DeviceNotListed)
}

/// Holds the statement of a first flight from the own address against the account's own.
pub(super) fn sender_refused(own: &OwnDevice, sender: &Statement, device_id: u32) -> Option<Undecryptable> {
    let known = &own.statement;
    if sender.account_key() != known.account_key() || device_id == own.record.device_id {
        return Some(Undecryptable::OwnAddress);
    }
    match sender.change_since(known) {
        Ok(Change::None) => None,
        // Signed by the account key: as good from the device as from the server, if it leaves this device in its place.
        Ok(Change::Devices) => (!lists_this_device(own, sender)).then_some(Undecryptable::DeviceNotListed),
        Ok(Change::AccountKey) => Some(Undecryptable::OwnAddress),
        Err(_) if sender.version() < known.version() => {
            match known.device_keys(device_id) == sender.device_keys(device_id) {
                true => None,
                false => Some(Undecryptable::DeviceNotListed),
            }
        }
        Err(_) => Some(Undecryptable::StatementConflict),
    }
}

/// A device that is not listed may be one that this device has not heard of, or this device may be off the list itself.
pub(super) fn ask_if_not_listed(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    refused: Option<Undecryptable>,
) -> Option<Undecryptable> {
    if refused == Some(Undecryptable::DeviceNotListed) {
        own_statement::refresh(transaction, own);
    }
    refused
}

/// Takes a newer statement of the account, signed by its key, that lists this device as it is. False if it is none; the
/// server is asked then.
pub(super) fn learn(transaction: &mut Transaction<'_>, statement: &Statement) -> Result<bool, Stop> {
    let own = OwnDevice::load(transaction)?;
    match statement.change_since(&own.statement) {
        Ok(Change::None) => Ok(true),
        Ok(Change::Devices) if lists_this_device(&own, statement) => {
            own_statement::accept(transaction, own, statement)?;
            Ok(true)
        }
        _ => {
            own_statement::refresh(transaction, &own);
            Ok(false)
        }
    }
}

fn lists_this_device(own: &OwnDevice, statement: &Statement) -> bool {
    statement.device_keys(own.record.device_id) == Some(own.keys.public_keys())
}

/// Whether what goes to the account's other devices is confirmed by them: what people write, and what devices tell each
/// other. Confirmations and empty messages are not.
pub(super) fn is_confirmed(encoded: &[u8]) -> bool {
    Content::decode(encoded).is_ok_and(|content| is_confirmed_body(&content.body))
}

const fn is_confirmed_body(body: &Body) -> bool {
    matches!(body, Body::Mail(_) | Body::Unknown { .. } | Body::DeviceSync(_))
}

/// Why an envelope is not taken, and from whom it is.
pub(super) type Refusal = (Undecryptable, Option<Address>);

/// Stores what another device of the account has sent: as sent.
pub(super) fn keep(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    peer: &PeerDevice,
    content: &Content,
    encoded: &[u8],
    delivery: &Delivery,
) -> Result<Option<Refusal>, Stop> {
    if let Body::Received(received) = &content.body {
        owed::heard(transaction, &peer.address)?;
        unconfirmed::confirm(transaction, peer, &received.message_ids)?;
        if received.unreadable {
            unconfirmed::asked_by(transaction, peer)?;
        }
        return Ok(None);
    }
    let seen = key::received(&peer.address, peer.account_key.as_bytes(), &content.id.0);
    let again = transaction.exists(&seen)?;
    if is_confirmed_body(&content.body) {
        // Also what comes again: the first confirmation was lost.
        owed::confirm(transaction, &peer.address, content.id.0, false)?;
    }
    if again {
        transaction.event(Event::Duplicate);
        return Ok(None);
    }
    // The sender's id serves as the local one, unless somebody else has used it before.
    let id = match transaction.exists(&key::message(&content.id.0))? {
        true => transaction.random_id(),
        false => content.id.0,
    };
    let mail = match &content.body {
        Body::Mail(mail) => Some(mail),
        Body::GroupRejoinRequest(request) => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            group::rejoin_requested(transaction, own, peer, *request)?;
            return Ok(None);
        }
        Body::GroupRejoinAnswer(answer) => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            group::rejoin_answered(transaction, own, peer, (answer, encoded))?;
            return Ok(None);
        }
        Body::GroupInvitation(_) => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            group::invitation_received(transaction, own, (peer, true), content, encoded)?;
            return Ok(None);
        }
        Body::DeviceSync(sync) => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            device_sync::apply(transaction, own, sync)?;
            return Ok(None);
        }
        Body::Received(_) | Body::Empty => return Ok(None),
        Body::Receipt(_) => {
            return Ok(Some((Undecryptable::Content, Some(peer.address.clone()))));
        }
        // Of a later version or a kind that this client does not show by itself, and not meant for anybody's eyes.
        _ if content.fallback_text.is_empty() => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            return Ok(None);
        }
        _ => None,
    };
    transaction.store(&seen, &Zeroizing::new(id.to_vec()));
    transaction.store(&key::content(&id), &Zeroizing::new(encoded.to_vec()));
    transaction.store(&key::message(&id), &sent_record(peer, content, mail, delivery));
    body::expect(transaction, &id, content, peer.address.domain());
    transaction.event(Event::SentElsewhere { id });
    device_sync::apply_early(transaction, own, &content.id)?;
    Ok(None)
}

fn sent_record(peer: &PeerDevice, content: &Content, mail: Option<&Mail>, delivery: &Delivery) -> MessageRecord {
    let recipients = mail.iter().flat_map(|mail| &mail.recipients).map(|recipient| RecipientRecord {
        address: recipient.address.clone(),
        copy: recipient.role == medipeps_core::kind::RecipientRole::Cc,
        state: match recipient.address == peer.address {
            true => RecipientState::Delivered,
            false => RecipientState::Queued,
        },
        code: None,
        at: content.created,
    });
    MessageRecord {
        sent: true,
        content_id: content.id.0,
        thread: content.thread.0,
        sender: peer.address.clone(),
        sender_device: peer.device_id,
        sender_name: content.sender_name.clone(),
        kind: content.body.kind_number(),
        subject: mail.map(|mail| mail.subject.clone()).unwrap_or_default(),
        created: content.created,
        received: delivery.received,
        displayed: content.created.max(1),
        sender_check: SenderCheck::Checked,
        urgency: urgency_number(content.urgency),
        receipts_wanted: receipt::bits(content.receipts_wanted),
        receipts_sent: 0,
        attachments: u32::try_from(content.attachments.len()).unwrap_or(u32::MAX),
        request_lane: false,
        recipients: recipients.collect(),
    }
}

/// Where a message of this account is kept: under its own id where it was written, or as it was noted when it came from
/// another device. `None` if it is not here (yet).
pub(super) fn find_sent(transaction: &mut Transaction<'_>, content_id: &[u8; 16]) -> Result<Option<LocalId>, Stop> {
    if transaction.load(&key::message(content_id))?.is_some_and(|message| message.sent) {
        return Ok(Some(*content_id));
    }
    let Some(account) = transaction.load(&key::account())? else { return Ok(None) };
    let account_key = Statement::decode(&account.statement)?.account_key();
    let seen = transaction.load(&key::received(&account.address, account_key.as_bytes(), content_id))?;
    let Some(id) = seen.and_then(|id| LocalId::try_from(id.as_slice()).ok()) else { return Ok(None) };
    Ok(transaction.load(&key::message(&id))?.filter(|message| message.sent).map(|_| id))
}
