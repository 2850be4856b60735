//! A third party's WebTransport: Chromium, with a page that passes on bytes. The page is `tests/browser/streams.html`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::proof::{Channel, server_key_hash};
use medipeps_core::wire::transport::{Authenticate, ErrorCode, Request, Response, Transport};
use rand_core::SeedableRng;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::person::Person;
use crate::process::{PATIENCE, Process};
use crate::server::Server;

/// Browsers take the hash of a certificate that is good for two weeks at most.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(13 * 24 * 3600);

/// A certificate in two files, and its hash.
fn certificate(folder: &Path) -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = rcgen::date_time_ymd(1970, 1, 1) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    parameters.not_before = now - Duration::from_secs(3600);
    parameters.not_after = parameters.not_before + CERTIFICATE_LIFE;
    let certificate = parameters.self_signed(&key).unwrap();
    fs::write(folder.join("certificate.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("private-key.pem"), key.serialize_pem()).unwrap();
    let hash = Sha256::digest(certificate.der());
    let settings = "certificate = \"certificate.pem\"\nprivate_key = \"private-key.pem\"\n".to_owned();
    (settings, data_encoding::HEXLOWER.encode(&hash))
}

/// A page in a browser that passes bytes on, and the web server that it is from.
struct Page {
    web: TcpListener,
    /// Where the browser waits for the next request.
    turn: Option<TcpStream>,
    _browser: Process,
    _profile: tempfile::TempDir,
}

impl Page {
    /// Opens the page and waits for what became of its session.
    #[track_caller]
    fn open(web: TcpListener, server: &Server, hash: &str) -> (Self, Value) {
        let profile = tempfile::tempdir().unwrap();
        let own = web.local_addr().unwrap();
        let port = server.host().rsplit_once(':').unwrap().1.to_owned();
        let page = format!("http://{own}/?url=https://127.0.0.1:{port}/medipeps/1&certificate={hash}");
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
            .args(["--disable-background-networking", "--disable-component-update", "--no-proxy-server"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(page);
        let found = Command::new("chromium").arg("--version").output();
        assert!(found.is_ok(), "Chromium is missing: `cargo xtask test --install browser`");
        let browser = Process::start(&mut command);
        let mut page = Self { web, turn: None, _browser: browser, _profile: profile };
        let outcome = page.outcome();
        (page, outcome)
    }

    /// Serves until the page tells what became of its last turn.
    #[track_caller]
    fn outcome(&mut self) -> Value {
        self.web.set_nonblocking(true).unwrap();
        let begun = std::time::Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the page says nothing");
            let Ok((stream, _)) = self.web.accept() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let Some((target, body)) = request(&stream) else { continue };
            if target == "/turn" {
                self.turn = Some(stream);
                return serde_json::from_slice(&body).unwrap();
            }
            let html = include_bytes!("../browser/streams.html");
            respond(stream, if target.starts_with("/?") { html } else { b"" });
        }
    }

    /// Sends a request over a stream of the page's session.
    #[track_caller]
    fn ask(&mut self, request: &Request) -> Response {
        let body = request.encode();
        let frame = [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat();
        respond(self.turn.take().unwrap(), data_encoding::HEXLOWER.encode(&frame).as_bytes());
        let outcome = self.outcome();
        let answer = outcome["answer"].as_str().unwrap_or_else(|| panic!("{outcome}"));
        let answer = data_encoding::HEXLOWER.decode(answer.as_bytes()).unwrap();
        Response::decode(&answer[4..]).unwrap()
    }
}

/// The target and the body of a request.
fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        } else if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((target, body))
}

fn respond(mut stream: TcpStream, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

#[test]
fn a_page_in_chromium_has_a_session_and_is_held_to_its_rules() {
    let folder = tempfile::tempdir().unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", web.local_addr().unwrap());
    let (settings, hash) = certificate(folder.path());
    let server =
        Server::start_with(folder.path(), &format!("{settings}[transport]\nallowed_origins = [\"{origin}\"]\n"));
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let (mut page, opened) = Page::open(web, &server, &hash);
    assert!(opened["ready"].as_str().is_some_and(|agent| agent.contains("Chrome")), "{opened}");

    let Response::Hello(hello) = page.ask(&Request::Hello) else { panic!("no hello") };
    assert_eq!(hello.transport, Transport::WebTransport);
    let server_key = VerifyingKey::from_slice(&hello.server_key).unwrap();
    assert_eq!(server_key_hash(&server_key), server.key_hash());
    let channel =
        Channel { nonce: &hello.nonce, domain: &hello.domain, transport: Transport::WebTransport, exporter: None };
    channel.verify_hello(&server_key, &hello.signature).unwrap();

    // A page may try to prove a device; somebody else's key proves nothing.
    let (address, stranger) = (claire.address().parse().unwrap(), stranger());
    let proof = Authenticate {
        address,
        device_id: 1,
        transport: Transport::WebTransport,
        exporter_bound: false,
        signature: channel.sign_proof(&stranger, &claire.address().parse().unwrap(), 1, 0),
        generation: 0,
    };
    let Response::Error(refused) = page.ask(&Request::Authenticate(proof)) else { panic!("it was taken") };
    assert_eq!(refused.known_code(), Some(ErrorCode::ProofRefused));
}

#[test]
fn a_page_of_another_origin_gets_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let (settings, hash) = certificate(folder.path());
    let allowed = "[transport]\nallowed_origins = [\"https://mail.clinic.example\"]\n";
    let server = Server::start_with(folder.path(), &format!("{settings}{allowed}"));
    let (_page, opened) = Page::open(web, &server, &hash);
    assert!(opened["failed"].as_str().is_some(), "{opened}");
}

fn stranger() -> SigningKey {
    SigningKey::random(&mut chacha20::ChaCha20Rng::from_seed([9; 32]))
}
