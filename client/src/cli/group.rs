//! `medipeps group`: groups, who is in them, and what is said there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::{Subcommand, ValueEnum};
use data_encoding::HEXLOWER;
use medipeps_core::Address;
use medipeps_core::kind::{Conversation, Settings};
use medipeps_core::limits::GROUP_RETENTION_DAYS_MAX;
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord, GroupStanding};
use serde::Serialize;

use super::group_log::{self, Log};
use super::group_told::Told;
use super::{CommandError, chat, chat_file, group_change, mute, org, output, report, time};
use crate::engine::{Certified, CreateGroup, Event, GroupEvent, GroupId, GroupInput, GroupSummary, Input};
use crate::shell::agent::{Agent, now};

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
    /// Agree on how many days messages are kept; an owner may. All members' devices delete what is older
    Retention {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// 0: for ever
        #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(GROUP_RETENTION_DAYS_MAX)))]
        days: u32,
        /// Do it although it deletes messages that are here
        #[arg(long)]
        yes: bool,
    },
    /// Renew this device's keys in a group, as it does weekly by itself
    Update {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Make a group anew that cannot go on, with the same members; an owner may. What was said in the old one stays readable
    Recreate {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
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
    /// Let what is said in a group come without ringing
    Mute {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// Until when: 2026-11-30 (the end of that day, UTC) or 2026-11-30T18:00Z; without it until `unmute`
        #[arg(long, value_name = "DATE", value_parser = time::moment)]
        until: Option<u64>,
    },
    /// Let a group ring again
    Unmute {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Open one message to the organisation's officer, and no other: who said what, with proof
    Report(report::Arguments),
    /// Save the files of a message
    Save(chat_file::SaveArguments),
    /// Whether the members of a group are told what you have read
    Receipts {
        /// Its name or the beginning of its id
        #[arg(value_name = "GROUP")]
        group: String,
        /// What from now on
        #[arg(value_enum)]
        told: group_change::ReceiptsArgument,
    },
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
    /// Agree that messages are kept for so many days; 0: for ever; the organisation's days without it
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=i64::from(GROUP_RETENTION_DAYS_MAX)))]
    retention: Option<u32>,
    /// Make it a group of this organisation: whoever is in it is certified by it
    #[arg(long, value_name = "ORGANISATION")]
    organisation: Option<String>,
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
pub(super) struct GroupJson {
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
    successor: Option<String>,
    predecessor: Option<String>,
    receipts: bool,
    organisation: Option<String>,
    muted: bool,
    members: Vec<MemberJson>,
}

#[derive(Debug, Serialize)]
struct MemberJson {
    address: String,
    role: &'static str,
    devices: Vec<u32>,
    /// The number of the last message that it has read, as far as it has told.
    read_up_to: Option<u64>,
    read_at: Option<String>,
    /// In a group of an organisation: what it says of the member, as far as is known here.
    certified: Option<org::CertifiedJson>,
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
            group_change::change(home, &group, addresses.into_iter().map(add).collect()).await
        }
        Command::Remove { group, addresses } => {
            group_change::change(home, &group, addresses.into_iter().map(GroupChangeKind::Remove).collect()).await
        }
        Command::Role { group, address, role } => {
            group_change::change(home, &group, vec![GroupChangeKind::Role(address, role.into())]).await
        }
        Command::Rename { group, name } => group_change::change(home, &group, vec![GroupChangeKind::Name(name)]).await,
        Command::Retention { group, days, yes } => group_change::retention(home, &group, days, yes).await,
        Command::Recreate { group, json } => group_change::recreate(home, &group, json).await,
        Command::Update { group } => group_change::change(home, &group, vec![GroupChangeKind::Update]).await,
        Command::Leave { group } => group_change::change(home, &group, vec![GroupChangeKind::Leave]).await,
        Command::Send(arguments) => chat::send(home, arguments).await,
        Command::Log(arguments) => group_log::run(home, &arguments).await,
        Command::Report(arguments) => report::run(home, arguments).await,
        Command::Save(arguments) => chat_file::save(home, &arguments).await,
        Command::Receipts { group, told } => group_change::receipts(home, &group, told).await,
        Command::Mute { group, until } => mute::mute_group(home, &group, until).await,
        Command::Unmute { group } => mute::unmute_group(home, &group).await,
    }
}

