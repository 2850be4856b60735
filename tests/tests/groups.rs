//! Groups with the real commands and a real server: made, talked in, raced over, left, watched, and survived by both ends.

use std::thread;

use serde_json::Value;

use crate::linking::link_home;
use crate::person::Person;
use crate::secrecy::kept_in_the_clear;
use crate::server::Server;

/// Somebody who can be added: his key packages are published.
#[track_caller]
pub fn ready(folder: &std::path::Path, server: &Server, name: &'static str, local: &'static str) -> Person {
    let person = Person::with_account(folder, server, name, local);
    person.run(&["sync"]).done();
    person
}

#[track_caller]
pub fn said(person: &Person, group: &str) -> Vec<String> {
    let log = person.run(&["group", "log", group, "--json"]).done().json();
    log.as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
pub fn group(person: &Person, group: &str) -> Value {
    person.run(&["group", "show", group, "--json"]).done().json()
}

fn members(group: &Value) -> Vec<(String, String, usize)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let member = |one: &Value| (text(&one["address"]), text(&one["role"]), one["devices"].as_array().unwrap().len());
    group["members"].as_array().unwrap().iter().map(member).collect()
}

/// Tries something that needs several programs' turns, for a while.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    assert!((0..40).any(|_| holds()), "{what}");
}

#[test]
fn a_team_is_made_talks_changes_and_the_server_knows_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    let nadia = ready(folder.path(), &server, "Nadia Roux", "nadia");
    let made = claire
        .run(&["group", "create", "Secret ward", "--member", &karim.address(), "--reader", &nadia.address(), "--json"])
        .done()
        .json();
    assert_eq!((&made["state"], members(&made).len()), (&"active".into(), 3), "{made}");
    // Added while they were away.
    for person in [&karim, &nadia] {
        person.run(&["sync"]).done();
        assert_eq!(members(&group(person, "Secret ward")), members(&made));
    }
    claire.run(&["group", "send", "Secret ward", "Potassium 6.1 in bed 4"]).done();
    karim.run(&["sync"]).done();
    karim.run(&["chat", "send", "Secret ward", "On my way", "--reply-to", "0"]).done();
    karim.run(&["chat", "react", "Secret ward", "0", "👍"]).done();
    karim.run(&["chat", "poll", "Secret ward", "Dialysis?", "--option", "Yes", "--option", "No"]).done();
    claire.run(&["sync"]).done();
    let log = claire.run(&["group", "log", "Secret ward", "--json"]).done().json();
    let poll = log.as_array().unwrap().iter().find(|one| one["text"].as_str().unwrap().starts_with("Dialysis"));
    claire.run(&["chat", "vote", "Secret ward", &poll.unwrap()["number"].to_string(), "1"]).done();
    nadia.run(&["sync"]).done();
    assert_eq!(
        said(&nadia, "Secret ward"),
        ["Potassium 6.1 in bed 4", "On my way", "Dialysis?\n  1. Yes: 1\n  2. No: 0"]
    );
    let log = nadia.run(&["group", "log", "Secret ward", "--json"]).done().json();
    assert_eq!((&log[0]["reactions"][0]["emoji"], &log[0]["reactions"][0]["count"]), (&"👍".into(), &1.into()));
    assert_eq!(group(&nadia, "Secret ward")["unread"], 0, "what was shown is seen");

    // Wrong use is refused before anything leaves, by name.
    let refused = nadia.run(&["group", "send", "Secret ward", "hm"]).with_code(1);
    assert!(refused.complaints.contains("not write"), "{}", refused.complaints);
    let refused = karim.run(&["group", "rename", "Secret ward", "Mine"]).with_code(1);
    assert!(refused.complaints.contains("only an owner"), "{}", refused.complaints);
    let refused = claire.run(&["group", "add", "Secret ward", "nobody@clinic.example"]).with_code(1);
    assert!(refused.complaints.contains("does not know the account"), "{}", refused.complaints);
    let refused = claire.run(&["group", "leave", "Secret ward"]).with_code(1);
    assert!(refused.complaints.contains("no owner"), "{}", refused.complaints);
    let refused = claire.run(&["group", "show", "No such group"]).with_code(1);
    assert!(refused.complaints.contains("there is no group"), "{}", refused.complaints);

    // Who is taken out sees nothing more, and is told what was not sent.
    claire.run(&["group", "remove", "Secret ward", &karim.address()]).done();
    claire.run(&["group", "send", "Secret ward", "Karim is gone"]).done();
    let refused = karim.run(&["group", "send", "Secret ward", "still here"]).with_code(1);
    assert!(refused.complaints.contains("group_removed"), "{}", refused.complaints);
    assert!(!said(&karim, "Secret ward").contains(&"Karim is gone".to_owned()));
    nadia.run(&["sync"]).done();
    assert!(said(&nadia, "Secret ward").contains(&"Karim is gone".to_owned()));
    assert_eq!(group(&karim, "Secret ward")["state"], "removed");

    // Nothing of it can be read where the server keeps it.
    server.stop();
    for secret in ["Secret ward", "Potassium", "On my way", "Dialysis", "Karim is gone"] {
        assert_eq!(kept_in_the_clear(secret, &server), Vec::<std::path::PathBuf>::new(), "{secret}");
    }
}

