//! Access in an emergency, beyond one's role: asked for and agreed to in the log of the group that the policy names, told to
//! those who are to know, and only then open, for a while.
//!
//! This module decides whether a use is open ([`is_open`]) and opens nothing by itself.

use medipeps_core::Address;
use medipeps_core::kind::{
    Body, BreakGlassEvent, BreakGlassSays, BreakGlassUse, Content, MessageId, ReceiptsWanted, Urgency,
};
use medipeps_core::organisation::{BreakGlass, OrganisationId};
use medipeps_core::wire::client_records::{
    BreakGlassRecord, GroupMessageRecord, MessageRecord, OrganisationRecord, OrganisationStanding, RecipientRecord,
    RecipientState, SenderCheck,
};

use super::{OrganisationEvent, OrganisationProblem, chain_of, load_trusted, tell};
use crate::engine::account::OwnDevice;
use crate::engine::composition::{enqueue, urgency_number};
use crate::engine::group::{self, SendToGroup};
use crate::engine::outcome::Event;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};

/// What a person does about access in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakGlassInput {
    /// Ask for it.
    Request {
        /// Under whose policy.
        organisation: OrganisationId,
        /// Why.
        reason: String,
        /// What is to be opened, in words.
        subject: String,
    },
    /// Agree.
    Agree {
        /// Under whose policy.
        organisation: OrganisationId,
        /// To which request.
        request: [u8; 16],
    },
    /// Enough have agreed: write the use into the log, and tell those who are to know. It is open once both have happened.
    Open {
        /// Under whose policy.
        organisation: OrganisationId,
        /// Which request.
        request: [u8; 16],
    },
    /// End the use before its time.
    End {
        /// Under whose policy.
        organisation: OrganisationId,
        /// Which request.
        request: [u8; 16],
    },
}

pub(super) fn handle(transaction: &mut Transaction<'_>, input: &BreakGlassInput) -> Result<(), Stop> {
    match input {
        BreakGlassInput::Request { organisation, reason, subject } => {
            let (_, glass) = allowed(transaction, organisation)?;
            let request = transaction.random_id();
            let says = BreakGlassSays::Requested { reason: reason.clone(), subject: subject.clone() };
            say(transaction, &glass, (organisation, request), says).map(|_| ())
        }
        BreakGlassInput::Agree { organisation, request } => {
            let (_, glass) = allowed(transaction, organisation)?;
            let own = OwnDevice::load_working(transaction)?;
            let record = load(transaction, organisation, request)?;
            if !glass.who.contains(own.address()) {
                return Err(OrganisationProblem::MayNotAgree.into());
            }
            if record.used.is_some() {
                return Err(OrganisationProblem::AlreadyUsed.into());
            }
            say(transaction, &glass, (organisation, *request), BreakGlassSays::Agreed).map(|_| ())
        }
        BreakGlassInput::Open { organisation, request } => open(transaction, organisation, request),
        BreakGlassInput::End { organisation, request } => {
            let (_, glass) = allowed(transaction, organisation)?;
            let own = OwnDevice::load_working(transaction)?;
            let mut record = load(transaction, organisation, request)?;
            if record.requester != *own.address() {
                return Err(OrganisationProblem::NotRequester.into());
            }
            // Here at once, whenever the others hear of it.
            record.ended = Some(transaction.now.0);
            transaction.store(&key::break_glass(organisation, request), &record);
            say(transaction, &glass, (organisation, *request), BreakGlassSays::Ended).map(|_| ())
        }
    }
}

