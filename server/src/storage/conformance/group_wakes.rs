//! Wakes: they belong to the epoch that was proved, are replaced, run out, and are not handed on.

use super::group_logs::{FIRST, LOG, appended, commit, entry, key, logged, new_log};
use super::*;

fn wake(epoch: u64, handle: u8, url: &str) -> NewGroupWake {
    let wake = GroupWake {
        log_id: LOG,
        handle: [handle; 16],
        epoch,
        endpoint: url.parse().unwrap(),
        expires_ms: NOW + 30 * DAY,
    };
    NewGroupWake { wake, access_key: key(epoch) }
}

const URL: &str = "https://push.example/1";

async fn handles(storage: &dyn Storage, epoch: u64) -> Vec<u8> {
    storage.group_wakes(LOG, epoch).await.unwrap().iter().map(|wake| wake.handle[0]).collect()
}

async fn counted(storage: &dyn Storage) -> (u64, u64) {
    let inspected = storage.inspect_group_logs(None, 10).await.unwrap();
    (storage.group_usage().await.unwrap().wakes, inspected.iter().map(|log| log.wakes).sum())
}

pub(in crate::storage) async fn a_wake_belongs_to_the_epoch_that_was_proved<E: Engine>() {
    let (engine, storage) = logged::<E>().await;
    assert_eq!(storage.set_group_wake(wake(FIRST, 2, URL)).await, Ok(()));
    assert_eq!(storage.set_group_wake(wake(FIRST, 1, URL)).await, Ok(()));
    assert_eq!(handles(&*storage, FIRST).await, [1, 2]);
    let refused = |epoch, access_key| NewGroupWake { access_key, ..wake(epoch, 3, URL) };
    assert_eq!(storage.set_group_wake(refused(FIRST, key(9))).await, Err(GroupWakeError::AccessRefused));
    assert_eq!(storage.set_group_wake(refused(FIRST + 1, key(FIRST + 1))).await, Err(GroupWakeError::AccessRefused));
    let mut unknown = wake(FIRST, 3, URL);
    unknown.wake.log_id = [8; 32];
    assert_eq!(storage.set_group_wake(unknown).await, Err(GroupWakeError::UnknownLog));
    appended(&*storage, commit(FIRST, 1)).await;
    assert_eq!(storage.set_group_wake(wake(FIRST, 1, URL)).await, Err(GroupWakeError::StaleEpoch));
    assert_eq!(storage.set_group_wake(refused(FIRST, key(9))).await, Err(GroupWakeError::AccessRefused));
    assert_eq!(storage.set_group_wake(wake(FIRST + 1, 1, URL)).await, Ok(()));
    assert_eq!((handles(&*storage, FIRST).await, handles(&*storage, FIRST + 1).await), (vec![2], vec![1]));
    assert_eq!(counted(&*storage).await, (2, 2));
    engine.set_low_space(true);
    let taken = storage.set_group_wake(wake(FIRST + 1, 4, URL)).await;
    assert!(matches!(taken, Err(GroupWakeError::Storage(StorageError::LowSpace { .. }))), "{taken:?}");
    assert_eq!(storage.remove_group_wake(LOG, [1; 16]).await, Ok(()), "what is there can be removed");
}

pub(in crate::storage) async fn a_wake_is_replaced_and_dropped_only_as_it_was_found<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    storage.set_group_wake(wake(FIRST, 1, URL)).await.unwrap();
    let found = storage.group_wakes(LOG, FIRST).await.unwrap().remove(0);
    assert_eq!(found, wake(FIRST, 1, URL).wake);
    let renewed = wake(FIRST, 1, "https://push.example/2");
    storage.set_group_wake(renewed.clone()).await.unwrap();
    storage.drop_group_wake(found).await.unwrap();
    assert_eq!(
        storage.group_wakes(LOG, FIRST).await.unwrap(),
        std::slice::from_ref(&renewed.wake),
        "its reader has renewed"
    );
    storage.drop_group_wake(renewed.wake.clone()).await.unwrap();
    storage.drop_group_wake(renewed.wake).await.unwrap();
    assert_eq!(handles(&*storage, FIRST).await, [0_u8; 0]);
    storage.set_group_wake(wake(FIRST, 1, URL)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(storage.remove_group_wake(LOG, [1; 16]).await, Ok(()));
        assert_eq!(storage.remove_group_wake([8; 32], [1; 16]).await, Ok(()));
    }
    assert_eq!(counted(&*storage).await, (0, 0));
}

