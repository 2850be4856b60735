//! A further device is linked with the real commands: a code, digits on both, a yes on both.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::person::{Draft, Person};
use crate::process::{Ended, Process, wait_until};
use crate::server::Server;

/// How the code begins that a new device shows.
pub const CODE: &str = "MEDIPEPS-LINK:";
/// What stands before and behind the digits.
pub const QUESTION: (&str, &str) = ("Do both devices show ", "? Type yes: ");

/// The words of `device link` on a new device.
pub fn link_words(address: &str, server: &Server, name: &str) -> Vec<String> {
    ["device", "link", address, "--server", &server.host(), "--name", name].map(str::to_owned).to_vec()
}

/// A person's further home, without an account.
fn second_home(folder: &Path, local: &'static str) -> Person {
    Person::new(&folder.join("second"), "", local)
}

/// A command that asks, started with a standard input that can be typed on.
fn start(person: &Person, words: &[String]) -> Process {
    Process::start_typing(&mut person.command(words))
}

/// The code that a new device shows.
#[track_caller]
fn code(new: &mut Process) -> String {
    let mut found = None;
    wait_until("the new device shows its code", || {
        assert!(!new.has_ended(), "{}", new.said());
        found = new.output().lines().find(|line| line.starts_with(CODE)).map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

/// The digits that a device asks about.
#[track_caller]
fn digits(process: &mut Process) -> String {
    let mut found = None;
    wait_until("the device asks for the digits", || {
        let output = process.output();
        found = output
            .rfind(QUESTION.0)
            .map(|begin| output[begin + QUESTION.0.len()..].to_owned())
            .and_then(|rest| rest.split_once(QUESTION.1).map(|(digits, _)| digits.to_owned()));
        assert!(found.is_some() || !process.has_ended(), "{}", process.said());
        found.is_some()
    });
    found.unwrap()
}

/// The words of `device link` on a primary device.
pub fn linking(code: &str) -> Vec<String> {
    ["device", "link", code].map(str::to_owned).to_vec()
}

/// Links a home to the account of another; what both printed.
#[track_caller]
pub fn link_home(primary: &Person, new: &Person, server: &Server, name: &str) -> (Ended, Ended) {
    let mut at_new = start(new, &link_words(&primary.address(), server, name));
    let code = code(&mut at_new);
    let mut at_primary = start(primary, &linking(&code));
    assert_eq!(digits(&mut at_primary), digits(&mut at_new));
    at_primary.type_line("yes");
    at_new.type_line("yes");
    (at_primary.wait().done(), at_new.wait().done())
}

/// What `device list` says.
#[track_caller]
pub fn devices(person: &Person) -> Vec<Value> {
    person.run(&["device", "list", "--json"]).done().json().as_array().unwrap().clone()
}

#[test]
fn linking_makes_a_second_device_that_sends_and_receives() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.add_contact(&karim);
    let tablet = second_home(folder.path(), "claire");
    let began = Instant::now();
    let (at_primary, at_new) = link_home(&claire, &tablet, &server, "Ward tablet");
    println!("linking without the human: {} ms", began.elapsed().as_millis());
    assert!(at_primary.output.contains("\"Ward tablet\" is linked"), "{}", at_primary.output);
    assert!(at_primary.output.contains("calls itself \"Ward tablet\""), "{}", at_primary.output);
    assert!(at_new.output.contains(&claire.address()) && at_new.output.contains("1 contacts"), "{}", at_new.output);
    // Both know both, and which is which.
    for person in [&claire, &tablet] {
        let devices = devices(person);
        assert_eq!(devices.len(), 2, "{devices:?}");
        assert_eq!((&devices[0]["primary"], &devices[1]["primary"]), (&Value::Bool(true), &Value::Bool(false)));
        assert_eq!(devices[1]["name"], "Ward tablet");
    }
    assert_eq!(devices(&tablet)[1]["this_device"], true);
    // Mail comes to both, and the new one writes under the account's name to a contact that it was given.
    karim.send_now(&Draft::to(&claire, "to both", "hello"));
    assert_eq!(claire.receive("to both")["body"], "hello");
    assert_eq!(tablet.receive("to both")["body"], "hello");
    tablet.send_now(&Draft::to(&karim, "from the tablet", "yes"));
    let came = karim.receive("from the tablet");
    assert_eq!((&came["from"], &came["body"]), (&Value::from(claire.address()), &Value::from("yes")));
    // A device that is not primary links none.
    let third = Person::new(&folder.path().join("third"), "", "claire");
    let mut at_third = start(&third, &link_words(&claire.address(), &server, ""));
    let refused = tablet.run(&linking(&code(&mut at_third))).with_code(1);
    assert!(refused.complaints.contains("only a primary device"), "{}", refused.complaints);
}

#[test]
fn linking_is_refused_by_the_one_who_sees_other_digits_and_a_code_is_good_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let tablet = second_home(folder.path(), "claire");
    let mut at_new = start(&tablet, &link_words(&claire.address(), &server, ""));
    let shown = code(&mut at_new);
    // A code for another account, and one that was mistyped.
    let other = karim.run(&linking(&shown)).with_code(1);
    assert!(other.complaints.contains("which is not this account"), "{}", other.complaints);
    let mistyped = claire.run(&linking(&shown.replacen("LINK:A", "LINK:B", 1))).with_code(2);
    assert!(mistyped.complaints.contains("checksum"), "{}", mistyped.complaints);
    // The person says no on the primary device: the new one is told, and nothing is listed.
    let mut at_primary = start(&claire, &linking(&shown));
    digits(&mut at_primary);
    digits(&mut at_new);
    at_primary.type_line("no");
    at_primary.wait().with_code(1);
    let told = at_new.wait().with_code(1);
    assert!(told.complaints.contains("somebody said no there"), "{}", told.complaints);
    assert_eq!(devices(&claire).len(), 1);
    // The code is not good any more.
    let replayed = claire.run(&linking(&shown)).with_code(1);
    assert!(replayed.complaints.contains("unknown or has expired"), "{}", replayed.complaints);
    // The new device begins anew, with another code; used, it is refused too.
    let mut at_new = start(&tablet, &link_words(&claire.address(), &server, ""));
    let second = code(&mut at_new);
    assert_ne!(second, shown);
    let mut at_primary = start(&claire, &linking(&second));
    assert_eq!(digits(&mut at_primary), digits(&mut at_new));
    at_primary.type_line("yes");
    at_new.type_line("yes");
    at_primary.wait().done();
    at_new.wait().done();
    let replayed = claire.run(&linking(&second)).with_code(1);
    assert!(replayed.complaints.contains("unknown or has expired"), "{}", replayed.complaints);
    assert_eq!(devices(&claire).len(), 2);
    // A home that has the account is no new device.
    let again = tablet.run(&link_words(&claire.address(), &server, "")).with_code(1);
    assert!(again.complaints.contains("already"), "{}", again.complaints);
}

#[test]
fn linking_to_an_address_of_another_domain_or_without_a_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let tablet = second_home(folder.path(), "claire");
    let refused = tablet.run(&link_words("claire@elsewhere.example", &server, "")).with_code(1);
    assert!(refused.complaints.contains("elsewhere.example"), "{}", refused.complaints);
    let wrong_use = tablet.run(&["device", "link", "claire@clinic.example"]).with_code(2);
    assert!(wrong_use.complaints.contains("--server"), "{}", wrong_use.complaints);
}
