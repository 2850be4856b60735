//! `medipeps case`: threads about one patient inside a group, with a team and an end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Subcommand;
use data_encoding::HEXLOWER;
use medipeps_core::Address;
use medipeps_core::kind::{
    Body, Case, CaseAct, CaseEvent, CaseMember, CaseState, CaseThread, Chat, MessageId, PatientReference,
};
use serde::Serialize;

use super::chat::Say;
use super::group_log::{self, MessageJson};
use super::{CommandError, case_file, chat, group, output, time};
use crate::engine::{CaseDetail, GroupId, GroupSummary, SendToCase};
use crate::shell::agent::{Agent, now};

/// Letters of a title that lists show.
const TITLE_LETTERS: usize = 48;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open a case in a group
    Open(Open),
    /// List cases, those opened last first
    List {
        /// Only those of this group
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a case and what was said in it
    Show {
        /// Its title or the beginning of its id
        #[arg(value_name = "CASE")]
        case: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say something in a case
    Send {
        /// Its title or the beginning of its id
        #[arg(value_name = "CASE")]
        case: String,
        /// What
        text: String,
        /// The number of the message that this one answers, as `case show` has it
        #[arg(long, value_name = "NUMBER")]
        reply_to: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Close a case: nothing is added any more
    Close {
        /// Its title or the beginning of its id
        #[arg(value_name = "CASE")]
        case: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Open a closed case again
    Reopen {
        /// Its title or the beginning of its id
        #[arg(value_name = "CASE")]
        case: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// When it closes by itself: 2026-11-30 (the end of that day, UTC) or 2026-11-30T18:00Z
        #[arg(long, value_name = "DATE", value_parser = time::moment)]
        closes: Option<u64>,
    },
    /// Give a case another team, instead of the one that it has
    Team {
        /// Its title or the beginning of its id
        #[arg(value_name = "CASE")]
        case: String,
        /// ADDRESS[:FUNCTION][:closer]; a closer may close the case, open it again and change its team; may be repeated
        #[arg(long, value_name = "MEMBER", required = true)]
        member: Vec<MemberArgument>,
    },
    /// Write what a case shows to a file, signed by this device
    Export {
        /// Its title or the beginning of its id
        #[arg(value_name = "CASE")]
        case: String,
        /// The file; one that exists is not replaced
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Check an exported case; needs no account
    Verify(case_file::Verify),
}

#[derive(Debug, clap::Args)]
pub(super) struct Open {
    /// The group's name or the beginning of its id
    #[arg(value_name = "GROUP")]
    group: String,
    /// The patient's identifier, and after a colon who assigned it
    #[arg(long, value_name = "ID[:OID]")]
    patient: String,
    /// What it is about, in one line
    #[arg(long)]
    title: String,
    /// ADDRESS[:FUNCTION][:closer]; a closer may close the case, open it again and change its team; may be repeated.
    /// You belong to the team, as a closer
    #[arg(long, value_name = "MEMBER")]
    member: Vec<MemberArgument>,
    /// When it closes by itself: 2026-11-30 (the end of that day, UTC) or 2026-11-30T18:00Z
    #[arg(long, value_name = "DATE", value_parser = time::moment)]
    closes: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A member of a team, as it is typed.
#[derive(Debug, Clone)]
pub(super) struct MemberArgument(CaseMember);

impl FromStr for MemberArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, may_close) = text.strip_suffix(":closer").map_or((text, false), |text| (text, true));
        let (address, function) = text.split_once(':').unwrap_or((text, ""));
        let address: Address = address.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(CaseMember { address, function: function.to_owned(), may_close }))
    }
}

/// A case, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct CaseJson {
    id: String,
    group: String,
    group_log: String,
    title: String,
    patient: PatientJson,
    state: &'static str,
    closed_at: Option<String>,
    closes_at: Option<String>,
    team: Vec<MemberJson>,
    events: Vec<EventJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<MessageJson>>,
    /// Messages that do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct PatientJson {
    pub(super) identifier: String,
    pub(super) assigning_authority: String,
}