async fn create(home: &Path, arguments: Create) -> Result<(), CommandError> {
    let Create { name, member, reader, owner, description, retention, organisation, json } = arguments;
    let mut agent = super::open(home)?;
    let organisation = organisation.map(|typed| org::find(&typed, &agent.organisations()?)).transpose()?;
    let kept = organisation.as_ref().and_then(|one| one.chain.current().policy().retention_days);
    let retention_days = retention.or(kept).unwrap_or(0);
    let organisation = organisation.map(|one| one.record.id);
    let with = |role: GroupRoleRecord| move |address| (address, role);
    let members = owner.into_iter().map(with(GroupRoleRecord::Owner));
    let members = members.chain(member.into_iter().map(with(GroupRoleRecord::Member)));
    let members = members.chain(reader.into_iter().map(with(GroupRoleRecord::Reader))).collect();
    let command = CreateGroup { name, description, members, retention_days, organisation };
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
    let (groups, settings) = (agent.groups()?, agent.settings()?);
    agent.close().await;
    let problem = done?;
    told.say();
    let group = made.and_then(|id| groups.into_iter().find(|group| group.id == id));
    let group = group.ok_or_else(|| CommandError::Failed("the group was not stored".to_owned()))?;
    if let Some(problem) = problem {
        eprintln!("not everything is done yet: {problem}; `sync` goes on with it");
    }
    match json {
        true => output::print_json(&json_of(&group, None, &settings))?,
        false => output::print(&format!("Group {} \"{}\"\n", short(&group.id), output::line(&group.group.name)))?,
    }
    // The group is there; not everybody whom it was to have is.
    told.failed.map_or(Ok(()), |failed| Err(CommandError::Failed(failed)))
}

fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let own = agent.credentials()?.map(|credentials| credentials.address);
    let (groups, settings) = (agent.groups()?, agent.settings()?);
    if json {
        let json = |group| json_of(group, own.as_ref(), &settings);
        return output::print_json(&groups.iter().map(json).collect::<Vec<_>>());
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
            state_text(group) + if is_muted(group, &settings) { ", muted" } else { "" },
        ]
    }));
    output::print(&output::columns(&rows))
}

fn show(home: &Path, group: &str, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let own = agent.credentials()?.map(|credentials| credentials.address);
    let (groups, settings) = (agent.groups()?, agent.settings()?);
    let id = find(group, &groups)?;
    let Some(group) = groups.iter().find(|group| group.id == id) else { return Ok(()) };
    let certified = certified_members(&mut agent, group)?;
    if json {
        let mut shown = json_of(group, own.as_ref(), &settings);
        for (member, one) in shown.members.iter_mut().zip(&group.roster.members) {
            member.certified = certified.get(&one.address).map(org::CertifiedJson::from);
        }
        return output::print_json(&shown);
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
        days => format!("Messages:   are kept for {days} days\n"),
    });
    if let Some(successor) = &group.group.successor {
        text.push_str(&format!("Goes on in: {}\n", short(successor)));
    }
    let before = group
        .group
        .predecessor
        .filter(|predecessor| groups.iter().any(|one| one.id == *predecessor && one.group.successor == Some(group.id)));
    if let Some(predecessor) = &before {
        text.push_str(&format!("Before:     {}; `group log {0}` shows what was said there\n", short(predecessor)));
    }
    if let Some(organisation) = &group.group.organisation {
        text.push_str(&format!("Belongs to: {organisation}\n"));
    }
    if is_muted(group, &settings) {
        text.push_str("Muted:      yes\n");
    }
    if !group.group.changes.is_empty() {
        text.push_str(&format!("Waiting:    {} changes\n", group.group.changes.len()));
    }
    text.push('\n');
    let mut rows = vec![["ADDRESS", "ROLE", "DEVICES", "HAS READ", ""].map(str::to_owned).to_vec()];
    rows.extend(group.roster.members.iter().map(|member| {
        let is_own = own.as_ref() == Some(&member.address);
        let you = if is_own { " (you)" } else { "" };
        let read = group.read.get(&member.address).map_or_else(String::new, |read| format!("to {}", read.number));
        let certified = match certified.get(&member.address) {
            Some(certified) => org::certified_text(certified),
            None if group.group.organisation.is_some() && !is_own => {
                "NOT CERTIFIED, as far as is known here".to_owned()
            }
            None => String::new(),
        };
        let (role, devices) = (role_name(member.role).to_owned(), member.devices.len().to_string());
        vec![format!("{}{you}", member.address), role, devices, read, certified]
    }));
    text.push_str(&output::columns(&rows));
    output::print(&text)
}

