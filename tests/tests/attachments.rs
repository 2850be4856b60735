//! What does not fit a message is refused by name, and file names that mean harm do none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use medipeps_client::engine::{Attachment, AttachmentSource};

use crate::correspondent::Correspondent;
use crate::person::{Draft, Person};
use crate::server::Server;

/// Bytes of attachments that fit a message, as README promises.
const ATTACHMENTS_FIT: usize = 48 << 10;

/// The mail is refused with exit code 1 and this name, and nothing is queued.
#[track_caller]
fn refused(person: &Person, draft: &Draft, named: &[&str]) {
    let before = person.status();
    let ended = person.run(&person.mail_send(draft)).with_code(1);
    assert!(named.iter().all(|name| ended.complaints.contains(name)), "{ended:?} does not name {named:?}");
    let after = person.status();
    assert_eq!((&before["sent"], &before["outbox"]), (&after["sent"], &after["outbox"]));
}

#[test]
fn what_cannot_be_sent_is_refused_by_name_and_nothing_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let attach = |path: &Path| Draft { attach: vec![path.to_owned()], ..Draft::to(&karim, "refused", "text") };

    refused(&claire, &attach(&claire.folder().join("nowhere.png")), &["nowhere.png"]);
    refused(&claire, &attach(folder.path()), &["is not a file"]);
    let text = claire.file("note.txt", b"no image");
    let mut words = claire.mail_send(&attach(&text));
    words.push("--strip-location".to_owned());
    let ended = claire.run(&words).with_code(1);
    assert!(ended.complaints.contains("note.txt"), "{ended:?}");
    // A sparse file takes no room.
    let huge = claire.file("huge.raw", b"");
    fs::File::options().write(true).open(&huge).unwrap().set_len((16 << 30) + 1).unwrap();
    refused(&claire, &attach(&huge), &["huge.raw", "17179869185"]);
    refused(&claire, &Draft::to(&karim, "text", &"b".repeat((16 << 20) + 1)), &["16 MiB"]);
    let copies = fs::read_dir(claire.home().join("blobs")).map_or(0, Iterator::count);
    assert_eq!(copies, 0, "sealed copies of what was refused are left");
    assert_eq!(server.queued(&karim.address()), 0);
}

#[test]
fn what_fits_travels_inside_the_message_and_what_does_not_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    for (subject, body, lengths, places) in [
        ("one that fits", 1000, vec![ATTACHMENTS_FIT], vec!["message"]),
        ("text that fits", 50_000, vec![], vec![]),
        ("one that does not", 1, vec![ATTACHMENTS_FIT + 1], vec!["server"]),
        ("two", 1, vec![ATTACHMENTS_FIT / 2, ATTACHMENTS_FIT / 2 + 1], vec!["message", "server"]),
        ("text that does not", (64 << 10) + 1, vec![10], vec!["message"]),
    ] {
        let attach = lengths
            .iter()
            .enumerate()
            .map(|(index, length)| claire.file(&format!("{index}-{length}.png"), &vec![b'a'; *length]));
        let attach = attach.collect();
        claire.send_now(&Draft { attach, ..Draft::to(&karim, subject, &"b".repeat(body)) });
        let mail = karim.receive(subject);
        assert_eq!(mail["body"].as_str().unwrap().len(), body, "{subject}");
        let found: Vec<_> = mail["attachments"].as_array().unwrap().iter().map(|one| one["place"].clone()).collect();
        assert_eq!(found, places, "{subject}");
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

#[test]
fn attachments_with_hostile_names_are_saved_where_they_were_told_to_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut mallory = Correspondent::register(folder.path(), &server, "mallory");
    let long = format!("{}.pdf", "é".repeat(125));
    let names = [
        "../../escaped.txt",
        "/tmp/medipeps-escaped.txt",
        "..",
        "..\\..\\escaped.txt",
        "a\u{1b}[2Jb\r\nc\u{0}d.txt",
        "fdp\u{202e}txt.exe",
        &long,
        "existing.txt",
        "same.txt",
        "same.txt",
        "NUL",
        ".bashrc",
    ];
    let attachments = names.iter().enumerate().map(|(index, name)| Attachment {
        name: (*name).to_owned(),
        media_type: "text/plain".to_owned(),
        source: AttachmentSource::Inline(format!("content {index}").into_bytes()),
    });
    mallory.send(&karim.address(), "hostile", "see attached \u{1b}[2J", attachments.collect());

    let saved = karim.folder().join("saved");
    fs::create_dir(&saved).unwrap();
    fs::write(saved.join("existing.txt"), "mine").unwrap();
    karim.sync();
    let before = files(folder.path());
    let id = karim.inbox()[0]["id"].as_str().unwrap().to_owned();
    let mail = karim.run(&["read", &id, "--json", "--save", saved.to_str().unwrap()]).done().json();

    let shown = mail["attachments"].as_array().unwrap();
    let mut paths = BTreeSet::new();
    for (index, attachment) in shown.iter().enumerate() {
        assert_eq!(attachment["name"], names[index], "JSON has the name as it came");
        let path = PathBuf::from(attachment["saved_as"].as_str().unwrap());
        assert_eq!(path.parent(), Some(saved.as_path()));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("content {index}"));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.len() <= 255 && !name.starts_with('.') && !name.chars().any(char::is_control), "{name:?}");
        paths.insert(path);
    }
    assert_eq!(paths.len(), names.len(), "each has a file of its own");
    assert_eq!(fs::read_to_string(saved.join("existing.txt")).unwrap(), "mine");
    let new: BTreeSet<_> = files(folder.path()).difference(&before).cloned().collect();
    let store = |path: &PathBuf| path.starts_with(karim.home());
    assert_eq!(new.into_iter().filter(|path| !store(path)).collect::<BTreeSet<_>>(), paths);
    assert!(!Path::new("/tmp/medipeps-escaped.txt").exists());

    // What a terminal would act on is not printed.
    for words in [&["read", &id][..], &["inbox"]] {
        let said = karim.run(words).done().output;
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && !said.contains('\r'), "{said:?}");
    }
}
