//! The statement of the store's own account: a primary device changes its list of devices, every device keeps it up to
//! date.
//!
//! A change is signed and stored before it leaves, and leaves as it is until the server has it. Where another statement
//! came between, the change is made again on top of that one. Both go over connections of their own: they name the
//! account.

use std::collections::BTreeSet;

use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{Change, DeviceCertificate, Statement, StatementError, StatementIssue};
use medipeps_core::limits::DEVICES_MAX;
use medipeps_core::wire::client_records::{AccountRecord, NewDeviceRecord, OwnStatementRecord, Revocation};
use medipeps_core::wire::identity::SignedDeviceCertificate;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request};

use super::account::OwnDevice;
use super::outbox::{is_due, is_transient, next_attempt};
use super::outcome::{Connection, EngineError, Event, error_code_name};
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{Correlation, device_name, revocation, rollback, sesame};
use crate::limits::STATEMENT_MADE_AGAIN_MAX;

/// What is to be different in the list of devices.
#[derive(Debug, Default)]
pub(super) struct DeviceChange {
    /// Certificates under the present account key.
    pub(super) added: Vec<DeviceCertificate>,
    /// Numbers.
    pub(super) removed: Vec<u32>,
    /// What this store's device is then, where it takes another number.
    pub(super) new_device: Option<NewDeviceRecord>,
}

/// Signs the account's next statement and sends it. [`Event::OwnStatementChanged`] tells when the server has it,
/// [`Event::OwnStatementRefused`] when it never will.
pub(super) fn change(transaction: &mut Transaction<'_>, change: &DeviceChange) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    let account_key = own.account_key()?;
    if transaction.exists(&key::own_statement())? {
        return Err(EngineError::StatementPending.into());
    }
    let statement = sign(&own.statement, &account_key, change, transaction.now.0)?;
    let pending = OwnStatementRecord {
        statement: statement.encoded().to_vec(),
        added: change.added.iter().map(|device| device.signed().encode()).collect(),
        removed: change.removed.clone(),
        new_device: change.new_device.clone(),
        made_again: 0,
        attempts: 0,
        next_attempt: 0,
    };
    transaction.store(&key::own_statement(), &pending);
    send(transaction, &statement);
    Ok(())
}

/// Asks for the newest statement of the own account, once a step.
pub(super) fn refresh(transaction: &mut Transaction<'_>, own: &OwnDevice) {
    fetch(transaction, own, None);
}

/// Sends the change that waits, if it is due.
pub(super) fn send_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    let Some(pending) = transaction.load(&key::own_statement())? else { return Ok(()) };
    let statement = Statement::decode(&pending.statement)?;
    if is_due(pending.next_attempt, transaction.now.0) && !unreachable.contains(statement.address().domain()) {
        send(transaction, &statement);
    }
    Ok(())
}

/// The server has the change.
pub(super) fn published(transaction: &mut Transaction<'_>, version: u64) -> Result<(), Stop> {
    let Some(pending) = transaction.load(&key::own_statement())? else { return Ok(()) };
    let statement = Statement::decode(&pending.statement)?;
    if statement.version() == version { take(transaction, pending, &statement) } else { Ok(()) }
}

/// The server could not take the change now, or refuses it; why may be that another statement came between.
pub(super) fn refused(transaction: &mut Transaction<'_>, version: u64, error: &ErrorReply) -> Result<(), Stop> {
    let Some(pending) = transaction.load(&key::own_statement())? else { return Ok(()) };
    if Statement::decode(&pending.statement)?.version() != version {
        return Ok(());
    }
    match error.known_code() {
        Some(code @ (ErrorCode::StatementVersion | ErrorCode::StatementRefused)) => {
            let own = OwnDevice::load(transaction)?;
            fetch(transaction, &own, Some(code));
        }
        _ if is_transient(error) => postpone(transaction, pending, error.retry_after),
        _ => give_up(transaction, &error_code_name(error)),
    }
    Ok(())
}

