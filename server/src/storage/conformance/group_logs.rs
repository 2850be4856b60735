//! Group logs: compare-and-set, order, repeats, what an older key may read, quotas, running out.

use super::*;
use crate::limits::{GROUP_ENTRY_LARGE, GROUP_LOG_CHARGE};

/// A key that no engine looks into: the service has verified signatures with it.
pub(super) fn key(epoch: u64) -> [u8; 32] {
    let mut key = [0xee; 32];
    key[..8].copy_from_slice(&epoch.to_be_bytes());
    key
}

pub(super) const LOG: [u8; 32] = [7; 32];
pub(super) const FIRST: u64 = 1;
const YEAR: u64 = 400 * DAY;

pub(super) fn new_log(log_id: [u8; 32]) -> NewGroupLog {
    NewGroupLog {
        log_id,
        access_key: key(FIRST),
        epoch: FIRST,
        now_ms: NOW,
        expires_ms: NOW + YEAR,
        spend: Spend::default(),
    }
}

pub(super) fn entry_id(number: u64) -> [u8; 16] {
    let mut id = [0xdd; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id
}

/// An entry; the number is its id and what it says.
pub(super) fn entry(epoch: u64, number: u64, length: usize) -> GroupAppend {
    let mut digest = [0xcc; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    digest[8..16].copy_from_slice(&epoch.to_be_bytes());
    digest[16..24].copy_from_slice(&(length as u64).to_be_bytes());
    GroupAppend {
        log_id: LOG,
        epoch,
        access_key: key(epoch),
        entry_id: entry_id(number),
        digest,
        entry: vec![number as u8; length],
        next_access_key: None,
        now_ms: NOW,
        expires_ms: NOW + 90 * DAY,
        log_expires_ms: NOW + YEAR,
        spend: Spend::default(),
    }
}

pub(super) fn commit(epoch: u64, number: u64) -> GroupAppend {
    GroupAppend { next_access_key: Some(key(epoch + 1)), ..entry(epoch, number, 50) }
}

pub(super) async fn appended(storage: &dyn Storage, append: GroupAppend) -> u64 {
    let outcome = storage.append_group_entry(append).await.unwrap();
    assert!(!outcome.duplicate);
    outcome.sequence
}

pub(super) async fn fetched(storage: &dyn Storage, epoch: u64, after: u64) -> GroupEntries {
    storage.fetch_group_entries(&LOG, epoch, after, 1000, 1 << 24).await.unwrap()
}

/// What entries say, by their first bytes.
pub(super) fn numbers(entries: &GroupEntries) -> Vec<u8> {
    entries.entries.iter().map(|entry| entry.entry[0]).collect()
}

pub(super) async fn logged<E: Engine>() -> (E, Arc<dyn Storage>) {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    storage.create_group_log(new_log(LOG)).await.unwrap();
    (engine, storage)
}

pub(in crate::storage) async fn a_log_is_created_once<E: Engine>() {
    let (engine, storage) = logged::<E>().await;
    appended(&*storage, commit(FIRST, 1)).await;
    assert_eq!(storage.create_group_log(new_log(LOG)).await, Ok(()), "the same again, whatever it holds by now");
    let other = NewGroupLog { epoch: FIRST + 1, ..new_log(LOG) };
    assert_eq!(storage.create_group_log(other).await, Err(CreateGroupLogError::Exists));
    assert_eq!(numbers(&fetched(&*storage, FIRST, 0).await), [1], "nothing was begun anew");
    let unknown = GroupAppend { log_id: [8; 32], ..entry(FIRST, 2, 5) };
    assert_eq!(storage.append_group_entry(unknown).await, Err(GroupAppendError::UnknownLog));
    assert_eq!(storage.group_epoch(&[8; 32], FIRST).await, Err(GroupLogError::UnknownLog));
    assert_eq!(storage.fetch_group_entries(&[8; 32], FIRST, 0, 1, 1).await, Err(GroupLogError::UnknownLog));
    assert_eq!(storage.watch_group_log(&[8; 32]).await.err(), Some(GroupLogError::UnknownLog));
    engine.set_low_space(true);
    let created = storage.create_group_log(new_log([9; 32])).await;
    assert!(matches!(created, Err(CreateGroupLogError::Storage(StorageError::LowSpace { .. }))), "{created:?}");
    let taken = storage.append_group_entry(entry(FIRST + 1, 2, 5)).await;
    assert!(matches!(taken, Err(GroupAppendError::Storage(StorageError::LowSpace { .. }))), "{taken:?}");
    assert_eq!(numbers(&fetched(&*storage, FIRST, 0).await), [1], "what is there can be read");
    engine.set_low_space(false);
    appended(&*storage, entry(FIRST + 1, 2, 5)).await;
}

pub(in crate::storage) async fn entries_come_back_in_their_order<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    assert_eq!(fetched(&*storage, FIRST, 0).await, GroupEntries::default());
    let mut sequences = Vec::new();
    for number in 1..=9 {
        sequences.push(appended(&*storage, entry(FIRST, number, 100)).await);
    }
    assert!(sequences.is_sorted_by(|one, next| one < next));
    let all = fetched(&*storage, FIRST, 0).await;
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(!all.epoch_closed);
    let third = &all.entries[2];
    let expected = GroupEntry {
        sequence: sequences[2],
        received_ms: NOW,
        entry_id: entry_id(3),
        entry: vec![3; 100],
        closes_epoch: false,
    };
    assert_eq!(*third, expected);
    assert_eq!(numbers(&fetched(&*storage, FIRST, sequences[6]).await), [8, 9]);
    assert!(fetched(&*storage, FIRST, u64::MAX).await.entries.is_empty());
    let page = |after, limit, bytes| {
        let storage = Arc::clone(&storage);
        async move { storage.fetch_group_entries(&LOG, FIRST, after, limit, bytes).await.unwrap() }
    };
    assert_eq!(numbers(&page(0, 4, 1 << 20).await), [1, 2, 3, 4]);
    assert_eq!(numbers(&page(0, 9, 250).await), [1, 2], "as many as fit");
    let none = page(0, 9, 99).await;
    assert_eq!((none.entries.len(), none.oversize, none.epoch_closed), (0, Some(100), false));
    let closing = appended(&*storage, commit(FIRST, 10)).await;
    assert!(!page(0, 9, 1 << 20).await.epoch_closed, "there is one more");
    let last = page(sequences[8], 9, 1 << 20).await;
    assert!(last.epoch_closed && last.entries[0].closes_epoch);
    let nothing = page(closing, 9, 1 << 20).await;
    assert!(nothing.epoch_closed && nothing.entries.is_empty());
}

pub(in crate::storage) async fn an_epoch_is_closed_by_compare_and_set<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let open = GroupEpoch { access_key: key(FIRST), current: true };
    assert_eq!(storage.group_epoch(&LOG, FIRST).await, Ok(open));
    appended(&*storage, entry(FIRST, 1, 10)).await;
    let closing_sequence = appended(&*storage, commit(FIRST, 2)).await;
    assert_eq!(storage.group_epoch(&LOG, FIRST).await, Ok(GroupEpoch { current: false, ..open }));
    let next = GroupEpoch { access_key: key(FIRST + 1), current: true };
    assert_eq!(storage.group_epoch(&LOG, FIRST + 1).await, Ok(next));
    let stale = Err(GroupAppendError::StaleEpoch { closing_sequence });
    assert_eq!(storage.append_group_entry(entry(FIRST, 3, 10)).await, stale, "a message");
    assert_eq!(storage.append_group_entry(commit(FIRST, 4)).await, stale, "another commit");
    // An epoch that is not there yet, one before the first, and one with another's key.
    for epoch in [FIRST + 2, FIRST - 1] {
        assert_eq!(storage.append_group_entry(entry(epoch, 5, 10)).await, Err(GroupAppendError::AccessRefused));
        assert_eq!(storage.group_epoch(&LOG, epoch).await, Err(GroupLogError::UnknownEpoch));
        let unread = storage.fetch_group_entries(&LOG, epoch, 0, 9, 1 << 20).await;
        assert_eq!(unread, Err(GroupLogError::UnknownEpoch));
    }
    for epoch in [FIRST, FIRST + 1] {
        let foreign = GroupAppend { access_key: key(9), ..entry(epoch, 5, 10) };
        assert_eq!(storage.append_group_entry(foreign).await, Err(GroupAppendError::AccessRefused));
    }
    appended(&*storage, entry(FIRST + 1, 3, 10)).await;
    assert_eq!(numbers(&fetched(&*storage, FIRST, 0).await), [1, 2], "what was refused left nothing");
    assert_eq!(numbers(&fetched(&*storage, FIRST + 1, 0).await), [3]);
}

