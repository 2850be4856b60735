//! What the owner calls the account's devices. Each device may name every one of them; the later word counts on all.
//! `spec/linking.md`, section "Names of devices".

use medipeps_core::kind::{DeviceName, DeviceSync};
use medipeps_core::limits::NAME_LENGTH_MAX;
use medipeps_core::wire::client_records::DeviceNameRecord;

use super::account::OwnDevice;
use super::device_sync;
use super::outcome::EngineError;
use super::records::{class, key};
use super::transaction::{Stop, Transaction};

/// A person calls a device by another name.
pub(super) fn rename(transaction: &mut Transaction<'_>, device_id: u32, name: &str) -> Result<(), Stop> {
    check(name)?;
    let own = OwnDevice::load_working(transaction)?;
    if own.statement.device(device_id).is_none() {
        return Err(EngineError::UnknownDevice(device_id).into());
    }
    set(transaction, device_id, name)
}

/// Refuses a name that nobody could show.
pub(super) fn check(name: &str) -> Result<(), EngineError> {
    match name.len() <= NAME_LENGTH_MAX && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(EngineError::DeviceName { max: NAME_LENGTH_MAX }),
    }
}

/// Stores a name that was given here, and tells the other devices.
pub(super) fn set(transaction: &mut Transaction<'_>, device_id: u32, name: &str) -> Result<(), Stop> {
    let known = transaction.load(&key::device_name(device_id))?;
    if known.as_ref().map_or("", |known| known.name.as_str()) == name {
        return Ok(());
    }
    // Later than the name that is replaced, whatever the clock of the device says that gave it.
    let at = known.map_or(0, |known| known.at.saturating_add(1)).max(transaction.now.0);
    transaction.store(&key::device_name(device_id), &DeviceNameRecord { name: name.to_owned(), at });
    let names = vec![DeviceName { device_id, name: name.to_owned(), at }];
    device_sync::note(transaction, DeviceSync { names, ..DeviceSync::default() }, true)
}

/// A name that another device has told: the later one counts, and of two of one time the same on every device.
pub(super) fn apply(transaction: &mut Transaction<'_>, told: &DeviceName) -> Result<(), Stop> {
    let known = transaction.load(&key::device_name(told.device_id))?;
    if known.is_none_or(|known| (known.at, &known.name) < (told.at, &told.name)) {
        let record = DeviceNameRecord { name: told.name.clone(), at: told.at };
        transaction.store(&key::device_name(told.device_id), &record);
    }
    Ok(())
}

/// All that are known.
pub(super) fn all(transaction: &mut Transaction<'_>) -> Result<Vec<DeviceName>, Stop> {
    let named = transaction.scan::<DeviceNameRecord>(class::DEVICE_NAME)?.into_iter();
    let name = |(key, one): (super::Key<DeviceNameRecord>, DeviceNameRecord)| {
        let device_id = key.name().try_into().ok().map(u32::from_be_bytes)?;
        Some(DeviceName { device_id, name: one.name, at: one.at })
    };
    Ok(named.filter_map(name).collect())
}

/// The account lists the device no longer. Its number is never used again.
pub(super) fn forget(transaction: &mut Transaction<'_>, device_id: u32) {
    transaction.delete(&key::device_name(device_id));
}
