//! Verification, backup and restore, passphrase, lock and wipe, with the real commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::person::{Draft, Person};
use crate::process::{Ended, Process, run, wait_until};
use crate::server::Server;

/// What opens the backups of these tests.
pub const BACKUP_PASSPHRASE: &str = "a passphrase for the backup";

/// A command that knows the backup's passphrase.
pub fn with_backup<S: AsRef<std::ffi::OsStr>>(person: &Person, words: &[S]) -> Command {
    let mut command = person.command(words);
    command.env("MEDIPEPS_BACKUP_PASSPHRASE", BACKUP_PASSPHRASE);
    command
}

#[track_caller]
pub fn back_up(person: &Person, name: &str) -> PathBuf {
    let file = person.folder().join(name);
    run(&mut with_backup(person, &["backup", file.to_str().unwrap()])).done();
    file
}

#[track_caller]
pub fn restore(person: &Person, backup: &Path) -> Ended {
    run(&mut with_backup(person, &["restore", backup.to_str().unwrap()]))
}

/// The same person at another machine.
pub fn machine(folder: &Path, number: usize, name: &'static str, local: &'static str) -> Person {
    let folder = folder.join(format!("machine-{number}"));
    fs::create_dir_all(&folder).unwrap();
    Person::new(&folder, name, local)
}

#[test]
fn two_people_compare_their_keys_by_number_and_by_code() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let number = claire.add_contact(&karim);
    assert_eq!(karim.add_contact(&claire), number);
    let at_karim = karim.run(&["verify", &claire.address(), "--json"]).done().json();
    let code = at_karim["code"].as_str().unwrap();
    let shown = karim.run(&["verify", &claire.address()]).done().output;
    assert!(shown.contains('█') && shown.contains(code), "{shown}");
    let wrong: String = number.chars().rev().collect();
    let refused = claire.run(&["verify", &karim.address(), "--number", &wrong]).with_code(1);
    assert!(refused.complaints.contains("THE KEYS DIFFER"), "{}", refused.complaints);
    let own = claire.run(&["verify", &karim.address(), "--json"]).done().json();
    let own = own["code"].as_str().unwrap().to_owned();
    claire.run(&["verify", &karim.address(), "--code", &own]).with_code(1);
    claire.run(&["verify", &karim.address(), "--code", &code[..code.len() - 1]]).with_code(2);
    assert_eq!(claire.run(&["contact", "list", "--json"]).done().json()[0]["verified"], false);
    karim.send_now(&Draft::to(&claire, "hello", "1"));
    assert_eq!(claire.receive("hello")["sender_verified"], false);
    claire.run(&["verify", &karim.address(), "--code", code]).done();
    assert_eq!(claire.only("hello")["sender_verified"], true);
    assert_eq!(claire.inbox()[0]["sender_verified"], true);
    assert!(claire.run(&["inbox"]).done().output.contains("✓ karim@"));
    assert_eq!(claire.run(&["contact", "list", "--json"]).done().json()[0]["verified"], true);
    claire.run(&["verify", &karim.address(), "--forget"]).done();
    assert_eq!(claire.only("hello")["sender_verified"], false);
    claire.run(&["verify", &karim.address(), "--number", &number]).done();
    assert!(claire.run(&["contact", "list"]).done().output.contains("verified "));
}

#[test]
fn restore_on_a_second_machine_while_the_first_still_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let number = claire.add_contact(&karim);
    claire.run(&["verify", &karim.address(), "--number", &number]).done();
    let long = "a long text ".repeat(20_000);
    karim.send_now(&Draft::to(&claire, "before", "1"));
    karim.send_now(&Draft::to(&claire, "long", &long));
    claire.sync();
    claire.send_now(&Draft::to(&karim, "mine", &long));
    let backup = back_up(&claire, "backup");
    let second = machine(folder.path(), 2, "Dr Claire Martin", "claire");
    let said = restore(&second, &backup).done().output;
    assert!(said.contains("a primary one") && said.contains("came since"), "{said}");

    // Everything is there, texts and marks too.
    assert_eq!(second.subjects(), ["before", "long"]);
    assert_eq!(second.only("long")["body"], long);
    assert_eq!(second.only("before")["sender_verified"], true);
    let sent = second.run(&["inbox", "--sent", "--json"]).done().json();
    let sent = second.read(sent[0]["id"].as_str().unwrap());
    assert_eq!(sent["body"], long);
    let (first, other) = (claire.status(), second.status());
    assert_ne!(first["device"], other["device"]);
    assert!(other["registered"].as_bool().unwrap() && !other["old_copy"].as_bool().unwrap());

    // Both get mail, and both write.
    karim.send_now(&Draft::to(&claire, "to both", "3"));
    for device in [&claire, &second] {
        assert_eq!(device.receive("to both")["body"], "3");
    }
    second.send_now(&Draft::to(&karim, "from the second", "4"));
    claire.sync();
    claire.send_now(&Draft::to(&karim, "from the first", "5"));
    assert_eq!(karim.receive("from the second")["body"], "4");
    assert_eq!(karim.only("from the first")["body"], "5");
    for person in [&claire, &second, &karim] {
        assert_eq!(person.status()["undecryptable_total"], 0);
    }
    let refused = restore(&second, &backup).with_code(1).complaints;
    assert!(refused.contains("there is an account here already"), "{refused}");
}

