//! The disk gets full while the server stops: it ends in time, says why, and what it confirmed is there afterwards.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use medipeps_client::shell::connection::RequestError;
use medipeps_core::wire::transport::{ErrorCode, Response, SubscriptionEvent};

use crate::bare_account::{Place, submission, submission_id};
use crate::fault_server_disk::next_segment;
use crate::restart::{settings, subscribed};
use crate::server::Server;
use crate::strace::{Strace, was_hit};

/// Subscriptions: with twenty at once every 50 ms they take a second to be told.
const SUBSCRIPTIONS: usize = 400;
/// Writes of bodies that go well.
const WRITES: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_gets_full_while_draining_loses_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), &settings(SUBSCRIPTIONS));
    let place = Place::of(&server);
    let accounts: Vec<_> =
        subscribed(&server, &place, SUBSCRIPTIONS).await.into_iter().map(|(account, ..)| account).collect();
    // Something must be in the first segment for the next run to begin another.
    let sender = place.connect().await.unwrap();
    let to = (&accounts[0].address, accounts[0].device_id);
    assert!(matches!(sender.request(&submission(to, [0xff; 16])).await.unwrap(), Response::Submit(_)));
    let trace = folder.path().join("trace");
    tokio::task::block_in_place(|| {
        server.stop();
        let strace = Strace::into(&trace).calls("write").on(&next_segment(&server));
        let strace = strace.inject("write", "error=ENOSPC", &format!("{}+", WRITES + 1));
        server.run_by(strace.around(&server.run_command()));
    });
    let mut queues = Vec::new();
    for account in &accounts {
        queues.push(crate::restart::connect(account, &place).await);
    }
    let sender = place.connect().await.unwrap();
    let mut confirmed = BTreeSet::from([[0xff; 16]]);
    for number in 0..WRITES / 2 {
        let id = [u8::try_from(number).unwrap(); 16];
        assert!(matches!(sender.request(&submission(to, id)).await.unwrap(), Response::Submit(_)));
        confirmed.insert(id);
    }

    let start = Instant::now();
    let process = server.begin_to_stop();
    // The first that is told: from here on the server drains.
    let (told, mut first_told) = tokio::sync::mpsc::channel(SUBSCRIPTIONS);
    let mut told_all = tokio::task::JoinSet::new();
    for (connection, mut queue) in queues {
        let told = told.clone();
        told_all.spawn(async move {
            loop {
                match queue.event().await {
                    Ok(SubscriptionEvent::GoAway { .. }) => break told.send(()).await.unwrap(),
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            drop(connection);
        });
    }
    first_told.recv().await.unwrap();
    let mut refusal = None;
    for number in WRITES / 2.. {
        let id = [u8::try_from(number).unwrap(); 16];
        match sender.request(&submission(to, id)).await {
            Ok(Response::Submit(_)) => drop(confirmed.insert(id)),
            Ok(other) => panic!("a submission was answered with {other:?}"),
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    match refusal.unwrap() {
        RequestError::Refused(error) => {
            assert_eq!(error.known_code(), Some(ErrorCode::StorageUnavailable), "{error:?}")
        }
        other => panic!("the server was gone too early: {other}"),
    }
    let ended = tokio::task::block_in_place(|| process.wait()).with_code(1);
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    assert!(ended.complaints.contains("No space left on device"), "it must say why: {}", ended.complaints);
    assert!(was_hit(&trace));
    assert!(confirmed.len() > WRITES / 2, "{confirmed:?}");

    tokio::task::block_in_place(|| server.run());
    let kept: BTreeSet<_> = accounts[0].drain(&place).await.iter().map(submission_id).collect();
    assert_eq!(kept, confirmed, "what was confirmed, and nothing else");
}
