//! Two organisations with a server each, of which neither talks to the other: mail, documents, receipts and groups go
//! straight from a client to the recipient's server. Where that is, is set, on a trust list, or in DNS.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hickory_server::Server as DnsServer;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::proto::rr::rdata::SRV;
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use medipeps_client::shell::agent::now;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::trust_list::{TrustList, TrustListFields};
use serde_json::Value;

use crate::groups::{group, said};
use crate::person::{Draft, Person};
use crate::process::{medipeps_server, run, wait_until};
use crate::server::Server;

/// The second organisation's domain.
pub const LAKE: &str = "lake.example";

/// Who signs trust lists, with the lists.
pub struct Signer {
    folder: PathBuf,
    /// The public key.
    pub key: String,
}

impl Signer {
    #[track_caller]
    pub fn new(folder: &Path) -> Self {
        let folder = folder.join("signer");
        fs::create_dir_all(&folder).unwrap();
        let made = run(Command::new(medipeps_server()).args(["trust-list", "new-key"]).arg(folder.join("key"))).done();
        Self { folder, key: made.output.trim().to_owned() }
    }

    /// The file of a list with the servers' own entries.
    #[track_caller]
    pub fn sign(&self, number: u64, servers: &[&Server]) -> PathBuf {
        let entry = |server: &&Server| {
            let (config, host) = (server.config(), server.host());
            let mut command = Command::new(medipeps_server());
            run(command.args(["trust-list", "entry", "--server", &host, "--config"]).arg(config)).done().output
        };
        self.sign_text(number, &servers.iter().map(entry).collect::<String>(), &["--days", "30"])
    }

    /// A list that was in force a year ago for a day.
    fn sign_expired(&self, number: u64) -> PathBuf {
        let seed = Secret::from_slice(&fs::read(self.folder.join("key")).unwrap()).unwrap();
        let day = 86_400_000;
        let issued = now().0 - 365 * day;
        let fields = TrustListFields { number, issued, expires: issued + day, domains: Vec::new() };
        let list = self.folder.join("expired");
        fs::write(&list, TrustList::sign(fields, &SigningKey::from_secret(&seed)).unwrap().encoded()).unwrap();
        list
    }

    #[track_caller]
    fn sign_text(&self, number: u64, description: &str, more: &[&str]) -> PathBuf {
        let (domains, list) = (self.folder.join("domains.toml"), self.folder.join(format!("list-{number}")));
        fs::write(&domains, description).unwrap();
        let mut command = Command::new(medipeps_server());
        command.args(["trust-list", "sign"]).arg(&domains).arg("--key").arg(self.folder.join("key"));
        run(command.args(["--number", &number.to_string()]).args(more).arg("--output").arg(&list)).done();
        list
    }
}

/// Claire at the clinic and Karim at the lake, each with an account at a server of his own.
#[track_caller]
fn two_people(folder: &Path) -> ((Server, Person), (Server, Person)) {
    let clinic = Server::start(&folder.join("clinic"));
    let lake = Server::start_for(LAKE, &folder.join("lake"), "");
    let claire = Person::with_account(folder, &clinic, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder, &lake, "Karim Benali", "karim");
    ((clinic, claire), (lake, karim))
}

/// Says where the other's server is, and by which key it is known.
#[track_caller]
fn set(person: &Person, server: &Server) {
    let hash = data_encoding::HEXLOWER.encode(&server.key_hash());
    person.run(&["domain", "add", server.domain(), &server.host(), "--server-key", &hash]).done();
}

/// The state of a sent message, which has one recipient.
#[track_caller]
fn state(person: &Person, id: &str) -> Value {
    person.read(id)["recipients"][0].clone()
}

#[track_caller]
fn refused(person: &Person, words: &[&str], named: &str) {
    let ended = person.run(words).with_code(1);
    assert!(ended.complaints.contains(named), "{ended:?} does not say {named:?}");
}