#[test]
fn restore_of_a_month_old_backup() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    karim.send_now(&Draft::to(&claire, "before", "1"));
    claire.sync();
    // What waited in the outbox then may have been sent since: it is not sent again.
    server.kill();
    let queued = claire.send(&Draft { wait: Some(0), ..Draft::to(&karim, "waits", "2") });
    assert_eq!(queued["state"], "queued");
    server.run();
    let backup = back_up(&claire, "old");
    claire.sync();
    assert_eq!(karim.receive("waits")["body"], "2");
    // The statement moves on twice, sessions and prekeys are used, mail comes.
    let second = machine(folder.path(), 2, "Dr Claire Martin", "claire");
    restore(&second, &backup).done();
    karim.send_now(&Draft::to(&claire, "since", "3"));
    claire.sync();
    let third = machine(folder.path(), 3, "Dr Claire Martin", "claire");
    let said = restore(&third, &backup).done().output;
    assert!(said.contains("not a primary one"), "{said}");
    assert_eq!(third.subjects(), ["before"], "what came since is not here");
    let sent = third.run(&["inbox", "--sent", "--json"]).done().json();
    assert_eq!(sent[0]["recipients"][0]["code"], "restored_unsent", "{sent}");
    assert_eq!(third.status()["outbox"].as_array().unwrap().len(), 0);
    let devices: Vec<_> = [&claire, &second, &third].iter().map(|one| one.status()["device"].clone()).collect();
    assert!(devices[0] != devices[1] && devices[1] != devices[2] && devices[0] != devices[2], "{devices:?}");
    karim.sync();
    karim.send_now(&Draft::to(&claire, "to all three", "4"));
    for device in [&claire, &second, &third] {
        assert_eq!(device.receive("to all three")["body"], "4");
        assert_eq!(device.status()["undecryptable_total"], 0);
    }
    third.send_now(&Draft::to(&karim, "from the third", "5"));
    assert_eq!(karim.receive("from the third")["body"], "5");
    assert_eq!(karim.subjects().iter().filter(|subject| *subject == "waits").count(), 1);
}

#[test]
fn a_backup_that_does_not_open_or_is_not_whole_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let backup = back_up(&claire, "backup");
    let whole = fs::read(&backup).unwrap();
    let second = machine(folder.path(), 2, "Dr Claire Martin", "claire");
    let refused = |bytes: &[u8], what: &str| {
        let file = second.file("spoilt", bytes);
        let said = restore(&second, &file).with_code(1).complaints;
        assert!(said.contains(what), "{what}: {said}");
        assert!(!second.home().exists(), "nothing is made");
    };
    refused(&whole[..whole.len() - 20], "altered");
    let mut altered = whole.clone();
    altered[whole.len() - 40] ^= 1;
    refused(&altered, "altered");
    refused(b"a letter, and no backup at all", "not a backup");
    let mut wrong = second.command(&["restore", backup.to_str().unwrap()]);
    let said = run(wrong.env("MEDIPEPS_BACKUP_PASSPHRASE", "another passphrase")).with_code(1).complaints;
    assert!(said.contains("does not open this backup"), "{said}");
    assert!(!second.home().exists());
    // Nothing of a key is in the file in the clear, and no file is replaced unasked.
    assert!(!whole.windows(6).any(|window| window == b"claire"));
    let again = run(&mut with_backup(&claire, &["backup", backup.to_str().unwrap()])).with_code(1).complaints;
    assert!(again.contains("--force"), "{again}");
    assert_eq!(fs::read(&backup).unwrap(), whole);
    let weak = run(with_backup(&claire, &["backup", "x"]).env("MEDIPEPS_BACKUP_PASSPHRASE", "short")).with_code(2);
    assert!(weak.complaints.contains("too short"), "{}", weak.complaints);
}

