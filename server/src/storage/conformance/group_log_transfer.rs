//! Group logs in an export.

use std::io::Cursor;

use medipeps_core::wire::server_storage::{ExportRecord, ExportedGroupEntry, GroupEpochRecord, GroupLogRecord};

use super::group_logs::*;
use super::*;
use crate::limits::GROUP_ENTRY_LARGE;
use crate::storage::export::ExportWriter;

pub(in crate::storage) async fn an_export_carries_group_logs<E: Engine>() {
    let (_source, source) = logged::<E>().await;
    source.create_group_log(NewGroupLog { epoch: 0, ..new_log([3; 32]) }).await.unwrap();
    appended(&*source, entry(FIRST, 1, 100)).await;
    appended(&*source, entry(FIRST, 2, GROUP_ENTRY_LARGE)).await;
    appended(&*source, commit(FIRST, 3)).await;
    let last = appended(&*source, GroupAppend { expires_ms: NOW + DAY, ..entry(FIRST + 1, 4, 70_000) }).await;
    let exported = export(&*source).await;

    let mut target = E::create(ROOMY);
    let storage = target.storage();
    storage.import(Box::new(Cursor::new(exported.clone()))).await.unwrap();
    let again = storage.import(Box::new(Cursor::new(exported))).await;
    assert!(matches!(again, Err(ImportError::NotEmpty)), "{again:?}");
    drop(storage);
    target.reopen();
    let storage = target.storage();
    assert_ne!(storage.incarnation(), source.incarnation(), "cursors of before are worth nothing");
    for epoch in [FIRST, FIRST + 1] {
        assert_eq!(fetched(&*storage, epoch, 0).await, fetched(&*source, epoch, 0).await);
        assert_eq!(storage.group_epoch(&LOG, epoch).await, source.group_epoch(&LOG, epoch).await);
    }
    assert_eq!(storage.inspect_group_logs(None, 9).await, source.inspect_group_logs(None, 9).await);
    assert_eq!(storage.group_usage().await, source.group_usage().await);
    assert!(storage.append_group_entry(commit(FIRST, 3)).await.unwrap().duplicate);
    assert!(matches!(storage.append_group_entry(commit(FIRST, 9)).await, Err(GroupAppendError::StaleEpoch { .. })));
    assert!(appended(&*storage, entry(FIRST + 1, 5, 10)).await > last);
    // What was loaded runs out as it would have.
    assert_eq!(storage.expire(NOW + DAY).await.unwrap().group_entries, 1);
    assert_eq!(numbers(&fetched(&*storage, FIRST + 1, 0).await), [5]);
    let counts = storage.expire(NOW + 400 * DAY).await.unwrap();
    assert_eq!((counts.group_entries, counts.group_logs), (4, 2));
}

pub(in crate::storage) async fn an_export_with_a_false_group_log_is_refused<E: Engine>() {
    let log = GroupLogRecord {
        first_epoch: 1,
        epoch: 3,
        access_key: [1; 32],
        epoch_entries: 0,
        highest_sequence: 10,
        entries: 0,
        bytes: 0,
        created: NOW,
        changed: NOW,
        expires: NOW + DAY,
    };
    let group_log = |log_id| ExportRecord::GroupLog { log_id: [log_id; 32], log };
    let epoch = |epoch, closing_sequence| ExportRecord::GroupEpoch {
        epoch,
        record: GroupEpochRecord { access_key: [2; 32], entries: 1, closing_sequence },
    };
    let entry = |epoch, sequence, closes_epoch| {
        ExportRecord::GroupEntry(ExportedGroupEntry {
            epoch,
            sequence,
            received: NOW,
            expires: NOW + DAY,
            entry_id: [sequence as u8; 16],
            digest: [4; 32],
            closes_epoch,
            entry: vec![5],
        })
    };
    let good = vec![group_log(1), epoch(1, 5), entry(1, 4, false), entry(1, 5, true), entry(3, 9, false), group_log(2)];
    let import = |records: Vec<ExportRecord>| async move {
        let buffer = SharedBuffer::default();
        let mut export = ExportWriter::new(Box::new(buffer.clone())).unwrap();
        records.iter().for_each(|record| export.write(record).unwrap());
        export.finish().unwrap();
        let bytes = buffer.bytes();
        E::create(ROOMY).storage().import(Box::new(Cursor::new(bytes))).await
    };
    assert!(import(good).await.is_ok());
    for (what, records) in [
        ("descending logs", vec![group_log(2), group_log(1)]),
        ("the same log twice", vec![group_log(1), group_log(1)]),
        ("an entry without a log", vec![entry(1, 4, false)]),
        ("a closed epoch without entries", vec![group_log(1), epoch(1, 5)]),
        ("a closed epoch that is the current one", vec![group_log(1), epoch(3, 5), entry(3, 5, true)]),
        ("an entry of no epoch", vec![group_log(1), entry(2, 4, false)]),
        ("a closing entry of the current epoch", vec![group_log(1), entry(3, 4, true)]),
        ("an entry after the one that closed its epoch", vec![group_log(1), epoch(1, 5), entry(1, 6, false)]),
        ("a closing entry that closes nothing", vec![group_log(1), epoch(1, 5), entry(1, 5, false)]),
        ("the same number twice", vec![group_log(1), entry(3, 4, false), entry(3, 4, false)]),
        ("a number that was never given", vec![group_log(1), entry(3, 11, false)]),
    ] {
        let refused = import(records).await;
        assert!(matches!(refused, Err(ImportError::Damaged)), "{what}: {refused:?}");
    }
}
