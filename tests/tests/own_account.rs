//! The account's own devices with the real commands: one is revoked, all are lost, one is put back to an old state.

use std::fs;
use std::path::Path;

use crate::linking::{devices, link_home};
use crate::person::{Draft, Person};
use crate::process::{Ended, run};
use crate::server::Server;

/// The recovery key and the server's key as a command printed them.
fn printed_keys(said: &Ended) -> (String, String) {
    let (_, after) = said.output.split_once("Recovery key").unwrap_or_else(|| panic!("no recovery key: {said:?}"));
    let letters = after.lines().skip(1).filter(|line| line.starts_with("  ")).take(2).collect::<String>();
    let (_, server_key) = after.split_once("--server-key ").unwrap();
    (letters, server_key.split_whitespace().next().unwrap().to_owned())
}

/// `account recover` in a home.
fn recover(home: &Person, server: &Server, (recovery_key, server_key): (&str, &str)) -> Ended {
    let words = ["account", "recover", &home.address(), "--server", &server.host(), "--server-key", server_key];
    run(home.command(&words).env("MEDIPEPS_RECOVERY_KEY", recovery_key))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_revoked_device_says_so_and_a_lost_account_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    let (first_key, server_key) = printed_keys(&claire.create_account(&server, &server.invite()).done());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let tablet = Person::new(&folder.path().join("second"), "", "claire");
    link_home(&claire, &tablet, &server, "Ward tablet");
    karim.send_now(&Draft::to(&claire, "to both", "1"));
    claire.sync();
    tablet.sync();

    let id = devices(&claire)[1]["id"].to_string();
    let own = devices(&claire)[0]["id"].to_string();
    let unasked = claire.run(&["device", "revoke", &id]).with_code(2);
    assert!(unasked.complaints.contains("--yes"), "{}", unasked.complaints);
    let itself = claire.run(&["device", "revoke", &own, "--yes"]).with_code(1);
    assert!(itself.complaints.contains("this is the device itself"), "{}", itself.complaints);
    let by_tablet = tablet.run(&["device", "revoke", &own, "--yes"]).with_code(1);
    assert!(by_tablet.complaints.contains("only a primary device"), "{}", by_tablet.complaints);
    let revoked = claire.run(&["device", "revoke", &id, "--yes"]).done();
    assert!(revoked.output.contains("is revoked"), "{}", revoked.output);
    assert_eq!(devices(&claire).len(), 1);
    let told = tablet.run(&["sync"]).with_code(1);
    assert!(told.complaints.contains("this device has been revoked"), "{}", told.complaints);
    assert_eq!(tablet.status()["revoked"], "device_revoked");
    assert_eq!(tablet.subjects(), ["to both"], "what is there can be read");
    karim.send_now(&Draft::to(&claire, "to one", "2"));
    assert_eq!(claire.receive("to one")["body"], "2");

    // All is lost but the paper. A wrong key makes nothing.
    let new = Person::new(&folder.path().join("third"), "", "claire");
    let place = first_key.find(|letter: char| letter.is_ascii_alphanumeric()).unwrap();
    let mut wrong_key = first_key.clone();
    wrong_key.replace_range(place..=place, if first_key[place..].starts_with('B') { "C" } else { "B" });
    let wrong = recover(&new, &server, (&wrong_key, &server_key)).with_code(1);
    assert!(wrong.complaints.contains("not the recovery key"), "{}", wrong.complaints);
    assert!(!new.home().exists());
    let said = recover(&new, &server, (&first_key.to_lowercase(), &server_key)).done();
    let (second_key, _) = printed_keys(&said);
    assert!(second_key != first_key && said.output.contains("is yours again"), "{}", said.output);
    let old = claire.run(&["sync"]).with_code(1);
    assert!(old.complaints.contains("recovered with its recovery key"), "{}", old.complaints);
    assert_eq!(claire.status()["revoked"], "account_key_replaced");
    karim.run(&["contact", "add", &claire.address(), "--accept-new-key"]).done();
    karim.send_now(&Draft::to(&claire, "to the new one", "3"));
    assert_eq!(new.receive("to the new one")["body"], "3");
    new.send_now(&Draft::to(&karim, "from the new one", "4"));
    assert_eq!(karim.receive("from the new one")["body"], "4");
    // The first key is of no more use; the second one is.
    let fourth = Person::new(&folder.path().join("fourth"), "", "claire");
    recover(&fourth, &server, (&first_key, &server_key)).with_code(1);
    recover(&fourth, &server, (&second_key, &server_key)).done();
}

