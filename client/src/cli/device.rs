//! `medipeps device`: the devices of the account, and linking a further one.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use medipeps_core::Address;
use medipeps_core::linking::LinkingCode;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::{CommandError, output, passphrase, progress, qr, rename, revoke, time};
use crate::account_store::HandleError;
use crate::engine::{DeviceSummary, Event, Input, LinkDevice, LinkProblem, LinkProgress};
use crate::limits::{LINKING_POLL, LINKING_WAIT};
use crate::shell::address::ServerAddress;
use crate::shell::agent::{Agent, AgentError, NetworkError};
use crate::store::StoreError;
use crate::store::seal::Unlock;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Link a device: on the new one with the account's ADDRESS and --server, on a primary one with the CODE that the
    /// new one shows. Run again, it goes on where it was stopped
    Link(Link),
    /// List the account's devices
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take another device off the account; on a primary device
    Revoke(revoke::Revoke),
    /// Call a device by another name, on all devices of the account; the server does not learn it
    Rename(rename::Rename),
}

#[derive(Debug, clap::Args)]
pub(super) struct Link {
    /// The account's address (on the new device), or the code that the new device shows (on a primary device)
    #[arg(value_name = "ADDRESS|CODE")]
    what: String,
    /// New device: where the account's server is
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<ServerAddress>,
    /// New device: what you call it, as "Ward tablet"; the server does not learn it
    #[arg(long, value_name = "NAME", requires = "server", default_value = "")]
    name: String,
    /// New device: throw away a linking that was begun here
    #[arg(long, requires = "server")]
    anew: bool,
    /// Primary device: let the new device hold the account key too, so that it can link and revoke devices
    #[arg(long, conflicts_with = "server")]
    primary: bool,
}

/// A device, as JSON has it.
#[derive(Debug, Serialize)]
struct DeviceJson {
    id: u32,
    name: Option<String>,
    primary: bool,
    since: String,
    this_device: bool,
}

/// What came of a linking.
#[derive(Debug, Default)]
struct Told {
    problem: Option<LinkProblem>,
    /// What to say when it is linked.
    linked: Option<String>,
    left_out: u32,
    finished: bool,
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    match command {
        Command::List { json } => list(home, json),
        Command::Revoke(arguments) => revoke::run(home, arguments).await,
        Command::Rename(arguments) => rename::run(home, arguments).await,
        Command::Link(link) => match &link.server {
            Some(server) => become_device(home, &link, server).await,
            None if link.what.contains('@') => Err(CommandError::Use(
                "say where the account's server is: --server HOST:PORT; a code is given without it".to_owned(),
            )),
            None => link_device(home, &link).await,
        },
    }
}

fn list(home: &Path, json: bool) -> Result<(), CommandError> {
    let devices = super::open(home)?.devices()?;
    if json {
        return output::print_json(&devices.iter().map(DeviceJson::from).collect::<Vec<_>>());
    }
    let mut rows = vec![["ID", "NAME", "KIND", "SINCE", ""].map(str::to_owned).to_vec()];
    rows.extend(devices.iter().map(|device| {
        vec![
            device.device_id.to_string(),
            output::line(device.name.as_deref().unwrap_or("-")),
            if device.primary { "primary" } else { "" }.to_owned(),
            time::short(device.since.saturating_mul(1000)),
            if device.this_device { "this device" } else { "" }.to_owned(),
        ]
    }));
    output::print(&output::columns(&rows))
}

impl From<&DeviceSummary> for DeviceJson {
    fn from(device: &DeviceSummary) -> Self {
        Self {
            id: device.device_id,
            name: device.name.clone(),
            primary: device.primary,
            since: time::iso(device.since.saturating_mul(1000)),
            this_device: device.this_device,
        }
    }
}

/// The side of the new device.
async fn become_device(home: &Path, link: &Link, server: &ServerAddress) -> Result<(), CommandError> {
    let address: Address =
        link.what.parse().map_err(|error| CommandError::Use(format!("{}: {error}", output::line(&link.what))))?;
    let mut agent = open_or_create(home)?;
    let mut told = Told::default();
    let (name, anew) = (link.name.trim(), link.anew);
    agent.become_device(&address, server, name, anew, &mut |event| told.hear(event)).await?;
    if let Err(error) = follow(&mut agent, &mut told).await {
        agent.close().await;
        return Err(error);
    }
    // A device is written to once it has prekeys at the server; they are drawn when it first proves itself.
    let synced = agent.sync(Duration::ZERO, &mut |event| told.hear(event)).await;
    agent.close().await;
    if told.left_out > 0 {
        eprintln!("{} contacts did not fit; they come with the other devices' next changes", told.left_out);
    }
    output::print(&told.linked.unwrap_or_else(|| format!("This is a device of {address}.\n")))?;
    synced.map_err(|error| CommandError::Failed(format!("its prekeys are not published yet: {error}; run `sync`")))
}

/// The side of a primary device.
async fn link_device(home: &Path, link: &Link) -> Result<(), CommandError> {
    let code: LinkingCode = link.what.parse().map_err(|error| CommandError::Use(format!("{error}")))?;
    let mut agent = super::open(home)?;
    let mut told = Told::default();
    let command = LinkDevice { code, make_primary: link.primary };
    let failure = agent.run(Input::LinkDevice(command), &mut |event| told.hear(event)).await;
    let result = match failure {
        Ok(Some(failure)) => Err(failure.into()),
        Ok(None) => follow(&mut agent, &mut told).await,
        Err(error) => Err(error.into()),
    };
    agent.close().await;
    result?;
    match told.linked {
        Some(linked) if told.finished => output::print(&linked),
        Some(linked) => {
            output::print(&linked)?;
            eprintln!("the other device has not taken its grant yet; it does so when it runs its command again");
            Ok(())
        }
        None => output::print("The other device is linked.\n"),
    }
}

