//! Invitations, registration, statements and deletion, as changes of records.

use medipeps_core::Address;
use medipeps_core::wire::server_storage::{AccountRecord, InvitationRecord, InvitationUse, QueueRecord, StoreRecord};
use sha2::{Digest, Sha256};

use super::committer::Writer;
use super::layout::{self, Due, QueueKey};
use super::prekeys::put_prekeys;
use super::records::{Changes, Records};
use super::tenants::{UsageChange, count_day};
use crate::limits::INVITATION_RECORD_RETENTION_MS;
use crate::storage::account::distinct_devices;
use crate::storage::tenant::check_seat;
use crate::storage::{
    Invitation, InvitationError, PrekeyError, RegisterError, RegisterOutcome, Registration, ReplaceOutcome,
    StatementError, StorageError,
};

/// See [`Storage::create_invitation`](crate::storage::Storage::create_invitation).
pub(super) fn create_invitation(
    records: &Records,
    changes: &mut Changes,
    hash: [u8; 32],
    invitation: Invitation,
) -> Result<(), InvitationError> {
    if records.invitation(&hash)?.is_some() {
        return Err(InvitationError::Exists);
    }
    let Invitation { organisation, expires_ms: expires, tenant, address } = invitation;
    records.tenant(tenant)?.ok_or(InvitationError::UnknownTenant)?;
    put_invitation(changes, &hash, &InvitationRecord { organisation, expires, used: None, tenant, address });
    Ok(())
}

/// See [`Storage::register`](crate::storage::Storage::register).
pub(super) fn register(
    writer: &Writer,
    changes: &mut Changes,
    registration: Registration,
) -> Result<RegisterOutcome, RegisterError> {
    let records = &writer.records;
    let statement_digest: [u8; 32] = Sha256::digest(&registration.statement).into();
    let devices =
        distinct_devices(registration.devices.iter().map(|device| device.device_id)).ok_or(RegisterError::Devices)?;
    let hash = registration.invitation_hash;
    let invitation = records.invitation(&hash)?.ok_or(RegisterError::InvitationUnknown)?;
    let existing = records.account(&registration.address)?.map(|account| account.account);
    if let Some(used) = invitation.used {
        let same = existing == Some(used.account) && used.statement_digest == statement_digest;
        return if same { Ok(RegisterOutcome { repeated: true }) } else { Err(RegisterError::InvitationUsed) };
    }
    if invitation.expires <= registration.now_ms {
        return Err(RegisterError::InvitationExpired);
    }
    if existing.is_some() {
        return Err(RegisterError::AddressTaken);
    }
    if invitation.address.as_ref().is_some_and(|bound| *bound != registration.address) {
        return Err(RegisterError::InvitationBound);
    }
    let tenant = records.tenant_of(invitation.tenant)?;
    let mut usage = writer.shared.tenants().usage(tenant.number);
    check_seat(&tenant, usage, registration.now_ms)?;
    let store = records.store()?;
    let account = store.next_account;
    changes.put(layout::STORE_KEY.to_vec(), StoreRecord { next_account: account + 1, ..store }.encode());
    let organisation = invitation.organisation.clone();
    put_invitation(
        changes,
        &hash,
        &InvitationRecord { used: Some(InvitationUse { account, statement_digest }), ..invitation },
    );
    let record = AccountRecord {
        account,
        statement_version: registration.statement_version,
        statement_length: 0,
        organisation,
        created: registration.now_ms,
        devices,
        delivery_keys: Vec::new(),
        tenant: tenant.number,
        suspended: false,
    };
    changes.effects.usage.push(UsageChange::Joined { account, tenant: tenant.number });
    usage.seats += 1;
    count_day(records, changes, &tenant, usage, registration.now_ms)?;
    put_account(changes, &registration.address, record, &registration.statement);
    for device in registration.devices {
        let queue = QueueKey { account, device: device.device_id };
        changes.put(layout::queue(queue), QueueRecord::default().encode());
        put_prekeys(records, changes, queue, device.sequence, device.prekeys).map_err(|error| match error {
            PrekeyError::Storage(error) => RegisterError::Storage(error),
            _ => RegisterError::Devices,
        })?;
    }
    Ok(RegisterOutcome { repeated: false })
}

