//! A large file sent and saved with the real commands, beside a plain copy of the same file over QUIC.
//!
//! `cargo xtask bench transfer` prints the ratios; `--json` alone prints what was measured.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "a program of its own")]

mod commands;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use commands::{Account, RunningServer, median, random_bytes};
use quinn::crypto::rustls::QuicClientConfig;
use serde_json::{Value, json};

/// Bytes of the file.
const LENGTH: usize = 256 << 20;
/// Runs of each; the median counts.
const RUNS: usize = 3;
/// Bytes that are read and written at a time by the plain copy.
const BLOCK: usize = 512 << 10;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.raw");
    fs::write(&file, random_bytes(LENGTH)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let plain = median((0..RUNS).map(|_| runtime.block_on(plain_copy(&file, &folder.path().join("plain")))));

    let server = RunningServer::start(folder.path());
    let sender = Account::create(folder.path(), &server, "sender");
    let recipient = Account::create(folder.path(), &server, "recipient");
    // What a command costs before it comes to the file: unlocking, connecting, a message.
    let (small_send, _) = sender.send(&recipient, None);
    recipient.sync();
    let (mut sends, mut saves, mut memory) = (Vec::new(), Vec::new(), 0_u64);
    for _ in 0..RUNS {
        let (seconds, peak) = sender.send(&recipient, Some(&file));
        sends.push(seconds);
        memory = memory.max(peak);
        recipient.sync();
        let (seconds, peak) = recipient.save_newest(&file, folder.path());
        saves.push(seconds);
        memory = memory.max(peak);
    }
    let megabytes = LENGTH as f64 / 1e6;
    let (send, save) = (median(sends.into_iter()), median(saves.into_iter()));
    let result = json!({
        "plain_seconds": plain,
        "plain_mb_per_s": megabytes / plain,
        "small_mail_seconds": small_send,
        "send_seconds": send,
        "send_less_small_mail_seconds": send - small_send,
        "send_mb_per_s": megabytes / (send - small_send),
        "save_seconds": save,
        "save_less_small_mail_seconds": save - small_send,
        "save_mb_per_s": megabytes / (save - small_send),
        "client_peak_bytes": memory,
    });
    println!("{result:#}");
}

/// Seconds to copy a file over one QUIC stream of one connection, the copy on the disk at the end.
async fn plain_copy(from: &Path, to: &Path) -> f64 {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let config = quinn::ServerConfig::with_single_cert(vec![certificate.clone()], private.into()).unwrap();
    let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = endpoint.local_addr().unwrap();
    let to = to.to_owned();
    let server = tokio::spawn(async move {
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let (mut answer, mut stream) = connection.accept_bi().await.unwrap();
        let mut file = File::create(to).unwrap();
        while let Some(chunk) = stream.read_chunk(BLOCK, true).await.unwrap() {
            tokio::task::block_in_place(|| file.write_all(&chunk.bytes).unwrap());
        }
        tokio::task::block_in_place(|| file.sync_all().unwrap());
        answer.write_all(b"done").await.unwrap();
        answer.finish().unwrap();
        answer.stopped().await.unwrap();
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    let start = Instant::now();
    let connection = endpoint.connect(address, "localhost").unwrap().await.unwrap();
    let (mut stream, mut answer) = connection.open_bi().await.unwrap();
    let mut file = File::open(from).unwrap();
    let mut block = vec![0; BLOCK];
    loop {
        let length = tokio::task::block_in_place(|| file.read(&mut block).unwrap());
        if length == 0 {
            break;
        }
        stream.write_all(&block[..length]).await.unwrap();
    }
    stream.finish().unwrap();
    assert_eq!(answer.read_to_end(16).await.unwrap(), b"done");
    let seconds = start.elapsed().as_secs_f64();
    server.await.unwrap();
    seconds
}

impl Account {
    /// Seconds and the most memory in bytes.
    fn send(&self, to: &Self, file: Option<&Path>) -> (f64, u64) {
        let body = self.home.join("body.txt");
        fs::write(&body, "a film").unwrap();
        let path = file.map(|file| file.to_str().unwrap().to_owned());
        let mut words = vec!["mail", "send", "--to", &to.address, "--subject", "a film", "--wait", "120"];
        words.extend(["--body-file", body.to_str().unwrap(), "--json"]);
        words.extend(path.iter().flat_map(|path| ["--attach", path.as_str()]));
        let (said, seconds, peak) = self.run(&words);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["state"], "accepted", "{said}");
        (seconds, peak)
    }

    fn sync(&self) {
        self.run(&["sync"]);
    }

    /// Seconds and the most memory in bytes. What was saved is compared and deleted.
    fn save_newest(&self, file: &Path, folder: &Path) -> (f64, u64) {
        let inbox: Value = serde_json::from_str(&self.run(&["inbox", "--json"]).0).unwrap();
        let id = inbox[0]["id"].as_str().unwrap().to_owned();
        let saved = folder.join("saved");
        let (said, seconds, peak) = self.run(&["read", &id, "--json", "--save", saved.to_str().unwrap()]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let path = said["attachments"][0]["saved_as"].as_str().unwrap().to_owned();
        assert!(fs::read(&path).unwrap() == fs::read(file).unwrap(), "another file arrived");
        fs::remove_file(path).unwrap();
        (seconds, peak)
    }
}
