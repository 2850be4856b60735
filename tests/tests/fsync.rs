//! Nothing is confirmed before it is on the disk: strace shows the syncs, and notes at the fail points show the moments.
//!
//! The commands write a note to a file at the fail point right before they confirm something, in the thread that then
//! confirms it. In the trace the note stands among the writes and syncs, so nothing here depends on clocks. Every sync is
//! made slow, so that whoever does not wait for it is seen.

use std::path::{Path, PathBuf};

use medipeps_client::fail_point::FailPoint as ClientPoint;
use medipeps_core::wire::transport::Response;
use medipeps_server::fail_point::FailPoint as ServerPoint;

use crate::bare_account::{BareAccount, Place, Queue, submission};
use crate::bare_group::BareGroup;
use crate::correspondent::{Correspondent, text};
use crate::durability::unsynced;
use crate::person::{Draft, Person};
use crate::process::{PATIENCE, medipeps_with_fail_points, run};
use crate::server::Server;
use crate::strace::{Call, STORING, Strace, read};

/// Submissions, one after the other.
const SUBMISSIONS: u8 = 20;
/// Epochs of a group log, with a small entry and a large commit each.
const APPENDS: u8 = 5;
/// How much longer each sync takes.
const SLOW: &str = "delay_enter=5000";

/// A trace in which every sync is slow.
fn slow(output: &Path) -> Strace {
    Strace::into(output).calls(STORING).inject("fsync,fdatasync", SLOW, "1+")
}

/// A file for notes, and what makes a fail point write to it.
fn notes(folder: &Path, point: &str) -> (PathBuf, String) {
    let file = folder.join(format!("notes-{point}"));
    let action = format!("{point}=return(note {})", file.display());
    (file, action)
}

/// How many notes there are of a point. The process writes each in one piece.
fn count(file: &Path, point: &str) -> usize {
    std::fs::read(file).unwrap_or_default().len() / point.len()
}

/// The calls that wrote the notes of a file.
fn moments(calls: &[Call], file: &Path) -> Vec<usize> {
    calls
        .iter()
        .filter(|call| call.name == "write" && call.path.as_deref() == Some(file))
        .map(|call| call.begun)
        .collect()
}

/// Asserts that a file was written and synced between two places.
#[track_caller]
fn assert_stored(calls: &[Call], between: (usize, usize), what: &str, is_it: impl Fn(&Path) -> bool) {
    let within = |call: &&Call| call.begun > between.0 && call.ended < between.1 && call.succeeded();
    let of_it = |call: &&Call| call.path.as_deref().is_some_and(&is_it);
    let one_of =
        |names: &[&str]| calls.iter().filter(within).filter(of_it).any(|call| names.contains(&call.name.as_str()));
    assert!(one_of(&["write", "pwrite64"]), "{what} was not written between {between:?}");
    assert!(one_of(&["fsync", "fdatasync"]), "{what} was not synced between {between:?}");
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "segment")
}

fn is_record_log(path: &Path) -> bool {
    path.ends_with("sled/db")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fsync_before_every_ack_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let account = BareAccount::new("karim", 1);
    account.register(&server).await;
    let place = Place::of(&server);
    let trace = folder.path().join("trace");
    let name = ServerPoint::BeforeAnswer.name();
    let (file, action) = notes(folder.path(), name);
    tokio::task::block_in_place(|| {
        server.kill();
        server.run_by(slow(&trace).around(&server.run_command_with_fail_points(&action)));
    });

    let sender = place.connect().await.unwrap();
    // The note before the one of the answer, and that one.
    let mut stored = Vec::new();
    for number in 0..SUBMISSIONS {
        let before = count(&file, name);
        let request = submission((&account.address, account.device_id), [number; 16]);
        assert!(matches!(sender.request(&request).await.unwrap(), Response::Submit(_)));
        assert_eq!(count(&file, name), before + 1, "one answer, one note");
        stored.push(before);
    }
    let group = BareGroup::new(1);
    assert_eq!(sender.request(&group.create()).await.unwrap(), Response::Done);
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for number in 0..u64::from(APPENDS) {
        for (length, notes) in [(1000, &mut small), (100_000, &mut large)] {
            let before = count(&file, name);
            let id = 2 * number + u64::from(length > 1000);
            // Every second one closes its epoch.
            let request = group.append(number, id, length, length > 1000);
            assert!(matches!(sender.request(&request).await.unwrap(), Response::AppendGroupEntry(_)));
            notes.push(before);
        }
    }
    let device = account.connect(&place).await.unwrap();
    let mut queue = Queue::open(&device).await.unwrap();
    let mut removed = Vec::new();
    while let Some(delivery) = queue.next(PATIENCE).await.unwrap() {
        let before = count(&file, name);
        queue.acknowledge(&device, delivery.sequence).await.unwrap();
        removed.push(before);
    }
    assert_eq!(removed.len(), usize::from(SUBMISSIONS));
    tokio::task::block_in_place(|| server.kill());

    let (calls, data) = (read(&trace), server.data());
    let moments = moments(&calls, &file);
    let matters = |path: &Path| path.starts_with(&data) && !path.ends_with("control.sock");
    for moment in &moments {
        let left = unsynced(&calls, *moment, matters);
        assert!(left.is_empty(), "answered at line {moment} of the trace and not on the disk: {left:?}");
    }
    for note in stored {
        let between = (moments[note - 1], moments[note]);
        assert_stored(&calls, between, "the envelope", is_segment);
        assert_stored(&calls, between, "its record", is_record_log);
    }
    let is_large = |path: &Path| is_segment(path) && path.parent().is_some_and(|folder| folder.ends_with("blobs"));
    for note in small.iter().chain(&large) {
        assert_stored(&calls, (moments[note - 1], moments[*note]), "the entry", is_segment);
        assert_stored(&calls, (moments[note - 1], moments[*note]), "its record", is_record_log);
    }
    for note in large {
        assert_stored(&calls, (moments[note - 1], moments[note]), "the large entry", is_large);
    }
    for note in removed {
        assert_stored(&calls, (moments[note - 1], moments[note]), "the acknowledgement", is_record_log);
    }
}

