//! The server is killed between any two steps of submit, commit, fetch, acknowledge and prekeys: what it has answered
//! holds, and what it has not answered can be asked again without harm.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use medipeps_core::prekey::EncodedBundle;
use medipeps_core::wire::transport::{FetchPrekeys, Payment, Request, Response};
use medipeps_server::fail_point::FailPoint;

use crate::bare_account::{BareAccount, ONE_TIME_PREKEYS, Place, Queue, submission, submission_id};
use crate::process::{PATIENCE, run, wait_until};
use crate::server::{NO_LIMITS, Server};
use crate::server_blob_fail_points::BLOBS;
use crate::server_group_fail_points::GROUPS;

/// Points that every request that changes the store passes.
pub const COMMITTING: &[FailPoint] = &[
    FailPoint::BeforeBodySync,
    FailPoint::AfterBodySync,
    FailPoint::BeforeApply,
    FailPoint::AfterApply,
    FailPoint::AfterFlush,
    FailPoint::AfterFileSync,
    FailPoint::BeforeHints,
    FailPoint::BeforeCommitAnswer,
    FailPoint::BeforeAnswer,
];
const SUBMITTING: &[FailPoint] = &[FailPoint::BeforeSubmit, FailPoint::AfterSubmit];
const RECEIVING: &[FailPoint] = &[
    FailPoint::BeforeFetch,
    FailPoint::AfterFetch,
    FailPoint::AfterDelivery,
    FailPoint::BeforeAcknowledge,
    FailPoint::AfterAcknowledge,
];
const PREKEYS: &[FailPoint] = &[
    FailPoint::BeforeTakePrekeys,
    FailPoint::AfterTakePrekeys,
    FailPoint::BeforePutPrekeys,
    FailPoint::AfterPutPrekeys,
];
/// More passes of one point than any of the work below makes.
const PASSES_MAX: usize = 40;
/// Submissions of one piece of work.
const SUBMISSIONS: u8 = 2;
/// Pause between two looks at a marker.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A server that is killed at its fail points, again and again.
pub struct Dying {
    pub server: Server,
    pub place: Place,
    marker: PathBuf,
    kills: usize,
}

/// Where a server is to be killed: at a point, after it has passed it so many times since its start.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    point: FailPoint,
    passes: usize,
}

impl Dying {
    pub fn new(folder: &Path) -> Self {
        let server = Server::start_with(folder, NO_LIMITS);
        let place = Place::of(&server);
        Self { server, place, marker: folder.join("reached"), kills: 0 }
    }

    /// Starts the server anew, works with it until it comes to the place, kills it there and starts it again. False if the
    /// work was done before it came so far.
    pub async fn during(&mut self, kill: Kill, work: impl Future<Output = ()>) -> bool {
        let passed = if kill.passes == 0 { String::new() } else { format!("{}*off->", kill.passes) };
        let points = format!("{}={passed}return({})", kill.point.name(), self.marker.display());
        let command = self.server.run_command_with_fail_points(&points);
        tokio::task::block_in_place(|| {
            self.server.kill();
            self.server.run_by(command);
        });
        let reached = async {
            while !self.marker.exists() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            () = reached => {}
            done = tokio::time::timeout(PATIENCE, work) => done.unwrap_or_else(|_| panic!("{kill:?}: no end")),
        }
        tokio::task::block_in_place(|| {
            self.server.kill();
            self.server.run();
        });
        let killed = fs::remove_file(&self.marker).is_ok();
        self.kills += usize::from(killed);
        killed
    }

    pub fn report(&self, points: &[&[FailPoint]]) {
        let points = points.concat().len();
        println!("{} kills at {points} points", self.kills);
        assert!(self.kills > points, "some points are passed several times");
    }
}

/// Every pass of every point, as [`Kill`]s; the next one depends on whether the one before was reached.
pub struct Plan {
    points: Vec<FailPoint>,
    next: (usize, usize),
}

impl Plan {
    pub fn of(points: &[&[FailPoint]]) -> Self {
        Self { points: points.concat(), next: (0, 0) }
    }

