//! Envelopes that go to the end of their queue.

use super::*;

pub(in crate::storage) async fn an_envelope_is_moved_to_the_end_and_nothing_is_lost<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for id in 1..=3 {
        let mut sent = submission(&who, id, &[(1, 60), (2, 60)]);
        sent.expires_ms = NOW + u64::from(id) * DAY;
        assert_eq!(storage.enqueue(sent).await, TAKEN);
    }
    assert_eq!(storage.move_to_end(&who, 3, 1).await, Err(QueueError::UnknownDevice));
    assert_eq!(storage.move_to_end(&who, 1, 3).await, Ok(None), "it is the last");
    assert_eq!(storage.move_to_end(&who, 1, 9).await, Ok(None), "there is none");
    let mut hint = storage.watch(&who, 1).await.unwrap();
    hint.mark_unchanged();
    assert_eq!(storage.move_to_end(&who, 1, 1).await, Ok(Some(4)));
    assert!(hint.has_changed().unwrap(), "whoever waits is told");
    assert_eq!(storage.move_to_end(&who, 1, 1).await, Ok(None), "it is there no more");
    assert_eq!(sequences(&*storage, &who, 2).await, [1, 2, 3], "other devices have it where it was");
    drop((storage, hint));
    engine.reopen();
    let storage = engine.storage();
    let queue = storage.fetch(&who, 1, 0, 10).await.unwrap();
    let found: Vec<_> = queue.iter().map(|one| (one.sequence, one.envelope[0], one.received_ms)).collect();
    assert_eq!(found, [(2, 2, NOW), (3, 3, NOW), (4, 1, NOW)]);
    let metrics = storage.metrics();
    assert_eq!((metrics.queued.get(), metrics.queued_bytes.get()), (6, 360), "counted anew after a restart");

    storage.acknowledge(&who, 1, storage.incarnation(), 3).await.unwrap();
    assert_eq!(sequences(&*storage, &who, 1).await, [4], "an acknowledgement of those before does not take it along");
    assert_eq!(storage.enqueue(submission(&who, 9, &[(1, 60), (2, 60)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [4, 5]);
    // It runs out when it would have.
    assert_eq!(storage.expire(NOW + DAY).await.unwrap().envelopes, 2, "at both devices");
    assert_eq!(sequences(&*storage, &who, 1).await, [5]);
    assert_eq!(storage.metrics().queued.get(), 1 + 3);
}

pub(in crate::storage) async fn limits_are_set_anew<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 1, bytes_max: 1 << 20 });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 9)])).await, Err(EnqueueError::QueueFull { device: 1 }));
    let groups = GroupQuota::default();
    let mut limits = StorageLimits { queue: ROOMY, blob_bytes_max: 1 << 20, groups, free_space_floor: 0 };
    storage.set_limits(limits);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 9)])).await, TAKEN);
    limits.queue.messages_max = 1;
    storage.set_limits(limits);
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 9)])).await, Err(EnqueueError::QueueFull { device: 1 }));
    assert_eq!(sequences(&*storage, &who, 1).await, [1, 2], "what is there stays");
    let metrics = storage.metrics();
    assert_eq!((metrics.enqueued.get(), metrics.queued.get(), metrics.queued_bytes.get()), (2, 2, 18));
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!((metrics.acknowledged.get(), metrics.queued.get(), metrics.queued_bytes.get()), (1, 1, 9));
    storage.delete_account(&who, 1).await.unwrap();
    assert_eq!((metrics.queued.get(), metrics.queued_bytes.get()), (0, 0));
}
