//! A report with the real commands: from a member to the officer, who is not in the group.

use crate::person::Person;
use crate::server::Server;

#[test]
fn a_member_opens_one_message_to_the_officer_with_proof() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let officer = Person::with_account(folder.path(), &server, "Nadia Roux", "nadia");
    karim.sync();
    officer.add_contact(&karim);
    officer.add_contact(&claire);
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.sync();
    claire.run(&["group", "send", "Ward", "Bed 4 is free"]).done();
    claire.run(&["group", "send", "Ward", "You fool"]).done();
    karim.sync();
    let log = karim.run(&["group", "log", "Ward", "--json"]).done().json();
    let number = log.as_array().unwrap().iter().find(|one| one["text"] == "You fool").unwrap()["number"].to_string();
    let to = officer.address();
    let sent = karim.run(&["group", "report", "Ward", &number, "--to", &to, "--reason", "An insult", "--json"]);
    let sent = sent.done().json();
    assert_eq!(sent["state"], "accepted", "{sent}");
    let nobody = karim.run(&["group", "report", "Ward", &number, "--reason", "x"]).with_code(2);
    assert!(nobody.complaints.contains("say with --to"), "{}", nobody.complaints);
    let unknown = karim.run(&["group", "report", "Ward", "99", "--to", &to, "--reason", "x"]).with_code(1);
    assert!(unknown.complaints.contains("no message 99"), "{}", unknown.complaints);

    let read = officer.receive("Report: An insult");
    assert_eq!((&read["kind"], &read["from"]), (&"report".into(), &karim.address().into()), "{read}");
    let report = &read["report"];
    assert_eq!((&report["verified"], &report["reason"]), (&true.into(), &"An insult".into()), "{report}");
    assert_eq!(
        (&report["message"]["from"], &report["message"]["text"]),
        (&claire.address().into(), &"You fool".into())
    );
    assert_eq!(report["message"]["account_key_is"], "pinned", "{report}");
    assert!(report["message"]["epoch"].as_u64() > Some(0) && report["claimed_sequence"].is_u64(), "{report}");
    assert!(!report["not_proven"].as_array().unwrap().is_empty());
    let text = officer.run(&["read", read["id"].as_str().unwrap()]).done().output;
    assert!(text.contains("signed exactly this") && text.contains("You fool"), "{text}");
    assert!(!text.contains("Bed 4") && !text.contains("Ward"), "{text}");
}
