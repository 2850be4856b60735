//! `medipeps status`

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::wire::client_records::{OutboxRecord, Revocation};
use serde::Serialize;

use super::mail::upload_percent;
use super::{CommandError, domain, output, time};
use crate::account_store::{Status, TrustListSummary};
use crate::engine::{AccountSummary, DeliveryKeySummary, LocalId, WalletSummary};
use crate::shell::agent::Agent;
use crate::shell::connection::{LastTransport, last_transport};

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
    revoked: Option<&'static str>,
    generation: u64,
    received: usize,
    unread: usize,
    sent: usize,
    contacts: usize,
    outbox: Vec<WaitingJson>,
    uploads: Vec<UploadJson>,
    undecryptable_total: u64,
    undecryptable: Vec<UndecryptableJson>,
    duplicates_total: u64,
    expired_total: u64,
    prekeys_withheld_since: Option<String>,
    unconfirmed: usize,
    kept_envelopes: usize,
    transport: Option<TransportJson>,
    trust_list: Option<domain::TrustListJson>,
    wallets: Vec<WalletJson>,
    delivery_key: Option<DeliveryKeyJson>,
}

/// What those get whom the person has accepted, as JSON has it. The key itself is not shown.
#[derive(Debug, Serialize)]
struct DeliveryKeyJson {
    made_at: String,
    former: usize,
    set_at_server: bool,
}

impl From<&DeliveryKeySummary> for DeliveryKeyJson {
    fn from(key: &DeliveryKeySummary) -> Self {
        Self { made_at: time::iso(key.made_at), former: key.former, set_at_server: key.is_set }
    }
}

/// With what is paid at a server, as JSON has it.
#[derive(Debug, Serialize)]
struct WalletJson {
    domain: String,
    tokens: u32,
    required: bool,
    next_draw_at: Option<String>,
    problem: Option<String>,
}

impl From<&WalletSummary> for WalletJson {
    fn from(wallet: &WalletSummary) -> Self {
        Self {
            domain: wallet.domain.clone(),
            tokens: wallet.tokens,
            required: wallet.required,
            next_draw_at: (wallet.next_draw > 0).then(|| time::iso(wallet.next_draw)),
            problem: wallet.problem.clone(),
        }
    }
}

/// What carried the last connection, as JSON has it.
#[derive(Debug, Serialize)]
struct TransportJson {
    name: &'static str,
    noted_at: String,
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

/// A message whose files are on their way, as JSON has it.
#[derive(Debug, Serialize)]
struct UploadJson {
    id: String,
    files: usize,
    bytes: u64,
    percent: u64,
}

/// An envelope that could not be read, as JSON has it.
#[derive(Debug, Serialize)]
struct UndecryptableJson {
    received_at: String,
    reason: String,
    from: Option<String>,
}

pub(super) fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let (status, uploads) = (agent.status()?, uploading(&mut agent)?);
    let list = agent.trust_list()?;
    let Some(account) = &status.account else {
        return Err(CommandError::Failed("there is no account here yet; run `account create` again".to_owned()));
    };
    let transport = last_transport(home);
    if arguments.json {
        return output::print_json(&json(&status, account, uploads, transport, list));
    }
    let mut text = text(&status, account, &uploads, transport);
    if let Some(warning) = list.as_ref().and_then(domain::warning) {
        text.push_str(&warning);
        text.push('\n');
    }
    output::print(&text)
}

/// Since when one-time prekeys were withheld, the last time.
fn withheld_since(status: &Status) -> Option<String> {
    (status.queue.prekeys_withheld > 0).then(|| time::iso(status.queue.prekeys_withheld))
}

/// The messages that wait for their files, and how far these have come.
fn uploading(agent: &mut Agent) -> Result<Vec<UploadJson>, CommandError> {
    let uploads = agent.uploads()?;
    let mut messages: Vec<LocalId> = uploads.iter().map(|upload| upload.record.content_id).collect();
    messages.dedup();
    let of_message = |id: &LocalId| {
        let lengths: Vec<u64> =
            uploads.iter().filter(|one| one.record.content_id == *id).map(|one| one.record.length).collect();
        UploadJson {
            id: output::id(id),
            files: lengths.len(),
            bytes: lengths.iter().sum(),
            percent: upload_percent(&uploads, id).unwrap_or(0),
        }
    };
    Ok(messages.iter().map(of_message).collect())
}