#[test]
fn mail_documents_receipts_and_groups_cross_domains() {
    let folder = tempfile::tempdir().unwrap();
    let ((clinic, claire), (lake, karim)) = two_people(folder.path());
    refused(&claire, &["contact", "add", &karim.address()], "no server is known for lake.example");
    set(&claire, &lake);
    set(&karim, &clinic);
    let seen = (claire.add_contact(&karim), karim.add_contact(&claire));
    assert_eq!(seen.0, seen.1, "both see one safety number");

    // There and back, with a document that lies at its sender's server.
    let scan = claire.file("scan.bin", &vec![7; 300 << 10]);
    let draft = Draft { attach: vec![scan], ..Draft::to(&karim, "Referral", "Please see her") };
    let sent = claire.run(&[&claire.mail_send(&draft)[..], &["--receipt".into(), "displayed".into()]].concat()).done();
    let sent = sent.json()["id"].as_str().unwrap().to_owned();
    let received = karim.receive("Referral");
    assert_eq!(received["body"].as_str().map(str::trim), Some("Please see her"));
    let saved = karim.folder().join("saved");
    fs::create_dir_all(&saved).unwrap();
    karim.run(&["read", received["id"].as_str().unwrap(), "--save", saved.to_str().unwrap()]).done();
    assert_eq!(fs::read(saved.join("scan.bin")).unwrap(), vec![7; 300 << 10]);
    karim.sync();
    claire.sync();
    assert_eq!(state(&claire, &sent)["state"], "displayed");
    let answer =
        Draft { in_reply_to: Some(received["id"].as_str().unwrap().to_owned()), ..Draft::to(&claire, "Re", "Seen") };
    karim.send_now(&answer);
    assert_eq!(claire.receive("Re")["body"].as_str().map(str::trim), Some("Seen"));

    // A group at Claire's server with a member from elsewhere.
    karim.sync();
    claire.run(&["group", "create", "Shared", "--member", &karim.address()]).done();
    karim.sync();
    claire.run(&["group", "send", "Shared", "from the clinic"]).done();
    karim.sync();
    karim.run(&["group", "send", "Shared", "from the lake"]).done();
    claire.sync();
    for person in [&claire, &karim] {
        assert_eq!(said(person, "Shared"), ["from the clinic", "from the lake"]);
        assert_eq!(group(person, "Shared")["members"].as_array().unwrap().len(), 2);
    }
    // Neither server knows an account of the other domain.
    for (server, stranger) in [(&clinic, LAKE), (&lake, "clinic.example")] {
        assert!(!server.inspect().to_string().contains(stranger));
    }
}

