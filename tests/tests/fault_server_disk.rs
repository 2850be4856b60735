//! A failing disk under the server: it confirms nothing that is not kept, says why it ends, and goes on where it was when
//! the fault is gone. The faults are made by strace in the system calls of the real program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use medipeps_client::shell::connection::{Connection, RequestError};
use medipeps_core::wire::transport::{ErrorCode, Response};

use crate::bare_account::{BareAccount, Gone, Place, Queue, submission, submission_id};
use crate::person::{Draft, Person};
use crate::process::{PATIENCE, Process, run, wait_until};
use crate::server::{NO_LIMITS, Server};
use crate::strace::{Strace, was_hit};

/// Submissions before a fault must have been met. sled writes in up to a dozen threads, and a fault counts in each alone.
const SUBMISSIONS_MAX: u8 = 60;

/// A fault of one file.
struct Fault {
    file: PathBuf,
    calls: &'static str,
    error: &'static str,
    when: &'static str,
}

/// The log of sled.
fn records(server: &Server) -> PathBuf {
    server.data().join("store/sled/db")
}

/// The segments that there are, in the order in which they were begun.
fn segments(server: &Server) -> Vec<PathBuf> {
    let folder = server.data().join("store/segments");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The segment that the next run of the server begins.
pub fn next_segment(server: &Server) -> PathBuf {
    let last = segments(server).pop().unwrap();
    let number = u64::from_str_radix(last.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    last.with_file_name(format!("{:016x}.segment", number + 1))
}

/// What became of a submission.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// Refused for now, or there was no answer.
    Not,
}

/// Submits while a server may be dying.
async fn submit(server: &mut Server, sender: &Connection, account: &BareAccount, id: [u8; 16]) -> Outcome {
    let request = submission((&account.address, account.device_id), id);
    let gone = async {
        while !server.has_ended() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let answer = tokio::select! {
        answer = sender.request(&request) => answer,
        () = gone => return Outcome::Not,
    };
    match answer {
        Ok(Response::Submit(_)) => Outcome::Accepted,
        Ok(other) => panic!("a submission was answered with {other:?}"),
        Err(RequestError::Refused(error)) => {
            assert_eq!(error.known_code(), Some(ErrorCode::StorageUnavailable), "{error:?}");
            assert!(error.retry_after > 0, "it says when to come again: {error:?}");
            Outcome::Not
        }
        Err(_) => Outcome::Not,
    }
}

/// A server with one mail in its first segment, for one account.
async fn server_with_mail(folder: &Path) -> (Server, BareAccount, Place) {
    let server = Server::start_with(folder, NO_LIMITS);
    let (account, place) = (BareAccount::new("karim", 1), Place::of(&server));
    account.register(&server).await;
    store(&account, &place, [0xff; 16]).await;
    (server, account, place)
}

/// Submits one that is accepted.
async fn store(account: &BareAccount, place: &Place, id: [u8; 16]) {
    let sender = place.connect().await.unwrap();
    let request = submission((&account.address, account.device_id), id);
    assert!(matches!(sender.request(&request).await.unwrap(), Response::Submit(_)));
    sender.close().await;
}

/// The server meets the fault, confirms nothing from there on and ends with an error that says `why`. Without the fault it
/// starts again, and everything goes through, once.
async fn confirms_nothing_and_recovers(fault: impl FnOnce(&Server) -> Fault, why: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, account, place) = server_with_mail(folder.path()).await;
    let trace = folder.path().join("trace");
    tokio::task::block_in_place(|| {
        server.kill();
        let Fault { file, calls, error, when } = fault(&server);
        let strace = Strace::into(&trace).calls(calls).on(&file).inject(calls, &format!("error={error}"), when);
        server.run_by(strace.around(&server.run_command()));
    });
    let sender = place.connect().await.unwrap();
    let mut accepted = vec![[0xff; 16]];
    let mut refused = None;
    for number in 0..SUBMISSIONS_MAX {
        match submit(&mut server, &sender, &account, [number; 16]).await {
            Outcome::Accepted => accepted.push([number; 16]),
            Outcome::Not => {
                refused = Some([number; 16]);
                break;
            }
        }
    }
    let refused = refused.expect("the fault was never met");
    let ended = tokio::task::block_in_place(|| server.wait()).with_code(1);
    assert!(ended.complaints.contains(why), "it must say {why:?}: {ended:?}");
    assert!(was_hit(&trace));

    tokio::task::block_in_place(|| server.run());
    store(&account, &place, refused).await;
    store(&account, &place, [0xfe; 16]).await;
    accepted.extend([refused, [0xfe; 16]]);
    let kept: Vec<_> = account.drain(&place).await.iter().map(submission_id).collect();
    assert_eq!(kept, accepted, "each once, in order");
    assert!(account.drain(&place).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_full_under_envelopes_refuses_the_ack_and_recovers() {
    let fault = |server: &Server| Fault { file: next_segment(server), calls: "write", error: "ENOSPC", when: "2+" };
    confirms_nothing_and_recovers(fault, "No space left on device").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_full_where_a_segment_begins_refuses_the_ack_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, account, place) = server_with_mail(folder.path()).await;
    let trace = folder.path().join("trace");
    tokio::task::block_in_place(|| {
        server.kill();
        // Once: each thread counts alone, and only the committer begins segments.
        let strace = Strace::into(&trace).on(&next_segment(&server)).inject("openat", "error=ENOSPC", "1");
        server.run_by(strace.around(&server.run_command()));
    });
    let sender = place.connect().await.unwrap();
    assert_eq!(submit(&mut server, &sender, &account, [1; 16]).await, Outcome::Not);
    assert!(!server.has_ended(), "nothing was written, so nothing is in doubt");
    // There is space again.
    assert_eq!(submit(&mut server, &sender, &account, [1; 16]).await, Outcome::Accepted);
    tokio::task::block_in_place(|| server.kill());
    assert!(was_hit(&trace));
    tokio::task::block_in_place(|| server.run());
    let kept: Vec<_> = account.drain(&place).await.iter().map(submission_id).collect();
    assert_eq!(kept, [[0xff; 16], [1; 16]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_full_under_records_refuses_the_ack_and_recovers() {
    let fault = |server: &Server| Fault { file: records(server), calls: "pwrite64", error: "ENOSPC", when: "2+" };
    confirms_nothing_and_recovers(fault, "No space left on device").await;
}

// One failed sync and then none: after it nobody knows what the disk holds, and a second one that succeeds proves nothing.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eio_on_one_fsync_of_envelopes_refuses_the_ack_and_recovers() {
    let fault = |server: &Server| Fault { file: next_segment(server), calls: "fdatasync", error: "EIO", when: "2" };
    confirms_nothing_and_recovers(fault, "Input/output error").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eio_on_one_fsync_of_records_refuses_the_ack_and_recovers() {
    let fault = |server: &Server| Fault { file: records(server), calls: "fsync", error: "EIO", when: "2" };
    confirms_nothing_and_recovers(fault, "Input/output error").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eio_on_one_flush_of_records_refuses_the_ack_and_recovers() {
    let fault = |server: &Server| Fault { file: records(server), calls: "sync_file_range", error: "EIO", when: "2" };
    confirms_nothing_and_recovers(fault, "Input/output error").await;
}

#[test]
fn disk_full_on_the_server_keeps_mail_in_the_outbox_of_its_sender() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    claire.send_now(&Draft::to(&karim, "before", "1"));
    server.kill();
    let trace = folder.path().join("trace");
    let strace = Strace::into(&trace).on(&next_segment(&server)).inject("write", "error=ENOSPC", "1+");
    server.run_by(strace.around(&server.run_command()));
    let sent = claire.send(&Draft { wait: Some(0), ..Draft::to(&karim, "onto a full disk", "2") });
    assert_eq!(sent["state"], "queued", "{sent}");
    server.wait().with_code(1);
    assert!(was_hit(&trace));
    assert_eq!(claire.status()["outbox"].as_array().unwrap().len(), 1);

    server.run();
    // The server has said when to come again.
    wait_until("the outbox is empty", || {
        claire.sync();
        claire.status()["outbox"] == serde_json::json!([])
    });
    assert_eq!(karim.receive("onto a full disk")["body"], "2");
    assert_eq!(karim.only("before")["body"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eio_where_one_segment_is_read_keeps_no_other_envelope_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, account, place) = server_with_mail(folder.path()).await;
    // A run of the server begins a segment of its own.
    tokio::task::block_in_place(|| {
        server.kill();
        server.run();
    });
    store(&account, &place, [1; 16]).await;
    let bad = segments(&server).remove(0);
    assert_eq!(segments(&server).len(), 2);
    let trace = folder.path().join("trace");
    tokio::task::block_in_place(|| {
        server.kill();
        let strace = Strace::into(&trace).on(&bad).inject("read", "error=EIO", "1+");
        server.run_by(strace.around(&server.run_command()));
    });
    // Seen and not acknowledged.
    let connection = account.connect(&place).await.unwrap();
    let mut queue = Queue::open(&connection).await.unwrap();
    let served = queue.next(PATIENCE).await.unwrap().unwrap();
    assert_eq!(submission_id(&served), [1; 16]);
    connection.close().await;
    store(&account, &place, [2; 16]).await;
    assert!(!server.has_ended(), "one bad spot must not keep everybody from their mail");
    tokio::task::block_in_place(|| server.kill());
    assert!(was_hit(&trace));

    // The disk can be read again.
    tokio::task::block_in_place(|| server.run());
    let kept: Vec<_> = account.drain(&place).await.iter().map(submission_id).collect();
    assert_eq!(kept, [[0xff; 16], [1; 16], [2; 16]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_open_files_on_the_server_is_refused_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, account, place) = server_with_mail(folder.path()).await;
    tokio::task::block_in_place(|| {
        server.kill();
        server.run();
    });
    let limit = |soft: usize| {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg("--pid").arg(server.id().to_string()).arg(format!("--nofile={soft}:"));
        run(&mut prlimit).done();
    };
    // Fewer than are open, so that not one more can be.
    tokio::task::block_in_place(|| limit(3));
    // Neither can a segment be begun nor one be read.
    let sender = place.connect().await.unwrap();
    let request = submission((&account.address, account.device_id), [1; 16]);
    let unavailable = Some(ErrorCode::StorageUnavailable);
    match sender.request(&request).await {
        Err(RequestError::Refused(error)) => assert_eq!(error.known_code(), unavailable, "{error:?}"),
        other => panic!("{other:?}"),
    }
    let connection = account.connect(&place).await.unwrap();
    let mut queue = Queue::open(&connection).await.unwrap();
    assert!(matches!(queue.next(PATIENCE).await, Err(Gone)));
    let inspecting = Process::start(&mut server.command(&["admin", "inspect", "--json"]));

    tokio::task::block_in_place(|| limit(1024));
    assert!(matches!(sender.request(&request).await.unwrap(), Response::Submit(_)));
    let kept: Vec<_> = account.drain(&place).await.iter().map(submission_id).collect();
    assert_eq!(kept, [[0xff; 16], [1; 16]]);
    tokio::task::block_in_place(|| inspecting.wait().done());
    assert!(!server.has_ended());
}

#[test]
fn a_read_only_data_folder_is_named_when_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    server.kill();
    let before = segments(&server);
    let strace = Strace::into(&folder.path().join("trace"));
    let strace = strace.on(&records(&server)).inject("openat", "error=EROFS", "1+");
    let refused = run(&mut strace.around(&server.run_command())).with_code(1);
    assert!(refused.complaints.contains("the store cannot be opened: Read-only file system"), "{refused:?}");
    assert_eq!(segments(&server), before);
    server.run();
    assert!(!server.invite().is_empty());
}