/// See [`Storage::replace_statement`](crate::storage::Storage::replace_statement).
pub(super) fn replace_statement(
    records: &Records,
    changes: &mut Changes,
    address: &Address,
    expected_version: u64,
    statement: &[u8],
    new_version: u64,
    devices: Vec<u32>,
) -> Result<ReplaceOutcome, StatementError> {
    let devices = distinct_devices(devices).ok_or(StatementError::Devices)?;
    let account = records.account(address)?.ok_or(StatementError::UnknownAccount)?;
    let current = account.statement_version;
    if current == new_version && records.statement(&account)? == statement {
        return Ok(ReplaceOutcome { repeated: true });
    }
    if current != expected_version || current.checked_add(1) != Some(new_version) {
        return Err(StatementError::WrongVersion { current });
    }
    for device in account.devices.iter().filter(|device| !devices.contains(device)) {
        remove_device(records, changes, QueueKey { account: account.account, device: *device })?;
    }
    for device in devices.iter().filter(|device| !account.devices.contains(device)) {
        let queue = QueueKey { account: account.account, device: *device };
        changes.put(layout::queue(queue), QueueRecord::default().encode());
    }
    remove_statement(changes, &account);
    put_account(changes, address, AccountRecord { statement_version: new_version, devices, ..account }, statement);
    Ok(ReplaceOutcome { repeated: false })
}

/// See [`Storage::delete_account`](crate::storage::Storage::delete_account).
pub(super) fn delete_account(
    records: &Records,
    changes: &mut Changes,
    address: &Address,
    statement_version: u64,
) -> Result<(), StatementError> {
    let account = records.account(address)?.ok_or(StatementError::UnknownAccount)?;
    let current = account.statement_version;
    if current != statement_version {
        return Err(StatementError::WrongVersion { current });
    }
    for device in &account.devices {
        remove_device(records, changes, QueueKey { account: account.account, device: *device })?;
    }
    for item in records.scan(&layout::submissions(account.account)) {
        let (key, _) = item?;
        let id = key.last_chunk().ok_or_else(|| StorageError::Corrupt("the key of a submission".into()))?;
        if let Some(submission) = records.submission(account.account, id)? {
            changes.remove(layout::deadline(submission.forget, Due::Submission(account.account, *id)));
        }
        changes.remove(key);
    }
    remove_statement(changes, &account);
    changes.remove(layout::draws(account.account));
    changes.remove(layout::account(address));
    changes.effects.usage.push(UsageChange::Left { account: account.account });
    changes.effects.accounts.push(account.account);
    Ok(())
}

/// Stores an account and its statement, in pieces that sled keeps in its own file.
pub(super) fn put_account(changes: &mut Changes, address: &Address, account: AccountRecord, statement: &[u8]) {
    for (piece, bytes) in statement.chunks(layout::STATEMENT_PIECE_LENGTH).enumerate() {
        changes.put(layout::statement(account.account, piece), bytes.to_vec());
    }
    changes.effects.accounts.push(account.account);
    let statement_length = u32::try_from(statement.len()).unwrap_or(u32::MAX);
    changes.put(layout::account(address), AccountRecord { statement_length, ..account }.encode());
}

/// Stores an invitation and when to forget it.
pub(super) fn put_invitation(changes: &mut Changes, hash: &[u8; 32], invitation: &InvitationRecord) {
    let forget = invitation.expires.saturating_add(INVITATION_RECORD_RETENTION_MS);
    changes.put(layout::deadline(forget, Due::Invitation(*hash)), Vec::new());
    changes.put(layout::invitation(hash), invitation.encode());
}

fn remove_statement(changes: &mut Changes, account: &AccountRecord) {
    for piece in 0..(account.statement_length as usize).div_ceil(layout::STATEMENT_PIECE_LENGTH) {
        changes.remove(layout::statement(account.account, piece));
    }
}

/// Removes a device's queue and prekeys.
fn remove_device(records: &Records, changes: &mut Changes, queue: QueueKey) -> Result<(), StorageError> {
    for item in records.envelopes(queue, 0, u64::MAX) {
        let (sequence, envelope) = item?;
        changes.remove(layout::envelope(queue, sequence));
        changes.remove(layout::deadline(envelope.expires, Due::Envelope(queue, sequence)));
        changes.effects.released.push(envelope.segment);
        let bytes = u64::from(envelope.length);
        changes.effects.usage.push(UsageChange::Released { account: queue.account, bytes });
        changes.effects.shrink(envelope.length);
    }
    for prefix in layout::everything_of_device(queue) {
        for item in records.scan(&prefix) {
            changes.remove(item?.0);
        }
    }
    changes.effects.closed.push(queue);
    Ok(())
}
