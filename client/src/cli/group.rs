//! `medipeps group`: groups, who is in them, and what is said there.

use std::path::Path;

use clap::{Subcommand, ValueEnum};
use data_encoding::HEXLOWER;
use medipeps_core::Address;
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord, GroupStanding};
use serde::Serialize;

use super::group_log::{self, Log};
use super::{CommandError, chat, group_wake, output, time};
use crate::engine::{CreateGroup, Event, GroupChange, GroupEvent, GroupId, GroupInput, GroupSummary, Input};
use crate::shell::agent::Agent;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a group; you own it
    Create(Create),
    /// List groups
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a group and who is in it
    Show {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take people in; an owner may
    Add {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// Whom
        #[arg(value_name = "ADDRESS", required = true)]
        addresses: Vec<Address>,
        /// What they may do
        #[arg(long = "as", value_enum, default_value_t = Role::Member)]
        role: Role,
    },
    /// Take people out; an owner may
    Remove {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// Whom
        #[arg(value_name = "ADDRESS", required = true)]
        addresses: Vec<Address>,
    },
    /// Let somebody do more or less; an owner may
    Role {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// Who
        #[arg(value_name = "ADDRESS")]
        address: Address,
        /// What from now on
        #[arg(value_enum)]
        role: Role,
    },
    /// Call a group otherwise; an owner may
    Rename {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// The new name
        name: String,
    },
    /// Agree on how many days messages are kept; an owner may. This version shows it and does not delete yet
    Retention {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// 0: for ever
        days: u32,
    },
    /// Renew this device's keys in a group, as it does weekly by itself
    Update {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Leave a group
    Leave {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Say something in a group
    Send(chat::Send),
    /// Show what was said
    Log(Log),
    /// Say where this device is woken when something comes for its groups and it is not connected
    Wake(group_wake::Wake),
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// What the group is called; the server does not learn it
    name: String,
    /// Who may write beside you; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    member: Vec<Address>,
    /// Who may only read; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    reader: Vec<Address>,
    /// Who may change the group, as you may; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    owner: Vec<Address>,
    /// What it is for
    #[arg(long, default_value = "")]
    description: String,
    /// Agree that messages are kept for so many days; 0: for ever. This version does not delete yet
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    retention: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Changes the group
    Owner,
    /// Writes
    Member,
    /// Reads
    Reader,
}

/// A group, as JSON has it.
#[derive(Debug, Serialize)]
struct GroupJson {
    id: String,
    name: String,
    description: String,
    state: &'static str,
    role: Option<&'static str>,
    domain: String,
    epoch: u64,
    retention_days: u32,
    messages: u64,
    unread: u64,
    waiting_changes: usize,
    problem: Option<String>,
    members: Vec<MemberJson>,
}

#[derive(Debug, Serialize)]
struct MemberJson {
    address: String,
    role: &'static str,
    devices: Vec<u32>,
}

impl From<Role> for GroupRoleRecord {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Member => Self::Member,
            Role::Reader => Self::Reader,
        }
    }
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Create(arguments) => create(home, arguments).await,
        Command::List { json } => list(home, json),
        Command::Show { group, json } => show(home, &group, json),
        Command::Add { group, addresses, role } => {
            let add = |address| GroupChangeKind::Add(address, role.into());
            change(home, &group, addresses.into_iter().map(add).collect()).await
        }
        Command::Remove { group, addresses } => {
            change(home, &group, addresses.into_iter().map(GroupChangeKind::Remove).collect()).await
        }
        Command::Role { group, address, role } => {
            change(home, &group, vec![GroupChangeKind::Role(address, role.into())]).await
        }
        Command::Rename { group, name } => change(home, &group, vec![GroupChangeKind::Name(name)]).await,
        Command::Retention { group, days } => change(home, &group, vec![GroupChangeKind::Retention(days)]).await,
        Command::Update { group } => change(home, &group, vec![GroupChangeKind::Update]).await,
        Command::Leave { group } => change(home, &group, vec![GroupChangeKind::Leave]).await,
        Command::Send(arguments) => chat::send(home, arguments).await,
        Command::Log(arguments) => group_log::run(home, &arguments),
        Command::Wake(arguments) => group_wake::run(home, arguments).await,
    }
}

