//! Invitations that are of no use, and an account that is made in spite of crashes.

use crate::client_crash::{at_every_pass, kill_at};
use crate::person::Person;
use crate::process::medipeps_with_fail_points;
use crate::server::Server;
use medipeps_client::fail_point::FailPoint;

#[test]
fn an_invitation_serves_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let code = server.invite();
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    claire.create_account(&server, &code).done();
    let karim = Person::new(folder.path(), "Karim Benali", "karim");
    let refused = karim.create_account(&server, &code).with_code(1);
    assert!(refused.complaints.contains("InvitationUsed"), "{refused:?}");
    assert_eq!(karim.status()["registered"], false);
    // Neither the holder of the account nor another address gets anything by it.
    let again = claire.create_account(&server, &code).with_code(1);
    assert!(again.complaints.contains("already"), "{again:?}");
    // With an invitation of his own he goes on where he was.
    karim.create_account(&server, &server.invite()).done();
    assert_eq!(karim.status()["registered"], true);
    karim.add_contact(&claire);
    let accounts = server.inspect()["accounts"].as_array().unwrap().len();
    assert_eq!(accounts, 2);
}

#[test]
fn an_address_that_is_taken_or_of_another_domain_is_refused_and_another_may_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let other = Person::new(folder.path(), "Claire Morel", "morel");
    let code = server.invite();
    for (address, reason) in
        [(claire.address(), "AddressTaken"), ("claire@elsewhere.example".to_owned(), "WrongDomain")]
    {
        let mut words = other.account_create(&server, &code);
        *words.last_mut().unwrap() = address;
        let refused = other.run(&words).with_code(1);
        assert!(refused.complaints.contains(reason), "{refused:?}");
    }
    other.create_account(&server, &code).done();
    other.add_contact(&claire);
}

#[test]
fn a_mistyped_invitation_is_noticed_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let code = server.invite();
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    let other = if code.starts_with('a') { "b" } else { "a" };
    for wrong in [code.replacen(|_: char| true, other, 1), code[1..].to_owned(), format!("{code}a"), String::new()] {
        let refused = claire.create_account(&server, &wrong).with_code(2);
        assert!(refused.complaints.contains("invitation"), "{refused:?}");
        assert!(!claire.home().exists());
    }
    // White space, hyphens and capitals are forgiven.
    let typed = format!(" {}-{} ", code[..40].to_uppercase(), &code[40..]);
    claire.create_account(&server, &typed).done();
}

#[test]
fn an_invitation_of_another_server_is_not_sent_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("right"));
    let impostor = Server::start(&folder.path().join("impostor"));
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    let code = server.invite();
    let refused = claire.create_account(&impostor, &code).with_code(1);
    assert!(refused.complaints.contains("key"), "{refused:?}");
    assert_eq!(impostor.inspect()["accounts"], serde_json::json!([]));
    claire.create_account(&server, &code).done();
    assert_eq!(claire.status()["registered"], true);
}

#[test]
fn account_create_killed_between_any_two_steps_goes_on_when_it_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let marker = folder.path().join("reached");
    let mut people = 0;
    let points = [
        FailPoint::BeforeLoad,
        FailPoint::BeforeCommit,
        FailPoint::AfterCommit,
        FailPoint::AfterShow,
        FailPoint::BeforeRequest,
        FailPoint::AfterReply,
    ];
    at_every_pass(&points, |point, passes| {
        people += 1;
        let local: &'static str = Box::leak(format!("person-{people}").into_boxed_str());
        let person = Person::new(folder.path(), "Someone New", local);
        let dying = person.with_program(medipeps_with_fail_points());
        let words = person.account_create(&server, &server.invite());
        let killed = kill_at(dying.command(&words), point, passes, &marker);
        let done = person.run(&["status", "--json"]);
        if !(done.status.success() && done.json()["registered"] == true) {
            person.run(&words).done();
        }
        assert_eq!(person.status()["registered"], true);
        person.sync();
        killed
    });
    assert_eq!(server.inspect()["accounts"].as_array().unwrap().len(), people);
}
