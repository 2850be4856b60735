//! `medipeps inbox`

use std::collections::BTreeSet;
use std::path::Path;

use medipeps_core::wire::client_records::SenderCheck;
use serde::Serialize;

use super::mail::{RecipientJson, summary, upload_percent};
use super::{CommandError, output, time};
use crate::engine::{LocalId, MessageSummary, PendingUpload};

/// Letters of a sender and of a subject in a list.
const COLUMN_LETTERS: usize = 48;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// List sent mail instead
    #[arg(long)]
    sent: bool,
    /// Show received mail of accounts that you have blocked, and no other
    #[arg(long, conflicts_with = "sent")]
    blocked: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A received message, as JSON has it.
#[derive(Debug, Serialize)]
struct ReceivedJson {
    id: String,
    from: String,
    from_name: String,
    sender: &'static str,
    sender_verified: bool,
    kind: String,
    subject: String,
    received_at: String,
    created_at: String,
    read: bool,
    /// From somebody whom the person has not accepted.
    request: bool,
    urgency: &'static str,
    attachments: u32,
    thread: String,
}

/// A sent message, as JSON has it.
#[derive(Debug, Serialize)]
struct SentJson {
    id: String,
    kind: String,
    subject: String,
    created_at: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_percent: Option<u64>,
    urgency: &'static str,
    attachments: u32,
    thread: String,
    recipients: Vec<RecipientJson>,
}

pub(super) fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let (mut messages, uploads) = (agent.messages()?, agent.uploads()?);
    let settings = agent.settings()?;
    messages.retain(|message| message.message.sent == arguments.sent);
    let is_blocked = |message: &MessageSummary| !message.message.sent && settings.is_blocked(&message.message.sender);
    let all = messages.len();
    messages.retain(|message| is_blocked(message) == arguments.blocked);
    if !arguments.blocked && messages.len() < all {
        eprintln!("{} from accounts that you have blocked; `inbox --blocked` shows them", all - messages.len());
    }
    let verified = agent.verified(&messages)?;
    let requests = agent.requests(&messages)?;
    if !requests.is_empty() && !arguments.json {
        eprintln!("{} from people whom you have not written to; `contact accept ADDRESS` lets them in", requests.len());
    }
    let marks = Marks { verified, requests };
    match (arguments.sent, arguments.json) {
        (false, true) => {
            let json = |message: &MessageSummary| received_json(message, &marks);
            output::print_json(&messages.iter().map(json).collect::<Vec<_>>())
        }
        (true, true) => {
            output::print_json(&messages.iter().map(|message| sent_json(message, &uploads)).collect::<Vec<_>>())
        }
        (false, false) if messages.is_empty() => output::print("No mail. `sync` fetches what has come.\n"),
        (true, false) if messages.is_empty() => output::print("Nothing has been sent yet.\n"),
        (false, false) => output::print(&output::columns(&received_rows(&messages, &marks))),
        (true, false) => output::print(&output::columns(&sent_rows(&messages, &uploads))),
    }
}

/// What a list shows of messages beside what they say.
struct Marks {
    verified: BTreeSet<LocalId>,
    requests: BTreeSet<LocalId>,
}

impl Marks {
    fn before(&self, id: &LocalId) -> &'static str {
        match (self.verified.contains(id), self.requests.contains(id)) {
            (true, _) => "✓ ",
            (false, true) => "request of ",
            (false, false) => "",
        }
    }
}

