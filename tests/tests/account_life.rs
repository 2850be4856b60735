//! The end of an account with the real commands: left with a hand-over, deleted, and asked about before.

use std::fs;

use serde_json::Value;

use crate::person::{Draft, Person};
use crate::server::Server;

#[test]
fn whoever_leaves_tells_his_contacts_and_loses_nothing_that_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let nadia = Person::with_account(folder.path(), &server, "Nadia Roux", "nadia");
    claire.add_contact(&karim);
    claire.add_contact(&nadia);
    claire.run(&["contact", "block", &nadia.address()]).done();
    karim.send_now(&Draft::to(&claire, "waits for her", "1"));
    let leave = ["account", "leave", "--hand-over", &nadia.address(), "--wait", "1"];
    let refused = claire.run(&leave).with_code(1);
    assert!(refused.complaints.contains("was not typed"), "{refused:?}");
    let leave = [&leave[..], &["--yes"]].concat();
    // A server that is away keeps her: nobody was told yet.
    server.stop();
    claire.run(&leave).with_code(1);
    server.run();
    claire.run(&leave).done();

    let notice = karim.receive("Dr Claire Martin has left");
    assert!(notice["body"].as_str().unwrap().contains(&nadia.address()), "{notice}");
    nadia.sync();
    assert_eq!(nadia.subjects(), [""; 0], "whom she has blocked she does not tell");
    assert_eq!(claire.only("waits for her")["body"], "1", "her queue was emptied first");
    assert_eq!(claire.status()["revoked"], "account_deleted", "{}", claire.status());
    let inspected = server.inspect();
    let addresses: Vec<_> =
        inspected["accounts"].as_array().unwrap().iter().map(|one| one["address"].clone()).collect();
    assert_eq!(addresses, [Value::from(karim.address()), nadia.address().into()]);
    let failed = karim.run(&karim.mail_send(&Draft::to(&claire, "too late", "2"))).with_code(1);
    assert!(failed.output.contains("unknown_account"), "{failed:?}");
    let again = claire.run(&["account", "delete", "--yes"]).with_code(1);
    assert!(again.complaints.contains("deleted"), "{again:?}");
    claire.run(&["sync"]).with_code(1);
    // The address is free again.
    let other = Person::new(folder.path(), "Claire Morel", "morel");
    let words = ["account", "create", "--server", &server.host(), "--name", other.name, "--address", &claire.address()];
    other.run(&[&words[..], &["--invite", &server.invite()]].concat()).done();
}

#[test]
fn a_deletion_outlives_a_restore_and_whoever_is_unknown_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let export = folder.path().join("export");
    server.ask(&["admin", "export", "--out", export.to_str().unwrap()]).done();
    claire.run(&["account", "delete", "--yes"]).done();
    let ines = Person::with_account(folder.path(), &server, "Inès Duval", "ines");
    server.stop();
    let (key, log) = (server.data().join("server.key"), server.data().join("deletions.log"));
    server.move_to("restored");
    fs::create_dir(server.data()).unwrap();
    for file in [key, log] {
        fs::copy(&file, server.data().join(file.file_name().unwrap())).unwrap();
    }
    let said = server.ask(&["admin", "import", "--in", export.to_str().unwrap()]).done().output;
    assert!(said.contains("1 accounts were deleted"), "{said}");
    server.run();
    let accounts = server.inspect()["accounts"].clone();
    assert_eq!((accounts.as_array().unwrap().len(), &accounts[0]["address"]), (1, &karim.address().into()));
    server.ask(&["admin", "verify"]).done();
    // An account that is younger than the backup is told what has happened.
    let unknown = ines.run(&["sync"]).with_code(1);
    assert!(unknown.complaints.contains("older than the account"), "{unknown:?}");
    karim.sync();
}

#[test]
fn a_person_gets_all_that_the_server_has_and_all_that_is_here() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "read", "1"));
    karim.sync();
    claire.send_now(&Draft::to(&karim, "waits", "2"));
    let out = karim.folder().join("my data");
    let words = ["account", "data", "--out", out.to_str().unwrap()];
    karim.run(&words).done();
    let data: Value = serde_json::from_str(&fs::read_to_string(out.join("server.json")).unwrap()).unwrap();
    assert_eq!((&data["address"], &data["tenant"]), (&karim.address().into(), &"default".into()));
    assert_eq!(data["organisation"], "Intensive care");
    assert_eq!(data["devices"][0]["envelopes"].as_array().unwrap().len(), 1, "{data}");
    let readable = fs::read_to_string(out.join("readable.jsonl")).unwrap();
    assert!(readable.contains("\"read\"") && !readable.contains("\"waits\""), "{readable}");
    karim.run(&words).with_code(2);
}
