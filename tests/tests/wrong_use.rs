//! A wrong passphrase, a home that is not there, words that make no sense: what is said, which exit code, and that
//! nothing was changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::person::{Draft, Person};
use crate::process::run;
use crate::server::Server;

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

#[test]
fn a_wrong_passphrase_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let store = claire.home().join("store.sqlite");
    let before = fs::read(&store).unwrap();
    let draft = claire.mail_send(&Draft::to(&claire, "note", "to myself"));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for words in [words(&["inbox"]), words(&["status"]), words(&["sync"]), words(&["read", "00"]), draft] {
        let ended = run(claire.command(&words).env("MEDIPEPS_PASSPHRASE", "not the passphrase")).with_code(1);
        assert!(ended.complaints.to_lowercase().contains("passphrase"), "{ended:?}");
        assert_eq!(ended.output, "");
    }
    assert!(fs::read(&store).unwrap() == before, "the store was changed");
    assert_eq!(claire.status()["sent"], 0);
}

#[test]
fn a_home_that_is_not_there_is_said_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    for words in [&["inbox"][..], &["status", "--json"], &["sync"], &["read", "00"], &["contact", "add", "a@b.example"]]
    {
        let ended = claire.run(words).with_code(1);
        assert!(ended.complaints.contains("account create"), "{ended:?}");
        assert_eq!(ended.output, "");
    }
    assert!(!claire.home().exists());
}

#[test]
fn wrong_use_exits_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let before = contents(&claire.home());
    let body = claire.file("body.txt", b"text");
    let body = body.to_str().unwrap();
    let (host, invitation) = (server.host(), server.invite());
    for words in [
        &["no-such-command"][..],
        &["mail", "send", "--subject", "s", "--body-file", body],
        &["mail", "send", "--to", "no address", "--subject", "s", "--body-file", body],
        &["mail", "send", "--to", "a@b.example", "--subject", "s", "--body-file", body, "--wait", "soon"],
        &["account", "create", "--server", "no server", "--invite", &invitation, "--name", "N"],
        &["account", "create", "--server", &host, "--invite", "abc", "--name", "N"],
        &["contact", "add"],
        &["read"],
    ] {
        let ended = claire.run(words).with_code(2);
        assert!(!ended.complaints.is_empty() && ended.output.is_empty(), "{ended:?}");
    }
    assert!(contents(&claire.home()) == before, "wrong use changed the home");
    assert_eq!(server.ask(&["admin", "invite", "--no-such-flag"]).status.code(), Some(2));
    fs::write(server.config(), "domain = 1").unwrap();
    let ended = server.ask(&["admin", "invite"]).with_code(2);
    assert!(ended.complaints.contains("server.toml"), "{ended:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_nothing_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let body = claire.file("body.txt", b"text");
    let (address, body) = (claire.address(), body.to_str().unwrap());
    for (words, named) in [
        (vec!["--body-file", "/nowhere/body.txt"], "/nowhere/body.txt"),
        (vec!["--body-file", body, "--attach", "/nowhere/scan.png"], "/nowhere/scan.png"),
    ] {
        let ended = claire.run(&[&["mail", "send", "--to", &address, "--subject", "s"], &words[..]].concat());
        assert!(ended.with_code(1).complaints.contains(named));
    }
    assert_eq!(claire.status()["sent"], 0);
}
