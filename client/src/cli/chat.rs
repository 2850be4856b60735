//! `medipeps chat`, `medipeps group send`: saying things in a group.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{
    Author, Body, Chat, ChatEntry, ChatRefusal, ChatThread, MessageId, Place, Poll, Task, TaskChange, TaskState,
    Urgency, Vote,
};
use medipeps_core::limits::CHAT_TEXT_LENGTH_MAX;
use medipeps_core::wire::client_records::GroupMessageState;
use serde::Serialize;

use super::group;
use super::group_told::Told;
use super::{CommandError, attachment, case, chat_file, mail, output};
use crate::engine::{Event, GroupEvent, GroupId, GroupMessage, GroupSummary, SendToCase, SendToGroup, group_thread};
use crate::shell::agent::{Agent, Document, now};

const HOUR_MS: u64 = 3600 * 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say something
    Send(Send),
    /// Put an emoji beside a message, or take it back
    React {
        /// The group
        group: String,
        /// The message's number, as `group log` shows it
        number: u64,
        /// The emoji; none takes yours back
        emoji: Option<String>,
    },
    /// Change a text of yours
    Edit {
        /// The group
        group: String,
        /// The message's number, as `group log` shows it
        number: u64,
        /// The new text
        text: String,
    },
    /// Take a message of yours back
    Delete {
        /// The group
        group: String,
        /// The message's number, as `group log` shows it
        number: u64,
    },
    /// Ask a question with options
    Poll {
        /// The group
        group: String,
        /// In this case instead of the group: its title or the beginning of its id
        #[arg(long, value_name = "CASE")]
        case: Option<String>,
        /// The question
        question: String,
        /// An answer to choose; at least two
        #[arg(long, value_name = "TEXT", required = true)]
        option: Vec<String>,
        /// Several may be chosen
        #[arg(long)]
        multiple: bool,
    },
    /// Choose in a poll; without an option your vote is taken back
    Vote {
        /// The group
        group: String,
        /// The poll's number, as `group log` shows it
        number: u64,
        /// Which options, counted from 1
        #[arg(value_name = "OPTION")]
        options: Vec<u32>,
    },
    /// Ask for something to be done
    Task {
        /// The group
        group: String,
        /// In this case instead of the group: its title or the beginning of its id
        #[arg(long, value_name = "CASE")]
        case: Option<String>,
        /// What
        text: String,
        /// By whom; may be repeated; everybody without it
        #[arg(long = "for", value_name = "ADDRESS")]
        assignees: Vec<Address>,
    },
    /// Say what became of a task
    Mark {
        /// The group
        group: String,
        /// The task's number, as `group log` shows it
        number: u64,
        /// What
        #[arg(value_enum)]
        state: State,
    },
    /// Send a photo; what it tells of where, when and with what it was taken stays here
    Photo(chat_file::PhotoArguments),
    /// Send a recording: Ogg with Opus, or MPEG-4
    Voice(chat_file::VoiceArguments),
    /// Send files
    File(chat_file::FileArguments),
    /// Tell those who are connected that you type; it is kept by nobody
    Typing {
        /// The group
        group: String,
        /// You have stopped
        #[arg(long)]
        stop: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// The group's name or the beginning of its id
    #[arg(value_name = "GROUP")]
    group: String,
    /// What to say; without it, --body-file
    #[arg(value_name = "TEXT", required_unless_present = "body_file", conflicts_with = "body_file")]
    text: Option<String>,
    /// A file that has the text; `-` for standard input
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// The number of the message that this one answers, as `group log` shows it
    #[arg(long, value_name = "NUMBER")]
    reply_to: Option<u64>,
    /// A file to go with it; may be repeated
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Hours after which all members' devices delete it
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=87_600))]
    expires: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum State {
    /// To be done
    Open,
    /// Done
    Done,
    /// It will not be done
    Declined,
}