/// The server has given the account's newest statement. `refusal` is what it said to the change that waits.
pub(super) fn fetched(
    transaction: &mut Transaction<'_>,
    encoded: &[u8],
    refusal: Option<ErrorCode>,
) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    if own.record.revoked.is_some() {
        return Ok(());
    }
    let pending = transaction.load(&key::own_statement())?;
    let newest = match Statement::decode(encoded) {
        Ok(newest) => newest,
        Err(error) => return conflict(transaction, error),
    };
    if let Some(pending) = &pending
        && Statement::decode(&pending.statement)? == newest
    {
        return take(transaction, pending.clone(), &newest);
    }
    match change_since(&newest, &own.statement) {
        Err(error) => return conflict(transaction, error),
        Ok(Change::AccountKey) => return revocation::leave(transaction, Revocation::AccountKeyReplaced),
        Ok(Change::Devices) => accept(transaction, own, &newest)?,
        Ok(Change::None) => {}
    }
    go_on(transaction, pending, &newest, refusal)
}

/// The server has no statement to give.
pub(super) fn fetch_refused(transaction: &mut Transaction<'_>, error: &ErrorReply) -> Result<(), Stop> {
    if error.known_code() == Some(ErrorCode::UnknownAccount) {
        transaction.event(Event::OwnAccountUnknown);
    }
    if let Some(pending) = transaction.load(&key::own_statement())? {
        match is_transient(error) {
            true => postpone(transaction, pending, error.retry_after),
            false => give_up(transaction, &error_code_name(error)),
        }
    }
    Ok(())
}

/// A statement of the own account holds whose chain can be followed as far as it is known; the versions in between may be
/// missing. Another account key in the very next one must be the recovery key's doing.
fn change_since(newest: &Statement, known: &Statement) -> Result<Change, StatementError> {
    if newest.version() == known.version() + 1 {
        return newest.follows(known);
    }
    match newest.change_since(known)? {
        Change::AccountKey if newest.version() <= known.version() => Err(StatementError::NotNewer),
        change => Ok(change),
    }
}

/// What is left to do now that the newest statement is known.
fn go_on(
    transaction: &mut Transaction<'_>,
    pending: Option<OwnStatementRecord>,
    newest: &Statement,
    refusal: Option<ErrorCode>,
) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    if own.record.revoked.is_some() {
        return Ok(());
    }
    let Some(pending) = pending else { return rollback::link_anew(transaction, &own) };
    let statement = Statement::decode(&pending.statement)?;
    if statement.follows(newest).is_ok() {
        match refusal {
            None => send(transaction, &statement),
            Some(ErrorCode::StatementVersion) => postpone(transaction, pending, 0),
            Some(code) => give_up(transaction, code.name()),
        }
        return Ok(());
    }
    make_again(transaction, &own, pending)
}

/// The change on top of the statement that came between.
fn make_again(transaction: &mut Transaction<'_>, own: &OwnDevice, pending: OwnStatementRecord) -> Result<(), Stop> {
    let change = DeviceChange::of(&pending)?;
    let listed = |id: u32| own.statement.device(id).is_some();
    let added = change.added.iter().all(|device| own.statement.device_keys(device.device_id()) == Some(device.keys()));
    if added && !change.removed.iter().any(|id| listed(*id)) {
        // Somebody else has done it.
        return take(transaction, pending, &own.statement);
    }
    if pending.made_again >= STATEMENT_MADE_AGAIN_MAX {
        give_up(transaction, ErrorCode::StatementVersion.name());
        return Ok(());
    }
    let signed = own.account_key().and_then(|key| sign(&own.statement, &key, &change, transaction.now.0));
    let Ok(statement) = signed else {
        give_up(transaction, ErrorCode::StatementRefused.name());
        return Ok(());
    };
    let pending = OwnStatementRecord {
        statement: statement.encoded().to_vec(),
        made_again: pending.made_again + 1,
        attempts: 0,
        next_attempt: 0,
        ..pending
    };
    transaction.store(&key::own_statement(), &pending);
    send(transaction, &statement);
    Ok(())
}