    pub fn next(&self) -> Option<Kill> {
        let (point, passes) = self.next;
        self.points.get(point).map(|point| Kill { point: *point, passes })
    }

    pub fn reached(&mut self, reached: bool) {
        let (point, passes) = self.next;
        if reached {
            assert!(passes < PASSES_MAX, "{} is passed without end", self.points[point].name());
            self.next = (point, passes + 1);
        } else {
            assert!(passes > 0, "{} was never reached", self.points[point].name());
            self.next = (point + 1, 0);
        }
    }
}

#[test]
fn every_fail_point_of_the_server_is_visited() {
    let visited: BTreeSet<_> =
        [COMMITTING, SUBMITTING, RECEIVING, PREKEYS, BLOBS, GROUPS].concat().into_iter().collect();
    assert_eq!(visited, FailPoint::ALL.iter().copied().collect(), "a point without a visit shows nothing");
}

#[test]
fn the_server_that_is_installed_has_no_fail_points() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::configured(folder.path(), "");
    let marker = folder.path().join("reached");
    let all = |name: &FailPoint| format!("{}=return({})", name.name(), marker.display());
    let all = FailPoint::ALL.iter().map(all).collect::<Vec<_>>().join(";");
    let mut command = server.run_command();
    command.env("FAILPOINTS", &all);
    server.run_by(command);
    assert!(!server.invite().is_empty(), "an invitation is a commit");
    assert!(!marker.exists());
    // The same with the other program, so that the names above are the right ones.
    server.kill();
    server.run_by(server.run_command_with_fail_points(&all));
    let mut invite = server.command(&["admin", "invite"]);
    let asking = std::thread::spawn(move || run(&mut invite));
    wait_until("a point is reached", || marker.exists());
    server.kill();
    asking.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_between_any_two_steps_of_submit() {
    let folder = tempfile::tempdir().unwrap();
    let mut dying = Dying::new(folder.path());
    let place = dying.place.clone();
    let account = BareAccount::new("karim", 1);
    account.register(&dying.server).await;
    let to = (&account.address, account.device_id);
    let points = [SUBMITTING, COMMITTING];
    let mut plan = Plan::of(&points);
    let mut round = 0_u64;
    while let Some(kill) = plan.next() {
        round += 1;
        let ids = (0..SUBMISSIONS).map(|number| id(round, number)).collect::<Vec<_>>();
        let mut answered = BTreeSet::new();
        let work = async {
            let Some(sender) = place.connect().await else { return };
            for id in &ids {
                match sender.request(&submission(to, *id)).await {
                    Ok(Response::Submit(_)) => answered.insert(*id),
                    Ok(other) => panic!("{kill:?}: {other:?}"),
                    Err(_) => return,
                };
            }
        };
        plan.reached(dying.during(kill, work).await);
        let sender = place.connect().await.unwrap();
        for id in &ids {
            // A sender who had no answer sends again, and one who had one may.
            match sender.request(&submission(to, *id)).await.unwrap() {
                Response::Submit(reply) => {
                    assert!(reply.duplicate || !answered.contains(id), "{kill:?}: {id:?} was lost")
                }
                other => panic!("{kill:?}: {other:?}"),
            }
        }
        let delivered: Vec<_> = account.drain(&place).await.iter().map(submission_id).collect();
        assert_eq!(delivered, ids, "{kill:?}: each once, in their order");
    }
    dying.report(&points);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_between_any_two_steps_of_fetch_and_acknowledge() {
    let folder = tempfile::tempdir().unwrap();
    let mut dying = Dying::new(folder.path());
    let place = dying.place.clone();
    let account = BareAccount::new("karim", 1);
    account.register(&dying.server).await;
    let points = [RECEIVING, COMMITTING];
    let mut plan = Plan::of(&points);
    let mut round = 0_u64;
    while let Some(kill) = plan.next() {
        round += 1;
        let ids = (0..SUBMISSIONS).map(|number| id(round, number)).collect::<Vec<_>>();
        let sender = place.connect().await.unwrap();
        for id in &ids {
            let request = submission((&account.address, account.device_id), *id);
            assert!(matches!(sender.request(&request).await.unwrap(), Response::Submit(_)));
        }
        sender.close().await;
        let (mut seen, mut removed) = (Vec::new(), BTreeSet::new());
        let work = async {
            let Some(connection) = account.connect(&place).await else { return };
            let Ok(mut queue) = Queue::open(&connection).await else { return };
            while let Ok(Some(delivery)) = queue.next(PATIENCE).await {
                seen.push((delivery.sequence, submission_id(&delivery)));
                if queue.acknowledge(&connection, delivery.sequence).await.is_err() {
                    return;
                }
                removed.insert(submission_id(&delivery));
            }
        };
        plan.reached(dying.during(kill, work).await);
        let again: Vec<_> = account.drain(&place).await.iter().map(|one| (one.sequence, submission_id(one))).collect();
        for (sequence, id) in &again {
            assert!(!removed.contains(id), "{kill:?}: {id:?} was acknowledged and comes again");
            let as_before = seen.iter().all(|(before, seen)| (before == sequence) == (seen == id));
            assert!(as_before, "{kill:?}: a number stands for one envelope for ever");
        }
        let all: BTreeSet<_> = seen.iter().chain(&again).map(|(_, id)| *id).collect();
        assert_eq!(all, ids.iter().copied().collect(), "{kill:?}: nothing is lost");
        assert!(account.drain(&place).await.is_empty());
    }
    dying.report(&points);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_between_any_two_steps_of_prekeys() {
    let folder = tempfile::tempdir().unwrap();
    let mut dying = Dying::new(folder.path());
    let place = dying.place.clone();
    let points = [PREKEYS, COMMITTING];
    let mut plan = Plan::of(&points);
    let mut round = 0;
    while let Some(kill) = plan.next() {
        round += 1;
        let account = BareAccount::new(&format!("karim-{round}"), 1);
        account.register(&dying.server).await;
        let upload = account.next_prekeys();
        let (mut given, mut published) = (Vec::new(), false);
        let work = async {
            let Some(asking) = place.connect().await else { return };
            let Some(connection) = account.connect(&place).await else { return };
            given.extend(take(&asking, &account).await);
            published =
                matches!(connection.request(&Request::PublishPrekeys(upload.clone())).await, Ok(Response::Done));
            given.extend(take(&asking, &account).await);
        };
        plan.reached(dying.during(kill, work).await);
        let connection = account.connect(&place).await.unwrap();
        // The device that had no answer uploads the same again, and one that had one may.
        let again = connection.request(&Request::PublishPrekeys(upload.clone())).await;
        assert_eq!(again.unwrap(), Response::Done, "{kill:?}, published: {published}");
        let asking = place.connect().await.unwrap();
        loop {
            let more = take(&asking, &account).await;
            if more.is_empty() {
                break;
            }
            given.extend(more);
        }
        let different: BTreeSet<_> = given.iter().collect();
        assert_eq!(different.len(), given.len(), "{kill:?}: a one-time prekey was given away twice");
        assert!(given.len() <= 2 * ONE_TIME_PREKEYS, "{kill:?}");
    }
    dying.report(&points);
}

/// Asks for prekeys, and gives back the one-time one; nothing when there is none left or no answer.
async fn take(asking: &medipeps_client::shell::connection::Connection, account: &BareAccount) -> Vec<Vec<u8>> {
    let request = FetchPrekeys { address: account.address.clone(), payment: Payment::None };
    match asking.request(&Request::FetchPrekeys(request)).await {
        Ok(Response::FetchPrekeys(reply)) => {
            let bundles = reply.bundles.iter().map(|bundle| EncodedBundle::decode(bundle).unwrap());
            bundles.filter_map(|bundle| bundle.one_time_prekey).collect()
        }
        Ok(other) => panic!("{other:?}"),
        Err(_) => Vec::new(),
    }
}

fn id(round: u64, number: u8) -> [u8; 16] {
    let mut id = [number; 16];
    id[..8].copy_from_slice(&round.to_be_bytes());
    id
}
