//! The store verified: see [`VerifyStorage`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use medipeps_core::tenant::TenantUsage;
use medipeps_core::wire::server_storage::{
    AccountRecord, BlobPieceRecord, BlobRecord, EnvelopeRecord, GroupEntryRecord, GroupLogRecord, InvitationRecord,
    piece_count,
};

use super::SledStorage;
use super::committer::Writer;
use super::layout::{self, Due, QueueKey};
use super::records::Records;
use super::segment::{self, SegmentReader};
use crate::storage::{StorageError, Verification, VerifyStorage};

/// What a queue is found to hold.
#[derive(Debug, Default, Clone, Copy)]
struct Contents {
    messages: u64,
    bytes: u64,
    request_messages: u64,
    request_bytes: u64,
    highest: u64,
}

#[async_trait]
impl VerifyStorage for SledStorage {
    async fn verify(&self) -> Result<Verification, StorageError> {
        let found = self.commit(|writer, _| verify_records(writer)).await?;
        self.read(move |shared| verify_bodies(&shared.records, found)).await
    }
}

/// Everything but the bodies. The committer waits meanwhile, so that nothing changes under it.
fn verify_records(writer: &Writer) -> Result<Verification, StorageError> {
    let records = &writer.records;
    let mut found = Verification::default();
    let queues = count_queues(records, &mut found)?;
    verify_accounts(writer, &queues, &mut found)?;
    verify_invitations(records, &mut found)?;
    verify_blobs(records, &mut found)?;
    verify_group_logs(records, &mut found)?;
    verify_segments(writer, &mut found)?;
    Ok(found)
}

/// What each queue holds, by its envelopes.
fn count_queues(records: &Records, found: &mut Verification) -> Result<BTreeMap<QueueKey, Contents>, StorageError> {
    let mut queues: BTreeMap<QueueKey, Contents> = BTreeMap::new();
    for item in records.scan(layout::ENVELOPES) {
        let (key, value) = item?;
        found.records += 1;
        let (Some((queue, sequence)), Ok(envelope)) = (layout::read_envelope(&key), EnvelopeRecord::decode(&value))
        else {
            found.problem("the record of an envelope cannot be read");
            continue;
        };
        let contents = queues.entry(queue).or_default();
        contents.messages += 1;
        contents.bytes += u64::from(envelope.length);
        if envelope.request_lane {
            contents.request_messages += 1;
            contents.request_bytes += u64::from(envelope.length);
        }
        contents.highest = contents.highest.max(sequence);
        let due = records.get(&layout::deadline(envelope.expires, Due::Envelope(queue, sequence)))?;
        found.expect(due.is_some(), || format!("envelope {sequence} of {} has no deadline", name(queue)));
    }
    Ok(queues)
}

fn verify_accounts(
    writer: &Writer,
    queues: &BTreeMap<QueueKey, Contents>,
    found: &mut Verification,
) -> Result<(), StorageError> {
    let records = &writer.records;
    let next_account = records.store()?.next_account;
    let tenants: BTreeSet<u64> = records.tenants()?.iter().map(|tenant| tenant.number).collect();
    let (mut numbers, mut listed) = (HashSet::new(), BTreeSet::new());
    let mut usage: BTreeMap<u64, TenantUsage> = BTreeMap::new();
    for item in records.scan(layout::ACCOUNTS) {
        let (_, value) = item?;
        found.records += 1;
        let Ok(account) = AccountRecord::decode(&value) else {
            found.problem("the record of an account cannot be read");
            continue;
        };
        let number = account.account;
        found.expect(numbers.insert(number), || format!("two accounts have the number {number}"));
        found.expect(number < next_account, || format!("the number of account {number} may be given again"));
        found.expect(records.statement(&account).is_ok(), || format!("the statement of account {number} is not whole"));
        found.expect(tenants.contains(&account.tenant), || format!("the tenant of account {number} is missing"));
        let of_tenant = usage.entry(account.tenant).or_default();
        of_tenant.seats += 1;
        for device in account.devices {
            let queue = QueueKey { account: number, device };
            listed.insert(queue);
            let contents = queues.get(&queue).copied().unwrap_or_default();
            of_tenant.bytes += contents.bytes;
            match records.queue(queue) {
                Ok(counters) => {
                    found.records += 1;
                    let counted = (counters.messages, counters.bytes) == (contents.messages, contents.bytes)
                        && (counters.request_messages, counters.request_bytes)
                            == (contents.request_messages, contents.request_bytes);
                    found.expect(counted && counters.highest_sequence >= contents.highest, || {
                        let (said, is) = (counters.messages, contents.messages);
                        format!("{} says that it holds {said} envelopes and holds {is}", name(queue))
                    });
                }
                Err(_) => found.problem(format!("the counters of {} cannot be read", name(queue))),
            }
            found.expect(records.prekeys(queue).is_ok(), || format!("the prekeys of {} cannot be read", name(queue)));
        }
    }
    for queue in queues.keys().filter(|queue| !listed.contains(queue)) {
        found.problem(format!("{} holds envelopes, and no account lists it", name(*queue)));
    }
    for (tenant, counted) in usage {
        let said = writer.shared.tenants().usage(tenant);
        found.expect(said == counted, || format!("tenant {tenant} is counted as {said:?} and has {counted:?}"));
    }
    Ok(())
}

fn verify_invitations(records: &Records, found: &mut Verification) -> Result<(), StorageError> {
    for item in records.scan(layout::INVITATIONS) {
        found.records += 1;
        let Ok(invitation) = InvitationRecord::decode(&item?.1) else {
            found.problem("the record of an invitation cannot be read");
            continue;
        };
        let tenant = records.tenant(invitation.tenant)?;
        found.expect(tenant.is_some(), || "the tenant of an invitation is missing".to_owned());
    }
    Ok(())
}

