//! Keeps prekeys at the server: refilled when few are left, rotated weekly, deleted some time after they were replaced.

use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::kem;
use medipeps_core::identity::DeviceSecretKeys;
use medipeps_core::prekey::{GeneratedPrekeys, KemPrekey, OneTimePrekey, PrekeyUpload, SealPrekey, SignedPrekey};
use medipeps_core::wire::client_records::{AccountRecord, PrekeySet, PrekeysRecord};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, PrekeyStatusReply, Request};

use super::Correlation;
use super::account::OwnDevice;
use super::outcome::{Connection, EngineError};
use super::records::{Bytes, class, key};
use super::transaction::{Stop, Transaction};
use crate::limits::{
    CLOCK_SKEW_MAX_S, ONE_TIME_PREKEYS_LOW, ONE_TIME_PREKEYS_PER_UPLOAD, PREKEY_ROTATION_S, RETIRED_PREKEYS_KEPT_MS,
};

/// More ids than one upload uses.
const IDS_PER_UPLOAD: u32 = 3 + 2 * ONE_TIME_PREKEYS_PER_UPLOAD as u32;

/// Draws the prekeys that an account is registered with; the result is an encoded `SignedPrekeyUpload`.
pub(super) fn first_upload(
    transaction: &mut Transaction<'_>,
    account: &AccountRecord,
    keys: &DeviceSecretKeys,
) -> Result<Vec<u8>, Stop> {
    let before = transaction.load(&key::prekeys())?;
    draw(transaction, account, keys, before, ONE_TIME_PREKEYS_PER_UPLOAD)
}

/// Asks what is left at the server.
pub(super) fn begin(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    transaction.send(Connection::Proved, Request::PrekeyStatus, Correlation::PrekeyStatus);
    Ok(())
}

/// Does what the server's answer calls for.
pub(super) fn maintain(transaction: &mut Transaction<'_>, status: &PrekeyStatusReply) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let Some(mut record) = transaction.load(&key::prekeys())? else {
        // A device that was linked draws its first ones when it first proves itself.
        let upload = draw(transaction, &own.record, &own.keys, None, ONE_TIME_PREKEYS_PER_UPLOAD)?;
        publish(transaction, 1, upload);
        return Ok(());
    };
    if let Some(upload) = record.pending_upload.clone() {
        if status.sequence < record.sequence {
            publish(transaction, record.sequence, upload);
            return Ok(());
        }
        record.pending_upload = None;
        transaction.store(&key::prekeys(), &record);
    }
    if forget_retired(transaction, &mut record)? {
        transaction.store(&key::prekeys(), &record);
    }
    let low = status.one_time_prekeys.min(status.one_time_kem_prekeys) < ONE_TIME_PREKEYS_LOW;
    let one_time = if low { ONE_TIME_PREKEYS_PER_UPLOAD } else { 0 };
    let old = is_due(record.current.created, transaction.now.0 / 1000);
    let upload = match (old, low) {
        (true, _) => draw(transaction, &own.record, &own.keys, Some(record), one_time)?,
        (false, true) => refill(transaction, &own, record)?,
        (false, false) => return Ok(()),
    };
    let sequence = transaction.load(&key::prekeys())?.map_or(0, |record| record.sequence);
    publish(transaction, sequence, upload);
    Ok(())
}

/// Whether keys that were made at `created` are replaced, in seconds since 1970: a week is over, or the clock was ahead when they were
/// made, and nobody knows how old they are.
pub(super) const fn is_due(created: u64, now: u64) -> bool {
    now >= created.saturating_add(PREKEY_ROTATION_S) || created > now.saturating_add(CLOCK_SKEW_MAX_S)
}

/// The server has the upload.
pub(super) fn published(transaction: &mut Transaction<'_>, sequence: u64) -> Result<(), Stop> {
    if let Some(mut record) = transaction.load(&key::prekeys())?
        && record.sequence == sequence
    {
        record.pending_upload = None;
        transaction.store(&key::prekeys(), &record);
    }
    Ok(())
}

/// The server refused the upload. One that it has already, or will never take, is done with; anything else is tried at
/// the next connection.
pub(super) fn refused(transaction: &mut Transaction<'_>, sequence: u64, error: &ErrorReply) -> Result<(), Stop> {
    match error.known_code() {
        Some(ErrorCode::PrekeySequence | ErrorCode::PrekeysRefused) => published(transaction, sequence),
        _ => Ok(()),
    }
}

fn publish(transaction: &mut Transaction<'_>, sequence: u64, upload: Vec<u8>) {
    transaction.send(Connection::Proved, Request::PublishPrekeys(upload), Correlation::PublishPrekeys(sequence));
}

