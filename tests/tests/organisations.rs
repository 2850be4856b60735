//! Organisations with the real commands and a real server: made by two of three administrators, joined, enforced, forked.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::person::{Draft, Person};
use crate::process::{Ended, Process};
use crate::secrecy::kept_in_the_clear;
use crate::server::Server;

const NAME: &str = "Clinic of the Lake";

/// Somebody with an account and published key packages.
#[track_caller]
fn ready(folder: &Path, server: &Server, name: &'static str, local: &'static str) -> Person {
    let person = Person::with_account(folder, server, name, local);
    person.sync();
    person
}

#[track_caller]
fn json(person: &Person, words: &[&str]) -> Value {
    person.run(&[words, &["--json"]].concat()).done().json()
}

#[track_caller]
fn refused(person: &Person, words: &[&str], why: &str) {
    let said = person.run(words).with_code(1);
    assert!(said.complaints.contains(why), "{}", said.complaints);
}

/// The only draft that waits here, by the beginning of its id.
#[track_caller]
fn draft(person: &Person) -> String {
    let drafts = json(person, &["org", "drafts"]);
    let waiting: Vec<_> = drafts.as_array().unwrap().iter().filter(|one| one["hindrance"].is_null()).collect();
    assert_eq!(waiting.len(), 1, "{drafts}");
    waiting[0]["id"].as_str().unwrap()[..8].to_owned()
}

/// What the first has drafted is signed by the second, and published by the first.
#[track_caller]
fn sign_and_publish(first: &Person, second: &Person) -> Ended {
    second.sync();
    second.run(&["org", "sign", &draft(second), "--yes"]).done();
    first.sync();
    first.run(&["org", "publish", &draft(first)]).done()
}

/// `2026-11-26T17:00Z`, so many days from now.
fn in_days(days: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let days = now / 86_400 + days;
    // The calendar of the command itself is tested elsewhere; here a year is enough of it.
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}", month + 1, left + 1)
}

/// Claire and Karim, two of three administrators, and Nadia, the third, whose key is on paper in this test.
#[track_caller]
fn clinic(claire: &Person, karim: &Person, nadia: &Person) -> String {
    let key =
        |person: &Person| json(person, &["org", "administrator", "new"])["administrator"].as_str().unwrap().to_owned();
    let (one, two, three) = (key(claire), key(karim), key(nadia));
    let officer = nadia.address();
    let create =
        ["org", "create", NAME, "--address", "office@clinic.example", "--threshold", "2", "--officer", &officer];
    let administrators = ["--administrator", &one, "--administrator", &two, "--administrator", &three];
    claire.run(&[&create[..], &administrators[..]].concat()).done();
    sign_and_publish(claire, karim);
    karim.sync();
    nadia.sync();
    json(claire, &["org", "show", NAME])["digits"].as_str().unwrap().to_owned()
}

#[track_caller]
fn certify(claire: &Person, karim: &Person, who: &Person, role: &str) {
    claire.run(&["org", "certify", NAME, &who.address(), "--role", role, "--until", &in_days(300)]).done();
    sign_and_publish(claire, karim);
    who.sync();
}

