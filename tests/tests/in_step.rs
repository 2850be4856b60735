//! The devices of one account in step, with the real commands and a real server: what was read, contacts, how far mail has
//! come, names.

use serde_json::Value;

use crate::linking::{devices, link_home};
use crate::person::{Draft, Person};
use crate::server::Server;

/// Stays connected for longer than what is told is collected.
#[track_caller]
fn sync_and_tell(person: &Person) {
    person.run(&["sync", "--wait", "5"]).done();
}

/// Whether the only message with this subject counts as read.
#[track_caller]
fn is_read(person: &Person, subject: &str) -> bool {
    let inbox = person.inbox();
    let found: Vec<_> = inbox.iter().filter(|one| one["subject"] == subject).collect();
    assert_eq!(found.len(), 1, "{inbox:?}");
    found[0]["read"].as_bool().unwrap()
}

/// The only sent message with this subject.
#[track_caller]
fn sent(person: &Person, subject: &str) -> Value {
    let said = person.run(&["inbox", "--sent", "--json"]).done().json();
    let found: Vec<_> = said.as_array().unwrap().iter().filter(|one| one["subject"] == subject).cloned().collect();
    assert_eq!(found.len(), 1, "{said}");
    found[0].clone()
}

#[track_caller]
fn contacts(person: &Person) -> Vec<(String, bool)> {
    let said = person.run(&["contact", "list", "--json"]).done().json();
    let one = |contact: &Value| (contact["address"].as_str().unwrap().to_owned(), contact["verified"] == true);
    said.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn read_marks_contacts_states_and_names_are_the_same_on_both_devices() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let nadia = Person::with_account(folder.path(), &server, "Nadia Roux", "nadia");
    let tablet = Person::new(&folder.path().join("second"), "", "claire");
    link_home(&claire, &tablet, &server, "Ward tablet");

    // Read on the tablet, read on the first device; and what is read there, on the tablet.
    for subject in ["read on the tablet", "read on the telephone", "unread"] {
        karim.send_now(&Draft::to(&claire, subject, "text"));
    }
    claire.sync();
    tablet.sync();
    tablet.only("read on the tablet");
    claire.only("read on the telephone");
    sync_and_tell(&tablet);
    sync_and_tell(&claire);
    tablet.sync();
    for device in [&claire, &tablet] {
        assert!(is_read(device, "read on the tablet") && is_read(device, "read on the telephone"));
        assert!(!is_read(device, "unread"));
    }

    // A contact that the tablet adds and compares is the first device's, compared.
    tablet.add_contact(&nadia);
    let number = nadia.add_contact(&claire);
    tablet.run(&["verify", &nadia.address(), "--number", &number]).done();
    sync_and_tell(&tablet);
    claire.sync();
    let known = vec![(karim.address(), false), (nadia.address(), true)];
    assert_eq!((contacts(&claire), contacts(&tablet)), (known.clone(), known));

    // What the tablet sends, and how far it comes, is known on the first device.
    let mut words = tablet.mail_send(&Draft::to(&karim, "from the tablet", "text"));
    words.extend(["--receipt", "delivered", "--receipt", "displayed"].map(str::to_owned));
    assert_eq!(tablet.run(&words).done().json()["state"], "accepted");
    sync_and_tell(&tablet);
    claire.sync();
    assert_eq!(sent(&claire, "from the tablet")["state"], "accepted");
    karim.sync();
    claire.sync();
    tablet.sync();
    for device in [&claire, &tablet] {
        assert_eq!(sent(device, "from the tablet")["state"], "delivered");
    }
    karim.receive("from the tablet");
    karim.sync();
    claire.sync();
    tablet.sync();
    for device in [&claire, &tablet] {
        assert_eq!(sent(device, "from the tablet")["state"], "displayed");
    }
    // One that fails, fails on both.
    let to_nobody = Draft {
        to: vec![format!("nobody@{}", crate::server::DOMAIN)],
        subject: "to nobody".to_owned(),
        ..Draft::default()
    };
    claire.run(&claire.mail_send(&to_nobody)).with_code(1);
    sync_and_tell(&claire);
    tablet.sync();
    let failed = sent(&tablet, "to nobody");
    assert_eq!((&failed["state"], &failed["recipients"][0]["code"]), (&"failed".into(), &"unknown_account".into()));

    // Names, from either device.
    let ids: Vec<String> = devices(&claire).iter().map(|one| one["id"].to_string()).collect();
    let said = tablet.run(&["device", "rename", &ids[0], "Telephone"]).done();
    assert!(said.output.contains("is called \"Telephone\" now"), "{}", said.output);
    claire.sync();
    claire.run(&["device", "rename", &ids[1], "Bedside tablet"]).done();
    tablet.sync();
    for device in [&claire, &tablet] {
        let names: Vec<_> = devices(device).iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["Telephone", "Bedside tablet"]);
    }
    let unknown = claire.run(&["device", "rename", "1", "x"]).with_code(1);
    assert!(unknown.complaints.contains("has no device 1"), "{}", unknown.complaints);
}
