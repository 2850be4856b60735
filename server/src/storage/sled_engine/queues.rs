//! Queues: storing a message for all devices, fetching, acknowledging and expiring, as changes of records.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use medipeps_core::Address;
use medipeps_core::wire::server_storage::{EnvelopeRecord, QueueRecord, SubmissionRecord};
use medipeps_core::wire::transport::Lane;
use tokio::sync::oneshot;

use super::blobs;
use super::committer::{Operation, Shared, Writer};
use super::group_logs::GroupExpiry;
use super::group_wakes;
use super::layout::{self, Due, QueueKey};
use super::records::{Changes, Records};
use super::segment::{BodyReference, SegmentReader};
use super::tenants::UsageChange;
use super::tokens;
use crate::limits::{FETCH_ENVELOPES_MAX, SUBMISSION_RECORD_RETENTION_MS};
use crate::storage::tenant::check_room;
use crate::storage::token::Spending;
use crate::storage::{
    AcknowledgeError, EnqueueError, EnqueueOutcome, ExpireCounts, QueueError, QueueQuota, QueuedEnvelope, SpendError,
    StorageError, Submission,
};

/// See [`Storage::enqueue`](crate::storage::Storage::enqueue).
pub(super) struct Enqueue {
    submission: Submission,
    quota: QueueQuota,
    outcome: Result<EnqueueOutcome, EnqueueError>,
    reply: oneshot::Sender<Result<EnqueueOutcome, EnqueueError>>,
}

type EnqueueAnswer = oneshot::Receiver<Result<EnqueueOutcome, EnqueueError>>;

impl Enqueue {
    /// The operation, and where its answer will come.
    pub(super) fn new(mut submission: Submission, quota: QueueQuota) -> (Self, EnqueueAnswer) {
        submission.envelopes.sort_by_key(|(device, _)| *device);
        let (reply, answer) = oneshot::channel();
        let outcome = Ok(EnqueueOutcome::Accepted { duplicate: true });
        (Self { submission, quota, outcome, reply }, answer)
    }

    /// Whether the submission is to be stored: the number of the account, and for each envelope the counters of its
    /// queue as they will be. `None` for a duplicate.
    fn admit(&self, writer: &Writer) -> Result<Option<(u64, Vec<QueueRecord>)>, EnqueueError> {
        let (submission, records) = (&self.submission, &writer.records);
        let account = records.account(&submission.address)?.ok_or(EnqueueError::UnknownRecipient)?;
        if let Some(before) = records.submission(account.account, &submission.id)? {
            return if before.digest == submission.digest { Ok(None) } else { Err(EnqueueError::IdReused) };
        }
        let tenant = records.tenant_of(account.tenant)?;
        let usage = writer.shared.tenants().usage(tenant.number);
        check_room(&tenant, account.suspended, usage, self.body_bytes() as u64, submission.now_ms)?;
        let mut devices = Vec::with_capacity(account.devices.len());
        for device in account.devices {
            let key = layout::prekeys(QueueKey { account: account.account, device });
            devices.push((device, records.get(&key)?.is_some()));
        }
        submission.check_devices(&devices, account.statement_version)?;
        let mut queues = Vec::with_capacity(submission.envelopes.len());
        for (device, envelope) in &submission.envelopes {
            let mut queue = records.queue(QueueKey { account: account.account, device: *device })?;
            self.quota.admit(&mut queue, *device, envelope.len(), submission.lane)?;
            queues.push(queue);
        }
        if tokens::look::<EnqueueError>(records, &submission.spend)? == Spending::Repeated {
            // What they have paid for is not known any more; it was another life of the account.
            return Err(SpendError::Spent.into());
        }
        Ok(Some((account.account, queues)))
    }

    fn changes(&self, account: u64, queues: &[QueueRecord], bodies: &[BodyReference]) -> Changes {
        let mut changes = Changes::default();
        let submission = &self.submission;
        for (((device, _), counters), body) in submission.envelopes.iter().zip(queues).zip(bodies) {
            let queue = QueueKey { account, device: *device };
            let sequence = counters.highest_sequence;
            let envelope = EnvelopeRecord {
                segment: body.segment,
                offset: body.offset,
                length: body.length,
                checksum: body.checksum,
                received: submission.now_ms,
                expires: submission.expires_ms,
                request_lane: submission.lane == Lane::Request,
            };
            changes.put(layout::envelope(queue, sequence), envelope.encode());
            changes.put(layout::deadline(submission.expires_ms, Due::Envelope(queue, sequence)), Vec::new());
            changes.put(layout::queue(queue), counters.encode());
            changes.effects.enqueued.push((queue, sequence));
            changes.effects.stored.push(body.segment);
            changes.effects.usage.push(UsageChange::Stored { account, bytes: u64::from(body.length) });
            changes.effects.grow(body.length);
            changes.effects.accepted += 1;
        }
        tokens::put_spend(&mut changes, &submission.spend);
        let forget = submission.now_ms.saturating_add(SUBMISSION_RECORD_RETENTION_MS);
        put_submission(&mut changes, account, &submission.id, SubmissionRecord { digest: submission.digest, forget });
        changes
    }
}