/// What became of a message, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct SentJson {
    group: String,
    /// Of a case that was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) case: Option<String>,
    pub(super) number: u64,
    state: &'static str,
    code: Option<String>,
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Send(arguments) => send(home, arguments).await,
        Command::Typing { group, stop } => typing(home, &group, !stop).await,
        Command::Photo(arguments) => chat_file::photo(home, arguments).await,
        Command::Voice(arguments) => chat_file::voice(home, arguments).await,
        Command::File(arguments) => chat_file::files(home, arguments).await,
        Command::React { group, number, emoji } => {
            about(home, &group, number, |message| Chat::Reaction { message, emoji }).await
        }
        Command::Edit { group, number, text } => {
            about(home, &group, number, |message| Chat::Edit { message, text }).await
        }
        Command::Delete { group, number } => about(home, &group, number, |message| Chat::Delete { message }).await,
        Command::Vote { group, number, options } => {
            let mut options = options
                .into_iter()
                .map(|option| option.checked_sub(1).ok_or("options are counted from 1"))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| CommandError::Use(error.to_owned()))?;
            options.sort_unstable();
            about(home, &group, number, |poll| Chat::Vote(Vote { poll, options })).await
        }
        Command::Mark { group, number, state } => {
            let state = match state {
                State::Open => TaskState::Open,
                State::Done => TaskState::Done,
                State::Declined => TaskState::Declined,
            };
            about(home, &group, number, |task| Chat::TaskChange(TaskChange { task, state })).await
        }
        Command::Poll { group, case, question, option, multiple } => {
            let poll = Chat::Poll(Poll { question, options: option, multiple, closes: None });
            say(home, (&group, case.as_deref()), None, |_| Ok(poll)).await
        }
        Command::Task { group, case, text, assignees } => {
            let task = Chat::Task(Task { text, assignees, due: None });
            say(home, (&group, case.as_deref()), None, |_| Ok(task)).await
        }
    }
}

async fn typing(home: &Path, group: &str, active: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let told = match group::find(group, &agent.groups()?) {
        Ok(id) => agent.type_in_group(&id, active).await.map_err(CommandError::from),
        Err(error) => Err(error),
    };
    agent.close().await;
    match told? {
        true => output::print("Told.\n"),
        false => Err(CommandError::Failed("the server was not reached; nobody was told".to_owned())),
    }
}

pub(super) async fn send(home: &Path, arguments: Send) -> Result<(), CommandError> {
    let Send { group, text, body_file, reply_to, attach, expires, json } = arguments;
    let files = attach.iter().map(|path| attachment::document(path, false)).collect::<Result<_, _>>()?;
    let expires = expires.map(|hours| now().0.saturating_add(u64::from(hours) * HOUR_MS));
    let text = match (text, body_file) {
        (Some(text), _) => text,
        (None, Some(path)) => read(&path)?,
        (None, None) => String::new(),
    };
    let mut agent = super::open(home)?;
    let say = (reply_to, expires);
    let result = send_chat(&mut agent, (&group, None), say, files, |_| Ok(Chat::Text { text })).await;
    agent.close().await;
    finish(result?, json)
}

async fn about(
    home: &Path,
    group: &str,
    number: u64,
    chat: impl FnOnce(MessageId) -> Chat,
) -> Result<(), CommandError> {
    say(home, (group, None), Some(number), |message| {
        message.map(chat).ok_or_else(|| CommandError::Use("no message".into()))
    })
    .await
}

async fn say(
    home: &Path,
    place: (&str, Option<&str>),
    number: Option<u64>,
    chat: impl FnOnce(Option<MessageId>) -> Result<Chat, CommandError>,
) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = send_chat(&mut agent, place, (number, None), Vec::new(), chat).await;
    agent.close().await;
    finish(result?, false)
}

/// Queues a chat message with files and tries to send it: in the group, or in a case of it. What answers or changes another
/// message goes where that one is.
pub(super) async fn send_chat(
    agent: &mut Agent,
    (group, case): (&str, Option<&str>),
    (number, expires): (Option<u64>, Option<u64>),
    files: Vec<Document>,
    chat: impl FnOnce(Option<MessageId>) -> Result<Chat, CommandError>,
) -> Result<SentJson, CommandError> {
    let groups = agent.groups()?;
    let group = group::find(group, &groups)?;
    let target = number.map(|number| agent.group_message(&group, number)).transpose()?;
    let message = target.as_ref().map(|target| target.content.id);
    let chat = chat(message)?;
    if let Some(target) = &target {
        check_target(agent, target, &chat)?;
    }
    if let (Chat::Task(task), Some(group)) = (&chat, groups.iter().find(|one| one.id == group)) {
        check_assignees(task, group)?;
    }
    let case = match (case, &target) {
        (Some(typed), _) => Some(case::find_in(agent, &group, typed)?),
        (None, Some(target)) if target.content.thread != group_thread(&group) => Some(target.content.thread),
        (None, _) => None,
    };
    let in_reply_to = message.filter(|_| matches!(chat, Chat::Text { .. }));
    let message = SendToGroup { expires, ..command(group, Body::Chat(chat), in_reply_to) };
    let what = match case {
        Some(case) => Say::InCase(SendToCase { case: Some(case), patient: None, message }),
        None => Say::InGroup(message),
    };
    deliver(agent, group, what, files).await
}

