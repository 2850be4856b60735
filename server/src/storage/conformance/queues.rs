//! Queues.

use std::collections::BTreeSet;

use medipeps_core::limits::{ENVELOPE_LENGTH_MAX, STATEMENT_LENGTH_MAX};

use super::*;
use crate::limits::{INVITATION_RECORD_RETENTION_MS, SUBMISSION_RECORD_RETENTION_MS};

pub(in crate::storage) async fn a_queue_keeps_its_order<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for id in 1..=20 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(2, 70), (1, 60)])).await, TAKEN);
    }
    let all = storage.fetch(&who, 1, 0, 1000).await.unwrap();
    assert_eq!(all.len(), 20);
    for (index, envelope) in all.iter().enumerate() {
        let number = index as u64 + 1;
        let expected =
            QueuedEnvelope { sequence: number, received_ms: NOW, envelope: vec![number as u8; 60], lane: Lane::Normal };
        assert_eq!(envelope, &expected);
    }
    let some = storage.fetch(&who, 2, 7, 5).await.unwrap();
    assert_eq!(some.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), [8, 9, 10, 11, 12]);
    assert_eq!(storage.fetch(&who, 1, u64::MAX, 5).await, Ok(Vec::new()));
    assert_eq!(storage.fetch(&who, 1, 20, 5).await, Ok(Vec::new()));
    assert_eq!(storage.fetch(&who, 3, 0, 5).await, Err(QueueError::UnknownDevice));
}

pub(in crate::storage) async fn all_devices_or_none<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 2, bytes_max: 1 << 20, ..ROOMY });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    let nobody = address("b@x");
    assert_eq!(storage.enqueue(submission(&nobody, 1, &[(1, 9)])).await, Err(EnqueueError::UnknownRecipient));
    let stale = |missing: &[u32], extra: &[u32]| {
        let (missing, extra) = (missing.to_vec(), extra.to_vec());
        Err(EnqueueError::StaleDevices { missing, extra, statement_version: 1 })
    };
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9)])).await, stale(&[2], &[]));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9), (2, 9), (3, 9)])).await, stale(&[], &[3]));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9), (2, 9), (2, 9)])).await, stale(&[], &[2]));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9), (2, 9)])).await, TAKEN, "a refused id is as good as new");
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 9), (2, 9)])).await, TAKEN);
    storage.acknowledge(&who, 1, storage.incarnation(), 2).await.unwrap();
    let full = storage.enqueue(submission(&who, 3, &[(1, 9), (2, 9)])).await;
    assert_eq!(full, Err(EnqueueError::QueueFull { device: 2 }));
    assert_eq!(sequences(&*storage, &who, 1).await, [0; 0], "device 1 had room and got nothing");
    storage.acknowledge(&who, 2, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 9), (2, 9)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [3]);
    assert_eq!(sequences(&*storage, &who, 2).await, [2, 3]);
}

pub(in crate::storage) async fn a_repeat_gets_the_first_answer<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 1, bytes_max: 1 << 20, ..ROOMY });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let other = register(&*storage, "b@x", &[1]).await;
    let first = submission(&who, 1, &[(1, 10)]);
    assert_eq!(storage.enqueue(first.clone()).await, TAKEN);
    assert_eq!(storage.enqueue(first.clone()).await, AGAIN, "though the queue is full now");
    let reused = Submission { digest: [9; 32], ..first.clone() };
    assert_eq!(storage.enqueue(reused).await, Err(EnqueueError::IdReused));
    assert_eq!(storage.enqueue(submission(&other, 1, &[(1, 10)])).await, TAKEN, "ids belong to a recipient");
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    storage.replace_statement(&who, 1, vec![2], 2, vec![2]).await.unwrap();
    assert_eq!(storage.enqueue(first.clone()).await, AGAIN, "though it was fetched and the device is gone");

    // Of many repeats at once, one is taken.
    storage.put_prekeys(&who, 2, 1, prekeys(2, 0..0)).await.unwrap();
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let (storage, repeat) = (Arc::clone(&storage), submission(&who, 2, &[(2, 10)]));
            tokio::spawn(async move { storage.enqueue(repeat).await })
        })
        .collect();
    let mut fresh = 0;
    for attempt in attempts {
        let EnqueueOutcome::Accepted { duplicate } = attempt.await.unwrap().unwrap();
        fresh += usize::from(!duplicate);
    }
    assert_eq!(fresh, 1);
    assert_eq!(sequences(&*storage, &who, 2).await, [1]);

    let kept = storage.expire(NOW + SUBMISSION_RECORD_RETENTION_MS - 1).await.unwrap();
    assert_eq!(kept.submissions, 0);
    let forgotten = storage.expire(NOW + SUBMISSION_RECORD_RETENTION_MS).await.unwrap();
    assert_eq!(forgotten.submissions, 3);
    storage.acknowledge(&who, 2, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 1, &[(2, 10)])).await, TAKEN);
}

pub(in crate::storage) async fn quotas_hold<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 3, bytes_max: 1000, ..ROOMY });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let full = Err(EnqueueError::QueueFull { device: 1 });
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 1001)])).await, full);
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 900)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 101)])).await, full);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 100)])).await, TAKEN);
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 1)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 4, &[(1, 1)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 5, &[(1, 1)])).await, full, "three messages are there");
    storage.expire(NOW + 30 * DAY).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 5, &[(1, 1000)])).await, TAKEN, "what expired makes room");
}