impl Operation for Enqueue {
    fn body_bytes(&self) -> usize {
        self.submission.envelopes.iter().map(|(_, envelope)| envelope.len()).sum()
    }

    fn run(&mut self, writer: &mut Writer) -> Changes {
        let admitted = self.admit(writer);
        self.outcome = match &admitted {
            Ok(admitted) => Ok(EnqueueOutcome::Accepted { duplicate: admitted.is_none() }),
            Err(error) => Err(error.clone()),
        };
        let Ok(Some((account, queues))) = admitted else { return Changes::default() };
        let envelopes = self.submission.envelopes.iter();
        match envelopes.map(|(_, envelope)| writer.segments.append(envelope)).collect::<Result<Vec<_>, _>>() {
            Ok(bodies) => self.changes(account, &queues, &bodies),
            Err(error) => {
                self.outcome = Err(writer.records.not_appended(error).into());
                Changes::default()
            }
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StorageError>) {
        // Whoever asked may have gone away meanwhile.
        let _ = self.reply.send(committed.map_err(EnqueueError::from).and(self.outcome));
    }
}

/// See [`Storage::fetch`](crate::storage::Storage::fetch).
pub(super) fn fetch(
    shared: &Shared,
    queue: QueueKey,
    after: u64,
    limit: usize,
) -> Result<Vec<QueuedEnvelope>, QueueError> {
    let records = &shared.records;
    let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
    let found: Vec<(u64, EnvelopeRecord)> =
        records.envelopes(queue, first, u64::MAX).take(limit.min(FETCH_ENVELOPES_MAX)).collect::<Result<_, _>>()?;
    let highest = shared.highest_durable(queue);
    let mut reader = SegmentReader::new(&records.segments);
    let mut fetched = Vec::new();
    for (sequence, record) in found.into_iter().take_while(|(sequence, _)| *sequence <= highest) {
        match records.body(&mut reader, &record)? {
            Some(envelope) => {
                let lane = if record.request_lane { Lane::Request } else { Lane::Normal };
                fetched.push(QueuedEnvelope { sequence, received_ms: record.received, envelope, lane });
            }
            // Acknowledged or expired since the records were read: the segment may be gone with it.
            None if records.get(&layout::envelope(queue, sequence))?.is_none() => {}
            None if fetched.is_empty() => return Err(QueueError::Corrupt { sequence }),
            None => break,
        }
    }
    Ok(fetched)
}

/// See [`Storage::acknowledge`](crate::storage::Storage::acknowledge).
pub(super) fn acknowledge(
    records: &Records,
    changes: &mut Changes,
    address: &Address,
    device: u32,
    incarnation: [u8; 16],
    up_to: u64,
) -> Result<(), AcknowledgeError> {
    let queue = records.queue_key(address, device)?.ok_or(AcknowledgeError::UnknownDevice)?;
    if records.store()?.incarnation != incarnation {
        return Err(AcknowledgeError::ForeignIncarnation);
    }
    let mut counters = records.queue(queue)?;
    if up_to > counters.highest_sequence {
        return Err(AcknowledgeError::BeyondAssigned { highest: counters.highest_sequence });
    }
    for item in records.envelopes(queue, 0, up_to) {
        let (sequence, envelope) = item?;
        remove_envelope(changes, queue, sequence, &envelope, &mut counters);
        changes.effects.acknowledged += 1;
    }
    if !changes.is_empty() {
        changes.put(layout::queue(queue), counters.encode());
    }
    Ok(())
}

/// See [`OperatedStorage::move_to_end`](crate::storage::OperatedStorage::move_to_end). The body stays where it is.
pub(super) fn move_to_end(
    records: &Records,
    changes: &mut Changes,
    queue: QueueKey,
    sequence: u64,
) -> Result<Option<u64>, QueueError> {
    let Some((_, envelope)) = records.envelopes(queue, sequence, sequence).next().transpose()? else {
        return Ok(None);
    };
    if records.envelopes(queue, sequence.saturating_add(1), u64::MAX).next().transpose()?.is_none() {
        return Ok(None);
    }
    let mut counters = records.queue(queue)?;
    counters.highest_sequence += 1;
    let moved = counters.highest_sequence;
    changes.remove(layout::envelope(queue, sequence));
    changes.remove(layout::deadline(envelope.expires, Due::Envelope(queue, sequence)));
    changes.put(layout::envelope(queue, moved), envelope.encode());
    changes.put(layout::deadline(envelope.expires, Due::Envelope(queue, moved)), Vec::new());
    changes.put(layout::queue(queue), counters.encode());
    changes.effects.enqueued.push((queue, moved));
    Ok(Some(moved))
}

/// Drops at most `limit` records that are due, and says whether there may be more.
pub(super) fn expire(
    writer: &Writer,
    changes: &mut Changes,
    now_ms: u64,
    limit: usize,
) -> Result<(ExpireCounts, bool), StorageError> {
    let records = &writer.records;
    let mut counts = ExpireCounts::default();
    let mut more = false;
    let mut looked_at = 0;
    let mut queues: BTreeMap<QueueKey, QueueRecord> = BTreeMap::new();
    let mut groups = GroupExpiry::default();
    for item in records.scan(layout::DEADLINES).take(limit) {
        let (key, _) = item?;
        if looked_at >= limit {
            break;
        }
        let (at_ms, due) =
            layout::read_deadline(&key).ok_or_else(|| StorageError::Corrupt("the key of a deadline".into()))?;
        if at_ms > now_ms {
            break;
        }
        if let Due::BlobPieces(number) = due {
            // They stay while an export reads pieces, and are no work to be gone on with.
            looked_at += usize::from(!writer.shared.is_exporting());
            looked_at += blobs::sweep(writer, changes, number, limit.saturating_sub(looked_at))?;
            continue;
        }
        if let Due::IssuerKey(key_id) = due {
            let swept = tokens::sweep(records, changes, at_ms, key_id, limit - looked_at)?;
            counts.tokens += swept as u64;
            looked_at += 1 + swept;
            continue;
        }
        looked_at += 1;
        changes.remove(key);
        match due {
            Due::Envelope(queue, sequence) => {
                let Some((_, envelope)) = records.envelopes(queue, sequence, sequence).next().transpose()? else {
                    continue;
                };
                let counters = match queues.entry(queue) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(records.queue(queue)?),
                };
                remove_envelope(changes, queue, sequence, &envelope, counters);
                counters.expired += 1;
                changes.effects.expired += 1;
                counts.envelopes += 1;
            }
            Due::Submission(account, id) => {
                changes.remove(layout::submission(account, &id));
                counts.submissions += 1;
            }
            Due::Invitation(hash) => {
                changes.remove(layout::invitation(&hash));
                counts.invitations += 1;
            }
            Due::Blob(id) => {
                if let Some(blob) = records.blob(&id)? {
                    blobs::remove(&writer.shared, changes, &id, &blob);
                    counts.blobs += 1;
                    // Its pieces are due from now on.
                    more = true;
                }
            }
            Due::BlobPieces(_) | Due::IssuerKey(_) => {}
            Due::Voucher(id) => {
                changes.remove(layout::voucher(&id));
                counts.tokens += 1;
            }
            Due::GroupEntry(log_id, epoch, sequence) => {
                groups.entry(writer, changes, (log_id, epoch, sequence), &mut counts)?;
            }
            Due::GroupLog(log_id) => groups.log_due(log_id),
            Due::GroupWake(log_id, handle) => {
                counts.group_wakes += u64::from(group_wakes::expire(writer, changes, log_id, handle)?);
            }
        }
    }
    groups.finish(writer, changes, now_ms, &mut counts)?;
    for (queue, counters) in queues {
        changes.put(layout::queue(queue), counters.encode());
        changes.effects.accounts.push(queue.account);
    }
    Ok((counts, more || looked_at >= limit))
}

