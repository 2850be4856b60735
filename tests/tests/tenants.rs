//! Tenants and suspension with the real commands: what an operator says, and what people are told.

use crate::person::{Draft, Person};
use crate::server::Server;

/// An invitation of a tenant.
#[track_caller]
fn invite(server: &Server, tenant: &str) -> String {
    server.ask(&["admin", "invite", "--tenant", tenant]).done().output.trim().to_owned()
}

#[test]
fn a_licence_is_shown_filled_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let terms = ["--licence", "structure", "--seats", "1", "--services", "mail,teleconsultation", "--grace-days", "0"];
    server.ask(&[&["admin", "tenant", "add", "Cabinet Martin"][..], &terms].concat()).done();
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    claire.create_account(&server, &invite(&server, "Cabinet Martin")).done();
    let licence = claire.run(&["account", "licence", "--json"]).done().json();
    assert_eq!((&licence["tenant"], &licence["standing"]), (&"Cabinet Martin".into(), &"active".into()), "{licence}");
    assert_eq!(licence["services"], serde_json::json!(["mail", "teleconsultation"]));

    let karim = Person::new(folder.path(), "Karim Benali", "karim");
    let second = invite(&server, "Cabinet Martin");
    let refused = karim.create_account(&server, &second).with_code(1);
    assert!(refused.complaints.contains("SeatsExhausted") && refused.complaints.contains("seats"), "{refused:?}");
    server.ask(&["admin", "tenant", "change", "Cabinet Martin", "--seats", "2"]).done();
    karim.create_account(&server, &second).done();
    claire.send_now(&Draft::to(&karim, "while it lasts", "1"));

    server.ask(&["admin", "tenant", "change", "Cabinet Martin", "--ends", "2020-12-31"]).done();
    assert_eq!(karim.receive("while it lasts")["body"], "1", "what was accepted is not lost");
    let failed = claire.run(&claire.mail_send(&Draft::to(&karim, "too late", "2"))).with_code(1);
    assert!(failed.output.contains("LicenceEnded"), "{failed:?}");
    assert_eq!(claire.run(&["account", "licence", "--json"]).done().json()["standing"], "ended");
    server.ask(&["admin", "tenant", "change", "Cabinet Martin", "--ends", "none"]).done();
    claire.send_now(&Draft::to(&karim, "renewed", "3"));
    assert_eq!(karim.receive("renewed")["body"], "3");
}

#[test]
fn a_suspended_account_is_told_so_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "before", "1"));
    server.ask(&["admin", "suspend", &karim.address()]).done();
    let refused = karim.run(&["sync"]).with_code(1);
    assert!(refused.complaints.contains("suspended"), "{refused:?}");
    let failed = claire.run(&claire.mail_send(&Draft::to(&karim, "meanwhile", "2"))).with_code(1);
    assert!(failed.output.contains("AccountSuspended"), "{failed:?}");
    server.ask(&["admin", "resume", &karim.address()]).done();
    assert_eq!(karim.receive("before")["body"], "1");
    karim.send_now(&Draft::to(&claire, "after", "3"));
    assert_eq!(claire.receive("after")["body"], "3");
}
