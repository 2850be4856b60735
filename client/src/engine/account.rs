//! The account of the store: made and registered.

use medipeps_core::Address;
use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use medipeps_core::limits::NAME_LENGTH_MAX;
use medipeps_core::session::LocalDevice;
use medipeps_core::wire::client_records::{AccountRecord, PrekeysRecord, Revocation};
use medipeps_core::wire::transport::{ErrorReply, Register, Request};
use rand_core::Rng;

use super::outcome::{Connection, EngineError, Event};
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{Correlation, CreateAccount, outbox, outcome, prekey_maintenance};

/// The device that this store is, with its keys.
pub(super) struct OwnDevice {
    pub(super) record: AccountRecord,
    pub(super) statement: Statement,
    pub(super) keys: DeviceSecretKeys,
}

/// What a shell needs to reach the account's server and to prove the device.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub address: Address,
    /// The device.
    pub device_id: u32,
    /// Signs the proof.
    pub device_key: SigningKey,
    /// `HOST:PORT`.
    pub server: String,
    /// By which the server's key is known.
    pub server_key_hash: [u8; 32],
    /// Whether the server has confirmed the account.
    pub registered: bool,
}

/// What a person is told about the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The account.
    pub address: Address,
    /// Its display name.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// The device.
    pub device_id: u32,
    /// Whether the server has confirmed the account.
    pub registered: bool,
    /// The store is an old copy.
    pub rolled_back: bool,
    /// Why the device is none of the account any more.
    pub revoked: Option<Revocation>,
}

impl Credentials {
    /// Out of the account's record.
    #[must_use]
    pub fn of(record: &AccountRecord) -> Self {
        Self {
            address: record.address.clone(),
            device_id: record.device_id,
            device_key: SigningKey::from_secret(&record.device_signing_key),
            server: record.server.clone(),
            server_key_hash: record.server_key_hash,
            registered: record.invitation.is_none() && !record.recovering,
        }
    }
}

impl AccountSummary {
    /// Out of the account's record.
    #[must_use]
    pub fn of(record: &AccountRecord) -> Self {
        Self {
            address: record.address.clone(),
            name: record.name.clone(),
            server: record.server.clone(),
            device_id: record.device_id,
            registered: record.invitation.is_none() && !record.recovering,
            rolled_back: record.rolled_back,
            revoked: record.revoked,
        }
    }
}

impl OwnDevice {
    pub(super) fn load(transaction: &mut Transaction<'_>) -> Result<Self, Stop> {
        let record = transaction.load(&key::account())?.ok_or(EngineError::NoAccount)?;
        let statement = transaction.statement(&record.statement)?;
        let keys = DeviceSecretKeys {
            signing_key: SigningKey::from_secret(&record.device_signing_key),
            dh_key: DhSecretKey::from_secret(&record.device_dh_key),
        };
        Ok(Self { record, statement, keys })
    }

    /// The device of an account that may send and receive.
    pub(super) fn load_working(transaction: &mut Transaction<'_>) -> Result<Self, Stop> {
        let own = Self::load(transaction)?;
        own.check_not_revoked()?;
        if own.record.rolled_back {
            return Err(EngineError::StateRolledBack.into());
        }
        if own.record.invitation.is_some() {
            return Err(EngineError::NotRegistered.into());
        }
        if own.record.recovering {
            return Err(EngineError::NotRecovered.into());
        }
        Ok(own)
    }

    pub(super) fn check_not_revoked(&self) -> Result<(), EngineError> {
        self.record.revoked.map_or(Ok(()), |reason| Err(EngineError::Revoked(reason)))
    }

    pub(super) fn local(&self) -> LocalDevice<'_> {
        LocalDevice { statement: &self.statement, device_id: self.record.device_id, keys: &self.keys }
    }

    /// What certifies devices and signs statements; only a primary device has it.
    pub(super) fn account_key(&self) -> Result<SigningKey, EngineError> {
        self.record.account_key.as_ref().map(SigningKey::from_secret).ok_or(EngineError::NotPrimary)
    }

    pub(super) const fn address(&self) -> &Address {
        &self.record.address
    }
}

/// Makes all keys and stores them before the server hears of them; a repeat goes on with the same keys.
pub(super) fn create(transaction: &mut Transaction<'_>, command: &CreateAccount) -> Result<(), Stop> {
    check_name(&command.name)?;
    match transaction.load(&key::account())? {
        None => make(transaction, command),
        Some(record) if record.recovering => Err(EngineError::NotRecovered.into()),
        Some(record) if record.invitation.is_none() => Err(EngineError::AccountExists(record.address).into()),
        // Until the server has refused it, it may have it: another address would then lose the invitation.
        Some(record) if record.address != command.address && record.refused.is_none() => {
            Err(EngineError::AccountBegun(record.address).into())
        }
        Some(record) => go_on(transaction, record, command),
    }
}

