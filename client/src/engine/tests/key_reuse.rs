//! One key never seals two plaintexts, whatever two processes, edits, crashes and failing commits do between any two steps.

use std::cell::RefCell;
use std::collections::BTreeMap;

use medipeps_core::attachment::root;
use medipeps_core::kind::AttachmentPlace;
use medipeps_core::wire::client_records::{RecipientState, UploadRecord};
use proptest::prelude::*;

use super::transfers::BLOB_KEPT_MS;
use super::world::{World, mail};
use crate::account_store::HandleError;
use crate::engine::{Attachment, AttachmentSource, EngineError, Input, SendMail};
use crate::store::memory::CommitFault;

const PARTS: u32 = 3;
/// Three parts, the last of one byte.
const LENGTH: u64 = 2 * (4 << 20) + 1;

#[derive(Debug, Clone)]
enum Action {
    /// A process looks what is to be done.
    Look(usize),
    /// A process reads a part of what it has seen and lets it leave if it may.
    Read(usize, u32),
    /// A process holds the file against what it has seen.
    Compare(usize),
    /// A process reports that all is there.
    Done(usize),
    /// The file gets other bytes; with or without another length or time.
    Edit { seen: bool },
    /// The next commit fails.
    Fault { written: bool },
    /// The process dies.
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (0..2_usize).prop_map(Action::Look),
        8 => (0..2_usize, 0..PARTS).prop_map(|(process, part)| Action::Read(process, part)),
        1 => (0..2_usize).prop_map(Action::Compare),
        2 => (0..2_usize).prop_map(Action::Done),
        2 => any::<bool>().prop_map(|seen| Action::Edit { seen }),
        1 => any::<bool>().prop_map(|written| Action::Fault { written }),
        1 => Just(Action::Crash),
    ]
}

struct Model<'a> {
    world: &'a mut World,
    seen: [Option<UploadRecord>; 2],
    /// Each edit makes another version; its digests follow from it.
    version: u8,
    length: u64,
    modified: u64,
    /// What has left, by key and part.
    left: BTreeMap<(Vec<u8>, u32), [u8; 32]>,
}

impl Model<'_> {
    fn act(&mut self, action: &Action) {
        match action {
            Action::Look(process) => {
                let now = self.world.now;
                self.seen[*process] = self.world.clients[0].uploads(now).pop().map(|upload| upload.record);
            }
            Action::Read(process, part) => {
                let Some(record) = self.seen[*process].clone() else { return };
                if u64::from(*part) * (4 << 20) >= record.length {
                    return;
                }
                let digest = digest(self.version, *part);
                match self.handle(&Input::UploadPart { blob_id: record.blob_id, part: *part, digest }) {
                    Ok(()) => self.leave(&record, *part, digest),
                    Err(HandleError::Engine(EngineError::PartChanged { .. })) => self.changed(&record),
                    Err(HandleError::Engine(EngineError::UnknownUpload)) => self.seen[*process] = None,
                    Err(HandleError::Engine(EngineError::UploadPart { .. }) | HandleError::Store(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Action::Compare(process) => {
                let Some(record) = self.seen[*process].clone() else { return };
                let medipeps_core::wire::client_records::UploadSource::File { modified, .. } = record.source else {
                    panic!("it is a file");
                };
                if (record.length, modified) != (self.length, self.modified) {
                    self.changed(&record);
                }
            }
            Action::Done(process) => {
                let Some(record) = self.seen[*process].clone() else { return };
                let expires = self.world.now + BLOB_KEPT_MS;
                match self.handle(&Input::UploadDone { blob_id: record.blob_id, expires }) {
                    Ok(()) | Err(HandleError::Engine(EngineError::UploadPart { .. }) | HandleError::Store(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Action::Edit { seen } => {
                self.version = self.version.wrapping_add(1);
                if *seen {
                    (self.length, self.modified) = (LENGTH + u64::from(self.version), self.modified + 1);
                }
            }
            Action::Fault { written } => {
                let fault = if *written { CommitFault::Written } else { CommitFault::Unwritten };
                self.world.clients[0].disk.fail_next_commit(fault);
            }
            Action::Crash => {
                self.world.clients[0].restart();
                self.seen = [None, None];
            }
        }
    }

    fn handle(&mut self, input: &Input) -> Result<(), HandleError> {
        let now = self.world.now;
        self.world.clients[0].handle(input, now).map(|_| ())
    }

    fn changed(&mut self, record: &UploadRecord) {
        let input = Input::UploadChanged { blob_id: record.blob_id, length: self.length, modified: self.modified };
        if let Err(HandleError::Engine(error)) = self.handle(&input) {
            panic!("{error}");
        }
    }

    fn leave(&mut self, record: &UploadRecord, part: u32, digest: [u8; 32]) {
        let key = record.key.secret().as_bytes().to_vec();
        let before = self.left.insert((key, part), digest);
        assert!(before.is_none_or(|before| before == digest), "one key has sealed two plaintexts");
    }

    /// What the message says is what has left under its key.
    fn check(&mut self, id: [u8; 16]) -> bool {
        if self.world.state(0, id) != (RecipientState::Queued, None) {
            return false;
        }
        let AttachmentPlace::Blob(blob) = self.world.detail(0, id).content.attachments.remove(0).place else {
            panic!("it is a blob");
        };
        let key = blob.key.secret().as_bytes().to_vec();
        let digests = (0..PARTS).map(|part| self.left.get(&(key.clone(), part)).copied());
        // A part whose commit was reported as failed has a digest and has not left; a real shell sends it again.
        if let Some(digests) = digests.collect::<Option<Vec<_>>>() {
            assert_eq!(blob.root, root(blob.length, &digests));
        }
        true
    }
}

fn digest(version: u8, part: u32) -> [u8; 32] {
    let mut digest = [version; 32];
    digest[0] = u8::try_from(part).unwrap();
    digest
}

#[test]
fn one_key_never_covers_two_plaintexts() {
    let mut world = World::new(&["claire", "paul"]);
    let source = AttachmentSource::File { path: b"/film".to_vec(), length: LENGTH, modified: 0 };
    let attachment = Attachment { name: "film".into(), media_type: "video/mp4".into(), source };
    let id = world.queue(0, SendMail { attachments: vec![attachment], ..mail(&world.address(1), "film") });
    let begun = world.clients[0].disk.copy();
    let (world, finished) = (RefCell::new(world), RefCell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let property = |actions: Vec<Action>| {
        let mut world = world.borrow_mut();
        world.clients[0].disk.restore(&begun);
        world.clients[0].restart();
        let seen = [None, None];
        let mut model =
            Model { world: &mut world, seen, version: 0, length: LENGTH, modified: 0, left: BTreeMap::new() };
        for action in &actions {
            model.act(action);
        }
        // What fault is left hits nothing that matters.
        model.act(&Action::Crash);
        let _ = model.handle(&Input::UploadPostponed { blob_id: [0; 32], code: String::new(), retry_after: 0 });
        *finished.borrow_mut() += usize::from(model.check(id));
        Ok(())
    };
    runner.run(&prop::collection::vec(action(), 0..80), property).unwrap();
    assert!(*finished.borrow() > 20, "only {} of 400 came to an end", finished.borrow());
}
