//! An organisation's mailbox with the real commands: served unattended, killed, taken care of, answered, left.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::person::{Draft, Person};
use crate::server::Server;

fn ready(folder: &Path, server: &Server, name: &'static str, local: &'static str) -> Person {
    let person = Person::with_account(folder, server, name, local);
    person.run(&["sync"]).done();
    person
}

#[track_caller]
fn listed(person: &Person) -> Vec<Value> {
    person.run(&["sync"]).done();
    person.run(&["mailbox", "list", "Cardiology", "--json"]).done().json().as_array().unwrap().clone()
}

#[test]
fn what_comes_is_posted_once_through_kills_taken_care_of_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mailbox = ready(folder.path(), &server, "Cardiology", "cardiology");
    let ben = ready(folder.path(), &server, "Ben Ali", "ben");
    let cleo = ready(folder.path(), &server, "Cleo Roux", "cleo");
    let dan = ready(folder.path(), &server, "Dr Dan Petit", "dan");
    mailbox.run(&["group", "create", "Cardiology", "--member", &ben.address(), "--member", &cleo.address()]).done();
    for member in [&ben, &cleo] {
        member.run(&["sync"]).done();
    }
    mailbox.run(&["mailbox", "serve", "Cardiology"]).done();
    dan.add_contact(&mailbox);
    for number in 0..4 {
        dan.send(&Draft::to(&mailbox, &format!("Request {number}"), "An appointment, please"));
        // Killed wherever it is, in receiving, posting or appending.
        let mut serving = mailbox.command(&["sync", "--wait", "30"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + 250 * number));
        serving.kill().unwrap();
        serving.wait().unwrap();
    }
    // What the last kill has left is done now.
    mailbox.run(&["sync", "--wait", "2"]).done();
    let mut mails = listed(&ben);
    for _ in 0..10 {
        if mails.len() == 4 {
            break;
        }
        mailbox.run(&["sync", "--wait", "2"]).done();
        mails = listed(&ben);
    }
    let mut subjects: Vec<_> = mails.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["Request 0", "Request 1", "Request 2", "Request 3"]);

    let number = mails[0]["number"].to_string();
    ben.run(&["mailbox", "claim", "Cardiology", &number]).done();
    let number_of_cleo = listed(&cleo).iter().find(|one| one["id"] == mails[0]["id"]).unwrap()["number"].to_string();
    let late = cleo.run(&["mailbox", "claim", "Cardiology", &number_of_cleo]).with_code(1);
    assert!(late.complaints.contains("ben@clinic.example takes care of it"), "{}", late.complaints);
    ben.run(&["mailbox", "reply", "Cardiology", &number, "Tuesday at nine"]).done();
    for _ in 0..2 {
        mailbox.run(&["sync", "--wait", "2"]).done();
    }
    dan.run(&["sync"]).done();
    let inbox = dan.run(&["inbox", "--json"]).done().json();
    let inbox = inbox.as_array().unwrap();
    assert_eq!((inbox.len(), &inbox[0]["from"]), (1, &mailbox.address().into()), "{inbox:?}");

    // Who leaves holds nothing, and reads nothing that comes after.
    mailbox.run(&["group", "remove", "Cardiology", &ben.address()]).done();
    dan.send(&Draft::to(&mailbox, "After Ben", "Another one"));
    mailbox.run(&["sync", "--wait", "2"]).done();
    let mails = listed(&cleo);
    assert_eq!(mails.len(), 5);
    assert!(mails.iter().all(|mail| mail["state"] == "unclaimed"), "{mails:?}");
    let trace = cleo.run(&["mailbox", "trace", "Cardiology", "--person", &ben.address(), "--json"]).done().json();
    assert_eq!((trace.as_array().unwrap().len(), &trace[0]["act"]), (1, &"claimed".into()), "{trace}");
    assert_eq!(listed(&ben).len(), 4);
}
