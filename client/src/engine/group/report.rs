//! A report: one message of a group, opened to the organisation's officer over the session with him.
//! `spec/franking.md`.

use medipeps_core::Address;
use medipeps_core::kind::{Body, Content, LogPosition, MessageId, ReceiptsWanted, Report, Urgency};
use medipeps_core::wire::client_records::{
    GroupMessageRecord, GroupMessageState, GroupRecord, MessageRecord, RecipientRecord, RecipientState, SenderCheck,
    UploadRole,
};
use zeroize::Zeroizing;

use super::{GroupId, GroupProblem, load};
use crate::engine::account::OwnDevice;
use crate::engine::attachment::SealedCopy;
use crate::engine::composition::{check_is_copy_of, check_reachable, check_room_for_references, enqueue};
use crate::engine::outcome::{EngineError, Event};
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::upload::{self, UPLOADING};
use crate::engine::{mailbox, receipt};

/// A message of a group that is to be reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportMessage {
    /// Which group.
    pub group: GroupId,
    /// The message's number in it on this device.
    pub number: u64,
    /// To whom: the organisation's officer.
    pub to: Address,
    /// Why.
    pub reason: String,
    /// Set where the report goes as a blob: of its encoded body ([`report_of`]).
    pub body_copy: Option<SealedCopy>,
}

/// The report of a message: it and nothing else. `certificate` is the one that [`key::device_certificate`] has.
///
/// # Errors
/// [`GroupProblem::NotInLog`], [`GroupProblem::NotProven`] and [`GroupProblem::NoCertificate`].
pub fn report_of(
    group: &GroupRecord,
    message: &GroupMessageRecord,
    certificate: Option<&[u8]>,
    reason: &str,
) -> Result<Report, GroupProblem> {
    if message.state != GroupMessageState::Logged {
        return Err(GroupProblem::NotInLog);
    }
    let proof = message.proof.clone().ok_or(GroupProblem::NotProven)?;
    let sender_certificate = certificate.ok_or(GroupProblem::NoCertificate)?.to_vec();
    let incarnation = group.incarnation.unwrap_or_default();
    Ok(Report {
        log_id: group.log_id,
        position: LogPosition { incarnation, sequence: message.sequence },
        content: message.content.clone(),
        proof,
        sender_certificate,
        reason: reason.to_owned(),
    })
}

/// Stores the report and puts it into the outbox, once its blob is uploaded if it has one. It is a message of its own,
/// kept on the device that reports.
pub(super) fn report(transaction: &mut Transaction<'_>, command: &ReportMessage) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    if command.to == *own.address() {
        return Err(EngineError::OwnAddress(command.to.clone()).into());
    }
    check_reachable(transaction, &own, &command.to)?;
    let group = load(transaction, &command.group)?;
    let message = transaction.load(&key::group_message(&command.group, command.number))?;
    let message = message.ok_or(GroupProblem::UnknownMessage(command.number))?;
    let certificate = transaction.load(&key::device_certificate(&message.device_key))?;
    let certificate = certificate.as_ref().map(|bytes| bytes.as_slice());
    let report = report_of(&group, &message, certificate, &command.reason)?;
    // A record that was spoilt would accuse nobody: it is seen here, and not by the officer.
    report.verify().map_err(|_| GroupProblem::NotProven)?;

    let (id, now) = (MessageId::random(&mut transaction.rng), transaction.now.0);
    let whole = Body::Report(report);
    let (mut body, mut body_blob, mut pending) = (whole.clone(), None, None);
    if let Some(copy) = &command.body_copy {
        check_is_copy_of(copy, &whole)?;
        let record = upload::of_sealed_copy(transaction, (id.0, UploadRole::Body), copy)?;
        (body, body_blob) = (whole.short(), Some(upload::reference(&own, &record)));
        pending = Some(record);
    }
    let content = Content {
        id,
        thread: id,
        in_reply_to: None,
        replaces: None,
        created: now,
        expires: None,
        urgency: Urgency::Routine,
        sender_name: own.record.name.clone(),
        sender_role: String::new(),
        on_behalf_of: None,
        patient: None,
        receipts_wanted: ReceiptsWanted { delivered: true, ..ReceiptsWanted::default() },
        fallback_text: whole.fallback_text(),
        attachments: Vec::new(),
        body_blob,
        sender_statement_version: own.statement.version(),
        body,
    };
    let encoded = content.encode()?;
    check_room_for_references(content.clone())?;
    let record = MessageRecord {
        sent: true,
        content_id: id.0,
        thread: id.0,
        sender: own.address().clone(),
        sender_device: own.record.device_id,
        sender_name: own.record.name.clone(),
        kind: content.body.kind_number(),
        subject: mailbox::subject_of(&content.body),
        created: now,
        received: 0,
        displayed: now,
        sender_check: SenderCheck::Checked,
        urgency: 0,
        receipts_wanted: receipt::bits(content.receipts_wanted),
        receipts_sent: 0,
        attachments: 0,
        request_lane: false,
        recipients: vec![RecipientRecord {
            address: command.to.clone(),
            copy: false,
            state: RecipientState::Queued,
            code: pending.is_some().then(|| UPLOADING.to_owned()),
            at: now,
        }],
    };
    match pending {
        Some(upload) => transaction.store(&key::upload(&upload.blob_id), &upload),
        None => enqueue(transaction, id.0, &command.to, false),
    }
    transaction.store(&key::content(&id.0), &Zeroizing::new(encoded.to_vec()));
    transaction.store(&key::message(&id.0), &record);
    transaction.event(Event::MessageQueued { id: id.0 });
    Ok(())
}
