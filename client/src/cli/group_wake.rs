//! `medipeps group wake`: where this device is woken when something comes for its groups and it is not connected.

use std::path::Path;

use clap::Args;
use data_encoding::HEXLOWER;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::client_records::{GroupStanding, GroupWakeRecord};
use serde::Serialize;

use super::group::short;
use super::group_told::Told;
use super::{CommandError, output, time};
use crate::engine::{GroupInput, GroupSummary, GroupWakes, Input};
use crate::shell::agent::Agent;

#[derive(Debug, Args)]
pub(super) struct Wake {
    /// The https address of a push subscription of this device, as a UnifiedPush distributor gives it; without one, show what is set
    #[arg(value_name = "ENDPOINT", conflicts_with = "off")]
    endpoint: Option<PushEndpoint>,
    /// Not any more: the device asks every 15 minutes, as it does anyway
    #[arg(long)]
    off: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct WakeJson {
    endpoint: Option<String>,
    groups: Vec<GroupJson>,
}

#[derive(Debug, Serialize)]
struct GroupJson {
    id: String,
    name: String,
    state: &'static str,
    code: Option<String>,
    epoch: u64,
    expires: Option<String>,
}

pub(super) async fn run(home: &Path, arguments: Wake) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let result = set(&mut agent, &arguments).await;
    let shown = agent.group_wakes();
    agent.close().await;
    let problem = result?;
    let wakes = shown?;
    if let Some(problem) = problem {
        eprintln!("not every server has been told yet: {problem}; `sync` goes on with it");
    }
    if arguments.json { output::print_json(&json_of(&wakes)) } else { output::print(&text_of(&wakes)) }
}

/// Stores what was asked for, and tells the servers of all groups.
async fn set(agent: &mut Agent, arguments: &Wake) -> Result<Option<String>, CommandError> {
    if arguments.endpoint.is_none() && !arguments.off {
        return Ok(None);
    }
    let mut told = Told::default();
    let wake = GroupInput::Wake(arguments.endpoint.clone());
    agent.run(Input::Group(wake), &mut |event| told.hear(event)).await?;
    // A server takes it from whoever has read to the end of the log.
    agent.run(Input::Group(GroupInput::ReadAll), &mut |event| told.hear(event)).await?;
    let problem = agent.send_due(&mut |event| told.hear(event)).await?;
    told.say();
    Ok(problem)
}

fn state(wake: &GroupWakeRecord) -> &'static str {
    match wake {
        GroupWakeRecord { expires: 0, .. } => "ending",
        GroupWakeRecord { confirmed: true, .. } => "set",
        GroupWakeRecord { problem: Some(_), .. } => "refused",
        _ => "waiting",
    }
}

fn is_open((group, _): &&(GroupSummary, GroupWakeRecord)) -> bool {
    matches!(group.group.standing, GroupStanding::Active | GroupStanding::Leaving)
}

fn json_of(wakes: &GroupWakes) -> WakeJson {
    let group = |(group, wake): &(GroupSummary, GroupWakeRecord)| GroupJson {
        id: HEXLOWER.encode(&group.id),
        name: group.group.name.clone(),
        state: state(wake),
        code: wake.problem.clone(),
        epoch: wake.epoch,
        expires: Some(wake.expires).filter(|expires| *expires != 0).map(time::iso),
    };
    WakeJson {
        endpoint: wakes.endpoint.as_ref().map(|endpoint| endpoint.as_str().to_owned()),
        groups: wakes.told.iter().filter(is_open).map(group).collect(),
    }
}

fn text_of(wakes: &GroupWakes) -> String {
    let mut text = match &wakes.endpoint {
        Some(endpoint) => format!("This device is woken at {}.\n", endpoint.as_str()),
        None => "This device is not woken; it asks every 15 minutes while it runs.\n".to_owned(),
    };
    for (group, wake) in wakes.told.iter().filter(is_open) {
        let (id, name) = (short(&group.id), output::line(&group.group.name));
        let line = match (state(wake), &wake.problem) {
            ("set", _) => format!("until {}", time::short(wake.expires)),
            (_, Some(code)) => reason(code),
            ("ending", None) => "its server has not forgotten it yet".to_owned(),
            (_, None) => "its server has not been told yet".to_owned(),
        };
        text.push_str(&format!("{id} \"{name}\": {line}\n"));
    }
    text
}

/// Why a server does not wake this device.
pub(super) fn reason(code: &str) -> String {
    match code {
        "WakeHostRefused" => {
            "its server calls no push service at this host; its operator can allow it (`wake_hosts`)".to_owned()
        }
        "GroupWakesFull" => "its server wakes as many devices as it can".to_owned(),
        code => format!("its server refuses ({code})"),
    }
}
