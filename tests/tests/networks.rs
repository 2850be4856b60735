//! Networks as hospitals have them: UDP blocked, small packets, addresses that change, and nothing but an HTTP proxy.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::network::Network;
use crate::person::{Draft, Person};
use crate::process::{Ended, Process, run, wait_until};
use crate::server::Server;
use crate::transfers::{document, same};

const MIB: u64 = 1 << 20;
/// Where the transports that got through are remembered.
const MEMORY: &str = "networks";
/// Set in a nightly run.
const NIGHTLY: &str = "MEDIPEPS_NIGHTLY";

/// A server and two people who live in one network.
struct Clinic {
    network: Network,
    server: Server,
    claire: Person,
    karim: Person,
}

impl Clinic {
    #[track_caller]
    fn open(folder: &Path, prepare: impl FnOnce(&Network)) -> Self {
        let network = Network::new();
        prepare(&network);
        let mut server = Server::configured(folder, "");
        server.run_by(network.inside(&server.run_command()));
        let claire = Person::new(folder, "Dr Claire Martin", "claire");
        let karim = Person::new(folder, "Karim Benali", "karim");
        let clinic = Self { network, server, claire, karim };
        for person in [&clinic.claire, &clinic.karim] {
            clinic.run(person, &person.account_create(&clinic.server, &clinic.server.invite())).done();
        }
        clinic
    }

    /// A command of a person in this network.
    fn command<S: AsRef<std::ffi::OsStr>>(&self, person: &Person, words: &[S]) -> Command {
        self.network.inside(&person.command(words))
    }

    #[track_caller]
    fn run<S: AsRef<std::ffi::OsStr>>(&self, person: &Person, words: &[S]) -> Ended {
        run(&mut self.command(person, words))
    }

    /// A mail with a file goes from claire to karim and arrives whole.
    #[track_caller]
    fn exchange(&self, subject: &str, length: u64) {
        let file = document(&self.claire, &format!("{subject}.raw"), length, length);
        let draft = Draft { attach: vec![file.clone()], ..Draft::to(&self.karim, subject, "see attached") };
        let sent = self.run(&self.claire, &self.claire.mail_send(&draft)).done().json();
        assert_eq!(sent["state"], "accepted", "{sent}");
        self.run(&self.karim, &["sync"]).done();
        let inbox = self.karim.inbox();
        let found = inbox.iter().find(|one| one["subject"] == subject).unwrap_or_else(|| panic!("{inbox:?}"));
        let saved = self.karim.folder().join(format!("saved-{subject}"));
        let words = ["read", found["id"].as_str().unwrap(), "--json", "--save", saved.to_str().unwrap()];
        let said = self.run(&self.karim, &words).done().json();
        assert!(same(&file, &PathBuf::from(said["attachments"][0]["saved_as"].as_str().unwrap())), "{subject}");
    }
}

/// What carried a person's last connection.
#[track_caller]
fn transport(person: &Person) -> String {
    person.status()["transport"]["name"].as_str().unwrap_or_default().to_owned()
}

/// As if what is remembered were from so long ago.
fn age_memory(person: &Person, seconds: u64) {
    let path = person.home().join(MEMORY);
    let kept = fs::read_to_string(&path).unwrap();
    let aged: String = kept
        .lines()
        .map(|line| {
            let (rest, since) = line.rsplit_once(' ').unwrap();
            format!("{rest} {}\n", since.parse::<u64>().unwrap() - seconds)
        })
        .collect();
    fs::write(path, aged).unwrap();
}

#[test]
fn where_udp_is_blocked_mail_goes_by_websocket_and_by_quic_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path(), Network::block_udp);
    clinic.exchange("blocked", 3 * MIB + 7);
    assert_eq!((transport(&clinic.claire), transport(&clinic.karim)), ("websocket".into(), "websocket".into()));

    // What won is remembered, so QUIC, which would get through now, has no head start for an hour.
    clinic.network.unblock_udp();
    clinic.exchange("remembered", MIB);
    assert_eq!(transport(&clinic.claire), "websocket");
    age_memory(&clinic.claire, 3601);
    clinic.exchange("by quic", MIB);
    assert_eq!((transport(&clinic.claire), transport(&clinic.karim)), ("quic".into(), "websocket".into()));
    // And where UDP stops getting through, the memory of QUIC holds up nothing.
    clinic.network.block_udp();
    clinic.exchange("blocked again", MIB);
    assert_eq!(transport(&clinic.claire), "websocket");
}

