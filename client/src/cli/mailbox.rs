//! `medipeps mailbox`: an organisation's mailbox, on its own device and on those of the people who take care of what comes.

use std::fmt::Write as _;
use std::path::Path;

use clap::Subcommand;
use medipeps_core::Address;
use medipeps_core::kind::{
    Body, MailboxAct, MailboxAnswer, MailboxEvent, MailboxState, MailboxTrace, MailboxTraceAct, MessageId,
};
use medipeps_core::wire::client_records::GroupMessageState;
use serde::Serialize;

use super::group;
use super::group_told::Told;
use super::{CommandError, output, time};
use crate::engine::{GroupId, GroupInput, Input, MailboxMail, MailboxView};
use crate::shell::agent::{Agent, MailboxOutcome, MailboxWait};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make this account the mailbox of a group that it owns: `sync` then posts what comes, and sends what is answered
    Serve {
        /// The group's name or the beginning of its id
        #[arg(required_unless_present = "off", conflicts_with = "off")]
        group: Option<String>,
        /// Not any more
        #[arg(long)]
        off: bool,
    },
    /// List what has come, and who takes care of it
    List {
        /// The group's name or the beginning of its id
        group: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take care of a message
    Claim(Of),
    /// Let a colleague take care of a message
    Assign {
        #[command(flatten)]
        of: Of,
        /// Who
        address: Address,
    },
    /// Do not take care of a message any more
    Release(Of),
    /// Say that nothing is left to do for a message
    Done(Of),
    /// Answer a message in the mailbox's name
    Reply {
        #[command(flatten)]
        of: Of,
        /// What to answer
        text: String,
    },
    /// Show what has happened to messages, or what one person did
    Trace {
        /// The group's name or the beginning of its id
        group: String,
        /// The message's number; without it, all
        number: Option<u64>,
        /// Only what this person did
        #[arg(long, value_name = "ADDRESS")]
        person: Option<Address>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Of {
    /// The group's name or the beginning of its id
    group: String,
    /// The message's number, as `mailbox list` shows it
    number: u64,
}

#[derive(Debug, Serialize)]
struct MailJson {
    number: u64,
    id: String,
    from: String,
    from_name: String,
    subject: String,
    text: String,
    attachments: usize,
    received: String,
    state: &'static str,
    by: Option<String>,
    since: Option<String>,
    answers: u64,
}

#[derive(Debug, Serialize)]
struct TraceJson {
    number: u64,
    at: String,
    by: Option<String>,
    act: &'static str,
    whom: Option<String>,
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve { group, .. } => serve(home, group.as_deref()).await,
        Command::List { group, json } => list(home, &group, json),
        Command::Claim(of) => act(home, of, MailboxAct::Claimed).await,
        Command::Assign { of, address } => act(home, of, MailboxAct::Assigned(address)).await,
        Command::Release(of) => act(home, of, MailboxAct::Released).await,
        Command::Done(of) => act(home, of, MailboxAct::Done).await,
        Command::Reply { of, text } => reply(home, of, text).await,
        Command::Trace { group, number, person, json } => trace(home, &group, number, person.as_ref(), json),
    }
}

async fn serve(home: &Path, group: Option<&str>) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = set(&mut agent, group).await;
    agent.close().await;
    if let Some(problem) = result? {
        eprintln!("not everything is done yet: {problem}; `sync` goes on with it");
    }
    output::print(match group {
        Some(_) => "This account is the group's mailbox now; `sync --wait SECONDS` serves it.\n",
        None => "This account is no mailbox.\n",
    })
}

async fn set(agent: &mut Agent, group: Option<&str>) -> Result<Option<String>, CommandError> {
    let id = group.map(|group| group::find(group, &agent.groups()?)).transpose()?;
    let mut told = Told::default();
    agent.run(Input::Group(GroupInput::Serve(id)), &mut |event| told.hear(event)).await?;
    let problem = agent.send_due(&mut |event| told.hear(event)).await?;
    told.say();
    Ok(problem)
}

/// Does something with a message, and says what became of it.
async fn act(home: &Path, of: Of, act: MailboxAct) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = act_with(&mut agent, &of, act).await;
    agent.close().await;
    output::print(&result?)
}

async fn act_with(agent: &mut Agent, of: &Of, act: MailboxAct) -> Result<String, CommandError> {
    let (id, message) = find_in(agent, of)?;
    let mut told = Told::default();
    let outcome = agent.act_in_mailbox(&id, MailboxEvent { message, act }, &mut |event| told.hear(event)).await?;
    told.say();
    match outcome {
        MailboxOutcome::Counted => Ok("Done.\n".to_owned()),
        MailboxOutcome::Waits(wait) => Ok(waits(wait)),
        MailboxOutcome::Failed(code) => Err(CommandError::Failed(format!("it was not said: {code}"))),
        MailboxOutcome::Refused(state) => Err(CommandError::Failed(match state {
            MailboxState::Held { by, .. } => format!("{by} takes care of it"),
            MailboxState::Done { by, .. } => format!("{by} is done with it"),
            MailboxState::Unclaimed => "nobody takes care of it".to_owned(),
        })),
    }
}

async fn reply(home: &Path, of: Of, text: String) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = reply_with(&mut agent, &of, text).await;
    agent.close().await;
    output::print(&result?)
}

async fn reply_with(agent: &mut Agent, of: &Of, text: String) -> Result<String, CommandError> {
    let (id, message) = find_in(agent, of)?;
    let mut told = Told::default();
    let answer = MailboxAnswer { message, text };
    let (said, problem) = agent.answer_in_mailbox(&id, answer, &mut |event| told.hear(event)).await?;
    told.say();
    match said.message.state {
        GroupMessageState::Logged => Ok("The mailbox answers with its next `sync`.\n".to_owned()),
        GroupMessageState::Queued => Ok(waits(problem.map_or(MailboxWait::Server, MailboxWait::Problem))),
        GroupMessageState::Failed => {
            Err(CommandError::Failed(format!("it was not said: {}", said.message.code.unwrap_or_default())))
        }
    }
}

