//! Group logs: who may write and read what, and what happens to those who come late or again.

use std::io::Cursor;
use std::sync::Arc;

use medipeps_core::limits::GROUP_ENTRY_LENGTH_MAX;
use medipeps_core::proof::Channel;
use medipeps_core::wire::transport::{
    AppendGroupEntry, CreateGroupLog, ErrorCode, FetchGroupEntries, GroupLogCursor, GroupLogPush, Payment, Request,
    Response,
};
use medipeps_server::Rate;
use medipeps_server::storage::Storage;

use crate::client::{Client, code, refusal};
use crate::group::{Group, appended, closing_commit, numbers};
use crate::server::TestServer;

async fn start() -> (TestServer, Client, Group) {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let group = Group::new(1).created(&client).await;
    (test, client, group)
}

#[tokio::test]
async fn entries_are_appended_and_read_by_another_member() {
    let (test, author, group) = start().await;
    let first = appended(&author, &group.entry(0, 1, 100)).await;
    let second = appended(&author, &group.entry(0, 2, 100)).await;
    assert!(!first.duplicate && first.sequence < second.sequence);
    let reader = Client::connect(test.address()).await;
    let reply = group.read(&reader, 0, None).await;
    assert_eq!((numbers(&reply), reply.epoch_closed), (vec![1, 2], false));
    assert_eq!(reply.incarnation, first.incarnation);
    let cursor = GroupLogCursor { incarnation: reply.incarnation, sequence: first.sequence };
    assert_eq!(numbers(&group.read(&reader, 0, Some(cursor)).await), [2]);
    let cursor = GroupLogCursor { sequence: second.sequence, ..cursor };
    let rest = group.read(&reader, 0, Some(cursor)).await;
    assert!(rest.entries.is_empty() && !rest.epoch_closed, "caught up");
}

#[tokio::test]
async fn a_log_exists_once() {
    let (_test, client, group) = start().await;
    appended(&client, &group.entry(0, 1, 10)).await;
    assert_eq!(client.ask(&group.create()).await, Response::Done, "the same creation again");
    let other_epoch = Request::CreateGroupLog(CreateGroupLog::sign(&group.key(0), 1, Payment::None));
    assert_eq!(code(client.ask(&other_epoch).await), ErrorCode::GroupLogExists);
    let Request::CreateGroupLog(create) = Group::new(2).create() else { unreachable!() };
    let forged = CreateGroupLog { epoch: 1, ..create };
    assert_eq!(code(client.ask(&Request::CreateGroupLog(forged)).await), ErrorCode::GroupAccessRefused);
    assert_eq!(code(client.ask(&Group::new(2).entry(0, 1, 10)).await), ErrorCode::UnknownGroupLog);
    let read = Group::new(2).fetch(&client.channel(), 0, None);
    assert_eq!(code(client.ask(&read).await), ErrorCode::UnknownGroupLog);
    assert_eq!(numbers(&group.read(&client, 0, None).await), [1]);
}

#[tokio::test]
async fn one_of_a_hundred_committers_at_once_wins() {
    let (test, client, group) = start().await;
    let address = test.address();
    let clients: Vec<_> = (0..10).map(|_| tokio::spawn(Client::connect(address))).collect();
    let mut connected = Vec::new();
    for client in clients {
        connected.push(Arc::new(client.await.unwrap()));
    }
    let committers: Vec<_> = (0..100_u64)
        .map(|number| {
            let client = Arc::clone(&connected[number as usize % 10]);
            tokio::spawn(async move { (number, client.ask(&group.commit(0, number)).await) })
        })
        .collect();
    let (mut winners, mut told) = (Vec::new(), Vec::new());
    for committer in committers {
        match committer.await.unwrap() {
            (number, Response::AppendGroupEntry(_)) => winners.push(number as u8),
            (_, refused) => {
                let error = refusal(refused);
                assert_eq!(error.known_code(), Some(ErrorCode::StaleGroupEpoch));
                told.push(closing_commit(&error).unwrap());
            }
        }
    }
    assert_eq!(winners.len(), 1, "exactly one");
    assert_eq!(told, vec![winners[0]; 99], "all others get the commit that won");
    let reply = group.read(&client, 0, None).await;
    assert_eq!((numbers(&reply), reply.epoch_closed), (winners, true));
}

