//! The command, as a process on a disk.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use medipeps_core::invitation::Invitation;
use medipeps_core::wire::transport::Response;
use tempfile::TempDir;

use crate::account::{Account, submit};
use crate::blobs::{begin, put_piece};
use crate::client::Client;

/// A folder with a configuration, and perhaps a server that runs on it.
pub struct Installation {
    folder: TempDir,
    server: Option<(Child, SocketAddr)>,
}

impl Drop for Installation {
    fn drop(&mut self) {
        if let Some((server, _)) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Installation {
    pub fn new() -> Self {
        let installation = Self { folder: tempfile::tempdir().unwrap(), server: None };
        installation.configure("127.0.0.1:0");
        installation
    }

    fn configure(&self, listen: &str) {
        let sample = String::from_utf8(run(&["config"]).stdout).unwrap();
        std::fs::write(self.config(), sample.replace("0.0.0.0:4433", listen)).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("a server.toml")
    }

    /// The id of the process that runs.
    pub fn process(&self) -> u32 {
        self.server.as_ref().unwrap().0.id()
    }

    pub fn start(&mut self) -> SocketAddr {
        let mut server = Command::new(env!("CARGO_BIN_EXE_medipeps-server"))
            .args(["run", "--config"])
            .arg(self.config())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (address, hash) =
            line.strip_prefix("listening on ").expect(&line).trim().split_once(", server key ").unwrap();
        assert_eq!(hash.len(), 64);
        let address = address.parse().unwrap();
        self.server = Some((server, address));
        address
    }

    /// Ends the server with a signal and returns its exit code.
    fn stop(&mut self, signal: &str) -> Option<i32> {
        let (mut server, _) = self.server.take().unwrap();
        assert!(Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap().success());
        server.wait().unwrap().code()
    }

    /// An operator's command, `medipeps-server admin COMMAND`.
    fn run(&self, command: &str, more: &[&str]) -> Output {
        let config = self.config();
        let mut arguments = vec!["admin", command, "--config", config.to_str().unwrap()];
        arguments.extend(more);
        run(&arguments)
    }

    fn succeed(&self, command: &str, more: &[&str]) -> String {
        let output = self.run(command, more);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn invite(&self, more: &[&str]) -> Invitation {
        self.succeed("invite", more).lines().last().unwrap().parse().unwrap()
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_medipeps-server")).args(arguments).output().unwrap()
}

async fn register(address: SocketAddr, account: &Account, invitation: &Invitation) {
    let client = Client::connect(address).await;
    let key = medipeps_core::crypto::signature::VerifyingKey::from_slice(&client.hello.server_key).unwrap();
    assert_eq!(medipeps_core::proof::server_key_hash(&key), invitation.server_key_hash);
    assert_eq!(client.ask(&account.register(*invitation.secret.as_bytes())).await, Response::Done);
}

#[tokio::test]
async fn a_server_is_invited_to_inspected_exported_and_restored() {
    let mut installation = Installation::new();
    let before = installation.invite(&[]);
    let address = installation.start();
    let while_running = installation.invite(&["--org", "Clinic", "--valid-days", "3"]);
    let [claire, paul] = ["claire@clinic.example", "paul@clinic.example"].map(Account::new);
    register(address, &claire, &before).await;
    register(address, &paul, &while_running).await;
    let sender = Client::connect(address).await;
    assert!(matches!(sender.ask(&submit(&paul.address, &[1], 1)).await, Response::Submit(_)));
    for request in [begin(1, 20_000), begin(2, 3), put_piece(2, 0, vec![1; 3])] {
        assert!(!matches!(sender.ask(&request).await, Response::Error(_)));
    }

    let inspected = |installation: &Installation| -> serde_json::Value {
        serde_json::from_str(&installation.succeed("inspect", &["--json"])).unwrap()
    };
    let running = inspected(&installation);
    let accounts = running["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 2);
    assert_eq!(
        (accounts[0]["address"].as_str(), accounts[0]["organisation"].as_str()),
        (Some("claire@clinic.example"), None)
    );
    assert_eq!(accounts[1]["organisation"], "Clinic");
    let device = &accounts[1]["devices"][0];
    assert_eq!((device["device_id"].as_u64(), device["queued"].as_u64()), (Some(1), Some(1)));
    assert_eq!(device["bytes"], 4096);
    assert_eq!(
        (device["envelopes"][0]["sequence"].as_u64(), device["envelopes"][0]["size"].as_u64()),
        (Some(1), Some(4096))
    );
    assert!(device["envelopes"][0]["received_ms"].as_u64().unwrap() > 1_600_000_000_000);
    let table = installation.succeed("inspect", &[]);
    assert!(table.contains("paul@clinic.example, Clinic, 1, 1, 1, 4096"), "{table}");
    assert!(table.contains("blobs: 2, complete: 1, bytes reserved: 24096"), "{table}");
    assert_eq!(running["blobs"], serde_json::json!({ "number": 2, "complete": 1, "bytes": 24_096 }));

    let export = installation.folder.path().join("export");
    let export = export.to_str().unwrap();
    installation.succeed("export", &["--out", export]);
    let refused = installation.run("export", &["--out", export]);
    assert_eq!(refused.status.code(), Some(1), "an export replaces no file");
    let import_into_running = installation.run("import", &["--in", export]);
    assert_eq!(import_into_running.status.code(), Some(1));
    assert_eq!(installation.stop("-TERM"), Some(0));
    assert_eq!(inspected(&installation), running, "the same without a server");
    assert_eq!(installation.run("import", &["--in", export]).status.code(), Some(1), "the store is not empty");

    let restored = Installation::new();
    restored.succeed("import", &["--in", export]);
    let after = inspected(&restored);
    assert_eq!(after["accounts"], running["accounts"]);
    let complete = serde_json::json!({ "number": 1, "complete": 1, "bytes": 4096 });
    assert_eq!(after["blobs"], complete, "who was uploading begins anew");
    assert_eq!(restored.run("import", &["--in", export]).status.code(), Some(1));
}

#[tokio::test]
async fn clients_of_a_killed_server_learn_of_its_restart_at_once() {
    let mut installation = Installation::new();
    let address = installation.start();
    let account = Account::new("claire@clinic.example");
    register(address, &account, &installation.invite(&[])).await;
    let client = Client::prove(address, &account).await;
    let sender = Client::connect(address).await;
    assert!(matches!(sender.ask(&submit(&account.address, &[1], 1)).await, Response::Submit(_)));
    installation.stop("-KILL");
    installation.configure(&address.to_string());
    let invited_meanwhile = installation.invite(&[]);
    assert_eq!(installation.start(), address);
    // Whatever the client sends next is answered with a stateless reset, which only the kept keys can make.
    let start = Instant::now();
    let _ = client.quic.open_bi().await.unwrap().0.write_all(b"x").await;
    let lost = tokio::time::timeout(Duration::from_secs(20), client.quic.closed()).await;
    assert!(matches!(lost, Ok(quinn::ConnectionError::Reset)), "{lost:?} after {:?}", start.elapsed());
    let device = Client::prove(address, &account).await;
    assert_eq!(device.subscribe().await.delivery().await.envelope, vec![1; 4096], "what was acknowledged is there");
    register(address, &Account::new("paul@clinic.example"), &invited_meanwhile).await;
    assert_eq!(installation.stop("-INT"), Some(0));
}

#[test]
fn wrong_use_and_wrong_configurations_exit_with_2() {
    let installation = Installation::new();
    let failing = |arguments: &[&str], code: i32, named: &str| {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{said} does not name {named}");
    };
    failing(&["run"], 2, "--config");
    failing(&["dance"], 2, "dance");
    failing(&["run", "--config", "/nonexistent/server.toml"], 2, "/nonexistent/server.toml");
    let config = installation.config();
    let config = config.to_str().unwrap();
    failing(&["admin", "invite", "--config", config, "--valid-days", "0"], 2, "--valid-days");
    failing(&["admin", "invite", "--config", config, "--org", ""], 2, "--org");
    let sample = std::fs::read_to_string(config).unwrap();
    let rewrite = |text: String| std::fs::write(config, text).unwrap();
    rewrite(format!("colour = 1\n{sample}"));
    for command in [&["run"][..], &["admin", "invite"], &["admin", "inspect"]] {
        failing(&[command, &["--config", config]].concat(), 2, "colour");
    }
    rewrite(format!("log_filter = \"medipeps=loud\"\n{sample}"));
    failing(&["run", "--config", config], 2, "log_filter");
    rewrite(format!("certificate = \"none.pem\"\nprivate_key = \"none.key\"\n{sample}"));
    failing(&["run", "--config", config], 2, "none.pem");
    rewrite(sample);
    let absent = Path::new(config).with_file_name("absent");
    failing(&["admin", "import", "--config", config, "--in", absent.to_str().unwrap()], 1, "absent");
    let helps: [(&[&str], &[&str]); 2] = [
        (&["--help"], &["run", "admin", "config"]),
        (&["admin", "--help"], &["invite", "inspect", "export", "import"]),
    ];
    for (asked, commands) in helps {
        let text = String::from_utf8(run(asked).stdout).unwrap();
        for command in commands {
            assert!(text.contains(&format!("  {command} ")), "{text}");
        }
    }
}
