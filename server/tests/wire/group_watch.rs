//! Watching group logs: entries as they come, the end of an epoch, signals, wake-ups that never come, slow readers.

use std::time::Duration;

use medipeps_core::wire::transport::{
    ErrorCode, GroupLogCursor, GroupLogEvent, GroupLogPush, Request, Response, SignalGroup, WatchGroupLogs,
};
use medipeps_server::limits::SHUTDOWN_RETRY_MS;

use crate::client::{Client, GroupWatch, code};
use crate::group::{Group, appended};
use crate::server::TestServer;

/// What was pushed, as a number or a word.
#[derive(Debug, PartialEq, Eq)]
enum Pushed {
    Entry(u8),
    Signal(u8),
    CaughtUp,
    Closed,
    Ended(u32),
}

async fn next(watch: &mut GroupWatch) -> Pushed {
    match watch.next().await.1 {
        GroupLogPush::Entry(entry) => Pushed::Entry(entry.entry[0]),
        GroupLogPush::Signal(signal) => Pushed::Signal(signal[0]),
        GroupLogPush::CaughtUp => Pushed::CaughtUp,
        GroupLogPush::Closed => Pushed::Closed,
        GroupLogPush::Ended { code, .. } => Pushed::Ended(code),
    }
}

async fn start() -> (TestServer, Client, Group) {
    let test = TestServer::start().await;
    let client = Client::connect(test.address()).await;
    let group = Group::new(1).created(&client).await;
    (test, client, group)
}

#[tokio::test]
async fn entries_are_pushed_until_their_epoch_is_closed() {
    let (test, author, group) = start().await;
    appended(&author, &group.entry(0, 1, 10)).await;
    let second = appended(&author, &group.entry(0, 2, 10)).await;
    let reader = Client::connect(test.address()).await;
    let mut watch = reader.watch(&group.watch(&reader.channel(), 0, None)).await;
    assert_eq!(watch.incarnation, second.incarnation);
    for pushed in [Pushed::Entry(1), Pushed::Entry(2), Pushed::CaughtUp] {
        assert_eq!(next(&mut watch).await, pushed);
    }
    appended(&author, &group.entry(0, 3, 10)).await;
    assert_eq!(next(&mut watch).await, Pushed::Entry(3));
    assert_eq!(next(&mut watch).await, Pushed::CaughtUp);
    appended(&author, &group.commit(0, 4)).await;
    appended(&author, &group.entry(1, 5, 10)).await;
    assert_eq!(next(&mut watch).await, Pushed::Entry(4));
    assert_eq!(next(&mut watch).await, Pushed::Closed);
    assert_eq!(watch.next_response().await, None, "not a word of the next epoch");
    // The reader proves the next one, and goes on from where it was.
    let cursor = GroupLogCursor { incarnation: second.incarnation, sequence: second.sequence };
    let mut watch = reader.watch(&group.watch(&reader.channel(), 1, Some(cursor))).await;
    for pushed in [Pushed::Entry(5), Pushed::CaughtUp] {
        assert_eq!(next(&mut watch).await, pushed);
    }
}