#[derive(Debug, Serialize)]
pub(super) struct MemberJson {
    address: String,
    function: String,
    may_close: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct EventJson {
    what: &'static str,
    by: String,
    at: String,
    reason: String,
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Open(arguments) => open(home, arguments).await,
        Command::List { group, json } => list(home, group.as_deref(), json),
        Command::Show { case, json } => show(home, &case, json),
        Command::Send { case, text, reply_to, json } => {
            let mut agent = super::open(home)?;
            let sent = say(&mut agent, &case, text, reply_to).await;
            agent.close().await;
            chat::finish(sent?, json)
        }
        Command::Close { case, reason } => act(home, &case, Case::Closing { reason }).await,
        Command::Reopen { case, reason, closes } => act(home, &case, Case::Reopening { reason, closes }).await,
        Command::Team { case, member } => {
            let team: Vec<_> = member.into_iter().map(|MemberArgument(member)| member).collect();
            check_team(&team)?;
            act(home, &case, Case::Team { team }).await
        }
        Command::Export { case, file } => case_file::export(home, &case, &file),
        Command::Verify(arguments) => case_file::verify(&arguments),
    }
}

async fn open(home: &Path, arguments: Open) -> Result<(), CommandError> {
    let Open { group, patient, title, member, closes, json } = arguments;
    let (identifier, assigning_authority) = patient.rsplit_once(':').unwrap_or((&patient, ""));
    let patient = PatientReference {
        identifier: identifier.trim().to_owned(),
        assigning_authority: assigning_authority.trim().to_owned(),
    };
    if patient.identifier.is_empty() {
        return Err(CommandError::Use("a case is about a patient: --patient ID[:OID]".to_owned()));
    }
    if closes.is_some_and(|closes| closes <= now().0) {
        return Err(CommandError::Use("the case would be closed already".to_owned()));
    }
    let mut agent = super::open(home)?;
    let result = send_opening(&mut agent, &group, (patient, title, closes), member).await;
    agent.close().await;
    let sent = result?;
    if !json {
        output::print(&format!("Case {} ", sent.case.as_deref().unwrap_or_default()))?;
    }
    chat::finish(sent, json)
}

async fn send_opening(
    agent: &mut Agent,
    group: &str,
    (patient, title, closes): (PatientReference, String, Option<u64>),
    member: Vec<MemberArgument>,
) -> Result<chat::SentJson, CommandError> {
    let groups = agent.groups()?;
    let group = group::find(group, &groups)?;
    if let Some(days) = groups.iter().find(|one| one.id == group).map(|one| one.roster.retention_days)
        && days != 0
    {
        eprintln!("this group keeps messages for {days} days, and a case no longer; `case export` keeps what it shows");
    }
    let own = agent.credentials()?.map(|credentials| credentials.address);
    let mut team: Vec<_> = member.into_iter().map(|MemberArgument(member)| member).collect();
    if let Some(own) = own {
        match team.iter_mut().find(|member| member.address == own) {
            Some(member) => member.may_close = true,
            None => team.insert(0, CaseMember { address: own, function: String::new(), may_close: true }),
        }
    }
    check_team(&team)?;
    let message = chat::command(group, Body::Case(Case::Opening { title, team, closes }), None);
    let what = Say::InCase(SendToCase { case: None, patient: Some(patient), message });
    let mut sent = chat::deliver(agent, group, what, Vec::new()).await?;
    sent.case = Some(agent.group_message(&group, sent.number)?.content.id.to_string());
    Ok(sent)
}

fn check_team(team: &[CaseMember]) -> Result<(), CommandError> {
    let twice = (0..team.len()).find(|&index| team[..index].iter().any(|one| one.address == team[index].address));
    match twice.and_then(|index| team.get(index)) {
        Some(member) => Err(CommandError::Use(format!("{} is named twice", member.address))),
        None if team.iter().any(|member| member.may_close) => Ok(()),
        None => Err(CommandError::Use("somebody must be able to close the case: ADDRESS:FUNCTION:closer".to_owned())),
    }
}

async fn say(
    agent: &mut Agent,
    case: &str,
    text: String,
    reply_to: Option<u64>,
) -> Result<chat::SentJson, CommandError> {
    let (group, case) = find(agent, case)?;
    let in_reply_to = reply_to.map(|number| agent.group_message(&group, number)).transpose()?;
    let in_reply_to = in_reply_to.map(|message| message.content.id);
    let message = chat::command(group, Body::Chat(Chat::Text { text }), in_reply_to);
    let what = Say::InCase(SendToCase { case: Some(case), patient: None, message });
    chat::deliver(agent, group, what, Vec::new()).await
}

async fn act(home: &Path, case: &str, act: Case) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = send_act(&mut agent, case, act).await;
    agent.close().await;
    chat::finish(result?, false)
}