#[test]
fn an_organisation_is_made_by_two_of_three_and_its_members_are_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    let nadia = ready(folder.path(), &server, "Nadia Roux", "nadia");
    let anne = ready(folder.path(), &server, "Dr Anne Petit", "anne");
    let digits = clinic(&claire, &karim, &nadia);
    let shown = json(&nadia, &["org", "show", NAME]);
    assert_eq!((&shown["state"], &shown["threshold"]), (&"offered".into(), &2.into()), "{shown}");
    refused(&nadia, &["org", "join", NAME, "--id", "00000 00000 00000 00000 00000 00000"], "posing");
    nadia.run(&["org", "join", NAME, "--id", &digits]).done();

    // One of two is not enough, for anything.
    claire.run(&["org", "certify", NAME, &anne.address(), "--role", "cardiology", "--until", &in_days(300)]).done();
    refused(&claire, &["org", "publish", &draft(&claire)], "1 administrators have signed; 2 are needed");
    sign_and_publish(&claire, &karim);
    let told = anne.run(&["sync"]).done();
    assert!(told.complaints.contains("certifies you as \"cardiology\""), "{}", told.complaints);
    let mut joining = Process::start_typing(&mut anne.command(&["org", "join", NAME]));
    joining.type_line("yes");
    let joined = joining.wait().done();
    assert!(joined.output.contains(&digits), "{}", joined.output);
    certify(&claire, &karim, &karim, "head nurse");
    certify(&claire, &karim, &claire, "director");

    // Anne shows it to Karim; what she writes is shown as a member's.
    anne.run(&["org", "ask", NAME, &karim.address()]).done();
    karim.sync();
    anne.sync();
    anne.send_now(&Draft::to(&karim, "Bed 4", "Potassium 6.1"));
    let read = karim.receive("Bed 4");
    let certified = &read["certified"][0];
    assert_eq!((&certified["role"], &certified["name"]), (&"cardiology".into(), &NAME.into()), "{read}");
    let contacts = anne.run(&["contact", "list"]).done().output;
    assert!(contacts.contains("head nurse, Clinic of the Lake (certified until"), "{contacts}");

    // A rota, and mail to who is on call; what is wrong in it is said by its line.
    let bad = anne.file("bad.csv", b"from,until,function,addresses\n2026-01-01,2026-01-02,cardiology\n");
    refused(&claire, &["org", "propose", NAME, "--rota", bad.to_str().unwrap()], "line 2: there are 3 fields");
    let line = format!("from,until,function,addresses\n2026-01-01,{},cardiology,{}\n", in_days(300), anne.address());
    let rota = claire.file("rota.csv", line.as_bytes());
    claire.run(&["org", "propose", NAME, "--rota", rota.to_str().unwrap(), "--service", "mail"]).done();
    sign_and_publish(&claire, &karim);
    karim.sync();
    let on_call = json(&karim, &["org", "on-call", NAME, "--function", "cardiology"]);
    assert_eq!(on_call[0]["addresses"][0], anne.address(), "{on_call}");
    let mail = karim.file("mail.txt", b"please call");
    let to = format!("on-call:cardiology@{NAME}");
    let send = ["mail", "send", "--to", &to, "--subject", "Bed 5", "--body-file", mail.to_str().unwrap()];
    karim.run(&send).done();
    anne.sync();
    assert_eq!(anne.only("Bed 5")["to"][0], anne.address());
    let nobody = to.replace("cardiology", "surgery");
    refused(
        &karim,
        &["mail", "send", "--to", &nobody, "--subject", "x", "--body-file", mail.to_str().unwrap()],
        "nobody is on call",
    );
    // Chat is off from then on, mail is on.
    refused(&anne, &["group", "create", "Ward"], "has switched the service \"chat\" off");

    server.stop();
    for secret in [NAME, "cardiology", "head nurse"] {
        assert_eq!(kept_in_the_clear(secret, &server), Vec::<std::path::PathBuf>::new(), "{secret}");
    }
}