#[tokio::test]
async fn a_late_author_gets_the_commit_of_his_epoch_and_walks_forward() {
    let (_test, client, group) = start().await;
    for epoch in 0..3 {
        appended(&client, &group.entry(epoch, 10 * epoch + 5, 10)).await;
        appended(&client, &group.commit(epoch, 10 * epoch + 6)).await;
    }
    let error = refusal(client.ask(&group.entry(0, 99, 10)).await);
    assert_eq!(error.known_code(), Some(ErrorCode::StaleGroupEpoch));
    assert_eq!(closing_commit(&error), Some(6), "what closed his epoch, and no later one");
    let mut read = Vec::new();
    let mut epoch = 0;
    loop {
        let reply = group.read(&client, epoch, None).await;
        read.extend(numbers(&reply));
        if !reply.epoch_closed {
            break;
        }
        epoch += 1;
    }
    assert_eq!((epoch, read), (3, vec![5, 6, 15, 16, 25, 26]));
    appended(&client, &group.entry(3, 99, 10)).await;
}

#[tokio::test]
async fn a_removed_member_cannot_read_on_nor_list_the_log() {
    let (test, client, group) = start().await;
    appended(&client, &group.entry(0, 1, 10)).await;
    let removal = appended(&client, &group.commit(0, 2)).await;
    for number in 3..6 {
        appended(&client, &group.entry(1, number, 10)).await;
    }
    appended(&client, &group.commit(1, 6)).await;
    // He has the key of epoch 0 and knows the log's id, the numbers of epochs, and what he has read.
    let removed = Client::connect(test.address()).await;
    let reply = group.read(&removed, 0, None).await;
    assert_eq!((numbers(&reply), reply.epoch_closed), (vec![1, 2], true), "his own epoch, to its end");
    let cursor = GroupLogCursor { incarnation: removal.incarnation, sequence: removal.sequence };
    assert!(group.read(&removed, 0, Some(cursor)).await.entries.is_empty());
    for epoch in [1, 2, 3, u64::MAX] {
        let channel = removed.channel();
        let fetch = FetchGroupEntries::sign(&group.key(0), &channel, group.log_id(), epoch, None, 256);
        let refused = code(removed.ask(&Request::FetchGroupEntries(fetch)).await);
        assert_eq!(refused, ErrorCode::GroupAccessRefused, "epoch {epoch}");
        let append = removed.ask(&group.append(&group.key(0), epoch, 50, 10, None)).await;
        assert_eq!(code(append), ErrorCode::GroupAccessRefused, "epoch {epoch}");
    }
}

#[tokio::test]
async fn a_removed_members_queued_append_is_refused_with_the_commit_that_removed_him() {
    let (test, client, group) = start().await;
    let queued = group.entry(0, 1, 10);
    appended(&client, &group.commit(0, 2)).await;
    appended(&client, &group.commit(1, 3)).await;
    let removed = Client::connect(test.address()).await;
    let error = refusal(removed.ask(&queued).await);
    assert_eq!(error.known_code(), Some(ErrorCode::StaleGroupEpoch));
    assert_eq!(closing_commit(&error), Some(2));
    assert_eq!(numbers(&group.read(&client, 0, None).await), [2], "it was not taken");
}

#[tokio::test]
async fn an_append_repeated_after_the_epoch_moved_on_gets_the_first_answer() {
    let (test, client, group) = start().await;
    let first = appended(&client, &group.entry(0, 1, 10)).await;
    let commit = appended(&client, &group.commit(0, 2)).await;
    appended(&client, &group.commit(1, 3)).await;
    let again = Client::connect(test.address()).await;
    for (request, before) in [(group.entry(0, 1, 10), first), (group.commit(0, 2), commit)] {
        let reply = appended(&again, &request).await;
        assert!(reply.duplicate);
        assert_eq!((reply.sequence, reply.incarnation), (before.sequence, before.incarnation));
    }
    for other in [group.entry(0, 1, 11), group.entry(2, 1, 10), group.commit(0, 1)] {
        assert_eq!(code(again.ask(&other).await), ErrorCode::EntryIdReused, "{other:?}");
    }
}

#[tokio::test]
async fn garbage_is_taken_because_nobody_here_can_tell() {
    let (_test, client, group) = start().await;
    appended(&client, &group.commit(0, 0xff)).await;
    assert_eq!(group.read(&client, 0, None).await.entries[0].entry, [0xff; 50]);
    appended(&client, &group.entry(1, 1, 10)).await;
}