async fn send_act(agent: &mut Agent, case: &str, act: Case) -> Result<chat::SentJson, CommandError> {
    let (group, case) = find(agent, case)?;
    let message = chat::command(group, Body::Case(act), None);
    let what = Say::InCase(SendToCase { case: Some(case), patient: None, message });
    chat::deliver(agent, group, what, Vec::new()).await
}

fn list(home: &Path, group: Option<&str>, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let mut groups = agent.groups()?;
    if let Some(typed) = group {
        let id = group::find(typed, &groups)?;
        groups.retain(|group| group.id == id);
    }
    let mut shown = Vec::new();
    for group in &groups {
        for summary in agent.cases(&group.id)? {
            shown.push(CaseJson { message_count: Some(summary.messages), ..CaseJson::of(&summary.case, group) });
        }
    }
    if json {
        return output::print_json(&shown);
    }
    if shown.is_empty() {
        return output::print("No cases. `case open GROUP` opens one.\n");
    }
    let mut rows = vec![["ID", "GROUP", "STATE", "MESSAGES", "PATIENT", "TITLE"].map(str::to_owned).to_vec()];
    rows.extend(shown.iter().map(|case| {
        vec![
            case.id[..8].to_owned(),
            output::cut(&output::line(&case.group), TITLE_LETTERS),
            case.state.to_owned(),
            case.message_count.unwrap_or(0).to_string(),
            output::cut(&output::line(&case.patient.identifier), TITLE_LETTERS),
            output::cut(&output::line(&case.title), TITLE_LETTERS),
        ]
    }));
    output::print(&output::columns(&rows))
}

fn show(home: &Path, case: &str, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let (id, case) = find(&mut agent, case)?;
    let detail = agent.case(&id, case)?;
    let groups = agent.groups()?;
    let Some(group) = groups.iter().find(|group| group.id == id) else { return Ok(()) };
    let shown = group_log::folded(shown(&detail, group), &agent.settings()?);
    if json {
        let (messages, refused) = (Some(shown), Some(detail.refused));
        return output::print_json(&CaseJson { messages, refused, ..CaseJson::of(&detail.case, group) });
    }
    let mut text = heading(&CaseJson::of(&detail.case, group));
    if detail.refused > 0 {
        let _ = writeln!(
            text,
            "{} messages do not count: not of the team, after the closing, or against the rules\n",
            detail.refused
        );
    }
    text.push_str(&group_log::lines(&shown));
    output::print(&text)
}

/// What was said in it; what happened to it is in the heading.
fn shown(detail: &CaseDetail, group: &GroupSummary) -> Vec<MessageJson> {
    let said = detail.messages.iter().filter(|message| {
        let is_event = detail.case.events().iter().any(|event| event.id == message.content.id);
        !is_event
    });
    said.filter_map(|message| group_log::json_of(message, &detail.chat, group)).collect()
}

/// What a person reads above what was said.
fn heading(case: &CaseJson) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("Case:", output::line(&case.title));
    row("Id:", case.id.clone());
    row("Group:", format!("{} ({})", output::line(&case.group), case.group_log.get(..8).unwrap_or_default()));
    let authority = match case.patient.assigning_authority.as_str() {
        "" => String::new(),
        authority => format!(" ({})", output::line(authority)),
    };
    row("Patient:", format!("{}{authority}", output::line(&case.patient.identifier)));
    row(
        "State:",
        match (&case.closed_at, &case.closes_at) {
            (Some(at), _) => format!("closed since {at}"),
            (None, Some(at)) => format!("open; closes by itself at {at}"),
            (None, None) => "open".to_owned(),
        },
    );
    output::columns(&rows) + &team_and_events(&case.team, &case.events)
}

/// Who works on a case, and what has happened to it.
pub(super) fn team_and_events(team: &[MemberJson], events: &[EventJson]) -> String {
    let mut text = "\n".to_owned();
    let mut rows = vec![["TEAM", "FUNCTION", "MAY CLOSE"].map(str::to_owned).to_vec()];
    rows.extend(team.iter().map(|member| {
        let may_close = if member.may_close { "yes" } else { "" };
        vec![member.address.clone(), output::line(&member.function), may_close.to_owned()]
    }));
    text.push_str(&output::columns(&rows));
    text.push('\n');
    let rows: Vec<_> = events
        .iter()
        .map(|event| vec![event.at.clone(), event.by.clone(), event.what.to_owned(), output::line(&event.reason)])
        .collect();
    text.push_str(&output::columns(&rows));
    text.push('\n');
    text
}

