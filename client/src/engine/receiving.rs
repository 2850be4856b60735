//! Envelopes of the device's queue become messages.
//!
//! A batch is one transaction: ratchet states, messages, deleted prekeys, what has been seen and how far the queue has
//! been worked off are committed together, and only then is the server told. An envelope that cannot be read changes no
//! key; it is counted, noted with its reason, and acknowledged with the others.

use std::collections::BTreeMap;

use medipeps_core::Address;
use medipeps_core::crypto::x_wing;
use medipeps_core::decoy::DecoyKey;
use medipeps_core::envelope::{Envelope, EnvelopeError};
use medipeps_core::handshake::InitialMessage;
use medipeps_core::identity::{Change, Statement};
use medipeps_core::kind::{Body, Content, Urgency};
use medipeps_core::session::{DecryptError, ResponderPrekeys, Session, SessionId};
use medipeps_core::wire::client_records::{
    MessageRecord, PrekeysRecord, QueueRecord, SenderCheck, SessionRecord, UndecryptableRecord,
};
use medipeps_core::wire::transport::{Delivery, Lane};
use zeroize::Zeroizing;

use super::account::OwnDevice;
use super::composition::urgency_number;
use super::outcome::{Event, Undecryptable};
use super::own_devices::Refusal;
use super::records::{HintKeys, key};
use super::sesame::{self, PeerDevice};
use super::transaction::{Stop, Transaction, go_on};
use super::{
    body, contact, delivery, device_sync, group, kept_envelope, mailbox, organisation, owed, own_devices, receipt,
    settings, statement_check, unconfirmed, wake,
};
use crate::limits::UNDECRYPTABLE_KEPT_MAX;

/// What an envelope came to.
pub(super) enum Opened {
    /// Content that a session decrypted; with the sender's statement where a first flight carried it.
    Message { peer: PeerDevice, content: Zeroizing<Vec<u8>>, statement: Option<Box<Statement>> },
    /// It came before.
    Duplicate,
    /// This device has sent it to itself, for the sake of its form.
    Decoy,
    /// It cannot be read, or is refused.
    Refused { reason: Undecryptable, sender: Option<Address> },
}

/// The keys that first flights are sealed to, and the hint keys that are not in the store yet.
pub(super) struct Keys {
    prekeys: Option<PrekeysRecord>,
    seals: Vec<x_wing::DecapsulationKey>,
    decoy: DecoyKey,
    /// Of the sessions that this batch has begun or moved.
    hints: BTreeMap<[u8; 16], HintKeys>,
}

/// Handles a batch of deliveries, in order.
pub(super) fn receive(
    transaction: &mut Transaction<'_>,
    incarnation: &[u8; 16],
    batch: &[Delivery],
) -> Result<(), Stop> {
    ask_ahead(transaction, incarnation, batch)?;
    let mut own = OwnDevice::load_working(transaction)?;
    let mut queue = queue_of(transaction, incarnation)?;
    let mut keys = Keys::load(transaction, &own)?;
    let (kept, before) = (kept_envelope::are_there(transaction)?, queue.undecryptable);
    for delivery in batch {
        if delivery.sequence <= queue.up_to {
            continue;
        }
        // An envelope that misses a record does not keep the others from asking for theirs.
        match receive_one(transaction, &own, &mut keys, &mut queue, delivery) {
            Ok(()) | Err(Stop::Needs) => {}
            Err(error) => return Err(error),
        }
        queue.up_to = delivery.sequence;
        // A first flight from another device of the account may have brought a newer statement.
        if transaction.load(&key::account())?.is_some_and(|account| account.statement != own.record.statement) {
            own = OwnDevice::load_working(transaction)?;
        }
    }
    if kept {
        kept_envelope::try_again(transaction, &own, &mut keys, &mut queue)?;
        if queue.undecryptable > before {
            kept_envelope::trim(transaction)?;
        }
    }
    transaction.store(&key::queue(), &queue);
    transaction.acknowledge(*incarnation, queue.up_to);
    Ok(())
}

