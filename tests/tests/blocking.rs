//! Blocking and muting with the real commands.

use crate::person::{Draft, Person};
use crate::server::Server;

#[test]
fn what_is_blocked_is_not_shown_and_what_is_muted_does_not_ring() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    karim.sync();
    claire.sync();
    karim.add_contact(&claire);
    claire.add_contact(&karim);
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.sync();
    let claires = claire.address();
    let said = karim.run(&["contact", "block", &claires]).done().output;
    assert!(said.contains("is blocked"), "{said}");
    claire.send_now(&Draft::to(&karim, "Unwanted", "hello"));
    claire.run(&["group", "send", "Ward", "Can you hear me"]).done();
    let synced = karim.run(&["sync", "--json"]).done().json();
    assert_eq!((&synced["received"], &synced["muted"]), (&serde_json::json!([]), &1.into()), "{synced}");
    assert!(karim.inbox().is_empty());
    let listed = karim.run(&["inbox"]).done();
    assert!(listed.complaints.contains("1 from accounts that you have blocked"), "{}", listed.complaints);
    let blocked = karim.run(&["inbox", "--blocked", "--json"]).done().json();
    assert_eq!(blocked[0]["subject"], "Unwanted");
    let log = karim.run(&["group", "log", "Ward", "--json"]).done().json();
    assert_eq!((&log[0]["blocked"], &log[0]["text"]), (&true.into(), &"".into()), "{log}");
    let log = karim.run(&["group", "log", "Ward"]).done().output;
    assert!(log.contains("(blocked)") && !log.contains("hear"), "{log}");
    let log = karim.run(&["group", "log", "Ward", "--blocked"]).done().output;
    assert!(log.contains("Can you hear me"), "{log}");
    let contacts = karim.run(&["contact", "list", "--json"]).done().json();
    assert_eq!(contacts[0]["blocked"], true, "{contacts}");
    let list = karim.run(&["contact", "list", "--blocked", "--json"]).done().json();
    assert_eq!(list[0]["address"], claires, "{list}");
    // Nothing is lost.
    karim.run(&["contact", "unblock", &claires]).done();
    assert_eq!(karim.subjects(), ["Unwanted"]);

    karim.run(&["contact", "mute", &claires]).done();
    karim.run(&["group", "mute", "Ward", "--until", "2099-12-31"]).done();
    karim.run(&["group", "mute", "Ward", "--until", "2001-12-31"]).with_code(2);
    claire.send_now(&Draft::to(&karim, "Quietly", "hello"));
    claire.run(&["group", "send", "Ward", "Good evening"]).done();
    let synced = karim.run(&["sync", "--json"]).done().json();
    assert_eq!((synced["received"].as_array().unwrap().len(), &synced["muted"]), (1, &2.into()), "{synced}");
    assert_eq!(karim.subjects(), ["Quietly", "Unwanted"]);
    assert_eq!(karim.run(&["group", "show", "Ward", "--json"]).done().json()["muted"], true);
    karim.run(&["group", "unmute", "Ward"]).done();
    karim.run(&["contact", "unmute", &claires]).done();
    claire.run(&["group", "send", "Ward", "Aloud"]).done();
    let synced = karim.run(&["sync", "--json"]).done().json();
    assert_eq!((&synced["group_messages"], &synced["muted"]), (&1.into(), &0.into()), "{synced}");
}

/// Whoever was never written to is a stranger: what he sends waits apart from the rest at the server, and is shown as such.
#[test]
fn a_strangers_mail_is_a_request_until_he_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Claire", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim", "karim");
    // His server has heard of his key.
    karim.sync();
    assert_eq!(karim.run(&["status", "--json"]).done().json()["delivery_key"]["set_at_server"], true);
    claire.run(&claire.mail_send(&Draft::to(&karim, "a stranger", "hello"))).done();
    karim.sync();
    assert_eq!(karim.inbox()[0]["request"], true);
    let shown = karim.run(&["inbox"]).done();
    assert!(shown.complaints.contains("1 from people whom you have not written to"), "{shown:?}");
    assert!(shown.output.contains("request of claire@clinic.example"), "{shown:?}");
    let said = karim.run(&["contact", "accept", &claire.address()]).done();
    assert!(said.output.contains("may write to you"), "{said:?}");
    assert_eq!(karim.inbox()[0]["request"], false);
    karim.run(&karim.mail_send(&Draft::to(&claire, "answer", "hello"))).done();
    claire.sync();
    assert_eq!(claire.inbox()[0]["request"], false, "whom one has written to is no stranger");
    let renewed = karim.run(&["contact", "renew-key"]).done();
    assert!(renewed.output.contains("get the new key"), "{renewed:?}");
    assert_eq!(karim.run(&["status", "--json"]).done().json()["delivery_key"]["former"], 1);
    let refused = karim.run(&["contact", "accept", &karim.address()]).with_code(1);
    assert!(refused.complaints.contains("your own address"), "{refused:?}");
}
