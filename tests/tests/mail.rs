//! Mail between three accounts: to and cc, replies, attachments, and the JSON that `spec/command-line.md` promises.

use std::fs;

use serde_json::{Value, json};

use crate::person::{Draft, Person};
use crate::server::Server;

/// The fields that an object must have, whatever else it has.
#[track_caller]
fn has_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "`{field}` is missing in {value}");
    }
}

#[test]
fn mail_between_three_accounts_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let account = |name, local| Person::with_account(folder.path(), &server, name, local);
    let claire = account("Dr Claire Martin", "claire.martin");
    let karim = account("Karim Benali", "karim.benali");
    let ines = account("Inès Duval", "ines.duval");

    // Both sides see one safety number, whoever asks.
    assert_eq!(claire.add_contact(&karim), karim.add_contact(&claire));

    let report: Vec<u8> = (0..40_000_u32).map(|number| (number * 7 % 251) as u8).collect();
    let body = "Potassium 6,1 mmol/L — rappelez-moi.\r\n\tDr Martin\n";
    let draft = Draft {
        to: vec![karim.address()],
        cc: vec![ines.address()],
        subject: "Résultats".to_owned(),
        body: body.to_owned(),
        attach: vec![claire.file("report.bin", &report), claire.file("empty.txt", b"")],
        ..Draft::default()
    };
    let sent = claire.send(&draft);
    has_fields(&sent, &["id", "state", "recipients"]);
    assert_eq!(sent["state"], "accepted", "{sent}");

    for person in [&karim, &ines] {
        person.sync();
        let inbox = person.inbox();
        assert_eq!(inbox.len(), 1, "{inbox:?}");
        has_fields(&inbox[0], &["id", "from", "subject", "received_at", "read", "attachments"]);
        assert_eq!(inbox[0]["from"], claire.address());
        assert_eq!(inbox[0]["from_name"], claire.name);
        assert_eq!(inbox[0]["subject"], "Résultats");
        assert_eq!(inbox[0]["read"], false);
        assert!(inbox[0]["received_at"].as_str().unwrap().starts_with("20"), "{inbox:?}");

        let saved = person.folder().join("saved");
        let id = inbox[0]["id"].as_str().unwrap();
        let mail = person.run(&["read", id, "--json", "--save", saved.to_str().unwrap()]).done().json();
        assert_eq!(mail["body"], body);
        assert_eq!(mail["to"], json!([karim.address()]));
        assert_eq!(mail["cc"], json!([ines.address()]));
        assert_eq!(mail["attachments"][0]["name"], "report.bin");
        assert_eq!(mail["attachments"][0]["size"], report.len());
        assert_eq!(mail["attachments"][1]["size"], 0);
        assert_eq!(fs::read(saved.join("report.bin")).unwrap(), report);
        assert_eq!(fs::read(saved.join("empty.txt")).unwrap(), b"");
        assert_eq!(person.inbox()[0]["read"], true);
    }

    // A reply carries the thread on, and a second mail comes over the session that there is.
    let received = karim.inbox()[0].clone();
    let reply = Draft {
        in_reply_to: received["id"].as_str().map(str::to_owned),
        ..Draft::to(&claire, "Re: Résultats", "J'appelle à 14 h.\n")
    };
    karim.send_now(&reply);
    let answer = claire.receive("Re: Résultats");
    assert_eq!(answer["body"], "J'appelle à 14 h.\n");
    assert_eq!(answer["thread"], received["thread"]);
    assert_eq!(answer["in_reply_to"], sent["id"]);
    claire.send_now(&Draft::to(&karim, "Merci", "À tout à l'heure.\n"));
    assert_eq!(karim.receive("Merci")["body"], "À tout à l'heure.\n");

    let status = claire.status();
    has_fields(&status, &["address", "server", "registered", "received", "unread", "sent", "contacts", "outbox"]);
    assert_eq!(status["address"], claire.address());
    assert_eq!(status["registered"], true);
    assert_eq!((&status["sent"], &status["received"]), (&json!(2), &json!(1)));
    assert_eq!(status["outbox"], json!([]));
    assert_eq!(status["undecryptable_total"], 0);
    assert_eq!(server.queued(&karim.address()), 0);
    assert_eq!(karim.subjects(), ["Merci", "Résultats"]);
}

#[test]
fn both_write_first_at_once_and_go_on_with_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "from claire", "1"));
    karim.send_now(&Draft::to(&claire, "from karim", "2"));
    assert_eq!(claire.receive("from karim")["body"], "2");
    assert_eq!(karim.receive("from claire")["body"], "1");
    for round in 0..3 {
        let subject = format!("round {round}");
        claire.send_now(&Draft::to(&karim, &subject, "3"));
        assert_eq!(karim.receive(&subject)["body"], "3");
        karim.send_now(&Draft::to(&claire, &subject, "4"));
        assert_eq!(claire.receive(&subject)["body"], "4");
    }
    assert_eq!(claire.status()["undecryptable_total"], 0);
    assert_eq!(karim.status()["undecryptable_total"], 0);
}