fn received_rows(messages: &[MessageSummary], marks: &Marks) -> Vec<Vec<String>> {
    let ids: Vec<LocalId> = messages.iter().map(|message| message.id).collect();
    let mut rows = vec![["", "ID", "RECEIVED (UTC)", "FROM", "SUBJECT"].map(str::to_owned).to_vec()];
    for MessageSummary { id, message } in messages {
        let mark = match (message.sender_check, message.displayed) {
            (SenderCheck::Impostor, _) => "!!",
            (SenderCheck::Unchecked, _) => "?",
            (SenderCheck::Checked, 0) => "*",
            (SenderCheck::Checked, _) => "",
        };
        let urgency = match urgency_name(message.urgency) {
            "routine" => String::new(),
            urgency => format!("[{urgency}] "),
        };
        let files = if message.attachments > 0 { format!(" (+{})", message.attachments) } else { String::new() };
        let subject = output::cut(&output::line(&message.subject), COLUMN_LETTERS);
        rows.push(vec![
            mark.to_owned(),
            output::short_id(id, &ids),
            time::short(message.received),
            // What a person relies on stands in front, where no name can be written.
            format!("{}{}", marks.before(id), output::cut(&from(message), COLUMN_LETTERS)),
            format!("{urgency}{subject}{files}"),
        ]);
    }
    rows
}

/// The address first: a name is what the sender says about himself.
pub(super) fn from(message: &medipeps_core::wire::client_records::MessageRecord) -> String {
    match message.sender_name.trim() {
        "" => message.sender.to_string(),
        name => format!("{} ({})", message.sender, output::line(name)),
    }
}

fn sent_rows(messages: &[MessageSummary], uploads: &[PendingUpload]) -> Vec<Vec<String>> {
    let ids: Vec<LocalId> = messages.iter().map(|message| message.id).collect();
    let mut rows = vec![["ID", "WRITTEN (UTC)", "STATE", "TO", "SUBJECT"].map(str::to_owned).to_vec()];
    for MessageSummary { id, message } in messages {
        let to: Vec<String> = message.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        rows.push(vec![
            output::short_id(id, &ids),
            time::short(message.created),
            match upload_percent(uploads, id) {
                Some(percent) => format!("uploading, {percent} %"),
                None => summary(&message.sender, &message.recipients).to_owned(),
            },
            output::cut(&to.join(", "), COLUMN_LETTERS),
            output::cut(&output::line(&message.subject), COLUMN_LETTERS),
        ]);
    }
    rows
}

fn received_json(message: &MessageSummary, marks: &Marks) -> ReceivedJson {
    let MessageSummary { id, message } = message;
    ReceivedJson {
        id: output::id(id),
        from: message.sender.to_string(),
        from_name: message.sender_name.clone(),
        sender: check_name(message.sender_check),
        sender_verified: marks.verified.contains(id),
        kind: kind_name(message.kind),
        subject: message.subject.clone(),
        received_at: time::iso(message.received),
        created_at: time::iso(message.created),
        read: message.displayed != 0,
        request: marks.requests.contains(id),
        urgency: urgency_name(message.urgency),
        attachments: message.attachments,
        thread: output::id(&message.thread),
    }
}

fn sent_json(message: &MessageSummary, uploads: &[PendingUpload]) -> SentJson {
    let MessageSummary { id, message } = message;
    SentJson {
        id: output::id(id),
        kind: kind_name(message.kind),
        subject: message.subject.clone(),
        created_at: time::iso(message.created),
        state: summary(&message.sender, &message.recipients),
        uploaded_percent: upload_percent(uploads, id),
        urgency: urgency_name(message.urgency),
        attachments: message.attachments,
        thread: output::id(&message.thread),
        recipients: message.recipients.iter().map(RecipientJson::from).collect(),
    }
}

pub(super) const fn check_name(check: SenderCheck) -> &'static str {
    match check {
        SenderCheck::Checked => "checked",
        SenderCheck::Unchecked => "unchecked",
        SenderCheck::Impostor => "impostor",
    }
}

pub(super) fn kind_name(kind: u32) -> String {
    match kind {
        1 => "mail".to_owned(),
        11 => "report".to_owned(),
        15 => "break-glass".to_owned(),
        other => format!("kind-{other}"),
    }
}

pub(super) const fn urgency_name(urgency: u32) -> &'static str {
    match urgency {
        1 => "urgent",
        2 => "vital",
        _ => "routine",
    }
}
