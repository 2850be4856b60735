//! Keeps key packages at the server, so that this device can be added to groups while it is away: all of them made anew weekly, when
//! few are left, and when what dated them was wrong. What was replaced can be joined with for some time after.

use medipeps_core::key_package::KeyPackageUpload;
use medipeps_core::wire::client_records::KeyPackagesRecord;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, KeyPackageStatusReply, Request};

use super::{GroupCorrelation, mls};
use crate::engine::Correlation;
use crate::engine::account::OwnDevice;
use crate::engine::outcome::{Connection, EngineError};
use crate::engine::prekey_maintenance::is_due;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{KEY_PACKAGES_LOW, KEY_PACKAGES_PER_UPLOAD, RETIRED_KEY_PACKAGES_MAX, RETIRED_PREKEYS_KEPT_MS};

/// Asks what is left at the server.
pub(in crate::engine) fn begin(transaction: &mut Transaction<'_>) {
    let correlation = Correlation::Group(GroupCorrelation::KeyPackageStatus);
    transaction.send(Connection::Proved, Request::KeyPackageStatus, correlation);
}

/// Does what the server's answer calls for.
pub(in crate::engine) fn maintain(
    transaction: &mut Transaction<'_>,
    status: &KeyPackageStatusReply,
) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    // Whoever adds this device does not take a package that its clock has dated wrongly. A server that lies could as well withhold them.
    let now = if status.now == 0 { transaction.now.0 } else { status.now } / 1000;
    let mut record = transaction.load(&key::key_packages())?;
    if let Some(known) = &mut record {
        if let Some(upload) = known.pending_upload.clone() {
            if status.sequence < known.sequence {
                publish(transaction, known.sequence, upload);
                return Ok(());
            }
            known.pending_upload = None;
        }
        forget_retired(transaction, known, now);
        transaction.store(&key::key_packages(), known);
        let old = is_due(known.created, now);
        if !old && status.one_time >= KEY_PACKAGES_LOW && status.sequence != 0 {
            return Ok(());
        }
    }
    let sequence = record.as_ref().map_or(0, |record| record.sequence).max(status.sequence) + 1;
    let record = draw(transaction, &own, record, sequence, now)?;
    let upload = record.pending_upload.clone().ok_or(EngineError::NoProgress)?;
    transaction.store(&key::key_packages(), &record);
    publish(transaction, sequence, upload);
    Ok(())
}

/// The server has the upload, or will never take it; a refused one is made anew at the next connection.
pub(in crate::engine) fn published(
    transaction: &mut Transaction<'_>,
    sequence: u64,
    result: Result<(), &ErrorReply>,
) -> Result<(), Stop> {
    let is_done = match result {
        Ok(()) => true,
        Err(error) => {
            matches!(error.known_code(), Some(ErrorCode::KeyPackageSequence | ErrorCode::KeyPackagesRefused))
        }
    };
    if is_done
        && let Some(mut record) = transaction.load(&key::key_packages())?
        && record.sequence == sequence
    {
        record.pending_upload = None;
        transaction.store(&key::key_packages(), &record);
    }
    Ok(())
}

fn publish(transaction: &mut Transaction<'_>, sequence: u64, upload: Vec<u8>) {
    let correlation = Correlation::Group(GroupCorrelation::PublishKeyPackages(sequence));
    transaction.send(Connection::Proved, Request::PublishKeyPackages(upload), correlation);
}

/// Draws one-time packages and a last-resort one at `now`, in seconds since 1970, and retires those before.
fn draw(
    transaction: &mut Transaction<'_>,
    own: &OwnDevice,
    before: Option<KeyPackagesRecord>,
    sequence: u64,
    now: u64,
) -> Result<KeyPackagesRecord, Stop> {
    let first_id = before.as_ref().map_or(1, |record| record.next_id);
    let next_id = first_id
        .checked_add(u32::try_from(KEY_PACKAGES_PER_UPLOAD).unwrap_or(u32::MAX))
        .ok_or(EngineError::PrekeyIdsExhausted)?;
    let mut one_time = Vec::new();
    let mut references = Vec::new();
    for id in first_id..next_id {
        let (package, reference) = generate(transaction, own, now)?;
        one_time.push((id, package));
        references.push(reference);
    }
    let last_resort = generate(transaction, own, now)?;
    let mut retired = Vec::new();
    if let Some(before) = before {
        retired.push((before.last_resort, now));
        for reference in before.one_time {
            // One that this device was added with is gone.
            if transaction.exists(&key::key_package(&reference))? {
                retired.push((reference, now));
            }
        }
        retired.extend(before.retired);
        for (reference, _) in retired.drain(RETIRED_KEY_PACKAGES_MAX.min(retired.len())..) {
            transaction.delete(&key::key_package(&reference));
        }
    }
    let upload = KeyPackageUpload {
        address: own.address().clone(),
        device_id: own.record.device_id,
        sequence,
        last_resort: last_resort.0,
        one_time,
    };
    Ok(KeyPackagesRecord {
        sequence,
        next_id,
        pending_upload: Some(upload.sign(&own.keys.signing_key)),
        created: now,
        last_resort: last_resort.1,
        one_time: references,
        retired,
    })
}

fn generate(transaction: &mut Transaction<'_>, own: &OwnDevice, now: u64) -> Result<(Vec<u8>, [u8; 32]), Stop> {
    let (public, secret) = mls::generate_key_package(transaction, own, now)?;
    let reference = secret.reference();
    transaction.store(&key::key_package(&reference), &secret.encode());
    Ok((public, reference))
}

fn forget_retired(transaction: &mut Transaction<'_>, record: &mut KeyPackagesRecord, now: u64) {
    let over = |at: u64| at.saturating_add(RETIRED_PREKEYS_KEPT_MS / 1000) <= now;
    for (reference, at) in &record.retired {
        if over(*at) {
            transaction.delete(&key::key_package(reference));
        }
    }
    record.retired.retain(|(_, at)| !over(*at));
}
