//! The server is killed while members append to a group log and race for its epochs: what it has acknowledged is there, once,
//! and every epoch has one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use medipeps_client::shell::connection::{Connection, RequestError};
use medipeps_core::wire::transport::{ErrorCode, Response};
use tokio::task::JoinSet;

use crate::bare_account::Place;
use crate::bare_group::BareGroup;
use crate::process::PATIENCE;
use crate::seed;
use crate::server::{NO_LIMITS, Server};

/// Times that the server is killed.
const CYCLES: usize = 60;
/// Members who append at once.
const MEMBERS: u64 = 6;
/// Entries of a member between two tries to close the epoch.
const ENTRIES_PER_COMMIT: u64 = 5;
/// Acknowledgements between a start and the next kill at most. How many, the seed says.
const ACKNOWLEDGED_PER_CYCLE_MAX: u64 = 30;
/// How long a member waits for one answer.
const ANSWER: Duration = Duration::from_millis(400);

/// What was acknowledged, noted outside of the server and on the disk before the next append: id and sequence.
#[derive(Debug)]
struct Log {
    file: Mutex<File>,
    count: AtomicU64,
}

impl Log {
    fn note(&self, id: [u8; 16], sequence: u64) {
        let mut file = self.file.lock().unwrap();
        file.write_all(&[&id[..], &sequence.to_be_bytes()].concat()).unwrap();
        file.sync_data().unwrap();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn read(path: &Path) -> BTreeMap<[u8; 16], u64> {
        let bytes = std::fs::read(path).unwrap();
        let entry =
            |entry: &[u8]| (entry[..16].try_into().unwrap(), u64::from_be_bytes(entry[16..].try_into().unwrap()));
        bytes.chunks_exact(24).map(entry).collect()
    }
}

/// Who wrote it, and his how manieth try it is.
fn id(member: u64, number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&member.to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// Appends one after another, each until it is acknowledged or found late; a late one walks forward and appends anew under a
/// new id.
async fn write(member: u64, group: BareGroup, place: Place, log: Arc<Log>, stop: Arc<AtomicBool>) {
    let mut connection: Option<Connection> = None;
    let (mut epoch, mut number) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &connection else {
            connection = tokio::time::timeout(ANSWER, place.connect()).await.ok().flatten();
            continue;
        };
        let closes = number % ENTRIES_PER_COMMIT == ENTRIES_PER_COMMIT - 1;
        // Some are large, and go another way to the disk.
        let length = if number % 7 == 3 { 90_000 } else { 800 };
        let request = group.append_with_id(epoch, id(member, number), length, closes);
        match open.request_within(&request, ANSWER).await {
            Ok(Response::AppendGroupEntry(reply)) => {
                log.note(id(member, number), reply.sequence);
                number += 1;
                epoch += u64::from(closes);
            }
            Ok(other) => panic!("an append was answered with {other:?}"),
            Err(RequestError::Refused(error)) => {
                assert_eq!(error.known_code(), Some(ErrorCode::StaleGroupEpoch), "{error:?}");
                epoch += 1;
                number += 1;
            }
            // Whether it was taken is not known: the same again.
            Err(_) => connection = None,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_while_a_group_writes_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), NO_LIMITS);
    let place = Place::of(&server);
    let group = BareGroup::new(7);
    assert_eq!(place.connect().await.unwrap().request(&group.create()).await.unwrap(), Response::Done);
    let path = folder.path().join("acknowledged");
    let log = Arc::new(Log { file: Mutex::new(File::create(&path).unwrap()), count: AtomicU64::new(0) });
    let stop = Arc::new(AtomicBool::new(false));
    let mut members = JoinSet::new();
    for member in 0..MEMBERS {
        members.spawn(write(member, group, place.clone(), log.clone(), stop.clone()));
    }
    let mut rng = seed::rng();
    for cycle in 0..CYCLES {
        let due = log.count.load(Ordering::Relaxed) + 1 + seed::below(&mut rng, ACKNOWLEDGED_PER_CYCLE_MAX);
        let enough = async {
            while log.count.load(Ordering::Relaxed) < due {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap_or_else(|_| panic!("cycle {cycle} gets nowhere"));
        tokio::task::block_in_place(|| {
            server.kill();
            server.run();
        });
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(member) = members.join_next().await {
        member.unwrap();
    }

    let reader = place.connect().await.unwrap();
    let (entries, epochs) = group.walk(&reader).await;
    assert!(entries.is_sorted_by(|one, next| one.sequence < next.sequence), "numbers rise over all epochs");
    let found: BTreeMap<[u8; 16], u64> = entries.iter().map(|entry| (entry.entry_id, entry.sequence)).collect();
    assert_eq!(found.len(), entries.len(), "an entry is in the log twice");
    let commits = entries.iter().filter(|entry| entry.closes_epoch).count() as u64;
    assert_eq!(commits, epochs, "each closed epoch has one commit");
    let acknowledged = Log::read(&path);
    let lost: BTreeSet<_> =
        acknowledged.iter().filter(|(id, sequence)| found.get(*id) != Some(sequence)).map(|(id, _)| id).collect();
    assert!(lost.is_empty(), "acknowledged and lost, or under another number: {lost:?}");
    println!("{CYCLES} kills, {} appends acknowledged, {epochs} epochs", acknowledged.len());
    assert!(acknowledged.len() >= CYCLES && epochs > 5, "the load was too small to show anything");
}