fn open(transaction: &mut Transaction<'_>, organisation: &OrganisationId, request: &[u8; 16]) -> Result<(), Stop> {
    let (_, glass) = allowed(transaction, organisation)?;
    let own = OwnDevice::load_working(transaction)?;
    let mut record = load(transaction, organisation, request)?;
    if record.requester != *own.address() {
        return Err(OrganisationProblem::NotRequester.into());
    }
    if record.used.is_some() || record.use_content.is_some() {
        return Err(OrganisationProblem::AlreadyUsed.into());
    }
    if !glass.is_granted_by(&record.agreed) {
        let agreed = record.agreed.iter().filter(|one| glass.who.contains(one)).count();
        return Err(OrganisationProblem::NotAgreed { agreed, required: glass.required }.into());
    }
    let now = transaction.now.0;
    let usage = BreakGlassUse {
        from: now,
        until: now.saturating_add(glass.duration),
        requester: own.address().clone(),
        agreed: record.agreed.clone(),
        reason: record.reason.clone(),
        subject: record.subject.clone(),
    };
    let says = BreakGlassSays::Used(usage.clone());
    let event = BreakGlassEvent { organisation: *organisation, request: *request, says: says.clone() };
    record.use_content = Some(say(transaction, &glass, (organisation, *request), says)?);
    let told: Vec<Address> = glass.notified.iter().filter(|one| *one != own.address()).cloned().collect();
    let notice = notify(transaction, &own, &told, event)?;
    record.notices = told.into_iter().map(|address| (address, notice)).collect();
    (record.used, record.logged) = (Some((usage.from, usage.until)), false);
    transaction.store(&key::break_glass(organisation, request), &record);
    Ok(())
}

/// Says something in the log of the group that the policy names. The content's id.
fn say(
    transaction: &mut Transaction<'_>,
    glass: &BreakGlass,
    (organisation, request): (&OrganisationId, [u8; 16]),
    says: BreakGlassSays,
) -> Result<[u8; 16], Stop> {
    let body = Body::BreakGlass(BreakGlassEvent { organisation: *organisation, request, says });
    let command = SendToGroup {
        group: glass.log_id,
        fallback_text: body.fallback_text(),
        body,
        in_reply_to: None,
        attachments: Vec::new(),
        urgency: Urgency::Urgent,
        expires: None,
    };
    group::say(transaction, &command)
}

