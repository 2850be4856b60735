//! `medipeps sync`

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::group_told::Told;
use super::{CommandError, org, output, progress, time};
use crate::engine::{ContactProblem, Event, GroupEvent};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Seconds to stay connected after everything has been fetched
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a sync did, as JSON has it.
#[derive(Debug, Default, Serialize)]
struct SyncJson {
    received: Vec<String>,
    sent: usize,
    receipts: usize,
    group_messages: usize,
    typing: Vec<TypingJson>,
    /// Of both, those that do not ring.
    muted: usize,
    failed: usize,
    undecryptable: usize,
    waiting: usize,
    uploading: usize,
    prekeys_withheld_since: Option<String>,
}

/// Somebody who was seen to type, as JSON has it.
#[derive(Debug, Serialize)]
struct TypingJson {
    group: String,
    from: String,
    active: bool,
}

pub(super) async fn run(home: &Path, arguments: Arguments) -> Result<(), CommandError> {
    use medipeps_core::wire::client_records::RecipientState;

    let mut agent = super::open(home)?;
    let mut report = SyncJson::default();
    let mut notes = Vec::new();
    let mut groups = Told::default();
    let mut organisations = org::Told::default();
    let mut show = |event: &Event| {
        groups.hear(event);
        organisations.hear(event);
        match event {
        Event::Group { event: GroupEvent::Message { .. }, .. } => report.group_messages += 1,
        Event::Group { group, event: GroupEvent::Typing { by, active, .. } } => {
            let group = data_encoding::HEXLOWER.encode(group);
            if *active {
                eprintln!("{by} is typing in group {}", &group[..8]);
            }
            report.typing.push(TypingJson { group, from: by.to_string(), active: *active });
        }
        Event::Group { event: GroupEvent::MutedMessage { .. }, .. } => {
            report.group_messages += 1;
            report.muted += 1;
        }
        Event::MutedMessageReceived { id } => {
            report.received.push(output::id(id));
            report.muted += 1;
        }
        Event::MessageReceived { id } => report.received.push(output::id(id)),
        Event::RecipientState { state: RecipientState::Accepted, .. } => report.sent += 1,
        Event::RecipientState { state: RecipientState::Delivered | RecipientState::Displayed, .. } => {
            report.receipts += 1;
        }
        Event::RecipientState { state: RecipientState::Failed, .. } => report.failed += 1,
        Event::Undecryptable { .. } => report.undecryptable += 1,
        Event::SenderChecked { address, impostor: true } => {
            notes.push(format!("mail under the address {address} was not from {address}; it is marked"));
        }
        Event::ContactKeyChanged { address, accepted: false } => notes.push(format!(
            "{address} has new keys: the account was recovered with its recovery key. Compare the safety number (`verify {address}`)"
        )),
        Event::ContactRefused { address, problem: ContactProblem::KeyChanged } => notes.push(format!(
            "{address} has other keys than the pinned ones; mail to {address} waits until you decide (`contact add {address}` says more)"
        )),
        Event::StateRolledBack { stored, highest } => notes.push(format!(
            "this store is at step {stored}, and step {highest} has been seen: it is an old copy. Its sessions and prekeys were dropped"
        )),
        Event::BodyFailed { id, code } => {
            notes.push(format!("the text of message {} cannot be had ({code})", output::id(id)));
        }
        Event::PrekeysWithheld { since } => {
            let since = time::iso(*since);
            notes.push(format!("somebody asks for your keys far too often since {since}; new senders can still write to you"));
            report.prekeys_withheld_since = Some(since);
        }
        Event::QueueRestarted => notes.push("the server was restored from a backup".to_owned()),
        _ => {}
    }
    };
    let watched = progress::watch(&mut agent);
    let result = tokio::select! {
        result = agent.sync(Duration::from_secs(arguments.wait), &mut show) => result.map_err(CommandError::from),
        interrupted = progress::interrupted() => interrupted.and(Err(CommandError::Interrupted(
            "nothing is lost; the next `sync` goes on with it",
        ))),
    };
    drop(watched);
    let uploads = agent.uploads()?;
    let mut messages: Vec<_> = uploads.iter().map(|upload| upload.record.content_id).collect();
    messages.sort_unstable();
    messages.dedup();
    report.uploading = messages.len();
    report.waiting = agent.status()?.outbox.iter().filter(|entry| !entry.receipt).count() + report.uploading;
    agent.close().await;
    for note in notes {
        eprintln!("{note}");
    }
    groups.say();
    organisations.say()?;
    if arguments.json {
        output::print_json(&report)?;
    } else {
        let failed = if report.failed > 0 { format!(", {} failed", report.failed) } else { String::new() };
        let undecryptable = match report.undecryptable {
            0 => String::new(),
            count => format!(", {count} could not be read (see `status`)"),
        };
        let group_messages = match report.group_messages {
            0 => String::new(),
            count => format!(", {count} in groups"),
        };
        let muted = if report.muted > 0 { format!(", {} of them muted", report.muted) } else { String::new() };
        let receipts = if report.receipts > 0 { format!(", {} receipts", report.receipts) } else { String::new() };
        output::print(&format!(
            "{} received{group_messages}{muted}{receipts}, {} sent, {} waiting{failed}{undecryptable}\n",
            report.received.len(),
            report.sent,
            report.waiting
        ))?;
    }
    result
}
