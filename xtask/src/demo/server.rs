//! The real server as a process: its config, its start, its sudden and its orderly end.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Commands, DemoError};
use crate::process::{answer, as_typed, succeeds};

/// The file below the demo's folder to which the server's output goes.
pub(super) const LOG: &str = "server.log";
/// The domain of the demo's addresses.
pub(super) const DOMAIN: &str = "clinic.example";
/// How the line begins that the server prints once it can be used.
const READY: &str = "listening on ";
/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs, or ran.
#[derive(Debug)]
pub(super) struct Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    /// Whether it stays when this goes.
    keep: bool,
}

impl Server {
    /// Writes a config for a free port and starts the server.
    pub(super) fn start(commands: &Commands, folder: &Path, keep: bool) -> Result<Self, DemoError> {
        let port = free_port().map_err(DemoError::system("a free UDP port"))?;
        let mut server =
            Self { program: commands.medipeps_server.clone(), folder: folder.to_path_buf(), port, child: None, keep };
        server.write_config()?;
        server.start_again()?;
        Ok(server)
    }

    /// Starts it with the config that it had.
    pub(super) fn start_again(&mut self) -> Result<(), DemoError> {
        let open = || File::options().create(true).append(true).open(self.log()).map_err(DemoError::system(LOG));
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--config").arg(self.config());
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        if self.keep {
            std::os::unix::process::CommandExt::process_group(&mut command, 0); // ^C ends the demo, not what it keeps
        }
        let said_before = fs::read(self.log()).map_or(0, |log| log.len());
        let mut child = command.spawn().map_err(DemoError::system("medipeps-server run"))?;
        let start = Instant::now();
        let ready = loop {
            if let Ok(Some(status)) = child.try_wait() {
                break Err(self.broken(&format!("it ended at once ({status})")));
            }
            let log = fs::read(self.log()).unwrap_or_default();
            if String::from_utf8_lossy(&log[said_before.min(log.len())..]).lines().any(|line| line.starts_with(READY)) {
                break Ok(());
            }
            if start.elapsed() > PATIENCE {
                break Err(self.broken("it did not come up"));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.child = Some(child);
        ready
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(super) fn kill(&mut self) -> Result<(), DemoError> {
        let Some(mut child) = self.child.take() else { return Err(self.broken("it does not run")) };
        child.kill().and_then(|()| child.wait()).map(|_| ()).map_err(DemoError::system("killing the server"))
    }

    /// SIGTERM, and wait until it has ended by itself with 0.
    pub(super) fn stop(&mut self) -> Result<(), DemoError> {
        let Some(mut child) = self.child.take() else { return Err(self.broken("it does not run")) };
        let sent = succeeds(Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]));
        let start = Instant::now();
        while sent && start.elapsed() < PATIENCE {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.broken(&format!("asked to stop, it ended with {status}"))),
                Ok(None) | Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        self.child = Some(child); // dropping kills it
        Err(self.broken("it did not stop when asked to"))
    }

    /// A new invitation.
    pub(super) fn invite(&self, organisation: &str) -> Result<String, DemoError> {
        let mut command = self.command(&["admin", "invite"]);
        command.args(["--org", organisation]);
        let said = answer(&mut command).and_then(|said| said.lines().last().map(str::to_owned));
        said.filter(|code| !code.is_empty()).ok_or_else(|| self.broken("it gave no invitation"))
    }

    /// What the server itself says that it knows.
    pub(super) fn inspect(&self) -> Result<Value, DemoError> {
        let mut command = self.command(&["admin", "inspect"]);
        command.arg("--json");
        let said = answer(&mut command).and_then(|said| serde_json::from_str(&said).ok());
        said.ok_or_else(|| DemoError::Command { command: as_typed(&command), problem: "no JSON came".to_owned() })
    }

    /// Everything that it stores, as its own export has it. For a server that does not run.
    pub(super) fn export(&self, into: &Path) -> Result<(), DemoError> {
        let mut command = self.command(&["admin", "export"]);
        command.arg("--out").arg(into);
        let output =
            command.stdin(Stdio::null()).output().map_err(DemoError::system("medipeps-server admin export"))?;
        let problem = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() {
            Ok(())
        } else {
            Err(DemoError::Command { command: as_typed(&command), problem: problem() })
        }
    }

    /// `HOST:PORT`.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it keeps everything.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("server-data")
    }

    /// Its config file.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("server.toml")
    }

    /// What it said.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// Its process, while it runs.
    pub(super) fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--config").arg(self.config());
        command
    }

    fn write_config(&self) -> Result<(), DemoError> {
        let data = Value::from(self.data().to_string_lossy()); // a JSON string is a TOML basic string as well
        let text = format!("domain = \"{DOMAIN}\"\nlisten = \"{}\"\ndata_dir = {data}\n", self.host());
        fs::write(self.config(), text).map_err(DemoError::system("server.toml"))
    }

    fn broken(&self, problem: &str) -> DemoError {
        DemoError::Command { command: as_typed(&self.command(&["run"])), problem: problem.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = self.child.as_mut().filter(|_| !self.keep) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A UDP port that nobody has now.
fn free_port() -> std::io::Result<u16> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}
