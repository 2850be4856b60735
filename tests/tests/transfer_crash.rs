//! The client is killed between any two steps of sending, of fetching and of saving large documents.

use std::fs;
use std::path::Path;

use medipeps_client::fail_point::FailPoint;

use crate::client_crash::kill_at;
use crate::person::{Draft, Person};
use crate::process::medipeps_with_fail_points;
use crate::server::Server;

/// Points that a `mail send` with a long text and a large file passes.
pub const UPLOADING: &[FailPoint] = &[
    FailPoint::AfterSealedCopy,
    FailPoint::BeforeUploadBegin,
    FailPoint::AfterPartDigest,
    FailPoint::BeforePiece,
    FailPoint::AfterPiece,
    FailPoint::BeforeUploadDone,
];
/// Points that a `sync` passes when a long text has come.
pub const FETCHING: &[FailPoint] = &[FailPoint::BeforeFetch, FailPoint::AfterFetchedPart, FailPoint::BeforeBodyStored];
/// Points that a `read --save` passes.
pub const SAVING: &[FailPoint] =
    &[FailPoint::BeforeFetch, FailPoint::AfterFetchedPart, FailPoint::BeforeFinalName, FailPoint::AfterFinalName];
/// Two parts and a bit: the second part is gone on with.
const LENGTH: usize = (9 << 20) + 1;
/// A point is visited the first time and the third time that it is passed, if it is.
const PASSES: [usize; 2] = [0, 2];

struct Scene {
    folder: tempfile::TempDir,
    _server: Server,
    claire: Person,
    karim: Person,
    file: Vec<u8>,
    body: String,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
        let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
        let file = (0..LENGTH).map(|index| (index / 5 % 251) as u8 ^ (index >> 17) as u8).collect();
        let body = (0..10_000).map(|number| format!("line {number} ")).collect();
        Self { folder, _server: server, claire, karim, file, body }
    }

    fn draft(&self, subject: &str) -> Draft {
        let attach = vec![self.claire.file("scan.raw", &self.file)];
        Draft { attach, ..Draft::to(&self.karim, subject, &self.body) }
    }

    /// The message is there, once, with all that belongs to it.
    #[track_caller]
    fn arrived(&self, subject: &str) {
        let mail = self.karim.receive(subject);
        assert!(mail["body"] == *self.body, "{subject}: the text is another");
        self.saves(mail["id"].as_str().unwrap(), &self.folder.path().join(subject));
    }

    #[track_caller]
    fn saves(&self, id: &str, target: &Path) {
        self.karim.run(&["read", id, "--save", target.to_str().unwrap()]).done();
        let names: Vec<_> = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["scan.raw"], "nothing half and nothing twice");
        assert!(fs::read(target.join("scan.raw")).unwrap() == self.file, "{}: the file is another", target.display());
    }

    /// Visits every point, on some of its passes; gives back how often the command was killed.
    fn visit(&self, points: &[FailPoint], mut kill: impl FnMut(FailPoint, &str, usize, &Path) -> bool) {
        let marker = self.folder.path().join("reached");
        for point in points {
            for passes in PASSES {
                let subject = format!("{} {passes}", point.name());
                let killed = kill(*point, &subject, passes, &marker);
                assert!(killed || passes > 0, "{} was never reached", point.name());
            }
        }
    }
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_upload() {
    let scene = Scene::new();
    let dying = scene.claire.with_program(medipeps_with_fail_points());
    scene.visit(UPLOADING, |point, subject, passes, marker| {
        let draft = scene.draft(subject);
        let before = scene.claire.status()["sent"].clone();
        let killed = kill_at(dying.command(&dying.mail_send(&draft)), point, passes, marker);
        if scene.claire.status()["sent"] == before {
            // It died before the mail was in the outbox: a person sends it again.
            scene.claire.send_now(&draft);
        } else {
            scene.claire.sync();
        }
        scene.arrived(subject);
        killed
    });
    assert_eq!(scene.claire.status()["uploads"].as_array().unwrap().len(), 0);
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_fetching_a_text() {
    let scene = Scene::new();
    let dying = scene.karim.with_program(medipeps_with_fail_points());
    scene.visit(FETCHING, |point, subject, passes, marker| {
        scene.claire.send_now(&Draft::to(&scene.karim, subject, &scene.body));
        let killed = kill_at(dying.command(&["sync"]), point, passes, marker);
        scene.karim.sync();
        let mail = scene.karim.only(subject);
        assert!(mail["body"] == *scene.body, "{subject}: the text is another");
        killed
    });
}

#[test]
fn sigkill_of_the_client_between_any_two_steps_of_saving() {
    let scene = Scene::new();
    let dying = scene.karim.with_program(medipeps_with_fail_points());
    scene.claire.send_now(&scene.draft("to save"));
    let id = scene.karim.receive("to save")["id"].as_str().unwrap().to_owned();
    scene.visit(SAVING, |point, subject, passes, marker| {
        let target = scene.folder.path().join(subject);
        let words = ["read", &id, "--save", target.to_str().unwrap()];
        let killed = kill_at(dying.command(&words), point, passes, marker);
        if killed {
            scene.saves(&id, &target);
        }
        killed
    });
}
