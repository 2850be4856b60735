//! A real server as a process: its configuration, its start, its sudden and its orderly end.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

use medipeps_core::invitation::Invitation;
use serde_json::Value;

use crate::process::{Ended, PATIENCE, Process, medipeps_server, medipeps_server_with_fail_points, run};

/// The domain of the tests' addresses.
pub const DOMAIN: &str = "clinic.example";
/// How the line begins that a server prints once it can be used.
const READY: &str = "listening on ";
/// Bytes of the log that a failure shows.
const LOG_TAIL: usize = 4000;

/// Settings with which so much may be asked that no limit is met.
pub const NO_LIMITS: &str = "[queue]\nmessages_max = 1000000\n[rate]\n\
    submit_per_recipient = { burst = 1000000, per_minute = 1000000 }\n\
    submit_per_address = { burst = 1000000, per_minute = 1000000 }\n\
    requests_per_recipient = { burst = 1000000, per_minute = 1000000 }\n\
    prekeys_per_recipient = { burst = 1000000, per_minute = 1000000 }\n\
    prekeys_per_address = { burst = 1000000, per_minute = 1000000 }\n\
    registrations_per_address = { burst = 1000000, per_minute = 1000000 }\n\
    proofs_per_address = { burst = 1000000, per_minute = 1000000 }\n\
    group_creations_per_address = { burst = 1000000, per_minute = 1000000 }\n\
    group_appends_per_log = { burst = 1000000, per_minute = 1000000 }\n\
    group_appends_per_address = { burst = 1000000, per_minute = 1000000 }\n\
    group_reads_per_address = { burst = 1000000, per_minute = 1000000 }\n";

/// A server with its folder. Dropping it kills the process; after a failed test it shows the end of the log.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    domain: &'static str,
    data_dir: &'static str,
    port: u16,
    process: Option<Process>,
    /// What processes before the present one have said.
    said_before: String,
}

