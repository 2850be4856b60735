//! The account taken over with the recovery key, on a new device that is its only one then.
//!
//! The statement that the recovery key signs is stored before it leaves. Run again, with the newest statement of the account,
//! it finds out how far it came; where another statement came between, it is signed again, with the same new keys.

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{
    DeviceCertificate, DeviceSecretKeys, Statement, StatementError, StatementIssue, recovery_key_hash,
};
use medipeps_core::wire::client_records::AccountRecord;
use medipeps_core::wire::transport::{ErrorReply, Request};
use rand_core::Rng;

use super::Correlation;
use super::account::{OwnDevice, check_name};
use super::outcome::{Connection, EngineError, Event, error_code_name};
use super::records::key;
use super::transaction::{Stop, Transaction};

/// What it takes to recover an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverAccount {
    /// Whose.
    pub address: Address,
    /// Display name.
    pub name: String,
    /// `HOST:PORT`.
    pub server: String,
    /// [`medipeps_core::proof::server_key_hash`] of the server that gave the statement.
    pub server_key_hash: [u8; 32],
    /// Ed25519 secret.
    pub recovery_key: Secret<32>,
    /// The newest statement, as the server gave it just now.
    pub newest: Vec<u8>,
}

impl RecoverAccount {
    /// Whether the recovery key is the one that the statement names.
    ///
    /// # Errors
    /// [`EngineError::Statement`], [`EngineError::WrongRecoveryKey`]
    pub fn check(&self) -> Result<(), EngineError> {
        let newest = Statement::decode(&self.newest)?;
        if *newest.address() != self.address {
            return Err(StatementError::OtherAccount.into());
        }
        fitting_key(self, &newest).map(|_| ())
    }
}

/// Takes the account over, or goes on.
pub(super) fn recover(transaction: &mut Transaction<'_>, command: &RecoverAccount) -> Result<(), Stop> {
    check_name(&command.name)?;
    let newest = Statement::decode(&command.newest)?;
    if *newest.address() != command.address {
        return Err(StatementError::OtherAccount.into());
    }
    match transaction.load(&key::account())? {
        None => begin(transaction, command, &newest),
        Some(record) if !record.recovering => Err(EngineError::AccountExists(record.address).into()),
        Some(record) if record.address != command.address => Err(EngineError::AccountBegun(record.address).into()),
        Some(record) => go_on(transaction, record, command, &newest),
    }
}

/// The server has the statement.
pub(super) fn recovered(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let Some(record) = transaction.load(&key::account())?.filter(|record| record.recovering) else { return Ok(()) };
    transaction.store(&key::account(), &AccountRecord { recovering: false, ..record });
    transaction.event(Event::Registered);
    Ok(())
}

/// The server refused the statement, or could not take it now. With `StatementVersion` another one came between: the shell
/// fetches it and runs [`recover`] again.
pub(super) fn refused(transaction: &mut Transaction<'_>, error: &ErrorReply) {
    transaction.event(Event::RegistrationRefused { code: error_code_name(error) });
}

fn begin(transaction: &mut Transaction<'_>, command: &RecoverAccount, newest: &Statement) -> Result<(), Stop> {
    let recovery_key = fitting_key(command, newest)?;
    let rng = &mut transaction.rng;
    let (account_key, new_recovery_key) = (SigningKey::random(rng), SigningKey::random(rng));
    let keys = DeviceSecretKeys::random(rng);
    let device_id = loop {
        let id = rng.next_u32();
        if id != 0 && newest.device(id).is_none() {
            break id;
        }
    };
    let hash = recovery_key_hash(&new_recovery_key.verifying_key());
    let device = (device_id, &keys);
    let statement = sign(newest, &recovery_key, (&account_key, hash), device, transaction.now.0)?;
    let record = AccountRecord {
        address: command.address.clone(),
        name: command.name.clone(),
        server: command.server.clone(),
        server_key_hash: command.server_key_hash,
        account_key: Some(account_key.to_secret()),
        device_signing_key: keys.signing_key.to_secret(),
        device_dh_key: keys.dh_key.to_secret(),
        device_id,
        statement: statement.encoded().to_vec(),
        invitation: None,
        rolled_back: false,
        refused: None,
        revoked: None,
        recovering: true,
    };
    transaction.store(&key::account(), &record);
    let recovery_key = new_recovery_key.to_secret();
    transaction.event(Event::AccountPrepared { address: record.address, recovery_key });
    send(transaction, &statement);
    Ok(())
}

fn go_on(
    transaction: &mut Transaction<'_>,
    record: AccountRecord,
    command: &RecoverAccount,
    newest: &Statement,
) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    if own.statement == *newest {
        return recovered(transaction);
    }
    if own.statement.follows(newest).is_ok() {
        send(transaction, &own.statement);
        return Ok(());
    }
    let recovery_key = fitting_key(command, newest)?;
    let (account_key, hash) = (own.account_key()?, own.statement.recovery_key_hash());
    let device = (record.device_id, &own.keys);
    let statement = sign(newest, &recovery_key, (&account_key, hash), device, transaction.now.0)?;
    let (server, server_key_hash) = (command.server.clone(), command.server_key_hash);
    let record = AccountRecord { server, server_key_hash, statement: statement.encoded().to_vec(), ..record };
    transaction.store(&key::account(), &record);
    send(transaction, &statement);
    Ok(())
}

/// The recovery key, if it is the one that the statement names.
fn fitting_key(command: &RecoverAccount, newest: &Statement) -> Result<SigningKey, EngineError> {
    let recovery_key = SigningKey::from_secret(&command.recovery_key);
    match recovery_key_hash(&recovery_key.verifying_key()) == newest.recovery_key_hash() {
        true => Ok(recovery_key),
        false => Err(EngineError::WrongRecoveryKey(command.address.clone())),
    }
}

fn sign(
    newest: &Statement,
    recovery_key: &SigningKey,
    (account_key, recovery_key_hash): (&SigningKey, [u8; 32]),
    (device_id, keys): (u32, &DeviceSecretKeys),
    now_ms: u64,
) -> Result<Statement, EngineError> {
    let (address, issued) = (newest.address(), now_ms / 1000);
    let device = DeviceCertificate::issue(account_key, address, device_id, &keys.public_keys(), true, issued);
    let issue = StatementIssue { address, recovery_key_hash, previous: Some(newest), devices: vec![device], issued };
    Ok(issue.sign_with_recovery_key(account_key.verifying_key(), recovery_key)?)
}

fn send(transaction: &mut Transaction<'_>, statement: &Statement) {
    let request = Request::PublishStatement(statement.encoded().to_vec());
    transaction.send(Connection::Registration, request, Correlation::RecoverAccount);
}
