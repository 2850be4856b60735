//! A server that runs somewhere, and the two ways in which others start it: a socket that is passed on, a container.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Checked, Installation, done, mail, place, words};
use crate::package;
use crate::process::succeeds;
use crate::suite::need::as_root;

/// How the line begins that the server prints once it can be used.
const READY: &str = "listening on ";
/// The server's program as the system names its process: 15 bytes of the name.
const PROGRAM_NAME: &str = "medipeps-server";
/// How long a start or an orderly end may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// Where the image's configuration is, seen from inside.
const CONTAINER_CONFIGURATION: &str = "/etc/medipeps-server/server.toml";

/// A server's process, how its program is called, and where it listens.
pub(super) struct Running<'a> {
    call: Box<dyn Fn() -> Checked<Command> + 'a>,
    configuration: PathBuf,
    port: u16,
    log: PathBuf,
    child: Child,
}

impl<'a> Running<'a> {
    /// Starts `medipeps-server run` and waits until it can be used. `call` makes a command that ends with the program, for a server that listens at the
    /// address it is given; the configuration is named as the program sees it.
    pub(super) fn start(
        installation: &Installation,
        name: &str,
        configuration: &Path,
        call: impl Fn(&str) -> Checked<Command> + 'a,
    ) -> Checked<Self> {
        let port = free_port().map_err(words)?;
        let listen = format!("127.0.0.1:{port}");
        let call: Box<dyn Fn() -> Checked<Command> + 'a> = Box::new(move || call(&listen));
        let log = installation.at(&format!("{name}.log"));
        let mut command = call()?;
        command.arg("run").arg("--config").arg(configuration);
        let mut running = Self::spawn(command, call, configuration, port, log)?;
        running.wait_until_ready()?;
        Ok(running)
    }

    fn spawn(
        mut command: Command,
        call: Box<dyn Fn() -> Checked<Command> + 'a>,
        configuration: &Path,
        port: u16,
        log: PathBuf,
    ) -> Checked<Self> {
        let output = File::create(&log).map_err(words)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(words)?).stderr(output);
        let child = command.spawn().map_err(words)?;
        Ok(Self { call, configuration: configuration.to_owned(), port, log, child })
    }

    /// Waits for the line that says that the server can be used.
    fn wait_until_ready(&mut self) -> Checked {
        self.wait_until_ready_after(|| ())
    }

    /// [`Self::wait_until_ready`] that does something before each look.
    fn wait_until_ready_after(&mut self, before: impl Fn()) -> Checked {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            before();
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if log.lines().any(|line| line.starts_with(READY)) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended with {status}: {log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("the server did not come up: {}", fs::read_to_string(&self.log).unwrap_or_default()))
    }

    /// `HOST:PORT`.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A new invitation, made by the same program under the same user.
    pub(super) fn invite(&self) -> Checked<String> {
        let mut command = (self.call)()?;
        let said = done(command.args(["admin", "invite", "--config"]).arg(&self.configuration))?;
        said.lines().last().map(str::to_owned).ok_or_else(|| "it gave no invitation".to_owned())
    }

    /// SIGTERM to the server itself, not to what started it, and waits until all has ended by itself with 0.
    pub(super) fn stop(mut self) -> Checked {
        terminate(self.server());
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("asked to stop, the server ended with {status}")),
                Ok(None) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        Err("the server did not stop when asked to".to_owned())
    }

    /// The server's own process: the child, or the youngest process of the program below it.
    fn server(&self) -> u32 {
        let child = self.child.id();
        let below = |process: u32| ancestors(process).any(|ancestor| ancestor == child);
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes
            .filter(|process| name(*process).as_deref() == Some(PROGRAM_NAME) && below(*process))
            .max()
            .unwrap_or(child)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            terminate(self.server());
            std::thread::sleep(Duration::from_millis(500));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// systemd's own program binds the port and hands it on with the first datagram.
pub(super) fn socket_activation(installation: &Installation) -> Checked {
    let program = place::program(&installation.unpacked("activated")?);
    let configuration = installation.at("activated.toml");
    let data = installation.at("activated-data");
    // Whatever stands in `listen` is not used: the port is one that nobody could bind twice.
    let text = format!("domain = \"clinic.example\"\nlisten = \"127.0.0.1:1\"\ndata_dir = {data:?}\n");
    fs::write(&configuration, text).map_err(words)?;
    let port = free_port().map_err(words)?;
    let mut command = installation.run.project.command("systemd-socket-activate");
    command.args(["--datagram", "--fdname=medipeps", &format!("--listen=127.0.0.1:{port}")]);
    command.arg(&program).arg("run").arg("--config").arg(&configuration);
    let call = {
        let program = program.clone();
        Box::new(move || Ok(Command::new(&program)))
    };
    let mut running = Running::spawn(command, call, &configuration, port, installation.at("activated.log"))?;
    // The server starts with the first datagram.
    let poke = UdpSocket::bind("127.0.0.1:0").map_err(words)?;
    let address = running.host();
    running.wait_until_ready_after(|| drop(poke.send_to(b"?", &address)))?;
    mail::passes(installation, &running, "activated-homes")?;
    running.stop()
}

/// buildah builds the image from the Containerfile and runs it.
pub(super) fn container(installation: &Installation) -> Checked {
    let folder = installation.at("container");
    package::container(installation.run.project, &installation.package, &folder).map_err(words)?;
    let storage = installation.at("container-storage");
    let buildah = |words: &[&str]| {
        let mut command = as_root(installation.run.project, "buildah");
        command.arg("--root").arg(&storage).arg("--runroot").arg(storage.join("run"));
        command.args(["--storage-driver", "vfs"]).args(words);
        command
    };
    let outcome = (|| {
        let image = "medipeps-server-installation-suite";
        let built = done(buildah(&["build", "--isolation", "chroot", "--tag", image]).arg(&folder));
        built?;
        let container = done(&mut buildah(&["from", "--pull=never", image]))?.trim().to_owned();
        let running = Running::start(installation, "container", Path::new(CONTAINER_CONFIGURATION), |listen| {
            let configuration = installation.at("container.toml");
            let text = format!(
                "domain = \"clinic.example\"\nlisten = \"{listen}\"\ndata_dir = \"/var/lib/medipeps-server\"\n"
            );
            fs::write(&configuration, text).map_err(words)?;
            let mount = format!("{}:{CONTAINER_CONFIGURATION}:ro", configuration.display());
            let mut command = buildah(&["run", "--isolation", "chroot", "--volume", &mount, &container, "--"]);
            command.arg("/usr/bin/medipeps-server");
            Ok(command)
        })?;
        mail::passes(installation, &running, "container-homes")?;
        running.stop()
    })();
    let removed = done(as_root(installation.run.project, "rm").arg("-rf").arg(&storage));
    outcome.and(removed.map(|_| ()))
}

fn terminate(process: u32) {
    succeeds(Command::new("kill").args(["-TERM", &process.to_string()]));
}

/// A process's parent, that one's parent, and so on.
fn ancestors(process: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(parent(process), |process| parent(*process))
}

/// The program's name: what stands in parentheses in the second field of `/proc/PID/stat`.
fn name(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.split_once('(')?.1.rsplit_once(')')?.0.to_owned())
}

/// The fourth field.
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent > 0)
}

/// A UDP port that nobody has now.
fn free_port() -> std::io::Result<u16> {
    UdpSocket::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}