#[test]
fn a_group_of_an_organisation_loses_who_is_revoked_and_a_lost_key_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    let nadia = ready(folder.path(), &server, "Nadia Roux", "nadia");
    let anne = ready(folder.path(), &server, "Dr Anne Petit", "anne");
    let digits = clinic(&claire, &karim, &nadia);
    for person in [&anne, &karim, &claire] {
        certify(&claire, &karim, person, "nurse");
    }
    anne.run(&["org", "join", NAME, "--id", &digits]).done();
    let ward = ["group", "create", "Ward", "--organisation", NAME, "--member"];
    refused(&claire, &[&ward[..], &[&nadia.address()]].concat(), "has shown no certificate");
    claire.run(&[&ward[..], &[&anne.address(), "--member", &karim.address()]].concat()).done();
    let shown = json(&claire, &["group", "show", "Ward"]);
    assert_eq!(shown["organisation"], "office@clinic.example", "{shown}");
    assert_eq!(shown["members"][0]["certified"]["role"], "nurse", "{shown}");
    refused(&claire, &["group", "add", "Ward", &nadia.address()], "has shown no certificate");

    // Anne leaves. Nobody has to take her out.
    claire.run(&["org", "revoke", NAME, &anne.address()]).done();
    sign_and_publish(&claire, &karim);
    claire.sync();
    claire.run(&["group", "send", "Ward", "Anne is gone"]).done();
    anne.sync();
    assert_eq!(json(&anne, &["group", "show", "Ward"])["state"], "removed");
    assert_eq!(json(&claire, &["group", "show", "Ward"])["members"].as_array().unwrap().len(), 2);

    // What is said there is reported to the officer whom the organisation has named.
    karim.sync();
    karim.run(&["group", "send", "Ward", "You fool"]).done();
    claire.sync();
    let log = json(&claire, &["group", "log", "Ward"]);
    let number = log.as_array().unwrap().iter().find(|one| one["text"] == "You fool").unwrap()["number"].to_string();
    let sent = json(&claire, &["group", "report", "Ward", &number, "--reason", "An insult"]);
    assert_eq!((&sent["to"], &sent["state"]), (&nadia.address().into(), &"accepted".into()), "{sent}");
    let read = nadia.receive("Report: An insult");
    assert_eq!(read["report"]["message"]["text"], "You fool", "{read}");

    // Karim's key is lost; Claire and Nadia put another in its place, by files alone.
    let new = json(&karim, &["org", "administrator", "new"]);
    let old = json(&claire, &["org", "show", NAME])["administrators"].as_array().unwrap().clone();
    let lost = old.iter().find(|one| one["address"] == karim.address()).unwrap()["key"].as_str().unwrap().to_owned();
    karim.run(&["org", "administrator", "forget", &lost]).done();
    let (asked, signed) = (claire.folder().join("asked"), nadia.folder().join("signed"));
    let (asked, signed) = (asked.to_str().unwrap(), signed.to_str().unwrap());
    let new_administrator = new["administrator"].as_str().unwrap();
    let change = ["org", "propose", NAME, "--remove-administrator", &lost, "--add-administrator", new_administrator];
    claire.run(&[&change[..], &["--out", asked]].concat()).done();
    nadia.run(&["org", "join", NAME, "--id", &digits]).done();
    nadia.sync();
    nadia.run(&["org", "sign", asked, "--out", signed, "--yes"]).done();
    claire.run(&["org", "publish", signed]).done();
    karim.sync();
    // The certificates that Karim has signed have to be signed again, and his new key is one of three.
    assert_eq!(json(&karim, &["org", "show", NAME])["own"]["code"], "certificate_signatures");
    claire.run(&["org", "sign-again", NAME]).done();
    karim.sync();
    for waiting in json(&karim, &["org", "drafts"]).as_array().unwrap() {
        karim.run(&["org", "sign", &waiting["id"].as_str().unwrap()[..8], "--yes"]).done();
    }
    claire.sync();
    for waiting in json(&claire, &["org", "drafts"]).as_array().unwrap() {
        claire.run(&["org", "publish", &waiting["id"].as_str().unwrap()[..8]]).done();
    }
    karim.sync();
    assert_eq!(json(&karim, &["org", "show", NAME])["own"]["state"], "certified");
}

