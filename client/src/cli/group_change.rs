//! `medipeps group add|remove|role|rename|retention|update|leave|recreate`: what changes a group.

use std::path::Path;

use medipeps_core::wire::client_records::{GroupChangeKind, GroupMessageState};

use super::group;
use super::group_told::Told;
use super::{CommandError, output};
use crate::engine::{Event, GroupEvent, GroupId, GroupInput, Input};
use crate::shell::agent::{Agent, GroupOutcome, now};

const DAY_MS: u64 = 24 * 3600 * 1000;

pub(super) async fn change(home: &Path, group: &str, what: Vec<GroupChangeKind>) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = make_changes(&mut agent, group, what).await;
    agent.close().await;
    result
}

async fn make_changes(agent: &mut Agent, group: &str, what: Vec<GroupChangeKind>) -> Result<(), CommandError> {
    let id = group::find(group, &agent.groups()?)?;
    let mut told = Told::default();
    let GroupOutcome { problem, .. } = agent.change_group(&id, what, &mut |event| told.hear(event)).await?;
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

/// Whether the members are told what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ReceiptsArgument {
    /// They are
    On,
    /// They are not
    Off,
}

/// Switches read positions on or off.
pub(super) async fn receipts(home: &Path, group: &str, told: ReceiptsArgument) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let id = group::find(group, &agent.groups()?)?;
    agent.take_note(&Input::Group(GroupInput::ReadPositions(id, told == ReceiptsArgument::On))).await?;
    output::print("Done.\n")
}

/// Changes the retention; what that deletes is told first.
pub(super) async fn retention(home: &Path, group: &str, days: u32, yes: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let over = match yes {
        true => Ok(0),
        false => over_by(&mut agent, group, days),
    };
    let result = match over {
        Ok(0) => make_changes(&mut agent, group, vec![GroupChangeKind::Retention(days)]).await,
        Ok(count) => Err(CommandError::Failed(format!(
            "{count} of the messages here are older than {days} days; all members' devices delete such messages a day after \
             the change. Run it again with --yes if that is what you want"
        ))),
        Err(error) => Err(error),
    };
    agent.close().await;
    result
}

/// How many messages of a group a retention would delete here.
fn over_by(agent: &mut Agent, group: &str, days: u32) -> Result<usize, CommandError> {
    if days == 0 {
        return Ok(0);
    }
    let id = group::find(group, &agent.groups()?)?;
    let end = now().0.saturating_sub(u64::from(days).saturating_mul(DAY_MS));
    let messages = agent.group_messages(&id, u64::MAX)?;
    let over =
        messages.iter().filter(|one| one.message.state == GroupMessageState::Logged && one.message.received <= end);
    Ok(over.count())
}

/// Makes a group anew.
pub(super) async fn recreate(home: &Path, group: &str, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let mut told = Told::default();
    let made = recreate_in(&mut agent, group, &mut told).await;
    let (groups, settings) = (agent.groups()?, agent.settings()?);
    agent.close().await;
    told.say();
    let (new, problem) = made?;
    let group = groups.into_iter().find(|group| group.id == new);
    let group = group.ok_or_else(|| CommandError::Failed("the group was not stored".to_owned()))?;
    if let Some(problem) = problem {
        eprintln!("not everything is done yet: {problem}; `sync` goes on with it");
    }
    if json {
        return output::print_json(&group::json_of(&group, None, &settings));
    }
    output::print(&format!("Group {} \"{}\"\n", group::short(&group.id), output::line(&group.group.name)))
}

async fn recreate_in(
    agent: &mut Agent,
    group: &str,
    told: &mut Told,
) -> Result<(GroupId, Option<String>), CommandError> {
    let old = group::find(group, &agent.groups()?)?;
    // Somebody else may have done it meanwhile.
    agent.run(Input::Group(GroupInput::ReadAll), &mut |event| told.hear(event)).await?;
    agent.send_due(&mut |event| told.hear(event)).await?;
    let mut new = None;
    let mut see = |event: &Event| {
        if let Event::Group { group, event: GroupEvent::Prepared } = event {
            new = Some(*group);
        }
        told.hear(event);
    };
    agent.run(Input::Group(GroupInput::Recreate(old)), &mut see).await?;
    let new = new.ok_or_else(|| CommandError::Failed("the group was not stored".to_owned()))?;
    let problem = agent.settle_group(&new, &mut |event| told.hear(event)).await?;
    // The old one says where it goes on, where it still can say anything.
    agent.settle_group(&old, &mut |event| told.hear(event)).await?;
    Ok((new, problem))
}

pub(super) fn what_text(what: &GroupChangeKind) -> String {
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
        GroupChangeKind::Successor(_) => "the group's successor was not named".to_owned(),
    }
}

pub(super) fn code_text(code: &str) -> String {
    match code {
        "unknown_account" => "its server does not know the account; check the spelling".to_owned(),
        "no_key_packages" => {
            "its devices have published nothing to add them with yet; it has to run `sync` once".to_owned()
        }
        "recipient_key_changed" => "its keys are not the pinned ones; `contact add` says more".to_owned(),
        "not_certified" => "its certificate of the organisation does not hold, or is not known here".to_owned(),
        "not_group_owner" => "only an owner of the group may do that".to_owned(),
        "not_group_member" => "it is not in the group".to_owned(),
        "not_a_contact" => "it belongs to another server; add it as a contact, then to the group".to_owned(),
        "group_full" => "the group is full".to_owned(),
        code => code.to_owned(),
    }
}
