//! A restart under many connections: each is told when to come again, all come back, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use medipeps_client::shell::connection::Connection;
use medipeps_core::invitation::Invitation;
use medipeps_core::wire::control::{ControlInvite, ControlRequest, ControlResponse};
use medipeps_core::wire::transport::{Request, Response, SubscriptionEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bare_account::{BareAccount, Place, Queue, submission, submission_id};
use crate::correspondent::Correspondent;
use crate::observability::get;
use crate::person::{Draft, Person};
use crate::process::{PATIENCE, Process, wait_until};
use crate::server::{NO_LIMITS, Server, free_tcp_port};

/// Connections in every run, and in a nightly one.
const CONNECTIONS: usize = 1_000;
const CONNECTIONS_NIGHTLY: usize = 10_000;
/// Handshakes that the clients make at once.
const AT_ONCE: usize = 32;
/// The least and the most that a server asks for (`spec/operation.md`, Stopping).
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(65);
/// How long a client tries to come in: the handshakes of all take so long on a machine that does other things besides.
const COMING_IN: Duration = Duration::from_secs(600);

fn connections() -> usize {
    if std::env::var_os("MEDIPEPS_NIGHTLY").is_some() { CONNECTIONS_NIGHTLY } else { CONNECTIONS }
}

/// Settings under which so many come from one network address.
pub fn settings(connections: usize) -> String {
    let room = connections + 100;
    format!("{NO_LIMITS}[connection]\nconnections_max = {room}\nconnections_per_address_max = {room}\n")
}

/// An invitation by the control socket, without a process for each.
async fn invite(server: &Server) -> Invitation {
    let mut socket = UnixStream::connect(server.data().join("control.sock")).await.unwrap();
    let request =
        ControlRequest::Invite(ControlInvite { organisation: None, valid: 3_600_000, tenant: 0, address: None })
            .encode();
    socket.write_u32(u32::try_from(request.len()).unwrap()).await.unwrap();
    socket.write_all(&request).await.unwrap();
    let mut answer = vec![0; socket.read_u32().await.unwrap() as usize];
    socket.read_exact(&mut answer).await.unwrap();
    match ControlResponse::decode(&answer).unwrap() {
        ControlResponse::Invitation(code) => code.parse().unwrap(),
        other => panic!("no invitation: {other:?}"),
    }
}

/// Accounts, each with one connection that is subscribed and has nothing waiting.
pub async fn subscribed(server: &Server, place: &Place, count: usize) -> Vec<(Arc<BareAccount>, Connection, Queue)> {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 0..count {
        let invitation = invite(server).await;
        let (place, at_once) = (place.clone(), at_once.clone());
        opening.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            let account = Arc::new(BareAccount::numbered(number));
            account.register_with(&place, &invitation).await;
            let (connection, queue) = open(&account, &place).await;
            (account, connection, queue)
        });
    }
    opening.join_all().await
}

async fn open(account: &BareAccount, place: &Place) -> (Connection, Queue) {
    let (connection, mut queue) = connect(account, place).await;
    assert!(queue.next(PATIENCE).await.unwrap().is_none(), "nothing waits");
    (connection, queue)
}

/// A connection that is subscribed.
pub async fn connect(account: &BareAccount, place: &Place) -> (Connection, Queue) {
    let start = Instant::now();
    loop {
        if let Some(connection) = account.connect(place).await
            && let Ok(queue) = Queue::open(&connection).await
        {
            return (connection, queue);
        }
        assert!(start.elapsed() < COMING_IN, "it does not come in");
    }
}