/// What is pushed, and a server that goes away in the middle and comes back.
#[test]
fn over_websocket_mail_is_pushed_and_a_restart_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let mut clinic = Clinic::open(folder.path(), Network::block_udp);
    let mut listening = Process::start(&mut clinic.command(&clinic.karim, &["sync", "--wait", "40"]));
    let write = |clinic: &Clinic, subject: &str| {
        let words = clinic.claire.mail_send(&Draft::to(&clinic.karim, subject, "hello"));
        let sent = clinic.run(&clinic.claire, &words).done().json();
        assert_eq!(sent["state"], "accepted", "{sent}");
    };
    let has = |clinic: &Clinic, subject: &str| clinic.karim.subjects().iter().any(|one| one == subject);
    write(&clinic, "before");
    wait_until("the first mail is there", || has(&clinic, "before"));
    clinic.server.kill();
    let restart = clinic.network.inside(&clinic.server.run_command());
    clinic.server.run_by(restart);
    write(&clinic, "after");
    wait_until("the second mail is there", || has(&clinic, "after"));
    assert!(!listening.has_ended(), "it was fetched by something else:\n{}", listening.said());
    listening.kill();
}

fn wait_for(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// QUIC needs packets of 1 228 bytes with IPv4; below, it is WebSocket.
#[test]
fn small_packets_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path(), |network| network.set_mtu(1280));
    clinic.exchange("mtu 1280", 4 * MIB);
    assert_eq!(transport(&clinic.claire), "quic");
    clinic.network.set_mtu(1200);
    age_memory(&clinic.claire, 3601);
    clinic.exchange("mtu 1200", 4 * MIB);
    assert_eq!(transport(&clinic.claire), "websocket");
}

/// Passes UDP on between a client and the server, from another port of its own as often as it is told to: what an address
/// translator does that forgets, or a phone that leaves the house.
struct Relay {
    address: SocketAddr,
    /// Packets with which connections begin, from the client.
    initials: Arc<AtomicU64>,
    /// Bytes that went to the server.
    carried: Arc<AtomicU64>,
    change: Arc<AtomicBool>,
}

impl Relay {
    fn start(server: SocketAddr) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: near.local_addr().unwrap(),
            initials: Arc::default(),
            carried: Arc::default(),
            change: Arc::default(),
        };
        let (initials, carried, change) = (relay.initials.clone(), relay.carried.clone(), relay.change.clone());
        std::thread::spawn(move || {
            let near = Arc::new(near);
            let mut ways: std::collections::HashMap<SocketAddr, Arc<UdpSocket>> = std::collections::HashMap::new();
            let mut packet = [0; 2048];
            while let Ok((length, client)) = near.recv_from(&mut packet) {
                if change.swap(false, Ordering::SeqCst) {
                    ways.clear();
                }
                // A long header of the kind Initial (RFC 9000 section 17.2).
                initials.fetch_add(u64::from(packet[0] & 0xf0 == 0xc0), Ordering::SeqCst);
                carried.fetch_add(length as u64, Ordering::SeqCst);
                let way = ways.entry(client).or_insert_with(|| {
                    let far = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
                    far.connect(server).unwrap();
                    let (from, near) = (far.clone(), near.clone());
                    std::thread::spawn(move || {
                        let mut packet = [0; 2048];
                        while let Ok(length) = from.recv(&mut packet) {
                            let _ = near.send_to(&packet[..length], client);
                        }
                    });
                    far
                });
                let _ = way.send(&packet[..length]);
            }
        });
        relay
    }
}

#[test]
fn an_upload_goes_on_when_the_address_changes_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let relay = Relay::start(server.host().parse().unwrap());
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    let mut words = claire.account_create(&server, &server.invite());
    let at = words.iter().position(|word| *word == server.host()).unwrap();
    words[at] = relay.address.to_string();
    claire.run(&words).done();
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let file = document(&claire, "scan.raw", 5, 64 * MIB);
    let draft = Draft { attach: vec![file.clone()], ..Draft::to(&karim, "scan", "see attached") };
    let mut sending = Process::start(&mut claire.command(&claire.mail_send(&draft)));
    let mut begun_before = None;
    for change in 1..=4 {
        let goal = relay.carried.load(Ordering::SeqCst) + 8 * MIB;
        wait_until("more was sent", || {
            assert!(!sending.has_ended(), "it ended before change {change}:\n{}", sending.said());
            relay.carried.load(Ordering::SeqCst) >= goal
        });
        let initials = relay.initials.load(Ordering::SeqCst);
        assert!(begun_before.is_none_or(|before| before == initials), "a connection was begun anew");
        begun_before = Some(initials);
        relay.change.store(true, Ordering::SeqCst);
    }
    let sent = sending.wait().done().json();
    assert_eq!(sent["state"], "accepted", "{sent}");
    karim.sync();
    let id = karim.inbox()[0]["id"].as_str().unwrap().to_owned();
    let saved = karim.folder().join("saved");
    let said = karim.run(&["read", &id, "--json", "--save", saved.to_str().unwrap()]).done().json();
    assert!(same(&file, &PathBuf::from(said["attachments"][0]["saved_as"].as_str().unwrap())));
}

