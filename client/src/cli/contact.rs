//! `medipeps contact add`, `medipeps contact list`

use std::path::Path;

use clap::Subcommand;
use medipeps_core::Address;
use medipeps_core::kind::{Conversation, Settings};
use serde::Serialize;

use super::org::{CertifiedJson, certified_text};
use super::{CommandError, mute, output, time};
use crate::engine::{ContactProblem, ContactSummary, Input};
use crate::shell::address::ServerAddress;
use crate::shell::agent::{AgentError, now};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Fetch and pin somebody's keys, and show the safety number
    Add(Add),
    /// Let somebody write to you who is a stranger: it gets your delivery key with the next thing it is sent
    Accept {
        /// Whose
        #[arg(value_name = "ADDRESS")]
        address: Address,
    },
    /// Give those whom you have accepted another delivery key; the present one ends after a week
    RenewKey,
    /// Show nothing more of what an account writes; it is not told
    Block {
        /// Whose
        #[arg(value_name = "ADDRESS")]
        address: Address,
    },
    /// Show again what an account writes
    Unblock {
        /// Whose
        #[arg(value_name = "ADDRESS")]
        address: Address,
    },
    /// Let an account's mail come without ringing
    Mute {
        /// Whose
        #[arg(value_name = "ADDRESS")]
        address: Address,
        /// Until when: 2026-11-30 (the end of that day, UTC) or 2026-11-30T18:00Z; without it until `unmute`
        #[arg(long, value_name = "DATE", value_parser = time::moment)]
        until: Option<u64>,
    },
    /// Let an account's mail ring again
    Unmute {
        /// Whose
        #[arg(value_name = "ADDRESS")]
        address: Address,
    },
    /// List contacts
    List {
        /// List the accounts that you have blocked, contacts or not
        #[arg(long)]
        blocked: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Whose
    #[arg(value_name = "ADDRESS")]
    address: Address,
    /// Where the server of the address's domain is, unless it is your own
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<ServerAddress>,
    /// Take keys that are not the pinned ones; compare safety numbers first, over the phone for instance
    #[arg(long)]
    accept_new_key: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A contact, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct ContactJson {
    address: String,
    safety_number: String,
    statement_version: u64,
    devices: usize,
    added_at: String,
    key_changed: bool,
    key_changed_at: Option<String>,
    verified: bool,
    verified_at: Option<String>,
    certified: Vec<CertifiedJson>,
    blocked: bool,
    muted: bool,
}

impl ContactJson {
    pub(super) fn with(contact: &ContactSummary, settings: &Settings) -> Self {
        Self {
            address: contact.address.to_string(),
            safety_number: contact.safety_number.clone(),
            statement_version: contact.statement_version,
            devices: contact.devices,
            added_at: time::iso(contact.added),
            key_changed: contact.key_changed,
            key_changed_at: contact.key_changed_at.map(time::iso),
            verified: contact.verified.is_some(),
            verified_at: contact.verified.map(time::iso),
            certified: Vec::new(),
            blocked: settings.is_blocked(&contact.address),
            muted: settings.is_muted(&Conversation::Account(contact.address.clone()), now().0),
        }
    }
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Add(arguments) => add(home, arguments).await,
        Command::Accept { address } => accept(home, address).await,
        Command::RenewKey => renew_key(home).await,
        Command::Block { address } => mute::block(home, &address, true).await,
        Command::Unblock { address } => mute::block(home, &address, false).await,
        Command::Mute { address, until } => mute::mute_contact(home, &address, until).await,
        Command::Unmute { address } => mute::unmute_contact(home, &address).await,
        Command::List { blocked: true, json } => list_blocked(home, json),
        Command::List { blocked: false, json } => list(home, json),
    }
}

async fn accept(home: &Path, address: Address) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    if agent.settings()?.is_blocked(&address) {
        return Err(CommandError::Failed(format!("{address} is blocked; `contact unblock {address}` first")));
    }
    agent.run(Input::Accept(address.clone()), &mut |_| {}).await?;
    agent.close().await;
    output::print(&format!("{address} may write to you like those whom you write to.\n"))
}

async fn renew_key(home: &Path) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let failure = agent.run(Input::RenewDeliveryKey, &mut |_| {}).await?.map(|failure| failure.to_string());
    let problem = agent.send_due(&mut |_| {}).await?.or(failure);
    let is_set = agent.status()?.delivery_key.is_some_and(|key| key.is_set);
    agent.close().await;
    match (is_set, problem) {
        (true, _) => {
            output::print("Those whom you have accepted get the new key with the next thing that they are sent.\n")
        }
        (false, problem) => output::print(&format!(
            "The new key is made; the server is told with the next `sync`{}.\n",
            problem.map(|why| format!(" ({why})")).unwrap_or_default()
        )),
    }
}