/// Waits to be told to go away; what is delivered before is acknowledged and counted.
async fn until_told(mut queue: Queue, connection: &Connection, received: &mut BTreeSet<[u8; 16]>) -> Duration {
    loop {
        match queue.event().await.expect("the connection was lost before the client was told") {
            SubscriptionEvent::Delivery(delivery) => {
                let id = submission_id(&delivery);
                // Whether it still gets there is the server's end to see to: what was not acknowledged comes again.
                let _ = queue.acknowledge(connection, delivery.sequence).await;
                received.insert(id);
            }
            SubscriptionEvent::GoAway { retry_after } => return Duration::from_millis(retry_after),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_come_back_after_a_restart_and_nothing_is_lost() {
    let (folder, count) = (tempfile::tempdir().unwrap(), connections());
    let mut server = Server::start_with(folder.path(), &settings(count));
    let place = Place::of(&server);
    let clients = subscribed(&server, &place, count).await;
    let accounts: Vec<_> = clients.iter().map(|(account, ..)| account.clone()).collect();

    // Mail goes to all of them, by turns, until no server answers.
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (place, stop) = (place.clone(), stop.clone());
        async move {
            let mut confirmed = BTreeSet::new();
            let mut connection = place.connect().await;
            for number in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let account = &accounts[usize::try_from(number).unwrap() % accounts.len()];
                let mut id = [0; 16];
                id[..8].copy_from_slice(&number.to_be_bytes());
                let request: Request = submission((&account.address, account.device_id), id);
                while !stop.load(Ordering::Relaxed) {
                    let Some(open) = &connection else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        connection = place.connect().await;
                        continue;
                    };
                    match tokio::time::timeout(Duration::from_secs(2), open.request(&request)).await {
                        Ok(Ok(Response::Submit(_))) => {
                            confirmed.insert(id);
                            break;
                        }
                        _ => connection = None,
                    }
                }
            }
            confirmed
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut returning = JoinSet::new();
    for (account, connection, queue) in clients {
        let place = place.clone();
        returning.spawn(async move {
            let mut received = BTreeSet::new();
            let wait = until_told(queue, &connection, &mut received).await;
            connection.close().await;
            tokio::time::sleep(wait).await;
            let back = connect(&account, &place).await;
            (wait, received, account, back)
        });
    }
    let start = Instant::now();
    let process = server.begin_to_stop();
    tokio::task::spawn_blocking(move || process.wait().done()).await.unwrap();
    let stopped = start.elapsed();
    assert!(stopped < Duration::from_secs(25), "it took {stopped:?} to stop");
    tokio::task::block_in_place(|| server.run());

    let mut received = BTreeSet::new();
    let mut waits = Vec::new();
    let mut back = Vec::new();
    while let Some(returned) = tokio::time::timeout(COMING_IN, returning.join_next()).await.unwrap() {
        let (wait, before, account, connection) = returned.unwrap();
        waits.push(wait);
        received.extend(before);
        back.push((account, connection));
    }
    let all_back = start.elapsed();
    assert_eq!(back.len(), count, "all are back");
    assert!(waits.iter().all(|wait| (RETRY_MIN..RETRY_MAX).contains(wait)), "{waits:?}");
    let spread = *waits.iter().max().unwrap() - *waits.iter().min().unwrap();
    assert!(spread > Duration::from_millis(count as u64), "they do not all come at once: {spread:?}");
    stop.store(true, Ordering::Relaxed);
    let confirmed = writer.await.unwrap();
    assert!(confirmed.len() > 20, "{} confirmed", confirmed.len());

    // Over a connection of its own: the other one may have been told that nothing waits before mail came again.
    let (at_once, mut draining) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for (account, connection) in back {
        let (place, at_once) = (place.clone(), at_once.clone());
        draining.spawn(async move {
            let _turn = at_once.acquire().await.unwrap();
            drop(connection);
            account.drain(&place).await.iter().map(submission_id).collect::<Vec<_>>()
        });
    }
    received.extend(draining.join_all().await.into_iter().flatten());
    let lost: Vec<_> = confirmed.difference(&received).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    println!("{count} connections: stopped after {stopped:?}, all back after {all_back:?}, {} mails", confirmed.len());
}

#[test]
fn a_program_that_waits_comes_back_when_it_was_told_to_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_tcp_port();
    let mut server = Server::start_with(folder.path(), &format!("[admin]\nlisten = \"127.0.0.1:{port}\"\n"));
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut beside = Correspondent::beside(&karim);
    let _waiting = Process::start(&mut karim.command(&["sync", "--wait", "55", "--json"]));
    let is_subscribed = || get(port, "/metrics").lines().any(|line| line == "medipeps_subscriptions 1");
    wait_until("the program waits", is_subscribed);
    let start = Instant::now();
    server.stop();
    server.run();
    wait_until("the program is back", is_subscribed);
    let away = start.elapsed();
    assert!(away >= RETRY_MIN, "it came after {away:?}");
    assert!(away < RETRY_MIN + Duration::from_secs(10), "it came after {away:?}");
    claire.send_now(&Draft::to(&karim, "after the restart", "1"));
    wait_until("the mail was pushed", || beside.status().received == 1);
}