#[test]
fn a_trust_list_says_where_domains_are_and_one_that_leaves_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let ((clinic, claire), (mut lake, karim)) = two_people(folder.path());
    let signer = Signer::new(folder.path());
    let both = signer.sign(1, &[&clinic, &lake]);
    // A person trusts the signer; the list comes from a file, or from the own server.
    claire.run(&["domain", "trust", "--signer", &signer.key, "--list", both.to_str().unwrap()]).done();
    refused(&karim, &["domain", "trust", "--signer", &signer.key], "follows no trust list");
    let settings = format!("[federation]\ntrust_list = {both:?}\ntrust_list_signer = \"{}\"\n", signer.key);
    for server in [&clinic, &lake] {
        server.write_config(&settings);
    }
    let mut clinic = clinic;
    for server in [&mut clinic, &mut lake] {
        server.stop();
        server.run();
    }
    let followed = karim.run(&["domain", "update", "--json"]).done().json();
    assert_eq!((&followed["taken"], &followed["trust_list"]["domains"]), (&true.into(), &2.into()), "{followed}");
    assert_eq!(claire.add_contact(&karim), karim.add_contact(&claire));
    claire.send_now(&Draft::to(&karim, "While it was on the list", "text"));

    // Karim's server is away while a mail for him waits, and a receipt for Karim's mail.
    karim.send_now(&Draft::to(&claire, "To be confirmed", "text"));
    lake.stop();
    let waits = claire.send(&Draft { wait: Some(1), ..Draft::to(&karim, "Waits", "text") });
    assert_eq!(waits["state"], "queued", "{waits}");
    let waits = waits["id"].as_str().unwrap();
    lake.run();
    // The lake leaves. The server takes the new list by itself, and the client asks it.
    let alone = signer.sign(2, &[&clinic]);
    fs::copy(&alone, &both).unwrap();
    wait_until("the server takes the new list", || clinic.log().contains("number=2"));
    let update = claire.run(&["domain", "update", "--json"]).done().json();
    assert_eq!(update["left"], serde_json::json!([LAKE]), "{update}");
    // What waited has failed, and says why; nothing more is written to it, although it is there and pinned.
    assert_eq!(
        (&state(&claire, waits)["state"], &state(&claire, waits)["code"]),
        (&"failed".into(), &"domain_left".into())
    );
    claire.sync();
    assert_eq!(lake.queued(&karim.address()), 1, "what was sent before, and nothing since");
    assert_eq!(claire.status()["outbox"].as_array().unwrap().len(), 0, "no receipt waits either");
    refused(
        &claire,
        &claire.mail_send(&Draft::to(&karim, "Not sent", "x")).iter().map(String::as_str).collect::<Vec<_>>(),
        "has left the trust list",
    );
    refused(&claire, &["contact", "add", &karim.address()], "has left the trust list");
    refused(&claire, &["domain", "add", LAKE, &lake.host()], "has left the trust list");
    refused(&claire, &["domain", "find", LAKE], "has left the trust list");
    let listed = claire.run(&["domain", "list", "--json"]).done().json();
    let of_lake = listed["domains"].as_array().unwrap().iter().find(|one| one["domain"] == LAKE).unwrap().clone();
    assert_eq!((&of_lake["source"], &of_lake["server"]), (&"left".into(), &Value::Null));

    // It comes back with another list, and with it the way to Karim.
    let again = signer.sign(3, &[&clinic, &lake]);
    claire.run(&["domain", "update", "--list", again.to_str().unwrap()]).done();
    claire.send_now(&Draft::to(&karim, "Back", "text"));
    karim.receive("Back");
}

#[test]
fn an_older_a_forged_and_an_expired_list_are_refused_and_another_key_takes_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let ((clinic, claire), (lake, karim)) = two_people(folder.path());
    let signer = Signer::new(folder.path());
    let refuse =
        |list: &Path, named: &str| refused(&claire, &["domain", "update", "--list", list.to_str().unwrap()], named);
    let (first, second) = (signer.sign(1, &[&clinic, &lake]), signer.sign(2, &[&clinic, &lake]));
    claire.run(&["domain", "trust", "--signer", &signer.key, "--list", second.to_str().unwrap()]).done();
    refuse(&first, "it is an older one");
    // The same number with something else in it.
    let forked = signer.sign(2, &[&clinic]);
    refuse(&forked, "two trust lists with the number 2");
    // Another signer.
    let other = Signer::new(&folder.path().join("other"));
    refuse(&other.sign(9, &[&clinic]), "not signed by the key");
    fs::write(folder.path().join("noise"), b"noise").unwrap();
    refuse(&folder.path().join("noise"), "no trust list");
    refuse(&signer.sign_expired(3), "has run out");
    assert_eq!(
        claire.run(&["domain", "list", "--json"]).done().json()["trust_list"]["number"],
        2,
        "nothing has changed"
    );
    claire.add_contact(&karim);

    // The lake's server has another key: with the list of before it is not taken, with one that has the key it is.
    let mut lake = lake;
    lake.stop();
    let key = lake.data().join("server.key");
    fs::remove_file(&key).unwrap();
    lake.run();
    refused(&claire, &["domain", "find", LAKE], "key has changed");
    let waits = claire.send(&Draft { wait: Some(1), ..Draft::to(&karim, "New key", "text") });
    assert_eq!(waits["state"], "queued");
    let third = signer.sign(3, &[&clinic, &lake]);
    claire.run(&["domain", "update", "--list", third.to_str().unwrap()]).done();
    claire.run(&["domain", "find", LAKE]).done();
    claire.sync();
    assert_eq!(state(&claire, waits["id"].as_str().unwrap())["state"], "accepted");
}

/// A third party's DNS server on loopback. It says that a domain's server is on this port, under this name.
struct Dns {
    address: String,
    _runtime: tokio::runtime::Runtime,
}