/// The change is done: this device takes its new number, if that is what it was about.
fn take(transaction: &mut Transaction<'_>, pending: OwnStatementRecord, statement: &Statement) -> Result<(), Stop> {
    transaction.delete(&key::own_statement());
    if let Some(new_device) = pending.new_device {
        rollback::become_device(transaction, new_device)?;
    }
    let own = OwnDevice::load(transaction)?;
    accept(transaction, own, statement)
}

/// The statement becomes the account's, if it still lists this device with its own keys.
pub(super) fn accept(transaction: &mut Transaction<'_>, own: OwnDevice, statement: &Statement) -> Result<(), Stop> {
    let listed = statement.device(own.record.device_id).filter(|device| device.keys() == own.keys.public_keys());
    let Some(device) = listed else { return revocation::leave(transaction, Revocation::DeviceRevoked) };
    let account_key = own.record.account_key.clone().filter(|_| device.primary());
    let record = AccountRecord { statement: statement.encoded().to_vec(), account_key, ..own.record };
    transaction.store(&key::account(), &record);
    sesame::forget_missing_devices(transaction, statement)?;
    for gone in own.statement.devices().iter().filter(|one| statement.device(one.device_id()).is_none()) {
        device_name::forget(transaction, gone.device_id());
    }
    transaction.event(Event::OwnStatementChanged { version: statement.version() });
    Ok(())
}

fn sign(
    previous: &Statement,
    account_key: &SigningKey,
    change: &DeviceChange,
    now_ms: u64,
) -> Result<Statement, EngineError> {
    let added = |id| change.added.iter().any(|device| device.device_id() == id);
    let stays =
        |device: &&DeviceCertificate| !change.removed.contains(&device.device_id()) && !added(device.device_id());
    let mut devices: Vec<_> = previous.devices().iter().filter(stays).cloned().collect();
    devices.extend(change.added.iter().cloned());
    if devices.len() > DEVICES_MAX {
        return Err(EngineError::TooManyDevices { max: DEVICES_MAX });
    }
    let issue = StatementIssue {
        address: previous.address(),
        recovery_key_hash: previous.recovery_key_hash(),
        previous: Some(previous),
        devices,
        issued: now_ms / 1000,
    };
    Ok(issue.sign(account_key)?)
}

fn send(transaction: &mut Transaction<'_>, statement: &Statement) {
    let request = Request::PublishStatement(statement.encoded().to_vec());
    transaction.send(Connection::Registration, request, Correlation::PublishStatement(statement.version()));
}

fn fetch(transaction: &mut Transaction<'_>, own: &OwnDevice, refusal: Option<ErrorCode>) {
    let correlation = Correlation::FetchOwnStatement { refusal };
    if !transaction.is_sending(&correlation) {
        transaction.send(Connection::Registration, Request::FetchStatement(own.address().clone()), correlation);
    }
}

fn postpone(transaction: &mut Transaction<'_>, mut pending: OwnStatementRecord, retry_after: u64) {
    pending.attempts = pending.attempts.saturating_add(1);
    pending.next_attempt = next_attempt(transaction, pending.attempts, retry_after);
    transaction.store(&key::own_statement(), &pending);
}

fn give_up(transaction: &mut Transaction<'_>, code: &str) {
    transaction.delete(&key::own_statement());
    transaction.event(Event::OwnStatementRefused { code: code.to_owned() });
}

/// What the server gave is no statement that could be the account's newest. Nothing is changed.
fn conflict(transaction: &mut Transaction<'_>, error: StatementError) -> Result<(), Stop> {
    transaction.event(Event::OwnStatementConflict { error });
    Ok(())
}

impl DeviceChange {
    fn of(pending: &OwnStatementRecord) -> Result<Self, EngineError> {
        let certificate = |encoded: &Vec<u8>| {
            Ok::<_, EngineError>(DeviceCertificate::verify(SignedDeviceCertificate::decode(encoded)?)?)
        };
        Ok(Self {
            added: pending.added.iter().map(certificate).collect::<Result<_, _>>()?,
            removed: pending.removed.clone(),
            new_device: pending.new_device.clone(),
        })
    }
}