#[test]
fn eight_change_a_group_at_once_and_the_server_dies_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let people: Vec<Person> = names.iter().map(|local| ready(folder.path(), &server, "Somebody", local)).collect();
    let mut create = vec!["group".to_owned(), "create".into(), "All".into()];
    for person in &people[1..] {
        create.extend(["--owner".to_owned(), person.address()]);
    }
    people[0].run(&create.iter().map(String::as_str).collect::<Vec<_>>()).done();
    for person in &people {
        person.run(&["sync"]).done();
        assert_eq!(members(&group(person, "All")).len(), names.len());
    }
    let before = group(&people[0], "All")["epoch"].as_u64().unwrap();
    thread::scope(|scope| {
        for person in &people {
            scope.spawn(move || {
                person.run(&["group", "update", "All"]);
                person.run(&["group", "send", "All", &format!("from {}", person.address())]);
            });
        }
        thread::sleep(std::time::Duration::from_millis(700));
        server.kill();
        server.run();
    });
    let settled = |person: &Person| {
        person.run(&["sync", "--wait", "1"]).done();
        let shown = group(person, "All");
        let changed = shown["waiting_changes"] == 0 && shown["epoch"].as_u64() == Some(before + names.len() as u64);
        changed && said(person, "All").len() == names.len()
    };
    // Who has lost a race waits up to 20 s before the next.
    until("all changes are made and all words are here", || {
        people.iter().filter(|person| !settled(person)).count() == 0
    });
    let log = said(&people[0], "All");
    assert_eq!(log.len(), names.len(), "each word once: {log:?}");
    for person in &people {
        person.run(&["sync"]).done();
        let shown = group(person, "All");
        assert_eq!(shown["epoch"].as_u64().unwrap(), before + names.len() as u64, "each commit once: {shown}");
        assert_eq!((&shown["waiting_changes"], &shown["state"]), (&0.into(), &"active".into()), "{shown}");
        assert_eq!(said(person, "All"), log, "all see one order");
    }
}

#[test]
fn a_second_device_comes_in_and_entries_are_pushed_to_who_watches() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.run(&["sync"]).done();
    let tablet = Person::new(&folder.path().join("second"), "", "karim");
    link_home(&karim, &tablet, &server, "Ward tablet");
    until("the tablet is in the group", || {
        for device in [&tablet, &karim] {
            device.run(&["sync", "--wait", "2"]).done();
        }
        tablet.run(&["group", "list", "--json"]).done().json() != Value::Array(Vec::new())
            && members(&group(&tablet, "Ward"))[1].2 == 2
    });
    // The tablet stays connected; what is said meanwhile comes without asking.
    thread::scope(|scope| {
        let watching = scope.spawn(|| tablet.run(&["sync", "--wait", "8", "--json"]).done().json());
        thread::sleep(std::time::Duration::from_secs(3));
        claire.run(&["group", "send", "Ward", "Bed 4"]).done();
        let report = watching.join().unwrap();
        assert_eq!(report["group_messages"], 1, "{report}");
    });
    assert_eq!(said(&tablet, "Ward"), ["Bed 4"]);
}