fn json(
    status: &Status,
    account: &AccountSummary,
    uploads: Vec<UploadJson>,
    transport: Option<LastTransport>,
    list: Option<TrustListSummary>,
) -> StatusJson {
    StatusJson {
        address: account.address.to_string(),
        name: account.name.clone(),
        server: account.server.clone(),
        device: account.device_id,
        registered: account.registered,
        old_copy: account.rolled_back,
        revoked: account.revoked.map(Revocation::code),
        generation: status.generation,
        received: status.received,
        unread: status.unread,
        sent: status.sent,
        contacts: status.contacts,
        outbox: status.outbox.iter().map(waiting_json).collect(),
        uploads,
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
        prekeys_withheld_since: withheld_since(status),
        unconfirmed: status.unconfirmed,
        kept_envelopes: status.kept_envelopes,
        transport: transport
            .map(|last| TransportJson { name: last.transport.name(), noted_at: time::iso(last.at * 1000) }),
        trust_list: list.map(domain::TrustListJson::from),
        wallets: status.wallets.iter().map(WalletJson::from).collect(),
        delivery_key: status.delivery_key.as_ref().map(DeliveryKeyJson::from),
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

fn text(status: &Status, account: &AccountSummary, uploads: &[UploadJson], transport: Option<LastTransport>) -> String {
    let registered = if account.registered {
        "registered"
    } else {
        "NOT REGISTERED YET; run `account create` or `account recover` again"
    };
    let receipts = status.outbox.iter().filter(|entry| entry.receipt).count();
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("Account:", format!("{} ({})", account.address, output::line(&account.name))),
        row("Server:", format!("{}, {registered}", account.server)),
        row("Mail:", format!("{} received ({} unread), {} sent", status.received, status.unread, status.sent)),
        row("Contacts:", status.contacts.to_string()),
        row("Outbox:", format!("{} mails, {receipts} receipts", status.outbox.len() - receipts)),
    ];
    if let Some(key) = status.delivery_key.as_ref().filter(|key| !key.is_set || key.former > 0) {
        let set = if key.is_set { "former ones end within a week" } else { "the server is told with the next `sync`" };
        rows.push(row("Delivery key:", format!("new since {}; {set}", time::iso(key.made_at))));
    }
    if let Some(LastTransport { transport, at }) = transport {
        rows.insert(2, row("Connected by:", format!("{}, noted {}", transport.name(), time::iso(at * 1000))));
    }
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
    for upload in uploads {
        let UploadJson { id, files, bytes, percent } = upload;
        rows.push(row("", format!("{id}: {files} files, {bytes} bytes, {percent} % uploaded")));
    }
    for wallet in &status.wallets {
        let needed = if wallet.required { "" } else { ", which are not required" };
        let problem = wallet.problem.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        rows.push(row("Tokens:", format!("{} for {}{needed}{problem}", wallet.tokens, wallet.domain)));
    }
    if account.rolled_back {
        rows.push(row("OLD COPY:", "the server has seen a later state; nothing can be sent or received".to_owned()));
    }
    match account.revoked {
        Some(Revocation::DeviceRevoked) => rows.push(row(
            "REVOKED:",
            "the account does not list this device any more; nothing can be sent or received".to_owned(),
        )),
        Some(Revocation::AccountKeyReplaced) => rows.push(row(
            "REVOKED:",
            "the account was recovered with its recovery key; nothing can be sent or received".to_owned(),
        )),
        Some(Revocation::AccountDeleted) => {
            rows.push(row("DELETED:", "the account is no more; nothing can be sent or received".to_owned()));
        }
        None => {}
    }
    if status.queue.undecryptable > 0 {
        rows.push(row("Not readable:", format!("{} envelopes; the last ones:", status.queue.undecryptable)));
    }
    for record in status.undecryptable.iter().rev().take(UNDECRYPTABLE_SHOWN) {
        let from = record.sender.as_ref().map(|sender| format!(" from {sender}")).unwrap_or_default();
        rows.push(row("", format!("{} {}{from}", time::iso(record.received), record.reason)));
    }
    if status.unconfirmed > 0 {
        let why = "not confirmed yet by every device that they went to";
        rows.push(row("Unconfirmed:", format!("{} messages, {why}", status.unconfirmed)));
    }
    if status.kept_envelopes > 0 {
        let why = "kept for 7 days in case a session for them turns up";
        rows.push(row("Kept:", format!("{} envelopes of no session, {why}", status.kept_envelopes)));
    }
    if let Some(since) = withheld_since(status) {
        rows.push(row(
            "Keys:",
            format!("since {since} somebody asked for your keys far too often; new senders could still write"),
        ));
    }
    if status.queue.expired > 0 {
        rows.push(row("Too late:", format!("{} messages were dropped by the server as too old", status.queue.expired)));
    }
    output::columns(&rows)
}
