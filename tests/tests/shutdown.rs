//! The server ends when it is asked to, and keeps its word until then; its sample configuration is one.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use medipeps_client::shell::connection::RequestError;
use medipeps_core::wire::transport::{ErrorCode, Response};
use tokio::task::JoinSet;

use crate::bare_account::{BareAccount, Place, Queue, submission, submission_id};
use crate::process::PATIENCE;
use crate::server::{DOMAIN, Server};

/// Connections that submit while the server is told to stop.
const WRITERS: u8 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_answers_what_it_has_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let account = BareAccount::new("karim", 1);
    account.register(&server).await;
    let place = Place::of(&server);
    let device = account.connect(&place).await.unwrap();
    let mut queue = Queue::open(&device).await.unwrap();
    assert!(queue.next(PATIENCE).await.unwrap().is_none());

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (place, to, device_id) = (place.clone(), account.address.clone(), account.device_id);
        writers.spawn(async move {
            let connection = place.connect().await.unwrap();
            let mut answered = Vec::new();
            for number in 0_u64.. {
                let mut id = [writer; 16];
                id[..8].copy_from_slice(&number.to_be_bytes());
                match connection.request(&submission((&to, device_id), id)).await {
                    Ok(Response::Submit(_)) => answered.push(id),
                    Ok(other) => panic!("a submission was answered with {other:?}"),
                    Err(RequestError::Refused(error)) => {
                        assert_eq!(error.known_code(), Some(ErrorCode::ShuttingDown), "{error:?}");
                        break;
                    }
                    Err(_) => break,
                }
            }
            answered
        });
    }
    // Under way: the device sees what comes.
    for _ in 0..20 {
        assert!(queue.next(PATIENCE).await.unwrap().is_some());
    }
    let start = Instant::now();
    let process = server.begin_to_stop();
    let ended = tokio::task::spawn_blocking(move || process.wait().done());
    let mut answered = BTreeSet::new();
    while let Some(writer) = writers.join_next().await {
        answered.extend(writer.unwrap());
    }
    while queue.next(PATIENCE).await.is_ok() {}
    ended.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(18), "it promises to end within 18 s");

    server.run();
    let kept: BTreeSet<_> = account.drain(&place).await.iter().map(submission_id).collect();
    let lost: Vec<_> = answered.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let unanswered: Vec<_> = kept.difference(&answered).collect();
    assert!(unanswered.is_empty(), "accepted and not answered: {unanswered:?}");
    assert!(kept.len() >= 20);
}

#[test]
fn the_sample_configuration_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path(), "");
    let sample = server.sample();
    assert!(sample.lines().filter(|line| line.starts_with('#')).count() > 20, "every key is explained: {sample}");
    // As it is, for a command that opens no port; with the port changed, to run.
    fs::write(server.config(), &sample).unwrap();
    assert!(!server.invite().is_empty());
    let listen = sample.replace("listen = \"0.0.0.0:4433\"", &format!("listen = \"{}\"", server.host()));
    assert_ne!(listen, sample);
    fs::write(server.config(), listen).unwrap();
    server.run();
    assert!(sample.contains(DOMAIN));
    server.stop();
}