async fn create(home: &Path, arguments: Create) -> Result<(), CommandError> {
    let Create { name, member, reader, owner, description, retention: retention_days, json } = arguments;
    let mut agent = super::open(home)?;
    let with = |role: GroupRoleRecord| move |address| (address, role);
    let members = owner.into_iter().map(with(GroupRoleRecord::Owner));
    let members = members.chain(member.into_iter().map(with(GroupRoleRecord::Member)));
    let members = members.chain(reader.into_iter().map(with(GroupRoleRecord::Reader))).collect();
    let command = CreateGroup { name, description, members, retention_days };
    let mut told = Told::default();
    let mut made = None;
    let mut see = |event: &Event| {
        if let Event::Group { group, event: GroupEvent::Prepared } = event {
            made = Some(*group);
        }
        told.hear(event);
    };
    let run = agent.run(Input::Group(GroupInput::Create(command)), &mut see).await;
    let done = match run {
        Ok(failure) => agent.send_due(&mut see).await.map(|problem| failure.map(|one| one.to_string()).or(problem)),
        Err(error) => Err(error),
    };
    let groups = agent.groups()?;
    agent.close().await;
    let problem = done?;
    told.say();
    let group = made.and_then(|id| groups.into_iter().find(|group| group.id == id));
    let group = group.ok_or_else(|| CommandError::Failed("the group was not stored".to_owned()))?;
    if let Some(problem) = problem {
        eprintln!("not everything is done yet: {problem}; `sync` goes on with it");
    }
    if json {
        return output::print_json(&json_of(&group, None));
    }
    output::print(&format!("Group {} \"{}\"\n", short(&group.id), output::line(&group.group.name)))
}

async fn change(home: &Path, group: &str, what: Vec<GroupChangeKind>) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = make_changes(&mut agent, group, what).await;
    agent.close().await;
    result
}

async fn make_changes(agent: &mut Agent, group: &str, what: Vec<GroupChangeKind>) -> Result<(), CommandError> {
    let id = find(group, &agent.groups()?)?;
    let mut told = Told::default();
    // What somebody else has done meanwhile is read first, so that it is not refused afterwards.
    agent.run(Input::Group(GroupInput::ReadAll), &mut |event| told.hear(event)).await?;
    agent.send_due(&mut |event| told.hear(event)).await?;
    for what in what {
        let change = GroupInput::Change(GroupChange { group: id, what });
        agent.run(Input::Group(change), &mut |event| told.hear(event)).await?;
    }
    let problem = agent.settle_group(&id, &mut |event| told.hear(event)).await?;
    told.say();
    if let Some(failed) = told.failed {
        return Err(CommandError::Failed(failed));
    }
    let group = agent.groups()?.into_iter().find(|group| group.id == id);
    match (group.filter(|group| !group.group.changes.is_empty() || group.group.commit.is_some()), problem) {
        (None, _) => output::print("Done.\n"),
        (Some(_), Some(problem)) => output::print(&format!("It waits: {problem}. `sync` goes on with it.\n")),
        (Some(_), None) => output::print("It waits for the others; `sync` goes on with it.\n"),
    }
}

fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let own = agent.credentials()?.map(|credentials| credentials.address);
    let groups = agent.groups()?;
    if json {
        return output::print_json(&groups.iter().map(|group| json_of(group, own.as_ref())).collect::<Vec<_>>());
    }
    if groups.is_empty() {
        return output::print("No groups yet. `group create NAME` makes one.\n");
    }
    let mut rows = vec![["ID", "NAME", "MEMBERS", "UNREAD", "STATE"].map(str::to_owned).to_vec()];
    rows.extend(groups.iter().map(|group| {
        vec![
            short(&group.id),
            output::line(&group.group.name),
            group.roster.members.len().to_string(),
            group.unread().to_string(),
            state_text(group),
        ]
    }));
    output::print(&output::columns(&rows))
}