/// See [`Storage::settle_expired`](crate::storage::Storage::settle_expired).
pub(super) fn settle_expired(
    records: &Records,
    changes: &mut Changes,
    queue: QueueKey,
    count: u64,
) -> Result<(), QueueError> {
    let mut counters = records.queue(queue)?;
    let left = counters.expired.saturating_sub(count);
    if left != counters.expired {
        counters.expired = left;
        changes.put(layout::queue(queue), counters.encode());
        changes.effects.accounts.push(queue.account);
    }
    Ok(())
}

/// See [`Storage::report_generation`](crate::storage::Storage::report_generation).
pub(super) fn report_generation(
    records: &Records,
    changes: &mut Changes,
    queue: QueueKey,
    generation: u64,
) -> Result<u64, QueueError> {
    let mut counters = records.queue(queue)?;
    let before = counters.generation;
    if generation > before {
        counters.generation = generation;
        changes.put(layout::queue(queue), counters.encode());
    }
    Ok(before)
}

/// Stores a submission id and when to forget it.
pub(super) fn put_submission(changes: &mut Changes, account: u64, id: &[u8; 16], submission: SubmissionRecord) {
    changes.put(layout::deadline(submission.forget, Due::Submission(account, *id)), Vec::new());
    changes.put(layout::submission(account, id), submission.encode());
}

fn remove_envelope(
    changes: &mut Changes,
    queue: QueueKey,
    sequence: u64,
    envelope: &EnvelopeRecord,
    counters: &mut QueueRecord,
) {
    changes.remove(layout::envelope(queue, sequence));
    changes.remove(layout::deadline(envelope.expires, Due::Envelope(queue, sequence)));
    changes.effects.released.push(envelope.segment);
    let bytes = u64::from(envelope.length);
    changes.effects.usage.push(UsageChange::Released { account: queue.account, bytes });
    changes.effects.shrink(envelope.length);
    counters.messages = counters.messages.saturating_sub(1);
    counters.bytes = counters.bytes.saturating_sub(u64::from(envelope.length));
    if envelope.request_lane {
        counters.request_messages = counters.request_messages.saturating_sub(1);
        counters.request_bytes = counters.request_bytes.saturating_sub(u64::from(envelope.length));
    }
}
