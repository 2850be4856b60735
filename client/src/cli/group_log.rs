//! `medipeps group log`: what was said in a group, as its members see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{
    Attachment, AttachmentPlace, Author, Body, Case, Chat, ChatEntry, ChatThread, MessageId, Place, Settings,
    ShownBody, ShownMessage, TaskState,
};
use medipeps_core::limits::RECEIPT_ACCOUNTS_MAX;
use medipeps_core::wire::client_records::GroupMessageState;
use serde::Serialize;

use super::{CommandError, case, group, output, time};
use crate::engine::{CaseSummary, GroupInput, GroupMessage, GroupSummary, Input, group_thread};

#[derive(Debug, clap::Args)]
pub(super) struct Log {
    /// The group's name or the beginning of its id
    #[arg(value_name = "GROUP")]
    group: String,
    /// Show so many of the newest
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u64,
    /// Show what accounts say that you have blocked
    #[arg(long)]
    blocked: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A message, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct MessageJson {
    number: u64,
    id: String,
    /// Of the case that it is about or in.
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    from: String,
    device: u32,
    kind: &'static str,
    text: String,
    at: String,
    state: &'static str,
    code: Option<String>,
    edited: bool,
    deleted: bool,
    /// By somebody whom you have blocked: the text is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
    reactions: Vec<ReactionJson>,
    files: Vec<FileJson>,
    /// How many members beside its author have read it, as far as they have told.
    read_count: usize,
    /// Who, in groups of up to 32 accounts.
    read_by: Vec<String>,
}

/// A file of a message, as JSON has it.
#[derive(Debug, Serialize)]
struct FileJson {
    name: String,
    media_type: String,
    size: u64,
    place: &'static str,
}

#[derive(Debug, Serialize)]
struct ReactionJson {
    emoji: String,
    count: usize,
}

pub(super) async fn run(home: &Path, arguments: &Log) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let groups = agent.groups()?;
    let id = group::find(&arguments.group, &groups)?;
    let Some(group) = groups.iter().find(|group| group.id == id) else { return Ok(()) };
    let messages = agent.group_messages(&id, arguments.limit)?;
    let last = messages.iter().map(|message| message.number).max();
    // Only where there is something of a case is all of the log gone through for them.
    let apart = |message: &GroupMessage| message.content.thread != group_thread(&id);
    let cases = if messages.iter().any(apart) { agent.cases(&id)? } else { Vec::new() };
    let (shown, in_cases) = split(messages, &cases);
    let thread = fold(&shown);
    let shown = shown.iter().filter_map(|message| json_of(message, &thread, group)).collect();
    let shown = if arguments.blocked { shown } else { folded(shown, &agent.settings()?) };
    if let Some(last) = last {
        agent.take_note(&Input::Group(GroupInput::Seen(id, last))).await?;
    }
    if arguments.json {
        return output::print_json(&shown);
    }
    if shown.is_empty() {
        return output::print("Nothing has been said yet.\n");
    }
    let mut text = lines(&shown);
    for (case, count) in cases.iter().filter_map(|case| Some((case, in_cases.get(&case.case.id())?))) {
        let (title, short) = (output::line(case.case.title()), case::short(&case.case.id()));
        let _ = writeln!(text, "      {count} in the case \"{title}\": `case show {short}`");
    }
    output::print(&text)
}

/// What accounts say that a person has blocked is folded away: that something stands there is shown, and not what.
pub(super) fn folded(mut shown: Vec<MessageJson>, settings: &Settings) -> Vec<MessageJson> {
    for message in &mut shown {
        if message.from.parse().is_ok_and(|address: Address| settings.is_blocked(&address)) {
            message.blocked = true;
            message.text.clear();
            message.reactions.clear();
        }
    }
    shown
}

/// Messages as a person reads them, each with its number.
pub(super) fn lines(shown: &[MessageJson]) -> String {
    let mut text = String::new();
    for message in shown {
        let marks = match (message.state, message.edited) {
            ("queued", _) => " (waits)",
            ("failed", _) => " (NOT SENT)",
            (_, true) => " (edited)",
            _ => "",
        };
        let read = if message.read_count > 0 { format!(" (read by {})", message.read_count) } else { String::new() };
        let _ = writeln!(text, "{:>4}  {}  {}{marks}{read}", message.number, message.at, message.from);
        if message.blocked {
            text.push_str("      (blocked)\n");
        }
        for line in output::block(&message.text).lines() {
            let _ = writeln!(text, "      {line}");
        }
        for file in &message.files {
            let _ = writeln!(text, "      [{}, {} bytes]", output::line(&file.name), file.size);
        }
        if !message.reactions.is_empty() {
            let reactions: Vec<_> =
                message.reactions.iter().map(|one| format!("{} {}", output::line(&one.emoji), one.count)).collect();
            let _ = writeln!(text, "      [{}]", reactions.join("  "));
        }
    }
    text
}