#[tokio::test]
async fn signatures_are_held_against_everything_they_cover() {
    let (_test, client, group) = start().await;
    let Request::AppendGroupEntry(good) = group.commit(0, 1) else { unreachable!() };
    for altered in [
        AppendGroupEntry { entry_id: [1; 16], ..good.clone() },
        AppendGroupEntry { entry: vec![2; 50], ..good.clone() },
        AppendGroupEntry { next_access_key: None, ..good.clone() },
        AppendGroupEntry { next_access_key: Some(group.key(9).verifying_key()), ..good.clone() },
        AppendGroupEntry { epoch: 1, ..good.clone() },
    ] {
        let refused = client.ask(&Request::AppendGroupEntry(altered)).await;
        assert_eq!(code(refused), ErrorCode::GroupAccessRefused);
    }
    let foreign = group.append(&group.key(1), 0, 1, 50, None);
    assert_eq!(
        code(client.ask(&foreign).await),
        ErrorCode::GroupAccessRefused,
        "the next epoch's key is not this one's"
    );
    let last = group.append(&group.key(u64::MAX), u64::MAX, 1, 50, Some(0));
    assert_eq!(code(client.ask(&last).await), ErrorCode::Malformed, "there is no epoch after the last number");
    assert!(group.read(&client, 0, None).await.entries.is_empty());
}

#[tokio::test]
async fn a_read_signature_is_worth_nothing_on_another_connection() {
    let (test, client, group) = start().await;
    appended(&client, &group.entry(0, 1, 10)).await;
    let captured = group.fetch(&client.channel(), 0, None);
    let watched = group.watch(&client.channel(), 0, None);
    let signal = group.signal(&client.channel(), 0, 1);
    assert!(matches!(client.ask(&captured).await, Response::FetchGroupEntries(_)));
    let other = Client::connect(test.address()).await;
    assert_eq!(code(other.ask(&captured).await), ErrorCode::GroupAccessRefused);
    assert_eq!(code(other.ask(&signal).await), ErrorCode::GroupAccessRefused);
    let ended = GroupLogPush::Ended { code: ErrorCode::GroupAccessRefused as u32, retry_after: 0 };
    assert_eq!(other.watch(&watched).await.next().await, (group.log_id(), ended));
    // Without the exporter, or for another nonce, it is as little worth on the right one.
    for channel in [Channel { exporter: None, ..other.channel() }, Channel { nonce: &[0; 32], ..other.channel() }] {
        assert_eq!(code(other.ask(&group.fetch(&channel, 0, None)).await), ErrorCode::GroupAccessRefused);
    }
    assert_eq!(numbers(&group.read(&other, 0, None).await), [1]);
}

#[tokio::test]
async fn a_cursor_from_before_a_restore_is_refused() {
    let (test, client, group) = start().await;
    let before = appended(&client, &group.entry(0, 1, 10)).await;
    let exported = ExportBuffer::default();
    test.storage.export(Box::new(exported.clone())).await.unwrap();
    appended(&client, &group.entry(0, 2, 10)).await;

    let restored = TestServer::start().await;
    restored.storage.import(Box::new(Cursor::new(exported.bytes()))).await.unwrap();
    let client = Client::connect(restored.address()).await;
    appended(&client, &group.entry(0, 3, 10)).await;
    let cursor = GroupLogCursor { incarnation: before.incarnation, sequence: before.sequence + 1 };
    let late = group.fetch(&client.channel(), 0, Some(cursor));
    assert_eq!(code(client.ask(&late).await), ErrorCode::WrongIncarnation, "it would have gone past the third");
    let reply = group.read(&client, 0, None).await;
    assert_eq!(numbers(&reply), [1, 3]);
    assert_ne!(reply.incarnation, before.incarnation);
}

#[tokio::test]
async fn a_reader_who_comes_when_all_has_run_out_is_refused() {
    let (test, client, group) = start().await;
    appended(&client, &group.entry(0, 1, 10)).await;
    appended(&client, &group.commit(0, 2)).await;
    appended(&client, &group.entry(1, 3, 10)).await;
    let days = |days: u64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        now + days * 24 * 3600 * 1000
    };
    let counts = test.storage.expire(days(91)).await.unwrap();
    assert_eq!((counts.group_entries, counts.group_logs), (3, 0));
    let late = Client::connect(test.address()).await;
    assert_eq!(code(late.ask(&group.fetch(&late.channel(), 0, None)).await), ErrorCode::GroupAccessRefused);
    assert_eq!(code(late.ask(&group.entry(0, 9, 10)).await), ErrorCode::GroupAccessRefused);
    let current = group.read(&late, 1, None).await;
    assert!(current.entries.is_empty() && !current.epoch_closed, "the current epoch goes on");
    assert_eq!(test.storage.expire(days(401)).await.unwrap().group_logs, 1);
    assert_eq!(code(late.ask(&group.fetch(&late.channel(), 1, None)).await), ErrorCode::UnknownGroupLog);
    assert_eq!(code(late.ask(&group.entry(1, 9, 10)).await), ErrorCode::UnknownGroupLog);
}

