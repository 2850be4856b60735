//! A server and accounts as the real commands make them, for benches that time these commands.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const DOMAIN: &str = "bench.example";
const READY_WAIT: Duration = Duration::from_secs(30);

pub(crate) struct RunningServer {
    child: Child,
    pub(crate) port: u16,
    program: PathBuf,
    config: PathBuf,
}

impl RunningServer {
    pub(crate) fn start(folder: &Path) -> Self {
        let built = Command::new(env!("CARGO")).args(["build", "--release", "--package", "medipeps-server"]).status();
        assert!(built.unwrap().success());
        let program = Path::new(env!("CARGO_BIN_EXE_medipeps")).with_file_name("medipeps-server");
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = folder.join("server.toml");
        let text = format!("domain = \"{DOMAIN}\"\nlisten = \"127.0.0.1:{port}\"\ndata_dir = \"server-data\"\n");
        fs::write(&config, text).unwrap();
        let log = folder.join("server.log");
        let child = Command::new(&program)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !fs::read_to_string(&log).unwrap().contains("listening on ") {
            assert!(start.elapsed() < READY_WAIT, "the server did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, program, config }
    }

    pub(crate) fn invite(&self) -> String {
        let mut command = Command::new(&self.program);
        let output =
            command.args(["admin", "invite", "--org", "Bench", "--config"]).arg(&self.config).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned()
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Account {
    pub(crate) home: PathBuf,
    pub(crate) address: String,
}

impl Account {
    pub(crate) fn create(folder: &Path, server: &RunningServer, name: &str) -> Self {
        let account = Self { home: folder.join(name), address: format!("{name}@{DOMAIN}") };
        let host = format!("127.0.0.1:{}", server.port);
        let invitation = server.invite();
        let words = ["account", "create", "--server", &host, "--invite", &invitation, "--name", name];
        account.run(&[&words[..], &["--address", &account.address]].concat());
        account
    }

    /// A command in this home.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_medipeps"));
        command.arg("--home").arg(&self.home).args(words);
        command.env("MEDIPEPS_PASSPHRASE", "a passphrase for benches");
        command.env("MEDIPEPS_BACKUP_PASSPHRASE", "another one for backups");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Runs a command: what it said, seconds, and the most memory in bytes.
    pub(crate) fn run(&self, words: &[&str]) -> (String, f64, u64) {
        let start = Instant::now();
        let mut child = self.command(words).spawn().unwrap();
        let mut peak = 0;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            peak = peak.max(peak_memory(child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        };
        let seconds = start.elapsed().as_secs_f64();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        if !status.success() {
            panic!("medipeps {} failed: {status}", words[0]);
        }
        (said, seconds, peak)
    }
}

/// The most memory that a process had so far, in bytes, where the system tells.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Bytes that do not repeat (SplitMix64).
pub(crate) fn random_bytes(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
