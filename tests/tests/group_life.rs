//! What a group goes through, with the real commands and a real server: a commit that is none and what comes after it, files on
//! their way, photos that say too much, who types and who has read.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use medipeps_client::account_store::AccountStore;
use medipeps_client::engine::{GroupReader, SendToGroup, Time};
use medipeps_client::shell::agent::{Agent, Document, DocumentPlace, now};
use medipeps_client::store::seal::{SealedStore, Unlock};
use medipeps_client::store::sqlite::SqliteStore;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::kind::{Body, Chat, Photo, Urgency};
use medipeps_core::wire::transport::{AppendGroupEntry, Payment, Request, Response};
use rand_core::SeedableRng;
use serde_json::Value;
use tokio::runtime::Builder;

use crate::bare_account::Place;
use crate::groups::{group, ready, said};
use crate::person::Person;
use crate::process::{Process, wait_until};
use crate::server::Server;
use crate::transfers::percentages;

const MIB: usize = 1 << 20;

/// What reads a group's log with a person's keys: what a program of his own could do with them.
fn reader(person: &Person) -> GroupReader {
    let rng = &mut ChaCha20Rng::from_seed([8; 32]);
    let store = SqliteStore::open(&person.home()).unwrap();
    let sealed = SealedStore::open(store, &Unlock::Passphrase(person.passphrase().as_bytes())).unwrap();
    let at: Time = now();
    AccountStore::new(sealed).group_readers(at, rng).unwrap().remove(0)
}

/// Closes a group's epoch with bytes that are no commit.
fn close_with_garbage(person: &Person, server: &Server) {
    let reader = reader(person);
    let next = SigningKey::random(&mut ChaCha20Rng::from_seed([9; 32])).verifying_key();
    let garbage = AppendGroupEntry::sign(
        &reader.access_key,
        reader.group,
        reader.epoch,
        [7; 16],
        vec![0xee; 4096],
        Some(next),
        Payment::None,
    );
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = Place::of(server).connect().await.unwrap();
        let answer = connection.request(&Request::AppendGroupEntry(garbage)).await;
        assert!(matches!(answer, Ok(Response::AppendGroupEntry(_))), "the server cannot tell");
        connection.close().await;
    });
}

/// A PNG image of so many bytes of pixels that nobody decodes; with a comment, or without.
fn png(pixels: usize, comment: bool) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [&kind[..], data].concat();
        let crc = !body.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
        });
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &body, &crc.to_be_bytes()].concat()
    };
    let header = chunk(b"IHDR", &[0, 0, 0, 9, 0, 0, 0, 7, 8, 0, 0, 0, 0]);
    let text = if comment { chunk(b"tEXt", b"Comment\0At home, 12 Main Street") } else { Vec::new() };
    let data = chunk(b"IDAT", &(0..pixels).map(|index| (index / 3 % 251) as u8).collect::<Vec<_>>());
    [b"\x89PNG\r\n\x1a\n".to_vec(), header, text, data, chunk(b"IEND", b"")].concat()
}

/// A recording of two seconds.
fn opus() -> Vec<u8> {
    let page = |position: u64, body: &[u8]| {
        let head = [b"OggS\0\0", &position.to_le_bytes()[..], &7_u32.to_le_bytes(), &[0; 8]].concat();
        [head, vec![1, u8::try_from(body.len()).unwrap()], body.to_vec()].concat()
    };
    let head = [&b"OpusHead\x01\x01"[..], &312_u16.to_le_bytes(), &48_000_u32.to_le_bytes(), &[0; 3]].concat();
    [page(0, &head), page(0, b"OpusTags"), page(96_312, &[5; 200])].concat()
}

fn files_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn log(person: &Person, group: &str) -> Vec<Value> {
    person.run(&["group", "log", group, "--json"]).done().json().as_array().unwrap().clone()
}

#[track_caller]
fn last(person: &Person, group: &str) -> Value {
    log(person, group).pop().expect("something was said")
}

fn words<'a>(words: &[&'a str], path: &'a Path) -> Vec<&'a str> {
    [words, &[path.to_str().unwrap()]].concat()
}

