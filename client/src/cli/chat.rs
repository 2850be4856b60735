//! `medipeps chat`, `medipeps group send`: saying things in a group.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use medipeps_core::Address;
use medipeps_core::kind::{Body, Chat, MessageId, Poll, Task, TaskChange, TaskState, Urgency, Vote};
use medipeps_core::limits::CHAT_TEXT_LENGTH_MAX;
use medipeps_core::wire::client_records::GroupMessageState;
use serde::Serialize;

use super::group::{self, Told};
use super::{CommandError, case, output};
use crate::engine::{Event, GroupEvent, GroupId, GroupInput, Input, SendToCase, SendToGroup, group_thread};
use crate::shell::agent::Agent;

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

pub(super) async fn send(home: &Path, arguments: Send) -> Result<(), CommandError> {
    let Send { group, text, body_file, reply_to, json } = arguments;
    let text = match (text, body_file) {
        (Some(text), _) => text,
        (None, Some(path)) => read(&path)?,
        (None, None) => String::new(),
    };
    let mut agent = super::open(home)?;
    let result = send_chat(&mut agent, (&group, None), reply_to, |_| Ok(Chat::Text { text })).await;
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
    let result = send_chat(&mut agent, place, number, chat).await;
    agent.close().await;
    finish(result?, false)
}

/// Queues a chat message and tries to send it: in the group, or in a case of it. What answers or changes another
/// message goes where that one is.
pub(super) async fn send_chat(
    agent: &mut Agent,
    (group, case): (&str, Option<&str>),
    number: Option<u64>,
    chat: impl FnOnce(Option<MessageId>) -> Result<Chat, CommandError>,
) -> Result<SentJson, CommandError> {
    let group = group::find(group, &agent.groups()?)?;
    let target = number.map(|number| agent.group_message(&group, number)).transpose()?;
    let message = target.as_ref().map(|target| target.content.id);
    let chat = chat(message)?;
    let case = match (case, &target) {
        (Some(typed), _) => Some(case::find_in(agent, &group, typed)?),
        (None, Some(target)) if target.content.thread != group_thread(&group) => Some(target.content.thread),
        (None, _) => None,
    };
    let in_reply_to = message.filter(|_| matches!(chat, Chat::Text { .. }));
    let command = command(group, Body::Chat(chat), in_reply_to);
    let input = match case {
        Some(case) => agent.case_input(SendToCase { case: Some(case), patient: None, message: command })?,
        None => Input::Group(GroupInput::Send(Box::new(command))),
    };
    deliver(agent, group, input).await
}

/// What is said, without files.
pub(super) fn command(group: GroupId, body: Body, in_reply_to: Option<MessageId>) -> SendToGroup {
    let (fallback_text, attachments) = (body.fallback_text(), Vec::new());
    SendToGroup { group, body, fallback_text, in_reply_to, attachments, urgency: Urgency::Routine }
}

/// Queues what is to be said in a group, and tries to send it.
pub(super) async fn deliver(agent: &mut Agent, id: GroupId, input: Input) -> Result<SentJson, CommandError> {
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
    agent.run(input, &mut see).await?;
    let problem = agent.settle_group(&id, &mut see).await?;
    told.say();
    let number = queued.ok_or_else(|| CommandError::Failed("the message was not stored".to_owned()))?;
    let (state, code) = match sent {
        Some((GroupMessageState::Logged, _)) => ("sent", None),
        Some((GroupMessageState::Failed, code)) => ("failed", code),
        Some((GroupMessageState::Queued, _)) | None => ("queued", problem),
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
                return Err(CommandError::Failed(format!(
                    "it was not sent ({})",
                    code.as_deref().unwrap_or("unknown")
                )));
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
