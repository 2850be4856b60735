//! No server at all, and a server that is not the one it was.

use std::fs;

use crate::correspondent::Correspondent;
use crate::person::{Draft, Person};
use crate::process::{Process, wait_until};
use crate::server::Server;

#[test]
fn without_a_server_mail_is_queued_and_goes_out_with_a_later_sync() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.add_contact(&karim);
    server.kill();

    let subjects: Vec<String> = (0..3).map(|number| format!("queued {number}")).collect();
    for subject in &subjects {
        let sent = claire.send(&Draft { wait: Some(0), ..Draft::to(&karim, subject, "while nobody is there") });
        assert_eq!(sent["state"], "queued", "{sent}");
    }
    assert_eq!(claire.status()["outbox"].as_array().unwrap().len(), subjects.len());
    let refused = claire.run(&["sync"]).with_code(1);
    assert!(refused.complaints.contains("reached"), "{refused:?}");

    server.run();
    claire.sync();
    assert_eq!(claire.status()["outbox"], serde_json::json!([]));
    karim.sync();
    assert_eq!(karim.subjects(), subjects);
}

#[test]
fn another_tls_certificate_is_as_good_and_another_server_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "first", "1"));
    server.stop();

    // Whatever lies beside the store and the server key is the certificate's.
    let mut certificate = Vec::new();
    for entry in fs::read_dir(server.data()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".pem") || name == "quic.key" {
            fs::remove_file(entry.path()).unwrap();
            certificate.push(name);
        }
    }
    assert!(certificate.iter().any(|name| name.ends_with(".pem")), "{certificate:?}");
    server.run();
    claire.send_now(&Draft::to(&karim, "second", "2"));
    karim.sync();
    assert_eq!(karim.subjects(), ["first", "second"]);

    server.stop();
    fs::remove_file(server.data().join("server.key")).unwrap();
    server.run();
    let sent = claire.send(&Draft { wait: Some(0), ..Draft::to(&karim, "third", "3") });
    assert_eq!(sent["state"], "queued", "{sent}");
    let refused = claire.run(&["sync"]).with_code(1);
    assert!(refused.complaints.contains("key has changed"), "{refused:?}");
    assert_eq!(server.queued(&karim.address()), 0, "nothing may go to a server that cannot prove itself");
    assert_eq!(claire.status()["outbox"].as_array().unwrap().len(), 1, "it is kept");
}

#[test]
fn a_sync_that_waits_is_pushed_to_and_connects_again_after_the_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut beside = Correspondent::beside(&karim);
    let waiting = Process::start(&mut karim.command(&["sync", "--wait", "55", "--json"]));
    claire.send_now(&Draft::to(&karim, "pushed", "1"));
    wait_until("the mail was pushed", || beside.status().received == 1);
    server.kill();
    server.run();
    claire.send_now(&Draft::to(&karim, "after the crash", "2"));
    wait_until("the mail was pushed over a new connection", || beside.status().received == 2);
    // The same process has put out what another one queued meanwhile.
    let sent = karim.send(&Draft { wait: Some(0), ..Draft::to(&claire, "answer", "3") });
    assert!(["queued", "accepted"].contains(&sent["state"].as_str().unwrap()), "{sent}");
    wait_until("the answer is sent", || beside.status().outbox.is_empty());
    let ended = waiting.kill();
    assert_eq!(ended.status.code(), None, "it was still waiting: {ended:?}");
    assert_eq!(claire.receive("answer")["body"], "3");
    assert_eq!(karim.subjects(), ["after the crash", "pushed"]);
}