impl Server {
    /// A server that runs, with the defaults.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, "")
    }

    /// A server that runs, with more lines in its configuration.
    #[track_caller]
    pub fn start_with(folder: &Path, settings: &str) -> Self {
        let mut server = Self::configured(folder, settings);
        server.run();
        server
    }

    /// A server of another domain that runs.
    #[track_caller]
    pub fn start_for(domain: &'static str, folder: &Path, settings: &str) -> Self {
        let mut server = Self::configured_for(domain, folder, settings);
        server.run();
        server
    }

    /// A server that does not run yet.
    pub fn configured(folder: &Path, settings: &str) -> Self {
        Self::configured_for(DOMAIN, folder, settings)
    }

    /// The same for another domain.
    pub fn configured_for(domain: &'static str, folder: &Path, settings: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let (port, data_dir) = (free_port(), "data");
        let folder = folder.to_owned();
        let server = Self { folder, domain, data_dir, port, process: None, said_before: String::new() };
        server.write_config(settings);
        server
    }

    /// Another data directory, beside the one so far.
    pub fn move_to(&mut self, data_dir: &'static str) {
        self.data_dir = data_dir;
        self.write_config("");
    }

    /// Starts the process and waits until it is ready.
    #[track_caller]
    pub fn run(&mut self) {
        self.run_by(self.run_command());
    }

    /// The command that starts it.
    pub fn run_command(&self) -> Command {
        self.command(&["run"])
    }

    /// The same with the fail points switched on that `points` asks for.
    pub fn run_command_with_fail_points(&self, points: &str) -> Command {
        let plain = self.run_command();
        let mut command = Command::new(medipeps_server_with_fail_points());
        command.args(plain.get_args()).env("FAILPOINTS", points);
        command
    }

    /// Starts the process by a command that is built on [`Self::run_command`] and waits until it is ready.
    #[track_caller]
    pub fn run_by(&mut self, command: Command) {
        if !self.run_unless_it_dies(command) {
            panic!("the server did not come up:\n{:?}", self.wait());
        }
    }

    /// The same by a command that may kill the server before it is ready; tells whether it got there.
    #[track_caller]
    pub fn run_unless_it_dies(&mut self, mut command: Command) -> bool {
        assert!(self.process.is_none(), "it runs already");
        let mut process = Process::start(&mut command);
        let start = std::time::Instant::now();
        let mut ready = process.output().contains(READY);
        while !ready && !process.has_ended() {
            assert!(start.elapsed() < PATIENCE, "the server is not ready:\n{}", process.said());
            std::thread::sleep(std::time::Duration::from_millis(5));
            ready = process.output().contains(READY);
        }
        self.process = Some(process);
        ready
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let ended = self.process.take().unwrap().kill();
        self.remember(&ended);
    }

    /// Waits until the process ends by itself, or by what strace does to it.
    #[track_caller]
    pub fn wait(&mut self) -> Ended {
        let ended = self.process.take().unwrap().wait();
        self.remember(&ended);
        ended
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(Process::has_ended)
    }

    /// The process' id.
    pub fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// SIGTERM, and exit code 0 within the time that the server promises.
    #[track_caller]
    pub fn stop(&mut self) {
        let process = self.process.take().unwrap();
        process.terminate();
        let ended = process.wait().done();
        self.remember(&ended);
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// SIGTERM without waiting; the process is handed over.
    pub fn begin_to_stop(&mut self) -> Process {
        let process = self.process.take().unwrap();
        process.terminate();
        process
    }

    /// A subcommand, run to its end.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Ended {
        run(&mut self.command(words))
    }

    /// The sample configuration.
    #[track_caller]
    pub fn sample(&self) -> String {
        run(Command::new(medipeps_server()).arg("config")).done().output
    }

    /// The code of a new invitation: the last line, alone.
    #[track_caller]
    pub fn invite(&self) -> String {
        let said = self.ask(&["admin", "invite", "--org", "Intensive care"]).done().output;
        said.lines().last().unwrap().to_owned()
    }

    /// By which clients know this server.
    pub fn key_hash(&self) -> [u8; 32] {
        self.invite().parse::<Invitation>().unwrap().server_key_hash
    }

    /// What the server says that it knows.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        self.ask(&["admin", "inspect", "--json"]).done().json()
    }

    /// How many envelopes wait for an account.
    #[track_caller]
    pub fn queued(&self, address: &str) -> u64 {
        let inspection = self.inspect();
        let accounts = inspection["accounts"].as_array().unwrap();
        let account = accounts.iter().find(|account| account["address"] == address).unwrap();
        account["devices"].as_array().unwrap().iter().map(|device| device["queued"].as_u64().unwrap()).sum()
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Of its accounts.
    pub const fn domain(&self) -> &'static str {
        self.domain
    }

    /// Where it keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.join(self.data_dir)
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("server.toml")
    }

    /// Everything that it has said and logged, on both outputs.
    pub fn log(&self) -> String {
        let now = self.process.as_ref().map(Process::said).unwrap_or_default();
        format!("{}{now}", self.said_before)
    }

    /// A subcommand, not run yet.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(medipeps_server());
        command.args(words).arg("--config").arg(self.config());
        command
    }

    /// Writes the configuration anew, with other settings; a server that runs keeps to the one of before until it is told.
    pub fn write_config(&self, settings: &str) {
        let (host, data_dir, domain) = (self.host(), self.data_dir, self.domain);
        let required = format!("domain = \"{domain}\"\nlisten = \"{host}\"\ndata_dir = \"{data_dir}\"\n");
        fs::write(self.config(), required + settings).unwrap();
    }

    fn remember(&mut self, ended: &Ended) {
        self.said_before.push_str(&ended.output);
        self.said_before.push_str(&ended.complaints);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(LOG_TAIL).map_or(0, |(at, _)| at);
            eprintln!("the server said:\n{}", &log[from..]);
        }
    }
}

/// A TCP port that nobody has now.
pub fn free_tcp_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port that nobody has, for UDP and for TCP, below the ones that the system hands out by itself: a client's socket cannot take it
/// while the server is away.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
