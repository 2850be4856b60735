//! `medipeps domain`: where the accounts of other domains are reached, and the trust list.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use data_encoding::HEXLOWER;
use medipeps_core::address::is_domain;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::limits::TRUST_LIST_LENGTH_MAX;
use serde::Serialize;

use super::{CommandError, output, time};
use crate::account_store::{DomainSource, DomainSummary, TrustListSummary};
use crate::engine::{DomainEvent, DomainInput, Event, Input};
use crate::shell::address::ServerAddress;
use crate::shell::agent::{Agent, now};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say where the accounts of a domain are reached
    Add {
        /// What stands behind the @ of their addresses
        #[arg(value_name = "DOMAIN", value_parser = domain)]
        domain: String,
        /// Where their server is
        #[arg(value_name = "HOST:PORT")]
        server: ServerAddress,
        /// By which key it is known, as `medipeps-server run` prints it; without it the first connection must show a
        /// certificate of a public authority, and pins the key
        #[arg(long, value_name = "HASH", value_parser = hash)]
        server_key: Option<[u8; 32]>,
    },
    /// Forget what was said, or found in DNS, about a domain, the key of its server included
    Remove {
        /// Which
        #[arg(value_name = "DOMAIN", value_parser = domain)]
        domain: String,
    },
    /// List the domains that are known, and the state of the trust list
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Find the server of a domain, connect to it, and show which it is: set, on the trust list, or in DNS
    Find {
        /// Which
        #[arg(value_name = "DOMAIN", value_parser = domain)]
        domain: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow a trust list: a signed list of the domains that belong to a space of trust
    Trust {
        /// The public key of whoever signs it, 64 hexadecimal digits
        #[arg(long, value_name = "KEY", value_parser = key)]
        signer: VerifyingKey,
        /// The list, from a file; without it the own server is asked
        #[arg(long, value_name = "FILE")]
        list: Option<PathBuf>,
        /// Reach no domain that is not on the list
        #[arg(long)]
        only_listed: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a newer trust list
    Update {
        /// From a file; without it the own server is asked
        #[arg(long, value_name = "FILE")]
        list: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Follow no trust list any more
    Distrust,
}

fn domain(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if is_domain(&text) { Ok(text) } else { Err("that is not a domain name".to_owned()) }
}

fn hash(text: &str) -> Result<[u8; 32], String> {
    let bytes = HEXLOWER.decode(text.trim().to_ascii_lowercase().as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "64 hexadecimal digits are needed".to_owned())
}

fn key(text: &str) -> Result<VerifyingKey, String> {
    VerifyingKey::from_slice(&hash(text)?).map_err(|_| "that is not a public key".to_owned())
}

/// A domain, as JSON has it.
#[derive(Debug, Serialize)]
struct DomainJson {
    domain: String,
    source: &'static str,
    server: Option<String>,
    server_key: Option<String>,
    left_at: Option<String>,
}

/// The trust list, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct TrustListJson {
    signer: String,
    only_listed: bool,
    number: Option<u64>,
    issued_at: Option<String>,
    expires_at: Option<String>,
    expired: bool,
    domains: usize,
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct ListJson {
    trust_list: Option<TrustListJson>,
    domains: Vec<DomainJson>,
}

/// What came of a look for a newer list, as JSON has it.
#[derive(Debug, Serialize)]
struct UpdateJson {
    taken: bool,
    joined: Vec<String>,
    left: Vec<String>,
    trust_list: Option<TrustListJson>,
}

#[derive(Debug, Serialize)]
struct FoundJson {
    domain: String,
    server: String,
    server_key: String,
}

impl From<DomainSummary> for DomainJson {
    fn from(one: DomainSummary) -> Self {
        let (source, left_at) = match one.source {
            DomainSource::Person => ("set", None),
            DomainSource::TrustList => ("trust_list", None),
            DomainSource::Dns => ("dns", None),
            DomainSource::Left { at, .. } => ("left", Some(time::iso(at))),
        };
        let server_key = one.server_key_hash.map(|hash| HEXLOWER.encode(&hash));
        Self { domain: one.domain, source, server: one.endpoint, server_key, left_at }
    }
}

impl From<TrustListSummary> for TrustListJson {
    fn from(list: TrustListSummary) -> Self {
        let at = |time: u64| list.number.map(|_| time::iso(time));
        Self {
            signer: HEXLOWER.encode(list.signer.as_bytes()),
            only_listed: list.only_listed,
            issued_at: at(list.issued),
            expires_at: at(list.expires),
            number: list.number,
            expired: list.is_over,
            domains: list.domains,
            problem: list.problem,
        }
    }
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    match command {
        Command::Add { domain, server, server_key } => {
            let own = agent.credentials()?.is_some_and(|own| own.address.domain() == domain);
            if own {
                return Err(CommandError::Failed(format!("{domain} is the domain of your own account")));
            }
            let (endpoint, server_key_hash) = (server.to_string(), server_key);
            let set = DomainInput::Set { domain: domain.clone(), endpoint, server_key_hash };
            agent.run(Input::Domain(set), &mut |_| {}).await?;
            output::print(&format!("The accounts of {domain} are reached at {server}.\n"))
        }
        Command::Remove { domain } => {
            agent.run(Input::Domain(DomainInput::Remove { domain: domain.clone() }), &mut |_| {}).await?;
            output::print(&format!("Forgotten: where the accounts of {domain} are reached.\n"))
        }
        Command::List { json } => list(&mut agent, json),
        Command::Find { domain, json } => find(agent, domain, json).await,
        Command::Trust { signer, list, only_listed, json } => {
            agent.run(Input::Domain(DomainInput::Follow { signer, only_listed }), &mut |_| {}).await?;
            update(agent, list.as_deref(), json).await
        }
        Command::Update { list, json } => update(agent, list.as_deref(), json).await,
        Command::Distrust => {
            agent.run(Input::Domain(DomainInput::Unfollow), &mut |_| {}).await?;
            output::print("No trust list is followed any more.\n")
        }
    }
}

fn list(agent: &mut Agent, json: bool) -> Result<(), CommandError> {
    let (domains, list) = (agent.domains()?, agent.trust_list()?);
    if json {
        let domains = domains.into_iter().map(DomainJson::from).collect();
        return output::print_json(&ListJson { trust_list: list.map(TrustListJson::from), domains });
    }
    let mut text = list.as_ref().map(trust_list_text).unwrap_or_default();
    if domains.is_empty() {
        text.push_str("No other domain is known. `domain add DOMAIN HOST:PORT` adds one; others are found in DNS.\n");
        return output::print(&text);
    }
    let mut rows = vec![["DOMAIN", "SERVER", "KNOWN BY", "SERVER KEY"].map(str::to_owned).to_vec()];
    rows.extend(domains.into_iter().map(|one| {
        let source = match one.source {
            DomainSource::Person => "you".to_owned(),
            DomainSource::TrustList => "trust list".to_owned(),
            DomainSource::Dns => "DNS".to_owned(),
            DomainSource::Left { number, at } => format!("LEFT with list {number}, {}", time::short(at)),
        };
        let hash = one.server_key_hash.map_or_else(|| "not pinned yet".to_owned(), |hash| HEXLOWER.encode(&hash));
        let server_key = if one.endpoint.is_some() { hash } else { String::new() };
        vec![one.domain, one.endpoint.unwrap_or_default(), source, server_key]
    }));
    text.push_str(&output::columns(&rows));
    output::print(&text)
}

/// How the trust list is, in one line or two.
pub(super) fn trust_list_text(list: &TrustListSummary) -> String {
    let signer = HEXLOWER.encode(list.signer.as_bytes());
    let mut text = match list.number {
        Some(number) => {
            let end = if list.is_over { "RAN OUT" } else { "runs out" };
            format!("Trust list {number} of {signer}: {} domains, {end} {}", list.domains, time::short(list.expires))
        }
        None => format!("Trust list of {signer}: none has come yet"),
    };
    if list.only_listed {
        text.push_str("; no other domain is reached");
    }
    text.push('\n');
    if let Some(problem) = &list.problem {
        text.push_str(&format!("  the last one that came was not taken: {}\n", output::line(problem)));
    }
    text
}

async fn find(mut agent: Agent, domain: String, json: bool) -> Result<(), CommandError> {
    let found = agent.find_server(&domain, &mut |_| {}).await;
    agent.close().await;
    let found = found?;
    let (server, server_key) = (found.server.to_string(), HEXLOWER.encode(&found.server_key_hash));
    if json {
        return output::print_json(&FoundJson { domain, server, server_key });
    }
    output::print(&format!("The accounts of {domain} are reached at {server}, server key {server_key}.\n"))
}

async fn update(mut agent: Agent, file: Option<&Path>, json: bool) -> Result<(), CommandError> {
    let input = match file {
        Some(path) => DomainInput::TakeList(read(path)?),
        None => DomainInput::AskForList,
    };
    let (mut taken, mut refused) = (None, None);
    let mut show = |event: &Event| match event {
        Event::Domain(DomainEvent::ListTaken { joined, left, .. }) => taken = Some((joined.clone(), left.clone())),
        Event::Domain(DomainEvent::ListRefused { problem }) => refused = Some(problem.clone()),
        _ => {}
    };
    let done = agent.run(Input::Domain(input), &mut show).await;
    let list = agent.trust_list();
    agent.close().await;
    let (failure, list) = (done?, list?);
    if let Some(problem) = refused {
        return Err(CommandError::Failed(format!("no trust list was taken: {problem}")));
    }
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    if json {
        let (joined, left) = taken.clone().unwrap_or_default();
        let trust_list = list.map(TrustListJson::from);
        return output::print_json(&UpdateJson { taken: taken.is_some(), joined, left, trust_list });
    }
    let mut text = list.as_ref().map(trust_list_text).unwrap_or_default();
    match taken {
        None => text.push_str("It is the newest.\n"),
        Some((joined, left)) => {
            joined.iter().for_each(|domain| text.push_str(&format!("  new: {domain}\n")));
            left.iter()
                .for_each(|domain| text.push_str(&format!("  LEFT: {domain}; nothing is sent there any more\n")));
        }
    }
    output::print(&text)
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let length = fs::metadata(path).map_err(CommandError::file(path.display()))?.len();
    if length > TRUST_LIST_LENGTH_MAX as u64 {
        return Err(CommandError::Failed(format!("{}: no trust list is so large", path.display())));
    }
    fs::read(path).map_err(CommandError::file(path.display()))
}

/// What a person is told who did not ask for it.
pub(super) fn told(event: &DomainEvent) -> Option<String> {
    match event {
        DomainEvent::ListTaken { left, .. } if !left.is_empty() => Some(format!(
            "these domains have left the trust list, and nothing is sent there any more: {}",
            left.join(", ")
        )),
        DomainEvent::ListRefused { problem } => {
            Some(format!("no newer trust list was taken: {}", output::line(problem)))
        }
        DomainEvent::ListTaken { .. } | DomainEvent::ListIsNewest => None,
    }
}

/// That a list runs out soon, for those who look how things are.
pub(super) fn warning(list: &TrustListSummary) -> Option<String> {
    const SOON_MS: u64 = 14 * 24 * 3600 * 1000;
    let soon = list.number.is_some() && list.expires <= now().0.saturating_add(SOON_MS);
    soon.then(|| trust_list_text(list).trim_end().to_owned())
}
