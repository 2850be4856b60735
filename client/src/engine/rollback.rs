//! A store that is older than what the server, or this machine, has seen of its device. Its sessions and prekeys may have been used, so they
//! are dropped. A primary device then takes another number and other keys: for everybody it is a new device.

use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::{kem, x_wing};
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys};
use medipeps_core::wire::client_records::{
    AccountRecord, NewDeviceRecord, PaymentRecord, PeerRecord, PrekeysRecord, QueueRecord, RecipientState,
    SessionRecord, TokenPageRecord, WalletRecord,
};
use rand_core::Rng;

use super::account::OwnDevice;
use super::outcome::{EngineError, Event};
use super::own_statement::{self, DeviceChange};
use super::records::{Bytes, HintKeys, Record, class, key};
use super::transaction::{Stop, Transaction, go_on};
use super::{device_name, group, outbox, upload};
use crate::store::RecordClass;

/// The code of messages that an old copy of the store cannot send any more.
const ROLLED_BACK: &str = "state_rolled_back";

/// Holds the generation of the store against the highest that an anchor knows: the server, or this machine. False if the store is an old
/// copy, or was found to be one before.
pub(super) fn check_generation(transaction: &mut Transaction<'_>, highest: u64) -> Result<bool, Stop> {
    let own = OwnDevice::load(transaction)?;
    own.check_not_revoked()?;
    let stored = transaction.generation();
    if own.record.rolled_back {
        return resume(transaction, &own);
    }
    if highest <= stored {
        return Ok(true);
    }
    let record = AccountRecord { rolled_back: true, ..own.record.clone() };
    transaction.store(&key::account(), &record);
    drop_state(transaction, ROLLED_BACK)?;
    transaction.event(Event::StateRolledBack { stored, highest });
    if own.account_key().is_ok() {
        own_statement::refresh(transaction, &own);
    }
    Ok(false)
}

/// Whether the store is an old copy that is about to become a new device.
pub(super) fn is_linking_anew(transaction: &mut Transaction<'_>) -> Result<bool, Stop> {
    let own = OwnDevice::load(transaction)?;
    Ok(own.record.rolled_back && own.account_key().is_ok() && own.record.revoked.is_none())
}

/// Draws the new device, now that the account's newest statement is known to list the old one still. Nothing if the store
/// is no old copy.
pub(super) fn link_anew(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<(), Stop> {
    let (true, Ok(account_key)) = (own.record.rolled_back, own.account_key()) else { return Ok(()) };
    let keys = DeviceSecretKeys::random(&mut transaction.rng);
    let device_id = loop {
        let id = transaction.rng.next_u32();
        if id != 0 && own.statement.device(id).is_none() {
            break id;
        }
    };
    let issued = transaction.now.0 / 1000;
    let certificate =
        DeviceCertificate::issue(&account_key, own.address(), device_id, &keys.public_keys(), true, issued);
    let new_device =
        NewDeviceRecord { device_id, signing_key: keys.signing_key.to_secret(), dh_key: keys.dh_key.to_secret() };
    let change =
        DeviceChange { added: vec![certificate], removed: vec![own.record.device_id], new_device: Some(new_device) };
    own_statement::change(transaction, &change)
}

/// The server lists the new device: this store is it. Its queue is a new one, and its prekeys are drawn when it first proves
/// itself.
pub(super) fn become_device(transaction: &mut Transaction<'_>, device: NewDeviceRecord) -> Result<(), Stop> {
    let record = transaction.load(&key::account())?.ok_or(EngineError::NoAccount)?;
    let device_id = device.device_id;
    let name = transaction.load(&key::device_name(record.device_id))?;
    let record = AccountRecord {
        device_id,
        device_signing_key: device.signing_key,
        device_dh_key: device.dh_key,
        rolled_back: false,
        ..record
    };
    transaction.store(&key::account(), &record);
    if let Some(queue) = transaction.load(&key::queue())? {
        transaction.store(&key::queue(), &QueueRecord { incarnation: [0; 16], up_to: 0, ..queue });
    }
    if let Some(name) = name {
        device_name::set(transaction, device_id, &name.name)?;
    }
    // The others take it for a new one and tell it what it does not know.
    transaction.delete(&key::known_devices());
    transaction.event(Event::LinkedAnew { device_id });
    Ok(())
}

/// Drops sessions, prekeys and whatever is on its way; messages and contacts stay.
pub(super) fn drop_state(transaction: &mut Transaction<'_>, code: &str) -> Result<(), Stop> {
    drop_class::<SessionRecord>(transaction, class::SESSION)?;
    drop_class::<HintKeys>(transaction, class::HINT)?;
    drop_class::<PeerRecord>(transaction, class::PEER)?;
    drop_class::<PrekeysRecord>(transaction, class::PREKEYS)?;
    drop_class::<DhSecretKey>(transaction, class::DH_PREKEY)?;
    drop_class::<kem::DecapsulationKey>(transaction, class::KEM_PREKEY)?;
    drop_class::<x_wing::DecapsulationKey>(transaction, class::SEAL_PREKEY)?;
    drop_class::<Bytes>(transaction, class::LAST_RESORT_USE)?;
    drop_class::<Bytes>(transaction, class::SUBMISSION)?;
    // What the newer state has spent would be shown again, with something else.
    drop_class::<WalletRecord>(transaction, class::WALLET)?;
    drop_class::<TokenPageRecord>(transaction, class::TOKEN_PAGE)?;
    drop_class::<PaymentRecord>(transaction, class::PAYMENT)?;
    upload::drop_all(transaction, code)?;
    group::rolled_back(transaction)?;
    for (_, entry) in transaction.scan(class::OUTBOX)? {
        go_on(outbox::finish(transaction, &entry, RecipientState::Failed, Some(code)))?;
    }
    Ok(())
}

/// An old copy that was stopped on its way.
fn resume(transaction: &mut Transaction<'_>, own: &OwnDevice) -> Result<bool, Stop> {
    if own.account_key().is_err() {
        return Err(EngineError::StateRolledBack.into());
    }
    own_statement::refresh(transaction, own);
    Ok(false)
}

fn drop_class<T: Record>(transaction: &mut Transaction<'_>, class: RecordClass) -> Result<(), Stop> {
    for (key, _) in transaction.scan::<T>(class)? {
        transaction.delete(&key);
    }
    Ok(())
}
