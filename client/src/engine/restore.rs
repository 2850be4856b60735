//! A backup that comes into an empty store and makes a new device of it.
//!
//! There is no account in the store until the server lists the new device. Until then one record says how far the restore
//! has come, and whoever runs it again goes on there: copying is begun anew, the listing is gone on with under the same
//! keys. No number, key, session or prekey of the device that wrote the backup comes back.

use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{Change, DeviceCertificate, DeviceSecretKeys, Statement, StatementError, StatementIssue};
use medipeps_core::limits::{DEVICES_MAX, PRIMARY_DEVICES_MAX};
use medipeps_core::wire::backup::{BackupAccount, BackupEntry};
use medipeps_core::wire::client_records::{AccountRecord, RestorePhase, RestoreRecord, RestoringDevice};
use rand_core::Rng;

use super::outcome::{EngineError, Event};
use super::records::{Key, key};
use super::transaction::{Stop, Transaction};
use super::{backup, unconfirmed};

/// Begins: `backup_salt` tells which backup.
pub(super) fn begin(
    transaction: &mut Transaction<'_>,
    backup_salt: &[u8; 32],
    account: &BackupAccount,
) -> Result<(), Stop> {
    if let Some(record) = transaction.load(&key::account())? {
        return Err(EngineError::AccountExists(record.address).into());
    }
    if transaction.exists(&key::restore())? {
        return Err(EngineError::RestoreBegun.into());
    }
    let statement = Statement::decode(&account.statement)?;
    if *statement.address() != account.address {
        return Err(StatementError::OtherAccount.into());
    }
    let record = RestoreRecord {
        backup_salt: *backup_salt,
        phase: RestorePhase::Copying,
        address: account.address.clone(),
        name: account.name.clone(),
        server: account.server.clone(),
        server_key_hash: account.server_key_hash,
        statement: account.statement.clone(),
    };
    transaction.store(&key::restore(), &record);
    Ok(())
}

/// Puts records of the backup.
pub(super) fn copy(transaction: &mut Transaction<'_>, entries: &[BackupEntry]) -> Result<(), Stop> {
    let record = load(transaction)?;
    if record.phase != RestorePhase::Copying {
        return Err(EngineError::RestoreBegun.into());
    }
    for entry in entries {
        let (key, value) = backup::admit(entry).map_err(EngineError::Backup)?;
        transaction.store(&Key::from(key), &value);
    }
    Ok(())
}

/// Everything is copied. With the account key the new device is drawn; without it there is nothing to list it with.
pub(super) fn copied(transaction: &mut Transaction<'_>, account: &BackupAccount) -> Result<(), Stop> {
    let mut record = load(transaction)?;
    record.phase = match &account.account_key {
        None => RestorePhase::Linking,
        Some(account_key) => {
            let statement = Statement::decode(&record.statement)?;
            if SigningKey::from_secret(account_key).verifying_key() != statement.account_key() {
                return Err(EngineError::Backup("an account key that is not the statement's").into());
            }
            let keys = DeviceSecretKeys::random(&mut transaction.rng);
            RestorePhase::Listing(Box::new(RestoringDevice {
                account_key: account_key.clone(),
                signing_key: keys.signing_key.to_secret(),
                dh_key: keys.dh_key.to_secret(),
                id: draw_id(transaction, &statement),
            }))
        }
    };
    let links = record.phase == RestorePhase::Linking;
    transaction.store(&key::restore(), &record);
    if links {
        transaction.event(Event::RestoreNeedsLink { key_replaced: false });
    }
    Ok(())
}

/// The server has given the account's newest statement. If it lists the new device, the account is whole; else the next
/// one is signed, for the shell to publish.
pub(super) fn list(transaction: &mut Transaction<'_>, newest: &[u8]) -> Result<(), Stop> {
    let mut record = load(transaction)?;
    let RestorePhase::Listing(mut device) = record.phase.clone() else {
        return Err(EngineError::NoRestore.into());
    };
    let (newest, known) = (Statement::decode(newest)?, Statement::decode(&record.statement)?);
    match newest.change_since(&known)? {
        Change::None | Change::Devices => {}
        Change::AccountKey => {
            // The key in the backup signs nothing any more.
            record.phase = RestorePhase::Linking;
            transaction.store(&key::restore(), &record);
            transaction.event(Event::RestoreNeedsLink { key_replaced: true });
            return Ok(());
        }
    }
    record.statement = newest.encoded().to_vec();
    let keys = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&device.signing_key),
        dh_key: DhSecretKey::from_secret(&device.dh_key),
    };
    match newest.device_keys(device.id) {
        Some(listed) if listed == keys.public_keys() => return finish(transaction, record, *device, &newest),
        // Somebody has drawn the same number meanwhile: nothing has left under it yet.
        Some(_) => device.id = draw_id(transaction, &newest),
        None => {}
    }
    let statement = sign(&newest, &device, &keys, transaction.now.0)?;
    record.phase = RestorePhase::Listing(device);
    transaction.store(&key::restore(), &record);
    transaction.event(Event::RestoreSigned { statement: statement.encoded().to_vec() });
    Ok(())
}

fn sign(
    newest: &Statement,
    device: &RestoringDevice,
    keys: &DeviceSecretKeys,
    now_ms: u64,
) -> Result<Statement, EngineError> {
    let mut devices = newest.devices().to_vec();
    if devices.len() >= DEVICES_MAX {
        return Err(EngineError::TooManyDevices { max: DEVICES_MAX });
    }
    let primary = devices.iter().filter(|device| device.primary()).count() < PRIMARY_DEVICES_MAX;
    let (account_key, address) = (SigningKey::from_secret(&device.account_key), newest.address());
    let issued = now_ms / 1000;
    devices.push(DeviceCertificate::issue(&account_key, address, device.id, &keys.public_keys(), primary, issued));
    let recovery_key_hash = newest.recovery_key_hash();
    let issue = StatementIssue { address, recovery_key_hash, previous: Some(newest), devices, issued };
    Ok(issue.sign(&account_key)?)
}

/// The account, as any device has it. Its prekeys are drawn when it first proves itself.
fn finish(
    transaction: &mut Transaction<'_>,
    record: RestoreRecord,
    device: RestoringDevice,
    newest: &Statement,
) -> Result<(), Stop> {
    let primary = newest.device(device.id).is_some_and(DeviceCertificate::primary);
    let address = record.address.clone();
    let account = AccountRecord {
        address: record.address,
        name: record.name,
        server: record.server,
        server_key_hash: record.server_key_hash,
        account_key: primary.then_some(device.account_key),
        device_signing_key: device.signing_key,
        device_dh_key: device.dh_key,
        device_id: device.id,
        statement: newest.encoded().to_vec(),
        invitation: None,
        rolled_back: false,
        refused: None,
        revoked: None,
        recovering: false,
    };
    transaction.store(&key::account(), &account);
    transaction.delete(&key::restore());
    unconfirmed::restored(transaction, &address)?;
    transaction.event(Event::Restored { address, primary });
    Ok(())
}

/// A number that the account does not use.
fn draw_id(transaction: &mut Transaction<'_>, statement: &Statement) -> u32 {
    loop {
        let id = transaction.rng.next_u32();
        if id != 0 && statement.device(id).is_none() {
            return id;
        }
    }
}

fn load(transaction: &mut Transaction<'_>) -> Result<RestoreRecord, Stop> {
    transaction.load(&key::restore())?.ok_or_else(|| EngineError::NoRestore.into())
}