#[test]
fn fsync_before_every_ack_of_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut beside = Correspondent::beside(&karim);
    let mut claire = Correspondent::register(folder.path(), &server, "claire");
    for subject in ["first", "second"] {
        claire.send(&karim.address(), subject, subject, Vec::new());
    }
    let (acknowledging, shown) = (ClientPoint::BeforeAcknowledge.name(), ClientPoint::AfterShow.name());
    let (file, action) = notes(folder.path(), acknowledging);
    let (shown_file, shown_action) = notes(folder.path(), shown);
    let trace = folder.path().join("trace");
    let traced = karim.with_program(medipeps_with_fail_points());
    let mut command = traced.command(&["sync"]);
    command.env("FAILPOINTS", format!("{action};{shown_action}"));
    run(&mut slow(&trace).around(&command)).done();

    let calls = read(&trace);
    let acknowledged = moments(&calls, &file);
    assert!(!acknowledged.is_empty(), "nothing was acknowledged");
    assert_on_the_disk(&calls, &acknowledged, &karim.home());
    assert_on_the_disk(&calls, &moments(&calls, &shown_file), &karim.home());
    assert_stored(&calls, (0, acknowledged[0]), "what came", |path| path.ends_with("store.sqlite-wal"));
    for subject in ["first", "second"] {
        assert_eq!(text(&beside.only(subject)), subject);
    }
    assert_eq!(server.queued(&karim.address()), 0);
}

#[test]
fn fsync_before_a_mail_is_shown_as_queued_or_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let mut karim = Correspondent::register(folder.path(), &server, "karim");
    let points = [ClientPoint::AfterShow, ClientPoint::BeforeRequest].map(ClientPoint::name);
    let [(shown, show), (sent, send)] = points.map(|point| notes(folder.path(), point));
    let trace = folder.path().join("trace");
    let traced = claire.with_program(medipeps_with_fail_points());
    let draft = Draft { to: vec![karim.address.clone()], subject: "s".into(), body: "b".into(), ..Draft::default() };
    let mut command = traced.command(&traced.mail_send(&draft));
    command.env("FAILPOINTS", format!("{show};{send}"));
    run(&mut slow(&trace).around(&command)).done();

    let calls = read(&trace);
    for file in [&shown, &sent] {
        let moments = moments(&calls, file);
        assert!(moments.len() >= 3, "to fetch prekeys, to submit, and the answers: {moments:?}");
        assert_on_the_disk(&calls, &moments, &claire.home());
        assert_stored(&calls, (0, moments[0]), "the mail", |path| path.ends_with("store.sqlite-wal"));
    }
    karim.sync();
    assert_eq!(text(&karim.only("s")), "b");
}

/// Asserts that at none of these moments anything of a home could be lost. SQLite makes `-shm` anew from the log.
#[track_caller]
fn assert_on_the_disk(calls: &[Call], moments: &[usize], home: &Path) {
    for moment in moments {
        let left = unsynced(calls, *moment, |path| path.starts_with(home) && !path.ends_with("store.sqlite-shm"));
        assert!(left.is_empty(), "at line {moment} of the trace and not on the disk: {left:?}");
    }
}
