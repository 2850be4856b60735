//! Cases with the real commands: opened, talked in, closed, exported, and verified by somebody who has no account.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::person::Person;
use crate::process::{Ended, medipeps, run};
use crate::server::Server;

#[track_caller]
fn case(person: &Person, title: &str) -> Value {
    person.sync();
    person.run(&["case", "show", title, "--json"]).done().json()
}

fn texts(case: &Value) -> Vec<&str> {
    case["messages"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect()
}

/// An auditor has the command and a file.
fn verify(file: &Path, more: &[&str]) -> Ended {
    let mut command = Command::new(medipeps());
    command.args(["case", "verify"]).arg(file).args(more).env_remove("MEDIPEPS_HOME");
    run(&mut command)
}

#[test]
fn a_case_from_its_opening_to_the_auditor() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let nadia = Person::with_account(folder.path(), &server, "Nadia Roux", "nadia");
    karim.sync();
    nadia.sync();
    let (karims, nadias) = (karim.address(), nadia.address());
    claire.run(&["group", "create", "Ward", "--member", &karims, "--member", &nadias]).done();
    let member = format!("{karims}:ward nurse");
    let opened = claire
        .run(&[
            "case",
            "open",
            "Ward",
            "--patient",
            "1850578006084:1.2.250.1.213.1.4.8",
            "--title",
            "Mrs Nessi",
            "--member",
            &member,
            "--json",
        ])
        .done()
        .json();
    assert_eq!(opened["state"], "sent", "{opened}");
    let id = opened["case"].as_str().unwrap();
    claire.run(&["group", "send", "Ward", "Good evening, all"]).done();
    karim.sync();
    karim.run(&["case", "send", "Mrs Nessi", "Potassium 6.1"]).done();
    karim.run(&["chat", "poll", "Ward", "Dialysis?", "--option", "Yes", "--option", "No", "--case", id]).done();
    let shown = case(&claire, id);
    assert_eq!(texts(&shown), ["Potassium 6.1", "Dialysis?\n  1. Yes: 0\n  2. No: 0"], "{shown}");
    assert_eq!((&shown["state"], &shown["patient"]["identifier"]), (&"open".into(), &"1850578006084".into()));
    assert_eq!(shown["team"][1]["function"], "ward nurse");
    let (first, poll) = (shown["messages"][0]["number"].to_string(), shown["messages"][1]["number"].to_string());
    // What speaks of a message goes where that is.
    claire.run(&["chat", "react", "Ward", &first, "👍"]).done();
    claire.run(&["chat", "vote", "Ward", &poll, "1"]).done();
    // Nadia is in the group and not in the team: she is told so, and sees it.
    nadia.sync();
    let refused = nadia.run(&["case", "send", "Mrs Nessi", "hm"]).with_code(1);
    assert!(refused.complaints.contains("team"), "{}", refused.complaints);
    let shown = case(&nadia, "Mrs Nessi");
    assert_eq!(texts(&shown), ["Potassium 6.1", "Dialysis?\n  1. Yes: 1\n  2. No: 0"], "{shown}");
    assert_eq!(shown["messages"][0]["reactions"][0]["emoji"], "👍");
    // In the group it is one line, and what is said in it is apart.
    let log = nadia.run(&["group", "log", "Ward", "--json"]).done().json();
    let kinds: Vec<_> = log.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["case", "chat"], "{log}");
    let log = nadia.run(&["group", "log", "Ward"]).done().output;
    assert!(log.contains("in the case \"Mrs Nessi\"") && !log.contains("Potassium"), "{log}");
    // Who may close it closes it.
    let refused = karim.run(&["case", "close", "Mrs Nessi"]).with_code(1);
    assert!(refused.complaints.contains("may not close"), "{}", refused.complaints);
    claire.run(&["case", "close", "Mrs Nessi", "--reason", "Discharged"]).done();
    assert_eq!(case(&karim, "Mrs Nessi")["state"], "closed");
    let refused = karim.run(&["case", "send", "Mrs Nessi", "too late"]).with_code(1);
    assert!(refused.complaints.contains("closed"), "{}", refused.complaints);
    claire.run(&["case", "reopen", "Mrs Nessi", "--closes", "2099-12-31"]).done();
    let listed = claire.run(&["case", "list", "--json"]).done().json();
    assert_eq!((&listed[0]["state"], &listed[0]["closes_at"]), (&"open".into(), &"2100-01-01T00:00:00Z".into()));
    claire.run(&["case", "team", "Mrs Nessi", "--member", &format!("{nadias}:dialysis:closer")]).done();
    nadia.sync();
    nadia.run(&["case", "send", "Mrs Nessi", "I take over"]).done();

    // The auditor.
    let file = folder.path().join("case.medipeps");
    let path = file.to_str().unwrap();
    claire.sync();
    claire.run(&["case", "export", "Mrs Nessi", path]).done();
    claire.run(&["case", "export", "Mrs Nessi", path]).with_code(1);
    let checked = verify(&file, &["--json"]).done().json();
    assert_eq!((&checked["verified"], &checked["exported_by"]), (&true.into(), &claire.address().into()), "{checked}");
    assert_eq!(checked["messages"].as_array().unwrap().len(), 3, "{checked}");
    assert_eq!(checked["events"].as_array().unwrap().len(), 4, "{checked}");
    let text = verify(&file, &[]).done().output;
    assert!(text.contains("Potassium 6.1") && text.contains("Not proven:") && text.contains("Discharged"), "{text}");
    let strange = claire.file("strange.pdf", b"not in the case");
    let unknown = verify(&file, &["--document", strange.to_str().unwrap()]).with_code(1);
    assert!(unknown.output.contains("is NOT in the case"), "{}", unknown.output);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(9).position(|window| window == b"Potassium").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let refused = verify(&file, &[]).with_code(1);
    assert!(refused.complaints.contains("NOT VERIFIED") && refused.output.is_empty(), "{}", refused.complaints);
}