/// In a group of an organisation: what that says of the members.
fn certified_members(agent: &mut Agent, group: &GroupSummary) -> Result<BTreeMap<Address, Certified>, CommandError> {
    let Some(address) = &group.group.organisation else { return Ok(BTreeMap::new()) };
    let organisations = agent.organisations()?;
    let organisation = organisations.iter().find(|one| one.chain.current().address() == address);
    let Some(id) = organisation.map(|one| one.record.id) else { return Ok(BTreeMap::new()) };
    let certified = agent.certified_contacts()?.into_iter();
    Ok(certified.filter_map(|(who, all)| Some((who, all.into_iter().find(|one| one.organisation == id)?))).collect())
}

/// The group that a person means, by its name or the beginning of its id.
pub(super) fn find(typed: &str, groups: &[GroupSummary]) -> Result<GroupId, CommandError> {
    let wanted = typed.trim();
    // A group that goes on in another one has given its name to that.
    let named = groups.iter().filter(|group| group.group.name == wanted);
    let by_name: BTreeSet<GroupId> = named.map(|group| followed(group.id, groups)).collect();
    let by_name: Vec<_> = groups.iter().filter(|group| by_name.contains(&group.id)).collect();
    let hexadecimal = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begins = |group: &&GroupSummary| HEXLOWER.encode(&group.id).starts_with(&wanted.to_ascii_lowercase());
    let by_id: Vec<_> = groups.iter().filter(|group| hexadecimal && begins(group)).collect();
    match (by_name.as_slice(), by_id.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one.id),
        ([], []) => Err(CommandError::Failed(format!(
            "there is no group \"{}\"; `group list` shows all, `sync` fetches invitations",
            output::line(wanted)
        ))),
        (named, begun) => {
            let ids: BTreeSet<_> = named.iter().chain(begun).map(|group| short(&group.id)).collect();
            Err(CommandError::Failed(format!(
                "\"{}\" may be any of the groups {}; type the id",
                output::line(wanted),
                ids.into_iter().collect::<Vec<_>>().join(", ")
            )))
        }
    }
}

/// The group in which a group goes on, as far as that is here.
fn followed(id: GroupId, groups: &[GroupSummary]) -> GroupId {
    let mut id = id;
    // Whoever makes a ring of groups leads nobody round it for ever.
    for _ in groups {
        let group = groups.iter().find(|group| group.id == id);
        let successor = group.and_then(|group| group.group.successor);
        match successor.filter(|successor| groups.iter().any(|group| group.id == *successor)) {
            Some(successor) => id = successor,
            None => break,
        }
    }
    id
}

/// The beginning of a group's id, as lists show it.
pub(super) fn short(id: &GroupId) -> String {
    HEXLOWER.encode(id)[..8].to_owned()
}

fn is_muted(group: &GroupSummary, settings: &Settings) -> bool {
    settings.is_muted(&Conversation::Group(group.id), now().0)
}

pub(super) fn json_of(group: &GroupSummary, own: Option<&Address>, settings: &Settings) -> GroupJson {
    let member = |member: &crate::engine::GroupMember| MemberJson {
        address: member.address.to_string(),
        role: role_name(member.role),
        devices: member.devices.clone(),
        read_up_to: group.read.get(&member.address).map(|read| read.number),
        read_at: group.read.get(&member.address).map(|read| time::iso(read.at)),
        certified: None,
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
        messages: group.group.messages - group.group.first.min(group.group.messages),
        unread: group.unread(),
        waiting_changes: group.group.changes.len(),
        problem: group.group.problem.clone(),
        successor: group.group.successor.map(|id| HEXLOWER.encode(&id)),
        predecessor: group.group.predecessor.map(|id| HEXLOWER.encode(&id)),
        receipts: !group.group.read_positions_off,
        organisation: group.group.organisation.as_ref().map(ToString::to_string),
        muted: is_muted(group, settings),
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