#[test]
fn a_group_that_a_commit_has_broken_is_made_anew_and_everybody_talks_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let [claire, karim, nadia] = [("Dr Claire Martin", "claire"), ("Karim Benali", "karim"), ("Nadia Roux", "nadia")]
        .map(|(name, local)| ready(folder.path(), &server, name, local));
    claire.run(&["group", "create", "Ward", "--member", &karim.address(), "--member", &nadia.address()]).done();
    for person in [&karim, &nadia] {
        person.run(&["sync"]).done();
    }
    claire.run(&["group", "send", "Ward", "before"]).done();
    karim.run(&["sync"]).done();
    close_with_garbage(&karim, &server);
    for person in [&claire, &karim, &nadia] {
        person.run(&["sync"]).done();
        assert_eq!(group(person, "Ward")["state"], "broken");
    }
    let refused = karim.run(&["group", "send", "Ward", "anybody?"]).with_code(1);
    assert!(refused.complaints.contains("group recreate"), "{}", refused.complaints);
    let refused = karim.run(&["group", "recreate", "Ward"]).with_code(1);
    assert!(refused.complaints.contains("only an owner"), "{}", refused.complaints);

    let old = group(&claire, "Ward")["id"].as_str().unwrap().to_owned();
    let made = claire.run(&["group", "recreate", "Ward", "--json"]).done().json();
    assert_eq!((made["predecessor"].as_str(), made["members"].as_array().unwrap().len()), (Some(&*old), 3), "{made}");
    let told = karim.run(&["sync"]).done();
    assert!(told.complaints.contains("goes on in group"), "{}", told.complaints);
    nadia.run(&["sync"]).done();
    // By its name the new one is meant, and everybody talks again; the old one is read by its id.
    karim.run(&["group", "send", "Ward", "here again"]).done();
    for person in [&claire, &nadia] {
        person.run(&["sync"]).done();
        assert_eq!(
            (said(person, "Ward"), said(person, &old[..12])),
            (vec!["here again".into()], vec!["before".into()])
        );
        let (now, before) = (group(person, "Ward"), group(person, &old[..12]));
        assert_eq!((&now["predecessor"], &before["successor"]), (&Value::from(old.clone()), &now["id"]));
        assert_eq!((&now["state"], &before["state"]), (&"active".into(), &"broken".into()));
    }
    let again = claire.run(&["group", "recreate", &old[..12]]).with_code(1);
    assert!(again.complaints.contains("goes on in another one"), "{}", again.complaints);
}

#[test]
fn photos_recordings_and_files_go_to_all_and_photos_say_no_more_than_their_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.run(&["sync"]).done();
    let target = karim.folder().join("saved");
    let save = |number: &Value| {
        let number = number.to_string();
        karim.run(&["group", "save", "Ward", &number, "--to", target.to_str().unwrap(), "--json"])
    };
    for (pixels, place) in [(1000, "message"), (300_000, "server")] {
        let photo = claire.file(&format!("{place}.png"), &png(pixels, true));
        claire.run(&[&words(&["chat", "photo", "Ward"], &photo)[..], &["--caption", "Wound"]].concat()).done();
        karim.run(&["sync"]).done();
        let message = last(&karim, "Ward");
        assert_eq!((&message["text"], &message["files"][0]["place"]), (&"Photo: Wound".into(), &place.into()));
        let saved = save(&message["number"]).done().json();
        let path = saved[0]["saved_as"].as_str().unwrap();
        assert!(fs::read(path).unwrap() == png(pixels, false), "the comment stays at home, and nothing else");
    }
    let recording = claire.file("note.opus", &opus());
    claire.run(&words(&["chat", "voice", "Ward"], &recording)).done();
    let file = claire.file("film.bin", &vec![3; 2 * MIB]);
    claire.run(&words(&["chat", "file", "Ward"], &file)).done();
    karim.run(&["sync"]).done();
    let messages = log(&karim, "Ward");
    let [.., voice, film] = messages.as_slice() else { panic!("both are here") };
    assert_eq!(
        (&voice["text"], &voice["files"][0]["media_type"]),
        (&"Voice message (0:02)".into(), &"audio/ogg".into())
    );
    for (message, bytes) in [(voice, opus()), (film, vec![3; 2 * MIB])] {
        let saved = save(&message["number"]).done().json();
        assert!(fs::read(saved[0]["saved_as"].as_str().unwrap()).unwrap() == bytes);
    }
    // What is none is refused before anything is queued, by name.
    for (kind, path, why) in [
        ("photo", claire.file("scan.pdf", b"%PDF-1.7"), "scan.pdf"),
        ("voice", claire.file("note.mp3", b"ID3"), "no recording"),
        ("file", claire.folder().join("missing.txt"), "missing.txt"),
    ] {
        let refused = claire.run(&words(&["chat", kind, "Ward"], &path)).with_code(1);
        assert!(refused.complaints.contains(why), "{}", refused.complaints);
    }
    let refused = karim.run(&["group", "save", "Ward", "99"]).with_code(1);
    assert!(refused.complaints.contains("no message 99"), "{}", refused.complaints);

    // A program that does not strip: whoever reads it keeps nothing of it.
    let before = files_in(&target);
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let mut agent = Agent::open(&claire.home(), &Unlock::Passphrase(claire.passphrase().as_bytes())).unwrap();
    let id = agent.groups().unwrap()[0].id;
    let photo = Photo { caption: "Wound".into(), width: 9, height: 7 };
    let send = SendToGroup {
        group: id,
        body: Body::Chat(Chat::Photo(photo)),
        fallback_text: "Photo: Wound".into(),
        in_reply_to: None,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        expires: None,
    };
    let place = DocumentPlace::Memory(png(200_000, true));
    let document = Document { name: "home.png".into(), media_type: "image/png".into(), place };
    runtime.block_on(async {
        let number = agent.send_to_group(send, vec![document], &mut |_| {}).await.unwrap();
        assert_eq!(agent.settle_said(&id, number, &mut |_| {}).await.unwrap(), None);
        agent.close().await;
    });
    karim.run(&["sync"]).done();
    let message = last(&karim, "Ward");
    let refused = save(&message["number"]).with_code(1).json();
    assert!(refused[0]["error"].as_str().unwrap().contains("metadata"), "{refused}");
    assert_eq!(files_in(&target), before, "nothing is left of it");
}