pub(in crate::storage) async fn an_append_repeated_gets_the_first_answer<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let first = appended(&*storage, entry(FIRST, 1, 10)).await;
    let large = appended(&*storage, entry(FIRST, 2, GROUP_ENTRY_LARGE)).await;
    let closing = appended(&*storage, commit(FIRST, 3)).await;
    appended(&*storage, commit(FIRST + 1, 4)).await;
    let again = |sequence| Ok(GroupAppendOutcome { sequence, duplicate: true });
    assert_eq!(storage.append_group_entry(entry(FIRST, 1, 10)).await, again(first), "two epochs later");
    assert_eq!(storage.append_group_entry(entry(FIRST, 2, GROUP_ENTRY_LARGE)).await, again(large));
    assert_eq!(storage.append_group_entry(commit(FIRST, 3)).await, again(closing), "it had won, and still has");
    let reused = Err(GroupAppendError::IdReused);
    assert_eq!(storage.append_group_entry(entry(FIRST, 1, 11)).await, reused, "other bytes");
    assert_eq!(storage.append_group_entry(entry(FIRST + 2, 1, 10)).await, reused, "another epoch");
    let same_id = GroupAppend { entry_id: entry_id(1), ..entry(FIRST + 2, 9, GROUP_ENTRY_LARGE) };
    assert_eq!(storage.append_group_entry(same_id).await, reused, "a large one");
    let foreign = GroupAppend { access_key: key(9), ..entry(FIRST, 1, 10) };
    assert_eq!(storage.append_group_entry(foreign).await, Err(GroupAppendError::AccessRefused), "not for everybody");
    assert_eq!(numbers(&fetched(&*storage, FIRST, 0).await), [1, 2, 3]);
}

