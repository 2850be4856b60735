//! Senders who wrote before they were contacts: their own server is asked whether the address is theirs.

use std::collections::BTreeSet;

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::identity::{Change, Statement};
use medipeps_core::wire::client_records::{SenderCheck, UnconfirmedSenderRecord};

use super::account::OwnDevice;
use super::outbox::{is_due, next_attempt};
use super::outcome::Event;
use super::records::{Key, class, key};
use super::transaction::{Stop, Transaction, go_on};
use super::{LocalId, contact, delivery, domain, owed, receipt, sesame};
use crate::limits::UNCHECKED_MESSAGES_MAX;

/// The statement under which an unchecked sender wrote.
pub(super) fn claimed(
    transaction: &mut Transaction<'_>,
    address: &Address,
    account_key: &VerifyingKey,
) -> Result<Option<Statement>, Stop> {
    let record = transaction.load(&key::unconfirmed_sender(address, account_key.as_bytes()))?;
    Ok(record.map(|record| transaction.statement(&record.statement)).transpose()?)
}

/// Notes a message of an unchecked sender. False if the sender has written too much already.
pub(super) fn note(transaction: &mut Transaction<'_>, statement: &Statement, message: LocalId) -> Result<bool, Stop> {
    let key = key::unconfirmed_sender(statement.address(), statement.account_key().as_bytes());
    let mut record = transaction.load(&key)?.unwrap_or_else(|| UnconfirmedSenderRecord {
        address: statement.address().clone(),
        statement: statement.encoded().to_vec(),
        messages: Vec::new(),
        attempts: 0,
        next_attempt: 0,
    });
    if record.messages.len() >= UNCHECKED_MESSAGES_MAX {
        return Ok(false);
    }
    if statement.change_since(&transaction.statement(&record.statement)?) == Ok(Change::Devices) {
        record.statement = statement.encoded().to_vec();
    }
    record.messages.push(message);
    transaction.store(&key, &record);
    Ok(true)
}

/// Asks about every sender who is due and whose server is known. Senders of other servers stay unchecked.
pub(super) fn ask_due(transaction: &mut Transaction<'_>, unreachable: &BTreeSet<String>) -> Result<(), Stop> {
    let own = OwnDevice::load_working(transaction)?;
    let mut asked: Option<Address> = None;
    let mut senders = senders(transaction)?;
    senders.sort_by(|(_, one), (_, other)| one.address.cmp(&other.address));
    for (_, sender) in senders {
        let address = sender.address;
        let reachable =
            domain::is_familiar(transaction, &own, address.domain())? && !unreachable.contains(address.domain());
        if reachable && is_due(sender.next_attempt, transaction.now.0) && asked.as_ref() != Some(&address) {
            contact::ask(transaction, &address, false);
            asked = Some(address);
        }
    }
    Ok(())
}

/// The server could not answer now.
pub(super) fn postpone(transaction: &mut Transaction<'_>, address: &Address, retry_after: u64) -> Result<(), Stop> {
    for (key, mut sender) in senders(transaction)? {
        if sender.address == *address {
            sender.attempts += 1;
            sender.next_attempt = next_attempt(transaction, sender.attempts, retry_after);
            transaction.store(&key, &sender);
        }
    }
    Ok(())
}

/// Decides about everybody who wrote under an address: its account key is `account_key`, or the address is nobody's.
pub(super) fn settle(
    transaction: &mut Transaction<'_>,
    address: &Address,
    account_key: Option<&VerifyingKey>,
) -> Result<(), Stop> {
    for (key, sender) in senders(transaction)? {
        if sender.address != *address {
            continue;
        }
        let claimed = Statement::decode(&sender.statement)?.account_key();
        let impostor = account_key != Some(&claimed);
        let keys: Vec<_> = sender.messages.iter().map(key::message).collect();
        transaction.load_all(&keys)?;
        for id in &sender.messages {
            let Some(mut message) = transaction.load(&key::message(id))? else { continue };
            message.sender_check = if impostor { SenderCheck::Impostor } else { SenderCheck::Checked };
            transaction.store(&key::message(id), &message);
            if !impostor {
                if let Some(content) = transaction.load(&key::content(id))? {
                    delivery::received(transaction, address, &content)?;
                }
                go_on(receipt::send_delivered(transaction, id))?;
                owed::confirm(transaction, address, message.content_id, message.urgency != 0)?;
            }
        }
        if impostor {
            sesame::forget_peer(transaction, address, &claimed)?;
        }
        transaction.delete(&key);
        transaction.event(Event::SenderChecked { address: address.clone(), impostor });
    }
    Ok(())
}

type Sender = (Key<UnconfirmedSenderRecord>, UnconfirmedSenderRecord);

fn senders(transaction: &mut Transaction<'_>) -> Result<Vec<Sender>, Stop> {
    transaction.scan(class::UNCONFIRMED_SENDER)
}