/// Draws a new set, with one-time prekeys, and retires the set before.
fn draw(
    transaction: &mut Transaction<'_>,
    account: &AccountRecord,
    keys: &DeviceSecretKeys,
    before: Option<PrekeysRecord>,
    one_time: usize,
) -> Result<Vec<u8>, Stop> {
    let now = transaction.now.0;
    let (first_id, sequence) = before.as_ref().map_or((1, 1), |record| (record.next_id, record.sequence + 1));
    check_ids(first_id)?;
    let generated = GeneratedPrekeys::draw(
        &keys.signing_key,
        &account.address,
        account.device_id,
        sequence,
        first_id,
        one_time,
        now / 1000,
        &mut transaction.rng,
    );
    for (id, secret) in generated.one_time_prekeys.iter().chain([&generated.signed_prekey]) {
        transaction.store(&key::dh_prekey(*id), secret);
    }
    for (id, secret) in generated.one_time_kem_prekeys.iter().chain([&generated.last_resort_kem_prekey]) {
        transaction.store(&key::kem_prekey(*id), secret);
    }
    transaction.store(&key::seal_prekey(generated.seal_prekey.0), &generated.seal_prekey.1);
    let mut retired = Vec::new();
    if let Some(before) = before {
        retired.push(PrekeySet { retired: now, ..before.current });
        retired.extend(before.retired);
    }
    let upload = generated.upload.sign(&keys.signing_key);
    let record = PrekeysRecord {
        current: PrekeySet {
            signed_prekey_id: generated.signed_prekey.0,
            last_resort_kem_prekey_id: generated.last_resort_kem_prekey.0,
            seal_prekey_id: generated.seal_prekey.0,
            created: now / 1000,
            retired: 0,
        },
        retired,
        next_id: generated.next_id(),
        sequence,
        pending_upload: Some(upload.clone()),
    };
    transaction.store(&key::prekeys(), &record);
    Ok(upload)
}

/// One-time prekeys only; the set stays as it is.
fn refill(transaction: &mut Transaction<'_>, own: &OwnDevice, mut record: PrekeysRecord) -> Result<Vec<u8>, Stop> {
    check_ids(record.next_id)?;
    let device = &own.keys.signing_key;
    let set = record.current;
    let signed = transaction.load(&key::dh_prekey(set.signed_prekey_id))?;
    let last_resort = transaction.load(&key::kem_prekey(set.last_resort_kem_prekey_id))?;
    let seal = transaction.load(&key::seal_prekey(set.seal_prekey_id))?;
    let (Some(signed), Some(last_resort), Some(seal)) = (signed, last_resort, seal) else {
        // Part of the set is gone: a whole new one makes it good.
        return draw(transaction, &own.record, &own.keys, Some(record), ONE_TIME_PREKEYS_PER_UPLOAD);
    };
    let mut upload = PrekeyUpload {
        address: own.address().clone(),
        device_id: own.record.device_id,
        sequence: record.sequence + 1,
        signed_prekey: SignedPrekey::sign(device, set.signed_prekey_id, &signed, set.created),
        last_resort_kem_prekey: KemPrekey::sign(device, set.last_resort_kem_prekey_id, &last_resort, true),
        seal_prekey: SealPrekey::sign(device, set.seal_prekey_id, &seal, set.created),
        one_time_prekeys: Vec::new(),
        one_time_kem_prekeys: Vec::new(),
    };
    for _ in 0..ONE_TIME_PREKEYS_PER_UPLOAD {
        let (id, kem_id) = (record.next_id, record.next_id + 1);
        record.next_id += 2;
        let secret = DhSecretKey::random(&mut transaction.rng);
        upload.one_time_prekeys.push(OneTimePrekey { id, key: secret.public_key() });
        transaction.store(&key::dh_prekey(id), &secret);
        let secret = kem::DecapsulationKey::random(&mut transaction.rng);
        upload.one_time_kem_prekeys.push(KemPrekey::sign(device, kem_id, &secret, false));
        transaction.store(&key::kem_prekey(kem_id), &secret);
    }
    record.sequence += 1;
    let upload = upload.sign(device);
    record.pending_upload = Some(upload.clone());
    transaction.store(&key::prekeys(), &record);
    Ok(upload)
}

/// Deletes sets whose time is over, and what was noted against replays on their last-resort keys.
fn forget_retired(transaction: &mut Transaction<'_>, record: &mut PrekeysRecord) -> Result<bool, Stop> {
    let now = transaction.now.0;
    let over = |set: &PrekeySet| set.retired.saturating_add(RETIRED_PREKEYS_KEPT_MS) <= now;
    let gone: Vec<PrekeySet> = record.retired.iter().copied().filter(over).collect();
    if gone.is_empty() {
        return Ok(false);
    }
    record.retired.retain(|set| !over(set));
    let uses = transaction.scan::<Bytes>(class::LAST_RESORT_USE)?;
    for set in gone {
        transaction.delete(&key::dh_prekey(set.signed_prekey_id));
        transaction.delete(&key::kem_prekey(set.last_resort_kem_prekey_id));
        transaction.delete(&key::seal_prekey(set.seal_prekey_id));
        let prefix = set.last_resort_kem_prekey_id.to_be_bytes();
        for (key, _) in uses.iter().filter(|(key, _)| key.name().starts_with(&prefix)) {
            transaction.delete(key);
        }
    }
    Ok(true)
}

fn check_ids(first: u32) -> Result<(), EngineError> {
    first.checked_add(IDS_PER_UPLOAD).map(|_| ()).ok_or(EngineError::PrekeyIdsExhausted)
}