fn show(home: &Path, group: &str, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let own = agent.credentials()?.map(|credentials| credentials.address);
    let groups = agent.groups()?;
    let id = find(group, &groups)?;
    let Some(group) = groups.iter().find(|group| group.id == id) else { return Ok(()) };
    if json {
        return output::print_json(&json_of(group, own.as_ref()));
    }
    let mut text = format!("Group:      {}\n", output::line(&group.group.name));
    if !group.roster.description.is_empty() {
        text.push_str(&format!("About:      {}\n", output::line(&group.roster.description)));
    }
    text.push_str(&format!("Id:         {}\n", HEXLOWER.encode(&group.id)));
    text.push_str(&format!("State:      {}\n", state_text(group)));
    text.push_str(&format!("Here since: {} UTC\n", time::short(group.group.joined)));
    text.push_str(&match group.roster.retention_days {
        0 => "Messages:   are kept\n".to_owned(),
        days => format!("Messages:   to be kept for {days} days; this version does not delete them yet\n"),
    });
    if !group.group.changes.is_empty() {
        text.push_str(&format!("Waiting:    {} changes\n", group.group.changes.len()));
    }
    text.push('\n');
    let mut rows = vec![["ADDRESS", "ROLE", "DEVICES"].map(str::to_owned).to_vec()];
    rows.extend(group.roster.members.iter().map(|member| {
        let you = if own.as_ref() == Some(&member.address) { " (you)" } else { "" };
        vec![format!("{}{you}", member.address), role_name(member.role).to_owned(), member.devices.len().to_string()]
    }));
    text.push_str(&output::columns(&rows));
    output::print(&text)
}

/// The group that a person means, by its name or the beginning of its id.
pub(super) fn find(typed: &str, groups: &[GroupSummary]) -> Result<GroupId, CommandError> {
    let wanted = typed.trim();
    let by_name: Vec<_> = groups.iter().filter(|group| group.group.name == wanted).collect();
    let hexadecimal = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begins = |group: &&GroupSummary| HEXLOWER.encode(&group.id).starts_with(&wanted.to_ascii_lowercase());
    let by_id: Vec<_> = groups.iter().filter(|group| hexadecimal && begins(group)).collect();
    match (by_name.as_slice(), by_id.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one.id),
        ([], []) => {
            Err(CommandError::Failed(format!("there is no group \"{}\"; `group list` shows all", output::line(wanted))))
        }
        _ => Err(CommandError::Failed(format!(
            "more than one group is called \"{}\"; type its id (`group list`)",
            output::line(wanted)
        ))),
    }
}

/// The beginning of a group's id, as lists show it.
pub(super) fn short(id: &GroupId) -> String {
    HEXLOWER.encode(id)[..8].to_owned()
}

fn json_of(group: &GroupSummary, own: Option<&Address>) -> GroupJson {
    let member = |member: &crate::engine::GroupMember| MemberJson {
        address: member.address.to_string(),
        role: role_name(member.role),
        devices: member.devices.clone(),
    };
    GroupJson {
        id: HEXLOWER.encode(&group.id),
        name: group.group.name.clone(),
        description: group.roster.description.clone(),
        state: state_name(group.group.standing),
        role: own.and_then(|own| group.role(own)).map(role_name),
        domain: group.group.domain.clone(),
        epoch: group.group.epoch,
        retention_days: group.roster.retention_days,
        messages: group.group.messages,
        unread: group.unread(),
        waiting_changes: group.group.changes.len(),
        problem: group.group.problem.clone(),
        members: group.roster.members.iter().map(member).collect(),
    }
}