#[test]
fn a_recovery_code_opens_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let file = claire.folder().join("backup");
    let made = claire.run(&["backup", file.to_str().unwrap(), "--recovery-code", "--json"]).done().json();
    let code = made["recovery_code"].as_str().unwrap();
    assert_eq!(code.len(), 8 * 4 + 7);
    let second = machine(folder.path(), 2, "Dr Claire Martin", "claire");
    let with =
        |code: &str| run(second.command(&["restore", file.to_str().unwrap()]).env("MEDIPEPS_BACKUP_PASSPHRASE", code));
    let other = if code.starts_with('A') { "B" } else { "A" };
    let mistyped = with(&format!("{other}{}", &code[1..])).with_code(1).complaints;
    assert!(mistyped.contains("mistyped"), "{mistyped}");
    with(&code.to_lowercase().replace(' ', "-")).done();
    assert_eq!(second.status()["address"], claire.address());
}

#[test]
fn the_passphrase_changes_while_another_program_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let waiting = Process::start(&mut claire.command(&["sync", "--wait", "8", "--json"]));
    wait_until("it has the account open", || running(&claire) == 1);
    let mut change = claire.command(&["passphrase"]);
    run(change.env("MEDIPEPS_NEW_PASSPHRASE", "quite another one")).done();
    karim.send_now(&Draft::to(&claire, "while it changes", "1"));
    let synced = waiting.wait().done().json();
    assert_eq!(synced["received"].as_array().unwrap().len(), 1, "{synced}");
    claire.run(&["inbox"]).with_code(1);
    let inbox = run(claire.command(&["inbox", "--json"]).env("MEDIPEPS_PASSPHRASE", "quite another one")).done();
    assert_eq!(inbox.json()[0]["subject"], "while it changes");
    for bad in ["", "short"] {
        let mut change = claire.command(&["passphrase"]);
        change.env("MEDIPEPS_PASSPHRASE", "quite another one").env("MEDIPEPS_NEW_PASSPHRASE", bad);
        run(&mut change).with_code(2);
    }
}

/// How many programs have the account open.
fn running(person: &Person) -> usize {
    fs::read_dir(person.home().join("running")).map_or(0, Iterator::count)
}

#[test]
fn lock_ends_those_who_have_the_account_open_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut waiting: Vec<_> = (0..2).map(|_| Process::start(&mut claire.command(&["sync", "--wait", "50"]))).collect();
    let mut foreign = Process::start(&mut karim.command(&["sync", "--wait", "50"]));
    wait_until("all have their accounts open", || running(&claire) == 2 && running(&karim) == 1);
    let begun = Instant::now();
    claire.run(&["lock"]).done();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    println!("locked after {:?}", begun.elapsed());
    for process in waiting.drain(..) {
        let ended = process.wait();
        // One of two may have been told already that the other receives now.
        assert!(matches!(ended.status.code(), Some(1 | 3)), "{ended:?}");
    }
    assert_eq!(running(&claire), 0);
    assert!(!foreign.has_ended());
    foreign.kill();
    // What comes after it is not told to leave.
    claire.sync();
    claire.run(&["lock"]).done();
}

#[test]
fn wipe_takes_what_is_ours_after_the_address_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let letter = claire.home().join("letter.txt");
    fs::write(&letter, "mine").unwrap();
    let typed = |line: &str| {
        let input = claire.file("typed", line.as_bytes());
        let mut command = claire.command(&["wipe"]);
        let output = command.stdin(fs::File::open(input).unwrap()).stdout(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(typed("yes\n").0, Some(1));
    claire.sync();
    let (code, said) = typed(&format!("{}\n", claire.address()));
    assert_eq!(code, Some(0));
    assert!(said.contains("still listed at the server"), "{said}");
    let left: Vec<_> = fs::read_dir(claire.home()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [letter]);
    claire.run(&["wipe"]).done();
    claire.run(&["inbox"]).with_code(1);
}