fn waits(wait: MailboxWait) -> String {
    format!("It waits: {wait}. `sync` goes on with it.\n")
}

fn find_in(agent: &mut Agent, of: &Of) -> Result<(GroupId, MessageId), CommandError> {
    let id = group::find(&of.group, &agent.groups()?)?;
    let (message, _) = find(&agent.mailbox(&id)?, of.number)?;
    Ok((id, message))
}

fn find(view: &MailboxView, number: u64) -> Result<(MessageId, MailboxMail), CommandError> {
    let found = view.mails.iter().find(|(_, mail)| mail.number == number);
    let found = found.map(|(id, mail)| (*id, mail.clone()));
    found.ok_or_else(|| CommandError::Failed(format!("there is no message {number} in this mailbox")))
}

fn list(home: &Path, group: &str, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let view = view(&mut agent, group)?;
    let mut mails: Vec<MailJson> = view.mails.iter().map(|(id, mail)| json_of(&view, id, mail)).collect();
    mails.sort_by_key(|mail| mail.number);
    if json {
        return output::print_json(&mails);
    }
    if mails.is_empty() {
        return output::print("Nothing has come yet.\n");
    }
    let mut text = String::new();
    for mail in &mails {
        let state = match (mail.state, &mail.by) {
            ("held", Some(by)) => format!("{by} takes care of it"),
            ("done", Some(by)) => format!("done by {by}"),
            _ => "nobody takes care of it".to_owned(),
        };
        let _ = writeln!(text, "{:>4}  {}  {}  {state}", mail.number, mail.received, mail.from);
        let _ = writeln!(text, "      {}", output::line(&mail.subject));
        for line in output::block(&mail.text).lines() {
            let _ = writeln!(text, "      {line}");
        }
    }
    output::print(&text)
}

fn view(agent: &mut Agent, group: &str) -> Result<MailboxView, CommandError> {
    let id: GroupId = group::find(group, &agent.groups()?)?;
    Ok(agent.mailbox(&id)?)
}

fn json_of(view: &MailboxView, id: &MessageId, mail: &MailboxMail) -> MailJson {
    let (state, by, since) = match view.mailbox.item(id).map(|item| item.state()) {
        Some(MailboxState::Held { by, since }) => ("held", Some(by.to_string()), Some(time::iso(*since))),
        Some(MailboxState::Done { by, at }) => ("done", Some(by.to_string()), Some(time::iso(*at))),
        Some(MailboxState::Unclaimed) | None => ("unclaimed", None, None),
    };
    let (subject, text) = match mail.content.as_ref().map(|content| &content.body) {
        Some(Body::Mail(body)) => (body.subject.clone(), body.text.clone()),
        _ => (String::new(), String::new()),
    };
    MailJson {
        number: mail.number,
        id: output::id(&id.0),
        from: mail.sender.to_string(),
        from_name: mail.content.as_ref().map(|content| content.sender_name.clone()).unwrap_or_default(),
        subject,
        text,
        attachments: mail.content.as_ref().map_or(0, |content| content.attachments.len()),
        received: time::iso(mail.received),
        state,
        by,
        since,
        answers: mail.answers,
    }
}

fn trace(
    home: &Path,
    group: &str,
    number: Option<u64>,
    person: Option<&Address>,
    json: bool,
) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let view = view(&mut agent, group)?;
    if let Some(number) = number {
        find(&view, number)?;
    }
    let mut traces: Vec<(u64, &MailboxTrace)> = Vec::new();
    for (id, item) in view.mailbox.items() {
        let Some(mail) = view.mails.get(id).filter(|mail| number.is_none_or(|number| number == mail.number)) else {
            continue;
        };
        let of_person = |trace: &&MailboxTrace| {
            person.is_none_or(|person| trace.author.as_ref().is_some_and(|author| author.address == *person))
        };
        traces.extend(item.trace().iter().filter(of_person).map(|trace| (mail.number, trace)));
    }
    traces.sort_by_key(|(_, trace)| trace.place);
    let traces: Vec<TraceJson> = traces.into_iter().map(|(number, trace)| trace_json(number, trace)).collect();
    if json {
        return output::print_json(&traces);
    }
    let mut text = String::new();
    for one in &traces {
        let by = one.by.as_deref().unwrap_or("-");
        let _ =
            writeln!(text, "{:>4}  {}  {by}  {} {}", one.number, one.at, one.act, one.whom.as_deref().unwrap_or(""));
    }
    output::print(if text.is_empty() { "Nothing.\n" } else { &text })
}

fn trace_json(number: u64, trace: &MailboxTrace) -> TraceJson {
    let (act, whom) = match &trace.act {
        MailboxTraceAct::Arrived => ("arrived", None),
        MailboxTraceAct::Did(MailboxAct::Claimed) => ("claimed", None),
        MailboxTraceAct::Did(MailboxAct::Assigned(to)) => ("assigned", Some(to.to_string())),
        MailboxTraceAct::Did(MailboxAct::Released) => ("released", None),
        MailboxTraceAct::Did(MailboxAct::Done) => ("done", None),
        MailboxTraceAct::HolderLeft(holder) => ("holder_left", Some(holder.to_string())),
    };
    let by = trace.author.as_ref().map(|author| author.address.to_string());
    TraceJson { number, at: time::iso(trace.place.at), by, act, whom }
}