/// Asks at once for what a batch needs whatever is in it: everything is gone through anew whenever something was missing.
/// Above all the sessions of the envelopes, because all sessions there are are searched for them.
fn ask_ahead(transaction: &mut Transaction<'_>, incarnation: &[u8; 16], batch: &[Delivery]) -> Result<(), Stop> {
    go_on(transaction.load(&key::account()))?;
    go_on(transaction.load(&key::prekeys()))?;
    go_on(kept_envelope::are_there(transaction))?;
    let queue = match transaction.load(&key::queue()) {
        Ok(queue) => queue.filter(|queue| queue.incarnation == *incarnation),
        // Which envelopes have been worked off is not known yet.
        stopped => return go_on(stopped),
    };
    let worked_off = queue.map_or(0, |queue| queue.up_to);
    for delivery in batch.iter().filter(|delivery| delivery.sequence > worked_off) {
        if let Ok(envelope) = Envelope::decode(&delivery.envelope) {
            go_on(transaction.stored_sessions(&envelope.hint()))?;
        }
    }
    Ok(())
}

/// Notes what the server has dropped as too old.
pub(super) fn count_expired(transaction: &mut Transaction<'_>, count: u64) -> Result<(), Stop> {
    let mut queue = transaction.load(&key::queue())?.unwrap_or_default();
    queue.expired = queue.expired.saturating_add(count);
    transaction.store(&key::queue(), &queue);
    acknowledge_again(transaction, &queue);
    Ok(())
}

/// Notes that the server has withheld one-time prekeys, and that this device has been told. A person is told once, also if the
/// acknowledgement is lost and the server tells again.
pub(super) fn prekeys_withheld(transaction: &mut Transaction<'_>, since: u64) -> Result<(), Stop> {
    let mut queue = transaction.load(&key::queue())?.unwrap_or_default();
    if queue.prekeys_withheld != since {
        queue.prekeys_withheld = since;
        transaction.store(&key::queue(), &queue);
        transaction.event(Event::PrekeysWithheld { since });
    }
    acknowledge_again(transaction, &queue);
    Ok(())
}

/// Repeats the last acknowledgement: what the server tells of the queue it tells until one has come.
fn acknowledge_again(transaction: &mut Transaction<'_>, queue: &QueueRecord) {
    if queue.incarnation != [0; 16] {
        transaction.acknowledge(queue.incarnation, queue.up_to);
    }
}

/// The queue's record; from zero when the server's store has begun a new life.
fn queue_of(transaction: &mut Transaction<'_>, incarnation: &[u8; 16]) -> Result<QueueRecord, Stop> {
    let Some(queue) = transaction.load(&key::queue())? else {
        return Ok(QueueRecord { incarnation: *incarnation, ..QueueRecord::default() });
    };
    if queue.incarnation == *incarnation {
        return Ok(queue);
    }
    if queue.incarnation != [0; 16] {
        transaction.event(Event::QueueRestarted);
        let own = OwnDevice::load(transaction)?;
        unconfirmed::server_restored(transaction, own.address().domain())?;
        delivery::server_restored(transaction)?;
        wake::server_restored(transaction)?;
    }
    Ok(QueueRecord { incarnation: *incarnation, up_to: 0, ..queue })
}

/// The server has said which life of its store this is, before anything has come: a restored one may have nothing to push. It
/// is kept from the first time on, or who has only sent so far would not know a restored one.
pub(super) fn opened(transaction: &mut Transaction<'_>, incarnation: &[u8; 16]) -> Result<(), Stop> {
    if transaction.load(&key::queue())?.is_none_or(|queue| queue.incarnation != *incarnation) {
        let queue = queue_of(transaction, incarnation)?;
        transaction.store(&key::queue(), &queue);
    }
    Ok(())
}

fn receive_one(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    keys: &mut Keys,
    queue: &mut QueueRecord,
    delivery: &Delivery,
) -> Result<(), Stop> {
    let opened = open(transaction, own, keys, &delivery.envelope)?;
    if let Opened::Refused { reason: Undecryptable::NoSession, .. } = opened {
        kept_envelope::keep(transaction, queue.undecryptable, delivery)?;
    }
    conclude(transaction, own, queue, (delivery, opened))
}

