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

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn tenants_are_added_changed_counted_and_removed() {
    let mut installation = Installation::new();
    let admin = |installation: &Installation, words: &[&str], code: i32| -> String {
        let config = installation.config();
        let output = run(&[&["admin"], words, &["--config", config.to_str().unwrap()]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        if code == 0 { String::from_utf8(output.stdout).unwrap() } else { said }
    };
    let terms = ["--licence", "territory", "--seats", "1", "--ends", "2099-12-31", "--services", "mail,chat"];
    admin(&installation, &[&["tenant", "add", "Pau"][..], &terms].concat(), 0);
    assert!(admin(&installation, &["tenant", "add", "Pau"], 1).contains("a tenant with this name"));
    assert!(admin(&installation, &["tenant", "show", "Tarbes"], 1).contains("no tenant \"Tarbes\""));
    assert!(admin(&installation, &["tenant", "add", "x", "--services", "fax"], 2).contains("teleconsultation"));
    let address = installation.start();
    let [claire, paul] = ["claire@clinic.example", "paul@clinic.example"].map(Account::new);
    let bound = installation.invite(&["--tenant", "Pau", "--address", "claire@clinic.example"]);
    register(address, &claire, &bound).await;
    let full = installation.invite(&["--tenant", "Pau"]);
    let client = Client::connect(address).await;
    let refused = client.ask(&paul.register(*full.secret.as_bytes())).await;
    assert_eq!(crate::client::code(refused), medipeps_core::wire::transport::ErrorCode::SeatsExhausted);
    admin(&installation, &["tenant", "change", "Pau", "--seats", "none", "--rename", "Pau et environs"], 0);
    register(address, &paul, &full).await;
    let shown = json(&admin(&installation, &["tenant", "show", "Pau et environs", "--json"], 0));
    assert_eq!((&shown["seats"], &shown["seats_max"], &shown["standing"]), (&2.into(), &().into(), &"active".into()));
    assert_eq!((&shown["ends"], &shown["services"]), (&"2099-12-31".into(), &serde_json::json!(["chat", "mail"])));
    assert!(admin(&installation, &["tenant", "remove", "Pau et environs"], 1).contains("2 accounts"));
    admin(&installation, &["suspend", "paul@clinic.example"], 0);
    let refused = client.ask(&submit(&paul.address, &[1], 1)).await;
    assert_eq!(crate::client::code(refused), medipeps_core::wire::transport::ErrorCode::AccountSuspended);
    admin(&installation, &["resume", "paul@clinic.example"], 0);
    assert!(matches!(client.ask(&submit(&paul.address, &[1], 1)).await, Response::Submit(_)));
    assert!(admin(&installation, &["suspend", "nobody@clinic.example"], 1).contains("no account"));

    let month = month_of_today();
    let words = ["statement", "--tenant", "Pau et environs", "--month", &month];
    let running = json(&admin(&installation, &[&words[..], &["--json"]].concat(), 0));
    assert_eq!((&running["seats_end"], &running["seats_peak"]), (&2.into(), &2.into()));
    assert_eq!(running["storage_peak_bytes"], 4096);
    assert_eq!(running["services"][0]["name"], "chat");
    let statistics = json(&admin(&installation, &["statistics", "--json"], 0));
    assert_eq!((&statistics["accounts"], &statistics["bytes"]), (&2.into(), &4096.into()));
    assert!(!statistics.to_string().contains("paul@"), "{statistics}");
    assert!(admin(&installation, &["verify"], 0).contains("records and 1 bodies"));
    assert_eq!(installation.stop("-TERM"), Some(0));
    assert_eq!(
        json(&admin(&installation, &[&words[..], &["--json"]].concat(), 0)),
        running,
        "the same without a server"
    );
    let csv = admin(&installation, &[&words[..], &["--csv"]].concat(), 0);
    assert!(csv.lines().nth(1).unwrap().starts_with(&format!("Pau et environs,territory,{month},")), "{csv}");
    assert!(admin(&installation, &["verify"], 0).contains("records and 1 bodies"));
}

/// As `2026-10`.
fn month_of_today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn ten_thousand_are_invited_out_of_a_file() {
    let mut installation = Installation::new();
    let folder = installation.folder.path().to_owned();
    let (csv, out) = (folder.join("people.csv"), folder.join("codes.csv"));
    let names = [csv.to_str().unwrap(), out.to_str().unwrap()];
    let words = ["--csv", names[0], "--out", names[1]];
    let lines: String = (0..10_000).map(|line| format!("person-{line}@clinic.example,\"Ward, {line}\",30\n")).collect();
    std::fs::write(&csv, format!("address,organisation,valid_days\n{lines}person-7@clinic.example,,\n")).unwrap();
    let refused = installation.run("invite", &words);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("line 10002: person-7@clinic.example comes a second time")
    );
    assert!(!out.exists() && !folder.join("codes.csv.partial").exists(), "nothing was made");

    std::fs::write(&csv, format!("address,organisation,valid_days\n{lines}")).unwrap();
    let address = installation.start();
    let begun = Instant::now();
    installation.succeed("invite", &words);
    println!("10000 invitations: {:?}", begun.elapsed());
    let made = std::fs::read_to_string(&out).unwrap();
    assert_eq!(made.lines().count(), 10_001);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = installation.run("invite", &words);
    assert_eq!(again.status.code(), Some(1), "a repeat makes nothing twice");
    assert!(String::from_utf8_lossy(&again.stderr).contains("have been made"));
    let last = made.lines().last().unwrap();
    assert!(last.starts_with("person-9999@clinic.example,\"Ward, 9999\",30,"), "{last}");
    let invitation: Invitation = last.rsplit(',').next().unwrap().parse().unwrap();
    let client = Client::connect(address).await;
    let other = Account::new("person-1@clinic.example");
    let refused = client.ask(&other.register(*invitation.secret.as_bytes())).await;
    assert_eq!(crate::client::code(refused), medipeps_core::wire::transport::ErrorCode::InvitationBound);
    register(address, &Account::new("person-9999@clinic.example"), &invitation).await;
}

#[test]
fn a_store_of_the_first_format_is_taken_over_by_the_command() {
    let installation = Installation::new();
    let data = installation.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-1.tar.gz");
    assert!(Command::new("tar").arg("-xzf").arg(fixture).arg("-C").arg(&data).status().unwrap().success());
    let inspected = json(&installation.succeed("inspect", &["--json"]));
    let accounts = inspected["accounts"].as_array().unwrap();
    assert_eq!((accounts.len(), &accounts[0]["devices"][0]["queued"]), (2, &2.into()), "{inspected}");
    assert!(installation.succeed("verify", &[]).contains("6 bodies"));
    let export = installation.folder.path().join("export");
    installation.succeed("export", &["--out", export.to_str().unwrap()]);
    let restored = Installation::new();
    restored.succeed("import", &["--in", export.to_str().unwrap()]);
    assert_eq!(json(&restored.succeed("inspect", &["--json"]))["accounts"], inspected["accounts"]);
}

#[tokio::test]
async fn a_restored_backup_raises_no_deleted_account() {
    let mut installation = Installation::new();
    let address = installation.start();
    let [claire, paul] = ["claire@clinic.example", "paul@clinic.example"].map(Account::new);
    for account in [&claire, &paul] {
        register(address, account, &installation.invite(&[])).await;
    }
    let export = installation.folder.path().join("export");
    let export = export.to_str().unwrap();
    installation.succeed("export", &["--out", export]);
    let client = Client::prove(address, &paul).await;
    assert_eq!(client.ask(&paul.deletion()).await, Response::Done);
    // The address is free, and belongs to another account now, which is not in the backup.
    register(address, &paul, &installation.invite(&[])).await;
    assert_eq!(installation.stop("-KILL"), None);

    let restored = Installation::new();
    let log = std::fs::read_dir(installation.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = log.map(|path| path.join("deletions.log")).find(|path| path.exists()).expect("there is a log");
    let said = restored.succeed("import", &["--in", export, "--deletions", log.to_str().unwrap()]);
    assert!(said.contains("1 accounts were deleted"), "{said}");
    let inspected = json(&restored.succeed("inspect", &["--json"]));
    let addresses: Vec<_> = inspected["accounts"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(addresses, ["claire@clinic.example"]);
    let absent = Installation::new();
    assert_eq!(absent.run("import", &["--in", export, "--deletions", "/nonexistent"]).status.code(), Some(1));
    absent.succeed("import", &["--in", export]);
    assert_eq!(json(&absent.succeed("inspect", &["--json"]))["accounts"].as_array().unwrap().len(), 2);
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
