//! The server is killed between any two steps of appending to a group log and of telling those who watch it: the entry, its
//! number and the next epoch are there together or not at all, and no reader sees what the next start does not know.

use std::collections::BTreeMap;

use medipeps_client::shell::connection::{Connection, RequestError};
use medipeps_core::wire::transport::{ErrorCode, GroupLogEvent, GroupLogPush, Response};
use medipeps_server::fail_point::FailPoint;

use crate::bare_group::{BareGroup, entry_id};
use crate::server_fail_points::{COMMITTING, Dying, Plan};

/// What only group logs pass.
pub const GROUPS: &[FailPoint] =
    &[FailPoint::BeforeAppend, FailPoint::AfterEntryBody, FailPoint::AfterAppend, FailPoint::AfterGroupEntry];
/// Bytes of an entry that the thread of the blobs writes.
const LARGE: usize = 100_000;

/// What one round appends to its epoch: number, length, and whether it closes the epoch.
const APPENDS: [(u64, usize, bool); 3] = [(0, 500, false), (1, LARGE, false), (2, 500, true)];

/// Appends, and tells the sequence of what was taken and whether it was there before; `None` without an answer.
async fn append(
    connection: &Connection,
    group: BareGroup,
    epoch: u64,
    (number, length, closes): (u64, usize, bool),
) -> Option<(u64, bool)> {
    match connection.request(&group.append(epoch, 10 * epoch + number, length, closes)).await {
        Ok(Response::AppendGroupEntry(reply)) => Some((reply.sequence, reply.duplicate)),
        Ok(other) => panic!("{other:?}"),
        Err(RequestError::Refused(error)) => panic!("{error:?}"),
        Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_of_the_server_between_compare_and_set_and_fan_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut dying = Dying::new(folder.path());
    let place = dying.place.clone();
    let group = BareGroup::new(1);
    let creator = place.connect().await.unwrap();
    assert_eq!(creator.request(&group.create()).await.unwrap(), Response::Done);
    let points = [GROUPS, COMMITTING];
    let mut plan = Plan::of(&points);
    let mut epoch = 0_u64;
    while let Some(kill) = plan.next() {
        let mut answered = BTreeMap::new();
        let mut pushed = BTreeMap::new();
        let work = async {
            let Some(author) = place.connect().await else { return };
            let Some(reader) = place.connect().await else { return };
            let Some(mut watch) = group.watch(&reader, epoch).await else { return };
            let writing = async {
                for one in APPENDS {
                    let Some((sequence, _)) = append(&author, group, epoch, one).await else { return };
                    answered.insert(one.0, sequence);
                }
            };
            let watching = async {
                while let Ok(Some(event)) = watch.next().await {
                    if let GroupLogEvent::Log { event: GroupLogPush::Entry(entry), .. } = event {
                        pushed.insert(entry.entry_id, entry.sequence);
                    }
                }
            };
            tokio::join!(writing, watching);
        };
        plan.reached(dying.during(kill, work).await);

        let author = place.connect().await.unwrap();
        for one in APPENDS {
            // An author who had no answer appends again, and one who had one may.
            let (sequence, duplicate) = append(&author, group, epoch, one).await.unwrap();
            if let Some(before) = answered.get(&one.0) {
                assert!(duplicate && sequence == *before, "{kill:?}: entry {} was answered and lost", one.0);
            }
            if let Some(before) = pushed.get(&entry_id(10 * epoch + one.0)) {
                assert!(duplicate && sequence == *before, "{kill:?}: entry {} was pushed and lost", one.0);
            }
        }
        // Whatever happened, the epoch is closed by one commit, and the next one is open.
        let (entries, closed) = group.read(&author, epoch).await;
        let ids: Vec<_> = entries.iter().map(|entry| entry.entry_id).collect();
        assert_eq!(ids, APPENDS.map(|(number, ..)| entry_id(10 * epoch + number)), "{kill:?}: each once, in order");
        assert!(closed && entries[2].closes_epoch && entries[1].entry.len() == LARGE, "{kill:?}");
        let late = author.request(&group.append(epoch, 10 * epoch + 9, 500, true)).await;
        let Err(RequestError::Refused(refused)) = late else { panic!("{kill:?}: a second commit was taken") };
        assert_eq!(refused.known_code(), Some(ErrorCode::StaleGroupEpoch), "{kill:?}");
        assert_eq!(refused.closing_commit.unwrap().entry_id, entry_id(10 * epoch + 2), "{kill:?}");
        let (next, closed) = group.read(&author, epoch + 1).await;
        assert!(next.is_empty() && !closed, "{kill:?}");
        epoch += 1;
    }
    dying.report(&points);
    let log = &dying.server.inspect()["group_logs"][0];
    assert_eq!((log["epoch"].as_u64(), log["closed_epochs"].as_u64()), (Some(epoch), Some(epoch)));
    assert_eq!(log["entries"].as_u64(), Some(3 * epoch), "nothing half done is left");
    assert_eq!(log["bytes"].as_u64(), Some((LARGE as u64 + 1000) * epoch));
}