/// tinyproxy, as hospitals have it: TCP by `CONNECT` alone, and connections cut on which nothing passes.
struct TinyProxy {
    _process: Process,
    port: u16,
    log: PathBuf,
}

impl TinyProxy {
    #[track_caller]
    fn start(folder: &Path, network: &Network, port: u16, idle_seconds: u32, more: &str) -> Self {
        let (config, log) = (folder.join("tinyproxy.conf"), folder.join("tinyproxy.log"));
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout {idle_seconds}\nMaxClients 50\nLogLevel Connect\nLogFile \"{}\"\n\
             Allow 127.0.0.1\n{more}",
            log.display()
        );
        fs::File::create(&config).unwrap().write_all(text.as_bytes()).unwrap();
        let probe = Command::new("tinyproxy").arg("-v").output();
        assert!(probe.is_ok(), "tinyproxy is missing: `cargo xtask test --install networks`");
        let mut command = Command::new("tinyproxy");
        let process = Process::start(&mut network.inside(command.arg("-d").arg("-c").arg(&config)));
        // In its own network, as the kernel has it: this address and port, listening.
        let sockets = format!("/proc/{}/net/tcp", process.id());
        let listening = format!("0100007F:{port:04X} 00000000:0000 0A");
        wait_until("the proxy listens", || fs::read_to_string(&sockets).is_ok_and(|text| text.contains(&listening)));
        Self { _process: process, port, log }
    }

    fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}127.0.0.1:{}", self.port)
    }
}

#[test]
fn a_third_partys_proxy_passes_websocket_on() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path(), Network::block_udp);
    let proxy = TinyProxy::start(folder.path(), &clinic.network, 8888, 60, "BasicAuth claire p4ss\n");
    let server_port = clinic.server.host().rsplit_once(':').unwrap().1.to_owned();
    let refused = clinic.run(&clinic.claire, &["--proxy", &proxy.url(""), "sync"]).with_code(1);
    assert!(refused.complaints.contains("407"), "{refused:?}");
    let through = |words: &[String]| {
        let url = proxy.url("claire:p4ss@");
        let words: Vec<String> = ["--proxy".to_owned(), url].into_iter().chain(words.iter().cloned()).collect();
        clinic.run(&clinic.claire, &words).done()
    };
    let sent = through(&clinic.claire.mail_send(&Draft::to(&clinic.karim, "through", "hello"))).json();
    assert_eq!(sent["state"], "accepted", "{sent}");
    let log = fs::read_to_string(&proxy.log).unwrap();
    assert!(log.contains(&format!("CONNECT 127.0.0.1:{server_port}")), "{log}");
    assert!(clinic.run(&clinic.karim, &["sync"]).done().output.starts_with("1 received"));
    // The environment names it as well; this machine is spared there.
    let mut command = clinic.claire.command(&["sync"]);
    let command = command.env("HTTPS_PROXY", "http://127.0.0.1:1");
    run(&mut clinic.network.inside(command)).done();
    let mut command = clinic.claire.command(&["sync"]);
    let command = command.env("MEDIPEPS_PROXY", "socks5://127.0.0.1:1");
    let refused = run(&mut clinic.network.inside(command)).with_code(2);
    assert!(refused.complaints.contains("only HTTP proxies"), "{refused:?}");
}

/// Keep-alives come more often than proxies lose patience: every 25 seconds.
#[test]
fn a_proxy_that_cuts_idle_connections_does_not_cut_this_one() {
    let (idle, silence) = if std::env::var_os(NIGHTLY).is_some() { (60, 150) } else { (30, 40) };
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path(), Network::block_udp);
    let proxy = TinyProxy::start(folder.path(), &clinic.network, 8888, idle, "");
    let waits = (silence + 30).to_string();
    let words = ["--proxy", &proxy.url(""), "sync", "--wait", &waits];
    let listening = Process::start(&mut clinic.command(&clinic.karim, &words));
    let connects = || fs::read_to_string(&proxy.log).unwrap_or_default().matches("CONNECT 127").count();
    wait_until("it is connected", || connects() > 0);
    // Beside the connection that waits there is one that says no name, for what tokens pay for.
    let settled = Instant::now() + Duration::from_secs(5);
    wait_for(settled);
    let at_first = connects();
    assert!(at_first <= 2, "{at_first}");
    wait_for(settled + Duration::from_secs(silence));
    let log = fs::read_to_string(&proxy.log).unwrap();
    assert_eq!(connects(), at_first, "a connection had to be begun anew: {log}");
    let draft = Draft::to(&clinic.karim, "after silence", "hello");
    clinic.run(&clinic.claire, &clinic.claire.mail_send(&draft)).done();
    let sent = Instant::now();
    wait_until("it is pushed", || clinic.karim.subjects() == ["after silence"]);
    assert!(sent.elapsed() < Duration::from_secs(15), "{:?}", sent.elapsed());
    listening.kill();
}