impl Dns {
    fn saying(records: &[(&str, u16)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let origin = Name::from_ascii("example.").unwrap();
        let mut zone =
            InMemoryZoneHandler::<TokioRuntimeProvider>::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
        let soa = hickory_server::proto::rr::rdata::SOA::new(origin.clone(), origin.clone(), 1, 60, 60, 60, 60);
        zone.upsert_mut(Record::from_rdata(origin.clone(), 60, RData::SOA(soa)), 0);
        for (domain, port) in records {
            let name = Name::from_ascii(format!("_medipeps._udp.{domain}.")).unwrap();
            let target = Name::from_ascii("localhost.").unwrap();
            zone.upsert_mut(Record::from_rdata(name, 60, RData::SRV(SRV::new(1, 1, *port, target))), 0);
        }
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![Arc::new(zone)]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        socket.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let mut server = DnsServer::new(catalog);
            server.register_socket(tokio::net::UdpSocket::from_std(socket).unwrap());
            server.block_until_done().await
        });
        Self { address, _runtime: runtime }
    }
}

/// A certificate authority with the certificates of servers, as files.
struct Authority {
    folder: PathBuf,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new(folder: &Path) -> Self {
        let folder = folder.join("authority");
        fs::create_dir_all(&folder).unwrap();
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.join("authority.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(authority, key) }
    }

    /// Lines of a configuration: a certificate for this name.
    fn certify(&self, name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (chain, private) = (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")));
        fs::write(&chain, certificate.pem()).unwrap();
        fs::write(&private, key.serialize_pem()).unwrap();
        format!("certificate = {chain:?}\nprivate_key = {private:?}\n")
    }
}

fn port(server: &Server) -> u16 {
    server.host().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn dns_says_where_a_domain_is_and_a_certificate_for_the_domain_that_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let clinic = Server::start(&folder.path().join("clinic"));
    // The host has another name than the domain; what counts is the domain.
    let lake = Server::start_for(LAKE, &folder.path().join("lake"), &authority.certify(LAKE));
    // A server of the same domain with a certificate for another name.
    let wrong = Server::start_for(LAKE, &folder.path().join("wrong"), &authority.certify("elsewhere.example"));
    // A server with the right certificate, which keeps the accounts of another domain.
    let other = Server::start_for("sea.example", &folder.path().join("sea"), &authority.certify(LAKE));
    let mut claire = Person::with_account(folder.path(), &clinic, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &lake, "Karim Benali", "karim");
    claire.set("MEDIPEPS_AUTHORITIES", authority.folder.join("authority.pem").to_str().unwrap());
    let resolver = |claire: &mut Person, server: &Server| {
        let dns = Dns::saying(&[(LAKE, port(server))]);
        claire.set("MEDIPEPS_RESOLVER", &dns.address);
        dns
    };
    let _dns = resolver(&mut claire, &wrong);
    refused(&claire, &["contact", "add", &karim.address()], "certificate is not trusted");
    refused(&claire, &["contact", "add", "anne@sea.example"], "no SRV record");
    let _dns = resolver(&mut claire, &other);
    refused(&claire, &["contact", "add", &karim.address()], "is for the domain sea.example");
    let dns = resolver(&mut claire, &lake);
    claire.add_contact(&karim);
    claire.send_now(&Draft::to(&karim, "By DNS", "text"));
    karim.receive("By DNS");
    // It is pinned now: another server under the domain's name is not taken, whatever its certificate; without DNS the
    // server is where it was.
    drop(dns);
    let _dns = resolver(&mut claire, &wrong);
    refused(&claire, &["domain", "find", LAKE], "key has changed");
    claire.set("MEDIPEPS_RESOLVER", "127.0.0.1:9");
    claire.send_now(&Draft::to(&karim, "Without DNS", "text"));
    karim.receive("Without DNS");
    let listed = claire.run(&["domain", "list", "--json"]).done().json();
    assert_eq!(
        (&listed["domains"][0]["source"], &listed["domains"][0]["server"]),
        (&"dns".into(), &format!("localhost:{}", port(&lake)).into())
    );
}