#[test]
fn a_fork_is_an_alarm_in_the_command_too_and_emergency_access_is_written_before_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    let nadia = ready(folder.path(), &server, "Nadia Roux", "nadia");
    let digits = clinic(&claire, &karim, &nadia);
    nadia.run(&["org", "join", NAME, "--id", &digits]).done();
    for person in [&claire, &karim] {
        certify(&claire, &karim, person, "doctor");
    }
    claire.run(&["group", "create", "Emergencies", "--organisation", NAME, "--member", &karim.address()]).done();
    karim.sync();
    let glass = format!(
        r#"{{"who": ["{}", "{}"], "required": 2, "minutes": 30, "notified": ["{}"], "group": "Emergencies"}}"#,
        claire.address(),
        karim.address(),
        nadia.address()
    );
    let glass = claire.file("glass.json", glass.as_bytes());
    claire.run(&["org", "propose", NAME, "--break-glass", glass.to_str().unwrap()]).done();
    sign_and_publish(&claire, &karim);
    karim.sync();
    let ask = ["org", "break-glass", "request", NAME, "--reason", "Unconscious", "--subject", "The file of bed 4"];
    karim.run(&ask).done();
    let request = json(&karim, &["org", "break-glass", "list"])[0]["id"].as_str().unwrap()[..8].to_owned();
    refused(&karim, &["org", "break-glass", "open", &request], "1 have agreed; 2 must");
    claire.run(&["org", "break-glass", "agree", &request]).done();
    let opened = karim.run(&["org", "break-glass", "open", &request]).done();
    assert_eq!(opened.output.trim(), format!("{request} open"));
    nadia.sync();
    let inbox = nadia.inbox();
    let notice = inbox.iter().find(|one| one["kind"] == "break-glass").unwrap_or_else(|| panic!("{inbox:?}"));
    let read = nadia.read(notice["id"].as_str().unwrap());
    assert!(read["body"].as_str().unwrap().contains("The file of bed 4. Reason: Unconscious"), "{read}");
    claire.sync();
    let log = claire.run(&["group", "log", "Emergencies"]).done().output;
    assert!(log.contains("Emergency access is used by karim@clinic.example"), "{log}");

    // Two statements of one version, both signed by two of three: Nadia and Karim behind Claire's back.
    let propose = |person: &Person, seats: &str, file: &str| {
        let path = person.folder().join(file);
        person.run(&["org", "propose", NAME, "--seats", seats, "--out", path.to_str().unwrap()]).done();
        path.to_str().unwrap().to_owned()
    };
    nadia.sync();
    let behind = propose(&nadia, "7", "behind");
    let signed = karim.folder().join("signed");
    karim.run(&["org", "sign", &behind, "--out", signed.to_str().unwrap(), "--yes"]).done();
    propose(&claire, "8", "open");
    karim.sync();
    let drafts = json(&karim, &["org", "drafts"]);
    let other = drafts.as_array().unwrap().iter().find(|one| one["from"] == claire.address()).unwrap();
    karim.run(&["org", "sign", &other["id"].as_str().unwrap()[..8], "--yes"]).done();
    nadia.run(&["org", "publish", signed.to_str().unwrap()]).done();
    claire.sync();
    let state = json(&claire, &["org", "show", NAME]);
    assert_eq!(
        (&state["state"], &state["seats"]),
        (&"joined".into(), &7.into()),
        "she follows what came first: {state}"
    );
    // A colleague who has followed the other one, and Claire's own copy in a file.
    let copy = claire.folder().join("copy");
    claire.run(&["org", "export", NAME, "--out", copy.to_str().unwrap()]).done();
    assert_eq!(json(&karim, &["org", "show", NAME])["version"], state["version"].as_u64().unwrap() - 1);
    let both = json(&karim, &["org", "drafts"]);
    let claires = both.as_array().unwrap().iter().find(|one| one["from"] == claire.address()).unwrap().clone();
    karim.run(&["org", "publish", &claires["id"].as_str().unwrap()[..8]]).done();
    let alarm = karim.run(&["org", "import", copy.to_str().unwrap()]).done();
    assert!(alarm.complaints.contains("ALARM"), "{}", alarm.complaints);
    let shown = karim.run(&["org", "show", NAME]).done().output;
    assert!(shown.contains("there is another statement of version"), "{shown}");
    refused(&karim, &["org", "on-call", NAME], "two statements of one version");
    refused(&karim, &["org", "propose", NAME, "--seats", "9"], "two statements of one version");
    assert_eq!(json(&karim, &["org", "break-glass", "list"])[0]["state"], "announced", "nothing is open in a fork");
    karim.run(&["org", "resolve", NAME, "--other"]).done();
    let shown = json(&karim, &["org", "show", NAME]);
    assert_eq!((&shown["state"], &shown["seats"]), (&"joined".into(), &7.into()), "{shown}");
}