/// Tells those who are to know, over 1:1, with a message that they see and that this device keeps as sent.
fn notify(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    told: &[Address],
    event: BreakGlassEvent,
) -> Result<[u8; 16], Stop> {
    let (id, now) = (MessageId::random(&mut transaction.rng), transaction.now.0);
    let body = Body::BreakGlass(event);
    let content = Content {
        id,
        thread: id,
        in_reply_to: None,
        replaces: None,
        created: now,
        expires: None,
        urgency: Urgency::Urgent,
        sender_name: own.record.name.clone(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted::default(),
        fallback_text: body.fallback_text(),
        attachments: Vec::new(),
        body_blob: None,
        sender_statement_version: own.statement.version(),
        body,
    };
    let recipient = |address: &Address| RecipientRecord {
        address: address.clone(),
        copy: false,
        state: RecipientState::Queued,
        code: None,
        at: now,
    };
    let message = MessageRecord {
        sent: true,
        content_id: id.0,
        thread: id.0,
        sender: own.address().clone(),
        sender_device: own.record.device_id,
        sender_name: own.record.name.clone(),
        kind: content.body.kind_number(),
        subject: String::new(),
        created: now,
        received: 0,
        displayed: now,
        sender_check: SenderCheck::Checked,
        urgency: urgency_number(Urgency::Urgent),
        receipts_wanted: 0,
        receipts_sent: 0,
        attachments: 0,
        request_lane: false,
        recipients: told.iter().map(recipient).collect(),
    };
    transaction.store(&key::content(&id.0), &content.encode()?);
    transaction.store(&key::message(&id.0), &message);
    for address in told {
        enqueue(transaction, id.0, address, false);
    }
    transaction.event(Event::MessageQueued { id: id.0 });
    Ok(id.0)
}

/// Something was said in a group's log, by a member as MLS has authenticated him, in the log's order.
pub(in crate::engine) fn said_in_group(
    transaction: &mut Transaction<'_>,
    log_id: &[u8; 32],
    message: &GroupMessageRecord,
    event: &BreakGlassEvent,
) -> Result<(), Stop> {
    let organisation = event.organisation;
    let Some(glass) = glass_of(transaction, &organisation)? else { return Ok(()) };
    // Anywhere else it is nobody's business.
    if glass.log_id != *log_id {
        return Ok(());
    }
    let own = transaction.load(&key::account())?.map(|account| account.address);
    let (sender, key) = (&message.sender, key::break_glass(&organisation, &event.request));
    let known = transaction.load(&key)?;
    let (record, what) = match (&event.says, known) {
        (BreakGlassSays::Requested { reason, subject }, None) => {
            let record = BreakGlassRecord {
                organisation,
                request: event.request,
                log_id: *log_id,
                requester: sender.clone(),
                reason: reason.clone(),
                subject: subject.clone(),
                requested: message.received,
                // Who may agree and asks agrees.
                agreed: glass.who.iter().filter(|one| *one == sender).cloned().collect(),
                used: None,
                ended: None,
                use_content: None,
                notices: Vec::new(),
                logged: false,
            };
            (record, "requested")
        }
        (BreakGlassSays::Agreed, Some(mut record))
            if glass.who.contains(sender) && !record.agreed.contains(sender) && !record.logged =>
        {
            record.agreed.push(sender.clone());
            (record, "agreed")
        }
        (BreakGlassSays::Used(usage), Some(mut record))
            if record.requester == *sender && !record.logged && glass.is_granted_by(&record.agreed) =>
        {
            // On the device that opens by its own clock, elsewhere by the server's, whatever was said.
            if own.as_ref() != Some(sender) || record.use_content != Some(message.content_id) {
                record.used = Some((message.received, message.received.saturating_add(glass.duration)));
            } else {
                record.used = Some((usage.from, usage.until));
            }
            record.logged = true;
            (record, "used")
        }
        (BreakGlassSays::Ended, Some(mut record)) if record.requester == *sender && record.logged => {
            record.ended = record.ended.or(Some(message.received));
            (record, "ended")
        }
        _ => return Ok(()),
    };
    transaction.store(&key, &record);
    let event = OrganisationEvent::BreakGlass { request: event.request, what: what.to_owned(), by: sender.clone() };
    tell(transaction, &organisation, event);
    Ok(())
}

/// A use was told over 1:1 to this account: shown at once, whatever else waits.
pub(in crate::engine) fn told(transaction: &mut Transaction<'_>, by: &Address, event: &BreakGlassEvent) {
    let organisation = event.organisation;
    let event = OrganisationEvent::BreakGlass { request: event.request, what: "used".to_owned(), by: by.clone() };
    tell(transaction, &organisation, event);
}

/// How far telling has come: whether everybody who is to know is told, or can never be, and somebody is.
pub(super) fn is_told(record: &BreakGlassRecord, notice: Option<&MessageRecord>) -> bool {
    let Some(notice) = notice else { return false };
    let state = |address: &Address| notice.recipients.iter().find(|one| one.address == *address).map(|one| one.state);
    let settled =
        record.notices.iter().all(|(address, _)| !matches!(state(address), None | Some(RecipientState::Queued)));
    let told = record.notices.iter().any(|(address, _)| {
        matches!(state(address), Some(RecipientState::Accepted | RecipientState::Delivered | RecipientState::Displayed))
    });
    settled && told
}

/// Whether a use of this device is open: it is in the log, those who are to know are told, its time has not passed, and it
/// was not ended.
pub(super) fn is_open(record: &BreakGlassRecord, notice: Option<&MessageRecord>, now: u64) -> bool {
    let in_time = record.used.is_some_and(|(from, until)| (from..until).contains(&now));
    record.logged && record.use_content.is_some() && in_time && record.ended.is_none() && is_told(record, notice)
}

fn allowed(
    transaction: &mut Transaction<'_>,
    organisation: &OrganisationId,
) -> Result<(OrganisationRecord, BreakGlass), Stop> {
    let record = load_trusted(transaction, organisation)?;
    let glass = chain_of(&record)?.current().policy().break_glass.clone();
    let glass = glass.ok_or(OrganisationProblem::NoBreakGlass)?;
    Ok((record, glass))
}

fn glass_of(transaction: &mut Transaction<'_>, organisation: &OrganisationId) -> Result<Option<BreakGlass>, Stop> {
    let record = transaction.load(&key::organisation(organisation))?;
    let Some(record) = record.filter(|record| record.standing == OrganisationStanding::Joined) else { return Ok(None) };
    Ok(chain_of(&record)?.current().policy().break_glass.clone())
}

fn load(
    transaction: &mut Transaction<'_>,
    organisation: &OrganisationId,
    request: &[u8; 16],
) -> Result<BreakGlassRecord, Stop> {
    let record = transaction.load(&key::break_glass(organisation, request))?;
    Ok(record.ok_or(OrganisationProblem::UnknownRequest)?)
}
