//! The server is killed while it works: what it has acknowledged is there, once and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use medipeps_client::shell::connection::{Connection, RequestError};
use medipeps_core::Address;
use medipeps_core::wire::transport::{Delivery, Response};
use tokio::task::JoinSet;

use crate::bare_account::{BareAccount, Gone, Place, Queue, submission, submission_id};
use crate::process::PATIENCE;
use crate::seed;
use crate::server::{NO_LIMITS, Server};

/// Times that the server is killed.
const CYCLES: usize = 200;
/// Submissions that are under way at once.
const WRITERS: u64 = 8;
/// Acknowledgements between a start and the next kill at most. How many, the seed says.
const ACKNOWLEDGED_PER_CYCLE_MAX: u64 = 40;
/// How long a writer waits for one answer. The server is away most of that time; the next try is soon.
const ANSWER: Duration = Duration::from_millis(400);
/// What was acknowledged to the writers, noted outside of the server and on the disk before the next submission.
#[derive(Debug)]
struct Log {
    file: Mutex<File>,
    count: AtomicU64,
}

impl Log {
    fn create(path: &Path) -> Self {
        Self { file: Mutex::new(File::create(path).unwrap()), count: AtomicU64::new(0) }
    }

    fn note(&self, id: [u8; 16]) {
        let mut file = self.file.lock().unwrap();
        file.write_all(&id).unwrap();
        file.sync_data().unwrap();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn read(path: &Path) -> BTreeSet<[u8; 16]> {
        std::fs::read(path).unwrap().chunks_exact(16).map(|id| id.try_into().unwrap()).collect()
    }
}

/// Who wrote it, and his how manieth it is.
fn id(writer: u64, number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&writer.to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

fn parts(id: [u8; 16]) -> (u64, u64) {
    let [writer, number] = [&id[..8], &id[8..]].map(|half| u64::from_be_bytes(half.try_into().unwrap()));
    (writer, number)
}

/// Submits one after another, each until it is acknowledged, over connections that it makes anew when they break.
async fn write(writer: u64, place: Place, (to, device_id): (Address, u32), log: Arc<Log>, stop: Arc<AtomicBool>) {
    let mut connection: Option<Connection> = None;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &connection else {
            connection = tokio::time::timeout(ANSWER, place.connect()).await.ok().flatten();
            continue;
        };
        match open.request_within(&submission((&to, device_id), id(writer, number)), ANSWER).await {
            Ok(Response::Submit(_)) => {
                log.note(id(writer, number));
                number += 1;
            }
            Ok(other) => panic!("a submission was answered with {other:?}"),
            Err(RequestError::Refused(error)) => panic!("a submission was refused: {error:?}"),
            // Whether it was taken is not known: the same again.
            Err(_) => connection = None,
        }
    }
}

/// Takes envelopes and acknowledges them while the server comes and goes, until the queue is empty after the writers
/// have stopped.
async fn follow(account: Arc<BareAccount>, place: Place, stopped: Arc<AtomicBool>) -> Vec<Delivery> {
    let mut taken = Vec::new();
    loop {
        let was_stopped = stopped.load(Ordering::Relaxed);
        let Ok(Some(connection)) = tokio::time::timeout(ANSWER, account.connect(&place)).await else { continue };
        if let (Ok(()), true) = (take(&connection, &mut taken).await, was_stopped) {
            return taken;
        }
    }
}

/// Takes until the queue is empty.
async fn take(connection: &Connection, taken: &mut Vec<Delivery>) -> Result<(), Gone> {
    let mut queue = tokio::time::timeout(ANSWER, Queue::open(connection)).await.map_err(|_| Gone)??;
    let mut before = 0;
    while let Some(delivery) = queue.next(ANSWER).await? {
        assert!(delivery.sequence > before, "numbers rise within a subscription");
        before = delivery.sequence;
        taken.push(delivery);
        let acknowledged = tokio::time::timeout(ANSWER, queue.acknowledge(connection, before)).await;
        acknowledged.map_err(|_| Gone)??;
    }
    Ok(())
}

/// Every acknowledged submission is in the queue, no submission is there twice, and each writer's are in his order.
fn check(deliveries: &[Delivery], acknowledged: &BTreeSet<[u8; 16]>) {
    let by_sequence: BTreeMap<u64, [u8; 16]> =
        deliveries.iter().map(|delivery| (delivery.sequence, submission_id(delivery))).collect();
    let again = deliveries.iter().filter(|delivery| by_sequence[&delivery.sequence] != submission_id(delivery));
    assert_eq!(again.count(), 0, "a number must stand for one envelope for ever");
    let found: BTreeSet<_> = by_sequence.values().copied().collect();
    assert_eq!(found.len(), by_sequence.len(), "a submission is in the queue twice");
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (writer, number) in by_sequence.values().map(|id| parts(*id)) {
        let expected = last.get(&writer).map_or(0, |before| before + 1);
        assert_eq!(number, expected, "writer {writer}'s envelopes are out of order, or one is missing");
        last.insert(writer, number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_under_load_two_hundred_times_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), NO_LIMITS);
    let place = Place::of(&server);
    // One queue is read while the server dies, the other afterwards.
    let accounts = [Arc::new(BareAccount::new("followed", 1)), Arc::new(BareAccount::new("left", 2))];
    for account in &accounts {
        account.register(&server).await;
    }
    let paths = ["followed.log", "left.log"].map(|name| folder.path().join(name));
    let logs = paths.each_ref().map(|path| Arc::new(Log::create(path)));
    let (stop, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let follower = tokio::spawn(follow(accounts[0].clone(), place.clone(), stopped.clone()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let queue = usize::from(writer % 2 == 1);
        let to = (accounts[queue].address.clone(), accounts[queue].device_id);
        writers.spawn(write(writer, place.clone(), to, logs[queue].clone(), stop.clone()));
    }
    let acknowledged = || logs.iter().map(|log| log.count.load(Ordering::Relaxed)).sum::<u64>();
    let mut rng = seed::rng();
    for cycle in 0..CYCLES {
        let due = acknowledged() + 1 + seed::below(&mut rng, ACKNOWLEDGED_PER_CYCLE_MAX);
        let enough = async {
            while acknowledged() < due {
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
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    stopped.store(true, Ordering::Relaxed);
    let followed = tokio::time::timeout(PATIENCE, follower).await.unwrap().unwrap();
    let left = tokio::time::timeout(PATIENCE, accounts[1].drain(&place)).await.unwrap();
    for (deliveries, path) in [(&followed, &paths[0]), (&left, &paths[1])] {
        let acknowledged = Log::read(path);
        assert!(acknowledged.len() >= CYCLES, "the load was too small to show anything");
        check(deliveries, &acknowledged);
    }
    println!("{CYCLES} kills, {} submissions acknowledged", acknowledged());
    assert!(accounts[1].drain(&place).await.is_empty(), "what was acknowledged by the device comes again");
}
