//! No server at all, and a server that is not the one it was.

use std::fs;

use crate::person::{Draft, Person};
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
