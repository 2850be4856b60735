//! The client is killed between any two steps of sending and of receiving: mail arrives whole, and once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use medipeps_client::fail_point::FailPoint;

use crate::correspondent::{Correspondent, text};
use crate::person::{Draft, Person};
use crate::process::{Process, medipeps_with_fail_points, run, wait_until};
use crate::safety_crash::{BACKING_UP, RESTORING, WIPING};
use crate::server::Server;
use crate::transfer_crash::{FETCHING, SAVING, UPLOADING};

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
pub fn kill_at(mut command: Command, point: FailPoint, passes: usize, marker: &Path) -> bool {
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
pub fn at_every_pass(points: &[FailPoint], mut kill: impl FnMut(FailPoint, usize) -> bool) -> usize {
    let mut kills = 0;
    for point in points {
        let mut passes = 0;
        while kill(*point, passes) {
            passes += 1;
            assert!(passes < PASSES_MAX, "{} is passed without end", point.name());
        }
        assert!(passes > 0, "{} was never reached", point.name());
        println!("{}: {passes} kills", point.name());
        kills += passes;
    }
    kills
}

#[test]
fn every_fail_point_is_visited() {
    let visited: BTreeSet<_> = [SENDING, RECEIVING, UPLOADING, FETCHING, SAVING, BACKING_UP, RESTORING, WIPING]
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(visited, FailPoint::ALL.iter().collect(), "a point without a visit shows nothing");
}

#[test]
fn the_command_that_is_installed_has_no_fail_points() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::new(folder.path(), "Dr Claire Martin", "claire");
    let marker = folder.path().join("reached");
    let all: Vec<_> =
        FailPoint::ALL.iter().map(|point| format!("{}=return({})", point.name(), marker.display())).collect();
    let mut create = claire.command(&claire.account_create(&server, &server.invite()));
    run(create.env("FAILPOINTS", all.join(";"))).done();
    assert!(!marker.exists());
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_send() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let dying = claire.with_program(medipeps_with_fail_points());
    let mut beside = Correspondent::beside(&claire);
    let mut karim = Correspondent::register(folder.path(), &server, "karim");
    let marker = folder.path().join("reached");
    let mut strangers = 0;
    let kills = at_every_pass(SENDING, |point, passes| {
        // Someone new each time, so that prekeys are fetched and a handshake is made each time; and someone known.
        strangers += 1;
        let mut stranger = Correspondent::register(folder.path(), &server, &format!("stranger-{strangers}"));
        let subject = format!("{} {passes}", point.name());
        let draft = Draft {
            to: vec![stranger.address.clone()],
            cc: vec![karim.address.clone()],
            body: format!("killed at {subject}"),
            subject: subject.clone(),
            ..Draft::default()
        };
        let before = beside.status().sent;
        let killed = kill_at(dying.command(&dying.mail_send(&draft)), point, passes, &marker);
        if beside.status().sent == before {
            // It died before the mail was in the outbox: a person sends it again.
            claire.send_now(&draft);
        } else if killed {
            let mut sync = claire.command(&["sync", "--json"]);
            let synced = run(sync.env("MEDIPEPS_LOG", "medipeps_client=debug")).done();
            assert_eq!(synced.json()["waiting"], 0, "{subject}: {synced:?}");
        }
        let status = beside.status();
        assert_eq!(status.sent, before + 1, "{subject}");
        assert!(status.outbox.is_empty(), "{subject}: {:?}", status.outbox);
        for recipient in [&mut stranger, &mut karim] {
            recipient.sync();
            assert_eq!(text(&recipient.only(&subject)), draft.body);
            assert_eq!(recipient.status().queue.undecryptable, 0, "{subject}");
        }
        killed
    });
    assert!(kills >= 20, "only {kills} kills");
    karim.send(&claire.address(), "still there", "yes", Vec::new());
    assert_eq!(claire.receive("still there")["body"], "yes");
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_receive() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let dying = karim.with_program(medipeps_with_fail_points());
    let mut beside = Correspondent::beside(&karim);
    let marker = folder.path().join("reached");
    let mut strangers = 0;
    let kills = at_every_pass(RECEIVING, |point, passes| {
        // Someone new each time: a first flight uses up prekeys.
        strangers += 1;
        let mut stranger = Correspondent::register(folder.path(), &server, &format!("stranger-{strangers}"));
        let subjects = ["first", "second"].map(|which| format!("{which} {} {passes}", point.name()));
        for subject in &subjects {
            stranger.send(&karim.address(), subject, &format!("body of {subject}"), Vec::new());
        }
        let killed = kill_at(dying.command(&["sync"]), point, passes, &marker);
        if killed {
            karim.sync();
        }
        for subject in &subjects {
            assert_eq!(text(&beside.only(subject)), format!("body of {subject}"));
        }
        assert_eq!(beside.status().queue.undecryptable, 0, "{subjects:?}");
        // The answer goes over the session that the killed process made, or its successor.
        beside.send(&stranger.address, "answer", &subjects[0], Vec::new());
        stranger.sync();
        assert_eq!(text(&stranger.only("answer")), subjects[0]);
        killed
    });
    assert!(kills >= 20, "only {kills} kills");
    assert_eq!(server.queued(&karim.address()), 0);
    assert_eq!(karim.inbox().len(), 2 * strangers);
}