fn verify_blobs(records: &Records, found: &mut Verification) -> Result<(), StorageError> {
    let mut pieces: HashMap<u64, u64> = HashMap::new();
    for item in records.scan(layout::BLOB_PIECES) {
        let (key, _) = item?;
        found.records += 1;
        let number = key.get(1..9).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
        *pieces.entry(number.unwrap_or(0)).or_default() += 1;
    }
    for item in records.scan(layout::BLOBS) {
        found.records += 1;
        let Ok(blob) = BlobRecord::decode(&item?.1) else {
            found.problem("the record of a blob cannot be read");
            continue;
        };
        let is = pieces.remove(&blob.number).unwrap_or(0);
        let said = u64::from(blob.stored_pieces);
        let number = blob.number;
        found.expect(said == is && is <= u64::from(piece_count(blob.length)), || {
            format!("blob {number} says that it has {said} pieces and has {is}")
        });
    }
    for number in pieces.keys() {
        let swept = records.get(&layout::deadline(0, Due::BlobPieces(*number)))?;
        found.expect(swept.is_some(), || format!("there are pieces of a blob {number} that is not there"));
    }
    Ok(())
}

fn verify_group_logs(records: &Records, found: &mut Verification) -> Result<(), StorageError> {
    let mut entries: HashMap<[u8; 32], (u64, u64)> = HashMap::new();
    for item in records.scan(layout::GROUP_ENTRIES) {
        let (key, value) = item?;
        found.records += 1;
        let (Some((log_id, epoch, sequence)), Ok(entry)) =
            (layout::read_group_entry(&key), GroupEntryRecord::decode(&value))
        else {
            found.problem("the record of an entry cannot be read");
            continue;
        };
        let counted = entries.entry(log_id).or_default();
        counted.0 += 1;
        counted.1 += u64::from(entry.length);
        let id = records.group_entry_id(&log_id, &entry.entry_id)?;
        found.expect(id.is_some_and(|id| (id.epoch, id.sequence) == (epoch, sequence)), || {
            format!("the id of entry {sequence} of a group log leads elsewhere")
        });
    }
    for item in records.scan(layout::GROUP_LOGS) {
        let (key, value) = item?;
        found.records += 1;
        let (Some(log_id), Ok(log)) = (layout::read_group_log(&key), GroupLogRecord::decode(&value)) else {
            found.problem("the record of a group log cannot be read");
            continue;
        };
        let is = entries.remove(&log_id).unwrap_or_default();
        let said = (log.entries, log.bytes);
        found.expect(said == is, || format!("a group log says that it has {} entries and has {}", said.0, is.0));
    }
    found
        .expect(entries.is_empty(), || format!("there are entries of {} group logs that are not there", entries.len()));
    Ok(())
}

/// Segments that are missing are found by their bodies; here, those that nothing refers to.
fn verify_segments(writer: &Writer, found: &mut Verification) -> Result<(), StorageError> {
    let files = segment::list(&writer.records.segments);
    let files = files.map_err(|error| StorageError::Unavailable(format!("listing segments: {error}")))?;
    let current = writer.segments.current();
    for number in files {
        let live = writer.live.get(&number).copied().unwrap_or(0);
        found.expect(live > 0 || Some(number) == current, || {
            format!("segment {number:016x} is there and nothing refers to it; the next start removes it")
        });
    }
    Ok(())
}

/// Reads every body. What goes meanwhile is no problem.
fn verify_bodies(records: &Records, mut found: Verification) -> Result<Verification, StorageError> {
    let (mut small, mut large) = (SegmentReader::new(&records.segments), SegmentReader::new(&records.blob_segments));
    for item in records.scan(layout::ENVELOPES) {
        let (key, value) = item?;
        let (Some((queue, sequence)), Ok(envelope)) = (layout::read_envelope(&key), EnvelopeRecord::decode(&value))
        else {
            continue;
        };
        found.bodies += 1;
        if records.body(&mut small, &envelope)?.is_none() && records.get(&key)?.as_ref() == Some(&value) {
            found.problem(format!("envelope {sequence} of {} is damaged or missing", name(queue)));
        }
    }
    for item in records.scan(layout::BLOB_PIECES) {
        let (key, value) = item?;
        let Ok(piece) = BlobPieceRecord::decode(&value) else {
            found.problem("the record of a piece of a blob cannot be read");
            continue;
        };
        found.bodies += 1;
        if records.piece_body(&mut large, &piece)?.is_none() && records.get(&key)?.as_ref() == Some(&value) {
            found.problem(format!("a piece of a blob in segment {:016x} is damaged or missing", piece.segment));
        }
    }
    for item in records.scan(layout::GROUP_ENTRIES) {
        let (key, value) = item?;
        let Ok(entry) = GroupEntryRecord::decode(&value) else { continue };
        found.bodies += 1;
        let reader = if entry.large { &mut large } else { &mut small };
        if records.group_entry_body(reader, &entry)?.is_none() && records.get(&key)?.as_ref() == Some(&value) {
            found.problem(format!("an entry of a group log in segment {:016x} is damaged or missing", entry.segment));
        }
    }
    Ok(found.finished())
}

/// A queue, for people. Addresses are left out: a report may be shown to others.
fn name(queue: QueueKey) -> String {
    format!("the queue of device {} of account {}", queue.device, queue.account)
}
