//! The command `medipeps` as a new user meets it, without any server.

#![cfg(feature = "native")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use chacha20::ChaCha20Rng;
use medipeps_core::invitation::Invitation;
use rand_core::SeedableRng;

const PASSPHRASE: &str = "correct horse";

fn medipeps(home: Option<&Path>, passphrase: Option<&str>, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medipeps"));
    if let Some(home) = home {
        command.arg("--home").arg(home);
    }
    command.env_remove("MEDIPEPS_HOME").env_remove("MEDIPEPS_PASSPHRASE").stdin(Stdio::null());
    if let Some(passphrase) = passphrase {
        command.env("MEDIPEPS_PASSPHRASE", passphrase);
    }
    command.args(words).output().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn invitation() -> String {
    Invitation::random([1; 32], &mut ChaCha20Rng::from_seed([1; 32])).code()
}

/// A port that is taken by somebody who never answers.
fn silent_server() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn create(home: &Path, server: &str, address: &str) -> Output {
    let code = invitation();
    let words =
        ["account", "create", "--server", server, "--invite", &code, "--name", "Dr Claire", "--address", address];
    medipeps(Some(home), Some(PASSPHRASE), &words)
}

#[test]
fn wrong_use_has_exit_code_2_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mail = ["mail", "send", "--subject", "s", "--body-file", "-"];
    let cases: [(&[&str], &str); 9] = [
        (&[], "Usage"),
        (&["sing"], "unrecognized subcommand"),
        (&["contact", "add"], "<ADDRESS>"),
        (&["contact", "add", "claire"], "local@domain"),
        (&["contact", "add", "a@b", "--server", "nowhere"], "HOST:PORT"),
        (&mail, "--to"),
        (&["account", "create", "--server", "h:1", "--invite", "abc", "--name", "n"], "80 letters"),
        (&["sync", "--wait", "soon"], "--wait"),
        (&["read", "0123", "--json", "more"], "unexpected argument"),
    ];
    for (words, expected) in cases {
        let output = medipeps(Some(&home), Some(PASSPHRASE), words);
        let (shown, complaint) = said(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {complaint}");
        assert!(complaint.contains(expected), "{words:?}: {complaint}");
        assert_eq!(shown, "", "{words:?}");
    }
    let output = medipeps(None, Some(PASSPHRASE), &["inbox"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).1.contains("--home"));
    assert!(!home.exists(), "wrong use makes nothing");
}

#[test]
fn help_is_there_for_every_command() {
    let commands: [&[&str]; 9] = [
        &[],
        &["account", "create"],
        &["contact", "add"],
        &["contact", "list"],
        &["mail", "send"],
        &["sync"],
        &["inbox"],
        &["read"],
        &["export"],
    ];
    for words in commands {
        let output = medipeps(None, None, &[words, &["--help"]].concat());
        assert!(output.status.success(), "{words:?}");
        assert!(said(&output).0.contains("Usage: medipeps"), "{words:?}");
    }
}

#[test]
fn a_home_that_is_not_there_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let commands: [&[&str]; 5] = [&["inbox"], &["sync"], &["status"], &["read", "00"], &["contact", "list"]];
    for words in commands {
        let output = medipeps(Some(&home), Some(PASSPHRASE), words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(said(&output).1.contains("account create"), "{words:?}");
    }
    assert!(!home.exists());
}

#[test]
fn an_account_without_a_server_keeps_its_keys_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a home");
    let (_socket, server) = silent_server();
    let first = create(&home, &server, "claire@clinic.example");
    let (shown, complaint) = said(&first);
    assert_eq!(first.status.code(), Some(1));
    assert!(
        complaint.contains("not registered yet") && complaint.contains("run the same command again"),
        "{complaint}"
    );
    let letters = shown.chars().filter(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit()).count();
    assert!(shown.contains("Recovery key") && letters >= 52, "{shown}");

    let second = create(&home, &server, "claire@clinic.example");
    let (shown, complaint) = said(&second);
    assert_eq!(second.status.code(), Some(1));
    assert!(complaint.contains("not registered yet"), "{complaint}");
    assert_eq!(shown, "", "the recovery key is shown once");

    let other = create(&home, &server, "paul@clinic.example");
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).1.contains("claire@clinic.example was begun"), "{}", said(&other).1);

    let status = medipeps(Some(&home), Some(PASSPHRASE), &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["address"], &status["registered"]), (&"claire@clinic.example".into(), &false.into()));

    for words in [&["sync"][..], &["contact", "add", "paul@clinic.example"]] {
        let output = medipeps(Some(&home), Some(PASSPHRASE), words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(said(&output).1.contains("not registered yet"), "{words:?}: {}", said(&output).1);
    }

    let inbox = medipeps(Some(&home), Some(PASSPHRASE), &["inbox", "--json"]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&inbox.stdout).unwrap(), serde_json::json!([]));

    let wrong = medipeps(Some(&home), Some("incorrect horse"), &["inbox"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).1.contains("the passphrase does not open this store"));
    let empty = medipeps(Some(&home), Some(""), &["inbox"]);
    assert_eq!(empty.status.code(), Some(2));

    let export = folder.path().join("export.jsonl");
    let output = medipeps(Some(&home), Some(PASSPHRASE), &["export", "--out", &export.to_string_lossy()]);
    assert!(output.status.success());
    let line: serde_json::Value = serde_json::from_str(std::fs::read_to_string(&export).unwrap().trim()).unwrap();
    assert_eq!((&line["type"], &line["name"]), (&"account".into(), &"Dr Claire".into()));
}

#[cfg(unix)]
#[test]
fn what_is_written_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let (_socket, server) = silent_server();
    create(&home, &server, "claire@clinic.example");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&home), 0);
    for file in std::fs::read_dir(&home).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0);
    }
}