const fn role_name(role: GroupRoleRecord) -> &'static str {
    match role {
        GroupRoleRecord::Owner => "owner",
        GroupRoleRecord::Member => "member",
        GroupRoleRecord::Reader => "reader",
    }
}

const fn state_name(standing: GroupStanding) -> &'static str {
    match standing {
        GroupStanding::Making => "making",
        GroupStanding::Active => "active",
        GroupStanding::Joining => "joining",
        GroupStanding::Left => "left",
        GroupStanding::Removed => "removed",
        GroupStanding::Broken => "broken",
        GroupStanding::Rejoining => "rejoining",
        GroupStanding::Leaving => "leaving",
    }
}

fn state_text(group: &GroupSummary) -> String {
    match &group.group.problem {
        Some(code) => format!("{} ({code})", state_name(group.group.standing)),
        None => state_name(group.group.standing).to_owned(),
    }
}

/// What happened in groups while a command ran.
#[derive(Debug, Default)]
pub(super) struct Told {
    notes: Vec<String>,
    failed: Option<String>,
}

impl Told {
    pub(super) fn hear(&mut self, event: &Event) {
        let Event::Group { group, event } = event else { return };
        let group = short(group);
        match event {
            GroupEvent::ChangeFailed { what, code } => {
                self.failed = Some(format!("{}: {}", what_text(what), code_text(code)));
            }
            GroupEvent::Joined { name, by } => {
                self.notes
                    .push(format!("you are in the group \"{}\" ({group}) now; {by} took you in", output::line(name)));
            }
            GroupEvent::InvitationRefused { code } => {
                self.notes.push(format!("an invitation to group {group} came to nothing ({code})"));
            }
            GroupEvent::Removed => self.notes.push(format!("you were taken out of group {group}")),
            GroupEvent::Problem { code } => self.notes.push(format!("group {group}: {}", code_text(code))),
            GroupEvent::EntryRefused { code } => {
                self.notes.push(format!("group {group}: an entry of its log was passed over ({code})"));
            }
            GroupEvent::AnswerRefused { number, code } => {
                self.notes.push(format!("group {group}: the answer {number} was not sent: {code}"));
            }
            GroupEvent::WakeRefused { code } => {
                self.notes.push(format!("group {group} does not wake this device: {}", group_wake::reason(code)));
            }
            GroupEvent::Changed { rejoined, .. } => {
                for (address, device) in rejoined {
                    self.notes
                        .push(format!("group {group}: device {device} of {address} had lost its place and is back"));
                }
            }
            _ => {}
        }
    }

    pub(super) fn say(&self) {
        for note in &self.notes {
            eprintln!("{note}");
        }
    }
}

fn what_text(what: &GroupChangeKind) -> String {
    match what {
        GroupChangeKind::Add(address, _) => format!("{address} was not added"),
        GroupChangeKind::Remove(address) => format!("{address} was not removed"),
        GroupChangeKind::Role(address, _) => format!("the role of {address} was not changed"),
        GroupChangeKind::RemoveDevice(address, device) => format!("device {device} of {address} was not removed"),
        GroupChangeKind::Name(_) => "the name was not changed".to_owned(),
        GroupChangeKind::Retention(_) => "the retention was not changed".to_owned(),
        GroupChangeKind::OwnDevices => "your devices were not brought into step".to_owned(),
        GroupChangeKind::Update => "the keys were not renewed".to_owned(),
        GroupChangeKind::Leave => "the group was not left".to_owned(),
    }
}

fn code_text(code: &str) -> String {
    match code {
        "unknown_account" => "its server does not know the account; check the spelling".to_owned(),
        "no_key_packages" => {
            "its devices have published nothing to add them with yet; it has to run `sync` once".to_owned()
        }
        "recipient_key_changed" => "its keys are not the pinned ones; `contact add` says more".to_owned(),
        "not_group_owner" => "only an owner of the group may do that".to_owned(),
        "not_group_member" => "it is not in the group".to_owned(),
        "group_full" => "the group is full".to_owned(),
        code => code.to_owned(),
    }
}
