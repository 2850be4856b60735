//! The server under load: one of our own, as a process, or one that runs already.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::connection::{Connection, ServerExpectation, ServerTrust};
use medipeps_core::invitation::Invitation;
use rustix::process::{Pid, Signal, kill_process};

use crate::arguments::Arguments;
use crate::error::LoadError;
use crate::invitations;
use crate::usage::Usage;
use crate::wire::Place;

/// The domain of our own server.
const DOMAIN: &str = "load.example";
/// How the line begins that a server prints once it can be used.
const READY: &str = "listening on ";
/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A rate that nothing meets: what is measured is the server, not its limits.
const UNLIMITED: &str = "{ burst = 1000000, per_minute = 60000000 }";
/// Rates that a load meets otherwise. All clients come from a few network addresses.
const RAISED_RATES: &[&str] =
    &["submit_per_recipient", "submit_per_address", "proofs_per_address", "requests_per_account"];
/// A hospital's accounts come in the course of weeks; here they come at once.
const RAISED_ALWAYS: &str = "registrations_per_address";

/// A server of our own. Dropping it kills the process and deletes its data.
#[derive(Debug)]
pub(crate) struct OwnServer {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

/// Where the load goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) own: Option<OwnServer>,
    pub(crate) invitations: Vec<Invitation>,
}

impl Target {
    /// Starts a server, or finds the one that was named, and has an invitation for each client.
    pub(crate) async fn find(arguments: &Arguments) -> Result<Self, LoadError> {
        let clients = arguments.clients().max(1);
        if let (Some(server), Some(file)) = (&arguments.server, &arguments.invitations) {
            let invitations = invitations::read(file, clients)?;
            let place = named_server(server, &invitations).await?;
            return Ok(Self { place, own: None, invitations });
        }
        let own = OwnServer::start(arguments)?;
        let invitations = invitations::draw(&own.folder.join("data").join("control.sock"), clients).await?;
        let key_hash = invitations.first().map_or([0; 32], |invitation| invitation.server_key_hash);
        let (address, host, domain) = (own.address, own.address.ip().to_string(), DOMAIN.to_owned());
        Ok(Self {
            place: Place { address, host, domain, key_hash, one_source: arguments.default_limits },
            own: Some(own),
            invitations,
        })
    }

    /// Memory and CPU of the server, where it is ours.
    pub(crate) fn usage(&self) -> Option<Usage> {
        Usage::of(self.own.as_ref()?.child.id())
    }
}

impl OwnServer {
    fn start(arguments: &Arguments) -> Result<Self, LoadError> {
        let program = match &arguments.server_program {
            Some(program) => program.clone(),
            None => beside_this_program("medipeps-server")?,
        };
        if !program.is_file() {
            return Err(LoadError::NoServer(program));
        }
        let folder = arguments.out.join("server");
        // What a run that was killed has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(LoadError::system(folder.display().to_string()))?;
        let (config, log) = (folder.join("server.toml"), folder.join("server.log"));
        fs::write(&config, configuration(arguments)).map_err(LoadError::system(config.display().to_string()))?;
        let output = || File::options().create(true).append(true).open(&log);
        let output = || output().map_err(LoadError::system(log.display().to_string()));
        let mut command = Command::new(&program);
        command.arg("run").arg("--config").arg(&config).stdin(Stdio::null()).stdout(output()?).stderr(output()?);
        // ^C ends the load, which then ends the server.
        command.process_group(0);
        let child = command.spawn().map_err(LoadError::system(program.display().to_string()))?;
        let mut server = Self { child, folder, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        server.address = server.wait(&log)?;
        Ok(server)
    }

    /// Waits for the address that it listens on.
    fn wait(&mut self, log: &Path) -> Result<SocketAddr, LoadError> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            let said = fs::read_to_string(log).unwrap_or_default();
            let address = said.lines().find_map(|line| line.strip_prefix(READY)?.split(',').next()?.parse().ok());
            if let Some(address) = address {
                return Ok(address);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        // The folder goes when this is dropped; what was said must stay.
        let kept = self.folder.with_extension("log");
        let _ = fs::copy(log, &kept);
        Err(LoadError::NotStarted { log: kept })
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let asked = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = asked.is_some_and(|process| kill_process(process, Signal::TERM).is_ok());
        let start = Instant::now();
        while asked && start.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The address, the domain and the key of a server that runs already.
async fn named_server(server: &ServerAddress, invitations: &[Invitation]) -> Result<Place, LoadError> {
    let key_hash = invitations.first().map_or([0; 32], |invitation| invitation.server_key_hash);
    let failed = LoadError::server("the server");
    let expected = ServerExpectation { address: server, trust: ServerTrust::Pinned(key_hash), domain: None };
    let connection = Connection::anonymous(&expected).await.map_err(|error| failed(&error))?;
    let domain = connection.domain().to_owned();
    connection.close().await;
    let addresses = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
    let address = addresses.map_err(LoadError::system(server.to_string()))?.next();
    let address = address.ok_or_else(|| failed(&"its name has no address"))?;
    Ok(Place { address, host: server.host.clone(), domain, key_hash, one_source: false })
}

fn beside_this_program(name: &str) -> Result<PathBuf, LoadError> {
    let this = std::env::current_exe().map_err(LoadError::system("this program's own path"))?;
    Ok(this.with_file_name(name))
}

/// A configuration whose limits the load does not meet, unless it is to.
fn configuration(arguments: &Arguments) -> String {
    let required =
        format!("domain = \"{DOMAIN}\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\nlog_filter = \"warn\"\n");
    let websocket = arguments.websocket;
    let always = format!("[transport]\nwebsocket = {websocket}\n[rate]\n{RAISED_ALWAYS} = {UNLIMITED}\n");
    if arguments.default_limits {
        return required + &always;
    }
    let connections = arguments.idle + 2 * arguments.active + 64;
    let rates: String = RAISED_RATES.iter().map(|name| format!("{name} = {UNLIMITED}\n")).collect();
    format!(
        "{required}[queue]\nmessages_max = 100000000\nbytes_max = 1000000000000\n\
         [connection]\nconnections_max = {connections}\nconnections_per_address_max = {connections}\n{always}{rates}"
    )
}