pub(in crate::storage) async fn wakes_run_out_and_go_with_their_log<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let until = |handle, expires_ms| {
        let mut wake = wake(FIRST, handle, URL);
        wake.wake.expires_ms = expires_ms;
        wake
    };
    for (handle, expires_ms) in [(1, NOW + DAY), (2, NOW + 2 * DAY), (3, u64::MAX)] {
        storage.set_group_wake(until(handle, expires_ms)).await.unwrap();
    }
    // Renewed: the earlier time is nothing any more.
    storage.set_group_wake(until(1, NOW + 3 * DAY)).await.unwrap();
    let gone = |group_wakes| Ok(ExpireCounts { group_wakes, ..ExpireCounts::default() });
    assert_eq!(storage.expire(NOW + DAY).await, gone(0));
    assert_eq!(storage.expire(NOW + 2 * DAY).await, gone(1));
    assert_eq!(handles(&*storage, FIRST).await, [1, 3]);
    assert_eq!(storage.expire(NOW + 3 * DAY).await, gone(1));
    assert_eq!(counted(&*storage).await, (1, 1));
    let counts = storage.expire(NOW + 500 * DAY).await.unwrap();
    assert_eq!((counts.group_logs, counts.group_wakes), (1, 0));
    assert_eq!(counted(&*storage).await, (0, 0));
    storage.create_group_log(new_log(LOG)).await.unwrap();
    assert_eq!(handles(&*storage, FIRST).await, [0_u8; 0], "they went with the log");
}

pub(in crate::storage) async fn wakes_survive_a_restart_and_are_in_no_export<E: Engine>() {
    let (mut engine, storage) = logged::<E>().await;
    storage.set_group_wake(wake(FIRST, 1, URL)).await.unwrap();
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.group_wakes(LOG, FIRST).await.unwrap(), [wake(FIRST, 1, URL).wake]);
    assert_eq!(counted(&*storage).await, (1, 1));
    let exported = export(&*storage).await;
    assert!(!exported.windows(12).any(|bytes| bytes == b"push.example".as_slice()));
    let other = E::create(ROOMY);
    other.storage().import(Box::new(std::io::Cursor::new(exported))).await.unwrap();
    assert_eq!(handles(&*other.storage(), FIRST).await, [0_u8; 0]);
    assert_eq!(counted(&*other.storage()).await, (0, 0));
}

pub(in crate::storage) async fn whom_nobody_may_have_woken_is_found<E: Engine>() {
    let (_engine, storage) = logged::<E>().await;
    let unsettled = async |since| {
        let found = storage.unsettled_group_wakes(since).await.unwrap();
        found.iter().map(|wake| wake.handle[0]).collect::<Vec<_>>()
    };
    storage.set_group_wake(wake(FIRST, 1, URL)).await.unwrap();
    storage.set_group_wake(wake(FIRST, 2, URL)).await.unwrap();
    assert_eq!(unsettled(NOW).await, [0_u8; 0], "a new log has nothing to be woken for");
    appended(&*storage, GroupAppend { now_ms: NOW + 5, ..entry(FIRST, 1, 5) }).await;
    assert_eq!((unsettled(NOW + 5).await, unsettled(NOW + 6).await), (vec![1, 2], vec![]));
    appended(&*storage, GroupAppend { now_ms: NOW + 10, ..commit(FIRST, 2) }).await;
    storage.set_group_wake(wake(FIRST + 1, 2, URL)).await.unwrap();
    assert_eq!(unsettled(NOW + 6).await, [1], "the one who is in the next epoch has read the commit");
    appended(&*storage, GroupAppend { now_ms: NOW + 20, ..entry(FIRST + 1, 3, 5) }).await;
    assert_eq!(unsettled(NOW + 11).await, [2], "what comes after a closed epoch is nothing to its readers");
}