async fn add(home: &Path, arguments: Add) -> Result<(), CommandError> {
    let Add { address, server, accept_new_key, json } = arguments;
    let mut agent = super::open(home)?;
    if let Some(server) = server {
        let set = Input::SetServer { domain: address.domain().to_owned(), endpoint: server.to_string() };
        agent.run(set, &mut |_| {}).await?;
    }
    let new = match agent.add_contact(&address, accept_new_key, &mut |_| {}).await {
        Ok(new) => new,
        Err(error) => {
            agent.close().await;
            return Err(match error {
                AgentError::Contact { problem, .. } => CommandError::Failed(refused(&address, &problem)),
                error => error.into(),
            });
        }
    };
    let (contacts, settings) = (agent.contacts()?, agent.settings()?);
    agent.close().await;
    let contact = contacts.iter().find(|contact| contact.address == address);
    let contact = contact.ok_or_else(|| CommandError::Failed("the contact was not stored".to_owned()))?;
    if json {
        return output::print_json(&ContactJson::with(contact, &settings));
    }
    let state = if new { "is pinned" } else { "is known by its newest keys" };
    output::print(&format!(
        "{address} {state}. Safety number:\n\n{}\nCompare it with what {address} sees for you, over the phone or face to face. If it differs, somebody stands\nbetween you.\n",
        safety_number_lines(&contact.safety_number)
    ))
}

/// Sixty digits in three lines of four groups.
pub(super) fn safety_number_lines(number: &str) -> String {
    let groups: Vec<&str> = number.split(' ').collect();
    groups.chunks(4).map(|line| format!("  {}\n", line.join(" "))).collect()
}

fn refused(address: &Address, problem: &ContactProblem) -> String {
    match problem {
        ContactProblem::KeyChanged => format!(
            "the server gives other keys for {address} than the pinned ones. Either {address} has a new account key, or somebody stands between you.\n  Ask {address} by another way, over the phone for instance. If the keys are right, run `contact add {address} --accept-new-key` and compare the safety number"
        ),
        ContactProblem::UnknownAccount => format!("its server does not know {address}; check the spelling"),
        problem => format!("{address} was not accepted: {problem}"),
    }
}

fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let (contacts, mut certified) = (agent.contacts()?, agent.certified_contacts()?);
    let settings = agent.settings()?;
    let is_muted =
        |contact: &ContactSummary| settings.is_muted(&Conversation::Account(contact.address.clone()), now().0);
    if json {
        let contact = |contact: &ContactSummary| {
            let certified = certified.get(&contact.address).into_iter().flatten().map(CertifiedJson::from).collect();
            ContactJson { certified, ..ContactJson::with(contact, &settings) }
        };
        return output::print_json(&contacts.iter().map(contact).collect::<Vec<_>>());
    }
    if contacts.is_empty() {
        return output::print("No contacts yet. `contact add ADDRESS` adds one.\n");
    }
    let mut rows = vec![["ADDRESS", "ADDED", "KEYS", "SAFETY NUMBER", "CERTIFIED AS"].map(str::to_owned).to_vec()];
    rows.extend(contacts.iter().map(|contact| {
        let keys = match (contact.key_changed, contact.verified, contact.key_changed_at) {
            (true, _, _) => "CHANGED, not accepted".to_owned(),
            (false, Some(at), _) => format!("verified {}", time::short(at)),
            (false, None, Some(at)) => format!("NEW since {}", time::short(at)),
            (false, None, None) => "pinned".to_owned(),
        };
        let keys = match (settings.is_blocked(&contact.address), is_muted(contact)) {
            (true, _) => format!("{keys}; blocked"),
            (false, true) => format!("{keys}; muted"),
            (false, false) => keys,
        };
        let certified = certified.remove(&contact.address).unwrap_or_default();
        let certified: Vec<_> = certified.iter().map(certified_text).collect();
        let (added, number) = (time::short(contact.added), contact.safety_number.clone());
        vec![contact.address.to_string(), added, keys, number, certified.join("; ")]
    }));
    output::print(&output::columns(&rows))
}

/// An account that is blocked, as JSON has it.
#[derive(Debug, Serialize)]
struct BlockedJson {
    address: String,
    since: String,
}

fn list_blocked(home: &Path, json: bool) -> Result<(), CommandError> {
    let (blocked, _) = super::open(home)?.settings()?.entries();
    let blocked = blocked.into_iter().filter(|entry| entry.blocked);
    let shown: Vec<_> =
        blocked.map(|entry| BlockedJson { address: entry.address.to_string(), since: time::iso(entry.at) }).collect();
    if json {
        return output::print_json(&shown);
    }
    if shown.is_empty() {
        return output::print("You have blocked nobody.\n");
    }
    let mut rows = vec![["ADDRESS", "SINCE"].map(str::to_owned).to_vec()];
    rows.extend(shown.into_iter().map(|one| vec![one.address, one.since]));
    output::print(&output::columns(&rows))
}