/// A home is made where there is none; one whose making was interrupted is none either.
fn open_or_create(home: &Path) -> Result<Agent, CommandError> {
    if Agent::exists(home) {
        match super::open(home) {
            Err(CommandError::Agent(AgentError::Handle(HandleError::Store(StoreError::Missing)))) => {}
            opened => return opened,
        }
    }
    Ok(Agent::create(home, &Unlock::Passphrase(passphrase::ask_new()?.as_bytes()))?)
}

/// Goes from step to step, shows the code and asks for the digits, until it is linked or over. Ctrl-C ends it as a no
/// does, as long as a no can.
async fn follow(agent: &mut Agent, told: &mut Told) -> Result<(), CommandError> {
    let mut shown = None;
    let mut asked: Option<oneshot::Receiver<bool>> = None;
    let mut patience: Option<Instant> = None;
    let mut interrupted = std::pin::pin!(progress::interrupted());
    loop {
        if let Some(problem) = told.problem.take() {
            return Err(CommandError::Failed(problem.to_string()));
        }
        let Some(now) = agent.link_progress()? else { return Ok(()) };
        if shown.as_ref() != Some(&now) {
            say(&now)?;
            if matches!(now, LinkProgress::Compare { .. }) {
                asked = Some(ask());
            }
            shown = Some(now.clone());
        }
        match now {
            LinkProgress::Linked => return Ok(()),
            LinkProgress::Agreed | LinkProgress::Granting | LinkProgress::Granted => {
                let until = *patience.get_or_insert_with(|| Instant::now() + LINKING_WAIT);
                if Instant::now() >= until {
                    return match now {
                        LinkProgress::Granted => Ok(()),
                        _ => Err(CommandError::Failed(
                            "the other device does not go on; run the command again".to_owned(),
                        )),
                    };
                }
            }
            _ => {}
        }
        let answer = async {
            match &mut asked {
                Some(asked) => asked.await.unwrap_or(false),
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            agreed = answer => {
                asked = None;
                Input::LinkDecide { agreed }
            }
            () = sleep(LINKING_POLL) => Input::LinkTick,
            result = &mut interrupted => {
                result?;
                agent.run(Input::LinkDecide { agreed: false }, &mut |event| told.hear(event)).await?;
                return Err(CommandError::Interrupted(match agent.link_progress()? {
                    None => "nothing was linked",
                    Some(_) => "the same command goes on with the linking",
                }));
            }
        };
        let failure = agent.run(input, &mut |event| told.hear(event)).await?;
        if let Some(error) = failure.filter(is_final) {
            return Err(error.into());
        }
    }
}

/// A server that is away for a moment is asked again; one that is another is not.
fn is_final(failure: &NetworkError) -> bool {
    use crate::shell::connection::ConnectError;

    matches!(
        failure,
        NetworkError::Connect(
            ConnectError::ServerKeyChanged { .. } | ConnectError::WrongDomain { .. } | ConnectError::HelloSignature
        )
    )
}

/// Says what a person has to know or to do.
fn say(progress: &LinkProgress) -> Result<(), CommandError> {
    match progress {
        LinkProgress::Preparing => eprintln!("Asking the server..."),
        LinkProgress::ShowCode(code) => {
            let code = code.to_string();
            output::print(&format!(
                "Scan this on a primary device of the account, or run there: medipeps device link CODE\n\n{}\n{code}\n\nIt is good for ten minutes. Show it to nobody else.\n",
                qr::draw(&code)?
            ))?;
        }
        LinkProgress::Meeting => eprintln!("Waiting for the other device..."),
        LinkProgress::Compare { digits, name } => {
            if let Some(name) = name.as_ref().filter(|name| !name.is_empty()) {
                output::print(&format!("The new device calls itself \"{}\".\n", output::line(name)))?;
            }
            output::print(&format!("Do both devices show {digits}? Type yes: "))?;
        }
        LinkProgress::Agreed => eprintln!("Waiting for the other device to agree..."),
        LinkProgress::Granting => eprintln!("Publishing the list of devices..."),
        LinkProgress::Granted => eprintln!("Waiting until the other device has taken its grant..."),
        LinkProgress::Linked => {}
    }
    Ok(())
}

/// Reads a line in a thread of its own, so that the linking goes on meanwhile and notices when the other side stops.
fn ask() -> oneshot::Receiver<bool> {
    let (tell, answer) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let _ = std::io::stdout().flush();
        // Nobody may be left to hear it.
        let _ = tell.send(read.is_ok() && line.trim().eq_ignore_ascii_case("yes"));
    });
    answer
}

impl Told {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::LinkFailed(problem) => self.problem = Some(problem.clone()),
            Event::Linked { address, device_id, contacts, contacts_left_out } => {
                self.linked =
                    Some(format!("This is device {device_id} of {address} now; {contacts} contacts came with it.\n"));
                self.left_out = *contacts_left_out;
            }
            Event::DeviceLinked { device_id, name, primary } => {
                let kind = if *primary { "primary device" } else { "device" };
                let called = if name.is_empty() { String::new() } else { format!(" \"{}\"", output::line(name)) };
                self.linked = Some(format!("{kind} {device_id}{called} is linked.\n"));
            }
            Event::LinkFinished => self.finished = true,
            _ => {}
        }
    }
}