pub(in crate::storage) async fn one_of_a_hundred_committers_wins<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    for (epoch, length) in [(FIRST, 50), (FIRST + 1, GROUP_ENTRY_LARGE)] {
        let committers: Vec<_> = (0..100)
            .map(|number| {
                let storage = Arc::clone(&storage);
                let mut commit = commit(epoch, 100 * epoch + number);
                commit.entry.resize(length, number as u8);
                tokio::spawn(async move { storage.append_group_entry(commit).await })
            })
            .collect();
        let mut won = Vec::new();
        let mut told = Vec::new();
        for committer in committers {
            match committer.await.unwrap() {
                Ok(outcome) => won.push(outcome.sequence),
                Err(GroupAppendError::StaleEpoch { closing_sequence }) => told.push(closing_sequence),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(won.len(), 1, "exactly one");
        assert!(told.len() == 99 && told.iter().all(|closing| *closing == won[0]), "all others know by which");
        let entries = fetched(&*storage, epoch, 0).await;
        assert_eq!(entries.entries.len(), 1);
        assert!(entries.epoch_closed);
    }
    let next = storage.group_epoch(&LOG, FIRST + 2).await.unwrap();
    assert!(next.current);
    assert_eq!(storage.group_usage().await.unwrap().entries, 2);
}

pub(in crate::storage) async fn an_older_key_reads_its_own_epoch_only<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    for epoch in FIRST..FIRST + 4 {
        appended(&*storage, entry(epoch, 10 * epoch, 10)).await;
        appended(&*storage, commit(epoch, 10 * epoch + 1)).await;
    }
    for epoch in FIRST..FIRST + 4 {
        let entries = fetched(&*storage, epoch, 0).await;
        assert_eq!(numbers(&entries), [10 * epoch as u8, 10 * epoch as u8 + 1]);
        let last = entries.entries[1].sequence;
        assert!(entries.epoch_closed && entries.entries[1].closes_epoch);
        let beyond = fetched(&*storage, epoch, last).await;
        assert_eq!((beyond.entries, beyond.epoch_closed), (Vec::new(), true), "not a word of the next");
    }
}