impl CaseJson {
    fn of(case: &CaseThread, group: &GroupSummary) -> Self {
        let state = case.state_at(now().0);
        Self {
            id: case.id().to_string(),
            group: group.group.name.clone(),
            group_log: HEXLOWER.encode(&group.id),
            title: case.title().to_owned(),
            patient: PatientJson::of(case.patient()),
            state: match state {
                CaseState::Open => "open",
                CaseState::Closed { .. } => "closed",
            },
            closed_at: match state {
                CaseState::Open => None,
                CaseState::Closed { since } => Some(time::iso(since)),
            },
            closes_at: case.closes().map(time::iso),
            team: case.team().iter().map(MemberJson::of).collect(),
            events: case.events().iter().map(EventJson::of).collect(),
            message_count: None,
            messages: None,
            refused: None,
        }
    }
}

impl PatientJson {
    pub(super) fn of(patient: &PatientReference) -> Self {
        Self { identifier: patient.identifier.clone(), assigning_authority: patient.assigning_authority.clone() }
    }
}

impl MemberJson {
    pub(super) fn of(member: &CaseMember) -> Self {
        Self { address: member.address.to_string(), function: member.function.clone(), may_close: member.may_close }
    }
}

impl EventJson {
    pub(super) fn of(event: &CaseEvent) -> Self {
        Self {
            what: match event.act {
                CaseAct::Opened => "opened",
                CaseAct::Closed => "closed",
                CaseAct::Reopened => "reopened",
                CaseAct::Team => "team",
            },
            by: event.author.address.to_string(),
            at: time::iso(event.place.at),
            reason: event.reason.clone(),
        }
    }
}

/// The case that a person means, in whichever group.
pub(super) fn find(agent: &mut Agent, typed: &str) -> Result<(GroupId, MessageId), CommandError> {
    let groups: Vec<GroupId> = agent.groups()?.iter().map(|group| group.id).collect();
    find_among(agent, &groups, typed)
}

/// The case of a group that a person means.
pub(super) fn find_in(agent: &mut Agent, group: &GroupId, typed: &str) -> Result<MessageId, CommandError> {
    find_among(agent, &[*group], typed).map(|(_, case)| case)
}

fn find_among(agent: &mut Agent, groups: &[GroupId], typed: &str) -> Result<(GroupId, MessageId), CommandError> {
    let wanted = typed.trim();
    let hexadecimal = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (mut by_title, mut by_id) = (BTreeMap::new(), BTreeMap::new());
    for group in groups {
        for summary in agent.cases(group)? {
            let case = summary.case.id();
            if summary.case.title() == wanted {
                by_title.insert(case, *group);
            }
            if hexadecimal && case.to_string().starts_with(&wanted.to_ascii_lowercase()) {
                by_id.insert(case, *group);
            }
        }
    }
    let named = if by_title.is_empty() { by_id } else { by_title };
    let mut found = named.into_iter();
    match (found.next(), found.next()) {
        (Some((case, group)), None) => Ok((group, case)),
        (None, _) => {
            Err(CommandError::Failed(format!("there is no case \"{}\"; `case list` shows all", output::line(wanted))))
        }
        (Some(_), Some(_)) => Err(CommandError::Failed(format!(
            "more than one case is called \"{}\"; type its id (`case list`)",
            output::line(wanted)
        ))),
    }
}

/// The beginning of a case's id, as lists show it.
pub(super) fn short(id: &MessageId) -> String {
    HEXLOWER.encode(&id.0)[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_typed_with_function_and_right() {
        let member = |text: &str| text.parse::<MemberArgument>().map(|MemberArgument(one)| one);
        let one = member("karim@clinic.example").unwrap();
        assert_eq!((one.address.as_str(), one.function.as_str(), one.may_close), ("karim@clinic.example", "", false));
        let one = member("karim@clinic.example:ward nurse").unwrap();
        assert_eq!((one.function.as_str(), one.may_close), ("ward nurse", false));
        let one = member("karim@clinic.example:nurse: night:closer").unwrap();
        assert_eq!((one.function.as_str(), one.may_close), ("nurse: night", true));
        assert!(member("karim@clinic.example:closer").unwrap().may_close);
        assert!(member("nobody").is_err());
    }
}
