//! Backup, restore and wipe killed between any two steps: there is the whole, or nothing that looks like it.

use std::fs;

use medipeps_client::fail_point::FailPoint;

use crate::client_crash::{at_every_pass, kill_at};
use crate::person::{Draft, Person};
use crate::process::medipeps_with_fail_points;
use crate::safety::{back_up, machine, restore, with_backup};
use crate::server::Server;

/// Points that only a backup passes.
pub const BACKING_UP: &[FailPoint] = &[FailPoint::DuringBackup];
/// Points that a restore passes.
pub const RESTORING: &[FailPoint] = &[
    FailPoint::BeforeCommit,
    FailPoint::AfterCommit,
    FailPoint::AfterRestoreCopied,
    FailPoint::BeforeRestorePublish,
    FailPoint::AfterRestorePublish,
];
/// Points that a wipe passes.
pub const WIPING: &[FailPoint] =
    &[FailPoint::AfterWipeMark, FailPoint::AfterKeysDestroyed, FailPoint::AfterStoreRemoved];

#[test]
fn sigkill_of_a_backup_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let dying = claire.with_program(medipeps_with_fail_points());
    let (file, marker) = (back_up(&claire, "backup"), folder.path().join("reached"));
    let before = fs::read(&file).unwrap();
    let words = ["backup", file.to_str().unwrap(), "--force"];
    at_every_pass(BACKING_UP, |point, passes| {
        let killed = kill_at(with_backup(&dying, &words), point, passes, &marker);
        assert_eq!(fs::read(&file).unwrap() == before, killed);
        killed
    });
    // What the killed one left beside it is used up by the next.
    assert_eq!(fs::read_dir(claire.folder()).unwrap().filter(|entry| is_partial(entry.as_ref().unwrap())).count(), 0);
}

fn is_partial(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_str().unwrap().ends_with(".part")
}

#[test]
fn sigkill_of_a_restore_between_any_two_steps() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut kills = 0;
    // An account for each point: none has room for a device for each kill.
    for (point, local) in RESTORING.iter().zip(["ada", "bea", "cleo", "dora", "eva"]) {
        let first = Person::with_account(folder.path(), &server, "Dr Claire Martin", local);
        let long = "a long text ".repeat(10_000);
        karim.send_now(&Draft::to(&first, "before", "1"));
        karim.send_now(&Draft::to(&first, "long", &long));
        first.sync();
        let (backup, marker) = (back_up(&first, "backup"), folder.path().join("reached"));
        let mut machines = 1;
        kills += at_every_pass(&[*point], |point, passes| {
            machines += 1;
            let new = machine(first.folder(), machines, "Dr Claire Martin", local);
            let dying = new.with_program(medipeps_with_fail_points());
            let killed = kill_at(with_backup(&dying, &["restore", backup.to_str().unwrap()]), point, passes, &marker);
            if killed {
                // Half an account is none; after its last step it is a whole one.
                let said = new.run(&["status", "--json"]);
                match said.status.code() {
                    Some(0) => new.sync(),
                    _ => drop(restore(&new, &backup).done()),
                }
            }
            let (status, what) = (new.status(), format!("{} {passes}", point.name()));
            assert!(status["registered"].as_bool().unwrap(), "{what}: {status}");
            assert_eq!(new.subjects(), ["before", "long"], "{what}");
            assert_eq!(new.only("long")["body"], long, "{what}");
            new.run(&["contact", "list"]).done();
            if passes < 2 {
                karim.send_now(&Draft::to(&first, &what, "2"));
                assert_eq!(new.receive(&what)["body"], "2", "{what}");
            }
            killed
        });
    }
    assert!(kills >= 15, "only {kills} kills");
}

#[test]
fn sigkill_of_a_wipe_between_any_two_steps() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let (copy, marker) = (folder.path().join("copy"), folder.path().join("reached"));
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(claire.home()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
    }
    let dying = claire.with_program(medipeps_with_fail_points());
    let put_back = || {
        fs::create_dir_all(claire.home()).unwrap();
        for entry in fs::read_dir(&copy).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, claire.home().join(path.file_name().unwrap())).unwrap();
        }
    };
    at_every_pass(WIPING, |point, passes| {
        put_back();
        claire.run(&["status"]).done();
        let killed = kill_at(dying.command(&["wipe", "--yes"]), point, passes, &marker);
        if killed {
            // Nobody opens what is half wiped; the same command goes on.
            claire.run(&["status"]).with_code(1);
            claire.run(&["wipe"]).done();
        }
        assert!(!claire.home().exists(), "{}", point.name());
        killed
    });
}