#[test]
fn a_home_restored_from_an_old_copy_goes_on_as_a_new_device_and_the_first_one_stops() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    karim.send_now(&Draft::to(&claire, "before", "1"));
    claire.sync();
    let copy = Person::new(&folder.path().join("copy"), "", "claire");
    copy_folder(&claire.home(), &copy.home());
    claire.send_now(&Draft::to(&karim, "the newer state", "2"));
    claire.sync();
    karim.sync();

    let device = copy.status()["device"].clone();
    copy.sync();
    let status = copy.status();
    assert_eq!((&status["old_copy"], &status["revoked"]), (&false.into(), &serde_json::Value::Null), "{status}");
    assert_ne!(status["device"], device, "it is another device");
    let first = claire.run(&["sync"]).with_code(1);
    assert!(first.complaints.contains("this device has been revoked"), "{}", first.complaints);
    karim.send_now(&Draft::to(&claire, "after", "3"));
    assert_eq!(copy.receive("after")["body"], "3");
    copy.send_now(&Draft::to(&karim, "answer", "4"));
    assert_eq!(karim.receive("answer")["body"], "4");
    assert_eq!(copy.subjects(), ["after", "before"]);
}

/// The folder of the account alone is put back: this machine remembers that it has been further, without the server.
#[test]
fn a_folder_put_back_on_its_machine_is_found_out_while_the_server_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    karim.send_now(&Draft::to(&claire, "before", "1"));
    claire.sync();
    let kept = folder.path().join("kept");
    copy_folder(&claire.home(), &kept);
    claire.send_now(&Draft::to(&karim, "the newer state", "2"));
    server.kill();
    fs::remove_dir_all(claire.home()).unwrap();
    copy_folder(&kept, &claire.home());

    let device = claire.status()["device"].clone();
    assert_eq!(claire.status()["old_copy"], true, "nobody but this machine was asked");
    let refused = claire.run(&claire.mail_send(&Draft { wait: Some(0), ..Draft::to(&karim, "no", "0") })).with_code(1);
    assert!(refused.complaints.contains("is an old copy"), "{}", refused.complaints);
    assert_eq!(claire.subjects(), ["before"], "messages are kept");
    let away = claire.run(&["sync"]).with_code(1);
    assert!(away.complaints.contains("reached"), "{}", away.complaints);

    server.run();
    claire.sync();
    let status = claire.status();
    assert_eq!(status["old_copy"], false, "{status}");
    assert_ne!(status["device"], device, "it is another device");
    karim.sync();
    karim.send_now(&Draft::to(&claire, "after", "3"));
    assert_eq!(claire.receive("after")["body"], "3");
    claire.send_now(&Draft::to(&karim, "answer", "4"));
    assert_eq!(karim.receive("answer")["body"], "4");
    assert_eq!(claire.status()["old_copy"], false, "and stays it");
}

/// Without the place where this machine remembers, the same is found out by the server alone.
#[test]
fn without_an_anchor_everything_works_and_the_server_finds_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    assert!(fs::read_dir(claire.state().join("medipeps/anchors")).unwrap().next().is_some());
    fs::remove_dir_all(claire.state()).unwrap();
    // A file lies where the folder should be.
    fs::write(claire.state(), b"").unwrap();
    let kept = folder.path().join("kept");
    copy_folder(&claire.home(), &kept);
    claire.send_now(&Draft::to(&karim, "the newer state", "2"));
    claire.sync();
    fs::remove_dir_all(claire.home()).unwrap();
    copy_folder(&kept, &claire.home());
    let device = claire.status()["device"].clone();
    assert_eq!(claire.status()["old_copy"], false, "nobody can tell yet");
    claire.sync();
    assert_ne!(claire.status()["device"], device, "it is another device");
}