pub(in crate::storage) async fn entries_of_any_size_are_kept_once<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let largest = medipeps_core::limits::GROUP_ENTRY_LENGTH_MAX;
    let lengths = [1, 4096, GROUP_ENTRY_LARGE - 1, GROUP_ENTRY_LARGE, 1 << 20, largest];
    for (number, length) in (1..).zip(lengths) {
        appended(&*storage, entry(FIRST, number, length)).await;
    }
    for reader in 0..3 {
        let entries = fetched(&*storage, FIRST, 0).await;
        let found: Vec<_> = entries.entries.iter().map(|entry| entry.entry.len()).collect();
        assert_eq!(found, lengths, "reader {reader}");
    }
    let bytes: usize = lengths.iter().sum();
    let log = storage.inspect_group_logs(None, 9).await.unwrap()[0];
    assert_eq!((log.entries, log.bytes), (6, bytes as u64), "whatever the number of readers");
    let usage = GroupUsage { logs: 1, entries: 6, bytes: bytes as u64 + GROUP_LOG_CHARGE, wakes: 0 };
    assert_eq!(storage.group_usage().await, Ok(usage));
    let over = storage.append_group_entry(entry(FIRST, 9, largest + 1)).await;
    assert!(matches!(over, Err(GroupAppendError::Storage(StorageError::Oversize { .. }))), "{over:?}");
}

pub(in crate::storage) async fn quotas_of_group_logs_hold<E: Engine>() {
    let quota = GroupQuota { entries_max: 3, bytes_max: 1000, logs_max: 2, all_bytes_max: 2 * GROUP_LOG_CHARGE + 1300 };
    let engine = E::with_groups(quota);
    let storage = engine.storage();
    for log_id in [LOG, [8; 32]] {
        storage.create_group_log(new_log(log_id)).await.unwrap();
    }
    assert_eq!(storage.create_group_log(new_log([9; 32])).await, Err(CreateGroupLogError::Full));
    assert_eq!(storage.create_group_log(new_log(LOG)).await, Ok(()), "a repeat needs no room");
    let full = Err(GroupAppendError::Full);
    assert_eq!(storage.append_group_entry(entry(FIRST, 1, 1001)).await, full, "bytes");
    for number in 1..=3 {
        appended(&*storage, entry(FIRST, number, 300)).await;
    }
    assert_eq!(storage.append_group_entry(entry(FIRST, 4, 10)).await, full, "entries");
    let repeat = storage.append_group_entry(entry(FIRST, 3, 300)).await.unwrap();
    assert!(repeat.duplicate, "a repeat needs no room");
    let other = |number, length| GroupAppend { log_id: [8; 32], ..entry(FIRST, number, length) };
    assert_eq!(storage.append_group_entry(other(1, 401)).await, full, "bytes of all logs");
    appended(&*storage, other(1, 400)).await;
}

pub(in crate::storage) async fn entries_run_out_and_their_keys_with_them<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let until = |day: u64, append: GroupAppend| GroupAppend { expires_ms: NOW + day * DAY, ..append };
    appended(&*storage, until(1, entry(FIRST, 1, 100))).await;
    appended(&*storage, until(2, entry(FIRST, 2, GROUP_ENTRY_LARGE))).await;
    let closing = appended(&*storage, until(3, commit(FIRST, 3))).await;
    appended(&*storage, until(2, entry(FIRST + 1, 4, 100))).await;
    let gone = |group_entries| Ok(ExpireCounts { group_entries, ..ExpireCounts::default() });
    assert_eq!(storage.expire(NOW + DAY - 1).await, gone(0));
    assert_eq!(storage.expire(NOW + DAY).await, gone(1));
    assert_eq!(numbers(&fetched(&*storage, FIRST, 0).await), [2, 3]);
    assert_eq!(storage.expire(NOW + 2 * DAY).await, gone(2));
    assert_eq!(numbers(&fetched(&*storage, FIRST, 0).await), [3]);
    assert!(fetched(&*storage, FIRST + 1, 0).await.entries.is_empty());
    let stale = GroupAppendError::StaleEpoch { closing_sequence: closing };
    assert_eq!(storage.append_group_entry(entry(FIRST, 9, 1)).await, Err(stale));
    let again = storage.append_group_entry(until(1, entry(FIRST, 1, 100))).await;
    assert!(again.is_err(), "the id went with the entry, and the epoch is closed: {again:?}");
    assert_eq!(storage.expire(NOW + 3 * DAY).await, gone(1));
    assert_eq!(storage.group_epoch(&LOG, FIRST).await, Err(GroupLogError::UnknownEpoch), "with its last entry");
    assert_eq!(storage.append_group_entry(entry(FIRST, 9, 1)).await, Err(GroupAppendError::AccessRefused));
    let unread = storage.fetch_group_entries(&LOG, FIRST, 0, 9, 1 << 20).await;
    assert_eq!(unread, Err(GroupLogError::UnknownEpoch));
    // The log goes on, and no number comes twice.
    assert!(appended(&*storage, entry(FIRST + 1, 5, 10)).await > closing + 1);
    let log = storage.inspect_group_logs(None, 9).await.unwrap()[0];
    assert_eq!((log.entries, log.bytes, log.closed_epochs, log.epoch), (1, 10, 0, FIRST + 1));
    let usage = GroupUsage { logs: 1, entries: 1, bytes: 10 + GROUP_LOG_CHARGE, wakes: 0 };
    assert_eq!(storage.group_usage().await, Ok(usage));
}

