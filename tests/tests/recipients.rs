//! Recipients who are not there, or are not who they were.

use crate::bare_account::BareAccount;
use crate::person::{Draft, Person};
use crate::process::Ended;
use crate::server::Server;

/// A mail that goes to nobody: exit code 1, with the reason.
#[track_caller]
fn failed(ended: Ended, reason: &str) {
    let ended = ended.with_code(1);
    assert!(ended.output.contains(reason) || ended.complaints.contains(reason), "{ended:?}");
}

#[test]
fn an_unknown_recipient_fails_by_name_and_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let nobody = Person::new(folder.path(), "Nobody", "nobody");

    failed(claire.run(&claire.mail_send(&Draft::to(&nobody, "lost", "?"))), "unknown_account");
    assert_eq!(claire.status()["outbox"], serde_json::json!([]), "it is not tried again");
    failed(claire.run(&["contact", "add", &nobody.address()]), &nobody.address());

    let both = Draft { to: vec![nobody.address(), karim.address()], ..Draft::to(&karim, "both", "body") };
    let sent = claire.send(&both);
    let recipients = sent["recipients"].as_array().unwrap();
    assert_eq!((&recipients[0]["state"], &recipients[0]["code"]), (&"failed".into(), &"unknown_account".into()));
    assert_eq!(recipients[1]["state"], "accepted");
    assert_eq!(karim.receive("both")["body"], "body");

    // Somebody of another domain is a contact first.
    let elsewhere = Draft { to: vec!["who@elsewhere.example".to_owned()], ..both };
    let sent = claire.status()["sent"].clone();
    failed(claire.run(&claire.mail_send(&elsewhere)), "contact add");
    assert_eq!(claire.status()["sent"], sent, "nothing was queued");
}

/// The address is deleted at the server and given to somebody else.
async fn replace(server: &Server, before: &BareAccount, seed: u8) -> BareAccount {
    before.delete(server).await;
    let after = BareAccount::new("karim", seed);
    after.register(server).await;
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_recipient_whose_keys_have_changed_until_they_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let before = BareAccount::new("karim", 1);
    before.register(&server).await;
    let karim = Person::new(folder.path(), "Karim Benali", "karim");
    let first_number = claire.add_contact(&karim);
    replace(&server, &before, 2).await;

    let sent = claire.send(&Draft { wait: Some(1), ..Draft::to(&karim, "held", "for Karim alone") });
    assert_eq!(sent["state"], "queued", "{sent}");
    assert_eq!(sent["recipients"][0]["code"], "recipient_key_changed");
    claire.sync();
    assert_eq!(server.queued(&karim.address()), 0, "nothing may go to the new key");
    let status = claire.status();
    assert_eq!(status["outbox"][0]["blocked"], "recipient_key_changed", "{status}");
    assert_eq!(status["outbox"][0]["encrypted"], false);

    let refused = claire.run(&["contact", "add", &karim.address()]).with_code(1);
    assert!(refused.complaints.contains("--accept-new-key"), "{refused:?}");
    assert_eq!(server.queued(&karim.address()), 0);

    let accepted = claire.run(&["contact", "add", &karim.address(), "--accept-new-key", "--json"]).done().json();
    let number: String = accepted["safety_number"].as_str().unwrap().split(' ').collect();
    assert_ne!(number, first_number, "another key has another safety number");
    claire.sync();
    assert_eq!(server.queued(&karim.address()), 1, "it goes out once the key is accepted");
    assert_eq!(claire.status()["outbox"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_is_noticed_when_there_is_a_session_already() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let before = BareAccount::new("karim", 1);
    before.register(&server).await;
    let karim = Person::new(folder.path(), "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "before", "for the first Karim"));
    replace(&server, &before, 2).await;

    let sent = claire.send(&Draft { wait: Some(1), ..Draft::to(&karim, "after", "for the first Karim") });
    assert_eq!(sent["recipients"][0]["code"], "recipient_key_changed", "{sent}");
    assert_eq!(server.queued(&karim.address()), 0, "nothing may be left with the new account");
}
