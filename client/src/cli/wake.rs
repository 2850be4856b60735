//! `medipeps wake`: where this device is woken when something comes and no program is connected.

use std::path::Path;

use clap::Args;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::client_records::{GroupStanding, GroupWakeRecord, WakeRecord};
use medipeps_core::wire::transport::FetchPushServicesReply;
use serde::Serialize;

use super::group::short;
use super::group_told::Told;
use super::{CommandError, output, time};
use crate::engine::{GroupInput, GroupSummary, Input, Wakes};
use crate::shell::agent::Agent;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where: the https address of a push subscription of this device, as a UnifiedPush distributor gives it, with #p256dh=KEY&auth=SECRET
    /// behind it if it has keys; or an app's token, apns:APP/TOKEN or fcm:PROJECT/TOKEN. Without one, show what is set
    #[arg(value_name = "ENDPOINT", conflicts_with_all = ["off", "services"])]
    endpoint: Option<PushEndpoint>,
    /// Not any more: the device asks every 15 minutes while it runs, as it does anyway
    #[arg(long, conflicts_with = "services")]
    off: bool,
    /// Ask the account's server which push services it calls, and for the key that a subscription needs (VAPID)
    #[arg(long)]
    services: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct WakeJson {
    endpoint: Option<String>,
    state: Option<&'static str>,
    code: Option<String>,
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

#[derive(Debug, Serialize)]
struct ServicesJson {
    vapid_key: Option<String>,
    apns: Vec<String>,
    fcm: Vec<String>,
}

pub(super) async fn run(home: &Path, arguments: Arguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    if arguments.services {
        let services = agent.push_services(&mut |_| {}).await;
        agent.close().await;
        return print_services(services?, arguments.json);
    }
    let result = set(&mut agent, &arguments).await;
    let shown = agent.wakes();
    agent.close().await;
    let problem = result?;
    let wakes = shown?;
    if let Some(problem) = problem {
        eprintln!("not every server has been told yet: {problem}; `sync` goes on with it");
    }
    if arguments.json { output::print_json(&json_of(&wakes)) } else { output::print(&text_of(&wakes)) }
}

/// Stores what was asked for, and tells the own server and those of all groups.
async fn set(agent: &mut Agent, arguments: &Arguments) -> Result<Option<String>, CommandError> {
    if arguments.endpoint.is_none() && !arguments.off {
        return Ok(None);
    }
    let mut told = Told::default();
    agent.run(Input::Wake(arguments.endpoint.clone()), &mut |event| told.hear(event)).await?;
    // A server takes it from whoever has read to the end of the log.
    agent.run(Input::Group(GroupInput::ReadAll), &mut |event| told.hear(event)).await?;
    let problem = agent.send_due(&mut |event| told.hear(event)).await?;
    told.say();
    Ok(problem)
}

fn print_services(services: FetchPushServicesReply, json: bool) -> Result<(), CommandError> {
    let FetchPushServicesReply { vapid_key, apns, fcm } = services;
    let vapid_key = vapid_key.map(|key| BASE64URL_NOPAD.encode(&key));
    if json {
        return output::print_json(&ServicesJson { vapid_key, apns, fcm });
    }
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let key = vapid_key.as_deref().unwrap_or("none: its calls are not signed");
    output::print(&format!(
        "Key for push subscriptions (VAPID): {key}\nApps woken through Apple: {}\nFirebase projects: {}\n",
        list(&apns),
        list(&fcm)
    ))
}

fn own_state(wake: &WakeRecord) -> &'static str {
    match wake {
        WakeRecord { endpoint: None, .. } => "ending",
        WakeRecord { told: true, .. } => "set",
        WakeRecord { problem: Some(_), .. } => "refused",
        _ => "waiting",
    }
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

fn json_of(wakes: &Wakes) -> WakeJson {
    let group = |(group, wake): &(GroupSummary, GroupWakeRecord)| GroupJson {
        id: HEXLOWER.encode(&group.id),
        name: group.group.name.clone(),
        state: state(wake),
        code: wake.problem.clone(),
        epoch: wake.epoch,
        expires: Some(wake.expires).filter(|expires| *expires != 0).map(time::iso),
    };
    let own = wakes.own.as_ref();
    WakeJson {
        endpoint: own.and_then(|own| own.endpoint.as_ref()).map(|endpoint| endpoint.as_str().to_owned()),
        state: own.map(own_state),
        code: own.and_then(|own| own.problem.clone()),
        groups: wakes.groups.iter().filter(is_open).map(group).collect(),
    }
}

fn text_of(wakes: &Wakes) -> String {
    let mut text = match wakes.own.as_ref().and_then(|own| own.endpoint.as_ref()) {
        Some(endpoint) => format!("This device is woken at {}.\n", endpoint.as_str()),
        None => "This device is not woken; it asks every 15 minutes while it runs.\n".to_owned(),
    };
    if let Some(own) = &wakes.own {
        text.push_str(&format!("mail: {}\n", told(own_state(own), own.problem.as_deref(), None)));
    }
    for (group, wake) in wakes.groups.iter().filter(is_open) {
        let (id, name) = (short(&group.id), output::line(&group.group.name));
        let until = Some(wake.expires).filter(|expires| *expires != 0);
        text.push_str(&format!("{id} \"{name}\": {}\n", told(state(wake), wake.problem.as_deref(), until)));
    }
    text
}

fn told(state: &str, problem: Option<&str>, until: Option<u64>) -> String {
    match (state, problem, until) {
        ("set", _, Some(until)) => format!("until {}", time::short(until)),
        ("set", ..) => "set".to_owned(),
        (_, Some(code), _) => reason(code),
        ("ending", None, _) => "its server has not forgotten it yet".to_owned(),
        (_, None, _) => "its server has not been told yet".to_owned(),
    }
}

/// Why a server does not wake this device.
pub(super) fn reason(code: &str) -> String {
    match code {
        "PushServiceRefused" => {
            "its server does not call this push service; its operator can allow it (`[push]` in its configuration)"
                .to_owned()
        }
        "GroupWakesFull" => "its server wakes as many devices as it can".to_owned(),
        code => format!("its server refuses ({code})"),
    }
}
