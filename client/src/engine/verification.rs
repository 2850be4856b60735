//! A person has compared a contact's account key by another way than this network: the contact is marked.

use medipeps_core::Address;
use medipeps_core::identity::{Statement, Verification, VerificationCode, is_safety_number, safety_number};
use medipeps_core::wire::client_records::{ContactRecord, VerifiedMark};

use super::account::OwnDevice;
use super::outcome::{EngineError, Event};
use super::records::key;
use super::transaction::{Stop, Transaction};
use super::{delivery, device_sync};

/// What a person has from a contact, over the phone or from its screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The safety number that the contact sees, however it is grouped.
    Number(String),
    /// The code that the contact's device shows.
    Code(VerificationCode),
}

/// Compares with the key that is pinned at this very moment, so that the mark is on the key that was compared.
pub(super) fn verify(transaction: &mut Transaction<'_>, address: &Address, evidence: &Evidence) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    let mut contact = load(transaction, address)?;
    let account_key = Statement::decode(&contact.statement)?.account_key();
    let own_key = own.statement.account_key();
    let (own, other) = ((own.address(), &own_key), (address, &account_key));
    let result = match evidence {
        Evidence::Number(typed) => match is_safety_number(typed, &safety_number(own, other)) {
            Some(true) => Verification::Match,
            Some(false) => Verification::OtherKey,
            None => return Err(EngineError::SafetyNumberForm.into()),
        },
        Evidence::Code(code) => code.compare(own, other),
    };
    match result {
        Verification::Match => contact.verified = Some(VerifiedMark { account_key, at: transaction.now.0 }),
        // Compared keys that differ: an earlier mark is not to be relied on any more.
        Verification::OtherKey | Verification::OtherOwnKey => contact.verified = None,
        Verification::NotMe => {}
    }
    transaction.store(&key::contact(address), &contact);
    device_sync::note_contact(transaction, address)?;
    if result == Verification::Match {
        delivery::accept(transaction, address)?;
    }
    transaction.event(Event::ContactVerified { address: address.clone(), result });
    Ok(())
}

/// Takes the mark off.
pub(super) fn forget(transaction: &mut Transaction<'_>, address: &Address) -> Result<(), Stop> {
    let mut contact = load(transaction, address)?;
    let was_verified = contact.verified.take().is_some();
    transaction.store(&key::contact(address), &contact);
    transaction.event(Event::VerificationForgotten { address: address.clone(), was_verified });
    Ok(())
}

fn load(transaction: &mut Transaction<'_>, address: &Address) -> Result<ContactRecord, Stop> {
    transaction.load(&key::contact(address))?.ok_or_else(|| EngineError::UnknownContact(address.clone()).into())
}
