//! The client is killed between any two steps of sending and of receiving: mail arrives whole, and once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use medipeps_client::fail_point::FailPoint;

use crate::person::{Draft, Person};
use crate::process::{Process, medipeps_with_fail_points, wait_until};
use crate::server::Server;

/// Points that a `mail send` to someone new passes.
const SENDING: &[FailPoint] = &[
    FailPoint::BeforeLoad,
    FailPoint::BeforeCommit,
    FailPoint::AfterCommit,
    FailPoint::AfterShow,
    FailPoint::BeforeRequest,
    FailPoint::AfterReply,
];
/// Points that a `sync` passes when something has come.
const RECEIVING: &[FailPoint] = &[
    FailPoint::BeforeLoad,
    FailPoint::BeforeCommit,
    FailPoint::AfterCommit,
    FailPoint::AfterShow,
    FailPoint::BeforeProof,
    FailPoint::AfterProof,
    FailPoint::BeforeRequest,
    FailPoint::AfterReply,
    FailPoint::BeforeAcknowledge,
    FailPoint::BeforeSubscribe,
    FailPoint::AfterDelivery,
];
/// More passes of one point than any command makes.
const PASSES_MAX: usize = 40;

/// Runs a command until it has passed a point so many times and reaches it again, and kills it there. False if it ends
/// before.
#[track_caller]
fn kill_at(mut command: Command, point: FailPoint, passes: usize, marker: &Path) -> bool {
    let pass = if passes == 0 { String::new() } else { format!("{passes}*off->") };
    command.env("FAILPOINTS", format!("{}={pass}return({})", point.name(), marker.display()));
    let mut process = Process::start(&mut command);
    wait_until("the command reaches the point or its end", || marker.exists() || process.has_ended());
    if !marker.exists() {
        process.wait().done();
        return false;
    }
    assert_eq!(process.kill().status.code(), None, "it was killed");
    fs::remove_file(marker).unwrap();
    true
}

/// Every pass of every point, until the command no longer comes so far. The action is told where the process died.
fn at_every_pass(points: &[FailPoint], mut kill: impl FnMut(FailPoint, usize) -> bool) -> usize {
    let mut kills = 0;
    for point in points {
        let mut passes = 0;
        while kill(*point, passes) {
            passes += 1;
            assert!(passes < PASSES_MAX, "{} is passed without end", point.name());
        }
        assert!(passes > 0, "{} was never reached", point.name());
        kills += passes;
    }
    kills
}

#[test]
fn every_fail_point_is_visited() {
    let visited: BTreeSet<_> = SENDING.iter().chain(RECEIVING).collect();
    assert_eq!(visited, FailPoint::ALL.iter().collect(), "a point without a visit shows nothing");
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_send() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let dying = claire.with_program(medipeps_with_fail_points());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let marker = folder.path().join("reached");
    let sent = || claire.status()["sent"].as_u64().unwrap();
    let recipients = Mutex::new(Recipients::new(folder.path(), &server));
    let kills = at_every_pass(SENDING, |point, passes| {
        // Someone new each time, so that prekeys are fetched and a handshake is made each time; and someone known.
        let stranger = recipients.lock().unwrap().next();
        let subject = format!("{} {passes}", point.name());
        let draft = Draft {
            to: vec![stranger.address()],
            cc: vec![karim.address()],
            body: format!("killed at {subject}"),
            subject: subject.clone(),
            wait: Some(5),
            ..Draft::default()
        };
        let before = sent();
        let killed = kill_at(dying.command(&dying.mail_send(&draft)), point, passes, &marker);
        if killed && sent() == before {
            // It died before the mail was in the outbox, and its id was not printed: a person sends it again.
            claire.send_now(&draft);
        }
        claire.sync();
        assert_eq!(sent(), before + 1, "{subject}");
        assert_eq!(claire.status()["outbox"], serde_json::json!([]), "{subject}");
        for recipient in [&stranger, &karim] {
            assert_eq!(recipient.receive(&subject)["body"], draft.body, "{subject}");
            assert_eq!(recipient.status()["undecryptable_total"], 0, "{subject}");
        }
        killed
    });
    assert!(kills >= 20, "only {kills} kills");
    karim.send_now(&Draft::to(&claire, "still there", "yes"));
    assert_eq!(claire.receive("still there")["body"], "yes");
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_receive() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let dying = karim.with_program(medipeps_with_fail_points());
    let marker = folder.path().join("reached");
    let senders = Mutex::new(Recipients::new(folder.path(), &server));
    let kills = at_every_pass(RECEIVING, |point, passes| {
        // Someone new each time: a first flight uses up prekeys.
        let sender = senders.lock().unwrap().next();
        let subjects = ["first", "second"].map(|which| format!("{which} {} {passes}", point.name()));
        for subject in &subjects {
            sender.send_now(&Draft::to(&karim, subject, &format!("body of {subject}")));
        }
        let killed = kill_at(dying.command(&["sync"]), point, passes, &marker);
        karim.sync();
        for subject in &subjects {
            assert_eq!(karim.only(subject)["body"], format!("body of {subject}"));
        }
        assert_eq!(karim.status()["undecryptable_total"], 0, "{subjects:?}");
        assert_eq!(server.queued(&karim.address()), 0, "{subjects:?}");
        // The answer goes over the session that the killed process made, or its successor.
        karim.send_now(&Draft::to(&sender, &subjects[0], "answer"));
        assert_eq!(sender.receive(&subjects[0])["body"], "answer");
        killed
    });
    assert!(kills >= 20, "only {kills} kills");
}

/// People who come one after another, each with a new account.
struct Recipients<'a> {
    folder: &'a Path,
    server: &'a Server,
    count: usize,
}

impl<'a> Recipients<'a> {
    const fn new(folder: &'a Path, server: &'a Server) -> Self {
        Self { folder, server, count: 0 }
    }

    fn next(&mut self) -> Person {
        self.count += 1;
        // A test's few names may live as long as its process.
        let local: &'static str = Box::leak(format!("person-{}", self.count).into_boxed_str());
        Person::with_account(self.folder, self.server, "Someone New", local)
    }
}
