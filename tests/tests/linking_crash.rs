//! Either side of a linking is killed at many places: the same commands again bring it to its end. The engine's own tests
//! kill at every step; here the real processes die.

use std::path::Path;
use std::process::Command;

use medipeps_client::fail_point::FailPoint;

use crate::linking::{CODE, QUESTION, devices, link_words, linking};
use crate::person::{Draft, Person};
use crate::process::{Ended, Process, medipeps_with_fail_points, wait_until};
use crate::server::Server;

/// Where either side dies.
const POINTS: &[FailPoint] = &[FailPoint::AfterCommit, FailPoint::BeforeRequest, FailPoint::AfterReply];
/// After how many passes; a linking has about a dozen of each.
const PASSES: &[usize] = &[0, 2, 4, 6, 9];

/// One side: a command that is run again when it was killed.
struct Side<'a> {
    person: &'a Person,
    words: Vec<String>,
    process: Option<Process>,
    said_yes: bool,
    ended: Option<Ended>,
}

impl<'a> Side<'a> {
    fn new(person: &'a Person, words: Vec<String>) -> Self {
        Self { person, words, process: None, said_yes: false, ended: None }
    }

    fn start(&mut self, prepare: impl FnOnce(&mut Command)) {
        let mut command = self.person.command(&self.words);
        prepare(&mut command);
        self.process = Some(Process::start_typing(&mut command));
        self.said_yes = false;
    }

    fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    /// Types the yes when it is asked for, and notices the end.
    fn look(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if !self.said_yes && process.output().contains(QUESTION.1) {
            process.type_line("yes");
            self.said_yes = true;
        }
        if process.has_ended() {
            self.ended = Some(process.wait());
        } else {
            self.process = Some(process);
        }
    }

    fn kill(&mut self) {
        drop(self.process.take().map(Process::kill));
    }
}

/// Links a home, kills one side once, and runs it again. Whether it came so far as to be killed.
fn link_with_a_kill(folder: &Path, server: &Server, new_dies: bool, point: FailPoint, passes: usize) -> bool {
    let name = format!("{}-{passes}-{new_dies}", point.name());
    let folder = folder.join(&name);
    let local: &'static str = name.replace('_', ".").leak();
    let owner = Person::with_account(&folder, server, "Dr Claire Martin", local);
    let tablet = Person::new(&folder.join("second"), "", local);
    let marker = folder.join("reached");
    let pass = if passes == 0 { String::new() } else { format!("{passes}*off->") };
    let asked = format!("{}={pass}return({})", point.name(), marker.display());
    let die = |command: &mut Command| {
        command.env("FAILPOINTS", &asked);
    };
    let (dying_owner, dying_tablet) =
        (owner.with_program(medipeps_with_fail_points()), tablet.with_program(medipeps_with_fail_points()));
    let mut new = Side::new(if new_dies { &dying_tablet } else { &tablet }, link_words(&owner.address(), server, "T"));
    let mut primary = Side::new(if new_dies { &owner } else { &dying_owner }, Vec::new());
    new.start(|command| {
        if new_dies {
            die(command)
        }
    });
    let mut killed = false;
    wait_until("both sides have ended", || {
        if !killed && marker.exists() {
            let side = if new_dies { &mut new } else { &mut primary };
            side.kill();
            side.start(|_| {});
            killed = true;
        }
        new.look();
        primary.look();
        if primary.words.is_empty()
            && let Some(code) = new.output().lines().find(|line| line.starts_with(CODE))
        {
            primary.words = linking(code);
            primary.start(|command| {
                if !new_dies {
                    die(command)
                }
            });
        }
        new.ended.is_some() && primary.ended.is_some()
    });
    // The side that was killed may have been done with it already; it says so when it is run again.
    for side in [&new, &primary] {
        let ended = side.ended.as_ref().unwrap();
        let done =
            ended.status.success() || ended.complaints.contains("already") || ended.complaints.contains("unknown");
        assert!(done, "{name}: {ended:?}");
    }
    for person in [&owner, &tablet] {
        person.sync();
        assert_eq!(devices(person).len(), 2, "{name}");
    }
    let other = Person::with_account(&folder, server, "Karim Benali", format!("k{local}").leak());
    other.send_now(&Draft::to(&owner, "after", &name));
    for person in [&owner, &tablet] {
        assert_eq!(person.receive("after")["body"], *name);
    }
    killed
}

#[test]
fn sigkill_of_either_side_while_linking() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), crate::server::NO_LIMITS);
    for new_dies in [true, false] {
        let mut kills = 0;
        for point in POINTS {
            for passes in PASSES {
                if link_with_a_kill(folder.path(), &server, new_dies, *point, *passes) {
                    kills += 1;
                }
            }
        }
        println!("{kills} kills of the {}", if new_dies { "new device" } else { "primary device" });
        assert!(kills > POINTS.len() * 3, "only {kills} kills");
    }
}
