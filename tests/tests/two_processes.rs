//! Several processes on one home: the lock is held per event, and nothing is lost or done twice.

use crate::person::{Draft, Person};
use crate::process::Process;
use crate::server::Server;

#[test]
fn two_mail_sends_at_once_on_one_home_both_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut expected = Vec::new();
    // First without a session: both processes fetch prekeys at once. Then over the session.
    for round in 0..3 {
        let drafts = ["one", "two"].map(|which| Draft::to(&karim, &format!("{which} {round}"), which));
        let processes = drafts.each_ref().map(|draft| Process::start(&mut claire.command(&claire.mail_send(draft))));
        for process in processes {
            let sent = process.wait().done().json();
            assert_eq!(sent["state"], "accepted", "{sent}");
        }
        expected.extend(drafts.map(|draft| draft.subject));
        karim.sync();
    }
    expected.sort();
    assert_eq!(karim.subjects(), expected);
    assert_eq!(karim.status()["undecryptable_total"], 0);
    assert_eq!(claire.status()["sent"], expected.len());
    assert_eq!(claire.status()["outbox"], serde_json::json!([]));
    karim.send_now(&Draft::to(&claire, "back", "still in step"));
    assert_eq!(claire.receive("back")["body"], "still in step");
}

#[test]
fn sync_beside_mail_send_on_one_home_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut expected = Vec::new();
    for round in 0..3 {
        let from_karim = format!("from karim {round}");
        karim.send_now(&Draft::to(&claire, &from_karim, "to be fetched"));
        let from_claire = Draft::to(&karim, &format!("from claire {round}"), "to be sent");
        let sync = Process::start(&mut claire.command(&["sync"]));
        let send = Process::start(&mut claire.command(&claire.mail_send(&from_claire)));
        assert_eq!(send.wait().done().json()["state"], "accepted");
        sync.wait().done();
        claire.sync();
        expected.push(from_karim);
        assert_eq!(claire.subjects(), expected);
        assert_eq!(karim.receive(&from_claire.subject)["body"], "to be sent");
    }
    for person in [&claire, &karim] {
        let status = person.status();
        assert_eq!((&status["undecryptable_total"], &status["old_copy"]), (&0.into(), &false.into()), "{status}");
        assert_eq!(status["outbox"], serde_json::json!([]));
    }
}
