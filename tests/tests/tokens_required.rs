//! Servers that take nothing from anybody who does not pay: what is sent within a domain and across two is paid with tokens
//! that nobody can tell the drawer of.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::groups::said;
use crate::linking::link_home;
use crate::person::{Draft, Person};
use crate::server::Server;
use crate::two_servers::{LAKE, Signer};

const REQUIRED: &str = "[tokens]\nrequired = true\n";

/// Tokens that a person has for a domain, and what stands in the way of more.
#[track_caller]
fn wallet(person: &Person, domain: &str) -> (u64, Value) {
    let status = person.status();
    let wallet = status["wallets"].as_array().unwrap().iter().find(|one| one["domain"] == domain);
    wallet.map_or((0, Value::Null), |wallet| (wallet["tokens"].as_u64().unwrap(), wallet["problem"].clone()))
}

/// An account whose device has proved itself once.
#[track_caller]
fn person(folder: &Path, server: &Server, name: &'static str, local: &'static str) -> Person {
    let person = Person::with_account(folder, server, name, local);
    person.sync();
    person
}

#[test]
fn a_days_batch_is_drawn_and_pays_for_mail_documents_and_groups() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), "[tokens]\nrequired = true\nbatch = 40\n");
    let claire = person(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = person(folder.path(), &server, "Karim Benali", "karim");
    let domain = server.domain();
    assert_eq!((wallet(&claire, domain).0, wallet(&karim, domain).0), (40, 40));
    let scan = claire.file("scan.bin", &vec![7; 300 << 10]);
    claire.send_now(&Draft { attach: vec![scan], ..Draft::to(&karim, "Paid", "text") });
    karim.receive("Paid");
    // Prekeys, the blob, the submission.
    assert_eq!(wallet(&claire, domain).0, 37);
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.sync();
    karim.run(&["group", "send", "Ward", "paid too"]).done();
    claire.sync();
    assert_eq!(said(&claire, "Ward"), ["paid too"]);
    assert!(wallet(&claire, domain).0 < 37);
    // A restart of the server changes nothing of what tokens are worth; another sync of the same day draws nothing.
    server.stop();
    server.run();
    claire.sync();
    let left = wallet(&claire, domain).0;
    claire.send_now(&Draft::to(&karim, "After a restart", "text"));
    assert_eq!(wallet(&claire, domain).0, left - 1);
    // When they are gone, what is to be sent waits and says why. Nothing is drawn because of it.
    for number in 1..left {
        claire.send_now(&Draft::to(&karim, &format!("Mail {number}"), "text"));
    }
    assert_eq!(wallet(&claire, domain).0, 0);
    let waits = claire.send(&Draft { wait: Some(1), ..Draft::to(&karim, "Too much", "text") });
    assert_eq!(waits["state"], "queued", "{waits}");
    let shown = claire.read(waits["id"].as_str().unwrap());
    assert_eq!(shown["recipients"][0]["code"], "PriceNotPaid", "{shown}");
    claire.sync();
    assert_eq!(wallet(&claire, domain).0, 0);
}

#[test]
fn a_voucher_of_the_own_server_pays_at_another_and_at_none_that_does_not_trust_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut clinic = Server::start_with(&folder.path().join("clinic"), REQUIRED);
    let mut lake = Server::start_for(LAKE, &folder.path().join("lake"), REQUIRED);
    let sea = Server::start_for("sea.example", &folder.path().join("sea"), REQUIRED);
    let signer = Signer::new(folder.path());
    let list = signer.sign(1, &[&clinic, &lake]);
    let settings = format!("{REQUIRED}[federation]\ntrust_list = {list:?}\ntrust_list_signer = \"{}\"\n", signer.key);
    for server in [&mut clinic, &mut lake] {
        server.write_config(&settings);
        server.stop();
        server.run();
    }
    let claire = person(folder.path(), &clinic, "Dr Claire Martin", "claire");
    let karim = person(folder.path(), &lake, "Karim Benali", "karim");
    let anne = person(folder.path(), &sea, "Anne Roux", "anne");
    for person in [&claire, &karim] {
        person.run(&["domain", "trust", "--signer", &signer.key]).done();
    }
    claire.add_contact(&karim);
    karim.add_contact(&claire);
    let (drawn, problem) = wallet(&claire, LAKE);
    assert_eq!((drawn, problem), (100, Value::Null), "a voucher was drawn at home and redeemed at the lake");
    let scan = claire.file("scan.bin", &vec![7; 300 << 10]);
    claire.send_now(&Draft { attach: vec![scan], ..Draft::to(&karim, "Across", "text") });
    let received = karim.receive("Across");
    let saved = karim.folder().join("saved");
    fs::create_dir_all(&saved).unwrap();
    karim.run(&["read", received["id"].as_str().unwrap(), "--save", saved.to_str().unwrap()]).done();
    assert_eq!(fs::read(saved.join("scan.bin")).unwrap().len(), 300 << 10);
    // Prekeys and the submission at the lake; the blob at home.
    assert_eq!(wallet(&claire, LAKE).0, 98);
    karim.send_now(&Draft::to(&claire, "Back", "text"));
    claire.receive("Back");
    claire.run(&["group", "create", "Shared", "--member", &karim.address()]).done();
    karim.sync();
    karim.run(&["group", "send", "Shared", "from the lake"]).done();
    claire.sync();
    assert_eq!(said(&claire, "Shared"), ["from the lake"]);
    // Neither server knows more of the other's people than that some draw tokens.
    assert!(!lake.log().contains("claire") && !clinic.log().contains("karim"));

    // The sea trusts nobody: what is for it waits and says why.
    let hash = data_encoding::HEXLOWER.encode(&sea.key_hash());
    claire.run(&["domain", "add", sea.domain(), &sea.host(), "--server-key", &hash]).done();
    claire.add_contact(&anne);
    assert_eq!(wallet(&claire, sea.domain()), (0, "VoucherRefused".into()));
    let waits = claire.send(&Draft { wait: Some(1), ..Draft::to(&anne, "Untrusted", "text") });
    assert_eq!(waits["state"], "queued", "{waits}");
    let shown = claire.read(waits["id"].as_str().unwrap());
    assert_eq!(shown["recipients"][0]["code"], "PriceNotPaid", "{shown}");
    assert_eq!(sea.queued(&anne.address()), 0);
}

#[test]
fn a_device_is_linked_and_pays_on_its_first_day() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), REQUIRED);
    let claire = person(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = person(folder.path(), &server, "Karim Benali", "karim");
    claire.add_contact(&karim);
    let (domain, drawn) = (server.domain(), 500);
    assert_eq!(wallet(&claire, domain).0, drawn, "the batch of the day is one device's");
    let tablet = Person::new(&folder.path().join("second"), "", "claire");
    link_home(&claire, &tablet, &server, "Ward tablet");
    tablet.sync();
    // The day's batch is drawn; what the first device gave is what there is, less what the devices have told each other.
    let (given, problem) = wallet(&tablet, domain);
    assert!((50..=64).contains(&given) && problem == "TokensDrawn", "{given}, {problem}");
    let left = wallet(&claire, domain).0;
    assert!((drawn - 80..drawn - 64).contains(&left), "{left}: the grant is large enough to cost one");
    let scan = tablet.file("scan.bin", &vec![7; 300 << 10]);
    tablet.send_now(&Draft { attach: vec![scan], ..Draft::to(&karim, "From the ward", "text") });
    karim.receive("From the ward");
    assert!(wallet(&tablet, domain).0 < given);
}