/// Stores what an envelope came to.
pub(super) fn conclude(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    queue: &mut QueueRecord,
    (delivery, opened): (&Delivery, Opened),
) -> Result<(), Stop> {
    let refused = match opened {
        Opened::Message { peer, content, statement } => keep(transaction, own, (&peer, statement), &content, delivery)?,
        Opened::Decoy => None,
        Opened::Duplicate => {
            queue.duplicates += 1;
            transaction.event(Event::Duplicate);
            None
        }
        Opened::Refused { reason, sender } => Some((reason, sender)),
    };
    let Some((reason, sender)) = refused else { return Ok(()) };
    let record = UndecryptableRecord {
        sequence: delivery.sequence,
        received: delivery.received,
        reason: reason.code().to_owned(),
        sender: sender.clone(),
    };
    transaction.store(&key::undecryptable(queue.undecryptable % UNDECRYPTABLE_KEPT_MAX), &record);
    queue.undecryptable += 1;
    transaction.event(Event::Undecryptable { reason, sender });
    Ok(())
}

impl Keys {
    fn load(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<Self, Stop> {
        let prekeys = transaction.load(&key::prekeys())?;
        let sets = prekeys.iter().flat_map(|prekeys| [&prekeys.current].into_iter().chain(&prekeys.retired));
        let seals: Vec<_> = sets.map(|set| key::seal_prekey(set.seal_prekey_id)).collect();
        let seals = transaction.load_all(&seals)?.into_iter().flatten().collect();
        let decoy = DecoyKey::of(&own.keys.dh_key);
        Ok(Self { prekeys, seals, decoy, hints: BTreeMap::new() })
    }

    /// Sessions that an envelope may belong to; nearly always one or none.
    fn hinted(&self, transaction: &mut Transaction<'_>, envelope: &Envelope) -> Result<Vec<SessionId>, Stop> {
        let stored = transaction.stored_sessions(&envelope.hint())?;
        let unmoved = stored.iter().filter(|id| !self.hints.contains_key(&id.0)).copied();
        Ok(unmoved.chain(self.moved(envelope)).collect())
    }

    /// Of these, the ones that this batch has begun or moved.
    pub(super) fn moved(&self, envelope: &Envelope) -> Vec<SessionId> {
        let hinted = self.hints.iter().filter(|(_, hints)| hints.0.iter().any(|key| envelope.matches(key)));
        hinted.map(|(id, _)| SessionId(*id)).collect()
    }

    pub(super) fn has_moved(&self) -> bool {
        !self.hints.is_empty()
    }

    fn is_last_resort(&self, kem_prekey_id: u32) -> bool {
        let sets = self.prekeys.iter().flat_map(|prekeys| [&prekeys.current].into_iter().chain(&prekeys.retired));
        sets.into_iter().any(|set| set.last_resort_kem_prekey_id == kem_prekey_id)
    }

    fn is_signed(&self, signed_prekey_id: u32) -> bool {
        let sets = self.prekeys.iter().flat_map(|prekeys| [&prekeys.current].into_iter().chain(&prekeys.retired));
        sets.into_iter().any(|set| set.signed_prekey_id == signed_prekey_id)
    }
}

fn open(transaction: &mut Transaction<'_>, own: &OwnDevice, keys: &mut Keys, encoded: &[u8]) -> Result<Opened, Stop> {
    let Ok(envelope) = Envelope::decode(encoded) else { return Ok(refused(Undecryptable::Envelope, None)) };
    let sessions = keys.hinted(transaction, &envelope)?;
    if let Some(opened) = open_in(transaction, own, keys, sessions, &envelope)? {
        return Ok(opened);
    }
    if keys.decoy.matches(encoded) {
        return Ok(Opened::Decoy);
    }
    for seal in &keys.seals {
        match envelope.open_first_flight(seal) {
            Ok(initial) => return open_first_flight(transaction, own, keys, &initial),
            Err(EnvelopeError::FirstFlight(_)) => return Ok(refused(Undecryptable::Handshake, None)),
            Err(_) => {}
        }
    }
    Ok(refused(Undecryptable::NoSession, None))
}

/// Tries sessions; `None` if the envelope belongs to none of them.
pub(super) fn open_in(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    keys: &mut Keys,
    sessions: Vec<SessionId>,
    envelope: &Envelope,
) -> Result<Option<Opened>, Stop> {
    let mut failure = None;
    for id in sessions {
        let Some((record, mut session)) = sesame::load(transaction, id)? else { continue };
        match session.decrypt(envelope, &mut transaction.rng) {
            Ok(content) => return decrypted(transaction, own, keys, record, (&session, content), None).map(Some),
            Err(DecryptError::NoHeaderKey) => {}
            Err(DecryptError::AlreadyReceived) => return Ok(Some(Opened::Duplicate)),
            Err(error) => failure = Some(unreadable(transaction, keys, id, record, error)?),
        }
    }
    Ok(failure)
}

/// A message of a session that does not open. Where every later one would not open either, the session is given up: the
/// next message to this device begins a new one.
fn unreadable(
    transaction: &mut Transaction<'_>,
    keys: &mut Keys,
    id: SessionId,
    record: SessionRecord,
    error: DecryptError,
) -> Result<Opened, Stop> {
    if let DecryptError::Braid(_) = error {
        sesame::abandon(transaction, id, &record)?;
        // Nothing matches an empty table: the rest of this batch passes the session over.
        keys.hints.insert(id.0, HintKeys(Vec::new()));
    }
    if is_worth_asking(error) {
        owed::ask(transaction, &sesame::peer_of(&record)?)?;
    }
    Ok(refused(reason_of(error), Some(record.peer)))
}

/// The session has moved: it is stored and becomes the active one of its pair. `statement` is the sender's, where the
/// envelope has it.
fn decrypted(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    keys: &mut Keys,
    mut record: SessionRecord,
    (session, content): (&Session, Zeroizing<Vec<u8>>),
    statement: Option<&Statement>,
) -> Result<Opened, Stop> {
    let peer = sesame::peer_of(&record)?;
    if let Some(reason) = device_refused(transaction, own, &peer, statement)? {
        return Ok(refused(reason, Some(peer.address)));
    }
    record.last_received = transaction.now.0;
    sesame::store(transaction, record, session);
    sesame::activate(transaction, &peer, session.id())?;
    keys.hints.insert(session.id().0, HintKeys(session.hint_keys()));
    Ok(Opened::Message { peer, content, statement: statement.cloned().map(Box::new) })
}

/// A device that the newest known statement does not list is refused, whatever its session says. Of a sender who is
/// neither pinned nor has a message here nothing is known but what the envelope brings: his session may have begun with a
/// receipt for a mail of another device of this account, which leaves nothing.
fn device_refused(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    peer: &PeerDevice,
    brought: Option<&Statement>,
) -> Result<Option<Undecryptable>, Stop> {
    if peer.address == *own.address() {
        let refused = own_devices::device_refused(own, peer);
        return Ok(own_devices::ask_if_not_listed(transaction, own, refused));
    }
    let known = match contact::pinned(transaction, &peer.address)? {
        Some(statement) if statement.account_key() != peer.account_key => {
            return Ok(Some(Undecryptable::SenderKeyChanged));
        }
        Some(statement) => Some(statement),
        None => statement_check::claimed(transaction, &peer.address, &peer.account_key)?.or_else(|| brought.cloned()),
    };
    let listed = known.is_some_and(|statement| statement.device(peer.device_id).is_some());
    Ok((!listed).then_some(Undecryptable::DeviceNotListed))
}

fn open_first_flight(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    keys: &mut Keys,
    initial: &InitialMessage,
) -> Result<Opened, Stop> {
    let sender = initial.sender();
    let refuse = |reason| Ok(refused(reason, Some(sender.address().clone())));
    let peer = PeerDevice::of(sender, initial.sender_device_id());
    if let Some((record, mut session)) = sesame::load(transaction, initial.session_id())? {
        // The same handshake again, because our answer has not reached its sender yet.
        if sesame::peer_of(&record)? != peer {
            return refuse(Undecryptable::Handshake);
        }
        return match session.decrypt_initial(initial, &mut transaction.rng) {
            Ok(content) => decrypted(transaction, own, keys, record, (&session, content), Some(sender)),
            Err(DecryptError::AlreadyReceived) => Ok(Opened::Duplicate),
            Err(error) => unreadable(transaction, keys, initial.session_id(), record, error),
        };
    }
    if let Some(reason) = sender_refused(transaction, own, sender, peer.device_id)? {
        return refuse(reason);
    }
    let handshake = initial.handshake();
    let last_resort = keys.is_last_resort(handshake.kem_prekey_id);
    let ephemeral = handshake.ephemeral_key.as_bytes();
    let used = key::last_resort_use(handshake.kem_prekey_id, handshake.signed_prekey_id, ephemeral);
    if last_resort && transaction.exists(&used)? {
        return refuse(Undecryptable::Replayed);
    }
    let signed = match keys.is_signed(handshake.signed_prekey_id) {
        true => transaction.load(&key::dh_prekey(handshake.signed_prekey_id))?,
        false => None,
    };
    let one_time = match handshake.one_time_prekey_id {
        Some(id) if !keys.is_signed(id) => transaction.load(&key::dh_prekey(id))?,
        _ => None,
    };
    let kem = transaction.load(&key::kem_prekey(handshake.kem_prekey_id))?;
    let (Some(signed_prekey), Some(kem_prekey)) = (signed, kem) else { return refuse(Undecryptable::UnknownPrekey) };
    if one_time.is_some() != handshake.one_time_prekey_id.is_some() {
        return refuse(Undecryptable::UnknownPrekey);
    }
    let prekeys =
        ResponderPrekeys { signed_prekey: &signed_prekey, one_time_prekey: one_time.as_ref(), kem_prekey: &kem_prekey };
    let answered = Session::respond(&own.local(), initial, &prekeys, &mut transaction.rng);
    let Ok((session, content)) = answered else { return refuse(Undecryptable::Handshake) };
    if let Some(id) = handshake.one_time_prekey_id {
        transaction.delete(&key::dh_prekey(id));
    }
    if last_resort {
        transaction.store(&used, &Zeroizing::new(Vec::new()));
    } else {
        transaction.delete(&key::kem_prekey(handshake.kem_prekey_id));
    }
    accept_statement(transaction, own, sender)?;
    sesame::begin(transaction, &peer, &session, true)?;
    keys.hints.insert(session.id().0, HintKeys(session.hint_keys()));
    Ok(Opened::Message { peer, content, statement: Some(Box::new(sender.clone())) })
}

/// Holds the statement of a first flight against what is known about its account.
fn sender_refused(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    sender: &Statement,
    device_id: u32,
) -> Result<Option<Undecryptable>, Stop> {
    if sender.device(device_id).is_none() {
        return Ok(Some(Undecryptable::DeviceNotListed));
    }
    if sender.address() == own.address() {
        let refused = own_devices::sender_refused(own, sender, device_id);
        return Ok(own_devices::ask_if_not_listed(transaction, own, refused));
    }
    let known = match contact::pinned(transaction, sender.address())? {
        Some(known) => known,
        None => match statement_check::claimed(transaction, sender.address(), &sender.account_key())? {
            Some(known) => known,
            None => return Ok(None),
        },
    };
    Ok(match sender.change_since(&known) {
        Ok(Change::AccountKey) => match contact::may_bring_new_key(transaction, sender)? {
            true => None,
            false => Some(Undecryptable::SenderKeyChanged),
        },
        Ok(Change::None | Change::Devices) => None,
        // An older statement is no reason to refuse a device that is still listed with the same keys.
        Err(_) if sender.version() < known.version() => {
            match known.device_keys(device_id) == sender.device_keys(device_id) {
                true => None,
                false => Some(Undecryptable::DeviceNotListed),
            }
        }
        Err(_) => Some(Undecryptable::StatementConflict),
    })
}

/// A newer statement under the pinned account key is as good from the sender as from the server; and so is one under a new
/// key that [`sender_refused`] let pass.
fn accept_statement(transaction: &mut Transaction<'_>, own: &OwnDevice, sender: &Statement) -> Result<(), Stop> {
    if sender.address() == own.address() {
        own_devices::learn(transaction, sender)?;
        return Ok(());
    }
    if let Some(known) = contact::pinned(transaction, sender.address())?
        && matches!(sender.change_since(&known), Ok(Change::Devices | Change::AccountKey))
    {
        contact::pin(transaction, sender.address(), sender, false)?;
    }
    Ok(())
}

/// Stores decrypted content as a message, once.
fn keep(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    (peer, statement): (&PeerDevice, Option<Box<Statement>>),
    encoded: &[u8],
    delivery: &Delivery,
) -> Result<Option<Refusal>, Stop> {
    let Ok(content) = Content::decode(encoded) else {
        return Ok(Some((Undecryptable::Content, Some(peer.address.clone()))));
    };
    if peer.address == *own.address() {
        return own_devices::keep(transaction, own, peer, &content, encoded, delivery);
    }
    let checked = contact::is_pinned_by(transaction, &peer.address, &peer.account_key)?;
    if checked {
        delivery::received(transaction, &peer.address, encoded)?;
    }
    match &content.body {
        // Between devices; of no use from anybody whose key is not known.
        Body::Received(received) if checked => {
            owed::heard(transaction, &peer.address)?;
            unconfirmed::confirm(transaction, peer, &received.message_ids)?;
            if received.unreadable {
                unconfirmed::asked_by(transaction, peer)?;
            }
            return Ok(None);
        }
        Body::Received(_) | Body::Empty => return Ok(None),
        // Only a device of this account may say what this account's devices say to each other.
        Body::DeviceSync(_) => return Ok(Some((Undecryptable::Content, Some(peer.address.clone())))),
        // What this client does not show by itself is shown by its fallback text, and answered as unsupported.
        _ => {}
    }
    let urgent = content.urgency != Urgency::Routine;
    let seen = key::received(&peer.address, peer.account_key.as_bytes(), &content.id.0);
    if transaction.exists(&seen)? {
        transaction.event(Event::Duplicate);
        if checked && !matches!(content.body, Body::Receipt(_)) {
            // The sender sends again what was not confirmed to him.
            owed::confirm(transaction, &peer.address, content.id.0, urgent)?;
        }
        return Ok(None);
    }
    if let Body::Receipt(receipt) = &content.body {
        transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
        if checked {
            owed::heard(transaction, &peer.address)?;
            receipt::received(transaction, peer, receipt)?;
        }
        return Ok(None);
    }
    match &content.body {
        Body::GroupRejoinRequest(request) => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            match checked {
                true => group::rejoin_requested(transaction, own, peer, *request)?,
                false => group::rejoin_requested_unchecked(transaction, peer, *request)?,
            }
            return Ok(None);
        }
        Body::GroupRejoinAnswer(answer) => {
            transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
            if checked {
                group::rejoin_answered(transaction, own, peer, (answer, encoded))?;
            }
            return Ok(None);
        }
        _ => {}
    }
    if let Body::GroupInvitation(_) = &content.body {
        transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
        if !settings::is_blocked(transaction, &peer.address)? {
            group::invitation_received(transaction, own, (peer, checked), &content, encoded)?;
        }
        if checked {
            owed::confirm(transaction, &peer.address, content.id.0, urgent)?;
        }
        return Ok(None);
    }
    if let Body::Organisation(piece) = &content.body {
        transaction.store(&seen, &Zeroizing::new(content.id.0.to_vec()));
        organisation::received(transaction, own, (peer, checked), piece)?;
        if checked {
            owed::confirm(transaction, &peer.address, content.id.0, urgent)?;
        }
        return Ok(None);
    }
    // The sender's id serves as the local one, unless it is taken: two senders may have chosen the same.
    let id = match transaction.exists(&key::message(&content.id.0))? {
        true => transaction.random_id(),
        false => content.id.0,
    };
    if !checked {
        let claimed = match statement {
            Some(statement) => Some(*statement),
            None => statement_check::claimed(transaction, &peer.address, &peer.account_key)?,
        };
        let Some(statement) = claimed else {
            return Ok(Some((Undecryptable::DeviceNotListed, Some(peer.address.clone()))));
        };
        if !statement_check::note(transaction, &statement, id)? {
            return Ok(Some((Undecryptable::TooManyUnchecked, Some(peer.address.clone()))));
        }
    } else if newer_statement_exists(transaction, &peer.address, content.sender_statement_version)? {
        contact::ask(transaction, &peer.address, false);
    }
    transaction.store(&seen, &Zeroizing::new(id.to_vec()));
    transaction.store(&key::content(&id), &Zeroizing::new(encoded.to_vec()));
    transaction.store(&key::message(&id), &message_record(peer, &content, checked, delivery));
    body::expect(transaction, &id, &content, peer.address.domain());
    if matches!(content.body, Body::Mail(_)) {
        group::mail_arrived(transaction, &id)?;
    }
    settings::announce(transaction, &id, &peer.address, content.thread)?;
    if let (true, Body::BreakGlass(event)) = (checked, &content.body) {
        organisation::break_glass_told(transaction, &peer.address, event);
    }
    if checked {
        owed::confirm(transaction, &peer.address, content.id.0, urgent)?;
    }
    device_sync::apply_early(transaction, own, &content.id)?;
    receipt::send_arrived(transaction, &id)?;
    Ok(None)
}

