//! `medipeps status`

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::wire::client_records::OutboxRecord;
use serde::Serialize;

use super::{CommandError, output, time};
use crate::account_store::Status;
use crate::engine::AccountSummary;

/// Envelopes that could not be read, of which so many are listed.
const UNDECRYPTABLE_SHOWN: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How things are, as JSON has it.
#[derive(Debug, Serialize)]
struct StatusJson {
    address: String,
    name: String,
    server: String,
    device: u32,
    registered: bool,
    old_copy: bool,
    generation: u64,
    received: usize,
    unread: usize,
    sent: usize,
    contacts: usize,
    outbox: Vec<WaitingJson>,
    undecryptable_total: u64,
    undecryptable: Vec<UndecryptableJson>,
    duplicates_total: u64,
    expired_total: u64,
}

/// What waits to be sent, as JSON has it.
#[derive(Debug, Serialize)]
struct WaitingJson {
    id: String,
    to: String,
    receipt: bool,
    encrypted: bool,
    blocked: Option<String>,
    attempts: u32,
    next_attempt_at: Option<String>,
}

/// An envelope that could not be read, as JSON has it.
#[derive(Debug, Serialize)]
struct UndecryptableJson {
    received_at: String,
    reason: String,
    from: Option<String>,
}

pub(super) fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let status = super::open(home)?.status()?;
    let Some(account) = &status.account else {
        return Err(CommandError::Failed("there is no account here yet; run `account create` again".to_owned()));
    };
    if arguments.json {
        return output::print_json(&json(&status, account));
    }
    output::print(&text(&status, account))
}

fn json(status: &Status, account: &AccountSummary) -> StatusJson {
    StatusJson {
        address: account.address.to_string(),
        name: account.name.clone(),
        server: account.server.clone(),
        device: account.device_id,
        registered: account.registered,
        old_copy: account.rolled_back,
        generation: status.generation,
        received: status.received,
        unread: status.unread,
        sent: status.sent,
        contacts: status.contacts,
        outbox: status.outbox.iter().map(waiting_json).collect(),
        undecryptable_total: status.queue.undecryptable,
        undecryptable: status
            .undecryptable
            .iter()
            .map(|record| UndecryptableJson {
                received_at: time::iso(record.received),
                reason: record.reason.clone(),
                from: record.sender.as_ref().map(Address::to_string),
            })
            .collect(),
        duplicates_total: status.queue.duplicates,
        expired_total: status.queue.expired,
    }
}

fn waiting_json(entry: &OutboxRecord) -> WaitingJson {
    WaitingJson {
        id: output::id(&entry.content_id),
        to: entry.recipient.to_string(),
        receipt: entry.receipt,
        encrypted: entry.submission_id.is_some(),
        blocked: entry.blocked.clone(),
        attempts: entry.attempts,
        next_attempt_at: (entry.next_attempt > 0).then(|| time::iso(entry.next_attempt)),
    }
}

fn text(status: &Status, account: &AccountSummary) -> String {
    let registered = if account.registered { "registered" } else { "NOT REGISTERED YET; run `account create` again" };
    let receipts = status.outbox.iter().filter(|entry| entry.receipt).count();
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("Account:", format!("{} ({})", account.address, output::line(&account.name))),
        row("Server:", format!("{}, {registered}", account.server)),
        row("Mail:", format!("{} received ({} unread), {} sent", status.received, status.unread, status.sent)),
        row("Contacts:", status.contacts.to_string()),
        row("Outbox:", format!("{} mails, {receipts} receipts", status.outbox.len() - receipts)),
    ];
    for entry in status.outbox.iter().filter(|entry| !entry.receipt) {
        let why = match &entry.blocked {
            Some(code) => format!("held: {code}"),
            None if entry.attempts > 0 => {
                format!("{} attempts, next {}", entry.attempts, time::iso(entry.next_attempt))
            }
            None => "not tried yet".to_owned(),
        };
        rows.push(row("", format!("to {}: {why}", entry.recipient)));
    }
    if account.rolled_back {
        rows.push(row("OLD COPY:", "the server has seen a later state; nothing can be sent or received".to_owned()));
    }
    if status.queue.undecryptable > 0 {
        rows.push(row("Not readable:", format!("{} envelopes; the last ones:", status.queue.undecryptable)));
    }
    for record in status.undecryptable.iter().rev().take(UNDECRYPTABLE_SHOWN) {
        let from = record.sender.as_ref().map(|sender| format!(" from {sender}")).unwrap_or_default();
        rows.push(row("", format!("{} {}{from}", time::iso(record.received), record.reason)));
    }
    if status.queue.expired > 0 {
        rows.push(row("Too late:", format!("{} messages were dropped by the server as too old", status.queue.expired)));
    }
    output::columns(&rows)
}
