//! A failing disk under the client, at one write or sync after the other: the command says so, a mail that was confirmed
//! is kept, what is not stored is not acknowledged, and without the fault everything is there once.

use std::path::Path;
use std::process::Command;

use crate::correspondent::{Correspondent, text};
use crate::person::{Draft, Person};
use crate::process::{Ended, run};
use crate::server::Server;
use crate::strace::{Strace, was_hit};

/// Which write or sync meets the fault: all in the beginning, then fewer. No command makes as many as the last.
const PLACES: &[usize] = &[1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450];
/// Open files that a command may have: from what it takes to start at all up to more than enough. With fewer tokio itself
/// gives up before the command has done anything.
const OPEN_FILES: std::ops::RangeInclusive<usize> = 8..=20;
/// What the command says when its store cannot be read or written.
const MEDIUM: &str = "the store's medium failed";

/// A fault of the files of a store.
#[derive(Debug, Clone, Copy)]
struct Fault {
    calls: &'static str,
    error: &'static str,
    /// It stays from its place on.
    stays: bool,
}

const FULL: Fault = Fault { calls: "pwrite64,write,ftruncate,fallocate", error: "ENOSPC", stays: true };
const BAD_WRITE: Fault = Fault { calls: "pwrite64,write", error: "EIO", stays: true };
/// One failed sync and then none.
const BAD_SYNC: Fault = Fault { calls: "fsync,fdatasync", error: "EIO", stays: false };

impl Fault {
    /// The same command, whose store meets the fault at this place.
    fn around(self, command: &Command, home: &Path, place: usize, trace: &Path) -> Command {
        let when = if self.stays { format!("{place}+") } else { place.to_string() };
        let files = ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"].map(|name| home.join(name));
        let strace = files.iter().fold(Strace::into(trace), |strace, file| strace.on(file));
        strace.calls(self.calls).inject(self.calls, &format!("error={}", self.error), &when).around(command)
    }
}

/// Asserts that a command has worked, or says clearly that it has not.
#[track_caller]
fn assert_clear(ended: &Ended, why: &[&str]) {
    match ended.status.code() {
        Some(0) => {}
        Some(1) => {
            let said = why.iter().any(|why| ended.complaints.contains(why));
            assert!(said, "it must say one of {why:?}: {ended:?}");
        }
        _ => panic!("it must end by itself with 0 or 1: {ended:?}"),
    }
}

/// A mail that went wrong on the way out: kept if that was confirmed, sent again if not, and received once.
struct Sending {
    claire: Person,
    karim: Correspondent,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Sending {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
        let karim = Correspondent::register(folder.path(), &server, "karim");
        Self { claire, karim, server, _folder: folder }
    }

    fn sent(&self) -> u64 {
        self.claire.status()["sent"].as_u64().unwrap()
    }

    /// Sends a mail by a command that is made worse.
    fn with(&mut self, subject: &str, worse: impl FnOnce(&Command) -> Command, why: &[&str]) -> Ended {
        let to = vec![self.karim.address.clone()];
        let draft = Draft {
            to,
            subject: subject.into(),
            body: format!("body of {subject}"),
            wait: Some(0),
            ..Draft::default()
        };
        let mut words = self.claire.mail_send(&draft);
        // Without it the id is printed as soon as the mail is in the outbox.
        words.retain(|word| word != "--json");
        let before = self.sent();
        let ended = run(&mut worse(&self.claire.command(&words)));
        assert_clear(&ended, why);
        let confirmed = !ended.output.is_empty();
        let kept = self.sent() > before;
        assert!(kept || !confirmed, "{subject}: the mail was confirmed and is lost: {ended:?}");
        self.claire.sync();
        if !kept {
            self.claire.send_now(&draft);
        }
        assert_eq!(self.claire.status()["outbox"], serde_json::json!([]), "{subject}");
        assert_eq!(self.sent(), before + 1, "{subject}");
        self.karim.sync();
        assert_eq!(text(&self.karim.only(subject)), draft.body);
        assert_eq!(self.karim.status().queue.undecryptable, 0, "{subject}");
        ended
    }

    /// The fault at one place after the other, until the command no longer comes so far.
    fn at_every_place(mut self, fault: Fault) {
        let (home, trace) = (self.claire.home(), self.claire.folder().join("trace"));
        let mut failed = 0;
        for place in PLACES {
            let subject = format!("{} {place}", fault.error);
            let ended = self.with(&subject, |command| fault.around(command, &home, *place, &trace), &[MEDIUM]);
            if !was_hit(&trace) {
                assert!(failed >= 3, "{fault:?} made only {failed} commands fail");
                assert_eq!(self.server.queued(&self.karim.address), 0);
                return;
            }
            failed += usize::from(ended.status.code() == Some(1) || ended.output.contains("queued") || !fault.stays);
        }
        panic!("{fault:?} is met without end");
    }
}