fn message_record(peer: &PeerDevice, content: &Content, checked: bool, delivery: &Delivery) -> MessageRecord {
    MessageRecord {
        sent: false,
        content_id: content.id.0,
        thread: content.thread.0,
        sender: peer.address.clone(),
        sender_device: peer.device_id,
        sender_name: content.sender_name.clone(),
        kind: content.body.kind_number(),
        subject: mailbox::subject_of(&content.body),
        created: content.created,
        received: delivery.received,
        displayed: 0,
        sender_check: if checked { SenderCheck::Checked } else { SenderCheck::Unchecked },
        urgency: urgency_number(content.urgency),
        receipts_wanted: receipt::bits(content.receipts_wanted),
        receipts_sent: 0,
        attachments: u32::try_from(content.attachments.len()).unwrap_or(u32::MAX),
        recipients: Vec::new(),
        request_lane: delivery.lane == Lane::Request,
    }
}

fn newer_statement_exists(transaction: &mut Transaction<'_>, address: &Address, version: u64) -> Result<bool, Stop> {
    Ok(contact::pinned(transaction, address)?.is_some_and(|known| version > known.version()))
}

/// Whether the sender's message would have been read, had it come as it was sent over a session in order.
const fn is_worth_asking(error: DecryptError) -> bool {
    matches!(
        error,
        DecryptError::Ciphertext
            | DecryptError::Braid(_)
            | DecryptError::Header
            | DecryptError::Epoch(_)
            | DecryptError::TooFarAhead { .. }
    )
}

const fn reason_of(error: DecryptError) -> Undecryptable {
    match error {
        DecryptError::TooFarAhead { .. } => Undecryptable::TooFarAhead,
        DecryptError::NoHeaderKey => Undecryptable::NoSession,
        DecryptError::Braid(_) => Undecryptable::SessionBroken,
        DecryptError::AlreadyReceived
        | DecryptError::RatchetKey
        | DecryptError::Ciphertext
        | DecryptError::Header
        | DecryptError::Epoch(_)
        | DecryptError::Padding => Undecryptable::Ciphertext,
    }
}

const fn refused(reason: Undecryptable, sender: Option<Address>) -> Opened {
    Opened::Refused { reason, sender }
}