#[tokio::test]
async fn the_largest_entry_goes_up_and_comes_down() {
    let (test, client, group) = start().await;
    let large = group.append(&group.key(0), 0, 1, GROUP_ENTRY_LENGTH_MAX, Some(1));
    appended(&client, &large).await;
    let reader = Client::connect(test.address()).await;
    let reply = group.read(&reader, 0, None).await;
    assert_eq!((reply.entries[0].entry.len(), reply.epoch_closed), (GROUP_ENTRY_LENGTH_MAX, true));
    let error = refusal(reader.ask(&group.entry(0, 2, 10)).await);
    assert_eq!(error.closing_commit.unwrap().entry.len(), GROUP_ENTRY_LENGTH_MAX);
    // Several that do not fit one answer come in several.
    for number in 3..6 {
        appended(&client, &group.entry(1, number, 400 << 10)).await;
    }
    let first = group.read(&reader, 1, None).await;
    assert_eq!(numbers(&first), [3]);
    let cursor = GroupLogCursor { incarnation: first.incarnation, sequence: first.entries[0].sequence };
    assert_eq!(numbers(&group.read(&reader, 1, Some(cursor)).await), [4]);
    let over = Request::PublishPrekeys(vec![0; 2 << 20]);
    assert_eq!(code(client.ask(&over).await), ErrorCode::TooLarge, "only entries may be so large");
}

#[tokio::test]
async fn a_full_log_refuses_and_still_takes_a_commit() {
    let test = TestServer::start_with(|config| config.group.log_entries_max = 8).await;
    let client = Client::connect(test.address()).await;
    let group = Group::new(1).created(&client).await;
    for number in 0..8 {
        appended(&client, &group.entry(0, number, 10)).await;
    }
    let full = refusal(client.ask(&group.entry(0, 8, 10)).await);
    assert_eq!(full.known_code(), Some(ErrorCode::GroupLogFull));
    assert!(full.retry_after > 0);
    assert!(appended(&client, &group.entry(0, 7, 10)).await.duplicate, "a repeat needs no room");
    appended(&client, &group.commit(0, 9)).await;
    assert_eq!(code(client.ask(&group.commit(1, 10)).await), ErrorCode::GroupLogFull);
}

#[tokio::test]
async fn appends_are_limited_by_log_and_by_network_address() {
    let test = TestServer::start_with(|config| {
        config.rate.group_creations_per_address = Rate { burst: 2, per_minute: 6 };
        config.rate.group_appends_per_log = Rate { burst: 4, per_minute: 6 };
        config.rate.group_appends_per_address = Rate { burst: 6, per_minute: 6 };
        config.rate.group_reads_per_address = Rate { burst: 3, per_minute: 6 };
    })
    .await;
    let client = Client::connect(test.address()).await;
    let [one, two] = [1, 2].map(Group::new);
    one.created(&client).await;
    two.created(&client).await;
    let limited = |response| {
        let error = refusal(response);
        assert_eq!(error.known_code(), Some(ErrorCode::RateLimited));
        assert!((1..=10_000).contains(&error.retry_after));
    };
    limited(client.ask(&Group::new(3).create()).await);
    for number in 0..4 {
        appended(&client, &one.entry(0, number, 10)).await;
    }
    limited(client.ask(&one.entry(0, 4, 10)).await);
    appended(&client, &two.entry(0, 0, 10)).await;
    limited(client.ask(&two.entry(0, 1, 10)).await);
    for _ in 0..3 {
        one.read(&client, 0, None).await;
    }
    limited(client.ask(&one.fetch(&client.channel(), 0, None)).await);
}

#[tokio::test]
async fn a_full_disk_refuses_entries_and_gives_out_what_is_there() {
    let (test, client, group) = start().await;
    appended(&client, &group.entry(0, 1, 10)).await;
    test.storage.set_low_space(true);
    for request in [group.entry(0, 2, 10), Group::new(2).create()] {
        let refused = refusal(client.ask(&request).await);
        assert_eq!(refused.known_code(), Some(ErrorCode::StorageUnavailable));
        assert!(refused.retry_after > 0);
    }
    assert_eq!(numbers(&group.read(&client, 0, None).await), [1]);
    test.storage.set_low_space(false);
    appended(&client, &group.entry(0, 2, 10)).await;
}

/// A writer that can be read after it was given away.
#[derive(Clone, Default)]
struct ExportBuffer(Arc<std::sync::Mutex<Vec<u8>>>);

impl ExportBuffer {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl std::io::Write for ExportBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