/// What all readers would refuse to show with that message is not said. What has been said of it meanwhile, they look at.
fn check_target(agent: &mut Agent, target: &GroupMessage, chat: &Chat) -> Result<(), CommandError> {
    if chat.target().is_none() {
        return Ok(());
    }
    let Ok(account_key) = VerifyingKey::from_slice(&target.message.account_key) else { return Ok(()) };
    let author = Author { address: target.message.sender.clone(), account_key };
    let place = Place { position: target.message.sequence, at: target.message.received };
    let mut thread = ChatThread::default();
    let Some(shown) = ChatEntry::of(&target.content, author, place) else {
        return Err(CommandError::Failed("that message is none of the chat".to_owned()));
    };
    let _ = thread.apply(shown);
    if thread.message(&target.content.id).is_none() {
        return Err(CommandError::Failed(
            "that message only speaks of another one; take the number of that".to_owned(),
        ));
    }
    let said = ChatEntry {
        id: MessageId([0; 16]),
        author: agent.own_author()?,
        place: Place { position: place.position.saturating_add(1), at: now().0 },
        in_reply_to: None,
        chat: chat.clone(),
        files: Vec::new(),
    };
    match thread.apply(said) {
        Ok(_) | Err(ChatRefusal::IllegalTransition { .. }) => Ok(()),
        Err(refusal) => Err(CommandError::Failed(refusal.to_string())),
    }
}

/// Who is not in the group never sees the task.
fn check_assignees(task: &Task, group: &GroupSummary) -> Result<(), CommandError> {
    match task.assignees.iter().find(|address| group.role(address).is_none()) {
        Some(address) => Err(CommandError::Failed(format!("{address} is not in the group"))),
        None => Ok(()),
    }
}

/// Where something is said.
pub(super) enum Say {
    /// In the group itself.
    InGroup(SendToGroup),
    /// In a case of it, or about one.
    InCase(SendToCase),
}

/// What is said, without files.
pub(super) fn command(group: GroupId, body: Body, in_reply_to: Option<MessageId>) -> SendToGroup {
    let (fallback_text, attachments) = (body.fallback_text(), Vec::new());
    SendToGroup { group, body, fallback_text, in_reply_to, attachments, urgency: Urgency::Routine, expires: None }
}

/// Queues what is to be said in a group, and tries to send it.
pub(super) async fn deliver(
    agent: &mut Agent,
    id: GroupId,
    what: Say,
    files: Vec<Document>,
) -> Result<SentJson, CommandError> {
    let (mut queued, mut told, mut sent) = (None, Told::default(), None);
    let mut see = |event: &Event| {
        match event {
            Event::Group { group, event: GroupEvent::MessageQueued { number } } if *group == id => {
                queued = Some(*number)
            }
            Event::Group { group, event: GroupEvent::MessageState { number, state, code } }
                if *group == id && queued == Some(*number) =>
            {
                sent = Some((*state, code.clone()));
            }
            _ => {}
        }
        told.hear(event);
    };
    let number = match what {
        Say::InGroup(said) => agent.send_to_group(said, files, &mut see).await?,
        Say::InCase(said) => agent.send_to_case(said, files, &mut see).await?,
    };
    let problem = agent.settle_said(&id, number, &mut see).await?;
    told.say();
    let (state, code) = match sent {
        Some((GroupMessageState::Logged, _)) => ("sent", None),
        Some((GroupMessageState::Failed, code)) => ("failed", code),
        Some((GroupMessageState::Queued, code)) => ("queued", code.or(problem)),
        None => ("queued", problem),
    };
    Ok(SentJson { group: data_encoding::HEXLOWER.encode(&id), case: None, number, state, code })
}

pub(super) fn finish(sent: SentJson, json: bool) -> Result<(), CommandError> {
    let failed = sent.state == "failed";
    if json {
        output::print_json(&sent)?;
    } else {
        match (&sent.code, sent.state) {
            (_, "sent") => output::print("Sent.\n")?,
            (Some(code), "queued") => output::print(&format!("Queued: {code}. `sync` goes on with it.\n"))?,
            (None, "queued") => output::print("Queued; `sync` goes on with it.\n")?,
            (code, _) => {
                let code = code.as_deref().unwrap_or("unknown");
                let why =
                    mail::failure_of_upload(code).map_or_else(|| format!("it was not sent ({code})"), str::to_owned);
                return Err(CommandError::Failed(why));
            }
        }
    }
    if failed { Err(CommandError::Silent) } else { Ok(()) }
}

fn read(path: &Path) -> Result<String, CommandError> {
    let name = path.display().to_string();
    let mut text = String::new();
    let limit = CHAT_TEXT_LENGTH_MAX as u64 + 1;
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text)),
    };
    read.map_err(CommandError::file(name))?;
    Ok(text)
}