#[tokio::test]
async fn several_logs_share_one_stream() {
    let (test, author, one) = start().await;
    let [two, unknown] = [2, 3].map(Group::new);
    two.created(&author).await;
    appended(&author, &one.commit(0, 1)).await;
    appended(&author, &two.entry(0, 2, 10)).await;
    let reader = Client::connect(test.address()).await;
    let channel = reader.channel();
    let stale = GroupLogCursor { incarnation: [0; 16], sequence: 1 };
    let logs = vec![one.watched(&channel, 0, None), two.watched(&channel, 0, None), unknown.watched(&channel, 0, None)];
    let mut watch = reader.watch(&Request::WatchGroupLogs(WatchGroupLogs { logs })).await;
    let mut of_one = Vec::new();
    let mut of_two = Vec::new();
    while of_one.len() < 2 || of_two.len() < 2 {
        match watch.next().await {
            (log_id, GroupLogPush::Ended { code, .. }) => {
                assert_eq!((log_id, code), (unknown.log_id(), ErrorCode::UnknownGroupLog as u32));
            }
            (log_id, event) if log_id == one.log_id() => of_one.push(event),
            (log_id, event) => {
                assert_eq!(log_id, two.log_id());
                of_two.push(event);
            }
        }
    }
    assert!(matches!(&of_one[..], [GroupLogPush::Entry(_), GroupLogPush::Closed]), "{of_one:?}");
    assert!(matches!(&of_two[..], [GroupLogPush::Entry(_), GroupLogPush::CaughtUp]), "{of_two:?}");
    appended(&author, &one.entry(1, 3, 10)).await;
    appended(&author, &two.entry(0, 4, 10)).await;
    assert_eq!(next(&mut watch).await, Pushed::Entry(4), "one has left the watch, two goes on");
    let mut old = reader.watch(&two.watch(&reader.channel(), 0, Some(stale))).await;
    assert_eq!(next(&mut old).await, Pushed::Ended(ErrorCode::WrongIncarnation as u32));
    assert_eq!(old.next_response().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_come_without_any_wake_up() {
    let test = TestServer::start_stubborn(Duration::ZERO).await;
    let author = Client::connect(test.address()).await;
    let group = Group::new(1).created(&author).await;
    let reader = Client::connect(test.address()).await;
    let mut watch = reader.watch(&group.watch(&reader.channel(), 0, None)).await;
    assert_eq!(next(&mut watch).await, Pushed::CaughtUp);
    appended(&author, &group.entry(0, 1, 10)).await;
    assert!(watch.is_silent().await, "nothing was announced");
    assert_eq!(next(&mut watch).await, Pushed::Entry(1), "the next look finds it");
    appended(&author, &group.commit(0, 2)).await;
    let mut rest = Vec::new();
    while rest.last() != Some(&Pushed::Closed) {
        rest.push(next(&mut watch).await);
    }
    assert_eq!(rest, [Pushed::CaughtUp, Pushed::Entry(2), Pushed::Closed]);
}

#[tokio::test]
async fn signals_reach_those_who_watch_the_same_epoch_and_no_disk() {
    let (test, sender, group) = start().await;
    let other = Group::new(2).created(&sender).await;
    assert_eq!(sender.ask(&group.signal(&sender.channel(), 0, 1)).await, Response::Done, "to nobody");
    let reader = Client::connect(test.address()).await;
    let mut watch = reader.watch(&group.watch(&reader.channel(), 0, None)).await;
    let mut of_other = reader.watch(&other.watch(&reader.channel(), 0, None)).await;
    assert_eq!(next(&mut watch).await, Pushed::CaughtUp);
    assert_eq!(next(&mut of_other).await, Pushed::CaughtUp);
    assert_eq!(sender.ask(&group.signal(&sender.channel(), 0, 2)).await, Response::Done);
    assert_eq!(next(&mut watch).await, Pushed::Signal(2));
    assert!(of_other.is_silent().await);
    // A forged one, and one of an epoch that is over.
    let foreign = SignalGroup::sign(&group.key(5), &sender.channel(), group.log_id(), 0, vec![3]);
    assert_eq!(code(sender.ask(&Request::SignalGroup(foreign)).await), ErrorCode::GroupAccessRefused);
    appended(&sender, &group.commit(0, 4)).await;
    assert_eq!(code(sender.ask(&group.signal(&sender.channel(), 0, 5)).await), ErrorCode::StaleGroupEpoch);
    assert_eq!(next(&mut watch).await, Pushed::Entry(4));
    assert_eq!(next(&mut watch).await, Pushed::Closed);
    assert_eq!(group.read(&reader, 0, None).await.entries.len(), 1, "signals are not in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_misses_signals_and_no_entries() {
    let (test, author, group) = start().await;
    let reader = Client::connect(test.address()).await;
    // Reads the opening and then nothing for a while: entries fill what may be under way on the connection.
    let mut watch = reader.watch(&group.watch(&reader.channel(), 0, None)).await;
    assert_eq!(next(&mut watch).await, Pushed::CaughtUp);
    for number in 0..40 {
        appended(&author, &group.entry(0, number, 100 << 10)).await;
        assert_eq!(author.ask(&group.signal(&author.channel(), 0, number as u8)).await, Response::Done);
    }
    let mut entries = Vec::new();
    let mut signals = 0;
    while entries.len() < 40 {
        match next(&mut watch).await {
            Pushed::Entry(number) => entries.push(number),
            Pushed::Signal(_) => signals += 1,
            Pushed::CaughtUp => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(entries, (0..40).collect::<Vec<_>>(), "each once, in order");
    assert!(signals < 40, "{signals} signals waited for a reader who did not take them");
}

#[tokio::test]
async fn a_watch_is_told_that_the_server_stops() {
    let (test, client, group) = start().await;
    let mut watch = client.watch(&group.watch(&client.channel(), 0, None)).await;
    assert_eq!(next(&mut watch).await, Pushed::CaughtUp);
    let stopping = tokio::spawn(test.server.shutdown());
    match watch.next_response().await {
        Some(Response::GroupLog(GroupLogEvent::GoAway { retry_after })) => assert!(retry_after >= SHUTDOWN_RETRY_MS),
        other => panic!("not told to go away: {other:?}"),
    }
    drop(client);
    stopping.await.unwrap();
}
