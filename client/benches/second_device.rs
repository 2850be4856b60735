//! How another device comes to an account, with the real commands: linked without the human, and restored from a backup.
//!
//! `cargo xtask bench second_device` prints the ratios; `--json` alone prints what was measured.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "a program of its own")]

mod commands;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use commands::{Account, DOMAIN, RunningServer, median, random_bytes};
use serde_json::{Value, json};

/// Runs of each; the median counts.
const RUNS: usize = 5;
/// Texts in the backup, and letters of each: long ones lie as sealed copies, as they do in a mailbox of some years.
const TEXTS: usize = 6;
const TEXT_LENGTH: usize = 15_000_000;
/// Bytes that the passes beside the backup take at a time: a chunk of one.
const CHUNK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let server = RunningServer::start(folder.path());
    let claire = Account::create(folder.path(), &server, "claire");
    let karim = Account::create(folder.path(), &server, "karim");
    let sync = median((0..RUNS).map(|_| claire.run(&["sync"]).1));
    let linking = median((0..RUNS).map(|number| link(folder.path(), &server, number)));

    let small = back_up(&karim, &folder.path().join("small"));
    let restored_small = restore(folder.path(), &karim, &folder.path().join("small"), 0);
    fill(&claire, &karim);
    let file = folder.path().join("backup");
    let backups: Vec<(f64, f64)> = (0..RUNS)
        .map(|_| {
            let _ = fs::remove_file(&file);
            back_up(&claire, &file)
        })
        .collect();
    let bytes = backups[0].0;
    let backup = median(backups.into_iter().map(|(_, seconds)| seconds));
    let restore = median((1..=3).map(|number| restore(folder.path(), &claire, &file, number)));
    // What a restore of nothing takes is the stretching of two passphrases and the statement at the server.
    let restore = restore - restored_small;
    let (aead, disk) = passes(&file, &folder.path().join("copy"));
    let megabytes = bytes / 1e6;
    let result = json!({
        "sync_seconds": sync,
        "linking_seconds": linking,
        "backup_bytes": bytes,
        "backup_seconds": backup,
        "backup_mb_per_s": megabytes / backup,
        "small_backup_bytes": small.0,
        "restore_seconds": restore,
        "restore_mb_per_s": megabytes / restore,
        "small_restore_seconds": restored_small,
        "aead_seconds": aead,
        "disk_seconds": disk,
    });
    println!("{result:#}");
}

/// Seconds from the start of the new device's command to the end of both, where everybody says yes at once.
fn link(folder: &Path, server: &RunningServer, number: usize) -> f64 {
    let primary = Account::create(folder, server, &format!("primary-{number}"));
    let new = Account { home: folder.join(format!("tablet-{number}")), address: primary.address.clone() };
    let host = format!("127.0.0.1:{}", server.port);
    let start = Instant::now();
    let mut at_new =
        Conversation::start(&new, &["device", "link", &primary.address, "--server", &host, "--name", "Tablet"]);
    let code = at_new.hear(|said| said.lines().find(|line| line.starts_with("MEDIPEPS-LINK:")).map(str::to_owned));
    let mut at_primary = Conversation::start(&primary, &["device", "link", &code]);
    let digits = |said: &str| {
        let rest = said.split_once("Do both devices show ")?.1;
        Some(rest.split_once("? Type yes: ")?.0.to_owned())
    };
    assert_eq!(at_primary.hear(digits), at_new.hear(digits));
    at_primary.yes();
    at_new.yes();
    at_primary.end();
    at_new.end();
    start.elapsed().as_secs_f64()
}

/// A command that asks.
struct Conversation {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Conversation {
    fn start(account: &Account, words: &[&str]) -> Self {
        let mut child = account.command(words).stdin(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                heard.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, said }
    }

    fn hear(&mut self, wanted: impl Fn(&str) -> Option<String>) -> String {
        let start = Instant::now();
        loop {
            let said = String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned();
            if let Some(found) = wanted(&said) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "it says only {said}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn yes(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    }

    fn end(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

/// Long texts, sent: they stay in the home.
fn fill(from: &Account, to: &Account) {
    let letters: Vec<u8> = random_bytes(TEXT_LENGTH).into_iter().map(|byte| b'a' + byte % 26).collect();
    let body = from.home.join("body.txt");
    fs::write(&body, letters).unwrap();
    for number in 0..TEXTS {
        let subject = format!("text {number}");
        let words = ["mail", "send", "--to", &to.address, "--subject", &subject, "--wait", "120", "--json"];
        let said = from.run(&[&words[..], &["--body-file", body.to_str().unwrap()]].concat()).0;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["state"], "accepted", "{said}");
    }
}

/// Bytes of contents, and seconds without the stretching of the passphrase.
fn back_up(account: &Account, file: &Path) -> (f64, f64) {
    let said = account.run(&["backup", file.to_str().unwrap(), "--json"]).0;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["texts_missing"], 0, "{said}");
    let bytes = said["bytes"].as_f64().unwrap();
    (bytes, bytes / 1e6 / said["megabytes_per_second"].as_f64().unwrap())
}

/// Seconds of the whole command.
fn restore(folder: &Path, account: &Account, file: &Path, number: usize) -> f64 {
    let home = folder.join(format!("restored-{number}-{}", account.address.trim_end_matches(DOMAIN)));
    let restored = Account { home, address: account.address.clone() };
    let seconds = restored.run(&["restore", file.to_str().unwrap()]).1;
    fs::remove_dir_all(&restored.home).unwrap();
    seconds
}

/// Seconds of one AEAD pass over a file's bytes in memory, and of writing them to the disk with one sync.
fn passes(file: &Path, copy: &Path) -> (f64, f64) {
    let mut bytes = fs::read(file).unwrap();
    let cipher = ChaCha20Poly1305::new(&Key::from([7; 32]));
    let aead = median((0..RUNS).map(|_| {
        let start = Instant::now();
        for (number, chunk) in bytes.chunks_mut(CHUNK).enumerate() {
            let mut nonce = [0; 12];
            nonce[..8].copy_from_slice(&number.to_be_bytes());
            cipher.encrypt_inout_detached(&Nonce::from(nonce), b"", chunk.into()).unwrap();
        }
        start.elapsed().as_secs_f64()
    }));
    let disk = median((0..RUNS).map(|_| {
        let start = Instant::now();
        let mut copy = File::create(copy).unwrap();
        for chunk in bytes.chunks(CHUNK) {
            copy.write_all(chunk).unwrap();
        }
        copy.sync_all().unwrap();
        start.elapsed().as_secs_f64()
    }));
    (aead, disk)
}