/// Refuses a display name that nobody could show.
pub(super) fn check_name(name: &str) -> Result<(), EngineError> {
    let good =
        (1..=NAME_LENGTH_MAX).contains(&name.len()) && !name.chars().any(char::is_control) && !name.trim().is_empty();
    if good { Ok(()) } else { Err(EngineError::Name { max: NAME_LENGTH_MAX }) }
}

fn make(transaction: &mut Transaction<'_>, command: &CreateAccount) -> Result<(), Stop> {
    let rng = &mut transaction.rng;
    let (account_key, recovery_key) = (SigningKey::random(rng), SigningKey::random(rng));
    let device = DeviceSecretKeys::random(rng);
    let recovery_hash = recovery_key_hash(&recovery_key.verifying_key());
    // Drawn, so that an address that is given to somebody else later has another device: senders who still have sessions
    // with this one are then told that their devices are stale, fetch, and see the other account key.
    let device_id = transaction.rng.next_u32().max(1);
    let keys = (&account_key, device_id, &device);
    let statement = first_statement(&command.address, keys, recovery_hash, transaction.now.0)?;
    let record = AccountRecord {
        address: command.address.clone(),
        name: command.name.clone(),
        server: command.server.clone(),
        server_key_hash: command.invitation.server_key_hash,
        account_key: Some(account_key.to_secret()),
        device_signing_key: device.signing_key.to_secret(),
        device_dh_key: device.dh_key.to_secret(),
        device_id,
        statement: statement.encoded().to_vec(),
        invitation: Some(command.invitation.secret.clone()),
        rolled_back: false,
        refused: None,
        revoked: None,
        recovering: false,
    };
    transaction.store(&key::account(), &record);
    let address = record.address.clone();
    transaction.event(Event::AccountPrepared { address, recovery_key: recovery_key.to_secret() });
    let upload = prekey_maintenance::first_upload(transaction, &record, &device)?;
    register(transaction, record, upload)
}

/// The registration again, with the same keys; under another address or invitation where the server refused the first.
fn go_on(transaction: &mut Transaction<'_>, before: AccountRecord, command: &CreateAccount) -> Result<(), Stop> {
    let device = OwnDevice::load(transaction)?;
    let mut record = AccountRecord {
        address: command.address.clone(),
        name: command.name.clone(),
        server: command.server.clone(),
        server_key_hash: command.invitation.server_key_hash,
        invitation: Some(command.invitation.secret.clone()),
        refused: None,
        ..before.clone()
    };
    let upload = if record.address == before.address {
        let published: Option<PrekeysRecord> = transaction.load(&key::prekeys())?;
        published.and_then(|prekeys| prekeys.pending_upload).ok_or(EngineError::NoProgress)?
    } else {
        let account_key = device.account_key()?;
        let hash = device.statement.recovery_key_hash();
        let keys = (&account_key, record.device_id, &device.keys);
        let statement = first_statement(&record.address, keys, hash, transaction.now.0)?;
        record.statement = statement.encoded().to_vec();
        prekey_maintenance::first_upload(transaction, &record, &device.keys)?
    };
    transaction.store(&key::account(), &record);
    register(transaction, record, upload)
}

fn first_statement(
    address: &Address,
    (account_key, device_id, device): (&SigningKey, u32, &DeviceSecretKeys),
    recovery_key_hash: [u8; 32],
    now_ms: u64,
) -> Result<Statement, EngineError> {
    let issued = now_ms / 1000;
    let certificate = DeviceCertificate::issue(account_key, address, device_id, &device.public_keys(), true, issued);
    let issue = StatementIssue { address, recovery_key_hash, previous: None, devices: vec![certificate], issued };
    Ok(issue.sign(account_key)?)
}

fn register(transaction: &mut Transaction<'_>, record: AccountRecord, upload: Vec<u8>) -> Result<(), Stop> {
    let invitation = record.invitation.as_ref().ok_or(EngineError::NoProgress)?;
    let register = Register { invitation: *invitation.as_bytes(), statement: record.statement, prekeys: vec![upload] };
    transaction.send(Connection::Registration, Request::Register(register), Correlation::Register);
    Ok(())
}

/// The server has the account: the invitation is forgotten.
pub(super) fn registered(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let mut record = transaction.load(&key::account())?.ok_or(EngineError::NoAccount)?;
    (record.invitation, record.refused) = (None, None);
    transaction.store(&key::account(), &record);
    if let Some(mut prekeys) = transaction.load(&key::prekeys())? {
        prekeys.pending_upload = None;
        transaction.store(&key::prekeys(), &prekeys);
    }
    transaction.event(Event::Registered);
    Ok(())
}

/// The server refused for good, or could not do it now.
pub(super) fn registration_failed(transaction: &mut Transaction<'_>, error: &ErrorReply) -> Result<(), Stop> {
    let mut record = transaction.load(&key::account())?.ok_or(EngineError::NoAccount)?;
    let code = outcome::error_code_name(error);
    if !outbox::is_transient(error) {
        record.refused = Some(code.clone());
        transaction.store(&key::account(), &record);
    }
    transaction.event(Event::RegistrationRefused { code });
    Ok(())
}
