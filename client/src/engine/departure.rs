//! The account ends, because its owner says so: at the server first, and here once the server has done it.
//! `spec/client-engine.md`, section "The end of an account".

use medipeps_core::proof::sign_deletion;
use medipeps_core::wire::client_records::Revocation;
use medipeps_core::wire::transport::{DeleteAccount, ErrorCode, ErrorReply, Request};

use super::account::OwnDevice;
use super::outcome::{Connection, Event, error_code_name};
use super::transaction::{Stop, Transaction};
use super::{Correlation, own_blob, own_statement, revocation};

/// Asks the server to delete the account: queues, prekeys and statement of every device. Nothing changes here before it
/// has answered.
pub(super) fn delete(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let account_key = own.account_key()?;
    let (address, statement_version) = (own.address().clone(), own.statement.version());
    let signature = sign_deletion(&account_key, &address, statement_version);
    let request = Request::DeleteAccount(DeleteAccount { address, statement_version, signature });
    transaction.send(Connection::Proved, request, Correlation::DeleteAccount);
    Ok(())
}

/// The account is gone, and its blobs go. What can be shown stays; every key that could be used goes.
pub(super) fn deleted(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    own_blob::delete_all(transaction)?;
    revocation::leave(transaction, Revocation::AccountDeleted)
}

/// The account is as it was. Where another device has changed it meanwhile, its newest statement is fetched.
pub(super) fn refused(transaction: &mut Transaction<'_>, error: &ErrorReply) -> Result<(), Stop> {
    if error.known_code() == Some(ErrorCode::StatementVersion) {
        let own = OwnDevice::load(transaction)?;
        own_statement::refresh(transaction, &own);
    }
    transaction.event(Event::AccountDeletionRefused { code: error_code_name(error) });
    Ok(())
}