pub(in crate::storage) async fn a_log_without_entries_runs_out<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    storage.create_group_log(new_log([8; 32])).await.unwrap();
    let late = GroupAppend {
        now_ms: NOW + 300 * DAY,
        expires_ms: NOW + 390 * DAY,
        log_expires_ms: NOW + 700 * DAY,
        ..entry(FIRST, 1, 10)
    };
    let last = appended(&*storage, late).await;
    let mut watcher = storage.watch_group_log(&[8; 32]).await.unwrap();
    let counts = storage.expire(NOW + YEAR).await.unwrap();
    assert_eq!((counts.group_entries, counts.group_logs), (1, 1), "the one that nobody wrote to");
    assert_eq!(storage.group_epoch(&[8; 32], FIRST).await, Err(GroupLogError::UnknownLog));
    let cut_off = async { while watcher.changed().await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), cut_off).await.expect("whoever watches is told");
    assert!(storage.group_epoch(&LOG, FIRST).await.is_ok(), "the other is empty and not yet due");
    assert_eq!(storage.expire(NOW + 700 * DAY - 1).await.unwrap().group_logs, 0);
    assert_eq!(storage.expire(NOW + 700 * DAY).await.unwrap().group_logs, 1);
    assert_eq!(storage.group_usage().await, Ok(GroupUsage::default()));
    // Whoever has kept the first key may begin again, and no cursor of before names another entry.
    let again = NewGroupLog { now_ms: NOW + 700 * DAY, expires_ms: NOW + 2 * YEAR, ..new_log(LOG) };
    storage.create_group_log(again).await.unwrap();
    assert!(appended(&*storage, entry(FIRST, 1, 10)).await > last);
}

pub(in crate::storage) async fn a_group_log_survives_a_restart<E: Engine>() {
    let (mut engine, storage) = logged::<E>().await;
    appended(&*storage, entry(FIRST, 1, 100)).await;
    appended(&*storage, entry(FIRST, 2, GROUP_ENTRY_LARGE)).await;
    let closing = appended(&*storage, commit(FIRST, 3)).await;
    let before = (
        storage.incarnation(),
        fetched(&*storage, FIRST, 0).await,
        storage.inspect_group_logs(None, 9).await.unwrap(),
        storage.group_usage().await.unwrap(),
    );
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    let after = (
        storage.incarnation(),
        fetched(&*storage, FIRST, 0).await,
        storage.inspect_group_logs(None, 9).await.unwrap(),
        storage.group_usage().await.unwrap(),
    );
    assert_eq!(before, after);
    let again = storage.append_group_entry(commit(FIRST, 3)).await;
    assert_eq!(again, Ok(GroupAppendOutcome { sequence: closing, duplicate: true }));
    assert!(appended(&*storage, entry(FIRST + 1, 4, 10)).await > closing);
}

pub(in crate::storage) async fn a_watcher_of_a_group_log_is_told<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let first = appended(&*storage, entry(FIRST, 1, 10)).await;
    let mut watcher = storage.watch_group_log(&LOG).await.unwrap();
    assert_eq!(*watcher.borrow_and_update(), first);
    let second = appended(&*storage, commit(FIRST, 2)).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), watcher.changed()).await.unwrap().unwrap();
    assert_eq!(*watcher.borrow_and_update(), second);
}

pub(in crate::storage) async fn concurrent_appends_get_rising_numbers<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move {
                let mut sequences = Vec::new();
                for number in 0..25 {
                    sequences.push(appended(&*storage, entry(FIRST, 1000 * writer + number, 200)).await);
                }
                sequences
            })
        })
        .collect();
    let mut all = Vec::new();
    for writer in writers {
        let sequences = writer.await.unwrap();
        assert!(sequences.is_sorted(), "an author's entries are in his order");
        all.extend(sequences);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 200, "no number was given twice");
    let found: Vec<_> = fetched(&*storage, FIRST, 0).await.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(found, all);
}
