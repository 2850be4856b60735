//! Contacts: other accounts, pinned by account key and newest statement.

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::identity::{Change, Statement, StatementError, VerificationCode, safety_number};
use medipeps_core::wire::client_records::{AccountRecord, ContactRecord};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Request};

use super::account::OwnDevice;
use super::outcome::{Connection, ContactProblem, EngineError, Event};
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{
    Correlation, delivery, device_sync, domain, group, organisation, outbox, outcome, sesame, statement_check, wallet,
};

/// The code of messages that wait for `contact add --accept-new-key`.
pub(super) const KEY_CHANGED: &str = "recipient_key_changed";

/// What a person is told about a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactSummary {
    /// Who.
    pub address: Address,
    /// Sixty digits to compare with what the contact sees.
    pub safety_number: String,
    /// Version of the newest accepted statement.
    pub statement_version: u64,
    /// How many devices it lists.
    pub devices: usize,
    /// When the contact was pinned, in milliseconds since 1970.
    pub added: u64,
    /// The server gives another account key than the pinned one.
    pub key_changed: bool,
    /// When a person compared the pinned account key, in milliseconds since 1970.
    pub verified: Option<u64>,
    /// When another account key was taken the last time, in milliseconds since 1970.
    pub key_changed_at: Option<u64>,
    /// The pinned account key.
    pub account_key: VerifyingKey,
    /// What the contact's device scans to compare both keys.
    pub verification_code: VerificationCode,
}

impl ContactSummary {
    /// Out of the two accounts' records.
    ///
    /// # Errors
    /// [`EngineError::Statement`]
    pub fn of(account: &AccountRecord, contact: &ContactRecord) -> Result<Self, EngineError> {
        let own = Statement::decode(&account.statement)?;
        let statement = Statement::decode(&contact.statement)?;
        let (own_key, account_key) = (own.account_key(), statement.account_key());
        let (own, other) = ((own.address(), &own_key), (statement.address(), &account_key));
        Ok(Self {
            address: contact.address.clone(),
            safety_number: safety_number(own, other),
            verification_code: VerificationCode::new(own, other),
            statement_version: statement.version(),
            devices: statement.devices().len(),
            added: contact.added,
            key_changed: contact.changed_statement.is_some(),
            verified: contact.verified.filter(|mark| mark.account_key == account_key).map(|mark| mark.at),
            key_changed_at: (contact.key_changed_at != 0).then_some(contact.key_changed_at),
            account_key,
        })
    }
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pinned {
    /// It is the one to write to.
    Accepted,
    /// It was not accepted.
    Refused(ContactProblem),
}

/// Asks for the statement of a contact to be.
pub(super) fn add(transaction: &mut Transaction<'_>, address: &Address, accept_new_key: bool) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    if address == own.address() {
        return Err(EngineError::OwnAddress(address.clone()).into());
    }
    domain::check(transaction, &own, address.domain())?;
    wallet::begin(transaction, &own, address.domain())?;
    ask(transaction, address, accept_new_key);
    delivery::accept(transaction, address)
}

/// Asks for a statement, anonymously: whom one writes to is not the server's business.
pub(super) fn ask(transaction: &mut Transaction<'_>, address: &Address, accept_new_key: bool) {
    transaction.send(
        Connection::Anonymous(address.domain().to_owned()),
        Request::FetchStatement(address.clone()),
        Correlation::FetchStatement { address: address.clone(), accept_new_key },
    );
}

/// The server has answered with a statement.
pub(super) fn statement_fetched(
    transaction: &mut Transaction<'_>,
    address: &Address,
    accept_new_key: bool,
    encoded: &[u8],
) -> Result<(), Stop> {
    match transaction.statement(encoded) {
        Ok(statement) => pin(transaction, address, &statement, accept_new_key).map(|_| ()),
        Err(error) => {
            refuse(transaction, address, error.into());
            Ok(())
        }
    }
}

/// The server has no statement to give.
pub(super) fn statement_refused(
    transaction: &mut Transaction<'_>,
    address: &Address,
    error: &ErrorReply,
) -> Result<(), Stop> {
    let problem = if error.known_code() == Some(ErrorCode::UnknownAccount) {
        // Whoever wrote under this address is not the one whom the server knows by it.
        statement_check::settle(transaction, address, None)?;
        ContactProblem::UnknownAccount
    } else {
        statement_check::postpone(transaction, address, error.retry_after)?;
        ContactProblem::Server(outcome::error_code_name(error))
    };
    refuse(transaction, address, problem);
    Ok(())
}

/// Accepts a statement or not: a first one is pinned, a later one must be under the pinned key.
pub(super) fn pin(
    transaction: &mut Transaction<'_>,
    address: &Address,
    statement: &Statement,
    accept_new_key: bool,
) -> Result<Pinned, Stop> {
    let before = transaction.load(&key::contact(address))?.map(|contact| contact.statement);
    let pinned = pin_quietly(transaction, address, statement, accept_new_key)?;
    if pinned == Pinned::Accepted && before.is_none_or(|before| before != statement.encoded()) {
        device_sync::note_contact(transaction, address)?;
    }
    Ok(pinned)
}

