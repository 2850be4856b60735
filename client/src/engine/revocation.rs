//! A device that is taken off the account: another one, by a primary device; or this one, as its account's statement says.

use medipeps_core::wire::client_records::{AccountRecord, AdministratorKeyRecord, Revocation};

use super::account::OwnDevice;
use super::outcome::{EngineError, Event};
use super::own_statement::{self, DeviceChange};
use super::records::{class, key};
use super::rollback;
use super::transaction::{Stop, Transaction};

/// Takes another device off the account.
pub(super) fn revoke(transaction: &mut Transaction<'_>, device_id: u32) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    if device_id == own.record.device_id {
        return Err(EngineError::RevokeOwnDevice.into());
    }
    own.account_key()?;
    if own.statement.device(device_id).is_none() {
        return Err(EngineError::UnknownDevice(device_id).into());
    }
    own_statement::change(transaction, &DeviceChange { removed: vec![device_id], ..DeviceChange::default() })
}

/// This device is none of the account any more: it keeps what it can show, and no key that it could use.
pub(super) fn leave(transaction: &mut Transaction<'_>, reason: Revocation) -> Result<(), Stop> {
    let record = transaction.load(&key::account())?.ok_or(EngineError::NoAccount)?;
    let record = AccountRecord { revoked: Some(reason), account_key: None, ..record };
    transaction.store(&key::account(), &record);
    transaction.delete(&key::own_statement());
    // Whoever has a device that was taken off the account shall sign for no organisation with it.
    for (key, _) in transaction.scan::<AdministratorKeyRecord>(class::ADMINISTRATOR_KEY)? {
        transaction.delete(&key);
    }
    rollback::drop_state(transaction, reason.code())?;
    transaction.event(Event::Revoked { reason });
    Ok(())
}