#[test]
fn an_upload_to_a_group_that_is_killed_goes_on_with_the_next_sync() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.run(&["sync"]).done();
    let bytes: Vec<u8> = (0..96 * MIB).map(|index| (index / 7 % 251) as u8 ^ (index >> 20) as u8).collect();
    let film = claire.file("film.bin", &bytes);
    let mut process = Process::start(&mut claire.command(&words(&["chat", "file", "Ward"], &film)));
    wait_until("some of it is at the server", || {
        assert!(!process.has_ended(), "it ended before:\n{}", process.said());
        percentages(&process.complaints()).last().is_some_and(|percent| *percent >= 30)
    });
    process.kill();
    assert_eq!(last(&claire, "Ward")["state"], "queued");
    karim.run(&["sync"]).done();
    assert_eq!(log(&karim, "Ward"), Vec::<Value>::new(), "nothing is said before the file is there");
    let report = claire.run(&["sync", "--json"]).done();
    let first = percentages(&report.complaints).first().copied();
    assert!(first.is_some_and(|percent| percent >= 20), "it goes on, and does not begin anew: {first:?}");
    karim.run(&["sync"]).done();
    let message = last(&karim, "Ward");
    let target = karim.folder().join("saved");
    karim.run(&["group", "save", "Ward", &message["number"].to_string(), "--to", target.to_str().unwrap()]).done();
    assert!(fs::read(target.join("film.bin")).unwrap() == bytes);
    assert_eq!(log(&karim, "Ward").len(), 1, "said once");
}

#[test]
fn members_see_who_types_and_who_has_read_and_an_owner_is_told_what_a_retention_deletes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = ready(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = ready(folder.path(), &server, "Karim Benali", "karim");
    claire.run(&["group", "create", "Ward", "--member", &karim.address()]).done();
    karim.run(&["sync"]).done();
    claire.run(&["group", "send", "Ward", "Bed 4"]).done();
    thread::scope(|scope| {
        let watching = scope.spawn(|| claire.run(&["sync", "--wait", "8", "--json"]).done());
        thread::sleep(Duration::from_secs(3));
        karim.run(&["chat", "typing", "Ward"]).done();
        let report = watching.join().unwrap();
        let typing = &report.json()["typing"];
        assert_eq!((&typing[0]["from"], &typing[0]["active"]), (&karim.address().into(), &true.into()), "{typing}");
        assert!(report.complaints.contains("is typing"), "{}", report.complaints);
    });
    karim.run(&["sync"]).done();
    assert_eq!(said(&karim, "Ward"), ["Bed 4"]);
    karim.run(&["sync"]).done();
    claire.run(&["sync"]).done();
    let shown = group(&claire, "Ward");
    let member = shown["members"].as_array().unwrap().iter().find(|one| one["address"] == karim.address()).unwrap();
    let message = last(&claire, "Ward");
    assert_eq!((&member["read_up_to"], &message["read_by"][0]), (&message["number"], &karim.address().into()));
    assert_eq!(shown["messages"], 1, "it is no message");

    karim.run(&["group", "receipts", "Ward", "off"]).done();
    assert_eq!(group(&karim, "Ward")["receipts"], false);
    claire.run(&["group", "send", "Ward", "Bed 5"]).done();
    karim.run(&["sync"]).done();
    assert_eq!(said(&karim, "Ward").len(), 2);
    karim.run(&["sync"]).done();
    claire.run(&["sync"]).done();
    assert_eq!(last(&claire, "Ward")["read_count"], 0);

    let gone = claire.run(&["group", "send", "Ward", "for an hour", "--expires", "1", "--json"]).done().json();
    assert_eq!(gone["state"], "sent");
    claire.run(&["group", "retention", "Ward", "30"]).done();
    let told = karim.run(&["sync"]).done();
    assert!(told.complaints.contains("kept for 30 days"), "{}", told.complaints);
    assert_eq!(group(&karim, "Ward")["retention_days"], 30);
}