/// The same, without telling the account's other devices: one of them has said it.
pub(super) fn pin_quietly(
    transaction: &mut Transaction<'_>,
    address: &Address,
    statement: &Statement,
    accept_new_key: bool,
) -> Result<Pinned, Stop> {
    if statement.address() != address {
        return Ok(refuse(transaction, address, StatementError::OtherAccount.into()));
    }
    let Some(mut contact) = transaction.load(&key::contact(address))? else {
        let contact = ContactRecord {
            address: address.clone(),
            statement: statement.encoded().to_vec(),
            added: transaction.now.0,
            changed_statement: None,
            verified: None,
            key_changed_at: 0,
        };
        transaction.store(&key::contact(address), &contact);
        transaction.event(Event::ContactPinned { address: address.clone(), new: true });
        group::sender_checked(transaction, address, &statement.account_key())?;
        organisation::sender_checked(transaction, address, &statement.account_key())?;
        statement_check::settle(transaction, address, Some(&statement.account_key()))?;
        return Ok(Pinned::Accepted);
    };
    let known = transaction.statement(&contact.statement)?;
    match statement.change_since(&known) {
        Err(error) => Ok(refuse(transaction, address, error.into())),
        Ok(Change::AccountKey) if !accept_new_key && !is_taken_unasked(&contact, &known, statement) => {
            contact.changed_statement = Some(statement.encoded().to_vec());
            transaction.store(&key::contact(address), &contact);
            outbox::block(transaction, address, KEY_CHANGED)?;
            Ok(refuse(transaction, address, ContactProblem::KeyChanged))
        }
        Ok(change) => {
            if change == Change::AccountKey {
                sesame::forget_peer(transaction, address, &known.account_key())?;
                // Nobody has compared this key.
                (contact.verified, contact.key_changed_at) = (None, transaction.now.0);
                transaction.event(Event::ContactKeyChanged { address: address.clone(), accepted: accept_new_key });
            } else {
                sesame::forget_missing_devices(transaction, statement)?;
            }
            if change != Change::None || contact.changed_statement.is_some() {
                contact.statement = statement.encoded().to_vec();
                contact.changed_statement = None;
                transaction.store(&key::contact(address), &contact);
                outbox::unblock(transaction, address)?;
            }
            transaction.event(Event::ContactPinned { address: address.clone(), new: false });
            group::sender_checked(transaction, address, &statement.account_key())?;
            organisation::sender_checked(transaction, address, &statement.account_key())?;
            group::contact_confirmed(transaction, statement)?;
            statement_check::settle(transaction, address, Some(&statement.account_key()))?;
            Ok(Pinned::Accepted)
        }
    }
}

/// Whether another account key is taken without asking, and shown: nobody has compared the pinned one, so that a question
/// would only be waved through; and the recovery key that it named signed the very next statement, so that the account's
/// owner made the change, whoever runs the server.
fn is_taken_unasked(contact: &ContactRecord, known: &Statement, statement: &Statement) -> bool {
    !is_verified(contact, known) && statement.follows(known) == Ok(Change::AccountKey)
}

fn is_verified(contact: &ContactRecord, known: &Statement) -> bool {
    contact.verified.is_some_and(|mark| mark.account_key == known.account_key())
}

/// What is to be done about a first flight whose statement names another account key than the pinned one. False if the
/// sender is refused; where the recovery key vouches for the change, a person is then told and asked.
pub(super) fn may_bring_new_key(transaction: &mut Transaction<'_>, statement: &Statement) -> Result<bool, Stop> {
    let address = statement.address();
    let Some(contact) = transaction.load(&key::contact(address))? else { return Ok(false) };
    let known = transaction.statement(&contact.statement)?;
    if statement.follows(&known) != Ok(Change::AccountKey) {
        return Ok(false);
    }
    if is_taken_unasked(&contact, &known, statement) {
        return Ok(true);
    }
    pin(transaction, address, statement, false)?;
    Ok(false)
}

/// The pinned statement of a contact.
pub(super) fn pinned(transaction: &mut Transaction<'_>, address: &Address) -> Result<Option<Statement>, Stop> {
    let contact = transaction.load(&key::contact(address))?;
    Ok(contact.map(|contact| transaction.statement(&contact.statement)).transpose()?)
}

/// Whether a contact is pinned by this account key.
pub(super) fn is_pinned_by(
    transaction: &mut Transaction<'_>,
    address: &Address,
    account_key: &VerifyingKey,
) -> Result<bool, Stop> {
    Ok(pinned(transaction, address)?.is_some_and(|statement| statement.account_key() == *account_key))
}

fn refuse(transaction: &mut Transaction<'_>, address: &Address, problem: ContactProblem) -> Pinned {
    transaction.event(Event::ContactRefused { address: address.clone(), problem: problem.clone() });
    Pinned::Refused(problem)
}
