//! A power cut: the server is killed in the middle of its work, and of what it had written and not synced the disk keeps
//! only some, by whole sectors. What was acknowledged is there all the same, once and unharmed.
//!
//! Which bytes were not synced is read from a trace of the server's system calls, so `sync_file_range`, which does not
//! empty a disk's cache, counts for nothing.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chacha20::ChaCha20Rng;
use medipeps_client::shell::connection::RequestError;
use medipeps_core::wire::transport::Response;
use rand_core::Rng;
use tokio::task::JoinSet;

use crate::bare_account::{BareAccount, Place, submission, submission_id};
use crate::durability::{Write, unsynced};
use crate::process::PATIENCE;
use crate::seed;
use crate::server::{NO_LIMITS, Server};
use crate::strace::{STORING, Strace, read};

/// Power cuts.
const CUTS: u64 = 24;
/// Submissions that are under way at once.
const WRITERS: u64 = 4;
/// Bytes that a disk writes whole or not at all.
const SECTOR: u64 = 512;
/// Where the server dies: on entering the call, for the how manieth time in its thread at least and at most. sled writes
/// the records in threads of its own; the committer syncs. The start itself makes fewer of each as a rule; where it makes
/// more, because there is much to recover, it dies in the start, and that is a power cut as well.
const DEATHS: &[(&str, u64, u64)] =
    &[("fdatasync", 1, 12), ("pwrite64", 3, 8), ("sync_file_range", 2, 6), ("fsync", 10, 20)];

/// What a power cut leaves of a write that was not synced.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// All of it: the disk was quick.
    Whole,
    /// Up to a sector, and then zeros.
    Zeros,
    /// Up to a sector, and then anything.
    Garbage,
    /// Up to a sector, and the file ends there, if nothing lies behind it.
    Cut,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_writes_at_a_power_cut_lose_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seed::rng();
    let mut server = Server::start_with(folder.path(), NO_LIMITS);
    let (account, place) = (Arc::new(BareAccount::new("karim", 1)), Place::of(&server));
    account.register(&server).await;
    let (mut lost, mut before) = (0, Vec::new());
    for cut in 0..CUTS {
        let (call, least, most) = DEATHS[usize::try_from(cut).unwrap() % DEATHS.len()];
        let death = least + seed::below(&mut rng, most - least + 1);
        let trace = folder.path().join(format!("trace-{cut}"));
        tokio::task::block_in_place(|| {
            server.kill();
            let strace = Strace::into(&trace).calls(&format!("{STORING},{call}"));
            let strace = strace.inject(call, "signal=KILL", &death.to_string());
            server.run_unless_it_dies(strace.around(&server.run_command()));
        });
        let acknowledged = write_until_it_dies(&mut server, &place, &account, cut).await;

        let torn = lose_unsynced(&trace, &server.data(), &mut rng);
        lost += torn;
        tokio::task::block_in_place(|| server.run());
        let deliveries = account.drain(&place).await;
        let found: BTreeSet<_> = deliveries.iter().map(submission_id).collect();
        let what = format!("cut {cut}: {call} number {death}, {torn} writes not whole");
        assert_eq!(found.len(), deliveries.len(), "{what}: a submission is there twice");
        let missing: Vec<_> = acknowledged.difference(&found).collect();
        assert!(missing.is_empty(), "{what}: acknowledged and lost: {missing:?}");
        for delivery in &deliveries {
            let sent = submission((&account.address, account.device_id), submission_id(delivery));
            let medipeps_core::wire::transport::Request::Submit(sent) = sent else { unreachable!() };
            assert_eq!(delivery.envelope, sent.envelopes[0].envelope, "{what}: an envelope was altered");
        }
        before.push(acknowledged.len());
    }
    println!("acknowledged before each cut: {before:?}; writes that the cuts left torn or dropped: {lost}");
    assert!(before.iter().sum::<usize>() > 50 && lost > 10, "too little happened to show anything");
}

/// Submits from several sides until the server is gone, and gives back what was acknowledged.
async fn write_until_it_dies(
    server: &mut Server,
    place: &Place,
    account: &Arc<BareAccount>,
    cut: u64,
) -> BTreeSet<[u8; 16]> {
    let (acknowledged, over) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (place, account) = (place.clone(), account.clone());
        let (acknowledged, over) = (acknowledged.clone(), over.clone());
        writers.spawn(async move {
            let Some(sender) = place.connect().await else { return };
            for number in 0_u32.. {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&u32::try_from(cut).unwrap().to_be_bytes());
                id[4..12].copy_from_slice(&writer.to_be_bytes());
                id[12..].copy_from_slice(&number.to_be_bytes());
                match sender.request(&submission((&account.address, account.device_id), id)).await {
                    Ok(Response::Submit(_)) => acknowledged.lock().unwrap().insert(id),
                    Ok(other) => panic!("{other:?}"),
                    Err(RequestError::Refused(error)) => panic!("{error:?}"),
                    Err(_) => return,
                };
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
    }
    let ended = tokio::task::block_in_place(|| server.wait());
    assert_eq!(ended.status.code(), None, "it was killed: {ended:?}");
    over.store(true, Ordering::Relaxed);
    // Whoever waits for an answer that cannot come any more is sent away; what was answered is noted.
    let _ = tokio::time::timeout(PATIENCE / 600, async { while writers.join_next().await.is_some() {} }).await;
    writers.shutdown().await;
    std::mem::take(&mut acknowledged.lock().unwrap())
}

/// Makes of every write that was not synced what a power cut may leave of it; returns how many are not whole.
fn lose_unsynced(trace: &Path, data: &Path, rng: &mut ChaCha20Rng) -> usize {
    let of_store = |path: &Path| {
        path.starts_with(data)
            && (path.ends_with("sled/db") || path.extension().is_some_and(|extension| extension == "segment"))
    };
    let mut torn = 0;
    for (path, mut writes) in unsynced(&read(trace), usize::MAX, of_store) {
        if path.is_dir() {
            // A segment that was made and not yet named on the disk: nothing is in it.
            continue;
        }
        // From the end, so that one file may be cut more than once.
        writes.sort_by_key(|write| std::cmp::Reverse(write.offset));
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        for write in writes.iter().filter(|write| write.length > 0) {
            let left =
                [Left::Whole, Left::Zeros, Left::Garbage, Left::Cut][usize::try_from(seed::below(rng, 4)).unwrap()];
            torn += usize::from(!matches!(left, Left::Whole));
            tear(&file, write, left, rng);
        }
    }
    torn
}

fn tear(file: &std::fs::File, write: &Write, left: Left, rng: &mut ChaCha20Rng) {
    let end = write.offset + write.length;
    let first_boundary = write.offset.next_multiple_of(SECTOR);
    let sectors = end.saturating_sub(first_boundary).div_ceil(SECTOR);
    // Nothing of it, or whole sectors.
    let from = match seed::below(rng, sectors + 1) {
        0 => write.offset,
        kept => (first_boundary + (kept - 1) * SECTOR).min(end),
    };
    let mut lost = vec![0; usize::try_from(end - from).unwrap()];
    match left {
        Left::Whole => return,
        Left::Zeros => {}
        Left::Garbage => rng.fill_bytes(&mut lost),
        Left::Cut if file.metadata().unwrap().len() == end => {
            file.set_len(from).unwrap();
            return;
        }
        Left::Cut => {}
    }
    file.write_all_at(&lost, from).unwrap();
}