pub(in crate::storage) async fn acknowledgements_remove_what_was_there<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let incarnation = storage.incarnation();
    for id in 1..=5 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 10)])).await, TAKEN);
    }
    let mut foreign = incarnation;
    foreign[0] ^= 1;
    assert_eq!(storage.acknowledge(&who, 1, foreign, 1).await, Err(AcknowledgeError::ForeignIncarnation));
    assert_eq!(storage.acknowledge(&who, 2, incarnation, 1).await, Err(AcknowledgeError::UnknownDevice));
    let beyond = storage.acknowledge(&who, 1, incarnation, 6).await;
    assert_eq!(beyond, Err(AcknowledgeError::BeyondAssigned { highest: 5 }));
    assert_eq!(sequences(&*storage, &who, 1).await, [1, 2, 3, 4, 5]);
    assert_eq!(storage.acknowledge(&who, 1, incarnation, 0).await, Ok(()));
    for up_to in [3, 3, 2] {
        assert_eq!(storage.acknowledge(&who, 1, incarnation, up_to).await, Ok(()));
        assert_eq!(sequences(&*storage, &who, 1).await, [4, 5]);
    }
    assert_eq!(storage.acknowledge(&who, 1, incarnation, 5).await, Ok(()));
    assert_eq!(storage.enqueue(submission(&who, 6, &[(1, 10)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [6], "a number is never given twice");
}

pub(in crate::storage) async fn a_watcher_is_told<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    assert_eq!(storage.watch(&who, 2).await.err(), Some(QueueError::UnknownDevice));
    let mut watching = storage.watch(&who, 1).await.unwrap();
    assert_eq!(*watching.borrow_and_update(), 0);
    let waiting = tokio::spawn(async move {
        watching.changed().await.unwrap();
        *watching.borrow_and_update()
    });
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 10)])).await, TAKEN);
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(*storage.watch(&who, 1).await.unwrap().borrow(), 1, "a late watcher knows what is there");
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 10)])).await, TAKEN);
    assert_eq!(*storage.watch(&who, 1).await.unwrap().borrow(), 2);
}

pub(in crate::storage) async fn expiry_is_counted<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for (id, days) in [(1, 1), (2, 3), (3, 2)] {
        let expires_ms = NOW + days * DAY;
        let timed = Submission { expires_ms, ..submission(&who, id, &[(1, 10), (2, 10)]) };
        assert_eq!(storage.enqueue(timed).await, TAKEN);
    }
    storage.acknowledge(&who, 2, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.expire(NOW + DAY - 1).await, Ok(ExpireCounts { envelopes: 0, ..Default::default() }));
    let counts = storage.expire(NOW + 2 * DAY).await.unwrap();
    assert_eq!(counts.envelopes, 3, "1 and 3 of device 1, 3 of device 2");
    assert_eq!(storage.expire(NOW + 2 * DAY).await.unwrap().envelopes, 0);
    assert_eq!(sequences(&*storage, &who, 1).await, [2]);
    assert_eq!(storage.expired_count(&who, 1).await, Ok(2));
    assert_eq!(storage.expired_count(&who, 2).await, Ok(1));
    storage.settle_expired(&who, 1, 1).await.unwrap();
    assert_eq!(storage.expired_count(&who, 1).await, Ok(1));
    storage.settle_expired(&who, 1, 5).await.unwrap();
    assert_eq!(storage.expired_count(&who, 1).await, Ok(0));
    assert_eq!(storage.settle_expired(&who, 3, 1).await, Err(QueueError::UnknownDevice));
    assert_eq!(storage.acknowledge(&who, 1, storage.incarnation(), 3).await, Ok(()), "expired numbers can be acked");

    let invitations = storage.expire(NOW + DAY + INVITATION_RECORD_RETENTION_MS).await.unwrap().invitations;
    assert_eq!(invitations, 1);
}

pub(in crate::storage) async fn concurrent_submissions_get_dense_numbers<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let submitters: Vec<_> = (0..200u8)
        .map(|id| {
            let (storage, next) = (Arc::clone(&storage), submission(&who, id, &[(1, 4096)]));
            tokio::spawn(async move { storage.enqueue(next).await })
        })
        .collect();
    for submitter in submitters {
        assert_eq!(submitter.await.unwrap(), TAKEN);
    }
    let all = storage.fetch(&who, 1, 0, 1000).await.unwrap();
    assert_eq!(all.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    let contents: BTreeSet<u8> = all.iter().map(|envelope| envelope.envelope[0]).collect();
    assert_eq!(contents.len(), 200);
    assert!(all.iter().all(|envelope| envelope.envelope.iter().all(|byte| *byte == envelope.envelope[0])));
}

pub(in crate::storage) async fn what_is_too_large_is_refused<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let largest = submission(&who, 1, &[(1, ENVELOPE_LENGTH_MAX)]);
    assert_eq!(storage.enqueue(largest).await, TAKEN);
    let larger = storage.enqueue(submission(&who, 2, &[(1, ENVELOPE_LENGTH_MAX + 1)])).await;
    assert!(matches!(larger, Err(EnqueueError::Storage(StorageError::Oversize { .. }))), "{larger:?}");
    let statement = vec![0; STATEMENT_LENGTH_MAX + 1];
    let larger = storage.replace_statement(&who, 1, statement, 2, vec![1]).await;
    assert!(matches!(larger, Err(StatementError::Storage(StorageError::Oversize { .. }))), "{larger:?}");
    let mut keys = prekeys(1, 0..1);
    keys.one_time[0].1 = vec![0; 5000];
    let larger = storage.put_prekeys(&who, 1, 2, keys).await;
    assert!(matches!(larger, Err(PrekeyError::Storage(StorageError::Oversize { .. }))), "{larger:?}");
    assert_eq!(storage.failure().borrow().clone(), None, "a refusal is no failure of the engine");
}