/// What is said in cases is shown with them; how many that are, by case. What happens to a case is told in the group
/// too, if it counts, and what belongs to no case that is known here is shown as everything else.
fn split(messages: Vec<GroupMessage>, cases: &[CaseSummary]) -> (Vec<GroupMessage>, BTreeMap<MessageId, usize>) {
    let mut in_cases = BTreeMap::new();
    let shown = messages.into_iter().filter(|message| {
        let Some(case) = cases.iter().find(|case| case.case.id() == message.content.thread) else { return true };
        if let Body::Case(_) = &message.content.body {
            let waits = message.message.state != GroupMessageState::Logged;
            return waits || case.case.events().iter().any(|event| event.id == message.content.id);
        }
        *in_cases.entry(case.case.id()).or_default() += 1;
        false
    });
    (shown.collect(), in_cases)
}

/// What members see of it. What waits or has failed is not in the log and takes no part.
fn fold(messages: &[GroupMessage]) -> ChatThread {
    let mut thread = ChatThread::default();
    for message in messages.iter().filter(|message| message.message.state == GroupMessageState::Logged) {
        let Ok(account_key) = VerifyingKey::from_slice(&message.message.account_key) else { continue };
        let author = Author { address: message.message.sender.clone(), account_key };
        let place = Place { position: message.message.sequence, at: message.message.received };
        if let Some(entry) = ChatEntry::of(&message.content, author, place) {
            // What is not allowed is not shown; everybody decides the same.
            let _ = thread.apply(entry);
        }
    }
    thread
}

pub(super) fn json_of(message: &GroupMessage, thread: &ChatThread, group: &GroupSummary) -> Option<MessageJson> {
    let record = &message.message;
    let (kind, mut text) = match &message.content.body {
        // What speaks of another message is shown with that one.
        Body::Chat(chat) if chat.target().is_some() && record.state == GroupMessageState::Logged => return None,
        Body::Chat(chat) => ("chat", chat.fallback_text()),
        Body::Case(Case::Opening { title, .. }) => {
            let short = case::short(&message.content.id);
            ("case", format!("Case opened: {title}\n`case show {short}`"))
        }
        Body::Case(act) => ("case", act.fallback_text()),
        Body::Mail(mail) => ("mail", format!("{}\n{}", mail.subject, mail.text)),
        _ => ("other", message.content.fallback_text.clone()),
    };
    let shown = thread.message(&message.content.id);
    if let Some(shown) = shown {
        text = shown_text(shown);
    }
    let read = group.read.iter().filter(|(address, read)| read.number >= message.number && **address != record.sender);
    let read: Vec<String> = match record.state {
        GroupMessageState::Logged => read.map(|(address, _)| address.to_string()).collect(),
        GroupMessageState::Queued | GroupMessageState::Failed => Vec::new(),
    };
    let reactions = shown.map(ShownMessage::reactions).unwrap_or_default();
    Some(MessageJson {
        number: message.number,
        case: matches!(message.content.body, Body::Case(_)).then(|| message.content.thread.to_string()),
        id: output::id(&message.content.id.0),
        from: record.sender.to_string(),
        device: record.sender_device,
        kind,
        text,
        at: time::iso(record.received),
        state: match record.state {
            GroupMessageState::Queued => "queued",
            GroupMessageState::Logged => "sent",
            GroupMessageState::Failed => "failed",
        },
        code: record.code.clone(),
        edited: shown.is_some_and(|shown| shown.edited.is_some()),
        deleted: shown.is_some_and(ShownMessage::is_deleted),
        blocked: false,
        reactions: reactions
            .into_iter()
            .map(|(emoji, by)| ReactionJson { emoji: emoji.to_owned(), count: by.len() })
            .collect(),
        files: match shown.is_some_and(ShownMessage::is_deleted) {
            true => Vec::new(),
            false => message.content.attachments.iter().map(file_json).collect(),
        },
        read_count: read.len(),
        read_by: if group.roster.members.len() <= RECEIPT_ACCOUNTS_MAX { read } else { Vec::new() },
    })
}

fn file_json(file: &Attachment) -> FileJson {
    FileJson {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        size: file.length(),
        place: match file.place {
            AttachmentPlace::Inline(_) => "message",
            AttachmentPlace::Blob(_) => "server",
        },
    }
}

/// What a message has become.
fn shown_text(shown: &ShownMessage) -> String {
    match &shown.body {
        ShownBody::Text(text) => text.clone(),
        ShownBody::Photo(photo) => Chat::Photo(photo.clone()).fallback_text(),
        ShownBody::Voice(voice) => Chat::Voice(*voice).fallback_text(),
        ShownBody::Poll(poll) => {
            let votes: Vec<usize> = shown.tally().unwrap_or_default().iter().map(Vec::len).collect();
            let options = (1..).zip(&poll.options).map(|(number, option)| {
                format!("\n  {number}. {option}: {}", votes.get(number - 1).copied().unwrap_or(0))
            });
            options.fold(poll.question.clone(), |text, option| text + &option)
        }
        ShownBody::Task(task) => {
            let state = match shown.task_state() {
                Some(TaskState::Done) => "[x]",
                Some(TaskState::Declined) => "[-]",
                _ => "[ ]",
            };
            let whom: Vec<String> = task.assignees.iter().map(ToString::to_string).collect();
            match whom.is_empty() {
                true => format!("{state} {}", task.text),
                false => format!("{state} {} ({})", task.text, whom.join(", ")),
            }
        }
        ShownBody::Deleted { .. } => "(taken back)".to_owned(),
    }
}