/// A mail that went wrong on the way in: stored or still at the server, and in the end there once.
struct Receiving {
    claire: Correspondent,
    karim: Person,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Receiving {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
        let claire = Correspondent::register(folder.path(), &server, "claire");
        Self { claire, karim, server, _folder: folder }
    }

    /// Receives a mail by a command that is made worse.
    fn with(&mut self, subject: &str, worse: impl FnOnce(&Command) -> Command, why: &[&str]) -> Ended {
        let body = format!("body of {subject}");
        self.claire.send(&self.karim.address(), subject, &body, Vec::new());
        let ended = run(&mut worse(&self.karim.command(&["sync"])));
        assert_clear(&ended, why);
        let stored = self.karim.subjects().iter().any(|one| one == subject);
        let queued = self.server.queued(&self.karim.address());
        assert!(stored || queued == 1, "{subject}: acknowledged and not stored: {ended:?}");
        self.karim.sync();
        assert_eq!(self.karim.only(subject)["body"], body.as_str());
        assert_eq!(self.server.queued(&self.karim.address()), 0, "{subject}");
        assert_eq!(self.karim.status()["undecryptable_total"], 0, "{subject}");
        ended
    }

    /// The fault at one place after the other, until the command no longer comes so far.
    fn at_every_place(mut self, fault: Fault) {
        let (home, trace) = (self.karim.home(), self.karim.folder().join("trace"));
        let mut failed = 0;
        for place in PLACES {
            let subject = format!("{} {place}", fault.error);
            let ended = self.with(&subject, |command| fault.around(command, &home, *place, &trace), &[MEDIUM]);
            if !was_hit(&trace) {
                assert!(failed >= 3, "{fault:?} made only {failed} commands fail");
                return;
            }
            // One failure alone may be made good by a second try of the same event, which writes everything anew.
            failed += usize::from(ended.status.code() == Some(1) || !fault.stays);
        }
        panic!("{fault:?} is met without end");
    }
}

#[test]
fn disk_full_while_the_client_sends_loses_nothing() {
    Sending::new().at_every_place(FULL);
}

#[test]
fn eio_on_writes_while_the_client_sends_loses_nothing() {
    Sending::new().at_every_place(BAD_WRITE);
}

#[test]
fn eio_on_one_fsync_while_the_client_sends_loses_nothing() {
    Sending::new().at_every_place(BAD_SYNC);
}

#[test]
fn disk_full_while_the_client_receives_loses_nothing() {
    Receiving::new().at_every_place(FULL);
}

#[test]
fn eio_on_writes_while_the_client_receives_loses_nothing() {
    Receiving::new().at_every_place(BAD_WRITE);
}

#[test]
fn eio_on_one_fsync_while_the_client_receives_loses_nothing() {
    Receiving::new().at_every_place(BAD_SYNC);
}

#[test]
fn too_many_open_files_of_the_client_lose_nothing() {
    let few = |files: usize| {
        move |command: &Command| {
            let mut limited = Command::new("prlimit");
            limited
                .arg(format!("--nofile={files}:{files}"))
                .arg("--")
                .arg(command.get_program())
                .args(command.get_args());
            limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            limited
        }
    };
    // The runtime, the file with the body, the store or the socket.
    let why = [MEDIUM, "Too many open files"];
    let mut sending = Sending::new();
    let failed = OPEN_FILES.filter(|files| {
        let ended = sending.with(&format!("{files} files"), few(*files), &why);
        ended.status.code() == Some(1) || ended.output.contains("queued")
    });
    assert!((3..OPEN_FILES.count()).contains(&failed.count()), "some limits are too small, and the last is not");
    let mut receiving = Receiving::new();
    let failed = OPEN_FILES
        .filter(|files| receiving.with(&format!("{files} files"), few(*files), &why).status.code() == Some(1));
    assert!((3..OPEN_FILES.count()).contains(&failed.count()), "some limits are too small, and the last is not");
}

#[test]
fn a_read_only_home_is_refused_and_stays_as_it_is() {
    let mut sending = Sending::new();
    let (home, trace) = (sending.claire.home(), sending.claire.folder().join("trace"));
    let files = ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"].map(|name| home.join(name));
    // What is opened for writing is refused; what is opened for reading alone, which SQLite tries next, is not.
    let read_only = |command: &Command, when: &str| {
        let strace = files.iter().fold(Strace::into(&trace), |strace, file| strace.on(file));
        strace.inject("openat", "error=EROFS", when).around(command)
    };
    for when in ["1", "1+", "2+"] {
        let ended = sending.with(when, |command| read_only(command, when), &[MEDIUM]);
        assert_eq!(ended.status.code(), Some(1), "{when}: {ended:?}");
        assert!(was_hit(&trace));
    }
    let before = std::fs::read(&files[0]).unwrap();
    run(&mut read_only(&sending.claire.command(&["sync"]), "1+")).with_code(1);
    assert!(before == std::fs::read(&files[0]).unwrap(), "the store was changed");
}
